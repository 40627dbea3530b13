// SPDX-License-Identifier: GPL-2.0-only
/* Finds functions that the kernel does not export, and makes the calls of this module go there. */

#include <linux/bug.h>
#include <linux/kprobes.h>
#include <linux/static_call.h>

#include "chargehand.h"

/*
 * What a call does before its function was bound: complains, and does nothing. No error of ours leads here,
 * for what is not bound is not offered; it is better to be wrong in a log than at address 0.
 */
#define CHARGEHAND_SYMBOL_DEFINE_(use_, ret, name_, args, prototype_)                              \
	ret chargehand_##name_##_null args                                                         \
	{                                                                                          \
		WARN_ONCE(1, "chargehand: " #name_ "() was called, but is not known\n");           \
		return (ret)0;                                                                     \
	}                                                                                          \
	DEFINE_STATIC_CALL(chargehand_##name_, chargehand_##name_##_null);                         \
	static void bind_##name_(unsigned long address)                                            \
	{                                                                                          \
		static_call_update(chargehand_##name_, (chargehand_##name_##_fn *)address);        \
	}
CHARGEHAND_SYMBOLS(CHARGEHAND_SYMBOL_DEFINE_)

#define CHARGEHAND_SYMBOL_ROW_(use_, ret, name_, args, prototype_)                                 \
	{                                                                                          \
		.name = #name_, .prototype = prototype_, .use = CHARGEHAND_USE_##use_,             \
		.bind = bind_##name_,                                                              \
	},
struct chargehand_symbol chargehand_symbols[] = { CHARGEHAND_SYMBOLS(CHARGEHAND_SYMBOL_ROW_) };
const unsigned int chargehand_n_symbols = ARRAY_SIZE(chargehand_symbols);

static unsigned long lookup_null(const char *name)
{
	return 0;
}
DEFINE_STATIC_CALL(chargehand_lookup, lookup_null);

/* Nothing of the kernel tells the address of kallsyms_lookup_name() but a probe at it, which is never armed.
 * The address may be that of the instruction behind ENDBR: as good. */
static unsigned long address_of_lookup(void)
{
	struct kprobe probe = {
		.symbol_name = "kallsyms_lookup_name",
		.flags = KPROBE_FLAG_DISABLED,
	};
	unsigned long address;
	int r;

	r = register_kprobe(&probe);
	if (r < 0) {
		pr_info("no probe at kallsyms_lookup_name(): error %d\n", r);
		return 0;
	}
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return address;
}

unsigned long chargehand_symbol_address(const char *name)
{
	return static_call(chargehand_lookup)(name);
}

int chargehand_symbols_init(void)
{
	unsigned long lookup = address_of_lookup();
	unsigned int i;

	if (!lookup)
		return -ENOENT;
	static_call_update(chargehand_lookup, (typeof(&lookup_null))lookup);
	for (i = 0; i < chargehand_n_symbols; i++)
		chargehand_symbols[i].address = chargehand_symbol_address(chargehand_symbols[i].name);
	return 0;
}

void chargehand_symbols_bind(enum chargehand_use use)
{
	unsigned int i;

	for (i = 0; i < chargehand_n_symbols; i++)
		if (chargehand_symbols[i].use == use && chargehand_symbols[i].address)
			chargehand_symbols[i].bind(chargehand_symbols[i].address);
}

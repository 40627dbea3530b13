/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CHARGEHAND_SYMBOLS_H
#define CHARGEHAND_SYMBOLS_H

/*
 * Functions of the kernel that are not exported. compat.h lists them, CHARGEHAND_SYMBOLS(X), with the
 * prototype that was reviewed; symbols.c finds them, gate.c compares the prototypes with the kernel's BTF
 * before any may be called.
 *
 * Calls go through static_call(): the kernel seals functions whose address it takes nowhere (IBT), so that
 * they can be called, but not through a pointer.
 */

#include <linux/static_call.h>

#include "compat.h"

#define CHARGEHAND_SYMBOL_DECLARE_(use, ret, name, args, prototype)                                 \
	typedef ret chargehand_##name##_fn args;                                                   \
	extern chargehand_##name##_fn chargehand_##name##_null;                                    \
	DECLARE_STATIC_CALL(chargehand_##name, chargehand_##name##_null);
CHARGEHAND_SYMBOLS(CHARGEHAND_SYMBOL_DECLARE_)
#undef CHARGEHAND_SYMBOL_DECLARE_

/* chargehand_call(name)(arguments…) */
#define chargehand_call(name) static_call(chargehand_##name)

/* What a symbol, a layout or a value is wanted for. */
enum chargehand_use {
	CHARGEHAND_USE_LOOK,	/* MAP and INFO: without it the module does not load */
	CHARGEHAND_USE_MOVE,	/* without it the module is read-only */
	CHARGEHAND_USE_SWAP,	/* without it swap records are neither read nor moved */
	CHARGEHAND_USES,
};

struct chargehand_symbol {
	const char *name;
	const char *prototype;
	enum chargehand_use use;
	void (*bind)(unsigned long address);
	unsigned long address; /* 0: not found */
};

extern struct chargehand_symbol chargehand_symbols[];
extern const unsigned int chargehand_n_symbols;

/* Look all of them up. -ENOENT: kallsyms itself cannot be had. Which are missing is gate.c's business. */
int chargehand_symbols_init(void);
/* Make the calls of one use go where they should; until then they warn and do nothing. */
void chargehand_symbols_bind(enum chargehand_use use);
/* Of any symbol, data too. 0: there is none. */
unsigned long chargehand_symbol_address(const char *name);

#endif

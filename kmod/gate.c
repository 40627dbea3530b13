// SPDX-License-Identifier: GPL-2.0-only
/*
 * May we act on this kernel, and how far?
 *
 * What the module knows of the kernel's inside is written down in compat.h, row by row, as it was reviewed.
 * Here every row is compared with what the running kernel says of itself in its BTF. A row that MAP needs
 * and that is not so: the module does not load. One that MOVE needs: it loads read-only. It never guesses.
 */

#include <linux/cgroup.h>
#include <linux/ctype.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sysfs.h>
#include <linux/utsname.h>

#include "chargehand.h"

enum {
	REASON_SIZE = 512,
};

static bool read_only;
module_param(read_only, bool, 0444);
MODULE_PARM_DESC(read_only, "do not move anything: MAP and INFO only (default: off)");

/* The verdict. Once read-only, always: the reason is written before the mode, and then stays as it is. */
static u32 gate_mode = CHARGEHAND_MODE_READ_ONLY;
static u32 gate_kinds;
static bool gate_knows_swap;
static char gate_reason[REASON_SIZE] = "still loading";

/* The self-test that is still to come, see chargehand_gate_move(). */
static DEFINE_MUTEX(selftest_lock);
static bool selftest_due;

/* ---- what is found ---- */

/* What is wrong, by what it is wanted for. */
struct findings {
	unsigned int checked, wrong;
	unsigned int wrong_of[CHARGEHAND_USES];
	char first[CHARGEHAND_USES][REASON_SIZE];
};

static __printf(3, 4) void fault(struct findings *findings, enum chargehand_use use, const char *format, ...)
{
	char text[REASON_SIZE];
	va_list args;

	va_start(args, format);
	vscnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Each for whoever reviews the kernel; the verdict names the first. */
	pr_info("%s\n", text);
	if (!findings->wrong_of[use]++)
		strscpy(findings->first[use], text, REASON_SIZE);
	findings->wrong++;
}

/* Why BTF has no answer. */
static const char *btf_error(int error)
{
	switch (error) {
	case -ENOENT:
		return "is not in this kernel's BTF (static, inlined, or gone)";
	case -ENOTUNIQ:
		return "is in this kernel's BTF several times, and not always the same";
	default:
		return "cannot be read in this kernel's BTF";
	}
}

static void check_symbol(struct findings *findings, const struct chargehand_symbol *symbol)
{
	char text[CHARGEHAND_BTF_TEXT];
	int r;

	findings->checked++;
	if (!symbol->address) {
		fault(findings, symbol->use, "%s() is not among this kernel's symbols", symbol->name);
		return;
	}
	r = chargehand_btf_prototype(symbol->name, text);
	if (r < 0)
		fault(findings, symbol->use, "%s() %s", symbol->name, btf_error(r));
	else if (strcmp(text, symbol->prototype) != 0)
		fault(findings, symbol->use, "%s() is '%s' in this kernel, and '%s' was reviewed", symbol->name,
		      text, symbol->prototype);
}

/* What compat.h says of layouts and values, as it was compiled. */
struct row {
	enum chargehand_use use;
	const char *name; /* TYPE.MEMBER or TYPE.ENUMERATOR */
	u32 offset, size;
	s64 value;
};

#define MEMBER_ROW(use_, type, member)                                                             \
	{                                                                                          \
		.use = CHARGEHAND_USE_##use_, .name = #type "." #member,                           \
		.offset = offsetof(struct type, member), .size = sizeof_field(struct type, member), \
	},
#define ARRAY_ROW(use_, type, member)                                                              \
	{                                                                                          \
		.use = CHARGEHAND_USE_##use_, .name = #type "." #member,                           \
		.offset = offsetof(struct type, member),                                           \
	},
#define ENUM_ROW(use_, type, enumerator)                                                           \
	{ .use = CHARGEHAND_USE_##use_, .name = #type "." #enumerator, .value = (enum type)enumerator },

static const struct row members[] = { CHARGEHAND_MEMBERS(MEMBER_ROW) CHARGEHAND_ARRAYS(ARRAY_ROW) };
static const struct row enums[] = { CHARGEHAND_ENUMS(ENUM_ROW) };

/* The part before the dot; what is behind it is returned. */
static const char *split(const char *name, char type[64])
{
	const char *dot = strchr(name, '.');

	strscpy(type, name, min_t(size_t, dot - name + 1, 64));
	return dot + 1;
}

static void check_member(struct findings *findings, const struct row *row)
{
	char type[64];
	const char *member = split(row->name, type);
	u32 offset, size;
	int r = chargehand_btf_member(type, member, &offset, &size);

	findings->checked++;
	if (r < 0)
		fault(findings, row->use, "%s %s", row->name, btf_error(r));
	else if (offset != row->offset || size != row->size)
		fault(findings, row->use, "%s has offset %u and size %u in this kernel, and %u and %u as compiled",
		      row->name, offset, size, row->offset, row->size);
}

static void check_enum(struct findings *findings, const struct row *row)
{
	char type[64];
	const char *enumerator = split(row->name, type);
	s64 value;
	int r = chargehand_btf_enum(type, enumerator, &value);

	findings->checked++;
	if (r < 0)
		fault(findings, row->use, "%s %s", row->name, btf_error(r));
	else if (value != row->value)
		fault(findings, row->use, "%s is %lld in this kernel, and %lld as compiled", row->name, value,
		      row->value);
}

static void check_rows(struct findings *findings)
{
	unsigned int i;

	for (i = 0; i < chargehand_n_symbols; i++)
		check_symbol(findings, &chargehand_symbols[i]);
	for (i = 0; i < ARRAY_SIZE(members); i++)
		check_member(findings, &members[i]);
	for (i = 0; i < ARRAY_SIZE(enums); i++)
		check_enum(findings, &enums[i]);
}

/* ---- the steps that end the load ---- */

/* A module of another version only gets here if it was forced. */
static int check_version(void)
{
	const char *release = init_utsname()->release;
	size_t length = strlen(CHARGEHAND_RELEASE);

	if (strncmp(release, CHARGEHAND_RELEASE, length) == 0 && !isdigit(release[length]))
		return 0;
	pr_err("not loaded: built for Linux %s, and this is %s; build it for this kernel (dkms autoinstall)\n",
	       CHARGEHAND_RELEASE, release);
	return -EOPNOTSUPP;
}

static int check_controller(void)
{
	if (mem_cgroup_disabled()) {
		pr_err("not loaded: the memory controller is off; boot without cgroup_disable=memory\n");
		return -ENODEV;
	}
	if (!cgroup_subsys_on_dfl(memory_cgrp_subsys)) {
		pr_err("not loaded: the memory controller is on cgroup v1; boot with cgroup_no_v1=memory\n");
		return -ENODEV;
	}
	return 0;
}

static int open_kernel(void)
{
	int r = chargehand_symbols_init();

	if (r < 0) {
		pr_err("not loaded: no kallsyms_lookup_name(); %s\n", "this takes CONFIG_KPROBES and CONFIG_KALLSYMS");
		return -EOPNOTSUPP;
	}
	r = chargehand_btf_open();
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		pr_err("not loaded: no BTF that can be read (error %d), so nothing can be checked; %s\n", r,
		       "this takes CONFIG_DEBUG_INFO_BTF and CONFIG_KALLSYMS_ALL");
		return -EOPNOTSUPP;
	}
	return 0;
}

/* ---- the verdict ---- */

static void set_read_only(const char *reason)
{
	strscpy(gate_reason, reason, REASON_SIZE);
	WRITE_ONCE(gate_kinds, 0);
	/* Whoever sees the mode by chargehand_mode() sees the reason. */
	smp_store_release(&gate_mode, CHARGEHAND_MODE_READ_ONLY);
	pr_warn("read-only on %s: %s. MAP and INFO work, MOVE does not; docs/kmod.md says how a kernel is reviewed\n",
		init_utsname()->release, reason);
}

static void run_selftest(void)
{
	char text[REASON_SIZE];
	const char *why;
	int r = chargehand_selftest(&why);

	selftest_due = r > 0;
	if (r > 0)
		pr_info("the self-test is put off until the next move: %s\n", why);
	else if (r == 0)
		pr_info("the self-test passed\n");
	if (r >= 0)
		return;
	scnprintf(text, sizeof(text), "the self-test failed: %s", why);
	set_read_only(text);
}

static void set_move(const struct findings *findings)
{
	u32 kinds = CHARGEHAND_MOVE_KINDS;

	chargehand_symbols_bind(CHARGEHAND_USE_MOVE);
	if (!gate_knows_swap)
		kinds &= ~CHARGEHAND_KIND_BIT(CHARGEHAND_KIND_SWAP);
	gate_kinds = kinds;
	gate_mode = CHARGEHAND_MODE_MOVE;
	run_selftest();
	if (gate_mode == CHARGEHAND_MODE_MOVE)
		pr_info("moves on %s: %u prototypes, layouts and values are as reviewed\n",
			init_utsname()->release, findings->checked);
}

static int decide(const struct findings *findings)
{
	if (findings->wrong_of[CHARGEHAND_USE_LOOK]) {
		pr_err("not loaded: %s (%u of %u rows differ); %s\n", findings->first[CHARGEHAND_USE_LOOK],
		       findings->wrong, findings->checked,
		       "this kernel wants a chargehand that was reviewed for it, see docs/kmod.md");
		return -EOPNOTSUPP;
	}
	chargehand_symbols_bind(CHARGEHAND_USE_LOOK);
	gate_knows_swap = CHARGEHAND_SWAP_RECORDS && !findings->wrong_of[CHARGEHAND_USE_SWAP];
	if (gate_knows_swap)
		chargehand_symbols_bind(CHARGEHAND_USE_SWAP);
	else if (CHARGEHAND_SWAP_RECORDS)
		pr_warn("swap records are left alone: %s\n", findings->first[CHARGEHAND_USE_SWAP]);
	if (findings->wrong_of[CHARGEHAND_USE_MOVE])
		set_read_only(findings->first[CHARGEHAND_USE_MOVE]);
	else if (read_only)
		set_read_only("asked for by the parameter read_only=1");
	else
		set_move(findings);
	return 0;
}

int chargehand_gate_init(void)
{
	struct findings *findings;
	int r;

	r = check_version();
	if (!r)
		r = check_controller();
	if (!r)
		r = open_kernel();
	if (r < 0)
		return r;
	findings = kzalloc(sizeof(*findings), GFP_KERNEL);
	if (findings)
		check_rows(findings);
	chargehand_btf_close();
	r = findings ? decide(findings) : -ENOMEM;
	kfree(findings);
	return r;
}

u32 chargehand_mode(void)
{
	/* Pairs with set_read_only(). */
	return smp_load_acquire(&gate_mode);
}

u32 chargehand_move_kinds(void)
{
	return READ_ONCE(gate_kinds);
}

bool chargehand_knows_swap(void)
{
	return gate_knows_swap;
}

int chargehand_gate_move(void)
{
	if (READ_ONCE(selftest_due)) {
		mutex_lock(&selftest_lock);
		if (selftest_due)
			run_selftest();
		mutex_unlock(&selftest_lock);
	}
	return chargehand_mode() == CHARGEHAND_MODE_MOVE ? 0 : -EROFS;
}

/* ---- /sys/module/chargehand/parameters ---- */

static int get_mode(char *buffer, const struct kernel_param *param)
{
	if (chargehand_mode() == CHARGEHAND_MODE_MOVE)
		return sysfs_emit(buffer, "move\n");
	return sysfs_emit(buffer, "read-only: %s\n", gate_reason);
}

static int get_move_kinds(char *buffer, const struct kernel_param *param)
{
	static const char *const names[CHARGEHAND_KINDS] = {
		[CHARGEHAND_KIND_ANON] = "anon",   [CHARGEHAND_KIND_ANON_THP] = "anon_thp",
		[CHARGEHAND_KIND_SHMEM] = "shmem", [CHARGEHAND_KIND_FILE] = "file",
		[CHARGEHAND_KIND_SWAP] = "swap",
	};
	u32 kinds = chargehand_move_kinds();
	int i, n = 0;

	for (i = 0; i < CHARGEHAND_KINDS; i++)
		if (kinds & CHARGEHAND_KIND_BIT(i))
			n += sysfs_emit_at(buffer, n, "%s%s", n ? " " : "", names[i]);
	return n + sysfs_emit_at(buffer, n, n ? "\n" : "none\n");
}

/* Given at load they would be lost, so better say so. */
static int set_nothing(const char *value, const struct kernel_param *param)
{
	pr_err("not loaded: the parameter %s can only be read; read_only=1 is the one that can be set\n", param->name);
	return -EPERM;
}

static const struct kernel_param_ops mode_ops = { .get = get_mode, .set = set_nothing };
static const struct kernel_param_ops move_kinds_ops = { .get = get_move_kinds, .set = set_nothing };

module_param_cb(mode, &mode_ops, NULL, 0444);
MODULE_PARM_DESC(mode, "read it: 'move', or 'read-only: REASON'");
module_param_cb(move_kinds, &move_kinds_ops, NULL, 0444);
MODULE_PARM_DESC(move_kinds, "read it: kinds of memory that can be moved, or 'none'");

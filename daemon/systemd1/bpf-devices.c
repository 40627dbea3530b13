/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * DevicePolicy= and DeviceAllow=: a program of BPF at the group that knows the allowed devices. It
 * is told from a runtime's own by its name, so that it is found again after a restart of the
 * daemon.
 */

#include <fcntl.h>
#include <fnmatch.h>
#include <linux/bpf.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "log.h"
#include "property-row.h"
#include "util.h"

#define PROGRAM_NAME "chargehand_dev" /* the kernel keeps 15 bytes */

enum { ANY = -1, ACCESS_ALL = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD };
enum { PROGRAMS_MAX = 64 }; /* the kernel attaches no more to one group */

/* Registers: what is asked for */
enum { R_TYPE = BPF_REG_2, R_ACCESS = BPF_REG_3, R_MAJOR = BPF_REG_4, R_MINOR = BPF_REG_5 };

typedef struct Rule {
        int type, access, major_, minor_;
} Rule;

typedef struct Program {
        struct bpf_insn *items;
        size_t n, allocated;
        const char *unit;
} Program;

/* What programs expect everywhere; the numbers never change. */
static const Rule always[] = {
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 1, 3 }, /* null */
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 1, 5 }, /* zero */
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 1, 7 }, /* full */
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 1, 8 }, /* random */
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 1, 9 }, /* urandom */
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 5, 0 }, /* tty */
        { BPF_DEVCG_DEV_CHAR, ACCESS_ALL, 5, 2 }, /* ptmx */
};

/* ---- the program ---- */

static int emit(Program *program, uint8_t code, uint8_t to, uint8_t from, int16_t offset,
                int32_t number)
{
        int r = array_reserve(&program->items, &program->allocated, program->n + 1,
                              sizeof(*program->items));

        if (r >= 0)
                program->items[program->n++] = (struct bpf_insn){ code, to, from, offset, number };
        return r;
}

static int emit_return(Program *program, int allowed)
{
        int r = emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allowed);

        return r < 0 ? r : emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Takes the context apart: type in the low half, access in the high half of one word. */
static int emit_begin(Program *program)
{
        const uint8_t load = BPF_LDX | BPF_MEM | BPF_W;
        int r = emit(program, load, R_TYPE, BPF_REG_1,
                     offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);

        if (r >= 0)
                r = emit(program, BPF_ALU64 | BPF_MOV | BPF_X, R_ACCESS, R_TYPE, 0, 0);
        if (r >= 0)
                r = emit(program, BPF_ALU64 | BPF_RSH | BPF_K, R_ACCESS, 0, 0, 16);
        if (r >= 0)
                r = emit(program, BPF_ALU64 | BPF_AND | BPF_K, R_TYPE, 0, 0, 0xffff);
        if (r >= 0)
                r = emit(program, load, R_MAJOR, BPF_REG_1,
                         offsetof(struct bpf_cgroup_dev_ctx, major), 0);
        if (r >= 0)
                r = emit(program, load, R_MINOR, BPF_REG_1,
                         offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
        return r;
}

/* If all that the rule says holds, the access is allowed; else on to the next one. */
static int emit_rule(Program *program, const Rule *rule)
{
        const uint8_t unless = BPF_JMP | BPF_JNE | BPF_K;
        size_t begin = program->n;
        int r = emit(program, unless, R_TYPE, 0, 0, rule->type);

        if (r >= 0 && rule->access != ACCESS_ALL) {
                r = emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, R_ACCESS, 0, 0);
                if (r >= 0)
                        r = emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0,
                                 ACCESS_ALL & ~rule->access);
                if (r >= 0)
                        r = emit(program, unless, BPF_REG_1, 0, 0, 0);
        }
        if (r >= 0 && rule->major_ != ANY)
                r = emit(program, unless, R_MAJOR, 0, 0, rule->major_);
        if (r >= 0 && rule->minor_ != ANY)
                r = emit(program, unless, R_MINOR, 0, 0, rule->minor_);
        if (r >= 0)
                r = emit_return(program, 1);
        for (size_t i = begin; r >= 0 && i < program->n; i++)
                if (program->items[i].code == unless)
                        program->items[i].off = (int16_t)(program->n - i - 1);
        return r;
}

/* ---- DeviceAllow= ---- */

/* Lines "MAJOR NAME" of /proc/devices below the heading of the class. */
static int emit_class(Program *program, Rule rule, const char *pattern)
{
        const char *heading =
                rule.type == BPF_DEVCG_DEV_CHAR ? "Character devices:" : "Block devices:";
        _cleanup_(freep) char *text = NULL;
        int here = 0, found = 0;
        int r = read_file_at(AT_FDCWD, "/proc/devices", 1 << 16, &text, NULL);

        for (char *save = NULL, *line = r < 0 ? NULL : strtok_r(text, "\n", &save); line && r >= 0;
             line = strtok_r(NULL, "\n", &save)) {
                uint64_t number;
                const char *name;

                if (strchr(line, ':')) {
                        here = streq(line, heading);
                } else if (here && parse_u64(line + strspn(line, " "), &number, &name) >= 0 &&
                           *name == ' ' && fnmatch(pattern, name + 1, 0) == 0) {
                        rule.major_ = (int)number;
                        found++;
                        r = emit_rule(program, &rule);
                }
        }
        if (r >= 0 && found == 0)
                log_debug("%s: DeviceAllow: no devices '%s' in /proc/devices; left out",
                          program->unit, pattern);
        return r;
}

/* "char-*", "char-136", "block-sd*" */
static int emit_pattern(Program *program, Rule rule, const char *pattern)
{
        uint64_t number;

        if (streq(pattern, "*"))
                return emit_rule(program, &rule);
        if (parse_u64(pattern, &number, NULL) < 0 || number > INT32_MAX)
                return emit_class(program, rule, pattern);
        rule.major_ = (int)number;
        return emit_rule(program, &rule);
}

/* "/dev/char/5:1" says all by itself; else the node is looked at. */
static int emit_node(Program *program, Rule rule, const char *path)
{
        static const char *const classes[] = {
                [BPF_DEVCG_DEV_BLOCK] = "/dev/block/", [BPF_DEVCG_DEV_CHAR] = "/dev/char/"
        };
        struct stat st;

        for (int type = BPF_DEVCG_DEV_BLOCK; type <= BPF_DEVCG_DEV_CHAR; type++) {
                const char *numbers = path + strlen(classes[type]);

                if (strncmp(path, classes[type], strlen(classes[type])) != 0 ||
                    sscanf(numbers, "%d:%d", &rule.major_, &rule.minor_) != 2)
                        continue;
                rule.type = type;
                return emit_rule(program, &rule);
        }
        if (stat(path, &st) < 0 || (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))) {
                log_debug("%s: DeviceAllow: %s is no device node; left out", program->unit, path);
                return 0;
        }
        rule.type = S_ISCHR(st.st_mode) ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK;
        rule.major_ = (int)major(st.st_rdev);
        rule.minor_ = (int)minor(st.st_rdev);
        return emit_rule(program, &rule);
}

static int emit_allowed(Program *program, const char *pattern, const char *what)
{
        Rule rule = { BPF_DEVCG_DEV_CHAR, 0, ANY, ANY };

        if (!*what)
                what = "rwm";
        rule.access = (strchr(what, 'r') ? BPF_DEVCG_ACC_READ : 0) |
                      (strchr(what, 'w') ? BPF_DEVCG_ACC_WRITE : 0) |
                      (strchr(what, 'm') ? BPF_DEVCG_ACC_MKNOD : 0);
        if (strncmp(pattern, "char-", strlen("char-")) == 0)
                return emit_pattern(program, rule, pattern + strlen("char-"));
        rule.type = BPF_DEVCG_DEV_BLOCK;
        if (strncmp(pattern, "block-", strlen("block-")) == 0)
                return emit_pattern(program, rule, pattern + strlen("block-"));
        return emit_node(program, rule, pattern);
}

static int emit_all(Program *program, const PropertySet *set)
{
        Cursor cursor = cursor_of(property_set_find(set, PROP_DEVICE_ALLOW));
        int strict = streq(property_get_text(set, PROP_DEVICE_POLICY), "strict");
        Rule terminals = { BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE, ANY, ANY };
        int r = emit_begin(program);

        for (size_t i = 0; r >= 0 && !strict && i < ELEMENTSOF(always); i++)
                r = emit_rule(program, &always[i]);
        if (r >= 0 && !strict)
                r = emit_class(program, terminals, "pts");
        while (r >= 0 && cursor_has(&cursor)) {
                const char *pattern = cursor_text(&cursor), *what = cursor_text(&cursor);

                r = emit_allowed(program, pattern, what);
        }
        return r < 0 ? r : emit_return(program, 0);
}

/* Everything is allowed: no program is needed. */
static int allows_all(const PropertySet *set)
{
        const PropertyValue *list = property_set_find(set, PROP_DEVICE_ALLOW);

        return streq(property_get_text(set, PROP_DEVICE_POLICY), "auto") &&
               (!list || list->size == 0);
}

static int load(const Program *program)
{
        union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                                .insn_cnt = (uint32_t)program->n,
                                .insns = (uint64_t)(uintptr_t)program->items,
                                .license = (uint64_t)(uintptr_t) "LGPL-2.1-or-later",
                                .prog_name = PROGRAM_NAME };

        return bpf_call(BPF_PROG_LOAD, &attr, sizeof(attr));
}

/* ---- what is attached ---- */

/* fd of our own program at the group, or -ENOENT; and how many others there are. */
static int find_ours(int group_fd, unsigned *ret_others)
{
        uint32_t ids[PROGRAMS_MAX] = { 0 };
        union bpf_attr query = { .query.target_fd = (uint32_t)group_fd,
                                 .query.attach_type = BPF_CGROUP_DEVICE,
                                 .query.prog_ids = (uint64_t)(uintptr_t)ids,
                                 .query.prog_cnt = PROGRAMS_MAX };
        int ours = -ENOENT, r = bpf_call(BPF_PROG_QUERY, &query, sizeof(query));

        *ret_others = 0;
        for (uint32_t i = 0; r >= 0 && i < query.query.prog_cnt; i++) {
                union bpf_attr get = { .prog_id = ids[i] };
                struct bpf_prog_info info = { 0 };
                int fd = bpf_call(BPF_PROG_GET_FD_BY_ID, &get, sizeof(get));
                union bpf_attr ask = { .info.bpf_fd = (uint32_t)fd,
                                       .info.info_len = sizeof(info),
                                       .info.info = (uint64_t)(uintptr_t)&info };

                if (fd >= 0 && ours < 0 &&
                    bpf_call(BPF_OBJ_GET_INFO_BY_FD, &ask, sizeof(ask)) >= 0 &&
                    strncmp(info.name, PROGRAM_NAME, sizeof(info.name)) == 0) {
                        ours = fd;
                        continue;
                }
                (*ret_others)++;
                (void)safe_close(fd);
        }
        return r < 0 ? r : ours;
}

static int attach(int group_fd, int program, int old)
{
        union bpf_attr attr = { .target_fd = (uint32_t)group_fd,
                                .attach_bpf_fd = (uint32_t)program,
                                .attach_type = BPF_CGROUP_DEVICE,
                                .attach_flags = BPF_F_ALLOW_MULTI };

        if (old >= 0) {
                attr.attach_flags |= BPF_F_REPLACE;
                attr.replace_bpf_fd = (uint32_t)old;
        }
        return bpf_call(BPF_PROG_ATTACH, &attr, sizeof(attr));
}

static int detach(int group_fd, int program)
{
        union bpf_attr attr = { .target_fd = (uint32_t)group_fd,
                                .attach_bpf_fd = (uint32_t)program,
                                .attach_type = BPF_CGROUP_DEVICE };

        return bpf_call(BPF_PROG_DETACH, &attr, sizeof(attr));
}

static int replace(const PropertySet *set, int group_fd, int old, const char *unit)
{
        Program program = { .unit = unit };
        _cleanup_(closep) int fd = -EBADF;
        int r = emit_all(&program, set);

        if (r >= 0)
                r = fd = load(&program);
        free(program.items);
        return r < 0 ? r : attach(group_fd, fd, old);
}

/* Device programs that BPFProgram attached: they are no sign of a runtime that does it by itself. */
static unsigned count_pinned(const PropertySet *set)
{
        Cursor cursor = cursor_of(property_set_find(set, PROP_BPF_PROGRAM));
        unsigned n = 0;

        while (cursor_has(&cursor)) {
                n += bpf_attach_type(cursor_text(&cursor)) == BPF_CGROUP_DEVICE;
                (void)cursor_text(&cursor);
        }
        return n;
}

int property_attach_devices(const PropertySet *set, const PropertySet *changes, int group_fd,
                            const char *unit)
{
        static atomic_int told;
        _cleanup_(closep) int ours = -EBADF;
        unsigned others;
        int r;

        if (changes && !property_is_set(changes, PROP_DEVICE_POLICY) &&
            !property_is_set(changes, PROP_DEVICE_ALLOW))
                return 0;
        /* also at the start: the directory may be one that a dead scope of this name left behind */
        ours = find_ours(group_fd, &others);
        if (ours < 0 && changes && others > count_pinned(set))
                return 0; /* a runtime put its own in place of ours: it knows what it wants */
        if (!allows_all(set))
                r = replace(set, group_fd, ours, unit);
        else
                r = ours >= 0 ? detach(group_fd, ours) : 0;
        if (r < 0 && r != -ENOMEM && !atomic_exchange(&told, 1))
                log_warning("%s: DevicePolicy: the kernel takes no device program: %s; access to "
                            "devices stays as it is (needs CONFIG_CGROUP_BPF and CAP_BPF; told "
                            "once)",
                            unit, strerror(-r));
        return 0;
}

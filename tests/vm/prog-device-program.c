/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Device programs of BPF at groups, as container runtimes have them.
 *
 *     prog-device-program pin NAME PATH       one that forbids /dev/random alone, pinned
 *     prog-device-program list GROUP          names of those at a group's directory, one a line
 *     prog-device-program replace NAME GROUP  takes away all that is there, and attaches its own
 */

#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "util.h"

enum { PROGRAMS_MAX = 64 };

static int bpf(int command, union bpf_attr *attr)
{
        int r = (int)syscall(SYS_bpf, command, attr, sizeof(*attr));

        if (r < 0) {
                (void)fprintf(stderr, "bpf command %d: %s\n", command, strerror(errno));
                exit(1);
        }
        return r;
}

/* r0 = !(major == 1 && minor == 8) */
static int load(const char *name)
{
        const int16_t major_ = offsetof(struct bpf_cgroup_dev_ctx, major);
        const int16_t minor_ = offsetof(struct bpf_cgroup_dev_ctx, minor);
        const struct bpf_insn insns[] = {
                { BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, major_, 0 },
                { BPF_LDX | BPF_MEM | BPF_W, BPF_REG_3, BPF_REG_1, minor_, 0 },
                { BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1 },
                { BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 2, 1 },
                { BPF_JMP | BPF_JNE | BPF_K, BPF_REG_3, 0, 1, 8 },
                { BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0 },
                { BPF_JMP | BPF_EXIT, 0, 0, 0, 0 },
        };
        union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                                .insns = (uint64_t)(uintptr_t)insns,
                                .insn_cnt = ELEMENTSOF(insns),
                                .license = (uint64_t)(uintptr_t) "LGPL-2.1-or-later" };

        (void)snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
        return bpf(BPF_PROG_LOAD, &attr);
}

static int open_group(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
                perror(path);
                exit(1);
        }
        return fd;
}

static uint32_t query(int group, uint32_t ids[static PROGRAMS_MAX])
{
        union bpf_attr attr = { .query.target_fd = (uint32_t)group,
                                .query.attach_type = BPF_CGROUP_DEVICE,
                                .query.prog_ids = (uint64_t)(uintptr_t)ids,
                                .query.prog_cnt = PROGRAMS_MAX };

        (void)bpf(BPF_PROG_QUERY, &attr);
        return attr.query.prog_cnt;
}

static int open_program(uint32_t id)
{
        union bpf_attr attr = { .prog_id = id };

        return bpf(BPF_PROG_GET_FD_BY_ID, &attr);
}

static void list(int group)
{
        uint32_t ids[PROGRAMS_MAX], n = query(group, ids);

        for (uint32_t i = 0; i < n; i++) {
                struct bpf_prog_info info = { 0 };
                union bpf_attr attr = { .info.bpf_fd = (uint32_t)open_program(ids[i]),
                                        .info.info_len = sizeof(info),
                                        .info.info = (uint64_t)(uintptr_t)&info };

                (void)bpf(BPF_OBJ_GET_INFO_BY_FD, &attr);
                (void)printf("%s\n", info.name);
        }
}

static void replace(int group, int program)
{
        uint32_t ids[PROGRAMS_MAX], n = query(group, ids);
        union bpf_attr attach = { .target_fd = (uint32_t)group,
                                  .attach_bpf_fd = (uint32_t)program,
                                  .attach_type = BPF_CGROUP_DEVICE,
                                  .attach_flags = BPF_F_ALLOW_MULTI };

        (void)bpf(BPF_PROG_ATTACH, &attach);
        for (uint32_t i = 0; i < n; i++) {
                union bpf_attr detach = { .target_fd = (uint32_t)group,
                                          .attach_bpf_fd = (uint32_t)open_program(ids[i]),
                                          .attach_type = BPF_CGROUP_DEVICE };

                (void)bpf(BPF_PROG_DETACH, &detach);
        }
}

int main(int argc, char **argv)
{
        if (argc == 4 && streq(argv[1], "pin")) {
                union bpf_attr attr = { .pathname = (uint64_t)(uintptr_t)argv[3],
                                        .bpf_fd = (uint32_t)load(argv[2]) };

                (void)bpf(BPF_OBJ_PIN, &attr);
        } else if (argc == 3 && streq(argv[1], "list")) {
                list(open_group(argv[2]));
        } else if (argc == 4 && streq(argv[1], "replace")) {
                replace(open_group(argv[3]), load(argv[2]));
        } else {
                (void)fprintf(stderr, "usage: prog-device-program pin NAME PATH | list GROUP | "
                                      "replace NAME GROUP\n");
                return 2;
        }
        return 0;
}

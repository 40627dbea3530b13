/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs of BPF at groups: a runtime's own, pinned ones, attached beside what is there. */

#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "log.h"
#include "property-row.h"
#include "util.h"

/* The original's names */
static const struct {
        const char *name;
        int type;
} attach_types[] = {
        { "ingress",     BPF_CGROUP_INET_INGRESS    },
        { "egress",      BPF_CGROUP_INET_EGRESS     },
        { "sock_create", BPF_CGROUP_INET_SOCK_CREATE },
        { "sock_ops",    BPF_CGROUP_SOCK_OPS        },
        { "device",      BPF_CGROUP_DEVICE          },
        { "bind4",       BPF_CGROUP_INET4_BIND      },
        { "bind6",       BPF_CGROUP_INET6_BIND      },
        { "connect4",    BPF_CGROUP_INET4_CONNECT   },
        { "connect6",    BPF_CGROUP_INET6_CONNECT   },
        { "post_bind4",  BPF_CGROUP_INET4_POST_BIND },
        { "post_bind6",  BPF_CGROUP_INET6_POST_BIND },
        { "sendmsg4",    BPF_CGROUP_UDP4_SENDMSG    },
        { "sendmsg6",    BPF_CGROUP_UDP6_SENDMSG    },
        { "sysctl",      BPF_CGROUP_SYSCTL          },
        { "recvmsg4",    BPF_CGROUP_UDP4_RECVMSG    },
        { "recvmsg6",    BPF_CGROUP_UDP6_RECVMSG    },
        { "getsockopt",  BPF_CGROUP_GETSOCKOPT      },
        { "setsockopt",  BPF_CGROUP_SETSOCKOPT      },
};

int bpf_attach_type(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(attach_types); i++)
                if (streq(attach_types[i].name, name))
                        return attach_types[i].type;
        return -EINVAL;
}

int bpf_call(unsigned command, union bpf_attr *attr, size_t size)
{
        int r = (int)syscall(SYS_bpf, command, attr, size);

        return r < 0 ? -errno : r;
}

static int attach_pinned(const char *type, const char *path, int group_fd, const char *unit)
{
        union bpf_attr get = { .pathname = (uint64_t)(uintptr_t)path };
        _cleanup_(closep) int program = bpf_call(BPF_OBJ_GET, &get, sizeof(get));
        union bpf_attr attach = { .target_fd = (uint32_t)group_fd,
                                  .attach_type = (uint32_t)bpf_attach_type(type),
                                  .attach_flags = BPF_F_ALLOW_MULTI };
        int r = program;

        if (r < 0) {
                log_error(
                        "%s: BPFProgram %s: cannot open it: %s; is it pinned in a bpf file system?",
                        unit, path, strerror(-r));
                return r;
        }
        attach.attach_bpf_fd = (uint32_t)program;
        r = bpf_call(BPF_PROG_ATTACH, &attach, sizeof(attach));
        if (r < 0)
                log_error("%s: BPFProgram %s: cannot attach it as %s: %s", unit, path, type,
                          strerror(-r));
        return r;
}

int property_attach_programs(const PropertySet *set, int group_fd, const char *unit)
{
        Cursor cursor = cursor_of(property_set_find(set, PROP_BPF_PROGRAM));
        int r = 0;

        while (cursor_has(&cursor)) {
                const char *type = cursor_text(&cursor), *path = cursor_text(&cursor);
                int q = attach_pinned(type, path, group_fd, unit);

                if (q < 0 && r >= 0)
                        r = q;
        }
        return r;
}

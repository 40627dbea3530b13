/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A cgroup hierarchy for unit tests, in a plain directory. */

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <cmocka.h>

#include <chargehand/attr.h>

#include "fake-cgroup.h"
#include "util.h"

struct FakeCgroup {
        char root[256];
};

#define PSI_SAMPLE                                                                                 \
        "some avg10=0.00 avg60=1.25 avg300=0.07 total=123456\nfull avg10=0.00 avg60=100.00 "       \
        "avg300=0.00 total=7\n"

/* As read from Linux 6.1 to 7.2. */
static const struct {
        const char *file;
        const char *text;
} samples[] = {
        { "cgroup.type", "domain\n" },
        { "cgroup.procs", "" },
        { "cgroup.threads", "" },
        { "cgroup.controllers", "\n" },
        { "cgroup.subtree_control", "\n" },
        { "cgroup.events", "populated 0\nfrozen 0\n" },
        { "cgroup.max.descendants", "max\n" },
        { "cgroup.max.depth", "max\n" },
        { "cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n" },
        { "cgroup.stat.local", "frozen_usec 0\n" },
        { "cgroup.freeze", "0\n" },
        { "cgroup.pressure", "1\n" },
        { "irq.pressure", "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n" },
        { "cpu.stat",
          "usage_usec 1017\nuser_usec 508\nsystem_usec 508\nnr_periods 0\nnr_throttled 0\n" },
        { "cpu.stat.local", "throttled_usec 0\n" },
        { "cpu.pressure", PSI_SAMPLE },
        { "cpu.weight", "100\n" },
        { "cpu.weight.nice", "0\n" },
        { "cpu.max", "max 100000\n" },
        { "cpu.max.burst", "0\n" },
        { "cpu.idle", "0\n" },
        { "cpu.uclamp.min", "0.00\n" },
        { "cpu.uclamp.max", "max\n" },
        { "cpuset.cpus", "\n" },
        { "cpuset.cpus.effective", "0-1\n" },
        { "cpuset.cpus.exclusive", "\n" },
        { "cpuset.cpus.exclusive.effective", "\n" },
        { "cpuset.cpus.isolated", "\n" },
        { "cpuset.cpus.partition", "member\n" },
        { "cpuset.mems", "\n" },
        { "cpuset.mems.effective", "0\n" },
        { "io.stat", "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n" },
        { "io.weight", "default 100\n" },
        { "io.max", "8:0 rbps=2097152 wbps=max riops=max wiops=120\n" },
        { "io.latency", "8:0 target=75000\n" },
        { "io.cost.qos", "8:0 enable=0 ctrl=auto rpct=0.00 rlat=250000 wpct=0.00 wlat=250000 "
                         "min=1.00 max=10000.00\n" },
        { "io.cost.model",
          "8:0 ctrl=auto model=linear rbps=174019176 rseqiops=41708 rrandiops=370\n" },
        { "io.prio.class", "no-change\n" },
        { "io.bfq.weight", "default 100\n8:0 300\n" },
        { "io.pressure", PSI_SAMPLE },
        { "memory.current", "1048576\n" },
        { "memory.min", "0\n" },
        { "memory.low", "0\n" },
        { "memory.high", "max\n" },
        { "memory.max", "max\n" },
        { "memory.peak", "2097152\n" },
        { "memory.oom.group", "0\n" },
        { "memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n" },
        { "memory.events.local", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n" },
        { "memory.stat", "anon 524288\nfile 0\nkernel 65536\nshmem 0\npgfault 900\n" },
        { "memory.numa_stat", "anon N0=524288\nfile N0=0 N1=4096\n" },
        { "memory.pressure", PSI_SAMPLE },
        { "memory.swap.current", "0\n" },
        { "memory.swap.high", "max\n" },
        { "memory.swap.max", "max\n" },
        { "memory.swap.peak", "0\n" },
        { "memory.swap.events", "high 0\nmax 0\nfail 0\n" },
        { "memory.zswap.current", "0\n" },
        { "memory.zswap.max", "max\n" },
        { "memory.zswap.writeback", "1\n" },
        { "pids.current", "0\n" },
        { "pids.peak", "0\n" },
        { "pids.max", "max\n" },
        { "pids.events", "max 0\n" },
        { "pids.events.local", "max 0\n" },
        { "hugetlb.2MB.current", "0\n" },
        { "hugetlb.2MB.max", "max\n" },
        { "hugetlb.2MB.rsvd.current", "0\n" },
        { "hugetlb.2MB.rsvd.max", "max\n" },
        { "hugetlb.2MB.events", "max 0\n" },
        { "hugetlb.2MB.events.local", "max 0\n" },
        { "hugetlb.2MB.numa_stat", "total=0 N0=0\n" },
        { "hugetlb.1GB.max", "1073741824\n" },
        { "rdma.max", "mlx4_0 hca_handle=2 hca_object=max\n" },
        { "rdma.current", "mlx4_0 hca_handle=1 hca_object=20\n" },
        { "rdma.peak", "mlx4_0 hca_handle=1 hca_object=20\n" },
        { "rdma.events", "mlx4_0 hca_handle.max=5 hca_handle.alloc_fail=3 hca_object.max=0 "
                         "hca_object.alloc_fail=0\n" },
        { "rdma.events.local", "mlx4_0 hca_handle.max=5 hca_handle.alloc_fail=0\n" },
        { "misc.capacity", "sev 509\nsev_es 0\n" },
        { "misc.current", "sev 0\nsev_es 0\n" },
        { "misc.peak", "sev 0\nsev_es 0\n" },
        { "misc.max", "sev max\nsev_es 4\n" },
        { "misc.events", "sev.max 0\nsev_es.max 0\n" },
        { "misc.events.local", "sev.max 0\nsev_es.max 0\n" },
        { "dmem.capacity", "drm/0000:03:00.0/vram0 8514437120\n" },
        { "dmem.current", "drm/0000:03:00.0/vram0 12550144\n" },
        { "dmem.min", "drm/0000:03:00.0/vram0 0\n" },
        { "dmem.low", "drm/0000:03:00.0/vram0 0\n" },
        { "dmem.max", "drm/0000:03:00.0/vram0 max\n" },
};

const char *fake_sample(const char *file)
{
        for (size_t i = 0; i < ELEMENTSOF(samples); i++)
                if (streq(samples[i].file, file))
                        return samples[i].text;
        return NULL;
}

static void make_path(const FakeCgroup *fake, const char *path, const char *file, char *buffer,
                      size_t size)
{
        int n = snprintf(buffer, size, "%s%s%s%s", fake->root, streq(path, "/") ? "" : path,
                         file ? "/" : "", file ? file : "");

        assert_in_range(n, 1, size - 1);
}

void fake_set(FakeCgroup *fake, const char *path, const char *file, const char *text)
{
        char full[4600];
        FILE *out;

        make_path(fake, path, file, full, sizeof(full));
        if (!text) {
                (void)unlink(full);
                return;
        }
        out = fopen(full, "we");
        assert_non_null(out);
        fputs(text, out);
        assert_int_equal(fclose(out), 0);
}

void fake_put_memory(FakeCgroup *fake, const char *path, const char *max, uint64_t current)
{
        char text[32];

        if (!fake_exists(fake, path))
                fake_add(fake, path, "memory");
        fake_set(fake, path, "memory.max", max);
        (void)snprintf(text, sizeof(text), "%llu\n", (unsigned long long)current);
        fake_set(fake, path, "memory.current", text);
}

char *fake_get(FakeCgroup *fake, const char *path, const char *file)
{
        char full[4600];
        char *text = NULL;

        make_path(fake, path, file, full, sizeof(full));
        return read_file_at(AT_FDCWD, full, 1 << 20, &text, NULL) < 0 ? NULL : text;
}

int fake_exists(FakeCgroup *fake, const char *path)
{
        char full[4600];

        make_path(fake, path, NULL, full, sizeof(full));
        return access(full, F_OK) == 0;
}

/* "memory" of "memory.max"; pressure files are the core's. */
static int belongs_to(const char *file, const char *controllers)
{
        size_t prefix = strcspn(file, ".");
        const ch_attr *attr = ch_attr_find(file);
        const char *p = controllers;

        if (attr && streq(attr->controller, "cgroup"))
                return 1;
        while ((p = strstr(p, attr ? attr->controller : "hugetlb"))) {
                if ((p == controllers || p[-1] == ' ') && (p[prefix] == ' ' || p[prefix] == '\0'))
                        return 1;
                p += prefix;
        }
        return 0;
}

static void add_files(FakeCgroup *fake, const char *path, const char *controllers)
{
        int is_root = streq(path, "/");

        for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
                const ch_attr *attr = ch_attr_find(samples[i].file);
                uint32_t flags = attr ? attr->flags : CH_ATTR_NOT_ROOT;

                if (flags & (is_root ? CH_ATTR_NOT_ROOT : CH_ATTR_ROOT_ONLY))
                        continue;
                if (belongs_to(samples[i].file, controllers))
                        fake_set(fake, path, samples[i].file, samples[i].text);
        }
        if (!is_root)
                fake_set(fake, path, "cgroup.kill", "");
        fake_set(fake, path, "cgroup.controllers", controllers);
}

void fake_add(FakeCgroup *fake, const char *path, const char *controllers)
{
        char full[4600];

        for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
                _cleanup_(freep) char *parent = strndup(path, (size_t)(p - path));

                if (!fake_exists(fake, parent))
                        fake_add(fake, parent, controllers);
        }
        make_path(fake, path, NULL, full, sizeof(full));
        assert_int_equal(mkdir(full, 0755), 0);
        add_files(fake, path, controllers);
}

FakeCgroup *fake_new(const char *controllers)
{
        const char *directory = getenv("TMPDIR");
        FakeCgroup *fake = calloc(1, sizeof(*fake));

        assert_non_null(fake);
        snprintf(fake->root, sizeof(fake->root), "%s/fake-cgroup-XXXXXX",
                 directory ? directory : "/tmp");
        assert_non_null(mkdtemp(fake->root));
        add_files(fake, "/", controllers);
        fake_set(fake, "/", "cgroup.subtree_control", controllers);
        return fake;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

FakeCgroup *fake_free(FakeCgroup *fake)
{
        if (!fake)
                return NULL;
        (void)nftw(fake->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        free(fake);
        return NULL;
}

const char *fake_root(const FakeCgroup *fake)
{
        return fake->root;
}

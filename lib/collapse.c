/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Collapses, splits and drops pages of other processes by process_madvise(). */

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "collapse.h"
#include "util.h"

/* newer than bookworm's libc headers (kernel 6.1) */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum {
        IOV_BATCH = 64,
};

static ssize_t process_madvise_iov(int pidfd, const struct iovec *iov, size_t n, int advice)
{
        long r = syscall(SYS_process_madvise, pidfd, iov, n, advice, 0);

        return r < 0 ? -errno : r;
}

int sys_process_madvise(int pidfd, uint64_t start, uint64_t bytes, int advice)
{
        struct iovec iov = { .iov_base = (void *)(uintptr_t)start, .iov_len = bytes };
        ssize_t r = process_madvise_iov(pidfd, &iov, 1, advice);

        return r < 0 ? (int)r : 0;
}

/* Pages of [p, p + bytes) that are resident and no mapping of the zero page. */
static uint64_t count_anon_kib(const void *p)
{
        _cleanup_(freep) char *text = NULL;
        char header[64];
        const char *at;

        if (read_file_at(AT_FDCWD, "/proc/self/smaps", 16 << 20, &text, NULL) < 0)
                return UINT64_MAX;
        (void)snprintf(header, sizeof(header), "%lx-", (unsigned long)(uintptr_t)p);
        at = strstr(text, header);
        at = at ? strstr(at, "\nRss:") : NULL;
        return at ? strtoull(at + strlen("\nRss:"), NULL, 10) : UINT64_MAX;
}

/* Is a block given back its holes when it is split again? Is one collapsed that may not be written
 * to? */
static void try_block(char *block, uint64_t huge_bytes, uint64_t page_bytes, CollapseTraits *ret)
{
        (void)madvise(block, huge_bytes, MADV_NOHUGEPAGE);
        block[0] = 1;
        (void)madvise(block, huge_bytes, MADV_HUGEPAGE);
        if (madvise(block, huge_bytes, MADV_COLLAPSE) < 0)
                return;
        (void)madvise(block + page_bytes, page_bytes, MADV_COLD);
        ret->gives_back = count_anon_kib(block) < huge_bytes / 2 / 1024;
        if (mprotect(block, huge_bytes, PROT_READ) < 0)
                return;
        ret->read_only = madvise(block, huge_bytes, MADV_COLLAPSE) == 0;
}

void collapse_find_traits(int pidfd, uint64_t huge_bytes, uint64_t page_bytes, CollapseTraits *ret)
{
        CollapseTraits traits = { 0 };
        uintptr_t start;
        char *area;

        /* no ranges at all: the kernel still checks the advice and our rights */
        traits.available = process_madvise_iov(pidfd, NULL, 0, MADV_COLLAPSE) >= 0;
        area = mmap(NULL, 3 * huge_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);
        if (traits.available && area != MAP_FAILED && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 0) {
                start = ((uintptr_t)area + huge_bytes) & ~(uintptr_t)(huge_bytes - 1);
                /* a mapping of its own between two that are out of bounds, so that smaps tells it
                 * apart */
                if (mprotect((void *)start, huge_bytes, PROT_READ | PROT_WRITE) == 0)
                        try_block((void *)start, huge_bytes, page_bytes, &traits);
        }
        if (area != MAP_FAILED)
                (void)munmap(area, 3 * huge_bytes);
        *ret = traits;
}

int collapse_split(int pidfd, const Charges *c, const Block *block)
{
        /* advice on a part of a huge page splits it first; cold is the one that does nothing else
         * worth mentioning */
        return sys_process_madvise(pidfd, block->start + c->page_bytes, c->page_bytes, MADV_COLD);
}

static size_t fill_iov(const Charges *c, Block *const *blocks, size_t n, struct iovec *iov,
                       size_t *ret_iov)
{
        size_t n_iov = 0, i;

        for (i = 0; i < n; i++) {
                uint64_t start = blocks[i]->start;
                struct iovec *last = n_iov ? &iov[n_iov - 1] : NULL;

                if (last && (uintptr_t)last->iov_base + last->iov_len == start) {
                        last->iov_len += c->huge_bytes;
                        continue;
                }
                if (n_iov == IOV_BATCH)
                        break;
                iov[n_iov++] = (struct iovec){ .iov_base = (void *)(uintptr_t)start,
                                               .iov_len = c->huge_bytes };
        }
        *ret_iov = n_iov;
        return i;
}

/* The kernel stops at the first range that fails and says how many bytes came before it. That range
 * is tried once more: only then its errno is told. */
static int collapse_ranges(int pidfd, const struct iovec *iov, size_t n)
{
        int result = 0;

        for (size_t i = 0; i < n;) {
                ssize_t done = process_madvise_iov(pidfd, iov + i, n - i, MADV_COLLAPSE);

                if (done == -ESRCH || done == -EPERM || done == -EBUSY)
                        return (int)done;
                if (done == -ENOMEM)
                        result = -ENOMEM;
                if (done > 0) {
                        while (i < n && done >= (ssize_t)iov[i].iov_len)
                                done -= (ssize_t)iov[i++].iov_len;
                        continue;
                }
                i++;
        }
        return result;
}

int collapse_blocks(int pidfd, const Charges *c, Block *const *blocks, size_t n)
{
        struct iovec iov[IOV_BATCH];
        int result = 0;

        for (size_t done = 0; done < n;) {
                size_t n_iov;
                int r;

                done += fill_iov(c, blocks + done, n - done, iov, &n_iov);
                r = collapse_ranges(pidfd, iov, n_iov);
                if (r < 0 && r != -ENOMEM)
                        return r;
                if (r < 0)
                        result = r;
        }
        return result;
}

int refault_drop(int pidfd, const Drop *drop)
{
        return sys_process_madvise(pidfd, drop->start, drop->end - drop->start, MADV_PAGEOUT);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recharges memory of other processes in place by process_madvise(). */

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "recharge.h"
#include "util.h"

/* kmod/patches/0002 */
#define MADV_RECHARGE 0x4348

enum {
        IOV_BATCH = 64,
};

int recharge_is_known(int pidfd)
{
        size_t size = (size_t)sysconf(_SC_PAGESIZE);
        char *page;
        int known;

        /* no ranges at all: the kernel still checks the advice and our rights */
        if (syscall(SYS_process_madvise, pidfd, NULL, 0, MADV_RECHARGE, 0) < 0)
                return 0;
        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
                return 0;
        page[0] = 1;
        known = madvise(page, size, MADV_RECHARGE) == 0;
        (void)munmap(page, size);
        return known;
}

static size_t fill_iov(const Charges *c, Block *const *blocks, size_t n, struct iovec *iov, size_t *ret_iov)
{
        size_t n_iov = 0, i;

        for (i = 0; i < n; i++) {
                uint64_t start = blocks[i]->start, bytes = block_end(c, blocks[i]) - start;
                struct iovec *last = n_iov ? &iov[n_iov - 1] : NULL;

                if (last && (uintptr_t)last->iov_base + last->iov_len == start) {
                        last->iov_len += bytes;
                        continue;
                }
                if (n_iov == IOV_BATCH)
                        break;
                iov[n_iov++] = (struct iovec) { .iov_base = (void *)(uintptr_t)start, .iov_len = bytes };
        }
        *ret_iov = n_iov;
        return i;
}

/* The kernel stops at the first range that fails and says how many bytes came before it. That range is tried once more: only then its errno is
 * told. One that was unmapped meanwhile, wholly or in part, is done. */
static int recharge_ranges(int pidfd, const struct iovec *iov, size_t n)
{
        for (size_t i = 0; i < n;) {
                long done = syscall(SYS_process_madvise, pidfd, iov + i, n - i, MADV_RECHARGE, 0);

                if (done < 0 && errno != ENOMEM)
                        return -errno;
                if (done <= 0)
                        i++;
                while (i < n && done >= (long)iov[i].iov_len)
                        done -= (long)iov[i++].iov_len;
        }
        return 0;
}

int recharge_blocks(int pidfd, const Charges *c, Block *const *blocks, size_t n)
{
        struct iovec iov[IOV_BATCH];
        int r = 0;

        for (size_t done = 0; done < n && r >= 0;) {
                size_t n_iov;

                done += fill_iov(c, blocks + done, n - done, iov, &n_iov);
                r = recharge_ranges(pidfd, iov, n_iov);
        }
        return r;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_FAKE_CGROUP_H
#define CH_TESTS_FAKE_CGROUP_H

/*
 * A cgroup hierarchy for unit tests: a plain directory under $TMPDIR with interface files that read
 * as the kernel's do. Nothing reacts to what is written; a test sets up what it needs. Failures end
 * the test (cmocka). Open it with ch_tree_open(fake_root(fake), CH_TREE_ANY_FS, …).
 */

#include <stdint.h>

typedef struct FakeCgroup FakeCgroup;

/* The root, with these controllers in cgroup.controllers and cgroup.subtree_control ("cpu memory
 * pids"). */
FakeCgroup *fake_new(const char *controllers);
/* Removes the whole directory. NULL is fine. */
FakeCgroup *fake_free(FakeCgroup *fake);
const char *fake_root(const FakeCgroup *fake);

/* A group with the files of the core and of these controllers ("" for none), and its parents' if
 * they are missing. */
void fake_add(FakeCgroup *fake, const char *path, const char *controllers);
/* The content of a file; NULL removes it. */
void fake_set(FakeCgroup *fake, const char *path, const char *file, const char *text);
/* A group with memory.max as given and so many bytes in use; made if it is not there. */
void fake_put_memory(FakeCgroup *fake, const char *path, const char *max, uint64_t current);
/* Content of a file, to be freed; NULL if there is none. */
char *fake_get(FakeCgroup *fake, const char *path, const char *file);
int fake_exists(FakeCgroup *fake, const char *path);

/* What the kernel writes into an interface file of a fresh group; NULL for files that cannot be
 * read, or are not known. */
const char *fake_sample(const char *file);

static inline void fake_freep(FakeCgroup **fake)
{
        fake_free(*fake);
}

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words of plans and moves: policies, backends, reasons, outcomes, steps, and advice per
 * reason. */

#include <chargehand/move.h>

#include "charges.h"
#include "util.h"

static const char *const policy_words[] = {
#define WORD(id, word, doc) [CH_POLICY_##id] = word,
        CH_POLICIES(WORD)
#undef WORD
};

static const char *const backend_words[] = {
#define WORD(id, word, doc) [CH_BACKEND_##id] = word,
        CH_BACKENDS(WORD)
#undef WORD
};

static const char *const reason_words[] = {
#define WORD(id, word, doc) [CH_REASON_##id] = word,
        CH_REASONS(WORD)
#undef WORD
};

static const char *const outcome_words[] = {
#define WORD(id, word, doc) [CH_OUTCOME_##id] = word,
        CH_OUTCOMES(WORD)
#undef WORD
};

static const char *const step_words[] = {
#define WORD(id, word, doc) [CH_STEP_##id] = word,
        CH_STEPS(WORD)
#undef WORD
};

/* What a person can do about bytes that stay; NULL where there is nothing to be done. */
static const char *const reason_advice[] = {
        [CH_REASON_SMALL] = "stock kernels move whole 2 MiB blocks only: load the kernel module (chargectl status)",
        [CH_REASON_SPARSE] =
                "allow more growth (--max-growth, MaxGrowth=), or let it fill up",
        [CH_REASON_FORBIDDEN] =
                "start the program without PR_SET_THP_DISABLE and MADV_NOHUGEPAGE (redis-server: "
                "--disable-thp no), or load the kernel module (chargectl status)",
        [CH_REASON_SHARED] = "move the processes that share it too; copies made by fork move once "
                             "they are written; with the kernel module --with-shared (with_shared) moves it as it is",
        [CH_REASON_FOREIGN_OWNER] = "move the owner of the address space too",
        [CH_REASON_SHMEM] = "it stays with the group that touched it first until it is freed; with the kernel module "
                            "--with-shared (with_shared) moves it",
        [CH_REASON_LOCKED] =
                "munlock it, then move again: huge pages that are mlocked cannot be split",
        [CH_REASON_SWAPPED] = "swap it in, then move again",
        [CH_REASON_DIRTY] = "sync, then move again",
        [CH_REASON_BACKEND] = "allow the backend, or see what this kernel lacks (chargectl probe)",
        [CH_REASON_LARGE] = "it goes when the kernel has split the large page, or the program has freed it",
        [CH_REASON_BUSY] = "move again",
        [CH_REASON_NO_ROOM] = "raise memory.max of the target or of its ancestors, then move again",
        [CH_REASON_FAILED] = "move again: free huge pages may be scarce, or the pages were in use",
        [CH_REASON_NOT_REACHED] = "move again",
};

static const char *word_at(const char *const *words, size_t n, size_t i)
{
        return i < n && words[i] ? words[i] : "?";
}

static int word_find(const char *const *words, size_t n, const char *word)
{
        for (size_t i = 0; i < n; i++)
                if (words[i] && streq(words[i], word))
                        return (int)i;
        return -EINVAL;
}

_public_ const char *ch_policy_to_string(ch_policy policy)
{
        return word_at(policy_words, ELEMENTSOF(policy_words), policy);
}

_public_ int ch_policy_from_string(const char *word, ch_policy *ret)
{
        int r = word_find(policy_words, ELEMENTSOF(policy_words), word);

        if (r < 0)
                return r;
        *ret = (ch_policy)r;
        return 0;
}

_public_ const char *ch_backend_to_string(ch_backend backend)
{
        return word_at(backend_words, ELEMENTSOF(backend_words), backend);
}

_public_ int ch_backend_from_string(const char *word, ch_backend *ret)
{
        int r = word_find(backend_words, ELEMENTSOF(backend_words), word);

        if (r < 0)
                return r;
        *ret = (ch_backend)r;
        return 0;
}

_public_ const char *ch_reason_to_string(ch_reason reason)
{
        return word_at(reason_words, ELEMENTSOF(reason_words), reason);
}

_public_ const char *ch_outcome_to_string(ch_outcome outcome)
{
        return word_at(outcome_words, ELEMENTSOF(outcome_words), outcome);
}

_public_ const char *ch_step_to_string(ch_step step)
{
        return word_at(step_words, ELEMENTSOF(step_words), step);
}

int step_from_string(const char *word, ch_step *ret)
{
        int r = word_find(step_words, ELEMENTSOF(step_words), word);

        if (r < 0)
                return r;
        *ret = (ch_step)r;
        return 0;
}

const char *reason_get_advice(ch_reason reason)
{
        return reason < ELEMENTSOF(reason_advice) ? reason_advice[reason] : NULL;
}

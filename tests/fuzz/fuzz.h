/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_TESTS_FUZZ_H
#define CH_TESTS_FUZZ_H

/*
 * One fuzzer is one file fuzz-NAME.c with this function: with -Dfuzz=true it is linked to libFuzzer (./dev fuzz), else to
 * replay.c, which runs it once over its corpus as a unit test. It aborts on what must not be.
 */

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

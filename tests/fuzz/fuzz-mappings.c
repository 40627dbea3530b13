/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* maps and smaps, mountinfo and stat of processes whose names and paths anybody may choose. */

#include <stdlib.h>

#include "fuzz.h"
#include "mappings.h"
#include "procstat.h"
#include "util.h"

static void check(const Mapping *mappings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (mappings[i].end <= mappings[i].start || !memchr(mappings[i].name, '\0', sizeof(mappings[i].name)))
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *text = malloc(size + 1);
        MappingParser parser = {};
        Mapping *mappings;
        ProcStat stat;
        size_t n;

        if (!text)
                return 0;
        memcpy(text, data, size);
        text[size] = '\0';
        (void)mappings_parse_mounts(&parser, text, size);
        if (mappings_parse(&parser, text, size, &mappings, &n) >= 0) {
                check(mappings, n);
                free(mappings);
        }
        if (procstat_parse(text, size, &stat) >= 0 && !memchr(stat.comm, '\0', sizeof(stat.comm)))
                abort();
        mapping_parser_done(&parser);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CH_MAPPINGS_H
#define CH_MAPPINGS_H

/* The parsing behind mappings_read(), which is declared in pages.h; pure, so that tests feed it
 * text. */

#include <stddef.h>

#include "pages.h"

typedef struct MappingDevice {
        uint32_t major, minor;
} MappingDevice;

typedef struct MappingParser MappingParser;
struct MappingParser {
        MappingDevice *tmpfs;   /* devices of mounted tmpfs */
        size_t n_tmpfs;
        int (*load)(MappingParser *parser); /* fills `tmpfs` once a mapping needs it; may be NULL */
        pid_t pid;              /* for load */
};

/* Take the tmpfs devices from the text of mountinfo. */
int mappings_parse_mounts(MappingParser *parser, const char *text, size_t size);
/* Text of maps or smaps. `text` is NUL-terminated. -EINVAL malformed. */
int mappings_parse(MappingParser *parser, const char *text, size_t size, Mapping **ret,
                   size_t *ret_n);
void mapping_parser_done(MappingParser *parser);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The module's BTF reader over any bytes: it is asked for whatever names the bytes have.
 *
 * The seed is what `clang -target bpf -g -O1` makes of a page of C with every kind of type in it.
 */

#include <stdlib.h>

#include "btf-blob.h"
#include "fuzz.h"

enum { ASKED_TYPES = 64 };

static const struct btf_type *type_at(const struct chargehand_blob *blob, uint32_t id)
{
        return (const void *)(blob->types + blob->offsets[id]);
}

static const char *string_at(const struct chargehand_blob *blob, uint32_t offset)
{
        return offset < blob->strings_size ? blob->strings + offset : "";
}

static void ask(const struct chargehand_blob *blob, uint32_t id)
{
        const struct btf_type *type = type_at(blob, id);
        const char *name = string_at(blob, type->name_off), *element;
        char text[CHARGEHAND_BTF_TEXT];
        uint32_t offset, size;
        __s64 value;

        if (chargehand_blob_prototype(blob, name, text) == 0 && (!*text || text[strlen(text) - 1] != ')'))
                abort();
        /* the first word behind the record is the name of its first element, where there is one */
        if (blob->offsets[id] + sizeof(*type) + sizeof(uint32_t) > blob->types_size)
                return;
        element = string_at(blob, *(const uint32_t *)(type + 1));
        if (chargehand_blob_member(blob, name, element, &offset, &size) == 0 && !*element)
                abort();
        (void)chargehand_blob_enum(blob, name, element, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct chargehand_blob blob;
        uint32_t *offsets, *hashes;

        /* malloc() has given both linkers of this file memory that is aligned */
        if (chargehand_blob_open(&blob, data, size) < 0)
                return 0;
        offsets = calloc(blob.n_types, sizeof(*offsets));
        hashes = calloc(blob.n_types, sizeof(*hashes));
        if (offsets && hashes) {
                chargehand_blob_index(&blob, offsets, hashes);
                for (uint32_t id = 1; id < blob.n_types && id <= ASKED_TYPES; id++)
                        ask(&blob, id);
        }
        free(offsets);
        free(hashes);
        return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Build tool: copies org.chargehand1.Group.xml.in to stdout with a <property> for each row of the
 * attribute table. */

#include <stdio.h>

#include <chargehand/attr.h>

#include "util.h"

static const char *unit_word(const ch_attr *attr)
{
        static const char *const words[] = {
                [CH_UNIT_BYTES] = "bytes",
                [CH_UNIT_PAGES] = "pages",
                [CH_UNIT_USEC] = "µs",
                [CH_UNIT_WEIGHT] = "weight",
                [CH_UNIT_PERMYRIAD] = "1/10,000",
        };

        return (unsigned)attr->unit < ELEMENTSOF(words) ? words[attr->unit] : NULL;
}

static void print_escaped(const char *text)
{
        /* "--" must not be in a comment */
        for (; *text; text++)
                fputs(*text == '<'                     ? "&lt;"
                      : *text == '&'                   ? "&amp;"
                      : *text == '-' && text[1] == '-' ? "- "
                                                       : (char[]){ *text, '\0' },
                      stdout);
}

static void print_row(const ch_attr *attr)
{
        int writable = attr->access != CH_ACCESS_R && !(attr->flags & CH_ATTR_PLACEMENT);
        const char *unit = unit_word(attr);

        if (attr->access == CH_ACCESS_W && !writable)
                return;
        printf("    <!-- ");
        print_escaped(attr->doc);
        printf(". File %s, kernel %s%s%s%s -->\n", attr->file, attr->since, unit ? ", in " : "",
               unit ? unit : "", attr->access == CH_ACCESS_W ? ", write only" : "");
        printf("    <property name=\"%s\" type=\"%s\" access=\"%s\">\n", attr->name,
               ch_attr_type_signature(attr->type), writable ? "readwrite" : "read");
        if (!streq(attr->id, "CGROUP_EVENTS") && !streq(attr->id, "MEMORY_EVENTS"))
                printf("      <annotation "
                       "name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" "
                       "value=\"false\"/>\n");
        printf("    </property>\n");
}

int main(int argc, char **argv)
{
        FILE *template = argc == 2 ? fopen(argv[1], "re") : NULL;
        char line[1024];

        if (!template) {
                fprintf(stderr, "usage: xml-attributes TEMPLATE\n");
                return EXIT_FAILURE;
        }
        while (fgets(line, sizeof(line), template)) {
                if (strncmp(line, "@ATTRIBUTES@", 12) != 0) {
                        fputs(line, stdout);
                        continue;
                }
                for (size_t i = 0; i < ch_attr_count(); i++)
                        print_row(ch_attr_get(i));
        }
        fclose(template);
        return EXIT_SUCCESS;
}

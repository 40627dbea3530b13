/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads the a{sv} options of calls by tables. */

#include <fcntl.h>
#include <stdio.h>

#include "error.h"
#include "options-bus.h"
#include "util.h"
#include "value-bus.h"

#define NUMBERS_MAX 65536
#define PAIRS_MAX   4096

static int read_whole(sd_bus_message *message, const char *signature, uint64_t max, uint64_t *ret)
{
        int is_negative, r = value_bus_read_whole(message, signature, ret, &is_negative);

        return r >= 0 && (is_negative || *ret > max) ? -ERANGE : r;
}

/* Elements of au or ah. An fd of a message lives as long as the message: it is duplicated. */
static int read_numbers(sd_bus_message *message, char type, Numbers *numbers)
{
        char contents[2] = { type, '\0' };
        uint32_t number;
        int r;

        r = sd_bus_message_enter_container(message, 'a', contents);
        while (r >= 0 && (r = sd_bus_message_read_basic(message, type, &number)) > 0) {
                if (numbers->n >= NUMBERS_MAX)
                        return -E2BIG;
                if (array_reserve(&numbers->items, &numbers->allocated, numbers->n + 1,
                                  sizeof(uint32_t)) < 0)
                        return -ENOMEM;
                if (type == 'h') {
                        int fd = fcntl((int)number, F_DUPFD_CLOEXEC, 3);

                        if (fd < 0)
                                return -errno;
                        number = (uint32_t)fd;
                }
                numbers->items[numbers->n++] = number;
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

static int read_text(sd_bus_message *message, char **ret)
{
        const char *text;
        int r;

        r = sd_bus_message_read(message, "s", &text);
        if (r < 0)
                return r;
        free(*ret);
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

/* Duplicated as in read_numbers(); a later one of the same name replaces it. */
static int read_fd(sd_bus_message *message, int *ret)
{
        int fd, r;

        r = sd_bus_message_read(message, "h", &fd);
        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return -errno;
        (void)safe_close(*ret);
        *ret = fd;
        return 0;
}

static int read_words(sd_bus_message *message, char ***ret)
{
        char **words = NULL;
        int r;

        r = sd_bus_message_read_strv(message, &words);
        if (r < 0)
                return r;
        for (char **word = *ret; word && *word; word++)
                free(*word);
        free(*ret);
        *ret = words;
        return 0;
}

/* Of a{su}, as a person would write it. */
static int read_pairs(sd_bus_message *message, char **ret)
{
        char *text = strdup("");
        const char *key;
        uint32_t number;
        int r;

        r = text ? sd_bus_message_enter_container(message, 'a', "{su}") : -ENOMEM;
        while (r >= 0 && (r = sd_bus_message_read(message, "{su}", &key, &number)) > 0) {
                char *longer;

                if (strlen(text) > PAIRS_MAX) {
                        r = -E2BIG;
                        break;
                }
                if (asprintf(&longer, "%s%s%s:%u", text, *text ? " " : "", key, number) < 0) {
                        r = -ENOMEM;
                        break;
                }
                free(text);
                text = longer;
        }
        if (r < 0) {
                free(text);
                return r;
        }
        free(*ret);
        *ret = text;
        return sd_bus_message_exit_container(message);
}

static int read_one(sd_bus_message *message, const OptionRow *row, const char *signature,
                    void *options)
{
        void *member = (char *)options + row->offset;
        uint64_t number;
        int r;

        if (streq(row->type, "u") || streq(row->type, "t")) {
                r = read_whole(message, signature, *row->type == 'u' ? UINT32_MAX : UINT64_MAX,
                               &number);
                if (r >= 0 && *row->type == 'u')
                        *(uint32_t *)member = (uint32_t)number;
                else if (r >= 0)
                        *(uint64_t *)member = number;
                return r;
        }
        if (!streq(signature, row->type))
                return -EINVAL;
        switch (*row->type) {
        case 'b':
                return sd_bus_message_read(message, "b", (int *)member);
        case 's':
                return read_text(message, member);
        case 'h':
                return read_fd(message, member);
        default:
                if (row->type[1] == '{')
                        return read_pairs(message, member);
                return row->type[1] == 's' ? read_words(message, member)
                                           : read_numbers(message, row->type[1], member);
        }
}

static int read_entry(sd_bus_message *message, const OptionRow *rows, size_t n_rows, void *options,
                      ch_error **err)
{
        const OptionRow *row = NULL;
        const char *name, *signature;
        char type;
        int r;

        r = sd_bus_message_read(message, "s", &name);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n_rows && !row; i++)
                row = streq(rows[i].name, name) ? &rows[i] : NULL;
        if (!row)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, name, "no option of that name");
        r = sd_bus_message_peek_type(message, &type, &signature);
        if (r >= 0)
                r = sd_bus_message_enter_container(message, 'v', signature);
        if (r < 0)
                return r;
        r = read_one(message, row, signature, options);
        if (r == -EINVAL)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, name,
                                 "takes D-Bus type '%s', not '%s'", row->type, signature);
        if (r == -ERANGE || r == -E2BIG)
                return error_set(err, CH_ERROR_BAD_VALUE, -r, name, "out of range");
        if (r >= 0 && row->given)
                *(int *)((char *)options + row->given) = 1;
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

int options_read(sd_bus_message *message, const OptionRow *rows, size_t n_rows, void *options,
                 ch_error **err)
{
        int r;

        r = sd_bus_message_enter_container(message, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
                r = read_entry(message, rows, n_rows, options, err);
                if (r >= 0)
                        r = sd_bus_message_exit_container(message);
        }
        return r < 0 ? r : sd_bus_message_exit_container(message);
}

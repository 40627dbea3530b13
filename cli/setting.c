/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads NAME=VALUE words. */

#include "bus.h"
#include "setting.h"

static int unknown(Cli *cli, const char *name)
{
        const char *near = ch_attr_suggest(name);

        if (near)
                return cli_fail(cli, CTL_USAGE, name,
                                "no attribute of that name; did you mean '%s'?", near);
        return cli_fail(cli, CTL_USAGE, name,
                        "no attribute of that name; 'chargectl help attributes' lists them");
}

static int parse_word(Cli *cli, const char *word, ch_setting *ret, const char **ret_text)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        _cleanup_(freep) char *name = NULL;
        const char *equals = strchr(word, '=');

        if (!equals || equals == word)
                return cli_fail(cli, CTL_USAGE, word,
                                "not of the form NAME=VALUE, such as MemoryMax=512M");
        name = strndup(word, (size_t)(equals - word));
        if (!name)
                return cli_fail_memory(cli);
        ret->attr = ch_attr_find(name);
        if (!ret->attr)
                return unknown(cli, name);
        if (ch_value_parse_human(ret->attr, equals + 1, &ret->value, &error) < 0)
                return cli_fail_error(cli, error);
        *ret_text = equals + 1;
        return CTL_OK;
}

int setting_list_parse(Cli *cli, const char *const *words, size_t n, SettingList *ret)
{
        int r = CTL_OK;

        ret->items = calloc(n + 1, sizeof(*ret->items));
        ret->texts = calloc(n + 1, sizeof(*ret->texts));
        if (!ret->items || !ret->texts)
                return cli_fail_memory(cli);
        for (size_t i = 0; r == CTL_OK && i < n; i++) {
                r = parse_word(cli, words[i], &ret->items[i], &ret->texts[i]);
                ret->n += r == CTL_OK;
        }
        return r;
}

void setting_list_done(SettingList *list)
{
        for (size_t i = 0; i < list->n; i++)
                ch_value_done(&list->items[i].value);
        free(list->items);
        free(list->texts);
        *list = (SettingList)SETTING_LIST_INIT;
}

int setting_list_append(const SettingList *list, sd_bus_message *m)
{
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (size_t i = 0; r >= 0 && i < list->n; i++)
                r = sd_bus_message_append(m, "{sv}", list->items[i].attr->name, "s",
                                          list->texts[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int setting_list_new_call(const SettingList *list, Cli *cli, const char *method, const char *group,
                          sd_bus_message **ret)
{
        int r = bus_new_call(cli, method, ret);

        if (r != CTL_OK)
                return r;
        r = sd_bus_message_append(*ret, "s", group);
        if (r >= 0)
                r = setting_list_append(list, *ret);
        return r < 0 ? bus_fail_errno(cli, r, "building the request") : CTL_OK;
}

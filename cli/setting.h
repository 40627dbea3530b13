/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CTL_SETTING_H
#define CTL_SETTING_H

/* NAME=VALUE words: properties that are to be set. */

#include "cli.h"

typedef struct SettingList {
        ch_setting *items;
        const char **texts; /* the values as they were typed, borrowed */
        size_t n;
} SettingList;

#define SETTING_LIST_INIT                                                                          \
        {                                                                                          \
                0                                                                                  \
        }

/* Checks each word, so that a typing mistake is told before anything is done. Returns an exit code.
 */
int setting_list_parse(Cli *cli, const char *const *words, size_t n, SettingList *ret);
void setting_list_done(SettingList *list);
/* As a{sv}, values as text: the daemon parses and checks again. -errno. */
int setting_list_append(const SettingList *list, sd_bus_message *m);
/* A call of the manager's that begins with a group and its settings. An exit code. */
int setting_list_new_call(const SettingList *list, Cli *cli, const char *method, const char *group,
                          sd_bus_message **ret);

#endif

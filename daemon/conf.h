/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef CHD_CONF_H
#define CHD_CONF_H

/*
 * The configuration: chargehand.conf and chargehand.conf.d/x.conf in lexical order, the later wins.
 * What is wrong is a warning with file and line, and is skipped: the daemon starts with what is
 * right.
 */

#include <stddef.h>
#include <stdint.h>

#include <chargehand/move.h>

#include "pool.h"

#define CONF_FILE_DEFAULT "/etc/chargehand/chargehand.conf"

typedef enum Mode { MODE_ROOT, MODE_DELEGATED, MODE_PRIVATE, MODE_MAX_ } Mode;
const char *mode_to_string(Mode mode);
int mode_from_string(const char *word, Mode *ret);

/* [Group /path]: made and set at start and on reload. */
typedef struct ConfGroup {
        char *path;
        uint32_t uid, gid; /* UINT32_MAX: left alone */
        ch_setting *settings;
        size_t n_settings;
        size_t settings_allocated;
} ConfGroup;

typedef struct Conf {
        char *root;    /* NULL: found by mode */
        unsigned mode; /* Mode */
        char *state_directory;
        char *bus;         /* "system", "session" or an address */
        char *controllers; /* "all", "none" or names separated by spaces */
        unsigned workers;
        unsigned jobs;
        unsigned requests_per_client;
        unsigned requests_per_user;
        unsigned jobs_per_user;
        unsigned job_history;
        uint64_t request_timeout_usec;
        uint64_t stop_timeout_usec;
        uint64_t rescan_usec;
        uint64_t stray_usec;
        unsigned log_level;

        unsigned policy;   /* ch_policy */
        unsigned backends; /* bits */
        unsigned max_growth_permyriad;
        uint64_t rate_bytes_per_sec;
        uint64_t timeout_usec; /* 0: none */
        uint64_t reclaim_bytes;

        unsigned systemd1;             /* [Runtime]: the face of org.freedesktop.systemd1 */
        char *private_socket;          /* "auto", "no" or a path */
        unsigned systemd_directory;    /* make /run/systemd/system */
        char *default_slice;           /* "auto" or a name */
        uint64_t scope_linger_usec;
        uint64_t default_timeout_stop_usec; /* UINT64_MAX: never */
        char *users;                   /* names or uids separated by spaces */

        unsigned track; /* [Ownership]: Track of ownership.h */
        unsigned claims_per_user; /* [Claims] */

        unsigned kill_at_step;
        unsigned feed_buffer;

        ConfGroup *groups;
        size_t n_groups, groups_allocated;
        ConfPools pools;
        char **warnings; /* "FILE:LINE: …" */
        size_t n_warnings, warnings_allocated;
        unsigned n_refs;
} Conf;

typedef struct ConfRow ConfRow;
/* *ret_seen is ret's member; 0 or -EINVAL */
typedef int (*conf_parse_func)(const ConfRow *row, const char *text, void *member);

struct ConfRow {
        const char *section, *key;
        conf_parse_func parse;
        size_t offset;     /* in Conf */
        const char *value; /* default, as text */
        uint64_t min, max;
        const char *accepts; /* for the warning: "a number from 1 to 64" */
        const char *doc;
};
size_t conf_n_rows(void);
const ConfRow *conf_get_row(size_t index);

/* All defaults. -ENOMEM. */
int conf_new(Conf **ret);
Conf *conf_ref(Conf *conf);
Conf *conf_free(Conf *conf); /* drops one reference; on the loop's thread only */
/* Reads `file` (NULL: the default place, which may be missing) and the drop-ins of the directory
 * `file`.d. -ENOENT: a file that was named is not there. */
int conf_read(Conf *conf, const char *file, ch_error **err);
/* Takes over from the old one what is fixed for the life of the process: Root=, Mode=,
 * StateDirectory=, Bus=. */
void conf_keep_fixed(Conf *conf, Conf *old);
/* Sets one key from the command line. -EINVAL with what would be accepted. */
int conf_set(Conf *conf, const char *section, const char *key, const char *value, ch_error **err);

static inline void conf_freep(Conf **conf)
{
        conf_free(*conf);
}

#endif

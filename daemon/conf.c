/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads chargehand.conf and its drop-ins into a Conf by a table with one row per key. */

#include <dirent.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>

#include "conf.h"
#include "conf-parse.h"
#include "error.h"
#include "util.h"

/* inih gives the handler neither line numbers nor more than 50 bytes of the section: both are kept
 * by our reader. */
typedef struct Reader {
        Conf *conf;
        FILE *stream;
        const char *file;
        unsigned line;
        char section[4200];
        int long_line;
        int skip_section;
} Reader;

static void warn(Reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void warn(Reader *reader, const char *format, ...)
{
        _cleanup_(freep) char *text = NULL;
        Conf *conf = reader->conf;
        char *line = NULL;
        va_list args;

        va_start(args, format);
        if (vasprintf(&text, format, args) < 0)
                text = NULL;
        va_end(args);
        if (!text || asprintf(&line, "%s:%u: %s", reader->file, reader->line, text) < 0)
                return;
        if (array_reserve(&conf->warnings, &conf->warnings_allocated, conf->n_warnings + 1,
                          sizeof(char *)) < 0) {
                free(line);
                return;
        }
        conf->warnings[conf->n_warnings++] = line;
}

static ConfGroup *conf_add_group(Conf *conf, const char *path)
{
        ConfGroup *group;

        for (size_t i = 0; i < conf->n_groups; i++)
                if (streq(conf->groups[i].path, path))
                        return &conf->groups[i];
        if (array_reserve(&conf->groups, &conf->groups_allocated, conf->n_groups + 1,
                          sizeof(*group)) < 0)
                return NULL;
        group = &conf->groups[conf->n_groups];
        *group = (ConfGroup){ .path = strdup(path), .uid = UINT32_MAX, .gid = UINT32_MAX };
        if (!group->path)
                return NULL;
        conf->n_groups++;
        return group;
}

/* A section without keys makes its group too. */
static void open_group(Reader *reader, const char *path)
{
        _cleanup_(error_freep) ch_error *error = NULL;

        if (ch_path_check(path, &error) < 0) {
                warn(reader, "section [%s] skipped: %s", reader->section,
                     ch_error_get_cause(error));
                reader->skip_section = 1;
        } else {
                (void)conf_add_group(reader->conf, path);
        }
}

static void open_pool(Reader *reader, const char *name)
{
        if (pool_check_name(name) >= 0) {
                (void)conf_pools_add(&reader->conf->pools, name);
                return;
        }
        warn(reader,
             "section [%s] skipped: the name of a pool has 1 to 64 letters, digits, '.', '_' and "
             "'-'",
             reader->section);
        reader->skip_section = 1;
}

static void set_group_key(Reader *reader, const char *path, const char *key, const char *text);
static void set_pool_key(Reader *reader, const char *name, const char *key, const char *text);

/* Sections that there may be several of, each with a name. */
static const struct Named {
        const char *prefix;
        void (*open)(Reader *reader, const char *name);
        void (*set)(Reader *reader, const char *name, const char *key, const char *text);
} named_sections[] = {
        {"Group ", open_group, set_group_key},
        { "Pool ", open_pool,  set_pool_key },
};

static const struct Named *find_named(const char *section, const char **ret_name)
{
        for (size_t i = 0; i < ELEMENTSOF(named_sections); i++) {
                size_t length = strlen(named_sections[i].prefix);

                if (strncmp(section, named_sections[i].prefix, length) != 0)
                        continue;
                *ret_name = section + length + strspn(section + length, " ");
                return &named_sections[i];
        }
        return NULL;
}

static void open_section(Reader *reader)
{
        const char *name;
        const struct Named *named = find_named(reader->section, &name);

        reader->skip_section = 0;
        if (named)
                named->open(reader, name);
}

static char *read_line(char *buffer, int size, void *userdata)
{
        Reader *reader = userdata;
        const char *start, *end;
        size_t length;
        int continued = reader->long_line;

        if (!fgets(buffer, size, reader->stream))
                return NULL;
        length = strlen(buffer);
        reader->long_line = length > 0 && buffer[length - 1] != '\n' && !feof(reader->stream);
        if (!continued)
                reader->line++;
        if (continued || reader->long_line) {
                if (!continued)
                        warn(reader, "line longer than %d bytes, skipped", size - 1);
                strcpy(buffer, "\n");
                return buffer;
        }
        start = buffer + strspn(buffer, " \t");
        end = *start == '[' ? strchr(start, ']') : NULL;
        if (end && (size_t)(end - start) <= sizeof(reader->section)) {
                snprintf(reader->section, sizeof(reader->section), "%.*s", (int)(end - start - 1),
                         start + 1);
                open_section(reader);
        }
        return buffer;
}

static const ConfRow *find_row(const char *section, const char *key)
{
        for (size_t i = 0; i < conf_n_rows(); i++) {
                const ConfRow *row = conf_get_row(i);

                if (streq(row->section, section) && streq(row->key, key))
                        return row;
        }
        return NULL;
}

static int have_section(const char *section)
{
        for (size_t i = 0; i < conf_n_rows(); i++)
                if (streq(conf_get_row(i)->section, section))
                        return 1;
        return 0;
}

/* Replaces an earlier value of the same attribute: the later file wins. */
static int group_put_setting(ConfGroup *group, const ch_attr *attr, ch_value *value)
{
        for (size_t i = 0; i < group->n_settings; i++)
                if (group->settings[i].attr == attr) {
                        ch_value_done(&group->settings[i].value);
                        group->settings[i].value = *value;
                        return 0;
                }
        if (array_reserve(&group->settings, &group->settings_allocated, group->n_settings + 1,
                          sizeof(ch_setting)) < 0)
                return -ENOMEM;
        group->settings[group->n_settings++] = (ch_setting){ .attr = attr, .value = *value };
        return 0;
}

static void set_group_attribute(Reader *reader, ConfGroup *group, const char *key, const char *text)
{
        _cleanup_(error_freep) ch_error *error = NULL;
        const ch_attr *attr = ch_attr_find(key);
        ch_value value = CH_VALUE_INIT;

        if (!attr) {
                const char *near = ch_attr_suggest(key);

                warn(reader, "unknown key '%s' in [%s], skipped%s%s%s", key, reader->section,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
                return;
        }
        if (ch_value_parse_human(attr, text, &value, &error) < 0) {
                warn(reader, "'%s=%s' skipped: %s", key, text, ch_error_get_cause(error));
                return;
        }
        if (group_put_setting(group, attr, &value) < 0)
                ch_value_done(&value);
}

static void set_group_key(Reader *reader, const char *path, const char *key, const char *text)
{
        ConfGroup *group = conf_add_group(reader->conf, path);
        uint32_t *id;

        if (!group)
                return;
        if (!streq(key, "Uid") && !streq(key, "Gid")) {
                set_group_attribute(reader, group, key, text);
                return;
        }
        id = streq(key, "Uid") ? &group->uid : &group->gid;
        if (conf_parse_owner(text, streq(key, "Gid"), id) < 0)
                warn(reader, "'%s=%s' skipped: not a number and not the name of a %s", key, text,
                     streq(key, "Uid") ? "user" : "group");
}

static void set_pool_key(Reader *reader, const char *name, const char *key, const char *text)
{
        ConfPool *pool = conf_pools_add(&reader->conf->pools, name);
        _cleanup_(freep) char *why = NULL;
        int r = pool ? pool_set_key(pool, key, text, &why) : -ENOMEM;

        if (r == -ENOENT)
                warn(reader,
                     "unknown key '%s' in [%s], skipped; there are Groups, Policy and Weights", key,
                     reader->section);
        else if (why)
                warn(reader, "%s", why);
}

static int on_key(void *userdata, const char *section, const char *key, const char *text)
{
        Reader *reader = userdata;
        const struct Named *named;
        const ConfRow *row;
        const char *name;

        if (reader->skip_section)
                return 1;
        named = find_named(reader->section, &name);
        if (named) {
                named->set(reader, name, key, text);
                return 1;
        }
        row = find_row(reader->section, key);
        if (!row && !have_section(reader->section)) {
                warn(reader, "unknown section [%s], skipped", reader->section);
                reader->skip_section = 1;
        } else if (!row) {
                warn(reader, "unknown key '%s' in [%s], skipped", key, reader->section);
        } else if (row->parse(row, text, (char *)reader->conf + row->offset) < 0) {
                warn(reader, "'%s=%s' is not %s; '%s' stays", key, text, row->accepts, row->value);
        }
        return 1;
}

static int read_one(Conf *conf, const char *file, ch_error **err)
{
        Reader reader = { .conf = conf, .file = file };
        int r;

        reader.stream = fopen(file, "re");
        if (!reader.stream)
                return error_errno(err, errno, file, "open");
        r = ini_parse_stream(read_line, &reader, on_key, &reader);
        (void)fclose(reader.stream);
        if (r > 0) {
                reader.line = (unsigned)r;
                warn(&reader, "neither [Section], Key=Value nor a comment, skipped");
        }
        return r == -2 ? error_errno(err, ENOMEM, file, "read") : 0;
}

static int is_conf(const struct dirent *entry)
{
        size_t length = strlen(entry->d_name);

        return entry->d_name[0] != '.' && length > 5 && streq(entry->d_name + length - 5, ".conf");
}

static int read_dropins(Conf *conf, const char *file, ch_error **err)
{
        _cleanup_(freep) char *directory = NULL;
        struct dirent **entries = NULL;
        int n, r = 0;

        if (asprintf(&directory, "%s.d", file) < 0)
                return -ENOMEM;
        n = scandir(directory, &entries, is_conf, alphasort);
        for (int i = 0; i < n; i++) {
                _cleanup_(freep) char *path = NULL;

                if (r >= 0 && asprintf(&path, "%s/%s", directory, entries[i]->d_name) >= 0)
                        r = read_one(conf, path, err);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int conf_read(Conf *conf, const char *file, ch_error **err)
{
        const char *path = file ? file : CONF_FILE_DEFAULT;
        int r;

        if (file || access(path, F_OK) == 0) {
                r = read_one(conf, path, err);
                if (r < 0)
                        return r;
        }
        return read_dropins(conf, path, err);
}

int conf_set(Conf *conf, const char *section, const char *key, const char *value, ch_error **err)
{
        const ConfRow *row = find_row(section, key);

        if (row->parse(row, value, (char *)conf + row->offset) < 0)
                return error_set(err, CH_ERROR_BAD_VALUE, EINVAL, value, "%s takes %s", key,
                                 row->accepts);
        return 0;
}

static void swap_text(char **a, char **b)
{
        char *text = *a;

        *a = *b;
        *b = text;
}

void conf_keep_fixed(Conf *conf, Conf *old)
{
        swap_text(&conf->root, &old->root);
        swap_text(&conf->state_directory, &old->state_directory);
        swap_text(&conf->bus, &old->bus);
        conf->mode = old->mode;
        conf->systemd1 = old->systemd1;
        conf->track = old->track;
        swap_text(&conf->private_socket, &old->private_socket);
        conf->systemd_directory = old->systemd_directory;
        swap_text(&conf->default_slice, &old->default_slice);
}

int conf_new(Conf **ret)
{
        _cleanup_(conf_freep) Conf *conf = calloc(1, sizeof(*conf));

        if (!conf)
                return -ENOMEM;
        conf->n_refs = 1;
        for (size_t i = 0; i < conf_n_rows(); i++) {
                const ConfRow *row = conf_get_row(i);

                if (row->parse(row, row->value, (char *)conf + row->offset) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(conf);
        return 0;
}

Conf *conf_ref(Conf *conf)
{
        conf->n_refs++;
        return conf;
}

Conf *conf_free(Conf *conf)
{
        if (!conf || --conf->n_refs > 0)
                return NULL;
        for (size_t i = 0; i < conf->n_groups; i++) {
                ConfGroup *group = &conf->groups[i];

                for (size_t k = 0; k < group->n_settings; k++)
                        ch_value_done(&group->settings[k].value);
                free(group->settings);
                free(group->path);
        }
        for (size_t i = 0; i < conf->n_warnings; i++)
                free(conf->warnings[i]);
        conf_pools_done(&conf->pools);
        free(conf->groups);
        free(conf->warnings);
        free(conf->root);
        free(conf->state_directory);
        free(conf->bus);
        free(conf->controllers);
        free(conf->private_socket);
        free(conf->default_slice);
        free(conf->users);
        free(conf);
        return NULL;
}

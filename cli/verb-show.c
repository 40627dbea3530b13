/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chargectl show and get-property: properties of a group, for programs. */

#include "figures.h"

/* Members of access->list() that are properties of the Group interface too. */
static const struct {
        const char *key, *name;
} group_facts[] = {
        { "path", "Path" },           { "id", "Id" },               { "uid", "Uid" },
        { "managed", "Managed" },     { "populated", "Populated" }, { "frozen", "Frozen" },
};

static void print_flat(FILE *f, struct json_object *value);

/* One line, as NAME=VALUE has it: words and KEY=VALUE with spaces between, nested ones with ';'. */
static void print_value(FILE *f, struct json_object *value)
{
        _cleanup_(freep) char *text = NULL;

        switch (json_object_get_type(value)) {
        case json_type_null:
                return;
        case json_type_array:
                for (size_t i = 0; i < json_object_array_length(value); i++) {
                        if (i)
                                fputc(' ', f);
                        print_value(f, json_object_array_get_idx(value, i));
                }
                return;
        case json_type_object:
                print_flat(f, value);
                return;
        case json_type_boolean:
                fputs(json_object_get_boolean(value) ? "yes" : "no", f);
                return;
        default:
                text = text_escape(json_object_get_string(value));
                fputs(text ? text : "", f);
        }
}

static void print_flat(FILE *f, struct json_object *object)
{
        const char *separator = "";

        json_object_object_foreach(object, key, value) {
                int nested = json_object_is_type(value, json_type_object);

                fprintf(f, "%s%s%s", separator, key, nested ? " " : "=");
                print_value(f, value);
                separator = nested ? "; " : " ";
        }
}

static int is_empty(struct json_object *value)
{
        switch (json_object_get_type(value)) {
        case json_type_null:
                return 1;
        case json_type_array:
                return json_object_array_length(value) == 0;
        case json_type_object:
                return json_object_object_length(value) == 0;
        default:
                return json_object_get_string_len(value) == 0 &&
                       json_object_is_type(value, json_type_string);
        }
}

static const char *fact_of(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(group_facts); i++)
                if (streq(group_facts[i].name, name))
                        return group_facts[i].key;
        return NULL;
}

static int add_facts(Cli *cli, const char *path, struct json_object *into)
{
        _cleanup_(json_putp) struct json_object *group = NULL;
        int r = access_group(cli, path, &group);

        if (r != CTL_OK)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(group_facts); i++) {
                struct json_object *value = jget(group, group_facts[i].key);

                if (value && jadd(into, group_facts[i].name, json_object_get(value)) < 0)
                        return cli_fail_memory(cli);
        }
        return CTL_OK;
}

static int merge(struct json_object *into, struct json_object *from)
{
        json_object_object_foreach(from, key, value)
                if (jadd(into, key, json_object_get(value)) < 0)
                        return -ENOMEM;
        return 0;
}

/* Only the members named, in the order named; a file name stands for its property's. */
static struct json_object *pick(struct json_object *all, const StringList *names)
{
        struct json_object *picked = json_object_new_object();

        for (size_t i = 0; picked && i < names->n; i++) {
                const ch_attr *attr = ch_attr_find(names->items[i]);
                struct json_object *value = jget(all, attr ? attr->name : names->items[i]);

                if (jadd(picked, attr ? attr->name : names->items[i],
                         value ? json_object_get(value) : NULL) < 0 &&
                    value)
                        json_object_put(picked), picked = NULL;
        }
        return picked;
}

static int check_names(Cli *cli, const StringList *names)
{
        for (size_t i = 0; i < names->n; i++) {
                const char *name = names->items[i], *near;

                if (fact_of(name) || ch_attr_find(name))
                        continue;
                near = ch_attr_suggest(name);
                return cli_fail(
                        cli, CTL_USAGE, name,
                        near ? "no property of that name; did you mean '%s'?"
                             : "no property of that name; 'chargectl help attributes' lists them%s",
                        near ? near : "");
        }
        return CTL_OK;
}

int verb_show(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *all = json_object_new_object(), *attributes = NULL,
                                                *shown = NULL;
        const StringList *names = &cli->options.properties;
        const char *path = argc ? argv[0] : "/";
        int r;

        if (!all)
                return cli_fail_memory(cli);
        r = group_check(cli, path);
        if (r == CTL_OK)
                r = check_names(cli, names);
        if (r == CTL_OK)
                r = add_facts(cli, path, all);
        if (r == CTL_OK)
                r = cli->access->properties(cli, path, NULL, 0, &attributes);
        if (r != CTL_OK)
                return r;
        if (merge(all, attributes) < 0)
                return cli_fail_memory(cli);
        shown = names->n ? pick(all, names) : json_object_get(all);
        if (!shown)
                return cli_fail_memory(cli);
        if (print_json(cli, shown))
                return CTL_OK;
        pager_start(cli);
        json_object_object_foreach(shown, name, value) {
                if (is_empty(value) && !names->n && !cli->options.all)
                        continue;
                if (!cli->options.value)
                        printf("%s=", name);
                print_value(stdout, value);
                putchar('\n');
        }
        return names->n && json_object_object_length(shown) == 0 ? CTL_NOTHING : CTL_OK;
}

/* "max" back to the number that the bus has for it. */
static struct json_object *number_for_max(struct json_object *value)
{
        if (json_object_is_type(value, json_type_string) &&
            streq(json_object_get_string(value), "max"))
                return json_object_new_uint64(UINT64_MAX);
        return json_object_get(value);
}

static struct json_object *lossless_data(const ch_attr *attr, struct json_object *value)
{
        struct json_object *copy = NULL;

        if (attr->type == CH_ATTR_LIMIT)
                return number_for_max(value);
        if (json_object_deep_copy(value, &copy, NULL) < 0)
                return NULL;
        if (attr->type == CH_ATTR_PAIR)
                (void)json_object_array_put_idx(
                        copy, 0, number_for_max(json_object_array_get_idx(value, 0)));
        if (!json_object_is_type(value, json_type_object))
                return copy;
        json_object_object_foreach(value, key, member)
                (void)json_object_object_add(copy, key, number_for_max(member));
        return copy;
}

/* {"type": "t", "data": 5} */
static struct json_object *lossless(const ch_attr *attr, struct json_object *value)
{
        struct json_object *object = json_object_new_object();

        if (!object ||
            jadd(object, "type", json_object_new_string(ch_attr_type_signature(attr->type))) < 0 ||
            jadd(object, "data", lossless_data(attr, value)) < 0) {
                json_object_put(object);
                return NULL;
        }
        return object;
}

static int get_one(Cli *cli, const char *path, const char *name, int many, struct json_object *into)
{
        _cleanup_(json_putp) struct json_object *properties = NULL, *typed = NULL;
        const ch_attr *attr = ch_attr_find(name);
        struct json_object *value;
        int r = cli->access->properties(cli, path, &name, 1, &properties);

        if (r != CTL_OK)
                return r;
        value = attr ? jget(properties, attr->name) : NULL;
        if (!value)
                return cli_fail(cli, CTL_FAILED, path, "'%s' has no value here", name);
        if (cli->options.json != JSON_OFF) {
                typed = lossless(attr, value);
                if (!typed)
                        return cli_fail_memory(cli);
                if (!many)
                        return print_json(cli, typed), CTL_OK;
                return jadd(into, attr->name, TAKE_PTR(typed)) < 0 ? cli_fail_memory(cli) : CTL_OK;
        }
        if (!cli->options.value)
                printf("%s ", ch_attr_type_signature(attr->type));
        print_value(stdout, value);
        putchar('\n');
        return CTL_OK;
}

int verb_get_property(Cli *cli, int argc, char **argv)
{
        _cleanup_(json_putp) struct json_object *typed = json_object_new_object();
        int r = group_check(cli, argv[0]);

        for (int i = 1; r == CTL_OK && i < argc; i++) {
                StringList one = { .items = (const char **)&argv[i], .n = 1 };

                r = check_names(cli, &one);
                if (r == CTL_OK)
                        r = get_one(cli, argv[0], argv[i], argc > 2, typed);
        }
        if (r == CTL_OK && argc > 2)
                (void)print_json(cli, typed);
        return r;
}

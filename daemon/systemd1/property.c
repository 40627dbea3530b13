/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of properties, made from property.def, and the sets of what units were given. */

#include "hash-string.h"
#include "property-row.h"
#include "util.h"

#define NEGATIVE_ONE ((uint64_t)INT64_C(-1))
#define JOB_MODES                                                                                  \
        "fail|replace|replace-irreversibly|isolate|flush|ignore-dependencies|"                     \
        "ignore-requirements|triggering|restart-dependencies"
#define ACTIONS                                                                                    \
        "none|reboot|reboot-force|reboot-immediate|poweroff|poweroff-force|poweroff-immediate|"    \
        "exit|exit-force|soft-reboot|soft-reboot-force|kexec|kexec-force|halt|halt-force|"         \
        "halt-immediate"

/* .where */
#define WHERE_UNIT  (PROPERTY_UNIT | PROPERTY_CONST)
#define WHERE_GROUP (PROPERTY_SCOPE | PROPERTY_SLICE)
#define WHERE_SCOPE (PROPERTY_SCOPE | PROPERTY_CONST)
#define WHERE_UNIT_QUIET  PROPERTY_UNIT
#define WHERE_SCOPE_EMITS (PROPERTY_SCOPE | PROPERTY_EMITS)
/* .when */
#define WHEN_READ      0
#define WHEN_NEW       PROPERTY_NEW
#define WHEN_LIVE      (PROPERTY_NEW | PROPERTY_LIVE)
#define WHEN_GIVE      (PROPERTY_NEW | PROPERTY_SECRET)
#define WHEN_GIVE_LIVE (PROPERTY_NEW | PROPERTY_LIVE | PROPERTY_SECRET)

enum { N_SLOTS = 512 }; /* of the look-up by name, more than twice the rows */

/* A row's own members come after the defaults and win: that is the point. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#else
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

static Property rows[] = {
#define PROPERTY(row_id, row_name, row_signature, row_where, row_when, row_check, ...)             \
        [PROP_##row_id] = { .name = row_name,                                                      \
                            .signature = row_signature,                                            \
                            .flags = WHERE_##row_where | WHEN_##row_when,                          \
                            .check = CHECK_##row_check,                                            \
                            .target = -1,                                                          \
                            .max = UINT64_MAX,                                                     \
                            .text = "",                                                            \
                            __VA_ARGS__ },
#include "property.def"
#undef PROPERTY
};
static uint16_t slots[N_SLOTS]; /* 1 + row */
static int made;

/* On the loop's thread, before the first use of anything else. */
static void make_table(void)
{
        unsigned bit = 0;

        if (made)
                return;
        made = 1;
        for (size_t i = 0; i < PROP_MAX_; i++) {
                size_t slot = hash_string(rows[i].name) % N_SLOTS;

                while (slots[slot])
                        slot = (slot + 1) % N_SLOTS;
                slots[slot] = (uint16_t)(i + 1);
                if (streq(rows[i].signature, "b"))
                        rows[i].bool_bit = (uint8_t)++bit; /* at most 32: the unit test counts */
        }
}

size_t property_count(void)
{
        return PROP_MAX_;
}

const Property *property_get(size_t id)
{
        make_table();
        return id < PROP_MAX_ ? &rows[id] : NULL;
}

const Property *property_find(const char *name)
{
        size_t slot;

        make_table();
        for (slot = hash_string(name) % N_SLOTS; slots[slot]; slot = (slot + 1) % N_SLOTS)
                if (streq(rows[slots[slot] - 1].name, name))
                        return &rows[slots[slot] - 1];
        return NULL;
}

unsigned property_id(const Property *row)
{
        return (unsigned)(row - rows);
}

const char *property_name(const Property *row)
{
        return row->name;
}

const char *property_signature(const Property *row)
{
        return row->signature;
}

const char *property_given(const Property *row)
{
        return row->given ? row->given : row->signature;
}

uint32_t property_flags(const Property *row)
{
        return row->flags;
}

void property_set_default(unsigned id, uint64_t number)
{
        make_table();
        rows[id].number = number;
}

/* ---- values and sets ---- */

static int is_inline(unsigned row)
{
        return property_is_number(&rows[row]);
}

void property_value_done(PropertyValue *value)
{
        if (!is_inline(value->row))
                free(value->data);
        value->data = NULL;
        value->size = 0;
}

void property_set_done(PropertySet *set)
{
        for (uint32_t i = 0; i < set->n; i++)
                property_value_done(&set->items[i]);
        free(set->items);
        *set = (PropertySet){ 0 };
}

int property_set_is_empty(const PropertySet *set)
{
        return set->n == 0 && set->bools_given == 0;
}

static int value_copy(const PropertyValue *value, PropertyValue *ret)
{
        *ret = *value;
        if (is_inline(value->row))
                return 0;
        ret->data = NULL;
        if (value->size == 0)
                return 0;
        ret->data = malloc(value->size);
        if (!ret->data)
                return -ENOMEM;
        memcpy(ret->data, value->data, value->size);
        return 0;
}

int property_set_copy(const PropertySet *set, PropertySet *ret)
{
        PropertySet copy = *set;
        int r = 0;

        copy.n = 0;
        copy.allocated = set->n;
        copy.items = set->n > 0 ? malloc(set->n * sizeof(*copy.items)) : NULL;
        if (set->n > 0 && !copy.items)
                return -ENOMEM;
        while (r >= 0 && copy.n < set->n) {
                r = value_copy(&set->items[copy.n], &copy.items[copy.n]);
                if (r >= 0)
                        copy.n++;
        }
        if (r < 0)
                property_set_done(&copy);
        else
                *ret = copy;
        return r;
}

/* Where the row is, or would be. */
static uint32_t find_place(const PropertySet *set, unsigned id)
{
        uint32_t low = 0, high = set->n;

        while (low < high) {
                uint32_t middle = (low + high) / 2;

                if (set->items[middle].row < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const PropertyValue *property_set_find(const PropertySet *set, unsigned id)
{
        uint32_t place = find_place(set, id);

        return place < set->n && set->items[place].row == id ? &set->items[place] : NULL;
}

/* What makes an element the same as another: its first member for devices, else all of it. */
static size_t element_key(const Property *row, const Cursor *element)
{
        return row->merge == MERGE_DEVICES ? strlen((const char *)element->p) + 1
                                           : (size_t)(element->end - element->p);
}

static int same_element(const Property *row, const Cursor *a, const Cursor *b)
{
        size_t length = element_key(row, a);

        return length == element_key(row, b) && memcmp(a->p, b->p, length) == 0;
}

static int next_element(const Property *row, Cursor *list, Cursor *ret)
{
        if (!cursor_has(list))
                return 0;
        *ret = *list;
        cursor_skip(list, property_given(row) + 1);
        ret->end = list->p;
        return 1;
}

/* A list to look elements up in; long ones by a hash, so that no call can take long. */
typedef struct Elements {
        const Property *row;
        const PropertyValue *list;
        Hash hash; /* to their places in the list */
} Elements;

static uint64_t element_hash(const Property *row, const Cursor *element)
{
        uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

        for (size_t i = 0; i < element_key(row, element); i++)
                hash = (hash ^ element->p[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static int elements_init(Elements *elements, const Property *row, const PropertyValue *list)
{
        enum { SHORT = 512 };
        Cursor cursor = cursor_of(list), element;
        int r = 0;

        *elements = (Elements){ .row = row, .list = list };
        if (!list || list->size <= SHORT)
                return 0;
        while (r >= 0 && next_element(row, &cursor, &element))
                r = hash_put(&elements->hash, element_hash(row, &element), (void *)element.p);
        return r;
}

/* The last one that is the same. */
static int elements_find(const Elements *elements, const Cursor *element, Cursor *ret)
{
        Cursor cursor = cursor_of(elements->list), other;
        int found = 0;

        if (elements->hash.n > 0) {
                cursor.p = hash_get(&elements->hash, element_hash(elements->row, element));
                if (!cursor.p)
                        return 0;
        }
        while (next_element(elements->row, &cursor, &other)) {
                if (!same_element(elements->row, &other, element))
                        continue;
                *ret = other;
                found = 1;
                if (elements->hash.n > 0)
                        break; /* the hash knows the last one */
        }
        return found;
}

static void list_append(PropertyValue *list, const Cursor *element)
{
        memcpy((uint8_t *)list->data + list->size, element->p, (size_t)(element->end - element->p));
        list->size += (uint32_t)(element->end - element->p);
}

/*
 * `old` and then `added`, nothing twice. What is in both keeps its place, and of devices takes the
 * value that was added.
 */
static int list_fill(const Property *row, const PropertyValue *old, const PropertyValue *added,
                     PropertyValue *list)
{
        Cursor cursor = cursor_of(old), element, other;
        Elements before, after;
        int r = elements_init(&before, row, old), q = elements_init(&after, row, added);

        while (r >= 0 && q >= 0 && next_element(row, &cursor, &element))
                list_append(list, elements_find(&after, &element, &other) ? &other : &element);
        cursor = cursor_of(added);
        while (r >= 0 && q >= 0 && next_element(row, &cursor, &element))
                if (!elements_find(&before, &element, &other) &&
                    elements_find(&after, &element, &other) && other.p == element.p)
                        list_append(list, &element);
        hash_done(&before.hash);
        hash_done(&after.hash);
        return r < 0 ? r : q;
}

static int has_too_many_disks(const Property *row, const PropertyValue *list)
{
        Cursor cursor = cursor_of(list), element;
        unsigned n = 0;

        if (!streq(property_given(row), "a(st)"))
                return 0;
        while (next_element(row, &cursor, &element))
                n++;
        return n > PROPERTY_DISKS_MAX;
}

static int list_merge(const Property *row, const PropertyValue *old, const PropertyValue *added,
                      PropertyValue *ret)
{
        PropertyValue list = *added;
        int r;

        if (old->size + added->size > PROPERTY_LISTS_MAX)
                return -E2BIG;
        list.flags |= old->flags;
        list.size = 0;
        list.data = malloc(old->size + added->size + 1);
        if (!list.data)
                return -ENOMEM;
        r = list_fill(row, old, added, &list);
        if (r >= 0 && has_too_many_disks(row, &list))
                r = -E2BIG;
        if (r < 0)
                free(list.data);
        else
                *ret = list;
        return r;
}

static int set_reserve(PropertySet *set, uint32_t need)
{
        PropertyValue *items;

        if (need <= set->allocated)
                return 0;
        items = realloc(set->items, need * sizeof(*items));
        if (!items)
                return -ENOMEM;
        set->items = items;
        set->allocated = need;
        return 0;
}

/* `value` with what was there before, if there was; `value` is emptied then. */
static int put_merged(const Property *row, const PropertyValue *old, PropertyValue *value,
                      PropertyValue *ret)
{
        const PropertyValue none = { .row = value->row };
        int r;

        *ret = *value;
        if (row->merge == MERGE_REPLACE || value->size == 0)
                return 0;
        if (value->flags & PROPERTY_VALUE_CLEAR)
                old = NULL;
        r = list_merge(row, old ? old : &none, value, ret);
        if (r >= 0)
                property_value_done(value);
        return r;
}

int property_set_put(PropertySet *set, PropertyValue *value)
{
        const Property *row = &rows[value->row];
        uint32_t place = find_place(set, value->row);
        int is_there = place < set->n && set->items[place].row == value->row;
        PropertyValue merged;
        int r;

        if (row->bool_bit) {
                uint32_t bit = UINT32_C(1) << (row->bool_bit - 1);

                set->bools_given |= bit;
                set->bools = value->number ? set->bools | bit : set->bools & ~bit;
                return 0;
        }
        if (is_there && value->size == 0 && row->merge != MERGE_REPLACE &&
            !(value->flags & PROPERTY_VALUE_CLEAR)) {
                property_value_done(value);
                return 0;
        }
        r = is_there ? 0 : set_reserve(set, set->n + 1);
        if (r >= 0)
                r = put_merged(row, is_there ? &set->items[place] : NULL, value, &merged);
        if (r < 0)
                return r;
        if (is_there) {
                property_value_done(&set->items[place]);
        } else {
                memmove(&set->items[place + 1], &set->items[place],
                        (set->n - place) * sizeof(*set->items));
                set->n++;
        }
        set->items[place] = merged;
        value->data = NULL;
        value->size = 0;
        return 0;
}

void property_set_drop(PropertySet *set, unsigned id)
{
        uint32_t place = find_place(set, id);

        property_value_done(&set->items[place]);
        set->n--;
        memmove(&set->items[place], &set->items[place + 1], (set->n - place) * sizeof(*set->items));
}

/* ---- the merge of a call into a unit's set ---- */

/*
 * A list of devices that was cleared still has to be written once, as "no limit": its devices stay
 * as such, untold, until the next change.
 */
static void make_tombstones(PropertyValue *list)
{
        uint64_t none = UINT64_MAX;
        Cursor cursor = cursor_of(list);

        while (cursor_has(&cursor)) {
                (void)cursor_text(&cursor);
                memcpy((uint8_t *)list->data + (cursor.p - (const uint8_t *)list->data), &none,
                       sizeof(none));
                cursor.p += sizeof(none);
        }
}

/* Without what was written as "no limit" before. */
static void drop_tombstones(PropertyValue *value)
{
        Cursor cursor = cursor_of(value);
        uint8_t *to = value->data;

        while (cursor_has(&cursor)) {
                const uint8_t *start = cursor.p;

                (void)cursor_text(&cursor);
                if (cursor_number(&cursor, 't') == UINT64_MAX)
                        continue;
                memmove(to, start, (size_t)(cursor.p - start));
                to += cursor.p - start;
        }
        value->size = (uint32_t)(to - (uint8_t *)value->data);
}

static int markers_have(const PropertyValue *markers, char sign, const char *name)
{
        Cursor cursor = cursor_of(markers);

        while (cursor_has(&cursor)) {
                const char *text = cursor_text(&cursor);

                if (*text == sign && streq(text + 1, name))
                        return 1;
        }
        return 0;
}

/* Markers= with signs: what was there, with more or less; an empty list is neither. */
static int apply_markers(const PropertyValue *old, PropertyValue *change)
{
        Cursor cursor = cursor_of(change);
        PropertyValue added = { .row = change->row }, merged;
        int r;

        if (change->size > 0 && !strchr("+-", *(const char *)change->data))
                return 0;
        merged = (PropertyValue){ .row = change->row, .data = malloc(old ? old->size + 1u : 1u) };
        added.data = malloc(change->size + 1u);
        if (!merged.data || !added.data) {
                property_value_done(&merged);
                property_value_done(&added);
                return -ENOMEM;
        }
        for (Cursor kept = cursor_of(old), element;
             next_element(&rows[change->row], &kept, &element);)
                if (!markers_have(change, '-', (const char *)element.p))
                        list_append(&merged, &element);
        while (cursor_has(&cursor)) {
                const char *text = cursor_text(&cursor);
                Cursor element = { (const uint8_t *)text + 1, cursor.p };

                if (*text == '+')
                        list_append(&added, &element);
        }
        property_value_done(change);
        r = list_merge(&rows[added.row], &merged, &added, change);
        property_value_done(&merged);
        property_value_done(&added);
        return r;
}

static int merge_one(PropertySet *set, const PropertyValue *change)
{
        uint32_t place = find_place(set, change->row);
        PropertyValue copy;
        int r = value_copy(change, &copy);

        if (r < 0)
                return r;
        if (place < set->n && set->items[place].row == change->row &&
            streq(property_given(&rows[change->row]), "a(st)")) {
                drop_tombstones(&set->items[place]);
                if (change->flags & PROPERTY_VALUE_CLEAR)
                        make_tombstones(&set->items[place]);
                copy.flags = 0;
        }
        if (change->row == PROP_MARKERS)
                r = apply_markers(property_set_find(set, PROP_MARKERS), &copy);
        if (r >= 0)
                r = property_set_put(set, &copy);
        if (r < 0)
                property_value_done(&copy);
        else
                set->items[find_place(set, change->row)].flags = 0;
        return r;
}

int property_set_merge(PropertySet *set, const PropertyChanges *changes)
{
        PropertySet merged;
        int r = property_set_copy(set, &merged);

        if (r >= 0)
                r = set_reserve(&merged, merged.n + changes->set.n);
        for (uint32_t i = 0; r >= 0 && i < changes->set.n; i++)
                r = merge_one(&merged, &changes->set.items[i]);
        if (r < 0) {
                property_set_done(&merged);
                return r;
        }
        merged.bools_given |= changes->set.bools_given;
        merged.bools = (merged.bools & ~changes->set.bools_given) | changes->set.bools;
        property_set_done(set);
        *set = merged;
        return 0;
}

/* ---- look-ups ---- */

int property_is_set(const PropertySet *set, unsigned id)
{
        const Property *row = property_get(id);

        if (row->bool_bit)
                return (set->bools_given >> (row->bool_bit - 1)) & 1;
        return property_set_find(set, id) != NULL;
}

int property_get_bool(const PropertySet *set, unsigned id)
{
        const Property *row = property_get(id);

        if (!row->bool_bit || !property_is_set(set, id))
                return row->number != 0;
        return (set->bools >> (row->bool_bit - 1)) & 1;
}

uint64_t property_get_number(const PropertySet *set, unsigned id)
{
        const PropertyValue *value = property_set_find(set, id);

        return value ? value->number : property_get(id)->number;
}

const char *property_get_text(const PropertySet *set, unsigned id)
{
        const PropertyValue *value = property_set_find(set, id);

        if (value && value->data)
                return value->data;
        if (id == PROP_OOM_POLICY && property_get_bool(set, PROP_DELEGATE))
                return "continue";
        return property_get(id)->text;
}

int property_next_text(const PropertySet *set, unsigned id, size_t *position, const char **ret)
{
        const PropertyValue *value = property_set_find(set, id);
        Cursor cursor = cursor_of(value);

        if (!value || *position >= value->size)
                return 0;
        cursor.p += *position;
        *ret = cursor_text(&cursor);
        *position = (size_t)(cursor.p - (const uint8_t *)value->data);
        return 1;
}

// SPDX-License-Identifier: GPL-2.0-only
/* Answers questions about types from a BTF blob that may be garbage. */

#include "btf-blob.h"

/* How deep types are followed: typedefs, qualifiers, unnamed structs in each other. */
#define MAX_DEPTH 32
/* Function pointers in the arguments of function pointers. */
#define MAX_NESTED 4
/* Members looked at for one question. */
#define MAX_STEPS (1u << 20)

/* Of the running kernel, which is the one that was asked: the module is built for 64 bits alone. */
#define POINTER_SIZE 8

/* Since 7.2 the header has another section, and records have more bits for their kind and number of elements;
 * these bits were zero before. The headers that this is compiled with may be older or newer than the blob. */
#define HEADER_SIZE (offsetof(struct btf_header, str_len) + sizeof(u32))

/* ---- records ---- */

static u32 kind_of(const struct btf_type *type)
{
	return type->info >> 24 & 0x7f;
}

static u32 vlen_of(const struct btf_type *type)
{
	return type->info & 0xffffff;
}

/* Bytes that follow the header of a record: fixed ones, and ones for each of its vlen. */
static const struct {
	bool known;
	u8 fixed, each;
} records[] = {
	[BTF_KIND_INT] = { true, 4, 0 },
	[BTF_KIND_PTR] = { true, 0, 0 },
	[BTF_KIND_ARRAY] = { true, sizeof(struct btf_array), 0 },
	[BTF_KIND_STRUCT] = { true, 0, sizeof(struct btf_member) },
	[BTF_KIND_UNION] = { true, 0, sizeof(struct btf_member) },
	[BTF_KIND_ENUM] = { true, 0, sizeof(struct btf_enum) },
	[BTF_KIND_FWD] = { true, 0, 0 },
	[BTF_KIND_TYPEDEF] = { true, 0, 0 },
	[BTF_KIND_VOLATILE] = { true, 0, 0 },
	[BTF_KIND_CONST] = { true, 0, 0 },
	[BTF_KIND_RESTRICT] = { true, 0, 0 },
	[BTF_KIND_FUNC] = { true, 0, 0 },
	[BTF_KIND_FUNC_PROTO] = { true, 0, sizeof(struct btf_param) },
	[BTF_KIND_VAR] = { true, sizeof(struct btf_var), 0 },
	[BTF_KIND_DATASEC] = { true, 0, sizeof(struct btf_var_secinfo) },
	[BTF_KIND_FLOAT] = { true, 0, 0 },
	[BTF_KIND_DECL_TAG] = { true, sizeof(struct btf_decl_tag), 0 },
	[BTF_KIND_TYPE_TAG] = { true, 0, 0 },
	[BTF_KIND_ENUM64] = { true, 0, sizeof(struct btf_enum64) },
};

/* Length of the record at `offset`. < 0: it is not known, or longer than what is left. */
static s64 record_length(const struct chargehand_blob *blob, u32 offset)
{
	const struct btf_type *type = (const void *)(blob->types + offset);
	u32 left = blob->types_size - offset;
	u32 kind;
	u64 length;

	if (left < sizeof(*type))
		return -EINVAL;
	kind = kind_of(type);
	if (kind >= sizeof(records) / sizeof(records[0]) || !records[kind].known)
		return -EOPNOTSUPP;
	length = sizeof(*type) + records[kind].fixed + (u64)records[kind].each * vlen_of(type);
	return length <= left ? (s64)length : -EINVAL;
}

/* NULL for void and for ids that there are not. */
static const struct btf_type *type_of(const struct chargehand_blob *blob, u32 id)
{
	return id && id < blob->n_types ? (const void *)(blob->types + blob->offsets[id]) : NULL;
}

/* The empty one for an offset that there is not. */
static const char *string_at(const struct chargehand_blob *blob, u32 offset)
{
	return blob->strings + (offset < blob->strings_size ? offset : 0);
}

/* FNV-1a */
static u32 hash_of(const char *name)
{
	u32 hash = 2166136261u;

	while (*name)
		hash = (hash ^ (u8)*name++) * 16777619u;
	return hash;
}

static bool is_qualifier(u32 kind)
{
	return kind == BTF_KIND_CONST || kind == BTF_KIND_VOLATILE || kind == BTF_KIND_RESTRICT ||
	       kind == BTF_KIND_TYPE_TAG;
}

/* Without typedefs and qualifiers; NULL: void, broken, or it goes round in circles. */
static const struct btf_type *resolve(const struct chargehand_blob *blob, u32 id)
{
	const struct btf_type *type = type_of(blob, id);
	int depth;

	for (depth = 0; type && depth < MAX_DEPTH; depth++) {
		if (kind_of(type) != BTF_KIND_TYPEDEF && !is_qualifier(kind_of(type)))
			return type;
		type = type_of(blob, type->type);
	}
	return NULL;
}

/* The next type after `id` of that name and of one of two kinds; 0: no more. */
static u32 find_next(const struct chargehand_blob *blob, u32 id, const char *name, u32 kind, u32 other)
{
	u32 hash = hash_of(name);

	while (++id < blob->n_types) {
		const struct btf_type *type;

		if (blob->hashes[id] != hash)
			continue;
		type = type_of(blob, id);
		if ((kind_of(type) == kind || kind_of(type) == other) &&
		    strcmp(string_at(blob, type->name_off), name) == 0)
			return id;
	}
	return 0;
}

/* ---- text of types ---- */

struct text {
	char *at;
	size_t left; /* 0: it was too long */
};

static void put(struct text *text, const char *string)
{
	size_t length = strlen(string);

	if (length >= text->left) {
		text->left = 0;
		return;
	}
	memcpy(text->at, string, length + 1);
	text->at += length;
	text->left -= length;
}

/* DWARF, and so BTF, has its own names for what C calls otherwise. */
static const struct {
	const char *btf, *c;
} int_names[] = {
	{ "long unsigned int", "unsigned long" },
	{ "long int", "long" },
	{ "short unsigned int", "unsigned short" },
	{ "short int", "short" },
	{ "long long unsigned int", "unsigned long long" },
	{ "long long int", "long long" },
	{ "_Bool", "bool" },
};

static const char *c_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(int_names) / sizeof(int_names[0]); i++)
		if (strcmp(int_names[i].btf, name) == 0)
			return int_names[i].c;
	return name;
}

static void put_name(const struct chargehand_blob *blob, struct text *text, const struct btf_type *type)
{
	static const char *const tags[] = {
		[BTF_KIND_STRUCT] = "struct ", [BTF_KIND_UNION] = "union ",   [BTF_KIND_ENUM] = "enum ",
		[BTF_KIND_FWD] = "struct ",    [BTF_KIND_ENUM64] = "enum ",
	};
	u32 kind = kind_of(type);
	const char *name = string_at(blob, type->name_off);

	if (kind == BTF_KIND_FWD && BTF_INFO_KFLAG(type->info))
		put(text, "union ");
	else if (kind < sizeof(tags) / sizeof(tags[0]) && tags[kind])
		put(text, tags[kind]);
	put(text, *name ? c_name(name) : "{}");
}

static void put_qualifier(struct text *text, u32 kind)
{
	if (kind == BTF_KIND_CONST)
		put(text, "const");
	else if (kind == BTF_KIND_VOLATILE)
		put(text, "volatile");
	else
		put(text, "restrict");
}

/* What stands between a type and its name: pointers and qualifiers, outermost first. */
struct chain {
	u32 kinds[MAX_DEPTH];
	int n;
	u32 base; /* what they are of */
};

static int chain_of(const struct chargehand_blob *blob, u32 id, struct chain *chain)
{
	const struct btf_type *type;
	int depth;

	chain->n = 0;
	for (depth = 0; (type = type_of(blob, id)); id = type->type) {
		u32 kind = kind_of(type);

		if (kind != BTF_KIND_PTR && !is_qualifier(kind))
			break;
		if (++depth > MAX_DEPTH)
			return -EINVAL;
		if (kind != BTF_KIND_TYPE_TAG) /* __user, __rcu: nothing to the compiler */
			chain->kinds[chain->n++] = kind;
	}
	chain->base = id;
	return id < blob->n_types ? 0 : -EINVAL;
}

static int put_type(const struct chargehand_blob *blob, struct text *text, u32 id, int nested);

static int put_arguments(const struct chargehand_blob *blob, struct text *text,
			 const struct btf_type *proto, int nested)
{
	const struct btf_param *param = (const void *)(proto + 1);
	u32 i;
	int r;

	put(text, "(");
	for (i = 0; i < vlen_of(proto) && text->left; i++) {
		if (i)
			put(text, ", ");
		if (!param[i].type) { /* also void, which only comes last */
			put(text, "...");
			continue;
		}
		r = put_type(blob, text, param[i].type, nested);
		if (r < 0)
			return r;
	}
	put(text, i ? ")" : "void)");
	return 0;
}

/* The stars, and the qualifiers of the pointers: "**", "*const *". */
static void put_pointers(struct text *text, const struct chain *chain, int n)
{
	while (n-- > 0) {
		if (chain->kinds[n] == BTF_KIND_PTR) {
			put(text, "*");
			continue;
		}
		put_qualifier(text, chain->kinds[n]);
		put(text, n ? " " : "");
	}
}

static int put_base(const struct chargehand_blob *blob, struct text *text, const struct btf_type *base,
		    int nested)
{
	char number[12] = "";
	const struct btf_array *array;
	u32 left;
	int r, i = sizeof(number) - 1;

	if (!base) {
		put(text, "void");
		return 0;
	}
	if (kind_of(base) == BTF_KIND_FUNC_PROTO)
		return put_type(blob, text, base->type, nested);
	if (kind_of(base) != BTF_KIND_ARRAY) {
		put_name(blob, text, base);
		return 0;
	}
	array = (const void *)(base + 1);
	r = put_type(blob, text, array->type, nested);
	for (left = array->nelems; left || !number[i]; left /= 10)
		number[--i] = (char)('0' + left % 10);
	put(text, " [");
	put(text, number + i);
	put(text, "]");
	return r;
}

static int put_type(const struct chargehand_blob *blob, struct text *text, u32 id, int nested)
{
	const struct btf_type *base;
	struct chain chain;
	int n, r;

	if (nested > MAX_NESTED)
		return -EINVAL;
	r = chain_of(blob, id, &chain);
	if (r < 0)
		return r;
	base = type_of(blob, chain.base);
	/* what qualifies the base itself stands before it */
	for (n = chain.n; n > 0 && chain.kinds[n - 1] != BTF_KIND_PTR; n--) {
		put_qualifier(text, chain.kinds[n - 1]);
		put(text, " ");
	}
	r = put_base(blob, text, base, nested + 1);
	if (r < 0)
		return r;
	if (n)
		put(text, " ");
	if (!base || kind_of(base) != BTF_KIND_FUNC_PROTO) {
		put_pointers(text, &chain, n);
		return 0;
	}
	put(text, "(");
	put_pointers(text, &chain, n);
	put(text, ")");
	return put_arguments(blob, text, base, nested + 1);
}

static int put_prototype(const struct chargehand_blob *blob, u32 id, char buffer[CHARGEHAND_BTF_TEXT])
{
	const struct btf_type *proto = type_of(blob, type_of(blob, id)->type);
	struct text text = { buffer, CHARGEHAND_BTF_TEXT };
	int r;

	if (!proto || kind_of(proto) != BTF_KIND_FUNC_PROTO)
		return -EINVAL;
	r = put_type(blob, &text, proto->type, 0);
	if (r < 0)
		return r;
	put(&text, " ");
	r = put_arguments(blob, &text, proto, 0);
	if (r < 0)
		return r;
	return text.left ? 0 : -ENOSPC;
}

int chargehand_blob_prototype(const struct chargehand_blob *blob, const char *name,
			      char text[CHARGEHAND_BTF_TEXT])
{
	char other[CHARGEHAND_BTF_TEXT];
	bool found = false;
	u32 id = 0;
	int r;

	while ((id = find_next(blob, id, name, BTF_KIND_FUNC, BTF_KIND_FUNC))) {
		r = put_prototype(blob, id, found ? other : text);
		if (r < 0)
			return r;
		if (found && strcmp(text, other) != 0)
			return -ENOTUNIQ;
		found = true;
	}
	return found ? 0 : -ENOENT;
}

/* ---- places of members ---- */

static int size_of(const struct chargehand_blob *blob, u32 id, u32 *size)
{
	const struct btf_type *type = resolve(blob, id);
	u64 elements = 1;
	int depth;

	for (depth = 0; type && kind_of(type) == BTF_KIND_ARRAY && depth < MAX_DEPTH; depth++) {
		const struct btf_array *array = (const void *)(type + 1);

		elements *= array->nelems;
		if (elements > (u32)-1)
			return -EINVAL;
		type = resolve(blob, array->type);
	}
	if (!type)
		return -EINVAL;
	switch (kind_of(type)) {
	case BTF_KIND_PTR:
		elements *= POINTER_SIZE;
		break;
	case BTF_KIND_INT:
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
	case BTF_KIND_FLOAT:
		elements *= type->size;
		break;
	default:
		return -EINVAL;
	}
	if (elements > (u32)-1)
		return -EINVAL;
	*size = (u32)elements;
	return 0;
}

struct search {
	const struct chargehand_blob *blob;
	u32 steps; /* left */
	u64 bits;  /* where it was found */
	u32 type;  /* what it is of; 0: not found */
	bool bit_field;
};

static bool is_composite(const struct btf_type *type)
{
	return type && (kind_of(type) == BTF_KIND_STRUCT || kind_of(type) == BTF_KIND_UNION);
}

/* One name in one struct, and in the unnamed ones inside. */
static int find_member(struct search *search, const struct btf_type *type, const char *name, size_t length,
		       u64 bits, int depth)
{
	const struct btf_member *member = (const void *)(type + 1);
	bool has_bits = BTF_INFO_KFLAG(type->info);
	u32 i;
	int r;

	for (i = 0; i < vlen_of(type); i++, member++) {
		const char *own = string_at(search->blob, member->name_off);
		u64 at = bits + (has_bits ? BTF_MEMBER_BIT_OFFSET(member->offset) : member->offset);
		const struct btf_type *inside;

		if (!search->steps--)
			return -EINVAL;
		if (length && strncmp(own, name, length) == 0 && !own[length]) {
			search->bits = at;
			search->type = member->type;
			search->bit_field = at % 8 || (has_bits && BTF_MEMBER_BITFIELD_SIZE(member->offset));
			return 0;
		}
		inside = *own ? NULL : resolve(search->blob, member->type);
		if (!is_composite(inside) || depth == MAX_DEPTH)
			continue;
		r = find_member(search, inside, name, length, at, depth + 1);
		if (r != -ENOENT)
			return r;
	}
	return -ENOENT;
}

/* A path of names with dots between. */
static int find_path(struct search *search, u32 id, const char *path)
{
	const struct btf_type *type = resolve(search->blob, id);
	u64 bits = 0;
	int r;

	for (;;) {
		const char *dot = strchr(path, '.');
		size_t length = dot ? (size_t)(dot - path) : strlen(path);

		if (!is_composite(type))
			return -ENOENT;
		r = find_member(search, type, path, length, bits, 0);
		if (r < 0 || !dot)
			return r;
		bits = search->bits;
		type = resolve(search->blob, search->type);
		path = dot + 1;
	}
}

int chargehand_blob_member(const struct chargehand_blob *blob, const char *type, const char *member,
			   u32 *offset, u32 *size)
{
	bool found = false;
	u32 id = 0, bytes = 0;
	int r;

	while ((id = find_next(blob, id, type, BTF_KIND_STRUCT, BTF_KIND_UNION))) {
		struct search search = { .blob = blob, .steps = MAX_STEPS };

		r = find_path(&search, id, member);
		if (r == 0 && (search.bit_field || search.bits / 8 > (u32)-1))
			r = -EINVAL;
		if (r == 0)
			r = size_of(blob, search.type, &bytes);
		if (r < 0)
			return r;
		if (found && (*offset != search.bits / 8 || *size != bytes))
			return -ENOTUNIQ;
		*offset = (u32)(search.bits / 8);
		*size = bytes;
		found = true;
	}
	return found ? 0 : -ENOENT;
}

/* ---- values of enumerators ---- */

static int find_enumerator(const struct chargehand_blob *blob, const struct btf_type *type, const char *name,
			   s64 *value)
{
	const struct btf_enum *small = (const void *)(type + 1);
	const struct btf_enum64 *large = (const void *)(type + 1);
	bool is_large = kind_of(type) == BTF_KIND_ENUM64;
	u32 i;

	for (i = 0; i < vlen_of(type); i++) {
		u32 own = is_large ? large[i].name_off : small[i].name_off;

		if (strcmp(string_at(blob, own), name) != 0)
			continue;
		if (is_large)
			*value = (s64)((u64)large[i].val_hi32 << 32 | large[i].val_lo32);
		else /* with the flag it is signed */
			*value = BTF_INFO_KFLAG(type->info) ? small[i].val : (s64)(u32)small[i].val;
		return 0;
	}
	return -ENOENT;
}

int chargehand_blob_enum(const struct chargehand_blob *blob, const char *type, const char *name, s64 *value)
{
	bool found = false;
	s64 one;
	u32 id = 0;
	int r;

	while ((id = find_next(blob, id, type, BTF_KIND_ENUM, BTF_KIND_ENUM64))) {
		r = find_enumerator(blob, type_of(blob, id), name, &one);
		if (r < 0)
			return r;
		if (found && *value != one)
			return -ENOTUNIQ;
		*value = one;
		found = true;
	}
	return found ? 0 : -ENOENT;
}

/* ---- opening ---- */

int chargehand_blob_open(struct chargehand_blob *blob, const void *data, size_t size)
{
	const struct btf_header *header = data;
	u64 rest;
	u32 offset = 0;
	s64 length;

	memset(blob, 0, sizeof(*blob));
	if (size < HEADER_SIZE || header->magic != BTF_MAGIC || header->version != BTF_VERSION ||
	    header->hdr_len < HEADER_SIZE || header->hdr_len > size || header->hdr_len % 4)
		return -EINVAL;
	rest = size - header->hdr_len;
	if (header->type_off % 4 || (u64)header->type_off + header->type_len > rest ||
	    (u64)header->str_off + header->str_len > rest || !header->str_len)
		return -EINVAL;
	blob->types = (const u8 *)data + header->hdr_len + header->type_off;
	blob->types_size = header->type_len;
	blob->strings = (const char *)data + header->hdr_len + header->str_off;
	blob->strings_size = header->str_len;
	/* with an end behind the last, every offset inside begins a string */
	if (blob->strings[0] || blob->strings[blob->strings_size - 1])
		return -EINVAL;
	for (blob->n_types = 1; offset < blob->types_size; blob->n_types++) {
		length = record_length(blob, offset);
		if (length < 0)
			return (int)length;
		offset += (u32)length;
	}
	return 0;
}

void chargehand_blob_index(struct chargehand_blob *blob, u32 *offsets, u32 *hashes)
{
	u32 offset = 0, id;

	offsets[0] = hashes[0] = 0;
	for (id = 1; id < blob->n_types; id++) {
		const struct btf_type *type = (const void *)(blob->types + offset);

		offsets[id] = offset;
		hashes[id] = hash_of(string_at(blob, type->name_off));
		offset += (u32)record_length(blob, offset);
	}
	blob->offsets = offsets;
	blob->hashes = hashes;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "type.h"

#include <linux/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "btf_check.h"
#include "capability.h"
#include "cli.h"
#include "scan.h"

using Kind = Type::Kind;

Btf load_btf_file(const std::string &path)
{
	std::string what = "read the BTF of " + quote(path);
	struct stat st;

	if (stat(path.c_str(), &st) || access(path.c_str(), R_OK))
		fail(errno, what);
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);
	if (has_empty_btf(path))
		fail(what, "it is damaged");
	// What libbpf says of a file without BTF is "No such file or directory".
	struct btf *btf = btf__parse(path.c_str(), nullptr);
	if (!btf)
		fail(what, "there is none: it is no object file, or was built without -g");
	Btf checked(btf);
	if (!is_sound(btf))
		fail(what, "it is damaged");
	return checked;
}

Btf load_btf_id(__u32 id, const std::string &way_out)
{
	struct btf *btf = btf__load_from_kernel_by_id(id);

	if (!btf)
		fail(errno, "read BTF " + std::to_string(id),
		     why_denied(errno, {CAP_SYS_ADMIN}, CountsFor::Bpf, "", way_out));
	return Btf(btf);
}

std::string_view name_of(const struct btf *btf, __u32 offset)
{
	const char *name = btf__name_by_offset(btf, offset);

	return name ? name : "";
}

// Can the name be written, and read back? In a file it may be any bytes; the kernel takes these
// only.
static bool is_identifier(std::string_view name)
{
	auto may_begin = [](char c) {
		return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
	};

	return !name.empty() && may_begin(name[0]) &&
	       std::all_of(name.begin(), name.end(),
			   [&](char c) { return may_begin(c) || is_digit(c); });
}

// The name of a value's part: of a member, or a variable. Empty where it has none.
static std::string part_name(const struct btf *btf, __u32 offset, const std::string &what)
{
	std::string name(name_of(btf, offset));

	if (!name.empty() && !is_identifier(name))
		fail(what, "the name " + quote(name) + " is no identifier");
	return name;
}

static bool is_integer_size(__u32 size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static Kind int_kind(const struct btf_type *t)
{
	if (btf_int_encoding(t) & BTF_INT_BOOL)
		return Kind::Bool;
	return btf_int_encoding(t) & BTF_INT_SIGNED ? Kind::Signed : Kind::Unsigned;
}

static Type read_int(const struct btf *btf, const struct btf_type *t)
{
	Type type;

	if (!is_integer_size(t->size) || btf_int_offset(t) || btf_int_bits(t) != t->size * 8)
		fail("read type " + quote(name_of(btf, t->name_off)),
		     "an integer of " + std::to_string(btf_int_bits(t)) + " bits is not supported");
	type.kind = int_kind(t);
	type.size = t->size;
	return type;
}

// A value whose name cannot be written has none.
static void add_name(Type &type, __u64 value, std::string_view name)
{
	if (is_identifier(name))
		type.names.emplace_back(value, name);
}

static Type read_enum(const struct btf *btf, const struct btf_type *t)
{
	Type type;

	if (!is_integer_size(t->size))
		fail("read type " + quote(name_of(btf, t->name_off)),
		     "an enum of " + std::to_string(t->size) + " bytes is not supported");
	type.kind = Kind::Enum;
	type.size = t->size;
	type.is_signed = btf_kflag(t);
	for (int i = 0; i < btf_vlen(t); i++) {
		if (btf_is_enum64(t)) {
			const struct btf_enum64 &e = btf_enum64(t)[i];
			add_name(type, btf_enum64_value(&e), name_of(btf, e.name_off));
		} else if (t->size <= 4) { // clang < 15 cuts those of 8 bytes to 4
			const struct btf_enum &e = btf_enum(t)[i];
			__u32 mask = UINT32_MAX >> (32 - 8 * t->size);
			add_name(type, static_cast<__u32>(e.val) & mask, name_of(btf, e.name_off));
			type.is_signed |= e.val < 0; // clang < 15 does not say
		}
	}
	return type;
}

__u32 value_bits(const Type &type)
{
	return type.bits ? type.bits : 8 * type.size;
}

bool is_anonymous(const Type::Member &m)
{
	return m.name.empty();
}

__u32 field_count(const Type::Member &m)
{
	return is_anonymous(m) ? m.type.count : 1;
}

bool is_lpm_key(const Type &type)
{
	return type.kind == Kind::Cidr4 || type.kind == Kind::Cidr6 || type.kind == Kind::Prefix;
}

bool is_shown_as_bytes(const Type &type)
{
	return type.shown == type.members.size() && type.count > 1;
}

// BTF of a file may hold anything: types within types without end, members that lie
// outside. The kernel's own limit is 32 (MAX_RESOLVE_DEPTH).
constexpr int max_depth = 32;

// All that a type consists of: members of structs within structs, names of enums, and elements
// without a size. A small file can say more of them than memory holds, each struct having the one
// before it twice.
constexpr size_t most_parts = 65536;

// Where a type is read: within how many others, and how many parts it may still have.
struct Nesting {
	int depth;
	size_t &parts_left;

	Nesting deeper() const
	{
		return {depth + 1, parts_left};
	}
};

static Type read_nested(const struct btf *btf, __u32 id, Nesting nesting);

static void count_parts(const Nesting &nesting, size_t parts)
{
	if (parts > nesting.parts_left)
		fail("read a type", "it has more than " + std::to_string(most_parts) +
					    " members, names and empty elements");
	nesting.parts_left -= parts;
}

// No byte of it is padding: its text says them all.
static bool is_dense(const Type &type)
{
	__u64 said = 0;

	if (!type.size)
		return true;
	switch (type.kind) {
	case Kind::Struct:
	case Kind::Cidr4:
	case Kind::Cidr6:
	case Kind::Prefix:
		for (const Type::Member &m : type.members) {
			if (!m.type.bits && !is_dense(m.type))
				return false;
			said += m.type.bits ? m.type.bits : __u64{8} * m.type.size;
		}
		return said == __u64{8} * type.size;
	case Kind::Union:
		return is_shown_as_bytes(type) || type.members[type.shown].type.size == type.size;
	case Kind::Array:
		return is_dense(type.members[0].type);
	default:
		return value_bits(type) == 8 * type.size;
	}
}

// The first member that says every byte of the union.
static __u32 find_shown(const Type &type)
{
	__u32 size = 0;
	__u32 i = 0;

	for (const Type::Member &m : type.members)
		size = std::max(size, m.type.size);
	for (; i < type.members.size(); i++) {
		const Type::Member &m = type.members[i];

		if (m.type.size == size && field_count(m) && is_dense(m.type))
			break;
	}
	return i;
}

// Is it a __u32 that is called prefixlen, or a header that begins with it, as struct
// bpf_lpm_trie_key_hdr of linux/bpf.h?
static bool is_prefixlen(const Type::Member &m)
{
	if (m.type.size != 4 || m.offset)
		return false;
	if (m.type.kind == Kind::Struct || m.type.kind == Kind::Union)
		return !m.type.members.empty() && is_prefixlen(m.type.members[0]);
	return m.type.kind == Kind::Unsigned && !m.type.bits && m.name == "prefixlen";
}

// Its bytes are those of an address: a __be32, a struct in6_addr, or an array that is
// as large. A __u32 can only be one too, as an LPM trie compares from the first byte on.
static bool is_address(const Type &type)
{
	if (type.kind == Kind::Array)
		return type.members[0].type.size <= 4 && is_address(type.members[0].type);
	return type.kind == Kind::Ip4 || type.kind == Kind::Ip6 ||
	       (type.kind == Kind::Unsigned && !type.bits && (type.size == 1 || type.size == 4));
}

// A prefixlen, and behind it fields without a gap; at their end there may be padding.
static bool is_prefix(const Type &type)
{
	__u32 end = 0;

	for (const Type::Member &m : type.members) {
		if (is_anonymous(m) || m.offset != end || m.type.bits || !is_dense(m.type))
			return false;
		end += m.type.size;
	}
	return type.members.size() > 1 && type.members[0].type.kind == Kind::Unsigned &&
	       is_prefixlen(type.members[0]);
}

// What a struct is beyond its fields.
static Kind struct_kind(const Type &type)
{
	if (type.members.size() == 2 && is_prefixlen(type.members[0]) &&
	    is_address(type.members[1].type)) {
		if (type.members[1].offset == 4 && type.members[1].type.size == 4)
			return Kind::Cidr4;
		if (type.members[1].offset == 4 && type.members[1].type.size == 16)
			return Kind::Cidr6;
	}
	return is_prefix(type) ? Kind::Prefix : Kind::Struct;
}

// Where a member is a bitfield, its bits. There are two encodings: in a struct with kind_flag, the
// member says how many; else its int type does, and may begin some bits behind the member.
struct Bits {
	__u32 count = 0; // 0: it is none
	__u32 offset = 0;
};

static Bits find_bits(const struct btf *btf, const struct btf_type *t, __u32 member)
{
	const struct btf_member &m = btf_members(t)[member];
	const struct btf_type *base = btf__type_by_id(btf, btf__resolve_type(btf, m.type));
	Bits bits = {btf_member_bitfield_size(t, member), btf_member_bit_offset(t, member)};

	if (bits.count || !base || !btf_is_int(base))
		return bits;
	if (!btf_int_offset(base) && btf_int_bits(base) == base->size * 8 && bits.offset % 8 == 0)
		return bits;
	return {btf_int_bits(base), bits.offset + btf_int_offset(base)};
}

// The names of an enum's values that a bitfield can have, cut to it.
static void cut_names(Type &type)
{
	__u32 unused = 64 - 8 * type.size;
	__u32 cut = 64 - type.bits;

	std::erase_if(type.names, [&](auto &name) {
		auto value = static_cast<__s64>(name.first << unused);

		value = type.is_signed ? value >> unused : static_cast<__s64>(name.first);
		__u64 kept = static_cast<__u64>(value) << cut;
		name.first = kept >> cut;
		return (type.is_signed ? static_cast<__s64>(kept) >> cut
				       : static_cast<__s64>(kept >> cut)) != value;
	});
}

static Type read_bitfield(const struct btf *btf, __u32 id, const std::string &name, Bits bits,
			  Nesting nesting)
{
	std::string what = "read bitfield " + quote(name);
	const struct btf_type *base = btf__type_by_id(btf, btf__resolve_type(btf, id));
	Type type;

	if (!base || bits.count > 64)
		fail(what, std::to_string(bits.count) + " bits are not supported");
	if (btf_is_int(base)) {
		// Of the old encoding it is what read_int() refuses.
		type.kind = int_kind(base);
	} else {
		type = read_nested(btf, id, nesting);
		if (type.kind != Kind::Enum)
			fail(what, "it is no integer");
	}
	type.bits = bits.count;
	type.shift = bits.offset % 8;
	if (type.kind == Kind::Enum)
		cut_names(type);
	type.size = (type.shift + type.bits + 7) / 8;
	return type;
}

static Type::Member read_member(const struct btf *btf, const struct btf_type *t, __u32 i,
				Nesting nesting)
{
	const struct btf_member &m = btf_members(t)[i];
	std::string name = part_name(btf, m.name_off, "read a member");
	Bits bits = find_bits(btf, t, i);

	if (!bits.count && bits.offset % 8)
		fail("read member " + quote(name), "it does not begin with a byte");
	return {name, bits.offset / 8,
		bits.count ? read_bitfield(btf, m.type, name, bits, nesting.deeper())
			   : read_nested(btf, m.type, nesting.deeper())};
}

static Type read_struct(const struct btf *btf, const struct btf_type *t, Nesting nesting)
{
	std::string what = t->name_off ? "read type " + quote(name_of(btf, t->name_off))
				       : "read a type without a name";
	Type type;

	type.size = t->size;
	if (name_of(btf, t->name_off) == "in6_addr" && t->size == 16) {
		type.kind = Kind::Ip6;
		return type;
	}
	count_parts(nesting, btf_vlen(t));
	for (__u32 i = 0; i < btf_vlen(t); i++) {
		Type::Member member = read_member(btf, t, i, nesting);

		if (member.type.bits && is_anonymous(member))
			continue; // padding
		if (size_t{member.offset} + member.type.size > type.size)
			fail(what, "member " + quote(member.name) + " lies outside");
		if (is_anonymous(member)) {
			if (is_lpm_key(member.type))
				member.type.kind = Kind::Struct;
			if (member.type.kind != Kind::Struct && member.type.kind != Kind::Union)
				fail(what, "a member without a name is not supported");
		}
		type.count += field_count(member);
		type.members.push_back(std::move(member));
	}
	if (btf_is_struct(t)) {
		type.kind = struct_kind(type);
	} else {
		type.kind = Kind::Union;
		type.shown = find_shown(type);
		type.count++; // @OFFSET
	}
	return type;
}

static Type read_array(const struct btf *btf, const struct btf_type *t, Nesting nesting)
{
	const struct btf_array &array = *btf_array(t);
	const struct btf_type *element = btf__type_by_id(btf, btf__resolve_type(btf, array.type));
	size_t parts_before = nesting.parts_left;
	Type each = read_nested(btf, array.type, nesting.deeper());
	// Elements without a size are printed as well, and the size of a value bounds them not.
	if (!each.size)
		count_parts(nesting, array.nelems * (1 + parts_before - nesting.parts_left));
	Type type = array_of(std::move(each), array.nelems);

	if (element && btf_is_int(element) && element->size == 1 &&
	    (name_of(btf, element->name_off) == "char" || btf_int_encoding(element) & BTF_INT_CHAR))
		type.kind = Kind::Text;
	return type;
}

// What a typedef says that its type does not: the byte order.
static bool read_typedef(std::string_view name, Type &type)
{
	static constexpr std::pair<std::string_view, __u32> big_endian[] = {
		{"__be16", 2}, {"__be32", 4}, {"__be64", 8}};

	for (const auto &[be, size] : big_endian) {
		if (name != be)
			continue;
		type.kind = size == 4 ? Kind::Ip4 : Kind::Be;
		type.size = size;
		return true;
	}
	return false;
}

// The section of an object's variables, as a struct of them. One that cannot be written as text
// must not hide the others: it is shown as its bytes.
static Type read_section(const struct btf *btf, const struct btf_type *t, Nesting nesting)
{
	std::string what = "read section " + quote(name_of(btf, t->name_off));
	Type type;

	count_parts(nesting, btf_vlen(t));
	type.kind = Kind::Struct;
	type.size = t->size;
	type.count = btf_vlen(t);
	for (__u32 i = 0; i < type.count; i++) {
		const struct btf_var_secinfo &info = btf_var_secinfos(t)[i];
		const struct btf_type *var = btf__type_by_id(btf, info.type);

		if (!var || !btf_is_var(var))
			fail(what, "there is something else than variables in it");
		std::string name = part_name(btf, var->name_off, what);
		Type value = bytes_of(info.size);
		try {
			Type known = read_nested(btf, var->type, nesting.deeper());
			if (known.size == info.size)
				value = std::move(known);
		} catch (const std::runtime_error &) {
		}
		if (name.empty() || size_t{info.offset} + info.size > type.size)
			fail(what, "variable " + quote(name) + " lies outside");
		type.members.push_back({std::move(name), info.offset, std::move(value)});
	}
	return type;
}

static Type read_nested(const struct btf *btf, __u32 id, Nesting nesting)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	Type type;

	if (!t)
		fail("read type " + std::to_string(id), "there is none in the BTF");
	if (nesting.depth > max_depth)
		fail("read type " + quote(name_of(btf, t->name_off)), "it is nested too deeply");
	switch (btf_kind(t)) {
	case BTF_KIND_TYPEDEF:
		if (read_typedef(name_of(btf, t->name_off), type))
			return type;
		return read_nested(btf, t->type, nesting.deeper());
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return read_nested(btf, t->type, nesting.deeper());
	case BTF_KIND_INT:
		return read_int(btf, t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		count_parts(nesting, btf_vlen(t));
		return read_enum(btf, t);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return read_struct(btf, t, nesting);
	case BTF_KIND_ARRAY:
		return read_array(btf, t, nesting);
	case BTF_KIND_DATASEC:
		return read_section(btf, t, nesting);
	case BTF_KIND_PTR:
		type.size = 8; // in BPF, whatever the host
		return type;
	case BTF_KIND_FLOAT:
		fail("read type " + quote(name_of(btf, t->name_off)),
		     "floating point is not supported");
	}
	fail("read type " + quote(name_of(btf, t->name_off)), "its kind is not supported");
}

Type read_type(const struct btf *btf, __u32 id)
{
	size_t parts_left = most_parts;

	return read_nested(btf, id, {0, parts_left});
}

__u32 find_struct(const struct btf *btf, const std::string &name)
{
	__s32 id = btf__find_by_name_kind(btf, name.c_str(), BTF_KIND_STRUCT);

	return id > 0 ? id : 0;
}

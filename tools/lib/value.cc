// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "value.h"

#include <arpa/inet.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "cli.h"

using Kind = Type::Kind;

Btf load_btf_file(const std::string &path)
{
	std::string what = "read the BTF of " + quote(path);
	struct stat st;

	if (stat(path.c_str(), &st) || access(path.c_str(), R_OK))
		fail(errno, what);
	if (S_ISDIR(st.st_mode))
		fail(EISDIR, what);
	// What libbpf says of a file without BTF is "No such file or directory".
	struct btf *btf = btf__parse(path.c_str(), nullptr);
	if (!btf)
		fail(what, "there is none: it is no object file, or was built without -g");
	return Btf(btf);
}

Btf load_btf_id(__u32 id)
{
	struct btf *btf = btf__load_from_kernel_by_id(id);

	if (!btf)
		fail(errno, "read BTF " + std::to_string(id),
		     errno == EPERM ? "needs CAP_SYS_ADMIN; --btf reads an object file" : "");
	return Btf(btf);
}

static std::string_view name_of(const struct btf *btf, __u32 offset)
{
	const char *name = btf__name_by_offset(btf, offset);

	return name ? name : "";
}

static Type read_int(const struct btf *btf, const struct btf_type *t)
{
	bool is_bool = btf_int_encoding(t) & BTF_INT_BOOL;
	bool is_signed = btf_int_encoding(t) & BTF_INT_SIGNED;
	Type type;

	if (t->size > 8 || btf_int_offset(t) || btf_int_bits(t) != t->size * 8)
		fail("read type " + quote(name_of(btf, t->name_off)),
		     "an integer of " + std::to_string(btf_int_bits(t)) + " bits is not supported");
	type.kind = is_bool ? Kind::Bool : is_signed ? Kind::Signed : Kind::Unsigned;
	type.size = t->size;
	return type;
}

static Type read_enum(const struct btf *btf, const struct btf_type *t)
{
	Type type;

	type.kind = Kind::Enum;
	type.size = t->size;
	type.is_signed = btf_kflag(t);
	for (int i = 0; i < btf_vlen(t); i++) {
		if (btf_is_enum64(t)) {
			const struct btf_enum64 &e = btf_enum64(t)[i];
			type.names.emplace_back(btf_enum64_value(&e), name_of(btf, e.name_off));
		} else if (t->size <= 4) { // clang < 15 cuts those of 8 bytes to 4
			const struct btf_enum &e = btf_enum(t)[i];
			__u32 mask = UINT32_MAX >> (32 - 8 * t->size);
			type.names.emplace_back(static_cast<__u32>(e.val) & mask,
						name_of(btf, e.name_off));
			type.is_signed |= e.val < 0; // clang < 15 does not say
		}
	}
	return type;
}

// BTF of a file may hold anything: types within types without end, members that lie
// outside. The kernel's own limit is 32 (MAX_RESOLVE_DEPTH).
constexpr int max_depth = 32;

static Type read_nested(const struct btf *btf, __u32 id, int depth);

static Type read_struct(const struct btf *btf, const struct btf_type *t, int depth)
{
	Type type;

	type.kind =
		name_of(btf, t->name_off) == "in6_addr" && t->size == 16 ? Kind::Ip6 : Kind::Struct;
	type.size = t->size;
	for (__u32 i = 0; type.kind == Kind::Struct && i < btf_vlen(t); i++) {
		const struct btf_member &m = btf_members(t)[i];

		if (btf_member_bitfield_size(t, i))
			fail("read type " + quote(name_of(btf, t->name_off)),
			     "bitfield " + quote(name_of(btf, m.name_off)) + " is not supported");
		Type::Member member = {std::string(name_of(btf, m.name_off)),
				       btf_member_bit_offset(t, i) / 8,
				       read_nested(btf, m.type, depth + 1)};
		if (size_t{member.offset} + member.type.size > type.size)
			fail("read type " + quote(name_of(btf, t->name_off)),
			     "member " + quote(member.name) + " lies outside");
		type.members.push_back(std::move(member));
	}
	return type;
}

static Type read_array(const struct btf *btf, const struct btf_type *t, int depth)
{
	const struct btf_array &array = *btf_array(t);
	const struct btf_type *element = btf__type_by_id(btf, btf__resolve_type(btf, array.type));
	Type each = read_nested(btf, array.type, depth + 1);
	Type type;

	if (size_t{each.size} * array.nelems > UINT32_MAX)
		fail("read an array type", "its size is out of range");
	type.kind = Kind::Array;
	type.size = each.size * array.nelems;
	type.count = array.nelems;
	if (element && btf_is_int(element) && element->size == 1 &&
	    (name_of(btf, element->name_off) == "char" || btf_int_encoding(element) & BTF_INT_CHAR))
		type.kind = Kind::Text;
	else if (each.kind == Kind::Unsigned && each.size == 1 && array.nelems == 6)
		type.kind = Kind::Mac;
	else
		type.members.push_back({"", 0, std::move(each)});
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

static Type read_nested(const struct btf *btf, __u32 id, int depth)
{
	const struct btf_type *t = btf__type_by_id(btf, id);
	Type type;

	if (!t)
		fail("read type " + std::to_string(id), "there is none in the BTF");
	if (depth > max_depth)
		fail("read type " + quote(name_of(btf, t->name_off)), "it is nested too deeply");
	switch (btf_kind(t)) {
	case BTF_KIND_TYPEDEF:
		if (read_typedef(name_of(btf, t->name_off), type))
			return type;
		return read_nested(btf, t->type, depth + 1);
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		return read_nested(btf, t->type, depth + 1);
	case BTF_KIND_INT:
		return read_int(btf, t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return read_enum(btf, t);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return read_struct(btf, t, depth);
	case BTF_KIND_ARRAY:
		return read_array(btf, t, depth);
	case BTF_KIND_PTR:
		type.size = 8; // in BPF, whatever the host
		return type;
	}
	fail("read type " + quote(name_of(btf, t->name_off)), "its kind is not supported");
}

Type read_type(const struct btf *btf, __u32 id)
{
	return read_nested(btf, id, 0);
}

__u32 find_struct(const struct btf *btf, const std::string &name)
{
	__s32 id = btf__find_by_name_kind(btf, name.c_str(), BTF_KIND_STRUCT);

	return id > 0 ? id : 0;
}

__u32 find_map_value(const struct btf *btf, const std::string &name)
{
	__s32 var = btf__find_by_name_kind(btf, name.c_str(), BTF_KIND_VAR);

	if (var <= 0)
		return 0;
	// struct { ...; typeof(VALUE) *value; } NAME SEC(".maps");
	const struct btf_type *definition =
		btf__type_by_id(btf, btf__resolve_type(btf, btf__type_by_id(btf, var)->type));
	if (!definition || !btf_is_struct(definition))
		return 0;
	for (int i = 0; i < btf_vlen(definition); i++) {
		const struct btf_member &m = btf_members(definition)[i];
		const struct btf_type *pointer = btf__type_by_id(btf, m.type);

		if (name_of(btf, m.name_off) == "value" && pointer && btf_is_ptr(pointer))
			return pointer->type;
	}
	return 0;
}

__u64 integer(const Type &type, Bytes bytes)
{
	__u64 value = 0;

	// Byte by byte: a member of a packed struct may lie anywhere.
	for (__u32 i = 0; i < type.size; i++) {
		bool first_is_high =
			type.kind == Kind::Be || __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
		__u32 at = first_is_high ? i : type.size - 1 - i;

		value = value << 8 | bytes[at];
	}
	return value;
}

static __s64 signed_integer(const Type &type, Bytes bytes)
{
	unsigned unused = type.size ? 64 - 8 * type.size : 0;

	return static_cast<__s64>(integer(type, bytes) << unused) >> unused;
}

template <typename Number> static void append(std::string &out, Number value)
{
	std::array<char, 24> text;
	auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);

	(void)error; // 24 characters hold any 64 bits
	out.append(text.data(), end);
}

static std::string_view enum_name(const Type &type, Bytes bytes)
{
	__u64 value = integer(type, bytes);

	for (const auto &[number, name] : type.names)
		if (number == value)
			return name;
	return {};
}

static void append_ip(std::string &out, int family, Bytes bytes)
{
	static constexpr std::array<unsigned char, 12> mapped = {0, 0, 0, 0, 0,	   0,
								 0, 0, 0, 0, 0xff, 0xff};
	std::array<char, INET6_ADDRSTRLEN> text;

	if (family == AF_INET6 && memcmp(bytes.data(), mapped.data(), mapped.size()) == 0) {
		family = AF_INET;
		bytes = bytes.subspan(mapped.size());
	}
	if (family == AF_INET6) {
		out += inet_ntop(family, bytes.data(), text.data(), text.size());
		return;
	}
	for (int i = 0; i < 4; i++) {
		if (i)
			out += '.';
		append(out, bytes[i]);
	}
}

static void append_mac(std::string &out, Bytes bytes)
{
	static constexpr char digits[] = "0123456789abcdef";

	for (int i = 0; i < 6; i++) {
		if (i)
			out += ':';
		out += digits[bytes[i] >> 4];
		out += digits[bytes[i] & 15];
	}
}

static std::string_view text_of(const Type &type, Bytes bytes)
{
	const char *text = reinterpret_cast<const char *>(bytes.data());

	return {text, strnlen(text, type.size)};
}

static void print_member(const Type &type, Bytes bytes, std::string &out);

static void print_members(const Type &type, Bytes bytes, std::string &out)
{
	bool first = true;

	for (const Type::Member &m : type.members) {
		if (!first)
			out += ' ';
		first = false;
		if (!m.name.empty()) {
			out += m.name;
			out += '=';
		}
		print_member(m.type, bytes.subspan(m.offset), out);
	}
}

static void print_elements(const Type &type, Bytes bytes, std::string &out)
{
	const Type &each = type.members[0].type;

	for (__u32 i = 0; i < type.count; i++) {
		if (i)
			out += ' ';
		print_member(each, bytes.subspan(size_t{i} * each.size), out);
	}
}

static void print_member(const Type &type, Bytes bytes, std::string &out)
{
	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
		append(out, integer(type, bytes));
		return;
	case Kind::Signed:
		append(out, signed_integer(type, bytes));
		return;
	case Kind::Bool:
		out += integer(type, bytes) ? "true" : "false";
		return;
	case Kind::Ip4:
		append_ip(out, AF_INET, bytes);
		return;
	case Kind::Ip6:
		append_ip(out, AF_INET6, bytes);
		return;
	case Kind::Mac:
		append_mac(out, bytes);
		return;
	case Kind::Text:
		// Quoted and escaped as in JSON, so that it stays on its line.
		out += nlohmann::json(text_of(type, bytes))
			       .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
		return;
	case Kind::Enum:
		if (std::string_view name = enum_name(type, bytes); !name.empty())
			out += name;
		else if (type.is_signed)
			append(out, signed_integer(type, bytes));
		else
			append(out, integer(type, bytes));
		return;
	case Kind::Struct:
		out += '{';
		print_members(type, bytes, out);
		out += '}';
		return;
	case Kind::Array:
		out += '[';
		print_elements(type, bytes, out);
		out += ']';
		return;
	}
}

void print(const Type &type, Bytes bytes, std::string &out)
{
	if (type.kind == Kind::Struct)
		print_members(type, bytes, out);
	else
		print_member(type, bytes, out);
}

nlohmann::ordered_json to_json(const Type &type, Bytes bytes)
{
	nlohmann::ordered_json json;
	std::string text;

	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
		return integer(type, bytes);
	case Kind::Signed:
		return signed_integer(type, bytes);
	case Kind::Bool:
		return integer(type, bytes) != 0;
	case Kind::Text:
		return text_of(type, bytes);
	case Kind::Enum:
		if (std::string_view name = enum_name(type, bytes); !name.empty())
			return name;
		if (type.is_signed)
			return signed_integer(type, bytes);
		return integer(type, bytes);
	case Kind::Struct:
		json = nlohmann::ordered_json::object();
		for (const Type::Member &m : type.members) {
			nlohmann::ordered_json value = to_json(m.type, bytes.subspan(m.offset));

			if (m.name.empty() && value.is_object())
				json.update(value); // C's anonymous struct
			else
				json[m.name] = std::move(value);
		}
		return json;
	case Kind::Array:
		json = nlohmann::ordered_json::array();
		for (__u32 i = 0; i < type.count; i++)
			json.push_back(
				to_json(type.members[0].type,
					bytes.subspan(size_t{i} * type.members[0].type.size)));
		return json;
	case Kind::Ip4:
	case Kind::Ip6:
	case Kind::Mac:
		print_member(type, bytes, text);
		return text;
	}
	return json;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <array>
#include <charconv>
#include <optional>

#include "address.h"
#include "lpm.h"
#include "value.h"

using Kind = Type::Kind;

// ---- integers

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

__s64 signed_integer(const Type &type, Bytes bytes)
{
	unsigned unused = type.size ? 64 - 8 * type.size : 0;

	return static_cast<__s64>(integer(type, bytes) << unused) >> unused;
}

template <typename Number> static void append(std::string &out, Number value)
{
	std::array<char, 24> text; // for any 64 bits
	char *end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;

	out.append(text.data(), end);
}

std::string_view enum_name(const Type &type, Bytes bytes)
{
	__u64 value = integer(type, bytes);

	for (const auto &[number, name] : type.names)
		if (number == value)
			return name;
	return {};
}

static void print_bool(const Type &type, Bytes bytes, std::string &out)
{
	__u64 value = integer(type, bytes);

	if (value > 1)
		append(out, value);
	else
		out += value ? "true" : "false";
}

static void print_enum(const Type &type, Bytes bytes, std::string &out)
{
	std::string_view name = enum_name(type, bytes);

	if (!name.empty())
		out += name;
	else if (type.is_signed)
		append(out, signed_integer(type, bytes));
	else
		append(out, integer(type, bytes));
}

// ---- text and bytes

// All bytes except the zeros at the end, and no control character, so that it stays on its line.
static void print_text(Bytes bytes, std::string &out)
{
	static constexpr std::string_view escaped = "\"\\\n\r\t";

	while (!bytes.empty() && !bytes.back())
		bytes = bytes.first(bytes.size() - 1);
	out += '"';
	for (unsigned char byte : bytes) {
		size_t i = escaped.find(static_cast<char>(byte));

		if (i != std::string_view::npos) {
			out += '\\';
			out += "\"\\nrt"[i];
		} else if (byte < 0x20 || byte > 0x7e) {
			out += "\\x";
			append_hex(out, byte);
		} else {
			out += static_cast<char>(byte);
		}
	}
	out += '"';
}

static void print_hex(Bytes bytes, std::string &out)
{
	for (unsigned char byte : bytes)
		append_hex(out, byte);
}

// ---- structs, unions, arrays

static void begin_field(std::string &out, size_t begin)
{
	if (out.size() > begin)
		out += ' ';
}

// The fields of a struct or union that is at `offset` within the braces, whose text begins at
// `begin`.
static void print_fields(const Type &type, Bytes bytes, __u32 offset, std::string &out,
			 size_t begin)
{
	for (size_t i = 0; i < type.members.size(); i++) {
		const Type::Member &m = type.members[i];

		if (type.kind == Kind::Union && i != type.shown)
			continue;
		if (is_anonymous(m)) {
			print_fields(m.type, bytes.subspan(m.offset), offset + m.offset, out,
				     begin);
			continue;
		}
		begin_field(out, begin);
		out += m.name;
		out += '=';
		print_value(m.type, bytes.subspan(m.offset), out);
	}
	if (type.kind == Kind::Union && is_shown_as_bytes(type)) {
		begin_field(out, begin);
		out += '@';
		append(out, offset);
		out += '=';
		print_hex(bytes.first(type.size), out);
	}
}

static void print_elements(const Type &type, Bytes bytes, std::string &out)
{
	const Type &each = type.members[0].type;

	for (__u32 i = 0; i < type.count; i++) {
		if (i)
			out += ' ';
		print_value(each, bytes.subspan(size_t{i} * each.size), out);
	}
}

// ---- keys of LPM tries

// Returns false where the key cannot be written as a CIDR.
static bool try_print_cidr(const Type &type, Bytes bytes, std::string &out)
{
	if (!is_cidr(type, bytes))
		return false;
	append_unmapped_cidr(out, cidr_address(type, bytes), prefix_length(bytes));
	return true;
}

// Returns false where the key cannot be written without its prefixlen.
static bool try_print_prefix(const Type &type, Bytes bytes, std::string &out)
{
	if (type.kind != Kind::Prefix)
		return false;
	std::optional<__u32> of_last = covered_of_last(type, bytes);
	if (!of_last)
		return false;
	out += '{';
	size_t begin = out.size();
	each_covered(type, *of_last, [&](const Type::Member &m, __u32 length) {
		begin_field(out, begin);
		out += m.name;
		out += '=';
		if (length)
			append_unmapped_cidr(out, bytes.subspan(m.offset, m.type.size), length);
		else
			print_value(m.type, bytes.subspan(m.offset), out);
	});
	out += '}';
	return true;
}

// ---- any value

void print_value(const Type &type, Bytes bytes, std::string &out)
{
	if (is_lpm_key(type) &&
	    (try_print_cidr(type, bytes, out) || try_print_prefix(type, bytes, out)))
		return;

	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
		append(out, integer(type, bytes));
		return;
	case Kind::Signed:
		append(out, signed_integer(type, bytes));
		return;
	case Kind::Bool:
		print_bool(type, bytes, out);
		return;
	case Kind::Enum:
		print_enum(type, bytes, out);
		return;
	case Kind::Ip4:
	case Kind::Ip6:
		append_address(out, unmap(bytes.first(type.size)));
		return;
	case Kind::Mac:
		append_mac(out, bytes);
		return;
	case Kind::Text:
		print_text(bytes.first(type.size), out);
		return;
	case Kind::Hex:
		print_hex(bytes.first(type.size), out);
		return;
	case Kind::Cidr4:
	case Kind::Cidr6:
	case Kind::Prefix:
	case Kind::Struct:
	case Kind::Union:
		out += '{';
		print_fields(type, bytes, 0, out, out.size());
		out += '}';
		return;
	case Kind::Array:
		out += '[';
		print_elements(type, bytes, out);
		out += ']';
		return;
	}
}

void print_unbraced(const Type &type, Bytes bytes, std::string &out)
{
	if (type.kind == Kind::Struct || type.kind == Kind::Union)
		print_fields(type, bytes, 0, out, out.size());
	else
		print_value(type, bytes, out);
}

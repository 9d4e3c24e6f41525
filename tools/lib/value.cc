// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <vector>

#include "address.h"
#include "cli.h"

using Kind = Type::Kind;

// ---- printing

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

// ---- LPM keys

// An LPM key, as struct bpf_lpm_trie_key_u8 of linux/bpf.h: the length is of host byte order.
static __u32 prefix_length(Bytes bytes)
{
	__u32 length;

	memcpy(&length, bytes.data(), sizeof(length));
	return length;
}

// The address of a CIDR's key; what may be behind it is padding.
template <typename Span> static Span address_of(const Type &type, Span key)
{
	return key.subspan(4, type.kind == Kind::Cidr4 ? 4 : 16);
}

static bool is_cidr(const Type &type, Bytes bytes)
{
	Bytes address = address_of(type, bytes);
	std::vector<unsigned char> copy(address.begin(), address.end());

	return prefix_length(bytes) <= 8 * copy.size() &&
	       !clear_host_bits(copy, prefix_length(bytes));
}

// A v4-mapped one as its IPv4 CIDR. It has at least 96 bits, or else some of them were host bits.
static void append_unmapped_cidr(std::string &out, Bytes address, __u32 length)
{
	Bytes ip4 = unmap(address);

	append_cidr(out, ip4, length - 8 * (address.size() - ip4.size()));
}

// All its bytes but the zeros at its end, so that it stays on its line.
static void append_text(std::string &out, Bytes bytes)
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

static void begin_field(std::string &out, size_t begin)
{
	if (out.size() > begin)
		out += ' ';
}

// The fields of a struct or union that is at `offset` of what the braces are around, whose
// text begins at `begin`.
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
		for (unsigned char byte : bytes.first(type.size))
			append_hex(out, byte);
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

static bool is_address(const Type &type)
{
	return type.kind == Kind::Ip4 || type.kind == Kind::Ip6;
}

// How many bits of the last field of an LPM key the prefix covers; nothing where it ends before
// that field, or within one that is no address, or where bits behind it are set.
static std::optional<__u32> covers_last(const Type &type, Bytes bytes)
{
	const Type::Member &last = type.members.back();
	Bytes fields = bytes.subspan(4, last.offset - 4 + last.type.size); // without padding
	std::vector<unsigned char> key(fields.begin(), fields.end());
	__u32 before = 8 * (last.offset - 4);
	__u32 length = prefix_length(bytes);

	if (length < before || length > 8 * key.size() || clear_host_bits(key, length))
		return {};
	length -= before;
	if (length && length < 8 * last.type.size && !is_address(last.type))
		return {};
	return length;
}

// Call f(member, cidr) for each field but prefixlen, and for the last one only if the prefix
// covers any of it; `cidr` is the length where that is an address, else 0.
template <typename F> static void each_covered(const Type &type, __u32 of_last, F f)
{
	for (size_t i = 1; i + 1 < type.members.size(); i++)
		f(type.members[i], 0);
	if (of_last)
		f(type.members.back(), is_address(type.members.back().type) ? of_last : 0);
}

static void print_prefix(const Type &type, Bytes bytes, __u32 of_last, std::string &out)
{
	out += '{';
	size_t begin = out.size();
	each_covered(type, of_last, [&](const Type::Member &m, __u32 cidr) {
		begin_field(out, begin);
		out += m.name;
		out += '=';
		if (cidr)
			append_unmapped_cidr(out, bytes.subspan(m.offset, m.type.size), cidr);
		else
			print_value(m.type, bytes.subspan(m.offset), out);
	});
	out += '}';
}

void print_value(const Type &type, Bytes bytes, std::string &out)
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
		if (__u64 value = integer(type, bytes); value > 1)
			append(out, value);
		else
			out += value ? "true" : "false";
		return;
	case Kind::Ip4:
	case Kind::Ip6:
		append_address(out, unmap(bytes.first(type.size)));
		return;
	case Kind::Mac:
		append_mac(out, bytes);
		return;
	case Kind::Text:
		append_text(out, bytes.first(type.size));
		return;
	case Kind::Hex:
		for (unsigned char byte : bytes.first(type.size))
			append_hex(out, byte);
		return;
	case Kind::Enum:
		if (std::string_view name = enum_name(type, bytes); !name.empty())
			out += name;
		else if (type.is_signed)
			append(out, signed_integer(type, bytes));
		else
			append(out, integer(type, bytes));
		return;
	case Kind::Cidr4:
	case Kind::Cidr6:
		if (is_cidr(type, bytes)) {
			append_unmapped_cidr(out, address_of(type, bytes), prefix_length(bytes));
			return;
		}
		[[fallthrough]];
	case Kind::Prefix:
		if (type.kind == Kind::Prefix) {
			if (std::optional<__u32> of_last = covers_last(type, bytes)) {
				print_prefix(type, bytes, *of_last, out);
				return;
			}
		}
		[[fallthrough]];
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

void print(const Type &type, Bytes bytes, std::string &out)
{
	if (type.kind == Kind::Struct || type.kind == Kind::Union)
		print_fields(type, bytes, 0, out, out.size());
	else
		print_value(type, bytes, out);
}

static nlohmann::ordered_json to_json_members(const Type &type, Bytes bytes)
{
	nlohmann::ordered_json json = nlohmann::ordered_json::object();

	for (const Type::Member &m : type.members) {
		nlohmann::ordered_json value = to_json(m.type, bytes.subspan(m.offset));

		if (is_anonymous(m))
			json.update(value);
		else
			json[m.name] = std::move(value);
	}
	return json;
}

static nlohmann::ordered_json to_json_prefix(const Type &type, Bytes bytes, __u32 of_last)
{
	nlohmann::ordered_json json = nlohmann::ordered_json::object();

	each_covered(type, of_last, [&](const Type::Member &m, __u32 cidr) {
		Bytes field = bytes.subspan(m.offset, m.type.size);
		std::string text;

		if (cidr)
			append_unmapped_cidr(text, field, cidr);
		json[m.name] = cidr ? nlohmann::ordered_json(text) : to_json(m.type, field);
	});
	return json;
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
		if (__u64 value = integer(type, bytes); value > 1)
			return value;
		else
			return value == 1;
	case Kind::Text:
		text.assign(bytes.begin(), bytes.begin() + type.size);
		text.resize(std::min(text.size(), text.find('\0')));
		return text;
	case Kind::Enum:
		if (std::string_view name = enum_name(type, bytes); !name.empty())
			return name;
		if (type.is_signed)
			return signed_integer(type, bytes);
		return integer(type, bytes);
	case Kind::Cidr4:
	case Kind::Cidr6:
		if (!is_cidr(type, bytes))
			return to_json_members(type, bytes);
		[[fallthrough]];
	case Kind::Ip4:
	case Kind::Ip6:
	case Kind::Mac:
	case Kind::Hex:
		print_value(type, bytes, text);
		return text;
	case Kind::Prefix:
		if (std::optional<__u32> of_last = covers_last(type, bytes))
			return to_json_prefix(type, bytes, *of_last);
		[[fallthrough]];
	case Kind::Struct:
	case Kind::Union:
		return to_json_members(type, bytes);
	case Kind::Array:
		json = nlohmann::ordered_json::array();
		for (__u32 i = 0; i < type.count; i++)
			json.push_back(
				to_json(type.members[0].type,
					bytes.subspan(size_t{i} * type.members[0].type.size)));
		return json;
	}
	return json;
}

// ---- reading values

using Out = std::span<unsigned char>;

static __u64 take_unsigned(std::string_view &text, __u32 size)
{
	const __u64 max = UINT64_MAX >> (64 - 8 * size);
	std::string_view digits = text;
	bool above = false;

	if (std::optional<__u64> value = read_digits(text, max, above))
		return *value;
	if (above)
		throw ValueError(quote_number(text) + " is above " + std::to_string(max));
	if (skip(digits, '-') && (read_digits(digits, max, above) || above))
		throw ValueError(quote_number(text) + " is below 0");
	throw ValueError(quote_number(text) + " is not a number");
}

static __u64 take_signed(std::string_view &text, __u32 size)
{
	const __u64 max = INT64_MAX >> (64 - 8 * size);
	std::string_view digits = text;
	bool negative = skip(digits, '-');
	bool above = false;

	if (std::optional<__u64> value = read_digits(digits, max + negative, above)) {
		text = digits;
		return negative ? -*value : *value;
	}
	if (above && negative)
		throw ValueError(quote_number(text) + " is below -" + std::to_string(max + 1));
	if (above)
		throw ValueError(quote_number(text) + " is above " + std::to_string(max));
	throw ValueError(quote_number(text) + " is not a number");
}

void store(const Type &type, __u64 value, Out out)
{
	for (__u32 i = 0; i < type.size; i++) {
		bool first_is_low =
			type.kind != Kind::Be && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

		out[first_is_low ? i : type.size - 1 - i] = value;
		value >>= 8;
	}
}

static void take_bool(const Type &type, std::string_view &text, Out out)
{
	std::string_view found = word(text);
	__u64 value = found == "true";

	if (found != "true" && found != "false") {
		std::string_view rest = found;

		if (found.empty() || !is_digit(found[0]))
			throw ValueError(quote_word(text) + " is not true or false");
		value = take_unsigned(rest, type.size);
		if (!rest.empty())
			throw ValueError(excerpt(found) + " is not a number");
	}
	text.remove_prefix(found.size());
	store(type, value, out);
}

// The first names, so that the message stays a line.
static std::string some_names(const Type &type)
{
	constexpr size_t most = 8;
	std::string out;

	for (size_t i = 0; i < type.names.size() && i < most; i++)
		out += (i ? ", " : "") + type.names[i].second;
	if (type.names.size() > most)
		out += ", ...";
	return out;
}

static void take_enum(const Type &type, std::string_view &text, Out out)
{
	std::string_view found = word(text);
	std::string_view rest = found;
	bool negative = found.starts_with('-');
	__u64 value = 0;

	if (negative || type.names.empty() || (!found.empty() && is_digit(found[0]))) {
		// What clang < 15 says of 0xffffffff is -1.
		value = type.is_signed && negative ? take_signed(rest, type.size)
						   : take_unsigned(rest, type.size);
		if (!rest.empty())
			throw ValueError(excerpt(found) + " is not a number");
	} else {
		auto name = std::find_if(type.names.begin(), type.names.end(),
					 [&](const auto &known) { return known.second == found; });

		if (found.empty() || name == type.names.end())
			throw ValueError(quote_word(text) + " is not one of " + some_names(type));
		value = name->first;
	}
	text.remove_prefix(found.size());
	store(type, value, out);
}

static void take_cidr(const Type &type, std::string_view &text, Out out)
{
	std::fill_n(out.begin(), type.size, 0);
	__u32 length = read_cidr(text, address_of(type, out));
	memcpy(out.data(), &length, sizeof(length));
}

static void take_hex(std::string_view &text, Out out)
{
	std::string_view rest = text;
	bool good = true;

	for (size_t i = 0; i < out.size() && good; i++)
		good = read_hex_byte(rest, out[i]);
	if (!good || !at_end(rest))
		throw ValueError(quote_word(text) + " is not " + std::to_string(out.size()) +
				 " bytes in hexadecimal");
	text = rest;
}

// What a backslash stands for before this character; both are taken off already.
static char take_escape(std::string_view &text, char c)
{
	unsigned char byte;

	switch (c) {
	case '"':
	case '\\':
		return c;
	case 'n':
		return '\n';
	case 'r':
		return '\r';
	case 't':
		return '\t';
	case 'x':
		if (read_hex_byte(text, byte))
			return static_cast<char>(byte);
		break;
	}
	throw ValueError(quote(std::string("\\") + c) +
			 R"( is no escape: one of \" \\ \n \r \t \xNN)");
}

static void take_text(std::string_view &text, Out out)
{
	std::string_view rest = text;
	size_t size = 0;

	if (skip(rest, '"')) {
		while (!skip(rest, '"')) {
			bool escape = skip(rest, '\\');

			if (rest.empty())
				throw ValueError("the closing \" is missing");
			char c = rest[0];
			rest.remove_prefix(1);
			if (escape)
				c = take_escape(rest, c);
			if (size < out.size())
				out[size] = c;
			size++;
		}
	} else {
		std::string_view found = word(text);

		if (found.empty() || found.find('\\') != std::string_view::npos)
			throw ValueError(quote_word(text) + " is not text: put it in \"\"");
		size = found.size();
		std::copy_n(found.begin(), std::min(size, out.size()), out.begin());
		rest.remove_prefix(size);
	}
	if (size > out.size())
		throw ValueError("the text has " + std::to_string(size) + " bytes, of at most " +
				 std::to_string(out.size()));
	std::ranges::fill(out.subspan(size), 0);
	text = rest;
}

static void take_value(const Type &type, std::string_view &text, Out out, Missing missing);

// A value within braces or brackets: what it is, is said first where it is wrong.
static void take_part(const std::string &name, const Type &type, std::string_view &text, Out out,
		      Missing missing)
{
	try {
		take_value(type, text, out, missing);
	} catch (const ValueError &e) {
		throw ValueError(name + ": " + e.what());
	}
}

// Is there a value before the closing brace or bracket?
static bool first_part(std::string_view &text, char close)
{
	skip_space(text);
	if (text.empty())
		throw ValueError(std::string("the closing ") + close + " is missing");
	return !skip(text, close);
}

// The same behind a value.
static bool next_part(std::string_view &text, char close)
{
	size_t before = text.size();

	if (!first_part(text, close))
		return false;
	if (before == text.size())
		throw ValueError(quote_word(text) + " is behind a value, without a space");
	return true;
}

static void take_array(const Type &type, std::string_view &text, Out out, Missing missing)
{
	const Type &each = type.members[0].type;
	__u32 count = 0;

	if (!skip(text, '['))
		throw ValueError(quote_word(text) + " is not an array: [value value]");
	if (first_part(text, ']')) {
		do {
			if (count == type.count)
				throw ValueError("there are more than " +
						 std::to_string(type.count) + " values");
			take_part("[" + std::to_string(count) + "]", each, text,
				  out.subspan(size_t{count} * each.size), missing);
			count++;
		} while (next_part(text, ']'));
	}
	if (count < type.count)
		throw ValueError("there are only " + std::to_string(count) + " of " +
				 std::to_string(type.count) + " values");
}

// A field within the braces of a struct or union.
struct Field {
	const Type *type = nullptr; // none: the bytes of a union
	__u32 size = 0;		    // of those
	__u32 offset = 0;	    // from the braces on
	__u32 index = 0;	    // among all fields within the braces
};

// Bytes are those of what is printed: several unions may begin at one offset.
static bool may_be_within(const Type &type, size_t member, std::string_view name)
{
	return type.kind != Kind::Union || member == type.shown || !name.starts_with('@');
}

static bool find_field(const Type &type, std::string_view name, Field &field)
{
	if (type.kind == Kind::Union) {
		if (is_shown_as_bytes(type) && name == "@" + std::to_string(field.offset)) {
			field.size = type.size;
			return true;
		}
		field.index++;
	}
	for (size_t i = 0; i < type.members.size(); i++) {
		const Type::Member &m = type.members[i];

		if (is_anonymous(m) && may_be_within(type, i, name)) {
			Field inner = {nullptr, 0, field.offset + m.offset, field.index};

			if (find_field(m.type, name, inner)) {
				field = inner;
				return true;
			}
		} else if (m.name == name) {
			field.type = &m.type;
			field.offset += m.offset;
			return true;
		}
		field.index += field_count(m);
	}
	return false;
}

// "a, b+c": the members of a union, for messages.
static std::string member_names(const Type &type, const char *separator)
{
	std::string out;

	for (const Type::Member &m : type.members) {
		if (!field_count(m))
			continue;
		out += out.empty() ? "" : separator;
		out += is_anonymous(m)
			       ? member_names(m.type, m.type.kind == Kind::Union ? "|" : "+")
			       : m.name;
	}
	return out;
}

// Is any of these fields given?
static bool any_of(const std::vector<bool> &given, __u32 index, __u32 count)
{
	auto first = given.begin() + index;

	return std::find(first, first + count, true) != first + count;
}

// One member of a union is given.
static void check_one_given(const Type &type, const std::vector<bool> &given, __u32 index,
			    Missing missing)
{
	int members = given[index++]; // as bytes

	for (const Type::Member &m : type.members) {
		members += any_of(given, index, field_count(m));
		index += field_count(m);
	}
	if (members > 1)
		throw ValueError("only one can be given of " + member_names(type, ", "));
	if (!members && type.count > 1 && missing == Missing::Error)
		throw ValueError("give one of " + member_names(type, ", "));
}

// All fields of a struct are given, or one member of a union. `index` is that of its first
// field in `given`.
static void check_given(const Type &type, const std::vector<bool> &given, __u32 index,
			Missing missing)
{
	bool is_union = type.kind == Kind::Union;

	if (is_union)
		check_one_given(type, given, index++, missing);
	for (const Type::Member &m : type.members) {
		bool any = any_of(given, index, field_count(m));

		if (is_anonymous(m) && (any || !is_union))
			check_given(m.type, given, index, missing);
		else if (!any && !is_union && missing == Missing::Error)
			throw ValueError("field " + quote(m.name) + " is missing");
		index += field_count(m);
	}
}

static void take_struct(const Type &type, std::string_view &text, Out out, Missing missing)
{
	std::vector<bool> given(type.count);

	std::fill_n(out.begin(), type.size, 0);
	if (!skip(text, '{'))
		throw ValueError(quote_word(text) + " is not a struct: {field=value field=value}");
	if (first_part(text, '}')) {
		do {
			std::string_view name = word(text);
			Type bytes;
			Field field;

			if (!text.substr(name.size()).starts_with('=') || name.empty())
				throw ValueError(quote_word(text) + " is not a field=value");
			if (!find_field(type, name, field))
				throw ValueError("no field is called " + excerpt(name));
			if (given[field.index])
				throw ValueError("field " + quote(name) + " is given twice");
			given[field.index] = true;
			text.remove_prefix(name.size() + 1);
			if (!field.type)
				bytes = bytes_of(field.size);
			take_part(std::string(name), field.type ? *field.type : bytes, text,
				  out.subspan(field.offset), missing);
		} while (next_part(text, '}'));
	}
	check_given(type, given, 0, missing);
}

// The last field of an LPM key: an address may be a CIDR.
static __u32 take_last(const Type::Member &m, std::string_view &text, Out out)
{
	if (!is_address(m.type)) {
		take_part(m.name, m.type, text, out, Missing::Error);
		return 8 * m.type.size;
	}
	try {
		return read_cidr(text, out.first(m.type.size));
	} catch (const ValueError &e) {
		throw ValueError(m.name + ": " + e.what());
	}
}

// An LPM key without its prefixlen, or else all of its fields.
static void take_fields(const Type &type, std::string_view &text, Out out)
{
	const Type::Member &last = type.members.back();
	std::vector<bool> given(type.count);
	std::string_view rest = text;
	__u32 length = 8 * (last.offset - 4);

	std::fill_n(out.begin(), type.size, 0);
	if (!skip(rest, '{'))
		throw ValueError(quote_word(text) + " is not a struct: {field=value field=value}");
	if (first_part(rest, '}')) {
		do {
			std::string_view name = word(rest);
			Field field;

			if (!rest.substr(name.size()).starts_with('=') || name.empty())
				throw ValueError(quote_word(rest) + " is not a field=value");
			if (!find_field(type, name, field))
				throw ValueError("no field is called " + quote(name));
			if (!field.offset) { // prefixlen
				take_struct(type, text, out, Missing::Error);
				return;
			}
			if (given[field.index])
				throw ValueError("field " + quote(name) + " is given twice");
			given[field.index] = true;
			rest.remove_prefix(name.size() + 1);
			if (field.offset == last.offset)
				length += take_last(last, rest, out.subspan(last.offset));
			else
				take_part(std::string(name), *field.type, rest,
					  out.subspan(field.offset), Missing::Error);
		} while (next_part(rest, '}'));
	}
	memcpy(out.data(), &length, sizeof(length));
	text = rest;
}

static void take_value(const Type &type, std::string_view &text, Out out, Missing missing)
{
	out = out.first(type.size);
	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
		store(type, take_unsigned(text, type.size), out);
		return;
	case Kind::Signed:
		store(type, take_signed(text, type.size), out);
		return;
	case Kind::Bool:
		take_bool(type, text, out);
		return;
	case Kind::Ip4:
	case Kind::Ip6:
		read_address(text, out);
		return;
	case Kind::Mac:
		read_mac(text, out);
		return;
	case Kind::Text:
		take_text(text, out);
		return;
	case Kind::Hex:
		take_hex(text, out);
		return;
	case Kind::Enum:
		take_enum(type, text, out);
		return;
	case Kind::Cidr4:
	case Kind::Cidr6:
		if (!text.starts_with('{')) {
			take_cidr(type, text, out);
			return;
		}
		[[fallthrough]];
	case Kind::Struct:
	case Kind::Union:
		take_struct(type, text, out, missing);
		return;
	case Kind::Prefix:
		take_fields(type, text, out);
		return;
	case Kind::Array:
		take_array(type, text, out, missing);
		return;
	}
}

void parse_front(const Type &type, std::string_view &text, Out out, Missing missing)
{
	std::string_view rest = text;

	take_value(type, rest, out, missing);
	text = rest;
}

void parse(const Type &type, std::string_view text, Out out)
{
	take_value(type, text, out, Missing::Error);
	if (!text.empty())
		throw ValueError(excerpt(text) + " is behind the value");
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "address.h"
#include "cli.h"
#include "interface.h"
#include "lpm.h"
#include "value.h"

using Kind = Type::Kind;

using Out = std::span<unsigned char>;

static __u64 parse_unsigned(std::string_view &text, const Type &type)
{
	const __u64 max = UINT64_MAX >> (64 - value_bits(type));
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

static __u64 parse_signed(std::string_view &text, const Type &type)
{
	const __u64 max = INT64_MAX >> (64 - value_bits(type));
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

// An interface of the network namespace of this process, by its name or number.
static void parse_ifindex(const Type &type, std::string_view &text, Out out)
{
	std::string_view found = word(text);
	std::string_view rest = found;

	if (found.empty())
		throw ValueError(quote_word(text) + " is no device");
	if (is_digits(found) || found.starts_with("0x")) {
		__u64 index = parse_unsigned(rest, type);
		std::array<char, IF_NAMESIZE> name;

		if (!if_indextoname(index, name.data()))
			throw ValueError("no device in this network namespace has the ifindex " +
					 std::to_string(index));
		store(type, index, out);
	} else {
		try {
			store(type, find_interface(std::string(found)).index, out);
		} catch (const std::runtime_error &e) {
			throw ValueError(e.what());
		}
	}
	text.remove_prefix(found.size());
}

static void parse_bool(const Type &type, std::string_view &text, Out out)
{
	std::string_view found = word(text);
	__u64 value = found == "true";

	if (found != "true" && found != "false") {
		std::string_view rest = found;

		if (found.empty() || !is_digit(found[0]))
			throw ValueError(quote_word(text) + " is not true or false");
		value = parse_unsigned(rest, type);
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

static void parse_enum(const Type &type, std::string_view &text, Out out)
{
	std::string_view found = word(text);
	std::string_view rest = found;
	bool negative = found.starts_with('-');
	__u64 value = 0;

	if (negative || type.names.empty() || (!found.empty() && is_digit(found[0]))) {
		// What clang < 15 says of 0xffffffff is -1.
		value = type.is_signed && negative ? parse_signed(rest, type)
						   : parse_unsigned(rest, type);
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

static void parse_cidr_key(const Type &type, std::string_view &text, Out out)
{
	std::fill_n(out.begin(), type.size, 0);
	__u32 length = read_cidr(text, cidr_address(type, out));
	memcpy(out.data(), &length, sizeof(length));
}

static void parse_hex(std::string_view &text, Out out)
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

// The character that a backslash and `c` stand for. Both are removed already.
static char parse_escape(std::string_view &text, char c)
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
			 R"( is not an escape (one of \" \\ \n \r \t \xNN))");
}

static void parse_text(std::string_view &text, Out out)
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
				c = parse_escape(rest, c);
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

static void parse_value(const Type &type, std::string_view &text, Out out, Missing missing);

// Read a part of a value: an error names it first.
template <typename Function> static void parse_part(std::string_view name, Function f)
{
	try {
		f();
	} catch (const ValueError &e) {
		throw ValueError(std::string(name) + ": " + e.what());
	}
}

// Is there a value before the closing brace or bracket? That is removed.
static bool first_part(std::string_view &text, char close)
{
	skip_space(text);
	if (text.empty())
		throw ValueError(std::string("the closing ") + close + " is missing");
	return !skip(text, close);
}

// The same after a value.
static bool next_part(std::string_view &text, char close)
{
	size_t before = text.size();

	if (!first_part(text, close))
		return false;
	if (before == text.size())
		throw ValueError(quote_word(text) + " follows a value without a space");
	return true;
}

static void parse_array(const Type &type, std::string_view &text, Out out, Missing missing)
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
			Out element = out.subspan(size_t{count} * each.size);
			parse_part("[" + std::to_string(count) + "]",
				   [&] { parse_value(each, text, element, missing); });
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

// Read {name=value name=value}, each value by read(field, text), which returns false to stop.
// Returns for each field whether it is given. The bytes of all others are zero.
template <typename Function>
static std::vector<bool> parse_fields(const Type &type, std::string_view &text, Out out,
				      Function read)
{
	std::vector<bool> given(type.count);
	bool more = true;

	std::fill_n(out.begin(), type.size, 0);
	if (!skip(text, '{'))
		throw ValueError(quote_word(text) + " is not a struct: {field=value field=value}");
	if (!first_part(text, '}'))
		return given;
	do {
		std::string_view name = word(text);
		Field field;

		if (!text.substr(name.size()).starts_with('=') || name.empty())
			throw ValueError(quote_word(text) + " is not a field=value");
		if (!find_field(type, name, field))
			throw ValueError("no field is called " + excerpt(name));
		if (given[field.index])
			throw ValueError("field " + quote(name) + " is given twice");
		given[field.index] = true;
		text.remove_prefix(name.size() + 1);
		parse_part(name, [&] { more = read(field, text); });
	} while (more && next_part(text, '}'));
	return given;
}

static void parse_struct(const Type &type, std::string_view &text, Out out, Missing missing)
{
	auto read = [&](const Field &field, std::string_view &value) {
		Out at = out.subspan(field.offset);

		if (field.type)
			parse_value(*field.type, value, at, missing);
		else
			parse_hex(value, at.first(field.size));
		return true;
	};
	std::vector<bool> given = parse_fields(type, text, out, read);

	check_given(type, given, 0, missing);
}

// An LPM key without its prefixlen: the fields say how long the prefix is. With a prefixlen, it is
// a struct like any other.
static void parse_prefix(const Type &type, std::string_view &text, Out out)
{
	const Type::Member &last = type.members.back();
	std::string_view rest = text;
	__u32 length = 8 * (last.offset - 4);
	bool has_prefixlen = false;

	parse_fields(type, rest, out, [&](const Field &field, std::string_view &value) {
		Out at = out.subspan(field.offset, field.type->size);
		bool is_last = field.offset == last.offset;

		has_prefixlen = !field.offset;
		if (has_prefixlen)
			return false;
		if (is_last && is_address_field(last.type)) {
			length += read_cidr(value, at);
			return true;
		}
		parse_value(*field.type, value, at, Missing::Error);
		length += is_last ? 8 * last.type.size : 0;
		return true;
	});
	if (has_prefixlen) {
		parse_struct(type, text, out, Missing::Error);
		return;
	}
	memcpy(out.data(), &length, sizeof(length));
	text = rest;
}

static void parse_value(const Type &type, std::string_view &text, Out out, Missing missing)
{
	out = out.first(type.size);
	switch (type.kind) {
	case Kind::Unsigned:
	case Kind::Be:
		store(type, parse_unsigned(text, type), out);
		return;
	case Kind::Signed:
		store(type, parse_signed(text, type), out);
		return;
	case Kind::Ifindex:
		parse_ifindex(type, text, out);
		return;
	case Kind::Bool:
		parse_bool(type, text, out);
		return;
	case Kind::Ip4:
	case Kind::Ip6:
		read_address(text, out);
		return;
	case Kind::Mac:
		read_mac(text, out);
		return;
	case Kind::Text:
		parse_text(text, out);
		return;
	case Kind::Hex:
		parse_hex(text, out);
		return;
	case Kind::Enum:
		parse_enum(type, text, out);
		return;
	case Kind::Cidr4:
	case Kind::Cidr6:
		if (!text.starts_with('{')) {
			parse_cidr_key(type, text, out);
			return;
		}
		[[fallthrough]];
	case Kind::Struct:
	case Kind::Union:
		parse_struct(type, text, out, missing);
		return;
	case Kind::Prefix:
		parse_prefix(type, text, out);
		return;
	case Kind::Array:
		parse_array(type, text, out, missing);
		return;
	}
}

void parse_front(const Type &type, std::string_view &text, Out out, Missing missing)
{
	std::string_view rest = text;

	parse_value(type, rest, out, missing);
	text = rest;
}

void parse(const Type &type, std::string_view text, Out out)
{
	parse_value(type, text, out, Missing::Error);
	if (!text.empty())
		throw ValueError("unexpected text after the value: " + excerpt(text));
}

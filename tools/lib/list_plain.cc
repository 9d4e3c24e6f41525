// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The forms of an address, a network and a range in the plain format.
#include <algorithm>
#include <array>
#include <bit>

#include "address.h"
#include "list.h"
#include "scan.h"

constexpr std::string_view blanks = " \t\r";

static bool is_blank(char c)
{
	return blanks.find(c) != std::string_view::npos;
}

// Does an entry end before this text?
static bool entry_ends(std::string_view text)
{
	return text.empty() || is_blank(text[0]) || text[0] == '#' || text[0] == ';' ||
	       text[0] == '=';
}

static std::string_view behind_blanks(std::string_view text)
{
	return text.substr(std::min(text.find_first_not_of(blanks), text.size()));
}

static std::string_view entry_of(std::string_view text)
{
	return text.substr(0, text.find_first_of(" \t\r#;="));
}

// 'text', of the entry at the front.
static std::string quote_entry(std::string_view text)
{
	std::string_view entry = entry_of(text);

	return quote_word(entry.empty() ? text : entry);
}

[[noreturn]] static void refuse(std::string_view text, Family family)
{
	std::string_view entry = entry_of(text);
	bool is_ip6 = family == Family::Ip6 ||
		      (family == Family::Any && entry.find(':') != std::string_view::npos);

	if (has_padded_octet(entry))
		throw ValueError(quote_entry(text) + padded_octet);
	throw ValueError(quote_entry(text) + " is not an " + (is_ip6 ? "IPv6" : "IPv4") +
			 " address or prefix");
}

// ---- addresses

// An address as it is written.
struct Address {
	std::array<unsigned char, 16> bytes;
	size_t size = 0; // 4: IPv4; 16: IPv6; 0: there is none
};

static Ip6Number number_of(const Address &address)
{
	if (address.size == 16)
		return to_integer<Ip6Number>(address.bytes);
	std::array<unsigned char, 4> bytes;
	std::copy_n(address.bytes.begin(), bytes.size(), bytes.begin());
	return to_integer<Ip4Number>(bytes);
}

static Address read_one(std::string_view &text)
{
	Address address;

	address.size = scan_address(text, address.bytes);
	return address;
}

// ---- networks

// `length` counts the bits of the address.
static ListedRange network(Address address, __u32 length)
{
	if (clear_host_bits(std::span(address.bytes).first(address.size), length)) {
		std::string right;

		append_unmapped_cidr(right, Bytes(address.bytes).first(address.size), length);
		throw ValueError("host bits are set: did you mean " + right + "?");
	}
	bool is_ip4 = address.size == 4;
	Ip6Number first = number_of(address);
	__u32 host_bits = 8 * address.size - length;
	Ip6Number host = host_bits < 128 ? (Ip6Number{1} << host_bits) - 1 : ~Ip6Number{0};
	return {is_ip4, first, first | host};
}

// The number of ones of a netmask.
static __u32 mask_length(const Address &mask, std::string_view text)
{
	auto bits = static_cast<__u32>(number_of(mask));
	auto ones = static_cast<__u32>(std::countl_one(bits));

	if (std::popcount(bits) == static_cast<int>(ones))
		return ones;
	__u32 zeros = std::countl_zero(bits);
	if (std::popcount(bits) == static_cast<int>(32 - zeros))
		throw ValueError(quote_entry(text) + " is a wildcard mask: the netmask would be /" +
				 std::to_string(zeros));
	throw ValueError(quote_entry(text) + " is not a netmask");
}

// The text after the slash: a number of bits, or a netmask. `entry` begins before it.
static ListedRange read_network(const Address &address, std::string_view &text,
				std::string_view entry)
{
	auto bits = static_cast<__u32>(8 * address.size);
	__u32 length = 0;
	size_t digits = 0;

	if (address.size == 4) {
		std::string_view rest = text;
		Address mask = read_one(rest);

		if (mask.size == 4 && entry_ends(rest)) {
			length = mask_length(mask, text);
			text = rest;
			return network(address, length);
		}
	}
	for (; digits < 3 && digits < text.size() && is_digit(text[digits]); digits++)
		length = length * 10 + (text[digits] - '0');
	if (!digits || length > bits || !entry_ends(text.substr(digits)))
		throw ValueError(quote_entry(entry) + " has a prefix length that is not 0 to " +
				 std::to_string(bits));
	text.remove_prefix(digits);
	return network(address, length);
}

// ---- ranges

static ListedRange read_range(const Address &first, std::string_view &text)
{
	std::string_view rest = behind_blanks(text);
	std::string_view end = rest;
	Address last = read_one(rest);

	if (has_padded_octet(entry_of(end)))
		throw ValueError(quote_entry(end) + padded_octet);
	if (!last.size || !entry_ends(rest))
		throw ValueError("the end of the range, " + quote_entry(end) +
				 ", is not an address");
	if (last.size != first.size)
		throw ValueError("the range begins and ends in different families");
	ListedRange range = {first.size == 4, number_of(first), number_of(last)};
	if (range.last < range.first)
		throw ValueError("the range ends before it begins");
	text = rest;
	return range;
}

// ---- entries

static bool is_mapped(Ip6Number address)
{
	return address >= v4_mapped_first && address <= v4_mapped_last;
}

// The IPv4 range for a v4-mapped one.
static void unmap(ListedRange &range)
{
	bool first = is_mapped(range.first) && range.first != v4_mapped_first;
	bool last = is_mapped(range.last) && range.last != v4_mapped_last;

	if (!first && !last)
		return; // none of them, or all, and perhaps more
	if (!is_mapped(range.first) || !is_mapped(range.last))
		throw ValueError("the range has a part of the v4-mapped addresses, and others");
	range = {true, range.first - v4_mapped_first, range.last - v4_mapped_first};
}

// A range, a netmask after a blank, or an address with something else behind it. `entry` begins
// before `text`.
static ListedRange read_long_form(const Address &address, std::string_view &text,
				  std::string_view entry, Family family)
{
	std::string_view more = behind_blanks(text);

	if (skip(more, '-')) {
		ListedRange range = read_range(address, more);

		text = more;
		return range;
	}
	if (!entry_ends(text))
		refuse(entry, family);
	std::string_view behind_mask = more;
	Address mask;
	if (more.size() < text.size() && address.size == 4)
		mask = read_one(behind_mask);
	if (mask.size != 4 || !entry_ends(behind_mask))
		return network(address, 8 * address.size);
	text = behind_mask;
	return network(address, mask_length(mask, more));
}

ListedRange read_listed(std::string_view &text, Family family)
{
	std::string_view rest = text;
	Address address = read_one(rest);
	ListedRange range;

	if (!address.size)
		refuse(text, family);
	if (rest.empty())
		range = network(address, 8 * address.size);
	else if (skip(rest, '/'))
		range = read_network(address, rest, text);
	else
		range = read_long_form(address, rest, text, family);
	if (!range.is_ip4)
		unmap(range);
	text = rest;
	return range;
}

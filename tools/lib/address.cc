// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

static constexpr std::array<unsigned char, 12> v4_mapped = {0, 0, 0, 0, 0,    0,
							    0, 0, 0, 0, 0xff, 0xff};

// Of each byte: its decimal digits and a dot, and how many characters these are.
struct Quarter {
	std::array<char, 4> text = {};
	unsigned char size = 0;
};
static constexpr std::array<Quarter, 256> quarters = [] {
	std::array<Quarter, 256> table = {};

	for (int i = 0; i < 256; i++) {
		Quarter &q = table[i];

		for (int power = 100; power; power /= 10)
			if (i >= power || power == 1)
				q.text[q.size++] = static_cast<char>('0' + i / power % 10);
		q.text[q.size++] = '.';
	}
	return table;
}();

static char *write_ip4(char *out, Bytes address)
{
	for (int i = 0; i < 4; i++) {
		const Quarter &q = quarters[address[i]];

		memcpy(out, q.text.data(), q.text.size());
		out += q.size;
	}
	return out - 1; // the last dot
}

// The longest run of two or more groups that are zero, of several the first: "::" stands for it.
static std::pair<int, int> longest_zeros(const std::array<unsigned, 8> &groups)
{
	int first = 8;
	int size = 1;
	int run = 0;

	for (int i = 0; i < 8; i++) {
		run = groups[i] ? 0 : run + 1;
		if (run > size) {
			size = run;
			first = i + 1 - run;
		}
	}
	return {first, size};
}

// glibc's inet_ntop() takes several times as long as all else that is printed of an event.
static char *write_ip6(char *out, Bytes address)
{
	std::array<unsigned, 8> groups;

	for (size_t i = 0; i < 8; i++)
		groups[i] = address[2 * i] << 8 | address[2 * i + 1];
	auto [first, size] = longest_zeros(groups);
	// IPv4 within: v4-mapped, or the v4-compatible of RFC 4291 section 2.5.5.1.
	bool has_ip4 = first == 0 && (size == 6 || (size == 5 && groups[5] == 0xffff));
	for (int i = 0; i < (has_ip4 ? 6 : 8);) {
		if (i == first) {
			*out++ = ':';
			*out++ = ':';
			i += size;
			continue;
		}
		if (i && i != first + size)
			*out++ = ':';
		out = std::to_chars(out, out + 4, groups[i++], 16).ptr;
	}
	if (!has_ip4)
		return out;
	if (size == 5)
		*out++ = ':';
	return write_ip4(out, address.subspan(12));
}

char *write_address(char *out, Bytes address)
{
	return address.size() == 4 ? write_ip4(out, address) : write_ip6(out, address);
}

char *write_mac(char *out, Bytes mac)
{
	for (int i = 0; i < 6; i++) {
		if (i)
			*out++ = ':';
		out = write_hex(out, mac[i]);
	}
	return out;
}

static char *write_cidr(char *out, Bytes address, __u32 length)
{
	out = write_address(out, address);
	*out++ = '/';
	return std::to_chars(out, out + 3, length).ptr;
}

Bytes unmap(Bytes address)
{
	bool mapped = address.size() == 16 &&
		      memcmp(address.data(), v4_mapped.data(), v4_mapped.size()) == 0;

	return mapped ? address.subspan(v4_mapped.size()) : address;
}

// One that is v4-mapped has at least 96 bits, or else some of its bits were host bits.
char *write_unmapped_cidr(char *out, Bytes address, __u32 length)
{
	Bytes network = unmap(address);

	return write_cidr(out, network, length - 8 * (address.size() - network.size()));
}

void append_cidr(std::string &out, Bytes address, __u32 length)
{
	std::array<char, longest_cidr> text;

	out.append(text.data(), write_cidr(text.data(), address, length));
}

void append_unmapped_cidr(std::string &out, Bytes address, __u32 length)
{
	std::array<char, longest_cidr> text;

	out.append(text.data(), write_unmapped_cidr(text.data(), address, length));
}

bool clear_host_bits(std::span<unsigned char> address, __u32 length)
{
	unsigned char found = 0;
	size_t i = length / 8;

	if (length % 8) {
		found |= address[i] & (0xff >> length % 8);
		address[i++] &= 0xff << (8 - length % 8);
	}
	for (; i < address.size(); i++) {
		found |= address[i];
		address[i] = 0;
	}
	return found;
}

static bool read_ip4(std::string_view &text, std::span<unsigned char> out)
{
	const char *at = text.data();
	const char *end = at + text.size();

	for (int i = 0; i < 4; i++) {
		unsigned value = 0;

		if (i) {
			if (at == end || *at != '.')
				return false;
			at++;
		}
		const char *first = at;
		while (at != end && is_digit(*at) && at - first < 4)
			value = value * 10 + (*at++ - '0');
		if (at == first || value > 255 || (at - first > 1 && *first == '0'))
			return false;
		out[i] = value;
	}
	text.remove_prefix(at - text.data());
	return true;
}

// The characters of an IPv6 address.
static constexpr std::array<bool, 256> in_address = [] {
	std::array<bool, 256> table = {};

	for (unsigned char c : std::string_view("0123456789abcdefABCDEF:."))
		table[c] = true;
	return table;
}();

// `is_ip4` says that it was written as IPv4, which stands for the v4-mapped address.
static bool read_ip6(std::string_view &text, std::span<unsigned char> out, bool &is_ip4)
{
	std::array<char, INET6_ADDRSTRLEN> copy;
	size_t size = 0;

	while (size < text.size() && in_address[static_cast<unsigned char>(text[size])])
		size++;
	if (size >= copy.size())
		return false;
	std::string_view address = text.substr(0, size);
	is_ip4 = address.find(':') == std::string_view::npos;
	if (is_ip4) {
		std::copy(v4_mapped.begin(), v4_mapped.end(), out.begin());
		return read_ip4(text, out.subspan(v4_mapped.size()));
	}
	*std::copy(address.begin(), address.end(), copy.begin()) = '\0';
	text.remove_prefix(size);
	return inet_pton(AF_INET6, copy.data(), out.data()) == 1;
}

size_t scan_address(std::string_view &text, std::span<unsigned char, 16> address)
{
	if (read_ip4(text, address))
		return 4;
	std::string_view rest = text;
	bool is_ip4;

	if (!read_ip6(rest, address, is_ip4) || is_ip4)
		return 0;
	text = rest;
	return 16;
}

bool has_padded_octet(std::string_view text)
{
	text = text.substr(0, text.find_first_of("/-"));
	// Of an IPv6 address, the part that is written as IPv4.
	text = text.substr(text.rfind(':') + 1);
	if (text.find('.') == std::string_view::npos ||
	    text.find_first_not_of("0123456789.") != std::string_view::npos)
		return false;
	for (size_t at = 0; at < text.size(); at++)
		if (text[at] == '0' && (!at || text[at - 1] == '.') && at + 1 < text.size() &&
		    text[at + 1] != '.')
			return true;
	return false;
}

static const char *family(std::span<unsigned char> address)
{
	return address.size() == 4 ? "IPv4" : "IPv6";
}

// `text` is no address of the size of `address`.
[[noreturn]] static void refuse(std::string_view text, std::span<unsigned char> address,
				const char *what)
{
	if (has_padded_octet(word(text)))
		throw ValueError(quote_word(text) + padded_octet);
	throw ValueError(quote_word(text) + " is not an " + family(address) + what);
}

// The IPv4 address of a v4-mapped one.
static bool read_mapped(std::string_view &text, std::span<unsigned char> out)
{
	std::array<unsigned char, 16> address;
	bool is_ip4;

	if (!read_ip6(text, address, is_ip4) || unmap(address).size() != out.size())
		return false;
	std::copy(address.begin() + v4_mapped.size(), address.end(), out.begin());
	return true;
}

static bool read_ip(std::string_view &text, std::span<unsigned char> address, bool &is_ip4)
{
	if (address.size() != 4)
		return read_ip6(text, address, is_ip4);
	std::string_view rest = text;
	is_ip4 = read_ip4(text, address);
	if (is_ip4)
		return true;
	text = rest;
	return read_mapped(text, address);
}

void read_address(std::string_view &text, std::span<unsigned char> address)
{
	std::string_view rest = text;
	bool is_ip4;

	if (!read_ip(rest, address, is_ip4) || !at_end(rest))
		refuse(text, address, " address");
	text = rest;
}

void read_mac(std::string_view &text, std::span<unsigned char> mac)
{
	std::string_view rest = text;
	bool good = true;

	for (int i = 0; i < 6 && good; i++)
		good = (!i || skip(rest, ':')) && read_hex_byte(rest, mac[i]);
	if (!good || !at_end(rest))
		throw ValueError(quote_word(text) + " is not a MAC address");
	text = rest;
}

// The text behind the slash: 0 to `bits`, in at most three digits.
static bool read_length(std::string_view &text, __u32 bits, __u32 &length)
{
	size_t digits = 0;

	length = 0;
	for (; digits < 3 && digits < text.size() && is_digit(text[digits]); digits++)
		length = length * 10 + (text[digits] - '0');
	text.remove_prefix(digits);
	return digits && length <= bits && at_end(text);
}

__u32 read_cidr(std::string_view &text, std::span<unsigned char> address)
{
	std::string_view rest = text;
	bool is_ip4;

	if (!read_ip(rest, address, is_ip4) || (!at_end(rest) && rest[0] != '/'))
		refuse(text, address, " address or prefix");
	__u32 bits = is_ip4 ? 32 : 128; // which the length in the text counts
	__u32 length = bits;
	if (skip(rest, '/') && !read_length(rest, bits, length))
		throw ValueError(quote_word(text) + " has a prefix length that is not 0 to " +
				 std::to_string(bits));
	if (bits > 8 * address.size() && length <= bits - 8 * address.size())
		throw ValueError(quote_word(text) + " is more than IPv4");
	length += 8 * address.size() - bits;
	if (clear_host_bits(address, length)) {
		std::string right;

		append_unmapped_cidr(right, address, length);
		throw ValueError("host bits are set: did you mean " + right + "?");
	}
	text = rest;
	return length;
}

__u32 parse_cidr(std::string_view text, std::span<unsigned char> address)
{
	__u32 length = read_cidr(text, address);

	if (!text.empty())
		throw ValueError("unexpected text after the address: " + excerpt(text));
	return length;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Addresses as text, and as bytes in network byte order: 4 bytes are IPv4, 16 are IPv6.
//
//   10.0.0.1            IPv4: decimal without leading zeros, as inet_pton(3) reads it
//   2001:db8::1         IPv6
//   ::ffff:10.0.0.1     IPv6, v4-mapped: where IPv6 is read, 10.0.0.1 means the same, and where
//                       IPv4 is read, this means 10.0.0.1
//   10.0.0.0/8          a CIDR: no host bits may be set
//   02:00:00:00:00:01   MAC
#pragma once

#include <endian.h>
#include <linux/types.h>

#include <array>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "scan.h"

// Write the address as text, without a NUL, and return its end. An IPv6 address is written as
// inet_ntop(3) writes it. Up to longest_address bytes from `out` on may be written.
char *write_address(char *out, Bytes address);
char *write_mac(char *out, Bytes mac);
constexpr size_t longest_address = 48;

// The same for a CIDR, a v4-mapped one as the IPv4 one.
char *write_unmapped_cidr(char *out, Bytes address, __u32 length);
constexpr size_t longest_cidr = longest_address + sizeof("/128");

// Append a CIDR.
void append_cidr(std::string &out, Bytes address, __u32 length);
void append_unmapped_cidr(std::string &out, Bytes address, __u32 length);

// Read an address of either family at the front of `text`, whatever follows it, and remove it.
// Returns how many bytes it has, 4 or 16; or 0, and `text` is as it was.
size_t scan_address(std::string_view &text, std::span<unsigned char, 16> address);

// Has the IPv4 address a zero before the other digits of a number? inet_aton(3) reads it as octal,
// others as decimal.
bool has_padded_octet(std::string_view text);
constexpr const char *padded_octet =
	" has a number with a leading zero, which may be octal or decimal";

// Read an address at the front of `text` into `address`, whose size says which family it is,
// and remove it. Throws ValueError; then `text` is as it was.
void read_address(std::string_view &text, std::span<unsigned char> address);
void read_mac(std::string_view &text, std::span<unsigned char> mac);

// The same for a CIDR. Returns the length of its prefix, which counts the bits of `address`:
// of 10.0.0.0/8 it is 104 where that has 16 bytes, and of ::ffff:10.0.0.0/104 it is 8 where that
// has 4. An address without a length is a CIDR of this address alone.
__u32 read_cidr(std::string_view &text, std::span<unsigned char> address);

// The same for all of `text`: other text after it is an error.
__u32 parse_cidr(std::string_view text, std::span<unsigned char> address);

// The IPv4 address within a v4-mapped one; any other address as it is.
Bytes unmap(Bytes address);

// Clear the host bits, which follow the first `length` bits; `length` is at most the number
// of bits. Returns whether any were set.
bool clear_host_bits(std::span<unsigned char> address, __u32 length);

// An address as an integer of the same size, in host byte order, to sort and to count with:
// __u32 for IPv4, unsigned __int128 for IPv6. Byte by byte this would take a tenth of the time
// of a list.
template <typename Integer>
Integer to_integer(const std::array<unsigned char, sizeof(Integer)> &address)
{
	if constexpr (sizeof(Integer) == 16) {
		std::array<__u64, 2> halves;

		memcpy(halves.data(), address.data(), sizeof(halves));
		return Integer{be64toh(halves[0])} << 64 | be64toh(halves[1]);
	} else {
		Integer integer;

		memcpy(&integer, address.data(), sizeof(integer));
		return be32toh(integer);
	}
}

template <typename Integer> std::array<unsigned char, sizeof(Integer)> from_integer(Integer integer)
{
	std::array<unsigned char, sizeof(Integer)> address;

	if constexpr (sizeof(Integer) == 16) {
		std::array<__u64, 2> halves = {htobe64(static_cast<__u64>(integer >> 64)),
					       htobe64(static_cast<__u64>(integer))};

		memcpy(address.data(), halves.data(), sizeof(halves));
	} else {
		integer = htobe32(integer);
		memcpy(address.data(), &integer, sizeof(integer));
	}
	return address;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Values by type: the bytes of a BPF map or event as people write them, and back.
// BTF says which type a field has:
//
//   __be16, __be64    80: a port, or a number in network byte order
//   __be32            10.0.0.1
//   struct in6_addr   2001:db8::1; a v4-mapped address is written as IPv4
//   __u8[6]           02:00:00:00:00:01
//   char[]            "GET /": text with the escapes \" \\ \n \r \t \xNN, without the zeros at
//                     its end. Without white space and = # { } [ ] " \ it needs no quotes
//   enum              tcp: the name, or the number of a value without one
//   an ifindex        5, read as the interface's name as well: eth0
//   bool              true, false, or the number of any other value
//   other integers    7777: a number in host byte order; pointers too
//   a bitfield        as any other integer, bool or enum
//   struct            {a=1 b=2}: all its fields, in any order. The fields of an anonymous
//                     member are written among the others
//   union             {a=1}: one member. The first one that covers every byte is printed: it
//                     is as large as any other, and has no padding
//   union             {@0=0a0b0c0d}: where there is no such member, its bytes in hexadecimal;
//                     they begin 0 bytes after the start of the braces
//   array             [1 2 3]
//   an LPM key        10.0.0.0/8 or 2001:db8::/32; a v4-mapped prefix is written as IPv4
//   an LPM key        {port=80 addr=10.0.0.0/8}: where it has more fields than an address. The
//                     last one, if it is an address, is a CIDR
//   an LPM key        {port=80}: the prefix ends before the last field
//   an LPM key        {prefixlen=20 port=80 addr=10.0.0.0}: any other, with all its fields:
//                     host bits are set, or the prefix ends elsewhere
//
// A number is printed in decimal, and read in decimal or as 0x...; a sign is read only where
// the type has one. A value ends at white space, at the end of the text, or at one of
// = # { } [ ] " and a number at - too. The fields of an LPM key are read in any order, and an
// omitted one is zero. A value that was printed is read back to the same bytes, except for
// padding, which becomes zero. Printing is in printer.h.
#pragma once

#include <linux/types.h>

#include <span>
#include <string>
#include <string_view>

#include "scan.h"
#include "type.h"

// Is an omitted field of a struct, or member of a union, an error, or zero?
enum class Missing { Error, Zero };

// Read the value at the front of `text` as it is printed, into out[0, type.size), and remove
// it. Throws ValueError: then `text` is as it was, and `out` may hold anything.
void parse_front(const Type &type, std::string_view &text, std::span<unsigned char> out,
		 Missing missing = Missing::Error);

// The same for all of `text`: other text after the value is an error.
void parse(const Type &type, std::string_view text, std::span<unsigned char> out);

// The value of an integer, bool or enum, as its bits and zeros above them; and the way back, into
// out[0, type.size). The bits around a bitfield stay.
__u64 integer(const Type &type, Bytes bytes);
void store(const Type &type, __u64 value, std::span<unsigned char> out);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Values by type: the bytes of a BPF map or event as people write them, and back.
// BTF says what a field is:
//
//   __be16, __be64    a port: a number, of network byte order
//   __be32            an IPv4 address
//   struct in6_addr   an IPv6 address; a v4-mapped one as its IPv4 address
//   an LPM key        a CIDR, 10.0.0.0/8; of IPv6, a v4-mapped one as its IPv4 CIDR
//                     where it has more fields, {port=80 addr=10.0.0.0/8}: the last one, if
//                     that is an address, as a CIDR; left out where the prefix ends
//                     before it. Read in any order, and what else is left out is zero
//   __u8[6]           a MAC address
//   char[]            "text" with the escapes \" \\ \n \r \t \xNN; the zeros at its end are
//                     left out. Read without quotes where it has no white space and
//                     none of  = # { } [ ] " \ in it
//   enum              the name; the number where it has none
//   bool              true or false; the number where it is neither 1 nor 0
//   other integers    a number, of host byte order; pointers too
//   struct            {field=value field=value}: all of them, read in any order. The fields
//                     of an anonymous member are among the others
//   union             {field=value}: one of them. Printed is the first that says every byte:
//                     that is as large as any, and has no padding; where there is none,
//                     {@0=0a0b0c0d}: all bytes, in hexadecimal, from offset 0 of the braces
//   array             [value value]
//
// A number is printed in decimal, and read in decimal or as 0x...; no sign where none can
// be. A value ends at white space, the end, or one of  = # { } [ ] "; a number at - too.
// What is printed is read back to the same bytes, but for padding, which becomes zero.
// An LPM key that cannot be written so, as it has host bits set, or as its prefix ends elsewhere,
// is written as the struct that it is, with its prefixlen.
#pragma once

#include <linux/types.h>

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "scan.h"
#include "type.h"

// Append the value to `out`. `bytes` holds at least type.size bytes.
void print_value(const Type &type, Bytes bytes, std::string &out);

// The same, but the fields of the outermost struct or union are without braces.
void print(const Type &type, Bytes bytes, std::string &out);

// The value as JSON: integers are numbers, structs are objects, unions too, with all of
// their fields; text ends at its NUL; the rest is text as it is printed.
nlohmann::ordered_json to_json(const Type &type, Bytes bytes);

// What of a struct, or union, is not given: an error, or zero.
enum class Missing { Error, Zero };

// Read the value at the front of `text` as it is printed, into out[0, type.size), and take
// it off; what is left is the caller's. Throws ValueError: then `text` is as it was, and
// `out` may hold anything.
void parse_front(const Type &type, std::string_view &text, std::span<unsigned char> out,
		 Missing missing = Missing::Error);

// The same for all of `text`: what is behind the value is an error.
void parse(const Type &type, std::string_view text, std::span<unsigned char> out);

// The value of an integer type, and the other way: into out[0, type.size).
__u64 integer(const Type &type, Bytes bytes);
void store(const Type &type, __u64 value, std::span<unsigned char> out);

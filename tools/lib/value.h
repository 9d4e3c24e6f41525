// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Values by type: the bytes of a BPF map or event as people write them. BTF
// says what a field is:
//
//   __be16            a port: decimal, of network byte order
//   __be32            an IPv4 address
//   struct in6_addr   an IPv6 address; a v4-mapped one as its IPv4 address
//   __u8[6]           a MAC address
//   char[]            text, up to its NUL
//   enum              the name; the number where it has none
//   bool              true or false
//   other integers    decimal, of host byte order
//   struct, union     {field=value field=value}
//   array             [value value]
#pragma once

#include <bpf/btf.h>
#include <linux/types.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

struct FreeBtf {
	void operator()(struct btf *btf) const
	{
		btf__free(btf);
	}
};
using Btf = std::unique_ptr<struct btf, FreeBtf>;
using Bytes = std::span<const unsigned char>;

// A type, as far as printing needs it. It holds no reference to the BTF.
struct Type {
	enum class Kind { Unsigned, Signed, Bool, Be, Ip4, Ip6, Mac, Text, Enum, Struct, Array };

	Kind kind = Kind::Unsigned;
	__u32 size = 0;					  // in bytes
	std::vector<std::pair<__u64, std::string>> names; // of an enum's values, cut to size
	bool is_signed = false;				  // of an enum: a value without a name

	struct Member;
	std::vector<Member> members; // of a struct; the only element type of an array
	__u32 count = 0;	     // of an array's elements
};

struct Type::Member {
	std::string name; // empty in an array
	__u32 offset = 0; // in bytes
	Type type;
};

// BTF of an object file (ELF, or raw BTF), or of the kernel's object with this id.
Btf load_btf_file(const std::string &path);
Btf load_btf_id(__u32 id);

// The type with this BTF id. Fails on what cannot be shown: a bitfield, a
// function, an integer that is wider than 64 bits.
Type read_type(const struct btf *btf, __u32 id);

// The id of the struct called `name`, or 0.
__u32 find_struct(const struct btf *btf, const std::string &name);

// The id of the value type of the map called `name` in an object file's BTF, or 0.
__u32 find_map_value(const struct btf *btf, const std::string &name);

// Append the value to `out`. `bytes` holds at least type.size bytes. The fields of
// the outermost struct are written without braces.
void print(const Type &type, Bytes bytes, std::string &out);

// The value as JSON: a struct is an object, integers are numbers, the rest is text.
nlohmann::ordered_json to_json(const Type &type, Bytes bytes);

// The value of an integer type.
__u64 integer(const Type &type, Bytes bytes);

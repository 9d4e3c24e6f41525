// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What the bytes of a BPF map or event are, by BTF or by a type's name.
#pragma once

#include <bpf/btf.h>
#include <linux/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct FreeBtf {
	void operator()(struct btf *btf) const
	{
		btf__free(btf);
	}
};
using Btf = std::unique_ptr<struct btf, FreeBtf>;

// A type, as far as its values go. It holds no reference to the BTF.
struct Type {
	enum class Kind {
		Unsigned,
		Signed,
		Bool,
		Be,
		Ip4,
		Ip6,
		Mac,
		Text,
		Hex,
		Ifindex,
		Enum,
		Struct,
		Union,
		Array,
		Cidr4,
		Cidr6,
		Prefix, // another key of an LPM trie: prefixlen, then fields without a gap
	};

	Kind kind = Kind::Unsigned;
	__u32 size = 0;	 // in bytes; of a bitfield: of its bytes
	__u32 bits = 0;	 // of a bitfield; 0: it is none
	__u32 shift = 0; // of a bitfield: the bits in front, the lowest ones on little endian
	std::vector<std::pair<__u64, std::string>> names; // of an enum's values, cut to size
	bool is_signed = false;				  // of an enum: a value without a name

	struct Member;
	std::vector<Member> members; // of a struct, union, LPM key; the only element of an array
	__u32 count = 0;	     // of an array's elements; of the fields within the braces
	__u32 shown = 0;	     // of a union: the member that is printed; their number: bytes
};

struct Type::Member {
	std::string name; // empty in an array, and of an anonymous struct or union
	__u32 offset = 0; // in bytes
	Type type;
};

// An anonymous struct or union: its fields are among those of the struct around it.
bool is_anonymous(const Type::Member &m);

// How many fields the member has within the braces of the struct around it.
__u32 field_count(const Type::Member &m);

// The key of an LPM trie, by its fields.
bool is_lpm_key(const Type &type);

// The bits of an integer, bool or enum.
__u32 value_bits(const Type &type);

// A union of which no member says every byte, so that its bytes are printed. Its count is more
// than 1 where it has fields at all.
bool is_shown_as_bytes(const Type &type);

// The name at this offset in the BTF; empty where the BTF is damaged.
std::string_view name_of(const struct btf *btf, __u32 offset);

// BTF of an object file (ELF, or raw BTF), or of the kernel's object with this id. `way_out` is
// what the message adds where this may not be read.
Btf load_btf_file(const std::string &path);
Btf load_btf_id(__u32 id, const std::string &way_out = "");

// The type with this BTF id. Fails on what cannot be written: a function, an integer that is wider
// than 64 bits, floating point.
Type read_type(const struct btf *btf, __u32 id);

// The type called so where there is no BTF: u8 to u64, s8 to s64, be16, be32 (an IPv4
// address), be64, each with or without a leading __; in6_addr, mac, cidr4, cidr6, bool; arrays
// of these, u32[4]; char[N] is text, u8[6] a mac, hex[N] so many bytes, written as 2 N
// hexadecimal digits. Throws UsageError.
Type named_type(const std::string &name);

// The id of the struct called `name`, or 0.
__u32 find_struct(const struct btf *btf, const std::string &name);

// The ids of the key and value types of the map called `name` in an object file's BTF, 0
// where it does not say. A name of 15 characters may be the beginning of the map's.
struct MapTypes {
	__u32 key = 0;
	__u32 value = 0;
};
MapTypes find_map_types(const struct btf *btf, const std::string &name);

// The BTF of an object file with sections of variables, as libbpf loads it; empty where libbpf
// cannot open the file.
Btf load_section_btf(const std::string &path);

// The id of the section whose variables are in a map of this name and size, or 0.
__u32 find_section(const struct btf *btf, const std::string &map, __u32 size);

// Is it a section of variables? As a type it is a struct of these.
bool is_section(const struct btf *btf, __u32 id);

// The number of a network interface, in 4 bytes.
Type ifindex_type();

// An array of so many elements; of 6 bytes, a MAC.
Type array_of(Type each, __u32 count);

// A struct of fields that follow each other.
Type struct_of(std::vector<Type::Member> members);

// So many bytes, hex[N].
Type bytes_of(__u32 size);

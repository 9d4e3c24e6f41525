// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Keys of LPM tries, as struct bpf_lpm_trie_key_u8 of linux/bpf.h: the length of the prefix in
// host byte order, then the bytes that it counts the bits of.
#pragma once

#include <linux/types.h>

#include <optional>
#include <span>

#include "scan.h"
#include "type.h"

__u32 prefix_length(Bytes key);

// Clear the bits after the prefix, which the kernel ignores. Returns whether any were set.
bool clear_after_prefix(std::span<unsigned char> key);

// The address of a key of type Cidr4 or Cidr6, without padding.
inline std::span<unsigned char> cidr_address(const Type &type, std::span<unsigned char> key)
{
	return key.subspan(4, type.kind == Type::Kind::Cidr4 ? 4 : 16);
}
inline Bytes cidr_address(const Type &type, Bytes key)
{
	return key.subspan(4, type.kind == Type::Kind::Cidr4 ? 4 : 16);
}

// Can the key be written as a CIDR? It is of type Cidr4 or Cidr6, and has no host bits set.
bool is_cidr(const Type &type, Bytes key);

// Is the field an address, so that it is written as a CIDR where it is the key's last one?
bool is_address_field(const Type &field);

// For a key of type Prefix: how many bits of its last field the prefix covers. Nothing where
// it ends before that field, or within a field that is not an address, or where bits after it
// are set: such a key is written with its prefixlen.
std::optional<__u32> covered_of_last(const Type &type, Bytes key);

// For such a key, call f(member, length) for each field except prefixlen, and for the last one
// only if the prefix covers any of it, `of_last` bits. `length` is that of the last one where
// it is an address, to be written as a CIDR, else 0.
template <typename Function> void each_covered(const Type &type, __u32 of_last, Function f)
{
	const Type::Member &last = type.members.back();

	for (size_t i = 1; i + 1 < type.members.size(); i++)
		f(type.members[i], 0);
	if (of_last)
		f(last, is_address_field(last.type) ? of_last : 0);
}

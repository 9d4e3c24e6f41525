// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "value.h"

using Kind = Type::Kind;

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

void store(const Type &type, __u64 value, std::span<unsigned char> out)
{
	for (__u32 i = 0; i < type.size; i++) {
		bool first_is_low =
			type.kind != Kind::Be && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

		out[first_is_low ? i : type.size - 1 - i] = value;
		value >>= 8;
	}
}

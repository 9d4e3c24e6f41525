// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "value.h"

using Kind = Type::Kind;

// A bitfield of 64 bits may lie in 9 bytes.
using Wide = unsigned __int128;

constexpr bool is_little_endian = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

// Where the i-th byte of the integer is, of the lowest one on.
static __u32 place(const Type &type, __u32 i)
{
	return is_little_endian && type.kind != Kind::Be ? i : type.size - 1 - i;
}

// How many bits of a bitfield's bytes are below it.
static __u32 bits_below(const Type &type)
{
	return is_little_endian ? type.shift : 8 * type.size - type.bits - type.shift;
}

static __u64 mask(const Type &type)
{
	return type.bits ? UINT64_MAX >> (64 - type.bits) : UINT64_MAX;
}

// Byte by byte: a member of a packed struct may lie anywhere.
static Wide read_bytes(const Type &type, Bytes bytes)
{
	Wide value = 0;

	for (__u32 i = type.size; i--;)
		value = value << 8 | bytes[place(type, i)];
	return value;
}

static void write_bytes(const Type &type, Wide value, std::span<unsigned char> out)
{
	for (__u32 i = 0; i < type.size; i++, value >>= 8)
		out[place(type, i)] = static_cast<unsigned char>(value);
}

__u64 integer(const Type &type, Bytes bytes)
{
	Wide value = read_bytes(type, bytes);

	if (type.bits)
		value >>= bits_below(type);
	return static_cast<__u64>(value) & mask(type);
}

void store(const Type &type, __u64 value, std::span<unsigned char> out)
{
	Wide all = value;

	if (type.bits) {
		__u32 below = bits_below(type);

		all = read_bytes(type, out) & ~(Wide{mask(type)} << below);
		all |= Wide{value & mask(type)} << below;
	}
	write_bytes(type, all, out);
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "lpm.h"

#include <cstring>
#include <vector>

#include "address.h"

using Kind = Type::Kind;

__u32 prefix_length(Bytes key)
{
	__u32 length;

	memcpy(&length, key.data(), sizeof(length));
	return length;
}

bool clear_after_prefix(std::span<unsigned char> key)
{
	return clear_host_bits(key.subspan(sizeof(__u32)), prefix_length(key));
}

bool is_cidr(const Type &type, Bytes key)
{
	if (type.kind != Kind::Cidr4 && type.kind != Kind::Cidr6)
		return false;
	Bytes address = cidr_address(type, key);
	std::vector<unsigned char> copy(address.begin(), address.end());

	return prefix_length(key) <= 8 * copy.size() && !clear_host_bits(copy, prefix_length(key));
}

bool is_address_field(const Type &field)
{
	return field.kind == Kind::Ip4 || field.kind == Kind::Ip6;
}

std::optional<__u32> covered_of_last(const Type &type, Bytes key)
{
	const Type::Member &last = type.members.back();
	Bytes fields = key.subspan(4, last.offset - 4 + last.type.size); // without padding
	std::vector<unsigned char> copy(fields.begin(), fields.end());
	__u32 before = 8 * (last.offset - 4);
	__u32 length = prefix_length(key);

	if (length < before || length > 8 * copy.size() || clear_host_bits(copy, length))
		return {};
	length -= before;
	if (length && length < 8 * last.type.size && !is_address_field(last.type))
		return {};
	return length;
}

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Ranges of addresses as integers in host byte order, and the CIDRs that a range consists of.
#pragma once

#include <linux/types.h>

#include <bit>

using Ip4Number = __u32;
using Ip6Number = unsigned __int128;

inline int trailing_zeros(Ip4Number a)
{
	return std::countr_zero(a);
}

inline int trailing_zeros(Ip6Number a)
{
	auto low = static_cast<__u64>(a);

	return low ? std::countr_zero(low) : 64 + std::countr_zero(static_cast<__u64>(a >> 64));
}

// Call f(first address, prefix length) for the fewest CIDRs that make up the range.
template <typename Address, typename Function>
void for_each_cidr(Address first, Address last, Function f)
{
	constexpr int bits = 8 * sizeof(Address);

	for (;;) {
		int host_bits = trailing_zeros(first);
		Address host = host_bits < bits ? (Address{1} << host_bits) - 1 : ~Address{0};

		for (; host > last - first; host >>= 1)
			host_bits--;
		f(first, bits - host_bits);
		if (first + host == last)
			return;
		first += host + 1;
	}
}

// The addresses of an entry of a list, from the first to the last one. Those of IPv4 are below
// 2^32.
struct ListedRange {
	bool is_ip4;
	Ip6Number first;
	Ip6Number last;
};

// ::ffff:0:0/96, RFC 4291 section 2.5.5.2
constexpr Ip6Number v4_mapped_first = Ip6Number{0xffff} << 32;
constexpr Ip6Number v4_mapped_last = v4_mapped_first | 0xffffffff;

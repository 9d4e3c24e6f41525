// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Ranges of addresses, and the CIDRs that a range consists of. An address is an integer
// in host byte order.
#pragma once

#include <linux/types.h>

#include <algorithm>
#include <bit>
#include <vector>

#include "../../bpf/xdp_blocklist.h"

// The differences between the two address families, so that one code does for both. A slot
// is a part of the address space, see xdp_blocklist.h.
struct V4 {
	using Address = __u32;
	static constexpr int bits = 32;

	static __u32 slot(Address a)
	{
		return a >> 8;
	}
	// The last address of the slot.
	static Address slot_end(Address a)
	{
		return a | 0xff;
	}
};

struct V6 {
	using Address = unsigned __int128;
	static constexpr int bits = 128;

	static __u32 slot(Address a)
	{
		return block_slot6(static_cast<__u64>(a >> 64));
	}
	static Address slot_end(Address a)
	{
		bool global = a >> 125 == 1; // 2000::/3

		return a | ((Address{1} << (global ? 128 - 26 : 128 - 23)) - 1);
	}
};

template <typename Family> struct Range {
	using Address = typename Family::Address;
	Address first;
	Address last;
};
template <typename Family> using Ranges = std::vector<Range<Family>>;

// The addresses to block.
struct List {
	Ranges<V4> v4;
	Ranges<V6> v6;
};

// Sort the ranges, and join those that overlap or touch.
template <typename Family> void merge(Ranges<Family> &ranges)
{
	auto by_first = [](const auto &a, const auto &b) { return a.first < b.first; };
	size_t count = 0;

	if (!std::is_sorted(ranges.begin(), ranges.end(), by_first))
		std::sort(ranges.begin(), ranges.end(), by_first);
	for (const Range<Family> &range : ranges) {
		Range<Family> *before = count ? &ranges[count - 1] : nullptr;

		if (before && (range.first <= before->last || range.first - 1 == before->last))
			before->last = std::max(before->last, range.last);
		else
			ranges[count++] = range;
	}
	ranges.resize(count);
}

inline int trailing_zeros(V4::Address a)
{
	return std::countr_zero(a);
}

inline int trailing_zeros(V6::Address a)
{
	auto low = static_cast<__u64>(a);

	return low ? std::countr_zero(low) : 64 + std::countr_zero(static_cast<__u64>(a >> 64));
}

// Call f(first address, prefix length) for the fewest CIDRs that make up the range.
template <typename Family, typename Function>
void for_each_cidr(const Range<Family> &range, Function f)
{
	using Address = typename Family::Address;
	Address first = range.first;

	for (;;) {
		int host_bits = trailing_zeros(first);
		Address host =
			host_bits < Family::bits ? (Address{1} << host_bits) - 1 : ~Address{0};

		for (; host > range.last - first; host >>= 1)
			host_bits--;
		f(first, Family::bits - host_bits);
		if (first + host == range.last)
			return;
		first += host + 1;
	}
}

template <typename Family> size_t count_cidrs(const Ranges<Family> &ranges)
{
	size_t count = 0;

	for (const Range<Family> &range : ranges)
		for_each_cidr(range, [&](auto, int) { count++; });
	return count;
}

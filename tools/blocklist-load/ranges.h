// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The addresses to block, as ranges of integers in host byte order.
#pragma once

#include <linux/types.h>

#include <algorithm>
#include <vector>

#include "../../bpf/xdp_blocklist.h"
#include "../lib/range.h"

// The differences between the two address families, so that one code does for both. A slot
// is a part of the address space, see xdp_blocklist.h.
struct V4 {
	using Address = Ip4Number;
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
	using Address = Ip6Number;
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

// Call f(first address, prefix length) for the fewest CIDRs that make up the range.
template <typename Family, typename Function>
void for_each_cidr(const Range<Family> &range, Function f)
{
	for_each_cidr(range.first, range.last, f);
}

template <typename Family> size_t count_cidrs(const Ranges<Family> &ranges)
{
	size_t count = 0;

	for (const Range<Family> &range : ranges)
		for_each_cidr(range, [&](auto, int) { count++; });
	return count;
}

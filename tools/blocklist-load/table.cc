// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "table.h"

#include <algorithm>
#include <bit>

#include "../lib/cli.h"

constexpr __u32 slot_count = 1U << BLOCK_SLOT_BITS;
constexpr size_t buckets_per_interval = 8; // at most, and half as many at least

// ---- slots

// Call f(slot, range, whole) for the part of the range in each slot; `whole` says that the
// range covers the slot.
template <typename Family, typename Function>
static void for_each_slot(const Range<Family> &range, Function f)
{
	auto before = [](auto a) { return static_cast<decltype(a)>(a - 1); };

	for (auto first = range.first;;) {
		auto slot_end = Family::slot_end(first);
		auto last = std::min(slot_end, range.last);
		bool from_start = !first || Family::slot(before(first)) != Family::slot(first);

		f(Family::slot(first), Range<Family>{first, last}, from_start && last == slot_end);
		if (last == range.last)
			return;
		first = last + 1;
	}
}

// Call f(slot, its ranges) for each slot that is listed in part. They come in the order of
// the addresses, which is not the order of the slots.
template <typename Family, typename Function>
static void for_each_partial_slot(const Ranges<Family> &ranges, Function f)
{
	Ranges<Family> parts;
	__u32 slot_of_parts = 0;

	for (const Range<Family> &range : ranges) {
		for_each_slot(range, [&](__u32 slot, const Range<Family> &part, bool whole) {
			if (!parts.empty() && slot != slot_of_parts) {
				f(slot_of_parts, parts);
				parts.clear();
			}
			slot_of_parts = slot;
			if (!whole)
				parts.push_back(part);
		});
	}
	if (!parts.empty())
		f(slot_of_parts, parts);
}

// The word of the bitmap that has the slot's bit. CellSpan is of const cells or of others.
template <typename CellSpan> static auto &present_word(CellSpan cells, __u32 first, __u32 slot)
{
	return cells[first + slot / 512].present[slot / 64 % 8];
}

template <typename CellSpan> static auto &rank_of(CellSpan cells, __u32 first, __u32 slot)
{
	return cells[first + BLOCK_PRESENT_CELLS + slot / 256].rank[slot / 64 % 4];
}

// The leaf of a slot that is listed in part.
template <typename CellSpan> static __u32 leaf_index(CellSpan cells, __u32 first, __u32 slot)
{
	const struct block_rank &rank = rank_of(cells, first, slot);
	__u64 below = (__u64{1} << slot % 64) - 1;

	return rank.leaf + std::popcount(present_word(cells, first, slot) & ~rank.whole & below);
}

// ---- boundaries and buckets

static struct block_boundary boundary_at(V6::Address a)
{
	constexpr __u64 mask = (__u64{1} << BLOCK_BOUNDARY_BITS) - 1;

	return {static_cast<__u64>(a >> 64) & mask, static_cast<__u64>(a)};
}

// The boundary behind this address. It has one bit more where that is the end of the slot.
static struct block_boundary boundary_after(V6::Address a)
{
	struct block_boundary boundary = boundary_at(a);

	if (!++boundary.low)
		boundary.high++;
	return boundary;
}

// How the intervals of a slot are spread over buckets.
struct Buckets {
	explicit Buckets(const Ranges<V6> &parts) : base(parts[0].first)
	{
		while (number(parts.back().last) >= buckets_per_interval * parts.size())
			shift++;
		count = number(parts.back().last) + 1;
	}
	__u64 number(V6::Address address) const
	{
		return static_cast<__u64>(
			std::min<V6::Address>((address - base) >> shift, UINT64_MAX));
	}

	V6::Address base;
	int shift = 1;
	__u32 count;
};

static size_t bucket_cells(size_t buckets)
{
	return (buckets + 7) / 8;
}

static size_t boundary_cells(size_t intervals)
{
	return (intervals + 1) / 2;
}

// ---- plan

Plan plan(const List &list)
{
	constexpr size_t directory = BLOCK_PRESENT_CELLS + BLOCK_RANK_CELLS;
	size_t slots4 = 0; // that are listed in part
	size_t slots6 = 0;
	size_t in_buckets = 0; // cells
	size_t cells = 1;
	Plan plan;

	for_each_partial_slot(list.v4, [&](__u32, const Ranges<V4> &) { slots4++; });
	for_each_partial_slot(list.v6, [&](__u32, const Ranges<V6> &parts) {
		slots6++;
		if (parts.size() > 1)
			in_buckets +=
				bucket_cells(Buckets(parts).count) + boundary_cells(parts.size());
	});
	if (!list.v4.empty()) {
		plan.first4 = cells;
		plan.leaves4 = plan.first4 + directory;
		cells = plan.leaves4 + (slots4 + 1) / 2;
	}
	if (!list.v6.empty()) {
		plan.first6 = cells;
		plan.leaves6 = plan.first6 + directory;
		plan.buckets = plan.leaves6 + (slots6 + 1) / 2;
		cells = plan.buckets + in_buckets;
	}
	if (cells > UINT32_MAX / 2) // leaves are numbered by halves of a cell
		fail("build the list", "it is too long");
	plan.cells = cells;
	return plan;
}

// ---- build

// Fill in the bitmap and the rank directory. `leaf` is the first leaf of the family.
template <typename Family>
static void build_directory(Cells cells, __u32 first, const Ranges<Family> &ranges, __u32 leaf)
{
	for (const Range<Family> &range : ranges) {
		for_each_slot(range, [&](__u32 slot, const Range<Family> &, bool whole) {
			__u64 bit = __u64{1} << slot % 64;

			present_word(cells, first, slot) |= bit;
			if (whole)
				rank_of(cells, first, slot).whole |= bit;
		});
	}
	for (__u32 slot = 0; slot < slot_count; slot += 64) {
		struct block_rank &rank = rank_of(cells, first, slot);

		rank.leaf = leaf;
		leaf += std::popcount(present_word(cells, first, slot) & ~rank.whole);
	}
}

static void build_bits(struct block_bits &bits, const Ranges<V4> &parts)
{
	for (const Range<V4> &part : parts)
		for (__u32 i = part.first & 0xff; i <= (part.last & 0xff); i++)
			bits.word[i / 64] |= __u64{1} << i % 64;
}

// Fill in a leaf whose buckets and boundaries begin at cell `first`. Returns the number of
// their cells.
static __u32 build_buckets(struct block_buckets &leaf, Cells cells, __u32 first,
			   const Ranges<V6> &parts)
{
	Buckets buckets(parts);
	__u32 boundaries = first + bucket_cells(buckets.count);
	__u32 count = 0;  // of boundaries
	__u32 number = 0; // of the bucket that the last boundary lies in

	auto bucket = [&](__u32 i) { return &cells[first + i / 8].bucket[i % 8]; };
	auto add = [&](V6::Address at, const struct block_boundary &boundary) {
		__u32 last = std::min<__u64>(buckets.number(at), buckets.count - 1);

		for (; number < last; number++)
			bucket(number)->to = bucket(number + 1)->from = count;
		cells[boundaries + count / 4].boundary[count % 4] = boundary;
		count++;
	};

	leaf = {BLOCK_BUCKETS | __u64{buckets.count} << 8 | buckets.shift, first, boundaries,
		boundary_at(parts[0].first)};
	for (const Range<V6> &part : parts) {
		add(part.first, boundary_at(part.first));
		add(part.last + 1, boundary_after(part.last));
	}
	bucket(number)->to = count;
	return boundaries + boundary_cells(parts.size()) - first;
}

static void build_v4(Cells cells, const Plan &plan, const Ranges<V4> &ranges)
{
	build_directory(cells, plan.first4, ranges, 2 * plan.leaves4);
	for_each_partial_slot(ranges, [&](__u32 slot, const Ranges<V4> &parts) {
		__u32 leaf = leaf_index(cells, plan.first4, slot);

		build_bits(cells[leaf / 2].bits[leaf % 2], parts);
	});
}

static void build_v6(Cells cells, const Plan &plan, const Ranges<V6> &ranges)
{
	__u32 next = plan.buckets;

	build_directory(cells, plan.first6, ranges, 2 * plan.leaves6);
	for_each_partial_slot(ranges, [&](__u32 slot, const Ranges<V6> &parts) {
		__u32 leaf = leaf_index(cells, plan.first6, slot);
		union block_cell &cell = cells[leaf / 2];

		if (parts.size() > 1)
			next += build_buckets(cell.buckets[leaf % 2], cells, next, parts);
		else
			cell.interval[leaf % 2] = {
				{boundary_at(parts[0].first), boundary_after(parts[0].last)}};
	});
}

void build(Cells cells, const Plan &plan, const List &list)
{
	cells[0].head = {plan.first4, plan.first6, static_cast<__u32>(plan.cells)};
	if (plan.first4)
		build_v4(cells, plan, list.v4);
	if (plan.first6)
		build_v6(cells, plan, list.v6);
}

// ---- read back

// Append a range that comes after all others. Those that touch become one.
template <typename Family> static void append(Ranges<Family> &ranges, const Range<Family> &range)
{
	if (!ranges.empty() &&
	    ranges.back().last == static_cast<decltype(range.first)>(range.first - 1))
		ranges.back().last = range.last;
	else
		ranges.push_back(range);
}

// Call f(slot, whole) for the slots from `slot` to before `end` that are listed, as a whole
// or in part.
template <typename Function>
static void for_each_listed_slot(ConstCells cells, __u32 first, __u32 slot, __u32 end, Function f)
{
	for (; slot < end; slot++) {
		__u64 present = present_word(cells, first, slot) >> slot % 64;

		if (!present)
			slot |= 63; // on to the next word
		else if (present & 1)
			f(slot, rank_of(cells, first, slot).whole >> slot % 64 & 1);
	}
}

static void read_v4(ConstCells cells, Ranges<V4> &ranges)
{
	__u32 first = cells[0].head.first4;

	for_each_listed_slot(cells, first, 0, slot_count, [&](__u32 slot, bool whole) {
		__u32 base = slot << 8;

		if (whole) {
			append(ranges, {base, V4::slot_end(base)});
			return;
		}
		__u32 leaf = leaf_index(cells, first, slot);
		const struct block_bits &bits = cells[leaf / 2].bits[leaf % 2];
		for (__u32 i = 0; i < 256; i++)
			if (bits.word[i / 64] >> i % 64 & 1)
				append(ranges, {base | i, base | i});
	});
}

static V6::Address address_of(const struct block_boundary &boundary)
{
	return V6::Address{boundary.high} << 64 | boundary.low;
}

static std::vector<V6::Address> boundaries_of(ConstCells cells, __u32 leaf)
{
	const struct block_buckets &buckets = cells[leaf / 2].buckets[leaf % 2];
	std::vector<V6::Address> boundaries;

	if (buckets.shape & BLOCK_BUCKETS) {
		__u32 last = static_cast<__u32>(buckets.shape >> 8) - 1;
		__u32 count = cells[buckets.buckets + last / 8].bucket[last % 8].to;

		for (__u32 i = 0; i < count; i++)
			boundaries.push_back(
				address_of(cells[buckets.boundaries + i / 4].boundary[i % 4]));
	} else {
		for (const auto &boundary : cells[leaf / 2].interval[leaf % 2].boundary)
			boundaries.push_back(address_of(boundary));
	}
	return boundaries;
}

static void read_v6(ConstCells cells, Ranges<V6> &ranges)
{
	constexpr __u32 half = slot_count / 2;
	constexpr V6::Address mask = (V6::Address{1} << (64 + BLOCK_BOUNDARY_BITS)) - 1;
	__u32 first = cells[0].head.first6;

	auto read_slots = [&](__u32 from, __u32 to, V6::Address base, int bits) {
		for_each_listed_slot(cells, first, from, to, [&](__u32 slot, bool whole) {
			V6::Address address = base | V6::Address{slot % half} << bits;

			if (whole) {
				append(ranges, {address, V6::slot_end(address)});
				return;
			}
			std::vector<V6::Address> boundaries =
				boundaries_of(cells, leaf_index(cells, first, slot));
			address &= ~mask;
			for (size_t i = 0; i + 1 < boundaries.size(); i += 2)
				append(ranges,
				       {address + boundaries[i], address + boundaries[i + 1] - 1});
		});
	};
	// In the order of the addresses: ::/3, 2000::/3, the others.
	read_slots(half, half + half / 8, 0, 128 - 23);
	read_slots(0, half, V6::Address{1} << 125, 128 - 26);
	read_slots(half + half / 4, 2 * half, 0, 128 - 23);
}

List read_back(ConstCells cells)
{
	List list;

	if (cells[0].head.first4)
		read_v4(cells, list.v4);
	if (cells[0].head.first6)
		read_v6(cells, list.v6);
	return list;
}

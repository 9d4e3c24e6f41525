// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The table that xdp_blocklist looks addresses up in, as bpf/xdp_blocklist.h describes it:
// planned, built and read back, in memory of the caller.
#pragma once

#include <linux/types.h>

#include <cstddef>
#include <span>

#include "../../bpf/xdp_blocklist.h"
#include "ranges.h"

using Cells = std::span<union block_cell>;
using ConstCells = std::span<const union block_cell>;

// Where the parts of a table begin, by cell; 0 where the list has no address of the family.
struct Plan {
	__u32 first4 = 0;
	__u32 leaves4 = 0;
	__u32 first6 = 0;
	__u32 leaves6 = 0;
	__u32 buckets = 0; // and the boundaries that lie in them
	size_t cells = 1;  // of the whole table
};

// Plan the table of a list that merge() has sorted. Fails when it is too long for 32 bits.
Plan plan(const List &list);

// Build it. There are at least plan.cells cells, and all are zero.
void build(Cells cells, const Plan &plan, const List &list);

// The list in a table, sorted, without ranges that touch.
List read_back(ConstCells cells);

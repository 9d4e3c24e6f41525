/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * A block list in the kernel: a two-level bitmap with a rank directory over its
 * leaves, and bucketed interval boundaries in the large leaves of IPv6. (Those
 * who know Poptrie or roaring bitmaps are at home.)
 *
 * It is one array map of cells. blocklist-load writes it, xdp_blocklist reads
 * it. Cells are numbered from the beginning of the array, and leaves as well:
 * two leaves fit into a cell, so leaf N is in cell N / 2. All numbers are in
 * host byte order.
 *
 * The address space is cut into slots with 24-bit numbers: an IPv4 slot is a
 * /24, for an IPv6 slot see block_slot6(). An address family with at least one
 * listed address has these three parts, in this order:
 *
 *   BLOCK_PRESENT_CELLS of `present`  the bitmap: one bit per slot, set if any
 *                                     address of the slot is listed
 *   BLOCK_RANK_CELLS of `rank`        the rank directory, one entry per 64 slots:
 *                                     which slots are listed as a whole, and the
 *                                     first leaf of the others
 *   the leaves                        one for each slot that is listed in part,
 *                                     in the order of the slots. IPv4: `bits`.
 *                                     IPv6: `interval` or `buckets`
 *
 * The leaf of a slot is found by its rank: the directory's first leaf plus the
 * number of slots before it, among these 64, that are listed in part.
 *
 * An IPv6 leaf is a sorted list of boundaries: the first listed address, the
 * first address behind it that is not listed, the next listed one, and so on.
 * An address is listed if the number of boundaries at or below it is odd. A leaf
 * with two boundaries is an `interval`. A leaf with more is `buckets`: its
 * boundaries are in other cells, and so that few of them are compared, a `bucket`
 * for every 2^shift addresses, from `base` on, says which boundaries lie in it.
 */
#ifndef HOOKSET_XDP_BLOCKLIST_H
#define HOOKSET_XDP_BLOCKLIST_H

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

#define BLOCK_CELL_BYTES 64 /* a cache line */
#define BLOCK_SLOT_BITS 24
#define BLOCK_PRESENT_CELLS (1 << (BLOCK_SLOT_BITS - 9))
#define BLOCK_RANK_CELLS (1 << (BLOCK_SLOT_BITS - 8))

/* Cell 0: where each family begins. */
struct block_head {
	__u32 first4; /* the first cell of IPv4, 0 if no IPv4 address is listed */
	__u32 first6; /* the same for IPv6 */
	__u32 cells;  /* of the whole list */
};

/* 64 slots in the rank directory. */
struct block_rank {
	__u64 whole; /* one bit per slot: the slot is listed as a whole */
	__u32 leaf;  /* the first leaf of these slots */
	__u32 unused;
};

/* An IPv4 leaf: one bit for each address of the /24. */
struct block_bits {
	__u64 word[4];
};

/* An IPv6 address without the bits that all addresses of its slot share. */
struct block_boundary {
	__u64 high;
	__u64 low;
};

#define BLOCK_BOUNDARY_BITS 41 /* of `high` */

/* An IPv6 leaf with one interval: from boundary[0] to before boundary[1]. */
struct block_interval {
	struct block_boundary boundary[2];
};

/* An IPv6 leaf with more intervals. */
struct block_buckets {
	__u64 shape;	  /* BLOCK_BUCKETS | number of buckets << 8 | shift, which is 1 to 104 */
	__u32 buckets;	  /* the first cell of `bucket` */
	__u32 boundaries; /* the first cell of `boundary` */
	struct block_boundary base; /* the lowest boundary; bucket 0 begins here */
};

#define BLOCK_BUCKETS (1ULL << 63) /* tells the two kinds apart: no boundary.high has this bit */

/* The boundaries in a bucket, by their index: from `from` to before `to`. */
struct block_bucket {
	__u32 from;
	__u32 to;
};

union block_cell {
	struct block_head head; /* cell 0 */
	__u64 present[8];
	struct block_rank rank[4];
	struct block_bits bits[2];
	struct block_interval interval[2];
	struct block_buckets buckets[2];
	struct block_bucket bucket[8];
	struct block_boundary boundary[4];
};

static_assert(sizeof(union block_cell) == BLOCK_CELL_BYTES, "a cell is a cache line");

/*
 * The slot of an IPv6 address; `high` is its first 64 bits. Half of the slots
 * are the /26 of 2000::/3, where all global unicast addresses are (RFC 4291
 * section 2.4, IANA). The other half are the /23 of the rest.
 */
static inline __u32 block_slot6(__u64 high)
{
	return high >> 61 == 1 ? high >> 38 & 0x7fffff : 0x800000 | high >> 41;
}

/* Packets dropped since the program was loaded. */
struct block_stats {
	__u64 dropped4; /* IPv4 */
	__u64 dropped6; /* IPv6 */
};

static_assert(sizeof(struct block_stats) == 16, "struct block_stats is part of the interface");

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What a block list is in the kernel: one array of cells, which blocklist-load
 * fills in and xdp_blocklist reads. Where it says where something is, it counts
 * from the array's beginning. All numbers are of host byte order.
 *
 * The address space is cut into slots, numbered in 24 bits: of IPv4 they are
 * the /24, of IPv6 see block_slot6(). Each family that anything is listed of
 * has, one behind the other:
 *
 *   BLOCK_ANY_CELLS of `any`  a bit per slot: is anything of it listed?
 *   BLOCK_TOP_CELLS of `top`  64 slots each: which are listed as a whole, and
 *                             where the first of the others is
 *   the others                what is listed of each slot that is not listed as
 *                             a whole, in the order of the slots: of IPv4
 *                             `bits`, of IPv6 `pair` or `many`
 *
 * Of an IPv6 slot there are keys: the first address that is listed, the first
 * behind it that is not, the next that is, and so on. An address is listed if
 * the number of keys that are not above it is odd. Two keys are a `pair`. More
 * are elsewhere, in order, and `many` says where, and how to find an address
 * among them: from `base` on, the lowest key, there is a `span` for every
 * 2^shift addresses, which says which keys lie within.
 */
#ifndef HOOKSET_XDP_BLOCKLIST_H
#define HOOKSET_XDP_BLOCKLIST_H

#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

#define BLOCK_CELL_BYTES 64 /* a line of the cache */
#define BLOCK_SLOT_BITS 24
#define BLOCK_ANY_CELLS (1 << (BLOCK_SLOT_BITS - 9))
#define BLOCK_TOP_CELLS (1 << (BLOCK_SLOT_BITS - 8))

/* Where to begin. */
struct block_head {
	__u32 first4; /* the first cell of IPv4, 0 if there is none */
	__u32 first6; /* likewise */
	__u32 cells;  /* of the whole list */
};

/* 64 slots. */
struct block_top {
	__u64 full; /* a bit per slot: it is listed as a whole */
	__u32 part; /* `bits`, `pair` or `many` of the first that is listed in part */
	__u32 unused;
};

/* The addresses of an IPv4 /24, a bit each. */
struct block_bits {
	__u64 word[4];
};

/* An IPv6 address, without the bits that all of its slot have in common. */
struct block_key {
	__u64 high;
	__u64 low;
};

#define BLOCK_KEY_BITS 41 /* of `high` */

/* An IPv6 slot with two keys. */
struct block_pair {
	struct block_key key[2];
};

/* An IPv6 slot with more. */
struct block_many {
	__u64 shape; /* BLOCK_MANY | how many spans << 8 | shift, which is 1 to 104 */
	__u32 spans; /* the first cell of them */
	__u32 keys;  /* likewise */
	struct block_key base;
};

#define BLOCK_MANY (1ULL << 63) /* no key.high has it */

/* The keys within a span, by their numbers: from the one on, up to before the other. */
struct block_span {
	__u32 from;
	__u32 to;
};

union block_cell {
	struct block_head head; /* cell 0 */
	__u64 any[8];
	struct block_top top[4];
	struct block_bits bits[2];
	struct block_pair pair[2];
	struct block_many many[2];
	struct block_span span[8];
	struct block_key key[4];
};

static_assert(sizeof(union block_cell) == BLOCK_CELL_BYTES, "a cell is a line of the cache");

/*
 * The slot of an IPv6 address, whose first 64 bits these are. One half of the
 * slots is for the /26 of 2000::/3, where all global unicast addresses are (RFC
 * 4291 section 2.4, IANA), the other for the /23 of all others.
 */
static inline __u32 block_slot6(__u64 high)
{
	return high >> 61 == 1 ? high >> 38 & 0x7fffff : 0x800000 | high >> 41;
}

/* Packets dropped, counted since the program was loaded. */
struct block_stats {
	__u64 dropped4; /* IPv4 */
	__u64 dropped6; /* IPv6 */
};

static_assert(sizeof(struct block_stats) == 16, "struct block_stats is part of the interface");

#endif

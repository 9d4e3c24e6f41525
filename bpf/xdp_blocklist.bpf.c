// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_blocklist: drop packets from listed addresses, IPv4 or IPv6, by a two-level
 * bitmap with a rank directory over leaves, and bucketed interval boundaries. The
 * number of map lookups for a packet does not depend on the size of the list.
 *
 * blocklist-load writes a list into an array map of its own, in the form that
 * xdp_blocklist.h describes, and puts this map into the slot of `blocklist`. So a
 * packet is checked against one complete list, or, before the first load, against
 * none. block_stats counts the packets dropped.
 *
 * Packets that are not IP or cannot be parsed pass. Neighbour discovery from a
 * listed address is dropped like any other packet.
 */
#include "xdp_blocklist.h"

#include "include/parse.h"

/* Key: 0; value: the active list, see xdp_blocklist.h. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(map_flags, BPF_F_INNER_MAP | BPF_F_MMAPABLE); /* of any length */
			__uint(max_entries, 1);
			__uint(key_size, sizeof(__u32)); /* clang < 18 leaves the type out */
			__uint(value_size, sizeof(union block_cell));
		});
} blocklist SEC(".maps");

/* Key: 0; value: the counters of each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct block_stats);
} block_stats SEC(".maps");

static __always_inline const union block_cell *cell(void *list, __u32 number)
{
	return bpf_map_lookup_elem(list, &number);
}

static __always_inline __u32 count_bits(__u64 bits)
{
	bits -= bits >> 1 & 0x5555555555555555;
	bits = (bits & 0x3333333333333333) + (bits >> 2 & 0x3333333333333333);
	bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0f;
	return bits * 0x0101010101010101 >> 56;
}

enum listed {
	LISTED_NOT,
	LISTED_WHOLE,
	LISTED_LEAF,
};

/* Is the slot listed? If it is listed in part: which leaf has its addresses? */
static __always_inline enum listed find_slot(void *list, __u32 first, __u32 slot, __u32 *leaf)
{
	const union block_cell *present, *rank;
	__u64 bit = 1ULL << slot % 64;
	__u64 word, whole;

	present = cell(list, first + slot / 512);
	if (!present) /* never */
		return LISTED_NOT;
	word = present->present[slot / 64 % 8];
	if (!(word & bit))
		return LISTED_NOT;

	rank = cell(list, first + BLOCK_PRESENT_CELLS + slot / 256);
	if (!rank) /* never */
		return LISTED_NOT;
	whole = rank->rank[slot / 64 % 4].whole;
	if (whole & bit)
		return LISTED_WHOLE;

	*leaf = rank->rank[slot / 64 % 4].leaf + count_bits(word & ~whole & (bit - 1));
	return LISTED_LEAF;
}

static __always_inline bool is_listed4(void *list, __u32 first, __u32 address)
{
	const union block_cell *c;
	enum listed listed;
	__u32 leaf;

	listed = find_slot(list, first, address >> 8, &leaf);
	if (listed != LISTED_LEAF)
		return listed;

	c = cell(list, leaf / 2);
	if (!c) /* never */
		return false;
	return c->bits[leaf % 2].word[address / 64 % 4] >> address % 64 & 1;
}

/*
 * address -= boundary. Returns 1 if the result is below zero, else 0. It is taken from the sign
 * of the difference: a branch would be mispredicted as often as not.
 */
static __always_inline __u64 subtract(struct block_boundary *address,
				      const struct block_boundary *boundary)
{
	__u64 low = address->low - boundary->low;
	__u64 borrow =
		((~address->low & boundary->low) | ((~address->low | boundary->low) & low)) >> 63;

	address->low = low;
	address->high -= boundary->high + borrow;
	return address->high >> 63;
}

static __always_inline __u32 is_above(const struct block_boundary *boundary,
				      struct block_boundary address)
{
	return subtract(&address, boundary);
}

/* distance >> shift, or a number that no bucket has, if that is more than 64 bits. */
static __always_inline __u64 bucket_number(struct block_boundary distance, __u32 shift)
{
	if (shift >= 64)
		return distance.high >> (shift - 64);
	if (distance.high >> shift)
		return ~0ULL;
	return distance.high << (64 - shift) | distance.low >> shift;
}

static __always_inline bool is_in_buckets(void *list, const struct block_buckets *buckets,
					  const struct block_boundary *address)
{
	struct block_boundary distance = *address;
	const union block_cell *c;
	__u32 from, to, middle;
	__u64 number;

	/* In which bucket? */
	if (subtract(&distance, &buckets->base))
		return false;
	number = bucket_number(distance, buckets->shape & 0xff);
	if (number >= (__u32)(buckets->shape >> 8))
		return false;
	c = cell(list, buckets->buckets + number / 8);
	if (!c) /* never */
		return false;
	from = c->bucket[number % 8].from;
	to = c->bucket[number % 8].to;

	/* How many boundaries are at or below it? Most buckets have one or two. */
	for (int i = 0; i < 32 && from < to; i++) {
		__u32 above;

		middle = from + (to - from) / 2;
		c = cell(list, buckets->boundaries + middle / 4);
		if (!c) /* never */
			return false;
		above = -is_above(&c->boundary[middle % 4], *address); /* all ones, or 0 */
		to = (middle & above) | (to & ~above);
		from = (from & above) | ((middle + 1) & ~above);
	}
	return from & 1;
}

static __always_inline bool is_listed6(void *list, __u32 first, const struct in6_addr *ip)
{
	const __be32 *quarter = ip->s6_addr32;
	struct block_boundary address = {
		.high = (__u64)bpf_ntohl(quarter[0]) << 32 | bpf_ntohl(quarter[1]),
		.low = (__u64)bpf_ntohl(quarter[2]) << 32 | bpf_ntohl(quarter[3]),
	};
	const struct block_interval *interval;
	const union block_cell *c;
	enum listed listed;
	__u32 leaf;

	listed = find_slot(list, first, block_slot6(address.high), &leaf);
	if (listed != LISTED_LEAF)
		return listed;

	c = cell(list, leaf / 2);
	if (!c) /* never */
		return false;
	address.high &= (1ULL << BLOCK_BOUNDARY_BITS) - 1;
	if (c->buckets[leaf % 2].shape & BLOCK_BUCKETS)
		return is_in_buckets(list, &c->buckets[leaf % 2], &address);
	interval = &c->interval[leaf % 2];
	return is_above(&interval->boundary[0], address) <
	       is_above(&interval->boundary[1], address);
}

static __always_inline struct block_stats *stats(void)
{
	const __u32 zero = 0;

	return bpf_map_lookup_elem(&block_stats, &zero);
}

static __always_inline int block4(struct cursor *c, void *list, __u32 first)
{
	struct block_stats *counters;
	struct iphdr *ip;

	/* Is it from a listed address? */
	if (parse_ip4_header(c, &ip) < 0)
		return XDP_PASS;
	if (!is_listed4(list, first, bpf_ntohl(ip->saddr)))
		return XDP_PASS;

	/* Its source is listed: drop it. */
	counters = stats();
	if (counters) /* always */
		counters->dropped4++;
	return XDP_DROP;
}

static __always_inline int block6(struct cursor *c, void *list, __u32 first)
{
	struct block_stats *counters;
	struct ipv6hdr *ip;

	/* Is it from a listed address? Extension headers do not matter here. */
	if (parse_ip6_header(c, &ip) < 0)
		return XDP_PASS;
	if (!is_listed6(list, first, &ip->saddr))
		return XDP_PASS;

	/* Its source is listed: drop it. */
	counters = stats();
	if (counters) /* always */
		counters->dropped6++;
	return XDP_DROP;
}

XDP_SECTION
int xdp_blocklist(struct xdp_md *ctx)
{
	struct cursor c = cursor_init(ctx);
	const union block_cell *head;
	const __u32 zero = 0;
	void *list;

	/* Which list is active? This packet is checked against no other. */
	list = bpf_map_lookup_elem(&blocklist, &zero);
	if (!list)
		return XDP_PASS; /* none yet */
	head = cell(list, 0);
	if (!head) /* never */
		return XDP_PASS;

	switch (parse_link(&c)) {
	case bpf_htons(ETH_P_IP):
		return head->head.first4 ? block4(&c, list, head->head.first4) : XDP_PASS;
	case bpf_htons(ETH_P_IPV6):
		return head->head.first6 ? block6(&c, list, head->head.first6) : XDP_PASS;
	}
	return XDP_PASS; /* neither IPv4 nor IPv6 */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

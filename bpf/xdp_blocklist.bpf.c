// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_blocklist: drop what comes from a listed address, IPv4 or IPv6, with as
 * many look-ups, however many are listed. blocklist-load makes the list, an
 * array of its own, and puts it into the slot of `blocklist`: what a packet
 * meets is one list, whole, or, before there is any, none. block_stats counts
 * what was dropped.
 *
 * What is not IP or cannot be parsed is passed on. Neighbour discovery is
 * dropped like anything else that comes from a listed address.
 */
#include "xdp_blocklist.h"

#include <stdbool.h>

#include "include/parse.h"

/* Key: 0; value: the list in force, see xdp_blocklist.h. */
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
	LISTED_IN_PART,
};

/* How much of a slot is listed? In part: which `bits`, `pair` or `many` is it? */
static __always_inline enum listed block_slot(void *list, __u32 first, __u32 slot, __u32 *part)
{
	const union block_cell *any, *top;
	__u64 bit = 1ULL << slot % 64;
	__u64 word, full;

	any = cell(list, first + slot / 512);
	if (!any) /* never */
		return LISTED_NOT;
	word = any->any[slot / 64 % 8];
	if (!(word & bit))
		return LISTED_NOT;

	top = cell(list, first + BLOCK_ANY_CELLS + slot / 256);
	if (!top) /* never */
		return LISTED_NOT;
	full = top->top[slot / 64 % 4].full;
	if (full & bit)
		return LISTED_WHOLE;

	*part = top->top[slot / 64 % 4].part + count_bits(word & ~full & (bit - 1));
	return LISTED_IN_PART;
}

static __always_inline bool is_listed4(void *list, __u32 first, __u32 address)
{
	const union block_cell *c;
	enum listed listed;
	__u32 part;

	listed = block_slot(list, first, address >> 8, &part);
	if (listed != LISTED_IN_PART)
		return listed;

	c = cell(list, part / 2);
	if (!c) /* never */
		return false;
	return c->bits[part % 2].word[address / 64 % 4] >> address % 64 & 1;
}

/*
 * address -= key. Returns 1 if that is below zero, else 0: their difference has
 * the sign, and a branch would be guessed wrong as often as not.
 */
static __always_inline __u64 subtract(struct block_key *address, const struct block_key *key)
{
	__u64 low = address->low - key->low;
	__u64 borrow = ((~address->low & key->low) | ((~address->low | key->low) & low)) >> 63;

	address->low = low;
	address->high -= key->high + borrow;
	return address->high >> 63;
}

static __always_inline __u32 is_above(const struct block_key *key, struct block_key address)
{
	return subtract(&address, key);
}

/* distance >> shift, or, where that is more than 64 bits, a number that no span has. */
static __always_inline __u64 span_number(struct block_key distance, __u32 shift)
{
	if (shift >= 64)
		return distance.high >> (shift - 64);
	if (distance.high >> shift)
		return ~0ULL;
	return distance.high << (64 - shift) | distance.low >> shift;
}

static __always_inline bool is_among(void *list, const struct block_many *many,
				     const struct block_key *address)
{
	struct block_key distance = *address;
	const union block_cell *c;
	__u32 from, to, middle;
	__u64 number;

	/* In which span? */
	if (subtract(&distance, &many->base))
		return false;
	number = span_number(distance, many->shape & 0xff);
	if (number >= (__u32)(many->shape >> 8))
		return false;
	c = cell(list, many->spans + number / 8);
	if (!c) /* never */
		return false;
	from = c->span[number % 8].from;
	to = c->span[number % 8].to;

	/* How many keys are not above it? Most spans have one or two. */
	for (int i = 0; i < 32 && from < to; i++) {
		__u32 above;

		middle = from + (to - from) / 2;
		c = cell(list, many->keys + middle / 4);
		if (!c) /* never */
			return false;
		above = -is_above(&c->key[middle % 4], *address); /* all ones, or 0 */
		to = (middle & above) | (to & ~above);
		from = (from & above) | ((middle + 1) & ~above);
	}
	return from & 1;
}

static __always_inline bool is_listed6(void *list, __u32 first, const struct in6_addr *ip)
{
	const __be32 *quarter = ip->s6_addr32;
	struct block_key address = {
		.high = (__u64)bpf_ntohl(quarter[0]) << 32 | bpf_ntohl(quarter[1]),
		.low = (__u64)bpf_ntohl(quarter[2]) << 32 | bpf_ntohl(quarter[3]),
	};
	const struct block_pair *pair;
	const union block_cell *c;
	enum listed listed;
	__u32 part;

	listed = block_slot(list, first, block_slot6(address.high), &part);
	if (listed != LISTED_IN_PART)
		return listed;

	c = cell(list, part / 2);
	if (!c) /* never */
		return false;
	address.high &= (1ULL << BLOCK_KEY_BITS) - 1;
	if (c->many[part % 2].shape & BLOCK_MANY)
		return is_among(list, &c->many[part % 2], &address);
	pair = &c->pair[part % 2];
	return is_above(&pair->key[0], address) < is_above(&pair->key[1], address);
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
	if (parse_ip4(c, &ip) < 0)
		return XDP_PASS;
	if (!is_listed4(list, first, bpf_ntohl(ip->saddr)))
		return XDP_PASS;

	/* It is: what the list is for. */
	counters = stats();
	if (counters) /* always */
		counters->dropped4++;
	return XDP_DROP;
}

static __always_inline int block6(struct cursor *c, void *list, __u32 first)
{
	struct block_stats *counters;
	struct ipv6hdr *ip;

	/* Is it from a listed address? Its extension headers change nothing. */
	if (parse_ip6_header(c, &ip) < 0)
		return XDP_PASS;
	if (!is_listed6(list, first, &ip->saddr))
		return XDP_PASS;

	/* It is: what the list is for. */
	counters = stats();
	if (counters) /* always */
		counters->dropped6++;
	return XDP_DROP;
}

SEC("xdp")
int xdp_blocklist(struct xdp_md *ctx)
{
	struct cursor c = cursor_init(ctx);
	const union block_cell *head;
	const __u32 zero = 0;
	void *list;

	/* Which list is in force? This packet sees no other. */
	list = bpf_map_lookup_elem(&blocklist, &zero);
	if (!list)
		return XDP_PASS; /* none yet */
	head = cell(list, 0);
	if (!head) /* never */
		return XDP_PASS;

	switch (parse_eth(&c)) {
	case bpf_htons(ETH_P_IP):
		return head->head.first4 ? block4(&c, list, head->head.first4) : XDP_PASS;
	case bpf_htons(ETH_P_IPV6):
		return head->head.first6 ? block6(&c, list, head->head.first6) : XDP_PASS;
	}
	return XDP_PASS; /* neither IPv4 nor IPv6 */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The traffic generator, run by flood.cc: send the frame back out of the device that it seems
 * to have come in by, from an address and a port that are new each time. The frame is Ethernet,
 * IPv4 without options or IPv6, and TCP or, over IPv4, ICMP. It does as little as it can, so that
 * most of the time that a packet takes is the receiver's. It runs on one CPU only.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "flood.h"

/* Key: 0; value: what was sent so far, and when: of the time, each 256th packet. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flood_sent);
} sent SEC(".maps");

/* Addresses to send from, in turn: one in an entry, or four of IPv4. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1 << 20);
	__type(key, __u32);
	__type(value, struct in6_addr);
} sources SEC(".maps");

/* Key: 0; value: the program that each packet is given to, if it is `kept`. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} receiver SEC(".maps");

/* How many addresses are in `sources`. */
const volatile __u32 listed;
/* If none is, it is `network`, network byte order, with random bits where `hosts` has ones. */
const volatile __u32 network, hosts;
/* Is the frame IPv6? Then some must be listed. */
const volatile bool v6;
/* Is it given to `receiver`, and not sent? */
const volatile bool kept;
/* The destination port, host byte order; or, at random, it or one of the 1023 after it in steps
 * of 8. */
const volatile __u16 port;
const volatile bool spread;
/* Sums of 16-bit words, not folded, without the source address and what else changes. */
const volatile __u32 ip_sum, transport_sum;

static __always_inline __u16 checksum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __u32 sum_words(__u32 two)
{
	return (two & 0xffff) + (two >> 16);
}

/* A packet is ready. */
static __always_inline int send(struct xdp_md *ctx)
{
	if (kept)
		bpf_tail_call(ctx, &receiver, 0);
	return XDP_TX;
}

/* TCP or UDP: their ports are in the same place. */
static __always_inline int send_ports(struct xdp_md *ctx, void *header, bool is_udp,
				      __u32 address_sum, __u32 random)
{
	struct tcphdr *tcp = header;
	struct udphdr *udp = header;
	__u16 check;

	if ((void *)(udp + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	/* Pages are used again: what the receiver may have changed in them is set each time. */
	udp->source = random;
	udp->dest = bpf_htons(spread ? port + (random >> 22) * 8 : port);
	check = checksum(transport_sum + address_sum + udp->source + udp->dest);
	if (is_udp) {
		udp->check = check ? check : 0xffff; /* RFC 768: 0 is none */
		return send(ctx);
	}
	if ((void *)(tcp + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	tcp->check = check;
	return send(ctx);
}

static __always_inline int send4(struct xdp_md *ctx, struct iphdr *ip, __be32 address, __u32 random)
{
	__u32 sum = sum_words(address);

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	ip->saddr = address;
	ip->check = checksum(ip_sum + sum);
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return send(ctx);
	return send_ports(ctx, ip + 1, ip->protocol == IPPROTO_UDP, sum, random);
}

static __always_inline int send6(struct xdp_md *ctx, struct ipv6hdr *ip,
				 const struct in6_addr *address, __u32 random)
{
	__u32 sum = 0;

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	ip->saddr = *address;
	for (int i = 0; i < 4; i++)
		sum += sum_words(address->s6_addr32[i]);
	return send_ports(ctx, ip + 1, ip->nexthdr == IPPROTO_UDP, sum, random);
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	__u32 random = bpf_get_prandom_u32();
	const struct in6_addr *from;
	struct flood_sent *so_far;
	const __u32 zero = 0;
	__u32 next, entry;

	so_far = bpf_map_lookup_elem(&sent, &zero);
	if (!so_far) /* never: an array has its entries */
		return XDP_ABORTED;
	if (so_far->packets % 256 == 0) {
		so_far->last = bpf_ktime_get_ns();
		so_far->timed = so_far->packets;
		if (!so_far->packets)
			so_far->first = so_far->last;
	}
	so_far->packets++;

	if (!listed)
		return send4(ctx, ip, network | (random & hosts), random);

	next = so_far->next;
	so_far->next = next + 1 < listed ? next + 1 : 0;
	entry = v6 ? next : next / 4;
	from = bpf_map_lookup_elem(&sources, &entry);
	if (!from) /* never, if so many are listed */
		return XDP_ABORTED;
	if (v6)
		return send6(ctx, ip, from, random);
	return send4(ctx, ip, from->s6_addr32[next % 4], random);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

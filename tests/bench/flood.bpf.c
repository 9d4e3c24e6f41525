// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The traffic generator, run by flood.cc: send the frame back out of the device that it seems
 * to have come in by, from an address and a port that are new each time. The frame is Ethernet,
 * IPv4 without options, and TCP or ICMP. It does as little as it can, so that most of the time
 * that a packet takes is the receiver's. It runs on one CPU only.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/types.h>
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

/* The source address is `network`, network byte order, with random bits where `hosts` has ones. */
const volatile __u32 network, hosts;
/* The destination port, host byte order; or, at random, it or one of the 1023 after it in steps
 * of 8. */
const volatile __u16 port;
const volatile bool spread;
/* Sums of 16-bit words, not folded, without the source address and what else changes. */
const volatile __u32 ip_sum, tcp_sum;

static __always_inline __u16 checksum(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

SEC("xdp")
int flood(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u32 random = bpf_get_prandom_u32();
	struct flood_sent *so_far;
	const __u32 zero = 0;
	__u32 address, sum;

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

	if ((void *)(ip + 1) > end)
		return XDP_ABORTED;
	address = network | (random & hosts);
	sum = (address & 0xffff) + (address >> 16);
	ip->saddr = address;
	ip->check = checksum(ip_sum + sum);
	if (ip->protocol != IPPROTO_TCP)
		return XDP_TX;

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	/* Pages are used again: what the receiver may have changed in them is set each time. */
	tcp->source = random;
	tcp->dest = bpf_htons(spread ? port + (random >> 22) * 8 : port);
	sum += tcp->source + tcp->dest;
	tcp->check = checksum(tcp_sum + sum);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

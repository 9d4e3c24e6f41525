// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Upstream's detect_ping (upstream: see tests/fixtures/upstream_drop.c): an event of two
 * addresses for each ICMP packet over IPv4 without options, a wake-up of the reader for each,
 * and then a look-up in the list. Only the time is added, from which the latency is computed.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct upstream_event {
	__u64 time;
	__be32 saddr;
	__be32 daddr;
};

/* Key: an IPv4 address; value: not looked at. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be32);
	__type(value, __u32);
} ping_hash SEC(".maps");

/* A struct upstream_event per packet. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ringbuf SEC(".maps");

/* Not inlined: its parameter puts struct upstream_event into the BTF, for ringbuf-read. */
static __noinline long tell(struct upstream_event *e)
{
	return bpf_ringbuf_output(&ringbuf, e, sizeof(*e), BPF_RB_FORCE_WAKEUP);
}

SEC("xdp")
int upstream_ping(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct upstream_event e = {};

	if ((void *)(ip + 1) + 8 > end)
		return XDP_PASS;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_ICMP)
		return XDP_PASS;
	e.time = bpf_ktime_get_ns();
	e.saddr = ip->saddr;
	e.daddr = ip->daddr;
	tell(&e);
	if (bpf_map_lookup_elem(&ping_hash, &ip->daddr) ||
	    bpf_map_lookup_elem(&ping_hash, &ip->saddr))
		return XDP_DROP;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What the seed's detect_ping does: an event of two addresses for each ICMP packet over IPv4
 * without options, the reader woken up for each, and then the look at the list. Only the time
 * is added, which the latency is taken from.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/types.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct seed_event {
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

/* A struct seed_event per packet. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ringbuf SEC(".maps");

/* Not inlined: by its parameter struct seed_event gets into the BTF, where ringbuf-read needs it.
 */
static __noinline long tell(struct seed_event *e)
{
	return bpf_ringbuf_output(&ringbuf, e, sizeof(*e), BPF_RB_FORCE_WAKEUP);
}

SEC("xdp")
int seed_ping(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct seed_event e = {};

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

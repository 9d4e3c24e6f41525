// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * detect_ping: write an event to `ringbuf` for every ICMP and ICMPv6 packet, and
 * drop echo requests and replies from or to an address in `ping_hash` (IPv4) or
 * `ping_hash6` (IPv6). Other ICMP always passes, because path MTU discovery and
 * neighbour discovery need it. `ping_stats` counts packets, drops and lost events.
 *
 * A fragmented echo is one event, for its first fragment. Later fragments have no
 * ICMP header, and pass: without the first one they are never reassembled.
 *
 * The names detect_ping, ping_hash and ringbuf are those of the walkthrough that
 * this object comes from.
 */
#include "detect_ping.h"

#include <stddef.h>

#include "include/parse.h"

/* Addresses whose pings are dropped. Key: IPv4 address, network byte order; value: not read. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be32);
	__type(value, __u32);
} ping_hash SEC(".maps");

/* The same for IPv6. Key: IPv6 address, network byte order; value: not read. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct in6_addr);
	__type(value, __u32);
} ping_hash6 SEC(".maps");

/* One struct ping_event per packet. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ringbuf SEC(".maps");

/* Key: 0; value: the counters of each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ping_stats);
} ping_stats SEC(".maps");

/* An IPv4 address as a v4-mapped IPv6 address. */
static __always_inline struct in6_addr mapped(__be32 addr)
{
	struct in6_addr v6 = {.s6_addr32 = {0, 0, bpf_htonl(0xffff), addr}};

	return v6;
}

/*
 * The first fields. Not inlined: a function's parameters bring struct ping_event into
 * the object's BTF, and ringbuf-read prints events by that.
 */
static __noinline void event_fill(struct ping_event *e, __u32 ifindex, enum xdp_action verdict)
{
	e->time = bpf_ktime_get_ns();
	e->ifindex = ifindex;
	e->verdict = verdict;
}

/* Count the packet and reserve its event. Returns NULL if the ring buffer is full. */
static __always_inline struct ping_event *event_begin(struct xdp_md *ctx, enum xdp_action verdict,
						      const struct icmp_header *icmp, bool echo)
{
	const __u32 zero = 0;
	struct ping_stats *stats;
	struct ping_event *e;

	stats = bpf_map_lookup_elem(&ping_stats, &zero);
	if (!stats) /* never: an array has its entries */
		return NULL;
	stats->seen++;
	if (verdict == XDP_DROP)
		stats->dropped++;

	e = bpf_ringbuf_reserve(&ringbuf, sizeof(*e), 0);
	if (!e) {
		stats->lost++;
		return NULL;
	}
	stats->events++;
	event_fill(e, ctx->ingress_ifindex, verdict);
	e->type = icmp->type;
	e->code = icmp->code;
	e->id = echo ? icmp->id : 0;
	e->sequence = echo ? icmp->sequence : 0;
	return e;
}

static __always_inline int detect4(struct xdp_md *ctx, struct cursor *c)
{
	enum xdp_action verdict = XDP_PASS; /* also if it cannot be parsed */
	struct icmp_header *icmp;
	struct ping_event *e;
	struct iphdr *ip;
	bool echo;
	int type;

	/* Is it ICMP? */
	if (parse_ip4(c, &ip) != IPPROTO_ICMP)
		return verdict;
	type = parse_icmp(c, &icmp);
	if (type < 0)
		return verdict;

	/* Is it a ping from or to a listed address? */
	echo = type == ICMP4_ECHO_REQUEST || type == ICMP4_ECHO_REPLY;
	if (echo && (bpf_map_lookup_elem(&ping_hash, &ip->saddr) ||
		     bpf_map_lookup_elem(&ping_hash, &ip->daddr)))
		verdict = XDP_DROP;

	/* Write the event. If the ring buffer is full, the verdict stays. */
	e = event_begin(ctx, verdict, icmp, echo);
	if (!e)
		return verdict;
	e->version = 4;
	e->ttl = ip->ttl;
	e->saddr = mapped(ip->saddr);
	e->daddr = mapped(ip->daddr);
	bpf_ringbuf_submit(e, 0);
	return verdict;
}

static __always_inline int detect6(struct xdp_md *ctx, struct cursor *c)
{
	enum xdp_action verdict = XDP_PASS; /* also if it cannot be parsed */
	struct icmp_header *icmp;
	struct ping_event *e;
	struct ipv6hdr *ip;
	bool echo;
	int type;

	/* Is it ICMPv6? */
	if (parse_ip6(c, &ip) != IPPROTO_ICMPV6)
		return verdict;
	type = parse_icmp(c, &icmp);
	if (type < 0)
		return verdict;

	/* Is it a ping from or to a listed address? */
	echo = type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY;
	if (echo && (bpf_map_lookup_elem(&ping_hash6, &ip->saddr) ||
		     bpf_map_lookup_elem(&ping_hash6, &ip->daddr)))
		verdict = XDP_DROP;

	/* Write the event. If the ring buffer is full, the verdict stays. */
	e = event_begin(ctx, verdict, icmp, echo);
	if (!e)
		return verdict;
	e->version = 6;
	e->ttl = ip->hop_limit;
	e->saddr = ip->saddr;
	e->daddr = ip->daddr;
	bpf_ringbuf_submit(e, 0);
	return verdict;
}

XDP_SECTION
int detect_ping(struct xdp_md *ctx)
{
	struct cursor c = cursor_init(ctx);

	switch (parse_link(&c)) {
	case bpf_htons(ETH_P_IP):
		return detect4(ctx, &c);
	case bpf_htons(ETH_P_IPV6):
		return detect6(ctx, &c);
	}
	return XDP_PASS; /* neither IPv4 nor IPv6 */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

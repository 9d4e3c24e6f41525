// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_firewall: what may come in by this interface. What is asked of a packet, in this
 * order; the first answer counts, and has its counter in fw_stats:
 *
 *   1. Is it no IP (ARP, ...), or neighbour discovery or MLD?       pass
 *   2. Is its source in fw_allow4, fw_allow6?                       pass
 *   3. Is its source in fw_ban, and not expired?                    drop
 *   4. Is its source in fw_block4, fw_block6?                       drop
 *   5. Has its source sent more than fw_rate4, fw_rate6 allows?     drop
 *   6. Is there a rule on its ICMP type in fw_icmp4, fw_icmp6?      what the rule says
 *   7. Is there a rule on it in fw_rule4, fw_rule6?                 what the rule says
 *   8. Is it for a port of fw_failsafe, or an answer?               pass
 *   9. Is its protocol in fw_deny?                                  drop
 *      Nothing is said of it:                                       pass
 *
 * So with empty maps everything passes. Each question is one look-up, or a few of them; how
 * many rules there are does not matter, but for the depth of the kernel's LPM tries.
 *
 * What nobody has to remember to let in, since a host without it dies within minutes or
 * cannot be reached to repair it: ARP, neighbour discovery and MLD (in front of all, or a
 * list with ::/0 in it would end IPv6 altogether); and before fw_deny, SSH, DHCP, ICMP errors,
 * and answers. A filter that keeps no state knows no connection, so an answer is what looks
 * like one: TCP with ACK or RST, which opens no connection; echo replies; UDP from a port
 * of fw_replies to one from 32768 on. That lets in probes by ACK (which are answered
 * by a reset), and UDP from such a port: --set fw_answers=false ends it.
 *
 * Of a fragmented packet only the first part has ports or an ICMP type. A later one is
 * asked for by its source, its VLAN and its protocol; 9. knows it as `fragment`.
 */
#include "xdp_firewall.h"

#include <stdbool.h>
#include <stddef.h>

#include "include/parse.h"

/* ---- knobs: prog-load --set fw_rules=false */

/* Parts of the program; without one, it costs nothing. */
const volatile bool fw_lists = true;   /* 2. and 4.: fw_allow, fw_block */
const volatile bool fw_bans = true;    /* 3.: fw_ban */
const volatile bool fw_rates = true;   /* 5.: fw_rate */
const volatile bool fw_rules = true;   /* 6. and 7.: fw_icmp, fw_rule */
const volatile bool fw_groups = true;  /* 7.: fw_tcp_ports, fw_udp_ports */
const volatile bool fw_answers = true; /* 8.: answers pass */

/* 8. TCP ports that fw_deny does not close; 0: none. */
const volatile __u16 fw_failsafe[4] = {22};

/* 8. UDP ports that answers come from; 0: none. */
const volatile __u16 fw_replies[4] = {53, 123};

/*
 * When this machine has started, in seconds since 1970: btime of /proc/stat. It is what
 * `expires` in fw_ban is measured by, as before Linux 6.1 no program can ask for the time
 * of day. If it is 0, bans do not expire.
 */
const volatile __u64 fw_boot = 0;

/* Events a second, of all CPUs together; 0: none. */
const volatile __u32 fw_events_pps = 0;

/* ---- maps: rules, which only user space adds and removes */

#define LPM_TRIE(entries, key_type, value_type)                                                    \
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                       \
	__uint(map_flags, BPF_F_NO_PREALLOC);                                                      \
	__uint(max_entries, entries);                                                              \
	__type(key, key_type);                                                                     \
	__type(value, value_type)

/* Sources that all is taken from. Key: a CIDR; value: what came. */
struct {
	LPM_TRIE(65536, struct fw_cidr4, struct fw_count);
} fw_allow4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_cidr6, struct fw_count);
} fw_allow6 SEC(".maps");

/* Sources that nothing is taken from. Key: a CIDR; value: what was dropped. */
struct {
	LPM_TRIE(1 << 20, struct fw_cidr4, struct fw_count);
} fw_block4 SEC(".maps");

struct {
	LPM_TRIE(1 << 20, struct fw_cidr6, struct fw_count);
} fw_block6 SEC(".maps");

/*
 * Addresses that nothing is taken from until a time. Key: a source, IPv4 as v4-mapped. A map
 * that is full drops who was not seen for the longest time. It is no LPM trie, as there
 * an entry that has expired would hide a shorter prefix that has not.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, struct fw_ban);
} fw_ban SEC(".maps");

/* How much each source in a CIDR may send: an IPv4 address, or an IPv6 /64. */
struct {
	LPM_TRIE(65536, struct fw_cidr4, struct fw_rate);
} fw_rate4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_cidr6, struct fw_rate);
} fw_rate6 SEC(".maps");

/*
 * Rules on VLAN, protocol, destination port and source. The one that says most counts:
 * first of the VLAN, then of the protocol and port, then the longest prefix of the source.
 * So the key begins with what is compared exactly, and a rule on fewer fields has
 * zeros there: for a TCP packet without a tag, three keys are looked up (tcp and its
 * port, tcp, any), for each VLAN that it is in as many more, and one for its port's group.
 */
struct {
	LPM_TRIE(65536, struct fw_rule4, struct fw_rule);
} fw_rule4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_rule6, struct fw_rule);
} fw_rule6 SEC(".maps");

/* Rules on ICMP and ICMPv6, asked before the others. Key: the type, or type and code. */
struct {
	LPM_TRIE(65536, struct fw_icmp, struct fw_rule);
} fw_icmp4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_icmp, struct fw_rule);
} fw_icmp6 SEC(".maps");

/*
 * Groups of ports. Key: a destination port, of network byte order; value: the port by which
 * rules name its group, say the first. A rule on the port itself comes before it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __be16);
	__type(value, __be16);
} fw_tcp_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __be16);
	__type(value, __be16);
} fw_udp_ports SEC(".maps");

/*
 * Protocols of which what nothing is said of is dropped. Key: icmp, tcp, udp, icmpv6,
 * unparsed, fragment, or other; value: what was dropped.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, enum fw_proto);
	__type(value, struct fw_count);
} fw_deny SEC(".maps");

/* ---- maps: what the program keeps */

/* Key: enum fw_stats; value: what became of so many packets, on each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FW_STATS);
	__type(key, __u32);
	__type(value, struct fw_count);
} fw_stats SEC(".maps");

/* Sources that fw_rate is about. Key: an IPv4 address as v4-mapped, or the /64 of an IPv6 one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, struct fw_source);
} fw_sources SEC(".maps");

/* A struct fw_event per dropped packet, if fw_events_pps says so. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} fw_events SEC(".maps");

/* Key: 0; value: the counters of each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_event_stats);
} fw_event_stats SEC(".maps");

/* When one more event may come: ns, CLOCK_MONOTONIC. */
static __u64 event_ready;

/* ---- a packet */

#define NSEC_PER_SEC 1000000000ULL
#define TCP_RST_ACK 0x14   /* RFC 9293 section 3.1: of the flags, RST and ACK */
#define CLIENT_PORTS 32768 /* where net.ipv4.ip_local_port_range begins, unless it was changed */

enum { DHCP_SERVER = 67, DHCP_CLIENT = 68, DHCP6_SERVER = 547, DHCP6_CLIENT = 546 };

/* What is known of it: no pointer into the packet, so that the verifier forgets how it came. */
struct packet {
	struct in6_addr saddr; /* IPv4 as v4-mapped */
	struct in6_addr daddr;
	__u32 len;
	__u32 vlans; /* see struct cursor */
	enum fw_proto proto;
	enum fw_proto denied_as; /* what it is in fw_deny */
	__be16 sport;
	__be16 dport;
	__u8 type;
	__u8 code;
	__u8 flags; /* of TCP; 0 if they are cut off */
};

/* In an entry of any map that has counters. */
#define count(entry, p)                                                                            \
	do {                                                                                       \
		__sync_fetch_and_add(&(entry)->packets, 1);                                        \
		__sync_fetch_and_add(&(entry)->bytes, (p)->len);                                   \
	} while (0)

/* Its ports and flags. */
static __always_inline int take_tcp(struct cursor *c, struct packet *p)
{
	struct tcphdr *header;

	if (parse_tcp(c, &header) < 0)
		return -1;
	p->sport = header->source;
	p->dport = header->dest;
	if (c->left >= 14 && (void *)header + 14 <= c->end) /* a first fragment may have less */
		p->flags = ((__u8 *)header)[13];
	return 0;
}

static __always_inline int take_udp(struct cursor *c, struct packet *p)
{
	struct udphdr *header;

	if (parse_udp(c, &header) < 0)
		return -1;
	p->sport = header->source;
	p->dport = header->dest;
	return 0;
}

static __always_inline int take_icmp(struct cursor *c, struct packet *p)
{
	struct icmp_header *header;

	if (parse_icmp(c, &header) < 0)
		return -1;
	p->type = header->type;
	p->code = header->code;
	return 0;
}

/* What is behind the IP headers. `message` is the protocol that ICMP has in this version of IP. */
static __always_inline void parse_payload(struct cursor *c, struct packet *p, int proto,
					  int message)
{
	p->proto = p->denied_as = unparsed;
	if (proto < 0)
		return;
	p->proto = proto;
	p->denied_as = fragment;
	if (c->frag == FRAG_LATER)
		return;
	p->denied_as = other;
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP && proto != message)
		return;
	p->denied_as = unparsed;
	if (proto == IPPROTO_TCP && take_tcp(c, p) < 0)
		return;
	if (proto == IPPROTO_UDP && take_udp(c, p) < 0)
		return;
	if (proto == message && take_icmp(c, p) < 0)
		return;
	p->denied_as = proto;
}

/* ---- what is asked of it */

/* Is it neighbour discovery (RFC 4861) or MLD (RFC 2710, RFC 3810), without which switches forget?
 */
static __always_inline bool is_neighbour(const struct packet *p)
{
	return p->denied_as == icmpv6 && ((p->type >= 130 && p->type <= 137) || p->type == 143);
}

static __always_inline void *source4(void *map, const struct packet *p)
{
	struct fw_cidr4 key;

	__builtin_memset(&key, 0, sizeof(key)); /* an initialiser leaves out bits without a name */
	key.prefixlen = 32;
	key.addr = p->saddr.s6_addr32[3];
	return bpf_map_lookup_elem(map, &key);
}

static __always_inline void *source6(void *map, const struct packet *p)
{
	struct fw_cidr6 key = {128, p->saddr};

	return bpf_map_lookup_elem(map, &key);
}

static __always_inline bool is_banned(const struct packet *p)
{
	struct fw_ban *ban = bpf_map_lookup_elem(&fw_ban, &p->saddr);

	if (!ban)
		return false;
	if (fw_boot && ban->expires &&
	    fw_boot + bpf_ktime_get_boot_ns() / NSEC_PER_SEC >= ban->expires)
		return false;
	count(ban, p);
	return true;
}

/*
 * A bucket of `burst` tokens that gets `pps` a second, kept as the time at which it will be full:
 * so a CPU adds to it without waiting for another. Returns whether it is empty, else takes one.
 */
static __always_inline bool is_empty(__u64 *ready, __u32 pps, __u32 burst)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 interval = NSEC_PER_SEC / pps;
	__u64 at = *(volatile __u64 *)ready;

	if (at > now + (burst - 1) * interval)
		return true;
	if (at < now)
		*(volatile __u64 *)ready = now + interval;
	else
		__sync_fetch_and_add(ready, interval);
	return false;
}

static __always_inline bool is_over(struct fw_rate *rate, const struct packet *p, bool v6)
{
	struct in6_addr key = p->saddr;
	struct fw_source *source;
	struct fw_source first = {};
	__u32 pps, burst;

	pps = *(volatile __u32 *)&rate->pps;
	if (!pps)
		return false;
	burst = *(volatile __u32 *)&rate->burst;
	if (!burst)
		burst = pps / 10 + 1;
	if (v6)
		key.s6_addr32[2] = key.s6_addr32[3] = 0;
	source = bpf_map_lookup_elem(&fw_sources, &key);
	if (!source) {
		/* Where another CPU was faster, or the map takes no more: it is looked up, or
		 * passes. */
		bpf_map_update_elem(&fw_sources, &key, &first, BPF_NOEXIST);
		source = bpf_map_lookup_elem(&fw_sources, &key);
		if (!source)
			return false;
	}
	if (!is_empty(&source->ready, pps, burst))
		return false;
	count(rate, p);
	return true;
}

/* The rule on these VLANs, this protocol, this port. */
static __always_inline struct fw_rule *rule4(const struct packet *p, __u32 vlans, __u16 proto,
					     __be16 port)
{
	struct fw_rule4 key;

	__builtin_memset(&key, 0, sizeof(key));
	key.prefixlen = 96;
	key.vlan = vlans >> 16;
	key.inner = vlans;
	key.proto = proto;
	key.port = port;
	key.addr = p->saddr.s6_addr32[3];
	return bpf_map_lookup_elem(&fw_rule4, &key);
}

static __always_inline struct fw_rule *rule6(const struct packet *p, __u32 vlans, __u16 proto,
					     __be16 port)
{
	struct fw_rule6 key = {
		.prefixlen = 192,
		.vlan = vlans >> 16,
		.inner = vlans,
		.proto = proto,
		.port = port,
		.addr = p->saddr,
	};

	return bpf_map_lookup_elem(&fw_rule6, &key);
}

static __always_inline struct fw_rule *rule(const struct packet *p, bool v6, __u32 vlans,
					    __u16 proto, __be16 port)
{
	return v6 ? rule6(p, vlans, proto, port) : rule4(p, vlans, proto, port);
}

/* The group that its port is in, or 0. */
static __always_inline __be16 port_group(const struct packet *p)
{
	__be16 *group = NULL;

	if (!fw_groups)
		return 0;
	if (p->denied_as == tcp)
		group = bpf_map_lookup_elem(&fw_tcp_ports, &p->dport);
	if (p->denied_as == udp)
		group = bpf_map_lookup_elem(&fw_udp_ports, &p->dport);
	return group ? *group : 0;
}

/* The rule that says most of those on these VLANs. */
static __always_inline struct fw_rule *rule_on(const struct packet *p, bool v6, __u32 vlans,
					       __be16 group)
{
	struct fw_rule *found = NULL;

	if (p->dport)
		found = rule(p, v6, vlans, p->proto, p->dport);
	if (!found && group)
		found = rule(p, v6, vlans, p->proto, group);
	if (!found)
		found = rule(p, v6, vlans, p->proto, 0);
	if (!found)
		found = rule(p, v6, vlans, any, 0);
	return found;
}

static __always_inline struct fw_rule *find_rule(const struct packet *p, bool v6)
{
	struct fw_icmp message;
	__u16 outer = p->vlans >> 16;
	struct fw_rule *found = NULL;
	__be16 group;

	__builtin_memset(&message, 0, sizeof(message));
	message.prefixlen = 16;
	message.type = p->type;
	message.code = p->code;
	if (v6 && p->denied_as == icmpv6)
		found = bpf_map_lookup_elem(&fw_icmp6, &message);
	if (!v6 && p->denied_as == icmp)
		found = bpf_map_lookup_elem(&fw_icmp4, &message);
	if (found)
		return found;

	group = port_group(p);
	if (outer)
		found = rule_on(p, v6, p->vlans, group);
	if (!found && p->vlans)
		found = rule_on(p, v6, (outer ? outer : p->vlans) << 16, group);
	if (!found)
		found = rule_on(p, v6, 0, group);
	return found;
}

static __always_inline bool is_failsafe(const struct packet *p)
{
	for (int i = 0; i < 4; i++)
		if (fw_failsafe[i] && p->dport == bpf_htons(fw_failsafe[i]))
			return p->denied_as == tcp;
	return false;
}

/* An error that ICMP has for what was sent, or DHCP's answer, or an answer as described above? */
static __always_inline bool is_answer(const struct packet *p, bool v6)
{
	switch (p->denied_as) {
	case tcp:
		return fw_answers && p->flags & TCP_RST_ACK;
	case udp:
		if (v6 ? p->sport == bpf_htons(DHCP6_SERVER) && p->dport == bpf_htons(DHCP6_CLIENT)
		       : p->sport == bpf_htons(DHCP_SERVER) && p->dport == bpf_htons(DHCP_CLIENT))
			return true;
		if (!fw_answers || bpf_ntohs(p->dport) < CLIENT_PORTS)
			return false;
		for (int i = 0; i < 4; i++)
			if (fw_replies[i] && p->sport == bpf_htons(fw_replies[i]))
				return true;
		return false;
	case icmp: /* RFC 792: unreachable, time exceeded, parameter problem */
		if (p->type == ICMP4_ECHO_REPLY)
			return fw_answers;
		return p->type == 3 || p->type == 11 || p->type == 12;
	case icmpv6: /* RFC 4443 section 2.1: the same, and packet too big */
		if (p->type == ICMP6_ECHO_REPLY)
			return fw_answers;
		return p->type >= 1 && p->type <= 4;
	default:
		return false;
	}
}

/* Nothing was said of it: is its protocol one of those that must be let in? */
static __always_inline enum fw_stats judge_by_protocol(const struct packet *p)
{
	enum fw_proto proto = p->denied_as;
	struct fw_count *entry = bpf_map_lookup_elem(&fw_deny, &proto);

	if (!entry)
		return no_rule;
	count(entry, p);
	return denied;
}

static __always_inline enum fw_stats judge(const struct packet *p, bool v6)
{
	struct fw_count *entry;
	struct fw_rate *rate;
	struct fw_rule *said;

	if (v6 && is_neighbour(p))
		return neighbour;

	if (fw_lists) {
		entry = v6 ? source6(&fw_allow6, p) : source4(&fw_allow4, p);
		if (entry) {
			count(entry, p);
			return allowed;
		}
	}
	if (fw_bans && is_banned(p))
		return banned;
	if (fw_lists) {
		entry = v6 ? source6(&fw_block6, p) : source4(&fw_block4, p);
		if (entry) {
			count(entry, p);
			return blocked;
		}
	}
	if (fw_rates) {
		rate = v6 ? source6(&fw_rate6, p) : source4(&fw_rate4, p);
		if (rate && is_over(rate, p, v6))
			return limited;
	}
	if (fw_rules) {
		said = find_rule(p, v6);
		if (said) {
			count(said, p);
			return said->verdict == pass ? ruled_in : ruled_out;
		}
	}
	if (is_failsafe(p))
		return failsafe;
	if (is_answer(p, v6))
		return answer;
	return judge_by_protocol(p);
}

/* Of an IP header that is cut off or wrong no address is known. The kernel drops it, too. */
static __always_inline enum fw_stats judge4(struct cursor *c, struct packet *p)
{
	struct iphdr *ip;
	int proto = parse_ip4(c, &ip);

	p->proto = p->denied_as = unparsed;
	if (proto < 0)
		return judge_by_protocol(p);
	p->saddr.s6_addr32[2] = p->daddr.s6_addr32[2] = bpf_htonl(0xffff);
	p->saddr.s6_addr32[3] = ip->saddr;
	p->daddr.s6_addr32[3] = ip->daddr;
	parse_payload(c, p, proto, IPPROTO_ICMP);
	return judge(p, false);
}

static __always_inline enum fw_stats judge6(struct cursor *c, struct packet *p)
{
	struct ipv6hdr *ip = NULL;
	int proto = parse_ip6(c, &ip);

	p->proto = p->denied_as = unparsed;
	if (!ip)
		return judge_by_protocol(p);
	p->saddr = ip->saddr;
	p->daddr = ip->daddr;
	parse_payload(c, p, proto, IPPROTO_ICMPV6);
	return judge(p, true);
}

/* Not inlined, as event_fill() of detect_ping: ringbuf-read finds the struct's BTF by it. */
static __noinline void event_fill(struct fw_event *e, const struct packet *p, enum fw_stats reason)
{
	e->time = bpf_ktime_get_ns();
	e->reason = reason;
	e->saddr = p->saddr;
	e->daddr = p->daddr;
	e->len = p->len;
	e->vlan = p->vlans >> 16 ? p->vlans >> 16 : p->vlans;
	e->inner = p->vlans >> 16 ? p->vlans : 0;
	e->proto = p->proto;
	e->sport = p->sport;
	e->dport = p->dport;
	e->type = p->type;
	e->code = p->code;
}

/* Tell of a packet that is dropped. It changes no verdict. */
static __always_inline void tell(struct xdp_md *ctx, const struct packet *p, enum fw_stats reason)
{
	struct fw_event_stats *stats;
	const __u32 zero = 0;
	struct fw_event *e;

	stats = bpf_map_lookup_elem(&fw_event_stats, &zero);
	if (!stats) /* never: an array has its entries */
		return;
	if (is_empty(&event_ready, fw_events_pps, fw_events_pps / 10 + 1)) {
		stats->held_back++;
		return;
	}
	e = bpf_ringbuf_reserve(&fw_events, sizeof(*e), 0);
	if (!e) {
		stats->lost++;
		return;
	}
	stats->events++;
	event_fill(e, p, reason);
	e->ifindex = ctx->ingress_ifindex;
	bpf_ringbuf_submit(e, 0);
}

SEC("xdp")
int xdp_firewall(struct xdp_md *ctx)
{
	struct packet p = {.len = ctx->data_end - ctx->data};
	struct cursor c = cursor_init(ctx);
	enum fw_stats reason = not_ip;
	struct fw_count *stats;
	__u32 key;

	switch (parse_eth(&c)) {
	case bpf_htons(ETH_P_IP):
		p.vlans = c.vlans;
		reason = judge4(&c, &p);
		break;
	case bpf_htons(ETH_P_IPV6):
		p.vlans = c.vlans;
		reason = judge6(&c, &p);
		break;
	}

	key = reason;
	stats = bpf_map_lookup_elem(&fw_stats, &key);
	if (stats) { /* always: an array has its entries */
		stats->packets++;
		stats->bytes += p.len;
	}
	if (reason < FW_DROPPED)
		return XDP_PASS;

	/* Each of these was asked for by an entry of a map, and is counted there. */
	if (fw_events_pps)
		tell(ctx, &p, reason);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

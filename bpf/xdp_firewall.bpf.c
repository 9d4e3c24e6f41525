// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_firewall: filter the packets that come in by an interface. These questions are asked in
 * this order. The first match decides, and fw_stats counts it:
 *
 *   1. Is it not IP (for example ARP), or is it NDP or MLD?          pass
 *   2. Is its source in fw_allow4 or fw_allow6?                      pass
 *   3. Is its source in fw_ban, and has the ban not expired?         drop
 *   4. Is its source in fw_block4 or fw_block6?                      drop
 *   5. Is its source over its rate in fw_rate4 or fw_rate6?          drop
 *   6. Is there a rule for its ICMP type in fw_icmp4 or fw_icmp6?    the rule's verdict
 *   7. Is there a rule for it in fw_rule4 or fw_rule6?               the rule's verdict
 *   8. Is its port in fw_failsafe, or is it a reply?                 pass
 *   9. Is its protocol in fw_deny?                                   drop
 *      Nothing matches:                                              pass
 *
 * So with empty maps everything passes. Each question takes one or a few map lookups. Their
 * number does not depend on how many rules there are, but an LPM trie gets deeper with them. A
 * trie without entries is not looked at.
 *
 * Some packets pass without a rule, because a host that drops them loses its network within
 * minutes, or nobody can log in to repair it. ARP, NDP and MLD pass before all lists, or ::/0 in
 * a list would end IPv6. SSH, DHCP, ICMP errors and replies pass before fw_deny.
 *
 * The filter is stateless, so it decides by the looks of a packet whether it is a reply: TCP with
 * ACK or RST, which cannot open a connection; echo replies; UDP from a port in fw_reply_ports to
 * a port from 32768 on. This also lets in ACK probes, which the kernel answers by a reset, and
 * any UDP from such a port. fw_pass_replies=false turns it off.
 *
 * Only the first fragment of a packet has ports or an ICMP type. A later fragment is matched by
 * source, VLAN and protocol only; in fw_deny it is `fragment`.
 *
 * The file is longer than 600 lines, as it is one program: a quarter is its maps and knobs, and all
 * questions are asked of the same `struct packet`.
 */
#include "xdp_firewall.h"

#include <stddef.h>

#include "include/lpm.h"
#include "include/parse.h"

/* ---- knobs: prog-load --set fw_rules=false */

/* Features. The verifier removes the code of one that is false, so that costs nothing. */
const volatile bool fw_lists = true;	    /* 2. and 4.: fw_allow, fw_block */
const volatile bool fw_bans = true;	    /* 3.: fw_ban */
const volatile bool fw_rates = true;	    /* 5.: fw_rate */
const volatile bool fw_rules = true;	    /* 6. and 7.: fw_icmp, fw_rule */
const volatile bool fw_port_groups = true;  /* 7.: fw_tcp_ports, fw_udp_ports */
const volatile bool fw_pass_replies = true; /* 8.: replies pass */

/* 8. TCP ports that fw_deny does not close; 0: none. */
const volatile __u16 fw_failsafe[4] = {22};

/* 8. UDP ports that servers reply from; 0: none. */
const volatile __u16 fw_reply_ports[4] = {53, 123};

/*
 * The boot time, in seconds since 1970: btime in /proc/stat. `expires` in fw_ban is compared
 * with it plus the time since boot, since no program can read the wall clock before Linux 6.1.
 * If it is 0, bans do not expire.
 */
const volatile __u64 fw_boot_time = 0;

/* Events per second, of all CPUs together; 0: none. */
const volatile __u32 fw_events_pps = 0;

/* ---- maps: lists and rules; only user space adds and removes entries */

#define LPM_TRIE(entries, key_type, value_type)                                                    \
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);                                                       \
	__uint(map_flags, BPF_F_NO_PREALLOC);                                                      \
	__uint(max_entries, entries);                                                              \
	__type(key, key_type);                                                                     \
	__type(value, value_type)

/* Sources that always pass. Key: a CIDR; value: the packets that passed. */
struct {
	LPM_TRIE(65536, struct fw_cidr4, struct fw_count);
} fw_allow4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_cidr6, struct fw_count);
} fw_allow6 SEC(".maps");

/* Sources that are blocked. Key: a CIDR; value: the packets dropped. */
struct {
	LPM_TRIE(1 << 20, struct fw_cidr4, struct fw_count);
} fw_block4 SEC(".maps");

struct {
	LPM_TRIE(1 << 20, struct fw_cidr6, struct fw_count);
} fw_block6 SEC(".maps");

/*
 * Sources that are blocked until a time. Key: an address, IPv4 as v4-mapped; value: the time,
 * and the packets dropped. When full, the least recently used entry is evicted. It is not an LPM
 * trie, since there an expired entry would hide a shorter prefix that has not expired.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, struct fw_ban);
} fw_ban SEC(".maps");

/*
 * Rate limits. Key: a CIDR; value: the limit for each source in it, and the packets dropped. A
 * source is an IPv4 address or an IPv6 /64.
 */
struct {
	LPM_TRIE(65536, struct fw_cidr4, struct fw_rate);
} fw_rate4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_cidr6, struct fw_rate);
} fw_rate6 SEC(".maps");

/*
 * Rules on VLAN, protocol, destination port and source. Value: the verdict, and the packets that
 * matched. The most specific rule wins: VLAN, then protocol and port, then the longest prefix of
 * the source. So the key begins with the fields that must match exactly, and a field that matches
 * anything is 0. An untagged TCP packet takes three lookups (tcp and its port, tcp, any) and one
 * more if its port is in a group; each VLAN tag takes as many again.
 */
struct {
	LPM_TRIE(65536, struct fw_rule4, struct fw_rule);
} fw_rule4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_rule6, struct fw_rule);
} fw_rule6 SEC(".maps");

/* Rules on ICMP and ICMPv6, which come before fw_rule. Key: the type, or type and code. */
struct {
	LPM_TRIE(65536, struct fw_icmp, struct fw_rule);
} fw_icmp4 SEC(".maps");

struct {
	LPM_TRIE(65536, struct fw_icmp, struct fw_rule);
} fw_icmp6 SEC(".maps");

/*
 * Groups of ports. Key: a destination port, network byte order; value: the port that stands for
 * the group in rules, for example the first. A rule on the port itself wins over one on its group.
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
 * Protocols to drop by default. Key: an IP protocol, unparsed, fragment or other; value: the
 * packets dropped. A later fragment is looked up as `fragment` only.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, enum fw_proto);
	__type(value, struct fw_count);
} fw_deny SEC(".maps");

/* ---- maps: state and counters of the program */

/* Key: enum fw_stats; value: the packets with this verdict and reason, on each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FW_REASONS);
	__type(key, __u32);
	__type(value, struct fw_count);
} fw_stats SEC(".maps");

/*
 * The token buckets of fw_rate. Key: an IPv4 address as v4-mapped, or the /64 of an IPv6 one;
 * value: the bucket. When full, the least recently used entry is evicted.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, struct fw_rate_state);
} fw_rate_state SEC(".maps");

/* One struct fw_event per dropped packet, at most fw_events_pps per second. */
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

/* The token bucket of events, see bucket_take(). */
static __u64 event_ready;

/* ---- a packet */

#define NSEC_PER_SEC 1000000000ULL
#define TCP_RST_ACK 0x14   /* RFC 9293 section 3.1: of the flags, RST and ACK */
#define CLIENT_PORTS 32768 /* where net.ipv4.ip_local_port_range begins, unless it was changed */

enum { DHCP_SERVER = 67, DHCP_CLIENT = 68, DHCP6_SERVER = 547, DHCP6_CLIENT = 546 };

/*
 * A parsed packet. It has no pointer into the packet: so paths through the parser end in the same
 * verifier state, and the verifier does not follow each of them through the rest of the program.
 */
struct packet {
	struct in6_addr saddr; /* IPv4 as v4-mapped */
	struct in6_addr daddr;
	__u32 len;
	__u16 vlan;  /* see struct cursor */
	__u16 inner; /* likewise */
	enum fw_proto proto;
	enum fw_proto deny_class; /* its key in fw_deny */
	__be16 sport;
	__be16 dport;
	__u8 type;
	__u8 code;
	__u8 flags; /* of TCP; 0 if they are cut off */
};

/* Most tries are empty. */
static __always_inline void *lookup_trie(void *map, const void *key)
{
	return is_empty(map) ? NULL : bpf_map_lookup_elem(map, key);
}

/* Count a packet in a map entry, which all CPUs share. */
static __always_inline void count(__u64 *packets, __u64 *bytes, __u32 len)
{
	__sync_fetch_and_add(packets, 1);
	__sync_fetch_and_add(bytes, len);
}

/* Its ports, of UDP-Lite, DCCP or SCTP. Returns 0, or -1 if they are cut off. */
static __always_inline int read_ports(struct cursor *c, struct packet *p)
{
	struct port_header *ports;

	if (parse_ports(c, &ports) < 0)
		return -1;
	p->sport = ports->source;
	p->dport = ports->dest;
	return 0;
}

/* Its ports and flags. Returns 0, or -1 if the header cannot be parsed; likewise below. */
static __always_inline int read_tcp(struct cursor *c, struct packet *p)
{
	struct tcphdr *header;

	if (parse_tcp(c, &header) < 0)
		return -1;
	p->sport = header->source;
	p->dport = header->dest;
	/* A first fragment may have less. */
	if (c->remaining >= 14 && (void *)header + 14 <= c->end)
		p->flags = ((__u8 *)header)[13];
	return 0;
}

static __always_inline int read_udp(struct cursor *c, struct packet *p)
{
	struct udphdr *header;

	if (parse_udp(c, &header) < 0)
		return -1;
	p->sport = header->source;
	p->dport = header->dest;
	return 0;
}

static __always_inline int read_icmp(struct cursor *c, struct packet *p)
{
	struct icmp_header *header;

	if (parse_icmp(c, &header) < 0)
		return -1;
	p->type = header->type;
	p->code = header->code;
	return 0;
}

/*
 * Read what is behind the IP headers, and return the packet's class in fw_deny. `icmp_proto` is
 * the number of ICMP in this version of IP: the other one is no ICMP here.
 */
static __always_inline enum fw_proto classify(struct cursor *c, struct packet *p, int proto,
					      int icmp_proto)
{
	if (proto < 0)
		return unparsed;
	p->proto = proto;
	if (c->frag == FRAG_LATER)
		return fragment;
	if (proto == IPPROTO_TCP)
		return read_tcp(c, p) < 0 ? unparsed : tcp;
	if (proto == IPPROTO_UDP)
		return read_udp(c, p) < 0 ? unparsed : udp;
	if (proto == icmp_proto)
		return read_icmp(c, p) < 0 ? unparsed : icmp_proto;
	if (proto == IPPROTO_SCTP || proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE)
		return read_ports(c, p) < 0 ? unparsed : other;
	return other;
}

/* ---- the questions */

/*
 * Is it NDP (RFC 4861) or MLD (RFC 2710, RFC 3810)? Without MLD, snooping switches stop
 * forwarding to us.
 */
static __always_inline bool is_neighbour(const struct packet *p)
{
	return p->deny_class == icmpv6 && ((p->type >= 130 && p->type <= 137) || p->type == 143);
}

static __always_inline void *lookup_source4(void *map, const struct packet *p)
{
	struct fw_cidr4 key;

	__builtin_memset(&key, 0, sizeof(key)); /* an initialiser leaves out unnamed bits */
	key.prefixlen = 32;
	key.addr = p->saddr.s6_addr32[3];
	return lookup_trie(map, &key);
}

static __always_inline void *lookup_source6(void *map, const struct packet *p)
{
	struct fw_cidr6 key = {128, p->saddr};

	return lookup_trie(map, &key);
}

static __always_inline bool is_banned(const struct packet *p)
{
	struct fw_ban *ban = bpf_map_lookup_elem(&fw_ban, &p->saddr);

	if (!ban)
		return false;
	if (fw_boot_time && ban->expires &&
	    fw_boot_time + bpf_ktime_get_boot_ns() / NSEC_PER_SEC >= ban->expires)
		return false;
	count(&ban->packets, &ban->bytes, p->len);
	return true;
}

/*
 * Take a token from a bucket of `burst` tokens, which gets `pps` tokens per second. Returns false
 * if it is empty. The bucket is kept as the time at which it is full again, so that a CPU takes a
 * token by an atomic addition, without waiting for another. A time that is further away than an
 * empty bucket's was made under a lower rate or a larger burst, which has been changed since.
 */
static __always_inline bool bucket_take(__u64 *ready, __u32 pps, __u32 burst)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 interval = NSEC_PER_SEC / pps;
	__u64 last = now + (burst - 1) * interval; /* there is one token left */
	__u64 at = *(volatile __u64 *)ready;

	if (at > last) {
		if (at > last + interval)
			*(volatile __u64 *)ready = last + interval;
		return false;
	}
	if (at < now)
		*(volatile __u64 *)ready = now + interval;
	else
		__sync_fetch_and_add(ready, interval);
	return true;
}

/* Is the source over this rate? If it is not, a token of its bucket is taken. */
static __always_inline bool over_rate(struct fw_rate *rate, const struct packet *p, bool v6)
{
	struct in6_addr key = p->saddr;
	struct fw_rate_state *state;
	struct fw_rate_state first = {};
	__u32 pps, burst;

	pps = *(volatile __u32 *)&rate->pps;
	if (!pps)
		return false;
	burst = *(volatile __u32 *)&rate->burst;
	if (!burst)
		burst = pps / 10 + 1;
	if (v6)
		key.s6_addr32[2] = key.s6_addr32[3] = 0;
	state = bpf_map_lookup_elem(&fw_rate_state, &key);
	if (!state) {
		/*
		 * It fails if another CPU was faster, whose entry is found then, or if the map
		 * takes no more entries, and then the packet passes.
		 */
		bpf_map_update_elem(&fw_rate_state, &key, &first, BPF_NOEXIST);
		state = bpf_map_lookup_elem(&fw_rate_state, &key);
		if (!state)
			return false;
	}
	if (bucket_take(&state->ready, pps, burst))
		return false;
	count(&rate->packets, &rate->bytes, p->len);
	return true;
}

static __always_inline struct fw_rule *lookup_rule4(const struct packet *p, __u16 vlan, __u16 inner,
						    __u16 proto, __be16 port)
{
	struct fw_rule4 key;

	__builtin_memset(&key, 0, sizeof(key));
	key.prefixlen = 96;
	key.vlan = vlan;
	key.inner = inner;
	key.proto = proto;
	key.port = port;
	key.addr = p->saddr.s6_addr32[3];
	return bpf_map_lookup_elem(&fw_rule4, &key);
}

static __always_inline struct fw_rule *lookup_rule6(const struct packet *p, __u16 vlan, __u16 inner,
						    __u16 proto, __be16 port)
{
	struct fw_rule6 key = {
		.prefixlen = 192,
		.vlan = vlan,
		.inner = inner,
		.proto = proto,
		.port = port,
		.addr = p->saddr,
	};

	return bpf_map_lookup_elem(&fw_rule6, &key);
}

/* The rule on just these VLANs, this protocol and this port. */
static __always_inline struct fw_rule *lookup_rule(const struct packet *p, bool v6, __u16 vlan,
						   __u16 inner, __u16 proto, __be16 port)
{
	return v6 ? lookup_rule6(p, vlan, inner, proto, port)
		  : lookup_rule4(p, vlan, inner, proto, port);
}

/* The port that stands for the group of its port, or 0. */
static __always_inline __be16 port_group(const struct packet *p)
{
	__be16 *group = NULL;

	if (!fw_port_groups)
		return 0;
	if (p->deny_class == tcp)
		group = bpf_map_lookup_elem(&fw_tcp_ports, &p->dport);
	if (p->deny_class == udp)
		group = bpf_map_lookup_elem(&fw_udp_ports, &p->dport);
	return group ? *group : 0;
}

/* The most specific rule on just these VLANs. */
static __always_inline struct fw_rule *find_vlan_rule(const struct packet *p, bool v6, __u16 vlan,
						      __u16 inner, __be16 group)
{
	struct fw_rule *rule = NULL;

	if (p->dport)
		rule = lookup_rule(p, v6, vlan, inner, p->proto, p->dport);
	if (!rule && group)
		rule = lookup_rule(p, v6, vlan, inner, p->proto, group);
	if (!rule)
		rule = lookup_rule(p, v6, vlan, inner, p->proto, 0);
	if (!rule)
		rule = lookup_rule(p, v6, vlan, inner, any, 0);
	return rule;
}

/* The most specific rule. */
static __always_inline struct fw_rule *find_rule(const struct packet *p, bool v6)
{
	struct fw_rule *rule = NULL;
	struct fw_icmp message;
	__be16 group;

	__builtin_memset(&message, 0, sizeof(message));
	message.prefixlen = 16;
	message.type = p->type;
	message.code = p->code;
	if (v6 && p->deny_class == icmpv6)
		rule = lookup_trie(&fw_icmp6, &message);
	if (!v6 && p->deny_class == icmp)
		rule = lookup_trie(&fw_icmp4, &message);
	if (rule)
		return rule;

	if (v6 ? is_empty(&fw_rule6) : is_empty(&fw_rule4))
		return NULL;
	group = port_group(p);
	if (p->inner)
		rule = find_vlan_rule(p, v6, p->vlan, p->inner, group);
	if (!rule && p->vlan)
		rule = find_vlan_rule(p, v6, p->vlan, 0, group);
	if (!rule)
		rule = find_vlan_rule(p, v6, 0, 0, group);
	return rule;
}

/* Is its port one of fw_failsafe? */
static __always_inline bool is_failsafe(const struct packet *p)
{
	for (int i = 0; i < 4; i++)
		if (fw_failsafe[i] && p->dport == bpf_htons(fw_failsafe[i]))
			return p->deny_class == tcp;
	return false;
}

/* Is it an ICMP error, a reply of a DHCP server, or a reply as described above? */
static __always_inline bool is_reply(const struct packet *p, bool v6)
{
	switch (p->deny_class) {
	case tcp:
		return fw_pass_replies && p->flags & TCP_RST_ACK;
	case udp:
		if (v6 ? p->sport == bpf_htons(DHCP6_SERVER) && p->dport == bpf_htons(DHCP6_CLIENT)
		       : p->sport == bpf_htons(DHCP_SERVER) && p->dport == bpf_htons(DHCP_CLIENT))
			return true;
		if (!fw_pass_replies || bpf_ntohs(p->dport) < CLIENT_PORTS)
			return false;
		for (int i = 0; i < 4; i++)
			if (fw_reply_ports[i] && p->sport == bpf_htons(fw_reply_ports[i]))
				return true;
		return false;
	case icmp: /* RFC 792: unreachable, time exceeded, parameter problem */
		if (p->type == ICMP4_ECHO_REPLY)
			return fw_pass_replies;
		return p->type == 3 || p->type == 11 || p->type == 12;
	case icmpv6: /* RFC 4443 section 2.1: the same, and packet too big */
		if (p->type == ICMP6_ECHO_REPLY)
			return fw_pass_replies;
		return p->type >= 1 && p->type <= 4;
	default:
		return false;
	}
}

/* Nothing matched: is its protocol dropped by default? */
static __always_inline enum fw_stats judge_by_protocol(const struct packet *p)
{
	enum fw_proto class = p->deny_class, proto = p->proto;
	struct fw_count *entry = NULL;

	if (class == other && proto != icmp && proto != icmpv6) /* of the other version of IP */
		entry = bpf_map_lookup_elem(&fw_deny, &proto);
	if (!entry)
		entry = bpf_map_lookup_elem(&fw_deny, &class);
	if (!entry)
		return default_pass;
	count(&entry->packets, &entry->bytes, p->len);
	return denied;
}

static __always_inline enum fw_stats judge(const struct packet *p, bool v6)
{
	struct fw_count *entry;
	struct fw_rate *rate;
	struct fw_rule *rule;

	if (v6 && is_neighbour(p))
		return neighbour;

	if (fw_lists) {
		entry = v6 ? lookup_source6(&fw_allow6, p) : lookup_source4(&fw_allow4, p);
		if (entry) {
			count(&entry->packets, &entry->bytes, p->len);
			return allowed;
		}
	}
	if (fw_bans && is_banned(p))
		return banned;
	if (fw_lists) {
		entry = v6 ? lookup_source6(&fw_block6, p) : lookup_source4(&fw_block4, p);
		if (entry) {
			count(&entry->packets, &entry->bytes, p->len);
			return blocked;
		}
	}
	if (fw_rates) {
		rate = v6 ? lookup_source6(&fw_rate6, p) : lookup_source4(&fw_rate4, p);
		if (rate && over_rate(rate, p, v6))
			return rate_limited;
	}
	if (fw_rules) {
		rule = find_rule(p, v6);
		if (rule) {
			count(&rule->packets, &rule->bytes, p->len);
			return rule->verdict == pass ? rule_pass : rule_drop;
		}
	}
	if (is_failsafe(p))
		return failsafe;
	if (is_reply(p, v6))
		return reply;
	return judge_by_protocol(p);
}

/*
 * If the IP header is cut off, the addresses are unknown, and only fw_deny decides. The kernel
 * drops such packets, too.
 */
static __always_inline enum fw_stats judge4(struct cursor *c, struct packet *p)
{
	struct iphdr *ip = NULL;
	int proto = parse_ip4(c, &ip);

	if (!ip)
		return judge_by_protocol(p);
	p->saddr.s6_addr32[2] = p->daddr.s6_addr32[2] = bpf_htonl(0xffff);
	p->saddr.s6_addr32[3] = ip->saddr;
	p->daddr.s6_addr32[3] = ip->daddr;
	p->deny_class = classify(c, p, proto, IPPROTO_ICMP);
	return judge(p, false);
}

static __always_inline enum fw_stats judge6(struct cursor *c, struct packet *p)
{
	struct ipv6hdr *ip = NULL;
	int proto = parse_ip6(c, &ip);

	if (!ip)
		return judge_by_protocol(p);
	p->saddr = ip->saddr;
	p->daddr = ip->daddr;
	p->deny_class = classify(c, p, proto, IPPROTO_ICMPV6);
	return judge(p, true);
}

/*
 * Not inlined: a function's parameters bring struct fw_event into the object's BTF, and
 * ringbuf-read prints events by that.
 */
static __noinline void event_fill(struct fw_event *e, const struct packet *p, enum fw_stats reason)
{
	e->time = bpf_ktime_get_ns();
	e->reason = reason;
	e->saddr = p->saddr;
	e->daddr = p->daddr;
	e->len = p->len;
	e->vlan = p->vlan;
	e->inner = p->inner;
	e->proto = p->proto;
	e->sport = p->sport;
	e->dport = p->dport;
	e->type = p->type;
	e->code = p->code;
}

/* Write an event about a dropped packet. If that fails, the verdict stays. */
static __always_inline void emit_event(struct xdp_md *ctx, const struct packet *p,
				       enum fw_stats reason)
{
	struct fw_event_stats *stats;
	const __u32 zero = 0;
	struct fw_event *e;

	stats = bpf_map_lookup_elem(&fw_event_stats, &zero);
	if (!stats) /* never: an array has its entries */
		return;
	if (!bucket_take(&event_ready, fw_events_pps, fw_events_pps / 10 + 1)) {
		stats->suppressed++;
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

XDP_SECTION
int xdp_firewall(struct xdp_md *ctx)
{
	struct packet p = {
		.proto = unparsed,
		.deny_class = unparsed,
	};
	struct cursor c = cursor_init(ctx);
	enum fw_stats reason = non_ip;
	struct fw_count *stats;
	__u32 key;

	p.len = c.remaining;
	switch (parse_link(&c)) {
	case bpf_htons(ETH_P_IP):
		p.vlan = c.vlan;
		p.inner = c.inner;
		reason = judge4(&c, &p);
		break;
	case bpf_htons(ETH_P_IPV6):
		p.vlan = c.vlan;
		p.inner = c.inner;
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

	/* A map entry asked for this drop, and has counted it. */
	if (fw_events_pps)
		emit_event(ctx, &p, reason);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The packet parser: a cursor, and one inline function per header. Each function
 * checks that its header lies inside the packet and returns -1 if it does not or
 * if it is malformed. There are no maps and no verdicts here: the program decides
 * what happens to a packet that cannot be parsed.
 *
 *   function          hands out  returns                       moves the cursor
 *   parse_link        -          EtherType, network order      behind Ethernet, VLAN tags
 *   parse_ip4_header  header     0                             no
 *   parse_ip4         header     protocol                      behind the header, options
 *   parse_ip6_header  header     next header                   behind the fixed header
 *   parse_ip6         header     protocol                      behind extension headers
 *   parse_tcp         header     0                             no
 *   parse_udp         header     0                             no
 *   parse_ports       ports      0                             no
 *   parse_icmp        header     type                          no
 *
 * The two _header functions check no length: they serve a filter on addresses. parse_ip4 and
 * parse_ip6 hand the header out even if they return -1, when its addresses can be read.
 * Pointers that are handed out point into the packet, so fields are in network byte
 * order. The VLAN ids in the cursor are in host byte order. Constants that have no
 * name in the kernel's UAPI headers come with their RFC.
 */
#ifndef HOOKSET_PARSE_H
#define HOOKSET_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/types.h>
#include <linux/udp.h>

#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* ---- knobs of every object that parses: prog-load --set l3=true */

#ifdef PARSE_NO_KNOBS /* for an object without maps */
#define l3 false
#define frags false
#else
/* Do frames begin with the IP header? So it is on devices without Ethernet: TUN, WireGuard, PPP. */
const volatile bool l3 = false;

/*
 * May frames have more than one buffer (SEC("xdp.frags"), since Linux 5.18)? Then data_end is not
 * the end of the packet. prog-load --type xdp.frags sets it as well.
 */
#ifdef XDP_FRAGS
const volatile bool frags = true;
#else
const volatile bool frags = false;
#endif
#endif

#ifdef XDP_FRAGS
#define XDP_SECTION SEC("xdp.frags")
#else
#define XDP_SECTION SEC("xdp")
#endif

/* ---- the parser */

#define VLAN_MAX_DEPTH 2 /* 802.1ad (QinQ) outside, 802.1Q inside */
#define IPV6_EXT_MAX 8	 /* more are not parsed; RFC 8200 section 4.1 recommends at most six */

/* The extension headers that are skipped, as a set of protocol numbers below 64. */
#define IPV6_EXT_SET                                                                               \
	(1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING | 1ULL << IPPROTO_FRAGMENT |            \
	 1ULL << IPPROTO_DSTOPTS)

#define VLAN_ID 0x0fff	  /* IEEE 802.1Q: the VLAN id in the tag control information */
#define IP4_OFFSET 0x1fff /* RFC 791: fragment offset, in units of 8 bytes */
#define IP4_MORE 0x2000	  /* RFC 791: more fragments follow */
#define IP6_OFFSET 0xfff8 /* RFC 8200 section 4.5: fragment offset, in bytes */
#define IP6_MORE 0x0001	  /* RFC 8200 section 4.5: more fragments follow */

/* Which part of a datagram a packet is. */
enum frag_pos {
	FRAG_NONE = 0,	/* all of it: it is not fragmented */
	FRAG_FIRST = 1, /* the first fragment: has the ports, but maybe not the whole header */
	FRAG_LATER = 2, /* a later fragment: has no ports and no ICMP type */
};

struct cursor {
	void *pos;	    /* the next byte to parse */
	void *end;	    /* one past the last byte of the packet's first buffer */
	__u32 remaining;    /* bytes from pos to the end of the frame, in all its buffers, or,
			       behind an IP header, to the end of the IP packet */
	enum frag_pos frag; /* set by parse_ip4() and parse_ip6() */
	__u16 vlan;	    /* VLAN id of the only tag, or of the outer one; 0: none */
	__u16 inner;	    /* VLAN id of the inner tag, if there are two; 0: none */
};

/* Like struct ethhdr. That one is packed, so compilers read its h_proto byte by byte. */
struct eth_header {
	__u8 dest[ETH_ALEN];
	__u8 source[ETH_ALEN];
	__be16 proto;
};

/* IEEE 802.1Q; <linux/if_vlan.h> of the UAPI does not define it. */
struct vlan_header {
	__be16 tci;
	__be16 proto;
};

/* RFC 8200: the beginning of a hop-by-hop, routing or destination options header. */
struct ip6_ext_header {
	__u8 next;
	__u8 len; /* in units of 8 bytes, not counting the first 8 */
	__u8 data[6];
};

/* RFC 8200 section 4.5. */
struct ip6_frag_header {
	__u8 next;
	__u8 reserved;
	__be16 offset;
	__be32 id;
};

/*
 * RFC 792 and RFC 4443: the first 8 bytes of every ICMP and ICMPv6 message. Only
 * echo requests and replies have the last two fields. (The UAPI's <linux/icmp.h>
 * pulls in the C library.)
 */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
};

/*
 * The first 4 bytes of TCP (RFC 9293), UDP (RFC 768), UDP-Lite (RFC 3828), DCCP (RFC 4340) and
 * SCTP (RFC 9260).
 */
struct port_header {
	__be16 source;
	__be16 dest;
};

enum { ICMP4_ECHO_REPLY = 0, ICMP4_ECHO_REQUEST = 8 };	   /* RFC 792 */
enum { ICMP6_ECHO_REQUEST = 128, ICMP6_ECHO_REPLY = 129 }; /* RFC 4443 */

/* bpf_xdp_get_buff_len(), which the headers of libbpf 0.6 and before do not have. */
static long (*const xdp_get_buff_len)(struct xdp_md *ctx) = (void *)188;

static __always_inline struct cursor cursor_init(struct xdp_md *ctx)
{
	struct cursor c = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	c.remaining = frags ? xdp_get_buff_len(ctx) : c.end - c.pos;
	return c;
}

/*
 * The EtherType that belongs to the version of IP, for a frame that begins with the IP header. A
 * program sees no other protocol there: such devices have no field for one.
 */
static __always_inline int parse_version(struct cursor *c)
{
	__u8 *version = c->pos;

	if ((void *)(version + 1) > c->end)
		return -1;
	switch (*version >> 4) {
	case 4:
		return bpf_htons(ETH_P_IP);
	case 6:
		return bpf_htons(ETH_P_IPV6);
	}
	return -1;
}

/*
 * Ethernet and up to two VLAN tags. Returns the EtherType, in network byte order. A tag with
 * id 0 carries a priority only, and is no VLAN (IEEE 802.1Q).
 */
static __always_inline int parse_eth(struct cursor *c)
{
	struct eth_header *eth = c->pos;
	__be16 proto;

	if ((void *)(eth + 1) > c->end)
		return -1;
	c->pos = eth + 1;
	c->remaining -= sizeof(*eth);
	proto = eth->proto;

	for (int i = 0; i < VLAN_MAX_DEPTH; i++) {
		struct vlan_header *tag = c->pos;
		__u16 id;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > c->end)
			return -1;
		c->pos = tag + 1;
		c->remaining -= sizeof(*tag);
		proto = tag->proto;
		id = bpf_ntohs(tag->tci & bpf_htons(VLAN_ID));
		if (c->vlan)
			c->inner = id;
		else
			c->vlan = id;
	}
	return proto;
}

/* What comes before the IP header. Returns the EtherType, in network byte order. */
static __always_inline int parse_link(struct cursor *c)
{
	return l3 ? parse_version(c) : parse_eth(c);
}

/* The IPv4 header as far as the addresses. Returns 0. */
static __always_inline int parse_ip4_header(struct cursor *c, struct iphdr **out)
{
	struct iphdr *ip = c->pos;

	if ((void *)(ip + 1) > c->end || ip->version != 4)
		return -1;
	*out = ip;
	return 0;
}

/*
 * IPv4 and its options. Returns the protocol. A total length of 0 is that of a TCP packet of more
 * than 65,535 bytes, which the kernel has put together (BIG TCP, since Linux 6.3): it ends where
 * the frame ends.
 */
static __always_inline int parse_ip4(struct cursor *c, struct iphdr **out)
{
	__u32 header, total;
	struct iphdr *ip;

	if (parse_ip4_header(c, &ip) < 0)
		return -1;
	*out = ip;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (!total) {
		/* The verifier of Linux 5.10 does not see that a header is longer than 0. */
		if (ip->protocol != IPPROTO_TCP)
			return -1;
		total = c->remaining;
	}
	if (header < sizeof(*ip) || total < header || total > c->remaining ||
	    c->pos + header > c->end)
		return -1;

	c->pos += header;
	c->remaining = total - header;
	if (ip->frag_off & bpf_htons(IP4_OFFSET | IP4_MORE))
		c->frag = ip->frag_off & bpf_htons(IP4_OFFSET) ? FRAG_LATER : FRAG_FIRST;
	return ip->protocol;
}

/* The IPv6 header alone. Returns what follows it. */
static __always_inline int parse_ip6_header(struct cursor *c, struct ipv6hdr **out)
{
	struct ipv6hdr *ip = c->pos;

	if ((void *)(ip + 1) > c->end || ip->version != 6)
		return -1;
	c->pos = ip + 1;
	*out = ip;
	return ip->nexthdr;
}

static __always_inline bool is_ip6_ext(int next)
{
	return next < 64 && IPV6_EXT_SET >> next & 1;
}

/*
 * IPv6 and its extension headers. Returns the protocol behind them. In a later fragment
 * that is the next header named by the fragment header, and the cursor is behind that one.
 * A packet of length 0 with a hop-by-hop header (a jumbogram, RFC 2675) or with TCP (BIG TCP,
 * which has no jumbo option on newer kernels) ends where the frame ends.
 */
static __always_inline int parse_ip6(struct cursor *c, struct ipv6hdr **out)
{
	int next = parse_ip6_header(c, out);
	__u32 length;

	if (next < 0)
		return -1;
	length = bpf_ntohs((*out)->payload_len);
	if (c->remaining < sizeof(**out) + length)
		return -1;
	c->remaining = length;
	if (!c->remaining && (next == IPPROTO_HOPOPTS || next == IPPROTO_TCP))
		c->remaining = 0xffffffff;

	/* Of 64 bits: on the stack, the verifier of 5.10 knows the value of no smaller counter. */
	for (__u64 i = 0; i < IPV6_EXT_MAX; i++) {
		struct ip6_frag_header *frag = c->pos;
		struct ip6_ext_header *ext = c->pos;
		__u64 is_frag, offset, len;

		if (!is_ip6_ext(next))
			return next;
		if (c->remaining < sizeof(*ext) || (void *)(ext + 1) > c->end)
			return -1;
		/*
		 * Masks, not branches: each branch would double the verifier's work in each
		 * round. Only 0 - 1 has the highest bit set.
		 */
		is_frag = ((__u64)(next ^ IPPROTO_FRAGMENT) - 1) >> 63;
		asm volatile("" : "+r"(is_frag)); /* keeps the compiler from branching */
		offset = bpf_ntohs(frag->offset) & -is_frag;
		len = sizeof(*ext) + (ext->len * 8 & (is_frag - 1));
		if (c->remaining < len || c->pos + len > c->end)
			return -1;
		c->pos += len;
		c->remaining -= len;
		c->frag |= offset & IP6_MORE; /* FRAG_FIRST */
		next = ext->next;
		if (offset & IP6_OFFSET) {
			c->frag = FRAG_LATER;
			return next;
		}
	}
	return is_ip6_ext(next) ? -1 : next;
}

/*
 * The TCP header. Returns 0. In a first fragment only the ports may be read, since the
 * rest may come in the next one (RFC 1858). To return -1 there would let an attacker pass
 * a filter on ports by tiny fragments.
 */
static __always_inline int parse_tcp(struct cursor *c, struct tcphdr **out)
{
	struct tcphdr *tcp = c->pos;
	__u32 header;

	if (c->frag == FRAG_LATER)
		return -1;
	if (c->frag == FRAG_FIRST) {
		if (c->remaining < 4 || c->pos + 4 > c->end)
			return -1;
		*out = tcp;
		return 0;
	}
	if (c->remaining < sizeof(*tcp) || (void *)(tcp + 1) > c->end)
		return -1;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || c->remaining < header || c->pos + header > c->end)
		return -1;
	*out = tcp;
	return 0;
}

/* The UDP header. Returns 0. In a first fragment only the ports may be read, as in TCP. */
static __always_inline int parse_udp(struct cursor *c, struct udphdr **out)
{
	__u32 size = c->frag == FRAG_FIRST ? 4 : sizeof(**out);

	if (c->frag == FRAG_LATER || c->remaining < size || c->pos + size > c->end)
		return -1;
	*out = c->pos;
	return 0;
}

/* The ports of a protocol that begins with them, such as SCTP. Returns 0. */
static __always_inline int parse_ports(struct cursor *c, struct port_header **out)
{
	struct port_header *ports = c->pos;

	if (c->frag == FRAG_LATER || c->remaining < sizeof(*ports) || (void *)(ports + 1) > c->end)
		return -1;
	*out = ports;
	return 0;
}

/* ICMP or ICMPv6. Returns the type. */
static __always_inline int parse_icmp(struct cursor *c, struct icmp_header **out)
{
	struct icmp_header *icmp = c->pos;

	if (c->frag == FRAG_LATER || c->remaining < sizeof(*icmp) || (void *)(icmp + 1) > c->end)
		return -1;
	*out = icmp;
	return icmp->type;
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The packet parser: a cursor and one inline per header. Each checks that its
 * header lies inside the packet, hands it out, moves the cursor behind it and
 * returns what comes next, or -1 for what cannot be parsed. There are no maps
 * and no verdicts here; what an unparsed packet gets is the program's decision.
 *
 * All that is handed out points into the packet and is in network byte order.
 * Where a constant has no name in the kernel's UAPI headers its RFC is given.
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

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_MAX_DEPTH 2 /* 802.1ad (QinQ) outside, 802.1Q inside */
#define IPV6_EXT_MAX 8	 /* RFC 8200 section 4.1 recommends at most six; more are not parsed */

/* The extension headers that are looked behind, as a set of protocol numbers below 64. */
#define IPV6_EXT_SET                                                                               \
	(1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING | 1ULL << IPPROTO_FRAGMENT |            \
	 1ULL << IPPROTO_DSTOPTS)

#define VLAN_ID 0x0fff	  /* IEEE 802.1Q: of the tag control information, the VLAN's id */
#define IP4_OFFSET 0x1fff /* RFC 791: fragment offset, in units of 8 bytes */
#define IP4_MORE 0x2000	  /* RFC 791: more fragments follow */
#define IP6_OFFSET 0xfff8 /* RFC 8200 section 4.5: fragment offset, in bytes */
#define IP6_MORE 0x0001	  /* RFC 8200 section 4.5: more fragments follow */

/* What of a fragmented datagram this packet is; see struct cursor. */
enum fragment {
	FRAG_NONE = 0, /* a whole datagram */
	FRAG_FIRST =
		1, /* the first of several: ports are here, the rest of the header may not be */
	FRAG_LATER = 2, /* not the first: no transport header, so no ports and no ICMP type */
};

struct cursor {
	void *pos;	    /* the next byte to parse */
	void *end;	    /* one past the last byte of the packet */
	__u32 left;	    /* bytes from pos to where IP says that the datagram ends */
	enum fragment frag; /* known once the IP header has been parsed */
	__u32 vlans;	    /* VLAN ids: the outer one << 16 | the inner one, or the only one */
};

/* As struct ethhdr, which is packed: of that one, a compiler reads h_proto byte by byte. */
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

/* RFC 8200: how hop-by-hop, routing and destination options headers begin. */
struct ip6_ext_header {
	__u8 next;
	__u8 len; /* in units of 8 bytes, without the first 8 */
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
 * RFC 792 and RFC 4443: the 8 bytes that every ICMP and ICMPv6 message begins
 * with. Only echo requests and replies have the last two fields. (The UAPI's
 * <linux/icmp.h> pulls in the C library.)
 */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
};

enum { ICMP4_ECHO_REPLY = 0, ICMP4_ECHO_REQUEST = 8 };	   /* RFC 792 */
enum { ICMP6_ECHO_REQUEST = 128, ICMP6_ECHO_REPLY = 129 }; /* RFC 4443 */

static __always_inline struct cursor cursor_init(const struct xdp_md *ctx)
{
	struct cursor c = {
		.pos = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};

	return c;
}

/*
 * A length out of a header. The verifiers of Linux 5.10 to 6.12 forget that a
 * byte swap leaves 16 bits, and refuse to add what it leaves to a pointer; the
 * compiler knows, and would drop a mask that is written in C.
 */
static __always_inline __u64 length(__be16 field)
{
	__u64 host = bpf_ntohs(field);

	asm volatile("%0 &= 0xffff" : "+r"(host));
	return host;
}

/*
 * Ethernet and up to two VLAN tags. Returns the EtherType, in network order. A tag with the
 * id 0 gives a priority, and no VLAN (IEEE 802.1Q).
 */
static __always_inline int parse_eth(struct cursor *c)
{
	struct eth_header *eth = c->pos;
	__be16 proto;

	if ((void *)(eth + 1) > c->end)
		return -1;
	c->pos = eth + 1;
	proto = eth->proto;

	for (int i = 0; i < VLAN_MAX_DEPTH; i++) {
		struct vlan_header *tag = c->pos;

		if (proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > c->end)
			return -1;
		c->pos = tag + 1;
		proto = tag->proto;
		if (tag->tci & bpf_htons(VLAN_ID))
			c->vlans = c->vlans << 16 | bpf_ntohs(tag->tci & bpf_htons(VLAN_ID));
	}
	return proto;
}

/* IPv4 and its options. Returns the protocol. */
static __always_inline int parse_ip4(struct cursor *c, struct iphdr **out)
{
	struct iphdr *ip = c->pos;
	__u64 header, total;

	if ((void *)(ip + 1) > c->end)
		return -1;
	header = ip->ihl * 4;
	total = length(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip) || total < header || c->pos + total > c->end)
		return -1;

	c->pos += header;
	c->left = total - header;
	if (ip->frag_off & bpf_htons(IP4_OFFSET | IP4_MORE))
		c->frag = ip->frag_off & bpf_htons(IP4_OFFSET) ? FRAG_LATER : FRAG_FIRST;
	*out = ip;
	return ip->protocol;
}

/* The IPv6 header alone. Returns what follows it. */
static __always_inline int parse_ip6_header(struct cursor *c, struct ipv6hdr **out)
{
	struct ipv6hdr *ip = c->pos;

	if ((void *)(ip + 1) > c->end || ip->version != 6)
		return -1;
	c->pos = ip + 1;
	c->left = length(ip->payload_len);
	if (c->pos + c->left > c->end)
		return -1;
	*out = ip;
	return ip->nexthdr;
}

/*
 * IPv6 and its extension headers. Returns the protocol behind them, or, in a
 * later fragment, whatever its fragment header names. A jumbogram (RFC 2675:
 * length 0 and a hop-by-hop header) ends where the packet ends.
 */
static __always_inline int parse_ip6(struct cursor *c, struct ipv6hdr **out)
{
	int next = parse_ip6_header(c, out);

	if (next < 0)
		return -1;
	if (!c->left && next == IPPROTO_HOPOPTS)
		c->left = 0xffffffff;

	for (int i = 0; i <= IPV6_EXT_MAX; i++) { /* the last round sees what comes behind them */
		struct ip6_frag_header *frag = c->pos;
		struct ip6_ext_header *ext = c->pos;
		__u64 is_frag, offset, len;

		if (next >= 64 || !(IPV6_EXT_SET >> next & 1))
			return next;
		if (c->left < sizeof(*ext) || (void *)(ext + 1) > c->end)
			return -1;
		/*
		 * Masks, not branches, each of which would double the verifier's work
		 * in each round: 0 - 1 is the only difference with the highest bit set.
		 */
		is_frag = ((__u64)(next ^ IPPROTO_FRAGMENT) - 1) >> 63;
		asm volatile("" : "+r"(is_frag)); /* or the compiler branches all the same */
		offset = bpf_ntohs(frag->offset) & -is_frag;
		len = sizeof(*ext) + (ext->len * 8 & (is_frag - 1));
		if (c->left < len || c->pos + len > c->end)
			return -1;
		c->pos += len;
		c->left -= len;
		c->frag |= offset & IP6_MORE; /* FRAG_FIRST */
		next = ext->next;
		if (offset & IP6_OFFSET) {
			c->frag = FRAG_LATER;
			return next;
		}
	}
	return -1;
}

/*
 * The TCP header. Returns 0. Of a first fragment only the ports may be read:
 * the rest may come in the next one (RFC 1858), and a filter that then looked
 * away would be walked around.
 */
static __always_inline int parse_tcp(struct cursor *c, struct tcphdr **out)
{
	struct tcphdr *tcp = c->pos;
	__u32 header;

	if (c->frag == FRAG_LATER)
		return -1;
	if (c->frag == FRAG_FIRST) {
		if (c->left < 4 || c->pos + 4 > c->end)
			return -1;
		*out = tcp;
		return 0;
	}
	if (c->left < sizeof(*tcp) || (void *)(tcp + 1) > c->end)
		return -1;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || c->left < header || c->pos + header > c->end)
		return -1;
	*out = tcp;
	return 0;
}

/* The UDP header. Returns 0. As of TCP, only the ports may be read of a first fragment. */
static __always_inline int parse_udp(struct cursor *c, struct udphdr **out)
{
	__u32 size = c->frag == FRAG_FIRST ? 4 : sizeof(**out);

	if (c->frag == FRAG_LATER || c->left < size || c->pos + size > c->end)
		return -1;
	*out = c->pos;
	return 0;
}

/* ICMP or ICMPv6. Returns the type. */
static __always_inline int parse_icmp(struct cursor *c, struct icmp_header **out)
{
	struct icmp_header *icmp = c->pos;

	if (c->frag == FRAG_LATER || c->left < sizeof(*icmp) || (void *)(icmp + 1) > c->end)
		return -1;
	*out = icmp;
	return icmp->type;
}

#endif

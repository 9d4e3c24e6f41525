/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The interface of xdp_firewall to user space: the keys and values of its maps, and its events.
 *
 * The enumerators have no prefix because map-edit and ringbuf-read print them, and users type
 * them: `fw_deny add tcp`, `verdict=pass`, `reason=rule_drop`. So no variable can be called tcp
 * or drop where this header is included.
 */
#ifndef HOOKSET_XDP_FIREWALL_H
#define HOOKSET_XDP_FIREWALL_H

#include <linux/in6.h>
#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/*
 * The protocol of a packet: an IP protocol number (IANA), or one of the values from 256 on,
 * which are no IP protocols. In a rule, `any` stands for all of them.
 */
enum fw_proto {
	any = 0,
	icmp = 1,
	tcp = 6,
	udp = 17,
	dccp = 33,
	gre = 47,
	esp = 50,
	icmpv6 = 58,
	sctp = 132,
	udplite = 136,
	unparsed = 256, /* a header is cut off or malformed */
	fragment = 257, /* in fw_deny: a later fragment of any protocol */
	other = 258,	/* in fw_deny: a protocol that is not ICMP, TCP or UDP and has no entry */
} __attribute__((packed));

static_assert(sizeof(enum fw_proto) == 2, "enum fw_proto is part of keys");

enum fw_verdict {
	drop = 0,
	pass = 1,
};

/*
 * The keys of LPM tries. The kernel stores the value right behind the data of the key, so
 * unnamed bits pad that to a multiple of 8. Otherwise the counters would not be aligned: an
 * atomic addition across two cache lines takes 60 us on x86 (split lock) and may fault elsewhere.
 */
struct fw_cidr4 {
	__u32 prefixlen; /* at most 32 */
	__be32 addr;
	__u32 : 32;
};

struct fw_cidr6 {
	__u32 prefixlen; /* at most 128 */
	struct in6_addr addr;
};

struct fw_rule4 {
	__u32 prefixlen;     /* 64 + the prefix length of the address */
	__u16 vlan;	     /* VLAN id of the only tag, or of the outer one; 0: any or none */
	__u16 inner;	     /* VLAN id of the inner tag, if there are two; 0: any or none */
	enum fw_proto proto; /* 0: any */
	__be16 port;	     /* destination port of proto, or the port of a group; 0: any */
	__be32 addr;	     /* source */
	__u32 : 32;
};

struct fw_rule6 {
	__u32 prefixlen;
	__u16 vlan;
	__u16 inner;
	enum fw_proto proto;
	__be16 port;
	struct in6_addr addr;
};

struct fw_icmp {
	__u32 prefixlen; /* 8: the type; 16: type and code */
	__u8 type;
	__u8 code;
	__u16 : 16;
	__u32 : 32;
};

#define FW_KEY_ALIGNED(type) static_assert((sizeof(type) - sizeof(__u32)) % 8 == 0, #type)

FW_KEY_ALIGNED(struct fw_cidr4);
FW_KEY_ALIGNED(struct fw_cidr6);
FW_KEY_ALIGNED(struct fw_rule4);
FW_KEY_ALIGNED(struct fw_rule6);
FW_KEY_ALIGNED(struct fw_icmp);

/* Packets that matched a map entry; the bytes are those of whole frames. */
struct fw_count {
	__u64 packets;
	__u64 bytes;
};

struct fw_rule {
	enum fw_verdict verdict;
	__u64 packets;
	__u64 bytes;
};

struct fw_ban {
	__u64 expires; /* seconds since 1970; 0: never */
	__u64 packets;
	__u64 bytes;
};

struct fw_rate {
	__u32 pps;     /* packets per second from each source; 0: no limit */
	__u32 burst;   /* packets at once; 0: pps / 10 + 1 */
	__u64 packets; /* dropped */
	__u64 bytes;   /* dropped */
};

/* The token bucket of a source. */
struct fw_rate_state {
	__u64 ready; /* the time at which it is full again: ns, CLOCK_MONOTONIC */
};

/*
 * The verdict on a packet and its reason: the index of the map fw_stats. The enum has the name
 * of the map because map-edit takes the names of an array's indexes from there.
 */
enum fw_stats {
	/* passed */
	non_ip = 0,	  /* neither IPv4 nor IPv6, for example ARP */
	neighbour = 1,	  /* neighbour discovery or MLD */
	allowed = 2,	  /* its source is in fw_allow */
	rule_pass = 3,	  /* a rule passes it */
	failsafe = 4,	  /* its destination port is in fw_failsafe */
	reply = 5,	  /* it looks like a reply to this host */
	default_pass = 6, /* nothing matches, and its protocol is not in fw_deny */
	/* dropped */
	banned = 7,	  /* its source is in fw_ban */
	blocked = 8,	  /* its source is in fw_block */
	rate_limited = 9, /* its source is over its rate in fw_rate */
	rule_drop = 10,	  /* a rule drops it */
	denied = 11,	  /* nothing matches, and its protocol is in fw_deny */
};

#define FW_REASONS 12
#define FW_DROPPED banned /* this and the following */

/* A packet that was dropped. */
struct fw_event {
	__u64 time;	       /* ns since boot, without suspend (CLOCK_MONOTONIC) */
	struct in6_addr saddr; /* an IPv4 address is v4-mapped (RFC 4291 section 2.5.5.2) */
	struct in6_addr daddr; /* likewise */
	enum fw_stats reason;
	__u32 ifindex; /* the interface it came in by */
	__u32 len;     /* bytes of the frame */
	__u16 vlan;    /* VLAN id of the only tag, or of the outer one; 0: none */
	__u16 inner;   /* VLAN id of the inner tag, if there are two; 0: none */
	enum fw_proto proto;
	__be16 sport; /* of TCP, UDP, UDP-Lite, DCCP and SCTP, else 0 */
	__be16 dport; /* likewise */
	__u8 type;    /* of ICMP and ICMPv6, else 0 */
	__u8 code;    /* likewise */
};

static_assert(sizeof(struct fw_event) == 64, "struct fw_event is part of the interface");

/* Events, counted since the program was loaded. dropped packets = events + lost + suppressed */
struct fw_event_stats {
	__u64 events;	  /* written to the ring buffer */
	__u64 lost;	  /* lost because the ring buffer was full */
	__u64 suppressed; /* not written because of the limit fw_events_pps */
};

#endif

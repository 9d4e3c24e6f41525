/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What xdp_firewall shares with user space: the keys and values of its maps, and its events. */
#ifndef HOOKSET_XDP_FIREWALL_H
#define HOOKSET_XDP_FIREWALL_H

#include <linux/in6.h>
#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/*
 * What a packet carries: a protocol of IANA's list, by its name or number, or one of those
 * from 256 on. Not an IP protocol: `any`, which stands for all of them in a rule.
 */
enum fw_proto {
	any = 0,
	icmp = 1,
	tcp = 6,
	udp = 17,
	gre = 47,
	esp = 50,
	icmpv6 = 58,
	sctp = 132,
	unparsed = 256, /* a header is cut off, or is none: what is in there cannot be told */
	fragment = 257, /* fw_deny: a later fragment, whatever its protocol */
	other = 258,	/* fw_deny: all that is not named above */
} __attribute__((packed));

static_assert(sizeof(enum fw_proto) == 2, "enum fw_proto is part of keys");

enum fw_verdict {
	drop = 0,
	pass = 1,
};

/*
 * The keys of LPM tries. The kernel keeps the value behind the bytes of the key, so these are a
 * multiple of 8, by bits without a name, or counters would not be aligned: on x86 an atomic
 * addition across two cache lines takes 60 us (split lock), elsewhere it may be a fault.
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
	__u32 prefixlen;     /* 64, and that of the address */
	__u16 vlan;	     /* VLAN id of the only tag, or of the outer one; 0: any or none */
	__u16 inner;	     /* VLAN id of the inner tag, of two; 0: any or none */
	enum fw_proto proto; /* 0: any */
	__be16 port;	     /* destination port of TCP or UDP, or a group of them; 0: any */
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

/* What has met an entry of a map: frames, and their bytes. */
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
	__u32 pps;     /* packets a second from each source; 0: no limit */
	__u32 burst;   /* so many at once; 0: what a tenth of a second brings */
	__u64 packets; /* dropped */
	__u64 bytes;   /* dropped */
};

/* When a source may send again as much as ever: ns, CLOCK_MONOTONIC. */
struct fw_source {
	__u64 ready;
};

/* What became of a packet, and why: the index of the map fw_stats. */
enum fw_stats {
	/* passed */
	not_ip = 0,    /* neither IPv4 nor IPv6, ARP among them */
	neighbour = 1, /* neighbour discovery and MLD */
	allowed = 2,   /* its source is in fw_allow */
	ruled_in = 3,  /* a rule passes it */
	failsafe = 4,  /* to a port of fw_failsafe */
	answer = 5,    /* it may be an answer to what this host has sent */
	no_rule = 6,   /* nothing is said of it, and its protocol is not in fw_deny */
	/* dropped */
	banned = 7,	/* its source is in fw_ban */
	blocked = 8,	/* its source is in fw_block */
	limited = 9,	/* its source has sent too much, by fw_rate */
	ruled_out = 10, /* a rule drops it */
	denied = 11,	/* nothing is said of it, and its protocol is in fw_deny */
};

#define FW_STATS 12
#define FW_DROPPED banned /* from here on */

/* A packet that was dropped. */
struct fw_event {
	__u64 time;	       /* ns since boot, without suspend (CLOCK_MONOTONIC) */
	struct in6_addr saddr; /* an IPv4 address is v4-mapped (RFC 4291 section 2.5.5.2) */
	struct in6_addr daddr; /* likewise */
	enum fw_stats reason;
	__u32 ifindex; /* the interface it came in by */
	__u32 len;     /* bytes of the frame */
	__u16 vlan;    /* VLAN id of the only tag, or of the outer one; 0: none */
	__u16 inner;   /* VLAN id of the inner tag, of two; 0: none */
	enum fw_proto proto;
	__be16 sport; /* of TCP and UDP, else 0 */
	__be16 dport; /* likewise */
	__u8 type;    /* of ICMP and ICMPv6, else 0 */
	__u8 code;    /* likewise */
};

static_assert(sizeof(struct fw_event) == 64, "struct fw_event is part of the interface");

/* dropped packets = events + lost + held_back */
struct fw_event_stats {
	__u64 events;	 /* put into the ring buffer */
	__u64 lost;	 /* found the ring buffer full */
	__u64 held_back; /* were more than fw_events_pps a second */
};

#endif

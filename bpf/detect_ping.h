/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The events and counters of detect_ping, which user space reads. */
#ifndef HOOKSET_DETECT_PING_H
#define HOOKSET_DETECT_PING_H

#include <linux/bpf.h>
#include <linux/in6.h>
#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* One ICMP or ICMPv6 packet. */
struct ping_event {
	__u64 time;		 /* ns since boot, without suspend (CLOCK_MONOTONIC) */
	struct in6_addr saddr;	 /* an IPv4 address is v4-mapped (RFC 4291 section 2.5.5.2) */
	struct in6_addr daddr;	 /* likewise */
	__u8 version;		 /* of IP: 4 or 6 */
	__u8 type;		 /* ICMP type if version is 4, ICMPv6 type if 6 */
	__u8 code;		 /* likewise */
	__u8 ttl;		 /* time to live, or hop limit */
	__be16 id;		 /* of an echo request or reply, else 0 */
	__be16 sequence;	 /* likewise */
	__u32 ifindex;		 /* the interface it came in by */
	enum xdp_action verdict; /* XDP_PASS or XDP_DROP */
};

static_assert(sizeof(struct ping_event) == 56, "struct ping_event is part of the interface");

/* Counted since the program was loaded. seen = events + lost */
struct ping_stats {
	__u64 seen;    /* ICMP and ICMPv6 packets */
	__u64 dropped; /* echo requests and replies from or to a listed address */
	__u64 events;  /* events written to the ring buffer */
	__u64 lost;    /* events lost because the ring buffer was full */
};

static_assert(sizeof(struct ping_stats) == 32, "struct ping_stats is part of the interface");

#endif

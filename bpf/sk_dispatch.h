/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The interface of sk_dispatch to user space: the keys and values of its maps.
 *
 * The enumerators have no prefix because map-edit prints them, and users type them:
 * `dispatch4 add '{proto=tcp port=443 addr=192.0.2.0/24}={service=2}'`.
 */
#ifndef HOOKSET_SK_DISPATCH_H
#define HOOKSET_SK_DISPATCH_H

#include <linux/in6.h>
#include <linux/types.h>

#ifndef __cplusplus
#define static_assert _Static_assert
#endif

/* Services have the numbers from 1 to DISPATCH_SERVICES - 1. An omitted one is 0, which is none. */
#define DISPATCH_SERVICES 4096

/* The name of a service, with the 0 behind it. */
#define DISPATCH_NAME_SIZE 32

/* The protocol of a lookup: its IP protocol number (IANA). In a binding, `any` stands for both. */
enum dispatch_proto {
	any = 0,
	tcp = 6,
	udp = 17,
} __attribute__((mode(HI))); /* of 16 bits: the fields of a key have no gap */

static_assert(sizeof(enum dispatch_proto) == 2, "enum dispatch_proto is part of keys");

/* A binding: which lookups a service gets. A field that is 0 matches anything. */
struct dispatch4 {
	__u32 prefixlen; /* 32 + the prefix length of the address */
	enum dispatch_proto proto;
	__be16 port; /* local, which is the one that the client asked */
	__be32 addr; /* local */
};

struct dispatch6 {
	__u32 prefixlen;
	enum dispatch_proto proto;
	__be16 port;
	struct in6_addr addr;
};

/* A binding of one address, one port and one protocol. */
struct dispatch_host4 {
	enum dispatch_proto proto;
	__be16 port;
	__be32 addr;
};

struct dispatch_host6 {
	enum dispatch_proto proto;
	__be16 port;
	struct in6_addr addr;
};

static_assert(sizeof(struct dispatch4) == 12, "struct dispatch4 is part of the interface");
static_assert(sizeof(struct dispatch6) == 24, "struct dispatch6 is part of the interface");
static_assert(sizeof(struct dispatch_host4) == 8, "struct dispatch_host4 is part of the interface");
static_assert(sizeof(struct dispatch_host6) == 20,
	      "struct dispatch_host6 is part of the interface");

struct dispatch_service {
	__u32 service;
};

/*
 * The sockets of a service: service N has the slots 4 * N + enum dispatch_slot of dispatch_socket,
 * or a sockmap of its own in dispatch_owned, whose keys are enum dispatch_slot.
 */
enum dispatch_slot {
	tcp4 = 0,
	tcp6 = 1,
	udp4 = 2,
	udp6 = 3,
};

/* Lookups that a binding gives to the service, counted since the program was loaded. */
struct dispatch_stats {
	__u64 dispatched; /* given to its socket */
	__u64 no_socket;  /* there is none in the slot */
	__u64 refused;	  /* the kernel refused the socket */
};

static_assert(sizeof(struct dispatch_stats) == 24,
	      "struct dispatch_stats is part of the interface");

#endif

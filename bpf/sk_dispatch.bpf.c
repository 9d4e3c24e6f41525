// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * sk_dispatch: dispatch connections and datagrams to services, by local address, port and
 * protocol. The bindings in dispatch4 and dispatch6 say which service a lookup is for. Of those
 * that match, the one with the longest prefix wins; of these, one with the port; of these, one
 * with the protocol. The sockets of the services are in dispatch_socket, four slots for each.
 *
 * A lookup that no binding matches goes on as if the program were not there. One that is for a
 * service which has no socket, or whose socket the kernel refuses, is dropped: the client hears
 * what it hears where nobody listens. So what is bound to a service never reaches another's
 * listener, unless dispatch_fall_through is set.
 */
#include "sk_dispatch.h"

#include <stdbool.h>
#include <stddef.h>

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "include/lpm.h"

#ifndef AF_INET
#define AF_INET 2 /* include/linux/socket.h */
#endif

/* ---- knobs: prog-load --set dispatch_fall_through=true */

/* The lookup goes on where the service has no socket that the kernel takes. */
const volatile bool dispatch_fall_through = false;

/*
 * The very socket in the slot gets all. Else the kernel spreads over the sockets of its
 * SO_REUSEPORT group, if it is in one.
 */
const volatile bool dispatch_no_reuseport = false;

/* ---- maps */

/* The bindings: only user space adds and removes them. Their memory is taken as they come. */
#define BINDINGS(map_type, entries, key_type)                                                      \
	__uint(type, map_type);                                                                    \
	__uint(map_flags, BPF_F_NO_PREALLOC);                                                      \
	__uint(max_entries, entries);                                                              \
	__type(key, key_type);                                                                     \
	__type(value, struct dispatch_service)

struct {
	BINDINGS(BPF_MAP_TYPE_LPM_TRIE, 1 << 20, struct dispatch4);
} dispatch4 SEC(".maps");

struct {
	BINDINGS(BPF_MAP_TYPE_LPM_TRIE, 1 << 20, struct dispatch6);
} dispatch6 SEC(".maps");

/*
 * The most specific ones, which are found in the same time however many there are: a trie gets
 * deeper. A binding may be here or there; one that is in both is taken from here.
 */
struct {
	BINDINGS(BPF_MAP_TYPE_HASH, 1 << 17, struct dispatch_host4);
} dispatch_host4 SEC(".maps");

struct {
	BINDINGS(BPF_MAP_TYPE_HASH, 1 << 17, struct dispatch_host6);
} dispatch_host6 SEC(".maps");

/* Key: 4 * service + enum dispatch_slot; value: a listening TCP or an unconnected UDP socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4 * DISPATCH_SERVICES);
	__type(key, __u32);
	__type(value, __u64);
} dispatch_socket SEC(".maps");

/* Key: a service; value: the counters of each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DISPATCH_SERVICES);
	__type(key, __u32);
	__type(value, struct dispatch_stats);
} dispatch_stats SEC(".maps");

/* Names, for people and for sockmap-update: the program does not look at them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DISPATCH_SERVICES);
	__type(key, __u32);
	__type(value, char[DISPATCH_NAME_SIZE]);
} dispatch_name SEC(".maps");

/* ---- bindings */

#define MAX_PREFIX4 32
#define MAX_PREFIX6 128

/* A lookup's key in the tries. */
union key {
	struct dispatch4 v4;
	struct dispatch6 v6;
};

/*
 * The binding with just this protocol and port, 0 for those that are left out, and the longest
 * prefix of at most `max`.
 */
static __always_inline struct dispatch_service *find(union key *key, bool v6, __u16 proto,
						     __be16 port, __u32 max)
{
	if (v6) {
		key->v6.prefixlen = 32 + max;
		key->v6.proto = proto;
		key->v6.port = port;
		return bpf_map_lookup_elem(&dispatch6, &key->v6);
	}
	key->v4.prefixlen = 32 + max;
	key->v4.proto = proto;
	key->v4.port = port;
	return bpf_map_lookup_elem(&dispatch4, &key->v4);
}

/*
 * The prefix length of `binding`, which find() returns for this protocol and port. The trie does
 * not tell it, but of no shorter `max` than that does find() return the same.
 */
static __always_inline __u32 length_of(union key *key, bool v6, __u16 proto, __be16 port,
				       const struct dispatch_service *binding)
{
	__u32 least = 0, most = v6 ? MAX_PREFIX6 : MAX_PREFIX4;

	for (int i = 0; i < 8 && least < most; i++) {
		__u32 middle = (least + most) / 2;

		if (find(key, v6, proto, port, middle) == binding)
			most = middle;
		else
			least = middle + 1;
	}
	return most;
}

/*
 * The service that the lookup is for; NULL: none. Bindings are looked for from the most specific
 * protocol and port on, so a later one wins only if its prefix is longer. This is asked only where
 * two match.
 */
static __always_inline struct dispatch_service *find_service(union key *key, bool v6, __u16 proto,
							     __be16 port)
{
	const __u32 max = v6 ? MAX_PREFIX6 : MAX_PREFIX4, unknown = max + 1;
	struct dispatch_service *best = NULL;
	__u32 length = unknown;
	__u16 best_proto = 0;
	__be16 best_port = 0;

	if (v6) {
		struct dispatch_host6 host = {.proto = proto, .port = port, .addr = key->v6.addr};

		best = bpf_map_lookup_elem(&dispatch_host6, &host);
	} else {
		struct dispatch_host4 host = {.proto = proto, .port = port, .addr = key->v4.addr};

		best = bpf_map_lookup_elem(&dispatch_host4, &host);
	}
	if (best || (v6 ? is_empty(&dispatch6) : is_empty(&dispatch4)))
		return best;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		__u16 p = i & 1 ? any : proto;
		__be16 q = i & 2 ? 0 : port;
		struct dispatch_service *found = find(key, v6, p, q, max);

		if (!found)
			continue;
		if (best) {
			if (length == unknown)
				length = find(key, v6, best_proto, best_port, max - 1) == best
						 ? length_of(key, v6, best_proto, best_port, best)
						 : max;
			if (length == max)
				break;
			if (find(key, v6, p, q, length) == found)
				continue;
		}
		best = found;
		best_proto = p;
		best_port = q;
		length = unknown;
	}
	return best;
}

/* ---- sockets */

/*
 * The socket in this slot; if there is none, and the lookup is over IPv4, that in the slot of
 * IPv6, which serves both unless it is IPv6 only.
 */
static __always_inline struct bpf_sock *find_socket(__u32 service, bool v6, bool is_udp)
{
	__u32 slot = 4 * service + (is_udp ? udp4 : tcp4) + v6;
	struct bpf_sock *sk = bpf_map_lookup_elem(&dispatch_socket, &slot);

	if (sk || v6)
		return sk;
	slot++;
	return bpf_map_lookup_elem(&dispatch_socket, &slot);
}

static __always_inline int dispatch(struct bpf_sk_lookup *ctx, union key *key, bool v6)
{
	const int without = dispatch_fall_through ? SK_PASS : SK_DROP;
	struct dispatch_service *binding;
	struct dispatch_stats *stats;
	struct bpf_sock *sk;
	__u32 service;
	long err;

	binding = find_service(key, v6, ctx->protocol, bpf_htons(ctx->local_port));
	if (!binding)
		return SK_PASS;
	service = binding->service;
	stats = bpf_map_lookup_elem(&dispatch_stats, &service);
	if (!stats) /* no such service: its number is too high */
		return without;

	sk = find_socket(service, v6, ctx->protocol == udp);
	if (!sk) {
		stats->no_socket++;
		return without;
	}
	err = bpf_sk_assign(ctx, sk, dispatch_no_reuseport ? BPF_SK_LOOKUP_F_NO_REUSEPORT : 0);
	bpf_sk_release(sk);
	if (err) {
		stats->refused++;
		return without;
	}
	stats->dispatched++;
	return SK_PASS;
}

SEC("sk_lookup")
int sk_dispatch(struct bpf_sk_lookup *ctx)
{
	union key key = {};

	if (ctx->family == AF_INET) {
		key.v4.addr = ctx->local_ip4;
		return dispatch(ctx, &key, false);
	}
	key.v6.addr.s6_addr32[0] = ctx->local_ip6[0];
	key.v6.addr.s6_addr32[1] = ctx->local_ip6[1];
	key.v6.addr.s6_addr32[2] = ctx->local_ip6[2];
	key.v6.addr.s6_addr32[3] = ctx->local_ip6[3];
	return dispatch(ctx, &key, true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

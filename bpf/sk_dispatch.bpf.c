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

/*
 * Sockets of services that are not in dispatch_socket. Key: a service; value: its own sockmap,
 * whose keys are enum dispatch_slot. Who may write to that one needs no right to the others.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DISPATCH_SERVICES);
	__type(key, __u32);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_SOCKMAP);
			__uint(max_entries, 4);
			__type(key, __u32);
			__type(value, __u64);
		});
} dispatch_owned SEC(".maps");

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

/* The best binding so far. */
struct best {
	struct dispatch_service *binding;
	__u32 length; /* its prefix length, or UNKNOWN_LENGTH */
	__u16 proto;
	__be16 port;
};

#define UNKNOWN_LENGTH (MAX_PREFIX6 + 1)

/*
 * Take the binding with just this protocol and port in place of the best one if its prefix is
 * longer. The length of the best one is asked only where there is another.
 */
static __always_inline void take_if_longer(struct best *best, union key *key, bool v6, __u16 proto,
					   __be16 port)
{
	const __u32 max = v6 ? MAX_PREFIX6 : MAX_PREFIX4;
	struct dispatch_service *found;

	if (best->length == max)
		return;
	found = find(key, v6, proto, port, max);
	if (!found)
		return;
	if (best->binding) {
		if (best->length == UNKNOWN_LENGTH) {
			bool whole =
				find(key, v6, best->proto, best->port, max - 1) != best->binding;

			best->length =
				whole ? max
				      : length_of(key, v6, best->proto, best->port, best->binding);
		}
		if (best->length == max || find(key, v6, proto, port, best->length) == found)
			return;
	}
	best->binding = found;
	best->proto = proto;
	best->port = port;
	best->length = UNKNOWN_LENGTH;
}

/*
 * Of the bindings that match, the best one; NULL: none. They are looked for from the most specific
 * protocol and port on, so a later one wins only if its prefix is longer.
 */
static __always_inline struct dispatch_service *find_longest(union key *key, bool v6, __u16 proto,
							     __be16 port)
{
	struct best best = {.length = UNKNOWN_LENGTH};

	if (v6 ? is_empty(&dispatch6) : is_empty(&dispatch4))
		return NULL;
	take_if_longer(&best, key, v6, proto, port);
	take_if_longer(&best, key, v6, any, port);
	take_if_longer(&best, key, v6, proto, 0);
	take_if_longer(&best, key, v6, any, 0);
	return best.binding;
}

/* The binding of just this address, port and protocol; NULL: none. */
static __always_inline struct dispatch_service *find_host(const union key *key, bool v6,
							  __u16 proto, __be16 port)
{
	if (v6) {
		struct dispatch_host6 host = {.proto = proto, .port = port, .addr = key->v6.addr};

		return bpf_map_lookup_elem(&dispatch_host6, &host);
	} else {
		struct dispatch_host4 host = {.proto = proto, .port = port, .addr = key->v4.addr};

		return bpf_map_lookup_elem(&dispatch_host4, &host);
	}
}

/* ---- sockets */

/*
 * The socket in this slot of `sockets`, of the service whose first slot is `first`; if there is
 * none, and the lookup is over IPv4, that in the slot of IPv6, which serves both unless it is IPv6
 * only.
 */
static __always_inline struct bpf_sock *socket_in(void *sockets, __u32 first, bool v6, bool is_udp)
{
	__u32 slot = first + (is_udp ? udp4 : tcp4) + v6;
	struct bpf_sock *sk = bpf_map_lookup_elem(sockets, &slot);

	if (sk || v6)
		return sk;
	slot++;
	return bpf_map_lookup_elem(sockets, &slot);
}

static __always_inline struct bpf_sock *find_socket(__u32 service, bool v6, bool is_udp)
{
	struct bpf_sock *sk = socket_in(&dispatch_socket, 4 * service, v6, is_udp);
	void *owned;

	if (sk)
		return sk;
	owned = bpf_map_lookup_elem(&dispatch_owned, &service);
	return owned ? socket_in(owned, 0, v6, is_udp) : NULL;
}

static __always_inline int without_socket(void)
{
	return dispatch_fall_through ? SK_PASS : SK_DROP;
}

static __always_inline int dispatch(struct bpf_sk_lookup *ctx, union key *key, bool v6)
{
	const __be16 port = bpf_htons(ctx->local_port);
	struct dispatch_service *binding;
	struct dispatch_stats *stats;
	struct bpf_sock *sk;
	__u32 service;
	long err;

	binding = find_host(key, v6, ctx->protocol, port);
	if (!binding)
		binding = find_longest(key, v6, ctx->protocol, port);
	if (!binding)
		return SK_PASS;
	service = binding->service;
	stats = bpf_map_lookup_elem(&dispatch_stats, &service);
	if (!stats) /* no such service: its number is too high */
		return without_socket();

	sk = find_socket(service, v6, ctx->protocol == udp);
	if (!sk) {
		stats->no_socket++;
		return without_socket();
	}
	err = bpf_sk_assign(ctx, sk, dispatch_no_reuseport ? BPF_SK_LOOKUP_F_NO_REUSEPORT : 0);
	bpf_sk_release(sk);
	if (err) {
		stats->refused++;
		return without_socket();
	}
	stats->dispatched++;
	return SK_PASS;
}

SEC("sk_lookup")
int sk_dispatch(struct bpf_sk_lookup *ctx)
{
	union key key; /* what is left out here, find() fills in */

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

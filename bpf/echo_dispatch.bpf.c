// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * echo_dispatch: dispatch connections and datagrams to many ports to one socket.
 * A lookup for a local port in echo_ports selects the socket in echo_socket,
 * whatever port that socket is bound to. If echo_socket is empty, the lookup is
 * dropped, and the client is refused. If the kernel refuses the socket, because
 * the packet is of another protocol or address family or the socket is connected,
 * the normal lookup goes on, as it does for all other ports. echo_stats counts the
 * three cases.
 *
 * The names are those of the walkthrough that this object comes from.
 */
#include "echo_dispatch.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/*
 * The open ports. Key: __u16, a local port in host byte order; value: __u8,
 * not looked at. The kernel is told their sizes and no BTF types on purpose:
 * bpftool refuses to dump a map that has BTF to a user without CAP_SYS_ADMIN,
 * and this map is made to be handed to one. Of __uint(key_size, ...), a pointer
 * to an array, libbpf reads the array's length alone: what it is an array of
 * tells map-edit the type.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__u16 (*key_size)[sizeof(__u16)];
	__u8 (*value_size)[sizeof(__u8)];
} echo_ports SEC(".maps");

/* The server. Key: 0; value: a listening TCP or an unconnected UDP socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} echo_socket SEC(".maps");

/* Key: 0; value: the counters of each CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct echo_stats);
} echo_stats SEC(".maps");

SEC("sk_lookup")
int echo_dispatch(struct bpf_sk_lookup *ctx)
{
	__u16 port = ctx->local_port;
	struct echo_stats *stats;
	const __u32 zero = 0;
	struct bpf_sock *sk;
	long err;

	/* Is the port open? */
	if (!bpf_map_lookup_elem(&echo_ports, &port))
		return SK_PASS;

	stats = bpf_map_lookup_elem(&echo_stats, &zero);
	if (!stats) /* never: an array has its entries */
		return SK_DROP;

	/* Is there a server? An open port without one must not reach another's. */
	sk = bpf_map_lookup_elem(&echo_socket, &zero);
	if (!sk) {
		stats->no_socket++;
		return SK_DROP;
	}

	/* Can its socket serve this lookup? If not, no socket is selected. */
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	if (err)
		stats->refused++;
	else
		stats->dispatched++;

	/* With a socket selected this ends the lookup; without one the normal lookup goes on. */
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

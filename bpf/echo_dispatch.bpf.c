// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * echo_dispatch: serve many ports with one socket. Connections and datagrams
 * to a port in echo_ports are given to the socket in echo_socket, whatever
 * port that socket is bound to. An open port without a socket is refused. What
 * the socket cannot serve, being of another protocol or address family, and
 * all other ports go on to the normal lookup untouched.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/*
 * The open ports. Key: __u16, a local port in host byte order; value: __u8,
 * not looked at. It has sizes and no BTF types on purpose: bpftool refuses to
 * dump a map that has BTF to a user without CAP_SYS_ADMIN, and this map is
 * made to be handed to one.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(key_size, sizeof(__u16));
	__uint(value_size, sizeof(__u8));
} echo_ports SEC(".maps");

/* The server. Key: 0; value: a listening TCP or an unconnected UDP socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} echo_socket SEC(".maps");

SEC("sk_lookup")
int echo_dispatch(struct bpf_sk_lookup *ctx)
{
	__u16 port = ctx->local_port;
	const __u32 zero = 0;
	struct bpf_sock *sk;
	long err;

	/* Is the port open? */
	if (!bpf_map_lookup_elem(&echo_ports, &port))
		return SK_PASS;

	/* Is there a server? An open port without one must not reach another's. */
	sk = bpf_map_lookup_elem(&echo_socket, &zero);
	if (!sk)
		return SK_DROP;

	/* Can it serve this lookup? If not, no socket is selected, and the kernel looks on. */
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	if (err)
		return SK_PASS;

	return SK_PASS; /* with the socket selected: dispatched */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

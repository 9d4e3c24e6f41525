// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Refuses connect() to TCP port 8080, as a Linux security module. It sees every process of the
 * machine, and so leaves alone those whose name does not begin as that of the benchmark's client.
 */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define AF_INET 2 /* of <sys/socket.h> */
#define EPERM 1	  /* of <errno.h> */

struct socket;
struct sockaddr;

SEC("lsm/socket_connect")
int BPF_PROG(lsm_connect, struct socket *sock, struct sockaddr *address, int size, int ret)
{
	const union {
		char text[8];
		__u64 number;
	} client = {"connecti"};
	struct sockaddr_in to;
	union {
		char text[16];
		__u64 first;
	} name;

	if (ret)
		return ret;
	if (bpf_probe_read_kernel(&to, sizeof(to), address) || to.sin_family != AF_INET ||
	    to.sin_port != bpf_htons(8080))
		return 0;
	if (bpf_get_current_comm(name.text, sizeof(name.text)) || name.first != client.number)
		return 0;
	return -EPERM;
}

char LICENSE[] SEC("license") = "GPL"; /* bpf_probe_read_kernel() wants it */

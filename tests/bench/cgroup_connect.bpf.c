// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Refuses connect() to TCP port 8080 to the processes of a cgroup. */
#include <linux/bpf.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("cgroup/connect4")
int cgroup_connect(struct bpf_sock_addr *ctx)
{
	return ctx->protocol != IPPROTO_TCP || ctx->user_port != bpf_htons(8080);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

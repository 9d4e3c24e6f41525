// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_pass: pass everything. A veth whose peer sends by XDP_TX or XDP_REDIRECT
 * needs a program of its own on older kernels, and this is the least there is.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_prog_simple(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

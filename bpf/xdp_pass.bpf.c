// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_pass: pass everything. On older kernels, a veth needs a program of its own
 * if its peer sends by XDP_TX or XDP_REDIRECT. This is the smallest one.
 *
 * The function has the name it has in the walkthrough that the object comes from:
 * bpftool shows it as xdp_prog_simple.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#ifdef XDP_FRAGS
SEC("xdp.frags")
#else
SEC("xdp")
#endif
int xdp_prog_simple(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

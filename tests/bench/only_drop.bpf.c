// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Drops everything without a look at it: no XDP program can be faster. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int only_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

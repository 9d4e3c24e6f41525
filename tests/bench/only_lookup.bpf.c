// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* Leaves every lookup to the kernel: no sk_lookup program can be faster. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("sk_lookup")
int only_lookup(struct bpf_sk_lookup *ctx)
{
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

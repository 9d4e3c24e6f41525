// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The least that can be called a filter: upstream's xdp_drop (tests/fixtures/upstream_drop.c),
 * but for the destination port. It knows neither the EtherType, VLAN tags, IPv6, options nor
 * fragments. It takes other packets for TCP, and misses some that are.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int upstream_drop(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	void *packet = (void *)(long)ctx->data;

	if (packet + 54 > end)
		return XDP_PASS;
	if (*(__u8 *)(packet + 23) != 6) /* the protocol: TCP */
		return XDP_PASS;
	if (*(__be16 *)(packet + 36) != bpf_htons(8080))
		return XDP_PASS;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

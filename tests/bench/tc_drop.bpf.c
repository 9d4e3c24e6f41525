// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* upstream_drop.bpf.c for tc: the same tests at the same places, at the clsact ingress hook. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int tc_drop(struct __sk_buff *skb)
{
	void *end = (void *)(long)skb->data_end;
	void *packet = (void *)(long)skb->data;

	if (packet + 54 > end)
		return TC_ACT_OK;
	if (*(__u8 *)(packet + 23) != 6) /* the protocol: TCP */
		return TC_ACT_OK;
	if (*(__be16 *)(packet + 36) != bpf_htons(8080))
		return TC_ACT_OK;
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

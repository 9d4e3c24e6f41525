// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * xdp_drop: drop TCP to one port, over IPv4 and IPv6; pass everything else.
 *
 * It is built twice. In xdp_drop.o the program is in .text, without BTF or maps,
 * and the port is fixed at build time (make DROP_PORT=8080). xdp_drop.bpf.c
 * builds the same source as SEC("xdp"), for loaders that no longer load .text
 * (libbpf 1.5).
 */
#ifndef XDP_DROP_KNOBS
#define PARSE_NO_KNOBS
#endif
#include "include/parse.h"

#ifndef DROP_PORT
#define DROP_PORT 8080
#endif
#ifndef SECTION
#define SECTION
_Static_assert(DROP_PORT > 0 && DROP_PORT <= 65535, "DROP_PORT is no TCP port");
#endif

SECTION
int xdp_drop(struct xdp_md *ctx)
{
	struct cursor c = cursor_init(ctx);
	int verdict = XDP_PASS; /* also if it cannot be parsed */
	struct ipv6hdr *ip6;
	struct iphdr *ip4;
	struct tcphdr *tcp;
	int proto = -1;

	/* Hide its value, or the compiler sets it again before each return. */
	asm volatile("" : "+r"(verdict));

	/* Which protocol does it carry? */
	switch (parse_link(&c)) {
	case bpf_htons(ETH_P_IP):
		proto = parse_ip4(&c, &ip4);
		break;
	case bpf_htons(ETH_P_IPV6):
		proto = parse_ip6(&c, &ip6);
		break;
	}
	if (proto != IPPROTO_TCP)
		return verdict;

	/* To which port? A later fragment has none. */
	if (parse_tcp(&c, &tcp) < 0)
		return verdict;
	if (tcp->dest != bpf_htons(DROP_PORT))
		return verdict;

	/* To the closed port: without its first packet no connection is made. */
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The local address of a socket, PROTO:ADDR[%DEV]:PORT, where ADDR[%DEV]:PORT is what ss(8) prints:
//
//   tcp:127.0.0.1:80, udp:0.0.0.0:53     IPv4
//   tcp:[::1]:80, tcp:[::]:80            IPv6
//   tcp:*:80                             IPv6, all addresses, and IPv4 as well
//   tcp:127.0.0.1%lo:80, udp:[fe80::1]%eth0:546     on this device only
#pragma once

#include <linux/types.h>

#include <array>
#include <string>

struct LocalAddress {
	std::string text;		 // as it was given
	int protocol = 0;		 // IPPROTO_TCP or IPPROTO_UDP
	int family = 0;			 // AF_INET or AF_INET6
	std::array<__be32, 4> address{}; // network order; IPv4 in the first
	bool dual_stack = false;	 // *: a socket with IPV6_V6ONLY is another one
	std::string device;		 // empty: none was given
	__be16 port = 0;
};

// Throws UsageError.
LocalAddress parse_local_address(const std::string &text);

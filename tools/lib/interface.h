// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Network interfaces, and the XDP programs on them.
#pragma once

#include <bpf/libbpf.h>

#include <string>

// An interface in the network namespace of this process.
struct Interface {
	std::string name; // the kernel's, also where an altname was given
	int index;	  // ifindex
	unsigned type;	  // what its packets begin with: ARPHRD_ETHER, ARPHRD_NONE, ...
};

// Find it by the names that `ip` takes: its name, its altnames of any length, "if5" for the
// ifindex 5. Fails where there is none.
Interface find_interface(const std::string &name);

// What XDP sees first of a packet of this interface.
enum class FirstHeader { Ethernet, Ip, Other };
FirstHeader first_header(const Interface &interface);

// The link type as `ip link` prints it behind link/: "ether", "none", "[519]".
std::string link_type_name(const Interface &interface);

// The ids of the XDP programs attached to it, 0 where there is none: one program in native or
// in generic mode, and maybe an offloaded one beside it.
struct bpf_xdp_query_opts query_xdp(const Interface &interface);

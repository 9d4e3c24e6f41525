// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Network interfaces, and the XDP programs on them.
#pragma once

#include <bpf/libbpf.h>

#include <string>

// An interface in the network namespace of this process.
struct Interface {
	std::string name;
	int index; // ifindex
};

// Find it by name. Fails where there is none.
Interface find_interface(const std::string &name);

// The ids of the XDP programs attached to it, 0 where there is none: one program in native or
// in generic mode, and maybe an offloaded one beside it.
struct bpf_xdp_query_opts query_xdp(const Interface &interface);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Network interfaces, and the XDP programs on them.
#pragma once

#include <bpf/libbpf.h>

#include <string>

// An interface of the network namespace that this process is in.
struct Interface {
	std::string name;
	int index; // ifindex
};

// Find it by name. Fails where there is none.
Interface find_interface(const std::string &name);

// Which XDP programs are attached to it, by id: one in native or in generic mode, and maybe
// an offloaded one beside it; 0 where there is none.
struct bpf_xdp_query_opts query_xdp(const Interface &interface);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// What xdp-attach has done, as text or JSON.
#pragma once

#include <bpf/libbpf.h>
#include <linux/types.h>

#include <string>
#include <vector>

#include "../lib/cli.h"
#include "../lib/interface.h"

// How a program is attached: its name, its flag XDP_FLAGS_*_MODE of linux/if_link.h, and where
// bpf_xdp_query() puts the id of the program.
struct Mode {
	const char *name;
	__u32 flag;
	__u32 bpf_xdp_query_opts::*prog_id;
};

// What was done to a device.
struct Result {
	const Mode *mode;
	__u32 id;
	__u32 replaced = 0;	      // the program that was attached before
	__u32 link_id = 0;	      // of the link that holds the program
	std::string why_generic = {}; // where native mode was tried first
};

// Print what was done: attached, or `detached`, each a line or an object. `pin` is that of the
// link, if there is one. Where this fails, the message says that it is done.
void report(const Interface &dev, const std::vector<Result> &results, bool detached,
	    const std::string &pin, const CommonOptions &common);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Which capability is missing where the kernel says EPERM: what this process has is looked up, and
// only what it lacks is named.
#pragma once

#include <linux/capability.h>

#include <string>
#include <vector>

// Where a capability counts. For bpf(2): in the initial user namespace, and CAP_SYS_ADMIN stands
// for the others. Elsewhere: in the user namespace that owns what is to be changed.
enum class CountsFor { Bpf, Owner };

// Of these capabilities, what the process lacks: "CAP_BPF and CAP_NET_ADMIN"; "" if it has all.
std::string missing_capabilities(const std::vector<int> &capabilities, CountsFor counts);

// Why there was EPERM for what needs these capabilities: `subject`, "needs", what is missing, and
// `way_out`; if nothing is missing, what else it may be.
std::string needs(const std::vector<int> &capabilities, CountsFor counts = CountsFor::Bpf,
		  const std::string &subject = "", const std::string &way_out = "");

// The same for fail(): "" unless `err` is EPERM. It leaves errno as it is.
std::string why_denied(int err, const std::vector<int> &capabilities,
		       CountsFor counts = CountsFor::Bpf, const std::string &subject = "",
		       const std::string &way_out = "");

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The sk_lookup programs of a network namespace.
#pragma once

#include <linux/types.h>
#include <sys/types.h>

#include <vector>

#include "../lib/cli.h"
#include "../lib/fd.h"

constexpr size_t max_programs = 64; // of a netns: netns_bpf_max_progs() in the kernel

// The programs attached to the namespace, by id, in the order in which they run.
std::vector<__u32> attached_programs(const Fd &netns);

// Its inode, by which the kernel names it in a link.
ino_t netns_inode(const Fd &netns);

// Print the programs in their order, with their links and where those are pinned.
void show_attached(const Fd &netns, const CommonOptions &common);

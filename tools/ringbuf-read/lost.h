// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// The counter of the events that a program has lost.
#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "../lib/fd.h"
#include "../lib/percpu.h"
#include "../lib/type.h"

// A counter in an array map: its integer, or its field "lost", summed over all entries and CPUs.
class LostCounter
{
public:
	// Open the map pinned at `path`, and read the counter for the first time. If `btf` is not
	// empty, the types are read from this object file. Fails where there is no such counter.
	LostCounter(const std::string &path, const std::string &btf);

	// Print how many were lost before the counter was opened, if any were.
	void print_before() const;

	// Print how many were lost since the last call, if any were.
	void print_new();

	// The number of events lost since the counter was opened.
	__u64 since_start();

private:
	void find_field(const std::string &btf);
	__u64 read();

	std::string path_;
	Fd map_;
	struct bpf_map_info info_;
	CpuValues values_; // of one entry
	Type field_;
	__u32 offset_ = 0; // of the field
	std::vector<unsigned char> buffer_;
	__u64 before_ = 0;
	__u64 printed_ = 0; // the counter at the last print
};

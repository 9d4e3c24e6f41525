// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
// Per-CPU maps: looking up an entry returns the values of all possible CPUs, one after the other.
#pragma once

#include <linux/bpf.h>

#include "type.h"

bool is_per_cpu(__u32 map_type);

// The number of possible CPUs. Fails where the kernel does not tell it.
int possible_cpus();

// The values of one entry in memory: one for each CPU, or only one where the map is not per CPU.
struct CpuValues {
	int count = 1;
	__u32 stride = 0; // bytes from one value to the next

	size_t bytes() const
	{
		return size_t{stride} * count;
	}
};
CpuValues cpu_values(const struct bpf_map_info &map);

// The sum of an integer over all CPUs. `at` is where the integer is in the first value.
__u64 sum_integer(const CpuValues &values, const Type &type, const unsigned char *at);

// One value of type `type` that stands for those of all CPUs, field by field: the sum of
// integers, else the first CPU's that is not zero. `at` is in the first value; `out` is zero
// before, and stays so in padding and after the end of a text.
void sum_cpus(const CpuValues &values, const Type &type, const unsigned char *at,
	      unsigned char *out);

// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "percpu.h"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>

#include "cli.h"
#include "value.h"

bool is_per_cpu(__u32 map_type)
{
	return map_type == BPF_MAP_TYPE_PERCPU_HASH || map_type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       map_type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

int possible_cpus()
{
	int count = libbpf_num_possible_cpus();

	if (count < 0)
		fail(-count, "count the CPUs");
	return count;
}

CpuValues cpu_values(const struct bpf_map_info &map)
{
	if (!is_per_cpu(map.type))
		return {1, map.value_size};
	return {possible_cpus(), (map.value_size + 7) / 8 * 8};
}

__u64 sum_integer(const CpuValues &values, const Type &type, const unsigned char *at)
{
	__u64 sum = 0;

	for (int i = 0; i < values.count; i++)
		sum += integer(type, {at + size_t{values.stride} * i, type.size});
	return sum;
}

static bool is_zero(const unsigned char *at, __u32 size)
{
	return std::all_of(at, at + size, [](unsigned char byte) { return !byte; });
}

void sum_cpus(const CpuValues &values, const Type &type, const unsigned char *at,
	      unsigned char *out)
{
	__u32 size = type.size;

	switch (type.kind) {
	case Type::Kind::Struct:
		for (const Type::Member &m : type.members)
			sum_cpus(values, m.type, at + m.offset, out + m.offset);
		return;
	case Type::Kind::Array:
		for (size_t i = 0; i < type.count; i++) {
			const Type &each = type.members[0].type;
			sum_cpus(values, each, at + i * each.size, out + i * each.size);
		}
		return;
	case Type::Kind::Unsigned:
	case Type::Kind::Signed:
		store(type, sum_integer(values, type, at), {out, type.size});
		return;
	default:
		break;
	}
	if (type.bits) { // a bool or enum
		__u64 value = 0;

		for (int i = 0; i < values.count && !value; i++)
			value = integer(type, {at + size_t{values.stride} * i, type.size});
		store(type, value, {out, type.size});
		return;
	}
	for (int i = 1; i < values.count && is_zero(at, type.size); i++)
		at += values.stride;
	if (type.kind == Type::Kind::Text)
		size = strnlen(reinterpret_cast<const char *>(at), type.size);
	memcpy(out, at, size);
}

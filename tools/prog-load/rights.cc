// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "rights.h"

#include "../lib/capability.h"

constexpr int netfilter = 32; // BPF_PROG_TYPE_NETFILTER, since Linux 6.4

// As is_net_admin_prog_type() of the kernel's kernel/bpf/syscall.c.
static bool is_for_net_admin(enum bpf_prog_type type)
{
	switch (type) {
	case BPF_PROG_TYPE_SCHED_CLS:
	case BPF_PROG_TYPE_SCHED_ACT:
	case BPF_PROG_TYPE_XDP:
	case BPF_PROG_TYPE_LWT_IN:
	case BPF_PROG_TYPE_LWT_OUT:
	case BPF_PROG_TYPE_LWT_XMIT:
	case BPF_PROG_TYPE_LWT_SEG6LOCAL:
	case BPF_PROG_TYPE_SK_SKB:
	case BPF_PROG_TYPE_SK_MSG:
	case BPF_PROG_TYPE_FLOW_DISSECTOR:
	case BPF_PROG_TYPE_CGROUP_DEVICE:
	case BPF_PROG_TYPE_CGROUP_SOCK:
	case BPF_PROG_TYPE_CGROUP_SOCK_ADDR:
	case BPF_PROG_TYPE_CGROUP_SOCKOPT:
	case BPF_PROG_TYPE_CGROUP_SYSCTL:
	case BPF_PROG_TYPE_SOCK_OPS:
	case BPF_PROG_TYPE_EXT:
		return true;
	default:
		return static_cast<int>(type) == netfilter;
	}
}

// As is_perfmon_prog_type() there.
static bool is_for_perfmon(enum bpf_prog_type type)
{
	switch (type) {
	case BPF_PROG_TYPE_KPROBE:
	case BPF_PROG_TYPE_TRACEPOINT:
	case BPF_PROG_TYPE_PERF_EVENT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT:
	case BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE:
	case BPF_PROG_TYPE_TRACING:
	case BPF_PROG_TYPE_LSM:
	case BPF_PROG_TYPE_STRUCT_OPS:
	case BPF_PROG_TYPE_EXT:
		return true;
	default:
		return false;
	}
}

// As map_create() there.
static bool is_for_net_admin(enum bpf_map_type type)
{
	switch (type) {
	case BPF_MAP_TYPE_SOCKMAP:
	case BPF_MAP_TYPE_SOCKHASH:
	case BPF_MAP_TYPE_DEVMAP:
	case BPF_MAP_TYPE_DEVMAP_HASH:
	case BPF_MAP_TYPE_XSKMAP:
		return true;
	default:
		return false;
	}
}

std::vector<int> needed_capabilities(struct bpf_object *object)
{
	std::vector<int> needed = {CAP_BPF};
	struct bpf_program *program;
	bool net_admin = false;
	bool perfmon = false;
	struct bpf_map *map;

	bpf_object__for_each_program(program, object)
	{
		if (!bpf_program__autoload(program))
			continue;
		net_admin |= is_for_net_admin(bpf_program__type(program));
		perfmon |= is_for_perfmon(bpf_program__type(program));
	}
	// A map that is reused is open already.
	bpf_object__for_each_map(map, object) net_admin |=
		is_for_net_admin(bpf_map__type(map)) && bpf_map__fd(map) < 0;
	if (net_admin)
		needed.push_back(CAP_NET_ADMIN);
	if (perfmon)
		needed.push_back(CAP_PERFMON);
	return needed;
}

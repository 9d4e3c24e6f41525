// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#include "xskmap.h"

#include <bpf/bpf.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "../lib/cli.h"

static struct bpf_insn insn(int code, int to, int from, int offset, int number)
{
	struct bpf_insn i = {};

	i.code = code;
	i.dst_reg = to;
	i.src_reg = from;
	i.off = static_cast<__s16>(offset);
	i.imm = number;
	return i;
}

// The key is the first 4 bytes of the packet. Returns 0 where the map has no entry, else the queue
// of the socket, plus 1.
static Fd load_lookup(const OpenMap &map)
{
	constexpr int word = BPF_MEM | BPF_W;
	const std::array program = {
		insn(BPF_LDX | word, 2, 1, offsetof(struct xdp_md, data), 0),
		insn(BPF_LDX | word, 3, 1, offsetof(struct xdp_md, data_end), 0),
		insn(BPF_ALU64 | BPF_MOV | BPF_X, 4, 2, 0, 0),
		insn(BPF_ALU64 | BPF_ADD | BPF_K, 4, 0, 0, 4),
		insn(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		insn(BPF_JMP | BPF_JGT | BPF_X, 4, 3, 9, 0), // too short: never
		insn(BPF_LDX | word, 5, 2, 0, 0),
		insn(BPF_STX | word, 10, 5, -4, 0),
		insn(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map.fd.get()),
		insn(0, 0, 0, 0, 0),
		insn(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		insn(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		insn(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		insn(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 2, 0), // none
		insn(BPF_LDX | word, 0, 0, offsetof(struct bpf_xdp_sock, queue_id), 0),
		insn(BPF_ALU64 | BPF_ADD | BPF_K, 0, 0, 0, 1),
		insn(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	Fd fd(bpf_prog_load(BPF_PROG_TYPE_XDP, nullptr, "BSD", program.data(), program.size(),
			    nullptr));

	if (!fd)
		fail(errno, "load a program that reads map " + quote(map.path),
		     errno == EPERM ? "the kernel tells what is in an xskmap to programs alone, "
				      "which needs CAP_BPF and CAP_NET_ADMIN"
				    : "");
	return fd;
}

bool look_up_xsk(const OpenMap &map, const unsigned char *key, unsigned char *queue)
{
	static const Fd program = load_lookup(map); // of the only map
	std::array<unsigned char, 64> packet = {};
	LIBBPF_OPTS(bpf_test_run_opts, run);

	memcpy(packet.data(), key, sizeof(__u32));
	run.data_in = packet.data();
	run.data_size_in = packet.size();
	run.repeat = 1;
	if (bpf_prog_test_run_opts(program.get(), &run))
		return false;
	if (!run.retval) {
		errno = ENOENT;
		return false;
	}
	__u32 number = run.retval - 1;
	memcpy(queue, &number, sizeof(number));
	return true;
}

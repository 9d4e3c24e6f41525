#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # two_hosts sets the names it is given

load ../lib/helpers

@test "xdp_pass: passes each packet of each table, unchanged" {
	local table
	requires root
	load_prog xdp_pass
	for table in "$BATS_TEST_DIRNAME"/packets/*.table; do
		"$BATS_TEST_DIRNAME/packets.py" passes "$table" "$BPFFS/xdp_pass_prog"
	done
}

@test "xdp_pass: ip loads it, native and generic, and the hosts still reach each other" {
	local mode
	requires root cmd:ping
	two_hosts client server
	for mode in xdpdrv xdpgeneric; do
		ip -n "$server" link set dev veth0 "$mode" obj "$HOOKSET_BUILD/xdp_pass.bpf.o" sec xdp
		run -0 ip -n "$server" -d link show dev veth0
		[[ $output == *"prog/xdp id "* ]]
		in_ns "$client" ping -c 2 -i 0.2 -W 1 10.9.0.2
		in_ns "$client" ping -c 2 -i 0.2 -W 1 fd09::2
		ip -n "$server" link set dev veth0 "$mode" off
	done
}

@test "xdp_pass: the program is called as in the tutorial it stands for, xdp_prog_simple" {
	requires root
	load_prog xdp_pass
	run -0 bpftool prog show pinned "$BPFFS/xdp_pass_prog"
	[[ $output == *": xdp "*"name xdp_prog_simple "* ]]
}

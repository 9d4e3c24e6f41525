# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Hosts: network namespaces, and the veth pairs that join them.

# netns VAR: make a network namespace with lo up, and put its name in VAR. By the suite's mark
# in the name, the suite finds those that are left at its end.
netns() {
	local name
	printf -v name 'hookset-%s-%08x' "$HOOKSET_SUITE" "$SRANDOM"
	printf -v "$1" %s "$name" # first, as a VAR that is none would leave what is made
	ip netns add "$name"
	NETNS+=("$name")
	ip -n "$name" link set lo up
}

# two_hosts A B: netns A and B joined by a veth pair: A has 10.9.0.1/24 and
# fd09::1/64, B has .2 and ::2. The devices are both called veth0.
two_hosts() {
	netns "$1"
	netns "$2"
	local a=${!1} b=${!2}
	ip -n "$a" link add veth0 type veth peer name veth0 netns "$b"
	ip -n "$a" addr add 10.9.0.1/24 dev veth0
	ip -n "$b" addr add 10.9.0.2/24 dev veth0
	ip -n "$a" addr add fd09::1/64 dev veth0 nodad
	ip -n "$b" addr add fd09::2/64 dev veth0 nodad
	ip -n "$a" link set veth0 up
	ip -n "$b" link set veth0 up
	poll 5 has_carrier "$a"
}

has_carrier() {
	ip -n "$1" link show veth0 | grep -q LOWER_UP
}

# in_ns NAME COMMAND...: run it there. `ip netns exec` would hide bpffs pins.
in_ns() {
	local ns=$1
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# lib/interface, by all tools that take an interface: its names. Who knows which interface a
# name means is `ip`.
# shellcheck disable=SC2154 # netns and two_hosts set the names they are given

load ../lib/helpers

# One of 127 characters is the longest that the kernel takes.
LONGEST=$(printf 'x%.0s' {1..127})

# means NAME WHAT: `ip` takes NAME, and so do the tools: each says what it found, WHAT.
means() {
	local name=$1 index said
	index=$(ip -n "$ns" -j link show dev "$2" | jq '.[0].ifindex')
	# `ip` changes the group of the device that it finds, and reads it back by WHAT.
	ip -n "$ns" link set dev "$name" group "$((group += 1))"
	[ "$(ip -n "$ns" -j link show dev "$2" | jq -r '.[0].group')" = "$group" ]

	said=$(xdp-attach -n "$ns" -j "$name" "$BPFFS/ping")
	[ "$(jq -r '.[0] | "\(.devname) \(.ifindex)"' <<<"$said")" = "$2 $index" ]
	map-pin -n "$ns" dev "$name" "$BPFFS/maps$group"
	[ -e "$BPFFS/maps$group/ringbuf" ]
	xdp-attach -n "$ns" --detach "$name" | grep -q " from '$2' "
	[ -z "$(ip -n "$ns" -j link show dev "$2" | jq '.[0].xdp.prog.id // empty')" ]
}

@test "interface: each name that ip takes, an altname of any length and ifINDEX, all tools take" {
	requires root cmd:jq
	local group=10 index name
	two_hosts ns peer
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/ping"
	ip -n "$ns" link add other type veth peer name other-peer
	for name in short fifteen-letters sixteen-letters- enp4s0f1np1-the-uplink "$LONGEST" äöü; do
		ip -n "$ns" link property add dev veth0 altname "$name"
		means "$name" veth0
	done
	means veth0 veth0
	index=$(ip -n "$ns" -j link show dev other | jq '.[0].ifindex')
	means "if$index" other
	# A name goes before a number.
	ip -n "$ns" link property add dev veth0 altname "if$index"
	means "if$index" veth0
}

@test "interface: where ip finds none, no tool does" {
	requires root
	local name
	two_hosts ns peer
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/ping"
	ip -n "$ns" link property add dev veth0 altname enp4s0f1np1-the-uplink
	for name in enp4s0f1np1-the-uplin enp4s0f1np1-the-uplink- "$LONGEST" "${LONGEST}x" x/y if if9999 \
		if-1; do
		run ip -n "$ns" link set dev "$name" group 7
		[ "$status" -ne 0 ]
		fails 1 "xdp-attach: find device '$name': No such device" xdp-attach -n "$ns" "$name" "$BPFFS/ping"
		fails 1 "xdp-attach: find device '$name': No such device" xdp-attach -n "$ns" --detach "$name"
		fails 1 "map-pin: find device '$name': No such device" map-pin -n "$ns" dev "$name" "$BPFFS/maps"
	done
	# ip takes if1x for if1, and reads a number modulo 2^32.
	for name in if1x if4294967297; do
		ip -n "$ns" link set dev "$name" group 7
		fails 1 "xdp-attach: find device '$name': No such device" xdp-attach -n "$ns" "$name" "$BPFFS/ping"
	done
	[ ! -e "$BPFFS/maps" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# xdp-attach: where a program starts to read, and where the packets of a device start. What
# the kernel does is seen on a real TUN device; the name of a link type is that of `ip link`.
# shellcheck disable=SC2154 # netns and two_hosts set the names they are given

load ../lib/helpers
# shellcheck disable=SC2034 # refused and says run it
TOOL=xdp-attach

# What the refusals say.
AT_IP="packets of link/none start at the IP header, the program at Ethernet"
AT_ETHERNET="packets of link/ether start at Ethernet, the program at the IP header (load it without --set l3=true; --force attaches it)"

setup_file() {
	object start start
	object number start '-DKNOB=const volatile int l3'
	object byte start '-DKNOB=const volatile __u8 l3'
	object no_knob start '-DKNOB=static const bool l3 = false'
}

# A network namespace with a TUN device, tun0, which is up and has 192.0.2.1/24; the programs
# start2 and start3, which start at Ethernet and at the IP header.
tun_host() {
	netns ns
	ip -n "$ns" tuntap add dev tun0 mode tun
	ip -n "$ns" addr add 192.0.2.1/24 dev tun0
	ip -n "$ns" link set tun0 up
	programs
}

programs() {
	prog-load "$BATS_FILE_TMPDIR/start.o" "$BPFFS/start2"
	prog-load --set l3=true "$BATS_FILE_TMPDIR/start.o" "$BPFFS/start3"
}

# program NETNS DEV: the id of the program that is attached, says ip; or nothing.
program() {
	ip -n "$1" -j link show dev "$2" | jq -r '.[0].xdp.prog.id // empty'
}

# An IPv4 UDP packet from 192.0.2.2 to 192.0.2.1, port 9, by scapy.
packet() {
	/usr/bin/python3 -c 'from scapy.all import *
print(bytes(IP(src="192.0.2.2", dst="192.0.2.1") / UDP(sport=7, dport=9) / b"x").hex())'
}

# arrives: does a packet to port 9 that comes in by tun0 get to UDP?
arrives() {
	local before
	before=$(udp)
	in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/tun" tun0 send "$(packet)"
	[ "$(udp)" -eq "$((before + 1))" ]
}

udp() {
	# shellcheck disable=SC2016 # of awk
	in_ns "$ns" awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp
}

# seen PROG NIBBLE: how many packets the program has seen that start with these four bits.
seen() {
	local id
	for id in $(field prog "$1" map_ids); do
		bpftool -j map lookup id "$id" key "$2" 0 0 0 2>/dev/null | jq -r '.formatted.value // empty'
	done
}

@test "ip today: on TUN it attaches both programs silently, XDP sees the IP header, and one filters nothing" {
	requires root cmd:jq
	tun_host
	arrives
	fails 0 "" in_ns "$ns" ip link set dev tun0 xdp pinned "$BPFFS/start2"
	arrives
	[ "$(seen "$BPFFS/start2" 4)" -eq 1 ]
	fails 0 "" in_ns "$ns" ip -force link set dev tun0 xdp pinned "$BPFFS/start3"
	run -1 arrives
	[ "$(seen "$BPFFS/start3" 4)" -eq 1 ]
}

@test "xdp-attach: on TUN only a program that starts at the IP header, or --force" {
	requires root cmd:jq
	tun_host
	local why="$AT_IP (load it with --set l3=true; --force attaches it)" one two
	refused "attach program '$BPFFS/start2' to 'tun0': $why" -n "$ns" tun0 "$BPFFS/start2"
	refused "attach program '$BPFFS/start2' to 'tun0': $why" -n "$ns" --mode generic tun0 "$BPFFS/start2"
	refused "attach program '$BPFFS/start2' to 'tun0': $why" -n "$ns" --link "$BPFFS/link" tun0 "$BPFFS/start2"
	[ ! -e "$BPFFS/link" ]
	[ -z "$(program "$ns" tun0)" ]

	one=$(field prog "$BPFFS/start3" id)
	two=$(field prog "$BPFFS/start2" id)
	xdp-attach -n "$ns" tun0 "$BPFFS/start3"
	[ "$(program "$ns" tun0)" = "$one" ]
	run -1 arrives
	# Nor is it put in the place of one that does.
	refused "attach program '$BPFFS/start2' to 'tun0': $why" -n "$ns" --expect "$BPFFS/start3" tun0 "$BPFFS/start2"
	run -1 arrives
	says "attached program $two to 'tun0' in generic mode, in place of program $one" \
		-n "$ns" --force --expect "$BPFFS/start3" tun0 "$BPFFS/start2"
	arrives

	says "detached program $two from 'tun0' in generic mode" -n "$ns" --detach tun0
	xdp-attach -n "$ns" --link "$BPFFS/link" tun0 "$BPFFS/start3"
	refused "attach program '$BPFFS/start2' to 'tun0': $why" -n "$ns" --link "$BPFFS/link" tun0 "$BPFFS/start2"
	[ "$(program "$ns" tun0)" = "$one" ]
	xdp-attach -n "$ns" --force --link "$BPFFS/link" tun0 "$BPFFS/start2"
	[ "$(program "$ns" tun0)" = "$two" ]
}

@test "xdp-attach: on a device with an Ethernet header only a program that starts there, or --force" {
	requires root cmd:jq
	local dev type
	two_hosts ns peer
	ip -n "$ns" tuntap add dev tap0 mode tap
	ip -n "$ns" link add br0 type bridge
	programs
	for dev in veth0 tap0 br0 lo; do
		type=$(ip -n "$ns" -j link show dev "$dev" | jq -r '.[0].link_type')
		refused "attach program '$BPFFS/start3' to '$dev': ${AT_ETHERNET/ether/$type}" \
			-n "$ns" "$dev" "$BPFFS/start3"
		[ -z "$(program "$ns" "$dev")" ]
		xdp-attach -n "$ns" "$dev" "$BPFFS/start2"
		xdp-attach -n "$ns" --force --expect "$BPFFS/start2" "$dev" "$BPFFS/start3"
		[ "$(program "$ns" "$dev")" = "$(field prog "$BPFFS/start3" id)" ]
	done
}

# <linux/if_arp.h>; the packets of the last ones are neither Ethernet nor IP.
IP_TYPES="none:65534 ppp:512 [519]:519 ipip:768 tunnel6:769 sit:776 gre:778 gre6:823 slip:256 cslip:257 slip6:258 cslip6:259 adapt:264"
OTHER_TYPES="infiniband:32 can:280 netlink:824 [9999]:9999"

@test "xdp-attach: each link type, by the name that ip gives it" {
	requires root cmd:jq
	local type name
	tun_host
	ip -n "$ns" link set tun0 down
	for type in $IP_TYPES $OTHER_TYPES; do
		name=${type%:*}
		in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/tun" tun0 type "${type#*:}"
		[ "$(ip -n "$ns" -j link show dev tun0 | jq -r '.[0].link_type')" = "$name" ]
		if [[ " $OTHER_TYPES " == *" $type "* ]]; then
			refused "attach program '$BPFFS/start3' to 'tun0': packets of link/$name start neither at Ethernet nor at the IP header, the program at the IP header (--force attaches it)" \
				-n "$ns" tun0 "$BPFFS/start3"
			refused "attach program '$BPFFS/start2' to 'tun0': packets of link/$name start neither at Ethernet nor at the IP header, the program at Ethernet (--force attaches it)" \
				-n "$ns" tun0 "$BPFFS/start2"
			continue
		fi
		refused "attach program '$BPFFS/start2' to 'tun0': ${AT_IP/none/$name} (load it with --set l3=true; --force attaches it)" \
			-n "$ns" tun0 "$BPFFS/start2"
		xdp-attach -n "$ns" tun0 "$BPFFS/start3"
		xdp-attach -n "$ns" --detach tun0
	done
	in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/tun" tun0 type 1
	[ "$(ip -n "$ns" -j link show dev tun0 | jq -r '.[0].link_type')" = ether ]
	refused "attach program '$BPFFS/start3' to 'tun0': $AT_ETHERNET" -n "$ns" tun0 "$BPFFS/start3"
	xdp-attach -n "$ns" tun0 "$BPFFS/start2"
}

@test "xdp-attach: VXLAN of the Generic Protocol Extension has no Ethernet header, VXLAN has one" {
	requires root
	tun_host
	ip -n "$ns" link add vx0 type vxlan external gpe dstport 4790
	ip -n "$ns" link add vx1 type vxlan id 7 dstport 4789
	refused "attach program '$BPFFS/start2' to 'vx0': $AT_IP (load it with --set l3=true; --force attaches it)" \
		-n "$ns" vx0 "$BPFFS/start2"
	refused "attach program '$BPFFS/start3' to 'vx1': $AT_ETHERNET" -n "$ns" vx1 "$BPFFS/start3"
	xdp-attach -n "$ns" vx0 "$BPFFS/start3"
	xdp-attach -n "$ns" vx1 "$BPFFS/start2"
}

@test "xdp-attach: a program without a bool l3 in .rodata starts at Ethernet" {
	requires root
	local name
	tun_host
	two_hosts host peer
	prog-load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/no_map"
	prog-load --set l3=1 "$BATS_FILE_TMPDIR/number.o" "$BPFFS/number"
	prog-load --set l3=1 "$BATS_FILE_TMPDIR/byte.o" "$BPFFS/byte"
	prog-load "$BATS_FILE_TMPDIR/no_knob.o" "$BPFFS/no_knob"
	prog-load "$HOOKSET_BUILD/xdp_drop.o" "$BPFFS/no_btf"
	for name in no_map number byte no_knob no_btf; do
		refused "attach program '$BPFFS/$name' to 'tun0': $AT_IP (it has no variable l3; --force attaches it)" \
			-n "$ns" tun0 "$BPFFS/$name"
		xdp-attach -n "$host" veth0 "$BPFFS/$name"
		xdp-attach -n "$host" --detach veth0
	done
}

@test "xdp-attach: a program that ip has loaded is known as well" {
	requires root cmd:jq
	local id
	tun_host
	ip -n "$ns" link set dev lo xdpgeneric obj "$BATS_FILE_TMPDIR/start.o" sec xdp
	id=$(program "$ns" lo)
	bpftool prog pin id "$id" "$BPFFS/by_ip"
	refused "attach program '$BPFFS/by_ip' to 'tun0': $AT_IP (load it with --set l3=true; --force attaches it)" \
		-n "$ns" tun0 "$BPFFS/by_ip"
}

@test "xdp-attach: without CAP_SYS_ADMIN a program's l3 is not known: a warning on Ethernet, refused elsewhere" {
	requires root
	tun_host
	two_hosts host peer
	local unknown="where the program starts is not known: read BTF [0-9]+: Operation not permitted "
	run -0 --separate-stderr in_ns "$host" setpriv --bounding-set=-sys_admin --inh-caps=-all \
		xdp-attach veth0 "$BPFFS/start2"
	[[ $stderr =~ ^"xdp-attach: warning: attach program '$BPFFS/start2' to 'veth0': "${unknown}[^$'\n']+$ ]]
	run -1 --separate-stderr in_ns "$ns" setpriv --bounding-set=-sys_admin --inh-caps=-all \
		xdp-attach tun0 "$BPFFS/start3"
	[[ $stderr =~ ^"xdp-attach: attach program '$BPFFS/start3' to 'tun0': packets of link/none start at the IP header, and "${unknown}[^$'\n']+"; --force attaches it"$ ]]
	[ -z "$(program "$ns" tun0)" ]
	run -0 --separate-stderr in_ns "$ns" setpriv --bounding-set=-sys_admin --inh-caps=-all \
		xdp-attach --force tun0 "$BPFFS/start3"
	[ -z "$stderr" ]
}

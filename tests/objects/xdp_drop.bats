#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # netns and two_hosts set the names they are given

load ../lib/helpers

PACKETS=$BATS_TEST_DIRNAME/packets.py
TABLE=$BATS_TEST_DIRNAME/packets/tcp.table

# load_text OBJ PIN: what is in .text, with any libbpf, under the section name that all take.
load_text() {
	llvm-objcopy --rename-section .text=xdp "$1" "$BATS_TEST_TMPDIR/text.o"
	bpftool prog load "$BATS_TEST_TMPDIR/text.o" "$2"
}

# serve NETNS PORT: somebody listens there, over IPv4 and IPv6.
serve() {
	start_in "$1" ncat -k -l "$2"
	poll 5 listening "$1" "$2"
}

# connects NETNS ADDRESS [PORT]: a connection comes about.
connects() {
	in_ns "$1" ncat -z -w 2 "$2" "${3:-8080}"
}

# blocked NETNS ADDRESS: none does, and nothing is answered: there is no waiting for long.
blocked() {
	run -1 in_ns "$1" ncat -v -z -w 250ms "$2" 8080
	[[ $output == *TIMEOUT* ]]
}

# blocks CLIENT SERVER LINK-ARGUMENTS...: attached so to the server's veth0, it
# keeps the client from port 8080 over IPv4 and IPv6, and from nothing else.
blocks() {
	local client=$1 server=$2
	shift 2
	in_ns "$server" ip link set dev veth0 "$@"
	blocked "$client" 10.9.0.2
	blocked "$client" fd09::2
	connects "$client" 10.9.0.2 8081
	connects "$client" fd09::2 8081
	in_ns "$server" ip link set dev veth0 "$1" off
	connects "$client" 10.9.0.2
	connects "$client" fd09::2
}

# two_servers CLIENT SERVER: two hosts, the second with listeners on 8080 and 8081.
two_servers() {
	two_hosts "$1" "$2"
	serve "${!2}" 8080
	serve "${!2}" 8081
	# The first neighbour discovery may come before IPv6 is up.
	poll 5 connects "${!1}" 10.9.0.2
	poll 5 connects "${!1}" fd09::2
}

# table_hosts CLIENT SERVER: the same, with the addresses of the packets in the table.
table_hosts() {
	two_servers "$1" "$2"
	ip -n "${!1}" link set veth0 address 02:00:00:00:00:01 mtu 3400
	ip -n "${!2}" link set veth0 address 02:00:00:00:00:02 mtu 3400
	ip -n "${!1}" addr add 192.0.2.1/24 dev veth0
	ip -n "${!2}" addr add 192.0.2.2/24 dev veth0
	ip -n "${!1}" addr add 2001:db8::1/64 dev veth0 nodad
	ip -n "${!2}" addr add 2001:db8::2/64 dev veth0 nodad
	# A program that comes meanwhile drops the client's RST: no SYN-ACK may be sent again for that.
	in_ns "${!2}" sysctl -qw net.ipv4.tcp_synack_retries=0
}

# fixture NAME: build tests/fixtures/NAME.c as $BATS_TEST_TMPDIR/NAME.o.
fixture() {
	clang -g -O2 -target bpf -idirafter "/usr/include/$(uname -m)-linux-gnu" \
		-c "$BATS_TEST_DIRNAME/../fixtures/$1.c" -o "$BATS_TEST_TMPDIR/$1.o"
}

# walkthrough OBJECT SECTION: as upstream shows it, on lo: while the program is there, hello does
# not arrive.
walkthrough() {
	local ns
	netns ns
	serve "$ns" 8080
	in_ns "$ns" ip link set dev lo xdp obj "$1" sec "$2"
	run -0 ip -n "$ns" link show dev lo
	[[ $output == *" xdpgeneric "*"prog/xdp id "* ]]
	run ! in_ns "$ns" ncat -w 250ms 127.0.0.1 8080 <<<"hello over IPv4"
	run ! in_ns "$ns" ncat -w 250ms ::1 8080 <<<"hello over IPv6"
	[ ! -s "$OUT" ]

	in_ns "$ns" ip link set lo xdpgeneric off
	in_ns "$ns" ncat -w 1 127.0.0.1 8080 <<<"hello over IPv4"
	in_ns "$ns" ncat -w 1 ::1 8080 <<<"hello over IPv6"
	poll 5 grep -q IPv6 "$OUT"
	diff - "$OUT" <<-EOF
		hello over IPv4
		hello over IPv6
	EOF
}

@test "xdp_drop.o: each packet of the table gets its verdict" {
	requires root cmd:llvm-objcopy
	load_text "$HOOKSET_BUILD/xdp_drop.o" "$BPFFS/prog"
	"$PACKETS" verdicts "$TABLE" "$BPFFS/prog"
}

@test "xdp_drop.bpf.o: each packet of the table gets its verdict" {
	requires root
	load_prog xdp_drop
	"$PACKETS" verdicts "$TABLE" "$BPFFS/xdp_drop_prog"
}

@test "xdp_drop: it passes all that detect_ping is tested with, but TCP to its port" {
	requires root
	load_prog xdp_drop
	grep -v 'tcp()$' "$BATS_TEST_DIRNAME/packets/icmp.table" >"$BATS_TEST_TMPDIR/icmp.table"
	"$PACKETS" passes "$BATS_TEST_TMPDIR/icmp.table" "$BPFFS/xdp_drop_prog"
}

# bats test_tags=kernel-free
@test "the table: tshark agrees with each verdict" {
	requires cmd:tshark
	"$PACKETS" dissect "$TABLE"
}

@test "the table: what a host answers from the port is dropped, native and generic" {
	local mode
	requires root
	table_hosts client server
	run -0 in_ns "$client" "$PACKETS" answered "$TABLE" veth0
	[[ $output =~ \ ([0-9]+)\ DROP\ lines\ answered$ ]]
	[ "${BASH_REMATCH[1]}" -ge 40 ]

	for mode in xdpdrv xdpgeneric; do
		ip -n "$server" link set dev veth0 "$mode" obj "$HOOKSET_BUILD/xdp_drop.bpf.o" sec xdp
		run -0 in_ns "$client" "$PACKETS" answered "$TABLE" veth0
		[[ $output == *", 0 DROP lines answered" ]]
		ip -n "$server" link set dev veth0 "$mode" off
	done
}

@test "xdp_drop.o, loaded by ip: a client on another host is blocked, native and generic" {
	requires root cmd:ncat ip-text
	two_servers client server
	blocks "$client" "$server" xdpdrv obj "$HOOKSET_BUILD/xdp_drop.o" sec .text
	blocks "$client" "$server" xdpgeneric obj "$HOOKSET_BUILD/xdp_drop.o" sec .text
}

@test "xdp_drop.o, loaded by bpftool: the same" {
	requires root cmd:ncat cmd:llvm-objcopy
	two_servers client server
	load_text "$HOOKSET_BUILD/xdp_drop.o" "$BPFFS/prog"
	blocks "$client" "$server" xdpdrv pinned "$BPFFS/prog"
	blocks "$client" "$server" xdpgeneric pinned "$BPFFS/prog"
}

@test "xdp_drop.bpf.o, loaded by ip: the same" {
	requires root cmd:ncat
	two_servers client server
	blocks "$client" "$server" xdpdrv obj "$HOOKSET_BUILD/xdp_drop.bpf.o" sec xdp
	blocks "$client" "$server" xdpgeneric obj "$HOOKSET_BUILD/xdp_drop.bpf.o" sec xdp
}

@test "xdp_drop.bpf.o, loaded by bpftool: the same" {
	requires root cmd:ncat
	two_servers client server
	load_prog xdp_drop
	blocks "$client" "$server" xdpdrv pinned "$BPFFS/xdp_drop_prog"
	blocks "$client" "$server" xdpgeneric pinned "$BPFFS/xdp_drop_prog"
}

@test "upstream's program lets the same client in" {
	local mode
	requires root cmd:ncat cmd:clang
	two_servers client server
	fixture upstream_drop
	bpftool prog load "$BATS_TEST_TMPDIR/upstream_drop.o" "$BPFFS/upstream"
	run -1 "$PACKETS" verdicts "$TABLE" "$BPFFS/upstream"
	[[ $output == *": TCP to the port: expected DROP, got PASS"* ]]
	[[ $output == *": TCP from the port: expected PASS, got DROP"* ]]
	for mode in xdpdrv xdpgeneric; do
		in_ns "$server" ip link set dev veth0 "$mode" pinned "$BPFFS/upstream"
		connects "$client" 10.9.0.2
		connects "$client" fd09::2
		in_ns "$server" ip link set dev veth0 "$mode" off
	done

	# What it does block is a client that comes from port 8080, to anywhere.
	in_ns "$server" ip link set dev veth0 xdpdrv pinned "$BPFFS/upstream"
	run ! in_ns "$client" ncat -z -w 250ms -p 8080 10.9.0.2 8081
	in_ns "$client" ncat -z -w 2 -p 8079 10.9.0.2 8081
}

@test "a client in a VLAN is blocked: 802.1Q and QinQ, tags in the packet and beside it" {
	local how offload tags
	requires root cmd:ncat cmd:clang cmd:ethtool cmd:tc
	two_servers client server
	load_prog xdp_drop
	fixture vlan
	bpftool prog loadall "$BATS_TEST_TMPDIR/vlan.o" "$BPFFS/vlan"
	in_ns "$client" tc qdisc add dev veth0 clsact
	in_ns "$server" tc qdisc add dev veth0 clsact
	in_ns "$server" tc filter add dev veth0 ingress bpf direct-action object-pinned "$BPFFS/vlan/pop"
	blocked "$client" 10.9.0.2

	# Hardware insertion off: the client puts the outer tag into the packet too.
	for how in "push_q on" "push_q off" "push_qinq off"; do
		read -r tags offload <<<"$how"
		in_ns "$client" tc filter replace dev veth0 egress prio 1 handle 1 bpf direct-action \
			object-pinned "$BPFFS/vlan/$tags"
		in_ns "$client" ethtool -K veth0 tx-vlan-hw-insert "$offload" tx-vlan-stag-hw-insert "$offload"
		poll 5 connects "$client" 10.9.0.2
		poll 5 connects "$client" fd09::2
		blocks "$client" "$server" xdpdrv pinned "$BPFFS/xdp_drop_prog"
		blocks "$client" "$server" xdpgeneric pinned "$BPFFS/xdp_drop_prog"
	done
}

@test "a connection request in fragments is blocked" {
	local mode
	requires root
	table_hosts client server
	load_prog xdp_drop

	# IPv4 has fragments of 8 bytes; of IPv6 Linux wants the whole TCP header in the first (RFC 7112).
	run -0 in_ns "$client" "$PACKETS" connect veth0 4/8 4/16 6/24
	[ "$output" = "answered: 4/8 4/16 6/24" ]
	for mode in xdpdrv xdpgeneric; do
		in_ns "$server" ip link set dev veth0 $mode pinned "$BPFFS/xdp_drop_prog"
		run -0 in_ns "$client" "$PACKETS" connect veth0 4/8 4/16 6/24
		[ "$output" = "answered:" ]
		in_ns "$server" ip link set dev veth0 $mode off
	done
}

@test "xdp_drop.o: upstream's walkthrough on lo" {
	requires root cmd:ncat ip-text
	walkthrough "$HOOKSET_BUILD/xdp_drop.o" .text
}

@test "xdp_drop.bpf.o: upstream's walkthrough on lo" {
	requires root cmd:ncat
	walkthrough "$HOOKSET_BUILD/xdp_drop.bpf.o" xdp
}

# bats test_tags=kernel-free
@test "make DROP_PORT=9090: both objects block that port, and make rebuilds when it changes" {
	local tree=$BATS_TEST_TMPDIR/tree objects=(build/xdp_drop.o build/xdp_drop.bpf.o)
	requires root cmd:clang cmd:llvm-objcopy
	mkdir "$tree"
	cp -r "$HOOKSET_ROOT/Makefile" "$HOOKSET_ROOT/bpf" "$tree"

	make -C "$tree" DROP_PORT=9090 "${objects[@]}"
	load_text "$tree/build/xdp_drop.o" "$BPFFS/text"
	bpftool prog load "$tree/build/xdp_drop.bpf.o" "$BPFFS/xdp"
	"$PACKETS" verdicts "$TABLE" "$BPFFS/text" 9090
	"$PACKETS" verdicts "$TABLE" "$BPFFS/xdp" 9090
	"$PACKETS" dissect "$TABLE" 9090
	rm "$BPFFS/text" "$BPFFS/xdp"

	# The same port again: nothing to do. Another: both are built again.
	run -0 make -C "$tree" DROP_PORT=9090 "${objects[@]}"
	[[ $output != *BPF* ]]
	run -0 make -C "$tree" "${objects[@]}"
	[[ $output == *"BPF      build/xdp_drop.o"*"BPF      build/xdp_drop.bpf.o"* ]]
	load_text "$tree/build/xdp_drop.o" "$BPFFS/text"
	bpftool prog load "$tree/build/xdp_drop.bpf.o" "$BPFFS/xdp"
	"$PACKETS" verdicts "$TABLE" "$BPFFS/text"
	"$PACKETS" verdicts "$TABLE" "$BPFFS/xdp"
}

# bats test_tags=kernel-free
@test "make DROP_PORT=N: what is no TCP port is refused" {
	local port
	cp -r "$HOOKSET_ROOT/Makefile" "$HOOKSET_ROOT/bpf" "$BATS_TEST_TMPDIR"
	for port in 0 65536 -1; do
		run -2 make -C "$BATS_TEST_TMPDIR" DROP_PORT="$port" build/xdp_drop.o
		[[ $output == *"DROP_PORT is no TCP port"* ]]
		run -2 make -C "$BATS_TEST_TMPDIR" DROP_PORT="$port" build/xdp_drop.bpf.o
		[[ $output == *"DROP_PORT is no TCP port"* ]]
	done
}

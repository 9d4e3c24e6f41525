#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Frames that are not plain Ethernet of one buffer: jumbo frames, devices without an Ethernet
# header, TCP packets of more than 65,535 bytes.
# shellcheck disable=SC2154 # two_hosts sets the names it is given

load ../lib/helpers

LINKS=$BATS_TEST_DIRNAME/../fixtures/links
PACKETS=$BATS_TEST_DIRNAME/packets.py

# pings ADDRESS SIZE..., in_vain ADDRESS SIZE...: packets of so many bytes of data, from the client.
pings() {
	local address=$1 size
	shift
	for size; do
		echo "ping -s $size $address"
		in_ns "$client" ping -q -c 2 -i 0.2 -W 5 -M "do" -s "$size" "$address"
	done
}

in_vain() {
	local address=$1 size
	shift
	for size; do
		echo "ping -s $size $address"
		run -1 in_ns "$client" ping -q -c 2 -i 0.2 -W 0.3 -M "do" -s "$size" "$address"
		[[ $output == *"2 packets transmitted, 0 received"* ]]
	done
}

# Two hosts whose frames are larger than a page. The server's program is native.
jumbo_hosts() {
	two_hosts client server
	ip -n "$client" link set veth0 mtu 9000
	ip -n "$server" link set veth0 mtu 9000
	poll 10 pings fd09::2 56
}

# attach_jumbo OBJECT: attach NAME.frags.bpf.o by ip, or NAME.bpf.o by prog-load --type xdp.frags.
attach_jumbo() {
	rm -rf "$BPFFS/o"
	case $1 in
	*.frags.*) ip -n "$server" link set dev veth0 xdpdrv obj "$HOOKSET_BUILD/$1" sec xdp.frags ;;
	*)
		prog-load --type xdp.frags "$HOOKSET_BUILD/$1" "$BPFFS/o-prog"
		in_ns "$server" xdp-attach veth0 "$BPFFS/o-prog"
		rm "$BPFFS/o-prog"
		;;
	esac
	map-pin -n "$server" dev veth0 "$BPFFS/o"
}

SIZES="56 3000 8900"

@test "jumbo frames, native: a listed source is not heard, whatever the size" {
	local object
	requires root cmd:ping xdp-frags
	jumbo_hosts
	for object in xdp_blocklist.frags.bpf.o xdp_blocklist.bpf.o; do
		attach_jumbo $object
		# shellcheck disable=SC2086 # they are several
		pings 10.9.0.2 $SIZES
		printf '%s\n' 10.9.0.1 fd09::1 | blocklist-load "$BPFFS/o" load -
		# shellcheck disable=SC2086
		in_vain 10.9.0.2 $SIZES
		# shellcheck disable=SC2086
		in_vain fd09::2 $SIZES
		ip -n "$server" link set dev veth0 xdpdrv off
	done
}

@test "jumbo frames, native: xdp_firewall parses them, and counts all their bytes" {
	local object
	requires root cmd:ping xdp-frags
	jumbo_hosts
	for object in xdp_firewall.frags.bpf.o xdp_firewall.bpf.o; do
		attach_jumbo $object
		map-edit "$BPFFS/o/fw_deny" add unparsed
		map-edit "$BPFFS/o/fw_allow4" add 10.9.0.1
		# shellcheck disable=SC2086
		pings 10.9.0.2 $SIZES
		# shellcheck disable=SC2086
		pings fd09::2 $SIZES
		# Two of each; 20 bytes of IPv4, 8 of ICMP and 14 of Ethernet.
		run -0 map-edit "$BPFFS/o/fw_allow4" show
		[ "$output" = "10.9.0.1/32={packets=6 bytes=$((2 * (56 + 3000 + 8900 + 3 * 42)))}" ]
		map-edit "$BPFFS/o/fw_allow4" del 10.9.0.1
		map-edit "$BPFFS/o/fw_icmp4" add '{type=8}'
		map-edit "$BPFFS/o/fw_block6" add fd09::1
		# shellcheck disable=SC2086
		in_vain 10.9.0.2 $SIZES
		# shellcheck disable=SC2086
		in_vain fd09::2 $SIZES
		run -0 map-edit "$BPFFS/o/fw_deny" get unparsed
		[ "$output" = "{packets=0 bytes=0}" ]
		ip -n "$server" link set dev veth0 xdpdrv off
	done
}

@test "jumbo frames, native: detect_ping sees pings of each size, and drops them" {
	local object
	requires root cmd:ping xdp-frags
	jumbo_hosts
	for object in detect_ping.frags.bpf.o detect_ping.bpf.o; do
		attach_jumbo $object
		map-edit "$BPFFS/o/ping_hash" add 10.9.0.1
		# shellcheck disable=SC2086
		in_vain 10.9.0.2 $SIZES
		# shellcheck disable=SC2086
		pings fd09::2 $SIZES
		run -0 map-edit "$BPFFS/o/ping_stats" show
		[[ $output == *"dropped=6 "* ]]
		ip -n "$server" link set dev veth0 xdpdrv off
	done
}

@test "jumbo frames, native: xdp_drop gives each packet of its table its verdict" {
	requires root xdp-frags
	prog-load "$HOOKSET_BUILD/xdp_drop.frags.bpf.o" "$BPFFS/prog"
	"$PACKETS" verdicts "$BATS_TEST_DIRNAME/packets/tcp.table" "$BPFFS/prog"
	two_hosts client server
	ip -n "$client" link set veth0 mtu 9000
	ip -n "$server" link set veth0 mtu 9000
	serve "$server" name tcp:0.0.0.0:8080 tcp:0.0.0.0:8081
	answers "name hello|8080" "$client" tcp 10.9.0.2 8080
	ip -n "$server" link set dev veth0 xdpdrv obj "$HOOKSET_BUILD/xdp_drop.frags.bpf.o" sec xdp.frags
	answers "name hello|8081" "$client" tcp 10.9.0.2 8081
	DEADLINE=0.5 answers timeout "$client" tcp 10.9.0.2 8080
}

# Two hosts, joined by devices without an Ethernet header.
tun_hosts() {
	netns client
	netns server
	start "$LINKS" tun "$client" "$server"
	poll 5 grep -q ready "$OUT"
	ip -n "$client" addr add 10.9.0.1/24 dev tun0
	ip -n "$server" addr add 10.9.0.2/24 dev tun0
	ip -n "$client" addr add fd09::1/64 dev tun0 nodad
	ip -n "$server" addr add fd09::2/64 dev tun0 nodad
	ip -n "$client" link set tun0 up
	ip -n "$server" link set tun0 up
	poll 10 pings fd09::2 56
}

# attach_l3 OBJECT: it begins at the IP header, and its maps are in $BPFFS/o.
attach_l3() {
	rm -rf "$BPFFS/o" "$BPFFS/o-prog"
	prog-load --maps "$BPFFS/o" --set l3=true "$HOOKSET_BUILD/$1" "$BPFFS/o-prog"
	ip -n "$server" link set dev tun0 xdpgeneric off
	ip -n "$server" link set dev tun0 xdpgeneric pinned "$BPFFS/o-prog"
}

@test "no Ethernet header, l3=true: each object does there what it does on Ethernet" {
	requires root cmd:ping
	tun_hosts
	serve "$server" name tcp:0.0.0.0:8080 tcp:0.0.0.0:8081

	attach_l3 xdp_blocklist.bpf.o
	echo 10.9.0.1 | blocklist-load "$BPFFS/o" load -
	in_vain 10.9.0.2 56
	pings fd09::2 56
	echo fd09::1 | blocklist-load "$BPFFS/o" load -
	in_vain fd09::2 56
	pings 10.9.0.2 56

	attach_l3 xdp_firewall.bpf.o
	map-edit "$BPFFS/o/fw_deny" add unparsed
	map-edit "$BPFFS/o/fw_rule4" add '{proto=tcp port=8080}'
	map-edit "$BPFFS/o/fw_block6" add fd09::1
	pings 10.9.0.2 56
	in_vain fd09::2 56
	answers "name hello|8081" "$client" tcp 10.9.0.2 8081
	DEADLINE=0.5 answers timeout "$client" tcp 10.9.0.2 8080
	run -0 map-edit "$BPFFS/o/fw_deny" get unparsed
	[ "$output" = "{packets=0 bytes=0}" ]

	attach_l3 detect_ping.bpf.o
	map-edit "$BPFFS/o/ping_hash" add 10.9.0.1
	in_vain 10.9.0.2 56
	pings fd09::2 56

	rm -rf "$BPFFS/o-prog"
	attach_l3 xdp_drop.bpf.o
	answers "name hello|8081" "$client" tcp 10.9.0.2 8081
	DEADLINE=0.5 answers timeout "$client" tcp 10.9.0.2 8080
}

# received BYTES: has so much come?
received() {
	[ "$(wc -c <"$BATS_TEST_TMPDIR/received")" -ge "$1" ]
}

@test "BIG TCP over IPv4, generic: packets of more than 65,535 bytes are parsed" {
	local bytes=40000000 host watcher
	requires root cmd:ncat
	two_hosts client server
	for host in "$client" "$server"; do
		"$LINKS" big-tcp "$host" veth0 200000 || skip "this kernel has no BIG TCP over IPv4"
	done
	prog-load --maps "$BPFFS/o" "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$BPFFS/o-prog"
	ip -n "$server" link set dev veth0 xdpgeneric pinned "$BPFFS/o-prog"
	map-edit "$BPFFS/o/fw_deny" add unparsed
	map-edit "$BPFFS/o/fw_rule4" add '{proto=tcp port=9000}={verdict=pass}'
	start_in "$server" ncat -l -k 9000
	ln -s "$OUT" "$BATS_TEST_TMPDIR/received"
	poll 10 in_ns "$server" sh -c 'ss -Hltn | grep -q :9000'
	start "$LINKS" long "$server" veth0
	watcher=$OUT
	poll 5 grep -q ready "$watcher"
	in_ns "$client" "$LINKS" send 10.9.0.2 9000 $bytes
	poll 10 received $bytes
	run -0 map-edit "$BPFFS/o/fw_deny" get unparsed
	[ "$output" = "{packets=0 bytes=0}" ]
	poll 5 grep -q long "$watcher"

	# The source is listed: none of these packets gets in any more.
	map-edit "$BPFFS/o/fw_block4" add 10.9.0.1
	run ! in_ns "$client" timeout 1 "$LINKS" send 10.9.0.2 9000 1
}

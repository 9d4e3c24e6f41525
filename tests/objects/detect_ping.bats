#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # two_hosts sets the names it is given

load ../lib/helpers

PACKETS=$BATS_TEST_DIRNAME/packets.py
TABLE=$BATS_TEST_DIRNAME/packets/icmp.table

# load_detect_ping: its program and its maps, each under its name, in $BPFFS.
load_detect_ping() {
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog" pinmaps "$BPFFS"
}

# list add|del ADDRESS: block the pings of it.
list() {
	local key map=ping_hash value=() command=update
	[[ $2 != *:* ]] || map=ping_hash6
	[ "$1" = del ] && command=delete || value=(value hex 1 0 0 0)
	key=$(/usr/bin/python3 -c 'import ipaddress, sys; print(ipaddress.ip_address(sys.argv[1]).packed.hex(" "))' "$2")
	# shellcheck disable=SC2086 # a byte per word
	bpftool map $command pinned "$BPFFS/$map" key hex $key "${value[@]}"
}

ifindex() {
	ip -n "$1" -o link show dev veth0 | cut -d: -f1
}

pings() {
	in_ns "$1" ping -c 2 -i 0.2 -W 1 "$2"
}

# pings_in_vain NETNS ADDRESS: not one reply comes.
pings_in_vain() {
	run -1 in_ns "$1" ping -c 2 -i 0.2 -W 0.3 "$2"
	[[ $output == *"2 packets transmitted, 0 received"* ]]
}

# events_of FILE: the pings among the events, one `FROM TO VERSION TYPE SEQUENCE IFINDEX VERDICT` a line.
events_of() {
	/usr/bin/python3 -c '
import json, sys
for text in open(sys.argv[1]):
    e = json.loads(text)
    if (e["version"], e["type"]) in ((4, 8), (4, 0), (6, 128), (6, 129)):
        print(*(e[f] for f in ("saddr", "daddr", "version", "type", "sequence", "ifindex", "verdict")))' "$1"
}

# told FILE EVENT...: these are the pings among the events, and no others.
told() {
	local file=$1
	shift
	diff <(printf '%s\n' "$@") <(events_of "$file")
}

# bats test_tags=kernel-free
@test "the table: tshark agrees with each verdict and each event" {
	requires cmd:tshark
	"$PACKETS" dissect "$TABLE"
}

@test "detect_ping: each packet of the table gets its verdict, counters and event" {
	requires root cmd:tshark
	load_detect_ping
	list add 192.0.2.66
	list add 2001:db8::66
	"$PACKETS" events "$TABLE" "$BPFFS"
}

@test "detect_ping: with nothing listed every packet of both tables is passed" {
	requires root
	load_detect_ping
	"$PACKETS" passes "$TABLE" "$BPFFS/prog"
	"$PACKETS" passes "$BATS_TEST_DIRNAME/packets/tcp.table" "$BPFFS/prog"
}

@test "detect_ping: a full ring buffer loses events, counted, and changes no verdict" {
	requires root
	load_detect_ping
	list add 192.0.2.66
	"$PACKETS" flood "$BPFFS" 10000
}

@test "detect_ping: once read, the ring buffer has room again, and nothing of what was lost" {
	requires root
	load_detect_ping
	list add 192.0.2.66
	"$PACKETS" flood "$BPFFS" 10000
	run -0 --separate-stderr ringbuf-read --json --count 4095 "$BPFFS/ringbuf"
	[ "${#lines[@]}" -eq 4095 ]
	# As many events as before find room, and not one more is left from then.
	"$PACKETS" flood "$BPFFS" 10000
}

@test "detect_ping: real pings, over IPv4 and IPv6, native and generic, as events" {
	local ifindex mode
	requires root cmd:ping
	two_hosts client server
	poll 5 in_ns "$client" ping -c 1 -W 1 fd09::2
	ifindex=$(ifindex "$server")
	load_detect_ping
	for mode in xdpdrv xdpgeneric; do
		in_ns "$server" ip link set dev veth0 $mode pinned "$BPFFS/prog"
		start ringbuf-read --json "$BPFFS/ringbuf"
		pings "$client" 10.9.0.2
		pings "$client" fd09::2
		poll 5 told "$OUT" \
			"10.9.0.1 10.9.0.2 4 8 1 $ifindex XDP_PASS" \
			"10.9.0.1 10.9.0.2 4 8 2 $ifindex XDP_PASS" \
			"fd09::1 fd09::2 6 128 1 $ifindex XDP_PASS" \
			"fd09::1 fd09::2 6 128 2 $ifindex XDP_PASS"
		stop_all
		in_ns "$server" ip link set dev veth0 $mode off
	done
}

@test "detect_ping: listed, and no ping goes through; unlisted, and it goes again" {
	local address ifindex verdict events=()
	requires root cmd:ping
	two_hosts client server
	poll 5 in_ns "$client" ping -c 1 -W 1 fd09::2
	ifindex=$(ifindex "$server")
	load_detect_ping
	in_ns "$server" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"

	start ringbuf-read --json "$BPFFS/ringbuf"

	# By the address that it is for, and by the one that it is from.
	for address in 10.9.0.2 10.9.0.1; do
		list add $address
		pings_in_vain "$client" 10.9.0.2
		list del $address
		pings "$client" 10.9.0.2
		for verdict in DROP PASS; do
			events+=("10.9.0.1 10.9.0.2 4 8 1 $ifindex XDP_$verdict"
				"10.9.0.1 10.9.0.2 4 8 2 $ifindex XDP_$verdict")
		done
	done
	for address in fd09::2 fd09::1; do
		list add $address
		pings_in_vain "$client" fd09::2
		list del $address
		pings "$client" fd09::2
		for verdict in DROP PASS; do
			events+=("fd09::1 fd09::2 6 128 1 $ifindex XDP_$verdict"
				"fd09::1 fd09::2 6 128 2 $ifindex XDP_$verdict")
		done
	done
	poll 5 told "$OUT" "${events[@]}"

	# Neither family is blocked by the list of the other.
	list add 10.9.0.2
	pings "$client" fd09::2
	list del 10.9.0.2
	list add fd09::2
	pings "$client" 10.9.0.2
}

@test "detect_ping: replies to one's own pings are seen and blocked too" {
	local ifindex
	requires root cmd:ping
	two_hosts client server
	poll 5 in_ns "$client" ping -c 1 -W 1 fd09::2
	ifindex=$(ifindex "$client")
	load_detect_ping
	in_ns "$client" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"
	list add 10.9.0.2
	start ringbuf-read --json "$BPFFS/ringbuf"
	pings_in_vain "$client" 10.9.0.2
	pings "$client" fd09::2
	poll 5 told "$OUT" \
		"10.9.0.2 10.9.0.1 4 0 1 $ifindex XDP_DROP" \
		"10.9.0.2 10.9.0.1 4 0 2 $ifindex XDP_DROP" \
		"fd09::2 fd09::1 6 129 1 $ifindex XDP_PASS" \
		"fd09::2 fd09::1 6 129 2 $ifindex XDP_PASS"
}

@test "detect_ping: a fragmented ping is one event, and blocked as a whole" {
	local ifindex
	requires root cmd:ping
	two_hosts client server
	poll 5 in_ns "$client" ping -c 1 -W 1 fd09::2
	ifindex=$(ifindex "$server")
	load_detect_ping
	in_ns "$server" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"
	start ringbuf-read --json "$BPFFS/ringbuf"
	in_ns "$client" ping -c 1 -W 1 -s 4000 10.9.0.2
	in_ns "$client" ping -c 1 -W 1 -s 4000 fd09::2
	list add 10.9.0.2
	list add fd09::2
	run -1 in_ns "$client" ping -c 1 -W 0.3 -s 4000 10.9.0.2
	run -1 in_ns "$client" ping -c 1 -W 0.3 -s 4000 fd09::2
	poll 5 told "$OUT" \
		"10.9.0.1 10.9.0.2 4 8 1 $ifindex XDP_PASS" \
		"fd09::1 fd09::2 6 128 1 $ifindex XDP_PASS" \
		"10.9.0.1 10.9.0.2 4 8 1 $ifindex XDP_DROP" \
		"fd09::1 fd09::2 6 128 1 $ifindex XDP_DROP"
}

# neighbour NETNS ADDRESS: its MAC address is known there.
neighbour() {
	ip -n "$1" neigh show "$2" dev veth0 | grep -q lladdr
}

@test "detect_ping: neighbour discovery and TCP go on with a host that may not ping" {
	requires root cmd:ping cmd:ncat
	two_hosts client server
	poll 5 in_ns "$client" ping -c 1 -W 1 fd09::2
	load_detect_ping
	list add fd09::1
	list add fd09::2
	list add 10.9.0.2
	in_ns "$client" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"
	in_ns "$server" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"
	ip -n "$client" neigh flush dev veth0
	ip -n "$server" neigh flush dev veth0
	run ! neighbour "$client" fd09::2

	pings_in_vain "$client" fd09::2
	poll 5 neighbour "$client" fd09::2
	start_in "$server" ncat -k -l 7000
	poll 5 listening "$server" 7000
	in_ns "$client" ncat -z -w 2 fd09::2 7000
	in_ns "$client" ncat -z -w 2 10.9.0.2 7000
}

@test "detect_ping: path MTU discovery goes on with a host that may not ping" {
	requires root cmd:ping
	two_hosts client router
	netns far
	ip -n "$router" link add far type veth peer name veth0 netns "$far"
	ip -n "$router" link set far up mtu 1300
	ip -n "$far" link set veth0 up mtu 1300
	ip -n "$router" addr add 10.8.0.1/24 dev far
	ip -n "$far" addr add 10.8.0.2/24 dev veth0
	ip -n "$client" route add 10.8.0.0/24 via 10.9.0.2
	ip -n "$far" route add default via 10.8.0.1
	in_ns "$router" sysctl -q net.ipv4.ip_forward=1
	poll 5 in_ns "$client" ping -c 1 -W 1 10.8.0.2

	# The router's fragmentation needed comes from a listed address.
	load_detect_ping
	list add 10.9.0.2
	in_ns "$client" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"
	pings_in_vain "$client" 10.9.0.2
	run -1 in_ns "$client" ping -c 1 -W 0.3 -M "do" -s 1400 10.8.0.2
	run -0 in_ns "$client" ip route get 10.8.0.2
	[[ $output == *"mtu 1300"* ]]
}

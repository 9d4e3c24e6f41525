#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # two_hosts sets the names it is given

load ../lib/helpers

PACKETS=$BATS_TEST_DIRNAME/packets.py
BLOCKLIST=$BATS_TEST_DIRNAME/blocklist.py
TABLE=$BATS_TEST_DIRNAME/packets/blocklist.table

# load_blocklist: its program and its maps, each under its name, in $BPFFS.
load_blocklist() {
	bpftool prog load "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/prog" pinmaps "$BPFFS"
}

# block LINE...: this is the list from now on.
block() {
	printf '%s\n' "$@" | blocklist-load "$BPFFS" load -
}

# table_list: what the packets of the table want to be listed.
table_list() {
	printf '%s\n' 198.51.100.0/24 203.0.113.7 2001:db8:1::/64 2001:db8:2::7
}

# dropped IPV4 IPV6: so many packets were.
dropped() {
	run -0 blocklist-load "$BPFFS" stats
	[ "$output" = "dropped4=$1 dropped6=$2" ] || {
		echo "$output" >&2
		return 1
	}
}

pings() {
	in_ns "$1" ping -c 3 -i 0.1 -W 5 "$2"
}

# pings_in_vain NETNS ADDRESS: three go, and not one reply comes.
pings_in_vain() {
	run -1 in_ns "$1" ping -c 3 -i 0.1 -W 0.3 "$2"
	[[ $output == *"3 packets transmitted, 0 received"* ]]
}

@test "the table: tshark agrees with each verdict" {
	requires cmd:tshark
	table_list >"$BATS_TEST_TMPDIR/list"
	"$BLOCKLIST" dissect "$TABLE" "$BATS_TEST_TMPDIR/list"
}

@test "xdp_blocklist: each packet of the table gets its verdict" {
	requires root
	load_blocklist
	table_list | blocklist-load "$BPFFS" load -
	"$PACKETS" verdicts "$TABLE" "$BPFFS/prog"
}

@test "xdp_blocklist: without a list, and with an empty one, every packet is passed" {
	requires root
	load_blocklist
	"$PACKETS" passes "$TABLE" "$BPFFS/prog"
	table_list | blocklist-load "$BPFFS" load -
	blocklist-load "$BPFFS" load --allow-empty /dev/null
	"$PACKETS" passes "$TABLE" "$BPFFS/prog"
	dropped 0 0
}

@test "xdp_blocklist: IPv4: the first and last address of a prefix, and one beyond" {
	requires root
	load_blocklist
	"$BLOCKLIST" edges "$BPFFS" 198.51.100.7/32 198.51.100.0/32 198.51.100.255/32 198.51.100.0/24 \
		198.51.100.128/25 198.51.100.0/25 198.51.100.64/31 198.51.100.0/23 198.51.0.0/16 \
		198.0.0.0/8 128.0.0.0/1 0.0.0.0/1 0.0.0.0/0 0.0.0.0/32 0.0.0.0/8 255.255.255.255/32 \
		255.255.255.0/24 240.0.0.0/4
}

@test "xdp_blocklist: IPv6: the first and last address of a prefix, and one beyond" {
	requires root
	load_blocklist
	"$BLOCKLIST" edges "$BPFFS" 2001:db8::7/128 2001:db8::/128 2001:db8::/64 2001:db8::/63 \
		2001:db8::/65 2001:db8::/32 2001:db8::8000/113 2001:c0::/26 2001:80::/25 2001:c0::/27 2000::/3 \
		2000::/128 2000::/4 ::/2 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128 1fff:ffff::/32 \
		4000::/128 4000::/2 fd00::/8 fd09::1/128 fd09::/64 fe80::/10 fe80::/23 fe80::/22 fe80::/24 \
		ff02::1/128 ::/0 ::/1 8000::/1 ::/128 ::1/128 ::/64 ::/8 ::ffff:0:0/96 \
		::ffff:192.0.2.2/128 ::ffff:198.51.100.0/120 ::ffff:128.0.0.0/97 ::fffe:0:0/95 \
		ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128 ffff:ffff:ffff:ffff::/64 fffe::/15
}

# bats test_tags=kernel-free
@test "xdp_blocklist: no difference to ipaddress in 240,000 addresses and 30 lists" {
	local lists=$((15 / ${HOOKSET_PATIENCE:-1})) seed=$RANDOM reserved
	requires root
	load_blocklist
	for reserved in "" 32; do
		# Nothing of an earlier list may be left.
		[ -z "$reserved" ] || blocklist-load "$BPFFS" reserve $reserved
		run -0 "$BLOCKLIST" differ "$BPFFS" "$seed$reserved" "$lists" 4000
		echo "seed $seed$reserved: $output"
		[[ $output == "$lists lists "*", $((lists * 8000)) addresses, "*" listed: no difference" ]]
	done
}

@test "xdp_blocklist: a listed host is not heard, native and generic, loaded by ip and by prog-load" {
	local mode
	requires root cmd:ping
	two_hosts client server
	poll 10 pings "$client" fd09::2
	for mode in xdpdrv xdpgeneric; do
		ip -n "$server" link set dev veth0 $mode obj "$HOOKSET_BUILD/xdp_blocklist.bpf.o" sec xdp
		map-pin -n "$server" dev veth0 "$BPFFS/dir"
		pings "$client" 10.9.0.2
		pings "$client" fd09::2
		printf '%s\n' 10.9.0.1 fd09::1 | blocklist-load "$BPFFS/dir" load -
		pings_in_vain "$client" 10.9.0.2
		pings_in_vain "$client" fd09::2
		echo 10.9.0.0/31 | blocklist-load "$BPFFS/dir" load -
		pings_in_vain "$client" 10.9.0.2
		pings "$client" fd09::2
		printf '%s\n' 10.9.0.2 fd09::/128 fd09::2/127 | blocklist-load "$BPFFS/dir" load -
		pings "$client" 10.9.0.2
		pings "$client" fd09::2
		ip -n "$server" link set dev veth0 $mode off
		rm -r "$BPFFS/dir"
	done

	prog-load "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/prog"
	map-pin prog "$BPFFS/prog" "$BPFFS/dir"
	ip -n "$server" link set dev veth0 xdp pinned "$BPFFS/prog"
	echo 10.9.0.1 | blocklist-load "$BPFFS/dir" load -
	pings_in_vain "$client" 10.9.0.2
}

@test "xdp_blocklist: hits are counted exactly, of each family, and shown by their names" {
	requires root cmd:ping
	two_hosts client server
	poll 10 pings "$client" fd09::2
	load_blocklist
	ip -n "$server" link set dev veth0 xdp pinned "$BPFFS/prog"
	block 10.9.0.1
	dropped 0 0
	pings_in_vain "$client" 10.9.0.2
	dropped 3 0
	pings "$client" fd09::2
	dropped 3 0
	run -0 "$BLOCKLIST" edges "$BPFFS" fd0a::/64 # its three addresses
	dropped 3 3
	run -0 map-edit "$BPFFS/block_stats" show
	[ "$output" = "0={dropped4=3 dropped6=3}" ]
	run -0 blocklist-load "$BPFFS" stats --json
	[ "$output" = '{"dropped4":3,"dropped6":3}' ]

	# Another list changes no counter.
	block 10.9.0.7
	dropped 3 3
}

# two_lists: what both drop, and more, in $BATS_TEST_TMPDIR/one and two. No prefix of the one
# list has the same place in the other.
two_lists() {
	local both=(192.0.2.1/32 198.51.100.0/24 203.0.113.0/25 2001:db8:1::/64 2001:db8:2::7/128 fd09::/17)
	printf '%s\n' "${both[@]}" >"$BATS_TEST_TMPDIR/one"
	cp "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
	{
		"$BLOCKLIST" list 1 500
		printf '0.0.0.0/16\n::/32\n2001:db8::/63\n'
	} >>"$BATS_TEST_TMPDIR/two"
}

@test "xdp_blocklist: while lists are swapped, no packet is passed that both drop" {
	requires root
	load_blocklist
	two_lists
	"$BLOCKLIST" steady "$BPFFS" 3 "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
	blocklist-load "$BPFFS" reserve 16
	"$BLOCKLIST" steady "$BPFFS" 3 "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
}

# watched ADDRESS: how many packets came from it, as `watch` says in $OUT.
watched() {
	sed -n "s/^$1 //p" "$OUT"
}

@test "xdp_blocklist: the same under a flood between two hosts, native and generic" {
	local flood mode n
	requires root
	two_hosts client server
	load_blocklist
	two_lists
	blocklist-load "$BPFFS" load "$BATS_TEST_TMPDIR/one"
	for mode in xdpdrv xdpgeneric; do
		ip -n "$server" link set dev veth0 $mode pinned "$BPFFS/prog"
		start_in "$client" "$BLOCKLIST" flood veth0 198.51.100.7 2001:db8:1::7 192.0.2.200
		flood=$PID
		poll 10 grep -q ready "$OUT"
		start_in "$server" "$BLOCKLIST" watch veth0 198.51.100.7 2001:db8:1::7 192.0.2.200
		poll 10 grep -q ready "$OUT"
		for ((n = 0; n < 10; n++)); do
			blocklist-load "$BPFFS" load "$BATS_TEST_TMPDIR/two" "$BATS_TEST_TMPDIR/one"
			blocklist-load "$BPFFS" load "$BATS_TEST_TMPDIR/one"
		done
		stop "$PID"
		stop "$flood"
		cat "$OUT"
		[ "$(watched 198.51.100.7)" -eq 0 ]
		[ "$(watched 2001:db8:1::7)" -eq 0 ]
		[ "$(watched 192.0.2.200)" -ge 100 ]
		ip -n "$server" link set dev veth0 $mode off
	done
	run -0 blocklist-load "$BPFFS" stats
	[[ $output =~ ^dropped4=[0-9]{3,}\ dropped6=[0-9]{3,}$ ]]
}

@test "xdp_blocklist: reloaded with its maps, it has the list at once" {
	requires root
	prog-load --maps "$BPFFS/maps" "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/prog"
	pins_are "$BPFFS/maps" block_stats blocklist
	table_list | blocklist-load "$BPFFS/maps" load -
	rm "$BPFFS/prog"
	prog-load --maps "$BPFFS/maps" "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/prog"
	"$PACKETS" verdicts "$TABLE" "$BPFFS/prog"
}

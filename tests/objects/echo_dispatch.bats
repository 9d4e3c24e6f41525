#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# echo_dispatch on real sockets: who answers, and what a client hears where
# nobody does. Answers are "NAME hello|PORT": NAME is the server's own, PORT
# where the answer came from; "refused" is a RST or an ICMP port unreachable.

load ../lib/helpers
ns='' near='' far='' # by netns()

# dispatch NETNS: echo_dispatch is attached there; nothing is open yet.
dispatch() {
	load_prog echo_dispatch
	pin_map echo_ports "$BPFFS/echo_dispatch_prog"
	pin_map echo_socket "$BPFFS/echo_dispatch_prog"
	sk-lookup-attach --netns "$1" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
}

# port open|close PORT...
port() {
	local what=$1 port
	shift
	for port in "$@"; do
		# Two bytes in host order, as the map has it.
		read -ra key < <(/usr/bin/python3 -c \
			'import sys; print(*int(sys.argv[1]).to_bytes(2, sys.byteorder))' "$port")
		case $what in
		open) bpftool map update pinned "$BPFFS/echo_ports" key "${key[@]}" value 0 ;;
		close) bpftool map delete pinned "$BPFFS/echo_ports" key "${key[@]}" ;;
		esac
	done
}

# stats_are COUNTER=N...
stats_are() {
	run -0 map-edit "$BPFFS/echo_stats" show
	[ "$output" = "0={$*}" ]
}

# server NAME SPEC: it serves, and its socket is in the map.
server() {
	serve "$ns" "$@"
	in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/echo_socket"
}

@test "TCP over IPv4: open ports reach the server, all others do not" {
	netns ns
	dispatch "$ns"
	server echo tcp:127.0.0.1:7777
	answers refused "$ns" tcp 127.0.0.1 7
	port open 7 77 777 65535

	answers "echo hello|7" "$ns" tcp 127.0.0.1 7
	answers "echo hello|77" "$ns" tcp 127.0.0.1 77
	answers "echo hello|777" "$ns" tcp 127.0.0.1 777
	answers "echo hello|65535" "$ns" tcp 127.0.0.1 65535
	answers "echo hello|7777" "$ns" tcp 127.0.0.1 7777
	# 7 << 8, and 777 in the other byte order.
	answers refused "$ns" tcp 127.0.0.1 1792
	answers refused "$ns" tcp 127.0.0.1 2307
	answers refused "$ns" tcp 127.0.0.1 8
	# To whatever address of the host: the server need not be bound to it.
	answers "echo hello|7" "$ns" tcp 127.0.0.2 7
	answers refused "$ns" tcp 127.0.0.2 7777
	# IPv6 is not the server's.
	answers refused "$ns" tcp ::1 7
}

@test "TCP over IPv6" {
	netns ns
	dispatch "$ns"
	server echo "tcp:[::1]:7777"
	port open 7

	answers "echo hello|7" "$ns" tcp ::1 7
	answers refused "$ns" tcp ::1 8
	# An IPv6 socket that is not bound to :: serves no IPv4.
	answers refused "$ns" tcp 127.0.0.1 7
}

@test "UDP over IPv4 and IPv6: answers come from the server's own port" {
	netns ns
	dispatch "$ns"
	port open 7 77

	server four udp:127.0.0.1:7777
	answers "four hello|7777" "$ns" udp 127.0.0.1 7
	answers "four hello|7777" "$ns" udp 127.0.0.1 77
	answers refused "$ns" udp 127.0.0.1 8
	answers refused "$ns" udp ::1 7
	server six "udp:[::1]:7777"
	answers "six hello|7777" "$ns" udp ::1 7
	answers refused "$ns" udp ::1 8
}

@test "UDP: a server that asks for the original destination answers from the port that was asked" {
	netns ns
	dispatch "$ns"
	port open 7 77

	server four udp:127.0.0.1:7777,as-asked
	for _ in 1 2; do # the sockets that answer take no packets
		answers "four hello|7" "$ns" udp 127.0.0.1 7
		answers "four hello|77" "$ns" udp 127.0.0.1 77
	done
	server six "udp:[::1]:7777,as-asked"
	answers "six hello|7" "$ns" udp ::1 7
	answers "six hello|77" "$ns" udp ::1 77
}

@test "a dual-stack listener serves IPv4 and IPv6" {
	netns ns
	dispatch "$ns"
	port open 7

	server tcp "tcp:[::]:7777"
	answers "tcp hello|7" "$ns" tcp ::1 7
	answers "tcp hello|7" "$ns" tcp 127.0.0.1 7
	server udp "udp:[::]:7777"
	answers "udp hello|7777" "$ns" udp ::1 7
	answers "udp hello|7777" "$ns" udp 127.0.0.1 7
}

@test "a listener bound to a v4-mapped address serves IPv4" {
	netns ns
	dispatch "$ns"
	port open 7

	server mapped "tcp:[::ffff:127.0.0.1]:7777"
	answers "mapped hello|7" "$ns" tcp 127.0.0.1 7
}

@test "an IPv6-only listener: IPv4 goes on to the normal lookup" {
	netns ns
	dispatch "$ns"
	port open 7

	server six "tcp:[::]:7777,v6only"
	answers "six hello|7" "$ns" tcp ::1 7
	answers refused "$ns" tcp 127.0.0.1 7
	serve "$ns" real tcp:127.0.0.1:7
	answers "real hello|7" "$ns" tcp 127.0.0.1 7
	answers "six hello|7" "$ns" tcp ::1 7
}

@test "an IPv4 listener: IPv6 goes on to the normal lookup" {
	netns ns
	dispatch "$ns"
	port open 7

	server four tcp:0.0.0.0:7777
	serve "$ns" real "tcp:[::1]:7"
	answers "real hello|7" "$ns" tcp ::1 7
	answers "four hello|7" "$ns" tcp 127.0.0.1 7
}

@test "another protocol goes on to the normal lookup" {
	netns ns
	dispatch "$ns"
	port open 7

	server tcp tcp:127.0.0.1:7777
	answers refused "$ns" udp 127.0.0.1 7
	serve "$ns" real udp:127.0.0.1:7 tcp:127.0.0.1:77
	answers "real hello|7" "$ns" udp 127.0.0.1 7
	answers "tcp hello|7" "$ns" tcp 127.0.0.1 7

	port open 77
	server udp udp:127.0.0.1:7777
	answers "real hello|77" "$ns" tcp 127.0.0.1 77
	answers "udp hello|7777" "$ns" udp 127.0.0.1 77
}

@test "an open port without a server is refused, and reaches no other listener" {
	netns ns
	dispatch "$ns"
	serve "$ns" real tcp:127.0.0.1:7 udp:127.0.0.1:7 "tcp:[::1]:7" "udp:[::1]:7"
	answers "real hello|7" "$ns" tcp 127.0.0.1 7

	port open 7 77
	answers refused "$ns" tcp 127.0.0.1 7
	answers refused "$ns" udp 127.0.0.1 7
	answers refused "$ns" tcp ::1 7
	answers refused "$ns" udp ::1 7
	answers refused "$ns" tcp 127.0.0.1 77
	port close 7
	answers "real hello|7" "$ns" tcp 127.0.0.1 7
	answers "real hello|7" "$ns" udp ::1 7
}

@test "a real listener on an opened port: dispatch wins until the port is closed" {
	netns ns
	dispatch "$ns"
	serve "$ns" real tcp:127.0.0.1:7 udp:127.0.0.1:77
	server echo tcp:127.0.0.1:7777

	answers "real hello|7" "$ns" tcp 127.0.0.1 7
	port open 7
	answers "echo hello|7" "$ns" tcp 127.0.0.1 7
	port close 7
	answers "real hello|7" "$ns" tcp 127.0.0.1 7

	server udp udp:127.0.0.1:7777
	port open 77
	answers "udp hello|7777" "$ns" udp 127.0.0.1 77
	port close 77
	answers "real hello|77" "$ns" udp 127.0.0.1 77
}

@test "the server dies: refused; another one takes its place" {
	netns ns
	dispatch "$ns"
	port open 7

	server first tcp:127.0.0.1:7777
	answers "first hello|7" "$ns" tcp 127.0.0.1 7
	stop "$PID"
	answers refused "$ns" tcp 127.0.0.1 7
	sockets_are "$BPFFS/echo_socket" -
	server second tcp:127.0.0.1:7777
	answers "second hello|7" "$ns" tcp 127.0.0.1 7
	# And by a swap, while the old one is still there.
	server third tcp:127.0.0.1:7778
	answers "third hello|7" "$ns" tcp 127.0.0.1 7
	answers "second hello|7777" "$ns" tcp 127.0.0.1 7777
}

@test "taking the socket out of the map, and the link away" {
	netns ns
	dispatch "$ns"
	port open 7
	server echo tcp:127.0.0.1:7777
	serve "$ns" real tcp:127.0.0.1:7

	sockmap-update --delete "$BPFFS/echo_socket"
	answers refused "$ns" tcp 127.0.0.1 7
	rm "$BPFFS/link"
	poll 5 answers "real hello|7" "$ns" tcp 127.0.0.1 7
	answers "echo hello|7777" "$ns" tcp 127.0.0.1 7777
}

@test "an established connection stays when its port is closed, and when its socket is taken out" {
	netns ns
	dispatch "$ns"
	port open 7
	server echo tcp:127.0.0.1:7777

	read -ra key < <(/usr/bin/python3 -c 'import sys; print(*(7).to_bytes(2, sys.byteorder))')
	answers $'echo hello|7\necho hello|7' "$ns" tcp 127.0.0.1 7 \
		bpftool map delete pinned "$BPFFS/echo_ports" key "${key[@]}"
	answers refused "$ns" tcp 127.0.0.1 7
	port open 7
	answers $'echo hello|7\necho hello|7' "$ns" tcp 127.0.0.1 7 \
		sockmap-update --delete "$BPFFS/echo_socket"
	answers refused "$ns" tcp 127.0.0.1 7
}

@test "a socket that sk_lookup cannot select leaves the lookup as it is" {
	netns ns
	dispatch "$ns"
	port open 7
	serve "$ns" real tcp:127.0.0.1:7
	serve "$ns" client tcp:127.0.0.1:7777 tcp:127.0.0.1:7778,to=127.0.0.1:7777
	# Connected. The kernel hands out listening and unconnected sockets only.
	in_ns "$ns" sockmap-update --force "$PID" 4 "$BPFFS/echo_socket" 2>/dev/null
	answers "real hello|7" "$ns" tcp 127.0.0.1 7
}

@test "echo_stats counts what was dispatched, had no socket, or was refused by the kernel" {
	netns ns
	dispatch "$ns"
	pin_map echo_stats "$BPFFS/echo_dispatch_prog"
	port open 7
	answers refused "$ns" tcp 127.0.0.1 7
	answers refused "$ns" tcp 127.0.0.1 8
	stats_are dispatched=0 no_socket=1 refused=0

	server echo tcp:127.0.0.1:7777
	answers "echo hello|7" "$ns" tcp 127.0.0.1 7
	answers "echo hello|7" "$ns" tcp 127.0.0.1 7
	answers "echo hello|7777" "$ns" tcp 127.0.0.1 7777
	stats_are dispatched=2 no_socket=1 refused=0
	# Of another protocol, and of another address family.
	answers refused "$ns" udp 127.0.0.1 7
	answers refused "$ns" tcp ::1 7
	stats_are dispatched=2 no_socket=1 refused=2
}

@test "other network namespaces are not concerned" {
	netns ns
	netns far
	dispatch "$ns"
	port open 7
	server echo tcp:127.0.0.1:7777
	serve "$far" far tcp:127.0.0.1:7

	answers "echo hello|7" "$ns" tcp 127.0.0.1 7
	answers "far hello|7" "$far" tcp 127.0.0.1 7
	answers refused "$far" tcp 127.0.0.1 77
}

@test "a server in another network namespace does not answer, as sockmap-update warns" {
	netns ns
	netns far
	dispatch "$ns"
	port open 7
	serve "$far" far tcp:127.0.0.1:7777
	fails 0 "sockmap-update: warning: the socket is in another network namespace than this one: packets that sk_lookup assigns to it here get no answer" \
		in_ns "$ns" sockmap-update --force "$PID" 3 "$BPFFS/echo_socket"
	# The kernel does give it the packets, and its answers go to its own network.
	DEADLINE=0.5 answers timeout "$ns" tcp 127.0.0.1 7
}

@test "1024 ports are open at once, and one more is refused by the map" {
	netns ns
	dispatch "$ns"
	server echo tcp:127.0.0.1:7777

	/usr/bin/python3 -c 'if True:
		import sys
		for port in range(1, 1025):
			print("map update pinned", sys.argv[1], "key", *port.to_bytes(2, sys.byteorder), "value 0")
		' "$BPFFS/echo_ports" >"$BATS_TEST_TMPDIR/batch"
	bpftool batch file "$BATS_TEST_TMPDIR/batch"
	answers "echo hello|1" "$ns" tcp 127.0.0.1 1
	answers "echo hello|1024" "$ns" tcp 127.0.0.1 1024
	answers refused "$ns" tcp 127.0.0.1 1025
	run ! port open 2000
}

@test "from another host: 1000 connections over three ports, none lost" {
	two_hosts near ns
	dispatch "$ns"
	port open 7 77 777
	server echo tcp:10.9.0.2:7777

	run -0 in_ns "$near" "$HOOKSET_ROOT/tests/fixtures/sockets" many 1000 10.9.0.2 7 77 777
	[ "${lines[1]}" = "1000 ok" ]
	answers refused "$near" tcp 10.9.0.2 7778
	answers refused "$near" tcp fd09::2 7

	server six "tcp:[fd09::2]:7777"
	run -0 in_ns "$near" "$HOOKSET_ROOT/tests/fixtures/sockets" many 1000 fd09::2 7 77 777
	[ "${lines[1]}" = "1000 ok" ]
}

@test "nmap sees three more open ports" {
	requires cmd:nmap
	two_hosts near ns
	dispatch "$ns"
	server echo tcp:10.9.0.2:7777
	serve "$ns" ssh tcp:0.0.0.0:22

	in_ns "$near" nmap -n -sT -p 1-1000 10.9.0.2 | awk '$2 == "open" { print $1 }' >"$BATS_TEST_TMPDIR/before"
	port open 7 77 777
	in_ns "$near" nmap -n -sT -p 1-1000 10.9.0.2 | awk '$2 == "open" { print $1 }' >"$BATS_TEST_TMPDIR/after"
	[ "$(cat "$BATS_TEST_TMPDIR/before")" = "22/tcp" ]
	[ "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/after")" = "7/tcp 22/tcp 77/tcp 777/tcp " ]
}

@test "the object also loads stripped, and its maps are as documented" {
	requires cmd:llvm-strip
	netns ns
	local object=$BATS_TEST_TMPDIR/stripped.bpf.o

	llvm-strip -g "$HOOKSET_BUILD/echo_dispatch.bpf.o" -o "$object"
	bpftool prog load "$object" "$BPFFS/stripped"
	pin_map echo_ports "$BPFFS/stripped"
	pin_map echo_socket "$BPFFS/stripped"
	run -0 bpftool map show pinned "$BPFFS/echo_ports"
	[[ ${lines[0]} == *": hash  name echo_ports  flags 0x0" ]]
	[[ ${lines[1]} == *"key 2B  value 1B  max_entries 1024 "* ]]
	run -0 bpftool map show pinned "$BPFFS/echo_socket"
	[[ ${lines[0]} == *": sockmap  name echo_socket  flags 0x0" ]]
	[[ ${lines[1]} == *"key 4B  value 8B  max_entries 1 "* ]]
	fails 0 "" sk-lookup-attach --netns "$ns" "$BPFFS/stripped" "$BPFFS/link"
}

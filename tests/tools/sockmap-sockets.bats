#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# sockmap-update: sockets of every kind, and what it says of those that a map does not take.

load ../lib/helpers
ns='' # by netns()
# shellcheck disable=SC2034 # misuse() and its like read it
TOOL=sockmap-update

TAKES="a sockmap takes listening or connected TCP sockets and bound UDP sockets"
ARRAY_TAKES="the array takes listening TCP sockets and bound UDP sockets whose SO_REUSEPORT was set before bind()"

# not_taken FD KIND [ARRAY_ONLY]: no map takes the server's fd, and the message says what it is.
not_taken() {
	local map

	for map in "$BPFFS/map" "$BPFFS/hash"; do
		fails 1 "sockmap-update: update map '$map' at key '0': the socket is $2; $TAKES${3-}" \
			in_ns "$ns" sockmap-update "$PID" "$1" "$map"
	done
	array_takes_not "$@"
}

array_takes_not() {
	fails 1 "sockmap-update: update map '$BPFFS/array' at key '0': the socket is $2; $ARRAY_TAKES${3-}" \
		in_ns "$ns" sockmap-update "$PID" "$1" "$BPFFS/array"
}

one_map_of_each_type() {
	create_map map sockmap 4 8 1
	create_map hash sockhash 4 8 1
	create_map array reuseport_sockarray 4 8 1
}

@test "sockets that the map does not take: each is called by its name" {
	netns ns
	one_map_of_each_type
	serve "$ns" server udp:127.0.0.1:0,unbound tcp:127.0.0.1:7778,nolisten \
		"tcp:[::1]:0,unbound,reuseport" unix-stream raw raw6 netlink packet

	fails 1 "sockmap-update: update map '$BPFFS/map' at key '0': the socket is UDP, not bound; $TAKES" \
		in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map"
	array_takes_not 3 "UDP, not bound, without SO_REUSEPORT"
	fails 1 "sockmap-update: update map '$BPFFS/map' at key '0': the socket is TCP, neither listening nor connected; $TAKES" \
		in_ns "$ns" sockmap-update "$PID" 4 "$BPFFS/map"
	array_takes_not 4 "TCP, neither listening nor connected, without SO_REUSEPORT"
	array_takes_not 5 "TCP, neither listening nor connected, with SO_REUSEPORT"
	not_taken 6 "unix stream, not connected"
	not_taken 7 "raw IPv4"
	not_taken 8 "raw IPv6"
	not_taken 9 AF_NETLINK
	not_taken 10 AF_PACKET
	sockets_are "$BPFFS/map" -
}

@test "sockets that only a reuseport_sockarray does not take" {
	netns ns
	one_map_of_each_type
	serve "$ns" server tcp:127.0.0.1:7777 udp:127.0.0.1:7777 \
		tcp:127.0.0.1:7779,to=127.0.0.1:7777 udp:127.0.0.1:7780,to=127.0.0.1:7777 unix \
		udp:127.0.0.1:7781,late-reuseport

	array_takes_not 3 "TCP, listening, without SO_REUSEPORT"
	array_takes_not 4 "UDP, bound, without SO_REUSEPORT"
	array_takes_not 5 "TCP, connected, without SO_REUSEPORT"
	array_takes_not 6 "UDP, connected, without SO_REUSEPORT"
	array_takes_not 7 "unix datagram, not connected"
	array_takes_not 8 "UDP, bound, with SO_REUSEPORT"
}

@test "UDP-Lite" {
	requires protocol:udplite
	netns ns
	one_map_of_each_type
	serve "$ns" server udplite:127.0.0.1:7777

	not_taken 3 "UDP-Lite, bound"
	# It is not the UDP socket of that address.
	fails 1 "sockmap-update: find socket 'udp:127.0.0.1:7777': no unconnected socket is bound to this address" \
		in_ns "$ns" sockmap-update --listen udp:127.0.0.1:7777 "$BPFFS/map"
}

@test "SCTP" {
	requires protocol:sctp
	netns ns
	one_map_of_each_type
	serve "$ns" server sctp:127.0.0.1:7777

	not_taken 3 "SCTP, listening"
}

@test "MPTCP, which Go opens by default since 1.24: by PID, by address, by either cookie" {
	requires protocol:mptcp
	netns ns
	one_map_of_each_type
	serve "$ns" server mptcp:127.0.0.1:7777 "mptcp:[::]:7778"
	local way=" (let the server open TCP: in Go by GODEBUG=multipathtcp=0 or ListenConfig.SetMultipathTCP(false), for all by sysctl net.mptcp.enabled=0)"
	local what="sockmap-update: update map '$BPFFS/map' at key '0': the socket is MPTCP, listening; $TAKES$way"

	not_taken 3 "MPTCP, listening" "$way"
	not_taken 4 "MPTCP, listening" "$way"
	# ss shows them as TCP sockets, and the process.
	fails 1 "$what" in_ns "$ns" sockmap-update --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	fails 1 "$what" in_ns "$ns" sockmap-update --listen "tcp:[::]:7778" "$BPFFS/map"
	fails 1 "$what" in_ns "$ns" sockmap-update --cookie "$(cookie "$ns" -t 'sport = :7777')" "$BPFFS/map"
	fails 1 "$what" in_ns "$ns" sockmap-update --cookie "$(cookie "$ns" -M 'sport = :7777')" "$BPFFS/map"
	sockets_are "$BPFFS/map" -
	stop "$PID"

	# The last of the ways out that the message names.
	in_ns "$ns" sysctl -q net.mptcp.enabled=0
	run ! in_ns "$ns" /usr/bin/python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)'
}

@test "a TCP socket that TLS of the kernel has" {
	requires tls
	netns ns
	one_map_of_each_type
	start_in "$ns" /usr/bin/python3 -c 'if True:
		import os, signal, socket
		os.closerange(3, 256)
		server = socket.create_server(("127.0.0.1", 7777))
		sock = socket.create_connection(("127.0.0.1", 7777))
		sock.setsockopt(socket.IPPROTO_TCP, 31, b"tls")  # TCP_ULP
		print(sock.fileno(), flush=True)
		signal.pause()'
	poll 5 test -s "$OUT"

	fails 1 "sockmap-update: update map '$BPFFS/map' at key '0': Invalid argument (the socket has the upper layer protocol tls)" \
		in_ns "$ns" sockmap-update "$PID" "$(cat "$OUT")" "$BPFFS/map"
}

# ss_prints OPTION... : the local addresses that ss prints, and the cookies, a socket a line.
ss_prints() {
	in_ns "$ns" ss -Hle "$@" | sed -E 's/^\S+ +\S+ +\S+ +(\S+) .* sk:([0-9a-f]+) .*/\1 \2/' | LC_ALL=C sort
}

# finds_all PROTO SS_OPTION...: by each address that ss prints, it finds just the socket of that line.
finds_all() {
	local proto=$1 addr sk
	shift

	while read -r addr sk; do
		echo "$proto:$addr"
		silent --netns "$ns" --listen "$proto:$addr" "$BPFFS/map"
		sockets_are "$BPFFS/map" "$sk"
	done < <(ss_prints "$@")
}

@test "--listen takes each address as ss prints it" {
	netns ns
	create_map map sockmap 4 8 1
	ip -n "$ns" link add veth0 type veth peer name veth1
	ip -n "$ns" addr add fe80::1/64 dev veth0 nodad
	ip -n "$ns" link set veth0 up
	ip -n "$ns" link set veth1 up
	local proto sockets=() spec

	for spec in 0.0.0.0:80 "[::]:7002" "[::]:53,v6only" 127.0.0.1:7005,dev=lo 0.0.0.0:7006,dev=lo "[::]:7007,dev=lo" \
		"[::1]:80" "[fe80::1]:80,dev=veth0" "[::ffff:127.0.0.1]:7008" "[::1]:7009,dev=lo" 127.0.0.1:65535; do
		sockets+=("tcp:$spec" "udp:$spec")
	done
	serve "$ns" server "${sockets[@]}"
	for proto in tcp udp; do
		# What else could ss print? If it does, this test is to know.
		diff <(ss_prints --numeric "--$proto" | cut -d ' ' -f 1) - <<-'END'
			*%lo:7007
			*:7002
			0.0.0.0%lo:7006
			0.0.0.0:80
			127.0.0.1%lo:7005
			127.0.0.1:65535
			[::1]%lo:7009
			[::1]:80
			[::]:53
			[::ffff:127.0.0.1]:7008
			[fe80::1]%veth0:80
		END
		finds_all $proto --numeric --$proto
	done
}

@test "--listen takes the names of ports that ss prints without --numeric" {
	netns ns
	create_map map sockmap 4 8 1
	serve "$ns" server tcp:127.0.0.1:80 "udp:[::1]:53"

	[[ $(ss_prints --tcp) == "127.0.0.1:http "* ]]
	[[ $(ss_prints --udp) == "[::1]:domain "* ]]
	finds_all tcp --tcp
	finds_all udp --udp
}

@test "--listen of the same address with and without a device, IPv4 or not: as ss prints it" {
	netns ns
	create_map map sockmap 4 8 1
	serve "$ns" server udp:127.0.0.1:7005,reuseport udp:127.0.0.1:7005,reuseport,dev=lo \
		"udp:[::]:7006,reuseport" "udp:[::]:7006,reuseport,v6only"
	[ "$(ss_prints --numeric --udp | cut -d ' ' -f 1 | sort -u | grep -c .)" = 4 ]
	finds_all udp --numeric --udp
}

@test "--listen without a device, or [::], finds the one socket that there is" {
	netns ns
	create_map map sockmap 4 8 1
	serve "$ns" server tcp:127.0.0.1:7005,dev=lo "tcp:[::]:7002" "tcp:[::]:53,v6only" tcp:0.0.0.0:80

	silent --netns "$ns" --listen tcp:127.0.0.1:7005 "$BPFFS/map"
	sockets_are "$BPFFS/map" "$(cookie "$ns" -t 'sport = :7005')"
	silent --netns "$ns" --listen "tcp:[::]:7002" "$BPFFS/map"
	sockets_are "$BPFFS/map" "$(cookie "$ns" -t 'sport = :7002')"
	# But * is one for IPv4 and IPv6, and a device is that device.
	refused "find socket 'tcp:*:53': no socket listens on this address" \
		--netns "$ns" --listen "tcp:*:53" "$BPFFS/map"
	refused "find socket 'tcp:*:80': no socket listens on this address" \
		--netns "$ns" --listen "tcp:*:80" "$BPFFS/map"
	refused "find socket 'tcp:0.0.0.0%lo:80': no socket listens on this address" \
		--netns "$ns" --listen "tcp:0.0.0.0%lo:80" "$BPFFS/map"
	refused "find device 'lo9': No such device" --netns "$ns" --listen "tcp:0.0.0.0%lo9:80" "$BPFFS/map"
}

# bats test_tags=kernel-free
@test "--listen: what ss does not print" {
	misuse "--listen: the device is empty" --listen "tcp:127.0.0.1%:80" map
	misuse "--listen: the device is empty" --listen "tcp:[::1]%:80" map
	misuse "--listen: '**' is not an IPv4 address (IPv6 is written [ADDR])" --listen "tcp:**:80" map
	misuse "--listen: '*' is not an IPv6 address" --listen "tcp:[*]:80" map
	misuse "PORT '*' is not a number" --listen "tcp:*:*" map
	misuse "PORT 'domain2' is not a number" --listen "udp:*:domain2" map
	# Without brackets, :::80 could be :::80 or ::, port 80.
	misuse "--listen: '::' is not an IPv4 address (IPv6 is written [ADDR])" --listen "tcp::::80" map
}

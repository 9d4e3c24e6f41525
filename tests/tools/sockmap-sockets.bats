#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# sockmap-update: sockets of every kind, and what it says of those that a map does not take.

load ../lib/helpers
ns='' # by netns()

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

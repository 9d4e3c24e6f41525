#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# sockmap-update: each way to name a socket, each kind of map, each error.

load ../lib/helpers
ns='' other='' # by netns()

# One netns, and a server in it with fds of every kind:
# 3 TCP listener 7777, 4 UDP 7777, 5 unbound UDP, 6 not a socket, 7 TCP not
# listening, 8 connected to 3, 9 connected UDP, 10 a Unix socket.
many_sockets() {
	netns ns
	serve "$ns" many tcp:127.0.0.1:7777 udp:127.0.0.1:7777 udp:127.0.0.1:0,unbound file \
		tcp:127.0.0.1:7778,nolisten tcp:127.0.0.1:7779,to=127.0.0.1:7777 \
		udp:127.0.0.1:7780,to=127.0.0.1:7777 unix
}

# updates WARNING COMMAND...: it succeeds, with just that on stderr ("": nothing).
updates() {
	local warning=${1:+sockmap-update: warning: $1}
	shift
	fails 0 "$warning" "$@"
}

@test "upstream's command puts another process's socket into the map" {
	netns ns
	serve "$ns" echo tcp:127.0.0.1:7777
	load_prog echo_dispatch
	pin_map echo_socket "$BPFFS/echo_dispatch_prog"

	run -0 --separate-stderr in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/echo_socket"
	[ -z "$output$stderr" ]
	sockets_are "$BPFFS/echo_socket" "$(cookie "$ns" -t 'sport = :7777')"
}

# bats test_tags=kernel-free
@test "wrong arguments" {
	local map=$BPFFS/map

	misuse "PID, FD and MAP are needed"
	misuse "PID, FD and MAP are needed" 1
	misuse "PID, FD and MAP are needed" 1 3
	misuse "too many arguments: 'more'" 1 3 "$map" 0 more
	misuse "MAP is missing" --delete
	misuse "MAP is missing" --listen tcp:127.0.0.1:7777
	misuse "too many arguments: 'more'" --cookie 1 "$map" 0 more
	misuse "--listen, --cookie, --listen-fds, --unit and --delete cannot be used together" \
		--cookie 1 --delete "$map"
	misuse "--listen, --cookie, --listen-fds, --unit and --delete cannot be used together" \
		--listen tcp:127.0.0.1:1 --listen-fds "$map"
	misuse "--listen, --cookie, --listen-fds, --unit and --delete cannot be used together" \
		--unit web --cookie 1 "$map"
	misuse "--unit is empty" --unit "" "$map"
	misuse "--unit '../web' is not the name of a unit" --unit ../web "$map"
	misuse "--all can only be used with --listen, --listen-fds and --unit" --all 1 3 "$map"
	misuse "--all can only be used with --listen, --listen-fds and --unit" --all --delete "$map"
	misuse "--noexist, --exist and --replace-if cannot be used with --all" --all --exist --unit web "$map"
	misuse "--noexist cannot be used with --exist and --replace-if" --noexist --exist 1 3 "$map"
	misuse "--noexist cannot be used with --exist and --replace-if" --noexist --replace-if 1 1 3 "$map"
	misuse "--noexist, --exist, --replace-if and --force cannot be used with --delete" --exist --delete "$map"
	misuse "--noexist, --exist, --replace-if and --force cannot be used with --delete" --delete --replace-if 1 "$map"
	misuse "KEY and --service cannot be used together" --service 1 1 3 "$map" 5
	misuse "--service is empty" --service "" 1 3 "$map"
	misuse "--netns is empty" --netns "" 1 3 "$map"
	misuse "unrecognized option '--bogus'" --bogus 1 3 "$map"
	misuse "invalid option -- 'd'" -d "$map"
	misuse "option '--listen' requires an argument" "$map" --listen
	misuse "option '--delete' doesn't allow an argument" --delete=1 "$map"
}

@test "PID and FD are numbers from end to end" {
	local wrong

	for wrong in "" 12x x " 1" +1 1.0 0x 0xg 08x; do
		misuse "PID '$wrong' is not a number" "$wrong" 3 map
		misuse "FD '$wrong' is not a number" 1 "$wrong" map
	done
	misuse "PID '-1' is not a number" -- -1 3 map
	misuse "invalid option -- '1'" -1 3 map
	for wrong in 0 2147483648 4294967297 18446744073709551617 0x80000000; do
		misuse "PID '$wrong' is not between 1 and 2147483647" "$wrong" 3 map
	done
	for wrong in 2147483648 4294967299 99999999999999999999; do
		misuse "FD '$wrong' is not between 0 and 2147483647" 1 "$wrong" map
	done
}

@test "PID and FD that are not there, or not a socket" {
	many_sockets
	create_map map sockmap 4 8 1
	local gone thread

	sh -c : & gone=$!
	wait "$gone"
	fails 1 "sockmap-update: open process $gone: No such process" \
		sockmap-update "$gone" 3 "$BPFFS/map"
	fails 1 "sockmap-update: open process 2147483647: No such process" \
		sockmap-update 0x7fffffff 3 "$BPFFS/map"
	fails 1 "sockmap-update: get fd 99 of process $PID: Bad file descriptor" \
		sockmap-update "$PID" 99 "$BPFFS/map"
	fails 1 "sockmap-update: get fd 6 of process $PID: not a socket" \
		sockmap-update "$PID" 6 "$BPFFS/map"

	start /usr/bin/python3 -c 'if True:
		import signal, threading
		threading.Thread(target=lambda: (print(threading.get_native_id(), flush=True), signal.pause())).start()'
	poll 5 test -s "$OUT"
	thread=$(cat "$OUT")
	[ "$thread" -ne "$PID" ]
	fails 1 "sockmap-update: open process $thread: it is a thread, not a process" \
		sockmap-update "$thread" 3 "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

@test "a process that has exited and is not reaped has no sockets" {
	create_map map sockmap 4 8 1
	local zombie

	# Its parent never waits for it.
	start /usr/bin/python3 -c 'if True:
		import os, signal
		pid = os.fork() or os._exit(0)
		os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
		print(pid, flush=True)
		signal.pause()'
	poll 5 test -s "$OUT"
	zombie=$(cat "$OUT")
	grep -q '^State:.Z' "/proc/$zombie/status"
	run --separate-stderr sockmap-update "$zombie" 3 "$BPFFS/map"
	[ "$status" -eq 1 ]
	# The reason is ESRCH or, in kernels before 6.8, EBADF.
	[[ $stderr =~ ^"sockmap-update: get fd 3 of process $zombie: "("No such process"|"Bad file descriptor")$ ]]
}

@test "--listen finds TCP and UDP sockets over IPv4 and IPv6" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777 udp:127.0.0.1:7777 "tcp:[::1]:7777" "udp:[::1]:7777" \
		tcp:0.0.0.0:7780 "tcp:[::]:7781" "tcp:[::ffff:127.0.0.1]:7782" udp:0.0.0.0:7783
	create_map map sockmap 4 8 8
	local spec slot=0 cookies=()

	for spec in tcp:127.0.0.1:7777 udp:127.0.0.1:7777 "tcp:[::1]:7777" "udp:[::1]:7777" \
		tcp:0.0.0.0:7780 "tcp:[::]:7781" "tcp:[::ffff:127.0.0.1]:7782" udp:0.0.0.0:7783; do
		updates "" in_ns "$ns" sockmap-update --listen "$spec" "$BPFFS/map" "$slot"
		slot=$((slot + 1))
	done
	cookies=("$(cookie "$ns" -t4 'src 127.0.0.1:7777')" "$(cookie "$ns" -u4 'src 127.0.0.1:7777')"
		"$(cookie "$ns" -t6 'src [::1]:7777')" "$(cookie "$ns" -u6 'src [::1]:7777')"
		"$(cookie "$ns" -t 'sport = :7780')" "$(cookie "$ns" -t 'sport = :7781')"
		"$(cookie "$ns" -t 'sport = :7782')" "$(cookie "$ns" -u 'sport = :7783')")
	sockets_are "$BPFFS/map" "${cookies[@]}"
}

@test "--listen wants the very address, port and protocol, and a socket that is not connected" {
	netns ns
	serve "$ns" server tcp:0.0.0.0:7777 udp:127.0.0.1:7778 "tcp:[::]:7779" \
		udp:127.0.0.1:7780,to=127.0.0.1:7778 tcp:127.0.0.1:7781,nolisten \
		tcp:127.0.0.1:7782,to=127.0.0.1:7777
	create_map map sockmap 4 8 1
	local spec

	for spec in tcp:127.0.0.1:7777 "tcp:[::]:7777" tcp:0.0.0.0:7779 "tcp:[::1]:7779" tcp:127.0.0.1:7778 \
		tcp:127.0.0.1:7781 tcp:127.0.0.1:7782 tcp:0.0.0.0:30494; do
		fails 1 "sockmap-update: find socket '$spec': no socket listens on this address" \
			in_ns "$ns" sockmap-update --listen "$spec" "$BPFFS/map"
	done
	for spec in udp:0.0.0.0:7777 udp:0.0.0.0:7778 "udp:[::ffff:127.0.0.1]:7778" udp:127.0.0.1:7780; do
		fails 1 "sockmap-update: find socket '$spec': no unconnected socket is bound to this address" \
			in_ns "$ns" sockmap-update --listen "$spec" "$BPFFS/map"
	done
	sockets_are "$BPFFS/map" -
}

@test "--listen does not choose between several sockets, but gives their cookies" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777,reuseport tcp:127.0.0.1:7777,reuseport \
		"udp:[::1]:53,reuseport" "udp:[::1]:53,reuseport"
	create_map map sockmap 4 8 1
	local cookies one spec proto

	for spec in tcp:127.0.0.1:7777 "udp:[::1]:53"; do
		proto=${spec%%:*}
		mapfile -t cookies < <(in_ns "$ns" ss -Hlne "--$proto" | grep -o 'sk:[0-9a-f]*' | cut -c 4-)
		[ ${#cookies[@]} -eq 2 ]
		run -1 --separate-stderr in_ns "$ns" sockmap-update --listen "$spec" "$BPFFS/map"
		one="sockmap-update: find socket '$spec': several sockets have this address: choose one by --cookie, or --all: "
		[ "$stderr" = "$one${cookies[0]}, ${cookies[1]}" ] ||
			[ "$stderr" = "$one${cookies[1]}, ${cookies[0]}" ]
		sockets_are "$BPFFS/map" -
	done
	updates "" in_ns "$ns" sockmap-update --cookie "${cookies[1]}" "$BPFFS/map"
	sockets_are "$BPFFS/map" "${cookies[1]}"
}

@test "--listen: each part of PROTO:ADDR:PORT is checked" {
	local wrong

	for wrong in "" tcp tcp:7777 7777 "tcp:[::1]" "[::1]"; do
		misuse "--listen '$wrong' is not PROTO:ADDR:PORT" --listen "$wrong" map
	done
	for wrong in sctp TCP tcp6 ""; do
		misuse "--listen: unknown protocol '$wrong' (expected tcp or udp)" \
			--listen "$wrong:127.0.0.1:7777" map
	done
	for wrong in localhost 127.0.0 127.0.0.1.1 127.0.0.256 "" ::1 "[::1" " 127.0.0.1"; do
		misuse "--listen: '$wrong' is not an IPv4 address (IPv6 is written [ADDR])" \
			--listen "tcp:$wrong:7777" map
	done
	for wrong in 127.0.0.1 "" fe80::1%lo :::; do
		misuse "--listen: '$wrong' is not an IPv6 address" \
			--listen "udp:[$wrong]:7777" map
	done
	for wrong in "" 77x -1 +1; do
		misuse "PORT '$wrong' is not a number" --listen "tcp:127.0.0.1:$wrong" map
	done
	for wrong in 0 65536 99999999999999999999; do
		misuse "PORT '$wrong' is not between 1 and 65535" \
			--listen "tcp:127.0.0.1:$wrong" map
	done
}

@test "--netns by name, PID and path" {
	many_sockets
	create_map map sockmap 4 8 3
	local expected

	updates "" sockmap-update --netns "$ns" --listen tcp:127.0.0.1:7777 "$BPFFS/map" 0
	updates "" sockmap-update -n "$PID" --listen tcp:127.0.0.1:7777 "$BPFFS/map" 1
	updates "" sockmap-update --netns="/run/netns/$ns" --listen=tcp:127.0.0.1:7777 "$BPFFS/map" 2
	expected=$(cookie "$ns" -tl 'sport = :7777')
	sockets_are "$BPFFS/map" "$expected" "$expected" "$expected"

	# Its sockets are not ours.
	netns other
	fails 1 "sockmap-update: find socket 'tcp:127.0.0.1:7777': no socket listens on this address" \
		sockmap-update --netns "$other" --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	fails 1 "sockmap-update: find socket with cookie $expected: no TCP or UDP socket of this network namespace has it" \
		sockmap-update --netns "$other" --cookie "$expected" "$BPFFS/map"
}

@test "--netns that is gone, or not one" {
	many_sockets
	create_map map sockmap 4 8 1
	local gone which

	sh -c : & gone=$!
	wait "$gone"
	for which in hookset-none "$gone" "/run/netns/hookset-none" "/proc/$gone/ns/net" 0 12x -1; do
		fails 1 "sockmap-update: open network namespace '$which': No such file or directory" \
			sockmap-update --netns "$which" "$PID" 3 "$BPFFS/map"
	done
	for which in /etc/passwd /proc/self/ns/mnt /tmp; do
		fails 1 "sockmap-update: open network namespace '$which': not a network namespace" \
			sockmap-update --netns "$which" "$PID" 3 "$BPFFS/map"
	done
	fails 1 "sockmap-update: enter network namespace '$ns': Operation not permitted (needs CAP_SYS_ADMIN)" \
		setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin \
		sockmap-update --netns "$ns" "$PID" 3 "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

@test "--cookie takes what ss prints" {
	many_sockets
	create_map map sockmap 4 8 4
	local tcp udp

	tcp=$(cookie "$ns" -tl 'sport = :7777')
	udp=$(cookie "$ns" -ul 'sport = :7777')
	updates "" in_ns "$ns" sockmap-update --cookie "$tcp" "$BPFFS/map" 0
	updates "" in_ns "$ns" sockmap-update --cookie "sk:$udp" "$BPFFS/map" 1
	updates "" in_ns "$ns" sockmap-update --cookie "${udp^^}" "$BPFFS/map" 2
	sockets_are "$BPFFS/map" "$tcp" "$udp" "$udp" -

	fails 1 "sockmap-update: find socket with cookie ffffffffffffffff: no TCP or UDP socket of this network namespace has it" \
		in_ns "$ns" sockmap-update --cookie ffffffffffffffff "$BPFFS/map" 3
	misuse "COOKIE '0' is not between 1 and 18446744073709551615" --cookie 0 map
	misuse "COOKIE '10000000000000000' is not between 1 and 18446744073709551615" \
		--cookie 10000000000000000 map
	local wrong
	for wrong in "" x -1 0x1 1g sk1 SK:1; do
		misuse "COOKIE '$wrong' is not a hexadecimal number" --cookie "$wrong" map
	done
	misuse "COOKIE '' is not a hexadecimal number" --cookie sk: map
}

half_closed() {
	in_ns "$ns" ss -Htn state fin-wait-1 state fin-wait-2 | grep -q .
}

@test "--cookie of a socket that no process holds any more" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777
	create_map map sockmap 4 8 1
	local orphan

	# A connection whose end is closed here and not there outlives its process.
	start_in "$ns" /usr/bin/python3 -c 'if True:
		import os, signal, socket
		s = socket.create_connection(("127.0.0.1", 7777))
		print(s.getsockname()[1], flush=True)
		signal.pause()'
	poll 5 test -s "$OUT"
	# The server is stopped, so that it does not close its end.
	kill -STOP "${STARTED[0]}"
	orphan=$(cookie "$ns" -t "sport = :$(cat "$OUT")")
	stop "$PID"
	poll 5 half_closed
	fails 1 "sockmap-update: find socket with cookie $orphan: no process holds it" \
		in_ns "$ns" sockmap-update --cookie "$orphan" "$BPFFS/map"
	stop "${STARTED[0]}"
}

# passed COUNT NAMES COMMAND...: with the server's first COUNT sockets passed.
passed() {
	in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" pass "$PID" "$@"
}

@test "--listen-fds: the only one, by name, by number" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777 udp:127.0.0.1:7777 "tcp:[::1]:7778"
	create_map map sockmap 4 8 7
	local a b c

	a=$(cookie "$ns" -t 'sport = :7777')
	b=$(cookie "$ns" -u 'sport = :7777')
	c=$(cookie "$ns" -t 'sport = :7778')
	updates "" passed 1 "" sockmap-update --listen-fds "$BPFFS/map" 0
	updates "" passed 1 one sockmap-update --listen-fds "$BPFFS/map" 1
	updates "" passed 3 "" sockmap-update --listen-fds=1 "$BPFFS/map" 2
	updates "" passed 3 one:two:three sockmap-update --listen-fds=three "$BPFFS/map" 3
	updates "" passed 3 one:two:three sockmap-update --listen-fds=0 "$BPFFS/map" 4
	# A number is an index, whatever the names; fewer names than sockets do.
	updates "" passed 3 2:1:0 sockmap-update --listen-fds=2 "$BPFFS/map" 5
	updates "" passed 3 one sockmap-update --listen-fds=one "$BPFFS/map" 6
	sockets_are "$BPFFS/map" "$a" "$a" "$b" "$c" "$a" "$c" "$a"
}

@test "--listen-fds: none, none of that name, several, not for us" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777 tcp:127.0.0.1:7778 file
	create_map map sockmap 4 8 1
	local none="no socket was passed to this process (LISTEN_PID, LISTEN_FDS)"

	fails 1 "sockmap-update: find passed socket: $none" sockmap-update --listen-fds "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket 'web': $none" sockmap-update --listen-fds=web "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket: $none" \
		env LISTEN_PID=1 LISTEN_FDS=1 sockmap-update --listen-fds "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket: $none" \
		passed 1 "" env -u LISTEN_FDS sockmap-update --listen-fds "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket: $none" \
		passed 1 "" env LISTEN_PID= sockmap-update --listen-fds "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket: not among the 0 sockets passed" \
		passed 0 "" sockmap-update --listen-fds "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket 'web': not among the 2 sockets passed" \
		passed 2 one:two sockmap-update --listen-fds=web "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket '2': not among the 2 sockets passed" \
		passed 2 one:two sockmap-update --listen-fds=2 "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket: several sockets match: choose one by INDEX, 0 to 1, or --all" \
		passed 2 one:two sockmap-update --listen-fds "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket 'web': several sockets match: choose one by INDEX, 0 to 1, or --all" \
		passed 2 web:web sockmap-update --listen-fds=web "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket '2': not a socket" \
		passed 3 "" sockmap-update --listen-fds=2 "$BPFFS/map"
	fails 1 "sockmap-update: find passed socket '9': Bad file descriptor" \
		passed 1 "" env LISTEN_FDS=10 sockmap-update --listen-fds=9 "$BPFFS/map"
	misuse_passed "LISTEN_FDS '1x' is not a number" LISTEN_FDS=1x
	misuse_passed "LISTEN_FDS '1048577' is not between 0 and 1048576" LISTEN_FDS=1048577
	sockets_are "$BPFFS/map" -
}

misuse_passed() {
	fails 2 "sockmap-update: $1"$'\n'"Try 'sockmap-update --help'" \
		passed 1 "" env "$2" sockmap-update --listen-fds "$BPFFS/map"
}

@test "--all: a group with SO_REUSEPORT, under one key after the other" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777,reuseport tcp:127.0.0.1:7777,reuseport tcp:127.0.0.1:7777,reuseport
	create_map map sockmap 4 8 5
	create_map hash sockhash 4 8 5
	local cookies map=$BPFFS/map

	mapfile -t cookies < <(in_ns "$ns" ss -Htlne | grep -o 'sk:[0-9a-f]*' | cut -c 4- | sort)
	[ ${#cookies[@]} -eq 3 ]
	updates "" in_ns "$ns" sockmap-update --all --listen tcp:127.0.0.1:7777 "$map" 1
	sockets_are "$map" - "${cookies[@]}" -
	# Again, and a used slot gets another socket.
	run -0 in_ns "$ns" sockmap-update --verbose --all --listen tcp:127.0.0.1:7777 "$map"
	[ "$output" = "$(printf 'key %d: socket with cookie %s\n' 0 "${cookies[0]}" 1 "${cookies[1]}" 2 "${cookies[2]}")" ]
	sockets_are "$map" "${cookies[@]}" "${cookies[2]}" -

	fails 1 "sockmap-update: find key '5': index out of range (0-4)" \
		in_ns "$ns" sockmap-update --all --listen tcp:127.0.0.1:7777 "$map" 3
	sockets_are "$map" "${cookies[@]}" "${cookies[2]}" -
	fails 1 "sockmap-update: find the keys of 3 sockets: those of a sockhash have no order: give it one socket at a time" \
		in_ns "$ns" sockmap-update --all --listen tcp:127.0.0.1:7777 "$BPFFS/hash" 3
}

@test "--all: a socket that the map refuses, and what was put before it is out again" {
	netns ns
	serve "$ns" server udp:127.0.0.1:7777 udp:127.0.0.1:0,unbound
	create_map map sockmap 4 8 2
	fails 1 "sockmap-update: update map '$BPFFS/map' at key '1': the socket is UDP, not bound; a sockmap takes listening or connected TCP sockets and bound UDP sockets" \
		passed 2 "" sockmap-update --all --listen-fds "$BPFFS/map"
	sockets_are "$BPFFS/map" - -
	updates "" passed 1 "" sockmap-update --all --listen-fds "$BPFFS/map"
	sockets_are "$BPFFS/map" "$(cookie "$ns" -u 'sport = :7777')" -
}

@test "--unit: the sockets of a systemd unit, by its control group" {
	requires root control-groups
	local server second several cookies map=$BPFFS/map
	netns ns
	create_map map sockmap 4 8 4
	# What is not a server's is left out: the one connected, and the two that are not bound or not listening.
	serve "$ns" server tcp:127.0.0.1:7777 udp:127.0.0.1:7777 udp:127.0.0.1:0,unbound file \
		tcp:127.0.0.1:7778,nolisten tcp:127.0.0.1:7779,to=127.0.0.1:7777
	server=$PID
	serve "$ns" other tcp:127.0.0.1:7780
	second=$PID

	fails 1 "sockmap-update: find the sockets of unit 'web.service': it is not active: it has no control group" \
		in_ns "$ns" sockmap-update --unit web "$map"
	unit "$second" web.service
	updates "" in_ns "$ns" sockmap-update --unit web "$map"
	sockets_are "$map" "$(cookie "$ns" -t 'sport = :7780')" - - -
	# A delegated group below it is part of the unit.
	unit "$server" web.service/worker
	several="sockmap-update: find the sockets of unit 'web.service': it has several: choose one by --cookie, or --all: "
	run -1 --separate-stderr in_ns "$ns" sockmap-update --unit web.service "$map"
	[[ $stderr =~ ^"$several"[0-9a-f]+", "[0-9a-f]+", "[0-9a-f]+$ ]]
	updates "" in_ns "$ns" sockmap-update --unit web.service --all "$map"
	mapfile -t cookies < <(printf '%s\n' "$(cookie "$ns" -t 'src 127.0.0.1:7777 and dst 0.0.0.0:*')" \
		"$(cookie "$ns" -u 'sport = :7777')" "$(cookie "$ns" -t 'sport = :7780')" | sort)
	sockets_are "$map" "${cookies[@]}" -
	# Who is given a control group chooses the names below it, but not the system's units.
	fails 1 "sockmap-update: find the sockets of unit 'worker.service': it is not active: it has no control group" \
		in_ns "$ns" sockmap-update --unit worker "$map"
	unit "$second" user@1000.service/other.service
	fails 1 "sockmap-update: find the sockets of unit 'other.service': it is not active: it has no control group" \
		in_ns "$ns" sockmap-update --unit other "$map"

	fails 1 "sockmap-update: update map '$map' at key '0': the socket is in another network namespace than this one: packets that sk_lookup assigns to it here get no answer (--force puts it there)" \
		sockmap-update --unit user@1000 "$map"
	stop "$server"
	start sleep 60
	unit "$PID" web.service
	fails 1 "sockmap-update: find the sockets of unit 'web.service': none listens (TCP), or is bound and not connected (UDP)" \
		sockmap-update --unit web "$map"
}

@test "--listen-fds as systemd-socket-activate passes a socket" {
	requires cmd:systemd-socket-activate
	netns ns
	create_map map sockmap 4 8 1

	# shellcheck disable=SC2016 # for the inner shell
	# It runs the command when the first connection arrives.
	start_in "$ns" systemd-socket-activate -l 127.0.0.1:7777 --fdname=web sh -c '
		ss -Hltne "sport = :7777" | grep -o "sk:[0-9a-f]*"
		exec sockmap-update --verbose --listen-fds=web "$0"' "$BPFFS/map"
	poll 5 listening "$ns" 7777
	in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" ask tcp 127.0.0.1 7777
	wait "$PID"
	[ "$(sed -n 2p "$OUT")" = "key 0: socket with cookie $(sed -n '1s/sk://p' "$OUT")" ]
}

@test "--delete empties a slot of each kind of map" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777,reuseport
	create_map sockmap sockmap 4 8 2
	create_map sockhash sockhash 4 8 2
	create_map array reuseport_sockarray 4 8 2
	local map

	for map in sockmap sockhash array; do
		fails 1 "sockmap-update: delete from map '$BPFFS/$map' at key '0': the slot is empty" \
			sockmap-update --delete "$BPFFS/$map"
		updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/$map" 1
		fails 1 "sockmap-update: delete from map '$BPFFS/$map' at key '0': the slot is empty" \
			sockmap-update --delete "$BPFFS/$map" 0
		bpftool map lookup pinned "$BPFFS/$map" key 1 0 0 0
		updates "" sockmap-update --delete "$BPFFS/$map" 1
		fails 1 "sockmap-update: delete from map '$BPFFS/$map' at key '1': the slot is empty" \
			sockmap-update --delete "$BPFFS/$map" 1
	done
	fails 1 "sockmap-update: find key '2': index out of range (0-1)" \
		sockmap-update --delete "$BPFFS/sockmap" 2
}

@test "--noexist and --exist" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777,reuseport tcp:127.0.0.1:7778,reuseport
	create_map sockmap sockmap 4 8 1
	create_map sockhash sockhash 4 8 1
	create_map array reuseport_sockarray 4 8 1
	local map one two

	one=$(cookie "$ns" -t 'sport = :7777')
	two=$(cookie "$ns" -t 'sport = :7778')
	for map in sockmap sockhash array; do
		fails 1 "sockmap-update: update map '$BPFFS/$map' at key '0': No such file or directory (the slot is empty)" \
			in_ns "$ns" sockmap-update --exist "$PID" 3 "$BPFFS/$map"
		updates "" in_ns "$ns" sockmap-update --noexist "$PID" 3 "$BPFFS/$map"
		sockets_are "$BPFFS/$map" "$one"
		fails 1 "sockmap-update: update map '$BPFFS/$map' at key '0': File exists (the slot is used)" \
			in_ns "$ns" sockmap-update --noexist "$PID" 4 "$BPFFS/$map"
		sockets_are "$BPFFS/$map" "$one"
		updates "" in_ns "$ns" sockmap-update --exist "$PID" 4 "$BPFFS/$map"
		sockets_are "$BPFFS/$map" "$two"
		sockmap-update --delete "$BPFFS/$map" # a socket is in one array only
	done
}

@test "--verbose says what was done" {
	many_sockets
	create_map map sockmap 4 8 2

	run -0 --separate-stderr in_ns "$ns" sockmap-update -v "$PID" 3 "$BPFFS/map" 1
	[ "$output" = "key 1: socket with cookie $(cookie "$ns" -tl 'sport = :7777')" ]
	[ -z "$stderr" ]
	run -0 --separate-stderr sockmap-update -v --delete "$BPFFS/map" 0x1
	[ "$output" = "key 0x1: empty" ]
	[ -z "$stderr" ]
}

@test "--verbose that cannot be written: closed, nothing is changed; full, the error says what is" {
	local text cookie
	many_sockets
	create_map map sockmap 4 8 2
	cookie=$(cookie "$ns" -tl 'sport = :7777')

	text="sockmap-update: write to standard output: Bad file descriptor"
	fails 1 "$text" to_closed in_ns "$ns" sockmap-update -v "$PID" 3 "$BPFFS/map" 1
	[ "$(bpftool -j map dump pinned "$BPFFS/map" | jq 'map(select(.value.error | not)) | length')" -eq 0 ]
	text="sockmap-update: write to standard output: No space left on device (but it is done: key 1: "
	fails 1 "${text}socket with cookie $cookie)" to_full in_ns "$ns" sockmap-update -v "$PID" 3 "$BPFFS/map" 1
	fails 1 "${text}empty)" to_full sockmap-update -v --delete "$BPFFS/map" 1
}

@test "maps whose values are 4 bytes take sockets, too" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777 tcp:127.0.0.1:7778 tcp:127.0.0.1:7779,reuseport
	create_map sockmap sockmap 4 4 1
	create_map sockhash sockhash 4 4 1
	create_map array reuseport_sockarray 4 4 1
	local map fd=3

	# The kernel shows no values of that size: that the slot is used is its answer.
	for map in sockmap sockhash array; do
		updates "" in_ns "$ns" sockmap-update "$PID" $fd "$BPFFS/$map"
		fails 1 "sockmap-update: update map '$BPFFS/$map' at key '0': File exists (the slot is used)" \
			in_ns "$ns" sockmap-update --noexist "$PID" $fd "$BPFFS/$map"
		fd=$((fd + 1))
	done
}

host_order() {
	/usr/bin/python3 -c 'import sys; print(*int(sys.argv[2], 0).to_bytes(int(sys.argv[1]), sys.byteorder))' "$@"
}

@test "sockhash: keys of each size" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777 tcp:127.0.0.1:7778
	create_map h1 sockhash 1 8 4
	create_map h2 sockhash 2 8 4
	create_map h4 sockhash 4 8 4
	create_map h8 sockhash 8 8 4
	create_map h16 sockhash 16 8 4
	local hex=20010db8000000000000000000000aFF key

	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/h1" 255
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/h2" 7777
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/h4" 0x01020304
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/h8" 18446744073709551615
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/h16" "$hex"
	# What bpftool finds by the bytes that they should be, on this host.
	bpftool map lookup pinned "$BPFFS/h1" key hex ff
	read -ra key < <(host_order 2 7777)
	bpftool map lookup pinned "$BPFFS/h2" key "${key[@]}"
	read -ra key < <(host_order 4 0x01020304)
	bpftool map lookup pinned "$BPFFS/h4" key "${key[@]}"
	bpftool map lookup pinned "$BPFFS/h8" key hex ff ff ff ff ff ff ff ff
	bpftool map lookup pinned "$BPFFS/h16" key hex 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 0a ff

	misuse "KEY: '256' is above 255" "$PID" 3 "$BPFFS/h1" 256
	misuse "KEY: '65536' is above 65535" "$PID" 3 "$BPFFS/h2" 65536
	misuse "KEY: '4294967296' is above 4294967295" "$PID" 3 "$BPFFS/h4" 4294967296
	misuse "KEY: '18446744073709551616' is above 18446744073709551615" \
		"$PID" 3 "$BPFFS/h8" 18446744073709551616
	misuse "KEY: '0' is not 16 bytes in hexadecimal" "$PID" 3 "$BPFFS/h16"
	misuse "KEY: '${hex}0' is not 16 bytes in hexadecimal" "$PID" 3 "$BPFFS/h16" "${hex}0"
	misuse "KEY: '${hex/db8/xyz}' is not 16 bytes in hexadecimal" \
		"$PID" 3 "$BPFFS/h16" "${hex/db8/xyz}"
	misuse "KEY: 'a' is not a number" "$PID" 3 "$BPFFS/h2" a

	updates "" sockmap-update --delete "$BPFFS/h16" "${hex,,}"
	fails 1 "sockmap-update: delete from map '$BPFFS/h16' at key '$hex': the slot is empty" \
		sockmap-update --delete "$BPFFS/h16" "$hex"
}

@test "sockhash: full" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777
	create_map map sockhash 2 8 2

	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map" 1
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map" 2
	fails 1 "sockmap-update: update map '$BPFFS/map' at key '3': Argument list too long (the map is full)" \
		in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map" 3
	# A used slot can be used anew all the same.
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map" 2
}

@test "keys of sockmaps and arrays: an index" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777,reuseport
	create_map one sockmap 4 8 1
	create_map three reuseport_sockarray 4 8 3
	local wrong

	fails 1 "sockmap-update: find key '1': index out of range (0-0)" \
		sockmap-update "$PID" 3 "$BPFFS/one" 1
	fails 1 "sockmap-update: find key '3': index out of range (0-2)" \
		sockmap-update "$PID" 3 "$BPFFS/three" 3
	fails 1 "sockmap-update: find key '4294967295': index out of range (0-2)" \
		sockmap-update "$PID" 3 "$BPFFS/three" 4294967295
	misuse "KEY: '4294967296' is above 4294967295" "$PID" 3 "$BPFFS/three" 4294967296
	for wrong in "" x 0x 1x; do
		misuse "KEY: '$wrong' is not a number" "$PID" 3 "$BPFFS/three" "$wrong"
	done
	misuse "KEY: ' ' is not a number" "$PID" 3 "$BPFFS/three" " 0"
	misuse "KEY: '-1' is below 0" -- "$PID" 3 "$BPFFS/three" -1
	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/three" 0x2
	sockets_are "$BPFFS/three" - - "$(cookie "$ns" -t 'sport = :7777')" ||
		sockets_are "$BPFFS/three" "$(cookie "$ns" -t 'sport = :7777')" # bpftool leaves out empty slots
}

@test "any other type of map is refused and stays as it was" {
	many_sockets
	local type

	for type in hash array lru_hash percpu_array devmap; do
		create_map "$type" "$type" 4 8 1
		bpftool map dump pinned "$BPFFS/$type" >"$BATS_TEST_TMPDIR/before"
		fails 1 "sockmap-update: open map '$BPFFS/$type': its type is $type, not sockmap, sockhash or reuseport_sockarray" \
			in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/$type"
		bpftool map dump pinned "$BPFFS/$type" | cmp - "$BATS_TEST_TMPDIR/before"
	done
	bpftool map update pinned "$BPFFS/hash" key 0 0 0 0 value 1 2 3 4 5 6 7 8
	fails 1 "sockmap-update: open map '$BPFFS/hash': its type is hash, not sockmap, sockhash or reuseport_sockarray" \
		sockmap-update --delete "$BPFFS/hash"
	bpftool map lookup pinned "$BPFFS/hash" key 0 0 0 0 | grep -q '01 02 03 04 05 06 07 08'
}

@test "MAP is no map" {
	netns ns
	load_prog echo_dispatch
	sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	local file=$BATS_TEST_TMPDIR/file dir=$BATS_TEST_TMPDIR/dir

	touch "$file"
	mkdir "$dir" "$BPFFS/dir"
	fails 1 "sockmap-update: open map '$BPFFS/echo_dispatch_prog': not a map" \
		sockmap-update 1 3 "$BPFFS/echo_dispatch_prog"
	fails 1 "sockmap-update: open map '$BPFFS/link': not a map" sockmap-update 1 3 "$BPFFS/link"
	fails 1 "sockmap-update: open map '$BPFFS/none': No such file or directory" \
		sockmap-update 1 3 "$BPFFS/none"
	fails 1 "sockmap-update: open map '$BPFFS/dir': Is a directory" sockmap-update 1 3 "$BPFFS/dir"
	fails 1 "sockmap-update: open map '$BPFFS/link/map': Not a directory" \
		sockmap-update 1 3 "$BPFFS/link/map"
	fails 1 "sockmap-update: open map '$file': not on a bpffs" sockmap-update 1 3 "$file"
	fails 1 "sockmap-update: open map '$dir': not on a bpffs" sockmap-update 1 3 "$dir"
	fails 1 "sockmap-update: open map '': No such file or directory" sockmap-update 1 3 ""
	fails 1 "sockmap-update: open map 'a\\x0ab': No such file or directory" sockmap-update 1 3 $'a\nb'
	# And nothing was mounted over them.
	[ "$(stat -f -c %T "$dir")" = "$(stat -f -c %T "$BATS_RUN_TMPDIR")" ]
	[ -e "$file" ]
}

@test "reuseport_sockarray: TCP and UDP; a socket is in one array only" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777,reuseport "udp:[::1]:7777,reuseport"
	create_map one reuseport_sockarray 4 8 2
	create_map two reuseport_sockarray 4 8 2
	create_map sockmap sockmap 4 8 1

	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/one" 0
	updates "" in_ns "$ns" sockmap-update "$PID" 4 "$BPFFS/one" 1
	sockets_are "$BPFFS/one" "$(cookie "$ns" -t 'sport = :7777')" "$(cookie "$ns" -u 'sport = :7777')"
	fails 1 "sockmap-update: update map '$BPFFS/two' at key '0': Device or resource busy (the socket is already in a map, or the kernel uses it: L2TP, KCM)" \
		in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/two"
	fails 1 "sockmap-update: update map '$BPFFS/sockmap' at key '0': Device or resource busy (the socket is already in a reuseport_sockarray, or the kernel uses it: L2TP, KCM)" \
		in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/sockmap"
}

@test "what sk_lookup cannot select is refused, and what is in the slot stays; --force puts it there" {
	many_sockets
	create_map map sockmap 4 8 5
	local connected="the socket is connected: sk_lookup cannot select it"
	local lives="the socket is in another network namespace than"
	local answer="packets that sk_lookup assigns to it here get no answer"
	local tcp slot
	tcp=$(cookie "$ns" -tl 'sport = :7777')
	for slot in 0 1 2 3 4; do
		updates "" sockmap-update --netns "$ns" "$PID" 3 "$BPFFS/map" "$slot"
	done

	# keeps TEXT COMMAND... SLOT
	keeps() {
		fails 1 "sockmap-update: update map '$BPFFS/map' at key '${*: -1}': $1 (--force puts it there)" "${@:2}"
		sockets_are "$BPFFS/map" "$tcp" "$tcp" "$tcp" "$tcp" "$tcp"
	}
	netns other
	keeps "$connected" in_ns "$ns" sockmap-update "$PID" 8 "$BPFFS/map" 0
	keeps "$connected" in_ns "$ns" sockmap-update "$PID" 9 "$BPFFS/map" 1
	keeps "$lives this one: $answer" in_ns "$other" sockmap-update "$PID" 3 "$BPFFS/map" 2
	keeps "$lives '$other': $answer" sockmap-update --netns "$other" "$PID" 3 "$BPFFS/map" 3

	updates "$connected" in_ns "$ns" sockmap-update --force "$PID" 8 "$BPFFS/map" 0
	updates "$connected" in_ns "$ns" sockmap-update --force "$PID" 9 "$BPFFS/map" 1
	updates "$lives this one: $answer" in_ns "$other" sockmap-update --force "$PID" 3 "$BPFFS/map" 2
	updates "$lives '$other': $answer" sockmap-update --force --netns "$other" "$PID" 3 "$BPFFS/map" 3
	sockets_are "$BPFFS/map" "$(cookie "$ns" -t 'sport = :7779')" "$(cookie "$ns" -u 'sport = :7780')" \
		"$tcp" "$tcp" "$tcp"
}

@test "a unix socket, which sk_lookup cannot select, is refused; --force puts it there" {
	requires unix-in-sockmap
	many_sockets
	create_map map sockmap 4 8 1
	local why="the socket is unix datagram, not connected: sk_lookup cannot select it"
	fails 1 "sockmap-update: update map '$BPFFS/map' at key '0': $why (--force puts it there)" \
		in_ns "$ns" sockmap-update "$PID" 10 "$BPFFS/map"
	updates "$why" in_ns "$ns" sockmap-update --force "$PID" 10 "$BPFFS/map"
	bpftool map lookup pinned "$BPFFS/map" key 0 0 0 0 | grep -q value
}

@test "--replace-if replaces the socket that is expected, and no other" {
	many_sockets
	create_map map sockmap 4 8 2
	local first second what="update map '$BPFFS/map' at key '0'"
	first=$(cookie "$ns" -tl 'sport = :7777')
	second=$(cookie "$ns" -u 'sport = :7777')

	refused "$what: the slot is empty" --netns "$ns" --replace-if "$first" "$PID" 3 "$BPFFS/map"
	silent --netns "$ns" "$PID" 3 "$BPFFS/map"
	refused "$what: the slot has the socket with cookie $first, not $second" \
		--netns "$ns" --replace-if "$second" "$PID" 4 "$BPFFS/map"
	sockets_are "$BPFFS/map" "$first" -
	silent --netns "$ns" --replace-if "sk:$first" --cookie "$second" "$BPFFS/map"
	sockets_are "$BPFFS/map" "$second" -
	create_map small sockmap 4 4 1
	refused "update map '$BPFFS/small' at key '0': the values of the map have 4 bytes, and the kernel tells no cookie" \
		--netns "$ns" --replace-if "$first" "$PID" 3 "$BPFFS/small"
}

@test "a frozen map" {
	many_sockets
	create_map map sockmap 4 8 1
	bpftool map freeze pinned "$BPFFS/map"
	fails 1 "sockmap-update: update map '$BPFFS/map' at key '0': Operation not permitted (the map is frozen or read-only)" \
		in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map"
	fails 1 "sockmap-update: delete from map '$BPFFS/map' at key '0': Operation not permitted (the map is frozen or read-only)" \
		sockmap-update --delete "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

@test "a plain user: own process and pins that were given to him" {
	requires unprivileged-map-access
	netns ns
	serve_as_user tcp:127.0.0.1:7777 udp:127.0.0.1:7777
	create_map map sockmap 4 8 2
	create_map hash sockhash 4 8 2
	chown 65534:65534 "$BPFFS/map" "$BPFFS/hash"
	local tcp udp

	tcp=$(cookie "$ns" -t 'sport = :7777')
	udp=$(cookie "$ns" -u 'sport = :7777')
	updates "" in_ns "$ns" "${PLAIN[@]}" sockmap-update "$PID" 3 "$BPFFS/map" 0
	updates "" in_ns "$ns" "${PLAIN[@]}" sockmap-update --listen udp:127.0.0.1:7777 "$BPFFS/map" 1
	sockets_are "$BPFFS/map" "$tcp" "$udp"
	updates "" in_ns "$ns" "${PLAIN[@]}" sockmap-update --cookie "sk:$udp" "$BPFFS/map" 0
	updates "" in_ns "$ns" "${PLAIN[@]}" sockmap-update --delete "$BPFFS/map" 1
	sockets_are "$BPFFS/map" "$udp" -
	updates "" in_ns "$ns" "${PLAIN[@]}" sockmap-update --noexist "$PID" 4 "$BPFFS/hash" 7
	bpftool map lookup pinned "$BPFFS/hash" key 7 0 0 0
}

serve_as_user() {
	start_in "$ns" "${PLAIN[@]}" "$HOOKSET_ROOT/tests/fixtures/sockets" serve plain "$@"
	poll 5 grep -qx ready "$OUT"
}

@test "a plain user: somebody else's process, pin or network namespace" {
	requires unprivileged-map-access
	netns ns
	serve "$ns" root tcp:127.0.0.1:7777
	create_map map sockmap 4 8 1
	create_map root sockmap 4 8 1
	chown 65534:65534 "$BPFFS/map"
	local sk

	sk=$(cookie "$ns" -t 'sport = :7777')
	fails 1 "sockmap-update: get fd 3 of process $PID: Operation not permitted (it is not your process: needs CAP_SYS_PTRACE)" \
		in_ns "$ns" "${PLAIN[@]}" sockmap-update "$PID" 3 "$BPFFS/map"
	fails 1 "sockmap-update: find socket 'tcp:127.0.0.1:7777': none of your processes holds it (to look into others needs CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE)" \
		in_ns "$ns" "${PLAIN[@]}" sockmap-update --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	fails 1 "sockmap-update: find socket with cookie $sk: none of your processes holds it (to look into others needs CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE)" \
		in_ns "$ns" "${PLAIN[@]}" sockmap-update --cookie "$sk" "$BPFFS/map"
	fails 1 "sockmap-update: open map '$BPFFS/root': Permission denied" \
		in_ns "$ns" "${PLAIN[@]}" sockmap-update "$PID" 3 "$BPFFS/root"
	fails 1 "sockmap-update: open map '$BPFFS/root': Permission denied" \
		in_ns "$ns" "${PLAIN[@]}" sockmap-update --delete "$BPFFS/root"
	fails 1 "sockmap-update: enter network namespace '$ns': Operation not permitted (needs CAP_SYS_ADMIN)" \
		"${PLAIN[@]}" sockmap-update --netns "$ns" --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	fails 1 "sockmap-update: open network namespace '$PID': Permission denied" \
		"${PLAIN[@]}" sockmap-update --netns "$PID" --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	mkdir "$BPFFS/closed"
	chmod 700 "$BPFFS/closed"
	fails 1 "sockmap-update: open map '$BPFFS/closed/map': Permission denied" \
		"${PLAIN[@]}" sockmap-update "$PID" 3 "$BPFFS/closed/map"
	sockets_are "$BPFFS/map" -
}

@test "a socket that is shared is found where it may be taken" {
	requires unprivileged-map-access
	netns ns
	create_map map sockmap 4 8 1
	chown 65534:65534 "$BPFFS/map"

	# Root's process holds it first, and then a child of the plain user.
	start_in "$ns" /usr/bin/python3 -c 'if True:
		import os, signal, socket
		s = socket.create_server(("127.0.0.1", 7777))
		child = os.fork()
		if child == 0:
			os.setgid(65534)
			os.setuid(65534)
			os.execvp("sleep", ["sleep", "60"]) if os.set_inheritable(s.fileno(), True) is None else None
		signal.signal(signal.SIGTERM, lambda *_: (os.kill(child, 9), os._exit(0)))
		print("ready", flush=True)
		signal.pause()'
	poll 5 grep -qx ready "$OUT"
	poll 5 taken
	sockets_are "$BPFFS/map" "$(cookie "$ns" -t 'sport = :7777')"
}

taken() {
	in_ns "$ns" "${PLAIN[@]}" sockmap-update --listen tcp:127.0.0.1:7777 "$BPFFS/map"
}

# meanwhile ACTION SYSCALL ERROR COMMAND...: run it in the background, do ACTION
# when it has made that system call, and let it go on: it fails, saying ERROR.
meanwhile() {
	local action=$1 call=$2 error=$3
	shift 3

	start_stopped "$call" 1 nsenter --net="/run/netns/$ns" "$@"
	$action
	goes_on 1
	[ "$(cat "$OUT.err")" = "$error" ]
}

@test "the process ends when it has been opened" {
	requires cmd:strace
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777
	create_map map sockmap 4 8 1

	meanwhile "stop $PID" pidfd_open "sockmap-update: get fd 3 of process $PID: No such process" \
		sockmap-update "$PID" 3 "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

@test "the process ends when its socket has been found" {
	requires cmd:strace
	netns ns
	serve "$ns" server udp:127.0.0.1:7777
	create_map map sockmap 4 8 1

	meanwhile "stop $PID" sendto "sockmap-update: find socket 'udp:127.0.0.1:7777': no process holds it" \
		sockmap-update --listen udp:127.0.0.1:7777 "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

@test "the process has another socket at this fd by the time it is opened" {
	requires cmd:strace
	netns ns
	create_map map sockmap 4 8 1
	start_in "$ns" /usr/bin/python3 -c 'if True:
		import os, signal, socket
		one, two = [socket.create_server(("127.0.0.1", port)) for port in (7777, 7778)]
		signal.signal(signal.SIGUSR1,
			lambda *_: (os.dup2(two.fileno(), one.fileno()), print("exchanged", flush=True)))
		print("ready", flush=True)
		while True:
			signal.pause()'
	poll 5 grep -qx ready "$OUT"

	meanwhile "exchange $PID $OUT" pidfd_open "sockmap-update: find socket 'tcp:127.0.0.1:7777': no process holds it" \
		sockmap-update --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

exchange() {
	kill -USR1 "$1"
	poll 5 grep -qx exchanged "$2"
}

@test "the slot is empty again when the process ends" {
	netns ns
	serve "$ns" server tcp:127.0.0.1:7777
	create_map map sockmap 4 8 1

	updates "" in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/map"
	stop "$PID"
	poll 5 sockets_are "$BPFFS/map" -
}

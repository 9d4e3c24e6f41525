#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# sk_dispatch in the cases of those who know sk_lookup best: the kernel's own tests
# (tools/testing/selftests/bpf/prog_tests/sk_lookup.c) and those of tubular. sk_lookup.cases says of
# each of theirs which test of ours has it, or why none has.
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC2154 # netns sets the name it is given

load ../lib/helpers

# The addresses of the kernel's tests: what the client asks, and where the server listens.
OUT4=127.0.0.1 IN4=127.0.0.2 OUT6=fd00::1 IN6=fd00::2

# host [PROG_LOAD_OPTION...]: a host, ns, with these addresses and sk_dispatch.
host() {
	netns ns
	ip -n "$ns" addr add $OUT6/128 dev lo nodad
	ip -n "$ns" addr add $IN6/128 dev lo nodad
	MAPS=$BPFFS/maps
	prog-load --maps "$MAPS" "$@" "$HOOKSET_BUILD/sk_dispatch.bpf.o" "$BPFFS/prog"
	sk-lookup-attach --netns "$ns" "$BPFFS/prog" "$BPFFS/link"
}

# bind_to N PROTO ADDR: port 7007 of this address is service N's.
bind_to() {
	local family=4
	[[ $3 != *:* ]] || family=6
	map-edit "$MAPS/dispatch$family" add "{proto=$2 port=7007 addr=$3}={service=$1}"
}

# register N PID FD...
register() {
	local fd
	for fd in "${@:3}"; do
		sockmap-update --netns "$ns" --service "$1" "$2" "$fd" "$MAPS/dispatch_socket"
	done
}

stats_are() {
	run -0 map-edit "$MAPS/dispatch_stats" get "$1"
	[ "$output" = "{${*:2}}" ]
}

@test "another port, another address, a socket of the other family: TCP and UDP" {
	local proto address at service=0
	host
	while read -r address at; do
		for proto in tcp udp; do
			((++service))
			serve "$ns" "at-$at" "$proto:$at"
			register $service "$PID" 3
			bind_to $service $proto "$address"
			answers "at-$at hello|$([ $proto = tcp ] && echo 7007 || echo "${at##*:}")" "$ns" $proto "$address" 7007
			stats_are $service dispatched=1 no_socket=0 refused=0
			stop "$PID"
		done
	done <<-END
		$OUT4 $OUT4:8008
		$OUT4 $IN4:7007
		$OUT6 [$OUT6]:8008
		$OUT6 [$IN6]:7007
		$OUT4 [::ffff:$IN4]:8008
	END
	[ $service -eq 10 ]
}

# group PROTO ADDR: three servers of one SO_REUSEPORT group at ADDR:8008, whose program chooses the
# second. The last one is connected to itself, if it is UDP. Service 1 has the first.
group() {
	local last=$1:$2:8008,reuseport
	[ "$1" = tcp ] || last+=",to=$2:8008"
	serve "$ns" first "$1:$2:8008,reuseport"
	register 1 "$PID" 3
	serve "$ns" second "$1:$2:8008,reuseport,choose=1"
	serve "$ns" last "$last"
}

@test "a SO_REUSEPORT group, also with a connected socket: its program chooses, but not with dispatch_no_reuseport" {
	local knob expected proto
	for knob in false true; do
		host --set "dispatch_no_reuseport=$knob"
		expected=second
		[ $knob = false ] || expected=first
		for proto in tcp udp; do
			local port=7007
			[ $proto = tcp ] || port=8008
			bind_to 1 $proto $OUT4
			bind_to 1 $proto $OUT6
			group $proto $IN4
			answers "$expected hello|$port" "$ns" $proto $OUT4 7007
			stop_all
			group $proto "[$IN6]"
			answers "$expected hello|$port" "$ns" $proto $OUT6 7007
			stop_all
		done
		rm -r "$BPFFS/link" "$BPFFS/prog" "$MAPS"
	done
}

@test "a program of the SO_REUSEPORT group drops: refused, and the listener there is not reached" {
	local proto
	host
	object reuseport reuseport
	bpftool prog load "$BATS_FILE_TMPDIR/reuseport.o" "$BPFFS/drop" type sk_reuseport
	for proto in tcp udp; do
		bind_to 1 $proto $OUT4
		bind_to 1 $proto $OUT6
		serve "$ns" never $proto:$OUT4:7007 "$proto:[$OUT6]:7007"
		serve "$ns" group "$proto:$IN4:8008,reuseport,program=$BPFFS/drop" "$proto:[$IN6]:8008,reuseport,program=$BPFFS/drop"
		register 1 "$PID" 3 4
		answers refused "$ns" $proto $OUT4 7007
		answers refused "$ns" $proto $OUT6 7007
		stop_all
	done
}

@test "a connected socket, forced into a slot, is refused by the kernel" {
	local proto
	host
	for proto in tcp udp; do
		bind_to 1 $proto $OUT4
		serve "$ns" server "$proto:$IN4:8008" "$proto:$IN4:8009,to=$IN4:8008"
		sockmap-update --force --netns "$ns" --service 1 "$PID" 4 "$MAPS/dispatch_socket"
		answers refused "$ns" $proto $OUT4 7007
		stop_all
	done
	stats_are 1 dispatched=0 no_socket=0 refused=2
}

# does MAPS WHAT: of the address, a program with these maps does this.
does() {
	MAPS=$1
	map-edit "$MAPS/dispatch4" sync --allow-empty /dev/null
	sockmap-update --delete --service 1 "$MAPS/dispatch_socket" 2>/dev/null || true
	[ "$2" = pass ] || bind_to 1 tcp $OUT4
	[ "$2" != redir ] || register 1 "$PID" "$3"
}

@test "two programs in a row: pass, drop and redirect, each with each" {
	local first second expected
	host
	prog-load --maps "$BPFFS/second" "$HOOKSET_BUILD/sk_dispatch.bpf.o" "$BPFFS/prog2"
	sk-lookup-attach --netns "$ns" "$BPFFS/prog2" "$BPFFS/link2"
	serve "$ns" "listener" tcp:$OUT4:7007
	serve "$ns" "redirected" tcp:$IN4:8008
	while read -r first second expected; do
		does "$BPFFS/maps" "$first" 3
		does "$BPFFS/second" "$second" 3
		answers "$expected" "$ns" tcp $OUT4 7007
	done <<-'END'
		pass  pass  listener hello|7007
		drop  drop  refused
		pass  drop  refused
		drop  pass  refused
		pass  redir redirected hello|7007
		redir pass  redirected hello|7007
		drop  redir redirected hello|7007
		redir drop  redirected hello|7007
		redir redir redirected hello|7007
	END
}

@test "sockmap-update --all --service: each socket in its slot, one of a SO_REUSEPORT group; of others, none" {
	local slots=() proto
	host
	map-edit "$MAPS/dispatch_name" add 1=web
	bind_to 1 tcp $OUT4
	serve "$ns" one tcp:$OUT4:8008,reuseport tcp:$OUT4:8008,reuseport "tcp:[$OUT6]:8008,reuseport" \
		"tcp:[$OUT6]:8008,reuseport" udp:$OUT4:8008,reuseport "udp:[$OUT6]:8008,reuseport"
	all() { in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" pass "$PID" "$1" "" sockmap-update --all --service web --listen-fds "$MAPS/dispatch_socket"; }
	all 6
	for proto in t4 t6 u4 u6; do
		slots+=("$(in_ns "$ns" ss -Hnae "-l${proto:0:1}${proto:1}" | grep -o 'sk:[0-9a-f]*' | cut -c 4-)")
	done
	mapfile -t in_slots < <(bpftool -j map dump pinned "$MAPS/dispatch_socket" |
		jq -r '.[4:8][].value | reverse | map(ltrimstr("0x")) | add | sub("^0+"; "")')
	[ ${#in_slots[@]} -eq 4 ]
	for proto in 0 1 2 3; do
		grep -qx "${in_slots[proto]}" <<<"${slots[proto]}"
	done
	answers "one hello|7007" "$ns" tcp $OUT4 7007
	stop_all

	serve "$ns" two tcp:$OUT4:8008 tcp:$OUT4:8009
	run -1 --separate-stderr all 2
	[[ $stderr =~ ^"sockmap-update: find the slots of service 1: two sockets are for one: choose one by --cookie: "[0-9a-f]+", "[0-9a-f]+$ ]]
	answers refused "$ns" tcp $OUT4 7007
}

# bats test_tags=kernel-free
@test "sk_lookup.cases: each test that it names is there, and each case is named once" {
	local cases=$BATS_TEST_DIRNAME/sk_lookup.cases case suite name
	while IFS='|' read -r case suite name; do
		case=${case% } suite=${suite# } suite=${suite% } name=${name# }
		[ -n "$case" ] && [ -n "$name" ]
		[ "$suite" = none ] || grep -qF "@test \"$name\" {" "$BATS_TEST_DIRNAME"/../*/"$suite.bats" || {
			echo "$suite has no test '$name'"
			return 1
		}
	done < <(grep -v '^#' "$cases")
	[ -z "$(grep -v '^#' "$cases" | cut -d '|' -f 1 | sort | uniq -d)" ]
	# All of the kernel's.
	[ "$(grep -c '^kernel: ' "$cases")" -eq 46 ]
}

# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Sockets: servers and clients of tests/fixtures/sockets, and what ss and a map know of them.

# serve NETNS NAME SPEC...: start tests/fixtures/sockets there, whose head explains SPEC. Its
# sockets are fds 3, 4, ... of PID.
serve() {
	local ns=$1
	shift
	start_in "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" serve "$@"
	poll 5 grep -qx ready "$OUT" || {
		cat "$OUT.err" >&2
		return 1
	}
}

# answers ANSWER NETNS PROTO ADDR PORT [COMMAND...]: a client there gets this answer, as
# `tests/fixtures/sockets ask` prints it.
answers() {
	local expected=$1 ns=$2 got
	shift 2
	got=$(in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" ask "$@")
	if [ "$got" != "$expected" ]; then
		printf 'asked:    %s\nexpected: "%s"\nanswer:   "%s"\n' "$*" "$expected" "$got" >&2
		return 1
	fi
}

# listening NETNS PORT [-u]: a socket listens there. Options of ss(8) may follow.
listening() {
	local ns=$1 port=$2
	shift 2
	[ -n "$(in_ns "$ns" ss -Hln "${@:--t}" "sport = :$port")" ]
}

# cookie NETNS SS_OPTION... FILTER: the cookie of the one socket that ss finds.
cookie() {
	local ns=$1 found
	shift
	found=$(in_ns "$ns" ss -Hnae "$@" | grep -o 'sk:[0-9a-f]*')
	if [ "$(wc -l <<<"$found")" -ne 1 ] || [ -z "$found" ]; then
		printf 'cookie: not one socket: %s\n%s\n' "$*" "$found" >&2
		return 1
	fi
	echo "${found#sk:}"
}

# sockets_are MAP COOKIE...: the kernel's own dump of the map shows these sockets, in the order
# of their slots, and "-" for an empty one.
sockets_are() {
	local map=$1 got
	shift
	# A value is 8 bytes, the least significant one first; an empty slot's is an error.
	got=$(bpftool -j map dump pinned "$map" | jq -r '[.[].value |
		if type == "array" then reverse | map(ltrimstr("0x")) | add | sub("^0+"; "") else "-" end] |
		join(" ")') || return 1
	if [ "$got" != "$*" ]; then
		printf 'map:      %s\nexpected: %s\nsockets:  %s\n' "$map" "$*" "$got" >&2
		return 1
	fi
}

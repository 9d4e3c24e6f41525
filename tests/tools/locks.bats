#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Helpers that change the same directory of pins at the same time wait for each other, by flock(2)
# on it. map-edit-lock.bats has the same for the entries of one map.

load ../lib/helpers
load ../lib/lists
ns='' # by netns()

# waits_for DIR COMMAND...: with DIR locked, it fails and names who has it, and changes nothing.
waits_for() {
	local dir=$1 before
	shift
	before=$(pins)
	hold_lock "$dir"
	fails 1 "$1: lock directory '$dir': process $PID ('sleep') has it locked" \
		"$1" --wait 0 "${@:2}"
	[ "$(pins)" = "$before" ]
	stop "$PID"
}

# does_not_wait DIR COMMAND...: with DIR locked, it does its work.
does_not_wait() {
	local dir=$1
	shift
	hold_lock "$dir"
	timeout 10 "$1" --wait 0 "${@:2}" >/dev/null
	stop "$PID"
}

# Every name below $BPFFS, and what is there.
pins() {
	find "$BPFFS" -printf '%p %i\n' | sort
}

# at_once COMMAND COMMAND: run both at the same time; their exit statuses are in FIRST and SECOND.
at_once() {
	local one two
	FIRST=0 SECOND=0
	bash -c "$1" >/dev/null 2>"$BATS_TEST_TMPDIR/said1" 3>&- &
	one=$!
	bash -c "$2" >/dev/null 2>"$BATS_TEST_TMPDIR/said2" 3>&- &
	two=$!
	wait "$one" || FIRST=$?
	wait "$two" || SECOND=$?
	cat "$BATS_TEST_TMPDIR/said1" "$BATS_TEST_TMPDIR/said2"
}

# same_maps DIR PROG...: what is pinned in DIR are all maps of just one of the programs.
same_maps() {
	local dir=$1 pinned prog
	shift
	pinned=$(for pin in "$dir"/*; do bpftool -j map show pinned "$pin" | jq .id; done | sort)
	for prog in "$@"; do
		if [ "$pinned" = "$(bpftool -j prog show pinned "$prog" | jq '.map_ids[]' | sort)" ]; then
			return
		fi
	done
	printf 'maps of two programs: %s\n' "$pinned" >&2
	return 1
}

# bats test_tags=kernel-free
@test "--wait takes seconds, and goes with what locks" {
	local tool verb
	for tool in "map-pin map" "prog-load obj" "sk-lookup-attach prog" "blocklist-load dir dump" "xdp-attach dev"; do
		# shellcheck disable=SC2086 # a tool and its first arguments
		TOOL=${tool%% *} misuse "--wait '86401' is not between 0 and 86400" ${tool#* } --wait 86401
	done
	for verb in stats "check file"; do
		# shellcheck disable=SC2086 # a verb and its argument
		TOOL=blocklist-load misuse "--wait goes with load, dump and reserve" --wait 1 dir $verb
	done
	TOOL=xdp-attach misuse "--wait can only be used with --link" --wait 1 dev prog
}

@test "map-pin, prog-load: who has the directory of the pins locked is named" {
	local prog=$BPFFS/detect_ping_prog object=$HOOKSET_BUILD/detect_ping.bpf.o id
	requires root
	load_prog detect_ping
	mkdir "$BPFFS/dir"
	id=$(bpftool -j prog show pinned "$prog" | jq '.map_ids[0]')

	waits_for "$BPFFS/dir" map-pin prog "$prog" "$BPFFS/dir"
	waits_for "$BPFFS/dir" map-pin map "$id" "$BPFFS/dir/pin"
	waits_for "$BPFFS" map-pin prog "$prog" "$BPFFS/new"
	waits_for "$BPFFS/dir" prog-load "$object" "$BPFFS/dir/prog"
	waits_for "$BPFFS/dir" prog-load --maps "$BPFFS/dir" "$object" "$BPFFS/prog"
	waits_for "$BPFFS" prog-load --maps "$BPFFS/new" "$object" "$BPFFS/prog"
	does_not_wait "$BPFFS" map-pin prog "$prog" "$BPFFS/dir"
	does_not_wait "$BPFFS" prog-load --maps "$BPFFS/dir" "$object" "$BPFFS/dir/prog"
}

@test "sk-lookup-attach: who has the directory of PROG or LINK locked is named" {
	requires root
	netns ns
	load_prog echo_dispatch
	mkdir "$BPFFS/dir" "$BPFFS/other"
	bpftool prog load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/dir/prog"
	waits_for "$BPFFS/dir" sk-lookup-attach -n "$ns" "$BPFFS/dir/prog" "$BPFFS/other/link"
	waits_for "$BPFFS/other" sk-lookup-attach -n "$ns" "$BPFFS/dir/prog" "$BPFFS/other/link"
	does_not_wait "$BPFFS" sk-lookup-attach -n "$ns" "$BPFFS/dir/prog" "$BPFFS/other/link"
}

@test "xdp-attach --link: two at once are one after the other" {
	requires root
	netns ns
	mkdir "$BPFFS/dir"
	load_prog xdp_pass
	load_prog xdp_drop
	waits_for "$BPFFS/dir" xdp-attach -n "$ns" --link "$BPFFS/dir/link" lo "$BPFFS/xdp_pass_prog"
	does_not_wait "$BPFFS" xdp-attach -n "$ns" --link "$BPFFS/dir/link" lo "$BPFFS/xdp_pass_prog"
	# The one makes the link, and the other updates it.
	for _ in 1 2 3 4 5; do
		rm "$BPFFS/dir/link"
		at_once "xdp-attach -n $ns --link $BPFFS/dir/link lo $BPFFS/xdp_pass_prog" \
			"xdp-attach -n $ns --link $BPFFS/dir/link lo $BPFFS/xdp_drop_prog"
		[ "$FIRST $SECOND" = "0 0" ]
	done
}

# takes_the_new NAME COMMAND...: with two programs of this object at $BPFFS/prog and $BPFFS/new, it
# waits for the lock on $BPFFS/dir; meanwhile the one at $BPFFS/prog is replaced by the new one.
takes_the_new() {
	local lock pin
	for pin in prog new; do
		bpftool prog load "$HOOKSET_BUILD/$1.bpf.o" "$BPFFS/$pin"
	done
	hold_lock "$BPFFS/dir"
	lock=$PID
	start "${@:2}"
	sleep 1
	mv "$BPFFS/new" "$BPFFS/prog"
	stop "$lock"
	wait "$PID"
}

@test "a program that is replaced while a helper waits is not taken: the new one is" {
	requires root
	netns ns
	mkdir "$BPFFS/dir"
	takes_the_new echo_dispatch sk-lookup-attach -n "$ns" "$BPFFS/prog" "$BPFFS/dir/link"
	[ "$(field link "$BPFFS/dir/link" prog_id)" = "$(field prog "$BPFFS/prog" id)" ]
	rm "$BPFFS/dir/link" "$BPFFS/prog"
	takes_the_new xdp_pass xdp-attach -n "$ns" --link "$BPFFS/dir/link" lo "$BPFFS/prog"
	[ "$(field link "$BPFFS/dir/link" prog_id)" = "$(field prog "$BPFFS/prog" id)" ]
	rm "$BPFFS/dir/link" "$BPFFS/prog"
	takes_the_new detect_ping map-pin prog "$BPFFS/prog" "$BPFFS/dir"
	same_maps "$BPFFS/dir" "$BPFFS/prog"
}

@test "blocklist-load: who has DIR locked is named" {
	requires root
	load_blocklist
	write_list '192.0.2.1\n'
	waits_for "$BPFFS/dir" blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/file"
	waits_for "$BPFFS/dir" blocklist-load "$BPFFS/dir" reserve 16
	does_not_wait "$BPFFS" blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/file"
	blocklist-load "$BPFFS/dir" reserve 16
	# A spare list is written in place: none is read meanwhile.
	waits_for "$BPFFS/dir" blocklist-load "$BPFFS/dir" dump
	[ "$(blocklist-load "$BPFFS/dir" dump)" = 192.0.2.1/32 ]
}

@test "map-pin: two with --replace at once leave the maps of one program" {
	local i
	requires root
	load_prog detect_ping
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/two"
	map-pin prog "$BPFFS/two" "$BPFFS/dir"
	for ((i = 0; i < 20; i++)); do
		at_once "map-pin -r -m 640 prog $BPFFS/detect_ping_prog $BPFFS/dir" \
			"map-pin -r -m 640 prog $BPFFS/two $BPFFS/dir"
		[ "$FIRST $SECOND" = "0 0" ]
		same_maps "$BPFFS/dir" "$BPFFS/detect_ping_prog" "$BPFFS/two"
	done
}

@test "map-pin: two that make the same directory: the second replaces, or finds what it wants taken" {
	local i
	requires root
	load_prog detect_ping
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/two"
	for ((i = 0; i < 10; i++)); do
		at_once "map-pin -r prog $BPFFS/detect_ping_prog $BPFFS/dir" \
			"map-pin -r prog $BPFFS/two $BPFFS/dir"
		[ "$FIRST $SECOND" = "0 0" ]
		same_maps "$BPFFS/dir" "$BPFFS/detect_ping_prog" "$BPFFS/two"
		rm -r "$BPFFS/dir"
		at_once "map-pin prog $BPFFS/detect_ping_prog $BPFFS/dir" \
			"map-pin prog $BPFFS/two $BPFFS/dir"
		[ "$((FIRST + SECOND))" -eq 1 ]
		[[ $(cat "$BATS_TEST_TMPDIR/said1" "$BATS_TEST_TMPDIR/said2") == \
			"map-pin: pin '$BPFFS/dir/"*"': File exists" ]]
		same_maps "$BPFFS/dir" "$BPFFS/detect_ping_prog" "$BPFFS/two"
		rm -r "$BPFFS/dir"
	done
}

@test "prog-load: two at once that share maps use the same ones" {
	local i
	requires root
	for ((i = 0; i < 10; i++)); do
		at_once "prog-load --maps $BPFFS/dir $HOOKSET_BUILD/detect_ping.bpf.o $BPFFS/one" \
			"prog-load --maps $BPFFS/dir $HOOKSET_BUILD/detect_ping.bpf.o $BPFFS/two"
		[ "$FIRST $SECOND" = "0 0" ]
		for map in ping_hash ping_hash6; do
			id=$(bpftool -j map show pinned "$BPFFS/dir/$map" | jq .id)
			for prog in one two; do
				bpftool -j prog show pinned "$BPFFS/$prog" | jq -e ".map_ids | index($id)"
			done
		done
		rm -r "$BPFFS/dir" "$BPFFS/one" "$BPFFS/two"
	done
}

@test "blocklist-load: reserve beside a load does not undo the load" {
	local i
	requires root
	write_list '192.0.2.1\n'
	write_list '198.51.100.0/24\n' two
	load_blocklist
	for ((i = 0; i < 20; i++)); do
		blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/file" >/dev/null
		rm -f "$BPFFS"/dir/blocklist_[ab]
		at_once "blocklist-load $BPFFS/dir load $BATS_TEST_TMPDIR/two" \
			"blocklist-load $BPFFS/dir reserve 16"
		[ "$FIRST $SECOND" = "0 0" ]
		[ "$(blocklist-load "$BPFFS/dir" dump)" = 198.51.100.0/24 ]
	done
}

@test "sk-lookup-attach: of two that attach the same program, one does, and one is refused" {
	local i text id
	requires root
	netns ns
	load_prog echo_dispatch
	id=$(bpftool -j prog show pinned "$BPFFS/echo_dispatch_prog" | jq .id)
	text="sk-lookup-attach: attach program '$BPFFS/echo_dispatch_prog': program $id is already"
	mkdir "$BPFFS/a" "$BPFFS/b"
	for ((i = 0; i < 20; i++)); do
		at_once "sk-lookup-attach -n $ns $BPFFS/echo_dispatch_prog $BPFFS/a/link" \
			"sk-lookup-attach -n $ns $BPFFS/echo_dispatch_prog $BPFFS/b/link"
		[ "$((FIRST + SECOND))" -eq 1 ]
		[ "$(cat "$BATS_TEST_TMPDIR/said1" "$BATS_TEST_TMPDIR/said2")" = \
			"$text attached to this network namespace" ]
		rm "$BPFFS"/[ab]/link
	done
}

@test "sk-lookup-attach: a program with two pins is attached once, too" {
	local at
	requires root cmd:strace
	netns ns
	mkdir "$BPFFS/a" "$BPFFS/b"
	load_prog echo_dispatch
	bpftool prog pin pinned "$BPFFS/echo_dispatch_prog" "$BPFFS/a/prog"
	bpftool prog pin pinned "$BPFFS/echo_dispatch_prog" "$BPFFS/b/prog"
	strace -qq -e trace=bpf -o "$BATS_TEST_TMPDIR/calls" \
		sk-lookup-attach -n "$ns" "$BPFFS/a/prog" "$BPFFS/a/link"
	at=$(grep -n -m 1 BPF_PROG_QUERY "$BATS_TEST_TMPDIR/calls" | cut -d: -f1)
	rm "$BPFFS/a/link"

	# It has seen that the program is not attached; then another command attaches it.
	start_stopped bpf "$at" sk-lookup-attach -n "$ns" "$BPFFS/a/prog" "$BPFFS/a/link"
	sk-lookup-attach -n "$ns" "$BPFFS/b/prog" "$BPFFS/b/link"
	goes_on 1
	[[ $(cat "$OUT.err") == *" is already attached to this network namespace" ]]
	[ ! -e "$BPFFS/a/link" ]
	[ -e "$BPFFS/b/link" ]
}

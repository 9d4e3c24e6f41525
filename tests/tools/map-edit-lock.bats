#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# map-edit beside others that change the same map: helpers, by the lock of flock(2) on the directory
# of the pin, and bpftool, which takes none. What the map holds, bpftool says.
# shellcheck disable=SC2030,SC2031 # each test is a subshell

# bats file_tags=kernel-free
load ../lib/helpers
# shellcheck disable=SC2034 # what misuse, refused, silent and says run
TOOL="map-edit"

# a_map: $BPFFS/m, with keys and values of 32 bits, and two lists for it: old is in there.
a_map() {
	create_map m hash 4 4 8192
	M=(--key u32 --value u32 "$BPFFS/m")
	OLD=$BATS_TEST_TMPDIR/old NEW=$BATS_TEST_TMPDIR/new
	echo 1-2000=1 >"$OLD"
	echo 1501-3500=2 >"$NEW"
	map-edit "${M[@]}" load "$OLD" >/dev/null
}

# keys_are FROM TO VALUE: the map has these keys, all with this value, and no others.
keys_are() {
	bpftool -j map dump pinned "$BPFFS/m" >"$BATS_TEST_TMPDIR/dump"
	/usr/bin/python3 - "$@" "$BATS_TEST_TMPDIR/dump" <<-'PY'
		import json, sys
		number = lambda data: int.from_bytes([int(byte, 0) for byte in data], sys.byteorder)
		first, last, value = map(int, sys.argv[1:4])
		got = {number(e["key"]): number(e["value"]) for e in json.load(open(sys.argv[4]))}
		expected = dict.fromkeys(range(first, last + 1), value)
		wrong = sorted(set(got.items()) ^ set(expected.items()))
		assert not wrong, f"{len(got)} entries, wrong ones: {wrong[:5]}"
	PY
}

# between_steps LIST: a sync with this list that has stopped after the first of its two steps.
between_steps() {
	local at
	strace -qq -e trace=bpf -e signal=none -o "$BATS_TEST_TMPDIR/calls" \
		map-edit "${M[@]}" sync "$1" >/dev/null
	at=$(grep -n -m 1 BPF_MAP_UPDATE_BATCH "$BATS_TEST_TMPDIR/calls" | cut -d: -f1)
	map-edit "${M[@]}" sync "$OLD" >/dev/null
	start_stopped bpf "$at" map-edit "${M[@]}" sync "$1"
	[ "$(bpftool -j map dump pinned "$BPFFS/m" | jq length)" -eq 3500 ]
}

@test "map-edit: wrong usage of --wait" {
	local text="--wait goes with add, del, load and sync, without --dry-run"
	misuse "$text" --wait 1 map show
	misuse "$text" --wait 1 map get 1
	misuse "$text" --wait 1 --dry-run map sync file
	misuse "--wait '86401' is not between 0 and 86400" --wait 86401 map sync file
	misuse "--wait '-1' is not a number" --wait -1 map sync file
	misuse "--wait '' is not a number" --wait= map sync file
}

@test "map-edit: of two syncs of one map the second waits, and its list is what is left" {
	local first
	requires root cmd:strace
	a_map
	between_steps "$NEW"
	first=$PID
	echo 5000=3 >"$BATS_TEST_TMPDIR/third"
	start map-edit "${M[@]}" sync "$BATS_TEST_TMPDIR/third"
	# It has asked for the lock: now it would read the map.
	poll 10 grep nanosleep "/proc/$PID/wchan"
	[ "$(bpftool -j map dump pinned "$BPFFS/m" | jq length)" -eq 3500 ]
	kill -CONT "$first"
	wait "$first"
	wait "$PID"
	[ "$(cat "$OUT")" = "1 added, 0 changed, 2000 removed" ]
	keys_are 5000 5000 3
}

@test "map-edit: two syncs at once, often: one list or the other, never both" {
	local i one two
	requires root
	a_map
	for ((i = 0; i < 30; i++)); do
		map-edit "${M[@]}" sync "$NEW" >/dev/null &
		one=$!
		map-edit "${M[@]}" sync "$OLD" >/dev/null &
		two=$!
		wait "$one"
		wait "$two"
		keys_are 1 2000 1 2>/dev/null || keys_are 1501 3500 2
	done
}

@test "map-edit: who has the lock is named, after the time to wait; a killed holder has none" {
	local text verb
	requires root cmd:strace
	a_map
	between_steps "$NEW"
	# strace lets it run on SIGKILL alone; its parent here is bats.
	text="lock directory '$BPFFS': process $PID ('map-edit') has it locked"
	for verb in "sync $OLD" "load $OLD" "add 1=5 2=5" "add 1-2=5" "del 1 2" "del 1-2"; do
		# shellcheck disable=SC2086 # a verb and its arguments
		refused "$text" --wait 0 "${M[@]}" $verb
	done
	[ "$(bpftool -j map dump pinned "$BPFFS/m" | jq length)" -eq 3500 ]
	SECONDS=0
	refused "$text" --wait 1 "${M[@]}" sync "$OLD"
	[ "$SECONDS" -ge 1 ]
	# What reads, or changes one entry, waits for nobody.
	says 2 "${M[@]}" get 3500
	[ "$(map-edit "${M[@]}" sync --dry-run <(echo 6001-8000) | tail -n 1)" = \
		"2000 added, 0 changed, 3500 removed" ]
	silent "${M[@]}" add 7777=7
	silent "${M[@]}" del 7777

	kill -KILL "$PID"
	wait "$PID" || [ $? -eq 137 ]
	says "0 added, 500 changed, 1500 removed" --wait 5 "${M[@]}" sync "$OLD"
	keys_are 1 2000 1
}

@test "map-edit: a lock that a script holds, and one by a symbolic link's directory" {
	requires root
	a_map
	mkdir "$BPFFS/dir"
	ln -s "$BPFFS/m" "$BPFFS/dir/link"
	hold_lock "$BPFFS"
	refused "lock directory '$BPFFS': process $PID ('sleep') has it locked" \
		--wait 0 --key u32 --value u32 "$BPFFS/dir/link" sync "$NEW"
	cd "$BPFFS"
	refused "lock directory '$BPFFS': process $PID ('sleep') has it locked" \
		--wait 0 --key u32 --value u32 m sync "$NEW"
	cd /
	keys_are 1 2000 1
}

@test "map-edit: a list that is slow to come keeps nobody waiting" {
	requires root
	a_map
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	start map-edit "${M[@]}" sync "$BATS_TEST_TMPDIR/fifo"
	exec 9>"$BATS_TEST_TMPDIR/fifo"
	says "1500 added, 500 changed, 1500 removed" --wait 0 "${M[@]}" sync "$NEW"
	echo 1-2000=1 >&9
	exec 9>&-
	wait "$PID"
	[ "$(cat "$OUT")" = "1500 added, 500 changed, 1500 removed" ]
	keys_are 1 2000 1
}

@test "map-edit: a map that is replaced while the list is read is no longer the one that is meant" {
	local got=0
	requires root
	a_map
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	start map-edit "${M[@]}" sync "$BATS_TEST_TMPDIR/fifo"
	exec 9>"$BATS_TEST_TMPDIR/fifo"
	rm "$BPFFS/m"
	create_map m hash 4 4 16
	echo 7=7 >&9
	exec 9>&-
	wait "$PID" || got=$?
	[ "$got" -eq 1 ]
	[ "$(cat "$OUT.err")" = "map-edit: lock map '$BPFFS/m': it was replaced by another map meanwhile" ]
	[ "$(bpftool -j map dump pinned "$BPFFS/m" | jq length)" -eq 0 ]
}

@test "map-edit: what bpftool adds and removes while sync reads the map is seen" {
	local at
	requires root cmd:strace
	a_map
	strace -qq -e trace=bpf -e signal=none -o "$BATS_TEST_TMPDIR/calls" \
		map-edit "${M[@]}" sync "$NEW" >/dev/null
	map-edit "${M[@]}" sync "$OLD" >/dev/null
	# It has read the map once when it begins to do so again.
	at=$(grep -n BPF_MAP_LOOKUP_BATCH "$BATS_TEST_TMPDIR/calls" | cut -d: -f1)
	[ "$(wc -l <<<"$at")" -ge 2 ]
	at=$(($(grep -n -m 1 'LOOKUP_BATCH.*ENOENT\|NEXT_KEY.*ENOENT' "$BATS_TEST_TMPDIR/calls" | cut -d: -f1)))
	start_stopped bpf "$at" map-edit "${M[@]}" sync "$NEW"
	bpftool map update pinned "$BPFFS/m" key 0 32 0 0 value 9 0 0 0
	bpftool map delete pinned "$BPFFS/m" key 1 0 0 0
	goes_on 0
	[ "$(cat "$OUT")" = "1500 added, 500 changed, 1500 removed" ]
	keys_are 1501 3500 2
}

@test "map-edit: a map that a program changes all the time is synced, without a last look" {
	requires root
	a_map
	start bash -c "while :; do bpftool map update pinned '$BPFFS/m' key 0 33 0 0 value 1 0 0 0
		bpftool map delete pinned '$BPFFS/m' key 0 33 0 0; done"
	run -0 map-edit "${M[@]}" sync "$NEW"
	run -0 map-edit "${M[@]}" sync "$OLD"
	stop "$PID"
}

@test "map-edit: one who may not read the directory changes the map without a lock" {
	requires root cap-bpf
	a_map
	bpftool map create "$BPFFS/mine" type hash key 4 value 4 entries 16 name mine
	mkdir "$BPFFS/d"
	mv "$BPFFS/mine" "$BPFFS/d/mine"
	chmod 711 "$BPFFS/d"
	chown 65534 "$BPFFS/d/mine"
	start flock --no-fork "$BPFFS/d" sleep 60
	poll 5 is_locked "$BPFFS/d"
	fails 0 "" with_cap_bpf map-edit --wait 0 --key u32 --value u32 "$BPFFS/d/mine" add 1 2
	[ "$(bpftool -j map dump pinned "$BPFFS/d/mine" | jq length)" -eq 2 ]
}

@test "map-edit: variables are set under the lock" {
	requires root
	object variables variables
	bpftool prog load "$BATS_FILE_TMPDIR/variables.o" "$BPFFS/prog" pinmaps "$BPFFS"
	hold_lock "$BPFFS"
	refused "lock directory '$BPFFS': process $PID ('sleep') has it locked" \
		--wait 0 "$BPFFS/variable_data" add limit=7
	refused "lock directory '$BPFFS': process $PID ('sleep') has it locked" \
		--wait 0 "$BPFFS/variable_data" load <(echo limit=7)
	says 1500 "$BPFFS/variable_data" get limit
	stop "$PID"
	says "0 added, 1 changed" --wait 0 "$BPFFS/variable_data" load <(echo limit=7)
	says 7 "$BPFFS/variable_data" get limit
}

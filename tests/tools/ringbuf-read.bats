#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # two_hosts sets the names it is given
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC2016 # what make and another shell are to expand

load ../lib/helpers

setup_file() {
	local compiler events
	for compiler in clang clang-19; do
		command -v $compiler >/dev/null || continue
		for events in 0 1 2; do
			object events$events.$compiler events -DEVENTS=$events
		done
	done
	EVENTS=$BATS_FILE_TMPDIR/events0.clang.o
	NO_BTF=$BATS_FILE_TMPDIR/no_btf.o
	llvm-strip -g -o "$NO_BTF" "$EVENTS"
	llvm-objcopy --remove-section .BTF --remove-section .BTF.ext "$NO_BTF"
	PING=$BATS_FILE_TMPDIR/ping
	/usr/bin/python3 - "$PING" <<-'PY'
		import sys
		from scapy.all import ICMP, IP, Ether
		packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
		packet /= IP(src="192.0.2.1", dst="192.0.2.2", ttl=61) / ICMP(id=0x1234, seq=258)
		open(sys.argv[1], "wb").write(bytes(packet))
	PY
	export EVENTS NO_BTF PING
	chmod 711 "$BATS_FILE_TMPDIR" "$(dirname "$BATS_FILE_TMPDIR")"
}

# What ringbuf-read prints of $PING after its time, which differs.
PING_TEXT="saddr=192.0.2.1 daddr=192.0.2.2 version=4 type=8 code=0 ttl=61 id=4660 sequence=258 ifindex=1 verdict=XDP_PASS"
PING_JSON='"saddr":"192.0.2.1","daddr":"192.0.2.2","version":4,"type":8,"code":0,"ttl":61,"id":4660,"sequence":258,"ifindex":1,"verdict":"XDP_PASS"}'

# pings: load detect_ping. Its ring buffer is RING, its counters are STATS.
pings() {
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog" pinmaps "$BPFFS/maps"
	RING=$BPFFS/maps/ringbuf
	STATS=$BPFFS/maps/ping_stats
}

# events [OBJ]: load the fixture: what is sent to its program is an event.
events() {
	bpftool prog load "${1:-$EVENTS}" "$BPFFS/prog" pinmaps "$BPFFS/maps"
	RING=$BPFFS/maps/ring
}

# send FILE [COUNT]: the program sees this packet so many times.
send() {
	bpftool prog run pinned "$BPFFS/prog" data_in "$1" repeat "${2:-1}" >/dev/null
}

# send_bytes EXPRESSION: the program sees the bytes of this Python expression, padded to 14.
send_bytes() {
	/usr/bin/python3 -c '
import socket, sys
from struct import pack
ip4, ip6 = (lambda a: socket.inet_pton(socket.AF_INET, a)), (lambda a: socket.inet_pton(socket.AF_INET6, a))
sys.stdout.buffer.write(eval(sys.argv[1]).ljust(14, b"\0"))' "$1" >"$BATS_TEST_TMPDIR/event"
	send "$BATS_TEST_TMPDIR/event"
}

# refused TEXT ARGUMENT...: ringbuf-read fails, and says why.
refused() {
	local text=$1
	shift
	fails 1 "ringbuf-read: $text" timeout 10 ringbuf-read "$@"
}

# reads EXPECTED OPTION...: the next event is printed so.
reads() {
	local expected=$1
	shift
	run -0 --separate-stderr timeout 10 ringbuf-read --count 1 "$@" "$RING"
	[ "$output" = "$expected" ] || {
		printf 'expected: %s\nprinted:  %s\n' "$expected" "$output" >&2
		return 1
	}
	[ "$stderr" = "ringbuf-read: 1 events read" ]
}

# shows TYPE BYTES TEXT JSON: an event of these bytes and this type is printed so.
shows() {
	send_bytes "$2"
	reads "$3" --type "$1"
	send_bytes "$2"
	reads "$4" --type "$1" --json
}

# start_reader ARGUMENT...: in the background, and wait until it takes signals.
start_reader() {
	start ringbuf-read "$@"
	poll 10 catches_signals "$PID"
}

# catches_signals PID: does it handle SIGTERM (bit 14 of the mask)?
catches_signals() {
	local mask
	mask=$(awk '/^SigCgt/ { print $2 }' "/proc/$1/status")
	[ $((16#$mask & 1 << 14)) -ne 0 ]
}

# ends STATUS: the process PID ends by itself, with this status.
ends() {
	local status=0
	poll 10 gone "$PID"
	wait "$PID" || status=$?
	[ "$status" -eq "$1" ] || {
		printf 'expected exit status %s, is %s\n%s\n' "$1" "$status" "$(tail -n 5 "$OUT.err")" >&2
		return 1
	}
}

# gone PID: it has ended, though nobody may have waited for it.
gone() {
	! grep -qv '^State:.*Z' <(grep ^State: "/proc/$1/status" 2>/dev/null)
}

lines_are() {
	[ "$(wc -l <"$1")" -eq "$2" ]
}

# bats test_tags=kernel-free
@test "ringbuf-read: --help and --version" {
	local option word
	for option in -h --help; do
		run -0 --separate-stderr ringbuf-read $option
		[ "${lines[0]}" = "Usage: ringbuf-read [OPTIONS] MAP" ]
		[ -z "$stderr" ]
		[ "$(wc -L <<<"$output")" -le 80 ]
		for word in --json --pretty --hex --type --btf --count --lost --verbose; do
			[[ $output == *"$word"* ]]
		done
	done
	for option in -V --version; do
		run -0 --separate-stderr ringbuf-read $option
		[[ $output =~ ^ringbuf-read\ \(hookset\)\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
		[ -z "$stderr" ]
	done
}

# bats test_tags=kernel-free
@test "ringbuf-read: wrong usage" {
	local text
	misuse "MAP is missing"
	misuse "MAP is missing" --json
	misuse "too many arguments: 'more'" map more
	misuse "only one of --json, --hex" --json --hex map
	misuse "only one of --json, --hex" --hex -p map
	misuse "--type does not go with --hex" --hex --type ping_event map
	misuse "unrecognized option '--nothing'" --nothing map
	misuse "invalid option -- 'n'" -n map
	misuse "option '--count' requires an argument" map --count
	misuse "invalid option -- 'x'" -x map
	misuse "option '--type' requires an argument" map --type
	misuse "option '--hex' doesn't allow an argument" --hex=1 map
	for text in "" x 1x -1 +1 " 1" 1.5 0y1; do
		misuse "--count '$text' is not a number" --count="$text" map
	done
	for text in 0 0x0 18446744073709551615 99999999999999999999999; do
		misuse "--count '$text' is not between 1 and 18446744073709551614" --count "$text" map
	done
}

@test "ringbuf-read: no such map, no ring buffer" {
	requires root
	pings
	touch "$BATS_TEST_TMPDIR/file"
	refused "open map '$BPFFS/nothing': No such file or directory" "$BPFFS/nothing"
	refused "open map '$BATS_TEST_TMPDIR/file': not on a bpffs" "$BATS_TEST_TMPDIR/file"
	refused "open map '$BPFFS': Is a directory" "$BPFFS"
	refused "open map '$BPFFS/prog': not a map" "$BPFFS/prog"
	refused "open map '$STATS': its type is percpu_array, not ringbuf" "$STATS"
	refused "open map '$BPFFS/maps/ping_hash': its type is hash, not ringbuf" --hex "$BPFFS/maps/ping_hash"
	fails 1 "ringbuf-read: open map '$RING': Permission denied" as_user ringbuf-read --hex "$RING"
}

@test "ringbuf-read: text, --json, --pretty, --hex" {
	local option
	requires root
	pings
	send "$PING" 2
	run -0 --separate-stderr timeout 10 ringbuf-read --count 2 "$RING"
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} =~ ^time=[0-9]+\ "$PING_TEXT"$ ]]
	[[ ${lines[1]} =~ ^time=[0-9]+\ "$PING_TEXT"$ ]]
	[ "$stderr" = "ringbuf-read: 2 events read" ]

	for option in -j --json; do
		send "$PING" 2
		run -0 --separate-stderr timeout 10 ringbuf-read $option --count=2 "$RING"
		[ "${#lines[@]}" -eq 2 ]
		[[ ${lines[0]} =~ ^'{"time":'[0-9]+,"$PING_JSON"$ ]]
		[[ ${lines[1]} =~ ^'{"time":'[0-9]+,"$PING_JSON"$ ]]
		[ "$stderr" = "ringbuf-read: 2 events read" ]
	done

	for option in -p --pretty; do
		send "$PING"
		run -0 --separate-stderr timeout 10 ringbuf-read $option --count 0x1 "$RING"
		[ "${#lines[@]}" -eq 13 ]
		[ "${lines[2]}" = '    "saddr": "192.0.2.1",' ]
		/usr/bin/python3 -c '
import json, sys
a, b = json.loads(sys.argv[1]), json.loads("{\"time\":0," + sys.argv[2])
b["time"] = a["time"]
assert list(a.items()) == list(b.items()), a' "$output" "$PING_JSON"
	done

	send "$PING"
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 1 "$RING"
	# As a C compiler lays struct ping_event out: of 56 bytes, time is the first eight.
	/usr/bin/python3 -c '
import socket, struct, sys
mapped = lambda a: bytes(10) + b"\xff\xff" + socket.inet_aton(a)
data = bytes.fromhex(sys.argv[1])
assert data[8:] == struct.pack("=16s16s4B", mapped("192.0.2.1"), mapped("192.0.2.2"), 4, 8, 0, 61) \
    + struct.pack(">HH", 0x1234, 258) + struct.pack("=II", 1, 2), data
# CLOCK_MONOTONIC, in ns, of some moment in the last minute.
import time
assert 0 <= time.monotonic_ns() - struct.unpack("=Q", data[:8])[0] < 60e9' "$output"
	[[ $output =~ ^([0-9a-f]{2}\ ){55}[0-9a-f]{2}$ ]]
}

@test "ringbuf-read: --count ends it, and leaves the rest to the next" {
	requires root
	events
	send_bytes 'bytes([1]) * 14'
	send_bytes 'bytes([2]) * 14'
	send_bytes 'bytes([3]) * 14'
	reads "01 01 01 01 01 01 01 01 01 01 01 01 01 01" --hex
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 2 "$RING"
	[[ ${lines[0]} == "02 02 "* ]]
	[[ ${lines[1]} == "03 03 "* ]]
	[ "${#lines[@]}" -eq 2 ]
}

@test "ringbuf-read: --type, right and wrong" {
	requires root
	pings
	send "$PING" 4
	run -0 timeout 10 ringbuf-read --count 1 --type ping_event "$RING"
	[[ $output == *" $PING_TEXT"* ]]
	run -0 timeout 10 ringbuf-read --count 1 --type 'struct ping_event' "$RING"
	[[ $output == *" $PING_TEXT"* ]]
	# Another one that is no larger than the event: it shows the beginning.
	run -0 --separate-stderr timeout 10 ringbuf-read --count 1 --type in6_addr "$RING"
	[[ $output != *saddr* ]]
	refused "find type 'nothing': no struct of this name in the BTF" --type nothing "$RING"
	refused "find type 'struct nothing': no struct of this name in the BTF" --type "struct nothing" "$RING"
	refused "find type 'xdp_action': no struct of this name in the BTF" --type xdp_action "$RING"
}

@test "ringbuf-read: without --type, the one struct called *_event" {
	requires root
	events "$BATS_FILE_TMPDIR/events1.clang.o"
	send_bytes 'pack(">H", 7777) + bytes(range(12))'
	reads "port=7777 rest=[0 1 2 3 4 5 6 7 8 9 10 11]"
	refused "find the type of the events: no struct is named *_event: give --type" \
		--btf "$EVENTS" "$RING"
	run -1 --separate-stderr ringbuf-read --btf "$BATS_FILE_TMPDIR/events2.clang.o" "$RING"
	[ "$stderr" = "ringbuf-read: find the type of the events: give --type, one of: one_event, other_event" ] ||
		[ "$stderr" = "ringbuf-read: find the type of the events: give --type, one of: other_event, one_event" ]
	[ -z "$output" ]
}

@test "ringbuf-read: an event that is smaller than its type is an error, after those before it" {
	requires root
	events
	send_bytes 'pack("=Bq", 1, -2) + ip4("192.0.2.1") + pack("=H", 3)'
	send_bytes 'bytes(14)'
	run -1 --separate-stderr timeout 10 ringbuf-read --type packed "$RING"
	[ "$output" = "first=1 odd=18446744073709551614 v4=192.0.2.1 last=3" ]
	[ "$stderr" = "ringbuf-read: read an event: it has 14 bytes, and its type 15: try another --type, or --hex" ]
}

@test "ringbuf-read: --btf takes an object file" {
	requires root
	pings
	send "$PING"
	run -0 timeout 10 ringbuf-read --count 1 --btf "$HOOKSET_BUILD/detect_ping.bpf.o" "$RING"
	[[ $output == *" $PING_TEXT"* ]]
	# The object's, not the kernel's, is what is looked at.
	refused "find type 'ping_event': no struct of this name in the BTF" \
		--btf "$EVENTS" --type ping_event "$RING"
}

@test "ringbuf-read: --btf, missing, without BTF, garbage" {
	local dir=$BATS_TEST_TMPDIR none="there is none: it is no object file, or was built without -g"
	requires root
	pings
	head -c 4096 /dev/urandom >"$dir/garbage"
	: >"$dir/empty"
	head -c 5000 "$EVENTS" >"$dir/cut"
	refused "read the BTF of '$dir/nothing': No such file or directory" --btf "$dir/nothing" "$RING"
	refused "read the BTF of '$dir': Is a directory" --btf "$dir" "$RING"
	refused "read the BTF of '$dir/garbage': $none" --btf "$dir/garbage" "$RING"
	refused "read the BTF of '$dir/empty': $none" --btf "$dir/empty" "$RING"
	refused "read the BTF of '$dir/cut': $none" --btf "$dir/cut" "$RING"
	refused "read the BTF of '$NO_BTF': $none" --btf "$NO_BTF" "$RING"
	refused "read the BTF of '$NO_BTF': $none" --hex --lost "$STATS" --btf "$NO_BTF" "$RING"
}

@test "ringbuf-read: a plain user reads with --btf or --hex, from pins that are theirs" {
	local object=$BATS_TEST_TMPDIR/detect_ping.o
	requires root unprivileged-map-access
	pings
	cp "$HOOKSET_BUILD/detect_ping.bpf.o" "$object"
	chmod 644 "$object"
	chmod 711 "$BPFFS/maps"
	chown 65534 "$RING" "$STATS"
	send "$PING" 2
	run -0 --separate-stderr as_user timeout 10 ringbuf-read --count 1 --btf "$object" --lost "$STATS" "$RING"
	[[ $output == *" $PING_TEXT" ]]
	[ "$stderr" = "ringbuf-read: 1 events read, 0 lost" ]
	run -0 as_user timeout 10 ringbuf-read --count 1 --hex "$RING"
	[[ ${lines[0]} == *" c0 00 02 01 "* ]]

	fails 1 "ringbuf-read: find a program that uses map '$RING': Operation not permitted (needs CAP_SYS_ADMIN, or --btf or --hex)" \
		as_user ringbuf-read "$RING"
	run -1 --separate-stderr as_user ringbuf-read --hex --lost "$STATS" "$RING"
	[[ $stderr =~ ^"ringbuf-read: read BTF "[0-9]+": Operation not permitted (needs CAP_SYS_ADMIN, or --btf)"$ ]]
	chmod 600 "$object"
	fails 1 "ringbuf-read: read the BTF of '$object': Permission denied" \
		as_user ringbuf-read --btf "$object" "$RING"
}

@test "ringbuf-read: the program is gone, and its BTF with it" {
	local id
	requires root
	pings
	id=$(bpftool -j prog show pinned "$BPFFS/prog" | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
	send "$PING" 2
	rm "$BPFFS/prog"
	prog_gone() {
		! bpftool prog show id "$id"
	}
	poll 5 prog_gone
	refused "find a program that uses map '$RING': no loaded program with BTF uses it: try --btf or --hex" "$RING"
	# The events are still there.
	run -0 timeout 10 ringbuf-read --count 1 --btf "$HOOKSET_BUILD/detect_ping.bpf.o" "$RING"
	[[ $output == *" $PING_TEXT"* ]]
}

@test "ringbuf-read: what is unloaded in between is passed over" {
	requires root cmd:strace
	# The first program listed cannot be opened any more.
	bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/other"
	pings
	send "$PING"
	run -0 timeout 10 strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf \
		-e inject=bpf:error=ENOENT:when=5 ringbuf-read --count 1 "$RING"
	[[ $output == *" $PING_TEXT"* ]]
	grep -q 'BPF_PROG_GET_FD_BY_ID.*INJECTED' "$BATS_TEST_TMPDIR/log"
}

@test "ringbuf-read: --lost counts by a struct's field, and by a plain number on all CPUs" {
	local cpus=$BATS_TEST_TMPDIR/cpus
	requires root
	events
	# Two entries, each of as many values as there are CPUs.
	bpftool map update pinned "$BPFFS/maps/lost_number" key 1 0 0 0 value 100 0 0 0 0 0 0 0
	bpftool -j map lookup pinned "$BPFFS/maps/lost_number" key 1 0 0 0 >"$cpus"
	[ "$(grep -o '"cpu"' "$cpus" | sort -u | wc -l)" -eq 1 ]
	local expected
	expected=$(/usr/bin/python3 -c '
import json, sys
print(sum(v["value"] for v in json.load(sys.stdin)["formatted"]["values"]))' <"$cpus")
	[ "$expected" -ge 100 ]
	send_bytes 'bytes(14)'
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 1 --lost "$BPFFS/maps/lost_number" "$RING"
	[ "$stderr" = "ringbuf-read: $expected events were lost before"$'\n'"ringbuf-read: 1 events read, 0 lost" ]

	# A struct that is as large as a number: only one of its fields counts.
	bpftool map update pinned "$BPFFS/maps/lost_pair" key 0 0 0 0 value 9 0 0 0 5 0 0 0
	send_bytes 'bytes(14)'
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 1 --lost "$BPFFS/maps/lost_pair" "$RING"
	[ "$stderr" = "ringbuf-read: 5 events were lost before"$'\n'"ringbuf-read: 1 events read, 0 lost" ]

	# The variable of this name, in the section of a program's variables.
	map-edit "$BPFFS/maps/events0_bss" add lost=6
	send_bytes 'bytes(14)'
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 1 --lost "$BPFFS/maps/events0_bss" "$RING"
	[ "$stderr" = "ringbuf-read: 6 events were lost before"$'\n'"ringbuf-read: 1 events read, 0 lost" ]
	send_bytes 'bytes(14)'
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 1 --lost "$BPFFS/maps/lost_pair" --btf "$EVENTS" "$RING"
	[ "$stderr" = "ringbuf-read: 5 events were lost before"$'\n'"ringbuf-read: 1 events read, 0 lost" ]

	# A number in a map without BTF.
	bpftool map create "$BPFFS/plain" type array key 4 value 4 entries 2 name plain
	bpftool map update pinned "$BPFFS/plain" key 0 0 0 0 value 7 0 0 0
	bpftool map update pinned "$BPFFS/plain" key 1 0 0 0 value 0 1 0 0
	send_bytes 'bytes(14)'
	run -0 --separate-stderr timeout 10 ringbuf-read --hex --count 1 --lost "$BPFFS/plain" "$RING"
	[ "$stderr" = "ringbuf-read: 263 events were lost before"$'\n'"ringbuf-read: 1 events read, 0 lost" ]
}

@test "ringbuf-read: --lost MAP that counts nothing" {
	local maps
	requires root
	events
	maps=$BPFFS/maps
	refused "open map '$maps/lost_hash': its type is hash, not array or percpu_array" \
		--hex --lost "$maps/lost_hash" "$RING"
	refused "open map '$RING': its type is ringbuf, not array or percpu_array" --hex --lost "$RING" "$RING"
	refused "open map '$BPFFS/prog': not a map" --hex --lost "$BPFFS/prog" "$RING"
	refused "open map '$maps/nothing': No such file or directory" --hex --lost "$maps/nothing" "$RING"
	refused "find the field 'lost' of map '$maps/lost_not': there is no such field, or it is not an unsigned integer" \
		--hex --lost "$maps/lost_not" "$RING"
	refused "find the field 'lost' of map '$maps/lost_text': there is no such field, or it is not an unsigned integer" \
		--hex --lost "$maps/lost_text" "$RING"
	bpftool map create "$BPFFS/plain" type array key 4 value 12 entries 1 name plain
	refused "find the field 'lost' of map '$BPFFS/plain': the map has no BTF: try --btf" \
		--hex --lost "$BPFFS/plain" "$RING"
	refused "find the field 'lost' of map '$BPFFS/plain': '$EVENTS' has no types for a map of this name" \
		--hex --lost "$BPFFS/plain" --btf "$EVENTS" "$RING"
}

@test "ringbuf-read: SIGINT and SIGTERM end it, with a summary and exit status 0" {
	local signal
	requires root
	pings
	for signal in TERM INT; do
		# A background process of a shell ignores SIGINT.
		start env --default-signal=INT ringbuf-read --lost "$STATS" "$RING"
		poll 10 catches_signals "$PID"
		send "$PING" 3
		poll 10 lines_are "$OUT" 3
		kill -"$signal" "$PID"
		ends 0
		[ "$(cat "$OUT.err")" = "ringbuf-read: 3 events read, 0 lost" ]
	done
	# It was idle all the time.
	start_reader --hex "$RING"
	kill "$PID"
	ends 0
	[ "$(cat "$OUT.err")" = "ringbuf-read: 0 events read" ]
}

@test "ringbuf-read: a signal ends it in the middle of a flood" {
	requires root
	pings
	start_reader --json --lost "$STATS" "$RING"
	local reader=$PID out=$OUT
	start bpftool prog run pinned "$BPFFS/prog" data_in "$PING" repeat 4000000000
	local flood=$PID
	poll 10 test -s "$out"
	kill "$reader"
	PID=$reader OUT=$out
	ends 0
	kill -0 "$flood"
	kill "$flood"
	# All lines are whole.
	/usr/bin/python3 -c '
import json, re, sys
n = sum(1 for line in sys.stdin if json.loads(line))
assert n == int(sys.argv[1]) > 0, n' "$(sed -n 's/.*: \([0-9]*\) events read, .*/\1/p' "$out.err")" <"$out"
}

@test "ringbuf-read: a closed pipe ends it, busy or idle, with exit status 0" {
	local option
	requires root
	pings
	# There is nothing to write: the reader has to notice by itself.
	mkfifo "$BATS_TEST_TMPDIR/pipe"
	ringbuf-read --hex "$RING" >"$BATS_TEST_TMPDIR/pipe" 2>"$BATS_TEST_TMPDIR/err" 3>&- &
	PID=$! OUT=$BATS_TEST_TMPDIR/none
	STARTED+=("$PID")
	exec 7<"$BATS_TEST_TMPDIR/pipe"
	poll 10 catches_signals "$PID"
	exec 7<&-
	ends 0
	[ "$(cat "$BATS_TEST_TMPDIR/err")" = "ringbuf-read: 0 events read" ]
	# In the midst of a burst.
	for option in --json --hex; do
		send "$PING" 4000
		run -0 bash -o pipefail -c 'timeout 10 ringbuf-read "$1" "$2" | head -n 1' - $option "$RING"
		[ "$(grep -c . <<<"$output")" -eq 2 ] # the event, and the summary
	done
}

@test "ringbuf-read: a signal while nobody reads its output: a moment's patience, then an error" {
	local pipe=$BATS_TEST_TMPDIR/pipe
	requires root
	pings
	mkfifo "$pipe"
	# full: a writer would have to wait. (Bytes cannot tell: a page may be part empty.)
	full() {
		/usr/bin/python3 -c '
import os, select, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
sys.exit(bool(select.select([], [fd], [], 0)[1]))' "$pipe"
	}
	stalled_reader() {
		exec 7<>"$pipe"
		ringbuf-read --hex "$RING" >"$pipe" 2>"$OUT.err" 3>&- 7<&- &
		PID=$!
		exec 8<"$pipe" 7<&-
		STARTED+=("$PID")
		poll 10 catches_signals "$PID"
		send "$PING" 1000
		poll 10 full
		kill "$PID"
	}
	OUT=$BATS_TEST_TMPDIR/out
	stalled_reader
	ends 1
	[ "$(cat "$OUT.err")" = "ringbuf-read: write to standard output: stopped before all was written" ]
	exec 8<&-

	# Somebody reads after all.
	stalled_reader
	timeout 10 cat <&8 >"$OUT"
	ends 0
	exec 8<&-
	[ "$(cat "$OUT.err")" = "ringbuf-read: $(wc -l <"$OUT") events read" ]
	[ "$(awk '{ print NF }' "$OUT" | sort -u)" -eq 56 ] # all lines are whole
}

@test "ringbuf-read: a terminal that hangs up ends it, idle" {
	requires root
	pings
	run -0 /usr/bin/python3 - "$RING" <<-'PY'
		import os, pty, subprocess, sys
		master, slave = pty.openpty()
		reader = subprocess.Popen(["ringbuf-read", "--hex", sys.argv[1]], stdout=slave,
		                          stderr=subprocess.DEVNULL, start_new_session=True)
		os.close(slave)
		os.close(master)
		sys.exit(reader.wait(10))
	PY
}

@test "ringbuf-read: --verbose lets libbpf speak, and nothing else does" {
	requires root
	pings
	head -c 5000 "$EVENTS" >"$BATS_TEST_TMPDIR/cut"
	run -1 ringbuf-read --btf "$BATS_TEST_TMPDIR/cut" "$RING"
	[ "${#lines[@]}" -eq 1 ]
	run -1 ringbuf-read --verbose --btf "$BATS_TEST_TMPDIR/cut" "$RING"
	[[ $output == *"libbpf: "* ]]
}

# bats test_tags=kernel-free
@test "ringbuf-read: a full disk is an error" {
	local option
	requires root
	pings
	for option in --json --hex; do
		send "$PING"
		fails 1 "ringbuf-read: write to standard output: No space left on device" \
			timeout 10 bash -c 'ringbuf-read "$1" "$2" >/dev/full' - $option "$RING"
	done
	fails 1 "ringbuf-read: write to standard output: No space left on device" \
		bash -c 'ringbuf-read --help >/dev/full'
}

@test "ringbuf-read: sent = read + lost, and lost is said: before, while, at the end" {
	requires root
	pings
	# Nobody reads: what does not fit is lost before.
	send "$PING" 10000
	start_reader --hex --lost "$STATS" "$RING"
	# 64 bytes each in 256 KiB: 8 of header, 56 of event; one byte has to stay free.
	poll 10 lines_are "$OUT" 4095
	# Nothing else is sent, and so nothing is said but this.
	[ "$(cat "$OUT.err")" = "ringbuf-read: 5905 events were lost before" ]

	# A reader that stands still: it says so as soon as it goes on.
	kill -STOP "$PID"
	send "$PING" 10000
	kill -CONT "$PID"
	poll 10 lines_are "$OUT" $((2 * 4095))
	poll 10 grep -qx "ringbuf-read: 5905 events lost" "$OUT.err"
	kill "$PID"
	ends 0
	[ "$(tail -n 1 "$OUT.err")" = "ringbuf-read: 8190 events read, 5905 lost" ]
	[ "$(wc -l <"$OUT.err")" -eq 3 ]
}

@test "ringbuf-read: sent = read + lost, exactly, with a reader at work" {
	local option sent=2000000
	requires root
	pings
	for option in --hex --json; do
		start_reader $option --lost "$STATS" "$RING"
		send "$PING" $sent
		drained() {
			local read lost
			lost=$(bpftool -j map lookup pinned "$STATS" key 0 0 0 0 | /usr/bin/python3 -c '
import json, sys
print(sum(v["value"]["lost"] for v in json.load(sys.stdin)["formatted"]["values"]))')
			read=$(wc -l <"$OUT")
			[ $((read + lost - ${before:-0})) -eq $sent ]
		}
		poll 10 drained
		kill "$PID"
		ends 0
		[[ $(tail -n 1 "$OUT.err") =~ ^"ringbuf-read: "([0-9]+)" events read, "([0-9]+)" lost"$ ]]
		echo "$option: ${BASH_REMATCH[0]}"
		[ "${BASH_REMATCH[1]}" -eq "$(wc -l <"$OUT")" ]
		[ $((BASH_REMATCH[1] + BASH_REMATCH[2])) -eq $sent ]
		[ "${BASH_REMATCH[1]}" -gt 10000 ]
		local before=$((${before:-0} + BASH_REMATCH[2]))
	done
}

@test "ringbuf-read: what is lost in a flood is said about once a second, while it lasts" {
	requires root
	pings
	start_reader --json --lost "$STATS" "$RING"
	local reader=$PID printed=$OUT
	start bpftool prog run pinned "$BPFFS/prog" data_in "$PING" repeat 4000000000
	said() {
		[ "$(grep -c 'events lost' "$printed.err")" -ge 2 ]
	}
	SECONDS=0
	poll 10 said
	local seconds=$((SECONDS + 1))
	kill "$PID"
	kill "$reader"
	PID=$reader OUT=$printed
	ends 0
	[ "$(grep -c 'events lost' "$printed.err")" -le $((seconds + 2)) ]
}

@test "ringbuf-read: the fields of real packets are those that tshark sees" {
	local pcap=$BATS_TEST_TMPDIR/pcap expected=$BATS_TEST_TMPDIR/expected mac
	requires root cmd:tshark cmd:ping
	pings
	two_hosts client server
	in_ns "$server" ip link set dev veth0 xdpdrv pinned "$BPFFS/prog"
	mac=$(ip -n "$client" -j link show veth0 | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')
	start nsenter --net="/run/netns/$client" tshark -q -i veth0 -w "$pcap" -F pcap \
		"ether src $mac and (icmp or (icmp6 and (ip6[40] == 128 or ip6[40] == 129 or ip6[40] == 1)))"
	local tshark=$PID
	# Until tshark has seen one.
	capturing() {
		in_ns "$client" ping -c 1 -W 1 -e 1 10.9.0.2
		[ "$(stat -c %s "$pcap")" -gt 24 ] # more than the file's header
	}
	poll 20 capturing
	start_reader --json --lost "$STATS" "$RING"
	local events=$OUT

	in_ns "$client" ping -q -c 3 -i 0.01 -e 4660 -t 33 10.9.0.2
	in_ns "$client" ping -q -c 3 -i 0.01 -e 43981 -t 200 fd09::2
	in_ns "$server" ping -q -c 2 -i 0.01 -e 513 10.9.0.1
	in_ns "$server" ping -q -c 2 -i 0.01 -e 770 fd09::1
	# A closed port: type 3 code 3, type 1 code 4.
	in_ns "$server" bash -c 'echo >/dev/udp/10.9.0.1/9; echo >/dev/udp/fd09::1/9'
	captured() {
		tshark -r "$pcap" -Y 'icmp.ident != 1 or icmp.type == 3 or icmpv6' -T fields -E occurrence=f \
			-E separator=, -e ip.src -e ipv6.src -e ip.dst -e ipv6.dst -e icmp.type -e icmpv6.type \
			-e icmp.code -e icmpv6.code -e ip.ttl -e ipv6.hlim -e icmp.ident \
			-e icmpv6.echo.identifier -e icmp.seq -e icmpv6.echo.sequence_number 2>/dev/null >"$expected"
		lines_are "$expected" 12
	}
	poll 20 captured
	agree() {
		/usr/bin/python3 - "$expected" "$events" <<-'PY'
			import json, sys
			number = lambda text: int(text or "0", 0)
			theirs, ours = [], []
			for line in open(sys.argv[1]):
			    f = line.rstrip("\n").split(",")
			    src, dst, *rest = [a or b for a, b in zip(f[0::2], f[1::2])]
			    theirs.append((6 if f[1] else 4, src, dst, *map(number, rest)))
			for line in open(sys.argv[2]):
			    e = json.loads(line)
			    if e["version"] == 6 and e["type"] >= 130:  # neighbour discovery
			        continue
			    if e["id"] == 1 and e["version"] == 4:  # to wait for tshark
			        continue
			    ours.append(tuple(e[k] for k in "version saddr daddr type code ttl id sequence".split()))
			assert theirs == ours, f"tshark:\n{theirs}\nringbuf-read:\n{ours}"
			assert {t[3] for t in theirs if t[0] == 4} == {0, 3, 8}, theirs
			assert {t[3] for t in theirs if t[0] == 6} == {1, 128, 129}, theirs
		PY
	}
	poll 10 agree
	kill "$tshark"
}

@test "ringbuf-read: what a listed address sends is an event with verdict XDP_DROP" {
	requires root
	pings
	bpftool map update pinned "$BPFFS/maps/ping_hash" key 192 0 2 1 value 0 0 0 0
	send "$PING"
	run -0 timeout 10 ringbuf-read --count 1 --json "$RING"
	[[ ${lines[0]} == *'"verdict":"XDP_DROP"}' ]]
}

@test "ringbuf-read: integers and bool" {
	requires root
	events
	shows numbers 'pack("=BbHhxxIiQq??6x", 255, -128, 65535, -32768, 2**32-1, -2**31, 2**64-1, -2**63, True, False)' \
		"u8=255 s8=-128 u16=65535 s16=-32768 u32=4294967295 s32=-2147483648 u64=18446744073709551615 s64=-9223372036854775808 yes=true no=false" \
		'{"u8":255,"s8":-128,"u16":65535,"s16":-32768,"u32":4294967295,"s32":-2147483648,"u64":18446744073709551615,"s64":-9223372036854775808,"yes":true,"no":false}'
	shows numbers 'pack("=BbHhxxIiQq??6x", 1, 2, 0x0102, 4, 5, 6, 7, 8, False, True)' \
		"u8=1 s8=2 u16=258 s16=4 u32=5 s32=6 u64=7 s64=8 yes=false no=true" \
		'{"u8":1,"s8":2,"u16":258,"s16":4,"u32":5,"s32":6,"u64":7,"s64":8,"yes":false,"no":true}'
}

@test "ringbuf-read: ports, addresses, MAC" {
	requires root
	events
	shows addresses 'pack(">H", 7777) + bytes.fromhex("02004cFF0a01") + ip4("192.0.2.66") + ip6("2001:db8::42") + ip6("::ffff:198.51.100.7") + bytes(4) + pack(">Q", 2**40)' \
		"port=7777 mac=02:00:4c:ff:0a:01 v4=192.0.2.66 v6=2001:db8::42 mapped=198.51.100.7 be64=1099511627776" \
		'{"port":7777,"mac":"02:00:4c:ff:0a:01","v4":"192.0.2.66","v6":"2001:db8::42","mapped":"198.51.100.7","be64":1099511627776}'
	# IPv4-compatible and unspecified addresses are no v4-mapped ones.
	shows addresses 'pack(">H", 1) + bytes(6) + ip4("0.0.0.0") + ip6("::") + ip6("::1") + bytes(12)' \
		"port=1 mac=00:00:00:00:00:00 v4=0.0.0.0 v6=:: mapped=::1 be64=0" \
		'{"port":1,"mac":"00:00:00:00:00:00","v4":"0.0.0.0","v6":"::","mapped":"::1","be64":0}'
}

@test "ringbuf-read: text, with quotes, UTF-8, newlines, without a NUL, broken" {
	requires root
	events
	shows texts 'b"eth0".ljust(8, b"\0") + b"\"a\\\" b".ljust(8, b"\0") + "h\u00e9\u20ac".encode().ljust(8, b"\0") + b"a\nb\t\x1b[m\0" + b"full" + b"\xff\xc3x\0"' \
		'plain="eth0" quoted="\"a\\\" b" utf8="h\xc3\xa9\xe2\x82\xac" lines="a\nb\t\x1b[m" full="full" broken="\xff\xc3x"' \
		'{"plain":"eth0","quoted":"\"a\\\" b","utf8":"h\u00e9\u20ac","lines":"a\nb\t\u001b[m","full":"full","broken":"\ufffd\ufffdx"}'
	# What is behind the NUL is not text to JSON.
	shows texts 'b"a\0secret" + bytes(32)' \
		'plain="a\x00secret" quoted="" utf8="" lines="" full="" broken=""' \
		'{"plain":"a","quoted":"","utf8":"","lines":"","full":"","broken":""}'
}

@test "ringbuf-read: enums, known and unknown, negative, of one byte" {
	requires root
	events
	shows enums 'pack("=IIIiiBBxx", 1, 7, 2**32-1, -5, -6, 200, 201)' \
		"known=GREEN unknown=7 last=LAST negative=COLD unknown_negative=-6 tiny=TINY_MANY unknown_tiny=201" \
		'{"known":"GREEN","unknown":7,"last":"LAST","negative":"COLD","unknown_negative":-6,"tiny":"TINY_MANY","unknown_tiny":201}'
	shows enums 'pack("=IIIiiBBxx", 200, 0, 0, 30, 0, 1, 255)' \
		"known=BLUE unknown=RED last=RED negative=HOT unknown_negative=MILD tiny=TINY_ONE unknown_tiny=255" \
		'{"known":"BLUE","unknown":"RED","last":"RED","negative":"HOT","unknown_negative":"MILD","tiny":"TINY_ONE","unknown_tiny":255}'
}

@test "ringbuf-read: enums of 64 bits: clang 14 cuts their values short, so they have no names" {
	requires root
	clang --version | grep -q 'version 14' || skip "clang is not clang 14"
	events
	shows wides 'pack("=QQQ", 0x100000002, 2**64-1, 2)' \
		"low=4294967298 all=18446744073709551615 unknown=2" \
		'{"low":4294967298,"all":18446744073709551615,"unknown":2}'
}

@test "ringbuf-read: enums of 64 bits, by name with clang 19" {
	requires root cmd:clang-19
	events
	send_bytes 'pack("=QQQ", 0x100000002, 2**64-1, 2)'
	reads "low=WIDE_LOW all=WIDE_ALL unknown=2" --type wides --btf "$BATS_FILE_TMPDIR/events0.clang-19.o"
	send_bytes 'pack("=QQQ", 1, 2**64-1, 2**64-2)'
	reads '{"low":"WIDE_ONE","all":"WIDE_ALL","unknown":18446744073709551614}' --json --type wides \
		--btf "$BATS_FILE_TMPDIR/events0.clang-19.o"
	# And the signs of the others, which it tells and clang 14 does not.
	send_bytes 'pack("=IIIiiBBxx", 1, 7, 2**32-1, -5, -6, 200, 201)'
	reads "known=GREEN unknown=7 last=LAST negative=COLD unknown_negative=-6 tiny=TINY_MANY unknown_tiny=201" \
		--type enums --btf "$BATS_FILE_TMPDIR/events0.clang-19.o"
}

@test "ringbuf-read: structs, anonymous unions and structs, arrays, pointers" {
	requires root
	events
	shows nested 'pack("=H", 5) + pack(">H", 6) + bytes([1, 2, 3, 4]) + bytes([7, 8]) + pack("=H", 9) + pack(">H", 10) + pack("=H", 11) + pack(">H", 12) + pack("=6H", *range(20, 26)) + bytes(2) + pack("=Q", 0xffff888000000000)' \
		"inner={x=5 y=6} word=67305985 c=7 d=8 several=[{x=9 y=10} {x=11 y=12}] grid=[[20 21 22] [23 24 25]] pointer=18446612682070032384 none=[]" \
		'{"inner":{"x":5,"y":6},"word":67305985,"bytes":[1,2,3,4],"c":7,"d":8,"several":[{"x":9,"y":10},{"x":11,"y":12}],"grid":[[20,21,22],[23,24,25]],"pointer":18446612682070032384,"none":[]}'
}

@test "ringbuf-read: a packed struct" {
	requires root
	events
	shows packed 'pack("=BQ", 1, 0x0102030405060708) + ip4("192.0.2.1") + pack("=H", 65535)' \
		"first=1 odd=72623859790382856 v4=192.0.2.1 last=65535" \
		'{"first":1,"odd":72623859790382856,"v4":"192.0.2.1","last":65535}'
}

# System V ABI: from the lowest bit on. tests/tools/value.bats has the compilers say it.
@test "ringbuf-read: bitfields" {
	requires root
	events
	shows bits 'pack("=II", 7, 5 + (13 << 3) + (2000 << 7) + (11 << 18) + (1 << 22))' \
		"whole=7 three=5 four=-3 eleven=2000 temper=COLD flag=true" \
		'{"whole":7,"three":5,"four":-3,"eleven":2000,"temper":"COLD","flag":true}'
}

@test "ringbuf-read: integers of 128 bits and floats are refused" {
	requires root
	events
	refused "read type '__int128': an integer of 128 bits is not supported" --type huge "$RING"
	# Before Linux 5.13 the kernel knows no floats, and libbpf gives it something else.
	refused "read type 'float': floating point is not supported" --btf "$EVENTS" --type real "$RING"
	# Their bytes can be had.
	send_bytes 'bytes(14)'
	reads "00 00 00 00 00 00 00 00 00 00 00 00 00 00" --hex
}

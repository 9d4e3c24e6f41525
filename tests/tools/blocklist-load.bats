#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # bats sets stderr and stderr_lines
# shellcheck disable=SC2030,SC2031 # each test is a subshell

# stray_lists() counts the maps that are called as those of xdp_blocklist:
# finds by name: xdp_blocklist
load ../lib/helpers

BLOCKLIST=$BATS_TEST_DIRNAME/../objects/blocklist.py

# load_blocklist: the program and its maps, each under its name, in $BPFFS/dir.
load_blocklist() {
	bpftool prog load "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/prog" pinmaps "$BPFFS/dir"
}

# loads ARGUMENT...: into $BPFFS/dir, and it says nothing on stderr.
loads() {
	run -0 --separate-stderr blocklist-load "$BPFFS/dir" "$@"
	[ -z "$stderr" ]
}

# in_force [LINE...]: --dump prints exactly this.
in_force() {
	local expected=""
	[ $# -eq 0 ] || expected=$(printf '%s\n' "$@")
	run -0 --separate-stderr blocklist-load --dump "$BPFFS/dir"
	if [ "$output" != "$expected" ] || [ -n "$stderr" ]; then
		printf 'expected:\n%s\nin force:\n%s\n%s\n' "$expected" "$output" "$stderr" >&2
		return 1
	fi
}

# write_list TEXT [NAME]: a list in $BATS_TEST_TMPDIR/NAME, "file" by default; \n and the like are
# expanded.
write_list() {
	printf '%b' "$1" >"$BATS_TEST_TMPDIR/${2:-file}"
}

# list_id: the id of the map that is the list in force.
list_id() {
	map-edit "$BPFFS/dir/blocklist" show
}

# bats test_tags=kernel-free
@test "blocklist-load: wrong usage" {
	misuse "DIR is missing"
	misuse "FILE is missing" dir
	misuse "FILE is missing" --check
	misuse "DIR is missing" --dump
	misuse "DIR is missing" --stats
	misuse "DIR is missing" --room 8
	misuse "DIR is empty" "" file
	misuse "DIR is empty" --dump ""
	misuse "too many arguments: 'more'" --dump dir more
	misuse "too many arguments: 'more'" --stats dir more
	misuse "too many arguments: 'more'" --room 8 dir more
	misuse "only one of --check, --dump, --stats, --room can be given" --check --dump dir
	misuse "only one of --check, --dump, --stats, --room can be given" -s -r 8 dir
	misuse "--skip-bad goes with FILEs" --skip-bad --dump dir
	misuse "--skip-bad goes with FILEs" -k -s dir
	misuse "--json and --pretty do not go with --room" -j --room 8 dir
	misuse "MIB '0' is not between 1 and 65536" --room 0 dir
	misuse "MIB '65537' is not between 1 and 65536" --room=65537 dir
	misuse "MIB '8M' is not a number" --room 8M dir
	misuse "option '--room' requires an argument" dir --room
	misuse "option '--check' doesn't allow an argument" --check=1 dir
}

@test "blocklist-load: lines as they are published: comments, blanks, carriage returns, both families" {
	requires root
	load_blocklist
	write_list '# a comment\n; another\n\n  \t\n192.0.2.1\n  198.51.100.0/24  \n\t203.0.113.0/24 ; SBL7\n'
	write_list '\xef\xbb\xbf10.0.0.0/8# glued\n172.16.0.0/12;glued\r\n2001:DB8::/32 # upper case\r\n\r\n' two
	write_list '2001:0db8:0000:0000:0000:0000:0000:0001\n::ffff:192.0.2.1\nfe80::/10\n192.168.0.0/16' three
	loads "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/two" "$BATS_TEST_TMPDIR/three"
	[[ $output =~ ^10\ read,\ 9\ merged:\ 6\ IPv4,\ 3\ IPv6,\ 12\.0\ MiB,\ [0-9]+\ ms$ ]]
	in_force 10.0.0.0/8 172.16.0.0/12 192.0.2.1/32 192.168.0.0/16 198.51.100.0/24 203.0.113.0/24 \
		::ffff:192.0.2.1/128 2001:db8::/32 fe80::/10
	loads /dev/null
	[[ $output =~ ^0\ read,\ 0\ merged:\ 0\ IPv4,\ 0\ IPv6,\ 0\.0\ MiB,\ [0-9]+\ ms$ ]]
	in_force
}

@test "blocklist-load: gzip, by what it is and not by its name; standard input" {
	requires root cmd:gzip
	load_blocklist
	write_list '192.0.2.1\n' plain.gz
	write_list '192.0.2.3\n' a
	write_list '192.0.2.5\n' b
	# Members one behind the other are one file (RFC 1952 section 2.2).
	{ gzip -c "$BATS_TEST_TMPDIR/a"; gzip -9c "$BATS_TEST_TMPDIR/b"; } >"$BATS_TEST_TMPDIR/zipped.txt"
	loads "$BATS_TEST_TMPDIR/plain.gz" "$BATS_TEST_TMPDIR/zipped.txt"
	in_force 192.0.2.1/32 192.0.2.3/32 192.0.2.5/32
	loads - <"$BATS_TEST_TMPDIR/zipped.txt"
	in_force 192.0.2.3/32 192.0.2.5/32
	loads - "$BATS_TEST_TMPDIR/a" <"$BATS_TEST_TMPDIR/plain.gz"
	in_force 192.0.2.1/32 192.0.2.3/32

	head -c 20 "$BATS_TEST_TMPDIR/zipped.txt" >"$BATS_TEST_TMPDIR/cut"
	refused "read '$BATS_TEST_TMPDIR/cut': unexpected end of file" "$BPFFS/dir" "$BATS_TEST_TMPDIR/cut"
	{ head -c 12 "$BATS_TEST_TMPDIR/zipped.txt"; printf 'garbage that is no deflate stream'; } \
		>"$BATS_TEST_TMPDIR/broken"
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/broken"
	[[ $stderr == "blocklist-load: read '$BATS_TEST_TMPDIR/broken': "* ]]
	in_force 192.0.2.1/32 192.0.2.3/32
}

# bats test_tags=kernel-free
@test "blocklist-load: every bad line is named, with what is wrong, and nothing is changed" {
	local file=$BATS_TEST_TMPDIR/file two=$BATS_TEST_TMPDIR/two
	requires root
	load_blocklist
	write_list '192.0.2.7\n' good
	loads "$BATS_TEST_TMPDIR/good"
	write_list '10.0.0.1\n10.1.2.3/8\nexample.org\n10.0.0.0/33\n10.0.0\n010.0.0.1\n10.0.0.1 10.0.0.2\n'
	write_list '2001:db8::1/32\n2001:db8::/129\n2001:db8:::\n10.0.0.1-10.0.0.9\n-1\n10.0.0.0/\n1.2.3.4/x # 7\n' two
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" "$file" "$two"
	[ -z "$output" ]
	diff - <(echo "$stderr") <<-END
		blocklist-load: $file:2: host bits are set: did you mean 10.0.0.0/8?
		blocklist-load: $file:3: 'example.org' is not an IPv4 address or prefix
		blocklist-load: $file:4: '10.0.0.0/33' has a prefix length that is not 0 to 32
		blocklist-load: $file:5: '10.0.0' is not an IPv4 address or prefix
		blocklist-load: $file:6: '010.0.0.1' is not an IPv4 address or prefix
		blocklist-load: $file:7: unexpected text after the value: ' 10.0.0.2'
		blocklist-load: $two:1: host bits are set: did you mean 2001:db8::/32?
		blocklist-load: $two:2: '2001:db8::/129' has a prefix length that is not 0 to 128
		blocklist-load: $two:3: '2001:db8:::' is not an IPv6 address or prefix
		blocklist-load: $two:4: '10.0.0.1-10.0.0.9' is not an IPv4 address or prefix
		blocklist-load: $two:5: '-1' is not an IPv4 address or prefix
		blocklist-load: $two:6: '10.0.0.0/' has a prefix length that is not 0 to 32
		blocklist-load: $two:7: '1.2.3.4/x' has a prefix length that is not 0 to 32
		blocklist-load: load the lists into '$BPFFS/dir': 13 bad lines, nothing is changed
	END
	in_force 192.0.2.7/32
	printf '1.2.3.4/5' >"$file"
	refused "standard input:1: host bits are set: did you mean 0.0.0.0/5?
blocklist-load: load the lists into '$BPFFS/dir': 1 bad line, nothing is changed" "$BPFFS/dir" - <"$file"
	in_force 192.0.2.7/32

	# Left out: they are named all the same.
	run -0 --separate-stderr blocklist-load --skip-bad "$BPFFS/dir" "$two" "$BATS_TEST_TMPDIR/good" "$file"
	[[ $output =~ ^1\ read,\ 8\ bad,\ 1\ merged:\ 1\ IPv4,\ 0\ IPv6, ]]
	[ "$(wc -l <<<"$stderr")" -eq 8 ]
	in_force 192.0.2.7/32
	write_list '10.0.0.1\nno\n'
	run -0 --separate-stderr blocklist-load -kj "$BPFFS/dir" "$file"
	[[ $output =~ ^'{"read":1,"bad":1,"merged":1,"ipv4":1,"ipv6":0,"bytes":'[0-9]+',"milliseconds":'[0-9]+'}'$ ]]
	[ "$stderr" = "blocklist-load: $file:2: 'no' is not an IPv4 address or prefix" ]
	in_force 10.0.0.1/32
}

# bats test_tags=kernel-free
@test "blocklist-load: lines that are no text, or long, or without end, are bad lines" {
	local file=$BATS_TEST_TMPDIR/file
	printf '10.0.0.1\0\n\x1b[2J\n%s\n' "$(printf '1%.0s' {1..300})" >"$file"
	run -1 --separate-stderr blocklist-load --check "$file"
	[ "${#stderr_lines[@]}" -eq 4 ]
	[ "${stderr_lines[1]}" = "blocklist-load: $file:2: '\x1b' is not an IPv4 address or prefix" ]
	run ! grep -q $'\x1b' <<<"$stderr"
	head -c 100000 /dev/urandom >"$file"
	run -1 --separate-stderr blocklist-load --check "$file"
	head -c 1000000 /dev/zero | tr '\0' 1 >"$file"
	run -1 --separate-stderr blocklist-load --check "$file"
	[ "${#stderr_lines[@]}" -eq 2 ]

	# A megabyte of a line is enough, and what is behind it is another line. The first is as long
	# as one may be.
	/usr/bin/python3 -c '
megabyte = 1 << 20
print("10.0.0.1;".ljust(megabyte - 1, "x"))
print("10.0.0.2;".ljust(megabyte, "x"))
print("10.0.0.3;".ljust(3 * megabyte + 1, "x"))
print("10.0.0.4", "10.0.0.5".rjust(3 * megabyte), sep="\n", end="")' >"$file"
	run -0 --separate-stderr blocklist-load --check --skip-bad "$file"
	diff - <(echo "$stderr") <<-END
		blocklist-load: $file:2: the line is longer than a megabyte
		blocklist-load: $file:3: the line is longer than a megabyte
		blocklist-load: $file:5: the line is longer than a megabyte
	END
	[[ $output == "2 read, 3 bad, "* ]]
}

# bats test_tags=kernel-free
@test "blocklist-load: a file larger than memory is read all the same, and a list that is too long is an error" {
	requires cmd:gzip
	# What unpacks to 100 MB, as who publishes a list could have it.
	(
		yes '# 10.0.0.1' | head -c 100000000 || true
		echo
		echo 10.0.0.2
	) | gzip -1 >"$BATS_TEST_TMPDIR/file"
	run -0 --separate-stderr in_40_mb blocklist-load --check "$BATS_TEST_TMPDIR/file"
	[[ $output == "1 read, 1 merged: "* ]]
	yes 10.0.0.1 | head -n 2500000 | gzip -1 >"$BATS_TEST_TMPDIR/file"
	fails 1 "blocklist-load: out of memory" in_40_mb blocklist-load --check "$BATS_TEST_TMPDIR/file"
}

in_40_mb() {
	(
		ulimit -v 40000
		exec "$@"
	)
}

@test "blocklist-load: overlapping and adjacent ones are made the fewest CIDRs" {
	requires root
	load_blocklist
	write_list '10.0.0.0/25\n10.0.0.128/25\n10.0.1.0/24\n10.0.0.7\n10.0.2.0/24\n10.0.0.0/25\n'
	loads "$BATS_TEST_TMPDIR/file"
	[[ $output == "6 read, 2 merged: 2 IPv4, 0 IPv6, "* ]]
	in_force 10.0.0.0/23 10.0.2.0/24
	write_list '10.0.0.3\n10.0.0.1\n10.0.0.2\n10.0.0.255\n10.0.1.0\n2001:db8::3\n2001:db8::1\n2001:db8::2\n2001:db8::/128\n'
	loads "$BATS_TEST_TMPDIR/file"
	in_force 10.0.0.1/32 10.0.0.2/31 10.0.0.255/32 10.0.1.0/32 2001:db8::/126
	write_list '0.0.0.0/1\n128.0.0.0/1\n::/1\n8000::/1\n::1\n1.1.1.1\n'
	loads "$BATS_TEST_TMPDIR/file"
	in_force 0.0.0.0/0 ::/0
	write_list '255.255.255.254/31\n0.0.0.0\nffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127\n::\n1fff:ffff::/32\n2000::/32\n3fff:ffff::/32\n4000::/32\n'
	loads "$BATS_TEST_TMPDIR/file"
	in_force 0.0.0.0/32 255.255.255.254/31 ::/128 1fff:ffff::/32 2000::/32 3fff:ffff::/32 4000::/32 \
		ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127
}

@test "blocklist-load: --dump is what ipaddress makes of the list, and is taken back as it is" {
	local seed
	requires root
	load_blocklist
	for seed in $RANDOM $RANDOM $RANDOM; do
		echo "seed $seed"
		"$BLOCKLIST" list "$seed" 3000 >"$BATS_TEST_TMPDIR/list"
		loads "$BATS_TEST_TMPDIR/list"
		"$BLOCKLIST" collapse <"$BATS_TEST_TMPDIR/list" >"$BATS_TEST_TMPDIR/expected"
		blocklist-load --dump "$BPFFS/dir" >"$BATS_TEST_TMPDIR/dump"
		# Python 3.11 writes v4-mapped addresses in hexadecimal.
		diff "$BATS_TEST_TMPDIR/expected" <("$BLOCKLIST" collapse <"$BATS_TEST_TMPDIR/dump")
		[ "$(wc -l <"$BATS_TEST_TMPDIR/dump")" -eq "$(wc -l <"$BATS_TEST_TMPDIR/expected")" ]
		loads "$BATS_TEST_TMPDIR/dump"
		blocklist-load --dump "$BPFFS/dir" | diff "$BATS_TEST_TMPDIR/dump" -
		blocklist-load --dump --json "$BPFFS/dir" >"$BATS_TEST_TMPDIR/json"
		/usr/bin/python3 -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' \
			"$BATS_TEST_TMPDIR/json" | diff "$BATS_TEST_TMPDIR/dump" -
	done
}

@test "blocklist-load: a million addresses, in the memory that README.md says" {
	requires root
	load_blocklist
	/usr/bin/python3 -c '
import random
rand = random.Random(7)
for _ in range(900000):
    a = rand.getrandbits(32)
    print(f"{a >> 24}.{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}")
for _ in range(100000):
    a = 2 << 60 | rand.getrandbits(61)
    print(f"{a >> 48:x}:{a >> 32 & 0xffff:x}:{a >> 16 & 0xffff:x}:{a & 0xffff:x}::/64")' >"$BATS_TEST_TMPDIR/list"
	loads --json "$BATS_TEST_TMPDIR/list"
	echo "$output"
	[[ $output == '{"read":1000000,"bad":0,"merged":'* ]]
	/usr/bin/python3 -c '
import json, sys
sys.exit(json.loads(sys.argv[1])["bytes"] > 2 * (6 << 20) + 1000000 * 32 + 4096)' "$output"
	blocklist-load --dump "$BPFFS/dir" >"$BATS_TEST_TMPDIR/dump"
	# The same addresses are in both.
	/usr/bin/python3 - "$BATS_TEST_TMPDIR/list" "$BATS_TEST_TMPDIR/dump" <<-'PY'
		import socket, sys
		def spread(path):
		    for line in open(path):
		        address, _, length = line.strip().partition("/")
		        if ":" in address:
		            first = int.from_bytes(socket.inet_pton(socket.AF_INET6, address)[:8], "big")
		            bits = 64
		        else:
		            first, bits = int.from_bytes(socket.inet_aton(address), "big"), 32
		        yield from range(first, first + 2 ** (bits - int(length or bits)))
		listed, dumped = (set(spread(path)) for path in sys.argv[1:])
		print(len(listed), len(dumped))
		sys.exit(listed != dumped or len(listed) < 999000)
	PY
}

# bats test_tags=kernel-free
@test "blocklist-load: --check reads, says what is bad, and does not touch the kernel" {
	local file=$BATS_TEST_TMPDIR/file
	requires cmd:strace
	write_list '10.0.0.0/25\n10.0.0.128/25\n2001:db8::/32\n'
	run -0 --separate-stderr strace -o "$BATS_TEST_TMPDIR/trace" -e trace=bpf blocklist-load --check "$file"
	[[ $output =~ ^3\ read,\ 2\ merged:\ 1\ IPv4,\ 1\ IPv6,\ 12\.0\ MiB,\ [0-9]+\ ms$ ]]
	run ! grep -q 'bpf(' "$BATS_TEST_TMPDIR/trace"
	run -0 --separate-stderr blocklist-load --check --pretty "$file"
	[[ $output == $'{\n    "read": 3,\n    "bad": 0,\n    "merged": 2,\n    "ipv4": 1,\n    "ipv6": 1,\n    "bytes": '* ]]
	refused "read '/nonexistent': No such file or directory" --check "$file" /nonexistent
	echo 10.0.0.1/8 >>"$file"
	refused "$file:4: host bits are set: did you mean 10.0.0.0/8?
blocklist-load: check the lists: 1 bad line" --check "$file"
	run -0 --separate-stderr blocklist-load --check --skip-bad "$file"
	[[ $output == "3 read, 1 bad, 2 merged: "* ]]
}

@test "blocklist-load: what is wrong with files and pins is said" {
	local dir=$BPFFS/dir file=$BATS_TEST_TMPDIR/file
	requires root
	write_list '10.0.0.1\n'
	load_blocklist
	refused "read '/nonexistent': No such file or directory" "$dir" /nonexistent
	refused "read '/': Is a directory" "$dir" /
	chmod 600 "$file"
	fails 1 "blocklist-load: read '$file': Permission denied" as_user blocklist-load --check "$file"
	fails 1 "blocklist-load: read standard input: Bad file descriptor" sh -c 'blocklist-load --check - <&-'
	# shellcheck disable=SC2016 # sh expands it
	fails 1 "blocklist-load: write to standard output: No space left on device" \
		sh -c 'blocklist-load --stats "$0" >/dev/full' "$dir"
	refused "open map '/nonexistent/blocklist': No such file or directory" /nonexistent "$file"
	refused "open map '/nonexistent/blocklist': No such file or directory" --dump /nonexistent
	refused "open map '/nonexistent/block_stats': No such file or directory" --stats /nonexistent
	touch "$BATS_TEST_TMPDIR/blocklist" "$BATS_TEST_TMPDIR/block_stats"
	refused "open map '$BATS_TEST_TMPDIR/blocklist': not on a bpffs" "$BATS_TEST_TMPDIR" "$file"
	refused "open map '$BATS_TEST_TMPDIR/block_stats': not on a bpffs" --stats "$BATS_TEST_TMPDIR"

	# Maps of others.
	mkdir "$BPFFS/wrong"
	ln "$BPFFS/prog" "$BPFFS/wrong/blocklist" 2>/dev/null || bpftool prog pin pinned "$BPFFS/prog" "$BPFFS/wrong/blocklist"
	refused "open map '$BPFFS/wrong/blocklist': not a map" "$BPFFS/wrong" "$file"
	rm "$BPFFS/wrong/blocklist"
	bpftool map create "$BPFFS/wrong/blocklist" type hash key 4 value 4 entries 1 name hookset_wrong
	refused "open map '$BPFFS/wrong/blocklist': its type is hash: it is not that of xdp_blocklist" \
		"$BPFFS/wrong" "$file"
	bpftool map create "$BPFFS/wrong/of_maps" type array_of_maps key 4 value 4 entries 1 \
		name hookset_wrong inner_map pinned "$BPFFS/wrong/blocklist"
	mv "$BPFFS/wrong/of_maps" "$BPFFS/wrong/blocklist"
	refused "put the list in force in '$BPFFS/wrong': Invalid argument (its blocklist is not that of this xdp_blocklist)" \
		"$BPFFS/wrong" "$file"
	bpftool map create "$BPFFS/wrong/block_stats" type array key 4 value 4 entries 1 name hookset_wrong
	refused "open map '$BPFFS/wrong/block_stats': it is not that of xdp_blocklist" --stats "$BPFFS/wrong"
	in_force
}

@test "blocklist-load: before a list was loaded, --dump prints none and --stats zeros" {
	requires root
	load_blocklist
	in_force
	run -0 blocklist-load --dump --json "$BPFFS/dir"
	[ "$output" = "[]" ]
	run -0 blocklist-load --stats --pretty "$BPFFS/dir"
	[ "$output" = $'{\n    "dropped4": 0,\n    "dropped6": 0\n}' ]
	run -0 blocklist-load -s "$BPFFS/dir"
	[ "$output" = "dropped4=0 dropped6=0" ]
}

# ---- plain users

# as_nobody: the pins are theirs, of mode 0600.
as_nobody() {
	map-pin --owner 65534 prog "$BPFFS/prog" "$BPFFS/theirs"
	write_list '10.0.0.0/8\n2001:db8::/32\n'
	chmod 644 "$BATS_TEST_TMPDIR/file"
}

@test "blocklist-load: a plain user may not make lists, and is told what would help" {
	local error="Operation not permitted (needs CAP_BPF, or the room that --room makes)"
	requires root unprivileged-map-access
	[ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" -ne 0 ] || skip "here a plain user may make maps"
	load_blocklist
	as_nobody
	run -0 as_user blocklist-load --check "$BATS_TEST_TMPDIR/file"
	fails 1 "blocklist-load: make a list of 12.0 MiB: $error" \
		as_user blocklist-load "$BPFFS/theirs" "$BATS_TEST_TMPDIR/file"
	in_force
	run -0 as_user blocklist-load --stats "$BPFFS/theirs"
	loads "$BATS_TEST_TMPDIR/file"
	run -1 --separate-stderr as_user blocklist-load --dump "$BPFFS/theirs"
	[[ $stderr =~ ^"blocklist-load: open list "[0-9]+": Operation not permitted (needs CAP_SYS_ADMIN, or the room that --room makes)"$ ]]
	chmod 640 "$BPFFS/theirs/blocklist"
	chown 0 "$BPFFS/theirs/blocklist"
	fails 1 "blocklist-load: open map '$BPFFS/theirs/blocklist': Permission denied" \
		as_user blocklist-load "$BPFFS/theirs" "$BATS_TEST_TMPDIR/file"
}

@test "blocklist-load: with CAP_BPF and the pins it can" {
	requires root cap-bpf
	load_blocklist
	as_nobody
	# Before Linux 5.11 maps are part of what it limits; from then on it need not be raised.
	ulimit -l unlimited 2>/dev/null || true
	with_cap_bpf blocklist-load "$BPFFS/theirs" "$BATS_TEST_TMPDIR/file"
	in_force 10.0.0.0/8 2001:db8::/32
}

@test "blocklist-load: --room: a plain user loads, dumps and counts, with the pins alone" {
	local last # bats's run has an i of its own
	requires root unprivileged-map-access
	load_blocklist
	as_nobody
	blocklist-load --room 16 "$BPFFS/theirs"
	pins_are "$BPFFS/theirs" block_stats blocklist blocklist_a blocklist_b
	[ "$(stat -c '%a %u %g' "$BPFFS/theirs"/blocklist_?)" = "$(stat -c '%a %u %g' "$BPFFS/theirs"/blocklist{,})" ]
	run -0 as_user blocklist-load --dump "$BPFFS/theirs"
	[ -z "$output" ]
	for last in 1 2 3; do
		run -0 as_user blocklist-load "$BPFFS/theirs" "$BATS_TEST_TMPDIR/file"
		[[ $output == "2 read, 2 merged: 1 IPv4, 1 IPv6, 12.0 MiB, "* ]]
		run -0 as_user blocklist-load --dump "$BPFFS/theirs"
		[ "$output" = $'10.0.0.0/8\n2001:db8::/32' ]
		in_force 10.0.0.0/8 2001:db8::/32
		echo 192.0.2.$last | as_user blocklist-load "$BPFFS/theirs" -
		run -0 as_user blocklist-load --dump "$BPFFS/theirs"
		[ "$output" = 192.0.2.$last/32 ]
	done
	run -0 as_user blocklist-load --stats "$BPFFS/theirs"
	[ "$output" = "dropped4=0 dropped6=0" ]
	# Who may only read can dump.
	chmod 444 "$BPFFS/theirs"/*
	chown 0 "$BPFFS/theirs"/*
	run -0 as_user blocklist-load --dump "$BPFFS/theirs"
	[ "$output" = 192.0.2.3/32 ]
	fails 1 "blocklist-load: open map '$BPFFS/theirs/blocklist': Permission denied" \
		as_user blocklist-load "$BPFFS/theirs" "$BATS_TEST_TMPDIR/file"
	# Who may not read the directory cannot lock it.
	chmod 711 "$BPFFS/theirs"
	fails 1 "blocklist-load: lock directory '$BPFFS/theirs': Permission denied" \
		as_user blocklist-load --dump "$BPFFS/theirs"
}

@test "blocklist-load: --room: one of its pins is gone: that is said, and --room mends it" {
	local pin
	requires root
	load_blocklist
	write_list '10.0.0.1\n'
	loads "$BATS_TEST_TMPDIR/file"
	for pin in a b; do
		blocklist-load --room 7 "$BPFFS/dir"
		loads "$BATS_TEST_TMPDIR/file" # the list in force is now b
		rm "$BPFFS/dir/blocklist_$pin"
		[ $pin = a ] || refused "open map '$BPFFS/dir/blocklist_b': No such file or directory" \
			"$BPFFS/dir" "$BATS_TEST_TMPDIR/file"
		blocklist-load --room 7 "$BPFFS/dir"
		pins_are "$BPFFS/dir" block_stats blocklist blocklist_a blocklist_b
		in_force 10.0.0.1/32
		echo 10.0.0.2 | loads -
		in_force 10.0.0.2/32
		loads "$BATS_TEST_TMPDIR/file"
	done
}

@test "blocklist-load: --dump: a list that is replaced while it is looked for" {
	requires root cmd:strace
	load_blocklist
	write_list '10.0.0.1\n'
	loads "$BATS_TEST_TMPDIR/file"
	# The kernel does not know the list any more whose number it has just said.
	run -0 strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf -e inject=bpf:error=ENOENT:when="$(nth_bpf GET_FD_BY_ID)" \
		blocklist-load --dump "$BPFFS/dir"
	grep -q 'BPF_MAP_GET_FD_BY_ID.*INJECTED' "$BATS_TEST_TMPDIR/log"
	[ "$output" = 10.0.0.1/32 ]
}

# nth_bpf NAME: which of the calls of bpf(2) that --dump makes is the first of that name.
nth_bpf() {
	strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf blocklist-load --dump "$BPFFS/dir" >/dev/null
	grep -n "$1" "$BATS_TEST_TMPDIR/log" | head -n 1 | cut -d: -f1
}

@test "blocklist-load: --room: what does not fit is refused, more room keeps the list" {
	local seed=$RANDOM
	requires root
	load_blocklist
	"$BLOCKLIST" list "$seed" 5000 >"$BATS_TEST_TMPDIR/list"
	loads "$BATS_TEST_TMPDIR/list"
	blocklist-load --dump "$BPFFS/dir" >"$BATS_TEST_TMPDIR/dump"
	refused "make room in '$BPFFS/dir': the list in force takes $(grep -o '[0-9.]* MiB' <<<"$output")" \
		--room 1 "$BPFFS/dir"
	pins_are "$BPFFS/dir" block_stats blocklist
	blocklist-load --room 40 "$BPFFS/dir"
	blocklist-load --dump "$BPFFS/dir" | diff "$BATS_TEST_TMPDIR/dump" -
	loads /dev/null
	loads /dev/null
	blocklist-load --room=1 "$BPFFS/dir"
	in_force
	refused "make the list: it takes $(blocklist-load --check "$BATS_TEST_TMPDIR/list" |
		grep -o '[0-9.]* MiB'), and there is room for 1.0, see --room" "$BPFFS/dir" "$BATS_TEST_TMPDIR/list"
	in_force
	blocklist-load --room=40 "$BPFFS/dir"
	loads "$BATS_TEST_TMPDIR/list"
	blocklist-load --room=50 "$BPFFS/dir"
	blocklist-load --dump "$BPFFS/dir" | diff "$BATS_TEST_TMPDIR/dump" -
	# Taken away again: loads go on without it.
	rm "$BPFFS/dir"/blocklist_?
	blocklist-load --dump "$BPFFS/dir" | diff "$BATS_TEST_TMPDIR/dump" -
	echo 192.0.2.1 | loads -
	in_force 192.0.2.1/32
}

# ---- killed, and several at a time

# two_lists: $BATS_TEST_TMPDIR/one and two, of sizes that no other list has, and $ONE and $TWO,
# what --dump says of them.
two_lists() {
	local seed=$RANDOM
	echo "seed $seed"
	"$BLOCKLIST" list "$seed" $((100 + RANDOM % 100)) 4 >"$BATS_TEST_TMPDIR/one"
	"$BLOCKLIST" list "$((seed + 1))" $((300 + RANDOM % 100)) 4 >"$BATS_TEST_TMPDIR/two"
	loads "$BATS_TEST_TMPDIR/two"
	TWO=$(blocklist-load --dump "$BPFFS/dir")
	loads "$BATS_TEST_TMPDIR/one"
	ONE=$(blocklist-load --dump "$BPFFS/dir")
	[ "$ONE" != "$TWO" ]
	CELLS=$(($(blocklist-load --check --json "$BATS_TEST_TMPDIR/two" | sed 's/.*"bytes":\([0-9]*\).*/\1/') / 64))
}

# room FIELD: this, of each of the lists that --room has pinned.
room() {
	local list
	for list in "$BPFFS"/dir/blocklist_?; do
		[ ! -e "$list" ] || bpftool -j map show pinned "$list" | grep -oP "\"$1\":\K\d+"
	done
}

# stray_lists: how many lists of such sizes there are that are neither in force nor pinned.
stray_lists() {
	bpftool -j map show | /usr/bin/python3 -c '
import json, sys
cells, known = (set(map(int, arg.split())) for arg in sys.argv[1:])
print(sum(m["id"] not in known and m.get("max_entries") in cells and m.get("name") == "blocklist.inner"
          for m in json.load(sys.stdin)))' "$CELLS" "$(list_id | cut -d= -f2) $(room id)"
}

no_stray_lists() {
	[ "$(stray_lists)" -eq 0 ]
}

old_or_new() {
	local now
	now=$(blocklist-load --dump "$BPFFS/dir")
	[ "$now" = "$ONE" ] || [ "$now" = "$TWO" ]
	pins_are "$BPFFS/dir" "${PINS[@]}"
	blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/one"
	[ "$(blocklist-load --dump "$BPFFS/dir")" = "$ONE" ]
}

@test "blocklist-load: killed at each system call, it leaves the old list or the new one, and nothing else" {
	local PINS=(block_stats blocklist)
	requires root cmd:strace
	load_blocklist
	two_lists
	kill_at_each old_or_new blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 20)" ]
	poll 20 no_stray_lists
}

@test "blocklist-load: --room: killed at each system call, the same" {
	local PINS=(block_stats blocklist blocklist_a blocklist_b)
	requires root cmd:strace
	load_blocklist
	two_lists
	blocklist-load --room 8 "$BPFFS/dir"
	kill_at_each old_or_new blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 20)" ]
}

@test "blocklist-load: killed at any moment, the same, with room and without" {
	local PINS=(block_stats blocklist)
	requires root
	load_blocklist
	two_lists
	kill_at_random 25 old_or_new blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 5)" ]
	poll 20 no_stray_lists
	PINS+=(blocklist_a blocklist_b)
	blocklist-load --room 8 "$BPFFS/dir"
	kill_at_random 25 old_or_new blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 5)" ]
}

# whole_room: there is no room, or all of one, and with the rights that `blocklist` has.
whole_room() {
	case $(room max_entries | xargs) in
	"") pins_are "$BPFFS/dir" block_stats blocklist ;;
	"$((9 << 14)) $((9 << 14))" | "$((11 << 14)) $((11 << 14))")
		pins_are "$BPFFS/dir" block_stats blocklist blocklist_a blocklist_b &&
			[ "$(stat -c '%a %u %g' "$BPFFS/dir"/blocklist* | sort -u)" = "640 0 65534" ]
		;;
	*) return 1 ;;
	esac
}

# kept_and_roomy: soon there is all of the old room or all of the new one, and the list is in
# force as ever. The new one can be loaded into; then the old one comes back, of OLD MiB, or none.
kept_and_roomy() {
	poll 20 whole_room || return 1
	[ "$(blocklist-load --dump "$BPFFS/dir")" = "$ONE" ]
	if [ "$(room max_entries)" = "$OLD_ROOM" ]; then
		BEFORE=$((BEFORE + 1))
		return
	fi
	AFTER=$((AFTER + 1))
	blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/two"
	[ "$(blocklist-load --dump "$BPFFS/dir")" = "$TWO" ]
	blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/one"
	if [ -n "$OLD" ]; then
		blocklist-load --room "$OLD" "$BPFFS/dir"
	else
		rm "$BPFFS/dir"/blocklist_?
	fi
}

@test "blocklist-load: --room itself is killed: the list is kept, and the room is whole or as it was" {
	local BEFORE=0 AFTER=0 OLD="" OLD_ROOM=""
	requires root cmd:strace
	load_blocklist
	two_lists
	CELLS="$((9 << 14)) $((11 << 14))" # of sizes that no other test has
	chmod 640 "$BPFFS/dir/blocklist"
	chgrp 65534 "$BPFFS/dir/blocklist"
	kill_at_each kept_and_roomy blocklist-load --room 9 "$BPFFS/dir"
	echo "killed $KILLS times: $BEFORE without room, $AFTER with it"
	[ "$BEFORE" -ge "$(kills 10)" ]
	[ "$AFTER" -ge "$(kills 5)" ]
	poll 20 no_stray_lists

	# In place of another.
	OLD=9
	blocklist-load --room $OLD "$BPFFS/dir"
	OLD_ROOM=$(room max_entries)
	kill_at_random 25 kept_and_roomy blocklist-load --room 11 "$BPFFS/dir"
	poll 20 no_stray_lists
}

# load_in_turn FILE...: until $BATS_TEST_TMPDIR/stop is there.
load_in_turn() {
	local file
	while [ ! -e "$BATS_TEST_TMPDIR/stop" ]; do
		for file; do
			blocklist-load "$BPFFS/dir" "$file" || exit
		done
	done
}

@test "blocklist-load: several at a time: what is in force is one of the lists, never a mixture" {
	local loader loaders now room seen
	requires root
	load_blocklist
	two_lists
	for room in "" 8; do
		[ -z "$room" ] || blocklist-load --room $room "$BPFFS/dir"
		loaders=()
		for loader in 1 2 3; do
			start load_in_turn "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
			loaders+=("$PID")
		done
		seen=
		until [[ ${#seen} -ge 40 && $seen == *1* && $seen == *2* ]]; do
			now=$(blocklist-load --dump "$BPFFS/dir")
			case $now in
			"$ONE") seen+="1" ;;
			"$TWO") seen+="2" ;;
			*) false ;;
			esac
			[ ${#seen} -lt 1000 ]
		done
		touch "$BATS_TEST_TMPDIR/stop"
		for loader in "${loaders[@]}"; do
			wait "$loader" # none has failed
		done
		rm "$BATS_TEST_TMPDIR/stop"
	done
}

@test "blocklist-load: with room, one waits for the other" {
	requires root cmd:strace
	load_blocklist
	two_lists
	blocklist-load --room 8 "$BPFFS/dir"
	# It has the lock, and has not yet put its list in force.
	start_stopped flock 1 blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/two"
	run timeout 1 blocklist-load "$BPFFS/dir" "$BATS_TEST_TMPDIR/one"
	[ "$status" -eq 124 ]
	kill -CONT "$PID"
	wait "$PID"
	[ "$(blocklist-load --dump "$BPFFS/dir")" = "$TWO" ]
	loads "$BATS_TEST_TMPDIR/one"
	[ "$(blocklist-load --dump "$BPFFS/dir")" = "$ONE" ]
}

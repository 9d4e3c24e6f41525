#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # bats sets stderr and stderr_lines
# shellcheck disable=SC2030,SC2031 # each test is a subshell

# stray_lists() counts the maps that are called as those of xdp_blocklist:
# finds by name: xdp_blocklist
load ../lib/helpers
load ../lib/lists

BLOCKLIST=$BATS_TEST_DIRNAME/../objects/blocklist.py

# refuses TEXT COMMAND...: within a minute and 400 MB of memory, it fails, and says so at last.
refuses() {
	local text=$1
	shift
	run -1 --separate-stderr bash -c 'ulimit -v 400000; exec timeout 60 "$@"' - "$@"
	[ "${stderr_lines[-1]}" = "$text" ] && [ "${#stderr_lines[@]}" -le 22 ]
}

# list_id: the id of the active list.
list_id() {
	map-edit "$BPFFS/dir/blocklist" show
}

# bats test_tags=kernel-free
@test "blocklist-load: wrong usage" {
	misuse "DIR is missing"
	misuse "DIR is missing" --skip-bad
	misuse "DIR is empty" "" load file
	misuse "VERB is missing (expected load, check, dump, stats, reserve)" dir
	misuse "unknown verb 'list' (expected load, check, dump, stats, reserve)" dir list
	misuse "unknown verb '' (expected load, check, dump, stats, reserve)" dir ""
	misuse "FILE is missing" dir load
	misuse "FILE is missing" dir check
	misuse "MIB is missing" dir reserve
	misuse "too many arguments: 'more'" dir dump more
	misuse "too many arguments: 'more'" dir stats more
	misuse "too many arguments: 'more'" dir reserve 8 more
	misuse "--skip-bad goes with load and check" --skip-bad dir dump
	misuse "--skip-bad goes with load and check" dir stats --skip-bad
	misuse "--allow-empty goes with load and check" dir stats --allow-empty
	misuse "--max-bad goes with --skip-bad" --max-bad 5 dir load file
	misuse "--max-bad '101' is not between 0 and 100" --max-bad 101 dir load file
	misuse "--max-bad '5%' is not a number" --max-bad 5% dir load file
	misuse "--max-shrink goes with load" --max-shrink 5 dir check file
	misuse "--max-entries goes with load and check" --max-entries 5 dir dump
	misuse "--max-entries '0' is not between 1 and 18446744073709551615" --max-entries 0 dir load file
	misuse "--max-shrink '-1' is not a number" --max-shrink=-1 dir load file
	misuse "--json and --pretty do not go with reserve" -j dir reserve 8
	misuse "MIB '0' is not between 1 and 65536" dir reserve 0
	misuse "MIB '65537' is not between 1 and 65536" dir reserve 65537
	misuse "MIB '8M' is not a number" dir reserve 8M
	misuse "option '--skip-bad' doesn't allow an argument" --skip-bad=1 dir load file
	misuse "unrecognized option '--dump'" --dump dir
	misuse "invalid option -- 'k'" -k dir load file
}

@test "blocklist-load: lines as they are published: comments, blanks, carriage returns, both families" {
	requires root
	load_blocklist
	write_list '# a comment\n; another\n\n  \t\n192.0.2.1\n  198.51.100.0/24  \n\t203.0.113.0/24 ; SBL7\n'
	write_list '\xef\xbb\xbf10.0.0.0/8# glued\n172.16.0.0/12;glued\r\n2001:DB8::/32 # upper case\r\n\r\n' two
	write_list '2001:0db8:0000:0000:0000:0000:0000:0001\n::ffff:192.0.2.1\nfe80::/10\n192.168.0.0/16' three
	loads "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/two" "$BATS_TEST_TMPDIR/three"
	[[ $output =~ ^10\ read,\ 8\ merged:\ 6\ IPv4,\ 2\ IPv6,\ 12\.0\ MiB,\ [0-9]+\ ms$ ]]
	active_is 10.0.0.0/8 172.16.0.0/12 192.0.2.1/32 192.168.0.0/16 198.51.100.0/24 203.0.113.0/24 \
		2001:db8::/32 fe80::/10
	loads --allow-empty /dev/null
	[[ $output =~ ^0\ read,\ 0\ merged:\ 0\ IPv4,\ 0\ IPv6,\ 0\.0\ MiB,\ [0-9]+\ ms$ ]]
	active_is
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
	active_is 192.0.2.1/32 192.0.2.3/32 192.0.2.5/32
	loads - <"$BATS_TEST_TMPDIR/zipped.txt"
	active_is 192.0.2.3/32 192.0.2.5/32
	loads - "$BATS_TEST_TMPDIR/a" <"$BATS_TEST_TMPDIR/plain.gz"
	active_is 192.0.2.1/32 192.0.2.3/32

	head -c 20 "$BATS_TEST_TMPDIR/zipped.txt" >"$BATS_TEST_TMPDIR/cut"
	refused "read '$BATS_TEST_TMPDIR/cut': unexpected end of file" "$BPFFS/dir" load "$BATS_TEST_TMPDIR/cut"
	{ head -c 12 "$BATS_TEST_TMPDIR/zipped.txt"; printf 'garbage that is no deflate stream'; } \
		>"$BATS_TEST_TMPDIR/broken"
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/broken"
	[[ $stderr == "blocklist-load: read '$BATS_TEST_TMPDIR/broken': "* ]]
	active_is 192.0.2.1/32 192.0.2.3/32
}

# bats test_tags=kernel-free
@test "blocklist-load: every bad line is named, with what is wrong, and nothing is changed" {
	local file=$BATS_TEST_TMPDIR/file two=$BATS_TEST_TMPDIR/two
	requires root
	load_blocklist
	write_list '192.0.2.7\n' good
	loads "$BATS_TEST_TMPDIR/good"
	write_list '10.0.0.1\n10.1.2.3/8\nexample.org\n10.0.0.0/33\n10.0.0\n010.0.0.1\n10.0.0.1 10.0.0.2\n'
	write_list '2001:db8::1/32\n2001:db8::/129\n2001:db8:::\n10.0.0.9-10.0.0.1\n-1\n10.0.0.0/\n1.2.3.4/x # 7\n' two
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" load "$file" "$two"
	[ -z "$output" ]
	diff - <(echo "$stderr") <<-END
		blocklist-load: $file:2: host bits are set: did you mean 10.0.0.0/8?
		blocklist-load: $file:3: 'example.org' is not an IPv4 address or prefix
		blocklist-load: $file:4: '10.0.0.0/33' has a prefix length that is not 0 to 32
		blocklist-load: $file:5: '10.0.0' is not an IPv4 address or prefix
		blocklist-load: $file:6: '010.0.0.1' has a number with a leading zero, which may be octal or decimal
		blocklist-load: $file:7: '10.0.0.2' is not a netmask
		blocklist-load: $two:1: host bits are set: did you mean 2001:db8::/32?
		blocklist-load: $two:2: '2001:db8::/129' has a prefix length that is not 0 to 128
		blocklist-load: $two:3: '2001:db8:::' is not an IPv6 address or prefix
		blocklist-load: $two:4: the range ends before it begins
		blocklist-load: $two:5: '-1' is not an IPv4 address or prefix
		blocklist-load: $two:6: '10.0.0.0/' has a prefix length that is not 0 to 32
		blocklist-load: $two:7: '1.2.3.4/x' has a prefix length that is not 0 to 32
		blocklist-load: load the lists into '$BPFFS/dir': 13 bad lines, nothing is changed
	END
	active_is 192.0.2.7/32
	printf '1.2.3.4/5' >"$file"
	refused "standard input:1: host bits are set: did you mean 0.0.0.0/5?
blocklist-load: load the lists into '$BPFFS/dir': 1 bad line, nothing is changed" "$BPFFS/dir" load - <"$file"
	active_is 192.0.2.7/32

	# Left out: they are named all the same.
	cat "$two" "$BATS_TEST_TMPDIR/good" >"$file"
	run -0 --separate-stderr blocklist-load "$BPFFS/dir" load --skip-bad --max-bad 90 "$BATS_TEST_TMPDIR/good" "$file"
	[[ $output =~ ^2\ read,\ 7\ bad,\ 1\ merged:\ 1\ IPv4,\ 0\ IPv6, ]]
	[ "$(wc -l <<<"$stderr")" -eq 7 ]
	active_is 192.0.2.7/32
	write_list '10.0.0.1\nno\n'
	run -0 --separate-stderr blocklist-load "$BPFFS/dir" load -j --skip-bad "$file"
	[[ $output =~ ^'{"read":1,"bad":1,"merged":1,"ipv4":1,"ipv6":0,"bytes":'[0-9]+',"milliseconds":'[0-9]+',"formats":["plain"]}'$ ]]
	[ "$stderr" = "blocklist-load: $file:2: 'no' is not an IPv4 address or prefix" ]
	active_is 10.0.0.1/32
}

# bats test_tags=kernel-free
@test "blocklist-load: lines that are no text, or long, or without end, are bad lines" {
	local file=$BATS_TEST_TMPDIR/file
	printf '10.0.0.1\0\n\x1b[2J\n%s\n' "$(printf '1%.0s' {1..300})" >"$file"
	run -1 --separate-stderr blocklist-load . check "$file"
	[ "${#stderr_lines[@]}" -eq 4 ]
	[ "${stderr_lines[1]}" = "blocklist-load: $file:2: '\x1b' is not an IPv4 address or prefix" ]
	run ! grep -q $'\x1b' <<<"$stderr"
	head -c 100000 /dev/urandom >"$file"
	run -1 --separate-stderr blocklist-load . check "$file"
	head -c 1000000 /dev/zero | tr '\0' 1 >"$file"
	run -1 --separate-stderr blocklist-load . check "$file"
	[ "${#stderr_lines[@]}" -eq 2 ]

	# A megabyte of a line is enough, and what is behind it is another line. The first is as long
	# as one may be.
	/usr/bin/python3 -c '
megabyte = 1 << 20
print("10.0.0.1;".ljust(megabyte - 1, "x"))
print("10.0.0.2;".ljust(megabyte, "x"))
print("10.0.0.3;".ljust(3 * megabyte + 1, "x"))
print("10.0.0.4", "10.0.0.5".rjust(3 * megabyte), sep="\n", end="")' >"$file"
	run -0 --separate-stderr blocklist-load . check --skip-bad --max-bad 60 "$file"
	diff - <(echo "$stderr") <<-END
		blocklist-load: $file:2: the line is longer than a megabyte
		blocklist-load: $file:3: the line is longer than a megabyte
		blocklist-load: $file:5: the line is longer than a megabyte
	END
	[[ $output == "2 read, 3 bad, "* ]]
}

# bats test_tags=kernel-free
@test "blocklist-load: a file larger than memory is read all the same, and a list that is too long is an error" {
	requires cmd:gzip no-sanitizers
	# What unpacks to 100 MB, as who publishes a list could have it.
	(
		yes '# 10.0.0.1' | head -c 100000000 || true
		echo
		echo 10.0.0.2
	) | gzip -1 >"$BATS_TEST_TMPDIR/file"
	run -0 --separate-stderr in_40_mb blocklist-load . check "$BATS_TEST_TMPDIR/file"
	[[ $output == "1 read, 1 merged: "* ]]
	yes 10.0.0.1 | head -n 2500000 | gzip -1 >"$BATS_TEST_TMPDIR/file"
	fails 1 "blocklist-load: out of memory" in_40_mb blocklist-load . check "$BATS_TEST_TMPDIR/file"
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
	active_is 10.0.0.0/23 10.0.2.0/24
	write_list '10.0.0.3\n10.0.0.1\n10.0.0.2\n10.0.0.255\n10.0.1.0\n2001:db8::3\n2001:db8::1\n2001:db8::2\n2001:db8::/128\n'
	loads "$BATS_TEST_TMPDIR/file"
	active_is 10.0.0.1/32 10.0.0.2/31 10.0.0.255/32 10.0.1.0/32 2001:db8::/126
	write_list '0.0.0.0/1\n128.0.0.0/1\n::/1\n8000::/1\n::1\n1.1.1.1\n'
	loads "$BATS_TEST_TMPDIR/file"
	active_is 0.0.0.0/0 ::/0
	write_list '255.255.255.254/31\n0.0.0.0\nffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127\n::\n1fff:ffff::/32\n2000::/32\n3fff:ffff::/32\n4000::/32\n'
	loads "$BATS_TEST_TMPDIR/file"
	active_is 0.0.0.0/32 255.255.255.254/31 ::/128 1fff:ffff::/32 2000::/32 3fff:ffff::/32 4000::/32 \
		ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127
}

# bats test_tags=kernel-free
@test "blocklist-load: dump prints what ipaddress makes of the list, and load reads it back" {
	local seed
	requires root
	load_blocklist
	for seed in $RANDOM $RANDOM $RANDOM; do
		echo "seed $seed"
		"$BLOCKLIST" list "$seed" 3000 >"$BATS_TEST_TMPDIR/list"
		loads "$BATS_TEST_TMPDIR/list"
		"$BLOCKLIST" collapse <"$BATS_TEST_TMPDIR/list" >"$BATS_TEST_TMPDIR/expected"
		blocklist-load "$BPFFS/dir" dump >"$BATS_TEST_TMPDIR/dump"
		# Python 3.11 writes v4-mapped addresses in hexadecimal.
		diff "$BATS_TEST_TMPDIR/expected" <("$BLOCKLIST" collapse <"$BATS_TEST_TMPDIR/dump")
		[ "$(wc -l <"$BATS_TEST_TMPDIR/dump")" -eq "$(wc -l <"$BATS_TEST_TMPDIR/expected")" ]
		loads "$BATS_TEST_TMPDIR/dump"
		blocklist-load "$BPFFS/dir" dump | diff "$BATS_TEST_TMPDIR/dump" -
		blocklist-load "$BPFFS/dir" dump --json >"$BATS_TEST_TMPDIR/json"
		/usr/bin/python3 -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' \
			"$BATS_TEST_TMPDIR/json" | diff "$BATS_TEST_TMPDIR/dump" -
	done
}

# bats test_tags=kernel-free
@test "blocklist-load: a million addresses, in the memory that blocklist-load(8) says" {
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
	blocklist-load "$BPFFS/dir" dump >"$BATS_TEST_TMPDIR/dump"
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

@test "blocklist-load: check prints the bad lines, and makes no call of bpf(2) where no list is reserved" {
	local file=$BATS_TEST_TMPDIR/file
	requires cmd:strace
	write_list '10.0.0.0/25\n10.0.0.128/25\n2001:db8::/32\n'
	run -0 --separate-stderr strace -o "$BATS_TEST_TMPDIR/trace" -e trace=bpf blocklist-load . check "$file"
	[[ $output =~ ^3\ read,\ 2\ merged:\ 1\ IPv4,\ 1\ IPv6,\ 12\.0\ MiB,\ [0-9]+\ ms$ ]]
	run ! grep -q 'bpf(' "$BATS_TEST_TMPDIR/trace"
	run -0 --separate-stderr blocklist-load . check --pretty "$file"
	[[ $output == $'{\n    "read": 3,\n    "bad": 0,\n    "merged": 2,\n    "ipv4": 1,\n    "ipv6": 1,\n    "bytes": '* ]]
	refused "read '/nonexistent': No such file or directory" . check "$file" /nonexistent
	echo 10.0.0.1/8 >>"$file"
	refused "$file:4: host bits are set: did you mean 10.0.0.0/8?
blocklist-load: check the lists: 1 bad line" . check "$file"
	run -0 --separate-stderr blocklist-load . check --skip-bad "$file"
	[[ $output == "3 read, 1 bad, 2 merged: "* ]]
	refused "open directory '/nonexistent': No such file or directory" /nonexistent check --allow-empty /dev/null
	refused "open directory '$file': Not a directory" "$file" check --allow-empty /dev/null
}

@test "blocklist-load: what is wrong with files and pins is said" {
	local dir=$BPFFS/dir file=$BATS_TEST_TMPDIR/file
	requires root
	write_list '10.0.0.1\n'
	load_blocklist
	refused "read '/nonexistent': No such file or directory" "$dir" load /nonexistent
	refused "read '/': Is a directory" "$dir" load /
	chmod 600 "$file"
	fails 1 "blocklist-load: read '$file': Permission denied" as_user blocklist-load . check "$file"
	fails 1 "blocklist-load: read standard input: Bad file descriptor" sh -c 'blocklist-load . check - <&-'
	# shellcheck disable=SC2016 # sh expands it
	fails 1 "blocklist-load: write to standard output: No space left on device" \
		sh -c 'blocklist-load "$0" stats >/dev/full' "$dir"
	refused "open map '/nonexistent/blocklist': No such file or directory" /nonexistent load "$file"
	refused "open map '/nonexistent/blocklist': No such file or directory" /nonexistent dump
	refused "open map '/nonexistent/block_stats': No such file or directory" /nonexistent stats
	touch "$BATS_TEST_TMPDIR/blocklist" "$BATS_TEST_TMPDIR/block_stats"
	refused "open map '$BATS_TEST_TMPDIR/blocklist': not on a bpffs" "$BATS_TEST_TMPDIR" load "$file"
	refused "open map '$BATS_TEST_TMPDIR/block_stats': not on a bpffs" "$BATS_TEST_TMPDIR" stats

	# Maps of others.
	mkdir "$BPFFS/wrong"
	ln "$BPFFS/prog" "$BPFFS/wrong/blocklist" 2>/dev/null || bpftool prog pin pinned "$BPFFS/prog" "$BPFFS/wrong/blocklist"
	refused "open map '$BPFFS/wrong/blocklist': not a map" "$BPFFS/wrong" load "$file"
	rm "$BPFFS/wrong/blocklist"
	bpftool map create "$BPFFS/wrong/blocklist" type hash key 4 value 4 entries 1 name hookset_wrong
	refused "open map '$BPFFS/wrong/blocklist': it is not a map of xdp_blocklist: its type is hash" \
		"$BPFFS/wrong" load "$file"
	bpftool map create "$BPFFS/wrong/of_maps" type array_of_maps key 4 value 4 entries 1 \
		name hookset_wrong inner_map pinned "$BPFFS/wrong/blocklist"
	mv "$BPFFS/wrong/of_maps" "$BPFFS/wrong/blocklist"
	refused "activate the list in '$BPFFS/wrong': Invalid argument (its map 'blocklist' is not one of this xdp_blocklist)" \
		"$BPFFS/wrong" load "$file"
	bpftool map create "$BPFFS/wrong/block_stats" type array key 4 value 4 entries 1 name hookset_wrong
	refused "open map '$BPFFS/wrong/block_stats': it is not a map of xdp_blocklist" "$BPFFS/wrong" stats
	active_is
}

# bats test_tags=kernel-free
@test "blocklist-load: an input without end ends with a message, in little memory" {
	requires no-sanitizers
	local what="blocklist-load: check the lists"
	refuses "blocklist-load: read '/dev/zero': a line is longer than 64 MiB" \
		blocklist-load . check --skip-bad /dev/zero
	refuses "$what: 1000000 bad lines so far" blocklist-load . check --skip-bad <(yes x)
	refuses "$what: 1000000 bad lines so far" blocklist-load . check /dev/urandom
	yes 192.0.2.1 | head -n 20000000 | gzip -1 >"$BATS_TEST_TMPDIR/bomb"
	refuses "$what: '$BATS_TEST_TMPDIR/bomb' has entry 10000001 (--max-entries)" \
		blocklist-load . check "$BATS_TEST_TMPDIR/bomb"
	refuses "$what: standard input has entry 4 (--max-entries)" \
		blocklist-load --max-entries 3 . check - < <(seq -f 192.0.2.%g 4)
	call blocklist-load --max-entries 3 . check - < <(seq -f 192.0.2.%g 3)
	[ "$status" -eq 0 ]
}

@test "blocklist-load: a report that cannot be written: closed, nothing is changed; full, it is done" {
	local text="blocklist-load: write to standard output"
	requires root
	load_blocklist
	write_list '192.0.2.1\n'
	fails 1 "$text: Bad file descriptor" to_closed blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/file"
	active_is
	fails 1 "$text: No space left on device (but it is done: the list is active)" \
		to_full blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/file"
	active_is 192.0.2.1/32
}

@test "blocklist-load: reserve that fails leaves no list, and the active one as it is" {
	requires root cmd:strace
	load_blocklist
	write_list '192.0.2.1\n'
	blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/file" >/dev/null
	strace -qq -e trace=bpf -o "$BATS_TEST_TMPDIR/calls" blocklist-load "$BPFFS/dir" reserve 16
	rm "$BPFFS"/dir/blocklist_[ab]
	strace -qq -o /dev/null -e "inject=bpf:error=EPERM:when=$(grep -c . "$BATS_TEST_TMPDIR/calls")" \
		blocklist-load "$BPFFS/dir" reserve 16 && false
	[ -z "$(find "$BPFFS/dir" -name 'blocklist[_-]*')" ] # nor its directory with pins on the way
	active_is 192.0.2.1/32
}

@test "blocklist-load: before a list was loaded, dump prints nothing and stats zeros" {
	requires root
	load_blocklist
	active_is
	run -0 blocklist-load "$BPFFS/dir" dump --json
	[ "$output" = "[]" ]
	run -0 blocklist-load "$BPFFS/dir" stats --pretty
	[ "$output" = $'{\n    "dropped4": 0,\n    "dropped6": 0\n}' ]
	run -0 blocklist-load "$BPFFS/dir" stats
	[ "$output" = "dropped4=0 dropped6=0" ]
}

# ---- plain users

# as_nobody: the pins are theirs, of mode 0600.
as_nobody() {
	map-pin --owner 65534 prog "$BPFFS/prog" "$BPFFS/theirs"
	write_list '10.0.0.0/8\n2001:db8::/32\n'
	chmod 644 "$BATS_TEST_TMPDIR/file"
}

@test "blocklist-load: a plain user may not create lists, and the error says what would help" {
	local error="Operation not permitted (needs CAP_BPF, or lists that 'reserve' has created)"
	requires root unprivileged-map-access
	[ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" -ne 0 ] || skip "here a plain user may create maps"
	load_blocklist
	as_nobody
	run -0 as_user blocklist-load . check "$BATS_TEST_TMPDIR/file"
	fails 1 "blocklist-load: create a list of 12.0 MiB: $error" \
		as_user blocklist-load "$BPFFS/theirs" load "$BATS_TEST_TMPDIR/file"
	active_is
	run -0 as_user blocklist-load "$BPFFS/theirs" stats
	loads "$BATS_TEST_TMPDIR/file"
	run -1 --separate-stderr as_user blocklist-load "$BPFFS/theirs" dump
	[[ $stderr =~ ^"blocklist-load: open list "[0-9]+": Operation not permitted (needs CAP_SYS_ADMIN, or lists that 'reserve' has created)"$ ]]
	chmod 640 "$BPFFS/theirs/blocklist"
	chown 0 "$BPFFS/theirs/blocklist"
	fails 1 "blocklist-load: open map '$BPFFS/theirs/blocklist': Permission denied" \
		as_user blocklist-load "$BPFFS/theirs" load "$BATS_TEST_TMPDIR/file"
}

@test "blocklist-load: with CAP_BPF and the pins it can" {
	requires root cap-bpf
	load_blocklist
	as_nobody
	# Before Linux 5.11 maps are part of what it limits; from then on it need not be raised.
	ulimit -l unlimited 2>/dev/null || true
	with_cap_bpf blocklist-load "$BPFFS/theirs" load "$BATS_TEST_TMPDIR/file"
	active_is 10.0.0.0/8 2001:db8::/32
}

@test "blocklist-load: reserve: a plain user loads, dumps and counts, with the pins alone" {
	local last # bats's run has an i of its own
	requires root unprivileged-map-access
	load_blocklist
	as_nobody
	blocklist-load "$BPFFS/theirs" reserve 16
	pins_are "$BPFFS/theirs" block_stats blocklist blocklist_a blocklist_b xdp_bloc_rodata
	[ "$(stat -c '%a %u %g' "$BPFFS/theirs"/blocklist_?)" = "$(stat -c '%a %u %g' "$BPFFS/theirs"/blocklist{,})" ]
	run -0 as_user blocklist-load "$BPFFS/theirs" dump
	[ -z "$output" ]
	for last in 1 2 3; do
		run -0 as_user blocklist-load "$BPFFS/theirs" load "$BATS_TEST_TMPDIR/file"
		[[ $output == "2 read, 2 merged: 1 IPv4, 1 IPv6, 12.0 MiB, "* ]]
		run -0 as_user blocklist-load "$BPFFS/theirs" dump
		[ "$output" = $'10.0.0.0/8\n2001:db8::/32' ]
		active_is 10.0.0.0/8 2001:db8::/32
		echo 192.0.2.$last | as_user blocklist-load "$BPFFS/theirs" load -
		run -0 as_user blocklist-load "$BPFFS/theirs" dump
		[ "$output" = 192.0.2.$last/32 ]
	done
	run -0 as_user blocklist-load "$BPFFS/theirs" stats
	[ "$output" = "dropped4=0 dropped6=0" ]
	# Who may only read can dump.
	chmod 444 "$BPFFS/theirs"/*
	chown 0 "$BPFFS/theirs"/*
	run -0 as_user blocklist-load "$BPFFS/theirs" dump
	[ "$output" = 192.0.2.3/32 ]
	fails 1 "blocklist-load: open map '$BPFFS/theirs/blocklist': Permission denied" \
		as_user blocklist-load "$BPFFS/theirs" load "$BATS_TEST_TMPDIR/file"
	# Who may not read the directory cannot lock it.
	chmod 711 "$BPFFS/theirs"
	fails 1 "blocklist-load: lock directory '$BPFFS/theirs': Permission denied" \
		as_user blocklist-load "$BPFFS/theirs" dump
}

@test "blocklist-load: reserve: one of its pins is removed: load fails, and reserve creates it again" {
	local pin
	requires root
	load_blocklist
	write_list '10.0.0.1\n'
	loads "$BATS_TEST_TMPDIR/file"
	for pin in a b; do
		blocklist-load "$BPFFS/dir" reserve 7
		loads "$BATS_TEST_TMPDIR/file" # now blocklist_b is active
		rm "$BPFFS/dir/blocklist_$pin"
		[ $pin = a ] || refused "open map '$BPFFS/dir/blocklist_b': No such file or directory" \
			"$BPFFS/dir" load "$BATS_TEST_TMPDIR/file"
		blocklist-load "$BPFFS/dir" reserve 7
		pins_are "$BPFFS/dir" block_stats blocklist blocklist_a blocklist_b xdp_bloc_rodata
		active_is 10.0.0.1/32
		echo 10.0.0.2 | loads -
		active_is 10.0.0.2/32
		loads "$BATS_TEST_TMPDIR/file"
	done
}

@test "blocklist-load: dump: a list that is replaced while it is looked up" {
	requires root cmd:strace
	load_blocklist
	write_list '10.0.0.1\n'
	loads "$BATS_TEST_TMPDIR/file"
	# The kernel does not know the list any more whose number it has just said.
	run -0 strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf -e inject=bpf:error=ENOENT:when="$(nth_bpf GET_FD_BY_ID)" \
		blocklist-load "$BPFFS/dir" dump
	grep -q 'BPF_MAP_GET_FD_BY_ID.*INJECTED' "$BATS_TEST_TMPDIR/log"
	[ "$output" = 10.0.0.1/32 ]
}

# nth_bpf NAME: which of the calls of bpf(2) that dump makes is the first of that name.
nth_bpf() {
	strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf blocklist-load "$BPFFS/dir" dump >/dev/null
	grep -n "$1" "$BATS_TEST_TMPDIR/log" | head -n 1 | cut -d: -f1
}

@test "blocklist-load: reserve: a list that does not fit is refused, a larger pair keeps the list" {
	local seed=$RANDOM size
	requires root
	load_blocklist
	"$BLOCKLIST" list "$seed" 5000 >"$BATS_TEST_TMPDIR/list"
	loads "$BATS_TEST_TMPDIR/list"
	blocklist-load "$BPFFS/dir" dump >"$BATS_TEST_TMPDIR/dump"
	refused "reserve lists in '$BPFFS/dir': the active list needs $(grep -o '[0-9.]* MiB' <<<"$output")" \
		"$BPFFS/dir" reserve 1
	pins_are "$BPFFS/dir" block_stats blocklist xdp_bloc_rodata
	blocklist-load "$BPFFS/dir" reserve 40
	blocklist-load "$BPFFS/dir" dump | diff "$BATS_TEST_TMPDIR/dump" -
	loads --allow-empty /dev/null
	loads --allow-empty /dev/null
	blocklist-load "$BPFFS/dir" reserve 1
	active_is
	size=$(blocklist-load . check "$BATS_TEST_TMPDIR/list" | grep -o '[0-9.]* MiB')
	refused "load the list: it needs $size, and 1.0 MiB are reserved" "$BPFFS/dir" load "$BATS_TEST_TMPDIR/list"
	refused "load the list: it needs $size, and 1.0 MiB are reserved" "$BPFFS/dir" check "$BATS_TEST_TMPDIR/list"
	run -0 blocklist-load "$BPFFS/dir" check --allow-empty /dev/null
	active_is
	blocklist-load "$BPFFS/dir" reserve 40
	loads "$BATS_TEST_TMPDIR/list"
	blocklist-load "$BPFFS/dir" reserve 50
	blocklist-load "$BPFFS/dir" dump | diff "$BATS_TEST_TMPDIR/dump" -
	# Taken away again: loads go on without it.
	rm "$BPFFS/dir"/blocklist_?
	blocklist-load "$BPFFS/dir" dump | diff "$BATS_TEST_TMPDIR/dump" -
	echo 192.0.2.1 | loads -
	active_is 192.0.2.1/32
}

# ---- killed, and several at a time

# two_lists: $BATS_TEST_TMPDIR/one and two, of sizes that no other list has, and $ONE and $TWO,
# what dump prints of them.
two_lists() {
	local seed=$RANDOM
	echo "seed $seed"
	"$BLOCKLIST" list "$seed" $((100 + RANDOM % 100)) 4 >"$BATS_TEST_TMPDIR/one"
	"$BLOCKLIST" list "$((seed + 1))" $((300 + RANDOM % 100)) 4 >"$BATS_TEST_TMPDIR/two"
	loads "$BATS_TEST_TMPDIR/two"
	TWO=$(blocklist-load "$BPFFS/dir" dump)
	loads "$BATS_TEST_TMPDIR/one"
	ONE=$(blocklist-load "$BPFFS/dir" dump)
	[ "$ONE" != "$TWO" ]
	CELLS=$(($(blocklist-load . check --json "$BATS_TEST_TMPDIR/two" | sed 's/.*"bytes":\([0-9]*\).*/\1/') / 64))
}

# reserved FIELD: this field of each list that reserve has pinned.
reserved() {
	local list
	for list in "$BPFFS"/dir/blocklist_?; do
		[ ! -e "$list" ] || bpftool -j map show pinned "$list" | grep -oP "\"$1\":\K\d+"
	done
}

# stray_lists: how many lists of such sizes there are that are neither active nor pinned.
stray_lists() {
	bpftool -j map show | /usr/bin/python3 -c '
import json, sys
cells, known = (set(map(int, arg.split())) for arg in sys.argv[1:])
print(sum(m["id"] not in known and m.get("max_entries") in cells and m.get("name") == "blocklist.inner"
          for m in json.load(sys.stdin)))' "$CELLS" "$(list_id | cut -d= -f2) $(reserved id)"
}

no_stray_lists() {
	[ "$(stray_lists)" -eq 0 ]
}

old_or_new() {
	local now
	now=$(blocklist-load "$BPFFS/dir" dump)
	[ "$now" = "$ONE" ] || [ "$now" = "$TWO" ]
	pins_are "$BPFFS/dir" "${PINS[@]}"
	blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/one"
	[ "$(blocklist-load "$BPFFS/dir" dump)" = "$ONE" ]
}

@test "blocklist-load: killed at each system call, it leaves the old list or the new one, and nothing else" {
	local PINS=(block_stats blocklist xdp_bloc_rodata)
	requires root cmd:strace
	load_blocklist
	two_lists
	kill_at_each old_or_new blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 20)" ]
	poll 20 no_stray_lists
}

# bats test_tags=kernel-free
@test "blocklist-load: with reserved lists: killed at each system call, the same" {
	local PINS=(block_stats blocklist blocklist_a blocklist_b xdp_bloc_rodata)
	requires root cmd:strace
	load_blocklist
	two_lists
	blocklist-load "$BPFFS/dir" reserve 8
	kill_at_each old_or_new blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 20)" ]
}

@test "blocklist-load: killed at any moment, the same, with reserved lists and without" {
	local PINS=(block_stats blocklist xdp_bloc_rodata)
	requires root
	load_blocklist
	two_lists
	kill_at_random 25 old_or_new blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 5)" ]
	poll 20 no_stray_lists
	PINS+=(blocklist_a blocklist_b)
	blocklist-load "$BPFFS/dir" reserve 8
	kill_at_random 25 old_or_new blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/two"
	[ "$KILLS" -ge "$(kills 5)" ]
}

# whole_pair: no list is reserved, or two are, with the owner and mode of `blocklist`.
whole_pair() {
	case $(reserved max_entries | xargs) in
	"") pins_are "$BPFFS/dir" block_stats blocklist xdp_bloc_rodata ;;
	"$((9 << 14)) $((9 << 14))" | "$((11 << 14)) $((11 << 14))")
		pins_are "$BPFFS/dir" block_stats blocklist blocklist_a blocklist_b xdp_bloc_rodata &&
			[ "$(stat -c '%a %u %g' "$BPFFS/dir"/blocklist* | sort -u)" = "640 0 65534" ]
		;;
	*) return 1 ;;
	esac
}

# kept_and_reserved: the list is active as before; there is the old pair or the new one, or, as
# each of the two pins has a step of its own, one of each: then the same command once more does
# the rest. The new pair can be loaded into; then the old one comes back, of OLD MiB, or none.
kept_and_reserved() {
	without_leftovers blocklist-load "$BPFFS/dir"
	[ "$(blocklist-load "$BPFFS/dir" dump)" = "$ONE" ]
	if ! whole_pair; then
		BETWEEN=$((BETWEEN + 1))
		blocklist-load "$BPFFS/dir" reserve "$NEW"
		whole_pair || return 1
		[ "$(blocklist-load "$BPFFS/dir" dump)" = "$ONE" ]
	fi
	if [ "$(reserved max_entries)" = "$OLD_PAIR" ]; then
		BEFORE=$((BEFORE + 1))
		return
	fi
	AFTER=$((AFTER + 1))
	blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/two"
	[ "$(blocklist-load "$BPFFS/dir" dump)" = "$TWO" ]
	blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/one"
	if [ -n "$OLD" ]; then
		blocklist-load "$BPFFS/dir" reserve "$OLD"
	else
		rm "$BPFFS/dir"/blocklist_?
	fi
}

# bats test_tags=kernel-free
@test "blocklist-load: reserve itself is killed: the list is kept, and once more completes the pair" {
	local BEFORE=0 BETWEEN=0 AFTER=0 NEW=9 OLD="" OLD_PAIR=""
	requires root cmd:strace
	load_blocklist
	two_lists
	CELLS="$((9 << 14)) $((11 << 14))" # of sizes that no other test has
	chmod 640 "$BPFFS/dir/blocklist"
	chgrp 65534 "$BPFFS/dir/blocklist"
	kill_at_each kept_and_reserved blocklist-load "$BPFFS/dir" reserve 9
	echo "killed $KILLS times: $BEFORE before, $BETWEEN between the two pins, $AFTER after"
	[ "$BEFORE" -ge "$(kills 10)" ]
	[ "$BETWEEN" -ge 1 ]
	[ "$AFTER" -ge 1 ]
	poll 20 no_stray_lists

	# In place of another.
	OLD=9 NEW=11
	blocklist-load "$BPFFS/dir" reserve $OLD
	OLD_PAIR=$(reserved max_entries)
	kill_at_random 25 kept_and_reserved blocklist-load "$BPFFS/dir" reserve 11
	poll 20 no_stray_lists
}

# load_in_turn FILE...: until $BATS_TEST_TMPDIR/stop is there.
load_in_turn() {
	local file
	while [ ! -e "$BATS_TEST_TMPDIR/stop" ]; do
		for file; do
			blocklist-load "$BPFFS/dir" load "$file" || exit
		done
	done
}

# bats test_tags=kernel-free
@test "blocklist-load: several at a time: the active list is one of the lists, never a mixture" {
	local loader loaders now mib seen
	requires root
	load_blocklist
	two_lists
	for mib in "" 8; do
		[ -z "$mib" ] || blocklist-load "$BPFFS/dir" reserve $mib
		loaders=()
		for loader in 1 2 3; do
			start load_in_turn "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
			loaders+=("$PID")
		done
		seen=
		until [[ ${#seen} -ge 40 && $seen == *1* && $seen == *2* ]]; do
			now=$(blocklist-load "$BPFFS/dir" dump)
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

@test "blocklist-load: with reserved lists, one waits for the other" {
	requires root cmd:strace
	load_blocklist
	two_lists
	blocklist-load "$BPFFS/dir" reserve 8
	# It has the lock, and has not yet activated its list.
	start_stopped flock 1 blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/two"
	run timeout 1 blocklist-load "$BPFFS/dir" load "$BATS_TEST_TMPDIR/one"
	[ "$status" -eq 124 ]
	kill -CONT "$PID"
	wait "$PID"
	[ "$(blocklist-load "$BPFFS/dir" dump)" = "$TWO" ]
	loads "$BATS_TEST_TMPDIR/one"
	[ "$(blocklist-load "$BPFFS/dir" dump)" = "$ONE" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # bats sets stderr and stderr_lines
# shellcheck disable=SC2034 # TOOL is read by expect.bash
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# Lists as they arrive, by blocklist-load and map-edit alike.

# bats file_tags=kernel-free
load ../lib/helpers
load ../lib/lists

TOOL=blocklist-load
LISTS=$BATS_TEST_DIRNAME/lists.py
EMPTY="(--allow-empty permits it)"

# new_block4: an LPM trie of IPv4 networks, at $BPFFS/block4. edit ARGUMENT...: map-edit on it.
new_block4() {
	bpftool map create "$BPFFS/block4" type lpm_trie key 8 value 1 entries 1000 name block4 flags 1
}
edit() {
	map-edit --key cidr4 --value u8 "$BPFFS/block4" "$@"
}

# A page that a server sends in place of a list.
html='<!DOCTYPE html>\n<html>\n<head><title>503</title></head>\n<body>\n<h1>Service Unavailable</h1>\n</body>\n</html>\n'

@test "lists: one without an entry is refused, and the active list stays" {
	local file=$BATS_TEST_TMPDIR/file text
	requires root
	load_blocklist
	write_list '192.0.2.7\n' good
	loads "$BATS_TEST_TMPDIR/good"
	for text in '' '\n' '# 0 entries\n; none\n\n'; do
		write_list "$text"
		refused "load the lists into '$BPFFS/dir': '$file' has no entry $EMPTY, nothing is changed" \
			"$BPFFS/dir" load "$file"
		# One of several is one too many: what it listed yesterday would be let in.
		refused "load the lists into '$BPFFS/dir': '$file' has no entry $EMPTY, nothing is changed" \
			"$BPFFS/dir" load "$BATS_TEST_TMPDIR/good" "$file"
		refused "check the lists: '$file' has no entry $EMPTY" . check "$file"
		active_is 192.0.2.7/32
	done
	# shellcheck disable=SC2016 # sh expands it
	fails 1 "blocklist-load: load the lists into '$BPFFS/dir': standard input has no entry $EMPTY, nothing is changed" \
		sh -c 'false | blocklist-load "$0" load -' "$BPFFS/dir"
	active_is 192.0.2.7/32
	loads --allow-empty "$BATS_TEST_TMPDIR/good" "$file"
	active_is 192.0.2.7/32
	loads --allow-empty "$file"
	active_is
}

@test "lists: one with bad lines only is refused, with --skip-bad too" {
	local file=$BATS_TEST_TMPDIR/file
	requires root
	load_blocklist
	write_list '192.0.2.7\n' good
	loads "$BATS_TEST_TMPDIR/good"
	write_list "$html"
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" load "$file"
	[ "${stderr_lines[7]}" = "blocklist-load: load the lists into '$BPFFS/dir': 7 bad lines, nothing is changed" ]
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" load --skip-bad "$BATS_TEST_TMPDIR/good" "$file"
	[ "${stderr_lines[7]}" = "blocklist-load: load the lists into '$BPFFS/dir': '$file' has no entry, but 7 bad lines $EMPTY, nothing is changed" ]
	run -1 --separate-stderr blocklist-load . check --skip-bad "$file"
	[ "${stderr_lines[7]}" = "blocklist-load: check the lists: '$file' has no entry, but 7 bad lines $EMPTY" ]
	active_is 192.0.2.7/32
	# Who says that it may be empty still says nothing of bad lines.
	run -1 --separate-stderr blocklist-load "$BPFFS/dir" load --skip-bad --allow-empty "$file"
	[ "${stderr_lines[7]}" = "blocklist-load: load the lists into '$BPFFS/dir': '$file' has 7 bad lines of 7, more than 50 % (--max-bad), nothing is changed" ]
	active_is 192.0.2.7/32
	run -0 blocklist-load "$BPFFS/dir" load --skip-bad --allow-empty --max-bad 100 "$file"
	active_is
}

@test "lists: --max-bad: of each file, so many per cent of the lines may be bad, and by default half" {
	local file=$BATS_TEST_TMPDIR/file bad limit error
	requires root
	load_blocklist
	write_list '192.0.2.7\n192.0.2.8\n192.0.2.9\n192.0.2.10\n192.0.2.11\n' good
	# BAD LIMIT: lines of ten, and what they may be.
	for bad in "5 " "5 50" "1 10" "0 0" "10 100"; do
		read -r bad limit <<<"$bad"
		{ yes x | head -n "$bad"; seq -f 10.0.0.%g $((10 - bad)); } >"$file"
		run -0 blocklist-load . check --skip-bad --allow-empty ${limit:+--max-bad=$limit} "$file"
	done
	for bad in "6 50" "6 " "1 9" "1 0" "9 89"; do
		read -r bad limit <<<"$bad"
		{ yes x | head -n "$bad"; seq -f 10.0.0.%g $((10 - bad)); } >"$file"
		run -1 --separate-stderr blocklist-load "$BPFFS/dir" load --skip-bad ${limit:+--max-bad=$limit} "$BATS_TEST_TMPDIR/good" "$file"
		error=" bad lines of 10, more than ${limit:-50} % (--max-bad), nothing is changed"
		[ "$bad" -ne 1 ] || error=${error/lines/line}
		[ "${stderr_lines[-1]}" = "blocklist-load: load the lists into '$BPFFS/dir': '$file' has $bad$error" ]
	done
	active_is
}

@test "lists: --max-shrink: a list that is so much shorter than the active one is refused" {
	local dir=$BPFFS/dir mib
	requires root
	load_blocklist
	new_block4
	seq -f 10.%g.0.1 100 >"$BATS_TEST_TMPDIR/100"
	head -n 50 "$BATS_TEST_TMPDIR/100" >"$BATS_TEST_TMPDIR/50"
	head -n 49 "$BATS_TEST_TMPDIR/100" >"$BATS_TEST_TMPDIR/49"
	# There is no list before: it cannot have shrunk.
	loads --max-shrink 0 "$BATS_TEST_TMPDIR/100"
	for mib in "" 8; do
		[ -z "$mib" ] || blocklist-load "$dir" reserve $mib
		refused "load the lists into '$dir': 49 entries in place of 100, more than 50 % fewer (--max-shrink), nothing is changed" \
			"$dir" load --max-shrink 50 "$BATS_TEST_TMPDIR/49"
		refused "load the lists into '$dir': 99 entries in place of 100, more than 0 % fewer (--max-shrink), nothing is changed" \
			"$dir" load --max-shrink 0 <(head -n 99 "$BATS_TEST_TMPDIR/100")
		[ "$(blocklist-load "$dir" dump | wc -l)" -eq 100 ]
		loads --max-shrink 50 "$BATS_TEST_TMPDIR/50"
		[ "$(blocklist-load "$dir" dump | wc -l)" -eq 50 ]
		# By default it may: it is the list that counts.
		loads "$BATS_TEST_TMPDIR/100"
		loads "$BATS_TEST_TMPDIR/49"
		loads --max-shrink 0 "$BATS_TEST_TMPDIR/100"
	done

	TOOL=edit
	says "100 added, 0 changed, 0 removed" sync --max-shrink 0 "$BATS_TEST_TMPDIR/100"
	fails 1 "map-edit: sync '$BATS_TEST_TMPDIR/49' with map '$BPFFS/block4': 49 entries in place of 100, more than 50 % fewer (--max-shrink), nothing is changed" \
		edit sync --max-shrink 50 "$BATS_TEST_TMPDIR/49"
	says "0 added, 0 changed, 50 removed" sync --max-shrink=50 "$BATS_TEST_TMPDIR/50"
	bpftool map create "$BPFFS/array" type array key 4 value 4 entries 8 name array
	fails 1 "map-edit: sync '$BATS_TEST_TMPDIR/file' with map '$BPFFS/array': --max-shrink does not go with an array, which never has fewer entries" \
		sh -c "echo 1 >'$BATS_TEST_TMPDIR/file'; map-edit --key u32 --value u32 $BPFFS/array sync --max-shrink 5 '$BATS_TEST_TMPDIR/file'"
}

@test "lists: map-edit: load and sync refuse a list without an entry, and change nothing" {
	local verb text file=$BATS_TEST_TMPDIR/file
	requires root
	new_block4
	edit add 192.0.2.0/24
	for verb in load sync; do
		for text in '' '\n# nothing\n'; do
			write_list "$text"
			fails 1 "map-edit: $verb '$file': it has no entry, nothing is changed $EMPTY" edit $verb "$file"
			fails 1 "map-edit: $verb '$file': it has no entry, nothing is changed $EMPTY" edit $verb --dry-run "$file"
		done
		# shellcheck disable=SC2016 # sh expands it
		fails 1 "map-edit: $verb standard input: it has no entry, nothing is changed $EMPTY" \
			sh -c "false | map-edit --key cidr4 --value u8 $BPFFS/block4 $verb -"
		write_list "$html"
		run -1 --separate-stderr edit $verb "$file"
		[ "${stderr_lines[7]}" = "map-edit: $verb '$file': 7 bad lines, nothing is changed" ]
	done
	[ "$(edit show)" = 192.0.2.0/24=1 ]
	[ "$(edit load --allow-empty /dev/null)" = "0 added, 0 changed" ]
	[ "$(edit sync --allow-empty --dry-run /dev/null)" = $'- 192.0.2.0/24=1\n0 added, 0 changed, 1 removed' ]
	[ "$(edit sync --allow-empty /dev/null)" = "0 added, 0 changed, 1 removed" ]
	[ -z "$(edit show)" ]
}

@test "lists: of each file, the first 20 bad lines are printed, and how many more there are" {
	local file=$BATS_TEST_TMPDIR/file
	yes x | head -n 20 >"$file"
	yes x | head -n 100021 >"$file.2"
	run -1 --separate-stderr blocklist-load . check "$file" "$file.2"
	[ "${#stderr_lines[@]}" -eq 42 ]
	[ "${stderr_lines[19]}" = "blocklist-load: $file:20: 'x' is not an IPv4 address or prefix" ]
	[ "${stderr_lines[39]}" = "blocklist-load: $file.2:20: 'x' is not an IPv4 address or prefix" ]
	[ "${stderr_lines[40]}" = "blocklist-load: $file.2: 100001 more bad lines" ]
	[ "${stderr_lines[41]}" = "blocklist-load: check the lists: 100041 bad lines" ]
}

@test "lists: map-edit: the first 20 bad lines are printed, and how many more there are" {
	requires root
	new_block4
	yes x | head -n 22 >"$BATS_TEST_TMPDIR/file"
	run -1 --separate-stderr edit load "$BATS_TEST_TMPDIR/file"
	[ "${#stderr_lines[@]}" -eq 22 ]
	[ "${stderr_lines[20]}" = "map-edit: $BATS_TEST_TMPDIR/file: 2 more bad lines" ]
	[ "${stderr_lines[21]}" = "map-edit: load '$BATS_TEST_TMPDIR/file': 22 bad lines, nothing is changed" ]
}

# The entries of a list that are IPv4: of Python, each unmapped, unless it is all of them or wider.
@test "lists: v4-mapped addresses and networks are IPv4, and wider networks keep their meaning" {
	local wide
	requires root
	load_blocklist
	write_list '::ffff:192.0.2.2\n::FFFF:192.0.2.128/121 # x\n::ffff:c633:6400/120\n0:0:0:0:0:ffff:203.0.113.0/128\n'
	loads "$BATS_TEST_TMPDIR/file"
	[[ $output == "4 read, 4 merged: 4 IPv4, 0 IPv6, "* ]]
	active_is 192.0.2.2/32 192.0.2.128/25 198.51.100.0/24 203.0.113.0/32
	for wide in ::ffff:0.0.0.0/96 ::fffe:0:0/95 ::/80 ::/1 ::/0; do
		write_list "$wide\n"
		loads "$BATS_TEST_TMPDIR/file"
		[[ $output == "1 read, 1 merged: 0 IPv4, 1 IPv6, "* ]]
		active_is "$wide"
		blocklist-load "$BPFFS/dir" dump >"$BATS_TEST_TMPDIR/dump"
		loads "$BATS_TEST_TMPDIR/dump"
		active_is "$wide"
	done
	write_list '::ffff:0:0/97\n'
	loads "$BATS_TEST_TMPDIR/file"
	active_is 0.0.0.0/1
	write_list '::ffff:192.0.2.1/120\n'
	refused "$(printf '%s\n' "$BATS_TEST_TMPDIR/file:1: host bits are set: did you mean 192.0.2.0/24?" \
		"blocklist-load: check the lists: 1 bad line")" . check "$BATS_TEST_TMPDIR/file"
}

@test "lists: map-edit takes v4-mapped networks in maps of IPv4, and refuses them in the twin for IPv6" {
	local map maps=$BPFFS/fw why="it would have no effect: this map is for IPv6: IPv4 networks belong in the map whose name ends in 4"
	requires root
	prog-load --maps "$maps" "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$BPFFS/prog"
	prog-load --maps "$BPFFS/ping" "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog2"
	write_list '::ffff:192.0.2.2\n::ffff:198.51.100.0/120\n'
	for map in fw_allow fw_block fw_rate; do
		run -0 map-edit "$maps/${map}4" load "$BATS_TEST_TMPDIR/file"
		[ "$output" = "2 added, 0 changed" ]
		run -0 map-edit "$maps/${map}4" show
		[ "$(printf '%s\n' "${lines[@]%%=*}")" = $'192.0.2.2/32\n198.51.100.0/24' ]
		run -1 --separate-stderr map-edit "$maps/${map}6" load "$BATS_TEST_TMPDIR/file"
		[ "${stderr_lines[0]}" = "map-edit: $BATS_TEST_TMPDIR/file:1: $why" ]
		[ "${stderr_lines[1]}" = "map-edit: $BATS_TEST_TMPDIR/file:2: $why" ]
		[ "${#stderr_lines[@]}" -eq 3 ]
		map-edit "$maps/${map}6" add ::/0
	done
	write_list '::ffff:192.0.2.2\n'
	map-edit "$BPFFS/ping/ping_hash" load "$BATS_TEST_TMPDIR/file"
	[ "$(map-edit "$BPFFS/ping/ping_hash" show)" = 192.0.2.2=1 ]
	run -1 --separate-stderr map-edit "$BPFFS/ping/ping_hash6" load "$BATS_TEST_TMPDIR/file"
	[ "${stderr_lines[0]}" = "map-edit: $BATS_TEST_TMPDIR/file:1: it would have no effect: this map is for IPv6: add an IPv4 address to ping_hash" ]
	# One map for both families: an IPv4 address is a v4-mapped one there.
	map-edit "$maps/fw_ban" load "$BATS_TEST_TMPDIR/file"
	[[ $(map-edit "$maps/fw_ban" show) == 192.0.2.2=* ]]
}

@test "lists: gzip, xz, zstd: whole with all their parts, or an error: cut, changed, other data behind" {
	requires cmd:gzip cmd:xz cmd:zstd
	run -0 "$LISTS" compressed "$BATS_TEST_TMPDIR"
	[[ $output =~ ^[0-9]{3}\ files,\ 0\ wrong$ ]]
}

@test "lists: map-edit and standard input: compressed lists, too" {
	local packer
	requires root cmd:gzip cmd:xz cmd:zstd
	new_block4
	for packer in gzip xz "zstd -q"; do
		# shellcheck disable=SC2086 # an option
		{ echo 192.0.2.0/24 | $packer -c; echo 198.51.100.0/24 | $packer -c; } >"$BATS_TEST_TMPDIR/packed"
		[ "$(edit sync - <"$BATS_TEST_TMPDIR/packed")" = "2 added, 0 changed, 0 removed" ]
		head -c -3 "$BATS_TEST_TMPDIR/packed" >"$BATS_TEST_TMPDIR/cut"
		fails 1 "map-edit: read standard input: unexpected end of file" edit sync - <"$BATS_TEST_TMPDIR/cut"
		[ "$(edit show)" = $'192.0.2.0/24=1\n198.51.100.0/24=1' ]
		edit del 192.0.2.0/24 198.51.100.0/24
	done
}

@test "lists: a library that unpacks is needed only for what it unpacks" {
	local empty=$BATS_TEST_TMPDIR/lib library packer
	requires cmd:xz cmd:zstd
	mkdir "$empty"
	echo 192.0.2.1 >"$BATS_TEST_TMPDIR/file"
	for packer in "xz liblzma.so.5" "zstd libzstd.so.1"; do
		read -r packer library <<<"$packer"
		# libelf of Debian 13 needs libzstd, too.
		! ldd "$HOOKSET_BUILD/blocklist-load" | grep -q "$library" || continue
		# Found first, and no library.
		: >"$empty/$library"
		"$packer" -c "$BATS_TEST_TMPDIR/file" >"$BATS_TEST_TMPDIR/packed"
		fails 1 "blocklist-load: read '$BATS_TEST_TMPDIR/packed': it is compressed by $packer, and $library cannot be loaded" \
			env LD_LIBRARY_PATH="$empty" blocklist-load . check "$BATS_TEST_TMPDIR/packed"
		LD_LIBRARY_PATH=$empty blocklist-load . check "$BATS_TEST_TMPDIR/file"
		rm "$empty/$library"
	done
}

@test "lists: each published format, random: what ipaddress makes of it, by both tools" {
	local version rounds=10
	requires root
	[ "${HOOKSET_PATIENCE:-1}" -eq 1 ] || rounds=3
	load_blocklist
	for version in 4 6; do
		bpftool map create "$BPFFS/cidr$version" type lpm_trie key $((version == 4 ? 8 : 20)) value 1 entries 100000 name cidr$version flags 1
	done
	run -0 "$LISTS" formats "$BPFFS" "$BPFFS/dir" $RANDOM $rounds
	[[ $output == *" entries: no difference" ]]
}

@test "lists: lines of JSON are good where Python's json says so" {
	local count=1000
	[ "${HOOKSET_PATIENCE:-1}" -eq 1 ] || count=200
	run -0 "$LISTS" json $RANDOM $count
	[[ $output =~ ^$count\ lines,\ [0-9]{2,}\ good,\ 0\ wrong$ ]]
}

# reads FORMAT COUNT TEXT [EXPECTED...]: blocklist-load finds this format and so many entries, which
# are these networks; so does map-edit, and with the format named both do the same.
reads() {
	local format=$1 count=$2 file=$BATS_TEST_TMPDIR/file how expected
	write_list "$3"
	shift 3
	expected=$(printf '%s=1\n' "$@")
	for how in "" "--format=$format"; do
		loads ${how:+"$how"} "$file"
		[[ $output == "$count read ($format), "* ]]
		active_is "$@"
		run -0 edit sync ${how:+"$how"} "$file"
		[[ $output == *" removed ($format)" ]]
		[ "$(edit show)" = "$expected" ]
		[[ $(edit sync -j ${how:+"$how"} "$file") == *',"format":"'$format'"}' ]]
		edit sync --allow-empty /dev/null >/dev/null
	done
}

@test "lists: samples as their publishers write them" {
	requires root
	load_blocklist
	new_block4
	reads json 2 '{"cidr":"192.0.2.0/24","sblid":"SBL256894","rir":"apnic"}\n{"cidr":"198.51.100.0/25","sblid":"SBL434604","rir":"apnic"}\n{"type":"metadata","timestamp":1744682874,"size":85741,"records":2,"copyright":"(c) 2025 The Spamhaus Project SLU","terms":"https://www.spamhaus.org/drop/terms/"}\n' \
		192.0.2.0/24 198.51.100.0/25
	reads p2p 2 '# List distributed by example.org\n\nExample Org, Inc: web #1:192.0.2.0-192.0.2.255\r\nExample-2:198.51.100.7-198.51.100.7\r\n' \
		192.0.2.0/24 198.51.100.7/32
	reads dshield 2 '#\n#   DShield.org Recommended Block List\n#\nStart\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n192.0.2.0\t192.0.2.255\t24\t4072\tEXAMPLE; #1\tZZ\tabuse@example.net\n198.51.100.0\t198.51.100.255\t24\t9\t\t\t\n' \
		192.0.2.0/24 198.51.100.0/24
	# Without its headline, as feeds.dshield.org has it since 2020, and with a mask.
	reads dshield 1 '192.0.2.0\t192.0.2.255\t255.255.255.0\t579\tEXAMPLE\tZZ\tx@example.net\n' 192.0.2.0/24
	reads ipset 3 'create bad hash:net family inet hashsize 1024 maxelem 65536 timeout 600 comment bucketsize 12 initval 0x4501744e\nadd bad 192.0.2.0/24 timeout 599 comment "x # y; nomatch"\nadd bad 198.51.100.7\nadd bad 203.0.113.4-203.0.113.6\n' \
		192.0.2.0/24 198.51.100.7/32 203.0.113.4/31 203.0.113.6/32
	reads ipset 1 'add -exist bad 192.0.2.0/24 -exist\n' 192.0.2.0/24
	# An address of such a set stands for a network.
	reads ipset 1 'create b hash:ip family inet hashsize 1024 maxelem 65536 netmask 28 bucketsize 12 initval 0x96134915\nadd b 198.51.100.16\n' \
		198.51.100.16/28

	# Of the plain one nothing is said, as it is the usual one.
	write_list '; a comment\n192.0.2.0/255.255.255.128\n192.0.2.128 255.255.255.128 ; x\n198.51.100.1-198.51.100.4 # y\n198.51.100.5 - 198.51.100.6;z\n203.0.113.0\t255.255.255.255\n'
	loads "$BATS_TEST_TMPDIR/file"
	[[ $output == "5 read, 6 merged: "* ]]
	active_is 192.0.2.0/24 198.51.100.1/32 198.51.100.2/31 198.51.100.4/31 198.51.100.6/32 203.0.113.0/32
	[ "$(edit sync "$BATS_TEST_TMPDIR/file")" = "8 added, 0 changed, 0 removed" ]
	[ "$(edit sync -j "$BATS_TEST_TMPDIR/file")" = '{"added":0,"changed":0,"removed":0,"format":"plain"}' ]
	# Several files, each in its own format.
	write_list '{"cidr":"203.0.113.128/25"}\n' json
	loads "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/json" "$BATS_TEST_TMPDIR/file"
	[[ $output == "11 read (plain, json), 7 merged: "* ]]
	run -0 blocklist-load --json . check "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/json"
	[[ $output == *',"formats":["plain","json"]}' ]]
}

# is_bad REASON LINE [FORMAT]: this line is refused by blocklist-load and by map-edit alike.
is_bad() {
	local file=$BATS_TEST_TMPDIR/file
	write_list "$2\n"
	fails 1 "blocklist-load: $file:1: $1
blocklist-load: check the lists: 1 bad line" blocklist-load . check ${3:+--format=$3} "$file"
	fails 1 "map-edit: $file:1: $1
map-edit: load '$file': 1 bad line, nothing is changed" edit load ${3:+--format=$3} "$file"
}

@test "lists: what is a guess, or no list of addresses, is refused with a reason" {
	local padded="has a number with a leading zero, which may be octal or decimal"
	requires root
	new_block4
	is_bad "'010.0.0.1' $padded" 010.0.0.1
	is_bad "'10.0.0.00/8' $padded" 10.0.0.00/8
	is_bad "'192.0.2.010' $padded" 192.0.2.1-192.0.2.010
	is_bad "'192.0.2.010' $padded" 'x:192.0.2.1-192.0.2.010' p2p
	is_bad "'001.002.003.000' $padded" '001.002.003.000 - 001.002.003.255 , 000 , Example'
	is_bad "'0.0.0.255' is a wildcard mask: the netmask would be /24" '192.0.2.0 0.0.0.255'
	is_bad "'0.0.0.63' is a wildcard mask: the netmask would be /26" 192.0.2.0/0.0.0.63
	is_bad "'255.0.255.0' is not a netmask" '192.0.2.0 255.0.255.0'
	is_bad "'192.0.2.9' is not a netmask" '192.0.2.1 192.0.2.9'
	is_bad "host bits are set: did you mean 192.0.2.0/24?" '192.0.2.1 255.255.255.0'
	is_bad "the range ends before it begins" 192.0.2.9-192.0.2.1
	is_bad "the end of the range, '9', is not an address" 192.0.2.1-9
	is_bad "the range begins and ends in different families" 192.0.2.1-2001:db8::1
	is_bad "the range has a part of the v4-mapped addresses, and others" ::1-::ffff:192.0.2.1
	is_bad "'10.0.0.0/33' has a prefix length that is not 0 to 32" 10.0.0.0/33
	is_bad "unexpected text after the address: ' 192.0.2.2'" 'x:192.0.2.1-192.0.2.1 192.0.2.2' p2p

	is_bad "'{\"cidr\":\"192.0.2.0/24\"' is not a JSON object" '{"cidr":"192.0.2.0/24"'
	is_bad "the object has no member 'cidr'" '{"asn":64496,"rir":"arin"}'
	is_bad "the list has 0 entries, and should have 1406" '{"type":"metadata","timestamp":1744682874,"size":85741,"records":1406}'
	is_bad "'192.0.2.0/24' is not a JSON object" 192.0.2.0/24 json

	is_bad "'x:2001:db8::1-2001:db8::9' is not NAME:FIRST-LAST, of IPv4" x:2001:db8::1-2001:db8::9 p2p
	is_bad "'192.0.2.1' is not NAME:FIRST-LAST, of IPv4" 192.0.2.1 p2p
	is_bad "'192.0.2.0' to '192.0.2.127' is not a /24" '192.0.2.0\t192.0.2.127\t24\t1'
	is_bad "'192.0.2.0' is not followed by an end and a length, after tabs" '192.0.2.0\t192.0.2.255' dshield

	is_bad "'192.0.2.8/29' is an exception (nomatch), which a list cannot have" 'add a 192.0.2.8/29 timeout 599 nomatch'
	is_bad "a set of type 'hash:ip,port' does not have addresses or networks alone" 'create a hash:ip,port family inet hashsize 1024 maxelem 65536'
	is_bad "a set of type 'list:set' does not have addresses or networks alone" 'create a list:set size 8'
	is_bad "a set with a bitmask has more than networks" 'create a hash:ip family inet bitmask 255.0.255.0'
	is_bad "'192.0.2.1,80' is not an IPv4 address or prefix" 'add a 192.0.2.1,80'
	is_bad "'flush' is not create or add" 'flush a' ipset
	write_list 'add good 192.0.2.1\nadd bad 192.0.2.2\n'
	fails 1 "blocklist-load: $BATS_TEST_TMPDIR/file:2: it is of a second set, 'bad': save one alone, by 'ipset save good'
blocklist-load: check the lists: 1 bad line" blocklist-load . check "$BATS_TEST_TMPDIR/file"
	# Of a refused set no entry is taken, even if it looks like one.
	write_list 'create a hash:ip family inet bitmask 255.0.255.0\nadd a 192.0.2.1\n'
	run -1 --separate-stderr blocklist-load . check --skip-bad "$BATS_TEST_TMPDIR/file"
	[ "${#stderr_lines[@]}" -eq 3 ]
	# The metadata of Spamhaus says that a part is missing.
	write_list '{"cidr":"192.0.2.0/24"}\n{"type":"metadata","records":2}\n'
	fails 1 "blocklist-load: $BATS_TEST_TMPDIR/file:2: the list has 1 entries, and should have 2
blocklist-load: check the lists: 1 bad line" blocklist-load . check "$BATS_TEST_TMPDIR/file"
	[ -z "$(edit show)" ]
}

@test "lists: a set of ipset: what its kernel module matches is what the list has" {
	local ns name address nets
	requires root cmd:ipset
	netns ns
	in_ns "$ns" ipset create net hash:net timeout 600 comment || skip "the kernel has no hash:net"
	in_ns "$ns" ipset add net 192.0.2.0/25 comment "x # y; z"
	in_ns "$ns" ipset add net 198.51.100.7
	in_ns "$ns" ipset create ip hash:ip netmask 28 counters skbinfo
	in_ns "$ns" ipset add ip 192.0.2.77
	in_ns "$ns" ipset create bits bitmap:ip range 192.0.2.0/24 netmask 30
	in_ns "$ns" ipset add bits 192.0.2.77
	in_ns "$ns" ipset create six hash:net family inet6
	in_ns "$ns" ipset add six 2001:db8:1::/48
	load_blocklist
	for name in net ip bits six; do
		in_ns "$ns" ipset save "$name" >"$BATS_TEST_TMPDIR/file"
		loads "$BATS_TEST_TMPDIR/file"
		[[ $output == *" read (ipset), "* ]]
		nets=$(blocklist-load "$BPFFS/dir" dump)
		for address in 192.0.2.{0,1,63,64,75,76,77,79,80,127,128} 198.51.100.{6,7,8} 2001:db8:1::1 2001:db8:2::1; do
			[ "$name" = six ] || [[ $address != *:* ]] || continue
			[ "$name" != six ] || [[ $address == *:* ]] || continue
			/usr/bin/python3 -c '
import ipaddress, sys
print(any(ipaddress.ip_address(sys.argv[1]) in ipaddress.ip_network(net) for net in sys.argv[2].split()))' \
				"$address" "$nets" >"$BATS_TEST_TMPDIR/listed"
			if in_ns "$ns" ipset -q test "$name" "$address"; then
				echo True
			else
				echo False
			fi | diff - "$BATS_TEST_TMPDIR/listed"
		done
	done
}

@test "lists: map-edit: entries with values, single addresses, and maps that take no list" {
	local file=$BATS_TEST_TMPDIR/file
	requires root
	new_block4
	write_list '192.0.2.0-192.0.2.2=5 ; x\n198.51.100.0 255.255.255.0 = 6 # y\n203.0.113.0/25=7\n::ffff:203.0.113.128/121\n{prefixlen=8 address=10.0.0.0}=9\n'
	[ "$(edit sync "$file")" = "6 added, 0 changed, 0 removed" ]
	[ "$(edit show)" = $'10.0.0.0/8=9\n192.0.2.0/31=5\n192.0.2.2/32=5\n198.51.100.0/24=6\n203.0.113.0/25=7\n203.0.113.128/25=1' ]
	# A network is all its addresses where the keys are addresses, as many as the map can hold.
	bpftool map create "$BPFFS/hash" type hash key 4 value 4 entries 8 name hash
	write_list 'x:192.0.2.6-192.0.2.8\n'
	[ "$(map-edit --key be32 --value u32 "$BPFFS/hash" load "$file")" = "3 added, 0 changed (p2p)" ]
	[ "$(map-edit --key be32 --value u32 "$BPFFS/hash" show)" = $'192.0.2.6=1\n192.0.2.7=1\n192.0.2.8=1' ]
	write_list '192.0.2.0/28\n'
	fails 1 "map-edit: $file:1: the range has more keys than the map can hold (8)
map-edit: load '$file': 1 bad line, nothing is changed" map-edit --key be32 --value u32 "$BPFFS/hash" load "$file"
	write_list '255.255.255.254/31\n'
	[ "$(map-edit --key be32 --value u32 "$BPFFS/hash" sync "$file")" = "2 added, 0 changed, 3 removed" ]
	# Of IPv6 in a map of IPv4 nothing is left out without a word.
	is_bad_in_map "'2001:db8::/32' is not an IPv4 address or prefix" '2001:db8::/32'
	is_bad_in_map "'2001:db8::-2001:db8::5' is not an IPv4 address or prefix" '2001:db8::-2001:db8::5'
	fails 1 "map-edit: load '$file': --format goes with a map whose keys are addresses or CIDRs" \
		map-edit --key u32 --value u32 "$BPFFS/hash" load --format p2p "$file"
}
is_bad_in_map() {
	write_list "$2\n"
	fails 1 "map-edit: $BATS_TEST_TMPDIR/file:1: $1
map-edit: load '$BATS_TEST_TMPDIR/file': 1 bad line, nothing is changed" edit load "$BATS_TEST_TMPDIR/file"
}

@test "lists: --format: wrong usage" {
	misuse "unknown format 'csv' (expected plain, json, p2p, dshield, ipset)" --format csv . check file
	misuse "unknown format '' (expected plain, json, p2p, dshield, ipset)" --format= . check file
	misuse "--format goes with load and check" --format json . dump
	TOOL="map-edit"
	misuse "unknown format 'JSON' (expected plain, json, p2p, dshield, ipset)" --format JSON map load file
	misuse "--format goes with load and sync" --format json map show
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # netns sets the names that it is given, bats sets stderr_lines
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC2016 # what make and another shell are to expand

load ../lib/helpers

setup_file() {
	object edit edit
	chmod 711 "$BATS_FILE_TMPDIR"
	chmod 644 "$BATS_FILE_TMPDIR/edit.o"
	# The CPUs that a per-CPU map has values for: 0-1 or so.
	CPUS=$(($(sed 's/.*-//' /sys/devices/system/cpu/possible) + 1))
	export CPUS
}

# new_map NAME TYPE KEY_SIZE VALUE_SIZE ENTRIES [ARGUMENT...]: made by bpftool, without BTF, and
# pinned at $BPFFS/NAME.
new_map() {
	local pin=$BPFFS/$1 type=$2 key=$3 value=$4 entries=$5
	shift 5
	[ "$type" != lpm_trie ] || set -- flags 1 "$@" # BPF_F_NO_PREALLOC
	bpftool map create "$pin" type "$type" key "$key" value "$value" entries "$entries" \
		name "$(basename "$pin")" "$@"
}

# dump NAME: the kernel's entries, KEY=VALUE in hexadecimal, sorted; of a map with a value per
# CPU KEY=VALUE=VALUE...
dump() {
	bpftool -j map dump pinned "$BPFFS/$1" | sed 's/{"key":\["0x/\n&/g' | sed -nE '
		s/,"formatted":.*//; s/"0x(..)",?/\1/g; s/"values":\[//
		s/^\{"key":\[([0-9a-f]+)\],/\1/; T; s/,?(\{"cpu":[0-9]+,)?"value":\[/=/g
		s/[]\[{},]//g; p' | sort
}

# map_is NAME [LINE...]: the kernel's dump of the map is these lines, in any order.
map_is() {
	local name=$1 got expected
	shift
	got=$(dump "$name")
	expected=$*
	if [ $# -gt 1 ]; then
		expected=$(printf '%s\n' "$@" | sort)
	fi
	if [ "$got" != "$expected" ]; then
		printf 'map %s\nexpected:\n%s\nis:\n%s\n' "$name" "$expected" "$got" >&2
		return 1
	fi
}

# zeros N: N bytes of zero, as dump() writes them.
zeros() {
	printf "%0$((2 * $1))d" 0
}

# per_cpu VALUE: one CPU has it, the others have zero.
per_cpu() {
	local cpu
	printf %s "$1"
	for ((cpu = 1; cpu < CPUS; cpu++)); do
		printf '=%s' "$(zeros $((${#1} / 2)))"
	done
}

# load_maps: those of fixtures/edit.bpf.c, with BTF, pinned in $BPFFS.
load_maps() {
	bpftool prog load "$BATS_FILE_TMPDIR/edit.o" "$BPFFS/prog" pinmaps "$BPFFS"
}

# write_list TEXT: a list of entries, in $BATS_TEST_TMPDIR/file; \n and the like are expanded.
write_list() {
	printf '%b' "$1" >"$BATS_TEST_TMPDIR/file"
}

# bats test_tags=kernel-free
@test "map-edit: wrong usage" {
	misuse "MAP is missing"
	misuse "the verb is missing (show, get, add, del, load, sync)" map
	misuse "unknown verb 'list' (expected show, get, add, del, load, sync)" map list
	misuse "too many arguments: 'more'" map show more
	misuse "KEY is missing" map get
	misuse "too many arguments: '2'" map get 1 2
	misuse "KEY[=VALUE] is missing" map add
	misuse "KEY is missing" map del
	misuse "FILE is missing" map load
	misuse "FILE is missing" map sync
	misuse "too many arguments: 'more'" map load file more
	misuse "too many arguments: 'more'" map sync file more
	misuse "--per-cpu goes with show and get" --per-cpu map add 1
	misuse "--per-cpu goes with show and get" --per-cpu map sync file
	misuse "--dry-run goes with load and sync" --dry-run map add 1
	misuse "--dry-run goes with load and sync" --dry-run map show
	misuse "--allow-empty goes with load and sync" --allow-empty map show
	misuse "--max-shrink goes with sync" --max-shrink 10 map load file
	misuse "--max-shrink '101' is not between 0 and 100" --max-shrink 101 map sync file
	misuse "--json and --pretty go with show, get, load and sync" --json map add 1
	misuse "--json and --pretty go with show, get, load and sync" -p map del 1
	misuse "--key is empty" --key= map show
	misuse "--value is empty" --value "" map show
	misuse "--btf is empty" --btf "" map show
	misuse "option '--key' requires an argument" map show --key
	misuse "option '--btf' requires an argument" map show --btf
	misuse "option '--json' doesn't allow an argument" --json=1 map show
}

# ---- each map type, each key type, each verb

# TYPE SIZE TEXT BYTES: a key, as people write it and as the kernel has it.
keys="\
u8        1  200                  c8
u16       2  7777                 611e
u32       4  305419896            78563412
u64       8  18446744073709551615 ffffffffffffffff
s8        1  -5                   fb
s16       2  -2                   feff
s32       4  -2147483648          00000080
s64       8  -1                   ffffffffffffffff
bool      1  true                 01
be16      2  7777                 1e61
be32      4  10.9.0.1             0a090001
be64      8  258                  0000000000000102
in6_addr  16 fd09::1              fd090000000000000000000000000001
mac       6  02:00:5e:10:00:ff    02005e1000ff
char[8]   8  \"eth0\"               6574683000000000
hex[5]    5  0a0b0c0dff           0a0b0c0dff
u16[2]    4  [1,2]                01000200"

# each_key MAP_TYPE PER_CPU: all verbs with all keys, in maps of this type, whose values are u32.
each_key() {
	local - map_type=$1 type size text bytes map n=0
	value() {
		local bytes
		bytes=$(printf %02x000000 "$1")
		if [ "$2" ]; then per_cpu "$bytes"; else printf %s "$bytes"; fi
	}
	set +T # what bats notes of each line of the functions takes longer than they do
	while read -r type size text bytes; do
		text=${text/,/ } # the elements of an array
		echo "key $type, $text"
		map=m$((n++))
		new_map $map "$map_type" "$size" 4 64
		set -- --key "$type" --value u32 "$BPFFS/$map"
		map_is $map

		silent "$@" add -- "$text=5"
		map_is $map "$bytes=$(value 5 "$percpu")"
		says "$text=5" "$@" show
		says 5 "$@" get -- "$text"
		silent "$@" add -- "$text"
		map_is $map "$bytes=$(value 1 "$percpu")"
		says 1 "$@" get -- "$text"

		write_list "# what follows a hash is a comment\n\n$text=9 # so is this\n"
		says "0 added, 1 changed" "$@" load "$BATS_TEST_TMPDIR/file"
		map_is $map "$bytes=$(value 9 "$percpu")"
		says "0 added, 0 changed" "$@" load "$BATS_TEST_TMPDIR/file"
		says "0 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
		says "- $text=9"$'\n'"0 added, 0 changed, 1 removed" "$@" sync --dry-run --allow-empty /dev/null
		map_is $map "$bytes=$(value 9 "$percpu")"
		says "0 added, 0 changed, 1 removed" "$@" sync --allow-empty /dev/null
		map_is $map
		says "1 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
		map_is $map "$bytes=$(value 9 "$percpu")"

		silent "$@" del -- "$text"
		map_is $map
		refused "get '$text' from map '$BPFFS/$map': it is not there" "$@" get -- "$text"
		refused "delete from map '$BPFFS/$map': '$text' is not there" "$@" del -- "$text"
		says "" "$@" show
		says "[]" "$@" show --json
		rm "$BPFFS/$map"
	done <<<"$keys"
	[ "$n" -eq 17 ]
}

# bats test_tags=kernel-free
@test "map-edit: hash: each key type, each verb" {
	local percpu=
	requires root
	each_key hash
}

# bats test_tags=kernel-free
@test "map-edit: lru_hash: each key type, each verb" {
	local percpu=
	requires root
	each_key lru_hash
}

# bats test_tags=kernel-free
@test "map-edit: percpu_hash: each key type, each verb" {
	local percpu=yes
	requires root
	each_key percpu_hash
}

@test "map-edit: lru_percpu_hash: each key type, each verb" {
	local percpu=yes
	requires root
	each_key lru_percpu_hash
}

# each_array MAP_TYPE VALUE_FUNCTION: all verbs in an array of 3, whose values are u64.
each_array() {
	local zero value
	value() {
		local bytes
		bytes=$(printf %02x00000000000000 "$1")
		if [ "$percpu" ]; then per_cpu "$bytes"; else printf %s "$bytes"; fi
	}
	new_map a "$1" 4 8 3
	set -- --value u64 "$BPFFS/a" # the keys need no type: they are indexes
	zero=$(value 0)
	map_is a "00000000=$zero" "01000000=$zero" "02000000=$zero"
	says $'0=0\n1=0\n2=0' "$@" show
	silent "$@" add 1=7
	map_is a "00000000=$zero" "01000000=$(value 7)" "02000000=$zero"
	says 7 "$@" get 1
	says 0 "$@" get 2
	silent "$@" add 0-1=3 2
	map_is a "00000000=$(value 3)" "01000000=$(value 3)" "02000000=$(value 1)"
	write_list '1=9\n'
	says "0 added, 1 changed" "$@" load "$BATS_TEST_TMPDIR/file"
	map_is a "00000000=$(value 3)" "01000000=$(value 9)" "02000000=$(value 1)"
	# Its entries cannot be removed: those that the file does not name become zero.
	says $'~ 0=3 -> 0\n~ 2=1 -> 0\n0 added, 2 changed, 0 removed' "$@" sync --dry-run "$BATS_TEST_TMPDIR/file"
	says "0 added, 2 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
	map_is a "00000000=$zero" "01000000=$(value 9)" "02000000=$zero"
	says "0 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
	says "0 added, 1 changed, 0 removed" "$@" sync --allow-empty /dev/null
	map_is a "00000000=$zero" "01000000=$zero" "02000000=$zero"

	refused "open map '$BPFFS/a': its type is $type: its entries cannot be deleted, only set to another value" \
		"$@" del 1
	misuse "KEY '3': index out of range (0-2)" "$@" get 3
	misuse "KEY[=VALUE] '3': index out of range (0-2)" "$@" add 1=5 3
	misuse "KEY[=VALUE] '1-3': index out of range (0-2)" "$@" add 1-3
	write_list '1\n3\n0-7\n4294967295\n4294967296\n'
	run -1 --separate-stderr map-edit "$@" load "$BATS_TEST_TMPDIR/file"
	[ -z "$output" ]
	[ "$stderr" = "map-edit: $BATS_TEST_TMPDIR/file:2: index out of range (0-2)
map-edit: $BATS_TEST_TMPDIR/file:3: index out of range (0-2)
map-edit: $BATS_TEST_TMPDIR/file:4: index out of range (0-2)
map-edit: $BATS_TEST_TMPDIR/file:5: '4294967296' is above 4294967295
map-edit: load '$BATS_TEST_TMPDIR/file': 4 bad lines, nothing is changed" ]
	map_is a "00000000=$zero" "01000000=$zero" "02000000=$zero"
}

@test "map-edit: array: each verb" {
	local percpu='' type=array
	requires root
	each_array array
}

@test "map-edit: percpu_array: each verb" {
	local percpu=yes type=percpu_array
	requires root
	each_array percpu_array
}

@test "map-edit: lpm_trie: each verb, IPv4 and IPv6" {
	local size type text bytes wrong right inside
	requires root
	while read -r type size text bytes wrong right inside; do
		echo "key $type, $text"
		new_map l lpm_trie "$size" 4 8
		set -- --key "$type" --value u32 "$BPFFS/l"
		silent "$@" add "$text=5"
		map_is l "$bytes=05000000"
		says "$text=5" "$@" show
		says 5 "$@" get "$text"
		says 5 "$@" get "$inside" # what a program would see of this address
		write_list "$text=9 # comment\r\n$text=9"
		says "0 added, 1 changed" "$@" load "$BATS_TEST_TMPDIR/file"
		map_is l "$bytes=09000000"
		says "0 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
		says "0 added, 0 changed, 1 removed" "$@" sync --allow-empty /dev/null
		map_is l
		misuse "KEY[=VALUE] '$wrong': host bits are set: did you mean $right?" "$@" add "$wrong"
		misuse "KEY '$wrong': host bits are set: did you mean $right?" "$@" del "$wrong"
		silent "$@" add "$text" "$inside"
		says $'1' "$@" get "$text"
		silent "$@" del "$text" "$inside"
		map_is l
		refused "delete from map '$BPFFS/l': '$text' is not there" "$@" del "$text"
		refused "get '$inside' from map '$BPFFS/l': it is not there" "$@" get "$inside"
		rm "$BPFFS/l"
	done <<-END
		cidr4 8 10.0.0.0/8 080000000a000000 10.1.0.0/8 10.0.0.0/8 10.9.0.1
		cidr4 8 0.0.0.0/0 0000000000000000 10.1.0.0/0 0.0.0.0/0 10.9.0.1
		cidr4 8 10.9.0.0/31 1f0000000a090000 10.9.0.1/31 10.9.0.0/31 10.9.0.1
		cidr6 20 fd09::/16 10000000fd090000000000000000000000000000 fd09::1/16 fd09::/16 fd09::1
		cidr6 20 ::/0 0000000000000000000000000000000000000000 fd09::1/0 ::/0 fd09::1
	END
}

@test "map-edit: lpm_trie: keys of another shape, and keys with host bits that others have set" {
	requires root
	new_map l lpm_trie 6 4 8
	set -- --key hex[6] --value u32 "$BPFFS/l"
	silent "$@" add 08000000ff00=2
	map_is l "08000000ff00=02000000"
	misuse "KEY[=VALUE] '08000000ff01': bits after the prefix are set" "$@" add 08000000ff01
	misuse "KEY[=VALUE] '11000000ff01': the prefix length is above 16" "$@" add 11000000ff01
	misuse "KEY '11000000ff01': the prefix length is above 16" "$@" get 11000000ff01
	map_is l "08000000ff00=02000000"

	# To the kernel 10.1.2.3/8 is 10.0.0.0/8, and it is shown as what can be given back.
	new_map nets lpm_trie 8 4 8
	set -- --key cidr4 --value u32 "$BPFFS/nets"
	bpftool map update pinned "$BPFFS/nets" key 8 0 0 0 10 1 2 3 value 1 0 0 0
	says 10.0.0.0/8=1 "$@" show
	map-edit "$@" show >"$BATS_TEST_TMPDIR/file"
	says "0 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
	silent "$@" del 10.0.0.0/8
	map_is nets
}

@test "map-edit: sockmap and sockhash: show, get and del; cookies as ss has them" {
	local map text one two
	requires root
	netns ns
	serve "$ns" A tcp:127.0.0.1:7777 tcp:127.0.0.1:7778
	new_map sockmap sockmap 4 8 4
	new_map sockhash sockhash 2 8 4
	one=$(cookie "$ns" -t "sport = :7777")
	two=$(cookie "$ns" -t "sport = :7778")
	sockmap-update --netns "$ns" "$PID" 3 "$BPFFS/sockmap" 1
	sockmap-update --netns "$ns" "$PID" 4 "$BPFFS/sockmap" 3
	sockmap-update --netns "$ns" "$PID" 3 "$BPFFS/sockhash" 777
	sockmap-update --netns "$ns" "$PID" 4 "$BPFFS/sockhash" 7
	says "1=$one"$'\n'"3=$two" "$BPFFS/sockmap" show
	says "[{\"key\":1,\"value\":\"$one\"},{\"key\":3,\"value\":\"$two\"}]" "$BPFFS/sockmap" show -j
	says "7=$two"$'\n'"777=$one" --key u16 "$BPFFS/sockhash" show
	says "$two" "$BPFFS/sockmap" get 3
	says "$one" --key u16 "$BPFFS/sockhash" get 777
	refused "get '2' from map '$BPFFS/sockmap': it is not there" "$BPFFS/sockmap" get 2
	refused "get '8' from map '$BPFFS/sockhash': it is not there" --key u16 "$BPFFS/sockhash" get 8
	misuse "KEY '4': index out of range (0-3)" "$BPFFS/sockmap" get 4
	misuse "--value does not go with the map type sockmap" --value u64 "$BPFFS/sockmap" show

	refused "delete from map '$BPFFS/sockmap': '2' is not there" "$BPFFS/sockmap" del 2
	refused "delete from map '$BPFFS/sockmap': '0' is not there" "$BPFFS/sockmap" del 1 0
	says "1=$one"$'\n'"3=$two" "$BPFFS/sockmap" show
	silent "$BPFFS/sockmap" del 1 3
	says "" "$BPFFS/sockmap" show
	refused "delete from map '$BPFFS/sockhash': '8' is not there" --key u16 "$BPFFS/sockhash" del 8
	silent --key u16 "$BPFFS/sockhash" del 777
	says "7=$two" --key u16 "$BPFFS/sockhash" show
	for map in sockmap sockhash; do
		text="open map '$BPFFS/$map': its type is $map: sockmap-update adds a socket to it"
		refused "$text" "$BPFFS/$map" add 1=1
		refused "$text" "$BPFFS/$map" load /dev/null
		refused "$text" "$BPFFS/$map" sync /dev/null
		refused "$text" "$BPFFS/$map" sync --dry-run /dev/null
	done
	new_map narrow sockmap 4 4 4
	refused "read map '$BPFFS/narrow': No space left on device (its values have 4 bytes, and a cookie has 8)" \
		"$BPFFS/narrow" show
}

@test "map-edit: array_of_maps and hash_of_maps: show, get and del; ids" {
	local one two map text
	requires root
	new_map one hash 4 4 8
	new_map two hash 4 4 8
	one=$(id_of one)
	two=$(id_of two)
	new_map array_of_maps array_of_maps 4 4 4 inner_map pinned "$BPFFS/one"
	new_map hash_of_maps hash_of_maps 2 4 4 inner_map pinned "$BPFFS/one"
	bpftool map update pinned "$BPFFS/array_of_maps" key 1 0 0 0 value pinned "$BPFFS/one"
	bpftool map update pinned "$BPFFS/array_of_maps" key 3 0 0 0 value pinned "$BPFFS/two"
	bpftool map update pinned "$BPFFS/hash_of_maps" key 9 3 value pinned "$BPFFS/two"
	says "1=$one"$'\n'"3=$two" "$BPFFS/array_of_maps" show
	says "[{\"key\":1,\"value\":$one},{\"key\":3,\"value\":$two}]" "$BPFFS/array_of_maps" show -j
	says "777=$two" --key u16 "$BPFFS/hash_of_maps" show
	says "$two" "$BPFFS/array_of_maps" get 3
	refused "get '2' from map '$BPFFS/array_of_maps': it is not there" "$BPFFS/array_of_maps" get 2
	misuse "--value does not go with the map type array_of_maps" --value u32 "$BPFFS/array_of_maps" show
	for map in array_of_maps hash_of_maps; do
		text="open map '$BPFFS/$map': its type is $map: 'bpftool map update' adds a map to it"
		refused "$text" "$BPFFS/$map" add 1=1
		refused "$text" "$BPFFS/$map" load /dev/null
		refused "$text" "$BPFFS/$map" sync /dev/null
		refused "$text" "$BPFFS/$map" sync --dry-run /dev/null
	done
	silent "$BPFFS/array_of_maps" del 1
	refused "delete from map '$BPFFS/array_of_maps': '1' is not there" "$BPFFS/array_of_maps" del 1
	says "3=$two" "$BPFFS/array_of_maps" show
	silent --key u16 "$BPFFS/hash_of_maps" del 777
	says "" --key u16 "$BPFFS/hash_of_maps" show
}

@test "map-edit: an entry that goes away while the map is read, one by one, is not shown" {
	local first second
	requires root cmd:strace
	new_map inner hash 4 4 8
	new_map m hash_of_maps 1 4 8 inner_map pinned "$BPFFS/inner"
	for key in 1 2 3 4 5; do
		bpftool map update pinned "$BPFFS/m" key $key value pinned "$BPFFS/inner"
	done
	first=$(bpftool map getnext pinned "$BPFFS/m" | tail -n 1)
	second=$(bpftool map getnext pinned "$BPFFS/m" key "$first" | tail -n 1)
	calls map-edit --key u8 "$BPFFS/m" show >/dev/null
	[ "$(grep -c 'BPF_MAP_.*BATCH' "$CALLS")" -eq 0 ]
	# It is told of the second, and then there is none; what comes next is the first again.
	start_stopped bpf "$(grep -nx BPF_MAP_GET_NEXT_KEY "$CALLS" | sed -n '2s/:.*//p')" \
		map-edit --key u8 "$BPFFS/m" show
	bpftool map delete pinned "$BPFFS/m" key "$second"
	kill -CONT "$PID"
	wait "$PID"
	diff "$OUT" <(seq 5 | grep -vx "$((second))" | sed "s/\$/=$(id_of inner)/")
	[ "$(wc -l <"$OUT")" -eq 4 ]
}

id_of() {
	bpftool -j map show pinned "$BPFFS/$1" | sed -E 's/.*"id":([0-9]+).*/\1/'
}

@test "map-edit: other map types are refused by name" {
	local type key value entries
	requires root
	while read -r type key value entries; do
		new_map "$type" "$type" "$key" "$value" "$entries"
		refused "open map '$BPFFS/$type': its type is $type, which map-edit cannot show or change" \
			"$BPFFS/$type" show
		refused "open map '$BPFFS/$type': its type is $type, which map-edit cannot show or change" \
			--key u32 --value u32 "$BPFFS/$type" add 1
	done <<-END
		ringbuf 0 0 4096
		queue 0 4 4
		stack 0 4 4
		perf_event_array 4 4 4
	END
}

# ---- per CPU

@test "map-edit: per-CPU values are summed, field by field" {
	local cpu parts=
	requires root
	load_maps
	# bpftool sets the same on each CPU.
	bpftool map update pinned "$BPFFS/counters" key 2 0 0 0 value \
		7 0 0 0 0 0 0 0 1 0 0 0 2 0 0 0 2 0 0 0 0 5 0 0
	bpftool map update pinned "$BPFFS/addrs6" key 253 9 0 0 0 0 0 0 0 0 0 0 0 0 0 1 value 3 0 0 0 0 0 0 0
	says "{packets=$((7 * CPUS)) bytes=[$CPUS $((2 * CPUS))] mac=02:00:00:00:00:05}" \
		"$BPFFS/counters" get 2
	says "fd09::1=$((3 * CPUS))" "$BPFFS/addrs6" show
	for ((cpu = 0; cpu < CPUS; cpu++)); do
		parts+=", cpu$cpu 3"
	done
	says "fd09::1=$((3 * CPUS)) # ${parts#, }" --per-cpu "$BPFFS/addrs6" show
	says "$((3 * CPUS)) # ${parts#, }" --per-cpu "$BPFFS/addrs6" get fd09::1
	# The parts as bpftool shapes them.
	/usr/bin/python3 - "$(map-edit -j --per-cpu "$BPFFS/addrs6" show)" "$(bpftool -j map dump pinned "$BPFFS/addrs6")" <<-'PY'
		import json, sys
		ours, theirs = map(json.loads, sys.argv[1:])
		assert [entry["values"] for entry in ours] == [entry["formatted"]["values"] for entry in theirs], sys.argv
	PY
	# What is shown, parts and all, is read back, and is then the same sum.
	map-edit --per-cpu "$BPFFS/addrs6" show >"$BATS_TEST_TMPDIR/file"
	says "0 added, 0 changed, 0 removed" "$BPFFS/addrs6" sync "$BATS_TEST_TMPDIR/file"
	map-edit "$BPFFS/addrs6" del fd09::1
	says "1 added, 0 changed, 0 removed" "$BPFFS/addrs6" sync "$BATS_TEST_TMPDIR/file"
	says "fd09::1=$((3 * CPUS))" "$BPFFS/addrs6" show

	# What each CPU had goes with what is set.
	bpftool map update pinned "$BPFFS/addrs6" key 253 9 0 0 0 0 0 0 0 0 0 0 0 0 0 1 value 3 0 0 0 0 0 0 0
	silent "$BPFFS/addrs6" add fd09::1=7
	map_is addrs6 "fd090000000000000000000000000001=$(per_cpu 0700000000000000)"

	new_map plain hash 4 4 8
	refused "open map '$BPFFS/plain': its type is hash, which has one value for all CPUs" \
		--key u32 --value u32 --per-cpu "$BPFFS/plain" show
}

@test "map-edit: per-CPU values that differ: the sum, and of what has none the first that is not zero" {
	local cpu key zero='{packets=0 bytes=[0 0] mac=00:00:00:00:00:00}'
	local one='{packets=5 bytes=[0 7] mac=02:00:00:00:00:01}' two='{packets=6 bytes=[1 0] mac=02:00:00:00:00:02}'
	local -a part=()
	requires root
	load_maps
	for ((cpu = 0; cpu < CPUS; cpu++)); do
		part+=("$zero")
	done
	# On the last CPU alone; then on the first, too: on a machine that has but one, instead.
	for key in 1 2; do
		/usr/bin/python3 - "$BPFFS/counters" $key "$CPUS" <<-'PY'
			import ctypes, struct, sys
			bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
			key, cpus = int(sys.argv[2]), int(sys.argv[3])
			stats = lambda packets, a, b, mac: struct.pack("=QII6s2x", packets, a, b, bytes([2, 0, 0, 0, 0, mac]))
			parts = [bytes(24)] * cpus
			parts[-1] = stats(5, 0, 7, 1)
			if key == 2:
			    parts[0] = stats(6, 1, 0, 2)
			fd = bpf.bpf_obj_get(sys.argv[1].encode())
			assert not bpf.bpf_map_update_elem(fd, ctypes.byref(ctypes.c_uint32(key)), b"".join(parts), ctypes.c_uint64(0))
		PY
	done
	says "$one" "$BPFFS/counters" get 1
	if [ "$CPUS" -eq 1 ]; then
		says "$two" "$BPFFS/counters" get 2
		return
	fi
	says "{packets=11 bytes=[1 7] mac=02:00:00:00:00:02}" "$BPFFS/counters" get 2
	part[0]=$two part[CPUS - 1]=$one
	says "{packets=11 bytes=[1 7] mac=02:00:00:00:00:02} #$(for ((cpu = 0; cpu < CPUS; cpu++)); do
		printf '%s cpu%d %s' "${sep-}" "$cpu" "${part[cpu]}"
		sep=,
	done)" --per-cpu "$BPFFS/counters" get 2
}

@test "map-edit: the sum of signed and narrow values wraps as the kernel's counters do" {
	requires root
	new_map m percpu_array 4 1 1
	bpftool map update pinned "$BPFFS/m" key 0 0 0 0 value 255
	says "0=$((-CPUS))" --value s8 "$BPFFS/m" show
	says "0=$(((255 * CPUS) % 256))" --value u8 "$BPFFS/m" show
}

# ---- types

@test "map-edit: types by the kernel's BTF; what is shown can be given back" {
	local map text bytes before
	requires root
	load_maps
	while IFS='|' read -r map text bytes; do
		echo "$map: $text"
		silent "$BPFFS/$map" add -- "$text"
		[ -z "$bytes" ] || map_is "$map" "$bytes"
		[[ $(map-edit "$BPFFS/$map" show) == *"$text"* ]]
		before=$(dump "$map")
		map-edit "$BPFFS/$map" show >"$BATS_TEST_TMPDIR/file"
		says "0 added, 0 changed, 0 removed" "$BPFFS/$map" sync "$BATS_TEST_TMPDIR/file"
		run -0 map-edit "$BPFFS/$map" sync --allow-empty /dev/null
		[ "$(dump "$map")" != "$before" ]
		run -0 map-edit "$BPFFS/$map" sync "$BATS_TEST_TMPDIR/file"
		[ "$(dump "$map")" = "$before" ]
	done <<-END
		ports|777=3|0903=03
		be_ports|777=true|0309=01
		addrs|10.9.0.1=77|0a090001=4d000000
		addrs6|fd09::1=77|fd090000000000000000000000000001=$(per_cpu 4d00000000000000)
		flows|{addr=10.0.0.1 port=80 proto=6}={packets=1 bytes=[2 3] mac=02:00:00:00:00:01}|0a00000100500600=010000000000000002000000030000000200000000010000
		flows_cpu|{addr=10.0.0.1 port=80 proto=6}={packets=1 bytes=[2 3] mac=02:00:00:00:00:01}|0a00000100500600=$(per_cpu 010000000000000002000000030000000200000000010000)
		colors|BLUE=GREEN|ffffffff=05000000
		words|3=-5|
		counters|7={packets=1 bytes=[2 3] mac=02:00:00:00:00:01}|
		nets|10.0.0.0/8=3|080000000a000000=03000000
		nets6|fd00::/8=3|08000000fd000000000000000000000000000000=03000000
	END
}

@test "map-edit: bitfields in keys and values, as bpftool and the kernel see them" {
	local one='{low=5 number=-64 wide=1099511627775 flag=true color=BLUE whole=7}'
	local two='{low=0 number=-1 wide=0 flag=false color=GREEN whole=0}'
	local three='{low=0 number=1 wide=4000 flag=false color=9 whole=65535}'
	requires root
	load_maps
	silent "$BPFFS/bits" add "$three=$one" "$two={number=3}" "$one={}"
	says "$two={low=0 number=3 wide=0 flag=false color=RED whole=0}
$three=$one
$one={low=0 number=0 wide=0 flag=false color=RED whole=0}" "$BPFFS/bits" show
	/usr/bin/python3 - "$(map-edit -j "$BPFFS/bits" show)" "$(bpftool -j map dump pinned "$BPFFS/bits")" <<-'PY'
		import json, sys
		# bpftool knows neither the sign of a bitfield nor the names of its values.
		def bits(v):
		    v = v | {"color": {"RED": 0, "GREEN": 5, "BLUE": -1}.get(v["color"], v["color"])}
		    number = lambda x: int(x, 0) if isinstance(x, str) else int(x)
		    widths = {"low": 3, "number": 7, "wide": 40, "flag": 1, "color": 5, "whole": 16}
		    return tuple(number(v[name]) & (1 << width) - 1 for name, width in widths.items())
		ours, theirs = map(json.loads, sys.argv[1:])
		ours = {bits(entry["key"]): bits(entry["value"]) for entry in ours}
		theirs = {bits(e["formatted"]["key"]): bits(e["formatted"]["value"]) for e in theirs}
		assert ours == theirs and len(ours) == 3, (ours, theirs)
	PY
	says "{low=0 number=3 wide=0 flag=false color=RED whole=0}" "$BPFFS/bits" get "$two"
	silent "$BPFFS/bits" del "$two"
	misuse "KEY[=VALUE] '$one={low=8}': low: '8' is above 7" "$BPFFS/bits" add "$one={low=8}"
	misuse "KEY[=VALUE] '$one={number=64}': number: '64' is above 63" "$BPFFS/bits" add "$one={number=64}"

	# The same on each CPU: numbers are summed, and wrap, and nothing spills over.
	# shellcheck disable=SC2046 # a list of bytes
	bpftool map update pinned "$BPFFS/bits_cpu" key 1 0 0 0 value \
		$(/usr/bin/python3 -c 'print(*(5 | 120 << 3 | 1 << 50 | 5 << 51 | 255 << 64).to_bytes(16, "little"))')
	says "{low=$((5 * CPUS % 8)) number=$((-8 * CPUS)) wide=0 flag=true color=GREEN whole=$((255 * CPUS))}" \
		"$BPFFS/bits_cpu" get 1
	silent "$BPFFS/bits_cpu" add 1="$one"
	says "$one" "$BPFFS/bits_cpu" get 1
}

@test "map-edit: JSON is shaped as bpftool's" {
	local map
	requires root
	load_maps
	map-edit "$BPFFS/ports" add 7 77=2 777=255
	map-edit "$BPFFS/colors" add RED=GREEN BLUE=17
	map-edit "$BPFFS/words" add 1=-1 2=9223372036854775807
	for map in ports colors words; do
		/usr/bin/python3 - "$(map-edit -j "$BPFFS/$map" show)" "$(map-edit -p "$BPFFS/$map" show)" \
			"$(bpftool -j map dump pinned "$BPFFS/$map")" <<-'PY'
				import json, sys
				ours, pretty, theirs = map(json.loads, sys.argv[1:])
				key = lambda entry: str(entry["key"])
				theirs = [entry["formatted"] for entry in theirs]
				assert sorted(ours, key=key) == sorted(theirs, key=key), (ours, theirs)
				assert ours == pretty and len(sys.argv[1].splitlines()) == 1
				assert sys.argv[2] == json.dumps(pretty, indent=4), sys.argv[2]
			PY
	done
	says '{"key":77,"value":2}' -j "$BPFFS/ports" get 77
	says $'{\n    "key": 77,\n    "value": 2\n}' -p "$BPFFS/ports" get 77
	map-edit "$BPFFS/flows" add '{addr=10.0.0.1 port=80 proto=6}={packets=1 bytes=[2 3] mac=02:00:00:00:00:01}'
	says '[{"key":{"addr":"10.0.0.1","port":80,"proto":6},"value":{"packets":1,"bytes":[2,3],"mac":"02:00:00:00:00:01"}}]' \
		-j "$BPFFS/flows" show
	write_list '77=3\n8\n'
	says '{"changes":[{"action":"remove","key":7,"value":1},{"action":"remove","key":777,"value":255},{"action":"change","key":77,"old":2,"value":3},{"action":"add","key":8,"value":1}],"added":1,"changed":1,"removed":2}' \
		-j --dry-run "$BPFFS/ports" sync "$BATS_TEST_TMPDIR/file"
	says '{"added":1,"changed":1}' -j "$BPFFS/ports" load "$BATS_TEST_TMPDIR/file"
	says '{"added":0,"changed":0,"removed":2}' -j "$BPFFS/ports" sync "$BATS_TEST_TMPDIR/file"
}

@test "map-edit: what is shown is in the order of its keys" {
	requires root
	load_maps
	new_map signed hash 2 1 16
	map-edit "$BPFFS/ports" add 9 10 1000 256 2
	[ "$(map-edit "$BPFFS/ports" show | tr '\n' ' ')" = "2=1 9=1 10=1 256=1 1000=1 " ]
	map-edit "$BPFFS/be_ports" add 9 10 1000 256 2
	[ "$(map-edit "$BPFFS/be_ports" show | cut -d= -f1 | tr '\n' ' ')" = "2 9 10 256 1000 " ]
	map-edit "$BPFFS/addrs" add 10.9.0.1 9.255.0.1 10.10.0.0
	[ "$(map-edit "$BPFFS/addrs" show | cut -d= -f1 | tr '\n' ' ')" = "9.255.0.1 10.9.0.1 10.10.0.0 " ]
	map-edit --key s16 --value u8 "$BPFFS/signed" add -- 5 -5 -300 300 0
	[ "$(map-edit --key s16 --value u8 "$BPFFS/signed" show | cut -d= -f1 | tr '\n' ' ')" = "-300 -5 0 5 300 " ]
	map-edit "$BPFFS/nets" add 10.0.0.0/16 10.0.0.0/8 9.0.0.0/24 10.0.0.0
	[ "$(map-edit "$BPFFS/nets" show | cut -d= -f1 | tr '\n' ' ')" = "9.0.0.0/24 10.0.0.0/8 10.0.0.0/16 10.0.0.0/32 " ]
	for key in '10.0.0.2 port=1' '10.0.0.10 port=80' '10.0.0.10 port=9'; do
		map-edit "$BPFFS/flows" add "{addr=$key proto=1}={packets=1 bytes=[2 3] mac=02:00:00:00:00:01}"
	done
	[ "$(map-edit "$BPFFS/flows" show | cut -d' ' -f1,2 | tr '\n' ' ')" = \
		"{addr=10.0.0.2 port=1 {addr=10.0.0.10 port=9 {addr=10.0.0.10 port=80 " ]
}

@test "map-edit: without BTF and without a type nothing is guessed, and it says what to give" {
	local size text
	requires root
	while IFS='|' read -r size text; do
		new_map "m$size" hash "$size" "$size" 4
		refused "find the type of the keys of map '$BPFFS/m$size': it has no BTF: give --btf OBJ, or --key $text" \
			"$BPFFS/m$size" show
		refused "find the type of the values of map '$BPFFS/m$size': it has no BTF: give --btf OBJ, or --value $text" \
			--key "hex[$size]" "$BPFFS/m$size" add "$(zeros "$size")"
	done <<-END
		1|u8 or bool (1 byte)
		2|u16, or be16 for a port in network byte order (2 bytes)
		3|hex[3]
		4|u32, or be32 for an IPv4 address (4 bytes)
		6|mac (6 bytes)
		8|u64 (8 bytes)
		16|in6_addr (16 bytes)
		20|hex[20]
	END
	new_map l4 lpm_trie 8 4 4
	new_map l6 lpm_trie 20 4 4
	refused "find the type of the keys of map '$BPFFS/l4': it has no BTF: give --btf OBJ, or --key cidr4 (8 bytes)" \
		"$BPFFS/l4" show
	refused "find the type of the keys of map '$BPFFS/l6': it has no BTF: give --btf OBJ, or --key cidr6 (20 bytes)" \
		"$BPFFS/l6" show
	# Only del needs no type for the values.
	silent --key u16 --value u16 "$BPFFS/m2" add 7
	silent --key u16 "$BPFFS/m2" del 7

	refused "find the type of the keys of map '$BPFFS/m2': 'u32' has 4 bytes, and they have 2" \
		--key u32 "$BPFFS/m2" show
	refused "find the type of the values of map '$BPFFS/m2': 'u8' has 1 byte, and they have 2" \
		--key u16 --value u8 "$BPFFS/m2" show
	run -2 --separate-stderr map-edit --key u17 "$BPFFS/m2" show
	[[ $stderr == "map-edit: "*"'u17'"* ]]
}

@test "echo_ports: root needs no --key, a plain user names it, and bpftool dumps the map for the user" {
	local map=$BPFFS/echo/echo_ports obj=$HOOKSET_BUILD/echo_dispatch.bpf.o
	requires root unprivileged-map-access
	prog-load --maps "$BPFFS/echo" "$obj" "$BPFFS/prog"
	[ "$(bpftool -j map show pinned "$map" | jq .btf_id)" = null ]
	silent "$map" add 7 77 777
	says "7=1"$'\n'"77=1"$'\n'"777=1" "$map" show
	misuse "KEY[=VALUE] '65536': '65536' is above 65535" "$map" add 65536
	says "7=1"$'\n'"77=1"$'\n'"777=1" --btf "$obj" "$map" show
	# It is also what bpftool has stored: 777 in host byte order.
	bpftool map lookup pinned "$map" key hex 09 03

	chmod 755 "$BPFFS/echo"
	chown 65534 "$map"
	as_user bpftool map dump pinned "$map"
	call as_user map-edit "$map" show
	[ "$status" -eq 1 ]
	[[ $stderr == *"give --btf OBJ, or --key u16"* ]]
	[ "$(as_user map-edit --key u16 --value u8 "$map" show | wc -l)" -eq 3 ]
	as_user map-edit --btf "$obj" "$map" add 7777
	[ "$(as_user map-edit --btf "$obj" "$map" show | wc -l)" -eq 4 ]
	# The hint does not repeat what was given.
	call as_user map-edit --btf "$HOOKSET_BUILD/xdp_drop.bpf.o" "$map" show
	[ "$status" -eq 1 ]
	[[ $stderr == *"has no types for a map 'echo_ports': give --key u16"* ]]
}

@test "map-edit: --btf takes the types from an object file, by the map's name" {
	requires root
	new_map ports hash 2 1 8
	new_map other hash 2 1 8
	silent --btf "$BATS_FILE_TMPDIR/edit.o" "$BPFFS/ports" add 777
	map_is ports 0903=01
	says 777=1 --btf="$BATS_FILE_TMPDIR/edit.o" "$BPFFS/ports" show
	# --key and --value win.
	says 2307=1 --btf "$BATS_FILE_TMPDIR/edit.o" --key be16 "$BPFFS/ports" show
	says 777=true --btf "$BATS_FILE_TMPDIR/edit.o" --value bool "$BPFFS/ports" show
	refused "find the type of the keys of map '$BPFFS/other': '$BATS_FILE_TMPDIR/edit.o' has no types for a map 'other': give --key u16, or be16 for a port in network byte order (2 bytes)" \
		--btf "$BATS_FILE_TMPDIR/edit.o" "$BPFFS/other" show
	refused "read the BTF of '/etc/passwd': there is none: it is no object file, or was built without -g" \
		--btf /etc/passwd "$BPFFS/ports" show
	refused "read the BTF of '/nowhere': No such file or directory" --btf /nowhere "$BPFFS/ports" show
	refused "read the BTF of '/etc': Is a directory" --btf /etc "$BPFFS/ports" show
	# A map of this name, but another one.
	rm "$BPFFS/ports"
	new_map ports hash 4 1 8
	refused "find the type of the keys of map '$BPFFS/ports': the type has 2 bytes, and they have 4" \
		--btf "$BATS_FILE_TMPDIR/edit.o" "$BPFFS/ports" show
}

# ---- what bpftool does

@test "map-edit: where bpftool refuses a port, or stores another, it is what was meant" {
	requires root
	new_map ports hash 2 1 8
	run ! bpftool map update pinned "$BPFFS/ports" key 7777 value 1
	[[ $output == *"error parsing byte"* ]]
	map_is ports
	bpftool map update pinned "$BPFFS/ports" key 7777 0 value 1
	map_is ports 6100=01 # 97
	map-edit --key u16 "$BPFFS/ports" del 97
	silent --key u16 --value u8 "$BPFFS/ports" add 7777
	map_is ports 611e=01 # 0x1e61
	misuse "KEY[=VALUE] '7777 0': unexpected text after the entry: '0'" \
		--key u16 --value u8 "$BPFFS/ports" add "7777 0"
	misuse "KEY[=VALUE] '77777': '77777' is above 65535" --key u16 --value u8 "$BPFFS/ports" add 77777
	map_is ports 611e=01
}

@test "map-edit: where bpftool batch stops at a bad line with half of it done, nothing is done" {
	requires root
	new_map ports hash 2 1 8
	write_list "map update pinned $BPFFS/ports key 7 0 value 1\nmap update pinned $BPFFS/ports key x 0 value 1\nmap update pinned $BPFFS/ports key 77 0 value 1\n"
	run ! bpftool batch file "$BATS_TEST_TMPDIR/file"
	map_is ports 0700=01

	map-edit --key u16 "$BPFFS/ports" del 7
	write_list '7\nx\n77\n70000\n'
	run -1 --separate-stderr map-edit --key u16 --value u8 "$BPFFS/ports" load "$BATS_TEST_TMPDIR/file"
	[ -z "$output" ]
	[[ ${stderr_lines[0]} == "map-edit: $BATS_TEST_TMPDIR/file:2: 'x' "* ]]
	[ "${stderr_lines[1]}" = "map-edit: $BATS_TEST_TMPDIR/file:4: '70000' is above 65535" ]
	[ "${stderr_lines[2]}" = "map-edit: load '$BATS_TEST_TMPDIR/file': 2 bad lines, nothing is changed" ]
	[ "${#stderr_lines[@]}" -eq 3 ]
	map_is ports
}

@test "map-edit: where bpftool lets no plain user dump a map that has BTF, who may open the pin can do all" {
	local map=$BPFFS/ports
	requires root unprivileged-map-access
	load_maps
	fails 1 "map-edit: open map '$map': Permission denied" as_user map-edit --key u16 --value u8 "$map" show
	chown 65534:65534 "$map"
	chmod 600 "$map"
	map-edit "$map" add 777=3
	run ! as_user bpftool map dump pinned "$map"
	[[ $output == *"Operation not permitted"* || $output == *"failed to get btf"* ]]

	refused_user() {
		local text=$1
		shift
		fails 1 "map-edit: $text" as_user map-edit "$@"
	}
	refused_user "find the type of the keys of map '$map': reading its BTF needs CAP_SYS_ADMIN: give --btf OBJ, or --key u16, or be16 for a port in network byte order (2 bytes)" \
		"$map" show
	[ "$(as_user map-edit --btf "$BATS_FILE_TMPDIR/edit.o" "$map" show)" = 777=3 ]
	[ "$(as_user map-edit --key u16 --value u8 "$map" show)" = 777=3 ]
	[ "$(as_user map-edit --key u16 --value u8 "$map" get 777)" = 3 ]
	as_user map-edit --btf "$BATS_FILE_TMPDIR/edit.o" "$map" add 7 8-9
	map_is ports 0700=01 0800=01 0900=01 0903=03
	as_user map-edit --key u16 "$map" del 8-9
	write_list '7=2\n77\n'
	[ "$(as_user map-edit --key u16 --value u8 "$map" load - <"$BATS_TEST_TMPDIR/file")" = "1 added, 1 changed" ]
	[ "$(as_user map-edit --key u16 --value u8 "$map" sync - <"$BATS_TEST_TMPDIR/file")" = "0 added, 0 changed, 1 removed" ]
	map_is ports 0700=02 4d00=01

	# Who may only read it can read it, and no more.
	chown 0:65534 "$map"
	chmod 640 "$map"
	[ "$(as_user map-edit --key u16 --value u8 "$map" get 7)" = 2 ]
	[ "$(as_user map-edit --key u16 --value u8 "$map" show | tr '\n' ' ')" = "7=2 77=1 " ]
	[ "$(as_user map-edit --key u16 --value u8 "$map" sync --dry-run --allow-empty /dev/null | tail -n 1)" = "0 added, 0 changed, 2 removed" ]
	refused_user "open map '$map': Permission denied" --key u16 --value u8 "$map" add 7
	refused_user "open map '$map': Permission denied" --key u16 "$map" del 7
	refused_user "open map '$map': Permission denied" --key u16 --value u8 "$map" sync /dev/null
	chmod 600 "$map"
	refused_user "open map '$map': Permission denied" --key u16 --value u8 "$map" show
	map_is ports 0700=02 4d00=01
}

# ---- lists

@test "map-edit: lines: comments, blanks, CRLF, ranges, duplicates, no end of line" {
	requires root
	new_map m hash 2 1 300
	set -- --key u16 --value u8 "$BPFFS/m"
	write_list '# ports\r\n7\r\n\n  77 = 2  # two\n\t777=3#three\n   \n1000-1002=4\n1001=5\n7=9'
	says "6 added, 0 changed" "$@" load "$BATS_TEST_TMPDIR/file"
	says $'7=9\n77=2\n777=3\n1000=4\n1001=5\n1002=4' "$@" show
	# A range over what is there: the last one wins.
	write_list '1001=5\n1000-1002=4\n0x3e8=6\n'
	says "0 added, 2 changed, 3 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
	says $'1000=6\n1001=4\n1002=4' "$@" show
	write_list ''
	says "0 added, 0 changed" "$@" load --allow-empty "$BATS_TEST_TMPDIR/file"
	write_list '\n#\n'
	says "0 added, 0 changed, 3 removed" "$@" sync --allow-empty "$BATS_TEST_TMPDIR/file"
	map_is m
	# Twice in a row, in a list that is in order.
	write_list '7\n7=9\n8\n'
	says "2 added, 0 changed" "$@" load "$BATS_TEST_TMPDIR/file"
	says $'7=9\n8=1' "$@" show
	says "0 added, 0 changed, 2 removed" "$@" sync --allow-empty /dev/null
	# UTF-8's byte order mark, as some editors leave it, is at the beginning or it is a mistake.
	write_list '\xef\xbb\xbf7\r\n8\r\n'
	says "2 added, 0 changed" "$@" load "$BATS_TEST_TMPDIR/file"
	map_is m 0700=01 0800=01
	write_list '7\n\xef\xbb\xbf8\n'
	refused "$BATS_TEST_TMPDIR/file:2: '\xef\xbb\xbf8' is not a number
map-edit: load '$BATS_TEST_TMPDIR/file': 1 bad line, nothing is changed" "$@" load "$BATS_TEST_TMPDIR/file"
}

@test "map-edit: lines that no editor has written: NUL bytes, and a line without end" {
	local nines
	requires root
	new_map m hash 2 1 8
	set -- --key u16 --value u8 "$BPFFS/m"
	nines=$(printf '9%.0s' {1..64})
	{
		printf '7\0\n\0\n8\n'
		printf '9%.0s' {1..100000}
		printf '\n7 '
		printf '9%.0s' {1..100000}
	} >"$BATS_TEST_TMPDIR/file"
	refused "$BATS_TEST_TMPDIR/file:1: unexpected text after the entry: '\x00'
map-edit: $BATS_TEST_TMPDIR/file:2: '\x00' is not a number
map-edit: $BATS_TEST_TMPDIR/file:4: '$nines'... is above 65535
map-edit: $BATS_TEST_TMPDIR/file:5: unexpected text after the entry: '$nines'...
map-edit: load '$BATS_TEST_TMPDIR/file': 4 bad lines, nothing is changed" "$@" load "$BATS_TEST_TMPDIR/file"
	map_is m
}

@test "map-edit: ranges of ports and numbers, on the command line" {
	requires root
	new_map m hash 2 1 2000
	set -- --key be16 --value u8 "$BPFFS/m"
	silent "$@" add 1000-2000 7=7
	diff <(dump m) <({ printf '%04x=01\n' $(seq 1000 2000); echo 0007=07; } | sort)
	refused "delete from map '$BPFFS/m': '3000-4000' is not there" "$@" del 1000-2000 3000-4000
	refused "delete from map '$BPFFS/m': '8' is not there" "$@" del 7 8
	[ "$(dump m | wc -l)" -eq 1002 ]
	silent "$@" del 1001-65535 # what there is of it
	says $'7=7\n1000=1' "$@" show
	silent "$@" del 7 1000
	map_is m
	silent "$@" add 5-5
	says 5=1 "$@" show

	misuse "KEY[=VALUE] '2000-1000': the range ends before it begins" "$@" add 2000-1000
	misuse "KEY[=VALUE] '1-2000000': '2000000' is above 65535" "$@" add 1-2000000
	misuse "KEY[=VALUE] '1-2001': the range has more keys than the map can hold (2000)" "$@" add 1-2001
	says 5=1 "$@" show
	new_map s hash 1 1 300
	misuse "KEY[=VALUE] '5--5': the range ends before it begins" --key s8 --value u8 "$BPFFS/s" add 5--5
	silent --key s8 --value u8 "$BPFFS/s" add -- -128-127
	[ "$(map-edit --key s8 --value u8 "$BPFFS/s" show | wc -l)" -eq 256 ]
	silent --key s8 "$BPFFS/s" del -- -127--1 1-127
	says $'-128=1\n0=1' --key s8 --value u8 "$BPFFS/s" show
	# What is no number has no ranges.
	new_map a hash 4 1 8
	run -2 --separate-stderr map-edit --key be32 --value u8 "$BPFFS/a" add 10.0.0.1-10.0.0.3
	[[ $stderr == "map-edit: KEY[=VALUE] '10.0.0.1-10.0.0.3': "* ]]
	map_is a
}

@test "map-edit: bad values, and what is behind them" {
	requires root
	load_maps
	new_map m hash 2 1 8
	set -- --key u16 --value u8 "$BPFFS/m"
	misuse "KEY[=VALUE] '65536': '65536' is above 65535" "$@" add 65536
	misuse "KEY[=VALUE] '7=256': '256' is above 255" "$@" add 7=256
	misuse "KEY[=VALUE] '7 8': unexpected text after the entry: '8'" "$@" add '7 8'
	misuse "KEY[=VALUE] '7=1 8': unexpected text after the entry: '8'" "$@" add '7=1 8'
	misuse "KEY[=VALUE] '7#': unexpected text after the entry: '#'" "$@" add '7#'
	misuse "KEY '7=1': unexpected text after the key: '=1'" "$@" del 7=1
	for text in '' x -1 +1 ' ' 7x 0x 7= 7=x 7=-1 =1 7==1; do
		run -2 --separate-stderr map-edit "$@" add -- 1 "$text"
		[[ $stderr == "map-edit: KEY[=VALUE] '$text': "* ]]
	done
	map_is m
	# There is a value for what counts or says yes, for nothing else.
	misuse "KEY[=VALUE] 'RED': its value is missing: write KEY=VALUE" "$BPFFS/colors" add RED
	misuse "KEY[=VALUE] '{addr=1.2.3.4 port=1}': field 'proto' is missing" \
		"$BPFFS/flows" add '{addr=1.2.3.4 port=1}'
	silent "$BPFFS/be_ports" add 7
	map_is be_ports 0007=01
	write_list '7 8\n\n7=1=2\nRED\n'
	run -1 --separate-stderr map-edit "$@" sync "$BATS_TEST_TMPDIR/file"
	[ "${stderr_lines[0]}" = "map-edit: $BATS_TEST_TMPDIR/file:1: unexpected text after the entry: '8'" ]
	[ "${stderr_lines[1]}" = "map-edit: $BATS_TEST_TMPDIR/file:3: unexpected text after the entry: '=2'" ]
	[[ ${stderr_lines[2]} == "map-edit: $BATS_TEST_TMPDIR/file:4: 'RED' "* ]]
	[ "${stderr_lines[3]}" = "map-edit: sync '$BATS_TEST_TMPDIR/file': 3 bad lines, nothing is changed" ]
	write_list 'x\n'
	run -1 --separate-stderr map-edit "$@" sync "$BATS_TEST_TMPDIR/file"
	[ "${stderr_lines[1]}" = "map-edit: sync '$BATS_TEST_TMPDIR/file': 1 bad line, nothing is changed" ]
}

@test "map-edit: what is left out of a value that is a struct is zero" {
	requires root
	load_maps
	silent "$BPFFS/flows" add '{addr=1.2.3.4 port=1 proto=1}' '{addr=1.2.3.4 port=1 proto=2}={packets=7}' \
		'{addr=1.2.3.4 port=1 proto=3}={mac=02:00:00:00:00:01 bytes=[1 2]}' '{addr=1.2.3.4 port=1 proto=4}={}'
	run -0 map-edit "$BPFFS/flows" show
	[ "$output" = "\
{addr=1.2.3.4 port=1 proto=1}={packets=0 bytes=[0 0] mac=00:00:00:00:00:00}
{addr=1.2.3.4 port=1 proto=2}={packets=7 bytes=[0 0] mac=00:00:00:00:00:00}
{addr=1.2.3.4 port=1 proto=3}={packets=0 bytes=[1 2] mac=02:00:00:00:00:01}
{addr=1.2.3.4 port=1 proto=4}={packets=0 bytes=[0 0] mac=00:00:00:00:00:00}" ]
	# What was there does not stay.
	silent "$BPFFS/flows" add '{addr=1.2.3.4 port=1 proto=2}={bytes=[3 4]}'
	run -0 map-edit "$BPFFS/flows" get '{addr=1.2.3.4 port=1 proto=2}'
	[ "$output" = "{packets=0 bytes=[3 4] mac=00:00:00:00:00:00}" ]
	misuse "KEY[=VALUE] '{addr=1.2.3.4 port=1 proto=2}={packet=7}': no field is called 'packet'" \
		"$BPFFS/flows" add '{addr=1.2.3.4 port=1 proto=2}={packet=7}'
}

@test "map-edit: lpm_trie: keys with more fields than an address" {
	requires root
	load_maps
	silent "$BPFFS/rules" add '{port=80 addr=10.0.0.0/8}={packets=1}' '{addr=10.1.0.0/16 port=80}={packets=2}' \
		'{port=80}={packets=3}' '{port=80 vlan=7 addr=192.0.2.1}={packets=4}' '{}={packets=5}'
	run -0 map-edit "$BPFFS/rules" show
	[ "$output" = "\
{port=0 vlan=0}={packets=5 bytes=[0 0] mac=00:00:00:00:00:00}
{port=80 vlan=0}={packets=3 bytes=[0 0] mac=00:00:00:00:00:00}
{port=80 vlan=0 addr=10.0.0.0/8}={packets=1 bytes=[0 0] mac=00:00:00:00:00:00}
{port=80 vlan=0 addr=10.1.0.0/16}={packets=2 bytes=[0 0] mac=00:00:00:00:00:00}
{port=80 vlan=7 addr=192.0.2.1/32}={packets=4 bytes=[0 0] mac=00:00:00:00:00:00}" ]
	map-edit "$BPFFS/rules" show >"$BATS_TEST_TMPDIR/file"
	run -0 map-edit "$BPFFS/rules" sync "$BATS_TEST_TMPDIR/file"
	[ "$output" = "0 added, 0 changed, 0 removed" ]
	# What a program would see.
	run -0 map-edit "$BPFFS/rules" get '{port=80 addr=10.1.2.3}'
	[[ $output == "{packets=2 "* ]]
	run -0 map-edit "$BPFFS/rules" get '{port=80 addr=11.0.0.0}'
	[[ $output == "{packets=3 "* ]]
	# The kernel, by bytes: port, VLAN, address.
	run -0 bpftool map lookup pinned "$BPFFS/rules" key hex 40 0 0 0 0 50 7 0 c0 0 2 1
	[[ $output == *'"packets": 4'* ]]
	silent "$BPFFS/rules" del '{port=80 addr=10.0.0.0/8}' '{}'
	fails 1 "map-edit: delete from map '$BPFFS/rules': '{port=80 addr=10.0.0.0/8}' is not there" \
		map-edit "$BPFFS/rules" del '{port=80 addr=10.0.0.0/8}'
	run -0 map-edit --json "$BPFFS/rules" show
	[[ $output == '[{"key":{"port":80,"vlan":0},"value":{"packets":3,'*'{"key":{"port":80,"vlan":0,"addr":"10.1.0.0/16"},'* ]]
	# A prefix that ends elsewhere keeps its length.
	silent "$BPFFS/rules" add '{prefixlen=8 port=256 vlan=0 addr=0.0.0.0}={packets=6}'
	run -0 map-edit "$BPFFS/rules" get '{port=257}'
	[[ $output == "{packets=6 "* ]]
	run -0 map-edit "$BPFFS/rules" show
	[[ $output == *"{prefixlen=8 port=256 vlan=0 addr=0.0.0.0}={packets=6 "* ]]
}

@test "map-edit: array: an enum of its name is what its indexes are called, by the kernel's BTF or a file's" {
	requires root
	load_maps
	silent "$BPFFS/moods" add CROSS=CROSS 5=CALM 7=CROSS
	run -0 map-edit "$BPFFS/moods" show
	[ "$output" = "$(printf '%s\n' CALM=CALM 1=CALM 2=CALM CROSS=CROSS 4=CALM 5=CALM 6=CALM 7=CROSS)" ]
	run -0 map-edit --btf "$BATS_FILE_TMPDIR/edit.o" "$BPFFS/moods" get CROSS
	[ "$output" = CROSS ]
	run -0 map-edit --json "$BPFFS/moods" get CROSS
	[ "$output" = '{"key":"CROSS","value":"CROSS"}' ]
	run -0 map-edit --key u32 "$BPFFS/moods" get 3
	[ "$output" = CROSS ]
	misuse "KEY[=VALUE] '8=CALM': index out of range (0-7)" "$BPFFS/moods" add 8=CALM
	misuse "KEY[=VALUE] 'GLAD=CALM': 'GLAD' is not one of CALM, CROSS" "$BPFFS/moods" add GLAD=CALM
	# Other arrays have numbers.
	silent "$BPFFS/words" add 2-3=9
	run -0 map-edit "$BPFFS/words" get 3
	[ "$output" = 9 ]
}

@test "map-edit: standard input" {
	requires root
	new_map m hash 2 1 8
	set -- --key u16 --value u8 "$BPFFS/m"
	[ "$(printf '7\n77=2' | map-edit "$@" load -)" = "2 added, 0 changed" ]
	map_is m 0700=01 4d00=02
	[ "$(printf '77\n' | map-edit "$@" sync -)" = "0 added, 1 changed, 1 removed" ]
	map_is m 4d00=01
	run -1 --separate-stderr map-edit "$@" sync - <<<$'7\nx'
	[[ ${stderr_lines[0]} == "map-edit: standard input:2: 'x' "* ]]
	[ "${stderr_lines[1]}" = "map-edit: sync standard input: 1 bad line, nothing is changed" ]
	closed() { map-edit "$@" <&-; }
	fails 1 "map-edit: read standard input: Bad file descriptor" closed "$@" load -
	map_is m 4d00=01
}

@test "map-edit: files that cannot be read" {
	requires root
	new_map m hash 2 1 8
	set -- --key u16 --value u8 "$BPFFS/m"
	refused "read '/nowhere': No such file or directory" "$@" load /nowhere
	refused "read '/etc': Is a directory" "$@" sync /etc
	refused "read '': No such file or directory" "$@" load ""
	refused "read '/dev/zero': a line is longer than 16 MiB" "$@" load /dev/zero
	head -c 5000 /dev/urandom | tr -d '0-9\n' >"$BATS_TEST_TMPDIR/file"
	run -1 --separate-stderr map-edit "$@" load "$BATS_TEST_TMPDIR/file"
	[[ $stderr == "map-edit: $BATS_TEST_TMPDIR/file:1: "* ]]
	# The line is shown without its control characters.
	[[ $stderr != *[$'\x01'-$'\x08']* ]]
}

# bats test_tags=kernel-free
@test "map-edit: an input without end ends with a message, in little memory" {
	requires root no-sanitizers
	new_map ports hash 2 1 100
	new_map numbers hash 4 4 100
	new_map texts hash 64 4 100
	# Random bytes: few of their lines are entries.
	endless "load '/dev/urandom': 1000000 bad lines so far, nothing is changed" \
		--key u16 --value u8 "$BPFFS/ports" load /dev/urandom
	seq 4000000000 | endless "load standard input: it has more entries than the map holds (100), nothing is changed" \
		--key u32 --value u32 "$BPFFS/numbers" load -
	while :; do seq 1000000; done | endless "load standard input: it has more entries than the map holds (100), nothing is changed" \
		--key 'char[64]' --value u32 "$BPFFS/texts" load -
	map_is ports
	map_is numbers
	map_is texts
	# What is repeated is no more entries than what is not.
	seq 100 >"$BATS_TEST_TMPDIR/file"
	for ((i = 0; i < 12; i++)); do
		cat "$BATS_TEST_TMPDIR/file" "$BATS_TEST_TMPDIR/file" >"$BATS_TEST_TMPDIR/twice"
		mv "$BATS_TEST_TMPDIR/twice" "$BATS_TEST_TMPDIR/file"
	done
	says "100 added, 0 changed" --key u32 --value u32 "$BPFFS/numbers" load "$BATS_TEST_TMPDIR/file"
}

# endless TEXT ARGUMENT...: it fails and says this last, in 64 MiB.
endless() {
	local text=$1
	shift
	run -1 --separate-stderr bash -c 'ulimit -v 65536; exec timeout 100 map-edit "$@"' bash "$@"
	[ "${stderr_lines[-1]}" = "map-edit: $text" ]
}

@test "map-edit: maps that cannot be opened" {
	requires root
	new_map m hash 2 1 8
	load_prog xdp_pass
	set -- --key u16 --value u8
	refused "open map '$BPFFS/nothing': No such file or directory" "$@" "$BPFFS/nothing" show
	refused "open map '$BPFFS/xdp_pass_prog': not a map" "$@" "$BPFFS/xdp_pass_prog" show
	refused "open map '$BPFFS/xdp_pass_prog': not a map" "$@" "$BPFFS/xdp_pass_prog" add 7
	refused "open map '/etc/passwd': not on a bpffs" "$@" /etc/passwd show
	refused "open map '$BPFFS': Is a directory" "$@" "$BPFFS" show
	refused "open map '': No such file or directory" "$@" "" show
}

@test "map-edit: a map that is unpinned meanwhile is changed where it still is" {
	requires root
	new_map m hash 2 1 8
	bpftool map pin id "$(id_of m)" "$BPFFS/other"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	start map-edit --key u16 --value u8 "$BPFFS/m" load "$BATS_TEST_TMPDIR/fifo"
	exec 9>"$BATS_TEST_TMPDIR/fifo" # returns when it has opened the list, and so the map
	rm "$BPFFS/m"
	echo 7 >&9
	exec 9>&-
	wait "$PID"
	[ "$(cat "$OUT")" = "1 added, 0 changed" ]
	map_is other 0700=01
	refused "open map '$BPFFS/m': No such file or directory" --key u16 --value u8 "$BPFFS/m" show
}

@test "map-edit: a frozen map is shown, and not changed; a program's read-only map is" {
	requires root
	new_map m hash 2 1 8
	set -- --key u16 --value u8 "$BPFFS/m"
	map-edit "$@" add 7
	bpftool map freeze pinned "$BPFFS/m"
	says 7=1 "$@" show
	says $'- 7=1\n0 added, 0 changed, 1 removed' "$@" sync --allow-empty --dry-run /dev/null
	refused "open map '$BPFFS/m': it is frozen and cannot be changed" "$@" add 7
	refused "open map '$BPFFS/m': it is frozen and cannot be changed" "$@" del 7
	refused "open map '$BPFFS/m': it is frozen and cannot be changed" "$@" load /dev/null
	refused "open map '$BPFFS/m': it is frozen and cannot be changed" "$@" sync /dev/null
	map_is m 0700=01
	new_map r array 4 4 1 flags 0x80 # BPF_F_RDONLY_PROG
	silent --value u32 "$BPFFS/r" add 0=7
	map_is r 00000000=07000000
}

# ---- a full map

@test "map-edit: a map that would become full is told before the first change" {
	local type key size before
	requires root
	for type in hash percpu_hash lpm_trie; do
		key=be32 size=4
		[ $type != lpm_trie ] || key=cidr4 size=8
		new_map m $type $size 4 4
		set -- --key $key --value u32 "$BPFFS/m"
		map-edit "$@" add 10.0.0.1 10.0.0.2
		before=$(dump m)
		write_list '10.0.0.2=9\n10.0.0.3\n10.0.0.4\n10.0.0.5\n'
		refused "load '$BATS_TEST_TMPDIR/file' into map '$BPFFS/m': the map holds at most 4 entries, and would have 5" \
			"$@" load "$BATS_TEST_TMPDIR/file"
		[ "$(dump m)" = "$before" ]
		refused "add to map '$BPFFS/m': the map holds at most 4 entries, and would have 5" \
			"$@" add 10.0.0.2=9 10.0.0.3 10.0.0.4 10.0.0.5
		[ "$(dump m)" = "$before" ]
		# With sync there is room: the other one goes, first if it must.
		says "3 added, 1 changed, 1 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
		[ "$(map-edit "$@" show | cut -d/ -f1 | cut -d= -f1 | tr '\n' ' ')" = "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 " ]
		run -1 --separate-stderr map-edit "$@" add 10.0.0.6
		[[ $stderr == "map-edit: add to map '$BPFFS/m': "*" (the map is full)" ]]
		write_list '1.1.1.1\n1.1.1.2\n1.1.1.3\n1.1.1.4\n1.1.1.5\n'
		refused "sync '$BATS_TEST_TMPDIR/file' with map '$BPFFS/m': the map holds at most 4 entries, and would have 5" \
			"$@" sync "$BATS_TEST_TMPDIR/file"
		[ "$(dump m | wc -l)" -eq 4 ]
		rm "$BPFFS/m"
	done
}

@test "map-edit: an LRU map is never full, but takes no list that is longer than it" {
	local type verb
	requires root
	for type in lru_hash lru_percpu_hash; do
		new_map m $type 4 4 64
		set -- --key u32 --value u32 "$BPFFS/m"
		silent "$@" add 1-64
		silent "$@" add 65-100
		says 1 "$@" get 100
		write_list '1-64\n200\n'
		for verb in load sync; do
			run -1 --separate-stderr map-edit "$@" $verb "$BATS_TEST_TMPDIR/file"
			[[ $stderr == *"the map holds at most 64 entries, and would have 65" ]]
		done
		says 1 "$@" get 100
		rm "$BPFFS/m"
	done
}

# ---- all or nothing

# calls COMMAND...: the names of its bpf(2) calls, one a line, into $CALLS.
calls() {
	CALLS=$BATS_TEST_TMPDIR/calls
	strace -qq -e trace=bpf -e signal=none -o "$CALLS.log" "$@" || return
	sed -nE 's/^bpf\((BPF_[A-Z_]+),.*/\1/p' "$CALLS.log" >"$CALLS"
}

# nth NAME: which of the last command's bpf(2) calls is the first of this name.
nth() {
	grep -nx -m 1 "$1" "$CALLS" | cut -d: -f1
}

@test "map-edit: a list is one system call to change, one to delete" {
	requires root cmd:strace
	new_map m hash 4 4 5000
	set -- map-edit --key u32 --value u32 "$BPFFS/m"
	write_list '1-4000\n'
	calls "$@" load "$BATS_TEST_TMPDIR/file" >/dev/null
	[ "$(grep -c BPF_MAP_UPDATE "$CALLS")" -eq 1 ]
	[ "$(grep -cx BPF_MAP_UPDATE_BATCH "$CALLS")" -eq 1 ]
	write_list '3001-5000\n'
	calls "$@" sync "$BATS_TEST_TMPDIR/file" >/dev/null
	[ "$(grep -E 'UPDATE|DELETE' "$CALLS" | tr '\n' ' ')" = "BPF_MAP_UPDATE_BATCH BPF_MAP_DELETE_BATCH " ]
	# What is not changed is not written.
	calls "$@" sync "$BATS_TEST_TMPDIR/file" >/dev/null
	run -1 grep -E 'UPDATE|DELETE' "$CALLS"
	# Where there is no room for old and new, the old goes first.
	write_list '5001-9000\n'
	calls "$@" sync "$BATS_TEST_TMPDIR/file" >/dev/null
	[ "$(grep -E 'UPDATE|DELETE' "$CALLS" | tr '\n' ' ')" = "BPF_MAP_DELETE_BATCH BPF_MAP_UPDATE_BATCH " ]
	[ "$(dump m | wc -l)" -eq 4000 ]
	# One entry is one call, and the map is not read for it.
	calls "$@" add 7=7
	run -1 grep -E 'LOOKUP|NEXT|BATCH' "$CALLS"
	calls "$@" del 7
	run -1 grep -E 'LOOKUP|NEXT|BATCH' "$CALLS"
}

@test "map-edit: a kernel without batches: one by one" {
	local call error
	requires root cmd:strace
	new_map m hash 4 4 100
	set -- map-edit --key u32 --value u32 "$BPFFS/m"
	# What a map type without it says is ENOTSUPP, and a kernel that has never heard of it EINVAL.
	for error in ENOTSUPP EINVAL; do
		for call in LOOKUP UPDATE DELETE; do
			echo "$call: $error"
			map-edit --key u32 --value u32 "$BPFFS/m" sync - <<<"1-50=$RANDOM"
			write_list '26-75=9\n'
			calls "$@" sync "$BATS_TEST_TMPDIR/file"
			map-edit --key u32 --value u32 "$BPFFS/m" sync - <<<"1-50=$RANDOM"
			[ "$(strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf \
				-e "inject=bpf:error=$error:when=$(nth BPF_MAP_${call}_BATCH)" \
				"$@" sync "$BATS_TEST_TMPDIR/file")" = "25 added, 25 changed, 25 removed" ]
			grep -q "BPF_MAP_${call}_BATCH.* = -1 .*(INJECTED)" "$BATS_TEST_TMPDIR/log"
			[ "$(grep -c "BPF_MAP_${call}_ELEM" "$BATS_TEST_TMPDIR/log")" -ge 25 ]
			diff <(dump m) <(for i in $(seq 26 75); do printf '%02x000000=09000000\n' "$i"; done)
		done
	done
}

# one_by_one VERB KEY...: change $BPFFS/m without the lock, as others do; keys are $key, values u32.
one_by_one() {
	local verb=$1 each
	shift
	for each; do
		map-edit --key "$key" --value u32 "$BPFFS/m" "$verb" "$each"
	done
}

@test "map-edit: a change that fails half-way, since others fill the map, is undone" {
	local type key size map before rc
	requires root cmd:strace
	for type in hash percpu_hash lpm_trie; do
		key=be32 size=4
		[ $type != lpm_trie ] || key=cidr4 size=8
		new_map m $type $size 4 8
		new_map twin $type $size 4 8
		write_list '10.0.0.2=9\n10.0.0.3\n10.0.0.4\n10.0.0.5\n10.0.0.6\n'
		for map in m twin; do
			map-edit --key $key --value u32 "$BPFFS/$map" add 10.0.0.1 10.0.0.2
		done
		calls map-edit --key $key --value u32 "$BPFFS/twin" load "$BATS_TEST_TMPDIR/file" >/dev/null

		# It has read the map, and changed nothing yet.
		start_stopped bpf $(($(nth BPF_MAP_UPDATE_BATCH) - 1)) \
			map-edit --key $key --value u32 "$BPFFS/m" load "$BATS_TEST_TMPDIR/file"
		one_by_one add 10.0.1.1 10.0.1.2 10.0.1.3
		before=$(dump m)
		kill -CONT "$PID"
		rc=0
		wait "$PID" || rc=$?
		[ "$rc" -eq 1 ]
		[[ $(cat "$OUT.err") == "map-edit: load '$BATS_TEST_TMPDIR/file' into map '$BPFFS/m': "*" (the map is full)" ]]
		[ ! -s "$OUT" ]
		[ "$(dump m)" = "$before" ]
		rm "$BPFFS/m" "$BPFFS/twin"
	done
}

@test "map-edit: a sync of which one step fails undoes the other" {
	local before call rc=0 key=u32
	requires root cmd:strace
	new_map m hash 4 4 8
	set -- map-edit --key u32 --value u32 "$BPFFS/m" sync "$BATS_TEST_TMPDIR/file"
	failing() {
		strace -qq -o /dev/null -e trace=bpf -e "inject=bpf:error=ENOMEM:when=$(nth "$1")" "${@:2}"
	}
	# There is room for both: what is new comes first.
	map-edit --key u32 --value u32 "$BPFFS/m" add 1-4=7
	before=$(dump m)
	write_list '3-6=8\n'
	calls "$@" >/dev/null
	write_list '1-4=7\n'
	"$@"
	write_list '3-6=8\n'
	for call in UPDATE DELETE; do
		fails 1 "map-edit: sync '$BATS_TEST_TMPDIR/file' with map '$BPFFS/m': Cannot allocate memory" \
			failing BPF_MAP_${call}_BATCH "$@"
		[ "$(dump m)" = "$before" ]
	done
	# There is none: what is old goes first.
	map-edit --key u32 --value u32 "$BPFFS/m" add 5-8=7
	before=$(dump m)
	write_list '11-18=8\n'
	calls "$@" >/dev/null
	write_list '1-8=7\n'
	"$@"
	[ "$(dump m)" = "$before" ]
	write_list '11-18=8\n'
	fails 1 "map-edit: sync '$BATS_TEST_TMPDIR/file' with map '$BPFFS/m': Cannot allocate memory" \
		failing BPF_MAP_UPDATE_BATCH "$@"
	[ "$(dump m)" = "$before" ]
	# Others have taken the room meanwhile: that is said.
	start_stopped bpf "$(nth BPF_MAP_DELETE_BATCH)" "$@"
	one_by_one add 21 22 23
	kill -CONT "$PID"
	wait "$PID" || rc=$?
	[ "$rc" -eq 1 ]
	[ "$(cat "$OUT.err")" = "map-edit: sync '$BATS_TEST_TMPDIR/file' with map '$BPFFS/m' (not all changes could be undone): Argument list too long (the map is full)" ]
	[ "$(map-edit --key u32 --value u32 "$BPFFS/m" show | grep -cE '^[1-8]=7$')" -eq 5 ]
	[ "$(map-edit --key u32 --value u32 "$BPFFS/m" show | grep -cE '^2[1-3]=1$')" -eq 3 ]
}

@test "map-edit: what went away meanwhile need not be removed" {
	local key=u32
	requires root cmd:strace
	new_map m hash 4 4 8
	set -- --key u32 --value u32 "$BPFFS/m"
	map-edit "$@" add 1-5
	calls map-edit "$@" sync --allow-empty /dev/null >/dev/null
	map-edit "$@" add 1-5
	# It has read the map for the last time.
	start_stopped bpf $(($(nth BPF_MAP_DELETE_BATCH) - 1)) map-edit "$@" sync --allow-empty /dev/null
	one_by_one del 2 4 5
	kill -CONT "$PID"
	wait "$PID"
	[ "$(cat "$OUT")" = "0 added, 0 changed, 5 removed" ]
	map_is m
}

# kill_loop KILLS OLD NEW [BETWEEN]: run the command of $BATS_TEST_TMPDIR/command again and again, with
# the map at $BPFFS/m as the list OLD has it, and kill -9 it at random times, until it was killed
# KILLS times. Each time the map must be as OLD or NEW (or BETWEEN) has it; and both must be seen.
kill_loop() {
	cat >"$BATS_TEST_TMPDIR/kill.py" <<-'PY'
		import json, os, random, signal, statistics, subprocess, sys, time
		kills, pin, directory, between = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
		def read_list(name):
		    with open(f"{directory}/{name}") as lines:
		        return {int(k): int(v) for k, v in (line.split("=") for line in lines)}
		def read_map():
		    number = lambda octets: int.from_bytes([int(o, 16) for o in octets], sys.byteorder)
		    dump = subprocess.run(["bpftool", "-j", "map", "dump", "pinned", pin], capture_output=True, check=True)
		    return {number(e["key"]): number(e["value"]) for e in json.loads(dump.stdout)}
		def edit(verb, name):
		    return ["map-edit", "--key", "u32", "--value", "u32", pin, verb, f"{directory}/{name}"]
		verb = "load" if not between else "sync"
		states = {name: read_list(name) for name in ["old", "new", *between]}
		def reset():
		    subprocess.run(edit("sync", "old"), check=True, capture_output=True)
		    assert read_map() == states["old"], "reset"
		times = []
		for _ in range(7):
		    reset()
		    start = time.perf_counter()
		    subprocess.run(edit(verb, "new"), check=True, stdout=subprocess.DEVNULL)
		    times.append(time.perf_counter() - start)
		    assert read_map() == states["new"]
		usual = statistics.median(times)
		seen, killed, tries = dict.fromkeys(states, 0), 0, 0
		reset()
		while killed < kills or not seen["old"] or not seen["new"]:
		    tries += 1
		    assert tries < 40 * kills, f"{killed} of {tries} killed in time, {seen}"
		    process = subprocess.Popen(edit(verb, "new"), stdout=subprocess.DEVNULL)
		    end = time.perf_counter() + random.uniform(0, 1.1 * usual)
		    while time.perf_counter() < end:
		        pass
		    process.send_signal(signal.SIGKILL)
		    if process.wait() == 0:
		        continue_with = "new"
		    else:
		        assert process.returncode == -signal.SIGKILL, process.returncode
		        killed += 1
		        now = read_map()
		        continue_with = next((name for name, state in states.items() if state == now), None)
		        assert continue_with, f"kill {killed}: {len(now)} entries, half done"
		        seen[continue_with] += 1
		    # Where most are killed too early, or too late, they are given longer, or less.
		    usual *= 1.02 if continue_with == "old" else 0.98
		    if continue_with != "old":
		        reset()
		print(f"{usual * 1000:.1f} ms, {tries} runs, {killed} killed: {seen}")
	PY
	local times
	times=$(kills "$1")
	shift
	/usr/bin/python3 "$BATS_TEST_TMPDIR/kill.py" "$times" "$BPFFS/m" "$BATS_TEST_TMPDIR" "$@"
}

# bats test_tags=kernel-free
@test "map-edit load: kill -9 at random moments: all of the list, or nothing of it" {
	local i
	requires root
	new_map m hash 4 4 8000
	for ((i = 1; i <= 2000; i++)); do echo "$i=1"; done >"$BATS_TEST_TMPDIR/old"
	for ((i = 1; i <= 6000; i++)); do echo "$i=2"; done >"$BATS_TEST_TMPDIR/new"
	run -0 kill_loop 200
	echo "# $output" >&3
}

# bats test_tags=kernel-free
@test "map-edit sync: kill -9 at random moments: the old list, the new one, or both" {
	local i
	requires root
	new_map m hash 4 4 8000
	for ((i = 1; i <= 4000; i++)); do echo "$i=1"; done >"$BATS_TEST_TMPDIR/old"
	for ((i = 2001; i <= 6000; i++)); do echo "$i=2"; done >"$BATS_TEST_TMPDIR/new"
	{
		head -n 2000 "$BATS_TEST_TMPDIR/old"
		cat "$BATS_TEST_TMPDIR/new"
	} >"$BATS_TEST_TMPDIR/both"
	run -0 kill_loop 100 both
	echo "# $output" >&3
}

# ---- long lists

@test "map-edit: 50,000 CIDRs, loaded, as the kernel has them; a second sync finds nothing to do" {
	requires root
	new_map m lpm_trie 8 4 60000
	set -- --key cidr4 --value u32 "$BPFFS/m"
	/usr/bin/python3 - >"$BATS_TEST_TMPDIR/file" <<-'PY'
		import ipaddress, random
		random.seed(4)
		nets = set()
		while len(nets) < 50000:
		    length = random.choice([8, 16, 20, 22, 24, 24, 24, 28, 32])
		    nets.add((random.getrandbits(32) >> (32 - length) << (32 - length), length))
		for net in nets:
		    print(ipaddress.IPv4Network(net))
	PY
	says "50000 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
	bpftool -j map dump pinned "$BPFFS/m" | /usr/bin/python3 -c '
import json, sys
octets = lambda texts: [int(text, 16) for text in texts]
for entry in json.load(sys.stdin):
    key = octets(entry["key"])
    assert octets(entry["value"]) == [1, 0, 0, 0]
    print("%d.%d.%d.%d/%d" % (*key[4:], int.from_bytes(key[:4], sys.byteorder)))' |
		sort >"$BATS_TEST_TMPDIR/theirs"
	sort "$BATS_TEST_TMPDIR/file" | cmp - "$BATS_TEST_TMPDIR/theirs"
	says "0 added, 0 changed, 0 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
	says "0 added, 0 changed" "$@" load "$BATS_TEST_TMPDIR/file"
	diff <(map-edit "$@" show | sed 's/=1$//' | sort) "$BATS_TEST_TMPDIR/theirs"
	# It is shown in the order of the addresses.
	map-edit "$@" show | sed 's/=1$//' | LC_ALL=C sort -s -c -t. -k1,1n -k2,2n -k3,3n
	head -n 49000 "$BATS_TEST_TMPDIR/file" >"$BATS_TEST_TMPDIR/fewer"
	says "0 added, 0 changed, 1000 removed" "$@" sync "$BATS_TEST_TMPDIR/fewer"
	[ "$(map-edit "$@" show | wc -l)" -eq 49000 ]
}

@test "map-edit: a hash's bucket that holds more than what is read at once" {
	requires root
	# Of such values one is read at once, and 16 never lie in 16 buckets one by one.
	new_map m hash 4 3000000 16
	/usr/bin/python3 - "$BPFFS/m" <<-'PY'
		import ctypes, sys
		bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
		fd = bpf.bpf_obj_get(sys.argv[1].encode())
		for key in range(1, 17):
		    assert not bpf.bpf_map_update_elem(fd, ctypes.byref(ctypes.c_uint32(key)), bytes(3000000), ctypes.c_uint64(0))
	PY
	refused "delete from map '$BPFFS/m': '17' is not there" --key u32 "$BPFFS/m" del 1-16 17
	silent --key u32 "$BPFFS/m" del 1-16
	map_is m
}

# on_terminal COMMAND: what it writes to a terminal that is its stdout and stderr.
on_terminal() {
	script -qec "$1" /dev/null </dev/null
}

# bats test_tags=kernel-free
@test "map-edit: long work says on a terminal how far it is, and nowhere else" {
	local list edit
	requires root cmd:script
	new_map m hash 4 4 50000
	edit="map-edit --key u32 --value u32 $BPFFS/m load"
	list='{ seq 20000; sleep 0.7; seq 20001 40000; }'
	run -0 on_terminal "$list | $edit -"
	[[ $output == *$'\r\e[Kmap-edit: lines read: 16384'* ]]
	[[ $output == *$'\r\e[K40000 added, 0 changed'* ]]
	# Not where stderr is no terminal, nor where it is done at once.
	run -0 on_terminal "$list | $edit - 2>$BATS_TEST_TMPDIR/err"
	[[ ${output%$'\r'} == "0 added, 0 changed" ]]
	[ ! -s "$BATS_TEST_TMPDIR/err" ]
	# Where stdout goes makes no difference.
	run -0 on_terminal "$list | $edit - >/dev/null"
	[[ $output == *$'\r\e[Kmap-edit: lines read: 16384'*$'\r\e[K' ]]
	run -0 on_terminal "seq 100 | $edit -"
	[[ ${output%$'\r'} == "0 added, 0 changed" ]]
	[ "$(bash -c "$list | $edit -" 2>&1)" = "0 added, 0 changed" ]
	# An error has its line for itself.
	run -1 on_terminal "{ seq 20000; sleep 0.7; echo x; } | $edit -"
	[[ $output == *$'\r\e[Kmap-edit: standard input:20001: '* ]]
}

@test "map-edit: an output that takes nothing is an error" {
	requires root
	new_map m hash 4 4 5010
	map-edit --key u32 --value u32 "$BPFFS/m" add 1-5000
	for verb in show "show -j" "get 7" "sync --dry-run --allow-empty /dev/null"; do
		fails 1 "map-edit: write to standard output: No space left on device" \
			bash -c "map-edit --key u32 --value u32 $BPFFS/m $verb >/dev/full"
	done
	# What is done is said, where it can be.
	for verb in "load $BATS_TEST_TMPDIR/file|2 added, 0 changed" \
		"sync -j --allow-empty /dev/null|0 added, 0 changed, 5002 removed"; do
		write_list '5001\n5002\n'
		fails 1 "map-edit: write to standard output: No space left on device (but it is done: ${verb#*|})" \
			bash -c "map-edit --key u32 --value u32 $BPFFS/m ${verb%|*} >/dev/full"
	done
	map_is m
	# A reader that went away ends nothing half-way.
	run -1 --separate-stderr env --default-signal=PIPE bash -c \
		"set -o pipefail; { sleep 0.1; exec map-edit --key u32 --value u32 $BPFFS/m load $BATS_TEST_TMPDIR/file; } | true"
	[ "$stderr" = "map-edit: write to standard output: Broken pipe (but it is done: 2 added, 0 changed)" ]
	map_is m 89130000=01000000 8a130000=01000000
	run -0 map-edit --key u32 --value u32 "$BPFFS/m" sync --allow-empty /dev/null
	map-edit --key u32 --value u32 "$BPFFS/m" add 7
	# A closed one is seen before anything is done.
	write_list '8\n'
	for verb in show "show -j" "get 7" "load $BATS_TEST_TMPDIR/file" "sync $BATS_TEST_TMPDIR/file"; do
		fails 1 "map-edit: write to standard output: Bad file descriptor" \
			bash -c "map-edit --key u32 --value u32 $BPFFS/m $verb >&-"
	done
	map_is m 07000000=01000000
	# What prints nothing needs none.
	fails 0 "" bash -c "map-edit --key u32 --value u32 $BPFFS/m add 8 >&-"
	map_is m 07000000=01000000 08000000=01000000
}

@test "map-edit: --keep-going skips bad lines, makes the change, and fails" {
	local list=$BATS_TEST_TMPDIR/list verb
	requires root
	create_map m hash 4 4 8
	set -- --key u32 --value u32 "$BPFFS/m"
	printf '1=1\nx\n2=2\n' >"$list"
	for verb in load sync; do
		refused "$list:2: 'x' is not a number"$'\n'"map-edit: $verb '$list': 1 bad line, nothing is changed" \
			"$@" "$verb" "$list"
		run -1 --separate-stderr map-edit --keep-going --dry-run "$@" "$verb" "$list"
		[[ $output == *"2 added"* && $stderr == *": 1 bad line" ]]
		[ "$(bpftool -j map dump pinned "$BPFFS/m" | jq length)" -eq 0 ]
		run -1 --separate-stderr map-edit --keep-going "$@" "$verb" "$list"
		[[ $output == "2 added, 0 changed"* && $stderr == *": 1 bad line, but the others are done" ]]
		[ "$(bpftool -j map dump pinned "$BPFFS/m" | jq length)" -eq 2 ]
		map-edit "$@" del 1 2
	done
	echo x >"$list"
	run -1 --separate-stderr map-edit --keep-going --allow-empty "$@" sync "$list"
	[[ $stderr == *": 1 bad line, nothing is changed" ]]
	misuse "--keep-going goes with load and sync" --keep-going "$@" show
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The names of maps, of which the kernel keeps 15 characters: map-pin, prog-load and map-edit
# know the same full ones. Which map is which is known by what its program has put into it.
# shellcheck disable=SC2154 # netns sets the name it is given
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load ../lib/helpers
# shellcheck disable=SC2034 # refused and says run it
TOOL=map-pin

setup_file() {
	# Names of maps are system-wide. The kernel keeps ${NAME}: 15 characters.
	NAME=t_$(printf '%08x' "$SRANDOM")_name
	export NAME
	object single names "-DONE=${NAME}_total"
	object other names "-DONE=${NAME}_bytes"
	object twins names "-DONE=${NAME}_one" "-DTWO=${NAME}_two"
	object only_two names "-DONE=${NAME}_one" "-DTWO=${NAME}_two" -DONLY_TWO
	object exact names "-DONE=$NAME" "-DTWO=${NAME}_two"
	object sizes names "-DONE=${NAME}_one" "-DTWO=${NAME}_two" -DONLY_TWO -DSECOND_VALUE=__u32
	object pair names "-DONE=${NAME}_one" "-DTWO=${NAME}_two" '-DSECOND_VALUE=struct pair'
	object typed names "-DONE=${NAME}_one" "-DTWO=${NAME}_two" -DONLY_TWO -DSECOND_VALUE=__s64
	object section names "-DONE=${NAME}_total" '-DSECTION=".data.of_more_than_fifteen"'
	object wide names "-DONE=${NAME}_total" -DVALUE=__u32
}

# obj NAME: the object file.
obj() {
	echo "$BATS_FILE_TMPDIR/$1.o"
}

# by_ip NAME: have ip load the object and attach it to lo of a new network namespace, $ns.
by_ip() {
	netns ns
	ip -n "$ns" link set dev lo xdpgeneric obj "$(obj "$1")" sec xdp
}

# ran DEV|PROG: have the program that is attached to lo in $ns see a packet.
ran() {
	in_ns "$ns" ping -c 1 -W 2 -q 127.0.0.1 >/dev/null
}

# holds PIN NUMBER: that is what the program has put into the map.
holds() {
	local got
	got=$(bpftool -j map lookup pinned "$1" key 0 0 0 0 | jq -r '.value[0]')
	[ $((got)) -eq "$2" ] || {
		echo "$1 holds $got, expected: $2" >&2
		return 1
	}
}

@test "map-pin dev, prog: a map that ip or prog-load has made is pinned under its full name" {
	requires root cmd:jq
	by_ip single
	map-pin -n "$ns" dev lo "$BPFFS/dev"
	pins_are "$BPFFS/dev" "${NAME}_total"
	prog-load "$(obj single)" "$BPFFS/prog"
	says "[{\"id\":$(field prog "$BPFFS/prog" map_ids),\"name\":\"${NAME}_total\",\"pinned\":\"$BPFFS/dir/${NAME}_total\"}]" \
		--json prog "$BPFFS/prog" "$BPFFS/dir"
	bpftool prog load "$(obj single)" "$BPFFS/libbpf" pinmaps "$BPFFS/theirs"
	map-pin prog "$BPFFS/libbpf" "$BPFFS/ours"
	pins_are "$BPFFS/ours" "$(ls "$BPFFS/theirs")"
}

@test "prog-load --maps takes what map-pin has pinned, and nothing is forgotten" {
	requires root cmd:jq
	local id
	by_ip single
	ran
	map-pin -n "$ns" dev lo "$BPFFS/dir"
	id=$(field map "$BPFFS/dir/${NAME}_total" id)
	prog-load --maps "$BPFFS/dir" "$(obj single)" "$BPFFS/prog"
	pins_are "$BPFFS/dir" "${NAME}_total"
	[ "$(field prog "$BPFFS/prog" map_ids)" = "$id" ]
	holds "$BPFFS/dir/${NAME}_total" 1
	# And the other way round.
	map-pin prog "$BPFFS/prog" "$BPFFS/again"
	pins_are "$BPFFS/again" "${NAME}_total"
}

@test "map-pin: two maps whose first 15 characters agree are told apart, whoever made them" {
	requires root cmd:jq
	local object two
	for object in twins exact; do
		two=${NAME}_one
		[ $object = twins ] || two=$NAME
		by_ip $object
		ran
		map-pin -n "$ns" dev lo "$BPFFS/$object-ip"
		pins_are "$BPFFS/$object-ip" "$two" "${NAME}_two"
		holds "$BPFFS/$object-ip/$two" 1
		holds "$BPFFS/$object-ip/${NAME}_two" 2

		bpftool prog load "$(obj $object)" "$BPFFS/$object" pinmaps "$BPFFS/$object-theirs"
		map-pin prog "$BPFFS/$object" "$BPFFS/$object-ours"
		pins_are "$BPFFS/$object-ours" "$two" "${NAME}_two"
		for pin in "$two" "${NAME}_two"; do
			[ "$(field map "$BPFFS/$object-ours/$pin" id)" = "$(field map "$BPFFS/$object-theirs/$pin" id)" ]
		done
		# Loaded again by prog-load, the maps are of the BTF that was loaded with them.
		prog-load --maps "$BPFFS/$object-ip" "$(obj $object)" "$BPFFS/$object-2"
		map-pin prog "$BPFFS/$object-2" "$BPFFS/$object-again"
		holds "$BPFFS/$object-again/$two" 1
		holds "$BPFFS/$object-again/${NAME}_two" 2
	done
}

@test "map-pin: one of two such maps, where nothing tells which it is: refused" {
	requires root cmd:jq
	local id
	prog-load "$(obj only_two)" "$BPFFS/prog"
	id=$(field prog "$BPFFS/prog" map_ids)
	refused "pin the maps of prog '$BPFFS/prog': map $id may be '${NAME}_one' or '${NAME}_two': pin it alone, by 'map-pin map ID PATH'" \
		prog "$BPFFS/prog" "$BPFFS/dir"
	[ ! -e "$BPFFS/dir" ]
	silent map "$id" "$BPFFS/pin"
	# With the other one beside it, it is known; or if they differ in size.
	bpftool prog load "$(obj only_two)" "$BPFFS/prog2" pinmaps "$BPFFS/theirs"
	map-pin prog "$BPFFS/prog2" "$BPFFS/ours"
	pins_are "$BPFFS/ours" "${NAME}_two"
	[ "$(field map "$BPFFS/ours/${NAME}_two" id)" = "$(field map "$BPFFS/theirs/${NAME}_two" id)" ]
	prog-load "$(obj sizes)" "$BPFFS/prog3"
	map-pin prog "$BPFFS/prog3" "$BPFFS/sizes"
	pins_are "$BPFFS/sizes" "${NAME}_two"
	# Or in the type that the kernel has.
	prog-load "$(obj typed)" "$BPFFS/prog4"
	map-pin prog "$BPFFS/prog4" "$BPFFS/typed"
	pins_are "$BPFFS/typed" "${NAME}_two"
}

@test "map-pin: a map that a newer version of the program has is what the older ones are not" {
	requires root cmd:jq
	object first names "-DONE=${NAME}_one"
	prog-load --maps "$BPFFS/dir" "$(obj first)" "$BPFFS/one"
	prog-load --maps "$BPFFS/dir" "$(obj twins)" "$BPFFS/two"
	map-pin prog "$BPFFS/two" "$BPFFS/ours"
	pins_are "$BPFFS/ours" "${NAME}_one" "${NAME}_two"
	for pin in "${NAME}_one" "${NAME}_two"; do
		[ "$(field map "$BPFFS/ours/$pin" id)" = "$(field map "$BPFFS/dir/$pin" id)" ]
	done
}

@test "map-pin: a section of variables has its full name, as libbpf pins it" {
	local pin theirs
	requires root cmd:jq
	bpftool prog load "$(obj section)" "$BPFFS/prog" pinmaps "$BPFFS/theirs"
	map-pin prog "$BPFFS/prog" "$BPFFS/ours"
	theirs=$(cd "$BPFFS/theirs" && ls)
	[ "$(cd "$BPFFS/ours" && ls)" = "$theirs" ]
	[[ $theirs == *of_more_than_fifteen* ]]
	for pin in $theirs; do
		[ "$(field map "$BPFFS/ours/$pin" id)" = "$(field map "$BPFFS/theirs/$pin" id)" ]
	done
}

@test "map-pin map: a name of more than 15 characters is found by BTF" {
	requires root cmd:jq
	local one two both
	bpftool prog load "$(obj twins)" "$BPFFS/prog" pinmaps "$BPFFS/theirs"
	one=$(field map "$BPFFS/theirs/${NAME}_one" id)
	two=$(field map "$BPFFS/theirs/${NAME}_two" id)
	silent map "${NAME}_one" "$BPFFS/one"
	says "[{\"id\":$two,\"name\":\"${NAME}_two\",\"pinned\":\"$BPFFS/two\"}]" --json map "${NAME}_two" "$BPFFS/two"
	[ "$(field map "$BPFFS/one" id)" = "$one" ]
	refused "find map '${NAME}_three': No such file or directory" map "${NAME}_three" "$BPFFS/none"
	# The kernel's own name is that of both.
	both=$(printf '%s\n' "$one" "$two" | sort -n | paste -sd, | sed 's/,/, /')
	refused "find map '$NAME': several maps have this name: choose one by its id: $both" map "$NAME" "$BPFFS/none"
}

@test "map-pin: a map without BTF has the name that --btf tells, or only the kernel's" {
	requires root cmd:jq
	local id
	bpftool map create "$BPFFS/made" type array key 4 value 8 entries 1 name "$NAME"
	id=$(field map "$BPFFS/made" id)
	refused "find map '${NAME}_total': the kernel has its first 15 characters, and no BTF tells the rest: choose by id: $id" \
		map "${NAME}_total" "$BPFFS/none"
	silent --btf "$(obj single)" map "${NAME}_total" "$BPFFS/pin"
	[ "$(field map "$BPFFS/pin" id)" = "$id" ]
	refused "find map '${NAME}_total': No such file or directory" --btf "$(obj other)" map "${NAME}_total" "$BPFFS/none"
	refused "read the BTF of '/none': No such file or directory" --btf /none map "$id" "$BPFFS/none"
	# A program that uses it tells, too.
	rm "$BPFFS/pin"
	mkdir "$BPFFS/dir"
	mv "$BPFFS/made" "$BPFFS/dir/$NAME"
	prog-load --maps "$BPFFS/dir" "$(obj single)" "$BPFFS/prog"
	[ "$(field prog "$BPFFS/prog" map_ids)" = "$id" ]
	map-pin prog "$BPFFS/prog" "$BPFFS/named"
	pins_are "$BPFFS/named" "${NAME}_total"
	silent map "${NAME}_total" "$BPFFS/pin"
	[ "$(field map "$BPFFS/pin" id)" = "$id" ]
}

# A directory of pins as map-pin made them before it knew full names, of the object's maps.
short_pins() {
	local id
	rm -rf "$BPFFS/short" "$BPFFS/old"
	mkdir "$BPFFS/short"
	prog-load "$(obj "$1")" "$BPFFS/old"
	for id in $(field prog "$BPFFS/old" map_ids); do
		bpftool map pin id "$id" "$BPFFS/short/$NAME"
	done
}

@test "prog-load --maps: a pin of the short name is taken if it is the map, and else left alone" {
	requires root cmd:jq
	local id
	short_pins single
	id=$(field map "$BPFFS/short/$NAME" id)
	run -0 --separate-stderr prog-load --verbose --maps "$BPFFS/short" "$(obj single)" "$BPFFS/prog"
	[[ $output == *"map $id reused from '$BPFFS/short/$NAME'"* ]]
	pins_are "$BPFFS/short" "$NAME"
	[ "$(field prog "$BPFFS/prog" map_ids)" = "$id" ]
	# It is no other map's that begins so.
	prog-load --maps "$BPFFS/short" "$(obj other)" "$BPFFS/other"
	pins_are "$BPFFS/short" "$NAME" "${NAME}_bytes"
	[ "$(field prog "$BPFFS/other" map_ids)" = "$(field map "$BPFFS/short/${NAME}_bytes" id)" ]
	# The full name goes first.
	bpftool map create "$BPFFS/short/${NAME}_total" type array key 4 value 8 entries 1 name x
	prog-load --maps "$BPFFS/short" "$(obj single)" "$BPFFS/full"
	[ "$(field prog "$BPFFS/full" map_ids)" = "$(field map "$BPFFS/short/${NAME}_total" id)" ]
	# A pin that only happens to have this name.
	rm "$BPFFS/short/"*
	bpftool map create "$BPFFS/short/$NAME" type array key 4 value 8 entries 1 name x
	prog-load --maps "$BPFFS/short" "$(obj single)" "$BPFFS/new"
	pins_are "$BPFFS/short" "$NAME" "${NAME}_total"
}

@test "prog-load --maps: a pin of the short name that differs, or may be of either of two maps: refused" {
	requires root cmd:jq
	short_pins single
	fails 1 "prog-load: reuse map '$BPFFS/short/$NAME': value size is 8 in DIR, 4 in OBJ; value type is __u64 in DIR, __u32 in OBJ" \
		prog-load --maps "$BPFFS/short" "$(obj wide)" "$BPFFS/prog"
	short_pins only_two
	rm "$BPFFS/old"
	fails 1 "prog-load: reuse map '$BPFFS/short/$NAME': it may be '${NAME}_one' or '${NAME}_two': give the pin the full name of its map, by mv" \
		prog-load --maps "$BPFFS/short" "$(obj twins)" "$BPFFS/prog"
	pins_are "$BPFFS/short" "$NAME"
	[ ! -e "$BPFFS/prog" ]
	mv "$BPFFS/short/$NAME" "$BPFFS/short/${NAME}_two"
	prog-load --maps "$BPFFS/short" "$(obj twins)" "$BPFFS/prog"
	pins_are "$BPFFS/short" "${NAME}_one" "${NAME}_two"
}

@test "prog-load --maps: without CAP_SYS_ADMIN the object tells whose the short name is, or it is refused" {
	requires root cmd:jq cap-bpf
	local id
	short_pins single
	id=$(field map "$BPFFS/short/$NAME" id)
	chmod 777 "$BPFFS" "$BPFFS/short"
	chmod 666 "$BPFFS/short/$NAME"
	with_cap_bpf prog-load --maps "$BPFFS/short" "$(obj single)" "$BPFFS/prog" 2>/dev/null
	[ "$(field prog "$BPFFS/prog" map_ids)" = "$id" ]
	fails 1 "prog-load: reuse map '$BPFFS/short/$NAME': it may be '${NAME}_one' or '${NAME}_two': give the pin the full name of its map, by mv" \
		with_cap_bpf prog-load --maps "$BPFFS/short" "$(obj twins)" "$BPFFS/prog2"
}

@test "map-edit --btf: of two maps whose first 15 characters agree, each has its own type" {
	requires root cmd:jq
	by_ip pair
	ran
	map-pin -n "$ns" dev lo "$BPFFS/dir"
	fails 0 "" sh -c "map-edit '$BPFFS/dir/${NAME}_one' show --btf '$(obj pair)' >'$BATS_TEST_TMPDIR/one'"
	[ "$(cat "$BATS_TEST_TMPDIR/one")" = "0=1" ]
	[ "$(map-edit "$BPFFS/dir/${NAME}_two" show --btf "$(obj pair)")" = "0={low=2 high=0}" ]
}

@test "map-edit: an enum with the full name of an array has the names of its indexes" {
	requires root
	object index names "-DONE=${NAME}_one" -DINDEX
	prog-load --maps "$BPFFS/dir" "$(obj index)" "$BPFFS/prog"
	[ "$(map-edit "$BPFFS/dir/${NAME}_one" show)" = "NAMED_INDEX=0" ]
	[ "$(map-edit "$BPFFS/dir/${NAME}_one" show --btf "$(obj index)")" = "NAMED_INDEX=0" ]
}

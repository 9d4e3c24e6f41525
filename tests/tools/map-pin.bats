#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # netns, two_hosts and new_map set the names they are given
# shellcheck disable=SC2153 # PLAIN is of helpers.bash
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC2016 # what make and another shell are to expand

load ../lib/helpers
load ../lib/plant

PROG_MAPS=(detect_p_rodata ping_hash ping_hash6 ping_stats ringbuf)

setup_file() {
	object maps maps
}

# same_maps PROG DIR: what is pinned in DIR are the maps that PROG uses.
same_maps() {
	local pin
	diff <(field prog "$1" map_ids | sort -n) \
		<(for pin in "$2"/*; do field map "$pin" id; done | sort -n)
}

# new_map VAR NAME: make a map called NAME, pinned at $BPFFS/VAR, and put its id in VAR.
new_map() {
	bpftool map create "$BPFFS/$1" type hash key 4 value 4 entries 8 name "$2"
	printf -v "$1" %s "$(field map "$BPFFS/$1" id)"
}

# in_dir DIR COMMAND...: run it there. bats itself must not stay on the bpffs.
in_dir() (
	cd "$1" && shift && "$@"
)

# A name that no other map on this machine has.
unique() {
	echo "t_$(head -c 4 /dev/urandom | od -An -tx4 | tr -d ' ')"
}

# attach_xdp MODE PIN NETNS: with ip, as `ip link set … xdp pinned` does.
attach_xdp() {
	in_ns "$3" ip link set dev lo "$1" pinned "$2"
}

# xdp_link PROG PIN: an XDP link on lo, which neither ip nor bpftool can make.
xdp_link() {
	/usr/bin/python3 - "$1" "$2" <<-'PY'
		import ctypes, os, socket, sys
		bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
		prog = bpf.bpf_obj_get(sys.argv[1].encode())
		link = bpf.bpf_link_create(prog, socket.if_nametoindex("lo"), 37, None)  # BPF_XDP
		if link < 0 or bpf.bpf_obj_pin(link, sys.argv[2].encode()):
		    sys.exit(os.strerror(ctypes.get_errno()))
	PY
}

@test "map-pin: --help and --version" {
	local option
	for option in -h --help; do
		run -0 --separate-stderr map-pin $option
		[ "${lines[0]}" = "Usage: map-pin [OPTIONS] dev IFNAME DIR" ]
		[ -z "$stderr" ]
		[ "$(wc -L <<<"$output")" -le 80 ]
		for word in --mode --owner --replace --netns --json --pretty --verbose; do
			[[ $output == *"$word"* ]]
		done
	done
	for option in -V --version; do
		run -0 --separate-stderr map-pin $option
		[[ $output =~ ^map-pin\ \(hookset\)\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
		[ -z "$stderr" ]
	done
}

# bats test_tags=kernel-free
@test "map-pin: wrong usage" {
	local dir=$BPFFS/dir
	misuse "dev, prog, link or map is missing"
	misuse "unknown source 'device' (expected dev, prog, link or map)" device lo "$dir"
	misuse "the argument of dev is missing" dev
	misuse "the argument of map is missing" map
	misuse "DIR is missing" dev lo
	misuse "DIR is missing" prog 1
	misuse "DIR is missing" link /sys
	misuse "PATH is missing" map 1
	misuse "too many arguments: 'more'" dev lo "$dir" more
	misuse "--netns can only be used with dev" --netns x prog 1 "$dir"
	misuse "--netns can only be used with dev" -n x map 1 "$dir"
	misuse "unrecognized option '--nothing'" --nothing dev lo "$dir"
	misuse "invalid option -- 'x'" -x dev lo "$dir"
	misuse "option requires an argument -- 'm'" dev lo "$dir" -m
	misuse "option '--owner' requires an argument" dev lo "$dir" --owner
	misuse "option '--json' doesn't allow an argument" --json=1 dev lo "$dir"
	misuse "ID '0' is not between 1 and 4294967295" prog 0 "$dir"
	misuse "ID '4294967296' is not between 1 and 4294967295" map 4294967296 "$dir"
	misuse "ID '99999999999999999999999' is not between 1 and 4294967295" prog \
		99999999999999999999999 "$dir"
	misuse "--btf is empty" --btf "" map 1 "$dir"
	[ ! -e "$dir" ]
}

@test "map-pin: wrong modes and owners" {
	local dir=$BPFFS/dir text
	for text in 8 abc 0o660 0x1 -1 +6 ' 6' '' 00660 u+r; do
		misuse "MODE '$text' is not an octal mode" --mode="$text" dev lo "$dir"
	done
	for text in 1777 1000 7777; do
		misuse "MODE '$text' is above 0777" -m $text dev lo "$dir"
	done
	misuse "USER[:GROUP] '' names no user" --owner= dev lo "$dir"
	misuse "USER[:GROUP] ':root' names no user" -o :root dev lo "$dir"
	misuse "USER[:GROUP] 'root:' names no group" -o root: dev lo "$dir"
	misuse "no user is called 'no-such-user'" -o no-such-user dev lo "$dir"
	misuse "no group is called 'no-such-group'" -o root:no-such-group dev lo "$dir"
	misuse "no user is called '-1'" -o -1 dev lo "$dir"
	misuse "no user is called '0x0'" -o 0x0 dev lo "$dir"
	misuse "USER '4294967295' is not between 0 and 4294967294" -o 4294967295 dev lo "$dir"
	misuse "GROUP '4294967295' is not between 0 and 4294967294" -o 0:4294967295 dev lo "$dir"
	misuse "no group is called '0:0'" -o 0:0:0 dev lo "$dir"
}

@test "map-pin dev: the maps of an attached program, native and generic" {
	local mode ns
	requires root
	load_prog detect_ping
	two_hosts ns peer
	for mode in xdpdrv xdpgeneric; do
		in_ns "$ns" ip link set dev veth0 $mode pinned "$BPFFS/detect_ping_prog"
		fails 0 "" in_ns "$ns" map-pin dev veth0 "$BPFFS/$mode"
			pins_are "$BPFFS/$mode" "${PROG_MAPS[@]}"
		same_maps "$BPFFS/detect_ping_prog" "$BPFFS/$mode"
		ip -n "$ns" link set dev veth0 $mode off
	done
}

@test "map-pin dev: a kernel keeps a native and a generic program apart" {
	requires root
	load_prog detect_ping
	two_hosts ns peer
	in_ns "$ns" ip link set dev veth0 xdpdrv pinned "$BPFFS/detect_ping_prog"
	run -2 in_ns "$ns" ip link set dev veth0 xdpgeneric pinned "$BPFFS/detect_ping_prog"
	[[ $output == *"can't be active at the same time"* ]]
}

@test "map-pin dev: --netns takes a NAME, a PID and a PATH" {
	requires root
	load_prog detect_ping
	netns ns
	attach_xdp xdpgeneric "$BPFFS/detect_ping_prog" "$ns"
	start nsenter --net="/run/netns/$ns" sleep 60
	poll 5 test "/proc/$PID/ns/net" -ef "/run/netns/$ns"

	silent --netns "$ns" dev lo "$BPFFS/name"
	silent -n "$PID" dev lo "$BPFFS/pid"
	silent --netns="/run/netns/$ns" dev lo "$BPFFS/path"
	for dir in name pid path; do
		same_maps "$BPFFS/detect_ping_prog" "$BPFFS/$dir"
	done
	refused "find device 'veth0': No such device" -n "$ns" dev veth0 "$BPFFS/none"
}

@test "map-pin dev: no device, no program, no netns" {
	local dir=$BPFFS/dir
	requires root
	netns ns
	refused "find device 'nosuch0': No such device" dev nosuch0 "$dir"
	refused "find device '': No such device" dev "" "$dir"
	refused "find the program of dev 'lo': no program is attached" -n "$ns" dev lo "$dir"
	refused "open network namespace 'hookset-none': No such file or directory" \
		-n hookset-none dev lo "$dir"
	refused "open network namespace '4194304999': No such file or directory" \
		-n 4194304999 dev lo "$dir"
	refused "open network namespace '/dev/null': not a network namespace" -n /dev/null dev lo "$dir"
	refused "open network namespace '/proc/self/ns/mnt': not a network namespace" \
		-n /proc/self/ns/mnt dev lo "$dir"
	[ ! -e "$dir" ]
}

@test "map-pin prog: by PATH and by ID" {
	local id
	requires root
	load_prog detect_ping
	id=$(field prog "$BPFFS/detect_ping_prog" id)
	silent prog "$BPFFS/detect_ping_prog" "$BPFFS/by_path"
	silent prog "$id" "$BPFFS/by_id"
	for dir in by_path by_id; do
		pins_are "$BPFFS/$dir" "${PROG_MAPS[@]}"
		same_maps "$BPFFS/detect_ping_prog" "$BPFFS/$dir"
	done
	# Each under its own name.
	for name in "${PROG_MAPS[@]}"; do
		[ "$(field map "$BPFFS/by_id/$name" name)" = "${name/_rodata/.rodata}" ]
	done
}

@test "map-pin prog: a path that is relative, or ends in slashes" {
	requires root
	load_prog detect_ping
	fails 0 "" in_dir "$BPFFS" map-pin prog detect_ping_prog dir///
	pins_are "$BPFFS/dir" "${PROG_MAPS[@]}"
	run -0 in_dir "$BPFFS" map-pin -rj prog ./detect_ping_prog dir/
	[[ $output == *'"pinned":"dir/ringbuf"'* ]]
}

@test "map-pin prog: no such program, no program at all" {
	local dir=$BPFFS/dir plain=$BATS_TEST_TMPDIR/plain
	requires root
	load_prog detect_ping
	pin_map ringbuf "$BPFFS/detect_ping_prog"
	touch "$plain"
	refused "open program '$BPFFS/nothing': No such file or directory" prog "$BPFFS/nothing" "$dir"
	refused "open program 4294967295: No such file or directory" prog 4294967295 "$dir"
	refused "open program '$BPFFS/ringbuf': not a program" prog "$BPFFS/ringbuf" "$dir"
	refused "open program '$plain': not on a bpffs" prog "$plain" "$dir"
	refused "open program '$BPFFS': Is a directory" prog "$BPFFS" "$dir"
	refused "open program '': No such file or directory" prog "" "$dir"
	[ ! -e "$dir" ]
}

@test "map-pin prog: a program without maps" {
	requires root
	load_prog xdp_pass
	refused "pin the maps of prog '$BPFFS/xdp_pass_prog': the program uses no map" \
		prog "$BPFFS/xdp_pass_prog" "$BPFFS/dir"
	[ ! -e "$BPFFS/dir" ]
}

@test "map-pin prog: a dot in a map's name becomes an underscore, as libbpf has it" {
	local theirs
	requires root
	bpftool prog load "$BATS_FILE_TMPDIR/maps.o" "$BPFFS/prog" pinmaps "$BPFFS/libbpf"
	theirs=$(cd "$BPFFS/libbpf" && echo *rodata*)
	run -0 --separate-stderr map-pin --json prog "$BPFFS/prog" "$BPFFS/dir"
	pins_are "$BPFFS/dir" a_name_too_long_one "$theirs"
	[[ $theirs == *_rodata ]]
	# The map itself keeps its name.
	[ "$(field map "$BPFFS/dir/$theirs" name)" = "${theirs/_rodata/.rodata}" ]
	[[ $output == *"\"name\":\"${theirs/_rodata/.rodata}\",\"pinned\":\"$BPFFS/dir/$theirs\""* ]]
	[ "$(field map "$BPFFS/dir/$theirs" id)" = "$(field map "$BPFFS/libbpf/$theirs" id)" ]
}

@test "map-pin link: an sk_lookup link, and one whose netns is gone" {
	requires root
	load_prog echo_dispatch
	netns ns
	sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	silent link "$BPFFS/link" "$BPFFS/dir"
	pins_are "$BPFFS/dir" echo_ports echo_socket echo_stats
	same_maps "$BPFFS/echo_dispatch_prog" "$BPFFS/dir"

	ip netns del "$ns"
	# shellcheck disable=SC2034 # teardown reads it
	NETNS=()
	silent link "$BPFFS/link" "$BPFFS/after"
	same_maps "$BPFFS/echo_dispatch_prog" "$BPFFS/after"
}

@test "map-pin link: an XDP link, also by its device" {
	requires root
	load_prog detect_ping
	netns ns
	export -f xdp_link
	in_ns "$ns" bash -c "xdp_link $BPFFS/detect_ping_prog $BPFFS/link"
	silent link "$BPFFS/link" "$BPFFS/dir"
	same_maps "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	silent -n "$ns" dev lo "$BPFFS/by_dev"
	same_maps "$BPFFS/detect_ping_prog" "$BPFFS/by_dev"
}

@test "map-pin link: no such link, no link at all" {
	requires root
	load_prog detect_ping
	refused "open link '$BPFFS/nothing': No such file or directory" link "$BPFFS/nothing" "$BPFFS/dir"
	refused "open link '$BPFFS/detect_ping_prog': not a link" \
		link "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	refused "open link '/etc/passwd': not on a bpffs" link /etc/passwd "$BPFFS/dir"
	[ ! -e "$BPFFS/dir" ]
}

@test "map-pin map: by ID and by NAME" {
	local name one
	requires root
	name=$(unique)
	new_map one "$name"
	silent map "$one" "$BPFFS/by_id"
	silent map "$name" "$BPFFS/by_name"
	[ "$(field map "$BPFFS/by_id" id)" = "$one" ]
	[ "$(field map "$BPFFS/by_name" id)" = "$one" ]
	[ "$(stat -c %a:%u:%g "$BPFFS/by_name")" = 600:0:0 ]
	fails 0 "" in_dir "$BPFFS" map-pin map "$name" relative
	[ "$(field map "$BPFFS/relative" id)" = "$one" ]

	refused "find map '${name}x': No such file or directory" map "${name}x" "$BPFFS/none"
	refused "open map 4294967295: No such file or directory" map 4294967295 "$BPFFS/none"
	refused "find map '': No such file or directory" map "" "$BPFFS/none"
	[ ! -e "$BPFFS/none" ]
}

@test "map-pin map: a name that exists twice is refused with its ids, where bpftool gives none" {
	local name one two
	requires root
	name=$(unique)
	new_map one "$name"
	new_map two "$name"
	run ! bpftool map pin name "$name" "$BPFFS/theirs"
	[[ $output == *"several maps match this handle"* ]]

	refused "find map '$name': several maps have this name: choose one by its id: $one, $two" \
		map "$name" "$BPFFS/ours"
	[ ! -e "$BPFFS/ours" ]
	silent map "$two" "$BPFFS/ours"
	[ "$(field map "$BPFFS/ours" id)" = "$two" ]
}

@test "map-pin map: where it cannot be pinned" {
	local one plain=$BATS_TEST_TMPDIR/plain
	requires root
	new_map one "$(unique)"
	mkdir "$plain" "$BPFFS/sub"
	refused "pin '$plain/map': not on a bpffs" map "$one" "$plain/map"
	refused "pin '$BPFFS/no/map': No such file or directory (directory '$BPFFS/no')" \
		map "$one" "$BPFFS/no/map"
	refused "pin '$BPFFS/one/map': Not a directory (directory '$BPFFS/one')" \
		map "$one" "$BPFFS/one/map"
	refused "pin '$BPFFS/': Is a directory" map "$one" "$BPFFS/"
	refused "pin '$BPFFS/a.b': bpffs allows no dot in a name" map "$one" "$BPFFS/a.b"
	refused "pin '$BPFFS/one': File exists" map "$one" "$BPFFS/one"
	refused "pin '$BPFFS/sub': File exists" map "$one" "$BPFFS/sub"
	refused "pin '$BPFFS/sub': Is a directory" -r map "$one" "$BPFFS/sub"
	pins_are "$BPFFS" one sub
	pins_are "$plain"
}

@test "map-pin: a directory that is made goes again when pinning fails" {
	requires root cmd:strace
	load_prog detect_ping
	# The second pin fails.
	run -1 --separate-stderr strace -qq -o /dev/null -e trace=fchmodat \
		-e inject=fchmodat:error=EIO:when=2 map-pin -m 640 prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	[[ $stderr =~ ^"map-pin: pin '$BPFFS/dir/"[a-z_0-9]+"': Input/output error (set its mode)"$ ]]
	[ ! -e "$BPFFS/dir" ]

	# One that was there stays, and is as it was.
	mkdir "$BPFFS/dir"
	ln -s nowhere "$BPFFS/dir/kept"
	run -1 strace -qq -o /dev/null -e trace=fchmodat -e inject=fchmodat:error=EIO:when=2 \
		map-pin -m 640 prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	pins_are "$BPFFS/dir" kept
}

@test "map-pin: a DIR that is not on bpffs is refused, and nothing is mounted over it" {
	local plain=$BATS_TEST_TMPDIR/plain id mounts=$BATS_TEST_TMPDIR/mounts
	requires root
	load_prog detect_ping
	mkdir "$plain"
	touch "$plain/file"
	# In a mount namespace of its own, where only the command can have mounted something.
	watch_mounts() {
		unshare --mount bash -c 'cat /proc/self/mounts >"$0.before"; "$@"; status=$?
			cat /proc/self/mounts >"$0.after"; exit $status' "$mounts" "$@"
	}
	fails 1 "map-pin: pin in '$plain': not on a bpffs" \
		watch_mounts map-pin prog "$BPFFS/detect_ping_prog" "$plain"
	cmp "$mounts.before" "$mounts.after"
	fails 1 "map-pin: make directory '$plain/new': not on a bpffs" \
		watch_mounts map-pin prog "$BPFFS/detect_ping_prog" "$plain/new"
	cmp "$mounts.before" "$mounts.after"
	pins_are "$plain" file

	# What bpftool does: the directory's own files are gone from sight.
	id=$(field prog "$BPFFS/detect_ping_prog" map_ids | head -n 1)
	run -0 watch_mounts bpftool map pin id "$id" "$plain/map"
	run -1 cmp -s "$mounts.before" "$mounts.after"
	grep -q " $plain bpf " "$mounts.after"
}

@test "map-pin: a DIR that cannot be one" {
	local prog=$BPFFS/detect_ping_prog
	requires root
	load_prog detect_ping
	touch "$BATS_TEST_TMPDIR/file"
	refused "make directory '$BPFFS/no/dir': No such file or directory (directory '$BPFFS/no')" \
		prog "$prog" "$BPFFS/no/dir"
	refused "pin in '$BATS_TEST_TMPDIR/file': Not a directory (directory '$BATS_TEST_TMPDIR/file')" \
		prog "$prog" "$BATS_TEST_TMPDIR/file"
	refused "pin in '$prog': Not a directory (directory '$prog')" prog "$prog" "$prog"
	refused "make directory '$BPFFS/a.b': bpffs allows no dot in a name" prog "$prog" "$BPFFS/a.b"
	refused "make directory '': not on a bpffs" prog "$prog" ""
	pins_are "$BPFFS" detect_ping_prog
}

@test "map-pin: --mode and --owner are on the pins" {
	local text expected uid gid
	requires root
	load_prog detect_ping
	# check EXPECTED OPTION...: MODE:UID:GID of each pin.
	check() {
		local expected=$1 pin
		shift
		silent "$@" prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
		for pin in "$BPFFS"/dir/*; do
			[ "$(stat -c %a:%u:%g "$pin")" = "$expected" ] || {
				echo "$*: expected $expected, is $(stat -c %a:%u:%g "$pin")" >&2
				return 1
			}
		done
		rm "$BPFFS"/dir/*
		rmdir "$BPFFS/dir"
	}
	uid=$(id -u daemon)
	gid=$(getent group tty | cut -d: -f3)
	check 600:0:0
	check 0:0:0 --mode 0
	check 660:0:0 -m 660
	check 777:0:0 --mode=0777
	check 4:0:0 -m 4
	check "600:$uid:0" --owner daemon
	check "600:$uid:$gid" --owner=daemon:tty
	check 600:65534:0 -o 65534
	check 600:65534:65533 -o 65534:65533
	check 600:0:"$gid" -o 0:tty
	check "640:$uid:$gid" -m 640 -o daemon:tty
	# Whatever the umask.
	umask 077
	check 666:0:0 -m 666
	umask 0
	check 600:0:0
}

@test "map-pin map: --mode and --owner are on the pin" {
	local one
	requires root
	new_map one "$(unique)"
	silent -m 440 -o 65534:65533 map "$one" "$BPFFS/pin"
	[ "$(stat -c %a:%u:%g "$BPFFS/pin")" = 440:65534:65533 ]
	silent -r -m 600 map "$one" "$BPFFS/pin"
	[ "$(stat -c %a:%u:%g "$BPFFS/pin")" = 600:0:0 ]
}

@test "map-pin: a plain user can use the pin that is theirs, and not root's" {
	requires root unprivileged-map-access
	load_prog detect_ping
	silent -o 65534:65534 prog "$BPFFS/detect_ping_prog" "$BPFFS/theirs"
	silent prog "$BPFFS/detect_ping_prog" "$BPFFS/ours"
	as_user bpftool map update pinned "$BPFFS/theirs/ping_hash" key 10 9 0 1 value 0 0 0 0
	bpftool map lookup pinned "$BPFFS/ours/ping_hash" key 10 9 0 1
	run ! as_user bpftool map update pinned "$BPFFS/ours/ping_hash" key 10 9 0 2 value 0 0 0 0
	[[ $output == *"Permission denied"* ]]
	# By group, too.
	silent -m 660 -o 0:65534 prog "$BPFFS/detect_ping_prog" "$BPFFS/group"
	as_user bpftool map update pinned "$BPFFS/group/ping_hash" key 10 9 0 3 value 0 0 0 0
	bpftool map lookup pinned "$BPFFS/ours/ping_hash" key 10 9 0 3
	run ! bpftool map lookup pinned "$BPFFS/ours/ping_hash" key 10 9 0 2
}

@test "map-pin: without --replace a name that is taken is an error, and no other map appears" {
	local dir=$BPFFS/dir taken option
	requires root
	load_prog detect_ping
	mkdir "$dir"
	for taken in "${PROG_MAPS[@]}"; do
		bpftool map create "$dir/$taken" type hash key 4 value 4 entries 1 name other
		for option in "" "-m 640" "-o 0:0"; do
			# shellcheck disable=SC2086 # an option and its argument
			refused "pin '$dir/$taken': File exists" $option prog "$BPFFS/detect_ping_prog" "$dir"
			pins_are "$dir" "$taken"
			[ "$(field map "$dir/$taken" name)" = other ]
		done
		rm "$dir/$taken"
	done
}

@test "map-pin: --replace takes over what is there, whatever it is a pin of" {
	local dir=$BPFFS/dir
	requires root
	load_prog detect_ping
	mkdir "$dir"
	bpftool map create "$dir/ringbuf" type hash key 4 value 4 entries 1 name other
	bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$dir/ping_hash"
	silent --replace -m 640 prog "$BPFFS/detect_ping_prog" "$dir"
	pins_are "$dir" "${PROG_MAPS[@]}"
	same_maps "$BPFFS/detect_ping_prog" "$dir"
	[ "$(stat -c %a "$dir"/* | sort -u)" = 640 ]
	# Once more: the same again.
	silent -r prog "$BPFFS/detect_ping_prog" "$dir"
	same_maps "$BPFFS/detect_ping_prog" "$dir"
	[ "$(stat -c %a "$dir"/* | sort -u)" = 600 ]
	# And into a directory that is not there yet.
	silent -r prog "$BPFFS/detect_ping_prog" "$BPFFS/new"
	same_maps "$BPFFS/detect_ping_prog" "$BPFFS/new"
}

@test "map-pin: --replace is atomic: who opens the pin always finds one map or the other" {
	local one two
	requires root
	new_map one "$(unique)"
	new_map two "$(unique)"
	silent -m 640 -o 65534 map "$one" "$BPFFS/pin"
	cat >"$BATS_TEST_TMPDIR/opens.py" <<-'PY'
		import ctypes, os, signal, struct, sys
		bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
		path, ids = sys.argv[1], {int(i) for i in sys.argv[2:]}
		seen, opens, stop = set(), 0, []
		signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
		print("ready", flush=True)
		while not stop:
		    st = os.stat(path)
		    if st.st_mode & 0o7777 != 0o640 or st.st_uid != 65534:
		        sys.exit(f"mode {st.st_mode:o}, owner {st.st_uid}")
		    fd = bpf.bpf_obj_get(path.encode())
		    if fd < 0:
		        sys.exit("open: " + os.strerror(ctypes.get_errno()))
		    info, size = (ctypes.c_char * 256)(), ctypes.c_uint32(256)
		    if bpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size)):
		        sys.exit("info: " + os.strerror(ctypes.get_errno()))
		    seen.add(struct.unpack_from("=II", info.raw)[1])
		    os.close(fd)
		    opens += 1
		if seen != ids:
		    sys.exit(f"saw the maps {seen}, not {ids}")
		print("opens", opens)
	PY
	start /usr/bin/python3 "$BATS_TEST_TMPDIR/opens.py" "$BPFFS/pin" "$one" "$two"
	poll 10 grep -q ready "$OUT"
	for _ in $(seq 40); do
		map-pin -r -m 640 -o 65534 map "$two" "$BPFFS/pin"
		map-pin -r -m 640 -o 65534 map "$one" "$BPFFS/pin"
	done
	kill "$PID"
	wait "$PID" || {
		cat "$OUT.err" >&2
		return 1
	}
	[ "$(awk '/opens/ { print $2 }' "$OUT")" -gt 80 ]
	pins_are "$BPFFS" one two pin
}

# fails_over_pins INJECTION: with it, "$prog" is not pinned over what is in "$dir",
# and that is left as it was.
fails_over_pins() {
	local before name
	for name in ping_hash ringbuf; do
		bpftool map create "$dir/$name" type hash key 4 value 4 entries 1 name "old_$name"
	done
	before=$(stat -c '%n %i %a' "$dir"/*)
	run -1 --separate-stderr strace -qq -o /dev/null -e "trace=${1%%:*}" -e "inject=$1" \
		map-pin -r -m 640 -o 65534 prog "$prog" "$dir"
	[[ $stderr == "map-pin: pin '$dir/"* ]] || {
		echo "$1: $stderr" >&2
		return 1
	}
	[ "$(stat -c '%n %i %a' "$dir"/*)" = "$before" ]
	[ "$(field map "$dir/ringbuf" name)" = old_ringbuf ]
	rm "$dir"/*
}

@test "map-pin: a step that fails after some pins were replaced is undone" {
	local dir=$BPFFS/dir prog=$BPFFS/detect_ping_prog
	requires root cmd:strace bpffs-exchange
	load_prog detect_ping
	mkdir "$dir"
	fails_over_pins renameat2:error=EIO:when=3
	fails_over_pins renameat2:error=EIO:when=5
}

@test "map-pin: a step that fails half-way is undone" {
	local dir=$BPFFS/dir prog=$BPFFS/detect_ping_prog
	requires root cmd:strace
	load_prog detect_ping

	# Nobody's rights suffice to give a pin away.
	run -1 --separate-stderr setpriv --bounding-set=-chown --inh-caps=-chown \
		map-pin -o 65534 prog "$prog" "$dir"
	[[ $stderr =~ ^"map-pin: pin '$dir/"[a-z_0-9]+"': Operation not permitted (set its owner: needs CAP_CHOWN)"$ ]]
	[ -z "$output" ]
	[ ! -e "$dir" ]

	# The same, half-way, over pins that are there.
	mkdir "$dir"
	fails_over_pins fchownat:error=EPERM:when=3
	fails_over_pins bpf:error=ENOSPC:when=14

	# A directory in the way of the last one.
	mkdir "$dir/ringbuf"
	refused "pin '$dir/ringbuf': Is a directory" -r prog "$prog" "$dir"
	refused "pin '$dir/ringbuf': File exists" prog "$prog" "$dir"
	pins_are "$dir" ringbuf
}

@test "map-pin: --json and --pretty say what was pinned" {
	local option ids
	requires root
	load_prog detect_ping
	ids=$(field prog "$BPFFS/detect_ping_prog" map_ids)
	for option in -j --json -p --pretty; do
		run -0 --separate-stderr map-pin -r $option prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
		[ -z "$stderr" ]
		/usr/bin/python3 - "$output" "$ids" "$BPFFS/dir" "${PROG_MAPS[@]}" <<-'PY'
			import json, sys
			out, ids, dir, *names = sys.argv[1:]
			pinned = json.loads(out)
			assert sorted(o["id"] for o in pinned) == sorted(map(int, ids.split())), pinned
			assert sorted(o["name"].replace(".", "_") for o in pinned) == sorted(names), pinned
			for o in pinned:
			    assert list(o) == ["id", "name", "pinned"], o
			    assert o["pinned"] == f"{dir}/{o['name'].replace('.', '_')}", o
		PY
		case $option in
		-j | --json) [ "${#lines[@]}" -eq 1 ] ;;
		*) [ "${#lines[@]}" -gt 12 ] ;;
		esac
	done
	run -0 map-pin -j map "$(field map "$BPFFS/dir/ringbuf" id)" "$BPFFS/one"
	[ "$output" = "[{\"id\":$(field map "$BPFFS/one" id),\"name\":\"ringbuf\",\"pinned\":\"$BPFFS/one\"}]" ]
	# A name that is no UTF-8, which JSON has to be.
	run -0 --separate-stderr map-pin -j map "$(field map "$BPFFS/one" id)" "$BPFFS/"$'x\xff'
	[[ $output == *$'/x\xef\xbf\xbd"}]' ]]
	# Nothing is said of what failed.
	refused "pin '$BPFFS/one': File exists" -j map "$(field map "$BPFFS/one" id)" "$BPFFS/one"
}

@test "map-pin: --verbose says what was pinned" {
	local one
	requires root
	new_map one "$(unique)"
	run -0 map-pin -v map "$one" "$BPFFS/pin"
	[ "$output" = "map $one pinned at '$BPFFS/pin'" ]
	run -0 map-pin --verbose -r map "$one" "$BPFFS/pin"
	[ "$output" = "map $one pinned at '$BPFFS/pin'" ]
}

# A stdout that fails, for the tool alone.
to_full() { "$@" >/dev/full; }
to_closed() { "$@" >&-; }

@test "map-pin: where it cannot say what was pinned, nothing is" {
	local full="map-pin: write to standard output: No space left on device"
	local closed="map-pin: write to standard output: Bad file descriptor"
	local one
	requires root
	load_prog detect_ping
	new_map one "$(unique)"
	fails 1 "$full" to_full map-pin -j map "$one" "$BPFFS/pin"
	fails 1 "$closed" to_closed map-pin -v map "$one" "$BPFFS/pin"
	fails 1 "$full" to_full map-pin -m 640 -v prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	fails 1 "$closed" to_closed map-pin -p prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	pins_are "$BPFFS" detect_ping_prog one
	# Without a word to say, nothing is wrong.
	fails 0 "" to_closed map-pin map "$one" "$BPFFS/pin"
	fails 0 "" to_full map-pin prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	same_maps "$BPFFS/detect_ping_prog" "$BPFFS/dir"
}

@test "map-pin: the same over pins: those of before stay" {
	local before option
	requires root bpffs-exchange
	load_prog detect_ping
	silent prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	before=$(stat -c '%n %i %a' "$BPFFS"/dir/*)
	for option in -j -v; do
		fails 1 "map-pin: write to standard output: No space left on device" \
			to_full map-pin -r -m 640 $option prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
		[ "$(stat -c '%n %i %a' "$BPFFS"/dir/*)" = "$before" ]
	done
}

@test "map-pin: a plain user is told what is missing" {
	local one name
	requires root
	load_prog detect_ping
	netns ns
	name=$(unique)
	new_map one "$name"
	chmod 777 "$BPFFS"
	attach_xdp xdpgeneric "$BPFFS/detect_ping_prog" "$ns"
	user() {
		local text=$1
		shift
		fails 1 "map-pin: $text" as_user map-pin "$@"
	}
	local denied="Permission denied"
	unprivileged_map_access ||
		denied="Operation not permitted (needs CAP_BPF: see kernel.unprivileged_bpf_disabled)"
	user "open program '$BPFFS/detect_ping_prog': $denied" \
		prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	user "open program 4294967295: Operation not permitted (an id needs CAP_SYS_ADMIN)" \
		prog 4294967295 "$BPFFS/dir"
	user "open map $one: Operation not permitted (an id needs CAP_SYS_ADMIN)" \
		map "$one" "$BPFFS/pin"
	user "find map '$name': Operation not permitted (a name needs CAP_SYS_ADMIN)" \
		map "$name" "$BPFFS/pin"
	user "enter network namespace '$ns': Operation not permitted (needs CAP_SYS_ADMIN)" -n "$ns" dev lo "$BPFFS/dir"
	run -1 --separate-stderr in_ns "$ns" "${PLAIN[@]}" map-pin dev lo "$BPFFS/dir"
	[ "$stderr" = "map-pin: open program $(field prog "$BPFFS/detect_ping_prog" id): Operation not permitted (an id needs CAP_SYS_ADMIN)" ]
	[ ! -e "$BPFFS/dir" ]
	[ ! -e "$BPFFS/pin" ]
}

@test "map-pin: what vanished, before and in between" {
	local id one name
	requires root cmd:strace
	load_prog detect_ping
	id=$(field prog "$BPFFS/detect_ping_prog" id)
	rm "$BPFFS/detect_ping_prog"
	prog_gone() {
		! bpftool prog show id "$id"
	}
	poll 5 prog_gone
	refused "open program $id: No such file or directory" prog "$id" "$BPFFS/dir"

	# Between being listed and being opened, by strace's hand: of a program's maps …
	load_prog detect_ping
	run -1 --separate-stderr strace -qq -o /dev/null -e trace=bpf -e inject=bpf:error=ENOENT:when=6 \
		map-pin prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	[[ $stderr =~ ^"map-pin: open map "[0-9]+": No such file or directory"$ ]]
	[ ! -e "$BPFFS/dir" ]
	# … and of all maps, where another one is passed over.
	name=$(unique)
	new_map other "$(unique)"
	new_map one "$name"
	run -0 strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf -e inject=bpf:error=ENOENT:when=2 \
		map-pin map "$name" "$BPFFS/pin"
	grep -q 'BPF_MAP_GET_FD_BY_ID.*INJECTED' "$BATS_TEST_TMPDIR/log"
	[ "$(field map "$BPFFS/pin" id)" = "$one" ]
	# The pin's directory goes while it runs.
	refused "pin '$BPFFS/dir/pin': No such file or directory (directory '$BPFFS/dir')" \
		map "$one" "$BPFFS/dir/pin"
}

# The modes of the pins in DIR, each once.
modes() {
	stat -c %a "$BPFFS"/dir/* | sort -u
}

# settled_new: all maps are pinned, or none; then none again.
settled_new() {
	without_leftovers map-pin "$BPFFS"
	if [ -e "$BPFFS/dir" ]; then
		pins_are "$BPFFS/dir" "${PROG_MAPS[@]}" && [ "$(modes)" = 640 ] || return 1
		AFTER=$((AFTER + 1))
		rm -r "$BPFFS/dir"
	else
		BEFORE=$((BEFORE + 1))
	fi
}

# settled_over: each pin is that of before, or that of after; then those of before again.
settled_over() {
	without_leftovers map-pin "$BPFFS/dir"
	pins_are "$BPFFS/dir" "${PROG_MAPS[@]}" || return 1
	case $(modes) in
	600)
		BEFORE=$((BEFORE + 1))
		return
		;;
	640) AFTER=$((AFTER + 1)) ;;
	600?640) MIXED=$((MIXED + 1)) ;;
	*) return 1 ;;
	esac
	# The same once more does the rest.
	map-pin -r -m 640 prog "$BPFFS/prog" "$BPFFS/dir"
	[ "$(modes)" = 640 ]
	map-pin -r prog "$BPFFS/prog" "$BPFFS/dir"
}

@test "map-pin: kill -9 on any system call: a new directory has all pins, or is not there" {
	local BEFORE=0 AFTER=0
	requires root cmd:strace
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog"
	kill_at_each settled_new map-pin -m 640 prog "$BPFFS/prog" "$BPFFS/dir"
	echo "killed $KILLS times: $BEFORE with nothing pinned, $AFTER with all"
	[ "$BEFORE" -ge "$(kills 10)" ]
	[ "$AFTER" -ge 1 ]
	pins_are "$BPFFS" prog
}

@test "map-pin: kill -9 on any system call, over pins: each is the old or the new one, and -r does the rest" {
	local BEFORE=0 AFTER=0 MIXED=0
	requires root cmd:strace
	bpftool prog load "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog"
	map-pin prog "$BPFFS/prog" "$BPFFS/dir"
	kill_at_each settled_over map-pin -r -m 640 prog "$BPFFS/prog" "$BPFFS/dir"
	echo "killed $KILLS times: $BEFORE with the pins of before, $MIXED with some of each, $AFTER with those of after"
	[ "$BEFORE" -ge "$(kills 10)" ]
	[ "$MIXED" -ge 1 ]
	[ "$AFTER" -ge 1 ]
	pins_are "$BPFFS" dir prog
}

@test "map-pin: SIGHUP, SIGTERM, SIGPIPE on any of its renames: all or none, and nothing is left" {
	local signal n
	requires root cmd:strace
	load_prog detect_ping
	mkdir "$BPFFS/dir"
	for signal in HUP TERM PIPE; do
		for n in 1 2 3 4; do
			start_stopped renameat2 "$n" map-pin prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
			kill -s "$signal" "$PID"
			goes_on $((128 + $(kill -l "$signal")))
			pins_are "$BPFFS/dir" "${PROG_MAPS[@]}"
			rm "$BPFFS"/dir/*
		done
	done
}

@test "map-pin: it is one process, and sends no signals" {
	requires root cmd:strace
	load_prog detect_ping
	run -0 strace -f -qq -o "$BATS_TEST_TMPDIR/log" -e trace=clone,clone3,fork,vfork,kill \
		map-pin -m 640 prog "$BPFFS/detect_ping_prog" "$BPFFS/dir"
	[ ! -s "$BATS_TEST_TMPDIR/log" ]
}

@test "map-pin: the owner of the directory, who plants links at each system call, gets nothing of root's" {
	requires root cmd:strace
	load_prog detect_ping
	plant_at_each ping_hash map-pin -r -m 640 -o 65534 prog "$BPFFS/detect_ping_prog" "$BPFFS/theirs"
	echo "planted $PLANTED times"
	[ "$PLANTED" -ge 30 ]
}

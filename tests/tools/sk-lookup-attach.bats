#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# sk-lookup-attach: attach, swap, refuse. The machine's own network namespace is
# never attached to: each test makes its own.
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load ../lib/helpers
ns='' other='' # by netns()

# Two sk_lookup programs that share their maps: $BPFFS/one and $BPFFS/two.
two_programs() {
	load_prog echo_dispatch
	mv "$BPFFS/echo_dispatch_prog" "$BPFFS/one"
	pin_map echo_ports "$BPFFS/one"
	pin_map echo_socket "$BPFFS/one"
	bpftool prog load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/two" \
		map name echo_ports pinned "$BPFFS/echo_ports" \
		map name echo_socket pinned "$BPFFS/echo_socket"
}

prog_id() {
	bpftool prog show pinned "$1" | sed -n '1s/:.*//p'
}

# links NETNS ID...: just these programs are attached to it, says the kernel.
links() {
	local ino got
	ino=$(stat -L -c %i "/run/netns/$1") || return 1
	shift
	got=$(bpftool -j link show | /usr/bin/python3 -c '
import json, sys
print(*sorted(l["prog_id"] for l in json.load(sys.stdin)
              if l.get("netns_ino") == int(sys.argv[1]) and l["attach_type"] == "sk_lookup"))' "$ino") || return 1
	[ "$got" = "$*" ] || {
		echo "attached: $got, expected: $*" >&2
		return 1
	}
}

@test "upstream's command attaches to the network namespace that it runs in" {
	netns ns
	load_prog echo_dispatch

	fails 0 "" in_ns "$ns" sk-lookup-attach "$BPFFS/echo_dispatch_prog" "$BPFFS/echo_dispatch_link"
	# bpftool 7.5 (Debian 13) shows the link, and then reports failure.
	run bpftool link show pinned "$BPFFS/echo_dispatch_link"
	[[ ${lines[0]} =~ ^[0-9]+:\ netns\ \ prog\ $(prog_id "$BPFFS/echo_dispatch_prog")\ *$ ]]
	[[ ${lines[1]} =~ netns_ino\ $(stat -L -c %i "/run/netns/$ns")\ +attach_type\ sk_lookup ]]
}

@test "--verbose that cannot be written: closed, nothing is attached; full, the error says what is" {
	local text
	netns ns
	load_prog echo_dispatch
	text="sk-lookup-attach: write to standard output"
	fails 1 "$text: Bad file descriptor" \
		to_closed sk-lookup-attach -v -n "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	links "$ns"
	text+=": No space left on device (but it is done: attached program"
	text+=" $(prog_id "$BPFFS/echo_dispatch_prog") to network namespace"
	text+=" net:[$(stat -L -c %i "/run/netns/$ns")] by link '$BPFFS/link')"
	fails 1 "$text" to_full sk-lookup-attach -v -n "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	links "$ns" "$(prog_id "$BPFFS/echo_dispatch_prog")"
}

@test "--netns by name, PID and path" {
	netns ns
	load_prog echo_dispatch
	local id
	id=$(prog_id "$BPFFS/echo_dispatch_prog")
	start_in "$ns" sleep 60
	poll 5 in_that_netns "$PID"

	for which in "$ns" "$PID" "/run/netns/$ns" "/proc/$PID/ns/net"; do
		silent --netns "$which" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
		links "$ns" "$id"
		rm "$BPFFS/link"
		poll 5 links "$ns"
	done
	silent -n"$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	links "$ns" "$id"
}

in_that_netns() {
	[ "$(stat -L -c %i "/proc/$1/ns/net")" = "$(stat -L -c %i "/run/netns/$ns")" ]
}

@test "relative paths, and options behind the arguments" {
	netns ns
	load_prog echo_dispatch
	cd "$BPFFS"

	silent echo_dispatch_prog link --netns="$ns"
	links "$ns" "$(prog_id echo_dispatch_prog)"
	cd /
}

@test "--verbose says what was attached where" {
	netns ns
	two_programs
	local where
	where="network namespace net:[$(stat -L -c %i "/run/netns/$ns")] by link '$BPFFS/link'"

	run -0 --separate-stderr sk-lookup-attach -v --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	[ "$output" = "attached program $(prog_id "$BPFFS/one") to $where" ]
	[ -z "$stderr" ]
	run -0 --separate-stderr sk-lookup-attach -v --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	[ "$output" = "attached program $(prog_id "$BPFFS/two") to $where" ]
	[ -z "$stderr" ]
}

@test "removing the link detaches" {
	netns ns
	load_prog echo_dispatch
	sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	links "$ns" "$(prog_id "$BPFFS/echo_dispatch_prog")"
	rm "$BPFFS/link"
	poll 5 links "$ns"
	# And it can be attached again.
	silent --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
}

# bats test_tags=kernel-free
@test "wrong arguments" {
	misuse "PROG and LINK are missing"
	misuse "LINK is missing" prog
	misuse "too many arguments: 'more'" prog link more
	misuse "--expect can only be used with --replace" --expect 1 prog link
	misuse "--expect is empty" --replace --expect "" prog link
	misuse "--netns is empty" --netns= prog link
	misuse "option '--netns' requires an argument" prog link --netns
	misuse "option '--replace' doesn't allow an argument" --replace=1 prog link
	misuse "unrecognized option '--bogus'" --bogus prog link
	misuse "invalid option -- 'x'" -x prog link
	misuse "invalid option -- 'e'" -r -e 1 prog link
}

# bats test_tags=kernel-free
@test "wrong arguments of --show" {
	misuse "--show takes no PROG and LINK" --show prog
	misuse "--show and --replace cannot be used together" --show --replace
	misuse "--json and --pretty can only be used with --show" --json prog link
	misuse "--json and --pretty can only be used with --show" --pretty --replace prog link
}

# shown NETNS PROG:LINK:PIN,PIN...: --show prints just that, in this order, as text and as JSON.
shown() {
	local ns=$1 expected='' entry prog link pins number=0 name
	shift
	for entry in "$@"; do
		IFS=: read -r prog link pins <<<"$entry"
		name=$(bpftool -j prog show pinned "$prog" | jq -r .name)
		expected+="$((++number)): program $(prog_id "$prog") $name, link $(bpftool -j link show pinned "$link" | jq .id)"
		[ -z "$pins" ] || expected+=", pinned ${pins//,/ }"
		expected+=$'\n'
	done
	says "${expected%$'\n'}" --show --netns "$ns"
	call sk-lookup-attach --show --netns "$ns" --json
	[ "$(jq -r 'to_entries[] | "\(.key + 1): program \(.value.prog_id) \(.value.prog_name), link \(.value.link_id)" +
		if .value.pinned == [] then "" else ", pinned " + (.value.pinned | join(" ")) end' <<<"$output")" = "${expected%$'\n'}" ]
}

@test "--show: the programs of a namespace in the order in which they run, their links and pins" {
	netns ns
	netns other
	two_programs
	says "" --show --netns "$ns"
	says "[]" --show --json --netns "$ns"
	sk-lookup-attach --netns "$other" "$BPFFS/one" "$BPFFS/elsewhere"
	says "" --show --netns "$ns"

	mkdir "$BPFFS/a b"
	sk-lookup-attach --netns "$ns" "$BPFFS/two" "$BPFFS/z"
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/a b/link"
	shown "$ns" "$BPFFS/two:$BPFFS/z:$BPFFS/z" "$BPFFS/one:$BPFFS/a b/link:$BPFFS/a b/link"
	shown "$other" "$BPFFS/one:$BPFFS/elsewhere:$BPFFS/elsewhere"
	bpftool link pin id "$(bpftool -j link show pinned "$BPFFS/z" | jq .id)" "$BPFFS/b"
	shown "$ns" "$BPFFS/two:$BPFFS/z:$BPFFS/b,$BPFFS/z" "$BPFFS/one:$BPFFS/a b/link:$BPFFS/a b/link"
	# A replaced program keeps the place of its link.
	load_prog echo_dispatch
	sk-lookup-attach --replace --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/z"
	shown "$ns" "$BPFFS/echo_dispatch_prog:$BPFFS/z:$BPFFS/b,$BPFFS/z" "$BPFFS/one:$BPFFS/a b/link:$BPFFS/a b/link"
	# An unpinned link, which a process holds, is shown, too.
	/usr/bin/python3 -c 'import ctypes, sys, time
bpf = ctypes.CDLL("libbpf.so.1")
assert bpf.bpf_obj_get(sys.argv[1].encode()) > 0
print("ready", flush=True)
time.sleep(60)' "$BPFFS/z" >"$BATS_TEST_TMPDIR/held" 3>&- &
	STARTED+=($!)
	poll 5 grep -qx ready "$BATS_TEST_TMPDIR/held"
	local id
	id=$(bpftool -j link show pinned "$BPFFS/z" | jq .id)
	rm "$BPFFS/z" "$BPFFS/b"
	call sk-lookup-attach --show --netns "$ns"
	[ "${output%%$'\n'*}" = "1: program $(prog_id "$BPFFS/echo_dispatch_prog") echo_dispatch, link $id" ]
}

@test "of two programs that select a socket, the one that --show prints first has its way" {
	local name
	netns ns
	for name in one two; do
		prog-load --maps "$BPFFS/${name}_maps" "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/$name"
		map-edit "$BPFFS/${name}_maps/echo_ports" add 7
		serve "$ns" "$name" tcp:127.0.0.1:0
		sockmap-update --netns "$ns" "$PID" 3 "$BPFFS/${name}_maps/echo_socket"
		sk-lookup-attach --netns "$ns" "$BPFFS/$name" "$BPFFS/${name}_link"
	done
	shown "$ns" "$BPFFS/one:$BPFFS/one_link:$BPFFS/one_link" "$BPFFS/two:$BPFFS/two_link:$BPFFS/two_link"
	answers "one hello|7" "$ns" tcp 127.0.0.1 7
	# Without a socket of its own, the first one drops, and the other one's choice counts.
	sockmap-update --delete "$BPFFS/one_maps/echo_socket"
	answers "two hello|7" "$ns" tcp 127.0.0.1 7
	sockmap-update --delete "$BPFFS/two_maps/echo_socket"
	answers refused "$ns" tcp 127.0.0.1 7
}

@test "PROG is not an sk_lookup program" {
	netns ns
	load_prog echo_dispatch
	load_prog xdp_pass
	pin_map echo_ports "$BPFFS/echo_dispatch_prog"
	sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/other"
	local file=$BATS_TEST_TMPDIR/file
	touch "$file"
	mkdir "$BPFFS/dir"

	fails 1 "sk-lookup-attach: open program '$BPFFS/xdp_pass_prog': its type is xdp, not sk_lookup" \
		sk-lookup-attach --netns "$ns" "$BPFFS/xdp_pass_prog" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$BPFFS/echo_ports': not a program" \
		sk-lookup-attach --netns "$ns" "$BPFFS/echo_ports" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$BPFFS/other': not a program" \
		sk-lookup-attach --netns "$ns" "$BPFFS/other" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$BPFFS/none': No such file or directory" \
		sk-lookup-attach --netns "$ns" "$BPFFS/none" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$BPFFS/dir': Is a directory" \
		sk-lookup-attach --netns "$ns" "$BPFFS/dir" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$file': not on a bpffs" \
		sk-lookup-attach --netns "$ns" "$file" "$BPFFS/link"
	[ ! -e "$BPFFS/link" ]
}

@test "--netns that is gone, or not one" {
	load_prog echo_dispatch
	local gone which

	sh -c : & gone=$!
	wait "$gone"
	for which in hookset-none "$gone" "/run/netns/hookset-none" "/proc/$gone/ns/net"; do
		fails 1 "sk-lookup-attach: open network namespace '$which': No such file or directory" \
			sk-lookup-attach --netns "$which" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	done
	for which in /etc/passwd /proc/self/ns/mnt; do
		fails 1 "sk-lookup-attach: open network namespace '$which': not a network namespace" \
			sk-lookup-attach --netns "$which" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	done
	[ ! -e "$BPFFS/link" ]
}

@test "LINK cannot be pinned: nothing is attached, mounted or replaced" {
	netns ns
	load_prog echo_dispatch
	local prog=$BPFFS/echo_dispatch_prog dir=$BATS_TEST_TMPDIR/dir
	mkdir "$dir" "$BPFFS/dir"
	bpftool map create "$BPFFS/taken" type array key 4 value 4 entries 1 name hookset_test

	fails 1 "sk-lookup-attach: pin '$BPFFS/taken': File exists" \
		sk-lookup-attach --netns "$ns" "$prog" "$BPFFS/taken"
	fails 1 "sk-lookup-attach: pin '$BPFFS/dir': File exists" \
		sk-lookup-attach --netns "$ns" "$prog" "$BPFFS/dir"
	fails 1 "sk-lookup-attach: pin '$BPFFS/dir/': Is a directory" \
		sk-lookup-attach --netns "$ns" "$prog" "$BPFFS/dir/"
	fails 1 "sk-lookup-attach: pin '$dir/link': not on a bpffs" \
		sk-lookup-attach --netns "$ns" "$prog" "$dir/link"
	fails 1 "sk-lookup-attach: pin '$BPFFS/none/link': No such file or directory (directory '$BPFFS/none')" \
		sk-lookup-attach --netns "$ns" "$prog" "$BPFFS/none/link"
	fails 1 "sk-lookup-attach: pin '$BPFFS/taken/link': Not a directory (directory '$BPFFS/taken')" \
		sk-lookup-attach --netns "$ns" "$prog" "$BPFFS/taken/link"
	fails 1 "sk-lookup-attach: pin '$BPFFS/my.link': bpffs allows no dot in a name" \
		sk-lookup-attach --netns "$ns" "$prog" "$BPFFS/my.link"
	links "$ns"
	bpftool map show pinned "$BPFFS/taken"
	[ -z "$(find "$dir" "$BPFFS/dir" -mindepth 1)" ]
	[ "$(stat -f -c %T "$dir")" = "$(stat -f -c %T "$BATS_RUN_TMPDIR")" ]
}

@test "the same program is not attached twice, another one is" {
	netns ns
	netns other
	two_programs
	local one two
	one=$(prog_id "$BPFFS/one")
	two=$(prog_id "$BPFFS/two")
	silent --netns "$ns" "$BPFFS/one" "$BPFFS/link"

	fails 1 "sk-lookup-attach: pin '$BPFFS/link': File exists" \
		sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	fails 1 "sk-lookup-attach: attach program '$BPFFS/one': program $one is already attached to this network namespace" \
		sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link2"
	links "$ns" "$one"
	[ ! -e "$BPFFS/link2" ]
	fails 0 "sk-lookup-attach: warning: another program runs before it: the first one that selects a socket decides (see --show)" \
		sk-lookup-attach --netns "$ns" "$BPFFS/two" "$BPFFS/link2"
	links "$ns" "$one" "$two"
	# In another network namespace it is not twice.
	silent --netns "$other" "$BPFFS/one" "$BPFFS/link3"
	links "$other" "$one"
}

@test "64 programs are all that a network namespace takes" {
	netns ns
	two_programs
	local i

	for ((i = 1; i < 64; i++)); do
		bpftool prog load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/p$i" \
			map name echo_ports pinned "$BPFFS/echo_ports" \
			map name echo_socket pinned "$BPFFS/echo_socket"
		sk-lookup-attach --netns "$ns" "$BPFFS/p$i" "$BPFFS/l$i"
	done
	fails 0 "sk-lookup-attach: warning: 63 other programs run before it: the first one that selects a socket decides (see --show)" \
		sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/l64"
	fails 1 "sk-lookup-attach: attach program '$BPFFS/two': Argument list too long (64 programs are already attached)" \
		sk-lookup-attach --netns "$ns" "$BPFFS/two" "$BPFFS/l65"
	[ ! -e "$BPFFS/l65" ]
}

@test "--replace swaps the program, and keeps link and pin" {
	netns ns
	two_programs
	local link
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	link=$(bpftool link show pinned "$BPFFS/link" | sed -n '1s/:.*//p')

	silent --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	links "$ns" "$(prog_id "$BPFFS/two")"
	[ "$(bpftool link show pinned "$BPFFS/link" | sed -n '1s/:.*//p')" = "$link" ]
	# By itself: nothing changes, and nothing is wrong.
	silent -r -n "$ns" "$BPFFS/two" "$BPFFS/link"
	links "$ns" "$(prog_id "$BPFFS/two")"
	fails 0 "" in_ns "$ns" sk-lookup-attach --replace "$BPFFS/one" "$BPFFS/link"
	links "$ns" "$(prog_id "$BPFFS/one")"
}

@test "--replace --expect: only what is expected is replaced" {
	netns ns
	two_programs
	local one two
	one=$(prog_id "$BPFFS/one")
	two=$(prog_id "$BPFFS/two")
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"

	fails 1 "sk-lookup-attach: replace the program of link '$BPFFS/link': it holds program $one, not $two" \
		sk-lookup-attach --replace --expect "$BPFFS/two" --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	fails 1 "sk-lookup-attach: replace the program of link '$BPFFS/link': it holds program $one, not $two" \
		sk-lookup-attach --replace --expect "$two" --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	links "$ns" "$one"
	silent --replace --expect "$BPFFS/one" --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	links "$ns" "$two"
	silent -r --expect "$two" -n "$ns" "$BPFFS/one" "$BPFFS/link"
	links "$ns" "$one"

	fails 1 "sk-lookup-attach: open program 4294967295: No such file or directory" \
		sk-lookup-attach --replace --expect 4294967295 --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$BPFFS/none': No such file or directory" \
		sk-lookup-attach --replace --expect "$BPFFS/none" --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	fails 1 "sk-lookup-attach: open program '$BPFFS/echo_ports': not a program" \
		sk-lookup-attach --replace --expect "$BPFFS/echo_ports" --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	misuse "--expect '0' is not between 1 and 4294967295" \
		--replace --expect 0 --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	misuse "--expect '4294967296' is not between 1 and 4294967295" \
		--replace --expect 4294967296 --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	links "$ns" "$one"
}

# What neither ip nor bpftool makes: a link, pinned, of an XDP program, on lo.
xdp_link='
import ctypes, sys
bpf = ctypes.CDLL("libbpf.so.1")
prog, pin = [path.encode() for path in sys.argv[1:]]
lo, xdp = 1, 37
link = bpf.bpf_link_create(bpf.bpf_obj_get(prog), lo, xdp, None)
sys.exit(link < 0 or bpf.bpf_obj_pin(link, pin) < 0)'

@test "--replace: LINK is missing, no link, or another kind of link" {
	netns ns
	netns other
	two_programs
	load_prog xdp_pass
	in_ns "$ns" /usr/bin/python3 -c "$xdp_link" "$BPFFS/xdp_pass_prog" "$BPFFS/xdp"

	fails 1 "sk-lookup-attach: open link '$BPFFS/none': No such file or directory" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/none"
	fails 1 "sk-lookup-attach: open link '$BPFFS/one': not a link" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/one"
	fails 1 "sk-lookup-attach: open link '$BPFFS/echo_ports': not a link" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/echo_ports"
	fails 1 "sk-lookup-attach: open link '$BATS_TEST_TMPDIR': not on a bpffs" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BATS_TEST_TMPDIR"
	fails 1 "sk-lookup-attach: replace the program of link '$BPFFS/xdp': not the link of an sk_lookup program" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/xdp"
	links "$ns"
	bpftool link show pinned "$BPFFS/xdp" | grep -q "prog $(prog_id "$BPFFS/xdp_pass_prog") "
}

@test "--replace: the link of another network namespace, of one that is gone, or one that was detached" {
	netns ns
	netns other
	two_programs
	local what="sk-lookup-attach: replace the program of link '$BPFFS/link'"
	sk-lookup-attach --netns "$other" "$BPFFS/one" "$BPFFS/link"

	fails 1 "$what: it is attached to another network namespace" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	links "$other" "$(prog_id "$BPFFS/one")"
	ip netns del "$other"
	unset 'NETNS[1]'
	local detached="it was detached, by 'bpftool link detach' or with its network namespace: remove the pin, and attach anew"
	poll 10 fails 1 "$what: $detached" sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	rm "$BPFFS/link"
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	bpftool link detach pinned "$BPFFS/link"
	fails 1 "$what: $detached" sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	# After it has been looked at, too.
	rm "$BPFFS/link"
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	start_stopped bpf 7 sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
	bpftool link detach pinned "$BPFFS/link"
	goes_on 1
	[ "$(<"$OUT.err")" = "$what: it was detached meanwhile" ] || {
		cat "$OUT.err"
		return 1
	}
}

@test "--replace does not make a program serve twice" {
	netns ns
	two_programs
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link1"
	sk-lookup-attach --netns "$ns" "$BPFFS/two" "$BPFFS/link2"
	local two
	two=$(prog_id "$BPFFS/two")

	fails 1 "sk-lookup-attach: replace the program of link '$BPFFS/link1': program $two is already attached to this network namespace" \
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link1"
	links "$ns" "$(prog_id "$BPFFS/one")" "$two"
}

@test "the program is swapped between two looks at it: the kernel compares, too" {
	requires cmd:strace
	netns ns
	two_programs
	bpftool prog load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/three" \
		map name echo_ports pinned "$BPFFS/echo_ports" \
		map name echo_socket pinned "$BPFFS/echo_socket"
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	local trace=$BATS_TEST_TMPDIR/trace last
	local args=(sk-lookup-attach --replace --expect "$BPFFS/one" --netns "$ns" "$BPFFS/two" "$BPFFS/link")

	# Which of its calls of bpf(2) updates the link? Stop it after the one before.
	strace -qq -o "$trace" -e trace=bpf "${args[@]}"
	last=$(grep -c . "$trace")
	tail -n 1 "$trace" | grep -q BPF_LINK_UPDATE
	sk-lookup-attach --replace --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	# It has the directory locked: the other one goes by pins in another.
	mkdir "$BPFFS/other"
	bpftool prog pin pinned "$BPFFS/three" "$BPFFS/other/three"
	bpftool link pin pinned "$BPFFS/link" "$BPFFS/other/link"
	start_stopped bpf $((last - 1)) "${args[@]}"
	sk-lookup-attach --replace --netns "$ns" "$BPFFS/other/three" "$BPFFS/other/link"
	goes_on 1
	[ "$(cat "$OUT.err")" = "sk-lookup-attach: replace the program of link '$BPFFS/link': it holds program $(prog_id "$BPFFS/three"), not $(prog_id "$BPFFS/one")" ]
	links "$ns" "$(prog_id "$BPFFS/three")"
}

@test "the link's pin goes between one step and the next: nothing stays attached" {
	requires cmd:strace
	netns ns
	load_prog echo_dispatch
	local trace=$BATS_TEST_TMPDIR/trace last
	local args=(sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/dir/link")
	mkdir "$BPFFS/dir"

	strace -qq -o "$trace" -e trace=bpf "${args[@]}"
	last=$(grep -c . "$trace")
	tail -n 1 "$trace" | grep -q BPF_OBJ_PIN
	rm "$BPFFS/dir/link"
	poll 5 links "$ns"
	start_stopped bpf $((last - 1)) "${args[@]}"
	links "$ns" "$(prog_id "$BPFFS/echo_dispatch_prog")"
	rmdir "$BPFFS/dir"
	goes_on 1
	grep -q "^sk-lookup-attach: pin '$BPFFS/dir/link': No such file or directory" "$OUT.err"
	[ "$(wc -l <"$OUT.err")" -eq 1 ]
	poll 5 links "$ns"
}

@test "--replace leaves no gap: connections during many swaps, none lost" {
	netns ns
	two_programs
	serve "$ns" echo tcp:127.0.0.1:7777
	in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/echo_socket"
	bpftool map update pinned "$BPFFS/echo_ports" key 7 0 value 0
	sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	local swaps

	start_in "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" many 20000 127.0.0.1 7
	poll 5 grep -q ready "$OUT"
	for ((swaps = 0; swaps < 50; swaps++)); do
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/two" "$BPFFS/link"
		sk-lookup-attach --replace --netns "$ns" "$BPFFS/one" "$BPFFS/link"
	done
	stop "$PID"
	cat "$OUT"
	[[ $(tail -n 1 "$OUT") =~ ^([0-9]+)\ ok$ ]]
	[ "${BASH_REMATCH[1]}" -ge 100 ]
}

@test "a plain user: no pin, no right to attach" {
	requires unprivileged-map-access
	netns ns
	two_programs
	mkdir "$BPFFS/own"
	chown 65534 "$BPFFS/own"
	sk-lookup-attach --netns "$ns" "$BPFFS/two" "$BPFFS/link"

	fails 1 "sk-lookup-attach: open program '$BPFFS/one': Permission denied" \
		in_ns "$ns" "${PLAIN[@]}" sk-lookup-attach "$BPFFS/one" "$BPFFS/own/link"
	chown 65534 "$BPFFS/one"
	fails 1 "sk-lookup-attach: query the sk_lookup programs of the network namespace: Operation not permitted (needs CAP_NET_ADMIN)" \
		in_ns "$ns" "${PLAIN[@]}" sk-lookup-attach "$BPFFS/one" "$BPFFS/own/link"
	fails 1 "sk-lookup-attach: query the sk_lookup programs of the network namespace: Operation not permitted (needs CAP_NET_ADMIN)" \
		"${PLAIN[@]}" sk-lookup-attach --netns "$ns" "$BPFFS/one" "$BPFFS/own/link"
	fails 1 "sk-lookup-attach: open link '$BPFFS/link': Permission denied" \
		in_ns "$ns" "${PLAIN[@]}" sk-lookup-attach --replace "$BPFFS/one" "$BPFFS/link"
	start_in "$ns" sleep 60
	fails 1 "sk-lookup-attach: open network namespace '$PID': Permission denied" \
		"${PLAIN[@]}" sk-lookup-attach --netns "$PID" "$BPFFS/one" "$BPFFS/own/link"
	links "$ns" "$(prog_id "$BPFFS/two")"
	[ -z "$(ls -A "$BPFFS/own")" ]
}

@test "no directory to write to: nothing stays attached" {
	netns ns
	load_prog echo_dispatch
	mkdir "$BPFFS/own"
	chmod 555 "$BPFFS/own"
	chmod 644 "$BPFFS/echo_dispatch_prog"

	# With the capabilities that attaching takes, and no others.
	fails 1 "sk-lookup-attach: pin '$BPFFS/own/link': Permission denied" \
		setpriv --bounding-set=-all,+net_admin,+bpf,+sys_admin --inh-caps=-all \
		sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/own/link"
	poll 5 links "$ns"
}

@test "SECURITY.md: a user without capabilities attaches a program whose pin is readable, and no other" {
	local mode user=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all)
	netns ns
	load_prog echo_dispatch
	for mode in 600 640 644; do
		chmod "$mode" "$BPFFS/echo_dispatch_prog"
		run in_ns "$ns" "${user[@]}" /usr/bin/python3 - "$BPFFS/echo_dispatch_prog" <<-'PY'
			import ctypes, os, sys
			RDONLY, SK_LOOKUP = 8, 36  # BPF_F_RDONLY, BPF_SK_LOOKUP
			class ObjGetOpts(ctypes.Structure):
			    _fields_ = [("size", ctypes.c_size_t), ("flags", ctypes.c_uint32)]
			libbpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
			opts = ObjGetOpts(ctypes.sizeof(ObjGetOpts), RDONLY)
			prog = libbpf.bpf_obj_get_opts(sys.argv[1].encode(), ctypes.byref(opts))
			if prog < 0:
			    sys.exit(os.strerror(ctypes.get_errno()))
			netns = os.open("/proc/self/ns/net", os.O_RDONLY)
			link = libbpf.bpf_link_create(prog, netns, SK_LOOKUP, None)
			print("attached" if link >= 0 else os.strerror(ctypes.get_errno()))
		PY
		case $mode in
		644) [ "$output" = attached ] ;;
		*) [ "$output" = "Permission denied" ] ;;
		esac
	done
}

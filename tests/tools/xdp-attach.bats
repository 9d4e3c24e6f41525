#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# xdp-attach: attach, replace, detach, refuse; beside what ip does today. Who is asked
# what is attached is `ip link`, and of links, bpftool.
# shellcheck disable=SC2154 # netns and two_hosts set the names they are given
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC2016 # what make and awk are to expand

load ../lib/helpers

setup_file() {
	object count count
	object devmap count -DSECTION='"xdp/devmap"'
	object named count -Dcount=xdp_dispatcher
}

# does TEXT ARGUMENT...: xdp-attach does it, and says so. LINK in the text is the id of
# the link that is pinned at $BPFFS/link then.
does() {
	local text=$1
	shift
	call xdp-attach "$@"
	[[ $text != *LINK* ]] || text=${text//LINK/$(link_id "$BPFFS/link")}
	if [ "$status" -ne 0 ] || [ "$output" != "$text" ] || [ -n "$stderr" ]; then
		printf 'xdp-attach %s\nexpected: "%s"\nstatus:   %s\nstdout:   "%s"\nstderr:   "%s"\n' \
			"$*" "$text" "$status" "$output" "$stderr" >&2
		return 1
	fi
}

# programs NAME...: load a program each, pinned at $BPFFS/NAME, and put its id in $NAME.
programs() {
	local name
	for name in "$@"; do
		bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/$name"
		printf -v "$name" %s "$(prog_id "$BPFFS/$name")"
	done
}

# The ids of pinned objects.
prog_id() {
	bpftool prog show pinned "$1" | sed -n '1s/:.*//p'
}

link_id() {
	# bpftool 7.5 (Debian 13) shows the link, and then reports failure.
	bpftool link show pinned "$1" | sed -n '1s/:.*//p'
}

# attached NETNS DEV: the program that is attached, says ip: "native 7", "generic 7", or nothing.
attached() {
	local said
	said=$(ip -n "$1" -o link show dev "$2") || return 1
	if [[ $said =~ \ (xdp|xdpgeneric)\ .*prog/xdp\ id\ ([0-9]+)\  ]]; then
		echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}" | sed 's/^xdp /native /; s/^xdpgeneric /generic /'
	elif [[ $said == *xdp* ]]; then
		echo "$said"
	fi
}

# has NETNS DEV WHAT: just that is attached.
has() {
	local got
	got=$(attached "$1" "$2") || return 1
	[ "$got" = "$3" ] || {
		echo "on $2: '$got', expected: '$3'" >&2
		return 1
	}
}

# bats test_tags=kernel-free
@test "xdp-attach: wrong usage" {
	misuse "DEV and PROG are missing"
	misuse "PROG is missing" lo
	misuse "DEV is missing" --detach
	misuse "too many arguments: 'more'" lo prog more
	misuse "too many arguments: 'prog'" --detach lo prog
	misuse "unknown mode 'offloaded' (expected native or generic)" --mode offloaded lo prog
	misuse "unknown mode '' (expected native or generic)" --mode= lo prog
	misuse "--mode cannot be used with --detach" --mode native --detach lo
	misuse "--force cannot be used with --detach" --force --detach lo
	misuse "--link cannot be used with --detach: to detach a link, remove its pin" --detach --link pin lo
	misuse "--expect is empty" --expect "" lo prog
	misuse "--link is empty" --link "" lo prog
	misuse "--netns is empty" --netns= lo prog
	misuse "option '--expect' requires an argument" lo prog --expect
	misuse "option '--link' requires an argument" lo prog --link
	misuse "option '--detach' doesn't allow an argument" --detach=1 lo
	misuse "unrecognized option '--bogus'" --bogus lo prog
	misuse "invalid option -- 'x'" -x lo prog
	misuse "invalid option -- 'm'" -m native lo prog
}

@test "xdp-attach: in native mode where the driver has it" {
	requires root
	two_hosts ns peer
	programs one
	does "attached program $one to 'veth0' in native mode" -n "$ns" veth0 "$BPFFS/one"
	has "$ns" veth0 "native $one"
	# It needs no pin to stay.
	rm "$BPFFS/one"
	has "$ns" veth0 "native $one"
	does "detached program $one from 'veth0' in native mode" -n "$ns" --detach veth0
	has "$ns" veth0 ""
}

@test "xdp-attach: in generic mode where the driver has no other, and says why" {
	requires root
	netns ns
	programs one
	run -0 --separate-stderr xdp-attach -n "$ns" lo "$BPFFS/one"
	[[ $output =~ ^"attached program $one to 'lo' in generic mode, not native: "[Uu]"nderlying driver does not support XDP in native mode"$ ]]
	[ -z "$stderr" ]
	has "$ns" lo "generic $one"
	does "detached program $one from 'lo' in generic mode" -n "$ns" --detach lo

	does "attached program $one to 'lo' in generic mode, by link LINK, not native: the driver has no native mode" \
		-n "$ns" --link "$BPFFS/link" lo "$BPFFS/one"
	has "$ns" lo "generic $one"
}

@test "xdp-attach: in generic mode where the driver refuses native mode, and says why" {
	requires root
	two_hosts ns peer
	programs one
	ip -n "$peer" link set dev veth0 mtu 9000
	run -0 --separate-stderr xdp-attach -n "$ns" veth0 "$BPFFS/one"
	[[ $output =~ ^"attached program $one to 'veth0' in generic mode, not native: ".*"Peer MTU is too large to set XDP"$ ]]
	has "$ns" veth0 "generic $one"
}

@test "xdp-attach: --mode forces one, or fails, and says why" {
	local mode
	requires root
	two_hosts ns peer
	programs one
	for mode in native generic; do
		does "attached program $one to 'veth0' in $mode mode" -n "$ns" --mode $mode veth0 "$BPFFS/one"
		has "$ns" veth0 "$mode $one"
		does "detached program $one from 'veth0' in $mode mode" -n "$ns" --detach veth0
		has "$ns" veth0 ""
		does "attached program $one to 'veth0' in $mode mode, by link LINK" \
			-n "$ns" --mode $mode --link "$BPFFS/link" veth0 "$BPFFS/one"
		has "$ns" veth0 "$mode $one"
		rm "$BPFFS/link"
		poll 5 has "$ns" veth0 ""
	done

	run -1 --separate-stderr xdp-attach -n "$ns" --mode native lo "$BPFFS/one"
	[[ $stderr =~ ^"xdp-attach: attach program '$BPFFS/one' to 'lo': Operation not supported ("[Uu]"nderlying driver does not support XDP in native mode)"$ ]]
	refused "attach program '$BPFFS/one' to 'lo': Operation not supported (the driver has no native mode)" \
		-n "$ns" --mode native --link "$BPFFS/link" lo "$BPFFS/one"
	ip -n "$peer" link set dev veth0 mtu 9000
	run -1 --separate-stderr xdp-attach -n "$ns" --mode native veth0 "$BPFFS/one"
	[[ $stderr =~ ^"xdp-attach: attach program '$BPFFS/one' to 'veth0': Numerical result out of range (".*"Peer MTU is too large to set XDP)"$ ]]
	refused "attach program '$BPFFS/one' to 'veth0': Numerical result out of range (its MTU, or that of its peer, is too large for native mode)" \
		-n "$ns" --mode native --link "$BPFFS/link" veth0 "$BPFFS/one"
	has "$ns" lo ""
	has "$ns" veth0 ""
	[ ! -e "$BPFFS/link" ]
}

@test "xdp-attach: a program that no mode takes" {
	requires root
	two_hosts ns peer
	bpftool prog load "$BATS_FILE_TMPDIR/devmap.o" "$BPFFS/devmap"
	refused "attach program '$BPFFS/devmap' to 'veth0': Invalid argument (BPF_XDP_DEVMAP programs can not be attached to a device)" \
		-n "$ns" veth0 "$BPFFS/devmap"
	refused "attach program '$BPFFS/devmap' to 'veth0': Invalid argument (is it a program for a devmap or cpumap, or is the device gone?)" \
		-n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/devmap"
	has "$ns" veth0 ""
	[ ! -e "$BPFFS/link" ]
}

@test "xdp-attach: --netns by name, PID and path, and by where it runs" {
	local which
	requires root
	netns ns
	programs one
	start_in "$ns" sleep 60
	poll 5 test "/proc/$PID/ns/net" -ef "/run/netns/$ns"
	for which in "$ns" "$PID" "/run/netns/$ns" "/proc/$PID/ns/net"; do
		xdp-attach --netns "$which" --link "$BPFFS/link" lo "$BPFFS/one"
		has "$ns" lo "generic $one"
		rm "$BPFFS/link"
		poll 5 has "$ns" lo ""
		xdp-attach --netns "$which" lo "$BPFFS/one"
		has "$ns" lo "generic $one"
		xdp-attach --netns "$which" --detach lo
		has "$ns" lo ""
	done
	in_ns "$ns" xdp-attach lo "$BPFFS/one"
	has "$ns" lo "generic $one"
	in_ns "$ns" xdp-attach --detach lo
	has "$ns" lo ""
}

@test "xdp-attach: no such network namespace" {
	local gone which
	requires root
	programs one
	sh -c : & gone=$!
	wait "$gone"
	for which in hookset-none "$gone" "/run/netns/hookset-none" "/proc/$gone/ns/net"; do
		refused "open network namespace '$which': No such file or directory" \
			--netns "$which" veth0 "$BPFFS/one"
	done
	for which in /etc/passwd /proc/self/ns/mnt; do
		refused "open network namespace '$which': not a network namespace" \
			--netns "$which" --detach veth0
	done
}

@test "xdp-attach: no such device, and one that goes between two steps" {
	requires root cmd:strace
	two_hosts ns peer
	programs one
	refused "find device 'nosuch0': No such device" -n "$ns" nosuch0 "$BPFFS/one"
	refused "find device '': No such device" -n "$ns" "" "$BPFFS/one"
	refused "find device 'nosuch0': No such device" -n "$ns" --detach nosuch0
	refused "find device 'longer-than-any-name-of-a-device': No such device" \
		-n "$ns" longer-than-any-name-of-a-device "$BPFFS/one"

	# Stopped when it has found the device.
	goes() {
		start_stopped recvfrom 1 nsenter --net="/run/netns/$ns" xdp-attach "$@"
		ip -n "$ns" link del "$1"
		goes_on 1
	}
	goes veth0 "$BPFFS/one"
	[ "$(cat "$OUT.err")" = "xdp-attach: attach program '$BPFFS/one' to 'veth0': No such device" ]
	ip -n "$ns" link add veth1 type veth
	goes veth1 --link "$BPFFS/link" "$BPFFS/one"
	[ "$(cat "$OUT.err")" = "xdp-attach: attach program '$BPFFS/one' to 'veth1': Invalid argument (is it a program for a devmap or cpumap, or is the device gone?)" ]
	[ ! -e "$BPFFS/link" ]
	ip -n "$ns" link add veth2 type veth
	goes veth2 --detach
	[ "$(cat "$OUT.err")" = "xdp-attach: query the XDP program of 'veth2': No such device" ]
}

@test "xdp-attach: PROG is not an XDP program" {
	local file=$BATS_TEST_TMPDIR/file
	requires root
	netns ns
	programs one
	load_prog echo_dispatch
	pin_map echo_ports "$BPFFS/echo_dispatch_prog"
	xdp-attach -n "$ns" --link "$BPFFS/other" lo "$BPFFS/one"
	touch "$file"
	mkdir "$BPFFS/dir"
	netns ns

	refused "open program '$BPFFS/echo_dispatch_prog': its type is sk_lookup, not xdp" \
		-n "$ns" lo "$BPFFS/echo_dispatch_prog"
	refused "open program '$BPFFS/echo_ports': not a program" -n "$ns" lo "$BPFFS/echo_ports"
	refused "open program '$BPFFS/other': not a program" -n "$ns" lo "$BPFFS/other"
	refused "open program '$BPFFS/none': No such file or directory" -n "$ns" lo "$BPFFS/none"
	refused "open program '$BPFFS/dir': Is a directory" -n "$ns" lo "$BPFFS/dir"
	refused "open program '$file': not on a bpffs" -n "$ns" lo "$file"
	refused "open program '$one': No such file or directory" -n "$ns" lo "$one"
	refused "open program '$BPFFS/echo_ports': not a program" \
		-n "$ns" --link "$BPFFS/link" lo "$BPFFS/echo_ports"
	has "$ns" lo ""
	[ ! -e "$BPFFS/link" ]
}

@test "xdp-attach: where a program is attached, nothing changes, and it says which" {
	local mode
	requires root
	two_hosts ns peer
	programs one two
	for mode in native generic; do
		xdp-attach -n "$ns" --mode $mode veth0 "$BPFFS/one"
		local busy="attach program '$BPFFS/two' to 'veth0': program $one (xdp_prog_simple) is attached in $mode mode"
		refused "$busy" -n "$ns" veth0 "$BPFFS/two"
		refused "$busy" -n "$ns" --mode native veth0 "$BPFFS/two"
		refused "$busy" -n "$ns" --mode generic veth0 "$BPFFS/two"
		refused "$busy" -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/two"
		has "$ns" veth0 "$mode $one"
		[ ! -e "$BPFFS/link" ]
		# The same program is no other case.
		refused "${busy/two/one}" -n "$ns" veth0 "$BPFFS/one"
		xdp-attach -n "$ns" --detach veth0
	done
}

@test "xdp-attach: where a link holds the device, nothing changes, and it says which" {
	local link busy mode
	requires root
	two_hosts ns peer
	programs one two
	# Another link with the same program, on another device.
	xdp-attach -n "$ns" --link "$BPFFS/of_lo" lo "$BPFFS/one"
	for mode in native generic; do
		xdp-attach -n "$ns" --mode $mode --link "$BPFFS/link" veth0 "$BPFFS/one"
		link=$(link_id "$BPFFS/link")
		busy="program $one (xdp_prog_simple) is attached in $mode mode by link $link"
		refused "attach program '$BPFFS/two' to 'veth0': $busy" -n "$ns" veth0 "$BPFFS/two"
		refused "attach program '$BPFFS/two' to 'veth0': $busy" \
			-n "$ns" --link "$BPFFS/second" veth0 "$BPFFS/two"
		refused "replace the XDP program of 'veth0': $busy: to replace it, give the link's pin with --link" \
			-n "$ns" --expect "$BPFFS/one" veth0 "$BPFFS/two"
		refused "replace the XDP program of 'veth0': $busy, not program $two" \
			-n "$ns" --expect "$BPFFS/two" veth0 "$BPFFS/two"
		refused "detach the XDP program of 'veth0': $busy: to detach it, remove the link's pin, which 'bpftool -f link' shows" \
			-n "$ns" --detach veth0
		refused "detach the XDP program of 'veth0': $busy: to detach it, remove the link's pin, which 'bpftool -f link' shows" \
			-n "$ns" --detach --expect "$BPFFS/one" veth0
		has "$ns" veth0 "$mode $one"
		[ ! -e "$BPFFS/second" ]
		# It does show it (and in bpftool 7.5, reports failure).
		run bpftool -f link
		[[ $output == *"$link: xdp "*"pinned $BPFFS/link"* ]]
		rm "$BPFFS/link"
		poll 5 has "$ns" veth0 ""
	done
}

@test "xdp-attach: a device of the same number in another network namespace is not mistaken" {
	local link
	requires root
	netns ns
	netns other
	programs one two
	# lo is number 1 in each.
	xdp-attach -n "$other" --link "$BPFFS/link" lo "$BPFFS/one"
	link=$(link_id "$BPFFS/link")
	local elsewhere="replace the program of link '$BPFFS/link': it is attached to another device, not to 'lo'"

	refused "$elsewhere" -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	xdp-attach -n "$ns" lo "$BPFFS/two"
	refused "$elsewhere" -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	xdp-attach -n "$ns" --expect "$BPFFS/two" lo "$BPFFS/one"
	# Both have the same program now, but only the other one by a link.
	refused "attach program '$BPFFS/two' to 'lo': program $one (xdp_prog_simple) is attached in generic mode" \
		-n "$ns" lo "$BPFFS/two"
	refused "$elsewhere" -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	refused "$elsewhere" -n "$ns" --link "$BPFFS/link" --expect "$BPFFS/one" lo "$BPFFS/two"
	has "$ns" lo "generic $one"
	has "$other" lo "generic $one"
	does "detached program $one from 'lo' in generic mode" -n "$ns" --detach lo
	# Both by a link: which one cannot be known.
	xdp-attach -n "$ns" --link "$BPFFS/link2" lo "$BPFFS/one"
	refused "attach program '$BPFFS/two' to 'lo': program $one (xdp_prog_simple) is attached in generic mode by link $link or $(link_id "$BPFFS/link2")" \
		-n "$ns" lo "$BPFFS/two"
	refused "$elsewhere" -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	has "$ns" lo "generic $one"
	has "$other" lo "generic $one"
	# With another program, it can.
	xdp-attach -n "$ns" --link "$BPFFS/link2" lo "$BPFFS/two"
	refused "attach program '$BPFFS/one' to 'lo': program $two (xdp_prog_simple) is attached in generic mode by link $(link_id "$BPFFS/link2")" \
		-n "$ns" lo "$BPFFS/one"
}

@test "xdp-attach: --expect replaces what is expected, and nothing else" {
	local mode third
	requires root
	two_hosts ns peer
	programs one two three
	for mode in native generic; do
		xdp-attach -n "$ns" --mode $mode veth0 "$BPFFS/one"
		third="program $one (xdp_prog_simple) is attached in $mode mode, not program"
		refused "replace the XDP program of 'veth0': $third $two" \
			-n "$ns" --expect "$BPFFS/two" veth0 "$BPFFS/three"
		refused "replace the XDP program of 'veth0': $third $three" \
			-n "$ns" --expect "$three" veth0 "$BPFFS/three"
		refused "detach the XDP program of 'veth0': $third $two" -n "$ns" --detach --expect "$BPFFS/two" veth0
		has "$ns" veth0 "$mode $one"

		does "attached program $two to 'veth0' in $mode mode, in place of program $one" \
			-n "$ns" --expect "$BPFFS/one" veth0 "$BPFFS/two"
		has "$ns" veth0 "$mode $two"
		does "attached program $three to 'veth0' in $mode mode, in place of program $two" \
			-n "$ns" --expect "$two" --mode $mode veth0 "$BPFFS/three"
		has "$ns" veth0 "$mode $three"
		# By itself: nothing changes, and nothing is wrong.
		does "attached program $three to 'veth0' in $mode mode, in place of program $three" \
			-n "$ns" --expect "$three" veth0 "$BPFFS/three"
		has "$ns" veth0 "$mode $three"
		does "detached program $three from 'veth0' in $mode mode" -n "$ns" --detach --expect "$three" veth0
		has "$ns" veth0 ""
	done
	refused "replace the XDP program of 'veth0': no program is attached" \
		-n "$ns" --expect "$BPFFS/one" veth0 "$BPFFS/two"
	has "$ns" veth0 ""
}

@test "xdp-attach: --expect keeps the mode" {
	requires root
	two_hosts ns peer
	programs one two
	xdp-attach -n "$ns" --mode generic veth0 "$BPFFS/one"
	refused "replace the XDP program of 'veth0': program $one (xdp_prog_simple) is attached in generic mode, and replacing it keeps the mode" \
		-n "$ns" --expect "$BPFFS/one" --mode native veth0 "$BPFFS/two"
	has "$ns" veth0 "generic $one"
	xdp-attach -n "$ns" --detach veth0
	xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	refused "replace the program of link '$BPFFS/link': program $one (xdp_prog_simple) is attached in native mode, and replacing it keeps the mode" \
		-n "$ns" --link "$BPFFS/link" --mode generic veth0 "$BPFFS/two"
	has "$ns" veth0 "native $one"
}

@test "xdp-attach: --expect of what is no program" {
	local number
	requires root
	netns ns
	programs one two
	bpftool map create "$BPFFS/map" type array key 4 value 4 entries 1 name hookset_test
	xdp-attach -n "$ns" lo "$BPFFS/one"
	refused "open program '$BPFFS/none': No such file or directory" -n "$ns" --expect "$BPFFS/none" lo "$BPFFS/two"
	refused "open program '$BPFFS/map': not a program" -n "$ns" --expect "$BPFFS/map" lo "$BPFFS/two"
	refused "open program 4294967295: No such file or directory" -n "$ns" --expect 4294967295 lo "$BPFFS/two"
	refused "open program '$BPFFS/none': No such file or directory" -n "$ns" --detach --expect "$BPFFS/none" lo
	for number in 0 4294967296; do
		misuse "--expect '$number' is not between 1 and 4294967295" -n "$ns" --expect $number lo "$BPFFS/two"
	done
	has "$ns" lo "generic $one"
}

# A standard input that is closed. The redirection is for the tool alone.
without_stdin() { "$@" <&-; }

@test "xdp-attach: --expect is heeded when the program's fd would be 0" {
	requires root
	netns ns
	programs one two
	xdp-attach -n "$ns" lo "$BPFFS/one"
	fails 1 "xdp-attach: replace the XDP program of 'lo': program $one (xdp_prog_simple) is attached in generic mode, not program $two" \
		without_stdin xdp-attach -n "$ns" --expect "$BPFFS/two" lo "$BPFFS/two"
	has "$ns" lo "generic $one"
}

# The message that sets a program, as strace has it, which may take it for no message of rtnetlink.
SETLINK='RTM_SETLINK|nlmsg_type=0x13 '

# nth_call CALL PATTERN ARGUMENT...: run xdp-attach, and put into NTH which of its CALLs was the
# last that strace shows with PATTERN in it.
nth_call() {
	local call=$1 pattern=$2
	shift 2
	strace -qq -o "$BATS_TEST_TMPDIR/trace" -e "trace=$call" xdp-attach "$@"
	NTH=$(grep "^$call(" "$BATS_TEST_TMPDIR/trace" | sed -nE "/$pattern/=" | tail -n 1)
	[ -n "$NTH" ]
	rm "$BATS_TEST_TMPDIR/trace"
}

# meanwhile CALL N COMMAND... -- ARGUMENT...: run xdp-attach, which must fail, and COMMAND when
# it has just made its Nth CALL.
meanwhile() {
	local call=$1 n=$2 command=()
	shift 2
	while [ "$1" != -- ]; do
		command+=("$1")
		shift
	done
	shift
	start_stopped "$call" "$n" xdp-attach "$@"
	"${command[@]}"
	goes_on 1
	[ "$(wc -l <"$OUT.err")" -eq 1 ]
}

@test "xdp-attach: replaced by somebody between two looks at it: the kernel compares, too" {
	requires root cmd:strace
	netns ns
	programs one two three
	local ip=(in_ns "$ns" ip -force link set dev lo xdpgeneric pinned)
	xdp-attach -n "$ns" lo "$BPFFS/one"
	nth_call sendto "$SETLINK" -n "$ns" --expect "$BPFFS/one" lo "$BPFFS/two"
	"${ip[@]}" "$BPFFS/one"

	# After the query, before the change.
	meanwhile sendto $((NTH - 1)) "${ip[@]}" "$BPFFS/three" -- -n "$ns" --expect "$BPFFS/one" lo "$BPFFS/two"
	[[ $(cat "$OUT.err") == "xdp-attach: replace the XDP program of 'lo': File exists ("*"does not match expected"* ]]
	has "$ns" lo "generic $three"
}

@test "xdp-attach: replaced between the look and --detach: what is there now stays" {
	requires root cmd:strace
	netns ns
	programs one two
	local ip=(in_ns "$ns" ip -force link set dev lo xdpgeneric pinned) option
	for option in "" "--expect $BPFFS/one"; do
		"${ip[@]}" "$BPFFS/one"
		# shellcheck disable=SC2086 # an option and its argument
		nth_call sendto "$SETLINK" -n "$ns" --detach $option lo
		"${ip[@]}" "$BPFFS/one"
		# shellcheck disable=SC2086
		meanwhile sendto $((NTH - 1)) "${ip[@]}" "$BPFFS/two" -- -n "$ns" --detach $option lo
		[[ $(cat "$OUT.err") == "xdp-attach: detach the XDP program of 'lo': File exists ("*"does not match expected"* ]]
		has "$ns" lo "generic $two"
	done
}

@test "xdp-attach: the same of a link" {
	requires root cmd:strace
	netns ns
	programs one two three
	xdp-attach -n "$ns" --link "$BPFFS/link" lo "$BPFFS/one"
	nth_call bpf BPF_LINK_UPDATE -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	xdp-attach -n "$ns" --link "$BPFFS/link" lo "$BPFFS/one"

	# By another pin of it, as the directory of this one is locked.
	mkdir "$BPFFS/elsewhere"
	bpftool link pin id "$(field link "$BPFFS/link" id)" "$BPFFS/elsewhere/link"
	meanwhile bpf $((NTH - 1)) xdp-attach -n "$ns" --link "$BPFFS/elsewhere/link" lo "$BPFFS/three" -- \
		-n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	[ "$(cat "$OUT.err")" = "xdp-attach: replace the program of link '$BPFFS/link': it holds program $three, not $one" ]
	has "$ns" lo "generic $three"
}

@test "xdp-attach: a device that is busy is not tried in another mode" {
	requires root cmd:strace
	two_hosts ns peer
	programs one two
	xdp-attach -n "$ns" veth0 "$BPFFS/one"
	# Free again when native mode was refused.
	meanwhile sendto 2 ip -n "$ns" link set dev veth0 xdp off -- -n "$ns" veth0 "$BPFFS/two"
	[[ $(cat "$OUT.err") == "xdp-attach: attach program '$BPFFS/two' to 'veth0': Device or resource busy (XDP program already attached)" ]]
	has "$ns" veth0 ""
}

@test "xdp-attach: --detach looks again, and says what is attached afterwards" {
	requires root cmd:strace
	netns ns
	programs one two
	local attach=(xdp-attach -n "$ns" --mode generic lo)
	"${attach[@]}" "$BPFFS/one"
	nth_call sendto "$SETLINK" -n "$ns" --detach lo
	"${attach[@]}" "$BPFFS/one"

	# After the change, before the last query.
	meanwhile sendto "$NTH" "${attach[@]}" "$BPFFS/two" -- -n "$ns" --detach lo
	[ "$(cat "$OUT.err")" = "xdp-attach: detach the XDP program of 'lo': afterwards, program $two (xdp_prog_simple) is attached in generic mode" ]
	has "$ns" lo "generic $two"
}

@test "xdp-attach: --link pins a link that stays, is updated and goes with its pin" {
	local link mode
	requires root
	two_hosts ns peer
	programs one two
	for mode in native generic; do
		does "attached program $one to 'veth0' in $mode mode, by link LINK" \
			-n "$ns" --mode $mode --link "$BPFFS/link" veth0 "$BPFFS/one"
		has "$ns" veth0 "$mode $one"
		[ "$(stat -c %a:%u:%g "$BPFFS/link")" = 600:0:0 ]
		link=$(link_id "$BPFFS/link")
		does "attached program $two to 'veth0' in $mode mode, in place of program $one, by link $link" \
			-n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/two"
		has "$ns" veth0 "$mode $two"
		[ "$(link_id "$BPFFS/link")" = "$link" ]
		run bpftool link show pinned "$BPFFS/link"
		[[ ${lines[0]} =~ ^"$link: xdp  prog $two "\ *$ ]]
		# By itself: nothing changes, and nothing is wrong.
		does "attached program $two to 'veth0' in $mode mode, in place of program $two, by link $link" \
			-n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/two"
		rm "$BPFFS/link"
		poll 5 has "$ns" veth0 ""
	done
}

@test "xdp-attach: --link --expect: only what is expected is replaced" {
	local what="replace the program of link"
	requires root
	netns ns
	programs one two
	xdp-attach -n "$ns" --link "$BPFFS/link" lo "$BPFFS/one"
	refused "$what '$BPFFS/link': it holds program $one, not $two" \
		-n "$ns" --link "$BPFFS/link" --expect "$BPFFS/two" lo "$BPFFS/two"
	refused "$what '$BPFFS/link': it holds program $one, not $two" \
		-n "$ns" --link "$BPFFS/link" --expect "$two" lo "$BPFFS/two"
	has "$ns" lo "generic $one"
	does "attached program $two to 'lo' in generic mode, in place of program $one, by link LINK" \
		-n "$ns" --link "$BPFFS/link" --expect "$one" lo "$BPFFS/two"
	has "$ns" lo "generic $two"

	# What is expected of a link that is not there is not fulfilled.
	rm "$BPFFS/link"
	poll 5 has "$ns" lo ""
	refused "open link '$BPFFS/link': No such file or directory" \
		-n "$ns" --link "$BPFFS/link" --expect "$two" lo "$BPFFS/two"
	has "$ns" lo ""
}

@test "xdp-attach: --link: PIN is no link, another kind of link, another device's, or was detached" {
	local what="replace the program of link"
	requires root cmd:strace
	two_hosts ns peer
	programs one two
	load_prog echo_dispatch
	sk-lookup-attach -n "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/sk_lookup"
	refused "open link '$BPFFS/one': not a link" -n "$ns" --link "$BPFFS/one" lo "$BPFFS/two"
	refused "open link '$BPFFS': Is a directory" -n "$ns" --link "$BPFFS" lo "$BPFFS/two"
	refused "open link '$BATS_TEST_TMPDIR': not on a bpffs" -n "$ns" --link "$BATS_TEST_TMPDIR" lo "$BPFFS/two"
	refused "$what '$BPFFS/sk_lookup': not the link of an XDP program" \
		-n "$ns" --link "$BPFFS/sk_lookup" lo "$BPFFS/two"

	xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	refused "$what '$BPFFS/link': it is attached to another device, not to 'lo'" \
		-n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	has "$ns" veth0 "native $one"
	# Nor is it tried where that device has the same program.
	xdp-attach -n "$ns" lo "$BPFFS/one"
	run -1 strace -qq -o "$BATS_TEST_TMPDIR/trace" -e trace=bpf xdp-attach -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	[[ $output == *"it is attached to another device, not to 'lo'" ]]
	grep -q BPF_OBJ_GET "$BATS_TEST_TMPDIR/trace"
	run ! grep BPF_LINK_UPDATE "$BATS_TEST_TMPDIR/trace"
	xdp-attach -n "$ns" --detach lo
	ip -n "$ns" link del veth0
	local detached="it was detached, by 'bpftool link detach' or with its device: remove the pin, and attach anew"
	refused "$what '$BPFFS/link': $detached" -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	rm "$BPFFS/link"
	xdp-attach -n "$ns" --link "$BPFFS/link" lo "$BPFFS/one"
	bpftool link detach pinned "$BPFFS/link"
	refused "$what '$BPFFS/link': $detached" -n "$ns" --link "$BPFFS/link" lo "$BPFFS/two"
	has "$ns" lo ""
}

@test "xdp-attach: --link cannot be pinned: nothing is attached, mounted or replaced" {
	local dir=$BATS_TEST_TMPDIR/dir
	requires root cmd:strace
	netns ns
	programs one
	mkdir "$dir"
	refused "pin '$BPFFS/': Is a directory" -n "$ns" --link "$BPFFS//" lo "$BPFFS/one" ||
		refused "open link '$BPFFS//': Is a directory" -n "$ns" --link "$BPFFS//" lo "$BPFFS/one"
	refused "pin '$dir/link': not on a bpffs" -n "$ns" --link "$dir/link" lo "$BPFFS/one"
	refused "pin '$BPFFS/none/link': No such file or directory (directory '$BPFFS/none')" \
		-n "$ns" --link "$BPFFS/none/link" lo "$BPFFS/one"
	refused "pin '$BPFFS/one/link': Not a directory (directory '$BPFFS/one')" \
		-n "$ns" --link "$BPFFS/one/link" lo "$BPFFS/one"
	refused "pin '$BPFFS/my.link': bpffs allows no dot in a name" \
		-n "$ns" --link "$BPFFS/my.link" lo "$BPFFS/one"
	has "$ns" lo ""
	# Nor was it for a moment.
	run -1 strace -qq -o "$BATS_TEST_TMPDIR/trace" -e trace=bpf xdp-attach -n "$ns" --link "$dir/link" lo "$BPFFS/one"
	grep -q BPF_OBJ_GET "$BATS_TEST_TMPDIR/trace"
	run ! grep BPF_LINK_CREATE "$BATS_TEST_TMPDIR/trace"
	[ -z "$(ls -A "$dir")" ]
	[ "$(stat -f -c %T "$dir")" = "$(stat -f -c %T "$BATS_RUN_TMPDIR")" ]
}

@test "xdp-attach: the pin's directory goes, or its name is taken, between two steps: nothing stays attached" {
	requires root cmd:strace
	netns ns
	programs one
	mkdir "$BPFFS/dir"
	nth_call bpf BPF_LINK_CREATE -n "$ns" --link "$BPFFS/dir/link" lo "$BPFFS/one"
	rm "$BPFFS/dir/link"
	poll 5 has "$ns" lo ""

	# When the link is made and not yet pinned.
	goes() {
		has "$ns" lo "generic $one"
		rmdir "$BPFFS/dir"
	}
	meanwhile bpf "$NTH" goes -- -n "$ns" --link "$BPFFS/dir/link" lo "$BPFFS/one"
	grep -q "^xdp-attach: pin '$BPFFS/dir/link': No such file or directory" "$OUT.err"
	poll 5 has "$ns" lo ""

	mkdir "$BPFFS/dir"
	meanwhile bpf "$NTH" bpftool map create "$BPFFS/dir/link" type array key 4 value 4 entries 1 \
		name hookset_taken -- -n "$ns" --link "$BPFFS/dir/link" lo "$BPFFS/one"
	[ "$(cat "$OUT.err")" = "xdp-attach: pin '$BPFFS/dir/link': File exists" ]
	run -0 bpftool map show pinned "$BPFFS/dir/link"
	[[ $output == *"name hookset_taken"* ]]
	poll 5 has "$ns" lo ""
}

@test "ip today: 'xdp off' on a generic program reports success, and leaves it. --detach does not" {
	requires root
	two_hosts ns peer
	programs one
	in_ns "$ns" ip link set dev veth0 xdpgeneric pinned "$BPFFS/one"
	run -0 ip -n "$ns" link set dev veth0 xdp off
	[ -z "$output" ]
	has "$ns" veth0 "generic $one"
	does "detached program $one from 'veth0' in generic mode" -n "$ns" --detach veth0
	has "$ns" veth0 ""
	refused "detach the XDP program of 'veth0': no program is attached" -n "$ns" --detach veth0
}

@test "ip and bpftool today: they replace whatever is there. --expect does not" {
	requires root
	two_hosts ns peer
	programs mine theirs new
	# One has looked, and expects $mine; meanwhile it was replaced.
	in_ns "$ns" ip link set dev veth0 xdp pinned "$BPFFS/theirs"
	run -0 in_ns "$ns" ip -force link set dev veth0 xdp pinned "$BPFFS/new"
	has "$ns" veth0 "native $new"
	in_ns "$ns" ip -force link set dev veth0 xdp pinned "$BPFFS/theirs"
	run -0 in_ns "$ns" bpftool net attach xdp pinned "$BPFFS/new" dev veth0 overwrite
	has "$ns" veth0 "native $new"
	in_ns "$ns" ip -force link set dev veth0 xdp pinned "$BPFFS/theirs"
	refused "replace the XDP program of 'veth0': program $theirs (xdp_prog_simple) is attached in native mode, not program $mine" \
		-n "$ns" --expect "$BPFFS/mine" veth0 "$BPFFS/new"
	has "$ns" veth0 "native $theirs"
}

@test "ip and bpftool today: what they attach is no link, and any ip takes it away. --link's stays" {
	local how
	requires root
	two_hosts ns peer
	programs one two
	for how in "ip link set dev veth0 xdp pinned $BPFFS/one" "bpftool net attach xdp pinned $BPFFS/one dev veth0"; do
		# shellcheck disable=SC2086 # a command
		in_ns "$ns" $how
		has "$ns" veth0 "native $one"
		run bpftool link
		[[ $output != *"prog $one "* ]]
		run -0 ip -n "$ns" link set dev veth0 xdp off
		has "$ns" veth0 ""
	done
	run ! bpftool link create
	xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	run bpftool link
	[[ $output == *"xdp  prog $one "* ]]
	run ! ip -n "$ns" link set dev veth0 xdp off
	run ! ip -n "$ns" link set dev veth0 xdpdrv off
	run ! in_ns "$ns" ip -force link set dev veth0 xdp pinned "$BPFFS/two"
	run ! in_ns "$ns" bpftool net detach xdp dev veth0
	has "$ns" veth0 "native $one"
}

@test "xdp-attach: libxdp's dispatcher is seen for what it is, and left to xdp-loader" {
	local id is
	requires root libxdp
	two_hosts ns peer
	programs one
	bpftool prog load "$(compgen -G "$LIBXDP_DISPATCHER")" "$BPFFS/dispatcher"
	run -0 bpftool prog show pinned "$BPFFS/dispatcher"
	[[ $output == *": xdp  name xdp_dispatcher "* ]]
	id=$(prog_id "$BPFFS/dispatcher")
	is="program $id (xdp_dispatcher) is attached in native mode: it is libxdp's dispatcher, use xdp-loader"
	in_ns "$ns" ip link set dev veth0 xdp pinned "$BPFFS/dispatcher"
	refused "attach program '$BPFFS/one' to 'veth0': $is" -n "$ns" veth0 "$BPFFS/one"
	refused "attach program '$BPFFS/one' to 'veth0': $is" -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	refused "replace the XDP program of 'veth0': $is" -n "$ns" --expect "$id" veth0 "$BPFFS/one"
	refused "detach the XDP program of 'veth0': $is" -n "$ns" --detach veth0
	refused "detach the XDP program of 'veth0': $is" -n "$ns" --detach --expect "$id" veth0
	has "$ns" veth0 "native $id"

	# Its name alone makes no dispatcher.
	bpftool prog load "$BATS_FILE_TMPDIR/named.o" "$BPFFS/named"
	id=$(prog_id "$BPFFS/named")
	in_ns "$ns" ip -force link set dev veth0 xdp pinned "$BPFFS/named"
	refused "attach program '$BPFFS/one' to 'veth0': program $id (xdp_dispatcher) is attached in native mode" \
		-n "$ns" veth0 "$BPFFS/one"
	does "detached program $id from 'veth0' in native mode" -n "$ns" --detach veth0
}

@test "xdp-attach: --json and --pretty" {
	local option
	requires root
	two_hosts ns peer
	programs one two
	local index
	index=$(in_ns "$ns" cat /proc/net/dev_snmp6/veth0 | awk '$1 == "ifIndex" { print $2 }')
	for option in -j --json; do
		does "[{\"devname\":\"veth0\",\"ifindex\":$index,\"mode\":\"native\",\"id\":$one}]" \
			-n "$ns" $option veth0 "$BPFFS/one"
		does "[{\"devname\":\"veth0\",\"ifindex\":$index,\"mode\":\"native\",\"id\":$two,\"replaced\":$one}]" \
			-n "$ns" $option --expect "$one" veth0 "$BPFFS/two"
		does "[{\"devname\":\"veth0\",\"ifindex\":$index,\"mode\":\"native\",\"id\":$two}]" \
			-n "$ns" $option --detach veth0
		does "[{\"devname\":\"lo\",\"ifindex\":1,\"mode\":\"generic\",\"id\":$one,\"link_id\":LINK,\"pinned\":\"$BPFFS/link\",\"why_generic\":\"the driver has no native mode\"}]" \
			-n "$ns" $option --link "$BPFFS/link" lo "$BPFFS/one"
		rm "$BPFFS/link"
		poll 5 has "$ns" lo ""
	done
	for option in -p --pretty; do
		run -0 --separate-stderr xdp-attach -n "$ns" $option veth0 "$BPFFS/one"
		[ -z "$stderr" ]
		[ "${#lines[@]}" -eq 8 ]
		/usr/bin/python3 -c 'import json, sys
assert json.loads(sys.argv[1]) == [{"devname": "veth0", "ifindex": int(sys.argv[2]), "mode": "native", "id": int(sys.argv[3])}]' \
			"$output" "$index" "$one"
		xdp-attach -n "$ns" --detach veth0
	done
	# A name that is no UTF-8, which JSON has to be.
	ip -n "$ns" link add $'v\xff' type veth
	run -0 --separate-stderr xdp-attach -n "$ns" -j $'v\xff' "$BPFFS/one"
	[[ $output == $'[{"devname":"v\xef\xbf\xbd",'* ]]
	# Nothing is said of what failed.
	refused "detach the XDP program of 'veth0': no program is attached" -n "$ns" -j --detach veth0
}

@test "xdp-attach: what is done and cannot be said on stdout stays, and is said on stderr: 1" {
	local full="write to standard output: No space left on device (but it is done: "
	local closed="xdp-attach: write to standard output: Bad file descriptor" text
	requires root
	two_hosts ns peer
	programs one two
	text="attached program $one to 'veth0' in native mode"
	fails 1 "xdp-attach: $full$text)" to_full xdp-attach -n "$ns" veth0 "$BPFFS/one"
	has "$ns" veth0 "native $one"
	text="attached program $two to 'veth0' in native mode, in place of program $one"
	fails 1 "xdp-attach: $full$text)" to_full xdp-attach -n "$ns" --expect "$one" veth0 "$BPFFS/two"
	has "$ns" veth0 "native $two"
	text="detached program $two from 'veth0' in native mode"
	fails 1 "xdp-attach: $full$text)" to_full xdp-attach -n "$ns" -j --detach veth0
	has "$ns" veth0 ""
	run -1 --separate-stderr to_full xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	text="attached program $one to 'veth0' in native mode, by link $(link_id "$BPFFS/link")"
	[ "$stderr" = "xdp-attach: $full$text)" ]
	has "$ns" veth0 "native $one"
	# What is closed from the beginning is seen before anything is done.
	fails 1 "$closed" to_closed xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/two"
	has "$ns" veth0 "native $one"
	rm "$BPFFS/link"
	fails 1 "$closed" to_closed xdp-attach -n "$ns" veth0 "$BPFFS/one"
	has "$ns" veth0 ""
	# What is not done is as ever.
	fails 1 "xdp-attach: find device 'veth1': No such device" to_full xdp-attach -n "$ns" --detach veth1
}

@test "xdp-attach: only what a driver returns is a reason for generic mode" {
	local at err
	requires root cmd:strace
	two_hosts ns peer
	programs one
	strace -qq -e trace=bpf -o "$BATS_TEST_TMPDIR/calls" \
		xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one" >/dev/null
	at=$(grep -n -m 1 BPF_LINK_CREATE "$BATS_TEST_TMPDIR/calls" | cut -d: -f1)
	rm "$BPFFS/link"
	for err in EMFILE ENFILE ENOBUFS EINTR EAGAIN ENOSPC ENOMEM EIO; do
		run -1 --separate-stderr strace -qq -o /dev/null -e "inject=bpf:error=$err:when=$at" \
			xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
		[ "${#stderr_lines[@]}" -eq 1 ]
		has "$ns" veth0 ""
		[ ! -e "$BPFFS/link" ]
	done
	for err in EOPNOTSUPP ERANGE EINVAL; do
		run -0 --separate-stderr strace -qq -o /dev/null -e "inject=bpf:error=$err:when=$at" \
			xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
		[[ $output == *" in generic mode, by link "*", not native: "* ]]
		rm "$BPFFS/link"
	done
}

# each_answer_lost BEFORE AFTER ARGUMENT...: with each answer of rtnetlink lost in turn, and each
# request unsent, the tool fails and BEFORE is attached, or does not and AFTER is.
each_answer_lost() {
	local before=$1 after=$2 call i calls state lost
	shift 2
	for call in recvmsg sendto; do
		xdp-attach -n "$ns" --detach veth0 >/dev/null 2>&1 || true
		[ -z "$before" ] || xdp-attach -n "$ns" veth0 "$BPFFS/one" >/dev/null
		strace -qq -e "trace=$call" -o "$BATS_TEST_TMPDIR/calls" xdp-attach -n "$ns" "$@" >/dev/null
		calls=$(grep -c . "$BATS_TEST_TMPDIR/calls")
		for ((i = 1; i <= calls; i++)); do
			xdp-attach -n "$ns" --detach veth0 >/dev/null 2>&1 || true
			[ -z "$before" ] || xdp-attach -n "$ns" veth0 "$BPFFS/one" >/dev/null
			state=$after lost=0
			strace -qq -o /dev/null -e "inject=$call:error=ENOBUFS:when=$i" \
				xdp-attach -n "$ns" "$@" >/dev/null 2>"$BATS_TEST_TMPDIR/said" || lost=$?
			[ "$lost" -eq 0 ] || state=$before
			has "$ns" veth0 "$state" || {
				echo "$call $i of $calls, status $lost: $(cat "$BATS_TEST_TMPDIR/said")" >&2
				return 1
			}
		done
	done
}

@test "xdp-attach: an answer of the kernel that is lost: the exit status says what is attached" {
	requires root cmd:strace
	two_hosts ns peer
	programs one two
	each_answer_lost "" "native $one" veth0 "$BPFFS/one"
	each_answer_lost "native $one" "native $two" --expect "$BPFFS/one" veth0 "$BPFFS/two"
	each_answer_lost "native $one" "" --detach veth0
}

@test "xdp-attach: who has no right to it does not do it, though it is so already" {
	local user=(setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all)
	local why="Operation not permitted"
	requires root
	netns ns
	programs one
	chmod 666 "$BPFFS/one"
	xdp-attach -n "$ns" lo "$BPFFS/one" >/dev/null
	run -1 --separate-stderr in_ns "$ns" "${user[@]}" xdp-attach --mode generic lo "$BPFFS/one"
	[[ -z $output && $stderr == "xdp-attach: attach program '$BPFFS/one' to 'lo': $why"* ]]
	run -1 --separate-stderr in_ns "$ns" "${user[@]}" xdp-attach --expect "$BPFFS/one" lo "$BPFFS/one"
	[[ -z $output && $stderr == "xdp-attach: replace the XDP program of 'lo': $why"* ]]
	has "$ns" lo "generic $one"
}

@test "xdp-attach: --verbose prints the log of libbpf" {
	requires root
	netns ns
	programs one
	run -1 --separate-stderr xdp-attach -v -n "$ns" --mode native lo "$BPFFS/one"
	[[ ${stderr_lines[0]} == "libbpf: Kernel error message: "* ]]
	[[ ${stderr_lines[1]} == "xdp-attach: attach program "* ]]
	[ "${#stderr_lines[@]}" -eq 2 ]
}

@test "xdp-attach: a plain user is told what is missing" {
	requires root unprivileged-map-access
	two_hosts ns peer
	programs one two
	chown 65534 "$BPFFS/two"
	user() {
		local text=$1
		shift
		fails 1 "xdp-attach: $text" in_ns "$ns" "${PLAIN[@]}" xdp-attach "$@"
	}
	user "open program '$BPFFS/one': Permission denied" veth0 "$BPFFS/one"
	user "attach program '$BPFFS/two' to 'veth0': Operation not permitted (needs CAP_NET_ADMIN)" veth0 "$BPFFS/two"
	user "pin '$BPFFS/link': Permission denied" --link "$BPFFS/link" veth0 "$BPFFS/two"
	has "$ns" veth0 ""
	xdp-attach -n "$ns" veth0 "$BPFFS/one"
	user "detach the XDP program of 'veth0': Operation not permitted (needs CAP_NET_ADMIN)" --detach veth0
	user "open program $one: Operation not permitted (an id needs CAP_SYS_ADMIN)" --detach --expect "$one" veth0
	fails 1 "xdp-attach: enter network namespace '$ns': Operation not permitted (needs CAP_SYS_ADMIN)" \
		"${PLAIN[@]}" xdp-attach -n "$ns" veth0 "$BPFFS/two"
	has "$ns" veth0 "native $one"
	# CAP_NET_ADMIN alone does it, without the program's name.
	fails 1 "xdp-attach: attach program '$BPFFS/two' to 'veth0': program $one is attached in native mode" \
		in_ns "$ns" setpriv --bounding-set=-all,+net_admin,+dac_override --inh-caps=-all \
		xdp-attach veth0 "$BPFFS/two"
	fails 0 "" in_ns "$ns" setpriv --bounding-set=-all,+net_admin --inh-caps=-all sh -c \
		'xdp-attach --detach veth0 >/dev/null'
	has "$ns" veth0 ""
}

# flood NETNS: send datagrams to 10.9.0.2, port 9, in bursts; terminated, it says how many.
flood() {
	start_in "$1" /usr/bin/python3 -c '
import signal, socket, time
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sent = 0
print("ready", flush=True)
while not stop:
    for _ in range(32):
        sock.sendto(b"x", ("10.9.0.2", 9))
        sent += 1
    time.sleep(0.0003)
print(sent)'
	poll 10 grep -q ready "$OUT"
}

# dropped NAME: what that program has counted.
dropped() {
	bpftool -j map lookup pinned "$BPFFS/dropped_$1" key 0 0 0 0 | /usr/bin/python3 -c '
import json, sys
print(int.from_bytes([int(byte, 16) for byte in json.load(sys.stdin)["value"]], sys.byteorder))'
}

# lost: what the devices had no room for, ever.
lost() {
	{
		ip -j -s -n "$client" link show dev veth0
		ip -j -s -n "$server" link show dev veth0
	} | /usr/bin/python3 -c '
import json, sys
client, server = (json.loads(line)[0]["stats64"] for line in sys.stdin)
print(client["tx"]["dropped"] + server["rx"]["dropped"])'
}

# escaped: the datagrams that no program has kept from the server, ever.
escaped() {
	in_ns "$server" awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp
}

# What is known of each datagram that was sent.
all_known() {
	[ $(($(dropped one) + $(dropped two) + $(lost) - lost_before + $(escaped) - escaped_before)) -eq "$sent" ] || {
		echo "sent $sent, dropped $(dropped one) + $(dropped two), lost $lost_before to $(lost), escaped $escaped_before to $(escaped)"
		return 1
	}
}

# under_flood SWAP ATTACH...: attach program one by ATTACH, and swap it for two and back, 12
# times at least and until both have had their part of the load, by the function SWAP, which
# is given both. All datagrams are accounted for; how many got by is in ESCAPED.
under_flood() {
	local swap=$1 name i=0 sent lost_before escaped_before
	shift
	rm -f "$BPFFS"/{one,two,dropped_one,dropped_two,link}
	poll 5 has "$server" veth0 ""
	for name in one two; do
		bpftool prog load "$BATS_FILE_TMPDIR/count.o" "$BPFFS/$name"
		pin_map dropped "$BPFFS/$name"
		mv "$BPFFS/dropped" "$BPFFS/dropped_$name"
	done
	# Attached elsewhere, too, they stay in the kernel's XDP dispatcher, which is code that is
	# rewritten otherwise, while packets run through it: an emulator trips over that.
	in_ns "$client" ip -force link set dev lo xdpgeneric pinned "$BPFFS/one"
	in_ns "$server" ip -force link set dev lo xdpgeneric pinned "$BPFFS/two"
	lost_before=$(lost)
	escaped_before=$(escaped)
	"$@" veth0 "$BPFFS/one"
	flood "$client"
	until [ $i -ge 12 ] && [ "$(dropped one)" -ge 1000 ] && [ "$(dropped two)" -ge 1000 ]; do
		[ $((i += 1)) -lt 1000 ]
		$swap "$BPFFS/one" "$BPFFS/two"
		$swap "$BPFFS/two" "$BPFFS/one"
	done
	stop "$PID"
	sent=$(tail -n 1 "$OUT")
	# When a veth leaves native mode, what is in its ring is lost, and not counted.
	[ "$swap" = off_and_on ] || poll 5 all_known
	ESCAPED=$(($(escaped) - escaped_before))
	echo "$swap $*: $((2 * i)) swaps, $sent sent, $(dropped one) + $(dropped two) dropped, $ESCAPED escaped"
}

# What ip has to offer without -force.
by_ip() { in_ns "$server" ip link set dev "$1" xdp pinned "$2"; }
off_and_on() {
	ip -n "$server" link set dev veth0 xdp off
	by_ip veth0 "$2"
}
expecting() { xdp-attach -n "$server" --expect "$1" veth0 "$2"; }
of_link() { xdp-attach -n "$server" --link "$BPFFS/link" --expect "$1" veth0 "$2"; }

@test "xdp-attach: replaced under load, no packet escapes the old or the new program" {
	local mode mac
	requires root
	two_hosts client server
	mac=$(ip -n "$server" -o link show dev veth0 | grep -oP 'link/ether \K\S+')
	ip -n "$client" neigh replace 10.9.0.2 lladdr "$mac" dev veth0 nud permanent
	# With ip, there is a gap: so this would be seen.
	under_flood off_and_on by_ip
	[ "$ESCAPED" -gt 0 ]
	ip -n "$server" link set dev veth0 xdp off

	for mode in native generic; do
		under_flood expecting xdp-attach -n "$server" --mode $mode
		[ "$ESCAPED" -eq 0 ]
		xdp-attach -n "$server" --detach veth0
		under_flood of_link xdp-attach -n "$server" --mode $mode --link "$BPFFS/link"
		[ "$ESCAPED" -eq 0 ]
	done
}

# state: what is attached, and the program of the link that is pinned: "native 7, link 7".
state() {
	local link=none
	if [ -e "$BPFFS/link" ]; then
		run bpftool link show pinned "$BPFFS/link"
		[[ ${lines[0]} =~ :\ xdp\ \ prog\ ([0-9]+)\ *$ ]] || {
			echo "half a pin: $output"
			return
		}
		link=${BASH_REMATCH[1]}
	fi
	echo "$(attached "$ns" veth0), link $link"
}

# settled: it is one or the other. What is attached by a link goes a moment after its end.
settled() {
	local state
	state=$(state)
	[ "$state" = "$old" ] || [ "$state" = "$new" ] || {
		echo "neither '$old' nor '$new', but '$state'"
		return 1
	}
	echo "$state" >"$BATS_TEST_TMPDIR/state"
}

# killed SECONDS ARGUMENT...: run xdp-attach, until it is killed. When all is done, it waits for
# somebody to hear what it has to say.
killed() {
	timeout -s KILL "$1" xdp-attach -n "$ns" "${@:2}" >"$BATS_TEST_TMPDIR/full"
}

# killed_at_random OLD NEW RESET ARGUMENT...: run xdp-attach and kill it at a random moment, which is
# later the next time where it was too early to do a thing, and sooner where it was too late: so
# most of the kills come when it matters. After each, the state is OLD or NEW; it was both. The
# function RESET makes it OLD again.
killed_at_random() {
	local old=$1 new=$2 reset=$3 olds=0 news=0 wait=2000
	shift 3
	while [ $((olds + news)) -lt "$(kills 50)" ] || [ $olds -lt "$(kills 25)" ] || [ $news -lt "$(kills 25)" ]; do
		[ $((olds + news)) -lt 500 ]
		run -137 killed "$(printf '0.%06d' $wait)" "$@"
		poll 10 settled
		if [ "$(<"$BATS_TEST_TMPDIR/state")" = "$new" ]; then
			news=$((news + 1))
			wait=$((wait - wait * (RANDOM % 30) / 100))
			$reset
		else
			olds=$((olds + 1))
			wait=$((wait + wait * (RANDOM % 30) / 100))
		fi
		[ $wait -lt 900000 ]
	done
	echo "$olds times the old state, $news times the new one ($*)"
}

@test "xdp-attach: killed at any moment, there is the old or the new state" {
	requires root
	two_hosts ns peer
	programs one two
	# A pipe that is full: the shell holds both its ends.
	mkfifo "$BATS_TEST_TMPDIR/full"
	exec 9<>"$BATS_TEST_TMPDIR/full"
	dd if=/dev/zero of="$BATS_TEST_TMPDIR/full" oflag=nonblock bs=1 count=1M status=none || true

	off() { ip -n "$ns" link set dev veth0 xdp off; }
	killed_at_random ", link none" "native $one, link none" off veth0 "$BPFFS/one"

	back() { in_ns "$ns" ip -force link set dev veth0 xdp pinned "$BPFFS/one"; }
	back
	killed_at_random "native $one, link none" "native $two, link none" back \
		--expect "$BPFFS/one" veth0 "$BPFFS/two"
	off

	unpinned() {
		rm "$BPFFS/link"
		poll 5 has "$ns" veth0 ""
	}
	killed_at_random ", link none" "native $one, link $one" unpinned \
		--link "$BPFFS/link" veth0 "$BPFFS/one"

	link_back() { xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one" >/dev/null; }
	link_back
	killed_at_random "native $one, link $one" "native $two, link $two" link_back \
		--link "$BPFFS/link" --expect "$BPFFS/one" veth0 "$BPFFS/two"
	exec 9>&-
}

@test "xdp-attach: killed between making the link and pinning it, nothing is left" {
	requires root cmd:strace
	two_hosts ns peer
	programs one
	nth_call bpf BPF_OBJ_PIN -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	rm "$BPFFS/link"
	poll 5 has "$ns" veth0 ""
	run -137 strace -qq -o "$BATS_TEST_TMPDIR/trace" -e trace=bpf \
		-e "inject=bpf:error=EIO:signal=KILL:when=$NTH" \
		xdp-attach -n "$ns" --link "$BPFFS/link" veth0 "$BPFFS/one"
	grep -q 'BPF_LINK_CREATE.* = [0-9]' "$BATS_TEST_TMPDIR/trace"
	grep -q BPF_OBJ_PIN "$BATS_TEST_TMPDIR/trace"
	[ ! -e "$BPFFS/link" ]
	poll 5 has "$ns" veth0 ""
}

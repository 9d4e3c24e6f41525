#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What the man pages say under CAPABILITIES, held against the kernel: with just these it is done,
# and without any one of them it is not, and the error names that one.
# shellcheck disable=SC2154 # netns sets the name it is given
# shellcheck disable=SC2030,SC2031 # each test is a subshell

load ../lib/helpers
load ../lib/lists

setup_file() {
	object types refused
	chmod 755 "$BATS_FILE_TMPDIR"
	cp "$HOOKSET_BUILD"/*.bpf.o "$BATS_FILE_TMPDIR"
	chmod 644 "$BATS_FILE_TMPDIR"/*.o
}

# items TOOL: the items of its man page, a line each.
items() {
	sed -n '/^\.Sh CAPABILITIES/,/^\.El/s/^\.It //p' "$HOOKSET_ROOT/tools/man/$1.8" | sed 's/\\-/-/g'
}

# with_just "CAP_A CAP_B" COMMAND...: as a plain user who has these; in the network namespace $NS.
with_just() {
	local caps=-all cap
	for cap in $1; do
		cap=${cap#CAP_}
		caps+=,+${cap,,}
	done
	shift
	nsenter ${NS:+"--net=/run/netns/$NS"} setpriv --reuid 65534 --regid 65534 --clear-groups \
		--inh-caps="$caps" --ambient-caps="$caps" "$@"
}

# least TOOL ITEM COMMAND...: the capabilities of this item of its man page are enough for the
# command, and without any one of them, also for who has $ALSO, it
# fails.
least() {
	local tool=$1 item=$2 caps cap other rest
	shift 2
	caps=$(sed -n '/^\.Sh CAPABILITIES/,/^\.El/p' "$HOOKSET_ROOT/tools/man/$tool.8" |
		sed 's/\\-/-/g' | grep -Fx -A 1 ".It $item" | tail -n +2)
	[ -n "$caps" ] || {
		echo "$tool.8 has no item '$item'" >&2
		return 1
	}
	echo "$item" >>"$BATS_TEST_TMPDIR/$tool"
	caps=$(grep -o 'CAP_[A-Z_]*' <<<"$caps" || true)
	for cap in $caps; do
		rest=${ALSO-}
		for other in $caps; do
			[ "$other" = "$cap" ] || rest+=" $other"
		done
		run -1 --separate-stderr with_just "$rest" "$@"
		[[ $stderr == *"($cap)"* || $stderr =~ (needs|without)" "$cap([^A-Z_]|$) ]] || {
			printf 'without %s: %s\n' "$cap" "$stderr" >&2
			return 1
		}
	done
	run -0 --separate-stderr with_just "$caps" "$@"
}

# all_tested TOOL: no item is left out.
all_tested() {
	diff <(items "$1" | sort) <(sort -u "$BATS_TEST_TMPDIR/$1")
}

# mine PIN...: they belong to the plain user.
mine() {
	chmod 777 "$BPFFS"
	chown -R 65534:65534 "$@"
}

@test "prog-load" {
	local o=$BATS_FILE_TMPDIR
	requires root cap-bpf unprivileged-map-access
	[ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" -ne 0 ] || skip "here a plain user may load"
	chmod 777 "$BPFFS"
	least prog-load "a program without network types, as socket_filter and sk_reuseport" \
		prog-load --type socket "$o/types.o" "$BPFFS/socket"
	least prog-load "an XDP, tc, socket or cgroup program, or a map of sockets or devices" \
		prog-load "$o/xdp_pass.bpf.o" "$BPFFS/xdp"
	least prog-load "an XDP, tc, socket or cgroup program, or a map of sockets or devices" \
		prog-load "$o/echo_dispatch.bpf.o" "$BPFFS/sockmap"
	least prog-load "one that subtracts pointers, or calls helpers for tracing" \
		prog-load "$o/xdp_drop.bpf.o" "$BPFFS/pointers"
	least prog-load "a program for tracing, as kprobe and tracepoint" \
		prog-load --type tracepoint/a/b "$o/types.o" "$BPFFS/tracing"
	least prog-load "an XDP program, with --owner" \
		prog-load --owner 1 "$o/xdp_pass.bpf.o" "$BPFFS/given"
	[ "$(stat -c %u "$BPFFS/given")" -eq 1 ]
	all_tested prog-load
}

@test "prog-load: what a type needs is what the kernel wants for it" {
	local type subset named cap adds
	requires root cap-bpf unprivileged-map-access
	[ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" -ne 0 ] || skip "here a plain user may load"
	chmod 777 "$BPFFS"
	load_with() {
		run --separate-stderr with_just "$1" prog-load --type "$type" "$BATS_FILE_TMPDIR/types.o" "$BPFFS/pin"
		rm -f "$BPFFS/pin"
		[[ $stderr != *"Operation not permitted"* ]]
	}
	for type in socket sk_reuseport cgroup_skb/ingress xdp tc action lwt_in lwt_out lwt_xmit \
		lwt_seg6local sk_skb sk_msg flow_dissector cgroup/dev cgroup/sock cgroup/connect4 \
		cgroup/getsockopt cgroup/sysctl sockops sk_lookup netfilter kprobe tracepoint/a/b \
		perf_event raw_tp; do
		for subset in "" CAP_BPF CAP_NET_ADMIN CAP_PERFMON "CAP_BPF CAP_NET_ADMIN" "CAP_BPF CAP_PERFMON"; do
			load_with "$subset" && continue
			[[ $stderr =~ "Operation not permitted (needs "([^\)]*)")"$ ]] || {
				echo "$type with '$subset': $stderr" >&2
				return 1
			}
			named=$(grep -o 'CAP_[A-Z_]*' <<<"${BASH_REMATCH[1]}" | paste -sd' ')
			# With these it is permitted, and not without one of them.
			load_with "$subset $named" || {
				echo "$type with '$subset $named': $stderr" >&2
				return 1
			}
			for cap in $named; do
				adds=${named/$cap/}
				! load_with "$subset $adds" || {
					echo "$type with '$subset': $cap is not needed" >&2
					return 1
				}
			done
		done
	done
}

@test "prog-load: a helper for tracing is not said to be none of this kernel's" {
	requires root cap-bpf
	chmod 777 "$BPFFS"
	object printk refused -DGPL_ONLY
	chmod 644 "$BATS_FILE_TMPDIR/printk.o"
	run -1 --separate-stderr with_just "CAP_BPF CAP_NET_ADMIN" prog-load "$BATS_FILE_TMPDIR/printk.o" "$BPFFS/pin"
	[ "${stderr_lines[0]}" = "prog-load: load program 'refused' of '$BATS_FILE_TMPDIR/printk.o': rejected by the verifier (which allows less without CAP_PERFMON)" ]
	run -0 with_just "CAP_BPF CAP_NET_ADMIN CAP_PERFMON" prog-load "$BATS_FILE_TMPDIR/printk.o" "$BPFFS/pin"
}

@test "xdp-attach" {
	requires root unprivileged-map-access
	two_hosts a b
	local NS=$a name
	for name in one two; do
		prog-load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/$name"
	done
	mine "$BPFFS"/*
	local id
	id=$(field prog "$BPFFS/one" id)
	least xdp-attach "attach, replace or detach" xdp-attach veth0 "$BPFFS/one"
	least xdp-attach "attach, replace or detach" xdp-attach --expect "$BPFFS/one" veth0 "$BPFFS/two"
	least xdp-attach "attach, replace or detach" xdp-attach --detach veth0
	least xdp-attach "attach by a link, or replace its program that --expect names by its pin" \
		xdp-attach --link "$BPFFS/link" veth0 "$BPFFS/one"
	least xdp-attach "attach by a link, or replace its program that --expect names by its pin" \
		xdp-attach --link "$BPFFS/link" --expect "$BPFFS/one" veth0 "$BPFFS/two"
	least xdp-attach "replace the program of a link, whatever it is" \
		xdp-attach --link "$BPFFS/link" veth0 "$BPFFS/one"
	rm "$BPFFS/link"
	xdp-attach -n "$a" veth0 "$BPFFS/one"
	least xdp-attach "--expect with an id" xdp-attach --expect "$id" --detach veth0
	NS=
	least xdp-attach "--netns" xdp-attach -n "$a" veth0 "$BPFFS/one"
	all_tested xdp-attach
}

@test "sk-lookup-attach" {
	requires root unprivileged-map-access
	netns ns
	local NS=$ns name id
	for name in one two; do
		prog-load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/$name"
	done
	mine "$BPFFS"/*
	least sk-lookup-attach "attach or replace, also with --netns" sk-lookup-attach "$BPFFS/one" "$BPFFS/link"
	least sk-lookup-attach "attach or replace, also with --netns" sk-lookup-attach -r "$BPFFS/two" "$BPFFS/link"
	id=$(field prog "$BPFFS/two" id)
	# CAP_SYS_ADMIN stands for CAP_NET_ADMIN, which is asked for first.
	ALSO=CAP_NET_ADMIN least sk-lookup-attach "--expect with an id; --show" \
		sk-lookup-attach -r --expect "$id" "$BPFFS/one" "$BPFFS/link"
	ALSO=CAP_NET_ADMIN least sk-lookup-attach "--expect with an id; --show" sk-lookup-attach --show
	NS=
	least sk-lookup-attach "attach or replace, also with --netns" \
		sk-lookup-attach -n "$ns" -r "$BPFFS/two" "$BPFFS/link"
	all_tested sk-lookup-attach
}

@test "map-pin" {
	requires root unprivileged-map-access
	local id
	two_hosts a b
	load_prog detect_ping
	mine "$BPFFS/detect_ping_prog"
	xdp-attach --link "$BPFFS/link" -n "$a" veth0 "$BPFFS/detect_ping_prog"
	mine "$BPFFS/link"
	least map-pin "dev, prog, link or map" map-pin prog "$BPFFS/detect_ping_prog" "$BPFFS/prog"
	least map-pin "dev, prog, link or map" map-pin link "$BPFFS/link" "$BPFFS/by_link"
	least map-pin "dev, prog, link or map" map-pin -n "$a" dev veth0 "$BPFFS/dev"
	id=$(field map "$BPFFS/prog/ringbuf" id)
	least map-pin "dev, prog, link or map" map-pin map "$id" "$BPFFS/map"
	least map-pin "the same with --owner" map-pin --owner 1 map "$id" "$BPFFS/given"
	all_tested map-pin
}

@test "map-edit" {
	requires root unprivileged-map-access
	local dir=$BPFFS/dir
	prog-load --maps "$dir" "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog"
	chmod 755 "$dir"
	mine "$dir"/*
	least map-edit "show and change, with --btf, or --key and --value" \
		map-edit --btf "$BATS_FILE_TMPDIR/detect_ping.bpf.o" "$dir/ping_hash" add 192.0.2.1
	least map-edit "show and change, with --btf, or --key and --value" \
		map-edit --key be32 --value hex[4] "$dir/ping_hash" show
	least map-edit "show and change, with types from the kernel" map-edit "$dir/ping_hash" show
	least map-edit "show and change, with types from the kernel" map-edit "$dir/ping_hash" del 192.0.2.1
	all_tested map-edit
}

@test "ringbuf-read" {
	requires root unprivileged-map-access
	two_hosts a b
	local dir=$BPFFS/dir item option
	prog-load --maps "$dir" "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/prog"
	chmod 755 "$dir"
	mine "$dir"/*
	xdp-attach -n "$a" veth0 "$BPFFS/prog"
	item="with --btf or --hex"
	for option in --hex "--btf $BATS_FILE_TMPDIR/detect_ping.bpf.o" ""; do
		in_ns "$b" ping -c 1 -W 1 -q 192.0.2.1 >/dev/null || true
		[ -n "$option" ] || item="with the type from the kernel"
		# shellcheck disable=SC2086 # an option and its argument
		least ringbuf-read "$item" \
			timeout 10 ringbuf-read --count 1 $option "$dir/ringbuf"
	done
	all_tested ringbuf-read
}

@test "blocklist-load" {
	requires root cap-bpf unprivileged-map-access
	[ "$(cat /proc/sys/kernel/unprivileged_bpf_disabled)" -ne 0 ] || skip "here a plain user may make maps"
	local dir=$BPFFS/dir list=$BATS_FILE_TMPDIR/list
	load_blocklist
	mine "$dir"
	echo 192.0.2.0/24 >"$list"
	chmod 644 "$list"
	least blocklist-load "load, and reserve while no list is active" blocklist-load "$dir" reserve 16
	rm "$dir"/blocklist_[ab]
	least blocklist-load "load, and reserve while no list is active" blocklist-load "$dir" load "$list"
	least blocklist-load "dump, --max-shrink, and reserve" blocklist-load "$dir" dump
	least blocklist-load "dump, --max-shrink, and reserve" \
		blocklist-load "$dir" load --max-shrink 10 "$list"
	ALSO=CAP_BPF least blocklist-load "dump, --max-shrink, and reserve" blocklist-load "$dir" reserve 16
	blocklist-load "$dir" load "$list"
	least blocklist-load "check and stats; load and dump after reserve" blocklist-load . check "$list"
	least blocklist-load "check and stats; load and dump after reserve" blocklist-load "$dir" stats
	least blocklist-load "check and stats; load and dump after reserve" \
		blocklist-load "$dir" load --max-shrink 10 "$list"
	least blocklist-load "check and stats; load and dump after reserve" blocklist-load "$dir" dump
	all_tested blocklist-load
}

@test "sockmap-update" {
	requires root unprivileged-map-access
	netns ns
	local NS=$ns
	bpftool map create "$BPFFS/map" type sockmap key 4 value 8 entries 1 name map
	mine "$BPFFS/map"
	serve "$ns" root tcp:127.0.0.1:7777
	least sockmap-update "by PID and FD, of a process that is not yours" \
		sockmap-update "$PID" 3 "$BPFFS/map"
	least sockmap-update "--listen, --cookie or --unit, of a process that is not yours" \
		sockmap-update --listen tcp:127.0.0.1:7777 "$BPFFS/map"
	if [ -n "$(control_groups)" ]; then
		unit "$PID" web.service
		least sockmap-update "--listen, --cookie or --unit, of a process that is not yours" \
			sockmap-update --unit web "$BPFFS/map"
	fi
	least sockmap-update "a socket of your own process, or of systemd; --delete" \
		sockmap-update --delete "$BPFFS/map"
	start_in "$ns" "${PLAIN[@]}" "$HOOKSET_ROOT/tests/fixtures/sockets" serve plain tcp:127.0.0.1:7778
	poll 5 grep -qx ready "$OUT"
	least sockmap-update "a socket of your own process, or of systemd; --delete" \
		sockmap-update "$PID" 3 "$BPFFS/map"
	NS=
	least sockmap-update --netns sockmap-update -n "$ns" --listen tcp:127.0.0.1:7778 "$BPFFS/map"
	all_tested sockmap-update
}

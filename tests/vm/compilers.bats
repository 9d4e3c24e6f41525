#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The objects that tests/vm/compilers made, in $HOOKSET_OBJECTS, with this kernel, ip
# and bpftool: each of them loads, and does what it should.
# shellcheck disable=SC2154,SC2317 # netns sets names; functions are given to for_each

load ../lib/helpers

PACKETS=$BATS_TEST_DIRNAME/../objects/packets.py
TABLES=$BATS_TEST_DIRNAME/../objects/packets

setup_file() {
	[ -d "${HOOKSET_OBJECTS-}" ] || {
		echo "HOOKSET_OBJECTS is not the directory that tests/vm/compilers has filled" >&2
		return 1
	}
	BUILDS=$(builds)
	export BUILDS
	printf 'builds: %s\n' "${BUILDS//$'\n'/ }" >&3
}

# builds: those that the libbpf of these tools can open.
builds() {
	local dir build empty_bss=
	! opens_empty_bss || empty_bss=yes
	for dir in "$HOOKSET_OBJECTS"/*/; do
		build=$(basename "$dir")
		[[ $build == bpf-gcc* && ! $empty_bss ]] || echo "$build"
	done
}

# GNU as makes a .bss in each object; libbpf 0.3 fails to map one that is empty.
opens_empty_bss() {
	local dir=$BATS_FILE_TMPDIR/empty_bss rc=0
	mkdir -p "$dir/bpffs"
	clang -O2 -target bpf -x c - -c -o "$dir/pass.o" <<-'EOF'
		asm(".section .bss,\"aw\",@nobits");
		__attribute__((section("xdp"))) int pass(void *ctx) { return 2; }
		char LICENSE[] __attribute__((section("license"))) = "Dual BSD/GPL";
	EOF
	mount -t bpf "hookset-$HOOKSET_SUITE" "$dir/bpffs"
	bpftool prog load "$dir/pass.o" "$dir/bpffs/pass" >/dev/null 2>&1 || rc=1
	umount "$dir/bpffs"
	return $rc
}

# for_each COMMAND OBJECT...: call COMMAND with the path of each object of each build, and
# with a name for it. All are tried before it fails.
for_each() {
	local command=$1 said=$BATS_TEST_TMPDIR/said failed=0 build object
	shift
	mkdir -p "$BPFFS/prog" "$BPFFS/maps"
	for build in $BUILDS; do
		for object in "$@"; do
			# In the background, as `set -e` would not be heeded in a condition.
			"$command" "$HOOKSET_OBJECTS/$build/$object" "$build-${object%%.*}" >"$said" 2>&1 3>&- &
			wait $! && continue
			printf 'FAILED: %s %s\n' "$command" "$build/$object"
			cat "$said"
			failed=1
		done
	done
	return $failed
}

# What for_each is given: bpftool loads as $BPFFS/prog/NAME, with its maps in $BPFFS/maps/NAME.
# libbpf 0.3 does not know SEC("sk_lookup"), and has to be told.
load_xdp() { bpftool prog load "$1" "$BPFFS/prog/$2" type xdp; }
load_sk_lookup() {
	bpftool prog load "$1" "$BPFFS/prog/$2" type sk_lookup pinmaps "$BPFFS/maps/$2"
}

load_text() {
	llvm-objcopy --rename-section .text=xdp "$1" "$BATS_TEST_TMPDIR/text.o"
	load_xdp "$BATS_TEST_TMPDIR/text.o" "$2"
}

load_ping() {
	local maps=$BPFFS/maps/$2
	bpftool prog load "$1" "$BPFFS/prog/$2" type xdp pinmaps "$maps"
	bpftool map update pinned "$maps/ping_hash" key hex c0 00 02 42 value hex 1 0 0 0
	bpftool map update pinned "$maps/ping_hash6" \
		key hex 20 01 0d b8 0 0 0 0 0 0 0 0 0 0 0 66 value hex 1 0 0 0
}

# ping_events: the same, and what user space gets to see.
ping_events() {
	load_ping "$@"
	ln -s "$BPFFS/prog/$2" "$BPFFS/maps/$2/prog"
	"$PACKETS" events "$TABLES/icmp.table" "$BPFFS/maps/$2"
}

# dispatches: an open port reaches the server, another does not.
dispatches() {
	load_sk_lookup "$@"
	rm -f "$BPFFS/link"
	sk-lookup-attach --netns "$ns" "$BPFFS/prog/$2" "$BPFFS/link"
	in_ns "$ns" sockmap-update "$PID" 3 "$BPFFS/maps/$2/echo_socket"
	answers refused "$ns" tcp 127.0.0.1 7
	bpftool map update pinned "$BPFFS/maps/$2/echo_ports" key 7 0 value 0
	answers "echo hello|7" "$ns" tcp 127.0.0.1 7
	answers refused "$ns" tcp 127.0.0.1 8
}

# ip_loads MODE SECTION OBJECT: to lo in generic mode, to a veth in native mode.
ip_loads() {
	local dev=lo
	[ "$1" != xdpdrv ] || dev=veth0
	ip -n "$ns" link set dev "$dev" "$1" obj "$3" sec "$2"
	run -0 ip -n "$ns" link show dev "$dev"
	ip -n "$ns" link set dev "$dev" "$1" off
	[[ $output == *"prog/xdp id "* ]]
}

ip_loads_generic() { ip_loads xdpgeneric xdp "$1"; }
ip_loads_native() { ip_loads xdpdrv xdp "$1"; }
ip_loads_text() {
	ip_loads xdpgeneric .text "$1"
	ip_loads xdpdrv .text "$1"
}

@test "bpf-gcc's objects can be opened: they have an empty .bss" {
	requires root
	opens_empty_bss ||
		skip "this libbpf opens no object with an empty .bss (0.3); bpf-gcc's are left out"
}

@test "each compiler has built each source" {
	local source build
	for source in "$HOOKSET_ROOT"/bpf/*.c; do
		for build in $BUILDS; do
			[ -s "$HOOKSET_OBJECTS/$build/$(basename "$source" .c).o" ]
		done
	done
}

@test "ip loads every XDP object, sec xdp, generic and native" {
	requires root
	two_hosts ns peer
	for_each ip_loads_generic xdp_drop.bpf.o xdp_pass.bpf.o detect_ping.bpf.o
	for_each ip_loads_native xdp_drop.bpf.o xdp_pass.bpf.o detect_ping.bpf.o
}

@test "ip loads xdp_drop.o, sec .text, generic and native" {
	requires root ip-text
	two_hosts ns peer
	for_each ip_loads_text xdp_drop.o
}

# bpftool takes no .text.
@test "xdp_drop.o, renamed to xdp: bpftool loads it, each packet of the table gets its verdict" {
	requires root cmd:llvm-objcopy
	for_each load_text xdp_drop.o
	"$PACKETS" verdicts "$TABLES/tcp.table" "$BPFFS/prog"
}

@test "xdp_drop.bpf.o: bpftool loads it, each packet of the table gets its verdict" {
	requires root
	for_each load_xdp xdp_drop.bpf.o
	"$PACKETS" verdicts "$TABLES/tcp.table" "$BPFFS/prog"
}

@test "xdp_pass.bpf.o: bpftool loads it, each packet of the table is passed" {
	requires root
	for_each load_xdp xdp_pass.bpf.o
	"$PACKETS" passes "$TABLES/tcp.table" "$BPFFS/prog"
}

@test "detect_ping.bpf.o: bpftool loads it, each packet of the table gets its verdict" {
	requires root
	for_each load_ping detect_ping.bpf.o
	"$PACKETS" verdicts "$TABLES/icmp.table" "$BPFFS/prog"
}

# Each compiler's, once: it takes long under emulation.
@test "detect_ping.bpf.o, stripped: each packet of the table gets its counters and its event" {
	requires root cmd:tshark cmd:ringbuf-read
	BUILDS=$(grep -e '-stripped$' <<<"$BUILDS") for_each ping_events detect_ping.bpf.o
}

@test "echo_dispatch.bpf.o: bpftool loads it" {
	requires root
	for_each load_sk_lookup echo_dispatch.bpf.o
}

@test "echo_dispatch.bpf.o: an open port reaches the server, another does not" {
	requires root cmd:sk-lookup-attach cmd:sockmap-update
	netns ns
	serve "$ns" echo tcp:127.0.0.1:7777
	for_each dispatches echo_dispatch.bpf.o
}

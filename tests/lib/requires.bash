# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# What a test needs of the machine, and how that is found out: features are tried, not versions.

# The dispatcher of the package libxdp1, by which xdp-loader runs several programs.
LIBXDP_DISPATCHER="/usr/lib/*/bpf/xdp-dispatcher.o"

# requires NEED...: skip the test, and say why, where the machine lacks one of them.
requires() {
	local need
	for need in "$@"; do
		case $need in
		root) [ "$(id -u)" -eq 0 ] || skip "needs root" ;;
		cmd:*) command -v "${need#cmd:}" >/dev/null || skip "needs the command ${need#cmd:}" ;;
		unprivileged-map-access) unprivileged_map_access ||
			skip "this kernel lets no plain user call bpf(2), kernel.unprivileged_bpf_disabled is set" ;;
		bpffs-exchange) bpffs_exchange || skip "this kernel's bpffs cannot exchange two pins" ;;
		unix-in-sockmap) unix_in_sockmap || skip "this kernel takes no unix socket into a sockmap" ;;
		no-sanitizers) no_sanitizers || skip "the helpers are built with sanitizers, which need more memory and size" ;;
		enum64) enum64 || skip "this kernel's BTF has no enums of 64 bits" ;;
		bloom-filter) bloom_filter || skip "this kernel has no bloom filter" ;;
		cap-bpf) cap_bpf || skip "with CAP_BPF alone nothing can be loaded here" ;;
		protocol:*) socket_of "${need#protocol:}" || skip "this kernel has no ${need#protocol:} sockets" ;;
		tls) "$HOOKSET_ROOT/tests/lib/probe.py" tls 2>/dev/null || skip "this kernel has no TLS of its own" ;;
		control-groups) [ -n "$(control_groups)" ] || skip "no control groups are mounted where systemd has them" ;;
		libxdp) compgen -G "$LIBXDP_DISPATCHER" >/dev/null || skip "needs libxdp's $LIBXDP_DISPATCHER" ;;
		run-sk-lookup) run_sk_lookup || skip "this kernel runs no sk_lookup program for a test" ;;
		xdp-frags) xdp_frags || skip "this kernel has no XDP programs for frames of several buffers" ;;
		ip-text) ip_takes_text || skip "this ip takes no .text program (libbpf 1.5)" ;;
		*)
			echo "requires: unknown need '$need'" >&2
			return 1
			;;
		esac
	done
}

# enum64: does the kernel know enums of 64 bits, as since 6.0? If not, libbpf gives it others.
enum64() {
	echo 'enum { LARGE = 1ll << 32 } x; __attribute__((section("xdp"))) int probe(void *ctx) { return x; }' |
		clang-19 -g -O2 -target bpf -xc -c - -o "$BATS_TEST_TMPDIR/probe.o"
	bpftool prog load "$BATS_TEST_TMPDIR/probe.o" "$BPFFS/probe" type xdp
	bpftool btf dump prog pinned "$BPFFS/probe" >"$BATS_TEST_TMPDIR/probe"
	rm "$BPFFS/probe"
	grep -q '] ENUM64 ' "$BATS_TEST_TMPDIR/probe"
}

# no_sanitizers: are the helpers as they are installed, and not by make SANITIZE=1?
no_sanitizers() {
	! ldd "$HOOKSET_BUILD/map-pin" | grep -q 'libasan\.'
}

# The others try what their name says.
bloom_filter() {
	bpftool map create "$BPFFS/probe" type bloom_filter key 0 value 4 entries 1 name hookset_probe \
		2>/dev/null || return 1
	rm "$BPFFS/probe"
}

# run_sk_lookup: by BPF_PROG_TEST_RUN, since Linux 5.13.
run_sk_lookup() {
	local rc=0
	bpftool prog load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/probe" || return 1
	head -c 72 /dev/zero >"$BATS_TEST_TMPDIR/probe"
	printf '\2' | dd of="$BATS_TEST_TMPDIR/probe" bs=1 seek=8 conv=notrunc status=none # AF_INET
	printf '\6' | dd of="$BATS_TEST_TMPDIR/probe" bs=1 seek=12 conv=notrunc status=none # TCP
	bpftool prog run pinned "$BPFFS/probe" ctx_in "$BATS_TEST_TMPDIR/probe" >/dev/null || rc=1
	rm "$BPFFS/probe"
	return $rc
}

# xdp_frags: since Linux 5.18.
xdp_frags() {
	bpftool prog load "$HOOKSET_BUILD/xdp_pass.frags.bpf.o" "$BPFFS/probe" 2>/dev/null || return 1
	rm "$BPFFS/probe"
}

# socket_of PROTOCOL: does tests/fixtures/sockets get a socket of it?
socket_of() {
	"$HOOKSET_ROOT/tests/fixtures/sockets" open "$1" 2>/dev/null
}

# cap_bpf: are CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON enough to load a program?
cap_bpf() {
	chmod 777 "$BPFFS"
	with_cap_bpf bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/probe" || return 1
	rm "$BPFFS/probe"
	chmod 755 "$BPFFS"
}

unprivileged_map_access() {
	local dir rc=0
	dir=$(mktemp -d)
	mount -t bpf "hookset-$HOOKSET_SUITE" "$dir"
	chmod 755 "$dir"
	bpftool map create "$dir/m" type array key 4 value 4 entries 1 name hookset_probe
	chown 65534 "$dir/m"
	as_user bpftool map dump pinned "$dir/m" >/dev/null 2>&1 || rc=1
	umount "$dir"
	rmdir "$dir"
	return $rc
}

ip_takes_text() {
	local ns rc=0
	netns ns
	ip -n "$ns" link set dev lo xdp obj "$HOOKSET_BUILD/xdp_drop.o" sec .text 2>/dev/null || rc=1
	return $rc
}

unix_in_sockmap() {
	bpftool map create "$BPFFS/probe" type sockmap key 4 value 8 entries 1 name hookset_probe
	"$HOOKSET_ROOT/tests/lib/probe.py" unix-in-sockmap "$BPFFS/probe"
}

bpffs_exchange() {
	mkdir "$BPFFS/probe1" "$BPFFS/probe2"
	"$HOOKSET_ROOT/tests/lib/probe.py" exchange "$BPFFS/probe1" "$BPFFS/probe2" || return 1
	rmdir "$BPFFS/probe1" "$BPFFS/probe2"
}

# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Around the whole suite: at its end the machine must be what it was before.

# What the kernel and the machine hold of ours: programs, maps, links, network
# namespaces, devices and bpffs mounts. One line each.
inventory() {
	local kind
	for kind in prog map link; do
		bpftool -j "$kind" show | list_ids "$kind"
	done
	ip netns list 2>/dev/null | awk '{ print "netns " $1 }'
	ip -o link show | awk -F': ' '{ print "device " $2 }'
	awk '$3 == "bpf" { print "bpffs " $2 }' /proc/self/mounts
}

# The processes that the suite has started and that still run: they have its mark
# in their environment, and are not the shells that run this.
processes() {
	local environ pid
	for environ in /proc/[0-9]*/environ; do
		pid=${environ#/proc/}
		pid=${pid%/environ}
		if [ "$pid" = "$BASHPID" ] || [ "$pid" = $$ ]; then
			continue
		fi
		grep -qzFx "HOOKSET_SUITE=$HOOKSET_SUITE" "$environ" 2>/dev/null || continue
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | sed "s/^/process $pid: /; s/\$/\n/"
	done
}

list_ids() {
	/usr/bin/python3 -c '
import json, sys
for o in json.load(sys.stdin):
    print(sys.argv[1], o["id"], o.get("type"), o.get("name", ""))' "$1"
}

setup_suite() {
	bats_require_minimum_version 1.8.0
	[ "$(id -u)" -eq 0 ] || {
		echo "tests need root (netns, bpffs, BPF)" >&2
		return 1
	}
	# The tests use a copy that a plain user can reach: a clone may lie in /root.
	chmod 711 "$BATS_RUN_TMPDIR" "$BATS_SUITE_TMPDIR"
	HOOKSET_ROOT=$BATS_SUITE_TMPDIR/hookset
	HOOKSET_BUILD=$HOOKSET_ROOT/build
	mkdir "$HOOKSET_ROOT"
	# build/vm is the cache of `make vmtest`: gigabytes, and nothing to these tests.
	tar -C "$(dirname "${BASH_SOURCE[0]}")/../.." --exclude=./build/vm -cf - . | tar -C "$HOOKSET_ROOT" -xf -
	chmod -R go+rX "$HOOKSET_ROOT"
	HOOKSET_SUITE=$(printf %08x "$SRANDOM")
	export HOOKSET_ROOT HOOKSET_BUILD HOOKSET_SUITE PATH="$HOOKSET_BUILD:$PATH"
	inventory | sort >"$BATS_SUITE_TMPDIR/before"
}

teardown_suite() {
	local left deadline=$((SECONDS + 10))

	# The kernel frees programs, maps and namespaces after a grace period.
	while :; do
		inventory | sort >"$BATS_SUITE_TMPDIR/after"
		left=$(comm -13 "$BATS_SUITE_TMPDIR/before" "$BATS_SUITE_TMPDIR/after"; processes)
		if [ -z "$left" ] || [ $SECONDS -ge $deadline ]; then
			break
		fi
		sleep 0.2
	done
	if [ -n "$left" ]; then
		printf 'left behind by the suite:\n%s\n' "$left" >&2
		return 1
	fi
}

# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash disable=SC2034 # the suites read TOOL, STARTED and the like
# What every suite loads: `load ../lib/helpers`. The helpers are in the files beside this one,
# of one job each; README.md lists them. setup() gives each test its own bpffs at $BPFFS, and
# the network namespaces that it asks for; teardown() removes them, after half a set-up too.

bats_require_minimum_version 1.8.0

# The tool that tests/tools/TOOL.bats tests.
TOOL=$(basename "$BATS_TEST_FILENAME" .bats)

for helpers in requires hosts sockets processes units users pins expect kill; do
	# shellcheck source=/dev/null # each is checked itself
	. "${BASH_SOURCE[0]%/*}/$helpers.bash"
done
unset helpers

setup() {
	NETNS=()
	BPFFS=$BATS_TEST_TMPDIR/bpffs
	mkdir "$BPFFS"
	mount -t bpf "hookset-$HOOKSET_SUITE" "$BPFFS"
	# A plain user must be able to walk to it.
	chmod 711 "${BATS_TEST_TMPDIR%/*}" "$BATS_TEST_TMPDIR"
	chmod 755 "$BPFFS"
}

teardown() {
	local ns
	stop_all
	remove_units
	for ns in "${NETNS[@]}"; do
		ip netns del "$ns" || true
	done
	! mountpoint -q "$BPFFS" || umount "$BPFFS"
}

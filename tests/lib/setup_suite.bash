# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Around each call of bats: a copy of the tree for its tests, and at its end, nothing is left on
# the machine. Around several calls, tests/run does the latter, and gives them all its mark.

setup_suite() {
	local origin
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
	# build/vm is the cache of `make vmtest`: gigabytes, and nothing to these tests. What tests/lint
	# remembers in build/lint, it shall find again in the next run.
	origin=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	tar -C "$origin" --exclude=./build/vm --exclude=./build/lint -cf - . | tar -C "$HOOKSET_ROOT" -xf -
	mkdir -p "$origin/build/lint" "$HOOKSET_BUILD"
	ln -s "$origin/build/lint" "$HOOKSET_BUILD/lint"
	chmod -R go+rX "$HOOKSET_ROOT"
	export HOOKSET_ROOT HOOKSET_BUILD PATH="$HOOKSET_BUILD:$PATH"
	if [ -z "${HOOKSET_SUITE-}" ]; then
		export HOOKSET_SUITE=${BATS_RUN_TMPDIR##*-}
		LEFTOVERS=$BATS_SUITE_TMPDIR/before
		"$HOOKSET_ROOT/tests/lib/leftovers.py" before "$LEFTOVERS"
	fi
}

teardown_suite() {
	[ -z "${LEFTOVERS-}" ] || "$HOOKSET_ROOT/tests/lib/leftovers.py" after "$LEFTOVERS" >&2
}

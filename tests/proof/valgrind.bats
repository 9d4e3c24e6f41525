#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# No memory is used that is not the helper's own, and none is lost: tests/proof/valgrind.

load ../lib/helpers

@test "a verb of each helper under valgrind: none is wrong" {
	requires root no-sanitizers cmd:valgrind
	run -0 "$HOOKSET_ROOT/tests/proof/valgrind" --short
	[[ ${lines[-1]} =~ ^valgrind:\ ([0-9]+)\ verbs,\ [0-9]+\ runs,\ 0\ wrong$ ]]
	((BASH_REMATCH[1] == $(printf '%s\n' "$HOOKSET_ROOT"/tools/*.cc | wc -l)))
}

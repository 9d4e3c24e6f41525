#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Two verbs at once are one after the other: tests/proof/races.

load ../lib/helpers

@test "a quarter of the pairs of verbs that share a directory, a map or a hook, at once: none is wrong" {
	requires root cmd:strace
	run -0 "$HOOKSET_ROOT/tests/proof/races" --short
	[[ ${lines[-1]} =~ ^races:\ ([0-9]+)\ pairs,\ ([0-9]+)\ races,\ 0\ wrong$ ]]
	((BASH_REMATCH[1] >= 20 && BASH_REMATCH[2] == BASH_REMATCH[1]))
}

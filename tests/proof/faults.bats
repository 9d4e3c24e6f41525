#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What fails once, or is killed once, changes nothing or says what it did: tests/proof/faults.

load ../lib/helpers

@test "a hundredth of the faults and kills of each verb: none is wrong" {
	requires root no-sanitizers cmd:strace cmd:clang
	run -0 "$HOOKSET_ROOT/tests/proof/faults" --short
	[[ ${lines[-1]} =~ ^faults:\ ([0-9]+)\ verbs,\ ([0-9]+)\ faults,\ [0-9]+\ kills,\ 0\ wrong$ ]]
	((BASH_REMATCH[1] == $(grep -c '^    Scene(' "$HOOKSET_ROOT/tests/proof/scenes.py") && BASH_REMATCH[2] > 20))
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Clang's analyzer finds nothing: tests/proof/analyze.

# No kernel has a say in it.
# bats file_tags=kernel-free
load ../lib/helpers

@test "clang's analyzer and clang-tidy's checks find nothing in the locks" {
	requires root cmd:clang-tidy
	run -0 "$HOOKSET_ROOT/tests/proof/analyze" --short
	[ "${lines[-1]}" = "analyze: 1 sources, 0 wrong" ]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Nothing grows, and nothing is left: tests/proof/soak. What is left after seconds of it, the suite finds.

load ../lib/helpers

@test "all verbs again and again, beside a reader of events: the same each time" {
	requires root
	run -0 "$HOOKSET_ROOT/tests/proof/soak" --short
	[[ ${lines[-1]} =~ ^soak:\ 1\ hours,\ ([0-9]+)\ runs,\ ([0-9]+)\ events,\ 0\ wrong$ ]]
	((BASH_REMATCH[1] > 30 && BASH_REMATCH[2] > 0))
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Who may do what is as the man pages say: tests/proof/privileges.

load ../lib/helpers

@test "each verb with no, its own and all capabilities, with pins of one's own and of root: none is wrong" {
	requires root cap-bpf unprivileged-map-access
	run -0 "$HOOKSET_ROOT/tests/proof/privileges" --short
	[[ ${lines[-1]} =~ ^privileges:\ ([0-9]+)\ verbs,\ ([0-9]+)\ runs,\ 0\ wrong$ ]]
	((BASH_REMATCH[2] == 6 * BASH_REMATCH[1]))
}

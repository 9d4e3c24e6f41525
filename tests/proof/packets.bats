#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Verdicts of packets that nobody has thought of are the oracle's: tests/proof/packets.

load ../lib/helpers

@test "2,000 packets through each XDP object: tshark and the RFCs agree with each verdict" {
	requires root xdp-frags
	run -0 "$HOOKSET_ROOT/tests/proof/packets" --short
	[[ ${lines[-1]} =~ ^packets:\ 1\ batches,\ 2000\ packets,\ ([0-9]+)\ verdicts,\ 0\ wrong$ ]]
	((BASH_REMATCH[1] > 12000))
}

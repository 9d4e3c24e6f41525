#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Whatever bytes an input has: on standard error they are printable ASCII, and JSON is UTF-8.

# bats file_tags=kernel-free
load ../lib/helpers
ns='' # by netns()

PRINTABLE=$BATS_TEST_DIRNAME/printable.py

pins() {
	create_map sockmap sockmap 4 8 1
	create_map map hash 4 4 4
	load_prog echo_dispatch
	mv "$BPFFS/echo_dispatch_prog" "$BPFFS/prog"
	load_prog xdp_drop
	bpftool map pin id "$(field prog "$BPFFS/xdp_drop_prog" map_ids)" "$BPFFS/variables"
}

@test "each byte in each argument, file name and line of a list, of each tool" {
	netns ns
	pins
	local source tool
	for source in "$HOOKSET_ROOT"/tools/*.cc; do
		tool=$(basename "$source" .cc)
		in_ns "$ns" "$PRINTABLE" arguments "$tool" "$BPFFS"
	done
}

@test "each byte in the names of an object file, which libbpf's log and the verifier's quote" {
	"$PRINTABLE" kernel prog-load "$BPFFS"
}

@test "a device whose name is not ASCII, nor UTF-8" {
	local odd=$'h\x1b[1m\xff\xc3'
	netns ns
	load_prog xdp_pass
	ip -n "$ns" link add "$odd" type veth peer name other

	TOOL=xdp-attach says "attached program $(field prog "$BPFFS/xdp_pass_prog" id) to 'h\\x1b[1m\\xff\\xc3' in native mode" \
		-n "$ns" "$odd" "$BPFFS/xdp_pass_prog"
	run -1 --separate-stderr xdp-attach -n "$ns" "$odd" "$BPFFS/xdp_pass_prog"
	# shellcheck disable=SC2154 # run sets stderr
	[[ $stderr == "xdp-attach: "*"'h\\x1b[1m\\xff\\xc3'"* ]]
	[[ $stderr != *$'\x1b'* && $stderr != *$'\xff'* ]]
	run -0 --separate-stderr xdp-attach -j --detach -n "$ns" "$odd"
	/usr/bin/python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read().decode("utf-8"))' <<<"$output"
}

# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # bats sets stderr
# Lists, and xdp_blocklist, which they are loaded into: `load ../lib/lists` after the helpers.

# load_blocklist: the program and its maps, each under its name, in $BPFFS/dir.
load_blocklist() {
	bpftool prog load "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/prog" pinmaps "$BPFFS/dir"
}

# loads ARGUMENT...: into $BPFFS/dir, and it says nothing on stderr.
loads() {
	run -0 --separate-stderr blocklist-load "$BPFFS/dir" load "$@"
	[ -z "$stderr" ]
}

# active_is [LINE...]: dump prints exactly this.
active_is() {
	local expected=""
	[ $# -eq 0 ] || expected=$(printf '%s\n' "$@")
	run -0 --separate-stderr blocklist-load "$BPFFS/dir" dump
	if [ "$output" != "$expected" ] || [ -n "$stderr" ]; then
		printf 'expected:\n%s\nactive:\n%s\n%s\n' "$expected" "$output" "$stderr" >&2
		return 1
	fi
}

# write_list TEXT [NAME]: a list in $BATS_TEST_TMPDIR/NAME, "file" by default; \n and the like are
# expanded.
write_list() {
	printf '%b' "$1" >"$BATS_TEST_TMPDIR/${2:-file}"
}

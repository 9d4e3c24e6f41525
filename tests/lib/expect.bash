# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# One line, one command, one expectation: the exit status, stdout and stderr.

# call COMMAND...: what `run --separate-stderr` does, in a third of the time.
call() {
	local errors=$BATS_TEST_TMPDIR/stderr
	status=0
	output=$("$@" 2>"$errors") || status=$?
	stderr=$(<"$errors")
}

# fails STATUS TEXT COMMAND...: it exits with STATUS, says exactly TEXT on
# stderr, in one line, and nothing on stdout.
fails() {
	local status_expected=$1 text=$2
	shift 2
	call "$@"
	if [ "$status" -ne "$status_expected" ] || [ "$stderr" != "$text" ] || [ -n "$output" ]; then
		printf 'command:  %s\nexpected: %s, "%s"\nstatus:   %s\nstdout:   %s\nstderr:   "%s"\n' \
			"$*" "$status_expected" "$text" "$status" "$output" "$stderr" >&2
		return 1
	fi
}

# misuse TEXT ARGUMENT...: the suite's tool refuses the arguments, and says so.
misuse() {
	local text=$1
	shift
	fails 2 "$TOOL: $text"$'\n'"Try '$TOOL --help'" "$TOOL" "$@"
}

# refused TEXT ARGUMENT...: the suite's tool fails, and says why.
refused() {
	local text=$1
	shift
	fails 1 "$TOOL: $text" "$TOOL" "$@"
}

# silent ARGUMENT...: the suite's tool does it, and says nothing.
silent() {
	fails 0 "" "$TOOL" "$@"
}

# says TEXT ARGUMENT...: the suite's tool does it, and says exactly this, on stdout alone.
says() {
	local text=$1
	shift
	call "$TOOL" "$@"
	if [ "$status" -ne 0 ] || [ "$output" != "$text" ] || [ -n "$stderr" ]; then
		printf '%s %s\nexpected: "%s"\nstatus:   %s\nstdout:   "%s"\nstderr:   "%s"\n' \
			"$TOOL" "$*" "$text" "$status" "$output" "$stderr" >&2
		return 1
	fi
}

# A stdout that fails, for the command alone.
to_full() { "$@" >/dev/full; }
to_closed() { "$@" >&-; }

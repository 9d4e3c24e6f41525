#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Each command in the EXAMPLES of each man page is played, in a throwaway machine of its own,
# and prints what the page shows. examples.setup has what a page needs for it, and names the
# commands that are not played, with the reason.

# bats file_tags=kernel-free
load ../lib/helpers

# plays: play the examples of the man page that the test is named after.
plays() {
	requires root
	"$HOOKSET_ROOT/tests/docs/examples" "$BATS_TEST_DESCRIPTION" >"$BATS_TEST_TMPDIR/$BATS_TEST_DESCRIPTION.md"
	run -0 "$HOOKSET_ROOT/tests/walkthrough" "$BATS_TEST_TMPDIR/$BATS_TEST_DESCRIPTION.md"
}

@test "blocklist-load.8" { plays; }
@test "detect_ping.7" { plays; }
@test "echo_dispatch.7" { plays; }
@test "hookset.7" { plays; }
@test "map-edit.8" { plays; }
@test "map-pin.8" { plays; }
@test "prog-load.8" { plays; }
@test "ringbuf-read.8" { plays; }
@test "sk-lookup-attach.8" { plays; }
@test "sk_dispatch.7" { plays; }
@test "sockmap-update.8" { plays; }
@test "xdp-attach.8" { plays; }
@test "xdp_blocklist.7" { plays; }
@test "xdp_firewall.7" { plays; }

@test "every man page has its test here" {
	local path
	for path in "$HOOKSET_ROOT"/tools/man/*.[78]; do
		grep -qF "@test \"${path##*/}\" { plays; }" "$BATS_TEST_FILENAME" || {
			echo "no test plays the examples of ${path##*/}"
			return 1
		}
	done
}

# page: tools/man/page.8 of a tree of its own, whose EXAMPLES are what comes on stdin.
page() {
	mkdir -p "$BATS_TEST_TMPDIR"/tree/{tests/docs,tools/man}
	cp "$HOOKSET_ROOT/tests/docs/examples" "$BATS_TEST_TMPDIR/tree/tests/docs"
	{
		printf '.Sh EXAMPLES\n'
		cat
		printf '.Sh SEE ALSO\n'
	} >"$BATS_TEST_TMPDIR/tree/tools/man/page.8"
}

# setup_says: the same for what comes on stdin, as what examples.setup says of the page.
setup_says() {
	{
		printf '[page.8]\n'
		cat
	} >"$BATS_TEST_TMPDIR/tree/tests/docs/examples.setup"
}

examples() {
	"$BATS_TEST_TMPDIR/tree/tests/docs/examples" page.8
}

@test "a command is found in a block and in a .Dl, with its output, over two lines as well" {
	page <<-'END'
		.Bd -literal -offset indent
		# echo one \e
		      two
		one two
		.Ed
		.Pp
		.Dl # echo three
	END
	setup_says </dev/null
	run -0 examples
	[[ $output == *$'\n```\nroot # echo one two\none two\n```\n```\nroot # echo three\n…\n```\n'* ]]
}

@test "what nobody can type is an error, unless it is said why it is not run" {
	page <<-'END'
		.Bd -literal
		ExecStart=/bin/true
		.Ed
	END
	setup_says </dev/null
	run -1 examples
	[ "$output" = "page.8: no command line, and no 'not run' in examples.setup: ExecStart=/bin/true" ]
	setup_says <<-'END'
		not run: ExecStart=/bin/true
	END
	run -1 examples
	[ "$output" = "examples.setup: page.8: no reason is given for: ExecStart=/bin/true" ]
	setup_says <<-'END'
		not run: ExecStart=/bin/true
		    a line of a unit
	END
	run -0 examples
}

@test "what is set up for a command that the page no longer has is an error" {
	page <<-'END'
		.Dl # true
	END
	setup_says <<-'END'
		before: false
		root # true
	END
	run -1 examples
	[ "$output" = "page.8: not in its EXAMPLES: false" ]
}

@test "examples.setup: lines before a command, numbers that differ, an interrupt, a failure" {
	page <<-'END'
		.Bd -literal
		# first
		id 17
		# second
		$ third
		.Ed
	END
	setup_says <<-'END'
		root # setup
		numbers: first
		before: second
		host $ ping
		interrupt: second
		may fail: third
		    it may
	END
	run -0 examples
	[[ $output == *$'root # setup\n…\n```\n```\nroot # first\nid …\n```\n```\nhost $ ping\n…\n```\n```\nroot # timeout --preserve-status -s INT 4 second\n…\n```\n'* ]]
	[[ $output == *$'<!-- if: '*$' -->\n```\nvm $ { third; } || true\n…\n```\n<!-- else -->\n```\nvm $ sudo '*third* ]]
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# What all helpers have in common: usage, exit status, messages, what they need.
# shellcheck disable=SC2034 # misuse() reads TOOL

# Only arguments and output: no kernel has a say in it.
# bats file_tags=kernel-free
load ../lib/helpers

# each FUNCTION: call it with each tool that there is a source of.
each() {
	local source tool

	for source in "$HOOKSET_ROOT"/tools/*.cc; do
		tool=$(basename "$source" .cc)
		echo "tool: $tool"
		"$1" "$tool" # no `||` here: it would switch `set -e` off in there
	done
}

# misused COMMAND...: status 2, nothing on stdout, one line that says what, and
# one that says where to look.
misused() {
	run -2 --separate-stderr "$@"
	[ -z "$output" ]
	[[ $stderr =~ ^"$1: "[^$'\n']+$'\n'"Try '$1 --help'"$ ]]
}

@test "every tool is built" {
	is_built() { [ "$(command -v "$1")" = "$HOOKSET_BUILD/$1" ]; }
	each is_built
}

@test "no arguments: 2" {
	each misused
}

@test "unknown options: 2" {
	unknown() {
		local TOOL=$1 # for misuse()
		misuse "unrecognized option '--bogus'" --bogus
		misuse "invalid option -- '~'" -~
		misuse "option '--help' doesn't allow an argument" --help=x
	}
	each unknown
}

@test "too many arguments: 2" {
	too_many() {
		local usage
		read -r usage < <("$1" --help)
		[[ $usage != *... ]] || return 0 # it takes any number
		misused "$1" 1 2 3 4 5 6 7 8 9
	}
	each too_many
}

@test "--netns without an argument, or with an empty one: 2" {
	no_netns() {
		local TOOL=$1 # for misuse()
		grep -q -- --netns <("$1" --help) || return 0
		misuse "option '--netns' requires an argument" --netns
		misuse "--netns is empty" --netns ""
	}
	each no_netns
}

@test "--help: on stdout, 0, at most 80 columns, Usage first" {
	help() {
		local flag

		for flag in --help -h; do
			run -0 --separate-stderr "$1" "$flag"
			[ -z "$stderr" ]
			[[ ${lines[0]} == "Usage: $1 "* ]]
			diff <(awk 'length > 80' <<<"$output") /dev/null
			[[ $output != *$'\t'* ]]
			[[ $output == *" -h, --help "* ]]
			[[ $output == *" -V, --version "* ]]
		done
	}
	each help
}

@test "a letter means the same in every tool, and all else is long only" {
	letters() {
		"$1" --help | sed -nE 's/^ +-([a-zA-Z]), --([a-z-]+).*/\1 \2/p'
	}
	diff <(each letters | grep -v '^tool:' | LC_ALL=C sort -u) - <<-'END'
		V version
		h help
		j json
		m mode
		n netns
		o owner
		p pretty
		r replace
		v verbose
	END
}

@test "--version" {
	local version
	version=$(sed -n 's/^VERSION *:= *//p' "$HOOKSET_ROOT/Makefile")
	is_version() {
		run -0 --separate-stderr "$1" --version
		[ -z "$stderr" ]
		[ "$output" = "$1 (hookset) $version" ]
		run -0 "$1" -V
		[ "$output" = "$1 (hookset) $version" ]
	}
	each is_version
}

# A stderr that fails. The redirections are for the tool alone, not for `run`.
errors_to_full() { "$@" 2>/dev/full; }
errors_to_closed() { "$@" 2>&-; }

@test "a stdout that takes nothing is an error: 1" {
	full() {
		fails 1 "$1: write to standard output: No space left on device" to_full "$1" --help
		fails 1 "$1: write to standard output: No space left on device" to_full "$1" --version
		fails 1 "$1: write to standard output: Bad file descriptor" to_closed "$1" --help
	}
	each full
}

@test "a stderr that takes nothing changes no exit status" {
	mute() {
		run -2 errors_to_full "$1" --bogus
		run -2 errors_to_closed "$1" --bogus
		run -2 errors_to_closed "$1"
	}
	each mute
}

@test "messages begin with the tool's name, by whatever path it is called" {
	by_path() {
		ln -s "$HOOKSET_BUILD/$1" "$BATS_TEST_TMPDIR/linked"
		run -2 "$BATS_TEST_TMPDIR/linked" --bogus
		[ "${lines[0]}" = "$1: unrecognized option '--bogus'" ]
		rm "$BATS_TEST_TMPDIR/linked"
	}
	each by_path
}

# The long options that begin an item of a list, in a --help or in a rendered page.
items() {
	sed -nE 's/^ +(-[[:alnum:]], )?(--[a-z][a-z-]*).*/\2/p' | sort
}

@test "every tool has a man page, and it and --help list the same options" {
	requires cmd:mandoc
	documented() {
		local page=$HOOKSET_ROOT/tools/man/$1.8

		[ -f "$page" ]
		"$1" --help | items | grep -qx -- --help
		diff <("$1" --help | items) \
			<(mandoc -T ascii "$page" | sed 's/.\x08//g' | sed -n '/^DESCRIPTION$/,/^EXIT STATUS$/p' | items)
	}
	each documented
}

@test "every man page gives the exit statuses 0, 1 and 2, and examples" {
	requires cmd:mandoc
	statuses() {
		local page

		page=$(mandoc -T ascii "$HOOKSET_ROOT/tools/man/$1.8" | sed 's/.\x08//g')
		diff <(sed -n '/^EXIT STATUS/,/^[A-Z]/{s/^ \+\([0-9]\+\) .*/\1/p}' <<<"$page") <(printf '0\n1\n2\n')
		grep -q '^EXAMPLES' <<<"$page"
	}
	each statuses
}

@test "every tool is small and needs no other library than libbpf's and its own" {
	requires no-sanitizers
	libraries() {
		local unexpected

		unexpected=$(ldd "$HOOKSET_BUILD/$1" |
			grep -vE '^\s*(/\S*/)?(linux-vdso|libbpf|libelf|libz|libzstd|libstdc\+\+|libgcc_s|libc|libm|ld-linux[a-z0-9_-]*)\.so\.[0-9]+ ' || true)
		echo "$unexpected"
		[ -z "$unexpected" ]
		# Those that are opened when they are needed: by these two alone.
		unexpected=$(grep -aoE 'lib(lzma|zstd)\.so\.[0-9]+' "$HOOKSET_BUILD/$1" | sort -u | paste -sd ' ')
		case $1 in
		blocklist-load | map-edit) [ "$unexpected" = "liblzma.so.5 libzstd.so.1" ] ;;
		*) [ -z "$unexpected" ] ;;
		esac
		[ "$(stat -c %s "$HOOKSET_BUILD/$1")" -lt 600000 ]
	}
	each libraries
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The short form of tests/proof/fuzz: all inputs that are kept, without sanitizers. libFuzzer's targets
# take minutes to build: who has built them, by make fuzzers, tries some thousands of new inputs too.

# No kernel has a say in it.
# bats file_tags=kernel-free
load ../lib/helpers

FUZZ=$BATS_TEST_DIRNAME/fuzz

# target NAME COMMAND...: a target that is a shell script, in $BATS_TEST_TMPDIR/fuzzers.
target() {
	local path=$BATS_TEST_TMPDIR/fuzzers/$1
	mkdir -p "${path%/*}"
	shift
	printf '#!/bin/sh\n%s\n' "$*" >"$path"
	chmod +x "$path"
}

@test "fuzz: no input that is kept is wrong" {
	local target
	run -0 "$FUZZ" --replay
	echo "# ${lines[-1]}" >&3
	[[ ${lines[-1]} =~ ^fuzz:\ ([0-9]+)\ targets,\ ([0-9]+)\ inputs,\ 0\ wrong$ ]]
	# Each target has some, and each folder is of a target.
	[ "${BASH_REMATCH[2]}" -eq "$(find "$BATS_TEST_DIRNAME/corpus" -type f | wc -l)" ]
	for target in "$BATS_TEST_DIRNAME"/corpus/*; do
		[ -e "$BATS_TEST_DIRNAME/fuzzers/${target##*/}.cc" ]
	done
	[ "${BASH_REMATCH[1]}" -eq "$(printf '%s\n' "$BATS_TEST_DIRNAME"/corpus/* | wc -l)" ]
}

@test "fuzz: some thousands of new inputs" {
	make -C "$HOOKSET_ROOT" -q fuzzers || skip "the fuzzers are not built: make fuzzers"
	run -0 "$FUZZ" --short
	echo "# ${lines[-1]}" >&3
	[[ ${lines[-1]} =~ ^fuzz:\ [0-9]+\ targets,\ [0-9]+\ inputs,\ 0\ wrong$ ]]
}

@test "fuzz: a wrong is counted, and its input named" {
	target good 'echo "stat::number_of_executed_units: 12"'
	target bad 'echo "wrong: it is bad"; echo "stat::number_of_executed_units: 3"
		echo "artifact_prefix=; Test unit written to /tmp/input"; exit 77'
	run -1 "$FUZZ" --short --fuzzers "$BATS_TEST_TMPDIR/fuzzers"
	[ "$output" = "bad: 3 inputs, 1 wrong
wrong: bad: wrong: it is bad: /tmp/input
good: 12 inputs, 0 wrong
fuzz: 2 targets, 15 inputs, 1 wrong" ]
	run -1 "$FUZZ" --seconds 1 --fuzzers "$BATS_TEST_TMPDIR/fuzzers" bad
	[ "${lines[-1]}" = "fuzz: 1 targets, 3 inputs, 1 wrong" ]
}

@test "fuzz --replay: the input of a crash is the last one that is named" {
	# shellcheck disable=SC2016 # the target's
	target address 'echo "$1" >&2; echo "$2" >&2; kill -SEGV $$'
	run -1 "$FUZZ" --replay --fuzzers "$BATS_TEST_TMPDIR/fuzzers"
	mapfile -t kept < <(printf '%s\n' "$BATS_TEST_DIRNAME"/corpus/address/* | LC_ALL=C sort)
	[[ ${lines[1]} == "wrong: address: "*": ${kept[1]}" ]]
	[ "${lines[-1]}" = "fuzz: 1 targets, 2 inputs, 1 wrong" ]
	# One that stops without a word has not read them all.
	target address 'exit 0'
	run -1 "$FUZZ" --replay --fuzzers "$BATS_TEST_TMPDIR/fuzzers"
	[ "${lines[1]}" = "wrong: address: 0 of ${#kept[@]} inputs were read" ]
}

@test "fuzz: a target that there is not" {
	run -1 "$FUZZ" --replay nosuch
	[ "$output" = "fuzz: no such target: nosuch" ]
}

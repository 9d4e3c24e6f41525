# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash disable=SC2154 # `run` sets status and output
# kill -9 at any moment: a check must hold after each.

# kills TIMES: how often to kill: a fifth, unless HOOKSET_KILLS is all; and on a machine that is
# slow by nature, fewer do.
kills() {
	local share=5
	[ "${HOOKSET_KILLS:-}" != all ] || share=1
	echo $(($1 / share / ${HOOKSET_PATIENCE:-1}))
}

# kill_at_each CHECK COMMAND...: kill COMMAND on entry to its first system call, in the
# next run to its second, and so on up to its last. After each, CHECK must succeed; it
# makes everything ready for the next one, too. KILLS is how many there were. What is called long
# before the first bpf() changes nothing: it is left out, unless HOOKSET_KILLS is all. On a
# machine that is slow by nature, some calls are left out.
kill_at_each() {
	local check=$1 calls call i first log=$BATS_TEST_TMPDIR/calls
	local -A nth=()
	shift
	strace -qq -o "$log" "$@"
	"$check"
	# The first is execve().
	mapfile -t calls < <(sed -nE '2,$s/^([a-z0-9_]+)\(.*/\1/p' "$log")
	first=$(printf '%s\n' "${calls[@]}" | grep -n -m 1 -x bpf | cut -d: -f1)
	first=$((first > 12 ? first - 12 : 0))
	[ "${HOOKSET_KILLS:-}" != all ] || first=0
	KILLS=0
	for i in "${!calls[@]}"; do
		call=${calls[i]}
		nth[$call]=$((${nth[$call]:-0} + 1))
		[ "$i" -ge "$first" ] || continue
		[ $((i % ${HOOKSET_PATIENCE:-1})) -eq 0 ] || continue
		run strace -qq -o /dev/null -e trace="$call" \
			-e inject="$call:signal=KILL:when=${nth[$call]}" "$@"
		# Some calls are not made each time: of the heap, for one.
		if [ "$status" -eq 137 ]; then
			KILLS=$((KILLS + 1))
		elif [ "$status" -ne 0 ]; then
			printf '%s, %s: %s\n%s\n' "$call" "${nth[$call]}" "$status" "$output" >&2
			return 1
		fi
		"$check" || {
			echo "killed on entry to $call, number ${nth[$call]}" >&2
			return 1
		}
	done
}

# kill_at_random TIMES CHECK COMMAND...: the same, at some moment within the time that it
# takes, and all of its process group, until it was killed so often. A machine that is busy
# for a while, and then is not, changes what that time is.
kill_at_random() {
	local times check=$2 rounds=0 took delay
	times=$(kills "$1")
	shift 2
	took=${EPOCHREALTIME/[.,]/}
	"$@"
	took=$((${EPOCHREALTIME/[.,]/} - took))
	"$check"
	KILLS=0
	while [ $KILLS -lt "$times" ]; do
		[ $((rounds += 1)) -le $((4 * times)) ]
		delay=$(((RANDOM << 15 | RANDOM) % took + 500))
		# In a process group of its own.
		run timeout -s KILL "$(printf '%d.%06d' $((delay / 1000000)) $((delay % 1000000)))" "$@"
		if [ "$status" -eq 137 ]; then
			KILLS=$((KILLS + 1))
			took=$((took + took / 25))
		elif [ "$status" -eq 0 ]; then
			took=$((took - took / 10))
		else
			printf '%s\n%s\n' "$status" "$output" >&2
			return 1
		fi
		"$check"
	done
}

# without_leftovers TOOL DIR: remove what SIGKILL can leave of TOOL's pins on their way to DIR:
# directories called TOOL~ and eight hexadecimal digits, and nothing else.
without_leftovers() {
	local left x='[0-9a-f]'
	# shellcheck disable=SC2231 # a pattern
	for left in "$2/$1"~$x$x$x$x$x$x$x$x; do
		[ ! -d "$left" ] || rm -r "$left"
	done
}

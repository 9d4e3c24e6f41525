# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Processes: start, stop, stop at a system call, and wait for something with a deadline.

# start COMMAND...: run it in the background until teardown. Its pid is in PID,
# its output in $BATS_TEST_TMPDIR/out.PID's file, named by OUT.
start() {
	OUT=$(mktemp "$BATS_TEST_TMPDIR/out.XXXXXX")
	# fd 3 is bats's own: whoever holds it open keeps bats waiting.
	"$@" >"$OUT" 2>"$OUT.err" 3>&- &
	PID=$!
	STARTED+=("$PID")
}

# start_in NETNS COMMAND...: start it there. PID is its own, as start() of a
# function would not make it.
start_in() {
	local ns=$1
	shift
	start nsenter --net="/run/netns/$ns" "$@"
}

# stop PID: end what start() started, and wait for it.
stop() {
	kill "$1" 2>/dev/null || true
	kill -CONT "$1" 2>/dev/null || true # it may be stopped
	wait "$1" 2>/dev/null || true
}

stop_all() {
	local pid
	for pid in "${STARTED[@]}"; do
		stop "$pid"
	done
	STARTED=()
}

# start_stopped CALL N [STRACE_OPTION...] COMMAND...: start it, and stop it when it has just made
# its Nth CALL. PID is its own: `kill -CONT "$PID"` lets it go on.
start_stopped() {
	local call=$1 n=$2 trace
	shift 2
	trace=$(mktemp "$BATS_TEST_TMPDIR/trace.XXXXXX")
	start strace -D -qq -o "$trace" -e "inject=$call:signal=STOP:when=$n" "$@"
	poll 20 grep -q 'stopped by SIGSTOP' "$trace"
}

# goes_on STATUS: let what start_stopped() has stopped go on. It ends with STATUS.
goes_on() {
	local got=0
	kill -CONT "$PID"
	wait "$PID" || got=$?
	[ "$got" -eq "$1" ] || {
		printf 'status: %s, expected: %s\n%s\n' "$got" "$1" "$(cat "$OUT.err")" >&2
		return 1
	}
}

# hold_lock DIR: a process, PID, has the directory locked until it ends. It is a `sleep`.
hold_lock() {
	start flock --no-fork "$1" sleep 60
	poll 5 is_locked "$1"
	poll 5 grep -qx sleep "/proc/$PID/comm" # flock becomes it when it has the lock
}

is_locked() {
	! flock -n "$1" true
}

# poll SECONDS COMMAND...: until it succeeds, or fail with what it last said. A machine
# that is slow by nature sets HOOKSET_PATIENCE: by how much longer.
poll() {
	local deadline=$((SECONDS + $1 * ${HOOKSET_PATIENCE:-1})) poll_said
	shift
	until poll_said=$("$@" 2>&1); do
		if [ $SECONDS -ge $deadline ]; then
			printf 'timed out: %s\n%s\n' "$*" "$poll_said" >&2
			return 1
		fi
		sleep 0.05
	done
}

# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# What the suites share. Each file says `load helpers`, and each test gets, by
# setup(), its own bpffs at $BPFFS and netns that it asks for; teardown() takes
# them away, after half a set-up too.

bats_require_minimum_version 1.8.0

# The dispatcher of the package libxdp1, by which xdp-loader runs several programs.
LIBXDP_DISPATCHER="/usr/lib/*/bpf/xdp-dispatcher.o"

# The tool that tests/tools/TOOL.bats tests.
TOOL=$(basename "$BATS_TEST_FILENAME" .bats)

# requires NEED...: skip, saying why, where the machine lacks one.
requires() {
	local need
	for need in "$@"; do
		case $need in
		root) [ "$(id -u)" -eq 0 ] || skip "needs root" ;;
		cmd:*) command -v "${need#cmd:}" >/dev/null || skip "needs the command ${need#cmd:}" ;;
		unprivileged-map-access) unprivileged_map_access ||
			skip "this kernel lets no plain user call bpf(2), kernel.unprivileged_bpf_disabled is set" ;;
		bpffs-exchange) bpffs_exchange || skip "this kernel's bpffs cannot exchange two pins" ;;
		unix-in-sockmap) unix_in_sockmap || skip "this kernel takes no unix socket into a sockmap" ;;
		enum64) enum64 || skip "this kernel's BTF has no enums of 64 bits" ;;
		bloom-filter) bloom_filter || skip "this kernel has no bloom filter" ;;
		cap-bpf) cap_bpf || skip "with CAP_BPF alone nothing can be loaded here" ;;
		libxdp) compgen -G "$LIBXDP_DISPATCHER" >/dev/null || skip "needs libxdp's $LIBXDP_DISPATCHER" ;;
		ip-text) ip_takes_text || skip "this ip takes no .text program (libbpf 1.5)" ;;
		*)
			echo "requires: unknown need '$need'" >&2
			return 1
			;;
		esac
	done
}

setup() {
	NETNS=()
	BPFFS=$BATS_TEST_TMPDIR/bpffs
	mkdir "$BPFFS"
	mount -t bpf hookset-test "$BPFFS"
	# A plain user must be able to walk to it.
	chmod 711 "$(dirname "$BATS_TEST_TMPDIR")" "$BATS_TEST_TMPDIR"
	chmod 755 "$BPFFS"
}

teardown() {
	local ns
	stop_all
	for ns in "${NETNS[@]}"; do
		ip netns del "$ns" || true
	done
	! mountpoint -q "$BPFFS" || umount "$BPFFS"
}

# netns VAR: make a network namespace with lo up, and put its name in VAR.
netns() {
	local name
	name=hookset-$(head -c 4 /dev/urandom | od -An -tx4 | tr -d ' ')
	ip netns add "$name"
	NETNS+=("$name")
	ip -n "$name" link set lo up
	printf -v "$1" %s "$name"
}

# two_hosts A B: netns A and B joined by a veth pair: A has 10.9.0.1/24 and
# fd09::1/64, B has .2 and ::2. The devices are both called veth0.
two_hosts() {
	netns "$1"
	netns "$2"
	local a=${!1} b=${!2}
	ip -n "$a" link add veth0 type veth peer name veth0 netns "$b"
	ip -n "$a" addr add 10.9.0.1/24 dev veth0
	ip -n "$b" addr add 10.9.0.2/24 dev veth0
	ip -n "$a" addr add fd09::1/64 dev veth0 nodad
	ip -n "$b" addr add fd09::2/64 dev veth0 nodad
	ip -n "$a" link set veth0 up
	ip -n "$b" link set veth0 up
	poll 5 has_carrier "$a"
}

has_carrier() {
	ip -n "$1" link show veth0 | grep -q LOWER_UP
}

# in_ns NAME COMMAND...: run it there. `ip netns exec` would hide bpffs pins.
in_ns() {
	local ns=$1
	shift
	nsenter --net="/run/netns/$ns" "$@"
}

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

# serve NETNS NAME SPEC...: start tests/fixtures/sockets there, which says what a
# SPEC is; its sockets are fds 3, 4, ... of PID.
serve() {
	local ns=$1
	shift
	start_in "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" serve "$@"
	poll 5 grep -qx ready "$OUT" || {
		cat "$OUT.err" >&2
		return 1
	}
}

# answers ANSWER NETNS PROTO ADDR PORT [COMMAND...]: this is what a client there
# gets to hear, as `tests/fixtures/sockets ask` says it.
answers() {
	local expected=$1 ns=$2 got
	shift 2
	got=$(in_ns "$ns" "$HOOKSET_ROOT/tests/fixtures/sockets" ask "$@")
	if [ "$got" != "$expected" ]; then
		printf 'asked:    %s\nexpected: "%s"\nanswer:   "%s"\n' "$*" "$expected" "$got" >&2
		return 1
	fi
}

# cookie NETNS SS_OPTION... FILTER: the cookie of the one socket that ss finds.
cookie() {
	local ns=$1 found
	shift
	found=$(in_ns "$ns" ss -Hnae "$@" | grep -o 'sk:[0-9a-f]*')
	if [ "$(wc -l <<<"$found")" -ne 1 ] || [ -z "$found" ]; then
		printf 'cookie: not one socket: %s\n%s\n' "$*" "$found" >&2
		return 1
	fi
	echo "${found#sk:}"
}

# holds MAP COOKIE... : the kernel's own dump of the map shows these sockets, in
# the order of their slots, and "-" for an empty one.
holds() {
	local map=$1 got
	shift
	got=$(bpftool -j map dump pinned "$map" | /usr/bin/python3 -c '
import json, sys
slots = [slot["value"] for slot in json.load(sys.stdin)]
print(*("%x" % int.from_bytes([int(byte, 16) for byte in slot], sys.byteorder)
        if isinstance(slot, list) else "-" for slot in slots))') || return 1
	if [ "$got" != "$*" ]; then
		printf 'map %s\nexpected: %s\nholds:    %s\n' "$map" "$*" "$got" >&2
		return 1
	fi
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

# listening NETNS PORT [-u]: is somebody there? Plain `ss` options follow.
listening() {
	local ns=$1 port=$2
	shift 2
	[ -n "$(in_ns "$ns" ss -Hln "${@:--t}" "sport = :$port")" ]
}

# As a plain user without any capability: for commands that start others.
PLAIN=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)

# as_user COMMAND...: the same.
as_user() {
	"${PLAIN[@]}" "$@"
}

# load_prog NAME [TYPE]: load build/NAME.bpf.o and pin it at $BPFFS/NAME_prog.
load_prog() {
	bpftool prog load "$HOOKSET_BUILD/$1.bpf.o" "$BPFFS/$1_prog"
}

# pins_are DIR NAME...: these pins are in DIR, and nothing else but what kernels put there.
pins_are() {
	local dir=$1
	shift
	[ "$(ls -I '*.debug' "$dir")" = "$(printf '%s\n' "$@" | sort)" ] || {
		printf '%s holds: %s\n' "$dir" "$(ls -m "$dir")" >&2
		return 1
	}
}

# field KIND PIN NAME: what bpftool says of a pinned object; a list is a line per item.
field() {
	bpftool -j "$1" show pinned "$2" | /usr/bin/python3 -c '
import json, sys
value = json.load(sys.stdin).get(sys.argv[1], "")
print(*value if isinstance(value, list) else [value], sep="\n")' "$3"
}

# pin_map NAME PROG: pin that map of the program pinned at PROG at $BPFFS/NAME.
# Names of maps are system-wide, so it is looked up by the program's own ids.
pin_map() {
	local id
	for id in $(bpftool -j prog show pinned "$2" |
		/usr/bin/python3 -c 'import json, sys; print(*json.load(sys.stdin)["map_ids"])'); do
		if bpftool -j map show id "$id" | grep -q "\"name\":\"$1\""; then
			bpftool map pin id "$id" "$BPFFS/$1"
			return
		fi
	done
	echo "pin_map: no map $1 in $2" >&2
	return 1
}

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

# object NAME SOURCE [FLAG...]: build tests/fixtures/SOURCE.bpf.c as the project's objects
# are built, or by $compiler, as $BATS_FILE_TMPDIR/NAME.o.
object() {
	local out=$BATS_FILE_TMPDIR/$1.o source=$BATS_TEST_DIRNAME/../fixtures/$2.bpf.c flags
	shift 2
	# shellcheck disable=SC2016 # make expands it
	flags=$(make -C "$HOOKSET_ROOT" -s --eval='flags:;@echo $(BPF_CFLAGS)' flags)
	# shellcheck disable=SC2086 # a list of flags
	"${compiler:-clang}" $flags "$@" -c "$source" -o "$out"
}

# kill_at_each CHECK COMMAND...: kill COMMAND on entry to its first system call, in the
# next run to its second, and so on up to its last. After each, CHECK must succeed; it
# makes everything ready for the next one, too. KILLS is how many there were. On a machine
# that is slow by nature, some calls are left out.
kill_at_each() {
	local check=$1 calls call i log=$BATS_TEST_TMPDIR/calls
	local -A nth=()
	shift
	strace -qq -o "$log" "$@"
	"$check"
	# The first is execve().
	mapfile -t calls < <(sed -nE '2,$s/^([a-z0-9_]+)\(.*/\1/p' "$log")
	KILLS=0
	for i in "${!calls[@]}"; do
		call=${calls[i]}
		nth[$call]=$((${nth[$call]:-0} + 1))
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

# kills TIMES: how often to kill; on a machine that is slow by nature, fewer do.
kills() {
	echo $(($1 / ${HOOKSET_PATIENCE:-1}))
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

# enum64: does the kernel know enums of 64 bits, as since 6.0, or does libbpf give it others?
enum64() {
	echo 'enum { LARGE = 1ll << 32 } x; __attribute__((section("xdp"))) int probe(void *ctx) { return x; }' |
		clang-19 -g -O2 -target bpf -xc -c - -o "$BATS_TEST_TMPDIR/probe.o"
	bpftool prog load "$BATS_TEST_TMPDIR/probe.o" "$BPFFS/probe" type xdp
	bpftool btf dump prog pinned "$BPFFS/probe" >"$BATS_TEST_TMPDIR/probe"
	rm "$BPFFS/probe"
	grep -q '] ENUM64 ' "$BATS_TEST_TMPDIR/probe"
}

bloom_filter() {
	bpftool map create "$BPFFS/probe" type bloom_filter key 0 value 4 entries 1 name hookset_probe \
		2>/dev/null || return 1
	rm "$BPFFS/probe"
}

# cap_bpf: is who has CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON enough to load?
cap_bpf() {
	chmod 777 "$BPFFS"
	with_cap_bpf bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/probe" || return 1
	rm "$BPFFS/probe"
	chmod 755 "$BPFFS"
}

# with_cap_bpf COMMAND...: as a plain user with these capabilities.
with_cap_bpf() {
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all,+bpf,+net_admin,+perfmon \
		--ambient-caps=-all,+bpf,+net_admin,+perfmon "$@"
}

unprivileged_map_access() {
	local dir rc=0
	dir=$(mktemp -d)
	mount -t bpf hookset-probe "$dir"
	chmod 755 "$dir"
	bpftool map create "$dir/m" type array key 4 value 4 entries 1 name hookset_probe
	chown 65534 "$dir/m"
	as_user bpftool map dump pinned "$dir/m" >/dev/null 2>&1 || rc=1
	umount "$dir"
	rmdir "$dir"
	return $rc
}

ip_takes_text() {
	local ns rc=0
	netns ns
	ip -n "$ns" link set dev lo xdp obj "$HOOKSET_BUILD/xdp_drop.o" sec .text 2>/dev/null || rc=1
	return $rc
}

# bpftool takes the fds that it was started with.
unix_in_sockmap() {
	bpftool map create "$BPFFS/probe" type sockmap key 4 value 8 entries 1 name hookset_probe
	/usr/bin/python3 -c '
import socket, subprocess, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
update = ["bpftool", "map", "update", "pinned", sys.argv[1], "key", *"0000", "value"]
sys.exit(subprocess.run(update + [str(sock.fileno()), *"0000000"], pass_fds=[sock.fileno()],
                        capture_output=True).returncode)' "$BPFFS/probe"
}

bpffs_exchange() {
	mkdir "$BPFFS/probe1" "$BPFFS/probe2"
	/usr/bin/python3 -c '
import ctypes, os, sys
one, two = (os.fsencode(arg) for arg in sys.argv[1:])
RENAME_EXCHANGE = 2  # linux/fs.h
sys.exit(ctypes.CDLL(None).renameat2(-100, one, -100, two, RENAME_EXCHANGE) != 0)' \
		"$BPFFS/probe1" "$BPFFS/probe2" || return 1
	rmdir "$BPFFS/probe1" "$BPFFS/probe2"
}

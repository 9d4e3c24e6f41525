#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2030,SC2031 # each test has a FILE of its own
# tests/walkthrough, which plays the walkthroughs: what it lets pass, what it does not, and that it
# leaves nothing, however it ends. readme.bats has the walkthroughs themselves, played by `make demo`.

# On each kernel tests/vm/vmtest plays the walkthroughs by themselves.
# bats file_tags=kernel-free
load ../lib/helpers

walkthrough() {
	run -0 "$HOOKSET_ROOT/tests/walkthrough" "$@"
}

# write_file: a walkthrough made of what comes on stdin. Its path is in FILE.
write_file() {
	FILE=$BATS_TEST_TMPDIR/file.md
	{
		printf '# A test\n\nProof: it ends\n\n'
		cat
	} >"$FILE"
}

# block: the same, of one block made of what comes on stdin.
block() {
	write_file < <(
		echo '```'
		cat
		echo '```'
	)
}

passes() {
	walkthrough "$FILE"
	[[ $output == *"ok $FILE ("* ]]
}

# breaks LINE TEXT: it fails at this line of the block, and says so.
breaks() {
	run -1 "$HOOKSET_ROOT/tests/walkthrough" "$FILE"
	[[ $output == *"FAILED $FILE:$(($1 + 5)): "*"$2"* ]] || {
		echo "expected: FAILED at $FILE:$(($1 + 5)): … $2"
		echo "$output"
		return 1
	}
}

# malformed TEXT: it is refused before anything is played.
malformed() {
	run -1 "$HOOKSET_ROOT/tests/walkthrough" "$FILE"
	[[ $output == "FAILED $FILE"*"$1" ]]
}

@test "runner: output as expected passes" {
	requires root
	block <<-'END'
		vm $ echo one; echo two
		one
		two
		host $ true
		host $ echo 'a.c [x]* (y)'
		a.c [x]* (y)
	END
	passes
	[[ $output == *"(3 commands)" ]]
}

@test "runner: who types is said by the prompt" {
	requires root
	block <<-'END'
		root # id -un; pwd
		root
		/root
		vm $ id -un; pwd
		vagrant
		/home/vagrant
		host $ id -un; ip -o link show vboxnet0 | wc -l
		vagrant
		1
		root # ip -o link show eth1 | wc -l
		1
	END
	passes
}

@test "runner: wrong output fails, with a difference" {
	requires root
	block <<-'END'
		vm $ true
		vm $ printf '%s\n' same other
		same
		expected
	END
	breaks 2 $'\n same\n-expected\n+other'
}

@test "runner: output where none is expected fails" {
	requires root
	block <<-'END'
		vm $ echo surprise
	END
	breaks 1 "+surprise"
}

@test "runner: no output where some is expected fails" {
	requires root
	block <<-'END'
		vm $ true
		something
	END
	breaks 1 "-something"
}

@test "runner: what is written is no regular expression" {
	requires root
	block <<-'END'
		vm $ echo abc
		a.c
	END
	breaks 1 "-a.c"
}

@test "runner: a command that fails fails" {
	requires root
	block <<-'END'
		vm $ echo why; false
		why
	END
	breaks 1 "exit status 1, expected 0"
}

@test "runner: a command that should fail may" {
	requires root
	block <<-'END'
		vm $ false
		exit status 1
		vm $ echo no such thing; (exit 3)
		no such thing
		exit status 3
		vm $ no-such-command
		bash: no-such-command: command not found
		exit status 127
	END
	passes
}

@test "runner: a command that should fail must" {
	requires root
	block <<-'END'
		vm $ true
		exit status 1
	END
	breaks 1 "exit status 0, expected 1"
}

@test "runner: … within a line is any text of that line" {
	requires root
	block <<-'END'
		vm $ echo 'id 17 of 40'; echo ab
		id … of …
		a…b
	END
	passes
	block <<-'END'
		vm $ printf 'one\ntwo\n'
		on…wo
	END
	breaks 1 "-on…wo"
}

@test "runner: … alone is any number of lines" {
	requires root
	block <<-'END'
		vm $ seq 100
		…
		50
		…
		vm $ echo last
		…
		last
		…
		vm $ true
		…
	END
	passes
	block <<-'END'
		vm $ seq 100
		…
		99
	END
	breaks 1 "+100"
}

@test "runner: blanks count as one, but count" {
	requires root
	block <<-'END'
		vm $ printf 'a   b\tc  \n'
		a b  c
	END
	passes
	block <<-'END'
		vm $ echo ab
		a b
	END
	breaks 1 "-a b"
}

@test "runner: a shell keeps its directory, variables and jobs, and host and vm are two" {
	requires root
	block <<-'END'
		vm $ cd /usr/bin
		vm $ x=5
		vm $ sleep 100 &
		[1] …
		vm $ pwd; echo $x; jobs
		/usr/bin
		5
		[1]+  Running  sleep 100 &
		host $ pwd; echo $x; jobs
		/home/vagrant

		vm $ echo a line that \
		goes on
		a line that goes on
		vm $ kill %1; wait
		vm $ true
	END
	passes
}

@test "runner: a server in the background listens when the next command runs" {
	requires root cmd:ncat
	block < <(
		for _ in {1..15}; do
			cat <<-'END'
				vm $ sh -c 'sleep 2; exec ncat -l 8080 --recv-only' < /dev/null > /dev/null &
				[1] …
				host $ ncat --send-only 192.168.56.10 8080 < /dev/null
				vm $ wait
			END
		done
	)
	# A shell that sleeps is at rest as well, and no server: so this must fail.
	breaks 3 "Connection refused"
	sed -i 's/sleep 2; //' "$FILE"
	passes
}

@test "runner: what waits without end is ended, and fails" {
	requires root
	block <<-'END'
		vm $ while :; do :; done &
		[1] …
	END
	breaks 1 "not at rest after 10 s"
}

@test "runner: the shells are a plain user's, with sudo, on hosts of their own" {
	requires root
	block <<-'END'
		vm $ whoami; sudo whoami; test "$(id -u)" != 0
		vagrant
		root
		vm $ ip -br addr show dev eth1
		eth1…192.168.56.10/24 fd56::10/64…
		host $ ping -c 1 -W 2 192.168.56.10 > /dev/null
		host $ ping -c 1 -W 2 fd56::10 > /dev/null
		vm $ ping -c 1 -W 2 fd56::1 > /dev/null
		vm $ cat /proc/sys/kernel/unprivileged_bpf_disabled
		…
	END
	passes
}

@test "runner: root in there reaches nothing of the machine" {
	requires root
	block <<-END
		vm \$ sudo touch /usr/hookset-was-here
		touch: …: Read-only file system
		exit status 1
		vm \$ sudo touch $HOOKSET_ROOT/hookset-was-here /vagrant/hookset-was-here
		…Read-only file system
		…Read-only file system
		exit status 1
		vm \$ sudo cp /etc/passwd /etc/hookset-was-here
		vm \$ sudo ls $BATS_TEST_TMPDIR
		ls: cannot access …: No such file or directory
		exit status 2
		vm \$ ip -br link | grep -v -e ^lo -e ^eth1
		exit status 1
	END
	passes
	[ ! -e /etc/hookset-was-here ]
	run ! grep vagrant /etc/sudoers
}

@test "runner: what a walkthrough leaves fails it" {
	requires root
	block <<-'END'
		vm $ touch ~/file
		host $ touch /tmp/file2
		vm $ sleep 100 &
		[1] …
		vm $ sudo ip link set dev eth1 xdp obj /vagrant/build/xdp_pass.bpf.o sec xdp
		vm $ mkdir ~/bpffs
		vm $ sudo mount -t bpf none ~/bpffs
		vm $ sudo bpftool prog load /vagrant/build/xdp_pass.bpf.o /sys/fs/bpf/pin
	END
	run -1 "$HOOKSET_ROOT/tests/walkthrough" "$FILE"
	local what
	for what in "left behind:" /home/vagrant/file /tmp/file2 $'\n[0-9]+\n' "eth1.* prog/xdp" \
		"none /home/vagrant/bpffs bpf" /sys/fs/bpf/pin; do
		[[ $output =~ $what ]] || {
			echo "not named: $what"
			echo "$output"
			return 1
		}
	done
}

@test "runner: a condition chooses one of two blocks, and says which and why" {
	requires root
	write_file <<-'END'
		<!-- if: vm $ echo the reason; false -->
		```
		vm $ echo not played
		```
		<!-- else -->
		```
		vm $ true
		```
		<!-- if: host $ true -->
		```
		vm $ true
		```
		<!-- else -->
		```
		vm $ echo not played
		```
	END
	passes
	[[ $output == *"# does it work here? echo the reason; false
# no: the reason
# does it work here? true
# yes
ok "*"(2 commands)" ]]
}

@test "runner: a shell that ends fails" {
	requires root
	block <<-'END'
		vm $ exit
	END
	breaks 1 "the shell ended"
}

@test "runner: what it cannot read is refused before it plays" {
	requires root
	write_file <<<'vm $ true'
	malformed ": a prompt outside a fenced block"
	write_file < <(printf '%s\n' '```' 'vm $ true')
	malformed ": the last fenced block has no end"
	write_file < <(printf '%s\n' '```' 'text' 'vm $ true' '```')
	malformed ": the block must begin with a prompt"
	write_file <<<'no commands'
	malformed ": no commands in it"
	write_file <<<'<!-- if: maybe -->'
	malformed ": unknown comment: <!-- if: maybe -->"
	block <<<'vm $ true'
	sed -i /Proof/d "$FILE"
	malformed ": no paragraph 'Proof: …'"
	FILE=$BATS_TEST_TMPDIR/nothing.md
	run -1 "$HOOKSET_ROOT/tests/walkthrough" "$FILE"
	[[ $output == *"No such file or directory: '$FILE'" ]]
}

@test "runner: --demo shows headings, commands, output, and the proofs at the end" {
	requires root
	printf '%s\n' '# One' 'Some prose.' 'Proof: one is shown' '## Part' '```' 'vm $ echo a b' 'a …' '```' \
		>"$BATS_TEST_TMPDIR/one.md"
	printf '%s\n' '# Two' 'Proof: two is shown' '```' 'host $ false' '```' >"$BATS_TEST_TMPDIR/two.md"
	cd "$BATS_TEST_TMPDIR"
	run -1 "$HOOKSET_ROOT/tests/walkthrough" --demo one.md two.md
	[ "$output" = "
# One


## Part

vm \$ echo a b
a b

# Two

host \$ false
exit status 1
FAILED two.md:4: host \$ false
exit status 1, expected 0; it said:


ok one.md: one is shown
FAILED two.md: two is shown" ]
}

@test "runner: --ssh: no such configuration, nobody who answers" {
	requires root cmd:ssh
	block <<<'vm $ true'
	run -1 "$HOOKSET_ROOT/tests/walkthrough" --ssh "$BATS_TEST_TMPDIR/none" "$FILE"
	[[ $output == "FAILED "*"No such file or directory: '$BATS_TEST_TMPDIR/none'" ]]
	printf 'Host vm\nHostname 127.0.0.1\nPort 1\n' >"$HOOKSET_BUILD/ssh_config"
	run -1 "$HOOKSET_ROOT/tests/walkthrough" --ssh "$HOOKSET_BUILD/ssh_config" "$FILE"
	[[ $output == *"the shell ended; it said:"*"port 1: Connection refused" ]]
}

@test "runner: a plain user is told that it needs root" {
	block <<<'vm $ true'
	chmod 644 "$FILE"
	fails 1 "walkthrough: make namespaces: not root" as_user "$HOOKSET_ROOT/tests/walkthrough" "$FILE"
}

# What could be left of a run. The program is found by the id that was printed.
nothing_left() {
	local id
	id=$(sed -n 's/.*prog\/xdp id \([0-9]*\).*/\1/p' "$1")
	[ -n "$id" ]
	poll 5 no_sleeper
	poll 5 gone "$id"
	[ "$(machine)" = "$2" ]
}

no_sleeper() {
	! pgrep -f 'sleep 27182'
}

gone() {
	! bpftool prog show id "$1"
}

# What could be left in the machine; not what other tests have there meanwhile.
machine() {
	awk '$3 !~ /^(bpf|nsfs)$/ || $2 == "/sys/fs/bpf"' /proc/self/mounts
	ip netns list | grep -o -e hookset-host -e hookset-vm
	ip -o link | grep -o vboxnet0
	find /sys/fs/bpf "${TMPDIR:-/tmp}" /mnt -maxdepth 1 -name '*walkthrough*'
	grep vagrant /etc/passwd /etc/group /etc/sudoers || true
}

shown() {
	grep -q "$2" "$1"
}

# ended PID SECONDS STATUS: it ends with this status in that time.
ended() {
	local rc=0
	poll "$2" not_running "$1"
	wait "$1" || rc=$?
	[ "$rc" -eq "$3" ]
}

not_running() {
	! kill -0 "$1" || [[ $(cat "/proc/$1/stat") == *") Z "* ]]
}

@test "runner: interrupted, terminated or killed, it ends at once and leaves nothing" {
	requires root
	local before signal out
	before=$(machine)
	block <<-'END'
		vm $ cd /vagrant/build
		vm $ sudo ip link set dev eth1 xdp obj xdp_pass.bpf.o sec xdp
		vm $ sudo mount -t bpf none /mnt || sudo mount -t bpf none /tmp
		…
		vm $ sudo sleep 27182 &
		[1] …
		host $ setsid sleep 27182 > /dev/null &
		[1] …
		vm $ ip link show dev eth1
		…
		vm $ sleep 25
	END
	out=$BATS_TEST_TMPDIR/out
	for signal in INT:130 TERM:143 KILL:137; do
		# bash has what it starts in the background ignore SIGINT.
		env --default-signal=INT "$HOOKSET_ROOT/tests/walkthrough" --demo "$FILE" >"$out" 2>&1 3>&- &
		poll 10 shown "$out" 'vm \$ sleep 25'
		kill -"${signal%:*}" $!
		ended $! 2 "${signal#*:}"
		nothing_left "$out" "$before"
	done
}

@test "runner: make demo ends with its make, and when Ctrl-C is typed" {
	requires root
	local before how make out=$BATS_TEST_TMPDIR/out
	make -C "$HOOKSET_ROOT" all
	before=$(machine)
	for how in TERM:143 Ctrl-C:130; do
		# A session of its own, by which all that it started is found again.
		env --default-signal=INT setsid make -C "$HOOKSET_ROOT" demo >"$out" 2>&1 3>&- &
		make=$!
		poll 60 shown "$out" "prog/xdp id"
		case $how in
		Ctrl-C:*) kill -INT -- -$make ;; # what is typed goes to the whole group
		*) kill -"${how%:*}" $make ;;
		esac
		ended $make 2 "${how#*:}"
		poll 2 no_process_of $make
		nothing_left "$out" "$before"
	done
}

no_process_of() {
	! pgrep -s "$1" -r D,R,S,T # a zombie is none, its parent may be slow to see it
}

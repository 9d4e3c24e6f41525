#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Every command that the documents name is run here, and does what is said of it. A test's name
# lists its commands as they stand there; the first test proves that none is left out. The
# walkthroughs' commands are all played, by `make demo`; and those of the man pages'
# EXAMPLES: see examples.bats.
# shellcheck disable=SC2016,SC2154 # awk and sh expand them; netns names its variable

# The walkthroughs find the maps of echo_dispatch by their names:
# finds by name: echo_dispatch
# What these commands do on a kernel, the suites of their tools test.
# bats file_tags=kernel-free
load ../lib/helpers

README=$BATS_TEST_DIRNAME/../../README.md
DOCUMENTS=("$README" "$BATS_TEST_DIRNAME"/../../{CONTRIBUTING,SECURITY,*/README,tests/bench/README}.md)

# Those that take long have targets of their own, which are tests themselves.
SLOW=("make vmtest" "make vmtest FRESH=1" "make vmtest KERNEL=5.10" "make vmtest KERNEL=5.10 TESTS=tests/tools/map-pin.bats"
	"make distrotest" "make vagrant-test" "make bench"
	"make bench-deps" "make bench GROUP=drop" "make bench ROUNDS=9" "make proof")
# The long form of each suite of tests/proof.
for PROOF in "$BATS_TEST_DIRNAME"/../proof/*.bats; do
	[ ! -e "$PROOF" ] || SLOW+=("make proof-$(basename "$PROOF" .bats)")
done
# VirtualBox is on no machine of the tests.
UNTRIED=("ip address add fd56::1/64 dev vboxnet0")
# What `make vagrant-test` types.
VAGRANT=("vagrant up && vagrant ssh" "vagrant up" "vagrant ssh" "vagrant destroy")
# What build.bats runs, in the tests that begin so.
BUILD=("make deps" "make V=1" "make lint")

# first_screen: README.md up to its first heading.
first_screen() {
	sed '/^## /,$d' "$README"
}

@test "every command of the documents is run by a test" {
	local command
	"$BATS_TEST_DIRNAME/commands" "${DOCUMENTS[@]}" >"$BATS_TEST_TMPDIR/commands"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/commands")" -gt 40 ]
	sed -n 's/^@test "README: \(.*\)" {$/\1/p' "$BATS_TEST_FILENAME" | sed 's/, /\n/g' >"$BATS_TEST_TMPDIR/tests"
	{
		cat "$BATS_TEST_TMPDIR/tests"
		printf '%s\n' "${SLOW[@]}" "${VAGRANT[@]}" "${UNTRIED[@]}" "${BUILD[@]}"
		"$BATS_TEST_DIRNAME/commands" <(first_screen)
	} >"$BATS_TEST_TMPDIR/tested"
	run grep -vxFf "$BATS_TEST_TMPDIR/tested" "$BATS_TEST_TMPDIR/commands"
	[ "$output" = "" ] || {
		echo "not run by a test:"
		echo "$output"
		return 1
	}
	run grep -vxFf "$BATS_TEST_TMPDIR/commands" "$BATS_TEST_TMPDIR/tests"
	[ "$output" = "" ] || {
		echo "a test runs what is no longer in a document:"
		echo "$output"
		return 1
	}
	for command in "${SLOW[@]}"; do
		# shellcheck disable=SC2086 # a target, and variables
		make -n -C "$HOOKSET_ROOT" ${command#make } >/dev/null
	done
	for command in "${VAGRANT[@]}"; do
		while read -r command; do
			grep -q "$command" "$HOOKSET_ROOT"/tests/vm/vagrant-*
		done <<<"${command// && /$'\n'}"
	done
	for command in "${BUILD[@]}"; do
		grep -q "^@test \"$command " "$BATS_TEST_DIRNAME/build.bats"
	done
}

@test "the first screen of README.md shows what happens" {
	requires root
	{
		printf '%s\n' 'Proof: it happens' '```' 'root # cd /vagrant/build && PATH=$PWD:$PATH' '```'
		# Ids and times differ.
		first_screen | sed -E 's/(program |time )[0-9]+/\1…/'
		printf '%s\n' '```' 'root # rm -r /sys/fs/bpf/fw' '```'
	} >"$BATS_TEST_TMPDIR/README.md"
	run -0 "$HOOKSET_ROOT/tests/walkthrough" "$BATS_TEST_TMPDIR/README.md"
}

@test "README.md: its table of speeds has figures that tests/bench/README.md has" {
	local figure figures
	figures=$(sed -n '/^## How fast/,/^## /p' "$README" | grep -oE '[0-9.]+(×| s | M )' | sed 's/ .*//')
	[ "$(wc -l <<<"$figures")" -eq 18 ]
	for figure in $figures; do
		grep -qF "| $figure (" "$HOOKSET_ROOT/tests/bench/README.md" || {
			echo "not in tests/bench/README.md: $figure"
			return 1
		}
	done
}

@test "the documents' links lead to files" {
	local document link
	for document in "${DOCUMENTS[@]}"; do
		while read -r link; do
			[ -e "$(dirname "$document")/${link%%#*}" ] || {
				echo "$document: $link"
				return 1
			}
		done < <(grep -oP '\]\(\K(?!https?:)[^)#][^)]*' "$document")
	done
}

@test "tools/README.md says what each file of tools/lib is for" {
	local file
	for file in "$HOOKSET_ROOT"/tools/lib/*.h "$HOOKSET_ROOT"/tools/lib/*.cc; do
		file=$(basename "${file%.*}")
		grep -q "^| .*\`$file\`.* | " "$HOOKSET_ROOT/tools/README.md" || {
			echo "not in the table of tools/README.md: $file"
			return 1
		}
	done
}

@test "every fenced block of the walkthroughs is played" {
	# A block without a prompt would be passed over by the runner.
	run -0 awk '
		/^```/ { fenced = !fenced; first = fenced; next }
		first && !/^(host|vm) \$ / { print FILENAME ":" FNR ": " $0 }
		{ first = 0 }' "$HOOKSET_ROOT"/vagrant/[0-9]*.md
	[ "$output" = "" ]
}

# apt-get is left out: there may be no network. `make vmtest FRESH=1` runs the whole line.
@test "README: apt-get update && apt-get install -y make && make demo, make demo, sudo make demo" {
	requires root
	run -0 sudo make -C "$HOOKSET_ROOT" demo
	[ "$(grep -c '^ok vagrant/.*\.md: ' <<<"$output")" -eq "$(find "$HOOKSET_ROOT"/vagrant/[0-9]*.md | wc -l)" ]
}

@test "README: make test, sudo make test, tests/run tests/objects/xdp_pass.bats, make test TESTS=tests/objects/xdp_pass.bats, make all fixtures" {
	requires root cmd:clang-tidy cmd:shellcheck cmd:vagrant # else it would install them
	# Not those of the suite that runs this.
	run -0 make -C "$HOOKSET_ROOT" -s all fixtures
	run -0 env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		sudo make -C "$HOOKSET_ROOT" test TESTS=tests/objects/xdp_pass.bats
	[[ $output == *" passed, 0 failed, 0 skipped"* ]]
}

@test "tests/run: what is no suite is an error, in one line" {
	fails 1 "tests/run: tests: Is a directory" "$HOOKSET_ROOT/tests/run" tests
	fails 1 "tests/run: none.bats: No such file or directory" "$HOOKSET_ROOT/tests/run" none.bats
}

@test "README: make format" {
	requires cmd:clang-format
	cp -a "$HOOKSET_ROOT" "$BATS_TEST_TMPDIR/tree"
	run -0 make -C "$BATS_TEST_TMPDIR/tree" format
	diff -r "$HOOKSET_ROOT/tools" "$BATS_TEST_TMPDIR/tree/tools"
	diff -r "$HOOKSET_ROOT/bpf" "$BATS_TEST_TMPDIR/tree/bpf"
}

@test "README: make help" {
	run -0 make -C "$HOOKSET_ROOT" --no-print-directory help
	[[ $output == *"make demo"* ]]
}

@test "README: make DROP_PORT=80" {
	cp -a "$HOOKSET_ROOT" "$BATS_TEST_TMPDIR/tree"
	run -0 make -C "$BATS_TEST_TMPDIR/tree" --no-print-directory DROP_PORT=80
	[[ $output == *build/xdp_drop.o* ]]
	run ! cmp "$BATS_TEST_TMPDIR/tree/build/xdp_drop.o" "$HOOKSET_BUILD/xdp_drop.o"
}

@test "README: make install, make uninstall" {
	local dest=$BATS_TEST_TMPDIR/dest
	run -0 make -C "$HOOKSET_ROOT" install DESTDIR="$dest"
	[ -x "$dest/usr/local/sbin/map-pin" ]
	[ -f "$dest/usr/local/lib/hookset/xdp_drop.o" ]
	[ -f "$dest/usr/local/share/man/man8/map-pin.8" ]
	run -0 make -C "$HOOKSET_ROOT" uninstall DESTDIR="$dest"
	[ -z "$(find "$dest" -type f)" ]
}

xdp_mode() {
	in_ns "$server" ip -o link show veth0 | grep -oE ' xdp(generic)? '
}

@test "README: ip link show, ip link set dev X xdp off, ip link set dev X xdpgeneric off, xdp off, xdpgeneric off" {
	requires root
	two_hosts client server
	local object=$HOOKSET_BUILD/xdp_pass.bpf.o

	in_ns "$server" ip link set dev veth0 xdp obj "$object" sec xdp
	[ "$(xdp_mode)" = " xdp " ]
	in_ns "$server" ip link set dev veth0 xdp off
	run ! xdp_mode

	# In generic mode on a driver that has native mode, `xdp off` does nothing.
	in_ns "$server" ip link set dev veth0 xdpgeneric obj "$object" sec xdp
	[ "$(xdp_mode)" = " xdpgeneric " ]
	run -0 in_ns "$server" ip link set dev veth0 xdp off
	[ "$output" = "" ]
	[ "$(xdp_mode)" = " xdpgeneric " ]
	in_ns "$server" ip link set dev veth0 xdpgeneric off
	run ! xdp_mode
}

@test "README: xdp-attach --detach DEV" {
	local mode
	requires root
	two_hosts client server
	for mode in xdpdrv xdpgeneric; do
		in_ns "$server" ip link set dev veth0 $mode obj "$HOOKSET_BUILD/xdp_pass.bpf.o" sec xdp
		in_ns "$server" xdp-attach --detach veth0
		run ! xdp_mode
	done
}

@test "README: ethtool -k" {
	requires root cmd:ethtool
	two_hosts client server
	run -0 in_ns "$server" ethtool -k veth0
	[[ $output == *"rx-vlan-offload: "* ]]
}

@test "README: bpftool net, bpftool link, bpftool prog, bpftool map" {
	requires root
	netns ns
	load_prog echo_dispatch
	sk-lookup-attach --netns "$ns" "$BPFFS/echo_dispatch_prog" "$BPFFS/link"
	in_ns "$ns" ip link set dev lo xdpgeneric obj "$HOOKSET_BUILD/xdp_pass.bpf.o" sec xdp
	run -0 in_ns "$ns" bpftool net
	[[ $output == *"lo(1) generic id "* ]]
	run -0 bpftool link
	[[ $output == *": netns  prog "* ]]
	run -0 bpftool prog
	[[ $output == *"name xdp_prog_simple"* && $output == *": sk_lookup  name echo_dispatch"* ]]
	run -0 bpftool map
	[[ $output == *"name echo_ports"* ]]
}

@test "README: bpftool prog attach" {
	requires root
	load_prog echo_dispatch
	run ! bpftool prog attach pinned "$BPFFS/echo_dispatch_prog" sk_lookup
	[[ $output == *"invalid attach/detach type"* ]]
}

@test "README: bpftool map event_pipe" {
	requires root
	bpftool map create "$BPFFS/ring" type ringbuf key 0 value 0 entries 4096 name hookset_ring
	run ! bpftool map event_pipe pinned "$BPFFS/ring"
	[[ $output == *"map is not a perf event array"* ]]
}

@test "README: prog-load --set drop_port=80 xdp_drop.bpf.o PIN" {
	requires root
	two_hosts client server
	serve "$server" name tcp:0.0.0.0:80 tcp:0.0.0.0:8080
	(cd "$HOOKSET_BUILD" && prog-load --set drop_port=80 xdp_drop.bpf.o "$BPFFS/PIN")
	answers "name hello|80" "$client" tcp 10.9.0.2 80
	in_ns "$server" ip link set dev veth0 xdp pinned "$BPFFS/PIN"
	DEADLINE=1 answers timeout "$client" tcp 10.9.0.2 80
	answers "name hello|8080" "$client" tcp 10.9.0.2 8080
}

@test "README: prog-load --set l3=true" {
	requires root
	netns host
	ip -n "$host" tuntap add dev tun0 mode tun
	prog-load --set l3=true "$HOOKSET_BUILD/xdp_blocklist.bpf.o" "$BPFFS/PIN"
	ip -n "$host" link set dev tun0 xdp pinned "$BPFFS/PIN"
	[[ $(ip -n "$host" link show tun0) == *xdp* ]]
}

@test "README: ip link set dev X xdp obj NAME.frags.bpf.o sec xdp.frags" {
	requires root xdp-frags
	two_hosts client server
	ip -n "$client" link set veth0 mtu 9000
	ip -n "$server" link set dev veth0 xdp obj "$HOOKSET_BUILD/xdp_drop.frags.bpf.o" sec xdp.frags
	[[ $(ip -n "$server" link show veth0) == *" xdp "* ]]
}

@test "README: map-pin prog" {
	requires root
	# Two maps of each name: bpftool cannot tell which.
	load_prog echo_dispatch
	bpftool prog load "$HOOKSET_BUILD/echo_dispatch.bpf.o" "$BPFFS/other"
	run ! bpftool map pin name echo_ports "$BPFFS/echo_ports"
	[[ $output == *"several maps match this handle"* ]]
	run -0 map-pin prog "$BPFFS/other" "$BPFFS/maps"
	[ -e "$BPFFS/maps/echo_ports" ]
}

@test "README: ip netns exec, nsenter --net=/run/netns/NAME" {
	requires root
	netns ns
	local pin=/sys/fs/bpf/$ns
	# Made there, a pin is in a /sys that ends with the command.
	ip netns exec "$ns" sh -c 'mountpoint -q /sys/fs/bpf || mount -t bpf none /sys/fs/bpf
		bpftool map create "$1" type array key 4 value 4 entries 1 name hookset_pin
		test -e "$1"' - "$pin"
	[ ! -e "$pin" ]
	bpftool map create "$BPFFS/pin" type array key 4 value 4 entries 1 name hookset_pin
	nsenter --net="/run/netns/$ns" bpftool map show pinned "$BPFFS/pin"
}

@test "README: sockmap-update --delete MAP" {
	requires root
	netns ns
	serve "$ns" name tcp:127.0.0.1:7777
	bpftool map create "$BPFFS/map" type sockmap key 4 value 8 entries 1 name hookset_map
	sockmap-update --netns "$ns" "$PID" 3 "$BPFFS/map"
	sockets_are "$BPFFS/map" "$(cookie "$ns" -t 'sport = :7777')"
	sockmap-update --delete "$BPFFS/map"
	sockets_are "$BPFFS/map" -
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# vagrant/provision.sh, as the Vagrantfile calls it and as make does.

# Only packages and files: no kernel has a say in it.
# bats file_tags=kernel-free
load ../lib/helpers

# machine COMMAND...: run it where there are an eth1 and an /etc that end with it.
machine() {
	# shellcheck disable=SC2016 # expanded in there
	unshare --mount --net sh -euc '
		ip link add eth1 type veth peer name host
		ip link set host up
		ip link set eth1 up
		mount -t tmpfs -o mode=755 etc "$0"
		cp -a /etc/. "$0"
		mount --bind "$0" /etc
		mkdir -p /etc/network/interfaces.d
		"$@"' "$BATS_TEST_TMPDIR" "$@"
}

# What demo-vm could change, when and what.
# shellcheck disable=SC2016 # expanded in there
state='find /etc "$HOOKSET_BUILD" -type f -printf "%p %s %T@\n"
	grep -v hookset- /proc/mounts | sort
	ip -6 addr show dev eth1 scope global | sed "s/ tentative//"
	dpkg-query -W'

@test "provision.sh demo-vm: an address on eth1, a message that says what is there" {
	# shellcheck disable=SC2016 # expanded in there
	run -0 machine sh -euc '"$0/vagrant/provision.sh" demo-vm >&2
		ip -6 addr show dev eth1 | grep -o "fd56::10/64"
		cat /etc/network/interfaces.d/hookset /etc/motd' "$HOOKSET_ROOT"
	[[ $output == *'iface eth1 inet6 static'* ]]
	# The files that the message names are there.
	local file files
	files=$(grep -oE "$HOOKSET_ROOT/[^ ,]+[^ ,.]" <<<"$output")
	[[ $files == *.md* && $files == */build* ]]
	for file in $files; do
		[ -e "$file" ]
	done
}

@test "provision.sh demo-vm: the second time changes nothing" {
	# shellcheck disable=SC2016 # expanded in there
	run -0 machine bash -euc '"$0/vagrant/provision.sh" demo-vm >/dev/null
		first=$(sh -c "$1")
		"$0/vagrant/provision.sh" demo-vm
		diff <(echo "$first") <(sh -c "$1")' "$HOOKSET_ROOT" "$state"
	[[ $output != *installing* ]]
}

@test "provision.sh: wrong usage" {
	local usage='Usage: provision.sh [build] [demo] [test] [proof] [lint] [vm] [vagrant] [bench] | demo-vm'
	fails 2 "$usage" "$HOOKSET_ROOT/vagrant/provision.sh"
	fails 2 "$usage" "$HOOKSET_ROOT/vagrant/provision.sh" build everything
	fails 2 "$usage" "$HOOKSET_ROOT/vagrant/provision.sh" demo-vm build
}

@test "provision.sh: a failure is one line that says why" {
	fails 1 'provision.sh: make this the demo VM: it has no eth1' \
		unshare --net "$HOOKSET_ROOT/vagrant/provision.sh" demo-vm
	fails 1 'provision.sh: make this the demo VM: not root' \
		as_user "$HOOKSET_ROOT/vagrant/provision.sh" demo-vm
}

@test "provision.sh: apt-get's reason" {
	# A dpkg that knows of no package, and an apt-get that finds none.
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/bin/dpkg-query"
	# shellcheck disable=SC2016 # expanded in there
	printf '#!/bin/sh\n[ "$2" = update ] || { echo "W: x"; echo "E: no such thing"; exit 100; }\n' \
		>"$BATS_TEST_TMPDIR/bin/apt-get"
	chmod +x "$BATS_TEST_TMPDIR"/bin/*
	run -1 --separate-stderr env PATH="$BATS_TEST_TMPDIR/bin:$PATH" \
		"$HOOKSET_ROOT/vagrant/provision.sh" vagrant
	[ "$output" = 'installing: slirp4netns' ]
	# shellcheck disable=SC2154 # bats sets stderr
	[ "$stderr" = 'provision.sh: apt-get install: no such thing' ]
}

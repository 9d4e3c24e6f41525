#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Install what is missing on a Debian 12 or 13 machine, as root:
#   provision.sh [build] [demo] [test] [proof] [lint] [vm] [vagrant] [bench]
# Does nothing, and needs neither root nor a network, where all of it is there.
#   provision.sh demo-vm
# makes the machine the demo VM; the Vagrantfile calls it so. What is there is left alone.
set -eu

build='make g++ clang llvm libbpf-dev libelf-dev zlib1g-dev liblzma-dev libzstd-dev nlohmann-json3-dev'
demo='bpftool iproute2 iputils-ping mount ncat nmap procps python3 sudo util-linux'
test='bats clang-19 ethtool git jq libxdp1 mandoc openssh-client python3-scapy strace systemd tshark valgrind xz-utils zstd'
proof='clang-tidy libclang-rt-dev'
vm='busybox-static cpio e2fsprogs kmod mmdebstrap openssh-client qemu-system-x86 qemu-utils
	xz-utils zstd'
vagrant='slirp4netns'
bench='ethtool gnuplot-nox ipset iptables nftables valgrind xdp-tools'
lint='clang-format clang-tidy shellcheck pyflakes3 mandoc git vagrant vagrant-libvirt'

# die TEXT: why it failed, in one line.
die() {
	echo "provision.sh: $1" >&2
	exit 1
}

# packages NAME...: install those that are missing.
packages() {
	missing=
	for package in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) missing="$missing $package" ;;
		esac
	done
	[ -n "$missing" ] || return 0

	echo "installing:$missing"
	[ "$(id -u)" -eq 0 ] || die 'install packages: not root'
	command -v apt-get >/dev/null || die 'install packages: no apt-get here, this is no Debian'
	apt update
	# shellcheck disable=SC2086 # a list of names
	apt install -y --no-install-recommends $missing
}

# apt COMMAND...: apt-get without its talk, but for the first error.
apt() {
	said=$(DEBIAN_FRONTEND=noninteractive apt-get -qq "$@" 2>&1) ||
		die "apt-get $1: $(echo "$said" | sed -n 's/^E: //p' | head -n 1)"
}

# put FILE TEXT: have the file hold this text; one that does is left alone.
put() {
	echo "$2" | cmp -s - "$1" || echo "$2" >"$1" || die "write '$1'"
}

# The demo VM: see the Vagrantfile.
demo_vm() {
	[ "$(id -u)" -eq 0 ] || die 'make this the demo VM: not root'
	ip link show dev eth1 >/dev/null 2>&1 || die 'make this the demo VM: it has no eth1'
	project=$(cd "$(dirname "$0")/.." && pwd)
	# shellcheck disable=SC2086 # a list of names
	packages $build $demo

	# systemd has mounted it, as a rule.
	mountpoint -q /sys/fs/bpf || mount -t bpf bpf /sys/fs/bpf || die 'mount bpffs'

	# Now, and whenever eth1 comes up with the IPv4 address that Vagrant has given it.
	put /etc/network/interfaces.d/hookset 'iface eth1 inet6 static
	address fd56::10/64'
	ip address replace fd56::10/64 dev eth1 || die 'give eth1 its address fd56::10'

	# Whoever owns the project can go on building then.
	runuser -u "$(stat -c %U "$project")" -- make -C "$project" -s -j "$(nproc)" all ||
		die "build $project"

	put /etc/motd "
This is the demo VM of hookset. Its objects and tools are built, in $project/build.
Begin with the first walkthrough, here and on the host in turn:

    less $project/vagrant/01-block-a-port.md
    cd $project/build

The others lie beside it, as does README.md in $project.
"
}

if [ "$*" = demo-vm ]; then
	demo_vm
	exit
fi

wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	demo) wanted="$wanted $demo" ;;
	test) wanted="$wanted $test" ;;
	proof) wanted="$wanted $proof" ;;
	lint) wanted="$wanted $lint" ;;
	vm) wanted="$wanted $vm" ;;
	vagrant) wanted="$wanted $vagrant" ;;
	bench) wanted="$wanted $bench" ;;
	*) wanted= && break ;;
	esac
done
if [ -z "$wanted" ]; then
	echo 'Usage: provision.sh [build] [demo] [test] [proof] [lint] [vm] [vagrant] [bench] | demo-vm' >&2
	exit 2
fi
# shellcheck disable=SC2086 # a list of names
packages $wanted

#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Install what is missing on a Debian 12 or 13 machine, as root:
#   provision.sh [build] [demo] [test] [lint]
# Does nothing, and needs neither root nor a network, where all of it is there.
set -eu

build='make g++ clang llvm libbpf-dev libelf-dev zlib1g-dev nlohmann-json3-dev'
demo='bpftool iproute2 iputils-ping mount ncat nmap procps python3 sudo util-linux'
test='bats clang-19 ethtool git mandoc python3-scapy strace systemd tshark'
lint='clang-format clang-tidy shellcheck mandoc git'

usage() {
	echo "Usage: provision.sh [build] [demo] [test] [lint]" >&2
	exit 2
}

wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	demo) wanted="$wanted $demo" ;;
	test) wanted="$wanted $test" ;;
	lint) wanted="$wanted $lint" ;;
	*) usage ;;
	esac
done
[ -n "$wanted" ] || usage

missing=
for package in $wanted; do
	case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
	installed) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

echo "installing:$missing"
if [ "$(id -u)" -ne 0 ]; then
	echo "provision.sh: install packages: not root" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing >/dev/null

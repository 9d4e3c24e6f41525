# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# What the slow checks share: the cache, Debian's archive, root file systems of
# other releases. Sourced by the scripts beside it; each of them ends with `trap
# tidy EXIT` in force, which this file sets.

set -euo pipefail
PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
NAME=$(basename "$0")
# All that is kept from one run to the next, in plain files. build/vm/NAME.* that
# end in .tmp are being made.
CACHE=$PROJECT/build/vm
# What is of this run only; tidy() removes it.
WORK=

# say TEXT: progress goes to stderr, results to stdout.
say() {
	printf '%s: %s\n' "$NAME" "$*" >&2
}

die() {
	say "$*"
	exit 1
}

# begin: make the cache, and this run's own directory.
begin() {
	[ "$(id -u)" -eq 0 ] || die "make root file systems: not root"
	mkdir -p "$CACHE"
	WORK=$(mktemp -d "$CACHE/$NAME.XXXXXX.tmp")
	trap tidy EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
}

# tidy: nothing of ours is left running, mounted or lying about, and what is in the
# cache belongs to whoever owns the clone: `sudo make vmtest` leaves nothing of root.
tidy() {
	local jobs
	mapfile -t jobs < <(jobs -p)
	# Not TERM, which unshare does not heed.
	[ ${#jobs[@]} -eq 0 ] || kill -KILL "${jobs[@]}" 2>/dev/null || true
	wait 2>/dev/null # silent about who was killed
	# What they have started ends with them, but maybe a moment later.
	[ -z "$WORK" ] || rm -rf --one-file-system "$WORK" 2>/dev/null ||
		{ sleep 1 && rm -rf --one-file-system "$WORK"; }
	# Not in what another run is making: chown would take sudo its setuid bit.
	find "$PROJECT/build" -name '*.tmp' -prune -o \
		-exec chown -h --reference="$PROJECT/Makefile" {} +
}

# archive [-security]: Debian's archive as this machine's own apt knows it.
archive() {
	local site
	# shellcheck disable=SC2016 # apt-get expands it
	site=$(apt-get indextargets --format '$(SITE) $(LABEL)' |
		awk -v label="Debian${1:+-Security}" '$2 == label { print $1; exit }')
	echo "${site:-http://deb.debian.org/debian${1:-}}"
}

# sources SUITE: its lines for a sources.list, with what was released since.
sources() {
	local key='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	echo "deb $key $(archive) $1 main"
	case $1 in
	*-backports | experimental | sid) ;;
	*) echo "deb $key $(archive -security) $1-security main" ;;
	esac
}

# bootstrap SUITE: make sure that $CACHE/SUITE.tar is there: essential packages and apt,
# which is what a fresh Debian has at the least. Its members begin with "./".
bootstrap() {
	[ ! -f "$CACHE/$1.tar" ] || return 0
	say "bootstrapping $1"
	sources "$1" >"$WORK/sources.list"
	mmdebstrap --quiet --variant=apt --mode=root --skip=cleanup/apt/lists \
		--aptopt='Acquire::Languages "none"' "$1" "$WORK/$1.tar" "$WORK/sources.list"
	mv "$WORK/$1.tar" "$CACHE/$1.tar"
}

# copy_tree DIR: the project as it lies there, but for what is built.
copy_tree() {
	mkdir -p "$1"
	tar -C "$PROJECT" --exclude=./build -cf - . | tar -C "$1" --no-same-owner -xf -
}

# enter [--net] ROOT COMMAND...: run it in that root, as its PID 2, in namespaces of its
# own that end with it; --net gives it a network of its own too, with nothing but lo.
enter() {
	local net=
	if [ "$1" = --net ]; then
		net=--net
		shift
	fi
	local root=$1
	shift
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	# Packages must start no services in there.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	# Ends with us, and all in it with it, even if we are killed.
	setpriv --pdeathsig KILL \
		unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup $net \
		bash -euc "$ENTER" "$NAME" "$root" "$@"
}

# install_in ROOT PACKAGE...: in a root that bootstrap made.
install_in() {
	local root=$1
	shift
	enter "$root" sh -euc 'apt-get update -qq; apt-get install -y -qq --no-install-recommends "$@"
		apt-get clean' sh "$@" >"$WORK/apt.log" 2>&1 || {
		cat "$WORK/apt.log" >&2
		die "install packages"
	}
	rm "$root/usr/sbin/policy-rc.d"
}

# shellcheck disable=SC2016 # it is expanded in there
ENTER='
root=$1
shift
hostname hookset
ip link set lo up
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount -t sysfs sysfs sys || mount --rbind /sys sys
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tracefs tracefs sys/kernel/tracing || :
mount -t cgroup2 cgroup2 sys/fs/cgroup || :
mount -t tmpfs -o mode=755 dev dev
mkdir dev/net dev/pts dev/shm
for file in null zero full random urandom tty net/tun; do
	[ -e /dev/$file ] || continue
	touch dev/$file
	mount --bind /dev/$file dev/$file
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
mkdir -p run/old
pivot_root . run/old
cd /
echo "127.0.0.1 localhost hookset" >/etc/hosts
/run/old/bin/busybox umount -l /run/old # a minimal root has no umount
rmdir /run/old
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root \
	TERM=dumb LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
'

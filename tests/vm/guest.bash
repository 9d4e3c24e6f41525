# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Guests: Debian's kernels, disk images, and a place to run them in. Sourced after
# common.bash; tests/vm/boot boots what is made here.

# Where each kernel of the matrix comes from. All are the "cloud" flavour: it boots
# in seconds and has all that the tests ask for. "newest" is what is the newest in
# there when it is downloaded.
declare -A KERNELS=([5.10]=bullseye [6.1]=bookworm [6.12]=trixie [newest]=trixie-backports)

# kernel NAME: make DIR=$WORK/kernel-NAME with its vmlinuz, its modules (initrd/ to boot
# by and modules.img for the rest) and its release, as `uname -r` says it.
# The packages stay in the cache: a newer one is only looked for when they are removed.
kernel() {
	local dir=$WORK/kernel-$1 package release
	[ -d "$CACHE/kernel-$1" ] || fetch_kernel "$1"
	mkdir -p "$dir/packages" "$dir/initrd"
	for package in "$CACHE/kernel-$1"/*.deb; do
		dpkg-deb -x "$package" "$dir/packages"
	done
	# In /boot, or from 7 on, among the modules; and these in /lib or /usr/lib.
	find "$dir/packages" -name 'vmlinuz*' -exec mv {} "$dir/vmlinuz" \;
	if [ -d "$dir/packages/usr/lib/modules" ]; then
		mkdir -p "$dir/packages/lib"
		mv "$dir/packages/usr/lib/modules" "$dir/packages/lib/modules"
	fi
	release=$(ls "$dir/packages/lib/modules")
	echo "$release" >"$dir/release"
	depmod -b "$dir/packages" "$release"
	initrd "$dir/packages" "$release" "$dir/initrd"
	image "$dir/packages/lib/modules" "$dir/modules.img" 20
	rm -rf "$dir/packages"
}

# fetch_kernel NAME: its packages into the cache, by an apt configuration of its own,
# for the machine's own must not learn of other releases.
fetch_kernel() {
	local apt=$WORK/apt-$1 debs=$WORK/debs-$1 packages
	say "downloading kernel $1"
	mkdir -p "$apt"/etc/apt/{apt.conf.d,preferences.d} "$apt/var/lib/apt/lists/partial" \
		"$apt/var/cache/apt/archives/partial" "$debs"
	: >"$apt/status"
	sources "${KERNELS[$1]}" >"$apt/etc/apt/sources.list"
	cat >"$apt/apt.conf" <<-END
		Dir "$apt";
		Dir::State::status "$apt/status";
		Acquire::Languages "none";
		# Releases that get no updates any more are not signed anew.
		Acquire::Check-Valid-Until "false";
		# Else it would have to get into the clone as a user of its own.
		APT::Sandbox::User "root";
	END
	export APT_CONFIG=$apt/apt.conf
	apt-get update -qq
	# In one package up to 6.x, in several from 7 on.
	mapfile -t packages < <(apt-cache depends --recurse --no-suggests --no-recommends \
		--no-conflicts --no-breaks --no-replaces linux-image-cloud-amd64 |
		grep -xE 'linux-(image|base|binary|modules)-[0-9].*' | sort -u)
	(cd "$debs" && apt-get download -qq "${packages[@]}")
	unset APT_CONFIG
	mv "$debs" "$CACHE/kernel-$1"
}

# initrd TREE RELEASE DIR: what mounts the root file system: busybox, the modules for it
# in the order in which they must be loaded, and guest-init.
initrd() {
	local module path
	mkdir -p "$3/bin" "$3/modules"
	cp /bin/busybox "$3/bin/busybox"
	cp "$PROJECT/tests/vm/guest-init" "$3/init"
	for module in virtio_pci virtio_blk virtio_net ext4; do
		modprobe -d "$1" -S "$2" --show-depends "$module" | awk '$1 == "insmod" { print $2 }'
	done | awk '!seen[$0]++' | while read -r path; do
		module=$(basename "$path")
		case $path in
		*.xz) xz -dc "$path" ;;
		*.zst) zstd -qdc "$path" ;;
		*) cat "$path" ;;
		esac >"$3/modules/${module%.ko*}"
		echo "${module%.ko*}" >>"$3/modules/order"
	done
}

# image DIR FILE MEGABYTES: the directory as an ext4 file system, with so much room left.
image() {
	local megabytes
	megabytes=$(du -sm "$1" | cut -f 1)
	mke2fs -q -F -t ext4 -O ^has_journal -d "$1" "$2" $((megabytes * 5 / 4 + $3))M >/dev/null
}

# contain [--net] COMMAND...: become this command as PID 1 of a namespace: when it ends, or
# who has started us, nothing that it has started is left. --net: in a network of its own.
contain() {
	local net=()
	if [ "$1" = --net ]; then
		net=(--net)
		shift
	fi
	exec setpriv --pdeathsig KILL unshare "${net[@]}" --pid --mount-proc --fork --kill-child "$@"
}

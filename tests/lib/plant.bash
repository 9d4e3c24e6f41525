# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# A plain user who owns a directory of pins tries to be given what is root's.

# plant_all: as a plain user, put something of root's in the place of each file and directory
# in DIR: a symbolic link to VICTIM or to the pin SECRET, or the directory OF_ROOT, which holds
# a pin too. All that was there goes out of the way first.
plant_all() {
	# shellcheck disable=SC2016 # sh expands it
	as_user sh -euc '
		dir=$1 kind=$2 victim=$3 secret=$4
		set -- "$dir"/*
		for file; do
			[ "$file" != "$dir/of_root" ] || continue
			mv "$file" "$dir/moved_$$_${file##*/}"
			case $kind in
			victim) ln -s "$victim" "$file" ;;
			secret) ln -s "$secret" "$file" ;;
			of_root) [ ! -d "$dir/of_root" ] || mv "$dir/of_root" "$file" ;;
			esac
		done' - "$DIR" "$1" "$VICTIM" "$SECRET" 2>/dev/null || true
}

# Nothing of root's has another owner or mode, and nothing of it is gone.
root_keeps() {
	local file of_root
	of_root=$(find "$DIR" -name "$OF_ROOT_PIN" -inum "$OF_ROOT_INODE" 2>/dev/null)
	for file in "$VICTIM" "$SECRET" "$of_root"; do
		[ "$(stat -c %u:%a "$file")" = 0:600 ] || {
			echo "root's '$file' is now: $(stat -c %u:%a "$file" 2>&1)" >&2
			return 1
		}
	done
}

# plant_at_each NAME COMMAND...: COMMAND pins a map called NAME, and more, in DIR for a plain
# user who owns DIR. At each of its system calls, in one run after the other, that user plants
# what is root's. PLANTED is how often.
plant_at_each() {
	local name=$1 calls call kind i turn=$RANDOM log=$BATS_TEST_TMPDIR/plant
	local -A nth
	shift
	DIR=$BPFFS/theirs VICTIM=$BATS_TEST_TMPDIR/victim SECRET=$BPFFS/secret OF_ROOT_PIN=$name
	touch "$VICTIM"
	chmod 600 "$VICTIM"
	bpftool map create "$SECRET" type array key 4 value 4 entries 1 name secret
	PLANTED=0
	for kind in victim secret of_root; do
		nth=() turn=$((turn + 1))
		fresh_theirs "$name"
		strace -qq -o "$log" "$@"
		mapfile -t calls < <(sed -nE '2,$s/^([a-z0-9_]+)\(.*/\1/p' "$log")
		for i in "${!calls[@]}"; do
			call=${calls[i]}
			nth[$call]=$((${nth[$call]:-0} + 1))
			# Before that, there is nothing of the command's in DIR.
			[ -n "${nth[mkdirat]:-}" ] || continue
			case $call in exit_group | brk | mmap | munmap) continue ;; esac
			[ "${HOOKSET_KILLS:-}" = all ] || [ $(((i + turn) % 3)) -eq 0 ] || continue
			fresh_theirs "$name"
			rm "$log"
			start strace -D -qq -o "$log" -e "inject=$call:signal=STOP:when=${nth[$call]}" "$@"
			poll 20 stopped_or_gone "$PID" "$log"
			if grep -q 'stopped by SIGSTOP' "$log"; then
				plant_all "$kind"
				PLANTED=$((PLANTED + 1))
				kill -CONT "$PID"
			fi
			wait "$PID" || true
			root_keeps || {
				echo "planted: $kind, after $call number ${nth[$call]}" >&2
				return 1
			}
		done
	done
}

stopped_or_gone() {
	grep -qs 'stopped by SIGSTOP' "$2" || ! kill -0 "$1" 2>/dev/null
}

# DIR anew, the plain user's, with a directory of root's in it.
fresh_theirs() {
	rm -rf "$DIR"
	mkdir -p "$DIR/of_root"
	bpftool map create "$DIR/of_root/$1" type array key 4 value 4 entries 1 name of_root
	OF_ROOT_INODE=$(stat -c %i "$DIR/of_root/$1")
	chown 65534 "$DIR"
}

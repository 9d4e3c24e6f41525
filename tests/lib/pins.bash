# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck shell=bash
# Objects: built, loaded and pinned, and what bpftool says of a pin.

# object NAME SOURCE [FLAG...]: build tests/fixtures/SOURCE.bpf.c as $BATS_FILE_TMPDIR/NAME.o, as
# the project's objects are built, or by $compiler.
object() {
	local out=$BATS_FILE_TMPDIR/$1.o source=$HOOKSET_ROOT/tests/fixtures/$2.bpf.c flags
	shift 2
	# shellcheck disable=SC2016 # make expands it
	flags=$(make -C "$HOOKSET_ROOT" -s --eval='flags:;@echo $(BPF_CFLAGS)' flags)
	# shellcheck disable=SC2086 # a list of flags
	"${compiler:-clang}" $flags "$@" -c "$source" -o "$out"
}

# load_prog NAME: load build/NAME.bpf.o and pin it at $BPFFS/NAME_prog.
load_prog() {
	bpftool prog load "$HOOKSET_BUILD/$1.bpf.o" "$BPFFS/$1_prog"
}

# pin_map NAME PROG: pin that map of the program pinned at PROG at $BPFFS/NAME.
# Names of maps are system-wide, so it is looked up by the program's own ids.
pin_map() {
	local id
	for id in $(field prog "$2" map_ids); do
		if bpftool -j map show id "$id" | grep -q "\"name\":\"$1\""; then
			bpftool map pin id "$id" "$BPFFS/$1"
			return
		fi
	done
	echo "pin_map: no map $1 in $2" >&2
	return 1
}

# create_map NAME TYPE KEY_SIZE VALUE_SIZE ENTRIES: pinned at $BPFFS/NAME.
create_map() {
	bpftool map create "$BPFFS/$1" type "$2" key "$3" value "$4" entries "$5" name hookset_test
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
	bpftool -j "$1" show pinned "$2" |
		jq -r --arg name "$3" '.[$name] | if . == null then "" elif type == "array" then .[] else . end'
}

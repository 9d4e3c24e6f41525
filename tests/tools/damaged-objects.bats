#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Helpers that read an object file, or its BTF, and one that is damaged. DAMAGED=N in the
# environment tries N of them, in place of 300.

# bats file_tags=kernel-free
load ../lib/helpers

# takes OBJECTS COMMAND...: it takes damaged ones of these; FILE is the object.
takes() {
	local object objects=()
	for object in $1; do
		objects+=("$HOOKSET_BUILD/$object.bpf.o")
	done
	shift
	run -0 /usr/bin/python3 "$BATS_TEST_DIRNAME/damaged_objects.py" "${SEED:-1}" "${DAMAGED:-300}" \
		"$BPFFS" "${objects[@]}" -- "$@"
	echo "# $output" >&3
	# Some are good all the same, and some are not.
	[[ $output == *"{0: "*", 1: "* ]]
}

@test "damaged objects: prog-load" {
	requires root
	takes "detect_ping xdp_drop xdp_firewall echo_dispatch" prog-load FILE "$BPFFS/new"
}

@test "damaged objects: map-edit --btf" {
	requires root
	bpftool prog load "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$BPFFS/prog" pinmaps "$BPFFS/maps"
	takes xdp_firewall map-edit --btf FILE "$BPFFS/maps/fw_rule4" add '{proto=tcp port=99}={verdict=pass}'
}

@test "damaged objects: map-pin --btf" {
	requires root
	bpftool prog load "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$BPFFS/prog"
	takes "xdp_firewall detect_ping" map-pin --btf FILE prog "$BPFFS/prog" "$BPFFS/new"
}

@test "prog-load, map-edit: BTF with a name, or a type, that is not there, or without bytes" {
	local object=$BATS_TEST_TMPDIR/object.o
	requires root
	create_map m hash 4 4 8
	for what in name type bytes; do
		/usr/bin/python3 - "$HOOKSET_BUILD/detect_ping.bpf.o" "$object" "$what" <<-'PY'
			import struct, sys
			data = bytearray(open(sys.argv[1], "rb").read())
			at = data.index(struct.pack("<HBBI", 0xeb9f, 1, 0, 24))
			types, = struct.unpack_from("<I", data, at + 8)
			# The first type is a pointer: name, kind, and what it points to.
			if sys.argv[3] == "bytes":
			    # Its section is as .bss: SHT_NOBITS.
			    table, = struct.unpack_from("<Q", data, 40)
			    count, = struct.unpack_from("<H", data, 60)
			    header, = (each for each in range(table, table + 64 * count, 64)
			               if struct.unpack_from("<Q", data, each + 24) == (at,))
			    struct.pack_into("<I", data, header + 4, 8)
			else:
			    struct.pack_into("<I", data, at + 24 + types + (0 if sys.argv[3] == "name" else 8), 1 << 30)
			open(sys.argv[2], "wb").write(data)
		PY
		fails 1 "prog-load: read object '$object': its BTF is damaged" prog-load "$object" "$BPFFS/p"
		fails 1 "map-edit: read the BTF of '$object': it is damaged" \
			map-edit --btf "$object" --key u32 "$BPFFS/m" show
	done
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# map-edit on the sections of a program's variables: .data, .bss, .rodata. What they hold, bpftool
# says.

load ../lib/helpers
# shellcheck disable=SC2034 # what misuse, refused, silent and says run
TOOL="map-edit"

setup_file() {
	object variables variables
	chmod 711 "$BATS_FILE_TMPDIR"
	chmod 644 "$BATS_FILE_TMPDIR/variables.o"
}

# load_variables: fixtures/variables.bpf.c, and its sections.
load_variables() {
	DATA=$BPFFS/variable_data BSS=$BPFFS/variable_bss RODATA=$BPFFS/variable_rodata
	bpftool prog load "$BATS_FILE_TMPDIR/variables.o" "$BPFFS/prog" pinmaps "$BPFFS"
}

# is PIN EXPRESSION: Python, of which v is what bpftool says of the variables.
is() {
	/usr/bin/python3 -c '
import json, socket, sys
(section,) = json.loads(sys.argv[1])
(values,) = section.get("formatted", section)["value"].values()
v = {name: value for variable in values for name, value in variable.items()}
number = lambda x: int(x, 0) if isinstance(x, str) else int(x)
if not eval(sys.argv[2]):
    sys.exit(f"not {sys.argv[2]}: {v}")' "$(bpftool -j map dump pinned "$1")" "$2"
}

@test "map-edit: variables are shown by name, of each section" {
	requires root
	load_variables
	says "limit=1500
mode=AUTO
below=-5
count_one.twice=1
count_two.twice=2" "$DATA" show
	says "runs=0
flag=false
huge=00000000000000000000000000000000
name=\"\"
rules=[{addr=0.0.0.0 port=0 mac=00:00:00:00:00:00 nested={limit=0} low=0 high=0 used=false} {addr=0.0.0.0 port=0 mac=00:00:00:00:00:00 nested={limit=0} low=0 high=0 used=false}]" \
		"$BSS" show
	says constant=7 "$RODATA" show
	says more=9 "$BPFFS/_data_more" show
	says '[{"key":"limit","value":1500},{"key":"mode","value":"AUTO"},{"key":"below","value":-5},{"key":"count_one.twice","value":1},{"key":"count_two.twice","value":2}]' \
		-j "$DATA" show
	run -0 map-edit --pretty "$DATA" show
	[ "$(jq -c . <<<"$output")" = "$(map-edit -j "$DATA" show)" ]
	[ "${lines[1]}" = "    {" ]

	says 1500 "$DATA" get limit
	says 2 "$DATA" get count_two.twice
	says 0 "$BSS" get 'rules[1].nested.limit'
	says "{addr=0.0.0.0 port=0 mac=00:00:00:00:00:00 nested={limit=0} low=0 high=0 used=false}" "$BSS" get 'rules[1]'
	says '{"key":"mode","value":"AUTO"}' -j "$DATA" get mode
}

@test "map-edit: variables are set by name, and parts of them" {
	requires root
	load_variables
	silent "$DATA" add limit=64 mode=ON below=-9223372036854775808 count_two.twice=0x10
	is "$DATA" 'v["limit"] == 64 and v["mode"] == "ON" and v["below"] == -2**63'
	says 1 "$DATA" get count_one.twice
	says 16 "$DATA" get count_two.twice
	silent "$BSS" add 'name=eth0' flag 'rules[1]={addr=192.0.2.1 mac=02:00:00:00:00:07}' \
		'rules[1].port=8080' 'rules[0].nested.limit=-7' 'rules[0].high=-16' 'rules[0].low=5' \
		huge=000102030405060708090a0b0c0d0e0f
	is "$BSS" 'v["name"] == "eth0" and v["flag"] and v["runs"] == 0'
	is "$BSS" 'v["rules"][1]["addr"] == int.from_bytes(socket.inet_aton("192.0.2.1"), sys.byteorder)'
	is "$BSS" 'v["rules"][1]["port"] == socket.htons(8080) and v["rules"][1]["mac"] == [2, 0, 0, 0, 0, 7]'
	is "$BSS" 'v["rules"][0]["nested"]["limit"] == -7 and v["rules"][1]["nested"]["limit"] == 0'
	is "$BSS" 'number(v["rules"][0]["low"]) == 5 and number(v["rules"][0]["high"]) & 31 == 16 and not number(v["rules"][0]["used"])'
	says 000102030405060708090a0b0c0d0e0f "$BSS" get huge
	# The program has them: 65 bytes are too long now.
	head -c 65 /dev/zero >"$BATS_TEST_TMPDIR/long"
	silent "$BSS" add flag=false
	run -0 bpftool -j prog run pinned "$BPFFS/prog" data_in "$BATS_TEST_TMPDIR/long"
	[ "$(jq .retval <<<"$output")" = 1 ] # XDP_DROP
	silent "$DATA" add limit=65
	run -0 bpftool -j prog run pinned "$BPFFS/prog" data_in "$BATS_TEST_TMPDIR/long"
	[ "$(jq .retval <<<"$output")" = 2 ] # XDP_PASS
	is "$BSS" 'v["runs"] == 2'
}

@test "map-edit: variables that are wrong: nothing is set" {
	local wrong why
	requires root
	load_variables
	while IFS='|' read -r wrong why; do
		refused "set '$wrong' in map '$DATA': $why" "$DATA" add limit=1 "$wrong"
	done <<-'END'
		limits=1|no such variable (there are: limit, mode, below, count_one.twice, count_two.twice)
		lim=1|no such variable (there are: limit, mode, below, count_one.twice, count_two.twice)
		count_one=1|no such variable (there are: limit, mode, below, count_one.twice, count_two.twice)
		limit.x=1|it has no member 'x'
		limit[0]=1|it has no element '[0]'
	END
	refused "get 'rules[2]' from map '$BSS': index '2' is out of range (0-1)" "$BSS" get 'rules[2]'
	refused "get 'nothing' from map '$RODATA': no such variable (there are: constant)" "$RODATA" get nothing
	misuse "KEY[=VALUE] 'limit=4294967296': '4294967296' is above 4294967295" "$DATA" add mode=OFF limit=4294967296
	misuse "KEY[=VALUE] 'mode=NO': 'NO' is not one of OFF, ON, AUTO" "$DATA" add mode=NO
	misuse "KEY[=VALUE] 'mode': its value is missing: write KEY=VALUE" "$DATA" add mode
	misuse "KEY[=VALUE] 'limit=1 2': unexpected text after the entry: '2'" "$DATA" add 'limit=1 2'
	refused "sync map '$DATA': it has variables, which cannot be removed: use load" "$DATA" sync /dev/null
	refused "open map '$DATA': its type is array: its entries cannot be deleted, only set to another value" \
		"$DATA" del limit
	refused "open map '$RODATA': it is frozen (read-only): 'prog-load --set' sets its variables before the program is loaded" \
		"$RODATA" add constant=8
	is "$DATA" 'v["limit"] == 1500 and v["mode"] == "AUTO"'
	is "$RODATA" 'v["constant"] == 7'
}

@test "map-edit: variables from a file" {
	requires root
	load_variables
	printf '%s\n' '# settings' 'limit = 9 # bytes' '' 'mode=AUTO' 'below=-6' 'below = -7' >"$BATS_TEST_TMPDIR/file"
	says $'~ limit=1500 -> 9\n~ below=-5 -> -7\n0 added, 2 changed' "$DATA" load --dry-run "$BATS_TEST_TMPDIR/file"
	is "$DATA" 'v["limit"] == 1500'
	says '{"changes":[{"action":"change","key":"limit","old":1500,"value":9},{"action":"change","key":"below","old":-5,"value":-7}],"added":0,"changed":2}' \
		-j "$DATA" load --dry-run "$BATS_TEST_TMPDIR/file"
	says "0 added, 2 changed" "$DATA" load "$BATS_TEST_TMPDIR/file"
	is "$DATA" 'v["limit"] == 9 and v["mode"] == "AUTO" and v["below"] == -7'
	says '{"added":0,"changed":0}' -j "$DATA" load "$BATS_TEST_TMPDIR/file"

	# What is shown can be given back.
	map-edit "$BSS" add name=x 'rules[0].low=3' huge=000102030405060708090a0b0c0d0e0f
	map-edit "$BSS" show >"$BATS_TEST_TMPDIR/shown"
	map-edit "$BSS" add name=y 'rules[0].low=4' huge=00000000000000000000000000000000
	says "0 added, 3 changed" "$BSS" load "$BATS_TEST_TMPDIR/shown"
	[ "$(map-edit "$BSS" show)" = "$(cat "$BATS_TEST_TMPDIR/shown")" ]

	printf 'limit=10\nnone=1\nmode=X\n' >"$BATS_TEST_TMPDIR/file"
	refused "$BATS_TEST_TMPDIR/file:2: no such variable (there are: limit, mode, below, count_one.twice, count_two.twice)
map-edit: $BATS_TEST_TMPDIR/file:3: 'X' is not one of OFF, ON, AUTO
map-edit: load '$BATS_TEST_TMPDIR/file': 2 bad lines, nothing is changed" "$DATA" load "$BATS_TEST_TMPDIR/file"
	is "$DATA" 'v["limit"] == 9'
}

@test "map-edit: a variable is set while the program changes another one: not one count is lost" {
	local runs=3000000 i
	requires root
	load_variables
	head -c 64 /dev/zero >"$BATS_TEST_TMPDIR/packet"
	start bpftool prog run pinned "$BPFFS/prog" data_in "$BATS_TEST_TMPDIR/packet" repeat $runs
	for ((i = 1; i <= 100; i++)); do
		map-edit "$BSS" add "rules[1].nested.limit=$i"
	done
	wait "$PID"
	is "$BSS" "v['runs'] == $runs and v['rules'][1]['nested']['limit'] == 100"
}

@test "map-edit: the variables of a section that nobody may map, and of one that a program only reads" {
	local map
	requires root
	load_variables
	# The same BTF, but other flags: what a skeleton makes of static variables, or a tool.
	for map in "plain 0" "readonly 0x480"; do
		/usr/bin/python3 - "$DATA" "$BPFFS/${map% *}" "${map#* }" <<-'PY'
			import ctypes, struct, sys
			bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
			def command(number, *fields):
			    attr = struct.pack("=" + "".join(form for form, _ in fields), *(value for _, value in fields)).ljust(160, b"\0")
			    fd = ctypes.CDLL(None, use_errno=True).syscall({"x86_64": 321}.get(__import__("platform").machine(), 280), number, attr, len(attr))
			    assert fd >= 0, ctypes.get_errno()
			    return fd
			fd = bpf.bpf_obj_get(sys.argv[1].encode())
			info = ctypes.create_string_buffer(128)
			size = ctypes.c_uint32(len(info))
			assert not bpf.bpf_obj_get_info_by_fd(fd, info, ctypes.byref(size))
			value_size, = struct.unpack_from("=I", info, 12)
			btf_id, key_type, value_type = struct.unpack_from("=III", info, 64)
			btf = bpf.bpf_btf_get_fd_by_id(btf_id)
			new = command(0, ("I", 2), ("I", 4), ("I", value_size), ("I", 1), ("I", int(sys.argv[3], 0)), ("I", 0), ("I", 0),
			              ("16s", b"variable.data"), ("I", 0), ("I", btf), ("I", key_type), ("I", value_type))
			path = ctypes.create_string_buffer(sys.argv[2].encode())
			command(6, ("Q", ctypes.addressof(path)), ("I", new))
		PY
		silent "$BPFFS/${map% *}" add limit=7 mode=ON
		is "$BPFFS/${map% *}" 'v["limit"] == 7 and v["mode"] == "ON" and v["below"] == 0'
	done
}

@test "map-edit: variables of one name, of two files" {
	local file
	requires root
	for file in 1 2; do
		printf '%s\n' '#include <linux/bpf.h>' '#include <bpf/bpf_helpers.h>' \
			'static volatile unsigned twin = 1; volatile unsigned other'$file' = 2;' \
			'SEC("xdp") int prog'$file'(struct xdp_md *ctx) { return twin++ + other'$file'++; }' |
			clang -x c -g -O2 -target bpf -idirafter "/usr/include/$(uname -m)-linux-gnu" -c - -o "$BATS_TEST_TMPDIR/$file.o"
	done
	bpftool gen object "$BATS_TEST_TMPDIR/twins.o" "$BATS_TEST_TMPDIR/1.o" "$BATS_TEST_TMPDIR/2.o"
	bpftool prog load "$BATS_TEST_TMPDIR/twins.o" "$BPFFS/prog" pinmaps "$BPFFS"
	refused "get 'twin' from map '$BPFFS/twins_data': several variables have this name" "$BPFFS/twins_data" get twin
	refused "set 'twin=3' in map '$BPFFS/twins_data': several variables have this name" "$BPFFS/twins_data" add twin=3
	silent "$BPFFS/twins_data" add other2=5
	is "$BPFFS/twins_data" 'v["other1"] == 2 and v["other2"] == 5'
}

@test "map-edit: variables for a user who cannot read BTF from the kernel: --btf" {
	requires root
	load_variables
	chmod 711 "$BPFFS"
	chmod 666 "$DATA" "$BSS"
	fails 1 "map-edit: find the type of the values of map '$DATA': reading its BTF needs CAP_SYS_ADMIN: give --btf OBJ, or --value hex[24]" \
		as_user map-edit "$DATA" show
	run -0 as_user map-edit --btf "$BATS_FILE_TMPDIR/variables.o" "$DATA" show
	[ "$output" = "$(map-edit "$DATA" show)" ]
	run -0 as_user map-edit --btf "$BATS_FILE_TMPDIR/variables.o" "$BSS" add runs=5
	is "$BSS" 'v["runs"] == 5'
	fails 1 "map-edit: find the type of the values of map '$DATA': '$HOOKSET_BUILD/xdp_drop.bpf.o' has no types for a map 'variable.data': give --value hex[24]" \
		map-edit --btf "$HOOKSET_BUILD/xdp_drop.bpf.o" "$DATA" show
	# Its bytes can be had.
	run -0 map-edit --value 'hex[24]' "$DATA" get 0
	[ "${output:0:8}" = dc050000 ]
}

# bats test_tags=kernel-free
@test "map-edit: variables: an input without end ends with a message, and a repeated one is one" {
	local input
	requires root
	load_variables
	for input in "limit=7|it has more than 1000000 lines" "none=7|1000000 bad lines so far"; do
		# shellcheck disable=SC2016 # the inner shell expands it
		run -1 --separate-stderr bash -c 'yes "$2" 2>/dev/null | timeout 100 map-edit "$1" load -' bash "$DATA" "${input%|*}"
		# shellcheck disable=SC2154 # run sets it
		[ "${stderr_lines[-1]}" = "map-edit: load standard input: ${input#*|}, nothing is changed" ]
	done
	says 1500 "$DATA" get limit
	fails 1 "map-edit: write to standard output: Bad file descriptor" \
		bash -c "echo limit=8 | map-edit $DATA load - >&-"
	says 1500 "$DATA" get limit
	fails 1 "map-edit: write to standard output: No space left on device (but it is done: 0 added, 1 changed)" \
		bash -c "echo limit=8 | map-edit $DATA load - >/dev/full"
	says 8 "$DATA" get limit
	yes limit=7 | head -n 50000 >"$BATS_TEST_TMPDIR/file"
	says "0 added, 1 changed" "$DATA" load "$BATS_TEST_TMPDIR/file"
	says 7 "$DATA" get limit
}

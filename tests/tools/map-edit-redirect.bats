#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# map-edit on the maps that XDP programs redirect packets by: devmap, cpumap, xskmap; and on those
# whose entries it only shows. What they hold, bpftool says, and packets.
# shellcheck disable=SC2154 # netns sets the names that it is given

load ../lib/helpers
# shellcheck disable=SC2034 # what misuse, refused, silent and says run
TOOL="map-edit"

setup_file() {
	object redirect redirect
}

# load_redirect: the programs and maps of fixtures/redirect.bpf.c.
load_redirect() {
	bpftool prog loadall "$BATS_FILE_TMPDIR/redirect.o" "$BPFFS/progs" pinmaps "$BPFFS"
}

# value_is MAP KEY NUMBER...: the value of the key, an index, is these words of 32 bits to bpftool.
value_is() {
	local map=$1 key=$2
	shift 2
	[ "$(bpftool -j map lookup pinned "$BPFFS/$map" key "$key" 0 0 0 | jq -c .value)" = \
		"$(/usr/bin/python3 -c '
import json, struct, sys
words = map(int, sys.argv[1:])
print(json.dumps([f"0x{b:02x}" for word in words for b in struct.pack("=I", word)], separators=(",", ":")))' "$@")" ]
}

# index_of NETNS DEVICE
index_of() {
	ip -n "$1" -j link show dev "$2" | jq '.[].ifindex'
}

# wire: two hosts, A and B, behind the devices a and b of BOX, which redirects by XDP alone.
wire() {
	local side
	load_redirect
	netns A
	netns B
	netns BOX
	ip -n "$A" link add veth0 type veth peer name a netns "$BOX"
	ip -n "$B" link add veth0 type veth peer name b netns "$BOX"
	ip -n "$A" addr add 10.9.0.1/24 dev veth0
	ip -n "$B" addr add 10.9.0.2/24 dev veth0
	for side in "$A veth0" "$B veth0" "$BOX a" "$BOX b"; do
		# shellcheck disable=SC2086 # a namespace and a device
		set -- $side
		ip -n "$1" link set dev "$2" up
	done
	# A veth device takes redirected frames where its peer has a program, too.
	bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/pass"
	in_ns "$A" ip link set dev veth0 xdp pinned "$BPFFS/pass"
	in_ns "$B" ip link set dev veth0 xdp pinned "$BPFFS/pass"
	in_ns "$BOX" ip link set dev a xdp pinned "$BPFFS/progs/redirect"
	in_ns "$BOX" ip link set dev b xdp pinned "$BPFFS/progs/redirect"
	poll 5 has_carrier "$A"
	poll 5 has_carrier "$B"
	a=$(index_of "$BOX" a)
	b=$(index_of "$BOX" b)
}

# reaches SECONDS: does B answer A in time?
reaches() {
	in_ns "$A" ping -c 1 -W "$1" 10.9.0.2
}

@test "map-edit: packets are redirected by the devices that it sets, by name or index" {
	local a b drop
	requires root
	wire
	run ! reaches 0.3
	says "" "$BPFFS/wire" show
	silent --netns "$BOX" "$BPFFS/wire" add "$a={ifindex=b}" "$b={ifindex=$a}"
	poll 5 reaches 1
	value_is wire "$a" "$b" 0
	value_is wire "$b" "$a" 0
	says "$a={ifindex=$b prog_id=0} # b
$b={ifindex=$a prog_id=0} # a" -n "$BOX" "$BPFFS/wire" show

	# A program at the way out, then none: of the answers.
	drop=$(field prog "$BPFFS/progs/drop_dev" id)
	silent -n "$BOX" "$BPFFS/wire" add "$b={ifindex=a prog_id=$drop}"
	says "{ifindex=$a prog_id=$drop} # a" -n "$BOX" "$BPFFS/wire" get "$b"
	value_is wire "$b" "$a" "$drop"
	run ! reaches 0.3
	# What is shown is read back, with the program.
	map-edit -n "$BOX" "$BPFFS/wire" show >"$BATS_TEST_TMPDIR/file"
	says "0 added, 0 changed, 0 removed" -n "$BOX" "$BPFFS/wire" sync "$BATS_TEST_TMPDIR/file"
	says "0 added, 0 changed, 2 removed" -n "$BOX" "$BPFFS/wire" sync --allow-empty /dev/null
	says "2 added, 0 changed, 0 removed" -n "$BOX" "$BPFFS/wire" sync "$BATS_TEST_TMPDIR/file"
	value_is wire "$b" "$a" "$drop"
	run ! reaches 0.3
	silent -n "$BOX" "$BPFFS/wire" add "$b={ifindex=a}"
	reaches 5

	silent "$BPFFS/wire" del "$a"
	run ! reaches 0.3
	refused "delete from map '$BPFFS/wire': '$a' is not there" "$BPFFS/wire" del "$a"
}

@test "map-edit: devmap and devmap_hash: each verb; devices of the network namespace" {
	local type map first second
	requires root
	netns ns
	ip -n "$ns" link add one type veth peer name two
	ip -n "$ns" link property add dev two altname a-name-of-more-than-15-characters
	first=$(index_of "$ns" one)
	second=$(index_of "$ns" two)
	[ "$first" -ne "$second" ]
	for type in devmap devmap_hash; do
		map=$BPFFS/$type
		create_map "$type" "$type" 4 4 4
		set -- -n "$ns" "$map"
		silent "$@" add 3=one 1=a-name-of-more-than-15-characters
		value_is "$type" 3 "$first"
		value_is "$type" 1 "$second"
		says "1=$second # two"$'\n'"3=$first # one" "$@" show
		says "[{\"key\":1,\"value\":$second,\"ifname\":\"two\"},{\"key\":3,\"value\":$first,\"ifname\":\"one\"}]" \
			-j "$@" show
		says "$first # one" "$@" get 3
		says "{\"key\":3,\"value\":$first,\"ifname\":\"one\"}" -j "$@" get 3
		refused "get '2' from map '$map': it is not there" "$@" get 2
		silent "$@" add 1-2=one
		value_is "$type" 2 "$first"
		printf '%s\n' "2=if$second # two" "3 = $second" >"$BATS_TEST_TMPDIR/file"
		says "~ 2=$first -> $second"$'\n'"~ 3=$first -> $second"$'\n'"0 added, 2 changed" \
			--dry-run "$@" load "$BATS_TEST_TMPDIR/file"
		value_is "$type" 2 "$first"
		says "0 added, 2 changed, 1 removed" "$@" sync "$BATS_TEST_TMPDIR/file"
		says "2=$second # two"$'\n'"3=$second # two" "$@" show

		misuse "KEY[=VALUE] '0': its value is missing: write KEY=VALUE" "$@" add 0
		misuse "KEY[=VALUE] '0=': '' is no device" "$@" add 0=
		misuse "KEY[=VALUE] '0=0': no device in this network namespace has the ifindex 0" "$@" add 0=0
		misuse "KEY[=VALUE] '0=99999': no device in this network namespace has the ifindex 99999" \
			"$@" add 0=99999
		misuse "KEY[=VALUE] '0=three': find device 'three': No such device" "$@" add 0=three
		misuse "KEY[=VALUE] '0=one': find device 'one': No such device" "$map" add 0=one
		misuse "--value does not go with the map type $type" --value u32 "$map" show
		printf '%s\n' 0=one 1 1= 2=three >"$BATS_TEST_TMPDIR/file"
		run -1 --separate-stderr map-edit "$@" load "$BATS_TEST_TMPDIR/file"
		[ "$stderr" = "map-edit: $BATS_TEST_TMPDIR/file:2: its value is missing: write KEY=VALUE
map-edit: $BATS_TEST_TMPDIR/file:3: '' is no device
map-edit: $BATS_TEST_TMPDIR/file:4: find device 'three': No such device
map-edit: load '$BATS_TEST_TMPDIR/file': 3 bad lines, nothing is changed" ]
		says "2=$second # two"$'\n'"3=$second # two" "$@" show

		refused "delete from map '$map': '1' is not there" "$@" del 1
		refused "delete from map '$map': '1' is not there" "$@" del 2 1
		silent "$@" del 2-3
		says "" "$@" show
	done
	misuse "KEY[=VALUE] '4=one': index out of range (0-3)" -n "$ns" "$BPFFS/devmap" add 4=one
	silent -n "$ns" "$BPFFS/devmap_hash" add 4294967295=one

	create_map plain hash 4 4 4
	refused "open map '$BPFFS/plain': its type is hash, and --netns is for a devmap" \
		-n "$ns" --key u32 --value u32 "$BPFFS/plain" show
	refused "open network namespace 'nowhere': No such file or directory" \
		-n nowhere "$BPFFS/devmap" show
}

@test "map-edit: the programs of a devmap's entries: what is wrong, and what is undone" {
	local one map drop wrong
	requires root
	load_redirect
	netns ns
	ip -n "$ns" link add one type veth
	one=$(index_of "$ns" one)
	map=$BPFFS/wire
	drop=$(field prog "$BPFFS/progs/drop_dev" id)
	wrong=$(field prog "$BPFFS/progs/drop_cpu" id)
	silent -n "$ns" "$map" add "1={ifindex=one prog_id=$drop}"
	misuse "KEY[=VALUE] '2={prog_id=$drop}': no device has ifindex 0" -n "$ns" "$map" add "2={prog_id=$drop}"
	refused "open program 4294967295: No such file or directory" \
		-n "$ns" "$map" add "2={ifindex=one prog_id=4294967295}"
	# The entries before it are as they were, with their programs.
	refused "add to map '$map': Invalid argument (the device is gone, or its program is not of type xdp/devmap)" \
		-n "$ns" "$map" add "1={ifindex=one}" "2={ifindex=one}" "3={ifindex=one prog_id=$wrong}"
	says "1={ifindex=$one prog_id=$drop} # one" -n "$ns" "$map" show
	value_is wire 1 "$one" "$drop"
	says "[{\"key\":1,\"value\":{\"ifindex\":$one,\"prog_id\":$drop},\"ifname\":\"one\"}]" -j -n "$ns" "$map" show

	# As many entries as may be open files, with one program.
	bpftool map create "$BPFFS/many" type devmap key 4 value 8 entries 64 name many
	(
		ulimit -n 32
		map-edit -n "$ns" "$BPFFS/many" add "0-63={ifindex=one prog_id=$drop}"
	)
	value_is many 63 "$one" "$drop"
}

@test "map-edit: a device that is renamed, or in another network namespace" {
	requires root
	netns ns
	ip -n "$ns" link add one index 7001 type veth
	create_map m devmap 4 4 4
	silent -n "$ns" "$BPFFS/m" add 0=one
	ip -n "$ns" link set dev one name two
	says "0=7001 # two" -n "$ns" "$BPFFS/m" show
	says "0=7001" "$BPFFS/m" show
	says '[{"key":0,"value":7001}]' -j "$BPFFS/m" show
	# A name may have nearly any byte: a terminal does not get them.
	ip -n "$ns" link set dev two name $'\e[31m'
	says '0=7001 # \x1b[31m' -n "$ns" "$BPFFS/m" show
	says '[{"key":0,"value":7001,"ifname":"\u001b[31m"}]' -j -n "$ns" "$BPFFS/m" show
	# With the device, the kernel removes its entry.
	ip -n "$ns" link del dev $'\e[31m'
	says "" -n "$ns" "$BPFFS/m" show
}

@test "map-edit: cpumap: each verb" {
	local map=$BPFFS/cpus drop wrong
	requires root
	load_redirect
	drop=$(field prog "$BPFFS/progs/drop_cpu" id)
	wrong=$(field prog "$BPFFS/progs/drop_dev" id)
	silent "$map" add "0={qsize=192 prog_id=$drop}"
	value_is cpus 0 192 "$drop"
	says "0={qsize=192 prog_id=$drop}" "$map" show
	says "[{\"key\":0,\"value\":{\"qsize\":192,\"prog_id\":$drop}}]" -j "$map" show
	says "{qsize=192 prog_id=$drop}" "$map" get 0
	map-edit "$map" show >"$BATS_TEST_TMPDIR/file"
	silent "$map" add "0={qsize=64}"
	value_is cpus 0 64 0
	says "~ 0={qsize=64 prog_id=0} -> {qsize=192 prog_id=$drop}"$'\n'"0 added, 1 changed, 0 removed" \
		--dry-run "$map" sync "$BATS_TEST_TMPDIR/file"
	says "0 added, 1 changed, 0 removed" "$map" sync "$BATS_TEST_TMPDIR/file"
	value_is cpus 0 192 "$drop"

	misuse "KEY[=VALUE] '0': its value is missing: write KEY=VALUE" "$map" add 0
	misuse "KEY[=VALUE] '0={}': qsize is 0" "$map" add "0={}"
	misuse "KEY[=VALUE] '0={qsize=0 prog_id=$drop}': qsize is 0" "$map" add "0={qsize=0 prog_id=$drop}"
	refused "add to map '$map': Value too large for defined data type (qsize is above 16384)" \
		"$map" add "0={qsize=16385}"
	refused "add to map '$map': Cannot allocate memory (perhaps the program is not of type xdp/cpumap)" \
		"$map" add "0={qsize=1 prog_id=$wrong}"
	value_is cpus 0 192 "$drop"
	misuse "KEY[=VALUE] '8={qsize=1}': index out of range (0-7)" "$map" add "8={qsize=1}"
	if [ ! -e /sys/devices/system/cpu/cpu7 ]; then
		refused "add to map '$map': No such device (the machine has no such CPU)" "$map" add "7={qsize=1}"
		refused "add to map '$map': No such device (the machine has no such CPU)" \
			"$map" add "0={qsize=1}" "7={qsize=1}"
		value_is cpus 0 192 "$drop"
	fi
	refused "open map '$map': its type is cpumap, and --netns is for a devmap" -n x "$map" show
	refused "delete from map '$map': '1' is not there" "$map" del 1
	silent "$map" del 0
	says "" "$map" show
	refused "delete from map '$map': '0' is not there" "$map" del 0

	# Without a program, as before Linux 5.9.
	create_map narrow cpumap 4 4 1
	silent "$BPFFS/narrow" add 0=192
	value_is narrow 0 192
	says 0=192 "$BPFFS/narrow" show
	misuse "KEY[=VALUE] '0=0': qsize is 0" "$BPFFS/narrow" add 0=0
}

# AF_XDP sockets on two queues of veth0, in entries 5 and 1 of a map, until it is ended.
xdp_sockets() {
	exec /usr/bin/python3 -c '
import ctypes, ctypes.util, mmap, socket, struct, sys, time
bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
libc = ctypes.CDLL(None, use_errno=True)
fd = bpf.bpf_obj_get(sys.argv[1].encode())
kept = []
for key, queue in (5, 1), (1, 0):
    s = socket.socket(44, socket.SOCK_RAW)  # AF_XDP
    area = mmap.mmap(-1, 16 * 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    s.setsockopt(283, 4, struct.pack("=QQIIII", address, len(area), 4096, 0, 0, 0))  # XDP_UMEM_REG
    for ring in 5, 6, 2:  # fill, completion, rx
        s.setsockopt(283, ring, struct.pack("=I", 16))
    where = struct.pack("=HHIII", 44, 2, socket.if_nametoindex("veth0"), queue, 0)  # XDP_COPY
    if libc.bind(s.fileno(), where, len(where)):
        sys.exit(f"bind: {ctypes.get_errno()}")
    if bpf.bpf_map_update_elem(fd, ctypes.byref(ctypes.c_uint32(key)),
                               ctypes.byref(ctypes.c_uint32(s.fileno())), ctypes.c_uint64(0)):
        sys.exit(f"update: {ctypes.get_errno()}")
    kept.append((s, area))
print("ready", flush=True)
time.sleep(60)' "$1"
}

@test "map-edit: xskmap: show, get and del; the queues of the sockets" {
	local map=$BPFFS/m verb text
	requires root
	netns ns
	ip -n "$ns" link add veth0 numrxqueues 2 numtxqueues 2 type veth peer name veth1 numrxqueues 2 numtxqueues 2
	create_map m xskmap 4 4 8
	says "" "$map" show
	start_in "$ns" bash -c "$(declare -f xdp_sockets); xdp_sockets $map"
	poll 10 grep ready "$OUT"
	says $'1=0\n5=1' "$map" show
	says '[{"key":1,"value":0},{"key":5,"value":1}]' -j "$map" show
	says 1 "$map" get 5
	refused "get '2' from map '$map': it is not there" "$map" get 2
	misuse "KEY '8': index out of range (0-7)" "$map" get 8
	misuse "--value does not go with the map type xskmap" --value u32 "$map" show
	text="open map '$map': its type is xskmap: the program that has a socket adds it"
	for verb in "add 1=1" "load /dev/null" "sync --allow-empty /dev/null"; do
		# shellcheck disable=SC2086 # a verb and its argument
		refused "$text" "$map" $verb
	done
	refused "delete from map '$map': '2' is not there" "$map" del 2
	refused "delete from map '$map': '2' is not there" "$map" del 1 2
	silent "$map" del 5
	says 1=0 "$map" show
	stop "$PID"
	poll 5 is_empty "$map"
}

is_empty() {
	[ -z "$(map-edit "$1" show)" ]
}

# with CAPABILITIES COMMAND...: as a plain user with these, such as bpf,net_admin.
with() {
	local caps=-all,+${1//,/,+}
	shift
	setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps="$caps" --ambient-caps="$caps" "$@"
}

@test "map-edit: xskmap: CAP_BPF and CAP_NET_ADMIN are enough, and one who lacks one is told so" {
	local map=$BPFFS/m caps
	requires root cap-bpf
	create_map m xskmap 4 4 8
	chown 65534 "$map"
	fails 0 "" with bpf,net_admin map-edit "$map" show
	for caps in bpf bpf,perfmon; do
		lacks "$map" "$caps"
	done
}

# lacks MAP CAPABILITIES
lacks() {
	fails 1 "map-edit: load a program that reads map '$1': Operation not permitted (the kernel tells what is in an xskmap to programs alone, which needs CAP_BPF and CAP_NET_ADMIN)" \
		with "$2" map-edit "$1" show
}

# A UDP socket on port 7777 in entry 3 of a map, until it is ended.
reuseport_socket() {
	exec /usr/bin/python3 -c '
import ctypes, socket, sys, time
bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
fd = bpf.bpf_obj_get(sys.argv[1].encode())
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
s.bind(("127.0.0.1", 7777))
if bpf.bpf_map_update_elem(fd, ctypes.byref(ctypes.c_uint32(3)),
                           ctypes.byref(ctypes.c_uint64(s.fileno())), ctypes.c_uint64(0)):
    sys.exit(f"update: {ctypes.get_errno()}")
print("ready", flush=True)
time.sleep(60)' "$1"
}

@test "map-edit: prog_array and reuseport_sockarray: show, get and del" {
	local prog
	requires root
	load_redirect
	netns ns
	prog=$(field prog "$BPFFS/progs/redirect" id)
	create_map progs_of prog_array 4 4 4
	bpftool map update pinned "$BPFFS/progs_of" key 2 0 0 0 value pinned "$BPFFS/progs/redirect"
	says "2=$prog" "$BPFFS/progs_of" show
	says "$prog" "$BPFFS/progs_of" get 2
	refused "open map '$BPFFS/progs_of': its type is prog_array: 'bpftool map update' adds a program to it" \
		"$BPFFS/progs_of" add 1=1
	refused "delete from map '$BPFFS/progs_of': '1' is not there" "$BPFFS/progs_of" del 1
	silent "$BPFFS/progs_of" del 2
	says "" "$BPFFS/progs_of" show

	create_map socks reuseport_sockarray 4 8 4
	says "" "$BPFFS/socks" show
	refused "open map '$BPFFS/socks': its type is reuseport_sockarray: the program that has a socket adds it" \
		"$BPFFS/socks" add 1=1
	start_in "$ns" bash -c "$(declare -f reuseport_socket); reuseport_socket $BPFFS/socks"
	poll 10 grep ready "$OUT"
	says "3=$(cookie "$ns" -u "sport = :7777")" "$BPFFS/socks" show
	refused "get '1' from map '$BPFFS/socks': it is not there" "$BPFFS/socks" get 1
	refused "delete from map '$BPFFS/socks': '1' is not there" "$BPFFS/socks" del 1
	silent "$BPFFS/socks" del 3
	says "" "$BPFFS/socks" show
}

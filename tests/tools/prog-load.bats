#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # netns, two_hosts and others set the names they are given
# shellcheck disable=SC2030,SC2031 # each test is a subshell
# shellcheck disable=SC2016 # what make is to expand
# shellcheck disable=SC2317 # functions that are given to poll

load ../lib/helpers

PACKETS=$BATS_TEST_DIRNAME/../objects/packets.py
TABLE=$BATS_TEST_DIRNAME/../objects/packets/tcp.table

setup_file() {
	object text text
	object beside text -DBESIDE
	object knobs knobs
	object variables variables
	object shared shared
	object several refused -DTWO
}

# map_ids PROG: the ids of the maps that the pinned program uses, in order.
map_ids() {
	field prog "$1" map_ids | sort -n
}

# verdict PROG: what the program pinned there says of a packet, as the kernel runs it.
verdict() {
	head -c 64 /dev/zero | bpftool -j prog run pinned "$1" data_in - repeat 1 |
		/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["retval"])'
}

# count PIN KEY: the first 64 bits of that slot of a pinned map.
count() {
	bpftool -j map dump pinned "$1" | /usr/bin/python3 -c '
import json, sys
for slot in json.load(sys.stdin):
    if bytes(int(b, 16) for b in slot["key"]) == int(sys.argv[1]).to_bytes(4, sys.byteorder):
        print(int.from_bytes(bytes(int(b, 16) for b in slot["value"][:8]), sys.byteorder))' "$2"
}

# variables PROG: the variables of the pinned program as JSON, as bpftool reads them from the kernel.
variables() {
	local id
	for id in $(map_ids "$1"); do
		bpftool -j map dump id "$id"
	done | /usr/bin/python3 -c '
import json, sys
decoder, text, found = json.JSONDecoder(), sys.stdin.read().strip(), {}
while text:
    slots, end = decoder.raw_decode(text)
    text = text[end:].strip()
    for slot in slots:
        value = slot.get("formatted", slot)["value"]
        for section in value if isinstance(value, list) else [value]:
            for variables in section.values() if isinstance(section, dict) else []:
                for variable in variables if isinstance(variables, list) else []:
                    found.update(variable)
print(json.dumps(found))'
}

# is PROG EXPRESSION: it is true of the variables v of the pinned program. htons, aton, and
# aton6 are those of the C library.
is() {
	/usr/bin/python3 -c '
import json, socket, sys
v = json.loads(sys.argv[1])
htons = socket.htons
def aton(text): return int.from_bytes(socket.inet_aton(text), sys.byteorder)
def aton6(text): return list(socket.inet_pton(socket.AF_INET6, text))
if not eval(sys.argv[2]):
    sys.exit(f"not {sys.argv[2]}: {v}")' "$(variables "$1")" "$2"
}

# bats test_tags=kernel-free
@test "prog-load: wrong usage" {
	local option
	misuse "OBJ and PIN are missing"
	misuse "PIN is missing" obj.o
	misuse "too many arguments: 'more'" obj.o pin more
	misuse "unrecognized option '--nothing'" --nothing obj.o pin
	misuse "invalid option -- 'x'" -x obj.o pin
	for option in t s P D M; do
		misuse "invalid option -- '$option'" "-$option" x obj.o pin
	done
	misuse "option '--type' requires an argument" obj.o pin --type
	misuse "--type is empty" --type= obj.o pin
	misuse "unknown TYPE 'nothing' (expected a section name that libbpf knows: xdp, tc, ...)" --type nothing obj.o pin
	misuse "unknown TYPE '.text' (expected a section name that libbpf knows: xdp, tc, ...)" --type .text obj.o pin
	misuse "--section is empty" --section "" obj.o pin
	misuse "--program is empty" --program "" obj.o pin
	misuse "--maps is empty" --maps "" obj.o pin
	misuse "--set 'drop_port' is not VAR=VALUE" --set drop_port obj.o pin
	misuse "--set '' is not VAR=VALUE" --set "" obj.o pin
	misuse "--set '=9090' is not VAR=VALUE" --set =9090 obj.o pin
	misuse "MODE '9' is not an octal mode" -m 9 obj.o pin
	misuse "no user is called 'nobody-at-all'" -o nobody-at-all obj.o pin
}

@test ".text: bpftool refuses it, prog-load loads it, and ip attaches the pin" {
	local text=$HOOKSET_BUILD/xdp_drop.o mode
	requires root
	run ! bpftool prog load "$text" "$BPFFS/theirs" type xdp
	[ ! -e "$BPFFS/theirs" ]

	silent "$text" "$BPFFS/prog"
	"$PACKETS" verdicts "$TABLE" "$BPFFS/prog"
	two_hosts client server
	serve "$server" S tcp:10.9.0.2:8080 tcp:10.9.0.2:8081
	answers "S hello|8080" "$client" tcp 10.9.0.2 8080
	for mode in xdpdrv xdpgeneric; do
		in_ns "$server" ip link set dev veth0 $mode pinned "$BPFFS/prog"
		DEADLINE=1 answers timeout "$client" tcp 10.9.0.2 8080
		answers "S hello|8081" "$client" tcp 10.9.0.2 8081
		in_ns "$server" ip link set dev veth0 $mode off
	done
	answers "S hello|8080" "$client" tcp 10.9.0.2 8080
}

@test ".text: with a map, a variable, subprograms, debug information and CO-RE" {
	requires root
	silent --program count --set verdict=3 --maps "$BPFFS/maps" "$BATS_FILE_TMPDIR/text.o" "$BPFFS/prog"
	[ "$(field prog "$BPFFS/prog" type)" = xdp ]
	[ "$(field prog "$BPFFS/prog" name)" = count ]
	[ "$(verdict "$BPFFS/prog")" = 3 ]
	[ "$(count "$BPFFS/maps/runs" 0)" = 1 ]
	run -0 bpftool prog dump xlated pinned "$BPFFS/prog"
	[[ $output == *"int count(struct xdp_md * ctx):"*"look(__u32 key):"* ]]
	[[ $output == *"int answer(__u32 add):"* ]]
	[[ $output == *"; __u64 *value = look(0);"* ]]
}

@test ".text: without BTF the same, but for what BTF is for" {
	local obj=$BATS_FILE_TMPDIR/bare.o
	requires root
	object bare text -g0 -DBARE
	silent --program count "$obj" "$BPFFS/prog"
	[ "$(verdict "$BPFFS/prog")" = 2 ]
	refused "set 'verdict': the object has no BTF: build it with -g" \
		--program count --set verdict=1 "$obj" "$BPFFS/other"
	pins_are "$BPFFS" prog
}

@test ".text: beside a program with a section, it is where subprograms are, unless asked for" {
	local beside=$BATS_FILE_TMPDIR/beside.o
	requires root
	silent "$beside" "$BPFFS/beside"
	[ "$(field prog "$BPFFS/beside" name)" = beside ]
	[ "$(verdict "$BPFFS/beside")" = 3 ]
	silent --program count "$beside" "$BPFFS/count"
	[ "$(field prog "$BPFFS/count" name)" = count ]
	[ "$(verdict "$BPFFS/count")" = 2 ]
	silent --section .text --program count "$beside" "$BPFFS/count2"
	[ "$(verdict "$BPFFS/count2")" = 2 ]
	refused "load from '$beside': several programs: choose one by --program or --section: 'answer' in section '.text', 'count' in section '.text'" \
		--section .text "$beside" "$BPFFS/none"
	# The file itself stays as it is.
	object again text -DBESIDE
	cmp "$beside" "$BATS_FILE_TMPDIR/again.o"
}

@test "--type: as if the section were called so" {
	local text=$HOOKSET_BUILD/xdp_drop.o
	requires root
	# type EXPECTED OPTION...: what the kernel then says that it is.
	type() {
		local expected=$1
		shift
		silent -r "$@" "$BPFFS/prog"
		[ "$(field prog "$BPFFS/prog" type)" = "$expected" ]
	}
	object section refused '-DSECTION="prog"'
	object optional refused '-DSECTION="?tc"'
	type xdp "$text"
	type xdp --type xdp "$text"
	type sched_cls "$BATS_FILE_TMPDIR/optional.o"
	type sched_cls --section tc "$BATS_FILE_TMPDIR/optional.o"
	type xdp --type xdp "$BATS_FILE_TMPDIR/optional.o"
	type sched_cls --type tc --program count "$BATS_FILE_TMPDIR/text.o"
	type socket_filter --type=socket "$BATS_FILE_TMPDIR/section.o"
	type xdp --type xdp --section prog "$BATS_FILE_TMPDIR/section.o"
	type sk_lookup "$HOOKSET_BUILD/echo_dispatch.bpf.o"
	refused "load program 'refused' of '$BATS_FILE_TMPDIR/section.o': its section 'prog' names no program type: use --type" \
		"$BATS_FILE_TMPDIR/section.o" "$BPFFS/none"
	# A wrong one is the verifier's to find: an sk_lookup has no such context.
	run -1 --separate-stderr prog-load --type sk_lookup "$HOOKSET_BUILD/xdp_drop.bpf.o" "$BPFFS/none"
	[[ $stderr == "prog-load: load program 'xdp_drop' of '$HOOKSET_BUILD/xdp_drop.bpf.o': rejected by the verifier"$'\n'* ]]
	pins_are "$BPFFS" prog
}

@test "several programs: one is to be named, by its section or its name" {
	local obj=$BATS_FILE_TMPDIR/several.o all
	requires root
	all="'refused' in section 'xdp', 'another' in section 'tc', 'third' in section 'xdp'"
	refused "load from '$obj': several programs: choose one by --program or --section: $all" "$obj" "$BPFFS/pin"
	refused "load from '$obj': several programs: choose one by --program or --section: 'refused' in section 'xdp', 'third' in section 'xdp'" \
		--section xdp "$obj" "$BPFFS/pin"
	refused "load from '$obj': no such program (the object has: $all)" --program nothing "$obj" "$BPFFS/pin"
	refused "load from '$obj': no such program (the object has: $all)" --section nothing "$obj" "$BPFFS/pin"
	refused "load from '$obj': no such program (the object has: $all)" \
		--section tc --program third "$obj" "$BPFFS/pin"
	pins_are "$BPFFS"
	silent --section tc "$obj" "$BPFFS/by_section"
	silent --section xdp --program third "$obj" "$BPFFS/by_both"
	silent --program refused "$obj" "$BPFFS/by_name"
	[ "$(field prog "$BPFFS/by_section" name)" = another ]
	[ "$(verdict "$BPFFS/by_both")" = 1 ]
	[ "$(verdict "$BPFFS/by_name")" = 2 ]
}

@test "--set: bpftool cannot, since the variables are frozen; drop_port=9090 blocks 9090 and not 8080" {
	local obj=$HOOKSET_BUILD/xdp_drop.bpf.o mode
	requires root
	load_prog xdp_drop
	run ! bpftool map update id "$(map_ids "$BPFFS/xdp_drop_prog")" key 0 0 0 0 value 0x82 0x23 0 0
	[[ $output == *"Operation not permitted"* ]]
	is "$BPFFS/xdp_drop_prog" 'v == {"drop_port": 8080, "l3": False, "frags": False}'

	silent --set drop_port=9090 "$obj" "$BPFFS/prog"
	is "$BPFFS/prog" 'v == {"drop_port": 9090, "l3": False, "frags": False}'
	"$PACKETS" verdicts "$TABLE" "$BPFFS/prog" 9090
	two_hosts client server
	serve "$server" S tcp:10.9.0.2:8080 tcp:10.9.0.2:9090
	for mode in xdpdrv xdpgeneric; do
		answers "S hello|9090" "$client" tcp 10.9.0.2 9090
		in_ns "$server" ip link set dev veth0 $mode pinned "$BPFFS/prog"
		DEADLINE=1 answers timeout "$client" tcp 10.9.0.2 9090
		answers "S hello|8080" "$client" tcp 10.9.0.2 8080
		in_ns "$server" ip link set dev veth0 $mode off
	done
}

# bats test_tags=kernel-free
@test "--set: a variable of each type" {
	local obj=$BATS_FILE_TMPDIR/knobs.o pin=$BPFFS/prog setting expression
	requires root
	silent "$obj" "$pin"
	is "$pin" 'v["list"] == [1, 2, 3] and v["in_data"] == 5 and v["in_bss"] == 0 and v["mode"] == "OFF"'
	while read -r setting expression; do
		silent -r --set "$setting" "$obj" "$pin"
		is "$pin" "$expression"
	done <<-'EOF'
		u8=255             v["u8"] == 255
		u8=0x10            v["u8"] == 16 and v["u64"] == 1
		s32=-5             v["s32"] == -5
		u64=18446744073709551615  v["u64"] == 2**64 - 1
		flag=true          v["flag"] in (True, 1)
		port=9090          v["port"] == htons(9090)
		addr=10.9.0.1      v["addr"] == aton("10.9.0.1")
		addr6=fd09::1      v["addr6"]["in6_u"]["u6_addr8"] == aton6("fd09::1")
		mode=AUTO          v["mode"] == "AUTO"
		name=eth0          v["name"] == "eth0"
		list[1]=9          v["list"] == [1, 9, 3]
		rules[1].port=53   v["rules"][1]["port"] == htons(53) and v["rules"][0]["port"] == 0
		rules[0].nested.limit=-7   v["rules"][0]["nested"]["limit"] == -7
		rules[1].mac=02:00:00:00:00:01  v["rules"][1]["mac"] == [2, 0, 0, 0, 0, 1]
		target.kind=4711   v["target"]["kind"] == 4711
		target.v4=192.0.2.7   str(aton("192.0.2.7")) in str(v["target"])
		bits.low=5         int(v["bits"]["low"], 0) == 5 and int(v["bits"]["high"], 0) == 0
		in_data=77         v["in_data"] == 77
		in_bss=78          v["in_bss"] == 78
	EOF
	silent -r --set 'list=[7 8 9]' --set 'rules[0]={addr=192.0.2.1 port=7 mac=02:00:00:00:00:02 nested={limit=3}}' \
		--set u8=7 --set u8=8 --set 'list[2]=10' --set bits.high=17 --set bits.low=6 "$obj" "$pin"
	is "$pin" 'int(v["bits"]["low"], 0) == 6 and int(v["bits"]["high"], 0) == 17'
	is "$pin" 'v["list"] == [7, 8, 10] and v["u8"] == 8'
	is "$pin" 'v["rules"][0] == {"addr": aton("192.0.2.1"), "port": htons(7), "mac": [2, 0, 0, 0, 0, 2], "nested": {"limit": 3}}'
}

@test "--set: variables that are static in a function, which clang calls function.name" {
	requires root
	silent --set count_two.twice=9 "$BATS_FILE_TMPDIR/variables.o" "$BPFFS/pin"
	is "$BPFFS/pin" 'v["count_one.twice"] == 1 and v["count_two.twice"] == 9'
}

@test "--set: what cannot be set" {
	local obj=$BATS_FILE_TMPDIR/knobs.o drop=$HOOKSET_BUILD/xdp_drop.bpf.o
	requires root
	# unset TEXT SETTING [OBJ]
	unset_() {
		refused "set '${2%%=*}': $1" --set "$2" "${3:-$obj}" "$BPFFS/pin"
	}
	unset_ "no such variable (the object has: 'drop_port', 'l3', 'frags')" drop_prot=1 "$drop"
	unset_ "no such variable (the object has none)" x=1 \
		"$HOOKSET_BUILD/xdp_pass.bpf.o"
	unset_ "'65536' is above 65535" drop_port=65536 "$drop"
	unset_ "it has no member 'port'" rules.port=1
	unset_ "it has no member 'prot'" 'rules[0].prot=1'
	unset_ "it has no element '[0]'" 'u8[0]=1'
	unset_ "index '3' is out of range (0-2)" 'list[3]=1'
	unset_ "index '-1' is out of range (0-2)" 'list[-1]=1'
	unset_ "index '' is out of range (0-2)" 'list[]=1'
	unset_ "index '4294967296' is out of range (0-2)" 'list[4294967296]=1'
	unset_ "'[1' has no ']'" 'list[1=1'
	unset_ "it has no member ''" 'list[1].=1'
	unset_ "it has no member ''" 'target.=1'
	unset_ "it has no member 'v5'" 'target.v5=1'
	unset_ "'8' is above 7" 'bits.low=8'
	pins_are "$BPFFS"
	# The values themselves are the library's to judge.
	for setting in u8= u8=256 s32=x port=65536 addr=10.9.0 mode=NONE name=longer_than_8 'list=[1 2]'; do
		run -1 --separate-stderr prog-load --set "$setting" "$obj" "$BPFFS/pin"
		[[ $stderr == "prog-load: set '${setting%%=*}': "* ]]
	done
	pins_are "$BPFFS"
}

@test "--set: a warning where the compiler may have used the value already" {
	local obj=$BATS_FILE_TMPDIR/knobs.o
	requires root
	run -0 --separate-stderr prog-load --set folded=8 "$obj" "$BPFFS/pin"
	[ "$stderr" = "prog-load: warning: set 'folded': it is const but not volatile: the compiler may have used the old value already" ]
	is "$BPFFS/pin" 'v["folded"] == 8'
}

@test "--maps: a mismatched map is wired in silently by bpftool, and refused by prog-load" {
	local dir=$BPFFS/dir ping=$HOOKSET_BUILD/detect_ping.bpf.o
	requires root
	mkdir "$dir"
	bpftool map create "$dir/ping_hash" type hash key 4 value 2 entries 1 name ping_hash
	bpftool prog load "$ping" "$BPFFS/theirs" map name ping_hash pinned "$dir/ping_hash"
	map_ids "$BPFFS/theirs" | grep -qx "$(field map "$dir/ping_hash" id)"
	refused "reuse map '$dir/ping_hash': value size is 2 in DIR, 4 in OBJ; max_entries is 1 in DIR, 1024 in OBJ" \
		--maps "$dir" "$ping" "$BPFFS/ours"
	pins_are "$dir" ping_hash
	pins_are "$BPFFS" dir theirs
}

@test "--maps: what is there is used, the rest is pinned there, and a reload forgets nothing" {
	local dir=$BPFFS/dir obj=$BATS_FILE_TMPDIR/shared.o id
	requires root
	silent --maps "$dir" "$obj" "$BPFFS/one"
	pins_are "$dir" another shared
	[ "$(stat -c %a "$dir/shared")" = 600 ]
	bpftool map update pinned "$dir/shared" key 0 0 0 0 value 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
	id=$(field map "$dir/another" id)
	[ "$(verdict "$BPFFS/one")" = 2 ]
	[ "$(count "$dir/shared" 0)" = 6 ]

	silent --maps "$dir///" --set verdict=1 "$obj" "$BPFFS/two"
	[ "$(verdict "$BPFFS/two")" = 1 ]
	[ "$(count "$dir/shared" 0)" = 7 ]
	[ "$(field map "$dir/another" id)" = "$id" ]
	# Variables belong to each program alone.
	[ "$(verdict "$BPFFS/one")" = 2 ]
	[ "$(comm -12 <(map_ids "$BPFFS/one") <(map_ids "$BPFFS/two") | wc -l)" -eq 2 ]

	# One of the two is gone: it is made anew.
	rm "$dir/another"
	silent --maps "$dir" "$obj" "$BPFFS/three"
	[ "$(field map "$dir/another" id)" != "$id" ]
	[ "$(verdict "$BPFFS/three")" = 2 ]
	[ "$(count "$dir/shared" 0)" = 9 ]
	# And without --maps they are its own.
	silent "$obj" "$BPFFS/alone"
	[ -z "$(comm -12 <(map_ids "$BPFFS/one") <(map_ids "$BPFFS/alone"))" ]
}

@test "--maps: each difference is refused, and said" {
	local dir=$BPFFS/dir text flags
	requires root
	silent --maps "$dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/prog"
	while IFS='|' read -r flags text; do
		# shellcheck disable=SC2086 # a list of flags
		eval "object differs shared $flags"
		refused "reuse map '$dir/shared': $text" --maps "$dir" "$BATS_FILE_TMPDIR/differs.o" "$BPFFS/pin"
	done <<-'EOF'
		-DTYPE=BPF_MAP_TYPE_LRU_HASH|type is hash in DIR, lru_hash in OBJ
		-DENTRIES=16|max_entries is 8 in DIR, 16 in OBJ
		-DFLAGS=BPF_F_NO_PREALLOC|flags is 0x0 in DIR, 0x1 in OBJ
		-DKEY=__u64|key size is 4 in DIR, 8 in OBJ; key type is __u32 in DIR, __u64 in OBJ
		-DKEY=__be32|key type is __u32 in DIR, __be32 in OBJ
		-DKEY=__s32|key type is __u32 in DIR, __s32 in OBJ
		-DVALUE=__u64|value size is 16 in DIR, 8 in OBJ; value type is struct counters in DIR, __u64 in OBJ
		'-DVALUE=__u64[2]' -DSIZES -DENTRIES=9|max_entries is 8 in DIR, 9 in OBJ
		'-DMEMBERS=__u64 packets; __u64 last;'|value type struct counters differs in 'last'
		'-DMEMBERS=__u64 bytes; struct { __u32 port, spare; } last;'|value type struct counters differs in 'bytes'
		'-DMEMBERS=__u64 packets; struct { __be32 port; __u32 spare; } last;'|value type struct counters differs in 'last.port'
		'-DMEMBERS=__u64 packets; struct { __u32 spare, port; } last;'|value type struct counters differs in 'last.spare'
		'-DMEMBERS=__u64 packets; struct { __u16 port; __u32 spare; } last;'|value type struct counters differs in 'last.port'
		'-DMEMBERS=__s64 packets; struct { __u32 port, spare; } last;'|value type struct counters differs in 'packets'
		'-DMEMBERS=__u64 packets[2];'|value type struct counters differs
		'-DMEMBERS=__u64 packets; union { __u32 port; __u64 spare; } last;'|value type struct counters differs in 'last'
	EOF
	pins_are "$BPFFS" dir prog
	pins_are "$dir" another shared
}

@test "--maps: enums and bitfields are compared as well, names of types are not" {
	local dir=$BPFFS/dir same='-DMEMBERS=enum level level[2]; __u32 low : 4, high : 4; __u32 more;'
	requires root
	object enum shared "$same"
	silent --maps "$dir" "$BATS_FILE_TMPDIR/enum.o" "$BPFFS/prog"
	object enum2 shared "$same" -DENUMERATOR=MIDDLE
	refused "reuse map '$dir/shared': value type struct counters differs in 'level'" \
		--maps "$dir" "$BATS_FILE_TMPDIR/enum2.o" "$BPFFS/pin"
	object bits shared '-DMEMBERS=enum level level[2]; __u32 low : 3, high : 5; __u32 more;'
	refused "reuse map '$dir/shared': value type struct counters differs in 'low'" \
		--maps "$dir" "$BATS_FILE_TMPDIR/bits.o" "$BPFFS/pin"
	object order shared '-DMEMBERS=enum level level[2]; __u32 low : 4, high : 3; __u32 more;'
	refused "reuse map '$dir/shared': value type struct counters differs in 'high'" \
		--maps "$dir" "$BATS_FILE_TMPDIR/order.o" "$BPFFS/pin"
	object more shared '-DMEMBERS=enum level level[1]; __u32 low : 4, high : 4; __u32 more[2];'
	refused "reuse map '$dir/shared': value type struct counters differs in 'level'" \
		--maps "$dir" "$BATS_FILE_TMPDIR/more.o" "$BPFFS/pin"
	pins_are "$BPFFS" dir prog

	object renamed shared -Dcounters=other "$same" '-DKEY=unsigned int'
	silent --maps "$dir" "$BATS_FILE_TMPDIR/renamed.o" "$BPFFS/renamed"
	# A map without types has none to compare.
	object sizes shared "$same" -DSIZES
	silent --maps "$dir" "$BATS_FILE_TMPDIR/sizes.o" "$BPFFS/sizes"
	[ "$(comm -12 <(map_ids "$BPFFS/sizes") <(map_ids "$BPFFS/renamed") | wc -l)" -eq 2 ]
}

@test "--maps: floating point is compared, by its size" {
	local dir=$BPFFS/dir
	requires root
	object double shared '-DMEMBERS=union { double real; __u64 bits; } u; __u64 more;'
	object float shared '-DMEMBERS=union { float real; __u64 bits; } u; __u64 more;'
	silent --maps "$dir" "$BATS_FILE_TMPDIR/double.o" "$BPFFS/one"
	silent --maps "$dir" "$BATS_FILE_TMPDIR/double.o" "$BPFFS/two"
	refused "reuse map '$dir/shared': value type struct counters differs in 'u.real'" \
		--maps "$dir" "$BATS_FILE_TMPDIR/float.o" "$BPFFS/pin"
	# What libbpf makes of it for kernels before 5.13.
	object bytes shared '-DMEMBERS=union { struct { int : 32, : 32; } real; __u64 bits; } u; __u64 more;'
	silent --maps "$BPFFS/old" "$BATS_FILE_TMPDIR/bytes.o" "$BPFFS/three"
	silent --maps "$BPFFS/old" "$BATS_FILE_TMPDIR/double.o" "$BPFFS/four"
	refused "reuse map '$BPFFS/old/shared': value type struct counters differs in 'u.real'" \
		--maps "$BPFFS/old" "$BATS_FILE_TMPDIR/float.o" "$BPFFS/pin"
}

# Debian 12's clang would cut their values short.
# shellcheck disable=SC2034 # object() reads it
wide_objects() {
	local compiler=clang-19
	object wide shared '-DMEMBERS=enum { ONE = 1, LARGE = 1ull << 40 } wide[2];'
	object value shared '-DMEMBERS=enum { ONE = 1, LARGE = 1ull << 41 } wide[2];'
	object name shared '-DMEMBERS=enum { ONE = 1, LARGER = 1ull << 40 } wide[2];'
	object more shared '-DMEMBERS=enum { ONE = 1, LARGE = 1ull << 40, MORE } wide[2];'
}

@test "--maps: enums of 64 bits are compared" {
	local other
	requires root cmd:clang-19 enum64
	wide_objects
	silent --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/wide.o" "$BPFFS/one"
	silent --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/wide.o" "$BPFFS/two"
	for other in value name more; do
		refused "reuse map '$BPFFS/dir/shared': value type struct counters differs in 'wide'" \
			--maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/$other.o" "$BPFFS/pin"
	done
}

@test "--maps: so are those that libbpf makes of them for a kernel before 6.0, but for the values" {
	local other
	requires root cmd:clang-19
	wide_objects
	object old shared '-DMEMBERS=union { char ONE, LARGE; __u64 : 64; } wide[2];'
	silent --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/old.o" "$BPFFS/one"
	silent --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/wide.o" "$BPFFS/two"
	for other in name more; do
		refused "reuse map '$BPFFS/dir/shared': value type struct counters differs in 'wide'" \
			--maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/$other.o" "$BPFFS/pin"
	done
}

@test "--maps: maps of every kind that libbpf or the kernel change a little are taken again" {
	local dir type flags ring
	requires root
	while read -r type flags; do
		dir=$BPFFS/$type
		# shellcheck disable=SC2086 # a list of flags
		object kind shared -DTYPE=BPF_MAP_TYPE_"${type^^}" -DUNUSED $flags
		silent --maps "$dir" "$BATS_FILE_TMPDIR/kind.o" "$BPFFS/one"
		silent --maps "$dir" "$BATS_FILE_TMPDIR/kind.o" "$BPFFS/two"
		rm "$BPFFS/one" "$BPFFS/two"
	done <<-'EOF'
		perf_event_array -DENTRIES=0 -DVALUE=__u32 -DSIZES
		devmap -DVALUE=__u32
		devmap_hash -DVALUE=__u32
		array
		percpu_hash
		lru_percpu_hash
		lpm_trie -DFLAGS=BPF_F_NO_PREALLOC -DKEY=__u64
		sockhash -DVALUE=__u64
		cpumap -DVALUE=__u32
	EOF
	# A ring buffer of what is no multiple of a page becomes one, to newer libbpfs.
	silent --maps "$BPFFS/ping" "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/one"
	silent --maps "$BPFFS/ping" "$HOOKSET_BUILD/detect_ping.bpf.o" "$BPFFS/two"
	ring=$(field map "$BPFFS/ping/ringbuf" id)
	map_ids "$BPFFS/one" | grep -qw "$ring"
	map_ids "$BPFFS/two" | grep -qw "$ring"
}

@test "--maps: a bloom filter's number of hash functions is compared" {
	local dir=$BPFFS/dir bloom=(-DTYPE=BPF_MAP_TYPE_BLOOM_FILTER '-DKEY=struct {}' -DVALUE=__u32 -DSIZES -DUNUSED)
	requires root bloom-filter
	object three shared "${bloom[@]}" -DEXTRA=3
	object five shared "${bloom[@]}" -DEXTRA=5
	silent --maps "$dir" "$BATS_FILE_TMPDIR/three.o" "$BPFFS/one"
	silent --maps "$dir" "$BATS_FILE_TMPDIR/three.o" "$BPFFS/two"
	refused "reuse map '$dir/shared': map_extra is 3 in DIR, 5 in OBJ" \
		--maps "$dir" "$BATS_FILE_TMPDIR/five.o" "$BPFFS/three"
}

@test "--maps: names that are one to the kernel, which keeps 15 characters, are two pins" {
	local dir=$BPFFS/dir
	requires root
	object twins maps -DTWINS
	silent --maps "$dir" "$BATS_FILE_TMPDIR/twins.o" "$BPFFS/one"
	pins_are "$dir" a_name_too_long_one a_name_too_long_two
	[ "$(field map "$dir/a_name_too_long_one" name)" = "$(field map "$dir/a_name_too_long_two" name)" ]
	silent --maps "$dir" "$BATS_FILE_TMPDIR/twins.o" "$BPFFS/two"
	[ "$(comm -12 <(map_ids "$BPFFS/one") <(map_ids "$BPFFS/two") | wc -l)" -eq 2 ]
}

@test "--maps: tail calls go on after the load; without, the kernel empties their map" {
	local tail=$BATS_FILE_TMPDIR/tail.o
	requires root
	object tail tail
	falls_through() {
		[ "$(verdict "$1")" = 1 ]
	}
	silent --maps "$BPFFS/dir" --program start "$tail" "$BPFFS/prog"
	[ "$(verdict "$BPFFS/prog")" = 3 ]
	fails 0 "prog-load: warning: map 'jumps' is not pinned: the kernel empties a prog_array that has no pin and is not open (--maps pins it)" \
		prog-load --program start "$tail" "$BPFFS/alone"
	poll 10 falls_through "$BPFFS/alone"
	[ "$(verdict "$BPFFS/prog")" = 3 ]
}

@test "--maps: a DIR that cannot be one, and a pin that is no map" {
	local obj=$BATS_FILE_TMPDIR/shared.o plain=$BATS_TEST_TMPDIR/plain
	requires root
	mkdir "$plain" "$BPFFS/dir"
	refused "pin in '$plain': not on a bpffs" --maps "$plain" "$obj" "$BPFFS/pin"
	refused "make directory '$plain/new': not on a bpffs" --maps "$plain/new" "$obj" "$BPFFS/pin"
	refused "make directory '$BPFFS/no/dir': No such file or directory (directory '$BPFFS/no')" \
		--maps "$BPFFS/no/dir" "$obj" "$BPFFS/pin"
	refused "make directory '$BPFFS/a.b': bpffs allows no dot in a name" \
		--maps "$BPFFS/a.b" "$obj" "$BPFFS/pin"
	silent "$obj" "$BPFFS/dir/shared"
	refused "open map '$BPFFS/dir/shared': not a map" --maps "$BPFFS/dir" "$obj" "$BPFFS/pin"
	rm "$BPFFS/dir/shared"
	mkdir "$BPFFS/dir/shared"
	refused "open map '$BPFFS/dir/shared': Is a directory" --maps "$BPFFS/dir" "$obj" "$BPFFS/pin"
	pins_are "$BPFFS" dir
	pins_are "$plain"
}

@test "a map that wants to be pinned by its name goes to /sys/fs/bpf, and --maps goes before" {
	requires root
	object pinning shared -DPINNING
	# In a mount namespace of its own.
	unshare --mount bash -euc '
		mount -t bpf hookset-test /sys/fs/bpf
		prog-load "$1" /sys/fs/bpf/one
		bpftool map update pinned /sys/fs/bpf/shared key 0 0 0 0 value 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
		prog-load "$1" /sys/fs/bpf/two
		prog-load "$1" /sys/fs/bpf/two && exit 3
		ls -I "*.debug" /sys/fs/bpf
		prog-load --maps "$2/maps" "$1" "$2/three"
		bpftool map lookup pinned /sys/fs/bpf/shared key 0 0 0 0
		bpftool prog show pinned /sys/fs/bpf/two
		bpftool map show pinned /sys/fs/bpf/shared' - "$BATS_FILE_TMPDIR/pinning.o" "$BPFFS" >"$BATS_TEST_TMPDIR/out"
	[ "$(head -n 3 "$BATS_TEST_TMPDIR/out")" = $'one\nshared\ntwo' ]
	grep -q "map_ids.*$(sed -n '$!d;' "$BATS_TEST_TMPDIR/out")" "$BATS_TEST_TMPDIR/out"
	pins_are "$BPFFS" maps three
	pins_are "$BPFFS/maps" another shared
}

@test "PIN: where it cannot be" {
	local obj=$HOOKSET_BUILD/xdp_pass.bpf.o plain=$BATS_TEST_TMPDIR/plain option
	requires root
	mkdir "$plain" "$BPFFS/sub"
	silent "$obj" "$BPFFS/taken"
	refused "pin '$plain/prog': not on a bpffs" "$obj" "$plain/prog"
	refused "pin '$BPFFS/no/prog': No such file or directory (directory '$BPFFS/no')" "$obj" "$BPFFS/no/prog"
	refused "pin '$BPFFS/taken/prog': Not a directory (directory '$BPFFS/taken')" "$obj" "$BPFFS/taken/prog"
	refused "pin '$BPFFS/': Is a directory" "$obj" "$BPFFS/"
	refused "pin '$BPFFS/a.b': bpffs allows no dot in a name" "$obj" "$BPFFS/a.b"
	refused "pin '$BPFFS/sub': Is a directory" -r "$obj" "$BPFFS/sub"
	for option in "" "-m 640" "-o 0:0"; do
		# shellcheck disable=SC2086 # an option and its argument
		refused "pin '$BPFFS/taken': File exists" $option "$obj" "$BPFFS/taken"
	done
	# Where a map of it is to be.
	obj=$BATS_FILE_TMPDIR/shared.o
	refused "pin '$BPFFS/sub/shared': File exists" --maps "$BPFFS/sub" "$obj" "$BPFFS/sub/shared"
	# In a DIR that is still to be made, its parent is not there.
	refused "pin '$BPFFS/new/prog': No such file or directory (directory '$BPFFS/new')" \
		--maps "$BPFFS/new" "$obj" "$BPFFS/new/prog"
	pins_are "$BPFFS" sub taken
	pins_are "$BPFFS/sub"
	pins_are "$plain"
}

@test "--replace: PIN alone is replaced, never a map; a failure changes nothing" {
	local obj=$BATS_FILE_TMPDIR/shared.o one map
	requires root
	silent --replace "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/prog"
	one=$(field prog "$BPFFS/prog" id)
	silent --replace --maps "$BPFFS/maps" "$obj" "$BPFFS/prog"
	[ "$(field prog "$BPFFS/prog" id)" != "$one" ]
	one=$(field prog "$BPFFS/prog" id)
	map=$(field map "$BPFFS/maps/shared" id)
	silent -r --maps "$BPFFS/maps" "$obj" "$BPFFS/prog"
	[ "$(field map "$BPFFS/maps/shared" id)" = "$map" ]
	[ "$(field prog "$BPFFS/prog" id)" != "$one" ]

	one=$(field prog "$BPFFS/prog" id)
	object bounds refused -DBOUNDS
	run -1 prog-load -r "$BATS_FILE_TMPDIR/bounds.o" "$BPFFS/prog"
	[ "$(field prog "$BPFFS/prog" id)" = "$one" ]
	pins_are "$BPFFS" maps prog
}

@test "--replace: a pin that is no program's is not replaced: with it, its link or map would go" {
	local pass=$HOOKSET_BUILD/xdp_pass.bpf.o pin
	requires root
	netns ns
	silent "$pass" "$BPFFS/prog"
	xdp-attach -n "$ns" --link "$BPFFS/link" lo "$BPFFS/prog"
	bpftool map create "$BPFFS/map" type array key 4 value 4 entries 1 name hookset_test
	for pin in link map; do
		refused "open program '$BPFFS/$pin': not a program" -r "$pass" "$BPFFS/$pin"
	done
	[[ $(ip -n "$ns" link show dev lo) == *"prog/xdp id $(field prog "$BPFFS/prog" id) "* ]]
	pins_are "$BPFFS" link map prog
}

@test "--replace is atomic: who opens the pin always finds a program" {
	requires root
	silent "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/prog"
	opens() {
		while bpftool prog show pinned "$BPFFS/prog" >/dev/null; do
			echo opened
		done
	}
	start opens
	poll 10 grep -q opened "$OUT"
	for _ in $(seq 30); do
		silent -r "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/prog"
	done
	[ ! -s "$OUT.err" ]
	kill -0 "$PID"
	stop "$PID"
	pins_are "$BPFFS" prog
}

# theirs_stays STATUS CALL N [STRACE_OPTION...]: where others pin a map just after the Nth CALL of
# a prog-load over PIN, that pins such a map too, it ends with STATUS; theirs and PIN stay.
theirs_stays() {
	local expected=$1 dir=$BPFFS/dir before theirs
	shift
	before=$(stat -c %i "$BPFFS/prog")
	start_stopped "$@" prog-load --replace --maps "$dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/prog"
	mkdir -p "$dir"
	bpftool map create "$dir/another" type hash key 4 value 4 entries 1 name theirs
	theirs=$(stat -c %i "$dir/another")
	goes_on "$expected"
	without_leftovers prog-load "$BPFFS"
	pins_are "$dir" another
	pins_are "$BPFFS" dir prog
	[ "$(stat -c %i "$dir/another")" = "$theirs" ]
	[ "$(stat -c %i "$BPFFS/prog")" = "$before" ]
	rm -r "$dir"
}

@test "--replace: a map that others pin meanwhile is never replaced, and nothing else is done" {
	local trace=$BATS_TEST_TMPDIR/log call
	local -A nth
	requires root cmd:strace
	silent --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/prog"
	rm -r "$BPFFS/dir"
	strace -qq -o "$trace" -e trace=bpf prog-load -r --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/prog"
	rm -r "$BPFFS/dir"
	for call in BPF_PROG_LOAD BPF_OBJ_PIN; do
		nth[$call]=$(sed -n "/^bpf($call,/=" "$trace" | tail -n 1)
	done
	# When it has loaded all.
	theirs_stays 1 bpf "${nth[BPF_PROG_LOAD]}"
	[ "$(cat "$OUT.err")" = "prog-load: pin '$BPFFS/dir/another': File exists" ]
	# When all is pinned, in a directory of another name.
	theirs_stays 1 bpf "${nth[BPF_OBJ_PIN]}"
	[ "$(cat "$OUT.err")" = "prog-load: make directory '$BPFFS/dir': File exists" ]
	# And where it is killed then.
	theirs_stays 137 bpf "${nth[BPF_OBJ_PIN]}" -e inject=renameat2:signal=KILL
}

@test "--mode and --owner are on the program's pin and on those of new maps" {
	local obj=$BATS_FILE_TMPDIR/shared.o pin
	requires root
	silent --maps "$BPFFS/maps" "$obj" "$BPFFS/one"
	rm "$BPFFS/maps/another"
	silent -m 640 -o 65534:65533 --maps "$BPFFS/maps" "$obj" "$BPFFS/two"
	for pin in two maps/another; do
		[ "$(stat -c %a:%u:%g "$BPFFS/$pin")" = 640:65534:65533 ]
	done
	for pin in one maps/shared; do
		[ "$(stat -c %a:%u:%g "$BPFFS/$pin")" = 600:0:0 ]
	done
}

@test "a step of pinning that fails is undone: maps, directory and all" {
	local obj=$BATS_FILE_TMPDIR/shared.o step last
	requires root cmd:strace
	# The last bpf(2) of all pins the program; then three pins get their mode, and are moved:
	# the program's at last, so that who finds it, finds its maps.
	strace -qq -o "$BATS_TEST_TMPDIR/log" -e trace=bpf,renameat2 \
		prog-load --maps "$BPFFS/dir" "$obj" "$BPFFS/pin"
	grep '^renameat2' "$BATS_TEST_TMPDIR/log" | tail -n 1 | grep -q '"pin", RENAME_NOREPLACE) *= 0'
	sed -i '/^renameat2/d' "$BATS_TEST_TMPDIR/log"
	last=$(grep -c '^bpf(' "$BATS_TEST_TMPDIR/log")
	grep -n '^bpf(BPF_OBJ_PIN' "$BATS_TEST_TMPDIR/log" | tail -n 1 | grep -q "^$last:"
	rm -r "$BPFFS/dir" "$BPFFS/pin"
	for step in bpf:error=ENOSPC:when="$last" bpf:error=ENOSPC:when=$((last - 1)) \
		fchmodat:error=EIO:when=3 mkdirat:error=EIO:when=1 mkdirat:error=EIO:when=2 \
		renameat2:error=EIO:when=1 renameat2:error=EIO:when=2; do
		run -1 --separate-stderr strace -qq -o /dev/null -e "trace=${step%%:*}" -e "inject=$step" \
			prog-load -m 640 --maps "$BPFFS/dir" "$obj" "$BPFFS/pin"
		[[ $stderr == "prog-load: "*" '$BPFFS"*"': "* ]]
		[ "${#stderr_lines[@]}" -eq 1 ]
		pins_are "$BPFFS"
	done

	# A directory that was there stays, with what was in it.
	mkdir "$BPFFS/dir"
	ln -s nowhere "$BPFFS/dir/kept"
	run -1 strace -qq -o /dev/null -e trace=renameat2 -e inject=renameat2:error=EIO:when=3 \
		prog-load --maps "$BPFFS/dir" "$obj" "$BPFFS/pin"
	pins_are "$BPFFS/dir" kept
	pins_are "$BPFFS" dir
}

# The verifier's log of the object, as libbpf prints it for bpftool.
verifier_log() {
	bpftool prog load "$1" "$BPFFS/none" 2>&1 |
		sed -n '/BEGIN PROG LOAD LOG/,/END PROG LOAD LOG/{//!p}'
}

# last_lines: of a verifier's log, what prog-load prints without --verbose. Linux 7.2 explains its
# verdict below the old message.
last_lines() {
	local count=10
	grep -v '^processed ' | sed '/^Causal path:/,$d' | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}' >"$BATS_TEST_TMPDIR/log"
	! grep -q '^Verification failed: ' "$BATS_TEST_TMPDIR/log" ||
		count=$((3 + $(sed -n '/^Verification failed: /,$p' "$BATS_TEST_TMPDIR/log" | wc -l)))
	tail -n "$count" "$BATS_TEST_TMPDIR/log"
}

@test "rejected by the verifier: its last lines, all of them with --verbose" {
	local obj=$BATS_FILE_TMPDIR/bounds.o line
	requires root
	object bounds refused -DBOUNDS
	line="prog-load: load program 'refused' of '$obj': rejected by the verifier"
	run -1 --separate-stderr prog-load "$obj" "$BPFFS/pin"
	[ -z "$output" ]
	diff <(echo "$stderr") <(echo "$line"
		verifier_log "$obj" | last_lines | sed 's/^/    /')
	[ "$(wc -l <<<"$stderr")" -ge 11 ]
	[[ $stderr == *"invalid access to packet"* ]]

	run -1 --separate-stderr prog-load --verbose "$obj" "$BPFFS/pin"
	diff <(sed -n "/^prog-load: /,\$p" <<<"$stderr") <(echo "$line"
		verifier_log "$obj" | sed 's/^/    /')
	[ "$(sed -n "/^prog-load: /,\$p" <<<"$stderr" | wc -l)" -gt "$(last_lines <<<"$stderr" | wc -l)" ]
	pins_are "$BPFFS"
}

@test "rejected by the verifier: the cause in words" {
	local cause flags
	requires root
	while IFS='|' read -r flags cause; do
		eval "object cause refused $flags"
		run -1 --separate-stderr prog-load "$BATS_FILE_TMPDIR/cause.o" "$BPFFS/pin"
		[ "${stderr_lines[0]}" = "prog-load: load program 'refused' of '$BATS_FILE_TMPDIR/cause.o': rejected by the verifier ($cause)" ]
	done <<-'EOF'
		-DHELPER=9999|this kernel has no such helper
		-DHELPER=BPF_FUNC_skb_load_bytes|this kernel has no such helper for a program of this type
		-DGPL_ONLY '-DLICENCE="Proprietary"'|its license is not GPL-compatible
	EOF
	pins_are "$BPFFS"
}

@test "an object that cannot be read" {
	local obj=$BATS_TEST_TMPDIR/x.o
	requires root
	# bad TEXT [OBJ]
	bad() {
		refused "read object '${2:-$obj}': $1" "${2:-$obj}" "$BPFFS/pin"
	}
	bad "No such file or directory"
	bad "Is a directory" /tmp
	bad "not an object file" /dev/null
	echo 'int x;' >"$obj"
	bad "not an object file"
	echo 'int x;' | gcc -xc -c - -o "$obj"
	bad "not a BPF object: build it with clang -target bpf -c"
	bad "not a BPF object: build it with clang -target bpf -c" "$HOOKSET_BUILD/prog-load"
	echo 'int x;' | clang -xc -target bpfeb -c - -o "$obj"
	bad "not a BPF object for this machine: build it with clang -target bpf -c"
	echo 'int x;' | clang -xc -target bpf -c - -o "$obj"
	refused "load from '$obj': the object has no program: it has no global function" \
		"$obj" "$BPFFS/pin"
	llvm-strip -o "$obj" "$HOOKSET_BUILD/xdp_drop.o"
	refused "load from '$obj': the object has no symbols: llvm-strip -g keeps them" "$obj" "$BPFFS/pin"
	object legacy refused -DLEGACY
	bad "its maps are in SEC(\"maps\"), which libbpf 1.0 and later do not load: define them in SEC(\".maps\")" \
		"$BATS_FILE_TMPDIR/legacy.o"
	object no_btf shared -g0
	bad "its maps need BTF, and it has none: build it with -g" "$BATS_FILE_TMPDIR/no_btf.o"
	pins_are "$BPFFS"
}

# bats test_tags=kernel-free
@test "an object that is cut short, anywhere, is refused and breaks nothing" {
	local obj=$BATS_TEST_TMPDIR/x.o size length
	requires root
	size=$(stat -c %s "$BATS_FILE_TMPDIR/beside.o")
	for ((length = 1; length < size; length += size / 60)); do
		head -c "$length" "$BATS_FILE_TMPDIR/beside.o" >"$obj"
		run -1 --separate-stderr prog-load --program count "$obj" "$BPFFS/pin"
		[[ $stderr =~ ^"prog-load: read object '$obj': "("not an object file"|"truncated or damaged")$ ]] || {
			echo "$length: $stderr" >&2
			return 1
		}
	done
	head -c $((size - 1)) "$BATS_FILE_TMPDIR/beside.o" >"$obj"
	refused "read object '$obj': truncated or damaged" --program count "$obj" "$BPFFS/pin"
	pins_are "$BPFFS"
}

# bats test_tags=kernel-free
@test "an object whose bytes are wrong ends in a message, never in a crash" {
	local obj seed
	requires root
	# In the ELF header, the section headers, or the symbols.
	/usr/bin/python3 - "$BATS_FILE_TMPDIR/beside.o" "$BATS_TEST_TMPDIR" 80 <<-'PY'
		import random, struct, sys
		whole = open(sys.argv[1], "rb").read()
		table, = struct.unpack_from("<Q", whole, 40)
		sections = [struct.unpack_from("<IIQQQQIIQQ", whole, at)
		            for at in range(table, len(whole) - 63, 64)]
		symbols = next(s for s in sections if s[1] == 2)
		places = [(4, 64), (table, len(whole)), (symbols[4], symbols[4] + symbols[5])]
		for seed in range(int(sys.argv[3])):
		    random.seed(seed)
		    data = bytearray(whole)
		    for _ in range(random.randint(1, 3)):
		        at = random.randrange(*random.choice(places))
		        data[at] = random.choice([0, 1, 255, random.randrange(256)])
		    open(f"{sys.argv[2]}/{seed}.o", "wb").write(data)
	PY
	for seed in $(seq 0 79); do
		obj=$BATS_TEST_TMPDIR/$seed.o
		run --separate-stderr prog-load -r --program count "$obj" "$BPFFS/pin"
		if [ "$status" -gt 1 ] || { [ "$status" -eq 1 ] && [[ $stderr != "prog-load: "* ]]; }; then
			echo "seed $seed: status $status: $stderr" >&2
			return 1
		fi
	done
}

@test "what libbpf does not find is named, as it says it" {
	local pass=$HOOKSET_BUILD/xdp_pass.bpf.o what
	requires root
	what="load program 'xdp_prog_simple' of '$pass'"
	# libbpf's own words after it follow three times that it has failed.
	run -1 --separate-stderr prog-load --type fentry/no_such_function "$pass" "$BPFFS/pin"
	[[ $stderr =~ ^"prog-load: $what: No such process (libbpf: prog 'xdp_prog_simple': failed to find kernel BTF type ID of 'no_such_function': "[^$'\n']*")"$ ]]
	# The verifier's lines are not announced where there is none.
	run -1 --separate-stderr prog-load --type struct_ops/none "$pass" "$BPFFS/pin"
	[ "${stderr_lines[0]}" != "prog-load: $what: rejected by the verifier" ] || [ "${#stderr_lines[@]}" -gt 1 ]
	pins_are "$BPFFS"
}

@test "a program that needs the kernel's BTF, where there is none" {
	local object=$HOOKSET_BUILD/xdp_firewall.bpf.o
	requires root
	# shellcheck disable=SC2016 # the other shell expands it
	run -1 --separate-stderr unshare --mount sh -c \
		'mount -t tmpfs none /sys/kernel/btf && exec prog-load "$1" "$2"' sh "$object" "$BPFFS/pin"
	[ "$stderr" = "prog-load: load program 'xdp_firewall' of '$object': it needs the kernel's BTF (CONFIG_DEBUG_INFO_BTF), which this kernel does not have" ]
	pins_are "$BPFFS"
}

@test "a map that the kernel refuses is named" {
	requires root
	object bad_map refused -DBAD_MAP
	run -1 --separate-stderr prog-load "$BATS_FILE_TMPDIR/bad_map.o" "$BPFFS/pin"
	[[ $stderr =~ ^"prog-load: load program 'refused' of '$BATS_FILE_TMPDIR/bad_map.o': Invalid argument (libbpf: map 'map': failed to create: "[^$'\n']*$ ]]
	pins_are "$BPFFS"
}

@test "a plain user is told what is missing" {
	requires root
	chmod 777 "$BPFFS"
	chmod 755 "$BATS_FILE_TMPDIR"
	fails 1 "prog-load: load program 'another' of '$BATS_FILE_TMPDIR/several.o': Operation not permitted (needs CAP_BPF and CAP_NET_ADMIN)" \
		as_user prog-load --section tc "$BATS_FILE_TMPDIR/several.o" "$BPFFS/pin"
	cp "$BATS_FILE_TMPDIR/several.o" "$BATS_TEST_TMPDIR/secret.o"
	chmod 600 "$BATS_TEST_TMPDIR/secret.o"
	fails 1 "prog-load: read object '$BATS_TEST_TMPDIR/secret.o': Permission denied" \
		as_user prog-load --section tc "$BATS_TEST_TMPDIR/secret.o" "$BPFFS/pin"
	pins_are "$BPFFS"
}

@test "who may load, and not look at BTF, is warned that types are not compared" {
	local obj=$BATS_FILE_TMPDIR/shared.o
	requires root cap-bpf
	chmod 777 "$BPFFS"
	chmod 755 "$BATS_FILE_TMPDIR"
	fails 0 "" with_cap_bpf prog-load --maps "$BPFFS/dir" "$obj" "$BPFFS/one"
	run -0 --separate-stderr with_cap_bpf prog-load --maps "$BPFFS/dir" "$obj" "$BPFFS/two"
	diff <(echo "$stderr") - <<-EOF
		prog-load: warning: types of map '$BPFFS/dir/shared' are not compared: Operation not permitted (its BTF needs CAP_SYS_ADMIN)
		prog-load: warning: types of map '$BPFFS/dir/another' are not compared: Operation not permitted (its BTF needs CAP_SYS_ADMIN)
	EOF
	[ "$(comm -12 <(map_ids "$BPFFS/one") <(map_ids "$BPFFS/two") | wc -l)" -eq 2 ]
}

@test "--verbose says what was done" {
	local obj=$BATS_FILE_TMPDIR/shared.o dir=$BPFFS/dir pin=$BPFFS/prog
	requires root
	run -0 --separate-stderr prog-load -v --maps "$dir" "$obj" "$pin"
	[ "$output" = "map $(field map "$dir/shared" id) pinned at '$dir/shared'
map $(field map "$dir/another" id) pinned at '$dir/another'
program $(field prog "$pin" id), xdp, pinned at '$pin'" ]
	[[ $stderr == *"libbpf: loading object 'shared' from buffer"* ]]
	rm "$dir/another"
	run -0 --separate-stderr prog-load --verbose -r --maps "$dir" "$obj" "$pin"
	[ "$output" = "map $(field map "$dir/shared" id) reused from '$dir/shared'
map $(field map "$dir/another" id) pinned at '$dir/another'
program $(field prog "$pin" id), xdp, pinned at '$pin'" ]
}

# settled_new: no pin of the first load, or all; or, as its directory comes first, the maps
# without the program. Then none again.
settled_new() {
	without_leftovers prog-load "$BPFFS"
	if [ ! -e "$BPFFS/dir" ]; then
		pins_are "$BPFFS"
		BEFORE=$((BEFORE + 1))
		return
	fi
	pins_are "$BPFFS/dir" another shared && [ "$(stat -c %a "$BPFFS/dir/another")" = 640 ] || return 1
	if [ -e "$BPFFS/pin" ]; then
		pins_are "$BPFFS" dir pin
		AFTER=$((AFTER + 1))
		rm "$BPFFS/pin"
	else
		pins_are "$BPFFS" dir
		BETWEEN=$((BETWEEN + 1))
	fi
	rm -r "$BPFFS/dir"
}

# settled_over: the old program or the new one; the new map, which comes first, or not. Then
# the pins of before again.
settled_over() {
	without_leftovers prog-load "$BPFFS"
	without_leftovers prog-load "$BPFFS/dir"
	pins_are "$BPFFS" dir old pin || return 1
	if [ ! -e "$BPFFS/dir/another" ]; then
		pins_are "$BPFFS/dir" shared && [ "$(stat -c %i:%a "$BPFFS/pin")" = "$INODE:600" ] || return 1
		BEFORE=$((BEFORE + 1))
		return
	fi
	pins_are "$BPFFS/dir" another shared || return 1
	rm "$BPFFS/dir/another"
	if [ "$(stat -c %i:%a "$BPFFS/pin")" = "$INODE:600" ]; then
		BETWEEN=$((BETWEEN + 1))
		return
	fi
	[ "$(stat -c %a "$BPFFS/pin")" = 640 ] || return 1
	AFTER=$((AFTER + 1))
	rm "$BPFFS/pin"
	bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/pin"
	INODE=$(stat -c %i "$BPFFS/pin")
}

@test "kill -9 on any system call: each pin is whole or not there, the program's last" {
	requires root cmd:strace
	BEFORE=0 BETWEEN=0 AFTER=0
	kill_at_each settled_new prog-load -m 640 --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/pin"
	echo "killed $KILLS times: $BEFORE with nothing pinned, $BETWEEN with the maps alone, $AFTER with all"
	[ "$KILLS" -ge "$(kills 100)" ]
	[ "$BEFORE" -ge "$(kills 10)" ]
	[ "$AFTER" -ge 1 ]
}

# bats test_tags=kernel-free
@test "kill -9 at random moments, of a reload over pins: each is the old or the new one" {
	requires root
	BEFORE=0 BETWEEN=0 AFTER=0
	silent --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/old"
	rm "$BPFFS/dir/another"
	bpftool prog load "$HOOKSET_BUILD/xdp_pass.bpf.o" "$BPFFS/pin"
	INODE=$(stat -c %i "$BPFFS/pin")
	kill_at_random 200 settled_over \
		prog-load -r -m 640 --maps "$BPFFS/dir" "$BATS_FILE_TMPDIR/shared.o" "$BPFFS/pin"
	echo "killed $KILLS times: $BEFORE with the pins of before, $AFTER with those of after"
	[ "$BEFORE" -ge 1 ]
	[ "$AFTER" -ge 1 ]
}

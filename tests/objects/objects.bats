#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Each object, built by each clang there is, with its debug information and
# without: $BATS_FILE_TMPDIR/CLANG/build and CLANG-stripped/build hold them.
# shellcheck disable=SC2317 # functions that are given to for_each and loaded

load ../lib/helpers

# The clangs found, each once, though it may have several names.
clangs() {
	local name
	compgen -c clang | grep -xE 'clang(-[0-9]+)?' | while read -r name; do
		printf '%s %s\n' "$(realpath "$(command -v "$name")")" "$name"
	done | sort -u -k 1,1 | cut -d' ' -f2
}

setup_file() {
	local clang tree object

	for clang in $(clangs); do
		tree=$BATS_FILE_TMPDIR/$clang
		mkdir -p "$tree" "$tree-stripped/build"
		cp -r "$BATS_TEST_DIRNAME/../../Makefile" "$BATS_TEST_DIRNAME/../../bpf" "$tree"
		make -C "$tree" CLANG="$clang" WERROR=-Werror all
		for object in "$tree"/build/*.o; do
			llvm-strip -g "$object" -o "$tree-stripped/build/${object##*/}"
		done
	done
	printf 'clangs: %s\n' "$(clangs | tr '\n' ' ')" >&3
	ls "$BATS_FILE_TMPDIR"/*/build/xdp_pass.bpf.o >/dev/null
}

# for_each COMMAND OBJECT...: call COMMAND with the path of each object of each build.
for_each() {
	local command=$1 tree object
	shift
	for tree in "$BATS_FILE_TMPDIR"/*/build; do
		for object in "$@"; do
			echo "$command $tree/$object"
			"$command" "$tree/$object"
		done
	done
}

# loaded OBJECT COMMAND...: call COMMAND with its program and maps pinned in $BPFFS/o.
loaded() {
	local object=$1
	shift
	bpftool prog load "$object" "$BPFFS/prog" pinmaps "$BPFFS/o"
	"$@"
	rm -rf "$BPFFS/prog" "$BPFFS/o" # an object without maps has made no o
}

# map_is NAME KEY VALUE TEXT: the BTF types of key and value, and what `map show` says.
map_is() {
	local map=$BPFFS/o/$1
	run -0 bpftool map show pinned "$map"
	[[ ${output//$'\n\t'/ } == *": $4 "* ]]
	[ -n "$2" ] || return 0
	run -0 bpftool btf dump map pinned "$map" key
	[[ $output == *" '$2' "* ]]
	run -0 bpftool btf dump map pinned "$map" value
	[[ $output == *" '$3' "* ]]
}

# bats test_tags=kernel-free
@test "built from the Makefile without a warning, by each clang: every source has its object" {
	local tree source
	for tree in "$BATS_FILE_TMPDIR"/*/build; do
		for source in "$HOOKSET_ROOT"/bpf/*.c; do
			[ -s "$tree/$(basename "$source" .c).o" ]
		done
	done
}

@test "bpftool loads every object but the .text one" {
	local object objects=()
	requires root
	for object in "$HOOKSET_ROOT"/bpf/*.bpf.c; do
		objects+=("$(basename "$object" .c).o")
	done
	bpftool_loads() { loaded "$1" test -e "$BPFFS/prog"; }
	for_each bpftool_loads "${objects[@]}"
}

@test "ip loads every XDP object, sec xdp" {
	requires root
	netns ns
	# shellcheck disable=SC2154 # netns sets it
	ip_loads() {
		ip -n "$ns" link set dev lo xdp obj "$1" sec xdp
		run -0 ip -n "$ns" link show dev lo
		[[ $output == *"prog/xdp id "* ]]
		ip -n "$ns" link set dev lo xdp off
	}
	for_each ip_loads xdp_drop.bpf.o xdp_pass.bpf.o detect_ping.bpf.o xdp_firewall.bpf.o xdp_blocklist.bpf.o
}

@test "ip loads xdp_drop.o, sec .text" {
	requires root ip-text
	netns ns
	ip_loads_text() {
		ip -n "$ns" link set dev lo xdp obj "$1" sec .text
		run -0 ip -n "$ns" link show dev lo
		[[ $output == *"prog/xdp id "* ]]
		ip -n "$ns" link set dev lo xdp off
	}
	for_each ip_loads_text xdp_drop.o
}

@test "prog-load loads every XDP object, .text too, and ip attaches the pin" {
	requires root
	netns ns
	prog_loads() {
		prog-load "$1" "$BPFFS/prog"
		ip -n "$ns" link set dev lo xdp pinned "$BPFFS/prog"
		run -0 ip -n "$ns" link show dev lo
		[[ $output == *"prog/xdp id "* ]]
		ip -n "$ns" link set dev lo xdp off
		rm "$BPFFS/prog"
	}
	for_each prog_loads xdp_drop.o xdp_drop.bpf.o xdp_pass.bpf.o detect_ping.bpf.o xdp_firewall.bpf.o xdp_blocklist.bpf.o
}

# bats test_tags=kernel-free
@test "xdp_drop.o: .text holds its one program; no BTF, no map, no relocation" {
	text_only() {
		run -0 llvm-readelf --sections --wide "$1"
		[ "$(grep -c ' AX ' <<<"$output")" -eq 1 ]
		grep -q ' \.text .* AX ' <<<"$output"
		run ! grep -E '\.BTF|maps|\.rel|\.rodata|\.data|\.bss' <<<"$output"
		run -0 llvm-readelf --symbols --wide "$1"
		[ "$(grep -c ' FUNC ' <<<"$output")" -eq 1 ]
		grep -q ' FUNC .* xdp_drop$' <<<"$output"
	}
	for_each text_only xdp_drop.o
}

@test "the other objects: BTF, and one program in the section of its hook" {
	one_program() {
		local section=xdp
		[[ $1 != */echo_dispatch.bpf.o ]] || section=sk_lookup
		run -0 llvm-readelf --sections --wide "$1"
		grep -q ' \.BTF ' <<<"$output"
		grep -q " $section .* AX " <<<"$output"
		run -0 bpftool btf dump file "$1"
		[[ $output == *"FUNC "* ]]
	}
	for_each one_program xdp_drop.bpf.o xdp_pass.bpf.o echo_dispatch.bpf.o detect_ping.bpf.o \
		xdp_firewall.bpf.o xdp_blocklist.bpf.o
}

@test "names of maps are at most 15 characters, as the kernel keeps no more" {
	local name
	requires root
	short_names() {
		for name in "$BPFFS"/o/*; do
			name=${name##*/}
			echo "$name"
			[ "${#name}" -le 15 ]
		done
	}
	load_short() { loaded "$1" short_names; }
	for_each load_short detect_ping.bpf.o echo_dispatch.bpf.o xdp_drop.bpf.o xdp_firewall.bpf.o xdp_blocklist.bpf.o
}

@test "detect_ping.bpf.o: its maps, their sizes and the types of their keys" {
	requires root
	maps() {
		[ "$(ls -I '*rodata' "$BPFFS/o")" = "$(printf '%s\n' ping_hash ping_hash6 ping_stats ringbuf)" ]
		map_is ping_hash __be32 __u32 "hash  name ping_hash  flags 0x0 key 4B  value 4B  max_entries 1024"
		map_is ping_hash6 in6_addr __u32 "hash  name ping_hash6  flags 0x0 key 16B  value 4B  max_entries 1024"
		map_is ping_stats __u32 ping_stats "percpu_array  name ping_stats  flags 0x0 key 4B  value 32B  max_entries 1"
		map_is ringbuf "" "" "ringbuf  name ringbuf  flags 0x0 key 0B  value 0B  max_entries 262144"
	}
	load_maps() { loaded "$1" maps; }
	for_each load_maps detect_ping.bpf.o
}

@test "xdp_firewall.bpf.o: its maps, their sizes and the types of their keys" {
	local list family
	requires root
	maps() {
		[ "$(cd "$BPFFS/o" && printf '%s\n' fw_*)" = "$(printf '%s\n' fw_allow4 fw_allow6 fw_ban fw_block4 fw_block6 fw_deny \
			fw_event_stats fw_events fw_icmp4 fw_icmp6 fw_rate4 fw_rate6 fw_rate_state fw_rule4 fw_rule6 fw_stats \
			fw_tcp_ports fw_udp_ports)" ]
		for family in 4 6; do
			list="flags 0x1 key $((family == 4 ? 12 : 20))B"
			map_is fw_allow"$family" fw_cidr"$family" fw_count "lpm_trie  name fw_allow$family  $list  value 16B  max_entries 65536"
			map_is fw_block"$family" fw_cidr"$family" fw_count "lpm_trie  name fw_block$family  $list  value 16B  max_entries 1048576"
			map_is fw_rate"$family" fw_cidr"$family" fw_rate "lpm_trie  name fw_rate$family  $list  value 24B  max_entries 65536"
			list="flags 0x1 key $((family == 4 ? 20 : 28))B"
			map_is fw_rule"$family" fw_rule"$family" fw_rule "lpm_trie  name fw_rule$family  $list  value 24B  max_entries 65536"
			map_is fw_icmp"$family" fw_icmp fw_rule "lpm_trie  name fw_icmp$family  flags 0x1 key 12B  value 24B  max_entries 65536"
		done
		map_is fw_ban in6_addr fw_ban "lru_hash  name fw_ban  flags 0x0 key 16B  value 24B  max_entries 65536"
		map_is fw_rate_state in6_addr fw_rate_state "lru_hash  name fw_rate_state  flags 0x0 key 16B  value 8B  max_entries 65536"
		map_is fw_tcp_ports __be16 __be16 "hash  name fw_tcp_ports  flags 0x1 key 2B  value 2B  max_entries 65536"
		map_is fw_udp_ports __be16 __be16 "hash  name fw_udp_ports  flags 0x1 key 2B  value 2B  max_entries 65536"
		map_is fw_deny fw_proto fw_count "hash  name fw_deny  flags 0x0 key 2B  value 16B  max_entries 16"
		map_is fw_stats __u32 fw_count "percpu_array  name fw_stats  flags 0x0 key 4B  value 16B  max_entries 12"
		map_is fw_event_stats __u32 fw_event_stats "percpu_array  name fw_event_stats  flags 0x0 key 4B  value 24B  max_entries 1"
		map_is fw_events "" "" "ringbuf  name fw_events  flags 0x0 key 0B  value 0B  max_entries 262144"
	}
	load_maps() { loaded "$1" maps; }
	for_each load_maps xdp_firewall.bpf.o
}

@test "xdp_firewall.bpf.o: struct fw_event, and what fw_stats' indexes are called, are in its BTF" {
	event() {
		bpftool btf dump file "$1" format c >"$BATS_TEST_TMPDIR/c"
		grep -q '^struct fw_event {' "$BATS_TEST_TMPDIR/c"
		sed -n '/^enum fw_stats {/,/^};/p' "$BATS_TEST_TMPDIR/c" | grep -q 'denied = 11'
	}
	for_each event xdp_firewall.bpf.o
}

@test "echo_dispatch.bpf.o: its maps; the ports' one has no BTF, so that a plain user can dump it" {
	requires root
	maps() {
		[ "$(ls "$BPFFS/o")" = "$(printf '%s\n' echo_ports echo_socket echo_stats)" ]
		map_is echo_ports "" "" "hash  name echo_ports  flags 0x0 key 2B  value 1B  max_entries 1024"
		map_is echo_socket "" "" "sockmap  name echo_socket  flags 0x0 key 4B  value 8B  max_entries 1"
		map_is echo_stats __u32 echo_stats "percpu_array  name echo_stats  flags 0x0 key 4B  value 24B  max_entries 1"
		run -0 bpftool -j map show pinned "$BPFFS/o/echo_ports"
		[[ $output != *btf_id* ]]
	}
	load_maps() { loaded "$1" maps; }
	for_each load_maps echo_dispatch.bpf.o
}

@test "xdp_blocklist.bpf.o: its maps: a slot for a list of any length, and the counters" {
	requires root
	maps() {
		[ "$(ls -I '*rodata' "$BPFFS/o")" = "$(printf '%s\n' block_stats blocklist)" ]
		map_is block_stats __u32 block_stats "percpu_array  name block_stats  flags 0x0 key 4B  value 16B  max_entries 1"
		map_is blocklist "" "" "array_of_maps  name blocklist  flags 0x0 key 4B  value 4B  max_entries 1"
		for cells in 1 100000; do
			bpftool map create "$BPFFS/list" type array key 4 value 64 entries $cells name blocklist.inner \
				flags $((0x1400)) # BPF_F_INNER_MAP | BPF_F_MMAPABLE
			bpftool map update pinned "$BPFFS/o/blocklist" key 0 0 0 0 value pinned "$BPFFS/list"
			rm "$BPFFS/list"
		done
	}
	load_maps() { loaded "$1" maps; }
	for_each load_maps xdp_blocklist.bpf.o
}

@test "xdp_drop.bpf.o: drop_port is a knob in .rodata; xdp_pass.bpf.o has no map" {
	requires root
	knob() {
		run -0 bpftool -j map dump pinned "$BPFFS"/o/*rodata
		[[ $output == *'"drop_port":8080'* ]]
	}
	no_map() { [ ! -e "$BPFFS/o" ]; }
	load_knob() { loaded "$1" knob; }
	load_none() { loaded "$1" no_map; }
	for_each load_knob xdp_drop.bpf.o
	for_each load_none xdp_pass.bpf.o
}

@test "what a key and a value mean shows in bpftool map dump" {
	requires root
	dump() {
		bpftool map update pinned "$BPFFS/o/ping_hash" key hex c0 00 02 42 value hex 1 0 0 0
		run -0 bpftool map dump pinned "$BPFFS/o/ping_hash"
		[[ $output == *'"key":'*'"value": 1'* ]]
		run -0 bpftool map dump pinned "$BPFFS/o/ping_stats"
		[[ $output == *'"seen": 0'*'"dropped": 0'*'"events": 0'*'"lost": 0'* ]]
	}
	load_dump() { loaded "$1" dump; }
	for_each load_dump detect_ping.bpf.o
}

@test "detect_ping.bpf.o: struct ping_event is in its BTF, as in detect_ping.h" {
	local expected
	# The header says so, without its comments.
	expected=$(sed -n '/^struct ping_event {/,/^};/p' "$HOOKSET_ROOT/bpf/detect_ping.h" |
		sed 's|/\*.*\*/||; s/[[:space:]]*$//')
	[[ $expected == *"__be16 sequence;"* ]]
	event() {
		diff <(echo "$expected") \
			<(bpftool btf dump file "$1" format c | sed -n '/^struct ping_event {/,/^};/p')
	}
	for_each event detect_ping.bpf.o
}

# A limit of a million, in kernels older and newer than this one, that a careless
# loop in the parser comes near to.
@test "the verifier is done with each program within 50,000 instructions" {
	requires root
	cheap() {
		local processed
		bpftool -d prog load "$1" "$BPFFS/prog" >"$BATS_TEST_TMPDIR/log" 2>&1
		processed=$(grep -oP '^processed \K[0-9]+(?= insns)' "$BATS_TEST_TMPDIR/log" | sort -n | tail -n 1)
		echo "$1: $processed instructions"
		[ "$processed" -lt 50000 ]
		rm "$BPFFS/prog"
	}
	for_each cheap xdp_drop.bpf.o xdp_pass.bpf.o detect_ping.bpf.o echo_dispatch.bpf.o xdp_firewall.bpf.o xdp_blocklist.bpf.o
}

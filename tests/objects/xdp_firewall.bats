#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# shellcheck disable=SC2154 # two_hosts sets the names it is given
# shellcheck disable=SC2030,SC2031 # each test is a subshell, with an FW of its own

load ../lib/helpers

PACKETS=$BATS_TEST_DIRNAME/packets.py
FIREWALL=$BATS_TEST_DIRNAME/firewall.py
UNIT=$BATS_TEST_DIRNAME/../../tools/systemd/hookset-firewall@.service
LIBEXEC=$(cd "$BATS_TEST_DIRNAME/../../tools/libexec" && pwd)

setup_file() {
	make -C "$HOOKSET_ROOT" -s fixtures >/dev/null
}

# firewall [OPTION...]: load it, with its maps and itself, as prog, pinned in $FW.
firewall() {
	FW=$BPFFS/fw
	mkdir "$FW"
	prog-load --maps "$FW" "$@" "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$FW/prog"
}

# fw MAP VERB...: map-edit on its map fw_MAP.
fw() {
	local map=$1
	shift
	map-edit "$FW/fw_$map" "$@"
}

# has MAP LINE...: that is all there is in fw_MAP.
has() {
	local map=$1
	shift
	diff <(printf '%s\n' "$@" | sed '/^$/d') <(fw "$map" show)
}

# verdicts: each packet of the table on stdin gets its verdict; see packets.py.
verdicts() {
	cat >"$BATS_TEST_TMPDIR/table"
	"$PACKETS" verdicts "$BATS_TEST_TMPDIR/table" "$FW/prog"
}

# hosts: client and server, the firewall on the server's veth0. The server serves TCP and UDP
# on ports 22, 80 and 81, over IPv4 and IPv6.
hosts() {
	local port specs=()
	two_hosts client server
	for port in 22 80 81; do
		specs+=("tcp:0.0.0.0:$port" "udp:0.0.0.0:$port" "tcp:[::]:$port,v6only" "udp:[::]:$port,v6only")
	done
	serve "$server" name "${specs[@]}"
	# The first neighbour discovery may come before IPv6 is up.
	poll 5 open_to tcp 80
	firewall "$@"
	in_ns "$server" xdp-attach veth0 "$FW/prog" >/dev/null
}

# open_to PROTO PORT, closed_to PROTO PORT: for the client, over IPv4 and IPv6.
open_to() {
	answers "name hello|$2" "$client" "$1" 10.9.0.2 "$2" && answers "name hello|$2" "$client" "$1" fd09::2 "$2"
}

closed_to() {
	local DEADLINE=0.5
	export DEADLINE
	answers timeout "$client" "$1" 10.9.0.2 "$2" && answers timeout "$client" "$1" fd09::2 "$2"
}

# pings FROM TO, pings_in_vain FROM TO: three pings.
pings() {
	in_ns "$1" ping -q -c 3 -i 0.2 -W 2 "$2"
}

pings_in_vain() {
	run -1 in_ns "$1" ping -q -c 3 -i 0.2 -W 0.3 "$2"
	[[ $output == *"3 packets transmitted, 0 received"* ]]
}

# counter_of REASON: its packets in fw_stats.
counter_of() {
	fw stats get "$1" | grep -oP 'packets=\K\d+'
}

@test "the maps are empty: each packet of the tables is passed" {
	requires root
	firewall
	"$PACKETS" passes "$BATS_TEST_DIRNAME/packets/tcp.table" "$FW/prog"
	"$PACKETS" passes "$BATS_TEST_DIRNAME/packets/icmp.table" "$FW/prog"
}

@test "what is switched off is not in the program" {
	local all knob
	requires root
	firewall
	all=$(field prog "$FW/prog" bytes_xlated)
	for knob in fw_lists fw_bans fw_rates fw_rules fw_port_groups fw_pass_replies; do
		prog-load --maps "$FW" --set $knob=false "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$FW/less"
		[ "$(field prog "$FW/less" bytes_xlated)" -lt "$all" ]
		rm "$FW/less"
	done
	prog-load --maps "$FW" --set fw_events_pps=1 "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$FW/more"
	[ "$(field prog "$FW/more" bytes_xlated)" -gt "$all" ]
}

# with MAP VERDICT PACKET: while the trie fw_MAP has an entry of zeros, the packet gets this
# verdict.
with() {
	local sizes=([4]=12 [6]=20) key value
	case $1 in
	rule4) sizes[4]=20 ;;
	rule6) sizes[6]=28 ;;
	icmp?) sizes=([4]=12 [6]=12) ;;
	esac
	read -ra key < <(head -c "${sizes[${1: -1}]}" /dev/zero | od -An -v -w99 -tu1)
	[[ $1 != icmp4 ]] || key[0]=8 key[4]=8
	[[ $1 != icmp6 ]] || key[0]=8 key[4]=128
	read -ra value < <(head -c "$(field map "$FW/fw_$1" bytes_value)" /dev/zero | od -An -v -w99 -tu1)
	bpftool map update pinned "$FW/fw_$1" key "${key[@]}" value "${value[@]}"
	verdicts <<<"$2 | fw_$1 has an entry | $3"
	bpftool map delete pinned "$FW/fw_$1" key "${key[@]}"
}

@test "what bpftool writes into an empty trie, and deletes there, counts for the next packet" {
	requires root
	firewall
	with block4 DROP 'ip4()/tcp()'
	with block6 DROP 'ip6()/tcp()'
	with icmp4 DROP 'ip4()/ICMP()'
	with icmp6 DROP 'ip6()/ICMPv6EchoRequest()'
	with rule4 DROP 'ip4()/tcp()'
	with rule6 DROP 'ip6()/tcp()'
	fw ban add 192.0.2.1 2001:db8::1
	with allow4 PASS 'ip4(src="192.0.2.1")/tcp()'
	with allow6 PASS 'ip6(src="2001:db8::1")/tcp()'
	verdicts <<-'EOF'
		DROP | IPv4, banned   | ip4(src="192.0.2.1")/tcp()
		DROP | IPv6, banned   | ip6(src="2001:db8::1")/tcp()
		PASS | IPv4           | ip4(src="192.0.2.9")/tcp()
		PASS | IPv6           | ip6(src="2001:db8::9")/tcp()
		PASS | ICMP           | ip4(src="192.0.2.9")/ICMP()
		PASS | ICMPv6         | ip6(src="2001:db8::9")/ICMPv6EchoRequest()
	EOF
}

@test "a rule on a TCP port: each packet of xdp_drop's table, on which tshark agrees, gets its verdict" {
	requires root
	firewall
	fw rule4 add '{proto=tcp port=8080}'
	fw rule6 add '{proto=tcp port=8080}'
	"$PACKETS" verdicts "$BATS_TEST_DIRNAME/packets/tcp.table" "$FW/prog"
}

# bats test_tags=kernel-free
@test "each combination of a rule's fields: a packet that fits is matched, or map-edit refuses the rule" {
	requires root
	firewall
	HOOKSET_STRIDE=${HOOKSET_PATIENCE:-1} "$FIREWALL" shapes "$FW"
}

@test "a new limit holds at once for sources that have used up the old one" {
	requires root
	firewall
	"$FIREWALL" new-rate "$FW"
}

@test "100,000 random packets under random rules: verdicts, reasons and counters are the model's" {
	local seed=${HOOKSET_SEED:-$(head -c 4 /dev/urandom | od -An -tu4 | tr -d ' ')}
	# A machine that is slow by nature does its share of them.
	local rounds=${HOOKSET_ROUNDS:-$((50 / ${HOOKSET_PATIENCE:-1}))}
	requires root
	mkdir "$BPFFS/fw"
	"$FIREWALL" differential "$HOOKSET_BUILD/obj/tests/xdp-run" "$HOOKSET_BUILD/xdp_firewall.bpf.o" \
		"$BPFFS/fw" "$rounds" 2000 "$seed"
}

@test "IPv4 CIDRs, /32 to /0: the first, the last, one beyond" {
	requires root
	firewall
	fw block4 add 10.1.2.3 10.2.0.0/24 10.3.0.128/25 10.4.0.2/31 128.0.0.0/1
	verdicts <<-'EOF'
		PASS | /32, one before  | ip4(src="10.1.2.2")/tcp()
		DROP | /32              | ip4(src="10.1.2.3")/tcp()
		PASS | /32, one beyond  | ip4(src="10.1.2.4")/tcp()
		PASS | /32, as its destination | ip4(src="10.9.9.9", dst="10.1.2.3")/tcp()
		PASS | /32, byte-swapped | ip4(src="3.2.1.10")/tcp()
		PASS | /24, one before  | ip4(src="10.1.255.255")/tcp()
		DROP | /24, first       | ip4(src="10.2.0.0")/udp()
		DROP | /24, last        | ip4(src="10.2.0.255")/echo4()
		PASS | /24, one beyond  | ip4(src="10.2.1.0")/udp()
		PASS | /25, one before  | ip4(src="10.3.0.127")/tcp()
		DROP | /25, first       | ip4(src="10.3.0.128")/tcp()
		DROP | /25, last        | ip4(src="10.3.0.255")/tcp()
		PASS | /25, one beyond  | ip4(src="10.3.1.0")/tcp()
		PASS | /31, one before  | ip4(src="10.4.0.1")/tcp()
		DROP | /31, first       | ip4(src="10.4.0.2")/tcp()
		DROP | /31, last        | ip4(src="10.4.0.3")/tcp()
		PASS | /31, one beyond  | ip4(src="10.4.0.4")/tcp()
		PASS | /1, one before   | ip4(src="127.255.255.255")/tcp()
		DROP | /1, first        | ip4(src="128.0.0.0")/tcp()
		DROP | /1, last         | ip4(src="255.255.255.255")/tcp()
		DROP | a later fragment | ip4(src="10.1.2.3", frag=5, proto=6)/bytes(20)
		DROP | any protocol     | ip4(src="10.1.2.3", proto=200)/bytes(20)
		DROP | TCP cut off      | ip4(src="10.1.2.3", proto=6)/seg4(tcp())[:10]
		DROP | in a VLAN        | ip4(eth/q(), src="10.1.2.3")/tcp()
		DROP | in two           | ip4(eth/ad()/q(), src="10.1.2.3")/tcp()
		PASS | in three: no IP  | ip4(eth/ad()/q()/q(), src="10.1.2.3")/tcp()
		PASS | IPv6, mapped     | ip6(src="::ffff:10.1.2.3")/tcp()
	EOF
	fw block4 add 0.0.0.0/0
	verdicts <<-'EOF'
		DROP | /0, first        | ip4(src="0.0.0.0")/tcp()
		DROP | /0, last         | ip4(src="127.255.255.255")/tcp()
		DROP | /0, any          | ip4()/udp()
		PASS | /0 and IPv6      | ip6()/udp()
		PASS | /0 and ARP       | eth/ARP()
	EOF
}

@test "IPv6 CIDRs, /128 to /0: the first, the last, one beyond" {
	requires root
	firewall
	fw block6 add 2001:db8:1::3 2001:db8:2::/64 2001:db8:4::2/127 2001:db8:6::/47 8000::/1
	verdicts <<-'EOF'
		PASS | /128, one before | ip6(src="2001:db8:1::2")/tcp()
		DROP | /128             | ip6(src="2001:db8:1::3")/tcp()
		PASS | /128, one beyond | ip6(src="2001:db8:1::4")/tcp()
		PASS | /128, as its destination | ip6(dst="2001:db8:1::3")/tcp()
		PASS | /64, one before  | ip6(src="2001:db8:1:ffff:ffff:ffff:ffff:ffff")/tcp()
		DROP | /64, first       | ip6(src="2001:db8:2::")/udp()
		DROP | /64, last        | ip6(src="2001:db8:2::ffff:ffff:ffff:ffff")/echo6()
		PASS | /64, one beyond  | ip6(src="2001:db8:2:1::")/udp()
		PASS | /127, one before | ip6(src="2001:db8:4::1")/tcp()
		DROP | /127, first      | ip6(src="2001:db8:4::2")/tcp()
		DROP | /127, last       | ip6(src="2001:db8:4::3")/tcp()
		PASS | /127, one beyond | ip6(src="2001:db8:4::4")/tcp()
		PASS | /47, one before  | ip6(src="2001:db8:5:ffff:ffff:ffff:ffff:ffff")/tcp()
		DROP | /47, first       | ip6(src="2001:db8:6::")/tcp()
		DROP | /47, last        | ip6(src="2001:db8:7:ffff:ffff:ffff:ffff:ffff")/tcp()
		PASS | /47, one beyond  | ip6(src="2001:db8:8::")/tcp()
		PASS | /1, one before   | ip6(src="7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")/tcp()
		DROP | /1, first        | ip6(src="8000::")/tcp()
		DROP | /1, last         | ip6(src="ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")/tcp()
		DROP | a later fragment | ip6(src="2001:db8:1::3")/frg(nh=6, offset=5)/bytes(20)
		DROP | behind headers   | ip6(src="2001:db8:1::3")/hbh()/dst()/rt()/tcp()
		DROP | nine of them     | chain(ip6(src="2001:db8:1::3"), *[dst()] * 9)/tcp()
		DROP | TCP cut off      | ip6(src="2001:db8:1::3", nh=6)/seg6(tcp())[:10]
		DROP | in two VLANs     | ip6(eth/ad()/q(), src="2001:db8:1::3")/tcp()
		PASS | neighbour solicitation | ip6(src="2001:db8:1::3")/ICMPv6ND_NS(tgt="2001:db8::2")
		PASS | neighbour advertisement | ip6(src="2001:db8:1::3")/ICMPv6ND_NA(tgt="2001:db8::2")
		PASS | router advertisement | ip6(src="2001:db8:1::3")/ICMPv6ND_RA()
		PASS | MLD query        | ip6(src="2001:db8:1::3")/hbh(options=RouterAlert())/ICMPv6MLQuery()
		PASS | MLDv2 report     | ip6(src="2001:db8:1::3")/hbh(options=RouterAlert())/ICMPv6MLReport2()
	EOF
	fw block6 add ::/0
	verdicts <<-'EOF'
		DROP | /0, first        | ip6(src="::")/tcp()
		DROP | /0, last         | ip6(src="7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")/tcp()
		PASS | /0 and IPv4      | ip4()/udp()
		PASS | neighbour solicitation | ip6()/ICMPv6ND_NS(tgt="2001:db8::2")
	EOF
}

@test "the allow list wins over bans, the block list and rules; the longest prefix counts within a list" {
	requires root
	firewall
	fw block4 add 10.0.0.0/8
	fw block6 add 2001:db8::/32
	fw allow4 add 10.1.0.0/16
	fw allow6 add 2001:db8:1::/48
	fw ban add 10.1.0.9 2001:db8:1::9 192.0.2.9
	fw rule4 add '{}' '{addr=192.0.0.0/8}={verdict=pass}' '{addr=192.0.2.128/25}' '{addr=192.0.2.200}={verdict=pass}'
	fw rule6 add '{}' '{addr=2a00::/8}={verdict=pass}' '{addr=2a00:1::/32}' '{addr=2a00:1::1}={verdict=pass}'
	verdicts <<-'EOF'
		DROP | blocked          | ip4(src="10.2.0.1")/tcp()
		PASS | allowed in it    | ip4(src="10.1.0.1")/tcp()
		PASS | and banned       | ip4(src="10.1.0.9")/tcp()
		DROP | banned, rule passes | ip4(src="192.0.2.9")/tcp()
		DROP | /0               | ip4(src="172.16.0.1")/tcp()
		PASS | /8               | ip4(src="192.0.2.127")/tcp()
		DROP | /25 in /8        | ip4(src="192.0.2.128")/tcp()
		PASS | /32 in /25       | ip4(src="192.0.2.200")/tcp()
		DROP | IPv6, blocked    | ip6(src="2001:db8:2::1")/tcp()
		PASS | allowed in it    | ip6(src="2001:db8:1::1")/tcp()
		PASS | and banned       | ip6(src="2001:db8:1::9")/tcp()
		DROP | /0               | ip6(src="2b00::1")/tcp()
		PASS | /8               | ip6(src="2a00:2::1")/tcp()
		DROP | /32 in /8        | ip6(src="2a00:1::2")/tcp()
		PASS | /128 in /32      | ip6(src="2a00:1::1")/tcp()
	EOF
}

@test "rules join VLAN, protocol, port and address; the one that says most counts" {
	requires root
	firewall
	fw rule4 add '{proto=tcp port=80 addr=10.0.0.0/8}' '{proto=udp}' '{proto=udp port=53}={verdict=pass}' \
		'{vlan=10}' '{vlan=10 proto=tcp port=22}={verdict=pass}' '{vlan=20 inner=10}={verdict=pass}' '{vlan=20}'
	fw rule6 add '{proto=tcp port=80 addr=2001:db8:1::/48}' '{vlan=10 proto=icmpv6}' '{proto=sctp}'
	verdicts <<-'EOF'
		DROP | address and port         | ip4(src="10.0.0.1")/tcp(dport=80)
		PASS | the port alone           | ip4(src="11.0.0.1")/tcp(dport=80)
		PASS | the address alone        | ip4(src="10.0.0.1")/tcp(dport=81)
		PASS | as a source port         | ip4(src="10.0.0.1")/tcp(dport=81, sport=80)
		DROP | UDP on the same port: another rule's | ip4(src="10.0.0.1")/udp(dport=80)
		PASS | UDP, its port            | ip4()/udp(dport=53)
		DROP | UDP, from that port      | ip4()/udp(dport=54, sport=53)
		DROP | UDP, first fragment      | ip4(flags="MF", proto=17)/seg4(udp(dport=80))
		DROP | UDP, a later fragment    | ip4(frag=1, proto=17)/bytes(8)
		DROP | UDP, a later fragment that looks like the port | ip4(frag=1, proto=17)/seg4(udp(dport=53))
		PASS | UDP, first fragment, its port | ip4(flags="MF", proto=17)/seg4(udp(dport=53))
		DROP | VLAN                     | ip4(eth/q(vlan=10))/tcp()
		DROP | VLAN, and priority       | ip4(eth/q(vlan=10, prio=7, id=1))/tcp()
		PASS | VLAN, and port           | ip4(eth/q(vlan=10))/tcp(dport=22)
		PASS | another VLAN             | ip4(eth/q(vlan=11))/tcp()
		PASS | VLAN 0 is none           | ip4(eth/q(vlan=0))/tcp()
		DROP | VLAN 10 behind a priority tag | ip4(eth/q(vlan=0)/q(vlan=10))/tcp()
		DROP | VLAN 10 outside          | ip4(eth/ad(vlan=10)/q(vlan=3))/tcp()
		PASS | VLAN 10 inside 20        | ip4(eth/ad(vlan=20)/q(vlan=10))/tcp()
		DROP | another inside 20        | ip4(eth/ad(vlan=20)/q(vlan=11))/tcp()
		DROP | 20 alone                 | ip4(eth/q(vlan=20))/tcp()
		PASS | VLAN 10 inside another   | ip4(eth/ad(vlan=30)/q(vlan=10))/tcp()
		DROP | the rules without a VLAN | ip4(eth/q(vlan=11))/udp()
		DROP | IPv6, address and port   | ip6(src="2001:db8:1::1")/tcp(dport=80)
		PASS | the port alone           | ip6()/tcp(dport=80)
		PASS | UDP on the same port     | ip6(src="2001:db8:1::1")/udp(dport=80)
		DROP | VLAN and protocol        | ip6(eth/q(vlan=10))/echo6()
		PASS | the VLAN alone           | ip6(eth/q(vlan=10))/tcp()
		PASS | neighbour discovery in it | ip6(eth/q(vlan=10))/ICMPv6ND_NS(tgt="2001:db8::2")
		DROP | SCTP                     | ip6()/SCTP(sport=1, dport=80)
		DROP | SCTP, a later fragment   | ip6()/frg(nh=132, offset=9)/bytes(8)
	EOF
}

@test "port ranges are exact, and both ends belong to them" {
	requires root
	firewall
	fw tcp_ports add 1000-2000=1000
	fw udp_ports add 3000-3001=1000
	fw rule4 add '{proto=tcp port=1000}' '{proto=udp port=1000 addr=10.0.0.0/8}' '{proto=tcp port=1500}={verdict=pass}'
	fw rule6 add '{proto=tcp port=1000}'
	verdicts <<-'EOF'
		PASS | one before       | ip4()/tcp(dport=999)
		DROP | first            | ip4()/tcp(dport=1000)
		DROP | within           | ip4()/tcp(dport=1001)
		PASS | a port's own rule comes first | ip4()/tcp(dport=1500)
		DROP | last             | ip4()/tcp(dport=2000)
		PASS | one beyond       | ip4()/tcp(dport=2001)
		PASS | UDP, of TCP's range | ip4(src="10.0.0.1")/udp(dport=1500)
		PASS | UDP, one before  | ip4(src="10.0.0.1")/udp(dport=2999)
		DROP | UDP, first       | ip4(src="10.0.0.1")/udp(dport=3000)
		DROP | UDP, last        | ip4(src="10.0.0.1")/udp(dport=3001)
		PASS | UDP, one beyond  | ip4(src="10.0.0.1")/udp(dport=3002)
		PASS | UDP, from elsewhere | ip4(src="11.0.0.1")/udp(dport=3000)
		PASS | IPv6, one before | ip6()/tcp(dport=999)
		DROP | IPv6, first      | ip6()/tcp(dport=1000)
		DROP | IPv6, last       | ip6()/tcp(dport=2000)
		PASS | IPv6, one beyond | ip6()/tcp(dport=2001)
	EOF
}

@test "ICMP and ICMPv6 by type, and by type and code" {
	requires root
	firewall
	fw icmp4 add '{type=8}' '{type=3 code=1}' '{type=5}' '{type=5 code=0}={verdict=pass}'
	fw icmp6 add '{type=128}' '{type=1 code=4}'
	fw rule4 add '{proto=icmp addr=10.0.0.0/8}'
	verdicts <<-'EOF'
		DROP | echo request     | ip4()/echo4()
		DROP | its code does not matter | ip4()/echo4(code=9)
		PASS | echo reply       | ip4()/echo4(type=0)
		DROP | 3/1              | ip4()/ICMP(type=3, code=1)
		PASS | 3/4              | ip4()/ICMP(type=3, code=4)
		DROP | 5/1              | ip4()/ICMP(type=5, code=1)
		PASS | 5/0              | ip4()/ICMP(type=5, code=0)
		DROP | by the address   | ip4(src="10.0.0.1")/echo4(type=0)
		PASS | a rule on the type comes first | ip4(src="10.0.0.1")/ICMP(type=5, code=0)
		PASS | type 128         | ip4()/echo4(type=128)
		DROP | ICMPv6: echo request | ip6()/echo6()
		PASS | echo reply       | ip6()/reply6()
		DROP | 1/4              | ip6()/ICMPv6DestUnreach(code=4)
		PASS | 1/3              | ip6()/ICMPv6DestUnreach(code=3)
		PASS | type 8           | ip6(nh=58)/bytes.fromhex("0800000000000000")
		PASS | neighbour discovery all the same | ip6()/ICMPv6ND_NS(tgt="2001:db8::2")
		PASS | ICMP in IPv6     | ip6(nh=1)/seg4(echo4())
		PASS | ICMPv6 in IPv4   | ip4(proto=58)/seg6(echo6())
		PASS | TCP              | ip4()/tcp()
	EOF
}

@test "fw_deny drops what it names, and nothing else" {
	local proto
	requires root
	firewall
	cat >"$BATS_TEST_TMPDIR/protocols" <<-'EOF'
		tcp      | IPv4 TCP     | ip4()/tcp()
		tcp      | IPv6 TCP     | ip6()/tcp()
		udp      | IPv4 UDP     | ip4()/udp()
		udp      | IPv6 UDP     | ip6()/udp()
		icmp     | ICMP         | ip4()/echo4()
		icmpv6   | ICMPv6       | ip6()/echo6()
		other    | IPv4 GRE     | ip4()/GRE()/IP()
		other    | IPv6 SCTP    | ip6()/SCTP()
		other    | ICMPv6 in IPv4 | ip4(proto=58)/seg6(echo6())
		fragment | IPv4, a later fragment | ip4(frag=1, proto=6)/seg4(tcp())
		fragment | IPv6, a later fragment | ip6()/frg(nh=6, offset=1)/seg6(tcp())
		unparsed | IPv4, TCP cut off | ip4(proto=6)/seg4(tcp())[:19]
		unparsed | IPv4, cut off | trunc(ip4()/tcp(), 30)
		unparsed | IPv4, of version 5 | patch(ip4()/tcp(), 14, "55")
		unparsed | IPv6, nine headers | chain(ip6(), *[dst()] * 9)/tcp()
		unparsed | IPv6, cut off | trunc(ip6()/tcp(), 50)
		nothing  | ARP          | eth/ARP()
		nothing  | MPLS         | Ether(src=eth.src, dst=eth.dst, type=0x8847)/MPLS(label=16, s=1, ttl=9)/IP()/tcp()
		nothing  | neighbour solicitation | ip6()/ICMPv6ND_NS(tgt="2001:db8::2")
		nothing  | MLD report   | ip6()/hbh(options=RouterAlert())/ICMPv6MLReport2()
	EOF
	for proto in tcp udp icmp icmpv6 other fragment unparsed; do
		fw deny add $proto
		sed -E "s/^$proto +/DROP /; t; s/^[a-z0-9]+ */PASS /" "$BATS_TEST_TMPDIR/protocols" | verdicts
		fw deny del $proto
	done
}

@test "fw_deny, and what passes all the same: failsafe ports, DHCP, ICMP errors, answers" {
	requires root
	firewall
	fw deny add tcp udp icmp icmpv6 fragment unparsed other
	verdicts <<-'EOF'
		PASS | SSH              | ip4()/tcp(dport=22)
		PASS | SSH, IPv6        | ip6()/tcp(dport=22)
		DROP | UDP to 22        | ip4()/udp(dport=22)
		DROP | from 22          | ip4()/tcp(sport=22, dport=23)
		DROP | SYN              | ip4()/tcp(flags="S")
		DROP | no flag          | ip4()/tcp(flags=0)
		DROP | FIN              | ip4()/tcp(flags="F")
		DROP | FIN, PSH, URG    | ip4()/tcp(flags="FPU")
		PASS | SYN, ACK         | ip4()/tcp(flags="SA")
		PASS | ACK              | ip4()/tcp(flags="A")
		PASS | RST              | ip6()/tcp(flags="R")
		DROP | SYN, IPv6        | ip6()/tcp(flags="S")
		DROP | SYN, its flags in the next fragment | ip4(flags="MF", proto=6)/seg4(tcp(flags="S"))[:8]
		DROP | ACK, the same    | ip4(flags="MF", proto=6)/seg4(tcp(flags="A"))[:8]
		PASS | DNS              | ip4()/udp(sport=53, dport=32768)
		DROP | DNS, no port of a client | ip4()/udp(sport=53, dport=32767)
		PASS | NTP, IPv6        | ip6()/udp(sport=123, dport=65535)
		DROP | another port     | ip4()/udp(sport=54, dport=40000)
		PASS | DHCP             | ip4()/udp(sport=67, dport=68)
		DROP | DHCP, a client's | ip4()/udp(sport=68, dport=67)
		DROP | DHCP in IPv6     | ip6()/udp(sport=67, dport=68)
		PASS | DHCPv6           | ip6()/udp(sport=547, dport=546)
		DROP | DHCPv6 in IPv4   | ip4()/udp(sport=547, dport=546)
		PASS | echo reply       | ip4()/echo4(type=0)
		DROP | echo request     | ip4()/echo4()
		PASS | unreachable      | ip4()/ICMP(type=3, code=4)
		PASS | time exceeded    | ip4()/ICMP(type=11)
		DROP | redirect         | ip4()/ICMP(type=5)
		PASS | ICMPv6 echo reply | ip6()/reply6()
		DROP | ICMPv6 echo request | ip6()/echo6()
		PASS | packet too big   | ip6()/ICMPv6PacketTooBig()
		PASS | parameter problem | ip6()/ICMPv6ParamProblem()
	EOF
	rm -r "$FW"
	firewall --set fw_pass_replies=false --set 'fw_failsafe[1]=2222'
	fw deny add tcp udp icmp icmpv6
	verdicts <<-'EOF'
		PASS | SSH              | ip4()/tcp(dport=22)
		PASS | its other port   | ip6()/tcp(dport=2222)
		DROP | ACK              | ip4()/tcp(flags="A")
		DROP | RST              | ip4()/tcp(flags="R")
		DROP | DNS              | ip4()/udp(sport=53, dport=32768)
		PASS | DHCP             | ip4()/udp(sport=67, dport=68)
		DROP | echo reply       | ip4()/echo4(type=0)
		DROP | ICMPv6 echo reply | ip6()/reply6()
		PASS | unreachable      | ip4()/ICMP(type=3, code=4)
		PASS | packet too big   | ip6()/ICMPv6PacketTooBig()
	EOF
}

@test "two hosts: block, allow, a TCP rule that UDP does not meet, ICMP, and each counter is exact" {
	requires root
	hosts
	open_to tcp 80
	fw block4 add 10.9.0.0/24
	fw block6 add fd09::/64
	closed_to tcp 80
	closed_to udp 80
	fw allow4 add 10.9.0.1
	fw allow6 add fd09::1
	open_to tcp 80
	open_to udp 80
	fw allow4 del 10.9.0.1
	fw allow6 del fd09::1
	fw block4 del 10.9.0.0/24
	fw block6 del fd09::/64

	fw rule4 add '{proto=tcp port=80 addr=10.9.0.1}'
	fw rule6 add '{proto=tcp port=80 addr=fd09::1}'
	closed_to tcp 80
	open_to udp 80
	open_to tcp 81

	# Of a ping: Ethernet 14, IPv4 20 or IPv6 40, ICMP 8, data 56.
	fw icmp4 add '{type=8}'
	fw icmp6 add '{type=128}'
	pings_in_vain "$client" 10.9.0.2
	pings_in_vain "$client" fd09::2
	pings "$server" 10.9.0.1
	pings "$server" fd09::1
	has icmp4 "{type=8}={verdict=drop packets=3 bytes=$((3 * 98))}"
	has icmp6 "{type=128}={verdict=drop packets=3 bytes=$((3 * 118))}"
}

@test "counters are exact, when all CPUs meet one rule at once" {
	local cpu packet=$BATS_TEST_TMPDIR/packet pids=() total
	requires root
	firewall
	fw block4 add 0.0.0.0/1 128.0.0.0/1
	fw rule6 add '{proto=udp}' '{proto=tcp}'
	# With its length in front, as xdp-run wants it: UDP over IPv4 and IPv6.
	/usr/bin/python3 - "$packet" <<-'PY'
		import struct, sys
		from scapy.all import Ether, IP, IPv6, UDP
		with open(sys.argv[1], "wb") as out:
		    for ip in IP(dst="192.0.2.1", src="192.0.2.2"), IPv6(dst="2001:db8::1", src="2001:db8::2"):
		        data = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / ip / UDP())
		        out.write(struct.pack("!H", len(data)) + data)
	PY
	# As many as there are CPUs, and one more that they must share.
	total=$(($(nproc) + 1))
	for ((cpu = 0; cpu < total; cpu++)); do
		# shellcheck disable=SC2016 # sh expands it
		start sh -c 'exec "$@" <"$0"' "$packet" "$HOOKSET_BUILD/obj/tests/xdp-run" time "$FW/prog" 300000
		pids+=("$PID")
	done
	for PID in "${pids[@]}"; do
		wait "$PID"
	done
	total=$((total * 300000))
	has block4 "0.0.0.0/1={packets=0 bytes=0}" "128.0.0.0/1={packets=$total bytes=$((total * 42))}"
	has rule6 "{vlan=0 inner=0 proto=tcp port=0}={verdict=drop packets=0 bytes=0}" \
		"{vlan=0 inner=0 proto=udp port=0}={verdict=drop packets=$total bytes=$((total * 62))}"
	[ "$(counter_of blocked)" -eq "$total" ]
	[ "$(counter_of rule_drop)" -eq "$total" ]
}

@test "ip loads it, native and generic, and map-pin gives its maps: the same" {
	local mode
	requires root
	two_hosts client server
	serve "$server" name tcp:0.0.0.0:80 "tcp:[::]:80,v6only"
	poll 5 open_to tcp 80
	for mode in xdpdrv xdpgeneric; do
		in_ns "$server" ip link set dev veth0 $mode obj "$HOOKSET_BUILD/xdp_firewall.bpf.o" sec xdp
		FW=$BPFFS/$mode
		in_ns "$server" map-pin dev veth0 "$FW"
		open_to tcp 80
		fw rule4 add '{proto=tcp port=80}'
		fw rule6 add '{proto=tcp port=80}'
		closed_to tcp 80
		[ "$(counter_of rule_drop)" -ge 2 ]
		in_ns "$server" ip link set dev veth0 $mode off
		rm -r "$FW"
		open_to tcp 80
	done
}

@test "two hosts in a VLAN, and in QinQ: a rule on its id" {
	requires root cmd:clang cmd:ethtool cmd:tc
	hosts
	clang -g -O2 -target bpf -idirafter "/usr/include/$(uname -m)-linux-gnu" \
		-c "$BATS_TEST_DIRNAME/../fixtures/vlan.c" -o "$BATS_TEST_TMPDIR/vlan.o"
	bpftool prog loadall "$BATS_TEST_TMPDIR/vlan.o" "$BPFFS/vlan"
	in_ns "$client" tc qdisc add dev veth0 clsact
	in_ns "$server" tc qdisc add dev veth0 clsact
	# The tag in the frame, as from hardware that strips none. It is 10, or 20 with 30 inside.
	in_ns "$client" ethtool -K veth0 tx-vlan-hw-insert off tx-vlan-stag-hw-insert off
	in_ns "$server" tc filter add dev veth0 ingress bpf direct-action object-pinned "$BPFFS/vlan/pop"
	in_ns "$client" tc filter add dev veth0 egress prio 1 handle 1 bpf direct-action \
		object-pinned "$BPFFS/vlan/push_q"
	poll 5 pings "$client" 10.9.0.2
	fw rule4 add '{vlan=11}' '{vlan=20}' '{vlan=10 inner=30}' '{vlan=10 proto=icmp}'
	fw rule6 add '{vlan=10 proto=icmpv6}'
	pings_in_vain "$client" 10.9.0.2
	pings_in_vain "$client" fd09::2
	open_to tcp 80
	has rule6 "{vlan=10 inner=0 proto=icmpv6 port=0}={verdict=drop packets=3 bytes=$((3 * 122))}"

	in_ns "$client" tc filter replace dev veth0 egress prio 1 handle 1 bpf direct-action \
		object-pinned "$BPFFS/vlan/push_qinq"
	echo '{vlan=20 inner=10}' | fw rule4 sync -
	poll 5 pings "$client" 10.9.0.2
	fw rule4 add '{vlan=20 inner=30}'
	pings_in_vain "$client" 10.9.0.2
	pings "$client" fd09::2
	has rule4 '{vlan=20 inner=10 proto=any port=0}={verdict=drop packets=0 bytes=0}' \
		"{vlan=20 inner=30 proto=any port=0}={verdict=drop packets=3 bytes=$((3 * 106))}"
}

@test "all is denied: SSH, connections that stand, the host's own ones, and its neighbours live on" {
	local family ns said
	requires root
	hosts
	for ns in "$client" "$server"; do
		for family in ipv4 ipv6; do
			in_ns "$ns" sysctl -qw net.$family.neigh.veth0.gc_stale_time=1 \
				net.$family.neigh.veth0.base_reachable_time_ms=1000 \
				net.$family.neigh.veth0.delay_first_probe_time=1
		done
	done
	# A connection that stands, to a port that is closed then.
	said=$(in_ns "$client" "$HOOKSET_ROOT/tests/fixtures/sockets" ask tcp 10.9.0.2 80 \
		map-edit "$FW/fw_deny" add tcp udp icmp icmpv6 other fragment unparsed)
	[ "$said" = $'name hello|80\nname hello|80' ]
	closed_to tcp 80
	closed_to udp 80
	pings_in_vain "$client" 10.9.0.2
	pings_in_vain "$client" fd09::2
	open_to tcp 22

	# What the server asks for itself; UDP from ports of fw_reply_ports only.
	start_in "$client" "$HOOKSET_ROOT/tests/fixtures/sockets" serve name \
		tcp:0.0.0.0:80 "tcp:[::]:80,v6only" udp:0.0.0.0:53 "udp:[::]:53,v6only" udp:0.0.0.0:54
	poll 5 grep -qx ready "$OUT"
	answers "name hello|80" "$server" tcp 10.9.0.1 80
	answers "name hello|80" "$server" tcp fd09::1 80
	answers "name hello|53" "$server" udp 10.9.0.1 53
	answers "name hello|53" "$server" udp fd09::1 53
	DEADLINE=0.5 answers timeout "$server" udp 10.9.0.1 54
	answers refused "$server" tcp 10.9.0.1 81
	pings "$server" 10.9.0.1
	pings "$server" fd09::1

	# Past the time after which a neighbour must be asked again.
	for family in 10.9.0.1 fd09::1; do
		poll 30 stale "$family"
		poll 30 reachable_again "$family"
	done
	# And when it is forgotten.
	ip -n "$server" neigh flush dev veth0
	ip -n "$client" neigh flush dev veth0
	open_to tcp 22
	answers "name hello|80" "$server" tcp fd09::1 80
	[ "$(counter_of non_ip)" -ge 2 ]
	[ "$(counter_of neighbour)" -ge 2 ]
}

# Of the server's neighbour: not heard of for a while, or forgotten; asked, and it answers.
stale() {
	[ -z "$(ip -n "$server" neigh show "$1" nud reachable)" ]
}

reachable_again() {
	in_ns "$server" ping -q -c 1 -W 1 "$1" >/dev/null && ip -n "$server" neigh show "$1" nud reachable | grep .
}

@test "a ban ends when it expires; where the time is not known, it does not" {
	local until
	requires root
	hosts --set fw_boot_time="$(sed -n 's/^btime //p' /proc/stat)"
	until=$(($(date +%s) + 10 * ${HOOKSET_PATIENCE:-1}))
	fw ban add "10.9.0.1={expires=$until}" "fd09::1={expires=$until}" 192.0.2.11
	closed_to udp 80
	[ "$(date +%s)" -lt "$until" ]
	DEADLINE=0.5 poll 40 open_to udp 80
	[ "$(date +%s)" -ge $((until - 1)) ]
	verdicts <<-'EOF'
		DROP | never | ip4(src="192.0.2.11")/tcp()
		PASS | its neighbour | ip4(src="192.0.2.12")/tcp()
	EOF
	# Again, by hand: the entry is still there.
	fw ban add 10.9.0.1 fd09::1
	closed_to udp 80

	rm -r "$FW"
	firewall
	fw ban add "192.0.2.11={expires=1}"
	verdicts <<<'DROP | long expired | ip4(src="192.0.2.11")/tcp()'
}

@test "the rate limit is exact within 5 %, for each source, over IPv4 and IPv6" {
	requires root
	firewall
	fw rate4 add '192.0.2.0/24={pps=1000 burst=1000}'
	fw rate6 add '2001:db8::/32={pps=1000 burst=1000}'
	"$FIREWALL" rate "$FW" 1000 1000 2
	fw rate4 add '192.0.2.0/24={pps=20000 burst=20000}'
	fw rate6 add '2001:db8::/32={pps=20000 burst=20000}'
	fw rate_state sync --allow-empty /dev/null
	"$FIREWALL" rate "$FW" 20000 20000 2
}

@test "the rate limit: the longest prefix, 0 for none, IPv6 by its /64, and the burst" {
	requires root
	firewall
	fw rate4 add '0.0.0.0/0={pps=1 burst=2}' '10.0.0.0/8={pps=0}'
	fw rate6 add '::/0={pps=1 burst=2}'
	verdicts <<-'EOF'
		PASS | first            | ip4(src="192.0.2.1")/tcp()
		PASS | second           | ip4(src="192.0.2.1")/udp()
		DROP | third            | ip4(src="192.0.2.1")/tcp()
		PASS | another source   | ip4(src="192.0.2.2")/tcp()
		PASS | no limit, first  | ip4(src="10.0.0.1")/tcp()
		PASS | no limit, second | ip4(src="10.0.0.1")/tcp()
		PASS | no limit, third  | ip4(src="10.0.0.1")/tcp()
		PASS | IPv6, first      | ip6(src="2001:db8::1")/tcp()
		PASS | IPv6, its /64    | ip6(src="2001:db8::2")/tcp()
		DROP | IPv6, its /64    | ip6(src="2001:db8::3")/tcp()
		PASS | another /64      | ip6(src="2001:db8:0:1::3")/tcp()
	EOF
	has rate6 '::/0={pps=1 burst=2 packets=1 bytes=74}'
}

@test "drops as events: what, whence, and why; no more of them a second than wanted, and losses are counted" {
	local ifindex
	requires root
	hosts --set fw_events_pps=1000
	ifindex=$(ip -n "$server" -o link show dev veth0 | cut -d: -f1)
	fw rule4 add '{proto=udp port=80}'
	fw icmp6 add '{type=128}'
	start ringbuf-read --lost "$FW/fw_event_stats" "$FW/fw_events"
	DEADLINE=0.2 answers timeout "$client" udp 10.9.0.2 80
	pings_in_vain "$client" fd09::2
	poll 10 told 4
	run -0 sed 's/^time=[0-9]* //; s/sport=[0-9]*/sport=N/' "$OUT"
	diff - <(echo "$output") <<-EOF
		saddr=10.9.0.1 daddr=10.9.0.2 reason=rule_drop ifindex=$ifindex len=47 vlan=0 inner=0 proto=udp sport=N dport=80 type=0 code=0
		saddr=fd09::1 daddr=fd09::2 reason=rule_drop ifindex=$ifindex len=118 vlan=0 inner=0 proto=icmpv6 sport=N dport=0 type=128 code=0
		saddr=fd09::1 daddr=fd09::2 reason=rule_drop ifindex=$ifindex len=118 vlan=0 inner=0 proto=icmpv6 sport=N dport=0 type=128 code=0
		saddr=fd09::1 daddr=fd09::2 reason=rule_drop ifindex=$ifindex len=118 vlan=0 inner=0 proto=icmpv6 sport=N dport=0 type=128 code=0
	EOF
	has event_stats '0={events=4 lost=0 suppressed=0}'
}

told() {
	[ "$(wc -l <"$OUT")" -eq "$1" ]
}

@test "events: dropped = events + lost + held back" {
	local packet=$BATS_TEST_TMPDIR/packet events lost suppressed
	requires root
	printf '\0\4\0\0\0\2\0\4\0\0\0\1\x08\0\x45\0\0\x1c\0\1\0\0\x40\x11\0\0\xc0\0\2\1\xc0\0\2\2\0\1\0\2\0\x08\0\0' >"$packet"
	firewall --set fw_events_pps=50000
	fw block4 add 192.0.2.1
	# Faster than 50,000 a second, and nobody reads: 256 KiB hold 3640 of 64 bytes and a header of 8.
	bpftool prog run pinned "$FW/prog" data_in "$packet" repeat 1000000 >/dev/null
	run -0 fw event_stats get 0
	[[ $output =~ events=([0-9]+)\ lost=([0-9]+)\ suppressed=([0-9]+) ]]
	events=${BASH_REMATCH[1]} lost=${BASH_REMATCH[2]} suppressed=${BASH_REMATCH[3]}
	[ $((events + lost + suppressed)) -eq 1000000 ]
	[ "$events" -gt 3000 ]
	[ "$events" -lt 3700 ]
	[ "$lost" -gt 0 ]
	[ "$suppressed" -gt 0 ]
	has block4 "192.0.2.1/32={packets=1000000 bytes=42000000}"
	run -0 --separate-stderr ringbuf-read --count "$events" --lost "$FW/fw_event_stats" "$FW/fw_events"
	[ "${#lines[@]}" -eq "$events" ]
	[[ ${lines[0]} == *"saddr=192.0.2.1 daddr=192.0.2.2 reason=blocked "* ]]
}

@test "no event is wanted: none is counted" {
	requires root
	firewall
	fw block4 add 0.0.0.0/0
	verdicts <<<'DROP | blocked | ip4()/tcp()'
	has event_stats '0={events=0 lost=0 suppressed=0}'
}

# Rules in every map but those that only the program fills.
fill() {
	fw allow4 add 10.0.0.0/8 '192.0.2.1={packets=5 bytes=300}'
	fw allow6 add 2001:db8::/32 ::/0
	fw ban add '192.0.2.7={expires=4000000000}' 2001:db8::7
	fw block4 add 0.0.0.0/0 255.255.255.255 172.16.0.0/12
	fw block6 add fe80::/10 2001:db8::1
	fw rate4 add '0.0.0.0/0={pps=100 burst=7}'
	fw rate6 add '::/0={pps=4294967295}'
	fw rule4 add '{}' '{vlan=10 inner=20 proto=tcp port=80 addr=10.0.0.0/8}={verdict=pass}' '{proto=200}' '{proto=unparsed}'
	fw rule6 add '{}' '{vlan=4095 proto=icmpv6 addr=2001:db8::1}={verdict=pass}' '{proto=unparsed}' '{addr=2001:db8::/33}'
	fw icmp4 add '{type=8}' '{type=0 code=0}={verdict=pass}'
	fw icmp6 add '{}' '{type=255 code=255}'
	fw tcp_ports add 1000-1010=1000
	fw udp_ports add 0-65535=1
	fw deny add tcp udp icmp icmpv6 unparsed fragment other
	# And counters of the program's own.
	"$PACKETS" passes "$BATS_TEST_DIRNAME/packets/tcp.table" "$FW/prog" >/dev/null || true
}

# bats test_tags=kernel-free
@test "map-edit show, a file, sync: exact for every map, counters too" {
	local map maps=0 saved=$BATS_TEST_TMPDIR/saved
	requires root
	firewall
	fill
	mkdir "$saved"
	for map in "$FW"/fw_*; do
		[ "$map" != "$FW/fw_events" ] || continue
		bpftool -j map dump pinned "$map" >"$saved/${map##*/}.bytes"
		map-edit "$map" show >"$saved/${map##*/}"
		run -0 map-edit "$map" sync --allow-empty "$saved/${map##*/}"
		[[ $output == "0 added, 0 changed, 0 removed" ]]
		maps=$((maps + 1))
	done
	[ "$maps" -eq 17 ]
	rm -r "$FW"
	firewall
	for map in "$FW"/fw_*; do
		[ "$map" != "$FW/fw_events" ] || continue
		map-edit "$map" sync --allow-empty "$saved/${map##*/}" >/dev/null
		diff "$saved/${map##*/}" <(map-edit "$map" show)
		# To the byte, and not only as map-edit shows it; what a CPU has counted is one CPU's then.
		case $map in
		*stats) ;;
		*) diff <(entries <"$saved/${map##*/}.bytes") <(bpftool -j map dump pinned "$map" | entries) ;;
		esac
	done
}

# entries: bpftool's JSON, an entry a line, sorted: no map of a hash has an order.
entries() {
	/usr/bin/python3 -c '
import json, sys
for line in sorted(json.dumps([entry["key"], entry["value"]]) for entry in json.load(sys.stdin)):
    print(line)'
}

# unit KEY IFNAME: run this command of the systemd unit, in the server's netns, with the script of this tree.
unit() {
	local verb
	verb=$(sed -nE "s,^$1=-?/usr/local/lib/hookset/hookset-firewall (\\w+) %I$,\\1,p" "$UNIT")
	in_ns "$server" env OBJ="$HOOKSET_BUILD/xdp_firewall.bpf.o" PINS="$BPFFS/unit" SAVED="$BATS_TEST_TMPDIR/saved" \
		"$LIBEXEC/hookset-firewall" "$verb" "$2"
}

# bats test_tags=kernel-free
@test "the systemd unit: stop saves, start restores, with rules, counters and verdicts as they were" {
	requires root cmd:systemd-analyze
	hosts
	in_ns "$server" xdp-attach --detach veth0
	rm -r "$FW"
	FW=$BPFFS/unit
	unit ExecStart veth0
	open_to tcp 80
	fill
	fw allow4 sync --allow-empty /dev/null
	fw allow6 sync --allow-empty /dev/null
	fw deny sync --allow-empty /dev/null
	fw block4 sync --allow-empty /dev/null
	fw rate4 sync --allow-empty /dev/null
	fw rule4 sync --allow-empty /dev/null
	fw rule6 sync --allow-empty /dev/null
	fw icmp6 sync --allow-empty /dev/null
	fw rule4 add '{proto=tcp port=80 addr=10.9.0.1}'
	fw rule6 add '{proto=tcp port=80 addr=fd09::1}'
	closed_to tcp 80
	open_to tcp 81
	fw rule4 show >"$BATS_TEST_TMPDIR/rule4"
	[[ $(cat "$BATS_TEST_TMPDIR/rule4") != *packets=0* ]]
	unit ExecStop veth0
	unit ExecStopPost veth0
	[ ! -e "$FW" ]
	run ! grep -q prog/xdp <(ip -n "$server" link show veth0)
	open_to tcp 80

	# As after a boot: nothing is there but the files.
	unit ExecStart veth0
	diff "$BATS_TEST_TMPDIR/rule4" <(fw rule4 show)
	closed_to tcp 80
	open_to tcp 81
	# A file that is edited by hand.
	sed -i 's/port=80/port=81/' "$BATS_TEST_TMPDIR/saved/fw_rule4" "$BATS_TEST_TMPDIR/saved/fw_rule6"
	unit ExecReload veth0
	closed_to tcp 81
	open_to tcp 80
	# With a bad line in one file, the others are not read either: all rules stay.
	cp -r "$BATS_TEST_TMPDIR/saved" "$BATS_TEST_TMPDIR/good"
	echo 192.0.2.7 >>"$BATS_TEST_TMPDIR/saved/fw_block4"
	echo nonsense >>"$BATS_TEST_TMPDIR/saved/fw_rule6"
	run -1 --separate-stderr unit ExecReload veth0
	[[ -z $output && $stderr == *"saved/fw_rule6:2: 'nonsense' is not a struct"* ]]
	[ -z "$(fw block4 show)" ]
	closed_to tcp 81
	rm -r "$BATS_TEST_TMPDIR/saved"
	mv "$BATS_TEST_TMPDIR/good" "$BATS_TEST_TMPDIR/saved"
	unit ExecStopPost veth0

	# A bad line is named, and nothing is attached.
	echo 'nonsense' >>"$BATS_TEST_TMPDIR/saved/fw_rule4"
	run -1 --separate-stderr unit ExecStart veth0
	[[ $stderr == *"saved/fw_rule4:2: 'nonsense' is not a struct"* ]]
	run ! grep -q prog/xdp <(ip -n "$server" link show veth0)
	unit ExecStopPost veth0

	# What an editor has left, or a stop that was cut off, is no map's file.
	mv "$BATS_TEST_TMPDIR/saved/fw_rule4" "$BATS_TEST_TMPDIR/saved/fw_rule4~"
	unit ExecStart veth0
	has rule4
	unit ExecReload veth0
	unit ExecStopPost veth0

	# Where somebody else has a program, it stays.
	in_ns "$server" ip link set dev veth0 xdp obj "$HOOKSET_BUILD/xdp_pass.bpf.o" sec xdp
	run -1 --separate-stderr unit ExecStart veth0
	[[ $stderr == *"xdp-attach: attach program '$FW/prog' to 'veth0': program "*" is attached in native mode" ]]
	unit ExecStopPost veth0
	grep -q prog/xdp <(ip -n "$server" link show veth0)
	[ ! -e "$FW" ]

	sed "s|/usr/local/lib/hookset/|$LIBEXEC/|" "$UNIT" >"$BATS_TEST_TMPDIR/hookset-firewall@veth0.service"
	run -0 systemd-analyze verify --man=no "$BATS_TEST_TMPDIR/hookset-firewall@veth0.service"
	[ "$output" = "" ]
}

@test "hookset-firewall: wrong usage changes nothing and exits 2" {
	for arguments in "" load "load a b" "start veth0"; do
		# shellcheck disable=SC2086 # several words
		run -2 "$LIBEXEC/hookset-firewall" $arguments
		[ "$output" = "Usage: hookset-firewall load|reload|save|stop IFNAME" ]
	done
}

# changes_under_flood ADDRESS VERSION BLOCKING...: rules that all block it, synced in turn.
changes_under_flood() {
	local address=$1 version=$2 receiver got rule
	shift 2
	start_in "$server" "$FIREWALL" receive "$address" 9999
	receiver=$PID
	got=$OUT
	poll 10 grep -qx ready "$got"
	fw "block$version" add "$1"
	start_in "$client" "$FIREWALL" flood "$address" 9999
	poll 20 dropped_more_than 1000
	for _ in {1..20}; do
		for rule in "$@"; do
			echo "$rule" | fw "block$version" sync - >/dev/null
		done
		# A new program, with the same maps.
		in_ns "$server" prog-load --replace --maps "$FW" "$HOOKSET_BUILD/xdp_firewall.bpf.o" "$FW/prog"
		in_ns "$server" xdp-attach --expect "$attached" veth0 "$FW/prog" >/dev/null
		attached=$(ip -n "$server" -o link show dev veth0 | grep -oP 'prog/xdp id \K\d+')
	done
	poll 20 dropped_more_than $(($(counter_of blocked) + 1000))
	stop "$receiver"
	[ "$(tail -n 1 "$got")" = 0 ]
	# Else nothing was proved.
	start_in "$server" "$FIREWALL" receive "$address" 9999
	receiver=$PID got=$OUT
	poll 10 grep -qx ready "$got"
	fw "block$version" sync --allow-empty /dev/null
	sleep_until_passed 100
	stop "$receiver"
	[ "$(tail -n 1 "$got")" -gt 0 ]
}

dropped_more_than() {
	[ "$(counter_of blocked)" -gt "$1" ]
}

sleep_until_passed() {
	poll 20 passed_more_than $(($(counter_of default_pass) + $1))
}

passed_more_than() {
	[ "$(counter_of default_pass)" -gt "$1" ]
}

@test "rules and program change under flood: no packet gets through that the old and the new drop" {
	requires root
	hosts
	attached=$(ip -n "$server" -o link show dev veth0 | grep -oP 'prog/xdp id \K\d+')
	changes_under_flood 10.9.0.2 4 10.9.0.0/24 10.9.0.1 10.0.0.0/8 0.0.0.0/0
	stop_all
	changes_under_flood fd09::2 6 fd09::/64 fd09::1 fd00::/8 ::/0
}

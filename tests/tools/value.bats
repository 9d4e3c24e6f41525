#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# Values by type, tools/lib/value: text to bytes and back. What the bytes should be, Python says.
# shellcheck disable=SC2016 # what make is to expand

# Only text and bytes: no kernel has a say in it.
# bats file_tags=kernel-free
load ../lib/helpers

setup_file() {
	OBJ=$BATS_FILE_TMPDIR/value.o
	REFUSED=$BATS_FILE_TMPDIR/refused.o
	object value value
	object refused value -DREFUSED
	make -C "$HOOKSET_ROOT" -s fixtures >/dev/null
	VALUE=$HOOKSET_BUILD/obj/tests/value
	export OBJ REFUSED VALUE
}

# agree [OBJ]: for each line "TYPE | TEXT | BYTES [| PRINTED [| JSON]]" of standard input, TEXT is
# read as those bytes, a Python expression; they are printed as PRINTED (or TEXT), and as JSON; and
# PRINTED is read as the same bytes. An empty TEXT is only printed. A dot is no text at all.
# "TYPE | TEXT | error: REASON" is refused.
agree() {
	/usr/bin/python3 -c '
import ipaddress, json, re, struct, subprocess, sys

def ip(text):
    return ipaddress.ip_address(text).packed

def mapped(text):
    return bytes(10) + b"\xff\xff" + ip(text)

def lpm(text):
    net = ipaddress.ip_network(text)
    return struct.pack("=I", net.prefixlen) + net.network_address.packed

def pack(form, *values):
    return struct.pack(form if form[0] in "<>=" else "=" + form, *values)

rows = [[cell.strip() for cell in re.split(r" \|(?= |$)", line)] for line in sys.stdin if line.strip()]
asked, expected = [], []

def ask(verb, type, text, answer):
    asked.append(f"{verb} {type}\t{text}")
    expected.append(answer)

for type, text, bytes_expected, *more in rows:
    text = "" if text == "." else text.replace("<tab>", "\t").replace("<nul>", "\0")
    if bytes_expected.startswith("error: "):
        ask("parse", type, text, bytes_expected)
        continue
    data = eval(bytes_expected)
    printed = more[0] if more and more[0] else text
    answer = [data.hex(), printed, json.loads(more[1]) if len(more) > 1 else None]
    if text:
        ask("parse", type, text, answer)
    ask("parse", type, printed, answer)
    ask("print", type, data.hex(), answer)

run = subprocess.run(sys.argv[1:], input="\n".join(asked) + "\n", capture_output=True, text=True)
answers = run.stdout.split("\n")[:-1]
wrong = 0
if run.returncode or run.stderr or len(answers) != len(asked) or not asked:
    sys.exit(f"{len(asked)} questions, {len(answers)} answers, status {run.returncode}: {run.stderr}")
for question, want, line in zip(asked, expected, answers):
    got = line
    if isinstance(want, list) and not line.startswith("error: "):
        got = line.split("\t")
        got[2] = json.loads(got[2]) if want[2] is not None else None
    if got != want:
        wrong += 1
        print(f"asked:    {question}\nexpected: {want}\ngot:      {got}", file=sys.stderr)
sys.exit(wrong != 0)' "$VALUE" "$@"
}

@test "value: random types and values, text to bytes and back: HOOKSET_ROUNDS (10000) from HOOKSET_SEED on" {
	local seed=${HOOKSET_SEED:-$(head -c 4 /dev/urandom | od -An -tu4 | tr -d ' ')}
	echo "HOOKSET_SEED=$seed"
	run -0 "$VALUE" random "$seed" "${HOOKSET_ROUNDS:-10000}"
	[ "$output" = "${HOOKSET_ROUNDS:-10000} rounds agree" ]
}

@test "value: integers" {
	agree <<-'EOF'
		u8 | 0 | pack("B", 0) | | 0
		u8 | 255 | pack("B", 255) | | 255
		__u8 | 0xfF | pack("B", 255) | 255
		u16 | 7777 | pack("H", 7777) | | 7777
		u16 | 0x1e61 | pack("H", 0x1e61) | 7777
		u16 | 007 | pack("H", 7) | 7
		__u32 | 4294967295 | pack("I", 2**32-1) | | 4294967295
		u64 | 18446744073709551615 | pack("Q", 2**64-1) | | 18446744073709551615
		u64 | 0xffffffffffffffff | pack("Q", 2**64-1) | 18446744073709551615
		s8 | -128 | pack("b", -128) | | -128
		s8 | 127 | pack("b", 127) | | 127
		s16 | -0x8000 | pack("h", -2**15) | -32768
		s32 | -2147483648 | pack("i", -2**31) | | -2147483648
		__s64 | -9223372036854775808 | pack("q", -2**63) | | -9223372036854775808
		s64 | 9223372036854775807 | pack("q", 2**63-1)
		s64 | -1 | pack("q", -1)
		s8 | -0 | pack("b", 0) | 0
		be16 | 7777 | pack(">H", 7777) | | 7777
		__be16 | 0x1e61 | pack(">H", 7777) | 7777
		be64 | 1099511627776 | pack(">Q", 2**40) | | 1099511627776
		u8 | 256 | error: '256' is above 255
		u16 | 70000 | error: '70000' is above 65535
		u16 | 0x10000 | error: '0x10000' is above 65535
		be16 | 65536 | error: '65536' is above 65535
		u64 | 18446744073709551616 | error: '18446744073709551616' is above 18446744073709551615
		u64 | 99999999999999999999999 | error: '99999999999999999999999' is above 18446744073709551615
		u16 | -1 | error: '-1' is below 0
		u64 | -99999999999999999999999 | error: '-99999999999999999999999' is below 0
		s8 | 128 | error: '128' is above 127
		s8 | -129 | error: '-129' is below -128
		s64 | 9223372036854775808 | error: '9223372036854775808' is above 9223372036854775807
		s64 | -9223372036854775809 | error: '-9223372036854775809' is below -9223372036854775808
		u16 | . | error: '' is not a number
		u16 | 7x | error: '7x' is not a number
		u16 | +7 | error: '+7' is not a number
		u16 | 0x | error: '0x' is not a number
		u16 | 0xg | error: '0xg' is not a number
		u16 | 7.5 | error: '7.5' is not a number
		u16 | - | error: '-' is not a number
		s16 | --7 | error: '-' is not a number
		s16 | - | error: '-' is not a number
		u16 | ssh | error: 'ssh' is not a number
		u16 | "7" | error: '"' is not a number
		u16 | <tab>7 | error: '\x09' is not a number
		u16 | 7 0 | error: unexpected text after the value: ' 0'
		u16 | 7=1 | error: unexpected text after the value: '=1'
		u16 | 7-9 | error: unexpected text after the value: '-9'
		s16 | -7--9 | error: unexpected text after the value: '--9'
		u16 | 7<nul> | error: unexpected text after the value: '\x00'
	EOF
}

@test "value: bool" {
	agree <<-'EOF'
		bool | true | b"\1" | | true
		bool | false | b"\0" | | false
		bool | 1 | b"\1" | true
		bool | 0x0 | b"\0" | false
		bool | 2 | b"\2" | | 2
		bool | 255 | b"\xff" | | 255
		bool | 256 | error: '256' is above 255
		bool | yes | error: 'yes' is not true or false
		bool | TRUE | error: 'TRUE' is not true or false
		bool | truer | error: 'truer' is not true or false
		bool | -1 | error: '-1' is not true or false
		bool | 1-2 | error: '1-2' is not a number
		bool | . | error: '' is not true or false
		bool | true 1 | error: unexpected text after the value: ' 1'
	EOF
}

@test "value: enums by name and by number, signed, of one byte" {
	agree "$OBJ" <<-'EOF'
		color of OBJ | RED | pack("I", 0) | | "RED"
		color of OBJ | GREEN | pack("I", 1)
		color of OBJ | 200 | pack("I", 200) | BLUE
		color of OBJ | 0xffffffff | pack("I", 2**32-1) | LAST
		color of OBJ | 7 | pack("I", 7) | | 7
		temper of OBJ | COLD | pack("i", -5) | | "COLD"
		temper of OBJ | -5 | pack("i", -5) | COLD
		temper of OBJ | -6 | pack("i", -6) | | -6
		temper of OBJ | MILD | pack("i", 0)
		tiny of OBJ | TINY_MANY | b"\xc8"
		chill of OBJ | FROST | b"\xff" | | "FROST"
		chill of OBJ | -2 | b"\xfe" | | -2
		tiny of OBJ | 201 | b"\xc9"
		color of OBJ | GREE | error: 'GREE' is not one of RED, GREEN, BLUE, LAST
		color of OBJ | green | error: 'green' is not one of RED, GREEN, BLUE, LAST
		color of OBJ | . | error: '' is not one of RED, GREEN, BLUE, LAST
		tiny of OBJ | -1 | error: '-1' is below 0
		color of OBJ | 4294967296 | error: '4294967296' is above 4294967295
		color of OBJ | 7x | error: '7x' is not a number
		color of OBJ | 7-8 | error: '7-8' is not a number
		color of OBJ | RED GREEN | error: unexpected text after the value: ' GREEN'
		temper of OBJ | -2147483649 | error: '-2147483649' is below -2147483648
		temper of OBJ | 4294967296 | error: '4294967296' is above 4294967295
		tiny of OBJ | 256 | error: '256' is above 255
		many of OBJ | A9 | error: 'A9' is not one of A0, A1, A2, A3, A4, A5, A6, A7, ...
	EOF
}

@test "value: addresses" {
	agree <<-'EOF'
		be32 | 192.0.2.1 | ip("192.0.2.1") | | "192.0.2.1"
		__be32 | 0.0.0.0 | bytes(4)
		be32 | ::ffff:192.0.2.1 | ip("192.0.2.1") | 192.0.2.1
		be32 | 255.255.255.255 | b"\xff" * 4
		in6_addr | 2001:db8::42 | ip("2001:db8::42") | | "2001:db8::42"
		in6_addr | 2001:DB8:0:0:0:0:0:42 | ip("2001:db8::42") | 2001:db8::42
		in6_addr | :: | bytes(16) | | "::"
		in6_addr | ::1 | ip("::1")
		in6_addr | 1:2:3:4:5:6:7:8 | ip("1:2:3:4:5:6:7:8")
		in6_addr | ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff | b"\xff" * 16
		in6_addr | 192.0.2.1 | mapped("192.0.2.1") | | "192.0.2.1"
		in6_addr | ::ffff:192.0.2.1 | mapped("192.0.2.1") | 192.0.2.1
		in6_addr | ::ffff:c000:201 | mapped("192.0.2.1") | 192.0.2.1
		in6_addr | 0000:0000:0000:0000:0000:ffff:192.168.100.200 | mapped("192.168.100.200") | 192.168.100.200
		in6_addr | 64:ff9b::192.0.2.33 | ip("64:ff9b::c000:221") | 64:ff9b::c000:221
		mac | 02:00:4c:ff:0a:01 | bytes.fromhex("02004cff0a01") | | "02:00:4c:ff:0a:01"
		mac | 02:00:4C:FF:0A:01 | bytes.fromhex("02004cff0a01") | 02:00:4c:ff:0a:01
		be32 | 192.0.2 | error: '192.0.2' is not an IPv4 address
		be32 | 192.0.2.256 | error: '192.0.2.256' is not an IPv4 address
		be32 | 192.0.2.01 | error: '192.0.2.01' has a number with a leading zero, which may be octal or decimal
		be32 | 192.0.2.1.1 | error: '192.0.2.1.1' is not an IPv4 address
		be32 | 192.0..1 | error: '192.0..1' is not an IPv4 address
		be32 | 192.0.2.1/24 | error: '192.0.2.1/24' is not an IPv4 address
		be32 | 192.0.2.-1 | error: '192.0.2.-1' is not an IPv4 address
		be32 | 192.0.2.1111 | error: '192.0.2.1111' is not an IPv4 address
		be32 | 3221225985 | error: '3221225985' is not an IPv4 address
		be32 | localhost | error: 'localhost' is not an IPv4 address
		be32 | ::1 | error: '::1' is not an IPv4 address
		be32 | . | error: '' is not an IPv4 address
		be32 | 192.0.2.1 x | error: unexpected text after the value: ' x'
		in6_addr | 1::2::3 | error: '1::2::3' is not an IPv6 address
		in6_addr | 12345:: | error: '12345::' is not an IPv6 address
		in6_addr | fe80::1%eth0 | error: 'fe80::1%eth0' is not an IPv6 address
		in6_addr | [::1] | error: '[' is not an IPv6 address
		in6_addr | 192.0.2 | error: '192.0.2' is not an IPv6 address
		in6_addr | ::/0 | error: '::/0' is not an IPv6 address
		in6_addr | 0000:0000:0000:0000:0000:0000:0000:0000:0000:0000 | error: '0000:0000:0000:0000:0000:0000:0000:0000:0000:0000' is not an IPv6 address
		in6_addr | . | error: '' is not an IPv6 address
		mac | 02:00:4c:ff:0a | error: '02:00:4c:ff:0a' is not a MAC address
		mac | 02:00:4c:ff:0a:1 | error: '02:00:4c:ff:0a:1' is not a MAC address
		mac | 02:00:4c:ff:0a:01:02 | error: '02:00:4c:ff:0a:01:02' is not a MAC address
		mac | 02-00-4c-ff-0a-01 | error: '02-00-4c-ff-0a-01' is not a MAC address
		mac | 02:00:4c:ff:0a:0g | error: '02:00:4c:ff:0a:0g' is not a MAC address
		mac | 02:00:4c:ff:0a:/0 | error: '02:00:4c:ff:0a:/0' is not a MAC address
		mac | . | error: '' is not a MAC address
	EOF
}

@test "value: LPM keys, and their host bits" {
	agree "$OBJ" <<-'EOF'
		cidr4 | 10.0.0.0/8 | lpm("10.0.0.0/8") | | "10.0.0.0/8"
		cidr4 | 192.0.2.1 | lpm("192.0.2.1/32") | 192.0.2.1/32
		cidr4 | 192.0.2.128/25 | lpm("192.0.2.128/25")
		cidr4 | 192.0.2.254/31 | lpm("192.0.2.254/31")
		cidr4 | 0.0.0.0/0 | lpm("0.0.0.0/0") | | "0.0.0.0/0"
		cidr4 | ::ffff:10.0.0.0/104 | lpm("10.0.0.0/8") | 10.0.0.0/8
		cidr4 | ::ffff:c000:201 | lpm("192.0.2.1/32") | 192.0.2.1/32
		cidr4 | ::ffff:128.0.0.0/97 | lpm("128.0.0.0/1") | 128.0.0.0/1
		cidr4 | 10.0.0.0/08 | lpm("10.0.0.0/8") | 10.0.0.0/8
		cidr6 | 2001:db8::/32 | lpm("2001:db8::/32") | | "2001:db8::/32"
		cidr6 | ::/0 | lpm("::/0")
		cidr6 | ::1 | lpm("::1/128") | ::1/128
		cidr6 | fe80::/9 | lpm("fe80::/9")
		cidr6 | fe80::/8 | error: host bits are set: did you mean fe00::/8?
		cidr6 | 10.0.0.0/8 | lpm("::ffff:10.0.0.0/104") | | "10.0.0.0/8"
		cidr6 | ::ffff:10.0.0.0/104 | lpm("::ffff:10.0.0.0/104") | 10.0.0.0/8
		cidr6 | 192.0.2.1 | lpm("::ffff:192.0.2.1/128") | 192.0.2.1/32
		cidr6 | 0.0.0.0/0 | lpm("::ffff:0:0/96")
		cidr6 | ::fffe:0:0/95 | lpm("::fffe:0:0/95")
		lpm4 of OBJ | 10.0.0.0/8 | lpm("10.0.0.0/8")
		lpm4_bytes of OBJ | 10.0.0.0/8 | lpm("10.0.0.0/8")
		lpm4_number of OBJ | 10.0.0.0/8 | lpm("10.0.0.0/8")
		lpm4_header of OBJ | 10.0.0.0/8 | lpm("10.0.0.0/8")
		lpm4_union of OBJ | 10.0.0.0/8 | lpm("10.0.0.0/8")
		lpm6 of OBJ | 2001:db8::/32 | lpm("2001:db8::/32")
		lpm6_bytes of OBJ | 2001:db8::/32 | lpm("2001:db8::/32")
		lpm6_numbers of OBJ | 2001:db8::/32 | lpm("2001:db8::/32")
		cidr4 | {prefixlen=8 address=10.1.2.3} | pack("I", 8) + ip("10.1.2.3") | | {"prefixlen": 8, "address": "10.1.2.3"}
		cidr4 | {address=10.0.0.0 prefixlen=8} | lpm("10.0.0.0/8") | 10.0.0.0/8
		cidr4 | {prefixlen=33 address=0.0.0.0} | pack("I", 33) + bytes(4)
		cidr4 | {prefixlen=4294967295 address=0.0.0.0} | pack("I", 2**32-1) + bytes(4)
		cidr6 | {prefixlen=129 address=::} | pack("I", 129) + bytes(16)
		cidr6 | {prefixlen=95 address=10.0.0.0} | pack("I", 95) + mapped("10.0.0.0")
		lpm4 of OBJ | {prefixlen=31 addr=0.0.0.1} | pack("I", 31) + ip("0.0.0.1")
		lpm4_header of OBJ | {hdr={prefixlen=8} data=[10 1 0 0]} | pack("I", 8) + ip("10.1.0.0")
		lpm4_union of OBJ | {prefixlen=8 addr=10.1.0.0} | pack("I", 8) + ip("10.1.0.0") | {hdr={prefixlen=8} addr=10.1.0.0}
		lpm_and_more of OBJ | {prefixlen=8 ifindex=2 addr=10.0.0.0} | pack("II", 8, 2) + ip("10.0.0.0")
		lpm_within of OBJ | {prefixlen=8 addr=10.0.0.0} | lpm("10.0.0.0/8") | | {"prefixlen": 8, "addr": "10.0.0.0"}
		no_lpm_name of OBJ | {length=8 addr=10.0.0.0} | lpm("10.0.0.0/8")
		no_lpm_size of OBJ | {prefixlen=8 data=0a:00:00:00:00:00} | pack("I", 8) + b"\x0a" + bytes(5) + bytes(2)
		no_lpm_address of OBJ | {prefixlen=8 data=-1} | pack("Ii", 8, -1)
		cidr4 | 10.1.2.3/8 | error: host bits are set: did you mean 10.0.0.0/8?
		cidr4 | 192.0.2.129/25 | error: host bits are set: did you mean 192.0.2.128/25?
		cidr4 | 192.0.2.1/31 | error: host bits are set: did you mean 192.0.2.0/31?
		cidr4 | 0.0.0.1/0 | error: host bits are set: did you mean 0.0.0.0/0?
		cidr6 | 2001:db8::1/32 | error: host bits are set: did you mean 2001:db8::/32?
		cidr6 | 10.1.2.3/8 | error: host bits are set: did you mean 10.0.0.0/8?
		cidr6 | ::ffff:10.0.0.0/95 | error: host bits are set: did you mean ::fffe:0:0/95?
		lpm4_header of OBJ | 10.1.2.3/8 | error: host bits are set: did you mean 10.0.0.0/8?
		cidr4 | 10.0.0.0/33 | error: '10.0.0.0/33' has a prefix length that is not 0 to 32
		cidr4 | 10.0.0.0/ | error: '10.0.0.0/' has a prefix length that is not 0 to 32
		cidr4 | 10.0.0.0/-1 | error: '10.0.0.0/-1' has a prefix length that is not 0 to 32
		cidr4 | 10.0.0.0/8x | error: '10.0.0.0/8x' has a prefix length that is not 0 to 32
		cidr4 | 10.0.0.0/255.0.0.0 | error: '10.0.0.0/255.0.0.0' has a prefix length that is not 0 to 32
		cidr4 | 10.0.0.0/4294967304 | error: '10.0.0.0/4294967304' has a prefix length that is not 0 to 32
		cidr6 | ::/129 | error: '::/129' has a prefix length that is not 0 to 128
		cidr6 | 10.0.0.0/104 | error: '10.0.0.0/104' has a prefix length that is not 0 to 32
		cidr4 | 10/8 | error: '10/8' is not an IPv4 address or prefix
		cidr4 | 10.0.0.0-8 | error: '10.0.0.0-8' is not an IPv4 address or prefix
		cidr4 | ::/0 | error: '::/0' is not an IPv4 address or prefix
		cidr4 | . | error: '' is not an IPv4 address or prefix
		cidr4 | ::ffff:0:0/96 | error: '::ffff:0:0/96' is more than IPv4
		cidr4 | ::ffff:10.1.2.3/104 | error: host bits are set: did you mean 10.0.0.0/8?
		cidr4 | ::ffff:10.0.0.0/129 | error: '::ffff:10.0.0.0/129' has a prefix length that is not 0 to 128
		cidr4 | ::fffe:10.0.0.0/104 | error: '::fffe:10.0.0.0/104' is not an IPv4 address or prefix
		cidr6 | :::/0 | error: ':::/0' is not an IPv6 address or prefix
		cidr4 | 10.0.0.0/8 10.0.0.0/8 | error: unexpected text after the value: ' 10.0.0.0/8'
		cidr4 | 10.0.0.0/8=1 | error: unexpected text after the value: '=1'
		cidr4 | {prefixlen=8} | error: field 'address' is missing
	EOF
}

@test "value: LPM keys with more fields than an address: the prefix ends before or in the last one" {
	agree "$OBJ" <<-'EOF'
		lpm_rule of OBJ | {vlan=10 port=80 addr=10.0.0.0/8} | pack("IH", 40, 10) + pack(">H", 80) + ip("10.0.0.0") | | {"vlan": 10, "port": 80, "addr": "10.0.0.0/8"}
		lpm_rule of OBJ | {vlan=10 port=80 addr=192.0.2.1} | pack("IH", 64, 10) + pack(">H", 80) + ip("192.0.2.1") | {vlan=10 port=80 addr=192.0.2.1/32}
		lpm_rule of OBJ | {addr=192.0.2.0/31 port=80} | pack("IH", 63, 0) + pack(">H", 80) + ip("192.0.2.0") | {vlan=0 port=80 addr=192.0.2.0/31}
		lpm_rule of OBJ | {port=80} | pack("IH", 32, 0) + pack(">H", 80) + bytes(4) | {vlan=0 port=80} | {"vlan": 0, "port": 80}
		lpm_rule of OBJ | {vlan=10 addr=0.0.0.0/0} | pack("IH", 32, 10) + bytes(6) | {vlan=10 port=0}
		lpm_rule of OBJ | {} | pack("I", 32) + bytes(8) | {vlan=0 port=0}
		lpm_rule of OBJ | {prefixlen=16 vlan=10 port=0 addr=0.0.0.0} | pack("IH", 16, 10) + bytes(6) | | {"prefixlen": 16, "vlan": 10, "port": 0, "addr": "0.0.0.0"}
		lpm_rule of OBJ | {prefixlen=33 vlan=0 port=0 addr=0.0.0.1} | pack("I", 33) + bytes(4) + ip("0.0.0.1")
		lpm_rule of OBJ | {prefixlen=65 vlan=0 port=0 addr=0.0.0.0} | pack("I", 65) + bytes(8)
		lpm_rule of OBJ | {addr=10.0.0.0 prefixlen=40 vlan=0 port=0} | pack("I", 40) + bytes(4) + ip("10.0.0.0") | {vlan=0 port=0 addr=10.0.0.0/8}
		lpm_rule6 of OBJ | {first=192.0.2.1 proto=0 addr=2001:db8::/32} | pack("I", 96) + ip("192.0.2.1") + bytes(4) + ip("2001:db8::") | {first=192.0.2.1 proto=MILD addr=2001:db8::/32}
		lpm_rule6 of OBJ | {addr=10.0.0.0/8} | pack("I", 168) + bytes(8) + mapped("10.0.0.0") | {first=0.0.0.0 proto=MILD addr=10.0.0.0/8}
		lpm_type of OBJ | {type=8} | pack("IBB", 8, 8, 0) | | {"type": 8}
		lpm_type of OBJ | {code=0 type=8} | pack("IBB", 16, 8, 0) | {type=8 code=0}
		lpm_type of OBJ | {prefixlen=12 type=8 code=0} | pack("IBB", 12, 8, 0)
		lpm_type of OBJ | {prefixlen=8 type=8 code=1} | pack("IBB", 8, 8, 1)
		lpm4_padded of OBJ | 10.0.0.0/8 | lpm("10.0.0.0/8") + bytes(4) | | "10.0.0.0/8"
		lpm4_padded of OBJ | 192.0.2.1/32 | lpm("192.0.2.1/32") + bytes(4)
		lpm4_padded of OBJ | {prefixlen=33 addr=192.0.2.1} | pack("I", 33) + ip("192.0.2.1") + bytes(4)
		lpm_type_padded of OBJ | {type=8} | pack("IB7x", 8, 8) | | {"type": 8}
		lpm_type_padded of OBJ | {type=8 code=1} | pack("IBB6x", 16, 8, 1)
		lpm_type_padded of OBJ | {prefixlen=17 type=8 code=1} | pack("IBB6x", 17, 8, 1)
		lpm4_padded of OBJ | 10.0.0.1/8 | error: host bits are set: did you mean 10.0.0.0/8?
		lpm4_padded of OBJ | 10.0.0.0/33 | error: '10.0.0.0/33' has a prefix length that is not 0 to 32
		lpm_rule of OBJ | {port=80 addr=10.0.0.1/8} | error: addr: host bits are set: did you mean 10.0.0.0/8?
		lpm_rule of OBJ | {port=80 addr=10.0.0.0/33} | error: addr: '10.0.0.0/33' has a prefix length that is not 0 to 32
		lpm_rule of OBJ | {port=80/8} | error: port: '80/8' is not a number
		lpm_rule6 of OBJ | {first=10.0.0.0/8} | error: first: '10.0.0.0/8' is not an IPv4 address
		lpm_rule of OBJ | {port=80 port=81} | error: field 'port' is given twice
		lpm_rule of OBJ | {ports=80} | error: no field is called 'ports'
		lpm_rule of OBJ | {port=80 | error: the closing } is missing
		lpm_rule of OBJ | {port} | error: 'port' is not a field=value
		lpm_rule of OBJ | {port=80 addr=10.0.0.0/8}x | error: unexpected text after the value: 'x'
		lpm_rule of OBJ | {prefixlen=16 vlan=10} | error: field 'port' is missing
		lpm_rule of OBJ | 10.0.0.0/8 | error: '10.0.0.0/8' is not a struct: {field=value field=value}
	EOF
}

@test "value: text, of any bytes, and as a plain word" {
	agree "$OBJ" <<-'EOF'
		char[16] | "eth0" | b"eth0".ljust(16, b"\0") | | "eth0"
		char[16] | eth0 | b"eth0".ljust(16, b"\0") | "eth0"
		char[4] | "eth0" | b"eth0" | | "eth0"
		char[16] | br-lan.7:@/*,'+ | b"br-lan.7:@/*,\x27+".ljust(16, b"\0") | "br-lan.7:@/*,'+"
		char[8] | 7 | b"7".ljust(8, b"\0") | "7"
		label of OBJ | "a b" | b"a b".ljust(8, b"\0")
		char[8] | "" | bytes(8) | | ""
		char[8] | "\"a\\\" b" | b"\"a\\\" b".ljust(8, b"\0") | | "\"a\\\" b"
		char[8] | "a\nb\tc\rd" | b"a\nb\tc\rd".ljust(8, b"\0") | | "a\nb\tc\rd"
		char[8] | "a<tab>b" | b"a\tb".ljust(8, b"\0") | "a\tb"
		char[8] | "\x1b[m\x7f" | b"\x1b[m\x7f".ljust(8, b"\0") | | "\u001b[m\u007f"
		char[8] | "h\xc3\xa9\xe2\x82\xac" | "h\u00e9\u20ac".encode().ljust(8, b"\0") | | "h\u00e9\u20ac"
		char[8] | "hé€" | "h\u00e9\u20ac".encode().ljust(8, b"\0") | "h\xc3\xa9\xe2\x82\xac"
		char[8] | hé€ | "h\u00e9\u20ac".encode().ljust(8, b"\0") | "h\xc3\xa9\xe2\x82\xac"
		char[4] | "\x41\x7A" | b"Az\0\0" | "Az"
		char[4] | "\x41414" | b"A414" | "A414"
		char[8] | "a\x00secret" | b"a\0secret" | | "a"
		char[8] | "a\x00\x00b" | b"a\0\0b\0\0\0\0"
		char[4] | "a\x00\x00\x00" | b"a\0\0\0" | "a"
		char[4] | "\x00\x00\x00\x01" | b"\0\0\0\1"
		char[8] | "# = {}[]" | b"# = {}[]"
		char[4] | eth01 | error: the text has 5 bytes, of at most 4
		char[4] | "a\x00\x00\x00\x00" | error: the text has 5 bytes, of at most 4
		char[3] | "h€" | error: the text has 4 bytes, of at most 3
		char[8] | . | error: '' is not text: put it in ""
		char[8] | \x41 | error: '\x41' is not text: put it in ""
		char[8] | =a | error: '=' is not text: put it in ""
		char[8] | a b | error: unexpected text after the value: ' b'
		char[8] | "a"b | error: unexpected text after the value: 'b'
		char[8] | "abc | error: the closing " is missing
		char[8] | "abc\" | error: the closing " is missing
		char[8] | "a\" b | error: the closing " is missing
		char[8] | "a\qb" | error: '\q' is not an escape (one of \" \\ \n \r \t \xNN)
		char[8] | "a\0" | error: '\0' is not an escape (one of \" \\ \n \r \t \xNN)
		char[8] | "a\x4" | error: '\x' is not an escape (one of \" \\ \n \r \t \xNN)
		char[8] | "a\u0041" | error: '\u' is not an escape (one of \" \\ \n \r \t \xNN)
		char[8] | "a\ | error: the closing " is missing
	EOF
}

@test "value: text that is broken UTF-8" {
	agree <<-'EOF'
		char[4] | "\xff\xc3x" | b"\xff\xc3x\0" | | "\ufffd\ufffdx"
	EOF
	run -0 "$VALUE" <<<$'parse char[4]\t\xff\xc3x'
	[ "$output" = $'ffc37800\t"\\xff\\xc3x"\t"\\ufffd\\ufffdx"' ]
}

@test "value: bytes in hexadecimal" {
	agree <<-'EOF'
		hex[4] | c0000201 | ip("192.0.2.1") | | "c0000201"
		hex[4] | C00002ff | bytes.fromhex("c00002ff") | c00002ff
		hex[1] | 00 | b"\0"
		hex[4] | c00002 | error: 'c00002' is not 4 bytes in hexadecimal
		hex[4] | c00002010 | error: 'c00002010' is not 4 bytes in hexadecimal
		hex[4] | 0xc0000201 | error: '0xc0000201' is not 4 bytes in hexadecimal
		hex[2] | c0 00 | error: 'c0' is not 2 bytes in hexadecimal
		hex[2] | . | error: '' is not 2 bytes in hexadecimal
	EOF
}

@test "value: arrays" {
	agree <<-'EOF'
		u16[3] | [1 2 3] | pack("3H", 1, 2, 3) | | [1, 2, 3]
		u16[3] | [ 1  0x2<tab>3 ] | pack("3H", 1, 2, 3) | [1 2 3]
		be16[2] | [1 2] | pack(">2H", 1, 2)
		be32[2] | [192.0.2.1 192.0.2.2] | ip("192.0.2.1") + ip("192.0.2.2") | | ["192.0.2.1", "192.0.2.2"]
		__u8[6] | 02:00:00:00:00:01 | bytes.fromhex("020000000001")
		s8[6] | [-1 0 1 2 3 4] | pack("6b", -1, 0, 1, 2, 3, 4)
		u16[3] | [1 2] | error: there are only 2 of 3 values
		u16[3] | [] | error: there are only 0 of 3 values
		u16[3] | [1 2 3 4] | error: there are more than 3 values
		u16[3] | [1 2 3 | error: the closing ] is missing
		u16[3] | [1 2 70000] | error: [2]: '70000' is above 65535
		u16[3] | 1 2 3 | error: '1' is not an array: [value value]
		u16[3] | . | error: '' is not an array: [value value]
		u16[3] | [1 2,3] | error: [1]: '2,3' is not a number
		u16[3] | [1 2 3}] | error: '}' follows a value without a space
		u16[3] | [1 2-3] | error: '-3' follows a value without a space
		u16[3] | [1 2 3]] | error: unexpected text after the value: ']'
	EOF
}

@test "value: structs" {
	agree "$OBJ" <<-'EOF'
		pair of OBJ | {a=1 port=2} | pack("H", 1) + pack(">H", 2) | | {"a": 1, "port": 2}
		pair of OBJ | {port=2 a=1} | pack("H", 1) + pack(">H", 2) | {a=1 port=2}
		pair of OBJ | {  a=1<tab> port=2  } | pack("H", 1) + pack(">H", 2) | {a=1 port=2}
		padded of OBJ | {a=1 b=2} | pack("B3xI", 1, 2) | | {"a": 1, "b": 2}
		nothing of OBJ | {} | b"" | | {}
		everything of OBJ | {number=-2 mac=02:00:00:00:00:01 pair={a=1 port=2} pairs=[{a=3 port=4} {a=5 port=6}] names=["a" "bcde"] color=BLUE v4=192.0.2.1 v6=::1 pointer=4096 yes=true odd=9 none=[]} | pack("h", -2) + bytes.fromhex("020000000001") + b"".join(pack("H", n) + pack(">H", n + 1) for n in (1, 3, 5)) + b"a\0\0\0bcde" + pack("I", 200) + ip("192.0.2.1") + ip("::1") + bytes(4) + pack("Q?xH4x", 4096, True, 9) | | {"number": -2, "mac": "02:00:00:00:00:01", "pair": {"a": 1, "port": 2}, "pairs": [{"a": 3, "port": 4}, {"a": 5, "port": 6}], "names": ["a", "bcde"], "color": "BLUE", "v4": "192.0.2.1", "v6": "::1", "pointer": 4096, "yes": true, "odd": 9, "none": []}
		pair of OBJ | {a=1} | error: field 'port' is missing
		pair of OBJ | {} | error: field 'a' is missing
		pair of OBJ | {a=1 port=2 a=3} | error: field 'a' is given twice
		pair of OBJ | {a=1 b=2} | error: no field is called 'b'
		pair of OBJ | {a=1 port=70000} | error: port: '70000' is above 65535
		pair of OBJ | {a= port=2} | error: a: ' ' is not a number
		pair of OBJ | {a=1 2} | error: '2' is not a field=value
		pair of OBJ | {a=1 =2} | error: '=' is not a field=value
		pair of OBJ | {a=1 @0=2} | error: no field is called '@0'
		pair of OBJ | {a=1, port=2} | error: a: '1,' is not a number
		pair of OBJ | {a=1=port=2} | error: '=' follows a value without a space
		pair of OBJ | {a=1 port=2 | error: the closing } is missing
		pair of OBJ | {a=1 port=2] | error: ']' follows a value without a space
		pair of OBJ | { | error: the closing } is missing
		pair of OBJ | a=1 port=2 | error: 'a' is not a struct: {field=value field=value}
		pair of OBJ | . | error: '' is not a struct: {field=value field=value}
		pair of OBJ | {a=1 port=2} 3 | error: unexpected text after the value: ' 3'
		everything of OBJ | {pairs=[{a=3 port=4} {a=5 port=x}]} | error: pairs: [1]: port: 'x' is not a number
		everything of OBJ | {names=[abcd efghi]} | error: names: [1]: the text has 5 bytes, of at most 4
		everything of OBJ | {mac=02} | error: mac: '02' is not a MAC address
	EOF
}

@test "value: unions, and the members of anonymous structs and unions" {
	agree "$OBJ" <<-'EOF'
		whole of OBJ | {v4=192.0.2.1} | ip("192.0.2.1") | | {"v4": "192.0.2.1", "low": 192, "high": 258, "bytes": [192, 0, 2, 1]}
		whole of OBJ | {bytes=[192 0 2 1]} | ip("192.0.2.1") | {v4=192.0.2.1}
		whole of OBJ | {high=258 low=192} | pack("HH", 192, 258) | {v4=192.0.2.1}
		peer of OBJ | {x=1 v6=2001:db8::1 c=2 d=3} | pack("H2x", 1) + ip("2001:db8::1") + b"\2\3\0\0" | | {"x": 1, "v4": "32.1.13.184", "v6": "2001:db8::1", "c": 2, "d": 3, "e": 3}
		peer of OBJ | {e=-1 v4=192.0.2.1 x=1 c=2} | pack("H2x", 1) + ip("192.0.2.1") + bytes(12) + b"\2\xff\0\0" | {x=1 v6=c000:201:: c=2 d=255}
		crosses of OBJ | {first=9 named={@0=0100000002000000} @12=0304050607080000} | bytes([9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 4, 5, 6, 7, 8, 0, 0]) | | {"first": 9, "named": {"one": {"a": 1, "b": 2}, "c": 1, "d": 2}, "one": {"a": 3, "b": 2055}, "two": 3}
		crosses of OBJ | {first=9 named={one={a=1 b=2}} two=3} | pack("B3xB3xIB7x", 9, 1, 2, 3) | {first=9 named={@0=0100000002000000} @12=0300000000000000}
		crosses of OBJ | {two=3 named={d=1 c=2} first=9} | pack("B3xIB3xB7x", 9, 2, 1, 3) | {first=9 named={@0=0200000001000000} @12=0300000000000000}
		hollow of OBJ | {none=[]} | b""
		hollow_and_crossed of OBJ | {none=[] two=3} | b"\3" + bytes(7) | {none=[] @0=0300000000000000}
		whole of OBJ | {} | error: give one of v4, low+high, bytes
		whole of OBJ | {v4=192.0.2.1 low=1} | error: only one can be given of v4, low+high, bytes
		whole of OBJ | {low=1} | error: field 'high' is missing
		whole of OBJ | {v4=192.0.2.1 bytes=[192 0 2 1]} | error: only one can be given of v4, low+high, bytes
		whole of OBJ | {@0=c0000201} | error: no field is called '@0'
		peer of OBJ | {x=1 c=2 d=3} | error: give one of v4, v6
		peer of OBJ | {x=1 v4=192.0.2.1 v6=::1 c=2 d=3} | error: only one can be given of v4, v6
		peer of OBJ | {x=1 v4=192.0.2.1 d=3} | error: field 'c' is missing
		peer of OBJ | {x=1 v4=192.0.2.1 c=3} | error: give one of d, e
		crosses of OBJ | {first=9 named={@0=0100000002000000} @0=0304050607080000} | error: no field is called '@0'
		crosses of OBJ | {first=9 named={@4=0100000002000000}} | error: named: no field is called '@4'
		crosses of OBJ | {first=9 named={@0=01}} | error: named: @0: '01' is not 8 bytes in hexadecimal
		crosses of OBJ | {first=9 named={@0=0100000002000000 c=1}} | error: named: only one can be given of one, c+d
	EOF
}

@test "value: what cannot be written is refused" {
	agree "$REFUSED" <<-'EOF'
		huge of OBJ | . | error: read type '__int128': an integer of 128 bits is not supported
		real of OBJ | . | error: read type 'float': floating point is not supported
		main of OBJ | . | error: find type 'main': there is none
		incomplete of OBJ | . | error: read type 'incomplete': its kind is not supported
		has_function of OBJ | {pointer=1 forward=2} | pack("QQ", 1, 2)
	EOF
}

@test "value: types by name" {
	local name types="one of u8 u16 u32 u64, s8 s16 s32 s64, be16 be32 be64, in6_addr, mac, cidr4, cidr6, bool, char[N], hex[N]"
	{
		for name in int u7 u128 __mac U8 ___u8 char hex ']' 'u8]' 'u8[2' ''; do
			echo "$name | . | error: type '$name' is not known: $types"
		done
		for name in nothing void ''; do
			echo "${name}[2] | . | error: type '$name' is not known: $types"
		done
		for name in x -1 1x '' '2][3'; do
			echo "char[$name] | . | error: the number of elements in 'char[$name]', '$name' is not a number"
		done
		for name in 0 65537 99999999999999999999; do
			echo "hex[$name] | . | error: the number of elements in 'hex[$name]', '$name' is not between 1 and 65536"
		done
	} >"$BATS_TEST_TMPDIR/table"
	agree <"$BATS_TEST_TMPDIR/table"
}

@test "value: the types of a map's key and value, in the BTF of an object" {
	agree "$OBJ" <<-'EOF'
		typed key | 10.0.0.0/8 | lpm("10.0.0.0/8")
		typed value | BLUE | pack("I", 200)
		half_typed key | . | error: find the key of map 'half_typed': there is none
		half_typed value | 7 | pack("H", 7)
		nothing_like_it key | . | error: find the key of map 'nothing_like_it': there is none
		old key | 192.0.2.1 | ip("192.0.2.1")
		old value | {a=1 port=2} | pack("H", 1) + pack(">H", 2)
		name_is_longer_than_the_kernel_has key | 7 | pack(">H", 7)
		name_is_longer_ key | 7 | pack(">H", 7)
		name_is_longer_ value | true | b"\1"
		name_is_longer key | . | error: find the key of map 'name_is_longer': there is none
		two_begin_alike key | . | error: find the key of map 'two_begin_alike': there is none
		two_begin_alike_two value | true | b"\1"
		LICENSE value | . | error: find the value of map 'LICENSE': there is none
	EOF
}

# The bytes and their texts are those of a program that both compilers of this machine have built.
@test "value: bitfields, as gcc and clang lay them out: signed, across bytes, packed, bool, enum" {
	local compiler source=$HOOKSET_ROOT/tests/fixtures/bitfields.c obj=$BATS_TEST_TMPDIR/bitfields.o
	clang -target bpf -g -O2 -c "$source" -o "$obj"
	for compiler in gcc clang; do
		"$compiler" -w "$source" -o "$BATS_TEST_TMPDIR/fill"
		"$BATS_TEST_TMPDIR/fill" >"$BATS_TEST_TMPDIR/said"
		run -0 awk -F '\t' '
			{ answer = $2 "\t" $3 "\t" $4 }
			{ print "print " $1 " of OBJ\t" $2 >asked; print answer >expected }
			{ print "parse " $1 " of OBJ\t" $3 >asked; print answer >expected }
			END { print NR }' asked="$BATS_TEST_TMPDIR/asked" \
			expected="$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/said"
		[ "$output" = 3512 ]
		"$VALUE" "$obj" <"$BATS_TEST_TMPDIR/asked" >"$BATS_TEST_TMPDIR/got"
		run -0 diff "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/got"
	done
	OBJ=$obj agree "$obj" <<-'END'
		across of OBJ | {a=8 b=0 c=0 d=0 e=0 f=0 g=0} | error: a: '8' is above 7
		across of OBJ | {a=0 b=-65 c=0 d=0 e=0 f=0 g=0} | error: b: '-65' is below -64
		across of OBJ | {a=0 b=0 c=0 d=0 e=0 f=1 g=0} | error: f: '1' is above 0
		mixed of OBJ | {a=0 b=0 c=0 d=2 e=0 f=0 g=0 h=0 i=0 j=0 k=0} | error: d: '2' is above 1
		mixed of OBJ | {a=0 b=0 c=0 d=0 e=FAR f=0 g=0 h=0 i=0 j=0 k=0} | error: e: 'FAR' is not one of RED, GREEN, BLUE
		too_wide of OBJ | {all=0} | error: read bitfield 'all': 100 bits are not supported
	END
}

# Documentation/bpf/btf.rst: "btf member bit offset 100 from the start of the structure, [...] the
# int type has BTF_INT_OFFSET() = 2 and BTF_INT_BITS() = 4. Then in the struct memory layout, this
# member will occupy 4 bits starting from bits 100 + 2 = 102."
@test "value: bitfields of BTF without kind_flag: the int type says the bits" {
	/usr/bin/python3 -c '
import struct, sys

strings = b"\0old\0all\0first\0four\0int\0three\0last\0"
name = lambda text: strings.index(b"\0" + text + b"\0") + 1
integer = lambda bits, offset, signed: struct.pack("=IIII", name(b"int"), 1 << 24, 4, signed << 24 | offset << 16 | bits)
members = [(b"first", 1, 0), (b"three", 2, 32), (b"four", 3, 100), (b"last", 4, 106)]
types = integer(32, 0, 0) + integer(3, 0, 1) + integer(4, 2, 0) + integer(15, 0, 1)
types += struct.pack("=III", name(b"old"), 4 << 24 | len(members), 16)
types += b"".join(struct.pack("=III", name(text), type, offset) for text, type, offset in members)
sys.stdout.buffer.write(struct.pack("=HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings)
' >"$BATS_TEST_TMPDIR/old.btf"
	agree "$BATS_TEST_TMPDIR/old.btf" <<-'END'
		old of OBJ | {first=7 three=-1 four=9 last=-16384} | (7 + (7 << 32) + (9 << 102) + (0x4000 << 106)).to_bytes(16, "little")
		old of OBJ | {first=0 three=3 four=15 last=1} | ((3 << 32) + (15 << 102) + (1 << 106)).to_bytes(16, "little") | | {"first": 0, "three": 3, "four": 15, "last": 1}
		old of OBJ | {first=0 three=4 four=0 last=0} | error: three: '4' is above 3
		old of OBJ | {first=0 three=0 four=16 last=0} | error: four: '16' is above 15
	END
}

# Each struct has the one before it twice: a kilobyte says more members than memory holds. An array
# of nothing has four billion elements; and a name may be what no compiler writes.
@test "value: BTF of a file that says too much, or has names that cannot be written" {
	/usr/bin/python3 -c '
import struct, sys

strings, types = bytearray(b"\0"), []

def name(text):
    strings.extend(text + b"\0")
    return len(strings) - len(text) - 1

def add(text, kind, last, more=b""):
    types.append(struct.pack("=III", name(text) if text else 0, kind, last) + more)
    return len(types)

def composite(text, size, *members):
    return add(text, 4 << 24 | len(members), size, b"".join(struct.pack("=III", name(n), t, 8 * at) for n, t, at in members))

def array(element, count):
    return add(b"", 3 << 24, 0, struct.pack("=III", element, number, count))

number = add(b"int", 1 << 24, 4, struct.pack("=I", 32))
each = number
for i in range(26):
    each = composite(b"twice%d" % i, 4 << i + 1, (b"a", each, 0), (b"b", each, 4 << i))
each = composite(b"empty", 0)
for i in range(26):
    each = composite(b"nothing%d" % i, 0, (b"a", each, 0), (b"b", each, 0))
composite(b"elements", 4, (b"a", number, 0), (b"b", array(array(number, 0), 0xffffffff), 4))
composite(b"twofold", 0, (b"a", array(array(array(number, 0), 300), 300), 0))
composite(b"some", 4, (b"a", number, 0), (b"b", array(array(number, 0), 3), 4))
composite(b"flexible", 4, (b"a", number, 0), (b"b", array(number, 0), 4))
composite(b"blank", 4, (b"a b", number, 0))
composite(b"escape", 4, (b"\x1b[2J", number, 0))
composite(b"digit", 4, (b"1a", number, 0))
choice = add(b"choice", 6 << 24 | 2, 4, struct.pack("=IiIi", name(b"one two"), 1, name(b"two"), 2))
composite(b"named", 8, (b"a.b", choice, 0), (b"c", choice, 4))
types = b"".join(types)
sys.stdout.buffer.write(struct.pack("=HBBIIIII", 0xeb9f, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings)
' >"$BATS_TEST_TMPDIR/large.btf"
	(
		ulimit -v 262144
		agree "$BATS_TEST_TMPDIR/large.btf" <<-'END'
			twice25 of OBJ | {} | error: read a type: it has more than 65536 members, names and empty elements
			nothing25 of OBJ | {} | error: read a type: it has more than 65536 members, names and empty elements
			flexible of OBJ | {a=1 b=[]} | pack("I", 1)
			elements of OBJ | {a=1 b=[]} | error: read a type: it has more than 65536 members, names and empty elements
			twofold of OBJ | {a=[]} | error: read a type: it has more than 65536 members, names and empty elements
			some of OBJ | {a=1 b=[[] [] []]} | pack("I", 1)
			blank of OBJ | {a=1} | error: read a member: the name 'a b' is no identifier
			escape of OBJ | {a=1} | error: read a member: the name '\x1b[2J' is no identifier
			digit of OBJ | {a=1} | error: read a member: the name '1a' is no identifier
			named of OBJ | {a.b=two c=1} | pack("II", 2, 1)
		END
	)
}

#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# The table that blocklist-load builds, without a kernel. Which addresses are listed, and how a list
# is written shortest, Python's ipaddress says.

# bats file_tags=kernel-free
load ../lib/helpers

TABLE=$BATS_TEST_DIRNAME/blocklist_table.py

setup_file() {
	make -C "$HOOKSET_ROOT" -s fixtures >/dev/null
	FIXTURE=$HOOKSET_BUILD/obj/tests/blocklist_table
	export FIXTURE
}

# agree: each line of standard input, "NAME | RANGE...", is a list. Its table has these ranges, no
# others, and the size that blocklist-load(8) says.
agree() {
	run -0 "$TABLE" lists "$FIXTURE"
	echo "$output"
	[[ $output == *" addresses: no difference" ]]
}

@test "blocklist table: nothing, one address, everything" {
	agree <<-END
		empty               |
		one IPv4            | 192.0.2.7
		one IPv6            | 2001:db8::7
		one of each         | 192.0.2.7 2001:db8::7
		all of IPv4         | 0.0.0.0/0
		all of IPv6         | ::/0
		all                 | 0.0.0.0/0 ::/0
		all of it in halves | 0.0.0.0/1 128.0.0.0/1 ::/1 8000::/1
		first of IPv4       | 0.0.0.0
		last of IPv4        | 255.255.255.255
		first and last      | 0.0.0.0 255.255.255.255
		all but the first   | 0.0.0.1-255.255.255.255
		all but the last    | 0.0.0.0-255.255.255.254
		first of IPv6       | ::
		last of IPv6        | ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
		first and last of 6 | :: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
		all but first of 6  | ::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
		all but last of 6   | ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe
	END
}

@test "blocklist table: IPv4: the borders of a /24, listed as a whole, in part, and by many ranges" {
	agree <<-END
		a /24                 | 198.51.100.0/24
		its first             | 198.51.100.0
		its last              | 198.51.100.255
		without its first     | 198.51.100.1-198.51.100.255
		without its last      | 198.51.100.0-198.51.100.254
		words of the leaf     | 198.51.100.63 198.51.100.64 198.51.100.127-198.51.100.128 198.51.100.192/26
		every second address  | $(printf '198.51.100.%s ' {0..254..2})
		two /24               | 198.51.100.0/23
		over a border         | 198.51.100.255-198.51.101.0
		part, whole, part     | 198.51.99.200-198.51.101.7
		part, whole           | 198.51.99.200-198.51.100.255
		whole, part           | 198.51.100.0-198.51.101.7
		both ends of a /24    | 198.51.100.0 198.51.100.255
		64 slots, all in part | $(printf '10.0.%s.7 ' {0..63})
		65 slots, all in part | $(printf '10.0.%s.7 ' {0..64})
		whole, part in turn   | $(printf '10.0.%s.0/24 ' {0..126..2}) $(printf '10.0.%s.1 ' {1..127..2})
		512 slots of a cell   | 10.0.0.0-10.1.255.254
		behind a long range   | 10.0.0.0/9 10.128.0.1 10.200.0.255-10.200.1.0
		an odd leaf           | 10.0.0.1 10.0.1.1 10.0.2.1
	END
}

@test "blocklist table: IPv6: the borders of a slot, a /26 of 2000::/3 or a /23 of the rest" {
	agree <<-END
		2000::/3             | 2000::/3
		before and in it     | 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-2000::
		in it and behind     | 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff-4000::
		its first, its last  | 2000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
		all around it        | ::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 4000::/2 8000::/1
		over it              | 1fff:ffff::-4000:0:ffff::
		all but its first    | ::-1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2000::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
		all but its last     | ::-3fff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 4000::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
		a /26                | 2001:db80::/26
		without its first    | 2001:db80::1-2001:dbbf:ffff:ffff:ffff:ffff:ffff:ffff
		without its last     | 2001:db80::-2001:dbbf:ffff:ffff:ffff:ffff:ffff:fffe
		the end of a /26     | 2001:dbbf:ffff:ffff:ffff:ffff:ffff:ffff
		over two /26         | 2001:dbbf:ffff:ffff:ffff:ffff:ffff:ffff-2001:dbc0::
		part, whole, part    | 2001:db70::-2001:dbc0::7
		a /23                | fd00::/23
		without its ends     | fd00::1-fd00:1ff:ffff:ffff:ffff:ffff:ffff:fffe
		over two /23         | fd00:1ff:ffff:ffff:ffff:ffff:ffff:ffff-fd00:200::
		all sizes, one slot  | $(printf '2001:db80:0:%x::/64 ' {0..30..2}) 2001:db81::/32 2001:db90::/28
		v4-mapped            | ::ffff:0:0/96 ::ffff:192.0.2.1
	END
}

@test "blocklist table: IPv6: one and many intervals in a slot, and the borders of buckets" {
	agree <<-END
		two addresses        | 2001:db8::1 2001:db8::3
		two, far apart       | 2001:db80:: 2001:dbbf:ffff:ffff:ffff:ffff:ffff:ffff
		two, of a /23        | fd00:: fd00:1ff:ffff:ffff:ffff:ffff:ffff:ffff
		its ends, and within | 2001:db80::/28 2001:db98::7 2001:dbb0::/28
		three                | 2001:db8::1 2001:db8::3 2001:db8::5
		every second         | $(printf '2001:db8::%x ' {0..510..2})
		every sixteenth      | $(printf '2001:db8::%x0 ' {0..255})
		at powers of two     | $(printf '2001:db8::%x ' 1 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384 32768)
		one behind each      | $(printf '2001:db8::%x ' 3 5 9 17 33 65 129 257 513 1025 2049 4097 8193 16385 32769)
		/64 with gaps        | $(printf '2001:db8:0:%x::/64 ' {0..1000..3})
		all but one in one   | $(printf '2001:db80::%x ' {0..1000..2}) 2001:dbbf:ffff:ffff:ffff:ffff:ffff:ffff
		all but one at last  | 2001:db80:: $(printf '2001:dbbf:ffff:ffff:ffff:ffff:ffff:%x ' {64000..65534..2})
		two slots of many    | $(printf '2001:db80::%x fd00::%x ' {1..40}{0,4}{,})
		many, one, many      | 2001:db80::1 2001:db80::3 2001:dbc0::1 2001:dc00::1 2001:dc00::9 2001:dc00::11
	END
}

@test "blocklist table: ranges that overlap, touch, come twice and in any order" {
	agree <<-END
		touching        | 10.0.0.0/25 10.0.0.128/25 10.0.1.0/24 2001:db8::/33 2001:db8:8000::/33
		one in another  | 10.0.0.0/8 10.1.0.0/16 10.1.2.3 2001:db8::/32 2001:db8::1
		twice           | 10.0.0.1 10.0.0.1 2001:db8::1 2001:db8::1
		backwards       | 10.0.0.9 10.0.0.7 10.0.0.5 fd00::9 fd00::7 2001:db8::7 ::1
		overlapping     | 10.0.0.5-10.0.3.7 10.0.2.9-10.0.9.0 10.0.9.1
		at the very end | 255.255.255.254 255.255.255.255 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127
	END
}

@test "blocklist table: random lists" {
	local seed=$RANDOM lists=$((60 / ${HOOKSET_PATIENCE:-1}))
	run -0 "$TABLE" random "$FIXTURE" "$seed" "$lists"
	echo "seed $seed: $output"
	[[ $output == "$lists lists of "*" addresses: no difference" ]]
}

@test "blocklist table: the largest list of IPv4: a part of each /24" {
	# A head, 6 MiB, and half a cell for each.
	run -0 "$FIXTURE" largest
	[ "$output" -eq $((1 + 3 * 2 ** 15 + 2 ** 24 / 2)) ]
}

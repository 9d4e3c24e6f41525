#!/usr/bin/env bats
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
# make bench: what it prints and writes, not how fast anything is. All is measured once, and
# as little of it as can be.
# shellcheck disable=SC2016 # the shell in the container expands it

# It loads each object: echo_dispatch, xdp_blocklist.
# It tests what is printed of a measurement, not the kernel that is measured.
# bats file_tags=kernel-free
load ../lib/helpers

export MS=5000 PACKETS=20000 RUNS=100000 PROCESSES=2 PINGS=20 CIDRS=100 CONNECTIONS=20

# bench ARGUMENT...: `make bench`, of the suite's own copy of the tree.
bench() {
	make -C "$HOOKSET_ROOT" --no-print-directory bench "$@"
}

# check PYTHON: it holds of `bench`, what is in build/bench.json; `rows` is all of its rows.
check() {
	/usr/bin/python3 -c '
import json, statistics, sys
bench = json.load(open(sys.argv[1]))
sections = [section for group in bench["groups"] for section in group["sections"]]
rows = [row for section in sections for row in section["rows"]]
exec(sys.argv[2])' "$HOOKSET_BUILD/bench.json" "$1"
}

# nothing_left: no process of a benchmark, and no cgroup.
nothing_left() {
	! grep -qzs '^HOOKSET_BENCH=' /proc/[0-9]*/environ || return 1
	unshare --mount sh -euc 'mount -t cgroup2 hookset-test "$1"
		! ls -d "$1"/hookset-bench*' - "$BPFFS"
}

@test "bench: each row of each group has a value, or says why not; all of it is in build/bench.json" {
	requires root
	run -0 --separate-stderr bench ROUNDS=1
	check '
import os
groups = [name[:-3] for name in sorted(os.listdir(os.path.dirname(sys.argv[1]) + "/../tests/bench/groups")) if name.endswith(".py")]
assert [group["name"] for group in bench["groups"]] == groups != [], groups
for key in "machine cores kernel clang ip bpftool libbpf nft iptables ipset xdp-tools".split():
    assert bench["head"][key], key
for row in rows:
    if "note" in row:
        assert row["note"].startswith(("missing: ", "not in this kernel: ", "not here: ")), row
        print("#", row["name"], row["note"], file=sys.stderr)
    else:
        for name, column in row["columns"].items():
            if "note" in column:
                assert name == "instructions" and column["note"].startswith("not here: "), row
            else:
                assert 0 < column["median"] == column["least"] == column["most"] or column["median"] == 0, row
assert any("columns" in row for row in rows), rows'
	# The table has them all, each with its numbers or its reason.
	check '
for section in sections:
    for row in section["rows"]:
        print(row["name"])' | sort >"$BATS_TEST_TMPDIR/rows"
	grep '^|' <<<"$output" | grep -v '^|-' | sed 's/^| //; s/ *|.*//' | sort >"$BATS_TEST_TMPDIR/table"
	run -0 comm -23 "$BATS_TEST_TMPDIR/rows" "$BATS_TEST_TMPDIR/table"
	[ "$output" = "" ]
	# And so has the picture, written as they are.
	if command -v gnuplot >/dev/null; then
		check '
import xml.etree.ElementTree as xml
for group in bench["groups"]:
    drawn = {text.text for text in xml.parse(sys.argv[1].replace(".json", "-" + group["name"] + ".svg")).iter("{http://www.w3.org/2000/svg}text")}
    for section in group["sections"]:
        assert {section["title"], *(row["name"] for row in section["rows"])} <= drawn, drawn
        assert section["unit"] + (", less is better" if section["less"] else "") in drawn, drawn'
	fi
	nothing_left
}

@test "bench: ratios are of the same round, and say how many times as fast ours is" {
	local what
	requires root
	for what in "GROUP=edit" "GROUP=drop ROWS=native"; do
		# shellcheck disable=SC2086 # two variables
		run -0 --separate-stderr bench ROUNDS=3 $what
		check '
compared = 0
for section in sections:
    ours = section["rows"][0].get("columns", {}).get(section["unit"])
    for row in section["rows"][1:]:
        if "ratio" not in row:
            continue
        theirs = row["columns"][section["unit"]]["values"]
        assert len(theirs) == 3, row
        low, median, high = sorted(b / a if section["unit"] == "s" else a / b
                                   for a, b in zip(ours["values"], theirs))
        ratio = row["ratio"]
        assert (ratio["least"], ratio["median"], ratio["most"]) == (low, median, high), row
        assert row["goal"] is None or row["reached"] == (median >= row["goal"]), row
        compared += 1
assert compared >= 2 or all("note" in row for row in rows), rows'
	done
}

@test "bench: a peer that is missing is said so in its row, with its package" {
	local dir=$BATS_TEST_TMPDIR/bin
	requires root
	mkdir "$dir"
	find /usr/bin /usr/sbin -maxdepth 1 ! -name nft ! -name iptables ! -name ipset ! -name xdp-filter \
		! -name gnuplot -exec ln -sf -t "$dir" {} +
	run -0 --separate-stderr env PATH="$dir" make -C "$HOOKSET_ROOT" bench GROUP=drop ROUNDS=1
	[ "$(grep -cE '^\| (nft|iptables|xdp-filter)[^|]*\| missing: (nftables|iptables|xdp-tools) +\|' <<<"$output")" -eq 6 ]
	[[ $output == *"nft missing"*"No plot: gnuplot is missing (package gnuplot-nox)."* ]]
	[[ $output == *"| xdp_drop.o, native "* ]]
	run -0 --separate-stderr env PATH="$dir" make -C "$HOOKSET_ROOT" bench GROUP=lists ROUNDS=1 ROWS=ipset
	[ "$(grep -cE '^\| (iptables raw, ipset|ipset restore)[^|]*\| missing: ipset +\|' <<<"$output")" -eq 6 ]
}

@test "bench: a filter that does not filter, or filters too much, fails its row" {
	local what row
	requires root
	for what in xdp_pass.bpf.o bench/only_drop.bpf.o; do
		cp "$HOOKSET_BUILD/xdp_drop.o" "$BATS_TEST_TMPDIR/right.o"
		cp "$HOOKSET_BUILD/$what" "$HOOKSET_BUILD/xdp_drop.o"
		run --separate-stderr env ROUNDS=1 ROWS="xdp_drop.o, native" "$HOOKSET_ROOT/tests/bench/run" drop
		mv "$BATS_TEST_TMPDIR/right.o" "$HOOKSET_BUILD/xdp_drop.o"
		[[ $output != *"| not in this kernel: live frames"* ]] || skip "this kernel has no live frames"
		[ "$status" -eq 1 ]
		row=$(grep '^xdp_drop.o, native: FAILED: ' <<<"$output")
		case $what in
		xdp_pass*) [[ $row =~ "of "([0-9]+)" packets to port 8080 "([0-9]+)" got through"$ ]] ;;
		*) [[ $row == *"of 1000 packets to port 8081 0 got through" ]] ;;
		esac
	done
}

@test "bench: a list that is not loaded, or drops too much, fails its rows" {
	local what row flood verdict right=$BATS_TEST_TMPDIR/right
	requires root
	row="xdp_blocklist, $CIDRS"
	mkdir "$right"
	for what in xdp_blocklist.bpf.o bench/only_drop.bpf.o; do
		case $what in
		xdp_blocklist*) flood='of ([0-9]+) packets from listed addresses \1 got through' verdict='2, not 1' ;;
		*) flood='of [0-9]+ packets from addresses that are not listed 0 got through' verdict='1, not 2' ;;
		esac
		cp -t "$right" "$HOOKSET_BUILD/blocklist-load" "$HOOKSET_BUILD/xdp_blocklist.bpf.o"
		cp "$(type -P true)" "$HOOKSET_BUILD/blocklist-load"
		[ "$what" = xdp_blocklist.bpf.o ] || cp "$HOOKSET_BUILD/$what" "$HOOKSET_BUILD/xdp_blocklist.bpf.o"
		run --separate-stderr env ROUNDS=1 ROWS="$row" "$HOOKSET_ROOT/tests/bench/run" lists
		cp -t "$HOOKSET_BUILD" "$right"/*
		[ "$status" -eq 1 ]
		[ "$(grep -cE "^$row: FAILED: $flood$|^\| $row +\| not in this kernel: live frames" <<<"$output")" -eq 2 ]
		[ "$(grep -cE "^\| $row +\| FAILED: the verdict is $verdict +\|" <<<"$output")" -eq 2 ]
	done
}

@test "bench: interrupted, killed, or hung up, it leaves nothing behind" {
	local signal
	requires root
	measuring() {
		grep -q 'round 1' "$OUT.err"
	}
	for signal in INT TERM HUP KILL; do
		start env --default-signal=INT MS=60000 PACKETS=1000000000 "$HOOKSET_ROOT/tests/bench/run" drop
		poll 20 measuring
		poll 20 grep -qzs "^HOOKSET_BENCH=hookset-bench-$PID$" /proc/[0-9]*/environ
		kill -"$signal" "$PID"
		wait "$PID" || true
		poll 20 nothing_left
	done
}

@test "bench: wrong usage" {
	fails 1 "bench: no group 'nothing', but $(basename -s .py "$HOOKSET_ROOT"/tests/bench/groups/*.py |
		paste -sd , | sed 's/,/, /g')" "$HOOKSET_ROOT/tests/bench/run" nothing
	fails 1 "bench: make network namespaces: not root" as_user "$HOOKSET_ROOT/tests/bench/run"
}

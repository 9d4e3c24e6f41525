#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The helpers as whole processes, beside the nearest thing that bpftool or ip can do."""
import functools
import json
import pathlib
import re
import subprocess

from lab import BUILD, CPU, OURS, PINS, PROCESSES, Row, Section, Wire, Wrong, first, load, need, run
from groups.dispatch import SERVER, serving
from groups.programs import PING, ethernet, ip4

TITLE = "The helpers, as whole processes"
MAP_SHOW = "bpftool map show id N"


def info(kind, pin):
    return json.loads(run(["bpftool", "-j", kind, "show", "pinned", pin]))


def measure(set_up):
    """`set_up(wire)` returns the command to measure, in which %d is the number of its run."""
    def measured():
        with Wire() as wire:
            ms, kib = run(first([OURS / "times", PROCESSES, *set_up(wire)], CPU), "far").split()
        return {"ms": float(ms), "peak KiB": float(kib)}
    return measured


def detect_ping(wire):
    return load(BUILD / "detect_ping.bpf.o")


def map_show(wire):
    return "bpftool", "map", "show", "id", info("map", detect_ping(wire).with_name("ping_hash"))["id"]


def map_pin(wire):
    return BUILD / "map-pin", "map", info("map", detect_ping(wire).with_name("ping_hash"))["id"], PINS / "pin%d"


def bpftool_map_pin(wire):
    return "bpftool", "map", "pin", "id", info("map", detect_ping(wire).with_name("ping_hash"))["id"], PINS / "pin%d"


def map_edit(wire):
    return BUILD / "map-edit", detect_ping(wire).with_name("ping_hash"), "add", "192.0.2.1=1"


def bpftool_map_update(wire):
    return ("bpftool", "map", "update", "pinned", detect_ping(wire).with_name("ping_hash"),
            *"key 192 0 2 1 value 1 0 0 0".split())


def blocklist_load(wire):
    return BUILD / "blocklist-load", load(BUILD / "xdp_blocklist.bpf.o").parent, "stats"


def bpftool_map_dump(wire):
    return "bpftool", "map", "dump", "pinned", load(BUILD / "xdp_blocklist.bpf.o").with_name("block_stats")


def prog_load(wire):
    return BUILD / "prog-load", BUILD / "xdp_drop.bpf.o", PINS / "pin%d"


def bpftool_prog_load(wire):
    return "bpftool", "prog", "load", BUILD / "xdp_drop.bpf.o", PINS / "pin%d"


def attached(wire):
    prog = load(BUILD / "xdp_drop.o")
    wire.far(["ip", "link", "set", "veth0", "xdpdrv", "pinned", prog])
    return prog


def xdp_attach(wire):
    prog = attached(wire)
    return BUILD / "xdp-attach", "--expect", prog, "veth0", prog


def bpftool_net_attach(wire):
    return "bpftool", "net", "attach", "xdpdrv", "pinned", attached(wire), "dev", "veth0", "overwrite"


def ip_link_set(wire):
    return "ip", "-force", "link", "set", "veth0", "xdpdrv", "pinned", attached(wire)


def ringbuf_read(wire):
    prog = detect_ping(wire)
    run([OURS / "runs", prog, ethernet(0x0800, ip4(1, PING)).hex(), PROCESSES])
    return BUILD / "ringbuf-read", "--count=1", prog.with_name("ringbuf")


def sk_lookup_attach(wire):
    prog = load(BUILD / "echo_dispatch.bpf.o")
    wire.far([BUILD / "sk-lookup-attach", prog, prog.with_name("link")])
    return BUILD / "sk-lookup-attach", "--replace", prog, prog.with_name("link")


def sockmap_update():
    with Wire(), serving([SERVER]) as server:
        echo_socket = load(BUILD / "echo_dispatch.bpf.o").with_name("echo_socket")
        ms, kib = run(first([OURS / "times", PROCESSES, BUILD / "sockmap-update", server.pid, 4, echo_socket], CPU),
                      "far").split()
    return {"ms": float(ms), "peak KiB": float(kib)}


def section(helper, ours, *nearest):
    return Section(helper, "ms", [
        Row(helper, ours),
        *(Row(name, measure(set_up)) for name, set_up in nearest),
        Row(MAP_SHOW, measure(map_show), goal=1),
    ], less=True)


def start_up(command):
    """What it executes before it does anything; the same each time."""
    @functools.cache
    def measured():
        need("valgrind", "valgrind")
        said = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
                              capture_output=True, text=True)
        counted = re.search(r"Collected : (\d+)", said.stderr)
        if said.returncode or not counted:
            raise Wrong(said.stderr.strip().splitlines()[-1])
        return int(counted[1]) / 1000
    return measured


HELPERS = sorted(path.stem for path in pathlib.Path("tools").glob("*.cc"))

SECTIONS = [
    section("map-pin map", measure(map_pin), ("bpftool map pin", bpftool_map_pin)),
    section("map-edit add", measure(map_edit), ("bpftool map update", bpftool_map_update)),
    section("blocklist-load stats", measure(blocklist_load), ("bpftool map dump", bpftool_map_dump)),
    section("prog-load", measure(prog_load), ("bpftool prog load", bpftool_prog_load)),
    section("xdp-attach --expect", measure(xdp_attach), ("bpftool net attach overwrite", bpftool_net_attach),
            ("ip -force link set xdp", ip_link_set)),
    section("ringbuf-read --count=1", measure(ringbuf_read)),
    section("sk-lookup-attach --replace", measure(sk_lookup_attach)),
    section("sockmap-update", sockmap_update),
    Section("Start-up: --version", "1000 instructions", [
        *(Row(name, start_up([str(BUILD / name), "--version"])) for name in HELPERS),
        Row("bpftool", start_up(["bpftool", "version"])),
        Row("ip", start_up(["ip", "-V"])),
    ], less=True, compared=False),
]

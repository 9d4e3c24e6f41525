#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Load a long list of prefixes into a map: map-edit, beside bpftool's batch mode."""
import functools
import ipaddress
import pathlib
import random
import re
import time

from lab import BUILD, CIDRS, CPU, PINS, Row, Section, Wrong, first, pins, run

TITLE = f"Load {CIDRS:,} IPv4 prefixes into an LPM trie"
MAP = PINS / "prefixes"
LIST = pathlib.Path("/run/netns/list")  # a tmpfs of this run
BATCH = pathlib.Path("/run/netns/batch")


@functools.cache
def prefixes():
    """As many different ones, of 16 to 32 bits; the same each time."""
    chosen = random.Random(0)
    found = set()
    while len(found) < CIDRS:
        bits = chosen.randint(16, 32)
        found.add((chosen.getrandbits(bits) << 32 - bits, bits))
    return sorted(found)


def write_lists():
    if LIST.exists():
        return
    with LIST.open("w") as lines, BATCH.open("w") as batch:
        for address, bits in prefixes():
            lines.write(f"{ipaddress.ip_address(address)}/{bits}\n")
            key = " ".join(f"{byte:02x}" for byte in bits.to_bytes(4, "little") + address.to_bytes(4, "big"))
            batch.write(f"map update pinned {MAP} key hex {key} value hex 01\n")


def check():
    """What bpftool dumps of the map is the list."""
    dump = run(["bpftool", "map", "dump", "pinned", MAP])
    keys = [bytes.fromhex(key) for key in re.findall(r"^key: ((?:[0-9a-f]{2} ){8}) value: 01$", dump, re.M)]
    held = sorted((int.from_bytes(key[4:], "big"), int.from_bytes(key[:4], "little")) for key in keys)
    if held != prefixes():
        raise Wrong(f"the map holds {len(held)} prefixes, and they are not the list")


def measure(command, before=None):
    """Seconds; the first time it is made certain that the map then holds the list."""
    certain = []

    def measured():
        write_lists()
        with pins():
            # One more, since the trie of an old kernel takes no entry again when it is full.
            run(["bpftool", "map", "create", MAP, "type", "lpm_trie", "key", 8, "value", 1, "entries", CIDRS + 1,
                 "name", "prefixes", "flags", 1])
            if before:
                run(before)
            began = time.monotonic()
            run(first(command, CPU))
            took = time.monotonic() - began
            if not certain:
                check()
                certain.append(True)
        return took
    return measured


def map_edit(verb):
    return [BUILD / "map-edit", "--key", "cidr4", "--value", "u8", MAP, verb, LIST]


SECTIONS = [
    Section("Loaded into an empty map", "s", [
        Row("map-edit load", measure(map_edit("load"))),
        Row("map-edit sync", measure(map_edit("sync"))),
        Row("bpftool batch", measure(["bpftool", "batch", "file", BATCH]), goal=5),
    ], less=True),
    Section("Once more, when all of it is there", "s", [
        Row("map-edit sync", measure(map_edit("sync"), map_edit("load"))),
        Row("bpftool batch", measure(["bpftool", "batch", "file", BATCH], map_edit("load"))),
    ], less=True),
]

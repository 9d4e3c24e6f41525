#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Damage object files, and see how a command takes it.

damaged_objects.py SEED COUNT BPFFS OBJECT... -- COMMAND...: damage a copy of one of the objects,
COUNT times: some bytes of its BTF, of its section headers, symbols or relocations, or its end is
cut off. FILE in the COMMAND is the copy. The command succeeds, or says what is wrong in one line
(and what the verifier says follows, indented); it does not crash, and ends in time. What it has
made in BPFFS/new is removed.
"""
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

DAMAGED = [".BTF"] * 4 + [".BTF.ext", ".symtab", ".strtab", ".maps", ".relxdp", "headers", "headers"]


def sections(data):
    """Where each section is, and its size; "headers" are those of the sections."""
    table, = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    headers = [struct.unpack_from("<IIQQQQ", data, table + 64 * i) for i in range(count)]
    found = {"headers": (table, 64 * count)}
    for name, _, _, _, offset, size in headers:
        start = headers[names][4] + name
        found[data[start:data.index(b"\0", start)].decode()] = (offset, size)
    return found


def damage(data, rng):
    where = sections(data)
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        offset, size = where[rng.choice([name for name in DAMAGED if where.get(name, (0, 0))[1]])]
        at = offset + rng.randrange(size)
        data[at] = rng.choice((0, 1, 128, 255, rng.randrange(256), data[at] ^ 1 << rng.randrange(8)))
    if rng.random() < 0.05:
        del data[rng.randrange(len(data)):]
    return data


def main():
    seed, count, bpffs = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    split = sys.argv.index("--")
    objects = []
    for path in sys.argv[4:split]:
        with open(path, "rb") as file:
            objects.append(file.read())
    rng = random.Random(seed)
    statuses = {}
    with tempfile.NamedTemporaryFile(suffix=".o") as copy:
        for i in range(count):
            data = damage(rng.choice(objects), rng)
            with open(copy.name, "wb") as file:
                file.write(data)
            command = [copy.name if word == "FILE" else word for word in sys.argv[split + 1:]]
            run = subprocess.run(command, capture_output=True, timeout=60, check=False)
            lines = [line for line in run.stderr.splitlines() if not line.startswith(b"    ")]
            statuses[run.returncode] = statuses.get(run.returncode, 0) + 1
            if run.returncode not in (0, 1, 2) or (run.returncode == 1 and len(lines) != 1):
                kept = f"{copy.name}.{i}"
                shutil.copy(copy.name, kept)
                sys.exit(f"{command}: status {run.returncode}, {lines}: {kept}")
            new = os.path.join(bpffs, "new")
            if os.path.isdir(new):
                shutil.rmtree(new)
            elif os.path.exists(new):
                os.unlink(new)
    print(f"{count} objects, by exit status: {dict(sorted(statuses.items()))}")


main()

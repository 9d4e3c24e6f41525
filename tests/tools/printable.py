#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Give the helpers each byte from 0x01 to 0xff, and see what they write of it.

printable.py arguments TOOL DIR   the bytes are in each argument, in file names and in lines of lists
printable.py kernel TOOL DIR      the bytes are in names within an object file, which libbpf quotes

DIR has the pins map (a hash of u32 and u32), variables (those of xdp_drop), sockmap and prog (sk_lookup). Standard error has to be
printable ASCII, in whole lines, each with the tool's name or, below a usage error, "Try". Every byte
that is not printable has to appear as \\xNN: a tool that says nothing of it would pass otherwise.
"""
import os
import re
import subprocess
import sys

BYTES = range(0x01, 0x100)
CHUNK = 12  # bytes at a time: of a long word, a message quotes the beginning only
ESCAPES = {b for b in BYTES if not 0x20 <= b < 0x7F}

# Where the bytes go: @. {d} is DIR, {f} a list with @ in a line.
ARGUMENTS = {
    "blocklist-load": ["@", "{d}/@ load {f}", "{d} @", "{d} check @", "{d} check {f}", "{d} check --skip-bad {f}",
                       "{d} load {f}", "{d} dump @", "{d} reserve @", "{d} load --max-bad @ {f}",
                       "{d} load --max-shrink @ {f}", "--@", "-@", "--skip-bad=@"],
    "map-edit": ["@", "{d}/@ show", "{d}/map @", "{d}/map get @", "{d}/map add @", "{d}/map add 1=@", "{d}/map del @",
                 "{d}/map load @", "{d}/map load {f}", "{d}/map sync {f}", "{d}/map show @", "--key @ {d}/map show",
                 "--value @ {d}/map show", "--btf @ {d}/map show", "{d}/map sync --max-shrink @ {f}",
                 "{d}/variables get @", "{d}/variables add @=1", "{d}/variables add drop_port=@",
                 "{d}/variables sync {f}", "--@", "-@", "--json=@"],
    "map-pin": ["@", "@ 1 {d}/x", "dev @ {d}/x", "prog @ {d}/x", "link @ {d}/x", "map @ {d}/x", "prog {d}/prog /tmp/@",
                "prog {d}/prog {d}/no/@", "-m @ prog {d}/prog {d}/x", "-o @ prog {d}/prog {d}/x",
                "-o root:@ prog {d}/prog {d}/x", "-n @ dev lo {d}/x", "--@", "-@", "--mode=@", "prog 1 2 @"],
    "prog-load": ["@", "@ {d}/x", "{o} /tmp/@", "{o} {d}/no/@", "--type @ {o} {d}/x", "--section @ {o} {d}/x",
                  "--program @ {o} {d}/x", "--set @ {o} {d}/x", "--set @=1 {o} {d}/x", "--set drop_port=@ {k} {d}/x",
                  "--maps /tmp/@ {o} {d}/x", "-m @ {o} {d}/x", "-o @ {o} {d}/x", "-v @ {d}/x", "{f} {d}/x", "--@", "-@",
                  "{o} {d}/x @"],
    "ringbuf-read": ["@", "{d}/@", "--type @ {d}/map", "--btf @ {d}/map", "--count @ {d}/map", "--lost @ {d}/map",
                     "{d}/map @", "--@", "-@", "--hex=@"],
    "sk-lookup-attach": ["@", "@ {d}/x", "{d}/@ {d}/x", "{d}/prog /tmp/@", "{d}/prog {d}/no/@", "-n @ {d}/prog {d}/x",
                         "-r {d}/prog {d}/@", "-r --expect @ {d}/prog {d}/x", "--@", "-@", "a b @"],
    "sockmap-update": ["@", "@ 1 2", "1 @ {d}/sockmap", "1 1 {d}/@", "1 1 {d}/sockmap @", "--listen @ {d}/sockmap",
                       "--listen @:1:1 {d}/sockmap", "--listen tcp:@:1 {d}/sockmap", "--listen tcp:[@]:1 {d}/sockmap",
                       "--listen tcp:*:@ {d}/sockmap", "--listen tcp:*%@:1 {d}/sockmap", "--cookie @ {d}/sockmap",
                       "--listen-fds=@ {d}/sockmap", "-n @ 1 1 {d}/sockmap", "--@", "-@", "1 1 {d}/sockmap 0 @"],
    "xdp-attach": ["@", "@ {d}/prog", "lo {d}/@", "lo @", "--mode @ lo {d}/prog", "--expect @ lo {d}/prog",
                   "--link /tmp/@ lo {d}/prog", "-n @ lo {d}/prog", "--detach @", "--@", "-@", "--detach=@", "lo 1 @"],
}  # fmt: skip


def check(tool, args, errors):
    """What is wrong with this standard error, or nothing."""
    bad = sorted({b for b in errors if not (0x20 <= b < 0x7F or b == 0x0A)})
    if bad:
        return f"raw bytes {bytes(bad)}"
    lines = errors.decode().splitlines()
    if errors and not errors.endswith(b"\n"):
        return "not whole lines"
    stray = [line for line in lines if not line.startswith((f"{tool}: ", f"Try '{tool} --help'"))]
    return f"stray lines {stray}" if stray else None


def run(tool, args, directory, prefix=b""):
    return subprocess.run([prefix + tool.encode(), *args], cwd=directory, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=20)  # fmt: skip


def fill(template, text, directory, listed):
    fixed = {b"{d}": os.fsencode(directory), b"{f}": os.fsencode(listed), b"{o}": os.fsencode(OBJECT),
             b"{k}": os.fsencode(KNOB_OBJECT)}
    for word in template.encode().split():
        for name, value in fixed.items():
            word = word.replace(name, value)
        yield word.replace(b"@", text)


def arguments(tool, directory):
    scratch = os.environ["BATS_TEST_TMPDIR"]
    seen, runs, faults = set(), 0, []
    for template in ARGUMENTS[tool]:
        for first in range(BYTES.start, BYTES.stop, CHUNK):
            text = b"z" + bytes(b for b in range(first, min(first + CHUNK, BYTES.stop)) if b != ord("/"))
            listed = os.path.join(scratch, "list")
            with open(listed, "wb") as file:
                file.write(text + b"\n" + text[::-1] + b"\n")
            args = list(fill(template, text, directory, listed))
            result = run(tool, args, directory)
            runs += 1
            fault = check(tool, args, result.stderr)
            if result.returncode not in (0, 1, 2):
                fault = f"status {result.returncode}"
            if fault:
                faults.append(f"{tool} {args}: {fault}: {result.stderr}")
            seen |= {int(x, 16) for x in re.findall(rb"\\x([0-9a-f]{2})", result.stderr)}
    for fault in faults:
        print(fault)
    missing = ESCAPES - seen
    if missing:
        print(f"{tool}: never said: {bytes(sorted(missing))}")
    print(f"{tool}: {runs} runs, {len(faults)} faults, {len(seen)} bytes escaped")
    return not faults and not missing


def kernel(tool, directory):
    """An object file whose names have these bytes: libbpf and the verifier's log quote them."""
    with open(OBJECT, "rb") as file:
        good = file.read()
    faults = 0
    seen = set()
    path = os.path.join(os.environ["BATS_TEST_TMPDIR"], "object")
    # Of a section, a program and a map, each as long as the name that is there.
    for name in (b"sk_lookup", b"echo_dispatch", b"echo_ports"):
        for b in ESCAPES:
            with open(path, "wb") as file:
                file.write(good.replace(name + b"\0", name[:3] + bytes([b]) + name[4:] + b"\0"))
            result = run(tool, ["--verbose", path, os.path.join(directory, "x")], directory)
            bad = {c for c in result.stderr if not (0x20 <= c < 0x7F or c in b"\n\t")}
            if bad or result.returncode not in (0, 1, 2):
                faults += 1
                print(f"{name} with {bytes([b])}: status {result.returncode}: {result.stderr}")
            seen |= {int(x, 16) for x in re.findall(rb"\\x([0-9a-f]{2})", result.stderr)}
            if result.returncode == 0:
                os.unlink(os.path.join(directory, "x"))
    print(f"{tool}: {faults} faults, {len(seen)} bytes escaped")
    return not faults and seen >= ESCAPES - {0x0A, 0x09}


if __name__ == "__main__":
    OBJECT = os.path.join(os.environ["HOOKSET_BUILD"], "echo_dispatch.bpf.o")
    KNOB_OBJECT = os.path.join(os.environ["HOOKSET_BUILD"], "xdp_drop.bpf.o")
    sys.exit(not {"arguments": arguments, "kernel": kernel}[sys.argv[1]](*sys.argv[2:]))

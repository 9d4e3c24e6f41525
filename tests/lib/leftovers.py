#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What a run of the suite has left on the machine.

    leftovers.py before FILE    write to FILE what is there
    leftovers.py after FILE     print what is there now, was not, and is the suite's; exit with 1
                                if anything is still so after ten seconds

The machine may be others' as well: their programs, maps and links come and go meanwhile. So the
suite marks its own with HOOKSET_SUITE, a few random characters: processes have it in their
environment, or "-MARK" in their command line, their binary's path or their directory; namespaces
and bpffs mounts have "-MARK" in their names. A BPF object has no place for a mark. One that is new is not the suite's if something of
somebody else holds it: a process, a pin, a network device, a cgroup, or an object that is not the
suite's. What nobody seems to hold, the suite has left.
"""
import glob
import json
import os
import re
import subprocess
import sys
import time

MARK = "-" + os.environ["HOOKSET_SUITE"]
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = ["prog", "map", "link"]
SECONDS = 10  # the kernel frees programs, maps and namespaces after a grace period
HOLDERS = {"array_of_maps": "map", "hash_of_maps": "map", "prog_array": "prog"}


def output(*command):
    """What the command prints, or "" if it fails: what is asked about may be gone by now."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def bpftool(*args):
    try:
        return json.loads(output("bpftool", "-j", *args))
    except ValueError:
        return []


def read(path):
    try:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def link_of(path):
    try:
        return os.readlink(path)
    except OSError:
        return ""


def objects(*options):
    return {(kind, o["id"]): o for kind in KINDS for o in bpftool(*options, kind, "show") if "id" in o}


def devices():
    return {line.split(": ")[1].split("@")[0] for line in output("ip", "-o", "link", "show").splitlines()}


def is_used_by_tests(device):
    """Whether a test names such a device: those that others make have names of their own."""
    return subprocess.run(["grep", "-rqwF", device, TESTS]).returncode == 0


def processes():
    """(pid, whether it is the suite's) of each process but this one and its parents."""
    parents, pid = set(), os.getpid()
    while pid:
        parents.add(pid)
        pid = int(re.search(r"PPid:\s*(\d+)", read(f"/proc/{pid}/status"))[1])
    for path in glob.glob("/proc/[0-9]*"):
        pid = int(path[6:])
        if pid not in parents:
            paths = read(f"{path}/cmdline") + link_of(f"{path}/exe") + link_of(f"{path}/cwd")
            yield pid, MARK in paths or f"HOOKSET_SUITE={MARK[1:]}\0" in read(f"{path}/environ")


def attached_in(namespace):
    return {("prog", int(found)) for found in re.findall(r'"(?:prog_)?id":(\d+)', output(
        "nsenter", f"--net={namespace}", "bpftool", "-j", "net", "show"))}  # fmt: skip


def shown_in(namespace, kind):
    """The objects of this kind, with their pins in this mount namespace."""
    try:
        shown = json.loads(output("nsenter", f"--mount={namespace}", "bpftool", "-j", "-f", kind, "show"))
    except ValueError:
        return []
    return [it for it in shown if "id" in it] if isinstance(shown, list) else []


def is_pinned_by_others(it):
    pins = it.get("pinned", [])
    return bool(pins) and not any(MARK in pin for pin in pins)


def held_by_others():
    """(kind, id) of each object that something of somebody else holds."""
    held, namespaces, mounts = set(), {}, {}
    own = os.stat("/proc/self/ns/net").st_ino
    for pid, ours in processes():
        if ours:
            continue
        for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
            held.update((kind, int(number)) for kind, number in
                        re.findall(r"^(prog|map|link)_id:\s*(\d+)$", read(path), re.M))  # fmt: skip
        namespaces[link_of(f"/proc/{pid}/ns/net")] = f"/proc/{pid}/ns/net"
        mounts[link_of(f"/proc/{pid}/ns/mnt")] = f"/proc/{pid}/ns/mnt"
    namespaces.update((path, path) for path in glob.glob("/run/netns/*") if MARK not in path)
    for namespace in namespaces.values():
        try:
            if os.stat(namespace).st_ino != own:
                held |= attached_in(namespace)
        except OSError:
            pass
    for group in bpftool("cgroup", "tree"):
        if "hookset" not in group.get("cgroup", ""):
            held.update(("prog", program["id"]) for program in group.get("programs", []))

    known = objects("-f")
    held.update(key for key, it in known.items() if is_pinned_by_others(it))
    # Each suite has mounts of its own, and so have others: their pins are seen only there.
    mounts.pop(link_of("/proc/self/ns/mnt"), None)
    for namespace in mounts.values():
        for kind in KINDS:
            held.update((kind, it["id"]) for it in shown_in(namespace, kind) if is_pinned_by_others(it))
    # What these hold, they hold too.
    waiting = list(held)
    while waiting:
        kind, number = waiting.pop()
        it = known.get((kind, number), {})
        inner = [("map", i) for i in it.get("map_ids", [])]
        if kind == "link" and "prog_id" in it:
            inner.append(("prog", it["prog_id"]))
        if kind == "map" and it.get("type") in HOLDERS:
            entries = bpftool("map", "dump", "id", str(number))
            # Where it has gone meanwhile, {"error": ...}.
            for entry in entries if isinstance(entries, list) else []:
                value = entry.get("value")
                if isinstance(value, list):
                    value = int.from_bytes([int(byte, 16) for byte in value], sys.byteorder)
                inner.append((HOLDERS[it["type"]], value or entry.get("inner_map_id")))
        waiting += set(inner) - held
        held.update(inner)
    return held


def left(before):
    """Of each kind what is there that was not: {what it is: a line that says it}."""
    found = {}
    for name in map(os.path.basename, glob.glob("/run/netns/*")):
        if MARK in name:
            found["netns", name] = f"netns {name}"
    for line in read("/proc/self/mounts").splitlines():
        source, where, kind = line.split()[:3]
        if kind == "bpf" and (MARK in source or MARK in where):
            found["bpffs", where] = f"bpffs {where}"
    for name in devices() - set(before["devices"]):
        if is_used_by_tests(name):
            found["device", name] = f"device {name}"
    for pid, ours in processes():
        if ours:
            command = read(f"/proc/{pid}/cmdline").replace("\0", " ")
            if command:  # else it has ended
                found["process", pid] = f"process {pid}: {command}"
    new = {key: o for key, o in objects().items() if list(key) not in before["objects"]}
    if new:
        others = held_by_others()
        for key, o in new.items():
            if key not in others:
                found[key] = f"{key[0]} {key[1]} {o.get('type')} {o.get('name', '')}"
    return found


def main():
    what, path = sys.argv[1:]
    if what == "before":
        with open(path, "w", encoding="ascii") as file:
            json.dump({"objects": list(objects()), "devices": list(devices())}, file)
        return 0
    with open(path, encoding="ascii") as file:
        before = json.load(file)
    deadline, found = time.monotonic() + SECONDS, left(before)
    while found and time.monotonic() < deadline:
        time.sleep(0.2)
        # What is gone was no leftover, and what others have made since is none.
        found = {key: line for key, line in left(before).items() if key in found}
    if found:
        print("left behind by the suite:", *sorted(found.values()), sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())

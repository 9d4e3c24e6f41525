#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the groups measure with: two hosts on a wire, floods, and the kernel's own counters.

All of it is in the namespaces that `run` has made: nothing can be left behind.
"""
import contextlib
import dataclasses
import ipaddress
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable

BUILD = pathlib.Path("build")  # `run` works in the project's directory
OURS = BUILD / "bench"  # what tests/bench/ is built into
PINS = pathlib.Path("/sys/fs/bpf")  # a bpffs of this run
CPU = 0  # where floods are made and received
READER_CPU = min(1, os.cpu_count() - 1)  # where events are read

MS = int(os.environ.get("MS", 500))  # how long a flood lasts at most
PACKETS = int(os.environ.get("PACKETS", 100_000_000))  # and of how many packets it is

CONNECTIONS = int(os.environ.get("CONNECTIONS", 1_000_000))
RUNS = int(os.environ.get("RUNS", 1_000_000))  # of a program alone
PROCESSES = int(os.environ.get("PROCESSES", 50))  # of a tool
CIDRS = int(os.environ.get("CIDRS", 1_000_000))  # of a list, and the firewall takes 2^20
PINGS = int(os.environ.get("PINGS", 1000))  # at a low rate

SOURCES = ipaddress.ip_network("198.18.0.0/15")  # RFC 2544: for benchmarks
MAC = {"near": "02:00:00:00:00:01", "far": "02:00:00:00:00:02"}
ADDRESS = {"near": "10.9.0.1", "far": "10.9.0.2"}
NEAR6, FAR6 = "fd10:9::1", "fd10:9::2"
CONTROLS = 1000  # packets that every filter must let through


@dataclasses.dataclass
class Row:
    """Something that is measured: measure() returns a number, or a number and further columns."""
    name: str
    measure: Callable
    goal: float | None = None  # how many times as fast as this the first row has to be


@dataclasses.dataclass
class Section:
    """What is compared: the first row, ours, with all others."""
    title: str
    unit: str
    rows: list[Row]
    less: bool = False  # the less, the better
    compared: bool = True


class Missing(Exception):
    """The row cannot be measured here, and why."""


class Wrong(Exception):
    """What was measured does not do what it should; or a command has failed, which `said` why."""

    def __init__(self, text, said=None):
        super().__init__(text)
        self.said = said or text


def run(command, where=None, stdin=None):
    """Run a command line, in the netns `where`. Returns what it says."""
    argv = shlex.split(command) if isinstance(command, str) else [str(arg) for arg in command]
    if where:
        argv = ["nsenter", f"--net=/run/netns/{where}", *argv]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing"]
        raise Wrong(f"{shlex.join(argv)}: {done.returncode}: {said[-1]}", said[-1])
    return done.stdout


def first(command, cpu):
    """The command line to run this on that CPU, before all else that wants to run there."""
    return [str(word) for word in ("chrt", "-f", 1, "taskset", "-c", cpu, *command)]


def poll(get, expected, seconds=2):
    """Wait until get() returns what is expected. Returns what it returned last."""
    deadline = time.monotonic() + seconds
    while (got := get()) != expected and time.monotonic() < deadline:
        time.sleep(0.01)
    return got


@contextlib.contextmanager
def optional():
    """What is not ours may be impossible on this machine: the row then says why."""
    try:
        yield
    except Wrong as why:
        raise Missing(f"not here: {why.said}") from why


def need(command, package):
    """Where the command is missing, the row says which package has it."""
    if not shutil.which(command):
        raise Missing(f"missing: {package}")


_numbers = itertools.count()


def load(obj, *args):
    """Load an object's program by prog-load. Returns its pin, beside which are those of its maps."""
    pin = PINS / str(next(_numbers)) / "prog"
    pin.parent.mkdir()
    run([BUILD / "prog-load", "--maps", pin.parent, *args, obj, pin])
    return pin


@contextlib.contextmanager
def mounted(kind, where=pathlib.Path("/run/netns/mounted")):
    """A file system of this kind, mounted for a while."""
    where.mkdir(exist_ok=True)
    run(["mount", "-t", kind, "hookset-bench", where])
    try:
        yield where
    finally:
        run(["umount", where])


def pins():
    """A bpffs at PINS: all that is pinned meanwhile ends with it."""
    return mounted("bpf", PINS)


# ---- frames


def _words(data):
    return sum(struct.unpack(f"={len(data) // 2}H", data))


def frame(protocol, payload, port=0, spread=False, v6=False):
    """An Ethernet frame with IPv4 or IPv6 to the far host, and the variables of flood.bpf.c for it.

    In the frame source address, ports, and checksums of the IPv4, TCP and UDP headers are 0.
    """
    daddr = ipaddress.ip_address(FAR6 if v6 else ADDRESS["far"]).packed
    if v6:
        header = struct.pack("!IHBB16x16s", 6 << 28, len(payload), protocol, 64, daddr)
    else:
        header = struct.pack("!BBHHHBBH4x4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, daddr)
    ethernet = bytes.fromhex((MAC["far"] + MAC["near"]).replace(":", "") + ("86dd" if v6 else "0800"))
    pseudo = daddr + struct.pack("!HH", protocol, len(payload))
    return ethernet + header + payload, {
        "v6": str(v6).lower(),
        "network": int.from_bytes(SOURCES.network_address.packed, sys.byteorder),
        "hosts": int.from_bytes(SOURCES.hostmask.packed, sys.byteorder),
        "port": port,
        "spread": str(spread).lower(),
        "ip_sum": _words(header),
        "transport_sum": _words(pseudo + payload),
    }


def syn(port, spread=False, v6=False):
    """To this TCP port; or, if it is spread, to any of 1024 beginning with it, in steps of 8."""
    return frame(6, struct.pack("!4xIIHHHH", 1, 0, 5 << 12 | 2, 64240, 0, 0), port, spread, v6)


def datagram(port, spread=False, v6=False):
    """UDP, of a few bytes, to this port; or spread as syn() does it."""
    payload = b"hookset!"
    return frame(17, struct.pack("!4xHxx", 8 + len(payload)) + payload, port, spread, v6)


def echo_request():
    payload = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + bytes(48)
    checksum = _words(payload)
    checksum = ~((checksum & 0xffff) + (checksum >> 16)) & 0xffff
    return frame(1, payload[:2] + struct.pack("=H", checksum) + payload[4:])


def load_flood(frame, sources=None, **settings):
    """Load flood.bpf.o, to send this frame. Returns the frame's bytes, and the program's pin."""
    data, variables = frame
    variables = variables | settings
    if sources:
        variables["listed"] = sources.stat().st_size // (16 if variables["v6"] == "true" else 4)
    prog = load(OURS / "flood.bpf.o",
                *(word for name, value in variables.items() for word in ("--set", f"{name}={value}")))
    if sources:
        run([OURS / "fill", prog.with_name("sources"), sources])
    return data, prog


# ---- two hosts


class Wire:
    """The hosts "near", which sends, and "far", which receives, on both ends of a veth pair.

    Frames are taken at the far end by NAPI, as from a network card; what comes back is dropped
    at the near end. What is set up on them, and all that is pinned meanwhile, ends with them.
    IPv6 has only the far one, if it is asked for: so nothing is sent to it but floods. join6() gives
    it a way back, and the near one its address.
    """

    def __init__(self, v6=False):
        self.v6 = v6

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(pins())
            for host in MAC:
                run(f"ip netns add {host}")
                stack.callback(run, f"ip netns del {host}")
            self.set_up()
            self.tidy = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self.tidy.close()

    def set_up(self):
        need("ethtool", "ethtool")
        run(f"ip -n near link add veth0 address {MAC['near']} type veth "
            f"peer name veth0 address {MAC['far']} netns far")
        for host, other in (("near", "far"), ("far", "near")):
            run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.conf.all.rp_filter=0 "
                "net.ipv4.conf.veth0.rp_filter=0", host)
            run(f"ip -n {host} -batch -", stdin=f"""
                link set lo up
                address add {ADDRESS[host]}/24 dev veth0
                link set veth0 up
                neighbour replace {ADDRESS[other]} lladdr {MAC[other]} dev veth0
                route add default via {ADDRESS[other]}
                """)
        run("ethtool -K veth0 gro on", "far")
        if self.v6:
            with optional():
                run("sysctl -qw net.ipv6.conf.veth0.disable_ipv6=0", "far")
                run(f"ip -n far address add {FAR6}/64 dev veth0 nodad")
        self.near(["ip", "link", "set", "veth0", "xdpdrv", "obj", OURS / "only_drop.bpf.o", "sec", "xdp"])

    def join6(self, hosts):
        """These hosts have IPv6, and a route to all others by the other one."""
        ends = {"near": (NEAR6, FAR6, MAC["far"]), "far": (FAR6, NEAR6, MAC["near"])}
        for host in hosts:
            own, other, lladdr = ends[host]
            with optional():
                run("sysctl -qw net.ipv6.conf.veth0.disable_ipv6=0 net.ipv6.conf.lo.disable_ipv6=0", host)
                run(f"ip -n {host} -6 -batch -", stdin=f"""
                    address replace {own}/64 dev veth0 nodad
                    neighbour replace {other} lladdr {lladdr} dev veth0
                    route replace default via {other} dev veth0
                    """)

    def far(self, command, stdin=None):
        return run(command, "far", stdin)

    def near(self, command, stdin=None):
        return run(command, "near", stdin)

    def received(self):
        """How many packets have come in by the far end, whatever became of them."""
        return json.loads(run("ip -n far -j -s link show veth0"))[0]["stats64"]["rx"]["packets"]

    def snmp(self, protocol, counter):
        """A counter of the far host's own network stack."""
        text = self.far("cat /proc/net/snmp /proc/net/netstat /proc/net/snmp6")
        if protocol.endswith("6"):
            return int(re.search(rf"^{protocol}{counter}\s+(\d+)$", text, re.M)[1])
        names, values = re.findall(rf"^{protocol}: (.*)$", text, re.M)
        return int(values.split()[names.split().index(counter)])

    def flood(self, frame, packets=PACKETS, sources=None):
        """Send frames from random addresses, or in turn from those that the file `sources` has.

        Returns how many came, and how many a second.
        """
        data, prog = load_flood(frame, sources)
        before = self.received()
        try:
            said = self.near(
                first([OURS / "flood", prog, prog.with_name("sent"), "veth0", data.hex(), packets, MS], CPU))
        except Wrong as why:
            if "no live frames" in str(why):
                raise Missing("not in this kernel: live frames (Linux 5.18)") from why
            raise
        sent, timed, ns = map(int, said.split())
        came = poll(lambda: self.received() - before, sent)
        if not 0.99 * sent <= came <= sent:
            raise Wrong(f"{sent} packets sent, {came} came")
        return came, timed / (ns / 1e9) if ns else 0

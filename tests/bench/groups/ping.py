#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Tell of each ICMP packet: detect_ping, beside a program that wakes the reader up for each."""
import itertools
import os
import re
import select
import signal
import statistics
import subprocess
import time

from lab import ADDRESS, BUILD, OURS, PINGS, READER_CPU, Row, Section, Wire, Wrong, echo_request, first, load, poll, run

TITLE = "Tell of each ICMP packet"
OBJECT = BUILD / "detect_ping.bpf.o"
UPSTREAM = OURS / "upstream_ping.bpf.o"


class Reader:
    """ringbuf-read at work, before all else on a CPU of its own."""

    def __init__(self, maps, *options, **popen):
        self.process = subprocess.Popen(
            first([BUILD / "ringbuf-read", *options, maps / "ringbuf"], READER_CPU),
            stderr=subprocess.PIPE, text=popen.pop("text", True), **popen)
        if not poll(self.catches_sigterm, True, 10):
            raise Wrong(f"ringbuf-read: {self.process.communicate()[1].strip()}")

    def status(self):
        return open(f"/proc/{self.process.pid}/status").read()

    def catches_sigterm(self):
        mask = re.search(r"SigCgt:\s*(\S+)", self.status())
        return bool(mask and int(mask[1], 16) & 1 << signal.SIGTERM - 1)

    def end(self):
        """Once it has slept for a while, for want of events. Returns how many it has read, and lost,
        and how many nanoseconds of CPU that took."""
        def naps():
            return re.findall(r"^State:\s*S|ctxt_switches:\s*\d+", self.status(), re.M)

        def drained():
            before = naps()
            time.sleep(0.02)
            return len(before) == 3 and naps() == before
        if not poll(drained, True, 10):
            raise Wrong("ringbuf-read does not come to rest")
        took = int(open(f"/proc/{self.process.pid}/schedstat").read().split()[0])
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate()[1]
        said = said if isinstance(said, str) else said.decode()
        return *map(int, re.search(r"(\d+) events read(?:, (\d+) lost)?\n\Z", said).groups(0)), took


def set_up(wire, obj):
    """Pings of the far host are told of, and dropped. Returns where the maps are pinned."""
    prog = load(obj)
    wire.far(["ip", "link", "set", "veth0", "xdpdrv", "pinned", prog])
    run([BUILD / "map-edit", prog.with_name("ping_hash"), "add", f"{ADDRESS['far']}=1"])
    return prog.parent


def flood(obj, *options):
    """Events that ringbuf-read reads of a flood. Only our program counts what it loses."""
    def measure():
        with Wire() as wire:
            maps = set_up(wire, obj)
            counts = ["--lost", maps / "ping_stats"] if obj == OBJECT else []
            before = wire.snmp("Ip", "InDelivers")
            reader = Reader(maps, *options, *counts, stdout=subprocess.DEVNULL)
            sent, rate = wire.flood(echo_request())
            read, lost, took = reader.end()
            delivered = wire.snmp("Ip", "InDelivers") - before
        if delivered:
            raise Wrong(f"of {sent} pings {delivered} got through")
        if counts and read + lost != sent:
            raise Wrong(f"{sent} pings, {read} events read, {lost} lost")
        return {"M events/s": rate * read / sent / 1e6, "% lost": 100 * (sent - read) / sent,
                "ns of CPU each": took / read}
    return measure


def latency(obj):
    """From the time that the program has put into an event to the line that ringbuf-read has printed."""
    def measure():
        with Wire() as wire:
            reader = Reader(set_up(wire, obj), stdout=subprocess.PIPE, text=False)
            ping = subprocess.Popen(
                ["nsenter", "--net=/run/netns/near", "ping", "-q", "-W", "0.1", "-i", "0.002", "-c", str(PINGS),
                 ADDRESS["far"]], stdout=subprocess.DEVNULL)
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
            try:
                took = list(itertools.islice(arrivals(reader.process.stdout), PINGS))
            finally:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            ping.wait()
            read, *_ = reader.end()
        if len(took) != PINGS or read != PINGS:
            raise Wrong(f"{PINGS} pings, {read} events read, {len(took)} lines seen")
        return {"µs": statistics.median(took), "µs, 99th percentile": statistics.quantiles(took, n=100)[98]}
    return measure


def arrivals(lines):
    """How old each line is when it arrives, in microseconds; until there is none for two seconds."""
    while select.select([lines], [], [], 2)[0]:
        text = os.read(lines.fileno(), 65536)
        now = time.monotonic_ns()
        yield from ((now - int(ns)) / 1000 for ns in re.findall(rb"^time=(\d+) ", text, re.M))


SECTIONS = [
    Section("Events read of a flood of pings", "M events/s", [
        Row("detect_ping, ringbuf-read", flood(OBJECT)),
        Row("detect_ping, ringbuf-read --json", flood(OBJECT, "--json")),
        Row("detect_ping, ringbuf-read --hex", flood(OBJECT, "--hex")),
        Row("a wake-up for each, ringbuf-read", flood(UPSTREAM), goal=5),
    ]),
    Section("From packet to printed line, 500 pings a second", "µs", [
        Row("detect_ping, ringbuf-read", latency(OBJECT)),
        Row("a wake-up for each, ringbuf-read", latency(UPSTREAM)),
    ], less=True),
]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Block lists, short and long: what a packet costs, and what it takes to load one.

A list is drawn at random, the same each time, of lengths as in lists that are published: of
IPv4 mostly addresses, and some /28, /24 and /22; of IPv6 /32 to /64, and addresses. No prefix
holds another, and no two make up a shorter one: nobody can merge anything. All have the same list,
sorted, in files of their own formats; the short lists are part of the long one.

All packets of most floods are from listed addresses: as many from each prefix, in random order, and
anywhere in it. So each is dropped, and no figure has in it what the network stack does with one
that passes; and of a long list each packet asks for another part, the worst that can be for the
caches. The far host's own count must say that it got none of them, but each of a thousand
from addresses that are not listed. What it took to load a list is measured in the same go.

Of a flood from random addresses the long list has a thirtieth; the others go on to the far host,
which answers with resets. Its own count must say that it was as many.

What a packet costs that is not listed, as of random addresses nearly all are, is measured of our
programs alone: flood.bpf.o makes each, and calls the program rather than to send it. The
last packet must have got the right verdict.

nft has its set where it sees packets first, at the ingress hook of the device: at prerouting, where
iptables is, it is slower. xdp-filter takes addresses only, no prefixes, and 10,000 of them at
most, so it has addresses of the long list; as its command takes one at a time, bpftool fills its
map. An ipset is restored as `ipset save` writes it, of the size that it has grown to.

Not here: nft with a million of IPv6, as that takes it more than a minute to load.
"""
import collections
import contextlib
import dataclasses
import functools
import pathlib
import random
import socket
import time

from groups.programs import DROP, PASS, TX
from lab import (BUILD, CIDRS, CONTROLS, CPU, OURS, PACKETS, PINS, RUNS, Row, Section, Wire, Wrong, first, load,
                 load_flood, need, optional, pins, run, syn)

TITLE = f"Block lists of up to {CIDRS:,} prefixes"
SIZES = sorted({10, max(1, CIDRS // 100), CIDRS}, reverse=True)
FILTER_SIZES = sorted({min(CIDRS // 2, size) for size in (10, 10_000)}, reverse=True)
FILES = pathlib.Path("/run/netns/lists")  # on a tmpfs of this run


@dataclasses.dataclass(frozen=True)
class Family:
    name: str
    inet: int
    bits: int
    begins: tuple  # the first byte of an address
    lengths: tuple  # of a prefix

    def packed(self, address):
        return address.to_bytes(self.bits // 8, "big")

    def drawn(self, chosen, bits):
        """A prefix of so many bits, as a number."""
        return chosen.choice(self.begins) << bits - 8 | chosen.getrandbits(bits - 8)


# Of IPv4 what a host takes packets from, and the lab does not use itself; of IPv6 2000::/3.
V4 = Family("IPv4", socket.AF_INET, 32, tuple({*range(1, 224)} - {10, 127}), (22, 24, 24, 28) + 8 * (32,))
V6 = Family("IPv6", socket.AF_INET6, 128, tuple(range(0x20, 0x40)), (32, 48, 48, 56, 64, 64, 64, 128))


@functools.cache
def longest(family):
    """{length: prefixes}, of which none holds another, or makes up one with another."""
    chosen = random.Random(0)
    wanted = collections.Counter(chosen.choices(family.lengths, k=CIDRS))
    found = {bits: set() for bits in sorted(wanted)}
    for bits, some in found.items():
        while len(some) < wanted[bits]:
            prefix = family.drawn(chosen, bits)
            if prefix ^ 1 not in some and not any(prefix >> bits - n in found[n] for n in found if n < bits):
                some.add(prefix)
    return found


@functools.cache
def in_order(family):
    """The same as (address, length)."""
    return sorted((prefix << family.bits - bits, bits) for bits, some in longest(family).items() for prefix in some)


def written(name, content):
    """The path of the file that has this name, made the first time of what content() returns."""
    path = FILES / name
    if not path.exists():
        FILES.mkdir(exist_ok=True)
        path.write_bytes(content())
    return path


def has(by_length, family, address):
    """Is it in one of these prefixes, {length: prefixes}?"""
    return any(address >> family.bits - bits in some for bits, some in by_length.items())


@functools.cache
def drawn(family):
    """Random addresses."""
    chosen = random.Random(1)
    return [family.drawn(chosen, family.bits) for _ in range(CIDRS)]


def anywhere(family):
    """A file of random addresses to send from."""
    return written(f"{family.name}-anywhere", lambda: b"".join(map(family.packed, drawn(family))))


def others(family):
    """A file of addresses to send from that are in no list."""
    def content():
        unlisted = [address for address in drawn(family) if not has(longest(family), family, address)]
        return b"".join(map(family.packed, unlisted))
    return written(f"{family.name}-others", content)


@dataclasses.dataclass(frozen=True)
class List:
    """So many prefixes, or addresses only, and files of them."""
    family: Family
    count: int
    addresses: bool = False

    @functools.cached_property
    def prefixes(self):
        prefixes = in_order(self.family)
        if self.addresses:
            prefixes = [prefix for prefix in prefixes if prefix[1] == self.family.bits]
        if self.count == CIDRS:
            return prefixes
        return sorted(random.Random(0).sample(prefixes, self.count))

    @functools.cached_property
    def unlisted(self):
        """The share of random addresses that are not in it."""
        by_length = collections.defaultdict(set)
        for address, bits in self.prefixes:
            by_length[bits].add(address >> self.family.bits - bits)
        return sum(not has(by_length, self.family, address) for address in drawn(self.family)) / CIDRS

    def text(self):
        return [f"{socket.inet_ntop(self.family.inet, self.family.packed(address))}/{bits}"
                for address, bits in self.prefixes]

    def file(self, suffix, content):
        kind = "addresses" if self.addresses else "prefixes"
        return written(f"{self.family.name}-{self.count}-{kind}.{suffix}", content)

    def lines(self, suffix="txt", each="{}\n", head="", tail=""):
        return self.file(suffix, lambda: (head + "".join(map(each.format, self.text())) + tail).encode())

    def sources(self):
        """Addresses to send from: as many, whatever the length of the list."""
        def content():
            chosen = random.Random(0)
            prefixes = self.prefixes * -(-CIDRS // self.count)
            chosen.shuffle(prefixes)
            return b"".join(self.family.packed(address | chosen.getrandbits(self.family.bits - bits))
                            for address, bits in prefixes[:CIDRS])
        return self.file("sources", content)


# ---- who drops what a list has: each yields the command that loads it


def block(prog, blocked):
    return [BUILD / "blocklist-load", prog.parent, "load", blocked.lines()]


def fw_block(prog, blocked):
    name = "fw_block4" if blocked.family is V4 else "fw_block6"
    return [BUILD / "map-edit", prog.with_name(name), "load", blocked.lines()]


BLOCKLIST = BUILD / "xdp_blocklist.bpf.o", block
FIREWALL = BUILD / "xdp_firewall.bpf.o", fw_block


def xdp(obj, command):
    def set_up(wire, blocked):
        prog = load(obj)
        wire.far(["ip", "link", "set", "veth0", "xdpdrv", "pinned", prog])
        yield command(prog, blocked)
    return set_up


def nft(wire, blocked):
    need("nft", "nftables")
    file = blocked.lines("nft", "{},\n", head="""table netdev bench {
        set listed { type ipv4_addr; flags interval; elements = {
        """, tail="""}
        }
        chain bench { type filter hook ingress device veth0 priority 0; ip saddr @listed drop
        }
        }""")
    yield ["nft", "-f", file]


def ipset(wire, blocked):
    need("ipset", "ipset")
    need("iptables", "iptables")
    family, iptables = ("inet", "iptables") if blocked.family is V4 else ("inet6", "ip6tables")
    yield ["ipset", "restore", "-file", blocked.lines(
        "ipset", "add bench {}\n",
        head=f"create bench hash:net family {family} hashsize {max(1024, blocked.count // 2)} maxelem {CIDRS}\n")]
    wire.far(f"{iptables} -w -t raw -A PREROUTING -m set --match-set bench src -j DROP")


def xdp_filter(wire, blocked):
    need("xdp-filter", "xdp-tools")
    wire.far("xdp-filter load --mode native --features ipv4 veth0")
    wire.far(["xdp-filter", "ip", "--mode", "src", blocked.text()[0].split("/")[0]])
    pin = PINS / "xdp-filter/filter_ipv4"
    update = f"map update pinned {pin} key hex {{}} value hex 01 00 00 00 00 00 00 00\n"
    batch = blocked.file("batch", lambda: "".join(
        update.format(blocked.family.packed(address).hex(" ")) for address, _ in blocked.prefixes).encode())
    yield ["bpftool", "batch", "file", batch]


blocklist = xdp(*BLOCKLIST)
firewall = xdp(*FIREWALL)
only_drop = xdp(OURS / "only_drop.bpf.o", lambda prog, blocked: ["true"])


# ---- what is measured


_took = {}  # seconds to load, by the last flood


def load_list(way, wire, blocked):
    with optional() if way in (nft, ipset, xdp_filter) else contextlib.nullcontext():
        steps = way(wire, blocked)
        command = first(next(steps), CPU)
        began = time.monotonic()
        run(command, "far")
        _took[way, blocked] = time.monotonic() - began
        next(steps, None)


def delivered(wire, family):
    return wire.snmp("Ip" if family is V4 else "Ip6", "InDelivers")


def send(wire, family, sources, packets=PACKETS):
    """How many packets from these sources came, how many were delivered, and how many came a second."""
    before = delivered(wire, family)
    came, rate = wire.flood(syn(8080, v6=family is V6), packets, sources)
    return came, delivered(wire, family) - before, rate


def speed(rate):
    return {"M packets/s": rate / 1e6, "ns": 1e9 / rate if rate else 0}


def flood(way, blocked):
    """Packets a second that are dropped, once it is certain that all are, and only those."""
    family = blocked.family

    def measure():
        with Wire(v6=family is V6) as wire:
            load_list(way, wire, blocked)
            if way is not only_drop:
                packets, passed, _ = send(wire, family, others(family), CONTROLS)
                if passed != packets:
                    raise Wrong(f"of {packets} packets from addresses that are not listed {passed} got through")
            packets, through, rate = send(wire, family, blocked.sources())
            if through:
                raise Wrong(f"of {packets} packets from listed addresses {through} got through")
        return speed(rate)
    return measure


def flood_from_anywhere(way, blocked):
    """Packets a second that are dropped or passed, once it is certain that as many pass as should."""
    family = blocked.family

    def measure():
        with Wire(v6=family is V6) as wire:
            load_list(way, wire, blocked)
            packets, passed, rate = send(wire, family, anywhere(family))
            if abs(passed - packets * blocked.unlisted) > packets / 100:
                raise Wrong(f"of {packets} packets {passed} got through, and not {blocked.unlisted:.2%}")
        return speed(rate)
    return measure


def loading(way, blocked):
    """Seconds, of a flood of this round, if there was one."""
    def measure():
        if (way, blocked) not in _took:
            flood(way, blocked)()
        return _took.pop((way, blocked))
    return measure


def cost(prog, blocked, sources, verdict):
    """What a packet costs alone, once the last one has got this verdict."""
    data, generator = load_flood(syn(8080, v6=blocked.family is V6), sources, kept="true")
    if prog:
        run(["bpftool", "map", "update", "pinned", generator.with_name("receiver"), "key", 0, 0, 0, 0,
             "value", "pinned", prog])
    got, ns, _ = run(first([OURS / "runs", generator, data.hex(), RUNS], CPU)).split()
    if int(got) != verdict:
        raise Wrong(f"the verdict is {got}, not {verdict}")
    return float(ns)


def alone(program, blocked):
    """What it costs to run the program on a packet that is not listed, and on one that is."""
    def measure():
        with pins():
            obj, command = program
            prog = load(obj)
            run(command(prog, blocked))
            return {"ns": cost(prog, blocked, others(blocked.family), PASS),
                    "ns, listed": cost(prog, blocked, blocked.sources(), DROP)}
    return measure


def generator_alone(blocked):
    """The part of it that is no program's of ours."""
    def measure():
        with pins():
            return {"ns": cost(None, blocked, others(blocked.family), TX),
                    "ns, listed": cost(None, blocked, blocked.sources(), TX)}
    return measure


def rows(name, measure, way, family, goals={}):
    return [Row(f"{name}, {size:,}", measure(way, List(family, size)), goals.get(size)) for size in SIZES]


FLAT = {10: 0.667}  # at most 1.5 times the cost of ten


def floods(family, *more):
    return Section(f"Flood from listed {family.name} addresses", "M packets/s", [
        *rows("xdp_blocklist", flood, blocklist, family, FLAT),
        *rows("xdp_firewall", flood, firewall, family),
        *more,
        Row("only XDP_DROP: the limit", flood(only_drop, List(family, CIDRS))),
    ])


def programs(family):
    return Section(f"From {family.name} addresses, BPF_PROG_TEST_RUN", "ns", [
        *rows("xdp_blocklist", alone, BLOCKLIST, family, FLAT),
        *rows("xdp_firewall", alone, FIREWALL, family),
        Row("none, only the packets", generator_alone(List(family, CIDRS))),
    ], less=True)


def loads(family, *ways):
    return Section(f"{CIDRS:,} {family.name} prefixes loaded", "s", [
        Row(name, loading(way, List(family, CIDRS)), goal) for name, way, goal in (
            ("blocklist-load", blocklist, None), ("map-edit load, xdp_firewall", firewall, None), *ways)
    ], less=True)


SECTIONS = [
    floods(V4,
           *(Row(f"xdp-filter, {size:,} addresses", flood(xdp_filter, List(V4, size, addresses=True)))
             for size in FILTER_SIZES),
           *rows("nft set, netdev ingress", flood, nft, V4, {CIDRS: 2.5}),
           *rows("iptables raw, ipset", flood, ipset, V4)),
    floods(V6),
    Section("Flood from random IPv4 addresses", "M packets/s", [
        *rows("xdp_blocklist", flood_from_anywhere, blocklist, V4, FLAT),
        *(Row(f"{name}, {CIDRS:,}", flood_from_anywhere(way, List(V4, CIDRS))) for name, way in (
            ("xdp_firewall", firewall), ("nft set, netdev ingress", nft), ("iptables raw, ipset", ipset))),
    ]),
    programs(V4),
    programs(V6),
    loads(V4, ("nft -f", nft, 3), ("ipset restore", ipset, 3)),
    loads(V6, ("ipset restore", ipset, 3)),
]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""xdp_firewall against a model of it, made of its documentation, ipaddress and scapy.

firewall.py differential RUN OBJ DIR ROUNDS PACKETS SEED
    In each round random rules, put into the maps by map-edit, and so many random packets through
    the program: each verdict, each reason and each rule's counters must be the model's. RUN is
    tests/fixtures/xdp-run, OBJ the object, DIR a directory in bpffs for the pins.
firewall.py shapes DIR
    Of each map of rules of the program pinned at DIR/prog, each combination of fields: map-edit
    refuses the entry, or a packet that fits it is matched. Which are refused is said below.
firewall.py rate DIR PPS BURST SECONDS
    Packets of each of three sources, as fast as it goes, through the program pinned at DIR/prog, of
    whose maps fw_rate4 and fw_rate6 say PPS and BURST: of each PPS a second pass, and BURST more,
    within 5 %.
firewall.py new-rate DIR
    Of the program pinned at DIR/prog: sources that have used up a burst obey a new limit at once.
firewall.py flood ADDRESS PORT
    Send UDP there without end.
firewall.py receive ADDRESS PORT
    Say "ready", receive until SIGTERM, and print how many it were.
"""

import ipaddress
import itertools
import logging
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
import packets as crafted  # noqa: E402
import scapy.all as scapy  # noqa: E402

NAMES = {0: "any", 1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 58: "icmpv6", 132: "sctp",
         136: "udplite", 256: "unparsed", 257: "fragment", 258: "other"}  # fmt: skip
UNPARSED, FRAGMENT, OTHER = 256, 257, 258
PASSED = ["non_ip", "neighbour", "allowed", "rule_pass", "failsafe", "reply", "default_pass"]
DROPPED = ["banned", "blocked", "rate_limited", "rule_drop", "denied"]

ADDRESSES = {
    4: [ipaddress.ip_address(text) for text in """0.0.0.0 10.0.0.0 10.0.0.1 10.0.0.127 10.0.0.128 10.0.0.255
        10.0.1.0 10.0.1.255 10.0.2.0 10.255.255.255 11.0.0.0 9.255.255.255 127.255.255.255 128.0.0.0 192.0.2.1
        192.0.2.2 255.255.255.254 255.255.255.255""".split()],
    6: [ipaddress.ip_address(text) for text in """:: ::1 2001:db8:: 2001:db8::1 2001:db8::ffff:ffff:ffff:ffff
        2001:db8:0:1:: 2001:db8:0:1::1 2001:db8:0:1:ffff:ffff:ffff:ffff 2001:db8:0:2:: 2001:db8:ffff:ffff::1
        2001:db9:: 7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 8000:: fe80::1 fe80::2
        ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff""".split()],
}  # fmt: skip
LENGTHS = {4: [0, 1, 8, 23, 24, 25, 31, 32], 6: [0, 1, 16, 32, 48, 63, 64, 65, 127, 128]}
PORTS = [0, 1, 21, 22, 23, 53, 67, 68, 80, 123, 443, 546, 547, 999, 1000, 1001, 1999, 2000, 2001, 32767, 32768, 65535]
VLANS = [0, 1, 5, 10, 20, 4095]
PROTOCOLS = [1, 6, 17, 58]
WITH_PORTS = [6, 17, 33, 132, 136]

# ---- random packets


def random_segment(rng, proto):
    ports = struct.pack("!HH", *rng.choice([(rng.choice(PORTS), rng.choice(PORTS)),
                                            (rng.choice([22, 53, 123, 1000]), rng.choice([22, 1000, 2000, 32767, 32768]))]))  # fmt: skip
    if proto == 6:
        doff = rng.choice([5] * 8 + [6, 15, 4, 0])
        return ports + struct.pack("!IIBBHHH", 1, 1, doff << 4, rng.choice([2, 18, 16, 4, 20, 1, 0, 24, 255]), 9, 0, 0) + bytes(
            rng.choice([0, 0, 4, 40])
        )
    if proto in (33, 132, 136):
        return (ports + bytes(8))[: rng.choice([12, 12, 12, 4, 3, 0])]
    if proto == 17:
        return ports + struct.pack("!HH", 8, 0) + bytes(rng.choice([0, 1, 30]))
    if proto in (1, 58):
        kinds = [0, 3, 5, 8, 11, 12, 13] if proto == 1 else [1, 2, 3, 4, 5, 128, 129, 130, 132, 133, 135, 136, 137, 138, 143]
        return struct.pack("!BBHHH", rng.choice(kinds + [0, 255]), rng.choice([0, 0, 1, 4, 255]), 0, 1, 1) + bytes(
            rng.choice([0, 16])
        )
    return bytes(rng.randrange(256) for _ in range(rng.choice([0, 4, 8, 20, 40])))


def random_packet(rng):
    data = bytes.fromhex("020000000002020000000001")
    version = rng.choice([4, 6])
    for _ in range(rng.choice([0] * 6 + [1, 1, 1, 2, 2, 3])):
        data += struct.pack("!HH", rng.choice([0x8100, 0x88A8]), rng.choice(VLANS) | rng.choice([0, 0xE000, 0x1000]))
    ethertype = 0x0800 if version == 4 else 0x86DD
    data += struct.pack("!H", rng.choice([ethertype] * 30 + [0x0806, 0x8847, 0x0800, 0x86DD]))
    proto = rng.choice(PROTOCOLS * 5 + [47, 50, 33, 132, 136, 2, 0, 59, 255])
    if proto in (1, 58) and rng.random() < 0.9:
        proto = 1 if version == 4 else 58
    segment = random_segment(rng, proto)
    source, destination = (rng.choice(ADDRESSES[version]).packed for _ in range(2))
    if version == 4:
        options = bytes(4 * rng.choice([0] * 9 + [1, 10]))
        fragment = rng.choice([0] * 8 + [0x4000, 0x2000, 0x2000, 0x0001, 0x2005, 0x1FFF])
        if fragment == 0x2000:
            segment = segment[: rng.choice([0, 3, 4, 8, 13, 14, 16, 24, 60])]
        data += struct.pack("!BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(segment), 7, fragment,
                            64, proto, 0) + source + destination + options  # fmt: skip
    else:
        headers = rng.choice([[]] * 6 + [[rng.choice([0, 43, 44, 44, 60]) for _ in range(rng.randint(1, 3))]] * 4
                             + [[60] * rng.choice([7, 8, 9])])  # fmt: skip
        body = b""
        for at, header in enumerate(headers):
            following = (headers[at + 1 :] + [proto])[0]
            if header == 44:
                # Mostly harmless: whole, first, later.
                offset = rng.choice([0, 0, 1, 1, 8, 0x4001, 0xFFF8])
                body += struct.pack("!BBHI", following, rng.choice([0, 255]), offset, 7)
            else:
                more = rng.choice([0, 0, 1, 2])
                body += struct.pack("!BB", following, more) + bytes(6 + 8 * more)
        if 44 in headers and rng.random() < 0.5:
            segment = segment[: rng.choice([0, 3, 4, 8, 13, 14, 16, 24, 60])]
        data += struct.pack("!IHBB", 6 << 28, len(body) + len(segment), (headers + [proto])[0], 64)
        data += source + destination + body
    data += segment
    chance = rng.random()
    if chance < 0.08:
        data = data[: rng.randint(14, len(data))]
    elif chance < 0.2:
        data = bytearray(data)
        data[rng.randrange(12, min(len(data), 64))] = rng.randrange(256)
        data = bytes(data)
    if rng.random() < 0.3:
        data += bytes(rng.choice([1, 6, 20]))
    return data


# ---- what a packet is, by scapy's headers and the RFCs

EXTENSIONS = {0: scapy.IPv6ExtHdrHopByHop, 43: scapy.IPv6ExtHdrRouting, 60: scapy.IPv6ExtHdrDestOpt}


class Packet:
    """version None: no IP. source None: an IP header that is none."""

    def __init__(self, data):
        self.data, self.size = data, len(data)
        self.version = self.source = self.destination = self.sport = self.dport = self.icmp = None
        self.flags, self.proto, self.kind, self.vlans = 0, UNPARSED, UNPARSED, []
        ether = scapy.Ether(data[:14])
        if isinstance(ether, scapy.Dot3):  # a length where the type would be
            return
        kind, rest = ether.type, data[14:]
        for _ in range(2):
            if kind not in (0x8100, 0x88A8):
                break
            if len(rest) < 4:
                return
            tag = scapy.Dot1Q(rest[:4])
            self.vlans += [tag.vlan] * bool(tag.vlan)
            kind, rest = tag.type, rest[4:]
        if kind == 0x0800:
            self.version = 4
            self.ip4(rest)
        elif kind == 0x86DD:
            self.version = 6
            self.ip6(rest)

    def ip4(self, data):
        if len(data) < 20:
            return
        ip = scapy.IP(data[:20])  # options are not scapy's matter here
        if ip.version != 4:
            return
        self.source, self.destination = ipaddress.ip_address(ip.src), ipaddress.ip_address(ip.dst)
        # Linux 6.3, "net: add support for ipv4 big tcp": a length of 0.
        length = len(data) if ip.len == 0 and ip.proto == 6 else ip.len
        if ip.ihl < 5 or length < 4 * ip.ihl or length > len(data):
            return
        self.payload(data[4 * ip.ihl : length], ip.proto, ip.frag, bool(ip.flags.MF), 1)

    def ip6(self, data):
        if len(data) < 40:
            return
        ip = scapy.IPv6(data[:40])
        if ip.version != 6:
            return
        self.source, self.destination = ipaddress.ip_address(ip.src), ipaddress.ip_address(ip.dst)
        if ip.plen > len(data) - 40:
            return
        jumbo = ip.plen == 0 and ip.nh in (0, 6)
        rest = data[40:] if jumbo else data[40 : 40 + ip.plen]
        proto, offset, more = ip.nh, 0, False
        for number in range(9):
            if proto not in (*EXTENSIONS, 44):
                self.payload(rest, proto, offset, more, 58)
                return
            if number == 8 or len(rest) < 8:
                return
            if proto == 44:
                header = scapy.IPv6ExtHdrFragment(rest[:8])
                proto, rest, more = header.nh, rest[8:], more or bool(header.m)
                if header.offset:
                    self.payload(rest, proto, header.offset, more, 58)
                    return
            else:
                header = EXTENSIONS[proto](rest[:8])
                size = 8 + 8 * rest[1]
                if size > len(rest):
                    return
                proto, rest = header.nh, rest[size:]

    def payload(self, data, proto, offset, more, icmp):
        self.proto = proto
        if offset:
            self.kind = FRAGMENT
            return
        if proto in (33, 132, 136):
            if len(data) < 4:
                return
            self.sport, self.dport = struct.unpack_from("!HH", data)
        if proto not in (6, 17, icmp):
            self.kind = OTHER
            return
        if proto == 6:
            if len(data) < (4 if more else 20):
                return
            header = scapy.TCP(data[:20].ljust(20, b"\0"))
            if not more and (header.dataofs < 5 or 4 * header.dataofs > len(data)):
                return
            self.sport, self.dport = header.sport, header.dport
            self.flags = int(header.flags) & 0xFF if len(data) >= 14 else 0
        elif proto == 17:
            if len(data) < (4 if more else 8):
                return
            header = scapy.UDP(data[:8].ljust(8, b"\0"))
            self.sport, self.dport = header.sport, header.dport
        else:
            if len(data) < 8:
                return
            self.icmp = data[0], data[1]
        self.kind = proto


# ---- rules

KNOBS = [
    {},
    {"fw_pass_replies": False},
    {"fw_failsafe": [80, 0, 0, 443], "fw_reply_ports": [0, 0, 0, 1000]},
    {"fw_failsafe": [0, 0, 0, 0]},
    {"fw_lists": False},
    {"fw_bans": False, "fw_rates": False},
    {"fw_rules": False},
    {"fw_port_groups": False},
]
DEFAULTS = {"fw_lists": True, "fw_bans": True, "fw_rates": True, "fw_rules": True, "fw_port_groups": True,
            "fw_pass_replies": True, "fw_failsafe": [22, 0, 0, 0], "fw_reply_ports": [53, 123, 0, 0]}  # fmt: skip


def random_net(rng, version):
    return ipaddress.ip_network((rng.choice(ADDRESSES[version]), rng.choice(LENGTHS[version])), strict=False)


def some(rng, most):
    return range(rng.choice([0, 0, 0, 1, 2, most]))


def random_rules(rng, now):
    """{map: {key: value}}, as the model has them."""
    rules = {}
    for version in (4, 6):
        for name, most in (("fw_allow", 4), ("fw_block", 12)):
            rules[f"{name}{version}"] = {random_net(rng, version): {} for _ in some(rng, most)}
        rules[f"fw_rate{version}"] = {
            random_net(rng, version): rng.choice([{"pps": 0, "burst": 0}, {"pps": 10**9, "burst": rng.choice([0, 10**6])}])
            for _ in some(rng, 3)
        }
        rules[f"fw_rule{version}"] = {
            (*rng.choice([(0, 0), (0, 0), (rng.choice(VLANS), 0), (rng.choice(VLANS[1:]), rng.choice(VLANS))]),
             *rng.choice([(0, 0), (rng.choice(PROTOCOLS + [256, 132, 255]), 0), (rng.choice(WITH_PORTS), rng.choice(PORTS))]),
             random_net(rng, version)): {"verdict": rng.choice(["drop", "pass"])}
            for _ in range(rng.choice([0, 10, 40, 200]))
        }  # fmt: skip
        rules[f"fw_icmp{version}"] = {
            (rng.choice([0, 3, 8, 128, 129, 255]), rng.choice([None, 0, 1, 4])): {"verdict": rng.choice(["drop", "pass"])}
            for _ in some(rng, 6)
        }
    rules["fw_ban"] = {
        rng.choice(ADDRESSES[rng.choice([4, 6])]): {"expires": rng.choice([0, 1, now - 5, now + 3600])} for _ in some(rng, 4)
    }
    for name in ("fw_tcp_ports", "fw_udp_ports"):
        rules[name] = {port: 1000 for port in rng.choice([range(0), range(1000, 2001), range(80, 81), range(0, 65536, 21)])}
    rules["fw_deny"] = {proto: {} for proto in rng.sample([1, 6, 17, 47, 58, 132, 256, 257, 258], rng.choice([0, 1, 3, 7]))}
    return rules


def key_text(name, key):
    if name.startswith("fw_rule"):
        vlan, inner, proto, port, net = key
        addr = f" addr={net}" if net.prefixlen else ""
        return f"{{vlan={vlan} inner={inner} proto={NAMES.get(proto, proto)} port={port}{addr}}}"
    if name.startswith("fw_icmp"):
        return f"{{type={key[0]}}}" if key[1] is None else f"{{type={key[0]} code={key[1]}}}"
    return NAMES[key] if name == "fw_deny" else str(key)


def value_text(value, counts=None):
    if not isinstance(value, dict):
        return str(value)
    counts = {} if counts is None else dict(zip(("packets", "bytes"), counts))
    return "{" + " ".join(f"{k}={v}" for k, v in {**value, **counts}.items()) + "}"


# ---- what the documentation says of a packet


def longest(rules, name, p):
    """The entry of a map of CIDRs whose prefix is the longest."""
    found = [net for net in rules[f"{name}{p.version}"] if p.source in net]
    return max(found, key=lambda net: net.prefixlen, default=None)


def rule_for(rules, knobs, p):
    """The key of the rule that says most."""
    table = rules[f"fw_rule{p.version}"]
    port = p.dport or 0
    ports = {6: "fw_tcp_ports", 17: "fw_udp_ports"}
    group = rules[ports[p.kind]].get(port, 0) if p.kind in ports and knobs["fw_port_groups"] else 0
    outer, inner = (p.vlans + [0, 0])[:2]
    best = None
    for key, value in table.items():
        vlan, inside, proto, wanted, net = key
        if p.source not in net or proto not in (0, p.proto) or wanted not in (0, port, group):
            continue
        if (vlan, inside) not in ((0, 0), (outer, 0), (outer, inner)):
            continue
        if wanted and (not proto or p.dport is None):
            continue
        says = ((vlan > 0) + (inside > 0), proto > 0, 2 if wanted and wanted == port else bool(wanted), net.prefixlen)
        if best is None or says > best[0]:
            best = says, key
    return best and best[1]


def is_answer(knobs, p):
    if p.kind == 6:
        return knobs["fw_pass_replies"] and p.flags & 0x14
    if p.kind == 17:
        if (p.sport, p.dport) == ((67, 68) if p.version == 4 else (547, 546)):
            return True
        return knobs["fw_pass_replies"] and p.sport in [port for port in knobs["fw_reply_ports"] if port] and p.dport >= 32768
    if p.kind == 1:
        return p.icmp[0] in (3, 11, 12) or (p.icmp[0] == 0 and knobs["fw_pass_replies"])
    if p.kind == 58:
        return p.icmp[0] in (1, 2, 3, 4) or (p.icmp[0] == 129 and knobs["fw_pass_replies"])
    return False


def judge(rules, knobs, p, now):
    """The reason, and the entry that counts it: (map, key)."""
    if p.version is None:
        return "non_ip", None
    if p.source is not None:
        if p.kind == 58 and p.icmp[0] in (130, 131, 132, 133, 134, 135, 136, 137, 143):
            return "neighbour", None
        if knobs["fw_lists"] and (net := longest(rules, "fw_allow", p)):
            return "allowed", (f"fw_allow{p.version}", net)
        if knobs["fw_bans"] and p.source in rules["fw_ban"]:
            expires = rules["fw_ban"][p.source]["expires"]
            if not expires or expires > now:
                return "banned", ("fw_ban", p.source)
        if knobs["fw_lists"] and (net := longest(rules, "fw_block", p)):
            return "blocked", (f"fw_block{p.version}", net)
        if knobs["fw_rules"]:
            table = f"fw_icmp{p.version}"
            if p.kind == (1 if p.version == 4 else 58):
                for key in (p.icmp, (p.icmp[0], None)):
                    if key in rules[table]:
                        return ("rule_pass" if rules[table][key]["verdict"] == "pass" else "rule_drop"), (table, key)
            if key := rule_for(rules, knobs, p):
                table = f"fw_rule{p.version}"
                return ("rule_pass" if rules[table][key]["verdict"] == "pass" else "rule_drop"), (table, key)
        if p.kind == 6 and p.dport and p.dport in knobs["fw_failsafe"]:
            return "failsafe", None
        if is_answer(knobs, p):
            return "reply", None
    # ICMP of the other version of IP is no ICMP.
    for key in [p.proto, OTHER] if p.kind == OTHER and p.proto not in (1, 58) else [p.kind]:
        if key in rules["fw_deny"]:
            return "denied", ("fw_deny", key)
    return "default_pass", None


# ---- the two, side by side


def run(*command, **kw):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **kw).stdout


def boot_time():
    with open("/proc/stat", encoding="ascii") as stat:
        return next(line.split()[1] for line in stat if line.startswith("btime "))


def load(obj, pins):
    """A program for each of KNOBS, all with the same maps."""
    for number, knobs in enumerate(KNOBS):
        sets = [arg for name, value in {"fw_boot_time": boot_time(), **knobs}.items()
                for arg in ("--set", f"{name}={knob_text(value)}")]  # fmt: skip
        run("prog-load", "--maps", pins, *sets, obj, f"{pins}/prog{number}")


def knob_text(value):
    if isinstance(value, list):
        return "[" + " ".join(map(str, value)) + "]"
    return str(value).lower()


def zero_stats(pins):
    run("map-edit", f"{pins}/fw_stats", "sync", "--allow-empty", "/dev/null")


def differential(runner, obj, pins, rounds, packets, seed):
    rounds, packets, rng = int(rounds), int(packets), random.Random(int(seed))
    print(f"seed {seed}")
    load(obj, pins)
    pool = [Packet(random_packet(rng)) for _ in range(2 * packets)]
    now, wrong, said = int(time.time()), 0, dict.fromkeys(PASSED + DROPPED, 0)
    for number in range(rounds):
        rules, which = random_rules(rng, now), rng.randrange(len(KNOBS))
        knobs = {**DEFAULTS, **KNOBS[which]}
        zero_stats(pins)
        for name, table in rules.items():
            text = "".join(f"{key_text(name, key)}={value_text(value)}\n" for key, value in table.items())
            run("map-edit", f"{pins}/{name}", "sync", "--allow-empty", "-", input=text.encode())
        chosen = rng.sample(pool, packets)
        data = b"".join(struct.pack("!H", p.size) + p.data for p in chosen)
        got = run(runner, "verdicts", f"{pins}/prog{which}", input=data)
        assert len(got) == packets
        stats = {reason: [0, 0] for reason in PASSED + DROPPED}
        counts = {name: {key: [0, 0] for key in table} for name, table in rules.items()}
        for p, verdict in zip(chosen, got):
            reason, entry = judge(rules, knobs, p, now)
            said[reason] += 1
            for count in [stats[reason]] + ([counts[entry[0]][entry[1]]] if entry else []):
                count[0] += 1
                count[1] += p.size
            if verdict != (2 if reason in PASSED else 1):
                wrong += 1
                print(f"round {number}, {KNOBS[which]}: {p.data.hex()}\n  expected {reason} by {entry}, got {verdict}; {vars(p)}")
        for name, table in {"fw_stats": None, **rules}.items():
            if table is None:
                expected = {f"{reason}={value_text({}, count)}" for reason, count in stats.items()}
            else:
                expected = {f"{key_text(name, key)}={value_text(value, counts[name][key])}" for key, value in table.items()}
            shown = set(run("map-edit", f"{pins}/{name}", "show", text=True).splitlines())
            if expected != shown:
                wrong += 1
                print(f"round {number}, {name}:\n  expected {sorted(expected - shown)}\n  shown    {sorted(shown - expected)}")
        if wrong > 10:
            break
    unused = [reason for reason, count in said.items() if not count and reason != "rate_limited"]
    print(f"{sum(said.values())} packets, {wrong} wrong, {said}")
    sys.exit(wrong > 0 or bool(unused))


# ---- each shape of an entry, alone

# What has ports by the RFCs: TCP 9293, UDP 768, DCCP 4340, SCTP 9260, UDP-Lite 3828.
SHAPES = [0, 1, 6, 17, 33, 47, 50, 58, 89, 132, 136, 255, UNPARSED, FRAGMENT, OTHER]
VLAN, INNER, PORT = 5, 10, 9998
RATE = "={pps=1 burst=1}"
NETS = {4: "192.0.2.0/24", 6: "2001:db8::/32"}


def fitting(version, proto, vlan=0, inner=0, icmp=None):
    """A packet from a source in NETS, to PORT if it has ports."""
    link = scapy.Ether(src=crafted.HOST1, dst=crafted.HOST2)
    for tag in (vlan, inner):
        link = link / scapy.Dot1Q(vlan=tag) if tag else link
    ip = scapy.IP(src=crafted.SRC4, dst=crafted.DST4) if version == 4 else scapy.IPv6(src=crafted.SRC6, dst=crafted.DST6)
    if proto == UNPARSED:
        bad = {"len": 9999} if version == 4 else {"plen": 9999}
        return bytes(link / type(ip)(src=ip.src, dst=ip.dst, **bad) / scapy.UDP())
    if proto == FRAGMENT:
        if version == 4:
            return bytes(link / scapy.IP(src=ip.src, dst=ip.dst, frag=9, proto=17) / bytes(16))
        return bytes(link / ip / scapy.IPv6ExtHdrFragment(offset=9, nh=17) / bytes(16))
    named = {6: scapy.TCP(dport=PORT), 17: scapy.UDP(dport=PORT), 132: scapy.SCTP(dport=PORT)}
    if icmp:
        body = struct.pack("!BBHI", *icmp, 0, 0)
    elif proto in named:
        body = bytes(type(ip)(src=ip.src, dst=ip.dst) / named[proto])[20 if version == 4 else 40 :]
    elif proto in (33, 136):
        body = struct.pack("!HHII", 40000, PORT, 0, 0)
    else:
        body = struct.pack("!BBHI", 8 if version == 4 else 128, 0, 0, 0)
    proto = 253 if proto == OTHER else proto  # RFC 3692: for experiments
    if version == 4:
        return bytes(link / scapy.IP(src=ip.src, dst=ip.dst, proto=proto) / body)
    return bytes(link / scapy.IPv6(src=ip.src, dst=ip.dst, nh=proto) / body)


def rule_shapes(version):
    """(entry, whether it is refused, a packet that fits)"""
    for vlan, inner, proto, port, addr in itertools.product([0, VLAN], [0, INNER], [None, *SHAPES], [0, PORT], ["", NETS[version]]):
        fields = {"vlan": vlan, "inner": inner, "proto": None if proto is None else NAMES.get(proto, proto), "port": port, "addr": addr}
        text = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (0, None, ""))
        refused = (inner and not vlan) or (port and proto not in WITH_PORTS) or proto in (FRAGMENT, OTHER)
        yield f"{{{text}}}", bool(refused), fitting(version, proto or 6, vlan, inner)
    for text in ("vlan=4096", "vlan=5 inner=4096", "proto=259", "proto=65535"):
        yield f"{{{text}}}", True, b""


def icmp_shapes(version):
    for kind, code in itertools.product(range(256), [None, 0, 255]):
        # RFC 4861: 133 to 137; RFC 2710, 3590, 3810: 130 to 132 and 143.
        refused = version == 6 and (130 <= kind <= 137 or kind == 143)
        text = f"{{type={kind}}}" if code is None else f"{{type={kind} code={code}}}"
        yield text, refused, fitting(version, 1 if version == 4 else 58, icmp=(kind, code or 0))


def deny_shapes():
    for proto in [*range(256), UNPARSED, FRAGMENT, OTHER, 259, 65535]:
        # 0, 43, 44 and 60 are extension headers of IPv6; there and as ICMP it would be a reply.
        data = fitting(6 if proto == 58 else 4, 253 if proto == OTHER else proto) if proto < 259 else b""
        yield str(NAMES.get(proto, proto)), proto in (0, 259, 65535), data


def cidr_shapes(version):
    for net in [NETS[version], "0.0.0.0/0" if version == 4 else "::/0", f"{crafted.SRC4 if version == 4 else crafted.SRC6}"]:
        yield net, False, fitting(version, 6)
    if version == 6:
        for net in ("192.0.2.0/24", "192.0.2.1", "::ffff:192.0.2.0/120", "::ffff:0:0/96"):
            yield net, True, b""


def shapes(pins):
    prog, tried, refusals, wrong = crafted.open_pin(f"{pins}/prog"), 0, 0, []
    tables = {"fw_deny": deny_shapes()}
    for version in (4, 6):
        tables[f"fw_rule{version}"] = rule_shapes(version)
        tables[f"fw_icmp{version}"] = icmp_shapes(version)
        tables[f"fw_block{version}"] = cidr_shapes(version)
        tables[f"fw_allow{version}"] = cidr_shapes(version)
        # The second packet, if not the first, is over the rate.
        tables[f"fw_rate{version}"] = ((net + RATE, refused, data) for net, refused, data in cidr_shapes(version))
    tables["fw_ban"] = ((net, False, fitting(version, 6)) for net, version in ((crafted.SRC4, 4), (crafted.SRC6, 6)))
    for table, rows in tables.items():
        for entry, refused, data in itertools.islice(rows, 0, None, int(os.environ.get("HOOKSET_STRIDE", "1"))):
            tried += 1
            done = subprocess.run(["map-edit", f"{pins}/{table}", "add", entry], stderr=subprocess.PIPE, text=True)
            refusals += done.returncode == 2
            if done.returncode != (2 if refused else 0):
                wrong.append(f"{table} add {entry}: exit status {done.returncode} {done.stderr}")
            if done.returncode:
                continue
            count = 2 if table.startswith("fw_rate") else 1
            verdicts = [crafted.run_packet(prog, data) for _ in range(count)]
            shown = run("map-edit", f"{pins}/{table}", "show", text=True)
            if verdicts[-1] != ("PASS" if "allow" in table else "DROP") or not re.search(r"packets=[12] ", shown):
                wrong.append(f"{table} add {entry}: {data.hex()} got {verdicts}, {shown}")
            run("map-edit", f"{pins}/{table}", "del", entry.removesuffix(RATE))
    print("\n".join(wrong[:10]))
    print(f"{tried} entries, {refusals} refused, {len(wrong)} wrong")
    sys.exit(bool(wrong))


# ---- by the clock


def udp_from(source):
    ip = scapy.IPv6(src=source, dst="2001:db8::2") if ":" in source else scapy.IP(src=source, dst="192.0.2.2")
    return bytes(scapy.Ether(src=crafted.HOST1, dst=crafted.HOST2) / ip / scapy.UDP(sport=40000, dport=9))


REPEAT = 100000  # packets a call: each call costs the kernel some 30 ms, for its dispatcher


def rate(pins, pps, burst, seconds):
    pps, burst, prog = int(pps), int(burst), crafted.open_pin(f"{pins}/prog")
    for source in ("192.0.2.11", "192.0.2.12", "2001:db8::11"):
        rates = "fw_rate6" if ":" in source else "fw_rate4"
        packet, sent, before = udp_from(source), 0, limited(pins, rates)
        # In a busy machine, this process may stand still before the first packet, when the bucket
        # is full, and behind the last one. So what it took is between two times.
        times = []
        while not times or times[-1][1] - times[0][0] < float(seconds):
            begin = time.monotonic()
            crafted.run_packet(prog, packet, REPEAT)
            times.append((begin, time.monotonic()))
            sent += REPEAT
        least, most = times[-1][0] - times[0][1], times[-1][1] - times[0][0]
        rule, stats = (now - then for now, then in zip(limited(pins, rates), before))
        assert rule == stats, (rule, stats)
        passed = sent - rule
        expected = burst + pps * least, burst + pps * most
        print(f"{source}: {sent} sent in {least:.3f} to {most:.3f} s, {passed} passed, expected {expected[0]:.0f} to {expected[1]:.0f}")
        if not 0.95 * expected[0] <= passed <= 1.05 * expected[1] or sent < 2 * expected[1]:
            sys.exit(1)


def limited(pins, rates):
    """What this map, of one entry, and fw_stats say was dropped."""
    rule = run("map-edit", f"{pins}/{rates}", "show", text=True)
    stats = run("map-edit", f"{pins}/fw_stats", "get", "rate_limited", text=True)
    return [int(re.search(r"packets=(\d+)", text)[1]) for text in (rule, stats)]


def new_rate(pins):
    prog = crafted.open_pin(f"{pins}/prog")
    for source in ("192.0.2.11", "2001:db8::11"):
        table, net = (f"{pins}/fw_rate6", "::/0") if ":" in source else (f"{pins}/fw_rate4", "0.0.0.0/0")
        run("map-edit", table, "add", f"{net}={{pps=1 burst=100000}}")
        # The bucket would be full again after 5,000 seconds.
        assert crafted.run_packet(prog, udp_from(source), 5000) == "PASS"
        run("map-edit", table, "add", f"{net}={{pps=1000 burst=1000}}")
        first = crafted.run_packet(prog, udp_from(source))
        time.sleep(0.1)  # 100 tokens
        verdicts = [crafted.run_packet(prog, udp_from(source)) for _ in range(20)]
        assert first == "DROP" and set(verdicts) == {"PASS"}, (source, first, verdicts)


def flood(address, port):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    while True:
        sock.sendto(b"flood", (address, int(port)))


def receive(address, port):
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, int(port)))
    count = 0

    def end(*_):
        print(count)
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)
    while True:
        sock.recv(100)
        count += 1


COMMANDS = {f.__name__.replace("_", "-"): f for f in (differential, shapes, rate, new_rate, flood, receive)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])

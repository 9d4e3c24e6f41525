#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Run tables of packets, packets/NAME.table, through XDP programs.

packets.py verdicts TABLE PROG [PORT]   each packet gets the verdict of its line
packets.py passes TABLE PROG            each packet is passed, whatever its line says
packets.py dissect TABLE [PORT]         tshark, who knows no table, agrees with each line
packets.py events TABLE DIR             detect_ping's verdicts, events and counters, where DIR
                                        holds its pins: prog, ringbuf, ping_stats
packets.py flood DIR COUNT              a full ring buffer loses events, and changes no verdict
packets.py answered TABLE IFNAME        what the host behind IFNAME answers is a DROP line
packets.py connect IFNAME 4|6/SIZE...   are SYNs answered that come in fragments of SIZE?

A table has a line per packet: VERDICT | name | expression. VERDICT is DROP or PASS, with a + if
the packet is an event, and a ~ if tshark or the host is known to see it otherwise: say why above.
The expression is scapy's, with the names that class Names adds. PROG is a pinned program, or a
directory of them.
"""

import ctypes
import ipaddress
import json
import logging
import os
import platform
import re
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from pathlib import Path

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
import scapy.all as scapy  # noqa: E402
from scapy.contrib.mpls import MPLS  # noqa: E402

HOST1, HOST2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
SRC4, DST4 = "192.0.2.1", "192.0.2.2"
SRC6, DST6 = "2001:db8::1", "2001:db8::2"
LISTED4, LISTED6 = "192.0.2.66", "2001:db8::66"  # what the .bats file lists
XDP_ACTIONS = ["ABORTED", "DROP", "PASS", "TX", "REDIRECT"]

Line = namedtuple("Line", "number verdict event known name data")


class Names(dict):
    """What an expression may say. Whole packets begin with ip4() or ip6(), or with eth."""

    def __init__(self, number, port):
        super().__init__(vars(scapy))
        eth = scapy.Ether(src=HOST1, dst=HOST2)
        # An id of its own per line: no two lines are fragments of one datagram.
        self.update(
            MPLS=MPLS,
            port=port,
            swapped=socket.ntohs(port),
            eth=eth,
            q=lambda **kw: scapy.Dot1Q(**{"vlan": 10, **kw}),
            ad=lambda **kw: scapy.Dot1AD(**{"vlan": 20, **kw}),
            ip4=lambda l2=eth, **kw: l2 / scapy.IP(**{"src": SRC4, "dst": DST4, "id": number, **kw}),
            ip6=lambda l2=eth, **kw: l2 / scapy.IPv6(**{"src": SRC6, "dst": DST6, **kw}),
            tcp=lambda **kw: scapy.TCP(**{"sport": 40000, "dport": port, **kw}),
            udp=lambda **kw: scapy.UDP(**{"sport": 40000, "dport": port, **kw}),
            # The bytes of a transport header or message, checksum and all.
            seg4=lambda l4: bytes(scapy.IP(src=SRC4, dst=DST4) / l4)[20:],
            seg6=lambda l4: bytes(scapy.IPv6(src=SRC6, dst=DST6) / l4)[40:],
            hbh=scapy.IPv6ExtHdrHopByHop,
            rt=lambda **kw: scapy.IPv6ExtHdrRouting(**{"addresses": [], **kw}),
            dst=scapy.IPv6ExtHdrDestOpt,
            frg=lambda **kw: scapy.IPv6ExtHdrFragment(**{"id": number, **kw}),
            padn=lambda size: [scapy.PadN(optdata=bytes(size))],
            echo4=lambda **kw: scapy.ICMP(**{"type": 8, "id": 0x1234, "seq": number, **kw}),
            echo6=lambda **kw: scapy.ICMPv6EchoRequest(**{"id": 0x1234, "seq": number, **kw}),
            reply6=lambda **kw: scapy.ICMPv6EchoReply(**{"id": 0x1234, "seq": number, **kw}),
            listed4=LISTED4,
            listed6=LISTED6,
            chain=chain,
            trunc=lambda packet, size: bytes(packet)[:size],
            pad=lambda packet, size, fill=b"\0": bytes(packet).ljust(size, fill),
            patch=patch,
        )


def chain(*headers):
    packet = headers[0]
    for header in headers[1:]:
        packet = packet / header
    return packet


def patch(packet, offset, new):
    data = bytearray(bytes(packet))
    data[offset : offset + len(bytes.fromhex(new))] = bytes.fromhex(new)
    return bytes(data)


def read_table(path, port=8080):
    lines = []
    for number, text in enumerate(Path(path).read_text().splitlines(), 1):
        if not text or text.startswith("#"):
            continue
        verdict, name, expression = (field.strip() for field in text.split("|", 2))
        if not re.fullmatch(r"(DROP|PASS)[+]?~?", verdict):
            sys.exit(f"{path}:{number}: unknown verdict {verdict!r}")
        try:
            data = bytes(eval(expression, Names(number, port)))
        except Exception as err:
            sys.exit(f"{path}:{number}: {name}: {err!r}")
        lines.append(Line(number, verdict[:4], "+" in verdict, "~" in verdict, name, data))
    return lines


def report(path, lines, wrong, did):
    """Print what is wrong, [(line, expected, got)], and end with the exit status."""
    for line, expected, got in wrong:
        print(f"{path}:{line.number}: {line.name}: expected {expected}, got {got}\n  {line.data.hex()}")
    print(f"{len(lines)} packets, {len(wrong)} wrong, {did}")
    sys.exit(len(wrong) > 0 or not lines)


# bpf(2), as far as it is needed here.

BPF_OBJ_GET, BPF_PROG_TEST_RUN = 7, 10


def bpf(command, attr):
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(attr, len(attr))
    ret = libc.syscall(number, command, buffer, len(attr))
    if ret < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}: {os.strerror(ctypes.get_errno())}")
    return ret, buffer.raw


def open_pin(path):
    name = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(BPF_OBJ_GET, struct.pack("=QII", ctypes.addressof(name), 0, 0))[0]


def run_packet(prog, data, repeat=1):
    """The verdict of the program; the packet itself must come out unchanged."""
    data_in = ctypes.create_string_buffer(data, len(data))
    data_out = ctypes.create_string_buffer(len(data) + 256)
    attr = struct.pack("=IIIIQQII32x", prog, 0, len(data), len(data_out), ctypes.addressof(data_in),
                       ctypes.addressof(data_out), repeat, 0)  # fmt: skip
    _, attr = bpf(BPF_PROG_TEST_RUN, attr)
    retval, _, size = struct.unpack_from("=III", attr, 4)
    if data_out.raw[:size] != data:
        return "a changed packet"
    return XDP_ACTIONS[retval] if retval < len(XDP_ACTIONS) else str(retval)


def run_table(path, lines, prog, expected, did):
    """Each packet, in the program pinned there or in each in that directory, gets expected(line)."""
    pins = sorted(Path(prog).iterdir()) if os.path.isdir(prog) else [prog]
    if not pins:
        sys.exit(f"{prog}: no program")
    got = [(line, pin, run_packet(fd, line.data)) for pin in pins for fd in [open_pin(pin)] for line in lines]
    wrong = [(line, expected(line), f"{g} from {pin}") for line, pin, g in got if g != expected(line)]
    report(path, lines, wrong, did([g for _, _, g in got]))


def verdicts(path, prog, port="8080"):
    lines = read_table(path, int(port))
    run_table(path, lines, prog, lambda line: line.verdict, lambda got: f"{got.count('DROP')} dropped")


def passes(path, prog):
    run_table(path, read_table(path), prog, lambda line: "PASS", lambda got: f"{got.count('PASS')} passed")


# What tshark says of the packets.

FIELDS = """frame.protocols _ws.malformed _ws.expert.severity _ws.expert.message tcp.dstport ip.src ip.dst ip.ttl
    ipv6.src ipv6.dst ipv6.hlim icmp.type icmp.code icmp.ident icmp.seq
    icmpv6.type icmpv6.code icmpv6.echo.identifier icmpv6.echo.sequence_number""".split()
# The programs parse two VLAN tags, IPv4, IPv6 and its extension headers (bpf/include/parse.h).
LINK = r"eth:ethertype(:(vlan|ieee8021ad):ethertype){0,2}"
IP4 = LINK + ":ip"
IP6 = LINK + r":ipv6(:ipv6\.(hopopts|routing|dstopts|fraghdr)){0,8}"
EXPERT_ERROR = 8388608


def dissected(lines):
    """A dict of FIELDS, the outermost of each, for each packet; None if tshark finds it broken."""
    with tempfile.TemporaryDirectory() as tmp:
        scapy.wrpcap(f"{tmp}/table.pcap", [line.data for line in lines], linktype=1)
        out = subprocess.run(
            ["tshark", "-n", "-d", "tcp.port==0-65535,data", "-r", f"{tmp}/table.pcap"]
            + ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE", "-o", "ip.tso_support:FALSE"]
            + ["-T", "fields", "-E", "separator=/t", "-E", "aggregator= "]
            + [arg for field in FIELDS for arg in ("-e", field)],
            env={**os.environ, "HOME": tmp}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
    assert len(out) == len(lines)
    result = []
    for text in out:
        frame = dict(zip(FIELDS, text.split("\t")))
        broken = (
            frame["_ws.malformed"]
            or str(EXPERT_ERROR) in frame["_ws.expert.severity"].split()
            or "IPv6 payload length exceeds" in frame["_ws.expert.message"]  # an error in IPv4
        )
        first = {name: value.split(" ")[0] for name, value in frame.items()}
        result.append(None if broken else first)
    return result


def truth(frame, port, of_ping):
    """What the line of this packet should say, in a table for detect_ping or for xdp_drop."""
    if frame is None:
        return "PASS"
    path = frame["frame.protocols"]
    if not of_ping:
        dropped = re.fullmatch(f"({IP4}|{IP6}):tcp(:.*)?", path) and frame["tcp.dstport"] == port
        return "DROP" if dropped else "PASS"
    if re.fullmatch(f"{IP4}:icmp(:.*)?", path) and frame["icmp.type"]:
        dropped = frame["icmp.type"] in ("0", "8") and LISTED4 in (frame["ip.src"], frame["ip.dst"])
    elif re.fullmatch(f"{IP6}:icmpv6(:.*)?", path) and frame["icmpv6.type"]:
        dropped = frame["icmpv6.type"] in ("128", "129") and LISTED6 in (frame["ipv6.src"], frame["ipv6.dst"])
    else:
        return "PASS"
    return "DROP+" if dropped else "PASS+"


def dissect(path, port="8080"):
    lines = read_table(path, int(port))
    of_ping = any(line.event for line in lines)
    frames = dissected(lines)
    wrong = []
    for line, frame in zip(lines, frames):
        said = line.verdict + "+" * line.event
        seen = truth(frame, port, of_ping)
        if said != seen and not line.known:
            path_seen = frame["frame.protocols"] if frame else "a broken packet"
            wrong.append((line, said, f"{seen}, as tshark sees {path_seen}"))
    report(path, lines, wrong, f"{frames.count(None)} broken")


# What detect_ping tells.


def stats(pins):
    show = ["bpftool", "-j", "map", "lookup", "pinned", f"{pins}/ping_stats", "key", "hex", "0", "0", "0", "0"]
    out = subprocess.check_output(show)
    total = dict.fromkeys(("seen", "dropped", "events", "lost"), 0)
    for cpu in json.loads(out)["formatted"]["values"]:
        for name, value in cpu["value"].items():
            total[name] += value
    return total


def read_events(pins, count):
    out = subprocess.check_output(["ringbuf-read", "--json", "--count", str(count), f"{pins}/ringbuf"],
                                  stderr=subprocess.DEVNULL, text=True, timeout=10)  # fmt: skip
    return [json.loads(text) for text in out.splitlines()]


def expected_event(line, frame):
    if frame["icmp.type"]:
        version, layer = 4, ("ip.src", "ip.dst", "ip.ttl", "icmp.type", "icmp.code", "icmp.ident", "icmp.seq")
    else:
        version, layer = 6, ("ipv6.src", "ipv6.dst", "ipv6.hlim", "icmpv6.type", "icmpv6.code",
                             "icmpv6.echo.identifier", "icmpv6.echo.sequence_number")  # fmt: skip
    source, destination, *numbers = (frame[name] for name in layer)
    ttl, kind, code, ident, sequence = (int(text or "0", 0) for text in numbers)
    echo = kind in ((0, 8) if version == 4 else (128, 129))
    return {
        "saddr": source,
        "daddr": destination,
        "version": version,
        "type": kind,
        "code": code,
        "ttl": ttl,
        "id": ident if echo else 0,
        "sequence": sequence if echo else 0,
        "ifindex": 1,  # BPF_PROG_TEST_RUN says lo
        "verdict": f"XDP_{line.verdict}",
    }


def same_address(event):
    """An address has more than one spelling, and an IPv4 address may be written as v4-mapped."""
    for name in ("saddr", "daddr"):
        address = ipaddress.ip_address(event[name])
        event[name] = str(getattr(address, "ipv4_mapped", None) or address)
    return event


def events(path, pins):
    lines, prog, wrong = read_table(path), open_pin(f"{pins}/prog"), []
    expected = dict.fromkeys(("seen", "dropped", "events", "lost"), 0)
    before = time.monotonic_ns()
    for line in lines:
        got = run_packet(prog, line.data)
        if got != line.verdict:
            wrong.append((line, line.verdict, got))
        expected["seen"] += line.event
        expected["events"] += line.event
        expected["dropped"] += line.verdict == "DROP"
        counted = stats(pins)
        if counted != expected:
            wrong.append((line, expected, counted))
            expected = counted
    if wrong:
        report(path, lines, wrong, "so no event was read")
    after = time.monotonic_ns()
    told = [(line, frame) for line, frame in zip(lines, dissected(lines)) if line.event]
    got = read_events(pins, len(told))
    assert len(got) == len(told)
    for (line, frame), event in zip(told, got):
        now = event.pop("time")
        if not before <= now <= after:
            wrong.append((line, f"a time from {before} to {after}", now))
        before = now
        if frame is None and line.known:
            continue
        got_fields = same_address(event).items()
        should = same_address(expected_event(line, frame)).items()
        if got_fields != should:
            wrong.append((line, dict(should - got_fields), dict(got_fields - should)))
    report(path, lines, wrong, f"{len(got)} events")


def flood(pins, count):
    """Nobody reads: the ring buffer holds its fill of events, and the rest is counted as lost."""
    count, prog = int(count), open_pin(f"{pins}/prog")
    names = Names(1, 8080)
    listed = bytes(eval("ip4(dst=listed4)/echo4()", names))
    unlisted = bytes(eval("ip6()/echo6()", names))
    before = stats(pins)
    got = [run_packet(prog, listed, count), run_packet(prog, unlisted, count)]
    after = stats(pins)
    told = {name: after[name] - before[name] for name in after}
    # An event of 56 bytes and its header of 8 (Documentation/bpf/ringbuf.rst) in 256 KiB, never quite full.
    room = (256 * 1024 - 1) // 64
    expected = {"seen": 2 * count, "dropped": count, "events": room, "lost": 2 * count - room}
    print(f"verdicts {got}, counted {told}, expected {expected}")
    sys.exit(got != ["DROP", "PASS"] or told != expected)


# What a host makes of the packets.


def answered(path, ifname):
    """Send each packet, and behind it a ping, whose reply says that all answers are there."""
    lines, wrong, got = read_table(path), [], []
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])  # two CPUs could swap the two
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packets.bind((ifname, 0))
    for line in lines:
        ping = scapy.ICMP(type=8, id=os.getpid() & 0xFFFF, seq=line.number)
        packets.send(line.data)
        packets.send(bytes(scapy.Ether(src=HOST1, dst=HOST2) / scapy.IP(src=SRC4, dst=DST4) / ping))
        answer = None
        for packet in received(packets, 5):
            if packet.haslayer(scapy.ICMP) and packet[scapy.ICMP].type == 0 and packet[scapy.ICMP].seq == line.number:
                break
            if packet.haslayer(scapy.TCP) and packet[scapy.TCP].sport == 8080:
                answer = packet.sprintf("%TCP.flags%")
        else:
            sys.exit(f"{path}:{line.number}: the host no longer answers pings")
        got += [line.verdict] * bool(answer)
        if answer and line.verdict == "PASS" and not line.known:
            wrong.append((line, "silence, as it is not to the port", f"the answer {answer}"))
    report(path, lines, wrong, f"{got.count('DROP')} DROP lines answered")


def received(packets, seconds):
    """What others send us, until the deadline."""
    deadline = time.monotonic() + seconds
    while select.select([packets], [], [], max(0, deadline - time.monotonic()))[0]:
        data, address = packets.recvfrom(65536)
        if address[2] != socket.PACKET_OUTGOING:
            yield scapy.Ether(data)


def connect(ifname, *ways):
    """Send SYNs to port 8080, each in fragments, and print which are answered."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    packets.bind((ifname, 0))
    eth = scapy.Ether(src=HOST1, dst=HOST2)
    ports = {40000 + os.getpid() % 10000 + i: way for i, way in enumerate(ways)}
    for port, way in ports.items():
        version, size = map(int, way.split("/"))
        ip = scapy.IP(src=SRC4, dst=DST4) if version == 4 else scapy.IPv6(src=SRC6, dst=DST6)
        tcp = scapy.TCP(sport=port, dport=8080, flags="S", options=[("MSS", 1000)])
        segment = bytes(ip / tcp)[len(ip) :]
        for start in range(0, len(segment), size):
            more = start + size < len(segment)
            if version == 4:
                header = scapy.IP(src=SRC4, dst=DST4, proto=6, id=port, frag=start // 8, flags="MF" * more)
            else:
                header = ip / scapy.IPv6ExtHdrFragment(nh=6, id=port, offset=start // 8, m=int(more))
            packets.send(bytes(eth / header / segment[start : start + size]))
    answers = []
    for packet in received(packets, 1):
        tcp = packet.getlayer(scapy.TCP)
        if tcp and tcp.flags == "SA" and tcp.dport in ports and ports[tcp.dport] not in answers:
            answers.append(ports[tcp.dport])
        if len(answers) == len(ways):
            break
    print(" ".join(["answered:", *sorted(answers, key=ways.index)]))


COMMANDS = {f.__name__: f for f in (verdicts, passes, dissect, events, flood, answered, connect)}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What each program costs by itself, for each verdict that it gives."""
import struct

from lab import BUILD, CPU, OURS, RUNS, Row, Section, Wrong, first, load, pins, run

TITLE = "What each program costs by itself"
DROP, PASS = 1, 2  # enum xdp_action
SK_DROP, SK_PASS = 0, 1  # enum sk_action


def ethernet(proto, payload, tags=()):
    tags = b"".join(struct.pack("!HH", tag, 5) for tag in tags)
    return bytes.fromhex("020000000002020000000001") + tags + struct.pack("!H", proto) + payload


def ip4(proto, payload, options=b"", offset=0, dst="192.0.2.2"):
    size = 20 + len(options)
    return struct.pack("!BBHHHBBH4s4s", 4 << 4 | size // 4, 0, size + len(payload), 7, offset, 64, proto, 0,
                       bytes([192, 0, 2, 1]), bytes(map(int, dst.split(".")))) + options + payload


def ip6(proto, payload):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), proto, 64, bytes(15) + b"\1", bytes(15) + b"\2") + payload


def tcp(port):
    return struct.pack("!HHIIHHHH", 40000, port, 1, 0, 5 << 12 | 2, 64240, 0, 0)


UDP = struct.pack("!HHHH", 40000, 8080, 8, 0)
PING = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + bytes(48)
PING6 = struct.pack("!BBHHH", 128, 0, 0, 7, 1) + bytes(48)
HOP_BY_HOP = struct.pack("!BB6x", 60, 0)
DESTINATION = struct.pack("!BB6x", 6, 0)


def cost(obj, data, verdict, runs=RUNS, set_up=lambda prog: None):
    """What a run takes, once it is certain that it gives this verdict."""
    def measure():
        with pins():
            prog = load(obj)
            set_up(prog)
            argv = [OURS / "runs", prog, data if isinstance(data, str) else data.hex(), runs]
            got, ns, instructions = run(first(argv, CPU)).split()
        if int(got) != verdict:
            raise Wrong(f"the verdict is {got}, not {verdict}")
        return {"ns": float(ns)} | ({} if instructions == "-" else {"instructions": float(instructions)})
    return measure


def listed(prog):
    run([BUILD / "map-edit", prog.with_name("ping_hash"), "add", "192.0.2.2=1"])


def opened(prog):
    run([BUILD / "map-edit", "--key", "u16", "--value", "u8", prog.with_name("echo_ports"), "add", "7"])


def xdp_drop(name, data, verdict):
    return Row(f"xdp_drop.o, {name}", cost(BUILD / "xdp_drop.o", data, verdict))


SYN = ethernet(0x0800, ip4(6, tcp(8080)))
LEAST = [cost(OURS / obj, SYN, DROP) for obj in ("only_drop.bpf.o", "seed_drop.bpf.o")]
DETECT = BUILD / "detect_ping.bpf.o"
ECHO = BUILD / "echo_dispatch.bpf.o"
EMPTY = min(RUNS, 4000)  # events that the ring buffer has room for

SECTIONS = [
    Section("BPF_PROG_TEST_RUN", "ns", [
        Row("only XDP_DROP", LEAST[0]),
        Row("the least filter, TCP to the port, dropped", LEAST[1]),
        xdp_drop("TCP to the port, dropped", SYN, DROP),
        xdp_drop("TCP to another port, passed", ethernet(0x0800, ip4(6, tcp(80))), PASS),
        xdp_drop("UDP, passed", ethernet(0x0800, ip4(17, UDP)), PASS),
        xdp_drop("ARP, passed", ethernet(0x0806, bytes(28)), PASS),
        xdp_drop("a later fragment, passed", ethernet(0x0800, ip4(6, tcp(8080), offset=1)), PASS),
        xdp_drop("IPv4 with options, dropped", ethernet(0x0800, ip4(6, tcp(8080), options=bytes(8))), DROP),
        xdp_drop("two VLAN tags, dropped", ethernet(0x0800, ip4(6, tcp(8080)), tags=(0x88a8, 0x8100)), DROP),
        xdp_drop("IPv6, dropped", ethernet(0x86dd, ip6(6, tcp(8080))), DROP),
        xdp_drop("IPv6 with two extension headers, dropped",
                 ethernet(0x86dd, ip6(0, HOP_BY_HOP + DESTINATION + tcp(8080))), DROP),
        Row("detect_ping, TCP, passed", cost(DETECT, SYN, PASS)),
        Row("detect_ping, ping, event, passed", cost(DETECT, ethernet(0x0800, ip4(1, PING)), PASS, EMPTY)),
        Row("detect_ping, ping, event, dropped",
            cost(DETECT, ethernet(0x0800, ip4(1, PING)), DROP, EMPTY, listed)),
        Row("detect_ping, ping over IPv6, event, passed", cost(DETECT, ethernet(0x86dd, ip6(58, PING6)), PASS, EMPTY)),
        Row("detect_ping, ping, nobody reads, dropped", cost(DETECT, ethernet(0x0800, ip4(1, PING)), DROP, RUNS, listed)),
        Row("xdp_pass", cost(BUILD / "xdp_pass.bpf.o", SYN, PASS)),
        Row("echo_dispatch, another port, passed", cost(ECHO, "80", SK_PASS)),
        Row("echo_dispatch, open, nobody there, dropped", cost(ECHO, "7", SK_DROP, RUNS, opened)),
    ], compared=False),
]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What each program costs by itself, for each verdict that it gives."""
import os
import socket
import struct

from lab import BUILD, CPU, OURS, RUNS, Missing, Row, Section, Wrong, first, load, pins, run

TITLE = "What each program costs by itself"
DROP, PASS, TX = 1, 2, 3  # enum xdp_action
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


SK_SOCKET = "1+socket"  # SK_PASS, with a socket
NO_COUNTERS = "not here: this processor, or the virtual machine, lets the kernel count no instructions"


def cost(obj, data, verdict, set_up=lambda prog: None, runs=RUNS, options=()):
    """What a run takes, once it is certain that it gives this verdict. What set_up() returns is kept until then."""
    def measure():
        with pins():
            prog = load(obj, *options)
            kept = set_up(prog)
            argv = [OURS / "runs", prog, data if isinstance(data, str) else data.hex(), runs]
            try:
                got, ns, instructions = run(first(argv, CPU)).split()
            except Wrong as why:
                if "Operation not supported" in str(why):
                    raise Missing("not in this kernel: BPF_PROG_TEST_RUN of its type") from why
                raise
            finally:
                del kept
        if got != str(verdict):
            raise Wrong(f"the verdict is {got}, not {verdict}")
        return {"ns": float(ns),
                "instructions": Missing(NO_COUNTERS) if instructions == "-" else float(instructions)}
    return measure


def added(name, *entries):
    """These entries are in the map of this name."""
    return lambda prog: run([BUILD / "map-edit", prog.with_name(name), "add", *entries])


def listing(*prefixes):
    """xdp_blocklist has this list."""
    return lambda prog: run([BUILD / "blocklist-load", prog.parent, "load", "-"], stdin="\n".join(prefixes) + "\n")


def opened(prog):
    run([BUILD / "map-edit", "--key", "u16", "--value", "u8", prog.with_name("echo_ports"), "add", "7"])


def served(kind):
    """Port 7 is open, and served by a socket of this kind."""
    def set_up(prog):
        opened(prog)
        server = socket.socket(socket.AF_INET, kind)
        server.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
        run([BUILD / "sockmap-update", os.getpid(), server.fileno(), prog.with_name("echo_socket")])
        return server
    return set_up


def bound(name, count):
    """Service 1 has a TCP socket, and in the map of this name `count` bindings; port 443 of 127.0.0.1 is one."""
    mask = "" if "host" in name else "/32"

    def set_up(prog):
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        server.listen()
        run([BUILD / "sockmap-update", "--service", "1", os.getpid(), server.fileno(), prog.with_name("dispatch_socket")])
        # Scattered over all of IPv4, none of them 127.0.0.1: a Weyl sequence.
        addresses = [2130706433] + [(i * 2654435769 + 1) % (1 << 32) for i in range(1, count)]
        run([BUILD / "map-edit", prog.with_name(name), "load", "-"],
            stdin="".join(f"{{proto=tcp port=443 addr={socket.inet_ntoa(struct.pack('!I', a))}{mask}}}={{service=1}}\n" for a in addresses))
        return server
    return set_up


def rows(name, obj, *paths):
    """A row for each verdict path of a program: what it is called, and what cost() takes but for the object."""
    return [Row(f"{name}, {path}", cost(obj, *args)) for path, *args in paths]


def section(title, *rows):
    return Section(title, "ns", list(rows), less=True, compared=False)


def ip4_tcp(port, **options):
    return ethernet(0x0800, ip4(6, tcp(port), **options))


SYN = ip4_tcp(8080)
SYN6 = ethernet(0x86dd, ip6(6, tcp(8080)))
ARP = ethernet(0x0806, bytes(28))
ECHO = ethernet(0x0800, ip4(1, PING))
ECHO6 = ethernet(0x86dd, ip6(58, PING6))
CUT_OFF = ethernet(0x0800, b"\x45")
LATER = ip4_tcp(8080, offset=1)
UNREACHABLE = ethernet(0x0800, ip4(1, struct.pack("!BBHI", 3, 1, 0, 0) + ip4(17, UDP)))
SOLICITATION = ethernet(0x86dd, ip6(58, struct.pack("!BBHI16s", 135, 0, 0, 0, bytes(15) + b"\2")))
EMPTY = min(RUNS, 3000)  # events that any of the ring buffers has room for
ALL_OFF = [word for part in ("lists", "bans", "rates", "rules") for word in ("--set", f"fw_{part}=false")]
EVENTS = ["--set", "fw_events_pps=1000000000"]
SOURCE, SOURCE6 = "192.0.2.1", "::1"  # of all these packets

LIMIT = Row("only XDP_DROP", cost(OURS / "only_drop.bpf.o", SYN, DROP))

SECTIONS = [
    section(
        "xdp_drop", LIMIT,
        Row("the least filter, TCP to the port, dropped", cost(OURS / "upstream_drop.bpf.o", SYN, DROP)),
        *rows("xdp_drop.o", BUILD / "xdp_drop.o",
              ("TCP to the port, dropped", SYN, DROP),
              ("TCP to another port, passed", ip4_tcp(80), PASS),
              ("UDP, passed", ethernet(0x0800, ip4(17, UDP)), PASS),
              ("ARP, passed", ARP, PASS),
              ("cut off, passed", CUT_OFF, PASS),
              ("a later fragment, passed", LATER, PASS),
              ("IPv4 with options, dropped", ip4_tcp(8080, options=bytes(8)), DROP),
              ("two VLAN tags, dropped", ethernet(0x0800, ip4(6, tcp(8080)), tags=(0x88a8, 0x8100)), DROP),
              ("IPv6, dropped", SYN6, DROP),
              ("IPv6 with two extension headers, dropped",
               ethernet(0x86dd, ip6(0, HOP_BY_HOP + DESTINATION + tcp(8080))), DROP)),
        Row("xdp_pass", cost(BUILD / "xdp_pass.bpf.o", SYN, PASS))),
    section(
        "detect_ping", LIMIT,
        *rows("detect_ping", BUILD / "detect_ping.bpf.o",
              ("TCP, passed", SYN, PASS),
              ("cut off, passed", CUT_OFF, PASS),
              ("ping, event, passed", ECHO, PASS, lambda prog: None, EMPTY),
              ("ping, event, dropped", ECHO, DROP, added("ping_hash", f"{SOURCE}=1"), EMPTY),
              ("unreachable, event, passed", UNREACHABLE, PASS, added("ping_hash", f"{SOURCE}=1"), EMPTY),
              ("ping over IPv6, event, passed", ECHO6, PASS, lambda prog: None, EMPTY),
              ("ping over IPv6, event, dropped", ECHO6, DROP, added("ping_hash6", f"{SOURCE6}=1"), EMPTY),
              ("ping, nobody reads, passed", ECHO, PASS),
              ("ping, nobody reads, dropped", ECHO, DROP, added("ping_hash", f"{SOURCE}=1")))),
    section(
        "xdp_firewall", LIMIT,
        *rows("xdp_firewall", BUILD / "xdp_firewall.bpf.o",
              ("all parts off, passed", SYN, PASS, lambda prog: None, RUNS, ALL_OFF),
              ("nothing said of it, passed", SYN, PASS),
              ("IPv6, nothing said of it, passed", SYN6, PASS),
              ("ARP, passed", ARP, PASS),
              ("neighbour discovery, passed", SOLICITATION, PASS),
              ("source allowed, passed", SYN, PASS, added("fw_allow4", f"{SOURCE}/32")),
              ("source banned, dropped", SYN, DROP, added("fw_ban", SOURCE)),
              ("source blocked, dropped", SYN, DROP, added("fw_block4", f"{SOURCE}/32")),
              ("IPv6, source blocked, dropped", SYN6, DROP, added("fw_block6", f"{SOURCE6}/128")),
              ("source blocked, event, dropped", SYN, DROP, added("fw_block4", f"{SOURCE}/32"), EMPTY, EVENTS),
              ("within its rate, passed", SYN, PASS, added("fw_rate4", "0.0.0.0/0={pps=1000000000 burst=1000000000}")),
              ("over its rate, dropped", SYN, DROP, added("fw_rate4", "0.0.0.0/0={pps=1}")),
              ("ICMP rule, dropped", ECHO, DROP, added("fw_icmp4", "{type=8}")),
              ("rule on its port, dropped", SYN, DROP, added("fw_rule4", "{proto=tcp port=8080}")),
              ("rule on its port, passed", SYN, PASS, added("fw_rule4", "{proto=tcp port=8080}={verdict=pass}")),
              ("rule on all, dropped", SYN, DROP, added("fw_rule4", "{}")),
              ("port 22, passed", ip4_tcp(22), PASS, added("fw_deny", "tcp")),
              ("ICMP error, passed", UNREACHABLE, PASS, added("fw_deny", "icmp")),
              ("TCP denied, dropped", SYN, DROP, added("fw_deny", "tcp")),
              ("a later fragment denied, dropped", LATER, DROP, added("fw_deny", "fragment")),
              ("cut off, denied, dropped", CUT_OFF, DROP, added("fw_deny", "unparsed")))),
    section(
        "xdp_blocklist", LIMIT,
        *rows("xdp_blocklist", BUILD / "xdp_blocklist.bpf.o",
              ("no list, passed", SYN, PASS),
              ("ARP, passed", ARP, PASS, listing(SOURCE)),
              ("cut off, passed", CUT_OFF, PASS, listing(SOURCE)),
              ("nothing of its /24 listed, passed", SYN, PASS, listing("198.51.100.1")),
              ("others of its /24 listed, passed", SYN, PASS, listing("192.0.2.2")),
              ("its /24 listed, dropped", SYN, DROP, listing("192.0.2.0/24")),
              ("its address listed, dropped", SYN, DROP, listing(SOURCE)),
              ("IPv6, none listed, passed", SYN6, PASS, listing(SOURCE)),
              ("IPv6, its /48 listed, dropped", SYN6, DROP, listing("::/48")),
              ("IPv6, its address listed, dropped", SYN6, DROP, listing(SOURCE6)),
              ("IPv6, and a hundred around it, dropped", SYN6, DROP, listing(*(f"::{2 * i + 1:x}" for i in range(100)))))),
    section(
        "echo_dispatch", Row("only SK_PASS", cost(OURS / "only_lookup.bpf.o", "7", SK_PASS)),
        *rows("echo_dispatch", BUILD / "echo_dispatch.bpf.o",
              ("another port, passed", "80", SK_PASS, served(socket.SOCK_STREAM)),
              ("open, dispatched", "7", SK_SOCKET, served(socket.SOCK_STREAM)),
              ("open, of another protocol, passed", "7", SK_PASS, served(socket.SOCK_DGRAM)),
              ("open, nobody there, dropped", "7", SK_DROP, opened))),
    section(
        "sk_dispatch", Row("only SK_PASS", cost(OURS / "only_lookup.bpf.o", "443", SK_PASS)),
        *rows("sk_dispatch", BUILD / "sk_dispatch.bpf.o",
              ("no binding, passed", "443", SK_PASS),
              *((f"{count:,} in {name}, dispatched", "443", SK_SOCKET, bound(name, count))
                for name in ("dispatch_host4", "dispatch4") for count in (1, 1000, 100000)),
              ("1 in dispatch_host4, another port, passed", "80", SK_PASS, bound("dispatch_host4", 1)),
              ("1 in dispatch4, another port, passed", "80", SK_PASS, bound("dispatch4", 1)))),
]

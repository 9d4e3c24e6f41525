#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Serve many ports with one socket: echo_dispatch and sk_dispatch, beside other ways to do it."""
import contextlib
import dataclasses
import ipaddress
import pathlib
import random
import subprocess
import tempfile

from lab import (ADDRESS, BUILD, CONNECTIONS, CPU, FAR6, MS, OURS, Row, Section, Wire, Wrong, datagram, first, load, need,
                 optional, run, syn)

TITLE = "Serve many ports with one socket"
SERVER = 1500  # the port that the one socket is bound to
FIRST = 2000
MANY = [FIRST + 8 * i for i in range(1024)]  # no range that one rule could name


@contextlib.contextmanager
def serving(ports):
    """A server at the far host, on the CPU of its clients, with a socket for each of these ports."""
    server = subprocess.Popen(["nsenter", "--net=/run/netns/far", "prlimit", "--nofile=8192:",
                               *first([OURS / "connections", "serve", *ports], CPU)],
                              stdout=subprocess.PIPE, text=True)
    try:
        if server.stdout.readline() != "ready\n":
            raise Wrong("the server does not start")
        yield server
    finally:
        server.kill()
        server.communicate()


@dataclasses.dataclass(frozen=True)
class Traffic:
    """What comes: TCP or UDP, over IPv4 or IPv6."""
    proto: str
    v6: bool

    def far(self):
        return FAR6 if self.v6 else ADDRESS["far"]

    def family(self):
        return "6" if self.v6 else "4"

    def listen(self):
        """The server's socket, as sockmap-update finds it."""
        return f"--listen={self.proto}:{'[::]' if self.v6 else '0.0.0.0'}:{SERVER}"

    def table(self):
        """The family of a table of nft."""
        return "ip6" if self.v6 else "ip"


def dispatch(wire, ports, traffic):
    prog = load(BUILD / "echo_dispatch.bpf.o")
    run([BUILD / "sk-lookup-attach", "--netns", "far", prog, prog.with_name("link")])
    run([BUILD / "map-edit", "--key", "u16", "--value", "u8", prog.with_name("echo_ports"), "add", *ports])
    with serving([SERVER]):
        run([BUILD / "sockmap-update", "--netns", "far", traffic.listen(), prog.with_name("echo_socket")])
        yield


def bindings(count, name):
    """A binding for each port of this host, and others of hosts that are elsewhere, up to `count`."""
    def dispatch_services(wire, ports, traffic):
        prog = load(BUILD / "sk_dispatch.bpf.o")
        run([BUILD / "sk-lookup-attach", "--netns", "far", prog, prog.with_name("link")])
        hosts = [(traffic.far(), port) for port in ports]
        elsewhere = ipaddress.ip_address("2001:db8::" if traffic.v6 else "172.16.0.0")
        hosts += [(elsewhere + i, 443) for i in range(count - len(ports))]
        run([BUILD / "map-edit", prog.with_name(name + traffic.family()), "load", "-"],
            stdin="".join(f"{{proto={traffic.proto} port={port} addr={addr}}}={{service=1}}\n" for addr, port in hosts))
        with serving([SERVER]):
            run([BUILD / "sockmap-update", "--netns", "far", "--service", "1", traffic.listen(), prog.with_name("dispatch_socket")])
            yield
    return dispatch_services


def rules(wire, traffic, ports, chain, verdict):
    """A chain of nft, for these ports."""
    need("nft", "nftables")
    with optional():
        wire.far("nft -f -", f"""table {traffic.table()} bench {{
            set open {{ type inet_service; elements = {{ {','.join(map(str, ports))} }} }}
            chain bench {{ type {chain}; {traffic.proto} dport @open {verdict}
            }}
            }}""")


def tproxy(wire, ports, traffic):
    with optional():
        wire.far(f"ip -{traffic.family()} rule add fwmark 1 lookup 100")
        wire.far(f"ip -{traffic.family()} route add local default dev lo table 100")
    rules(wire, traffic, ports, "filter hook prerouting priority mangle", f"tproxy to :{SERVER} meta mark set 1")
    with serving([SERVER]):
        yield


def limit(wire, ports, traffic):
    """What any sk_lookup program costs: one that does nothing, in front of a listener."""
    prog = load(OURS / "only_lookup.bpf.o")
    run([BUILD / "sk-lookup-attach", "--netns", "far", prog, prog.with_name("link")])
    with serving(ports):
        yield


def plain(wire, ports, traffic):
    with serving(ports):
        yield


def nft(wire, ports, traffic):
    rules(wire, traffic, ports, "nat hook prerouting priority dstnat", f"redirect to :{SERVER}")
    with serving([SERVER]):
        yield


def iptables(wire, ports, traffic):
    need("iptables", "iptables")
    lines = [f"-A PREROUTING -p {traffic.proto} -m multiport --dports {','.join(map(str, ports[i:i + 15]))} "
             f"-j REDIRECT --to-ports {SERVER}\n" for i in range(0, len(ports), 15)]
    with optional():
        wire.far(f"{traffic.table()}tables-restore -w", "*nat\n" + "".join(lines) + "COMMIT\n")
    with serving([SERVER]):
        yield


def counted(wire, traffic):
    """What was answered (TCP: by cookies) or has come to the socket (UDP), and what was refused."""
    if traffic.proto == "tcp":
        return wire.snmp("TcpExt", "SyncookiesSent"), wire.snmp("Tcp", "OutRsts")
    udp = "Udp6" if traffic.v6 else "Udp"
    return wire.snmp(udp, "InDatagrams") + wire.snmp(udp, "RcvbufErrors"), wire.snmp(udp, "NoPorts")


def flood(way, ports, traffic):
    """SYNs answered a second, all by cookies, so that the queue of the socket does not matter; or
    datagrams that came to the socket, which nobody reads."""
    def measure():
        with Wire(v6=traffic.v6) as wire, tempfile.NamedTemporaryFile() as addresses:
            if traffic.v6:
                wire.join6(["far"])
                for _ in range(1024):
                    addresses.write(ipaddress.ip_address("2001:db8::").packed[:8] + random.randbytes(8))
                addresses.flush()
            with contextlib.contextmanager(way)(wire, ports, traffic):
                wire.far("sysctl -qw net.ipv4.tcp_syncookies=2")
                before = counted(wire, traffic)
                frame = (syn if traffic.proto == "tcp" else datagram)(FIRST, spread=len(ports) > 1, v6=traffic.v6)
                sent, rate = wire.flood(frame, sources=pathlib.Path(addresses.name) if traffic.v6 else None)
                answered, refused = (now - then for now, then in zip(counted(wire, traffic), before))
        if refused or answered < 1:
            raise Wrong(f"of {sent} packets {answered} were answered, {refused} refused")
        return {"M packets/s": rate * answered / sent / 1e6, "% answered": 100 * answered / sent}
    return measure


def connect(way, ports, traffic):
    """Whole connections a second, one after the other, client and server on one CPU."""
    def measure():
        with Wire(v6=traffic.v6) as wire:
            if traffic.v6:
                wire.join6(["near", "far"])
            with contextlib.contextmanager(way)(wire, ports, traffic):
                wire.near(["ip", "-force", "link", "set", "veth0", "xdpdrv", "obj", BUILD / "xdp_pass.bpf.o", "sec", "xdp"])
                made, refused, ns = map(int, wire.near(first(
                    [OURS / "connections", "ask", traffic.far(), MS, CONNECTIONS, *ports], CPU)).split())
        if refused or not made:
            raise Wrong(f"{refused} of {made + refused} connections were refused")
        return made / (ns / 1e9) / 1e3
    return measure


def section(title, unit, measure, ports, traffic):
    def row(name, way, **goal):
        return Row(name, measure(way, ports, traffic), **goal)

    return Section(title, unit, [
        *(row(f"sk_dispatch, {count:,} in {name}", bindings(count, name))
          for name in ("dispatch_host", "dispatch") for count in sorted({len(ports), 1024 if len(ports) > 1 else 1000, 100000})),
        row("echo_dispatch", dispatch),
        row("a listener" if len(ports) == 1 else "a listener for each", plain, goal=0.97 if measure == flood else None),
        row("a listener, and an empty sk_lookup program", limit, goal=0.97 if measure == flood else None),
        row("nft redirect", nft, goal=2 if measure == flood else None),
        row("nft tproxy", tproxy),
        row("iptables REDIRECT", iptables),
    ])


TCP4, TCP6, UDP4, UDP6 = (Traffic(proto, v6) for proto in ("tcp", "udp") for v6 in (False, True))
SECTIONS = [
    section("SYN flood, one port open", "M packets/s", flood, [FIRST], TCP4),
    section("SYN flood, 1024 ports open", "M packets/s", flood, MANY, TCP4),
    section("SYN flood over IPv6, one port open", "M packets/s", flood, [FIRST], TCP6),
    section("UDP flood, one port open", "M packets/s", flood, [FIRST], UDP4),
    section("UDP flood over IPv6, one port open", "M packets/s", flood, [FIRST], UDP6),
    section("Whole connections, one port open", "1000/s", connect, [FIRST], TCP4),
    section("Whole connections, 1024 ports open", "1000/s", connect, MANY, TCP4),
    section("Whole connections over IPv6, one port open", "1000/s", connect, [FIRST], TCP6),
]

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Serve many ports with one socket: echo_dispatch and sk_dispatch, beside other ways to do it."""
import contextlib
import subprocess

from lab import ADDRESS, BUILD, CONNECTIONS, CPU, MS, OURS, Row, Section, Wire, Wrong, first, load, need, optional, run, syn

TITLE = "Serve many ports with one socket"
SERVER = 1500  # the port that the one socket is bound to
FIRST = 2000
MANY = [FIRST + 8 * i for i in range(1024)]  # no range that one rule could name


@contextlib.contextmanager
def serving(ports):
    """A server at the far host, on the CPU of its clients, with a socket for each of these ports."""
    server = subprocess.Popen(["nsenter", "--net=/run/netns/far", "prlimit", "--nofile=4096:",
                               *first([OURS / "connections", "serve", *ports], CPU)],
                              stdout=subprocess.PIPE, text=True)
    try:
        if server.stdout.readline() != "ready\n":
            raise Wrong("the server does not start")
        yield server
    finally:
        server.kill()
        server.communicate()


def dispatch(wire, ports):
    prog = load(BUILD / "echo_dispatch.bpf.o")
    run([BUILD / "sk-lookup-attach", "--netns", "far", prog, prog.with_name("link")])
    run([BUILD / "map-edit", "--key", "u16", "--value", "u8", prog.with_name("echo_ports"), "add", *ports])
    with serving([SERVER]):
        run([BUILD / "sockmap-update", "--netns", "far", f"--listen=tcp:0.0.0.0:{SERVER}", prog.with_name("echo_socket")])
        yield


def bindings(count):
    """A binding for each port of this host, and others of hosts that are elsewhere, up to `count`."""
    def dispatch_services(wire, ports):
        prog = load(BUILD / "sk_dispatch.bpf.o")
        run([BUILD / "sk-lookup-attach", "--netns", "far", prog, prog.with_name("link")])
        hosts = [(ADDRESS["far"], port) for port in ports]
        hosts += [(f"172.{16 + (i >> 16)}.{i >> 8 & 255}.{i & 255}", 443) for i in range(count - len(ports))]
        run([BUILD / "map-edit", prog.with_name("dispatch_host4"), "load", "-"],
            stdin="".join(f"{{proto=tcp port={port} addr={addr}}}={{service=1}}\n" for addr, port in hosts))
        with serving([SERVER]):
            run([BUILD / "sockmap-update", "--netns", "far", "--service", "1", f"--listen=tcp:0.0.0.0:{SERVER}",
                 prog.with_name("dispatch_socket")])
            yield
    return dispatch_services


def tproxy(wire, ports):
    need("nft", "nftables")
    with optional():
        wire.far("ip rule add fwmark 1 lookup 100")
        wire.far("ip route add local default dev lo table 100")
        wire.far("nft -f -", f"""table ip bench {{
            set open {{ type inet_service; elements = {{ {','.join(map(str, ports))} }} }}
            chain bench {{ type filter hook prerouting priority mangle; tcp dport @open tproxy to :{SERVER} meta mark set 1
            }}
            }}""")
    with serving([SERVER]):
        yield


def limit(wire, ports):
    """What any sk_lookup program costs: one that does nothing, in front of a listener."""
    prog = load(OURS / "only_lookup.bpf.o")
    run([BUILD / "sk-lookup-attach", "--netns", "far", prog, prog.with_name("link")])
    with serving(ports):
        yield


def plain(wire, ports):
    with serving(ports):
        yield


def nft(wire, ports):
    need("nft", "nftables")
    with optional():
        wire.far("nft -f -", f"""table ip bench {{
            set open {{ type inet_service; elements = {{ {','.join(map(str, ports))} }} }}
            chain bench {{ type nat hook prerouting priority dstnat; tcp dport @open redirect to :{SERVER}
            }}
            }}""")
    with serving([SERVER]):
        yield


def iptables(wire, ports):
    need("iptables", "iptables")
    rules = [f"-A PREROUTING -p tcp -m multiport --dports {','.join(map(str, ports[i:i + 15]))} "
             f"-j REDIRECT --to-ports {SERVER}\n" for i in range(0, len(ports), 15)]
    with optional():
        wire.far("iptables-restore -w", "*nat\n" + "".join(rules) + "COMMIT\n")
    with serving([SERVER]):
        yield


def flood(way, ports):
    """SYNs answered a second; all by cookies, so that the queue of the socket does not matter."""
    def measure():
        with Wire() as wire, contextlib.contextmanager(way)(wire, ports):
            wire.far("sysctl -qw net.ipv4.tcp_syncookies=2")
            before = wire.snmp("TcpExt", "SyncookiesSent"), wire.snmp("Tcp", "OutRsts")
            sent, rate = wire.flood(syn(FIRST, spread=len(ports) > 1))
            answered = wire.snmp("TcpExt", "SyncookiesSent") - before[0]
            refused = wire.snmp("Tcp", "OutRsts") - before[1]
        if refused or answered < 1:
            raise Wrong(f"of {sent} SYNs {answered} were answered, {refused} refused")
        return {"M SYNs/s": rate * answered / sent / 1e6, "% answered": 100 * answered / sent}
    return measure


def connect(way, ports):
    """Whole connections a second, one after the other, client and server on one CPU."""
    def measure():
        with Wire() as wire, contextlib.contextmanager(way)(wire, ports):
            wire.near(["ip", "-force", "link", "set", "veth0", "xdpdrv", "obj", BUILD / "xdp_pass.bpf.o", "sec", "xdp"])
            made, refused, ns = map(int, wire.near(first(
                [OURS / "connections", "ask", ADDRESS["far"], MS, CONNECTIONS, *ports], CPU)).split())
        if refused or not made:
            raise Wrong(f"{refused} of {made + refused} connections were refused")
        return made / (ns / 1e9) / 1e3
    return measure


def section(title, unit, measure, ports):
    return Section(title, unit, [
        Row("echo_dispatch", measure(dispatch, ports)),
        *(Row(f"sk_dispatch, {count:,} binding{'s' * (count > 1)}", measure(bindings(count), ports))
          for count in sorted({len(ports), 1024, 100000})),
        Row("a listener" if len(ports) == 1 else "a listener for each", measure(plain, ports),
            goal=0.97 if measure == flood else None),
        Row("a listener, and an empty sk_lookup program", measure(limit, ports)),
        Row("nft redirect", measure(nft, ports)),
        Row("nft tproxy", measure(tproxy, ports)),
        Row("iptables REDIRECT", measure(iptables, ports)),
    ])


SECTIONS = [
    section("SYN flood, one port open", "M SYNs/s", flood, [FIRST]),
    section("SYN flood, 1024 ports open", "M SYNs/s", flood, MANY),
    section("Whole connections, one port open", "1000/s", connect, [FIRST]),
    section("Whole connections, 1024 ports open", "1000/s", connect, MANY),
]

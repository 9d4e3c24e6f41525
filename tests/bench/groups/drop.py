#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Block TCP port 8080."""
import os
import shlex

from groups.dispatch import serving
from lab import (ADDRESS, BUILD, CONNECTIONS, CONTROLS, CPU, MS, OURS, PINS, Missing, Row, Section, Wire, Wrong,
                 first, load, mounted, need, optional, run, syn)

TITLE = "Block TCP port 8080, against a SYN flood to it from random addresses"


def xdp(obj, mode="xdpdrv"):
    def set_up(wire):
        wire.far(["ip", "link", "set", "veth0", mode, "pinned", load(obj)])
    return set_up


def xdp_filter(options=""):
    def set_up(wire):
        need("xdp-filter", "xdp-tools")
        with optional():
            wire.far(f"xdp-filter load --mode native {options} veth0")
            wire.far("xdp-filter port --proto tcp --mode dst 8080")
    return set_up


def tc(wire):
    with optional():
        wire.far("tc qdisc add dev veth0 clsact")
        wire.far(["tc", "filter", "add", "dev", "veth0", "ingress", "bpf", "direct-action", "obj",
                  OURS / "tc_drop.bpf.o", "sec", "tc"])


def nft(table, chain, rule="tcp dport 8080 drop"):
    def set_up(wire):
        need("nft", "nftables")
        with optional():
            wire.far("nft -f -", f"table {table} bench {{ chain bench {{ type filter hook {chain}; {rule}\n}}\n}}")
    return set_up


def iptables(table, chain):
    def set_up(wire):
        need("iptables", "iptables")
        with optional():
            wire.far(f"iptables -w -t {table} -A {chain} -p tcp --dport 8080 -j DROP")
    return set_up


def flood(set_up, blocks=True, controls=True):
    """Packets a second, once it is certain that the filter does what it should.

    What got through is what the host's network stack has delivered, whoever has dropped the rest.
    """
    def measure():
        with Wire() as wire:
            set_up(wire)
            before = wire.snmp("Ip", "InDelivers")
            if controls:
                packets, _ = wire.flood(syn(8081), CONTROLS)
                passed = wire.snmp("Ip", "InDelivers") - before
                if passed != packets:
                    raise Wrong(f"of {packets} packets to port 8081 {passed} got through")
                before += passed
            packets, rate = wire.flood(syn(8080))
            through = wire.snmp("Ip", "InDelivers") - before
            if through != (0 if blocks else packets):
                raise Wrong(f"of {packets} packets to port 8080 {through} got through")
            return rate / 1e6
    return measure


def cgroup_connect(wire, cgroup):
    with optional():
        run(["bpftool", "cgroup", "attach", cgroup, "connect4", "pinned", load(OURS / "cgroup_connect.bpf.o")])


def lsm_connect(wire, cgroup):
    with mounted("securityfs") as security:
        modules = (security / "lsm").read_text()
    if "bpf" not in modules.split(","):
        raise Missing(f"not in this kernel: lsm={modules}, where bpf is not among them")
    try:
        run([OURS / "attach", OURS / "lsm_connect.bpf.o", PINS / "lsm"])
    except Wrong as why:
        # cgroup_connect() could be loaded. This wants CAP_PERFMON too, and that no other module forbids it.
        forbidden = "Operation not permitted" in why.said
        raise Missing("not here: root may not load LSM programs on this machine (Operation not permitted), though its "
                      "kernel has them: a security policy forbids it, or CAP_PERFMON was taken away" if forbidden else
                      f"not here: {why.said}") from why


def connect(set_up):
    """Connects a second that are refused, while those to another port are made."""
    def measure():
        with Wire() as wire, mounted("cgroup2") as cgroups, serving([8081]):
            cgroup = cgroups / os.environ["HOOKSET_BENCH"]
            cgroup.mkdir(exist_ok=True)
            wire.near(["ip", "-force", "link", "set", "veth0", "xdpdrv", "obj", BUILD / "xdp_pass.bpf.o", "sec", "xdp"])
            set_up(wire, cgroup)

            def ask(port, count):
                command = shlex.join(first([OURS / "connections", "ask", ADDRESS["far"], MS, count, port], CPU))
                said = wire.near(["sh", "-euc", f"echo $$ >{cgroup}/cgroup.procs; exec {command}"])
                return map(int, said.split())
            try:
                made, refused, _ = ask(8081, 10)
                if (made, refused) != (10, 0):
                    raise Wrong(f"of 10 connections to port 8081 {made} were made")
                made, refused, ns = ask(8080, CONNECTIONS)
                if made or not refused:
                    raise Wrong(f"of {made + refused} connections to port 8080 {made} were made")
            finally:
                cgroup.rmdir()
        return refused / (ns / 1e9) / 1e3
    return measure


SECTIONS = [
    Section("SYN flood, dropped", "M packets/s", [
        Row("xdp_drop.o, native", flood(xdp(BUILD / "xdp_drop.o"))),
        Row("only XDP_DROP, native: the limit", flood(xdp(OURS / "only_drop.bpf.o"), controls=False)),
        Row("the least filter, native", flood(xdp(OURS / "upstream_drop.bpf.o")), goal=0.95),
        Row("xdp-filter, native", flood(xdp_filter()), goal=1.2),
        Row("xdp-filter, native, only its TCP part", flood(xdp_filter("--features tcp"))),
        Row("xdp_drop.o, generic", flood(xdp(BUILD / "xdp_drop.o", "xdpgeneric"))),
        Row("tc clsact, eBPF", flood(tc)),
        Row("nft netdev ingress", flood(nft("netdev", "ingress device veth0 priority 0")), goal=3),
        Row("nft inet prerouting, raw", flood(nft("inet", "prerouting priority raw")), goal=3),
        Row("iptables raw PREROUTING", flood(iptables("raw", "PREROUTING")), goal=3),
        Row("iptables filter INPUT", flood(iptables("filter", "INPUT"))),
        Row("no filter", flood(lambda wire: None, blocks=False)),
    ]),
    Section("connect() refused", "1000/s", [
        Row("cgroup connect4, eBPF", connect(cgroup_connect)),
        Row("LSM socket_connect, eBPF", connect(lsm_connect)),
        Row("nobody listens: a reset", connect(lambda wire, cgroup: None)),
    ], compared=False),
]

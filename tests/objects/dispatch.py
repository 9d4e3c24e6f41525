#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Random bindings of sk_dispatch and random lookups, beside a model that reads the bindings as text.

dispatch.py DIR PROG ROUNDS LOOKUPS
    DIR has the pins of the maps, PROG is the program's. In each round, the bindings are random,
    each of a service of its own, and none has a socket: so the counter no_socket of a service says
    how many lookups it got. What the model expects comes from Python's ipaddress.

sk_dispatch(7): of the bindings that match, the one with the longest prefix wins; of these, one with
the port; of these, one with the protocol.
"""
import collections
import ipaddress
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile

PROTOCOLS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
PORTS = [1, 7, 80, 256, 443, 65535]
NETWORKS = {4: [ipaddress.ip_network("10.0.0.0/28"), ipaddress.ip_network("10.0.255.0/30"), ipaddress.ip_network("192.0.2.128/31")],
            6: [ipaddress.ip_network("2001:db8::/125"), ipaddress.ip_network("2001:db8:0:1::/126"), ipaddress.ip_network("::/127")]}  # fmt: skip


class Binding:
    def __init__(self, family, service):
        address = random.choice(list(random.choice(NETWORKS[family])))
        length = random.choice([0, 1, 8, address.max_prefixlen // 2, *range(address.max_prefixlen - 5, address.max_prefixlen + 1)])
        self.network = ipaddress.ip_network((address, length), strict=False)
        self.port = random.choice([0, *PORTS])
        self.proto = random.choice(["", *PROTOCOLS])
        self.service = service
        self.is_host = bool(length == address.max_prefixlen and self.port and self.proto and random.randrange(2))

    def key(self):
        """What it binds; of two bindings with the same, the second replaces the first."""
        return self.network, self.port, self.proto

    def text(self):
        fields = [f"proto={self.proto}"] * bool(self.proto) + [f"port={self.port}"] * bool(self.port)
        address = self.network.network_address if self.is_host else self.network
        return f"{{{' '.join([*fields, f'addr={address}'])}}}={{service={self.service}}}"

    def map(self):
        return f"dispatch_host{self.network.version}" if self.is_host else f"dispatch{self.network.version}"

    def matches(self, address, port, proto):
        return address in self.network and self.port in (0, port) and self.proto in ("", proto)

    def rank(self):
        return self.network.prefixlen, bool(self.port), bool(self.proto)


def context(address, port, proto):
    """struct bpf_sk_lookup of linux/bpf.h: the cookie, family, protocol, remote address, local one."""
    v4, v6 = (address.packed, bytes(16)) if address.version == 4 else (bytes(4), address.packed)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return struct.pack("=QII4s16sHxx4s16sII4x", 0, family, PROTOCOLS[proto], bytes(4), bytes(16), 0, v4, v6, port, 0)


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def set_bindings(maps, bindings):
    for name in "dispatch4", "dispatch6", "dispatch_host4", "dispatch_host6":
        text = "".join(f"{binding.text()}\n" for binding in bindings if binding.map() == name)
        run("map-edit", f"{maps}/{name}", "sync", "--allow-empty", "-", input=text)


def counts(maps):
    shown = json.loads(run("map-edit", "--json", f"{maps}/dispatch_stats", "show"))
    return collections.Counter({entry["key"]: entry["value"]["no_socket"] for entry in shown})


def play(maps, prog, number):
    bindings = {}
    for service in range(1, random.choice([2, 10, 100, 600])):
        binding = Binding(random.choice([4, 6]), service)
        bindings[binding.key()] = binding
    bindings = list(bindings.values())
    set_bindings(maps, bindings)

    expected, lookups = collections.Counter(), []
    for _ in range(number):
        address = random.choice(list(random.choice(NETWORKS[random.choice([4, 6])])))
        lookup = address, random.choice([*PORTS, 444]), random.choice(list(PROTOCOLS))
        matching = [binding for binding in bindings if binding.matches(*lookup)]
        if matching:
            expected[max(matching, key=Binding.rank).service] += 1
        lookups.append(lookup)

    before = counts(maps)
    with tempfile.TemporaryDirectory() as directory:
        batch = []
        for lookup in set(lookups):
            path = f"{directory}/{len(batch)}"
            with open(path, "wb") as file:
                file.write(context(*lookup))
            batch.append(f"prog run pinned {prog} ctx_in {path} repeat {lookups.count(lookup)}\n")
        run("bpftool", "batch", "file", "-", input="".join(batch))
    got = counts(maps) - before
    if got != expected:
        for binding in bindings:
            print(binding.text())
        sys.exit(f"lookups of each service, expected: {sorted((expected - got).items())}, got: {sorted((got - expected).items())}")
    return len(lookups), sum(expected.values()), len(bindings)


def main():
    maps, prog, rounds, number = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    random.seed(seed)
    sums = [sum(column) for column in zip(*(play(maps, prog, number) for _ in range(rounds)))]
    print("{} lookups, {} of them for a service, {} bindings: no difference".format(*sums))


if __name__ == "__main__":
    main()

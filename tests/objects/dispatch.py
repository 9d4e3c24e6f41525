#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Random bindings of sk_dispatch and random lookups, beside a model that reads the bindings as text.

dispatch.py DIR PROG ROUNDS LOOKUPS
    DIR has the pins of the maps, PROG is the program's. In each round, the bindings are random,
    each of a service of its own, and none has a socket: so the counter no_socket of a service says
    how many lookups it got. What the model expects comes from Python's ipaddress.

dispatch.py DIR PROG ROUNDS sync
    In each round, random bindings of dispatch4 are replaced by others, by `map-edit sync`, while one
    lookup is made again and again: it must find its service of before, or that of afterwards. A third
    may be found at the very moment of a change, since the program looks several times into the trie:
    by one in a thousand at most, and not while the other bindings are replaced.

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


LOOKUP = ipaddress.ip_address("10.0.255.1"), 443, "tcp"


KINDS = [(length, port, proto) for length in (8, 16, 24, 32) for port in ("", "port=443 ") for proto in ("", "proto=tcp ")]


def matching_bindings(first):
    """Random bindings that match the lookup, and more of each kind that do not, so that a sync takes its time.
    Returns the service of the best one, and their text."""
    chosen = random.sample(KINDS, random.randrange(1, len(KINDS)))
    best = max(chosen, key=lambda kind: (kind[0], bool(kind[1]), bool(kind[2])))
    lines = []
    for length, port, proto in KINDS:
        network = ipaddress.ip_network((LOOKUP[0], length), strict=False)
        if (length, port, proto) in chosen:
            lines.append((proto, port, network, first + chosen.index((length, port, proto))))
        for _ in range(2000):
            other = ipaddress.ip_network((random.randrange(1 << 24, 1 << 28), length), strict=False)
            if other != network:
                lines.append((proto, port, other, first + 1000))
    text = "".join(f"{{{proto}{port}addr={network}}}={{service={service}}}\n" for proto, port, network, service in lines)
    return first + chosen.index(best), text


def replace_bindings(maps, prog, path):
    """Returns how often the lookup found each service, and the two that it may find."""
    (before, old), (after, new) = matching_bindings(1), matching_bindings(2000)
    run("map-edit", f"{maps}/dispatch4", "sync", "-", input=old)
    counted = counts(maps)
    with subprocess.Popen(["bpftool", "prog", "run", "pinned", prog, "ctx_in", path, "repeat", "100000000"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as lookups:  # fmt: skip
        while counts(maps) == counted:
            pass
        run("map-edit", f"{maps}/dispatch4", "sync", "-", input=new)
        lookups.terminate()
    return counts(maps) - counted, (before, after)


def play_sync(maps, prog, rounds):
    with tempfile.NamedTemporaryFile() as file:
        file.write(context(*LOOKUP))
        file.flush()
        for number in range(rounds):
            found, allowed = replace_bindings(maps, prog, file.name)
            third = sum(found.values()) - sum(found[service] for service in allowed)
            if third * 1000 > sum(found.values()):
                sys.exit(f"round {number}: {dict(found)} were found, and only {allowed} may be")
    print(f"{rounds} times replaced: no third service")


def main():
    maps, prog, rounds, number = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    random.seed(seed)
    if number == "sync":
        play_sync(maps, prog, rounds)
        return
    number = int(number)
    sums = [sum(column) for column in zip(*(play(maps, prog, number) for _ in range(rounds)))]
    print("{} lookups, {} of them for a service, {} bindings: no difference".format(*sums))


if __name__ == "__main__":
    main()

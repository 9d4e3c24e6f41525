#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Compare xdp_blocklist and blocklist-load with python's ipaddress.

blocklist.py differ DIR SEED ROUNDS ADDRESSES  random lists, so many: dump is what ipaddress
                                               makes of each, and the program, run by the kernel,
                                               drops and counts what ipaddress says, of so many
                                               random addresses each
blocklist.py edges DIR CIDR...                 each alone as the list: the first and the last address
                                               of it are dropped, and those one beyond are not
blocklist.py steady DIR SECONDS FILE FILE      while these lists are loaded in turn, every packet is
                                               dropped that both drop
blocklist.py dissect TABLE LIST                tshark, who knows no table, agrees with each line where
                                               the addresses of LIST are listed
blocklist.py flood IFNAME ADDRESS...           send packets from these addresses until SIGTERM
blocklist.py watch IFNAME ADDRESS...           until SIGTERM, then print how many came from each
blocklist.py list SEED COUNT [4|6]             print a random list of so many prefixes
blocklist.py collapse                          what ipaddress makes of the list on stdin

DIR holds the pins: prog, blocklist, block_stats.
"""

import bisect
import concurrent.futures
import ctypes
import ipaddress
import json
import os
import platform
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

BPF_OBJ_GET, BPF_PROG_TEST_RUN = 7, 10
XDP_DROP, XDP_PASS = 1, 2
ETH = bytes.fromhex("020000000002 020000000001")
# The shortest packets there are: an IPv4 header, protocol TCP; an IPv6 header, no next header.
IP4 = ETH + bytes.fromhex("0800 4500001400000000400600000000000000000000")
IP6 = ETH + bytes.fromhex("86dd 6000000000003b40") + bytes(32)
MAX = {4: 2**32 - 1, 6: 2**128 - 1}

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]


def bpf(command, attr):
    ret = LIBC.syscall(SYS_BPF, command, attr, len(attr))
    if ret < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}: {os.strerror(ctypes.get_errno())}")
    return ret


class Program:
    """A pinned XDP program, run on the shortest packet there is from an address."""

    def __init__(self, path):
        name = ctypes.create_string_buffer(os.fsencode(path))
        self.fd = bpf(BPF_OBJ_GET, ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(name), 0, 0)))
        self.packets = {4: self.test_run(IP4), 6: self.test_run(IP6)}

    def test_run(self, packet):
        data = ctypes.create_string_buffer(packet, len(packet))
        attr = struct.pack("=IIIIQQII32x", self.fd, 0, len(packet), 0, ctypes.addressof(data), 0, 1, 0)
        return data, ctypes.create_string_buffer(attr, len(attr))

    def drops(self, version, address):
        data, attr = self.packets[version]
        if version == 4:
            struct.pack_into("!I", data, 14 + 12, address)
        else:
            data[14 + 8 : 14 + 24] = address.to_bytes(16, "big")
        bpf(BPF_PROG_TEST_RUN, attr)
        verdict = struct.unpack_from("=I", attr, 4)[0]
        assert verdict in (XDP_DROP, XDP_PASS), verdict
        return verdict == XDP_DROP


def network(version, address, length):
    host = MAX[version] >> length
    return (ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network)((address & ~host, length))


def random_list(rand, version, count):
    """Prefixes of many shapes: anywhere, near each other, at the ends of the address space."""
    bits = 32 if version == 4 else 128
    shortest = rand.choice([0, 1, 4, 8, 12, 16, 20] if version == 4 else [0, 1, 3, 8, 16, 20, 24, 32, 48])
    lengths = rand.choice([
        [bits], [24] if version == 4 else [64], list(range(shortest, bits + 1)), list(range(bits - 10, bits + 1)),
        [16, 24, 32] if version == 4 else [32, 48, 56, 64, 128], list(range(20, 30)),
    ])  # fmt: skip
    places = [(rand.getrandbits(bits), rand.choice([0, 8, 16, 24, 28] + [32, 64, 96, 120] * (bits == 128)))
              for _ in range(rand.choice([1, 2, 10, 100]))]  # fmt: skip
    if version == 6:
        places = [(2 << 124 | where >> 3 if rand.random() < 0.7 else where, fixed) for where, fixed in places]
    result = []
    for _ in range(count):
        where, fixed = rand.choice(places)
        address = where & ~(MAX[version] >> fixed) | rand.getrandbits(bits) & MAX[version] >> fixed
        if rand.random() < 0.01:
            address = rand.choice([0, MAX[version]])
        length = rand.choice(lengths)
        if length < 8 and rand.random() < 0.95:
            length = rand.randint(8, bits)
        result.append(network(version, address, length))
        if rand.random() < 0.2:  # its neighbour
            span = 2 ** (bits - length)
            result.append(network(version, (int(result[-1].network_address) + rand.choice([-1, 1]) * span) & MAX[version], length))
    return result


def unmapped(net):
    """A v4-mapped network is an IPv4 one, except for all of them."""
    if net.version == 4 or net.prefixlen <= 96 or not net.network_address.ipv4_mapped:
        return net
    return ipaddress.IPv4Network((net.network_address.ipv4_mapped, net.prefixlen - 96))


def text_of(rand, net):
    text = str(net)
    if net.version == 4 and net.prefixlen and rand.random() < 0.1:
        net = ipaddress.IPv6Network((f"::ffff:{net.network_address}", 96 + net.prefixlen))
        text = f"::ffff:{text.split('/')[0]}/{net.prefixlen}" if rand.random() < 0.5 else str(net)
    if net.prefixlen == net.max_prefixlen and rand.random() < 0.5:
        text = str(net.network_address)
    elif net.version == 4 and rand.random() < 0.1:
        text = rand.choice([f"{net[0]}-{net[-1]}", f"{net[0]} - {net[-1]}", net.with_netmask, f"{net[0]} {net.netmask}"])
    if net.version == 6 and rand.random() < 0.2:
        text = net.exploded.upper() if rand.random() < 0.5 else net.exploded
    return rand.choice(["", "", " ", "\t"]) + text + rand.choice(["", "", " ", "\r", "# 7", " ; SBL1", "\t# ::/0"]) + "\n"


def candidates(rand, version, nets, count):
    """Addresses at the edges of the list's prefixes, within them, near them and anywhere."""
    bits = 32 if version == 4 else 128
    for _ in range(count):
        if not nets or rand.random() < 0.1:
            address = rand.getrandbits(bits)
            yield 2 << 124 | address >> 3 if version == 6 and rand.random() < 0.5 else address
            continue
        net = rand.choice(nets)
        first, last = int(net.network_address), int(net.broadcast_address)
        inside = rand.randint(first, last)
        yield rand.choice([first, last, first - 1, last + 1, inside, inside ^ 1 << rand.randrange(bits), inside,
                           0, MAX[version]][: 9 if rand.random() < 0.05 else 7]) & MAX[version]  # fmt: skip


def is_listed(starts, nets, address):
    at = bisect.bisect_right(starts, address) - 1
    return at >= 0 and address <= int(nets[at].broadcast_address)


def stats(pins):
    return json.loads(subprocess.check_output(["blocklist-load", "--json", pins, "stats"]))


def differ(pins, seed, rounds, addresses):
    program = Program(f"{pins}/prog")
    tried = listed = prefixes = 0
    for number in range(int(rounds)):
        rand = random.Random(f"{seed}.{number}")
        where = f"seed {seed}.{number}"
        nets = {v: random_list(rand, v, rand.choice([0, 1, 2, 10, 100, 1000, 10000])) for v in (4, 6)}
        lines = [text_of(rand, net) for net in nets[4] + nets[6]]
        rand.shuffle(lines)
        loaded = json.loads(subprocess.run(["blocklist-load", "--json", pins, "load", "--allow-empty", "-"], input="".join(lines),
                                           stdout=subprocess.PIPE, text=True, check=True).stdout)  # fmt: skip
        collapsed = {v: list(ipaddress.collapse_addresses(nets[v])) for v in (4, 6)}
        expected = {"read": len(lines), "bad": 0, "merged": len(collapsed[4]) + len(collapsed[6]),
                    "ipv4": len(collapsed[4]), "ipv6": len(collapsed[6])}  # fmt: skip
        if expected != {name: loaded[name] for name in expected}:
            sys.exit(f"{where}: loaded {loaded}, expected {expected}")
        dumped = subprocess.check_output(["blocklist-load", pins, "dump"], text=True).split()
        if [ipaddress.ip_network(net) for net in dumped] != collapsed[4] + collapsed[6]:
            sys.exit(f"{where}: dump is not what ipaddress makes of the list")
        before, drops = stats(pins), {4: 0, 6: 0}
        for version in (4, 6):
            starts = [int(net.network_address) for net in collapsed[version]]
            for address in candidates(rand, version, nets[version], int(addresses)):
                expected = is_listed(starts, collapsed[version], address)
                if program.drops(version, address) != expected:
                    sys.exit(f"{where}: {ipaddress.ip_address(address.to_bytes(4 if version == 4 else 16, 'big'))}"
                             f" should be {'dropped' if expected else 'passed'}")  # fmt: skip
                drops[version] += expected
                tried += 1
        after = stats(pins)
        for version in (4, 6):
            counted = after[f"dropped{version}"] - before[f"dropped{version}"]
            if counted != drops[version]:
                sys.exit(f"{where}: counted {counted} IPv{version} packets dropped, of {drops[version]}")
        listed += drops[4] + drops[6]
        prefixes += len(lines)
    print(f"{rounds} lists of {prefixes} prefixes, {tried} addresses, {listed} listed: no difference")


def edges(pins, *cidrs):
    program, wrong = Program(f"{pins}/prog"), 0
    for cidr in cidrs:
        subprocess.run(["blocklist-load", pins, "load", "-"], input=f"{cidr}\n", stdout=subprocess.PIPE, text=True, check=True)
        net = unmapped(ipaddress.ip_network(cidr))
        first, last = int(net.network_address), int(net.broadcast_address)
        tries = {first: True, last: True, (first + last) // 2: True}
        if first > 0:
            tries[first - 1] = False
        if last < MAX[net.version]:
            tries[last + 1] = False
        tried = [(net.version, address, expected) for address, expected in tries.items()]
        other = 10 - net.version
        for version, address, expected in [*tried, (other, 0, False), (other, MAX[other], False)]:
            if program.drops(version, address) != expected:
                print(f"{cidr}: IPv{version} {address:x} should be {'dropped' if expected else 'passed'}")
                wrong += 1
    print(f"{len(cidrs)} CIDRs, {wrong} wrong")
    sys.exit(wrong > 0 or not cidrs)


def read_nets(path):
    return [ipaddress.ip_network(line) for line in open(path).read().split()]


def steady(pins, seconds, *files):
    program, tries, loads = Program(f"{pins}/prog"), 0, 0
    lists = [set(read_nets(path)) for path in files]
    both = [(net.version, int(net.network_address)) for net in set.intersection(*lists)]
    assert {version for version, _ in both} == {4, 6}
    subprocess.run(["blocklist-load", pins, "load", files[0]], stdout=subprocess.PIPE, check=True)
    going = [True]

    def load():
        while going:
            for path in files:
                subprocess.run(["blocklist-load", pins, "load", path], stdout=subprocess.PIPE, check=True)

    with concurrent.futures.ThreadPoolExecutor() as pool:
        loader, deadline = pool.submit(load), time.monotonic() + float(seconds)
        passed, show, before = None, ["map-edit", f"{pins}/blocklist", "show"], None
        while not passed and not loader.done() and (time.monotonic() < deadline or loads < 10):
            now = subprocess.check_output(show)
            loads, before = loads + (now != before), now
            for version, address in both * 20:
                tries += 1
                if not program.drops(version, address):
                    passed = f"packet {tries} of IPv{version}, {address:x}, was passed"
        going.clear()
        loader.result()
    if passed:
        sys.exit(passed)
    print(f"{tries} packets dropped, while the list changed {loads} times or more")


def dissect(path, listed):
    import packets

    nets, lines = read_nets(listed), packets.read_table(path)
    wrong, frames = [], packets.dissected(lines)
    for line, frame in zip(lines, frames):
        seen, path_seen = "PASS", frame["frame.protocols"] if frame else "a broken packet"
        for layer, field in ((packets.IP4, "ip.src"), (packets.LINK + ":ipv6", "ipv6.src")):
            if frame and re.fullmatch(f"{layer}(:.*)?", path_seen):
                source = ipaddress.ip_address(frame[field])
                seen = "DROP" if any(source in net for net in nets) else "PASS"
        if seen != line.verdict and not line.known:
            wrong.append((line, line.verdict, f"{seen}, as tshark sees {path_seen}"))
    packets.report(path, lines, wrong, f"{frames.count(None)} broken")


def packets_of(ifname):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind((ifname, 0))
    return sock


def flood(ifname, *addresses):
    packets, sock, going = [], packets_of(ifname), [True]
    for address in map(ipaddress.ip_address, addresses):
        packet = bytearray(IP4 if address.version == 4 else IP6)
        at = 14 + (12 if address.version == 4 else 8)
        packet[at : at + len(address.packed)] = address.packed
        packets.append(bytes(packet))
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    print("ready", flush=True)
    while going:
        for packet in packets:
            sock.send(packet)


def watch(ifname, *addresses):
    count, sock, going = dict.fromkeys(map(ipaddress.ip_address, addresses), 0), packets_of(ifname), [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    sock.settimeout(0.1)
    print("ready", flush=True)
    while going:
        try:
            packet = sock.recv(65536)
        except TimeoutError:
            continue
        kind = packet[12:14]
        source = packet[26:30] if kind == b"\x08\x00" else packet[22:38] if kind == b"\x86\xdd" else b""
        address = ipaddress.ip_address(source) if len(source) in (4, 16) else None
        if address in count:
            count[address] += 1
    for address, number in count.items():
        print(address, number)


def print_list(seed, count, *versions):
    rand = random.Random(seed)
    for version in map(int, versions or (4, 6)):
        for net in random_list(rand, version, int(count)):
            print(net)


def collapse():
    nets = [ipaddress.ip_network(line) for line in sys.stdin.read().split()]
    for version in (4, 6):
        for net in ipaddress.collapse_addresses(net for net in nets if net.version == version):
            print(net)


COMMANDS = {f.__name__: f for f in (differ, edges, steady, dissect, flood, watch, collapse)}
COMMANDS["list"] = print_list

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Compare the tables that blocklist-load builds with what python's ipaddress says of the lists.

blocklist_table.py lists FIXTURE                 each line of stdin is "NAME | RANGE RANGE...", a list. A
                                                 RANGE is an address, a CIDR or FIRST-LAST
blocklist_table.py random FIXTURE SEED ROUNDS    random lists

Of each list, the table is read back; it has the size that blocklist-load(8) says; and addresses are
looked up in it: at, beside and between the ends of each range, at the borders of slots, and anywhere.
FIXTURE is tests/fixtures/blocklist_table.cc, built.
"""

import bisect
import ipaddress
import random
import subprocess
import sys

MAX = {4: 2**32 - 1, 6: 2**128 - 1}
FIRST_PARTS = 3 * 2**15  # cells of the bitmap and the rank directory of one family
BORDERS = {4: [0, MAX[4]], 6: [0, 2**125 - 1, 2**125, 2**126 - 1, 2**126, MAX[6]]}


def address(version, number):
    return (ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address)(number)


def parse(text):
    """(version, first, last) of a RANGE."""
    if "-" in text:
        first, last = map(ipaddress.ip_address, text.split("-"))
        return first.version, int(first), int(last)
    net = ipaddress.ip_network(text)
    return net.version, int(net.network_address), int(net.broadcast_address)


def collapse(version, ranges):
    """The ranges, sorted and joined, as ipaddress does it."""
    nets = [net for of, first, last in ranges if of == version
            for net in ipaddress.summarize_address_range(address(version, first), address(version, last))]  # fmt: skip
    joined = []
    for net in ipaddress.collapse_addresses(nets):
        first, last = int(net.network_address), int(net.broadcast_address)
        if joined and joined[-1][1] + 1 == first:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def slot_bits(version, number):
    """How many bits of an address tell those of one slot apart."""
    return 8 if version == 4 else 102 if number >> 125 == 1 else 105


def slot_of(version, number):
    bits = slot_bits(version, number)
    return bits, number >> bits


def partial_slots(version, joined):
    """How many ranges there are in each slot that is listed in part."""
    slots = {}
    for first, last in joined:
        for end in {slot_of(version, first), slot_of(version, last)}:
            bits, slot = end
            if first > slot << bits or last < (slot + 1 << bits) - 1:
                slots[end] = slots.get(end, 0) + 1
    return slots


def sizes(version, joined):
    """The smallest and the largest number of cells that the family may take."""
    if not joined:
        return 0, 0
    slots = partial_slots(version, joined)
    least = most = FIRST_PARTS + (len(slots) + 1) // 2
    for count in slots.values():
        if version == 6 and count > 1:
            least += (count + 1) // 2 + 1
            most += (count + 1) // 2 + count
    return least, most


def tries(rand, version, joined, count):
    """Addresses to look up: of a long list, some of the ranges."""
    yield from BORDERS[version]
    yield from (rand.randint(0, MAX[version]) for _ in range(10))
    for first, last in joined if len(joined) <= count else rand.sample(joined, count):
        yield from (first - 1, first, first + 1, last - 1, last, last + 1, (first + last) // 2, rand.randint(first, last))
        for end in (first, last):
            bits, slot = slot_of(version, min(end, MAX[version]))
            yield from ((slot << bits) - 1, slot << bits, (slot + 1 << bits) - 1, slot + 1 << bits)
            yield rand.randint(slot << bits, (slot + 1 << bits) - 1)
            yield end ^ 1 << rand.randrange(bits)


def check(fixture, name, rand, ranges):
    joined = {version: collapse(version, ranges) for version in (4, 6)}
    asked = [(version, number) for version in (4, 6) for number in tries(rand, version, joined[version], 300)
             if 0 <= number <= MAX[version]]  # fmt: skip
    lines = [f"{version} {first:x} {last:x}" for version, first, last in ranges]
    lines += [f"? {version} {number:x}" for version, number in asked]
    done = subprocess.run([fixture], input="\n".join(lines), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: exit status {done.returncode}: {done.stderr.strip()}")
    cells, *back, answers = done.stdout.splitlines()

    expected = [f"{version} {first:x} {last:x}" for version in (4, 6) for first, last in joined[version]]
    if back != expected:
        sys.exit(f"{name}: read back\n{back[:20]}\nexpected\n{expected[:20]}")
    least, most = (1 + sum(size) for size in zip(sizes(4, joined[4]), sizes(6, joined[6])))
    if not least <= int(cells.split()[1]) <= most:
        sys.exit(f"{name}: {cells}, expected {least} to {most}")
    if len(answers) != len(asked):
        sys.exit(f"{name}: {len(answers)} answers to {len(asked)} addresses")
    for (version, number), answer in zip(asked, answers):
        at = bisect.bisect_right(joined[version], (number, MAX[6])) - 1
        listed = at >= 0 and number <= joined[version][at][1]
        if listed != (answer == "1"):
            sys.exit(f"{name}: {address(version, number)} should be {'listed' if listed else 'not listed'}")
    return len(asked)


def lists(fixture):
    rand, count, looked_up = random.Random(7), 0, 0
    for line in filter(str.strip, sys.stdin):
        name, _, text = line.partition("|")
        looked_up += check(fixture, name.strip(), rand, [parse(word) for word in text.split()])
        count += 1
    print(f"{count} lists, {looked_up} addresses: no difference")


def random_range(rand, version, places):
    """A range of any length, which begins near one of the places: (address, bits that are free)."""
    place, free = rand.choice(places)
    first = place ^ rand.getrandbits(free) if free else place
    if rand.random() < 0.05:
        first = rand.choice(BORDERS[version])
    if rand.random() < 0.1:  # at the border of a slot
        bits, slot = slot_of(version, first)
        first = min(max((slot + rand.randint(0, 1) << bits) - rand.randint(0, 1), 0), MAX[version])
    length = rand.choice([0, 0, 1, rand.getrandbits(rand.randint(1, max(free, 2))), rand.getrandbits(rand.choice([2, 8, 20]))])
    return version, first, min(first + length, MAX[version])


def random_list(rand, version):
    bits = 32 if version == 4 else 128
    places = []
    for _ in range(rand.choice([1, 2, 10, 100])):
        place = rand.getrandbits(bits)
        if version == 6 and rand.random() < 0.7:
            place = 2 << 124 | place >> 3
        places.append((place, rand.choice([0, 4, 8, 10, 16, 24] + [40, 64, 100, 106] * (version == 6))))
    return [random_range(rand, version, places) for _ in range(rand.choice([0, 1, 2, 3, 10, 100, 1000, 3000]))]


def random_lists(fixture, seed, rounds):
    count = looked_up = 0
    for number in range(int(rounds)):
        name = f"seed {seed}.{number}"
        rand = random.Random(f"{seed}.{number}")
        ranges = random_list(rand, 4) + random_list(rand, 6)
        rand.shuffle(ranges)
        count += len(ranges)
        looked_up += check(fixture, name, rand, ranges)
    print(f"{rounds} lists of {count} ranges, {looked_up} addresses: no difference")


COMMANDS = {"lists": lists, "random": random_lists}

if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])

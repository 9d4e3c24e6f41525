#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Lists as they arrive, for lists.bats.

lists.py compressed DIR     a list compressed by gzip, xz and zstd, cut behind each byte, with each byte
                            changed, with more files behind it, and with other data behind it: it is
                            read as a whole, or it is an error of one line
lists.py formats DIR PINS SEED ROUNDS
                            random lists in each published format: blocklist-load, whose maps are in
                            PINS, and map-edit, with the LPM tries cidr4 and cidr6 in DIR, make of
                            them what ipaddress does
lists.py json SEED ROUNDS   lines of a JSON list, mutated: they are objects with a good "cidr" where
                            Python's json and ipaddress say so
"""

import ipaddress
import json
import random
import subprocess
import sys

ADDRESSES = [f"192.0.2.{n}" for n in range(0, 64, 2)]
PACKERS = {"gzip": ["gzip", "-c"], "xz": ["xz", "-c"], "zstd": ["zstd", "-qc"]}


def check(path, data):
    """How many entries are read of it: None where it is an error."""
    with open(path, "wb") as file:
        file.write(data)
    done = subprocess.run(["blocklist-load", "--json", ".", "check", path], capture_output=True, text=True, errors="replace")
    if done.returncode:
        assert done.returncode == 1 and not done.stdout, done
        return None, done.stderr
    assert not done.stderr, done
    return json.loads(done.stdout)["read"], ""


def compressed(folder):
    tried, wrong = 0, []
    path = f"{folder}/compressed"
    text = "".join(f"{address}\n" for address in ADDRESSES).encode()
    for name, command in PACKERS.items():
        pack = lambda data, command=command: subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout  # noqa: E731
        data, more = pack(text), pack(b"198.51.100.1\n")
        behind = f"blocklist-load: read '{path}': other data follows the compressed data\n"
        if name == "xz":
            behind = None  # liblzma calls it a damaged or a short stream
        cases = [("whole", data, len(ADDRESSES), ""), ("two", data + more, len(ADDRESSES) + 1, ""),
                 ("with an empty one", pack(b"") + data + pack(b"") + more, len(ADDRESSES) + 1, ""),
                 ("text behind it", data + b"198.51.100.1\n", None, behind),
                 ("one byte behind it", data + b"1", None, None),
                 ("another kind behind it", data + pack(b"x")[:1] + more, None, None)]  # fmt: skip
        if name != "zstd":  # RFC 1952 has none, but gzip(1) takes it; the xz file format, section 2.2
            cases += [("zeros behind it", data + bytes(4), len(ADDRESSES), ""),
                      ("data behind zeros", data + bytes(4) + b"1", None, behind)]  # fmt: skip
        for what, packed, expected, error in cases:
            seen, said = check(path, packed)
            tried += 1
            if seen != expected or error not in (None, said):
                wrong.append(f"{name}: {what}: {seen} read: {said}")
        for size in range(len(data)):
            for what, packed, expected in (("cut", data[:size], None), ("second cut", data + more[:size], None),
                                           ("changed", data[:size] + bytes([data[size] ^ 0xff]) + data[size + 1:], len(ADDRESSES)),
                                           ):  # fmt: skip
                if what == "second cut" and not 0 < size < len(more):
                    continue
                seen, said = check(path, packed)
                tried += 1
                if seen is not None and seen != expected:
                    wrong.append(f"{name}: {what} at {size}: {seen} read")
                # Without its first bytes it is no compressed file, but a text of bad lines.
                if seen is None and size >= 6 and said.count("\n") != 1:
                    wrong.append(f"{name}: {what} at {size}: {said}")
    print(*wrong, f"{tried} files, {len(wrong)} wrong", sep="\n")
    sys.exit(bool(wrong))


# ---- formats


def random_range(rand, version, aligned):
    """The first and last address, of one network if aligned, in a documentation prefix or anywhere."""
    base = ipaddress.ip_network(rand.choice(["192.0.2.0/24", "198.51.100.0/24", "0.0.0.0/0"] if version == 4
                                            else ["2001:db8::/32", "::/0"]))  # fmt: skip
    length = rand.randint(max(base.prefixlen, 1), base.max_prefixlen)
    first = int(base[0]) + (rand.getrandbits(base.max_prefixlen) & int(base.hostmask))
    if aligned:
        net = ipaddress.ip_network((first, length), strict=False) if version == 6 else ipaddress.IPv4Network((first, length), strict=False)
        return net[0], net[-1]
    last = min(first + rand.choice([0, 1, 5, 255, rand.getrandbits(16)]), int(base[-1]))
    return (ipaddress.IPv4Address, ipaddress.IPv6Address)[version == 6](first), \
        (ipaddress.IPv4Address, ipaddress.IPv6Address)[version == 6](last)


def nets_of(pair):
    return list(ipaddress.summarize_address_range(*pair))


def plain_line(rand, pair):
    forms = [f"{pair[0]}-{pair[1]}", f"{pair[0]} - {pair[1]}", f"{pair[0]}-{pair[1]}\t# {pair[1]}"]
    nets = nets_of(pair)
    if len(nets) == 1:
        forms += [str(nets[0]), f"{nets[0]} ; SBL1"]
        if nets[0].version == 4:
            forms += [nets[0].with_netmask, f"{pair[0]} {nets[0].netmask}", f"{pair[0]}\t{nets[0].netmask} # x"]
    return rand.choice(forms)


def json_line(rand, pair):
    return json.dumps({"cidr": str(nets_of(pair)[0]), "sblid": "SBL256894", "rir": "apnic"},
                      separators=rand.choice([(",", ":"), (", ", ": ")]))  # fmt: skip


def p2p_line(rand, pair):
    name = rand.choice(["Some Company, Inc. #2", "a:b-c", "192.0.2.1-192.0.2.9 again", "caf\u00e9", "x; y", "-"])
    return f"{name}:{pair[0]}-{pair[1]}"


def dshield_line(rand, pair):
    name = rand.choice(["EXAMPLE-NET", "Example #1; Ltd.", ""])
    return f"{pair[0]}\t{pair[1]}\t{nets_of(pair)[0].prefixlen}\t{rand.randint(1, 9999)}\t{name}\tZZ\tabuse@example.net"


def ipset_line(rand, pair):
    nets = nets_of(pair)
    entry = str(nets[0]) if len(nets) == 1 else f"{pair[0]}-{pair[1]}"
    option = rand.choice(["", " timeout 599", ' comment "a # b; nomatch"', " packets 3 bytes 180", ' skbmark 0x1 timeout 0 comment "x"'])
    return f"add bad {entry}{option}"


FORMATS = {  # name: line, only networks, families, headline, last line
    "plain": (plain_line, False, (4, 6), "# a list\n; of some\n", ""),
    "json": (json_line, True, (4, 6), "", '{{"type":"metadata","timestamp":1744682874,"size":85741,"records":{},'
             '"copyright":"(c) 2025 The Spamhaus Project SLU","terms":"https://www.spamhaus.org/drop/terms/"}}\n'),
    "p2p": (p2p_line, False, (4,), "# List distributed by example.org\n\n", ""),
    "dshield": (dshield_line, True, (4,), "#\n#   DShield.org Recommended Block List\n#\n"
                "Start\tEnd\tNetmask\tAttacks\tName\tCountry\temail\n", ""),
    "ipset": (ipset_line, False, (4, 6), "create bad hash:net family inet hashsize 1024 maxelem 65536 comment bucketsize 12 initval 0x4501744e\n", ""),
}  # fmt: skip


def run(*command, text):
    return subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True).stdout


def formats(folder, pins, seed, rounds):
    tried = entries = 0
    for number in range(int(rounds)):
        for name, (line, only_nets, versions, head, tail) in FORMATS.items():
            for version in versions:
                rand = random.Random(f"{seed}.{number}.{name}.{version}")
                pairs = [random_range(rand, version, only_nets or rand.random() < 0.5) for _ in range(rand.choice([1, 3, 40]))]
                text = head + "".join(line(rand, pair) + rand.choice(["\n", "\r\n"]) for pair in pairs) + tail.format(len(pairs))
                nets = {net for pair in pairs for net in nets_of(pair)}
                how = [] if rand.random() < 0.5 else ["--format", name]
                where = f"seed {seed}.{number}, {name}, IPv{version}"
                loaded = json.loads(run("blocklist-load", "-j", *how, pins, "load", "-", text=text))
                if (loaded["read"], loaded["bad"], loaded["formats"]) != (len(pairs), 0, [name]):
                    sys.exit(f"{where}: {len(pairs)} entries: {loaded}")
                dumped = run("blocklist-load", pins, "dump", text="").split()
                if [ipaddress.ip_network(net) for net in dumped] != list(ipaddress.collapse_addresses(nets)):
                    sys.exit(f"{where}: dump is not what ipaddress makes of the list")
                edit = ["map-edit", "--key", f"cidr{version}", "--value", "u8", f"{folder}/cidr{version}"]
                synced = json.loads(run(*edit, "-j", "sync", *how, "-", text=text))
                shown = run(*edit, "show", text="").split()
                if synced["format"] != name or {ipaddress.ip_network(entry.removesuffix("=1")) for entry in shown} != nets:
                    sys.exit(f"{where}: map-edit: {synced}, {len(shown)} shown, {len(nets)} expected")
                tried, entries = tried + 1, entries + len(pairs)
    print(f"{tried} lists, {entries} entries: no difference")


# ---- json

LINES = ['{"cidr":"192.0.2.0/24","sblid":"SBL256894","rir":"apnic"}', '{ "a" : [ 1 , -2.5e+3 , [ ] , { } , null ] , "cidr" : "2001:db8::/32" }',
         '{"cidr":"192.0.2.0\\/24","x":"\\u00e9\\"\\\\","y":{"cidr":"z"},"t":true,"f":false}', '{"\\u0063idr":"192.0.2.1","n":[0,10,0.1,1e9]}']  # fmt: skip


def once(pairs):
    """What objects become: the outermost one may have no member twice that counts."""
    if sum(name == "cidr" for name, _ in pairs) > 1:
        return {"cidr": None}
    return dict(pairs)


def refuse(text):
    raise ValueError(text)


def is_good(line):
    try:
        value = json.loads(line, object_pairs_hook=once, parse_constant=refuse)
        cidr = value["cidr"] if isinstance(value, dict) else None
        ipaddress.ip_network(cidr if isinstance(cidr, str) else "no")
        return not any(isinstance(value.get(name), kind) for name, kind in (("type", int), ("records", str)))
    except (ValueError, KeyError):
        return False


def json_lines(seed, rounds):
    good = wrong = 0
    for number in range(int(rounds)):
        rand = random.Random(f"{seed}.{number}")
        line = list(rand.choice(LINES))
        for _ in range(rand.choice([0, 1, 1, 2])):
            at = rand.randrange(len(line))
            if rand.random() < 0.5:
                line[at] = rand.choice('{}[]",:\\0123456789.eE+-/ truefalsn')
            else:
                line[at : at + rand.randint(0, 3)] = rand.choice(["", ",", '"', "}", "]", "0", " ", "1e", "\t", "\\u0", line[at] * 2])
        text = "".join(line)
        expected = is_good(text)
        done = subprocess.run(["blocklist-load", ".", "check", "--format", "json", "-"], input=text, capture_output=True, text=True)
        good += expected
        if (done.returncode == 0) != expected:
            wrong += 1
            print(f"seed {seed}.{number}: {text}: {done.stdout}{done.stderr}")
    print(f"{rounds} lines, {good} good, {wrong} wrong")
    sys.exit(bool(wrong))


COMMANDS = {"compressed": compressed, "formats": formats, "json": json_lines}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*sys.argv[2:])

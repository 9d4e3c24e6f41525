#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Lists as they arrive, for lists.bats.

lists.py compressed DIR     a list compressed by gzip, xz and zstd, cut behind each byte, with each byte
                            changed, with more files behind it, and with other data behind it: it is
                            read as a whole, or it is an error of one line
"""

import json
import subprocess
import sys

ADDRESSES = [f"192.0.2.{n}" for n in range(0, 64, 2)]
COMMANDS = {"gzip": ["gzip", "-c"], "xz": ["xz", "-c"], "zstd": ["zstd", "-qc"]}


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
    for name, command in COMMANDS.items():
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


if __name__ == "__main__":
    {"compressed": compressed}[sys.argv[1]](*sys.argv[2:])

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the kernel can do, where bash cannot ask. Exits with 0 if it can.

probe.py exchange ONE TWO       rename(2) exchanges these two in their file system
probe.py unix-in-sockmap PIN    the sockmap pinned there takes a unix socket
probe.py tls                    a TCP socket takes the upper layer protocol tls
"""
import ctypes
import os
import socket
import subprocess
import sys

AT_FDCWD = -100
RENAME_EXCHANGE = 2  # linux/fs.h


def exchange(one, two):
    renameat2 = ctypes.CDLL(None).renameat2
    return renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(two), RENAME_EXCHANGE) == 0


def unix_in_sockmap(pin):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # bpftool has the fds that it was started with.
    update = ["bpftool", "map", "update", "pinned", pin, "key", *"0000", "value", str(sock.fileno()), *"0000000"]
    return subprocess.run(update, pass_fds=[sock.fileno()], capture_output=True).returncode == 0


def tls():
    server = socket.create_server(("127.0.0.1", 0))
    with socket.create_connection(server.getsockname()) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, 31, b"tls")  # TCP_ULP
    return True


if __name__ == "__main__":
    probes = {"exchange": exchange, "unix-in-sockmap": unix_in_sockmap, "tls": tls}
    sys.exit(not probes[sys.argv[1]](*sys.argv[2:]))

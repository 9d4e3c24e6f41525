# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What the proofs do to hookset's helpers: a scene is a verb, what must be there before it, and what
may be looked at afterwards.

SETUP, COMMAND and the names of maps have {d} for a directory on a bpffs of the scene's own, {t} for
one of files, {w} for what outlives the scenes, {build} for what is built and {pid} for a process
that has sockets: fd 3 is a listening TCP socket on 127.0.0.1:7777, fd 4 a UDP one. v0 and v1 are the
ends of a veth pair. All of it is in a mount and a network namespace of our own.
"""
import contextlib
import dataclasses
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@dataclasses.dataclass
class Scene:
    name: str
    command: str
    setup: str = ""
    maps: tuple = ()  # pins of maps whose entries belong to the state; "verdicts": of {d}/prog
    reads: bool = False  # changes nothing: what it prints is the result
    takes: bool = False  # what it reads is gone then
    gone: tuple = ()  # what it does not print of an object or a pin that is gone meanwhile, or may not be opened

    def without_gone(self, output):
        """What it prints where something is gone."""
        return [re.sub(gone, "", output) for gone in self.gone]


PASS = "bpftool prog load {build}/xdp_pass.bpf.o {d}/pass\n"
DROP = "bpftool prog load {build}/xdp_drop.bpf.o {d}/drop\n"
PING = "bpftool prog load {build}/detect_ping.bpf.o {d}/ping\n"
ECHO = "bpftool prog load {build}/echo_dispatch.bpf.o {d}/echo pinmaps {d}/maps\n"
HASH = "bpftool map create {d}/m type hash key 4 value 4 entries 100 name hookset_proof\n"
BLOCK = """bpftool prog load {build}/xdp_blocklist.bpf.o {d}/prog pinmaps {d}/maps
printf '192.0.2.%s\\n' 1 2 3 >{t}/old
printf '198.51.100.0/24\\n2001:db8::/32\\n' >{t}/new
"""
FILLED = HASH + "printf '%s=1\\n' 1 2 3 >{t}/old; {build}/map-edit --key u32 --value u32 {d}/m load {t}/old\n"
TYPES = "map-edit --key u32 --value u32 {d}/m"

SCENES = [
    Scene("map-pin prog", "map-pin prog {d}/ping {d}/pins", PING),
    Scene("map-pin prog, owner", "map-pin -m 640 -o 65534:65534 prog {d}/ping {d}/pins", PING),
    Scene("map-pin -r prog", "map-pin -r prog {d}/ping {d}/pins",
          PING + "mkdir {d}/pins; for m in ping_hash ringbuf; do bpftool map create {d}/pins/$m type hash key 4 value 4 entries 7"
          " name old; done"),
    Scene("map-pin dev", "map-pin dev v0 {d}/pins", PING + "ip link set dev v0 xdp pinned {d}/ping"),
    Scene("map-pin link", "map-pin link {d}/link {d}/pins", ECHO + "{build}/sk-lookup-attach {d}/echo {d}/link"),
    Scene("map-pin map", "map-pin -r map {id} {d}/pin", HASH + "bpftool map create {d}/pin type array key 4 value 4 entries 1 name old"),
    Scene("map-edit show", TYPES + " show", FILLED, reads=True),
    Scene("map-edit show -j", "map-edit -j {d}/maps/ping_hash show",
          PING.replace("ping\n", "ping pinmaps {d}/maps\n") + "{build}/map-edit {d}/maps/ping_hash add 192.0.2.1 192.0.2.2=5", reads=True),
    Scene("map-edit get", TYPES + " get 2", FILLED, reads=True),
    Scene("map-edit add", TYPES + " add 3=9 4-40=2", FILLED, ("m",)),
    Scene("map-edit del", TYPES + " del 1 3", FILLED, ("m",)),
    Scene("map-edit load", TYPES + " load {t}/f", FILLED + "printf '%s=7\\n' 3 4 5 >{t}/f", ("m",)),
    Scene("map-edit sync", TYPES + " sync {t}/f", FILLED + "printf '%s=7\\n' 3 4 5 >{t}/f", ("m",)),
    Scene("map-edit sync, LPM", "map-edit --key cidr4 --value u8 {d}/m sync {t}/f",
          "bpftool map create {d}/m type lpm_trie key 8 value 1 entries 100 name hookset_proof flags 1\n"
          "printf '10.0.0.0/8\\n192.0.2.0/24\\n' >{t}/old; {build}/map-edit --key cidr4 --value u8 {d}/m load {t}/old\n"
          "printf '192.0.2.0/24\\n192.0.2.1\\n' >{t}/f", ("m",)),
    Scene("map-edit, variables", "map-edit {d}/maps/v_data add limit=5",
          "test -e {w}/v.o || clang -g -O2 -target bpf -idirafter /usr/include/$(uname -m)-linux-gnu -c {tests}/fixtures/variables.bpf.c -o {w}/v.o\n"
          "bpftool prog load {w}/v.o {d}/v; {build}/map-pin prog {d}/v {d}/maps", ("maps/v_data",)),
    Scene("prog-load", "prog-load {build}/xdp_drop.bpf.o {d}/drop", ""),
    Scene("prog-load .text", "prog-load {build}/xdp_drop.o {d}/drop", ""),
    Scene("prog-load -r --set", "prog-load -r --set drop_port=9090 {build}/xdp_drop.bpf.o {d}/prog", PASS.replace("{d}/pass", "{d}/prog")),
    Scene("prog-load --maps, new", "prog-load --maps {d}/maps -m 640 {build}/detect_ping.bpf.o {d}/ping", ""),
    Scene("prog-load -r --maps", "prog-load -r --maps {d}/maps {build}/detect_ping.bpf.o {d}/prog",
          PASS.replace("{d}/pass", "{d}/prog") + "{build}/prog-load --maps {d}/maps {build}/detect_ping.bpf.o {d}/ping\n"
          "rm {d}/maps/ping_hash6\n{build}/map-edit {d}/maps/ping_hash add 192.0.2.1", ("maps/ping_hash",)),
    Scene("xdp-attach", "xdp-attach v0 {d}/drop", DROP),
    Scene("xdp-attach --expect", "xdp-attach --expect {d}/pass v0 {d}/drop", DROP + PASS + "ip link set dev v0 xdp pinned {d}/pass"),
    Scene("xdp-attach --link, new", "xdp-attach --link {d}/link v0 {d}/drop", DROP),
    Scene("xdp-attach --link", "xdp-attach --link {d}/link v0 {d}/drop", DROP + PASS + "{build}/xdp-attach --link {d}/link v0 {d}/pass"),
    Scene("xdp-attach --detach", "xdp-attach --detach --expect {d}/pass v0", PASS + "ip link set dev v0 xdp pinned {d}/pass"),
    Scene("sk-lookup-attach", "sk-lookup-attach -v {d}/echo {d}/link", ECHO),
    Scene("sk-lookup-attach -r", "sk-lookup-attach -r --expect {d}/old {d}/echo {d}/link",
          ECHO + "bpftool prog load {build}/echo_dispatch.bpf.o {d}/old pinmaps {d}/oldmaps\n{build}/sk-lookup-attach {d}/old {d}/link"),
    Scene("sk-lookup-attach --show", "sk-lookup-attach --show", ECHO + "{build}/sk-lookup-attach {d}/echo {d}/link", reads=True,
          gone=(", pinned .*", ", link .*", " echo_dispatch")),
    Scene("sockmap-update", "sockmap-update {pid} 3 {d}/maps/echo_socket", ECHO, ("maps/echo_socket",)),
    Scene("sockmap-update --listen", "sockmap-update -v --listen udp:127.0.0.1:7777 {d}/maps/echo_socket",
          ECHO + "{build}/sockmap-update {pid} 3 {d}/maps/echo_socket", ("maps/echo_socket",)),
    Scene("sockmap-update --delete", "sockmap-update --delete {d}/maps/echo_socket",
          ECHO + "{build}/sockmap-update {pid} 3 {d}/maps/echo_socket", ("maps/echo_socket",)),
    Scene("sockmap-update --service", "sockmap-update --service web {pid} 3 {d}/maps/dispatch_socket",
          "bpftool prog load {build}/sk_dispatch.bpf.o {d}/dispatch pinmaps {d}/maps; {build}/map-edit {d}/maps/dispatch_name add 7=web",
          ("maps/dispatch_socket",)),
    Scene("sockmap-update --all", "sockmap-update --all --listen tcp:127.0.0.1:7777 {d}/maps/echo_socket", ECHO, ("maps/echo_socket",)),
    Scene("blocklist-load load", "blocklist-load {d}/maps load {t}/new", BLOCK + "{build}/blocklist-load {d}/maps load {t}/old", ("verdicts",)),
    Scene("blocklist-load load, reserved", "blocklist-load {d}/maps load {t}/new",
          BLOCK + "{build}/blocklist-load {d}/maps reserve 16; {build}/blocklist-load {d}/maps load {t}/old", ("verdicts",)),
    Scene("blocklist-load reserve", "blocklist-load {d}/maps reserve 8", BLOCK + "{build}/blocklist-load {d}/maps load {t}/old", ("verdicts",)),
    Scene("blocklist-load check", "blocklist-load {d}/maps check {t}/new", BLOCK, reads=True),
    Scene("blocklist-load dump", "blocklist-load {d}/maps dump", BLOCK + "{build}/blocklist-load {d}/maps load {t}/old", reads=True),
    Scene("blocklist-load stats", "blocklist-load -j {d}/maps stats", BLOCK + "{build}/blocklist-load {d}/maps load {t}/old", reads=True),
    Scene("ringbuf-read", "ringbuf-read --count 1 {d}/maps/ringbuf",
          PING.replace("ping\n", "ping pinmaps {d}/maps\n") + "bpftool prog run pinned {d}/ping data_in {w}/ping.bin >/dev/null", reads=True, takes=True),
]  # fmt: skip

# Ethernet, and what xdp_blocklist looks at: the source address.
IP4 = bytes.fromhex("ffffffffffff020000000001" "0800" "450000200000000040010000") + b"%b" + bytes([192, 0, 2, 254]) + bytes([8]) + bytes(11)
IP6 = bytes.fromhex("ffffffffffff020000000001" "86dd" "6000000000083a40") + b"%b" + bytes(16) + bytes([128]) + bytes(7)
SOURCES = [IP4 % bytes([192, 0, 2, 1]), IP4 % bytes([198, 51, 100, 7]), IP4 % bytes([203, 0, 113, 1]),
           IP6 % (bytes([0x20, 0x01, 0x0D, 0xB8]) + bytes(12)), IP6 % (bytes([0x20, 0x01, 0x0D, 0xB9]) + bytes(12))]  # fmt: skip


def run(command, **kwargs):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **kwargs)


class Stage:
    """Where scenes are played: bpffs, files, a veth pair, a process with sockets. Its process is in
    namespaces of its own."""

    def __init__(self, work):
        self.work, self.build = work, f"{ROOT}/build"
        self.bpffs, self.files = f"{work}/bpf", f"{work}/files"
        os.mkdir(self.bpffs)
        os.mkdir(self.files)
        for number, packet in enumerate(SOURCES):
            with open(f"{work}/source{number}", "wb") as file:
                file.write(packet)
        with open(f"{work}/ping.bin", "wb") as file:
            file.write(IP4 % bytes([192, 0, 2, 1]))
        shell(f"mount -t bpf bpf {self.bpffs}; ip link set lo up; ip link add v0 type veth peer name v1")
        self.server = subprocess.Popen([f"{ROOT}/tests/fixtures/sockets", "serve", "proof", "tcp:127.0.0.1:7777", "udp:127.0.0.1:7777"],
                                       stdout=subprocess.PIPE, text=True)  # fmt: skip
        self.server.stdout.readline()

    def copy_build(self):
        """What is built, where every user can read it."""
        self.build = f"{self.work}/build"
        os.mkdir(self.build)
        for entry in os.scandir(f"{ROOT}/build"):
            if entry.is_file():
                shutil.copy(entry.path, self.build)

    def close(self):
        self.server.kill()
        self.server.wait()
        subprocess.run(["umount", self.bpffs], check=False)

    def fill(self, text):
        here = {"d": f"{self.bpffs}/d", "t": self.files, "w": self.work, "build": self.build, "tests": f"{ROOT}/tests",
                "pid": self.server.pid, "id": ""}  # fmt: skip
        if "{id}" in text:
            here["id"] = json.loads(run(["bpftool", "-j", "map", "show", "pinned", f"{self.bpffs}/d/m"]).stdout)["id"]
        return text.format(**here)

    def command(self, scene):
        words = self.fill(scene.command).split()
        return [f"{self.build}/{words[0]}", *words[1:]]

    def set_up(self, scene):
        for mode in "xdp", "xdpgeneric":
            run(["ip", "link", "set", "dev", "v0", mode, "off"])
        shutil.rmtree(f"{self.bpffs}/d", ignore_errors=True)
        shutil.rmtree(self.files)
        os.mkdir(self.files)
        os.mkdir(f"{self.bpffs}/d")
        shell(self.fill(scene.setup))

    def pins(self):
        """{path below d: kind, name, owner, mode}; ids differ from one time to the other."""
        found, by_path = {}, {}
        for kind in "map", "prog", "link":
            for item in show(kind):
                for path in item.get("pinned", ()):
                    by_path[path] = (kind, item.get("name"), item.get("type"), item.get("max_entries"), item.get("tag"),
                                     self.tag_of(item.get("prog_id")) if kind == "link" else None)  # fmt: skip
        for directory, dirs, files in os.walk(f"{self.bpffs}/d"):
            for name in dirs + files:
                path = f"{directory}/{name}"
                stat = os.lstat(path)
                found[path.removeprefix(f"{self.bpffs}/d/")] = (oct(stat.st_mode), stat.st_uid, stat.st_gid, by_path.get(path))
        return found

    def tag_of(self, prog_id):
        """A program's tag is of its instructions. Programs of sk_lookup that are the same have their ids told apart
        by their pins, old or echo."""
        shown = json.loads(run(["bpftool", "-j", "-f", "prog", "show", "id", str(prog_id)]).stdout or b"{}")
        return shown.get("tag"), sorted(path for path in shown.get("pinned", ()) if path.startswith(self.bpffs))

    def entries(self, scene):
        found = {}
        for name in scene.maps:
            if name == "verdicts":
                for number in range(len(SOURCES)):
                    ran = run(["bpftool", "-j", "prog", "run", "pinned", f"{self.bpffs}/d/prog", "data_in", f"{self.work}/source{number}"])
                    found[f"source {number}"] = json.loads(ran.stdout).get("retval")
            else:
                dump = json.loads(run(["bpftool", "-j", "map", "dump", "pinned", f"{self.bpffs}/d/{name}"]).stdout or b"[]")
                found[name] = sorted(map(json.dumps, dump))
        return found

    def device(self):
        link = json.loads(run(["ip", "-j", "link", "show", "dev", "v0"]).stdout)[0]
        xdp = link.get("xdp") or {}
        return xdp.get("mode"), (xdp.get("prog") or {}).get("tag")

    def state(self, scene):
        """What is there, as bpftool, ip and stat say it."""
        return {"pins": self.pins(), "entries": self.entries(scene), "device": self.device()}


def show(kind):
    """Of all of the machine, and so what goes meanwhile ends bpftool: then once more."""
    for _ in range(100):
        ran = run(["bpftool", "-j", "-f", kind, "show"])
        if ran.returncode == 0:
            return json.loads(ran.stdout.decode(errors="replace"))
        time.sleep(0.05)
    raise RuntimeError(f"bpftool {kind} show: {ran.stderr.decode()}")


def shell(text):
    ran = run(["bash", "-euc", text])
    if ran.returncode:
        raise RuntimeError(f"{text}\n{ran.stderr.decode()}")


def difference(one, other):
    """In few words."""
    words = []
    for part in one:
        if isinstance(one[part], dict):
            for key in sorted(one[part].keys() | other[part].keys()):
                if one[part].get(key) != other[part].get(key):
                    words.append(f"{part} {key}: {one[part].get(key)} / {other[part].get(key)}")
        elif one[part] != other[part]:
            words.append(f"{part}: {one[part]} / {other[part]}")
    return "; ".join(words)


def text_of(stage, output):
    """Without what differs each time."""
    return re.sub(r"\b\d+\b", "N", output.decode(errors="replace").replace(stage.bpffs, ""))


# What a killed helper may leave, as its man page says under CAVEATS.
LEFT = re.compile(r"(.*/)?(map-pin|prog-load|blocklist-load|xdp-attach|sk-lookup-attach)~[0-9a-f]{8}(/.*)?")


def without_left(state):
    return {**state, "pins": {path: pin for path, pin in state["pins"].items() if not LEFT.fullmatch(path)}}


class Play:
    """A scene on its stage, which is set up again where it may have changed."""

    def __init__(self, stage, scene):
        self.stage, self.scene, self.fresh = stage, scene, False

    def prepare(self):
        if not self.fresh:
            self.stage.set_up(self.scene)
            self.fresh = True

    def references(self):
        """What is there before, and after it, and what it prints."""
        self.prepare()
        self.before = self.stage.state(self.scene)
        self.fresh = False
        ran = run(self.stage.command(self.scene))
        if ran.returncode:
            raise RuntimeError(ran.stderr.decode())
        self.output, self.after = text_of(self.stage, ran.stdout), self.stage.state(self.scene)

    def look(self):
        """What is there now."""
        state = self.stage.state(self.scene)
        self.fresh = state == self.before and not self.scene.takes
        return state


@contextlib.contextmanager
def staged(program):
    """A stage, and what it needs is taken away at the end."""
    with tempfile.TemporaryDirectory(prefix=f"hookset-{program}-") as work:
        stage = Stage(work)
        try:
            yield stage
        finally:
            stage.close()


BY_NAME = {scene.name: scene for scene in SCENES}

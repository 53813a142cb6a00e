"""Where the VRRP speakers are compared: two routers and a client, on one LAN or on several.

Laws: both routers run the same program, unless it is said otherwise; both programs read the same file. A death comes
right after an advertisement, so that what the timers cost is the same for all.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from vrrp_pair import instance, whole

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host, Process
from halab.parts.daemons import Speaker
from halab.topology import HostPlan, Lab, Port, Topology, port_name
from halab.wait import AddressWatch

ROUTERS = {"left": 11, "right": 12}
CLIENT = 100
VIP = "10.88.0.50"
MOST = 250
"""Virtual routers on one LAN: their number has eight bits."""
_INSTANCES = "/etc/keepalived/instances.conf"
PROBE = Path(__file__).with_name("probe.py")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1  # netdevice(7)
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33  # asm-generic/socket.h
_GROUP = socket.inet_aton("224.0.0.18")


class Routers:
    """Two routers, left and right, and a client; a context manager."""

    def __init__(self, lans: int = 1) -> None:
        hosts = {**ROUTERS, "client": CLIENT}
        plans = (
            HostPlan(name, tuple(Port(f"lan{n}", (f"10.88.{n}.{last}/24",), f"eth{n}") for n in range(lans)))
            for name, last in hosts.items()
        )
        self.lab = Lab(Topology(tuple(plans)))
        self.watch = AddressWatch([self.lab[name] for name in ROUTERS])
        self.speakers: dict[str, Speaker] = {}
        self._at_switch = self.lab.switch.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).result()
        self._heard: socket.socket = self.lab["client"].inside(_listener).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            for name in self.speakers:
                print(f"--- {name}: {self.speakers[name].kind} ---\n{self.host(name).log_tail('keepalived', 40)}")
        self._heard.close()
        self._at_switch.close()
        self.watch.close()
        self.lab.close()

    def host(self, name: str) -> Host:
        """Return a host by its name."""
        return self.lab[name]

    def define(self, name: str, program: str, text: str) -> Speaker:
        """Put a program and its configuration on a router, without starting it."""
        file = self.host(name).path(_INSTANCES)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="ascii")  # a thousand instances are more than one message to the host takes
        self.speakers[name] = Speaker(self.lab[name], program, f"include {_INSTANCES}\n", {})
        return self.speakers[name]

    def start(self, name: str, program: str, text: str) -> None:
        """Start a program on a router."""
        self.define(name, program, text).start()

    def until_log(self, name: str, text: str, within: float) -> float:
        """Wait until a router's program has written ``text``; returns when that was seen (monotonic)."""
        deadline = time.monotonic() + within
        while text not in self.host(name).log_tail("keepalived", 5000):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.speakers[name].kind} on {name} did not say '{text}' within {within:g} s")
            time.sleep(0.001)
        return time.monotonic()

    def until_held_by(self, name: str, within: float, address: str = VIP) -> None:
        """Wait until one router, and only that one, holds an address."""
        self.watch.until(address, {name}, within)

    def until_advertised(self) -> None:
        """Return right after the next advertisement that the client hears."""
        self.forget_advertisements()
        self._heard.recv(512)

    def forget_advertisements(self) -> None:
        """Let go of what the client has heard so far."""
        for _ in self.advertisements("left"):
            pass

    def advertisements(self, name: str) -> Iterator[float]:
        """Yield when advertisements of a router came to the client (of day, by the kernel), those that wait unread."""
        with contextlib.suppress(BlockingIOError):
            while True:
                _, beside, _, sender = self._heard.recvmsg(512, 64, socket.MSG_DONTWAIT)
                seconds, nanoseconds = struct.unpack("qq", beside[0][2])
                if sender[0] == f"10.88.0.{ROUTERS[name]}":
                    yield seconds + nanoseconds / 1e9

    def kill(self, name: str) -> None:
        """Kill a router's program, all processes at once."""
        self.host(name).kill_service("keepalived", signal.SIGKILL)

    def terminate(self, name: str) -> None:
        """Tell a router's program to end (SIGTERM), and do not wait for it."""
        threading.Thread(target=self.host(name).stop_service, args=("keepalived",)).start()

    def cut(self, name: str) -> None:
        """Take a router's link down, as a fault of the lab does, but within microseconds: no program is started."""
        self._set_port(name, up=False)

    def heal(self, name: str) -> None:
        """Bring a router's link up again."""
        self._set_port(name, up=True)

    def _set_port(self, name: str, *, up: bool) -> None:
        request = struct.pack("16sH14x", port_name(name).encode(), 0)
        flags = struct.unpack_from("H", fcntl.ioctl(self._at_switch, _SIOCGIFFLAGS, request), 16)[0]
        wanted = flags | _IFF_UP if up else flags & ~_IFF_UP
        fcntl.ioctl(self._at_switch, _SIOCSIFFLAGS, struct.pack("16sH14x", port_name(name).encode(), wanted))

    def outage(self, death: Callable[[], None], within: float) -> float:
        """Let the master die; returns the seconds from then until the other router answers a client for the address."""
        reader, writer = os.pipe()
        with open(reader, encoding="ascii") as told:  # noqa: PTH123 - a descriptor
            process = _probe(self.host("client"), writer, within + 5)
            if told.readline() != "answered\n":
                raise RuntimeError(f"nobody answers for {VIP}")
            self.until_advertised()
            at = time.time()
            death()
            answer = told.readline().strip()
            process.wait(5)
        if answer == "nobody":
            raise RuntimeError(f"nobody took {VIP} over within {within:g} s")
        return float(answer) - at

    def processes(self, name: str) -> list[str]:
        """Return the pids, in the host, of what speaks VRRP there."""
        found = self.host(name).run(["pgrep", "-f", "keepalived.conf"]).output.split()
        return [pid for pid in found if self.host(name).path(f"/proc/{pid}").exists()]

    def processor_time(self, name: str) -> float:
        """Return the processor time in seconds that they have used.

        From schedstat, which counts nanoseconds: stat counts ticks, and who is woken by a tick of the other side is
        found at work by nearly every one of them.
        """
        folders = (self.host(name).path(f"/proc/{pid}/task") for pid in self.processes(name))
        tasks = (task for folder in folders for task in folder.iterdir())
        used = ((task / "schedstat").read_text(encoding="ascii").split()[0] for task in tasks)
        return sum(map(int, used)) / 1e9

    def memory(self, name: str) -> int:
        """Return their proportional set size in bytes."""
        total = 0
        for pid in self.processes(name):
            lines = self.host(name).read_file(f"/proc/{pid}/smaps_rollup").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024

    @contextlib.contextmanager
    def busy(self, processes: int) -> Iterator[None]:
        """Keep the processors busy with so many processes that do nothing else."""
        hogs = [self.host("client").spawn(["sh", "-c", "while :; do :; done"]) for _ in range(processes)]
        try:
            yield
        finally:
            for hog in hogs:
                hog.signal(signal.SIGKILL)
                hog.wait(5)


def _listener() -> socket.socket:
    heard = socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)
    member = struct.pack("4s4si", _GROUP, bytes(4), socket.if_nametoindex("eth0"))
    heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
    heard.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    heard.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)  # a minute of a hundred a second, unread
    return heard


def _probe(host: Host, writer: int, seconds: float) -> Process:
    """Start the probe on a host; what it writes goes to ``writer``, which is closed here."""
    try:
        with Path(os.devnull).open("r+b", buffering=0) as nothing:
            streams = [nothing.fileno(), writer, nothing.fileno()]
            argv = [f"{ENVIRONMENT}/bin/python", "-IS", str(PROBE), VIP, str(seconds)]
            return host.spawn(argv, streams=streams)
    finally:
        os.close(writer)


def pair_text(priority: int, interval: float) -> str:
    """Return a file with one virtual router of version 3."""
    block = instance(priority, version=3, interval=interval, addresses=(f"{VIP}/24",))
    return whole(block)


def many_text(priority: int, count: int, settings: str = "") -> str:
    """Return a file with ``count`` virtual routers of version 3, up to MOST on each LAN, one address each."""
    blocks = (
        instance(
            priority,
            name=f"VI_{n}",
            vrid=n % MOST + 1,
            interval=1,
            addresses=(f"10.89.{n // MOST}.{n % MOST + 1}/32",),
            interface=f"eth{n // MOST}",
        )
        for n in range(count)
    )
    return whole(*blocks, settings=settings)


def until_all_held(routers: Routers, name: str, count: int, within: float) -> None:
    """Wait until a router holds the addresses of so many virtual routers."""
    for n in range(count):
        routers.until_held_by(name, within, f"10.89.{n // MOST}.{n % MOST + 1}")

"""The balancer between cables that lose packets, carry small ones only, and are scanned."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import random
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from balancer_process import until
from relaying import Relaying, relaying
from tcp_peers import PATIENCE, Script, ScriptedServer, echo, read_exactly, read_to_end

from halab.topology import Lab, simple

pytestmark = pytest.mark.netns

T = TypeVar("T")
SEED = 20261126
AMOUNT = 1_500_000
"""Bytes of a connection in each direction."""
SEGMENT = 1448
HOSTS = {"client": "10.0.0.1", "balancer": "10.0.0.2", "server": "10.0.0.3"}
PORT = 7000
SIOCETHTOOL = 0x8946
OFFLOADS = (0x1F, 0x25, 0x2C)  # ETHTOOL_STSO, _SGSO, _SGRO: linux/ethtool.h
RULE = "iif != lo numgen random mod 50 == 0 counter drop"
LOSS = f"table inet loss {{ chain in {{ type filter hook input priority -300; {RULE}; }}; }}"


def send_as_they_are(link: str) -> None:
    """Let the kernel cut nothing and join nothing on a link: packets are as large as its MTU."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            fcntl.ioctl(asking, SIOCETHTOOL, struct.pack("16sP", link.encode(), ctypes.addressof(value)))


@dataclass
class Wire:
    """Client, balancer and server, each a host of its own."""

    lab: Lab
    running: Relaying

    def inside(self, host: str, work: Callable[[], T]) -> T:
        return self.lab[host].inside(work).result(60)

    def connect(self) -> socket.socket:
        return socket.create_connection((HOSTS["balancer"], PORT), PATIENCE)


@contextlib.contextmanager
def wire(folder: Path, script: Script, *, mtu: int = 1500, loss: bool = False) -> Iterator[Wire]:
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(simple("lan", {name: f"{address}/24" for name, address in HOSTS.items()})))

        def prepare() -> None:
            subprocess.run(["ip", "link", "set", "eth0", "mtu", str(mtu)], check=True)
            send_as_they_are("eth0")
            if loss:
                subprocess.run(["nft", "-f", "-"], input=LOSS, text=True, check=True)

        for name in HOSTS:
            lab[name].inside(prepare).result(PATIENCE)
        listening = lab["server"].inside(lambda: socket.create_server(("", PORT))).result(PATIENCE)
        stack.enter_context(ScriptedServer(script, listening))
        lines = f"bind {HOSTS['balancer']}:{PORT}\n    server s {HOSTS['server']}:{PORT}"
        program = relaying(folder, {"l": lines})
        running = lab["balancer"].inside(program.__enter__).result(PATIENCE)
        stack.push(lambda *exception: lab["balancer"].inside(lambda: program.__exit__(*exception)).result(PATIENCE))
        yield Wire(lab, running)


def counted(name: str) -> int:
    """Return one of the numbers of TCP that the kernel keeps for a host (RFC 4022)."""
    text = Path("/proc/thread-self/net/snmp").read_text()
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index(name)])


def lost() -> int:
    """Return how many packets have been lost on their way into a host."""
    listed = subprocess.run(["nft", "list", "table", "inet", "loss"], capture_output=True, text=True, check=True).stdout
    return int(listed.split("packets ")[1].split()[0])


def in_segments(peer: socket.socket, data: bytes) -> None:
    """Send small pieces, each at once, as a remote peer would seem to do it."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), SEGMENT):
        peer.sendall(data[at : at + SEGMENT])


def exchange(peer: socket.socket) -> None:
    """Read slowly to the end while as much is sent; then say what has come."""
    data = random.Random(SEED).randbytes(AMOUNT)  # noqa: S311 - test data
    sender = threading.Thread(target=in_segments, args=(peer, data))
    sender.start()
    digest = hashlib.sha256()
    while part := peer.recv(20_000):
        digest.update(part)
        threading.Event().wait(0.002)
    sender.join()
    peer.sendall(digest.digest())


@pytest.mark.parametrize(("mtu", "loss"), [(1500, False), (1280, True)], ids=["small segments", "MTU 1280, 2 % loss"])
def test_every_byte_arrives_though_packets_are_small_and_get_lost(tmp_path: Path, mtu: int, loss: bool) -> None:
    up, down = (random.Random(seed).randbytes(AMOUNT) for seed in (SEED + 1, SEED))  # noqa: S311 - as above

    def talk(_: int) -> bytes:
        with network.connect() as client:
            sender = threading.Thread(target=lambda: (in_segments(client, up), client.shutdown(socket.SHUT_WR)))
            sender.start()
            answer = read_to_end(client)
            sender.join()
            return answer

    def talk_all() -> list[bytes]:
        with ThreadPoolExecutor(4) as clients:
            return list(clients.map(talk, range(4)))

    with wire(tmp_path, exchange, mtu=mtu, loss=loss) as network:
        assert set(network.inside("client", talk_all)) == {down + hashlib.sha256(up).digest()}
        if loss:
            assert all(network.inside(host, lost) > 20 for host in HOSTS)


def syn(source: str, port: int) -> bytes:
    """Return the packet with which a connection begins (RFC 9293, section 3.1)."""
    ends = socket.inet_aton(source) + socket.inet_aton(HOSTS["balancer"])

    def segment(checksum: int) -> bytes:
        return struct.pack("!HHIIBBHHH", port, PORT, port, 0, 5 << 4, 0x02, 1024, checksum, 0)

    words = struct.unpack("!16H", ends + struct.pack("!HH", socket.IPPROTO_TCP, 20) + segment(0))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return segment(~total & 0xFFFF)


def test_a_scan_with_syn_packets_alone_is_no_connection_and_does_no_harm(tmp_path: Path) -> None:
    with wire(tmp_path, echo(b"hello\n")) as network:

        def scan() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
                for port in range(30000, 30200):
                    raw.sendto(syn(HOSTS["client"], port), (HOSTS["balancer"], 0))

        network.inside("client", scan)
        answered = "the balancer's kernel has answered all, which the client's did not expect"
        until(lambda: network.inside("client", lambda: counted("OutRsts")) >= 200, answered)
        with network.inside("client", network.connect) as client:
            assert read_exactly(client, 6) == b"hello\n"
            assert network.inside("balancer", lambda: network.running.row()["stot"]) == "1"

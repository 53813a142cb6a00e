"""What every data plane has to prove (docs/reference/oracles.md), as far as the kernel's has to do with it."""

from __future__ import annotations

import contextlib
import hashlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kernel_lab import FRONT, FRONT6, PORT, TABLE, KernelLab, echoes, listen, servers
from tcp_peers import PATIENCE, read_exactly

from halab.wait import poll

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

SEED = 20261126
CROWD = 300
"""Connections of every kind."""
SECTIONS = (
    listen(f"bind [{FRONT6}]:{PORT}") + servers() + servers("s1", v6=True).replace("server s1", "server n1"),
    listen(name="narrow", bind=f"{FRONT}:6001,[{FRONT6}]:6001") + servers("s2")
    + servers("s2", v6=True).replace("server s2", "server n2"),
    listen(name="crowd", bind=f"{FRONT}:6002") + servers("s1", "s2"),
    listen(name="nobody", bind=f"{FRONT}:6003") + servers("s1", options="disabled"),
    listen(name="bulk", bind=f"{FRONT}:6004") + servers("s3"),
)  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[KernelLab]:
    with KernelLab() as lab:
        lab.start(*SECTIONS)
        yield lab


def exchange(peer: socket.socket, data: bytes, chunk: int) -> int:
    """Send data in pieces while its echo is read, then the end; returns what came in all, the greeting included."""
    peer.settimeout(PATIENCE)
    sender = threading.Thread(target=_send, args=(peer, data, chunk))
    sender.start()
    digest, count = hashlib.sha256(), 0
    greeting = read_exactly(peer, 3)
    while part := peer.recv(65536):
        digest.update(part)
        count += len(part)
    sender.join()
    assert digest.digest() == hashlib.sha256(data).digest()
    return count + len(greeting)


def _send(peer: socket.socket, data: bytes, chunk: int) -> None:
    for start in range(0, len(data), chunk):
        peer.sendall(data[start : start + chunk])
    peer.shutdown(socket.SHUT_WR)


def test_every_byte_arrives_in_order_in_both_directions_and_is_counted(lab: KernelLab) -> None:
    chance = random.Random(SEED)  # noqa: S311 - sizes for a test
    sizes = [0, 1, 65_536, *(int(10 ** chance.uniform(0, 6.3)) for _ in range(21))]
    data = chance.randbytes(max(sizes))
    print(f"seed {SEED}: {sizes}")
    before = lab.sent_again()

    def one(number: int) -> int:
        with lab.connect(FRONT6 if number % 4 == 3 else FRONT) as peer:
            return exchange(peer, data[: sizes[number]], chance.choice((100, 1448, 65_536, 1 << 20)))

    with ThreadPoolExecutor(8) as pool:
        received = sum(pool.map(one, range(len(sizes))))
    lab.until_row("pg", "FRONTEND", stot=len(sizes), scur=0)
    lab.until_moved("pg", "FRONTEND", sum(sizes), received, before)
    assert received == sum(sizes) + 3 * len(sizes)


def test_after_a_half_close_the_other_direction_lives_for_as_long_as_a_timeout_says(lab: KernelLab) -> None:
    with lab.connect() as peer:
        name = peer.recv(100).decode().strip()
        theirs = lab.servers[name].end_of(peer)
        # The server's thread closes at the end of what the client says: here it is the server that ends first.
        theirs.shutdown(socket.SHUT_WR)
        assert peer.recv(1) == b""

        def half_closed() -> str | None:
            line = lab.connection(peer)
            return line if "CLOSE_WAIT" in line else None

        line = poll(half_closed, PATIENCE, "the end is acknowledged")
        assert int(line.split()[2]) > 3000, "conntrack itself would forget it after a minute or two"
        peer.sendall(b"still here")


@pytest.mark.parametrize("address", [FRONT, FRONT6])
def test_a_narrower_link_behind_the_balancer_is_found_out(lab: KernelLab, address: str) -> None:
    data = random.Random(SEED).randbytes(2_000_000)  # noqa: S311 - test data
    for host, device in ((lab.balancer, "eth1"), (lab.lab["s2"], "eth0")):
        host.run(["ip", "link", "set", device, "mtu", "1280"]).check()
    try:
        with lab.connect(address, 6001) as peer:
            assert exchange(peer, data, 100_000) == len(data) + 3
            # TCP_MAXSEG: what the client sends now fits, after ICMP had told it so across the translated addresses.
            assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= 1280 - 40
    finally:
        for host, device in ((lab.balancer, "eth1"), (lab.lab["s2"], "eth0")):
            host.run(["ip", "link", "set", device, "mtu", "1500"]).check()


def test_after_a_crowd_of_every_kind_nothing_is_left_and_all_is_counted(lab: KernelLab) -> None:
    def standing() -> tuple[str, dict[str, int]]:
        pids = {module: lab.pid(module) for module in ("cli", "kernel.executor")}
        opened = {module: len([*lab.balancer.path(f"/proc/{pid}/fd").iterdir()]) for module, pid in pids.items()}
        return lab.nft("-s", "list", "chains"), opened

    before = standing()

    def one(number: int) -> None:
        kind = number % 4
        if kind == 3:
            with contextlib.suppress(ConnectionRefusedError):
                lab.connect(FRONT, 6003)
            return
        peer = lab.connect(FRONT, 6002)
        peer.recv(100)
        if kind == 1:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif kind == 2:
            assert echoes(peer)
            peer.shutdown(socket.SHUT_WR)
        peer.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(CROWD)))
    lab.until_row("crowd", "BACKEND", stot=CROWD * 3 // 4, scur=0)
    assert lab.until_row("nobody", "BACKEND", stot=CROWD // 4)["econ"] == str(CROWD // 4)
    assert [lab.row("crowd", name)["stot"] for name in ("s1", "s2")] in (
        [str(CROWD * 3 // 8), str(CROWD * 3 // 4 - CROWD * 3 // 8)],
        [str(CROWD * 3 // 4 - CROWD * 3 // 8), str(CROWD * 3 // 8)],
    )
    poll(lambda: standing() == before, PATIENCE, "nothing is left: a check may be under way meanwhile")


def test_a_scan_with_syn_packets_alone_does_no_harm(lab: KernelLab) -> None:
    before = int(lab.row("crowd", "FRONTEND")["stot"])

    def scan() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
            for number in range(50):
                raw.sendto(_syn("10.77.1.2", FRONT, 20_000 + number, 6002), (FRONT, 0))

    lab.client.inside(scan).result()
    assert {*lab.names(4, FRONT, 6002)} == {"s1", "s2"}
    row = lab.until_row("crowd", "FRONTEND", scur=0, stot=before + 54)
    assert int(row["bin"]) >= 0


def _syn(source: str, target: str, port: int, to: int) -> bytes:
    """Return a SYN segment (RFC 9293, section 3.1)."""
    segment = struct.pack("!HHIIBBHHH", port, to, port, 0, 5 << 4, 0x02, 1024, 0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, len(segment))
    total = sum(struct.unpack(f"!{(len(pseudo) + len(segment)) // 2}H", pseudo + segment))
    total = (total >> 16) + (total & 0xFFFF)
    return segment[:16] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + segment[18:]


def test_no_byte_passes_through_a_process(lab: KernelLab) -> None:
    def ticks() -> int:
        fields = (lab.balancer.path("/proc") / str(lab.pid("nursery")) / "stat").read_text().rpartition(")")[2].split()
        workers = Path(f"/proc/{lab.balancer.pid}/root/proc").glob("[0-9]*/stat")
        children = [one.read_text().rpartition(")")[2].split() for one in workers]
        family = [fields, *(one for one in children if one[1] == str(lab.pid("nursery")))]
        assert len(family) == 2, "one worker"
        return sum(int(one[11]) + int(one[12]) for one in family)

    with lab.connect(FRONT, 6004) as peer:
        before = ticks()
        assert exchange(peer, bytes(1 << 20) * 64, 1 << 20) == (64 << 20) + 3
        assert ticks() - before <= 5, "clock ticks of 10 ms: nothing but their heartbeat"
    assert "entrance" in lab.nft("list", "table", "inet", TABLE)

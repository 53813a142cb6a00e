"""A balancer as a program that relays, ours or the real HAProxy, and what a test of connections wants of it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from balancer_process import TCPBALANCER, BalancerProcess
from tcp_peers import PATIENCE, free_port

from hakit.control import request

HEAD = """\
global
    {whole}
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    {defaults}
listen stats
    mode http
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
    stats auth admin:secret
"""


@dataclass
class Relaying:
    """A program that runs; ``ports`` are those of its proxies."""

    process: BalancerProcess
    ports: dict[str, int]
    folder: Path
    _opened: contextlib.ExitStack

    def connect(self, proxy: str = "l") -> socket.socket:
        """Return a client's connection; at the latest it is closed with the program."""
        client = socket.create_connection(("127.0.0.1", self.ports[proxy]), PATIENCE)
        self._opened.callback(client.close)
        return client

    @property
    def workers(self) -> list[int]:
        """The processes that carry connections: of HAProxy, itself."""
        place = self.folder / "control.sock"
        if not place.exists():
            return [self.process.process.pid]
        return [worker["pid"] for worker in request(place, "status")["workers"]]  # type: ignore[call-overload, index, union-attr]

    def row(self, proxy: str = "l", name: str = "FRONTEND") -> dict[str, str]:
        """Return a row of the statistics."""
        return self.process.csv()[1][f"{proxy}/{name}"]


@contextmanager
def relaying(
    folder: Path,
    proxies: Mapping[str, str],
    *,
    whole: str = "nbthread 1",
    defaults: str = "",
    command: Sequence[str] = TCPBALANCER,
) -> Iterator[Relaying]:
    """Run a program on these ``listen`` sections: a port is bound for each, its text is what follows the bind line."""
    folder.mkdir(exist_ok=True)
    ports = {name: free_port() for name in ("stats", *proxies)}
    text = HEAD.format(stats=ports["stats"], whole=whole, defaults=defaults)
    for name, lines in proxies.items():
        text += f"listen {name}\n    bind 127.0.0.1:{ports[name]}\n    {lines}\n"
    control = ["--control", str(folder / "control.sock")] if command is TCPBALANCER else []
    with (
        contextlib.ExitStack() as opened,
        BalancerProcess([*command, *control, "-db"], text, folder, ports["stats"]) as process,
    ):
        yield Relaying(process, ports, folder, opened)


def processor_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that the main threads of these processes have used (proc(5), schedstat)."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def resident_bytes(pids: Sequence[int]) -> int:
    """Return the memory that these processes have for themselves."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1]) * 1024
    return total


def descriptors(pids: Sequence[int]) -> int:
    """Return how many descriptors these processes have open."""
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)  # noqa: PTH208 - names only, and many

"""A network for the kernel's data plane: a client, a balancer between two LANs, three servers, IPv4 and IPv6.

Servers say their name, then return what they get. All sockets are made in the hosts and used here.
"""

from __future__ import annotations

import contextlib
import csv
import json
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import runtime_api
from tcp_peers import PATIENCE, read_exactly

from hakit.transcript import Event
from halab.namespace import Host, LabError, ServiceDefinition
from halab.topology import HostPlan, Lab, Port, Topology
from halab.wait import DaemonEvents, poll

FRONT, FRONT6 = "10.77.1.1", "fd77:1::1"
BACK = {"s1": "10.77.2.11", "s2": "10.77.2.12", "s3": "10.77.2.13"}
BACK6 = {name: address.replace("10.77.2.", "fd77:2::") for name, address in BACK.items()}
PORT = 5432
CONFIGURATION = "/etc/tcpbalancer.cfg"
STATS = "/run/stats.sock"
MASTER = "/run/master.sock"
TABLE = "tcpbalancer-1"
LARGEST_SEGMENT = 65_535
"""Bytes, as the kernel hands them to a link that cuts them by itself."""
HEAD = f"""\
global
    nbthread 1
    stats socket {STATS} level admin
defaults
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    default-server inter 100ms fastinter 100ms downinter 100ms fall 1 rise 1
frontend page
    mode http
    bind {FRONT}:8404
    stats uri /
"""


def servers(*names: str, options: str = "", v6: bool = False) -> str:
    """Return ``server`` lines."""
    where = BACK6 if v6 else BACK
    return "".join(f"    server {name} {where[name]}:{PORT} {options}\n" for name in names or BACK)


def listen(*lines: str, name: str = "pg", bind: str = f"{FRONT}:{PORT}") -> str:
    """Return a listen section that the kernel relays."""
    return "\n".join(
        (f"listen {name}", "    option kernel-relay", f"    bind {bind}", *(f"    {one}" for one in lines), "")
    )


def cards(front: str, front6: str, back: str = "", back6: str = "") -> tuple[Port, ...]:
    inner = (Port("back", (f"{back}/24", f"{back6}/64"), "eth1"),) if back else ()
    return (Port("front", (f"{front}/24", f"{front6}/64")), *inner)


TOPOLOGY = Topology(
    (
        HostPlan("client", cards("10.77.1.2", "fd77:1::2")),
        HostPlan("balancer", cards(FRONT, FRONT6, "10.77.2.1", "fd77:2::1")),
        *(HostPlan(name, (Port("back", (f"{BACK[name]}/24", f"{BACK6[name]}/64")),)) for name in BACK),
    )
)


def echoes(peer: socket.socket) -> bool:
    """Whether a connection, whose greeting has been read, is alive from end to end."""
    peer.sendall(b"are you there?")
    return read_exactly(peer, 14) == b"are you there?"


def is_reset(peer: socket.socket) -> bool:
    """Whether a connection has been cut: each side learns it with its next packet."""
    try:
        peer.sendall(b"x")
        peer.recv(1)
    except TimeoutError:
        return False
    except OSError:
        return True  # a server's own thread may have learned it first, and closed
    return False


class NamedServer:
    """Listens on a host for both families; ``peers`` are the connections that it had, ``clients`` their addresses."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.clients: list[str] = []
        self.peers: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listening: dict[int, socket.socket] = {}
        self.open()

    def open(self, port: int = PORT) -> None:
        """Listen on a port, unless it does already."""
        if port in self._listening:
            return

        def make() -> socket.socket:
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512)

        self._listening[port] = listening = self.host.inside(make).result()
        thread = threading.Thread(target=self._serve, args=(listening,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def begin_anew(self) -> None:
        """Be as at the beginning: nobody has come yet."""
        self.close()
        self.clients, self.peers, self._threads = [], [], []
        self.open()

    def _serve(self, listening: socket.socket) -> None:
        while True:
            try:
                peer, address = listening.accept()
            except OSError:
                return
            self.clients.append(address[0].removeprefix("::ffff:"))
            self.peers.append(peer)
            thread = threading.Thread(target=self._talk, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer.sendall(f"{self.host.name}\n".encode())
            while data := peer.recv(65536):
                peer.sendall(data)
        peer.close()

    def end_of(self, client: socket.socket) -> socket.socket:
        """Return this server's end of a client's connection: to translate an address does not change a free port."""
        port = client.getsockname()[1]

        def look() -> socket.socket | None:
            return next((one for one in self.peers if one.fileno() >= 0 and one.getpeername()[1] == port), None)

        return poll(look, PATIENCE, f"a connection from port {port}")

    def refuse(self, port: int = PORT) -> None:
        """Refuse further connections to a port; those that there are go on."""
        listening = self._listening.pop(port)
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()

    def close(self) -> None:
        """Refuse, and end what there is."""
        for port in tuple(self._listening):
            self.refuse(port)
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)


class KernelLab:
    """The hosts, the servers, and a balancer that is started with a configuration."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.lab = self._stack.enter_context(Lab(TOPOLOGY))
        self.client, self.balancer = self.lab["client"], self.lab["balancer"]
        forwards = ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
        self.balancer.run(forwards).check()
        self.servers = {name: NamedServer(self.lab[name]) for name in BACK}
        for server in self.servers.values():
            self._stack.callback(server.close)
        self.command = [sys.executable, "-m", "tcpbalancer.cli", "-f", CONFIGURATION, "-W", "-db", "-S", MASTER]
        self.balancer.define(ServiceDefinition("tcpbalancer", tuple(self.command), notify=True, patience=20.0))
        self.events = DaemonEvents(self.balancer, "/run/tcpbalancer/control.sock")
        self._stack.callback(self.events.close)
        self._marked = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    # -- the daemon -------------------------------------------------------------------------------------------------

    def configure(self, *sections: str, head: str = HEAD) -> None:
        """Write the configuration."""
        self.balancer.write_file(CONFIGURATION, head + "".join(sections))

    def start(self, *sections: str, head: str = HEAD) -> None:
        """Start the balancer; it is stopped by ``stop``."""
        self.configure(*sections, head=head)
        try:
            self.balancer.start_service("tcpbalancer")
        except LabError:
            raise AssertionError(self.balancer.log_tail("tcpbalancer")) from None

    def stop(self) -> None:
        """Stop the balancer, and open servers that have been closed."""
        self.balancer.stop_service("tcpbalancer")

    def reload(self, *sections: str, head: str = HEAD) -> None:
        """Have it read another configuration, and wait until it holds."""
        self.configure(*sections, head=head)
        assert "Success=1" in self.ask_master("reload")

    def kill(self, module: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the process that runs a module: ``cli`` is the supervisor."""
        self.balancer.run(["kill", f"-{number.value}", str(self.pid(module))]).check()

    def pid(self, module: str) -> int:
        """Return the number, in the host, of the process that runs a module."""
        for folder in self.balancer.path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and f"tcpbalancer.{module}\0" in (folder / "cmdline").read_text():
                    return int(folder.name)
        raise AssertionError(f"no process runs {module}")

    def ask_master(self, line: str) -> str:
        """Ask the master's command line."""
        return runtime_api.ask(self.balancer.path(MASTER), line)

    def until(self, name: str, **values: object) -> None:
        """Wait for an event that comes after what was asked last, or after ``mark``."""

        def matches(event: Event) -> bool:
            return event.event == name and all(event.get(key) == value for key, value in values.items())

        self.events.until(matches, PATIENCE, self._marked)

    def mark(self) -> None:
        """Let ``until`` wait for what comes from now on."""
        self._marked = time.monotonic()

    def ask(self, line: str) -> str:
        """Ask the runtime API."""
        self.mark()
        return runtime_api.ask(self.balancer.path(STATS), line)

    def nft(self, *words: str) -> str:
        """Run nft on the balancer."""
        return self.balancer.run(["nft", *words]).check().output

    def tables(self) -> list[str]:
        """Return the names of the tables that there are."""
        listed = json.loads(self.nft("-j", "list", "tables"))["nftables"]
        return [one["table"]["name"] for one in listed if "table" in one]

    def connections(self) -> str:
        """Return what conntrack lists."""
        return self.balancer.run(["conntrack", "-L", "-p", "tcp"]).check().output

    def connection(self, peer: socket.socket) -> str:
        """Return the line of a client's connection in what conntrack lists; empty if it is not there (any more)."""
        # The port alone would also find an earlier connection, to another frontend, that has not been forgotten yet.
        ports = f" sport={peer.getsockname()[1]} dport={peer.getpeername()[1]} "
        return next((line for line in self.connections().splitlines() if ports in line), "")

    # -- clients ----------------------------------------------------------------------------------------------------

    def connect(
        self, address: str = FRONT, port: int = PORT, host: Host | None = None, source: str = ""
    ) -> socket.socket:
        """Return a client's connection."""

        def make() -> socket.socket:
            return socket.create_connection((address, port), PATIENCE, (source, 0) if source else None)

        return (host or self.client).inside(make).result()

    def names(self, count: int, *where: Any, **how: Any) -> list[str]:
        """Return who answers, connection by connection."""
        found = []
        for _ in range(count):
            with self.connect(*where, **how) as peer:
                found.append(peer.recv(100).decode().strip())
        return found

    # -- statistics -------------------------------------------------------------------------------------------------

    def row(self, proxy: str, name: str) -> dict[str, str]:
        """Return a row of the statistics."""
        rows = csv.DictReader(self.ask("show stat").removeprefix("# ").splitlines())
        return next(one for one in rows if (one["pxname"], one["svname"]) == (proxy, name))

    def until_row(self, proxy: str, name: str, **cells: object) -> dict[str, str]:
        """Return a row as soon as it has these cells."""
        wanted = {key: str(value) for key, value in cells.items()}

        def look() -> dict[str, str] | None:
            row = self.row(proxy, name)
            return row if all(row[key] == value for key, value in wanted.items()) else None

        return poll(look, PATIENCE, f"{proxy}/{name} {wanted}")

    def until_moved(self, proxy: str, name: str, bytes_in: int, bytes_out: int, before: int) -> dict[str, str]:
        """Return a row as soon as all bytes are in it, and not one more but for what had to be sent twice.

        ``before`` is what ``sent_again`` said at the beginning.
        """

        def look() -> dict[str, str] | None:
            row = self.row(proxy, name)
            return row if int(row["bin"]) >= bytes_in and int(row["bout"]) >= bytes_out else None

        row = poll(look, PATIENCE, f"{proxy}/{name} {bytes_in} {bytes_out}")
        surplus = int(row["bin"]) - bytes_in + int(row["bout"]) - bytes_out
        assert surplus <= (self.sent_again() - before) * LARGEST_SEGMENT, "nothing counts twice that was sent once"
        return row

    def sent_again(self) -> int:
        """Return how many segments the far ends have sent twice: on a busy machine an acknowledgement may be late."""

        def look() -> int:
            lines = [line.split() for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()]
            names, values = (line for line in lines if line[0] == "Tcp:")
            return int(values[names.index("RetransSegs")])

        return sum(self.lab[name].inside(look).result() for name in ("client", *BACK))

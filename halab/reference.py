"""The reference lab: two balancers, three database nodes, two Swarm managers and one client on one LAN.

Laws: addresses, priorities and files are the set-up's own; what is changed is in configs/lab and nowhere else. Every
figure that is told was measured by the lab itself, in its own words: it says what counts as "up".
"""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

from halab.namespace import ROOT, Host, LabError
from halab.parts import client, dockerd, patroni
from halab.parts.client import get
from halab.parts.daemons import BALANCERS, PYVRRP_CONTROL, SPEAKERS, TCPBALANCER_CONTROL, Balancer, Speaker
from halab.parts.dockerd import SwarmManager
from halab.parts.light import StandIn
from halab.parts.part import Part
from halab.parts.patroni import DatabaseNode, status_of
from halab.topology import HostPlan, Lab, Port, Topology
from halab.wait import AddressWatch, DaemonEvents, NotSeenError, poll

LAN = "lan50"
NETWORK = "192.168.50.0/24"
VIP = "192.168.50.10"
INSTANCE = "VI_1"
NODES = {"haproxy1": "192.168.50.11", "haproxy2": "192.168.50.12"}
DATABASES = {"pg102": "192.168.50.21", "pg103": "192.168.50.22", "pg104": "192.168.50.23"}
MANAGERS = {"docker_mgr1": "192.168.50.31", "docker_mgr2": "192.168.50.32"}
CLIENT = {"client": "192.168.50.100"}
HOSTS = {**NODES, **DATABASES, **MANAGERS, **CLIENT}
NAMES = {address: name for name, address in HOSTS.items()}
STATS_USER, STATS_PASSWORD = "admin", "admin123"
CONFIGS = ("lab", "reference")
WORD_WITHIN = 2.0
"""Seconds within which a daemon must have said what its kernel already shows."""
_STARTING = "Starting Keepalived"
_ENTERING = re.compile(rf"\({INSTANCE}\) Entering (\w+) STATE")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What is to run: real parts or stand-ins, which configuration, whose VRRP, whose balancer."""

    light: bool = False
    config: str = "lab"
    vrrp: str = "pyvrrp"
    balancer: str = "tcpbalancer"
    folder: Path = field(default=ROOT / "configs")

    def __post_init__(self) -> None:
        assert self.config in CONFIGS
        assert self.vrrp in SPEAKERS
        assert self.balancer in BALANCERS

    def text(self, name: str, config: str = "") -> str:
        """Return a file of the chosen configuration; raises LabError if it is not there."""
        path = self.folder / (config or self.config) / name
        try:
            return path.read_text(encoding="utf-8")
        except OSError as problem:
            raise LabError(f"{path} cannot be read ({problem.strerror}): is the checkout complete?") from None


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A line of a balancer's statistics: a server, its status word, its last check, its sessions so far."""

    backend: str
    server: str
    status: str
    check: str
    sessions: int

    @property
    def up(self) -> bool:
        """Whether the balancer sends traffic to it."""
        return self.status.startswith("UP")

    @property
    def checked(self) -> bool:
        """Whether the balancer has checked it at least once."""
        return self.check.removeprefix("* ") not in {"", "INI"}


class ReferenceLab:
    """The lab as it stands. A context manager; leaving it takes everything down."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.begun = time.monotonic()
        _check_programs(options)
        plans = (HostPlan(name, (Port(LAN, (f"{address}/24",)),)) for name, address in HOSTS.items())
        self.lab = Lab(Topology(tuple(plans)))
        try:
            self.client = self.lab["client"]
            self.addresses = AddressWatch([self.lab[name] for name in NODES])
            self.databases, self.managers = self._backends()
            self.balancers = {
                name: Balancer(self.lab[name], options.balancer, options.text("haproxy.cfg")) for name in NODES
            }
            scripts = {name: options.text(name, "reference") for name in ("check_haproxy.sh", "keepalived_notify.sh")}
            self.speakers = {name: self._speaker(name, scripts) for name in NODES}
            self.events = {name: self._follow(name) for name in NODES}
        except BaseException:
            self.lab.close()
            raise

    def _backends(self) -> tuple[dict[str, Part], dict[str, Part]]:
        databases: dict[str, Part] = {}
        managers: dict[str, Part] = {}
        for number, name in enumerate(DATABASES):
            host = self.lab[name]
            light = self.options.light
            databases[name] = (
                StandIn(host, "database", number == 0) if light else DatabaseNode(host, DATABASES, NETWORK)
            )
        for name, address in MANAGERS.items():
            host = self.lab[name]
            managers[name] = StandIn(host, "manager") if self.options.light else SwarmManager(host, address)
        return databases, managers

    def _speaker(self, name: str, scripts: Mapping[str, str]) -> Speaker:
        text = self.options.text(f"keepalived.{name}.conf")
        return Speaker(self.lab[name], self.options.vrrp, text, dict(scripts))

    def _follow(self, name: str) -> list[DaemonEvents]:
        host, followed = self.lab[name], []
        if self.options.vrrp == "pyvrrp":
            followed.append(DaemonEvents(host, PYVRRP_CONTROL))
        if self.options.balancer == "tcpbalancer":
            followed.append(DaemonEvents(host, TCPBALANCER_CONTROL))
        return followed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down."""
        for one in (one for followed in self.events.values() for one in followed):
            one.close()
        self.addresses.close()
        self.lab.close()

    def host(self, name: str) -> Host:
        """Return a host; raises LabError if the lab has none of that name."""
        return self.lab[name]

    def passed(self) -> float:
        """Return the seconds since the lab began to be built."""
        return time.monotonic() - self.begun

    def start(self, say: Say, failed: Callable[[], None]) -> None:
        """Start everything, all that can be at once; ``say`` is told each mark as it is reached.

        If a part does not come up, ``failed`` is called while the hosts still stand, then they are taken down, and the
        error is raised: LabError or NotSeenError.
        """
        built = f"built in {self.lab.build_seconds * 1e3:.0f} ms"
        say(f"{len(HOSTS)} hosts and their switch stand, every link has carrier ({built})")
        with ThreadPoolExecutor(8) as pool:
            try:
                self._start_all(pool, say)
            except BaseException as problem:
                if isinstance(problem, (LabError, NotSeenError)):
                    failed()
                self.lab.close()  # whoever still waits in the pool learns that its host has ended
                raise
        say(f"both balancers ({self.options.balancer}) and both VRRP speakers ({self.options.vrrp}) run")

    def _start_all(self, pool: ThreadPoolExecutor, say: Say) -> None:
        backends = [*self.databases.values(), *self.managers.values()]
        begun: list[Future[Any]] = [pool.submit(part.start) for part in backends]
        begun += [pool.submit(self._first_manager), pool.submit(self._await_databases)]
        for one in as_completed(begun):  # the first that fails ends it, however long another would wait
            text = one.result()
            if text:
                say(text)
        _start_both(pool, self.balancers.values())
        for (
            name,
            address,
        ) in NODES.items():  # haproxy listens a moment after it runs: a check before that costs 2 points
            poll(partial(self.statistics, address), 10, f"the balancer of {name}")
        _start_both(pool, self.speakers.values())

    def _first_manager(self) -> str:
        first = self.managers["docker_mgr1"]
        first.start()
        if isinstance(first, SwarmManager):
            first.init().check()
            return "docker_mgr1 is the first manager of a swarm (docker swarm init)"
        return "stand-ins listen on 2377 of both managers"

    def _await_databases(self) -> str:
        def all_ready() -> bool:
            return all(part.ready() for part in self.databases.values()) and bool(self.primary())

        poll(all_ready, 60, "three database nodes, one of them primary")
        kind = (
            "stand-ins for PostgreSQL and Patroni answer"
            if self.options.light
            else "PostgreSQL under Patroni is healthy"
        )
        return f"{kind} on {', '.join(DATABASES)}; primary is {self.primary()}"

    def primary(self) -> str:
        """Return the name of the database node that answers 200 on /primary, or an empty text."""

        def leads(address: str) -> bool:
            try:
                return status_of(address, "/primary") == 200
            except (OSError, HTTPException):
                return False  # a node that is cut off, frozen or stopped; the others may have one

        def ask() -> str:
            primaries = [name for name, address in DATABASES.items() if leads(address)]
            return primaries[0] if len(primaries) == 1 else ""

        return self.client.inside(ask).result()

    def statistics(self, address: str) -> list[ServerStatus]:
        """Return the servers' lines of the statistics page at ``address``; raises OSError if nobody answers."""
        url = f"http://{address}:8404/stats;csv"
        text = self.client.inside(lambda: get(url, STATS_USER, STATS_PASSWORD)).result()
        lines = csv.DictReader(io.StringIO(text.removeprefix("# ")))
        return [
            ServerStatus(line["pxname"], line["svname"], line["status"], line["check_status"], int(line["stot"] or 0))
            for line in lines
            if line["svname"] not in {"FRONTEND", "BACKEND"}
        ]

    def daemon_state(self, node: str) -> str:
        """Return the VRRP state that the daemon on ``node`` told, or an empty text if it does not run or told none."""
        if self.options.vrrp == "pyvrrp":
            return self.events[node][0].state(INSTANCE)
        host = self.lab[node]
        if host.services()[Speaker.service]["state"] != "active":
            return ""
        log = host.log_tail(Speaker.service, 200).rpartition(_STARTING)[2]  # the log is appended to, start by start
        return str((_ENTERING.findall(log) or [""])[-1])

    def last_state(self, node: str) -> str:
        """Return the VRRP state that was last told on ``node``, perhaps by a daemon that has ended since."""
        if self.options.vrrp == "pyvrrp":
            return self.events[node][0].last_state(INSTANCE)
        return str((_ENTERING.findall(self.lab[node].log_tail(Speaker.service, 200)) or [""])[-1])

    def await_master(self, node: str, since: float) -> None:
        """Return when the daemon on ``node`` has said, after ``since`` (monotonic), that it is MASTER now."""
        if self.options.vrrp == "pyvrrp":
            self.events[node][0].until(
                lambda event: (event.event, event.source, event.get("to")) == ("transition", INSTANCE, "MASTER"),
                WORD_WITHIN, since,
            )  # fmt: skip
        else:  # its log has no time of our clock, but no state of an earlier start is read from it
            poll(lambda: self.daemon_state(node) == "MASTER", WORD_WITHIN, f"keepalived on {node} says MASTER")

    def holders(self) -> set[str]:
        """Return the nodes whose kernel has the VIP."""
        return self.addresses.holders(VIP)


def _start_both(pool: ThreadPoolExecutor, daemons: Iterable[Balancer | Speaker]) -> None:
    for one in as_completed([pool.submit(daemon.start) for daemon in daemons]):
        one.result()


def _check_programs(options: Options) -> None:
    """Raise LabError for a missing program before anything is built."""
    if not options.light:
        patroni.check_programs()
        dockerd.versions()
    Balancer.version(options.balancer)
    Speaker.version(options.vrrp)


def versions(options: Options) -> list[str]:
    """Return one line per program that the lab will run."""
    ours = [Balancer.version(options.balancer), Speaker.version(options.vrrp), *client.versions()]
    if options.light:
        return [
            *ours,
            "stand-ins for PostgreSQL, Patroni and dockerd (--light), not the real ones",
        ]
    return [*ours, *patroni.versions(), *dockerd.versions()]

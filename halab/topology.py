"""Hosts, LANs, links and addresses: described once, built in milliseconds.

Laws: a description is a frozen value that is checked when it is made. Links are made directly between the two
namespaces they join, so no end can be stranded. A built lab is ready when ``Lab`` returns: every port forwards, every
address is usable. Nothing of it has a name outside, so labs cannot meet.

A LAN is a bridge in a host of its own, ``switch``, that forwards at once (forward_delay 0) and does not prune
multicast (mcast_snooping 0); its ports bear the names of the hosts behind them.
"""

from __future__ import annotations

import ipaddress
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from halab.namespace import Host, LabError, Nursery
from halab.programs import program
from halab.rtnetlink import RTMGRP_LINK, LinkSeen, RouteSocket

SWITCH = "switch"
LINK_NAME = 15
"""Characters in the name of a link (IFNAMSIZ without its end)."""
LINKS_WITHIN = 10.0
"""Seconds within which every link must carry traffic."""


@dataclass(frozen=True, slots=True)
class Port:
    """A host's network card: the LAN it is plugged into, its addresses with prefix lengths, its name in the host."""

    lan: str
    addresses: tuple[str, ...] = ()
    device: str = "eth0"

    def __post_init__(self) -> None:
        for address in self.addresses:
            ipaddress.ip_interface(address)


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A host to be built: its name, its cards, and files that are in it from the start."""

    name: str
    ports: tuple[Port, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Topology:
    """What is to be built. Raises ValueError for names that collide or do not fit."""

    hosts: tuple[HostPlan, ...]

    def __post_init__(self) -> None:
        names = [host.name for host in self.hosts]
        links = [name for _, name, _ in self.links()]
        for name in (*names, *links, *self.lans):
            if not 0 < len(name) <= LINK_NAME or "/" in name or " " in name:
                raise ValueError(f"'{name}' cannot name a link: 1 to {LINK_NAME} characters, no blank, no slash")
        if SWITCH in names or len({*names}) < len(names) or len({*links, *self.lans}) < len(links) + len(self.lans):
            raise ValueError(f"the names of hosts and LANs must differ from each other and from '{SWITCH}'")

    @property
    def lans(self) -> tuple[str, ...]:
        """The names of all LANs, each once, in order of appearance."""
        return tuple(dict.fromkeys(port.lan for host in self.hosts for port in host.ports))

    def links(self) -> Iterator[tuple[HostPlan, str, Port]]:
        """Yield every link: the host, the name of the switch's end, and the host's port."""
        for host in self.hosts:
            for number, port in enumerate(host.ports):
                yield host, port_name(host.name, number), port

    @property
    def hosts_file(self) -> str:
        """The text of /etc/hosts: every host under its first address."""
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost"]
        for host in self.hosts:
            first = next((address for port in host.ports for address in port.addresses), None)
            if first is not None:
                lines.append(f"{ipaddress.ip_interface(first).ip}\t{host.name}")
        return "\n".join(lines) + "\n"


def port_name(host: str, number: int = 0) -> str:
    """Return the name of the switch's end of a host's card ``number`` (from 0)."""
    return host if number == 0 else f"{host}.{number}"


def simple(lan: str, hosts: Mapping[str, str]) -> Topology:
    """Return the topology of one LAN: host name to address with prefix length."""
    return Topology(tuple(HostPlan(name, (Port(lan, (address,)),)) for name, address in hosts.items()))


class Lab:
    """A topology that stands. A context manager; leaving it, or dying, takes everything down."""

    def __init__(self, topology: Topology) -> None:
        begun = time.monotonic()
        self.topology = topology
        self.nursery = Nursery()
        self.hosts: dict[str, Host] = {}
        try:
            self._bear()
            self.born_seconds = time.monotonic() - begun
            self._wire()
            self._await_links()
        except BaseException:
            self.close()  # the nursery ends when its hosts have, and they when they are let go
            raise
        self.build_seconds = time.monotonic() - begun

    @property
    def switch(self) -> Host:
        """The host that holds the bridges."""
        return self.hosts[SWITCH]

    def __getitem__(self, name: str) -> Host:
        if name not in self.hosts:
            raise LabError(f"no host {name} in this lab; there are {', '.join(self.hosts)}")
        return self.hosts[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down; returns when no host is left."""
        for host in self.hosts.values():
            host.close()
        self.nursery.close()
        for host in self.hosts.values():
            host.ended.result()

    def _bear(self) -> None:
        files = {"/etc/hosts": self.topology.hosts_file, "/etc/resolv.conf": ""}
        plans = [HostPlan(SWITCH), *self.topology.hosts]
        for plan in plans:
            self.hosts[plan.name] = self.nursery.bear(plan.name, {**files, **plan.files})
        for host in self.hosts.values():
            host.wait_up()

    def _wire(self) -> None:
        lines = [f"link add name {lan} up type bridge forward_delay 0 mcast_snooping 0" for lan in self.topology.lans]
        for plan, name, port in self.topology.links():
            lines.append(f"link add name {name} type veth peer name {port.device} netns {self.hosts[plan.name].pid}")
            lines.append(f"link set dev {name} master {port.lan} up")
        ip_batch(self.switch, lines).result()
        pending = []
        for plan in self.topology.hosts:
            cards: list[str] = []
            for port in plan.ports:
                cards += [f"address add {address} dev {port.device}" for address in port.addresses]
                cards.append(f"link set dev {port.device} up")
            pending.append(ip_batch(self.hosts[plan.name], cards))
        for one in pending:
            one.result()

    def _await_links(self) -> None:
        wanted = {plan.name: {port.device for port in plan.ports} for plan in self.topology.hosts if plan.ports}
        wanted[SWITCH] = {name for _, name, _ in self.topology.links()}
        deadline = time.monotonic() + LINKS_WITHIN
        for name, links in wanted.items():
            await_links_up(self.hosts[name], links, deadline)


def ip_batch(host: Host, lines: Sequence[str]) -> Future[None]:
    """Carry out commands of ip(8), one per line, in a host's network; the future raises LabError if one fails."""

    def work() -> None:
        if not lines:
            return
        argv = [program("ip", "iproute2"), "-batch", "-"]
        done = subprocess.run(argv, input="\n".join(lines), text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{host.name}: ip failed: {done.stderr.strip()}")

    return host.inside(work)


def await_links_up(host: Host, links: set[str], deadline: float) -> None:
    """Return when all ``links`` of the host carry traffic; raises LabError at ``deadline`` (monotonic)."""
    route = RouteSocket(host, RTMGRP_LINK)  # listens before it asks: no change can fall between
    try:
        up = {link.name for link in route.links() if link.up}
        while not links <= up:
            left = deadline - time.monotonic()
            if left <= 0:
                raise LabError(f"{host.name}: no carrier on {', '.join(sorted(links - up))}")
            for seen in route.read(left):
                if isinstance(seen, LinkSeen):
                    (up.add if seen.up and seen.present else up.discard)(seen.name)
    finally:
        route.close()

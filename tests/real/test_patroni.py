"""configs/patroni before a real Patroni cluster: a switchover, and a leader that is killed.

What was measured is printed: from the deed until the last session on the old leader is cut, and until a write arrives
at the new one. Patroni itself needs a second or two for a switchover, and its TTL (20 s) before it gives a dead leader
up.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from hakit.transcript import Event
from halab.namespace import Host
from halab.parts.client import DIRECT
from halab.parts.daemons import TCPBALANCER_CONTROL, Balancer
from halab.parts.patroni import DatabaseNode, status_of
from halab.reference import DATABASES, NETWORK
from halab.topology import HostPlan, Lab, Port, Topology
from halab.wait import DaemonEvents, poll

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

CONFIG = Path(__file__).parents[2] / "configs/patroni/haproxy.cfg"
BALANCER, CLIENT = "192.168.50.11", "192.168.50.100"
SESSIONS = 5


class Cluster:
    """Three database nodes, a balancer and a client."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client: Host = lab["client"]
        self.nodes = {name: DatabaseNode(lab[name], DATABASES, NETWORK) for name in DATABASES}
        self.balancer = Balancer(lab["lb"], "tcpbalancer", CONFIG.read_text())
        self.events = DaemonEvents(lab["lb"], TCPBALANCER_CONTROL)

    def start(self) -> None:
        """Start all; returns when the balancer sends writes to the primary and reads to both replicas."""
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda node: node.start(), self.nodes.values()))
        poll(lambda: all(node.ready() for node in self.nodes.values()) and self.primary(), 60, "a primary and replicas")
        self.lab["lb"].run(["mkdir", "-p", "/run/haproxy"]).check()
        self.balancer.start()
        self.await_roles()

    def await_roles(self) -> None:
        """Return when a write arrives at the primary, and two different nodes answer reads."""
        poll(lambda: self.writes_to() == self.primary() != "", 60, "the primary takes writes through the balancer")
        readers = {name for name in DATABASES if name != self.primary()}
        poll(lambda: {self.reads_from() for _ in range(4)} == readers, 60, "both replicas answer reads")

    def primary(self) -> str:
        """Return the one node that says it is the primary, or an empty text."""

        def leads(address: str) -> bool:
            try:
                return status_of(address, "/primary") == 200
            except OSError:
                return False

        leaders = self.client.inside(lambda: [name for name, address in DATABASES.items() if leads(address)]).result()
        return leaders[0] if len(leaders) == 1 else ""

    def connect(self, port: int = 5000) -> psycopg.Connection[tuple[object, ...]]:
        """Return a session through the balancer."""
        target = f"host={BALANCER} port={port} user=postgres dbname=postgres connect_timeout=3"
        return self.client.inside(lambda: psycopg.connect(target, autocommit=True)).result()

    def writes_to(self) -> str:
        """Write through the balancer; returns the name of the node that took it, or an empty text."""
        try:
            with self.connect() as session:
                session.execute("CREATE TABLE IF NOT EXISTS marks (at timestamptz)")
                session.execute("INSERT INTO marks VALUES (now())")
                return node_of(session)
        except psycopg.Error:
            return ""

    def reads_from(self) -> str:
        """Return the name of the node that a read finds, or an empty text."""
        try:
            with self.connect(5001) as session:
                return node_of(session)
        except psycopg.Error:
            return ""

    def switchover(self, leader: str, candidate: str) -> None:
        """Ask Patroni for another leader (POST /switchover)."""
        body = json.dumps({"leader": leader, "candidate": candidate}).encode()
        request = urllib.request.Request(f"http://{DATABASES[leader]}:8008/switchover", body, method="POST")

        def post() -> int:
            with DIRECT.open(request, timeout=30) as answer:
                return int(answer.status)

        assert self.client.inside(post).result() == 200


def node_of(session: psycopg.Connection[tuple[object, ...]]) -> str:
    row = session.execute("SELECT host(inet_server_addr())").fetchone()
    assert row is not None
    return next(name for name, address in DATABASES.items() if address == row[0])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    hosts = {**DATABASES, "lb": BALANCER, "client": CLIENT}
    plans = tuple(HostPlan(name, (Port("lan50", (f"{address}/24",)),)) for name, address in hosts.items())
    with Lab(Topology(plans)) as lab:
        built = Cluster(lab)
        try:
            built.start()
            yield built
        finally:
            built.events.close()


def sessions_follow_the_leader(
    cluster: Cluster, deed: Callable[[str, str], None], show: Callable[[str], None], what: str
) -> None:
    """Hold idle sessions on the leader and on a replica, do it, and see whose are cut and where writes go next."""
    cluster.await_roles()
    leader = cluster.primary()
    candidate = next(name for name in DATABASES if name != leader)
    idle = [cluster.connect() for _ in range(SESSIONS)]
    assert {node_of(session) for session in idle} == {leader}
    begun = time.monotonic()
    deed(leader, candidate)
    cut = cluster.events.until(
        lambda event: (
            (event.event, event.get("backend"), event.get("server"), event.get("status"))
            == ("server", "primary", leader, "DOWN")
        ),
        60,
        begun,
    )
    new = poll(lambda: (found := cluster.writes_to()) != leader and found, 60, "writes arrive at another leader")
    written = time.monotonic() - begun

    def ended() -> list[Event]:
        return [
            event
            for event in cluster.events.events
            if (event.event, event.get("backend"), event.get("server")) == ("session", "primary", leader)
            and event.at >= begun
            and event.get("flags") in {"DC", "SD", "--"}
        ]

    kept = poll(lambda: len(found := ended()) >= SESSIONS and found, 10, "the end of every idle session is told")
    last = max(event.at for event in kept[:SESSIONS])
    show(
        f"{what}: {leader} -> {new}; its check failed after {cut.at - begun:.2f} s, the last of {SESSIONS} idle "
        f"sessions was ended after {last - begun:.2f} s, a write arrived at {new} after {written:.2f} s"
    )
    for session in idle:
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
        session.close()
    assert new == cluster.primary()


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    def write(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end="")

    return write


def test_a_switchover_cuts_the_sessions_of_the_old_leader_and_writes_arrive_at_the_new_one(
    cluster: Cluster, show: Callable[[str], None]
) -> None:
    sessions_follow_the_leader(cluster, cluster.switchover, show, "switchover")


def test_a_frozen_leader_loses_its_sessions_which_no_end_of_its_own_would_have_told(
    cluster: Cluster, show: Callable[[str], None]
) -> None:
    """Nothing closes the sessions of a node that hangs: only the balancer can."""

    def freeze(leader: str, _: str) -> None:
        cluster.lab[leader].signal_all(19)

    cluster.await_roles()
    leader = cluster.primary()
    sessions_follow_the_leader(cluster, freeze, show, "leader frozen")
    cluster.lab[leader].signal_all(18)
    cluster.await_roles()


def test_a_killed_leader_is_replaced_and_its_sessions_are_gone(cluster: Cluster, show: Callable[[str], None]) -> None:
    def kill(leader: str, _: str) -> None:
        assert cluster.lab[leader].kill_service("patroni")

    sessions_follow_the_leader(cluster, kill, show, "leader killed")


def test_what_get_patroni_answers_says_nothing_of_who_takes_writes(cluster: Cluster) -> None:
    """The set-up as many have it: all living nodes count as good, and most writes fail."""

    def statuses(path: str) -> list[int]:
        def ask(address: str) -> int:
            try:
                return status_of(address, path)
            except OSError:
                return 0

        return cluster.client.inside(lambda: sorted(ask(address) for address in DATABASES.values())).result()

    living = sum(status != 0 for status in statuses("/patroni"))
    assert living >= 2
    assert statuses("/patroni").count(200) == living
    assert statuses("/primary").count(200) == 1

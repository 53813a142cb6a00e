"""The set-up's own test plan, step by step, on the reference lab.

Laws: a step does what an administrator would do, and judges by what the kernel, the daemons and real clients say, not
by what the lab believes. Each step leaves the lab as it found it, or its successor does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from halab import faults
from halab.gaps import GapMeter
from halab.namespace import LabError
from halab.parts.client import Answer, fetch, query, sql_client, web_client
from halab.parts.daemons import Balancer, Speaker
from halab.parts.dockerd import SwarmManager
from halab.reference import (
    DATABASES,
    MANAGERS,
    NAMES,
    NODES,
    STATS_PASSWORD,
    STATS_USER,
    VIP,
    ReferenceLab,
    ServerStatus,
)
from halab.report import Seen, Step
from halab.takeover import ADDRESS_OF_SERVER, SERVED_WITHIN, answer_or_none, takeover
from halab.wait import AddressChange, NotSeenError, hold, poll

IN_RECOVERY = "SELECT pg_is_in_recovery()"
WRITE = "CREATE TABLE IF NOT EXISTS halab (at timestamptz DEFAULT now())"
MOVES_WITHIN = 10.0
"""Seconds within which the VIP must have moved, whatever was done: the set-up's own promise is 5 to 10."""
SILENT = 4.5
"""Seconds for a takeover from a master that says nothing: Master_Down_Interval is 3.6 s at most, and some room."""
STAYS_FOR = 10.0
HEALTHY_WITHIN = 15.0
"""Seconds within which both balancers must have found every server as it should be."""
MASTER, BACKUP = "haproxy1", "haproxy2"


class Plan:
    """The steps for one lab."""

    def __init__(self, lab: ReferenceLab) -> None:
        self.lab = lab
        self.works = lab.options.config == "lab"
        self.vrrp = lab.options.vrrp
        self.sql = sql_client()

    def steps(self) -> list[Step]:
        """Return all steps, in order."""
        return [
            Step("All healthy", "asked both balancers for their statistics", self._healthy_text(), self.healthy),
            Step("Who is master", "asked the kernels and the daemons", f"{MASTER}, on every word", self.who_is_master),
            Step(
                f"Ten {self.sql} connections", f"{ADDRESS_OF_SERVER} through {VIP}:5432, ten times",
                "each database answers three times, one of them four", self.ten_connections,
            ),
            self._writes_step(),
            self._join_step(),
            Step(
                "Statistics", f"{web_client()} -u {STATS_USER}:{STATS_PASSWORD} http://{VIP}:8404/stats",
                "the page names all five servers; without a password, and with a wrong one, it is refused",
                self.statistics_page,
            ),
            self._stop_balancer_step(),
            self._start_balancer_step(),
            *self._vrrp_steps(),
            Step("All healthy again", "asked everybody once more", self._healthy_text(joined=True), self.healthy_again),
        ]  # fmt: skip

    def _vrrp_steps(self) -> list[Step]:
        taken = f"{BACKUP} takes the VIP within {SILENT:g} s; {self.sql} works"
        back = f"{MASTER} has the VIP again, alone, within {MOVES_WITHIN:g} s; {self.sql} works"
        start = f"systemctl start keepalived on {MASTER} (that is {self.vrrp} here)"
        skew = f"{BACKUP} takes the VIP after Skew_Time, within 1.5 s; {self.sql} works"
        return [
            Step(f"kill -9 of {self.vrrp}", f"SIGKILL to {self.vrrp} on {MASTER}", taken, self.kill_speaker),
            Step("Start it again", start, f"{self._left_text()}; {back}", self.start_killed_speaker),
            Step("Link cut", f"the switch's port of {MASTER} down", f"{taken}; {MASTER} gives it up", self.cut),
            Step("Link healed", f"the switch's port of {MASTER} up", back, self.heal),
            Step(f"SIGTERM of {self.vrrp}", f"systemctl stop keepalived on {MASTER}", skew, self.stop_speaker),
            Step("Start it once more", start, back, self.start_speaker),
        ]

    # What is true at rest

    def _healthy_text(self, *, joined: bool = False) -> str:
        if self.lab.options.light or joined:
            return "every server that should be UP is UP on both balancers"
        return "every server that should be UP is UP on both balancers; docker_mgr2 is DOWN: it has not joined yet"

    def healthy(self) -> Seen:
        """Both balancers have checked every server, and found it as it should be."""
        return self._await_health(joined=self.lab.options.light)

    def healthy_again(self) -> Seen:
        """The same, with the second manager in the swarm, and the VIP at home."""
        seen = self._await_health(joined=True)
        swarm = ""
        manager = self.lab.managers["docker_mgr1"]
        if isinstance(manager, SwarmManager):
            listed = manager.docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}").check().output
            swarm = "; the swarm: " + ", ".join(listed.split("\n")).strip(", ")
        return Seen(f"{seen.text}{swarm}; {self.who_is_master().text}")

    def _await_health(self, *, joined: bool) -> Seen:
        wrong: list[str] = []

        def all_as_it_should_be() -> bool:
            primary = self.lab.primary()
            wrong.clear()
            for node, address in NODES.items():
                for line in self.lab.statistics(address):
                    wanted = _should_be_up(line, primary, joined=joined)
                    if line.up != wanted or not line.checked:
                        wrong.append(
                            f"{node}: {line.backend}/{line.server} is {line.status} ({line.check or 'unchecked'})"
                        )
            return not wrong

        try:
            poll(all_as_it_should_be, HEALTHY_WITHIN, "servers", every=0.1)
        except NotSeenError as problem:
            raise NotSeenError("; ".join(wrong) or f"{problem}") from None
        lines = self.lab.statistics(NODES[MASTER])
        up = sum(line.up for line in lines)
        return Seen(
            f"primary is {self.lab.primary()}; {up} of {len(lines)} servers UP, {len(lines) - up} DOWN as expected"
        )

    def who_is_master(self) -> Seen:
        """The kernels and the daemons agree who has the VIP."""
        self.lab.addresses.until(VIP, {MASTER}, MOVES_WITHIN)
        wanted = {MASTER: "MASTER", BACKUP: "BACKUP"}
        told: dict[str, str] = {}

        def agree() -> bool:
            told.update({node: self.lab.daemon_state(node) for node in NODES})
            return told == wanted

        poll(agree, 2, f"what {self.vrrp} says")
        words = ", ".join(f"{node} {state}" for node, state in told.items())
        return Seen(f"{VIP} is on {MASTER} (kernel); {self.vrrp} says {words}")

    def ten_connections(self) -> Seen:
        """Ten real clients are spread evenly."""
        answers = [self._ask(5432, ADDRESS_OF_SERVER) for _ in range(10)]
        servers = [NAMES.get(answer.text, answer.text) for answer in answers]
        spread = Counter(servers)
        text = ", ".join(f"{name} {spread[name]}" for name in sorted(spread)) + " (" + " ".join(servers) + ")"
        if sorted(spread.values()) != [3, 3, 4] or set(spread) != set(DATABASES):
            raise NotSeenError(text)
        return Seen(text)

    def _ask(self, port: int, statement: str) -> Answer:
        answer = query(self.lab.client, VIP, port, statement)
        if not answer.ok:
            raise NotSeenError(f"{answer.command}: {answer.error}")
        return answer

    # Reads and writes

    def _writes_step(self) -> Step:
        if self.works:
            return Step(
                "Writes to 5000, reads from 5001", f"a write through {VIP}:5000, a read through {VIP}:5001",
                "the write is taken by the primary, the read is answered by a replica", self.write_and_read,
            )  # fmt: skip
        return Step(
            "Writes through 5432", f"three writes through {VIP}:5432",
            "two of three reach a replica and are refused: GET /patroni answers 200 on every node, so the balancer "
            "cannot tell them apart (configs/lab adds 5000 and 5001)", self.writes_go_astray,
        )  # fmt: skip

    def write_and_read(self) -> Seen:
        """The primary-only and the replica ports lead where they say."""
        primary = self.lab.primary()
        self._ask(5000, WRITE)
        writer = NAMES.get(self._ask(5000, ADDRESS_OF_SERVER).text, "")
        reader = NAMES.get(self._ask(5001, ADDRESS_OF_SERVER).text, "")
        recovering = self._ask(5001, IN_RECOVERY).text
        text = f"5000 leads to {writer}, the primary being {primary}; 5001 to {reader}, in recovery: {recovering}"
        if writer != primary or reader == primary or recovering != "t":
            raise NotSeenError(text)
        return Seen(text)

    def writes_go_astray(self) -> Seen:
        """The set-up's second mistake, shown."""
        answers = [query(self.lab.client, VIP, 5432, WRITE) for _ in DATABASES]
        refused = [answer.error for answer in answers if "read-only" in answer.error]
        text = f"{len(refused)} of {len(answers)} refused: {refused[0] if refused else 'none'}"
        if len(refused) != 2:
            raise NotSeenError(text)
        return Seen(text)

    # The swarm

    def _join_step(self) -> Step:
        if self.lab.options.light:
            return Step(
                "Swarm port (stand-in)", f"a TCP connection to {VIP}:2377",
                "a manager's stand-in takes it; the real join needs real parts (without --light)", self.swarm_port,
            )  # fmt: skip
        return Step(
            "docker swarm join", f"docker swarm join of docker_mgr2 through {VIP}:2377",
            "it joins as a manager", self.join,
        )  # fmt: skip

    def swarm_port(self) -> Seen:
        """The stand-in's port is reached through the VIP."""
        import socket

        def connect() -> str:
            with socket.create_connection((VIP, 2377), 3) as connection:
                connection.sendall(b"\x16")
                connection.settimeout(0.2)
                try:
                    return "" if connection.recv(1) else "closed"
                except TimeoutError:
                    return ""  # held open, as the stand-in does

        closed = self.lab.client.inside(connect).result()
        if closed:
            raise NotSeenError("the connection was closed at once")
        return Seen("connected, and held open by a stand-in")

    def join(self) -> Seen:
        """The second manager joins through the balancer."""
        first, second = (self.lab.managers[name] for name in MANAGERS)
        assert isinstance(first, SwarmManager)
        assert isinstance(second, SwarmManager)
        done = second.join(first.manager_token(), f"{VIP}:2377").check()
        return Seen(f"{done.output.strip()} The balancers will find it UP by their own checks", done.seconds)

    # Statistics

    def statistics_page(self) -> Seen:
        """The page is there, and only for those who know the password."""
        url = f"http://{VIP}:8404/stats"
        page = fetch(self.lab.client, url, STATS_USER, STATS_PASSWORD)
        if not page.ok:
            raise NotSeenError(f"{page.command}: {page.error}")
        missing = [name for name in (*DATABASES, *MANAGERS) if name not in page.text]
        if missing:
            raise NotSeenError(f"the page does not name {', '.join(missing)}")
        for refused in (fetch(self.lab.client, url), fetch(self.lab.client, url, STATS_USER, "wrong")):
            if refused.ok or "401" not in refused.error:
                raise NotSeenError(f"{refused.command}: {refused.error or 'let in'}, where 401 is due")
        sessions = Counter[str]()
        for line in self.lab.statistics(VIP):
            sessions[line.server] += line.sessions
        counts = ", ".join(f"{name} {sessions[name]}" for name in (*DATABASES, *MANAGERS))
        return Seen(
            f"{len(page.text):,} bytes of HTML; sessions so far: {counts}; without a password 401, with a wrong one 401"
        )

    # The balancer stops and starts

    def _stop_balancer_step(self) -> Step:
        did = f"systemctl stop haproxy on {MASTER} (that is {self.lab.options.balancer} here)"
        if self.works:
            expected = f"the VIP moves to {BACKUP} within 5-10 s; {self.sql} works again"
            return Step("Stop the balancer on the master", did, expected, self.stop_balancer)
        expected = (
            f"the VIP stays on {MASTER} for {STAYS_FOR:g} s after the check has failed: weight -2 leaves "
            f"100 - 2 = 98 > 90, so {BACKUP} never takes over (configs/lab has 99, not 90); no client is served"
        )
        return Step("Stop the balancer on the master", did, expected, self.vip_stays)

    def stop_balancer(self) -> Seen:
        """The check script fails twice, 98 < 99, and the VIP moves."""
        return self._moves(
            lambda: self.lab.host(MASTER).run(["systemctl", "stop", Balancer.service]).check(),
            {BACKUP}, MOVES_WITHIN,
        )  # fmt: skip

    def vip_stays(self) -> Seen:
        """The set-up's first mistake, shown."""
        with GapMeter(self.lab.client, VIP, 5432) as meter:
            self.lab.host(MASTER).run(["systemctl", "stop", Balancer.service]).check()
            poll(self._priority_fell, MOVES_WITHIN, f"{self.vrrp} on {MASTER} lowers its priority to 98")
            hold(lambda: self.lab.holders() == {MASTER}, STAYS_FOR, f"{VIP} on {MASTER}")
        refused = query(self.lab.client, VIP, 5432, ADDRESS_OF_SERVER)
        if refused.ok:
            raise NotSeenError(f"{VIP}:5432 is answered by {refused.text}, though the balancer was stopped")
        stayed = f"the VIP stayed on {MASTER} for {STAYS_FOR:g} s with priority 98"
        return Seen(f"{stayed}; {self.sql}: {refused.error}; {meter.told()}")

    def _priority_fell(self) -> bool:
        """Both programs log it in the same words."""
        return "effective priority from 100 to 98" in self.lab.host(MASTER).log_tail(Speaker.service, 200)

    def _start_balancer_step(self) -> Step:
        did = f"systemctl start haproxy on {MASTER}"
        if self.works:
            expected = f"the VIP comes back to {MASTER} within {MOVES_WITHIN:g} s; {self.sql} works"
            return Step("Start the balancer again", did, expected, self.start_balancer)
        return Step("Start the balancer again", did, f"{self.sql} works again, on the same node", self.serves_again)

    def start_balancer(self) -> Seen:
        """The check script passes twice, 100 > 99, and the VIP comes back."""
        return self._moves(
            lambda: self.lab.host(MASTER).run(["systemctl", "start", Balancer.service]).check(), {MASTER}, MOVES_WITHIN
        )

    def serves_again(self) -> Seen:
        """Clients are served again as soon as the balancer listens."""
        self.lab.host(MASTER).run(["systemctl", "start", Balancer.service]).check()
        answer = poll(lambda: answer_or_none(self.lab), SERVED_WITHIN, f"{self.sql} through {VIP}:5432")
        holders = self.lab.holders()
        text = f"{NAMES.get(answer.text)} answered; {VIP} on {' and '.join(sorted(holders)) or 'nobody'}"
        if holders != {MASTER}:
            raise NotSeenError(text)
        return Seen(text)

    # The VRRP speaker and the network

    @property
    def _leaves_the_address(self) -> bool:
        """Whether a killed speaker leaves its address behind; ours has a lease on it (vip_lease)."""
        return self.vrrp == "keepalived"

    def _left_text(self) -> str:
        return "it removes what the killed one left" if self._leaves_the_address else "the killed one has left nothing"

    def kill_speaker(self) -> Seen:
        """SIGKILL: the network follows the new master; the killed node's kernel ends the lease of the address."""
        begun = time.monotonic()
        holders = {MASTER, BACKUP} if self._leaves_the_address else {BACKUP}
        seen = self._moves(
            lambda: faults.kill(self.lab.lab, MASTER, Speaker.service), holders, SILENT, served_by=BACKUP
        )
        note = f"the gap is small because {MASTER} forwards on: it still has the address; a start removes it"
        if not self._leaves_the_address:
            lost_at = next(one.at for one in self._vip_changes_of_master(begun) if not one.present)
            note = f"the kernel of {MASTER} took the address away after {lost_at - begun:.2f} s: its lease was over"
        return Seen(f"{seen.text}; {note}", seen.seconds)

    def _vip_changes_of_master(self, since: float) -> list[AddressChange]:
        changes = self.lab.addresses.changes
        return [one for one in changes if (one.host, one.address) == (MASTER, VIP) and one.at >= since]

    def start_speaker(self) -> Seen:
        """A start gives the VIP back to the higher priority."""
        return self._moves(
            lambda: self.lab.host(MASTER).run(["systemctl", "start", Speaker.service]).check(), {MASTER}, MOVES_WITHIN
        )

    def start_killed_speaker(self) -> Seen:
        """A start after a kill removes the address if it was left, and takes it only as MASTER."""
        begun = time.monotonic()
        seen = self.start_speaker()
        seen_there = self._vip_changes_of_master(begun)
        removes = [False] if self._leaves_the_address else []
        if [one.present for one in seen_there] != [*removes, True]:
            told = "; ".join(map(str, seen_there)) or "nothing"
            what = "remove the VIP and to add it again" if removes else "add the VIP, and had none to remove"
            raise NotSeenError(f"{MASTER} was to {what}; its kernel saw: {told}")
        if not removes:
            return Seen(f"nothing was left to remove; {seen.text}", seen.seconds)
        removed = seen_there[0]
        return Seen(f"what was left is removed after {removed.at - begun:.2f} s; {seen.text}", seen.seconds)

    def cut(self) -> Seen:
        """The master loses its link, and knows it."""
        return self._moves(lambda: faults.link_down(self.lab.lab, MASTER), {BACKUP}, SILENT)

    def heal(self) -> Seen:
        """The link is back, and so is the master."""
        return self._moves(lambda: faults.link_up(self.lab.lab, MASTER), {MASTER}, MOVES_WITHIN)

    def stop_speaker(self) -> Seen:
        """A master that leaves in order says so: priority 0, and the backup waits its Skew_Time only."""
        return self._moves(
            lambda: self.lab.host(MASTER).run(["systemctl", "stop", Speaker.service]).check(), {BACKUP}, 1.5
        )

    def _moves(self, deed: Callable[[], object], to: set[str], within: float, served_by: str = "") -> Seen:
        return takeover(self.lab, deed, to, within, served_by)


def _should_be_up(line: ServerStatus, primary: str, *, joined: bool) -> bool:
    """Whether a server is UP when all is well: by its backend's name, only the primary, or only replicas, are."""
    if line.server in MANAGERS:
        return joined or line.server == "docker_mgr1"
    if "primary" in line.backend:
        return line.server == primary
    if "replica" in line.backend:
        return line.server != primary
    if line.server not in DATABASES:
        raise LabError(f"the balancer knows a server {line.backend}/{line.server} that this lab does not have")
    return True

"""The kernel's data plane at work: who is led where, what becomes of a connection, what the statistics show.

One daemon serves all tests of this file, and each test has a frontend of its own.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from kernel_lab import BACK, FRONT, FRONT6, KernelLab, echoes, is_reset, listen, servers
from tcp_peers import PATIENCE, read_exactly, read_to_end

from halab.namespace import Host
from halab.wait import poll

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

LATER, SOURCE = "10.77.1.50", "10.77.2.50"
CALLED = (7001, 7002)
"""Ports of servers that have none of their own."""
SECTIONS = {
    "weights": (("balance roundrobin",), servers("s1", options="weight 2") + servers("s2", "s3")),
    "source": (("balance source",), servers()),
    "checked": ((), servers(options="check")),
    "backup": ((), servers("s1") + servers("s2", options="backup")),
    "everywhere": (
        ("bind *:7001,*:7002", "bind :::7001,:::7002 v6only"),
        f"    server old {BACK['s1']}\n    server new [fd77:2::12]\n",
    ),
    "itself": ((), servers()),
    "later": ((f"bind {LATER}:7003",), servers("s1")),
    "from": ((), servers("s1") + servers("s2", options=f"source {SOURCE}")),
    "empty": ((), servers("s1")),
    "paused": ((), servers("s1")),
    "drained": ((), servers("s1", "s2")),
    "marked": ((), servers(options="check on-marked-down shutdown-sessions")),
    "cut": ((), servers("s1", "s2")),
    "short": (("timeout client 2s",), servers("s1")),
    "counted": ((f"bind [{FRONT6}]:7004",), servers("s1") + servers("s2", v6=True)),
    "plain": ((), servers("s1")),
}
PORTS = {name: 6000 + place for place, name in enumerate(SECTIONS)}


@pytest.fixture(scope="module")
def lab() -> Iterator[KernelLab]:
    with KernelLab() as lab:
        for name in ("s1", "s2"):
            for port in CALLED:
                lab.servers[name].open(port)
        lab.start(*(listen(*lines, name=name, bind=f"{FRONT}:{PORTS[name]}") + rest
                    for name, (lines, rest) in SECTIONS.items()))  # fmt: skip
        yield lab


def connect(lab: KernelLab, frontend: str, host: Host | None = None) -> socket.socket:
    return lab.connect(FRONT, PORTS[frontend], host)


def names(lab: KernelLab, count: int, frontend: str, **how: str) -> list[str]:
    return lab.names(count, FRONT, PORTS[frontend], **how)


def greeted(peer: socket.socket) -> str:
    """Return who is at the other end of a new connection."""
    return peer.recv(100).decode().strip()


# -- who is led where --------------------------------------------------------------------------------------------------


def test_turns_are_taken_exactly_by_the_weights(lab: KernelLab) -> None:
    assert names(lab, 8, "weights") == ["s1", "s2", "s3", "s1"] * 2
    # A weight that an operator sets acts with the next connection.
    lab.ask("set server weights/s1 weight 1")
    lab.until("kernel", action="changed", frontend="weights", turns=3)
    assert Counter(names(lab, 6, "weights")) == {"s1": 2, "s2": 2, "s3": 2}


def test_balance_source_keeps_each_client_with_its_server_whatever_becomes_of_the_others(lab: KernelLab) -> None:
    sources = [f"10.77.1.{last}" for last in range(100, 124)]
    lab.client.run(["ip", "-batch", "-"], stdin="".join(f"addr add {one}/24 dev eth0\n" for one in sources)).check()

    def led() -> dict[str, list[str]]:
        return {source: names(lab, 1, "source", source=source) for source in sources}

    before = led()
    assert before == led()
    assert {name for (name,) in before.values()} == {"s1", "s2", "s3"}, "24 clients meet all three"
    lab.ask("disable server source/s2")
    lab.until("kernel", action="changed", frontend="source")
    after = led()
    moved = {source for source in sources if after[source] != before[source]}
    assert moved == {source for source in sources if before[source] == ["s2"]}


def test_a_server_that_fails_its_check_gets_no_more_connections_and_keeps_those_that_it_has(lab: KernelLab) -> None:
    with connect(lab, "checked") as first:
        assert greeted(first) == "s1"
        lab.mark()
        lab.servers["s1"].refuse()
        lab.until("kernel", action="changed", frontend="checked", turns=2)
        assert {*names(lab, 4, "checked")} == {"s2", "s3"}
        assert echoes(first)
        lab.mark()
        lab.servers["s1"].open()
        lab.until("kernel", action="changed", frontend="checked", turns=3)
        assert {*names(lab, 3, "checked")} == {"s1", "s2", "s3"}


def test_a_backup_gets_its_turn_when_no_other_server_is_left(lab: KernelLab) -> None:
    assert names(lab, 2, "backup") == ["s1", "s1"]
    lab.ask("disable server backup/s1")
    lab.until("kernel", action="changed", frontend="backup")
    assert names(lab, 2, "backup") == ["s2", "s2"]


def test_clients_come_by_either_version_of_ip_to_several_ports_of_all_addresses(lab: KernelLab) -> None:
    for port in CALLED:
        assert lab.names(2, FRONT, port) == ["s1", "s1"]
        assert lab.names(2, "10.77.2.1", port, lab.balancer) == ["s1", "s1"], "another address of the balancer"
        assert lab.names(2, FRONT6, port) == ["s2", "s2"]


def test_programs_of_the_machine_itself_are_led_as_well(lab: KernelLab) -> None:
    assert lab.names(3, FRONT, PORTS["itself"], lab.balancer) == ["s1", "s2", "s3"]


def test_an_address_that_comes_later_is_served_from_the_moment_it_is_there(lab: KernelLab) -> None:
    lab.balancer.run(["ip", "addr", "add", f"{LATER}/24", "dev", "eth0"]).check()
    assert lab.names(1, LATER, 7003) == ["s1"]


def test_servers_see_the_balancer_or_the_address_that_source_names(lab: KernelLab) -> None:
    lab.balancer.run(["ip", "addr", "add", f"{SOURCE}/24", "dev", "eth1"]).check()
    with connect(lab, "from") as one, connect(lab, "from") as other:
        assert [greeted(one), greeted(other)] == ["s1", "s2"]
        seen = [lab.servers[name].end_of(peer).getpeername()[0] for name, peer in (("s1", one), ("s2", other))]
    assert seen == ["::ffff:10.77.2.1", f"::ffff:{SOURCE}"]


def test_without_a_usable_server_connections_are_refused_and_counted_as_errors(lab: KernelLab) -> None:
    lab.ask("disable server empty/s1")
    lab.until("kernel", action="changed", frontend="empty", turns=0)
    for host in (lab.client, lab.balancer):
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "empty", host)
    row = lab.until_row("empty", "BACKEND", stot=2)
    assert (row["econ"], row["status"], lab.row("empty", "FRONTEND")["stot"]) == ("2", "DOWN", "2")
    lab.ask("enable server empty/s1")
    lab.until("kernel", action="changed", frontend="empty", turns=1)
    assert names(lab, 1, "empty") == ["s1"]


def test_a_frontend_that_an_operator_disables_refuses_until_it_is_enabled(lab: KernelLab) -> None:
    with connect(lab, "paused") as before:
        assert not lab.ask("disable frontend paused").strip()
        lab.until("kernel", action="changed", frontend="paused", turns=0)
        with pytest.raises(ConnectionRefusedError):
            connect(lab, "paused")
        assert lab.row("paused", "FRONTEND")["status"] == "PAUSED"
        assert greeted(before) == "s1"
        lab.ask("enable frontend paused")
        lab.until("kernel", action="changed", frontend="paused", turns=1)
        assert names(lab, 1, "paused") == ["s1"]


# -- what becomes of connections ---------------------------------------------------------------------------------------


def test_a_drained_server_keeps_its_connections_and_gets_no_more(lab: KernelLab) -> None:
    with connect(lab, "drained") as first:
        assert greeted(first) == "s1"
        lab.ask("set server drained/s1 state drain")
        lab.until("kernel", action="changed", frontend="drained", turns=1)
        assert names(lab, 3, "drained") == ["s2"] * 3
        assert echoes(first)
        assert lab.until_row("drained", "s1", scur=1)["status"] == "DRAIN"
    lab.until("drained", backend="drained", server="s1")


def test_on_marked_down_shutdown_sessions_cuts_both_sides_of_that_server_alone(lab: KernelLab) -> None:
    with connect(lab, "marked") as first, connect(lab, "marked") as second:
        assert [greeted(first), greeted(second)] == ["s1", "s2"]
        theirs = lab.servers["s1"].end_of(first)
        lab.mark()
        lab.servers["s1"].refuse()
        lab.until("kernel", action="cut")
        assert is_reset(first)
        assert is_reset(theirs)
        assert echoes(second)
    lab.mark()
    lab.servers["s1"].open()
    lab.until("kernel", action="changed", frontend="marked", turns=3)


def test_shutdown_sessions_server_cuts_what_it_has(lab: KernelLab) -> None:
    with connect(lab, "cut") as first, connect(lab, "cut") as second:
        assert [greeted(first), greeted(second)] == ["s1", "s2"]
        lab.ask("shutdown sessions server cut/s2")
        lab.until("kernel", action="cut")
        assert is_reset(second)
        assert echoes(first)
        assert names(lab, 2, "cut") == ["s1", "s2"], "nobody's turn was lost"


def test_a_connection_without_a_packet_for_the_shortest_timeout_is_forgotten(lab: KernelLab) -> None:
    with connect(lab, "short") as peer:
        assert greeted(peer) == "s1"
        assert "ESTABLISHED" in lab.connection(peer)
        poll(lambda: not lab.connection(peer), PATIENCE, "the connection is forgotten")
        assert is_reset(peer)


def test_ends_and_resets_pass_as_they_are(lab: KernelLab) -> None:
    with connect(lab, "plain") as half:
        greeted(half)
        half.sendall(b"the last words")
        half.shutdown(socket.SHUT_WR)
        assert read_to_end(half) == b"the last words", "one side's end is not the other's"
    peer = connect(lab, "plain")
    greeted(peer)
    theirs = lab.servers["s1"].end_of(peer)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    poll(lambda: theirs.fileno() == -1, 5, "the reset arrives, and the server's thread closes")


# -- what the statistics show ------------------------------------------------------------------------------------------


def test_counters_are_what_was_sent_to_the_byte(lab: KernelLab) -> None:
    sizes, before = (300_001, 70_007), lab.sent_again()
    with connect(lab, "counted") as old, lab.connect(FRONT6, 7004) as new:
        for peer, size in zip((old, new), sizes, strict=True):
            greeted(peer)
            for start in range(0, size, 10_000):
                part = b"x" * min(10_000, size - start)
                peer.sendall(part)
                assert read_exactly(peer, len(part)) == part
        for name, size in zip(("s1", "s2"), sizes, strict=True):
            lab.until_moved("counted", name, size, size + 3, before)
            row = lab.until_row("counted", name, scur=1)
            assert (row["stot"], row["lbtot"], row["smax"]) == ("1", "1", "1")
        for name in ("FRONTEND", "BACKEND"):
            row = lab.until_moved("counted", name, sum(sizes), sum(sizes) + 6, before)
            assert (row["stot"], row["scur"]) == ("2", "2")
        assert "CurrConns: 2\n" in lab.ask("show info")
        page = lab.client.inside(lambda: urlopen(f"http://{FRONT}:8404/;json").read()).result()
        assert int(row["bin"]) in [field["value"]["value"] for one in json.loads(page) for field in one]
    assert int(lab.until_row("counted", "FRONTEND", scur=0)["rate_max"]) >= 1
    lab.ask("clear counters all")
    assert lab.row("counted", "FRONTEND")["stot"] == "0"


def test_a_port_of_the_kernels_plane_belongs_to_nobody_else(lab: KernelLab) -> None:
    def squat() -> None:
        with socket.create_server((FRONT, PORTS["plain"])):
            pass

    with pytest.raises(OSError, match="in use"):
        lab.balancer.inside(squat).result()

"""The kernel's data plane at work: who is led where, what becomes of a connection, what the statistics show."""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from kernel_lab import BACK, FRONT, FRONT6, HEAD, PORT, TABLE, KernelLab, echoes, is_reset, listen, servers
from tcp_peers import read_exactly, read_to_end

from halab.wait import poll

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def standing() -> Iterator[KernelLab]:
    with KernelLab() as lab:
        yield lab


@pytest.fixture
def lab(standing: KernelLab) -> Iterator[KernelLab]:
    yield standing
    standing.stop()
    assert TABLE not in standing.tables(), "what was put into the kernel is taken away at the end"
    for server in standing.servers.values():
        server.begin_anew()


def greeted(peer: socket.socket) -> str:
    """Return who is at the other end of a new connection."""
    return peer.recv(100).decode().strip()


# -- who is led where --------------------------------------------------------------------------------------------------


def test_turns_are_taken_exactly_by_the_weights(lab: KernelLab) -> None:
    lines = f"    server s1 {BACK['s1']}:{PORT} weight 2\n" + servers("s2") + servers("s3")
    lab.start(listen("balance roundrobin") + lines)
    assert lab.names(8) == ["s1", "s2", "s3", "s1"] * 2
    # A weight that an operator sets acts with the next connection.
    lab.ask("set server pg/s1 weight 1")
    lab.until("kernel", action="changed", turns=3)
    assert Counter(lab.names(6)) == {"s1": 2, "s2": 2, "s3": 2}


def test_balance_source_keeps_each_client_with_its_server_whatever_becomes_of_the_others(lab: KernelLab) -> None:
    sources = [f"10.77.1.{last}" for last in range(100, 124)]
    lab.client.run(["ip", "-batch", "-"], stdin="".join(f"addr replace {one}/24 dev eth0\n" for one in sources)).check()
    lab.start(listen("balance source") + servers())
    before = {source: lab.names(1, source=source) for source in sources}
    assert before == {source: lab.names(1, source=source) for source in sources}
    assert {name for (name,) in before.values()} == {"s1", "s2", "s3"}, "24 clients meet all three"
    lab.ask("disable server pg/s2")
    lab.until("kernel", action="changed", turns=3)
    after = {source: lab.names(1, source=source) for source in sources}
    assert {source for source in sources if after[source] != before[source]} == {
        source for source in sources if before[source] == ["s2"]
    }


def test_a_server_that_fails_its_check_gets_no_more_connections_and_keeps_those_that_it_has(lab: KernelLab) -> None:
    lab.start(listen() + servers(options="check"))
    with lab.connect() as first:
        assert greeted(first) == "s1"
        lab.mark()
        lab.servers["s1"].refuse()
        lab.until("kernel", action="changed", turns=2)
        assert set(lab.names(4)) == {"s2", "s3"}
        assert echoes(first)
        lab.mark()
        lab.servers["s1"].open()
        lab.until("kernel", action="changed", turns=3)
        assert set(lab.names(3)) == {"s1", "s2", "s3"}


def test_a_backup_gets_its_turn_when_no_other_server_is_left(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", options="check") + servers("s2", options="backup"))
    assert lab.names(2) == ["s1", "s1"]
    lab.servers["s1"].refuse()
    poll(lambda: lab.row("pg", "s1")["status"] == "DOWN", 5, "s1 is down")
    poll(lambda: lab.names(1) == ["s2"], 5, "the backup serves")


def test_clients_come_by_either_version_of_ip_to_several_ports_on_all_addresses(lab: KernelLab) -> None:
    both = "".join(f"    server {name} {address}\n" for name, address in (("old", BACK["s1"]), ("new", "[fd77:2::12]")))
    # Servers without a port: the one that was called.
    for name in ("s1", "s2"):
        lab.servers[name].open(PORT + 1)
    lab.start(listen(f"bind :::{PORT},:::{PORT + 1} v6only", bind=f"*:{PORT},*:{PORT + 1}") + both)
    assert lab.names(2) == ["s1", "s1"]
    assert lab.names(2, FRONT, PORT + 1) == ["s1", "s1"]
    assert lab.names(2, FRONT6) == ["s2", "s2"]
    assert lab.names(2, FRONT6, PORT + 1) == ["s2", "s2"]


def test_programs_of_the_machine_itself_are_led_as_well(lab: KernelLab) -> None:
    lab.start(listen() + servers())
    assert lab.names(3, host=lab.balancer) == ["s1", "s2", "s3"]


def test_an_address_that_comes_later_is_served_from_the_moment_it_is_there(lab: KernelLab) -> None:
    lab.start(listen(bind=f"10.77.1.50:{PORT}") + servers("s1"))
    lab.balancer.run(["ip", "addr", "add", "10.77.1.50/24", "dev", "eth0"]).check()
    try:
        assert lab.names(1, "10.77.1.50") == ["s1"]
    finally:
        lab.balancer.run(["ip", "addr", "del", "10.77.1.50/24", "dev", "eth0"]).check()


def test_servers_see_the_balancer_or_the_address_that_source_names(lab: KernelLab) -> None:
    lab.balancer.run(["ip", "addr", "add", "10.77.2.50/24", "dev", "eth1"]).check()
    try:
        lab.start(listen() + servers("s1") + servers("s2", options="source 10.77.2.50"))
        lab.names(2)
        assert (lab.servers["s1"].clients, lab.servers["s2"].clients) == (["10.77.2.1"], ["10.77.2.50"])
    finally:
        lab.balancer.run(["ip", "addr", "del", "10.77.2.50/24", "dev", "eth1"]).check()


def test_without_a_usable_server_connections_are_refused_and_counted_as_errors(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    lab.ask("disable server pg/s1")
    lab.until("kernel", action="changed", turns=0)
    for host in (lab.client, lab.balancer):
        with pytest.raises(ConnectionRefusedError):
            lab.connect(host=host)
    row = lab.until_row("pg", "BACKEND", stot=2)
    assert (row["econ"], row["status"], lab.row("pg", "FRONTEND")["stot"]) == ("2", "DOWN", "2")
    lab.ask("enable server pg/s1")
    lab.until("kernel", action="changed", turns=1)
    assert lab.names(1) == ["s1"]


def test_a_frontend_that_an_operator_disables_refuses_until_it_is_enabled(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    with lab.connect() as before:
        assert lab.ask("disable frontend pg").strip() == ""
        poll(lambda: "goto" not in lab.nft("list", "chain", "inet", TABLE, "entrance-2"), 5, "nothing leads on")
        with pytest.raises(ConnectionRefusedError):
            lab.connect()
        assert lab.row("pg", "FRONTEND")["status"] == "PAUSED"
        assert greeted(before) == "s1"
        lab.ask("enable frontend pg")
        poll(lambda: "goto" in lab.nft("list", "chain", "inet", TABLE, "entrance-2"), 5, "it leads on")
        assert lab.names(1) == ["s1"]


# -- what becomes of connections ---------------------------------------------------------------------------------------


def test_a_drained_server_keeps_its_connections_and_gets_no_more(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", "s2"))
    with lab.connect() as first:
        assert greeted(first) == "s1"
        lab.ask("set server pg/s1 state drain")
        lab.until("kernel", action="changed", turns=1)
        assert lab.names(3) == ["s2"] * 3
        assert echoes(first)
        assert lab.until_row("pg", "s1", scur=1)["status"] == "DRAIN"


def test_on_marked_down_shutdown_sessions_cuts_both_sides_of_that_server_alone(lab: KernelLab) -> None:
    lab.start(listen() + servers(options="check on-marked-down shutdown-sessions"))
    with lab.connect() as first, lab.connect() as second:
        assert [greeted(first), greeted(second)] == ["s1", "s2"]
        lab.mark()
        lab.servers["s1"].refuse()
        lab.until("kernel", action="cut")
        assert is_reset(first)
        assert is_reset(lab.servers["s1"].end_of(first))
        assert echoes(second)


def test_shutdown_sessions_server_cuts_what_it_has(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", "s2"))
    with lab.connect() as first, lab.connect() as second:
        assert [greeted(first), greeted(second)] == ["s1", "s2"]
        lab.ask("shutdown sessions server pg/s2")
        lab.until("kernel", action="cut")
        assert is_reset(second)
        assert echoes(first)
        assert lab.names(2) == ["s1", "s2"], "nobody's turn was lost"


def test_a_connection_without_a_packet_for_the_shortest_timeout_is_forgotten(lab: KernelLab) -> None:
    head = HEAD.replace("timeout client 1h", "timeout client 2s")
    lab.start(listen() + servers("s1"), head=head)
    with lab.connect() as first, lab.connect() as second:
        assert {greeted(first), greeted(second)} == {"s1"}
        lab.until_row("pg", "s1", scur=2)
        lab.until_row("pg", "s1", scur=0)
        assert is_reset(first)


# -- what the statistics show ------------------------------------------------------------------------------------------


def test_counters_are_what_was_sent_to_the_byte(lab: KernelLab) -> None:
    lab.start(listen(bind=f"{FRONT}:{PORT},[{FRONT6}]:{PORT}") + servers("s1") + servers("s2", v6=True))
    with lab.connect() as old, lab.connect(FRONT6) as new:
        for peer, size in ((old, 300_001), (new, 70_007)):
            greeted(peer)
            # What is not sent at once is sent by a thread of the server: it echoes what it reads.
            for start in range(0, size, 10_000):
                part = b"x" * min(10_000, size - start)
                peer.sendall(part)
                assert read_exactly(peer, len(part)) == part
        row = lab.until_row("pg", "s1", bin=300_001, scur=1)
        assert (row["bout"], row["stot"], row["lbtot"], row["smax"]) == (str(300_001 + 3), "1", "1", "1")
        row = lab.until_row("pg", "s2", bin=70_007, scur=1)
        assert row["bout"] == str(70_007 + 3)
        for name in ("FRONTEND", "BACKEND"):
            row = lab.until_row("pg", name, scur=2)
            assert (row["bin"], row["bout"], row["stot"]) == ("370008", str(370_008 + 6), "2")
        assert int(lab.row("pg", "FRONTEND")["rate_max"]) >= 1
        assert "CurrConns: 2\n" in lab.ask("show info")
        page = lab.client.inside(lambda: urlopen(f"http://{FRONT}:8404/;json").read()).result()
        assert any("pg" in json.dumps(one) for one in json.loads(page))
    lab.until_row("pg", "FRONTEND", scur=0)
    lab.ask("clear counters all")
    assert lab.row("pg", "FRONTEND")["stot"] == "0"


def test_a_port_of_the_kernels_plane_belongs_to_nobody_else(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))

    def squat() -> None:
        with socket.create_server((FRONT, PORT), reuse_port=False):
            pass

    with pytest.raises(OSError, match="in use"):
        lab.balancer.inside(squat).result()


# -- the half of it that is TCP ----------------------------------------------------------------------------------------


def test_ends_and_resets_pass_as_they_are(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    with lab.connect() as half:
        greeted(half)
        half.sendall(b"the last words")
        half.shutdown(socket.SHUT_WR)
        assert read_to_end(half) == b"the last words", "one side's end is not the other's"
    peer = lab.connect()
    greeted(peer)
    theirs = lab.servers["s1"].end_of(peer)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    poll(lambda: theirs.fileno() == -1 or theirs.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 5, "the reset arrives")

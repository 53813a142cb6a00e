"""The kernel's data plane through starts, reloads and ends: nothing is left behind, and no connection is lost."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator

import pytest
from kernel_lab import FRONT, HEAD, PORT, STATS, TABLE, KernelLab, echoes, is_reset, listen, servers
from tcp_peers import PATIENCE

from halab.wait import hold, poll

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def standing() -> Iterator[KernelLab]:
    with KernelLab() as lab:
        yield lab


@pytest.fixture
def lab(standing: KernelLab) -> Iterator[KernelLab]:
    yield standing
    standing.stop()
    assert not [name for name in standing.tables() if name.startswith("tcpbalancer")]
    for server in standing.servers.values():
        server.begin_anew()


ROUNDS = 6
"""Reloads under load."""


class Load:
    """Clients that connect, are greeted and close, one after the other, until it is stopped; what failed is kept."""

    def __init__(self, lab: KernelLab, clients: int) -> None:
        self._stop = threading.Event()
        self.made = 0
        self.failures: list[str] = []
        self._futures = [lab.client.inside(self._connect) for _ in range(clients)]

    def _connect(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection((FRONT, PORT), PATIENCE) as peer:
                    if not peer.recv(100).startswith(b"s"):
                        self.failures.append("closed without a word")
            except OSError as problem:
                self.failures.append(str(problem))
            self.made += 1

    def stop(self) -> None:
        self._stop.set()
        for future in self._futures:
            future.result()


# -- reload ------------------------------------------------------------------------------------------------------------


def test_reloads_under_load_fail_no_connection_and_end_none(lab: KernelLab) -> None:
    lab.start(listen() + servers())
    before = lab.sent_again()
    with lab.connect() as long:
        long.recv(100)
        load = Load(lab, 4)
        for round_ in range(ROUNDS):
            # The set of servers changes as well, so that the rules really are others.
            lab.reload(listen(), servers(*(("s1", "s2", "s3") if round_ % 2 else ("s1", "s2"))))
            assert echoes(long)
        load.stop()
    assert (load.failures, load.made > 100) == ([], True), load.made
    # The counters go over every reload.
    lab.until_row("pg", "FRONTEND", scur=0, stot=load.made + 1)
    lab.until_moved("pg", "FRONTEND", 14 * ROUNDS, 14 * ROUNDS + 3 * (load.made + 1), before)


def test_a_server_that_a_reload_removes_keeps_its_connections_and_then_nothing_is_left_of_it(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", "s2"))
    assert lab.names(1) == ["s1"]
    with lab.connect() as peer:
        assert peer.recv(100) == b"s2\n"
        lab.reload(listen() + servers("s1"))
        assert lab.names(2) == ["s1", "s1"]
        assert echoes(peer)
        assert "pg/s2" in lab.nft("list", "table", "inet", TABLE)
    poll(lambda: "pg/s2" not in lab.nft("list", "table", "inet", TABLE), PATIENCE, "the way to s2 is gone")


def test_a_reload_may_go_over_to_the_kernel_and_back_again(lab: KernelLab) -> None:
    proxied = (listen() + servers()).replace("    option kernel-relay\n", "    balance roundrobin\n")
    lab.start(proxied)
    with lab.connect() as by_proxy:
        assert by_proxy.recv(100) == b"s1\n"
        lab.reload(listen() + servers())
        with lab.connect() as by_kernel:
            assert by_kernel.recv(100).startswith(b"s")
            assert set(lab.names(3)) == {"s1", "s2", "s3"}
            assert lab.until_row("pg", "FRONTEND", scur=2, stot=5)["status"] == "OPEN"
            lab.reload(proxied)
            assert echoes(by_proxy)
            assert echoes(by_kernel)
            assert set(lab.names(3)) == {"s1", "s2", "s3"}
    poll(lambda: TABLE not in lab.tables(), PATIENCE, "the table goes with the last connection")
    hold(lambda: TABLE not in lab.tables(), 1.5, "and does not come back")
    lab.reload(listen() + servers())
    assert set(lab.names(3)) == {"s1", "s2", "s3"}


def test_a_reload_that_cannot_be_changes_nothing(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    before = lab.nft("list", "chain", "inet", TABLE, "entrance-2")
    lab.configure(listen("balance leastconn") + servers("s2"))
    assert "Success=0" in lab.ask_master("reload")
    assert lab.nft("list", "chain", "inet", TABLE, "entrance-2") == before
    assert lab.names(1) == ["s1"]


# -- ends --------------------------------------------------------------------------------------------------------------


def test_a_soft_stop_refuses_new_connections_and_waits_for_those_that_there_are(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    with lab.connect() as peer:
        peer.recv(100)
        lab.kill("cli", signal.SIGUSR1)

        def is_refused() -> bool:
            try:
                lab.connect().close()
            except ConnectionRefusedError:
                return True
            return False

        poll(is_refused, PATIENCE, "new connections are refused")
        assert echoes(peer)
        assert lab.balancer.services()["tcpbalancer"]["state"] == "active"
    poll(lambda: lab.balancer.services()["tcpbalancer"]["state"] != "active", PATIENCE, "it has ended")


def test_a_supervisor_that_is_killed_leaves_nothing(lab: KernelLab) -> None:
    # Not as a service: whoever runs services ends what is left of them, and may do so before anybody can clean up.
    lab.configure(listen() + servers("s1"))
    supervisor = lab.balancer.spawn(lab.command)
    poll(lambda: TABLE in lab.tables(), PATIENCE, "the rules are there")
    with lab.connect() as peer:
        peer.recv(100)
        supervisor.signal(signal.SIGKILL)
        poll(lambda: TABLE not in lab.tables(), PATIENCE, "the rules are gone")
        assert is_reset(peer)


def test_what_was_left_when_all_were_killed_is_gone_after_the_next_start(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    stranger = lab.balancer.run(["nft", "add", "table", "inet", "tcpbalancer-9"]).check()
    lab.balancer.kill_service("tcpbalancer")
    poll(lambda: lab.balancer.services()["tcpbalancer"]["state"] != "active", PATIENCE, "all are dead")
    assert stranger.status == 0
    assert {TABLE, "tcpbalancer-9"} <= {*lab.tables()}, "nobody was left to clean up"
    lab.start(listen() + servers("s2"))
    assert [name for name in lab.tables() if name.startswith("tcpbalancer")] == [TABLE]
    assert lab.names(2) == ["s2", "s2"]


def test_the_process_that_knows_nft_is_replaced_and_nobody_notices(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", "s2"))
    with lab.connect() as peer:
        assert peer.recv(100) == b"s1\n"
        lab.until_row("pg", "FRONTEND", stot=1)
        lab.mark()
        lab.kill("kernel.executor")
        lab.until("kernel", action="began")
        assert echoes(peer)
        assert set(lab.names(2)) == {"s1", "s2"}
        assert lab.until_row("pg", "FRONTEND", stot=3)["bin"] == "14"


def test_a_table_that_somebody_has_taken_away_is_made_anew(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", "s2"))
    lab.mark()
    lab.nft("flush", "ruleset")
    lab.until("kernel", action="began")
    assert set(lab.names(2)) == {"s1", "s2"}
    # Not all of it, and noticed when something has to change.
    lab.nft("flush", "map", "inet", TABLE, "addresses4")
    lab.nft("flush", "chain", "inet", TABLE, "entrance-3")
    lab.nft("delete", "chain", "inet", TABLE, "entrance-3")
    lab.ask("disable server pg/s1")
    lab.until("kernel", action="began")
    assert lab.names(2) == ["s2", "s2"]


def test_what_could_not_be_done_is_told_once_and_done_as_soon_as_it_can_be(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1", "s2"))
    lab.balancer.run(["mount", "--bind", "/dev/null", "/usr/sbin/nft"]).check()
    try:
        lab.ask("disable server pg/s1")
        poll(
            lambda: "The kernel does not relay as it should" in lab.balancer.log_tail("tcpbalancer"),
            PATIENCE,
            "an alert",
        )
        assert set(lab.names(2)) == {"s1", "s2"}, "what stands goes on"
        hold(lambda: lab.balancer.log_tail("tcpbalancer").count("does not relay") == 1, 1.5, "it is told once")
    finally:
        lab.balancer.run(["umount", "/usr/sbin/nft"]).check()
    lab.until("kernel", action="changed", frontend="pg", turns=1)
    assert lab.names(2) == ["s2", "s2"]


def test_one_address_cannot_be_relayed_and_listened_on_at_once(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    lab.configure(listen() + servers("s1"), f"listen twice\n    bind {FRONT}:{PORT}\n{servers('s1')}")
    assert "Success=0" in lab.ask_master("reload")
    assert lab.names(1) == ["s1"]


def test_a_worker_that_is_killed_is_nothing_to_connections_that_no_process_sees(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    with lab.connect() as peer:
        peer.recv(100)
        lab.mark()
        lab.kill("nursery")
        assert echoes(peer)
        assert lab.names(2) == ["s1", "s1"]


# -- several daemons ---------------------------------------------------------------------------------------------------


def test_a_successor_takes_over_and_its_predecessor_ends_with_its_last_connection(lab: KernelLab) -> None:
    lab.start(listen() + servers("s1"))
    with lab.connect() as old:
        old.recv(100)
        load = Load(lab, 2)
        lab.configure(listen() + servers("s2"), head=HEAD.replace(STATS, "/run/other.sock"))
        successor = [*lab.command[:-2], "--control", "/run/other.control", "-sf", str(lab.pid("cli"))]
        following = lab.balancer.spawn(successor)
        try:
            poll(lambda: set(lab.names(2)) == {"s2"}, PATIENCE, "the successor serves")
            assert {TABLE, "tcpbalancer-2"} <= {*lab.tables()}
            assert echoes(old)
            load.stop()
            assert not load.failures
            old.close()
            poll(lambda: TABLE not in lab.tables(), PATIENCE, "the predecessor has ended, and its table with it")
            assert lab.names(1) == ["s2"]
        finally:
            following.signal(signal.SIGTERM)
            following.wait(PATIENCE)


# -- rights and conditions ---------------------------------------------------------------------------------------------


def test_rules_change_after_all_rights_but_one_were_given_up(lab: KernelLab) -> None:
    head = HEAD.replace("global\n", "global\n    user nobody\n    group nogroup\n    chroot /var/empty\n")
    lab.balancer.run(["mkdir", "-p", "/var/empty"]).check()
    lab.start(listen() + servers("s1", "s2"), head=head)
    status = lab.balancer.read_file(f"/proc/{lab.pid('kernel.executor')}/status")
    told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert told["Uid"].split() == ["65534"] * 4
    assert {told[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb")} == {f"{1 << 12:016x}"}
    assert told["NoNewPrivs"] == "1"
    lab.ask("disable server pg/s1")
    lab.until("kernel", action="changed", frontend="pg", turns=1)
    assert lab.names(2) == ["s2", "s2"]


@pytest.mark.parametrize(
    ("setting", "remedy"),
    [("net.ipv4.ip_forward", "sysctl -w net.ipv4.ip_forward=1"), (None, "apt-get install nftables")],
)
def test_what_this_machine_lacks_is_an_error_at_the_start(lab: KernelLab, setting: str | None, remedy: str) -> None:
    lab.configure(listen() + servers("s1"))
    hidden = ["unshare", "-m", "sh", "-c", 'mount --bind /dev/null /usr/sbin/nft; exec "$@"', "sh"]
    command = lab.command if setting else [*hidden, *lab.command]
    if setting:
        lab.balancer.run(["sysctl", "-qw", f"{setting}=0"]).check()
    try:
        ended = lab.balancer.run(command)
    finally:
        lab.balancer.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]).check()
    assert ended.status == 1
    assert [line for line in ended.errors.splitlines() if "ALERT" in line and remedy in line], ended.errors
    assert TABLE not in lab.tables()

"""How connections end: the two letters, what the client sees, and after how long, as HAProxy was seen to do it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from running_balancer import TCPLOG_LINE, RunningBalancer, one_way, server
from tcp_peers import PATIENCE, Script, ScriptedServer, echo, free_port, full_backlog, read_exactly, read_to_end, reset

from hakit.schedule import Intervals
from hakit.transcript import Event
from tcpbalancer.model import Check, Configuration, Timeouts

HELLO = b"hello\n"


@contextmanager
def balanced(script: Script, **options: object) -> Iterator[RunningBalancer]:
    """A balancer before one server that follows a script."""
    with ScriptedServer(script) as peer, RunningBalancer(one_way([server(peer.port)], **options)) as balancer:
        yield balancer


def ended(balancer: RunningBalancer, count: int = 1) -> Event:
    return balancer.wait_for("session", count)


def assert_took(start: float, seconds: float) -> None:
    """Never too early; late by as much as a busy machine may need."""
    assert seconds - 0.05 <= time.monotonic() - start < seconds + 0.9


def fields(balancer: RunningBalancer, part: str = " f b/") -> str:
    """The log line from the backend on."""
    return balancer.line(part)[1].split(" f ", 1)[1]


def test_the_client_closes_first() -> None:
    with balanced(echo()) as balancer:
        with balancer.connect() as client:
            assert read_exactly(client, 6) == HELLO
        assert ended(balancer)["flags"] == "--"
        assert balancer.line("b/s1")[0] == "info"
        assert fields(balancer).endswith(" 6 -- 1/1/0/0/0 0/0")


def test_the_client_half_closes_and_then_reads() -> None:
    with balanced(echo()) as balancer, balancer.connect() as client:
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == HELLO + b"abc"
        assert (ended(balancer)["flags"], ended(balancer)["bytes_from_client"]) == ("--", 3)


def test_the_server_closes_first() -> None:
    with balanced(lambda peer: peer.sendall(b"bye\n")) as balancer:
        with balancer.connect() as client:
            assert read_to_end(client) == b"bye\n"
        assert ended(balancer)["flags"] == "--"


def test_no_server_is_available() -> None:
    with RunningBalancer(one_way([server(free_port(), disabled=True)])) as balancer, balancer.connect() as client:
        assert read_to_end(client) == b""
        assert ended(balancer)["flags"] == "SC"
        assert fields(balancer) == "b/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0"


def test_a_frontend_without_a_backend() -> None:
    configuration = one_way([])
    frontend = configuration.frontends["f"]
    bare = Configuration({"f": type(frontend)("f", frontend.binds, connection_log=TCPLOG_LINE)}, {}, ("f",))
    with RunningBalancer(bare) as balancer, balancer.connect() as client:
        assert read_to_end(client) == b""
        assert balancer.line("<NOSRV>")[1].endswith(" f f/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0")


def test_a_refused_server_is_tried_again_three_times_with_a_second_between() -> None:
    with RunningBalancer(one_way([server(free_port())])) as balancer, balancer.connect() as client:
        start = time.monotonic()
        assert read_to_end(client) == b""
        assert_took(start, 3.0)
        assert fields(balancer).endswith(" 0 SC 1/1/0/0/3 0/0")
        event = ended(balancer)
        assert (event["wait_ms"], event["connect_ms"]) == (pytest.approx(0, abs=100), -1)
        assert event["server"] == "s1"
        outcomes = balancer.snapshot().proxy("b").server("s1").outcomes
        assert (outcomes.retries, outcomes.redispatches, outcomes.connection_errors, outcomes.connects) == (3, 0, 1, 4)


def test_the_wait_before_a_retry_is_no_longer_than_timeout_connect() -> None:
    configuration = one_way([server(free_port())], back=Timeouts(connect=0.2, server=60), retries=2)
    with RunningBalancer(configuration) as balancer, balancer.connect() as client:
        start = time.monotonic()
        assert read_to_end(client) == b""
        assert_took(start, 0.4)
        assert fields(balancer).endswith(" SC 1/1/0/0/2 0/0")


def test_without_redispatch_all_retries_go_to_the_same_server_even_if_another_one_is_up() -> None:
    with ScriptedServer(echo()) as good:
        back = Timeouts(connect=0.1, server=60)
        configuration = one_way([server(free_port()), server(good.port, "s2")], back=back, retries=2)
        with RunningBalancer(configuration) as balancer, balancer.connect() as client:
            assert read_to_end(client) == b""
            assert fields(balancer).startswith("b/s1 ")
            assert good.connections == 0


def test_with_redispatch_the_next_server_is_tried_at_once() -> None:
    with ScriptedServer(echo()) as good:
        configuration = one_way([server(free_port()), server(good.port, "s2")], redispatch=-1)
        with RunningBalancer(configuration) as balancer:
            start = time.monotonic()
            with balancer.connect() as client:
                assert read_exactly(client, 6) == HELLO
            assert time.monotonic() - start < 0.9, "a second is what a wait would take"
            assert fields(balancer).endswith(" 6 -- 1/1/0/0/+1 0/0")
            proxy = balancer.snapshot().proxy("b")
            assert proxy.server("s1").outcomes.redispatches == 1
            assert proxy.server("s1").traffic.current == 0
            assert (proxy.server("s1").traffic.total, proxy.server("s2").traffic.total) == (1, 1)


def test_with_redispatch_two_refused_servers_take_no_time() -> None:
    configuration = one_way([server(free_port()), server(free_port(), "s2")], redispatch=-1)
    with RunningBalancer(configuration) as balancer, balancer.connect() as client:
        start = time.monotonic()
        assert read_to_end(client) == b""
        assert time.monotonic() - start < 0.9, "a second is what a wait would take"
        assert fields(balancer).endswith(" 0 SC 1/1/0/0/+3 0/0")


def test_a_thousand_attempts_that_fail_on_the_spot_are_one_after_the_other_and_not_one_within_the_other() -> None:
    configuration = one_way([server(free_port()), server(free_port(), "s2")], retries=1000, redispatch=1)
    with RunningBalancer(configuration) as balancer, balancer.connect() as client:
        assert read_to_end(client) == b""
        assert ended(balancer)["flags"] == "SC"
        assert fields(balancer).endswith(" 0 SC 1/1/0/0/+1000 0/0")
        assert balancer.snapshot().proxy("b").backend.outcomes.redispatches == 1000  # type: ignore[union-attr]


def test_connect_timeout() -> None:
    with full_backlog() as port:
        back = Timeouts(connect=0.2, server=60)
        configuration = one_way([server(port)], back=back, retries=2)
        with RunningBalancer(configuration) as balancer, balancer.connect() as client:
            start = time.monotonic()
            assert read_to_end(client) == b""
            assert_took(start, 0.6)
            assert fields(balancer).endswith(" 0 sC 1/1/0/0/2 0/0")
            assert "timeout connect" in ended(balancer).reason


def test_after_a_redispatch_the_wait_holds_the_time_lost_on_the_first_server() -> None:
    with full_backlog() as port, ScriptedServer(echo()) as good:
        back = Timeouts(connect=0.2, server=60)
        servers = [server(port), server(good.port, "s2")]
        with RunningBalancer(one_way(servers, back=back, redispatch=-1)) as balancer:
            with balancer.connect() as client:
                assert read_exactly(client, 6) == HELLO
            event = ended(balancer)
            assert event["wait_ms"] == pytest.approx(400, abs=201)
            assert event["connect_ms"] == pytest.approx(0, abs=100)


@pytest.mark.parametrize(
    ("front", "back", "flags", "named"),
    [
        (Timeouts(client=0.3), Timeouts(connect=2, server=60), "cD", "timeout client"),
        (Timeouts(client=60), Timeouts(connect=2, server=0.3), "sD", "timeout server"),
        (Timeouts(client=0.1), Timeouts(connect=2, server=0.1, tunnel=0.3), "cD", "timeout tunnel"),
    ],
    ids=["client", "server", "tunnel"],
)
def test_silence_ends_a_connection(front: Timeouts, back: Timeouts, flags: str, named: str) -> None:
    with balanced(echo(), front=front, back=back) as balancer, balancer.connect() as client:
        start = time.monotonic()
        assert read_to_end(client) == HELLO
        assert_took(start, 0.3)
        event = ended(balancer)
        assert event["flags"] == flags
        assert event.reason.startswith(f"{named}:")


def test_talking_keeps_a_connection_alive() -> None:
    with balanced(echo(b""), front=Timeouts(client=0.4), back=Timeouts(connect=2, server=0.4)) as balancer:
        with balancer.connect() as client:
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
        assert ended(balancer)["flags"] == "--"


def test_timeout_server_fin_bounds_a_server_that_does_not_answer_the_end() -> None:
    def holds(peer: socket.socket) -> None:
        peer.sendall(HELLO)
        threading.Event().wait(PATIENCE if read_to_end(peer) else 3)

    back = Timeouts(connect=2, server=60, server_fin=0.3)
    with balanced(holds, back=back) as balancer, balancer.connect() as client:
        assert read_exactly(client, 6) == HELLO
        client.shutdown(socket.SHUT_WR)
        start = time.monotonic()
        assert read_to_end(client) == b""
        assert_took(start, 0.3)
        assert (ended(balancer)["flags"], ended(balancer).reason.split(":")[0]) == ("sD", "timeout server-fin")


def test_timeout_client_fin_does_not_end_a_server_that_is_still_thinking() -> None:
    def late(peer: socket.socket) -> None:
        peer.sendall(HELLO)
        read_to_end(peer)
        threading.Event().wait(0.8)
        peer.sendall(b"late\n")

    with balanced(late, front=Timeouts(client=0.3, client_fin=0.3)) as balancer, balancer.connect() as client:
        assert read_exactly(client, 6) == HELLO
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b"late\n"
        assert ended(balancer)["flags"] == "--"


def test_timeout_client_fin_ends_a_client_that_does_not_answer_the_servers_end() -> None:
    front = Timeouts(client=60, client_fin=0.3)
    with balanced(lambda peer: peer.sendall(b"bye\n"), front=front) as balancer, balancer.connect() as client:
        assert read_to_end(client) == b"bye\n"
        assert (ended(balancer)["flags"], ended(balancer).reason.split(":")[0]) == ("cD", "timeout client-fin")


def test_the_client_resets_and_the_server_sees_a_reset() -> None:
    saw: list[str] = []
    done = threading.Event()

    def script(peer: socket.socket) -> None:
        peer.sendall(HELLO)
        try:
            read_to_end(peer)
            saw.append("FIN")
        except ConnectionResetError:
            saw.append("RST")
        done.set()

    with balanced(script) as balancer:
        client = balancer.connect()
        assert read_exactly(client, 6) == HELLO
        reset(client)
        assert ended(balancer)["flags"] == "CD"
        assert done.wait(PATIENCE)
        assert saw == ["RST"]


def test_the_server_resets_and_the_client_sees_what_it_had_sent_and_the_end() -> None:
    def script(peer: socket.socket) -> None:
        peer.sendall(HELLO)
        read_exactly(peer, 1)
        reset(peer)

    with balanced(script) as balancer, balancer.connect() as client:
        assert read_exactly(client, 6) == HELLO
        client.sendall(b"x")
        assert read_to_end(client) == b"", "FIN, not RST"
        assert ended(balancer)["flags"] == "SD"


@contextmanager
def connecting_for_ever() -> Iterator[RunningBalancer]:
    with full_backlog() as port:
        configuration = one_way([server(port)], back=Timeouts(connect=0.6, server=60), retries=0)
        with RunningBalancer(configuration) as balancer:
            yield balancer


def test_the_client_leaves_while_we_connect() -> None:
    with connecting_for_ever() as balancer:
        balancer.connect().close()
        event = ended(balancer)
        assert (event["flags"], event["connect_ms"]) == ("CC", -1)
        assert event["total_ms"] < 300


def test_the_client_asks_and_sends_its_end_while_we_connect_and_the_connect_goes_on() -> None:
    with connecting_for_ever() as balancer, balancer.connect() as client:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client) == b""
        event = ended(balancer)
        assert event["flags"] == "sC"
        assert event["total_ms"] == pytest.approx(800, abs=201)


def test_the_client_resets_while_we_connect() -> None:
    with connecting_for_ever() as balancer:
        reset(balancer.connect())
        assert ended(balancer)["flags"] == "CD"


def test_what_the_client_sent_before_the_server_was_reached_is_not_lost() -> None:
    good = ScriptedServer(echo(b""))
    back = Timeouts(connect=0.3, server=60)
    configuration = one_way([server(free_port()), server(good.port, "s2")], back=back, redispatch=-1)
    data = bytes(range(256)) * 4000
    with good, RunningBalancer(configuration) as balancer, balancer.connect() as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_to_end(client) == data
        sender.join(PATIENCE)


def test_a_server_that_goes_down_loses_its_sessions_if_the_configuration_says_so() -> None:
    peer = ScriptedServer(echo())
    check = Check("127.0.0.1", peer.port, Intervals(0.1), rise=2, fall=2)
    told = server(peer.port, check=check, shutdown_sessions_when_down=True)
    with peer, RunningBalancer(one_way([told])) as balancer, balancer.connect() as client:
        assert read_exactly(client, 6) == HELLO
        balancer.wait_for("server", status="UP", check_status="L4OK")
        peer.close()
        assert read_to_end(client) == b""
        event = ended(balancer)
        assert event["flags"] == "DC"
        assert event.reason.startswith("Server b/s1 is DOWN: Layer4 connection problem, info: ")
        assert balancer.line("is DOWN")[0] == "alert"
        assert "1 sessions active" in balancer.line("is DOWN")[1]
        assert balancer.line("no server available") == ("emerg", "backend b has no server available!")
        balancer.wait_for("server", status="DOWN", check_status="L4CON")


def test_a_server_that_goes_down_keeps_its_sessions_otherwise_and_comes_back() -> None:
    peer = ScriptedServer(echo())
    check = Check("127.0.0.1", peer.port, Intervals(0.1), rise=2, fall=2)
    with peer, RunningBalancer(one_way([server(peer.port, check=check)])) as balancer, balancer.connect() as client:
        assert read_exactly(client, 6) == HELLO
        balancer.wait_for("server", status="UP", check_status="L4OK")
        peer.close()
        balancer.wait_for("server", status="DOWN")
        client.sendall(b"still")
        assert read_exactly(client, 5) == b"still"
        with balancer.connect() as late:
            assert read_to_end(late) == b""
        with socket.create_server(("127.0.0.1", peer.port)):
            balancer.wait_for("server", count=2, status="UP", check_status="L4OK")
        assert balancer.line("is UP, reason: Layer4 check passed")[0] == "notice"


def test_at_the_end_clients_see_fin() -> None:
    with ScriptedServer(echo()) as peer:
        balancer = RunningBalancer(one_way([server(peer.port)]))
        with contextlib.ExitStack() as stack:
            with balancer:
                client = stack.enter_context(socket.create_connection(("127.0.0.1", balancer.port), PATIENCE))
                assert read_exactly(client, 6) == HELLO
            assert read_to_end(client) == b""
        assert ended(balancer)["flags"] == "KC"
        balancer.wait_for("stopped")
        with pytest.raises(ConnectionRefusedError):
            balancer.connect()


def connect_until_refused(balancer: RunningBalancer) -> None:
    while True:
        with contextlib.suppress(ConnectionResetError):  # it was on its way when the listener closed
            balancer.connect().close()


def test_a_soft_stop_refuses_new_connections_and_waits_for_the_others() -> None:
    with balanced(echo()) as balancer:
        client = balancer.connect()
        assert read_exactly(client, 6) == HELLO
        stopping = balancer.begin(balancer.supervisor.soft_stop)
        assert balancer.line("Proxy f stopped") == ("warning", "Proxy f stopped (cumulated conns: FE: 1, BE: 0).")
        with pytest.raises(ConnectionRefusedError):
            connect_until_refused(balancer)
        client.sendall(b"still")
        assert read_exactly(client, 5) == b"still"
        assert not stopping.done()
        client.close()
        stopping.result(PATIENCE)
        balancer.wait_for("session", flags="--", bytes_from_client=5)


def limited(peer: ScriptedServer) -> Configuration:
    return one_way([server(peer.port, maxconn=1)], back=Timeouts(connect=2, server=60, queue=0.4))


def test_a_full_server_makes_the_next_connection_wait_in_the_queue_until_it_times_out() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(limited(peer)) as balancer, balancer.connect() as first:
        assert read_exactly(first, 6) == HELLO
        with balancer.connect() as second:
            start = time.monotonic()
            assert read_to_end(second) == b""
            assert_took(start, 0.4)
        assert (ended(balancer)["flags"], ended(balancer)["server"]) == ("sQ", None)
        assert ended(balancer)["wait_ms"] == pytest.approx(600, abs=201)
        assert fields(balancer).endswith(" 0 sQ 2/2/1/0/0 0/1")
        backend = balancer.snapshot().proxy("b").backend
        assert backend is not None
        assert (backend.queued, backend.queued_peak) == (0, 1)


def test_who_waits_in_the_queue_is_served_when_a_connection_ends() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(limited(peer)) as balancer:
        first, second, third = (balancer.connect() for _ in range(3))
        assert read_exactly(first, 6) == HELLO
        first.close()
        assert read_exactly(second, 6) == HELLO
        second.close()
        assert read_exactly(third, 6) == HELLO
        third.close()
        assert balancer.wait_for("session", 3)["flags"] == "--"
        assert balancer.snapshot().proxy("b").server("s1").traffic.peak == 1


def test_the_client_leaves_the_queue() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(limited(peer)) as balancer, balancer.connect() as first:
        assert read_exactly(first, 6) == HELLO
        balancer.connect().close()
        assert ended(balancer)["flags"] == "CQ"
        assert fields(balancer).endswith(" 0 CQ 2/2/1/0/0 0/1")


def test_a_full_server_is_passed_over_while_another_one_has_room() -> None:
    with ScriptedServer(echo(b"1")) as one, ScriptedServer(echo(b"2")) as two:
        configuration = one_way([server(one.port, maxconn=1), server(two.port, "s2")])
        with RunningBalancer(configuration) as balancer:
            clients = [balancer.connect() for _ in range(4)]
            assert [client.recv(1) for client in clients] == [b"1", b"2", b"2", b"2"]
            for client in clients:
                client.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_server_is_passed_over_however_heavy_it_is(workers: int) -> None:
    with ScriptedServer(echo(b"1")) as one, ScriptedServer(echo(b"2")) as two, contextlib.ExitStack() as stack:
        servers = [server(one.port, maxconn=1, weight=10), server(two.port, "s2", weight=1)]
        balancer = stack.enter_context(RunningBalancer(one_way(servers, nbthread=workers)))
        clients = [stack.enter_context(balancer.connect()) for _ in range(20)]
        assert sorted(client.recv(1) for client in clients) == [b"1", *[b"2"] * 19], "as in HAProxy 2.6.12"


def test_who_waits_while_the_last_server_goes_down_waits_on_for_timeout_queue() -> None:
    peer = ScriptedServer(echo())
    told = server(peer.port, maxconn=1, check=Check("127.0.0.1", peer.port, Intervals(0.1), rise=2, fall=1))
    back = Timeouts(connect=0.2, queue=0.7, server=60)
    with peer, RunningBalancer(one_way([told], back=back)) as balancer, balancer.connect() as first:
        assert read_exactly(first, 6) == HELLO
        with balancer.connect() as second:
            peer.close()
            assert read_to_end(second) == b""
        assert (ended(balancer)["flags"], ended(balancer)["server"]) == ("sQ", None), "as in HAProxy 2.6.12"

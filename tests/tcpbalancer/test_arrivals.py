"""Between accept and the choice of a server, in a balancer that runs: rules, PROXY headers, stick tables."""

from __future__ import annotations

import random
import socket
from dataclasses import replace

import pytest
from balancer_process import until
from client_hello import CLIENT_HELLO
from running_balancer import RunningBalancer, one_way, server
from tcp_peers import PATIENCE, ScriptedServer, echo, read_exactly, read_to_end, reset

from tcpbalancer.config.acl import AclReader
from tcpbalancer.model import Backend, Configuration
from tcpbalancer.model.rule import BackRules, Call, Expression, FrontRules, Rule, StickRule, StickTable
from tcpbalancer.proxy_protocol import SIGNATURE


def rule(action: str, text: str) -> Rule:
    return Rule(action, AclReader("b", lambda _: []).condition(text.split(), {}, unless=False))


def with_rules(
    ports: list[int],
    front: FrontRules | None = None,
    back: BackRules | None = None,
    *,
    nbthread: int = 1,
    accept_proxy: bool = False,
    table: StickTable | None = None,
) -> Configuration:
    servers = [server(port, f"s{number}") for number, port in enumerate(ports, 1)]
    whole = one_way(servers, nbthread=nbthread, rules=back, table=table)
    frontend = whole.frontends["f"]
    bind = replace(frontend.binds[0], accept_proxy=accept_proxy)
    return replace(whole, frontends={"f": replace(frontend, rules=front, binds=(bind,))})


STICK = BackRules(stick=(StickRule(Expression(Call("src")), "b"),))


@pytest.mark.parametrize("nbthread", [1, 3])
def test_stick_on_src_keeps_a_client_on_its_server_whichever_worker_takes_it(nbthread: int) -> None:
    with ScriptedServer(echo(b"1")) as one, ScriptedServer(echo(b"2")) as two:
        table = StickTable("ip", 1000, expire=60.0)
        configuration = with_rules([one.port, two.port], back=STICK, nbthread=nbthread, table=table)
        with RunningBalancer(configuration) as balancer:
            seen: dict[str, set[bytes]] = {}
            for number in range(48):
                source = f"127.0.0.{number % 6 + 1}"
                with socket.create_connection(("127.0.0.1", balancer.port), PATIENCE, (source, 0)) as client:
                    seen.setdefault(source, set()).add(read_exactly(client, 1))
            assert all(len(servers) == 1 for servers in seen.values())
            assert {next(iter(servers)) for servers in seen.values()} == {b"1", b"2"}


def test_a_server_that_is_down_is_not_stuck_to() -> None:
    with ScriptedServer(echo(b"1")) as one:
        configuration = with_rules([one.port, one.port], back=STICK, table=StickTable("ip", 10))
        servers = configuration.backends["b"].servers
        backend = replace(configuration.backends["b"], servers=(replace(servers[0], disabled=True), servers[1]))
        with RunningBalancer(replace(configuration, backends={"b": backend})) as balancer:
            for _ in range(3):
                with balancer.connect() as client:
                    assert read_exactly(client, 1) == b"1"
            assert {event["server"] for event in balancer.events if event.event == "session"} <= {"s2"}


@pytest.mark.parametrize("words", [b"", b"x"])
def test_no_server_hears_of_a_client_that_resets_its_connection_while_rules_wait_for_more(words: bytes) -> None:
    front = FrontRules(content=(rule("accept", "{ req.len gt 100 }"),), inspect_delay=PATIENCE)
    with ScriptedServer(echo()) as peer, RunningBalancer(with_rules([peer.port], front)) as balancer:
        client = balancer.connect()
        client.sendall(words)
        until(lambda: balancer.snapshot().current == 1, "it has come")
        reset(client)
        event = balancer.wait_for("session")
        assert (event["flags"], event["server"], event["backend"], peer.connections) == ("CR", None, "b", 0)
        after = balancer.snapshot()
        assert (after.current, after.proxy("b").backend.traffic.current) == (0, 0)  # type: ignore[union-attr]


def test_random_bytes_at_accept_proxy_harm_nobody() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)  # noqa: S311 - it shall be replayed
    starts = (b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\0")
    with ScriptedServer(echo()) as peer, RunningBalancer(with_rules([peer.port], accept_proxy=True)) as balancer:
        for _ in range(150):
            with socket.create_connection(("127.0.0.1", balancer.port), PATIENCE) as client:
                try:
                    client.sendall(dice.choice(starts) + dice.randbytes(dice.randrange(60)))
                    client.shutdown(socket.SHUT_WR)
                    read_to_end(client)
                except OSError:
                    pass  # it was refused, which is what it deserves
        with balancer.connect() as client:
            client.sendall(b"PROXY UNKNOWN\r\nx")
            assert read_exactly(client, 7) == b"hello\nx"
        assert not [event for event in balancer.events if event.event == "worker" and event["action"] == "died"]
        assert not [line for _, line in balancer.lines if "internal error" in line]


def test_random_bytes_at_a_listener_that_looks_at_hellos_harm_nobody() -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    dice = random.Random(seed)  # noqa: S311 - it shall be replayed
    front = FrontRules(
        content=(rule("accept", "{ req.ssl_sni db.example.org } or HTTP"), rule("reject", "{ req.ssl_ver 3.3 }")),
        inspect_delay=0.2,
    )
    with ScriptedServer(echo()) as peer, RunningBalancer(with_rules([peer.port], front)) as balancer:
        for _ in range(100):
            data = bytearray(CLIENT_HELLO[: dice.randrange(len(CLIENT_HELLO))])
            for _ in range(dice.randrange(8)):
                data.insert(dice.randrange(len(data) + 1), dice.randrange(256))
            with socket.create_connection(("127.0.0.1", balancer.port), PATIENCE) as client:
                try:
                    client.sendall(data)
                    client.shutdown(socket.SHUT_WR)
                    read_to_end(client)
                except OSError:
                    pass
        with balancer.connect() as client:
            client.sendall(CLIENT_HELLO)
            assert read_exactly(client, 6) == b"hello\n"
        assert not [event for event in balancer.events if event.event == "worker" and event["action"] == "died"]
        assert not [event for event in balancer.events if event.event == "session" and event["flags"] == "ID"]


def test_who_is_waited_for_counts_as_a_connection_and_not_yet_as_a_session() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(with_rules([peer.port], accept_proxy=True)) as balancer:
        with balancer.connect() as client, balancer.connect() as other:
            other.sendall(b"PROXY UNKNOWN\r\n")
            assert read_exactly(other, 6) == b"hello\n"
            traffic = balancer.snapshot().proxy("f").frontend
            assert traffic is not None
            assert (traffic.traffic.current, traffic.traffic.total) == (2, 1)
            client.close()
        balancer.wait_for("session")


def test_without_rules_nobody_asks() -> None:
    from tcpbalancer.counters import SharedMemory
    from tcpbalancer.doorway import Doorkeeper
    from tcpbalancer.route import make_layout, make_pools, make_routes

    configuration = with_rules([1])
    memory = SharedMemory(make_layout(configuration))
    try:
        pools = make_pools(configuration, memory, 0)
        routes = make_routes(configuration, memory, 0, pools)
        keeper = Doorkeeper(configuration, routes, pools, memory)
        bind = configuration.frontends["f"].binds[0]
        assert keeper.doorway(routes[0], bind) is None
        assert keeper.doorway(routes[0], replace(bind, accept_proxy=True)) is not None
        assert isinstance(pools["b"].backend, Backend)
    finally:
        memory.close()

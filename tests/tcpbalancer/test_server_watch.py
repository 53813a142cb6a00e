"""What follows from a change of a server's state: what clients see, what is shown, told and logged."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import Mock

from running_balancer import RunningBalancer, one_way, server
from tcp_peers import ScriptedServer, echo, free_port, read_exactly, read_to_end

from hakit.schedule import Intervals
from tcpbalancer.administration import Answer
from tcpbalancer.channel import RemoveServer, SetServer
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.counters import QUEUED
from tcpbalancer.model import Backend, Check, Configuration, InitState, OnError, Server
from tcpbalancer.server_state import Admin

HELLO = b"hello\n"


def checked(port: int, **options: int) -> Check:
    return Check("127.0.0.1", port, Intervals(0.1), **{"rise": 1, "fall": 1, **options})


def status(balancer: RunningBalancer, name: str = "s1", backend: str = "b") -> str:
    return balancer.snapshot().proxy(backend).server(name).status


def act(balancer: RunningBalancer, name: str, deed: str, *values: str, backend: str = "b") -> Answer:
    """Do something to a server in the name of the operator."""

    def done() -> Answer:
        administration = balancer.supervisor.current.administration
        found = administration.server(backend, name)
        assert not isinstance(found, Answer)
        answer: Answer = getattr(administration, deed)(found, *values)
        return answer

    answer: Answer = balancer.ask(done)
    return answer


def banner(balancer: RunningBalancer) -> bytes:
    with balancer.connect() as client:
        return read_exactly(client, len(HELLO))


def with_trackers(servers: Sequence[Server], trackers: Sequence[Server]) -> Configuration:
    configuration = one_way(servers)
    backends = {**configuration.backends, "t": Backend("t", tuple(trackers))}
    return replace(configuration, backends=backends, order=("f", "b", "t"))


def test_a_drained_server_keeps_its_connections_and_gets_no_new_ones() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(peer.port)])) as balancer:
        with balancer.connect() as client:
            assert read_exactly(client, 6) == HELLO
            assert act(balancer, "s1", "set_admin", "drain") == Answer()
            assert status(balancer) == "DRAIN"
            with balancer.connect() as refused:
                assert read_to_end(refused) == b""
            client.sendall(b"still here")
            assert read_exactly(client, 10) == b"still here"
        assert balancer.wait_for("drained", backend="b", server="s1").reason == "the last connection has gone"
        assert balancer.line("Server b/s1 enters drain state. 0 active")[0] == "notice"
        assert balancer.line("backend b has no server available!")[0] == "emerg"
        assert balancer.wait_for("server", shown="DRAIN").reason == "forced drain set"
        act(balancer, "s1", "set_admin", "ready")
        assert balancer.line("Server b/s1 is UP (leaving forced drain).")[0] == "notice"
        assert banner(balancer) == HELLO


def test_maintenance_counts_as_marked_down_and_cuts_sessions() -> None:
    with ScriptedServer(echo()) as peer:
        told = server(peer.port, shutdown_sessions_when_down=True)
        with RunningBalancer(one_way([told])) as balancer, balancer.connect() as client:
            assert read_exactly(client, 6) == HELLO
            act(balancer, "s1", "set_admin", "maint")
            assert read_to_end(client) == b""
            event = balancer.wait_for("session", flags="DC")
            assert event.reason == "Server b/s1 is MAINT: forced maint set"
            assert balancer.line("Server b/s1 is going DOWN for maintenance. 0 active")[1].endswith(
                "1 sessions active, 0 requeued, 0 remaining in queue."
            )


def test_on_marked_up_ends_sessions_on_backups() -> None:
    with ScriptedServer(echo(b"main!\n")) as main, ScriptedServer(echo(b"spare\n")) as spare:
        first = server(main.port, shutdown_backup_sessions_when_up=True)
        second = server(spare.port, "s2", backup=True)
        with RunningBalancer(one_way([first, second])) as balancer:
            act(balancer, "s1", "set_health", "down")
            with balancer.connect() as client:
                assert read_exactly(client, 6) == b"spare\n"
                act(balancer, "s1", "set_health", "up")
                assert read_to_end(client) == b""
            assert balancer.wait_for("session", flags="UC").reason == "Server b/s1 is UP again"
            assert balancer.line("Server b/s1 is DOWN, changed from CLI. 0 active and 1 backup servers left. Running")


def test_health_down_survives_ready_and_ends_with_health_up() -> None:
    with RunningBalancer(one_way([server(free_port())])) as balancer:
        act(balancer, "s1", "set_health", "down")
        act(balancer, "s1", "set_admin", "ready")
        assert status(balancer) == "DOWN"
        act(balancer, "s1", "set_health", "stopping")
        assert status(balancer) == "NOLB"
        act(balancer, "s1", "set_health", "up")
        assert status(balancer) == "no check"


def test_who_tracks_a_server_follows_it_in_everything() -> None:
    with ScriptedServer(echo()) as peer:
        tracker = server(peer.port, "t1", track=("b", "s1"))
        second = server(peer.port, "t2", track=("t", "t1"))
        configuration = with_trackers([server(peer.port, check=checked(peer.port))], [tracker, second])
        with RunningBalancer(configuration) as balancer:
            balancer.wait_for("server", server="s1", check_status="L4OK")
            assert status(balancer, "t2", "t") == "UP"
            peer.close()
            assert balancer.line("Server t/t2 is DOWN via t/t1. 0 active and 0 backup servers left.")[0] == "alert"
            act(balancer, "s1", "set_admin", "maint")
            assert status(balancer, "t1", "t") == "MAINT (via b/s1)"
            assert status(balancer, "t2", "t") == "MAINT (via t/t1)"
            assert balancer.line("Server t/t1 was DOWN and now enters maintenance via b/s1.")[0] == "notice"
            act(balancer, "s1", "set_admin", "drain")
            assert balancer.line("Server t/t1 remains in drain mode via b/s1.")
            assert act(balancer, "t1", "set_health", "up", backend="t") == Answer(
                "cannot change health on a tracking server.", Answer("").severity.ERROR
            )


def test_who_tracks_a_disabled_server_starts_in_its_maintenance() -> None:
    tracked = server(free_port(), check=checked(free_port()), disabled=True)
    with RunningBalancer(with_trackers([tracked], [server(free_port(), "t1", track=("b", "s1"))])) as balancer:
        assert status(balancer, "t1", "t") == "MAINT (via b/s1)"
        assert balancer.lines == []


def test_observed_errors_mark_a_server_down_until_its_checks_say_otherwise() -> None:
    with ScriptedServer(echo()) as health:
        dead = free_port()
        told = server(
            dead,
            check=Check("127.0.0.1", health.port, Intervals(60.0, fastinter=0.1), rise=1),
            observe=True,
            error_limit=3,
            on_error=OnError.MARK_DOWN,
        )
        with RunningBalancer(one_way([told], retries=0)) as balancer:
            balancer.wait_for("server", check_status="L4OK")
            for _ in range(3):
                with balancer.connect() as client:
                    assert read_to_end(client) == b""
            line = balancer.line("Server b/s1 is DOWN, reason: Health analyze")[1]
            assert line.startswith(
                'Server b/s1 is DOWN, reason: Health analyze, info: "Detected 3 consecutive errors, last one was: '
                'L4 unsuccessful connection". 0 active and 0 backup servers left.'
            )
            balancer.wait_for("server", count=2, check_status="L4OK")  # after fastinter, not after a minute


def test_a_good_connection_forgives_the_errors_before_it() -> None:
    with ScriptedServer(echo()) as peer:
        told = server(peer.port, observe=True, error_limit=2, on_error=OnError.MARK_DOWN)
        with RunningBalancer(one_way([told], retries=0)) as balancer:
            watch = balancer.supervisor.current.watch
            watch.backends[0].servers[0].errors_in_a_row = 1
            assert banner(balancer) == HELLO
            balancer.wait_for("session")
            assert watch.backends[0].servers[0].errors_in_a_row == 0


def test_a_server_that_comes_up_slowly_grows_and_then_says_so() -> None:
    with RunningBalancer(one_way([server(free_port(), weight=100, slowstart=2)])) as balancer:
        row = balancer.snapshot().proxy("b").server("s1")
        assert (row.weight, row.throttle) == (100, None), "never at the start of the process"
        act(balancer, "s1", "set_admin", "maint")
        act(balancer, "s1", "set_admin", "ready")
        row = balancer.snapshot().proxy("b").server("s1")
        assert (row.status, row.weight, row.user_weight, row.throttle) == ("no check", 7, 100, 6)
        assert balancer.line("Server b/s1 is UP. 1 active and 0 backup servers online. 0 sessions")[0] == "notice"
        row = balancer.snapshot().proxy("b").server("s1")
        assert (row.weight, row.throttle) == (100, None)


def test_a_server_that_comes_up_slowly_goes_on_over_a_reload() -> None:
    configuration = one_way([server(free_port(), weight=100, slowstart=2)])
    with RunningBalancer(configuration) as balancer:
        act(balancer, "s1", "set_admin", "maint")
        act(balancer, "s1", "set_admin", "ready")
        balancer.ask(lambda: balancer.supervisor.reload(configuration))
        assert balancer.snapshot().proxy("b").server("s1").throttle is not None
        assert balancer.line("Server b/s1 is UP. 1 active and 0 backup servers online. 0 sessions")[0] == "notice"


def test_init_state_down_sends_nobody_to_a_server_before_its_first_check() -> None:
    with ScriptedServer(echo()) as peer:
        told = server(peer.port, check=checked(peer.port, rise=2), init_state=InitState.DOWN)
        with RunningBalancer(one_way([told])) as balancer:
            assert balancer.line("Server b/s1 is UP, reason: Layer4 check passed")
            assert banner(balancer) == HELLO
            shown = balancer.snapshot().proxy("b").server("s1")
            assert shown.check is not None
            assert shown.check.down_transitions == 0


def test_the_weight_can_be_changed_and_asked_for() -> None:
    with RunningBalancer(one_way([server(free_port(), weight=40)])) as balancer:
        assert act(balancer, "s1", "get_weight").text == "40 (initial 40)"
        assert act(balancer, "s1", "set_weight", "50%") == Answer()
        assert act(balancer, "s1", "get_weight").text == "20 (initial 40)"
        assert act(balancer, "s1", "set_weight", "0") == Answer()
        assert balancer.line("backend b has no server available!")
        for wrong, text in (
            ("", "Require <weight> or <weight%>."),
            ("300", "Absolute weight can only be between 0 and 256 inclusive."),
            ("abc", "Empty weight string empty or preceded by garbage"),
            ("5x", "Trailing garbage in weight string"),
            ("-5%", "Relative weight must be positive."),
        ):
            answer = act(balancer, "s1", "set_weight", wrong)
            assert (answer.text, answer.is_error) == (text, True)


def test_a_server_can_be_moved_to_another_address() -> None:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(ScriptedServer(echo(b"first\n")))
        other = stack.enter_context(ScriptedServer(echo(b"later\n")))
        told = server(one.port, check=checked(one.port))
        with RunningBalancer(one_way([told])) as balancer:
            assert banner(balancer) == b"first\n"
            answer = act(balancer, "s1", "set_address", "127.0.0.1", str(other.port))
            assert answer.text == (
                f"no need to change the addr, port changed from '{one.port}' to '{other.port}' by "
                "'stats socket command'"
            )
            one.close()
            assert banner(balancer) == b"later\n"
            again = act(balancer, "s1", "set_address", "127.0.0.1", str(other.port))
            assert again.text == "no need to change the addr, no need to change the port by 'stats socket command'"
            for values, text in (
                (("",), "set server <b>/<s> addr requires an address and optionally a port."),
                (("x",), "Invalid addr 'x' by 'stats socket command'"),
                (
                    ("127.0.0.1", "y"),
                    "no need to change the addr, problem converting port 'y' to an int by 'stats socket command'",
                ),
            ):
                assert act(balancer, "s1", "set_address", *values).text == text
            moved = act(balancer, "s1", "set_address", "127.0.0.2")
            assert moved.text == "IP changed from '127.0.0.1' to '127.0.0.2' by 'stats socket command'"


def test_a_check_can_be_sent_elsewhere_switched_off_and_on() -> None:
    with ScriptedServer(echo()) as peer:
        told = server(peer.port, check=checked(peer.port))
        with RunningBalancer(one_way([told])) as balancer:
            balancer.wait_for("server", check_status="L4OK")
            assert act(balancer, "s1", "disable_health") == Answer()
            assert status(balancer) == "no check"
            for deed, values in (("set_check_port", ("1",)), ("set_check_address", ("127.0.0.2",))):
                assert act(balancer, "s1", deed, *values).text == "health checks are not enabled on this server"
            assert act(balancer, "s1", "enable_health") == Answer()
            for values, text in (
                (("",), "set server <b>/<s> check-port requires a port."),
                (("x",), "provided port is not an integer"),
                (("70000",), "provided port is invalid"),
            ):
                assert act(balancer, "s1", "set_check_port", *values).text == text
            assert act(balancer, "s1", "set_check_address", "nowhere").text == "invalid addr 'nowhere'"
            assert act(balancer, "s1", "set_check_port", str(free_port())) == Answer()
            balancer.wait_for("server", check_status="L4CON")


def test_who_is_not_known_is_named_as_haproxy_names_it() -> None:
    with RunningBalancer(one_way([server(free_port())])) as balancer:
        find = balancer.supervisor.current.administration.server
        for names, text in (
            (("b", ""), "Require 'backend/server'."),
            (("x", "s1"), "No such backend."),
            (("b", "x"), "No such server."),
        ):
            answer = find(*names)
            assert isinstance(answer, Answer)
            assert answer.text == text
        for deed, values, text in (
            ("set_admin", ("xx",), "'set server <srv> state' expects 'ready', 'drain' and 'maint'."),
            ("set_health", ("xx",), "'set server <srv> health' expects 'up', 'stopping', or 'down'."),
            ("set_agent", ("up",), "agent checks are not enabled on this server."),
            ("enable_agent", (), "Agent was not configured on this server, cannot enable."),
            ("enable_health", (), "Health check was not configured on this server, cannot enable."),
        ):
            answer = act(balancer, "s1", deed, *values)
            assert (answer.text, answer.is_error) == (text, True)


def test_the_page_has_words_of_its_own() -> None:
    with ScriptedServer(echo()) as peer, RunningBalancer(one_way([server(1, check=checked(peer.port))])) as balancer:
        for action, shown in (
            ("disable", "MAINT"),
            ("enable", "UP 1/1"),
            ("stop", "DRAIN"),
            ("start", "UP"),
            ("dhlth", "no check"),
            ("hdown", "DOWN"),
            ("hnolb", "NOLB"),
            ("hrunn", "no check"),
            ("maint", "MAINT"),
            ("ready", "no check"),
        ):
            assert act(balancer, "s1", "page_action", action)
            assert status(balancer).split()[0] == shown.split()[0]
        assert not act(balancer, "s1", "page_action", "bogus")
        assert balancer.line("Server b/s1 is going DOWN for maintenance ('disable' on stats page). 0 active")
        assert balancer.line("Server b/s1 enters drain state ('stop' on stats page). 0 active")
        assert balancer.line("Server b/s1 is DOWN, changed from Web interface. 0 active")


def test_a_server_can_be_added_and_removed_while_the_balancer_runs() -> None:
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(ScriptedServer(echo(b"first\n")))
        other = stack.enter_context(ScriptedServer(echo(b"later\n")))
        with RunningBalancer(one_way([server(one.port)])) as balancer:
            generation = balancer.supervisor.current
            backend = generation.watch.backends[0]
            new = server(other.port, "new", weight=3, check=checked(other.port))
            assert balancer.ask(lambda: generation.roster.add(backend, new)).text == "New server registered."
            again = balancer.ask(lambda: generation.roster.add(backend, new))
            assert (again.text, again.is_error) == ("Already exists a server with the same name in backend.", True)
            assert status(balancer, "new") == "MAINT"
            assert {banner(balancer) for _ in range(3)} == {b"first\n"}
            act(balancer, "new", "set_admin", "ready")
            act(balancer, "new", "enable_health")
            balancer.wait_for("server", server="new", check_status="L4OK")
            assert {banner(balancer) for _ in range(4)} == {b"first\n", b"later\n"}
            remove = generation.roster.remove
            found = backend.servers[1]
            assert balancer.ask(lambda: remove(found)).text == "Only servers in maintenance mode can be deleted."
            with balancer.connect() as client, balancer.connect() as second:
                read_exactly(client, 6)
                read_exactly(second, 6)
                act(balancer, "new", "set_admin", "maint")
                assert balancer.ask(lambda: remove(found)).text == (
                    "Server still has connections attached to it, cannot remove it."
                )
            balancer.wait_for("session", count=9)
            assert balancer.ask(lambda: remove(found)).text == "Server deleted."
            third = replace(new, name="third", check=None)
            assert balancer.ask(lambda: generation.roster.add(backend, third)).text == "New server registered."
            row = balancer.snapshot().proxy("b").server("third")
            assert (row.identity, row.traffic.total, row.status) == (2, 0, "MAINT")


def test_a_server_for_which_somebody_waits_cannot_be_removed() -> None:
    with RunningBalancer(one_way([server(1, disabled=True)])) as balancer:
        generation = balancer.supervisor.current
        memory, found = generation.memory, generation.watch.backends[0].servers[0]
        queued = memory.layout.block(0, memory.layout.server(0, 0)).start + QUEUED
        memory.words[queued] = 1
        assert balancer.ask(lambda: generation.roster.remove(found)).text == (
            "Server still has connections attached to it, cannot remove it."
        )
        memory.words[queued] = 0
        assert balancer.ask(lambda: generation.roster.remove(found)).text == "Server deleted."


def test_a_worker_that_is_new_learns_once_who_has_the_place_of_a_server_of_the_file() -> None:
    with RunningBalancer(one_way([server(1, disabled=True), server(2, "s2")])) as balancer:
        watch, roster = balancer.supervisor.current.watch, balancer.supervisor.current.roster
        assert list(watch.changed_definitions()) == []
        balancer.ask(lambda: roster.remove(watch.backends[0].servers[0]))
        assert list(watch.changed_definitions()) == [RemoveServer(0, 0)]
        new = server(3, "new")
        balancer.ask(lambda: roster.add(watch.backends[0], new))
        assert list(watch.changed_definitions()) == [SetServer(0, 0, new)]


def test_older_generations_follow_what_matters_to_them_and_not_every_check() -> None:
    with RunningBalancer(one_way([server(1)])) as balancer:
        watch, follower = balancer.supervisor.current.watch, Mock()
        found = watch.backends[0].servers[0]
        balancer.ask(lambda: watch.lead([follower]))
        balancer.ask(lambda: watch.checked(found, CheckResult(CheckStatus.L4OK)))
        assert not follower.follow.called
        balancer.ask(lambda: watch.mark(found, Admin.FORCED_MAINT))
        follower.follow.assert_called_once_with(watch)
        balancer.ask(lambda: watch.lead([]))


def test_a_server_that_others_track_cannot_be_removed() -> None:
    tracked = server(free_port(), check=checked(free_port()), disabled=True)
    with RunningBalancer(with_trackers([tracked], [server(free_port(), "t1", track=("b", "s1"))])) as balancer:
        generation = balancer.supervisor.current
        found = generation.watch.backends[0].servers[0]
        assert balancer.ask(lambda: generation.roster.remove(found)).text == (
            "This server cannot be removed at runtime due to other configuration elements pointing to it."
        )
        backend = generation.watch.backends[1]
        new = server(1, "t2", track=("b", "s1"))
        assert balancer.ask(lambda: generation.roster.add(backend, new)).text == "New server registered."
        assert status(balancer, "t2", "t") == "MAINT"
        balancer.ask(lambda: generation.roster.remove(backend.servers[1]))
        assert len(found.trackers) == 1

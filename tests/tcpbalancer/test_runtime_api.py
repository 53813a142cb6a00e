"""The runtime API on its socket: what is asked, what is answered, and what nobody can hold up."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from running_balancer import one_way, server
from runtime_api import RunningApi, ask, connect
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end

from hakit.diagnostics import Location
from tcpbalancer.control.cli_commands import COMMANDS
from tcpbalancer.control.cli_listening import StatsSocketError
from tcpbalancer.model import Level
from tcpbalancer.model.naming import NameServer, Resolvers
from tcpbalancer.model.rule import StickTable
from tcpbalancer.model.stats_socket import Place, StatsSocket
from tcpbalancer.name_counts import WORDS
from tcpbalancer.takeover import TakeoverError, receive


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedServer]:
    with ScriptedServer(echo(b"hello\n")) as served:
        yield served


@pytest.fixture
def api(tmp_path: Path, backend: ScriptedServer) -> Iterator[RunningApi]:
    servers = [server(backend.port, "s1"), server(free_port(), "s2", disabled=True)]
    with RunningApi(one_way(servers, nbthread=2), tmp_path, stats_timeout=PATIENCE) as running:
        yield running


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, backend: ScriptedServer) -> Iterator[RunningApi]:
    """One balancer for all questions that change nothing for the others."""
    servers = [server(backend.port, "s1"), server(free_port(), "s2", disabled=True)]
    with RunningApi(one_way(servers), tmp_path_factory.mktemp("asked"), stats_timeout=PATIENCE) as running:
        yield running


USAGE = (
    "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | check-port"
    " | fqdn | health | name | ssl | state | weight\n"
)
PORT_X = "no need to change the addr, problem converting port 'x' to an int by 'stats socket command'\n"

# -- the conversation -------------------------------------------------------------------------------------------------


def test_one_line_is_answered_and_the_connection_ends(asked: RunningApi) -> None:
    assert ask(asked.path(), "show version") == "3.0.0\n\n"


def test_a_client_may_shut_down_its_side_right_behind_the_line(asked: RunningApi) -> None:
    assert ask(asked.path(), "show version", half_close=True) == "3.0.0\n\n"


def test_a_line_may_end_with_cr_lf(asked: RunningApi) -> None:
    assert ask(asked.path(), "show version\r") == "3.0.0\n\n"


def test_show_info_and_show_stat_on_one_line_are_two_blocks_with_an_empty_line_between(asked: RunningApi) -> None:
    blocks = ask(asked.path(), "show info;show stat").split("\n\n")
    assert [block.split("\n")[0][:6] for block in blocks] == ["Name: ", "# pxna", ""]


def test_an_empty_command_gets_an_empty_answer(asked: RunningApi) -> None:
    assert ask(asked.path(), "show version;;show version") == "3.0.0\n\n\n3.0.0\n\n"


def test_prompt_makes_a_conversation_until_quit(asked: RunningApi) -> None:
    with connect(asked.path()) as client:
        client.sendall(b"prompt\n")
        assert read_exactly(client, 3) == b"\n> "
        client.sendall(b"set timeout cli 60\n")
        assert read_exactly(client, 3) == b"\n> "
        client.sendall(b"show version;show cli level\n")
        assert read_exactly(client, 18) == b"3.0.0\n\n> admin\n\n> "
        client.sendall(b"quit\n")
        assert read_to_end(client) == b""


@pytest.mark.parametrize(
    ("words", "answer"), [("i", b"\n3.0.0\n\n"), ("p", b"\n> 3.0.0\n\n> "), ("n", b"\n"), ("", b"\n> 3.0.0\n\n> ")]
)
def test_prompt_n_i_p_choose_the_mode(asked: RunningApi, words: str, answer: bytes) -> None:
    with connect(asked.path()) as client:
        client.sendall(f"prompt {words}\n".encode())
        first = answer.removesuffix(b"3.0.0\n\n").removesuffix(b"3.0.0\n\n> ")
        assert read_exactly(client, len(first)) == first
        if words != "n":
            client.sendall(b"show version\n")
            assert read_exactly(client, len(answer) - len(first)) == answer[len(first) :]
            client.sendall(b"quit\n")
        assert read_to_end(client) == b""


def test_prompt_timed_shows_for_how_long_the_process_runs(asked: RunningApi) -> None:
    with connect(asked.path()) as client:
        client.sendall(b"prompt timed p\n")
        assert read_exactly(client, len(b"\n[0:00:00:00]> ")).startswith(b"\n[0:00:00:")


def test_while_a_payload_is_typed_the_prompt_is_a_plus(asked: RunningApi) -> None:
    with connect(asked.path()) as client:
        client.sendall(b"prompt\n")
        read_exactly(client, 3)
        client.sendall(b"set server b/s1 weight <<\n")
        assert read_exactly(client, 2) == b"+ "
        client.sendall(b"5\n\n")
        assert read_exactly(client, 36) == b"+ Require <weight> or <weight%>.\n\n> "


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("operator; show cli level", "\noperator\n\n"),
        ("user; show cli level; disable server b/s1", "\nuser\n\nPermission denied\n\n"),
        ("user; operator", "\nPermission denied\n\n"),
        ("show cli level", "admin\n\n"),
    ],
)
def test_operator_and_user_lower_the_level_of_this_connection_only(asked: RunningApi, line: str, answer: str) -> None:
    assert ask(asked.path(), line) == answer
    assert asked("show cli level") == "admin\n"


@pytest.mark.parametrize("level", [Level.USER, Level.OPERATOR])
def test_what_the_level_does_not_allow_is_denied(asked: RunningApi, level: Level) -> None:
    denied = [name for name, found in COMMANDS.items() if found.level > level]
    assert denied
    answers = ask(asked.path(level.name.lower()), ";".join(denied))
    assert answers == "Permission denied\n\n" * len(denied)


def test_an_unknown_command_is_answered_with_what_was_perhaps_meant(asked: RunningApi) -> None:
    first, *others = asked("show stats").splitlines()
    assert first == "Unknown command: 'show', but maybe one of the following ones is a better match:"
    assert any(line.startswith("  show stat ") for line in others)
    assert [line.split()[0] for line in others[-3:]] == ["help", "prompt", "quit"]


def test_help_lists_every_command_and_help_show_cli_those_that_begin_so(asked: RunningApi) -> None:
    lines = asked("help").splitlines()
    assert lines[0] == "The following commands are valid at this level:"
    assert len(lines) == 1 + len(COMMANDS) + 3
    assert [line.split(" :")[0].strip() for line in asked("help show cli").splitlines()[1:3]] == [
        "show cli level",
        "show cli sockets",
    ]


def test_set_severity_output_puts_a_number_before_sentences(asked: RunningApi) -> None:
    assert ask(asked.path(), "set severity-output number; get weight b/no") == "\n[3]: No such server.\n\n"
    assert ask(asked.path(), "set severity-output string; get weight b/no") == "\n[err]: No such server.\n\n"
    assert ask(asked.path(), "set severity-output x") == "one of 'none', 'number', 'string' is a required argument\n\n"


# -- nobody holds anything up -----------------------------------------------------------------------------------------


def test_a_client_that_says_nothing_is_let_go_after_stats_timeout(tmp_path: Path, backend: ScriptedServer) -> None:
    with (
        RunningApi(one_way([server(backend.port)]), tmp_path, stats_timeout=0.2) as api,
        connect(api.path()) as silent,
    ):
        assert read_to_end(silent) == b""


def test_a_client_that_types_on_and_on_is_let_go_too(tmp_path: Path, backend: ScriptedServer) -> None:
    with RunningApi(one_way([server(backend.port)]), tmp_path, stats_timeout=0.3) as api, connect(api.path()) as slow:
        slow.settimeout(0.05)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not _is_let_go(slow):
            pass
        assert time.monotonic() < end


def _is_let_go(client: socket.socket) -> bool:
    """Type one more letter; returns whether nobody reads it any more."""
    try:
        client.sendall(b"x")
        return client.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_stuck_clients_hold_nothing_up(api: RunningApi) -> None:
    stuck = [connect(api.path()) for _ in range(5)]
    for client in stuck:
        client.sendall(b"show st")
    assert api("show version") == "3.0.0\n"
    with api.balancer.connect() as client:
        assert read_exactly(client, 6) == b"hello\n"
    for client in stuck:
        client.close()


def test_who_comes_when_all_places_are_taken_waits_for_one(tmp_path: Path, backend: ScriptedServer) -> None:
    with RunningApi(one_way([server(backend.port)]), tmp_path, stats_maxconn=2, stats_timeout=PATIENCE) as api:
        taken = [connect(api.path()) for _ in range(2)]
        for client in taken:
            client.sendall(b"prompt\n")
            read_exactly(client, 3)
        with connect(api.path()) as waiting:
            waiting.sendall(b"show version\n")
            taken[0].close()
            assert read_to_end(waiting) == b"3.0.0\n\n"
        taken[1].close()


def test_a_client_that_takes_no_answer_is_let_go(tmp_path: Path, backend: ScriptedServer) -> None:
    with RunningApi(one_way([server(backend.port)]), tmp_path, stats_timeout=0.3, stats_maxconn=1) as api:
        lazy = connect(api.path())
        lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.sendall(b"prompt\n" + b"show stat typed\n" * 200)
        assert api("show version") == "3.0.0\n"  # there is one place only: it was given back
        lazy.close()


def test_a_client_that_leaves_while_it_waits_gives_its_place_back(tmp_path: Path, backend: ScriptedServer) -> None:
    with RunningApi(one_way([server(backend.port)]), tmp_path, stats_maxconn=1) as api:
        leaving = connect(api.path())
        leaving.sendall(b"wait 1h\n")
        leaving.shutdown(socket.SHUT_WR)
        with connect(api.path()) as waiting:
            waiting.sendall(b"show version\n")
            waiting.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.recv(1)  # the other one waits for its answer, though it has shut down its side
            waiting.settimeout(PATIENCE)
            leaving.close()
            assert read_to_end(waiting) == b"3.0.0\n\n"


@pytest.mark.parametrize("junk", [b"\0\xff\xfe", b"x" * 20000, b"\x16\x03\x01\x02\0\x01", b"GET / HTTP/1.0\r\n\r"])
def test_any_bytes_get_an_answer_or_an_end_and_hurt_nobody(asked: RunningApi, junk: bytes) -> None:
    try:
        ask(asked.path(), junk)
    except ConnectionResetError:
        pass
    except BrokenPipeError:
        pass
    assert asked("show version") == "3.0.0\n"
    assert asked.notes == []


def test_an_error_of_ours_costs_one_answer(api: RunningApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(type(api.balancer.supervisor), "snapshot", fails)
    assert ask(api.path(), "show stat;show version") == "Internal error, see the log.\n\n3.0.0\n\n"
    assert "ZeroDivisionError" in api.notes[0][1]


# -- the sockets themselves -------------------------------------------------------------------------------------------


def test_expose_fd_listeners_gives_the_listening_sockets_to_a_successor(asked: RunningApi) -> None:
    [(name, listening)] = receive(str(asked.path()))
    assert "127.0.0.1" in name
    assert listening.getsockname() == ("127.0.0.1", asked.balancer.port)
    listening.close()
    with pytest.raises(TakeoverError, match="Permission denied"):
        receive(str(asked.path("operator")))


def test_show_cli_sockets_lists_all_of_them(asked: RunningApi) -> None:
    assert asked("show cli sockets").splitlines() == [
        "# socket lvl processes",
        f"unix@{asked.path('user')} user all",
        f"unix@{asked.path('operator')} operator all",
        f"unix@{asked.path()} admin all",
    ]


# -- looking ----------------------------------------------------------------------------------------------------------


def test_show_stat_selects_by_proxy_kind_and_server(asked: RunningApi) -> None:
    def names(line: str) -> list[str]:
        return [row.split(",")[1] for row in asked(line).splitlines()[1:]]

    assert names("show stat") == ["FRONTEND", "s1", "s2", "BACKEND"]
    assert names("show stat f 1 -1") == ["FRONTEND"]
    assert names("show stat 3 2 -1") == ["BACKEND"]
    assert names("show stat b 4 1") == ["s1"]
    assert names("show stat -1 -1 -1") == ["FRONTEND", "s1", "s2", "BACKEND"]
    assert names("show stat up") == names("show stat no-maint") == ["FRONTEND", "s1", "BACKEND"]
    assert names("show stat nope") == ["FRONTEND", "s1", "s2", "BACKEND"]
    assert asked("show stat nope -1 -1") == "No such proxy.\n"
    assert [row.split(",")[17] for row in asked("show stat up").splitlines()[1:]] == ["OPEN", "no check", "UP (1/2)"]


def test_show_sess_lists_connections_and_itself_and_shutdown_session_ends_one(api: RunningApi) -> None:
    with api.balancer.connect() as client:
        assert read_exactly(client, 6) == b"hello\n"
        lines = api("show sess").splitlines()
        mine = next(line for line in lines if " fe=f be=b srv=s1 " in line)
        assert f"src=127.0.0.1:{client.getsockname()[1]}" in mine
        assert any("proto=unix_stream" in line and "fe=GLOBAL" in line for line in lines)
        identity = mine.split(":")[0]
        assert api(f"show sess {identity}").startswith(f"{identity}: [")
        assert api("show sess server b/s1 frontend f").splitlines() == [mine.replace("age=0s", "age=0s")]
        assert api("show sess server b/s2") == ""
        assert api("show sess older 1h backend b") == ""
        assert api(f"shutdown session {identity}") == ""
        assert read_to_end(client) == b""
    event = api.balancer.wait_for("session")
    assert event["flags"] == "KC"
    assert api(f"shutdown session {identity}") == "No such session (use 'show sess').\n"
    assert api(f"show sess {identity}") == "Session not found.\n"
    assert api("shutdown session 0x0") == "Session pointer expected (use 'show sess').\n"


def test_shutdown_sessions_server_ends_all_on_that_server(api: RunningApi) -> None:
    clients = [api.balancer.connect() for _ in range(4)]
    for client in clients:
        assert read_exactly(client, 6) == b"hello\n"
    assert api("shutdown sessions server b/s1") == ""
    assert [read_to_end(client) for client in clients] == [b""] * 4
    assert api.balancer.wait_for("session", count=4)["flags"] == "KC"


# -- changing ---------------------------------------------------------------------------------------------------------


def status_of(api: RunningApi, name: str) -> str:
    rows = [row.split(",") for row in api("show stat").splitlines()[1:]]
    return next(row[17] for row in rows if row[1] == name)


def test_disable_and_enable_frontend_refuse_and_accept_connections(api: RunningApi) -> None:
    assert api("enable frontend f") == "All sockets are already enabled.\n"
    with api.balancer.connect() as before:
        assert read_exactly(before, 6) == b"hello\n"
        assert api("disable frontend f") == ""
        assert api("disable frontend f") == "All sockets are already disabled.\n"
        assert status_of(api, "FRONTEND") == "PAUSED"
        with pytest.raises(ConnectionRefusedError):
            api.balancer.connect()
        before.sendall(b"x")
        assert read_exactly(before, 1) == b"x"
    assert api("enable frontend f") == ""
    assert status_of(api, "FRONTEND") == "OPEN"
    for _ in range(4):
        with api.balancer.connect() as after:
            assert read_exactly(after, 6) == b"hello\n"


def test_shutdown_frontend_is_for_good(api: RunningApi) -> None:
    assert api("shutdown frontend f") == ""
    assert status_of(api, "FRONTEND") == "STOP"
    with pytest.raises(ConnectionRefusedError):
        api.balancer.connect()
    assert api("enable frontend f") == "Frontend was previously shut down, cannot enable.\n"
    assert api("disable frontend f") == "Frontend was previously shut down, cannot disable.\n"
    assert api("shutdown frontend f") == "Frontend was already shut down.\n"


def test_set_maxconn_frontend_acts_at_once(api: RunningApi) -> None:
    assert api("set maxconn frontend f 1") == ""
    with api.balancer.connect() as first, api.balancer.connect() as second:
        assert read_exactly(first, 6) == b"hello\n"
        assert api("set maxconn frontend f 2") == ""
        assert read_exactly(second, 6) == b"hello\n"
    assert "f,FRONTEND,,,0,2,2," in api("show stat") or "f,FRONTEND" in api("show stat")


def test_clear_counters_forgets_peaks_and_with_all_everything(api: RunningApi) -> None:
    def numbers() -> tuple[str, str]:
        row = api("show stat f 1 -1").splitlines()[1].split(",")
        return row[5], row[7]

    with api.balancer.connect() as client:
        assert read_exactly(client, 6) == b"hello\n"
    api.balancer.wait_for("session")
    assert numbers() == ("1", "1")
    assert api("clear counters") == ""
    while numbers()[0] != "0":
        pass
    assert numbers() == ("0", "1")
    assert api("clear counters all") == ""
    while numbers()[1] != "0":
        pass
    assert api("clear counters all", "operator") == "Permission denied\n"


def test_a_server_comes_and_goes_while_the_balancer_runs(api: RunningApi) -> None:
    with ScriptedServer(echo(b"third\n")) as third:
        assert api(f"add server b/s3 127.0.0.1:{third.port} weight 10") == "New server registered.\n"
        assert status_of(api, "s3") == "MAINT"
        assert api(f"add server b/s3 127.0.0.1:{third.port}") == (
            "Already exists a server with the same name in backend.\n"
        )
        assert ask(api.path(), "enable server b/s3;disable server b/s1") == "\n\n"
        for _ in range(4):
            with api.balancer.connect() as client:
                assert read_exactly(client, 6) == b"third\n"
        assert api("del server b/s3") == "Only servers in maintenance mode can be deleted.\n"
        with api.balancer.connect() as client:
            assert read_exactly(client, 6) == b"third\n"
            assert api("disable server b/s3") == ""
            assert api("del server b/s3") == "Server still has connections attached to it, cannot remove it.\n"
            assert api("shutdown sessions server b/s3") == ""
            assert api("wait 5s srv-removable b/s3") == "Done.\n"
        assert api("del server b/s3") == "Server deleted.\n"
        assert "s3" not in api("show stat")
        assert api("del server b/s3") == "No such server.\n"


def test_a_worker_that_was_replaced_knows_the_servers_that_came(api: RunningApi) -> None:
    with ScriptedServer(echo(b"third\n")) as third:
        assert api(f"add server b/s3 127.0.0.1:{third.port}") == "New server registered.\n"
        assert ask(api.path(), "enable server b/s3;disable server b/s1") == "\n\n"
        for worker in list(api.balancer.supervisor.current.workers.values()):
            worker.kill()
        api.balancer.wait_for("worker", action="started", count=4)
        for _ in range(4):
            with api.balancer.connect() as client:
                assert read_exactly(client, 6) == b"third\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("add server", "Require 'backend/server'.\n"),
        ("add server nope/s9 127.0.0.1:1", "No such backend.\n"),
        ("add server b/s9", "'server' expects <name> and <addr>[:<port>] as arguments.\n"),
        ("add server b/s9 127.0.0.1:2 bogus", "unknown keyword 'bogus'.\n"),
        ("add server b/s9 127.0.0.1:2 cookie x", "'cookie' option is not accepted for dynamic server\n"),
        ("add server b/a,b 127.0.0.1:2", "character ',' is not permitted in server name 'a,b'.\n"),
        ("del server b", "Require 'backend/server'.\n"),
        ("del server b/nope", "No such server.\n"),
        ("del server nope/nope", "No such backend.\n"),
        ("set maxconn global 0", ""),
        ("set maxconn global 999999", "Value out of range.\n"),
        ("set maxconn global", "Expects an integer value.\n"),
        ("set maxconn server b/s1 x", "maxconn string empty or preceded by garbage\n"),
        ("set maxconn server b/s1", "Require <maxconn>.\n"),
        ("set maxconn server b/s1 50", ""),
        ("set maxconn frontend nope 5", "No such frontend.\n"),
        ("set maxconn frontend f", "Integer value expected.\n"),
        ("set rate-limit connections global 0", ""),
        ("set rate-limit connections global", "Expects an integer value.\n"),
        ("set rate-limit connections global -1", "Value out of range.\n"),
        ("set timeout cli", "Expects an integer value.\n"),
        ("set timeout cli x", "Invalid timeout value.\n"),
        ("set timeout foo 5s", "'set timeout' only supports 'cli'.\n"),
        ("disable frontend nope", "No such frontend.\n"),
        ("disable frontend", "A frontend name is expected.\n"),
        ("shutdown sessions server b/nope", "No such server.\n"),
        ("get weight b", "Require 'backend/server'.\n"),
        ("set weight b/s1 1", ""),
        ("get weight b/s1", "1 (initial 1)\n"),
        ("set server b/s1 port 5", USAGE),
        ("set server b/s1 fqdn foo", "set server <b>/<s> fqdn failed because no resolution is configured.\n"),
        ("set server b/s1 addr", "set server <b>/<s> addr requires an address and optionally a port.\n"),
        ("set server b/s1 addr 127.0.0.1 port x", PORT_X),
        ("show servers state nope", "Can't find backend.\n"),
        ("show table nope", "No such table\n"),
        ("show errors nope", "No such proxy.\n"),
        ("show acl x", "Unknown ACL identifier. Please use #<id> or <file>.\n"),
        ("show map x", "Unknown map identifier. Please use #<id> or <file>.\n"),
        ("show peers", ""),
        ("show table", ""),
        ("add backend x", "Backends cannot be changed at run time by tcpbalancer: change the file and reload.\n"),
        ("echo a b", "a b\n"),
        ("wait 1ms", ""),
        ("wait 1ms srv-removable b/nope", "No such server.\n"),
        ("wait x", "Invalid duration.\n"),
        ("show backend", "# name\nb\n"),
        ("show env NO_SUCH_VARIABLE", "Variable not found\n"),
    ],
)  # fmt: skip
def test_each_command_has_its_exact_answer(asked: RunningApi, line: str, answer: str) -> None:
    assert asked(line) == answer


@pytest.mark.parametrize(
    "line",
    ["show info", "show info json", "show info typed desc", "show stat json", "show stat typed", "show servers conn",
     "show fd", "show pools", "show threads", "show tasks", "show profiling", "show events", "show activity",
     "show startup-logs", "show resolvers", "show schema json", "show libs", "show env", "show errors"],
)  # fmt: skip
def test_what_can_be_looked_at_is_answered(asked: RunningApi, line: str) -> None:
    assert "Internal error" not in asked(line)
    assert asked.notes == []


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 20, "\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT THREE}"])
@pytest.mark.parametrize(
    "line",
    ["set weight b/s2 {}", "set weight b/s2 {}%", "set maxconn server b/s2 {}",
     "set server b/s2 addr 127.0.0.1 port {}",
     "set server b/s2 addr 127.0.0.1 port +{}", "set server b/s2 check-port {}", "set server b/s2 agent-port {}",
     "set maxconn frontend f {}", "set maxconn global {}", "set rate-limit sessions global {}", "show stat {} 1 {}"],
)  # fmt: skip
def test_any_number_is_taken_or_refused(api: RunningApi, line: str, number: str) -> None:
    assert "Internal error" not in api(line.replace("{}", number))
    assert api.notes == []


# -- stick tables -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_", "key", "shown"), [("ip", "10.0.0.1", "10.0.0.1"), ("ipv6", "::1", "::1"), ("integer", "5432", "5432")]
)
def test_show_set_and_clear_table(tmp_path: Path, backend: ScriptedServer, type_: str, key: str, shown: str) -> None:
    table = StickTable(type_, 100, expire=60.0)
    with RunningApi(one_way([server(backend.port)], table=table), tmp_path) as api:
        assert api("show table") == f"# table: b, type: {type_}, size:100, used:0\n"
        assert api(f"set table b key {key} data.server_id 1") == ""
        header, line = api("show table b").splitlines()
        assert header == f"# table: b, type: {type_}, size:100, used:1"
        assert re.fullmatch(rf"0x\w+: key={re.escape(shown)} use=0 exp=\d+ server_id=1 server_key=s1", line)
        assert api(f"show table b key {key}").splitlines()[0] == header
        assert api("show table b data.server_id gt 1").splitlines() == [header]
        assert api("show table b data.server_id eq 1").splitlines()[0] == header
        assert api("clear table b data.server_id gt 1") == ""
        assert len(api("show table b").splitlines()) == 2
        assert api(f"clear table b key {key}") == ""
        assert api("show table b") == f"# table: b, type: {type_}, size:100, used:0\n"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("show table b key", "Key value expected\n"),
        ("show table b key x", ""),
        ("show table b data.foo gt 5", "Filter entry #1: Unknown data type\n"),
        (
            "show table b foo",
            'Optional argument only supports "data.<store_data_type>" <operator> <value> and key <key>\n',
        ),
        ("set table", "Required arguments: <table> key <key> [data.<store_data_type> <value>]*\n"),
        ("set table b key 1.2.3.4 data.foo 1", "Unknown data type\n"),
        ("set table nope", "No such table\n"),
        ("clear table nope", "No such table\n"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_haproxys_words(
    tmp_path: Path, backend: ScriptedServer, line: str, answer: str
) -> None:
    with RunningApi(one_way([server(backend.port)], table=StickTable("ip", 100)), tmp_path) as api:
        assert api(line) == answer


# -- names ------------------------------------------------------------------------------------------------------------


def test_show_resolvers_tells_how_often_each_name_server_was_asked(tmp_path: Path, backend: ScriptedServer) -> None:
    section = Resolvers("office", (NameServer("first", "127.0.0.1", 1),))
    configuration = replace(one_way([server(backend.port)]), resolvers={"office": section})
    with RunningApi(configuration, tmp_path) as api:
        first, name_server, *counts = api("show resolvers").splitlines()
        assert (first, name_server) == ("Resolvers section office", " nameserver first:")
        assert counts[0] == "  sent:        0"
        assert [line.split(":")[0].strip() for line in counts] == list(WORDS)
        assert api("show resolvers office") == api("show resolvers")
        assert api("show resolvers nope") == "Can't find that resolvers section\n"


def test_a_session_tells_what_it_has_moved(api: RunningApi) -> None:
    with api.balancer.connect() as client:
        assert read_exactly(client, 6) == b"hello\n"
        client.sendall(b"x" * 10)
        assert read_exactly(client, 10) == b"x" * 10
        blocks = api("show sess all")
        assert "req=(nil) (f=0x0 an=0x0 tofwd=-1 total=10)" in blocks
        assert "res=(nil) (f=0x0 an=0x0 tofwd=-1 total=16)" in blocks


@given(junk=some.lists(some.binary(max_size=60), max_size=4))
@settings(max_examples=60, deadline=None)
def test_whatever_is_sent_the_next_one_is_served(asked: RunningApi, junk: list[bytes]) -> None:
    with connect(asked.path("user")) as client:
        try:
            client.sendall(b"\n".join(junk) + b"\n")
            client.shutdown(socket.SHUT_WR)
            read_to_end(client)
        except OSError:
            pass  # it may end before everything was read
    assert asked("show version") == "3.0.0\n"
    assert asked.notes == []


# -- going over to another configuration ------------------------------------------------------------------------------


def test_a_reload_keeps_sockets_and_takes_what_their_lines_say_now(tmp_path: Path, backend: ScriptedServer) -> None:
    port = free_port()
    with RunningApi(one_way([server(backend.port)]), tmp_path) as api:
        before = StatsSocket(Place.IPV4, "127.0.0.1", port, level=Level.ADMIN)
        kept = api.configuration.stats_sockets[:2]
        after = replace(before, level=Level.USER, location=Location("other.cfg", 9))
        for sockets in ((*kept, before), (*kept, after)):
            api.balancer.ask(partial(api.server.reload, replace(api.configuration, stats_sockets=sockets)))
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(b"show cli level;show cli sockets\n")
                level, title = sockets[-1].level.name.lower(), sockets[-1].title
                answer = read_to_end(client).decode()
            assert answer.startswith(f"{level}\n\n# socket lvl processes\n")
            assert answer.endswith(f"\n{title} {level} all\n\n")
        with pytest.raises(ConnectionRefusedError):
            ask(api.path("admin"), "show version")
        taken = StatsSocket(Place.IPV4, "127.0.0.1", api.balancer.port)
        with pytest.raises(StatsSocketError):
            api.balancer.ask(partial(api.server.reload, replace(api.configuration, stats_sockets=(taken,))))
        assert api("show cli level", "user") == "user\n"


def test_over_tcp_a_client_sees_the_same(tmp_path: Path, backend: ScriptedServer) -> None:
    port = free_port()
    with RunningApi(one_way([server(backend.port)]), tmp_path) as api:
        listening = StatsSocket(Place.IPV4, "127.0.0.1", port, level=Level.ADMIN)
        sockets = (*api.configuration.stats_sockets, listening)
        api.balancer.ask(partial(api.server.reload, replace(api.configuration, stats_sockets=sockets)))
        for line in ("show cli level", "get weight b/s1;set server b/s1 state maint", "bogus", "show sess 0x1"):
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
                client.sendall(f"{line}\r\n".encode())
                assert read_to_end(client).decode() == ask(api.path(), line)
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(b"show sess\n")
            assert f"proto=tcpv4 src=127.0.0.1:{client.getsockname()[1]} fe=GLOBAL" in read_to_end(client).decode()


def test_an_inherited_socket_is_shown_under_the_address_that_it_has(tmp_path: Path, backend: ScriptedServer) -> None:
    path = tmp_path / "given"
    with (
        socket.create_server(("127.0.0.1", 0)) as given,
        socket.socket(socket.AF_UNIX) as named,
        RunningApi(one_way([server(backend.port)]), tmp_path) as api,
    ):
        named.bind(str(path))
        named.listen()
        inherited = [StatsSocket(Place.DESCRIPTOR, str(each.fileno()), level=Level.ADMIN) for each in (given, named)]
        sockets = (*api.configuration.stats_sockets, *inherited)
        api.balancer.ask(partial(api.server.reload, replace(api.configuration, stats_sockets=sockets)))
        port = given.getsockname()[1]
        shown = ask(path, "show cli sockets").splitlines()[-3:-1]
        assert shown == [f"ipv4@127.0.0.1:{port} admin all", f"unix@{path} admin all"]

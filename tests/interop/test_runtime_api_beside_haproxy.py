"""The runtime API of tcpbalancer beside that of a real HAProxy: the same questions, the same answers, the same effects.

What HAProxy 2.6 says otherwise than 3.x is listed here, and where ours differs from both, in docs/differences.md.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, CheckTarget, LabConfiguration, haproxy, until
from runtime_api import ask
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end

pytestmark = pytest.mark.interop
BACKEND = "postgresql_backend"


@dataclass
class Api:
    """One program, its stats sockets, and the ports that are its own."""

    program: BalancerProcess
    ports: LabConfiguration
    folder: Path
    sticky_port: int

    def __call__(self, line: str, level: str = "admin") -> str:
        return ask(self.folder / level, line)

    def masked(self, line: str, level: str = "admin") -> str:
        """Return an answer without what differs from run to run: dates, paths, own ports, 2.6's missing empty lines."""
        text = self(line, level)
        text = re.sub(r"\d+/\w{3}/\d{4}:[\d:.]+", "DATE", text).replace(str(self.folder), "FOLDER")
        return text.rstrip("\n")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Api]]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(f"pg{number}\n".encode()))) for number in (1, 2, 3)]
        checks = [stack.enter_context(CheckTarget()) for _ in servers]
        apis = []
        for name, command in (("ours", [*TCPBALANCER, "-db"]), ("real", [haproxy(), "-db"])):
            folder = tmp_path_factory.mktemp(name)
            ports = LabConfiguration([server.port for server in servers], [check.port for check in checks])
            sockets = "".join(f"    stats socket {folder}/{level} level {level}\n" for level in LEVELS)
            text = ports.text.replace("global\n", f"global\n    nbthread 2\n{sockets}    stats timeout 30s\n", 1)
            text += "backend static\n    balance static-rr\n    server s 127.0.0.1:1\n"
            sticky = free_port()
            text += (
                f"listen sticky\n    bind 127.0.0.1:{sticky}\n    stick on src\n"
                "    stick-table type ip size 1k expire 30m\n"
                f"    server a 127.0.0.1:{servers[0].port}\n    server b 127.0.0.1:{servers[1].port}\n"
            )
            control = ["--control", str(folder / "control")] if name == "ours" else []
            program = stack.enter_context(BalancerProcess([*command, *control], text, folder, ports.stats_port))
            apis.append(Api(program, ports, folder, sticky))
        for api in apis:
            for name in ("pg1", "pg2", "pg3"):
                api.program.wait_for_status(f"{BACKEND}/{name}", "UP", "L7OK")
            api.program.wait_for_status("swarm/spare", "DOWN", "L4CON")
        yield apis


LEVELS = ("user", "operator", "admin")
B = BACKEND
SAME = [
    # the conversation
    "show cli level", "operator; show cli level", "user; show cli level", "show cli sockets",
    f"get weight {B}/pg1;get weight {B}/pg2", f"  get   weight   {B}/pg1  ", f"get weight {B}\\/pg1",
    "set timeout cli 10s", "set timeout cli", "set timeout cli x", "set timeout foo 5s", "set severity-output number",
    f"set severity-output number; get weight {B}/nope", f"set severity-output string; get weight {B}/nope",
    # looking
    "show backend", "show errors", "show errors nope", "show table nope", "show peers", "show map",
    "show map nope", "show acl nope", "show servers state nope", "show servers conn nope", "show sess 0x1",
    "show env NO_SUCH_VARIABLE", "show stat nope -1 -1",
    # weights
    f"get weight {B}", f"get weight {B}/nope", "get weight nope/pg1", f"set weight {B}/pg1 50%", f"get weight {B}/pg1",
    f"set weight {B}/pg1 300", f"set weight {B}/pg1 -1", f"set weight {B}/pg1 x", f"set weight {B}/pg1 5x",
    f"set weight {B}/pg1", f"set weight {B}/pg1 7", f"get weight {B}/pg1", f"set weight {B}/pg1 100%",
    "set weight static/s 5", "set weight static/s 0%", "set weight static/s 100%",
    f"set server {B}/pg1 weight", f"set server {B}/pg1 weight 3", f"set server {B}/pg1 weight 100%",
    # states
    f"set server {B}/pg1 state maint", f"set server {B}/pg1 state drain", f"set server {B}/pg1 state ready",
    f"set server {B}/pg1 state xx", f"set server {B}/pg1 health down", f"set server {B}/pg1 health stopping",
    f"set server {B}/pg1 health up", f"set server {B}/pg1 health xx", f"set server {B}/pg1 agent up",
    f"set server {B}/nope state maint", "set server nope/pg1 state maint", "set server", f"set server {B}",
    f"disable server {B}/pg1", f"enable server {B}/pg1", f"disable health {B}/pg1", f"enable health {B}/pg1",
    f"disable agent {B}/pg1", f"enable agent {B}/pg1", "enable health static/s", "disable server",
    # addresses
    f"set server {B}/pg1 addr", f"set server {B}/pg1 addr bogus!", f"set server {B}/pg1 addr 127.0.0.1",
    f"set server {B}/pg1 addr 127.0.0.1 port x", f"set server {B}/pg1 check-port", f"set server {B}/pg1 check-port x",
    f"set server {B}/pg1 check-port 70000",
    f"set server {B}/pg1 check-addr bogus!", "set server static/s check-addr 127.0.0.1",
    "set server static/s check-port 5", f"set server {B}/pg1 agent-addr 1.2.3.4", f"set server {B}/pg1 agent-addr",
    f"set server {B}/pg1 agent-port 5", f"set server {B}/pg1 agent-send x", f"set server {B}/pg1 fqdn",
    f"set server {B}/pg1 fqdn foo",
    # limits
    f"set maxconn server {B}/pg1 50", f"set maxconn server {B}/pg1 x", f"set maxconn server {B}/pg1",
    "set maxconn frontend postgresql_frontend 50", "set maxconn frontend nope 5",
    "set maxconn frontend postgresql_frontend", "set maxconn frontend postgresql_frontend -1", "set maxconn global 90",
    "set maxconn global 101", "set maxconn global", "set maxconn global 0", "set rate-limit connections global 100",
    "set rate-limit connections global 0", "set rate-limit connections global", "set rate-limit foo 5",
    "set rate-limit sessions global -1", "set rate-limit",
    # frontends and sessions
    "enable frontend postgresql_frontend", "disable frontend nope", "disable frontend", "shutdown frontend nope",
    "shutdown frontend", "disable frontend swarm;disable frontend swarm;enable frontend swarm",
    "shutdown session 0x0", "shutdown session 0xfff", "shutdown session", "shutdown session foo",
    f"shutdown sessions server {B}/pg1", f"shutdown sessions server {B}/nope", "shutdown sessions server",
    # servers that come and go
    "add server", "add server nope/s2 127.0.0.1:2", f"add server {B}/pg1 127.0.0.1:2", f"add server {B}/s2",
    f"add server {B}/s2 127.0.0.1:2 bogus", f"add server {B}/s2 127.0.0.1:2 cookie x",
    f"add server {B}/bad,name 127.0.0.1:2", f"add server {B}/s2 127.0.0.1:2 check weight 5 maxconn 10 backup",
    f"get weight {B}/s2", f"enable health {B}/s2", f"enable server {B}/s2", f"del server {B}/s2",
    f"disable server {B}/s2;del server {B}/s2", f"del server {B}/s2", "del server", f"del server {B}",
    f"del server {B}/pg1",
    "clear counters", "clear counters all", "clear table", "clear table nope", "show table nope",
]  # fmt: skip


def test_the_same_commands_in_the_same_order_get_the_same_answers(both: list[Api]) -> None:
    answered = {line: [api.masked(line) for api in both] for line in SAME}
    assert {line: answers for line, answers in answered.items() if answers[0] != answers[1]} == {}


IN_3_OTHERWISE = {
    "bogus command": r"Unknown command(: 'bogus')?, but maybe one of the following ones is a better match:",
    f"set server {B}/pg1": r"usage: set server <backend>/<server> addr \| .* \| health \| (name \| )?ssl \| state .*",
    "add server static/s2 127.0.0.1:2": r"Backend (must use a|does not support) dynamic .*",
}


@pytest.mark.parametrize("line", IN_3_OTHERWISE)
def test_what_3_says_otherwise_is_said_as_there(both: list[Api], line: str) -> None:
    for api in both:
        assert re.fullmatch(IN_3_OTHERWISE[line], api(line).splitlines()[0])


@pytest.mark.parametrize("level", ["user", "operator"])
def test_the_levels_deny_the_same(both: list[Api], level: str) -> None:
    lines = ["show env", "show sess", "show errors", "show startup-logs", "show fd", "show profiling", "clear counters",
             "clear counters all", f"set server {B}/pg1 weight 1", f"set weight {B}/pg1 1", f"get weight {B}/pg1",
             f"disable server {B}/pg2", f"enable server {B}/pg2", "set maxconn global 5", "shutdown session 0x1",
             f"add server {B}/s3 127.0.0.1:2", f"del server {B}/s3", "operator", "user", "set timeout cli 5s",
             "set rate-limit connections global 0", "disable frontend nope", "show cli level", "show cli sockets",
             f"shutdown sessions server {B}/nope", "show servers conn", "show info", "show stat"]  # fmt: skip
    denied = [{line for line in lines if api(line, level) == "Permission denied\n\n"} for api in both]
    assert denied[0] == denied[1]


def settled(rows: list[list[str]]) -> bool:
    """Whether no check is on its way and no counter moves: 6 is at rest, 8 and 14 in maintenance."""
    return all(row[13] in {"0", "8", "14"} or (row[13] == "6" and row[12] in {"0", "3", "4"}) for row in rows)


def states(api: Api) -> list[list[str]]:
    """Return ``show servers state`` without the time since the last change, when no check is on its way."""
    seen: list[str] = []

    def is_quiet() -> bool:
        seen[:] = api("show servers state").rstrip("\n").split("\n")
        return settled([row.split(" ") for row in seen[2:]])

    until(is_quiet, "no check is on its way")
    version, header, *rows = seen
    assert version == "1"
    columns = [row.split(" ") for row in rows]
    for row in columns:
        row[9] = "AGE"
        if row[13] == "14":  # a check that was on its way into maintenance still counts in HAProxy
            row[12] = "HEALTH"
    return [header.split(" "), *columns]


def test_show_servers_state_is_the_same(both: list[Api]) -> None:
    for line in (f"set server {B}/pg2 state maint", f"set server {B}/pg3 state drain", f"set weight {B}/pg3 2"):
        for api in both:
            assert api(line) == "\n"
        ours, real = (states(api) for api in both)
        assert ours == real
    for api in both:
        assert api(f"set weight {B}/pg3 100%") == "\n"
        for name in ("pg2", "pg3"):
            assert api(f"set server {B}/{name} state ready") == "\n"
            api.program.wait_for_status(f"{B}/{name}", "UP", "L7OK")


CHANGED_IN_3 = {
    "rate", "rate_max", "conn_rate_max", "chkfail", "chkdown", "lastchg", "downtime", "addr", "weight", "act",
    "uweight", "bck", "eint", "algo", "agg_server_status",
}  # fmt: skip


def test_show_stat_typed_has_the_same_fields_with_the_same_tags_and_types(both: list[Api]) -> None:
    def fields(api: Api) -> dict[str, str]:
        """Return origin, nature, scope and type of each field, without 3.x's fourth letter; up to column 102."""
        lines = (line.split(":") for line in api("show stat typed").splitlines() if line)
        return {line[0]: f"{line[1][:3]}:{line[2]}" for line in lines if int(line[0].split(".")[3]) <= 102}

    ours, real = (fields(api) for api in both)
    assert set(ours) == set(real)
    # 3.x rates some fields otherwise than 2.6: those are pinned to its golden output elsewhere.
    changed = {name.split(".")[4] for name in ours if ours[name] != real[name]}
    assert changed <= CHANGED_IN_3


def test_show_info_has_the_names_of_2_6_in_the_same_order_one_colon_a_line(both: list[Api]) -> None:
    ours, real = ([line.split(": ") for line in api("show info").splitlines() if line] for api in both)
    assert all(len(line) == 2 for line in ours)
    spelt = ["TotalSplicedBytesOut" if line[0] == "TotalSplicdedBytesOut" else line[0] for line in real]
    assert [line[0] for line in ours if line[0] in spelt] == spelt
    values = [dict(map(tuple, lines)) for lines in (ours, real)]  # type: ignore[arg-type] # pairs
    for name in (
        "Nbthread",
        "Nbproc",
        "Process_num",
        "Maxconn",
        "Hard_maxconn",
        "CurrConns",
        "node",
        "Stopping",
        "Tainted",
    ):
        assert values[0][name] == values[1][name], name


def shown_status(api: Api, server: str) -> str:
    rows = [row.split(",") for row in api("show stat").splitlines()[1:] if row]
    return next(row[17] for row in rows if row[:2] == [B, server])


def deploy(api: Api) -> list[object]:
    """Do what deployment modules do: drain, wait until nobody is there, maintenance, back; return what was seen."""
    seen: list[object] = []
    clients = [socket.create_connection(("127.0.0.1", api.ports.postgres_port), PATIENCE) for _ in range(6)]
    held = {read_exactly(client, 4).decode().strip(): client for client in clients}
    seen.append(api.masked(f"get weight {B}/pg1; set server {B}/pg1 state drain"))
    seen.append(shown_status(api, "pg1"))
    served = set()
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", api.ports.postgres_port), PATIENCE) as client:
            served.add(read_exactly(client, 4).decode().strip())
    seen.append(served)
    held["pg1"].sendall(b"x")
    seen.append(read_exactly(held["pg1"], 1))
    seen.append(api.masked(f"shutdown sessions server {B}/pg1"))
    seen.append(read_to_end(held["pg1"]))
    seen.append(api.masked(f"get weight {B}/pg2; disable server {B}/pg2; shutdown sessions server {B}/pg2"))
    seen.append(read_to_end(held["pg2"]))
    seen.append(shown_status(api, "pg2"))
    seen.append(api.masked(f"enable server {B}/pg1;enable server {B}/pg2"))
    seen.extend(api.program.wait_for_status(f"{B}/{name}", "UP", "L7OK")["status"] for name in ("pg1", "pg2"))
    for client in clients:
        client.close()
    return seen


def test_a_deployment_module_sees_the_same_with_both(both: list[Api]) -> None:
    ours, real = (deploy(api) for api in both)
    assert ours == real


def interactive(api: Api) -> list[bytes]:
    """Speak as an interactive client does, and return what comes back to each line."""
    seen = []
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(api.folder / "admin"))
        for line in ("prompt", "set timeout cli 60", f"get weight {B}/pg1;show cli level", "operator", "show cli level",
                     f"set weight {B}/pg1 1", "quit"):  # fmt: skip
            client.sendall(f"{line}\n".encode())
            answer = b""
            while answer.count(b"> ") <= line.count(";") and (part := client.recv(1000)):
                answer += part
            seen.append(answer)
    return seen


def test_an_interactive_client_sees_the_same_with_both(both: list[Api]) -> None:
    ours, real = (interactive(api) for api in both)
    assert ours == real


def half_closed(api: Api, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(api.folder / "admin"))
        client.sendall(line)
        client.shutdown(socket.SHUT_WR)
        return read_to_end(client)


@pytest.mark.parametrize(
    "line", [b"show cli level\n", b"show cli level\r\n", b"show cli level", b"", b"show cli level\nshow backend\n"]
)
def test_a_client_that_half_closes_sees_the_same_with_both(both: list[Api], line: bytes) -> None:
    ours, real = (half_closed(api, line) for api in both)
    assert ours == real


def columns_of_a_session(api: Api) -> list[str]:
    with socket.create_connection(("127.0.0.1", api.ports.postgres_port), PATIENCE) as client:
        read_exactly(client, 4)
        line = next(line for line in api("show sess").splitlines() if "fe=postgresql_frontend" in line)
        word, *others = line.split(" ")
        assert re.fullmatch(r"0x[0-9a-f]+:", word)
        assert api(f"shutdown session {word.rstrip(':')}") == "\n"
        assert read_to_end(client) == b""
        port = client.getsockname()[1]
    return [re.sub(r"\[.*", "", part).replace(str(port), "PORT") for part in others]


def test_show_sess_has_the_same_words_and_its_id_ends_the_session(both: list[Api]) -> None:
    def words(api: Api) -> list[str]:
        known = ("proto=", "src=", "fe=", "be=", "ts=", "age=", "rc=")
        return [part for part in columns_of_a_session(api) if part.startswith(known)]

    ours, real = (words(api) for api in both)
    assert ours == real


@pytest.mark.parametrize(
    "act", [f"set server {B}/pg1 addr 127.0.0.1 port {{}}", f"set server {B}/pg1 addr ::1 port {{}}"]
)
def test_a_server_moves_to_another_port_in_the_words_of_2_6(both: list[Api], act: str) -> None:
    with ScriptedServer(echo(b"new\n")) as other:
        answers = []
        for api in both:
            before = api(f"show servers state {B}").splitlines()[2].split(" ")[18]
            answers.append([api.masked(act.format(other.port)).replace(before, "OLD") for _ in range(2)])
            back_text = api(f"set server {B}/pg1 addr 127.0.0.1 port {before}")
            assert f"port changed from '{other.port}' to '{before}'" in back_text
        assert answers[0] == answers[1]


TABLES = [
    "show table", "show table sticky", "show table sticky key 127.0.0.1", "show table sticky key 9.9.9.9",
    "show table sticky key", "show table sticky foo", "show table sticky data.foo gt 5",
    "show table sticky data.server_id eq 1", "show table sticky data.server_id ne 1", "set table",
    "set table sticky key", "set table sticky key 1.2.3.4 data.foo 1", "clear table sticky key",
    "clear table sticky foo", "clear table sticky key 9.9.9.9", "clear table sticky key 127.0.0.1",
    "clear table sticky key 1.2.3.4",
    "show table sticky", "clear table sticky",
]  # fmt: skip


def tables(api: Api) -> dict[str, str]:
    """Return the answers about a table that knows one client, without row addresses and times."""
    with socket.create_connection(("127.0.0.1", api.sticky_port), PATIENCE) as client:
        served = read_exactly(client, 4)
    with socket.create_connection(("127.0.0.1", api.sticky_port), PATIENCE) as client:
        assert read_exactly(client, 4) == served == b"pg1\n"
    masked = {line: re.sub(r"0x\w+|exp=\d+", "X", api.masked(line)) for line in TABLES}
    return {line: answer.replace("shard=0 ", "") for line, answer in masked.items()}


def test_stick_tables_are_shown_and_changed_alike(both: list[Api]) -> None:
    ours, real = (tables(api) for api in both)
    assert {line: (ours[line], real[line]) for line in TABLES if ours[line] != real[line]} == {}


def grow_and_shrink(api: Api, port: int) -> list[object]:
    """Add a checked server, wait until it is UP, meet it, take it away; return what was seen."""
    seen: list[object] = [api.masked(f"add server swarm/new 127.0.0.1:{port} check inter 200ms weight 5")]
    row = api("show servers state swarm").splitlines()[-2].split(" ")
    seen.append([*row[2:4], *row[5:9], row[13]])
    seen.extend(api.masked(line) for line in ("enable health swarm/new", "enable server swarm/new"))
    seen.append(api.program.wait_for_status("swarm/new", "UP", "L4OK")["weight"])
    met = set()
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", api.ports.swarm_port), PATIENCE) as client:
            met.add(read_exactly(client, 4))
    seen.append(b"new\n" in met)
    seen.append(api.masked("del server swarm/new"))
    seen.append(api.masked("set server swarm/new state maint; shutdown sessions server swarm/new"))
    until(lambda: "connections attached" not in api("del server swarm/new"), "its connections have gone")
    seen.append("new" in api("show stat swarm 4 -1"))
    seen.append(api.masked(f"add server swarm/new 127.0.0.1:{port};disable server swarm/new;del server swarm/new"))
    return seen


def test_a_checked_server_comes_and_goes_alike(both: list[Api]) -> None:
    with ScriptedServer(echo(b"new\n")) as target:
        ours, real = (grow_and_shrink(api, target.port) for api in both)
    ours[-1], real[-1] = (re.sub(r"\n+", "\n", str(each[-1])) for each in (ours, real))  # empty lines: 2.6 has fewer
    assert ours == real

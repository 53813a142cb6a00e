"""State files: HAProxy's own are read, and what the configuration has changed meanwhile has the last word."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from running_balancer import RunningBalancer

from hakit.health import RiseFall
from tcpbalancer.config.load import load
from tcpbalancer.model import InitState, SavedServer
from tcpbalancer.server_state import Admin, CheckState, ServerState, Terms, shown
from tcpbalancer.state_file import SpoiltError, restored, split_states, understood

HEADER = "1\n# be_id be_name srv_id srv_name srv_addr ...\n"
UP = "2 a 1 s 127.0.0.1 2 0 1 1 100 6 3 4 6 0 0 0 - 5432 - 0 0 - - 0"
NAMES = """be_id be srv_id srv addr op admin uweight iweight time status result health bits agent_bits bk_f srv_f fqdn
port srv_rec ssl check_port check_addr agent_addr agent_port"""
TERMS = Terms()


def line(**changes: object) -> str:
    """Return a server's line as HAProxy 2.6.12 wrote it, with some columns changed."""
    names = re.findall(r"\w+", NAMES)
    return " ".join(str(changes.get(name, word)) for name, word in zip(names, UP.split(), strict=True))


def saved(**changes: object) -> SavedServer:
    found = understood(line(**changes).split())
    assert isinstance(found, SavedServer), found
    return found


def at_start(*, disabled: bool = False, agent: bool = False) -> ServerState:
    voice = CheckState(RiseFall.barely_up(1, 1)) if agent else None
    return ServerState.initial(50.0, check=CheckState(RiseFall.barely_up(2, 3)), agent=voice, disabled=disabled)


def after(state: ServerState, weight: int = 1, **changes: object) -> ServerState:
    return list(restored(state, saved(**changes), weight, 50.0, TERMS))[-1]


def test_a_file_of_haproxy_is_understood() -> None:
    lines = split_states(HEADER + UP + "\n\n" + line(srv="t", addr="-") + "\n" + line(op=0) + "\n")
    assert [*lines] == [("a", "s"), ("a", "t")], "of two lines of one name the first counts"
    assert saved(check_port=99, check_addr="127.0.0.7", agent_addr="-", agent_port=5) == SavedServer(
        backend="a", server="s", address="127.0.0.1", operation=2, admin=0, weight=1, initial_weight=1, seconds=100,
        check_status=6, check_health=4, check_state=6, agent_state=0, name=None, port=5432, check_port=99,
        check_address="127.0.0.7", agent_address=None, agent_port=5,
    )  # fmt: skip
    old = understood(UP.split()[:20])
    assert isinstance(old, SavedServer), "five columns came later"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", -1),
        ("1", 0),
        ("3\n", 0),
        ("# no version\n", 0),
        ("\n", 0),
        (f"{HEADER}2 a short 10\n", 2),
        (f"{HEADER}{UP} 26\n", 2),
        (f"{HEADER}{UP}", 0),
    ],
)
def test_a_file_that_is_none_is_spoilt_as_a_whole(text: str, at: int) -> None:
    with pytest.raises(SpoiltError) as caught:
        split_states(text)
    assert caught.value.line == at


def test_a_value_that_makes_no_sense_is_named() -> None:
    assert understood(line(op=9, iweight="x", result=7).split()) == (
        ", invalid srv_op_state value '9', invalid srv_iweight value 'x', invalid srv_check_result value '7'"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "UP"),
        ({"op": 0, "health": 0}, "DOWN"),
        ({"op": 1, "health": 1}, "UP 1/3"),
        ({"op": 3, "health": 4, "status": 16}, "NOLB 1/3"),
        ({"op": 3, "health": 3, "status": 16}, "NOLB 2/3"),
        ({"admin": 1}, "MAINT"),
        ({"admin": 8}, "DRAIN"),
        ({"admin": 16 | 32}, "UP"),
        ({"admin": 5, "op": 0}, "DOWN"),
        ({"admin": 8, "iweight": 0}, "UP"),
        ({"bits": 2}, "no check"),
    ],
)
def test_a_server_becomes_what_it_was(changes: dict[str, object], text: str) -> None:
    state = after(at_start(), **changes)
    assert shown(state) == text
    assert state.changed_at == -50.0


def test_a_server_that_falls_at_once_cannot_be_stopping() -> None:
    state = replace(at_start(), check=CheckState(RiseFall.barely_up(1, 1)))
    assert shown(after(state, op=3)) == "DOWN"


def test_what_the_file_says_of_maintenance_holds_unless_the_configuration_has_changed() -> None:
    assert shown(after(at_start(disabled=True))) == "MAINT", "disabled is new"
    assert int(after(at_start(disabled=True), admin=4).admin) == 4, "it was enabled by an operator"
    assert shown(after(at_start(disabled=True), admin=5, op=0)) == "MAINT"


def test_an_agent_that_was_switched_off_stays_so() -> None:
    assert not after(at_start(agent=True), agent_bits=18).agent.enabled
    assert after(at_start(agent=True), agent_bits=22).agent.enabled


def test_what_was_known_of_checks_is_shown_again() -> None:
    state = after(at_start(), status=17, op=0)
    assert (state.check.last.status.name, state.down_transitions, state.downtime(50.0)) == ("L7STS", 1, 100.0)


CONFIGURATION = """
global
    server-state-base {folder}
    server-state-file all.state
defaults
    timeout connect 1s
    timeout client 1s
    timeout server 1s
    load-server-state-from-file global
listen a
    bind 127.0.0.1:{port}
    server s 127.0.0.1:1 check inter 60s weight 10
    server moved nowhere.invalid:1 init-addr last,libc
    server new 127.0.0.1:2 check inter 60s
backend own
    load-server-state-from-file local
    server o 127.0.0.1:1 check inter 60s
backend named
    load-server-state-from-file local
    server-state-file-name other.state
    server o 127.0.0.1:1 check inter 60s
backend none
    load-server-state-from-file none
    server o 127.0.0.1:1 check inter 60s
"""


def test_states_are_read_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "all.state").write_text(
        HEADER
        + line(op=0, health=0, iweight=10, uweight=3, port=7)
        + "\n"
        + line(srv="moved", addr="192.0.2.9", fqdn="nowhere.invalid")
        + "\n"
        + line(be="none", srv="o", op=0)
        + "\n"
    )
    (tmp_path / "own").write_text(HEADER + line(be="own", srv="o", admin=8) + "\n")
    (tmp_path / "other.state").write_text(HEADER + line(be="named", srv="o", op=77) + "\n")
    file = tmp_path / "lab.cfg"
    file.write_text(CONFIGURATION.format(folder=tmp_path, port=1))
    loaded = load([file])
    assert [warning.message for warning in loaded.warnings if "server-state" in warning.message] == [
        "server-state application failed for server 'named/o', invalid srv_op_state value '77'"
    ]
    with RunningBalancer(replace(loaded.configuration, frontends={}, order=("a", "own", "named", "none"))) as balancer:
        rows = {row.name: row for row in balancer.snapshot().proxy("a").servers}
        assert (rows["s"].status, rows["s"].weight, rows["s"].address) == ("DOWN", 3, "127.0.0.1:7")
        assert 100 <= rows["s"].last_change < 110
        assert (rows["moved"].address, rows["new"].status) == ("192.0.2.9:5432", "UP 1/3")
        assert balancer.snapshot().proxy("own").server("o").status == "DRAIN"
        assert balancer.snapshot().proxy("named").server("o").status == "UP 1/3"
        assert balancer.snapshot().proxy("none").server("o").status == "UP 1/3"
        assert balancer.line("Server a/s is DOWN, changed from server-state after a reload. 2 active")[0] == "alert"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("missing", None, "config: Can't open global server state file '{}': No such file or directory"),
        ("empty", "", "config: Empty global server state file '{}'."),
        ("wrong", "9\n", "config: Can't get version of the global server state file '{}'."),
        ("spoilt", f"{HEADER}x\n", "config: corrupted global server state file '{}' at line 2."),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_costs_nothing_else(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    path = tmp_path / "all.state"
    if text is not None:
        path.write_text(text)
    file = tmp_path / "lab.cfg"
    file.write_text(CONFIGURATION.format(folder=tmp_path, port=1).replace("last,libc", "none"))
    messages = [warning.message for warning in load([file]).warnings]
    assert message.format(path) in messages
    assert InitState.NONE is load([file]).configuration.backends["a"].servers[0].init_state


def test_marks_of_a_state_file_are_those_of_haproxy() -> None:
    assert int(Admin.FORCED_MAINT | Admin.CONFIG_MAINT) == 5

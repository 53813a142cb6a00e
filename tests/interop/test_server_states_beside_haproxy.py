"""Servers come, go, drain and rest beside a real HAProxy: the same states, numbers, answers and lines to syslog."""

from __future__ import annotations

import re
import select
import socket
import time
from pathlib import Path

import pytest
from balancer_process import CheckTarget
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end
from two_balancers import Watched, both, seen

pytestmark = pytest.mark.interop

TRANSCRIPT = """
disable server a/plain
set server a/plain state drain
set server a/plain state ready
set server a/plain health down
set server a/plain state ready
disable server a/plain
enable server a/plain
set server a/plain health stopping
set server a/plain health down
set server a/plain health up
set server a/checked state drain
set server a/checked state maint
set server a/tracker state maint
set server a/checked state ready
set server a/tracker state ready
set server a/tracker health up
set server a/off state ready
set server a/off state maint
set weight a/plain 50%
get weight a/plain
set weight a/plain 0
set weight a/plain 100%
set weight a/plain 300
set server a/spare health down
set server a/checked health down
set server a/spare health up
set server a/plain health down
set server a/plain weight 26000%
set server a/plain addr 127.0.0.2 port 9
set server a/plain addr 127.0.0.2 port 9
set server a/plain addr 127.0.0.2
set server a/plain addr x
set server a/plain addr
set server a/plain agent up
set server a/plain agent-send x
set server a/plain check-port 9
set server a/plain check-addr
enable agent a/plain
enable health a/plain
disable health a/checked
enable health a/checked
set server a/nobody state maint
set server b/plain state maint
set server a/plain state bogus
set server a/plain health bogus
"""


def test_every_command_to_a_server_leads_to_the_same_state_answer_and_lines(tmp_path: Path) -> None:
    body = """
listen a
    bind 127.0.0.1:{port}
    server plain 127.0.0.1:1 weight 2
    server checked 127.0.0.1:CHECKED check inter 60s
    server tracker 127.0.0.1:1 track a/checked
    server off 127.0.0.1:1 disabled
    server spare 127.0.0.1:1 backup
"""
    with ScriptedServer(echo()) as peer, both(tmp_path, body.replace("CHECKED", str(peer.port))) as programs:
        for program in programs:
            program.wait_for("a/checked", check_status="L4OK")
        for command in TRANSCRIPT.strip().splitlines():
            ours, real = ((program.ask(command).strip(), program.shown()) for program in programs)
            assert ours == real, command
        for program in programs:
            program.ask("disable server a/spare")
        assert seen(programs, lambda program: program.lines("Server a/spare is going DOWN"))


def test_a_scripted_server_comes_and_goes_in_the_same_steps(tmp_path: Path) -> None:
    body = """
backend a
    option httpchk
    http-check expect status 200
    server s1 127.0.0.1:1 check port CHECK inter 300ms fastinter 100ms downinter 200ms rise 2 fall 3 OPTIONS
    server s2 127.0.0.1:1 backup
"""
    steps = ((200, "UP", "200"), (503, "DOWN", "503"), (200, "UP", "200"))
    for options in ("", "on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions"):
        with CheckTarget() as target:
            text = body.replace("CHECK", str(target.port)).replace("OPTIONS", options)
            if options:
                text = text.replace("option httpchk", "option httpchk\n    option log-health-checks")
            folder = tmp_path / ("with" if options else "without")
            folder.mkdir()
            with both(folder, text) as programs:
                for status, word, code in steps:
                    target.status = status
                    for program in programs:
                        program.wait_for("a/s1", status=word, check_code=code)
                    seen(programs, lambda program: program.shown())
                seen(programs, lambda program: program.lines("Server a/s1 is UP"))


def states_over_time(program: Watched, server: str, last: str) -> list[tuple[str, str]]:
    """Return the status and the health that a server shows one after the other, each once, up to ``last``."""
    found: list[tuple[str, str]] = []
    end = time.monotonic() + PATIENCE
    while not found or found[-1][0] != last:
        assert time.monotonic() < end, found
        row = program.rows()[server]
        if not found or found[-1] != (row["status"], row["check_health"]):
            found.append((row["status"], row["check_health"]))
        select.select([], [], [], 0.01)
    return found


def test_fastinter_and_downinter_show_each_step_on_the_way_down_and_up(tmp_path: Path) -> None:
    body = """
backend a
    option httpchk
    server s1 127.0.0.1:1 check port CHECK inter 500ms fastinter 200ms downinter 300ms rise 3 fall 3
"""
    with CheckTarget() as target, both(tmp_path, body.replace("CHECK", str(target.port))) as programs:
        for program in programs:
            program.wait_for("a/s1", status="UP", check_status="L7OK")
        began = time.monotonic()
        target.status = 503
        down = [states_over_time(program, "a/s1", "DOWN") for program in programs]
        assert time.monotonic() - began < 5
        assert down[0] == [("UP", "5"), ("UP 2/3", "4"), ("UP 1/3", "3"), ("DOWN", "0")]
        target.status = 200
        up = [states_over_time(program, "a/s1", "UP") for program in programs]
        assert up[0] == [("DOWN", "0"), ("DOWN 1/3", "1"), ("DOWN 2/3", "2"), ("UP", "5")]
        for program in programs:
            program.wait_for("a/s1", status="UP")


def test_slowstart_lets_the_weight_grow_in_the_same_steps(tmp_path: Path) -> None:
    body = """
listen a
    bind 127.0.0.1:{port}
    server s1 127.0.0.1:1 weight 100 slowstart 3s
    server s2 127.0.0.1:1 weight 100
"""
    with both(tmp_path, body) as programs:
        assert [program.rows()["a/s1"]["weight"] for program in programs] == ["100", "100"]
        for program in programs:
            program.ask("disable server a/s1")
            program.ask("enable server a/s1")
        steps: list[list[tuple[str, str]]] = [[], []]
        end = time.monotonic() + PATIENCE
        while not all(found and found[-1] == ("100", "") for found in steps):
            assert time.monotonic() < end, steps
            for program, found in zip(programs, steps, strict=True):
                row = program.rows()["a/s1"]
                if (row["weight"], row["throttle"]) not in found:
                    found.append((row["weight"], row["throttle"]))
            select.select([], [], [], 0.05)
        assert steps[0] == steps[1]
        assert [weight for weight, _ in steps[0]] == ["7", "38", "69", "100"]
        assert seen(programs, lambda program: program.lines("Server a/s1 is UP."))


@pytest.mark.parametrize("on_error", ["mark-down", "fail-check", "sudden-death"])
def test_observed_errors_have_the_same_consequence(tmp_path: Path, on_error: str) -> None:
    body = f"""
listen a
    bind 127.0.0.1:{{port}}
    no log
    server s1 127.0.0.1:DEAD check port CHECK inter 60s observe layer4 error-limit 2 on-error {on_error}
"""
    with ScriptedServer(echo()) as health:
        text = body.replace("DEAD", str(free_port())).replace("CHECK", str(health.port))
        with both(tmp_path, text) as programs:
            for program in programs:
                program.wait_for("a/s1", check_status="L4OK")
                for _ in range(4):
                    with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as client:
                        assert read_to_end(client) == b""
                program.wait_for("a/s1", check_status="HANA")
            seen(programs, lambda program: program.shown())


def test_sessions_end_when_their_server_is_marked_down_and_backups_when_it_is_up_again(tmp_path: Path) -> None:
    body = """
listen a
    bind 127.0.0.1:{port}
    option tcplog
    server s1 127.0.0.1:MAIN on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions
    server s2 127.0.0.1:SPARE backup
"""
    with ScriptedServer(echo(b"main!\n")) as main, ScriptedServer(echo(b"spare\n")) as spare:
        text = body.replace("MAIN", str(main.port)).replace("SPARE", str(spare.port))
        with both(tmp_path, text) as programs:
            flags = []
            for program in programs:
                for command, greeting in (("maint", b"main!\n"), ("ready", b"spare\n")):
                    with socket.create_connection(("127.0.0.1", program.port), PATIENCE) as client:
                        assert read_exactly(client, 6) == greeting
                        program.ask(f"set server a/s1 state {command}")
                        assert read_to_end(client) == b""
                lines = program.lines("a a/s2 ")
                flags.append([re.sub(r".* a a/(s\d) \S+ 6 (\S\S) .*", r"\1 \2", line) for line in lines])
            assert [line.replace("D-", "DC").replace("U-", "UC") for line in sorted(flags[1])] == sorted(flags[0])


def test_each_program_goes_on_from_the_state_file_of_the_other(tmp_path: Path) -> None:
    body = """
backend a
    load-server-state-from-file global
    server up 127.0.0.1:1 check inter 60s port CHECK
    server down 127.0.0.1:1 check inter 60s port CHECK
    server maint 127.0.0.1:1 check inter 60s port CHECK
    server drain 127.0.0.1:1 weight 5
    server heavy 127.0.0.1:1 weight 5
    server enabled 127.0.0.1:1 disabled
    server off 127.0.0.1:1 disabled
"""
    commands = (
        "set server a/down health down",
        "set server a/maint state maint",
        "set server a/drain state drain",
        "set weight a/heavy 7",
        "enable server a/enabled",
    )
    with ScriptedServer(echo()) as peer:
        text = body.replace("CHECK", str(peer.port))
        (tmp_path / "first").mkdir()
        with both(tmp_path / "first", text, f"server-state-file {tmp_path}/none") as programs:
            for program in programs:
                program.wait_for("a/up", check_status="L4OK")
                for command in commands:
                    program.ask(command)
            files = [program.ask("show servers state") for program in programs]
            without_age = [re.sub(r"(?m)^((?:\S+ ){9})\d+ ", r"\1N ", file) for file in files]
            assert without_age[0].splitlines() == without_age[1].splitlines()
            wanted = seen(programs, lambda program: program.shown())
        for number, file in enumerate(files):
            saved = tmp_path / f"state{number}"
            saved.write_text(file)
            (tmp_path / f"again{number}").mkdir()
            with both(tmp_path / f"again{number}", text, f"server-state-file {saved}") as programs:
                now = seen(programs, lambda program: {name: row[:2] for name, row in program.shown().items()})
                assert isinstance(wanted, dict)
                assert now == {name: row[:2] for name, row in wanted.items()}

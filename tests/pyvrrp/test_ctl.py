"""``pyvrrp ctl``: what it asks, what it prints, and how it ends."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hakit.control import ControlServer
from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp import ctl, ctl_text

STATUS: Value = {
    "instances": [
        {
            "name": "VI_1", "state": "BACKUP", "base_priority": 100, "effective_priority": 40, "age": 200.0,
            "master": "10.0.0.2", "faults": [], "peers": [{"address": "10.0.0.2", "rival": False}],
        },
        {
            "name": "VI_2", "state": "FAULT", "base_priority": 90, "effective_priority": 90, "age": 4.25,
            "master": None, "faults": ["interface eth0 down", "chk"], "peers": [{"address": "10.0.0.9", "rival": True}],
        },
    ],
    "trackers": [
        {
            "name": "chk", "kind": "track_script", "reading": False, "runs": 7, "timeouts": 1, "last_duration": 0.0031,
            "mean_duration": 0.002, "max_duration": 1.5,
        }
    ],
}  # fmt: skip


def answer(words: Sequence[str]) -> Value:
    return STATUS


async def slowly(words: Sequence[str]) -> Value:
    await asyncio.sleep(0)
    if words == ["on"]:
        return {"done": "maintenance is on"}
    raise ValueError("maintenance is on or off")


def refuse(words: Sequence[str]) -> Value:
    raise OSError(28, "No space left on device")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """A control socket with made-up answers, served by a loop of its own."""
    path, up, loops = tmp_path / "control.sock", threading.Event(), []
    stop = asyncio.Event()

    async def serve() -> None:
        hub = EventHub("pyvrrp")
        hub.publish("ready", "Startup complete")
        hub.publish_for("VI_1", "transition", "no advertisement", **{"from": "BACKUP", "to": "MASTER"})
        commands = {"status": answer, "maintenance": slowly, "reload": refuse, "dump": lambda _: {"text": "A\nB\n"}}
        server = ControlServer(path, hub, commands)
        await server.start()
        loops.append(asyncio.get_running_loop())
        up.set()
        await stop.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert up.wait(5)
    yield path
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(5)


def said(path: Path, *words: str) -> int:
    return ctl.main(["--control", str(path), *words])


def test_status_is_a_table_for_people(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(daemon, "status") == 0
    assert capsys.readouterr().out.splitlines() == [
        "INSTANCE  STATE   PRIORITY     SINCE       MASTER    FAULTS",
        "VI_1      BACKUP  40 (of 100)  3 min 20 s  10.0.0.2  -",
        "VI_2      FAULT   90           4.2 s       -         interface eth0 down, chk, split brain with 10.0.0.9",
        "",
        "TRACKER  KIND    SAYS    RUNS  TIMEOUTS  LAST    MEAN    MAX",
        "chk      script  failed  7     1         3.1 ms  2.0 ms  1.50 s",
    ]


def test_json_is_what_the_daemon_answered(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(daemon, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == STATUS


def test_a_command_that_is_carried_out_says_so(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(daemon, "maintenance", "on") == 0
    assert capsys.readouterr().out == "maintenance is on\n"


def test_a_dump_is_printed_as_it_is(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(daemon, "dump", "data") == 0
    assert capsys.readouterr().out == "A\nB\n"


def test_a_refusal_is_one_line_and_exit_status_1(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(daemon, "maintenance", "maybe") == 1
    assert capsys.readouterr().err == "pyvrrp ctl: maintenance is on or off\n"
    assert said(daemon, "reload") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert said(daemon, "promote", "VI_9") == 1
    assert "unknown command 'promote VI_9'" in capsys.readouterr().err


def test_recent_events_are_lines_and_end(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(daemon, "events") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("pyvrrp       ready                    Startup complete")
    assert second.endswith("VI_1         transition               BACKUP -> MASTER: no advertisement")


def test_following_events_ends_with_the_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "control.sock"

    async def tell_and_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"events\n"
        for name in ("ready", "stopped"):
            writer.write(f'{{"at": 1.0, "source": "pyvrrp", "event": "{name}"}}\n'.encode())
        writer.close()

    async def scene() -> None:
        server = await asyncio.start_unix_server(tell_and_end, path)
        assert await asyncio.to_thread(said, path, "events", "--follow", "--json") == 4
        server.close()

    asyncio.run(scene())
    captured = capsys.readouterr()
    assert [json.loads(line)["event"] for line in captured.out.splitlines()] == ["ready", "stopped"]
    assert captured.err == "pyvrrp ctl: the daemon has ended\n"


@pytest.mark.parametrize("words", [["reboot"], ["why"], ["status", "VI_1"], ["why", "VI_1", "--follow"], []])
def test_a_command_that_makes_no_sense_is_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl.main(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("pyvrrp ctl: ")


def test_where_no_daemon_is_exit_status_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(tmp_path / "none", "status") == 4
    assert said(tmp_path / "none", "events") == 4
    assert capsys.readouterr().err.count("no daemon answers at") == 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3700, "1 h 1 min"), (90000.0, "1 d 1 h")],
)
def test_durations_read_as_people_say_them(value: float | None, text: str) -> None:
    assert ctl_text.duration(value) == text


def test_why_is_told_in_sentences() -> None:
    text = ctl_text.why({
        "instance": "VI_1", "state": "BACKUP", "age": 3.0, "because": "a master was heard", "rule": "RFC 3768 6.4.2",
        "base_priority": 100, "effective_priority": 40, "faults": [], "master": "10.0.0.2", "master_priority": 90,
        "trackers": [{
            "name": "chk", "kind": "track_script", "weight": -60, "reverse": False, "reading": False, "adds": -60,
        }],
        "other_masters": ["10.0.0.3"],
        "would_change": ["if chk worked, its priority would be 100 instead of 40"],
    })  # fmt: skip
    assert text.splitlines() == [
        "VI_1 is BACKUP since 3.0 s: a master was heard [RFC 3768 6.4.2]",
        "Priority 40, configured 100",
        "  chk (track_script, weight -60) has failed, -60",
        "Split brain: 10.0.0.3 is heard as master, too",
        "Master is 10.0.0.2, priority 90",
        "What would change it:",
        "  if chk worked, its priority would be 100 instead of 40",
    ]

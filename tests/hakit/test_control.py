"""The control socket: a line in, one JSON document out, or the stream of events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from hakit import control
from hakit.control import ControlServer, request
from hakit.events import EventHub
from hakit.transcript import Value

Scene = Callable[[ControlServer, EventHub], Awaitable[None]]


def status(words: Sequence[str]) -> Value:
    if words == ["bad"]:
        raise ValueError("no such instance")
    return {"state": "MASTER", "words": list(words)}


def play(path: Path, scene: Scene) -> None:
    async def run() -> None:
        hub = EventHub("pyvrrp")
        server = ControlServer(path, hub, {"status": status})
        await server.start()
        try:
            await asyncio.wait_for(scene(server, hub), 10)
        finally:
            await server.stop()

    asyncio.run(run())


def test_a_command_is_answered_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control.sock"

    async def scene(server: ControlServer, hub: EventHub) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asyncio.to_thread(request, path, "status", "VI_1") == {"state": "MASTER", "words": ["VI_1"]}
        assert await asyncio.to_thread(request, path, "status", "bad") == {"error": "no such instance"}
        unknown = {"error": "unknown command 'reboot now'", "commands": ["status", "events"]}
        assert await asyncio.to_thread(request, path, "reboot", "now") == unknown
        assert await asyncio.to_thread(request, path) == {**unknown, "error": "unknown command ''"}

    play(path, scene)
    assert not path.exists()


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_nobody_but_its_owner_may_connect_whatever_the_umask_is(tmp_path: Path, umask: int) -> None:
    async def mode() -> int:
        server = ControlServer(tmp_path / "c", EventHub("test"), {})
        await server.start()
        known = stat.S_IMODE((tmp_path / "c").stat().st_mode)
        await server.stop()
        return known

    before = os.umask(umask)
    try:
        assert asyncio.run(mode()) == 0o600
    finally:
        os.umask(before)


def test_events_come_as_they_happen_behind_those_that_were(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def scene(server: ControlServer, hub: EventHub) -> None:
        hub.publish("ready")
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"events\n")
        assert json.loads(await reader.readline())["event"] == "ready"
        hub.publish("transition", to="MASTER")
        assert json.loads(await reader.readline())["to"] == "MASTER"
        writer.close()
        await writer.wait_closed()

    play(path, scene)


def test_a_reader_that_is_too_slow_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "control.sock"
    monkeypatch.setattr(control, "MAX_BACKLOG", 3)

    async def scene(server: ControlServer, hub: EventHub) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"events\n")
        hub.publish("ready")
        await reader.readline()
        for number in range(10):
            hub.publish("n", number=number)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    play(path, scene)


def test_a_reader_that_never_reads_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "control.sock"
    monkeypatch.setattr(control, "MAX_BACKLOG", 3)

    async def scene(server: ControlServer, hub: EventHub) -> None:
        hub.publish("ready")
        reader, writer = await asyncio.open_unix_connection(path, limit=200)
        writer.write(b"events\n")
        await reader.readline()
        while hub._listeners:
            hub.publish("n", "x" * 10_000)
            await asyncio.sleep(0)
        writer.close()

    play(path, scene)


def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def scene(server: ControlServer, hub: EventHub) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * (control.MAX_REQUEST * 3))
        with contextlib.suppress(ConnectionResetError):  # the kernel's word for what was not read
            assert await reader.read() == b""
        writer.close()

    play(path, scene)


def test_a_socket_that_nobody_answers_is_replaced_and_one_that_is_answered_is_not(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    async def scene(server: ControlServer, hub: EventHub) -> None:
        with pytest.raises(FileExistsError, match="another instance is running"):
            await ControlServer(path, hub, {}).start()
        assert await asyncio.to_thread(request, path, "status") == {"state": "MASTER", "words": []}

    play(path, scene)


def test_a_server_that_never_started_stops_without_a_word(tmp_path: Path) -> None:
    asyncio.run(ControlServer(tmp_path / "control.sock", EventHub("a"), {}).stop())


def test_asking_where_no_daemon_is_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        request(tmp_path / "none.sock", "status")


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")

    async def start() -> None:
        await ControlServer(path, EventHub("pyvrrp"), {}).start()

    with pytest.raises(FileExistsError, match="is no socket"):
        asyncio.run(start())
    assert path.read_text() == "data"


def test_what_a_listener_says_is_read_and_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def scene(server: ControlServer, hub: EventHub) -> None:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"events\n" + bytes(4 * control.MAX_REQUEST))
        await writer.drain()
        hub.publish("ready")
        assert json.loads(await reader.readline())["event"] == "ready"
        writer.close()

    play(path, scene)


def test_passing_events_are_told_and_not_remembered() -> None:
    hub = EventHub("pyvrrp", passing={"advertised"})
    told: list[str] = []
    hub.listen(lambda event: told.append(event.event))
    hub.publish("advertised")
    hub.publish("transition")
    assert told == ["advertised", "transition"]
    assert [event.event for event in hub.recent] == ["transition"]


def test_a_command_may_take_its_time_and_may_fail(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def slow(words: Sequence[str]) -> Value:
        await asyncio.sleep(0)
        return "done"

    def full(words: Sequence[str]) -> Value:
        raise OSError(28, "No space left on device")

    async def scene() -> None:
        server = ControlServer(path, EventHub("pyvrrp"), {"slow": slow, "full": full})
        await server.start()
        assert await asyncio.to_thread(request, path, "slow") == "done"
        assert await asyncio.to_thread(request, path, "full") == {"error": "[Errno 28] No space left on device"}
        await server.stop()

    asyncio.run(scene())


def test_recent_events_come_and_that_is_all(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def scene(server: ControlServer, hub: EventHub) -> None:
        hub.publish("ready")
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"events recent\n")
        lines = (await reader.read()).splitlines()
        assert [json.loads(line)["event"] for line in lines] == ["ready"]
        writer.close()

    play(path, scene)

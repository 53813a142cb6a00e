"""Who is told of what: notify scripts with keepalived's arguments, notify pipes with its lines, in one order."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from hakit.events import EventHub
from hakit.transcript import Event
from pyvrrp.fifo import Fifos
from pyvrrp.model import Fifo, GlobalSettings, Instance, NotifyScripts, Script, SyncGroup
from pyvrrp.notifier import Notifier
from pyvrrp.protocol.effects import NotifyState

STATES = (NotifyState.BACKUP, NotifyState.MASTER, NotifyState.FAULT, NotifyState.STOP, NotifyState.DELETED)


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def quiet(event: str, reason: str = "", **values: object) -> None:
    return


def run(story: Callable[[], Coroutine[object, object, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 20))


def scripts(told: Path) -> NotifyScripts:
    """Every kind of notify script, each writing its words."""
    writes = executable(told.parent / "writes", f'echo "$@" >> {told}')

    def script(word: str) -> Script:
        return Script((str(writes), word))

    return NotifyScripts(
        master=script("master"),
        backup=script("backup"),
        fault=script("fault"),
        stop=script("stop"),
        deleted=script("deleted"),
        master_rx_lower_pri=script("lower"),
        any=script("any"),
    )


async def notified(notifier: Notifier, *states: NotifyState, priority: int = 100) -> None:
    task = asyncio.ensure_future(notifier.run())
    for state in states:
        notifier.notify(state, priority)
    await notifier.finish()
    task.cancel()


def test_the_script_of_a_state_gets_no_arguments_and_notify_gets_four(tmp_path: Path) -> None:
    told = tmp_path / "told"
    instance = Instance("VI_1", "eth0", 50, notify=scripts(told))
    run(lambda: notified(Notifier(instance, quiet, security=False), *STATES))
    assert told.read_text().splitlines() == [
        "backup", "any INSTANCE VI_1 BACKUP 100",
        "master", "any INSTANCE VI_1 MASTER 100",
        "fault", "any INSTANCE VI_1 FAULT 100",
        "stop", "any INSTANCE VI_1 STOP 100",
        "deleted", "any INSTANCE VI_1 DELETED 100",
    ]  # fmt: skip


def test_a_group_s_priority_is_0(tmp_path: Path) -> None:
    told = tmp_path / "told"
    group = SyncGroup("G1", ("V1", "V2"), notify=scripts(told))
    run(lambda: notified(Notifier(group, quiet, security=False), NotifyState.MASTER, priority=0))
    assert told.read_text().splitlines() == ["master", "any GROUP G1 MASTER 0"]


def test_a_lower_advertisement_has_a_script_of_its_own_and_notify_is_not_told(tmp_path: Path) -> None:
    told = tmp_path / "told"
    instance = Instance("VI_1", "eth0", 50, notify=scripts(told))
    run(lambda: notified(Notifier(instance, quiet, security=False), NotifyState.MASTER_RX_LOWER_PRI))
    assert told.read_text().splitlines() == ["lower"]


def test_a_script_finds_the_change_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(os.environ):
        monkeypatch.delenv(name)
    told = tmp_path / "told"
    writes = executable(tmp_path / "env", f"env | grep -v -e PWD -e SHLVL -e '^_=' | sort >> {told}")
    instance = Instance("VI_1", "eth0", 50, notify=NotifyScripts(backup=Script((str(writes),))))
    run(lambda: notified(Notifier(instance, quiet, security=False), NotifyState.MASTER, NotifyState.BACKUP))
    assert told.read_text().splitlines() == [
        "LANG=C.UTF-8",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "VRRP_EVENT=2",
        "VRRP_KIND=INSTANCE",
        "VRRP_NAME=VI_1",
        "VRRP_PRIORITY=100",
        "VRRP_STATE=BACKUP",
    ]


def test_after_a_reload_the_new_scripts_are_told_and_the_old_ones_of_what_was_before(tmp_path: Path) -> None:
    told = tmp_path / "told"
    before = Instance("VI_1", "eth0", 50, notify=scripts(told))
    other = executable(tmp_path / "other", f"echo other >> {told}")
    after = Instance("VI_1", "eth0", 50, notify=NotifyScripts(backup=Script((str(other),))))

    async def story() -> None:
        notifier = Notifier(before, quiet, security=False)
        notifier.notify(NotifyState.MASTER, 100)
        notifier.reconfigured(after, security=False)
        await notified(notifier, NotifyState.BACKUP)

    run(story)
    assert told.read_text().splitlines() == ["master", "any INSTANCE VI_1 MASTER 100", "other"]


def test_scripts_have_one_second_at_the_stop_and_are_killed_then(tmp_path: Path) -> None:
    hangs = executable(tmp_path / "hangs", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    instance = Instance("VI_1", "eth0", 50, notify=NotifyScripts(stop=Script((str(hangs),))))
    seen: list[str] = []

    async def story() -> None:
        notifier = Notifier(instance, lambda event, reason="", **_: seen.append(reason), security=False)
        task = asyncio.ensure_future(notifier.run())
        notifier.notify(NotifyState.STOP, 100)
        begun = asyncio.get_running_loop().time()
        await notifier.finish()
        assert 0.9 < asyncio.get_running_loop().time() - begun < 3
        task.cancel()
        await asyncio.wait({task})

    run(story)
    assert seen == ["notify scripts were still running 1 s after the stop"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# --- Pipes ----------------------------------------------------------------------------------------------------------


class Reader:
    """Reads a pipe as a program of somebody else would."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def lines(self) -> list[str]:
        read = b""
        while True:
            try:
                read += os.read(self.descriptor, 65536)
            except BlockingIOError:
                return read.decode().splitlines()


def hub() -> tuple[EventHub, list[Event]]:
    made, events = EventHub("pyvrrp"), list[Event]()
    made.listen(events.append)
    return made, events


def test_instances_and_groups_write_keepalived_s_lines(tmp_path: Path) -> None:
    path = tmp_path / "fifo"

    async def story() -> None:
        told, _ = hub()
        fifos = Fifos(told)
        fifos.apply(GlobalSettings(vrrp_fifo=Fifo(str(path))))
        reader = Reader(path)
        instance = Notifier(Instance("VI_1", "eth0", 50), quiet, security=False, fifos=fifos)
        changes = Notifier(
            Instance("VI_2", "eth0", 51, notify_priority_changes=True), quiet, security=False, fifos=fifos
        )
        group = Notifier(SyncGroup("G1", ("VI_1",)), quiet, security=False, fifos=fifos)
        for state in (*STATES, NotifyState.MASTER_RX_LOWER_PRI, NotifyState.MASTER_PRIORITY):
            instance.notify(state, 100)
        changes.notify(NotifyState.MASTER_PRIORITY, 90)
        changes.notify(NotifyState.BACKUP_PRIORITY, 80)
        group.notify(NotifyState.MASTER, 0)
        assert reader.lines() == [
            'INSTANCE "VI_1" BACKUP 100',
            'INSTANCE "VI_1" MASTER 100',
            'INSTANCE "VI_1" FAULT 100',
            'INSTANCE "VI_1" STOP 100',
            'INSTANCE "VI_1" DELETED 100',
            'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 100',
            'INSTANCE "VI_2" MASTER_PRIORITY 90',
            'INSTANCE "VI_2" BACKUP_PRIORITY 80',
            'GROUP "G1" MASTER 0',
        ]
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        await fifos.finish()

    before = os.umask(0o177)
    try:
        run(story)
    finally:
        os.umask(before)
    assert not path.exists()  # it was ours


def test_both_pipes_get_every_line(tmp_path: Path) -> None:
    async def story() -> None:
        fifos = Fifos(hub()[0])
        fifos.apply(GlobalSettings(fifo=Fifo(str(tmp_path / "all")), vrrp_fifo=Fifo(str(tmp_path / "vrrp"))))
        readers = [Reader(tmp_path / name) for name in ("all", "vrrp")]
        fifos.tell("INSTANCE", "VI_1", "MASTER", 100)
        assert [reader.lines() for reader in readers] == [['INSTANCE "VI_1" MASTER 100']] * 2
        await fifos.finish()

    run(story)


def test_a_pipe_that_was_there_is_used_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path, 0o600)

    async def story() -> None:
        fifos = Fifos(hub()[0])
        fifos.apply(GlobalSettings(fifo=Fifo(str(path))))
        await fifos.finish()

    run(story)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_pipe_is_left_alone_and_told(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / "fifo", tmp_path / "precious"
    precious.write_text("data")
    if kind == "link":
        path.symlink_to(precious)
    else:
        path.write_text("data")

    async def story() -> None:
        told, events = hub()
        fifos = Fifos(told)
        fifos.apply(GlobalSettings(fifo=Fifo(str(path))))
        fifos.tell("INSTANCE", "VI_1", "MASTER", 100)
        await fifos.finish()
        assert [event.event for event in events] == ["fifo_failed"]
        assert events[0].reason.startswith(f"notify fifo {path} cannot be used: ")

    run(story)
    assert path.read_text() == precious.read_text() == "data"


def test_lines_that_nobody_reads_are_dropped_counted_and_told(tmp_path: Path) -> None:
    path = tmp_path / "fifo"

    async def story() -> None:
        told, events = hub()
        fifos = Fifos(told)
        fifos.apply(GlobalSettings(fifo=Fifo(str(path))))
        for _ in range(4000):  # more than a pipe holds
            fifos.tell("INSTANCE", "VI_1", "MASTER", 100)
        assert fifos.dropped > 0
        assert [event.reason for event in events] == [f"notify fifo {path}: lines are lost, nobody reads it"]
        lost = fifos.dropped
        reader = Reader(path)
        assert len(reader.lines()) == 4000 - lost  # those that were taken are whole
        fifos.tell("INSTANCE", "VI_1", "BACKUP", 100)
        assert reader.lines() == ['INSTANCE "VI_1" BACKUP 100']
        assert events[1].reason == f"notify fifo {path}: {lost} lines were lost"
        await fifos.finish()

    run(story)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - another process tells us by a file alone
        await asyncio.sleep(0.01)


def test_one_reader_gets_the_path_as_its_last_argument_outlives_reloads_and_ends_with_us(tmp_path: Path) -> None:
    path, started = tmp_path / "fifo", tmp_path / "started"
    read = executable(tmp_path / "read", f'echo "$$ $*" >> {started}\nexec cat "$2" >> {tmp_path}/lines')
    same = Fifo(str(path), Script((str(read), "one")))
    settings = GlobalSettings(fifo=same, script_security=False)
    changed = GlobalSettings(fifo=Fifo(str(path), Script((str(read), "two"))), script_security=False)

    async def story() -> None:
        fifos = Fifos(hub()[0])
        fifos.apply(settings)
        await until(lambda: started.exists() and started.read_text().count("\n") == 1)
        fifos.apply(settings)  # a reload that changes nothing
        fifos.tell("INSTANCE", "VI_1", "MASTER", 100)
        await until(lambda: (tmp_path / "lines").exists() and "MASTER" in (tmp_path / "lines").read_text())
        fifos.apply(changed)
        await until(lambda: started.read_text().count("\n") == 2)
        first, second = (line.split() for line in started.read_text().splitlines())
        assert (first[1:], second[1:]) == (["one", str(path)], ["two", str(path)])
        with pytest.raises(ProcessLookupError):
            os.kill(int(first[0]), 0)  # gone before its successor came
        await fifos.finish()
        with pytest.raises(ProcessLookupError):
            os.kill(int(second[0]), 0)

    run(story)
    assert not path.exists()


def test_a_reader_that_ends_by_itself_or_is_insecure_is_told(tmp_path: Path) -> None:
    ends = executable(tmp_path / "ends", "exit 3")

    async def story(*, security: bool, expected: str) -> None:
        told, events = hub()
        fifos = Fifos(told)
        fifos.apply(GlobalSettings(fifo=Fifo(str(tmp_path / "fifo"), Script((str(ends),))), script_security=security))
        await until(lambda: bool(events))
        await fifos.finish()
        assert expected in events[0].reason

    run(lambda: story(security=False, expected=f"notify fifo script {ends} exited with status 3: nobody reads"))
    ends.chmod(0o777)
    run(lambda: story(security=True, expected=f"notify fifo script {ends} was not run: "))

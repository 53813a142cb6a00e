"""Scripts around the machine: counted by rise and fall, run one after the other, fail-closed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from hakit.events import EventHub
from hakit.transcript import Value
from halab.wait import poll
from pyvrrp.daemon import finished_within
from pyvrrp.model import Instance, NotifyScripts, Script, TrackScript
from pyvrrp.notifier import Notifier
from pyvrrp.protocol.effects import NotifyState
from pyvrrp.trackers import Key, ScriptTracker


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


class Watcher:
    """Follows one tracked script, and can wait for its next change."""

    def __init__(self, script: TrackScript, *, security: bool = False) -> None:
        self.changes: asyncio.Queue[bool | None] = asyncio.Queue()
        self.tracker = ScriptTracker(script, EventHub("pyvrrp"), self._changed, security=security)

    def _changed(self, key: Key) -> None:
        self.changes.put_nowait(self.tracker.works)


def test_the_first_result_counts_at_once_and_later_ones_by_rise_and_fall(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    check = executable(tmp_path / "check", f"echo run >> {runs}\ntest ! -e {tmp_path}/fail")
    script = TrackScript("check", Script((str(check),)), interval=0.05, rise=2, fall=3)

    async def story() -> list[int]:
        watcher = Watcher(script)
        assert watcher.tracker.works is None
        task = asyncio.ensure_future(watcher.tracker.run())
        counts = []
        assert await watcher.changes.get() is True
        counts.append(len(runs.read_text().splitlines()))
        (tmp_path / "fail").touch()
        before = len(runs.read_text().splitlines())
        assert await watcher.changes.get() is False
        counts.append(len(runs.read_text().splitlines()) - before)
        task.cancel()
        return counts

    first, until_down = asyncio.run(asyncio.wait_for(story(), 20))
    assert first == 1
    assert until_down in {3, 4}  # a run may have been under way when the file appeared


def test_an_insecure_script_has_failed_is_never_run_and_works_once_it_is_mended(tmp_path: Path) -> None:
    check = executable(tmp_path / "check", f"touch {tmp_path}/ran")
    check.chmod(0o777)

    async def story() -> str:
        watcher = Watcher(TrackScript("check", Script((str(check),)), interval=0.05), security=True)
        task = asyncio.ensure_future(watcher.tracker.run())
        assert await watcher.changes.get() is False
        words = watcher.tracker.last_words
        assert not (tmp_path / "ran").exists()
        check.chmod(0o755)
        assert await watcher.changes.get() is True
        task.cancel()
        return words

    words = asyncio.run(asyncio.wait_for(story(), 20))
    assert words.startswith(f"disabled: {check} is writable by everybody (mode 0777)")
    assert (tmp_path / "ran").exists()


def test_a_script_that_hangs_has_failed_at_its_deadline_and_does_not_run_twice(tmp_path: Path) -> None:
    check = executable(tmp_path / "check", f"echo run >> {tmp_path}/runs\ntrap '' TERM\nexec sleep 60")

    async def story() -> str:
        watcher = Watcher(TrackScript("check", Script((str(check),)), interval=0.1, timeout=0.2))
        task = asyncio.ensure_future(watcher.tracker.run())
        assert await watcher.changes.get() is False
        words = watcher.tracker.last_words
        task.cancel()
        await watcher.tracker.finish()
        return words

    assert asyncio.run(asyncio.wait_for(story(), 20)) == "timed out after 0.2 s"
    assert (tmp_path / "runs").read_text() == "run\n"


def test_notify_scripts_run_in_the_order_of_the_transitions_with_keepalived_s_arguments(tmp_path: Path) -> None:
    told = tmp_path / "told"
    slow = executable(tmp_path / "slow", f"sleep 0.3; echo slow $* >> {told}")
    quick = executable(tmp_path / "quick", f"echo quick $* >> {told}")
    notify = NotifyScripts(
        master=Script((str(slow), "master")), backup=Script((str(quick), "backup")), any=Script((str(quick),))
    )
    instance = Instance("VI_1", "eth0", 50, notify=notify)

    async def story() -> None:
        notifier = Notifier(instance, lambda event, reason="", **values: None, security=False)
        task = asyncio.ensure_future(notifier.run())
        notifier.notify(NotifyState.MASTER, 100)
        notifier.notify(NotifyState.BACKUP, 98)
        await notifier.finish()
        task.cancel()

    asyncio.run(asyncio.wait_for(story(), 20))
    assert told.read_text().splitlines() == [
        "slow master",
        "quick INSTANCE VI_1 MASTER 100",
        "quick backup",
        "quick INSTANCE VI_1 BACKUP 98",
    ]


def test_a_notify_script_that_fails_or_is_insecure_is_told(tmp_path: Path) -> None:
    fails = executable(tmp_path / "fails", "exit 3")
    insecure = executable(tmp_path / "insecure", "exit 0")
    insecure.chmod(0o777)
    seen: list[str] = []

    def tell(event: str, reason: str = "", **values: Value) -> None:
        seen.append(f"{event}: {reason}")

    async def story(script: Path, *, security: bool) -> None:
        instance = Instance("VI_1", "eth0", 50, notify=NotifyScripts(fault=Script((str(script),))))
        notifier = Notifier(instance, tell, security=security)
        task = asyncio.ensure_future(notifier.run())
        notifier.notify(NotifyState.FAULT, 100)
        await notifier.finish()
        task.cancel()

    asyncio.run(asyncio.wait_for(story(fails, security=False), 20))
    asyncio.run(asyncio.wait_for(story(insecure, security=True), 20))
    assert seen[0] == f"notify_failed: {fails} exited with status 3"
    assert seen[1].startswith(f"notify_failed: {insecure} was not run: {insecure} is writable by everybody")


def test_what_hangs_at_the_stop_is_left_behind_in_time() -> None:
    async def story() -> tuple[bool, bool, bool]:
        async def hangs() -> None:
            await asyncio.get_running_loop().create_future()

        async def ends() -> None:
            return

        return (
            await finished_within(5, [ends(), ends()]),
            await finished_within(0.05, [ends(), hangs()]),
            await finished_within(5, []),
        )

    assert asyncio.run(asyncio.wait_for(story(), 10)) == (True, False, True)


def test_a_notify_script_that_takes_long_is_left_alone_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """keepalived sets no limit: a script may promote a database, which takes what it takes."""
    monkeypatch.setattr("pyvrrp.notifier.PATIENCE", 0.2)
    gate, done, told = tmp_path / "gate", tmp_path / "done", tmp_path / "told"
    os.mkfifo(gate)
    os.mkfifo(done)
    slow = executable(tmp_path / "slow", f"read line <{gate}; echo $$ >{done}")
    quick = executable(tmp_path / "quick", f"echo quick >>{told}")
    seen: list[str] = []

    def tell(event: str, reason: str = "", **values: Value) -> None:
        seen.append(f"{event}: {reason}")

    async def story() -> None:
        notify = NotifyScripts(master=Script((str(slow),)), backup=Script((str(quick),)))
        notifier = Notifier(Instance("VI_1", "eth0", 50, notify=notify), tell, security=False)
        task = asyncio.ensure_future(notifier.run())
        notifier.notify(NotifyState.MASTER, 100)
        notifier.notify(NotifyState.BACKUP, 100)
        await notifier.finish()
        task.cancel()
        assert told.read_text() == "quick\n"
        await asyncio.to_thread(gate.write_text, "go\n")
        number = await asyncio.to_thread(done.read_text)
        await asyncio.to_thread(poll, lambda: not Path("/proc", number.strip()).exists(), 5, "the end of the script")

    asyncio.run(asyncio.wait_for(story(), 20))
    assert seen == [f"notify_slow: {slow} still runs after 0.2 s: nothing waits for it any longer"]

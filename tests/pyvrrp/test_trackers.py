"""Files, processes and URLs that are tracked: what they read, when they notice, and that silence is a failure."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hakit.events import EventHub
from pyvrrp.model import Script, TrackFile, TrackHttp, TrackProcess, TrackScript
from pyvrrp.trackers import FileTracker, HttpTracker, Key, ProcessTracker, ProcessWatch, Timing, key_of, looks_the_same
from pyvrrp.trackers.process import matches


class Watcher:
    """Collects the readings of a tracker as they change."""

    def __init__(self, make: Callable[[EventHub, Callable[[Key], None]], Any]) -> None:
        self.changes: asyncio.Queue[object] = asyncio.Queue()
        self.hub = EventHub("pyvrrp")
        self.tracker = make(self.hub, lambda _: self.changes.put_nowait(self.tracker.reading))

    async def until(self, reading: object) -> None:
        async with asyncio.timeout(10):
            while await self.changes.get() != reading:
                pass


def started() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "61.25"])


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 30))


def test_a_file_is_read_again_whenever_it_is_written_replaced_or_removed(tmp_path: Path) -> None:
    path = tmp_path / "number"

    async def story() -> None:
        watcher = Watcher(lambda hub, changed: FileTracker(TrackFile("f", str(path)), hub, changed))
        task = asyncio.ensure_future(watcher.tracker.run())
        await watcher.until(0)
        path.write_text("17\n")
        await watcher.until(17)
        (tmp_path / "new").write_text(" -5")
        (tmp_path / "new").rename(path)
        await watcher.until(-5)
        path.unlink()
        await watcher.until(0)
        task.cancel()

    run(story())


def test_a_file_whose_folder_comes_later_is_followed_from_then_on(tmp_path: Path) -> None:
    folder = tmp_path / "later"

    async def story() -> None:
        watcher = Watcher(lambda hub, changed: FileTracker(TrackFile("f", str(folder / "number")), hub, changed))
        task = asyncio.ensure_future(watcher.tracker.run())
        await watcher.until(0)
        folder.mkdir()
        (folder / "number").write_text("3")
        await watcher.until(3)
        (folder / "number").unlink()
        folder.rmdir()
        await watcher.until(0)
        task.cancel()

    run(story())


@pytest.mark.parametrize(("text", "number"), [("", 0), ("up", 0), ("12abc", 12), ("99999999999999", 2**31 - 1)])
def test_what_is_no_number_counts_as_0_and_what_is_too_large_is_cut(tmp_path: Path, text: str, number: int) -> None:
    path = tmp_path / "number"
    path.write_text(text)

    async def story() -> None:
        watcher = Watcher(lambda hub, changed: FileTracker(TrackFile("f", str(path)), hub, changed))
        task = asyncio.ensure_future(watcher.tracker.run())
        await watcher.until(number)
        task.cancel()

    run(story())


@pytest.mark.parametrize(("overwrite", "number"), [(False, 7), (True, 4)])
def test_init_file_writes_a_file_that_is_missing_and_overwrites_one_only_if_told(
    tmp_path: Path, overwrite: bool, number: int
) -> None:
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.write_text("7")

    async def story() -> None:
        for path, expected in ((there, number), (missing, 4)):
            file = TrackFile("f", str(path), initial=4, overwrite=overwrite)
            watcher = Watcher(lambda hub, changed, file=file: FileTracker(file, hub, changed))
            task = asyncio.ensure_future(watcher.tracker.run())
            await watcher.until(expected)
            task.cancel()

    run(story())


def test_a_file_that_would_block_or_is_a_folder_is_not_read(tmp_path: Path) -> None:
    async def story() -> None:
        watcher = Watcher(lambda hub, changed: FileTracker(TrackFile("f", str(tmp_path)), hub, changed))
        task = asyncio.ensure_future(watcher.tracker.run())
        await watcher.until(0)
        assert watcher.tracker.status()["last"].startswith("no number")
        task.cancel()

    run(story())


@pytest.mark.parametrize(
    ("wanted", "words", "fits"),
    [
        (TrackProcess("p", ("haproxy",)), ["other"], True),  # the kernel's name counts
        (TrackProcess("p", ("/usr/sbin/haproxy",), full_command=True), ["/usr/sbin/haproxy", "-f", "x"], True),
        (TrackProcess("p", ("/usr/sbin/haproxy",), full_command=True), ["haproxy"], False),
        (TrackProcess("p", ("haproxy", "-f", "x")), ["haproxy", "-f", "x"], True),
        (TrackProcess("p", ("haproxy", "-f", "x")), ["haproxy", "-f", "x", "-D"], False),
        (TrackProcess("p", ("haproxy", "-f"), parameters="partial"), ["haproxy", "-f", "x"], True),
        (TrackProcess("p", ("haproxy", "-f", "/e"), parameters="initial"), ["haproxy", "-f", "/etc"], True),
        (TrackProcess("p", ("haproxy", "-f", "/e"), parameters="initial"), ["haproxy", "-g", "/etc"], False),
        (TrackProcess("p", ("haproxy", "-f", "/e"), parameters="partial"), ["haproxy"], False),
        (TrackProcess("p", ("haproxy",), parameters="exact"), ["haproxy"], True),
        (TrackProcess("p", ("haproxy",), parameters="exact"), ["haproxy", "-D"], False),
        (TrackProcess("p", ("haproxy", "-f")), [], False),
    ],
)
def test_a_process_matches_by_name_or_by_words(wanted: TrackProcess, words: list[str], fits: bool) -> None:
    assert matches(wanted, "haproxy", lambda: words) is fits


def test_a_process_tracker_follows_processes_as_they_come_and_go(tmp_path: Path) -> None:
    wanted = TrackProcess("p", ("sleep", "61.25"), quorum=1, quorum_max=1)

    async def story() -> None:
        watcher = Watcher(lambda hub, changed: ProcessTracker(wanted, hub, changed))
        task = asyncio.ensure_future(ProcessWatch(watcher.hub, lambda: [watcher.tracker]).run())
        await watcher.until(False)
        first = started()
        await watcher.until(True)
        second = started()
        await watcher.until(False)  # one too many
        first.kill()
        await watcher.until(True)  # though nobody has waited for the first: it is a zombie
        second.kill()
        await watcher.until(False)
        first.wait()
        second.wait()
        task.cancel()

    run(story())


def test_a_lost_quorum_that_comes_back_within_terminate_delay_was_never_lost() -> None:
    wanted = TrackProcess("p", ("sleep",), terminate_delay=0.2)

    async def story() -> None:
        watcher = Watcher(lambda hub, changed: ProcessTracker(wanted, hub, changed))
        tracker = watcher.tracker
        tracker.see(1, "sleep", list)
        tracker.judge()
        assert tracker.reading is True
        tracker.miss(1)
        tracker.judge()
        tracker.see(2, "sleep", list)
        tracker.judge()
        tracker.miss(2)
        tracker.judge()
        assert tracker.reading is True
        await watcher.until(False)

    run(story())


def test_a_url_works_while_its_status_fits_and_fails_at_its_deadline() -> None:
    answers = {"status": 200, "hang": False}

    async def answer(_: web.Request) -> web.Response:
        if answers["hang"]:
            await asyncio.get_running_loop().create_future()
        return web.Response(status=answers["status"])

    async def story() -> None:
        site = web.Application()
        site.router.add_get("/primary", answer)
        runner = web.AppRunner(site, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        url = TrackHttp("u", f"http://127.0.0.1:{port}/primary", interval=0.05, timeout=0.2)
        watcher = Watcher(lambda hub, changed: HttpTracker(url, hub, changed))
        task = asyncio.ensure_future(watcher.tracker.run())
        await watcher.until(True)
        answers["status"] = 503
        await watcher.until(False)
        answers["status"] = 204
        await watcher.until(True)
        answers["hang"] = True
        await watcher.until(False)
        told = watcher.tracker.status()
        assert (told["last"], told["timeouts"]) == ("timed out after 0.2 s", 1)
        task.cancel()
        await runner.cleanup()

    run(story())


def test_a_url_that_nobody_answers_has_failed() -> None:
    async def story() -> None:
        url = TrackHttp("u", "http://127.0.0.1:1/", interval=0.05)
        watcher = Watcher(lambda hub, changed: HttpTracker(url, hub, changed))
        task = asyncio.ensure_future(watcher.tracker.run())
        await watcher.until(False)
        task.cancel()

    run(story())


def test_timing_keeps_the_last_the_mean_and_the_longest_run() -> None:
    timing = Timing()
    timing.ran(0.5, 10.0, passed=True)
    timing.ran(1.5, 12.0, passed=False, timed_out=True)
    assert timing.status(13.0) == {
        "runs": 2, "failures": 1, "timeouts": 1, "last_duration": 1.5, "mean_duration": 1.0, "max_duration": 1.5,
        "age": 1.0,
    }  # fmt: skip


def test_a_definition_looks_the_same_whatever_its_weight_and_differs_by_its_words() -> None:
    script = TrackScript("check", Script(("/bin/true",)), weight=5)
    assert looks_the_same(script, TrackScript("check", Script(("/bin/true",)), weight=-5))
    assert not looks_the_same(script, TrackScript("check", Script(("/bin/true", "x"))))
    assert not looks_the_same(script, TrackScript("check", Script(("/bin/true",), user="nobody")))
    assert key_of(script)[1] == "check"

"""Reads the number in a ``track_file``, whenever the file changes.

Laws: a file that is not there counts as 0, as in keepalived; so does one without a number at its beginning, with an
event. The folder is watched by inotify(7); without a watch (no folder yet, no watch left), and now and then in any
case, it is simply read again. Reading never blocks: what is no plain file is not read. keepalived.conf(5), track_file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from pathlib import Path

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.model import TrackerKind, TrackFile
from pyvrrp.system.inotify import FolderWatch
from pyvrrp.trackers.tracker import Changed, Reading

_LOOK_AGAIN = 10.0
"""Seconds after which the file is read anew though nothing was heard: some file systems tell nothing."""
_WITHOUT_WATCH = 1.0
"""Seconds between two looks while the folder cannot be watched."""
_LONGEST = 128
_NUMBER = re.compile(rb"\s*([+-]?\d+)")
_BITS_31 = 2**31 - 1


class FileTracker:
    """One tracked file: the number that it holds. ``stand_in``: what counts until it is read, as for a script."""

    kind = TrackerKind.FILE

    def __init__(self, file: TrackFile, hub: EventHub, changed: Changed, *, stand_in: Reading = None) -> None:
        self.file = file
        self.reading: Reading = stand_in
        self.last_words = "not read yet"
        self._hub = hub
        self._changed = changed
        self._read_at: float | None = None

    @property
    def name(self) -> str:
        """The name of its ``track_file`` block."""
        return self.file.name

    async def run(self) -> None:
        """Write what ``init_file`` asks for, then follow the file until cancelled."""
        self._initialise()
        while True:
            try:
                watch = FolderWatch(Path(self.file.path).parent)
            except OSError:
                self._look()
                await asyncio.sleep(_WITHOUT_WATCH)
                continue
            try:
                await self._follow(watch)
            finally:
                watch.close()

    async def finish(self) -> None:
        """Nothing outside was started."""

    async def _follow(self, watch: FolderWatch) -> None:
        """Look after every event; returns when the folder is gone."""
        loop = asyncio.get_running_loop()
        heard = asyncio.Event()
        loop.add_reader(watch.fileno(), heard.set)
        try:
            alive = True
            while alive:
                self._look()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(heard.wait(), _LOOK_AGAIN)
                heard.clear()
                alive = watch.drain()
        finally:
            loop.remove_reader(watch.fileno())

    def _initialise(self) -> None:
        if self.file.initial is None:
            return
        how = os.O_TRUNC if self.file.overwrite else os.O_EXCL
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | how
        try:
            descriptor = os.open(self.file.path, flags, 0o644)
        except FileExistsError:
            return
        except OSError as wrong:
            self._hub.publish("warning", f"Track file {self.name}: cannot write {self.file.path}: {wrong.strerror}")
            return
        try:
            os.write(descriptor, b"%d\n" % self.file.initial)
        except OSError as wrong:
            self._hub.publish("warning", f"Track file {self.name}: cannot write {self.file.path}: {wrong.strerror}")
        finally:
            os.close(descriptor)

    def _look(self) -> None:
        number, words = _number_in(self.file.path)
        self._read_at = asyncio.get_running_loop().time()
        if words != self.last_words and words.startswith("no number"):
            self._hub.publish("warning", f"Track file {self.name}: {words} in {self.file.path}: counts as 0")
        self.last_words = words
        if number == self.reading and self.reading is not None:
            return
        self.reading = number
        self._hub.publish("file", words, name=self.name, value=number)
        self._changed((self.kind, self.name))

    def status(self) -> dict[str, Value]:
        """Return name, number, path, and how long ago it was read."""
        now = asyncio.get_running_loop().time()
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reading": self.reading,
            "path": self.file.path,
            "last": self.last_words,
            "age": None if self._read_at is None else round(now - self._read_at, 3),
        }


def _number_in(path: str) -> tuple[int, str]:
    """Return the number at the beginning of a file, kept within 32 bits, and words on it; 0 if there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as wrong:
        return 0, f"not there ({wrong.strerror})"
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return 0, "no number: it is no plain file"
        text = os.read(descriptor, _LONGEST)
    except OSError as wrong:
        return 0, f"no number: {wrong.strerror}"
    finally:
        os.close(descriptor)
    found = _NUMBER.match(text)
    if found is None:
        return 0, "no number"
    number = max(-_BITS_31, min(_BITS_31, int(found[1])))
    return number, f"holds {number}"

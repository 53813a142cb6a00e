"""Asks a URL, and counts the answers: ``vrrp_track_http``, which keepalived does not have.

Laws: one question at a time, each on a connection of its own; the deadline is the failure. Only a status within the
ranges given is a success; a redirection is not followed, the body is not read. aiohttp is imported only here, and not
on the loop's thread: while it loads, advertisements go on.
"""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from hakit.events import EventHub
from hakit.health import RiseFall
from hakit.transcript import Value
from pyvrrp.model import TrackerKind, TrackHttp
from pyvrrp.trackers.tracker import Changed, Reading, Timing

if TYPE_CHECKING:
    import aiohttp


class HttpTracker:
    """One tracked URL: its counter, its timing, and the loop that asks.

    ``stand_in``: what counts until the first result, as for a script.
    """

    kind = TrackerKind.HTTP

    def __init__(self, url: TrackHttp, hub: EventHub, changed: Changed, *, stand_in: Reading = None) -> None:
        self.url = url
        begin = RiseFall.fully_down if url.init_fail else RiseFall.nearly_up
        self.health = begin(url.rise, url.fall)
        self.works: bool | None = None
        self.last_words = "not asked yet"
        self.timing = Timing()
        self._stand_in = stand_in
        self._hub = hub
        self._changed = changed

    @property
    def name(self) -> str:
        """The name of its ``vrrp_track_http`` block."""
        return self.url.name

    @property
    def reading(self) -> Reading:
        """Whether it works; None before the first result."""
        return self._stand_in if self.works is None else self.works

    async def run(self) -> None:
        """Ask until cancelled."""
        await asyncio.to_thread(import_module, "aiohttp")
        import aiohttp

        loop = asyncio.get_running_loop()
        due = loop.time()
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True), timeout=aiohttp.ClientTimeout(), trust_env=False
        ) as session:
            while True:
                await self._check(session)
                due = max(due + self.url.interval, loop.time())
                await asyncio.sleep(due - loop.time())

    async def finish(self) -> None:
        """Nothing outside was started."""

    async def _check(self, session: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        passed, words, timed_out = await self._ask(session)
        ended = loop.time()
        self.timing.ran(ended - begun, ended, passed=passed, timed_out=timed_out)
        self._count(passed, words)

    async def _ask(self, session: aiohttp.ClientSession) -> tuple[bool, str, bool]:
        import aiohttp

        try:
            async with (
                asyncio.timeout(self.url.timeout),
                session.request(self.url.method, self.url.url, allow_redirects=False) as answer,
            ):
                fits = any(low <= answer.status <= high for low, high in self.url.statuses)
                return fits, f"answered with status {answer.status}", False
        except TimeoutError:
            return False, f"timed out after {self.url.timeout:g} s", True
        except (aiohttp.ClientError, OSError, ValueError) as wrong:
            return False, f"did not answer: {str(wrong) or type(wrong).__name__}", False

    def _count(self, passed: bool, words: str) -> None:  # noqa: FBT001 - passed or failed is all there is
        self.health = self.health.passed() if passed else self.health.failed()
        self.last_words = words
        works = self.health.is_up
        if works is self.works:
            return
        self.works = works
        self._hub.publish("http", words, name=self.name, status="succeeded" if works else "failed")
        self._changed((self.kind, self.name))

    def status(self) -> dict[str, Value]:
        """Return name, result, counter, the last answer's words, and the timing of all questions."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reading": self.reading,
            "works": self.works,
            "health": self.health.health,
            "rise": self.health.rise,
            "fall": self.health.fall,
            "last": self.last_words,
            "url": self.url.url,
            **self.timing.status(asyncio.get_running_loop().time()),
        }

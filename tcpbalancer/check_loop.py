"""Checking servers: every checked server is asked again and again for as long as the balancer runs.

Laws: a server is checked again one interval after the end of its last check; in maintenance, and while the operator has
switched its checks off, it is not asked. An error of ours costs one check and is told. Source: ``process_chk_conn`` and
``start_checks`` in HAProxy's ``check.c``.
"""

from __future__ import annotations

import asyncio
import random

from hakit.schedule import first_check_delay, strewn
from tcpbalancer.check_subject import CheckSubject
from tcpbalancer.checks import Goodbyes, Limits, ask
from tcpbalancer.model import Check, Configuration
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.state_lines import server_title
from tcpbalancer.succession import by_name, counterpart
from tcpbalancer.watched import WatchedServer


class CheckLoop:
    """The running checks of all servers."""

    def __init__(self, watch: ServerWatch, configuration: Configuration) -> None:
        self.watch = watch
        self._node = configuration.node
        self._spread = configuration.spread_checks
        self._longest_spread = configuration.max_spread_checks
        # An external check is told where clients of a listen section arrive: its own address, as in HAProxy.
        self._binds = {
            name: (bind.host or "0.0.0.0", bind.port)
            for name, frontend in configuration.frontends.items()
            for bind in frontend.binds[:1]
            if name in configuration.backends
        }
        self._tasks: dict[WatchedServer, asyncio.Task[None]] = {}
        self._goodbyes: Goodbyes = set()
        self._hurry: dict[WatchedServer, asyncio.Event] = {}

    def start(self, without: CheckLoop | None = None) -> None:
        """Begin to check, the first checks spread over the smallest interval; leave to ``without`` what it has."""
        others = {} if without is None else by_name(without.watch.backends)
        checked = [
            (server, server.server.check)
            for backend in self.watch.backends
            for server in backend.servers
            if server.server.check is not None and counterpart(server, others) is None
        ]
        inters = tuple(check.intervals.inter for _, check in checked)
        for position, (server, check) in enumerate(checked):
            self._begin(server, self._first_delay(position, check, inters))

    def _first_delay(self, position: int, check: Check, inters: tuple[float, ...]) -> float:
        return first_check_delay(position, len(inters), check.intervals.inter, inters, self._longest_spread)

    def add(self, server: WatchedServer) -> None:
        """Begin to check a server that is new."""
        if server.server.check is not None:
            self._begin(server, 0.0)

    def forget(self, server: WatchedServer) -> asyncio.Task[None] | None:
        """Check a server no more; returns what still has to end by itself."""
        task = self._tasks.pop(server, None)
        self._hurry.pop(server, None)
        if task is not None:
            task.cancel()
        return task

    def hurry(self, server: WatchedServer) -> None:
        """Look again at how long a server's next check may wait: it may be due sooner now."""
        if server in self._hurry:
            self._hurry[server].set()

    def pause(self) -> None:
        """End all checks at once; ``start`` begins them anew."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def stop(self) -> None:
        """End all checks."""
        ending = [task for server in tuple(self._tasks) if (task := self.forget(server)) is not None]
        for goodbye in self._goodbyes:
            goodbye.cancel()
        await asyncio.gather(*ending, *self._goodbyes, return_exceptions=True)

    def _begin(self, server: WatchedServer, delay: float) -> None:
        self._hurry[server] = asyncio.Event()
        self._tasks[server] = asyncio.create_task(self._check_for_ever(server, delay))

    async def _check_for_ever(self, server: WatchedServer, delay: float) -> None:
        while True:
            await self._wait(server, delay)
            try:
                if server.state.check.is_active and (check := server.server.check) is not None:
                    await self._check(server, check)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, a server must not stay as it is for ever
                backend = server.backend.backend.name
                title = server_title(backend, server.server.name, backup=server.server.backup)
                self.watch.log("err", f"The check of {title} met an error of ours and goes on: {wrong!r}", backend)
            finally:
                server.is_being_checked = False
            delay = strewn(self._interval(server), self._spread, random.random())  # noqa: S311 - not a secret

    async def _check(self, server: WatchedServer, check: Check) -> None:
        backend = server.backend.backend
        server.is_being_checked = True
        subject = CheckSubject(server, self.watch.memory, self._node, self._binds.get(backend.name))
        result = await ask(backend.probe, check, Limits.of(check, backend.timeouts), subject, self._goodbyes)
        if server.state.check.is_active:  # it may have come to maintenance meanwhile
            self.watch.checked(server, result)

    @staticmethod
    def _interval(server: WatchedServer) -> float:
        check = server.server.check
        assert check is not None
        known = server.state.check
        if known.hurry and check.intervals.fastinter is not None:
            return check.intervals.fastinter
        return check.intervals.pick(known.counter)

    async def _wait(self, server: WatchedServer, delay: float) -> None:
        """Wait for the time of the next check, which may come nearer meanwhile (but is not put off)."""
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        while (left := due - loop.time()) > 0:
            self._hurry[server].clear()
            try:
                async with asyncio.timeout(left):
                    await self._hurry[server].wait()
            except TimeoutError:
                return
            due = min(due, loop.time() + self._interval(server))

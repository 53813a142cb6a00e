"""A balancer that runs for a test: the supervisor in a thread with its own loop, its workers as real processes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from tcp_peers import PATIENCE, free_port

from hakit.events import EventHub
from hakit.transcript import Event
from tcpbalancer.log_format import TCPLOG, parse_log_format
from tcpbalancer.model import Backend, Bind, Configuration, ConnectionLog, Frontend, Server, Timeouts
from tcpbalancer.statistics import Snapshot
from tcpbalancer.supervisor import Supervisor

TCPLOG_LINE = ConnectionLog(parse_log_format(TCPLOG))
"""What ``option tcplog`` makes of a frontend."""


def server(port: int, name: str = "s1", **options: Any) -> Server:
    """Return a server on the loopback."""
    return Server(name, "127.0.0.1", port, **options)


def one_way(
    servers: Sequence[Server],
    *,
    front: Timeouts = Timeouts(client=60),  # noqa: B008 - frozen
    back: Timeouts = Timeouts(connect=2, server=60),  # noqa: B008 - frozen
    nbthread: int = 1,
    maxconn: int = 2000,
    **options: Any,
) -> Configuration:
    """Return the configuration of one frontend ``f`` with one backend ``b``."""
    bind = Bind("127.0.0.1", free_port())
    return Configuration(
        frontends={
            "f": Frontend(
                "f", (bind,), default_backend="b", timeouts=front, connection_log=TCPLOG_LINE, maxconn=maxconn
            ),
        },
        backends={"b": replace(Backend("b", tuple(servers)), timeouts=back, **options)},
        order=("f", "b"),
        nbthread=nbthread,
    )


class RunningBalancer:
    """Starts on entry; ``events`` and ``lines`` are what it told so far."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.events: list[Event] = []
        self.lines: list[tuple[str, str]] = []
        self._clients = contextlib.ExitStack()
        self._news = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.supervisor: Supervisor

    def ask(self, act: Callable[[], Any]) -> Any:
        """Call something in the supervisor's loop and return what it returns, awaited if need be."""

        async def asked() -> Any:
            answer = act()
            return await answer if asyncio.iscoroutine(answer) else answer

        return asyncio.run_coroutine_threadsafe(asked(), self._loop).result(PATIENCE)

    def begin(self, act: Callable[[], Any]) -> Future[Any]:
        """Start a coroutine in the supervisor's loop."""
        return asyncio.run_coroutine_threadsafe(act(), self._loop)

    def _told(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def _logged(self, level: str, line: str, _proxy: str | None = None) -> None:
        with self._news:
            self.lines.append((level, line))
            self._news.notify_all()

    def wait_for(self, name: str, count: int = 1, **values: object) -> Event:
        """Return the ``count``-th event of a name and with these values, as soon as it is there."""

        def matching() -> list[Event]:
            return [
                event
                for event in self.events
                if event.event == name and all(event.get(key) == value for key, value in values.items())
            ]

        with self._news:
            assert self._news.wait_for(lambda: len(matching()) >= count, PATIENCE), f"no {name} {values}"
            return matching()[count - 1]

    def line(self, part: str) -> tuple[str, str]:
        """Return the first log line that contains ``part``, as soon as it is there."""
        with self._news:
            assert self._news.wait_for(lambda: any(part in line for _, line in self.lines), PATIENCE), self.lines
            return next(pair for pair in self.lines if part in pair[1])

    def snapshot(self) -> Snapshot:
        """Return the statistics."""
        snapshot: Snapshot = self.ask(self.supervisor.snapshot)
        return snapshot

    @property
    def port(self) -> int:
        """The port of the first frontend."""
        return next(iter(self.configuration.frontends.values())).binds[0].port

    def connect(self) -> socket.socket:
        """Return a client's connection; at the latest it is closed with the balancer."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self._clients.callback(client.close)
        return client

    def __enter__(self) -> Self:
        self._thread.start()
        hub = EventHub("tcpbalancer")
        hub.listen(self._told)

        async def start() -> None:
            self.supervisor = Supervisor(self.configuration, hub, self._logged)
            await self.supervisor.start()

        try:
            self.ask(start)
        except BaseException:
            self._end_loop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.ask(self.supervisor.stop)
        finally:
            self._end_loop()
            self._clients.close()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

"""A VRRP daemon of ours in this process, on a host of a lab: without a configuration file, with its events."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from ipaddress import ip_interface
from types import TracebackType
from typing import Any, Self, TypeVar

from hakit.events import EventHub
from hakit.transcript import Event
from halab.namespace import Host
from pyvrrp.daemon import Daemon
from pyvrrp.model import Configuration, Instance, VirtualAddress

T = TypeVar("T")
VIP = "10.88.2.50"


def instance(priority: int = 100, name: str = "VI_1", vrid: int = 51, *vips: str, **more: Any) -> Instance:
    """An instance of version 3 with 0.1 s between advertisements, so that an election takes 0.4 s."""
    addresses = tuple(VirtualAddress(ip_interface(vip)) for vip in vips or (f"{VIP}/24",))
    made = Instance(name, "eth0", vrid, priority, advert_interval=0.1, version=3, addresses=addresses)
    return replace(made, **more)


class Running:
    """The daemon; a context manager that stops it."""

    def __init__(self, host: Host, configuration: Configuration | Instance) -> None:
        self.host = host
        self.events: list[Event] = []
        self._news = threading.Condition()
        self._ready: Future[None] = Future()
        whole = Configuration((configuration,)) if isinstance(configuration, Instance) else configuration
        self.ended = host.inside(lambda: asyncio.run(self._run(whole)))

    def __enter__(self) -> Self:
        self.until_ready()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            for event in self.events:
                if event.event != "advertised":
                    print(f"{self.host.name} {event.at:.3f} {event.source} {event.event} {event.reason}")
        self.stop()

    async def _run(self, configuration: Configuration) -> None:
        try:
            hub = EventHub("pyvrrp")
            hub.listen(self._hear)
            self._loop = asyncio.get_running_loop()
            self._stop = self._loop.create_future()
            self.daemon = Daemon(configuration, hub)
            await self.daemon.run(lambda: self._ready.set_result(None), self._stop)
        except BaseException as wrong:
            if not self._ready.done():
                self._ready.set_exception(wrong)
            raise

    def _hear(self, event: Event) -> None:
        with self._news:
            self.events.append(event)
            self._news.notify_all()

    def until_ready(self) -> None:
        self._ready.result(10)

    def until(self, matches: Callable[[Event], bool], within: float = 5.0, since: float = 0.0) -> Event:
        """Return the first event, so far or soon, that matches; ``since``: monotonic seconds."""
        ends, at = time.monotonic() + within, 0
        with self._news:
            while True:
                for event in self.events[at:]:
                    if event.at >= since and matches(event):
                        return event
                at = len(self.events)
                left = ends - time.monotonic()
                assert left > 0, f"no such event at {self.host.name} within {within:g} s"
                self._news.wait(left)

    def until_event(self, name: str, within: float = 5.0, since: float = 0.0, **values: Any) -> Event:
        """Return the first event of this name with these values (``to_`` stands for ``to``, ``source`` for whose)."""
        whose = values.pop("whose", None)
        wanted = {key.rstrip("_"): value for key, value in values.items()}
        return self.until(
            lambda event: (
                event.event == name
                and (whose is None or event.source == whose)
                and all(event.get(key) == value for key, value in wanted.items())
            ),
            within,
            since,
        )

    def until_state(self, state: str, whose: str = "VI_1", within: float = 5.0, since: float = 0.0) -> Event:
        """Return when an instance came to this state."""
        return self.until_event("transition", within, since, whose=whose, to_=state)

    def until_master(self, *whose: str, within: float = 5.0) -> None:
        """Wait until these instances are master, and their addresses there and announced."""
        for name in whose or ("VI_1",):
            became = self.until_state("MASTER", name, within)
            self.until_event("announced", within, became.at, whose=name)

    def count(self, name: str, since: float = 0.0) -> int:
        """How many events of this name there were."""
        with self._news:
            return sum(event.event == name and event.at >= since for event in self.events)

    def call(self, work: Callable[[Daemon], T]) -> T:
        """Run ``work`` on the daemon's loop; returns what it returns, raises what it raises."""
        outcome: Future[T] = Future()

        def act() -> None:
            try:
                outcome.set_result(work(self.daemon))
            except BaseException as wrong:  # noqa: BLE001 - handed to whoever asked
                outcome.set_exception(wrong)

        self._loop.call_soon_threadsafe(act)
        return outcome.result(10)

    def reload(self, *instances: Instance, **more: Any) -> float:
        """Reload with these instances; returns when."""
        at = time.monotonic()
        self.call(lambda daemon: daemon.reload(Configuration(instances, **more)))
        return at

    def status(self, whose: str = "VI_1") -> dict[str, Any]:
        """What the daemon says of an instance."""
        answer: Any = self.call(Daemon.status)
        found: dict[str, Any] = next(one for one in answer["instances"] if one["name"] == whose)
        return found

    def stop(self) -> None:
        """Stop, and wait for the end."""
        if not self.ended.done():
            self._loop.call_soon_threadsafe(lambda: self._stop.done() or self._stop.set_result(None))
        self.ended.result(20)

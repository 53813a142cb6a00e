"""What this daemon has in the kernel: its number, its table, and the process that keeps them.

Laws: it is there as a whole or not at all, whatever happens: if the process has ended, another one goes on; if somebody
has taken the table away (``nft flush ruleset``), it is made anew. Connections are not touched by that, and what was
counted since the last reading is lost. Errors are KernelErrors.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict

from hakit.events import EventHub
from tcpbalancer.kernel.claim import claim_any
from tcpbalancer.kernel.executor_process import ExecutorProcess, KernelError
from tcpbalancer.kernel.readings import Counts, counts
from tcpbalancer.kernel.ruleset import Daemon
from tcpbalancer.kernel.wanted import Wanted
from tcpbalancer.log_book import Log
from tcpbalancer.model import Identity

LOOK_PATIENCE = 120.0
"""Seconds for a look at all connections."""
PAUSE = 5.0
"""Seconds after a failed start of the process until the next."""


class Standing:
    """Nothing is in the kernel until the first ``make``; ``on_anew`` hears that all counters begin at zero."""

    def __init__(self, hub: EventHub, log: Log, on_anew: Callable[[], None]) -> None:
        self.wanted = Wanted()
        self._hub = hub
        self._log = log
        self._on_anew = on_anew
        self._executor = ExecutorProcess()
        self._claimed: tuple[int, socket.socket] | None = None
        self._identity = Identity()
        self._failed = ""
        self._next_start = 0.0

    @property
    def is_there(self) -> bool:
        """Whether there is a process that keeps the rules."""
        return self._executor.is_alive

    async def make(self, wanted: Wanted, identity: Identity) -> None:
        """Make what stands what is wanted, in one transaction; the process is of this identity, once it has begun."""
        if not self.is_there:
            await self._start(wanted, identity)
        elif wanted != self.wanted:
            try:
                await self._executor.ask("change", wanted=asdict(wanted))
            except KernelError as problem:
                await self._begin(wanted, f"the rules could not be changed ({problem})")
        self.wanted = wanted

    async def counts(self) -> Counts:
        """Return what was counted since all counters began at zero."""
        try:
            answer = await self._executor.ask("read")
        except KernelError as problem:
            await self._begin(self.wanted, f"the counters could not be read ({problem})")
            answer = await self._executor.ask("read")
        try:
            return counts(answer["listing"])
        except ValueError as wrong:
            raise KernelError(str(wrong)) from None

    async def open_connections(self) -> dict[int, int]:
        """Return how many connections there are, by the number of their way."""
        answer = await self._executor.ask("look", patience=LOOK_PATIENCE)
        return {int(number): count for number, count in answer["open"].items()}

    async def cut(self, numbers: Iterable[int]) -> None:
        """End the connections on these ways."""
        await self._executor.ask("cut", numbers=[*numbers])

    async def forget(self, numbers: Iterable[int]) -> None:
        """Forget what was counted of these ways."""
        await self._executor.ask("forget", numbers=[*numbers])

    async def take_away(self) -> None:
        """Take everything away, the connections as well."""
        try:
            if self.is_there:
                await self._executor.ask("end")
        finally:
            self.close()

    def close(self) -> None:
        """Ask for nothing any more: the process takes away what is still there, and ends."""
        self._executor.close()
        self.wanted = Wanted()
        if self._claimed is not None:
            self._claimed[1].close()
            self._claimed = None

    async def _start(self, wanted: Wanted, identity: Identity) -> None:
        if time.monotonic() < self._next_start:
            raise KernelError(self._failed)
        goes_on = self._claimed is not None
        try:
            if self._claimed is None:
                self._identity, self._claimed = identity, claim_any()
            await self._executor.start(*self._claimed, self._identity)
            await self._executor.ask("begin", wanted=asdict(wanted), goes_on=goes_on)
        except (KernelError, OSError) as problem:
            self._executor.kill()
            self._failed, self._next_start = str(problem), time.monotonic() + PAUSE
            raise KernelError(self._failed) from None
        self._began(wanted, "another process keeps the rules" if goes_on else "")

    async def _begin(self, wanted: Wanted, why: str) -> None:
        """Make the whole table anew, if the process lives: whatever stands there is not what it put there."""
        if not self.is_there:
            raise KernelError(why)
        await self._executor.ask("begin", wanted=asdict(wanted), goes_on=True)
        self._log("warning", f"The kernel's rules were made anew: {why}.")
        self._began(wanted, why)

    def _began(self, wanted: Wanted, why: str) -> None:
        assert self._claimed is not None
        self.wanted = wanted
        self._on_anew()
        table = Daemon(self._claimed[0]).table
        self._hub.publish("kernel", why, action="began", table=table, pid=self._executor.pid)
        self._log("info", f"The kernel relays connections: nft list table inet {table}.")

"""The parent of the data plane: it holds the listening sockets, the generation at work, and those that finish.

Laws: no byte of a connection passes through here, so nothing here can slow one down. The listening sockets stay open
while workers and whole generations come and go: a connection that arrives in between waits in the kernel. A reload
changes nothing until the new workers accept, and then takes nothing away from the old ones but the new connections.
Whatever happens is published on the hub, and told in HAProxy's words through ``log``. Frontends in HTTP mode are the
control room's; their sockets are held here, too.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hakit.events import EventHub
from tcpbalancer.channel import Admission, Stop
from tcpbalancer.generation import STOP_LIMIT, Generation, Premises
from tcpbalancer.listening import BACKLOG, ListenError, ListeningSockets, place_name
from tcpbalancer.log_book import Log
from tcpbalancer.model import Configuration, Frontend, Identity
from tcpbalancer.nursery_process import NurseryError, NurseryProcess
from tcpbalancer.session_log import proxy_stopped
from tcpbalancer.statistics import Snapshot
from tcpbalancer.takeover import Named
from tcpbalancer.worker_rights import identity_of_workers, lacking

if TYPE_CHECKING:
    from tcpbalancer.kernel.plane import Plane

__all__ = ["ListenError", "Supervisor"]


class Supervisor:
    """Everything of a running balancer but its control room."""

    def __init__(
        self,
        configuration: Configuration,
        hub: EventHub,
        log: Log = lambda _level, _line, _proxy=None: None,
        nursery: NurseryProcess | None = None,
    ) -> None:
        """Prepare; ``log`` takes a syslog level by name (``info``, ``alert``, ...), a line, and whose line it is.

        ``nursery`` may have begun already; it is ended with the rest.
        """
        self._nursery = NurseryProcess() if nursery is None else nursery
        self._premises = Premises(hub, log, self._nursery)
        self.current = Generation(configuration, self._premises)
        self._sockets = ListeningSockets(())
        self._plane: Plane | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started_at = time.monotonic()
        self._workers_are: Identity | None = None  # whom workers have become without being asked
        self._stopping = False
        self._is_over = False

    @property
    def configuration(self) -> Configuration:
        """What is at work now."""
        return self.current.configuration

    async def start(self, predecessors: Sequence[Named] = ()) -> None:
        """Listen, start the workers and the checks; returns when connections are accepted.

        Raises ListenError if an address cannot be had, RuntimeError if a worker does not come up and NurseryError if
        it cannot be what it should; nothing is left behind then. ``predecessors`` are sockets of another process, which
        are kept or closed.
        """
        try:
            self._sockets = self._listen(self.configuration, predecessors)
            self._give_up_rights()
            await self.current.start(self._sockets)
            await self._lead_in_kernel(self.current)
        except BaseException:
            await self.stop()
            raise
        self.current.serve()
        self._premises.hub.publish("ready", f"{len(self._sockets)} listeners, {len(self.current.workers)} workers")

    def _give_up_rights(self) -> None:
        """Have workers be whom the file names, else nobody, where that is possible: in a container it may not be."""
        asked, identity = self.configuration.process.identity, identity_of_workers(self.configuration)
        if not identity.changes:
            return
        try:
            self._nursery.become(identity)
        except NurseryError as problem:
            if asked.changes:
                raise
            self._nursery.end()  # the next one is who we are
            self._premises.log("notice", f"Workers have the rights of this process: {problem}")
        else:
            self._workers_are = None if asked.changes else identity

    async def reload(self, configuration: Configuration) -> None:
        """Go over to another configuration; returns when its workers accept and no older one does any more.

        Raises ListenError, RuntimeError or OSError as ``start`` does: then nothing has changed.
        """
        problem = lacking(self._workers_are, configuration)
        if problem:
            raise RuntimeError(f"{problem}: restart the program")
        sockets = self._listen(configuration)
        before = self.current
        try:
            new = await self._started(configuration, sockets)
        except BaseException:
            sockets.close(but=self._sockets)
            raise
        self.current = new
        new.serve(before)
        self._tell_stopped(before)
        self._sockets.close(but=sockets)
        self._sockets = sockets
        self._spawn(self._finish_older(before))
        self._premises.hub.publish("reloaded", f"{len(self._sockets)} listeners, {len(new.workers)} workers")

    async def _started(self, configuration: Configuration, sockets: ListeningSockets) -> Generation:
        """Return the next generation, whose workers accept; nothing is left of it if it cannot be had."""
        new = Generation(configuration, self._premises, self.current)
        try:
            await new.start(sockets)
            await self._lead_in_kernel(new)
        except BaseException:
            await new.finish(Stop(), 0.0)
            raise
        return new

    async def _lead_in_kernel(self, generation: Generation) -> None:
        """Have the kernel relay what this generation wants it to; raises RuntimeError, and then nothing has changed."""
        if self._plane is None and any(one.kernel_relay for one in generation.configuration.frontends.values()):
            from tcpbalancer.kernel.plane import Plane  # only for those who want it

            self._plane = Plane(self._premises.hub, self._premises.log)
        if self._plane is not None:
            await self._plane.go_over(generation)

    def _listen(self, configuration: Configuration, predecessors: Sequence[Named] = ()) -> ListeningSockets:
        """Return the sockets of a configuration, as many as possible of those that are open already."""
        kept: Iterable[socket.socket] = ()
        try:
            kept = sockets = ListeningSockets(
                tuple(configuration.frontends.values()),
                self._sockets,
                predecessors=dict(predecessors),
                shares_ports=configuration.process.shares_ports,
            )
        finally:
            wanted = set(kept)
            for _, received in predecessors:
                if received not in wanted:
                    received.close()
        return sockets

    def listening(self, frontend: Frontend) -> list[socket.socket]:
        """Return the sockets of a frontend of the current configuration; they stay the supervisor's."""
        return self._sockets.of(frontend)

    def listeners(self) -> list[Named]:
        """Return all listening sockets, each under the name by which a successor knows its place."""
        return [(place_name(bind), listening) for bind, listening in self._sockets.by_address.items()]

    # -- what an operator asks for ----------------------------------------------------------------------------------

    def admission(self, frontend: str) -> Admission:
        """Return whether a frontend takes connections."""
        return self.current.admissions.get(frontend, Admission.OPEN)

    async def admit(self, frontend: Frontend, admission: Admission) -> None:
        """Let a TCP frontend take connections or refuse them; OSError if its address cannot be had again.

        A socket that is shut down refuses what comes and keeps its address (``tcp_pause_receiver`` in HAProxy's
        ``proto_tcp.c``). Workers look away first, and look again when it listens.
        """
        listening = [] if frontend.kernel_relay else self._sockets.of(frontend)
        if admission is Admission.OPEN:
            for each in listening:
                each.listen(BACKLOG)
        await self.current.admit(frontend.name, admission)
        for each in listening if admission is not Admission.OPEN else ():
            each.shutdown(socket.SHUT_RD)
        if admission is Admission.STOPPED:
            self._sockets.forget(frontend)

    def clear_counters(self, *, everything: bool) -> None:
        """Forget the largest values, or all that was counted."""
        for generation in (self.current, *self.current.older):
            generation.clear_counters(everything=everything)

    async def stop(self, by: int = 0) -> None:
        """End at once: listeners are closed, clients see FIN, workers end, by a signal if ``by`` is its number."""
        await self._finish(lambda generation: generation.finish(Stop(by), STOP_LIMIT))

    async def soft_stop(self) -> None:
        """Accept no more, let the connections that there are come to their end, then stop."""
        self._tell_stopped(self.current)
        await self._finish(Generation.retire)

    def snapshot(self) -> Snapshot:
        """Return what the statistics show now."""
        return self.current.snapshot(self._started_at, is_open=not self._stopping)

    def _tell_stopped(self, generation: Generation) -> None:
        snapshot = generation.snapshot(self._started_at, is_open=False)
        for proxy in snapshot.proxies:
            front = 0 if proxy.frontend is None else proxy.frontend.traffic.total
            back = 0 if proxy.backend is None else proxy.backend.traffic.total
            self._premises.log("warning", proxy_stopped(proxy.name, front, back), proxy.name)

    async def _finish_older(self, older: Generation) -> None:
        await older.retire()
        self.current.forget(older)
        del older
        gc.collect()  # a generation is a net of cycles around a memory that may be large (stick tables)
        self._premises.hub.publish("generation", action="finished")

    async def _finish(self, end: Callable[[Generation], Coroutine[Any, Any, None]]) -> None:
        """Close the listeners, end all generations; a second order may overtake the first."""
        self._stopping = True
        self._sockets.close()
        generations = (self.current, *self.current.older)
        await asyncio.gather(*(end(generation) for generation in generations))
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if not self._is_over:
            self._is_over = True
            self._nursery.end()
            self._premises.hub.publish("stopped")

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

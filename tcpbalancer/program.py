"""The running program: supervisor, statistics pages and control socket, from the first listener to the last signal.

Laws: what was started is stopped in the opposite order, also when a later start fails. Readiness is told once
everything listens. In the foreground the process keeps its pid and dies by the signal that ended it; with ``-D`` the
parent ends once the child is ready, with ``-W`` the exit status is a number as of HAProxy's master, which this process
then is: it stays over reloads. A reload that fails changes nothing.

Source: HAProxy's management guide, chapter 4 "Stopping and restarting HAProxy"; ``sd_notify(3)``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import re
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from hakit.control import ControlServer
from hakit.diagnostics import ConfigError, Diagnostic
from hakit.events import EventHub
from hakit.service import Detached, ServiceManager, StopSignals
from hakit.transcript import Event, Value
from tcpbalancer import master
from tcpbalancer.control.cli_listening import StatsSocketError
from tcpbalancer.control.cli_room import Room
from tcpbalancer.control.cli_server import CliServer
from tcpbalancer.control.master_cli import DAY, MASTER_MAXCONN, MasterConversation, master_sockets
from tcpbalancer.control.states import states
from tcpbalancer.control.status import status
from tcpbalancer.control_room import ControlRoom
from tcpbalancer.listening import ListenError
from tcpbalancer.log_book import LogBook
from tcpbalancer.model import Configuration
from tcpbalancer.nursery_process import NurseryError, NurseryProcess, outside
from tcpbalancer.options import DEFAULT_CONTROL, Options
from tcpbalancer.privileges import PrivilegeError, allow_dumps, give_up
from tcpbalancer.reading import Unfit, read
from tcpbalancer.supervisor import Supervisor
from tcpbalancer.takeover import Named, TakeoverError, receive

PROCESS_NAME = "haproxy"
"""Check scripts look for it (``killall -0 haproxy``), and syslog readers for this tag."""
_NOBODY_LEFT = re.compile(r"^(proxy|backend) (\S+) has")
"""On stderr HAProxy puts quotes around the name, in the log it does not."""


class Telling(Protocol):
    """Says what goes wrong on the way."""

    @property
    def program(self) -> str:
        """The path of the program."""

    recorded: list[str] | None

    @property
    def said(self) -> Sequence[str]:
        """Return the lines that were printed until now."""

    def alert(self, text: str) -> None:
        """Print a reason why the program ends."""

    def warning(self, text: str) -> None:
        """Print something that may not be as it should."""

    def tell(self, level: str, text: str) -> None:
        """Print a message of a level (ALERT, WARNING) while the program runs; never waits, never raises."""

    def tell_findings(self, found: Sequence[Diagnostic]) -> None:
        """Print what was found in a configuration while the program runs; never waits, never raises."""


class Troubles(logging.Handler):
    """Takes what asyncio and aiohttp complain of to where all else is told: their own way is to write and wait."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it in one line."""
        text = f"{record.name}: {record.getMessage()}"
        problem = record.exc_info[1] if record.exc_info else None
        if problem is not None and problem.__traceback__ is not None:
            place = traceback.extract_tb(problem.__traceback__)[-1]
            text = f"{text}: {problem!r} at {place.filename}:{place.lineno}"
        self._tell("err", text)


class StartError(Exception):
    """The program cannot start; one line each in ``lines``."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(lines))


class Program:
    """Everything that runs in the supervisor's process."""

    def __init__(
        self,
        configuration: Configuration,
        options: Options,
        teller: Telling,
        *,
        is_master: bool,
        nursery: NurseryProcess | None = None,
    ) -> None:
        self._configuration = configuration
        self._options = options
        self._teller = teller
        self._is_master = is_master
        self._hub = EventHub("tcpbalancer")
        self._log = LogBook(configuration, teller.warning)
        self._supervisor = Supervisor(configuration, self._hub, self._tell, nursery)
        room = Room(self._supervisor, self._tell, teller.said)
        self._cli = CliServer(room, self._supervisor.listeners)
        self._master_cli = CliServer(room, begin=functools.partial(MasterConversation, master=self))
        self._room = ControlRoom(self._supervisor, self._cli)
        self._service_manager = ServiceManager()
        self._wants_reload = asyncio.Event()
        self._one_reload = asyncio.Lock()
        self.reloads = self.failed_reloads = 0

    async def run(self, detached: Detached | None, started: Callable[[], None]) -> signal.Signals:
        """Start, serve until a signal comes, stop; returns the signal. Raises StartError, also if ``started`` does."""
        stop = StopSignals(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        stop.install()
        self._install_signals()
        logging.getLogger().addHandler(Troubles(self._tell))
        if self._is_master:
            self._hub.listen(self._tell_of_worker, "worker")
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._close_log)
            stack.callback(self._service_manager.close)
            await self._start(stack)
            started()
            self._give_up_rights()
            if self._is_master:
                self._teller.tell(*master.LOADED)
            self._tell_ready("Ready.")
            if detached is not None:
                detached.ready()
            reloading = asyncio.create_task(self._reload_when_asked())
            ended_by = await stop.wait()
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)
            self._service_manager.tell("STOPPING=1")
            ended_by = await self._end(ended_by)
        if self._is_master:
            self._teller.tell(*master.all_exited(exit_status(ended_by)))
        return ended_by

    def _install_signals(self) -> None:
        """SIGHUP and SIGUSR2 reload a master; who is none tells its states, or that it cannot."""
        loop = asyncio.get_running_loop()
        reload_ = self._wants_reload.set
        loop.add_signal_handler(signal.SIGHUP, reload_ if self._is_master else self._dump_states)
        loop.add_signal_handler(signal.SIGUSR2, reload_ if self._is_master else self._cannot_reload)
        loop.add_signal_handler(signal.SIGQUIT, self._not_carried_out, signal.SIGQUIT)
        for number in (signal.SIGTTOU, signal.SIGTTIN):  # a successor of HAProxy's sends them: they must not stop us
            signal.signal(number, signal.SIG_IGN)

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        # The control socket is the last to go, so that whoever listens there hears the end.
        control = ControlServer(Path(self._options.control or DEFAULT_CONTROL), self._hub, {"status": self._status})
        stack.push_async_callback(control.stop)
        if not self._options.succeeds:
            await self._start_control(control)
        try:
            await self._supervisor.start(self._take_over())
            stack.push_async_callback(self._supervisor.stop)
            await self._room.open(self._configuration)
            stack.push_async_callback(self._close_room)
            if self._is_master and self._options.master_cli is not None:
                self._master_cli.serve(master_sockets(self._options.master_cli), DAY, MASTER_MAXCONN)
                stack.push_async_callback(self._master_cli.stop)
        except (ListenError, StatsSocketError) as failed:
            last = f"[{self._teller.program}.main()] Some protocols failed to start their listeners! Exiting."
            raise StartError([*failed.lines, last]) from failed
        except (RuntimeError, NurseryError) as failed:
            raise StartError([f"[{self._teller.program}.main()] {failed}"]) from failed
        if self._options.succeeds:  # as long as we might fail, the place is the predecessor's
            await self._start_control(control)

    def _take_over(self) -> list[Named]:
        """Return the listening sockets of a predecessor, if there is one to give them (``-x``)."""
        path = self._options.takeover
        if path is None or path == "/dev/null":  # the latter says in HAProxy that there is none
            return []
        try:
            return receive(path)
        except TakeoverError as problem:
            self._teller.warning(f"Failed to connect to the old process socket '{path}': {problem}")
            raise StartError(["Failed to get the sockets from the old process!"]) from problem

    def _give_up_rights(self) -> None:
        """Everything is bound: be nobody special from now on. There is no chroot here: files are still to be read."""
        process = self._configuration.process
        try:
            if process.identity.changes:
                give_up(outside(process.identity))
            if process.dumpable:
                allow_dumps()
        except PrivilegeError as problem:
            raise StartError([f"[{self._teller.program}.main()] {problem}"]) from problem

    def _close_log(self) -> None:
        self._log.close()  # the one that is there then: a reload may have opened another

    async def _close_room(self) -> None:
        await self._room.close()
        await self._cli.stop()

    async def _start_control(self, control: ControlServer) -> None:
        path = control.path
        try:
            await control.start(succeeds=self._options.succeeds)
        except OSError as failed:
            problem = failed.strerror or str(failed)
            if self._options.control is not None:
                raise StartError(
                    [f"[{self._teller.program}.main()] Cannot serve --control {path}: {problem}"]
                ) from failed
            self._teller.warning(f"no control socket at {path}: {problem}; name another one with --control PATH")

    # -- reload -----------------------------------------------------------------------------------------------------

    async def _reload_when_asked(self) -> None:
        while True:
            await self._wants_reload.wait()
            self._wants_reload.clear()
            await self._reload_and_tell()

    async def reload_now(self) -> tuple[bool, Sequence[str]]:
        """Reload because the master's command line says so; returns whether that was possible, and what was told."""
        told: list[str] = []
        self._teller.recorded = told
        good = await self._reload_and_tell()
        self._teller.recorded = None
        return good, told

    async def _reload_and_tell(self) -> bool:
        async with self._one_reload:
            microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self._service_manager.tell(f"RELOADING=1\nSTATUS=Reloading Configuration.\nMONOTONIC_USEC={microseconds}")
            self._teller.tell(*master.RELOADING)
            try:
                good = await self._reload()
            except Exception as wrong:  # noqa: BLE001 - whatever it is, connections go on, and so do later reloads
                self._teller.tell(
                    "ALERT", f"[{self._teller.program}.main()] the reload met an error of ours: {wrong!r}"
                )
                good = False
            self.reloads += good
            self.failed_reloads = 0 if good else self.failed_reloads + 1
            self._teller.tell(*(master.LOADED if good else master.FAILED))
            self._tell_ready("Ready." if good else "Reload failed!")
            return good

    async def _reload(self) -> bool:
        """Read the files again and go over to what they say; returns whether that was possible."""
        try:
            loaded = await asyncio.to_thread(read, self._options)  # names are looked up
        except ConfigError as wrong:
            self._teller.tell_findings(wrong.diagnostics)
            return False
        except Unfit as wrong:
            self._teller.tell_findings(wrong.warnings)
            self._teller.tell("ALERT", str(wrong))
            return False
        self._teller.tell_findings(loaded.warnings)
        configuration = loaded.configuration
        if not configuration.has_listeners:
            self._teller.tell("ALERT", f"[{self._teller.program}.main()] No enabled listener found (check for 'bind'"
                " directives) ! Exiting.")  # fmt: skip
            return False
        if configuration.process.identity != self._configuration.process.identity:
            self._teller.tell("WARNING", "'user', 'group' and 'chroot' can be changed by a restart only: they stay")
        try:
            await self._supervisor.reload(configuration)
        except ListenError as failed:
            for line in failed.lines:
                self._teller.tell("ALERT", line)
            return False
        except (RuntimeError, OSError) as failed:
            self._teller.tell("ALERT", f"[{self._teller.program}.main()] {failed}")
            return False
        await self._go_over(configuration)
        return True

    async def _go_over(self, configuration: Configuration) -> None:
        """Let pages and log targets follow the supervisor to another configuration."""
        log, self._log = self._log, LogBook(configuration, lambda text: self._teller.tell("WARNING", text))
        log.close()
        room = ControlRoom(self._supervisor, self._cli)
        try:
            await room.open(configuration)
        except StatsSocketError as failed:  # connections are served as the new file says; it is told how to ask
            for line in failed.lines:
                self._teller.tell("ALERT", line)
            return
        room, self._room = self._room, room
        await room.close()
        self._configuration = configuration

    # -- the end ----------------------------------------------------------------------------------------------------

    async def _end(self, ended_by: signal.Signals) -> signal.Signals:
        if self._is_master:
            self._teller.tell(*master.EXITING)
        if ended_by is signal.SIGUSR1:
            ended_by = await self._soft_stop()
        if self._is_master and ended_by is not signal.SIGUSR1:
            await self._supervisor.stop(by=ended_by)
        return ended_by

    async def _soft_stop(self) -> signal.Signals:
        """Accept no more, let the connections end; a second signal ends them. Returns what ended the program."""
        again = StopSignals()
        again.install()
        ending = asyncio.create_task(self._finish_softly())
        urged = asyncio.create_task(again.wait())
        await asyncio.wait([ending, urged], return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            urged.cancel()
            return signal.SIGUSR1
        ending.cancel()
        return urged.result()

    async def _finish_softly(self) -> None:
        grace = self._configuration.process.grace
        if grace:
            self._teller.tell("NOTICE", f"Scheduling a soft-stop in {round(grace * 1000)} ms.")
            await asyncio.sleep(grace)
            self._teller.tell("NOTICE", "Grace period expired, proceeding with soft-stop now.")
        await self._room.close()  # its ports are free for a successor, as those of all other frontends are
        await self._supervisor.soft_stop()

    # -- what is told -----------------------------------------------------------------------------------------------

    def _status(self, words: Sequence[str]) -> Value:
        if words:
            raise ValueError("status takes no arguments")
        return status(self._supervisor.snapshot())

    def _dump_states(self) -> None:
        for line in states(self._supervisor.snapshot()):
            self._tell("notice", line)

    def _cannot_reload(self) -> None:
        self._tell("warning", "SIGUSR2 reloads only with -W or -Ws, as in HAProxy")

    def _not_carried_out(self, number: signal.Signals) -> None:
        self._tell("warning", f"{number.name} is accepted but not carried out by tcpbalancer")

    def _tell_ready(self, words: str) -> None:
        self._service_manager.tell(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={words}")

    def _tell_of_worker(self, event: Event) -> None:
        line = master.worker_line(event)
        if line is not None:
            self._teller.tell(*line)

    def _tell(self, level: str, text: str, proxy: str | None = None) -> None:
        """Log a line; in the foreground what is more than information also goes to stderr, as HAProxy's does."""
        self._log(level, text, proxy)
        if level == "emerg":
            self._teller.tell("ALERT", _NOBODY_LEFT.sub(r"\1 '\2' has", text))
        elif level not in {"info", "debug"}:
            self._teller.tell("WARNING", text)


def exit_status(ended_by: signal.Signals) -> int:
    """Return the exit status of HAProxy's master after a signal."""
    return 130 if ended_by is signal.SIGINT else 0

"""The running program: supervisor, statistics pages and control socket, from the first listener to the last signal.

Laws: what was started is stopped in the opposite order, also when a later start fails. Readiness is told once
everything listens. In the foreground the process keeps its pid and dies by the signal that ended it; with ``-D`` the
parent ends once the child is ready, with ``-W`` the exit status is a number as of HAProxy's master.

Source: HAProxy's management guide, chapter 4 "Stopping and restarting HAProxy"; ``sd_notify(3)``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hakit.control import ControlServer
from hakit.events import EventHub
from hakit.service import AlreadyRunning, Detached, PidFile, StopSignals, detach, die_by, sd_notify, set_process_name
from hakit.transcript import Value
from tcpbalancer.control.states import states
from tcpbalancer.control.status import status
from tcpbalancer.listening import ListenError
from tcpbalancer.log_book import LogBook
from tcpbalancer.model import Configuration, Frontend, Mode
from tcpbalancer.options import DEFAULT_CONTROL, Options
from tcpbalancer.supervisor import Supervisor
from tcpbalancer.worker import allow_all_descriptors

if TYPE_CHECKING:
    from tcpbalancer.control.site import StatisticsSite

PROCESS_NAME = "haproxy"
"""Check scripts look for it (``killall -0 haproxy``), and syslog readers for this tag."""
_NOBODY_LEFT = re.compile(r"^(proxy|backend) (\S+) has")
"""On stderr HAProxy puts quotes around the name, in the log it does not."""


class Teller(Protocol):
    """Says what goes wrong on the way."""

    @property
    def program(self) -> str:
        """The path of the program."""

    def alert(self, text: str) -> None:
        """Print a reason why the program ends."""

    def warning(self, text: str) -> None:
        """Print something that may not be as it should."""

    def tell(self, level: str, text: str) -> None:
        """Print a message of a level (ALERT, WARNING) while the program runs; never waits, never raises."""


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


def run(configuration: Configuration, options: Options, teller: Teller) -> int:
    """Run until a signal; returns the exit status, or ends by that signal."""
    background = (options.daemon or configuration.daemon) and not (options.foreground or options.debug)
    told = detach() if background else None
    set_process_name(PROCESS_NAME)
    path = options.pidfile or configuration.pidfile
    pid_file = None if path is None else PidFile(Path(path))
    try:
        if pid_file is not None:
            _acquire(pid_file, teller)
        allow_all_descriptors()
        program = Program(configuration, options, teller)
        ended_by = asyncio.run(program.run(told))
    except StartError as failed:
        for line in failed.lines:
            teller.alert(line)
        return 1
    finally:
        if pid_file is not None:
            pid_file.release(remove=False)  # HAProxy leaves it, and the lock tells a stale one from a living one
    if ended_by is signal.SIGUSR1:
        return 0
    if options.master:
        return 130 if ended_by is signal.SIGINT else 0
    return die_by(ended_by)


def _acquire(pid_file: PidFile, teller: Teller) -> None:
    try:
        pid_file.acquire()
    except AlreadyRunning as other:
        raise StartError([f"[{teller.program}.main()] {other}"]) from other
    except OSError as failed:
        problem = f"Cannot write pid file {pid_file.path}: {failed.strerror}"
        raise StartError([f"[{teller.program}.main()] {problem}"]) from failed


class Program:
    """Everything that runs in the supervisor's process."""

    def __init__(self, configuration: Configuration, options: Options, teller: Teller) -> None:
        self._configuration = configuration
        self._options = options
        self._teller = teller
        self._hub = EventHub("tcpbalancer")
        self._log = LogBook(configuration, teller.warning)
        self._supervisor = Supervisor(configuration, self._hub, self._tell)
        self._pages: list[StatisticsSite] = []

    async def run(self, detached: Detached | None) -> signal.Signals:
        """Start, serve until a signal comes, stop; returns the signal. Raises StartError."""
        stop = StopSignals(signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
        stop.install()
        loop = asyncio.get_running_loop()
        logging.getLogger().addHandler(Troubles(self._tell))
        loop.add_signal_handler(signal.SIGHUP, self._dump_states)
        for number in (signal.SIGUSR2, signal.SIGQUIT):
            loop.add_signal_handler(number, self._not_carried_out, number)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._log.close)
            await self._start(stack)
            sd_notify(f"READY=1\nMAINPID={os.getpid()}\nSTATUS=Ready.")
            if detached is not None:
                detached.ready()
            ended_by = await stop.wait()
            sd_notify("STOPPING=1")
            if ended_by is signal.SIGUSR1:
                ended_by = await self._soft_stop()
        return ended_by

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        # The control socket is the last to go, so that whoever listens there hears the end.
        await self._start_control(stack)
        try:
            await self._supervisor.start()
            stack.push_async_callback(self._supervisor.stop)
            for frontend in self._configuration.frontends.values():
                if frontend.mode is Mode.HTTP and frontend.binds:
                    await self._start_page(frontend, stack)
        except ListenError as failed:
            last = f"[{self._teller.program}.main()] Some protocols failed to start their listeners! Exiting."
            raise StartError([*failed.lines, last]) from failed
        except RuntimeError as failed:
            raise StartError([f"[{self._teller.program}.main()] {failed}"]) from failed

    async def _start_page(self, frontend: Frontend, stack: contextlib.AsyncExitStack) -> None:
        from tcpbalancer.control.site import StatisticsSite  # aiohttp: only if there is a page

        site = StatisticsSite(frontend, self._supervisor.snapshot, self._supervisor.listening(frontend))
        await site.start()
        stack.push_async_callback(site.stop)
        self._pages.append(site)

    async def _start_control(self, stack: contextlib.AsyncExitStack) -> None:
        path = Path(self._options.control or DEFAULT_CONTROL)
        server = ControlServer(path, self._hub, {"status": self._status})
        try:
            await server.start()
        except OSError as failed:
            problem = failed.strerror or str(failed)
            if self._options.control is not None:
                raise StartError(
                    [f"[{self._teller.program}.main()] Cannot serve --control {path}: {problem}"]
                ) from failed
            self._teller.warning(f"no control socket at {path}: {problem}; name another one with --control PATH")
            return
        stack.push_async_callback(server.stop)

    async def _soft_stop(self) -> signal.Signals:
        """Accept no more, let the connections end; a second signal ends them. Returns what ended the program."""
        for page in self._pages:
            await page.stop()  # its port is free for a successor, as those of all other frontends are
        again = StopSignals()
        again.install()
        ending = asyncio.create_task(self._supervisor.soft_stop())
        urged = asyncio.create_task(again.wait())
        await asyncio.wait([ending, urged], return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            urged.cancel()
            return signal.SIGUSR1
        ending.cancel()
        return urged.result()

    def _status(self, words: Sequence[str]) -> Value:
        if words:
            raise ValueError("status takes no arguments")
        return status(self._supervisor.snapshot())

    def _dump_states(self) -> None:
        for line in states(self._supervisor.snapshot()):
            self._tell("notice", line)

    def _not_carried_out(self, number: signal.Signals) -> None:
        self._tell("warning", f"{number.name} is accepted but not carried out by tcpbalancer")

    def _tell(self, level: str, text: str, proxy: str | None = None) -> None:
        """Log a line; in the foreground what is more than information also goes to stderr, as HAProxy's does."""
        self._log(level, text, proxy)
        if level == "emerg":
            self._teller.tell("ALERT", _NOBODY_LEFT.sub(r"\1 '\2' has", text))
        elif level not in {"info", "debug"}:
            self._teller.tell("WARNING", text)

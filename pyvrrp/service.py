"""The VRRP daemon as a service: from a configuration to a process that runs, is asked, is reloaded and ends.

Laws: nothing is changed on the machine before pid file and control socket are ours. Everything is given back in
reverse, however it ends. A reload reads and checks the whole configuration before it touches anything; a broken one is
told with file, line and column, and the daemon goes on with the one it has.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hakit import VERSION
from hakit import script as scripts
from hakit.diagnostics import ConfigError
from hakit.events import EventHub
from hakit.service import AlreadyRunning, PidFile, StopSignals, detach, sd_notify, set_process_name
from hakit.transcript import Event, Value
from hakit.whole_file import write_whole
from pyvrrp import control_place, process
from pyvrrp.config.load import Loaded, load
from pyvrrp.daemon import Daemon
from pyvrrp.identity import NAME
from pyvrrp.model import Configuration, Script
from pyvrrp.options import CONTROL, SIGNALS, Options
from pyvrrp.preflight import loopback_interfaces
from pyvrrp.status import dumps, logger, opening_lines
from pyvrrp.status.commands import commands
from pyvrrp.status.logger import Logger
from pyvrrp.status.picture import take
from pyvrrp.system import privileges
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.version import KEEPALIVED

SPEAKERS = (NAME, "pyvrrp")
"""The programs that write this pid file, as the kernel knows them."""


def load_configuration(options: Options) -> Loaded:
    """Return what the configuration says, with what the command line sets over it; raises ConfigError."""
    loaded = load(options.file, options.config_id)
    configuration = loaded.configuration
    if options.http is not None:
        configuration = replace(configuration, settings=replace(configuration.settings, http=options.http))
    if options.checkers_only and not options.vrrp:
        configuration = replace(configuration, instances=(), groups=())
    return replace(loaded, configuration=configuration, statements=())


def serve(options: Options, loaded: Loaded) -> int:
    """Run the daemon until it is told to stop; returns 0.

    Raises AlreadyRunning, NoPermissionError, SystemRefusalError, OSError (a pid file, socket or page that cannot be
    had), or an error of our own, when everything has been released.
    """
    detached = None if options.foreground else detach()
    settings = loaded.configuration.settings
    user = privileges.user_to_be(options.run_as)
    set_process_name(settings.process.name or NAME)
    namespace = options.namespace or settings.namespace
    if namespace is not None:
        process.enter_namespace(namespace)
    paths = process.pid_paths(options, settings.instance_name, namespace, in_folder=settings.use_pid_dir)
    with ExitStack() as held:
        try:
            for path in paths:
                _own(held, path)
        except (AlreadyRunning, OSError) as refused:
            log_refusal(options, [str(refused)])
            raise
        process.take_short_turns()
        refusals = process.apply(settings.process, options.umask)
        program = Program(options, loaded, refusals, user)
        asyncio.run(program.run(detached.ready if detached else lambda: None))
    return 0


def log_refusal(options: Options, lines: Iterable[str]) -> None:
    """Tell the log why nothing runs: who starts a daemon in the background looks there. The console is the caller's."""
    hub = EventHub("pyvrrp")
    with suppress(OSError):
        hub.listen(_logger(replace(options, console=False)))
    for line in lines:
        hub.publish("warning", line)


def _own(held: ExitStack, path: Path) -> None:
    try:
        if path.parent.name == NAME:
            path.parent.mkdir(mode=0o755, exist_ok=True)
        held.enter_context(PidFile(path, others=SPEAKERS))
    except OSError as refused:
        raise OSError(f"the pid file {path} cannot be written: {refused.strerror}") from refused


class Program:
    """Everything that runs in the process of the daemon."""

    def __init__(self, options: Options, loaded: Loaded, refusals: list[str], user: privileges.User | None) -> None:
        self._options = options
        self._user = user
        self._kept: frozenset[str] | None = None
        self._loaded = loaded
        self._refusals = refusals
        self._reload: asyncio.Task[Value] | None = None
        self.hub = EventHub("pyvrrp", passing={"advertised"})

    async def run(self, told_ready: Callable[[], None]) -> None:
        """Start, work until a signal says to stop, and give everything back."""
        self.hub.listen(_logger(self._options))
        signals = StopSignals(signal.SIGTERM) if self._options.ignore_interrupt else StopSignals()
        signals.install()
        configuration = self._loaded.configuration
        self._open_log()
        try:
            for found in loopback_interfaces(configuration):
                raise SystemRefusalError(found.message)
            await self._run_script("startup", configuration)
            self._daemon = Daemon(configuration, self.hub, keep_addresses=self._options.keep_addresses)
            self._answer_signals()
            async with AsyncExitStack() as opened:
                await self._open(opened)
                stop = asyncio.ensure_future(signals.wait())
                stop.add_done_callback(self._stopping)
                await self._daemon.run(lambda: self._ready(told_ready), stop)
            await self._run_script("shutdown", self._daemon.configuration)
        except Exception as wrong:
            self.hub.publish("warning", str(wrong))
            raise
        finally:
            for line in process.used() if self._options.detail else ["Stopped"]:
                self.hub.publish("notice", line)
            self.hub.publish("stopped", f"Stopped {KEEPALIVED}")

    async def _open(self, opened: AsyncExitStack) -> None:
        """Open the control socket, and the status pages if there is an address for them."""
        texts = {"data": dumps.data, "stats": dumps.stats, "json": dumps.json_}
        asked = {name: self._text(make) for name, make in texts.items()}
        await control_place.listen(opened, self._options.control, self.hub, commands(self._daemon, self.reload, asked))
        address = self._daemon.configuration.settings.http
        if address is not None:
            from pyvrrp.status.site import StatusSite  # aiohttp is large: only who wants pages pays for it

            site = StatusSite(self._daemon, address)
            await site.start()
            opened.push_async_callback(site.stop)

    def _text(self, make: Callable[[Daemon], str]) -> Callable[[], str]:
        return lambda: make(self._daemon)

    # --- What is said at the start and at the end ------------------------------------------------------------------

    def _open_log(self) -> None:
        for line in opening_lines.starting(self._options.file, [NAME, *sys.argv[1:]], self._loaded.files):
            self.hub.publish("notice", line.text, detail=line.detail)
        self.hub.publish("notice", f"This is pyvrrp {VERSION}, the VRRP of keepalived, pid {os.getpid()}")
        for warning in (*self._options.warnings, *self._refusals):
            self.hub.publish("warning", warning)
        if self._options.checkers_only and not self._options.vrrp:
            self.hub.publish("warning", "Warning - -C asks for the health checker alone: there is none, nothing is run")
        for found in self._loaded.warnings:
            self.hub.publish("warning", found.summary())

    def _ready(self, told_ready: Callable[[], None]) -> None:
        picture = take(self._daemon)
        for line in opening_lines.sockets(picture):
            self.hub.publish("notice", line.text, detail=line.detail)
        if self._options.dump_configuration:
            for text in dumps.data_text(picture).splitlines():
                self.hub.publish("notice", text)
        self._give_up_root()
        self.hub.publish("ready", "Startup complete")
        # To look through all that has been loaded for garbage takes longer than three advertisements a hundredth of a
        # second apart; it is none, and is not looked through any more.
        gc.freeze()
        self._tell_manager("READY=1")
        self.hub.listen(self._on_event)
        told_ready()

    def _give_up_root(self) -> None:
        """Everything is open: be the user who was asked for, with what the configuration needs and nothing else."""
        user, configuration = self._user, self._daemon.configuration
        if user is None:
            return
        privileges.hand_over(CONTROL.parent, dumps.paths(take(self._daemon)).values(), user)
        self._kept = privileges.needed_by(configuration, user.uid, user.gid)
        privileges.become(user, self._kept)
        self.hub.publish("notice", privileges.in_words(user, self._kept))
        for path in self._loaded.files:
            if not os.access(path, os.R_OK):
                self.hub.publish("warning", f"user {user.name} cannot read {path}: a reload would be refused")

    def _refuse_rights(self, configuration: Configuration) -> None:
        """Raise SystemRefusalError if a reload needs what was given up."""
        if self._user is None or self._kept is None:
            return
        lacking = privileges.needed_by(configuration, self._user.uid, self._user.gid) - self._kept
        if lacking:
            names = ", ".join(sorted(lacking)).upper()
            raise SystemRefusalError(f"it needs {names}, which user {self._user.name} has given up: restart the daemon")

    def _on_event(self, event: Event) -> None:
        if event.event == "transition":
            self._tell_manager()

    def _tell_manager(self, *lines: str) -> None:
        """Tell systemd, if it listens, and with it how many instances are in which state."""
        states = [router.machine.state.name for router in self._daemon.routers.values()]
        counted = ", ".join(f"{states.count(name)} {name}" for name in sorted(set(states))) or "none"
        sd_notify("\n".join((*lines, f"STATUS=instances: {counted}")))

    def _stopping(self, stop: asyncio.Future[signal.Signals]) -> None:
        if stop.cancelled():
            return
        self.hub.publish("notice", "Stopping")
        self._tell_manager("STOPPING=1")

    async def _run_script(self, which: str, configuration: Configuration) -> None:
        settings = configuration.settings
        script: Script | None = getattr(settings, f"{which}_script")
        if script is None:
            return
        timeout: float = getattr(settings, f"{which}_script_timeout")
        self.hub.publish("notice", f"Running {which} script {script}")
        wrong = scripts.insecurity_of(script.words, script.user) if settings.script_security else None
        if wrong is not None:
            self.hub.publish("warning", f"{which} script was not run: {wrong}")
            return
        outcome = await scripts.run(script.words, timeout=timeout, user=script.user, group=script.group)
        words = "succeeded" if outcome.succeeded else outcome.words
        self.hub.publish("notice" if outcome.succeeded else "warning", f"{which} script {words}")

    # --- Signals ----------------------------------------------------------------------------------------------------

    def _answer_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name, answer in (
            ("RELOAD", self._reload_on_signal),
            ("DATA", self._dump_data),
            ("STATS", self._dump_statistics),
            ("JSON", self._dump_json),
            ("STATS_CLEAR", self._clear_statistics),
            ("TDUMP", self._dump_tasks),
        ):
            loop.add_signal_handler(SIGNALS[name], answer)
        if self._options.ignore_interrupt:
            loop.add_signal_handler(signal.SIGINT, lambda: None)

    def _dump_data(self) -> None:
        pid = os.getpid()
        self.hub.publish("notice", f"Printing parent data for process({pid}) on signal")
        self._dump("parent", dumps.parent_data)
        self.hub.publish("notice", f"Printing VRRP data for process({pid}) on signal")
        self._dump("data", dumps.data)

    def _dump_statistics(self) -> None:
        self.hub.publish("notice", f"Printing VRRP stats for process({os.getpid()}) on signal")
        self._dump("stats", dumps.stats)

    def _dump_json(self) -> None:
        self.hub.publish("notice", f"Printing VRRP as json for process({os.getpid()}) on signal")
        self._dump("json", dumps.json_)

    def _clear_statistics(self) -> None:
        self.hub.publish("notice", f"Printing and clearing VRRP stats for process({os.getpid()}) on signal")
        self._dump("stats", dumps.stats)
        for router in self._daemon.routers.values():
            router.statistics.clear()

    def _dump(self, which: str, make: Callable[[Daemon], str]) -> None:
        path = dumps.paths(take(self._daemon))[which]
        try:
            write_whole(path, make(self._daemon))
        except OSError as refused:
            words = refused.strerror or str(refused)
            self.hub.publish("warning", f"{path} is not written: {words}; the one before stays as it is")

    def _dump_tasks(self) -> None:
        """Tell what the loop is at: keepalived's thread dump."""
        self.hub.publish("notice", f"Thread dump for process({os.getpid()})")
        now = time.monotonic()
        for task in asyncio.all_tasks():
            self.hub.publish("notice", f"  task {task.get_name()}: {_where(task.get_coro())}")
        for router in self._daemon.routers.values():
            deadline = router.machine.deadline
            due = "no timer" if deadline is None else f"timer in {deadline - now:.6f} s"
            self.hub.publish("notice", f"  {router.instance.name}: {router.machine.state.name}, {due}")

    def _reload_on_signal(self) -> None:
        if self._reload is None or self._reload.done():
            self._reload = asyncio.ensure_future(self._reloaded())
        else:
            self._reload.add_done_callback(lambda _: self._reload_on_signal())

    async def reload(self) -> Value:
        """Read the configuration anew and carry out what differs; raises ValueError if it is broken."""
        self._reload_on_signal()
        assert self._reload is not None
        answer = await asyncio.shield(self._reload)
        if isinstance(answer, dict) and "error" in answer:
            raise ValueError(str(answer["error"]))
        return answer

    async def _reloaded(self) -> Value:
        self.hub.publish("notice", "Reloading ...")
        self._tell_manager("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            # In a thread: adverts go on while a large file is read.
            loaded = await asyncio.to_thread(load_configuration, self._options)
            for line in opening_lines.reading(self._options.file, loaded.files):
                self.hub.publish("notice", line.text, detail=line.detail)
            for found in loaded.warnings:
                self.hub.publish("warning", found.summary())
            self._refuse_rights(loaded.configuration)
            await _carried_out(self._daemon.reload(loaded.configuration))
        except ConfigError as wrong:
            for found in wrong.diagnostics:
                self.hub.publish("warning", found.summary())
            return self._refused_reload(wrong.diagnostics[0].summary())
        except (SystemRefusalError, OSError) as refused:
            self.hub.publish("warning", str(refused))
            return self._refused_reload(str(refused))
        except Exception as wrong:  # noqa: BLE001 - our own error: told; what runs goes on as far as it can
            words = f"internal error in the reload: {type(wrong).__name__}: {wrong}"
            self.hub.publish("warning", words)
            return self._refused_reload(words)
        finally:
            self._tell_manager("READY=1")
        self.hub.publish("notice", "Reload complete")
        return {"done": "the configuration was read anew and carried out"}

    def _refused_reload(self, why: str) -> Value:
        self.hub.publish("reload_refused", "Reload refused: the configuration before stays in force")
        return {"error": f"the configuration before stays in force: {why}"}


async def _carried_out(work: object) -> None:
    if isinstance(work, Coroutine):
        await work


def _where(work: Any) -> str:
    frame = getattr(work, "cr_frame", None)
    name = getattr(work, "__qualname__", str(work))
    return f"{name} at line {frame.f_lineno}" if frame is not None else name


def _logger(options: Options) -> Logger:
    sinks = [logger.console()] if options.console else []
    if options.log_file is not None:
        try:
            sinks.append(logger.file(options.log_file))
        except OSError as refused:
            raise OSError(f"the log file {options.log_file} cannot be written: {refused.strerror}") from refused
    if options.syslog:
        sinks.append(logger.syslog(options.facility))
    return Logger(tuple(sinks), detail=bool(options.detail))

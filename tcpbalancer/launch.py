"""From a configuration to a running process: background, pid file, predecessors, and how the process ends.

Laws: in the plain foreground no pid file is written, as in HAProxy. A pid file is locked as long as its owner lives;
it stays at the end, and the lock tells a stale one from a living one. Predecessors are told to go only when this
process serves, and not at all if it cannot.

Source: HAProxy's management guide, chapters 3 and 4.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from pathlib import Path

from hakit.service import AlreadyRunning, PidFile, detach, die_by, set_process_name
from tcpbalancer.limits import descriptors_needed
from tcpbalancer.model import Configuration
from tcpbalancer.nursery_process import NurseryProcess
from tcpbalancer.options import Options
from tcpbalancer.privileges import who_am_i, whose
from tcpbalancer.program import PROCESS_NAME, Program, StartError, Telling, exit_status
from tcpbalancer.worker import allow_all_descriptors

LEAST = 64
"""Descriptors without which not even the first connection could be served."""


def run(configuration: Configuration, options: Options, teller: Telling) -> int:
    """Run until a signal; returns the exit status, or ends by that signal."""
    background = (options.daemon or configuration.daemon) and not (options.foreground or options.debug)
    is_master = options.master or configuration.process.is_master
    told = detach() if background else None
    set_process_name(PROCESS_NAME)
    path = options.pidfile or configuration.pidfile
    pid_file = PidFile(Path(path)) if path is not None and (background or is_master) else None
    launch = Launch(pid_file, options, teller)
    nursery = NurseryProcess()
    try:
        launch.prepare()
        provide_descriptors(configuration, teller)
        nursery.begin()  # it loads what it needs while we do
        program = Program(configuration, options, teller, is_master=is_master, nursery=nursery)
        ended_by = asyncio.run(program.run(told, launch.started))
    except StartError as failed:
        for line in failed.lines:
            teller.alert(line)
        launch.failed()
        return 1
    finally:
        nursery.end()
        launch.ended()
    if ended_by is signal.SIGUSR1:
        return 0
    return exit_status(ended_by) if is_master else die_by(ended_by)


def provide_descriptors(configuration: Configuration, teller: Telling) -> None:
    """See to it that each process may have as many descriptors as are promised; raises StartError if they are not."""
    process = configuration.process
    needed = descriptors_needed(configuration)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = process.descriptors or (max(needed, hard) if process.promises_maxconn else hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (ValueError, PermissionError):
        problem = f"[{teller.program}.main()] Cannot raise FD limit to {wanted}, limit is {hard}."
        if process.strict_limits:
            raise StartError([problem]) from None
        teller.warning(problem)
        allow_all_descriptors()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit < LEAST:
        problem = f"FD limit ({limit}) too low to start at all: please raise 'ulimit -n' to {LEAST} or more."
        raise StartError([f"[{teller.program}.main()] {problem}"])
    if process.promises_maxconn and limit < needed:
        promise = f"maxconn={configuration.maxconn}/maxsock={needed}"
        problem = f"FD limit ({limit}) too low for {promise}. Please raise 'ulimit-n' to {needed} or more to avoid any"
        teller.alert(f"[{teller.program}.main()] {problem} trouble.")


class Launch:
    """The pid file and the predecessors of a start."""

    def __init__(self, pid_file: PidFile | None, options: Options, teller: Telling) -> None:
        self._pid_file = pid_file
        self._options = options
        self._teller = teller
        self._follows = options.succeeds

    def prepare(self) -> None:
        """Take the pid file, so that a second instance ends here; a successor gets it once it serves."""
        if not self._follows:
            self._take_pid_file()

    def started(self) -> None:
        """The process serves: write the pid file, and let those go who served before. Raises StartError."""
        if self._follows:
            if self._pid_file is not None:
                self._pid_file.path.unlink(missing_ok=True)  # its owner keeps the lock on the file that was there
            self._take_pid_file()
        for pids, number in ((self._options.finish, signal.SIGUSR1), (self._options.terminate, signal.SIGTERM)):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass  # it has ended already: there is nothing to wait for
                except PermissionError:
                    self._teller.warning(f"process {pid} is not ours: it cannot be told to end")

    def failed(self) -> None:
        """The process does not serve: nothing of it stays."""
        if self._pid_file is not None and not self._follows:
            self._pid_file.release()

    def ended(self) -> None:
        """Give the pid file's lock back; the file stays, as HAProxy's does."""
        if self._pid_file is not None:
            self._pid_file.release(remove=False)

    def _take_pid_file(self) -> None:
        if self._pid_file is None:
            return
        try:
            self._pid_file.acquire()
        except AlreadyRunning as other:
            raise StartError([f"[{self._teller.program}.main()] {other}"]) from other
        except OSError as failed:
            problem = f"Cannot create pidfile {self._pid_file.path} : {failed.strerror}"
            if isinstance(failed, PermissionError):
                problem = f"{problem}. {whose(str(self._pid_file.path.parent))}; this is {who_am_i()}"
            raise StartError([f"[{self._teller.program}.main()] {problem}"]) from failed

"""The command line of the VRRP daemon: keepalived's flags, as far as they concern VRRP.

Exit status, as keepalived(8) has it: 0 ended well, 1 wrong option, 2 configuration, 4 no permission, 6 no
configuration file, 70 an error of our own. ``-t`` ends with 5 where keepalived would complain, with 6 if only scripts
cannot be run, with 2 for a keyword without its parameter. Unlike keepalived, an instance that is running already is an
error (1), in the background, too.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hakit import VERSION
from hakit.diagnostics import ConfigError
from pyvrrp.config.keywords import MISSING_PARAMETER
from pyvrrp.config.load import Loaded, load
from pyvrrp.status import logger
from pyvrrp.status.logger import Logger

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from hakit.events import EventHub

REPORTED = "2.2.7"
"""The version of keepalived whose configuration and log lines this is; clients read it as a number."""
CONFIGURATION = Path("/etc/keepalived/keepalived.conf")
PID_FILE = Path("/run/keepalived.pid")
CONTROL = Path("/run/pyvrrp/control.sock")
SPEAKERS = ("keepalived", "pyvrrp")
"""The programs that write this pid file, as the kernel knows them."""
EXIT_USAGE, EXIT_CONFIG, EXIT_NO_PERMISSION, EXIT_SOFTWARE = 1, 2, 4, 70
EXIT_TEST_FAILED, EXIT_SCRIPTS, EXIT_NO_FILE = 5, 6, 6


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"pyvrrp: {message}; see pyvrrp --help\n")


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="pyvrrp", description="A VRRP daemon that reads keepalived.conf.", allow_abbrev=False)
    add = parser.add_argument
    add("-f", "--use-file", metavar="FILE", type=Path, default=CONFIGURATION, help="keepalived.conf or YAML")
    add("-t", "--config-test", action="store_true", help="check the configuration and end")
    add("-n", "--dont-fork", action="store_true", help="stay in the foreground")
    add("-l", "--log-console", action="store_true", help="log to stderr")
    add("-g", "--log-file", metavar="FILE", type=Path, help="log to a file")
    add("-G", "--no-syslog", action="store_true", help="do not log to syslog")
    add("-D", "--log-detail", action="store_true", help="log in detail")
    add("-P", "--vrrp", action="store_true", help="VRRP only (there is nothing else: accepted for keepalived's sake)")
    add("-p", "--pid", metavar="FILE", type=Path, default=PID_FILE, help=f"pid file (default {PID_FILE})")
    add("-r", "--vrrp_pid", metavar="FILE", help="accepted for keepalived's sake: there is one process")
    add("--control", metavar="PATH", type=Path, default=CONTROL, help=f"control socket (default {CONTROL})")
    add("-v", "--version", action="store_true", help="print the version")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Run the daemon; returns its exit status."""
    options = _arguments(words)
    if options.version:
        print(f"Keepalived v{REPORTED} - as reported by pyvrrp\n\nThis is pyvrrp {VERSION}.", file=sys.stderr)
        return 0
    try:
        loaded = load(options.use_file)
    except ConfigError as wrong:
        return _refuse(wrong, tested=options.config_test)
    if options.config_test:
        return _report_test(loaded)
    return _serve(options, loaded)


def _refuse(wrong: ConfigError, *, tested: bool) -> int:
    for found in wrong.diagnostics:
        print(found.render(), file=sys.stderr)
    if not any(found.location.line for found in wrong.diagnostics):
        return EXIT_NO_FILE
    lacks_parameter = any(MISSING_PARAMETER in found.message for found in wrong.diagnostics)
    return EXIT_TEST_FAILED if tested and not lacks_parameter else EXIT_CONFIG


def _report_test(loaded: Loaded) -> int:
    from pyvrrp.preflight import missing_interfaces, unusable_scripts

    interfaces = list(missing_interfaces(loaded.configuration))
    scripts = list(unusable_scripts(loaded.configuration))
    for found in (*loaded.warnings, *interfaces, *scripts):
        print(found.render(), file=sys.stderr)
    if interfaces or any(not found.advice for found in loaded.warnings):
        return EXIT_TEST_FAILED  # keepalived, too, counts its warnings as errors; ours alone are advice
    return EXIT_SCRIPTS if scripts else 0


def _serve(options: argparse.Namespace, loaded: Loaded) -> int:
    import asyncio

    from hakit.service import AlreadyRunning, PidFile, detach, set_process_name
    from pyvrrp.system.errors import NoPermissionError, SystemRefusalError

    detached = None if options.dont_fork else detach()
    set_process_name("pyvrrp")
    pid_file = PidFile(options.pid, others=SPEAKERS)
    try:
        pid_file.acquire()
    except AlreadyRunning as running:
        return _fail(f"{running}; stop it first, or give this one another -p FILE", EXIT_USAGE)
    except OSError as refused:
        return _fail(f"the pid file {options.pid} cannot be written: {refused.strerror}", EXIT_USAGE)
    try:
        return asyncio.run(_run(options, loaded, detached.ready if detached else lambda: None))
    except NoPermissionError as refused:
        return _fail(str(refused), EXIT_NO_PERMISSION)
    except SystemRefusalError as refused:
        return _fail(str(refused), EXIT_CONFIG)
    except OSError as refused:
        return _fail(str(refused), EXIT_USAGE)
    except Exception as wrong:  # noqa: BLE001 - our own error: everything has been released, and now it is told
        return _fail(f"internal error, all addresses are released: {type(wrong).__name__}: {wrong}", EXIT_SOFTWARE)
    finally:
        pid_file.release()


def _fail(message: str, status: int) -> int:
    print(f"pyvrrp: {message}", file=sys.stderr)
    return status


async def _run(options: argparse.Namespace, loaded: Loaded, told_ready: Callable[[], None]) -> int:
    import asyncio

    from hakit.control import ControlServer
    from hakit.events import EventHub
    from hakit.service import StopSignals, sd_notify
    from pyvrrp.daemon import Daemon

    hub = EventHub("pyvrrp", passing={"advertised"})
    hub.listen(_logger(options))
    signals = StopSignals()
    signals.install()
    _survive_signals(asyncio.get_running_loop(), hub)
    hub.publish("notice", f"Starting pyvrrp {VERSION} (the VRRP of keepalived v{REPORTED}), pid {os.getpid()}")
    hub.publish("notice", f"Configuration file {options.use_file}")
    for found in loaded.warnings:
        hub.publish("warning", found.summary())
    daemon = Daemon(loaded.configuration, hub)
    control = ControlServer(options.control, hub, {"status": lambda _: daemon.status()})

    def ready() -> None:
        hub.publish("ready", "Startup complete")
        sd_notify("READY=1")
        told_ready()

    try:
        await control.start()
        stop = asyncio.ensure_future(signals.wait())
        stop.add_done_callback(lambda told: told.cancelled() or hub.publish("notice", "Stopping"))
        await daemon.run(ready, stop)
    except Exception as wrong:
        hub.publish("warning", str(wrong))
        raise
    finally:
        await control.stop()
    hub.publish("stopped", "Stopped pyvrrp")
    return 0


def _logger(options: argparse.Namespace) -> Logger:
    sinks = [logger.console()] if options.log_console else []
    if options.log_file:
        sinks.append(logger.file(options.log_file))
    if not options.no_syslog:
        sinks.append(logger.syslog())
    return Logger(tuple(sinks), detail=options.log_detail)


def _survive_signals(loop: AbstractEventLoop, hub: EventHub) -> None:
    """Answer what keepalived answers to with a dump or a reload: whoever sends it must not end the daemon."""
    names = {
        signal.SIGHUP: "reload",
        signal.SIGUSR1: "a dump of its data",
        signal.SIGUSR2: "a dump of its statistics",
        signal.SIGRTMIN + 2: "a dump as JSON",
        signal.SIGRTMAX - 1: "clearing the statistics",
        signal.SIGRTMAX: "a dump of its threads",
    }
    for number, name in names.items():
        words = f"Warning - signal {int(number)} ({name}) is not supported by this version: nothing changes"
        loop.add_signal_handler(number, hub.publish, "warning", words)


if __name__ == "__main__":
    raise SystemExit(main())

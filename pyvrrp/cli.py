"""The command line of the VRRP daemon: keepalived's flags, as far as they concern VRRP.

Exit status, as keepalived(8) has it: 0 ended well, 1 wrong option, 2 configuration, 4 no permission, 6 no
configuration file; ``-t`` ends with 5 where keepalived would complain. Unlike keepalived, an instance that is running
already is an error (1).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from hakit.diagnostics import ConfigError, Diagnostic
from pyvrrp.config.load import Loaded, load

VERSION = "2.2.7"
"""The version of keepalived whose configuration and log lines this is; clients read it as a number."""
CONFIGURATION = Path("/etc/keepalived/keepalived.conf")
PID_FILE = Path("/run/keepalived.pid")
CONTROL = Path("/run/pyvrrp/control.sock")
EXIT_USAGE, EXIT_CONFIG, EXIT_NO_PERMISSION, EXIT_TEST_FAILED, EXIT_NO_FILE = 1, 2, 4, 5, 6


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
        print(f"Keepalived v{VERSION} (pyvrrp)\n\nVRRP of keepalived's configuration, in Python.", file=sys.stderr)
        return 0
    try:
        loaded = load(options.use_file)
    except ConfigError as wrong:
        return _refuse(wrong)
    if options.config_test:
        return _report_test(loaded)
    if not options.dont_fork and not _detach():
        return 0
    return _serve(options, loaded)


def _refuse(wrong: ConfigError) -> int:
    for found in wrong.diagnostics:
        print(found.render(), file=sys.stderr)
    missing_file = not any(found.location.line for found in wrong.diagnostics)
    return EXIT_NO_FILE if missing_file else EXIT_CONFIG


def _report_test(loaded: Loaded) -> int:
    for found in loaded.warnings:
        print(found.render(), file=sys.stderr)
    return EXIT_TEST_FAILED if any(_keepalived_would_complain(found) for found in loaded.warnings) else 0


def _keepalived_would_complain(found: Diagnostic) -> bool:
    return not found.advice


def _detach() -> bool:
    """Go to the background, as keepalived does without ``-n``; returns False in the process that was started."""
    from hakit.service import detach

    return detach()


def _serve(options: argparse.Namespace, loaded: Loaded) -> int:
    import asyncio

    from hakit.service import AlreadyRunning, PidFile, set_process_name

    set_process_name("pyvrrp")
    try:
        with PidFile(options.pid):
            return asyncio.run(_run(options, loaded))
    except AlreadyRunning as running:
        return _fail(f"{running}; stop it first, or give this one another -p FILE", EXIT_USAGE)
    except PermissionError as refused:
        return _fail(f"{refused}: run as root", EXIT_NO_PERMISSION)
    except OSError as refused:
        return _fail(str(refused), EXIT_USAGE)


def _fail(message: str, status: int) -> int:
    print(f"pyvrrp: {message}", file=sys.stderr)
    return status


async def _run(options: argparse.Namespace, loaded: Loaded) -> int:
    import asyncio

    from hakit.control import ControlServer
    from hakit.events import EventHub
    from hakit.service import StopSignals, sd_notify
    from pyvrrp.daemon import Daemon
    from pyvrrp.status import logger
    from pyvrrp.system.errors import SystemRefusalError

    sinks = [logger.console()] if options.log_console else []
    if options.log_file:
        sinks.append(logger.file(options.log_file))
    if not options.log_console and not options.no_syslog:
        sinks.append(logger.syslog())
    hub = EventHub("pyvrrp")
    hub.listen(logger.Logger(tuple(sinks), detail=options.log_detail))
    signals = StopSignals()
    signals.install()
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGHUP,
        lambda: hub.publish("warning", "Warning - reload is not supported by this version: restart instead"),
    )
    hub.publish("notice", f"Starting pyvrrp (keepalived v{VERSION}'s VRRP), pid {os.getpid()}")
    hub.publish("notice", f"Configuration file {options.use_file}")
    for found in loaded.warnings:
        hub.publish("warning", found.summary())
    daemon = Daemon(loaded.configuration, hub)
    control = ControlServer(options.control, hub, {"status": lambda _: daemon.status()})

    def ready() -> None:
        hub.publish("ready", "Startup complete")
        sd_notify("READY=1")

    try:
        await control.start()
        stop = asyncio.ensure_future(signals.wait())
        stop.add_done_callback(lambda _: hub.publish("notice", "Stopping"))
        await daemon.run(ready, stop)
    except SystemRefusalError as refused:
        hub.publish("warning", str(refused))
        return _fail(str(refused), EXIT_NO_PERMISSION if "permission" in str(refused) else EXIT_CONFIG)
    finally:
        await control.stop()
    hub.publish("stopped", "Stopped pyvrrp")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

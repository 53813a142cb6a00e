"""The command line of the VRRP daemon: keepalived's flags, and the verbs of ``VERBS``.

Exit status, as keepalived(8) has it: 0 ended well, 1 wrong option, 2 configuration, 4 no permission, 6 no
configuration file, 70 an error of our own. ``-t`` ends with 5 where keepalived would complain, with 6 if only scripts
cannot be run (keepalived's 6 hides a 5; here the configuration's own errors come first), with 2 for a keyword without
its parameter, and never with 0 for a file that cannot be read. Unlike keepalived, an instance that is running already
is an error (1), in the background, too.

Imports at the top are few on purpose: the daemon starts itself anew under keepalived's name before it does anything
else (``identity``), and what is imported before that is imported twice.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from pyvrrp.identity import become_keepalived
from pyvrrp.options import SIGNALS, Options, UsageError, read_options, usage

if TYPE_CHECKING:
    from hakit.diagnostics import ConfigError
    from pyvrrp.config.load import Loaded

EXIT_USAGE, EXIT_CONFIG, EXIT_NO_PERMISSION, EXIT_SOFTWARE = 1, 2, 4, 70
EXIT_TEST_FAILED, EXIT_SCRIPTS, EXIT_NO_FILE = 5, 6, 6
EXIT_UNHEARD = 141
"""Of a verb to whose end nobody has listened: as a shell has it for a program that SIGPIPE has ended."""
VERBS = {
    "ctl": "pyvrrp.ctl",
    "convert": "pyvrrp.config.convert",
    "doctor": "pyvrrp.consult",
    "simulate": "pyvrrp.rehearse",
}
"""First words that are no flags, and the modules that carry them out: imported when they are asked for."""


def main(words: Sequence[str] | None = None) -> int:
    """Run the daemon, or do what else the words ask for; returns the exit status."""
    given = list(sys.argv[1:] if words is None else words)
    if given and given[0] in VERBS:
        return _do(VERBS[given[0]], given[1:])
    try:
        options = read_options(given)
    except UsageError as wrong:
        print(wrong, file=sys.stderr)
        return EXIT_USAGE
    if options.action != "run":
        return _answer(options)
    if words is None:
        become_keepalived()
    return _serve(options)


def _do(module: str, words: list[str]) -> int:
    from importlib import import_module

    try:
        status: int = import_module(module).main(words)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_UNHEARD
    return status


def _answer(options: Options) -> int:
    """Do what needs no daemon: version, help, the number of a signal, the test of a configuration."""
    match options.action:
        case "version":
            from pyvrrp.version import version_text

            print(version_text(), end="", file=sys.stderr)
            return 0
        case "help":
            print(usage("pyvrrp"), end="", file=sys.stderr)
            return 0
        case "signum":
            if options.signal_name not in SIGNALS:
                print(f"Unknown sigfunc {options.signal_name}", file=sys.stderr)
                return EXIT_USAGE
            print(int(SIGNALS[options.signal_name]))
            return 0
        case _:
            return _test(options)


def _test(options: Options) -> int:
    if options.findings_file is None:
        return _report(options, sys.stderr)
    try:
        with options.findings_file.open("w", encoding="utf-8") as findings:
            return _report(options, findings)
    except OSError as refused:
        print(f"pyvrrp: {options.findings_file} cannot be written: {refused.strerror}", file=sys.stderr)
        return EXIT_USAGE


def _report(options: Options, findings: TextIO) -> int:
    from hakit.diagnostics import ConfigError
    from pyvrrp.preflight import loopback_interfaces, missing_interfaces, unusable_scripts
    from pyvrrp.service import load_configuration

    try:
        loaded = load_configuration(options)
    except ConfigError as wrong:
        return refuse(wrong, findings, tested=True)
    interfaces = [*loopback_interfaces(loaded.configuration), *missing_interfaces(loaded.configuration)]
    scripts = list(unusable_scripts(loaded.configuration))
    for found in (*loaded.warnings, *interfaces, *scripts):
        print(found.render(), file=findings)
    return _status_of(loaded, interfaces=bool(interfaces), scripts=bool(scripts))


def _status_of(loaded: Loaded, *, interfaces: bool, scripts: bool) -> int:
    if interfaces or any(not found.advice for found in loaded.warnings):
        return EXIT_TEST_FAILED  # keepalived, too, counts its warnings as errors; ours alone are advice
    return EXIT_SCRIPTS if scripts else 0


def refuse(wrong: ConfigError, findings: TextIO, *, tested: bool) -> int:
    """Tell what is wrong with a configuration; returns the exit status."""
    from pyvrrp.config.keywords import MISSING_PARAMETER

    for found in wrong.diagnostics:
        print(found.render(), file=findings)
    if not any(found.location.line for found in wrong.diagnostics):
        return EXIT_NO_FILE
    lacks_parameter = any(MISSING_PARAMETER in found.message for found in wrong.diagnostics)
    return EXIT_TEST_FAILED if tested and not lacks_parameter else EXIT_CONFIG


def _serve(options: Options) -> int:
    from hakit.diagnostics import ConfigError
    from hakit.service import AlreadyRunning
    from pyvrrp import service
    from pyvrrp.system.errors import NoPermissionError, SystemRefusalError

    try:
        loaded = service.load_configuration(options)
    except ConfigError as wrong:
        service.log_refusal(options, (found.summary() for found in wrong.diagnostics))
        return refuse(wrong, sys.stderr, tested=False)
    try:
        return service.serve(options, loaded)
    except AlreadyRunning as running:
        return _fail(f"{running}; stop it first, or give this one another -p FILE", EXIT_USAGE)
    except NoPermissionError as refused:
        return _fail(str(refused), EXIT_NO_PERMISSION)
    except SystemRefusalError as refused:
        return _fail(str(refused), EXIT_CONFIG)
    except OSError as refused:
        return _fail(str(refused), EXIT_USAGE)
    except Exception as wrong:  # noqa: BLE001 - our own error: everything has been released, and now it is told
        return _fail(f"internal error, all addresses are released: {type(wrong).__name__}: {wrong}", EXIT_SOFTWARE)


def _fail(message: str, status: int) -> int:
    print(f"pyvrrp: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())

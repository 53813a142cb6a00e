"""The program ``tcpbalancer``: reads flags and files, says what is wrong with them, and runs.

Laws: what ``-c`` and ``-v`` do needs neither asyncio nor aiohttp, and does not import them. Exit statuses are
HAProxy's: 0 valid or ended well, 1 anything wrong, death by the signal itself in the foreground. Nothing is started
before every file was read.

Source: HAProxy's management guide, chapters 3 and 4.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from hakit.diagnostics import ConfigError, Diagnostic
from hakit.logtarget import Console
from tcpbalancer.config.conditions import ConditionError
from tcpbalancer.config.load import condition_holds, load
from tcpbalancer.config.messages import is_notice, line, messages, preamble
from tcpbalancer.config.tokens import TokenError
from tcpbalancer.options import USAGE, Options, UsageError, parse
from tcpbalancer.version import REPORTED, banner


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status; may also end by a signal."""
    try:
        options = parse(sys.argv[1:] if arguments is None else arguments)
    except UsageError as wrong:
        sys.stdout.write(banner() + USAGE)
        print(f"tcpbalancer: {wrong}", file=sys.stderr)
        return 1
    if options.version or options.version_details:
        sys.stdout.write(banner() + (_details() if options.version_details else ""))
        return 0
    teller = Teller(options)
    if options.condition is not None:
        return _check(options.condition, teller)
    if options.folder is not None:
        try:
            os.chdir(options.folder)
        except OSError as failed:
            teller.alert(f"Could not change to directory {options.folder} : {failed.strerror}")
            return 1
    return _start(options, teller)


def _check(condition: str, teller: Teller) -> int:
    try:
        return 0 if condition_holds(condition) else 1
    except TokenError as wrong:
        teller.alert(f"Syntax Error in condition: {wrong}")
    except ConditionError as wrong:
        teller.alert(f"Failed to evaluate condition: {wrong}")
    return 2


def _start(options: Options, teller: Teller) -> int:
    try:
        loaded = load(options.files)
    except ConfigError as wrong:
        teller.findings(wrong.diagnostics)
        return 1
    teller.findings(loaded.warnings)
    for flag in options.not_carried_out:
        teller.warning(f"'{flag}' is accepted but not carried out by tcpbalancer")
    # Advice is ours alone, and HAProxy would have said nothing: it does not count for -dW.
    if options.zero_warning and any(not found.advice for found in loaded.warnings):
        teller.alert("Some warnings were found and 'zero-warning' is set. Aborting.")
        return 1
    if not all(is_notice(found) for found in loaded.warnings):
        teller.say("Warnings were found.")
    if options.check:
        if options.verbose:
            teller.say("Configuration file is valid")
        return 0
    configuration = loaded.configuration
    if not any(frontend.binds for frontend in configuration.frontends.values()):
        teller.alert(f"[{teller.program}.main()] No enabled listener found (check for 'bind' directives) ! Exiting.")
        return 1
    if options.maxconn is not None:
        configuration = replace(configuration, maxconn=options.maxconn)
    from tcpbalancer.program import run  # asyncio, and all that comes with it

    return run(configuration, options, teller)


class Teller:
    """Says things as HAProxy does: with its prefixes on stderr, without on stdout, or not at all with ``-q``."""

    def __init__(self, options: Options) -> None:
        self.program = os.path.realpath(sys.argv[0])
        self._quiet = options.quiet
        self._introduced = False

    def findings(self, found: Sequence[Diagnostic]) -> None:
        """Print what was found in the configuration."""
        for finding in found:
            lines = messages([finding], os.getpid())
            if is_notice(finding) and not self._quiet:
                print("\n".join(lines), file=sys.stderr, flush=True)
            elif not is_notice(finding):
                self._print(lines)

    def alert(self, text: str) -> None:
        """Print a reason why the program ends."""
        self._print([line("ALERT", os.getpid(), text)])

    def warning(self, text: str) -> None:
        """Print something that may not be as it should."""
        self._print([line("WARNING", os.getpid(), text)])

    def tell(self, level: str, text: str) -> None:
        """Print a message while the program runs: whoever reads stderr slowly, or not at all, must not hold it up."""
        if not self._quiet and sys.stderr is not None:  # None: it was closed when the program started
            lines = self._introduce([line(level, os.getpid(), text)])
            Console(sys.stderr.fileno()).write("\n".join(lines).encode("utf-8", "replace"))

    def say(self, text: str) -> None:
        """Print a line on stdout."""
        if not self._quiet:
            print(text, flush=True)

    def _print(self, lines: Sequence[str]) -> None:
        if lines and not self._quiet:
            print("\n".join(self._introduce(lines)), file=sys.stderr, flush=True)

    def _introduce(self, lines: Sequence[str]) -> Sequence[str]:
        if self._introduced:
            return lines
        self._introduced = True
        return [*preamble(os.getpid(), REPORTED, self.program), *lines]


def _details() -> str:
    from tcpbalancer.balance import ALGORITHMS
    from tcpbalancer.config.interpret import READERS
    from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS

    assert READERS
    return (
        f"\nPython {sys.version.split()[0]} ({sys.executable})\n"
        f"Balance algorithms: {', '.join(ALGORITHMS)}\n"
        f"Keywords carried out: {', '.join(sorted({*GLOBAL_KEYWORDS, *KEYWORDS}))}\n"
    )


if __name__ == "__main__":
    sys.exit(main())

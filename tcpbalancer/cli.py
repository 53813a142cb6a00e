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

from hakit.diagnostics import ConfigError
from tcpbalancer.config.conditions import ConditionError
from tcpbalancer.config.load import condition_holds
from tcpbalancer.config.messages import is_notice
from tcpbalancer.config.tokens import TokenError
from tcpbalancer.options import USAGE, Options, UsageError, parse
from tcpbalancer.reading import Unfit, read
from tcpbalancer.teller import Teller
from tcpbalancer.version import banner


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status; may also end by a signal."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["convert"]:
        from tcpbalancer.config.convert import main as convert  # argparse and YAML, for it alone

        return convert(words[1:])
    if words[:1] == ["doctor"]:
        from tcpbalancer.doctor.command import main as doctor  # argparse and the rules, for it alone

        return doctor(words[1:])
    try:
        options = parse(words)
    except UsageError as wrong:
        sys.stdout.write(banner() + USAGE)
        print(f"tcpbalancer: {wrong}", file=sys.stderr)
        return 1
    if options.version or options.version_details:
        sys.stdout.write(banner() + (_details() if options.version_details else ""))
        return 0
    teller = Teller(quiet=options.quiet and not options.verbose)  # -V wins over -q
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
    for flag in options.not_carried_out:
        teller.warning(f"'{flag}' is accepted but not carried out by tcpbalancer")
    try:
        loaded = read(options)
    except ConfigError as wrong:
        teller.findings(wrong.diagnostics)
        return 1
    except Unfit as wrong:
        teller.findings(wrong.warnings)
        teller.alert(str(wrong))
        return 1
    teller.findings(loaded.warnings)
    if not all(is_notice(found) for found in loaded.warnings):
        teller.say("Warnings were found.")
    if options.check:
        if options.verbose:
            teller.say("Configuration file is valid")
        return 0
    if loaded.configuration.process.quiet and not options.verbose:
        teller.hush()
    if not loaded.configuration.has_listeners:
        teller.alert(f"[{teller.program}.main()] No enabled listener found (check for 'bind' directives) ! Exiting.")
        return 1
    from tcpbalancer.launch import run  # asyncio, and all that comes with it

    return run(loaded.configuration, options, teller)


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

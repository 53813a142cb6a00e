"""The keywords of ``global``.

Laws: pure; handlers report and never raise. Several ``global`` sections act as one.

Source: HAProxy's configuration manual, section 3 "Global parameters".
"""

from __future__ import annotations

import re

from tcpbalancer.config.registry import GLOBAL, Reading, keyword
from tcpbalancer.config.values import parse_count

MOST_THREADS = 64
"""Workers of one configuration: as many threads as HAProxy has at the most (``MAX_THREADS``)."""
_INTEGER = re.compile(r"\d{1,9}", re.ASCII)
_NODE = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)


def _number(reading: Reading) -> int | None:
    name = reading.words[0]
    if len(reading.words) < 2:
        reading.error(1, f"'{name}' expects an integer argument.")
        return None
    try:
        value = parse_count(reading.words[1])
    except ValueError as wrong:
        reading.error(1, f"'{name}' : {wrong}")
        return None
    return value if reading.no_more_than(2) else None


def _text(reading: Reading, what: str) -> str | None:
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, f"'{reading.words[0]}' expects {what} as an argument.")
        return None
    return reading.words[1] if reading.no_more_than(2) else None


@keyword("maxconn <count>", GLOBAL, "How many connections the process serves at a time.")
def maxconn(reading: Reading) -> None:
    """Read ``maxconn``; 0 leaves the default."""
    if value := _number(reading):
        reading.whole.maxconn = reading.whole.values["maxconn"] = value


@keyword("nbthread <count>", GLOBAL, "How many worker processes carry the connections; else one a processor.")
def nbthread(reading: Reading) -> None:
    """Read ``nbthread``."""
    text = reading.words[1] if len(reading.words) > 1 else ""
    if not _INTEGER.fullmatch(text):
        reading.error(1, f"'nbthread' passed a missing or unparsable integer value in '{text}'")
        return
    value = _number(reading)
    if value is not None and not 1 <= value <= MOST_THREADS:
        reading.error(1, f"'nbthread' value must be between 1 and {MOST_THREADS} (was {value})")
    elif value is not None:
        reading.whole.nbthread = value


@keyword("daemon", GLOBAL, "Go to the background.")
def daemon(reading: Reading) -> None:
    """Read ``daemon``."""
    if reading.no_more_than(1):
        reading.whole.daemon = True


@keyword("pidfile <path>", GLOBAL, "Where the process writes its number.")
def pidfile(reading: Reading) -> None:
    """Read ``pidfile``."""
    if (path := _text(reading, "a file name")) is not None:
        reading.whole.pidfile = path


@keyword("node <name>", GLOBAL, "The name shown on the statistics page.")
def node(reading: Reading) -> None:
    """Read ``node``."""
    name = reading.words[1] if len(reading.words) > 1 else ""
    if not _NODE.fullmatch(name):
        reading.error(
            1,
            "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) "
            "or underscode(_).",
        )
    elif reading.no_more_than(2):
        reading.whole.node = name


@keyword("description <text>", GLOBAL, "The text shown on the statistics page.")
def description(reading: Reading) -> None:
    """Read ``description``: all words of the line."""
    if len(reading.words) < 2:
        reading.error(1, "'description' expects a string argument.")
    else:
        reading.whole.description = " ".join(reading.words[1:])


@keyword("setenv <name> <value>", GLOBAL, "Set a variable for the lines that follow.")
def setenv(reading: Reading) -> None:
    """Read ``setenv``; it has acted while the file was cut into sections."""
    name = reading.words[0]
    if len(reading.words) < 2:
        reading.error(1, f"'{name}' expects environment variable name.")
    elif len(reading.words) < 3:
        reading.error(2, f"'{name}' expects environment variable value for '{reading.words[1]}'.")
    else:
        reading.no_more_than(3)


keyword("presetenv <name> <value>", GLOBAL, "The same, unless it is set.")(setenv)


@keyword("unsetenv <name>...", GLOBAL, "Remove variables for the lines that follow.")
def unsetenv(reading: Reading) -> None:
    """Read ``unsetenv``; it has acted, too."""
    if len(reading.words) < 2:
        reading.error(1, "'unsetenv' expects at least one variable name.")


@keyword("resetenv [<name>...]", GLOBAL, "Remove all variables but those named, for the lines that follow.")
def resetenv(_: Reading) -> None:
    """Read ``resetenv``; it has acted, too."""

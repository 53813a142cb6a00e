"""HAProxy's command line: its flags are words of one dash, some take a value, and some belong together.

Laws: pure. A flag that HAProxy has and that makes no sense here is accepted without effect; one that would change what
happens, and does not, is named.

Source: HAProxy's management guide, chapter 3 "Starting HAProxy".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

DEFAULT_CONTROL = "/run/tcpbalancer/control.sock"

USAGE = """\
Usage : tcpbalancer [-f <file|folder>]* [-vVqcD] [-d[bW]] [-W|-Ws] [-n <maxconn>] [-p <pidfile>] [--control <path>]
        -f reads a configuration: haproxy.cfg, or YAML if its name ends in .yaml; may be repeated; -- takes the rest
        -c checks the configuration and exits: 0 if it is valid, 1 if not; with -V it says so
        -cc evaluates a condition, as .if does, and exits: 0 if it holds, 1 if not, 2 if it makes no sense
        -db stays in the foreground, -D goes to the background; -d is -db and more words
        -W, -Ws  ends with an exit code, as HAProxy's master does, instead of dying by the signal
        -dW takes warnings for errors
        -q says nothing; -V says more
        -n sets the global maxconn; -p names the pid file; -C changes into a folder first
        --control names the socket of the program's own commands and events
        -v shows the version, -vv what is in it
"""

_PLAIN = {
    "-c": "check",
    "-D": "daemon",
    "-V": "verbose",
    "-q": "quiet",
    "-v": "version",
    "-vv": "version_details",
    "-d": "debug",
    "-db": "foreground",
    "-dW": "zero_warning",
    "-W": "master",
    "-Ws": "master",
}
_VALUED = {"-cc": "condition", "-p": "pidfile", "-C": "folder", "--control": "control"}
_WITHOUT_EFFECT = frozenset(
    {"-de", "-dp", "-ds", "-dS", "-dG", "-dR", "-dV", "-dr", "-dI", "-dL", "-dv", "-dt", "-dZ", "-dD"}
)
_WITHOUT_EFFECT_VALUED = frozenset({"-L", "-m", "-N"})
_NOT_CARRIED_OUT_VALUED = frozenset({"-x", "-S"})


class UsageError(Exception):
    """A command line that makes no sense."""


@dataclass(slots=True)
class Options:
    """What the command line says. ``not_carried_out`` names the flags to warn of."""

    files: list[str] = field(default_factory=list)
    check: bool = False
    daemon: bool = False
    foreground: bool = False
    debug: bool = False
    master: bool = False
    quiet: bool = False
    verbose: bool = False
    version: bool = False
    version_details: bool = False
    zero_warning: bool = False
    maxconn: int | None = None
    pidfile: str | None = None
    folder: str | None = None
    control: str | None = None
    condition: str | None = None
    not_carried_out: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str]) -> Options:
    """Return the options; raises UsageError."""
    options = Options()
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if flag == "--":
            options.files += rest
            rest = []
        elif flag in _PLAIN:
            setattr(options, _PLAIN[flag], True)
        elif flag in {"-sf", "-st"}:
            options.not_carried_out.append(flag)
            while rest and rest[0].isdigit():
                rest.pop(0)
        elif flag in _WITHOUT_EFFECT or flag.startswith(("-dM", "-dK", "-dC")):
            pass
        else:
            _take_value(options, flag, rest)
    if not (options.files or options.version or options.version_details or options.condition is not None):
        raise UsageError("no configuration file: name one with -f")
    return options


def _take_value(options: Options, flag: str, rest: list[str]) -> None:
    known = {"-f", "-n", *_VALUED, *_WITHOUT_EFFECT_VALUED, *_NOT_CARRIED_OUT_VALUED}
    if flag not in known:
        raise UsageError(f"unknown flag '{flag}'")
    if not rest:
        raise UsageError(f"'{flag}' needs a value")
    value = rest.pop(0)
    if flag == "-f":
        options.files.append(value)
    elif flag == "-n":
        if not (value.isascii() and value.isdigit()) or len(value) > 9 or not int(value):
            raise UsageError(f"'-n' needs a number, not '{value}'")
        options.maxconn = int(value)
    elif flag in _VALUED:
        setattr(options, _VALUED[flag], value)
    elif flag in _NOT_CARRIED_OUT_VALUED:
        options.not_carried_out.append(flag)

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
Usage : tcpbalancer [-f <file|folder>]* [-vVqcD] [-d[bWDr]] [-W|-Ws] [-n <maxconn>] [-p <pidfile>]
        [-sf|-st <pid>*] [-x <socket>] [-C <folder>] [--control <path>] [-- <file>*]
        -f reads a configuration: haproxy.cfg, or YAML if its name ends in .yaml; may be repeated; -- takes the rest
        -c checks the configuration and exits: 0 if it is valid, 1 if not; with -V it says so
        -cc evaluates a condition, as .if does, and exits: 0 if it holds, 1 if not, 2 if it makes no sense
        -db stays in the foreground, -D goes to the background; -d is -db and more words
        -W, -Ws  reloads with SIGUSR2 and SIGHUP, as HAProxy's master does, and ends with an exit code as it does
        -dW takes warnings for errors; -dD tells more of what looks suspicious; -dr starts without unresolved servers
        -q says nothing; -V says more
        -sf, -st  let the processes of these numbers finish, or end them, once this one serves
        -x takes the listening sockets over from the process behind this stats socket
        -n sets the global maxconn, -N that of proxies without one; -L names this peer
        -p names the pid file; -C changes into a folder first; -S names the socket of the master's own commands
        --control names the socket of the program's own commands and events
        -v shows the version, -vv what is in it
       tcpbalancer convert ...   haproxy.cfg to YAML and back: tcpbalancer convert --help
       tcpbalancer doctor ...    what a configuration will not do, and why: tcpbalancer doctor --help
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
    "-dD": "diagnose",
    "-dr": "tolerate_unresolved",
    "-dR": "no_reuse_port",
    "-W": "master",
    "-Ws": "master",
}
_VALUED = {
    "-p": "pidfile",
    "-C": "folder",
    "-cc": "condition",
    "-x": "takeover",
    "-S": "master_cli",
    "-L": "local_peer",
    "--control": "control",
}
_COUNTS = {"-n": "maxconn", "-N": "proxy_maxconn"}
_WITHOUT_EFFECT = frozenset(
    {"-de", "-dp", "-ds", "-dS", "-dG", "-dV", "-dI", "-dL", "-dv", "-dt", "-dZ", "-dF", "-da", "-dT"}
)
_NOT_CARRIED_OUT_VALUED = frozenset({"-m"})
_LARGEST_PID = 1 << 22


class UsageError(Exception):
    """A command line that makes no sense."""


@dataclass(slots=True)
class Options:
    """What the command line says. ``not_carried_out`` names the flags to warn of."""

    files: list[str] = field(default_factory=list)
    check: bool = False
    condition: str | None = None
    daemon: bool = False
    foreground: bool = False
    debug: bool = False
    master: bool = False
    master_cli: str | None = None
    quiet: bool = False
    verbose: bool = False
    version: bool = False
    version_details: bool = False
    zero_warning: bool = False
    diagnose: bool = False
    tolerate_unresolved: bool = False
    no_reuse_port: bool = False
    maxconn: int | None = None
    proxy_maxconn: int | None = None
    pidfile: str | None = None
    folder: str | None = None
    local_peer: str | None = None
    takeover: str | None = None
    finish: list[int] = field(default_factory=list)  # -sf
    terminate: list[int] = field(default_factory=list)  # -st
    control: str | None = None
    not_carried_out: list[str] = field(default_factory=list)

    @property
    def succeeds(self) -> bool:
        """Whether there are predecessors, whose place this process takes."""
        return bool(self.finish or self.terminate)


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
            _take_pids(options.finish if flag == "-sf" else options.terminate, flag, rest)
        elif flag in _WITHOUT_EFFECT or flag.startswith(("-dM", "-dK", "-dC", "-dA")):
            pass
        else:
            _take_value(options, flag, rest)
    if not (options.files or options.version or options.version_details or options.condition is not None):
        raise UsageError("no configuration file: name one with -f")
    return options


def _take_pids(pids: list[int], flag: str, rest: list[str]) -> None:
    """Take the numbers behind ``-sf`` or ``-st``: there may be none, as from an empty pid file."""
    while rest and not rest[0].startswith("-"):
        for word in rest.pop(0).split():  # "$(cat pids)" in quotes is one word
            pid = _count(flag, word)
            if not 0 < pid <= _LARGEST_PID:
                raise UsageError(f"'{flag}' needs process numbers, not '{word}'")
            pids.append(pid)


def _take_value(options: Options, flag: str, rest: list[str]) -> None:
    if flag not in {"-f", *_VALUED, *_COUNTS, *_NOT_CARRIED_OUT_VALUED}:
        raise UsageError(f"unknown flag '{flag}'")
    if not rest:
        raise UsageError(f"'{flag}' needs a value")
    value = rest.pop(0)
    if flag == "-f":
        options.files.append(value)
    elif flag in _COUNTS:
        setattr(options, _COUNTS[flag], _count(flag, value) or None)  # 0 leaves the default
    elif flag in _VALUED:
        setattr(options, _VALUED[flag], value)
    else:
        options.not_carried_out.append(flag)


def _count(flag: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise UsageError(f"'{flag}' needs a number, not '{text}'")
    return int(text)

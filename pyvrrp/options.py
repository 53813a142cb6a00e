"""keepalived's command line: its flags in all their spellings, as far as they concern VRRP, and ours.

Laws: pure but for the names of signals. Read as getopt_long(3) reads them: short flags may stand together, a value
behind ``=``, attached to a short flag, or in the next word. An optional value has to be attached. An abbreviated long
flag is taken for what it abbreviates if that is clear. What keepalived takes and this program has no use for is
accepted; flags of parts that are not here give a warning.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

CONFIGURATION = Path("/etc/keepalived/keepalived.conf")
CONTROL = Path("/run/pyvrrp/control.sock")
LOG_FILE = Path("/tmp/keepalived.log")  # noqa: S108 - keepalived's own default
SIGNALS = {
    "STOP": signal.SIGTERM,
    "RELOAD": signal.SIGHUP,
    "DATA": signal.SIGUSR1,
    "STATS": signal.SIGUSR2,
    "STATS_CLEAR": signal.SIGRTMAX - 1,
    "JSON": signal.SIGRTMIN + 2,
    "TDUMP": signal.SIGRTMAX,
}
"""What ``--signum`` is asked for; clients of keepalived send these numbers."""
FACILITIES = {**{f"local{n}": f"local{n}" for n in range(8)}, "user": "user", "daemon": "daemon"}


class UsageError(Exception):
    """A command line that makes no sense; one sentence, worded as keepalived words it where it has words."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says. ``detail`` 0, 1 or 2; ``warnings`` are for the log."""

    action: str = "run"
    file: Path = CONFIGURATION
    foreground: bool = False
    console: bool = False
    detail: int = 0
    facility: str = "daemon"
    log_file: Path | None = None
    flush_log_file: bool = False
    syslog: bool = True
    umask: int | None = None
    keep_addresses: bool = False
    dump_configuration: bool = False
    pid_file: Path | None = None
    vrrp_pid_file: Path | None = None
    namespace: str | None = None
    config_id: str | None = None
    checkers_only: bool = False
    vrrp: bool = False
    ignore_interrupt: bool = False
    findings_file: Path | None = None
    signal_name: str = ""
    control: Path = CONTROL
    http: tuple[str, int] | None = None
    run_as: str | None = None
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Flag:
    """One flag: its letter and name; ``value`` is what its value is called, with ``?`` behind it if optional."""

    letter: str
    name: str
    value: str = ""
    help: str = ""

    @property
    def takes_value(self) -> bool:
        return bool(self.value) and not self.value.endswith("?")


FLAGS = (
    _Flag("f", "use-file", "FILE", f"keepalived.conf or YAML (default {CONFIGURATION})"),
    _Flag("t", "config-test", "FILE?", "check the configuration, tell the findings on stderr (or to FILE), and end"),
    _Flag("n", "dont-fork", "", "stay in the foreground"),
    _Flag("l", "log-console", "", "log to stderr"),
    _Flag("D", "log-detail", "", "log in detail; twice: with every advertisement"),
    _Flag("S", "log-facility", "0-7|local0-7|user|daemon", "facility of syslog (default daemon)"),
    _Flag("g", "log-file", "FILE?", f"log to a file (default {LOG_FILE})"),
    _Flag("", "flush-log-file", "", "write each line of the log file at once (it always is)"),
    _Flag("G", "no-syslog", "", "do not log to syslog"),
    _Flag("u", "umask", "MASK", "umask for the files that are made, in octal"),
    _Flag("P", "vrrp", "", "VRRP only (there is nothing else)"),
    _Flag("C", "check", "", "health checker only: without -P nothing is run"),
    _Flag("B", "no_bfd", "", "accepted: there is no BFD"),
    _Flag("", "all", "", "accepted: there is one process"),
    _Flag("X", "release-vips", "", "accepted: addresses are always released on a stop, unless -V"),
    _Flag("V", "dont-release-vrrp", "", "leave addresses and routes where they are on a stop"),
    _Flag("I", "dont-release-ipvs", "", "accepted: there is no IPVS"),
    _Flag("R", "dont-respawn", "", "accepted: there is no child to respawn"),
    _Flag("d", "dump-conf", "", "log the whole configuration at the start"),
    _Flag("p", "pid", "FILE", "pid file (default /run/keepalived.pid)"),
    _Flag("r", "vrrp_pid", "FILE", "a second pid file: it gets the same pid"),
    _Flag("c", "checkers_pid", "FILE", "accepted: there is no health checker"),
    _Flag("b", "bfd_pid", "FILE", "accepted: there is no BFD"),
    _Flag("a", "address-monitoring", "", "accepted: events tell of every address"),
    _Flag("x", "snmp", "", "accepted with a warning: there is no SNMP"),
    _Flag("A", "snmp-agent-socket", "FILE", "accepted with a warning: there is no SNMP"),
    _Flag("s", "namespace", "NAME", "run in this network namespace (of /run/netns)"),
    _Flag("e", "all-config", "", "a configuration file that is missing is an error (it always is)"),
    _Flag("i", "config-id", "ID", "take the lines with @ID (default: the host name)"),
    _Flag("m", "core-dump", "", "accepted: Python leaves no core"),
    _Flag("M", "core-dump-pattern", "PATTERN?", "accepted: as -m"),
    _Flag("", "signum", "NAME", f"print the number of a signal: {', '.join(SIGNALS)}"),
    _Flag("", "perf", "WHAT?", "accepted"),
    _Flag("", "debug", "WHAT?", "accepted"),
    _Flag("", "no-mem-check", "", "accepted"),
    _Flag("", "ignore-sigint", "", "do not stop on Ctrl-C"),
    _Flag("", "control", "PATH", f"control socket (default {CONTROL})"),
    _Flag("", "http", "ADDRESS:PORT", "serve /health, /ready, /metrics and /events there"),
    _Flag(
        "", "run-as", "USER[:GROUP]", "whom to become once all is open (default pyvrrp if there is one; root: nobody)"
    ),
    _Flag("v", "version", "", "print the version"),
    _Flag("h", "help", "", "print this"),
)
_BY_LETTER = {flag.letter: flag for flag in FLAGS if flag.letter}
_BY_NAME = {flag.name: flag for flag in FLAGS}


def read_options(words: Sequence[str]) -> Options:
    """Return what the words behind the program's name say; raises UsageError."""
    options = Options()
    for flag, value in _flags(words):
        options = _apply(options, flag.name, value)
    return options


def _flags(words: Sequence[str]) -> Iterator[tuple[_Flag, str]]:
    ahead = list(words)
    while ahead:
        word = ahead.pop(0)
        if word.startswith("--") and len(word) > 2:
            name, has_value, value = word[2:].partition("=")
            flag = _long(name)
            if flag.takes_value and not has_value:
                value = _next(ahead, f"--{flag.name}")
            elif has_value and not flag.value:
                raise UsageError(f"--{flag.name} takes no value")
            yield flag, value
        elif word.startswith("-") and len(word) > 1:
            yield from _short(word[1:], ahead)
        else:
            raise UsageError(f"Unexpected argument '{word}'; see --help")


def _long(name: str) -> _Flag:
    if name in _BY_NAME:
        return _BY_NAME[name]
    fitting = [flag for flag in FLAGS if flag.name.startswith(name)]
    if len(fitting) != 1:
        raise UsageError(f"Unknown option --{name}")
    return fitting[0]


def _short(letters: str, ahead: list[str]) -> Iterator[tuple[_Flag, str]]:
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = _BY_LETTER.get(letter)
        if flag is None:
            raise UsageError(f"Unknown option -{letter}")
        if not flag.value:
            yield flag, ""
            continue
        if not letters and (flag.takes_value or (letter == "g" and ahead and not ahead[0].startswith("-"))):
            letters = _next(ahead, f"-{letter}")
        yield flag, letters.removeprefix("=")
        return


def _next(ahead: list[str], flag: str) -> str:
    if not ahead:
        raise UsageError(f"Missing parameter for option {flag}")
    return ahead.pop(0)


def _apply(options: Options, name: str, value: str) -> Options:
    if name in _SETTINGS:
        setting, convert = _SETTINGS[name]
        return replace(options, **{setting: convert(value)})  # type: ignore[arg-type]
    changes: dict[str, dict[str, object]] = {
        "version": {"action": "version"},
        "help": {"action": "help"},
        "signum": {"action": "signum", "signal_name": value},
        "config-test": {"action": "test", "findings_file": Path(value) if value else None},
        "log-detail": {"detail": options.detail + 1},
        "snmp": {"warnings": (*options.warnings, _NO_SNMP)},
        "snmp-agent-socket": {"warnings": (*options.warnings, _NO_SNMP)},
    }
    return replace(options, **changes.get(name, {}))  # type: ignore[arg-type]


def _facility(value: str) -> str:
    name = f"local{value}" if value in {*"01234567"} else value
    if name not in FACILITIES:
        raise UsageError(f"Invalid log facility '{value}'")
    return name


def _umask(value: str) -> int:
    try:
        number = int(value, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o777:
        raise UsageError(f"Invalid umask '{value}'")
    return number


def _http(value: str) -> tuple[str, int]:
    address, _, port = value.rpartition(":")
    if not address or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise UsageError(f"--http wants ADDRESS:PORT, not '{value}'")
    return address.strip("[]"), int(port)


def _yes(_: str) -> bool:
    return True


_NO_SNMP = "Warning - there is no SNMP in this program"
_SETTINGS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "use-file": ("file", Path),
    "pid": ("pid_file", Path),
    "vrrp_pid": ("vrrp_pid_file", Path),
    "log-file": ("log_file", lambda value: Path(value) if value else LOG_FILE),
    "control": ("control", Path),
    "namespace": ("namespace", str),
    "config-id": ("config_id", str),
    "log-facility": ("facility", _facility),
    "umask": ("umask", _umask),
    "http": ("http", _http),
    "run-as": ("run_as", str),
    "dont-fork": ("foreground", _yes),
    "log-console": ("console", _yes),
    "flush-log-file": ("flush_log_file", _yes),
    "no-syslog": ("syslog", lambda _: False),
    "dont-release-vrrp": ("keep_addresses", _yes),
    "dump-conf": ("dump_configuration", _yes),
    "check": ("checkers_only", _yes),
    "vrrp": ("vrrp", _yes),
    "ignore-sigint": ("ignore_interrupt", _yes),
}
"""Flags that only set one field of the options: which, and what becomes of their value."""


def usage(program: str) -> str:
    """Return what ``--help`` prints."""
    lines = [
        f"Usage: {program} [OPTION...]        run the VRRP daemon",
        f"       {program} ctl ...            ask or tell a running one: {program} ctl --help",
        f"       {program} convert ...        keepalived.conf to YAML and back: {program} convert --help",
        f"       {program} doctor FILE...     what will not work in the files of all routers: {program} doctor --help",
        f"       {program} simulate FILE...   what they would do, failure by failure: {program} simulate --help",
        "",
    ]
    for flag in FLAGS:
        value = f"[={flag.value[:-1]}]" if flag.value.endswith("?") else f"={flag.value}" if flag.value else ""
        letter = f"-{flag.letter}, " if flag.letter else "    "
        names = f"  {letter}--{flag.name}{value}"
        lines += [f"{names:30} {flag.help}"] if len(names) < 30 else [names, f"{'':30} {flag.help}"]
    return "\n".join(lines) + "\n"

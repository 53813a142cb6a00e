"""``log-format``: a line with holes, and what fills them at the end of a connection.

Laws: pure. A format is read once, when the configuration is; what is wrong with it is told then, in HAProxy's words.
Filling it in cannot fail: every name has a value for every record. Times are local and English whatever the locale.

Source: HAProxy's configuration manual, section 8.2.6 "Custom log format" (3.x: 8.2.5); the texts, the quoting and the
hexadecimal forms are those that 2.6.12 was seen to write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, ip_address
from types import MappingProxyType

from tcpbalancer.session_log import MONTHS, SessionRecord, log_date

TCPLOG = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
"""What ``option tcplog`` writes."""
CONNECTION = "Connect from %ci:%cp to %fi:%fp (%f/TCP)"
"""What a proxy with a log, but without a format, writes at the start of a connection (``default_tcp``)."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a line can tell beside the record: host name, process number, how many lines the frontend has written.

    ``grows``: the line belongs to a connection that goes on (option logasap): what may still grow has a ``+``.
    """

    host: str = ""
    pid: int = 0
    line_count: int = 0
    grows: bool = False


class FormatError(ValueError):
    """A format that cannot be read; the text is what HAProxy says behind ``failed to parse log-format : ``."""


@dataclass(frozen=True, slots=True)
class Hole:
    """One variable; ``quoted``: texts stand in quotes, ``hexadecimal``: addresses and numbers are in base 16."""

    name: str
    quoted: bool = False
    hexadecimal: bool = False


_Value = Callable[[SessionRecord, Circumstances], str | int]


def _tries(record: SessionRecord, _: Circumstances) -> str:
    return f"+{record.retries}" if record.redispatched else str(record.retries)


def _gmt(record: SessionRecord, _: Circumstances) -> str:
    return _second(datetime.fromtimestamp(record.accepted_at, UTC)) + " +0000"


def _local(record: SessionRecord, _: Circumstances) -> str:
    local = datetime.fromtimestamp(record.accepted_at).astimezone()
    return f"{_second(local)} {local:%z}"


def _second(at: datetime) -> str:
    return f"{at.day:02d}/{MONTHS[at.month - 1]}/{at:%Y:%H:%M:%S}"


def _transfer(record: SessionRecord, _: Circumstances) -> int:
    return -1 if record.connect_ms < 0 else record.total_ms - record.wait_ms - record.connect_ms


_GROWING = frozenset({"Tt", "Tu", "B"})

_TEXTS: Mapping[str, _Value] = MappingProxyType(
    {
        "H": lambda _, around: around.host,
        "ID": lambda _, __: "-",
        "b": lambda record, _: record.backend,
        "bi": lambda record, _: record.source[0] if record.source else "-",
        "ci": lambda record, _: record.client,
        "f": lambda record, _: record.frontend,
        "fi": lambda record, _: record.destination[0] if record.destination else "-",
        "ft": lambda record, _: record.frontend,
        "s": lambda record, _: "<NOSRV>" if record.server is None else record.server,
        "si": lambda record, _: record.target[0] if record.target else "-",
    }
)
"""Variables that ``+Q`` puts in quotes."""
_PLAIN: Mapping[str, _Value] = MappingProxyType(
    {
        "T": _gmt,
        "Tl": _local,
        "rc": _tries,
        "sslc": lambda _, __: "-",
        "sslv": lambda _, __: "-",
        "t": lambda record, _: log_date(record.accepted_at),
        "trg": _gmt,
        "trl": _local,
        "tr": lambda record, _: log_date(record.accepted_at),
        "ts": lambda record, _: record.flags,
        "tsc": lambda record, _: f"{record.flags}--",
        "ST": lambda _, __: 0,
        **dict.fromkeys(("hr", "hrl", "hs", "hsl"), lambda _, __: ""),  # nothing is ever captured
    }
)
_NUMBERS: Mapping[str, _Value] = MappingProxyType(
    {
        "B": lambda record, _: record.bytes_to_client,
        "Tc": lambda record, _: record.connect_ms,
        "Td": _transfer,
        "Th": lambda _, __: 0,
        "Ts": lambda record, _: int(record.accepted_at),
        "Tt": lambda record, _: record.total_ms,
        "Tu": lambda record, _: record.total_ms,
        "Tw": lambda record, _: record.wait_ms,
        "U": lambda record, _: record.bytes_from_client,
        "ac": lambda record, _: record.actconn,
        "bc": lambda record, _: record.beconn,
        "bp": lambda record, _: record.source[1] if record.source else 0,
        "bq": lambda record, _: record.backend_queue,
        "cp": lambda record, _: record.client_port,
        "fc": lambda record, _: record.feconn,
        "fp": lambda record, _: record.destination[1] if record.destination else 0,
        "lc": lambda _, around: around.line_count,
        "ms": lambda record, _: int(record.accepted_at * 1000) % 1000,
        "pid": lambda _, around: around.pid,
        "rt": lambda _, around: around.line_count,
        "sc": lambda record, _: record.srvconn,
        "sp": lambda record, _: record.target[1] if record.target else 0,
        "sq": lambda record, _: record.server_queue,
    }
)
_HEX_WIDTH: Mapping[str, int] = MappingProxyType(
    {"bp": 4, "cp": 4, "fp": 4, "sp": 4, "pid": 4, "rt": 4, "Ts": 8, "ms": 2}
)
_HTTP_ONLY = frozenset({"CC", "CS", "HM", "HP", "HPO", "HQ", "HU", "HV", "Ta", "Ti", "Tq", "TR", "Tr", "r", "rdr"})
VARIABLES = frozenset({*_TEXTS, *_PLAIN, *_NUMBERS, "o"})
"""Every variable that has a meaning in TCP mode."""
_VARIABLE = re.compile(r"(?:\((?P<field>[^)]*)\))?(?P<name>[A-Za-z]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogFormat:
    """A format that was read: texts and holes in their order."""

    parts: tuple[str | Hole, ...]

    @property
    def needs_addresses(self) -> bool:
        """Whether a line tells addresses that only the sockets know."""
        return any(isinstance(part, Hole) and part.name in {"fi", "fp", "bi", "bp"} for part in self.parts)

    def line(self, record: SessionRecord, around: Circumstances) -> str:
        """Return the line of one connection."""
        return "".join(part if isinstance(part, str) else _fill(part, record, around) for part in self.parts)


def _fill(hole: Hole, record: SessionRecord, around: Circumstances) -> str:
    name = hole.name
    if name in _TEXTS:
        text = str(_TEXTS[name](record, around))
        if hole.hexadecimal and name in {"bi", "ci", "fi", "si"}:
            return _hexadecimal_address(text)
        return f'"{text}"' if hole.quoted else text
    if name in _PLAIN:
        return str(_PLAIN[name](record, around))
    number = int(_NUMBERS[name](record, around))
    if hole.hexadecimal and name in _HEX_WIDTH:
        return f"{number:0{_HEX_WIDTH[name]}X}"
    return f"+{number}" if around.grows and name in _GROWING else str(number)


def _hexadecimal_address(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        return text
    return f"{int(address):0{8 if isinstance(address, IPv4Address) else 32}X}"


def parse_log_format(text: str) -> LogFormat:
    """Read a format; raises FormatError."""
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._parts: list[str | Hole] = []
        self._everywhere: dict[str, bool] = {"Q": False, "X": False}

    def read(self) -> LogFormat:
        while self._at < len(self._text):
            start = self._text.find("%", self._at)
            if start < 0:
                start = len(self._text)
            if start > self._at:
                self._add(self._text[self._at : start])
            self._at = start
            if start < len(self._text):
                self._hole()
        return LogFormat(tuple(self._parts))

    def _add(self, text: str) -> None:
        if self._parts and isinstance(self._parts[-1], str):
            self._parts[-1] += text
        else:
            self._parts.append(text)

    def _hole(self) -> None:
        self._at += 1
        if self._text.startswith("%", self._at):
            self._add("%")
            self._at += 1
            return
        switches = dict(self._everywhere)
        modified = self._text.startswith("{", self._at)
        if modified:
            self._switch(switches)
        if self._text.startswith("[", self._at):
            raise self._wrong_expression()
        found = _VARIABLE.match(self._text, self._at)
        if found is None:
            raise self._wrong_name(modified=modified)
        self._at = found.end()
        self._take(found["name"], switches)

    def _switch(self, switches: dict[str, bool]) -> None:
        end = self._text.find("}", self._at)
        if end < 0:
            raise FormatError(f"truncated line after '{self._text[self._at + 1 :]}'")
        for word in self._text[self._at + 1 : end].split(","):
            letter = word.strip().lstrip("+-")
            if letter in switches:  # HAProxy passes over those that it does not know
                switches[letter] = not word.strip().startswith("-")
        self._at = end + 1

    def _wrong_expression(self) -> FormatError:
        inside, closed, _ = self._text[self._at + 1 :].partition("]")
        if not inside and not closed:
            return FormatError("failed to parse sample expression <> : missing fetch method")
        if not closed:
            return FormatError(f"missing ']' after '{inside}'")
        return FormatError(f"'%[{inside}]' is not supported by tcpbalancer: use a variable such as %ci")

    def _wrong_name(self, *, modified: bool) -> FormatError:
        if modified:
            near = self._text[self._text.rfind("%", 0, self._at) : self._at]
            return FormatError(f"parse argument modifier without variable name near '{near}'")
        if self._at >= len(self._text):
            return FormatError("truncated line after '%'")
        return FormatError(
            f"unexpected variable name near '{self._text[self._at]}' at position {self._at} line : '{self._text}'. "
            "Maybe you want to write a single '%', use the syntax '%%'"
        )

    def _take(self, name: str, switches: dict[str, bool]) -> None:
        if name == "o":
            self._everywhere = switches
            if self._text.startswith(" ", self._at):
                self._at += 1  # the space behind %o belongs to it
        elif name in VARIABLES:
            self._parts.append(Hole(name, quoted=switches["Q"], hexadecimal=switches["X"]))
        elif name in _HTTP_ONLY:
            raise FormatError(f"format variable '{name}' is reserved for HTTP mode")
        else:
            raise FormatError(
                f"no such format variable '{name}'. If you wanted to emit the '%' character verbatim, you need to use "
                "'%%'"
            )

"""The keywords that say what is logged, where, and how.

Laws: pure; handlers report and never raise. Texts are HAProxy's. A proxy without ``log`` logs nothing.

Source: HAProxy's configuration manual, sections 3.1 and 4.2 (``log``, ``log-format``, ``log-tag``), 8 "Logging".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hakit.logtarget import FACILITIES, FORMATS, LEVELS
from tcpbalancer.config.findings import DUPLICATE, maybe
from tcpbalancer.config.page_drafts import speaks_http
from tcpbalancer.config.registry import FRONT, GLOBAL, PROXY, Reading, keyword
from tcpbalancer.config.values import parse_address
from tcpbalancer.log_format import FormatError, LogFormat, parse_log_format
from tcpbalancer.model import LogTarget

SHORTEST, LONGEST = 80, 65535
"""Bytes of a line (``log ... len``)."""
_OPTIONS = frozenset({"len", "format", "sample", "profile"})


@keyword(
    "log <address> [len <n>] [format <f>] <facility> [<level> [<minlevel>]]",
    GLOBAL,
    "Where log lines go.",
    negatable=True,
)
def log_global(reading: Reading) -> None:
    """Read a log target; ``no log`` forgets those so far."""
    if reading.negated:
        reading.whole.log_targets.clear()
    elif (target := _target(reading)) is not None:
        reading.whole.log_targets.append(target)


@keyword(
    "log { global | <address> [len <n>] [format <f>] <facility> [<level> [<minlevel>]] }",
    PROXY,
    "Where a proxy's lines go; without it nothing is logged, and 'no log' forgets what was inherited.",
    negatable=True,
)
def log(reading: Reading) -> None:
    """Read ``log`` of a proxy."""
    draft = reading.draft.settings.log
    if reading.negated:
        draft.targets, draft.use_global = [], False
    elif len(reading.words) > 1 and reading.words[1] == "global":
        if len(reading.words) == 2:
            draft.use_global = True
        else:
            reading.error(2, f"log : unknown log facility '{reading.words[2]}'")
    elif len(reading.words) < 3:
        reading.error(len(reading.words), "log : expects <address> and <facility> or global as arguments")
    elif (target := _target(reading)) is not None:
        draft.targets.append(target)


@dataclass(slots=True)
class _Choice:
    """The options between address and facility."""

    layout: str = ""
    length: int = 1024


def _target(reading: Reading) -> LogTarget | None:
    """Read ``log ADDRESS ... FACILITY [LEVEL [MINLEVEL]]``; returns None after a finding."""
    choice, position = _Choice(), 2
    while position < len(reading.words) and reading.words[position] in _OPTIONS:
        value = reading.words[position + 1] if position + 1 < len(reading.words) else ""
        if not _take_option(reading, position, value, choice):
            return None
        position += 2
    if position >= len(reading.words):
        reading.error(len(reading.words), "log : expects <address> and <facility>  as arguments")
        return None
    facility, *levels = reading.words[position:]
    if facility not in FACILITIES:
        reading.error(position, f"log : unknown log facility '{facility}'{maybe(facility, FACILITIES)}")
        return None
    for offset, (level, what) in enumerate(zip(levels, ("log level", "minimum log level"), strict=False), 1):
        if level not in LEVELS:
            reading.error(position + offset, f"log : unknown optional {what} '{level}'{maybe(level, LEVELS)}")
            return None
    if len(levels) > 2:
        reading.error(position + 3, f"'log' cannot handle unexpected argument '{levels[2]}'.")
        return None
    address = _address(reading)
    if address is None:
        return None
    level, least, *_ = (*levels, *("debug", "emerg")[len(levels) :])
    return LogTarget(address, facility, choice.layout, level, least, choice.length)


def _take_option(reading: Reading, position: int, value: str, choice: _Choice) -> bool:
    """Read one option into ``choice``; returns whether it makes sense."""
    name = reading.words[position]
    if name == "len":
        if not (value.isascii() and value.isdigit() and SHORTEST <= int(value) <= LONGEST):
            text = f"log : invalid log length '{value}', must be between {SHORTEST} and {LONGEST}"
            reading.error(position + 1, text)
            return False
        choice.length = int(value)
    elif name == "format":
        if value not in FORMATS:
            reading.error(position + 1, f"log : unknown log format '{value}'{maybe(value, FORMATS)}")
            return False
        choice.layout = value
    elif name == "profile":
        reading.error(position, "log : unknown log facility 'profile'")
        return False
    else:
        reading.not_carried_out(position, f"'{name}' of a log target", ": it gets every line")
    return True


def _address(reading: Reading) -> str | None:
    """Return the address as the model has it, or None after a finding."""
    text = reading.words[1].removeprefix("udp@").removeprefix("unix@")
    if text in {"stdout", "stderr"} or text.startswith(("/", "abns@")):
        return text
    if text.startswith("fd@") and text[3:].isascii() and text[3:].isdigit():
        return text
    if "@" in text and not text.startswith(("ipv4@", "ipv6@")):
        reading.not_carried_out(1, f"log target '{text}'", ": nothing is logged there")
        return None
    try:
        address = parse_address(text)
    except ValueError as wrong:
        reading.error(1, f"log : {wrong}")
        return None
    if not address.host:
        reading.error(1, f"log : '{text}' names no host")
        return None
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{514 if not address.first_port else address.first_port}"


@keyword("log-tag <tag>", GLOBAL, "The tag of log lines, instead of 'haproxy'.")
def log_tag_of_all(reading: Reading) -> None:
    """Read ``log-tag`` of ``global``."""
    if (tag := _tag(reading)) is not None:
        reading.whole.log_tag = tag


@keyword("log-tag <tag>", PROXY, "The tag of this proxy's log lines.")
def log_tag(reading: Reading) -> None:
    """Read ``log-tag`` of a proxy."""
    if (tag := _tag(reading)) is not None:
        reading.draft.settings.log.tag = tag


def _tag(reading: Reading) -> str | None:
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'log-tag' expects a tag for use in syslog.")
        return None
    return reading.words[1] if reading.no_more_than(2) else None


@keyword("log-send-hostname [<name>]", GLOBAL, "Log lines carry the host's name, or another one.")
def log_send_hostname(reading: Reading) -> None:
    """Read ``log-send-hostname``: empty for the host's own name."""
    if reading.no_more_than(2):
        reading.whole.log_host = reading.words[1] if len(reading.words) > 1 else ""


def _format(name: str) -> Callable[[Reading], LogFormat | None]:
    """Return what reads a format behind ``name``, or reports why it cannot be read."""

    def read(reading: Reading) -> LogFormat | None:
        if reading.draft.kind == "backend":
            reading.warn(0, f"backend '{reading.draft.name}' : '{name}' directive is ignored in backends.")
            return None
        if len(reading.words) < 2 or not reading.words[1]:
            reading.error(1, f"{name} expects an argument.")
            return None
        if len(reading.words) > 2:
            reading.error(2, f"{name} expects only one argument, don't forget to escape spaces!")
            return None
        try:
            return parse_log_format(reading.words[1])
        except FormatError as wrong:
            if "reserved for HTTP mode" in str(wrong) and speaks_http(reading):
                reading.not_carried_out(1, f"'{name}' with variables of HTTP", ": lines are those of 'option tcplog'")
                reading.draft.settings.log.tcplog = True
                return None
            reading.error(1, f"failed to parse {name} : {wrong}.", DUPLICATE)
            return None

    return read


_LOG_FORMAT, _ERROR_LOG_FORMAT = _format("log-format"), _format("error-log-format")


@keyword("log-format <format>", PROXY, "The line of a connection, in words of one's own.")
def log_format(reading: Reading) -> None:
    """Read ``log-format``."""
    if (found := _LOG_FORMAT(reading)) is not None:
        draft = reading.draft.settings.log
        draft.format, draft.httplog_at = found, None


@keyword(
    "error-log-format <format>",
    PROXY,
    "The line of a connection that failed before it became a session; read, and not used.",
)
def error_log_format(reading: Reading) -> None:
    """Read ``error-log-format``."""
    if _ERROR_LOG_FORMAT(reading) is not None:
        reading.not_carried_out(0, "'error-log-format'", ": what fails before it is a session has HAProxy's own words")


@keyword("option tcplog", PROXY, "A line for every connection.", words=2)
def option_tcplog(reading: Reading) -> None:
    """Read ``option tcplog``."""
    if reading.draft.kind == "backend":
        reading.warn(0, f"backend '{reading.draft.name}' : 'option tcplog' directive is ignored in backends.")
    elif reading.no_more_than(2):
        draft = reading.draft.settings.log
        draft.tcplog, draft.format, draft.httplog_at = True, None, None  # the last format holds


@keyword("option httplog", PROXY, "In TCP mode the same as tcplog.", words=2)
def option_httplog(reading: Reading) -> None:
    """Read ``option httplog``; the warning comes once per proxy, at the end."""
    draft = reading.draft.settings.log
    draft.tcplog, draft.format, draft.httplog_at = False, None, (reading.at(1), reading.source_at(1))


def _switch(name: str, field: str, summary: str) -> None:
    """Register an option that is on or off."""

    def read(reading: Reading) -> None:
        if reading.no_more_than(2):
            setattr(reading.draft.settings.log, field, not reading.negated)

    keyword(f"option {name}", FRONT, summary, words=2, negatable=True)(read)


_switch("dontlognull", "without_null", "No line for a connection that sent nothing.")
_switch("dontlog-normal", "without_normal", "No line for a connection that ended as it should.")
_switch("log-separate-errors", "errors_louder", "What did not end as it should is logged with level err.")
_switch("logasap", "asap", "The line is written once the connection stands; counts that may grow have a '+'.")

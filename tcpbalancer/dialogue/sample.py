"""Values that a check looks up: samples, their converters, and the templates made of them.

Laws: pure; what the outside knows comes in as ``Facts``. A sample that has no value is empty. What is carried out is in
``FETCHES`` and ``CONVERTERS``; the configuration reader refuses the rest by name, so that no other bytes are sent than
a file asks for.

Source: HAProxy's configuration manual, section 7.3 "Fetching samples", those that are available in checks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tcpbalancer.dialogue.answer import Answer
from tcpbalancer.model.dialogue import Sample, Template

Value = bytes | int


@dataclass(slots=True)
class Facts:
    """What samples can be about. ``now`` is seconds since 1970; ``answer`` is that of an HTTP check.

    ``state``: how the server stands, as ``http-check send-state`` tells it; ``is_up``: it counts as working.
    """

    backend: str = ""
    server: str = ""
    backend_id: int = 0
    server_id: int = 0
    hostname: str = ""
    now: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    state: str = ""
    is_up: bool = True
    variables: dict[str, Value] = field(default_factory=dict)
    received: bytes = b""
    answer: Answer | None = None


Arguments = tuple[str, ...]


def _number(text: str) -> int:
    return int(text) if text.removeprefix("-").isdigit() and text.isascii() else 0


def _slice(data: bytes, arguments: Arguments) -> bytes:
    start = _number(arguments[0])
    length = _number(arguments[1]) if len(arguments) > 1 else 0
    return data[start : start + length] if length else data[start:]


def _header(facts: Facts, arguments: Arguments) -> bytes:
    values = [] if facts.answer is None else facts.answer.values(arguments[0], whole=False)
    return values[-1].encode("latin-1") if values else b""


def _hex(value: Value) -> bytes:
    return (value.to_bytes(8, "big", signed=True) if isinstance(value, int) else value).hex().upper().encode()


def _htonl(value: Value) -> bytes:
    return (_as_number(value) & 0xFFFFFFFF).to_bytes(4, "big")


def _strip(side: str) -> Callable[[Value, Arguments], bytes]:
    return lambda value, arguments: getattr(text_of(value), side)(arguments[0].encode("latin-1", "replace"))


def _cut_at_line_end(value: Value) -> bytes:
    return text_of(value).split(b"\r", 1)[0].split(b"\n", 1)[0]


def _part(value: Value, arguments: Arguments) -> bytes:
    """Return a field, counted from 1, or from the end if negative."""
    parts = text_of(value).split(arguments[1].encode("latin-1", "replace")[:1] or b" ")
    place = _number(arguments[0])
    place = place - 1 if place > 0 else len(parts) + place
    return parts[place] if 0 <= place < len(parts) else b""


FETCHES: Mapping[str, tuple[int, int, Callable[[Facts, Arguments], Value]]] = {
    "be_id": (0, 0, lambda facts, _: facts.backend_id),
    "be_name": (0, 0, lambda facts, _: facts.backend.encode()),
    "date": (0, 1, lambda facts, arguments: int(facts.now) + _number(arguments[0] if arguments else "")),
    "env": (1, 1, lambda facts, arguments: facts.environment.get(arguments[0], "").encode()),
    "hostname": (0, 0, lambda facts, _: facts.hostname.encode()),
    "int": (1, 1, lambda _, arguments: _number(arguments[0])),
    "res.body": (0, 0, lambda facts, _: b"" if facts.answer is None else facts.answer.body),
    "res.hdr": (1, 1, _header),
    "res.len": (0, 0, lambda facts, _: len(facts.received)),
    "res.payload": (2, 2, lambda facts, arguments: _slice(facts.received, arguments)),
    "srv_id": (0, 0, lambda facts, _: facts.server_id),
    "srv_name": (0, 0, lambda facts, _: facts.server.encode()),
    "status": (0, 0, lambda facts, _: 0 if facts.answer is None else facts.answer.status),
    "str": (1, 1, lambda _, arguments: arguments[0].encode("latin-1", "replace")),
    "var": (1, 1, lambda facts, arguments: facts.variables.get(arguments[0], b"")),
}
"""By name: how many arguments at least and at most, and the look-up."""
CONVERTERS: Mapping[str, tuple[int, int, Callable[[Value, Arguments], Value]]] = {
    "add": (1, 1, lambda value, arguments: _as_number(value) + _number(arguments[0])),
    "bytes": (1, 2, lambda value, arguments: _slice(text_of(value), arguments)),
    "cut_crlf": (0, 0, lambda value, _: _cut_at_line_end(value)),
    "field": (2, 2, _part),
    "hex": (0, 0, lambda value, _: _hex(value)),
    "htonl": (0, 0, lambda value, _: _htonl(value)),
    "length": (0, 0, lambda value, _: len(text_of(value))),
    "lower": (0, 0, lambda value, _: text_of(value).lower()),
    "ltrim": (1, 1, _strip("lstrip")),
    "rtrim": (1, 1, _strip("rstrip")),
    "upper": (0, 0, lambda value, _: text_of(value).upper()),
}
"""By name: how many arguments at least and at most, and what it makes of a value."""


def text_of(value: Value) -> bytes:
    """Return a value as text."""
    return value if isinstance(value, bytes) else str(value).encode()


def _as_number(value: Value) -> int:
    """Return a value as a number, 0 if it is none."""
    return value if isinstance(value, int) else number_of(value)


def number_of(value: Value) -> int:
    """Return the number with which a text begins, 0 if there is none."""
    if isinstance(value, int):
        return value
    digits = value[: len(value) - len(value.lstrip(b"0123456789"))]
    return int(digits[:18] or b"0")


def evaluate(sample: Sample, facts: Facts) -> Value:
    """Return what a sample is now."""
    value = FETCHES[sample.fetch][2](facts, sample.arguments)
    for name, arguments in sample.converters:
        value = CONVERTERS[name][2](value, arguments)
    return value


def filled(template: Template, facts: Facts) -> bytes:
    """Return the text that a template yields now."""
    parts = (
        text_of(evaluate(part, facts)) if isinstance(part, Sample) else part.encode("latin-1", "replace")
        for part in template
    )
    return b"".join(parts)


def unhexed(digits: bytes) -> bytes | None:
    """Return the bytes that hexadecimal digits stand for, or None if these are not such digits."""
    try:
        return bytes.fromhex(digits.decode("ascii", "replace"))
    except ValueError:
        return None

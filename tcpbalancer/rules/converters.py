"""The converters: what each makes of a sample.

Laws: pure; data with a function, as the fetch methods are. None in the place of a sample: there is none any more.

Source: HAProxy's configuration manual, section 7.3.1 "Converters"; ``sample.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcpbalancer.model.rule import Argument, Ip
from tcpbalancer.rules.fetches import Needs
from tcpbalancer.rules.samples import Kind, Sample

Convert = Callable[[Sample, Sequence[Argument]], Sample | None]


@dataclass(frozen=True, slots=True)
class Converter:
    """Takes a sample as ``takes`` and returns one of the kind ``gives``."""

    name: str
    takes: Kind
    gives: Kind
    convert: Convert
    arguments: tuple[Needs, ...] = ()
    required: int = 0


CONVERTERS: dict[str, Converter] = {}


def _converter(
    name: str, takes: Kind, gives: Kind, arguments: tuple[Needs, ...] = (), required: int = 0
) -> Callable[[Convert], Convert]:
    def register(convert: Convert) -> Convert:
        CONVERTERS[name] = Converter(name, takes, gives, convert, arguments, required)
        return convert

    return register


def _text(sample: Sample) -> bytes:
    assert isinstance(sample, bytes)
    return sample


def _number(value: Sample | Argument) -> int:
    assert isinstance(value, int)
    return int(value)


@_converter("lower", Kind.TEXT, Kind.TEXT)
def _lower(sample: Sample, _: Sequence[Argument]) -> bytes:
    return _text(sample).lower()


@_converter("upper", Kind.TEXT, Kind.TEXT)
def _upper(sample: Sample, _: Sequence[Argument]) -> bytes:
    return _text(sample).upper()


@_converter("hex", Kind.BINARY, Kind.TEXT)
def _hex(sample: Sample, _: Sequence[Argument]) -> bytes:
    return _text(sample).hex().upper().encode()


@_converter("length", Kind.TEXT, Kind.INT)
def _length(sample: Sample, _: Sequence[Argument]) -> int:
    return len(_text(sample))


@_converter("bool", Kind.INT, Kind.BOOL)
def _bool(sample: Sample, _: Sequence[Argument]) -> bool:
    return bool(_number(sample))


@_converter("not", Kind.INT, Kind.BOOL)
def _not(sample: Sample, _: Sequence[Argument]) -> bool:
    return not _number(sample)


@_converter("bytes", Kind.BINARY, Kind.BINARY, (Needs.INT, Needs.INT), 1)
def _bytes(sample: Sample, arguments: Sequence[Argument]) -> bytes | None:
    """Return what stands from an offset on, at most as long as the second argument."""
    data, offset = _text(sample), _number(arguments[0])
    if not 0 <= offset < len(data):
        return None
    return data[offset:] if len(arguments) < 2 else data[offset : offset + max(_number(arguments[1]), 0)]


@_converter("ipmask", Kind.ADDRESS, Kind.ADDRESS, (Needs.MASK, Needs.MASK6), 1)
def _ipmask(sample: Sample, arguments: Sequence[Argument]) -> Ip | None:
    assert isinstance(sample, Ip)
    if sample.version == 6 and len(arguments) < 2:
        return None
    return Ip(sample.version, sample.value & _number(arguments[0 if sample.version == 4 else 1]))


@_converter("field", Kind.TEXT, Kind.TEXT, (Needs.INT, Needs.TEXT, Needs.INT), 2)
def _field(sample: Sample, arguments: Sequence[Argument]) -> bytes | None:
    """Return the n-th part between delimiters, where each delimiter counts."""
    text = _text(sample)
    ends = [found.start() for found in re.finditer(_class_of(arguments[1]), text)]
    starts = [0, *(end + 1 for end in ends)]
    return _span(text, list(zip(starts, [*ends, len(text)], strict=True)), arguments)


@_converter("word", Kind.TEXT, Kind.TEXT, (Needs.INT, Needs.TEXT, Needs.INT), 2)
def _word(sample: Sample, arguments: Sequence[Argument]) -> bytes | None:
    """Return the n-th part between delimiters, where many of them are as one."""
    text = _text(sample)
    return _span(text, [found.span() for found in re.finditer(_class_of(arguments[1], no="^"), text)], arguments)


def _class_of(delimiters: Argument, no: str = "") -> bytes:
    """Return a pattern for one delimiter, or (with ``^``) for as much as possible of what is none."""
    listed = re.escape(str(delimiters))
    if not listed:
        return b".+" if no else b"(?!)"
    return f"[{no}{listed}]{'+' if no else ''}".encode()


def _span(text: bytes, parts: Sequence[tuple[int, int]], arguments: Sequence[Argument]) -> bytes | None:
    """Return ``count`` parts (0: all) from the n-th on, counted from the end if it is negative."""
    wanted = _number(arguments[0])
    count = _number(arguments[2]) if len(arguments) > 2 else 1
    if not 1 <= abs(wanted) <= len(parts):
        return None
    if wanted > 0:
        last = len(parts) if count < 1 else min(wanted - 1 + count, len(parts))
        return text[parts[wanted - 1][0] : parts[last - 1][1]]
    end = len(parts) + wanted
    first = 0 if count < 1 else max(end - count + 1, 0)
    return text[parts[first][0] : parts[end][1]]

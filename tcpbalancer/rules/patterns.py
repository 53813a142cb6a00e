"""Patterns: how each is read, and when a sample matches one.

Laws: pure. A method of matching (``-m``) is data: the kind of sample it compares, how it reads a pattern, and what it
makes of one sample and all patterns. Reading raises ValueError in HAProxy's words; matching never raises.

Source: HAProxy's configuration manual, sections 7.1.1 to 7.1.6; ``pattern.c``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tcpbalancer.model.rule import Interval, Ip, Network, Pattern
from tcpbalancer.rules.samples import Kind, Sample

Matcher = Callable[[Sample], bool]
Read = Callable[[str], Pattern]
Make = Callable[[Sequence[Pattern], bool], Matcher]
"""Takes the patterns and whether case is ignored."""

MAPPED = 0xFFFF << 32
"""The upper bits of an IPv4 address that is written as an IPv6 one."""
_NUMBER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
OPERATORS = ("eq", "ge", "gt", "le", "lt")


@dataclass(frozen=True, slots=True)
class Method:
    """``kind`` None: any sample."""

    name: str
    kind: Kind | None
    read: Read
    make: Make


# -- numbers ----------------------------------------------------------------------------------------------------------


def read_interval(text: str) -> Interval:
    """Return ``5``, ``1:9``, ``1-9``, ``:9`` or ``1:``."""
    return _read_range(text, _integer, "number")


def _read_range(text: str, read: Callable[[str, str], int], kind: str) -> Interval:
    """Return one number or a range of them; ``read`` takes a number and what to say if it is none."""
    found = re.search("[:-]", text)
    if found is None:
        number = read(text, f"'{text}' is not a {kind}")
        return Interval(number, number)
    low, high = text[: found.start()], text[found.end() :]
    wrong = f"'{text}' is not a valid {kind} range"
    interval = Interval(read(low, wrong) if low else None, read(high, wrong) if high else None)
    if interval == Interval(None, None):
        raise ValueError(wrong)
    if interval.low is not None and interval.high is not None and interval.low > interval.high:
        raise ValueError(wrong)
    return interval


def _integer(text: str, wrong: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(wrong)
    return int(text)


def compared(operator: str, text: str) -> Interval:
    """Return the numbers that are ``gt``, ``ge``, ``lt``, ``le`` or ``eq`` to one; a range stands for itself."""
    if operator == "eq" or ":" in text or "-" in text:
        return read_interval(text)
    number = _integer(text, f"'{text}' is neither a number nor a supported operator")
    bounds = {
        "gt": Interval(number + 1, None),
        "ge": Interval(number, None),
        "lt": Interval(None, number - 1),
        "le": Interval(None, number),
    }
    return bounds[operator]


def read_version(text: str) -> Interval:
    """Return ``3``, ``3.1`` or ``3.1:3.3`` (as ``read_interval`` does) as numbers, major * 65536 + minor."""
    return _read_range(text, _version, "dotted number")


def _version(text: str, wrong: str) -> int:
    found = re.fullmatch(r"(\d+)(?:\.(\d+))?", text, re.ASCII)
    if found is None or max(major := int(found[1]), minor := int(found[2] or 0)) > 0xFFFF:
        raise ValueError(wrong)
    return (major << 16) + minor


def compared_version(operator: str, text: str) -> Interval:
    """Return the versions that are ``gt``, ``ge``, ``lt``, ``le`` or ``eq`` to one."""
    if operator == "eq" or ":" in text or "-" in text:
        return read_version(text)
    number = _version(text, f"'{text}' is not a valid dotted number range")
    return compared(operator, str(number))


def _within(patterns: Sequence[Pattern], _: bool) -> Matcher:  # noqa: FBT001 - all makers are called alike
    intervals = [pattern for pattern in patterns if isinstance(pattern, Interval)]

    def matches(sample: Sample) -> bool:
        assert isinstance(sample, int)
        return any((low is None or low <= sample) and (high is None or sample <= high) for low, high in intervals)

    return matches


def _length_within(patterns: Sequence[Pattern], ignore_case: bool) -> Matcher:  # noqa: FBT001
    within = _within(patterns, ignore_case)
    return lambda sample: within(len(_text(sample)))


# -- addresses --------------------------------------------------------------------------------------------------------


def read_network(text: str) -> Network:
    """Return ``10.0.0.1``, ``10.0.0.0/8``, ``10.0.0.0/255.0.0.0``, ``fd00::/8``; host bits do not count."""
    try:
        found = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"'{text}' is not a valid IPv4 or IPv6 address") from None
    return Network(found.version, int(found.network_address), int(found.netmask))


def _in_networks(patterns: Sequence[Pattern], _: bool) -> Matcher:  # noqa: FBT001
    networks = [pattern for pattern in patterns if isinstance(pattern, Network)]

    def matches(sample: Sample) -> bool:
        assert isinstance(sample, Ip)
        return any(_is_in(sample, network) for network in networks)

    return matches


def _is_in(address: Ip, network: Network) -> bool:
    """An IPv4 address and its form as an IPv6 one are the same (pat_match_ip)."""
    value = address.value
    if address.version != network.version:
        if address.version == 4:
            value |= MAPPED
        elif value & ~0xFFFFFFFF == MAPPED:
            value &= 0xFFFFFFFF
        else:
            return False
    return value & network.mask == network.value


# -- text -------------------------------------------------------------------------------------------------------------


def _text(sample: Sample) -> bytes:
    assert isinstance(sample, bytes)
    return sample


def read_text(text: str) -> bytes:
    """Return the bytes of a text."""
    return text.encode("utf-8", "surrogateescape")


def read_binary(text: str) -> bytes:
    """Return the bytes of hexadecimal digits."""
    for character in text:
        if character not in "0123456789abcdefABCDEF":
            raise ValueError(f"an hex digit is expected (found '{character}')")
    if len(text) % 2:
        raise ValueError("an even number of hex digit is expected")
    return bytes.fromhex(text)


def read_regex(text: str) -> bytes:
    """Return a regular expression that makes sense."""
    pattern = read_text(text)
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as wrong:
        place = getattr(wrong, "pos", None) or 0
        raise ValueError(
            f"regex '{text}' is invalid (error={getattr(wrong, 'msg', wrong)}, erroffset={place})"
        ) from None
    return pattern


def _text_maker(compare: Callable[[bytes, bytes], bool]) -> Make:
    """Return a maker for what compares a text with each pattern."""

    def make(patterns: Sequence[Pattern], ignore_case: bool) -> Matcher:  # noqa: FBT001
        wanted = [pattern for pattern in patterns if isinstance(pattern, bytes)]
        if not ignore_case:
            return lambda sample: any(compare(_text(sample), pattern) for pattern in wanted)
        folded = [pattern.lower() for pattern in wanted]

        def matches(sample: Sample) -> bool:
            text = _text(sample).lower()
            return any(compare(text, pattern) for pattern in folded)

        return matches

    return make


def _regex_maker(patterns: Sequence[Pattern], ignore_case: bool) -> Matcher:  # noqa: FBT001
    flags = re.IGNORECASE if ignore_case else 0
    expressions = [re.compile(pattern, flags) for pattern in patterns if isinstance(pattern, bytes)]
    return lambda sample: any(expression.search(_text(sample)) for expression in expressions)


def _is_among(text: bytes, pattern: bytes) -> bool:
    """Whether a pattern is one of several texts that zeros part."""
    return pattern in text.split(b"\0")


def _words_between(delimiters: bytes) -> Callable[[bytes, bytes], bool]:
    """Return what finds a pattern that begins and ends where a delimiter, or the text, begins or ends."""

    def compare(text: bytes, pattern: bytes) -> bool:
        bare = pattern.strip(delimiters)
        start = text.find(bare) if bare else -1
        while start >= 0:
            end = start + len(bare)
            if (not start or text[start - 1] in delimiters) and (end == len(text) or text[end] in delimiters):
                return True
            start = text.find(bare, start + 1)
        return False

    return compare


def _true(_: Sequence[Pattern], __: bool) -> Matcher:  # noqa: FBT001
    return bool


def _found(_: Sequence[Pattern], __: bool) -> Matcher:  # noqa: FBT001
    return lambda _: True


METHODS = {
    method.name: method
    for method in (
        Method("found", None, read_text, _found),
        Method("bool", Kind.BOOL, read_text, _true),
        Method("int", Kind.INT, read_interval, _within),
        Method("version", Kind.INT, read_version, _within),
        Method("ip", Kind.ADDRESS, read_network, _in_networks),
        Method("bin", Kind.BINARY, read_binary, _text_maker(bytes.__eq__)),
        Method("len", Kind.TEXT, read_interval, _length_within),
        Method("str", Kind.TEXT, read_text, _text_maker(bytes.__eq__)),
        Method("beg", Kind.TEXT, read_text, _text_maker(bytes.startswith)),
        Method("group", Kind.TEXT, read_text, _text_maker(_is_among)),
        Method("end", Kind.TEXT, read_text, _text_maker(bytes.endswith)),
        Method("sub", Kind.TEXT, read_text, _text_maker(bytes.__contains__)),
        Method("dir", Kind.TEXT, read_text, _text_maker(_words_between(b"/?"))),
        Method("dom", Kind.TEXT, read_text, _text_maker(_words_between(b"/?.:"))),
        Method("reg", Kind.TEXT, read_regex, _regex_maker),
    )
}
"""By the name behind ``-m``; ``version`` has none, it is how TLS versions are compared."""
BY_KIND = {Kind.BOOL: "bool", Kind.INT: "int", Kind.ADDRESS: "ip", Kind.TEXT: "str"}
"""How samples are compared if nothing is said; bytes need ``-m``."""

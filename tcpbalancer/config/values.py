"""Numbers, times and addresses as haproxy.cfg writes them.

Laws: pure. Every function returns a value or raises ValueError with HAProxy's words.

Source: HAProxy's configuration manual, sections 2.5 "Time format" and 11 "Address formats".
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from hakit.duration import parse_duration

LONGEST_TIME = 2147483.647
"""Seconds: HAProxy counts milliseconds in 31 bits."""
_TIME = re.compile(r"\d+(us|ms|s|m|h|d)?", re.ASCII)
_UNIT_START = re.compile(r"\d*(?:us?|ms?|s|h|d)?", re.ASCII)
_PORT = re.compile(r"\d+", re.ASCII)
LARGEST = 2**31 - 1
LONGEST_PATH = 97
"""Bytes of a path: HAProxy leaves room for what it puts behind it while the socket is made."""


class TimeError(ValueError):
    """Not a time; ``character`` is the first that does not belong, None if the number is missing or too large."""

    def __init__(self, message: str, character: str | None = None) -> None:
        self.character = character
        super().__init__(message)


def parse_time(text: str, default_unit: str = "ms") -> float:
    """Return seconds; a bare number counts in ``default_unit``. Raises TimeError."""
    if not _TIME.fullmatch(text):
        found = _UNIT_START.match(text)
        wrong = text[found.end() if found else 0 :][:1] or text[:1]
        raise TimeError(f"unexpected character '{wrong}'", wrong)
    seconds = parse_duration(text, default_unit)
    if seconds > LONGEST_TIME:
        raise TimeError(f"timer overflow in '{text}' (maximum value is 2147483647 ms or ~24.8 days)")
    return seconds


def parse_count(text: str) -> int:
    """Return a number from 0 to 2**31 - 1; raises ValueError."""
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > LARGEST:
        raise ValueError(f"'{text}' is not a number from 0 to {LARGEST}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Address:
    """A host, and what follows the last colon: nothing, a port, a range of ports, or an offset."""

    host: str
    first_port: int | None
    last_port: int | None
    offset: bool = False


def parse_address(text: str) -> Address:
    """Return host and ports of ``10.0.0.1:80``, ``*:80``, ``:80``, ``[::1]:80``, ``:::80``, ``host:1-9``, ``host:+1``.

    A host in brackets loses them; ``ipv4@`` and ``ipv6@`` before it are dropped. Raises ValueError in HAProxy's words.
    """
    stripped = re.sub(r"^ipv[46]@", "", text)
    host, colon, ports = stripped.rpartition(":")
    if not colon or (stripped.startswith("[") and stripped.endswith("]")):
        return Address(_host(stripped, text), None, None)
    if not ports:
        return Address(_host(host, text), None, None)
    offset = ports.startswith("+")
    low, dash, high = ports.removeprefix("+").partition("-")
    last = _port(high, text) if dash else None  # first, as HAProxy does
    first = _port(low, text)
    if last is not None and last < first:
        raise ValueError(f"invalid port range '{ports}'")
    return Address(_host(host, text), first, first if last is None else last, offset)


def _port(text: str, whole: str) -> int:
    if not _PORT.fullmatch(text):
        wrong = next((character for character in text if character not in "0123456789"), "-")
        raise ValueError(f"invalid character '{wrong}' in port number '{text}' in '{whole}'")
    if len(text) > 5 or int(text) > 65535:
        raise ValueError(f"invalid port '{text}'")
    return int(text)


def _host(host: str, whole: str) -> str:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    wrong_family = is_literal(bare) and whole.startswith("ipv4@" if ":" in bare else "ipv6@")
    if wrong_family or "%" in bare or any(character in bare for character in " \t[]/@,\0"):
        raise ValueError(f"invalid address: '{host}' in '{whole}'")
    return bare


def is_literal(host: str) -> bool:
    """Whether ``host`` is an address and needs no look-up."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def named(text: str) -> str:
    """Return an address that has no port: a path, ``abns@NAME``, ``fd@N``; raises ValueError."""
    kind, _, rest = text.partition("@") if not text.startswith("/") else ("unix", "", text)
    if kind == "fd":
        if not rest.isascii() or not rest.isdigit() or len(rest) > 9:
            raise ValueError(f"file descriptor '{rest}' is not a valid integer in '{text}'")
        return text
    if not rest:
        raise ValueError(f"missing path or name in '{text}'")
    if len(rest.encode()) > LONGEST_PATH:
        raise ValueError(f"socket path '{rest}' too long (max {LONGEST_PATH})")
    if kind == "abns":
        return text
    if not rest.startswith("/"):
        raise ValueError(f"a path from the root on is expected in '{text}'")
    return rest

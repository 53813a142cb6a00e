"""The only place where units of time are converted.

Laws: pure. Inside, time is float seconds. HAProxy's files speak of milliseconds unless a unit is given (its manual,
chapter 2.5 "Time format"), keepalived's of seconds with a fraction, VRRP's packets of whole seconds (RFC 3768) or
centiseconds (RFC 5798).
"""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {
    "us": Decimal("0.000001"),
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_TEXT = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>us|ms|s|m|h|d)?", re.ASCII)


def parse_duration(text: str, default_unit: str = "ms") -> float:
    """Return the seconds that ``text`` stands for (``"3s"``, ``"500ms"``, ``"1.5"``).

    A bare number counts in ``default_unit``: ``ms`` for HAProxy's files, ``s`` for keepalived's.
    Raises ValueError for anything else, negative numbers included.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a duration: a number, then us, ms, s, m, h or d")
    return float(Decimal(match["number"]) * _UNITS[match["unit"] or default_unit])


def format_duration(seconds: float) -> str:
    """Return ``seconds`` in the largest unit without a fraction (``"3s"``, ``"500ms"``); parses back to the same."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count = exact / _UNITS[unit]
        if count == count.to_integral_value() and (count >= 1 or unit == "us"):
            return f"{int(count)}{unit}"
    return f"{exact.normalize():f}s"


def milliseconds(seconds: float) -> int:
    """Return whole milliseconds, rounded: what HAProxy's log and statistics print."""
    return round(seconds * 1000)


def centiseconds(seconds: float) -> int:
    """Return whole centiseconds, rounded: VRRPv3's unit on the wire (RFC 5798 section 5.2.7)."""
    return round(seconds * 100)

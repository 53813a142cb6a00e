"""The values behind keywords: numbers, scripts, addresses.

Laws: pure. What cannot be understood raises ValueError with a sentence, in keepalived's words where it has them. The
caller knows the place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Interface, ip_interface

from pyvrrp.model import VirtualAddress

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}", re.ASCII)
_ESCAPES = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9A-Fa-f]{1,2})|c(?P<control>.)|(?P<other>.))", re.DOTALL)
_SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}  # rtnetlink(7), rtm_scope
_WITH_VALUE = frozenset({"preferred_lft", "track_group", "peer", "metric"})
_WITHOUT_VALUE = frozenset({"home", "nodad", "mngtmpaddr", "noprefixroute", "autojoin", "no_track"})


def whole(text: str, low: int, high: int) -> int:
    """Return the number from ``low`` to ``high``."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"invalid number '{text}'")
    number = int(text) if len(text) <= 19 else high + 1
    if not low <= number <= high:
        raise ValueError(f"number '{text}' outside range [{low}, {high}]")
    return number


def decimal(text: str, low: float, high: float) -> float:
    """Return the number from ``low`` to ``high``, which may have a fraction."""
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"invalid number '{text}'")
    number = float(Decimal(text))
    if not low <= number <= high:
        raise ValueError(f"number '{text}' outside range [{low:.6f}, {high:.6f}]")
    return number


def interface_name(text: str) -> str:
    """Return ``text`` if a network interface can be called so."""
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"'{text}' cannot be the name of an interface: 1 to 15 letters, digits and _.:@-")
    return text


def split_script(text: str) -> tuple[str, ...]:
    """Return the words of a script's value: split at white space, both quotes, escapes outside of ``'...'``.

    keepalived.conf(5), "Scripts": ``\\a \\b \\E \\f \\n \\r \\t \\v \\nnn \\xXX \\cC``; any other
    character stands for itself.
    """
    words: list[str] = []
    word: str | None = None
    quote, position = "", 0
    while position < len(text):
        character = text[position]
        escape = _ESCAPE.match(text, position) if quote != "'" else None
        position += 1
        if escape is not None:
            word, position = (word or "") + _unescape(escape), escape.end()
        elif character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, word = character, word or ""
        elif not quote and character.isspace():
            words.extend([] if word is None else [word])
            word = None
        else:
            word = (word or "") + character
    if quote:
        raise ValueError(f"a quotation mark {quote} is not closed in the script's words")
    words.extend([] if word is None else [word])
    if not words or not words[0]:
        raise ValueError("the script is empty: give the path of a program")
    if any("\0" in word for word in words):
        raise ValueError("a script's words cannot hold a zero byte")
    return tuple(words)


def _unescape(escape: re.Match[str]) -> str:
    if escape["octal"]:
        return chr(int(escape["octal"], 8) & 0xFF)
    if escape["hex"]:
        return chr(int(escape["hex"], 16))
    if escape["control"]:
        return chr(ord(escape["control"].upper()) & 0x1F)
    return _ESCAPES.get(escape["other"], escape["other"])


def quote_script(words: Sequence[str]) -> str:
    """Return a text that ``split_script`` splits into exactly ``words``."""
    return " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words)


class OtherFamilyError(ValueError):
    """An address that is not of IPv4, in a version that speaks VRRPv2 only."""


@dataclass(frozen=True, slots=True)
class AddressLine:
    """A line of ``virtual_ipaddress`` once understood, and what in it is accepted but not carried out."""

    address: VirtualAddress
    remarks: tuple[str, ...] = ()


def address_line(words: Sequence[str]) -> AddressLine:
    """Return what ``ADDRESS[/LENGTH] [dev IF] [scope S] [label L] [brd B]`` stands for; /32 if no length is given."""
    interface = _interface(words[0])
    options: dict[str, str] = {}
    remarks: list[str] = []
    rest = list(words[1:])
    while rest:
        option = rest.pop(0)
        if option in _WITHOUT_VALUE:
            remarks.append(f"'{option}' of an address is known to keepalived, not carried out")
        elif option in {"dev", "scope", "label", "brd", "broadcast"} | _WITH_VALUE:
            if not rest:
                raise ValueError(f"{words[0]}: a value is missing after '{option}'")
            options["brd" if option == "broadcast" else option] = rest.pop(0)
        else:
            remarks.append(f"Unknown configuration entry '{option}' for ip address - ignoring")
    remarks.extend(
        f"'{option}' of an address is known to keepalived, not carried out"
        for option in options
        if option in _WITH_VALUE
    )
    broadcast, remark = _broadcast(interface, options.get("brd", "-"))
    address = VirtualAddress(
        interface,
        device=interface_name(options["dev"]) if "dev" in options else None,
        label=interface_name(options["label"]) if "label" in options else None,
        scope=_scope(options["scope"]) if "scope" in options else 0,
        broadcast=broadcast,
    )
    return AddressLine(address, (*remarks, *remark))


def _scope(text: str) -> int:
    if text in _SCOPES:
        return _SCOPES[text]
    try:
        return whole(text, 0, 255)
    except ValueError as wrong:
        raise ValueError(f"'{text}' is not a scope: host, link, site, global, nowhere or 0 to 255") from wrong


def _interface(text: str) -> IPv4Interface:
    if "/" in text and not text.rpartition("/")[2].isdecimal():
        raise ValueError(f"'{text}' is not an address with a prefix length, such as 192.168.50.10/24")
    try:
        interface = ip_interface(text)
    except ValueError as wrong:
        raise ValueError(f"'{text}' is not an IP address, such as 192.168.50.10/24") from wrong
    if not isinstance(interface, IPv4Interface):
        raise OtherFamilyError(f"{text} is an IPv6 address: this version speaks VRRPv2, which has IPv4 only")
    if interface.ip.is_multicast or interface.ip.is_unspecified or interface.ip.is_loopback:
        raise ValueError(f"'{text}' cannot be a virtual address: it is a multicast, loopback or zero address")
    return interface


def _broadcast(interface: IPv4Interface, text: str) -> tuple[IPv4Address | None, list[str]]:
    if text == "-":
        return None, []
    if text == "+":
        if interface.network.prefixlen > 30:
            return None, [f"Address prefix length {interface.network.prefixlen} too long for broadcast"]
        return interface.network.broadcast_address, []
    try:
        return IPv4Address(text), []
    except ValueError as wrong:
        raise ValueError(f"'{text}' is not a broadcast address: an IPv4 address, + or -") from wrong

"""Words that lines of routes and rules have in common: numbers by name, addresses, the walk from word to word.

Laws: pure. What cannot be understood raises ValueError with a sentence; the caller knows the place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_interface, ip_network

from pyvrrp.config.values import whole
from pyvrrp.model import Address, Network

U32 = 2**32 - 1


class Words:
    """The words of a line, taken one after the other."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)
        self._next = 0

    def __bool__(self) -> bool:
        return self._next < len(self._words)

    def next(self, after: str = "") -> str:
        """Return the next word; ``after`` is the keyword that wants it."""
        if not self:
            raise ValueError(f"a value is missing after '{after}'")
        self._next += 1
        return self._words[self._next - 1]

    def peek(self) -> str:
        """Return the word that ``next`` would, or ""."""
        return self._words[self._next] if self else ""

    def skip(self, *words: str) -> bool:
        """Pass the next word over if it is one of ``words``."""
        found = self.peek() in words and bool(self)
        self._next += found
        return found


def named(text: str, names: Mapping[str, int], high: int, what: str) -> int:
    """Return the number that ``text`` is or names; ip(8) takes 0x and a leading 0, too."""
    if text in names:
        return names[text]
    try:
        number = int(text, 0) if text.lower().startswith("0x") else whole(text, 0, high)
    except ValueError as wrong:
        raise ValueError(f"{what} '{text}' is neither known nor a number up to {high}") from wrong
    if not 0 <= number <= high:
        raise ValueError(f"{what} '{text}' is above {high}")
    return number


def address(text: str, what: str) -> Address:
    """Return the address ``text``, without a prefix length."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError as wrong:
        raise ValueError(f"invalid {what} address {text}") from wrong


def network(text: str, family: int | None, what: str) -> Network:
    """Return the prefix ``text``; ``default``, ``all`` and ``any`` are those of the family, IPv4 if it is open."""
    if text in {"default", "all", "any"}:
        return ip_network("::/0" if family == 6 else "0.0.0.0/0")
    try:
        if "%" in text or ("/" in text and not text.rpartition("/")[2].isdecimal()):
            raise ValueError(text)
        return ip_interface(text).network
    except ValueError as wrong:
        raise ValueError(f"{what} '{text}' is not an address or a prefix, such as 10.0.0.0/8") from wrong


def number_range(text: str, high: int, what: str) -> tuple[int, int]:
    """Return ``N`` or ``N-M`` as a pair."""
    first, dash, last = text.partition("-")
    try:
        pair = whole(first, 0, high), whole(last if dash else first, 0, high)
    except ValueError as wrong:
        raise ValueError(f"invalid {what} range {text}") from wrong
    if pair[0] > pair[1]:
        raise ValueError(f"invalid {what} range {text}: it ends before it begins")
    return pair


def shown(prefix: Network) -> str:
    """Return a prefix as keepalived shows it: a host without its length."""
    return str(prefix.network_address) if prefix.prefixlen == prefix.max_prefixlen else str(prefix)

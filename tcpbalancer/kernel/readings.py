"""What nft and conntrack tell: how many connections have come, what they have moved, how many there are.

Laws: pure. Bytes are those of the streams: of each packet the headers are taken away, whose lengths are known, for
packets are counted apart by the length of their TCP header. What is sent twice counts twice.

Sources: libnftables-json(5); conntrack(8); RFC 9293, section 3.1 (data offset).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from tcpbalancer.kernel.wanted import HIGHEST_NUMBER

IP_HEADER: Final = {4: 20, 6: 40}
"""Bytes, without options and extensions, which balanced connections do not have."""
OPEN: Final = frozenset({b"SYN_SENT", b"SYN_SENT2", b"SYN_RECV", b"ESTABLISHED", b"FIN_WAIT", b"CLOSE_WAIT"})
"""States in which at least one side has not ended."""
_CONNECTION = re.compile(rb"tcp +6 +\d+ (\w+) .* mark=(\d+)")


@dataclass(frozen=True, slots=True)
class Row:
    """Packets of a way in one direction with a TCP header of one length; ``octet`` holds it in its upper half."""

    is_reply: bool
    octet: int
    packets: int
    bytes: int

    def payload(self, family: int) -> int:
        """Return the bytes of the stream in these packets."""
        return self.bytes - self.packets * (IP_HEADER[family] + (self.octet >> 4) * 4)


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything since the table was made, by the number of the way (of the entrance, for who was refused)."""

    arrivals: Mapping[int, int] = field(default_factory=dict)
    traffic: Mapping[int, list[Row]] = field(default_factory=dict)

    def payload(self, number: int, family: int) -> tuple[int, int]:
        """Return the bytes from clients and to clients."""
        moved = [0, 0]
        for row in self.traffic.get(number, ()):
            moved[row.is_reply] += row.payload(family)
        return moved[0], moved[1]


def counts(listing: str) -> Counts:
    """Return what ``nft -j list sets`` of the table says; raises ValueError if it is something else."""
    arrivals: dict[int, int] = {}
    traffic: dict[int, list[Row]] = {}
    try:
        sets = {
            one["set"]["name"]: one["set"].get("elem", ()) for one in json.loads(listing)["nftables"] if "set" in one
        }
        for entry in (one["elem"] for one in sets["arrivals"]):
            arrivals[_number(_integer(entry["val"]))] = entry["counter"]["packets"]
        for entry in (one["elem"] for one in sets["traffic"]):
            mark, direction, octet = entry["val"]["concat"]
            row = Row(direction == "reply", _integer(octet), entry["counter"]["packets"], entry["counter"]["bytes"])
            traffic.setdefault(_number(_integer(mark)), []).append(row)
    except (KeyError, TypeError) as wrong:
        raise ValueError(f"not what nft lists: {wrong!r}") from None
    return Counts(arrivals, traffic)


def open_connections(lines: Iterable[bytes]) -> dict[int, int]:
    """Return how many connections each way has, from what ``conntrack -L`` lists of this daemon's marks."""
    found: Counter[bytes] = Counter()
    for line in lines:
        seen = _CONNECTION.match(line)
        if seen is not None and seen[1] in OPEN:
            found[seen[2]] += 1
    return {_number(int(mark)): count for mark, count in found.items()}


def _integer(value: int | str) -> int:
    """Return a number that nft may also have written as text (``0x80``)."""
    return int(value, 0) if isinstance(value, str) else value


def _number(mark: int) -> int:
    return mark & HIGHEST_NUMBER

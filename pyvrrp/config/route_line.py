"""A line of ``virtual_routes`` or ``static_routes``: ip-route(8), as keepalived.conf(5) takes it.

Laws: pure. Numbers become the kernel's own. What cannot be carried out and would lead packets elsewhere than was meant
(encapsulation, VRFs) raises ValueError; what only tunes is left out with a remark. ``route_text`` writes what
``route_line`` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from pyvrrp.config.route_words import U32, Words, address, named, network, shown
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import TABLE_MAIN, Address, Network, Nexthop, Route

KINDS = frozenset({
    "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw",
})  # fmt: skip
LOCKABLE = frozenset({"mtu", "advmss", "rtt", "rttvar", "reordering", "cwnd", "ssthresh", "rto_min", "congctl"})
METRICS = {
    "mtu": U32, "hoplimit": 255, "advmss": U32, "rtt": U32, "rttvar": U32, "reordering": U32, "window": U32,
    "cwnd": U32, "ssthresh": U32, "rto_min": U32, "initcwnd": U32, "initrwnd": U32, "quickack": 1,
    "fastopen_no_cookie": 1,
}  # fmt: skip
_TIMES = {"rtt": 8, "rttvar": 4, "rto_min": 1}
"""By how much the kernel's number is larger than milliseconds; a number without a unit is the kernel's."""
_FEATURES = {"ecn": 1}
_PREFERENCES = {"medium": 0, "high": 1, "low": 3}
_ALIASES = {
    "dsfield": "tos",
    "gw": "via",
    "oif": "dev",
    "metric": "priority",
    "preference": "priority",
    "proto": "protocol",
}
_NO_WAY = {"encap": "encapsulation", "vrf": "a VRF: give its table instead", "as": "an MPLS label"}


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A line once understood, and what was corrected or left out in it."""

    route: Route
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    line: Words
    names: Surroundings
    static: bool
    family: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, int | str] = field(default_factory=dict)
    locked: set[str] = field(default_factory=set)
    nexthops: list[Nexthop] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def read(self) -> None:
        while self.line:
            word = self.line.next()
            keyword = _ALIASES.get(word, word)
            if keyword in _NO_WAY:
                raise ValueError(f"'{word}' of a route is not supported: {_NO_WAY[keyword]} cannot be set up")
            if keyword == "nexthop":
                self._nexthops()
                return
            if word == "gw":
                self.remarks.append('"gw" for routes is deprecated. Please use "via"')
            if not (self._place(keyword) or self._number(keyword) or self._switch(keyword)):
                self._destination(word)

    def _is(self, family: int) -> None:
        if self.family not in {None, family}:
            raise ValueError("Cannot mix IPv4 and IPv6 addresses for route")
        self.family = family

    def _address(self, what: str) -> Address:
        found = address(self.line.next(what), f"route {what}")
        self._is(found.version)
        return found

    def _via(self) -> Address:
        if self.line.peek() in {"inet", "inet6"}:
            self._is(6 if self.line.next() == "inet6" else 4)
        return self._address("via")

    def _place(self, keyword: str) -> bool:
        if keyword in {"inet", "inet6"}:
            self._is(6 if keyword == "inet6" else 4)
        elif keyword == "src":
            self.fields["source"] = self._address("src")
        elif keyword == "via":
            self.fields["via"] = self._via()
        elif keyword == "from":
            found = network(self.line.next("from"), 6, "route from")
            if found.version != 6:
                raise ValueError(f"route from address only supported with IPv6 ({found})")
            self._is(6)
            self.fields["source_network"] = found
        elif keyword == "dev":
            self.fields["device"] = interface_name(self.line.next(keyword))
        elif keyword == "or":
            self._or()
        else:
            return False
        return True

    def _number(self, keyword: str) -> bool:
        if keyword in METRICS or keyword == "congctl":
            self._metric(keyword)
            return True
        reads: dict[str, tuple[str, Mapping[str, int], int]] = {
            "tos": ("tos", {}, 255),
            "table": ("table", self.names.tables, U32),
            "protocol": ("protocol", self.names.protocols, 255),
            "scope": ("scope", self.names.scopes, 255),
            "priority": ("priority", {}, U32),
            "expires": ("expires", {}, U32),
            "pref": ("preference", _PREFERENCES, 255),
        }
        if keyword not in reads:
            return False
        name, names, high = reads[keyword]
        self.fields[name] = named(self.line.next(keyword), names, high, f"the {name} of a route")
        if keyword in {"expires", "pref"}:
            self._only_ipv6(keyword)
        return True

    def _only_ipv6(self, keyword: str) -> None:
        if self.family == 4:
            raise ValueError(f"{keyword} is only valid for IPv6")
        self.family = 6

    def _metric(self, keyword: str) -> None:
        if keyword in LOCKABLE and self.line.skip("lock"):
            self.locked.add(keyword)
        text = self.line.next(keyword)
        if keyword == "congctl":
            self.metrics[keyword] = text
            return
        scale = 1
        for unit, factor in (("msecs", 1), ("msec", 1), ("ms", 1), ("secs", 1000), ("sec", 1000), ("s", 1000)):
            if keyword in _TIMES and text.endswith(unit):
                text, scale = text.removesuffix(unit), factor * _TIMES[keyword]
                break
        self.metrics[keyword] = named(text, {}, METRICS[keyword], f"the {keyword} of a route") * scale

    def _switch(self, keyword: str) -> bool:
        if keyword == "onlink":
            self.fields["onlink"] = True
        elif keyword == "no_track":
            self.fields["tracked"] = False
        elif keyword == "track_group" and self.static:
            self.fields["track_group"] = self.line.next(keyword)
        elif keyword == "features":
            word = self.line.next(keyword)
            self.metrics["features"] = named(word, _FEATURES, U32, "feature")
        elif keyword in {"realms", "ttl-propagate", "pervasive"}:
            value = "" if keyword == "pervasive" else " " + self.line.next(keyword)
            self.remarks.append(f"'{keyword}{value}' of a route is known to keepalived, not carried out")
        elif keyword == "append":
            self.remarks.append("'append' of a route is known to keepalived, not carried out: it is prepended")
        else:
            return keyword in {"add", "prepend"}
        return True

    def _destination(self, word: str) -> None:
        if word in KINDS:
            self.fields["kind"] = word
            if not self.line:
                raise ValueError("Route must have a destination")
            word = self.line.next()
        if word == "to":
            word = self.line.next("to")
        if "destination" in self.fields:
            raise ValueError(f"unknown route keyword {word}")
        if word in {"default", "all", "any"}:
            self.fields["destination"] = None
            return
        try:
            found = network(word, self.family, "destination")
        except ValueError as wrong:
            raise ValueError(f"unknown route keyword {word}") from wrong
        self._is(found.version)
        self.fields["destination"] = found

    def _or(self) -> None:
        self.remarks.append('"or" for routes is deprecated. Please use "nexthop"')
        other = self._address("or")
        if self.fields.get("via") is None or self.nexthops:
            raise ValueError(f'Invalid "or" address {other}: one gateway stands before it')
        self.nexthops = [Nexthop(self.fields.pop("via")), Nexthop(other)]

    def _nexthops(self) -> None:
        if self.nexthops:
            raise ValueError('Cannot specify nexthops with "or" route')
        more = True
        while more:
            values: dict[str, Any] = {}
            more = False
            while self.line and not more:
                word = self.line.next()
                if word == "nexthop":
                    more = True
                elif word in {"via", "gw"}:
                    values["via"] = self._via()
                elif word in {"dev", "oif"}:
                    values["device"] = interface_name(self.line.next(word))
                elif word == "weight":
                    values["weight"] = whole(self.line.next(word), 1, 256)
                elif word == "onlink":
                    values["onlink"] = True
                elif word == "no_track" or (word == "track_group" and self.static):
                    self._switch(word)
                else:
                    raise ValueError(f"unknown nexthop keyword {word}")
            self.nexthops.append(Nexthop(**values))


def route_line(words: Sequence[str], names: Surroundings, *, static: bool = False) -> RouteLine:
    """Return what a line stands for; ``track_group`` is known for static routes alone."""
    reader = _Reader(Words(words), names, static)
    reader.read()
    fields = reader.fields
    if "destination" not in fields:
        raise ValueError("Route must have a destination")
    destination: Network = fields.pop("destination") or network("default", reader.family, "destination")
    if fields.get("kind", "unicast") not in {"unicast", "local", "broadcast", "anycast", "multicast"} and (
        fields.get("via") or fields.get("device") or reader.nexthops
    ):
        reader.remarks.append(f"a {fields['kind']} route has neither via nor dev - ignoring them")
        reader.nexthops = []
        fields.update(via=None, device=None)
    if reader.nexthops and fields.get("device"):
        device = fields.pop("device")
        reader.nexthops = [replace(hop, device=hop.device or device) for hop in reader.nexthops]
    metrics = MappingProxyType(dict(sorted(reader.metrics.items())))
    route = Route(
        destination, "", nexthops=tuple(reader.nexthops), metrics=metrics, locked=frozenset(reader.locked), **fields
    )
    if route.protocol not in {None, 18} and route.tracked and not static:
        # keepalived finds its own routes again by their protocol, so it cannot watch over one of another's.
        reader.remarks.append("Route cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol")
        route = replace(route, protocol=None)
    return RouteLine(replace(route, text=route_text(route)), tuple(reader.remarks))


def route_text(route: Route) -> str:
    """Return the route in keepalived's order of words; ``route_line`` reads it as the same route."""
    everything = route.destination.prefixlen == 0
    words = ["inet6"] if route.destination.version == 6 and everything else []
    words += [] if route.kind == "unicast" else [route.kind]
    words += ["default" if everything else shown(route.destination)]
    values: list[tuple[str, object]] = [
        ("from", None if route.source_network is None else str(route.source_network)),
        ("src", route.source),
        ("via", route.via),
        ("dev", route.device),
        ("table", None if route.table == TABLE_MAIN else route.table),
        ("tos", f"0x{route.tos:x}" if route.tos else None),
        ("protocol", route.protocol),
        ("scope", route.scope),
        ("metric", route.priority),
        ("expires", route.expires),
        ("pref", route.preference),
    ]
    words += [f"{name} {value}" for name, value in values if value is not None]
    words += ["onlink"] if route.onlink else []
    for name, value in route.metrics.items():
        words.append(f"{name} lock {value}" if name in route.locked else f"{name} {value}")
    return " ".join([*words, *(_hop_text(hop) for hop in route.nexthops)])


def _hop_text(hop: Nexthop) -> str:
    words = ["nexthop"]
    words += [] if hop.via is None else [f"via {hop.via}"]
    words += [] if hop.device is None else [f"dev {hop.device}"]
    words += [] if hop.weight == 1 else [f"weight {hop.weight}"]
    return " ".join([*words, *(["onlink"] if hop.onlink else [])])

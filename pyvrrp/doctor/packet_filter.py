"""What a packet filter does to an advertisement: the ruleset of nftables, gone through as the kernel does.

Laws: pure. Every match is true, false or not known (who sent it, what was before it); where it is not known both ways
are gone. So the answer is what may become of a packet, and a packet that can only be dropped is dropped for certain.
Rules of the old iptables are not in what nft tells. nft(8), libnftables-json(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

from pyvrrp.model import Address

ACCEPT, DROP = "accept", "drop"
NUMBERS = {"vrrp": 112, "ah": 51}
"""The protocols of advertisements, as /etc/protocols calls them: nft tells a name where it knows one."""
FAMILIES = {4: frozenset({"ip", "inet"}), 6: frozenset({"ip6", "inet"})}
HOOKS = {"in": ("prerouting", "input"), "out": ("output", "postrouting")}
DEEPEST = 16
"""Jumps inside of jumps, as in the kernel (NFT_JUMP_STACK_SIZE)."""
_OTHER_HEADERS = frozenset({"tcp", "udp", "udplite", "icmp", "icmpv6", "igmp", "sctp", "dccp", "th", "comp", "esp"})

Object = Mapping[str, Any]
Known = bool | None
"""Whether something matches; None: it is not known."""


@dataclass(frozen=True, slots=True)
class Advert:
    """An advertisement on its way ``in`` or ``out``, through ``interface``. ``source`` None: not known."""

    way: str
    interface: str
    destination: Address
    protocol: int = 112
    source: Address | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """What may become of a packet, and by which chain it would be dropped."""

    may: frozenset[str]
    by: str = ""

    @property
    def is_dropped(self) -> bool:
        """Whether it is dropped whatever is not known."""
        return self.may == {DROP}


@dataclass(slots=True)
class _Ruleset:
    """Chains with their rules, sets and maps, by family, table and name."""

    chains: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    rules: dict[tuple[str, str, str], list[Sequence[Object]]] = field(default_factory=dict)
    sets: dict[tuple[str, str, str], Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, objects: Sequence[Object]) -> _Ruleset:
        found = cls()
        for one in objects:
            for kind, body in one.items():
                if kind == "chain":
                    found.chains[body["family"], body["table"], body["name"]] = body
                elif kind == "rule":
                    found.rules.setdefault((body["family"], body["table"], body["chain"]), []).append(body["expr"])
                elif kind in {"set", "map"}:
                    found.sets[body["family"], body["table"], body["name"]] = body.get("elem", ())
        return found

    def base_chains(self, packet: Advert) -> Iterator[tuple[str, str, str]]:
        """Yield the chains that a packet meets first, in the order in which it does."""
        families = FAMILIES[packet.destination.version]
        for hook in HOOKS[packet.way]:
            met = [
                (chain.get("prio", 0), key)
                for key, chain in self.chains.items()
                if chain.get("hook") == hook and chain.get("type") == "filter" and key[0] in families
            ]
            yield from (key for _, key in sorted(met, key=lambda one: one[0]))


def fate(objects: Sequence[Object], packet: Advert) -> Fate:
    """Return what the ruleset ``objects`` (of ``nft -j list ruleset``) does to ``packet``.

    What is told in a form that is not known here (another version of nft) may do anything.
    """
    try:
        return _fate(_Ruleset.of(objects), packet)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return Fate(frozenset({ACCEPT, DROP}), "a rule in a form that is not known here")


def _fate(ruleset: _Ruleset, packet: Advert) -> Fate:
    may, by = {ACCEPT}, ""
    for key in ruleset.base_chains(packet):
        chain = ruleset.chains[key]
        ends = _Walk(ruleset, packet, key[:2]).through(key[2])
        policy = chain.get("policy", ACCEPT)
        verdicts = {policy if end == _FELL_THROUGH else end for end in ends}
        if DROP in verdicts:
            may.add(DROP)
            by = by or f"chain {' '.join(key)}{' (its policy)' if verdicts == {DROP} == {policy} else ''}"
        if ACCEPT not in verdicts:
            return Fate(frozenset({DROP}), by)
    return Fate(frozenset(may), by)


_FELL_THROUGH = "end"


@dataclass(slots=True)
class _Walk:
    """The way of one packet through the chains of one table."""

    ruleset: _Ruleset
    packet: Advert
    table: tuple[str, str]
    depth: int = 0

    def through(self, name: str) -> frozenset[str]:
        """Return how the chain ``name`` may end: accept, drop, or at its end."""
        rules = self.ruleset.rules.get((*self.table, name), [])
        if self.depth > DEEPEST:
            return frozenset({_FELL_THROUGH})
        self.depth += 1
        ends: set[str] = set()
        for expressions in rules:
            verdicts, goes_on = self._rule(expressions)
            ends |= verdicts
            if not goes_on:
                break
        else:
            ends.add(_FELL_THROUGH)
        self.depth -= 1
        return frozenset(ends)

    def _rule(self, expressions: Sequence[Object]) -> tuple[set[str], bool]:
        """Return how a rule may end the chain, and whether the next one may be reached."""
        certain = True
        for expression in expressions:
            for kind, body in expression.items():
                if kind in _VERDICTS or kind == "vmap":
                    ends, goes_on = self._verdict(kind, body)
                    return ends, goes_on or not certain
                matches = self._matches(kind, body)
                if matches is False:
                    return set(), True
                certain = certain and matches is True
        return set(), True

    def _verdict(self, kind: str, body: Any) -> tuple[set[str], bool]:
        match kind:
            case "accept":
                return {ACCEPT}, False
            case "drop" | "reject":
                return {DROP}, False
            case "return":
                return {_FELL_THROUGH}, False
            case "jump" | "goto":
                ends = self.through(body["target"])
                if kind == "goto":
                    return set(ends), False
                return set(ends) - {_FELL_THROUGH}, _FELL_THROUGH in ends
            case "queue":
                return {ACCEPT, DROP}, False
            case _:
                return self._map(body)

    def _map(self, body: Object) -> tuple[set[str], bool]:
        data = body["data"]
        elements = data["set"] if isinstance(data, dict) else self.ruleset.sets.get((*self.table, data[1:]), ())
        ends: set[str] = set()
        for key, verdict in elements:
            matches = self._compare(body["key"], key)
            if matches is False:
                continue
            for kind, inner in verdict.items():
                further, goes_on = self._verdict(kind, inner)
                ends |= further
                if matches is True:
                    return ends, goes_on
        return ends, True

    # --- Matches --------------------------------------------------------------------------------------------------

    def _matches(self, kind: str, body: Any) -> Known:
        """Return whether a statement lets the packet go on in its rule; one that only counts or logs does."""
        if kind == "match":
            found, operator = self._compare(body["left"], body["right"]), body["op"]
            if operator in {"==", "in"} or found is None:
                return found
            return not found if operator == "!=" else False if _is_of_another(body["left"]) else None
        return None if kind in {"limit", "xt", "quota", "connlimit", "ct count"} else True

    def _compare(self, left: Any, right: Any) -> Known:
        match left:
            case {"meta": {"key": key}}:
                return self._meta(key, right)
            case {"payload": {"protocol": protocol, "field": name}}:
                return self._header(protocol, name, right)
            case {"ct": {"key": "state"}}:
                return self._state(right)
            case {"&": [{"payload": {"protocol": protocol}}, *_]} if protocol in _OTHER_HEADERS:
                return False  # flags of TCP, say
            case _:
                return None

    def _meta(self, key: str, right: Any) -> Known:
        packet = self.packet
        match key:
            case "l4proto":
                return self._among(right, self._is_protocol)
            case "nfproto":
                return self._among(right, lambda one: one == f"ipv{packet.destination.version}")
            case "pkttype":
                kinds = {"multicast"} if packet.destination.is_multicast else {"unicast", "host"}
                return self._among(right, kinds.__contains__)
            case "iifname" | "iif" | "oifname" | "oif":
                return self._interface(key, right)
            case _:
                return None

    def _among(self, right: Any, is_it: Any) -> Known:
        """Return whether one of the values that ``right`` stands for is it; None if one of them cannot be read."""
        answers = [is_it(one) for one in self._values(right)]
        if any(answer is True for answer in answers):
            return True
        return None if None in answers else False

    def _values(self, right: Any) -> list[Any]:
        if isinstance(right, str) and right.startswith("@"):
            return [_element(one) for one in self.ruleset.sets.get((*self.table, right[1:]), ())]
        if isinstance(right, dict) and "set" in right:
            return [_element(one) for one in right["set"]]
        return [_element(one) for one in right] if isinstance(right, list) else [right]

    def _is_protocol(self, one: Any) -> Known:
        if isinstance(one, dict) and "range" in one:
            low, high = (NUMBERS.get(end, end) for end in one["range"])
            return low <= self.packet.protocol <= high if isinstance(low, int) and isinstance(high, int) else None
        return bool(NUMBERS.get(one, one) == self.packet.protocol)

    def _interface(self, key: str, right: Any) -> Known:
        incoming = key.startswith("iif")
        if incoming is not (self.packet.way == "in"):
            return False  # the other one is not set on this way
        return self._among(right, lambda one: isinstance(one, str) and fnmatchcase(self.packet.interface, one))

    def _header(self, protocol: str, name: str, right: Any) -> Known:
        if protocol in _OTHER_HEADERS:
            return False
        if protocol not in {"ip", "ip6"}:
            return None
        if {"ip": 4, "ip6": 6}[protocol] != self.packet.destination.version:
            return False
        match name:
            case "protocol" | "nexthdr":
                return self._among(right, self._is_protocol)
            case "daddr":
                return self._among(right, lambda one: _holds(one, self.packet.destination))
            case "saddr":
                return self._among(right, lambda one: _holds(one, self.packet.source))
            case "ttl" | "hoplimit":
                return self._among(right, lambda one: one == 255 if isinstance(one, int) else None)
            case _:
                return None

    def _state(self, right: Any) -> Known:
        """What nobody answers is new for ever; between unicast peers it is established once both have been heard."""
        states = {"new"} if self.packet.destination.is_multicast else {"new", "established"}
        asked = set(self._values(right))
        if states <= asked:
            return True
        return None if states & asked else False


_VERDICTS = frozenset({"accept", "drop", "reject", "jump", "goto", "return", "queue"})


def _is_of_another(left: Any) -> bool:
    """Return whether something is of a header that advertisements do not have."""
    return isinstance(left, dict) and left.get("payload", {}).get("protocol") in _OTHER_HEADERS


def _element(one: Any) -> Any:
    """Return the value of an element, which may have a timeout or a comment around it."""
    return one["elem"]["val"] if isinstance(one, dict) and "elem" in one else one


def _holds(one: Any, address: Address | None) -> Known:
    if address is None:
        return None
    try:
        if isinstance(one, dict) and "prefix" in one:
            return address in ip_network((one["prefix"]["addr"], one["prefix"]["len"]))
        if isinstance(one, dict) and "range" in one:
            low, high = (ip_address(end) for end in one["range"])
            return int(low) <= int(address) <= int(high)
        return ip_address(one) == address
    except (ValueError, TypeError):
        return None

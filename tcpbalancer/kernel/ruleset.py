"""What nft is told: the table of one daemon, and the transaction from what stands in it to what must.

Laws: pure. Every text is one transaction: nft carries it out as a whole or not at all (nft(8), "-f"), and a packet sees
either what was before or what is after it. What does not change is not touched, so that nobody's turn is lost. The
connections that the table knows are never touched by it.

A connection carries the number of its way in its mark (conntrack), below the 8 bits of the daemon: by it the bytes are
counted, the source address is translated, and the connection is found again when it has to end. The text is nft's own
language and not its JSON, for nftables 1.0.6 cannot say in JSON that a set is filled by packets (``flags dynamic``).

Sources: nft(8), "SET STATEMENT", "NAT STATEMENTS", "NUMGEN EXPRESSION", "HASH EXPRESSIONS", "CT TIMEOUT".
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tcpbalancer.kernel.readings import Counts
from tcpbalancer.kernel.wanted import Entrance, Place, Wanted, Way

SEED = 0x74637062
"""Of the hash of clients' addresses: the same in every daemon, so that two balancers agree."""
_PROTOCOL = {4: "ip", 6: "ip6"}
_FAMILY = {4: "ipv4", 6: "ipv6"}
_LOOPBACK = {4: "127.0.0.0/8", 6: "::1"}
_MASK = 0xFF000000
_TABLE = re.compile(r"tcpbalancer-([1-9]\d{0,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Daemon:
    """One of the daemons of this machine, 1 to 255."""

    number: int

    @property
    def table(self) -> str:
        """The name of its table, of family inet."""
        return f"tcpbalancer-{self.number}"

    def mark(self, number: int) -> int:
        """Return the mark of the connections of a way or an entrance."""
        return self.number << 24 | number

    @property
    def marks(self) -> str:
        """All its marks, as conntrack(8) takes them: value/mask."""
        return f"{self.mark(0):#010x}/{_MASK:#010x}"


def numbers_in(listing: str) -> list[int]:
    """Return the numbers of the daemons whose tables ``nft -j list tables`` lists."""
    names = (one["table"]["name"] for one in json.loads(listing)["nftables"] if "table" in one)
    return [int(found[1]) for name in names if (found := _TABLE.fullmatch(name)) is not None]


def skeleton(daemon: Daemon) -> str:
    """Return the transaction that makes the table, without any entrance; one of that name must not be there."""
    ours = f"ct mark & {_MASK:#010x} == {daemon.mark(0):#010x}"
    loopback = "".join(f"\t\t{_PROTOCOL[family]} daddr {_LOOPBACK[family]} return\n" for family in (4, 6))
    return f"""\
table inet {daemon.table} {{
	set arrivals {{ typeof ct mark; size 65536; flags dynamic; }}
	set traffic {{ typeof ct mark . ct direction . @th,96,8; size 65536; flags dynamic; }}
	map addresses4 {{ type ipv4_addr . inet_service : verdict; }}
	map addresses6 {{ type ipv6_addr . inet_service : verdict; }}
	map ports {{ type nf_proto . inet_service : verdict; }}
	map sources4 {{ type mark : ipv4_addr; }}
	map sources6 {{ type mark : ipv6_addr; }}
	chain arrive {{
		tcp flags & (fin | syn | rst | ack) != syn return
		fib daddr type != local return
		ip daddr . tcp dport vmap @addresses4
		ip6 daddr . tcp dport vmap @addresses6
		meta nfproto . tcp dport vmap @ports
	}}
	chain prerouting {{
		type nat hook prerouting priority -100; policy accept;
		jump arrive
	}}
	chain output {{
		type nat hook output priority -100; policy accept;
{loopback}		jump arrive
	}}
	chain postrouting {{
		type nat hook postrouting priority 100; policy accept;
		{ours} ct status dnat snat ip to ct mark map @sources4
		{ours} ct status dnat snat ip6 to ct mark map @sources6
		{ours} ct status dnat masquerade
	}}
	chain count {{
		update @traffic {{ ct mark . ct direction . @th,96,8 counter }}
	}}
	chain received {{
		type filter hook prerouting priority -50; policy accept;
		iif != lo {ours} jump count
	}}
	chain sent {{
		type filter hook output priority -50; policy accept;
		{ours} jump count
	}}
}}
"""


def removal(daemon: Daemon) -> str:
    """Return the transaction that takes the table away, whether it is there or not."""
    return f"add table inet {daemon.table}\ndelete table inet {daemon.table}\n"


def transaction(daemon: Daemon, before: Wanted, after: Wanted) -> str:
    """Return the transaction that makes ``after`` of ``before``; empty if they are equal."""
    lines = [*_changes(before, after)]
    return "".join(f"{line.format(table=f'inet {daemon.table}', **_marks(daemon, number))}\n" for number, line in lines)


def _marks(daemon: Daemon, number: int) -> dict[str, str]:
    return {"mark": f"{daemon.mark(number):#010x}"}


def _changes(before: Wanted, after: Wanted) -> Iterator[tuple[int, str]]:
    """Yield commands, each with the number whose mark stands for ``{mark}`` in it."""
    new = {number: way for number, way in after.ways.items() if number not in before.ways}
    old = {number: way for number, way in before.ways.items() if number not in after.ways}
    lifetimes_before, lifetimes = _lifetimes(before), _lifetimes(after)
    for name in sorted(lifetimes - lifetimes_before):
        yield 0, f"add ct timeout {{table}} {_timeout(name)}"
    for number, way in new.items():
        yield from ((number, line) for line in _new_way(number, way))
    changed = {number: one for number, one in after.entrances.items() if before.entrances.get(number) != one}
    for number, entrance in changed.items():
        known = before.entrances.get(number)
        if known is None or (known.choice, known.turns) != (entrance.choice, entrance.turns):
            yield from ((number, line) for line in _entrance(number, entrance, is_new=known is None))
    yield from ((0, line) for line in _signposts(before, after))
    for number in before.entrances.keys() - after.entrances.keys():
        yield 0, f"flush chain {{table}} entrance-{number}"
        yield 0, f"delete chain {{table}} entrance-{number}"
    for number, way in old.items():
        yield from ((number, line) for line in _old_way(number, way))
    for name in sorted(lifetimes_before - lifetimes):
        yield 0, f"delete ct timeout {{table}} {_timeout_name(name)}"


# -- ways --------------------------------------------------------------------------------------------------------------


def _new_way(number: int, way: Way) -> Iterator[str]:
    protocol = _PROTOCOL[way.family]
    address = f"[{way.address}]" if way.family == 6 and way.port else way.address
    target = f"{address}:{way.port}" if way.port else address
    lifetime = f'ct timeout set "{_timeout_name(_lifetime(way))}" ' if _lifetime(way) else ""
    rule = f"add rule {{table}} server-{number}"
    yield f"add chain {{table}} server-{number}"
    # Two rules: whoever finds no room to be counted in is led on all the same.
    yield f'{rule} {lifetime}ct mark set {{mark}} update @arrivals {{{{ ct mark counter }}}} comment "{way.title}"'
    yield f"{rule} meta l4proto tcp dnat {protocol} to {target}"
    if way.source:
        yield f"add element {{table}} sources{way.family} {{{{ {{mark}} : {way.source} }}}}"


def _old_way(number: int, way: Way) -> Iterator[str]:
    yield f"flush chain {{table}} server-{number}"
    yield f"delete chain {{table}} server-{number}"
    if way.source:
        yield f"delete element {{table}} sources{way.family} {{{{ {{mark}} }}}}"


_Lifetime = tuple[int, int, int]
"""Family, seconds without a packet, the same of a half-closed connection."""


def _lifetime(way: Way) -> _Lifetime | None:
    return (way.family, way.idle, way.half_closed) if way.idle or way.half_closed else None


def _lifetimes(wanted: Wanted) -> set[_Lifetime]:
    return {lifetime for way in wanted.ways.values() if (lifetime := _lifetime(way)) is not None}


def _timeout_name(lifetime: _Lifetime | None) -> str:
    assert lifetime is not None
    family, idle, half_closed = lifetime
    return f"idle{family}-{idle}-{half_closed}"


def _timeout(lifetime: _Lifetime) -> str:
    family, idle, half_closed = lifetime
    policy = [f"established : {idle}"] if idle else []
    policy += [f"fin_wait : {half_closed}", f"close_wait : {half_closed}"] if half_closed else []
    return (
        f"{_timeout_name(lifetime)} {{{{ protocol tcp; l3proto {_PROTOCOL[family]}; "
        f"policy = {{{{ {', '.join(policy)} }}}}; }}}}"
    )


# -- entrances ---------------------------------------------------------------------------------------------------------


def _entrance(number: int, entrance: Entrance, *, is_new: bool) -> Iterator[str]:
    """Yield the rules of an entrance: whose turn it is, family by family; who finds no server is refused."""
    rule = f"add rule {{table}} entrance-{number}"
    yield f"add chain {{table}} entrance-{number}" if is_new else f"flush chain {{table}} entrance-{number}"
    for family, turns in zip((4, 6), entrance.turns, strict=True):
        if turns:
            slots = ", ".join(f"{slot} : goto server-{way}" for slot, way in enumerate(turns))
            yield (
                f"{rule} meta nfproto {_FAMILY[family]} "
                f'{_choice(entrance, family, len(turns))} vmap {{{{ {slots} }}}} comment "{entrance.title}"'
            )
    yield f"{rule} ct mark set {{mark}} update @arrivals {{{{ ct mark counter }}}}"
    yield f"{rule} meta l4proto tcp reject with tcp reset"


def _choice(entrance: Entrance, family: int, count: int) -> str:
    if entrance.choice == "source":
        return f"jhash {_PROTOCOL[family]} saddr mod {count} seed {SEED:#x}"
    return f"numgen {'random' if entrance.choice == 'random' else 'inc'} mod {count}"


def _signposts(before: Wanted, after: Wanted) -> Iterator[str]:
    """Yield what leads arriving connections from places to entrances."""
    old, new = _places(before), _places(after)
    for place in [place for place, number in old.items() if new.get(place) != number]:
        table, key = _key(place)
        yield f"delete element {{table}} {table} {{{{ {key} }}}}"
    for place, number in new.items():
        if old.get(place) != number:
            table, key = _key(place)
            yield f"add element {{table}} {table} {{{{ {key} : goto entrance-{number} }}}}"


def _places(wanted: Wanted) -> dict[Place, int]:
    return {place: number for number, entrance in wanted.entrances.items() for place in entrance.places}


def _key(place: Place) -> tuple[str, str]:
    if place.address:
        return f"addresses{place.family}", f"{place.address} . {place.port}"
    return "ports", f"{_FAMILY[place.family]} . {place.port}"


def forgetting(daemon: Daemon, counts: Counts, numbers: Collection[int]) -> str:
    """Return the transaction that forgets what was counted of some ways; empty if nothing was."""
    came = [f"{daemon.mark(number):#010x}" for number in counts.arrivals if number in numbers]
    moved = [
        f"{daemon.mark(number):#010x} . {'reply' if row.is_reply else 'original'} . {row.octet:#04x}"
        for number, rows in counts.traffic.items()
        if number in numbers
        for row in rows
    ]
    return "".join(
        f"delete element inet {daemon.table} {name} {{ {', '.join(keys)} }}\n"
        for name, keys in (("arrivals", came), ("traffic", moved))
        if keys
    )

"""What the configurations of several routers get wrong between them.

Laws: pure. Every difference that makes one router refuse another's advertisements is an error: both become MASTER.
Each is told once for a router, against the first one in the order of the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from hakit.diagnosis import Finding, Level, Rule
from pyvrrp.doctor import carried
from pyvrrp.doctor.node import Node, listed
from pyvrrp.doctor.routers import Member, Shared
from pyvrrp.model import AuthType, HmacAuthentication, HmacMode, Instance, Multicast, Unicast

NO_PARTNER = Rule("no-partner", Level.WARNING, "No other file has this virtual router: nobody takes over from it.")
VRID_DIFFERS = Rule("vrid-differs", Level.ERROR, "Routers hold the same address under different VRIDs.")
VERSION_DIFFERS = Rule("version-differs", Level.ERROR, "Routers speak different versions of VRRP.")
INTERVAL_DIFFERS = Rule("interval-differs", Level.ERROR, "advert_int differs in version 2, which refuses that.")
INTERVAL_UNLIKE = Rule(
    "interval-unlike",
    Level.WARNING,
    "advert_int differs in version 3: each master is missed after another time.",
)
AUTHENTICATION_DIFFERS = Rule(
    "authentication-differs", Level.ERROR, "Routers differ in auth_type, in the password, or in what auth_hmac signs."
)
TRANSPORT_DIFFERS = Rule(
    "transport-differs", Level.ERROR, "Routers send to different places: multicast and unicast, or two groups."
)
PEER_MISSING = Rule("peer-missing", Level.ERROR, "A router is not among the unicast peers of another one.")
SOURCE_TWICE = Rule("source-twice", Level.ERROR, "Two routers send from the same address.")
PRIORITY_SAME = Rule(
    "priority-same",
    Level.WARNING,
    "Two routers have one priority: the first one stays master, or the higher address.",
)
OWNERS = Rule("two-owners", Level.ERROR, "Two routers have priority 255: both own the addresses, and neither yields.")
PREEMPT_DIFFERS = Rule("preempt-differs", Level.NOTE, "nopreempt stands on some routers only.")
TRACKING_DIFFERS = Rule("tracking-differs", Level.NOTE, "Routers track different things, or with different weights.")
GROUP_DIFFERS = Rule("group-differs", Level.WARNING, "Instances are in one sync group here and not there.")
RULES = (
    NO_PARTNER, VRID_DIFFERS, VERSION_DIFFERS, INTERVAL_DIFFERS, INTERVAL_UNLIKE,
    AUTHENTICATION_DIFFERS, TRANSPORT_DIFFERS, PEER_MISSING, SOURCE_TWICE, PRIORITY_SAME, OWNERS, PREEMPT_DIFFERS,
    TRACKING_DIFFERS, GROUP_DIFFERS, *carried.RULES,
)  # fmt: skip

_TWO_MASTERS = "each refuses what the other sends, hears nobody, and becomes MASTER: the addresses are there twice"


def examine(nodes: Sequence[Node], members: Shared) -> Iterator[Finding]:
    """Yield what is wrong between the ``members`` of one virtual router; nothing if there is a single node."""
    if len(nodes) < 2:
        return
    first = members[0]
    if len({member.node.name for member in members}) == 1:
        yield _no_partner(nodes, first)
    for other in members[1:]:
        yield from _pair(first, other)
    yield from _priorities(members)
    yield from _sources(members)
    yield from carried.examine_leases(members)


def _no_partner(nodes: Sequence[Node], member: Member) -> Finding:
    node, instance = member.node, member.instance
    others = listed(other.name for other in nodes if other is not node)
    return node.finding(
        NO_PARTNER,
        node.at(instance, "virtual_router_id"),
        f"{instance.name} (VRID {instance.virtual_router_id}) is on {node.name} alone",
        why=f"neither an address nor the VRID of {instance.name} is on {others}",
        remedy=f"the same instance on {others}, or leave {others} out if this is another LAN",
    )


def _pair(first: Member, other: Member) -> Iterator[Finding]:
    one, two = first.instance, other.instance
    if one.virtual_router_id != two.virtual_router_id:
        yield _differs(VRID_DIFFERS, first, other, "virtual_router_id", one.virtual_router_id, two.virtual_router_id)
        return
    if one.version != two.version:
        yield _differs(VERSION_DIFFERS, first, other, "version", one.version, two.version)
    elif one.advert_interval != two.advert_interval:
        yield _intervals(first, other)
    yield from carried.examine(first, other)
    yield from _authentication(first, other)
    yield from _transport(first, other)
    yield from _habits(first, other)


def _differs(
    rule: Rule, first: Member, other: Member, keyword: str, ours: object, theirs: object, why: str = _TWO_MASTERS
) -> Finding:
    return other.node.finding(
        rule,
        other.node.at(other.instance, keyword),
        f"{other.instance.name} has {keyword} {theirs}, and {first.instance.name} on {first.node.name} has {ours}",
        why=why,
        remedy=f"{keyword} {ours} here, or {theirs} at {first.node.at(first.instance, keyword)}",
    )


def _intervals(first: Member, other: Member) -> Finding:
    one, two = first.instance, other.instance
    ours, theirs = f"{one.advert_interval:g}", f"{two.advert_interval:g}"
    if one.version == 2:
        return _differs(INTERVAL_DIFFERS, first, other, "advert_int", ours, theirs)
    why = "version 3 learns the interval from the master, so each of them is missed after another time"
    return _differs(INTERVAL_UNLIKE, first, other, "advert_int", ours, theirs, why)


def _authentication(first: Member, other: Member) -> Iterator[Finding]:
    one, two = first.instance, other.instance
    what = _why_not_believed(one, two) or _why_not_believed(two, one)
    if what is None:
        return
    keyword = "auth_hmac" if one.hmac or two.hmac else "authentication"
    yield other.node.finding(
        AUTHENTICATION_DIFFERS,
        other.node.at(two, keyword),
        f"{two.name} and {one.name} on {first.node.name} do not believe each other: {what}",
        why=_TWO_MASTERS,
        remedy=f"the same {keyword} block here and at {first.node.at(one, keyword)}",
    )


def _why_not_believed(sender: Instance, receiver: Instance) -> str | None:
    if receiver.hmac is not None:
        return _why_unsigned(sender.hmac, receiver.hmac)
    if sender.hmac is not None and sender.hmac.mode is not HmacMode.RECEIVE_ONLY:
        return "what one signs with auth_hmac is too long for the other, which has none"
    if sender.version == receiver.version == 2:
        one, two = sender.authentication, receiver.authentication
        if one.type is not two.type:
            return f"auth_type is {_type(one.type)} and {_type(two.type)}"
        if one.password != two.password:
            return "their auth_pass differs"
    return None


def _type(kind: AuthType) -> str:
    return "none" if kind is AuthType.NONE else kind.name


def _why_unsigned(sender: HmacAuthentication | None, receiver: HmacAuthentication) -> str | None:
    if sender is None or sender.mode is HmacMode.RECEIVE_ONLY:
        return "one wants signatures and the other does not sign" if receiver.mode is HmacMode.ENFORCE else None
    if receiver.keys.get(sender.active_key) != sender.keys[sender.active_key]:
        return f"the key {sender.active_key} that one signs with is not the other's"
    return None


def _transport(first: Member, other: Member) -> Iterator[Finding]:
    one, two = first.instance.transport, other.instance.transport
    if isinstance(one, Unicast) is isinstance(two, Unicast):
        if isinstance(one, Multicast) and isinstance(two, Multicast) and one.group != two.group:
            yield _differs(TRANSPORT_DIFFERS, first, other, "mcast_dst_ip", one.group, two.group)
        return
    member, partner = (first, other) if isinstance(one, Unicast) else (other, first)
    yield member.node.finding(
        TRANSPORT_DIFFERS,
        member.node.at(member.instance, "unicast_peer"),
        f"{member.instance.name} sends to peers, {partner.instance.name} on {partner.node.name} to a multicast group",
        why=_TWO_MASTERS,
        remedy=f"unicast_peer on both, or on neither: {partner.node.at(partner.instance)}",
    )


def _habits(first: Member, other: Member) -> Iterator[Finding]:
    one, two = first.instance, other.instance
    if one.preempt is not two.preempt:
        without, keeper = (first, other) if not one.preempt else (other, first)
        yield without.node.finding(
            PREEMPT_DIFFERS,
            without.node.at(without.instance, "nopreempt"),
            f"{without.node.name} takes the addresses from nobody, {keeper.node.name} from any lower priority",
            why="which of them is master after a failure then depends on which of them failed",
            remedy="nopreempt on all routers of a pair, or on none",
        )
    if sorted(map(repr, first.node.tracked_by(one))) != sorted(map(repr, other.node.tracked_by(two))):
        yield other.node.finding(
            TRACKING_DIFFERS,
            other.node.at(two, "track_script"),
            f"{two.name} does not track what {one.name} on {first.node.name} tracks, or with other weights",
            why="the same failure then means something else on each router",
            remedy=f"the same track_ blocks here and at {first.node.at(one, 'track_script')}, unless it is meant so",
        )


def _priorities(members: Shared) -> Iterator[Finding]:
    by_priority: dict[int, Member] = {}
    for member in members:
        first = by_priority.setdefault(member.instance.priority, member)
        if first.node is member.node:
            continue
        node, instance = member.node, member.instance
        place = node.at(instance, "priority")
        if instance.is_owner:
            yield node.finding(
                OWNERS,
                place,
                f"{node.name} and {first.node.name} both have priority 255",
                why="an owner is MASTER at once and yields to nobody, so both hold the addresses",
                remedy="255 on the router that has the addresses as its own, if there is one; elsewhere 1 to 254",
            )
            continue
        yield node.finding(
            PRIORITY_SAME,
            place,
            f"{node.name} and {first.node.name} both have priority {instance.priority}",
            why="whoever was master first stays it; if both begin at once, the higher address wins:"
            " nobody can tell from the files where the addresses are",
            remedy=f"a priority of its own for each router; the other one is at"
            f" {first.node.at(first.instance, 'priority')}",
        )


def _sources(members: Shared) -> Iterator[Finding]:
    for one, other in combinations(members, 2):
        if one.node is other.node:
            continue
        if one.instance.source is not None and one.instance.source == other.instance.source:
            yield _same_source(one, other)
            continue
        for receiver, sender in ((one, other), (other, one)):
            yield from _peer(receiver, sender)


def _same_source(one: Member, other: Member) -> Finding:
    keyword = "unicast_src_ip" if isinstance(other.instance.transport, Unicast) else "mcast_src_ip"
    return other.node.finding(
        SOURCE_TWICE,
        other.node.at(other.instance, keyword),
        f"{other.node.name} sends from {other.instance.source}, and so does {one.node.name}",
        why="only one of them can have the address; and whoever hears its own address takes it for its own packet",
        remedy=f"each router's own address in {keyword}; the other one is at {one.node.at(one.instance, keyword)}",
    )


def _peer(receiver: Member, sender: Member) -> Iterator[Finding]:
    transport, source = receiver.instance.transport, sender.instance.source
    if not isinstance(transport, Unicast) or source is None or source in {peer.address for peer in transport.peers}:
        return
    yield receiver.node.finding(
        PEER_MISSING,
        receiver.node.at(receiver.instance, "unicast_peer"),
        f"{source} of {sender.node.name} is not among the peers of {receiver.instance.name}",
        why=f"{receiver.node.name} sends nothing there and refuses what comes from there, and both become MASTER",
        remedy=f"{source} in unicast_peer here; it is what {sender.node.at(sender.instance, 'unicast_src_ip')} says",
    )


def examine_groups(nodes: Sequence[Node], routers: Sequence[Shared]) -> Iterator[Finding]:
    """Yield which sync groups of one of ``nodes`` another one does not have, though it has their virtual routers."""
    number_of = {(one.node.name, one.instance.name): index for index, members in enumerate(routers) for one in members}
    for node in nodes:
        for group in node.configuration.groups:
            wanted = {number_of[node.name, member] for member in group.members}
            for other in nodes:
                have = {number for (name, _), number in number_of.items() if name == other.name}
                here = wanted & have
                together = [
                    {number_of[other.name, member] for member in one.members} for one in other.configuration.groups
                ]
                if len(here) < 2 or any(here <= one for one in together):
                    continue
                yield node.finding(
                    GROUP_DIFFERS,
                    node.places.of(f"vrrp_sync_group {group.name}"),
                    f"{listed(group.members)} move together on {node.name}, and not on {other.name}",
                    why="one of them can be MASTER on each router: traffic comes in here and leaves there",
                    remedy=f"the same vrrp_sync_group in the file of {other.name}",
                )

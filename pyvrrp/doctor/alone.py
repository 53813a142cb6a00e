"""What one configuration gets wrong by itself, whoever the other routers are.

Laws: pure. What the reader of the configuration warns of is passed on, unless a rule here says it with more; what it
merely advises is a note.
"""

from __future__ import annotations

from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule, Spot
from pyvrrp.doctor.node import Node, listed
from pyvrrp.model import AuthType, InitialState, Instance, TrackScript, Unicast

MAX_PASSWORD = 8
"""Bytes (RFC 2338 section 5.3.6)."""

CONFIGURATION = Rule("configuration", Level.WARNING, "The reader of the file warns: what `pyvrrp -t` says.")
ADVICE = Rule("advice", Level.NOTE, "The reader of the file has advice that keepalived would not give.")
PASSWORD_TRUNCATED = Rule(
    "password-truncated",
    Level.WARNING,
    "auth_pass is longer than 8 bytes: only the first 8 are sent and compared.",
    "Truncating auth_pass",
)
PASSWORD_IN_CLEAR = Rule(
    "password-in-clear",
    Level.NOTE,
    "auth_type PASS sends its password in clear text with every advertisement.",
    "sends its password in clear text",
)
NOPREEMPT_CLEARED = Rule(
    "nopreempt-cleared",
    Level.WARNING,
    "nopreempt or preempt_delay stands beside state MASTER or priority 255, where it has no effect.",
    "nopreempt will not work with initial state MASTER",
)
OUTLASTS_INTERVAL = Rule(
    "script-outlasts-interval",
    Level.WARNING,
    "A script may run for longer than its interval: runs are skipped.",
)
NOTHING_TRACKED = Rule(
    "nothing-tracked", Level.NOTE, "Nothing is tracked: the addresses stay where the service behind them has died."
)
ADDRESS_TWICE = Rule("address-twice", Level.ERROR, "Two instances of one router hold the same address.")
SOURCE_IS_VIRTUAL = Rule(
    "source-is-virtual", Level.ERROR, "Advertisements are sent from an address that moves: peers take it for their own."
)
SOURCE_ELSEWHERE = Rule(
    "source-in-another-network",
    Level.WARNING,
    "A virtual address is in no network of the router's own address: its neighbours will not ask for it there.",
)
OWN_PEER = Rule("own-peer", Level.WARNING, "A router is its own unicast peer.")
RULES = (
    CONFIGURATION, ADVICE, PASSWORD_TRUNCATED, PASSWORD_IN_CLEAR, NOPREEMPT_CLEARED, OUTLASTS_INTERVAL,
    NOTHING_TRACKED, ADDRESS_TWICE, SOURCE_IS_VIRTUAL, SOURCE_ELSEWHERE, OWN_PEER,
)  # fmt: skip

_SAID_BETTER = ("preempt delay will not work with initial state MASTER",)
"""Warnings of the reader that are told together with another one."""
_TRIED = "lowers priority"
"""In the advice about weights: what comes of them is tried as soon as there are several routers."""


def examine(node: Node, *, tried: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with the configuration of ``node``; ``tried``: failures of all routers are simulated."""
    yield from _of_the_reader(node, tried=tried)
    for script in node.configuration.scripts:
        yield from _script(node, script)
    yield from _addresses(node)
    for instance in node.configuration.instances:
        yield from _password(node, instance)
        yield from _preemption(node, instance)
        yield from _source(node, instance)
        yield from _nothing_tracked(node, instance)


def _of_the_reader(node: Node, *, tried: bool) -> Iterator[Finding]:
    better = [*_SAID_BETTER, *(rule.instead_of for rule in RULES if rule.instead_of), *([_TRIED] if tried else [])]
    for warning in node.warnings:
        if any(words in warning.message for words in better):
            continue
        rule = ADVICE if warning.advice else CONFIGURATION
        yield node.finding(rule, Spot(warning.location, warning.source), warning.message, why="", remedy="")


def _script(node: Node, script: TrackScript) -> Iterator[Finding]:
    if script.timeout is None or script.timeout <= script.interval:
        return
    yield node.finding(
        OUTLASTS_INTERVAL,
        node.places.of(f"vrrp_script {script.name}", "timeout"),
        f"{script.name} may run for {script.timeout:g} s, and is due every {script.interval:g} s",
        why=f"runs do not overlap: while one hangs the others are skipped, and a failure counts only after"
        f" {script.timeout * script.fall:g} s",
        remedy=f"timeout {script.interval:g} or less, or an interval of at least {script.timeout:g}",
    )


def _addresses(node: Node) -> Iterator[Finding]:
    held: dict[object, Instance] = {}
    for instance in node.configuration.instances:
        for address in (*instance.addresses, *instance.excluded):
            other = held.setdefault(address.ip, instance)
            if other is instance:
                continue
            yield node.finding(
                ADDRESS_TWICE,
                node.line_of(instance, address),
                f"{other.name} and {instance.name} both hold {address.ip}",
                why="as soon as one of them is not MASTER it takes the address away from the other",
                remedy="give each instance addresses of its own; to move both together, use a vrrp_sync_group",
            )


def _password(node: Node, instance: Instance) -> Iterator[Finding]:
    given = node.places.statement(f"vrrp_instance {instance.name}", "authentication", "auth_pass")
    length = len(given.parameters[0].text.encode("utf-8", "surrogatepass")) if given and given.parameters else 0
    if instance.authentication.type is not AuthType.NONE and length > MAX_PASSWORD:
        yield node.finding(
            PASSWORD_TRUNCATED,
            node.at(instance, "authentication", "auth_pass"),
            f"auth_pass has {length} bytes, and VRRPv2 has room for {MAX_PASSWORD}: the rest counts for nothing",
            why="passwords that begin alike are the same one, and some routers refuse a long one altogether",
            remedy=f"an auth_pass of {MAX_PASSWORD} bytes at most, the same on every router",
        )
    if instance.authentication.type is AuthType.PASS:
        yield node.finding(
            PASSWORD_IN_CLEAR,
            node.at(instance, "authentication", "auth_type"),
            f"{instance.name} sends its password in clear text",
            why=f"everybody on the network of {instance.interface} can read it, and become master with it",
            remedy="take it for a label against mistakes; what protects is auth_hmac (keepalived 2.4),"
            " unicast peers, or a network of the routers' own",
        )


def _preemption(node: Node, instance: Instance) -> Iterator[Finding]:
    if instance.initial_state is not InitialState.MASTER and not instance.is_owner:
        return
    for keyword in ("nopreempt", "preempt_delay"):
        if node.places.statement(f"vrrp_instance {instance.name}", keyword) is None:
            continue
        beside = "priority 255" if instance.is_owner else "state MASTER"
        yield node.finding(
            NOPREEMPT_CLEARED,
            node.at(instance, keyword),
            f"{keyword} has no effect beside {beside}: {node.name} takes the addresses back as soon as it can",
            why=f"keepalived clears {keyword} there, and so does pyvrrp",
            remedy="state BACKUP on every router; the priority decides all the same",
        )


def _source(node: Node, instance: Instance) -> Iterator[Finding]:
    source = instance.source
    if source is None:
        return
    keyword = "unicast_src_ip" if isinstance(instance.transport, Unicast) else "mcast_src_ip"
    if source in {address.ip for address in (*instance.addresses, *instance.excluded)}:
        yield node.finding(
            SOURCE_IS_VIRTUAL,
            node.at(instance, keyword),
            f"{instance.name} sends from {source}, one of its virtual addresses",
            why="a backup does not have the address, and whoever holds it takes the packets for its own",
            remedy=f"{keyword} with the address that {node.name} keeps whatever its state",
        )
    yield from _networks(node, instance, keyword)
    if isinstance(instance.transport, Unicast) and source in {peer.address for peer in instance.transport.peers}:
        yield node.finding(
            OWN_PEER,
            node.at(instance, "unicast_peer", str(source)),
            f"{instance.name} names its own address {source} among its peers",
            why="what it sends to itself is refused and counted, at every interval",
            remedy="leave the line out: the peers are the others",
        )


def _networks(node: Node, instance: Instance, keyword: str) -> Iterator[Finding]:
    source = instance.source
    wide = [one for one in instance.addresses if one.interface.network.prefixlen < one.ip.max_prefixlen]
    near = [one for one in wide if one.device in {None, instance.interface} and not one.ip.is_link_local]
    if not near or source is None or source.is_link_local or any(source in one.interface.network for one in near):
        return
    yield node.finding(
        SOURCE_ELSEWHERE,
        node.line_of(instance, near[0]),
        f"{listed(near)} is not in the network of {source}, from which {instance.name} sends",
        why="hosts of that network will look for the address elsewhere, unless a route leads them here",
        remedy=f"an address of the network of {keyword}, or a route to it on the hosts that use it",
    )


def _nothing_tracked(node: Node, instance: Instance) -> Iterator[Finding]:
    if any(node.tracked_by(instance)) or instance.is_owner:
        return
    yield node.finding(
        NOTHING_TRACKED,
        node.at(instance),
        f"{instance.name} tracks nothing: its addresses move only if {node.name} or its link goes down",
        why="a router whose service has died is still a healthy router, and keeps the addresses",
        remedy="a vrrp_script that asks the service itself, and track_script in the instance",
    )

"""A line of ``virtual_rules`` or ``static_rules``: ip-rule(8), as keepalived.conf(5) takes it.

Laws: pure. A rule without an action or with a word that nobody knows raises ValueError. ``rule_text`` writes what
``rule_line`` reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pyvrrp.config.route_words import U32, Words, named, network, number_range, shown
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import Network, Rule

IP_PROTOCOLS = {"icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "udp": 17, "dccp": 33, "gre": 47, "esp": 50, "ah": 51,
    "icmpv6": 58, "ipv6-icmp": 58, "vrrp": 112, "sctp": 132, "udplite": 136}  # fmt: skip
ACTIONS = frozenset({"blackhole", "unreachable", "prohibit", "nop"})
KEEPALIVED = 18
"""RTPROT_KEEPALIVED, which the kernel is told of what we add unless a line says otherwise."""
_ALIASES = {
    "lookup": "table", "order": "priority", "preference": "priority", "dsfield": "tos",
    "sup_pl": "suppress_prefixlength",
    "sup_group": "suppress_ifgroup", "suppress_prefixlen": "suppress_prefixlength", "dev": "iif", "ip_proto": "ipproto",
}  # fmt: skip


def rule_line(words: Sequence[str], names: Surroundings, *, static: bool = False) -> Rule:
    """Return what a line stands for; ``track_group`` is known for static rules alone."""
    line = Words(words)
    family: int | None = None
    fields: dict[str, Any] = {}
    actions: list[str] = []
    while line:
        word = line.next()
        keyword = _ALIASES.get(word, word)
        if keyword in {"inet", "inet6"}:
            family = _same_family(family, 6 if keyword == "inet6" else 4)
        elif keyword in {"from", "to"}:
            text = line.next(word)
            prefix = network(text, family, f"rule {keyword}")
            if text not in {"all", "any", "default"}:
                family = _same_family(family, prefix.version)
                fields["source" if keyword == "from" else "destination"] = prefix
        elif keyword == "table":
            actions.append("table")
            fields["table"] = named(line.next(word), names.tables, U32, "Routing table")
            if not fields["table"]:
                raise ValueError("Table 0 is not valid")
        elif keyword == "goto":
            actions.append("goto")
            fields["goto"] = whole(line.next(word), 1, U32)
        elif keyword in _VALUES:
            name, read = _VALUES[keyword]
            fields[name] = read(line.next(word), names)
        elif keyword == "fwmark":
            fields |= _fwmark(line.next(word))
        elif keyword == "track_group" and static:
            fields["track_group"] = line.next(word)
        elif keyword in _SWITCHES:
            fields |= _SWITCHES[keyword]
        else:
            actions.append(_action(line.next(word) if word == "type" else word))
    return _checked(Rule(family or 4, "", **fields), actions)


def _checked(rule: Rule, actions: Sequence[str]) -> Rule:
    if len(actions) + rule.l3mdev > 1:
        raise ValueError(
            "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable/l3mdev for rule"
        )
    if not actions and not rule.l3mdev:
        raise ValueError("No action specified for rule - ignoring")
    action = actions[0] if actions else "table"
    if rule.realms is not None and rule.family == 6:
        raise ValueError("realms is only valid for IPv4")
    if action != "table" and (rule.suppress_prefixlength is not None or rule.suppress_group is not None):
        raise ValueError("suppressor/realm specified for non table action - skipping")
    if rule.goto is not None and rule.priority is None:
        raise ValueError(f"Invalid rule - goto target {rule.goto} specified without preference")
    if rule.goto is not None and rule.priority is not None and rule.priority >= rule.goto:
        raise ValueError(f"Invalid rule - preference {rule.priority} >= goto target {rule.goto}")
    rule = replace(rule, action=action)
    return replace(rule, text=rule_text(rule))


def _same_family(known: int | None, found: int) -> int:
    if known is not None and known != found:
        raise ValueError("rule specification has mixed IPv4 and IPv6")
    return found


def _action(word: str) -> str:
    if word not in ACTIONS:
        raise ValueError(f"Unknown rule option {word}")
    return word


def _fwmark(text: str) -> dict[str, int]:
    mark, slash, mask = text.partition("/")
    try:
        found = {"fwmark": named(mark, {}, U32, "")}
        return found | ({"fwmask": named(mask, {}, U32, "")} if slash else {})
    except ValueError as wrong:
        raise ValueError(f"Invalid rule fwmark {text} specified") from wrong


def _realms(text: str, names: Surroundings) -> int:
    source, slash, destination = text.partition("/")
    high = named(source, names.realms, 0xFFFF, "realm")
    return high << 16 | named(destination, names.realms, 0xFFFF, "realm") if slash else high


_VALUES: dict[str, tuple[str, Callable[[str, Surroundings], Any]]] = {
    "priority": ("priority", lambda text, _: named(text, {}, U32, "rule preference")),
    "tos": ("tos", lambda text, _: named(text, {}, 255, "TOS value")),
    "realms": ("realms", _realms),
    "suppress_prefixlength": ("suppress_prefixlength", lambda text, _: whole(text, 0, 128)),
    "suppress_ifgroup": ("suppress_group", lambda text, names: named(text, names.groups, U32, "suppress_group")),
    "iif": ("input_interface", lambda text, _: interface_name(text)),
    "oif": ("output_interface", lambda text, _: interface_name(text)),
    "tunnel-id": ("tunnel_id", lambda text, _: whole(text, 0, 2**63 - 1)),
    "uidrange": ("uid_range", lambda text, _: number_range(text, U32, "uidrange")),
    "protocol": ("protocol", lambda text, names: named(text, names.protocols, 255, "protocol")),
    "ipproto": ("ip_protocol", lambda text, _: named(text.lower(), IP_PROTOCOLS, 255, "ipproto")),
    "sport": ("source_ports", lambda text, _: number_range(text, 65535, "sport")),
    "dport": ("destination_ports", lambda text, _: number_range(text, 65535, "dport")),
}
_SWITCHES: dict[str, dict[str, bool]] = {
    "not": {"inverted": True},
    "l3mdev": {"l3mdev": True},
    "no_track": {"tracked": False},
}


def rule_text(rule: Rule) -> str:
    """Return the rule in keepalived's order of words; ``rule_line`` reads it as the same rule."""

    def between(pair: tuple[int, int] | None) -> str | None:
        return None if pair is None else f"{pair[0]}-{pair[1]}"

    mask = "" if rule.fwmask is None else f"/0x{rule.fwmask:x}"
    values: list[tuple[str, object]] = [
        ("to", _shown(rule.destination)),
        ("priority", rule.priority),
        ("tos", f"0x{rule.tos:x}" if rule.tos else None),
        ("fwmark", None if rule.fwmark is None else f"0x{rule.fwmark:x}{mask}"),
        ("iif", rule.input_interface),
        ("oif", rule.output_interface),
        ("suppress_prefixlength", rule.suppress_prefixlength),
        ("suppress_ifgroup", rule.suppress_group),
        ("tunnel-id", rule.tunnel_id),
        ("uidrange", between(rule.uid_range)),
        ("protocol", rule.protocol),
        ("ipproto", rule.ip_protocol),
        ("sport", between(rule.source_ports)),
        ("dport", between(rule.destination_ports)),
        ("realms", None if rule.realms is None else f"{rule.realms >> 16}/{rule.realms & 0xFFFF}"),
        ("lookup", rule.table),
        ("goto", rule.goto),
    ]
    family = ["inet6"] if rule.family == 6 and rule.source is None and rule.destination is None else []
    words = [*family, *(["not"] if rule.inverted else []), "from", _shown(rule.source) or "all"]
    words += [f"{name} {value}" for name, value in values if value is not None]
    words += ["l3mdev"] if rule.l3mdev else []
    words += ["nop"] if rule.action == "nop" else []
    words += [f"type {rule.action}"] if rule.action in ACTIONS - {"nop"} else []
    return " ".join(words)


def _shown(prefix: Network | None) -> str | None:
    return None if prefix is None else shown(prefix)

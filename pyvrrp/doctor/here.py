"""What the machine of a router is against: interfaces, kernel settings, scripts, files, the packet filter.

Laws: pure; all of it was read before. Each finding stands at the line of the configuration that it hinders.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule, Spot
from hakit.diagnostics import Location
from pyvrrp.doctor.machine import Card, Machine
from pyvrrp.doctor.node import Node, listed
from pyvrrp.doctor.packet_filter import Advert, Fate, fate
from pyvrrp.model import Address, AuthType, Instance, Multicast, Script, TrackerKind, Unicast, VirtualAddress

NO_INTERFACE = Rule("interface-missing", Level.ERROR, "This machine has no interface of that name (--live).")
LOOPBACK = Rule("loopback", Level.ERROR, "An instance is on the loopback interface: nobody else is there (--live).")
LINK_IS_DOWN = Rule("interface-down", Level.WARNING, "An interface is down, or has no carrier, now (--live).")
NO_SOURCE = Rule("no-source-address", Level.ERROR, "An interface has no address to send from (--live).")
SOURCE_ABSENT = Rule("source-not-here", Level.ERROR, "This machine does not have the address to send from (--live).")
NOT_IN_A_PREFIX = Rule(
    "address-in-no-prefix", Level.WARNING, "A virtual address is in no network of its interface (--live)."
)
LEFT_BEHIND = Rule(
    "address-left-behind",
    Level.WARNING,
    "A virtual address is on this machine, and no daemon that holds it (--live).",
)
SCRIPT_REFUSED = Rule(
    "script-unusable",
    Level.ERROR,
    "A script is missing, not executable or not safe: it counts as failed (--live).",
)
NOTIFY_REFUSED = Rule("notify-unusable", Level.WARNING, "A notify script would not be run: nobody is told (--live).")
PROGRAM_MISSING = Rule(
    "script-needs-program", Level.WARNING, "A script runs a program that this machine does not have (--live)."
)
REVERSE_PATH = Rule("rp-filter", Level.WARNING, "rp_filter drops advertisements of a router elsewhere (--live).")
NONLOCAL_BIND = Rule(
    "ip-nonlocal-bind", Level.NOTE, "Programs cannot bind to a virtual address while it is elsewhere (--live)."
)
NO_IPV6 = Rule("ipv6-disabled", Level.ERROR, "IPv6 is switched off on an interface that needs it (--live).")
EXPOSED = Rule("file-readable", Level.WARNING, "A file with a password can be read by everybody (--live).")
FILTERED = Rule("filter-drops", Level.ERROR, "The packet filter drops advertisements, whatever else is true (--live).")
MAY_BE_FILTERED = Rule(
    "filter-may-drop", Level.WARNING, "The packet filter may drop advertisements: not all of it can be seen (--live)."
)
UNSEEN_FILTER = Rule(
    "filter-unseen", Level.NOTE, "What the packet filter does cannot be seen, or not all of it (--live)."
)
RULES = (
    NO_INTERFACE, LOOPBACK, LINK_IS_DOWN, NO_SOURCE, SOURCE_ABSENT, NOT_IN_A_PREFIX, LEFT_BEHIND, SCRIPT_REFUSED,
    NOTIFY_REFUSED, PROGRAM_MISSING, REVERSE_PATH, NONLOCAL_BIND, NO_IPV6, EXPOSED, FILTERED, MAY_BE_FILTERED,
    UNSEEN_FILTER,
)  # fmt: skip
STRICT = 1
"""The value of rp_filter that refuses what would not go back through the same interface (ip-sysctl.rst)."""


def examine(node: Node, machine: Machine) -> Iterator[Finding]:
    """Yield what hinders ``node`` on its own ``machine``."""
    for instance in node.configuration.instances:
        yield from _interfaces(node, instance, machine)
        card = machine.cards.get(instance.interface)
        if card is not None:
            yield from _source(node, instance, card, machine)
            yield from _addresses(node, instance, machine)
            yield from _settings(node, instance, card, machine)
            yield from _filter(node, instance, machine)
    yield from _scripts(node, machine)
    yield from _exposed(node, machine)
    if machine.ruleset is None or machine.legacy_filter:
        yield _unseen_filter(node, machine)


# --- Interfaces and addresses -----------------------------------------------------------------------------------------


def _interfaces(node: Node, instance: Instance, machine: Machine) -> Iterator[Finding]:
    if instance.interface == "lo":
        yield node.finding(
            LOOPBACK,
            node.at(instance, "interface"),
            f"{instance.name} is on lo",
            why="nobody else is on the loopback interface, so it elects itself",
            remedy="the interface to the LAN",
        )
        return
    later = node.configuration.settings.dynamic_interfaces
    tracked = {one.name for one, _ in node.tracked_by(instance) if one.kind is TrackerKind.INTERFACE}
    for name in sorted({instance.interface, *instance.devices, *tracked}):
        card = machine.cards.get(name)
        spot = node.at(instance, "interface") if name == instance.interface else node.at(instance)
        if card is None and not later:
            yield node.finding(
                NO_INTERFACE,
                spot,
                f"there is no interface {name}: {instance.name} cannot begin",
                why=f"this machine has {listed(sorted(machine.cards))}",
                remedy="the name that `ip link` shows, or dynamic_interfaces in global_defs if it comes later",
            )
        elif card is not None and not card.is_up:
            yield node.finding(
                LINK_IS_DOWN,
                spot,
                f"{name} is down: {instance.name} is in FAULT, or would be",
                why="it is not up, or has no carrier",
                remedy=f"ip link set {name} up; then look at the cable, the switch or the hypervisor",
            )


def _source(node: Node, instance: Instance, card: Card, machine: Machine) -> Iterator[Finding]:
    if instance.source is not None:
        if instance.source not in {one.ip for each in machine.cards.values() for one in each.addresses}:
            keyword = "unicast_src_ip" if isinstance(instance.transport, Unicast) else "mcast_src_ip"
            yield node.finding(
                SOURCE_ABSENT,
                node.at(instance, keyword),
                f"{instance.source} is on no interface of this machine: {instance.name} cannot send",
                why=f"{instance.interface} has {listed(card.addresses)}",
                remedy=f"in {keyword} an address of this machine; is this the right file for it?",
            )
        return
    if _own_addresses(instance, card, node):
        return
    kind = "link-local IPv6" if instance.family == 6 else "IPv4"
    yield node.finding(
        NO_SOURCE,
        node.at(instance, "interface"),
        f"{instance.interface} has no {kind} address of its own: {instance.name} is in FAULT",
        why="advertisements are sent from an address that stays, never from a virtual one",
        remedy=f"an address on {instance.interface}, or one of this machine in mcast_src_ip or unicast_src_ip",
    )


def _own_addresses(instance: Instance, card: Card, node: Node) -> list[Address]:
    virtual = {one.ip for each in node.configuration.instances for one in (*each.addresses, *each.excluded)}
    own = [one.ip for one in card.addresses if one.version == instance.family and one.ip not in virtual]
    return (
        own
        if instance.family == 4 or isinstance(instance.transport, Unicast)
        else [address for address in own if address.is_link_local]
    )


def _addresses(node: Node, instance: Instance, machine: Machine) -> Iterator[Finding]:
    for address in (*instance.addresses, *instance.excluded):
        card = machine.cards.get(address.device or instance.interface)
        if card is None:
            continue
        yield from _prefix(node, instance, address, card)
        if machine.status is None and address.ip in {one.ip for one in card.addresses}:
            yield node.finding(
                LEFT_BEHIND,
                node.line_of(instance, address),
                f"{address.ip} is on this machine, and no daemon answers that would hold it",
                why="a daemon that was killed leaves its addresses, and so does somebody who has set it by hand:"
                " two machines answer for it as soon as another one is MASTER",
                remedy=f"start pyvrrp, which takes it over or removes it; else: ip address del {address}"
                f" dev {address.device or instance.interface}",
            )


def _prefix(node: Node, instance: Instance, address: VirtualAddress, card: Card) -> Iterator[Finding]:
    networks = [one.network for one in card.addresses if one.version == address.ip.version and one.ip != address.ip]
    if not networks or address.ip.is_link_local or any(address.ip in network for network in networks):
        return
    yield node.finding(
        NOT_IN_A_PREFIX,
        node.line_of(instance, address),
        f"{address.ip} is in no network of {address.device or instance.interface}",
        why=f"its neighbours look for it behind their gateway: the interface has"
        f" {listed(dict.fromkeys(map(str, networks)))}",
        remedy="an address of that network, or a route to it on the machines that use it",
    )


# --- Kernel settings --------------------------------------------------------------------------------------------------


def _settings(node: Node, instance: Instance, card: Card, machine: Machine) -> Iterator[Finding]:
    name = instance.interface
    if instance.family == 6:
        if machine.sysctl(f"ipv6/conf/{name}/disable_ipv6"):
            yield node.finding(
                NO_IPV6,
                node.at(instance, "interface"),
                f"IPv6 is switched off on {name}: {instance.name} can neither send nor hear",
                why=f"net.ipv6.conf.{name}.disable_ipv6 is 1",
                remedy=f"sysctl -w net.ipv6.conf.{name}.disable_ipv6=0, and the same in /etc/sysctl.d",
            )
    elif max(machine.sysctl(f"ipv4/conf/{scope}/rp_filter") for scope in ("all", name)) == STRICT:
        yield from _reverse_path(node, instance, card)
    setting = f"ipv{instance.family}/ip_nonlocal_bind"
    if machine.sysctls.get(setting) == "0":
        yield node.finding(
            NONLOCAL_BIND,
            node.at(instance, "virtual_ipaddress"),
            f"a program that binds to {listed(one.ip for one in instance.addresses)} cannot start on a BACKUP",
            why=f"net.{setting.replace('/', '.')} is 0, and a BACKUP does not have the address",
            remedy=f"sysctl -w net.{setting.replace('/', '.')}=1, or a bind to all addresses (*:port)",
        )


def _reverse_path(node: Node, instance: Instance, card: Card) -> Iterator[Finding]:
    """A source that no route of the interface leads back to; pyvrrp itself lifts the filter for a VMAC."""
    if isinstance(instance.transport, Multicast):
        return
    networks = [one.network for one in card.addresses]
    far = [peer.address for peer in instance.transport.peers if not any(peer.address in one for one in networks)]
    if not far:
        return
    yield node.finding(
        REVERSE_PATH,
        node.at(instance, "unicast_peer"),
        f"advertisements of {listed(far)} are dropped on {instance.interface} unless the way back leads through it",
        why="rp_filter is 1 (strict), the stricter one of all and the interface's own",
        remedy=f"sysctl -w net.ipv4.conf.{instance.interface}.rp_filter=2, or a route through {instance.interface}",
    )


# --- Scripts and files ------------------------------------------------------------------------------------------------


def _scripts(node: Node, machine: Machine) -> Iterator[Finding]:
    for script in node.configuration.scripts:
        place = node.places.of(f"vrrp_script {script.name}", "script")
        yield from _script(node, place, f"the check {script.name}", script.script, machine, SCRIPT_REFUSED)
    holders = [("vrrp_instance", one.name, one.notify) for one in node.configuration.instances]
    holders += [("vrrp_sync_group", one.name, one.notify) for one in node.configuration.groups]
    for kind, name, notify in holders:
        for keyword, found in (
            ("notify_master", notify.master), ("notify_backup", notify.backup), ("notify_fault", notify.fault),
            ("notify_stop", notify.stop), ("notify", notify.any),
        ):  # fmt: skip
            if found is not None:
                place = node.places.of(f"{kind} {name}", keyword)
                yield from _script(node, place, f"{keyword} of {name}", found, machine, NOTIFY_REFUSED)


def _script(node: Node, place: Spot, who: str, script: Script, machine: Machine, rule: Rule) -> Iterator[Finding]:
    seen = machine.scripts.get((script.words, script.user))
    if seen is None:
        return
    refused = seen.refused or (seen.interpreter and f"its interpreter {seen.interpreter} is not there")
    if refused:
        _, _, repair = refused.partition(": ")
        yield node.finding(
            rule,
            place,
            f"{who} would not be run",
            why=refused,
            remedy=repair if repair.startswith("ch") else "put it there, executable, root's and writable by root alone",
        )
    if seen.missing:
        yield node.finding(
            PROGRAM_MISSING,
            place,
            f"{who} seems to need {listed(seen.missing)}, which this machine does not have",
            why="a command that is not found ends with status 127: the script fails, or says the wrong thing",
            remedy=f"install what has {listed(seen.missing)}, or write it with what is there",
        )


def _exposed(node: Node, machine: Machine) -> Iterator[Finding]:
    secret = any(one.authentication.type is not AuthType.NONE or one.hmac for one in node.configuration.instances)
    for path, mode in machine.modes.items():
        if secret and mode & 0o004:
            yield node.finding(
                EXPOSED,
                Spot(Location(path)),
                f"everybody on this machine can read {path}, and the password in it",
                why=f"its mode is {mode:04o}",
                remedy=f"chmod 640 {shlex.quote(path)}",
            )


# --- The packet filter ------------------------------------------------------------------------------------------------


def _filter(node: Node, instance: Instance, machine: Machine) -> Iterator[Finding]:
    if machine.ruleset is None:
        return
    protocol = 51 if instance.version == 2 and instance.authentication.type is AuthType.AH else 112
    for way in ("in", "out"):
        for destination, source in _packets(instance, way):
            found = fate(machine.ruleset, Advert(way, instance.interface, destination, protocol, source))
            if "drop" not in found.may:
                continue
            yield _filtered(node, instance, way, protocol, found)
            break


def _packets(instance: Instance, way: str) -> Iterator[tuple[Address, Address | None]]:
    """Yield destination and source of the packets that have to pass ``in`` or ``out``; None: not known."""
    transport = instance.transport
    if isinstance(transport, Multicast):
        yield transport.group, instance.source if way == "out" else None
        return
    for peer in transport.peers:
        own = instance.source
        if way == "out":
            yield peer.address, own
        elif own is not None:
            yield own, peer.address


def _filtered(node: Node, instance: Instance, way: str, protocol: int, found: Fate) -> Finding:
    coming = f"come in on {instance.interface}" if way == "in" else f"leave through {instance.interface}"
    chain, hears = ("input", "hears no other") if way == "in" else ("output", "is not heard")
    name = "vrrp" if protocol == 112 else "ah"
    return node.finding(
        FILTERED if found.is_dropped else MAY_BE_FILTERED,
        node.at(instance, "interface"),
        f"the packet filter {'drops' if found.is_dropped else 'may drop'} the advertisements that {coming}",
        why=f"{found.by}; a router that {hears} router becomes MASTER beside it"
        if way == "in"
        else f"{found.by}; a router that {hears} has others become MASTER beside it",
        remedy=f"let IP protocol {protocol} pass before that, for example: nft insert rule inet filter {chain}"
        f" meta l4proto {name} accept",
    )


def _unseen_filter(node: Node, machine: Machine) -> Finding:
    why = "there are rules of the old iptables, which nft does not tell"
    if machine.ruleset is None:
        why = "nft is not installed, or may not be asked: that takes root"
    return node.finding(
        UNSEEN_FILTER,
        node.places.of(),
        "whether the packet filter lets advertisements pass is not known",
        why=why,
        remedy="iptables-legacy -S shows those; IP protocol 112 has to pass in INPUT and OUTPUT"
        if machine.ruleset is not None
        else "run this as root, with nftables installed",
    )

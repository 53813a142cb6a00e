"""Words and blocks of the root that are neither an instance nor a tracker: links, name spaces, static things.

Laws: pure. Static lines may name a ``track_group``, which has to stand before them, as in keepalived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from pyvrrp.config.carried_lines import Lines
from pyvrrp.config.group_block import members_of
from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import decimal, interface_name
from pyvrrp.model import GlobalSettings, Instance, Route, Rule, Settling, Spacing, TrackGroup, VirtualAddress


@dataclass(slots=True)
class StaticBlocks:
    """``static_*`` and ``track_group`` while they are read; ``interface``: where addresses without ``dev`` go."""

    notes: Notes
    lines: Lines
    next_preference: Callable[[int], int]
    addresses: list[VirtualAddress] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    groups: dict[str, tuple[Statement, list[str]]] = field(default_factory=dict)

    def read_addresses(self, statement: Statement, interface: str) -> None:
        """``static_ipaddress { ... }``."""
        for line in statement.block or ():
            found = self.lines.address(line)
            if found is None:
                continue
            if found.device is None and not interface:
                about = f"Static address {line.name} requires either an interface or default interface must exist"
                self.notes.error(line, about)
            else:
                found = replace(found, device=found.device or interface)
                self.addresses.append(replace(found, track_group=self._group(line, found.track_group)))

    def read_routes(self, statement: Statement) -> None:
        """``static_routes { ... }``."""
        for line in statement.block or ():
            found = self.lines.route(line)
            if found is not None:
                self.routes.append(replace(found, track_group=self._group(line, found.track_group)))

    def read_rules(self, statement: Statement) -> None:
        """``static_rules { ... }``."""
        for line in statement.block or ():
            found = self.lines.rule(line, self.next_preference)
            if found is not None:
                self.rules.append(replace(found, track_group=self._group(line, found.track_group)))

    def read_group(self, statement: Statement) -> None:
        """``track_group NAME { group { A B } }``."""
        members: list[str] = []
        for inner in statement.block or ():
            if inner.name == "group":
                members += members_of(inner)
            else:
                self.notes.unknown(inner, ["group"])
        self.groups[statement.parameters[0].text] = statement, members

    def _group(self, line: Statement, name: str | None) -> str | None:
        if name is None or name in self.groups:
            return name
        self.notes.warn(line, f"track_group {name} not found")
        return None

    def finished(self, instances: Mapping[str, Instance]) -> tuple[TrackGroup, ...]:
        """Return the groups with the members that exist."""
        found: list[TrackGroup] = []
        for name, (statement, members) in self.groups.items():
            for member in members:
                if member not in instances:
                    about = f"vrrp instance {member} specified in track_group {name} doesn't exist - ignoring"
                    self.notes.warn(statement, about)
            found.append(TrackGroup(name, tuple(member for member in members if member in instances)))
        return tuple(found)


@dataclass(slots=True)
class SpacingBlock:
    """A ``garp_group`` block while it is read."""

    notes: Notes
    spacing: Spacing = field(default_factory=Spacing)
    interfaces: list[str] = field(default_factory=list)

    def set_interval(self, statement: Statement) -> None:
        """``garp_interval S`` and ``gna_interval S``."""
        try:
            seconds = decimal(statement.parameters[0].text, 0.000001, 4294.0)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(statement, f"garp_group {statement.name} '{statement.parameters[0].text}' invalid")
            return
        name = "arp" if statement.name == "garp_interval" else "na"
        self.spacing = replace(self.spacing, **{name: seconds})

    def set_interfaces(self, statement: Statement) -> None:
        """``interface IF``, or ``interfaces { A B }``."""
        names = members_of(statement) if statement.block is not None else [word.text for word in statement.parameters]
        for name in names:
            try:
                self.interfaces.append(interface_name(name))
            except ValueError as wrong:
                self.notes.error(statement, str(wrong))


GARP_GROUP: Table[SpacingBlock] = Table(
    {
        "garp_interval": Keyword(
            SpacingBlock.set_interval,
            tier=3,
            default="vrrp_garp_interval",
            about="Seconds between two gratuitous ARPs.",
        ),
        "gna_interval": Keyword(
            SpacingBlock.set_interval, tier=3, default="vrrp_gna_interval", about="Seconds between two unsolicited NAs."
        ),
        "interface": Keyword(SpacingBlock.set_interfaces, tier=3, about="The interface that it holds for."),
        "interfaces": Keyword(
            SpacingBlock.set_interfaces, parameters=0, block=True, tier=3, about="Several interfaces."
        ),
    }
)


def with_spacing(settings: GlobalSettings, statement: Statement, notes: Notes) -> GlobalSettings:
    """Return ``settings`` with what a ``garp_group`` block says."""
    block = SpacingBlock(notes)
    GARP_GROUP.read(block, statement.block or (), notes)
    if not block.interfaces:
        notes.warn(statement, "garp_group has no interface: it has no effect")
    spacing = dict(settings.spacing) | dict.fromkeys(block.interfaces, block.spacing)
    return replace(settings, spacing=MappingProxyType(spacing))


def with_settling(settings: GlobalSettings, statement: Statement, notes: Notes) -> GlobalSettings:
    """Return ``settings`` with ``interface_up_down_delays { IF DOWN [UP] ... }``; UP is 0 unless it is given."""
    settling = dict(settings.settling)
    for line in statement.block or ():
        try:
            name = interface_name(line.name)
            seconds = [decimal(word.text, 0.0, 255.0) for word in line.parameters]
        except ValueError as wrong:
            notes.warn(line, str(wrong))
            continue
        if not seconds:
            notes.warn(line, f"interface_up_down_delays {line.name} needs a down delay - ignoring")
            continue
        settling[name] = Settling(seconds[0], seconds[1] if len(seconds) > 1 else 0.0)
    return replace(settings, settling=MappingProxyType(settling))

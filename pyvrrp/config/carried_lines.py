"""Blocks of addresses, routes and rules: of an instance, or static ones that are there whoever is master.

Laws: pure. A line that is not understood is an error with its place: an address that is missing in one of two routers
is found out in the hour of need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pyvrrp.config.address_line import address_line
from pyvrrp.config.instance_state import InstanceBlock
from pyvrrp.config.keywords import Notes
from pyvrrp.config.route_line import route_line
from pyvrrp.config.rule_line import rule_line, rule_text
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.tree import Statement
from pyvrrp.model import Route, Rule, VirtualAddress


def _words(line: Statement) -> list[str]:
    return [word.text for word in line.words]


@dataclass(slots=True)
class Lines:
    """Reads single lines; ``name`` is put before what is said of them."""

    notes: Notes
    surroundings: Surroundings
    name: str = ""
    static: bool = False

    def _about(self, message: object) -> str:
        return f"({self.name}) {message}" if self.name else str(message)

    def address(self, line: Statement) -> VirtualAddress | None:
        """Return the address of a line, or None with an error."""
        try:
            found = address_line(_words(line), self.surroundings.scopes, static=self.static)
        except ValueError as wrong:
            self.notes.error(line, self._about(wrong))
            return None
        for remark in found.remarks:
            self.notes.warn(line, remark)
        return found.address

    def route(self, line: Statement) -> Route | None:
        """Return the route of a line, or None with an error."""
        try:
            found = route_line(_words(line), self.surroundings, static=self.static)
        except ValueError as wrong:
            self.notes.error(line, self._about(wrong))
            return None
        for remark in found.remarks:
            tell = self.notes.advise if "not carried out" in remark else self.notes.warn
            tell(line, remark)
        route = found.route
        if route.tracked and not self.static and route.device is None:
            if not any(hop.device for hop in route.nexthops) or '"or"' not in "".join(found.remarks):
                about = f"Warning - cannot track route {route.destination} with no interface specified, not tracking"
                self.notes.warn(line, about)
            route = replace(route, tracked=False)
        return route

    def rule(self, line: Statement, next_preference: Callable[[int], int]) -> Rule | None:
        """Return the rule of a line, or None with an error; one without a priority gets the next of its family."""
        try:
            rule = rule_line(_words(line), self.surroundings, static=self.static)
        except ValueError as wrong:
            self.notes.error(line, self._about(wrong))
            return None
        if rule.priority is None:
            preference = next_preference(rule.family)
            self.notes.warn(
                line,
                f"Rule has no preference specified - setting to {preference}. This is probably not what you want.",
            )
            rule = replace(rule, priority=preference)
            rule = replace(rule, text=rule_text(rule))
        return rule


def set_addresses(block: InstanceBlock, statement: Statement) -> None:
    """``virtual_ipaddress { ... }``: all of one family."""
    for line in statement.block or ():
        found = Lines(block.notes, block.surroundings, block.name).address(line)
        if found is None:
            continue
        if not block.is_of(found.ip.version):
            about = f"({block.name}): address family must match VRRP instance [{line.name}] - ignoring"
            block.notes.warn(line, about)
        elif _is_new(block, found, line):
            block.addresses.append(found)


def set_excluded(block: InstanceBlock, statement: Statement) -> None:
    """``virtual_ipaddress_excluded { ... }``: not in the advertisements, so of either family."""
    for line in statement.block or ():
        found = Lines(block.notes, block.surroundings, block.name).address(line)
        if found is not None and _is_new(block, found, line):
            block.excluded.append(found)


def _is_new(block: InstanceBlock, found: VirtualAddress, line: Statement) -> bool:
    twice = any(known.ip == found.ip for known in (*block.addresses, *block.excluded))
    if twice:
        block.advise(f"{found.ip} is listed twice - ignoring", line)
    return not twice


def set_routes(block: InstanceBlock, statement: Statement) -> None:
    """``virtual_routes { ... }``."""
    for line in statement.block or ():
        found = Lines(block.notes, block.surroundings, block.name).route(line)
        if found is not None:
            block.routes.append(found)


def set_rules(block: InstanceBlock, statement: Statement) -> None:
    """``virtual_rules { ... }``."""
    for line in statement.block or ():
        found = Lines(block.notes, block.surroundings, block.name).rule(line, block.next_preference)
        if found is not None:
            block.rules.append(found)

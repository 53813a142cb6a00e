"""Addresses, routes and rules that are put into the kernel together, kept there, and taken out again.

Laws: the order is that of the file: addresses before the routes that need them, routes before the rules that lead to
them; taken out are rules, routes, addresses, as keepalived does (measured). One that is refused does not hold up the
others. What somebody else removes is put back where it was, and told; so is what the kernel itself drops when a link
goes down. What is not there when it is to be removed is no error.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

from hakit.transcript import Value
from pyvrrp.model import Route, Rule, VirtualAddress
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.kernel import Kernel, Loss
from pyvrrp.system.link import Link
from pyvrrp.system.routes import as_kept, family_number

CONTESTED, CONTEST = 10, 60.0
"""So many losses of one thing within so many seconds mean that another program does not let us have it."""
Where = Callable[[VirtualAddress], Link | None]


class Tell(Protocol):
    """How it is told what was done: an event's name, a reason, and values."""

    def __call__(self, event: str, reason: str = "", **values: Value) -> object:
        """Publish one event."""


class Holding:
    """What is held in the kernel at present, and the acts that change it. ``where``: an address's link as it is now.

    ``name_of``: the name of its link. ``lease``: seconds for which the kernel keeps a new address; None: for ever.
    ``foreign``: those that were there before, not by us. ``since``: when each was put there (monotonic seconds).
    """

    def __init__(self, kernel: Kernel, where: Where, name_of: Callable[[VirtualAddress], str], tell: Tell) -> None:
        self.addresses: list[VirtualAddress] = []
        self.routes: list[Route] = []
        self.rules: list[Rule] = []
        self._kernel = kernel
        self.lease: int | None = None
        self.foreign: set[VirtualAddress] = set()
        self.since: dict[VirtualAddress, float] = {}
        self.name_of = name_of
        self._where = where
        self._tell = tell
        self._doubtful = False
        self._places: dict[VirtualAddress, Link] = {}
        self._waiting: list[VirtualAddress] = []  # for an interface that is not there yet
        self._refused: list[VirtualAddress] = []  # by the kernel: it may have had no memory
        self._lost_at: dict[str, deque[float]] = {}
        self._silent_until: dict[str, float] = {}

    # --- Setting --------------------------------------------------------------------------------------------------

    async def set_addresses(self, wanted: Iterable[VirtualAddress]) -> None:
        """Add addresses; those that the kernel has taken, or had, are held."""
        for address in wanted:
            if await self._set_address(address):
                self.addresses.append(address)

    async def _set_address(self, address: VirtualAddress) -> bool:
        link = self._where(address)
        if link is None:
            self._waiting.append(address)
            self._tell("system_error", f"{address} is not set: there is no interface {self.name_of(address)}")
            return False
        done = await self._put(address, link)
        if done is None:
            self._refused.append(address)
        return done is not None

    async def _put(self, address: VirtualAddress, link: Link) -> bool | None:
        """Add an address; returns False if it was there, None, told, if it was refused."""
        done = await self._try(self._kernel.add(link, address, self.lease))
        if done is not None:
            if done is False and address not in self._places:
                await self._note_foreign(address, link.name)
            self.since[address] = time.monotonic()
            self._places[address] = link
            self._tell("address", action="added", address=str(address), interface=link.name)
        return done

    async def _note_foreign(self, address: VirtualAddress, name: str) -> None:
        """Remember an address that was there already, unless it has our mark: a crash has left it, and it is ours."""
        link = (await self._kernel.links()).get(name)
        if link is not None and as_kept(address) not in link.ours:
            self.foreign.add(address)

    async def set_routes(self, wanted: Iterable[Route]) -> None:
        """Add routes; those that the kernel has taken, or had, are held."""
        for route in wanted:
            if await self._try(self._kernel.add_route(route)) is not None:
                self.routes.append(route)
                self._tell("route", action="added", route=str(route))
        self._listen()

    async def set_rules(self, wanted: Iterable[Rule]) -> None:
        """Add rules; those that the kernel has taken, or had, are held."""
        for rule in wanted:
            if await self._try(self._kernel.add_rule(rule)) is not None:
                self.rules.append(rule)
                self._tell("rule", action="added", rule=str(rule))
        self._listen()

    async def _try(self, act: Awaitable[bool]) -> bool | None:
        """Return what ``act`` says, or None, told, if the system refuses it."""
        try:
            return await act
        except SystemRefusalError as refused:
            self._tell("system_error", str(refused))
            return None

    # --- Removing -------------------------------------------------------------------------------------------------

    async def drop_addresses(self, unwanted: Sequence[VirtualAddress]) -> None:
        """Remove addresses, held or not (a crash may have left them there)."""
        self.addresses = [one for one in self.addresses if one not in unwanted]
        self._waiting = [one for one in self._waiting if one not in unwanted]
        self._refused = [one for one in self._refused if one not in unwanted]
        for address in unwanted:
            self.foreign.discard(address)
            self.since.pop(address, None)
            now, then = self._where(address), self._places.pop(address, None)
            # Where it was put may have another name by now, and its name may be another's: the index tells.
            for link in {one.index: one for one in (then, now) if one is not None}.values():
                if await self._try(self._kernel.remove(link, address)):
                    self._tell("address", action="removed", address=str(address), interface=link.name)

    async def drop_routes(self, unwanted: Sequence[Route]) -> None:
        """Remove routes, held or not."""
        self.routes = [one for one in self.routes if one not in unwanted]
        self._listen()
        for route in unwanted:
            if await self._try(self._kernel.remove_route(route)):
                self._tell("route", action="removed", route=str(route))

    async def drop_rules(self, unwanted: Sequence[Rule]) -> None:
        """Remove rules, held or not."""
        self.rules = [one for one in self.rules if one not in unwanted]
        self._listen()
        for rule in unwanted:
            if await self._try(self._kernel.remove_rule(rule)):
                self._tell("rule", action="removed", rule=str(rule))

    # --- Keeping --------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take note from now on when one of the routes and rules that are held may have been lost."""
        self._kernel.forget(self._doubt)
        if self.routes or self.rules:
            self._kernel.on_loss(self._losses(), self._doubt)

    def _doubt(self) -> None:
        self._doubtful = True

    def _losses(self) -> set[Loss]:
        losses: set[Loss] = {("link",)}
        for route in self.routes:
            losses.add(_loss_of(route))
            if route.source is not None:
                losses.add(("address", str(route.source)))
        if self.rules:
            losses.add(("rule",))
        return losses

    def misses(self) -> bool:
        """Return whether something that is held is not, or may not be, in the kernel, as far as that has told."""
        if self._doubtful or any(self._where(one) is not None for one in self._waiting):
            return True
        lost = ((held, self._where(held)) for held in self.addresses if held.tracked)
        return any(link is not None and not link.has(as_kept(held)) for held, link in lost)

    @property
    def is_incomplete(self) -> bool:
        """Whether the kernel has refused an address: ``restore`` asks for it again."""
        return bool(self._refused)

    async def restore(self, by_name: dict[str, Link]) -> list[tuple[VirtualAddress, Link]]:
        """Put back what is not in the kernel (``by_name``: its links now); returns the addresses that came back.

        What is marked ``no_track`` stays away until the next transition to master (keepalived.conf(5)).
        """
        back = []
        for address in [one for one in self.addresses if one.tracked]:
            link = by_name.get(self.name_of(address))
            if link is not None and not link.has(as_kept(address)):
                done = await self._put(address, link)
                if done:  # and not only missing in a picture that is behind
                    who = self._kernel.who_removed(("address", str(address.ip)))
                    text = f"{address} was removed from {link.name} by {who}: put back"
                    self._tell_lost(text, who, address=str(address), interface=link.name)
                if done is not None:
                    back.append((address, link))
        late = [one for one in self._waiting if self.name_of(one) in by_name]
        self._waiting = [one for one in self._waiting if one not in late]
        for address in late:
            link = by_name[self.name_of(address)]
            if await self._put(address, link) is not None:
                self.addresses.append(address)
                back.append((address, link))
        back += await self._ask_again(by_name)
        if self._doubtful:
            self._doubtful = False
            await self._restore_routes()
        return back

    async def _ask_again(self, by_name: dict[str, Link]) -> list[tuple[VirtualAddress, Link]]:
        """Add what the kernel has refused; if it does so again, that has been told already."""
        refused, self._refused = self._refused, []
        taken = []
        for address in refused:
            link = by_name.get(self.name_of(address))
            try:
                done = None if link is None else await self._kernel.add(link, address, self.lease)
            except SystemRefusalError:
                done = None
            if link is None or done is None:
                self._refused.append(address)
                continue
            self.since[address] = time.monotonic()
            self._places[address] = link
            self.addresses.append(address)
            self._tell("address", action="added", address=str(address), interface=link.name)
            taken.append((address, link))
        return taken

    async def _restore_routes(self) -> None:
        """Add all routes and rules again: the kernel says which of them it did not have any more."""
        for route in [one for one in self.routes if one.tracked]:
            if await self._try(self._kernel.add_route(route)):
                who = self._kernel.who_removed(_loss_of(route))
                self._tell_lost(f"the route {route} was removed by {who}: put back", who, route=str(route))
        for rule in [one for one in self.rules if one.tracked]:
            if await self._try(self._kernel.add_rule(rule)):
                who = self._kernel.who_removed(("rule",))
                self._tell_lost(f"the rule {rule} was removed by {who}: put back", who, rule=str(rule))

    def _tell_lost(self, text: str, who: str, **what: str) -> None:
        """Tell of a loss, until there are too many: then that, once, and no more within the minute."""
        now, key = time.monotonic(), " ".join(what.values())
        times = self._lost_at.setdefault(key, deque(maxlen=CONTESTED))
        while times and now - times[0] > CONTEST:
            times.popleft()
        times.append(now)
        if len(times) < CONTESTED:
            self._tell("address_lost", text, who=who, **what)
            return
        if self._silent_until.get(key, 0.0) <= now:
            self._silent_until[key] = now + CONTEST
            text = f"{key} was removed {CONTESTED} times within {CONTEST:g} s, last by {who}: somebody fights for it"
            self._tell("address_lost", text, who=who, contested=True, **what)


def _loss_of(route: Route) -> Loss:
    network = route.destination
    return "route", family_number(network.version), route.table, str(network)

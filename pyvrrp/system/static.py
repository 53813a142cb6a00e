"""``static_ipaddress``, ``static_routes``, ``static_rules``: there as long as the daemon runs, whoever is master.

Laws: set at the start in keepalived's order (addresses, routes, rules), removed at the end. What was there before is
not ours and stays when we go, unless it bears our mark (a crash left it). What somebody removes is put back; while it
is missing, the track groups that name it are said to be at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pyvrrp.model import Configuration, VirtualAddress
from pyvrrp.system.holding import Holding, Tell
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.routes import as_kept


class StaticWorker:
    """Keeps the static addresses, routes and rules of a configuration in the kernel.

    ``link``: an interface by its name, as it is now. The caller sees to it that its methods do not overlap.
    """

    def __init__(self, kernel: Kernel, link: Callable[[str], Link | None], tell: Tell) -> None:
        self._kernel = kernel
        self._link = link
        self._wanted = Configuration(())
        self._foreign: list[VirtualAddress] = []
        self._holding = Holding(kernel, self._where, _name_of, tell)

    def _where(self, address: VirtualAddress) -> Link | None:
        return self._link(_name_of(address))

    async def apply(self, wanted: Configuration) -> None:
        """Go over to what ``wanted`` says: at the start from nothing, on a reload by the difference alone."""
        before, self._wanted = self._wanted, wanted
        holding = self._holding
        await holding.drop_rules([one for one in before.static_rules if one not in wanted.static_rules])
        await holding.drop_routes([one for one in before.static_routes if one not in wanted.static_routes])
        await self._drop_addresses([one for one in before.static_addresses if one not in wanted.static_addresses])
        await self._set_addresses([one for one in wanted.static_addresses if one not in holding.addresses])
        await holding.set_routes([one for one in wanted.static_routes if one not in holding.routes])
        await holding.set_rules([one for one in wanted.static_rules if one not in holding.rules])

    async def _set_addresses(self, addresses: list[VirtualAddress]) -> None:
        links = await self._kernel.links()
        for address in addresses:
            link = links.get(_name_of(address))
            if link is not None and link.has(as_kept(address)) and as_kept(address) not in link.ours:
                self._foreign.append(address)
        await self._holding.set_addresses(addresses)

    async def _drop_addresses(self, addresses: list[VirtualAddress]) -> None:
        for address in addresses:
            if address in self._foreign:
                self._foreign.remove(address)
                self._holding.addresses = [one for one in self._holding.addresses if one != address]
            else:
                await self._holding.drop_addresses([address])

    def misses(self) -> bool:
        """Return whether something is not in its place, or has never come there, as far as the kernel has told."""
        return self._holding.misses() or self._waiting()

    def _waiting(self) -> bool:
        """Return whether an address could be set now that could not before: its interface has come."""
        missing = [one for one in self._wanted.static_addresses if one not in self._holding.addresses]
        return any(self._where(one) is not None for one in missing)

    async def restore(self) -> None:
        """Put back what is missing."""
        await self._holding.restore(await self._kernel.links())
        if self._waiting():
            await self.apply(self._wanted)

    def faults(self) -> Mapping[str, str]:
        """Return the track groups of which something is missing, and what: for ``FaultRaised`` of their members."""
        found: dict[str, str] = {}
        for address in self._wanted.static_addresses:
            link = self._where(address)
            if address.track_group is not None and (link is None or not link.has(as_kept(address))):
                found[address.track_group] = f"static address {address} is missing"
        for route in self._wanted.static_routes:
            if route.track_group is not None and route not in self._holding.routes:
                found[route.track_group] = f"static route {route} is missing"
        for rule in self._wanted.static_rules:
            if rule.track_group is not None and rule not in self._holding.rules:
                found[rule.track_group] = f"static rule {rule} is missing"
        return found

    async def close(self) -> None:
        """Take everything away that we have brought."""
        await self.apply(Configuration(()))


def _name_of(address: VirtualAddress) -> str:
    return address.device or "eth0"  # keepalived's default_interface, where the reader of the file has set none

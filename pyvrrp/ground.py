"""What stands under the virtual routers: VMAC interfaces, nftables, static addresses, routes and rules.

Laws: one change at a time. At the start whatever the system refuses ends the daemon before a router has begun; later
it is told, and tried again with the next change of a link. At the end all of it is taken away and every kernel setting
that was changed is put back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.model import Configuration, Instance
from pyvrrp.system import firewall, vmac
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.firewall import Firewall, Wanted
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.static import StaticWorker
from pyvrrp.system.sysctl import Settings
from pyvrrp.system.vmac import Raised, Vmacs


class Ground:
    """Keeps what the configuration wants under its routers. ``link``: an interface by its name, as it is now."""

    def __init__(
        self, kernel: Kernel, configuration: Configuration, hub: EventHub, link: Callable[[str], Link | None]
    ) -> None:
        settings = configuration.settings
        self.sysctl = Settings()
        self._configuration = configuration
        self._hub = hub
        self._link = link
        self._vmacs = Vmacs(kernel, self.sysctl, settings.vmac_prefix)
        self._firewall = Firewall(settings.nftables_table, settings.nftables_priority)
        self._static = StaticWorker(kernel, link, self._tell)
        self._rules: tuple[Wanted, dict[str, int]] = (Wanted(), {})
        self._changing = asyncio.Lock()

    def _tell(self, event: str, reason: str = "", **values: Value) -> None:
        self._hub.publish(event, reason, **values)

    async def prepare(self, configuration: Configuration) -> None:
        """Go over to what ``configuration`` wants. Raises SystemRefusalError if the system does not allow it."""
        async with self._changing:
            self._configuration = configuration
            await self._raise_vmacs()
            await self._static.apply(configuration)

    async def _raise_vmacs(self) -> None:
        # The rules first: not even the first frame of a VMAC may teach a switch its address while this is a backup.
        instances, names = self._configuration.instances, vmac_names(self._configuration)
        raised = {
            one.name: (names[one.name], one.interface)
            for one in instances
            if one.name in names and self._link(one.interface) is not None
        }
        rules = firewall.wanted(instances, raised)
        below = {base: found.index for _, base in raised.values() if (found := self._link(base)) is not None}
        if (rules, below) != self._rules:  # they name the interfaces below by index: one made anew has another
            warning = await self._firewall.apply(rules)
            self._rules = (rules, below)
            if warning is not None:
                self._tell("warning", warning)
        await self._vmacs.ensure(instances)

    def is_disturbed(self) -> bool:
        """Return whether something is not in its place: after a change of links."""
        if self._changing.locked():
            return False
        names = vmac_names(self._configuration)
        by_name = {instance.name: instance for instance in self._configuration.instances}
        lacks_vmac = any(
            self._link(vmac_name) is None and self._link(by_name[name].interface) is not None
            for name, vmac_name in names.items()
        ) or any(self._vmacs.lacks_source(by_name[name], self._link) for name in names)
        return lacks_vmac or self._static.misses()

    async def mend(self) -> None:
        """Put back what is not in its place; what is refused is told."""
        async with self._changing:
            try:
                await self._raise_vmacs()
                await self._static.restore()
            except SystemRefusalError as refused:
                self._hub.publish("system_error", str(refused))

    async def change(self, configuration: Configuration) -> None:
        """As ``prepare``, on a reload: what is refused is told."""
        try:
            await self.prepare(configuration)
        except SystemRefusalError as refused:
            self._hub.publish("system_error", str(refused))

    def faults(self) -> dict[str, frozenset[str]]:
        """Return the causes of FAULT by instance: a static address, route or rule of its track group is missing."""
        found: dict[str, set[str]] = {}
        missing = self._static.faults()
        for group in self._configuration.track_groups:
            if group.name in missing:
                for member in group.members:
                    found.setdefault(member, set()).add(missing[group.name])
        return {name: frozenset(causes) for name, causes in found.items()}

    async def close(self) -> None:
        """Take everything away."""
        async with self._changing:
            for closing in (self._static.close(), self._vmacs.close(), self._firewall.close()):
                try:
                    await closing
                except SystemRefusalError as refused:
                    self._hub.publish("system_error", str(refused))
            self.sysctl.restore()


def vmac_names(configuration: Configuration) -> Mapping[str, str]:
    """Return the name of each VMAC interface by that of its instance."""
    return vmac.names(configuration.instances, configuration.settings.vmac_prefix)


def hears_through(instance: Instance, names: Mapping[str, str]) -> str:
    """Return the interface that the advertisements of ``instance`` leave and arrive through."""
    name = names.get(instance.name)
    return vmac.hears_through(instance, None if name is None else Raised(name, instance.interface))

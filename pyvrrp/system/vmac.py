"""Interfaces with the virtual router's own MAC address: ``use_vmac``.

Laws: a macvlan in private mode above the instance's interface, with 00:00:5e:00:01:VRID (IPv6: 02), as keepalived
makes it (measured, 2.2.7). The kernel settings that it needs are changed before it is up, remembered, and put back
when the last one above the same interface is gone. One that a crash has left is taken over if it is the same, and
made anew if it is not; an interface of this name that is no macvlan is nobody's but the operator's.
RFC 5798 section 7.3; ip-link(8), macvlan.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Interface

from pyroute2.netlink.exceptions import NetlinkError

from pyvrrp.model import Address, Instance, VirtualAddress
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.sysctl import Settings

NAME_LENGTH = 15
"""IFNAMSIZ - 1."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A VMAC interface that stands: its name, and that of the interface below."""

    name: str
    base: str


def virtual_mac(instance: Instance) -> bytes:
    """Return the MAC address of a virtual router (RFC 5798 section 7.3), or the configured one."""
    if instance.vmac is not None and instance.vmac.address is not None:
        return instance.vmac.address
    return bytes([0x00, 0x00, 0x5E, 0x00, 0x01 if instance.family == 4 else 0x02, instance.virtual_router_id])


def names(instances: Iterable[Instance], prefix: str = "vrrp") -> dict[str, str]:
    """Return the name of each VMAC interface by the instance's: as configured, or ``vrrp.VRID``.

    Where that is taken by another instance: ``vrrp4.VRID`` or ``vrrp6.VRID``, then ``vrrp1.VRID``, ... The same
    configuration gives the same names, so that what a crash has left is found again.
    """
    wanted = [instance for instance in instances if instance.vmac is not None]
    given = {one.name: one.vmac.name for one in wanted if one.vmac is not None and one.vmac.name}
    taken = set(given.values())
    for instance in wanted:
        if instance.name in given:
            continue
        number = instance.virtual_router_id
        tries = ["", str(instance.family), *map(str, range(1, 256))]
        name = next(made for one in tries if (made := f"{prefix}{one}.{number}"[:NAME_LENGTH]) not in taken)
        given[instance.name] = name
        taken.add(name)
    return given


class Vmacs:
    """The VMAC interfaces of this daemon, by the name of the instance."""

    def __init__(self, kernel: Kernel, settings: Settings, prefix: str = "vrrp") -> None:
        self.raised: dict[str, Raised] = {}
        self._kernel = kernel
        self._settings = settings
        self._prefix = prefix

    async def ensure(self, instances: Iterable[Instance]) -> list[str]:
        """Raise what is missing and can be, remove what no instance wants; returns the names of those raised now.

        An interface below that is not there is no error: ensure is called again when it has come. Raises
        SystemRefusalError if the kernel refuses.
        """
        wanted = {instance.name: instance for instance in instances if instance.vmac is not None}
        called = names(wanted.values(), self._prefix)
        for name, raised in list(self.raised.items()):
            if called.get(name) != raised.name or wanted[name].interface != raised.base:
                await self._lower(name)
        made = []
        for name, instance in wanted.items():
            links = await self._kernel.links()
            if instance.interface not in links:
                continue
            if not _is_right(links.get(called[name]), links[instance.interface], instance):
                await self._raise(instance, called[name], links)
                made.append(called[name])
            elif name not in self.raised:
                await self._prepare(instance, called[name], links)
            else:
                await self._lend_source(instance, called[name], links)
            self.raised[name] = Raised(called[name], instance.interface)
        return made

    async def close(self) -> None:
        """Remove all of them, and put the settings back."""
        for name in list(self.raised):
            await self._lower(name)

    async def _raise(self, instance: Instance, name: str, links: dict[str, Link]) -> None:
        there, base = links.get(name), links[instance.interface]
        if there is not None:
            if there.kind != "macvlan":
                raise SystemRefusalError(f"({instance.name}) there is an interface {name} already, and it is no VMAC")
            await self._ask(name, "del", index=there.index)
        mac = virtual_mac(instance).hex(":")
        await self._ask(
            name, "add", ifname=name, kind="macvlan", macvlan_mode="private", link=base.index, address=mac
        )  # fmt: skip
        await self._prepare(instance, name, await self._kernel.links())

    async def _prepare(self, instance: Instance, name: str, links: dict[str, Link]) -> None:
        """Set what it needs, bring it up, and give it a link-local address to send from in IPv6."""
        self._change_settings(instance, name)
        if name not in links:
            raise SystemRefusalError(f"({instance.name}) the interface {name} is gone as soon as it was made")
        await self._ask(name, "set", index=links[name].index, state="up")
        await self._lend_source(instance, name, links)

    async def _lend_source(self, instance: Instance, name: str, links: dict[str, Link]) -> None:
        """Give it the link-local address of the interface below, as soon as that has one: to send from in IPv6."""
        if instance.family == 4 or instance.vmac is None or instance.vmac.xmit_base or name not in links:
            return
        local = links[instance.interface].source((), 6)
        if local is not None and local not in {one.ip for one in links[name].addresses}:
            await self._kernel.add(links[name], link_local(local))

    def lacks_source(self, instance: Instance, link: Callable[[str], Link | None]) -> bool:
        """Return whether ``ensure`` has to be called for ``instance``: the interface below has its address now."""
        raised, base = self.raised.get(instance.name), link(instance.interface)
        own = link(raised.name) if raised is not None else None
        if instance.family == 4 or base is None or own is None or instance.vmac is None or instance.vmac.xmit_base:
            return False
        local = base.source((), 6)
        return local is not None and local not in {one.ip for one in own.addresses}

    def _change_settings(self, instance: Instance, name: str) -> None:
        settings, base = self._settings, instance.interface
        settings.write(f"ipv6/conf/{name}/addr_gen_mode", "1")  # none: no address made from the virtual MAC
        if instance.family == 6:
            return
        settings.write(f"ipv6/conf/{name}/disable_ipv6", "1")
        # No ARP reply of the base for an address above it, nor the other way round (RFC 5798 section 8.1.2).
        settings.change(f"ipv4/conf/{base}/arp_ignore", "1")
        settings.change(f"ipv4/conf/{base}/arp_filter", "1")
        settings.write(f"ipv4/conf/{name}/arp_ignore", "1")
        # What other routers send has a source that, to this interface, is an address of this host's own link.
        settings.write(f"ipv4/conf/{name}/accept_local", "1")
        settings.write(f"ipv4/conf/{name}/promote_secondaries", "1")
        self._lift_filter(name)

    def _lift_filter(self, name: str) -> None:
        """Turn the reverse path filter off for one interface: it would drop every advertisement of a higher master.

        The kernel takes the stricter of ``all`` and the interface's own, so what ``all`` asks for goes to each of
        the others by name.
        """
        settings = self._settings
        strict = settings.read("ipv4/conf/all/rp_filter") or "0"
        if strict != "0":
            for other in settings.interfaces():
                own = settings.read(f"ipv4/conf/{other}/rp_filter") or "0"
                if other not in {"all", name} and int(own) < int(strict):
                    settings.change(f"ipv4/conf/{other}/rp_filter", strict)
            settings.change("ipv4/conf/all/rp_filter", "0")
        settings.write(f"ipv4/conf/{name}/rp_filter", "0")

    async def _lower(self, instance: str) -> None:
        raised = self.raised.pop(instance)
        links = await self._kernel.links()
        if raised.name in links and links[raised.name].kind == "macvlan":
            await self._ask(raised.name, "del", index=links[raised.name].index)
        if not any(other.base == raised.base for other in self.raised.values()):
            self._settings.restore(
                f"ipv4/conf/{raised.base}/arp_ignore",
                f"ipv4/conf/{raised.base}/arp_filter",
            )
        if not self.raised:
            filters = [one.path for one in self._settings.changed() if one.path.endswith("/rp_filter")]
            if filters:
                self._settings.restore(*filters)

    async def _ask(self, name: str, act: str, **what: object) -> None:
        try:
            await self._kernel.commands.link(act, **what)
        except NetlinkError as refused:
            words = os.strerror(refused.code) if refused.code else str(refused)
            raise SystemRefusalError(f"cannot {act} the VMAC interface {name}: {words}") from None


def _is_right(link: Link | None, base: Link, instance: Instance) -> bool:
    """Return whether ``link`` is the VMAC interface that ``instance`` needs.

    Above a macvlan the kernel puts another one beside it, above the same interface.
    """
    return (
        link is not None
        and link.kind == "macvlan"
        and link.base in {base.index, base.base if base.kind == "macvlan" else base.index}
        and link.hardware_address == virtual_mac(instance)
    )


def link_local(address: Address) -> VirtualAddress:
    """Return the address to send from on a VMAC: the base's own, deprecated, so that nothing else takes it."""
    return VirtualAddress(IPv6Interface(f"{address}/64"), preferred_lft=0)


def hears_through(instance: Instance, raised: Raised | None) -> str:
    """Return the interface that advertisements of ``instance`` leave and arrive through."""
    vmac = instance.vmac
    if raised is None or vmac is None or vmac.xmit_base or vmac.addresses_only:
        return instance.interface
    return raised.name

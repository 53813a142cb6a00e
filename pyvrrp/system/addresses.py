"""What one virtual router holds while it is master: added, removed and announced in the order in which it was asked.

Laws: one worker an instance takes the acts from a queue, one after the other, so that gratuitous ARP goes out only for
addresses that the kernel has confirmed, a removal never overtakes the addition before it, and notify scripts run when
the addresses are where they belong. From the moment in which they are given up nothing is added or announced any more,
whatever is still in the queue: another router has them, and the last announcement is the one that counts. Addresses,
excluded ones, routes and rules are set in this order; removed are rules, routes, addresses, excluded ones. No error
ends the worker. The loop that receives and sends advertisements never waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_interface

from pyvrrp.model import Address, Instance, Route, Rule, VirtualAddress
from pyvrrp.system.announcer import Announcer
from pyvrrp.system.holding import Holding, Tell
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.lease import Lease
from pyvrrp.system.link import Link
from pyvrrp.system.sysctl import Settings

__all__ = ["AddressWorker", "Tell"]

Act = Callable[[], Awaitable[None]]


class AddressWorker:
    """Carries out AddAddresses, RemoveAddresses and Announce for one instance.

    ``vmac``: the name of its VMAC interface, where addresses go that name no other. ``settings``: shared by all; what
    is changed there (promote_secondaries) is put back by whoever owns it, at the end.
    """

    def __init__(
        self,
        instance: Instance,
        kernel: Kernel,
        announcer: Announcer,
        link: Callable[[str], Link | None],
        tell: Tell,
        *,
        vmac: str | None = None,
        settings: Settings | None = None,
    ) -> None:
        self._instance = instance
        self._kernel = kernel
        self._announcer = announcer
        self._link = link
        self._tell = tell
        self._vmac = vmac
        self._next_vmac = vmac
        self._settings = settings or Settings()
        self._acts: asyncio.Queue[Act] = asyncio.Queue()
        self._holding = Holding(kernel, self._where, self.interface_of, tell)
        self._holding.lease = instance.vip_lease
        self._lease = Lease(kernel, self._holding, tell)
        self._master = False
        self._given_up = True
        self._told_from: dict[int, bytes] = {}
        self._refresh: asyncio.TimerHandle | None = None

    # --- What may be asked ----------------------------------------------------------------------------------------

    def add(self) -> None:
        """Put everything in its place."""
        self._given_up = False
        self._acts.put_nowait(self._add)

    def remove(self) -> None:
        """Take everything away."""
        self._given_up = True
        self._acts.put_nowait(self._remove)

    def renew(self, now: float) -> OSError | None:
        """Have the kernel keep what is held for another ``vip_lease``, if that is due.

        Returns why no advertisement may leave: it has refused to, or has not done so for as long as the lease was.
        """
        return self._lease.renew(self._instance, now)

    def leave(self) -> None:
        """Leave everything where it is, without a lease: the daemon ends, and nobody will renew it."""

        async def act() -> None:
            if self._instance.vip_lease is not None:
                await self._lease.change(None)

        self._acts.put_nowait(act)

    def move(self, vmac: str | None) -> None:
        """Have the next ``change`` go over to another VMAC interface, or to none."""
        self._next_vmac = vmac

    def change(self, before: Instance, after: Instance) -> None:
        """Go over from one configuration to another: only the difference is set, removed and announced."""

        async def act() -> None:
            await self._change(before, after)

        self._acts.put_nowait(act)

    def announce(self, rounds: int) -> None:
        """Send ``rounds`` rounds of gratuitous ARP or unsolicited NA over the addresses that are held."""

        async def act() -> None:
            if not self._given_up:
                self._announce(self._holding.addresses, rounds)

        self._acts.put_nowait(act)

    def announce_source(self, address: Address) -> None:
        """Tell the neighbours once where the address lives that unicast advertisements come from.

        After a FAULT in which nothing was sent, a peer's entry for it may have gone, and the first advertisement would
        wait for the peer to ask.
        """

        async def act() -> None:
            link = self._link(self._instance.interface)
            if link is not None:
                self._send(VirtualAddress(ip_interface(address)), link)

        self._acts.put_nowait(act)

    def restore(self, rounds: int) -> None:
        """Put back, and announce, what somebody else has taken away, and what has another MAC address now."""

        async def act() -> None:
            if self._given_up:
                return
            await self._lease.arrived()  # it may bring back what has run out
            links = await self._kernel.links()  # what is true now, after all that this worker has done itself
            back = await self._holding.restore(links)
            moved = [
                (one, link) for one in self.held if (link := links.get(self.interface_of(one))) and self._moved(link)
            ]
            for address, link in {id(one): (one, link) for one, link in (*back, *moved)}.values():
                for _ in range(rounds):
                    self._send(address, link)

        self._acts.put_nowait(act)

    def then(self, call: Callable[[], None]) -> None:
        """Call ``call`` once everything that was asked for before has been done."""

        async def act() -> None:
            call()

        self._acts.put_nowait(act)

    def misses(self) -> bool:
        """Return whether something that is held is not in its place, or not at the MAC address that was announced."""
        links = (self._where(address) for address in self.held)
        return self._holding.misses() or any(link is not None and self._moved(link) for link in links)

    @property
    def is_incomplete(self) -> bool:
        """Whether the kernel has refused an address that should be held."""
        return not self._given_up and self._holding.is_incomplete

    def _moved(self, link: Link) -> bool:
        """Return whether the link has another MAC address than we have told (a bond that was rebuilt, say)."""
        told = self._told_from.get(link.index, link.hardware_address)
        return link.is_up and told != link.hardware_address

    @property
    def held(self) -> tuple[VirtualAddress, ...]:
        """The addresses that the kernel has confirmed, in order."""
        return tuple(self._holding.addresses)

    def interface_of(self, address: VirtualAddress) -> str:
        """Return the name of the interface where ``address`` belongs."""
        own = self._instance.interface
        named = address.device or own
        if self._vmac is None or named != own:
            return named
        vmac = self._instance.vmac
        everything = vmac is None or not vmac.addresses_only
        return self._vmac if everything or address.use_vmac else named

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            act = await self._acts.get()
            try:
                await act()
            except Exception as wrong:  # noqa: BLE001 - told; the next act, perhaps a removal, must still be done
                self._tell("system_error", f"{type(wrong).__name__}: {wrong}")
            finally:
                self._acts.task_done()

    async def finish(self) -> None:
        """Wait until everything that was asked for has been done."""
        await self._acts.join()

    # --- What is done ---------------------------------------------------------------------------------------------

    def _where(self, address: VirtualAddress) -> Link | None:
        return self._link(self.interface_of(address))

    async def _add(self) -> None:
        if self._given_up:
            return
        instance, holding = self._instance, self._holding
        holding.addresses, holding.routes, holding.rules = [], [], []
        self._lease.begin()
        self._master = True
        if instance.promote_secondaries:
            for name in {self.interface_of(one) for one in (*instance.addresses, *instance.excluded)}:
                self._settings.change(f"ipv4/conf/{name}/promote_secondaries", "1")
        await self._set(instance.addresses, instance.excluded, instance.routes, instance.rules)
        self._keep_known()

    async def _set(
        self,
        addresses: Sequence[VirtualAddress],
        excluded: Sequence[VirtualAddress],
        routes: Sequence[Route],
        rules: Sequence[Rule],
    ) -> None:
        holding = self._holding
        if addresses:
            self._tell("addresses", "setting VIPs.", action="setting")
            await holding.set_addresses(addresses)
        if excluded:
            self._tell("addresses", "setting E-VIPs.", action="setting")
            await holding.set_addresses(excluded)
        if routes:
            self._tell("addresses", "setting Virtual Routes", action="setting")
            await holding.set_routes(routes)
        if rules:
            self._tell("addresses", "setting Virtual Rules", action="setting")
            await holding.set_rules(rules)

    async def _remove(self) -> None:
        instance = self._instance
        self._master = False
        if self._refresh is not None:
            self._refresh.cancel()
        await self._drop(instance.addresses, instance.excluded, instance.routes, instance.rules)
        self._lease.begin()  # what was refused is no reason against the next time

    async def _drop(
        self,
        addresses: Sequence[VirtualAddress],
        excluded: Sequence[VirtualAddress],
        routes: Sequence[Route],
        rules: Sequence[Rule],
    ) -> None:
        holding = self._holding
        holding.addresses = [one for one in holding.addresses if one not in addresses and one not in excluded]
        await self._lease.settle()
        if rules:
            self._tell("addresses", "removing Virtual Rules", action="removing")
            await holding.drop_rules(rules)
        if routes:
            self._tell("addresses", "removing Virtual Routes", action="removing")
            await holding.drop_routes(routes)
        for gone, what in ((addresses, "removing VIPs."), (excluded, "removing E-VIPs.")):
            if gone:
                self._tell("addresses", what, action="removing")
                self._hush(gone)
                await holding.drop_addresses(gone)

    def _hush(self, addresses: Sequence[VirtualAddress]) -> None:
        """Announce no more what is given up."""
        for address in addresses:
            link = self._where(address)
            if link is not None:
                self._announcer.forget(link.index, (address.ip,))

    async def _change(self, before: Instance, after: Instance) -> None:
        """Remove what is no longer wanted by the old configuration's places, then set what is new by the new one's."""
        vmac = self._next_vmac
        moved = (before.interface, before.vmac, self._vmac) != (after.interface, after.vmac, vmac)

        def only(these: Sequence[VirtualAddress], those: Sequence[VirtualAddress]) -> list[VirtualAddress]:
            return [one for one in these if moved or one not in those]

        old, new = (*before.addresses, *before.excluded), (*after.addresses, *after.excluded)
        gone = only(before.addresses, new), only(before.excluded, new)
        for one in (*gone[0], *gone[1]) if self._master else ():
            text = f"ip address {one} dev {self.interface_of(one)}, no longer exist"
            self._tell("addresses", text, action="removing")
        await self._drop(
            *gone,
            [one for one in before.routes if one not in after.routes],
            [one for one in before.rules if one not in after.rules],
        )
        self._instance, self._vmac = after, vmac
        self._holding.lease = after.vip_lease
        if not self._master:
            return
        if before.vip_lease != after.vip_lease:
            await self._lease.change(after.vip_lease)
        await self._set(
            only(after.addresses, old),
            only(after.excluded, old),
            [one for one in after.routes if one not in before.routes],
            [one for one in after.rules if one not in before.rules],
        )
        fresh = [one for one in self._holding.addresses if one in only(new, old)]
        self._announce(fresh, after.garp.repeat)
        # With a primary address its secondary ones may have gone (promote_secondaries off): they come back here.
        await self._holding.restore(await self._kernel.links())
        self._keep_known()

    # --- Announcing -----------------------------------------------------------------------------------------------

    def _announce(self, addresses: Sequence[VirtualAddress], rounds: int) -> None:
        links = [(address, link) for address in addresses if (link := self._where(address)) is not None]
        for _ in range(rounds):
            for address, link in links:
                self._send(address, link)
        for address, link in links:
            self._tell(
                "announced",
                address=str(address.ip),
                interface=link.name,
                rounds=rounds,
                family=address.ip.version,
            )

    def _send(self, address: VirtualAddress, link: Link) -> None:
        def failed(wrong: OSError) -> None:
            what = "gratuitous ARP" if address.ip.version == 4 else "unsolicited Neighbour Advertisement"
            self._tell("system_error", f"{what} for {address} did not leave {link.name}: {wrong.strerror}")

        self._told_from[link.index] = link.hardware_address
        self._announcer.announce(link, address.ip, failed)

    def _keep_known(self) -> None:
        """Announce again every ``garp_extra_if`` seconds what is on other interfaces than the instance's own.

        No advertisement reminds the switches there of where these addresses live.
        """
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None
        every = self._instance.garp.extra_interface
        own = self._vmac or self._instance.interface
        away = [one for one in self._holding.addresses if self.interface_of(one) != own]
        if every <= 0 or not away or not self._master:
            return
        for address in away:
            link = self._where(address)
            if link is not None:
                self._send(address, link)
        self._refresh = asyncio.get_running_loop().call_later(every, self._keep_known)

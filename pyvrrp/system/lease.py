"""The lease of a router's addresses: the kernel takes them away unless the daemon says, every so often, that it lives.

Laws: a daemon that is killed, hangs or is frozen says nothing, so that its addresses are gone ``vip_lease`` seconds
later, and no two routers keep one address for good. A renewal changes lifetimes alone: no route, connection or packet
is touched. It happens before an advertisement, which does not leave unless all was renewed: nobody is told of a master
that cannot hold its addresses. What somebody has taken away is not renewed, which would bring it back in silence:
``holding.py`` puts it back, and tells; only what is still missing at the next renewal is asked for again here, so that
a kernel that refuses it ends the advertisements. What was there before us is not ours to lease.
"""

from __future__ import annotations

import os
import time

from hakit.transcript import Value
from pyvrrp.model import Instance, VirtualAddress
from pyvrrp.protocol.timers import lease_is_due
from pyvrrp.system.holding import Holding, Tell
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.routes import Lifetimes, as_kept, lease_request, lifetimes


class Lease:
    """The lease of what one router holds: ``vip_lease`` of its instance; None: for ever, as keepalived has it."""

    def __init__(self, kernel: Kernel, holding: Holding, tell: Tell) -> None:
        self._kernel = kernel
        self._holding = holding
        self._tell = tell
        self._renewed_at = 0.0
        self._missing: set[VirtualAddress] = set()
        self._requests: dict[VirtualAddress, tuple[Link, Lifetimes, bytes]] = {}

    def begin(self) -> None:
        """Take note that what is held from now on is young."""
        self._renewed_at = time.monotonic()
        self._missing.clear()
        self._requests.clear()

    def renew(self, instance: Instance, now: float) -> OSError | None:
        """Renew what is held, if that is due at ``now`` (monotonic seconds).

        Returns why it was not done: then no advertisement may leave.
        """
        seconds, age = instance.vip_lease, now - self._renewed_at
        if seconds is None or not lease_is_due(age, instance.advert_interval, seconds):
            return None
        ran_out = age > seconds
        if ran_out and self._holding.addresses:
            values: dict[str, Value] = {"age": round(age, 3), "lease": seconds}
            text = (
                f"the lease of {seconds} s ran out, for the daemon stood still for {age:.1f} s: addresses are put back"
            )
            self._tell("lease_ran_out", text, **values)
        refused = self._set(seconds, everything=ran_out)
        if refused is None:
            self._renewed_at = now
        return refused

    def change(self, seconds: int | None) -> None:
        """Give what is held another lease at once; None: for ever, be it that the daemon ends and leaves it there."""
        refused = self._set(seconds, everything=False)
        if refused is not None:
            self._tell("system_error", refused.strerror or str(refused))

    def _set(self, seconds: int | None, *, everything: bool) -> OSError | None:
        due = self._due(everything=everything)
        requests = {self._request(address, link, seconds): (address, link) for address, link in due}
        try:
            refused = self._kernel.renewals.carry_out(tuple(requests))
        except OSError as wrong:
            return OSError(wrong.errno, f"the lease of the addresses is not renewed: {wrong.strerror}")
        for number, request in refused:
            address, link = requests.get(request, (None, None))
            if link is None or link.is_up:  # on a link that is down it serves nobody, and may be refused
                what = "the addresses" if address is None or link is None else f"{address} on {link.name}"
                return OSError(number, f"the lease of {what} is not renewed: {os.strerror(number)}")
        return None

    def _due(self, *, everything: bool) -> list[tuple[VirtualAddress, Link]]:
        """Return what is to be renewed, and where it is; ``everything``: also what has just gone."""
        links, holding, missing = self._kernel.known(), self._holding, set()
        found = []
        for address in holding.addresses:
            link = links.get(holding.name_of(address))
            if link is None or address in holding.foreign:
                continue
            if not everything and not link.has(as_kept(address)):
                missing.add(address)
                if address not in self._missing or not address.tracked:
                    continue
            found.append((address, link))
        self._missing = missing
        return found

    def _request(self, address: VirtualAddress, link: Link, seconds: int | None) -> bytes:
        lives = lifetimes(address, seconds, time.monotonic() - self._holding.since.get(address, 0.0))
        known = self._requests.get(address)
        if known is not None and known[0] is link and known[1] == lives:
            return known[2]
        request = lease_request(address, link, lives)
        self._requests[address] = (link, lives, request)
        return request

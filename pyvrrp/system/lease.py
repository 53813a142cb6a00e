"""The lease of a router's addresses: the kernel takes them away unless the daemon says, every so often, that it lives.

Laws: a daemon that is killed, hangs or is frozen says nothing, so that its addresses are gone ``vip_lease`` seconds
later, and no two routers keep one address for good. A renewal changes lifetimes alone: no route, connection or packet
is touched. It is asked for with an advertisement, which does not wait for it; but none leaves after one that the kernel
has refused, or has not carried out before the lease ran out: nobody is told of a master that cannot hold its addresses.
A kernel that takes seconds for it is asked for a longer lease next time.
What somebody has taken away is not renewed, which would bring it back in silence: ``holding.py`` puts it back, and
tells; only what is still missing at the next renewal is asked for again here, so that a kernel that refuses it ends the
advertisements. What was there before us is not ours to lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time

from hakit.transcript import Value
from pyvrrp.model import Instance, VirtualAddress
from pyvrrp.protocol.timers import lease_is_due, lease_to_ask_for
from pyvrrp.system.holding import Holding, Tell
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.renewals import Refusals, Renewal
from pyvrrp.system.routes import Lifetimes, as_kept, lease_request, lifetimes

PATIENCE = 1.0
"""Seconds for which whatever else has to be done waits for a renewal."""


class Lease:
    """The lease of what one router holds: ``vip_lease`` of its instance; None: for ever, as keepalived has it."""

    def __init__(self, kernel: Kernel, holding: Holding, tell: Tell) -> None:
        self._kernel = kernel
        self._holding = holding
        self._tell = tell
        self._asked_at = 0.0
        self._renewed_at = 0.0
        self._granted = 0
        self._lags = (0.0, 0.0)
        self._renewal: Renewal | None = None
        self._refused: OSError | None = None
        self._missing: set[VirtualAddress] = set()
        self._requests: dict[VirtualAddress, tuple[Link, Lifetimes, bytes]] = {}

    def begin(self) -> None:
        """Take note that what is held from now on is young."""
        self._asked_at = self._renewed_at = time.monotonic()
        self._granted = self._holding.lease or 0
        self._refused = None
        self._missing.clear()
        self._requests.clear()

    def renew(self, instance: Instance, now: float) -> OSError | None:
        """Ask for a renewal of what is held, if that is due at ``now`` (monotonic seconds).

        Returns why no advertisement may leave: the last renewal was refused, or has not been carried out in time.
        """
        seconds = instance.vip_lease
        if seconds is None:
            return None
        refused, waits, ran_out = self._refused, self._renewal is not None, now - self._renewed_at > self._granted
        if not waits and (refused or lease_is_due(now - self._asked_at, instance.advert_interval, seconds)):
            if ran_out and not refused:
                self._begin_again(seconds, now)
            else:
                self._ask(seconds, now, everything=False)
        if refused is None and waits and ran_out:
            refused = OSError(errno.ETIMEDOUT, f"the kernel has not renewed the lease of {self._granted} s in time")
        return refused

    def _begin_again(self, seconds: int, now: float) -> None:
        """Put all of it back, for the daemon has not asked for so long: this is like becoming master."""
        if self._holding.addresses:
            age = now - self._renewed_at
            values: dict[str, Value] = {"age": round(age, 3), "lease": self._granted}
            ran_out = f"the lease of {self._granted} s ran out"
            text = f"{ran_out}, for the daemon stood still for {age:.1f} s: addresses are put back"
            self._tell("lease_ran_out", text, **values)
        self._renewed_at = now
        self._ask(seconds, now, everything=True)

    async def change(self, seconds: int | None) -> None:
        """Give what is held another lease; None: for ever, be it that the daemon ends and leaves it there."""
        await self.settle()
        self._renewed_at, self._granted = time.monotonic(), seconds or 0
        # Everything: what was added just now may not have been told yet (the kernel tells of IPv6 addresses later).
        self._ask(seconds, time.monotonic(), everything=True)
        if self._renewal is not None:
            await self._renewal.ended.wait()
        if self._refused is not None:
            self._tell("system_error", self._refused.strerror or str(self._refused))

    async def arrived(self) -> None:
        """Return when the renewal that is on its way, if any, has been carried out, or has taken too long."""
        if self._renewal is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._renewal.ended.wait(), PATIENCE)

    async def settle(self) -> None:
        """Return when no renewal is on its way any more: what is removed then stays away."""
        renewal, self._renewal = self._renewal, None
        if renewal is not None:
            await self._kernel.renewals.give_up(renewal)

    # --- Asking ---------------------------------------------------------------------------------------------------

    def _ask(self, seconds: int | None, now: float, *, everything: bool) -> None:
        due = self._due(everything=everything)
        self._asked_at, asked_at = now, time.monotonic()
        seconds = None if seconds is None else lease_to_ask_for(seconds, min(self._lags))
        if not due:
            self._renewed_at, self._refused = now, None
            return
        requests = {self._request(address, link, seconds): (address, link) for address, link in due}

        def done(refusals: Refusals) -> None:
            self._renewal = None
            self._lags = (self._lags[1], time.monotonic() - asked_at)  # one alone may have been our own sleep
            self._refused = _first_that_counts(refusals, requests)
            if self._refused is None:
                self._renewed_at, self._granted = now, seconds or 0
            renewal.ended.set()

        self._renewal = renewal = Renewal(tuple(requests), done)
        self._kernel.renewals.ask(renewal)

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


def _first_that_counts(refusals: Refusals, requests: dict[bytes, tuple[VirtualAddress, Link]]) -> OSError | None:
    """Return the first refusal of an address on a link that is up: on one that is down it serves nobody."""
    for number, request in refusals:
        address, link = requests.get(request, (None, None))
        if link is None or link.is_up:
            what = "the addresses" if address is None or link is None else f"{address} on {link.name}"
            return OSError(number, f"the lease of {what} is not renewed: {os.strerror(number)}")
    return None

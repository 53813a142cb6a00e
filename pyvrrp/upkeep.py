"""Looks after what runs: that the kernel holds what the states say, and what becomes true by time alone.

Laws: a master whose address somebody takes away puts it back and stays master; if that goes on and on, it is no master
whom others can rely on, and stands aside. An address that the kernel refuses is asked for again every few seconds. An
address of a router that is no master is taken away, but only if it was there at two looks: a removal may be on its way.
Everything that is mended is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from pyvrrp.fleet import MOST_ASIDE, Fleet
from pyvrrp.ground import Ground
from pyvrrp.router import Router

LOOK_AROUND = 1.0
CHECK = 5.0
"""Seconds between two comparisons of what the kernel holds with what the states say."""
FIGHT, FIGHT_TIME = 20, 60.0
"""So often within so many seconds an address is put back; then somebody is stronger."""
_APART = 0.1
"""Seconds within which several losses are one."""

Start = Callable[[Coroutine[object, object, None]], asyncio.Future[None]]


class Upkeep:
    """Looks after a fleet and its ground. ``start``: runs something in the background."""

    def __init__(self, fleet: Fleet, ground: Ground, start: Start) -> None:
        self._fleet = fleet
        self._ground = ground
        self._start = start
        self._loop = asyncio.get_running_loop()

    def mend(self) -> None:
        """Put back what somebody has taken away."""
        if self._ground.is_disturbed():
            self._start(self._ground.mend())
        for router in self._fleet.routers.values():
            if router.addresses.misses():
                router.addresses.restore(router.instance.garp.repeat)
                self._count(router)

    def _count(self, router: Router) -> None:
        now, times = self._loop.time(), router.mended_at
        if times and now - times[-1] < _APART:
            return
        times.append(now)
        router.mended_at = times = [at for at in times if now - at < FIGHT_TIME]
        if len(times) > FIGHT:
            times.clear()
            text = f"its addresses were taken away {FIGHT} times within {FIGHT_TIME:g} s"
            self._fleet.set_aside(router, "somebody takes its addresses away", "addresses_fought_over", text)

    async def look_around(self) -> None:
        """Tell what has changed by time alone, every second; runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_AROUND)
            now = self._loop.time()
            for router in self._fleet.routers.values():
                self._look_at(router, now)
            self._fleet.acts.tell_left_out()

    def _look_at(self, router: Router, now: float) -> None:
        if router.times_aside and not router.aside and router.is_master and now - router.since > MOST_ASIDE:
            router.times_aside = 0
        self._fleet.acts.found(router, router.watcher.look(now, is_master=router.is_master))

    async def check(self, read_links: Callable[[], Awaitable[None]]) -> None:
        """Compare what the kernel holds with what the states say, every few seconds; runs until cancelled."""
        suspects: frozenset[str] = frozenset()
        while True:
            await asyncio.sleep(CHECK)
            await read_links()
            for router in self._fleet.routers.values():
                if router.addresses.is_incomplete:
                    router.addresses.restore(router.instance.garp.repeat)
            found = self._left_behind()
            for name in sorted(found & suspects):
                router = self._fleet.routers[name]
                text = f"is {router.machine.state.name} but its addresses are there: taking them away"
                self._fleet.acts.tell(router, "address_left_behind", text)
                router.addresses.remove()
            suspects = found

    def _left_behind(self) -> frozenset[str]:
        """Return the routers that are no master though an address of theirs is there, and no other one's."""
        routers = self._fleet.routers
        masters = [router.instance for router in routers.values() if router.is_master]
        due = {address.ip for instance in masters for address in (*instance.addresses, *instance.excluded)}
        astray = self._fleet.addresses_there() - due
        return frozenset(
            name
            for name, router in routers.items()
            if router.started
            and not router.is_master
            and any(address.ip in astray for address in (*router.instance.addresses, *router.instance.excluded))
        )

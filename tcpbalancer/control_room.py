"""Everything by which a running balancer is looked at: the pages of one configuration.

Laws: a room belongs to one configuration; a reload opens the next one before it closes the last one, on the same
sockets. What was opened is closed in the opposite order.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tcpbalancer.model import Mode
from tcpbalancer.supervisor import Supervisor

if TYPE_CHECKING:
    from tcpbalancer.model import Configuration


class ControlRoom:
    """The pages of one configuration."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._open = contextlib.AsyncExitStack()

    async def open(self, configuration: Configuration) -> None:
        """Answer on the sockets that the supervisor holds; nothing stays open if one of them fails."""
        async with contextlib.AsyncExitStack() as stack:
            for frontend in configuration.frontends.values():
                if frontend.mode is Mode.HTTP and frontend.binds:
                    from tcpbalancer.control.site import StatisticsSite  # aiohttp: only if there is a page

                    sockets = self._supervisor.listening(frontend)
                    site = StatisticsSite(frontend, self._supervisor.snapshot, sockets)
                    await site.start()
                    stack.push_async_callback(site.stop)
            self._open = stack.pop_all()

    async def close(self) -> None:
        """Answer no more."""
        await self._open.aclose()

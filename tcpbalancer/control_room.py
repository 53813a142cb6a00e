"""Everything by which a running balancer is looked at: the pages of one configuration, and the runtime API.

Laws: a room belongs to one configuration; a reload opens the next one before it closes the last one, on the same
sockets. What was opened is closed in the opposite order. The runtime API goes from room to room: conversations go on.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tcpbalancer.control import commands
from tcpbalancer.control.cli_server import CliServer
from tcpbalancer.model import Mode
from tcpbalancer.supervisor import Supervisor

if TYPE_CHECKING:
    from tcpbalancer.model import Configuration


assert commands.SUBJECTS  # their import has registered all commands of the runtime API


class ControlRoom:
    """The pages of one configuration, and the stats sockets that it asks for."""

    def __init__(self, supervisor: Supervisor, cli: CliServer) -> None:
        self._supervisor = supervisor
        self._cli = cli
        self._open = contextlib.AsyncExitStack()

    async def open(self, configuration: Configuration) -> None:
        """Answer on the sockets that the supervisor holds, and on the stats sockets.

        Nothing stays open if one of them fails; raises StatsSocketError if that is a stats socket, which are as they
        were then.
        """
        async with contextlib.AsyncExitStack() as stack:
            for frontend in configuration.frontends.values():
                if frontend.mode is Mode.HTTP and frontend.binds:
                    from tcpbalancer.control.site import StatisticsSite  # aiohttp: only if there is a page

                    sockets = self._supervisor.listening(frontend)
                    site = StatisticsSite(frontend, self._cli.room, sockets)
                    await site.start()
                    stack.push_async_callback(site.stop)
            self._cli.start(configuration)
            self._open = stack.pop_all()

    async def close(self) -> None:
        """Answer no more."""
        await self._open.aclose()

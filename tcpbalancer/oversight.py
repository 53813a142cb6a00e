"""Everything that has a say about the servers of one generation: checks, agents, name servers, operators.

Laws: all of them change servers through the one ``ServerWatch``. Of several generations, the newest asks; an older one
asks only about servers that the newest does not have, and follows it in all others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hakit.events import EventHub
from tcpbalancer.administration import Administration
from tcpbalancer.agent_loop import AgentLoop
from tcpbalancer.check_loop import CheckLoop
from tcpbalancer.counters import SharedMemory
from tcpbalancer.log_book import Log
from tcpbalancer.model import Configuration
from tcpbalancer.roster import Roster
from tcpbalancer.server_watch import Send, ServerWatch

if TYPE_CHECKING:
    from tcpbalancer.name_watch import NameWatch


class Oversight:
    """The servers of a generation, and who watches over them."""

    def __init__(self, configuration: Configuration, memory: SharedMemory, hub: EventHub, log: Log, send: Send) -> None:
        self.watch = ServerWatch(configuration, memory, hub, log, send)
        self.checks = CheckLoop(self.watch, configuration)
        self.administration = Administration(self.watch, self.checks.hurry)
        self.agents = AgentLoop(self.watch, self.administration)
        self.roster = Roster(self.watch, self.checks, self.agents)
        self._configuration = configuration
        self._names: NameWatch | None = None

    def start(self, before: Oversight | None, followers: list[Oversight]) -> None:
        """Begin to ask; from ``before``, which does so until now, this one takes over, and leads ``followers``."""
        if before is not None:
            before.pause()
            self.watch.follow(before.watch)
            before.checks.start(without=self.checks)
            before.agents.start(without=self.agents)
        self.lead(followers)
        self.watch.start()
        self.checks.start()
        self.agents.start()
        if self._configuration.resolvers:
            from tcpbalancer.name_watch import NameWatch  # dnspython: only where there are names to look up

            self._names = NameWatch(self._configuration.resolvers, self.watch, self.administration)
            self._names.start()
            self.administration.look_for = self._names.add

    def lead(self, followers: list[Oversight]) -> None:
        """Let others follow each change from now on."""
        self.watch.lead([follower.watch for follower in followers])

    def pause(self) -> None:
        """Ask nobody any more, without waiting for what is on its way."""
        self.checks.pause()
        self.agents.pause()
        self.watch.stop()
        if self._names is not None:
            self._names.pause()

    async def stop(self) -> None:
        """Ask nobody any more, and see to the end of what is on its way."""
        await self.checks.stop()
        await self.agents.stop()
        if self._names is not None:
            await self._names.stop()
        self.watch.stop()

"""Following the names of servers while the balancer runs: addresses change, come, and go.

Laws: one question per name and interval, whoever shares the name (haproxy #2503). Nothing is looked up that the file
does not name. A server whose name has no address is in maintenance (resolution) and leaves it with the first one. A
change of address is told to the workers at once; connections that go on are left alone.

Source: HAProxy's configuration manual, section 5.3 "Server IP address resolution using DNS".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from tcpbalancer.administration import Administration
from tcpbalancer.model import Resolvers
from tcpbalancer.model.naming import Naming
from tcpbalancer.name_query import ask_for
from tcpbalancer.names import Outcome, Reply, choose
from tcpbalancer.server_state import Admin
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.watched import WatchedServer

Key = tuple[str, str, bool]
"""A section, a name, and whether IPv4 is asked for first: what is asked for together."""


class NameWatch:
    """The questions for all names."""

    def __init__(self, sections: Mapping[str, Resolvers], watch: ServerWatch, administration: Administration) -> None:
        self._sections = sections
        self._watch = watch
        self._administration = administration
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._last_valid: dict[Key, float] = {}
        self._seen: dict[Key, dict[str, float]] = {}

    def start(self) -> None:
        """Begin to ask."""
        for backend in self._watch.backends:
            for server in backend.servers:
                self.add(server)

    def add(self, server: WatchedServer) -> None:
        """Begin to ask for a server's name, if that has not begun yet."""
        key = _key(server)
        if key is not None and key[0] in self._sections and key not in self._tasks:
            self._last_valid[key] = time.monotonic()
            self._seen[key] = {}
            self._tasks[key] = asyncio.create_task(self._ask_for_ever(key))

    def pause(self) -> list[asyncio.Task[None]]:
        """Ask for nothing more; returns what still has to end by itself."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        return tasks

    async def stop(self) -> None:
        """Ask for nothing more, and see to the end of what runs."""
        await asyncio.gather(*self.pause(), return_exceptions=True)

    async def _ask_for_ever(self, key: Key) -> None:
        section = self._sections[key[0]]
        while servers := self._servers(key):
            try:
                reply = await ask_for(key[1], section, ipv4_first=key[2])
                self.heard(key, self._servers(key), reply)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, the name must be asked for again
                text = f"Looking for the name '{key[1]}' met an error of ours and goes on: {wrong!r}"
                self._watch.log("err", text, servers[0].backend.backend.name)
            await asyncio.sleep(section.resolve)
        del self._tasks[key]

    def _servers(self, key: Key) -> list[WatchedServer]:
        return [server for backend in self._watch.backends for server in backend.servers if _key(server) == key]

    def heard(self, key: Key, servers: list[WatchedServer], reply: Reply) -> None:
        """Take an answer, and do for each server of the name what follows from it."""
        now, section = time.monotonic(), self._sections[key[0]]
        if reply.outcome is Outcome.VALID:
            self._last_valid[key] = now
            seen = self._seen[key] | dict.fromkeys(reply.addresses, now)
            self._seen[key] = {address: at for address, at in seen.items() if now - at <= section.hold.obsolete}
            for server in servers:
                self._place(server, servers, [*reply.addresses, *self._seen[key]], f"{section.name}/{reply.by}")
        elif now - self._last_valid[key] >= reply.outcome.hold(section.hold):
            for server in servers:
                self._watch.mark(server, Admin.RESOLUTION, reply.outcome.value)

    def _place(self, server: WatchedServer, all_of_name: list[WatchedServer], addresses: list[str], by: str) -> None:
        naming = server.server.naming
        assert naming is not None
        taken = {
            other.server.address
            for other in all_of_name
            if other is not server and other.backend is server.backend and not other.state.admin & Admin.RESOLUTION
        }
        known = server.server.address
        before_it = all_of_name[: all_of_name.index(server)]
        if not naming.allows_duplicates and known in taken & {other.server.address for other in before_it}:
            known = ""  # at the start libc has given all of them the same
        address = choose(addresses, known, taken, naming)
        if address is None:
            self._watch.mark(server, Admin.RESOLUTION, Outcome.VALID.value)
            return
        if address != server.server.address:
            before = server.server.address or "(none)"
            line = f"{server.name}: IP changed from '{before}' to '{address}' by '{by}'."
            self._administration.move(server, address, server.server.port)
            self._watch.log("notice", line, server.backend.backend.name)
        if server.state.admin & Admin.RESOLUTION:
            self._administration.resolved(server)
            text = f"Server {server.name} administratively READY thanks to valid DNS answer."
            self._watch.log("notice", text, server.backend.backend.name)


def _key(server: WatchedServer) -> Key | None:
    told = server.server
    naming: Naming | None = told.naming
    return None if naming is None or not told.host else (naming.resolvers, told.host, naming.prefers_ipv4)

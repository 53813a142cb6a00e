"""Servers: looking at them, and changing them while the balancer runs.

Laws: what is done to servers is ``Administration``'s, with its texts; here words become deeds.

Source: HAProxy's management guide, section 9.3; ``server.c``, ``proxy.c``.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tcpbalancer.administration import Administration, Answer
from tcpbalancer.control.cli_commands import RefusedError, Result, Said, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.server_lines import CONNECTIONS_HEADER, STATE_HEADER, connections_line, state_line
from tcpbalancer.counters import CURRENT, PEAK
from tcpbalancer.model import Level
from tcpbalancer.snapshot import FIRST_PROXY
from tcpbalancer.watched import WatchedBackend, WatchedServer

NO_SERVER = "Require 'backend/server'."
_USAGE = (
    "usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | "
    "check-port | fqdn | health | name | ssl | state | weight"
)


def said(answer: Answer) -> Said:
    """Return what a deed answers."""
    return Said(answer.text, answer.severity.value)


def deeds(conversation: Conversation) -> Administration:
    """Return what can be done to the servers of the configuration at work."""
    return conversation.room.supervisor.current.administration


def named(conversation: Conversation, words: Words) -> WatchedServer:
    """Return the server ``backend/server`` of the first word; RefusedError if there is none."""
    backend, _, server = (words[0] if words else "").partition("/")
    found = deeds(conversation).server(backend, server)
    if isinstance(found, Answer):
        raise RefusedError(found.text)
    return found


def number_of(conversation: Conversation, backend: WatchedBackend) -> int:
    """Return a backend's number (iid)."""
    order = conversation.room.supervisor.current.configuration.order
    return FIRST_PROXY + order.index(backend.backend.name)


# -- looking ----------------------------------------------------------------------------------------------------------


def _backends(conversation: Conversation, words: Words) -> list[WatchedBackend]:
    backends = conversation.room.supervisor.current.watch.backends
    if not words:
        return backends
    found = [each for each in backends if each.backend.name == words[0]]
    if not found:
        raise RefusedError("Can't find backend.")
    return found


@command("show backend", "", "list backends in the current running config")
def show_backend(conversation: Conversation, _words: Words) -> str:
    """A name a line; proxies that are only frontends are left out."""
    configuration = conversation.room.supervisor.current.configuration
    return "\n".join(["# name", *(name for name in configuration.order if name in configuration.backends)])


@command("show servers state", "[<backend>]", "dump volatile server information (all or for a single backend)")
def show_servers_state(conversation: Conversation, words: Words) -> str:
    """What a state file holds."""
    now = time.monotonic()
    lines = [
        state_line(server, number_of(conversation, backend), now)
        for backend in _backends(conversation, words)
        for server in backend.servers
    ]
    return "\n".join(["1", STATE_HEADER, *lines]) + "\n"


@command("show servers conn", "[<backend>]", "dump server connections status (all or for a single backend)")
def show_servers_conn(conversation: Conversation, words: Words) -> str:
    """Connections of each server."""
    generation = conversation.room.supervisor.current
    threads = generation.configuration.nbthread
    lines = [CONNECTIONS_HEADER.format(threads)]
    for backend in _backends(conversation, words):
        for server in backend.servers:
            block = generation.memory.layout.server(backend.place, server.place)
            used, most = generation.tally.sum(block, CURRENT), generation.tally.largest(block, PEAK)
            lines.append(connections_line(server, number_of(conversation, backend), used, most, threads))
    return "\n".join(lines)


@command("get weight", "<bk>/<srv>", "report a server's current weight")
def get_weight(conversation: Conversation, words: Words) -> Result:
    """The weight set last, and that of the file."""
    return deeds(conversation).get_weight(named(conversation, words)).text


# -- changing ---------------------------------------------------------------------------------------------------------


@command("set weight", "<bk>/<srv> <weight>[%]", "change a server's weight", Level.ADMIN)
def set_weight(conversation: Conversation, words: Words) -> Said:
    """An absolute weight, or a percentage of that of the file."""
    server = named(conversation, words)
    return said(deeds(conversation).set_weight(server, _word(words, 1)))


@command("enable server", "<bk>/<srv>", "enable a disabled server", Level.ADMIN)
def enable_server(conversation: Conversation, words: Words) -> Said:
    """The same as ``set server b/s state ready``."""
    return said(deeds(conversation).set_admin(named(conversation, words), "ready"))


@command("disable server", "<bk>/<srv>", "disable a server for maintenance", Level.ADMIN)
def disable_server(conversation: Conversation, words: Words) -> Said:
    """The same as ``set server b/s state maint``."""
    return said(deeds(conversation).set_admin(named(conversation, words), "maint"))


@command("enable health", "<bk>/<srv>", "enable health checks", Level.ADMIN)
def enable_health(conversation: Conversation, words: Words) -> Said:
    """Check it again."""
    return said(deeds(conversation).enable_health(named(conversation, words)))


@command("disable health", "<bk>/<srv>", "disable health checks", Level.ADMIN)
def disable_health(conversation: Conversation, words: Words) -> Said:
    """Check it no more; it stays as it is."""
    return said(deeds(conversation).disable_health(named(conversation, words)))


@command("enable agent", "<bk>/<srv>", "enable agent checks", Level.ADMIN)
def enable_agent(conversation: Conversation, words: Words) -> Said:
    """Ask the agent again."""
    return said(deeds(conversation).enable_agent(named(conversation, words)))


@command("disable agent", "<bk>/<srv>", "disable agent checks", Level.ADMIN)
def disable_agent(conversation: Conversation, words: Words) -> Said:
    """Ask the agent no more."""
    return said(deeds(conversation).disable_agent(named(conversation, words)))


@command("set server", "<bk>/<srv> [opts]", "change a server's state, weight, address or ssl", Level.ADMIN)
def set_server(conversation: Conversation, words: Words) -> Said:
    """Go by the second word."""
    server = named(conversation, words)
    what, rest = _word(words, 1), words[2:]
    if what not in _SETTINGS:
        raise RefusedError(_USAGE)
    return _SETTINGS[what](deeds(conversation), server, rest)


def _word(words: Words, position: int) -> str:
    return words[position] if len(words) > position else ""


def _port(words: Words) -> str | None:
    """Return what follows ``ADDR port``; None if no port is spoken of."""
    return _word(words, 2) if _word(words, 1) == "port" else None


def _ssl(_deeds: Administration, _server: WatchedServer, _words: Words) -> Said:
    raise RefusedError("'set server <srv> ssl' cannot be set.  default-server should define ssl settings")


def _name(_deeds: Administration, _server: WatchedServer, _words: Words) -> Said:
    raise RefusedError("'set server <srv> name' is not carried out by tcpbalancer: add another server instead.")


_SETTINGS: dict[str, Callable[[Administration, WatchedServer, Words], Said]] = {
    "addr": lambda deeds, server, words: said(deeds.set_address(server, _word(words, 0), _port(words))),
    "agent": lambda deeds, server, words: said(deeds.set_agent(server, _word(words, 0))),
    "agent-addr": lambda deeds, server, words: said(
        deeds.set_agent_address(server, _word(words, 0), _port(words) or "")
    ),
    "agent-port": lambda deeds, server, words: said(deeds.set_agent_port(server, _word(words, 0))),
    "agent-send": lambda deeds, server, words: said(deeds.set_agent_send(server, _word(words, 0))),
    "check-addr": lambda deeds, server, words: said(
        deeds.set_check_address(server, _word(words, 0), _port(words) or "")
    ),
    "check-port": lambda deeds, server, words: said(deeds.set_check_port(server, _word(words, 0))),
    "fqdn": lambda deeds, server, words: said(deeds.set_fqdn(server, _word(words, 0))),
    "health": lambda deeds, server, words: said(deeds.set_health(server, _word(words, 0))),
    "name": _name,
    "ssl": _ssl,
    "state": lambda deeds, server, words: said(deeds.set_admin(server, _word(words, 0))),
    "weight": lambda deeds, server, words: said(deeds.set_weight(server, _word(words, 0))),
}
"""What can be set of a server."""

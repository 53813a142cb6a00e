"""Servers that come and go while the balancer runs: ``add server``, ``del server``.

Laws: the line behind ``add server`` is read by those who read the file; so it takes the same options and refuses the
same mistakes. A new server is in maintenance until it is enabled, and is not checked until ``enable health``. One that
goes must be in maintenance and have no connection left; its place is free then. Of backends none can come or go: that
is refused by name.

Source: HAProxy's management guide, section 9.3 "add server", "del server"; ``cli_parse_add_server`` (``server.c``).
"""

from __future__ import annotations

import re

from hakit.diagnostics import ConfigError
from tcpbalancer.administration import Answer
from tcpbalancer.config.load import read_texts
from tcpbalancer.control.cli_commands import RefusedError, Said, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.commands.servers import NO_SERVER, deeds, named, said
from tcpbalancer.counters import CURRENT, QUEUED
from tcpbalancer.generation import Generation
from tcpbalancer.model import Level, Server

_NAME = re.compile(r"[A-Za-z0-9_:.-]+", re.ASCII)
_NOT_FOR_DYNAMIC = frozenset({
    "cookie", "redir", "resolvers", "resolve-prefer", "resolve-net", "resolve-opts", "init-addr", "disabled", "track",
    "socks4", "namespace", "guid",
})  # fmt: skip
_LINE = re.compile(r"'server [^']*' : ")


@command("add server", "<bk>/<srv> <addr>[:<port>] [options]*", "create a new server", Level.ADMIN)
def add_server(conversation: Conversation, words: Words) -> Said:
    """Take a server in."""
    backend_name, slash, name = (words[0] if words else "").partition("/")
    if not slash or not name:
        raise RefusedError(NO_SERVER)
    backend = deeds(conversation).backend(backend_name)
    if backend is None:
        raise RefusedError("No such backend.")
    if not _NAME.fullmatch(name):
        wrong = next(letter for letter in name if not _NAME.fullmatch(letter))
        raise RefusedError(f"character '{wrong}' is not permitted in server name '{name}'.")
    roster = conversation.room.supervisor.current.roster
    refusal = roster.refusal(backend, name)
    if refusal is not None:
        raise RefusedError(refusal.text, refusal.severity.value)
    if len(words) < 2:
        raise RefusedError("'server' expects <name> and <addr>[:<port>] as arguments.")
    refused = [word for word in words[2:] if word in _NOT_FOR_DYNAMIC]
    if refused:
        raise RefusedError(f"'{refused[0]}' option is not accepted for dynamic server")
    return said(roster.add(backend, _read(backend_name, name, words[1:])))


def _read(backend: str, name: str, words: Words) -> Server:
    """Return what a server line says; RefusedError with its first mistake."""
    line = " ".join(_quoted(word) for word in ("server", name, *words))
    text = f"defaults\n timeout connect 1s\n timeout server 1s\nbackend {_quoted(backend)}\n {line}\n"
    try:
        loaded = read_texts([("add server", text)], {}, resolve=lambda _host: None)
    except ConfigError as wrong:
        message = _LINE.sub("", wrong.diagnostics[0].message)
        raise RefusedError(message) from None
    return loaded.configuration.backends[backend].servers[0]


def _quoted(word: str) -> str:
    """Return a word as a file has to spell it."""
    return "'" + word.replace("'", "'\\''") + "'"


def _busy(generation: Generation, backend: int, slot: int) -> bool:
    block = generation.memory.layout.server(backend, slot)
    return bool(generation.memory.sum(block, CURRENT) or generation.memory.sum(block, QUEUED))


def why_not_removable(conversation: Conversation, name: str) -> tuple[str | None, bool]:
    """Return why a server cannot be deleted now, None if it can; and whether waiting may change that."""
    backend, _, server = name.partition("/")
    found = deeds(conversation).server(backend, server)
    if isinstance(found, Answer):
        return found.text, False
    generation = conversation.room.supervisor.current
    if found.trackers:
        return "This server cannot be deleted: it is tracked by another one.", False
    if not found.state.in_maintenance:
        return "Only servers in maintenance mode can be deleted.", False
    if _busy(generation, found.backend.place, found.place):
        return "Server still has connections attached to it, cannot remove it.", True
    return None, True


@command("del server", "<bk>/<srv>", "remove a dynamically added server", Level.ADMIN)
def del_server(conversation: Conversation, words: Words) -> Said:
    """Take a server out."""
    if "/" not in (words[0] if words else ""):
        raise RefusedError(NO_SERVER)
    server = named(conversation, words)
    return said(conversation.room.supervisor.current.roster.remove(server))


def _no_backends(_conversation: Conversation, _words: Words) -> str:
    raise RefusedError("Backends cannot be changed at run time by tcpbalancer: change the file and reload.")


for _name, _summary in (
    ("add backend", "not carried out: change the file and reload"),
    ("del backend", "not carried out: change the file and reload"),
    ("publish backend", "not carried out: change the file and reload"),
    ("unpublish backend", "not carried out: change the file and reload"),
):
    command(_name, "<bk>", _summary, Level.ADMIN)(_no_backends)

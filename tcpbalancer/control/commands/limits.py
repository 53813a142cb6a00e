"""Limits: how many connections may come, to whom, and how fast.

Laws: limits are words of the shared memory that only the supervisor writes; workers read them at each decision, so a
change acts at once.

Source: HAProxy's management guide, section 9.3; ``server.c``, ``frontend`` commands of ``proxy.c``, ``cli.c``.
"""

from __future__ import annotations

import re

from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.commands.servers import named
from tcpbalancer.counters import (
    GLOBAL_CONNECTION_RATE,
    GLOBAL_MAXCONN,
    GLOBAL_SESSION_RATE,
    MAXCONN,
    SERVER_MAXCONN,
    SharedMemory,
)
from tcpbalancer.model import Frontend, Level, Mode
from tcpbalancer.route import tcp_frontends

_NUMBER = re.compile(r"[ \t]*([+-]?\d{1,18})", re.ASCII)  # what fits a word of shared memory
_RATES = """\
'set rate-limit' only supports :
   - 'connections global' to set the per-process maximum connection rate
   - 'sessions global' to set the per-process maximum session rate
   - 'ssl-sessions global' to set the per-process maximum SSL session rate
   - 'http-compression global' to set the per-process maximum compression speed in kB/s
"""


def frontend_of(conversation: Conversation, words: Words) -> Frontend:
    """Return the frontend that the first word names; RefusedError if there is none."""
    if not words:
        raise RefusedError("A frontend name is expected.")
    found = conversation.room.supervisor.current.configuration.frontends.get(words[0])
    if found is None:
        raise RefusedError("No such frontend.")
    return found


def place_of(conversation: Conversation, frontend: Frontend) -> int | None:
    """Return a frontend's place among those that workers serve; None for a page's."""
    names = [each.name for each in tcp_frontends(conversation.room.supervisor.current.configuration)]
    return names.index(frontend.name) if frontend.mode is Mode.TCP else None


def _integer(text: str) -> int:
    """Return the number at the start of a text as ``atol`` reads it: 0 if there is none."""
    found = _NUMBER.match(text)
    return 0 if found is None else int(found[1])


def _memory(conversation: Conversation) -> SharedMemory:
    return conversation.room.supervisor.current.memory


@command("set maxconn server", "<bk>/<srv> <value>", "change a server's maxconn setting", Level.ADMIN)
def set_maxconn_server(conversation: Conversation, words: Words) -> str:
    """A limit of 0 is none."""
    server = named(conversation, words)
    if len(words) < 2:
        raise RefusedError("Require <maxconn>.")
    found = _NUMBER.match(words[1])
    if found is None:
        raise RefusedError("maxconn string empty or preceded by garbage")
    if words[1][found.end() :]:
        raise RefusedError("Trailing garbage in maxconn string")
    memory = _memory(conversation)
    place = memory.layout.server_setting(server.backend.place, server.place, SERVER_MAXCONN)
    memory.words[place] = max(int(found[1]), 0)
    memory.ring()
    return ""


@command("set maxconn frontend", "<frontend> <value>", "change a frontend's maxconn setting", Level.ADMIN)
def set_maxconn_frontend(conversation: Conversation, words: Words) -> str:
    """Whoever waits in the kernel is accepted at once if there is room now."""
    frontend = frontend_of(conversation, words)
    if len(words) < 2:
        raise RefusedError("Integer value expected.")
    value = _integer(words[1])
    if value < 0 or not _NUMBER.match(words[1]):
        raise RefusedError("Value out of range.")
    place = place_of(conversation, frontend)
    if place is not None:
        memory = _memory(conversation)
        memory.words[memory.layout.frontend_setting(place, MAXCONN)] = value
        memory.ring()
    return ""


@command("set maxconn global", "<value>", "change the per-process maxconn setting", Level.ADMIN)
def set_maxconn_global(conversation: Conversation, words: Words) -> str:
    """No more than the file allows; 0 brings that back."""
    if not words:
        raise RefusedError("Expects an integer value.")
    configured = conversation.room.supervisor.current.configuration.maxconn
    value = _integer(words[0])
    if not 0 <= value <= configured:
        raise RefusedError("Value out of range.")
    memory = _memory(conversation)
    memory.words[memory.layout.settings.start + GLOBAL_MAXCONN] = value or configured
    memory.ring()
    return ""


@command("set rate-limit", "<setting> <value>", "change a rate limiting value", Level.ADMIN)
def set_rate_limit(conversation: Conversation, words: Words) -> str:
    """Connections or sessions in a second; 0 is no limit."""
    if len(words) < 2 or words[0] not in {"connections", "sessions", "ssl-sessions", "http-compression"}:
        raise RefusedError(_RATES)
    if words[1] != "global":
        raise RefusedError(_RATES)
    if len(words) < 3:
        raise RefusedError("Expects an integer value.")
    value = _integer(words[2])
    if value < 0:
        raise RefusedError("Value out of range.")
    setting = {"connections": GLOBAL_CONNECTION_RATE, "sessions": GLOBAL_SESSION_RATE}.get(words[0])
    if setting is not None:
        memory = _memory(conversation)
        memory.words[memory.layout.settings.start + setting] = value
    return ""

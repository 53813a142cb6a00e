"""Sessions that go on: looking at them, and ending them.

Laws: workers are asked and answer when they can; one that does not within ``PATIENCE`` is left out. The conversation
itself is a session, too, and is listed.

Source: HAProxy's management guide, section 9.3; ``stream.c``.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

from tcpbalancer.channel import Answer, Cut, ListSessions, Order, SessionView
from tcpbalancer.config.values import parse_time
from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.commands.servers import named
from tcpbalancer.control.session_lines import session_block, session_line
from tcpbalancer.model import Level

PATIENCE = 2.0
"""Seconds for a worker to answer."""
_ID = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)")
_HELP = """\
Usage: show sess [<id> | all | help] [<filter>]...
  <id>            everything that is known of one session
  all             the same of all sessions
  older <age>     only sessions that are older (seconds, or a time with a unit)
  server <b/s>    only sessions on this server
  backend <b>     only sessions of this backend
  frontend <f>    only sessions of this frontend
"""
Filter = Callable[[SessionView], bool]


async def _ask(conversation: Conversation, order: Order) -> list[Answer]:
    """Ask all workers, those of older generations, too."""
    current = conversation.room.supervisor.current
    workers = [worker for each in (current, *current.older) for worker in each.workers.values()]
    parts = await asyncio.gather(*(worker.ask(order, PATIENCE) for worker in workers))
    return [part for answers in parts for part in answers]


async def _sessions(conversation: Conversation) -> list[SessionView]:
    answers = await _ask(conversation, ListSessions())
    views = [view for answer in answers for view in answer.sessions]
    now = time.time()
    for other in conversation.room.conversations:
        client, _, port = other.source.rpartition(":")
        views.append(
            SessionView(
                id=other.number,
                frontend="GLOBAL",
                backend=None,
                server=None,
                client=client,
                client_port=int(port),
                phase="relaying",
                age=now - other.began_at,
                expires=other.timeout,
                accepted_at=other.began_at,
            )
        )
    return sorted(views, key=lambda view: view.accepted_at)


@command("show sess", "[<id>|all|help] [older <age>|server <b/s>|backend <b>|frontend <f>]*",
         "report the list of current sessions or dump this exact session", Level.OPERATOR)  # fmt: skip
async def show_sess(conversation: Conversation, words: Words) -> str:
    """A line each, or a block each."""
    if words[:1] == ("help",):
        return _HELP
    wanted, blocks, rest = None, words[:1] == ("all",), words[1:]
    if not blocks:
        number = _ID.fullmatch(words[0]) if words and words[0][:2].lower() == "0x" else None
        wanted = None if number is None else int(number[1], 16)
        rest = words if number is None else words[1:]
    filters = _filters(rest)
    views = [view for view in await _sessions(conversation) if all(keeps(view) for keeps in filters)]
    if wanted is not None:
        views = [view for view in views if view.id == wanted]
        if not views:
            raise RefusedError("Session not found.")
        blocks = True
    lines = [session_block(view) if blocks else session_line(view) for view in views]
    return "\n".join(lines) + "\n" if lines else ""


def _filters(words: Words) -> list[Filter]:
    filters: list[Filter] = []
    for what, value in zip(words[::2], words[1::2], strict=False):
        if what == "older":
            filters.append(_older(value))
        elif what == "server":
            filters.append(lambda view, value=value: f"{view.backend}/{view.server}" == value)  # type: ignore[misc]
        elif what in {"backend", "frontend"}:
            filters.append(lambda view, what=what, value=value: getattr(view, what) == value)  # type: ignore[misc]
    return filters


def _older(text: str) -> Filter:
    try:
        age = parse_time(text, "s")
    except ValueError:
        raise RefusedError("Invalid age.") from None
    return lambda view: view.age >= age


@command("shutdown session", "[id]", "kill a specific session", Level.ADMIN)
async def shutdown_session(conversation: Conversation, words: Words) -> str:
    """End one session by its id."""
    number = _ID.fullmatch(words[0]) if words else None
    wanted = 0 if number is None else int(number[1], 16)
    if not wanted:
        raise RefusedError("Session pointer expected (use 'show sess').")
    answers = await _ask(conversation, Cut("KC", "shut down by an operator", session=wanted))
    if not sum(answer.count for answer in answers if answer.is_last):
        raise RefusedError("No such session (use 'show sess').")
    return ""


@command("shutdown sessions server", "<bk>/<srv>", "kill sessions on a server", Level.ADMIN)
def shutdown_sessions_server(conversation: Conversation, words: Words) -> str:
    """End all sessions on a server."""
    server = named(conversation, words)
    cut = Cut("KC", f"sessions of {server.name} shut down by an operator", backend=server.backend.place,
              server=server.place)  # fmt: skip
    conversation.room.supervisor.current.send(cut)
    return ""

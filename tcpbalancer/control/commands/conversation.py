"""What concerns the conversation itself: its level, its time limit, the sockets over which it can be had.

Source: HAProxy's management guide, section 9.3; ``cli.c``.
"""

from __future__ import annotations

import asyncio
import os
import re

from tcpbalancer.config.values import parse_time
from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.model import Level

_LOOKS_LIKE_SECRET = re.compile("pass|secret|token|credential|api_?key|auth", re.IGNORECASE)


@command("operator", "", "lower the level of the current CLI session to operator", Level.OPERATOR)
def operator(conversation: Conversation, _words: Words) -> str:
    """Go down to operator."""
    return conversation.lower(Level.OPERATOR)


@command("user", "", "lower the level of the current CLI session to user")
def user(conversation: Conversation, _words: Words) -> str:
    """Go down to user."""
    return conversation.lower(Level.USER)


@command("show cli level", "", "display the level of the current CLI session")
def show_cli_level(conversation: Conversation, _words: Words) -> str:
    """The word of the level."""
    return conversation.level.name.lower()


@command("show cli sockets", "", "dump list of cli sockets")
def show_cli_sockets(conversation: Conversation, _words: Words) -> str:
    """A line per socket."""
    lines = [f"{each.title} {each.level.name.lower()} all" for each in conversation.room.sockets]
    return "\n".join(["# socket lvl processes", *lines])


@command("set timeout", "[cli] <delay>", "change a timeout setting")
def set_timeout(conversation: Conversation, words: Words) -> str:
    """The time limit of this connection; a bare number counts seconds here."""
    if not words or words[0] != "cli":
        raise RefusedError("'set timeout' only supports 'cli'.")
    if len(words) < 2:
        raise RefusedError("Expects an integer value.")
    try:
        seconds = parse_time(words[1], "s")
    except ValueError:
        seconds = 0.0
    if not seconds:
        raise RefusedError("Invalid timeout value.")
    conversation.timeout = seconds
    return ""


@command("set severity-output", "[none|number|string]", "set presence of severity level in feedback information")
def set_severity_output(conversation: Conversation, words: Words) -> str:
    """Whether sentences begin with their severity."""
    if not words or words[0] not in {"none", "number", "string"}:
        raise RefusedError("one of 'none', 'number', 'string' is a required argument")
    conversation.severity = words[0]
    return ""


@command("echo", "[text]", "print text to the output")
def echo(_conversation: Conversation, words: Words) -> str:
    """The words again."""
    return " ".join(words) + "\n"


@command("show env", "[var]", "dump environment variables known to the process", Level.OPERATOR)
def show_env(_conversation: Conversation, words: Words) -> str:
    """All variables or one; values that look like secrets are not printed."""
    if words and words[0] not in os.environ:
        raise RefusedError("Variable not found")
    shown = {words[0]: os.environ[words[0]]} if words else dict(os.environ)
    masked = (f"{name}={'***' if _LOOKS_LIKE_SECRET.search(name) else value}" for name, value in shown.items())
    return "\n".join(masked)


@command("expert-mode", "[on|off]", "allow commands that may crash the process; there are none here", Level.ADMIN)
def expert_mode(_conversation: Conversation, words: Words) -> str:
    """HAProxy's switch, without effect."""
    return "" if words else "expert-mode is OFF"


@command("experimental-mode", "[on|off]", "allow commands that may change; none here needs it", Level.ADMIN)
def experimental_mode(_conversation: Conversation, words: Words) -> str:
    """HAProxy's switch, without effect."""
    return "" if words else "experimental-mode is OFF"


@command("wait", "{-h|<delay>} [<condition> [<args>...]]", "wait the specified delay or condition (-h to see list)")
async def wait(conversation: Conversation, words: Words) -> str:
    """Wait for a time, or until a server could be deleted (``srv-removable``, ``srv-unused``, the older name)."""
    from tcpbalancer.control.commands.dynamic import why_not_removable

    if not words or words[0] == "-h":
        raise RefusedError(
            "Usage: wait {-h|<duration>} [condition [args...]]\n"
            "  - '-h' displays this help\n"
            "  - without condition, waits for the duration (milliseconds by default)\n"
            "  - srv-removable <px>/<sv> : waits until the server may be deleted by 'del server'\n"
            "  - srv-unused <px>/<sv>    : the same under its older name"
        )
    try:
        seconds = parse_time(words[0])
    except ValueError:
        raise RefusedError("Invalid duration.") from None
    if len(words) > 1 and words[1] not in {"srv-removable", "srv-unused"}:
        raise RefusedError(f"Unsupported wait condition '{words[1]}'.")
    if len(words) > 1 and len(words) < 3:
        raise RefusedError("Missing server name (<backend>/<server>)")
    end = asyncio.get_running_loop().time() + seconds
    while (left := end - asyncio.get_running_loop().time()) > 0 and not conversation.has_left():
        if len(words) > 1:
            problem, may_change = why_not_removable(conversation, words[2])
            if problem is None:
                return "Done."
            if not may_change:
                raise RefusedError(problem)
        await asyncio.sleep(min(left, 0.1))
    if len(words) == 1:
        return ""
    raise RefusedError("Wait delay expired.")

"""The commands of the runtime API: what each is called, who may use it, how it is written, who carries it out.

Laws: a command is data: the interpreter finds it here, and so do ``help`` and the documentation. A handler gets the
conversation and the words behind the command's name, and returns the answer's text without the empty line at its end:
an empty one is a plain success. What is refused is a ``RefusedError``. Nothing here touches a socket.

Source: HAProxy's management guide, section 9.3 "Unix Socket commands"; texts of ``cli.c``.
"""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tcpbalancer.model import Level

if TYPE_CHECKING:
    from tcpbalancer.control.cli_room import Conversation

Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence with its severity, a syslog level's number; a plain text of a dump has none."""

    text: str
    severity: int = 6


Result = str | Said
Handler = Callable[["Conversation", Words], Result | Awaitable[Result]]
DENIED = "Permission denied"
_BETTER = "maybe one of the following ones is a better match:"
_VALID = "The following commands are valid at this level:"
_WIDTH = 40
_MOST_WORDS = 3
_CLOSE = 0.6


class RefusedError(Exception):
    """A command is not carried out; the text says why, in HAProxy's words. ``severity`` is a syslog level's number."""

    def __init__(self, text: str, severity: int = 3) -> None:
        self.text = text
        self.severity = severity
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one to three words. ``arguments`` is what may follow, ``level`` the least that it needs."""

    name: str
    arguments: str
    summary: str
    level: Level
    handler: Handler

    @property
    def usage(self) -> str:
        """The name with what may follow."""
        return f"{self.name} {self.arguments}".rstrip()


COMMANDS: dict[str, Command] = {}
OWN = (
    ("help [<command>]", "list matching or all commands"),
    ("prompt [help | n | i | p | timed]*", "toggle interactive mode with prompt"),
    ("quit", "disconnect"),
)
"""What belongs to the conversation itself; always last in a list."""


def command(
    name: str, arguments: str, summary: str, level: Level = Level.USER, *, table: dict[str, Command] = COMMANDS
) -> Callable[[Handler], Handler]:
    """Register a handler."""

    def register(handler: Handler) -> Handler:
        assert name not in table, f"'{name}' is registered twice"
        table[name] = Command(name, arguments, summary, level, handler)
        return handler

    return register


def find(words: Words, table: Mapping[str, Command] = COMMANDS) -> Command | None:
    """Return the command with which a line begins: the one with the most words."""
    names = (" ".join(words[:count]) for count in range(min(_MOST_WORDS, len(words)), 0, -1))
    return next((table[name] for name in names if name in table), None)


def unknown(words: Words, table: Mapping[str, Command] = COMMANDS) -> str:
    """Return what is said to a command that there is not."""
    close = list(_close(words, table)) or list(table.values())
    return f"Unknown command: '{words[0]}', but {_BETTER}\n" + _listed(close)


def help_text(words: Words, table: Mapping[str, Command] = COMMANDS) -> str:
    """Return the list of commands, or of those that are like ``words``."""
    return f"{_VALID}\n" + _listed(list(_close(words, table)) if words else table.values())


def _listed(commands: Iterable[Command]) -> str:
    ordered = sorted(commands, key=lambda each: each.name)
    lines = [(each.usage, each.summary) for each in ordered]
    return "\n".join(f"  {usage:<{_WIDTH}}: {summary}" for usage, summary in (*lines, *OWN)) + "\n"


def _close(words: Words, table: Mapping[str, Command]) -> Iterator[Command]:
    """Yield the commands that begin as ``words`` do, as far as possible; else those that are spelt like them."""
    for count in range(len(words), 0, -1):
        begin = " ".join(words[:count])
        found = [each for each in table.values() if f"{each.name} ".startswith(f"{begin} ")]
        if found:
            yield from found
            return
    firsts = {each.name.split()[0] for each in table.values()}
    near = difflib.get_close_matches(words[0], sorted(firsts), cutoff=_CLOSE)
    yield from (each for each in table.values() if each.name.split()[0] in near)

"""A conversation over a stats socket, and the room in which all of them are held.

Laws: no socket here: requests come in, texts go out. An error of ours costs one answer and is logged. What a
conversation may do is its level, which it can lower and never raise.

Source: HAProxy's management guide, section 9.3 "Unix Socket commands"; ``cli.c``.
"""

from __future__ import annotations

import inspect
import itertools
import os
import select
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tcpbalancer.control.cli_commands import DENIED, RefusedError, Result, Said, Words, find, help_text, unknown
from tcpbalancer.control.cli_line import Request, finished
from tcpbalancer.model import Level, StatsSocket

if TYPE_CHECKING:
    from tcpbalancer.supervisor import Supervisor

SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_PROMPT_HELP = """\
Without arguments, 'prompt' changes between interactive mode with a prompt and non-interactive mode. With arguments:
  n      non-interactive: the answers to one line, then the end of the connection
  i      interactive without a prompt
  p      interactive with a prompt
  timed  the prompt shows for how long the process has been running; again: it does not
"""


@dataclass(slots=True)
class Room:
    """What conversations can ask and change. ``note`` takes a syslog level and a line for the log."""

    supervisor: Supervisor
    note: Callable[[str, str], None] = lambda _level, _line: None
    startup_logs: Sequence[str] = ()
    sockets: Sequence[StatsSocket] = ()
    conversations: set[Conversation] = field(default_factory=set)
    started_at: float = field(default_factory=time.time)
    total: int = 0  # connections that came to the stats sockets

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.time() - self.started_at


_IDS = itertools.count(1)


@dataclass(slots=True, eq=False)
class Conversation:
    """One client: how far it may go, and how it wants its answers."""

    room: Room
    level: Level
    timeout: float
    source: str = "unix:1"
    proto: str = "unix_stream"
    fd: int = -1
    interactive: bool = False
    prompts: bool = False
    timed: bool = False
    severity: str = "none"
    payload: str | None = None
    has_quit: bool = False
    began_at: float = field(default_factory=time.time)
    calls: int = 0
    number: int = field(default_factory=lambda: (os.getpid() << 32) + (1 << 31) + next(_IDS))

    def prompt(self) -> str:
        """Return what follows an answer: the prompt, if the client wants one."""
        if not self.interactive or not self.prompts:
            return ""
        if not self.timed:
            return "> "
        seconds = int(self.room.uptime)
        return f"[{seconds // 86400}:{seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}]> "

    def has_left(self) -> bool:
        """Whether the client is gone for good; one that has only shut down its side still wants its answer."""
        if self.fd < 0:
            return False
        looking = select.poll()
        looking.register(self.fd, 0)
        return bool(looking.poll(0))

    async def answer(self, request: Request) -> str:
        """Return the whole answer to one command, the prompt included; behind ``quit`` there is none."""
        text = await self.text(request)
        return "" if self.has_quit else text + self.prompt()

    async def text(self, request: Request) -> str:
        """Return the answer to one command, with its end."""
        self.calls += 1
        self.payload = request.payload
        try:
            result = await self._carry_out(request.words)
        except RefusedError as refused:
            result = Said(refused.text, refused.severity)
        except Exception as wrong:  # noqa: BLE001 - whatever it is, the other commands go on
            self.room.note("err", f"The command {' '.join(request.words)!r} met an error of ours: {wrong!r}")
            result = Said("Internal error, see the log.")
        return finished(self._with_severity(result))

    async def _carry_out(self, words: Words) -> Result:
        if not words:
            return ""
        own = {"help": self._help, "prompt": self._prompt, "quit": self._quit}.get(words[0])
        if own is not None:
            return own(words[1:])
        command = find(words)
        if command is None:
            return unknown(words)
        if self.level < command.level:
            raise RefusedError(DENIED)
        result = command.handler(self, words[len(command.name.split()) :])
        return await result if inspect.isawaitable(result) else result

    def _with_severity(self, result: Result) -> str:
        if isinstance(result, str):
            return result
        if not result.text or self.severity == "none":
            return result.text
        word = str(result.severity) if self.severity == "number" else SEVERITIES[result.severity]
        return f"[{word}]: {result.text}"

    @staticmethod
    def _help(words: Words) -> str:
        return help_text(words)

    def _quit(self, _words: Words) -> str:
        self.has_quit = True
        return ""

    def _prompt(self, words: Words) -> str:
        """3.x: ``prompt help|n|i|p|timed``, several at once; without any it goes back and forth."""
        if "help" in words:
            return _PROMPT_HELP
        for word in words or ("n" if self.prompts else "p",):
            match word:
                case "n" | "i" | "p":
                    self.interactive, self.prompts = word != "n", word == "p"
                case "timed":
                    self.timed = not self.timed
                case _:
                    raise RefusedError(_PROMPT_HELP)
        return ""

    def lower(self, level: Level) -> str:
        """Go down to a level."""
        if self.level < level:
            raise RefusedError(DENIED)
        self.level = level
        return ""

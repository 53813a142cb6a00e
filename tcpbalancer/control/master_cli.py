"""The master's own command line (``-S``): its processes, reloading, and the way to the workers' runtime API.

Laws: a line's words may begin with ``@1``, ``@!PID`` or ``@master``: then this command goes there; alone they choose
where the following ones go. All workers of one generation answer alike, for the runtime API is the supervisor's; one of
a generation that finishes is known by its number and answers what the current one does. Texts are HAProxy's.

Source: HAProxy's management guide, section 9.4 "Master CLI"; ``mworker.c``, ``cli.c``.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import read_texts
from tcpbalancer.control.cli_commands import (
    DENIED,
    Command,
    RefusedError,
    Result,
    Words,
    command,
    find,
    help_text,
    unknown,
)
from tcpbalancer.control.cli_line import Request, finished
from tcpbalancer.control.cli_listening import StatsSocketError
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.commands.conversation import show_cli_level
from tcpbalancer.control.commands.process import show_startup_logs, show_version
from tcpbalancer.model import Level, StatsSocket
from tcpbalancer.version import REPORTED

MASTER_COMMANDS: dict[str, Command] = {}
_WHO = "Can't find the target PID matching the prefix '{}'"
_HEADER = ("#<PID>", "<type>", "<reloads>", "<uptime>", "<version>")


DAY = 86400.0
"""Seconds for which a client of the master may be silent."""
MASTER_MAXCONN = 10


def master_sockets(text: str) -> tuple[StatsSocket, ...]:
    """Return the socket of ``-S ADDRESS[,OPTION,...]``; raises StatsSocketError if it makes no sense."""
    address, *options = text.split(",")
    level = () if "level" in options else ("level", "admin")
    line = " ".join(f"'{word}'" for word in (address, *options, *level))
    try:
        return read_texts([("-S", f"global\n stats socket {line}\n")], {}).configuration.stats_sockets
    except ConfigError as wrong:
        raise StatsSocketError([wrong.diagnostics[0].message]) from None


class Master(Protocol):
    """What the program can do as a master."""

    @property
    def reloads(self) -> int:
        """How often it has gone over to another configuration."""

    @property
    def failed_reloads(self) -> int:
        """How often it has not, since it last did."""

    async def reload_now(self) -> tuple[bool, Sequence[str]]:
        """Reload; returns whether that was possible, and what was told meanwhile."""
        ...


@dataclass(eq=False, kw_only=True)
class MasterConversation(Conversation):
    """A client of the master: it speaks to the master, or to workers."""

    master: Master
    target: int | None = None  # the worker to which commands go

    def prompt(self) -> str:
        """Return the prompt, which says to whom the next command goes."""
        if not self.interactive or not self.prompts:
            return ""
        return "master> " if self.target is None else f"{self.target}> "

    async def answer(self, request: Request) -> str:
        """Return the whole answer to one command; what changes the prompt alone has none but the prompt."""
        words = request.words
        if not words or not words[0].startswith("@"):
            if self.target is None and words[:1] == ("prompt",):
                await self.text(request)
                return self.prompt()
            return await super().answer(request)
        try:
            target = self._target(words[0])
        except RefusedError as refused:
            return finished(refused.text) + self.prompt()
        if len(words) == 1:
            self.target = target
            return self.prompt()
        before, self.target = self.target, target
        text = await self.text(Request(words[1:], request.payload))
        self.target = before
        return "" if self.has_quit else text + self.prompt()

    async def _carry_out(self, words: Words) -> Result:
        if self.target is not None or not words or words[0] in {"prompt", "quit"}:
            return await super()._carry_out(words)
        if words[0] == "help":
            return help_text(words[1:], MASTER_COMMANDS)
        found = find(words, MASTER_COMMANDS)
        if found is None:
            return unknown(words, MASTER_COMMANDS)
        if self.level < found.level:
            raise RefusedError(DENIED)
        result = found.handler(self, words[len(found.name.split()) :])
        return await result if inspect.isawaitable(result) else result

    def _target(self, prefix: str) -> int | None:
        """Return the worker that ``@1``, ``@!PID`` means; None for the master."""
        current = self.room.supervisor.current
        pids = [worker.pid for worker in current.workers.values()]
        if prefix in {"@master", "@", "@0"}:
            return None
        if prefix == "@1" and pids:
            return pids[0]
        everyone = [worker.pid for each in (current, *current.older) for worker in each.workers.values()]
        if prefix == f"@!{os.getpid()}":
            return None
        for pid in everyone:
            if prefix == f"@!{pid}":
                return pid
        raise RefusedError(_WHO.format(prefix))


def _uptime(seconds: float) -> str:
    whole = max(int(seconds), 0)
    return f"{whole // 86400}d{whole // 3600 % 24:02}h{whole // 60 % 60:02}m{whole % 60:02}s"


def _row(*columns: object) -> str:
    return " ".join(f"{column!s:<15}" for column in columns)


@command("show proc", "[debug]", "show processes status", table=MASTER_COMMANDS)
def show_proc(conversation: Conversation, _words: Words) -> str:
    """The master, the workers, and those of generations that finish."""
    assert isinstance(conversation, MasterConversation)
    room, master = conversation.room, conversation.master
    now = asyncio.get_running_loop().time()
    current = room.supervisor.current
    reloads = f"{master.reloads} [failed: {master.failed_reloads}]"
    lines = [_row(*_HEADER), _row(os.getpid(), "master", reloads, _uptime(room.uptime), REPORTED), "# workers"]
    serving = current.workers.values()
    lines += [_row(worker.pid, "worker", 0, _uptime(now - worker.started_at), REPORTED) for worker in serving]
    old = [
        _row(worker.pid, "worker", age, _uptime(now - worker.started_at), REPORTED)
        for age, older in enumerate(current.older, 1)
        for worker in older.workers.values()
    ]
    if old:
        lines += ["# old workers", *old]
    return "\n".join([*lines, "# programs"]) + "\n"


@command("reload", "", "reload haproxy", Level.ADMIN, table=MASTER_COMMANDS)
async def reload(conversation: Conversation, _words: Words) -> str:
    """Reload, and say whether that was possible and what was told meanwhile, as 3.x does."""
    assert isinstance(conversation, MasterConversation)
    good, told = await conversation.master.reload_now()
    return "\n".join([f"Success={int(good)}", "--", *told]) + "\n"


@command("show cli sockets", "", "dump list of cli sockets", table=MASTER_COMMANDS)
def show_cli_sockets(_conversation: Conversation, _words: Words) -> str:
    """The master's own are not listed."""
    return ""


@command(
    "operator", "", "lower the level of the current CLI session to operator", Level.OPERATOR, table=MASTER_COMMANDS
)
def operator(conversation: Conversation, _words: Words) -> str:
    """Go down to operator."""
    return conversation.lower(Level.OPERATOR)


@command("user", "", "lower the level of the current CLI session to user", table=MASTER_COMMANDS)
def user(conversation: Conversation, _words: Words) -> str:
    """Go down to user."""
    return conversation.lower(Level.USER)


def _elsewhere(_conversation: Conversation, _words: Words) -> str:
    raise AssertionError("a prefix is no command")


command("@!<pid>", "<command>", "send a command to the <pid> process", table=MASTER_COMMANDS)(_elsewhere)
command("@<relative pid>", "<command>", "send a command to the <relative pid> process", table=MASTER_COMMANDS)(
    _elsewhere
)
command("@master", "<command>", "send a command to the master process", table=MASTER_COMMANDS)(_elsewhere)
command("show version", "", "show version of the current process", table=MASTER_COMMANDS)(show_version)
command("show cli level", "", "display the level of the current CLI session", table=MASTER_COMMANDS)(show_cli_level)
command("show startup-logs", "", "report logs emitted during the start", Level.OPERATOR, table=MASTER_COMMANDS)(
    show_startup_logs
)

"""Asking a server whether it works: one small protocol, one table of probes by what the configuration says.

Laws: probes run in the supervisor and never in the way of a connection. A probe always ends, within its limits, with a
``CheckResult``; it raises nothing but ``CancelledError``. It reads a bounded amount and leaves the server in peace.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

from tcpbalancer.check_status import CheckResult
from tcpbalancer.checks.agent import AgentTalk
from tcpbalancer.checks.allowance import Allowance, Limits
from tcpbalancer.checks.connection import Conversation, Ending_co
from tcpbalancer.checks.external import Surroundings, ask_program
from tcpbalancer.checks.talk import Talk
from tcpbalancer.dialogue.agent import AgentReply
from tcpbalancer.dialogue.sample import Facts
from tcpbalancer.model import AgentCheck, Check, Dialogue, ExternalCheck, Probe


class Subject(Protocol):
    """What is known of the server that is asked."""

    def facts(self) -> Facts:
        """Return what samples can be about."""

    def surroundings(self) -> Surroundings:
        """Return what an external check is told."""


class Nobody:
    """A subject of which nothing is known."""

    def facts(self) -> Facts:
        """Return nothing but the time and the machine."""
        return Facts(now=time.time(), hostname=socket.gethostname(), environment=os.environ)

    def surroundings(self) -> Surroundings:
        """Return nothing."""
        return Surroundings()


Goodbyes = set[asyncio.Task[None]]
"""Connections that are being closed politely, which may take a moment; nobody waits for that."""


async def _say_goodbye(conversation: Conversation[Any]) -> None:
    try:
        await conversation.hang_up()
    except asyncio.CancelledError:
        conversation.abort()
        raise


async def carried_out(
    begin: Callable[[Allowance], Conversation[Ending_co]], limits: Limits, goodbyes: Goodbyes | None = None
) -> tuple[Ending_co, float]:
    """Return how a conversation ended and how many seconds it took, its goodbye not counted.

    ``goodbyes``: the goodbye is said in a task that is put there, and not waited for.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    limit = asyncio.timeout(limits.connect)
    conversation = begin(Allowance(limits, limit))
    try:
        try:
            async with limit:
                ending = await conversation.run()
        except TimeoutError:
            ending = conversation.timed_out()
        duration = loop.time() - start
    except asyncio.CancelledError:
        conversation.abort()
        raise
    if goodbyes is None:
        await _say_goodbye(conversation)
    else:
        task = asyncio.create_task(_say_goodbye(conversation))
        goodbyes.add(task)
        task.add_done_callback(goodbyes.discard)
    return ending, duration


async def _ask_dialogue(
    probe: Dialogue, check: Check, limits: Limits, subject: Subject, goodbyes: Goodbyes | None
) -> CheckResult:
    facts = subject.facts()
    result, duration = await carried_out(lambda allowance: Talk(probe, check, allowance, facts), limits, goodbyes)
    return replace(result, duration=duration)


async def _ask_external(
    probe: ExternalCheck, check: Check, limits: Limits, subject: Subject, _goodbyes: Goodbyes | None
) -> CheckResult:
    start = asyncio.get_running_loop().time()
    result = await ask_program(probe, check, limits, subject.surroundings())
    return replace(result, duration=asyncio.get_running_loop().time() - start)


PROBES: Mapping[type[Probe], Callable[..., Any]] = MappingProxyType(
    {Dialogue: _ask_dialogue, ExternalCheck: _ask_external}
)
"""Takes the probe, the check, its limits, its subject, and where goodbyes are said."""


async def ask(
    probe: Probe, check: Check, limits: Limits, subject: Subject | None = None, goodbyes: Goodbyes | None = None
) -> CheckResult:
    """Ask once; returns how it went. ``goodbyes``: as in ``carried_out``."""
    result: CheckResult = await PROBES[type(probe)](probe, check, limits, subject or Nobody(), goodbyes)
    return result


async def consult(agent: AgentCheck, limits: Limits) -> AgentReply:
    """Ask a server's agent once; returns what it says, or why it says nothing."""
    reply, duration = await carried_out(lambda allowance: AgentTalk(agent, allowance), limits)
    return replace(reply, result=replace(reply.result, duration=duration))


__all__ = ["PROBES", "Goodbyes", "Limits", "Nobody", "Subject", "Surroundings", "ask", "consult"]

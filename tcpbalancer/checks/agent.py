"""Ask a server's agent (``agent-check``).

Laws: an agent that cannot be reached says nothing of its server. What its words mean is ``tcpbalancer.dialogue.agent``.
"""

from __future__ import annotations

import re

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks.allowance import Allowance, Stage
from tcpbalancer.checks.connection import Connection, ConnectionFailedError, connect, os_words
from tcpbalancer.dialogue.agent import INCOMPLETE, AgentReply, understood
from tcpbalancer.model import AgentCheck, Check
from tcpbalancer.model.dialogue import Connect

_LONGEST_LINE = 4096
_LINE_END = re.compile(rb"[\r\n\0]")


class AgentTalk:
    """One question to an agent."""

    def __init__(self, agent: AgentCheck, allowance: Allowance) -> None:
        self._agent = agent
        self._allowance = allowance
        self._connection: Connection | None = None

    async def run(self) -> AgentReply:
        """Return what the agent says, or why it says nothing."""
        agent = self._agent
        asked = Check(agent.address, agent.port, source=agent.source)
        try:
            self._connection = await connect(Connect(number=1, linger=True), asked, self._allowance)
            return await self._answer(self._connection)
        except ConnectionFailedError as failed:
            return AgentReply(failed.result)
        except OSError as problem:
            return AgentReply(CheckResult(CheckStatus.SOCKERR, info=os_words(problem)))

    async def _answer(self, connection: Connection) -> AgentReply:
        if self._agent.send:
            connection.writer.write(self._agent.send.encode("utf-8", "replace"))
            await connection.writer.drain()
        said = b""
        while _LINE_END.search(said) is None:
            more = await connection.reader.read(_LONGEST_LINE - len(said))
            if not more:
                return INCOMPLETE
            said += more
        return understood(_LINE_END.split(said, maxsplit=1)[0].decode("utf-8", "replace"))

    def timed_out(self) -> AgentReply:
        """Return that it took too long."""
        status = CheckStatus.L7TOUT if self._allowance.stage is Stage.TALKING else CheckStatus.L4TOUT
        return AgentReply(CheckResult(status, limit=self._allowance.limit))

    def abort(self) -> None:
        """Leave without a word."""
        if self._connection is not None:
            self._connection.writer.transport.abort()

    async def hang_up(self) -> None:
        """Close."""
        if self._connection is not None:
            await self._connection.close()

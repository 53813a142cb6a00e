"""Asking the agents of servers (``agent-check``), again and again, and doing what they say.

Laws: an agent is asked one ``agent-inter`` after the end of the last question, for as long as agents are enabled, in
maintenance, too (an agent that said ``maint`` may say ``ready``). Its words are carried out in HAProxy's
order: administration, weight and maxconn, health. An agent that cannot be reached changes nothing.

Source: ``tcpcheck_agent_expect_reply`` in HAProxy's ``tcpcheck.c``.
"""

from __future__ import annotations

import asyncio

from tcpbalancer.administration import Administration
from tcpbalancer.check_status import CheckResult
from tcpbalancer.checks import Limits, consult
from tcpbalancer.counters import SERVER_MAXCONN
from tcpbalancer.dialogue.agent import AgentReply
from tcpbalancer.model import AgentCheck
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.succession import by_name, counterpart
from tcpbalancer.watched import WatchedServer


class AgentLoop:
    """The questions to all agents."""

    def __init__(self, watch: ServerWatch, administration: Administration) -> None:
        self.watch = watch
        self._administration = administration
        self._tasks: dict[WatchedServer, asyncio.Task[None]] = {}

    def start(self, without: AgentLoop | None = None) -> None:
        """Begin to ask, the first questions spread; leave to ``without`` what it has."""
        others = {} if without is None else by_name(without.watch.backends)
        asked = [
            (server, server.server.agent)
            for backend in self.watch.backends
            for server in backend.servers
            if server.server.agent is not None and counterpart(server, others) is None
        ]
        for position, (server, agent) in enumerate(asked):
            self._begin(server, agent, agent.inter * position / len(asked))

    def add(self, server: WatchedServer) -> None:
        """Begin to ask the agent of a server that is new."""
        if server.server.agent is not None:
            self._begin(server, server.server.agent, 0.0)

    def forget(self, server: WatchedServer) -> None:
        """Ask the agent of a server no more."""
        if (task := self._tasks.pop(server, None)) is not None:
            task.cancel()

    def pause(self) -> None:
        """Ask nobody for now; ``start`` begins anew."""
        for server in tuple(self._tasks):
            self.forget(server)

    async def stop(self) -> None:
        """Ask nobody any more."""
        tasks = tuple(self._tasks.values())
        self.pause()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, server: WatchedServer, agent: AgentCheck, delay: float) -> None:
        self._tasks[server] = asyncio.create_task(self._ask_for_ever(server, agent, delay))

    async def _ask_for_ever(self, server: WatchedServer, agent: AgentCheck, delay: float) -> None:
        while True:
            await asyncio.sleep(delay)
            agent = server.server.agent or agent
            try:
                if server.state.agent.is_active:
                    reply = await consult(agent, Limits.within(agent.inter, server.backend.backend.timeouts))
                    if server.state.agent.is_active:  # an operator may have forbidden it meanwhile
                        self.heard(server, reply)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, the agent must be asked again
                text = f"The agent of {server.name} met an error of ours and is asked on: {wrong!r}"
                self.watch.log("err", text, server.backend.backend.name)
            delay = agent.inter

    def heard(self, server: WatchedServer, reply: AgentReply) -> None:
        """Do what an agent says."""
        if reply.admin is not None:
            self._administration.set_admin(server, reply.admin)
        warning = ""
        if reply.weight is not None:
            warning = self._administration.set_weight(server, reply.weight).text
        if reply.maxconn is not None:
            memory, backend = self.watch.memory, server.backend.place
            memory.words[memory.layout.server_setting(backend, server.place, SERVER_MAXCONN)] = reply.maxconn
            memory.ring()
        result = reply.result
        if warning and not result.info and reply.health is None:
            result = CheckResult(result.status, result.code, f"agent warns : {warning}")
        self.watch.agent_said(server, result)

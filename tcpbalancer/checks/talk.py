"""A dialogue with a server, carried out.

Laws: what an answer means is decided in ``tcpbalancer.dialogue``; here is who connects, sends, waits and closes. A
dialogue always ends within the limits of its allowance, and its connections with it.
"""

from __future__ import annotations

from dataclasses import replace

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.check_status import Step as Place
from tcpbalancer.checks.allowance import Allowance, Stage
from tcpbalancer.checks.connection import MOST_READ, Connection, ConnectionFailedError, connect, os_words, touch
from tcpbalancer.dialogue.judge import Going, judge, passed
from tcpbalancer.dialogue.request import request
from tcpbalancer.dialogue.sample import Facts, evaluate, filled, number_of, unhexed
from tcpbalancer.dialogue.speech import goodbye
from tcpbalancer.dialogue.words import interrupted, printable, wanted
from tcpbalancer.model import Check, Dialogue
from tcpbalancer.model.dialogue import Connect, Expect, HttpRequest, Kind, Sample, Send, SetVariable, Step

_BUFFER = 16384
"""Bytes of an answer that a ``tcp-check`` looks at, as many as HAProxy's buffer has."""
_TIMED_OUT = {
    Stage.CONNECTING: CheckStatus.L4TOUT,
    Stage.SECURING: CheckStatus.L6TOUT,
    Stage.TALKING: CheckStatus.L7TOUT,
}


class Talk:
    """One run of a dialogue."""

    def __init__(self, dialogue: Dialogue, check: Check, allowance: Allowance, facts: Facts) -> None:
        self._dialogue = dialogue
        self._check = check
        self._allowance = allowance
        self._facts = facts
        self._step: Step | None = None
        self._connection: Connection | None = None
        self._most = MOST_READ if dialogue.kind is Kind.HTTP else _BUFFER
        self._ended = False
        self._must_read = True

    async def run(self) -> CheckResult:
        """Return how the dialogue ended; the connection is still there."""
        try:
            return await self._all_steps()
        except ConnectionFailedError as failed:
            return self._placed(failed.result)
        except OSError as problem:  # I/O on a connection that stood
            return self._placed(CheckResult(CheckStatus.SOCKERR, info=os_words(problem)))

    def timed_out(self) -> CheckResult:
        """Return the result of a dialogue that a limit has ended."""
        status = _TIMED_OUT[self._allowance.stage]
        step = self._step
        if status is CheckStatus.L7TOUT and isinstance(step, Expect) and step.timeout_status is not None:
            status = step.timeout_status
        return self._placed(CheckResult(status, limit=self._allowance.limit))

    def _placed(self, result: CheckResult) -> CheckResult:
        """Return a result with the place where it happened."""
        step = self._step
        place = None
        if step is not None and step.number:
            place = Place(step.number, step.line, wanted(step), printable(self._facts.received))
        return replace(result, info=result.info + interrupted(self._dialogue, step), step=place)

    async def _all_steps(self) -> CheckResult:
        steps = self._dialogue.steps
        position = 0
        while position < len(steps):
            step = steps[position]
            if isinstance(step, SetVariable):
                self._set(step)
            else:
                self._step = step
                if isinstance(step, Expect):
                    verdict = await self._heard(step)
                    if isinstance(verdict, CheckResult):
                        return verdict
                    if verdict is Going.MORE:
                        self._must_read = True
                        position -= step.head
                        continue
                else:
                    await self._done(step, is_last=all(isinstance(each, SetVariable) for each in steps[position + 1 :]))
            position += 1
        tls = self._connection is not None and self._connection.is_secured
        return passed(self._dialogue, self._facts, tls=tls)

    def _set(self, step: SetVariable) -> None:
        if step.value is None:
            self._facts.variables.pop(step.name, None)
        else:
            self._facts.variables[step.name] = filled(step.value, self._facts)

    async def _done(self, step: Connect | Send | HttpRequest, *, is_last: bool) -> None:
        self._facts.received, self._facts.answer, self._must_read = b"", None, True
        if isinstance(step, Connect):
            await self.hang_up()
            await self._open(step, is_last=is_last)
        else:
            await self._say(step)

    async def _open(self, step: Connect, *, is_last: bool) -> None:
        self._ended = False
        if isinstance(step.port, Sample):
            step = replace(step, port=number_of(evaluate(step.port, self._facts)) & 0xFFFF or None)
        speaks = step.tls or step.send_proxy or (step.default and (self._check.use_tls or self._check.send_proxy))
        if is_last and not speaks:
            await touch(step, self._check, self._allowance)
        else:
            self._connection = await connect(step, self._check, self._allowance)

    async def _say(self, step: Send | HttpRequest) -> None:
        assert self._connection is not None
        if isinstance(step, HttpRequest):
            data = request(step, self._facts, send_state=self._dialogue.send_state)
        elif isinstance(step.data, bytes):
            data = step.data
        else:
            text = filled(step.data, self._facts)
            parsed = unhexed(text) if step.binary else text
            if parsed is None:
                info = f"tcp-check send : failed to build log-format string at step {step.number}"
                raise ConnectionFailedError(CheckResult(CheckStatus.L7RSP, info=info))
            data = parsed
        self._connection.writer.write(data)
        await self._connection.writer.drain()

    async def _heard(self, step: Expect) -> CheckResult | Going:
        if self._must_read and not self._ended:
            await self._read()
            self._must_read = False
        return judge(self._dialogue, step, self._facts, ended=self._ended)

    async def _read(self) -> None:
        """Wait for more. An end by reset counts as an end if something came before it."""
        assert self._connection is not None
        room = self._most - len(self._facts.received)
        try:
            more = await self._connection.reader.read(room)
        except OSError:
            if not self._facts.received:
                raise
            more = b""
        self._facts.received += more
        self._ended = not more or len(self._facts.received) >= self._most

    def abort(self) -> None:
        """Leave without a word: nobody waits any more."""
        if self._connection is not None:
            self._connection.writer.transport.abort()

    async def hang_up(self) -> None:
        """Say goodbye and close."""
        if self._connection is None:
            return
        farewell = goodbye(self._dialogue.farewell, self._facts.received)
        connection, self._connection = self._connection, None
        await connection.close(farewell, self._most)

"""Asking a server whether it works: one small protocol, one table of probes by what the configuration says.

Laws: probes run in the supervisor and never in the way of a connection. A probe always ends, within its limits, with a
``CheckResult``; it raises nothing but ``CancelledError``. It reads a bounded amount and leaves the server in peace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from tcpbalancer.checks.http import ask_http
from tcpbalancer.checks.tcp import ask_tcp
from tcpbalancer.model import Check, HttpCheck, Probe, TcpCheck, Timeouts
from tcpbalancer.server_state import CheckResult, CheckStatus

PROBES: Mapping[type[Probe], Callable[..., Coroutine[Any, Any, CheckResult]]] = MappingProxyType(
    {TcpCheck: ask_tcp, HttpCheck: ask_http}
)
"""Takes the probe, the address, and what to call once the connection stands."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. ``response`` None: what is left of ``connect``, which is then the limit of the whole check."""

    connect: float
    response: float | None

    @classmethod
    def of(cls, check: Check, timeouts: Timeouts) -> Limits:
        """Return HAProxy's limits: the whole check within ``inter``, or as ``timeout check`` says (tcpcheck.c)."""
        inter = check.intervals.inter
        if timeouts.check is None:
            return cls(inter, None)
        return cls(inter if timeouts.connect is None else min(inter, timeouts.connect), timeouts.check)


async def ask(probe: Probe, check: Check, limits: Limits) -> CheckResult:
    """Ask once; returns how it went."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    connected = False
    try:
        async with asyncio.timeout(limits.connect) as limit:

            def on_connected() -> None:
                nonlocal connected
                connected = True
                if limits.response is not None:
                    limit.reschedule(loop.time() + limits.response)

            result = await PROBES[type(probe)](probe, (check.address, check.port), on_connected)
    except TimeoutError:
        seconds = loop.time() - start
        if connected:
            result = CheckResult(CheckStatus.L7TOUT, info=f"no answer within {seconds:.1f} s", duration=seconds)
        else:
            result = CheckResult(CheckStatus.L4TOUT, info=f"no connection within {seconds:.1f} s", duration=seconds)
    return result if result.duration else replace(result, duration=loop.time() - start)

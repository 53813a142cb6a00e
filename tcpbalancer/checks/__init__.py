"""Asking a server whether it works: one small protocol, one table of probes by what the configuration says.

Laws: probes run in the supervisor and never in the way of a connection. A probe always ends, within its limits, with a
``CheckResult``; it raises nothing but ``CancelledError``. It reads a bounded amount and leaves the server in peace.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks.allowance import Allowance, Limits
from tcpbalancer.checks.http import ask_http
from tcpbalancer.checks.tcp import ask_tcp
from tcpbalancer.model import Check, HttpCheck, Probe, TcpCheck

PROBES: Mapping[type[Probe], Callable[..., Coroutine[Any, Any, CheckResult]]] = MappingProxyType(
    {TcpCheck: ask_tcp, HttpCheck: ask_http}
)
"""Takes the probe, the address, and the allowance, which it keeps told how far it has come."""


async def ask(probe: Probe, check: Check, limits: Limits) -> CheckResult:
    """Ask once; returns how it went."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    connected = False
    try:
        async with asyncio.timeout(limits.connect) as running:
            allowance = Allowance(limits, running)
            try:
                result = await PROBES[type(probe)](probe, (check.address, check.port), allowance)
            finally:
                connected = allowance.is_connected
    except TimeoutError:
        status = CheckStatus.L7TOUT if connected else CheckStatus.L4TOUT
        what = "answer" if connected else "connection"
        result = CheckResult(status, info=f"no {what} within {loop.time() - start:.1f} s")
    return result if result.duration else replace(result, duration=loop.time() - start)


__all__ = ["PROBES", "Allowance", "Limits", "ask"]

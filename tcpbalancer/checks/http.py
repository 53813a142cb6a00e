"""``option httpchk``: ask for a page, and look at the status line of the answer.

Laws: nothing but a status line is needed: Patroni answers OPTIONS and HEAD without a single header. What follows is
read up to a limit and thrown away, and the connection is closed with FIN: a reset makes such servers print tracebacks.
HTTP/1.0 and 1.1 (RFC 9112, sections 3 and 4); asyncio's streams, because a client library wants a whole answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks.allowance import Allowance
from tcpbalancer.checks.connection import connection_problem
from tcpbalancer.model import HttpCheck

STATUS_LINE = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ([^\r\n]*))?\r?\n")
MOST_READ = 65536
"""Bytes of an answer."""
PATIENCE = 0.2
"""Seconds for the rest of an answer whose status line is known."""
LONGEST_REASON = 128
"""Characters of a reason phrase that are shown: it is written by the server and ends up in logs and terminals."""


def request(probe: HttpCheck) -> bytes:
    """Return the request; without headers of its own it has none, but for what HTTP/1.1 asks for."""
    headers = list(probe.headers)
    given = {name.lower() for name, _ in headers}
    if probe.version == "HTTP/1.1":
        wanted = (("Host", ""), ("Connection", "close"))  # RFC 9112, sections 3.2 and 9.6
        headers += [(name, value) for name, value in wanted if name.lower() not in given]
    lines = [f"{probe.method} {probe.uri} {probe.version}", *(f"{name}: {value}".rstrip() for name, value in headers)]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1", "replace")


def judge(probe: HttpCheck, answer: bytes) -> CheckResult | None:
    """Return what an answer means, or None if its status line is not complete yet."""
    found = STATUS_LINE.match(answer)
    if found is None:
        if b"\n" not in answer and len(answer) < MOST_READ:
            return None
        return CheckResult(CheckStatus.L7RSP, info="no HTTP status line")
    code = int(found[1])
    reason = _printable((found[2] or b"").decode("latin-1"))
    fits = 200 <= code < 400 if probe.expect_status is None else code in probe.expect_status
    # HAProxy shows the reason phrase of a wrong status, and nothing for a right one.
    return CheckResult(CheckStatus.L7OK, code) if fits else CheckResult(CheckStatus.L7STS, code, reason)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:LONGEST_REASON])


async def ask_http(probe: HttpCheck, address: tuple[str, int], allowance: Allowance) -> CheckResult:
    """Send the request and read the answer; L7OK, L7STS, L7RSP or L4CON."""
    try:
        reader, writer = await asyncio.open_connection(*address, limit=MOST_READ)
    except OSError as problem:
        return connection_problem(problem)
    start = asyncio.get_running_loop().time()
    allowance.connected()
    try:
        writer.write(request(probe))
        answer = b""
        while (result := judge(probe, answer)) is None:
            more = await reader.read(MOST_READ)
            if not more:
                return CheckResult(CheckStatus.L7RSP, info="the connection ended without a status line")
            answer += more
        duration = asyncio.get_running_loop().time() - start
        allowance.answered()
        await _read_rest(reader, MOST_READ - len(answer))
        return CheckResult(result.status, result.code, result.info, duration)
    except OSError as problem:
        return CheckResult(CheckStatus.L7RSP, info=connection_problem(problem).info)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_rest(reader: asyncio.StreamReader, most: int) -> None:
    """Read what else comes, so that nothing is left unread at the close."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(PATIENCE):
            while most > 0 and (more := await reader.read(most)):
                most -= len(more)

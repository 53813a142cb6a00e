"""A plain TCP check: does the port answer? The server's application never learns that we asked.

Laws: the connection is given up before it is complete. TCP_QUICKACK off keeps our ACK of the SYN-ACK back, and a close
with linger 0 answers it with RST instead, so that ``accept`` on the other side never returns it (both are needed;
tcp(7), ``proto_tcp.c``). Databases and dockerd otherwise log every check as a broken handshake.
"""

from __future__ import annotations

import asyncio
import socket

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks.allowance import Allowance
from tcpbalancer.checks.connection import connection_problem
from tcpbalancer.closing import close_with_reset
from tcpbalancer.model import TcpCheck


async def ask_tcp(_probe: TcpCheck, address: tuple[str, int], allowance: Allowance) -> CheckResult:
    """Connect and give up; L4OK or L4CON."""
    try:
        asking = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as problem:
        return connection_problem(problem)
    try:
        asking.setblocking(False)
        asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        await asyncio.get_running_loop().sock_connect(asking, address)
    except OSError as problem:
        return connection_problem(problem)
    finally:
        close_with_reset(asking)
    allowance.connected()
    return CheckResult(CheckStatus.L4OK)

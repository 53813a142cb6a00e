"""``option external-check``: a program says whether a server works.

Laws: the program runs in the supervisor's care (``hakit.script``): a session of its own, no descriptors of ours, its
process group ended when its time is up. Arguments and environment are those of HAProxy's manual; exit status 0 is good.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from hakit.script import Ending, run
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks.allowance import Limits
from tcpbalancer.model import Check, ExternalCheck

NOT_USED = "NOT_USED"
_COULD_NOT_EXEC = 255


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an external check is told of its server; ``bind``: address and port where clients arrive, if anywhere."""

    backend: str = ""
    backend_id: int = 0
    server: str = ""
    server_id: int = 0
    address: str = ""
    port: int = 0
    bind: tuple[str, int] | None = None
    maxconn: int = 0
    current: int = 0


async def ask_program(probe: ExternalCheck, _check: Check, limits: Limits, around: Surroundings) -> CheckResult:
    """Run the program; PROCOK, PROCERR or PROCTOUT."""
    host, port = (NOT_USED, NOT_USED) if around.bind is None else (around.bind[0], str(around.bind[1]))
    program = shutil.which(probe.command, path=probe.path) if "/" not in probe.command else probe.command
    if program is None:
        info = f"'{probe.command}' was not found in '{probe.path}' (external-check path)"
        return CheckResult(CheckStatus.PROCERR, _COULD_NOT_EXEC, info)
    outcome = await run(
        [program, host, port, around.address, str(around.port)],
        timeout=limits.connect,
        environment=environment(probe, around),
        inherit=probe.keep_environment,
    )
    if outcome.ending is Ending.TIMED_OUT:
        return CheckResult(CheckStatus.PROCTOUT, 0, limit=f"{limits.name} {limits.connect:g}s")
    if outcome.succeeded:
        return CheckResult(CheckStatus.PROCOK, 0)
    if outcome.ending is Ending.NOT_STARTED:
        return CheckResult(CheckStatus.PROCERR, _COULD_NOT_EXEC, outcome.words)
    return CheckResult(CheckStatus.PROCERR, -1 if outcome.status is None else outcome.status)


def environment(probe: ExternalCheck, around: Surroundings) -> Mapping[str, str]:
    """Return the variables that the manual promises (``external-check command``)."""
    host, port = ("", "") if around.bind is None else (around.bind[0], str(around.bind[1]))
    return {
        "PATH": probe.path,
        "HAPROXY_PROXY_NAME": around.backend,
        "HAPROXY_PROXY_ID": str(around.backend_id),
        "HAPROXY_PROXY_ADDR": host,
        "HAPROXY_PROXY_PORT": port,
        "HAPROXY_SERVER_NAME": around.server,
        "HAPROXY_SERVER_ID": str(around.server_id),
        "HAPROXY_SERVER_ADDR": around.address,
        "HAPROXY_SERVER_PORT": str(around.port),
        "HAPROXY_SERVER_MAXCONN": str(around.maxconn),
        "HAPROXY_SERVER_CURCONN": str(around.current),
        "HAPROXY_SERVER_SSL": "0",
        "HAPROXY_SERVER_PROTO": "tcp",
    }

"""Are the files there that checks need for TLS? Asked before anything starts.

Laws: opens certificates, keys and lists, through the library that will use them; what cannot be used is an error at the
line of the server. Where nothing speaks TLS, nothing is opened.
"""

from __future__ import annotations

import sys

from tcpbalancer.config.findings import SERVER, Report
from tcpbalancer.model import Check, Configuration, Dialogue, Probe
from tcpbalancer.model.dialogue import Connect


def examine_tls(configuration: Configuration, report: Report) -> None:
    """Report what cannot be used."""
    checks_tls = sys.modules.get("tcpbalancer.checks.tls")
    if checks_tls is not None:  # a reload reads the files anew
        checks_tls.context.cache_clear()
    for backend in configuration.backends.values():
        for server in backend.servers:
            steps = [] if server.check is None else _speaking(server.check, backend.probe)
            if server.check is None or not steps:
                continue
            from tcpbalancer.checks.tls import UnreadableError, spoken

            try:
                for step in steps:
                    spoken(step, server.check)
            except UnreadableError as wrong:
                report.error_as(SERVER, server.location, f"'server {backend.name}/{server.name}' : {wrong}.")


def _speaking(check: Check, probe: Probe) -> list[Connect]:
    """Return the connects of a check that speak TLS."""
    steps = [step for step in probe.steps if isinstance(step, Connect)] if isinstance(probe, Dialogue) else []
    return [step for step in steps if step.tls or (step.default and check.use_tls)]

"""The stand-ins of ``--light`` as parts of the lab."""

from __future__ import annotations

import os
import sys

from halab.namespace import ROOT, Host, ServiceDefinition

_START = "import sys; sys.path.insert(0, sys.argv[1]); from halab.parts.standins import main; main(sys.argv[2:])"


class StandIn:
    """One stand-in on a host: a ``database`` (with its role) or a ``manager``."""

    def __init__(self, host: Host, what: str, primary: bool = False) -> None:  # noqa: FBT001 - a role
        self.host = host
        self.service = "patroni" if what == "database" else "docker"
        python = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        argv = (python, "-I", "-S", "-c", _START, str(ROOT), what, *(["--primary"] if primary else []))
        host.define(ServiceDefinition(self.service, argv, notify=True, patience=1.0))

    def start(self) -> None:
        """Start it; it listens when this returns."""
        self.host.start_service(self.service)

    def ready(self) -> bool:
        """Return whether it runs: it listens as long as it does."""
        return str(self.host.services()[self.service]["state"]) == "active"

    def stop(self) -> None:
        """Stop it."""
        self.host.stop_service(self.service)

"""The balancer and the VRRP speaker of a node: ours, and the programs they stand in for.

Laws: the service of whatever balances is ``haproxy``, of whatever speaks VRRP ``keepalived``; their files are
/etc/haproxy/haproxy.cfg and /etc/keepalived/keepalived.conf. So scripts, and people, need not know which of the two
runs.
"""

from __future__ import annotations

from typing import ClassVar

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host, ServiceDefinition
from halab.programs import first_line, program

HAPROXY_CFG = "/etc/haproxy/haproxy.cfg"
KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"
PYVRRP_CONTROL = "/run/pyvrrp/control.sock"
TCPBALANCER_CONTROL = "/run/tcpbalancer/control.sock"
QUIET = {"PYTHONDONTWRITEBYTECODE": "1"}
BALANCERS = ("tcpbalancer", "haproxy")
SPEAKERS = ("pyvrrp", "keepalived")


class _Service:
    """A part that is one service of its host."""

    service: ClassVar[str]
    host: Host

    def start(self) -> None:
        """Start it; returns when it says that it is ready, if it is the kind that does (ours), else when it runs."""
        self.host.start_service(self.service)

    def ready(self) -> bool:
        """Return whether its process runs."""
        return str(self.host.services()[self.service]["state"]) == "active"

    def stop(self) -> None:
        """Stop it, as ``systemctl stop`` does."""
        self.host.stop_service(self.service)


class Balancer(_Service):
    """The balancer of a node; ``kind`` is one of BALANCERS."""

    service = "haproxy"

    def __init__(self, host: Host, kind: str, config: str) -> None:
        self.host = host
        self.kind = kind
        host.write_file(HAPROXY_CFG, config)
        if kind == "haproxy":
            argv = (program("haproxy", "haproxy"), "-f", HAPROXY_CFG, "-db")
        else:
            argv = (f"{ENVIRONMENT}/bin/tcpbalancer", "-f", HAPROXY_CFG, "-db")
        host.define(ServiceDefinition(self.service, argv, QUIET, notify=kind == "tcpbalancer", patience=5.0))

    @staticmethod
    def version(kind: str) -> str:
        """Return the line that tells the version."""
        return (
            first_line([program("haproxy", "haproxy"), "-v"]) if kind == "haproxy" else "tcpbalancer, of this project"
        )


class Speaker(_Service):
    """The VRRP speaker of a node; ``kind`` is one of SPEAKERS. Being MASTER takes its Master_Down_Interval more."""

    service = "keepalived"

    def __init__(self, host: Host, kind: str, config: str, scripts: dict[str, str]) -> None:
        self.host = host
        self.kind = kind
        host.write_file(KEEPALIVED_CONF, config)
        for name, text in scripts.items():
            host.write_file(f"/usr/local/bin/{name}", text, 0o755)
        flags = ("-f", KEEPALIVED_CONF, "-n", "-l", "-D")
        if kind == "keepalived":
            argv = (program("keepalived", "keepalived"), *flags)
        else:
            argv = (f"{ENVIRONMENT}/bin/pyvrrp", *flags)
        host.define(ServiceDefinition(self.service, argv, QUIET, notify=kind == "pyvrrp", patience=5.0))

    @staticmethod
    def version(kind: str) -> str:
        """Return the line that tells the version."""
        return (
            first_line([program("keepalived", "keepalived"), "-v"])
            if kind == "keepalived"
            else "pyvrrp, of this project"
        )

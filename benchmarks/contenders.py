"""Those who are compared: their configurations, commands, and how each is told to reload.

Laws: every one relays the same three services, on the ports that they have on the server, with one thread or one worker
for the data, and writes no log.
"""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rows import KERNEL, NGINX, OURS, THEIRS

from halab.host_mounts import ENVIRONMENT
from halab.programs import program

SERVICES = (8000, 5201, 5432)
"""Requests, bulk and SQL."""
_HAPROXY = """\
global
    maxconn 9000
    nbthread 1
    stats socket {socket} mode 600 level admin expose-fd listeners
defaults
    mode tcp
    timeout client 300s
    timeout server 300s
    timeout connect 5s
"""


@dataclass(frozen=True, slots=True)
class Contender(ABC):
    """A program that relays; ``number`` is its host's, and of the cables there."""

    name: str
    number: int
    reload: ClassVar[signal.Signals] = signal.SIGUSR2

    @property
    def host(self) -> str:
        """The name of its host."""
        return self.name.replace(" ", "-")

    @property
    def file(self) -> str:
        """Where its configuration is, in the host."""
        return f"/etc/{self.host}.cfg"

    @abstractmethod
    def configuration(self, server: str) -> str:
        """Return the text that makes it relay to ``server``."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return how it is started."""


class _HaproxyFile(Contender):
    """Whoever reads haproxy.cfg; ``also`` is a line more in each section."""

    also: ClassVar[str] = ""

    def configuration(self, server: str) -> str:
        """Return a haproxy.cfg."""
        listens = (
            f"listen s{service}\n    bind *:{service}\n{self.also}    server s {server}:{service}\n"
            for service in SERVICES
        )
        return _HAPROXY.format(socket=self.file.replace("/etc", "/run")) + "".join(listens)

    def flags(self) -> list[str]:
        """Return the flags of a master with its worker."""
        return ["-W", "-f", self.file, "-p", self.file.replace("/etc", "/run") + ".pid"]


class Haproxy(_HaproxyFile):
    """The original."""

    def command(self) -> list[str]:
        """Return how it is started."""
        return [program("haproxy", "haproxy"), *self.flags()]


class Tcpbalancer(_HaproxyFile):
    """Ours."""

    def command(self) -> list[str]:
        """Return how it is started."""
        control = self.file.replace("/etc", "/run") + ".control"
        return [f"{ENVIRONMENT}/bin/tcpbalancer", *self.flags(), "--control", control]


class KernelPlane(Tcpbalancer):
    """Ours again, with the kernel in place of the worker: docs/kernel-plane.md."""

    also = "    option kernel-relay\n"


class Nginx(Contender):
    """nginx, with its stream module."""

    reload = signal.SIGHUP

    def configuration(self, server: str) -> str:
        """Return an nginx.conf."""
        servers = "\n".join(
            f"  server {{ listen {service} backlog=8192; proxy_pass {server}:{service}; }}" for service in SERVICES
        )
        module = next(Path("/usr/lib/nginx/modules").glob("ngx_stream_module.so"), None)
        load = "" if module is None else f"load_module {module};\n"
        head = "daemon off; worker_processes 1; pid /run/nginx.pid; error_log /dev/null;\n"
        return f"{load}{head}events {{ worker_connections 9000; }}\nstream {{\n{servers}\n}}\n"

    def command(self) -> list[str]:
        """Return how it is started."""
        return [program("nginx", "nginx-light"), "-c", self.file]


CONTENDERS: dict[str, Contender] = {
    each.name: each for each in (Tcpbalancer(OURS, 1), KernelPlane(KERNEL, 2), Haproxy(THEIRS, 3), Nginx(NGINX, 4))
}

"""A Docker Swarm manager: dockerd on a host, without networks of its own, data in memory.

Laws: nothing is pulled and no container is run; the lab shows the swarm's join through the balancer. What dockerd
leaves in its host goes with the host.
"""

from __future__ import annotations

from halab.namespace import Completed, Host, ServiceDefinition
from halab.programs import first_line, program


class SwarmManager:
    """dockerd on one host; ``address`` is the one under which other managers reach it."""

    def __init__(self, host: Host, address: str) -> None:
        self.host = host
        self.address = address
        self._docker = program("docker", "docker.io")
        data = ("--exec-root=/run/docker", "--data-root=/run/halab/docker", "--pidfile=/run/docker.pid")
        bare = ("--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none")
        argv = (program("dockerd", "docker.io"), *bare, *data, "-H", "unix:///run/docker.sock")
        host.define(ServiceDefinition("docker", argv, notify=True, patience=10.0))

    def start(self) -> None:
        """Start dockerd; its API answers when this returns."""
        self.host.start_service("docker")

    def ready(self) -> bool:
        """Return whether its API answers."""
        return self.docker("version").status == 0

    def stop(self) -> None:
        """Stop dockerd and its containerd."""
        self.host.stop_service("docker")

    def docker(self, *words: str) -> Completed:
        """Run a docker command on this host."""
        return self.host.run([self._docker, *words], timeout=60)

    def init(self) -> Completed:
        """Make this node the first manager of a new swarm."""
        return self.docker("swarm", "init", "--advertise-addr", self.address, "--listen-addr", f"{self.address}:2377")

    def manager_token(self) -> str:
        """Return the token with which another node joins as manager."""
        return self.docker("swarm", "join-token", "-q", "manager").check().output.strip()

    def join(self, token: str, through: str) -> Completed:
        """Join the swarm as manager; ``through`` is the ADDRESS:PORT at which a manager is reached."""
        own = ("--advertise-addr", self.address, "--listen-addr", f"{self.address}:2377")
        return self.docker("swarm", "join", "--token", token, *own, through)


def versions() -> list[str]:
    """Return dockerd's version."""
    return [first_line([program("dockerd", "docker.io"), "--version"])]

"""Where the balancers are compared: a client, a balancer and a server host, and a cable between each two of them.

Laws: all programs stand on the balancer's host at the same time, each on ports of its own, and only one is given work.
The server's side is nginx for requests, iperf3 for bulk, a real PostgreSQL for pgbench. Each program has one thread, or
one worker process, for the data. There is no switch: a bridge costs every packet more than the balancers differ by.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from contenders import CONTENDERS, SERVICES, Contender
from rows import DIRECT

from halab.namespace import Host, Process
from halab.programs import program
from halab.topology import HostPlan, Lab, Topology, await_links_up, ip_batch
from halab.wait import poll

FRONT, BACK, PAST = "10.9.1", "10.9.2", "10.9.3"
"""The cables: client to balancer, balancer to server, client to server past the balancer."""
WEB, BULK, SQL = SERVICES
POSTGRES = "/usr/lib/postgresql/15/bin"
SOURCE_PORTS = "30000 65535"
"""From where connections start: above all the ports on which somebody listens."""
_WEB_SERVER = """\
daemon off; worker_processes 1; pid /run/web.pid; error_log /dev/null;
events { worker_connections 9000; }
http { access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  server { listen 8000 backlog=8192; location / { return 200 "x"; } } }
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a load goes: a program's address, or the server's own."""

    name: str
    address: str
    shift: int

    def port(self, service: int) -> int:
        """Return the port under which a service of the server is reached."""
        return self.shift + service


DIRECTLY = Target(DIRECT, f"{PAST}.2", 0)


class Network:
    """The hosts with everything that runs on them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client: Host = lab["client"]
        self.balancer: Host = lab["balancer"]
        self.server: Host = lab["server"]
        self.processes: dict[str, Process] = {}

    def target(self, name: str) -> Target:
        """Return where the work of a program arrives."""
        return Target(name, f"{FRONT}.2", CONTENDERS[name].shift)

    def start(self) -> None:
        """Start all; returns when every port answers."""
        self._cable(self.client, self.balancer, "front", FRONT)
        self._cable(self.balancer, self.server, "back", BACK)
        self._cable(self.client, self.server, "past", PAST)
        for host in (self.client, self.balancer, self.server):
            host.run(["sysctl", "-qw", f"net.ipv4.ip_local_port_range={SOURCE_PORTS}"]).check()
        self.balancer.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]).check()
        self._start_server()
        self._await(DIRECTLY)
        for name in CONTENDERS:
            self.start_program(name)

    @staticmethod
    def _cable(one: Host, other: Host, device: str, net: str) -> None:
        """Join two hosts directly: the first has address .1, the second .2."""
        ends = [f"link add name {device} type veth peer name {device} netns {other.pid}"]
        ip_batch(one, [*ends, f"address add {net}.1/30 dev {device}", f"link set dev {device} up"]).result()
        ip_batch(other, [f"address add {net}.2/30 dev {device}", f"link set dev {device} up"]).result()
        for host in (one, other):
            await_links_up(host, {device}, time.monotonic() + 5)

    def _await(self, target: Target) -> None:
        for service in SERVICES:
            poll(lambda s=service: self._answers(target.address, target.port(s)), 20, f"{target.name} answers")  # type: ignore[misc]

    def _answers(self, address: str, port: int) -> bool:
        return self.client.run(["bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}"]).status == 0

    def _start_server(self) -> None:
        self.server.write_file("/etc/web.conf", _WEB_SERVER)
        self.server.spawn([program("nginx", "nginx-light"), "-c", "/etc/web.conf"])
        self.server.spawn([program("iperf3", "iperf3"), "-s", "-p", str(BULK)])
        self.server.run(["install", "-d", "-o", "postgres", "-m", "0700", "/run/pg"]).check()
        made = self.server.run(
            [f"{POSTGRES}/initdb", "-D", "/run/pg", "-A", "trust", "-N"], user="postgres", timeout=60
        )
        made.check()
        access = self.server.read_file("/run/pg/pg_hba.conf") + "host all all 10.9.0.0/16 trust\n"
        self.server.path("/run/pg/pg_hba.conf").write_text(access, encoding="ascii")
        options = ("-h", "*", "-k", "/run/pg", "-F", "-c", "max_connections=200")
        self.server.spawn([f"{POSTGRES}/postgres", "-D", "/run/pg", *options], user="postgres")
        poll(lambda: self._sql("SELECT 1") == "1", 20, "PostgreSQL")
        pgbench = [program("pgbench", "postgresql-15", POSTGRES), "-h", "/run/pg", "-U", "postgres", "-i", "-q"]
        self.server.run([*pgbench, "postgres"], timeout=60).check()

    def _sql(self, statement: str) -> str:
        return self.server.run(["psql", "-h", "/run/pg", "-U", "postgres", "-AtXc", statement]).output.strip()

    def start_program(self, name: str) -> None:
        """Start a program, for the first time or again; returns when it answers on all its ports."""
        contender: Contender = CONTENDERS[name]
        self.balancer.write_file(contender.file, contender.configuration(f"{BACK}.2"))
        self.processes[name] = self.balancer.spawn(contender.command())
        self._await(self.target(name))

    def stop_program(self, name: str) -> None:
        """End a program; returns when its first process has ended."""
        self.processes[name].signal(15)
        self.processes[name].wait(20)

    def reload(self, name: str) -> None:
        """Tell a program to read its configuration again, as its unit file does."""
        self.processes[name].signal(CONTENDERS[name].reload)

    def forget_closed(self) -> None:
        """Let all hosts forget closed connections: a search for a source port passes over those that wait (TIME-WAIT).

        Whoever is measured later would pay for those of all before him.
        """
        for host in (self.client, self.balancer, self.server):
            host.run(["ss", "-K", "-Htan", "state", "time-wait"]).check()

    def pids(self, name: str) -> list[str]:
        """Return the pids, in the host, of a program's processes: the one that was started, and all below it."""
        found, new = [], [str(self.processes[name].pid)]
        while new:
            found += new
            new = self.balancer.run(["pgrep", "-P", ",".join(new)]).output.split()
        return found

    def processor_seconds(self, name: str) -> float:
        """Return the processor time that a program's processes have used so far, from the kernel's nanoseconds."""
        total = 0
        for pid in self.pids(name):
            with contextlib.suppress(OSError):
                for task in self.balancer.path(f"/proc/{pid}/task").iterdir():
                    total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        return total / 1e9

    def memory(self, name: str) -> int:
        """Return the proportional set size of a program's processes in bytes."""
        total = 0
        for pid in self.pids(name):
            with contextlib.suppress(OSError, StopIteration):
                lines = self.balancer.read_file(f"/proc/{pid}/smaps_rollup").splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024


@contextlib.contextmanager
def standing() -> Iterator[Network]:
    """Build the network, start everything, take it down at the end."""
    with Lab(Topology(tuple(HostPlan(name) for name in ("client", "balancer", "server")))) as lab:
        network = Network(lab)
        network.start()
        yield network

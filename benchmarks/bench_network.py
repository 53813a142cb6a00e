"""Where the balancers are compared: a client, a server, and between them a host for each program.

Laws: all programs stand ready at the same time, and only one is given work. Each has a host of its own, so that what it
leaves in a kernel (rules, tracked connections, closed ones) is no other's, and one thread, or one worker process, for
the data. The server's side is nginx for requests, iperf3 for bulk, a real PostgreSQL for pgbench. Hosts are joined by
cables: a bridge costs every packet more than the balancers differ by.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from contenders import CONTENDERS, SERVICES, Contender
from rows import DIRECT, KERNEL

from halab.namespace import Host, Process
from halab.programs import program
from halab.topology import HostPlan, Lab, Topology, await_links_up, ip_batch
from halab.wait import poll

WEB, BULK, SQL = SERVICES
PAST = "10.9.0"
"""The cable from the client to the server, past all programs: .1 and .2, as on every cable."""
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
    """Where a load goes: a program's address, or the server's own. The services have the same ports everywhere."""

    name: str
    address: str


DIRECTLY = Target(DIRECT, f"{PAST}.2")


class Network:
    """The hosts with everything that runs on them."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.client: Host = lab["client"]
        self.server: Host = lab["server"]
        self.processes: dict[str, Process] = {}

    @staticmethod
    def target(name: str) -> Target:
        """Return where the work of a program arrives."""
        return Target(name, f"10.9.{CONTENDERS[name].number}.2")

    def host(self, name: str) -> Host:
        """Return the host of a program."""
        return self.lab[CONTENDERS[name].host]

    def start(self) -> None:
        """Start all; returns when every port answers."""
        self._cable(self.client, self.server, "past", PAST)
        for each in CONTENDERS.values():
            self._cable(self.client, self.host(each.name), f"front{each.number}", f"10.9.{each.number}")
            self._cable(self.host(each.name), self.server, f"back{each.number}", f"10.9.{100 + each.number}")
        for host in self.lab.hosts.values():
            host.run(["sysctl", "-qw", f"net.ipv4.ip_local_port_range={SOURCE_PORTS}", "net.ipv4.ip_forward=1"]).check()
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
            poll(lambda s=service: self._answers(target.address, s), 20, f"{target.name} answers")  # type: ignore[misc]

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
        text = contender.configuration(f"10.9.{100 + contender.number}.2")
        self.host(name).write_file(contender.file, text)
        self.processes[name] = self.host(name).spawn(contender.command())
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
        for host in self.lab.hosts.values():
            host.run(["ss", "-K", "-Htan", "state", "time-wait"]).check()
        if KERNEL in CONTENDERS:  # fails if there are none
            self.host(KERNEL).run(["conntrack", "-D", "-p", "tcp", "--state", "TIME_WAIT"])

    def pids(self, name: str) -> list[str]:
        """Return the pids, in the host, of a program's processes: the one that was started, and all below it."""
        found, new = [], [str(self.processes[name].pid)]
        while new:
            found += new
            new = self.host(name).run(["pgrep", "-P", ",".join(new)]).output.split()
        return found

    def processor_seconds(self, name: str) -> float:
        """Return the processor time that a program's processes have used so far, from the kernel's nanoseconds."""
        total = 0
        for pid in self.pids(name):
            with contextlib.suppress(OSError):
                for task in self.host(name).path(f"/proc/{pid}/task").iterdir():
                    total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        return total / 1e9

    def memory(self, name: str) -> int:
        """Return the proportional set size of a program's processes in bytes."""
        total = 0
        for pid in self.pids(name):
            with contextlib.suppress(OSError, StopIteration):
                lines = self.host(name).read_file(f"/proc/{pid}/smaps_rollup").splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return total * 1024


@contextlib.contextmanager
def standing() -> Iterator[Network]:
    """Build the network, start everything, take it down at the end."""
    names = ("client", "server", *(each.host for each in CONTENDERS.values()))
    with Lab(Topology(tuple(HostPlan(name) for name in names))) as lab:
        network = Network(lab)
        network.start()
        yield network

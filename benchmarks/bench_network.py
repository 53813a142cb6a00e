"""Where the balancers are compared: a client, a balancer and a server host on one LAN of namespaces.

Laws: all programs stand on the balancer's host at the same time, each on ports of its own, and only one is given work.
The server's side is nginx for requests, iperf3 for bulk, a real PostgreSQL for pgbench. Each program has one thread, or
one worker process, for the data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host, Process
from halab.programs import program
from halab.topology import Lab, simple
from halab.wait import poll

CLIENT, BALANCER, SERVER = "10.9.0.1", "10.9.0.2", "10.9.0.3"
WEB, BULK, SQL = 8000, 5201, 5432
POSTGRES = "/usr/lib/postgresql/15/bin"
OURS, THEIRS, NGINX, DIRECT = "tcpbalancer", "haproxy", "nginx", "direct"
PROGRAMS = (OURS, THEIRS, NGINX)
_FIRST_PORT = {OURS: 10000, THEIRS: 11000, NGINX: 12000}
_HAPROXY = """\
global
    maxconn 9000
    nbthread 1
    stats socket /run/{name}.sock mode 600 level admin expose-fd listeners
defaults
    mode tcp
    timeout client 300s
    timeout server 300s
    timeout connect 5s
"""
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
        return self.shift + service if self.shift else service


DIRECTLY = Target(DIRECT, SERVER, 0)


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
        return Target(name, BALANCER, _FIRST_PORT[name])

    def start(self) -> None:
        """Start all; returns when every port answers."""
        self._start_server()
        for name in PROGRAMS:
            self._start_program(name)
        for target in (DIRECTLY, *(self.target(name) for name in PROGRAMS)):
            for service in (WEB, BULK, SQL):
                poll(lambda t=target, s=service: self._answers(t.address, t.port(s)), 20, f"{target.name} answers")  # type: ignore[misc]

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
        access = self.server.read_file("/run/pg/pg_hba.conf") + "host all all 10.9.0.0/24 trust\n"
        self.server.path("/run/pg/pg_hba.conf").write_text(access, encoding="ascii")
        options = ("-h", "*", "-k", "/run/pg", "-F", "-c", "max_connections=200")
        self.server.spawn([f"{POSTGRES}/postgres", "-D", "/run/pg", *options], user="postgres")
        poll(lambda: self._sql("SELECT 1") == "1", 20, "PostgreSQL")
        pgbench = [
            program("pgbench", "postgresql-15", POSTGRES),
            "-h",
            "/run/pg",
            "-U",
            "postgres",
            "-i",
            "-q",
            "postgres",
        ]
        self.server.run(pgbench, timeout=60).check()

    def _sql(self, statement: str) -> str:
        return self.server.run(["psql", "-h", "/run/pg", "-U", "postgres", "-AtXc", statement]).output.strip()

    def _start_program(self, name: str) -> None:
        path = f"/etc/{name}.cfg"
        self.balancer.write_file(path, self._configuration(name))
        command = {
            OURS: (
                f"{ENVIRONMENT}/bin/tcpbalancer",
                "-W",
                "-f",
                path,
                "-p",
                f"/run/{name}.pid",
                "--control",
                "/run/tb.ctl",
            ),
            THEIRS: (program("haproxy", "haproxy"), "-W", "-f", path, "-p", f"/run/{name}.pid"),
            NGINX: (program("nginx", "nginx-light"), "-c", path),
        }[name]
        self.processes[name] = self.balancer.spawn(command)

    def _configuration(self, name: str) -> str:
        shift = _FIRST_PORT[name]
        if name == NGINX:
            servers = "\n".join(
                f"  server {{ listen {shift + service} backlog=8192; proxy_pass {SERVER}:{service}; }}"
                for service in (WEB, BULK, SQL)
            )
            module = next(Path("/usr/lib/nginx/modules").glob("ngx_stream_module.so"), None)
            load = "" if module is None else f"load_module {module};\n"
            head = "daemon off; worker_processes 1; pid /run/nginx.pid; error_log /dev/null;\n"
            return f"{load}{head}events {{ worker_connections 9000; }}\nstream {{\n{servers}\n}}\n"
        listens = (
            f"listen s{service}\n    bind *:{shift + service}\n    server s {SERVER}:{service}\n"
            for service in (WEB, BULK, SQL)
        )
        return _HAPROXY.format(name=name) + "".join(listens)

    def reload(self, name: str) -> None:
        """Tell a program to read its configuration again, as its unit file does."""
        self.processes[name].signal({OURS: 12, THEIRS: 12, NGINX: 1}[name])

    def pids(self, name: str) -> list[str]:
        """Return the pids, in the host, of a program's processes: the one that was started, and all below it."""
        found, new = [], [str(self.processes[name].pid)]
        while new:
            found += new
            new = self.balancer.run(["pgrep", "-P", ",".join(new)]).output.split()
        return found

    def processor_seconds(self, name: str) -> float:
        """Return the processor time that a program has used so far."""
        total = 0
        for pid in self.pids(name):
            with contextlib.suppress(OSError):
                fields = self.balancer.read_file(f"/proc/{pid}/stat").rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / 100

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
    hosts = {"client": f"{CLIENT}/24", "balancer": f"{BALANCER}/24", "server": f"{SERVER}/24"}
    with Lab(simple("bench", hosts)) as lab:
        network = Network(lab)
        network.start()
        yield network

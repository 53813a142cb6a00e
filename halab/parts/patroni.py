"""A database node as it is in the field: PostgreSQL 15 under Patroni 4, with a member of an etcd cluster beside it.

Laws: data lies in memory (/run of the host) and is not synced: it goes with the lab. All of it runs as the user
postgres. Times of Patroni's bootstrap are as short as it allows (its config.py has hard minima of 20, 1 and 3 s).
"""

from __future__ import annotations

import importlib.metadata
import pwd
import urllib.error
from collections.abc import Mapping

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host, LabError, ServiceDefinition
from halab.parts.client import DIRECT
from halab.programs import first_line, program

BIN = "/usr/lib/postgresql/15/bin"
HOME = "/run/patroni"
CONFIG = f"{HOME}/patroni.yml"
ENV = {"HOME": HOME, "PATH": f"{BIN}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
TEMPLATE = """\
scope: lab
name: {name}
etcd3:
  hosts: {etcd}
restapi: {{listen: '0.0.0.0:8008', connect_address: '{address}:8008'}}
bootstrap:
  dcs:
    ttl: 20
    loop_wait: 1
    retry_timeout: 3
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters:
        {{max_connections: 50, shared_buffers: 16MB, wal_keep_size: 64MB, max_wal_size: 128MB, min_wal_size: 32MB}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, data-checksums, {{wal-segsize: '1'}}]
postgresql:
  listen: '0.0.0.0:5432'
  connect_address: '{address}:5432'
  data_dir: {home}/data
  bin_dir: {bin}
  use_unix_socket: true
  pgpass: {home}/pgpass
  parameters: {{unix_socket_directories: '/run/postgresql', fsync: 'off'}}
  authentication:
    superuser: {{username: postgres, password: pw}}
    replication: {{username: repl, password: pw}}
    rewind: {{username: rewind, password: pw}}
  pg_hba:
    - local all all trust
    - host all all 127.0.0.1/32 trust
    - host all all {network} trust
    - host replication repl {network} trust
    - host replication repl 127.0.0.1/32 trust
"""


class DatabaseNode:
    """PostgreSQL, Patroni and etcd on one host; ``members`` are all nodes of the cluster, name to address."""

    def __init__(self, host: Host, members: Mapping[str, str], network: str) -> None:
        self.host = host
        self.address = members[host.name]
        check_programs()
        etcd = ",".join(f"{address}:2379" for address in members.values())
        values = {"name": host.name, "address": self.address, "network": network, "etcd": etcd}
        text = TEMPLATE.format(**values, home=HOME, bin=BIN)
        host.run(["install", "-d", "-o", "postgres", "-m", "0700", HOME, f"{HOME}/etcd"]).check()
        host.run(["install", "-d", "-o", "postgres", "/run/postgresql"]).check()
        host.write_file(CONFIG, text)
        host.define(ServiceDefinition("etcd", self._etcd(members), ENV, user="postgres", cwd=HOME))
        patroni = (f"{ENVIRONMENT}/bin/python", "-m", "patroni", CONFIG)
        host.define(ServiceDefinition("patroni", patroni, ENV, user="postgres", cwd=HOME, patience=10.0))

    def _etcd(self, members: Mapping[str, str]) -> tuple[str, ...]:
        cluster = ",".join(f"{name}=http://{address}:2380" for name, address in members.items())
        options = {
            "name": self.host.name,
            "data-dir": f"{HOME}/etcd",
            "listen-client-urls": "http://0.0.0.0:2379",
            "advertise-client-urls": f"http://{self.address}:2379",
            "listen-peer-urls": f"http://{self.address}:2380",
            "initial-advertise-peer-urls": f"http://{self.address}:2380",
            "initial-cluster": cluster,
            "initial-cluster-state": "new",
            "heartbeat-interval": "100",
            "election-timeout": "1000",
            "logger": "zap",
            "log-level": "warn",
            "unsafe-no-fsync": "true",
        }
        return (program("etcd", "etcd-server"), *(f"--{name}={value}" for name, value in options.items()))

    def start(self) -> None:
        """Start etcd and Patroni, which waits for it by itself and starts PostgreSQL."""
        self.host.start_service("etcd")
        self.host.start_service("patroni")

    def ready(self) -> bool:
        """Return whether Patroni says that PostgreSQL runs as primary or replica here (GET /health is 200)."""
        return self.host.inside(lambda: status_of(self.address, "/health") == 200).result()

    def stop(self) -> None:
        """Stop Patroni, which stops PostgreSQL, and etcd."""
        self.host.stop_service("patroni")
        self.host.stop_service("etcd")


def check_programs() -> None:
    """Raise LabError, with what to install, for whatever a database node needs and this machine lacks."""
    program("etcd", "etcd-server")
    program("postgres", "postgresql-15", BIN)
    try:
        importlib.metadata.version("patroni")
    except importlib.metadata.PackageNotFoundError:
        raise LabError("patroni is missing: pip install 'patroni[etcd3,psycopg3]' (./run lab does)") from None
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise LabError("the user postgres is missing: apt-get install postgresql-15") from None


def versions() -> list[str]:
    """Return the versions of all three programs."""
    postgres = first_line([program("postgres", "postgresql-15", BIN), "--version"])
    return [
        postgres,
        f"patroni {importlib.metadata.version('patroni')}",
        first_line([program("etcd", "etcd-server"), "--version"]),
    ]


def status_of(address: str, path: str) -> int:
    """Return the HTTP status with which Patroni answers GET ``path``; raises OSError if nobody does."""
    try:
        with DIRECT.open(f"http://{address}:8008{path}", timeout=2.0) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code

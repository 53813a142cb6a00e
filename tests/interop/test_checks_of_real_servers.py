"""Checks of a real PostgreSQL, a real Redis and real TLS: UP where they should be, and nothing in the server's log."""

from __future__ import annotations

import asyncio
import contextlib
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, haproxy, until
from tcp_peers import PATIENCE, ScriptedServer, free_port

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.checks import Limits, ask
from tcpbalancer.dialogue import protocols
from tcpbalancer.model import Check

pytestmark = pytest.mark.interop
POSTGRES = Path("/usr/lib/postgresql/15/bin")


def checked(port: int, user: str = "postgres") -> CheckResult:
    return asyncio.run(ask(protocols.pgsql(user), Check("127.0.0.1", port), Limits(5.0, None)))


@dataclass
class PostgreSql:
    """A PostgreSQL of its own, which lets in as ``pg_hba.conf`` says."""

    home: Path
    port: int = field(default_factory=free_port)

    @contextlib.contextmanager
    def running(self, rule: str) -> Iterator[Path]:
        """Run it; yields its log."""
        data, log = self.home / "data", self.home / f"{rule}.log"
        (data / "pg_hba.conf").write_text(f"host all all 127.0.0.1/32 {rule}\n")
        words = [POSTGRES / "postgres", "-D", data, "-p", str(self.port), "-c", f"unix_socket_directories={data}"]
        with log.open("w") as output:
            process = subprocess.Popen(
                [*words, "-c", "listen_addresses=127.0.0.1"],
                user="postgres",
                cwd="/",
                stdout=output,
                stderr=output,
            )
        try:
            until(lambda: "ready to accept connections" in log.read_text(), "PostgreSQL is ready")
            yield log
        finally:
            process.terminate()
            process.wait(PATIENCE)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgreSql]:
    home = Path(tempfile.mkdtemp(prefix="checks-postgres-"))  # where the user postgres can reach it
    home.chmod(0o755)
    data = home / "data"
    data.mkdir(0o700)
    shutil.chown(data, pwd.getpwnam("postgres").pw_uid)
    words = [POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync"]
    subprocess.run(words, user="postgres", cwd="/", stdout=subprocess.DEVNULL, check=True)
    yield PostgreSql(home)
    shutil.rmtree(home)


@pytest.mark.parametrize("rule", ["trust", "scram-sha-256", "md5"])
def test_pgsql_check_finds_postgresql_and_leaves_no_word_in_its_log(postgres: PostgreSql, rule: str) -> None:
    with postgres.running(rule) as log:
        before = log.read_text()
        for _ in range(5):
            result = checked(postgres.port)
            assert (result.status, result.info) == (CheckStatus.L7OK, "PostgreSQL server is ok")
        assert checked(postgres.port, "nobody").status is CheckStatus.L7OK  # it was let in, and the role is looked for
        until(lambda: rule != "trust" or 'role "nobody" does not exist' in log.read_text(), "the last check is logged")
        told = log.read_text().removeprefix(before)
    assert [line for line in told.splitlines() if "nobody" not in line] == []


def test_pgsql_check_of_a_role_that_is_not_let_in_has_failed(postgres: PostgreSql) -> None:
    with postgres.running("reject"):
        result = checked(postgres.port)
    assert (result.status, result.info) == (CheckStatus.L7RSP, "FATAL")


@contextlib.contextmanager
def redis(folder: Path, *options: str) -> Iterator[int]:
    """Run a Redis; yields its port."""
    port = free_port()
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), *options]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), "Redis is ready")
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


HEAD = """\
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen stats
    mode http
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
    stats auth admin:secret
"""
# As the redis-ha chart has it, but for the addresses.
CHART = r"""
    option tcp-check
    tcp-check connect
    tcp-check send PING\r\n
    tcp-check expect string +PONG
    tcp-check send info\ replication\r\n
    tcp-check expect string role:{role}
    tcp-check send QUIT\r\n
    tcp-check expect string +OK
"""


def both(folder: Path, sections: str, names: list[str]) -> list[dict[str, dict[str, str]]]:
    """Return the rows of these servers, ours first, once every first check has ended."""
    found = []
    for number, command in enumerate(([*TCPBALANCER, "-db", "--control", str(folder / "c")], [haproxy(), "-db"])):
        home = folder / str(number)
        home.mkdir()
        stats = free_port()
        with BalancerProcess(command, HEAD.format(stats=stats) + sections, home, stats) as program:
            found.append(_known(program, names))
    return found


def _known(program: BalancerProcess, names: list[str]) -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = {}

    def all_known() -> bool:
        now = program.csv()[1]
        rows.update(
            {name: now[name] for name in names if name not in rows and now[name]["check_status"] not in _UNKNOWN}
        )
        return all(name in rows and "*" not in rows[name]["check_status"] for name in names) or _drop(rows)

    until(all_known, "every server was checked")
    return rows


_UNKNOWN = {"", "INI"}


def _drop(rows: dict[str, dict[str, str]]) -> bool:
    """Look again at those whose check was on its way."""
    for name in [name for name, row in rows.items() if "*" in row["check_status"]]:
        del rows[name]
    return False


COLUMNS = ("status", "check_status", "check_code", "last_chk")


def test_a_redis_ha_charts_sequence_finds_the_master(tmp_path: Path) -> None:
    with redis(tmp_path) as master, redis(tmp_path, "--replicaof", "127.0.0.1", str(master)) as replica:
        sections = "".join(
            f"backend {role}{CHART.format(role=role)}"
            f"    server a 127.0.0.1:{master} check inter 1s fall 1\n"
            f"    server b 127.0.0.1:{replica} check inter 1s fall 1\n"
            for role in ("master", "slave")
        )
        sections += f"backend ping\n    option redis-check\n    server a 127.0.0.1:{master} check inter 1s\n"
        names = ["master/a", "master/b", "slave/a", "slave/b", "ping/a"]
        ours, real = both(tmp_path, sections, names)
    for name in names:
        assert [ours[name][column] for column in COLUMNS] == [real[name][column] for column in COLUMNS], name
    assert [ours[name]["status"] for name in names] == ["UP", "DOWN", "DOWN", "UP", "UP"]
    assert ours["master/b"]["last_chk"] == " at step 5 of tcp-check (expect string 'role:master')"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for a.example with its key in ``server.pem``, another one in ``other.pem``."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, host in (("server", "a.example"), ("other", "b.example")):
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        words += ["-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "30", "-subj", f"/CN={host}"]
        subprocess.run([*words, "-addext", f"subjectAltName=DNS:{host}"], cwd=folder, check=True, capture_output=True)
        text = (folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text()
        (folder / f"{name}.pem").write_text(text)
    return folder


class TlsServer:
    """Speaks TLS, answers an HTTP request, and keeps what clients asked for; may ask for their certificate."""

    def __init__(self, folder: Path, *, asks: bool = False) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "server.pem")
        self._context.set_alpn_protocols(["http/1.1"])
        self._context.sni_callback = self._named
        if asks:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(folder / "other.crt")
        self.seen: list[tuple[str | None, str | None]] = []
        self._name: str | None = None

    def _named(self, _: object, name: str | None, __: object) -> None:
        self._name = name

    def __call__(self, peer: socket.socket) -> None:
        with self._context.wrap_socket(peer, server_side=True) as secured:
            self.seen.append((self._name, secured.selected_alpn_protocol()))
            if secured.recv(4096):
                secured.sendall(b"HTTP/1.0 200 OK\r\n\r\n")


TLS_CASES = [
    ("plain", "", "check-ssl verify none", False, ("UP", "L6OK")),
    ("httpchk", "option httpchk", "check-ssl verify none check-sni a.example", False, ("UP", "L7OK")),
    ("ca-file", "", "check-ssl ca-file {ca} check-sni a.example check-alpn http/1.1", False, ("UP", "L6OK")),
    ("another name", "", "check-ssl ca-file {ca} check-sni c.example", False, ("DOWN", "L6RSP")),
    ("another CA", "", "check-ssl ca-file {other}", False, ("DOWN", "L6RSP")),
    ("verifyhost", "", "check-ssl ca-file {ca} verifyhost a.example", False, ("UP", "L6OK")),
    ("crt", "option httpchk", "check-ssl verify none crt {pem}", True, ("UP", "L7OK")),
    (
        "http-check connect",
        "option httpchk\n    http-check connect ssl sni a.example alpn http/1.1",
        "ca-file {ca}",
        False,
        ("UP", "L7OK"),
    ),
    ("tcp-check connect", "option tcp-check\n    tcp-check connect ssl", "verify none", False, ("UP", "L6OK")),
]


def test_tls_in_checks_is_spoken_as_haproxy_speaks_it(tmp_path: Path, certificates: Path) -> None:
    files = {
        "ca": certificates / "server.crt",
        "other": certificates / "other.crt",
        "pem": certificates / "other.pem",
    }
    servers = [TlsServer(certificates, asks=asks) for _, _, _, asks, _ in TLS_CASES]
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(ScriptedServer(server)).port for server in servers]
        sections = "".join(
            f"backend t{number}\n    {lines}\n    server s 127.0.0.1:{port} check inter 2s {options.format(**files)}\n"
            for number, ((_, lines, options, _, _), port) in enumerate(zip(TLS_CASES, ports, strict=True))
        )
        ours, real = both(tmp_path, sections, [f"t{number}/s" for number in range(len(TLS_CASES))])
    for number, (title, _, _, _, expected) in enumerate(TLS_CASES):
        name = f"t{number}/s"
        seen = [(rows[name]["status"], rows[name]["check_status"]) for rows in (ours, real)]
        assert seen == [expected, expected], (title, ours[name]["last_chk"], real[name]["last_chk"])
        if title != "verifyhost":  # ours asks for the name that it verifies
            assert len(set(servers[number].seen)) <= 1, f"{title}: both ask for the same"
    mismatch = [rows["t3/s"]["last_chk"] for rows in (ours, real)]
    assert mismatch == ["Server presented an SSL certificate different from the expected one"] * 2


def test_a_file_for_tls_that_cannot_be_used_is_an_error_with_a_place(tmp_path: Path) -> None:
    from hakit.diagnostics import ConfigError
    from tcpbalancer.config.load import read_texts

    text = f"backend b\n server s 127.0.0.1:1 check check-ssl ca-file {tmp_path}/none.pem\n"
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.cfg", text)], {})
    found = wrong.value.diagnostics
    assert [each.message for each in found if each.location.line == 2] == [
        f"'server b/s' : Couldn't open the ca-file '{tmp_path}/none.pem' (No such file or directory)."
    ]

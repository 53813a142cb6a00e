"""Every probe, and every way in which it can end, beside the real HAProxy: the same server, the same verdict.

Both programs check the same scripted servers; status, ``check_status``, ``check_code`` and ``last_chk`` of the
statistics have to agree. HAProxy is 2.6 here and we speak as 3.x does: what differs for that reason is in
``in_our_words``; what differs for another is in ``DIFFERENT`` and in docs/differences.md.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, haproxy, until
from tcp_peers import ScriptedServer, free_port, full_backlog, reset

pytestmark = pytest.mark.interop

Act = bytes | None | str
"""What a server does next: send bytes, read once (None), ``hold`` (wait for the end), ``reset``."""


class Actor:
    """A server that does the same on every connection, and keeps what it read on each."""

    def __init__(self, acts: tuple[Act, ...]) -> None:
        self._acts = acts
        self.heard: list[bytes] = []
        self._lock = threading.Lock()

    def __call__(self, peer: socket.socket) -> None:
        heard, reads = b"", sum(1 for act in self._acts if act is None)
        if not reads:
            self._keep(heard)
        for act in self._acts:
            if act is None:
                heard, reads = heard + peer.recv(4096), reads - 1
                if not reads:
                    self._keep(heard)  # before the answer, which the next connection may follow at once
            elif act == "reset":
                reset(peer)
                return
            elif act == "hold":
                with contextlib.suppress(OSError):
                    while peer.recv(4096):
                        pass
                return
            else:
                assert isinstance(act, bytes)
                peer.sendall(act)

    def _keep(self, heard: bytes) -> None:
        with self._lock:
            self.heard.append(heard)


@dataclass(frozen=True)
class Case:
    """``lines``: of the backend; ``acts``: of the server; ``options``: of the server line."""

    name: str
    lines: str
    acts: tuple[Act, ...]
    options: str = ""
    same_bytes: bool = True


def mysql(data: bytes, sequence: int = 0) -> bytes:
    return len(data).to_bytes(3, "little") + bytes([sequence]) + data


GREETING = mysql(b"\x0a5.7.0\0" + bytes(30))
HTTP = "option httpchk"
TCP = "option tcp-check"
PING = rf"{TCP}; tcp-check send PING\r\n; "
OK = b"HTTP/1.1 200 OK\r\nX-Role: a, primary\r\nContent-Length: 2\r\n\r\nup"
LDAP_GOOD = bytes.fromhex("300c02010161070a010004000400")
SPOP_GOOD = b"\0\0\0\x36e\0\0\0\1\0\0\x07version\x08\x032.0\x0emax-frame-size\x03\xfc\xf0\x06\x0ccapabilities\x08\0"

CASES = [
    # rank 0: option httpchk, http-check expect status
    Case("httpchk passes", HTTP, (None, OK, "hold")),
    Case("httpchk 503", HTTP, (None, b"HTTP/1.0 503 Sorry\r\n\r\n")),
    Case("httpchk closes", HTTP, (None,)),
    Case("httpchk resets", HTTP, (None, "reset")),
    Case("httpchk silent", HTTP, (None, "hold")),
    Case("httpchk URI", f"{HTTP} /x", (None, OK, "hold")),
    Case("httpchk METH URI", f"{HTTP} HEAD /primary", (None, OK, "hold")),
    Case("httpchk METH URI VER", f"{HTTP} GET /x HTTP/1.1", (None, OK, "hold")),
    Case("httpchk no reason", HTTP, (None, b"HTTP/1.0 503\r\n\r\n")),
    Case(
        "expect status",
        f"{HTTP}; http-check expect status 200-204,301 comment hello",
        (None, b"HTTP/1.0 500 Bad\r\n\r\n"),
    ),
    Case("expect ! status", f"{HTTP}; http-check expect ! status 200", (None, OK, "hold")),
    # rank 1: http-check
    Case("expect rstatus", f"{HTTP}; http-check expect rstatus ^30", (None, OK, "hold")),
    Case("expect string", f"{HTTP}; http-check expect string up", (None, OK, "hold")),
    Case("expect string missing", f"{HTTP}; http-check expect string down", (None, OK, "hold")),
    Case("expect ! rstring", f"{HTTP}; http-check expect ! rstring ^u", (None, OK, "hold")),
    Case(
        "expect no body",
        f"{HTTP}; http-check expect string up",
        (None, OK[:-2].replace(b"2\r\n\r\n", b"0\r\n\r\n"), "hold"),
    ),
    Case("expect hdr", f"{HTTP}; http-check expect hdr name x-role value primary", (None, OK, "hold")),
    Case("expect fhdr", f"{HTTP}; http-check expect fhdr name x-role value primary", (None, OK, "hold")),
    Case("expect hdr -m", f"{HTTP}; http-check expect hdr name -m beg x- value -m reg ^pri", (None, OK, "hold")),
    Case("expect hdr missing", f"{HTTP}; http-check expect hdr name x-none", (None, OK, "hold")),
    Case("on-error", f'{HTTP}; http-check expect status 204 on-error "got %[status]"', (None, OK, "hold")),
    Case(
        "disable-on-404",
        f"{HTTP}; http-check disable-on-404",
        (None, b"HTTP/1.0 404 Gone\r\nContent-Length: 0\r\n\r\n"),
    ),
    Case("send-state", f"{HTTP}; http-check send-state", (None, OK, "hold"), same_bytes=False),
    Case(
        "http-check send",
        f"{HTTP}; http-check send meth POST uri /y ver HTTP/1.1 hdr X-A b hdr Host q body hello",
        (None, OK, "hold"),
    ),
    Case(
        "http-check send uri-lf body-lf",
        f'{HTTP}; http-check send meth PUT uri-lf "/%[srv_name]" body-lf "%[be_name]"',
        (None, OK, "hold"),
    ),
    Case("http-check send then option", f"http-check send meth GET uri /a hdr x y; {HTTP} GET /b", (None, OK, "hold")),
    Case("http-check connect", f"{HTTP}; http-check connect linger; http-check send uri /a", (None, OK, "hold")),
    Case(
        "http-check twice",
        f"{HTTP}; http-check connect; http-check send uri /a; http-check expect status 200; "
        "http-check connect; http-check send uri /b; http-check expect status 404",
        (None, OK, "hold"),
    ),
    Case(
        "http-check set-var",
        f'{HTTP}; http-check set-var(check.n) int(5); http-check send uri-lf "/%[var(check.n)]"; '
        "http-check expect status 200; http-check unset-var(check.n)",
        (None, OK, "hold"),
    ),
    # rank 0 and 1: tcp-check
    Case("plain check passes", "balance roundrobin", ("hold",), same_bytes=False),
    Case("tcp-check without rules", TCP, ("hold",), same_bytes=False),
    Case("tcp-check connect", f"{TCP}; tcp-check connect", ("hold",), same_bytes=False),
    Case("tcp-check passes", f"{PING}tcp-check expect string +PONG", (None, b"+PONG\r\n", "hold")),
    Case("tcp-check other answer", f"{PING}tcp-check expect string +PONG comment hi", (None, b"-NOPE\r\n")),
    Case("tcp-check silent", f"{PING}tcp-check expect string +PONG", (None, "hold")),
    Case("tcp-check closes", f"{PING}tcp-check expect string +PONG", (None,)),
    Case(
        "tcp-check resets", f"{TCP}; tcp-check comment c; tcp-check send x; tcp-check expect string y", (None, "reset")
    ),
    Case("tcp-check ends with send", PING.rstrip("; "), (None, "hold")),
    Case("tcp-check connect port", f"{TCP}; tcp-check connect port {{closed}} comment xx", (), same_bytes=False),
    Case(
        "send-binary expect binary", f"{TCP}; tcp-check send-binary 0aff; tcp-check expect binary 0102", (None, b"\1\3")
    ),
    Case("send-lf", f'{TCP}; tcp-check send-lf "%[srv_name] %[str(a),hex]"; tcp-check expect string ok', (None, b"ok")),
    Case(
        "send-binary-lf",
        f'{TCP}; tcp-check send-binary-lf "00%[str(ab),hex]"; tcp-check expect binary-lf "%[str(ok),hex]"',
        (None, b"ok"),
    ),
    Case("expect rstring", f"{PING}tcp-check expect rstring ^[+]P", (None, b"+PONG\r\n", "hold")),
    Case("expect rbinary", f"{PING}tcp-check expect rbinary ^2B50", (None, b"+PONG\r\n", "hold")),
    Case("expect string-lf", f'{PING}tcp-check expect string-lf "%[str(PO)]NG"', (None, b"+PONG\r\n", "hold")),
    Case("expect ! string", f"{PING}tcp-check expect ! string -ERR", (None, b"-ERR no\r\n", "hold")),
    Case(
        "min-recv on-error status",
        f'{TCP}; tcp-check expect rstring ^ok min-recv 2 on-error "got %[res.payload(0,0),cut_crlf]" '
        "status-code res.payload(0,3) error-status L7STS",
        (b"500 stuff\r\n", "hold"),
    ),
    Case("on-success ok-status", f"{TCP}; tcp-check expect string a on-success fine ok-status L6OK", (b"a", "hold")),
    Case("tout-status", f"{TCP}; tcp-check expect string a tout-status L4TOUT", ("hold",)),
    Case(
        "tcp-check set-var",
        f'{TCP}; tcp-check set-var(check.x) str(hi); tcp-check send-lf "%[var(check.x)]"; tcp-check expect string ok',
        (None, b"ok"),
    ),
    Case(
        "redis-ha chart",
        rf"{TCP}; tcp-check connect; tcp-check send PING\r\n; tcp-check expect string +PONG; "
        r"tcp-check send info\ replication\r\n; tcp-check expect string role:master; "
        r"tcp-check send QUIT\r\n; tcp-check expect string +OK",
        (None, b"+PONG\r\n", None, b"role:slave\r\n", "hold"),
    ),
    Case(
        "tcp-check send-proxy",
        f"{TCP}; tcp-check connect send-proxy; tcp-check expect string x",
        (None, b"x", "hold"),
        same_bytes=False,
    ),
    # rank 1: the protocols
    Case("redis-check", "option redis-check", (None, b"+PONG\r\n", "hold")),
    Case("redis-check loading", "option redis-check", (None, b"-LOADING Redis is loading\r\n")),
    Case("redis-check closes", "option redis-check", (None,)),
    Case("pgsql-check", "option pgsql-check user haproxy", (None, b"R\0\0\0\x08\0\0\0\0", "hold")),
    Case("pgsql-check md5", "option pgsql-check user haproxy", (None, b"R\0\0\0\x0c\0\0\0\x05salt", "hold")),
    Case("pgsql-check error", "option pgsql-check user haproxy", (None, b"E\0\0\0\x11SFATAL\0Mno\0\0", "hold")),
    Case("pgsql-check closes", "option pgsql-check user haproxy", (None,)),
    Case("pgsql-check other", "option pgsql-check user haproxy", (None, b"X" * 20, "hold")),
    Case("mysql-check", "option mysql-check", (GREETING, "hold")),
    Case("mysql-check too many", "option mysql-check", (mysql(b"\xff\x10\x04Too many connections"), "hold")),
    Case("mysql-check cut off", "option mysql-check", (b"\x10",)),
    Case("mysql-check user", "option mysql-check user haproxy", (None, GREETING + mysql(b"\0\0\0\2\0\0\0", 2), "hold")),
    Case(
        "mysql-check user denied",
        "option mysql-check user haproxy post-41",
        (None, GREETING + mysql(b"\xff\x15\x04#28000Access denied", 2), "hold"),
    ),
    Case(
        "mysql-check pre-41",
        "option mysql-check user haproxy pre-41",
        (None, GREETING + mysql(b"\0\0\0\2\0\0\0", 2), "hold"),
    ),
    Case("smtpchk", "option smtpchk", (b"220 hi\r\n", None, b"250 ok there\r\n", None, b"221 bye\r\n", "hold")),
    Case(
        "smtpchk EHLO",
        "option smtpchk EHLO me",
        (b"220 hi\r\n", None, b"250-a\r\n250 b\r\n", None, b"221 bye\r\n", "hold"),
    ),
    Case("smtpchk closes", "option smtpchk", ()),
    Case("mysql-check closes", "option mysql-check", ()),
    Case("ldap-check closes", "option ldap-check", (None,)),
    Case("on-error closes", f"{TCP}; tcp-check expect string a on-error mine", ()),
    Case("smtpchk 421", "option smtpchk", (b"421 busy\r\n",)),
    Case("smtpchk 500", "option smtpchk", (b"220 hi\r\n", None, b"500 nope\r\n")),
    Case("smtpchk no number", "option smtpchk", (b"hello\r\n",)),
    Case("ldap-check", "option ldap-check", (None, LDAP_GOOD, "hold")),
    Case("ldap-check denied", "option ldap-check", (None, LDAP_GOOD.replace(b"\x0a\x01\0", b"\x0a\x01\x31"), "hold")),
    Case("ldap-check other", "option ldap-check", (None, b"HTTP/1.0 400 Bad Request\r\n", "hold")),
    Case("ssl-hello-chk", "option ssl-hello-chk", (None, b"\x16\3\0\0\x10", "hold"), same_bytes=False),
    Case("ssl-hello-chk other", "option ssl-hello-chk", (None, b"HTTP/1.0 400\r\n", "hold"), same_bytes=False),
    Case("ssl-hello-chk silent", "option ssl-hello-chk", (None, "hold"), same_bytes=False),
    Case("spop-check", "option spop-check", (None, SPOP_GOOD, "hold"), same_bytes=False),
    Case("spop-check other", "option spop-check", (None, b"HTTP/1.0 400 Bad Request\r\n"), same_bytes=False),
    # rank 2: TLS, where the server does not speak it
    Case(
        "check-ssl not TLS",
        "balance roundrobin",
        (b"HTTP/1.0 400\r\n\r\n", "hold"),
        "check-ssl verify none",
        same_bytes=False,
    ),
    Case("check-ssl closes", "balance roundrobin", (), "check-ssl verify none", same_bytes=False),
    Case("check-ssl silent", "balance roundrobin", (None, None), "check-ssl verify none", same_bytes=False),
    Case("tcp-check connect ssl", f"{TCP}; tcp-check connect ssl", (b"x\r\n", "hold"), "verify none", same_bytes=False),
    # PROXY header, addr and port
    Case("check-send-proxy", "option redis-check", (None, b"+PONG\r\n", "hold"), "check-send-proxy", same_bytes=False),
    Case("port of its own", HTTP, (), "port {closed}", same_bytes=False),
    Case("addr of its own", HTTP, (), "addr 127.0.0.9 port {closed}", same_bytes=False),
]

DIFFERENT: dict[str, tuple[str, ...]] = {
    "httpchk closes": ("last_chk",),
    "httpchk no reason": ("last_chk",),
    "http-check set-var": ("check_code",),
    "pgsql-check closes": ("check_status", "check_code", "check_desc", "last_chk"),
    "ldap-check closes": ("last_chk",),
    "on-error closes": ("last_chk",),
}
"""By name of the case: the columns that may differ; each one is explained in docs/differences.md."""


def in_our_words(text: str) -> str:
    """Return what HAProxy 2.6 says as 3.x says it."""
    text = re.sub(r"^(Connection refused)", r"ECONNREFUSED returned by OS (\1)", text)
    return re.sub(r"^(Connection reset by peer)", r"ECONNRESET returned by OS (\1)", text)


def shortened(text: str) -> str:
    """We tell why TLS failed, HAProxy that it did."""
    return re.sub(r"^(SSL handshake failure) \([^)]*\)", r"\1", text)


class Stage:
    """Both programs, with a backend for every case."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.actors: list[dict[str, Actor]] = []
        self.programs: list[BalancerProcess] = []
        closed = free_port()
        for number, command in enumerate(([*TCPBALANCER, "-db", "--control", str(folder / "c")], [haproxy(), "-db"])):
            actors = {case.name: Actor(case.acts) for case in CASES}
            ports = {name: stack.enter_context(ScriptedServer(actor)).port for name, actor in actors.items()}
            stats = free_port()
            text = _configuration(ports, stats, closed)
            home = folder / str(number)
            home.mkdir()
            self.actors.append(actors)
            self.programs.append(stack.enter_context(BalancerProcess(command, text, home, stats)))
        self.rows = [_settled(program) for program in self.programs]


def _head(stats: int) -> str:
    return f"""\
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


def _configuration(ports: dict[str, int], stats: int, closed: int) -> str:
    sections = []
    for number, case in enumerate(CASES):
        lines = "".join(f"    {line.strip()}\n" for line in case.lines.replace("{closed}", str(closed)).split("; "))
        options = case.options.replace("{closed}", str(closed))
        server = f"    server s 127.0.0.1:{ports[case.name]} check inter 1500ms fall 1 rise 1 {options}\n"
        sections.append(f"backend c{number}\n{lines}{server}")
    return _head(stats) + "".join(sections)


def _settled(program: BalancerProcess) -> dict[str, dict[str, str]]:
    """Return the rows of all servers by case, once every first check has ended."""
    rows: dict[str, dict[str, str]] = {}

    def all_known() -> bool:
        found = program.csv()[1]
        for number, case in enumerate(CASES):
            row = found[f"c{number}/s"]
            if case.name not in rows and row["check_status"] not in {"", "INI"} and "*" not in row["check_status"]:
                rows[case.name] = row
        return len(rows) == len(CASES)

    until(all_known, "every server was checked")
    return rows


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("checks"), stack)


@pytest.mark.xdist_group("checks")
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_check_ends_as_haproxys_does(stage: Stage, case: Case) -> None:
    ours, real = (rows[case.name] for rows in stage.rows)
    columns = {"status", "check_status", "check_code", "check_desc", "last_chk"} - set(DIFFERENT.get(case.name, ()))
    seen = {column: shortened(ours[column]) for column in columns}
    expected = {column: shortened(in_our_words(real[column])) for column in columns}
    assert seen == expected


@pytest.mark.xdist_group("checks")
@pytest.mark.parametrize("case", [case for case in CASES if case.same_bytes], ids=lambda case: case.name)
def test_a_check_says_what_haproxys_says(stage: Stage, case: Case) -> None:
    ours, real = (actors[case.name] for actors in stage.actors)
    until(lambda: bool(ours.heard and real.heard), "both servers have heard something")
    assert ours.heard[0] == real.heard[0]


LIMITS = [
    ("httpchk silent", HTTP, "timeout connect 5s", "inter 800ms", "L7TOUT", 800),
    ("timeout check", HTTP, "timeout connect 5s; timeout check 500ms", "inter 3s", "L7TOUT", 500),
    ("no connection", HTTP, "timeout connect 300ms", "inter 800ms", "L4TOUT", 800),
    ("timeout connect and check", HTTP, "timeout connect 400ms; timeout check 5s", "inter 3s", "L4TOUT", 400),
    ("plain connect", "balance roundrobin", "timeout connect 400ms; timeout check 5s", "inter 3s", "L4TOUT", 400),
]


def test_the_limits_of_a_check_are_haproxys(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(ScriptedServer(Actor((None, "hold")))).port
        nobody = stack.enter_context(full_backlog())
        rows = []
        for number, command in enumerate(([*TCPBALANCER, "-db", "--control", str(tmp_path / "c")], [haproxy(), "-db"])):
            stats = free_port()
            text = _head(stats)
            for place, (_, lines, timeouts, options, code, _) in enumerate(LIMITS):
                port = silent if code == "L7TOUT" else nobody
                body = "".join(f"    {line.strip()}\n" for line in [lines, *timeouts.split(";")])
                text += f"backend l{place}\n{body}    server s 127.0.0.1:{port} check fall 1 {options}\n"
            home = tmp_path / str(number)
            home.mkdir()
            with BalancerProcess(command, text, home, stats) as program:
                found = [program.wait_for_status(f"l{place}/s", "DOWN", row[4]) for place, row in enumerate(LIMITS)]
                rows.append([int(row["check_duration"]) for row in found])
    limits = [row[-1] for row in LIMITS]
    for program, seen in enumerate(rows):
        late = [took - limit for took, limit in zip(seen, limits, strict=True)]
        if program:
            late[1] = 0  # 2.6 notices timeout check only when the time for the connection would be over
        assert all(-20 <= each < 400 for each in late), rows

"""What is asked over HTTP, of tcpbalancer and of a real HAProxy: the same answers, headers, forms, columns, lines."""

from __future__ import annotations

import base64
import contextlib
import csv
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, haproxy, until
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_to_end

pytestmark = pytest.mark.interop
COMMON = 103
"""Columns 0 to 102 are the same in every version."""
HASH = "$5$saltsalt$ZI/6D8IUtprIPT0oSEShQnlsdN7tuxxKSSObpb/Yq89"
"""What crypt(3) makes of ``pw2``."""


def basic(user: str) -> str:
    return f"Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"


ADMIN, ANN, BOB = basic("admin:secret"), basic("ann:pw1"), basic("bob:pw2")


class Lines:
    """A syslog server; ``seen`` is what has come, without what stands before the message."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(PATIENCE)
        self.port: int = self._socket.getsockname()[1]
        self.seen: list[str] = []

    def until(self, part: str) -> list[str]:
        """Return all lines up to the first that has this part."""
        while not any(part in line for line in self.seen):
            self.seen.append(self._socket.recv(8192).decode().split("]: ", 1)[-1].strip())
        return self.seen

    def close(self) -> None:
        self._socket.close()


@dataclass
class Program:
    """One of the two, with its ports by the name of the proxy."""

    running: BalancerProcess
    ports: dict[str, int]
    lines: Lines

    def ask(self, proxy: str, request: bytes) -> tuple[str, dict[str, str], bytes]:
        """Return status line, headers with small names, and the body without its chunks."""
        _, answer = self._say(proxy, request)
        head, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "transfer-encoding" in headers:
            body = unchunked(body)
        return status, headers, body

    def logged(self, proxy: str, request: bytes) -> str:
        """Return the line that a request leaves in the log: it is known by the client's port."""
        client, _ = self._say(proxy, request)
        return next(line for line in self.lines.until(client) if line.startswith(client))

    def _say(self, proxy: str, request: bytes) -> tuple[str, bytes]:
        with socket.create_connection(("127.0.0.1", self.ports[proxy]), PATIENCE) as client:
            client.sendall(request)
            return "{}:{} [".format(*client.getsockname()), read_to_end(client)

    def rows(self, target: str = "/stats;csv") -> tuple[list[str], dict[str, dict[str, str]]]:
        _, _, body = self.ask("stats", get(target, ADMIN))
        header, *lines = list(csv.reader(body.decode().removeprefix("# ").splitlines()))
        return header, {f"{line[0]}/{line[1]}": dict(zip(header, line, strict=True)) for line in lines if line}


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        whole, body = whole + rest[:count], rest[count + 2 :]
        if not count:
            break
    return whole


def get(target: str, more: str = "", method: str = "GET", version: str = "1.1", body: str = "") -> bytes:
    return f"{method} {target} HTTP/{version}\r\nHost: x\r\nConnection: close\r\n{more}\r\n{body}".encode()


def post(body: str, target: str = "/stats", more: str = ADMIN) -> bytes:
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return get(target, more + length, "POST", body=body)


def configuration(folder: Path, ports: dict[str, int], servers: list[int], log: int, form: str) -> str:
    return f"""\
global
    log 127.0.0.1:{log} local0
    maxconn 100
    node lb1
    description my lab
    stats socket {folder}/admin.sock level admin
userlist people
    group ops users ann
    user ann insecure-password pw1
    user bob password {HASH}
defaults
    mode http
    log global
    option {form}
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout http-request 400ms
listen stats
    bind 127.0.0.1:{ports["stats"]}
    stats enable
    stats uri /stats
    stats realm Lab
    stats refresh 5s
    stats show-legends
    stats show-node
    stats show-desc hello
    stats auth admin:secret
    stats auth x:y
    stats admin if TRUE
frontend open
    bind 127.0.0.1:{ports["open"]}
    maxconn 50
    monitor-uri /mon
    monitor fail if {{ nbsrv(gone) lt 1 }} {{ nbsrv(b) lt 1 }}
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request deny if {{ path /deny }}
    http-request deny deny_status 429 if {{ path_beg /busy }}
    http-request return status 200 content-type "text/plain" string "ok" if {{ path /ok }}
    http-request redirect location /stats if {{ path / }}
    http-request auth realm X if {{ path /auth }} !{{ http_auth(people) }}
    stats enable
    stats uri /stats
    stats scope b
    stats scope .
    stats hide-version
frontend rules
    bind 127.0.0.1:{ports["rules"]}
    stats uri /s
    stats http-request allow if {{ src 127.0.0.1 }} {{ path /s;csv }}
    stats http-request auth realm Zed unless {{ http_auth(people) }}
    stats http-request deny if {{ path /s;no }}
    stats admin if {{ http_auth_group(people) ops }}
frontend plain
    bind 127.0.0.1:{ports["plain"]}
    stats enable
backend b
    mode tcp
    balance roundrobin
    server s1 127.0.0.1:{servers[0]} check inter 200ms
    server s2 127.0.0.1:{servers[1]} check inter 200ms backup
backend gone
    mode tcp
    balance roundrobin
    server g1 127.0.0.1:1 check inter 200ms fall 1
listen t
    mode tcp
    bind 127.0.0.1:{ports["t"]}
    balance roundrobin
    server s1 127.0.0.1:{servers[0]}
    server s2 127.0.0.1:{servers[1]} weight 3 maxconn 10
    server s3 127.0.0.1:{servers[1]} disabled
"""


def started(folder: Path, form: str, servers: list[int], stack: contextlib.ExitStack) -> list[Program]:
    programs = []
    for name in ("ours", "real"):
        place = folder / name
        place.mkdir()
        ports = {proxy: free_port() for proxy in ("stats", "open", "rules", "plain", "t")}
        lines = Lines()
        stack.callback(lines.close)
        command = [*TCPBALANCER, "-db", "--control", str(place / "c")] if name == "ours" else [haproxy(), "-db"]
        text = configuration(place, ports, servers, lines.port, form)
        running = stack.enter_context(BalancerProcess(command, text, place, ports["stats"]))
        programs.append(Program(running, ports, lines))
    for program in programs:
        until(lambda: program.rows()[1]["gone/g1"]["status"] == "DOWN", "a check has failed")  # noqa: B023 - now
        until(lambda: program.rows()[1]["b/s1"]["check_status"] == "L4OK", "a check has passed")  # noqa: B023
    return programs


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Program]]:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(b"hi\n"))).port for _ in range(2)]
        yield started(tmp_path_factory.mktemp("tcplog"), "tcplog", servers, stack)


OURS_ALONE = {"content-security-policy", "x-content-type-options"}
"""What forbids a page to do what it never does."""


def told(program: Program, proxy: str, request: bytes) -> tuple[str, dict[str, str], bytes]:
    status, headers, body = program.ask(proxy, request)
    kept = {name: value for name, value in headers.items() if name not in OURS_ALONE}
    if status.split()[1] == "200" and kept.get("content-type") == "text/html":
        kept.pop("refresh", None)  # ours asks for the numbers by itself, and is not loaded again
        body = b"" if b"Service ready" not in body else body
    return status, kept, body


REQUESTS = {
    "page": ("stats", get("/stats", ADMIN)),
    "head": ("stats", get("/stats", ADMIN, "HEAD")),
    "no credentials": ("stats", get("/stats")),
    "wrong credentials": ("stats", get("/stats", basic("admin:x"))),
    "second user": ("stats", get("/stats", basic("x:y"))),
    "another url": ("stats", get("/xx", ADMIN)),
    "put": ("stats", get("/stats", ADMIN, "PUT")),
    "options": ("stats", get("/stats", ADMIN, "OPTIONS")),
    "delete": ("stats", get("/stats", ADMIN, "DELETE")),
    "longer url": ("stats", get("/statsfoo", ADMIN)),
    "norefresh": ("stats", get("/stats;norefresh", ADMIN)),
    "garbage": ("stats", b"GARBAGE\r\n\r\n"),
    "http 0.9": ("stats", b"GET /stats\r\n\r\n"),
    "no header": ("stats", b"GET /stats HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n"),
    "half a request": ("stats", b"GET /stats HTTP/1.1\r\nHos"),
    "silence": ("stats", b""),
    "too long a form": ("stats", post("a" * 20000)),
    "no admin": ("open", post("s=s1&action=ready&b=b", more="")),
    "monitor": ("open", get("/mon")),
    "monitor with a query": ("open", get("/mon?x")),
    "monitor head": ("open", get("/mon", method="HEAD")),
    "denied": ("open", get("/deny")),
    "denied otherwise": ("open", get("/busy")),
    "returned": ("open", get("/ok")),
    "redirected": ("open", get("/")),
    "asked who": ("open", get("/auth")),
    "known": ("open", get("/auth", ANN)),
    "known by a hash": ("open", get("/auth", BOB)),
    "rule auth": ("rules", get("/s")),
    "rule deny": ("rules", get("/s;no", BOB)),
    "rule pass": ("rules", get("/s", BOB)),
    "admin by group": ("rules", post("s=s1&action=ready&b=b", "/s", ANN)),
    "no admin by group": ("rules", post("s=s1&action=ready&b=b", "/s", BOB)),
    "default uri": ("plain", get("/haproxy?stats")),
    "only a part of it": ("plain", get("/haproxy")),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_has_the_same_answer(pair: list[Program], name: str) -> None:
    ours, real = (told(program, *REQUESTS[name]) for program in pair)
    assert ours == real


@pytest.mark.parametrize(
    "suffix", [";csv", "/;csv", "/;csv;norefresh", ";json", ";typed", ";json-schema", ";csv;up", ";csv;no-maint"]
)
def test_other_forms_of_the_page_have_the_same_headers(pair: list[Program], suffix: str) -> None:
    ours, real = (program.ask("stats", get(f"/stats{suffix}", ADMIN))[:2] for program in pair)
    assert ours == real


FORMS = [
    "s=s1&action=maint&b=b", "s=s1&action=ready&b=b", "s=s1&action=drain&b=%232", "s=s1&s=s2&action=maint&b=b",
    "s=s1&s=zz&action=maint&b=b", "s=zz&action=maint&b=b", "s=s1&action=maint&b=zz", "s=s1&action=foo&b=b",
    "action=maint&b=b", "s=s1&b=b", "s=s1&action=&b=b", "", "foo", "s=s1&action=hdown&b=b", "s=s1&action=shutdown&b=b",
    "s=s2&action=dagent&b=t", "s=s3&action=ehlth&b=t", "s=s1&action=arunn&b=t", "s=s1&action=ready&b=b&b=t",
    "s=s1&action=dhlth&b=b", "s=s1&action=ehlth&b=b", "b=b&action=ready&s=s1&s=s2", "x=y&s=s1&action=ready&b=b",
    "s=s1&action=disable&b=b", "s=s1&action=enable&b=b", "s=s1&action=stop&b=b", "s=s1&action=start&b=b",
    "s=t/s1&action=ready&b=b", "s=S1&action=ready&b=B", "s=s1&action=hrunn&b=b",
]  # fmt: skip


def test_post_admin_has_the_same_outcome_and_the_same_effect(pair: list[Program]) -> None:
    for form in FORMS:
        ours, real = (program.ask("stats", post(form))[1]["location"] for program in pair)
        assert ours == real, form
        words = [
            {name: row["status"].split()[0] for name, row in program.rows()[1].items() if row["type"] == "2"}
            for program in pair
        ]
        if "hdown" not in form:  # the next check may have brought it back on one side
            assert {**words[0], "gone/g1": ""} == {**words[1], "gone/g1": ""}, form
    for suffix in (";norefresh;up", ";csv"):
        ours, real = (program.ask("stats", post("foo", f"/stats{suffix}"))[1]["location"] for program in pair)
        assert ours == real


FIXED = {
    "pxname", "svname", "status", "act", "bck", "type", "iid", "sid", "pid", "mode", "slim", "weight", "rate_lim",
    "addr", "check_status", "uweight", "qlimit", "chkfail", "algo", "comp_in", "lbtot", "throttle", "tracked",
}  # fmt: skip


def test_columns_are_filled_alike_and_those_that_do_not_move_are_equal(pair: list[Program]) -> None:
    for program in pair:
        program.ask("stats", post("s=s1&s=s2&action=ready&b=b"))
        until(
            lambda: {program.rows()[1][f"b/s{number}"]["status"] for number in (1, 2)} == {"UP"},  # noqa: B023
            "all are up again",
        )
    (our_header, ours), (real_header, real) = (program.rows() for program in pair)
    assert our_header[:COMMON] == real_header[:COMMON]
    assert list(ours) == list(real)
    for name, row in real.items():
        differing = {
            column: (ours[name][column], row[column])
            for column in real_header[:COMMON]
            if bool(ours[name][column]) != bool(row[column]) or (column in FIXED and ours[name][column] != row[column])
        }
        assert not differing, name


def test_what_a_page_counts_of_itself_is_the_same(pair: list[Program]) -> None:
    seen = []
    for program in pair:
        before = program.rows()[1]["open/FRONTEND"]
        for request in (get("/ok"), get("/deny"), get("/xx"), get("/"), get("/mon"), b"GARBAGE\r\n\r\n"):
            program.ask("open", request)
        after = program.rows()[1]["open/FRONTEND"]
        names = ("stot", "req_tot", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx", "dreq", "ereq", "conn_tot", "bin")
        seen.append({name: int(after[name]) - int(before[name]) for name in names if name != "bin"})
        assert int(after["bout"]) > int(before["bout"])
    assert seen[0] == seen[1]


def test_scope_shows_the_same_proxies(pair: list[Program]) -> None:
    for proxy, target in (("open", "/stats;csv"), ("stats", "/stats?scope=b;csv"), ("stats", "/stats;scope=zzz;csv")):
        names = [
            [line.split(",")[0] for line in program.ask(proxy, get(target, ADMIN))[2].decode().splitlines()[1:] if line]
            for program in pair
        ]
        assert names[0] == names[1], target


def test_json_has_the_same_shape_and_the_same_fields(pair: list[Program]) -> None:
    shapes = []
    for program in pair:
        document = json.loads(program.ask("stats", get("/stats;json", ADMIN))[2])
        shapes.append(
            [
                {(field["objType"], field["proxyId"], field["id"], field["field"]["name"], field["processNum"],
                  tuple(field["tags"]), tuple(field["value"]))
                 for field in row if field["field"]["pos"] < COMMON}
                for row in document
            ]
        )  # fmt: skip
    assert [{field[3] for field in row} for row in shapes[1]] == [
        {field[3] for field in row if field[3] != "-"} for row in shapes[0]
    ]
    assert shapes[0] == shapes[1]


def test_metrics_have_the_same_families_series_and_types(pair: list[Program]) -> None:
    ours, real = (program.ask("open", get("/metrics")) for program in pair)
    assert ours[:2] == real[:2]
    types = [dict(re.findall(r"^# TYPE (\S+) (\w+)$", each[2].decode(), re.MULTILINE)) for each in (ours, real)]
    other = {name: kind for name, kind in types[1].items() if types[0].get(name) != kind}
    assert other == {"haproxy_backend_downtime_seconds_total": "counter"}, "a gauge in 3.5"
    series = [
        set(re.findall(r"^(haproxy_[^# ]+(?:\{[^}]*\})?) ", each[2].decode(), re.MULTILINE)) for each in (ours, real)
    ]
    wanted = {name for name in series[1] if "build_info" not in name}
    assert not wanted - series[0]
    for query in ("scope=global", "scope=", "scope=foo", "scope=server&scope=global", "scope=*", "no-maint"):
        answers = [program.ask("open", get(f"/metrics?{query}")) for program in pair]
        assert answers[0][0] == answers[1][0], query
        shown = [set(re.findall(r"^# TYPE haproxy_([a-z]+)_", each[2].decode(), re.MULTILINE)) for each in answers]
        assert shown[0] == shown[1], query


def test_a_connection_is_kept_for_the_next_request(pair: list[Program]) -> None:
    for program in pair:
        with socket.create_connection(("127.0.0.1", program.ports["open"]), PATIENCE) as client:
            ask = b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n"
            client.sendall(ask + ask)
            answer = b""
            while answer.count(b"\r\n\r\nok") < 2:
                answer += client.recv(4096)
            assert not client.recv(1), "after http-request it is closed"


LOGGED = [
    ("stats", get("/stats", ADMIN)), ("stats", get("/stats")), ("stats", get("/xx", ADMIN)),
    ("stats", b"GARBAGE\r\n\r\n"), ("stats", b"GET /stats HTTP/1.1\r\nHos"), ("stats", post("foo")),
    ("open", get("/metrics")), ("open", get("/deny")), ("open", get("/ok")), ("open", get("/auth")),
    ("rules", get("/s")), ("rules", get("/s;no", BOB)), ("plain", get("/the-last-one")),
]  # fmt: skip


@pytest.mark.parametrize("form", ["tcplog", "httplog"])
def test_a_request_has_the_same_line_in_the_log(tmp_path: Path, form: str) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(b"hi\n"))).port for _ in range(2)]
        seen = []
        for program in started(tmp_path, form, servers, stack):
            program.lines.seen.clear()
            program.ask("open", get("/mon"))
            seen.append([masked(program.logged(proxy, request)) for proxy, request in LOGGED])
            asked = sum(proxy == "open" for proxy, _ in LOGGED)
            assert sum(" open open/" in line for line in program.lines.seen) == asked, "the monitor leaves none"
        assert seen[0] == seen[1]


def masked(line: str) -> str:
    """Return a line without client, date, times, sizes and counts of others; a 401 of the page is a 400 in 2.6."""
    text = re.sub(r"^\S+ \[[^]]*\] ", "", line)
    text = re.sub(r" \d+/\d+/0/0/0 0/0", "", text)
    text = re.sub(r"(/<\w+> (?:-?\d+/)+)\d+ ((?:\d{3} )?)\d+ ", r"\1T \2B ", text)
    text = re.sub(r"/<NOSRV> (-1|0)/-1/-1/-1/T", "/<NOSRV> -1/-1/-1/T", text)
    text = re.sub(r"(/<STATS> 0/0/0)/-1/T 400 (.*LR)", r"\1/0/T 401 \2", text)
    return re.sub(r"(/<STATS> 0/0/0)/-1/T 400 (.*PR)", r"\1/0/T 403 \2", text)

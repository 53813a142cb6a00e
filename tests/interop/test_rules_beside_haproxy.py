"""Rules and the PROXY protocol beside the real HAProxy: the same file, the same client, the same end."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, haproxy, until
from client_hello import CLIENT_HELLO
from tcp_peers import PATIENCE, ScriptedServer, free_port, read_exactly, read_to_end, reset

from tcpbalancer.proxy_protocol import SIGNATURE

pytestmark = pytest.mark.interop

NAMES = [
    "reject",
    "connection",
    "session_reject",
    "content_reject",
    "late",
    "sni",
    "use_server",
    "stick_src",
    "stick_dst",
    "silent",
    "empty",
    "local",
    "proxy",
    "proxy_rule",
    "proxy_acl",
    "http",
    "back_reject",
    "listen_reject",
    "counted",
]


class Lab:
    """One program with the file of this test, on ports of its own."""

    def __init__(self, command: list[str], folder: Path, one: int, two: int) -> None:
        self.ports = {name: free_port() for name in NAMES}
        self.log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.log.bind(("127.0.0.1", 0))
        self.log.settimeout(PATIENCE)
        stats = free_port()
        (folder / "nobody").write_text("# nobody is let in\n127.0.0.0/8\n")
        self.text = f"""\
global
    log 127.0.0.1:{self.log.getsockname()[1]} local0
defaults
    mode tcp
    log global
    option tcplog
    timeout connect 1s
    timeout client 2s
    timeout server 2s
listen stats
    mode http
    no log
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
    stats auth admin:secret
frontend reject
    bind 127.0.0.1:{self.ports["reject"]}
    tcp-request connection reject if LOCALHOST
    default_backend one
frontend connection
    bind 127.0.0.1:{self.ports["connection"]}
    acl ours src -f {folder / "nobody"}
    tcp-request connection accept unless !ours
    tcp-request connection reject
    default_backend one
frontend session_reject
    bind 127.0.0.1:{self.ports["session_reject"]}
    tcp-request session reject if {{ src_port gt 0 }} {{ dst_port {self.ports["session_reject"]} }}
    default_backend one
frontend content_reject
    bind 127.0.0.1:{self.ports["content_reject"]}
    tcp-request inspect-delay 1s
    tcp-request content accept if {{ req.payload(0,4) -m str good }}
    tcp-request content reject if REQ_CONTENT
    default_backend one
frontend late
    bind 127.0.0.1:{self.ports["late"]}
    tcp-request inspect-delay 300ms
    tcp-request content accept if REQ_CONTENT
    tcp-request content reject if WAIT_END
    default_backend one
frontend sni
    bind 127.0.0.1:{self.ports["sni"]}
    tcp-request inspect-delay 2s
    tcp-request content accept if {{ req.ssl_hello_type 1 }}
    use_backend two if {{ req.ssl_sni -i DB.example.org }}
    use_backend two if {{ req.ssl_sni -m end .example.net }}
    default_backend one
frontend http
    bind 127.0.0.1:{self.ports["http"]}
    tcp-request inspect-delay 1s
    tcp-request content accept if HTTP
    use_backend two if HTTP
    default_backend one
frontend back_reject
    bind 127.0.0.1:{self.ports["back_reject"]}
    default_backend refusing
backend refusing
    tcp-request content reject if {{ src 127.0.0.1 }}
    server s 127.0.0.1:{one}
listen listen_reject
    bind 127.0.0.1:{self.ports["listen_reject"]}
    tcp-request content reject unless {{ always_false }} || {{ dst_port 1 }}
    server s 127.0.0.1:{one}
listen use_server
    bind 127.0.0.1:{self.ports["use_server"]}
    use-server b if {{ src 127.0.0.2 }}
    server a 127.0.0.1:{one}
    server b 127.0.0.1:{two}
listen stick_src
    bind 127.0.0.1:{self.ports["stick_src"]}
    stick-table type ip size 1k expire 30m
    stick on src
    server a 127.0.0.1:{one}
    server b 127.0.0.1:{two}
listen stick_dst
    bind 0.0.0.0:{self.ports["stick_dst"]}
    stick-table type ip size 1000
    stick on dst
    server a 127.0.0.1:{one}
    server b 127.0.0.1:{two}
listen empty
    bind 127.0.0.1:{self.ports["empty"]}
    tcp-request connection reject if
    server a 127.0.0.1:{one}
listen local
    bind 127.0.0.1:{self.ports["local"]}
    tcp-request connection reject if {{ dst_is_local }} {{ src_is_local }} {{ src 127.0.0.3 }}
    server a 127.0.0.1:{one}
listen silent
    bind 127.0.0.1:{self.ports["silent"]}
    tcp-request content silent-drop
    server a 127.0.0.1:{one}
frontend counted
    bind 127.0.0.1:{self.ports["counted"]}
    use_backend two if {{ nbsrv(two) ge 1 }} {{ srv_is_up(two/t) }} {{ be_conn(two) lt 1 }} !{{ fe_conn gt 5 }}
    default_backend one
listen proxy
    bind 127.0.0.1:{self.ports["proxy"]} accept-proxy name door
    server a 127.0.0.1:{one}
frontend proxy_rule
    bind 127.0.0.1:{self.ports["proxy_rule"]}
    tcp-request connection expect-proxy layer4 if {{ src 127.0.0.2 }}
    default_backend one
frontend proxy_acl
    bind 127.0.0.1:{self.ports["proxy_acl"]} accept-proxy
    tcp-request session reject if {{ src 192.0.2.0/24 }}
    use_backend two if {{ dst 198.51.100.1 }} {{ dst_port 443 }}
    default_backend one
backend one
    server o 127.0.0.1:{one}
backend two
    server t 127.0.0.1:{two}
"""
        self.program = BalancerProcess(command, self.text, folder, stats)

    def ask(self, name: str, *parts: bytes, source: str = "127.0.0.1", target: str = "127.0.0.1") -> str:
        """What a client sees that sends some data, then the end: the server's banner and echo, or how it ended."""
        try:
            with socket.create_connection((target, self.ports[name]), PATIENCE, (source, 0)) as client:
                for part in parts:
                    client.sendall(part)
                with contextlib.suppress(OSError):  # it may have been refused by now
                    client.shutdown(socket.SHUT_WR)
                return read_to_end(client).decode("latin-1") or "FIN"
        except ConnectionResetError:
            return "RST"

    def line(self) -> str:
        """The next line of the log, from the frontend's name on, without times and counts of connections."""
        return self.log.recv(2000).decode().partition("]: ")[2]


def echo(name: bytes):  # type: ignore[no-untyped-def] # a script
    def script(peer: socket.socket) -> None:
        peer.sendall(name)
        while data := peer.recv(65536):
            peer.sendall(data)

    return script


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Lab]]:
    folders = [tmp_path_factory.mktemp("ours"), tmp_path_factory.mktemp("real")]
    with contextlib.ExitStack() as stack:
        one, two = (stack.enter_context(ScriptedServer(echo(name))) for name in (b"one:", b"two:"))
        commands = [[*TCPBALANCER, "-db", "--control", str(folders[0] / "control")], [haproxy(), "-db"]]
        pair = [Lab(command, folder, one.port, two.port) for command, folder in zip(commands, folders, strict=True)]
        for lab in pair:
            stack.enter_context(lab.program)
            stack.callback(lab.log.close)
        yield pair


@pytest.fixture(autouse=True)
def nothing_left_in_the_logs(labs: list[Lab]) -> None:
    for lab in labs:
        lab.log.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                lab.log.recv(2000)
        lab.log.settimeout(PATIENCE)


def both(labs: list[Lab], name: str, *parts: bytes, **where: str) -> str:
    """What the client sees, if it is the same with both."""
    seen = [lab.ask(name, *parts, **where) for lab in labs]
    assert seen[0] == seen[1]
    return seen[0]


def fields(text: str) -> list[str]:
    """The parts of a log line that do not depend on the moment: where to, and the flags."""
    words = text.split()
    return [words[2], words[3], words[6]]


def lines(labs: list[Lab]) -> list[str]:
    seen = [fields(lab.line()) for lab in labs]
    assert seen[0] == seen[1]
    return seen[0]


def test_tcp_request_connection_reject_resets_and_is_counted_but_not_logged(labs: list[Lab]) -> None:
    assert both(labs, "reject") == "RST"
    for lab in labs:
        until(lambda: lab.program.csv()[1]["reject/FRONTEND"]["dcon"] == "1", "dcon is 1")  # noqa: B023
        row = lab.program.csv()[1]["reject/FRONTEND"]
        assert [row[key] for key in ("stot", "dcon", "dses", "dreq", "scur", "conn_tot")] == list("010001")


def test_tcp_request_connection_accept_by_a_file_of_addresses(labs: list[Lab]) -> None:
    assert both(labs, "connection", b"x") == "one:x"
    assert lines(labs) == ["connection", "one/o", "--"]


def test_tcp_request_session_reject_closes_and_is_counted_but_not_logged(labs: list[Lab]) -> None:
    assert both(labs, "session_reject") == "FIN"
    for lab in labs:
        until(lambda: lab.program.csv()[1]["session_reject/FRONTEND"]["dses"] == "1", "dses is 1")  # noqa: B023
        row = lab.program.csv()[1]["session_reject/FRONTEND"]
        assert [row[key] for key in ("stot", "dcon", "dses", "dreq", "scur", "conn_tot")] == list("001001")


def test_a_client_that_resets_its_connection_while_rules_wait_for_more_reaches_no_server(labs: list[Lab]) -> None:
    for lab in labs:
        client = socket.create_connection(("127.0.0.1", lab.ports["sni"]), PATIENCE)
        until(lambda: lab.program.csv()[1]["sni/FRONTEND"]["scur"] == "1", "it has come")  # noqa: B023
        reset(client)
    assert lines(labs) == ["sni", "one/<NOSRV>", "CR"]


def test_tcp_request_content_reject_looks_at_what_was_sent(labs: list[Lab]) -> None:
    assert both(labs, "content_reject", b"good morning") == "one:good morning"
    assert lines(labs) == ["content_reject", "one/o", "--"]
    assert both(labs, "content_reject", b"bad") == "FIN"
    assert lines(labs) == ["content_reject", "content_reject/<NOSRV>", "PR"]
    for lab in labs:
        row = lab.program.csv()[1]["content_reject/FRONTEND"]
        assert [row[key] for key in ("stot", "dreq")] == ["2", "1"]


def test_tcp_request_inspect_delay_waits_for_what_is_missing(labs: list[Lab]) -> None:
    seen = []
    for lab in labs:
        with socket.create_connection(("127.0.0.1", lab.ports["late"]), PATIENCE) as client:
            seen.append(read_to_end(client))  # nothing is sent: the delay decides
        words = lab.line().split()
        assert words[2:4] == ["late", "late/<NOSRV>"]
        assert words[6] == "PR"
        assert 280 <= int(words[4].split("/")[2]) < 2000
    assert seen == [b"", b""]
    assert both(labs, "late", b"x") == "one:x"
    assert lines(labs) == ["late", "one/o", "--"]


def test_use_backend_by_req_ssl_sni_of_a_recorded_client_hello(labs: list[Lab]) -> None:
    hello = CLIENT_HELLO.decode("latin-1")
    assert both(labs, "sni", CLIENT_HELLO) == f"two:{hello}"
    assert lines(labs) == ["sni", "two/t", "--"]
    other = CLIENT_HELLO.replace(b"db.example.org", b"db.example.net")
    assert both(labs, "sni", other) == f"two:{other.decode('latin-1')}"
    assert lines(labs) == ["sni", "two/t", "--"]
    third = CLIENT_HELLO.replace(b"db.example.org", b"db.example.com")
    assert both(labs, "sni", third) == f"one:{third.decode('latin-1')}"
    assert lines(labs) == ["sni", "one/o", "--"]


def test_use_backend_by_a_hello_that_comes_in_pieces(labs: list[Lab]) -> None:
    for lab in labs:
        with socket.create_connection(("127.0.0.1", lab.ports["sni"]), PATIENCE) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(CLIENT_HELLO), 100):
                client.sendall(CLIENT_HELLO[start : start + 100])
            client.shutdown(socket.SHUT_WR)
            assert read_to_end(client) == b"two:" + CLIENT_HELLO
    assert lines(labs) == ["sni", "two/t", "--"]


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\x05abcde", b"\x16\x03\x01\xff\xff\x01\xff\xff\xff" + b"x" * 40, b"\xff" * 600, b"\0"]
)
def test_use_backend_by_bytes_that_are_no_hello_goes_to_the_default(labs: list[Lab], data: bytes) -> None:
    assert both(labs, "sni", data) == f"one:{data.decode('latin-1')}"
    assert lines(labs) == ["sni", "one/o", "--"]


def test_use_backend_if_http(labs: list[Lab]) -> None:
    for data, server in ((b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "two"), (b"SSH-2.0-x\r\n", "one")):
        assert both(labs, "http", data).startswith(f"{server}:")
        assert lines(labs) == ["http", f"{server}/{server[0]}", "--"]


def test_use_backend_by_counts(labs: list[Lab]) -> None:
    assert both(labs, "counted", b"x") == "two:x"
    assert lines(labs) == ["counted", "two/t", "--"]


def test_tcp_request_content_reject_of_a_backend(labs: list[Lab]) -> None:
    assert both(labs, "back_reject", b"x") == "FIN"
    assert lines(labs) == ["back_reject", "refusing/<NOSRV>", "PR"]
    seen = []
    for lab in labs:
        rows = lab.program.csv()[1]
        seen.append(
            [rows[name][key] for name in ("back_reject/FRONTEND", "refusing/BACKEND") for key in ("dreq", "stot")]
        )
    assert seen[0] == seen[1]
    assert both(labs, "listen_reject", b"x") == "FIN"
    assert lines(labs) == ["listen_reject", "listen_reject/<NOSRV>", "PR"]


def test_use_server_where_its_condition_holds(labs: list[Lab]) -> None:
    for _ in range(3):
        assert both(labs, "use_server", b"x", source="127.0.0.2") == "two:x"
        assert lines(labs) == ["use_server", "use_server/b", "--"]


def test_stick_on_src_keeps_a_client_on_its_server(labs: list[Lab]) -> None:
    seen = []
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"):
        seen.append(both(labs, "stick_src", b"x", source=source))
        lines(labs)
    assert seen == [f"{name}:x" for name in ("one", "two", "one", "one", "two", "one", "one")]


def test_stick_on_dst_keeps_an_address_on_its_server(labs: list[Lab]) -> None:
    seen = []
    for source, target in (("127.0.0.1", "127.0.0.1"), ("127.0.0.2", "127.0.0.2"), ("127.0.0.3", "127.0.0.2")) * 2:
        seen.append(both(labs, "stick_dst", b"x", source=source, target=target))
        lines(labs)
    assert seen == [f"{name}:x" for name in ("one", "two", "two") * 2]


def test_a_condition_without_a_test_never_holds(labs: list[Lab]) -> None:
    assert both(labs, "empty", b"x") == "one:x"
    lines(labs)


def test_local_addresses_are_known_as_such(labs: list[Lab]) -> None:
    assert both(labs, "local", b"x", source="127.0.0.3") == "RST"
    assert both(labs, "local", b"x") == "one:x"
    lines(labs)


def test_silent_drop_says_nothing(labs: list[Lab]) -> None:
    for lab in labs:
        with socket.create_connection(("127.0.0.1", lab.ports["silent"]), PATIENCE) as client:
            client.settimeout(0.3)
            with pytest.raises(TimeoutError):
                client.recv(1)
    lines(labs)


# -- the PROXY protocol in ------------------------------------------------------------------------------------------

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n"
V2 = SIGNATURE + bytes.fromhex("2111000c c0000207 c6336401 10e1 01bb")
V2_TLV = SIGNATURE + bytes.fromhex("21110014 c0000207 c6336401 10e1 01bb 050005") + b"an id"
V2_LOCAL = SIGNATURE + bytes.fromhex("20000000")


@pytest.mark.parametrize("header", [V1, V2, V2_TLV])
def test_accept_proxy_tells_who_the_client_is(labs: list[Lab], header: bytes) -> None:
    assert both(labs, "proxy", header, b"x") == "one:x"
    assert {lab.line().split()[0] for lab in labs} == {"192.0.2.7:4321"}


@pytest.mark.parametrize("header", [V2_LOCAL, b"PROXY UNKNOWN\r\n"])
def test_accept_proxy_without_addresses_leaves_the_connection_s_own(labs: list[Lab], header: bytes) -> None:
    assert both(labs, "proxy", header, b"x") == "one:x"
    assert {lab.line().partition(":")[0] for lab in labs} == {"127.0.0.1"}


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"",
        b"PRO",
        b"\0",
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP6 192.0.2.7 198.51.100.1 4321 443\r\n",
        b"PROXY UDP4 192.0.2.7 198.51.100.1 4321 443\r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + bytes.fromhex("11110000"),
        SIGNATURE + bytes.fromhex("22110000"),
        SIGNATURE + bytes.fromhex("21110004") + bytes(4),
        SIGNATURE + bytes.fromhex("2111ffff") + bytes(40),
        V2_TLV[:16] + V2_TLV[16:28] + b"\x05\xff\xff" + bytes(5),
    ],
)
def test_accept_proxy_refuses_what_is_no_header_in_the_same_words(labs: list[Lab], data: bytes) -> None:
    assert both(labs, "proxy", data) in {"FIN", "RST"}
    seen = [lab.line().partition("] ")[2] for lab in labs]
    assert seen[0] == seen[1]
    assert seen[0].startswith("proxy/door: ")


def test_accept_proxy_waits_no_longer_than_timeout_client(labs: list[Lab]) -> None:
    seen = []
    for lab in labs:
        with socket.create_connection(("127.0.0.1", lab.ports["proxy"]), PATIENCE) as client:
            seen.append(read_to_end(client))
    assert seen == [b"", b""]
    told = {lab.line().partition("] ")[2].strip() for lab in labs}
    assert told == {"proxy/door: Timeout while waiting for PROXY protocol header"}


@pytest.mark.parametrize(
    ("parts", "ours", "real"),
    [
        # The specification lets a receiver wait for the rest; HAProxy wants the header in one piece.
        ((V1[:20], V1[20:] + b"x"), "one:x", "RST"),
        # It says that what stands behind UNKNOWN has to be ignored, and so has a family that cannot arrive here.
        ((b"PROXY UNKNOWN 1 2 3\r\nx",), "one:x", "RST"),
        ((SIGNATURE + bytes.fromhex("213100d8") + bytes(216) + b"x",), "one:x", "RST"),
        # HAProxy takes a port modulo 65536.
        ((V1.replace(b"443", b"99999") + b"x",), "RST", "one:x"),
    ],
)
def test_accept_proxy_follows_the_specification_where_haproxy_does_not(
    labs: list[Lab], parts: tuple[bytes, ...], ours: str, real: str
) -> None:
    for lab, expected in zip(labs, (ours, real), strict=True):
        with socket.create_connection(("127.0.0.1", lab.ports["proxy"]), PATIENCE) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for part in parts:
                    client.sendall(part)
                    select.select([client], [], [], 0.1)  # the parts shall not arrive together
                seen = read_exactly(client, 5).decode()
            except ConnectionError:
                seen = "RST"
        assert seen == expected
        lab.line()


def test_expect_proxy_asks_only_whom_the_rule_means(labs: list[Lab]) -> None:
    assert both(labs, "proxy_rule", V1, b"x", source="127.0.0.2") == "one:x"
    assert {lab.line().split()[0] for lab in labs} == {"192.0.2.7:4321"}
    assert both(labs, "proxy_rule", b"x") == "one:x"
    lines(labs)


def test_rules_see_the_addresses_of_the_header(labs: list[Lab]) -> None:
    assert both(labs, "proxy_acl", V1 + b"x") == "RST"
    assert labs[1].line().rstrip().endswith(" proxy_acl/1: Success")  # what it means is in docs/differences.md
    other = V1.replace(b"192.0.2.7", b"203.0.113.7")
    assert both(labs, "proxy_acl", other, b"x") == "two:x"
    assert {lab.line().split()[0] for lab in labs} == {"203.0.113.7:4321"}

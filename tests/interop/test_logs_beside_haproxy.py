"""The same connections logged by a real HAProxy and by ours: who is told what, when, and in which format."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess, haproxy
from tcp_peers import PATIENCE, ScriptedServer, echo, free_port, read_exactly, read_to_end, reset

pytestmark = pytest.mark.interop

VARIABLES = (
    "B=%B U=%U H=%H ac=%ac b=%b bc=%bc bi=%bi bq=%bq ci=%ci f=%f fc=%fc fi=%fi ft=%ft rc=%rc s=%s sc=%sc si=%si sq=%sq "
    "ts=%ts tsc=%tsc ID=%ID Th=%Th %{+Q}ci %{+Q}b %{+Q}s %{+Q}ts %{+X}ci %{-Q}f %% %sslv %hr"
)
CONFIGURATION = """
global
    log 127.0.0.1:{log} local1
    {whole}
defaults
    mode tcp
    log global
    retries 0
    timeout client {patience}
    timeout connect 1s
    timeout server 5s
listen stats
    mode http
    no log
    bind 127.0.0.1:{stats}
    stats enable
    stats uri /stats
    stats auth admin:secret
listen l
    bind 127.0.0.1:{port}
    {words}
    server s1 127.0.0.1:{server}
"""


def greets(client: socket.socket) -> None:
    client.sendall(b"x")
    assert read_exactly(client, 7) == b"hello\nx"


def listens(client: socket.socket) -> None:
    assert read_exactly(client, 6) == b"hello\n"


def finds_nobody(client: socket.socket) -> None:
    assert read_to_end(client) == b""


def resets(client: socket.socket) -> None:
    listens(client)
    reset(client)


def is_cut(client: socket.socket) -> None:
    assert read_to_end(client) == b"hello\n"


CASES: dict[str, tuple[str, str, Callable[[socket.socket], None]]] = {
    "no format": ("", "", greets),
    "option tcplog": ("option tcplog", "", greets),
    "option httplog in TCP mode": ("option httplog", "", greets),
    "option dontlognull, client silent": ("option tcplog\n option dontlognull", "", listens),
    "option dontlognull, client speaks": ("option tcplog\n option dontlognull", "", greets),
    "option dontlognull, nobody there": ("option tcplog\n option dontlognull", "refused", finds_nobody),
    "option dontlog-normal": ("option tcplog\n option dontlog-normal", "", greets),
    "option dontlog-normal, refused": ("option tcplog\n option dontlog-normal", "refused", finds_nobody),
    "option dontlog-normal, reset": ("option tcplog\n option dontlog-normal", "", resets),
    "option log-separate-errors": ("option tcplog\n option log-separate-errors", "", greets),
    "option log-separate-errors, refused": ("option tcplog\n option log-separate-errors", "refused", finds_nobody),
    "option logasap": ("option tcplog\n option logasap", "", greets),
    "option logasap, refused": ("option tcplog\n option logasap", "refused", finds_nobody),
    "option logasap and dontlognull": ("option tcplog\n option logasap\n option dontlognull", "", listens),
    "option logasap and dontlog-normal": ("option tcplog\n option logasap\n option dontlog-normal", "", is_cut),
    "log-format": (f'log-format "{VARIABLES}"', "", greets),
    "log-format, refused": (f'log-format "{VARIABLES}"', "refused", finds_nobody),
    "log-format for all": ('log-format "%{+Q}o %ci %b %s %ts %B %{-Q}f"', "", greets),
    "error-log-format": ('option tcplog\n error-log-format "ERR %ts %b/%s"', "refused", finds_nobody),
    "log-tag": ("option tcplog\n log-tag mine", "", greets),
    "no log": ("option tcplog\n no log", "", greets),
}
SILENT = {
    "option dontlognull, client silent", "option dontlognull, nobody there", "option dontlog-normal", "no log",
}  # fmt: skip
HEADS = {
    "default": "",
    "log-tag": "log-tag lb",
    "log-send-hostname": "log-send-hostname myhost",
    **{name: f"log 127.0.0.1:LOG format {name} local2 info notice" for name in ("local", "rfc3164", "rfc5424")},
    **{name: f"log 127.0.0.1:LOG format {name} local3 info" for name in ("priority", "short", "timed", "iso", "raw")},
    "len": "log 127.0.0.1:LOG len 90 format raw local4",
    "level": "log 127.0.0.1:LOG local4 notice",
}
_MASKS = (
    (re.compile(r"\[\d+\]:"), "[PID]:"),
    (re.compile(r"(?<= haproxy )\d+(?= - - )"), "PID"),
    (re.compile(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d\.\d{3}"), "DATE"),
    (re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"), "STAMP"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"), "ISO"),
    (re.compile(r"(?<= )\d+(?=/1/\d/\d/\S+ \d/\d)|(?<= ac=)\d+"), "AC"),  # the page is looked at meanwhile
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:PORT"),
    (re.compile(r" (-1|\d+)/(-1|\d+)/(\+?)(\d+) (?=\+?\d+ ..? )"), r" TIMES/\3 "),
)


def masked(line: bytes) -> str:
    """Return a line without what differs from one connection to the next."""
    text = line.decode()
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text


class Run:
    """One program on one configuration, and the lines that it sends."""

    def __init__(
        self, command: tuple[str, ...], folder: Path, words: str, whole: str, server: int, patience: str
    ) -> None:
        self.port = free_port()
        self._log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._log.bind(("127.0.0.1", 0))
        self._log.settimeout(PATIENCE)
        log, stats = self._log.getsockname()[1], free_port()
        text = CONFIGURATION.format(
            log=log, whole=whole.replace("LOG", str(log)), stats=stats, port=self.port, words=words, server=server,
            patience=patience,
        )  # fmt: skip
        folder.mkdir()
        self._process = BalancerProcess(command, text, folder, stats)

    def lines(self, client: Callable[[socket.socket], None]) -> list[str]:
        """Return what is sent for one connection; the end of the program closes the list."""
        with self._log, self._process:
            with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as peer:
                client(peer)
            self._wait_until_counted()
            self._process.process.terminate()
            self._process.process.wait(PATIENCE)
            self._log.setblocking(False)
            found = []
            try:
                while True:
                    found.append(masked(self._log.recv(65536)))
            except BlockingIOError:
                return [line for line in found if "stopped (cumulated" not in line and " Stopping " not in line]

    def _wait_until_counted(self) -> None:
        """A session is logged before it is not counted any more."""
        from balancer_process import until

        until(lambda: self._process.csv()[1]["l/FRONTEND"]["scur"] == "0", "the session has ended")


def both(folder: Path, words: str, whole: str, to: str, client: Callable[[socket.socket], None]) -> list[list[str]]:
    """Return the lines of HAProxy and of ours."""
    found = []
    with ExitStack() as stack:
        server = free_port() if to == "refused" else stack.enter_context(ScriptedServer(echo())).port
        patience = "300ms" if client is is_cut else "5s"
        for name, command in (("haproxy", (haproxy(), "-db", "-q")), ("ours", (*TCPBALANCER, "-db", "-q"))):
            extra = () if name == "haproxy" else ("--control", str(folder / "control"))
            run = Run((*command, *extra), folder / name, words, whole, server, patience)
            found.append(run.lines(client))
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_connection_is_logged_as_by_haproxy(name: str, tmp_path: Path) -> None:
    words, to, client = CASES[name]
    theirs, ours = both(tmp_path, words, "", to, client)
    assert ours == theirs
    assert bool(ours) is (name not in SILENT)


@pytest.mark.parametrize("name", HEADS)
def test_a_line_has_haproxy_s_head_and_length(name: str, tmp_path: Path) -> None:
    theirs, ours = both(tmp_path, "option tcplog", HEADS[name], "", greets)
    assert sorted(ours) == sorted(theirs)
    assert ours

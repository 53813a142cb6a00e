"""The client's side: psql and curl where they are installed, and something that does the same where they are not.

Laws: whoever asks is told with which program. Source of the protocol: PostgreSQL 15 manual, chapter 55.
"""

from __future__ import annotations

import base64
import shutil
import socket
import struct
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException

from halab.namespace import Host
from halab.programs import SEARCH, first_line

CONNECT = 3
"""Seconds to connect and to log in (psql's connect_timeout)."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens pages of the lab: a proxy that this machine's environment names cannot reach them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query or request brought: the text, or what went wrong, and the command that a person would type."""

    text: str
    error: str
    command: str

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return not self.error


def sql_client() -> str:
    """Return the word for whoever asks the databases: psql, or what stands in for it."""
    return "psql" if shutil.which("psql", path=SEARCH) else "query"


def web_client() -> str:
    """Return the word for whoever asks for pages: curl, or what stands in for it."""
    return "curl" if shutil.which("curl", path=SEARCH) else "request"


def versions() -> list[str]:
    """Return one line per client program: its version, or that this project asks by itself."""
    return [
        first_line(["psql", "--version"])
        if sql_client() == "psql"
        else "no psql here (apt-get install postgresql-client): a 'query' is this project's own",
        first_line(["curl", "--version"]).partition(" (")[0]
        if web_client() == "curl"
        else "no curl here (apt-get install curl): a 'request' is this project's own",
    ]


def query(host: Host, address: str, port: int, statement: str) -> Answer:
    """Ask a PostgreSQL server from ``host`` with psql (or, not installed, without); never raises for a refusal."""
    if sql_client() != "psql":
        command = f"(no psql here, asked directly) {address}:{port} {statement}"
        try:
            return Answer(host.inside(lambda: simple_query(address, port, statement)).result(), "", command)
        except (OSError, struct.error) as problem:
            return Answer("", str(problem) or type(problem).__name__, command)
    target = f"host={address} port={port} user=postgres dbname=postgres connect_timeout={CONNECT}"
    done = host.run(["psql", target, "-AtX", "-c", statement], timeout=30)
    error = done.errors.strip().partition("\n")[0].removeprefix("psql: error: ") if done.status else ""
    return Answer(done.output.strip(), error or ("failed" if done.status else ""), f'psql "{target}" -c "{statement}"')


def simple_query(address: str, port: int, statement: str, patience: float = CONNECT) -> str:
    """Log in without a password, ask, return the first column of the first row; raises OSError for all that fails."""
    with socket.create_connection((address, port), patience) as server:
        options = b"user\0postgres\0database\0postgres\0\0"
        server.sendall(struct.pack("!II", len(options) + 8, 196608) + options)
        value, stream = "", server.makefile("rb")
        asked = False
        with stream:
            while True:
                kind, length = struct.unpack("!cI", stream.read(5))
                body = stream.read(length - 4)
                if kind == b"E":
                    raise OSError(_error_text(body))
                if kind == b"D":
                    (size,) = struct.unpack_from("!i", body, 2)
                    value = body[6 : 6 + max(size, 0)].decode()
                if kind == b"Z" and asked:
                    server.sendall(b"X\0\0\0\4")
                    return value
                if kind == b"Z":
                    text = statement.encode() + b"\0"
                    server.sendall(b"Q" + struct.pack("!I", len(text) + 4) + text)
                    asked = True


def _error_text(body: bytes) -> str:
    fields = {field[:1]: field[1:].decode("utf-8", "replace") for field in body.split(b"\0") if field}
    return f"{fields.get(b'S', 'ERROR')}: {fields.get(b'M', '')}"


def fetch(host: Host, url: str, user: str = "", password: str = "") -> Answer:
    """Get a page with curl, or without it if it is not installed; ``error`` is set for any status but 200.

    Without a user the request bears no password at all.
    """
    secret = ["-u", f"{user}:{password}"] if user else []
    if web_client() == "curl":
        done = host.run(["curl", "-sSf", "-m", "5", *secret, url])
        return Answer(done.output, done.errors.strip() if done.status else "", " ".join(["curl", *secret, f"'{url}'"]))
    command = f"(no curl here, asked directly) {url}"
    try:
        return Answer(host.inside(lambda: get(url, user, password)).result(), "", command)
    except (OSError, HTTPException) as problem:
        return Answer("", str(problem), command)


def get(url: str, user: str = "", password: str = "") -> str:
    """Return the text of a page, with basic authentication if a user is given, from the calling thread's network."""
    secret = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {secret}"} if user else {}
    asking = urllib.request.Request(url, headers=headers)  # noqa: S310 - http only
    with DIRECT.open(asking, timeout=5.0) as answer:
        text: str = answer.read().decode("utf-8", "replace")
        return text

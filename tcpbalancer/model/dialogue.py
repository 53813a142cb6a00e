"""What is said to a server that is checked, and what it has to answer: ``tcp-check`` and ``http-check``, step by step.

Laws: see ``tcpbalancer.model``. As in HAProxy, every probe of a protocol (``option pgsql-check`` and its relatives) is
a dialogue, too: one evaluation for all of them. ``number`` is the step's place as HAProxy counts it, from 1; ``line``
is its line in the file, 0 for a step that the file does not spell out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from tcpbalancer.check_status import CheckStatus


@dataclass(frozen=True, slots=True)
class Sample:
    """A value that is looked up when it is needed: ``res.payload(0,4)``, and what is done to it (``hex``)."""

    fetch: str
    arguments: tuple[str, ...] = ()
    converters: tuple[tuple[str, tuple[str, ...]], ...] = ()


Template = tuple[str | Sample, ...]
"""A log-format string: texts and samples in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What all steps have."""

    number: int = 0
    line: int = field(default=0, compare=False)  # the same check, wherever it is written
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect(Rule):
    """Open a connection. ``default``: with TLS, SNI, ALPN and PROXY header as the server line has them for checks.

    ``address`` and ``port`` None: those of the check. ``implicit``: the file has no ``connect`` step.
    """

    address: str | None = None
    port: int | Sample | None = None
    tls: bool = False
    sni: str | None = None
    alpn: tuple[str, ...] = ()
    send_proxy: bool = False
    linger: bool = False
    default: bool = False
    implicit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Send(Rule):
    """Send bytes, or what a template yields; ``binary``: it yields them in hexadecimal digits."""

    data: bytes | Template
    binary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest(Rule):
    """Send a request (``option httpchk``, ``http-check send``)."""

    method: str = "OPTIONS"
    uri: Template = ("/",)
    version: str = "HTTP/1.0"
    headers: tuple[tuple[str, Template], ...] = ()
    body: Template = ()


@dataclass(frozen=True, slots=True)
class Content:
    """These bytes are contained; ``binary``: the file has them in hexadecimal digits."""

    data: bytes
    binary: bool = False


@dataclass(frozen=True, slots=True)
class ContentMatch:
    """The content matches; ``binary``: what is matched is its hexadecimal form, in upper case."""

    pattern: re.Pattern[bytes]
    binary: bool = False


@dataclass(frozen=True, slots=True)
class ContentTemplate:
    """What the template yields is contained."""

    template: Template
    binary: bool = False


@dataclass(frozen=True, slots=True)
class StatusCodes:
    """The HTTP status lies in one of the ranges, both ends included."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class StatusMatch:
    """The three digits of the HTTP status match."""

    pattern: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class TextMatch:
    """How a header's name or value is compared: ``str``, ``beg``, ``end``, ``sub`` or ``reg``."""

    method: str
    wanted: Template | re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Header:
    """There is such a header; ``whole``: its value is not cut at commas (``fhdr``)."""

    name: TextMatch
    value: TextMatch | None = None
    whole: bool = False


class Speech(Enum):
    """Answers that only a parser of the protocol can judge."""

    MYSQL_GREETING = "MySQL's initial handshake"
    MYSQL_OK = "MySQL's answer to the login"
    LDAP_BIND = "LDAP's answer to the bind"
    SPOP_HELLO = "the agent's hello in SPOP"


Pattern = Content | ContentMatch | ContentTemplate | StatusCodes | StatusMatch | Header | Speech


@dataclass(frozen=True, slots=True, kw_only=True)
class Expect(Rule):
    """What has to come, or must not (``inverse``).

    ``min_recv``: judge as soon as so many bytes are there; -1: wait for a match until the end of the answer.
    ``head``: how many steps back to begin anew when more has come (an ``inverse`` expectation before this one).
    ``whole_line``: judged at the end of a line, so that none of it is taken for the next answer.
    """

    pattern: Pattern
    inverse: bool = False
    min_recv: int = -1
    ok_status: CheckStatus | None = None
    error_status: CheckStatus | None = None
    timeout_status: CheckStatus | None = None
    on_success: Template = ()
    on_error: Template = ()
    code: Sample | None = None
    head: int = 0
    whole_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariable(Rule):
    """``set-var`` and ``set-var-fmt``; ``value`` None: ``unset-var``."""

    name: str
    value: Template | None


Step = Connect | Send | HttpRequest | Expect | SetVariable


class Kind(Enum):
    """Which keyword has begun it: HAProxy's words about an end depend on it."""

    CONNECT = "connect"
    TCP = "tcp-check"
    HTTP = "httpchk"
    PROTOCOL = "protocol"


class Farewell(Enum):
    """Protocols that say something before they hang up."""

    PGSQL = "pgsql"
    LDAP = "ldap"


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A whole check of a server: the steps, the first of which connects.

    ``farewell``: how the protocol hangs up, so that the server's log stays quiet.
    """

    kind: Kind
    steps: tuple[Step, ...]
    farewell: Farewell | None = None
    disable_on_404: bool = False
    send_state: bool = False

    def __post_init__(self) -> None:
        actions = [step for step in self.steps if not isinstance(step, SetVariable)]
        assert isinstance(actions[0], Connect)


IMPLICIT_CONNECT = Connect(default=True, implicit=True)
PLAIN_CONNECT = Dialogue(Kind.CONNECT, (IMPLICIT_CONNECT,))
"""``check`` without any ``option``: a connect that the server's application never sees."""

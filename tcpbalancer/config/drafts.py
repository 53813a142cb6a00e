"""What is known of a configuration while it is being read.

Laws: pure. Drafts may be incomplete and are changed in place; nothing outside this folder sees them. A proxy begins
with a copy of its defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hakit.diagnostics import Location
from tcpbalancer.config.sections import Section
from tcpbalancer.config.tokens import Statement, Word
from tcpbalancer.model import Bind, LogTarget, Mode, StatsPage

OptionValue = int | float | str | bool


@dataclass(slots=True)
class CheckDraft:
    """``kind`` is ``tcp`` or ``http``."""

    kind: str = "tcp"
    method: str = "OPTIONS"
    uri: str = "/"
    version: str = "HTTP/1.0"
    headers: tuple[tuple[str, str], ...] = ()
    expect_status: frozenset[int] | None = None
    uri_at: tuple[Location, str] | None = None


@dataclass(slots=True)
class ServerDraft:
    """A ``server`` line: ``port`` None is the port that the client called, ``port_offset`` added to it."""

    name: str
    address: str
    port: int | None
    port_offset: int
    options: dict[str, OptionValue]
    statement: Statement


@dataclass(slots=True)
class Settings:
    """What ``defaults`` can hold."""

    disabled: bool = False
    mode: Mode = Mode.TCP
    mode_at: tuple[Location, str] | None = None
    default_backend: Word | None = None
    balance: str = "roundrobin"
    timeouts: dict[str, float] = field(default_factory=dict)
    retries: int = 3
    redispatch: bool = False
    maxconn: int | None = None
    tcplog: bool = False
    httplog_at: tuple[Location, str] | None = None
    log_global: bool = False
    dontlognull: bool = False
    log_health_checks: bool = False
    check: CheckDraft = field(default_factory=CheckDraft)
    stats: StatsPage | None = None
    stats_at: tuple[Location, str] | None = None
    auth_at: tuple[Location, str] | None = None
    default_server: dict[str, OptionValue] = field(default_factory=dict)


@dataclass(slots=True)
class ProxyDraft:
    """A proxy, or a ``defaults`` section, which has no addresses and no servers."""

    section: Section
    settings: Settings
    binds: list[Bind] = field(default_factory=list)
    servers: list[ServerDraft] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """``defaults``, ``frontend``, ``backend`` or ``listen``."""
        return self.section.kind

    @property
    def name(self) -> str:
        """The name behind the keyword of the section."""
        return self.section.name

    @property
    def has_frontend(self) -> bool:
        """Whether clients may arrive here."""
        return self.kind in {"frontend", "listen"}

    @property
    def has_backend(self) -> bool:
        """Whether servers may stand here."""
        return self.kind in {"backend", "listen"}


@dataclass(slots=True)
class GlobalDraft:
    """Everything of ``global``."""

    environment: Mapping[str, str] = field(default_factory=dict)
    log_targets: list[LogTarget] = field(default_factory=list)
    maxconn: int = 2000
    nbthread: int = 1
    daemon: bool = False
    pidfile: str | None = None
    node: str | None = None
    description: str | None = None


@dataclass(slots=True)
class Drafts:
    """All sections of all files."""

    whole: GlobalDraft = field(default_factory=GlobalDraft)
    proxies: list[ProxyDraft] = field(default_factory=list)

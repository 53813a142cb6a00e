"""What is known of a configuration while it is being read.

Laws: pure. Drafts may be incomplete and are changed in place; nothing outside this folder sees them. A proxy begins
with a copy of its defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hakit.diagnostics import Location
from tcpbalancer.config.sections import Section
from tcpbalancer.config.tokens import Statement, Word
from tcpbalancer.log_format import LogFormat
from tcpbalancer.model import Dialogue, LogTarget, Mode, StatsPage
from tcpbalancer.model.dialogue import Step

_Value = TypeVar("_Value")
_Default = TypeVar("_Default")


class Options(dict[str, object]):
    """What stands behind a name, whatever it is: the options of a line, the values of keywords without a field."""

    def of(self, name: str, kind: type[_Value], default: _Default) -> _Value | _Default:
        """Return the value of ``name``, or ``default`` if it was not given."""
        value = self.get(name)
        if value is None:
            return default
        assert isinstance(value, kind)
        return value


@dataclass(slots=True)
class RuleDraft:
    """A rule of ``tcp-check`` or ``http-check``: a step, or the fields of a request, or else a comment alone."""

    at: Location
    source: str
    step: Step | None = None
    request: dict[str, Any] | None = None
    comment: str = ""


@dataclass(slots=True)
class CheckDraft:
    """``kind`` is empty (a plain connect), ``tcp``, ``http``, ``external`` or ``protocol`` (with ``dialogue``).

    ``request``: what ``option httpchk`` says; ``rules_before``: how many of the rules in ``http`` stand before it.
    ``section``: whose rules ``tcp`` and ``http`` are; a proxy with rules of its own inherits none.
    """

    kind: str = ""
    dialogue: Dialogue | None = None
    request: dict[str, Any] = field(default_factory=dict)
    rules_before: int = 0
    tcp: list[RuleDraft] = field(default_factory=list)
    http: list[RuleDraft] = field(default_factory=list)
    section: dict[str, Location] = field(default_factory=dict)
    disable_on_404: bool = False
    send_state: bool = False
    command: str | None = None
    path: str | None = None
    uri_at: tuple[Location, str] | None = None

    @property
    def request_is_last(self) -> bool:
        """Whether ``option httpchk`` stands behind an ``http-check send``, and so has the last word."""
        return any(rule.request is not None for rule in self.http[: self.rules_before])

    @property
    def uri(self) -> str:
        """The path that an HTTP check asks for; empty if a template makes it."""
        requests = [self.request, *(rule.request for rule in self.http if rule.request is not None)]
        ordered = [*requests[1:], *requests[:1]] if self.request_is_last else requests
        given = next((each["uri"] for each in reversed(ordered) if "uri" in each), ("/",))
        return given[0] if len(given) == 1 and isinstance(given[0], str) else ""


@dataclass(slots=True)
class ServerDraft:
    """A ``server`` line: ``port`` None is the port that the client called, ``port_offset`` added to it."""

    name: str
    address: str
    port: int | None
    port_offset: int
    options: Options
    statement: Statement


@dataclass(slots=True)
class BindDraft:
    """One address of a ``bind`` line; all addresses of a line share its options."""

    host: str
    port: int
    options: Options
    statement: Statement


@dataclass(slots=True)
class LogDraft:
    """What a proxy logs. ``use_global``: to the targets of ``global``, too; ``format`` None: that of tcplog, if any."""

    targets: list[LogTarget] = field(default_factory=list)
    use_global: bool = False
    tag: str = ""
    tcplog: bool = False
    httplog_at: tuple[Location, str] | None = None
    format: LogFormat | None = None
    without_null: bool = False
    without_normal: bool = False
    errors_louder: bool = False
    asap: bool = False


@dataclass(slots=True)
class Settings:
    """What ``defaults`` can hold."""

    disabled: bool = False
    mode: Mode = Mode.TCP
    mode_at: tuple[Location, str] | None = None
    default_backend: Word | None = None
    timeouts: dict[str, float] = field(default_factory=dict)
    retries: int = 3
    maxconn: int | None = None
    log: LogDraft = field(default_factory=LogDraft)
    log_health_checks: bool = False
    check: CheckDraft = field(default_factory=CheckDraft)
    stats: StatsPage | None = None
    stats_at: tuple[Location, str] | None = None
    auth_at: tuple[Location, str] | None = None
    default_server: Options = field(default_factory=Options)
    values: Options = field(default_factory=Options)
    """What keywords keep that have no field of their own; copied with the rest to whoever inherits."""


@dataclass(slots=True)
class ProxyDraft:
    """A proxy, or a ``defaults`` section, which has no addresses and no servers."""

    section: Section
    settings: Settings
    binds: list[BindDraft] = field(default_factory=list)
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
    read_lines: Callable[[str], Sequence[str]] | None = None
    """Reads a file that the configuration names; raises OSError."""
    log_targets: list[LogTarget] = field(default_factory=list)
    log_tag: str = "haproxy"
    log_host: str | None = None
    maxconn: int = 2000
    nbthread: int = 0  # one for each processor
    daemon: bool = False
    pidfile: str | None = None
    node: str | None = None
    description: str | None = None
    values: Options = field(default_factory=Options)


@dataclass(slots=True)
class Drafts:
    """All sections of all files."""

    whole: GlobalDraft = field(default_factory=GlobalDraft)
    proxies: list[ProxyDraft] = field(default_factory=list)

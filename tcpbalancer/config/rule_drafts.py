"""What is known of a proxy's rules while the file is being read.

Laws: see ``drafts``. The names in rules are looked up at the end, when all proxies are known.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tcpbalancer.config.acl import AclReader, Reference
from tcpbalancer.config.acl_patterns import NotCarriedOutError
from tcpbalancer.config.drafts import ProxyDraft
from tcpbalancer.config.findings import FILE
from tcpbalancer.config.registry import Reading
from tcpbalancer.config.tokens import Statement
from tcpbalancer.model.rule import Choice, Rule, StickRule, StickTable, Test

_KEY = "rules"


@dataclass(slots=True)
class ChoiceDraft:
    """A ``use_backend`` or ``use-server`` with its place."""

    choice: Choice
    statement: Statement


@dataclass(slots=True)
class StickDraft:
    """A ``stick`` rule with its place."""

    rule: StickRule
    statement: Statement


@dataclass(slots=True)
class RulesDraft:
    """The rules of one proxy; an ACL without tests is one that is not carried out."""

    acls: dict[str, list[Test]] = field(default_factory=dict)
    connection: list[Rule] = field(default_factory=list)
    session: list[Rule] = field(default_factory=list)
    content: list[Rule] = field(default_factory=list)
    inspect_delay: float | None = None
    backends: list[ChoiceDraft] = field(default_factory=list)
    servers: list[ChoiceDraft] = field(default_factory=list)
    table: StickTable | None = None
    table_at: Statement | None = None
    stick: list[StickDraft] = field(default_factory=list)
    references: list[tuple[Reference, Statement]] = field(default_factory=list)


def rules_of(proxy: ProxyDraft) -> RulesDraft:
    """Return the draft of a proxy's rules; made when it is first asked for."""
    found = proxy.settings.values.get(_KEY)
    if not isinstance(found, RulesDraft):
        found = proxy.settings.values[_KEY] = RulesDraft()
    return found


def acl_reader(reading: Reading, *, http: bool = False) -> AclReader:
    """Return what reads expressions for this proxy; ``http``: they may look at requests."""
    return AclReader(reading.draft.name, reading.whole.read_lines or _no_file, http=http)


def keep_references(reading: Reading, reader: AclReader) -> None:
    """Remember which names a statement used; warn of what will never match (parse_acl_expr)."""
    for text in reader.without_patterns:
        message = (
            f"parsing acl keyword '{text}' :\n"
            "  no pattern to match against were provided, so this ACL will never match.\n"
            "  If this is what you intended, please add '--' to get rid of this warning.\n"
            "  If you intended to match only for existence, please use '-m found'.\n"
            "  If you wanted to force an int to match as a bool, please use '-m bool'.\n"
        )
        reading.report.warn_as(FILE, reading.at(0), message, reading.source_at(0))
    rules_of(reading.draft).references += [(reference, reading.statement) for reference in reader.references]


def _no_file(path: str) -> list[str]:
    raise FileNotFoundError(path)


def complain(reading: Reading, position: int, wrong: Exception, before: str = "", after: str = "") -> None:
    """Report what is wrong with an expression; ``position`` is that of its first word."""
    place = position + getattr(wrong, "position", 0)
    why = ": without it others would be let in than this file says" if isinstance(wrong, NotCarriedOutError) else ""
    reading.error(place, f"{before}{wrong}{why or after}")

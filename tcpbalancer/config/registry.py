"""The keywords that are carried out: what each is called, where it may stand, how it is written, and who reads it.

Laws: pure. A keyword is data: the reader finds it here, and so does the documentation. A handler reads one statement
into a draft; it adds findings to the report and never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.config.drafts import GlobalDraft, ProxyDraft
from tcpbalancer.config.findings import PARSING, Report
from tcpbalancer.config.tokens import Statement

PROXY = frozenset({"defaults", "frontend", "backend", "listen"})
FRONT = frozenset({"defaults", "frontend", "listen"})
BACK = frozenset({"defaults", "backend", "listen"})
SERVERS = frozenset({"backend", "listen"})
LISTENERS = frozenset({"frontend", "listen"})
GLOBAL = frozenset({"global"})


@dataclass(slots=True)
class Reading:
    """One statement on its way into a draft. ``negated``: it stood behind ``no``."""

    statement: Statement
    report: Report
    whole: GlobalDraft
    proxy: ProxyDraft | None = None
    negated: bool = False
    inside: object = None
    """In a section that is neither ``global`` nor a proxy: what its header gave."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words' texts, without a ``no`` before them."""
        return tuple(word.text for word in self.statement.words)[1 if self.negated else 0 :]

    @property
    def draft(self) -> ProxyDraft:
        """The proxy that the statement belongs to."""
        assert self.proxy is not None
        return self.proxy

    def at(self, position: int) -> Location:
        """Return the place of a word, counted as in ``words``."""
        return self.statement.at(position + (1 if self.negated else 0))

    def source_at(self, position: int) -> str:
        """Return the line of a word, counted as in ``words``."""
        return self.statement.source_at(position + (1 if self.negated else 0))

    def error(self, position: int, message: str, form: str = PARSING) -> None:
        """Report an error at a word."""
        self.report.error_as(form, self.at(position), message, self.source_at(position))

    def warn(self, position: int, message: str) -> None:
        """Report a warning at a word."""
        self.report.warn_as(PARSING, self.at(position), message, self.source_at(position))

    def not_carried_out(self, position: int, what: str, instead: str = "") -> None:
        """Warn that HAProxy would do something that is not done here."""
        message = f"{what} is accepted but not carried out by tcpbalancer{instead}"
        self.report.advise(self.at(position), message, self.source_at(position))

    def no_more_than(self, count: int) -> bool:
        """Report an error unless the statement has at most ``count`` words; returns whether it has."""
        if len(self.words) <= count:
            return True
        name = " ".join(self.words[:2] if self.words[0] in PREFIXES else self.words[:1])
        self.error(count, f"'{name}' cannot handle unexpected argument '{self.words[count]}'.")
        return False


Handler = Callable[[Reading], None]
PREFIXES = frozenset({"option", "timeout", "http-check", "tcp-check", "tcp-request", "tcp-response", "stick", "stats"})


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword of one to three words; ``negatable``: ``no`` may stand before it."""

    name: str
    sections: frozenset[str]
    syntax: str
    summary: str
    handler: Handler
    negatable: bool = False


KEYWORDS: dict[str, Keyword] = {}
GLOBAL_KEYWORDS: dict[str, Keyword] = {}
_MOST_WORDS = 3


def find(table: Mapping[str, Keyword], words: Sequence[str]) -> Keyword | None:
    """Return the keyword with which a statement begins: the one with the most words."""
    names = (" ".join(words[:count]) for count in range(min(_MOST_WORDS, len(words)), 0, -1))
    return next((table[name] for name in names if name in table), None)


def keyword(
    syntax: str, sections: frozenset[str], summary: str, *, words: int = 1, negatable: bool = False
) -> Callable[[Handler], Handler]:
    """Register a handler for the first ``words`` words of ``syntax`` (three at most); the longest name wins."""

    def register(handler: Handler) -> Handler:
        name = " ".join(syntax.split()[:words])
        table = GLOBAL_KEYWORDS if sections is GLOBAL else KEYWORDS
        assert name not in table, f"'{name}' is registered twice"
        table[name] = Keyword(name, sections, syntax, summary, handler, negatable)
        return handler

    return register


@dataclass(frozen=True, slots=True)
class OtherSection:
    """A section that is neither ``global`` nor a proxy, such as ``resolvers``, with keywords of its own.

    ``begin`` reads the header and returns what the statements' handlers find as ``Reading.inside``; it keeps that, for
    instance in ``reading.whole.values``. None after an error: the statements are then passed over.
    """

    kind: str
    syntax: str
    summary: str
    begin: Callable[[Reading], object]
    keywords: dict[str, Keyword]

    def keyword(self, syntax: str, summary: str, *, words: int = 1) -> Callable[[Handler], Handler]:
        """Register a handler for the first ``words`` words of ``syntax`` in this section."""

        def register(handler: Handler) -> Handler:
            name = " ".join(syntax.split()[:words])
            assert name not in self.keywords, f"'{name}' is registered twice"
            self.keywords[name] = Keyword(name, frozenset({self.kind}), syntax, summary, handler)
            return handler

        return register


OTHER_SECTIONS: dict[str, OtherSection] = {}


def other_section(syntax: str, summary: str) -> Callable[[Callable[[Reading], object]], OtherSection]:
    """Register what begins a section: ``syntax`` is its kind and what stands behind it."""

    def register(begin: Callable[[Reading], object]) -> OtherSection:
        kind = syntax.split(maxsplit=1)[0]
        assert kind not in OTHER_SECTIONS, f"'{kind}' is registered twice"
        OTHER_SECTIONS[kind] = OtherSection(kind, syntax, summary, begin, {})
        return OTHER_SECTIONS[kind]

    return register

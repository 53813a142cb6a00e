"""docs/reference/haproxy.md: every keyword of HAProxy, and what becomes of it.

Laws: made from the registries and lists that the reader of the configuration itself uses, so that it cannot say
anything else than the program does; a test holds the file equal to ``text()``, which the module prints as a program.
A keyword whose summary begins with "Accepted" is registered and not carried out.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tcpbalancer.config import interpret, known, removed, rule_keywords
from tcpbalancer.config.balance_keywords import NEEDS_HTTP, NEEDS_LOG, PLAIN
from tcpbalancer.config.conditions import PREDICATES
from tcpbalancer.config.known_samples import KNOWN_CONVERTERS, KNOWN_FETCHES
from tcpbalancer.config.line_options import BIND_OPTIONS, SERVER_OPTIONS, LineOption
from tcpbalancer.config.proxy_keywords import TIMEOUTS
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS, OTHER_SECTIONS, Keyword
from tcpbalancer.config.yaml_file import GROUPS
from tcpbalancer.rules.converters import CONVERTERS
from tcpbalancer.rules.fetches import FETCHES

FILE = Path(__file__).parents[2] / "docs/reference/haproxy.md"
COMMAND = "python -m tcpbalancer.config.reference > docs/reference/haproxy.md"
assert interpret.READERS  # whose import has filled the registries

_HEAD = f"""\
# Keywords of haproxy.cfg

Made from the program's own tables by `{COMMAND}`; do not edit it by hand.

- **done**: carried out as HAProxy does, or as [differences](../differences.md) says.
- **accepted**: read without an error, named in a warning, without effect.
- **refused**: an error: to leave it out would let somebody in, change the bytes that flow, or miss what it is for.

What HAProxy does not have is an error, too. The same words are the keys of a YAML file. In the column of sections stand
**d**efaults, **f**rontend, **l**isten, **b**ackend.
"""


class State(Enum):
    """What becomes of a keyword."""

    DONE = "done"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """A line of a table."""

    name: str
    sections: str
    state: str
    about: str

    def cells(self, *, with_sections: bool) -> str:
        """Return the line as Markdown."""
        middle = (self.sections,) if with_sections else ()
        cells = (f"`{self.name}`", *middle, self.state, self.about)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _row(name: str, state: State, about: str, sections: str = "") -> Row:
    return Row(name, sections, state.value, about)


_REASONS = tuple(
    (re.compile(pattern), reason)
    for pattern, reason in (
        ("^(51degrees|deviceatlas|wurfl)", "Tells devices by their HTTP requests."),
        ("quic", "Of QUIC."),
        (r"lua|spoe|\btrace", "Of a part of HAProxy that is not part of this program."),
        (
            (
                r"ssl|tls|crt|\bca-|ciphers|curves|sigalgs|alpn|npn|ecdhe|\bech\b|verify|sni\b|sni-|ocsp|renegotiate|0rtt"
                "|issuers|key-base"
            ),
            "Of TLS, which is for checks only.",
        ),
        (
            (
                r"^tune|^no(epoll|poll|evports|kqueue|splice|getaddrinfo)|polling|profiling|memory|prealloc|maxpipes|fd-hard"
                "|warn-blocked|expose-|debug|force-cfg|stats-file|anonkey|cluster"
            ),
            "Of HAProxy's own works: nothing follows from it here.",
        ),
        (
            (
                r"http|\bh[12][.-]|cookie|comp|error|redir|capture|\bws\b|forward|originalto|unique-id|keep-alive|checkcache"
                "|pool|reuse|tarpit|small-buffers|idle-ping|redirect"
            ),
            "Of HTTP.",
        ),
        ("thread|cpu|numa|shard|process|nice", "Of threads and processors: workers are processes of one thread."),
        (r"set-var|sc-|track-|\bgpc|declare|set-priority", "Variables and counters are not kept."),
        ("mark|tos", "Packets are not marked."),
    )
)


def _why(name: str) -> str:
    """Return why a keyword is not carried out, as far as its name says it."""
    return next((reason for pattern, reason in _REASONS if pattern.search(name)), "")


def _registered(entries: Iterable[Keyword | LineOption]) -> list[Row]:
    rows = []
    for entry in entries:
        state = State.ACCEPTED if entry.summary.startswith("Accepted") else State.DONE
        letters = "".join(one[0] for one in ("defaults", "frontend", "listen", "backend") if one in _sections(entry))
        rows.append(_row(entry.syntax, state, entry.summary, letters))
    return rows


def _sections(entry: Keyword | LineOption) -> Collection[str]:
    return entry.sections if isinstance(entry, Keyword) else ()


def _accepted(names: Iterable[str], having: Collection[str], prefix: str = "") -> list[Row]:
    return [_row(prefix + name, State.ACCEPTED, _why(name)) for name in names if prefix + name not in having]


def _refused(names: Iterable[str], having: Collection[str], about: str = "Not supported.") -> list[Row]:
    return [_row(name, State.REFUSED, about) for name in names if name not in having]


def _gone(table: Mapping[str, str]) -> list[Row]:
    return [_row(name, State.REFUSED, f"HAProxy: {said}") for name, said in table.items()]


def _lines() -> list[Row]:
    rows = [
        _row("# text", State.DONE, "A comment, outside of quotes."),
        _row("\\ ' \"", State.DONE, "Quoting and escapes, `\\xHH` too; section 2.2 of HAProxy's manual."),
        _row('"${NAME}" "${NAME-default}"', State.DONE, "A variable, between double quotes."),
        _row('"${LIST[*]}"', State.DONE, "A word for each of the value's; none if it is empty."),
        _row("${NAME}", State.DONE, "In the address of `bind` and `server`, without quotes too."),
        _row('"${.FILE}" "${.LINE}" "${.SECTION}"', State.DONE, "Where the line stands."),
        _row("[scope]", State.DONE, "Nothing follows from it."),
        _row(".if .elif .else .endif", State.DONE, "What stands in a branch that is not taken is not read."),
        _row(".alert .warning .notice", State.DONE, "Says it; the first ends the reading."),
        _row(".diag", State.DONE, "Says it with `-dD`."),
    ]
    takes = {0: "", 1: "(x)", 2: "(x,y)"}
    return rows + [
        _row(f"{name}{takes[wanted]}", State.DONE, "In a condition.") for name, (wanted, _) in PREDICATES.items()
    ]


def _of_sections() -> list[Row]:
    proxies = [_row(kind, State.DONE, "") for kind in ("defaults [<name>]", "frontend <name>", "backend <name>")]
    return [
        _row("global", State.DONE, "Several act as one."),
        _row("listen <name>", State.DONE, "A frontend and a backend in one."),
        *proxies,
        _row("... from <defaults>", State.DONE, "Behind the name of a proxy or of a defaults section."),
        *(_row(other.syntax, State.DONE, other.summary) for other in OTHER_SECTIONS.values()),
        *_accepted(sorted(known.SKIPPED_SECTIONS), OTHER_SECTIONS),
        *_refused(sorted(known.REFUSED_SECTIONS), OTHER_SECTIONS),
    ]


def _of_global() -> list[Row]:
    return [
        *_registered(GLOBAL_KEYWORDS.values()),
        *_accepted([*known.GLOBAL, *known.TUNE, "tune.quic.*"], {name.split()[0] for name in GLOBAL_KEYWORDS}),
        *_refused(known.REFUSED_GLOBAL, GLOBAL_KEYWORDS),
        *_gone(removed.REMOVED_GLOBAL),
    ]


def _of_proxies() -> list[Row]:
    first = {name.split()[0] for name in KEYWORDS}
    groups = {"option", "timeout", *(name for name in GROUPS if any(one.startswith(f"{name} ") for one in KEYWORDS))}
    return [
        *_registered(entry for name, entry in KEYWORDS.items() if name not in groups and name.split()[0] != "option"),
        *(_row(f"timeout {name} <time>", State.DONE, "", "dflb") for name in TIMEOUTS),
        *_accepted(known.TIMEOUTS, {f"timeout {name}" for name in TIMEOUTS}, "timeout "),
        *_accepted(known.STATS, KEYWORDS, "stats "),
        *_accepted(known.PROXY, first),
        *_refused(known.REFUSED_PROXY, KEYWORDS),
        *_gone({name: said for name, said in removed.REMOVED.items() if not name.startswith("option ")}),
    ]


def _of_options() -> list[Row]:
    return [
        *_registered(entry for name, entry in KEYWORDS.items() if name.startswith("option ")),
        *_accepted(known.OPTIONS, KEYWORDS, "option "),
        *_gone({name: said for name, said in removed.REMOVED.items() if name.startswith("option ")}),
    ]


def _of_lines(registered: Mapping[str, LineOption], others: Mapping[str, int], refused: Mapping[str, int]) -> list[Row]:
    rows = _registered(registered.values())
    for name, values in {**others, **refused}.items():
        if name not in registered:
            syntax = f"{name}{' <value>' * values}"
            is_refused = name in refused or name in known.CHANGES_THE_STREAM
            about = "Other bytes would flow without it." if name in known.CHANGES_THE_STREAM else "Not supported."
            rows.append(
                _row(syntax, State.REFUSED if is_refused else State.ACCEPTED, about if is_refused else _why(name))
            )
    return rows


_ACTIONS = (
    "accept", "capture", "do-log", "do-resolve", "expect-netscaler-cip", "expect-proxy", "lua.*", "reject",
    "sc-add-gpc(*)", "sc-inc-gpc(*)", "sc-inc-gpc0(*)", "sc-inc-gpc1(*)", "sc-set-gpt(*)", "sc-set-gpt0(*)",
    "send-spoe-group", "set-bc-mark", "set-bc-tos", "set-dst", "set-dst-port", "set-fc-mark", "set-fc-tos",
    "set-log-level", "set-mark", "set-nice", "set-priority-class", "set-priority-offset", "set-src", "set-src-port",
    "set-tos", "set-var(*)", "set-var-fmt(*)", "silent-drop", "switch-mode", "track-sc0", "unset-var(*)", "use-service",
)  # fmt: skip


def _of_actions() -> list[Row]:
    rows = []
    for ruleset, carried_out in rule_keywords.ACTIONS.items():
        for action in _ACTIONS:
            name = f"tcp-request {ruleset} {action}"
            if action in carried_out:
                rows.append(_row(name, State.DONE, ""))
            elif rule_keywords.WITHOUT_EFFECT.fullmatch(action):
                rows.append(_row(name, State.ACCEPTED, _why(action)))
            else:
                rows.append(_row(name, State.REFUSED, ""))
    denials = sorted(known.DENIALS)
    why = "Where bytes are relayed everybody would be let in; on a page it is done."
    rows += [_row(f"http-request {action}", State.REFUSED, why) for action in denials]
    return rows


def _of_balance() -> list[Row]:
    return [
        *(_row(f"balance {name}", State.DONE, "") for name in (*PLAIN, "random[(<draws>)]", "hash src")),
        *(
            _row(f"balance {name}", State.ACCEPTED, "Roundrobin is used, as HAProxy does in TCP mode.")
            for name in (*NEEDS_HTTP, *NEEDS_LOG)
        ),
        _row("balance rdp-cookie", State.ACCEPTED, "Roundrobin is used."),
    ]


TABLES: dict[str, Callable[[], list[Row]]] = {
    "Lines and conditions": _lines,
    "Sections": _of_sections,
    "global": _of_global,
    "Proxies": _of_proxies,
    "option": _of_options,
    "balance": _of_balance,
    "server and default-server": lambda: _of_lines(SERVER_OPTIONS, known.SERVER, known.REFUSED_SERVER),
    "bind": lambda: _of_lines(BIND_OPTIONS, known.BIND, {}),
    "Actions of rules": _of_actions,
}
_ORDERED = frozenset({"Lines and conditions"})


def rows(title: str) -> list[Row]:
    """Return the rows of one table, in the order of the page."""
    found = TABLES[title]()
    return found if title in _ORDERED else sorted(set(found), key=lambda row: (re.sub(r"\W", " ", row.name), row))


def text() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for title in TABLES:
        found = rows(title)
        with_sections = any(row.sections for row in found)
        head = "| Keyword | Sections | | What it does |" if with_sections else "| Keyword | | What it does |"
        rule = re.sub(r"[^|]+", "---", head)
        lines = "\n".join(row.cells(with_sections=with_sections) for row in found)
        parts.append(f"\n## {title}\n\n{head}\n{rule}\n{lines}\n")
    parts += [_names("Fetch methods", FETCHES, KNOWN_FETCHES), _names("Converters", CONVERTERS, KNOWN_CONVERTERS)]
    return "".join(parts)


def _names(title: str, carried_out: Collection[str], all_names: Collection[str]) -> str:
    """Return two lists of names: what can stand in a condition, and what is refused there."""
    done = ", ".join(f"`{name}`" for name in sorted(carried_out))
    refused = ", ".join(f"`{name}`" for name in sorted(set(all_names) - set(carried_out)))
    return f"\n## {title}\n\n**done**: {done}.\n\n**refused** in a condition: {refused}.\n"


if __name__ == "__main__":
    sys.stdout.write(text())

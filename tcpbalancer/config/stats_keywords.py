"""The statistics page: ``stats`` in a proxy.

Laws: pure; handlers report and never raise; a password is kept in a Secret at once and is in no message. Any of them
switches the page on, as in HAProxy.

Source: HAProxy's configuration manual, the keywords that begin with ``stats``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tcpbalancer.config import known
from tcpbalancer.config.findings import PARSING_TIGHT
from tcpbalancer.config.http_keywords import read_stats_rule
from tcpbalancer.config.page_drafts import is_page
from tcpbalancer.config.registry import PROXY, Reading, keyword
from tcpbalancer.config.rule_keywords import read_condition
from tcpbalancer.config.values import parse_time
from tcpbalancer.model import Secret, StatsPage
from tcpbalancer.rules.fetches import Place

ANY_BUT_DEFAULTS = PROXY - {"defaults"}


def _change(reading: Reading, **values: Any) -> None:
    settings = reading.draft.settings
    settings.stats = replace(settings.stats or StatsPage(), **values)
    settings.stats_at = (reading.at(0), reading.source_at(0))


@keyword("stats enable", PROXY, "Serve the statistics page.", words=2)
def stats_enable(reading: Reading) -> None:
    """Read ``stats enable``."""
    if reading.no_more_than(2):
        _change(reading)


@keyword("stats uri <prefix>", PROXY, "Where the page is; /haproxy?stats unless given.", words=2)
def stats_uri(reading: Reading) -> None:
    """Read ``stats uri``."""
    if len(reading.words) < 3 or not reading.words[2]:
        reading.error(2, "'uri' needs an URI prefix.")
    elif not reading.words[2].startswith("/"):
        reading.error(
            2, f"'stats uri' : '{reading.words[2]}' does not begin with '/': no request would ever ask for it"
        )
    else:
        _change(reading, uri=reading.words[2])


@keyword("stats realm <text>", PROXY, "What a browser shows when it asks for a password.", words=2)
def stats_realm(reading: Reading) -> None:
    """Read ``stats realm``."""
    if len(reading.words) < 3:
        reading.error(2, "'realm' needs a realm.")
    elif not reading.words[2].isprintable() or not reading.words[2].isascii():
        reading.error(2, "'stats realm' : only printable ASCII can stand in a header")
    else:
        _change(reading, realm=reading.words[2])


@keyword("stats auth <user>:<password>", PROXY, "Who may see the page; may be repeated.", words=2)
def stats_auth(reading: Reading) -> None:
    """Read ``stats auth``."""
    user, colon, password = (reading.words[2] if len(reading.words) > 2 else "").partition(":")
    if not colon or not user:
        reading.error(2, "'auth' needs a user:password account.")
        return
    stats = reading.draft.settings.stats or StatsPage()
    _change(reading, users=(*stats.users, (user, Secret(password))))
    reading.draft.settings.auth_at = (reading.at(2), reading.source_at(2))


@keyword("stats refresh <time>", PROXY, "How often a browser asks again; a bare number is seconds.", words=2)
def stats_refresh(reading: Reading) -> None:
    """Read ``stats refresh``."""
    if len(reading.words) < 3:
        reading.error(2, "'refresh' needs a positive interval value (in seconds).")
        return
    try:
        seconds = parse_time(reading.words[2], "s")
    except ValueError as wrong:
        reading.error(2, f"{wrong} in argument to stats refresh interval.", PARSING_TIGHT)
        return
    _change(reading, refresh=seconds or None)


@keyword("stats hide-version", PROXY, "Do not say which version this is.", words=2)
def stats_hide_version(reading: Reading) -> None:
    """Read ``stats hide-version``."""
    if reading.no_more_than(2):
        _change(reading, hide_version=True)


@keyword("stats show-version", PROXY, "Say which version this is; the default.", words=2)
def stats_show_version(reading: Reading) -> None:
    """Read ``stats show-version``."""
    if reading.no_more_than(2):
        _change(reading, hide_version=False)


@keyword("stats scope {<proxy>|.}", PROXY, "Which proxies are shown; '.' is the page's own; may be repeated.", words=2)
def stats_scope(reading: Reading) -> None:
    """Read ``stats scope``."""
    if len(reading.words) < 3:
        reading.error(2, "'scope' needs a proxy name.")
        return
    stats = reading.draft.settings.stats or StatsPage()
    _change(reading, scopes=(*stats.scopes, reading.words[2]))


@keyword("stats show-legends", PROXY, "Say more of servers and their checks.", words=2)
def stats_show_legends(reading: Reading) -> None:
    """Read ``stats show-legends``."""
    _change(reading, legends=True)


@keyword("stats show-node [<name>]", PROXY, "Show the name of the node, of 'global' unless given.", words=2)
def stats_show_node(reading: Reading) -> None:
    """Read ``stats show-node``."""
    _change(reading, node=reading.words[2] if len(reading.words) > 2 else "")


@keyword("stats show-desc [<text>]", PROXY, "Show a description, of 'global' unless given.", words=2)
def stats_show_desc(reading: Reading) -> None:
    """Read ``stats show-desc``."""
    text = " ".join(reading.words[2:])
    if not text and reading.whole.description is None:
        message = "'show-desc' requires a parameter or 'desc' to be set in the global section."
        reading.report.warn_as(PARSING_TIGHT, reading.at(1), message, reading.source_at(1))
    _change(reading, description=text)


@keyword("stats admin {if|unless} <condition>", ANY_BUT_DEFAULTS, "Who may change servers on the page.", words=2)
def stats_admin(reading: Reading) -> None:
    """Read ``stats admin``: several are alternatives."""
    if len(reading.words) < 3 or reading.words[2] not in {"if", "unless"}:
        reading.error(2, "'stats admin' requires either 'if' or 'unless' followed by a condition.")
    elif not is_page(reading):
        _change(reading)
    else:
        condition = read_condition(reading, 2, Place.HTTP, "error detected while parsing a 'stats admin' rule : ")
        if condition is not None:
            stats = reading.draft.settings.stats or StatsPage()
            _change(reading, admin=(*stats.admin, condition))


@keyword(
    "stats http-request {allow|deny|auth [realm <realm>]} [{if|unless} <condition>]",
    ANY_BUT_DEFAULTS,
    "Who may see the page.",
    words=2,
)
def stats_http_request(reading: Reading) -> None:
    """Read ``stats http-request``."""
    if not is_page(reading):
        _change(reading)  # there is no page that anybody could see
        return
    rule = read_stats_rule(reading)
    if rule is not None:
        stats = reading.draft.settings.stats or StatsPage()
        _change(reading, rules=(*stats.rules, rule))


@keyword("stats <setting>", PROXY, "Settings of the statistics page.")
def stats(reading: Reading) -> None:
    """Read a ``stats`` that has no handler of its own."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word in known.STATS:
        _change(reading)
        reading.not_carried_out(1, f"'stats {word}'")
    else:
        expected = (
            "'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' or "
            "'show-legends'"
        )
        reading.error(1, f"unknown stats parameter '{word}', expects {expected}.", PARSING_TIGHT)

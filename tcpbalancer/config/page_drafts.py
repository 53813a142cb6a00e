"""What is known of a page while the file is being read; whether a proxy is one; and the way to the model.

Laws: see ``drafts``. A proxy is a page if it speaks HTTP and has nothing to pass requests on to.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tcpbalancer.config.drafts import GlobalDraft, ProxyDraft
from tcpbalancer.config.registry import Reading
from tcpbalancer.model import HttpFront, HttpRule, Mode, StatsPage, UserList
from tcpbalancer.model.rule import Condition

USERLISTS = "userlists"
"""The lists of users by name, among the values of ``global``."""
_KEY = "http"
_RELAYS = frozenset({"server", "server-template", "default_backend", "use_backend", "dispatch"})


@dataclass(slots=True)
class HttpDraft:
    """What a page does with requests; ``request``, ``keep_alive``: seconds, 0 is no limit."""

    rules: list[HttpRule] = field(default_factory=list)
    monitor_uri: str | None = None
    monitor_fail: list[Condition] = field(default_factory=list)
    request: float | None = None
    keep_alive: float | None = None


def http_of(proxy: ProxyDraft) -> HttpDraft:
    """Return the draft of what a proxy does with requests; made when it is first asked for."""
    found = proxy.settings.values.get(_KEY)
    if not isinstance(found, HttpDraft):
        found = proxy.settings.values[_KEY] = HttpDraft()
    return found


def speaks_http(reading: Reading) -> bool:
    """Whether the proxy is in HTTP mode, if need be because a later line says so."""
    modes = [line.words[1].text for line in reading.draft.section.statements if _is_mode(line.words)]
    return modes[-1] == "http" if modes else reading.draft.settings.mode is Mode.HTTP


def _is_mode(words: tuple[object, ...]) -> bool:
    return len(words) > 1 and getattr(words[0], "text", "") == "mode"


def is_page(reading: Reading) -> bool:
    """Whether the proxy answers by itself what is asked of it."""
    draft = reading.draft
    if draft.kind not in {"frontend", "listen"} or not speaks_http(reading):
        return False
    lines = {line.words[0].text for line in draft.section.statements}
    return draft.settings.default_backend is None and not lines & _RELAYS


def http_front(draft: ProxyDraft, whole: GlobalDraft) -> HttpFront:
    """Return what a page does with requests."""
    http = http_of(draft)
    lists: dict[str, UserList] = whole.values.of(USERLISTS, dict, {})
    return HttpFront(
        rules=tuple(http.rules),
        monitor_uri=http.monitor_uri,
        monitor_fail=tuple(http.monitor_fail),
        userlists=tuple(lists.values()),
        request_timeout=http.request or None,
        keep_alive_timeout=http.keep_alive or None,
        httplog=draft.settings.log.httplog_at is not None,
    )


def stats_page(draft: ProxyDraft, whole: GlobalDraft) -> StatsPage | None:
    """Return the page of a proxy, with what ``global`` says of it."""
    page = draft.settings.stats
    if page is None or page.description != "":
        return page
    return replace(page, description=whole.description)

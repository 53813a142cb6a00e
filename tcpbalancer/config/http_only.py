"""What a proxy that relays bytes ignores, since it is for HTTP: HAProxy's own warnings.

Laws: pure. Only what the file itself calls TCP is warned of; for a proxy in HTTP mode, ours says what it does instead.

Source: src/proxy.c (proxy_cfg_ensure_no_http and its callers), src/http_ext.c.
"""

from __future__ import annotations

from hakit.diagnostics import Location
from tcpbalancer.config.drafts import ProxyDraft
from tcpbalancer.config.findings import CHECKING, PARSING_OF_PROXY, Report
from tcpbalancer.config.inheritance import kind_of
from tcpbalancer.config.registry import Reading

FRONT_OPTIONS = frozenset(
    {"accept-invalid-http-request", "disable-h2-upgrade", "http-ignore-probes", "http-use-proxy-header",
     "idle-close-on-response"}
)  # fmt: skip
BACK_OPTIONS = frozenset({"accept-invalid-http-response", "checkcache", "http-pretend-keepalive", "prefer-last-server"})
BOTH_OPTIONS = frozenset({"forwarded", "forwardfor", "originalto", "http-buffer-request", "http-no-delay"})
_KEY = "options for HTTP only"
_RULES = ("http-request", "http-response", "http-after-response", "redirect")


def remember_option(reading: Reading) -> None:
    """Keep an option that is for HTTP only; ``no`` forgets it."""
    name = reading.words[1]
    if name not in FRONT_OPTIONS | BACK_OPTIONS | BOTH_OPTIONS:
        return
    given: dict[str, Location] = reading.draft.settings.values.setdefault(_KEY, {})  # type: ignore[assignment]
    if reading.negated:
        given.pop(name, None)
    else:
        given[name] = reading.at(1)


def warn_of_http(draft: ProxyDraft, report: Report) -> None:
    """Report what a proxy in TCP mode ignores."""
    who = f"{kind_of(draft.section)} '{draft.name}'"
    here = draft.section.header.location
    settings = draft.settings
    if settings.log.httplog_at is not None and draft.has_frontend:
        place, source = settings.log.httplog_at
        what = f"'option httplog' not usable with {who} (needs 'mode http')"
        report.warn_as(PARSING_OF_PROXY, place, f"{what}. Falling back to 'option tcplog'.", source)
    if settings.stats is not None and settings.stats_at is not None and draft.has_frontend:
        place, source = settings.stats_at
        report.warn_as(
            PARSING_OF_PROXY, place, f"'stats' statement ignored for {who} as it requires HTTP mode.", source
        )
    first = {statement.words[0].text for statement in draft.section.statements}
    if "capture" in first:
        report.warn_as(CHECKING, here, f"'capture' statement ignored for {who} as it requires HTTP mode.")
    for rule in _RULES:
        if rule in first:
            report.warn_as(CHECKING, here, f"'{rule}' rules ignored for {who} as they require HTTP mode.")
    for name in settings.values.of(_KEY, dict, {}):
        front, back = name not in BACK_OPTIONS, name not in FRONT_OPTIONS
        if (front and draft.has_frontend) or (back and draft.has_backend):
            report.warn_as(CHECKING, here, f"'option {name}' ignored for {who} as it requires HTTP mode.")

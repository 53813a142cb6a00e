"""What is valid and still wrong: warnings of our own on a finished configuration.

Laws: pure. Advice never changes anything and never stops a start. Each one says what will happen and what to write.
"""

from __future__ import annotations

from tcpbalancer.config.build_log import proxy_log
from tcpbalancer.config.drafts import Drafts, ProxyDraft
from tcpbalancer.config.findings import Report
from tcpbalancer.config.inheritance import kind_of
from tcpbalancer.model import Mode
from tcpbalancer.model.rule import Call, Condition, Expression, Term, Test

ALWAYS = Condition(((Term((Test(Expression(Call("always_true")), "bool"),)),),))
"""What ``if TRUE`` is."""
WELL_KNOWN = frozenset(
    {
        "admin",
        "admin123",
        "password",
        "passw0rd",
        "haproxy",
        "stats",
        "secret",
        "changeme",
        "1234",
        "123456",
        "root",
        "test",
    }
)
"""Passwords that everybody tries first."""
WRITE_PORTS = frozenset({1433, 1521, 3306, 5000, 5432, 5433, 6432})
"""Where databases take writes: SQL Server, Oracle, MySQL, Patroni's usual listener, PostgreSQL, PgBouncer."""


def advise(drafts: Drafts, report: Report) -> None:
    """Add the advice for all proxies to the report."""
    for draft in drafts.proxies:
        if draft.settings.disabled:
            continue
        if draft.has_backend:
            _on_patroni(drafts, draft, report)
        if draft.has_frontend and draft.settings.mode is Mode.HTTP:
            _on_passwords(draft, report)
        _on_pages_behind_others(draft, report)
        log = draft.settings.log
        nowhere = not proxy_log(log, drafts.whole).targets
        if draft.has_frontend and nowhere and (log.tcplog or log.format is not None):
            message = f"log format ignored for {kind_of(draft.section)} '{draft.name}' since it has no log address."
            report.warn_as("", draft.section.header.location, message)


def _on_patroni(drafts: Drafts, draft: ProxyDraft, report: Report) -> None:
    """GET /patroni answers 200 on every living node (Patroni's api.py), so it does not tell the primary."""
    check = draft.settings.check
    if check.kind != "http" or check.uri.partition("?")[0].rstrip("/") != "/patroni" or check.uri_at is None:
        return
    checked = [server for server in draft.servers if server.options.get("check")]
    ports = {server.port for server in checked if server.port is not None}
    for other in drafts.proxies:
        wanted = other.settings.default_backend
        if (other is draft) if wanted is None else (wanted.text == draft.name):
            ports |= {bind.port for bind in other.binds}
    if len(checked) > 1 and ports & WRITE_PORTS:
        place, source = check.uri_at
        message = (
            f"'{check.uri}' answers 200 on the primary and on every replica: writes through '{draft.name}' reach "
            "replicas and fail there; check '/primary' for writing, '/replica' or '/read-only' for reading"
        )
        report.advise(place, message, source)


def _on_pages_behind_others(draft: ProxyDraft, report: Report) -> None:
    """A page in a backend would be reached through a frontend that speaks HTTP: ours pass bytes on."""
    own = (line for line in draft.section.statements if line.words[0].text == "stats")
    if draft.kind == "backend" and (line := next(own, None)) is not None:
        message = f"the statistics page of backend '{draft.name}' is not served: put 'stats' into the frontend itself"
        report.advise(line.at(0), message, line.source)


def _on_passwords(draft: ProxyDraft, report: Report) -> None:
    stats, at = draft.settings.stats, draft.settings.auth_at or draft.settings.stats_at
    if stats is None or at is None:
        return
    place, source = at
    if not stats.users and not any(rule.action != "allow" for rule in stats.rules):
        message = f"the statistics page of '{draft.name}' is open to everyone: add 'stats auth USER:PASSWORD'"
        if any(each == ALWAYS for each in stats.admin):
            message += "; whoever reaches it may take servers out: 'stats admin if LOCALHOST' would be safer"
        report.advise(place, message, source)
    for user, password in stats.users:
        if password.value.lower() in WELL_KNOWN or password.value == user or len(password.value) == 0:
            message = (
                f"the password of '{user}' on the statistics page of '{draft.name}' is a well-known one: for a lab only"
            )
            report.advise(place, message, source)

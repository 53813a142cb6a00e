"""From the options of a server to how it is treated; and whom it tracks, once all servers are known.

Laws: pure; mistakes are reported and not raised. Source: ``srv_apply_track`` and ``_srv_parse_finalize`` in HAProxy's
``server.c``.
"""

from __future__ import annotations

from dataclasses import replace

from tcpbalancer.config.drafts import Drafts, ProxyDraft, ServerDraft
from tcpbalancer.config.findings import SERVER, Report
from tcpbalancer.model import InitState, OnError, Server


def with_conduct(server: Server, draft: ProxyDraft, line: ServerDraft) -> Server:
    """Return a server with the options of ``state_keywords``."""
    options = line.options
    track = options.of("track", str, "")
    backend, slash, name = track.rpartition("/")
    return replace(
        server,
        slowstart=options.of("slowstart", int, 0),
        track=(backend if slash else draft.name, name) if track else None,
        observe=options.of("observe", bool, default=False),
        error_limit=options.of("error-limit", int, 10),
        on_error=options.of("on-error", OnError, OnError.FAIL_CHECK),
        shutdown_backup_sessions_when_up=options.of("on-marked-up", bool, default=False),
        init_state=options.of("init-state", InitState, InitState.NONE),
    )


def refuse_impossible_tracks(drafts: Drafts, report: Report) -> None:
    """Report servers that track one that cannot be tracked, or that are checked as well."""
    proxies = {draft.name: draft for draft in drafts.proxies if draft.has_backend and not draft.settings.disabled}
    for draft in proxies.values():
        for line in draft.servers:
            if line.options.get("track") and (wrong := _wrong_track(proxies, draft, line)):
                message = f"'server {draft.name}/{line.name}' : {wrong}"
                report.error_as(SERVER, line.statement.location, message, line.statement.source)


def _wrong_track(proxies: dict[str, ProxyDraft], draft: ProxyDraft, line: ServerDraft) -> str | None:
    if line.options.get("check"):
        return "unable to enable checks and tracking at the same time!"
    if line.options.of("init-state", InitState, InitState.NONE) is not InitState.NONE:
        return "unable to set init-state and tracking at the same time!"
    seen = [(draft, line)]
    while seen[-1][1].options.get("track"):
        found = _tracked(proxies, *seen[-1])
        if isinstance(found, str):
            return found if len(seen) == 1 else None  # who tracks a server that does not exist is told of himself
        proxy, tracked = found
        if any(tracked is each for _, each in seen):
            first = _tracked(proxies, draft, line)
            assert not isinstance(first, str)
            who = f"{first[0].name}/{first[1].name}"
            return (
                f"unable to track {who} as it belongs to a tracking chain looping back to {proxy.name}/{tracked.name}."
            )
        seen.append((proxy, tracked))
    proxy, last = seen[-1]
    if not last.options.get("check") and not last.options.get("agent-check"):
        who = f"{proxy.name}/{last.name}"
        if len(seen) > 2:
            return None
        return f"unable to use {who} for tracking as it does not have any check nor agent enabled."
    return None


def _tracked(
    proxies: dict[str, ProxyDraft], draft: ProxyDraft, line: ServerDraft
) -> tuple[ProxyDraft, ServerDraft] | str:
    backend, slash, name = line.options.of("track", str, "").rpartition("/")
    proxy = proxies.get(backend) if slash else draft
    if proxy is None:
        return f"unable to find required proxy '{backend}' for tracking."
    for other in proxy.servers:
        if other.name == name:
            return proxy, other
    return f"unable to find required server '{name}' for tracking."

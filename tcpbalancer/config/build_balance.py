"""From drafts to the model: how a backend chooses its servers, and the limits.

Laws: pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tcpbalancer.config.balance_keywords import NEEDS_HTTP, NEEDS_LOG
from tcpbalancer.config.drafts import Options, ProxyDraft
from tcpbalancer.config.findings import CHECKING, Report
from tcpbalancer.model import Backend, Frontend, Hashing
from tcpbalancer.model.rule import Expression


def balance_settings(draft: ProxyDraft, report: Report) -> dict[str, Any]:
    """Return the fields of a Backend that say how it chooses."""
    values = draft.settings.values
    algorithm = values.of("balance", str, "roundrobin")
    kind = "proxy" if draft.kind == "listen" else draft.kind
    place = draft.section.header.location
    if algorithm in NEEDS_HTTP:
        what = f"Layer 7 hash not possible for {kind} '{draft.name}' (needs 'mode http')"
        report.warn_as(CHECKING, place, f"{what}. Falling back to round robin.")
    elif algorithm in NEEDS_LOG:
        what = f"Unusable balance algorithm for {kind} '{draft.name}' (needs 'mode log')"
        report.warn_as(CHECKING, place, f"{what}. Falling back to round robin.")
    if algorithm in (*NEEDS_HTTP, *NEEDS_LOG):
        algorithm = "roundrobin"
    hashing = values.of("hash-type", Hashing, Hashing())
    return {
        "balance": algorithm,
        "hashing": replace(hashing, balance_factor=values.of("hash-balance-factor", int, 0)),
        "draws": values.of("draws", int, 2),
        "all_backups": values.of("allbackups", bool, False),
        "redispatch": values.of("redispatch", int, 0) or None,
        "persist": values.of("persist", bool, False),
        "abort_on_close": values.of("abortonclose", bool, False),
        "fullconn": values.of("fullconn", int, 0),
        "retries": draft.settings.retries if values.of("retry-on", bool, True) else 0,
    }


def hashed_sample(draft: ProxyDraft) -> Expression | None:
    """Return what ``balance hash`` hashes, unless it is the client's address, or another algorithm was named later."""
    values = draft.settings.values
    return values.of("hash", Expression, None) if values.get("balance") == "hash" else None


def limits_of_server(options: Options) -> dict[str, Any]:
    """Return the fields of a Server that limit it; a ``minconn`` that stands alone is its ``maxconn``."""
    maxconn, minconn = options.of("maxconn", int, 0), options.of("minconn", int, 0)
    return {
        "maxconn": max(maxconn, minconn),
        "minconn": minconn if minconn < maxconn else 0,
        "maxqueue": options.of("maxqueue", int, 0),
        "identity": options.of("id", int, 0),
    }


def with_fullconn(backends: Mapping[str, Backend], frontends: Mapping[str, Frontend]) -> dict[str, Backend]:
    """Return the backends with their ``fullconn``: unless it is set, a tenth of what its frontends may send there."""
    sent: Counter[str | None] = Counter()
    for frontend in frontends.values():
        own = frontend.name if frontend.http is not None else None  # a page passes nothing on, but has its own side
        sent[frontend.default_backend or own] += frontend.maxconn
    return {
        name: backend if backend.fullconn else replace(backend, fullconn=max((sent[name] + 9) // 10, 1))
        for name, backend in backends.items()
    }

"""From the drafts of ``bind`` lines to the model: names are looked up, ids are given.

Laws: see ``build``.
"""

from __future__ import annotations

from collections.abc import Callable

from tcpbalancer.config.drafts import BindDraft, Options, ProxyDraft
from tcpbalancer.config.findings import Report
from tcpbalancer.config.values import is_literal
from tcpbalancer.model import Bind

Resolve = Callable[[str], str | None]


def build_binds(draft: ProxyDraft, report: Report, resolve: Resolve) -> tuple[Bind, ...]:
    """Return the addresses of a frontend; those that do not resolve are in the report."""
    wanted = {bind.options.of("id", int, 0) for bind in draft.binds}
    taken: set[int] = set()
    binds: list[Bind] = []
    for bind in draft.binds:
        host = _host(bind, report, resolve)
        if host is not None:
            given = bind.options.of("id", int, 0)
            number = given if given and given not in taken else _next(taken | wanted)
            taken.add(number)
            binds.append(_bind(bind, host, number, bind.options))
    return tuple(binds)


def _next(taken: set[int]) -> int:
    number = 1
    while number in taken:
        number += 1
    return number


def _host(bind: BindDraft, report: Report, resolve: Resolve) -> str | None:
    if not bind.port or not bind.host or is_literal(bind.host):
        return bind.host
    found = resolve(bind.host)
    if found is None:
        place = bind.statement.at(1)
        report.error(place, f"'bind' : invalid address: '{bind.host}' in '{bind.host}:{bind.port}'")
    return found


def _bind(bind: BindDraft, host: str, number: int, options: Options) -> Bind:
    return Bind(
        host,
        bind.port,
        bind.statement.at(1),
        only_v6=options.of("v6only", bool, None),
        accept_proxy=options.of("accept-proxy", bool, default=False),
        id=number,
        name=options.of("name", str, None),
        interface=options.of("interface", str, None),
        namespace=options.of("namespace", str, None),
        transparent=options.of("transparent", bool, default=False),
        mss=options.of("mss", int, 0),
        tcp_user_timeout=options.of("tcp-ut", float, None),
        fast_open=options.of("tfo", bool, default=False),
        defer_accept=options.of("defer-accept", bool, default=False),
        backlog=options.of("backlog", int, 0),
        maxconn=options.of("maxconn", int, 0),
        file_mode=options.of("mode", int, None),
        uid=options.of("uid", int, None),
        gid=options.of("gid", int, None),
    )

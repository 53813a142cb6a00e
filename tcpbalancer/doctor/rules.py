"""The table of all rules, and the examination that goes through it.

Laws: pure. ``RULES`` has every rule that a finding can have; the page of the documentation is made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hakit.diagnosis import Finding, Rule
from tcpbalancer.doctor import access, checking, live, proxies, reader, sessions
from tcpbalancer.doctor.case import Case

LOOKS: tuple[Callable[[Case], Iterator[Finding]], ...] = (
    proxies.without_backend,
    proxies.without_server,
    proxies.unused_backend,
    proxies.bound_twice,
    proxies.loops,
    proxies.swarm_port,
    proxies.open_docker,
    checking.unchecked,
    checking.http_where_none_is,
    checking.patroni_path,
    checking.sessions_stay,
    checking.slow_to_notice,
    sessions.short_idle,
    sessions.no_second_server,
    sessions.never_reached,
    sessions.descriptors,
    access.open_socket,
    access.readable_password,
    live.foreign_address,
    live.kernel_relay,
    live.taken_port,
    live.no_answer,
    live.taken_out,
)
RULES: tuple[Rule, ...] = tuple(
    dict.fromkeys(
        rule for room in (reader, proxies, checking, sessions, access, live) for rule in vars(room).values()
        if isinstance(rule, Rule)
    )
)  # fmt: skip


def examine(case: Case) -> Iterator[Finding]:
    """Yield everything that any rule finds in a configuration."""
    for look in LOOKS:
        yield from look(case)

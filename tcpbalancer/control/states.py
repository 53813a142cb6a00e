"""The answer to SIGHUP in the foreground: the state of every server and proxy, a line each.

Laws: pure. The lines are HAProxy's (``sig_dump_state`` in ``proxy.c``).
"""

from __future__ import annotations

from collections.abc import Iterator

from tcpbalancer.statistics import ProxyStatistics, Snapshot, Traffic


def states(snapshot: Snapshot) -> Iterator[str]:
    """Yield the lines, proxies in the order of the file, each behind its servers."""
    yield "SIGHUP received, dumping servers states."
    for proxy in snapshot.proxies:
        for server in proxy.servers:
            word = "DOWN" if server.status.startswith(("DOWN", "MAINT")) else "UP"
            numbers = f"{server.traffic.current} act, {server.queued} pend, {server.traffic.total} tot."
            yield f"SIGHUP: Server {proxy.name}/{server.name} is {word}. Conn: {numbers}"
        yield _proxy(proxy)


def _proxy(proxy: ProxyStatistics) -> str:
    backend = proxy.backend
    front = Traffic() if proxy.frontend is None else proxy.frontend.traffic
    back, queued = (Traffic(), 0) if backend is None else (backend.traffic, backend.queued)
    if backend is None or not proxy.servers:
        what = "has no servers."
    elif backend.active:
        what = f"has {backend.active} active servers and {backend.backup} backup servers available."
    else:
        what = "is running on backup servers !" if backend.backup else "has no server available !"
    return (
        f"SIGHUP: Proxy {proxy.name} {what} Conn: act(FE+BE): {front.current}+{back.current}, {queued} pend "
        f"({queued} unass), tot(FE+BE): {front.total}+{back.total}."
    )

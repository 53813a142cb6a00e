"""Putting the picture together: counters, states and configuration become one ``Snapshot``.

Laws: it reads and never writes; what several workers count is summed here and nowhere else. Rates are what was counted
in the last full second (``Rates.sample`` is called once per second).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tcpbalancer.channel import Admission
from tcpbalancer.counters import (
    BALANCED,
    BYTES_IN,
    BYTES_OUT,
    CLIENT_ABORTS,
    CONNECT_PEAK_MS,
    CONNECT_SUM_MS,
    CONNECTION_ERRORS,
    CONNECTS,
    CURRENT,
    DENIED_CONNECTIONS,
    DENIED_REQUESTS,
    DENIED_SESSIONS,
    LAST_SESSION_MS,
    MAXCONN,
    PEAK,
    QUEUE_PEAK_MS,
    QUEUE_SUM_MS,
    QUEUED,
    QUEUED_PEAK,
    REDISPATCHES,
    RESPONSE_ERRORS,
    RETRIES,
    SAMPLES,
    SERVER_ABORTS,
    SERVER_MAXCONN,
    SERVER_MAXQUEUE,
    SESSION_RATE,
    TOTAL,
    TOTAL_PEAK_MS,
    TOTAL_SUM_MS,
)
from tcpbalancer.model import Configuration, Frontend, Mode
from tcpbalancer.page_counters import Pages
from tcpbalancer.route import tcp_frontends
from tcpbalancer.server_state import CheckState
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.slowstart import shown_weight
from tcpbalancer.statistics import (
    BackendStatistics,
    CheckStatistics,
    FrontendStatistics,
    Outcomes,
    ProxyStatistics,
    ServerStatistics,
    Times,
    Traffic,
)
from tcpbalancer.tally import Tally
from tcpbalancer.watched import WatchedBackend, WatchedServer

FIRST_PROXY = 2
"""The number of the first proxy: HAProxy gives 1 to its own command line."""


class Rates:
    """Sessions per second of every block: the last full second, and the most there ever was in one."""

    def __init__(self, memory: Tally) -> None:
        self._memory = memory
        blocks = memory.layout.blocks
        self._before = [memory.sum(block, TOTAL) for block in range(blocks)]
        self.last = [0] * blocks
        self.peak = [0] * blocks
        self.sampled_at = time.monotonic()

    def sample(self) -> None:
        """Read the totals; call this once per second."""
        self.sampled_at = time.monotonic()
        for block, before in enumerate(self._before):
            total = self._memory.sum(block, TOTAL)
            self._before[block] = total
            self.last[block] = max(total - before, 0)
            self.peak[block] = max(self.peak[block], self.last[block])

    def clear(self, *, everything: bool) -> None:
        """Forget the peaks; with ``everything`` the totals begin at zero, too."""
        self.peak = [0] * len(self.peak)
        if everything:
            self._before = [0] * len(self._before)


class Idleness:
    """How idle the workers are, from the processor time that the kernel has counted for them (proc(5), schedstat)."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._sampled_at = time.monotonic()
        self.percent = 100

    def sample(self, pids: Iterable[int]) -> None:
        """Read the processor times of these processes; call this once per second."""
        now = time.monotonic()
        used = {pid: nanoseconds for pid in pids if (nanoseconds := _processor_time(pid)) is not None}
        shares = [
            (used[pid] - self._before[pid]) / 1e9 / (now - self._sampled_at) for pid in used if pid in self._before
        ]
        busy = sum(shares) / len(shares) if shares else 0.0
        self.percent = max(0, min(100, round(100 * (1 - busy))))
        self._before, self._sampled_at = used, now


def _processor_time(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None  # it has just ended, or the kernel does not count


class Painter:
    """Makes the proxies' part of a snapshot."""

    def __init__(
        self, configuration: Configuration, memory: Tally, watch: ServerWatch, rates: Rates, pages: Pages
    ) -> None:
        self._configuration = configuration
        self._pages = pages
        self._memory = memory
        self._watch = watch
        self._rates = rates
        self._frontends = {frontend.name: place for place, frontend in enumerate(tcp_frontends(configuration))}
        self._backends = {watched.backend.name: watched for watched in watch.backends}

    def proxies(
        self, now: float, *, is_open: bool, admissions: Mapping[str, Admission] | None = None
    ) -> Iterator[ProxyStatistics]:
        """Yield the proxies in the order of the file; ``is_open`` is False once the listeners are closed.

        ``admissions`` has the frontends that an operator keeps from accepting.
        """
        words = {Admission.PAUSED: "PAUSED", Admission.STOPPED: "STOP", Admission.OPEN: "OPEN"}
        status = {name: words[admission] for name, admission in (admissions or {}).items()} if is_open else {}
        for place, name in enumerate(self._configuration.order):
            frontend = self._configuration.frontends.get(name)
            watched = self._backends.get(name)
            either = frontend if watched is None else watched.backend
            yield ProxyStatistics(
                name=name,
                identity=FIRST_PROXY + place,
                mode=Mode.TCP if either is None else either.mode,
                frontend=None
                if frontend is None
                else self._frontend(frontend, status.get(name, "OPEN" if is_open else "STOP")),
                servers=()
                if watched is None
                else tuple(self._server(watched, index, now) for index in range(len(watched.servers))),
                backend=None if watched is None else self._backend(watched, now),
            )

    def _frontend(self, frontend: Frontend, status: str) -> FrontendStatistics:
        if frontend.mode is not Mode.TCP:
            return self._pages[frontend.name].statistics(status, frontend.maxconn, time.monotonic())
        block = self._memory.layout.frontend(self._frontends[frontend.name])
        place = self._frontends[frontend.name]
        traffic = self._traffic(block, self._memory.words[self._memory.layout.frontend_setting(place, MAXCONN)])
        denied_connections, denied_sessions = (
            self._memory.sum(block, field) for field in (DENIED_CONNECTIONS, DENIED_SESSIONS)
        )
        return FrontendStatistics(
            status,
            traffic,
            connection_rate=traffic.rate,
            connection_rate_peak=traffic.rate_peak,
            connections_total=traffic.total + denied_connections + denied_sessions,
            denied_requests=self._memory.sum(block, DENIED_REQUESTS),
            denied_connections=denied_connections,
            denied_sessions=denied_sessions,
            rate_limit=self._memory.words[self._memory.layout.frontend_setting(place, SESSION_RATE)],
        )

    def _server(self, watched: WatchedBackend, index: int, now: float) -> ServerStatistics:
        server = watched.servers[index]
        block = self._memory.layout.server(watched.place, server.place)
        told, state = server.server, server.state
        address = f"[{told.address}]" if ":" in told.address else told.address
        return ServerStatistics(
            name=told.name,
            identity=told.identity or server.place + 1,
            address=f"{address}:{told.port}",
            status=server.shown,
            usable=state.is_usable and server.effective > 0,
            backup=told.backup,
            weight=server.shown_weight,
            user_weight=server.weight,
            throttle=server.throttle,
            tracked=None if server.tracked is None else server.tracked.name,
            traffic=self._traffic(block, self._setting(watched.place, server.place, SERVER_MAXCONN)),
            outcomes=self._outcomes(block),
            times=self._times(block),
            balanced=self._memory.sum(block, BALANCED),
            last_change=now - state.changed_at,
            last_session=self._last_session(block, now),
            queued=self._memory.sum(block, QUEUED),
            queued_peak=self._memory.largest(block, QUEUED_PEAK),
            queue_limit=self._setting(watched.place, server.place, SERVER_MAXQUEUE),
            check=_check(server, server.state.check, now),
            agent=_check(server, server.state.agent, now),
        )

    def _backend(self, watched: WatchedBackend, now: float) -> BackendStatistics:
        left = watched.standing()
        usable = [server for server in watched.servers if server.state.is_usable]
        takes_part = [server for server in usable if not server.server.backup]
        takes_part = takes_part or usable[: None if watched.backend.all_backups else 1]
        weight = shown_weight(sum(server.effective for server in takes_part))
        block = self._memory.layout.backend(watched.place)
        return BackendStatistics(
            status="UP" if watched.state.is_up or not watched.servers else "DOWN",
            algorithm=watched.backend.balance,
            traffic=self._traffic(block, watched.backend.fullconn),
            outcomes=self._outcomes(block),
            times=self._times(block),
            weight=weight,
            user_weight=sum(server.weight for server in takes_part),
            active=left.active,
            backup=left.backup,
            balanced=self._memory.sum(block, BALANCED),
            down_transitions=watched.state.down_transitions,
            last_change=now - watched.state.changed_at,
            downtime=watched.state.downtime(now),
            last_session=self._last_session(block, now),
            queued=self._memory.sum(block, QUEUED),
            queued_peak=self._memory.largest(block, QUEUED_PEAK),
        )

    def _traffic(self, block: int, limit: int | None) -> Traffic:
        memory = self._memory
        return Traffic(
            current=memory.sum(block, CURRENT),
            peak=memory.largest(block, PEAK),
            limit=limit,
            total=memory.sum(block, TOTAL),
            bytes_in=memory.sum(block, BYTES_IN),
            bytes_out=memory.sum(block, BYTES_OUT),
            rate=self._rates.last[block],
            rate_peak=self._rates.peak[block],
        )

    def _setting(self, backend: int, server: int, setting: int) -> int | None:
        """Return a server's limit as it is now, None for 0."""
        return self._memory.words[self._memory.layout.server_setting(backend, server, setting)] or None

    def _outcomes(self, block: int) -> Outcomes:
        return Outcomes(
            connection_errors=self._memory.sum(block, CONNECTION_ERRORS),
            response_errors=self._memory.sum(block, RESPONSE_ERRORS),
            retries=self._memory.sum(block, RETRIES),
            redispatches=self._memory.sum(block, REDISPATCHES),
            client_aborts=self._memory.sum(block, CLIENT_ABORTS),
            server_aborts=self._memory.sum(block, SERVER_ABORTS),
            connects=self._memory.sum(block, CONNECTS),
        )

    def _times(self, block: int) -> Times:
        samples = max(self._memory.sum(block, SAMPLES), 1)
        return Times(
            queue_ms=self._memory.sum(block, QUEUE_SUM_MS) // samples,
            connect_ms=self._memory.sum(block, CONNECT_SUM_MS) // samples,
            total_ms=self._memory.sum(block, TOTAL_SUM_MS) // samples,
            queue_peak_ms=self._memory.largest(block, QUEUE_PEAK_MS),
            connect_peak_ms=self._memory.largest(block, CONNECT_PEAK_MS),
            total_peak_ms=self._memory.largest(block, TOTAL_PEAK_MS),
        )

    def _last_session(self, block: int, now: float) -> int:
        last = self._memory.largest(block, LAST_SESSION_MS)
        return int(now - last / 1000) if last else -1


def _check(watched: WatchedServer, check: CheckState, now: float) -> CheckStatistics | None:
    state = watched.state
    if not check.enabled:
        return None
    return CheckStatistics(
        status=check.last.status.name,
        description=check.last.status.value,
        code=check.last.code,
        info=check.last.info,
        duration_ms=None if check.checked_at is None else check.last.duration_ms,
        in_progress=watched.is_being_checked and check is state.check,
        failed=state.failed_checks,
        down_transitions=state.down_transitions,
        downtime=state.downtime(now),
        rise=check.counter.rise,
        fall=check.counter.fall,
        health=check.counter.health,
        age=None if check.checked_at is None else now - check.checked_at,
        paused=check.paused,
        observed=state.failed_observations if watched.server.observe else None,
    )

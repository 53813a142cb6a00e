"""A picture of a balancer, with something in every column."""

from __future__ import annotations

from dataclasses import replace

from tcpbalancer.model import Mode
from tcpbalancer.statistics import (
    BackendStatistics,
    CheckStatistics,
    FrontendStatistics,
    HttpStatistics,
    Outcomes,
    ProxyStatistics,
    ServerStatistics,
    Snapshot,
    Times,
    Traffic,
    WorkerStatistics,
)

CHECK = CheckStatistics(
    "L7STS", "Layer7 wrong status", 503, 'Service\nGone, "now"', 12, False, 3, 1, 61.9, 2, 3, 0, 0.5
)
SERVER = ServerStatistics(
    name="pg1", identity=1, address="192.0.2.1:5432", status="DOWN", usable=False, backup=False, weight=1,
    user_weight=1,
    traffic=Traffic(1, 2, 100, 4, 5, 6, 7, 8), outcomes=Outcomes(1, 2, 3, 4, 5, 6, 7),
    times=Times(1, 2, 3, 4, 5, 6, 7, 8), balanced=9, last_change=3700.9, last_session=-1, check=CHECK,
)  # fmt: skip
BACKUP = replace(SERVER, name="pg2", backup=True, check=None)
BACKEND = BackendStatistics("DOWN", "roundrobin", Traffic(), Outcomes(), Times(), 0, 2, 0, 0, 9, 1, 3.0, 4.0, 5)
FRONTEND = FrontendStatistics("OPEN", Traffic(limit=2000))
PAGE = replace(FRONTEND, http=HttpStatistics(answers=(0, 0, 0, 0, 0)))
SNAPSHOT = Snapshot(
    taken_at=86400.0 + 3661, counters_age=0.25, pid=42, version="3.0.0", uptime=93784.0, node="lb<1>",
    description="a & b", maxconn=2000, current=3, idle_percent=93, dropped_records=0,
    workers=(WorkerStatistics(0, 43, True, 0, 3), WorkerStatistics(1, 0, False, 1, 0)),
    proxies=(
        ProxyStatistics("stats", 2, Mode.HTTP, PAGE, (), BACKEND),
        ProxyStatistics("pg", 3, Mode.TCP, FRONTEND, (SERVER, BACKUP), BACKEND),
    ),
)  # fmt: skip

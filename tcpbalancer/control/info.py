"""What ``show info`` tells of the process: names, places, tags and types as HAProxy 3.5 has them.

Laws: pure: the values come in by name, and whoever forgets one gets a 0. Every name is there whatever it means here:
somebody reads it; no value holds a colon, since readers cut a line at the first and some at the last one.

Source: HAProxy's management guide, section 9.3 "show info".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tcpbalancer.control.typed import json_field

Info = Mapping[str, int | float | str]

FIELDS = (
    (0, "Name", "POSV", "str"),
    (1, "Version", "POSV", "str"),
    (2, "Release_date", "POSV", "str"),
    (3, "Nbthread", "CGSV", "u32"),
    (4, "Nbproc", "CGSV", "u32"),
    (5, "Process_num", "KGPV", "u32"),
    (6, "Pid", "SGPV", "u32"),
    (7, "Uptime", "MDPV", "str"),
    (8, "Uptime_sec", "MDPV", "u32"),
    (9, "Memmax_MB", "CLPV", "u32"),
    (10, "PoolAlloc_MB", "MGPV", "u32"),
    (11, "PoolUsed_MB", "MGPV", "u32"),
    (12, "PoolFailed", "MCPV", "u32"),
    (13, "Ulimit-n", "CLPV", "u32"),
    (14, "Maxsock", "CLPV", "u32"),
    (15, "Maxconn", "CLPV", "u32"),
    (16, "Hard_maxconn", "CLPV", "u32"),
    (17, "CurrConns", "MGPV", "u32"),
    (18, "CumConns", "MCPV", "u32"),
    (19, "CumReq", "MCPV", "u32"),
    (20, "MaxSslConns", "MMPV", "u32"),
    (21, "CurrSslConns", "MGPV", "u32"),
    (22, "CumSslConns", "MCPV", "u32"),
    (23, "Maxpipes", "CLPV", "u32"),
    (24, "PipesUsed", "MGPV", "u32"),
    (25, "PipesFree", "MGPV", "u32"),
    (26, "ConnRate", "MRPV", "u32"),
    (27, "ConnRateLimit", "CLPV", "u32"),
    (28, "MaxConnRate", "MMPV", "u32"),
    (29, "SessRate", "MRPV", "u32"),
    (30, "SessRateLimit", "CLPV", "u32"),
    (31, "MaxSessRate", "MRPV", "u32"),
    (32, "SslRate", "MRPV", "u32"),
    (33, "SslRateLimit", "CLPV", "u32"),
    (34, "MaxSslRate", "MMPV", "u32"),
    (35, "SslFrontendKeyRate", "MGPV", "u32"),
    (36, "SslFrontendMaxKeyRate", "MMPV", "u32"),
    (37, "SslFrontendSessionReuse_pct", "MGPV", "u32"),
    (38, "SslBackendKeyRate", "MRPV", "u32"),
    (39, "SslBackendMaxKeyRate", "MMPV", "u32"),
    (40, "SslCacheLookups", "MCPV", "u32"),
    (41, "SslCacheMisses", "MCPV", "u32"),
    (42, "CompressBpsIn", "MRPV", "u32"),
    (43, "CompressBpsOut", "MRPV", "u32"),
    (44, "CompressBpsRateLim", "CLPV", "u32"),
    (47, "Tasks", "MGPV", "u32"),
    (48, "Run_queue", "MGPV", "u32"),
    (49, "Idle_pct", "MaPV", "u32"),
    (50, "node", "COSV", "str"),
    (51, "description", "COSV", "str"),
    (52, "Stopping", "MGPV", "u32"),
    (53, "Jobs", "MGPV", "u32"),
    (54, "Unstoppable Jobs", "MGPV", "u32"),
    (55, "Listeners", "MGPV", "u32"),
    (56, "ActivePeers", "MGPV", "u32"),
    (57, "ConnectedPeers", "MGPV", "u32"),
    (58, "DroppedLogs", "MGPV", "u32"),
    (59, "BusyPolling", "MGPV", "u32"),
    (60, "FailedResolutions", "MGPV", "u32"),
    (61, "TotalBytesOut", "MGPV", "u64"),
    (62, "TotalSplicedBytesOut", "MGPV", "u64"),
    (63, "BytesOutRate", "MRPV", "u64"),
    (64, "DebugCommandsIssued", "MGPV", "u32"),
    (65, "CumRecvLogs", "MCPV", "u32"),
    (66, "Build info", "POSV", "str"),
    (67, "Memmax_bytes", "CLPV", "u32"),
    (68, "PoolAlloc_bytes", "MGPV", "u64"),
    (69, "PoolUsed_bytes", "MGPV", "u64"),
    (70, "Start_time_sec", "MDPV", "u32"),
    (71, "Tainted", "SGPV", "str"),
    (72, "TotalWarnings", "MCPV", "u32"),
    (73, "MaxconnReached", "MCPV", "u32"),
    (74, "BootTime_ms", "MDPV", "u32"),
    (75, "Niced_tasks", "MGPV", "u32"),
    (76, "CurrStreams", "MGPV", "u64"),
    (77, "CumStreams", "MGPV", "u64"),
    (78, "BlockedTrafficWarnings", "MGPV", "u32"),
    (79, "PatternsAdded", "MGPV", "u64"),
    (80, "PatternsFreed", "MGPV", "u64"),
    (81, "NbThreadGroups", "CGSV", "u32"),
)
"""Position, name, tags, type. ``description`` is there only if the configuration has one."""


def _fields(info: Info) -> Iterator[tuple[int, str, str, str, int | float | str]]:
    for position, name, tags, kind in FIELDS:
        if name != "description" or info.get(name):
            value = info.get(name, "" if kind == "str" else 0)
            yield position, name, tags, kind, " ".join(str(value).splitlines()) if kind == "str" else value


def as_lines(info: Info, descriptions: Mapping[str, str] | None = None) -> str:
    """Return ``Name: value`` lines; with ``descriptions`` those follow in quotes."""
    return "".join(
        f"{name}: {_shown(value)}{_described(name, descriptions)}\n" for _, name, _, _, value in _fields(info)
    )


def as_typed(info: Info, descriptions: Mapping[str, str] | None = None) -> str:
    """Return ``7.Uptime.1:MDPV:str:0d 0h00m12s`` lines."""
    return "".join(
        f"{position}.{name}.1:{tags}:{'flt' if isinstance(value, float) else kind}:{_shown(value)}"
        f"{_described(name, descriptions)}\n"
        for position, name, tags, kind, value in _fields(info)
    )


def as_json(info: Info, descriptions: Mapping[str, str] | None = None) -> str:
    """Return an array with an object for each field, on one line."""
    fields = [
        json_field(position, name, tags, kind, value)
        | ({} if descriptions is None else {"desc": descriptions.get(name, "")})
        for position, name, tags, kind, value in _fields(info)
    ]
    return json.dumps(fields, separators=(",", ":")) + "\n"


def uptime(seconds: float) -> str:
    """Return ``0d 0h00m12s``."""
    whole = int(seconds)
    return f"{whole // 86400}d {whole // 3600 % 24}h{whole // 60 % 60:02}m{whole % 60:02}s"


def _shown(value: float | str) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _described(name: str, descriptions: Mapping[str, str] | None) -> str:
    return "" if descriptions is None else f':"{descriptions.get(name, "")}"'

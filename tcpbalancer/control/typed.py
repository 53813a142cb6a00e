"""The statistics in HAProxy's typed form, a field per line or as JSON: each value with its origin, nature, scope.

Laws: pure; the same rows as the CSV (``table``), so they cannot disagree. What the CSV leaves empty is not there.

Source: HAProxy's management guide, section 9.2 "Typed output format"; tags and types as 3.5 prints them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from tcpbalancer.control.table import COLUMNS, Row, Value

_ORIGINS = {"M": "Metric", "S": "Status", "K": "Key", "C": "Config", "P": "Product"}
_NATURES = {
    "G": "Gauge", "L": "Limit", "m": "Min", "M": "Max", "R": "Rate", "C": "Counter", "D": "Duration", "A": "Age",
    "T": "Time", "N": "Name", "O": "Output", "a": "Avg",
}  # fmt: skip
_SCOPES = {"C": "Cluster", "P": "Process", "S": "Service", "s": "System"}
_KINDS = {"FRONTEND": ("F", "Frontend"), "BACKEND": ("B", "Backend"), "SERVER": ("S", "Server")}

_GROUPS = {
    "KNSV str": """
        pxname svname
    """,
    "MGPV u32": """
        qcur scur act bck srv_icur idle_conn_cur safe_conn_cur used_conn_cur need_conn_est agg_server_status
        agg_server_check_status agg_check_status priv_idle_cur
    """,
    "MMPV u32": """
        qmax smax rate_max req_rate_max conn_rate_max qtime_max ctime_max rtime_max ttime_max
    """,
    "CLPV u32": """
        slim rate_lim src_ilim
    """,
    "MCPP u64": """
        stot bin bout dreq dresp ereq econ eresp wretr wredis chkfail chkdown lbtot hrsp_1xx hrsp_2xx
        hrsp_3xx hrsp_4xx hrsp_5xx hrsp_other req_tot cli_abrt srv_abrt comp_in comp_out comp_byp comp_rsp
        conn_tot intercepted dcon dses wrew connect reuse cache_lookups cache_hits eint h1sess h2sess h3sess
        req_other h1req h2req h3req reqbin reqbout resbin resbout cache_hint_hits
    """,
    "SGPV str": """
        status
    """,
    "KGPV u32": """
        pid
    """,
    "KGSV u32": """
        iid sid
    """,
    "CGSV u32": """
        qlimit type check_rise check_fall check_health agent_rise agent_fall agent_health
    """,
    "MRPP u32": """
        rate req_rate conn_rate
    """,
    "CGSV str": """
        addr mode algo
    """,
    "MCPV u64": """
        sess_other h2_headers_rcvd h2_data_rcvd h2_settings_rcvd h2_rst_stream_rcvd h2_goaway_rcvd
        h2_detected_conn_protocol_errors h2_detected_strm_protocol_errors h2_rst_stream_resp h2_goaway_resp
        h2_total_connections h2_backend_total_streams ssl_sess ssl_reused_sess ssl_failed_handshake
        ssl_ocsp_staple ssl_failed_ocsp_staple h1_total_connections h1_total_streams h1_bytes_in
        h1_bytes_out h1_spliced_bytes_in h1_spliced_bytes_out
    """,
    "MGPV u64": """
        h2_open_connections h2_backend_open_streams h1_open_connections h1_open_streams
    """,
    "MaPV u32": """
        weight throttle qtime ctime rtime ttime uweight
    """,
    "MAPP u32": """
        lastchg
    """,
    "MAPP s32": """
        lastsess
    """,
    "MCPV u32": """
        downtime srid
    """,
    "MOPV str": """
        check_status last_chk last_agt agent_status check_desc agent_desc
    """,
    "MOPV u32": """
        check_code agent_code
    """,
    "MDPV u64": """
        check_duration agent_duration
    """,
    "CNSV str": """
        tracked cookie
    """,
    "MCPP u32": """
        hanafail
    """,
}
"""Columns by their tags (origin, nature, scope, persistence) and their type."""
_TAGS = {name: group for group, names in _GROUPS.items() for name in names.split()}
_COUNTED = [name for name in COLUMNS if name != "-"]
"""The column that parts HAProxy's own from those of its modules has no number."""
_EXCEPTIONS = {
    ("BACKEND", "rate_max"): "MGPV u32",
    ("SERVER", "act"): "SGPV u32",
    ("SERVER", "bck"): "SGPV u32",
}


def _fields(row: Row) -> Iterator[tuple[int, str, str, str, Value]]:
    """Yield position, name, tags, type and value of each field that is there."""
    for position, name in enumerate(_COUNTED):
        if name in row.values and name in _TAGS:
            tags, kind = _EXCEPTIONS.get((row.kind, name), _TAGS[name]).split()
            yield position, name, tags, kind, row.values[name]


def typed(rows: Iterable[Row], descriptions: Mapping[str, str] | None = None) -> str:
    """Return ``F.2.0.4.scur.1:MGPV:u32:0`` for each field; with ``descriptions`` those follow in quotes."""
    return "".join(
        f"{_KINDS[row.kind][0]}.{row['iid']}.{row['sid']}.{position}.{name}.1:{tags}:{kind}:{_flat(value)}"
        f"{_described(name, descriptions)}\n"
        for row in rows
        for position, name, tags, kind, value in _fields(row)
    )


def as_json(rows: Iterable[Row], descriptions: Mapping[str, str] | None = None) -> str:
    """Return an array with an array for each row, on one line."""
    return f"[{','.join(_row_as_json(row, descriptions) for row in rows)}]\n"


def _row_as_json(row: Row, descriptions: Mapping[str, str] | None) -> str:
    """Return one row; put together from texts, for there are many fields and few that differ."""
    who = f'{{"objType":"{_KINDS[row.kind][1]}","proxyId":{row["iid"]},"id":{row["sid"]},'
    fields = [
        f"{who}{_head(position, name, tags, kind)}{value if isinstance(value, int) else json.dumps(value)}}}"
        f"{_description(name, descriptions)}}}"
        for position, name, tags, kind, value in _fields(row)
    ]
    return f"[{','.join(fields)}]"


@cache
def _head(position: int, name: str, tags: str, kind: str) -> str:
    """Return a field as JSON from its second member up to the value."""
    text = json.dumps(json_field(position, name, tags, kind, 0), separators=(",", ":"))
    return text.removeprefix("{").removesuffix("0}}")


def json_field(position: int, name: str, tags: str, kind: str, value: Value | float) -> dict[str, object]:
    """Return one field as an object."""
    return {
        "field": {"pos": position, "name": name},
        "processNum": 1,
        "tags": {"origin": _ORIGINS[tags[0]], "nature": _NATURES[tags[1]], "scope": _SCOPES[tags[2]]},
        "value": {"type": kind, "value": value},
    }


def _described(name: str, descriptions: Mapping[str, str] | None) -> str:
    return "" if descriptions is None else f':"{descriptions.get(name, "")}"'


def _description(name: str, descriptions: Mapping[str, str] | None) -> str:
    return "" if descriptions is None else f',"desc":{json.dumps(descriptions.get(name, ""))}'


def _flat(value: Value) -> str:
    return " ".join(str(value).splitlines())

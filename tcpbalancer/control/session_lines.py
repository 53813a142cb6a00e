"""Sessions as ``show sess`` prints them: one line each, or a block with everything that is known.

Laws: pure. HAProxy prints pointers and flags of its own structures; here stand the values that mean something, under
its names and in its order, so that scripts which look for ``src=``, ``fe=``, ``be=``, ``srv=`` and ``age=`` find them.

Source: HAProxy's management guide, section 9.3 "show sess"; ``stream.c``.
"""

from __future__ import annotations

from datetime import datetime

from tcpbalancer.channel import SessionView
from tcpbalancer.session_log import MONTHS

_STATES = {"queued": "QUE", "connecting": "CON", "waiting": "TAR", "choosing": "REQ", "relaying": "EST", "ended": "CLO"}


def session_line(view: SessionView) -> str:
    """Return one line; the word before the colon is the id that ``shutdown session`` takes."""
    backend, server = view.backend or "<NONE>", view.server or "<none>"
    expires = "" if view.expires is None else human(view.expires)
    return (
        f"0x{view.id:x}: proto={_protocol(view)} src={view.client}:{view.client_port} fe={view.frontend} "
        f"be={backend} srv={server} ts=00 epoch=0 age={human(view.age)} calls=1 rate=0 cpu=0 lat=0 "
        f"rq[f=0h,i=0,an=00h,ax=] rp[f=0h,i=0,an=00h,ax=] scf=[8,0h,fd=-1/-1,rex=,wex=] "
        f"scb=[8,1h,fd=-1/-1,rex=,wex=] exp={expires} rc=0 c_exp="
    )


def session_block(view: SessionView) -> str:
    """Return everything that is known of a session."""
    expires = "<NEVER>" if view.expires is None else human(view.expires)
    backend = view.backend or "<NONE>"
    server = view.server or "<none>"
    address = f" addr={view.server_address}" if view.server_address else ""
    return (
        f"0x{view.id:x}: [{_date(view.accepted_at)}] id={view.id & 0xFFFFFFFF} proto={_protocol(view)} "
        f"source={view.client}:{view.client_port}\n"
        f"  flags=0x0, conn_retries=0, conn_exp=<NEVER> conn_et=0x000 srv_conn=(nil), pend_pos=(nil) "
        f"waiting=0 epoch=0\n"
        f"  frontend={view.frontend} (mode=tcp), listener=? (id=1)\n"
        f"  backend={backend} (mode=tcp)\n"
        f"  server={server}{address}\n"
        f"  task=(worker {view.worker}) (state=0x00 nice=0 calls=1 rate=0 exp={expires} age={human(view.age)})\n"
        f"  scf=(nil) flags=0x00000000 state=EST endp=CONN sub=1\n"
        f"  scb=(nil) flags=0x00000001 state={_STATES.get(view.phase, 'INI')} endp=CONN sub=1\n"
        f"  req=(nil) (f=0x0 an=0x0 tofwd=-1 total={view.bytes_in})\n"
        f"  res=(nil) (f=0x0 an=0x0 tofwd=-1 total={view.bytes_out})"
    )


def _protocol(view: SessionView) -> str:
    if view.client.startswith("unix"):
        return "unix_stream"
    return "tcpv6" if ":" in view.client else "tcpv4"


def _date(wall: float) -> str:
    local = datetime.fromtimestamp(wall).astimezone()
    return f"{local.day:02d}/{MONTHS[local.month - 1]}/{local:%Y:%H:%M:%S}.{local.microsecond:06d}"


def human(seconds: float) -> str:
    """Return ``29m59s``, ``3s``, ``1h5m``, ``2d3h``: the two largest units, none that is zero."""
    whole = int(seconds)
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("m", whole // 60 % 60), ("s", whole % 60))
    first = next((place for place, (_, count) in enumerate(units) if count), len(units) - 1)
    kept = [f"{count}{unit}" for unit, count in units[first : first + 2] if count]
    return "".join(kept) or "0s"

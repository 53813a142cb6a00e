"""The form of the statistics page, carried out.

Laws: no socket. Each server is changed through ``Administration``, as on the runtime API; the answer is one of the
codes in ``asked.OUTCOMES``. What does not apply to a server (health of one that is not checked) is passed over.

Source: ``stats_process_http_post`` (``stats-html.c``), and what 2.6.12 was seen to answer.
"""

from __future__ import annotations

from collections.abc import Callable

from tcpbalancer.administration import Administration
from tcpbalancer.channel import Cut, Order
from tcpbalancer.control.asked import Wish
from tcpbalancer.watched import WatchedServer

ACTIONS = (
    ("ready", "Set state to READY"),
    ("drain", "Set state to DRAIN"),
    ("maint", "Set state to MAINT"),
    ("dhlth", "Health: disable checks"),
    ("ehlth", "Health: enable checks"),
    ("hrunn", "Health: force UP"),
    ("hnolb", "Health: force NOLB"),
    ("hdown", "Health: force DOWN"),
    ("dagent", "Agent: disable checks"),
    ("eagent", "Agent: enable checks"),
    ("arunn", "Agent: force UP"),
    ("adown", "Agent: force DOWN"),
    ("shutdown", "Kill sessions"),
)
"""What the form offers, by HAProxy's names."""
_OLD = ("enable", "disable", "start", "stop")
_KNOWN = frozenset({*(name for name, _ in ACTIONS), *_OLD})


def carry_out(wish: Wish, administration: Administration, send: Callable[[Order], None]) -> str:
    """Do what a form says; returns the code for ``st=``."""
    backend = None if wish.backend is None else administration.backend(wish.backend)
    if wish.backend is not None and backend is None:
        return "ERRP"
    if wish.action is not None and wish.action not in _KNOWN:
        return "ERRP"
    if wish.action is None or backend is None or not wish.servers:
        return "NONE"
    done = meant = 0
    # HAProxy reads its forms from the end, so the last server comes first: log lines are in that order.
    for name in reversed(wish.servers):
        server = administration.server(backend.backend.name, name) if name and not name.startswith("#") else None
        if not isinstance(server, WatchedServer):
            meant += 1
        elif _applies(server, wish.action):
            meant += 1
            done += _act(server, wish.action, administration, send)
    if not meant:
        return "NONE"
    return "DONE" if done == meant else "PART" if done else "ERRP"


def _applies(server: WatchedServer, action: str) -> bool:
    state = server.state
    match action:
        case "dhlth" | "ehlth":
            return state.check.configured
        case "dagent" | "eagent":
            return state.agent.configured
        case "arunn" | "adown":
            return state.agent.enabled
        case "hrunn" | "hnolb" | "hdown":
            return server.tracked is None
        case _:
            return True


def _act(server: WatchedServer, action: str, administration: Administration, send: Callable[[Order], None]) -> bool:
    if action != "shutdown":
        return administration.page_action(server, action)
    reason = f"sessions of {server.name} shut down by an operator"
    send(Cut("KC", reason, backend=server.backend.place, server=server.place))
    return True

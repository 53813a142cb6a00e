"""A move of the VIP, and the proof that clients moved with it.

Laws: an answer through the VIP proves nothing by itself, for a node that has lost the VIP and knows it not serves on:
the balancer of the node that has it now must have counted the client. The daemon's word counts if it was given after
the deed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from halab.gaps import GapMeter
from halab.parts.client import Answer, query, sql_client
from halab.reference import NAMES, NODES, VIP, ReferenceLab
from halab.report import Seen
from halab.wait import NotSeenError, poll

ADDRESS_OF_SERVER = "SELECT inet_server_addr()"
SERVED_WITHIN = 5.0
"""Seconds after a move within which the new node's balancer must serve clients of the VIP."""


def takeover(lab: ReferenceLab, deed: Callable[[], object], to: set[str], within: float, served_by: str = "") -> Seen:
    """Do something, and wait until exactly ``to`` hold the VIP and a client is served through it.

    ``served_by`` is the node that must serve, if ``to`` are several. ``seconds`` of the result is the time from the
    deed to the move. Raises NotSeenError.
    """
    server = served_by or min(to)
    with GapMeter(lab.client, VIP, 5432) as meter:
        begun = time.monotonic()
        deed()
        moved = lab.addresses.until(VIP, to, max(0.0, begun + within - time.monotonic())) - begun
        answer = _served_by(lab, server)
        before = meter.answers
        poll(lambda: meter.answers > before + 5, SERVED_WITHIN, f"clients served through {VIP}")
    if moved > within or moved < 0:
        raise NotSeenError(f"the VIP moved after {moved:.2f} s")
    lab.await_master(server, begun)
    name = NAMES.get(answer.text, answer.text)
    served = f"{sql_client()} answered by {name} through {server}, which counted it"
    return Seen(f"{server} has the VIP after {moved:.2f} s; {served}; {meter.told()}", moved)


def answer_or_none(lab: ReferenceLab) -> Answer | None:
    """Return what a client of the VIP is answered, or None if it is not."""
    answer = query(lab.client, VIP, 5432, ADDRESS_OF_SERVER)
    return answer if answer.ok else None


def _served_by(lab: ReferenceLab, node: str) -> Answer:
    before = _sessions(lab, node)

    def counted() -> Answer | None:
        answer = answer_or_none(lab)
        return answer if _sessions(lab, node) > before else None

    return poll(counted, SERVED_WITHIN, f"clients of {VIP} counted by the balancer of {node} (from {before})")


def _sessions(lab: ReferenceLab, node: str) -> int:
    return sum(line.sessions for line in lab.statistics(NODES[node]))

"""The relay that is used: copy for what is small, splice once a direction has proven to be bulk.

Laws: see ``tcpbalancer.relay``. A direction that fills the buffer ``PROOF`` times in a row goes over to pages: a pipe
costs two system calls more than a copy, and saves copying twice what goes through it. It goes back when ``PROOF`` turns
in a row have moved little.
"""

from __future__ import annotations

from tcpbalancer.relay.copy import CopyRelay, Flow
from tcpbalancer.relay.pipes import Pipe
from tcpbalancer.relay.side import Side
from tcpbalancer.relay.splice import SpliceRelay

PROOF = 3
"""Turns in a row that decide what a direction is."""
LITTLE = 16384
"""Bytes of one turn for which copying is cheaper than a pipe."""


class AdaptiveRelay(SpliceRelay):
    """Begins as a copy."""

    __slots__ = ()

    def _receive(self, side: Side, mask: int) -> int:
        flow = self._flows[side]
        if flow.is_bulk:
            return super()._receive(side, mask)
        moved = CopyRelay._receive(self, side, mask)  # noqa: SLF001 - past the splice in between
        if flow.evidence >= PROOF:
            flow.is_bulk, flow.evidence = True, 0
        return moved

    def _moved_pages(self, flow: Flow, count: int, pipe: Pipe) -> None:
        flow.evidence = flow.evidence + 1 if count < min(LITTLE, pipe.size) else 0
        if flow.evidence >= PROOF:
            flow.is_bulk, flow.evidence = False, 0

"""Renewals of lifetimes of addresses: raw netlink, in a thread of its own, for they happen all the time.

Laws: the loop asks and goes on; no advertisement waits for the kernel. The kernel carries a request out before the call
that sends it returns, and speaks only of those that it refuses (no NLM_F_ACK): with nothing to read, all were done. But
it takes the lock of all networking for each (RTNL), which others may hold for milliseconds, so the call is made by a
thread. What is given up is not carried out any more, save what is under way at that moment: whoever gives it up waits
for its end, so that no renewal ever comes after the removal of an address, which would bring it back.
netlink(7), rtnetlink(7).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import queue
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

MOST_AT_ONCE = 256
"""Requests in one call: some 25 kB, well within what a netlink socket may send (net.core.wmem_default)."""
SLICE = 32
"""Renewals that are told of together: one by one, the loop would be woken for each."""
PATIENCE = 1.0
"""Seconds that the end waits for a renewal that is under way."""
_LARGEST = 1 << 16
_NLMSG_ERROR = 2
_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")

Refusals = list[tuple[int, bytes]]
"""Requests that were refused, each with the errno of its refusal; an empty one stands for whichever."""


@dataclass(slots=True)
class Renewal:
    """Requests that are on their way, and who is told of their end (in the loop): ``done`` is called once, or never.

    Of a renewal that was given up nobody is told.
    """

    requests: Sequence[bytes]
    done: Callable[[Refusals], None]
    given_up: bool = False
    under_way: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Renewals:
    """Has the kernel carry renewals out, one after the other, in the order in which they were asked for."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._loop = asyncio.get_running_loop()
        self._asked: list[Renewal] = []
        self._batches: queue.SimpleQueue[list[Renewal] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, renewal: Renewal) -> None:
        """Have ``renewal`` carried out soon; those that are asked for in one turn of the loop go together."""
        if not self._asked:
            self._loop.call_soon(self._send_off)
        self._asked.append(renewal)

    def _send_off(self) -> None:
        batch, self._asked = self._asked, []
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="renewals", daemon=True)
            self._thread.start()
        self._batches.put(batch)

    async def give_up(self, renewal: Renewal) -> None:
        """Return when ``renewal`` cannot be carried out any more."""
        with self._lock:
            renewal.given_up = True
            under_way = renewal.under_way
        if under_way:
            await renewal.ended.wait()

    def close(self) -> None:
        """Carry out nothing more; what is under way may end, if it does so soon."""
        self._batches.put(None)
        if self._thread is not None:
            self._thread.join(PATIENCE)
        self._socket.close()

    # --- In the thread --------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._batches.get()) is not None:
            for begin in range(0, len(batch), SLICE):
                those = batch[begin : begin + SLICE]
                carried_out = [(renewal, found) for renewal in those if (found := self._carry_out(renewal)) is not None]
                self._call(partial(self._tell, carried_out))

    def _carry_out(self, renewal: Renewal) -> Refusals | None:
        if not self._begins(renewal):
            return None
        refused: Refusals = []
        try:
            for begin in range(0, len(renewal.requests), MOST_AT_ONCE):
                self._socket.send(b"".join(renewal.requests[begin : begin + MOST_AT_ONCE]))
                refused += self._refusals()
        except OSError as wrong:
            refused.append((wrong.errno or errno.EIO, b""))
        self._ends(renewal)
        return refused

    def _begins(self, renewal: Renewal) -> bool:
        with self._lock:
            renewal.under_way = not renewal.given_up
            return renewal.under_way

    def _ends(self, renewal: Renewal) -> None:
        with self._lock:
            renewal.under_way = False
            if renewal.given_up:  # whoever has given it up waits
                self._call(renewal.ended.set)

    def _call(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile: there is nobody to tell
            self._loop.call_soon_threadsafe(call)

    def _refusals(self) -> Iterator[tuple[int, bytes]]:
        while True:
            try:
                answer = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return
            except OSError as overrun:  # more refusals than fit: there were some, whichever
                yield overrun.errno or errno.ENOBUFS, b""
                continue
            _, kind, *_ = _HEADER.unpack_from(answer)
            number = -_ERROR.unpack_from(answer, _HEADER.size)[0] if kind == _NLMSG_ERROR else 0
            if number:  # behind it the kernel repeats the whole request
                yield number, answer[_HEADER.size + _ERROR.size :]

    # --- In the loop again ----------------------------------------------------------------------------------------

    @staticmethod
    def _tell(carried_out: list[tuple[Renewal, Refusals]]) -> None:
        for renewal, refused in carried_out:
            if not renewal.given_up:
                renewal.done(refused)

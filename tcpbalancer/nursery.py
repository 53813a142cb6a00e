"""The process that workers come from: it has loaded what a worker needs, gives its rights up, and forks on demand.

Laws: started with ``python -m tcpbalancer.nursery``, it imports what a worker imports and nothing else, runs no thread,
and meets neither clients nor servers. So a worker is there within milliseconds, with memory that all of them share, and
also where nothing could be loaded any more: in a chroot, as a user who may not read our files. It does what its
supervisor says, one request at a time, and ends with it.
"""

from __future__ import annotations

import array
import codecs
import contextlib
import gc
import json
import os
import pickle
import select
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from tcpbalancer import worker
from tcpbalancer.model.process import Identity
from tcpbalancer.privileges import PrivilegeError, give_up

LARGEST = 65536
PER_MESSAGE = 200
"""Descriptors in one message: the kernel takes 253 (SCM_MAX_FD)."""


@dataclass(frozen=True, slots=True)
class Become:
    """Give up what this identity has not; answered by ``Became``."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class Became:
    """``problem`` says why not; empty: done."""

    problem: str


@dataclass(frozen=True, slots=True)
class Fork:
    """Start a worker with ``count`` descriptors, the first ones beside this, the others in messages that follow.

    The first is its ``Handover``, then come counters, channel, listeners; answered by ``Forked``.
    """

    count: int


@dataclass(frozen=True, slots=True)
class Forked:
    """A worker was started; beside this is its pidfd. ``problem``: why none was."""

    pid: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Died:
    """A worker has ended; ``status`` is negative for a signal."""

    pid: int
    status: int


Request = Become | Fork
Reply = Became | Forked | Died
_REPLIES = {reply.__name__: reply for reply in (Became, Forked, Died)}


def pack_reply(reply: Reply) -> bytes:
    """Return the datagram of a reply: no pickle, for the supervisor trusts nobody with its code."""
    return json.dumps([type(reply).__name__, *astuple(reply)]).encode()


def unpack_reply(text: bytes) -> Reply:
    """Return what ``pack_reply`` packed."""
    name, *values = json.loads(text)
    reply: Reply = _REPLIES[name](*values)
    return reply


def send(connection: socket.socket, text: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a datagram and, beside it, descriptors."""
    numbers = array.array("i", descriptors)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)] if descriptors else []
    connection.sendmsg([text], ancillary)


class Nursery:
    """The loop: requests, and children that end."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._children: dict[int, int] = {}  # pidfd: pid

    def run(self) -> None:
        """Serve until the supervisor is gone."""
        while True:
            for descriptor, _ in self._poll.poll():
                if descriptor in self._children:
                    self._bury(descriptor)
                elif not self._serve():
                    return

    def _serve(self) -> bool:
        text, descriptors, _, _ = socket.recv_fds(self._control, LARGEST, PER_MESSAGE)
        if not text:
            return False
        request: Request = pickle.loads(text)  # noqa: S301 - written by our own parent
        match request:
            case Become(identity):
                send(self._control, pack_reply(Became(_become(identity))))
            case Fork(count):
                while len(descriptors) < count:
                    descriptors += socket.recv_fds(self._control, LARGEST, PER_MESSAGE)[1]
                self._fork(descriptors)
        return True

    def _fork(self, descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as problem:
            send(self._control, pack_reply(Forked(problem=problem.strerror or str(problem))))
        else:
            if not pid:
                self._be_a_worker(descriptors)
            pidfd = os.pidfd_open(pid)
            self._children[pidfd] = pid
            self._poll.register(pidfd, select.POLLIN)
            send(self._control, pack_reply(Forked(pid)), [pidfd])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _be_a_worker(self, descriptors: list[int]) -> None:
        """Never returns."""
        status = 1
        try:
            self._control.close()
            for pidfd in self._children:
                os.close(pidfd)
            worker.serve(descriptors)
            status = 0
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 0
        except BaseException:  # noqa: BLE001 - the process ends here, whatever it is
            traceback.print_exc()
        finally:
            os._exit(status)

    def _bury(self, pidfd: int) -> None:
        pid = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        send(self._control, pack_reply(Died(pid, os.waitstatus_to_exitcode(status))))


def _become(identity: Identity) -> str:
    try:
        give_up(identity)
    except PrivilegeError as problem:
        return str(problem)
    return ""


def main(arguments: list[str]) -> None:
    """Run the nursery; the only argument is the number of the descriptor over which the supervisor speaks."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # these are for the supervisor, who tells its workers what to do
    worker.allow_all_descriptors()
    for encoding in ("ascii", "latin-1", "idna"):
        codecs.lookup(encoding)  # else Python would load them when they are first needed, which may be in a chroot
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError):  # the supervisor may be killed in the middle of a word
        Nursery(socket.socket(fileno=int(arguments[1]))).run()


if __name__ == "__main__":
    from tcpbalancer import nursery  # noqa: PLW0406 - the messages are those of the module, not of a script

    nursery.main(sys.argv)

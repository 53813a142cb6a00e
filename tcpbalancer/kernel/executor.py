"""The process that speaks to nft and conntrack: it keeps the right to do that when its supervisor gives all rights up.

Laws: started with ``python -m tcpbalancer.kernel.executor``, it meets neither clients nor servers nor operators. It is
told what must stand, never how: rules are made here, of values that were looked at. CAP_NET_ADMIN is all that it keeps
(capabilities(7)), and what the two programs get. Requests and answers are a line of JSON each, with the same number.
It does one request after the other; a look at all connections, of which there may be a million, goes on beside the
others, so that no change of rules waits for it. When its supervisor is gone, however that went, it takes the rules and
the connections away and ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hakit.capabilities import lend
from tcpbalancer.kernel.claim import claim
from tcpbalancer.kernel.readings import counts, open_connections
from tcpbalancer.kernel.ruleset import Daemon, forgetting, numbers_in, removal, skeleton, transaction
from tcpbalancer.kernel.wanted import Wanted, unpack
from tcpbalancer.model.process import Identity
from tcpbalancer.privileges import PrivilegeError, give_up

PROGRAMS = {"nft": "nftables", "conntrack": "conntrack"}
"""What is needed, and which package of Debian has it."""
RIGHT = "cap_net_admin"
_NOTHING = "flow entries have been deleted"
"""What conntrack says, with status 1, if there was none to delete."""


class ToolError(Exception):
    """A program did not do what it was told; the sentence is its own."""


def search_path() -> str:
    """Return where the programs are looked for: they belong to administrators."""
    return f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


Reply = Callable[[bytes], object]
"""Takes an answer, a line."""


def requests(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield whole lines until the supervisor is gone.

    One that is killed may leave half a request, and where it leaves an answer unread the stream ends with a reset.
    """
    with contextlib.suppress(ConnectionError):
        for line in stream:
            if line.endswith(b"\n"):
                yield line


class Executor:
    """Knows what stands in the kernel."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._standing = Wanted()
        self._one_answer = threading.Lock()

    def serve(self, asked: Iterable[bytes], reply: Reply) -> None:
        """Do what is asked until ``end`` or until nobody asks any more."""
        for line in asked:
            request = json.loads(line)
            if request["do"] == "look":
                threading.Thread(target=self._answer, args=(reply, request), daemon=True).start()
            else:
                self._answer(reply, request)
            if request["do"] == "end":
                return
        self.end()

    def _answer(self, reply: Reply, request: dict[str, Any]) -> None:
        number = request.pop("number")
        try:
            answer = self._do(**request)
        except (ToolError, ValueError, OSError) as problem:
            answer = {"problem": str(problem)}
        with self._one_answer, contextlib.suppress(OSError):  # whoever has asked may have gone
            reply(json.dumps({"number": number, **answer}).encode() + b"\n")

    def _do(self, do: str, **details: Any) -> dict[str, Any]:
        match do:
            case "begin":
                self.begin(unpack(json.dumps(details["wanted"])), goes_on=details["goes_on"])
            case "change":
                self.change(unpack(json.dumps(details["wanted"])))
            case "read":
                return {"listing": run("nft", "-j", "list", "sets", "table", "inet", self._daemon.table).decode()}
            case "look":
                return {"open": self.look()}
            case "cut":
                self.cut(f"{self._daemon.mark(int(number)):#010x}/0xffffffff" for number in details["numbers"])
            case "forget":
                self.forget({int(number) for number in details["numbers"]})
            case "end":
                self.end()
            case _:
                raise ValueError(f"no such request: {do}")
        return {}

    def begin(self, wanted: Wanted, *, goes_on: bool) -> None:
        """Make the table; what was left of those that were killed goes; connections of ours stay if it ``goes_on``."""
        for number in numbers_in(run("nft", "-j", "list", "tables", "inet").decode()):
            if number == self._daemon.number:
                if not goes_on:
                    clean(self._daemon)
            elif (claimed := claim(number)) is not None:
                with claimed:
                    clean(Daemon(number))
        text = removal(self._daemon) + skeleton(self._daemon) + transaction(self._daemon, Wanted(), wanted)
        run("nft", "-f", "-", told=text)
        self._standing = wanted

    def change(self, wanted: Wanted) -> None:
        """Make what stands what is wanted, in one transaction."""
        if text := transaction(self._daemon, self._standing, wanted):
            run("nft", "-f", "-", told=text)
        self._standing = wanted

    def look(self) -> dict[int, int]:
        """Return how many connections each way has; there may be so many that their list is read line by line."""
        with start("conntrack", "-L", "-p", "tcp", "--mark", self._daemon.marks) as listing:
            assert listing.stdout is not None
            found = open_connections(listing.stdout)
        if listing.returncode:
            raise ToolError(f"conntrack: exit status {listing.returncode}")
        return found

    @staticmethod
    def cut(marks: Iterable[str]) -> None:
        """Forget connections: their next packet, from whichever side, is answered with a reset."""
        for mark in marks:
            run("conntrack", "-D", "-p", "tcp", "--mark", mark, harmless=_NOTHING)

    def forget(self, numbers: set[int]) -> None:
        """Forget what was counted of some ways."""
        told = counts(run("nft", "-j", "list", "sets", "table", "inet", self._daemon.table).decode())
        if text := forgetting(self._daemon, told, numbers):
            run("nft", "-f", "-", told=text)

    def end(self) -> None:
        """Take everything away."""
        clean(self._daemon)


def clean(daemon: Daemon) -> None:
    """Take away the rules of a daemon and then its connections, which end with the next packet of either side."""
    run("nft", "-f", "-", told=removal(daemon))
    Executor.cut([daemon.marks])


def run(program: str, *arguments: str, told: str = "", harmless: str = "") -> bytes:
    """Run a program and return what it says; raises ToolError if it fails, unless it says ``harmless``."""
    with start(program, *arguments, errors=subprocess.PIPE) as running:
        output, errors = running.communicate(told.encode())
    said = errors.decode(errors="replace").strip()
    if running.returncode and not (harmless and harmless in said):
        raise ToolError(f"{program}: {said.splitlines()[0] if said else f'exit status {running.returncode}'}")
    return output


def start(program: str, *arguments: str, errors: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    """Start a program whose output is read; raises ToolError if it is not there."""
    path = shutil.which(program, path=search_path())
    if path is None:
        raise ToolError(f"the program {program} is not installed (Debian: apt-get install {PROGRAMS[program]})")
    around = {"LC_ALL": "C", "PATH": search_path()}
    return subprocess.Popen(
        [path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=around
    )


def main(arguments: list[str]) -> None:
    """Run; the arguments are the descriptor to speak over, that of the claim, the daemon's number, uid and gid or -."""
    control, _claim, number, uid, gid = arguments[1:]
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(ignored, signal.SIG_IGN)  # the end is when the supervisor has gone, and not before
    with socket.socket(fileno=int(control)) as connection, connection.makefile("rb") as stream:
        identity = Identity(
            None if uid == "-" else int(uid), None if gid == "-" else int(gid), capabilities=frozenset({RIGHT})
        )
        try:
            give_up(identity)
            if identity.uid is not None:
                lend(RIGHT)()
        except (PrivilegeError, OSError) as problem:
            connection.sendall(json.dumps({"number": 0, "problem": str(problem)}).encode() + b"\n")
            return
        try:
            Executor(Daemon(int(number))).serve(requests(stream), connection.sendall)
        except (ToolError, OSError) as problem:
            print(f"tcpbalancer: the kernel's rules could not be taken away: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv)

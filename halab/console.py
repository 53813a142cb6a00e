"""The verbs of a lab that stands: typed at its prompt, or sent from a second shell as ``halab VERB``.

Laws: both ways lead to the same verbs. A second shell finds the lab by an abstract Unix socket, which vanishes with
the process that holds it. Abstract names are free for anybody, so both sides look at whom the kernel names: only
root is answered, and only root's answer is taken. A verb never ends the lab, but ``quit``.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from hakit.diagnostics import did_you_mean
from halab import faults
from halab.namespace import Host, LabError
from halab.reference import HOSTS, VIP, ReferenceLab

SHOWN = 40
"""How many events ``events`` shows."""
HUMDRUM = frozenset({"session", "advertised", "notice"})
"""Events that ``events`` leaves out: they tell what goes on all the time or at each start, and would fill it."""
LONGEST = 65536
"""Characters in the line of a verb."""
PATIENCE = 5.0
"""Seconds for whoever holds a lab's name to take a connection."""
HELP = """\
  status                 who runs what, who has the VIP, who is primary
  events                 what happened last, on all nodes, in one order
  logs HOST SERVICE      the last lines of a service's log
  exec HOST COMMAND...   run a command on a host
  shell HOST             a shell on a host
  stop HOST SERVICE      systemctl stop    (services: haproxy, keepalived, patroni, etcd, docker)
  start HOST SERVICE     systemctl start
  kill HOST SERVICE      kill -9 of everything that the service runs
  cut HOST               pull its cable: carrier lost
  partition HOST         cut it off in silence: carrier stays
  heal HOST              undo cut and partition
  freeze HOST            stop all its processes where they stand; thaw HOST lets them go on
  help                   this text
  quit                   take the lab down (so does Ctrl-C)"""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a verb: a text, an exit status, and a command that the asking terminal is to run, if any."""

    text: str = ""
    status: int = 0
    argv: tuple[str, ...] = ()


class Console:
    """Carries out verbs on a lab."""

    def __init__(self, lab: ReferenceLab) -> None:
        self.lab = lab
        on_host: dict[str, Callable[[Host], str]] = {
            "cut": lambda host: self._fault(faults.link_down, host, "has lost its link"),
            "partition": lambda host: self._fault(faults.partition, host, "is cut off, its carrier stays"),
            "heal": lambda host: self._fault(faults.heal, host, "is linked again"),
            "freeze": lambda host: self._fault(faults.freeze, host, "is frozen"),
            "thaw": lambda host: self._fault(faults.thaw, host, "goes on"),
        }
        on_service: dict[str, Callable[[Host, str], str]] = {
            "stop": self._stop,
            "start": self._start,
            "kill": self._kill,
            "logs": self._logs,
        }
        self._on_host, self._on_service = on_host, on_service
        self.verbs = ("status", "events", "exec", "shell", "help", "quit", *on_host, *on_service)

    def carry_out(self, words: Sequence[str]) -> Reply:
        """Carry out one line; whatever is wrong with it becomes a reply of status 1 that says so."""
        try:
            return self._carry_out(list(words))
        except (LabError, OSError) as problem:
            return Reply(str(problem), 1)
        except Exception as problem:  # noqa: BLE001 - our own bug, told as such, is no reason to take the lab down
            return Reply(f"{' '.join(words)} failed inside the lab: {type(problem).__name__}: {problem}", 1)

    def _carry_out(self, words: list[str]) -> Reply:
        verb, *rest = words
        if verb == "status":
            return Reply(self._status())
        if verb == "events":
            return Reply(self._events())
        if verb == "help":
            return Reply(HELP)
        if verb in {"exec", "shell"} and rest:
            command = ["bash", "-i"] if verb == "shell" else rest[1:]
            if command:
                return Reply(argv=tuple(self.lab.host(rest[0]).enter_argv(command)))
        if verb in self._on_host and len(rest) == 1:
            return Reply(self._on_host[verb](self.lab.host(rest[0])))
        if verb in self._on_service and len(rest) == 2:
            return Reply(self._on_service[verb](self.lab.host(rest[0]), self._service(rest[1])))
        if verb in self.verbs:
            usage = next(
                (line.strip() for line in HELP.splitlines() if line.split()[0] == verb), "freeze HOST, thaw HOST"
            )
            raise LabError(f"usage: {usage}")
        raise LabError(f"no such verb: {verb}{did_you_mean(verb, self.verbs)} ('help' lists them)")

    def _service(self, name: str) -> str:
        """Our daemons answer to their own names, too."""
        return {"tcpbalancer": "haproxy", "pyvrrp": "keepalived"}.get(name, name)

    def _fault(self, fault: Callable[..., None], host: Host, what: str) -> str:
        fault(self.lab.lab, host.name)
        return f"{host.name} {what}"

    def _stop(self, host: Host, service: str) -> str:
        host.stop_service(service)
        return f"{service} on {host.name} has stopped"

    def _start(self, host: Host, service: str) -> str:
        host.start_service(service)
        return f"{service} on {host.name} runs"

    def _kill(self, host: Host, service: str) -> str:
        faults.kill(self.lab.lab, host.name, service)
        return f"{service} on {host.name} is killed; start {host.name} {service} brings it back"

    def _logs(self, host: Host, service: str) -> str:
        known = sorted(host.services())
        if service not in known:
            names = ", ".join(known) or "none"
            raise LabError(f"no service {service} on {host.name}{did_you_mean(service, known)} (known: {names})")
        return host.log_tail(service, 40) or "nothing yet"

    def _status(self) -> str:
        lines = [f"  {'host':<12} {'address':<16} services"]
        for name, address in HOSTS.items():
            services = self.lab.host(name).services().values()
            told = ", ".join(f"{one['name']} {one['state']}" for one in services)
            state = f"   VRRP {self._vrrp(name)}" if name in self.lab.events else ""
            vip = f"   <- {VIP}" if name in self.lab.holders() else ""
            lines.append(f"  {name:<12} {address:<16} {told or '-'}{state}{vip}")
        lines.append(f"  primary database: {self.lab.primary() or 'none'}")
        try:
            servers = self.lab.statistics(VIP)
        except (OSError, HTTPException, KeyError):
            lines.append(f"  statistics: nobody answers at {VIP}")
        else:
            down = [f"{one.backend}/{one.server}" for one in servers if not one.up]
            lines.append(
                f"  servers UP: {len(servers) - len(down)} of {len(servers)}; DOWN: {', '.join(down) or 'none'}"
            )
        return "\n".join(lines)

    def _vrrp(self, node: str) -> str:
        last = self.lab.last_state(node)
        return self.lab.daemon_state(node) or ("unknown" + (f" (was {last})" if last else ""))

    def _events(self) -> str:
        told: list[tuple[float, str]] = []
        for node, streams in self.lab.events.items():
            for event in (event for stream in streams for event in stream.events if event.event not in HUMDRUM):
                said = {name: value for name, value in event.values.items() if value not in {"", None}}
                values = " ".join(f"{name}={value}" for name, value in said.items() if value is not False)
                told.append((event.at, f"{node:<9} {event.source} {event.event} {values}  {event.reason}".rstrip()))
            told += [
                (one["at"], f"{node:<9} service {one['name']} {one['state']} {one['outcome']}".rstrip())
                for one in self.lab.host(node).service_events
            ]
        told += [
            (one.at, f"{one.host:<9} address {one.address} {'added' if one.present else 'removed'} (kernel)")
            for one in self.lab.addresses.changes
        ]
        return "\n".join(f"  {at - self.lab.begun:9.3f} s  {text}" for at, text in sorted(told)[-SHOWN:])


class Door:
    """The abstract socket by which a second shell finds the lab; holding it makes this the only lab of its name.

    ``quitting`` is set when a second shell has asked for the end.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.quitting = threading.Event()
        self._console: Console | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.bind(_address(name))
        except OSError as problem:
            self._socket.close()
            raise LabError(_why_not(name, problem)) from None
        self._socket.listen(8)
        self._thread = threading.Thread(target=self._serve, name="door", daemon=True)
        self._thread.start()

    def open(self, lab: ReferenceLab) -> None:
        """Answer with this lab from now on."""
        self._console = Console(lab)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            client.settimeout(5.0)
            words: list[str] = []
            _, uid = _peer(client)
            if uid == 0:
                with client.makefile("r", encoding="utf-8") as lines:
                    words = json.loads(lines.readline(LONGEST))
            if uid != 0:
                reply = Reply("only root may talk to the lab: use sudo", 1)
            elif words == ["quit"]:
                self.quitting.set()  # also where Ctrl-C is for a command in front, and not for the lab
                os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C would: the main thread takes everything down
                reply = Reply("the lab is being taken down")
            elif self._console is None:
                reply = Reply("the lab is still being built", 1)
            else:
                reply = self._console.carry_out(words)
            client.settimeout(None)
            client.sendall(
                json.dumps({"text": reply.text, "status": reply.status, "argv": reply.argv}).encode() + b"\n"
            )

    def close(self) -> None:
        """Give up the name."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, which holds the name while it accepts
        self._thread.join()
        self._socket.close()


def _address(name: str) -> str:
    return f"\0halab/{name}"


def _peer(connection: socket.socket) -> tuple[int, int]:
    """The pid and the uid of the other side, as the kernel knows them (SO_PEERCRED, unix(7))."""
    pid, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def _why_not(name: str, problem: OSError) -> str:
    """Why the door of a lab cannot be opened, and who holds its name if somebody does."""
    if problem.errno != errno.EADDRINUSE:
        return f"a lab cannot be named '{name}': {problem.strerror or problem}"
    with socket.socket(socket.AF_UNIX) as asking, contextlib.suppress(OSError):
        asking.settimeout(PATIENCE)
        asking.connect(_address(name))
        pid, uid = _peer(asking)
        if uid != 0:
            return f"the name '{name}' is held by pid {pid} of uid {uid}, not by a lab: choose another with --name"
        verbs = f"'halab --name {name} status' shows it, 'halab --name {name} quit' ends it"
        return f"a lab '{name}' is running already, pid {pid}: {verbs}"
    return f"the name '{name}' is held by somebody who does not answer: choose another with --name"


def ask(name: str, words: Sequence[str]) -> Reply:
    """Send a verb to the running lab of a name; raises LabError if there is none, or if not root holds its name."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(PATIENCE)
        try:
            asking.connect(_address(name))
        except OSError:
            raise LabError("no lab is running: start one with ./run lab (or 'halab run')") from None
        pid, uid = _peer(asking)
        if uid != 0:
            raise LabError(f"the name '{name}' is held by pid {pid} of uid {uid}, not by a lab: nothing was asked")
        asking.settimeout(None)  # a verb takes the time that it takes
        # A lab that answers before it has read the line has refused us.
        with contextlib.suppress(ConnectionError):
            asking.sendall(json.dumps(list(words)).encode() + b"\n")
        with asking.makefile("r", encoding="utf-8") as lines:
            answer: dict[str, Any] = json.loads(
                lines.readline() or '{"text": "the lab has ended", "status": 1, "argv": []}'
            )
    # Only these two verbs are commands for the asking terminal.
    argv = tuple(answer["argv"]) if words[0] in {"exec", "shell"} else ()
    return Reply(answer["text"], answer["status"], argv)

"""Process 1 of a lab host, and the nursery that hosts are born in.

A host is a process: the first one of a pid namespace, with mount, UTS, IPC and network namespaces of its own. When it
ends, the kernel ends every process in it and frees every mount, link and namespace.

Laws: stands on the standard library alone (Debian's Python, no site-packages). The lab speaks to the nursery and to
each host over a socket pair; its end, however it comes, is end of file on both, and the end of all. A host that does
not heed it is killed with the nursery, which waits five seconds (PR_SET_PDEATHSIG). No namespace has a name, so none
can be left behind. Source: pid_namespaces(7), namespaces(7).

The nursery is one interpreter that forks per host: nine interpreters started apart take 125 ms, nine forks 25 ms.
"""

# Process 1 imports no more than it must, so paths are texts here.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import selectors
import signal
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from halab import host_mounts as kernel
from halab.host_services import Answer, Service, Services, spawn

SOCKET = "/run/halab/init.sock"
"""Where ``systemctl`` finds process 1 of its host."""
LARGEST = 1 << 20
"""Bytes in one message."""
NEW = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
MAY_BE_ABSENT = ("/proc/sys/net/ipv6/conf/all/accept_dad", "/proc/sys/net/ipv6/conf/default/accept_dad")


def nursery(descriptor: int) -> None:
    """Serve the lab on the socket ``descriptor``: one message and one socket per host to be born, until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the lab; it ends us by closing
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps hosts
    lab = socket.socket(fileno=descriptor)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    while True:
        message, descriptors, _, _ = socket.recv_fds(lab, LARGEST, 1, socket.MSG_CMSG_CLOEXEC)
        if not message:
            signal.alarm(5)
            with contextlib.suppress(ChildProcessError):
                os.wait()  # until the last host is reaped: not even a zombie is left to the machine's process 1
            os._exit(0)
        try:
            kernel.unshare(kernel.CLONE_NEWPID)  # for the next child only
            pid = os.fork()
            if pid == 0:
                lab.close()
                _be_born(socket.socket(fileno=descriptors[0]), json.loads(message))
            kernel.setns(own, kernel.CLONE_NEWPID)
            lab.send(json.dumps({"pid": pid}).encode())
        except OSError as problem:
            lab.send(json.dumps({"error": str(problem)}).encode())
        os.close(descriptors[0])


def _be_born(lab: socket.socket, boot: dict[str, Any]) -> None:
    try:
        os.umask(0o022)  # whatever the lab's own is: a service that has dropped root must read what is made here
        kernel.die_with_parent()
        kernel.unshare(NEW)
        kernel.prepare(boot["environment"], boot["keep"])
        socket.sethostname(boot["name"])
        for path in MAY_BE_ABSENT:  # before the first link exists: an address is never tentative
            with contextlib.suppress(OSError), open(path, "w", encoding="ascii") as setting:
                setting.write("0")
        for path, text, mode in boot["files"]:
            kernel.write_file(path, text, mode)
        _raise_loopback()
        os.chdir("/")
        Init(lab).run()
    except OSError as problem:
        lab.send(json.dumps({"event": "stillborn", "error": str(problem)}).encode())
    finally:
        os._exit(1)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


class Init:
    """The loop of process 1: requests of the lab and of ``systemctl``, children that end, services that wait."""

    def __init__(self, lab: socket.socket) -> None:
        self._lab = lab
        self._selector = selectors.DefaultSelector()
        self._services = Services(self._tell_service)
        self._spawned: dict[int, int] = {}  # pid to number: the kernel uses a pid again, we no number
        self._numbers = itertools.count(1)
        self._watched: set[socket.socket] = set()

    def run(self) -> None:
        """Serve until the lab's socket closes; then this process, and with it the host, ends."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(SOCKET)
        listening.listen(16)
        self._selector.register(reading, selectors.EVENT_READ, lambda: self._reap(reading))
        self._selector.register(self._lab, selectors.EVENT_READ, self._from_lab)
        self._selector.register(listening, selectors.EVENT_READ, lambda: self._from_inside(listening))
        self._send({"event": "up"})
        while True:
            deadline = self._services.next_deadline()
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            for key, _ in self._selector.select(wait):
                key.data()
            self._services.expire()
            self._watch_notify_sockets()

    def _watch_notify_sockets(self) -> None:
        current = set(self._services.sockets.values())
        for old in self._watched - current:
            self._selector.unregister(old)
        for name, fresh in self._services.sockets.items():
            if fresh not in self._watched:
                self._selector.register(fresh, selectors.EVENT_READ, lambda name=name: self._services.notified(name))
        self._watched = current

    def _reap(self, pipe: int) -> None:
        os.read(pipe, 512)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    break
                if pid in self._spawned:
                    number = self._spawned.pop(pid)
                    self._send({"event": "exit", "number": number, "status": os.waitstatus_to_exitcode(status)})
                self._services.exited(pid, status)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._lab.send(json.dumps(message).encode())
        except OSError:
            os._exit(0)  # the lab is gone

    def _tell_service(self, service: Service) -> None:
        self._send({"event": "service", "at": time.monotonic(), **service.told()})

    def _from_lab(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._lab, LARGEST, 3, socket.MSG_CMSG_CLOEXEC)
        if not message:
            os._exit(0)
        request = json.loads(message)
        number = request["id"]
        self._carry_out(request, descriptors, lambda outcome: self._send({"id": number, **outcome}))
        for descriptor in descriptors:
            os.close(descriptor)

    def _from_inside(self, listening: socket.socket) -> None:
        client, _ = listening.accept()
        client.settimeout(1.0)  # systemctl sends its one line at once
        try:
            with client.makefile("r", encoding="utf-8") as lines:
                request = json.loads(lines.readline())
        except (OSError, ValueError):
            client.close()
            return

        def answer(outcome: dict[str, Any]) -> None:
            with contextlib.suppress(OSError):
                client.sendall(json.dumps(outcome).encode() + b"\n")
            client.close()

        self._carry_out(request, [], answer)

    def _carry_out(self, request: dict[str, Any], descriptors: list[int], answer: Answer) -> None:
        verbs: dict[str, Callable[[], None]] = {
            "spawn": lambda: answer(self._spawn(request, descriptors)),
            "signal": lambda: answer(self._signal(request["to"], request["number"])),
            "write": lambda: answer(kernel.write_file(request["path"], request["text"], request["mode"])),
            "define": lambda: answer(self._services.define(request["service"])),
            "start": lambda: self._services.start(request["name"], answer),
            "stop": lambda: self._services.stop(request["name"], answer),
            "kill": lambda: answer({"pids": self._services.kill(request["name"], request["number"])}),
            "status": lambda: answer({"services": [one.told() for one in self._services.known.values()]}),
        }
        verb = verbs.get(str(request.get("do")))
        if verb is None:
            answer({"error": f"no such request: {request.get('do')}"})
            return
        try:
            verb()
        except (OSError, ValueError, KeyError) as problem:
            answer({"error": str(problem)})

    def _spawn(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        pid = spawn(request["argv"], request["env"], request["user"], request["cwd"], descriptors)
        self._spawned[pid] = next(self._numbers)
        return {"pid": pid, "number": self._spawned[pid]}

    def _signal(self, to: int, number: int) -> dict[str, Any]:
        """Signal the process that was spawned as number ``to``; -1 means every process of the host but this one."""
        pid = -1 if to == -1 else next((pid for pid, spawned in self._spawned.items() if spawned == to), 0)
        if not pid:
            return {"error": f"process {to} has ended"}
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return {}

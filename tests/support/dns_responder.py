"""A name server for tests: it answers from a table that a test may change while it runs."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsResponder:
    """Answers on a port of the loopback; ``table`` has addresses by name, ``rcode`` is what it says of others.

    ``silent``: it says nothing at all. ``asked`` has each question's name and kind.
    """

    def __init__(self) -> None:
        self.table: dict[str, list[str]] = {}
        self.rcode = dns.rcode.NXDOMAIN
        self.silent = False
        self.asked: list[tuple[str, str]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                data, client = self._socket.recvfrom(4096)
            except OSError:
                return
            if not data:
                return
            if not self.silent:
                with contextlib.suppress(OSError):
                    self._socket.sendto(self._answer(data), client)

    def _answer(self, data: bytes) -> bytes:
        question = dns.message.from_wire(data)
        name, kind = question.question[0].name, question.question[0].rdtype
        host = name.to_text(omit_final_dot=True)
        self.asked.append((host, dns.rdatatype.to_text(kind)))
        answer = dns.message.make_response(question)
        if host not in self.table:
            answer.set_rcode(self.rcode)
        wanted = ":" if kind == dns.rdatatype.AAAA else "."
        found = [address for address in self.table.get(host, []) if wanted in address]
        if found:
            answer.answer.append(dns.rrset.from_text(name, 1, "IN", dns.rdatatype.to_text(kind), *found))
        return answer.to_wire()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(10)
        self._socket.close()

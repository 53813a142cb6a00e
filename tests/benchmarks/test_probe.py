from __future__ import annotations

import socket
import struct

import probe
from vrrp_pair import ones_sum


def test_an_echo_request_has_the_checksum_that_makes_its_sum_nothing() -> None:
    assert ones_sum(probe.echo_request()) == 0
    assert probe.echo_request()[0] == 8  # RFC 792


def frame(mac: bytes, source: str, kind: int, protocol: int = 1) -> bytes:
    """What a machine sends on Ethernet: an ICMP message of this kind."""
    addresses = socket.inet_aton(source) + socket.inet_aton("10.0.0.9")
    head = struct.pack(">BBHHHBBH", 0x45, 0, 28, 0, 0, 64, protocol, 0)
    return bytes(6) + mac + b"\x08\x00" + head + addresses + bytes([kind]) + bytes(7)


class Waiting:
    """A packet socket in which these frames wait, each with the time at which it came."""

    def __init__(self, *frames: tuple[bytes, float]) -> None:
        self.frames = list(frames)

    def recvmsg(self, *_: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, None]:
        if not self.frames:
            raise BlockingIOError
        data, at = self.frames.pop(0)
        return data, [(1, 35, struct.pack("qq", int(at), round(at % 1 * 1e9)))], 0, None


def test_only_echo_replies_of_the_virtual_address_count_each_with_the_kernel_s_time() -> None:
    one, other = b"\x02one..", b"\x02other"
    waiting = Waiting(
        (frame(one, "10.0.0.50", 0), 1.5), (frame(one, "10.0.0.1", 0), 2.0), (frame(one, "10.0.0.50", 8), 2.5),
        (frame(one, "10.0.0.50", 0, protocol=17), 3.0), (frame(other, "10.0.0.50", 0), 4.25),
    )  # fmt: skip
    found = list(probe.answers(waiting, socket.inet_aton("10.0.0.50")))  # type: ignore[arg-type] # all that is used of one
    assert found == [(one, 1.5), (other, 4.25)]

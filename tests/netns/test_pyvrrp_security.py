"""What others on the link, and on the machine, cannot make the daemon do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from vrrp_pair import ADDRESSES, Pair, configuration

from hakit.control import request
from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host
from halab.parts.daemons import PYVRRP_CONTROL
from pyvrrp.model import Authentication, AuthType, Instance
from pyvrrp.protocol.reception import own_advertisement
from pyvrrp.wire import ipv4
from pyvrrp.wire.ipv4 import VRRP_GROUP, Packet

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

SEND_ALL = """
import socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
for packet in sys.argv[1:]:
    raw.sendto(bytes.fromhex(packet), socket.MSG_DONTROUTE, ("224.0.0.18", 0))
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def status(host: Host) -> dict[str, Any]:
    answer = request(host.path(PYVRRP_CONTROL), "status")
    assert isinstance(answer, dict)
    return answer["instances"][0]  # type: ignore[index, return-value]


def advert(vrid: int, password: bytes) -> str:
    forged = Instance("VI_1", "eth0", vrid, priority=254, authentication=Authentication(AuthType.PASS, password))
    return ipv4.encode(
        Packet(IPv4Address(ADDRESSES["right"]), VRRP_GROUP, own_advertisement(forged, 254).encode())
    ).hex()


def send(host: Host, packets: Sequence[str]) -> None:
    host.run([f"{ENVIRONMENT}/bin/python", "-c", SEND_ALL, *packets], timeout=20).check()


def test_a_flood_of_every_kind_is_told_within_the_ration_and_counted_to_the_last_packet(pair: Pair) -> None:
    """Of 250 numbers that nobody has here, each would be told once a minute: 66 are all that one instance allows."""
    left = pair.host("left")
    pair.start("left", "pyvrrp", configuration(100).replace("router_id pair", "router_id pair\n log_unknown_vrids"))
    pair.until_held_by("left", within=6)
    before = status(left)["statistics"]["auth_failure"]
    send(pair.host("right"), [advert(vrid, b"s3cr3t77") for vrid in range(1, 256) if vrid != 51])
    send(pair.host("right"), [advert(51, b"guess")] * 200)
    log = left.log_tail("keepalived", 5000)
    assert 40 <= log.count("Unknown VRID(") <= 66
    assert log.count("received an invalid passwd from") <= 2
    assert status(left)["statistics"]["auth_failure"] - before == 200
    assert status(left)["state"] == "MASTER"

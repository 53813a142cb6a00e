"""``pyvrrp doctor --live`` on machines that run: why an address does not move, and what a packet filter does."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from vrrp_pair import ADDRESSES, VIP, Pair, instance, whole

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host
from halab.parts.daemons import KEEPALIVED_CONF
from halab.wait import poll
from pyvrrp.doctor.packet_filter import Advert, fate

if TYPE_CHECKING:
    from halab.pytest_plugin import LabFactory

pytestmark = pytest.mark.netns

PYVRRP = f"{ENVIRONMENT}/bin/pyvrrp"
GROUP = "224.0.0.18"
SENTINEL = 253
"""A protocol that every ruleset here lets pass: when its packet has come, the one before has, too, or never will."""
RULESETS = {
    "policy accept; ip protocol vrrp drop": False,
    "policy drop; ip protocol vrrp accept": True,
    "policy drop; ct state established,related accept": False,
    "policy drop; ct state new accept": True,
    'policy drop; iifname "eth*" ip daddr 224.0.0.0/8 accept': True,
    'policy drop; iifname "eth7" accept; meta l4proto { tcp, udp } accept': False,
    "policy accept; meta pkttype multicast drop": False,
    "policy accept; ip ttl != 255 drop": True,
    "policy accept; meta l4proto vmap { tcp : accept, vrrp : drop }": False,
    "policy accept; ip daddr { 224.0.0.0-224.0.0.17, 224.0.0.19 } drop": True,
    "policy accept; tcp flags & (fin|syn) == syn drop; reject": False,
}


def sending(protocol: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.0.0.1"))
    return made


def listening(protocol: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol)
    joined = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton("10.0.0.2"))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    made.settimeout(5.0)
    return made


def load(host: Host, rules: str) -> list[dict[str, Any]]:
    lines = "; ".join([f"ip protocol {SENTINEL} accept", *rules.split("; ")[1:]])
    policy = rules.partition(";")[0]
    table = f"flush ruleset\ntable inet t {{ chain c {{ type filter hook input priority 0; {policy}; {lines}; }}; }}"
    host.run(["nft", "-f", "-"], stdin=table).check()
    found: list[dict[str, Any]] = json.loads(host.run(["nft", "-j", "list", "ruleset"]).check().output)["nftables"]
    return found


def arrives(sender: Mapping[int, socket.socket], hearer: Mapping[int, socket.socket]) -> bool:
    for number in (112, SENTINEL):
        sender[number].sendto(b"x", (GROUP, 0))
    hearer[SENTINEL].recv(100)
    hearer[112].setblocking(False)
    try:
        return bool(hearer[112].recv(100))
    except BlockingIOError:
        return False


def test_what_is_said_of_a_packet_filter_is_what_the_kernel_does(netns_lab: LabFactory) -> None:
    lab = netns_lab({"a": "10.0.0.1/24", "b": "10.0.0.2/24"})
    advert = Advert("in", "eth0", ip_address(GROUP), source=ip_address("10.0.0.1"))
    with ExitStack() as open_until_the_end:

        def both(host: str, make: Callable[[int], socket.socket]) -> dict[int, socket.socket]:
            made = {number: lab[host].inside(partial(make, number)).result() for number in (112, SENTINEL)}
            for one in made.values():
                open_until_the_end.enter_context(one)
            return made

        sender, hearer = both("a", sending), both("b", listening)
        for rules, passes in RULESETS.items():
            found = fate(load(lab["b"], rules), advert)
            assert arrives(sender, hearer) is passes, rules
            assert found.may == {"accept" if passes else "drop"}, rules


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def examined(host: Host, *others: str) -> dict[str, dict[str, Any]]:
    done = host.run([PYVRRP, "doctor", "--live", "--json", KEEPALIVED_CONF, *others], timeout=30)
    return {found["rule"]: found for found in json.loads(done.output)["findings"]}


def test_an_address_that_does_not_move_is_explained_by_the_machine_that_does_not_take_it(pair: Pair) -> None:
    secret = "authentication {\n auth_type PASS\n auth_pass %s\n }"
    pair.start("left", "pyvrrp", whole(instance(150, secret % "one", version=2, interval=1)))
    pair.start("right", "pyvrrp", whole(instance(100, secret % "two", version=2, interval=1)))
    left, right = pair.host("left"), pair.host("right")

    def refused() -> bool:
        return "advertisements-refused" in examined(right)

    poll(refused, 20.0, "a refused advertisement", every=0.5)
    found = examined(right)
    assert "with another password" in found["advertisements-refused"]["what"]
    assert "auth_failure is" in found["advertisements-refused"]["why"]
    assert {"filter-drops", "no-daemon", "interface-missing", "address-in-no-prefix"}.isdisjoint(found)

    left.run(
        ["nft", "-f", "-"], stdin="table inet f { chain o { type filter hook output priority 0; policy drop; }; }"
    ).check()
    dropped = examined(left)["filter-drops"]
    assert dropped["what"] == "the packet filter drops the advertisements that leave through eth0"
    assert "chain inet f o (its policy)" in dropped["why"]


def test_what_a_killed_daemon_has_left_behind_is_found(pair: Pair) -> None:
    pair.start("left", "pyvrrp", whole(instance(150, "vip_lease off")))
    pair.until_held_by("left", within=10)
    left = pair.host("left")
    left.kill_service("keepalived", 9)
    found = examined(left)
    assert found["address-left-behind"]["what"].startswith(VIP.partition("/")[0])
    assert "no-daemon" in found
    assert ADDRESSES["left"] not in found["address-left-behind"]["what"]

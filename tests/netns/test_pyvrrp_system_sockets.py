"""Raw sockets on a LAN of their own: who hears what, and what the packets look like when they arrive."""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from halab.capture import Capture
from halab.namespace import Host
from halab.topology import HostPlan, Lab, Port, Topology, await_links_up, ip_batch
from halab.wait import poll
from pyvrrp.model import VRRP_GROUP, VRRP_GROUP6, Address
from pyvrrp.system.sockets import MOST_AT_ONCE, AdvertisementSocket, Endpoint
from pyvrrp.wire.packet import AuthenticationHeader, MalformedPacketError, Packet

pytestmark = [pytest.mark.netns, pytest.mark.timeout(60)]

MESSAGE = bytes.fromhex("213364010001705d0a0900640000000000000000")
A, B = IPv4Address("10.9.0.1"), IPv4Address("10.9.0.2")
A6, B6 = IPv6Address("fe80::a"), IPv6Address("fe80::b")
GROUP4 = Endpoint("eth0", group=VRRP_GROUP)
GROUP6 = Endpoint("eth0", 6, group=VRRP_GROUP6)
PEER4 = Endpoint("eth0")
PEER6 = Endpoint("eth0", 6)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    ports = {"a": ("10.9.0.1/24", "fe80::a/64"), "b": ("10.9.0.2/24", "fe80::b/64")}
    hosts = [HostPlan(name, (Port("lan", addresses, "eth0"),)) for name, addresses in ports.items()]
    both = HostPlan("both", (Port("lan", ("10.9.0.3/24",), "eth0"), Port("other", ("10.9.1.3/24",), "eth1")))
    with Lab(Topology((*hosts, both))) as made:
        for name, address in (("a", A6), ("b", B6)):
            ip_batch(made[name], [f"address replace {address}/64 dev eth0 nodad"]).result()
        yield made


def opened(host: Host, *endpoints: Endpoint) -> list[AdvertisementSocket]:
    """Sockets of a host's network: they belong to it wherever they are used."""
    return host.inside(lambda: [AdvertisementSocket(endpoint) for endpoint in endpoints]).result(10)


def heard(socket: AdvertisementSocket, within: float = 3) -> list[Packet | MalformedPacketError]:
    """What comes within some seconds; returns at the first."""
    select.select([socket.fileno()], [], [], within)
    return list(socket.receive())


@pytest.mark.parametrize(
    ("endpoint", "source", "destination"),
    [(GROUP4, A, VRRP_GROUP), (PEER4, A, B), (GROUP6, A6, VRRP_GROUP6), (PEER6, A6, B6)],
    ids=["multicast", "unicast", "multicast6", "unicast6"],
)
def test_a_packet_arrives_as_it_was_sent_and_not_at_its_sender(
    lab: Lab, endpoint: Endpoint, source: Address, destination: Address
) -> None:
    (ours,), (theirs,) = opened(lab["a"], endpoint), opened(lab["b"], endpoint)
    sent = Packet(source, destination, MESSAGE)
    ours.send(sent)
    (found,) = heard(theirs)
    assert isinstance(found, Packet)
    assert replace(found, identification=0) == sent
    assert (found.ttl, found.protocol) == (255, 112)
    assert list(ours.receive()) == []
    ours.close()
    theirs.close()


def test_what_leaves_is_internetwork_control_with_the_largest_ttl(lab: Lab, tmp_path: Path) -> None:
    capture = Capture(lab, "lan", tmp_path / "lan.pcap", "ip proto 112 or ip6 proto 112")
    sockets = opened(lab["a"], GROUP4, PEER4, GROUP6, PEER6)
    for socket, source, to in zip(sockets, (A, A, A6, A6), (VRRP_GROUP, B, VRRP_GROUP6, B6), strict=True):
        socket.send(Packet(source, to, MESSAGE))
        socket.send(Packet(source, to, MESSAGE, ttl=64))
        socket.close()
    names = ("ip.ttl", "ip.dsfield", "ipv6.hlim", "ipv6.tclass", "ip.id", "eth.dst")
    argv = ["tshark", "-n", "-r", str(capture.file), "-T", "fields", *(word for name in names for word in ("-e", name))]

    def seen() -> list[list[str]]:
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        return [line.split("\t") for line in lines]

    found = poll(lambda: rows if len(rows := seen()) == 8 else None, 5, "eight packets")
    assert [row[:2] for row in found[:4]] == [["255", "0xc0"], ["64", "0xc0"]] * 2
    assert [(row[2], int(row[3], 0)) for row in found[4:]] == [("255", 0xC0), ("64", 0xC0)] * 2
    assert [found[number][5] for number in (0, 4)] == ["01:00:5e:00:00:12", "33:33:00:00:00:12"]


@pytest.mark.parametrize("family", [4, 6])
def test_two_sockets_on_one_interface_never_hand_out_the_same_packet_twice(lab: Lab, family: int) -> None:
    group, peer, source, to = (GROUP4, PEER4, A, B) if family == 4 else (GROUP6, PEER6, A6, B6)
    assert group.group is not None
    (sender,) = opened(lab["a"], group)
    in_group, alone = opened(lab["b"], group, peer)
    sender.send(Packet(source, group.group, b"to all" + MESSAGE))
    sender.send(Packet(source, to, b"to one" + MESSAGE))
    assert [packet.payload[:6] for packet in heard(in_group) if isinstance(packet, Packet)] == [b"to all"]
    poll(lambda: select.select([alone.fileno()], [], [], 0)[0], 3, "the packet to the peer")
    assert [packet.payload[:6] for packet in heard(alone) if isinstance(packet, Packet)] == [b"to one"]
    for socket in (sender, in_group, alone):
        socket.close()


def test_the_group_is_joined_on_this_interface_only(lab: Lab) -> None:
    ours, other = opened(lab["both"], GROUP4, replace(GROUP4, interface="eth1"))
    (sender,) = opened(lab["a"], GROUP4)
    sender.send(Packet(A, VRRP_GROUP, MESSAGE))
    assert len(heard(ours)) == 1
    assert heard(other, 0.2) == []
    groups = lab["both"].run(["ip", "maddr", "show", "dev", "eth1"]).output
    assert "224.0.0.18" in groups
    other.close()
    assert "224.0.0.18" not in lab["both"].run(["ip", "maddr", "show", "dev", "eth1"]).output
    ours.close()
    sender.close()


def test_identifications_count_from_one_unless_the_packet_brings_its_own(lab: Lab) -> None:
    (ours,), (theirs,) = opened(lab["a"], GROUP4), opened(lab["b"], GROUP4)
    for number in (0, 0, 77, 0):
        ours.send(Packet(A, VRRP_GROUP, MESSAGE, number))
    seen: list[int] = []
    while len(seen) < 4:
        seen += [packet.identification for packet in heard(theirs) if isinstance(packet, Packet)]
    assert seen == [1, 2, 77, 3]
    ours.close()
    theirs.close()


def test_an_authentication_header_has_a_protocol_and_a_socket_of_its_own(lab: Lab) -> None:
    endpoint = replace(GROUP4, protocol=51)
    (ours,), (theirs, plain) = opened(lab["a"], endpoint), opened(lab["b"], endpoint, GROUP4)
    header = AuthenticationHeader(int(A), 1, bytes(range(12)))
    ours.send(Packet(A, VRRP_GROUP, MESSAGE, authentication=header))
    (found,) = heard(theirs)
    assert isinstance(found, Packet)
    assert (found.authentication, found.payload) == (header, MESSAGE)
    assert heard(plain, 0.2) == []
    for socket in (ours, theirs, plain):
        socket.close()


def test_a_flood_is_handed_out_in_pieces(lab: Lab) -> None:
    (ours,), (theirs,) = opened(lab["a"], GROUP4), opened(lab["b"], replace(GROUP4, buffer=1 << 20))
    for _ in range(MOST_AT_ONCE + 10):
        ours.send(Packet(A, VRRP_GROUP, MESSAGE))
    assert len(heard(theirs)) == MOST_AT_ONCE
    assert len(heard(theirs)) == 10
    ours.close()
    theirs.close()


def test_a_socket_opens_anew_on_an_interface_that_was_deleted_and_made_again(netns_lab: Callable[..., Lab]) -> None:
    lab = netns_lab({"a": "10.9.0.1/24", "b": "10.9.0.2/24"})
    v0 = replace(GROUP4, interface="v0")

    def make() -> None:
        pair = f"link add v0 type veth peer name v0 netns {lab['b'].pid}"
        ip_batch(lab["a"], [pair, "link set v0 up", "address add 10.3.0.1/24 dev v0"]).result()
        ip_batch(lab["b"], ["link set v0 up", "address add 10.3.0.2/24 dev v0"]).result()
        for name in ("a", "b"):
            await_links_up(lab[name], {"v0"}, time.monotonic() + 5)

    make()
    (here,), (there,) = opened(lab["a"], v0), opened(lab["b"], v0)
    before = here.index
    ip_batch(lab["a"], ["link del v0"]).result()
    make()
    for host, socket in ((lab["a"], here), (lab["b"], there)):
        host.inside(socket.reopen).result()
    assert here.index != before
    here.send(Packet(IPv4Address("10.3.0.1"), VRRP_GROUP, MESSAGE))
    assert len(heard(there)) == 1
    ip_batch(lab["a"], ["link del v0"]).result()
    with pytest.raises(OSError, match="No such device"):
        lab["a"].inside(here.reopen).result()
    here.close()
    there.close()


def test_an_interface_that_is_down_refuses_to_send_and_yields_nothing(netns_lab: Callable[..., Lab]) -> None:
    host = netns_lab({"a": "10.9.0.1/24", "b": "10.9.0.2/24"})["a"]
    (ours,) = opened(host, GROUP4)
    ip_batch(host, ["link set eth0 down"]).result()
    with pytest.raises(OSError, match=r"down|unreachable"):
        ours.send(Packet(A, VRRP_GROUP, MESSAGE))
    assert list(ours.receive()) == []
    ours.close()

"""The picture of the links: it follows the kernel, survives lost and forged messages, and costs nothing at rest."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network

import pytest
from vrrp_kernel import Told, addresses_of, ip_json, within

from halab.namespace import Host
from halab.topology import Lab, ip_batch, simple
from halab.wait import poll
from pyvrrp.model import Configuration, Route, Rule, VirtualAddress
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.link import Link
from pyvrrp.system.static import StaticWorker

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(simple("lan", {"a": "10.9.0.1/24", "b": "10.9.0.2/24"})) as made:
        yield made


def seen_by_ip(host: Host) -> dict[str, tuple[int, bool, int, set[str]]]:
    """Index, whether it is up, MTU and addresses of every link, as ip(8) has them."""
    return {
        link["ifname"]: (
            link["ifindex"],
            {"UP", "LOWER_UP"} <= set(link["flags"]),
            link["mtu"],
            {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"]},
        )
        for link in ip_json(host, "addr")
    }


def seen_by_us(links: dict[str, Link]) -> dict[str, tuple[int, bool, int, set[str]]]:
    return {
        link.name: (link.index, link.is_up, link.mtu, {str(one) for one in link.addresses}) for link in links.values()
    }


def test_the_picture_follows_every_change_without_reading_everything_again(lab: Lab) -> None:
    host = lab["a"]
    steps = [
        "address add 10.9.0.7/24 dev eth0",
        "address add 10.8.0.7/16 peer 10.7.0.1/24 dev eth0",
        "address add fd00::7/64 dev eth0 nodad",
        "link set eth0 mtu 1400",
        "link set eth0 down",
        "link set eth0 name eth9",
        "link set eth9 up",
        "link add v0 type veth peer name v1",
        "link set v0 address 02:00:00:00:00:07 up",
        "address add 10.7.7.7/32 dev v0",
        "link add m0 link eth9 type macvlan mode private",
        "address del 10.9.0.7/24 dev eth9",
        "link del v0",
        "address flush dev eth9",
    ]

    async def work() -> None:
        async with Kernel() as kernel:
            await kernel.links()
            dumps = 0
            read_all = kernel._read_all

            async def counted() -> None:
                nonlocal dumps
                dumps += 1
                await read_all()

            kernel._read_all = counted  # type: ignore[method-assign]
            for step in steps:
                host.run(["ip", *step.split()]).check()
                poll(lambda: True, 1, "a moment for the kernel's own changes", 0.02)
                async with asyncio.timeout(5):
                    while seen_by_us(await kernel.links()) != seen_by_ip(host):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
            links = await kernel.links()
            assert (links["m0"].kind, links["m0"].base) == ("macvlan", links["eth9"].index)
            assert dumps == 0

    within(host, work, 60)


def test_the_source_is_the_primary_address_and_never_a_virtual_one(lab: Lab) -> None:
    host = lab["a"]
    ip_batch(host, ["address add 10.1.0.1/8 dev eth0", "address add fe80::1/64 dev eth0 nodad"]).result()

    async def work() -> None:
        async with Kernel() as kernel:
            eth0 = (await kernel.links())["eth0"]
            assert eth0.source() == IPv4Address("10.9.0.1")
            assert eth0.source({IPv4Address("10.9.0.1")}) == IPv4Address("10.1.0.1")
            assert eth0.source({IPv4Address("10.9.0.1"), IPv4Address("10.1.0.1")}) is None
            local = eth0.source(family=6)
            assert local is not None
            assert local.is_link_local
            others = {one.ip for one in eth0.addresses if one.ip != IPv6Address("fe80::1")}
            assert eth0.source(others, 6) == IPv6Address("fe80::1")

    within(host, work)


def test_a_tentative_link_local_address_is_no_source_until_it_is_checked(lab: Lab) -> None:
    host = lab["a"]
    ip_batch(host, ["link add v0 type veth peer name v1", "link set v1 up"]).result()
    host.run(["sysctl", "-w", "net.ipv6.conf.v0.accept_dad=1"]).check()  # the lab's hosts do without

    async def work() -> None:
        host.run(["ip", "link", "set", "v0", "up"]).check()
        poll(lambda: "tentative" in host.run(["ip", "addr", "show", "v0"]).output, 5, "a tentative address", 0.01)
        async with Kernel() as kernel:  # the kernel tells of such an address only when asked
            found = []
            async with asyncio.timeout(10):
                while not found or found[-1] is None:
                    links = await kernel.links()
                    if any(one.version == 6 for one in links["v0"].addresses):
                        found.append(links["v0"].source(family=6))
                    await asyncio.sleep(0.01)
            assert found[0] is None

    within(host, work)


def test_lost_messages_lead_to_a_resync(lab: Lab) -> None:
    """A buffer of 4 KiB and 2,000 flaps: afterwards the picture is the kernel's (reliability 7.5)."""
    host = lab["a"]

    async def work() -> None:
        async with Kernel(buffer=4096) as kernel:
            await kernel.links()
            flaps = [f"link set eth0 {state}" for _ in range(1000) for state in ("down", "up")]
            changed = asyncio.Event()

            async def tell() -> None:
                changed.set()

            watch = asyncio.ensure_future(kernel.watch(tell))
            ip_batch(host, [*flaps, "address add 10.9.9.9/32 dev eth0"]).result()  # and the loop stands still
            async with asyncio.timeout(10):
                while seen_by_us(await kernel.links()) != seen_by_ip(host):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert changed.is_set()
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    within(host, work, 60)


def test_a_message_that_the_kernel_has_not_sent_changes_nothing(lab: Lab) -> None:
    host = lab["a"]

    async def work() -> None:
        async with Kernel() as kernel:
            before = seen_by_us(await kernel.links())
            genuine = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            genuine.bind((0, 1))
            genuine.settimeout(3)
            host.run(["ip", "link", "set", "eth0", "mtu", "1300"]).check()
            message = bytearray(genuine.recv(65536))
            host.run(["ip", "link", "set", "eth0", "mtu", "1500"]).check()
            assert seen_by_us(await kernel.links()) == before
            ours = kernel._monitor._socket.getsockname()[0]
            genuine.sendto(bytes(message), (ours, 0))  # the same message, but from a process
            assert seen_by_us(await kernel.links()) == before
            genuine.close()

    within(host, work)


def test_a_storm_of_changes_is_reported_some_times_and_a_link_that_fails_at_once(lab: Lab) -> None:
    host = lab["a"]

    async def work() -> None:
        async with Kernel() as kernel:
            await kernel.links()
            reports: list[tuple[float, bool]] = []

            async def changed() -> None:
                reports.append((time.monotonic(), (await kernel.links())["eth0"].is_up))

            watch = asyncio.ensure_future(kernel.watch(changed))
            await asyncio.sleep(0)
            begun = time.monotonic()
            storm = [f"address add 10.{number}.0.1/32 dev eth0" for number in range(1, 200)]
            await asyncio.to_thread(ip_batch(host, storm).result)
            await asyncio.sleep(0.1)
            assert 1 <= len(reports) <= 2 + (time.monotonic() - begun) / 0.05
            await asyncio.to_thread(ip_batch(host, ["address add 10.0.0.1/32 dev eth0", "link set eth0 down"]).result)
            down = time.monotonic()
            async with asyncio.timeout(2):
                while reports[-1][1]:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
            assert reports[-1][0] - down < 0.03
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    within(host, work)


def test_what_tells_nothing_new_is_not_reported(lab: Lab) -> None:
    """A lifetime that is renewed, as router advertisements do it, wakes nobody."""
    host = lab["a"]
    host.run(["ip", "address", "add", "fd00::9/64", "dev", "eth0", "nodad"]).check()

    async def work() -> None:
        async with Kernel() as kernel:
            await kernel.links()
            reports = 0

            async def changed() -> None:
                nonlocal reports
                reports += 1

            watch = asyncio.ensure_future(kernel.watch(changed))
            await asyncio.sleep(0.2)
            before = reports
            for seconds in range(100, 110):
                words = f"address change fd00::9/64 dev eth0 preferred_lft {seconds} valid_lft {seconds + 100}"
                await asyncio.to_thread(lambda words=words: host.run(["ip", *words.split()]).check())
            await asyncio.sleep(0.2)
            assert reports == before
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    within(host, work)


STATIC = Configuration(
    (),
    static_addresses=(
        VirtualAddress(ip_interface("10.20.0.1/24"), device="eth0", track_group="GROUP"),
        VirtualAddress(ip_interface("10.9.0.1/24"), device="eth0"),
        VirtualAddress(ip_interface("10.21.0.1/24"), device="late0"),
    ),
    static_routes=(
        Route(ip_network("192.168.99.0/24"), "192.168.99.0/24", via=IPv4Address("10.20.0.9"), device="eth0"),
    ),
    static_rules=(Rule(4, "from 192.168.99.0/24", source=ip_network("192.168.99.0/24"), table=9, priority=200),),
)


def test_static_ones_are_set_put_back_and_taken_away_but_not_what_was_there_before(lab: Lab) -> None:
    host = lab["a"]

    async def work() -> None:
        told, links = Told(), dict[str, Link]()
        async with Kernel() as kernel:
            static = StaticWorker(kernel, links.get, told)

            async def changed() -> None:
                now = await kernel.links()
                links.clear()
                links.update(now)
                if static.misses():
                    faults.append(dict(static.faults()))
                    await static.restore()

            faults: list[dict[str, str]] = []
            links.update(await kernel.links())
            await static.apply(STATIC)
            watch = asyncio.ensure_future(kernel.watch(changed))
            assert "10.20.0.1/24" in addresses_of(host, "eth0")
            assert told.reasons("system_error") == ["10.21.0.1/24 is not set: there is no interface late0"]

            async def until(words: str, shows: str, *argv: str) -> None:
                await asyncio.to_thread(lambda: host.run(["ip", *words.split()]).check())
                await asyncio.to_thread(poll, lambda: shows in host.run(["ip", *argv]).output, 5, shows)

            await until("address del 10.20.0.1/24 dev eth0", "10.20.0.1/24", "addr")
            assert {"GROUP": "static address 10.20.0.1/24 is missing"} in faults
            await until("link show eth0", "192.168.99.0/24 via 10.20.0.9", "route")
            await until("route del 192.168.99.0/24", "192.168.99.0/24 via 10.20.0.9", "route")
            await until("rule del priority 200", "from 192.168.99.0/24", "rule")
            await asyncio.to_thread(lambda: host.run(["ip", "link", "add", "late0", "type", "bridge"]).check())
            await until("link set late0 up", "10.21.0.1/24", "addr")
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            links.update(await kernel.links())
            await static.close()
        assert addresses_of(host, "eth0") - {"10.9.0.1/24"} == {
            one for one in addresses_of(host, "eth0") if one.startswith("fe80")
        }
        assert "10.9.0.1/24" in addresses_of(host, "eth0")
        assert "192.168.99" not in host.run(["ip", "route"]).output + host.run(["ip", "rule"]).output

    within(host, work, 60)

"""The lease of virtual addresses: the kernel takes them from a daemon that is killed or frozen, and from no other."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
from reliability import record_if_asked
from vrrp_kernel import ip_json, standing, within
from vrrp_pair import Lan, instance, sixth, whole
from vrrp_running import Running
from vrrp_running import instance as running_instance

from halab.namespace import Host
from halab.topology import Lab, simple
from halab.wait import AddressChange, poll
from pyvrrp.model import Instance, VirtualAddress

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

TEN = {f"r{number}": f"10.88.2.{number}" for number in range(11, 21)}
LEASE = 3
KERNEL_LATE, KERNEL_EARLY = 1.25, 0.05
"""The kernel looks at lifetimes once a second at most, and its timers are late by a quarter; a tick may be 10 ms."""
HOSTS = {"a": "10.9.0.1/24", "b": "10.9.0.2/24"}


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(simple("lan", HOSTS)) as made:
        yield made


def vips(host: str) -> tuple[str, str]:
    """The virtual addresses of a host, one in each family."""
    number = int(TEN[host].rpartition(".")[2]) + 100
    return f"10.88.2.{number}", sixth(f"10.88.2.{number}")


def both_families(host: str) -> str:
    """Two owners, masters at once; three intervals are their lease."""
    four, six = vips(host)
    vrid = int(TEN[host].rpartition(".")[2])
    return whole(
        instance(255, name="VI_4", interval=1, vrid=vrid, addresses=(f"{four}/24",)),
        instance(255, name="VI_6", interval=1, vrid=vrid, addresses=(f"{six}/64",)),
    )


def lost(lan: Lan, signalled: dict[str, float]) -> dict[int, list[tuple[float, float]]]:
    """Wait until nobody holds a virtual address; returns for each family, in seconds, how long each was held.

    Counted from the last advertisement, with which the lease was renewed, and from the signal (``signalled``).
    """
    wanted = {(host, vip) for host in TEN for vip in vips(host)}
    begun, of_day = min(signalled.values()), time.time() - time.monotonic()

    def gone() -> dict[tuple[str, str], AddressChange] | None:
        changes = {(one.host, one.address): one for one in list(lan.watch.changes) if one.at >= begun}
        return changes if changes.keys() >= wanted and not any(one.present for one in changes.values()) else None

    found = poll(gone, LEASE + KERNEL_LATE + 3, "the kernel takes all addresses away")
    times: dict[int, list[tuple[float, float]]] = {4: [], 6: []}
    for host, signal_at in signalled.items():
        adverts = lan.adverts(host)
        for family, vip in zip(times, vips(host), strict=True):
            renewed_at = max(one.at for one in adverts if (":" in one.source) == (family == 6)) - of_day
            at = found[host, vip].at
            times[family].append((at - renewed_at, at - signal_at))
    return times


def judge(how: str, times: dict[int, list[tuple[float, float]]]) -> Iterator[tuple[str, str]]:
    """No address is gone before its lease is over, nor later than the kernel needs to see it; yields rows to record."""
    for family, found in times.items():
        from_renewal, from_signal = (sorted(one) for one in zip(*found, strict=True))
        shown = " ".join(f"{one:.2f}" for one in from_renewal)
        print(f"IPv{family} {how}: gone {shown} s after the last renewal, lease {LEASE} s")
        yield f"IPv{family}, the daemon is {how}", shown
        assert len(found) == 10
        assert from_renewal[0] >= LEASE - KERNEL_EARLY
        assert max(from_renewal[-1], from_signal[-1]) <= LEASE + KERNEL_LATE


def test_ten_daemons_that_are_frozen_or_killed_lose_their_addresses_by_the_kernel_s_own_hand(tmp_path: Path) -> None:
    with Lan(tmp_path, TEN) as lan:
        with ThreadPoolExecutor(len(TEN)) as pool:
            list(pool.map(lambda host: lan.start(host, "pyvrrp", both_families(host)), TEN))
        until_all_advertise(lan, since=time.time())  # not their first word alone: each has renewed its lease once
        signalled = {}
        for host in TEN:
            signalled[host] = time.monotonic()
            lan.host(host).kill_service("keepalived", signal.SIGSTOP)
        rows = [*judge("frozen", lost(lan, signalled))]
        thawed_at = time.time()
        for host in TEN:
            lan.host(host).kill_service("keepalived", signal.SIGCONT)
        until_all_advertise(lan, since=thawed_at)
        for host in TEN:
            lan.until_log(host, "the lease of 3 s ran out, for the daemon stood still for", times=2)
        rows += judge("killed", lost(lan, {host: lan.kill(host) for host in TEN}))
    columns = (f"lease of {LEASE} s, ten machines", "the address is gone so many seconds after the last renewal")
    record_if_asked("lease", columns, rows, "./run test tests/netns/test_pyvrrp_lease.py")


def until_all_advertise(lan: Lan, since: float) -> None:
    """Wait until each holds both addresses and has advertised both since then (of day)."""
    for host in TEN:
        for vip in vips(host):
            lan.until_held_by(host, within=20, address=vip)
    wanted = {address for host in TEN for address in lan.sources(host) if address != sixth(TEN[host])}
    poll(lambda: {one.source for one in lan.adverts() if one.at > since} >= wanted, 10, "all advertise")


def leased(*addresses: str, lease: int | None = LEASE, **options: Any) -> Instance:
    """An instance that carries these addresses, and has no more to do."""
    carried = tuple(VirtualAddress(ip_interface(one), **options) for one in addresses)
    return Instance("VI_1", "eth0", 51, addresses=carried, vip_lease=lease)


class Echo:
    """A server on the virtual address of a host, which renews the lease before each answer."""

    def __init__(self, vip: str) -> None:
        self.vip = vip
        self.instance = leased(vip)
        self.renewed = 0

    async def serve(self) -> None:
        """Hold the address, and serve one client to its end."""
        async with standing(self.instance) as stand:
            stand.worker.add()
            await stand.worker.finish()
            ended = asyncio.Event()

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                while line := await reader.readline():
                    self.renewed += 1
                    assert await stand.renew(self.instance) is None
                    writer.write(line)
                writer.close()
                ended.set()

            async with await asyncio.start_server(answer, str(ip_interface(self.vip).ip), 7777):
                await ended.wait()
            assert stand.told.reasons("address_lost") + stand.told.reasons("system_error") == []


async def talk(address: str) -> int:
    """Exchange a thousand lines with the server, while the kernel pings it; returns how many lines it were."""
    argv = ["ping", "-q", "-i", "0.005", "-c", "400", address]
    ping = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    reader, writer = await asyncio.open_connection(address, 7777)
    pinged, number = asyncio.ensure_future(ping.communicate()), 0
    while number < 1000 or not pinged.done():
        number += 1
        writer.write(b"%d\n" % number)
        assert await reader.readline() == b"%d\n" % number
    writer.close()
    told, _ = await pinged
    assert b"400 packets transmitted, 400 received, 0% packet loss" in told
    return number


@pytest.mark.parametrize("vip", ["10.9.0.100/24", "fd00:9::100/64"])
def test_a_flow_and_a_ping_lose_nothing_over_a_thousand_renewals(lab: Lab, vip: str) -> None:
    host, client, address = lab["a"], lab["b"], str(ip_interface(vip).ip)
    if ":" in address:
        client.run(["ip", "address", "add", "fd00:9::2/64", "dev", "eth0", "nodad"]).check()
    echo = Echo(vip)
    serving = host.inside(lambda: asyncio.run(echo.serve()))
    poll(lambda: ":7777" in host.run(["ss", "-ltn"]).output, 5, "the server")
    lines = within(client, lambda: talk(address))
    serving.result(10)
    assert echo.renewed == lines >= 1000


def lifetimes_of(host: Host, address: str, interface: str = "eth0") -> tuple[int, int]:
    """The preferred and valid lifetime of an address in seconds, as ip(8) tells them."""
    (found,) = [
        one for one in ip_json(host, "addr", "show", "dev", interface)[0]["addr_info"] if one["local"] == address
    ]
    return found["preferred_life_time"], found["valid_life_time"]


FOREVER = 4294967295


def route_of(host: Host, prefix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ip_json(host, "-6", "route", "show", prefix, "dev", "eth0")
    return found


def test_the_route_of_an_ipv6_prefix_that_others_need_keeps_its_lifetime(lab: Lab) -> None:
    """As of an address that a router has advertised (SLAAC): until its next word the host would be off the link."""
    host = lab["a"]
    own = "fd00:5::5/64 dev eth0 nodad valid_lft 1000 preferred_lft 1000"
    host.run(["ip", "address", "add", *own.split()]).check()

    async def work() -> None:
        async with standing(leased("fd00:5::100/64", "fd00:6::100/64", "fd00:7::100/128")) as stand:
            stand.worker.add()
            await stand.worker.finish()
            for _ in range(3):
                assert await stand.renew(leased()) is None
            assert lifetimes_of(host, "fd00:5::100")[1] <= LEASE
            assert [one["expires"] > 900 for one in route_of(host, "fd00:5::/64")] == [True]
            assert [one["expires"] <= LEASE for one in route_of(host, "fd00:6::/64")] == [True]  # its own, alone
            assert route_of(host, "fd00:7::100/128") == []
            stand.worker.remove()
            await stand.worker.finish()
            assert [one["expires"] > 900 for one in route_of(host, "fd00:5::/64")] == [True]

    within(host, work)


def test_a_renewal_does_not_begin_the_check_for_duplicates_anew(lab: Lab) -> None:
    host = lab["a"]
    host.run(["sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=1", "net.ipv6.conf.eth0.dad_transmits=1"]).check()

    def flags() -> str:
        return host.run(["ip", "-6", "address", "show", "to", "fd00:9::100"]).output

    async def work() -> None:
        async with standing(leased("fd00:9::100/64", dad=True)) as stand:
            stand.worker.add()
            await stand.worker.finish()
            begun = time.monotonic()
            assert "tentative" in flags()
            while "tentative" in await asyncio.to_thread(flags):
                assert await stand.renew(leased()) is None
                assert time.monotonic() - begun < 5
            for _ in range(3):
                assert await stand.renew(leased()) is None
                assert "tentative" not in flags()
            assert "dadfailed" not in flags()

    within(host, work)


def test_what_was_there_before_is_not_leased_and_what_a_crash_has_left_is(lab: Lab) -> None:
    host = lab["a"]
    host.run(["ip", "address", "add", "10.9.0.7/24", "dev", "eth0"]).check()

    async def work() -> None:
        async with standing(leased("10.9.0.8/24", lease=None)) as crashes:
            crashes.worker.add()
            await crashes.worker.finish()
        async with standing(leased("10.9.0.7/24", "10.9.0.8/24", "10.9.0.9/24")) as stand:
            stand.worker.add()
            await stand.worker.finish()
            assert await stand.renew(leased()) is None
            valid = [lifetimes_of(host, f"10.9.0.{number}")[1] for number in (7, 8, 9)]
            assert [seconds <= LEASE for seconds in valid] == [False, True, True]

    within(host, work)


def test_a_renewal_brings_nothing_back_in_silence(lab: Lab) -> None:
    """What is tracked is put back and told; what is marked no_track stays away (keepalived.conf(5))."""
    host = lab["a"]

    async def work() -> None:
        async with standing(leased("10.9.0.100/24", tracked=False)) as stand:
            stand.worker.add()
            await stand.worker.finish()
            await asyncio.to_thread(host.run, ["ip", "address", "del", "10.9.0.100/24", "dev", "eth0"])
            for _ in range(3):
                assert await stand.renew(leased()) is None
            assert "10.9.0.100" not in str(ip_json(host, "addr"))
        async with standing(leased("10.9.0.101/24")) as stand:
            stand.worker.add()
            await stand.worker.finish()
            done = await asyncio.to_thread(host.run, ["ip", "address", "del", "10.9.0.101/24", "dev", "eth0"])
            assert await stand.renew(leased()) is None
            done.check()
            await stand.until(lambda: bool(stand.told.reasons("address_lost")))
            assert lifetimes_of(host, "10.9.0.101")[1] <= LEASE

    within(host, work)


def test_a_reload_gives_another_lease_or_none_and_an_end_that_keeps_addresses_leaves_them_for_good(lab: Lab) -> None:
    host = lab["a"]
    before = leased("10.9.0.100/24", "fd00:9::100/64")
    steps = (None, 30, 10, None)

    async def work() -> None:
        async with standing(before) as stand:
            stand.worker.add()
            now = before
            for lease in steps:
                after = replace(now, vip_lease=lease)
                stand.worker.change(now, after)
                await stand.worker.finish()
                for address in ("10.9.0.100", "fd00:9::100"):
                    valid = lifetimes_of(host, address)[1]
                    assert valid == FOREVER if lease is None else 0 < valid <= lease
                now = after
            stand.worker.change(now, before)
            stand.worker.leave()
            await stand.worker.finish()
            assert lifetimes_of(host, "10.9.0.100") == lifetimes_of(host, "fd00:9::100") == (FOREVER, FOREVER)
            assert stand.told.reasons("system_error") == []

    within(host, work)


def test_who_cannot_renew_its_lease_sends_no_advertisement_and_lets_go() -> None:
    """IPv6 is switched off under an address: the kernel takes it away, and refuses it from then on."""
    vip = VirtualAddress(ip_interface("fd00:9::9/128"), device="lo")
    with Lab(simple("lan", HOSTS)) as lab:
        host = lab["a"]
        with Running(host, running_instance(100, excluded=(vip,), vip_lease=2)) as daemon:
            daemon.until_master()
            host.run(["sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=1"]).check()
            refusal = "the lease of fd00:9::9/128 on lo is not renewed: Permission denied"
            refused = daemon.until(lambda event: event.event == "system_error" and refusal in event.reason)
            daemon.until_event("not_heard", since=refused.at)
            fault = daemon.until_state("FAULT", since=refused.at)
            sent = [one for one in daemon.events if one.event == "advertised" and refused.at <= one.at <= fault.at]
            assert [one.get("priority") for one in sent] == [0]
            host.run(["sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0"]).check()
            daemon.until_state("MASTER", since=fault.at)

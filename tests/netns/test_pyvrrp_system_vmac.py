"""VMAC interfaces, beside those of the real keepalived: MAC address, mode, settings, what is left at the end."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
from vrrp_kernel import addresses_of, ip_json, within

from halab.capture import Capture
from halab.namespace import Host
from halab.parts.daemons import Speaker
from halab.topology import Lab, ip_batch, simple
from halab.wait import hold, poll
from pyvrrp.model import VRRP_GROUP, VRRP_GROUP6, Instance, VirtualAddress, Vmac
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.firewall import Firewall, wanted
from pyvrrp.system.kernel import Kernel
from pyvrrp.system.sockets import AdvertisementSocket, Endpoint
from pyvrrp.system.sysctl import Settings
from pyvrrp.system.vmac import Vmacs, hears_through, names
from pyvrrp.wire.packet import Packet

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

IN4 = Instance("VI_4", "eth0", 51, addresses=(VirtualAddress(ip_interface("10.9.0.100/24")),), vmac=Vmac())
IN6 = Instance(
    "VI_6", "eth0", 52, version=3, family=6, vmac=Vmac(),
    addresses=(VirtualAddress(ip_interface("fe80::100/128")), VirtualAddress(ip_interface("fd00::100/64"))),
)  # fmt: skip
KEEPALIVED = """
vrrp_instance VI_4 {
  interface eth0
  use_vmac
  virtual_router_id 51
  virtual_ipaddress { 10.9.0.100/24 }
}
vrrp_instance VI_6 {
  interface eth0
  use_vmac
  version 3
  virtual_router_id 52
  virtual_ipaddress {
    fe80::100
    fd00::100/64
  }
}
"""
SHOWN = ("ifname", "link", "flags", "mtu", "operstate", "link_type", "address", "linkinfo", "inet6_addr_gen_mode")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(simple("lan", {"a": "10.9.0.1/24", "b": "10.9.0.2/24"})) as made:
        yield made


def settings_of(host: Host) -> dict[str, str]:
    """Every setting of every interface, but what differs from time to time."""
    shell = "cd /proc/sys/net && grep -H . ipv4/conf/*/* ipv6/conf/*/* 2>/dev/null"
    lines = host.run(["sh", "-c", shell]).output.splitlines()
    return dict(line.split(":", 1) for line in lines if "stable_secret" not in line)


def picture(host: Host) -> dict[str, Any]:
    links = ip_json(host, "-d", "link")
    vmacs = [link for link in links if link["ifname"].startswith("vrrp")]
    base = host.run(["cat", "/sys/class/net/eth0/address"]).output
    return {
        "links": [{key: link.get(key) for key in SHOWN} for link in vmacs],
        "addresses": {link["ifname"]: addresses_of(host, link["ifname"]) for link in vmacs},
        "settings": settings_of(host),
        "base": base,
    }


def settled(host: Host) -> dict[str, Any]:
    """The picture of a moment later."""
    host.run(["sleep", "0.3"])
    return picture(host)


def test_vmac_interfaces_and_the_settings_around_them_are_those_of_keepalived(lab: Lab) -> None:
    """Scenario 25: macvlan in private mode, 00:00:5e:00:01:VRID and 02 for IPv6; unlike 2.2.7, all is put back."""
    host = lab["a"]
    clean = settings_of(host)
    theirs = Speaker(host, "keepalived", KEEPALIVED, {})
    theirs.start()
    poll(lambda: len(picture(host)["links"]) == 2 and len(addresses_of(host, "vrrp.52")) == 1, 10, "keepalived's VMACs")
    poll(lambda: all(link["operstate"] == "UP" for link in picture(host)["links"]), 5, "their links up")
    expected = poll(lambda: now if (now := picture(host)) == settled(host) else None, 10, "keepalived's last setting")
    theirs.stop()
    poll(lambda: not picture(host)["links"], 10, "the end of keepalived")
    host.run(["sysctl", "-w", "net.ipv4.conf.eth0.arp_ignore=0", "net.ipv4.conf.eth0.arp_filter=0"]).check()
    seen: list[dict[str, Any]] = []

    async def work() -> None:
        async with Kernel() as kernel:
            vmacs = Vmacs(kernel, Settings())
            assert await vmacs.ensure((IN4, IN6)) == ["vrrp.51", "vrrp.52"]
            assert await vmacs.ensure((IN4, IN6)) == []
            poll(lambda: all(link["operstate"] == "UP" for link in picture(host)["links"]), 5, "links up")
            seen.append(picture(host))
            await vmacs.close()

    within(host, work)
    ours = seen[0]
    ours["settings"].pop("ipv4/conf/vrrp.51/rp_filter", None)
    expected["settings"].pop("ipv4/conf/vrrp.51/rp_filter", None)
    assert [link["address"] for link in ours["links"]] == ["00:00:5e:00:01:33", "00:00:5e:00:02:34"]
    assert dict(ours.pop("settings").items() ^ expected.pop("settings").items()) == {}
    assert ours == expected
    assert settings_of(host) == clean


def test_what_a_crash_has_left_is_taken_over_and_what_does_not_fit_is_made_anew(lab: Lab) -> None:
    host = lab["a"]
    lines = [
        "link add vrrp.51 link eth0 address 00:00:5e:00:01:33 type macvlan mode private",
        "link add vrrp.52 link eth0 address 00:00:5e:00:02:99 type macvlan mode private",
    ]
    ip_batch(host, lines).result()
    before = {link["ifname"]: link["ifindex"] for link in ip_json(host, "link")}

    async def work() -> None:
        async with Kernel() as kernel:
            vmacs = Vmacs(kernel, Settings())
            assert await vmacs.ensure((IN4, IN6)) == ["vrrp.52"]
            after = {link["ifname"]: link["ifindex"] for link in ip_json(host, "link")}
            assert after["vrrp.51"] == before["vrrp.51"]
            assert after["vrrp.52"] != before["vrrp.52"]
            await vmacs.close()
            assert {link["ifname"] for link in ip_json(host, "link")} == {"lo", "eth0"}

    within(host, work)


def test_a_name_that_belongs_to_something_else_is_refused(lab: Lab) -> None:
    ip_batch(lab["a"], ["link add vrrp.51 type bridge"]).result()

    async def work() -> None:
        async with Kernel() as kernel:
            with pytest.raises(SystemRefusalError, match=r"there is an interface vrrp\.51 already, and it is no VMAC"):
                await Vmacs(kernel, Settings()).ensure((IN4,))

    within(lab["a"], work)


def test_a_vmac_that_goes_with_its_base_comes_back_with_it(lab: Lab) -> None:
    host = lab["a"]
    instance = replace(IN4, interface="v0")
    make = ["link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"]
    ip_batch(host, make).result()

    async def work() -> None:
        async with Kernel() as kernel:
            vmacs = Vmacs(kernel, Settings())
            assert await vmacs.ensure((instance,)) == ["vrrp.51"]
            ip_batch(host, ["link del v0"]).result()
            assert await vmacs.ensure((instance,)) == []
            ip_batch(host, make).result()
            assert await vmacs.ensure((instance,)) == ["vrrp.51"]
            assert await vmacs.ensure(()) == []
            assert "vrrp.51" not in await kernel.links()

    within(host, work)


def test_a_vmac_above_a_macvlan_is_made_once(lab: Lab) -> None:
    ip_batch(lab["a"], ["link add m0 link eth0 type macvlan mode bridge", "link set m0 up"]).result()

    async def work() -> None:
        async with Kernel() as kernel:
            vmacs = Vmacs(kernel, Settings())
            instance = replace(IN4, interface="m0")
            assert await vmacs.ensure((instance,)) == ["vrrp.51"]
            assert await vmacs.ensure((instance,)) == []
            await vmacs.close()

    within(lab["a"], work)


def test_the_reverse_path_filter_of_all_interfaces_moves_to_each_by_name(lab: Lab) -> None:
    """With rp_filter 1 on ``all``, a master could not hear a higher master through its VMAC."""
    host = lab["a"]
    host.run(["sysctl", "-w", "net.ipv4.conf.all.rp_filter=1"]).check()
    clean = settings_of(host)

    async def work() -> None:
        async with Kernel() as kernel:
            vmacs = Vmacs(kernel, Settings())
            await vmacs.ensure((IN4,))
            now = settings_of(host)
            found = {name: now[f"ipv4/conf/{name}/rp_filter"] for name in ("all", "default", "eth0", "lo", "vrrp.51")}
            assert found == {"all": "0", "default": "1", "eth0": "1", "lo": "1", "vrrp.51": "0"}
            await vmacs.close()

    within(host, work)
    assert settings_of(host) == clean


@pytest.mark.parametrize("family", [4, 6])
def test_two_routers_with_the_same_virtual_mac_hear_each_other(lab: Lab, family: int) -> None:
    instance = IN4 if family == 4 else IN6
    sockets = []
    for name in ("a", "b"):
        host = lab[name]
        host.run(["sysctl", "-w", "net.ipv4.conf.all.rp_filter=1"]).check()

        async def work() -> None:
            async with Kernel() as kernel:
                vmacs = Vmacs(kernel, Settings())
                await vmacs.ensure((instance,))
                heard = hears_through(instance, vmacs.raised[instance.name])
                group = VRRP_GROUP if family == 4 else VRRP_GROUP6
                sockets.append(AdvertisementSocket(Endpoint(heard, family, group=group)))

        within(host, work)
        await_up(host)
    here, there = sockets
    group = VRRP_GROUP if family == 4 else VRRP_GROUP6
    links = within(lab["a"], links_now)
    source = links["eth0"].source((), family)
    assert source is not None
    here.send(Packet(source, group, bytes(20)))
    (found,) = poll(lambda: list(there.receive()), 3, "the packet at the other VMAC")
    assert isinstance(found, Packet)
    assert (found.source, found.ttl) == (source, 255)
    here.close()
    there.close()


def await_up(host: Host) -> None:
    poll(lambda: all(link["operstate"] == "UP" for link in picture(host)["links"]), 5, "VMACs that are up")


async def links_now() -> Any:
    async with Kernel() as kernel:
        return await kernel.links()


def test_names_are_those_of_keepalived_and_differ() -> None:
    more = [replace(IN4, name="x", interface="eth1"), replace(IN6, name="y", virtual_router_id=51)]
    named = replace(IN4, name="z", vmac=Vmac("vip0"))
    assert names([IN4, IN6, *more, named]) == {
        "VI_4": "vrrp.51",
        "VI_6": "vrrp.52",
        "x": "vrrp4.51",
        "y": "vrrp6.51",
        "z": "vip0",
    }


def test_no_accept_drops_what_is_sent_to_the_addresses_and_the_tables_end_with_us(lab: Lab) -> None:
    host, other = lab["a"], lab["b"]
    closed = replace(IN4, vmac=None, accept=False)
    closed6 = replace(IN6, vmac=None, accept=False)
    ip_batch(host, ["address add 10.9.0.100/24 dev eth0", "address add fd00::100/64 dev eth0 nodad"]).result()
    ip_batch(other, ["address add fd00::2/64 dev eth0 nodad"]).result()

    def answers(address: str) -> bool:
        return other.run(["ping", "-c", "1", "-W", "1", address], timeout=10).status == 0

    async def work() -> None:
        firewall = Firewall()
        assert answers("10.9.0.100")
        assert answers("fd00::100")
        await firewall.apply(wanted((closed, closed6), {}))
        assert not answers("10.9.0.100")
        assert not answers("fd00::100")
        assert answers("10.9.0.1")
        await firewall.apply(wanted((closed, closed6), {}))
        await firewall.apply(wanted((replace(closed, priority=255), closed6), {}))
        assert answers("10.9.0.100")
        assert not answers("fd00::100")
        await firewall.close()
        assert answers("fd00::100")
        assert host.run(["nft", "list", "ruleset"]).output == ""

    within(host, work)


def test_igmp_of_a_vmac_leaves_by_the_interface_below(lab: Lab) -> None:
    """So that no switch learns the virtual MAC address from a backup."""
    host = lab["a"]

    async def work() -> None:
        async with Kernel() as kernel:
            vmacs, firewall = Vmacs(kernel, Settings()), Firewall()
            await vmacs.ensure((IN4, IN6))
            raised = {name: (one.name, one.base) for name, one in vmacs.raised.items()}
            await firewall.apply(wanted((IN4, IN6), raised))
            listed = host.run(["nft", "list", "ruleset"]).check().output
            assert '"vrrp.51" : "eth0"' in listed
            assert "ip protocol igmp dup to ip daddr device" in listed
            await firewall.close()
            await vmacs.close()

    within(host, work)


def test_a_backup_sends_no_frame_with_the_virtual_mac_address(lab: Lab, tmp_path: Path) -> None:
    """Neither at its start, nor while it listens, nor when it stops (reliability 7.24)."""
    capture = Capture(
        lab, "lan", tmp_path / "lan.pcap", "ether[0:4] = 0x00005e00 or ether[6:4] = 0x00005e00 or proto 112"
    )
    masters = KEEPALIVED.replace("use_vmac", "priority 200")
    theirs, ours = Speaker(lab["b"], "keepalived", masters, {}), Speaker(lab["a"], "pyvrrp", KEEPALIVED, {})
    theirs.start()
    poll(lambda: "10.9.0.100/24" in addresses_of(lab["b"], "eth0"), 10, "keepalived as master")
    ours.start()
    hold(lambda: "10.9.0.100/24" not in addresses_of(lab["a"], "vrrp.51"), 3, "we are backup")
    assert addresses_of(lab["a"], "vrrp.52")
    ours.stop()
    theirs.stop()
    argv = ["tshark", "-n", "-r", str(capture.file), "-T", "fields", "-e", "eth.src"]
    sources = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    assert sources
    assert not [one for one in sources if one.startswith("00:00:5e")]


def test_without_nft_no_accept_is_refused_and_vmacs_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    firewall = Firewall()
    assert asyncio.run(firewall.apply(wanted((), {}))) is None
    warning = asyncio.run(firewall.apply(wanted((IN4,), {"VI_4": ("vrrp.51", "eth0")})))
    assert warning is not None
    assert warning.startswith("Warning - nft is not installed")
    with pytest.raises(SystemRefusalError, match="no_accept and strict mode need the program nft: install nftables"):
        asyncio.run(firewall.apply(wanted((replace(IN4, accept=False),), {})))


def test_settings_that_somebody_else_has_changed_since_are_left_alone(tmp_path: Path) -> None:
    for name in ("one", "two", "gone"):
        (tmp_path / name).write_text("0\n")
    settings = Settings(tmp_path)
    assert [settings.change(name, "1") for name in ("one", "two", "gone", "none")] == [True, True, True, False]
    assert not settings.change("one", "1")
    assert settings.change("one", "2")
    assert [one.before for one in settings.changed()] == ["0", "0", "0"]
    (tmp_path / "two").write_text("7\n")
    (tmp_path / "gone").unlink()
    assert [one.path for one in settings.restore()] == ["one"]
    assert (settings.read("one"), settings.read("two"), settings.changed()) == ("0", "7", ())


def test_a_table_that_nft_refuses_is_one_line(lab: Lab) -> None:
    async def work() -> None:
        with pytest.raises(SystemRefusalError, match="nft refuses the table no;table: "):
            await Firewall("no;table").apply(wanted((replace(IN4, accept=False),), {}))

    within(lab["a"], work)

"""As many virtual routers as the numbers of VRRP allow: 255 a family on an interface, a thousand in a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from vrrp_pair import Lan
from vrrp_running import Running, instance

from halab.namespace import Host
from halab.wait import poll
from pyvrrp.model import Configuration, Instance

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120)]


def routers(interface: str, block: int) -> list[Instance]:
    """All 255 of an interface; addresses are 10.BLOCK.0.1 to 10.BLOCK.0.255."""
    return [
        instance(100, f"{interface}_{vrid}", vrid, f"10.{block}.0.{vrid}/32", interface=interface, advert_interval=1.0)
        for vrid in range(1, 256)
    ]


def held(host: Host, interface: str) -> int:
    """How many virtual addresses the kernel has on an interface."""
    return host.run(["ip", "-4", "-o", "addr", "show", "dev", interface]).output.count("/32")


def told(lan: Lan, *priorities: int) -> set[int]:
    """The virtual routers that have sent an advertisement (of one of these priorities)."""
    return {advert.vrid for advert in lan.adverts("left") if not priorities or advert.priority in priorities}


def test_255_virtual_routers_of_an_interface_are_all_master_and_all_heard(tmp_path: Path) -> None:
    with Lan(tmp_path, {"left": "10.88.2.11"}) as lan:
        host, everybody = lan.host("left"), set(range(1, 256))
        with Running(host, Configuration(tuple(routers("eth0", 9)))):
            poll(lambda: held(host, "eth0") == 255, 20, "255 addresses on eth0")
            poll(lambda: told(lan) == everybody, 3, "an advertisement of each")
        assert held(host, "eth0") == 0
        poll(lambda: told(lan, 0) == everybody, 3, "a resignation of each")


def test_a_daemon_has_a_thousand_virtual_routers(tmp_path: Path) -> None:
    with Lan(tmp_path, {"left": "10.88.2.11"}) as lan:
        host = lan.host("left")
        links = {"eth0": 9, "veth1": 10, "veth2": 11, "veth3": 12}
        for name, block in list(links.items())[1:]:
            host.run(["ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p"]).check()
            host.run(["ip", "link", "set", f"{name}p", "up"]).check()
            host.run(["ip", "addr", "add", f"10.88.{block}.1/24", "dev", name]).check()
            host.run(["ip", "link", "set", name, "up"]).check()
        everybody = [router for name, block in links.items() for router in routers(name, block)]
        with Running(host, Configuration(tuple(everybody))) as running:
            for name in links:
                poll(lambda name=name: held(host, name) == 255, 40, f"255 addresses on {name}")  # type: ignore[misc]
            states = running.call(lambda daemon: {router.machine.state.name for router in daemon.routers.values()})
            assert (states, len(everybody)) == ({"MASTER"}, 1020)
        assert [held(host, name) for name in links] == [0, 0, 0, 0]

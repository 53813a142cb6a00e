"""What monitoring is told: health against the kernel, readiness, Prometheus text, and the pages that carry them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_address
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from hakit import web
from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.model import Instance, VirtualAddress
from pyvrrp.status import site as site_module
from pyvrrp.status.health import health, readiness
from pyvrrp.status.kernel_look import addresses_held
from pyvrrp.status.metrics import EXPORTED, render, shown
from pyvrrp.status.site import StatusSite

VI_1 = Instance(
    "VI_1", "eth0", 51,
    addresses=(VirtualAddress(IPv4Interface("10.0.0.50/24")),),
    excluded=(VirtualAddress(IPv4Interface("10.0.1.50/32"), device="eth1"),),
)  # fmt: skip
BOTH = frozenset({IPv4Address("10.0.0.50"), IPv4Address("10.0.1.50")})


def told(state: str, age: float = 30.0) -> dict[str, Value]:
    return {
        "name": "VI_1", "state": state, "age": age, "why": "so", "faults": [], "base_priority": 100,
        "effective_priority": 98, "deadline_in": None, "statistics": {"advert_rcvd": 3, "version_err": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "held", "age", "healthy"),
    [
        ("MASTER", BOTH, 30.0, True),
        ("MASTER", frozenset({IPv4Address("10.0.0.50")}), 30.0, False),
        ("MASTER", frozenset(), 0.5, True),  # it has just become master: the kernel may not have followed yet
        ("BACKUP", frozenset(), 30.0, True),
        ("BACKUP", BOTH, 30.0, False),
        ("BACKUP", None, 30.0, False),
        ("FAULT", frozenset(), 30.0, False),
        ("INIT", frozenset(), 30.0, False),
    ],
)
def test_an_instance_is_well_when_the_kernel_holds_what_its_state_says(
    state: str, held: frozenset[IPv4Address] | None, age: float, healthy: bool
) -> None:
    document = health({"VI_1": told(state, age)}, [VI_1], held, 0.25)
    assert document["healthy"] is healthy
    assert document["kernel"] == {"asked": held is not None, "age": 0.25}


def test_health_names_the_addresses_that_are_missing_or_left_over() -> None:
    missing = cast("Any", health({"VI_1": told("MASTER")}, [VI_1], {IPv4Address("10.0.0.50")}, 0.0))
    assert missing["instances"][0]["missing_addresses"] == ["10.0.1.50"]
    left = cast("Any", health({"VI_1": told("BACKUP")}, [VI_1], BOTH, 0.0))
    assert left["instances"][0]["left_over_addresses"] == ["10.0.0.50", "10.0.1.50"]


def test_a_second_master_on_the_link_is_no_good_health() -> None:
    peers: list[Value] = [{"address": "10.0.0.2", "rival": True, "priority": 90, "age": 0.5}]
    document = cast("Any", health({"VI_1": {**told("MASTER"), "peers": peers}}, [VI_1], BOTH, 0.0))
    assert (document["healthy"], document["instances"][0]["other_masters"]) == (False, ["10.0.0.2"])
    lines = render({"instances": [{**told("MASTER"), "peers": peers, "split_brains": 1}]}, [VI_1], {}).splitlines()
    labels = 'iname="VI_1",intf="eth0",vrid="51"'
    assert f"pyvrrp_split_brains_total{{{labels}}} 1" in lines
    assert f'pyvrrp_peer_priority{{{labels},peer="10.0.0.2"}} 90' in lines
    assert f'pyvrrp_peer_age_seconds{{{labels},peer="10.0.0.2"}} 0.5' in lines


def test_it_is_ready_when_every_instance_has_begun_and_there_is_no_maintenance() -> None:
    assert readiness({}, {"VI_1": told("BACKUP")})["ready"] is True
    assert readiness({}, {"VI_1": told("INIT")}) == {"ready": False, "waiting": ["VI_1"], "maintenance": False}
    assert readiness({"maintenance": True}, {"VI_1": told("MASTER")})["ready"] is False


def test_metrics_bear_the_names_that_dashboards_know() -> None:
    tracker: dict[str, Value] = {
        "name": 'a "b"', "kind": "track_script", "reading": True, "runs": 4, "timeouts": 1, "last_duration": 0.25,
        "mean_duration": None,
    }  # fmt: skip
    text = render({"instances": [told("MASTER")], "trackers": [tracker]}, [VI_1], {("VI_1", "transition"): 2})
    lines = text.splitlines()
    assert "keepalived_up 1" in lines
    assert 'keepalived_vrrp_state{iname="VI_1",intf="eth0",vrid="51",ip_address="10.0.0.50/24"} 2' in lines
    assert 'keepalived_vrrp_excluded_state{iname="VI_1",intf="eth1",vrid="51",ip_address="10.0.1.50"} 2' in lines
    assert 'keepalived_advertisements_received_total{iname="VI_1",intf="eth0",vrid="51"} 3' in lines
    assert 'keepalived_script_status{name="a \\"b\\""} 1' in lines
    assert 'pyvrrp_effective_priority{iname="VI_1",intf="eth0",vrid="51"} 98' in lines
    assert 'pyvrrp_version_err_total{iname="VI_1",intf="eth0",vrid="51"} 1' in lines
    assert 'pyvrrp_tracker_last_duration_seconds{name="a \\"b\\"",kind="track_script"} 0.25' in lines
    assert 'pyvrrp_events_total{source="VI_1",event="transition"} 2' in lines
    assert "mean_duration" not in text  # what is not known is not 0
    assert "pyvrrp_deadline" not in text
    for name, _ in EXPORTED.values():
        assert f"# TYPE keepalived_{name}_total counter" in lines
    samples = [line for line in lines if not line.startswith("#")]
    assert len({line.rpartition(" ")[0] for line in samples}) == len(samples)


def test_an_address_is_shown_as_in_the_dumps() -> None:
    assert shown(VirtualAddress(IPv4Interface("10.0.0.1/32"))) == "10.0.0.1"
    assert shown(VirtualAddress(IPv6Interface("fd00::1/64"))) == "fd00::1/64"


def test_the_kernel_is_asked_by_a_way_of_its_own() -> None:
    assert ip_address("127.0.0.1") in addresses_held()


class Fake:
    """As much of a daemon as the pages read."""

    def __init__(self, state: str) -> None:
        self.hub = EventHub("pyvrrp")
        self.routers = {"VI_1": SimpleNamespace(instance=VI_1, status=lambda: told(state))}

    def status(self) -> Value:
        return {"instances": [told("MASTER")]}


Ask = Callable[[str], Awaitable[tuple[int, str]]]


def visit(daemon: Fake, scene: Callable[[Ask, int], Awaitable[None]]) -> None:
    async def run() -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        pages = StatusSite(cast("Any", daemon), ("127.0.0.1", port))
        await pages.start()

        async with aiohttp.ClientSession() as session:

            async def ask(path: str) -> tuple[int, str]:
                async with session.get(f"http://127.0.0.1:{port}{path}") as answer:
                    return answer.status, await answer.text()

            try:
                await asyncio.wait_for(scene(ask, port), 10)
            finally:
                await pages.stop()

    asyncio.run(run())


def test_the_pages_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "addresses_held", lambda: BOTH)

    async def scene(ask: Ask, port: int) -> None:
        status, text = await ask("/health")
        assert (status, '"healthy": true' in text) == (200, True)
        assert (await ask("/ready"))[0] == 200
        assert "keepalived_up 1\n" in (await ask("/metrics"))[1]
        assert (await ask("/other")) == (404, "There is /health, /ready, /metrics, /events.\n")

    visit(Fake("MASTER"), scene)


def test_a_kernel_that_cannot_be_asked_is_no_good_health(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> frozenset[IPv4Address]:
        raise OSError(1, "no")

    monkeypatch.setattr(site_module, "addresses_held", refuse)

    async def scene(ask: Ask, port: int) -> None:
        assert (await ask("/health"))[0] == 503

    visit(Fake("MASTER"), scene)


def test_events_are_a_stream_that_begins_with_the_past() -> None:
    daemon = Fake("MASTER")
    daemon.hub.publish("ready")

    async def scene(ask: Ask, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"text/event-stream" in await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b'"event": "ready"')
        daemon.hub.publish("transition")
        await reader.readuntil(b'"event": "transition"')
        writer.close()
        while len(daemon.hub._listeners) > 1:  # the tally's stays
            daemon.hub.publish("n")
            await asyncio.sleep(0)

    visit(daemon, scene)


def test_a_stream_says_that_it_is_there_and_drops_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "HEARTBEAT", 0.01)
    monkeypatch.setattr(web, "MAX_BACKLOG", 3)
    daemon = Fake("MASTER")

    async def scene(ask: Ask, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b": still here\n\n")
        for _ in range(10):
            daemon.hub.publish("n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"never said")
        writer.close()

    visit(daemon, scene)


def test_an_address_that_is_taken_is_named() -> None:
    async def start() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            words = rf"^the status pages cannot have 127\.0\.0\.1 port {port}: Address already in use"
            with pytest.raises(OSError, match=words):
                await StatusSite(cast("Any", Fake("MASTER")), ("127.0.0.1", port)).start()

    asyncio.run(start())

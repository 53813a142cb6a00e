"""Trials: they come back from their seed, the judge bites, and what breaks something gets shorter."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from simulated import PLAIN, VIP

from pyvrrp.protocol import master
from pyvrrp.protocol.effects import Effect, RemoveAddresses, SendAdvertisement
from pyvrrp.protocol.events import AdvertisementReceived, Event, FaultRaised, Reconfigured, Startup, Tick
from pyvrrp.protocol.machine import VirtualRouter
from pyvrrp.protocol.states import Backup
from pyvrrp.simulation import trial
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import ClockStep
from pyvrrp.simulation.frames import Expected, what_is_wrong
from pyvrrp.simulation.invariants import BrokenInvariantError, hold
from pyvrrp.simulation.judged_router import JudgedRouter
from pyvrrp.simulation.shrinking import shortest, shrunk
from pyvrrp.simulation.trial import Trial, a_trial, tell, under_other_clocks
from pyvrrp.wire import ipv6
from pyvrrp.wire.advertisement import Advertisement
from pyvrrp.wire.checksum import pseudo_header
from pyvrrp.wire.packet import Packet

SEEDS = range(40)


def make(number: int) -> Chance:
    return Chance(random.Random(number).random)  # noqa: S311 - it has to come back, no secret


@pytest.mark.parametrize("first", SEEDS[::10])
def test_ten_trials_break_no_invariant(first: int) -> None:
    for seed in range(first, first + 10):
        verdict = tell(a_trial(seed, make), make)
        assert verdict.broken is None, f"./run simulate --trial {seed}"


def test_a_seed_has_the_same_trial_again_to_the_last_transition() -> None:
    verdicts = [tell(a_trial(3, make), make) for _ in range(2)]
    assert verdicts[0].lan.timeline == verdicts[1].lan.timeline
    assert verdicts[0].events == verdicts[1].events
    assert a_trial(3, make) != a_trial(4, make)


def test_the_wall_clock_plays_no_part() -> None:
    found = next(trial for seed in SEEDS if _has_steps(trial := a_trial(seed, make)))
    before = tell(found, make)
    assert not under_other_clocks(found, before, make).kind
    before.lan.timeline.append(replace(before.lan.timeline[-1], kind="transition"))
    assert under_other_clocks(found, before, make).kind == "S16"


def _has_steps(trial: Trial) -> bool:
    return any(isinstance(fault, ClockStep) for _, fault in trial.story)


# --- The judge on trial -------------------------------------------------------------------------------------------


class Careless(VirtualRouter):
    """The production machine, with one mistake in its answers."""

    mistake = ""

    def handle(self, event: Event, now: float) -> list[Effect]:
        before = self.state
        effects = super().handle(event, now)
        match self.mistake:
            case "never gives addresses up":
                return [one for one in effects if not isinstance(one, RemoveAddresses)]
            case "advertises as Backup" if isinstance(before, Backup) and isinstance(event, AdvertisementReceived):
                return [*effects, SendAdvertisement(self.priority)]
            case "sends another priority":
                return [SendAdvertisement(99) if isinstance(one, SendAdvertisement) else one for one in effects]
            case "takes over from a living master" if isinstance(event, AdvertisementReceived):
                self.state = replace(self.state, master_down_at=now)  # type: ignore[arg-type, call-arg, type-var]
            case "does something at every reload" if isinstance(event, Reconfigured):
                return [RemoveAddresses()]
            case "tells last things first":
                return effects[::-1]
            case "is silent about transitions":
                return [one for one in effects if type(one).__name__ not in {"Transitioned", "Notify"}]
            case "forgets faults" if isinstance(event, FaultRaised):
                self.state, effects = before, []
            case "does not yield" if isinstance(event, AdvertisementReceived) and event.advertisement.priority > 100:
                self.state, effects = before, []
        return effects


class JudgedCareless(JudgedRouter, Careless):
    """It, judged."""


@pytest.mark.parametrize(
    ("mistake", "invariant"),
    [
        ("never gives addresses up", "S1"),
        ("advertises as Backup", "S3"),
        ("sends another priority", "S5"),
        ("takes over from a living master", "S7"),
        ("does not yield", "S8"),
        ("tells last things first", "S10"),
        ("is silent about transitions", "S19"),
        ("forgets faults", "S12"),
        ("does something at every reload", "S15"),
    ],
)
def test_the_judge_names_the_invariant_that_a_careless_machine_breaks(mistake: str, invariant: str) -> None:
    class Mistaken(JudgedCareless):
        pass

    Mistaken.mistake = mistake
    router = Mistaken(replace(PLAIN, priority=100), IPv4Address("192.0.2.1"))
    with pytest.raises(BrokenInvariantError, match=f"^{invariant}: ") as found:
        _through_everything(router)
    assert found.value.invariant == invariant


def _through_everything(router: VirtualRouter) -> None:
    """Begin, follow a master, take over, yield, fail, and end."""

    def heard(priority: int, at: float) -> None:
        message = Advertisement(2, 51, priority, 1.0, (VIP.ip,))
        router.handle(AdvertisementReceived(message, IPv4Address("192.0.2.2")), at)

    router.handle(Startup(), 0.0)
    heard(100, 1.0)
    assert router.deadline is not None
    router.handle(Tick(), router.deadline)
    router.handle(Reconfigured(router.instance), 9.0)
    heard(150, 10.0)
    assert router.deadline is not None
    router.handle(Tick(), router.deadline)
    router.handle(FaultRaised("script chk"), 20.0)


def test_a_machine_without_a_mistake_comes_through() -> None:
    _through_everything(JudgedRouter(PLAIN, IPv4Address("192.0.2.1")))


FRAME = bytes.fromhex("45c0002800010000ff701891c0000201e0000012213364010001b865c00002640000000000000000")
SAID = Expected(2, 51, 100, 1, VIP.ip.packed, IPv4Address("192.0.2.1"))


def test_the_second_reader_finds_what_is_wrong_with_a_frame() -> None:
    assert what_is_wrong(FRAME, SAID) is None
    of_header = [(0, "header"), (10, "checksum of its IPv4"), (8, "checksum"), (12, "checksum")]
    of_message = [(20, "version"), (21, "VRID"), (25, "interval"), (28, "addresses"), (26, "its checksum")]
    for at, words in [*of_header, *of_message]:
        wrong = what_is_wrong(FRAME[:at] + bytes([FRAME[at] ^ 1]) + FRAME[at + 1 :], SAID)
        assert wrong is not None
        assert words in wrong, at
    other = replace(SAID, source=IPv4Address("192.0.2.2"))
    assert what_is_wrong(FRAME, other) == "its source is not the primary address"
    assert what_is_wrong(FRAME, replace(SAID, trailer=28)) == "20 bytes instead of 48"
    routed = FRAME[:8] + b"\xfe" + FRAME[9:10] + b"\x19\x91" + FRAME[12:]
    assert what_is_wrong(routed, SAID) == "TTL 254, protocol 112"


def test_the_second_reader_knows_ipv6() -> None:
    source, group = IPv6Address("fe80::1"), IPv6Address("ff02::12")
    vip = IPv6Address("2001:db8::100")
    message = Advertisement(3, 51, 100, 1.0, (vip,))
    payload = message.encode(pseudo_header(source, group, len(message.encode())))
    frame = ipv6.encode(Packet(source, group, payload))
    said = Expected(3, 51, 100, 100, vip.packed, source)
    assert what_is_wrong(frame, said) is None
    assert what_is_wrong(frame[:-1], said) == "it is no IPv6, or its length is wrong"
    assert what_is_wrong(frame[:7] + b"\x40" + frame[8:], said) == "next header 112, hop limit 64"
    assert what_is_wrong(frame, replace(said, source=group)) == "its source is not the link-local address"


# --- Shorter ------------------------------------------------------------------------------------------------------


def test_a_trial_that_breaks_is_made_shorter_and_breaks_in_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master, "receive", lambda *_: [])
    plain = (one for seed in SEEDS if (one := a_trial(seed, make)).core is None)
    long = next(one for one in plain if tell(one, make).kind == "S8")
    short = shrunk(long, make)
    assert tell(short, make).kind == "S8"
    assert len(short.world.nodes) == 2
    assert len(short.story) < len(long.story) / 2
    monkeypatch.undo()
    assert not tell(short, make).kind
    assert shrunk(short, make) is short


def test_a_core_gets_shorter_with_its_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "is_quiet", lambda lan, world, core: hold(len(core.names) < 2, "L7", "two are too many"))
    long = next(one for seed in range(0, 60, 3) if len((one := a_trial(seed, make)).core.names) > 2)  # type: ignore[union-attr]
    short = shrunk(replace(long, story=long.story[:8]), make)
    assert tell(short, make).kind == "L7"
    assert short.core is not None
    assert len(short.core.names) == len(short.world.nodes) == 2


def test_an_error_of_the_machine_is_a_finding_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[Effect]:
        raise ZeroDivisionError

    monkeypatch.setattr(master, "tick", fail)
    assert tell(a_trial(0, make), make).kind == "ZeroDivisionError"


def test_delta_debugging_leaves_what_is_needed_and_nothing_else() -> None:
    assert shortest(range(100), lambda some: {7, 50, 93} <= set(some)) == [7, 50, 93]
    assert shortest("a", lambda some: True) == ["a"]

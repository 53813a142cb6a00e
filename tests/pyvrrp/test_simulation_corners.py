"""What trials meet seldom: probes one by one, a socket that is full, ends in the middle of something."""

from __future__ import annotations

import random
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from simulated import CHECKED, PLAIN, configuration, pair, story

from pyvrrp.model import Authentication, AuthType, Configuration, GlobalSettings, Settling, SyncGroup
from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.faults import Freeze, LinkDown, LinkUp, RefuseSends, Reload, Start, Thaw
from pyvrrp.simulation.invariants import BrokenInvariantError
from pyvrrp.simulation.judge import Judge
from pyvrrp.simulation.kernel import Card
from pyvrrp.simulation.lan import Lan
from pyvrrp.simulation.liveness import Core, a_core, has_one_master, is_quiet, settle
from pyvrrp.simulation.node import ROOM
from pyvrrp.simulation.probes import PROBES, Probed, probe
from pyvrrp.simulation.trial import a_lan
from pyvrrp.simulation.worlds import NodePlan, World, a_world
from pyvrrp.wire import ipv4
from pyvrrp.wire.packet import Packet

ONE, GROUP = IPv4Address("192.0.2.1"), IPv4Address("224.0.0.18")


def make(number: int) -> Chance:
    return Chance(random.Random(number).random)  # noqa: S311 - it has to come back, no secret


def a_plain_world(*priorities: int) -> World:
    """Healthy routers of one LAN, whose chances are none."""
    nodes = [
        NodePlan(f"n{n}", configuration(PLAIN, priority), {"eth0": Card.of(f"192.0.2.{n}/24")})
        for n, priority in enumerate(priorities, 1)
    ]
    return World(tuple(nodes), 1.0)


def settled(world: World) -> tuple[Lan, Core]:
    lan = a_lan(world, make(1))
    core = Core(tuple(node.name for node in world.nodes), tuple(Start(node.name) for node in world.nodes))
    settle(lan, world, core)
    return lan, core


@pytest.mark.parametrize("prove", PROBES, ids=lambda one: one.__name__.strip("_"))
def test_each_probe_of_a_healthy_core_succeeds(prove) -> None:  # type: ignore[no-untyped-def]
    world = a_plain_world(100, 90, 80)
    lan, core = settled(world)
    probed = Probed(lan, world, core, "VI_1")
    assert probed.can_be_probed
    assert probed.masters() == ["n1"]
    prove(probed, make(2))


def test_of_who_has_no_last_word_nothing_is_asked_for_the_client_after_a_split() -> None:
    quiet = replace(PLAIN, answers_higher_priority=False)
    nodes = tuple(
        NodePlan(f"n{n}", configuration(quiet, 100 - n), {"eth0": Card.of(f"192.0.2.{n}/24")}) for n in (1, 2)
    )
    world = World(nodes, 1.0)
    lan, core = settled(world)
    split = next(one for one in PROBES if "split" in one.__name__)
    split(Probed(lan, world, core, "VI_1"), make(2))
    assert lan.masters("VI_1") == ["n1"]


def test_a_core_that_is_cut_in_two_is_quiet_and_has_two_masters() -> None:
    world = a_plain_world(100, 90)
    lan, core = settled(world)
    lan.cut(("n1",), ("n2",))
    settle(lan, world, replace(core, faults=()))
    is_quiet(lan, world, core)
    with pytest.raises(BrokenInvariantError, match=r"^L1: VI_1: \['n1', 'n2'\] are all Master"):
        has_one_master(lan, core)


def test_a_core_in_which_something_moves_is_not_quiet() -> None:
    world = a_plain_world(100, 90)
    lan, core = settled(world)
    lan.inject_at(lan.now + 1.0, LinkDown("n1", "eth0"))
    with pytest.raises(BrokenInvariantError, match=r"^L7"):
        is_quiet(lan, world, core)


def test_an_owner_and_a_router_alone_are_not_probed() -> None:
    for world in (a_plain_world(255, 90), a_plain_world(100)):
        lan, core = settled(world)
        before = len(lan.timeline)
        probe(lan, world, core, make(1))
        assert len(lan.timeline) == before


def test_settling_waits_for_whoever_stands_aside() -> None:
    world = a_plain_world(100, 90)
    lan, core = settled(world)
    lan.inject(RefuseSends("n1", 105))
    lan.run_until(lan.now + 1.3)
    assert lan.nodes["n1"].stations["VI_1"].aside
    settle(lan, world, replace(core, faults=(RefuseSends("n1", 0),)))
    assert lan.masters("VI_1") == ["n1"]


def test_a_world_says_what_it_is_and_a_core_breaks_everybody_else() -> None:
    worlds = [a_world(make(seed)) for seed in range(30)]
    assert any("group of V1, V2" in str(world) for world in worlds)
    assert all(str(world).startswith(f"{len(world.nodes)} nodes, VRRPv") for world in worlds)
    cores = [a_core(world, make(seed)) for seed, world in enumerate(worlds)]
    assert all(core.names for core in cores)


# --- Nodes --------------------------------------------------------------------------------------------------------


def test_a_socket_that_nobody_reads_is_full_at_some_time_and_short_packets_are_nobody_s() -> None:
    lan = pair()
    lan.inject(Freeze("lb1"))
    node = lan.nodes["lb1"]
    frame = ipv4.encode(Packet(ONE, GROUP, b"!"))
    for _ in range(ROOM + 50):
        node.arrive(("eth0", 4, frame))
    assert len(node.waiting) == ROOM
    node.thaw()
    assert node.stations["VI_1"].machine.state.name == "BACKUP"


def test_a_change_of_a_link_counts_once_it_has_lasted() -> None:
    settling = GlobalSettings(settling={"": Settling(down=1.0, up=2.0)})
    lan = pair()
    lan.inject(Reload("lb1", configuration(PLAIN, 100)))
    node = lan.nodes["lb1"]
    node.crash()
    node.configuration = configuration(PLAIN, 100, settings=settling)
    node.start()
    lan.run_until(10.0)
    assert story(lan, 20.0, (10.0, LinkDown("lb1", "eth0")))[0] == (11.0, "lb1", "FAULT")
    assert story(lan, 30.0, (20.0, LinkUp("lb1", "eth0")))[0] == (22.0, "lb1", "BACKUP")


def test_a_check_that_a_reload_takes_away_is_not_run_again_and_its_last_run_does_not_count() -> None:
    for at in (0.01, 0.5):  # in the middle of a run, and between two
        lan = pair(instance=CHECKED)
        lan.run_until(at)
        lan.inject(Reload("lb1", configuration(PLAIN, 100)))
        lan.run_until(10.0)
        assert lan.nodes["lb1"].checks == {}
        assert lan.masters("VI_1") == ["lb1"]


def test_who_is_on_its_way_out_follows_nothing_any_more() -> None:
    lan = pair()
    node = lan.nodes["lb1"]
    node.stopping = True
    before = len(lan.timeline)
    node.track(node.stations)
    node._compare()
    assert len(lan.timeline) == before


def test_who_is_gone_with_a_reload_is_not_brought_back_by_an_old_timer() -> None:
    lan = pair()
    lan.inject(RefuseSends("lb1", 105))
    lan.run_until(5.2)
    assert lan.nodes["lb1"].stations["VI_1"].aside
    lan.nodes["lb1"].set_aside(lan.nodes["lb1"].stations["VI_1"], "something else")
    assert lan.nodes["lb1"].stations["VI_1"].times_aside == 1
    lan.inject(Reload("lb1", configuration(replace(PLAIN, name="other", virtual_router_id=52))))
    lan.run_until(20.0)
    assert list(lan.nodes["lb1"].stations) == ["other"]


def test_a_reload_that_makes_a_group_takes_the_members_to_the_faulty_one() -> None:
    other = replace(PLAIN, name="VI_2", interface="eth1", virtual_router_id=52, addresses=())
    lan = Lan()
    apart = Configuration((PLAIN, other))
    lan.add("lb1", apart, {"eth0": Card.of("192.0.2.1/24"), "eth1": Card.of("198.51.100.1/24", lan="lan1")})
    lan.inject(Start("lb1"))
    lan.inject(LinkDown("lb1", "eth1"))
    lan.run_until(10.0)
    assert lan.masters("VI_1") == ["lb1"]
    lan.inject(Reload("lb1", replace(apart, groups=(SyncGroup("G", ("VI_1", "VI_2")),))))
    assert lan.nodes["lb1"].stations["VI_1"].machine.state.name == "FAULT"


def test_routers_with_and_without_an_authentication_header_do_not_hear_each_other() -> None:
    lan = pair()
    sealed = replace(PLAIN, authentication=Authentication(AuthType.AH, b"secret"))
    lan.inject(Reload("lb1", configuration(sealed, 100)))
    lan.run_until(10.0)
    assert lan.masters("VI_1") == ["lb1", "lb2"]


def test_the_judge_reads_every_frame() -> None:
    lan = pair()
    lan.run_until(5.0)
    node, station = lan.nodes["lb1"], lan.nodes["lb1"].stations["VI_1"]
    frames = [ipv4.encode(one) for one in station.transmission.packets(99, station.machine.source, 0.0)]
    with pytest.raises(BrokenInvariantError, match=r"^S5: lb1/VI_1: VRID 51, priority 99; expected 51, 100"):
        Judge().sent(node, station, 100, frames)


@pytest.mark.parametrize("seed", range(8))
def test_an_owner_that_two_reloads_take_away_and_bring_back_has_its_addresses(seed: int) -> None:
    lan = pair(255, 90, seed=seed)
    lan.run_until(5.0)
    lan.inject(Freeze("lb1"))
    lan.inject(Reload("lb1", configuration(replace(PLAIN, name="other", virtual_router_id=52, addresses=()))))
    lan.run_until(6.0)
    lan.inject(Reload("lb1", configuration(PLAIN, 255)))
    lan.run_until(7.0)
    lan.inject(Thaw("lb1"))
    lan.run_until(7.1)
    assert lan.masters("VI_1") == ["lb1"]
    assert lan.nodes["lb1"].kernel.has("eth0", PLAIN.addresses[0].ip)

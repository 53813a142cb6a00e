"""Every form of authentication and checksum, between ours and the real keepalived, and between two of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from vrrp_pair import ADDRESSES, CALIBRATED, PAIRS, VIP, Pair, instance, sixth, whole

from halab.wait import hold

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(60)]

both = pytest.mark.parametrize(("left", "right"), CALIBRATED)
AH = "authentication {\n auth_type AH\n auth_pass secret\n }"
KEY = "hex:" + bytes(range(32)).hex()
OTHER_KEY = "hex:" + bytes(range(32, 64)).hex()


def to_peer(own: str, peer: str, options: str = "") -> str:
    return f"unicast_src_ip {own}\n unicast_peer {{\n {peer} {options}\n }}"


def signed(*keys: str, active: int = 1, mode: str = "enforce") -> str:
    lines = "\n".join(f"key {number} {key}" for number, key in enumerate(keys, 1))
    return f"auth_hmac {{\n {lines}\n active_key {active}\n mode {mode}\n }}"


def elects(lan: Pair, first: str, second: str) -> None:
    """``first`` holds the address alone; when it stops, ``second`` takes it after the skew."""
    lan.until_held_by(first, within=7)
    hold(lambda: lan.watch.holders(VIP) == {first}, 0.8, f"{first} alone holds the address")
    lan.speakers[first].stop()
    lan.until_held_by(second, within=3)


@both
def test_a_master_that_comes_back_is_heard_though_its_ah_sequence_began_anew(
    left: str, right: str, tmp_path: Path
) -> None:
    with Pair(tmp_path) as lan:
        higher, lower = (whole(instance(priority, AH, version=2, interval=1)) for priority in (200, 100))
        lan.start("right", right, lower)
        lan.until_held_by("right", within=6)
        lan.until_advert(lambda advert: len(lan.adverts("right")) >= 3, 5, "right")
        lan.start("left", left, higher)
        lan.until_held_by("left", within=6)
        elects(lan, "left", "right")
        lan.start("left", left, higher)
        lan.until_held_by("left", within=6)
        lan.judge("left", "right")


@both
def test_ah_to_a_peer(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        for name, program, peer, priority in (("left", left, "right", 200), ("right", right, "left", 100)):
            extra = AH + "\n" + to_peer(ADDRESSES[name], ADDRESSES[peer])
            lan.start(name, program, whole(instance(priority, extra, version=2, interval=1)))
        elects(lan, "left", "right")
        lan.judge("left", "right")


def test_two_of_ours_sum_version_3_as_version_2(tmp_path: Path) -> None:
    """keepalived 2.2.7 does not know the keyword yet."""
    with Pair(tmp_path) as lan:
        lan.start("left", "pyvrrp", whole(instance(200, "v3_checksum_as_v2")))
        lan.start("right", "pyvrrp", whole(instance(100, "v3_checksum_as_v2")))
        elects(lan, "left", "right")


@pytest.mark.parametrize(("left", "right"), PAIRS)
@pytest.mark.parametrize("who", ["left", "right"])
def test_a_peer_that_sums_as_of_old_is_understood_and_answered(left: str, right: str, who: str, tmp_path: Path) -> None:
    """Two real ones do not manage if the backup is the old one: the master changes its sums, and they do not fit."""
    with Pair(tmp_path) as lan:
        for name, program, peer, priority in (("right", right, "left", 100), ("left", left, "right", 200)):
            extra = to_peer(ADDRESSES[name], ADDRESSES[peer]) + ("\n old_unicast_checksum" if name == who else "")
            lan.start(name, program, whole(instance(priority, extra)))
            lan.until_held_by(name, within=3)  # the second has heard the first before it speaks
        elects(lan, "left", "right")


@both
def test_ipv6_to_a_peer(left: str, right: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        for name, program, peer, priority in (("left", left, "right", 200), ("right", right, "left", 100)):
            extra = to_peer(sixth(ADDRESSES[name]), sixth(ADDRESSES[peer]))
            extra += f"\n virtual_ipaddress_excluded {{\n {VIP}/24\n }}"
            lan.start(name, program, whole(instance(priority, extra, addresses=("fd88:2::50/64",))))
        elects(lan, "left", "right")
        lan.judge("left", "right")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("way", ["group", "peer"])
def test_two_of_ours_sign(version: int, way: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        for name, peer, priority in (("left", "right", 200), ("right", "left", 100)):
            extra = signed(KEY) + ("\n" + to_peer(ADDRESSES[name], ADDRESSES[peer]) if way == "peer" else "")
            interval = 1 if version == 2 else 0.2
            lan.start(name, "pyvrrp", whole(instance(priority, extra, version=version, interval=interval)))
        elects(lan, "left", "right")
        lan.capture.stop()
        verdicts = [one for one in lan.judged_by_scapy() if one["kind"] == "vrrp"]
        assert {one["trailer"] for one in verdicts} == {28}
        assert all(one["checksum_good"] for one in verdicts)


def test_two_of_ours_with_different_keys_do_not_hear_each_other(tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        lan.start("left", "pyvrrp", whole(instance(200, signed(KEY))))
        lan.start("right", "pyvrrp", whole(instance(100, signed(OTHER_KEY))))
        lan.until_held_by("left", "right", within=6)
        assert lan.status("right")["statistics"]["auth_ext_invalid_hmac"]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("", signed(KEY, mode="receive-only")),
        (signed(KEY, mode="receive-only"), signed(KEY, mode="permissive")),
        (signed(KEY, mode="permissive"), signed(KEY)),
        (signed(KEY, OTHER_KEY), signed(KEY, OTHER_KEY, active=2)),
    ],
    ids=["not yet and receive-only", "receive-only and permissive", "permissive and enforce", "a change of keys"],
)
def test_each_step_of_a_migration_keeps_one_master(left: str, right: str, tmp_path: Path) -> None:
    """The master is one step behind or ahead: in either order the other router follows it."""
    with Pair(tmp_path) as lan:
        backwards = "receive-only" in left and "permissive" in right
        lan.start("left", "pyvrrp", whole(instance(200, left)))
        lan.start("right", "pyvrrp", whole(instance(100, right)))
        elects(lan, "left", "right")
        assert not backwards or lan.adverts("right")

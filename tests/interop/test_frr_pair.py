"""Our daemon beside FRR's vrrpd: an implementation that shares nothing with keepalived, in both directions."""

from __future__ import annotations

from pathlib import Path

import pytest
from frr import Frr
from vrrp_pair import VIP, Pair, instance, master_down, skew, whole

from halab.wait import hold

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(90)]

TOLERANCE = 0.05
WAYS = [(2, 1.0, VIP), (3, 0.2, VIP), (3, 0.2, "fd88:2::50")]
VRID = 70


def ours(priority: int, version: int, interval: float, vip: str) -> str:
    addresses = ("fe80::50/64", f"{vip}/64") if ":" in vip else (f"{vip}/24",)
    return whole(
        instance(priority, "skip_check_adv_addr", version=version, interval=interval, vrid=VRID, addresses=addresses)
    )


@pytest.mark.parametrize("program", ["pyvrrp", "keepalived"])
@pytest.mark.parametrize(("version", "interval", "vip"), WAYS, ids=["v2", "v3", "v3-ipv6"])
def test_each_takes_over_from_the_other(program: str, version: int, interval: float, vip: str, tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        frr = Frr(lan, "right", vrid=VRID, version=version, priority=100, interval=interval, vip=vip)
        frr.start()
        frr.until("Master", 3 * interval + 4)

        higher = lan.start("left", program, ours(200, version, interval, vip))  # it preempts
        lan.until_held_by("left", "right", within=6, address=vip)  # on FRR's macvlan it always stands
        lan.until_advert(lambda advert: advert.priority == 200, 2, "left")
        frr.until("Backup", 3)

        higher.stop()
        frr.until("Master", 3)
        resigned = lan.until_advert(lambda advert: advert.priority == 0, 1, "left")
        taken = lan.until_advert(lambda advert: advert.at > resigned.at and advert.priority == 100, 2)
        late = interval if ":" in vip else 0  # FRR's first one over IPv6 is lost while its macvlan comes up
        expected = skew(100, version=version, interval=interval)
        assert expected - TOLERANCE <= taken.at - resigned.at <= expected + late + TOLERANCE

        lan.start("left", program, ours(50, version, interval, vip))  # the lower one waits
        lan.until_log("left", "Entering BACKUP STATE")
        hold(lambda: not lan.watch.holders(vip) & {"left"}, 4 * interval, "left waits")
        frr.stop()
        lan.until_held_by("left", "right", within=6, address=vip)
        taken = lan.until_advert(lambda advert: advert.priority == 50, 1, "left")
        own = lan.sources("left")
        last = [advert for advert in lan.adverts() if advert.source not in own and advert.at < taken.at][-1]
        limit = master_down(50, version=version, interval=interval)
        assert 0 <= taken.at - last.at <= limit + TOLERANCE
        lan.judge("left")

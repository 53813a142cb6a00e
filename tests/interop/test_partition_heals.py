"""A partition has healed: whoever stays master says where the addresses are, and the clients come back to it.

The partition is silent: the carrier stays. The lower router has taken over on the clients' side; the higher one has
been master all the time on its own. When the partition heals, the higher one speaks first. The lower one yields, and
unless it has a last word, the other never learns that anybody else was master: it announces nothing, and the clients
go on sending to the lower one until their neighbour tables give it up.
"""

from __future__ import annotations

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from reliability import record_if_asked
from vrrp_pair import VIP, Lan, instance, whole

from halab import faults
from halab.wait import poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(120)]

HOSTS = {"left": "10.88.2.11", "right": "10.88.2.12", "client": "10.88.2.20"}
INTERVAL = 1
ONCE = "garp_master_delay 1"
"""The second burst of a new master is over before the partition heals: by chance it would mend what is looked for."""
PINGS = "/run/pings.log"
GIVEN_UP = 12.0
"""Seconds after which a client has given up whom it cannot reach: DELAY and PROBE of its neighbour table, some 8 s."""
GAP = 0.5
"""Seconds without an answer that count, with a ping every 20th of a second: a busy machine is late by less."""


@dataclass(frozen=True)
class Run:
    """What becomes of a client: when it is served for good again after the heal, and its longest gap, in seconds."""

    back: float
    gap: float
    announced: bool


def run(folder: Path, left: str, right: str, right_says: str = "") -> Run:
    """Let a partition of a pair heal between an advertisement of the lower router and one of the higher."""
    folder.mkdir()
    with Lan(folder, HOSTS) as lan:
        lan.start("left", left, whole(instance(150, ONCE, version=2, interval=INTERVAL)))
        lan.start("right", right, whole(instance(100, f"{ONCE}\n{right_says}", version=2, interval=INTERVAL)))
        lan.until_held_by("left", within=12)
        client = lan.host("client")
        client.run(["ping", "-c", "1", "-W", "2", VIP]).check()
        pinging = client.spawn(["sh", "-c", f"exec ping -D -i 0.05 -W 1 {VIP} > {PINGS}"])
        faults.partition(lan.lab, "left")
        lan.until_held_by("left", "right", within=12)
        begun = time.time()
        lan.until_advert(lambda advert: advert.at > begun, 5, "right")
        faults.heal(lan.lab, "left")
        healed_at = time.time()
        lan.until_held_by("left", within=5)
        poll(lambda: time.time() - healed_at > GIVEN_UP, GIVEN_UP + 5, "the end of the measurement")
        pinging.signal(signal.SIGINT)
        pinging.wait(5)
        answered = [
            float(at) for at in re.findall(r"^\[([\d.]+)\].* bytes from", client.read_file(PINGS), re.MULTILINE)
        ]
        after = [healed_at, *(at for at in answered if at > healed_at)]
        gaps = [(second - first, second) for first, second in pairwise(after)]
        macs = {advert.mac for advert in lan.adverts("left")}
        announced = any(arp["mac"] in macs and float(arp["at"]) > healed_at for arp in lan.gratuitous_arps())
        ends = [end - healed_at for length, end in gaps if length > GAP]
        return Run(max(ends, default=0.0), max(length for length, _ in gaps), announced)


def test_the_client_is_back_within_a_second_where_keepalived_leaves_it_in_the_dark(tmp_path: Path) -> None:
    pairs = {
        "keepalived": ("keepalived", "keepalived"),
        "pyvrrp": ("pyvrrp", "pyvrrp"),
        "keepalived stays, pyvrrp yields": ("keepalived", "pyvrrp"),
        "pyvrrp stays, keepalived yields": ("pyvrrp", "keepalived", "higher_prio_send_advert"),
    }
    with ThreadPoolExecutor(len(pairs)) as pool:
        runs = {name: pool.submit(run, tmp_path / f"{at}", *pair) for at, (name, pair) in enumerate(pairs.items())}
    seen = {name: running.result() for name, running in runs.items()}
    for name, found in seen.items():
        print(f"{name}: client back {found.back:.2f} s after the heal, longest gap {found.gap:.2f} s")
    rows = [(name, f"{found.back:.2f}", f"{found.gap:.2f}") for name, found in seen.items()]
    columns = ("who speaks VRRP", "the client is back, seconds after the heal", "its longest time without an answer")
    record_if_asked("partition", columns, rows, "./run test tests/interop/test_partition_heals.py")
    original = seen.pop("keepalived")
    assert not original.announced
    assert original.back > 2.0
    for name, found in seen.items():
        assert found.announced, name
        assert found.back <= 1.0, name

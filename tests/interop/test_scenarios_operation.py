"""Interop scenarios 22, 23, 27 and 28: reloads, what scripts and FIFOs are told, dumps."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from vrrp_pair import VIP, Lan, Pair, instance, whole

from halab.wait import hold, poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(90)]

PROGRAMS = ["pyvrrp", "keepalived"]
JSON_SIGNAL = 36
FIFO = "/tmp/vrrp.fifo"  # noqa: S108 - the host's own
SECOND = "10.88.2.60"


@pytest.mark.parametrize("program", PROGRAMS)
def test_22_a_reload_changes_the_difference_and_nothing_else(program: str, tmp_path: Path) -> None:
    kept, gone, new = f"{VIP}/24", "10.88.2.51/24", "10.88.2.52/24"
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", program, whole(instance(200, addresses=(kept, gone))))
        lan.until_held_by("left", within=5)
        lan.until_held_by("left", within=1, address="10.88.2.51")
        before = len(lan.watch.changes)
        lan.signal("left", signal.SIGHUP, whole(instance(200, addresses=(kept, new))))
        lan.until_held_by("left", within=5, address="10.88.2.52")
        lan.until_held_by(within=2, address="10.88.2.51")
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 1, "left holds the address")
        changes = [(change.address, change.present) for change in lan.watch.changes[before:]]
        assert sorted(changes) == [("10.88.2.51", False), ("10.88.2.52", True)]
        assert lan.log("left").count("Entering MASTER STATE") == 1
        assert 0 not in {advert.priority for advert in lan.adverts("left")}
        times = [advert.at for advert in lan.adverts("left")]
        assert max(later - earlier for earlier, later in pairwise(times)) < 2 * 0.2
        announced = {arp["address"] for arp in lan.gratuitous_arps()}
        assert "10.88.2.52" in announced


def test_23_a_reload_of_a_broken_file_leaves_ours_as_it_was(tmp_path: Path) -> None:
    """keepalived 2.2.7 ends with status 2 and leaves the address where it is: the next test."""
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", "pyvrrp", whole(instance(200)))
        lan.until_held_by("left", within=5)
        lan.signal("left", signal.SIGHUP, "vrrp_instance VI_1 {\n  priority nonsense\n  virtual_router_id 999\n")
        lan.until_log("left", "keepalived.conf:")
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 1, "left holds the address")
        assert lan.status("left")["state"] == "MASTER"
        times = [advert.at for advert in lan.adverts("left")]
        assert max(later - earlier for earlier, later in pairwise(times)) < 2 * 0.2
        assert 0 not in {advert.priority for advert in lan.adverts("left")}


def test_23_a_reload_of_a_broken_file_ends_keepalived(tmp_path: Path) -> None:
    with Pair(tmp_path, judging=True) as lan:
        lan.start("left", "keepalived", whole(instance(200)))
        lan.until_held_by("left", within=5)
        lan.signal("left", signal.SIGHUP, "vrrp_instance VI_1 {\n  interface eth7\n  virtual_router_id 999\n}\n")
        host = lan.host("left")
        poll(lambda: host.services()["keepalived"]["state"] == "failed", 5, "the end of keepalived")
        assert lan.watch.holders(VIP) == {"left"}


NOTIFY = '#!/bin/sh\necho "$*" >>/tmp/notify.log\n'


def telling(vrid: int, address: str) -> str:
    check = 'vrrp_script check {\n script "/usr/local/bin/check.sh"\n interval 1\n }'
    told = "\n".join(
        f'notify_{state} "/usr/local/bin/tell.sh {state}"' for state in ("master", "backup", "fault", "stop")
    )
    block = instance(
        100, f'{told}\n notify "/usr/local/bin/tell.sh any"\n track_script {{\n check\n }}', vrid=vrid,
        addresses=(f"{address}/24",),
    )  # fmt: skip
    return whole(check, block, settings=f"vrrp_notify_fifo {FIFO}")


def test_27_scripts_and_fifo_are_told_the_same_lines(tmp_path: Path) -> None:
    """Each program alone with its virtual router: BACKUP, MASTER, FAULT, BACKUP, MASTER, STOP."""
    scripts = {"check.sh": "#!/bin/sh\ntest ! -e /run/fail\n", "tell.sh": NOTIFY}
    transcripts: dict[str, tuple[list[str], list[str]]] = {}
    with Pair(tmp_path, judging=True) as lan:
        speakers = {}
        for name, program, vrid, address in (("left", "pyvrrp", 51, VIP), ("right", "keepalived", 52, SECOND)):
            lan.listen_to_fifo(name, FIFO)
            speakers[name] = lan.start(name, program, telling(vrid, address), scripts)
        for name, address in (("left", VIP), ("right", SECOND)):
            lan.until_held_by(name, within=5, address=address)
            lan.host(name).write_file("/run/fail", "")
            lan.until_held_by(within=4, address=address)
            lan.host(name).run(["rm", "/run/fail"]).check()
            lan.until_held_by(name, within=5, address=address)
            until_told(lan, name, "/tmp/notify.log", "MASTER", 2)  # noqa: S108
            speakers[name].stop()
            until_told(lan, name, f"{FIFO}.log", "STOP", 1)
            until_told(lan, name, "/tmp/notify.log", "STOP", 1)  # noqa: S108
            scripts_told = lan.host(name).read_file("/tmp/notify.log").splitlines()  # noqa: S108
            transcripts[name] = (lan.host(name).read_file(f"{FIFO}.log").splitlines(), scripts_told)
    assert transcripts["left"][0] == transcripts["right"][0]
    assert sorted(transcripts["left"][1]) == sorted(transcripts["right"][1])  # keepalived's notify and notify_x race
    generic = [line for line in transcripts["left"][1] if line.startswith("any")]
    assert generic == [f"any INSTANCE VI_1 {state} 100" for state in
                       ("BACKUP", "MASTER", "FAULT", "BACKUP", "MASTER", "STOP")]  # fmt: skip


def until_told(lan: Lan, name: str, path: str, word: str, times: int) -> None:
    poll(lambda: lan.host(name).read_file(path).count(word) >= times, 4, f"{times} times {word} in {path} of {name}")


def labels(text: str) -> list[str]:
    """The labels of a dump: each line without its value and its numbers."""
    bare = (re.split(r" = |: ", line)[0] for line in text.splitlines())
    return [re.sub(r"\d+", "N", line) for line in bare]


def keys(value: Any) -> Any:
    """The shape of a JSON document: the keys and the types of its leaves."""
    match value:
        case dict():
            return {name: keys(one) for name, one in value.items()}
        case list():
            return [keys(one) for one in value[:1]]
        case _:
            return type(value).__name__


def test_28_dumps_have_the_shape_of_keepalived_s(tmp_path: Path) -> None:
    check = 'vrrp_script check {\n script "/bin/true"\n interval 1\n weight 2\n }'
    dumps: dict[str, dict[str, str]] = {}
    with Pair(tmp_path, judging=True) as lan:
        for number, (name, program) in enumerate((("left", "pyvrrp"), ("right", "keepalived"))):
            excluded = "virtual_ipaddress_excluded {\n 10.88.4.1/24\n }\n track_script {\n check\n }"
            text = whole(check, instance(255, excluded, vrid=51 + number))
            lan.start(name, program, text)
            lan.until_held_by(*({"left"} if number == 0 else {"left", "right"}), within=5)
            dumps[name] = {}
            for file, sign in (("data", signal.SIGUSR1), ("stats", signal.SIGUSR2), ("json", JSON_SIGNAL)):
                path = f"/tmp/keepalived.{file}"  # noqa: S108
                dumps[name][file] = poll(lambda name=name, path=path, sign=sign: dump(lan, name, path, sign), 5, path)
    assert labels(dumps["left"]["stats"]) == labels(dumps["right"]["stats"])
    assert keys(json.loads(dumps["left"]["json"])) == keys(json.loads(dumps["right"]["json"]))
    mine, theirs = labels(dumps["left"]["data"]), labels(dumps["right"]["data"])
    assert block(mine) == block(theirs)


def dump(lan: Lan, name: str, path: str, sign: int) -> str | None:
    """A dump that is complete (keepalived renames it into place before it is written) and shows the address as set."""
    lan.signal(name, sign)
    text = poll(lambda: whole_text(lan.host(name).read_file(path)), 2, path, every=0.02)
    return None if path.endswith("data") and text.count("scope global set") < 2 else text


def whole_text(text: str) -> str | None:
    """The text, if it does not end in the middle."""
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            return text if json.loads(text) else None
        return None
    return text if text.endswith("\n") and len(text) > 200 else None


def block(lines: list[str]) -> list[str]:
    """The lines about the instance."""
    start = next(number for number, line in enumerate(lines) if "VRRP Instance" in line)
    end = next((number for number in range(start + 1, len(lines)) if lines[number].startswith("------")), len(lines))
    return lines[start:end]

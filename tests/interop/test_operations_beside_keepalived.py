"""What the two programs tell of themselves, side by side: dumps and log of the same configuration on the same host.

Both run one after the other on one host, so that interfaces, addresses and their order are the same. What must differ
(times, pids, descriptors, what is listed in keepalived.md section 8) is put aside by rules that stand here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from vrrp_pair import Pair

from halab.wait import poll
from pyvrrp.options import SIGNALS

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(120)]

CONFIGURATION = """
global_defs {
    router_id both
    max_auto_priority -1
    min_auto_priority_delay 20000
    script_user root
    enable_script_security
}
vrrp_script good {
    script "/bin/true"
    interval 1
    weight 5
}
vrrp_script bad {
    script "/bin/false"
    interval 1
    weight -10
    rise 2
    fall 3
}
vrrp_instance FIRST {
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    down_timer_adverts 1
    garp_master_repeat 1
    garp_master_delay 0
    authentication {
        auth_type PASS
        auth_pass s3cr3t77
    }
    track_script {
        good
        bad weight -7
    }
    virtual_ipaddress {
        10.88.2.50/24
        10.88.2.51/24 dev eth0 label eth0:1
        10.88.2.52
    }
    virtual_ipaddress_excluded {
        10.88.4.1/24
    }
    notify "/bin/echo 'a b'"
    notify_master /bin/true
    notify_stop "/bin/true x"
}
vrrp_instance SECOND {
    interface eth0
    virtual_router_id 52
    version 3
    priority 90
    advert_int 0.5
    nopreempt
    garp_master_repeat 2
    garp_master_delay 0
    virtual_ipaddress {
        10.88.2.60/24
    }
}
"""
IN_TURN = ("keepalived", "pyvrrp")
OURS_ALONE = re.compile(r"^This is pyvrrp |^/etc/keepalived/keepalived.conf:\d+:\d+: warning: ")
"""Lines that only we write: our own version, and advice about the configuration."""
THEIRS_ALONE = re.compile(r"^Script `\w+` now returning|^A thread timer expired")
"""Lines that make no sense of us: a script's every exit status, and that the machine was too busy for its timers."""


def dumps_of(pair: Pair, program: str) -> dict[str, str]:
    """Start ``program``, wait until it is master of both, take all its dumps, and stop it."""
    before = len(pair.log("left"))
    speaker = pair.start("left", program, CONFIGURATION)
    pair.until_held_by("left", within=8, address="10.88.2.50")
    pair.until_held_by("left", within=8, address="10.88.2.60")
    poll(lambda: "VRRP_Script(bad) failed" in pair.log("left")[before:], 5, "the failed script")
    texts = {}
    for name, files in (("DATA", ("data", "parent")), ("STATS", ("stats",)), ("JSON", ("json",))):
        pair.signal("left", SIGNALS[name])
        for file in files:
            path = f"/tmp/keepalived{'_parent.data' if file == 'parent' else f'.{file}'}"  # noqa: S108
            texts[file] = poll(lambda path=path: whole(pair, path), 5, path)
            pair.host("left").run(["rm", path]).check()
    speaker.stop()
    texts["log"] = pair.log("left")[before:]
    return texts


def whole(pair: Pair, path: str) -> str:
    """A dump that is complete: keepalived renames it into place before it is written."""
    file = pair.host("left").path(path)
    text = file.read_text() if file.exists() else ""
    return text if text.endswith(("]\n", "umask = 0177\n", "Sent: 0\n", "counter 0\n", "weight 0\n")) else ""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    with Pair(tmp_path_factory.mktemp("pair")) as pair:
        return {program: dumps_of(pair, program) for program in IN_TURN}


# --- Dumps ----------------------------------------------------------------------------------------------------------

UNEQUAL = (
    (re.compile(r"\d{10}\.\d{6} \(.*\)"), "TIME"),
    (re.compile(r"fd_in \d+,? fd_out (= )?\d+"), "FD"),
    (re.compile(r"Password = .*"), "Password = MASKED"),
    (re.compile(r"libnftnl version .*"), "libnftnl"),
)


def comparable(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        for pattern, word in UNEQUAL:
            line = pattern.sub(word, line)  # noqa: PLW2901 - one rule after the other
        lines.append(line)
    return lines


def test_the_data_are_the_same_line_by_line(told: dict[str, dict[str, str]]) -> None:
    theirs, ours = (comparable(told[program]["data"]) for program in IN_TURN)
    assert ours == theirs


def test_the_parent_s_data_are_the_same_line_by_line(told: dict[str, dict[str, str]]) -> None:
    theirs, ours = (comparable(told[program]["parent"]) for program in IN_TURN)
    assert ours == theirs


def test_the_statistics_have_the_same_lines(told: dict[str, dict[str, str]]) -> None:
    theirs, ours = (re.sub(r"(Sent|Received): \d+", r"\1: N", told[program]["stats"]) for program in IN_TURN)
    assert ours == theirs


def shape(value: Any) -> Any:
    """Keys in their order with the types of their values; lists of texts as they are."""
    if isinstance(value, dict):
        return [(name, shape(one)) for name, one in value.items()]
    if isinstance(value, list):
        return [one if isinstance(one, str) else shape(one) for one in value]
    return type(value).__name__


def test_the_json_has_the_same_keys_in_the_same_order_with_the_same_types(told: dict[str, dict[str, str]]) -> None:
    theirs, ours = (json.loads(told[program]["json"]) for program in IN_TURN)
    assert shape(ours) == shape(theirs)
    changes = {"last_transition", "auth_data", "advert_sent"}
    for our, their in zip(ours, theirs, strict=True):
        for part in ("data", "stats"):
            assert {k: v for k, v in our[part].items() if k not in changes} == {
                k: v for k, v in their[part].items() if k not in changes
            }
    assert [one["data"].get("auth_data") for one in theirs] == ["s3cr3t77", None]
    assert [one["data"].get("auth_data") for one in ours] == ["********", None]  # masked everywhere


def test_the_json_is_written_alike(told: dict[str, dict[str, str]]) -> None:
    """No blanks, escaped slashes, six decimals: byte for byte but for what differs."""
    texts = []
    for program in IN_TURN:
        text = re.sub(r"\d{10}\.\d{6}", "TIME", told[program]["json"])
        text = re.sub(r'"auth_data":"[^"]*"', "AUTH", text)
        texts.append(re.sub(r'"advert_sent":\d+', "SENT", text))
    assert texts[0] == texts[1]


# --- Log ------------------------------------------------------------------------------------------------------------


def lines_of(log: str) -> list[str]:
    """The lines without their times, pids, descriptors and figures; folded ones as one."""
    lines: list[str] = []
    for line in log.strip().splitlines():
        text = re.sub(r"^\w{3} \w{3} +\d+ [\d:]+ \d{4}: ", "", line)
        if text.startswith("   ") and lines:
            lines[-1] += f" {text.strip()}"
            continue
        if OURS_ALONE.search(text) or THEIRS_ALONE.search(text):
            continue
        text = re.sub(r"pid=\d+|process\(\d+\)", "PID", text)
        text = re.sub(r"fd\(\d+,\d+\)", "FD", text)
        text = re.sub(r"\d+\.\d{6}", "N", text)
        text = re.sub(r"Stopped - used .*", "Stopped - used", text)
        lines.append(re.sub(r"^Command line: '[^']*keepalived'", "Command line: 'keepalived'", text))
    return lines


def of(instance: str, lines: list[str]) -> list[str]:
    """What is said of one instance, without what happens beside the transitions."""
    return [line for line in lines if line.startswith(f"({instance}) ") and "Changing effective" not in line]


def test_both_write_the_same_lines_from_start_to_stop(told: dict[str, dict[str, str]]) -> None:
    theirs, ours = (Counter(lines_of(told[program]["log"])) for program in IN_TURN)
    both = {line: (theirs[line], ours[line]) for line in theirs | ours if theirs[line] != ours[line]}
    # How often and in which order two scripts report is not fixed: only where their priorities end is.
    assert {line: counts for line, counts in both.items() if "Changing effective priority" not in line} == {}


def test_the_lines_of_an_instance_come_in_the_same_order(told: dict[str, dict[str, str]]) -> None:
    for instance in ("FIRST", "SECOND"):
        theirs, ours = (of(instance, lines_of(told[program]["log"])) for program in IN_TURN)
        # Ours are removed and set by a worker of their own, so its lines may come just behind those of the state.
        assert sorted(ours) == sorted(theirs)
        states = [[line for line in lines if "STATE" in line or "sent 0" in line] for lines in (theirs, ours)]
        assert states[1] == states[0]


def test_the_frame_of_the_log_is_the_same(told: dict[str, dict[str, str]]) -> None:
    theirs, ours = (lines_of(told[program]["log"]) for program in IN_TURN)
    child = "Starting VRRP child process, PID"
    assert ours.index(child) == 5
    assert 5 <= theirs.index(child) < theirs.index("Startup complete")  # its parent says it, the child may be faster
    ours.remove(child)
    theirs.remove(child)
    assert ours[:7] == theirs[:7]
    assert ours[-3:] == theirs[-3:]
    assert ours.index("Stopping") > ours.index("Startup complete")

"""Files as people have them: ours and the real keepalived read them alike, do the same with them, and say the same.

Every file of ``real_world`` runs twice at the same time, each on two hosts: the left one is once keepalived and once
ours, the right one always keepalived. What the kernel holds, what the dumps say and what notify scripts were told has
to come out equal. The files are written after what Kubernetes, OpenStack, VyOS, OpenShift, RHEL, roles of Ansible and
images of Docker make; ``# cards:`` names the network cards of the hosts.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from vrrp_real_world import FOLDER, UNLIKE, Stage

from halab.wait import NotSeenError, poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(120)]

FILES = sorted(path.name for path in FOLDER.glob("*.conf"))
NOT_OURS = re.compile(
    r"SECURITY VIOLATION"  # scripts that others may change are not run by ours, whatever the file says
    r"|iptables not supported"  # of their build; ours names the keyword as not carried out
)
GLOBAL = re.compile(r"^ (Smtp|Email|   ?\S+@|Script security|Max auto|nftables)")
"""Lines of the global definitions that differ: of mail, which ours does not send, and of what ours does not have."""
OF_THE_MOMENT = (
    (re.compile(r"\d{10}\.\d{6} \(.*\)"), "TIME"),
    (re.compile(r"fd_in \d+,? fd_out (= )?\d+"), "FD"),
    (re.compile(r"Password = .*"), "Password = MASKED"),
    (re.compile(r"(Result|Master down timer) = .*"), r"\1"),  # 2.2.7 keeps a timer of the past after a race
    (re.compile(r"State = (idle|running)"), "State"),
)


@pytest.fixture
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Stage, Stage]]:
    with ExitStack() as held:
        yield (
            held.enter_context(Stage(request.param, "keepalived")),
            held.enter_context(Stage(request.param, "pyvrrp")),
        )


def equal(both: tuple[Stage, Stage], what: str, look: Callable[[Stage], Any]) -> None:
    """Wait until both stages show the same; say how they differ if they do not."""
    seen: list[str] = []

    def same() -> bool:
        seen[:] = [json.dumps(look(stage), indent=1) for stage in both]
        return seen[0] == seen[1]

    try:
        poll(same, 6, what)
    except NotSeenError:
        lines = difflib.unified_diff(*(text.splitlines() for text in seen), "keepalived", "ours", n=2, lineterm="")
        raise AssertionError(f"{what} differ:\n" + "\n".join(lines)) from None


def data(stage: Stage) -> list[str]:
    """keepalived.data of the left, up to the interfaces, whose settings each program keeps track of in its own way."""
    text = stage.dump("left", "data").partition("------< Interfaces")[0]
    for pattern, word in OF_THE_MOMENT:
        text = pattern.sub(word, text)
    text = UNLIKE.sub("", text)
    return [line for line in stage.alike(text).splitlines() if not GLOBAL.search(line)]


@pytest.mark.parametrize("both", FILES, indirect=True)
def test_both_do_the_same_with_a_file_of_the_real_world(both: tuple[Stage, Stage]) -> None:
    theirs, ours = both
    with ThreadPoolExecutor(2) as at_once:
        said = list(at_once.map(lambda stage: stage.tested(stage.program), both))
        compare_answers(theirs.lines(said[0]), said[0].status, ours.lines(said[1]), said[1].status)
        list(at_once.map(Stage.begin, both))
        for host in ("left", "right"):
            equal(both, f"the JSON of {host}", lambda stage, host=host: stage.instances(host))
            equal(both, f"the kernel of {host}", lambda stage, host=host: stage.kernel(host))
            equal(both, f"what {host} was told", lambda stage, host=host: stage.told(host))
        equal(both, "the data", data)
        list(at_once.map(Stage.take_over, both))
        for host in ("left", "right"):
            equal(both, f"the kernel of {host} in the end", lambda stage, host=host: stage.kernel(host))
            equal(both, f"what {host} was told in the end", lambda stage, host=host: stage.told_by_scripts(host))
        equal(both, "the JSON of the successor", lambda stage: stage.instances("right"))


def compare_answers(theirs: list[str], their_status: int, ours: list[str], our_status: int) -> None:
    """Hold our ``-t`` against keepalived's: whatever it complains of, ours does, and ends as it does.

    But for script security, which is on here: keepalived's 6 for its absence is no complaint of the file.
    """
    complaints = [line for line in theirs if not NOT_OURS.search(line)]
    said = [line.partition("; did you mean")[0] for line in ours]
    missing = [line for line in complaints if line not in said]
    assert missing == [], f"keepalived complains of what ours does not: {missing} of {said}"
    if their_status == 6:
        assert our_status in ((0, 5) if not complaints else (5,))
    else:
        assert our_status == their_status

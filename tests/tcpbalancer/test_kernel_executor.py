"""The process that speaks to nft and conntrack, without either: what it is asked, how it answers, its end."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from tcpbalancer.kernel import executor
from tcpbalancer.kernel.claim import MOST, claim
from tcpbalancer.kernel.executor import Executor, ToolError
from tcpbalancer.kernel.ruleset import Daemon
from tcpbalancer.kernel.wanted import Wanted, Way

WANTED = asdict(Wanted({1: Way("f > b/s", "10.0.0.1", 1)}, {}))


class Tools:
    """Notes what would be run, and answers as the programs would."""

    def __init__(self, tables: tuple[str, ...] = ()) -> None:
        self.runs: list[str] = []
        self.fails = False
        self._tables = tables

    def run(self, program: str, *arguments: str, told: str = "", harmless: str = "") -> bytes:
        if self.fails:
            raise ToolError(f"{program}: no")
        self.runs.append(" ".join((program, *arguments, told.partition("\n")[0])).strip())
        return json.dumps({"nftables": [{"table": {"name": name}} for name in self._tables]}).encode()


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Tools:
    tools = Tools()
    monkeypatch.setattr(executor, "run", tools.run)
    return tools


def served(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the answers to requests, after which nobody asks any more."""
    answers: list[bytes] = []
    lines = [json.dumps({"number": number, **request}).encode() for number, request in enumerate(requests)]
    Executor(Daemon(MOST)).serve(lines, answers.append)
    return [json.loads(line) for line in answers]


def test_when_nobody_asks_any_more_rules_and_connections_are_taken_away(tools: Tools) -> None:
    assert served({"do": "begin", "wanted": WANTED, "goes_on": True}) == [{"number": 0}]
    assert tools.runs[-2:] == [
        f"nft -f - add table inet tcpbalancer-{MOST}",
        "conntrack -D -p tcp --mark 0xff000000/0xff000000",
    ]


def test_a_supervisor_that_is_killed_may_leave_an_answer_unread_and_half_a_request(tools: Tools) -> None:
    ours, theirs = socket.socketpair()
    with theirs, theirs.makefile("rb") as stream:
        with ours:
            theirs.sendall(b"an answer that nobody reads any more\n")
            ours.sendall(b'{"number": 0, "do": "cut", "numbers": [1]}\n{"number": 1, "do')
        Executor(Daemon(MOST)).serve(executor.requests(stream), theirs.sendall)
    assert tools.runs[-2:] == [
        f"nft -f - add table inet tcpbalancer-{MOST}",
        "conntrack -D -p tcp --mark 0xff000000/0xff000000",
    ]


def test_after_the_end_nothing_is_taken_away_twice(tools: Tools) -> None:
    served({"do": "end"}, {"do": "change", "wanted": WANTED})
    assert len(tools.runs) == 2


def test_what_stands_already_is_not_said_to_nft_again(tools: Tools) -> None:
    served({"do": "change", "wanted": WANTED}, {"do": "change", "wanted": WANTED}, {"do": "end"})
    assert len([one for one in tools.runs if one.startswith("nft -f -")]) == 2, "the change and the end"


def test_what_others_left_goes_unless_they_live(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    living, dead = MOST - 1, MOST - 2
    tools = Tools((f"tcpbalancer-{living}", f"tcpbalancer-{dead}", f"tcpbalancer-{MOST}", "filter"))
    monkeypatch.setattr(executor, "run", tools.run)
    claimed = claim(living)
    assert claimed is not None
    with claimed:
        assert claim(living) is None
        served({"do": "begin", "wanted": WANTED, "goes_on": False}, {"do": "end"})
    cut = [one.split()[-1].partition("/")[0] for one in tools.runs if one.startswith("conntrack -D")]
    assert [int(mark, 16) >> 24 for mark in cut] == [dead, MOST, MOST]


def test_a_request_that_makes_no_sense_or_cannot_be_done_is_answered_and_harms_nothing(tools: Tools) -> None:
    wrong = {**WANTED, "ways": {"1": {**WANTED["ways"][1], "port": 70_000}}}
    answers = served({"do": "dance"}, {"do": "change", "wanted": wrong}, {"do": "cut", "numbers": [1]}, {"do": "end"})
    assert [bool(answer.get("problem")) for answer in answers] == [True, True, False, False]
    assert "conntrack -D -p tcp --mark 0xff000001/0xffffffff" in tools.runs
    tools.fails = True
    with pytest.raises(ToolError):
        served({"do": "cut", "numbers": [1]})


def test_a_change_does_not_wait_for_a_look_at_all_connections(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = threading.Event()
    seen: list[bool] = []

    def look(_: Executor) -> dict[int, int]:
        seen.append(changed.wait(10))
        return {1: 5}

    monkeypatch.setattr(Executor, "look", look)

    def reply(answer: bytes) -> None:
        answers.append(answer)
        (changed if json.loads(answer)["number"] == 1 else looked).set()

    looked = threading.Event()
    answers: list[bytes] = []

    def asked() -> Iterator[bytes]:
        yield b'{"number": 0, "do": "look"}'
        yield json.dumps({"number": 1, "do": "change", "wanted": WANTED}).encode()
        assert looked.wait(10)
        yield b'{"number": 2, "do": "end"}'

    Executor(Daemon(MOST)).serve(asked(), reply)
    assert seen == [True]
    assert [json.loads(line) for line in answers] == [
        {"number": 1}, {"number": 0, "open": {"1": 5}}, {"number": 2},
    ]  # fmt: skip

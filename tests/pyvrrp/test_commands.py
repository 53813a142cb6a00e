"""What an operator can ask of a daemon and tell it, and what is refused with a sentence."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from hakit.events import EventHub
from hakit.transcript import Value
from pyvrrp.model import Configuration, Instance, Tracked, TrackerKind
from pyvrrp.status import commands as module
from pyvrrp.status.commands import commands

TRACKED = Tracked("chk", -60)


class Fake:
    """As much of a daemon as the commands touch; it notes what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.hub = EventHub("pyvrrp")
        instances = tuple(Instance(name, "eth0", 51, tracked=(TRACKED,)) for name in ("VI_1", "VI_2"))
        self.configuration = Configuration(instances)
        self.routers = {one.name: self._router(one) for one in instances}
        self.links = {"eth0": SimpleNamespace(is_up=True)}
        self.trackers = {TRACKED.key: SimpleNamespace(reading=False)}
        self.becomes_master, self.refuses = True, False

    @staticmethod
    def _router(instance: Instance) -> SimpleNamespace:
        status = {
            "state": "BACKUP", "age": 1.0, "why": "so", "rule": "RFC", "effective_priority": 40, "faults": [],
            "master": None, "deadline_in": None,
        }  # fmt: skip
        return SimpleNamespace(
            instance=instance, name=instance.name, causes=frozenset(), is_master=False, why="it is held",
            status=lambda: status, machine=SimpleNamespace(state=SimpleNamespace(name="BACKUP")),
        )  # fmt: skip

    def status(self) -> Value:
        return {"instances": []}

    def demote(self, name: str) -> None:
        self.told.append(("demote", name))

    def promote(self, name: str) -> None:
        self.told.append(("promote", name))
        if self.refuses:
            self.hub.publish_for(name, "promotion_refused", "master 10.0.0.2 has 150")
        elif self.becomes_master:
            asyncio.get_running_loop().call_soon(self._become_master, name)

    def _become_master(self, name: str) -> None:
        self.hub.publish_for(name, "transition", "told", to="MASTER")

    def release(self, name: str) -> None:
        self.told.append(("release", name))

    def maintenance(self, on: bool) -> None:
        self.told.append(("maintenance", on))


def say(daemon: Fake, command: str, *words: str) -> Any:
    known = commands(cast("Any", daemon), lambda: {"done": "reloaded"}, {"data": lambda: "DATA", "json": lambda: "[]"})
    answer = known[command](words)
    return asyncio.run(awaited(answer)) if inspect.isawaitable(answer) else answer


async def awaited(answer: Awaitable[Value]) -> Value:
    return await answer


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("demote", "VI_1"), ("demote", "VI_1")),
        (("promote", "VI_2"), ("promote", "VI_2")),
        (("release", "VI_1"), ("release", "VI_1")),
        (("maintenance", "on"), ("maintenance", True)),
        (("maintenance", "off"), ("maintenance", False)),
    ],
)
def test_what_an_operator_says_reaches_the_daemon(words: Sequence[str], told: tuple[str, object]) -> None:
    daemon = Fake()
    assert say(daemon, *words)["done"]
    assert daemon.told == [told]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("demote",), "demote needs the name of an instance: there are VI_1, VI_2"),
        (("demote", "VI_3"), "no instance VI_3; did you mean VI_2?"),
        (("demote", "other"), "no instance other; there are VI_1, VI_2"),
        (("maintenance", "now"), "maintenance is on or off: maintenance on|off"),
        (("reload", "now"), "reload takes no word behind it, not 'now'"),
        (("dump", "all"), "there is a dump of data, json: dump KIND"),
    ],
)
def test_what_makes_no_sense_is_refused_and_reaches_nobody(words: Sequence[str], why: str) -> None:
    daemon = Fake()
    with pytest.raises(ValueError, match=why.replace("|", r"\|").replace("?", r"\?")):
        say(daemon, *words)
    assert not daemon.told


def test_a_promotion_that_cannot_be_is_refused_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BECOMES_WITHIN", 0.01)
    daemon = Fake()
    daemon.routers["VI_1"].causes = frozenset({"interface eth0 down"})
    with pytest.raises(ValueError, match="VI_1 cannot become master: interface eth0 down"):
        say(daemon, "promote", "VI_1")
    daemon.refuses = True
    with pytest.raises(
        ValueError, match=r"VI_2 is not promoted: master 10\.0\.0\.2 has 150; demote the master instead"
    ):
        say(daemon, "promote", "VI_2")
    daemon.refuses, daemon.becomes_master = False, False
    with pytest.raises(ValueError, match="VI_2 stays BACKUP: it is held"):
        say(daemon, "promote", "VI_2")


def test_what_is_asked_is_answered() -> None:
    daemon = Fake()
    assert say(daemon, "status") == {"instances": []}
    assert say(daemon, "reload") == {"done": "reloaded"}
    assert say(daemon, "dump", "data") == {"text": "DATA"}
    told = say(daemon, "why", "VI_1")
    assert (told["because"], told["rule"], told["trackers"][0]["adds"]) == ("so", "RFC", -60)
    assert TrackerKind.SCRIPT.value == told["trackers"][0]["kind"]

"""The commands of the control socket, by name: what ``pyvrrp ctl`` asks of a running daemon.

Laws: a command either does all that it says or is refused with a sentence, and is told as an event, so that the
history says who moved an address. Refusals are ValueError; an instance that does not exist is one, with the names of
those that do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hakit.control import Command
from hakit.transcript import Value
from pyvrrp.model import TrackerKind
from pyvrrp.status.explain import explain
from pyvrrp.status.tally import Tally

if TYPE_CHECKING:
    from pyvrrp.daemon import Daemon

Reload = Callable[[], Value | Awaitable[Value]]
"""Reads the configuration anew and carries out what has changed; raises ValueError if it is broken."""
Dump = Callable[[], str]
"""Returns the text of a dump."""


def commands(daemon: Daemon, reload: Reload, dumps: Mapping[str, Dump]) -> Mapping[str, Command]:
    """Return the commands of this daemon; ``dumps`` by the words ``data``, ``stats`` and ``json``."""
    tally = Tally(daemon.hub)

    def status(words: Sequence[str]) -> Value:
        _nothing_behind(words, "status")
        return daemon.status()

    def why(words: Sequence[str]) -> Value:
        return _why(daemon, tally, _instance(daemon, words, "why"))

    def demote(words: Sequence[str]) -> Value:
        name = _instance(daemon, words, "demote")
        daemon.demote(name)
        return {"done": f"{name} gives its addresses up, and takes none until it is released"}

    def promote(words: Sequence[str]) -> Value:
        name = _instance(daemon, words, "promote")
        daemon.promote(name)
        return {"done": f"{name} is told to become master"}

    def release(words: Sequence[str]) -> Value:
        name = _instance(daemon, words, "release")
        daemon.release(name)
        return {"done": f"{name} is left to its priorities again"}

    def maintenance(words: Sequence[str]) -> Value:
        if tuple(words) not in {("on",), ("off",)}:
            raise ValueError("maintenance is on or off: maintenance on|off")
        is_on = words[0] == "on"
        daemon.maintenance(is_on)
        done = "every address is given up, and none is taken" if is_on else "the priorities decide again"
        return {"done": f"maintenance is {words[0]}: {done}"}

    def reloaded(words: Sequence[str]) -> Value | Awaitable[Value]:
        _nothing_behind(words, "reload")
        return reload()

    def dump(words: Sequence[str]) -> Value:
        if len(words) != 1 or words[0] not in dumps:
            raise ValueError(f"there is a dump of {', '.join(sorted(dumps)) or 'nothing'}: dump KIND")
        return {"text": dumps[words[0]]()}

    return {
        "status": status,
        "why": why,
        "demote": demote,
        "promote": promote,
        "release": release,
        "maintenance": maintenance,
        "reload": reloaded,
        "dump": dump,
    }


def _why(daemon: Daemon, tally: Tally, name: str) -> Value:
    router = next(router for router in daemon.routers.values() if router.instance.name == name)
    transition = tally.transitions.get(name)
    told = {"rule": transition.get("rule", "") if transition is not None else "", **router.status()}
    group = daemon.configuration.group_of(name)
    readings: dict[tuple[TrackerKind, str], bool | int | None] = {
        (TrackerKind.INTERFACE, link): found.is_up for link, found in daemon.links.items()
    }
    readings.update({(tracker.kind, tracker.name): tracker.reading for tracker in daemon.trackers.values()})
    return explain(told, router.instance, readings, group)


def _nothing_behind(words: Sequence[str], command: str) -> None:
    if words:
        raise ValueError(f"{command} takes no word behind it, not '{' '.join(words)}'")


def _instance(daemon: Daemon, words: Sequence[str], command: str) -> str:
    known = sorted(router.instance.name for router in daemon.routers.values())
    name = " ".join(words)
    if name in known:
        return name
    there = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}"
    if not name:
        raise ValueError(f"{command} needs the name of an instance: {there}")
    close = get_close_matches(name, known, n=1)
    raise ValueError(f"no instance {name}; {f'did you mean {close[0]}?' if close else there}")

"""The commands of the control socket, by name: what ``pyvrrp ctl`` asks of a running daemon.

Laws: a command either does all that it says or is refused with a sentence, and is told as an event, so that the
history says who moved an address. Refusals are ValueError; an instance that does not exist is one, with the names of
those that do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from hakit.control import Command
from hakit.transcript import Event, Value
from pyvrrp.model import TrackerKind
from pyvrrp.status.explain import explain

if TYPE_CHECKING:
    from pyvrrp.daemon import Daemon

Reload = Callable[[], Value | Awaitable[Value]]
"""Reads the configuration anew and carries out what has changed; raises ValueError if it is broken."""
Dump = Callable[[], str]
"""Returns the text of a dump."""
BECOMES_WITHIN = 1.0
"""Seconds within which a promoted instance must be master, or the operator is told that it is not."""


def commands(daemon: Daemon, reload: Reload, dumps: Mapping[str, Dump]) -> Mapping[str, Command]:
    """Return the commands of this daemon; ``dumps`` by the words ``data``, ``stats`` and ``json``."""
    desk = _Desk(daemon, reload, dumps)
    return {
        "status": desk.status,
        "why": desk.why,
        "demote": desk.demote,
        "promote": desk.promote,
        "release": desk.release,
        "maintenance": desk.maintenance,
        "reload": desk.reload,
        "dump": desk.dump,
    }


class _Desk:
    """Where an operator's words are taken, one method a command."""

    def __init__(self, daemon: Daemon, reload: Reload, dumps: Mapping[str, Dump]) -> None:
        self._daemon = daemon
        self._reload = reload
        self._dumps = dumps

    def status(self, words: Sequence[str]) -> Value:
        _nothing_behind(words, "status")
        return self._daemon.status()

    def why(self, words: Sequence[str]) -> Value:
        router = self._daemon.routers[_instance(self._daemon, words, "why")]
        readings: dict[tuple[TrackerKind, str], bool | int | None] = {
            (TrackerKind.INTERFACE, link): found.is_up for link, found in self._daemon.links.items()
        }
        readings.update({key: tracker.reading for key, tracker in self._daemon.trackers.items()})
        group = self._daemon.configuration.group_of(router.name)
        return explain(router.status(), router.instance, readings, group)

    def demote(self, words: Sequence[str]) -> Value:
        name = _instance(self._daemon, words, "demote")
        self._daemon.demote(name)
        return {"done": f"{name} gives its addresses up; it takes them back if nobody else has them"}

    async def promote(self, words: Sequence[str]) -> Value:
        name = _instance(self._daemon, words, "promote")
        router = self._daemon.routers[name]
        if router.causes:
            raise ValueError(f"{name} cannot become master: {', '.join(sorted(router.causes))}")
        outcome: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def watch(event: Event) -> None:
            became = event.event == "transition" and event.get("to") == "MASTER"
            if event.source == name and (became or event.event == "promotion_refused") and not outcome.done():
                outcome.set_result(event)

        stop = self._daemon.hub.listen(watch)
        try:
            self._daemon.promote(name)
            told = None if router.is_master else await asyncio.wait_for(outcome, BECOMES_WITHIN)
        except TimeoutError:
            raise ValueError(f"{name} stays {router.machine.state.name}: {router.why}") from None
        finally:
            stop()
        if told is not None and told.event == "promotion_refused":
            raise ValueError(f"{name} is not promoted: {told.reason}; demote the master instead")
        return {"done": f"{name} is master, as long as nobody with a higher priority is heard"}

    def release(self, words: Sequence[str]) -> Value:
        name = _instance(self._daemon, words, "release")
        self._daemon.release(name)
        return {"done": f"{name} is left to its priorities again"}

    def maintenance(self, words: Sequence[str]) -> Value:
        if tuple(words) not in {("on",), ("off",)}:
            raise ValueError("maintenance is on or off: maintenance on|off")
        is_on = words[0] == "on"
        self._daemon.maintenance(is_on)
        done = "every address is given up, and none is taken" if is_on else "the priorities decide again"
        return {"done": f"maintenance is {words[0]}: {done}"}

    def reload(self, words: Sequence[str]) -> Value | Awaitable[Value]:
        _nothing_behind(words, "reload")
        return self._reload()

    def dump(self, words: Sequence[str]) -> Value:
        if len(words) != 1 or words[0] not in self._dumps:
            raise ValueError(f"there is a dump of {', '.join(sorted(self._dumps)) or 'nothing'}: dump KIND")
        return {"text": self._dumps[words[0]]()}


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

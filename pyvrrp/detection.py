"""What is worth telling though it changes no state: other masters, foreign routers, peers that fall silent.

Laws: it watches accepted advertisements and transitions, and gives back what to tell; it holds no machine and decides
nothing. Each thing is told when it begins and when it ends, not at every packet. What it keeps is bounded: a few peers
of each router, whatever is on the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hakit.transcript import Value
from pyvrrp.model import Address, Instance
from pyvrrp.wire.advertisement import Advertisement

MOST_PEERS = 16
_SILENT_FOR = 3
"""Intervals after which a master that said nothing counts as silent, as for the Master_Down_Interval."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An event to be told: its name, its sentence, and values."""

    event: str
    reason: str
    values: dict[str, Value] = field(default_factory=dict)


@dataclass(slots=True)
class Peer:
    """Another router of the same number, as it was last heard; ``rival``: while we were master, too."""

    priority: int
    interval: float
    heard_at: float
    heard: int = 1
    silent: bool = False
    rival: bool = False

    def is_silent(self, now: float) -> bool:
        """Return whether it has said nothing for longer than a master may."""
        return now - self.heard_at > (_SILENT_FOR + 1) * self.interval


class Watcher:
    """Watches the other routers of one virtual router."""

    def __init__(self) -> None:
        self.peers: dict[Address, Peer] = {}
        self.splits = 0
        """How often another master was heard beside this one."""
        self._master_since = float("-inf")
        self._listens_since = 0.0
        """When this router was last seen to be no master: before that, the others were silent by protocol."""
        self._was_master = False

    @property
    def rivals(self) -> list[Address]:
        """The masters that are heard while this router is master, too."""
        return [address for address, peer in self.peers.items() if peer.rival]

    def heard(self, source: Address, found: Advertisement, now: float, *, still_master: bool) -> Iterator[Finding]:
        """Take in an accepted advertisement; ``still_master``: this router was master before it and is after it."""
        peer = self._note(source, found, now)
        if peer is None:
            return
        if peer.silent:
            peer.silent = False
            yield Finding("peer_back", f"{source} is heard again", {"peer": str(source)})
        if found.priority == 0:
            peer.rival = False
            return
        # The last word of one that has just been replaced is no split brain: one that is will be heard again.
        if still_master and not peer.rival and now - self._master_since > peer.interval:
            peer.rival = True
            self.splits += 1
            text = f"split brain: {source} is master, too, with priority {found.priority}"
            yield Finding("split_brain", text, {"peer": str(source), "priority": found.priority, "total": self.splits})

    def _note(self, source: Address, found: Advertisement, now: float) -> Peer | None:
        interval = found.advert_interval or 1.0
        peer = self.peers.get(source)
        if peer is None:
            if len(self.peers) >= MOST_PEERS:
                oldest = min(self.peers, key=lambda address: self.peers[address].heard_at)
                if not self.peers[oldest].is_silent(now):
                    return None
                del self.peers[oldest]
            peer = self.peers[source] = Peer(found.priority, interval, now)
            return peer
        peer.priority, peer.interval, peer.heard_at = found.priority, interval, now
        peer.heard += 1
        return peer

    def look(self, now: float, *, is_master: bool) -> Iterator[Finding]:
        """Return what has changed by time alone: rivals and masters that are silent. To be asked every second or so."""
        for address, peer in self.peers.items():
            if peer.rival and (not is_master or peer.is_silent(now)):
                peer.rival = False
                how = "it is silent" if is_master else "this router has yielded"
                text = f"split brain with {address} is over: {how}"
                yield Finding("split_brain_healed", text, {"peer": str(address)})
        if self._was_master and not is_master:
            self._listens_since = now
        self._was_master = is_master
        # Of a master's peers, all but rivals are silent by protocol; so are all but one while somebody else is master.
        if not is_master and all(peer.is_silent(now) for peer in self.peers.values()):
            for address, peer in self.peers.items():
                if now - self._listens_since > (_SILENT_FOR + 1) * peer.interval:
                    yield from self._stale(address, peer, now)

    def took_over(self, now: float) -> Iterator[Finding]:
        """Return the masters that must have fallen silent, since this router has just become master in their place."""
        again, self._was_master = self._was_master, True
        self._master_since = now
        for address, peer in self.peers.items():
            if not again and now - max(peer.heard_at, self._listens_since) > (_SILENT_FOR - 1) * peer.interval:
                yield from self._stale(address, peer, now)

    @staticmethod
    def _stale(address: Address, peer: Peer, now: float) -> Iterator[Finding]:
        if peer.silent or not peer.priority:  # who resigned has said so
            return
        peer.silent = True
        age = now - peer.heard_at
        text = f"nothing heard of {address} for {age:.1f} s"
        yield Finding("peer_stale", text, {"peer": str(address), "age": round(age, 3)})

    def status(self, now: float) -> list[Value]:
        """Return all peers: address, last priority, how long ago it was heard."""
        return [
            {
                "address": str(address),
                "priority": peer.priority,
                "age": round(now - peer.heard_at, 3),
                "heard": peer.heard,
                "silent": peer.is_silent(now),
                "rival": peer.rival,
            }
            for address, peer in self.peers.items()
        ]


def foreign(found: Advertisement, instance: Instance) -> bool:
    """Return whether an advertisement of our number speaks of quite other addresses: two groups share one number."""
    ours = {address.ip for address in instance.addresses}
    return bool(ours) and bool(found.addresses) and not ours & {*found.addresses}

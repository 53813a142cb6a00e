"""What an instance or a group watches, and the scripts that are told of it.

Laws: pure, frozen. Times are float seconds. Whatever is tracked is known by its kind and its name; what a reading of it
means for a priority is computed in ``protocol/tracking.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hakit.diagnostics import Location

NOWHERE = Location("<none>")
MAX_WEIGHT = 253


class TrackerKind(Enum):
    """The kinds of things that can be tracked; the values are the blocks of an instance that name them."""

    SCRIPT = "track_script"
    INTERFACE = "track_interface"
    FILE = "track_file"
    PROCESS = "track_process"
    HTTP = "track_http"


@dataclass(frozen=True, slots=True)
class Script:
    """A command to run: its words (never a shell line), and as whom. ``user`` None: as the daemon itself."""

    words: tuple[str, ...]
    user: str | None = None
    group: str | None = None
    location: Location = NOWHERE

    def __str__(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class TrackScript:
    """A ``vrrp_script`` block. ``timeout`` None: as long as the interval. ``weight`` 0: a failure means FAULT."""

    name: str
    script: Script
    interval: float = 1.0
    timeout: float | None = None
    weight: int = 0
    reverse: bool = False
    rise: int = 1
    fall: int = 1
    init_fail: bool = False
    location: Location = NOWHERE

    def __post_init__(self) -> None:
        assert -MAX_WEIGHT <= self.weight <= MAX_WEIGHT


@dataclass(frozen=True, slots=True)
class TrackFile:
    """A ``track_file`` block: the number in the file, times the weight, is added to the priority.

    ``initial``: what ``init_file`` writes if the file is not there (``overwrite``: even if it is); None: nothing.
    """

    name: str
    path: str
    weight: int = 1
    reverse: bool = False
    initial: int | None = None
    overwrite: bool = False
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class TrackProcess:
    """A ``vrrp_track_process`` block: it works while ``quorum`` to ``quorum_max`` processes match.

    ``words``: the command, and its parameters if they are to match. ``parameters``: ``initial``, ``partial``, ``exact``
    or None (param_match). ``full_command``: compare the whole path of argv[0], not the kernel's name for the process.
    """

    name: str
    words: tuple[str, ...]
    parameters: str | None = None
    full_command: bool = False
    weight: int = 0
    reverse: bool = False
    quorum: int = 1
    quorum_max: int | None = None
    fork_delay: float = 0.0
    terminate_delay: float = 0.0
    location: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class TrackHttp:
    """A ``vrrp_track_http`` block, which keepalived does not have: a URL that has to answer with ``status``.

    ``statuses`` are inclusive ranges. The address in the URL is a number (no name is ever looked up while VRRP runs).
    """

    name: str
    url: str
    statuses: tuple[tuple[int, int], ...] = ((200, 299),)
    method: str = "GET"
    interval: float = 2.0
    timeout: float = 1.0
    weight: int = 0
    reverse: bool = False
    rise: int = 1
    fall: int = 1
    init_fail: bool = False
    location: Location = NOWHERE


Tracker = TrackScript | TrackFile | TrackProcess | TrackHttp


@dataclass(frozen=True, slots=True)
class Tracked:
    """A line of a ``track_*`` block: what, with what weight here; ``reverse`` swaps success and failure."""

    name: str
    weight: int = 0
    reverse: bool = False
    kind: TrackerKind = TrackerKind.SCRIPT

    @property
    def key(self) -> tuple[TrackerKind, str]:
        """What is looked up for it in the readings."""
        return self.kind, self.name


@dataclass(frozen=True, slots=True)
class NotifyScripts:
    """What to run on a change of state; ``any`` gets INSTANCE or GROUP, name, state and priority behind its words."""

    master: Script | None = None
    backup: Script | None = None
    fault: Script | None = None
    stop: Script | None = None
    deleted: Script | None = None
    master_rx_lower_pri: Script | None = None
    any: Script | None = None


@dataclass(frozen=True, slots=True)
class Fifo:
    """``notify_fifo`` or ``vrrp_notify_fifo``: a named pipe, and the program that reads it, if we have to start one."""

    path: str
    script: Script | None = None

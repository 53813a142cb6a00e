"""What a configuration of the VRRP daemon says, once it is understood.

Laws: pure, frozen, valid by construction. Times are float seconds. The two front ends (keepalived.conf and YAML) build
exactly this; no other module looks at configuration text. Names are those of keepalived.conf(5) and RFC 3768.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface

from hakit.diagnostics import Location

NOWHERE = Location("<none>")

OWNER_PRIORITY = 255
"""The priority of the router that owns the addresses (RFC 3768 section 5.3.4)."""


class InitialState(Enum):
    """The ``state`` keyword: what the configuration wishes, not what the router is."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"


class AuthType(Enum):
    """VRRPv2 authentication as keepalived has it; the numbers are those of RFC 2338 section 5.3.6."""

    NONE = 0
    PASS = 1


@dataclass(frozen=True, slots=True)
class Authentication:
    """``auth_type`` and the password: at most 8 bytes, padded with zeros on the wire; it does not print."""

    type: AuthType = AuthType.NONE
    password: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        assert len(self.password) <= 8


@dataclass(frozen=True, slots=True)
class VirtualAddress:
    """One line of ``virtual_ipaddress``. ``device`` None: the interface of the instance. ``scope``: as rtnetlink(7)."""

    interface: IPv4Interface
    device: str | None = None
    label: str | None = None
    scope: int = 0
    broadcast: IPv4Address | None = None

    def __str__(self) -> str:
        return str(self.interface)


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
    rise: int = 1
    fall: int = 1
    init_fail: bool = False
    location: Location = NOWHERE

    def __post_init__(self) -> None:
        assert -253 <= self.weight <= 253


@dataclass(frozen=True, slots=True)
class Tracked:
    """A line of ``track_script``: which script, with what weight here; ``reverse`` swaps success and failure."""

    name: str
    weight: int
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class NotifyScripts:
    """What to run on a change of state; ``any`` gets INSTANCE, name, state and priority as further arguments."""

    master: Script | None = None
    backup: Script | None = None
    fault: Script | None = None
    stop: Script | None = None
    any: Script | None = None


@dataclass(frozen=True, slots=True)
class GratuitousArp:
    """``garp_master_*``, ``garp_lower_prio_*``: how many gratuitous ARPs, and the second burst's delay in seconds."""

    repeat: int = 5
    delay: float = 5.0
    refresh: float = 0.0
    refresh_repeat: int = 1
    lower_prio_repeat: int = 5
    lower_prio_delay: float = 5.0


@dataclass(frozen=True, slots=True)
class Instance:
    """A ``vrrp_instance`` block: one virtual router on one interface."""

    name: str
    interface: str
    virtual_router_id: int
    priority: int = 100
    initial_state: InitialState = InitialState.BACKUP
    advert_interval: float = 1.0
    version: int = 2
    preempt: bool = True
    preempt_delay: float = 0.0
    authentication: Authentication = Authentication()
    addresses: tuple[VirtualAddress, ...] = ()
    track_scripts: tuple[Tracked, ...] = ()
    track_interfaces: tuple[str, ...] = ()
    notify: NotifyScripts = NotifyScripts()
    garp: GratuitousArp = GratuitousArp()
    down_timer_adverts: int = 3
    location: Location = NOWHERE

    def __post_init__(self) -> None:
        assert 1 <= self.virtual_router_id <= 255
        assert 1 <= self.priority <= OWNER_PRIORITY

    @property
    def devices(self) -> frozenset[str]:
        """The interfaces without which this instance cannot be master: its own, and those of its addresses."""
        return frozenset({self.interface, *(address.device for address in self.addresses if address.device)})

    @property
    def is_owner(self) -> bool:
        """Whether this router owns the addresses: then it is Master at once, and nothing lowers its priority."""
        return self.priority == OWNER_PRIORITY


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration: the instances, and the scripts that they track, by name."""

    instances: tuple[Instance, ...]
    scripts: tuple[TrackScript, ...] = ()
    router_id: str = ""
    script_user: str | None = None
    script_security: bool = True

    def script(self, name: str) -> TrackScript:
        """Return the ``vrrp_script`` of this name; it exists for every name that an instance tracks."""
        return next(script for script in self.scripts if script.name == name)

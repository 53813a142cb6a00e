"""One virtual router as it was configured, and the group that it may belong to.

Laws: pure, frozen, valid by construction. Times are float seconds. Names are those of keepalived.conf(5), RFC 3768 and
RFC 5798. All defaults that depend on other values (strict mode, state MASTER, a global default) are settled by the
reader of the configuration: what stands here is what holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING

from hakit.diagnostics import Location
from pyvrrp.model.address import Address, Route, Rule, VirtualAddress
from pyvrrp.model.tracking import NOWHERE, NotifyScripts, Tracked, TrackerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

OWNER_PRIORITY = 255
"""The priority of the router that owns the addresses (RFC 3768 section 5.3.4)."""
VRRP_GROUP = IPv4Address("224.0.0.18")
VRRP_GROUP6 = IPv6Address("ff02::12")
"""Where advertisements go (RFC 5798 sections 5.1.1.2 and 5.1.2.2)."""


class InitialState(Enum):
    """The ``state`` keyword: what the configuration wishes, not what the router is."""

    MASTER = "MASTER"
    BACKUP = "BACKUP"


class AuthType(Enum):
    """VRRPv2 authentication as keepalived has it; the numbers are those of RFC 2338 section 5.3.6."""

    NONE = 0
    PASS = 1
    AH = 2


@dataclass(frozen=True, slots=True)
class Authentication:
    """``auth_type`` and the password: at most 8 bytes, padded with zeros on the wire; it does not print."""

    type: AuthType = AuthType.NONE
    password: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        assert len(self.password) <= 8


class HmacMode(Enum):
    """``auth_hmac { mode }``: what is signed, and what is accepted without a trailer."""

    ENFORCE = "enforce"
    PERMISSIVE = "permissive"
    RECEIVE_ONLY = "receive-only"


@dataclass(frozen=True, slots=True)
class HmacAuthentication:
    """``auth_hmac``: a signed trailer behind each advertisement (keepalived 2.4, draft-cassen-vrrp-auth-hmac).

    ``keys`` by id, 1 .. 255, each of 32 to 64 bytes. ``monotonic``: sequence numbers only have to grow, the clock does
    not count. ``time_window`` in seconds, 1 .. 300.
    """

    keys: Mapping[int, bytes] = field(repr=False)
    active_key: int
    monotonic: bool = False
    time_window: int = 5
    mode: HmacMode = HmacMode.ENFORCE

    def __post_init__(self) -> None:
        assert self.active_key in self.keys
        assert 1 <= self.time_window <= 300


@dataclass(frozen=True, slots=True)
class Multicast:
    """Advertisements go to a group on the link of the interface."""

    group: Address = VRRP_GROUP


@dataclass(frozen=True, slots=True)
class UnicastPeer:
    """A router that advertisements are sent to, and the TTLs between which its own are believed (None: 255 only)."""

    address: Address
    min_ttl: int | None = None
    max_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Unicast:
    """Advertisements go to each of the peers, with ``ttl``; ``fault_no_peer``: an empty list means FAULT."""

    peers: tuple[UnicastPeer, ...]
    ttl: int = 255
    fault_no_peer: bool = False


@dataclass(frozen=True, slots=True)
class Vmac:
    """``use_vmac``: a macvlan with the virtual MAC address 00:00:5e:00:01:VRID (IPv6: 00:00:5e:00:02:VRID).

    ``name`` "": keepalived's ``vrrp.VRID``. ``xmit_base``: advertisements leave through the interface below.
    ``addresses_only``: ``use_vmac_addr``, for the lines of ``virtual_ipaddress`` that ask for it.
    """

    name: str = ""
    address: bytes | None = None
    xmit_base: bool = False
    addresses_only: bool = False


@dataclass(frozen=True, slots=True)
class GratuitousArp:
    """``garp_*``: how many gratuitous ARPs or unsolicited NAs, the second burst's delay, refreshes; seconds.

    ``extra_interface``: seconds between further ones on the interface below a VMAC, 0 for none.
    """

    repeat: int = 5
    delay: float = 5.0
    refresh: float = 0.0
    refresh_repeat: int = 1
    lower_prio_repeat: int = 5
    lower_prio_delay: float = 5.0
    extra_interface: float = 0.0


LEAST_LEASE = 2
"""The kernel counts whole seconds and looks once a second: one alone leaves no room for a renewal that comes late."""
LONGEST_LEASE = 86400


def shortest_lease(advert_interval: float) -> int:
    """Return the shortest ``vip_lease`` possible, in seconds: no advertisement leaves with one that is half over."""
    return max(LEAST_LEASE, math.ceil(round(2 * advert_interval, 6)))


def usual_lease(advert_interval: float, down_timer_adverts: int = 3) -> int:
    """Return the ``vip_lease`` of a file that does not say one, in seconds: as long as a backup waits at least.

    It waits 3 intervals and the skew: by then the addresses of a master that has died are gone, or nearly so.
    """
    return max(shortest_lease(advert_interval), math.ceil(round(down_timer_adverts * advert_interval, 6)))


@dataclass(frozen=True, slots=True)
class Instance:
    """A ``vrrp_instance`` block: one virtual router on one interface, of one address family.

    ``source`` None: the primary address of the interface (in IPv6 its link-local one); ``track_source``: without it,
    FAULT. ``track_primary``: whether the interface itself is tracked (not ``dont_track_primary``). ``accept``: whether
    the host answers what is sent to the addresses that it does not own. ``timer_expired_backup``: seconds since
    the last advertisement after which a late master leaves the addresses to whoever may have taken over; 0: never.
    ``answers_higher_priority``: whether it says a last word before it yields; None: where it became master in silence.
    ``vip_lease``: whole seconds for which the kernel keeps the addresses unless they are renewed; None: for ever.
    """

    name: str
    interface: str
    virtual_router_id: int
    priority: int = 100
    initial_state: InitialState = InitialState.BACKUP
    advert_interval: float = 1.0
    version: int = 2
    family: int = 4
    preempt: bool = True
    preempt_delay: float = 0.0
    authentication: Authentication = Authentication()
    hmac: HmacAuthentication | None = None
    transport: Multicast | Unicast = Multicast()
    source: Address | None = None
    track_source: bool = False
    track_primary: bool = True
    check_unicast_source: bool = False
    old_unicast_checksum: bool = False
    checksum_as_v2: bool = False
    skip_check_addresses: bool = False
    strict: bool = False
    accept: bool = True
    answers_lower_priority: bool = True
    answers_higher_priority: bool | None = None
    owner_ignores_adverts: bool = False
    promote_secondaries: bool = False
    timer_expired_backup: float = 0.0
    vip_lease: int | None = None
    receive_buffer: int | None = None
    vmac: Vmac | None = None
    vrf: str | None = None
    addresses: tuple[VirtualAddress, ...] = ()
    excluded: tuple[VirtualAddress, ...] = ()
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    tracked: tuple[Tracked, ...] = ()
    notify: NotifyScripts = field(default_factory=NotifyScripts)
    notify_priority_changes: bool = False
    notify_deleted: bool = False
    smtp_alert: bool = False
    garp: GratuitousArp = GratuitousArp()
    down_timer_adverts: int = 3
    debug: int = 0
    location: Location = NOWHERE

    def __post_init__(self) -> None:
        assert 1 <= self.virtual_router_id <= 255
        assert 1 <= self.priority <= OWNER_PRIORITY
        assert self.version in {2, 3}
        assert self.family in {4, 6}
        assert self.family == 4 or self.version == 3
        assert self.vip_lease is None or self.vip_lease >= shortest_lease(self.advert_interval)

    @property
    def identity(self) -> tuple[str, int, int, bool]:
        """By which a reload knows it again, whatever its name: interface, family, VRID, and whether it is unicast."""
        return self.interface, self.family, self.virtual_router_id, isinstance(self.transport, Unicast)

    @property
    def devices(self) -> frozenset[str]:
        """The interfaces without which this instance cannot be master: its own, and those of its addresses."""
        carried = (*self.addresses, *self.excluded)
        others = {address.device for address in carried if address.device and address.tracked}
        return frozenset(others | ({self.interface} if self.track_primary else set()))

    @property
    def track_scripts(self) -> tuple[Tracked, ...]:
        """The lines of ``track_script``."""
        return tuple(one for one in self.tracked if one.kind is TrackerKind.SCRIPT)

    @property
    def track_interfaces(self) -> tuple[str, ...]:
        """The names of the interfaces in ``track_interface``."""
        return tuple(one.name for one in self.tracked if one.kind is TrackerKind.INTERFACE)

    @property
    def is_owner(self) -> bool:
        """Whether this router owns the addresses: then it is Master at once, and nothing lowers its priority."""
        return self.priority == OWNER_PRIORITY


@dataclass(frozen=True, slots=True)
class SyncGroup:
    """A ``vrrp_sync_group`` block: instances that are master together or not at all.

    ``tracked`` holds for every member. ``uses_weights``: ``sync_group_tracking_weight``: the weights of its members'
    trackers count.
    """

    name: str
    members: tuple[str, ...]
    tracked: tuple[Tracked, ...] = ()
    notify: NotifyScripts = field(default_factory=NotifyScripts)
    notify_priority_changes: bool = False
    uses_weights: bool = False
    smtp_alert: bool = False
    location: Location = NOWHERE

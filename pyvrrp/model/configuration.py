"""A whole configuration: what holds for the daemon, and all that it has to run.

Laws: pure, frozen, valid by construction: every name that something refers to exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pyvrrp.model.address import Address, Route, Rule, VirtualAddress
from pyvrrp.model.instance import VRRP_GROUP, VRRP_GROUP6, GratuitousArp, Instance, SyncGroup
from pyvrrp.model.tracking import Fifo, Script, TrackFile, TrackHttp, TrackProcess, TrackScript


@dataclass(frozen=True, slots=True)
class Spacing:
    """Seconds between two gratuitous ARPs (``garp_interval``) and two unsolicited NAs (``gna_interval``) on a link."""

    arp: float = 0.0
    na: float = 0.0


@dataclass(frozen=True, slots=True)
class Settling:
    """``interface_up_down_delays``: seconds for which a change of a link has to last before it counts."""

    down: float = 0.0
    up: float = 0.0


@dataclass(frozen=True, slots=True)
class TrackGroup:
    """``track_group``: instances whose master or not decides whether a static address, route or rule is there."""

    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dumps:
    """Where dumps go; None: keepalived's names in TMPDIR or /tmp. ``json_version`` 1 or 2."""

    data: str | None = None
    statistics: str | None = None
    json: str | None = None
    json_version: int = 1


@dataclass(frozen=True, slots=True)
class Reloading:
    """``reload_*``: a file that says when to reload, and which one. ``check`` is on in every case."""

    time_file: str | None = None
    repeat: bool = False
    file: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the process itself runs; None: as it was started.

    ``max_auto_priority``: how far its realtime priority grows while timers are late by more than
    ``min_auto_priority_delay`` microseconds; 0: not at all, -1: the same, and keepalived does not recommend it.
    """

    rt_priority: int | None = None
    rlimit_rttime: int | None = None
    nice: int | None = None
    cpu_affinity: frozenset[int] = frozenset()
    no_swap: bool = False
    umask: int | None = None
    name: str | None = None
    max_auto_priority: int = 0
    min_auto_priority_delay: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Defaults:
    """What ``global_defs`` says for instances that say nothing themselves: for the dumps, the instances have it all."""

    interface: str = ""
    version: int = 2
    garp: GratuitousArp = field(default_factory=GratuitousArp)
    down_timer_adverts: int = 3
    answers_lower_priority: bool = True
    answers_higher_priority: bool | None = None
    check_unicast_source: bool = False
    skip_check_addresses: bool = False
    strict: bool = False
    notify_priority_changes: bool = False
    smtp_alert: bool | None = None


@dataclass(frozen=True, slots=True)
class GlobalSettings:
    """``global_defs``, as far as it is not a default that the instances have taken over already.

    ``startup_delay``: seconds for which every instance only listens. ``dynamic_interfaces``: an interface may come
    later. ``http``: address and port of the status pages, ours alone. ``spacing`` and ``settling`` are by interface,
    ``""`` being what holds for the others.
    """

    router_id: str = ""
    script_user: str | None = None
    script_group: str | None = None
    script_security: bool = True
    startup_delay: float = 0.0
    delay_after_boot: bool = False
    dynamic_interfaces: bool = False
    allow_interface_changes: bool = False
    multicast_group4: Address = VRRP_GROUP
    multicast_group6: Address = VRRP_GROUP6
    disable_local_igmp: bool = False
    log_unknown_vrids: bool = False
    minimal_garp: bool = False
    spacing: Mapping[str, Spacing] = field(default_factory=lambda: MappingProxyType({}))
    settling: Mapping[str, Settling] = field(default_factory=lambda: MappingProxyType({}))
    fifo: Fifo | None = None
    vrrp_fifo: Fifo | None = None
    fifo_states_on_reload: bool = False
    nftables_table: str = "keepalived"
    nftables_priority: int = -1
    startup_script: Script | None = None
    startup_script_timeout: float = 10.0
    shutdown_script: Script | None = None
    shutdown_script_timeout: float = 10.0
    dumps: Dumps = Dumps()
    reloading: Reloading = Reloading()
    process: ProcessSettings = ProcessSettings()
    namespace: str | None = None
    instance_name: str | None = None
    use_pid_dir: bool = False
    random_seed: int | None = None
    vmac_prefix: str = "vrrp"
    http: tuple[str, int] | None = None
    defaults: Defaults = field(default=Defaults(), compare=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole configuration: the instances and groups, what they track, and what is there whoever is master."""

    instances: tuple[Instance, ...]
    scripts: tuple[TrackScript, ...] = ()
    settings: GlobalSettings = GlobalSettings()
    groups: tuple[SyncGroup, ...] = ()
    files: tuple[TrackFile, ...] = ()
    processes: tuple[TrackProcess, ...] = ()
    urls: tuple[TrackHttp, ...] = ()
    static_addresses: tuple[VirtualAddress, ...] = ()
    static_routes: tuple[Route, ...] = ()
    static_rules: tuple[Rule, ...] = ()
    track_groups: tuple[TrackGroup, ...] = ()

    def script(self, name: str) -> TrackScript:
        """Return the ``vrrp_script`` of this name; it exists for every name that an instance tracks."""
        return next(script for script in self.scripts if script.name == name)

    def group_of(self, instance: str) -> SyncGroup | None:
        """Return the sync group that the instance of this name is a member of, or None."""
        return next((group for group in self.groups if instance in group.members), None)

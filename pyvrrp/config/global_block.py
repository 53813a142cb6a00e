"""``global_defs``: what holds for all instances, and the defaults that they start from.

Laws: pure. As in keepalived, an instance takes the defaults that stand before it in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.known import GLOBAL_DEFS
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import VRRP_GROUP, VRRP_GROUP6, GlobalSettings, GratuitousArp

MOST = 2**31 - 1
_TIMES = {"master_delay": "delay", "master_refresh": "refresh", "lower_prio_delay": "lower_prio_delay"}
_COUNTS = {
    "master_repeat": "repeat",
    "master_refresh_repeat": "refresh_repeat",
    "lower_prio_repeat": "lower_prio_repeat",
}
GARP_KEYWORDS = tuple(f"garp_{name}" for name in (*_TIMES, *_COUNTS))
"""In an instance; with ``vrrp_`` before them in ``global_defs``."""


@dataclass(slots=True)
class Garp:
    """``garp_*`` while it is read: the values for lower_prio follow those for master unless they are given."""

    values: GratuitousArp = field(default_factory=GratuitousArp)
    own_lower_delay: bool = False
    own_lower_repeat: bool = False

    def set(self, statement: Statement, notes: Notes, name: str) -> None:
        """Carry out one of GARP_KEYWORDS, with or without ``vrrp_``, for the instance or block ``name``."""
        keyword = statement.name.removeprefix("vrrp_").removeprefix("garp_")
        text = statement.parameters[0].text
        try:
            if keyword in _TIMES:
                self._set(_TIMES[keyword], whole(text, 0, 86400))
            else:
                self._set(_COUNTS[keyword], max(whole(text, 0, MOST), 1))
                if whole(text, 0, MOST) == 0:
                    notes.warn(statement, f"({name}): {statement.name} must be greater than 0, setting to 1")
        except ValueError as wrong:
            notes.warn(statement, f"negative number '{text}'" if text.startswith("-") else str(wrong))
            notes.warn(statement, f"({name}): {statement.name} '{text}' invalid - ignoring")

    def _set(self, name: str, value: Any) -> None:
        self.own_lower_delay |= name == "lower_prio_delay"
        self.own_lower_repeat |= name == "lower_prio_repeat"
        changed = {name: value}
        if name == "delay" and not self.own_lower_delay:
            changed["lower_prio_delay"] = value
        if name == "repeat" and not self.own_lower_repeat:
            changed["lower_prio_repeat"] = value
        self.values = replace(self.values, **changed)


@dataclass(slots=True)
class InstanceDefaults:
    """What an instance starts from, under the names of ``model.Instance`` where it has them.

    ``version`` None: not given, so 2 for IPv4 and 3 for IPv6. ``smtp_alert`` None: not given. ``multicast_group4`` and
    ``6`` are the groups of an instance without ``mcast_dst_ip``. ``receive_buffer``: ``vrrp_rx_bufs_policy`` as bytes,
    None for what the kernel gives. ``script_user`` is the user and group of scripts that name none.
    """

    interface: str = ""
    version: int | None = None
    strict: bool = False
    check_unicast_source: bool = False
    skip_check_addresses: bool = False
    checksum_as_v2: bool = False
    answers_lower_priority: bool = True
    answers_higher_priority: bool = False
    owner_ignores_adverts: bool = False
    notify_priority_changes: bool = False
    smtp_alert: bool | None = None
    down_timer_adverts: int = 3
    garp: Garp = field(default_factory=Garp)
    receive_buffer: int | None = None
    multicast_group4: IPv4Address = VRRP_GROUP
    multicast_group6: IPv6Address = VRRP_GROUP6
    script_user: tuple[str, str | None] | None = None


@dataclass(slots=True)
class GlobalBlock:
    """``global_defs`` while it is read: ``defaults`` for the instances, ``settings`` for the daemon."""

    notes: Notes
    defaults: InstanceDefaults = field(default_factory=InstanceDefaults)
    settings: GlobalSettings = field(default_factory=GlobalSettings)
    router_id: str = ""
    script_security: bool = True

    @property
    def script_user(self) -> tuple[str, str | None] | None:
        """The user and group of scripts that name none."""
        return self.defaults.script_user

    @property
    def garp(self) -> Garp:
        """``vrrp_garp_*``."""
        return self.defaults.garp

    @property
    def down_timer_adverts(self) -> int:
        """``vrrp_down_timer_adverts``."""
        return self.defaults.down_timer_adverts

    @property
    def default_interface(self) -> str:
        """``default_interface``."""
        return self.defaults.interface

    def set_router_id(self, statement: Statement) -> None:
        """``router_id NAME``."""
        self.router_id = statement.parameters[0].text

    def set_script_user(self, statement: Statement) -> None:
        """``script_user NAME [GROUP]``."""
        name, *group = (word.text for word in statement.parameters)
        self.defaults.script_user = name, group[0] if group else None

    def set_script_security(self, statement: Statement) -> None:
        """``enable_script_security``: on from the start here, so that only ``off`` changes anything."""
        words = [word.text for word in statement.parameters]
        self.script_security = words not in (["off"], ["false"], ["no"])
        if not self.script_security:
            self.notes.advise(statement, "script security is off: scripts that others may change run as they are")

    def set_default_interface(self, statement: Statement) -> None:
        """``default_interface IF``."""
        try:
            self.defaults.interface = interface_name(statement.parameters[0].text)
        except ValueError as wrong:
            self.notes.error(statement, str(wrong))

    def set_version(self, statement: Statement) -> None:
        """``vrrp_version N``."""
        read_version(statement, self.notes, "global_defs")

    def set_garp(self, statement: Statement) -> None:
        """``vrrp_garp_*``."""
        self.garp.set(statement, self.notes, "global_defs")

    def set_down_timer_adverts(self, statement: Statement) -> None:
        """``vrrp_down_timer_adverts N``."""
        self.defaults.down_timer_adverts = read_down_timer_adverts(
            statement, self.notes, "global_defs", self.down_timer_adverts
        )


def read_version(statement: Statement, notes: Notes, name: str) -> None:
    """Note an error unless ``statement`` asks for version 2 of VRRP."""
    text = statement.parameters[0].text
    if text == "3":
        notes.error(statement, "VRRP version 3 is not supported: this version speaks VRRPv2 only")
    elif text != "2":
        notes.error(statement, f"({name}): Version must be either 2 or 3: write 2")


def read_down_timer_adverts(statement: Statement, notes: Notes, name: str, default: int) -> int:
    """Return after how many advertisements that did not come the Master counts as down: 1 to 100."""
    text = statement.parameters[0].text
    try:
        return whole(text, 1, 100)
    except ValueError as wrong:
        notes.warn(statement, str(wrong))
        notes.warn(statement, f"({name}): Invalid down_timer_adverts [1:100] '{text}'")
        return default


TABLE: Table[GlobalBlock] = Table(
    {
        "router_id": Keyword(GlobalBlock.set_router_id),
        "script_user": Keyword(GlobalBlock.set_script_user, most=2),
        "enable_script_security": Keyword(GlobalBlock.set_script_security, parameters=0, most=1),
        "default_interface": Keyword(GlobalBlock.set_default_interface),
        "vrrp_version": Keyword(GlobalBlock.set_version),
        "vrrp_down_timer_adverts": Keyword(GlobalBlock.set_down_timer_adverts),
        **{f"vrrp_{name}": Keyword(GlobalBlock.set_garp) for name in GARP_KEYWORDS},
    },
    GLOBAL_DEFS,
)

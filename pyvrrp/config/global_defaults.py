"""``global_defs``: what holds for all instances, and the defaults that they start from.

Laws: pure. As in keepalived, an instance takes the defaults that stand before it in the file. What each keyword does
stands beside its row in ``global_instances.py``, ``global_daemon.py`` and ``global_process.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pyvrrp.config.keywords import Notes
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import lease, whole
from pyvrrp.model import VRRP_GROUP, VRRP_GROUP6, Defaults, GlobalSettings, GratuitousArp, Script

MOST = 2**31 - 1
_TIMES = {"master_delay": "delay", "master_refresh": "refresh", "lower_prio_delay": "lower_prio_delay"}
_COUNTS = {
    "master_repeat": "repeat",
    "master_refresh_repeat": "refresh_repeat",
    "lower_prio_repeat": "lower_prio_repeat",
}
_INVALID = {
    "vrrp_garp_master_refresh": "{}Invalid {} '{}' - ignoring",
    "vrrp_garp_lower_prio_repeat": "{}Invalid {} '{}'",
}
"""Where keepalived words it differently."""
GARP_KEYWORDS = tuple(f"garp_{name}" for name in (*_TIMES, *_COUNTS))
"""In an instance; with ``vrrp_`` before them in ``global_defs``."""


@dataclass(slots=True)
class Garp:
    """``garp_*`` while it is read: the values for lower_prio follow those for master unless they are given."""

    values: GratuitousArp = field(default_factory=GratuitousArp)
    own_lower_delay: bool = False
    own_lower_repeat: bool = False

    def set(self, statement: Statement, notes: Notes, name: str) -> None:
        """Carry out one of GARP_KEYWORDS for the instance ``name``, or with ``vrrp_`` and ``""`` for all of them."""
        keyword = statement.name.removeprefix("vrrp_").removeprefix("garp_")
        text, about = statement.parameters[0].text, f"({name}): " if name else ""
        try:
            if keyword in _TIMES:
                self._set(_TIMES[keyword], whole(text, 0, 86400))
                return
            count, least = whole(text, 0, MOST), 0 if statement.name == "vrrp_garp_lower_prio_repeat" else 1
            if count < least:
                notes.warn(statement, f"{about}{statement.name} must be greater than 0, setting to 1")
            self._set(_COUNTS[keyword], max(count, least))
        except ValueError as wrong:
            notes.warn(statement, f"negative number '{text}'" if text.startswith("-") else str(wrong))
            notes.warn(
                statement,
                _INVALID.get(statement.name, "{}{} '{}' invalid - ignoring").format(about, statement.name, text),
            )

    def _set(self, name: str, value: Any) -> None:
        self.own_lower_delay |= name == "lower_prio_delay"
        self.own_lower_repeat |= name == "lower_prio_repeat"
        changed = {name: value}
        if name == "delay" and not self.own_lower_delay:
            changed["lower_prio_delay"] = value
        if name == "repeat" and not self.own_lower_repeat:
            changed["lower_prio_repeat"] = value
        self.values = replace(self.values, **changed)

    def least(self) -> None:
        """``vrrp_min_garp``: one packet and no second round, wherever nothing else has been said before."""
        usual = GratuitousArp()
        if self.values.repeat == usual.repeat:
            self._set("repeat", 1)
        if self.values.delay == usual.delay:
            self._set("delay", 0)


@dataclass(slots=True)
class InstanceDefaults:
    """What an instance starts from, under the names of ``model.Instance`` where it has them.

    ``version`` None: not given, so 2 for IPv4 and 3 for IPv6. ``smtp_alert`` None: not given. ``multicast_group4`` and
    ``6`` are the groups of an instance without ``mcast_dst_ip``. ``receive_buffer``: ``vrrp_rx_bufs_policy`` as bytes,
    None for what the kernel gives. ``script_user`` is the user and group of scripts that name none. ``vip_lease``: None
    for what follows from the interval, 0 for none.
    """

    interface: str = ""
    version: int | None = None
    strict: bool = False
    check_unicast_source: bool = False
    skip_check_addresses: bool = False
    checksum_as_v2: bool = False
    answers_lower_priority: bool = True
    answers_higher_priority: bool | None = None
    owner_ignores_adverts: bool = False
    notify_priority_changes: bool = False
    smtp_alert: bool | None = None
    down_timer_adverts: int = 3
    vip_lease: int | None = None
    garp: Garp = field(default_factory=Garp)
    receive_buffer: int | None = None
    multicast_group4: IPv4Address = VRRP_GROUP
    multicast_group6: IPv6Address = VRRP_GROUP6
    script_user: tuple[str, str | None] | None = None

    def settled(self) -> Defaults:
        """Return what the dumps show of these."""
        return Defaults(
            interface=self.interface,
            version=2 if self.version is None else self.version,
            garp=self.garp.values,
            down_timer_adverts=self.down_timer_adverts,
            answers_lower_priority=self.answers_lower_priority,
            answers_higher_priority=self.answers_higher_priority,
            check_unicast_source=self.check_unicast_source,
            skip_check_addresses=self.skip_check_addresses,
            strict=self.strict,
            notify_priority_changes=self.notify_priority_changes,
            smtp_alert=self.smtp_alert,
        )


@dataclass(slots=True)
class GlobalBlock:
    """``global_defs`` while it is read: ``defaults`` for the instances, ``settings`` for the daemon.

    ``told_of_mail``: that mail is not sent is said once. ``said``: keywords of which only the first one counts.
    ``fifo_scripts``: by the field of ``settings`` that their FIFO is in, since a script may stand before its FIFO.
    """

    notes: Notes
    defaults: InstanceDefaults = field(default_factory=InstanceDefaults)
    settings: GlobalSettings = field(default_factory=GlobalSettings)
    router_id: str = ""
    script_security: bool = True
    told_of_mail: bool = False
    said: set[str] = field(default_factory=set)
    fifo_scripts: dict[str, Script] = field(default_factory=dict)

    @property
    def script_user(self) -> tuple[str, str | None] | None:
        """The user and group of scripts that name none."""
        return self.defaults.script_user

    @property
    def default_interface(self) -> str:
        """``default_interface``."""
        return self.defaults.interface

    def change(self, **values: Any) -> None:
        """Set fields of ``settings``."""
        self.settings = replace(self.settings, **values)


def read_vip_lease(statement: Statement, notes: Notes, default: int | None) -> int | None:
    """Return what ``vip_lease`` says: seconds, 0 for none, None for what follows from the interval."""
    try:
        return lease(statement.parameters[0].text)
    except ValueError as wrong:
        notes.error(statement, f"vip_lease {wrong}")
        return default


def read_down_timer_adverts(statement: Statement, notes: Notes, name: str, default: int) -> int:
    """Return after how many advertisements that did not come the Master counts as down: 1 to 100."""
    text = statement.parameters[0].text
    try:
        return whole(text, 1, 100)
    except ValueError as wrong:
        notes.warn(statement, str(wrong))
        notes.warn(statement, f"{f'({name}): ' if name else ''}Invalid {statement.name} [1:100] '{text}'")
        return default

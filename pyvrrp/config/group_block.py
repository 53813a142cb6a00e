"""``vrrp_sync_group``: instances that are master together, or not at all.

Laws: pure. Which members exist is known at the end of the file only (``finished``), for groups often stand first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pyvrrp.config.instance_block import NOTIFY_ABOUT, TRACK_ABOUT
from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.known import Disposition
from pyvrrp.config.notify_lines import NotifyLines
from pyvrrp.config.tracking import TrackedLines, Trackers, in_order
from pyvrrp.config.tree import Statement
from pyvrrp.model import Instance, SyncGroup


def members_of(statement: Statement) -> list[str]:
    """Return the names in ``group { ... }``: one a line, or all on one."""
    return [word.text for line in statement.block or () for word in line.words]


@dataclass(slots=True)
class GroupBlock:
    """A ``vrrp_sync_group`` block while it is read."""

    statement: Statement
    notes: Notes
    trackers: Trackers
    user: tuple[str, str | None] | None
    smtp_alert: bool
    tracked: TrackedLines = field(init=False)
    notify: NotifyLines = field(init=False)
    members: list[str] | None = None
    uses_weights: bool = False

    def __post_init__(self) -> None:
        self.tracked = TrackedLines(self.name, self.trackers, self.notes)
        self.notify = NotifyLines(self.name, self.notes, self.user)

    @property
    def name(self) -> str:
        """The group's name."""
        return self.statement.parameters[0].text

    def set_members(self, statement: Statement) -> None:
        """``group { A B }``."""
        if self.members is not None:
            self.notes.warn(statement, f"Group list already specified for sync group {self.name}")
            return
        self.members = members_of(statement)
        if not self.members:
            self.notes.warn(statement, f"Warning - sync group {self.name} has empty group block")

    def set_tracked(self, statement: Statement) -> None:
        """``track_* { ... }``."""
        self.tracked.read(statement)

    def refuse_bfd(self, statement: Statement) -> None:
        """``track_bfd``: a group that does not watch what it should may be master where nothing works."""
        self.notes.error(
            statement, f"({self.name}) track_bfd is not supported: track a script, a process or a URL instead"
        )

    def set_uses_weights(self, statement: Statement) -> None:
        """``sync_group_tracking_weight``, and its deprecated forerunner ``global_tracking``."""
        if statement.name == "global_tracking":
            self.notes.warn(
                statement,
                f"({self.name}) global_tracking is deprecated. Use track_interface/script/file on the sync group",
            )
        self.uses_weights = True

    def set_script(self, statement: Statement) -> None:
        """``notify`` and ``notify_*``."""
        self.notify.set_script(statement)

    def set_switch(self, statement: Statement) -> None:
        """``notify_priority_changes`` and ``smtp_alert``."""
        self.notify.set_switch(statement)

    def read(self) -> SyncGroup | None:
        """Return the group with all members that it names, or None if it names none."""
        TABLE.read(self, self.statement.block or (), self.notes)
        if not self.members:
            self.notes.warn(self.statement, f"Sync group {self.name} has no virtual router(s). removing")
            return None
        alert = self.notify.smtp_alert
        return SyncGroup(
            self.name,
            tuple(self.members),
            tracked=in_order(self.tracked.found.values()),
            notify=self.notify.scripts,
            notify_priority_changes=bool(self.notify.priority_changes),
            uses_weights=self.uses_weights,
            smtp_alert=self.smtp_alert if alert is None else alert,
            location=self.statement.location,
        )


def finished(group: SyncGroup, instances: Mapping[str, Instance], taken: set[str], notes: Notes) -> SyncGroup | None:
    """Return ``group`` with the members that exist and are in no group yet, or None if there are none.

    Those are put into ``taken``.
    """
    members: list[str] = []
    for name in group.members:
        if name not in instances:
            about = f"Virtual router {name} specified in sync group {group.name} doesn't exist - ignoring"
            notes.warn(group.location, about)
        elif name in taken:
            about = f"Virtual router {name} cannot exist in more than one sync group; ignoring {group.name}"
            notes.warn(group.location, about)
        else:
            taken.add(name)
            members.append(name)
    if not members:
        about = f"Sync group {group.name}, no matching virtual router found in group declaration - removing"
        notes.warn(group.location, about)
        return None
    if len(members) == 1:
        about = f"Sync group {group.name} has only 1 virtual router(s) - this probably isn't what you want"
        notes.warn(group.location, about)
    if len({instances[name].is_owner for name in members}) > 1:
        about = f"Sync group {group.name} has some member(s) as address owner and some not as address owner."
        notes.advise(group.location, f"{about} This won't work.")
    return replace(group, members=tuple(members))


def _notify_keyword(tier: int, about: str) -> Keyword[GroupBlock]:
    return Keyword(GroupBlock.set_script, most=3, tier=max(tier, 2), default="none", about=about)


def _block(handle: Callable[[GroupBlock, Statement], None], about: str, tier: int) -> Keyword[GroupBlock]:
    return Keyword(handle, parameters=0, block=True, tier=tier, default="none", about=about)


TABLE: Table[GroupBlock] = Table(
    {
        "group": Keyword(
            GroupBlock.set_members,
            parameters=0,
            block=True,
            tier=2,
            default="required",
            about="The instances of the group.",
        ),
        **{
            name: _block(GroupBlock.set_tracked, f"{about} For all members.", max(tier, 2) if tier else 0)
            for name, (tier, about) in TRACK_ABOUT.items()
        },
        "track_bfd": Keyword(
            GroupBlock.refuse_bfd, parameters=0, block=True, tier=2, about="BFD.", disposition=Disposition.REFUSED
        ),
        **{
            name: _notify_keyword(tier, about)
            for name, (tier, about) in NOTIFY_ABOUT.items()
            if name != "notify_master_rx_lower_pri"
        },
        "notify_priority_changes": Keyword(
            GroupBlock.set_switch, parameters=0, most=1, tier=2, default="off", about="The FIFO is told of priorities."
        ),
        "smtp_alert": Keyword(
            GroupBlock.set_switch,
            parameters=0,
            most=1,
            tier=2,
            default="off",
            about="No mail is sent.",
            disposition=Disposition.ACCEPTED,
        ),
        "global_tracking": Keyword(
            GroupBlock.set_uses_weights,
            parameters=0,
            tier=2,
            default="off",
            about="Deprecated: sync_group_tracking_weight.",
        ),
        "sync_group_tracking_weight": Keyword(
            GroupBlock.set_uses_weights,
            parameters=0,
            tier=2,
            default="off",
            about="Weights of its members' trackers count.",
        ),
    }
)

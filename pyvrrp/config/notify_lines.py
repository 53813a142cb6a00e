"""``notify`` and ``notify_*`` of an instance or a group.

Laws: pure. The first script of a kind counts, as in keepalived; a second one is named and left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pyvrrp.config.keywords import Notes
from pyvrrp.config.script_block import read_script
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import switch
from pyvrrp.model import NotifyScripts


@dataclass(slots=True)
class NotifyLines:
    """The notifications of ``name`` while they are read; ``user`` is whom scripts run as that do not say."""

    name: str
    notes: Notes
    user: tuple[str, str | None] | None
    scripts: NotifyScripts = field(default_factory=NotifyScripts)
    deleted: bool = False
    priority_changes: bool | None = None
    smtp_alert: bool | None = None

    def set_script(self, statement: Statement) -> None:
        """``notify[_*] SCRIPT [USER [GROUP]]``."""
        kind = statement.name.removeprefix("notify").removeprefix("_") or "any"
        if getattr(self.scripts, kind) is not None:
            text = statement.parameters[0].text
            self.notes.warn(statement, f"({self.name}) {statement.name} script already specified - ignoring {text}")
            return
        script = read_script(statement, self.notes, self.user)
        if script is not None:
            self.scripts = replace(self.scripts, **{kind: script})

    def set_deleted(self, statement: Statement) -> None:
        """``notify_deleted [SCRIPT [USER [GROUP]]]``: DELETED is told, and not FAULT."""
        if statement.parameters:
            self.set_script(statement)
        self.deleted = True

    def set_switch(self, statement: Statement) -> None:
        """``notify_priority_changes [BOOL]`` and ``smtp_alert [BOOL]``."""
        text = statement.parameters[0].text if statement.parameters else "on"
        try:
            on = switch(text)
        except ValueError:
            self.notes.warn(statement, f"({self.name}) Invalid value '{text}' for {statement.name} specified")
            return
        if statement.name == "smtp_alert":
            self.smtp_alert = on
            if on:
                self.notes.advise(statement, f"({self.name}) smtp_alert: no mail is sent; use notify, or the events")
        else:
            self.priority_changes = on

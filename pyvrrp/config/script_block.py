"""``vrrp_script``: one block to one TrackScript.

Laws: pure. Where keepalived corrects a value and carries on, so does this, with keepalived's message as a warning.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import decimal, split_script, whole
from pyvrrp.model import Script, TrackScript

LONGEST_INTERVAL = 4294.0
"""Seconds: 2^32 microseconds (keepalived counts in them)."""
SHORTEST_INTERVAL = 0.001
MAX_WEIGHT = 253
"""The priorities that weights may lead to are 1 to 254."""


def read_script(statement: Statement, notes: Notes, user: tuple[str, str | None] | None = None) -> Script | None:
    """Return the script that the first parameter holds, with the user and group behind it or else ``user``."""
    value, *behind = statement.parameters
    try:
        words = split_script(value.text)
    except ValueError as wrong:
        notes.error(value, str(wrong), statement.source)
        return None
    if behind:
        user = behind[0].text, behind[1].text if len(behind) > 1 else None
    name, group = user or (None, None)
    return Script(words, name, group, value.location)


@dataclass(slots=True)
class ScriptBlock:
    """A ``vrrp_script`` block while it is read; ``default_user`` is the global ``script_user``."""

    statement: Statement
    notes: Notes
    default_user: tuple[str, str | None] | None
    script: Script | None = None
    user: tuple[str, str | None] | None = None
    interval: float = 1.0
    timeout: float | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"rise": 1, "fall": 1})
    weight: int = 0
    reverse: bool = False
    init_fail: bool = False

    @property
    def name(self) -> str:
        """The script's name."""
        return self.statement.parameters[0].text

    def set_script(self, statement: Statement) -> None:
        """``script VALUE``."""
        self.script = read_script(statement, self.notes)

    def set_time(self, statement: Statement) -> None:
        """``interval`` and ``timeout``, in seconds, with a fraction as in keepalived's later versions."""
        keyword, text = statement.name, statement.parameters[0].text
        try:
            seconds = decimal(text, 0.0, LONGEST_INTERVAL)
            if not seconds:
                self.notes.warn(statement, f"({self.name}): vrrp script {keyword} must be greater than 0, setting to 1")
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(
                statement, f"({self.name}): vrrp script {keyword} '{text}' must be between 0 and 4294 - ignoring"
            )
            return
        if seconds % 1:
            self.notes.advise(statement, f"({self.name}): keepalived 2.2.7 takes whole seconds only for {keyword}")
        if keyword == "interval":
            self.interval = max(seconds, SHORTEST_INTERVAL) if seconds else 1.0
        else:
            self.timeout = max(seconds, SHORTEST_INTERVAL) if seconds else 1.0

    def set_count(self, statement: Statement) -> None:
        """``rise`` and ``fall``."""
        keyword, text = statement.name, statement.parameters[0].text
        try:
            self.counts[keyword] = whole(text, 1, 2**31 - 1)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(
                statement, f"({self.name}): vrrp script {keyword} value '{text}' invalid, defaulting to {1}"
            )
            self.counts[keyword] = 1

    def set_weight(self, statement: Statement) -> None:
        """``weight N [reverse]``."""
        text, *options = (word.text for word in statement.parameters)
        try:
            self.weight = whole(text, -MAX_WEIGHT, MAX_WEIGHT)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(
                statement, f"vrrp_script {self.name} weight {text} must be in [-{MAX_WEIGHT}, {MAX_WEIGHT}]"
            )
            return
        if options and options[0] == "reverse":
            self.reverse = True
        elif options:
            self.notes.warn(statement, f"vrrp_script {self.name} unknown weight option {options[0]}")

    def set_user(self, statement: Statement) -> None:
        """``user NAME [GROUP]``."""
        name, *group = (word.text for word in statement.parameters)
        self.user = name, group[0] if group else None

    def set_init_fail(self, statement: Statement) -> None:
        """``init_fail``."""
        self.init_fail = statement.name == "init_fail"

    def finish(self) -> TrackScript | None:
        """Return what the block says, or None if an error has been noted."""
        TABLE.read(self, self.statement.block or (), self.notes)
        if self.script is None:
            if not any(inner.name == "script" for inner in self.statement.block or ()):
                self.notes.error(self.statement, f'vrrp_script {self.name} has no script: add script "/path/of/check"')
            return None
        name, group = self.user or self.default_user or (None, None)
        return TrackScript(
            self.name,
            Script(self.script.words, name, group, self.script.location),
            interval=self.interval,
            timeout=self.timeout,
            weight=self.weight,
            reverse=self.reverse,
            rise=self.counts["rise"],
            fall=self.counts["fall"],
            init_fail=self.init_fail,
            location=self.statement.location,
        )


TABLE: Table[ScriptBlock] = Table(
    {
        "script": Keyword(
            ScriptBlock.set_script,
            tier=1,
            default="required",
            about="The program to run, with its arguments; no shell.",
        ),
        "interval": Keyword(
            ScriptBlock.set_time, tier=1, default="1 s; 0.001 to 4294", about="Seconds between two runs."
        ),
        "timeout": Keyword(
            ScriptBlock.set_time,
            tier=1,
            default="interval; 0.001 to 4294",
            about="Seconds after which a run has failed.",
        ),
        "rise": Keyword(ScriptBlock.set_count, tier=1, default="1", about="Successes in a row until it counts as up."),
        "fall": Keyword(ScriptBlock.set_count, tier=1, default="1", about="Failures in a row until it counts as down."),
        "weight": Keyword(
            ScriptBlock.set_weight,
            most=2,
            tier=1,
            default="0; -253 to 253 [reverse]",
            about="What a success adds to the priority, or a failure takes away; 0: a failure means FAULT.",
        ),
        "user": Keyword(
            ScriptBlock.set_user, most=2, tier=1, default="script_user", about="User and group that it runs as."
        ),
        "init_fail": Keyword(
            ScriptBlock.set_init_fail,
            parameters=0,
            tier=1,
            default="off",
            about="Down until it has succeeded rise times.",
        ),
    }
)

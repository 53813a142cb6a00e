"""``track_script`` and ``track_interface``: the lines of an instance that name what it depends on.

Laws: pure. As in keepalived, a script has to be defined before the instance that tracks it, and a line that is not
understood is dropped as a whole, with its message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyvrrp.config.keywords import Notes
from pyvrrp.config.script_block import MAX_WEIGHT
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import Tracked, TrackScript


@dataclass(frozen=True, slots=True)
class Defined:
    """A script that an instance may track, and whether its own block says ``reverse``."""

    script: TrackScript
    reverse: bool = False


def read_tracked(line: Statement, instance: str, defined: Mapping[str, Defined], notes: Notes) -> Tracked | None:
    """Return what ``NAME [weight N [reverse|noreverse]]`` stands for, or None with a warning if it is dropped."""
    name = line.name
    if name not in defined:
        notes.warn(line, f"({instance}) track script {name} not found, ignoring...")
        return None
    weight, reverse = defined[name].script.weight, defined[name].reverse
    words = [word.text for word in line.parameters]
    while words:
        option = words.pop(0)
        if option == "weight" and words:
            try:
                weight = whole(words[0], -MAX_WEIGHT - 1, MAX_WEIGHT + 1)
            except ValueError as wrong:
                notes.warn(line, str(wrong))
                notes.warn(
                    line, f"({instance}) track script {name}: weight must be between [-253..253] inclusive, ignoring..."
                )
                return None
            if abs(weight) > MAX_WEIGHT:
                weight = MAX_WEIGHT if weight > 0 else -MAX_WEIGHT
                notes.warn(line, f"({instance}) weight for {name} cannot be +/-254. Setting to +/-253")
            words.pop(0)
        elif option in {"reverse", "noreverse"}:
            reverse = option == "reverse"
        else:
            notes.warn(line, f"({instance}) unknown track script option {option} - ignoring")
            return None
    return Tracked(name, weight, reverse)


def read_interface(line: Statement, instance: str, notes: Notes) -> str | None:
    """Return the interface of a line of ``track_interface``, or None if it is dropped."""
    try:
        name = interface_name(line.name)
    except ValueError as wrong:
        notes.error(line, str(wrong))
        return None
    words = [word.text for word in line.parameters]
    if words[:1] == ["weight"] and words[1:] not in (["0"], ["0", "noreverse"]):
        notes.advise(
            line,
            f"({instance}) track_interface {name}: a weight is known to keepalived, not carried out;"
            " the line has no effect",
        )
        return None
    if words and words[0] != "weight":
        notes.warn(line, f"({instance}) unknown track_interface {name} option {words[0]} - ignoring")
        return None
    return name

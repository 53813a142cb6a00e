"""What ``pyvrrp ctl`` prints for people, made from the daemon's answers.

Laws: pure. A row an instance, columns as wide as they have to be; what is not known is a dash. Whatever a newer or
older daemon leaves out of its answer is a dash as well.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from hakit.transcript import Event, Value

DASH = "-"


def status(answer: Mapping[str, Value]) -> str:
    """Return the tables of the instances, the groups and the trackers."""
    parts = [_table(("INSTANCE", "STATE", "PRIORITY", "SINCE", "MASTER", "FAULTS"), _instances(answer))]
    groups = _documents(answer, "groups")
    if groups:
        parts.append(_table(("GROUP", "STATE"), [[_text(one.get("name")), _text(one.get("state"))] for one in groups]))
    trackers = _documents(answer, "trackers") or _documents(answer, "scripts")
    if trackers:
        head = ("TRACKER", "KIND", "SAYS", "RUNS", "TIMEOUTS", "LAST", "MEAN", "MAX")
        parts.append(_table(head, [_tracker(one) for one in trackers]))
    if answer.get("maintenance"):
        parts.append("In maintenance: no address is taken until 'pyvrrp ctl maintenance off'.")
    return "\n\n".join(parts)


def _instances(answer: Mapping[str, Value]) -> list[list[str]]:
    return [_instance(one) for one in _documents(answer, "instances")]


def _instance(one: Mapping[str, Value]) -> list[str]:
    base, effective, state = one.get("base_priority"), one.get("effective_priority"), one.get("state")
    priority = _text(effective) if base == effective else f"{_text(effective)} (of {_text(base)})"
    return [
        _text(one.get("name")),
        _text(state) + (" (held)" if one.get("held") else ""),
        priority,
        duration(one.get("age")),
        "this one" if state == "MASTER" else _text(one.get("master")),
        ", ".join(_troubles(one)) or DASH,
    ]


def _troubles(one: Mapping[str, Value]) -> list[str]:
    faults = one.get("faults")
    split = [f"split brain with {peer['address']}" for peer in _documents(one, "peers") if peer.get("rival")]
    return [*(str(fault) for fault in faults), *split] if isinstance(faults, list) else split


def _tracker(one: Mapping[str, Value]) -> list[str]:
    reading = one.get("reading", one.get("works"))
    if isinstance(reading, bool):
        says = "works" if reading else "failed"
    else:
        says = "not known" if reading is None else str(reading)
    kind = str(one.get("kind", "track_script")).removeprefix("track_")
    durations = (seconds(one.get(f"{which}_duration")) for which in ("last", "mean", "max"))
    return [_text(one.get("name")), kind, says, _text(one.get("runs")), _text(one.get("timeouts")), *durations]


def why(answer: Mapping[str, Value]) -> str:
    """Return the explanation of one instance in sentences."""
    name, state = _text(answer.get("instance")), _text(answer.get("state"))
    rule = f" [{answer['rule']}]" if answer.get("rule") else ""
    lines = [f"{name} is {state} since {duration(answer.get('age'))}: {_text(answer.get('because'))}{rule}"]
    if answer.get("held_by_operator"):
        lines.append(f"An operator holds it: 'pyvrrp ctl release {name}' leaves it to its priorities again.")
    base, effective = answer.get("base_priority"), answer.get("effective_priority")
    lines.append(f"Priority {_text(effective)}" + (f", configured {_text(base)}" if base != effective else ""))
    lines += [f"  {_contribution(one)}" for one in _documents(answer, "trackers")]
    faults = answer.get("faults")
    if isinstance(faults, list):
        lines += [f"Fault: {fault}" for fault in faults]
    others = answer.get("other_masters")
    if isinstance(others, list):
        lines += [f"Split brain: {other} is heard as master, too" for other in others]
    if answer.get("master"):
        lines.append(f"Master is {answer['master']}, priority {_text(answer.get('master_priority'))}")
    changes = answer.get("would_change")
    if isinstance(changes, list) and changes:
        lines += ["What would change it:", *(f"  {change}" for change in changes)]
    return "\n".join(lines)


def _contribution(one: Mapping[str, Value]) -> str:
    reading, adds = one.get("reading"), one.get("adds")
    says = {True: "works", False: "has failed"}.get(reading, "") if isinstance(reading, bool) else _unread(reading)
    effect = "weight 0: FAULT if it fails" if not one.get("weight") else f"weight {one['weight']}"
    changed = f", {adds:+d}" if isinstance(adds, int) and adds else ""
    reverse = ", reversed" if one.get("reverse") else ""
    return f"{_text(one.get('name'))} ({_text(one.get('kind'))}, {effect}{reverse}) {says}{changed}"


def _unread(reading: Value) -> str:
    return "is not known yet" if reading is None else f"says {reading}"


def event(told: Event) -> str:
    """Return one line about an event: time of day, source, name, reason."""
    at = time.strftime("%H:%M:%S", time.localtime(told.wall)) + f".{int(told.wall % 1 * 1000):03d}"
    moved = f"{told.get('from')} -> {told.get('to')}: " if told.event == "transition" else ""
    rest = told.reason or " ".join(f"{name}={value}" for name, value in told.values.items())
    return f"{at}  {told.source:<12} {told.event:<24} {moved}{rest}".rstrip()


def duration(value: Value) -> str:
    """Return seconds as people say them: 4.2 s, 3 min 20 s, 5 h 3 min, 2 d 7 h."""
    if not isinstance(value, int | float):
        return DASH
    if value < 60:
        return f"{value:.1f} s"
    whole = int(value)
    for size, name, smaller, of in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // smaller} {of}"
    raise AssertionError(value)


def seconds(value: Value) -> str:
    """Return a short time: in milliseconds below one second."""
    if not isinstance(value, int | float):
        return DASH
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s"


def _documents(answer: Mapping[str, Value], name: str) -> list[dict[str, Value]]:
    found = answer.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(value: Value) -> str:
    return DASH if value is None else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows))
    return "\n".join(line.rstrip() for line in lines)

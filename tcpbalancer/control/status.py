"""The answer to the command ``status``: the snapshot as one JSON document.

Laws: pure. The names are those of ``tcpbalancer.statistics``; an enumeration becomes its value.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum

from hakit.transcript import Value
from tcpbalancer.statistics import Snapshot


def status(snapshot: Snapshot) -> Value:
    """Return the snapshot as what json.dumps takes."""
    return _plain(snapshot)


def _plain(value: object) -> Value:
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    assert isinstance(value, tuple)
    return [_plain(item) for item in value]

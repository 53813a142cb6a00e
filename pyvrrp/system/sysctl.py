"""Kernel settings of interfaces that a virtual router needs otherwise than they are.

Laws: what was changed is remembered with its value, and put back at the end, last change first; a setting that
somebody else has changed since is left alone, and so is one whose interface is gone. sysctl(8),
Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class Setting:
    """One changed setting: its path below /proc/sys/net, what it was, what we made of it."""

    path: str
    before: str
    after: str


class Settings:
    """Reads and changes settings, and puts them back."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._changed: dict[str, Setting] = {}

    def read(self, path: str) -> str | None:
        """Return the value, or None if there is no such setting."""
        try:
            return (self._root / path).read_text(encoding="ascii").strip()
        except OSError:
            return None

    def write(self, path: str, value: str) -> bool:
        """Set it, if it is there and different, for good; returns whether it has the value now."""
        if self.read(path) == value:
            return True
        try:
            (self._root / path).write_text(value, encoding="ascii")
        except OSError:
            return False
        return True

    def change(self, path: str, value: str) -> bool:
        """As ``write``, and remember what it was; returns whether it was changed now."""
        before = self.read(path)
        if before is None or before == value or not self.write(path, value):
            return False
        first = self._changed.get(path)
        self._changed[path] = Setting(path, first.before if first is not None else before, value)
        return True

    def restore(self, *paths: str) -> list[Setting]:
        """Put back these, or all; returns those that were put back."""
        back = []
        for path in list(reversed(paths or tuple(self._changed))):
            setting = self._changed.pop(path, None)
            if setting is not None and self.read(path) == setting.after and self.write(path, setting.before):
                back.append(setting)
        return back

    def changed(self) -> tuple[Setting, ...]:
        """Return what is changed at present."""
        return tuple(self._changed.values())

    def interfaces(self, family: str = "ipv4") -> Iterator[str]:
        """Yield the names under ``conf``, ``all`` and ``default`` among them."""
        yield from sorted(path.name for path in (self._root / family / "conf").iterdir())

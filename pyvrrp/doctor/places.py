"""Where something stands in a file: the model knows what holds, this knows which line said so.

Laws: pure. It answers with the most precise place that exists: the keyword, else its block, else the file. Lines that
may hold a secret are never part of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from hakit.diagnosis import Spot
from hakit.diagnostics import Location
from pyvrrp.config.tree import Statement

TRACK_FILE = frozenset({"track_file", "vrrp_track_file"})


class Places:
    """The statements of one file, and a way to them: names of blocks, each one inside the one before."""

    def __init__(self, file: str, statements: Sequence[Statement] = ()) -> None:
        self._file = Spot(Location(file))
        self._root = tuple(statements)

    def of(self, *path: str) -> Spot:
        """Return the place of what ``path`` leads to, or of as much of it as there is.

        A step is a keyword (``priority``), the first word of a line (``check_haproxy`` in ``track_script``), or both
        (``vrrp_instance VI_1``).
        """
        found = self._walk(path)
        return Spot(found[-1].location, found[-1].source) if found else self._file

    def statement(self, *path: str) -> Statement | None:
        """Return what ``path`` leads to, or None if it does not stand in the file."""
        found = self._walk(path)
        return found[-1] if len(found) == len(path) else None

    def words(self, *path: str) -> tuple[str, ...]:
        """Return the words behind the keyword that ``path`` leads to; none if it does not stand there."""
        found = self.statement(*path)
        return tuple(word.text for word in found.parameters) if found is not None else ()

    def _walk(self, path: Sequence[str]) -> list[Statement]:
        found: list[Statement] = []
        around: Sequence[Statement] = self._root
        for step in path:
            inside = next((one for one in reversed(around) if _is_called(one, step)), None)
            if inside is None:
                break
            found.append(inside)
            around = inside.block or ()
        return found


def _is_called(statement: Statement, step: str) -> bool:
    keyword, _, name = step.partition(" ")
    if not name:
        return statement.name == keyword
    same = statement.name == keyword or {statement.name, keyword} <= TRACK_FILE
    return same and bool(statement.parameters) and statement.parameters[0].text == name

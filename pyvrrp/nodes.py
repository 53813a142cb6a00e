"""The files of several routers, read together: ``lb1.conf lb2.conf``, or ``lb1=all.conf lb2=all.conf``.

Laws: a router is called after what is its own in the path of its file, or as the word before ``=`` says. Where the file
has lines for ``@id``, that name is the id; a file alone is taken for this host's. All files are read before anything is
told of any of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hakit.diagnostics import ConfigError
from pyvrrp.config.load import Loaded, load

MOST_ROUTERS = 64
GENERAL = frozenset({"keepalived", "pyvrrp"})
"""Names of files that are on every router: alone, such a file is this host's."""
SUFFIXES = (".conf", ".cfg", ".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class NodeFile:
    """One router: its name, the path of its file as it was given, and what the file says."""

    name: str
    path: str
    loaded: Loaded

    def texts(self) -> Iterator[tuple[str, str]]:
        """Yield all files that were read for it, each with its text; those that are gone by now are left out."""
        for name in dict.fromkeys((self.path, *self.loaded.files)):
            with suppress(OSError):
                yield name, Path(name).read_text(encoding="utf-8", errors="replace")


class NamesError(Exception):
    """Words from which no routers can be told; one sentence."""


def read_nodes(words: Sequence[str]) -> list[NodeFile]:
    """Return the routers of the files in ``words``; raises NamesError, or ConfigError with what is wrong in any."""
    found: list[NodeFile] = []
    wrong: list[ConfigError] = []
    is_this_host = len(words) == 1 and "=" not in words[0]
    for name, path in named(words):
        try:
            found.append(NodeFile(name, path, load(path, config_id=None if is_this_host else name)))
        except ConfigError as refused:
            wrong.append(refused)
    if wrong:
        raise ConfigError(diagnostic for one in wrong for diagnostic in one.diagnostics)
    return found


def named(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return name and path of each router; raises NamesError if two would have one name, or there are too many."""
    if len(words) > MOST_ROUTERS:
        raise NamesError(f"{len(words)} files are too many routers for one LAN: {MOST_ROUTERS} at most")
    given = [word.partition("=") if "=" in word else ("", "", word) for word in words]
    names = _names([path for _, _, path in given])
    if len(names) == 1 and names[0] in GENERAL:
        names = [os.uname().nodename.partition(".")[0]]
    found = [(name or own, path) for (name, _, path), own in zip(given, names, strict=True)]
    for index, (name, path) in enumerate(found):
        other = next((path for earlier, path in found[:index] if earlier == name), None)
        if other is not None:
            raise NamesError(
                f"{other} and {path} would both be called '{name}': give them names, as in a={other} b={path}"
            )
        if not name or not name.isprintable() or any(character in name for character in ": "):
            raise NamesError(f"'{name}' cannot be the name of a router: letters, digits and _.- as in lb1={path}")
    return found


def _names(paths: Sequence[str]) -> list[str]:
    """Return what is each path's own: in the name of its file if that tells all apart, else in the whole path."""
    parts = [_parts(path) for path in paths]
    shared = set.intersection(*map(set, parts)) if len(parts) > 1 else set[str]()
    own = [[part for part in one if part not in shared] for one in parts]
    of_files = [".".join(part for part in one if not part.endswith("/")) for one in own]
    of_paths = [".".join(part.strip("/") for part in one) for one in own]
    told_apart = all(of_files) and len(set(of_files)) == len(of_files)
    return [name or one[-1] for name, one in zip(of_files if told_apart else of_paths, parts, strict=True)]


def _parts(path: str) -> list[str]:
    """Return the folders of a path, each with a slash behind it, and what stands between the dots of its file's name.

    A file alone is called by its own name: its folders are kept out of it by the slash.
    """
    whole = Path(path)
    stem = whole.stem if whole.suffix in SUFFIXES else whole.name
    return [*(f"{part}/" for part in whole.parent.parts if part not in {"/", "."}), *stem.split(".")]

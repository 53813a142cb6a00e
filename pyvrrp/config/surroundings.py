"""What a configuration refers to outside of itself: names of routing tables, and files with keys.

Laws: pure. Whoever opens files (``load.py``) may hand in more names and a reader; what is here are the numbers that
iproute2 fixes (rtnetlink(7), /etc/iproute2) and a reader that has no files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

SCOPES = MappingProxyType({"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255})
TABLES = MappingProxyType({"default": 253, "main": 254, "local": 255})
PROTOCOLS = MappingProxyType(
    {"redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "dhcp": 16, "keepalived": 18, "babel": 42, "bird": 12}
)
GROUPS = MappingProxyType({"default": 0})
REALMS = MappingProxyType({"cosmos": 0})


_FIXED = {"rt_scopes": SCOPES, "rt_tables": TABLES, "rt_protos": PROTOCOLS, "group": GROUPS, "rt_realms": REALMS}


def named_numbers(table: str, texts: Iterable[str]) -> Mapping[str, int]:
    """Return the names of ``table`` that are fixed, and those in files of /etc/iproute2: a number and a name a line."""
    names = dict(_FIXED[table])
    for line in (line.partition("#")[0].split() for text in texts for line in text.splitlines()):
        try:
            if len(line) == 2:
                names.setdefault(line[1], int(line[0], 0))  # FRR's 196 is called static, too: 4 was first
        except ValueError:
            continue  # ip(8) says nothing of such a line either
    return MappingProxyType(names)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file that holds a key, as it was read; ``exposed``: others than its owner may read it."""

    content: bytes
    exposed: bool = False


def no_files(path: str) -> KeyFile:
    """Refuse to read ``path``: there are no files where this configuration comes from."""
    raise FileNotFoundError(2, "No such file or directory", path)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Names by what they stand for, and ``read_key``, which raises OSError."""

    scopes: Mapping[str, int] = field(default_factory=lambda: SCOPES)
    tables: Mapping[str, int] = field(default_factory=lambda: TABLES)
    protocols: Mapping[str, int] = field(default_factory=lambda: PROTOCOLS)
    groups: Mapping[str, int] = field(default_factory=lambda: GROUPS)
    realms: Mapping[str, int] = field(default_factory=lambda: REALMS)
    read_key: Callable[[str], KeyFile] = no_files

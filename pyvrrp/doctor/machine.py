"""What one machine says of itself: values only, read by ``symptoms.py``, judged by ``here.py`` and the rooms beside it.

Laws: pure, frozen. What could not be read is empty or None, and what is empty is no finding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from hakit.transcript import Value
from pyvrrp.model import Interface


@dataclass(frozen=True, slots=True)
class Card:
    """An interface: its number, whether it is up with a carrier, and its addresses in the kernel's order."""

    index: int
    is_up: bool
    addresses: tuple[Interface, ...] = ()


Command = tuple[tuple[str, ...], str | None]
"""The words of a script, and the user as whom it is run (None: as the daemon)."""


@dataclass(frozen=True, slots=True)
class ScriptFile:
    """What was found behind the words of a script. ``refused``: why it would not be run, None if it would.

    ``interpreter``: what its first line names and is not there; ``missing``: programs that it seems to run and that are
    not there.
    """

    refused: str | None = None
    interpreter: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Managed:
    """What systemd-networkd has for an interface: the file, and its text with that of its drop-ins."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine.

    ``sysctls`` by their path below /proc/sys/net. ``ruleset``: what ``nft -j list ruleset`` says; None: it cannot be
    asked. ``legacy_filter``: there are rules of the old iptables, which nft does not tell. ``networkd`` by interface,
    ``networkd_conf``: its own settings. ``network_manager``: the interfaces that it knows. ``status``: what the running
    daemon says of itself. ``modes``: the permission bits of configuration files, by path.
    """

    cards: Mapping[str, Card] = field(default_factory=lambda: MappingProxyType({}))
    sysctls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    scripts: Mapping[Command, ScriptFile] = field(default_factory=lambda: MappingProxyType({}))
    ruleset: Sequence[Mapping[str, Any]] | None = None
    legacy_filter: bool = False
    networkd: Mapping[str, Managed] = field(default_factory=lambda: MappingProxyType({}))
    networkd_conf: str = ""
    network_manager: frozenset[str] = frozenset()
    status: Mapping[str, Value] | None = None
    modes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    def sysctl(self, path: str) -> int:
        """Return a setting that is a number; 0 if it is not there."""
        text = self.sysctls.get(path, "0")
        return int(text) if text.removeprefix("-").isdecimal() else 0

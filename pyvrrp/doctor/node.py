"""One router as the doctor sees it: its name, what its file says, where that stands, and what its machine says.

Laws: pure, frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hakit.diagnosis import Finding, Rule, Spot
from hakit.diagnostics import Diagnostic
from pyvrrp.doctor.places import Places
from pyvrrp.model import Configuration, Instance, SyncGroup, Tracked, TrackerKind, VirtualAddress

BLOCKS = {
    TrackerKind.SCRIPT: "vrrp_script",
    TrackerKind.FILE: "track_file",
    TrackerKind.PROCESS: "vrrp_track_process",
    TrackerKind.HTTP: "vrrp_track_http",
}
"""The blocks that define what an instance tracks; interfaces need none."""


@dataclass(frozen=True, slots=True)
class Node:
    """One router: ``name`` is unique among those that are read together; ``warnings`` are the reader's own."""

    name: str
    configuration: Configuration
    places: Places
    warnings: tuple[Diagnostic, ...] = ()

    def finding(self, rule: Rule, spot: Spot, what: str, *, why: str, remedy: str) -> Finding:
        """Return a finding about this node."""
        return Finding(rule, self.name, spot, what, why, remedy)

    def at(self, instance: Instance, *path: str) -> Spot:
        """Return where a keyword of ``instance`` stands, or where the instance begins."""
        return self.places.of(f"vrrp_instance {instance.name}", *path)

    def tracked_by(self, instance: Instance) -> Iterator[tuple[Tracked, SyncGroup | None]]:
        """Yield what ``instance`` tracks; with the sync group whose line it is, None if it is its own."""
        for tracked in instance.tracked:
            yield tracked, None
        group = self.configuration.group_of(instance.name)
        for tracked in group.tracked if group is not None else ():
            if tracked not in instance.tracked:
                yield tracked, group

    def weight_of(self, instance: Instance, tracked: Tracked, group: SyncGroup | None) -> Spot:
        """Return where the weight stands with which ``instance`` tracks something."""
        holder = f"vrrp_sync_group {group.name}" if group is not None else f"vrrp_instance {instance.name}"
        own = (holder, tracked.kind.value, tracked.name)
        if tracked.kind is TrackerKind.INTERFACE or "weight" in self.places.words(*own):
            return self.places.of(*own)
        return self.places.of(f"{BLOCKS[tracked.kind]} {tracked.name}", "weight")

    def line_of(self, instance: Instance, address: VirtualAddress) -> Spot:
        """Return where a virtual address stands, which may be written without its prefix length."""
        blocks, texts = ("virtual_ipaddress", "virtual_ipaddress_excluded"), (str(address), str(address.ip))
        lines = ((block, text) for block in blocks for text in texts)
        named = f"vrrp_instance {instance.name}"
        found = (line for line in lines if self.places.statement(named, *line) is not None)
        return self.at(instance, *next(found, blocks[:1]))


def listed(items: Iterable[object]) -> str:
    """Return ``a``, ``a and b``, or ``a, b and c``."""
    texts = [str(item) for item in items]
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1]))) if texts else "none"

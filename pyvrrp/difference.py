"""What a reload changes: two configurations in, the difference out.

Laws: pure. An instance is known again by interface, family, VRID and whether it is unicast, whatever its name
(keepalived's rule); where a line stands in the file is no difference. With another VMAC or VRF it is another one, that
begins anew: all its addresses have to move.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyvrrp.model import NOWHERE, Configuration, Instance, NotifyScripts, Script


@dataclass(frozen=True, slots=True)
class Difference:
    """``kept``: pairs of before and after that differ; ``same``: pairs that do not."""

    gone: tuple[Instance, ...]
    kept: tuple[tuple[Instance, Instance], ...]
    same: tuple[tuple[Instance, Instance], ...]
    come: tuple[Instance, ...]


def difference(before: Configuration, after: Configuration) -> Difference:
    """Return which instances go, change, stay and come."""
    old = {_whole_identity(instance): instance for instance in before.instances}
    new = {_whole_identity(instance): instance for instance in after.instances}
    pairs = [(old[identity], new[identity]) for identity in old if identity in new]
    return Difference(
        gone=tuple(instance for identity, instance in old.items() if identity not in new),
        kept=tuple((was, will) for was, will in pairs if plain(was) != plain(will)),
        same=tuple((was, will) for was, will in pairs if plain(was) == plain(will)),
        come=tuple(instance for identity, instance in new.items() if identity not in old),
    )


def _whole_identity(instance: Instance) -> tuple[object, ...]:
    return (*instance.identity, instance.vmac, instance.vrf)


def plain(instance: Instance) -> Instance:
    """Return an instance without the places in the file at which things stand."""
    return replace(instance, location=NOWHERE, notify=_plain_scripts(instance.notify))


def _plain_scripts(notify: NotifyScripts) -> NotifyScripts:
    def bare(script: Script | None) -> Script | None:
        return None if script is None else replace(script, location=NOWHERE)

    return NotifyScripts(
        master=bare(notify.master),
        backup=bare(notify.backup),
        fault=bare(notify.fault),
        stop=bare(notify.stop),
        deleted=bare(notify.deleted),
        master_rx_lower_pri=bare(notify.master_rx_lower_pri),
        any=bare(notify.any),
    )

"""Whether each instance is well, and whether the kernel holds what its state says: the documents of /health and /ready.

Laws: pure. Everything that is told carries its age, so that something stale is never taken for something fresh. An
instance is well in MASTER with all its addresses in the kernel and no second master on the link, and in BACKUP with
none of them there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hakit.transcript import Value
from pyvrrp.model import Address, Instance

SETTLING = 1.0
"""Seconds after a transition in which the kernel may not have followed yet: a burst of address work takes a moment."""


def health(
    told: Mapping[str, Mapping[str, Value]], instances: Sequence[Instance], held: Collection[Address] | None, age: float
) -> dict[str, Value]:
    """Return the document of /health.

    ``told`` is the status document of each instance by name; ``held`` what the kernel held ``age`` seconds ago, None if
    it could not be asked. ``healthy`` is what decides between 200 and 503.
    """
    masters = {
        address.ip
        for instance in instances
        if told[instance.name]["state"] == "MASTER"
        for address in (*instance.addresses, *instance.excluded)
    }
    found = [_instance(told[instance.name], instance, held, masters) for instance in instances]
    return {
        "healthy": held is not None and all(one["healthy"] is True for one in found),
        "kernel": {"asked": held is not None, "age": round(age, 3)},
        "instances": list[Value](found),
    }


def _instance(
    told: Mapping[str, Value], instance: Instance, held: Collection[Address] | None, masters: Collection[Address]
) -> dict[str, Value]:
    own = [address.ip for address in (*instance.addresses, *instance.excluded)]
    state, age = told["state"], told["age"]
    settling = isinstance(age, int | float) and age < SETTLING
    missing: list[Value] = []
    left: list[Value] = []
    if held is not None and not settling:
        if state == "MASTER":
            missing = [str(one) for one in own if one not in held]
        else:  # what another instance of ours is master of may well be here
            left = [str(one) for one in own if one in held and one not in masters]
    others = rivals(told)
    return {
        "name": instance.name,
        "healthy": state in {"MASTER", "BACKUP"} and not missing and not left and not others,
        "state": state,
        "age": age,
        "why": told["why"],
        "faults": told["faults"],
        "missing_addresses": missing,
        "left_over_addresses": left,
        "other_masters": others,
    }


def rivals(told: Mapping[str, Value]) -> list[Value]:
    """Return the addresses of those that are heard as master beside this instance: a split brain."""
    peers = told.get("peers")
    found = [peer for peer in peers if isinstance(peer, dict)] if isinstance(peers, list) else []
    return [peer["address"] for peer in found if peer["rival"]]


def readiness(status: Mapping[str, Value], told: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """Return the document of /ready: every instance has begun, and nobody has put the daemon into maintenance."""
    waiting: list[Value] = [name for name, one in sorted(told.items()) if one["state"] == "INIT"]
    maintenance = bool(status.get("maintenance"))
    return {"ready": not waiting and not maintenance, "waiting": waiting, "maintenance": maintenance}

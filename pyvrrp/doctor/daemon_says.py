"""What the running daemon says of itself: why an address does not move, in its own counters.

Laws: pure; the status document was asked for before. A counter that is not zero has happened since the daemon was
started or its counters were cleared: it may be over, and the finding says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hakit.diagnosis import Finding, Level, Rule
from pyvrrp.doctor.machine import Machine
from pyvrrp.doctor.node import Node, listed
from pyvrrp.model import Instance, TrackScript

NO_DAEMON = Rule("no-daemon", Level.NOTE, "No daemon answers on this machine: what it would say is not known (--live).")
NOT_RUN = Rule("instance-not-run", Level.WARNING, "The running daemon does not know an instance of the file (--live).")
HELD = Rule("held", Level.WARNING, "An operator has demoted an instance, or the daemon is in maintenance (--live).")
IN_FAULT = Rule("in-fault", Level.ERROR, "An instance is in FAULT now (--live).")
REFUSED = Rule("advertisements-refused", Level.ERROR, "The daemon has refused advertisements of the others (--live).")
NOT_SENT = Rule("advertisements-not-sent", Level.ERROR, "The kernel has refused to send advertisements (--live).")
SPLIT = Rule("split-brain", Level.ERROR, "The daemon has heard another master while it was one itself (--live).")
CHECK_FAILS = Rule("check-fails", Level.WARNING, "A check fails now (--live).")
CHECK_IS_SLOW = Rule("check-slow", Level.WARNING, "A check has timed out, or is near its timeout (--live).")
RULES = (NO_DAEMON, NOT_RUN, HELD, IN_FAULT, REFUSED, NOT_SENT, SPLIT, CHECK_FAILS, CHECK_IS_SLOW)

REFUSALS: Mapping[str, tuple[str, str]] = {
    "packet_len_err": ("too long or too short", "look for a router with authentication where there is none here"),
    "advert_interval_err": ("of another advert_int", "the same advert_int on every router"),
    "ip_ttl_err": ("of a TTL that is not 255", "something on the way routes or rewrites them; in unicast: min_ttl"),
    "invalid_type_rcvd": ("of a type that is none", "somebody on the LAN sends other packets as protocol 112"),
    "invalid_authtype": ("of an authentication that is none", "the same authentication block on every router"),
    "authtype_mismatch": ("of another auth_type", "the same authentication block on every router"),
    "auth_failure": ("with another password", "the same auth_pass on every router; the first 8 bytes count"),
    "version_err": ("of another version", "the same version on every router"),
    "checksum_err": ("with a wrong checksum", "old_unicast_checksum or v3_checksum_as_v2, as the others have it"),
    "destination_err": ("sent to another place", "unicast_peer on every router, or on none; the same group"),
    "source_err": ("from an address of this machine", "each router's own address as its source"),
    "peer_err": ("from who is no peer", "every router in the unicast_peer of every other one"),
    "auth_ext_missing": ("without a signature", "auth_hmac on every router, or mode permissive while it comes"),
    "auth_ext_malformed": ("with a broken signature", "look for what changes packets on the way"),
    "auth_ext_unknown_key": ("signed with an unknown key", "the same keys on every router"),
    "auth_ext_invalid_hmac": ("with a wrong signature", "the same keys on every router"),
    "auth_ext_stale": ("signed at another time", "clocks that agree (NTP), or anti_replay monotonic"),
    "auth_ext_replay": ("signed before", "somebody repeats packets, or two routers send with one address"),
}
"""Counters of refused advertisements: what they were, and what to do."""
NEAR = 0.8
"""The part of its timeout from which on a check is called slow."""


def examine(node: Node, machine: Machine) -> Iterator[Finding]:
    """Yield what the daemon on ``machine`` says of the instances of ``node``."""
    status: Any = machine.status
    if status is None:
        yield node.finding(
            NO_DAEMON,
            node.places.of(),
            "no daemon answers on this machine",
            why="its counters would say which advertisements it has refused, and its trackers how long a check takes",
            remedy="start it, or run this as root, or say with --control where it listens",
        )
        return
    known = {one["name"]: one for one in status["instances"]}
    for instance in node.configuration.instances:
        told = known.get(instance.name)
        if told is None:
            yield node.finding(
                NOT_RUN,
                node.at(instance),
                f"the running daemon has no {instance.name}",
                why=f"it has {listed(known)}",
                remedy="pyvrrp ctl reload; or is another file the daemon's own?",
            )
        else:
            yield from _instance(node, instance, told, maintenance=bool(status.get("maintenance")))
    checks = {one["name"]: one for one in status["trackers"] if one.get("kind") == "track_script"}
    for script in node.configuration.scripts:
        if script.name in checks:
            yield from _check(node, script, checks[script.name])


def _instance(node: Node, instance: Instance, told: Mapping[str, Any], *, maintenance: bool) -> Iterator[Finding]:
    name = instance.name
    if told["held"] or maintenance:
        yield node.finding(
            HELD,
            node.at(instance),
            f"an operator keeps {name} from being MASTER",
            why="the whole daemon is in maintenance" if maintenance else "it was demoted, and is until it is released",
            remedy="pyvrrp ctl maintenance off" if maintenance else f"pyvrrp ctl release {name}",
        )
    elif told["faults"]:
        yield node.finding(
            IN_FAULT,
            node.at(instance),
            f"{name} is in FAULT: it takes no address",
            why=listed(told["faults"]),
            remedy=f"end that; pyvrrp ctl why {name} says what would change",
        )
    if told["split_brains"]:
        yield node.finding(
            SPLIT,
            node.at(instance),
            f"{name} has heard another master {told['split_brains']} times while it was MASTER itself",
            why="packets were lost or refused in at least one direction",
            remedy="compare what both daemons refuse, and what their packet filters drop; pyvrrp ctl events says when",
        )
    counters = told["statistics"]
    for counter, (which, remedy) in REFUSALS.items():
        if counters.get(counter):
            yield node.finding(
                REFUSED,
                node.at(instance),
                f"{name} has refused {counters[counter]} advertisements {which}",
                why=f"{counter} is {counters[counter]}, beside {counters['advert_rcvd']} that it has accepted;"
                " it hears nobody in what it refuses",
                remedy=remedy,
            )
    if counters.get("send_failed"):
        yield node.finding(
            NOT_SENT,
            node.at(instance),
            f"{counters['send_failed']} advertisements of {name} did not leave this machine",
            why="the kernel refused them: a packet filter, a link that is down, or no route to a peer",
            remedy="pyvrrp ctl events says which error it was",
        )


def _check(node: Node, script: TrackScript, told: Mapping[str, Any]) -> Iterator[Finding]:
    place = node.places.of(f"vrrp_script {script.name}", "script")
    timeout = script.timeout or script.interval
    if told.get("works") is False:
        yield node.finding(
            CHECK_FAILS,
            place,
            f"{script.name} fails now",
            why=str(told.get("last") or "it has not succeeded"),
            remedy=f"run it by hand, as the daemon does: {script.script}; echo $?",
        )
    longest = told.get("max_duration") or 0.0
    if told.get("timeouts") or longest >= NEAR * timeout:
        yield node.finding(
            CHECK_IS_SLOW,
            place,
            f"{script.name} takes up to {longest:.3f} s of the {timeout:g} s that it has",
            why=f"{told.get('timeouts', 0)} of {told.get('runs', 0)} runs have timed out, and a timeout is a failure",
            remedy="a quicker check, or a longer timeout and interval",
        )

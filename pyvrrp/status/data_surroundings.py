"""The sections of keepalived.data behind the instances: sockets, groups, trackers, interfaces.

Laws: lines, order and blanks are those of 2.2.7. A section that would be empty is not there, as in keepalived; the
sockets and the interfaces always are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from pyvrrp.model import (
    AuthType,
    Configuration,
    Instance,
    SyncGroup,
    Tracked,
    TrackerKind,
    TrackFile,
    TrackHttp,
    TrackProcess,
    TrackScript,
    Unicast,
)
from pyvrrp.status import shown
from pyvrrp.status.data_instances import notify_scripts, speaking_device, tracked
from pyvrrp.status.picture import LinkPicture, Picture, RouterPicture, TrackerPicture
from pyvrrp.status.shown import yes

_VIRTUAL_MAC = bytes.fromhex("00005e0001"), bytes.fromhex("00005e0002")
_UNTOUCHED = """\
NIC netlink status update
Reset ARP config counter 0
Original arp_ignore 0
Original arp_filter 0
Original promote_secondaries 0
Reset promote_secondaries counter 0"""


def sockets(picture: Picture) -> list[str]:
    """Return the lines of ``VRRP Sockpool``: one block a socket, with the instances behind it by their VRIDs."""
    pool: dict[tuple[object, ...], list[RouterPicture]] = {}
    for router in picture.routers:
        pool.setdefault(_endpoint(router), []).append(router)
    lines: list[str] = []
    for sharing in pool.values():
        sharing.sort(key=lambda router: router.instance.virtual_router_id)
        receiving, sending = sharing[0].descriptors
        lines.append(f" fd_in {receiving} fd_out = {sending}")
        lines += shown.indented(3, _socket(sharing))
    return lines


def _endpoint(router: RouterPicture) -> tuple[object, ...]:
    instance = router.instance
    unicast = isinstance(instance.transport, Unicast)
    protected = instance.authentication.type is AuthType.AH
    own = (router.source,) if unicast else (instance.transport,)
    return speaking_device(instance), instance.family, protected, unicast, own, instance.receive_buffer


def _socket(sharing: list[RouterPicture]) -> Iterator[str]:
    instance = sharing[0].instance
    yield f"Interface = {speaking_device(instance)}"
    yield f"Family = IPv{instance.family}"
    yield f"Protocol = {'AH' if instance.authentication.type is AuthType.AH else 'VRRP'}"
    if isinstance(instance.transport, Unicast):
        yield "Type = Unicast"
        yield f"Address = {sharing[0].source}"
    else:
        yield "Type = Multicast"
    yield f"Rx buf size = {instance.receive_buffer or 0}"
    yield "VRRP instances"
    yield from (f"  {router.instance.name} vrid {router.instance.virtual_router_id}" for router in sharing)


def tracker_sections(picture: Picture) -> Iterator[tuple[str, list[str]]]:
    """Yield heading and lines of the sync groups and of each kind of tracker that is configured."""
    configuration = picture.configuration
    if configuration.groups:
        yield "VRRP Sync groups", [line for group in configuration.groups for line in _group(group, picture)]
    for heading, trackers in (
        ("VRRP Scripts", configuration.scripts),
        ("VRRP Track files", configuration.files),
        ("VRRP Track processes", configuration.processes),
        ("VRRP Track URLs", configuration.urls),
    ):
        if trackers:
            yield heading, [line for tracker in trackers for line in _tracker(tracker, picture)]


def _group(group: SyncGroup, picture: Picture) -> Iterator[str]:
    members = [router for router in picture.routers if router.instance.name in group.members]
    faulty = sum(router.state.name == "FAULT" for router in members)
    beginning = sum(router.state.name == "INIT" for router in members)
    yield f" VRRP Sync Group = {group.name}, {(picture.groups or {}).get(group.name, 'INIT')}"
    yield f"   Num member fault {faulty}, num member init {beginning}"
    yield "   VRRP member instances :"
    yield from (f"     {name}" for name in group.members)
    if group.uses_weights:
        yield "   sync group tracking weight set"
    yield f"   Using smtp notification = {yes(group.smtp_alert, ('yes', 'no'))}"
    if group.notify_priority_changes:
        yield "   Notify priority changes = yes"
    yield from shown.indented(3, tracked(group.tracked))
    yield from shown.indented(3, notify_scripts(group.notify))


def _tracker(tracker: TrackScript | TrackFile | TrackProcess | TrackHttp, picture: Picture) -> Iterator[str]:
    match tracker:
        case TrackScript():
            yield f" VRRP Script = {tracker.name}"
            known = picture.trackers.get((TrackerKind.SCRIPT, tracker.name))
            yield from shown.indented(3, _script(tracker, known, picture.configuration))
        case TrackFile():
            yield f" Track file = {tracker.name}"
            known = picture.trackers.get((TrackerKind.FILE, tracker.name))
            yield from shown.indented(3, _file(tracker, known, picture.configuration))
        case TrackProcess():
            yield f" VRRP Track process = {tracker.name}"
            known = picture.trackers.get((TrackerKind.PROCESS, tracker.name))
            yield from shown.indented(3, _process(tracker, known, picture.configuration))
        case TrackHttp():
            yield f" VRRP Track URL = {tracker.name}"
            known = picture.trackers.get((TrackerKind.HTTP, tracker.name))
            yield from shown.indented(3, _url(tracker, known, picture.configuration))
        case _:
            assert_never(tracker)


def _script(script: TrackScript, known: TrackerPicture | None, configuration: Configuration) -> Iterator[str]:
    yield f"Command = {shown.command(script.script.words)}"
    yield f"Interval = {script.interval:g} sec"
    yield f"Timeout = {script.timeout or 0:g} sec"
    yield f"Weight = {script.weight}{' reverse' if script.reverse else ''}"
    yield f"Rise = {script.rise}"
    yield f"Fall = {script.fall}"
    yield f"Result = {known.count if known else 0}"
    yield "Insecure = no"
    yield f"Init state = {_init_state(script, known)}"
    yield f"Status = {_status(known)}"
    yield f"Script {shown.owner(script.script.user, script.script.group).replace('uid:gid', 'uid:gid =')}"
    yield "VRRP instances :"
    yield from _tracking(configuration, TrackerKind.SCRIPT, script.name)
    yield f"State = {'running' if known and known.running else 'idle'}"


def _init_state(script: TrackScript, known: TrackerPicture | None) -> str:
    if known is None or known.reading is None:
        return "failed" if script.init_fail else "init"
    return "unknown"  # as 2.2.7 calls it from the first result on


def _status(known: TrackerPicture | None) -> str:
    return "GOOD" if known is not None and known.reading else "BAD"


def _file(file: TrackFile, known: TrackerPicture | None, configuration: Configuration) -> Iterator[str]:
    yield f"File = {file.path}"
    yield f"Status = {int(known.reading or 0) if known else 0}"
    yield f"Weight = {file.weight}{' reverse' if file.reverse else ''}"
    yield from _tracking(configuration, TrackerKind.FILE, file.name)


def _process(process: TrackProcess, known: TrackerPicture | None, configuration: Configuration) -> Iterator[str]:
    yield f"Process = {' '.join(process.words)}"
    if process.parameters is not None:
        yield f"Param match = {process.parameters}"
    yield f"Min processes = {process.quorum}"
    if process.quorum_max is not None:
        yield f"Max processes = {process.quorum_max}"
    yield f"Current processes = {known.count if known else 0}"
    yield f"Have quorum = {yes(bool(known and known.reading))}"
    yield f"Weight = {process.weight}{' reverse' if process.reverse else ''}"
    yield f"Terminate delay = {process.terminate_delay:.6f}s"
    yield f"Fork delay = {process.fork_delay:.6f}s"
    yield "Fork delay timer not running"
    yield "Terminate delay timer not running"
    yield f"Full command = {yes(process.full_command)}"
    yield from _tracking(configuration, TrackerKind.PROCESS, process.name)


def _url(url: TrackHttp, known: TrackerPicture | None, configuration: Configuration) -> Iterator[str]:
    yield f"URL = {url.url}"
    yield f"Interval = {url.interval:g} sec"
    yield f"Timeout = {url.timeout:g} sec"
    yield f"Weight = {url.weight}{' reverse' if url.reverse else ''}"
    yield f"Rise = {url.rise}"
    yield f"Fall = {url.fall}"
    yield f"Result = {known.count if known else 0}"
    yield f"Status = {_status(known)}"
    yield from _tracking(configuration, TrackerKind.HTTP, url.name)


def _tracking(configuration: Configuration, kind: TrackerKind, name: str) -> Iterator[str]:
    found = [
        f"  {instance.name},{shown.weight(line).removeprefix(line.name)}"
        for instance in configuration.instances
        for line in _lines_of(instance, configuration)
        if line.key == (kind, name)
    ]
    if found:
        yield "Tracking instances :"
        yield from found


def _lines_of(instance: Instance, configuration: Configuration) -> tuple[Tracked, ...]:
    group = configuration.group_of(instance.name)
    return (*instance.tracked, *(group.tracked if group else ()))


def interfaces(picture: Picture) -> list[str]:
    """Return the lines of ``Interfaces``: all that the machine has."""
    by_name: dict[str, list[str]] = {}
    for instance in picture.configuration.instances:
        for name, weight in _interfaces_of(instance, picture.configuration):
            by_name.setdefault(name, []).append(f"     {instance.name},{weight}")
    lines: list[str] = []
    for link in picture.links:
        lines.append(f" Name = {link.name}")
        lines += shown.indented(3, _link(link, picture))
        watching = by_name.get(link.name)
        lines += ["   Tracking VRRP instances :", *watching] if watching else []
    return lines


def _interfaces_of(instance: Instance, configuration: Configuration) -> Iterator[tuple[str, str]]:
    named = {
        line.name: shown.weight(line).removeprefix(line.name)
        for line in _lines_of(instance, configuration)
        if line.kind is TrackerKind.INTERFACE
    }
    devices: Mapping[str, str] = dict.fromkeys(sorted(instance.devices), " weight 0")
    yield from {**devices, **named}.items()


def _link(link: LinkPicture, picture: Picture) -> Iterator[str]:
    yield f"index = {link.index}"
    yield f"IPv4 address = {link.first(4)}"
    yield f"IPv6 address = {link.first(6)}"
    if link.hardware_address and not link.is_loopback:
        yield f"MAC = {link.hardware_address.hex(':')}"
        yield "MAC broadcast = ff:ff:ff:ff:ff:ff"
    running = "UP, RUNNING" if link.is_up else "not UP, not RUNNING"
    yield f"State = {running}{', no broadcast, loopback, no multicast' if link.is_loopback else ''}"
    yield f"Seen up = {int(link.is_up)}"
    yield "Delayed state change running = false"
    settings = picture.configuration.settings
    settling = settings.settling.get(link.name) or settings.settling.get("")
    yield f"Up debounce timer = {int(settling.up * 1_000_000) if settling else 0}us"
    yield f"Down debounce timer = {int(settling.down * 1_000_000) if settling else 0}us"
    if link.base is not None:
        yield f"VMAC type private, underlying interface = {link.base}, state = {running}"
        if link.hardware_address.startswith(_VIRTUAL_MAC):
            yield "I/f created by keepalived"
    yield f"MTU = {link.mtu}"
    yield f"HW Type = {'LOOPBACK' if link.is_loopback else 'ETHERNET'}"
    yield from _UNTOUCHED.splitlines()

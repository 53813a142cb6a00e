"""The section ``VRRP Topology`` of keepalived.data: one block an instance.

Laws: pure but for what ``shown`` looks up. Lines, their order and their blanks are those of 2.2.7 (clients count the
blanks); a password is never printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pyvrrp.model import AuthType, Instance, Multicast, NotifyScripts, Tracked, TrackerKind, Unicast, VirtualAddress
from pyvrrp.status import shown
from pyvrrp.status.picture import LinkPicture, Picture, RouterPicture
from pyvrrp.status.shown import yes

ENABLED = ("enabled", "disabled")
AUTHENTICATIONS = {AuthType.NONE: "none", AuthType.PASS: "SIMPLE_PASSWORD", AuthType.AH: "IPSEC_AH"}
_MICROSECONDS = 1_000_000


def topology(picture: Picture) -> list[str]:
    """Return the lines of the section, without its heading."""
    lines: list[str] = []
    for router in picture.routers:
        group = picture.configuration.group_of(router.instance.name)
        lines.append(f" VRRP Instance = {router.instance.name}")
        lines += shown.indented(3, _instance(router, group.name if group else None, picture.links))
    return lines


def _instance(router: RouterPicture, group: str | None, links: Iterable[LinkPicture]) -> Iterator[str]:
    instance = router.instance
    yield f"VRRP Version = {instance.version}"
    if group is not None:
        yield f"Sync group = {group}"
    if instance.family == 6:
        yield "Using Native IPv6"
    yield from _state(router)
    yield from _interface(router, links)
    yield from _announcing(instance)
    yield from _election(router)
    yield from _addresses(router)
    yield from _transport(router)
    yield from _carried(instance)
    yield from tracked(instance.tracked)
    yield f"Using smtp notification = {yes(instance.smtp_alert, ('yes', 'no'))}"
    yield f"Notify deleted = {yes(instance.notify_deleted, ('Deleted', 'Fault'))}"
    yield from notify_scripts(instance.notify)
    yield f"Notify priority changes = {yes(instance.notify_priority_changes)}"


def _state(router: RouterPicture) -> Iterator[str]:
    instance = router.instance
    yield f"State = {router.state.name}"
    if router.state.name == "BACKUP":
        master, priority = router.master
        group = instance.transport.group if isinstance(instance.transport, Multicast) else "0.0.0.0"
        yield f"Master router = {master or group}"
        yield f"Master priority = {priority}"
        if instance.version == 3:
            yield f"Master advert int = {router.advert_interval:.2f} sec"
    unicast = isinstance(instance.transport, Unicast)
    yield "Flags:" if unicast or _has_flags(instance) else "Flags: none"
    if unicast:
        yield "  Using unicast"
    yield f"Wantstate = {router.wanted}"
    yield "Number of config faults = 0"
    yield f"Number of interface and track script faults = {len(router.faults)}"
    yield f"Number of track scripts init = {router.undecided}"
    yield f"Last transition = {shown.moment(router.changed_at)}"
    yield f"Read timeout = {shown.moment(router.due_at)}"
    yield f"Master down timer = {int(router.down_after * _MICROSECONDS)} usecs"


def _has_flags(instance: Instance) -> bool:
    """Return whether one of the flags is set that have no text of their own: 2.2.7 then writes the bare heading."""
    named = instance.source is not None or instance.vmac is not None
    unusual = not instance.preempt or not instance.track_primary
    return named or unusual or instance.skip_check_addresses or instance.promote_secondaries


def _interface(router: RouterPicture, links: Iterable[LinkPicture]) -> Iterator[str]:
    instance, vmac = router.instance, router.instance.vmac
    if vmac is None or vmac.addresses_only:
        yield f"Interface = {instance.interface}"
    else:
        name = vmac.name or f"vrrp.{instance.virtual_router_id}"
        is_up = any(link.is_up for link in links if link.name == name)
        yield f"Use VMAC, i/f name {name}, is_up = {yes(is_up)}, xmit_base = {yes(vmac.xmit_base)}"
        base = ", xmit base i/f" if vmac.xmit_base else ""
        yield f"Interface = {name}, vmac on {instance.interface}{base}"
    if not instance.track_primary:
        yield "VRRP interface tracking disabled"
    if instance.skip_check_addresses:
        yield "Skip checking advert IP addresses"
    if instance.strict:
        yield "Enforcing strict VRRP compliance"
    configured = " (from configuration)" if instance.source is not None else ""
    yield f"Using src_ip = {router.source or '(none)'}{configured}"
    if isinstance(instance.transport, Multicast):
        index = next((link.index for link in links if link.name == speaking_device(instance)), 0)
        scope = f", ifindex {index}" if instance.family == 6 else ""
        yield f"Multicast address {instance.transport.group}{scope}"


def _announcing(instance: Instance) -> Iterator[str]:
    garp = instance.garp
    yield f"Gratuitous ARP delay = {int(garp.delay)}"
    yield f"Gratuitous ARP repeat = {garp.repeat}"
    yield f"Gratuitous ARP refresh = {int(garp.refresh)}"
    yield f"Gratuitous ARP refresh repeat = {garp.refresh_repeat}"
    yield f"Gratuitous ARP lower priority delay = {int(garp.lower_prio_delay)}"
    yield f"Gratuitous ARP lower priority repeat = {garp.lower_prio_repeat}"
    yield f"Down timer adverts = {instance.down_timer_adverts}"
    yield f"Send advert after receive lower priority advert = {yes(instance.answers_lower_priority)}"
    yield f"Send advert after receive higher priority advert = {yes(instance.answers_higher_priority is True)}"


def _election(router: RouterPicture) -> Iterator[str]:
    instance = router.instance
    yield f"Virtual Router ID = {instance.virtual_router_id}"
    yield f"Priority = {instance.priority}"
    yield f"Effective priority = {router.priority}"
    yield f"Total priority = {router.priority}"
    if instance.version == 2:
        yield f"Advert interval = {instance.advert_interval:.0f} sec"
    else:
        yield f"Advert interval = {instance.advert_interval * 1000:.0f} milli-sec"
        if router.state.name == "BACKUP":
            yield f"Master advert interval = {router.advert_interval * 1000:.0f} milli-sec"
    yield f"Accept = {yes(instance.accept, ENABLED)}"
    yield f"Preempt = {yes(instance.preempt, ENABLED)}"
    if instance.preempt_delay:
        yield f"Preempt delay = {instance.preempt_delay:g} secs"
    yield f"Promote_secondaries = {yes(instance.promote_secondaries, ENABLED)}"
    if instance.version == 2:
        kind = instance.authentication.type
        yield f"Authentication type = {AUTHENTICATIONS[kind]}"
        if kind is AuthType.PASS:
            yield f"Password = {shown.MASKED}"
    if instance.receive_buffer is not None:
        yield f"Kernel rx buffer size = {instance.receive_buffer}"
    if instance.debug:
        yield f"Debug level = {instance.debug}"


def _addresses(router: RouterPicture) -> Iterator[str]:
    instance = router.instance
    if instance.addresses:
        yield f"Virtual IP ({len(instance.addresses)}):"
        yield from listed(router, instance.addresses)
    if instance.excluded:
        yield "Virtual IP Excluded :"
        yield from listed(router, instance.excluded)


def listed(router: RouterPicture, addresses: Sequence[VirtualAddress]) -> Iterator[str]:
    """Yield one line an address, two blanks further in."""
    device, filtered = device_of(router.instance), not router.instance.accept
    for one in addresses:
        yield f"  {shown.address(one, device, held=one.interface in router.held, filtered=filtered)}"


def device_of(instance: Instance) -> str:
    """Return where the addresses of an instance go if they do not say: ``eth0``, ``vrrp.51@eth0``."""
    vmac = instance.vmac
    if vmac is None or vmac.addresses_only:
        return instance.interface
    return f"{vmac.name or f'vrrp.{instance.virtual_router_id}'}@{instance.interface}"


def speaking_device(instance: Instance) -> str:
    """Return the interface that keepalived's sockets are bound to: the VMAC, unless it speaks through the one below."""
    vmac = instance.vmac
    if vmac is None or vmac.addresses_only or vmac.xmit_base:
        return instance.interface
    return vmac.name or f"vrrp.{instance.virtual_router_id}"


def _transport(router: RouterPicture) -> Iterator[str]:
    instance = router.instance
    if isinstance(instance.transport, Unicast):
        yield f"Unicast TTL = {instance.transport.ttl}"
        yield f"Check unicast src : {yes(instance.check_unicast_source, ('yes', 'no'))}"
        yield "Unicast Peer :"
        for peer in instance.transport.peers:
            low, high = peer.min_ttl or 0, 255 if peer.max_ttl is None else peer.max_ttl
            yield f"  {peer.address} min_ttl {low} max_ttl {high}"
        yield f"Unicast checksum compatibility = {yes(instance.old_unicast_checksum, ('yes', 'no'))}"
    receiving, sending = router.descriptors
    yield f"fd_in {receiving}, fd_out {sending}"


def _carried(instance: Instance) -> Iterator[str]:
    if instance.routes:
        yield "Virtual Routes :"
        yield from (f"  {shown.route(one)}" for one in instance.routes)
    if instance.rules:
        yield "Virtual Rules :"
        yield from (f"  {shown.rule(one)}" for one in instance.rules)


def tracked(lines: Iterable[Tracked]) -> Iterator[str]:
    """Yield what an instance or a group tracks, kind by kind."""
    for heading, kind, separator in (
        ("Tracked interfaces :", TrackerKind.INTERFACE, ""),
        ("Tracked scripts :", TrackerKind.SCRIPT, ""),
        ("Tracked files :", TrackerKind.FILE, ","),
        ("Tracked processes :", TrackerKind.PROCESS, ","),
        ("Tracked URLs :", TrackerKind.HTTP, ","),
    ):
        found = [one for one in lines if one.kind is kind]
        if found:
            yield heading
            yield from (f"  {shown.weight(one, separator)}" for one in found)


def notify_scripts(notify: NotifyScripts) -> Iterator[str]:
    """Yield one line for each script that is told of a change of state."""
    for name, script in (
        ("Backup", notify.backup),
        ("Master", notify.master),
        ("Fault", notify.fault),
        ("Stop", notify.stop),
        ("Deleted", notify.deleted),
        ("Generic", notify.any),
        ("Master rx lower pri", notify.master_rx_lower_pri),
    ):
        if script is not None:
            yield f"{name} state transition script = {shown.script(script)}"

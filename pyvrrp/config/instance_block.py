"""``vrrp_instance``: the table of its keywords, and one block to one Instance.

Laws: pure. What the keywords do stands in the ``instance_*`` modules, by subject; how they are settled against each
other at the end of the block in ``instance_settled.py``. Where keepalived corrects a value and carries on, so does
this, with keepalived's message as a warning; what leaves no sensible virtual router is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pyvrrp.config import carried_lines as carried
from pyvrrp.config import instance_authentication as authentication
from pyvrrp.config import instance_protocol as protocol
from pyvrrp.config import instance_transport as transport
from pyvrrp.config.global_block import InstanceDefaults
from pyvrrp.config.global_instances import GARP_ABOUT, LEASE_ABOUT
from pyvrrp.config.instance_settled import settle
from pyvrrp.config.instance_state import InstanceBlock
from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.known import VRRP_INSTANCE, Disposition
from pyvrrp.config.notify_lines import NotifyLines
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.tracking import TrackedLines, Trackers
from pyvrrp.config.tree import Statement
from pyvrrp.model import Instance

NOTIFY_ABOUT = {
    "notify": (1, "Runs on every change, with type, name, state and priority behind its own arguments."),
    "notify_master": (1, "Runs when it becomes MASTER."),
    "notify_backup": (1, "Runs when it becomes BACKUP."),
    "notify_fault": (1, "Runs when it becomes FAULT."),
    "notify_stop": (1, "Runs when the daemon stops."),
    "notify_master_rx_lower_pri": (2, "Runs when a MASTER hears one of lower priority."),
}
TRACK_ABOUT = {
    "track_script": (1, "Scripts whose success counts: NAME [weight N [reverse|noreverse]]."),
    "track_interface": (1, "Interfaces that have to be up: IF [weight N [reverse]]."),
    "track_file": (2, "Files whose number counts: NAME [weight N [reverse|noreverse]]."),
    "track_process": (2, "Processes that have to run: NAME [weight N [reverse|noreverse]]."),
    "track_http": (0, "URLs that have to answer: NAME [weight N [reverse|noreverse]]."),
}


def read_instance(
    statement: Statement,
    notes: Notes,
    defaults: InstanceDefaults,
    trackers: Trackers,
    surroundings: Surroundings,
    next_preference: Callable[[int], int],
) -> Instance | None:
    """Return the virtual router that a ``vrrp_instance`` block describes, or None if an error has been noted."""
    name = statement.parameters[0].text
    block = InstanceBlock(
        statement,
        notes,
        defaults,
        TrackedLines(name, trackers, notes),
        surroundings,
        next_preference,
        NotifyLines(name, notes, defaults.script_user),
        # Measured: lower_prio of an instance is the global one, whatever the instance says of master.
        garp=replace(defaults.garp, own_lower_delay=True, own_lower_repeat=True),
        down_timer_adverts=defaults.down_timer_adverts,
        vip_lease=defaults.vip_lease,
    )
    TABLE.read(block, statement.block or (), notes)
    return settle(block)


def _switch(tier: int, about: str, default: str = "off") -> Keyword[InstanceBlock]:
    return Keyword(protocol.set_switch, parameters=0, most=1, tier=tier, default=default, about=about)


def _unicast(about: str, most: int = 0) -> Keyword[InstanceBlock]:
    return Keyword(transport.set_unicast_switch, parameters=0, most=most, tier=2, default="off", about=about)


def _block(handle: Callable[[InstanceBlock, Statement], None], tier: int, about: str) -> Keyword[InstanceBlock]:
    return Keyword(handle, parameters=0, block=True, tier=tier, default="none", about=about)


def _notify(block: InstanceBlock, statement: Statement) -> None:
    block.notify.set_script(statement)


def _notify_deleted(block: InstanceBlock, statement: Statement) -> None:
    block.notify.set_deleted(statement)


def _notify_switch(block: InstanceBlock, statement: Statement) -> None:
    block.notify.set_switch(statement)


def _track(block: InstanceBlock, statement: Statement) -> None:
    block.tracked.read(statement)


def _linkbeat(block: InstanceBlock, statement: Statement) -> None:
    block.warn("'linkbeat_use_polling' in vrrp instance deprecated - use linkbeat_interfaces block", statement)


def _track_bfd(block: InstanceBlock, statement: Statement) -> None:
    block.error("track_bfd is not supported: track a script, a process or a URL instead", statement)


PROTOCOL: dict[str, Keyword[InstanceBlock]] = {
    "state": Keyword(protocol.set_state, tier=1, default="BACKUP", about="MASTER counts with priority 255 only."),
    "interface": Keyword(protocol.set_interface, tier=1, default="default_interface", about="Where it speaks."),
    "virtual_router_id": Keyword(
        protocol.set_virtual_router_id, tier=1, default="required; 1 to 255", about="The same on all its routers."
    ),
    "priority": Keyword(
        protocol.set_priority, tier=1, default="100; 1 to 255", about="The highest is master; 255 owns the addresses."
    ),
    "advert_int": Keyword(
        protocol.set_advert_interval,
        tier=1,
        default="1 s; v2 whole seconds to 255, v3 0.01 to 40.95",
        about="Seconds between two advertisements.",
    ),
    "version": Keyword(protocol.set_version, tier=2, default="2; 3 for IPv6", about="Of VRRP: 2 or 3."),
    "native_ipv6": Keyword(protocol.set_native_ipv6, parameters=0, tier=3, default="off", about="Deprecated: IPv6."),
    "preempt": Keyword(protocol.set_preempt, parameters=0, tier=3, default="on", about="Takes nopreempt back."),
    "nopreempt": Keyword(
        protocol.set_preempt, parameters=0, tier=1, default="off", about="Leaves a lower master in its place."
    ),
    "preempt_delay": Keyword(
        protocol.set_preempt_delay,
        tier=1,
        default="0 s; up to 1000",
        about="Seconds before it takes over from a lower one.",
    ),
    "down_timer_adverts": Keyword(
        protocol.set_down_timer_adverts, tier=3, default="3; 1 to 100", about="Advertisements that may be missed."
    ),
    "timer_expired_backup": Keyword(
        protocol.set_timer_expired_backup, tier=3, default="0 s", about="With nopreempt: lets a higher backup go first."
    ),
    "thread_timer_expired": Keyword(
        protocol.set_timer_expired_backup, tier=3, default="0 s", about="Old name of timer_expired_backup."
    ),
    "vip_lease": Keyword(protocol.set_vip_lease, tier=0, default=LEASE_ABOUT[0], about=LEASE_ABOUT[1]),
    "debug": Keyword(
        protocol.set_debug,
        tier=3,
        default="0; up to 4",
        about="Read, and without effect, as in keepalived.",
        disposition=Disposition.ACCEPTED,
    ),
    "kernel_rx_buf_size": Keyword(
        protocol.set_receive_buffer, tier=3, default="vrrp_rx_bufs_policy", about="Bytes of the receive buffer."
    ),
    "skip_check_adv_addr": _switch(2, "Trusts the list of addresses of a master that it knows."),
    "strict_mode": _switch(3, "Holds it to the letter of the RFC; the addresses then do not answer.", "vrrp_strict"),
    "v3_checksum_as_v2": _switch(3, "Version 3 over IPv4: a checksum without pseudo-header."),
    "lower_prio_no_advert": _switch(2, "Does not answer an advertisement of lower priority."),
    "higher_prio_send_advert": _switch(
        2,
        "Sends one more before it yields to a higher priority, which then announces its addresses again.",
        "on after a takeover in silence; off if strict",
    ),
    "owner_ignore_adverts": _switch(3, "An owner of the addresses listens to nobody.", "off; on if strict"),
    "accept": Keyword(
        protocol.set_accept, parameters=0, tier=3, default="on, unless strict", about="The addresses answer."
    ),
    "no_accept": Keyword(
        protocol.set_accept, parameters=0, tier=3, default="off", about="What is sent to the addresses is dropped."
    ),
    "dont_track_primary": _switch(2, "Its own interface may be down."),
    "no_virtual_ipaddress": _switch(3, "It may have no address at all."),
    "promote_secondaries": _switch(3, "Other addresses of the network stay when one goes."),
    "track_src_ip": _switch(2, "FAULT while the configured source address is not there."),
    "linkbeat_use_polling": Keyword(
        _linkbeat, parameters=0, tier=3, about="Deprecated and without effect.", disposition=Disposition.ACCEPTED
    ),
    "garp_extra_if": Keyword(
        protocol.set_garp_extra_if,
        most=2,
        tier=3,
        default="0 s",
        about="Gratuitous ARP on further interfaces, again and again.",
    ),
    "vmac_garp_intvl": Keyword(protocol.set_garp_extra_if, most=2, tier=3, about="Old name of garp_extra_if."),
}
TRANSPORT: dict[str, Keyword[InstanceBlock]] = {
    "unicast_peer": _block(transport.set_peers, 1, "To whom to send, one by one: IP [min_ttl N] [max_ttl N]."),
    "unicast_src_ip": Keyword(transport.set_source, tier=1, default="of the interface", about="The source address."),
    "mcast_src_ip": Keyword(transport.set_source, tier=2, default="of the interface", about="The source address."),
    "mcast_dst_ip": Keyword(transport.set_group, tier=3, default="224.0.0.18, ff02::12", about="The multicast group."),
    "unicast_ttl": Keyword(transport.set_unicast_ttl, tier=2, default="255; 0 to 255", about="TTL of what is sent."),
    "unicast_fault_no_peer": _unicast("Without any peer it is in FAULT, and does not multicast."),
    "check_unicast_src": _unicast("Believes nobody but its peers."),
    "old_unicast_checksum": _unicast(
        "Version 3: the checksum of keepalived before 1.3.7; never: do not look for it.", 1
    ),
    "use_vmac": Keyword(
        transport.set_vmac, parameters=0, most=6, tier=2, default="off", about="A macvlan with the virtual MAC address."
    ),
    "use_vmac_addr": Keyword(
        transport.set_vmac_option,
        parameters=0,
        tier=3,
        default="off",
        about="A macvlan for addresses on other interfaces.",
    ),
    "vmac_xmit_base": Keyword(
        transport.set_vmac_option, parameters=0, tier=2, default="off", about="Speaks through the interface below."
    ),
    "use_ipvlan": Keyword(
        transport.refuse_ipvlan, parameters=0, most=6, tier=3, about="An ipvlan.", disposition=Disposition.REFUSED
    ),
    "vrf": Keyword(transport.refuse_vrf, tier=3, about="A VRF.", disposition=Disposition.REFUSED),
}
TABLE: Table[InstanceBlock] = Table(
    {
        **PROTOCOL,
        **TRANSPORT,
        "authentication": _block(authentication.set_authentication, 1, "auth_type and auth_pass, in version 2."),
        "auth_hmac": _block(authentication.set_hmac, 3, "Signs advertisements, so that unicast may cross networks."),
        "virtual_ipaddress": _block(carried.set_addresses, 1, "The addresses of the master, in its advertisements."),
        "virtual_ipaddress_excluded": _block(carried.set_excluded, 2, "More addresses, not in its advertisements."),
        "virtual_routes": _block(carried.set_routes, 2, "Routes of the master: ip-route(8)."),
        "virtual_rules": _block(carried.set_rules, 3, "Rules of the master: ip-rule(8)."),
        "track_bfd": Keyword(
            _track_bfd, parameters=0, block=True, tier=3, about="BFD.", disposition=Disposition.REFUSED
        ),
        **{name: _block(_track, tier, about) for name, (tier, about) in TRACK_ABOUT.items()},
        **{
            name: Keyword(_notify, most=3, tier=tier, default="none", about=about)
            for name, (tier, about) in NOTIFY_ABOUT.items()
        },
        "notify_deleted": Keyword(
            _notify_deleted,
            parameters=0,
            most=3,
            tier=2,
            default="off",
            about="A reload that drops it tells DELETED, not FAULT.",
        ),
        "notify_priority_changes": Keyword(
            _notify_switch, parameters=0, most=1, tier=2, default="off", about="The FIFO is told of priorities."
        ),
        "smtp_alert": Keyword(
            _notify_switch,
            parameters=0,
            most=1,
            tier=2,
            default="off",
            about="No mail is sent.",
            disposition=Disposition.ACCEPTED,
        ),
        **{
            name: Keyword(protocol.set_garp, tier=2, default=default, about=about)
            for name, (default, about) in GARP_ABOUT.items()
        },
    },
    VRRP_INSTANCE,
)

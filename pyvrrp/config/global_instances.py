"""``global_defs``: the keywords that are defaults of the instances.

Laws: pure. A value that is not understood is left out, with keepalived's message as a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from pyvrrp.config.global_defaults import GARP_KEYWORDS, GlobalBlock, read_down_timer_adverts, read_vip_lease
from pyvrrp.config.keywords import Keyword
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import interface_name, switch, whole

LONGEST_EXTRA = 86400
MOST_BYTES = 2**31 - 1


def switched(block: GlobalBlock, statement: Statement) -> bool | None:
    """Return what a keyword with an optional ``on`` or ``off`` says, None with a warning if that is another word."""
    if not statement.parameters:
        return True
    text = statement.parameters[0].text
    try:
        return switch(text)
    except ValueError:
        briefly = statement.name in {"vrrp_lower_prio_no_advert", "vrrp_higher_prio_send_advert", "vrrp_min_garp"}
        value = f" for {statement.name}" if briefly else f" '{text}' for global {statement.name}"
        block.notes.warn(statement, f"Invalid value{value} specified")
        return None


def without_effect(block: GlobalBlock, statement: Statement) -> None:
    """Name a keyword that is read, shown in dumps, and not carried out."""
    block.notes.advise(statement, f"the keyword '{statement.name}' is known to keepalived, not carried out")


def _switch(
    name: str, about: str, *, tier: int = 3, reverse: bool = False, default: str = "off"
) -> Keyword[GlobalBlock]:
    """Return the row of a keyword that sets the switch ``name`` of the defaults, or clears it (``reverse``)."""

    def handle(block: GlobalBlock, statement: Statement) -> None:
        value = switched(block, statement)
        if value is not None:
            setattr(block.defaults, name, value is not reverse)

    return Keyword(handle, parameters=0, most=1, tier=tier, default=default, about=about)


def set_version(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_version N``."""
    text = statement.parameters[0].text
    try:
        block.defaults.version = whole(text, 2, 3)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, "VRRP Error: Version must be either 2 or 3")


def set_default_interface(block: GlobalBlock, statement: Statement) -> None:
    """``default_interface IF``."""
    try:
        block.defaults.interface = interface_name(statement.parameters[0].text)
    except ValueError as wrong:
        block.notes.error(statement, str(wrong))


def set_script_user(block: GlobalBlock, statement: Statement) -> None:
    """``script_user NAME [GROUP]``."""
    if not statement.parameters:
        block.notes.warn(statement, "No script username specified")
        return
    name, *group = (word.text for word in statement.parameters)
    block.defaults.script_user = name, group[0] if group else None


def set_garp(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_garp_*``."""
    block.defaults.garp.set(statement, block.notes, "")


def set_min_garp(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_min_garp [BOOL]``."""
    if switched(block, statement):
        block.defaults.garp.least()
        block.change(minimal_garp=True)


def set_garp_extra_if(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_garp_extra_if [all] S``."""
    words = [word.text for word in statement.parameters if word.text != "all"]
    if not words:
        block.notes.warn(statement, f"{statement.name} specified without time - ignoring")
        return
    try:
        seconds = float(whole(words[0], 1, LONGEST_EXTRA))
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"{statement.name} '{words[0]}' invalid - ignoring")
        return
    garp = block.defaults.garp
    garp.values = replace(garp.values, extra_interface=seconds)


def set_down_timer_adverts(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_down_timer_adverts N``."""
    now = block.defaults.down_timer_adverts
    block.defaults.down_timer_adverts = read_down_timer_adverts(statement, block.notes, "", now)


def set_vip_lease(block: GlobalBlock, statement: Statement) -> None:
    """``vip_lease S|on|off``, ours alone."""
    block.defaults.vip_lease = read_vip_lease(statement, block.notes, block.defaults.vip_lease)


def set_group(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_mcast_group4`` and ``6``."""
    text, four = statement.parameters[0].text, statement.name.endswith("4")
    try:
        group = ip_address(text)
    except ValueError:
        block.notes.warn(statement, f"Can't parse {statement.name} [{text}]. Skipping")
        return
    if group.version != (4 if four else 6):
        block.notes.warn(statement, f"{statement.name} [{text}] is not IPv{'4' if four else '6'}. Skipping")
        return
    if not group.is_multicast:
        block.notes.warn(statement, f"{statement.name} [{text}] is not multicast. Skipping")
    elif isinstance(group, IPv4Address):
        block.defaults.multicast_group4 = group
        block.change(multicast_group4=group)
    else:
        block.defaults.multicast_group6 = group
        block.change(multicast_group6=group)


def set_receive_buffers(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_rx_bufs_policy MTU|ADVERT|BYTES``: bytes are carried out, a policy leaves it to the kernel."""
    text = statement.parameters[0].text
    if text.upper() in {"MTU", "ADVERT"}:
        block.notes.advise(statement, f"vrrp_rx_bufs_policy {text}: the kernel's default size is used instead")
        return
    try:
        block.defaults.receive_buffer = whole(text, 0, MOST_BYTES)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"Invalid vrrp_rx_bufs_policy {text}")


GARP_ABOUT: dict[str, tuple[str, str]] = {
    "garp_master_delay": ("5 s; 0 to 86400, 0 for no second burst", "Second burst of gratuitous ARPs so much later."),
    "garp_master_repeat": ("5; at least 1", "Gratuitous ARPs in a burst on becoming master."),
    "garp_master_refresh": ("0 s, off; to 86400", "Further gratuitous ARPs at this interval while master."),
    "garp_master_refresh_repeat": ("1; at least 1", "How many at each garp_master_refresh."),
    "garp_lower_prio_delay": ("as garp_master_delay", "Second burst after an advertisement of lower priority."),
    "garp_lower_prio_repeat": ("as garp_master_repeat", "Burst after an advertisement of lower priority."),
}
"""Default and range, and what it does: of the keywords of an instance, and of those for all of them."""


LEASE_ABOUT = (
    "on: down_timer_adverts intervals; off, 2 to 86400 s",
    "Seconds after which the kernel takes the addresses of a master that has died or hangs; off: it keeps them.",
)
"""Default and range of ``vip_lease``, and what it does."""


def _garp_row(name: str) -> Keyword[GlobalBlock]:
    default, about = GARP_ABOUT[name]
    return Keyword(set_garp, tier=2, default=default, about=f"Default of {name}. {about}")


_Handler = Callable[[GlobalBlock, Statement], None]


def _row(handle: _Handler, tier: int, default: str, about: str, most: int = 1) -> Keyword[GlobalBlock]:
    return Keyword(handle, most=most, tier=tier, default=default, about=about)


KEYWORDS: dict[str, Keyword[GlobalBlock]] = {
    "script_user": Keyword(
        set_script_user,
        parameters=0,
        most=2,
        tier=1,
        default="the daemon's own user",
        about="User and group of scripts that name none: NAME [GROUP].",
    ),
    "default_interface": _row(set_default_interface, 2, "none", "Interface of instances and static addresses without."),
    "vrrp_version": _row(set_version, 2, "2, and 3 for IPv6; 2 or 3", "VRRP version of the instances."),
    "vrrp_strict": _switch("strict", "Keep to the RFC: no authentication, no unicast, no_accept, ...", tier=1),
    "vrrp_skip_check_adv_addr": _switch(
        "skip_check_addresses", "Do not compare the addresses of a master that was heard before.", tier=1
    ),
    "vrrp_check_unicast_src": _switch("check_unicast_source", "Believe unicast from configured peers only.", tier=2),
    "v3_checksum_as_v2": _switch("checksum_as_v2", "VRRPv3 checksum over IPv4 without pseudo-header."),
    "vrrp_lower_prio_no_advert": _switch(
        "answers_lower_priority", "Do not answer a lower priority with an advertisement.", tier=2, reverse=True
    ),
    "vrrp_higher_prio_send_advert": _switch(
        "answers_higher_priority",
        "Advertise once more before giving way to a higher priority, which then announces its addresses again.",
        tier=2,
        default="on after a takeover in silence",
    ),
    "vrrp_owner_ignore_adverts": _switch(
        "owner_ignores_adverts", "A router with priority 255 does not listen to advertisements."
    ),
    "vrrp_notify_priority_changes": _switch(
        "notify_priority_changes", "Changes of the effective priority are told on the FIFOs.", tier=2
    ),
    "vrrp_down_timer_adverts": _row(
        set_down_timer_adverts, 3, "3; 1 to 100", "How many missing advertisements mean that the master is down."
    ),
    "vip_lease": _row(set_vip_lease, 0, *LEASE_ABOUT),
    **{f"vrrp_{name}": _garp_row(name) for name in GARP_KEYWORDS},
    "vrrp_min_garp": Keyword(
        set_min_garp, parameters=0, most=1, tier=2, default="off", about="One gratuitous ARP and no second burst."
    ),
    "vrrp_garp_extra_if": Keyword(
        set_garp_extra_if,
        parameters=0,
        most=2,
        tier=3,
        default="off; 1 to 86400 s",
        about="Gratuitous ARPs on the interfaces below VMACs, this often: [all] S.",
    ),
    "vrrp_vmac_garp_intvl": _row(set_garp_extra_if, 3, "off; 1 to 86400 s", "Old name of vrrp_garp_extra_if.", 2),
    "vrrp_mcast_group4": _row(set_group, 3, "224.0.0.18", "Group of IPv4 advertisements."),
    "vrrp_mcast_group6": _row(set_group, 3, "ff02::12", "Group of IPv6 advertisements."),
    "vrrp_rx_bufs_policy": _row(
        set_receive_buffers, 3, "the kernel's", "Receive buffers in bytes; MTU and ADVERT leave it to the kernel.", 2
    ),
}

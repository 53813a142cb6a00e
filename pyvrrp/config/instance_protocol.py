"""The keywords of ``vrrp_instance`` that shape the protocol: who, how often, with what priority.

Laws: pure. Where keepalived corrects a value and carries on, so does this, with keepalived's message as a warning.
"""

from __future__ import annotations

from dataclasses import replace

from pyvrrp.config.global_block import read_down_timer_adverts, read_vip_lease
from pyvrrp.config.instance_state import InstanceBlock
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import decimal, interface_name, switch, whole
from pyvrrp.model import OWNER_PRIORITY, InitialState

DEFAULT_PRIORITY = 100


def set_state(block: InstanceBlock, statement: Statement) -> None:
    """``state MASTER|BACKUP``."""
    text = statement.parameters[0].text
    if text not in InitialState.__members__:
        block.warn(f"unknown state '{text}', defaulting to BACKUP", statement)
        block.state = InitialState.BACKUP
    elif text == "BACKUP" and block.state is InitialState.MASTER:
        block.warn("state previously set as MASTER - ignoring BACKUP", statement)
    else:
        block.state = InitialState[text]


def set_interface(block: InstanceBlock, statement: Statement) -> None:
    """``interface IF``."""
    try:
        block.interface = interface_name(statement.parameters[0].text)
    except ValueError as wrong:
        block.error(str(wrong), statement)


def set_virtual_router_id(block: InstanceBlock, statement: Statement) -> None:
    """``virtual_router_id N``."""
    text = statement.parameters[0].text
    try:
        block.virtual_router_id = whole(text, 1, 255)
    except ValueError as wrong:
        block.notes.error(statement, str(wrong))
        block.notes.error(statement, f"({block.name}): VRID '{text}' not valid - must be between 1 & 255")


def set_priority(block: InstanceBlock, statement: Statement) -> None:
    """``priority N``."""
    try:
        block.priority = whole(statement.parameters[0].text, 1, OWNER_PRIORITY)
    except ValueError as wrong:
        block.priority = DEFAULT_PRIORITY
        block.notes.warn(statement, str(wrong))
        block.warn(f"Priority not valid! must be between 1 & 255. Using default {block.priority}", statement)


def set_advert_interval(block: InstanceBlock, statement: Statement) -> None:
    """``advert_int S``; what the version allows is settled at the end."""
    text = statement.parameters[0].text
    try:
        block.advert_interval = decimal(text, 0.01, 255.0)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.warn(f"Advert interval ({text}) not valid! Must be > 0 - ignoring", statement)


def set_version(block: InstanceBlock, statement: Statement) -> None:
    """``version 2|3``: two routers of different versions do not hear each other, so any other word is an error."""
    try:
        version = whole(statement.parameters[0].text, 2, 3)
    except ValueError as wrong:
        block.notes.error(statement, str(wrong))
        block.notes.error(statement, f"({block.name}): Version must be either 2 or 3")
        return
    deduced = block.version or (3 if block.family == 6 else version)
    if version != deduced:
        about = f"configured or deduced version {block.version or 0}"
        block.warn(f"vrrp_version {version} conflicts with {about}; ignoring.", statement)
        return
    block.version = version


def set_native_ipv6(block: InstanceBlock, statement: Statement) -> None:
    """``native_ipv6``: deprecated; the addresses say it."""
    if not block.is_of(6):
        block.warn("Cannot specify native_ipv6 with IPv4 addresses", statement)
    else:
        block.version = 3


def set_preempt(block: InstanceBlock, statement: Statement) -> None:
    """``nopreempt``; ``preempt`` takes it back, as in keepalived."""
    block.preempt = statement.name == "preempt"


def set_preempt_delay(block: InstanceBlock, statement: Statement) -> None:
    """``preempt_delay S``, 0 to 1000."""
    try:
        block.preempt_delay = decimal(statement.parameters[0].text, 0.0, 1000.0)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.warn("Preempt_delay not valid! must be between 0-1000", statement)
        block.preempt_delay = 0.0


def set_down_timer_adverts(block: InstanceBlock, statement: Statement) -> None:
    """``down_timer_adverts N``."""
    block.down_timer_adverts = read_down_timer_adverts(statement, block.notes, block.name, block.down_timer_adverts)


def set_vip_lease(block: InstanceBlock, statement: Statement) -> None:
    """``vip_lease S|on|off``, ours alone; whether it suits the interval is settled at the end."""
    block.vip_lease = read_vip_lease(statement, block.notes, block.vip_lease)


def set_timer_expired_backup(block: InstanceBlock, statement: Statement) -> None:
    """``timer_expired_backup S`` (HEAD): seconds for which a router with nopreempt lets a higher one go first."""
    text = statement.parameters[0].text
    try:
        block.timer_expired_backup = decimal(text, 0.0, 1000.0)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.warn(f"{statement.name} ({text}) not valid! must be between 0-1000", statement)


def set_debug(block: InstanceBlock, statement: Statement) -> None:
    """``debug LEVEL``: 0 to 4, known and without effect, in keepalived as well."""
    text = statement.parameters[0].text
    try:
        block.debug = whole(text, 0, 4)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.warn(f"Debug value '{text}' not valid; must be between 0-4", statement)


def set_receive_buffer(block: InstanceBlock, statement: Statement) -> None:
    """``kernel_rx_buf_size N``, in bytes."""
    try:
        block.receive_buffer = whole(statement.parameters[0].text, 0, 2**32 - 1)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.warn("invalid kernel_rx_buf_size specified", statement)


def set_switch(block: InstanceBlock, statement: Statement) -> None:
    """A keyword that is on, unless ``off`` stands behind it."""
    text = statement.parameters[0].text if statement.parameters else "on"
    try:
        on = switch(text)
    except ValueError:
        block.warn(f"invalid {statement.name} {text} specified", statement)
        return
    if statement.name == "skip_check_adv_addr" and not on and not block.notes.strict:
        # Against its manual, keepalived takes off for on; YAML was written for nobody else and means what it says.
        block.advise("skip_check_adv_addr off sets it, as in keepalived: leave the line out", statement)
        on = True
    block.switches[statement.name] = on


def set_accept(block: InstanceBlock, statement: Statement) -> None:
    """``accept`` and ``no_accept``: the later one counts."""
    block.switches["accept"] = statement.name == "accept"


def set_garp(block: InstanceBlock, statement: Statement) -> None:
    """``garp_*``."""
    block.garp.set(statement, block.notes, block.name)


def set_garp_extra_if(block: InstanceBlock, statement: Statement) -> None:
    """``garp_extra_if [all] S``, once ``vmac_garp_intvl``."""
    if statement.name == "vmac_garp_intvl":
        block.notes.warn(statement, 'Keyword "vmac_garp_intvl" is deprecated - please use "garp_extra_if"')
    numbers = [word.text for word in statement.parameters if word.text != "all"]
    try:
        seconds = whole(numbers[0], 0, 86400) if numbers else None
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"({block.name}): {statement.name} '{numbers[0]}' invalid - ignoring")
        return
    if seconds is None:
        block.notes.warn(statement, f"({block.name}): {statement.name} specified without time - ignoring")
        return
    block.garp.values = replace(block.garp.values, extra_interface=float(seconds))

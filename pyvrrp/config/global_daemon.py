"""``global_defs``: the keywords that the daemon itself carries out.

Laws: pure. A value that is not understood is left out, with keepalived's message as a warning.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from types import MappingProxyType

from pyvrrp.config.global_defaults import GlobalBlock
from pyvrrp.config.global_instances import switched, without_effect
from pyvrrp.config.keywords import Keyword
from pyvrrp.config.known import Disposition
from pyvrrp.config.script_block import read_script
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import decimal, whole
from pyvrrp.model import Fifo, Spacing

LONGEST_INTERVAL = 4294.967295
"""Seconds: 2^32 - 1 microseconds (keepalived counts in them)."""
LONGEST_SCRIPT = 1000


def set_router_id(block: GlobalBlock, statement: Statement) -> None:
    """``router_id NAME``."""
    if statement.parameters:
        block.router_id = statement.parameters[0].text
    else:
        block.notes.warn(statement, "routerid name missing - ignoring")


def set_script_security(block: GlobalBlock, statement: Statement) -> None:
    """``enable_script_security``: on from the start here, so that only ``off`` changes anything."""
    words = [word.text for word in statement.parameters]
    block.script_security = words not in (["off"], ["false"], ["no"])
    if not block.script_security:
        block.notes.advise(statement, "script security is off: scripts that others may change run as they are")


def set_dynamic_interfaces(block: GlobalBlock, statement: Statement) -> None:
    """``dynamic_interfaces [allow_if_changes]``."""
    words = [word.text for word in statement.parameters]
    block.change(dynamic_interfaces=True)
    if words == ["allow_if_changes"]:
        block.change(allow_interface_changes=True)
    elif words:
        block.notes.warn(statement, f"Unknown dynamic_interfaces option '{words[0]}'")


def set_spacing(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_garp_interval S`` and ``vrrp_gna_interval S``."""
    text = statement.parameters[0].text
    try:
        seconds = decimal(text, 0.000001, LONGEST_INTERVAL)
    except ValueError as wrong:
        block.notes.warn(statement, f"negative number '{text}'" if text.startswith("-") else str(wrong))
        block.notes.warn(statement, f"{statement.name} '{text}' is invalid")
        return
    name = "arp" if statement.name == "vrrp_garp_interval" else "na"
    known = block.settings.spacing
    spacing = dict(known) | {"": replace(known.get("", Spacing()), **{name: seconds})}
    block.change(spacing=MappingProxyType(spacing))


def set_startup_delay(block: GlobalBlock, statement: Statement) -> None:
    """``vrrp_startup_delay S`` and ``vrrp_delay_after_boot S``: the longer one counts."""
    text = statement.parameters[0].text
    try:
        seconds = decimal(text, 0.001, LONGEST_INTERVAL)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"{statement.name} '{text}' is invalid")
        return
    if seconds > block.settings.startup_delay:
        block.change(startup_delay=seconds, delay_after_boot=statement.name == "vrrp_delay_after_boot")


def set_fifo(block: GlobalBlock, statement: Statement) -> None:
    """``notify_fifo`` and ``vrrp_notify_fifo``."""
    field = "vrrp_fifo" if statement.name.startswith("vrrp_") else "fifo"
    path = statement.parameters[0].text
    if getattr(block.settings, field) is not None:
        block.notes.warn(statement, f"{statement.name} already specified - ignoring {path}")
        return
    if len(statement.parameters) > 1:
        block.notes.advise(statement, f"{statement.name}: the FIFO belongs to script_user, not to the user named here")
    block.change(**{field: Fifo(path, block.fifo_scripts.get(field))})


def set_fifo_script(block: GlobalBlock, statement: Statement) -> None:
    """``notify_fifo_script`` and ``vrrp_notify_fifo_script``; it may stand before the FIFO that it reads."""
    field = "vrrp_fifo" if statement.name.startswith("vrrp_") else "fifo"
    known: Fifo | None = getattr(block.settings, field)
    script = read_script(statement, block.notes, block.defaults.script_user)
    if field in block.fifo_scripts:
        block.notes.warn(statement, f"{statement.name} already specified - ignoring {statement.parameters[0].text}")
    elif script is not None:
        block.fifo_scripts[field] = script
        if known is not None:
            block.change(**{field: Fifo(known.path, script)})


def set_fifo_states_on_reload(block: GlobalBlock, _: Statement) -> None:
    """``fifo_write_vrrp_states_on_reload``."""
    block.change(fifo_states_on_reload=True)


def set_script(block: GlobalBlock, statement: Statement) -> None:
    """``startup_script`` and ``shutdown_script``."""
    without_effect(block, statement)
    script = read_script(statement, block.notes, block.defaults.script_user)
    if getattr(block.settings, statement.name) is not None:
        kind = statement.name.removesuffix("_script")
        block.notes.warn(statement, f"{kind} script already specified")
    elif script is not None:
        block.change(**{statement.name: script})


def set_script_timeout(block: GlobalBlock, statement: Statement) -> None:
    """``startup_script_timeout S`` and ``shutdown_script_timeout S``."""
    text = statement.parameters[0].text
    try:
        block.change(**{statement.name: float(whole(text, 1, LONGEST_SCRIPT))})
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"{statement.name} '{text}' must be in [1, {LONGEST_SCRIPT}] - ignoring")


def _again(block: GlobalBlock, statement: Statement, complaint: str) -> bool:
    """Return whether the keyword stood here before, with a warning if so."""
    before = statement.name in block.said
    block.said.add(statement.name)
    if before:
        block.notes.warn(statement, complaint)
    return before


def set_nftables(block: GlobalBlock, statement: Statement) -> None:
    """``nftables [TABLE]``."""
    if _again(block, statement, "nftables already specified - ignoring"):
        return
    if statement.parameters:
        block.change(nftables_table=statement.parameters[0].text)


def set_nftables_priority(block: GlobalBlock, statement: Statement) -> None:
    """``nftables_priority N``."""
    text = statement.parameters[0].text
    try:
        block.change(nftables_priority=whole(text, -(2**31), 2**31 - 1))
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"invalid nftables chain priority '{text}'")


def set_vmac_prefix(block: GlobalBlock, statement: Statement) -> None:
    """``vmac_prefix NAME``."""
    name = statement.parameters[0].text
    if not _again(block, statement, f"vmac prefix has already been specified - ignoring {name}"):
        block.change(vmac_prefix=name)


def set_disable_local_igmp(block: GlobalBlock, statement: Statement) -> None:
    """``disable_local_igmp``."""
    without_effect(block, statement)
    block.change(disable_local_igmp=True)


def set_log_unknown_vrids(block: GlobalBlock, _: Statement) -> None:
    """``log_unknown_vrids``."""
    block.change(log_unknown_vrids=True)


def set_mail(block: GlobalBlock, statement: Statement) -> None:
    """Everything about mail: understood, and said once that none is sent."""
    if statement.name in {"smtp_alert", "smtp_alert_vrrp"}:
        value = switched(block, statement)
        if value is not None:
            block.defaults.smtp_alert = value
        if not value:
            return
    elif statement.name == "smtp_connect_timeout":
        text = statement.parameters[0].text
        try:
            whole(text, 0, 4294)
        except ValueError as wrong:
            block.notes.warn(statement, str(wrong))
            block.notes.warn(statement, f"smtp_connect_timeout '{text}' must be in [0, 4294] - ignoring")
    elif statement.name == "notification_email" and not statement.block:
        block.notes.warn(statement, "Warning - empty notification_email block")
    if not block.told_of_mail:
        block.notes.advise(statement, f"mail is not sent: '{statement.name}' and its like have no effect")
    block.told_of_mail = True


def set_http_listen(block: GlobalBlock, statement: Statement) -> None:
    """``http_listen ADDRESS:PORT``, ours alone: where the status pages are."""
    text = statement.parameters[0].text
    host, _, port = text.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
        block.change(http=(str(address), whole(port, 1, 65535)))
    except ValueError:
        block.notes.error(statement, f"http_listen '{text}' is not ADDRESS:PORT, such as 127.0.0.1:9650 or [::1]:9650")


def _mail(tier: int, about: str, most: int = 1, *, block: bool = False) -> Keyword[GlobalBlock]:
    return Keyword(
        set_mail,
        parameters=0 if block or most == 0 else 1,
        most=None if block else max(most, 1),
        block=block,
        tier=tier,
        about=about,
        disposition=Disposition.ACCEPTED,
    )


KEYWORDS: dict[str, Keyword[GlobalBlock]] = {
    "router_id": Keyword(
        set_router_id, parameters=0, most=1, tier=1, default="the name of the host", about="Name of this machine."
    ),
    "enable_script_security": Keyword(
        set_script_security,
        parameters=0,
        most=1,
        tier=1,
        default="on (keepalived: off)",
        about="Do not run scripts as root that others may change; `off` is ours.",
    ),
    "vrrp_garp_interval": Keyword(
        set_spacing, tier=1, default="0 s, no gap; decimals", about="Seconds between two gratuitous ARPs on a link."
    ),
    "vrrp_gna_interval": Keyword(
        set_spacing, tier=1, default="0 s, no gap; decimals", about="Seconds between two unsolicited NAs on a link."
    ),
    "dynamic_interfaces": Keyword(
        set_dynamic_interfaces,
        parameters=0,
        most=1,
        tier=2,
        default="off",
        about="Interfaces may come later; `allow_if_changes`: or come back as another kind.",
    ),
    "vrrp_startup_delay": Keyword(
        set_startup_delay, tier=2, default="0 s; decimals", about="Seconds after the start in which all only listen."
    ),
    "vrrp_delay_after_boot": Keyword(
        set_startup_delay, tier=3, default="0 s; decimals", about="The same, counted from the boot of the machine."
    ),
    "notify_fifo": Keyword(set_fifo, most=3, tier=2, default="none", about="Named pipe for all notifications."),
    "notify_fifo_script": Keyword(
        set_fifo_script, most=3, tier=2, default="none", about="Program that reads it; gets its path as last argument."
    ),
    "vrrp_notify_fifo": Keyword(set_fifo, most=3, tier=2, default="none", about="Named pipe for VRRP notifications."),
    "vrrp_notify_fifo_script": Keyword(
        set_fifo_script, most=3, tier=2, default="none", about="Program that reads it; gets its path as last argument."
    ),
    "fifo_write_vrrp_states_on_reload": Keyword(
        set_fifo_states_on_reload, parameters=0, tier=2, default="off", about="A reload writes all states to the FIFOs."
    ),
    "startup_script": Keyword(
        set_script, most=3, tier=3, default="none", about="Runs once before all else.", disposition=Disposition.ACCEPTED
    ),
    "startup_script_timeout": Keyword(
        set_script_timeout,
        tier=3,
        default="10 s; 1 to 1000",
        about="How long it may.",
        disposition=Disposition.ACCEPTED,
    ),
    "shutdown_script": Keyword(
        set_script, most=3, tier=3, default="none", about="Runs once after all else.", disposition=Disposition.ACCEPTED
    ),
    "shutdown_script_timeout": Keyword(
        set_script_timeout,
        tier=3,
        default="10 s; 1 to 1000",
        about="How long it may.",
        disposition=Disposition.ACCEPTED,
    ),
    "nftables": Keyword(
        set_nftables, parameters=0, most=1, tier=3, default="keepalived", about="Table that no_accept rules are in."
    ),
    "nftables_priority": Keyword(set_nftables_priority, tier=3, default="-1", about="Priority of its chains."),
    "vmac_prefix": Keyword(set_vmac_prefix, tier=3, default="vrrp", about="How names of VMACs begin: vrrp.51."),
    "disable_local_igmp": Keyword(
        set_disable_local_igmp,
        parameters=0,
        tier=3,
        default="off",
        about="No IGMP reports for 224.0.0.0/24.",
        disposition=Disposition.ACCEPTED,
    ),
    "log_unknown_vrids": Keyword(
        set_log_unknown_vrids, parameters=0, tier=3, default="off", about="Log advertisements for VRIDs of nobody here."
    ),
    "http_listen": Keyword(
        set_http_listen, tier=0, default="none", about="ADDRESS:PORT of the status pages; keepalived does not have it."
    ),
    "notification_email": _mail(1, "Addresses that mail would go to.", block=True),
    "notification_email_from": _mail(1, "Sender of mail."),
    "smtp_server": _mail(1, "Where mail would be handed in: ADDRESS [PORT].", 2),
    "smtp_connect_timeout": _mail(1, "Seconds to wait for it."),
    "smtp_helo_name": _mail(3, "Name to greet it with."),
    "smtp_alert": _mail(2, "Mail on changes of state; the switch shows in dumps.", 0),
    "smtp_alert_vrrp": _mail(3, "The same for VRRP alone.", 0),
    "smtp_alert_checker": _mail(3, "The same for IPVS.", 0),
    "no_email_faults": _mail(3, "No mail on FAULT.", 0),
}

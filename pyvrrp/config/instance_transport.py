"""The keywords of ``vrrp_instance`` about where advertisements go and come from: unicast, multicast, VMAC.

Laws: pure. What keepalived would leave out although the routers then no longer hear each other is an error here.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from pyvrrp.config.instance_state import InstanceBlock
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import interface_name, whole
from pyvrrp.model import Address, UnicastPeer, Vmac


def _address(text: str) -> Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def set_source(block: InstanceBlock, statement: Statement) -> None:
    """``unicast_src_ip IP`` and ``mcast_src_ip IP``."""
    block.unicast |= statement.name == "unicast_src_ip"
    text = statement.parameters[0].text
    source = _address(text)
    about = f"Configuration error: VRRP instance[{block.name}]"
    if source is None:
        block.notes.error(statement, f"{about} malformed src address[{text}]. Skipping...")
    elif not block.is_of(source.version):
        block.notes.error(statement, f"{about} and src address[{text}] MUST be of the same family !!! Skipping...")
    else:
        block.source = source


def set_group(block: InstanceBlock, statement: Statement) -> None:
    """``mcast_dst_ip IP``."""
    text = statement.parameters[0].text
    group = _address(text)
    if group is None:
        block.error(f"malformed mcast dest address {text}. Skipping...", statement)
    elif not block.is_of(group.version):
        block.error(f"mcast dest address {text} MUST match VRRP instance family. Skipping...", statement)
    elif not group.is_multicast or (group.version == 6 and group.packed[1] & 0xF != 2):
        kind = "" if isinstance(group, IPv4Address) else " link-local"
        block.error(f"mcast_dst_ip {text} not{kind} multicast. Skipping...", statement)
    else:
        block.group = group


def set_peers(block: InstanceBlock, statement: Statement) -> None:
    """``unicast_peer { IP [min_ttl N] [max_ttl N] ... }``."""
    block.unicast = True
    for line in statement.block or ():
        address = _address(line.name)
        if address is None:
            block.error(f"malformed unicast peer address [{line.name}]: an IP address, such as 10.9.0.2", line)
        elif not block.is_of(address.version):
            block.error(f"unicast peer [{line.name}] must be of the instance's address family", line)
        elif any(peer.address == address for peer in block.peers):
            block.advise(f"unicast peer {address} is listed twice - ignoring", line)
        else:
            block.peers.append(_peer(block, line, address))


def _peer(block: InstanceBlock, line: Statement, address: Address) -> UnicastPeer:
    words = [word.text for word in line.parameters]
    bounds: dict[str, int] = {}
    while words:
        option = words.pop(0)
        if option not in {"min_ttl", "max_ttl"}:
            block.warn(f"unknown unicast_peer option {option} - ignoring", line)
            continue
        try:
            bounds[option] = whole(words.pop(0) if words else "", 0, 255)
        except ValueError as wrong:
            block.error(f"{option} of unicast peer {address}: {wrong}", line)
    if bounds.get("min_ttl", 0) > bounds.get("max_ttl", 255):
        block.error(f"unicast peer {address}: min_ttl {bounds['min_ttl']} is above max_ttl", line)
    if bounds:
        block.switches["check_unicast_src"] = True
    return UnicastPeer(address, bounds.get("min_ttl"), bounds.get("max_ttl"))


def set_unicast_ttl(block: InstanceBlock, statement: Statement) -> None:
    """``unicast_ttl N``: 0 to 255; 0 would never leave the host, so that it is taken for the default."""
    text = statement.parameters[0].text
    try:
        block.unicast_ttl = whole(text, 0, 255)
    except ValueError as wrong:
        block.notes.warn(statement, str(wrong))
        block.notes.warn(statement, f"({block.name}): TTL '{text}' not valid - must be between 0 & 255")


def set_unicast_switch(block: InstanceBlock, statement: Statement) -> None:
    """``check_unicast_src``, ``unicast_fault_no_peer``, ``old_unicast_checksum [never]``: each asks for unicast."""
    block.unicast = True
    words = [word.text for word in statement.parameters]
    if words and words != ["never"]:
        block.warn(f"Unknown old_unicast_chksum mode {words[0]} - ignoring", statement)
        return
    block.switches[statement.name] = not words


def set_vmac(block: InstanceBlock, statement: Statement) -> None:
    """``use_vmac [[name] NAME] [MAC]``: the name goes to the macvlan, the MAC stands for the virtual one."""
    vmac = block.vmac or Vmac()
    words = [word.text for word in statement.parameters]
    while words:
        word = words.pop(0)
        if ":" in word:
            address = _mac(word)
            if address is None:
                block.error(f"VMAC invalid MAC address {word}: give a unicast one that is not VRRP's own", statement)
            vmac = replace(vmac, address=address)
        elif word == "group":
            block.advise(f"'group {words.pop(0) if words else ''}' of use_vmac is known to keepalived, not carried out")
        elif word not in {"netlink_notify_msg", "name"}:
            try:
                vmac = replace(vmac, name=interface_name(word))
            except ValueError as wrong:
                block.error(str(wrong), statement)
    block.vmac = replace(vmac, addresses_only=False)


def _mac(text: str) -> bytes | None:
    """Return six bytes, or five that the VRID will follow. VRRP's own addresses are not for choosing."""
    try:
        address = bytes(int(octet, 16) for octet in text.rstrip(":").split(":"))
    except ValueError:
        return None
    ours = address[:5] in {b"\x00\x00\x5e\x00\x01", b"\x00\x00\x5e\x00\x02"}
    return None if len(address) not in {5, 6} or address[0] & 1 or ours else address


def set_vmac_option(block: InstanceBlock, statement: Statement) -> None:
    """``vmac_xmit_base`` and ``use_vmac_addr``."""
    block.switches[statement.name] = True


def refuse_ipvlan(block: InstanceBlock, statement: Statement) -> None:
    """``use_ipvlan``: without the link, advertisements would have another source, so it is an error."""
    block.error("use_ipvlan is not supported: use_vmac, or leave it out", statement)


def refuse_vrf(block: InstanceBlock, statement: Statement) -> None:
    """``vrf``: without it, packets would go through other tables, so it is an error."""
    block.error("vrf is not supported: name the interface", statement)

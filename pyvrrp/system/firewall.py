"""What ``no_accept`` and VMACs need of nftables: one table a family, ours alone.

Laws: the table is made anew as a whole, in one transaction, from the instances that are configured, and deleted at
the end. It does not follow the states: a drop of what is sent to an address that the host does not have hits nobody,
so the rules stand before the address does, and no transition waits for a program. Neighbour discovery passes (the
address must be found, even if nobody there answers). IGMP and MLD of a VMAC leave by the interface below, so that no
switch learns the virtual MAC address from a backup. nft(8).
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hakit.capabilities import lend
from pyvrrp.model import Address, Instance
from pyvrrp.system.errors import SystemRefusalError
from pyvrrp.system.routes import as_kept

PATIENCE = 10.0
"""Seconds within which nft must have ended."""
_FAMILIES = {4: "ip", 6: "ip6"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the tables have to hold: addresses that are not accepted, link-local ones with their interface, VMACs.

    ``vmacs``: names of VMAC interfaces, and the interfaces below them.
    """

    closed: tuple[Address, ...] = ()
    closed_on: tuple[tuple[Address, str], ...] = ()
    vmacs: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether no table is needed."""
        return not (self.closed or self.closed_on or self.vmacs)


def wanted(instances: Iterable[Instance], vmacs: Mapping[str, tuple[str, str]]) -> Wanted:
    """Return what the instances need; ``vmacs``: by the instance's name, its VMAC interface and the one below."""
    closed: dict[Address, None] = {}
    closed_on: dict[tuple[Address, str], None] = {}
    for instance in instances:
        if instance.accept or instance.is_owner:
            continue
        interface = vmacs.get(instance.name, (instance.interface, ""))[0]
        for address in (*instance.addresses, *instance.excluded):
            ip = as_kept(address).ip
            if ip.version == 6 and ip.is_link_local:
                closed_on[ip, address.device or interface] = None
            else:
                closed[ip] = None
    return Wanted(tuple(closed), tuple(closed_on), dict(vmacs.values()))


def script(found: Wanted, table: str, priority: int) -> str:
    """Return the nft script that makes the tables say ``found`` and nothing else; empty tables are deleted."""
    lines = []
    for version, family in _FAMILIES.items():
        lines += [f"add table {family} {table}", f"delete table {family} {table}"]
        rules_in, rules_out, sets = _rules(found, version, family)
        if not rules_in and not rules_out:
            continue
        lines += [f"table {family} {table} {{", *sets]
        for chain, hook, rules in (("in", "input", rules_in), ("out", "output", rules_out)):
            lines.append(f"  chain {chain} {{ type filter hook {hook} priority {priority}; policy accept;")
            lines += [f"    {rule}" for rule in rules]
            lines.append("  }")
        lines.append("}")
    return "\n".join(lines) + "\n"


def _rules(found: Wanted, version: int, family: str) -> tuple[list[str], list[str], list[str]]:
    """Return the rules for input, those for output, and the sets that they use."""
    kind = "ipv4_addr" if version == 4 else "ipv6_addr"
    closed = ", ".join(str(ip) for ip in found.closed if ip.version == version)
    closed_on = ", ".join(f'{ip} . "{name}"' for ip, name in found.closed_on if ip.version == version)
    rules_in: list[str] = []
    rules_out: list[str] = []
    sets: list[str] = []
    if found.vmacs:
        pairs = ", ".join(f'"{vmac}" : "{base}"' for vmac, base in found.vmacs.items())
        sets.append(f"  map below {{ type ifname : iface_index; elements = {{ {pairs} }} }}")
        report = "ip protocol igmp" if version == 4 else "icmpv6 type mld2-listener-report"
        group = "ip daddr" if version == 4 else "ip6 daddr"
        names = ", ".join(f'"{vmac}"' for vmac in found.vmacs)
        rules_out.append(f"oifname {{ {names} }} {report} dup to {group} device oifname map @below drop")
        if version == 6:
            rules_out.append(f"oifname {{ {names} }} icmpv6 type nd-router-solicit drop")
    if version == 6 and (closed or closed_on):
        for rules in (rules_in, rules_out):
            rules.append("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept")
    if closed:
        sets.append(f"  set closed {{ type {kind}; elements = {{ {closed} }} }}")
        rules_in.append(f"{family} daddr @closed drop")
        rules_out.append(f"{family} saddr @closed drop")
    if closed_on:
        sets.append(f"  set closed_on {{ type {kind} . ifname; elements = {{ {closed_on} }} }}")
        rules_in.append(f"{family} daddr . iifname @closed_on drop")
        rules_out.append(f"{family} saddr . oifname @closed_on drop")
    return rules_in, rules_out, sets


class Firewall:
    """Our tables in the kernel."""

    def __init__(self, table: str = "keepalived", priority: int = -1) -> None:
        self._table = table
        self._priority = priority
        self._stands = False

    async def apply(self, found: Wanted) -> str | None:
        """Make the tables say ``found``; nothing is run where nothing is needed.

        Returns a warning if nft is missing and only the VMACs want it: they work without. Raises SystemRefusalError
        if it is missing and addresses must not be answered, or if it refuses.
        """
        if found.is_empty and not self._stands:
            return None
        program = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin")
        if program is None and not (found.closed or found.closed_on):
            return "Warning - nft is not installed: IGMP and MLD of VMAC interfaces bear the virtual MAC address"
        if program is None:
            raise SystemRefusalError("no_accept and strict mode need the program nft: install nftables")
        await self._run(program, script(found, self._table, self._priority))
        self._stands = not found.is_empty
        return None

    async def close(self) -> None:
        """Delete the tables, if they stand."""
        await self.apply(Wanted())

    async def _run(self, program: str, text: str) -> None:
        lent = lend("cap_net_admin") if os.geteuid() != 0 else None  # a program that nobody starts has no rights
        process = await asyncio.create_subprocess_exec(
            program, "-f", "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, preexec_fn=lent,
        )  # fmt: skip
        try:
            _, errors = await asyncio.wait_for(process.communicate(text.encode()), PATIENCE)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise SystemRefusalError(f"nft did not end within {PATIENCE:g} s") from None
        if process.returncode != 0:
            first = errors.decode(errors="replace").strip().partition("\n")[0]
            raise SystemRefusalError(f"nft refuses the table {self._table}: {first}")

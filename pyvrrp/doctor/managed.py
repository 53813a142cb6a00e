"""Who else manages an interface, and takes away what it has not set: systemd-networkd, NetworkManager.

Laws: pure. systemd.network(5), KeepConfiguration=; networkd.conf(5), ManageForeignRoutes=,
ManageForeignRoutingPolicyRules=; systemd issues 12050 and 13555; keepalived issues 836, 1385 and 2564.
"""

from __future__ import annotations

from collections.abc import Iterator

from hakit.diagnosis import Finding, Level, Rule
from pyvrrp.doctor.machine import Machine, Managed
from pyvrrp.doctor.node import Node, listed
from pyvrrp.model import Instance

NETWORKD = Rule(
    "networkd-removes-addresses",
    Level.WARNING,
    "systemd-networkd removes the virtual addresses whenever it is restarted (--live).",
)
NETWORKD_ROUTES = Rule(
    "networkd-removes-routes",
    Level.WARNING,
    "systemd-networkd removes virtual routes or rules at a restart (--live).",
)
NETWORK_MANAGER = Rule(
    "networkmanager", Level.NOTE, "NetworkManager removes the virtual addresses when a connection goes down (--live)."
)
RULES = (NETWORKD, NETWORKD_ROUTES, NETWORK_MANAGER)
TRUE, FALSE = frozenset({"yes", "true", "on", "1"}), frozenset({"no", "false", "off", "0"})


def examine(node: Node, machine: Machine) -> Iterator[Finding]:
    """Yield who takes away what ``node`` puts on the interfaces of its ``machine``."""
    for instance in node.configuration.instances:
        managed = machine.networkd.get(instance.interface)
        if managed is not None:
            yield from _networkd(node, instance, managed)
            yield from _routes(node, instance, machine.networkd_conf)
        if instance.interface in machine.network_manager:
            yield node.finding(
                NETWORK_MANAGER,
                node.at(instance, "interface"),
                f"NetworkManager manages {instance.interface}",
                why="nmcli connection down, up or reapply removes what it does not know; pyvrrp puts it back at once",
                remedy=f"[keyfile] unmanaged-devices=interface-name:{instance.interface} if its addresses are static",
            )


def _networkd(node: Node, instance: Instance, managed: Managed) -> Iterator[Finding]:
    keeps = setting(managed.text, "Network", "KeepConfiguration").lower()
    # An address with a lifetime, which ours have by their lease, is a dynamic one to networkd: static does not keep it.
    enough = TRUE if instance.vip_lease is not None else {*TRUE, "static"}
    if setting(managed.text, "Link", "Unmanaged").lower() in TRUE or keeps in enough:
        return
    addresses = listed(one.ip for one in (*instance.addresses, *instance.excluded))
    yield node.finding(
        NETWORKD,
        node.at(instance, "virtual_ipaddress"),
        f"a restart of systemd-networkd removes {addresses} from {instance.interface}",
        why=f"{managed.path} has {f'KeepConfiguration={keeps}' if keeps else 'no KeepConfiguration'}: what it has not"
        " set itself is foreign; pyvrrp puts it back and stays MASTER, keepalived becomes BACKUP for a moment",
        remedy=f"KeepConfiguration=yes in section [Network] of {managed.path} or a drop-in of it",
    )


def _routes(node: Node, instance: Instance, text: str) -> Iterator[Finding]:
    for what, key, lines in (
        ("virtual_routes", "ManageForeignRoutes", instance.routes),
        ("virtual_rules", "ManageForeignRoutingPolicyRules", instance.rules),
    ):
        if lines and setting(text, "Network", key).lower() not in FALSE:
            yield node.finding(
                NETWORKD_ROUTES,
                node.at(instance, what),
                f"a restart of systemd-networkd removes the {what} of {instance.name}",
                why=f"{key} is not switched off, so it takes what it has not set itself for foreign",
                remedy=f"{key}=no in section [Network] of /etc/systemd/networkd.conf",
            )


def setting(text: str, section: str, key: str) -> str:
    """Return what a unit file says of ``key``: the last value counts, "" if there is none (systemd.syntax(7))."""
    here, value = "", ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            here = line[1:-1]
        elif here == section and not line.startswith(("#", ";")):
            name, _, given = line.partition("=")
            value = given.strip() if name.strip() == key else value
    return value

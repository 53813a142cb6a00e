"""Faults by name, done to a lab that stands.

Laws: each fault is one verb and has one that heals it; both return when the kernel has taken the order. A port that
is down and a partition are two faults (the first takes the carrier, the second says nothing), and have two names.
"""

from __future__ import annotations

import signal
import subprocess

from halab.namespace import LabError
from halab.programs import program
from halab.topology import Lab, ip_batch, port_name

VRRP_TABLE = "halab_vrrp"


def link_down(lab: Lab, host: str, card: int = 0) -> None:
    """Pull the cable: the switch's port goes down and the host loses its carrier."""
    ip_batch(lab.switch, [f"link set dev {_port(lab, host, card)} down"]).result()


def link_up(lab: Lab, host: str, card: int = 0) -> None:
    """Plug the cable in again."""
    ip_batch(lab.switch, [f"link set dev {_port(lab, host, card)} up"]).result()


def partition(lab: Lab, host: str, card: int = 0) -> None:
    """Cut the host off in silence: its carrier stays, nothing passes. Stands for a lost uplink or a wrong VLAN."""
    ip_batch(lab.switch, [f"link set dev {_port(lab, host, card)} nomaster"]).result()


def heal(lab: Lab, host: str, card: int = 0) -> None:
    """Undo ``partition`` and ``link_down``."""
    port = _port(lab, host, card)  # raises for a host without such a card: the switch has none
    plan = next(plan for plan in lab.topology.hosts if plan.name == host)
    ip_batch(lab.switch, [f"link set dev {port} master {plan.ports[card].lan}", f"link set dev {port} up"]).result()


def freeze(lab: Lab, host: str) -> None:
    """Stop every process of the host where it stands (SIGSTOP), as a hypervisor pauses a machine."""
    lab[host].signal_all(signal.SIGSTOP)


def thaw(lab: Lab, host: str) -> None:
    """Let a frozen host go on (SIGCONT)."""
    lab[host].signal_all(signal.SIGCONT)


def kill(lab: Lab, host: str, service: str, number: int = signal.SIGKILL) -> None:
    """Send a signal, SIGKILL if none is given, to all processes of a service."""
    if not lab[host].kill_service(service, number):
        raise LabError(f"{host}: {service} is not running, so there is nothing to kill")


def mute_vrrp(lab: Lab, host: str) -> None:
    """Drop the advertisements that reach the host (one-way loss); needs nft, which Debian has in nftables."""
    rule = f"table inet {VRRP_TABLE} {{ chain in {{ type filter hook input priority -300; ip protocol 112 drop; }}; }}"
    _nft(lab, host, rule)


def unmute_vrrp(lab: Lab, host: str) -> None:
    """Undo ``mute_vrrp``."""
    _nft(lab, host, f"delete table inet {VRRP_TABLE}")


def _nft(lab: Lab, host: str, rules: str) -> None:
    def work() -> None:
        done = subprocess.run(
            [program("nft", "nftables"), "-f", "-"], input=rules, text=True, capture_output=True, check=False
        )
        if done.returncode != 0:
            raise LabError(f"{host}: nft failed: {done.stderr.strip()}")

    lab[host].inside(work).result()


def _port(lab: Lab, host: str, card: int) -> str:
    plan = next((plan for plan in lab.topology.hosts if plan.name == host), None)
    if plan is None or card >= len(plan.ports):
        raise LabError(f"no host {host} with a card {card} in this lab; there are {', '.join(lab.hosts)}")
    return port_name(host, card)

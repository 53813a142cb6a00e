"""FRR's vrrpd in a host of the lab: an independent implementation of VRRP on the other side."""

from __future__ import annotations

import json
from typing import Any

from vrrp_pair import Lan

from halab.namespace import ServiceDefinition
from halab.topology import ip_batch
from halab.wait import poll

FOLDER, RUN = "/etc/frr", "/run/frr"


class Frr:
    """A zebra and a vrrpd with one virtual router on eth0, whose address stands on a macvlan of its own."""

    def __init__(
        self, lan: Lan, name: str, *, vrid: int, version: int, priority: int, interval: float, vip: str
    ) -> None:
        self.host = lan.host(name)
        self._vrid = vrid
        self._six = ":" in vip
        family, mac = ("6", "02") if self._six else ("4", "01")
        link = f"vrrp{family}-{vrid}"
        prefix = "64 nodad" if self._six else "24"
        ip_batch(
            self.host,
            [
                f"link add {link} link eth0 address 00:00:5e:00:{mac}:{vrid:02x} type macvlan mode bridge",
                f"address add {vip}/{prefix} dev {link}",
                *([f"address add fe80::200:5eff:fe00:2{vrid:02x}/64 dev {link} nodad"] if self._six else []),
                f"link set {link} up",
            ],
        ).result()
        word = "ipv6" if self._six else "ip"
        lines = (
            f"version {version}", f"priority {priority}", f"advertisement-interval {round(interval * 1000)}",
            f"{word} {vip}",
        )  # fmt: skip
        text = f"hostname {name}\ninterface eth0\n" + "".join(f" vrrp {vrid} {line}\n" for line in lines)
        for file, written in (("vtysh.conf", ""), ("zebra.conf", f"hostname {name}\n"), ("vrrpd.conf", text)):
            self.host.write_file(f"{FOLDER}/{file}", written, 0o644)
        self.host.run(["mkdir", "-p", RUN]).check()
        self.host.run(["chown", "-R", "frr:frr", FOLDER, RUN]).check()
        for daemon in ("zebra", "vrrpd"):
            argv = (f"/usr/lib/frr/{daemon}", "-f", f"{FOLDER}/{daemon}.conf", "-A", "127.0.0.1", "--log", "stdout")
            self.host.define(ServiceDefinition(daemon, argv))

    def start(self) -> None:
        """Start both; returns when vrrpd answers."""
        if self.host.services()["zebra"]["state"] != "active":
            self.host.start_service("zebra")
            poll(lambda: self.host.path(f"{RUN}/zserv.api").exists(), 10, "zebra's socket")
        self.host.start_service("vrrpd")
        poll(self.state, 10, "an answer of vrrpd")

    def stop(self) -> None:
        """Stop vrrpd."""
        self.host.stop_service("vrrpd")

    def state(self) -> str:
        """Return the state of the virtual router: Initialize, Backup or Master; empty while vrrpd does not answer."""
        told = self.host.run(["vtysh", "-d", "vrrpd", "-c", "show vrrp json"])
        if told.status != 0 or not told.output.strip():
            return ""
        found: list[dict[str, Any]] = json.loads(told.output)
        return str(next(one for one in found if one["vrid"] == self._vrid)["v6" if self._six else "v4"]["status"])

    def until(self, state: str, within: float) -> None:
        """Wait until it is in this state."""
        poll(lambda: self.state() == state, within, f"FRR as {state}")

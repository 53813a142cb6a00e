"""Configurations as people have them, on two hosts, left and right: the left is ours or the real keepalived.

A file of ``tests/interop/real_world`` is the left's. The right's is made of it: lower priorities, addresses exchanged.
Its second line names the cards that the hosts have: the first is on 10.88.2.0/24, the next on 10.88.3.0/24, and so on.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Self

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Completed, Host, ServiceDefinition
from halab.parts.daemons import KEEPALIVED_CONF, Speaker
from halab.topology import HostPlan, Lab, Port, Topology
from halab.wait import poll
from pyvrrp.options import SIGNALS

AS_KEEPALIVED = "global_defs {\n    vip_lease off\n}\n"
"""What makes ours leave addresses in the kernel as keepalived does, to the byte: for ever."""
FOLDER = Path(__file__).parents[1] / "interop" / "real_world"
NUMBERS = {"left": 11, "right": 12}
FLAGS = ("-f", KEEPALIVED_CONF, "-n", "-l", "-D")
TOLD = "/tmp/told"  # noqa: S108 - in a lab host, where every /tmp is a fresh one
GOOD, BAD = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 1\n"
NOTIFY = f'#!/bin/sh\necho "$0 $*" >>{TOLD}\n'
FIFO = f'#!/bin/sh\nexec cat "$1" >>{TOLD}.fifo\n'
CHECKS = (
    "/etc/keepalived/check_apiserver.sh",
    "/etc/keepalived/check_rke2server.sh",
    "/etc/keepalived/check_haproxy.sh",
    "/etc/keepalived/chk_ocp_script.sh",
    "/etc/keepalived/chk_ocp_script_both.sh",
    "/etc/keepalived/chk_default_ingress.sh",
    "/var/lib/octavia/vrrp/check_script.sh",
    "/var/lib/neutron/ha_confs/c0ffee00-1111-2222-3333-444455556666/ha_check_script_7.sh",
    "/etc/config/scripts/vrrp-check.sh",
)
NOTIFIED = (
    "/usr/local/bin/notify.sh",
    "/usr/local/bin/notify_any.sh",
    "/etc/keepalived/master.sh",
    "/etc/keepalived/notify.sh",
    "/etc/conntrackd/primary-backup.sh",
    "/usr/local/container/service/keepalived/assets/notify.sh",
    "/usr/local/libexec/vyos/vyos-vrrp-conntracksync.sh",
)
INCLUDED = {
    "/etc/keepalived/globals.d/10-garp.conf": "global_defs {\n    vrrp_garp_master_repeat 2\n}\n",
    "/etc/keepalived/instances.d/www.conf": (
        "vrrp_instance WWW {\n    interface eth1\n    virtual_router_id 101\n    priority 120\n    $AUTH\n"
        "    virtual_ipaddress {\n        10.88.3.80/24\n    }\n}\n"
    ),
}
PRIORITY = re.compile(r"^(\s*(?:@\S+ )?priority )(\d+)\s*$", re.MULTILINE)
UNLIKE = re.compile(r" \[installed ifindex \d+\]|(?<=proto 18) onlink")
"""What 2.2.7 shows, or forgets to show, of a route of version 6; the kernels' routes are compared as well."""
COUNTED = ("advert_rcvd", "advert_sent", "last_transition", "pri_zero_sent", "auth_data")
"""What differs in the JSON without meaning: how long the test has looked, and the password that ours does not show."""


def of_the_right(text: str) -> str:
    """The configuration of the other host: addresses exchanged, every priority of an instance 10 lower."""
    text = re.sub(r"(10\.88\.\d+\.)(11|12)\b", lambda found: found[1] + {"11": "12", "12": "11"}[found[2]], text)
    text = PRIORITY.sub(lambda found: f"{found[1]}{int(found[2]) - 10}", text)
    return re.sub(r"^(\s*state )MASTER\b", r"\1BACKUP", text, flags=re.MULTILINE)


class Stage:
    """Two hosts that run a configuration, the left one by ``program``; a context manager."""

    def __init__(self, name: str, program: str) -> None:
        self.text = (FOLDER / name).read_text(encoding="utf-8")
        self.program = program
        cards = self.text.splitlines()[1].partition("cards: ")[2].split()
        assert cards, f"{name} names no cards in its second line"
        plans = []
        for host, number in NUMBERS.items():
            ports = [
                Port(f"lan{lan}", (f"10.88.{lan}.{number}/24", f"fd88:{lan}::{number}/64"), card)
                for lan, card in enumerate(cards, 2)
            ]
            plans.append(HostPlan(host, tuple(ports)))
        self.lab = Lab(Topology(tuple(plans)))
        self.speakers: dict[str, Speaker] = {}
        self._of_the_day: dict[str, str] = {}
        for host in NUMBERS:
            self._furnish(self.lab[host])
            for link in self._ip(host, "address"):
                if link["link_type"] == "ether":
                    self._of_the_day[link["address"]] = f"MAC of {link['ifname']}"
                    links = (one["local"] for one in link["addr_info"] if one["scope"] == "link")
                    self._of_the_day |= dict.fromkeys(links, f"fe80 of {link['ifname']}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for name, speaker in self.speakers.items():
                print(f"--- {name}: {speaker.kind} ---\n{self.log(name)[-9000:]}")
        self.lab.close()

    @staticmethod
    def _furnish(host: Host) -> None:
        for path in CHECKS:
            host.write_file(path, BAD if "default_ingress" in path else GOOD, 0o755)
        for path in NOTIFIED:
            host.write_file(path, NOTIFY, 0o755)
        for path, text in INCLUDED.items():
            host.write_file(path, text)
        host.write_file("/usr/local/libexec/vyos/system/keepalived-fifo.py", FIFO, 0o755)
        host.run(["mkdir", "/run/keepalived"]).check()
        host.run(["cp", "/usr/bin/sleep", "/usr/local/bin/sleeper"]).check()
        host.spawn(["/usr/local/bin/sleeper", "1000"])

    def text_of(self, name: str) -> str:
        return self.text if name == "left" else of_the_right(self.text)

    @property
    def instances_of_the_file(self) -> int:
        included = sum(text.count("vrrp_instance ") for text in INCLUDED.values() if "instances.d" in self.text)
        return len(re.findall(r"^vrrp_instance ", self.text, re.MULTILINE)) + included

    def tested(self, program: str) -> Completed:
        """What a program says of the left's file with -t."""
        host = self.lab["left"]
        host.write_file(KEEPALIVED_CONF, self.text)
        path = f"{ENVIRONMENT}/bin/pyvrrp" if program == "pyvrrp" else "keepalived"
        return host.run([path, "-t", "-f", KEEPALIVED_CONF])

    def start(self, name: str) -> None:
        kind = self.program if name == "left" else "keepalived"
        speaker = Speaker(self.lab[name], kind, (AS_KEEPALIVED if kind == "pyvrrp" else "") + self.text_of(name), {})
        if "virtual_server" in self.text:
            # Where the kernel has no IPVS, keepalived's checker takes everything down with it.
            argv = (f"{ENVIRONMENT}/bin/pyvrrp" if kind == "pyvrrp" else "keepalived", *FLAGS, "-P")
            self.lab[name].define(ServiceDefinition(speaker.service, argv, notify=kind == "pyvrrp"))
        self.speakers[name] = speaker
        speaker.start()

    @staticmethod
    def lines(answer: Completed) -> list[str]:
        """What was said, without file, line and column, and without the lines that only point at the place."""
        said = (answer.output + answer.errors).splitlines()
        places = re.compile(r"^\((?:\S+: )?Line \d+\) |^\S+:\d+:\d+: (?:warning|error): ")
        return [places.sub("", line) for line in said if line.strip() and not line.startswith("    ")]

    def begin(self) -> None:
        """Start both hosts, and return when the left is master of everything and the right has heard it."""
        self.start("left")
        self._until("left", "MASTER")
        self.start("right")
        self._until("right", "BACKUP")
        poll(self._heard, 10, "an advertisement for every instance")

    def _heard(self) -> bool:
        return all(one["stats"]["advert_rcvd"] for one in json.loads(self.dump("right", "json")))

    def take_over(self) -> None:
        """Stop the left, and return when the right has everything."""
        self.speakers["left"].stop()
        self._until("right", "MASTER")

    def _until(self, name: str, state: str) -> None:
        def entered() -> bool:
            found = re.findall(rf"\((\S+)\) Entering {state} STATE", self.log(name))
            return len({*found}) == self.instances_of_the_file

        poll(entered, 15, f"{state} of all {self.instances_of_the_file} instances on {name}")

    def log(self, name: str) -> str:
        return self.lab[name].log_tail("keepalived", 5000)

    def dump(self, name: str, which: str) -> str:
        """A dump that is complete, made by a signal to the main process."""
        path = f"/tmp/keepalived.{which}"  # noqa: S108
        host = self.lab[name]
        host.run(["rm", "-f", path]).check()
        pid = host.services()["keepalived"]["pid"]
        number = SIGNALS[{"data": "DATA", "stats": "STATS", "json": "JSON"}[which]]
        host.run(["kill", f"-{int(number)}", str(pid)]).check()
        file, before = host.path(path), [""]

        def settled() -> str:
            # keepalived renames its files into place before it writes them.
            text = file.read_text() if file.exists() else ""
            same, before[0] = text == before[0], text
            return text if same and text.endswith("\n") else ""

        return poll(settled, 5, path)

    def alike(self, text: str) -> str:
        """The text without what is of the day: hardware addresses, and what is made of them."""
        for unlike, alike in self._of_the_day.items():
            text = text.replace(unlike, alike)
        return text

    def told(self, name: str) -> list[str]:
        """What the notify scripts and FIFOs of a host were told; of two scripts that run at once either is first."""
        file = self.lab[name].path(f"{TOLD}.fifo")
        return [*self.told_by_scripts(name), *(sorted(file.read_text().splitlines()) if file.exists() else [])]

    def told_by_scripts(self, name: str) -> list[str]:
        """The same without FIFOs: at its end keepalived takes the reader away before it has read of the end."""
        file = self.lab[name].path(TOLD)
        return sorted(file.read_text().splitlines()) if file.exists() else []

    def kernel(self, name: str) -> dict[str, Any]:
        """Addresses, routes and rules of a host."""
        return {
            "addresses": addresses(self._ip(name, "address")),
            "routes": sorted(
                [json.dumps(one) for one in self._ip(name, "route", "show", "table", "all")]
                + [json.dumps(one) for one in self._ip(name, "-6", "route", "show", "table", "all")]
            ),
            "rules": self._ip(name, "rule") + self._ip(name, "-6", "rule"),
        }

    def _ip(self, name: str, *words: str) -> list[dict[str, Any]]:
        output = self.lab[name].run(["ip", "-j", *words]).check().output
        found: list[dict[str, Any]] = json.loads(self.alike(output) or "[]")
        return found

    def instances(self, name: str) -> list[dict[str, Any]]:
        """The JSON dump without what is counted."""
        found: list[dict[str, Any]] = json.loads(self.dump(name, "json"))
        for one in found:
            for part in one.values():
                for key in COUNTED:
                    part.pop(key, None)
            if "vroutes" in one["data"]:
                one["data"]["vroutes"] = [UNLIKE.sub("", route) for route in one["data"]["vroutes"]]
        return found


def addresses(links: list[dict[str, Any]]) -> list[Any]:
    """Every link with its addresses in order; MAC addresses and what is made of them are of the day."""
    found = []
    for link in links:
        for one in link["addr_info"]:
            one.pop("valid_life_time", None)
        keys = ("ifname", "flags", "mtu", "linkinfo", "address", "addr_info")
        found.append({key: link.get(key) for key in keys})
    return found

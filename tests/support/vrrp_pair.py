"""Two VRRP speakers on one LAN, each either ours or the real keepalived, and what can be seen of them from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from halab.capture import Capture
from halab.namespace import Host
from halab.parts.daemons import Speaker
from halab.topology import Lab, simple
from halab.wait import AddressWatch, poll

VIP = "10.88.2.50"
ADDRESSES = {"left": "10.88.2.11", "right": "10.88.2.12"}
SKEW_100 = (256 - 100) / 256
JUDGE = Path(__file__).parent.parent / "judges" / "scapy_judge.py"


def configuration(
    priority: int,
    *,
    password: str = "s3cr3t77",
    script: str = "",
    weight: int = -60,
    extra: str = "",
    interval: int = 1,
) -> str:
    """A keepalived.conf of one instance that both programs read."""
    check = f"""
    vrrp_script check {{
        script "{script}"
        interval 1
        fall 2
        rise 2
        weight {weight}
    }}
    """
    return f"""
    global_defs {{
        router_id pair
        script_user root
        enable_script_security
    }}
    {check if script else ""}
    vrrp_instance VI_1 {{
        state BACKUP
        interface eth0
        virtual_router_id 51
        priority {priority}
        advert_int {interval}
        authentication {{
            auth_type PASS
            auth_pass {password}
        }}
        virtual_ipaddress {{
            {VIP}/24
        }}
        {"track_script { check }" if script else ""}
        {extra}
    }}
    """


class Pair:
    """The LAN with its two hosts; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(simple("lan", {name: f"{address}/24" for name, address in ADDRESSES.items()}))
        self.watch = AddressWatch([self.lab[name] for name in ADDRESSES])
        self.capture = Capture(self.lab, "lan", folder / "lan.pcap", "proto 112 or arp")
        self.speakers: dict[str, Speaker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            for name in self.speakers:
                print(f"--- {name} ---\n{self.host(name).log_tail('keepalived', 60)}")
        self.watch.close()
        self.lab.close()

    def host(self, name: str) -> Host:
        return self.lab[name]

    def start(self, name: str, program: str, text: str, scripts: dict[str, str] | None = None) -> Speaker:
        self.speakers[name] = Speaker(self.lab[name], program, text, scripts or {})
        self.speakers[name].start()
        return self.speakers[name]

    def kill(self, name: str) -> float:
        """Kill a speaker with SIGKILL; returns when it is gone, with the time of the signal (monotonic)."""
        at = time.monotonic()
        self.host(name).kill_service("keepalived", signal.SIGKILL)
        poll(lambda: self.host(name).services()["keepalived"]["state"] == "failed", 5, f"the end of {name}'s speaker")
        return at

    def until_held_by(self, *names: str, within: float) -> float:
        """Return when exactly these hosts hold the virtual address, in monotonic seconds."""
        return self.watch.until(VIP, set(names), within)

    def advertisements(self) -> list[dict[str, Any]]:
        """What tshark makes of every VRRP packet so far: time, source, priority, whether the checksum is good."""
        fields = ("frame.time_epoch", "ip.src", "ip.dst", "ip.ttl", "ip.dsfield", "vrrp.prio", "vrrp.checksum.status")
        argv = ["tshark", "-n", "-r", str(self.capture.file), "-Y", "vrrp", "-T", "fields"]
        for field in fields:
            argv += ["-e", field]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return [dict(zip(fields, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]

    def gratuitous_arps(self) -> list[dict[str, Any]]:
        """What tshark makes of every gratuitous ARP so far."""
        argv = ["tshark", "-n", "-r", str(self.capture.file), "-Y", "arp.isgratuitous == 1", "-T", "fields"]
        argv += ["-e", "arp.src.proto_ipv4", "-e", "arp.src.hw_mac", "-e", "eth.dst", "-e", "arp.opcode"]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        names = ("address", "mac", "destination", "opcode")
        return [dict(zip(names, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]

    def judged_by_scapy(self) -> list[dict[str, Any]]:
        """What scapy makes of every VRRP packet so far; scapy lives in a process of its own."""
        argv = [sys.executable, str(JUDGE), str(self.capture.file)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

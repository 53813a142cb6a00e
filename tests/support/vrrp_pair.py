"""VRRP speakers on one LAN, each either ours or the real keepalived, and what can be seen of them from outside."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from hakit.control import request
from halab.capture import Capture
from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host
from halab.parts.daemons import KEEPALIVED_CONF, PYVRRP_CONTROL, Speaker
from halab.topology import HostPlan, Lab, Port, Topology
from halab.wait import AddressWatch, poll

VIP = "10.88.2.50"
ADDRESSES = {"left": "10.88.2.11", "right": "10.88.2.12"}
SKEW_100 = (256 - 100) / 256
JUDGE = Path(__file__).parent.parent / "judges" / "scapy_judge.py"
VRRP, AH, IGMP = 112, 51, 2
PAIRS = [("pyvrrp", "keepalived"), ("keepalived", "pyvrrp")]
CALIBRATED = [*PAIRS, ("keepalived", "keepalived")]
EARLY, LATE = 0.05, 0.15
"""Seconds by which a timer may miss its time as the wire shows it."""
"""Also the real one beside itself: what a test says of ours has to hold for the original."""


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


def instance(
    priority: int,
    extra: str = "",
    *,
    name: str = "VI_1",
    version: int = 3,
    interval: float = 0.2,
    vrid: int = 51,
    addresses: Sequence[str] = (f"{VIP}/24",),
    interface: str = "eth0",
) -> str:
    """A vrrp_instance block; in version 3 and with 0.2 s between advertisements an election takes 0.7 s."""
    lines = "\n            ".join(addresses)
    return f"""
    vrrp_instance {name} {{
        state {"MASTER" if priority == 255 else "BACKUP"}
        interface {interface}
        virtual_router_id {vrid}
        version {version}
        priority {priority}
        advert_int {interval:g}
        virtual_ipaddress {{
            {lines}
        }}
        {extra}
    }}
    """


def whole(*blocks: str, settings: str = "") -> str:
    """A configuration file of these blocks."""
    head = f"""
    global_defs {{
        router_id lan
        script_user root
        enable_script_security
        {settings}
    }}
    """
    return head + "\n".join(blocks)


def master_down(priority: int, *, version: int = 3, interval: float = 0.2) -> float:
    """Master_Down_Interval in seconds: RFC 3768 section 6.1, RFC 5798 section 6.1."""
    return 3 * interval + skew(priority, version=version, interval=interval)


def skew(priority: int, *, version: int = 3, interval: float = 0.2) -> float:
    """Skew_Time in seconds."""
    return (256 - priority) / 256 * (1 if version == 2 else interval)


def due(seconds: float) -> object:
    """Return what equals the time a timer of so many seconds takes: hardly early, and late as on a busy machine."""
    return pytest.approx(seconds + (LATE - EARLY) / 2, abs=(LATE + EARLY) / 2)


@dataclass(frozen=True, slots=True)
class Seen:
    """A packet of IP protocol 112, 51 or 2 on the LAN: when (of day), from whom to whom, and what IP carried."""

    at: float
    source: str
    destination: str
    ttl: int
    protocol: int
    mac: str
    body: bytes
    raw: bytes

    @property
    def message(self) -> bytes:
        """The VRRP message, without an AH header before it."""
        return self.body if self.protocol != AH else self.body[24:]

    @property
    def version(self) -> int:
        return self.message[0] >> 4

    @property
    def vrid(self) -> int:
        return self.message[1]

    @property
    def priority(self) -> int:
        return self.message[2]


def _packets(file: Path) -> Iterator[tuple[float, bytes]]:
    data = file.read_bytes()
    at = 24
    while at + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack_from("<IIII", data, at)
        if at + 16 + length > len(data):
            return
        yield seconds + fraction / 1e6, data[at + 16 : at + 16 + length]
        at += 16 + length


def _seen(at: float, frame: bytes) -> Seen | None:
    kind, raw, mac = frame[12:14], frame[14:], frame[6:12].hex(":")
    if kind == b"\x08\x00":
        start, end = (raw[0] & 15) * 4, struct.unpack_from(">H", raw, 2)[0]
        source, destination = str(ip_address(raw[12:16])), str(ip_address(raw[16:20]))
        return Seen(at, source, destination, raw[8], raw[9], mac, raw[start:end], raw[:end])
    if kind == b"\x86\xdd":
        end = 40 + struct.unpack_from(">H", raw, 4)[0]
        source, destination = str(ip_address(raw[8:24])), str(ip_address(raw[24:40]))
        return Seen(at, source, destination, raw[7], raw[6], mac, raw[40:end], raw[:end])
    return None


class Lan:
    """A LAN with any number of hosts, each with an address of its own in both families; a context manager.

    ``judging``: at its end both judges look at every packet that a speaker of ours has sent.
    """

    def __init__(self, folder: Path, hosts: Mapping[str, str] = ADDRESSES, *, judging: bool = False) -> None:
        self._judging = judging
        self.addresses = dict(hosts)
        plans = [
            HostPlan(name, (Port("lan", (f"{address}/24", f"{sixth(address)}/64")),)) for name, address in hosts.items()
        ]
        self.lab = Lab(Topology(tuple(plans)))
        self.watch = AddressWatch([self.lab[name] for name in hosts])
        self.capture = Capture(self.lab, "lan", folder / "lan.pcap", longest=2048)
        self.speakers: dict[str, Speaker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            for name in self.speakers:
                print(f"--- {name}: {self.speakers[name].kind} ---\n{self.host(name).log_tail('keepalived', 60)}")
        try:
            if kind is None and self._judging:
                self._judge_ours()
        finally:
            self.watch.close()
            self.lab.close()

    def _judge_ours(self) -> None:
        ours = [name for name, speaker in self.speakers.items() if speaker.kind == "pyvrrp" and self.adverts(name)]
        if ours:
            self.judge(*ours)

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

    def signal(self, name: str, number: int, text: str | None = None) -> None:
        """Send a signal to the main process of a speaker, after giving it another configuration if there is one."""
        host = self.host(name)
        if text is not None:
            host.write_file(KEEPALIVED_CONF, text)
        pid = host.services()["keepalived"]["pid"]
        host.run(["kill", f"-{int(number)}", str(pid)]).check()

    def until_held_by(self, *names: str, within: float, address: str = VIP) -> float:
        """Return when exactly these hosts hold the virtual address, in monotonic seconds."""
        return self.watch.until(address, set(names), within)

    def log(self, name: str) -> str:
        """What a speaker has written so far."""
        return self.host(name).log_tail("keepalived", 5000)

    def until_log(self, name: str, text: str, within: float = 5.0, times: int = 1) -> None:
        """Wait until a speaker has written ``text``."""
        poll(lambda: self.log(name).count(text) >= times, within, f"'{text}' in the log of {name}")

    def send_raw(self, name: str, packet: bytes, times: int = 1, pause: float = 0.0) -> None:
        """Send an IPv4 packet, whatever its source address, from a host; returns when all have left."""
        argv = [f"{ENVIRONMENT}/bin/python", "-c", SEND_RAW, packet.hex(), str(times), str(pause)]
        self.host(name).run(argv, timeout=60).check()

    def listen_to_fifo(self, name: str, path: str) -> None:
        """Make a FIFO and keep what is written to it in a file beside it, ``path``.log."""
        host = self.host(name)
        host.run(["mkfifo", path]).check()
        host.spawn(["sh", "-c", f"exec cat <>{path} >{path}.log"])
        poll(lambda: host.path(f"{path}.log").exists(), 5, "the reader of the FIFO")

    def status(self, name: str, instance: str = "VI_1") -> dict[str, Any]:
        """What our daemon says of an instance."""
        answer: Any = request(self.host(name).path(PYVRRP_CONTROL), "status")
        found: dict[str, Any] = next(one for one in answer["instances"] if one["name"] == instance)
        return found

    # --- What is on the wire --------------------------------------------------------------------------------------

    def seen(self, *protocols: int) -> list[Seen]:
        """Every packet of these IP protocols so far."""
        made = (_seen(at, frame) for at, frame in _packets(self.capture.file))
        return [one for one in made if one is not None and one.protocol in protocols]

    def adverts(self, name: str | None = None) -> list[Seen]:
        """Every advertisement so far, or those of one host, with AH or without."""
        found = [one for one in self.seen(VRRP, AH) if len(one.message) >= 8]
        if name is None:
            return found
        own = self.sources(name)
        return [one for one in found if one.source in own]

    def sources(self, name: str) -> set[str]:
        """The addresses from which a host sends: its own, and the link-local ones (a VMAC has one, too)."""
        links = json.loads(self.host(name).run(["ip", "-j", "-6", "address", "show", "scope", "link"]).output or "[]")
        found = {one.get("local", "") for link in links for one in link.get("addr_info", ())}
        return {self.addresses[name], sixth(self.addresses[name]), *found} - {""}

    def until_advert(self, matches: Callable[[Seen], bool], within: float, name: str | None = None) -> Seen:
        """Return the first advertisement, so far or soon, that matches."""
        return poll(lambda: next((one for one in self.adverts(name) if matches(one)), None), within, "an advertisement")

    def joined_at(self, name: str) -> float:
        """When a host first asked for the group of VRRP (of day): where its instance begins."""
        own, group = self.addresses[name], bytes([224, 0, 0, 18])

        def joined() -> float | None:
            return next((one.at for one in self.seen(IGMP) if one.source == own and group in one.body), None)

        return poll(joined, 2, f"the IGMP report of {name}")

    def advertisements(self) -> list[dict[str, Any]]:
        """What tshark makes of every VRRP packet so far: time, source, priority, whether the checksum is good."""
        return self.by_tshark(
            "vrrp", "frame.time_epoch", "ip.src", "ip.dst", "ip.ttl", "ip.dsfield", "vrrp.prio", "vrrp.checksum.status"
        )

    def by_tshark(self, display: str, *fields: str) -> list[dict[str, Any]]:
        """The fields of every packet so far that passes a display filter."""
        argv = ["tshark", "-n", "-r", str(self.capture.file), "-Y", display, "-T", "fields"]
        for field in fields:
            argv += ["-e", field]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return [dict(zip(fields, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]

    def gratuitous_arps(self) -> list[dict[str, Any]]:
        """What tshark makes of every gratuitous ARP so far that a daemon sent.

        A kernel that loses or gets the address at the very moment at which an announcement of it comes may answer that,
        to the announcer alone and from the address to itself: seen without any daemon, too, one time in six where
        announcements came without a pause.
        """
        fields = ("arp.src.proto_ipv4", "arp.src.hw_mac", "eth.dst", "arp.opcode", "frame.time_epoch")
        names = ("address", "mac", "destination", "opcode", "at")
        answers = "arp.opcode == 2 and eth.dst != ff:ff:ff:ff:ff:ff"
        found = self.by_tshark(f"arp.isgratuitous == 1 and not ({answers})", *fields)
        return [dict(zip(names, one.values(), strict=True)) for one in found]

    def judged_by_scapy(self) -> list[dict[str, Any]]:
        """What scapy makes of every VRRP packet so far; scapy lives in a process of its own."""
        argv = [sys.executable, str(JUDGE), str(self.capture.file)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def judge(self, *names: str) -> None:
        """Both judges find nothing wrong with what these hosts sent: VRRP, and with it ARP and NA."""
        self._judging = False
        self.capture.stop()
        own = {address for name in names for address in self.sources(name)}
        fields = ("ip.src", "ipv6.src", "vrrp.checksum.status", "_ws.expert.message", "ip.dsfield", "ipv6.tclass")
        seen = [
            one
            for one in self.by_tshark("vrrp and not icmp and not icmpv6", *fields)
            if one["ip.src"] in own or one["ipv6.src"] in own
        ]
        assert seen, f"tshark saw no advertisement of {names}"
        wrong = [one for one in seen if one["vrrp.checksum.status"] != "1" or "c0" not in "".join(one.values())]
        assert not wrong, f"tshark finds fault with {wrong[:3]}"
        told = self.judged_by_scapy()
        verdicts = [one for one in told if one["kind"] == "vrrp" and one["source"] in own]
        bad = [one for one in verdicts if not one["checksum_good"] or not one["ip_checksum_good"]]
        bad += [one for one in told if one["kind"] == "na" and not (one["checksum_good"] and one["ttl"] == 255)]
        assert len(verdicts) >= len(seen)  # scapy looks into ICMP errors as well
        assert not bad, f"scapy finds fault with {bad[:3]}"
        # A host that still holds the address answers the other's: those are the kernel's replies, not announcements.
        announced = [arp for arp in self.gratuitous_arps() if arp["address"] not in own and arp["opcode"] == "1"]
        wrong = [arp for arp in announced if arp["destination"] != "ff:ff:ff:ff:ff:ff"]
        assert not wrong, f"no gratuitous ARP as it should be: {wrong[:3]}"


SEND_RAW = """
import socket, sys, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
for _ in range(int(sys.argv[2])):
    packet = bytes.fromhex(sys.argv[1])
    raw.sendto(packet, socket.MSG_DONTROUTE, (socket.inet_ntoa(packet[16:20]), 0))
    time.sleep(float(sys.argv[3]))
"""


def ones_sum(data: bytes) -> int:
    """The Internet checksum (RFC 1071), summed here anew so that our own code does not judge itself."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forged(
    source: str, priority: int, *, vrid: int = 51, interval: float = 0.2, vip: str = VIP, good: bool = True
) -> bytes:
    """An IPv4 packet with a version 3 advertisement, with a right checksum or a wrong one."""
    message = struct.pack(">BBBBHH", 0x31, vrid, priority, 1, round(interval * 100), 0) + ip_address(vip).packed
    ends = ip_address(source).packed + ip_address("224.0.0.18").packed
    total = ones_sum(ends + struct.pack(">HH", VRRP, len(message)) + message)
    message = message[:6] + struct.pack(">H", total if good else total ^ 0x5555) + message[8:]
    return struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(message), 1, 0, 255, VRRP, 0) + ends + message


def sixth(address: str) -> str:
    """The IPv6 address that goes with an IPv4 one: the last number is the same."""
    return f"fd88:2::{address.rpartition('.')[2]}"


class Pair(Lan):
    """The LAN with two hosts, left and right."""

"""A topology stands when it is returned, and its faults are what their names say."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from halab import faults
from halab.capture import Capture
from halab.namespace import LabError
from halab.topology import SWITCH, HostPlan, Lab, Port, Topology, ip_batch
from halab.wait import AddressWatch, NotSeenError, poll

pytestmark = pytest.mark.netns

LabFactory = Callable[[Topology | Mapping[str, str]], Lab]
PAIR = {"a": "10.0.0.1/24", "b": "10.0.0.2/24"}


def reaches(lab: Lab, client: str, address: str, timeout: float = 5.0) -> bool:
    """Whether a connection to the discard port of ``address``, where nobody listens, is at least refused."""

    def connect() -> bool:
        try:
            socket.create_connection((address, 9), timeout).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    return lab[client].inside(connect).result()


def carrier(lab: Lab, host: str) -> str:
    return lab[host].read_file("/sys/class/net/eth0/operstate").strip()


def test_eight_hosts_are_built_in_a_blink(netns_lab: LabFactory, capsys: pytest.CaptureFixture[str]) -> None:
    lab = netns_lab({f"n{number}": f"10.0.0.{number}/24" for number in range(1, 9)})
    begun = time.monotonic()
    assert all(reaches(lab, "n1", f"10.0.0.{number}", 2.0) for number in range(2, 9))
    assert time.monotonic() - begun < 2.0  # the very first packets pass
    begun = time.monotonic()
    lab.close()
    gone = time.monotonic() - begun
    with capsys.disabled():
        built = f"built in {lab.build_seconds * 1e3:.0f} ms (the aim is 100)"
        print(f"\n8 hosts and a switch: {built}, taken down in {gone * 1e3:.0f} ms (the aim is 50)", end=" ")
    assert lab.build_seconds < 1.0  # ten times the aim: the machine may be busy
    assert gone < 0.5


def test_two_lans_are_two_broadcast_domains(netns_lab: LabFactory) -> None:
    router = HostPlan("r", (Port("red", ("10.1.0.254/24",)), Port("blue", ("10.2.0.254/24",), "eth1")))
    a, b = (
        HostPlan("a", (Port("red", ("10.1.0.1/24",)),)),
        HostPlan("b", (Port("blue", ("10.2.0.1/24", "10.1.0.2/24")),)),
    )
    lab = netns_lab(Topology((router, a, b)))
    assert reaches(lab, "a", "10.1.0.254")
    assert reaches(lab, "b", "10.2.0.254")
    assert not reaches(lab, "a", "10.1.0.2", 0.3)


def test_an_ipv6_address_is_usable_at_once(netns_lab: LabFactory) -> None:
    lab = netns_lab({"a": "fd00::1/64", "b": "fd00::2/64"})
    assert reaches(lab, "a", "fd00::2")


def test_a_link_that_is_down_takes_the_carrier_and_comes_back(netns_lab: LabFactory) -> None:
    lab = netns_lab(PAIR)
    faults.link_down(lab, "a")
    assert carrier(lab, "a") in {"down", "lowerlayerdown"}
    assert not reaches(lab, "b", "10.0.0.1", 0.3)
    faults.link_up(lab, "a")
    assert reaches(lab, "b", "10.0.0.1")


def test_a_partition_leaves_the_carrier_and_stops_the_traffic(netns_lab: LabFactory) -> None:
    lab = netns_lab(PAIR)
    faults.partition(lab, "a")
    assert carrier(lab, "a") == "up"
    assert not reaches(lab, "b", "10.0.0.1", 0.3)
    faults.heal(lab, "a")
    assert reaches(lab, "b", "10.0.0.1")


def test_a_fault_on_an_unknown_host_names_the_known_ones(netns_lab: LabFactory) -> None:
    with pytest.raises(LabError, match=r"no host c .*switch, a, b"):
        faults.link_down(netns_lab(PAIR), "c")


def test_vrrp_can_be_muted_one_way(netns_lab: LabFactory) -> None:
    lab = netns_lab(PAIR)
    faults.mute_vrrp(lab, "a")
    listed = lab["a"].inside(
        lambda: subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    )
    assert "ip protocol vrrp drop" in listed.result().stdout
    faults.unmute_vrrp(lab, "a")


def test_an_address_is_seen_when_it_comes_and_when_it_goes(netns_lab: LabFactory) -> None:
    lab = netns_lab(PAIR)
    watch = AddressWatch([lab["a"], lab["b"]])
    try:
        assert watch.holders("10.0.0.1") == {"a"}
        before = time.monotonic()
        ip_batch(lab["b"], ["address add 10.0.0.9/24 dev eth0"]).result()
        assert before <= watch.until("10.0.0.9", {"b"}, 5) <= time.monotonic()
        ip_batch(lab["b"], ["address del 10.0.0.9/24 dev eth0"]).result()
        watch.until("10.0.0.9", set(), 5)
        with pytest.raises(
            NotSeenError, match=r"a should hold 10.0.0.9 within 0.01 s; held by nobody; seen: .* b has lost"
        ):
            watch.until("10.0.0.9", {"a"}, 0.01)
    finally:
        watch.close()


def test_a_lan_is_captured_into_a_file_that_tshark_reads(netns_lab: LabFactory, tmp_path: Path) -> None:
    assert shutil.which("tshark"), "tshark is missing: apt-get install tshark"
    lab = netns_lab(PAIR)
    capture = Capture(lab, "lan", tmp_path / "lan.pcap")
    assert reaches(lab, "a", "10.0.0.2")
    assert ports_asked_for(capture.stop()) == ["9"]


def test_what_tcpdump_had_no_time_to_read_is_in_the_file_after_the_end(netns_lab: LabFactory, tmp_path: Path) -> None:
    lab = netns_lab(PAIR)
    capture = Capture(lab, "lan", tmp_path / "lan.pcap")
    switch = lab[SWITCH]
    pid = switch.run(["pidof", "tcpdump"]).check().output.strip()
    switch.run(["kill", "-STOP", pid]).check()
    assert reaches(lab, "a", "10.0.0.2")
    with ThreadPoolExecutor() as beside:
        stopped = beside.submit(capture.stop)
        pending = f"grep -q 'ShdPnd:.*[1-9a-f]' /proc/{pid}/status"
        poll(lambda: switch.run(["sh", "-c", pending]).status == 0, 5, "tcpdump has been sent a signal")
        switch.run(["kill", "-CONT", pid]).check()
        assert ports_asked_for(stopped.result()) == ["9"]


def ports_asked_for(file: Path) -> list[str]:
    wanted = ["-Y", "tcp.flags.syn==1 && ip.dst==10.0.0.2", "-T", "fields", "-e", "tcp.dstport"]
    argv = ["tshark", "-n", "-r", str(file), *wanted]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()

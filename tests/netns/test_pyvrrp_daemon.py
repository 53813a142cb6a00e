"""The daemon on a network of its own: what it says of itself, what it refuses, what cannot move it."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from vrrp_pair import ADDRESSES, VIP, Pair, configuration

from hakit.control import request
from halab.host_mounts import ENVIRONMENT
from halab.namespace import Completed, Host
from halab.parts.daemons import KEEPALIVED_CONF, PYVRRP_CONTROL
from halab.wait import DaemonEvents, hold
from pyvrrp.model import Authentication, AuthType, Instance
from pyvrrp.protocol.reception import own_advertisement
from pyvrrp.wire.ipv4 import VRRP_GROUP, Packet

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

PYVRRP = f"{ENVIRONMENT}/bin/pyvrrp"
SEND_RAW = """
import socket, sys, time
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
for _ in range(int(sys.argv[2])):
    raw.sendto(bytes.fromhex(sys.argv[1]), socket.MSG_DONTROUTE, ("224.0.0.18", 0))
    time.sleep(float(sys.argv[3]))
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def status(host: Host) -> dict[str, Any]:
    answer = request(host.path(PYVRRP_CONTROL), "status")
    assert isinstance(answer, dict)
    return answer["instances"][0]  # type: ignore[index, return-value]


def run(host: Host, *flags: str, text: str | None = None) -> Completed:
    if text is not None:
        host.write_file(KEEPALIVED_CONF, text)
    return host.run([PYVRRP, *flags], timeout=20)


def test_status_says_what_is_and_why_and_how_old_it_is(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    told = status(pair.host("left"))
    assert (told["state"], told["effective_priority"], told["source"]) == ("MASTER", 100, ADDRESSES["left"])
    assert told["why"] == "no advertisement for Master_Down_Interval 3.609375 s"
    assert told["age"] < 5
    assert told["statistics"]["advert_sent"] >= 1
    assert "s3cr3t77" not in json.dumps(told)


def test_events_tell_the_transitions_with_their_rule(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    events = DaemonEvents(pair.host("left"), PYVRRP_CONTROL)
    became = events.until(lambda event: event.event == "transition" and event["to"] == "MASTER", 6)
    assert (became.source, became["rule"]) == ("VI_1", "RFC 3768 6.4.2")
    events.close()


def test_refused_packets_change_a_counter_and_nothing_else(pair: Pair) -> None:
    """keepalived 2.2.7 postpones its next advertisement at every packet, even a refused one; we never do."""
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    before = status(pair.host("left"))
    forged = Instance("VI_1", "eth0", 51, priority=254, authentication=Authentication(AuthType.PASS, b"guess"))
    packet = Packet(IPv4Address(ADDRESSES["right"]), VRRP_GROUP, own_advertisement(forged, 254).encode())
    python = f"{ENVIRONMENT}/bin/python"
    pair.host("right").run([python, "-c", SEND_RAW, packet.encode().hex(), "100", "0.03"], timeout=20).check()
    after = status(pair.host("left"))
    assert after["state"] == "MASTER"
    assert after["statistics"]["auth_failure"] - before["statistics"]["auth_failure"] == 100
    assert after["statistics"]["advert_sent"] - before["statistics"]["advert_sent"] >= 3
    log = pair.host("left").log_tail("keepalived", 200)
    assert 1 <= log.count("received an invalid passwd!") <= 5  # a flood does not fill the log


def test_a_restart_after_kill_9_removes_what_was_left_behind(pair: Pair) -> None:
    speaker = pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    pair.kill("left")
    begun = time.monotonic()
    speaker.start()
    gone = pair.until_held_by(within=3)
    assert gone - begun < 2


def test_sighup_is_answered_and_changes_nothing(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    pair.host("left").kill_service("keepalived", signal.SIGHUP)
    hold(lambda: pair.watch.holders(VIP) == {"left"}, 1, "left holds the address")
    assert "reload is not supported" in pair.host("left").log_tail("keepalived", 50)


def test_a_second_instance_is_refused_in_one_line(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    refused = run(pair.host("left"), "-n", "-l", "-f", KEEPALIVED_CONF)
    assert refused.status == 1
    assert refused.errors.count("\n") == 1
    assert "another instance is running (pid " in refused.errors


def test_a_missing_interface_is_a_configuration_error(pair: Pair) -> None:
    refused = run(pair.host("left"), "-n", "-f", KEEPALIVED_CONF, text=configuration(100).replace("eth0", "eth7"))
    assert refused.status == 2
    assert "interface eth7 for vrrp_instance VI_1 doesn't exist (there are: eth0 lo)" in refused.errors


@pytest.mark.parametrize("capability", ["net_raw", "net_admin"])
def test_a_missing_capability_is_named(pair: Pair, capability: str) -> None:
    host = pair.host("left")
    host.write_file(KEEPALIVED_CONF, configuration(100, extra="garp_master_delay 1"))
    without = ["setpriv", f"--bounding-set=-{capability}", f"--inh-caps=-{capability}"]
    refused = host.run([*without, PYVRRP, "-n", "-f", KEEPALIVED_CONF], timeout=20)
    assert refused.status == 4
    assert f"CAP_{capability.upper()}" in refused.errors


def test_a_missing_file_ends_with_6_and_a_broken_one_with_2(pair: Pair) -> None:
    host = pair.host("left")
    missing = run(host, "-n", "-f", "/etc/keepalived/nowhere.conf")
    assert (missing.status, missing.errors.count("\n")) == (6, 1)
    broken = run(host, "-n", "-f", KEEPALIVED_CONF, text="vrrp_instance VI_1 {\n  virtual_router_id 51\n")
    assert broken.status == 2
    assert f"{KEEPALIVED_CONF}:" in broken.errors


def test_an_unknown_option_ends_with_1(pair: Pair) -> None:
    refused = run(pair.host("left"), "--bogus")
    assert (refused.status, refused.errors.count("\n")) == (1, 1)


def test_the_version_is_where_exporters_read_it(pair: Pair) -> None:
    told = run(pair.host("left"), "-v")
    assert told.status == 0
    assert told.output == ""
    assert told.errors.startswith("Keepalived v2.2.7 ")

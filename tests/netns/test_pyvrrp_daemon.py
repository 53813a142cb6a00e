"""The daemon on a network of its own: what it says of itself, what it refuses, what cannot move it."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest
from vrrp_pair import ADDRESSES, VIP, Pair, configuration

from hakit.control import request
from hakit.events import EventHub
from hakit.transcript import Event
from halab.host_mounts import ENVIRONMENT
from halab.namespace import Completed, Host
from halab.parts.daemons import KEEPALIVED_CONF, PYVRRP_CONTROL
from halab.topology import Lab, ip_batch
from halab.wait import DaemonEvents, hold, poll
from pyvrrp.daemon import Daemon
from pyvrrp.model import (
    Authentication,
    AuthType,
    Configuration,
    Instance,
    Script,
    Tracked,
    TrackScript,
    VirtualAddress,
)
from pyvrrp.protocol.reception import own_advertisement
from pyvrrp.wire import ipv4
from pyvrrp.wire.ipv4 import VRRP_GROUP, Packet

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

CONFIGS = Path(__file__).parents[2] / "configs"
LabFactory = Callable[[Mapping[str, str]], Lab]
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
    pair.host("right").run([python, "-c", SEND_RAW, ipv4.encode(packet).hex(), "100", "0.03"], timeout=20).check()
    after = status(pair.host("left"))
    assert after["state"] == "MASTER"
    assert after["statistics"]["auth_failure"] - before["statistics"]["auth_failure"] == 100
    assert after["statistics"]["advert_sent"] - before["statistics"]["advert_sent"] >= 3
    log = pair.host("left").log_tail("keepalived", 200)
    assert 1 <= log.count("received an invalid passwd from") <= 5  # a flood does not fill the log


def test_a_restart_after_kill_9_removes_what_was_left_behind(pair: Pair) -> None:
    speaker = pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    pair.kill("left")
    begun = time.monotonic()
    speaker.start()
    gone = pair.until_held_by(within=3)
    assert gone - begun < 2


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (signal.SIGHUP, "Reloading ..."),
        (signal.SIGUSR1, "Printing VRRP data for process("),
        (signal.SIGUSR2, "Printing VRRP stats for process("),
        (signal.SIGRTMIN + 2, "Printing VRRP as json for process("),
    ],
)
def test_signals_that_keepalived_answers_do_not_end_the_daemon(pair: Pair, number: int, told: str) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    pair.host("left").kill_service("keepalived", number)
    hold(lambda: pair.watch.holders(VIP) == {"left"}, 1, "left holds the address")
    assert told in pair.host("left").log_tail("keepalived", 50)


def test_an_address_that_somebody_removes_is_put_back_and_announced_without_leaving_master(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    host = pair.host("left")
    events = DaemonEvents(host, PYVRRP_CONTROL)
    begun = time.monotonic()
    host.run(["ip", "address", "del", f"{VIP}/24", "dev", "eth0"]).check()
    events.until(lambda event: event.event == "address" and event["action"] == "added", 3, since=begun)
    events.until(lambda event: event.event == "address_lost", 3, since=begun)
    pair.until_held_by("left", within=3)
    assert status(host)["statistics"]["become_master"] == 1
    events.close()


def test_an_interface_that_is_deleted_and_made_again_is_followed(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    pair.start("right", "pyvrrp", configuration(90))
    pair.until_held_by("left", within=6)
    host = pair.host("left")
    host.run(["ip", "link", "del", "eth0"]).check()
    pair.until_held_by("right", within=6)
    left = ip_batch(pair.lab.switch, [
        f"link add left type veth peer name eth0 netns {host.pid}", "link set left master lan up",
    ])  # fmt: skip
    left.result()
    ip_batch(host, [f"address add {ADDRESSES['left']}/24 dev eth0", "link set eth0 up"]).result()
    pair.until_held_by("left", within=8)  # it is heard, it hears, and so the other yields
    hold(lambda: pair.watch.holders(VIP) == {"left"}, 2, "left alone holds the address")


def test_an_address_that_cannot_be_set_does_not_hold_up_the_others_and_is_not_announced(pair: Pair) -> None:
    host = pair.host("left")
    host.run(["ip", "link", "set", "lo", "mtu", "60"]).check()  # too small for IPv4: the kernel refuses addresses on it
    text = configuration(100).replace("virtual_ipaddress {", "virtual_ipaddress {\n 10.88.9.9/32 dev lo")
    pair.start("left", "pyvrrp", text)
    pair.until_held_by("left", within=6)
    poll(pair.gratuitous_arps, 3, "gratuitous ARP for the other address")
    log = host.log_tail("keepalived", 100)
    assert "cannot add 10.88.9.9/32 on lo" in log
    assert "Sending gratuitous ARP on lo" not in log
    pair.speakers["left"].stop()
    pair.until_held_by(within=2)


def test_notify_scripts_find_the_addresses_where_they_belong(pair: Pair) -> None:
    many = "\n".join(f"10.88.{third}.{last}/24" for third in (5, 6) for last in range(1, 71))
    scripts = {"count.sh": "#!/bin/sh\nip -4 -o address show dev eth0 | wc -l > /run/$1\n"}
    notify = 'notify_master "/usr/local/bin/count.sh master"\nnotify_stop "/usr/local/bin/count.sh stop"'
    text = configuration(100, extra=notify).replace(f"{VIP}/24", f"{VIP}/24\n{many}")
    speaker = pair.start("left", "pyvrrp", text, scripts)
    host = pair.host("left")
    assert poll(lambda: host.path("/run/master").read_text(), 8, "notify_master").strip() == "142"
    speaker.stop()
    assert poll(lambda: host.path("/run/stop").read_text(), 5, "notify_stop").strip() == "1"


def test_an_error_of_our_own_ends_the_daemon_but_not_before_it_has_released_everything(pair: Pair) -> None:
    instance = Instance(
        "VI_1", "eth0", 51, addresses=(VirtualAddress(IPv4Interface(f"{VIP}/24")),), tracked=(Tracked("x", 1),)
    )
    configuration = Configuration((instance,), (TrackScript("x", Script(("/usr/bin/true",))),))
    held = threading.Event()

    async def story() -> None:
        hub = EventHub("pyvrrp")
        daemon = Daemon(configuration, hub)
        hub.listen(lambda event: held.set() if event.event == "announced" else None)

        def break_it(event: Event) -> None:
            if event.event == "advertised" and held.is_set() and event["priority"] != 0:
                raise RuntimeError("a mistake of ours")  # in the callback of a timer

        hub.listen(break_it)
        await daemon.run(lambda: None, asyncio.get_running_loop().create_future())

    ended = pair.host("left").inside(lambda: asyncio.run(story()))
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        ended.result(15)
    assert held.is_set()
    pair.until_held_by(within=2)
    assert poll(lambda: [packet["vrrp.prio"] for packet in pair.advertisements()], 3, "advertisements")[-1] == "0"


def test_a_flood_of_lower_advertisements_fills_neither_the_log_nor_the_network(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    before = status(pair.host("left"))["statistics"]
    password = Authentication(AuthType.PASS, b"s3cr3t77")
    lower = Instance("VI_1", "eth0", 51, priority=50, authentication=password)
    python = f"{ENVIRONMENT}/bin/python"
    begun = time.monotonic()
    for priority in (50, 0):
        message = own_advertisement(lower, priority).encode()
        packet = Packet(IPv4Address(ADDRESSES["right"]), VRRP_GROUP, message)
        pair.host("right").run([python, "-c", SEND_RAW, ipv4.encode(packet).hex(), "500", "0.002"], timeout=20).check()
    took = time.monotonic() - begun
    after = status(pair.host("left"))["statistics"]
    assert after["advert_rcvd"] - before["advert_rcvd"] == 1000
    assert after["advert_sent"] - before["advert_sent"] <= 2 * took + 2
    assert pair.host("left").log_tail("keepalived", 5000).count("forcing new election") <= took + 2


def test_the_background_says_what_is_wrong_and_ends_with_it(pair: Pair) -> None:
    host = pair.host("left")
    refused = run(host, "-f", KEEPALIVED_CONF, text=configuration(100).replace("eth0", "eth7"))
    assert refused.status == 2
    assert "interface eth7" in refused.errors
    assert run(host, "-f", KEEPALIVED_CONF, text=configuration(100)).status == 0
    pair.until_held_by("left", within=6)  # it was ready when its parent ended
    second = run(host, "-f", KEEPALIVED_CONF)
    assert second.status == 1
    assert "another instance is running (pid " in second.errors


def test_a_running_keepalived_is_another_instance(pair: Pair) -> None:
    pair.start("left", "keepalived", configuration(100))
    host = pair.host("left")
    poll(lambda: host.path("/run/keepalived.pid").read_text(), 5, "keepalived's pid file")
    written = host.read_file("/run/keepalived.pid")
    refused = run(host, "-n", "-f", KEEPALIVED_CONF)
    assert refused.status == 1
    assert f"another instance is running (pid {written.strip()})" in refused.errors
    assert host.read_file("/run/keepalived.pid") == written


def test_a_file_in_the_place_of_the_control_socket_is_left_alone(pair: Pair) -> None:
    host = pair.host("left")
    host.write_file("/run/precious", "data")
    refused = run(host, "-n", "-f", KEEPALIVED_CONF, "--control", "/run/precious", text=configuration(100))
    assert refused.status == 1
    assert "/run/precious is no socket" in refused.errors
    assert host.read_file("/run/precious") == "data"


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--control", "/run/file/x.sock"), "the control socket /run/file/x.sock cannot be opened: File exists"),
        (("--control", "/sys/x.sock"), "the control socket /sys/x.sock cannot be opened: Operation not permitted"),
        (("-g/run/none/log",), "the log file /run/none/log cannot be written: No such file or directory"),
        (("-p", "/run/none/x.pid"), "the pid file /run/none/x.pid cannot be written: No such file or directory"),
        (("--http", "192.0.2.1:80"), "the status pages cannot have 192.0.2.1 port 80: Cannot assign requested address"),
    ],
)
def test_a_place_that_cannot_be_had_is_named_in_one_line(pair: Pair, flags: tuple[str, ...], named: str) -> None:
    host = pair.host("left")
    host.write_file("/run/file", "")
    refused = run(host, "-n", "-f", KEEPALIVED_CONF, *flags, text=configuration(100))
    assert (refused.status, refused.errors) == (1, f"pyvrrp: {named}\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("10.88.2.50/24", "10.88.2.50/24"), 0),
        (("virtual_router_id 51", "virtual_router_id 256"), 5),
        (("virtual_router_id 51", "bogus_word"), 5),
        (("interface eth0", "interface eth7"), 5),
        (("10.88.2.50/24", "10.88.2.50/24 dev eth7"), 5),
        (("priority 100", "priority"), 2),
        (("/usr/local/bin/check.sh", "/usr/local/bin/nowhere.sh"), 6),
    ],
)
def test_a_configuration_test_ends_as_keepalived_s_does(pair: Pair, change: tuple[str, str], expected: int) -> None:
    host = pair.host("left")
    host.write_file("/usr/local/bin/check.sh", "#!/bin/sh\n", 0o755)
    text = configuration(100, script="/usr/local/bin/check.sh").replace(*change)
    assert run(host, "-t", "-f", KEEPALIVED_CONF, text=text).status == expected
    if expected != 6:  # keepalived 2.2.7 looks for a missing script elsewhere first
        assert host.run(["keepalived", "-t", "-f", KEEPALIVED_CONF], timeout=20).status == expected


def test_a_second_instance_is_refused_in_one_line(pair: Pair) -> None:
    pair.start("left", "pyvrrp", configuration(100))
    refused = run(pair.host("left"), "-n", "-l", "-f", KEEPALIVED_CONF)
    assert refused.status == 1
    assert refused.errors.count("\n") == 1
    assert "another instance is running (pid " in refused.errors


def test_the_lab_s_yaml_runs_as_its_keepalived_conf_does(tmp_path: Path, netns_lab: LabFactory) -> None:
    lab = netns_lab({"haproxy1": "192.168.50.11/24"})
    host = lab["haproxy1"]
    scripts = {
        name: (CONFIGS / "reference" / name).read_text() for name in ("check_haproxy.sh", "keepalived_notify.sh")
    }
    for name, text in scripts.items():
        host.write_file(f"/usr/local/bin/{name}", text, 0o755)
    host.write_file("/etc/pyvrrp.yaml", (CONFIGS / "lab" / "pyvrrp.haproxy1.yaml").read_text())
    host.spawn([PYVRRP, "-n", "-f", "/etc/pyvrrp.yaml"])
    poll(lambda: host.path(PYVRRP_CONTROL).exists(), 5, "the control socket")
    events = DaemonEvents(host, PYVRRP_CONTROL)
    became = events.until(lambda event: event.event == "transition" and event["to"] == "MASTER", 8)
    assert became["priority"] == 98  # nothing balances here, so its check fails: 100 - 2
    logged = poll(lambda: host.path("/var/log/keepalived_notify.log").read_text(), 5, "the notify scripts' log")
    assert "VRRP state backup" in logged
    events.close()


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


def test_a_backup_that_was_asleep_hears_the_present_before_any_timer_fires(pair: Pair) -> None:
    """reliability.md, S20: what waits in the sockets is read first, so that a live master is not displaced."""
    pair.start("left", "pyvrrp", configuration(100))
    pair.until_held_by("left", within=6)
    pair.start("right", "pyvrrp", configuration(90))
    right = pair.host("right")
    poll(lambda: status(right)["master"] == ADDRESSES["left"], 5, "right hears left")
    right.kill_service("keepalived", signal.SIGSTOP)
    hold(lambda: pair.watch.holders(VIP) == {"left"}, 5, "left holds the address while right sleeps")
    right.kill_service("keepalived", signal.SIGCONT)
    hold(lambda: pair.watch.holders(VIP) == {"left"}, 2, "right leaves it there when it wakes")
    told = status(right)
    assert (told["state"], told["statistics"]["become_master"]) == ("BACKUP", 0)


def test_a_daemon_without_an_instance_runs_and_ends(pair: Pair) -> None:
    speaker = pair.start("left", "pyvrrp", "global_defs {\n router_id nothing\n}\n")
    assert request(pair.host("left").path(PYVRRP_CONTROL), "status")["instances"] == []  # type: ignore[index, call-overload]
    speaker.stop()

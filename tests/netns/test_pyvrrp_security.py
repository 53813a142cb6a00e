"""What others on the link, and on the machine, cannot make the daemon do."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from vrrp_pair import ADDRESSES, VIP, Pair, configuration, instance, whole

from hakit.control import request
from halab.host_mounts import ENVIRONMENT
from halab.namespace import Host, ServiceDefinition
from halab.parts.daemons import KEEPALIVED_CONF, PYVRRP_CONTROL, QUIET
from halab.wait import poll
from pyvrrp.model import Authentication, AuthType, Instance
from pyvrrp.protocol.reception import own_advertisement
from pyvrrp.wire import ipv4
from pyvrrp.wire.ipv4 import VRRP_GROUP, Packet

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

SEND_ALL = """
import socket, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
for packet in sys.argv[1:]:
    raw.sendto(bytes.fromhex(packet), socket.MSG_DONTROUTE, ("224.0.0.18", 0))
"""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def status(host: Host) -> dict[str, Any]:
    answer = request(host.path(PYVRRP_CONTROL), "status")
    assert isinstance(answer, dict)
    return answer["instances"][0]  # type: ignore[index, return-value]


def advert(vrid: int, password: bytes) -> str:
    forged = Instance("VI_1", "eth0", vrid, priority=254, authentication=Authentication(AuthType.PASS, password))
    return ipv4.encode(
        Packet(IPv4Address(ADDRESSES["right"]), VRRP_GROUP, own_advertisement(forged, 254).encode())
    ).hex()


def send(host: Host, packets: Sequence[str]) -> None:
    host.run([f"{ENVIRONMENT}/bin/python", "-c", SEND_ALL, *packets], timeout=20).check()


def test_a_flood_of_every_kind_is_told_within_the_ration_and_counted_to_the_last_packet(pair: Pair) -> None:
    """Of 250 numbers that nobody has here, each would be told once a minute: 66 are all that one instance allows."""
    left = pair.host("left")
    pair.start("left", "pyvrrp", configuration(100).replace("router_id pair", "router_id pair\n log_unknown_vrids"))
    pair.until_held_by("left", within=6)
    before = status(left)["statistics"]["auth_failure"]
    send(pair.host("right"), [advert(vrid, b"s3cr3t77") for vrid in range(1, 256) if vrid != 51])
    send(pair.host("right"), [advert(51, b"guess")] * 200)
    log = left.log_tail("keepalived", 5000)
    assert 40 <= log.count("Unknown VRID(") <= 66
    assert log.count("received an invalid passwd from") <= 2
    assert status(left)["statistics"]["auth_failure"] - before == 200
    assert status(left)["state"] == "MASTER"


def test_a_running_daemon_shows_no_password_and_no_key_anywhere(pair: Pair) -> None:
    """The log in all detail with the whole configuration (-d), all dumps, pages and answers, and what ps shows."""
    host, key = pair.host("left"), "6b65792d" * 8
    signed = instance(
        100, f"auth_hmac {{\n key 7 hex:{key}\n active_key 7\n }}", name="VI_2", vrid=52, addresses=("10.88.2.60/24",)
    )
    text = configuration(100, password="pa55w0rd") + signed
    host.write_file(KEEPALIVED_CONF, text)
    argv = (f"{ENVIRONMENT}/bin/pyvrrp", "-f", KEEPALIVED_CONF, "-nlDDd", "--http", "127.0.0.1:9165")
    host.define(ServiceDefinition("keepalived", argv, QUIET, notify=True, patience=5.0))
    host.start_service("keepalived")
    pair.until_held_by("left", within=6)
    send(pair.host("right"), [advert(51, b"guess")])
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN + 2, signal.SIGRTMAX, signal.SIGHUP):
        pair.signal("left", number)
    poll(lambda: "Reload complete" in log(host), 5, "the reload")
    ctl = [["status"], ["why", "VI_1"], ["events", "--json"], *(["dump", which] for which in ("data", "stats", "json"))]
    seen = {" ".join(words): host.run([f"{ENVIRONMENT}/bin/pyvrrp", "ctl", *words], timeout=20).output for words in ctl}
    seen |= {path: host.run(["curl", "-s", f"http://127.0.0.1:9165{path}"]).output for path in ("/health", "/metrics")}
    seen["ps"] = host.run(["ps", "axww"]).output
    seen["log"] = log(host)
    seen["files"] = host.run(["sh", "-c", "cat /tmp/keepalived*"]).output
    assert all(seen.values())
    assert "received an invalid passwd from" in seen["log"]
    assert {
        name for name, what in seen.items() if "pa55w0rd" in what or key in what or b"key-key-".decode() in what
    } == set()


# --- Root is given up -------------------------------------------------------------------------------------------------

NET, FOR_SCRIPTS = 1 << 12 | 1 << 13, 1 << 5 | 1 << 6 | 1 << 7
NOBODY = "65534"
DUMP = "/tmp/keepalived.data"  # noqa: S108 - where keepalived writes it


def start(pair: Pair, text: str, *flags: str, scripts: dict[str, str] | None = None) -> Host:
    """Start a daemon on the left host that becomes nobody."""
    host = pair.host("left")
    host.write_file(KEEPALIVED_CONF, text)
    for name, words in (scripts or {}).items():
        host.write_file(f"/usr/local/bin/{name}", words, 0o755)
    argv = (f"{ENVIRONMENT}/bin/pyvrrp", "-f", KEEPALIVED_CONF, "-nlD", "--run-as", "nobody", *flags)
    host.define(ServiceDefinition("keepalived", argv, QUIET, notify=True, patience=5.0))
    host.start_service("keepalived")
    return host


def rights(host: Host) -> dict[str, str]:
    pid = host.services()["keepalived"]["pid"]
    lines = host.run(["cat", f"/proc/{pid}/status"]).check().output.splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def log(host: Host) -> str:
    return host.log_tail("keepalived", 5000)


def test_a_daemon_without_root_has_two_capabilities_and_does_all_it_did(pair: Pair) -> None:
    """Elections, a reload with another address, dumps, pyvrrp ctl, the end: all with CAP_NET_ADMIN and CAP_NET_RAW."""
    host = start(pair, whole(instance(100)))
    known = rights(host)
    assert (known["Uid"], known["Gid"], known["Groups"]) == (" ".join([NOBODY] * 4), " ".join([NOBODY] * 4), "")
    assert {known["CapEff"], known["CapPrm"]} == {f"{NET:016x}"}
    assert {known["CapInh"], known["CapAmb"]} == {"0" * 16}
    assert known["NoNewPrivs"] == "1"
    assert "Runs as user nobody, group nogroup, with CAP_NET_ADMIN, CAP_NET_RAW" in log(host)
    pair.until_held_by("left", within=5)

    other = "10.88.2.51"
    pair.signal("left", 1, whole(instance(100, addresses=(f"{VIP}/24", f"{other}/24"))))
    pair.until_held_by("left", within=5, address=other)
    pair.signal("left", 10)
    poll(lambda: "VRRP Topology" in host.run(["cat", DUMP]).output, 5, "the dump")
    assert host.run(["stat", "-c", "%u %a", DUMP]).output.split() == [NOBODY, "600"]
    assert "MASTER" in host.run([f"{ENVIRONMENT}/bin/pyvrrp", "ctl", "status"], timeout=20).check().output

    host.stop_service("keepalived")
    pair.until_held_by(within=2)
    assert host.read_file("/run/keepalived.pid") == ""
    assert host.run(["ls", "/run/pyvrrp"]).output == ""


def test_scripts_run_as_their_users_and_are_ended_when_late(pair: Pair) -> None:
    late = "#!/bin/sh\nexec sleep 1000\n"
    told = "#!/bin/sh\nid -u >/run/$2-$3.told\n"
    checks = (
        "vrrp_script late {\n script /usr/local/bin/late\n interval 1\n timeout 1\n fall 1\n weight -1\n }\n"
        "vrrp_script other {\n script /bin/true\n interval 1\n user daemon\n weight 5\n }"
    )
    text = whole(checks, instance(100, "notify /usr/local/bin/told\n track_script {\n late\n other\n }"))
    host = start(pair, text, scripts={"late": late, "told": told})
    known = rights(host)
    assert known["CapEff"] == f"{NET | FOR_SCRIPTS:016x}"
    assert known["NoNewPrivs"] == "0"
    poll(lambda: host.run(["cat", "/run/VI_1-MASTER.told"]).output.strip() == "0", 8, "the notify script of root")
    poll(lambda: "Script late" in log(host) or "VRRP_Script(late) failed" in log(host), 5, "the late script")
    assert "VRRP_Script(other) succeeded" in log(host)
    host.stop_service("keepalived")
    assert host.run(["pgrep", "-f", "sleep 1000"]).output == ""


def test_what_needs_rights_that_were_given_up_is_refused_at_a_reload_and_all_goes_on(pair: Pair) -> None:
    host = start(pair, whole(instance(100)))
    pair.until_held_by("left", within=5)
    pair.signal("left", 1, whole(instance(120, "notify /bin/true")))
    poll(
        lambda: "it needs CAP_KILL, CAP_SETGID, CAP_SETUID, which user nobody has given up" in log(host),
        5,
        "the refusal",
    )
    assert "the configuration before stays in force" in log(host)
    assert status(host)["effective_priority"] == 100


def test_a_vmac_its_settings_and_its_nftables_need_no_root(pair: Pair) -> None:
    host = start(pair, whole(instance(100, "use_vmac\n no_accept")))
    pair.until_held_by("left", within=5)
    assert rights(host)["Uid"].startswith(NOBODY)
    assert "vrrp.51" in host.run(["ip", "-br", "link"]).check().output
    more = instance(100, "use_vmac\n no_accept", name="VI_2", vrid=52, addresses=("10.88.2.51/24",))
    pair.signal("left", 1, whole(instance(100, "use_vmac\n no_accept"), more))
    pair.until_held_by("left", within=5, address="10.88.2.51")
    assert setting(host, "vrrp.52/arp_ignore") == "1"
    assert "10.88.2.51" in host.run(["nft", "list", "ruleset"]).check().output
    host.stop_service("keepalived")
    assert "keepalived" not in host.run(["nft", "list", "ruleset"]).check().output
    assert "vrrp.5" not in host.run(["ip", "-br", "link"]).check().output


def setting(host: Host, path: str) -> str:
    return host.run(["cat", f"/proc/sys/net/ipv4/conf/{path}"]).check().output.strip()


def test_a_file_that_the_user_cannot_read_is_told_of_at_once(pair: Pair) -> None:
    host = pair.host("left")
    host.write_file("/etc/keepalived/more.conf", instance(100), 0o600)
    start(pair, whole("include /etc/keepalived/more.conf"))
    assert "user nobody cannot read /etc/keepalived/more.conf: a reload would be refused" in log(host)


@pytest.mark.parametrize(
    ("user", "words"),
    [("nosuch", "--run-as nosuch: there is no user 'nosuch'"), ("nobody:nosuch", "there is no group 'nosuch'")],
)
def test_a_user_that_is_not_there_is_told_and_nothing_is_started(pair: Pair, user: str, words: str) -> None:
    host = pair.host("left")
    host.write_file(KEEPALIVED_CONF, whole(instance(100)))
    refused = host.run([f"{ENVIRONMENT}/bin/pyvrrp", "-f", KEEPALIVED_CONF, "-n", "--run-as", user], timeout=20)
    assert refused.status == 2
    assert words in refused.errors
    assert host.run(["ls", "/run/keepalived.pid"]).status != 0

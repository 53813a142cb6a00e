"""A running daemon is asked and told: ``pyvrrp ctl`` and the status pages, on a network of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vrrp_pair import ADDRESSES, VIP, Pair, instance, whole

from halab.host_mounts import ENVIRONMENT
from halab.namespace import Completed, Host, ServiceDefinition
from halab.parts.daemons import KEEPALIVED_CONF, QUIET
from halab.wait import poll

pytestmark = [pytest.mark.netns, pytest.mark.timeout(90)]

PYVRRP = f"{ENVIRONMENT}/bin/pyvrrp"
PAGES = "http://127.0.0.1:9165"
CHECK = 'vrrp_script chk {\n script "/bin/true"\n interval 1\n weight -60\n }'


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def ctl(host: Host, *words: str) -> Completed:
    return host.run([PYVRRP, "ctl", *words], timeout=20)


def page(host: Host, path: str) -> tuple[int, str]:
    argv = ["curl", "-s", "-o", "-", "-w", "\n%{http_code}", f"{PAGES}{path}"]
    text, _, status = host.run(argv).output.rpartition("\n")
    return int(status), text


def document(host: Host, path: str) -> tuple[int, dict[str, Any]]:
    status, text = page(host, path)
    return status, json.loads(text)


def test_an_operator_moves_the_address_and_asks_why(pair: Pair) -> None:
    left, right = pair.host("left"), pair.host("right")
    pair.start("right", "pyvrrp", whole(instance(100)))
    pair.start("left", "pyvrrp", whole(CHECK, instance(150, "track_script {\n chk\n }")))
    pair.until_held_by("left", within=5)

    table = ctl(left, "status").check().output
    assert "VI_1" in table
    assert "this one" in table
    assert "chk" in table
    told = ctl(right, "why", "VI_1").check().output
    assert "VI_1 is BACKUP since" in told
    assert f"an effective priority above 150 (it is 100) would take the place of {ADDRESSES['left']}" in told

    assert ctl(left, "demote", "VI_1").check().output.startswith("VI_1 gives its addresses up")
    pair.until_held_by("right", within=3)
    assert "An operator holds it" in ctl(left, "why", "VI_1").check().output
    ctl(left, "release", "VI_1").check()
    pair.until_held_by("left", within=4)

    refused = ctl(right, "promote", "VI_1")
    assert refused.status == 1
    assert "VI_1 is not promoted: master 10.88.2.11 has 150, ours 100" in refused.errors
    ctl(left, "demote", "VI_1").check()
    pair.until_held_by("right", within=3)
    assert ctl(left, "promote", "VI_1").check().output.startswith("VI_1 is master")
    pair.until_held_by("left", within=3)

    ctl(left, "maintenance", "on").check()
    pair.until_held_by("right", within=3)
    ctl(left, "maintenance", "off").check()
    pair.until_held_by("left", within=4)

    events = [json.loads(line) for line in ctl(left, "events", "--json").check().output.splitlines()]
    assert [one["to"] for one in events if one["event"] == "transition"][-1] == "MASTER"
    assert ctl(left, "reload").check().output == "the configuration was read anew and carried out\n"
    assert "VRRP Instance = VI_1" in ctl(left, "dump", "data").check().output
    assert json.loads(ctl(left, "dump", "json").check().output)


def test_what_makes_no_sense_is_one_line_and_its_exit_status(pair: Pair) -> None:
    host = pair.host("left")
    assert ctl(host, "status").status == 4
    pair.start("left", "pyvrrp", whole(instance(150)))
    refused = ctl(host, "why", "VI_2")
    assert (refused.status, refused.errors) == (1, "pyvrrp ctl: no instance VI_2; did you mean VI_1?\n")
    assert ctl(host, "reboot").status == 2
    host.write_file(KEEPALIVED_CONF, "vrrp_instance VI_1 {\n nonsense\n")
    broken = ctl(host, "reload")
    assert broken.status == 1
    assert broken.errors.startswith("pyvrrp ctl: the configuration before stays in force: ")
    assert broken.errors.count("\n") == 1


def test_the_pages_say_what_the_kernel_says_too(pair: Pair) -> None:
    host = pair.host("left")
    host.write_file(KEEPALIVED_CONF, whole(instance(150), settings="http_listen 127.0.0.1:9165"))
    argv = (PYVRRP, "-n", "-l", "-D")
    host.define(ServiceDefinition("keepalived", argv, QUIET, notify=True))
    host.start_service("keepalived")
    pair.until_held_by("left", within=5)
    poll(lambda: document(host, "/health")[1]["instances"][0]["age"] > 1, 3, "the settling")
    status, health = document(host, "/health")
    assert (status, health["healthy"], health["kernel"]["asked"]) == (200, True, True)
    assert health["kernel"]["age"] < 2
    assert document(host, "/ready")[0] == 200
    text = page(host, "/metrics")[1]
    assert f'keepalived_vrrp_state{{iname="VI_1",intf="eth0",vrid="51",ip_address="{VIP}/24"}} 2' in text
    host.run(["ip", "link", "set", "eth0", "down"]).check()
    poll(lambda: document(host, "/health")[0] == 503, 3, "bad health")
    assert document(host, "/health")[1]["instances"][0]["state"] == "FAULT"

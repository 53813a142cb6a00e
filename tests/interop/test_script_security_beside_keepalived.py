"""Scripts that others may change, without a word about it in the file: keepalived runs them, we do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from vrrp_pair import Pair, instance, whole

from halab.wait import poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(90)]

SCRIPT, RAN = "/usr/local/bin/check", "/run/the-check-ran"
CHECK = f"vrrp_script check {{\n script {SCRIPT}\n interval 1\n fall 1\n rise 1\n }}"


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as made:
        yield made


def configuration(priority: int, word: str = "") -> str:
    text = whole(CHECK, instance(priority, "track_script {\n check\n }"))
    return text.replace("enable_script_security", word)


def start(pair: Pair, name: str, program: str, text: str, mode: int) -> None:
    pair.host(name).write_file(SCRIPT, f"#!/bin/sh\ntouch {RAN}\n", mode)
    pair.start(name, program, text)


def ran(pair: Pair, name: str) -> bool:
    return pair.host(name).run(["ls", RAN]).status == 0


def test_what_everybody_may_write_is_run_by_keepalived_and_fails_with_us(pair: Pair) -> None:
    start(pair, "left", "pyvrrp", configuration(200), 0o777)
    start(pair, "right", "keepalived", configuration(100), 0o777)
    pair.until_held_by("right", within=8)
    assert ran(pair, "right")
    assert not ran(pair, "left")
    told = f"{SCRIPT} is writable by everybody (mode 0777): chmod o-w {SCRIPT}"
    assert told in pair.host("left").log_tail("keepalived", 200)
    pair.host("left").run(["chmod", "o-w", SCRIPT]).check()  # as it says: mended without a reload
    pair.until_held_by("left", within=8)


def test_ours_is_told_to_run_it_all_the_same(pair: Pair) -> None:
    start(pair, "left", "pyvrrp", configuration(200, "enable_script_security off"), 0o777)
    pair.until_held_by("left", within=8)
    poll(lambda: ran(pair, "left"), 3, "the script runs")
    assert "script security is off" in pair.host("left").log_tail("keepalived", 200)


def test_a_script_that_cannot_be_executed_leaves_keepalived_master_and_not_us(pair: Pair) -> None:
    """It is dropped from what keepalived tracks, so keepalived serves as if all were well."""
    start(pair, "left", "pyvrrp", configuration(200), 0o644)
    start(pair, "right", "keepalived", configuration(100), 0o644)
    pair.until_held_by("right", within=8)
    assert "is not executable (mode 0644): chmod +x" in pair.host("left").log_tail("keepalived", 200)

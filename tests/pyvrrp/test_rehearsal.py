"""pyvrrp simulate: lines are read as they are meant; a story has its account and its picture, and a seed its story."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from doctor_pairs import node, pair, text

from pyvrrp import cli
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.routers import shared_routers
from pyvrrp.doctor.stage import lan_of
from pyvrrp.model import Configuration, TrackerKind
from pyvrrp.rehearsal.account import Account, account_of, folded
from pyvrrp.rehearsal.cues import FORMS, CueError, read_cue
from pyvrrp.rehearsal.picture import picture
from pyvrrp.simulation.checks import Outcome
from pyvrrp.simulation.faults import (
    Check,
    Cut,
    Demote,
    Fault,
    Freeze,
    Heal,
    Isolate,
    Kill,
    LinkDown,
    LinkUp,
    Mute,
    Promote,
    Reading,
    Reload,
    Start,
    Stop,
    Thaw,
)
from pyvrrp.simulation.timeline import Entry

EVERYTHING = """\
vrrp_track_http web {
    url http://127.0.0.1/
}
vrrp_track_process haproxy {
    process haproxy
}
track_file load {
    file /run/load
}
vrrp_instance VI_1"""
TRACKED = """\
        chk
    }
    track_http {
        web
    }
    track_process {
        haproxy
    }
    track_file {
        load
    }
    track_interface {
        eth1
    }
"""
NODES = pair({"vrrp_instance VI_1": EVERYTHING, "        chk\n    }\n": TRACKED})
AFTER = Configuration(())


def read(line: str, nodes: list[Node] = NODES) -> list[Fault]:
    return read_cue(line, nodes, lambda path, router: {("new.conf", "lb1"): AFTER}[path, router])


def check(kind: TrackerKind, name: str, outcome: Outcome) -> list[Fault]:
    return [Check("lb1", (kind, name), outcome)]


MEANT = {
    "link down": [LinkDown("lb1", "eth0"), LinkDown("lb1", "eth1")],
    "link down INTERFACE": [LinkDown("lb1", "eth1")],
    "link up": [LinkUp("lb1", "eth0"), LinkUp("lb1", "eth1")],
    "link up INTERFACE": [LinkUp("lb1", "eth1")],
    "isolate": [Isolate("lb1")],
    "hears nothing": [Mute("lb1")],
    "hears nothing from ROUTER": [Cut("lb2", "lb1")],
    "is not heard": [Cut("lb1", "lb2")],
    "is not heard by ROUTER": [Cut("lb1", "lb2")],
    "heal": [Heal("lb1")],
    "freeze": [Freeze("lb1")],
    "thaw": [Thaw("lb1")],
    "kill": [Kill("lb1")],
    "stop": [Stop("lb1")],
    "start": [Start("lb1")],
    "script SCRIPT fails": check(TrackerKind.SCRIPT, "chk", Outcome.FAILS),
    "script SCRIPT succeeds": check(TrackerKind.SCRIPT, "chk", Outcome.SUCCEEDS),
    "script SCRIPT times out": check(TrackerKind.SCRIPT, "chk", Outcome.TIMES_OUT),
    "script SCRIPT cannot start": check(TrackerKind.SCRIPT, "chk", Outcome.CANNOT_START),
    "script SCRIPT dies": check(TrackerKind.SCRIPT, "chk", Outcome.DIES),
    "url URL fails": check(TrackerKind.HTTP, "web", Outcome.FAILS),
    "url URL succeeds": check(TrackerKind.HTTP, "web", Outcome.SUCCEEDS),
    "url URL times out": check(TrackerKind.HTTP, "web", Outcome.TIMES_OUT),
    "process PROCESS gone": [Reading("lb1", (TrackerKind.PROCESS, "haproxy"), value=False)],
    "process PROCESS back": [Reading("lb1", (TrackerKind.PROCESS, "haproxy"), value=True)],
    "file FILE holds NUMBER": [Reading("lb1", (TrackerKind.FILE, "load"), value=-3)],
    "demote INSTANCE": [Demote("lb1", "VI_1")],
    "promote INSTANCE": [Promote("lb1", "VI_1")],
    "reload PATH": [Reload("lb1", AFTER)],
}


@pytest.mark.parametrize(("form", "faults"), MEANT.items())
def test_every_form_is_read_as_the_fault_that_it_is(form: str, faults: list[Fault]) -> None:
    meant = {
        "INTERFACE": "eth1", "ROUTER": "lb2", "SCRIPT": "chk", "URL": "web", "PROCESS": "haproxy", "FILE": "load",
        "NUMBER": "-3", "INSTANCE": "VI_1", "PATH": "new.conf",
    }  # fmt: skip
    assert read("lb1: " + " ".join(meant.get(word, word) for word in form.split())) == faults


def test_no_form_is_without_an_example() -> None:
    assert list(MEANT) == [form for form, _ in FORMS]


VERBS = (
    "link, isolate, hears nothing, is not heard, heal, freeze, thaw, kill, stop, start, script, url, process, file,"
    " demote, promote or reload"
)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("lb1: scrpt chk fails", f"'scrpt' cannot stand there, but {VERBS}; did you mean 'script'?"),
        ("lb1: script chck fails", "'chck' cannot stand there, but chk; did you mean 'chk'?"),
        (
            "lb1: script chk faild",
            "'faild' cannot stand there, but fails, succeeds, times out, cannot start or dies; did you mean 'fails'?",
        ),
        ("lb1: script chk times", "ends too early: what could follow is out"),
        ("lb1: link", "ends too early: what could follow is down or up"),
        ("lb1: link down eth7", "'eth7' cannot stand there, but eth0 or eth1; did you mean 'eth1'?"),
        ("lb1: kill it", "'it' is a word too many"),
        ("lb1: hears nothing from lb1", "'lb1' cannot stand there, but lb2; did you mean 'lb2'?"),
        ("lb1: file load holds much", "'much' cannot stand there, but a number"),
        ("lb1: file load holds ٣", "'٣' cannot stand there, but a number"),
        ("lb1: reload", "ends too early: what could follow is the path of a file"),
        ("lb1:", f"ends too early: what could follow is {VERBS}"),
        ("lb3: kill", "has to begin with a router and a colon: lb1 or lb2; did you mean 'lb2'?"),
        ("kill", "has to begin with a router and a colon: lb1 or lb2"),
        ("lb2: url web fails", "'web' cannot stand there, but a url, of which its file has none"),
    ],
)
def test_a_line_that_nobody_understands_is_told_what_could_stand_where_it_is_wrong(line: str, told: str) -> None:
    with pytest.raises(CueError) as wrong:
        read(line)
    assert told in str(wrong.value)
    assert str(wrong.value).startswith(f"'{line}'")


# --- Accounts ---------------------------------------------------------------------------------------------------------


def rehearse(until: float, *lines: tuple[float, str], nodes: list[Node] | None = None) -> tuple[Account, list[Entry]]:
    nodes = nodes or pair()
    lan = lan_of(nodes)
    for at, line in lines:
        for fault in read(line, nodes):
            lan.inject_at(at, fault)
    lan.run_until(until)
    return account_of(shared_routers(nodes)[0], lan.timeline, until), lan.timeline


def test_an_account_says_how_it_ended_and_for_how_long_nobody_and_several_were_master() -> None:
    account, _ = rehearse(30.0, (10.0, "lb1: kill"), (20.0, "lb1: start"))
    assert account.masters == ("lb1",)
    assert account.sentence() == (
        "VI_1: lb1 is MASTER; lb2 is BACKUP (nobody was for 3.2580 s, several were for 0.0002 s)"
    )
    assert [(one.column[0], one.state, round(one.begins, 3)) for one in account.spans] == [
        ("lb1", "INIT", 0.0), ("lb1", "BACKUP", 0.0), ("lb1", "MASTER", 3.609), ("lb1", "DEAD", 10.0),
        ("lb1", "BACKUP", 20.0), ("lb1", "MASTER", 23.609),
        ("lb2", "INIT", 0.0), ("lb2", "BACKUP", 0.0), ("lb2", "MASTER", 13.258), ("lb2", "BACKUP", 23.61),
    ]  # fmt: skip


def test_two_masters_are_counted_as_long_as_there_are_two() -> None:
    account, _ = rehearse(30.0, (10.0, "lb1: isolate"), (20.0, "lb1: heal"))
    assert 6.0 < account.contested < 7.5
    assert account.unserved == 0.0


def test_where_nobody_ever_was_master_nobody_is_missed() -> None:
    account, _ = rehearse(1.0)
    assert (account.unserved, account.contested, account.masters) == (0.0, 0.0, ())
    assert account.sentence().startswith("VI_1: nobody is MASTER; lb1 is BACKUP; lb2 is BACKUP")


def test_several_masters_in_the_end_are_all_named() -> None:
    account, _ = rehearse(20.0, (10.0, "lb1: isolate"))
    assert account.sentence().startswith("VI_1: lb1 and lb2 are MASTER (nobody")


def test_what_is_said_again_and_again_is_told_once_and_how_often() -> None:
    _, timeline = rehearse(30.0, (10.0, "lb1: kill"), (10.1, "lb1: kill"), (20.0, "lb1: start"))
    told = [entry.text for entry in folded(timeline)]
    assert "received lower priority (90) advert from 10.0.0.2 - discarding (4 times)" in told
    assert told.count("kill lb1") == 2
    assert len(told) < len(timeline)


# --- The picture ------------------------------------------------------------------------------------------------------


def words_of(drawn: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawn).iter() if element.tag.endswith("}text")]  # noqa: S314 - our own


def test_a_picture_has_a_bar_for_each_span_and_a_mark_for_each_moment_at_which_something_was_done() -> None:
    account, timeline = rehearse(30.0, (10.0, "lb1: kill"), (10.0, "lb2: link down"), (10.001, "lb2: link up"))
    drawn = picture([account], timeline, 30.0)
    words = words_of(drawn)
    assert {"lb1", "lb2", "0 s", "30 s", "MASTER", "DEAD"} <= {*words}
    assert [word for word in words if word.startswith(("1: ", "2: "))] == [
        "1: 10 s, kill lb1; link down lb2 eth0",
        "2: 10.001 s, link up lb2 eth0",
    ]
    assert drawn.count("<title>") == len([one for one in account.spans if one.ends > one.begins])
    assert "no advertisement for Master_Down_Interval" in drawn


def test_what_could_be_markup_is_text_in_a_picture() -> None:
    strange = [node("a<b", text("lb1")), node("c&d", text("lb2"))]
    account, timeline = rehearse(300.0, nodes=strange)
    other = Account("VI_2", (("a<b", "VI_2"),), (), 0.0, 0.0)
    words = words_of(picture([account, other], timeline, 300.0))
    assert "a<b VI_1" in words
    assert "300 s" in words


def test_a_story_that_ends_at_once_or_lasts_for_ever_has_an_axis() -> None:
    account, timeline = rehearse(0.001)
    assert "0 s" in words_of(picture([account], timeline, 0.001))
    assert "100000 s" in words_of(picture([account], timeline, 100_000.0))


# --- The command line -------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("lb1", "lb2"):
        (tmp_path / f"{name}.conf").write_text(text(name))
    return [str(tmp_path / "lb1.conf"), str(tmp_path / "lb2.conf")]


def test_the_verb_tells_the_story_and_how_it_ended(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", *files, "--at", "10s", "lb1: script chk fails", "--until", "20s"]) == 0
    out, err = capsys.readouterr()
    assert not err
    assert out.startswith("lb1 is 10.0.0.1\nlb2 is 10.0.0.2\n         s   lb1     lb2\n")
    assert " 10.000000    M       B     -- script chk fails on lb1\n" in out
    assert "Master received advert from 10.0.0.2 with higher priority 90, ours 80\n" in out
    assert out.endswith(
        "\nafter 20 s:\n  VI_1: lb2 is MASTER; lb1 is BACKUP (nobody was for 0.0000 s, several were for 0.0002 s)\n"
    )


def test_without_an_end_it_goes_on_until_all_is_quiet(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", *files, "--at", "1m", "lb1: kill", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert 65 < document["until"] < 75
    assert document["routers"][0]["masters"] == ["lb2"]
    assert document["routers"][0]["states"] == {"lb1": "DEAD", "lb2": "MASTER"}
    assert document["seed"] is None
    moved = [one for one in document["timeline"] if one["event"] == "transition" and one["to"] == "MASTER"]
    assert [(one["node"], one["rule"]) for one in moved] == [("lb1", "RFC 3768 6.4.2"), ("lb2", "RFC 3768 6.4.2")]


def test_the_same_seed_has_the_same_story_and_another_one_another(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def story(*words: str) -> str:
        assert cli.main(["simulate", *files, "--loss", "40%", "--until", "60s", *words]) == 0
        return capsys.readouterr().out

    assert story("--seed", "7") == story("--seed", "7") != story("--seed", "8")
    assert "\nseed 0\n" in story()


def test_a_delay_is_one_of_every_packet(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    line = ["--at", "10s", "lb2: stop", "--until", "20s", "--delay", "50ms"]
    assert cli.main(["simulate", *files, "--at", "9s", "lb1: demote VI_1", *line]) == 0
    assert "  9.050000    B       B     lb2: Backup received priority 0 advertisement" in capsys.readouterr().out


def test_another_configuration_can_be_reloaded(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "new.conf").write_text(text("lb1", {"priority 100": "priority 80"}))
    assert cli.main(["simulate", *files, "--at", "10s", f"lb1: reload {tmp_path}/new.conf"]) == 0
    assert "VI_1: lb2 is MASTER; lb1 is BACKUP" in capsys.readouterr().out
    assert cli.main(["simulate", *files, "--at", "10s", "lb1: reload /nowhere.conf"]) == 2
    assert "/nowhere.conf: error:" in capsys.readouterr().err


def test_a_picture_is_written_as_a_whole_or_not_at_all(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["simulate", *files, "--until", "5", "--svg", str(tmp_path / "x.svg")]) == 0
    assert "lb1" in words_of((tmp_path / "x.svg").read_text())
    assert cli.main(["simulate", *files, "--until", "5", "--svg", str(tmp_path / "no" / "x.svg")]) == 1
    assert "x.svg cannot be written: No such file or directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--at", "soon", "lb1: kill"], "--at 'soon' is not a duration"),
        (["--at", "5s", "lb1: kil"], "'kil' cannot stand there"),
        (["--at", "5s", "lb1: kill", "--until", "4s"], "--at 5s lies behind the end, --until 4s"),
        (["--until", "2d"], "'2d' is not a time of at most a day"),
        (["--loss", "much"], "'much' is no percentage: 30%, 2.5%"),
        (["--loss", "130%"], "'130%' is not from 0% to 100%"),
        (["--delay", "2m"], "'2m' is not a delay of at most a minute"),
        (["--sed", "1"], "unrecognized arguments: --sed 1"),
    ],
)
def test_a_line_that_makes_no_sense_is_one_error_and_status_2(
    files: list[str], words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["simulate", *files, *words])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else -1
    assert status == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_file_that_is_no_configuration_is_status_2(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", *files, "/nowhere.conf"]) == 2
    assert "/nowhere.conf: error: the configuration cannot be read" in capsys.readouterr().err


def test_two_files_of_one_name_are_told_apart_by_names_that_are_given(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["simulate", files[0], files[0]]) == 2
    assert "give them names" in capsys.readouterr().err


def test_whoever_has_seen_enough_of_it_is_not_told_of_a_broken_pipe(files: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    argv = [sys.executable, "-m", "pyvrrp.cli", "simulate", *files, "--until", "5"]
    done = subprocess.run(argv, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_file_without_an_instance_has_no_story(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.conf").write_text("global_defs {\n}\n")
    assert cli.main(["simulate", str(tmp_path / "empty.conf")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "after 1 s:"


def test_more_files_than_a_lan_has_routers_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", *(f"{number}.conf" for number in range(65))]) == 2
    assert capsys.readouterr().err == "pyvrrp simulate: 65 files are too many routers for one LAN: 64 at most\n"

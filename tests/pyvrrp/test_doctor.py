"""pyvrrp doctor: every rule finds its mistake, at its place, and nothing in a pair that is sound."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from doctor_pairs import SOUND, Spoils, node, pair, text

from hakit.diagnosis import Finding, Spot, diagnose
from hakit.diagnostics import Location
from pyvrrp import cli
from pyvrrp.consult import node_of
from pyvrrp.doctor import alone, examination, together
from pyvrrp.doctor.examination import examine
from pyvrrp.doctor.node import listed
from pyvrrp.doctor.places import Places
from pyvrrp.doctor.routers import shared_routers
from pyvrrp.nodes import named, read_nodes

ROOT = Path(__file__).parents[2]
PASS = "    authentication {\n        auth_type PASS\n        auth_pass secret\n    }\n    virtual_ipaddress {"
HMAC = (
    "    auth_hmac {{\n        key 1 {key}\n        active_key 1\n        mode {mode}\n    }}\n    virtual_ipaddress {{"
)
MULTICAST = {"    unicast_src_ip 10.0.0.1\n    unicast_peer {\n        10.0.0.2\n    }\n": ""}
SECOND = """\
vrrp_instance VI_2 {
    interface eth1
    virtual_router_id 52
    virtual_ipaddress {
        10.1.0.100/24
    }
    track_interface {
        eth1
    }
}
vrrp_sync_group G {
    group {
        VI_1
        VI_2
    }
}
"""
EXCLUDED = "    virtual_ipaddress_excluded {\n        10.0.1.1\n    }\n    track_script {"
ROUTE = "    virtual_routes {\n        10.9.0.0/16 via 10.0.0.9 dev eth0\n    }\n    track_script {"
V3 = {"advert_int 1": "advert_int 1\n    version 3"}


def key(letter: str, mode: str = "enforce") -> dict[str, str]:
    return {"    virtual_ipaddress {": HMAC.format(key=letter * 32, mode=mode)}


@dataclass(frozen=True)
class Case:
    """What is changed in the two files, and the line on which the finding has to stand."""

    rule: str
    second: Spoils = field(default_factory=dict)
    first: Spoils = field(default_factory=dict)
    at: str = ""
    node: str = "lb2"


def both(rule: str, spoils: Spoils, at: str = "") -> Case:
    return Case(rule, spoils, spoils, at)


CASES = [
    Case("configuration", {"advert_int 1": "advert_int 0.4"}, {"advert_int 1": "advert_int 0.4"}),
    Case("advice", {"interval 2": "interval 2 3"}, at="    interval 2 3"),
    Case(
        "password-truncated",
        {"    virtual_ipaddress {": PASS.replace("secret", "ninebytes")},
        at="        auth_pass ninebytes",
    ),
    Case("password-in-clear", {"    virtual_ipaddress {": PASS}, at="        auth_type PASS"),
    Case("nopreempt-cleared", {"state BACKUP": "state MASTER\n    nopreempt"}, at="    nopreempt"),
    Case("nopreempt-cleared", {"state BACKUP": "state MASTER\n    preempt_delay 5"}, at="    preempt_delay 5"),
    Case("nopreempt-cleared", {"priority 90": "priority 255\n    nopreempt"}, at="    nopreempt"),
    Case("script-outlasts-interval", {"timeout 1": "timeout 3"}, at="    timeout 3"),
    Case("nothing-tracked", {"    track_script {\n        chk\n    }\n": ""}, at="vrrp_instance VI_1 {"),
    Case(
        "address-twice",
        {
            "vrrp_instance VI_1": SECOND.partition("vrrp_sync")[0].replace("10.1.0.100/24", "10.0.0.100")
            + "vrrp_instance VI_1"
        },
        at="        10.0.0.100/24",
    ),
    Case(
        "source-is-virtual",
        {"unicast_src_ip 10.0.0.2": "unicast_src_ip 10.0.0.100"},
        at="    unicast_src_ip 10.0.0.100",
    ),
    Case(
        "source-in-another-network",
        {"10.0.0.100/24": "10.9.0.100/24"},
        {"10.0.0.100/24": "10.9.0.100/24"},
        at="        10.9.0.100/24",
    ),
    Case("own-peer", {"        10.0.0.1\n": "        10.0.0.1\n        10.0.0.2\n"}, at="        10.0.0.2"),
    Case(
        "no-partner",
        {"virtual_router_id 51": "virtual_router_id 52", "10.0.0.100": "10.0.0.101"},
        at="    virtual_router_id 52",
    ),
    Case("vrid-differs", {"virtual_router_id 51": "virtual_router_id 52"}, at="    virtual_router_id 52"),
    Case("vrid-used-twice", {"10.0.0.100": "10.0.0.101"}, at="    virtual_router_id 51"),
    Case("version-differs", V3, at="    version 3"),
    Case("interval-differs", {"advert_int 1": "advert_int 2"}, at="    advert_int 2"),
    Case("interval-unlike", {"advert_int 1": "advert_int 2\n    version 3"}, V3, at="    advert_int 2"),
    Case("addresses-differ", {"10.0.0.100/24": "10.0.0.100/24\n        10.0.0.101/24"}, at="    virtual_ipaddress {"),
    Case(
        "addresses-differ",
        first={"10.0.0.100/24": "10.0.0.100/24\n        10.0.0.101/24"},
        at="    virtual_ipaddress {",
    ),
    Case("authentication-differs", {"    virtual_ipaddress {": PASS}, at="    authentication {"),
    Case("authentication-differs", first={"    virtual_ipaddress {": PASS}, at="vrrp_instance VI_1 {"),
    Case("unseen-differs", {"    track_script {": EXCLUDED}, at="    virtual_ipaddress_excluded {"),
    Case("unseen-differs", first={"    track_script {": EXCLUDED}, at="vrrp_instance VI_1 {"),
    Case("unseen-differs", {"    track_script {": ROUTE}, at="    virtual_routes {"),
    Case("prefix-differs", {"10.0.0.100/24": "10.0.0.100/25"}, at="        10.0.0.100/25"),
    Case("lease-too-long", {"advert_int 1": "advert_int 1\n    vip_lease 9"}, at="    vip_lease 9"),
    Case("lease-off", {"advert_int 1": "advert_int 1\n    vip_lease off"}, at="    vip_lease off"),
    Case(
        "authentication-differs",
        {"    virtual_ipaddress {": PASS.replace("secret", "other")},
        {"    virtual_ipaddress {": PASS},
        at="    authentication {",
    ),
    Case("authentication-differs", key("a"), at="    auth_hmac {"),
    Case("authentication-differs", first=key("a", "permissive"), at="vrrp_instance VI_1 {"),
    Case("authentication-differs", key("a"), key("b"), at="    auth_hmac {"),
    Case("authentication-differs", key("a"), key("a", "receive-only"), at="    auth_hmac {"),
    Case("transport-differs", first=MULTICAST, at="    unicast_peer {"),
    Case(
        "transport-differs",
        {"    unicast_src_ip 10.0.0.2\n    unicast_peer {\n        10.0.0.1\n    }\n": ""},
        at="    unicast_peer {",
        node="lb1",
    ),
    Case(
        "transport-differs",
        {"    unicast_src_ip 10.0.0.2\n    unicast_peer {\n        10.0.0.1\n    }\n": "    mcast_dst_ip 224.0.0.42\n"},
        MULTICAST,
        at="    mcast_dst_ip 224.0.0.42",
    ),
    Case("peer-missing", {"        10.0.0.1\n": "        10.0.0.3\n"}, at="    unicast_peer {"),
    Case("source-twice", {"unicast_src_ip 10.0.0.2": "unicast_src_ip 10.0.0.1"}, at="    unicast_src_ip 10.0.0.1"),
    Case("priority-same", {"priority 90": "priority 100"}, at="    priority 100"),
    Case("two-owners", {"priority 90": "priority 255"}, {"priority 100": "priority 255"}, at="    priority 255"),
    Case("preempt-differs", {"priority 90": "priority 90\n    nopreempt"}, at="    nopreempt"),
    Case("preempt-differs", first={"priority 100": "priority 100\n    nopreempt"}, at="    nopreempt", node="lb1"),
    Case("tracking-differs", {"weight -20": "weight -30"}, at="    track_script {"),
    Case(
        "group-differs",
        {"vrrp_instance VI_1": SECOND.partition("vrrp_sync")[0] + "vrrp_instance VI_1"},
        {"vrrp_script chk": SECOND + "vrrp_script chk"},
        at="vrrp_sync_group G {",
        node="lb1",
    ),
]


def found_in(case: Case) -> list[Finding]:
    nodes = pair(case.first, case.second)
    return [found for found in examine(nodes).findings if found.rule.name == case.rule and found.node == case.node]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_each_rule_finds_its_mistake_at_its_line_and_says_what_to_do(case: Case) -> None:
    (found,) = found_in(case)
    lines = text(case.node, case.second if case.node == "lb2" else case.first).split("\n")
    if case.at:
        assert lines[found.spot.location.line - 1] == case.at
        assert found.spot.source in {case.at, None}
    assert found.spot.location.file == f"{case.node}.conf"
    assert found.spot.location.column
    assert found.remedy or case.rule in {"configuration", "advice"}


def test_no_rule_is_without_an_example() -> None:
    assert {case.rule for case in CASES} == {rule.name for rule in (*alone.RULES, *together.RULES)}


def test_nothing_is_found_in_a_pair_that_is_sound() -> None:
    found = examine(pair())
    assert not found.findings
    assert [trial.has_moved for trial in found.trials] == [True, True, True]


def test_a_router_alone_is_not_compared_with_anybody() -> None:
    assert {found.rule.name for found in examine(pair()[:1]).findings} == {"advice"}


def test_signatures_that_everybody_knows_are_no_finding() -> None:
    rule = together.AUTHENTICATION_DIFFERS.name
    for mode in ("enforce", "permissive"):
        assert not [one for one in examine(pair(key("a"), key("a", mode))).findings if one.rule.name == rule]
    assert not [one for one in examine(pair(key("a", "receive-only"), {})).findings if one.rule.name == rule]


def test_a_group_that_both_routers_have_is_no_finding() -> None:
    grouped = {"vrrp_script chk": SECOND + "vrrp_script chk"}
    assert not [one for one in examine(pair(grouped, grouped)).findings if one.rule is together.GROUP_DIFFERS]


def test_the_same_mistake_in_yaml_has_its_place_in_yaml() -> None:
    written = """\
scripts:
  chk: {script: [/usr/local/bin/check], interval: 2, timeout: 3, weight: -20}
instances:
  VI_1:
    interface: eth0
    virtual_router_id: 51
    virtual_ipaddress: [10.0.0.100/24]
    track_script: [chk]
"""
    found = examine([node("lb1", written, "yaml")]).findings
    assert ("script-outlasts-interval", 2) in [(one.rule.name, one.spot.location.line) for one in found]


def test_a_password_is_in_no_report() -> None:
    spoilt = {"    virtual_ipaddress {": PASS.replace("secret", "Tr0ub4dor")}
    report = diagnose(examine(pair(spoilt, {"    virtual_ipaddress {": PASS})).findings, [])
    told = report.render() + json.dumps(report.as_dict())
    assert {"password-truncated", "authentication-differs"} <= {found.rule.name for found in report.findings}
    assert "Tr0ub4d" not in told
    assert "secret" not in told


def test_routers_are_matched_by_address_then_by_number_and_interface_then_by_number_and_name() -> None:
    def of(*instances: tuple[str, int, str, str]) -> str:
        return "".join(
            f"vrrp_instance {called} {{\n interface {card}\n virtual_router_id {vrid}\n"
            f" virtual_ipaddress {{\n {address}\n }}\n}}\n"
            for called, vrid, card, address in instances
        )

    nodes = [
        node("lb1", of(("A", 1, "eth0", "10.0.0.1"), ("B", 2, "eth1", "10.0.0.2"), ("C", 3, "eth2", "10.0.0.3"))),
        node("lb2", of(("C", 3, "br0", "10.0.0.9"), ("X", 2, "eth1", "10.0.0.8"), ("Y", 9, "br1", "10.0.0.1"))),
    ]  # fmt: skip
    matched = [[f"{one.node.name} {one.instance.name}" for one in group] for group in shared_routers(nodes)]
    assert matched == [["lb1 A", "lb2 Y"], ["lb1 B", "lb2 X"], ["lb1 C", "lb2 C"]]


def test_a_place_that_is_not_in_the_file_is_the_nearest_around_it() -> None:
    places = pair()[0].places
    assert places.of("vrrp_instance VI_1", "nopreempt") == places.of("vrrp_instance VI_1")
    assert places.of("vrrp_instance VI_9") == Spot(Location("lb1.conf"))
    assert str(places.of()) == "lb1.conf"
    assert places.words("vrrp_instance VI_1", "priority") == ("100",)
    assert places.words("vrrp_instance VI_1", "nopreempt") == ()
    assert Places("x").statement("vrrp_instance VI_1") is None


def test_a_virtual_address_stands_where_it_was_written_with_its_length_or_without_carried_or_excluded() -> None:
    spoils = {
        "10.0.0.100/24\n    }": "10.0.0.100\n    }\n    virtual_ipaddress_excluded {\n        10.0.0.101/24\n    }"
    }
    lb1 = pair(spoils)[0]
    instance = lb1.configuration.instances[0]
    lines = text("lb1", spoils).split("\n")
    carried, excluded = (
        lines[lb1.line_of(instance, one).location.line - 1].strip() for one in (*instance.addresses, *instance.excluded)
    )
    assert (carried, excluded) == ("10.0.0.100", "10.0.0.101/24")


def test_a_track_file_is_found_under_both_of_its_names() -> None:
    written = "vrrp_track_file f {\n file /x\n weight 2\n}\n" + SOUND.format(priority=1, number=1, other=2)
    assert node("lb1", written).places.of("track_file f", "weight").location.line == 3


def test_a_weight_stands_in_the_line_that_tracks_else_in_the_block_of_what_is_tracked() -> None:
    spoils = {
        "        chk\n    }": "        chk weight -30\n    }\n    track_interface {\n        eth1 weight -5\n    }",
        "vrrp_instance VI_1": SECOND + "vrrp_instance VI_1",
        "        VI_2\n    }\n": "        VI_2\n    }\n    track_script {\n        chk\n    }\n"
        "    track_interface {\n        eth1 weight -5\n    }\n    global_tracking\n",
    }
    lb1 = pair(spoils)[0]
    instance = next(one for one in lb1.configuration.instances if one.name == "VI_1")
    lines = text("lb1", spoils).split("\n")
    placed = [
        (tracked.name, group is not None, lines[lb1.weight_of(instance, tracked, group).location.line - 1].strip())
        for tracked, group in lb1.tracked_by(instance)
    ]
    assert placed == [
        ("chk", False, "chk weight -30"),
        ("eth1", False, "eth1 weight -5"),
        ("chk", True, "weight -20"),
    ]


def test_a_list_reads_as_a_person_would_say_it() -> None:
    assert [listed(one) for one in ([], "a", "ab", "abc")] == ["none", "a", "a and b", "a, b and c"]


REAL = sorted((ROOT / "tests" / "interop" / "real_world").glob("*.conf"))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_file_that_people_have_given_for_two_routers_has_its_findings(path: Path) -> None:
    nodes = [node_of(file) for file in read_nodes([f"a={path}", f"b={path}"])]
    found = examine(nodes).findings
    assert {"priority-same", "source-twice"} & {one.rule.name for one in found}
    assert all(Path(one.spot.location.file) == path for one in found)


def test_the_list_of_rules_is_the_one_in_the_documentation() -> None:
    shown = ROOT / "docs" / "reference" / "pyvrrp-doctor.md"
    assert shown.read_text() == examination.as_markdown(), (
        "run: .venv/bin/python -m pyvrrp.doctor.examination > docs/reference/pyvrrp-doctor.md"
    )


# --- The command line -------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, content: str) -> str:
    path = folder / f"{name}.conf"
    path.write_text(content)
    return str(path)


def test_the_verb_prints_findings_and_ends_with_the_worst(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path, "lb1", text("lb1")), write(tmp_path, "lb2", text("lb2", {"advert_int 1": "advert_int 2"}))]
    assert cli.main(["doctor", *files]) == 2
    told = capsys.readouterr()
    assert f"{files[1]}:12:5: error: VI_1 has advert_int 2, and VI_1 on lb1 has 1 [interval-differs]" in told.out
    assert "\n        advert_int 2\n        ^\n" in told.out
    assert not told.err
    assert cli.main(["doctor", "--json", *files]) == 2
    told = capsys.readouterr()
    (found,) = json.loads(told.out)["findings"]
    assert (found["rule"], found["node"], found["file"], found["line"]) == ("interval-differs", "lb2", files[1], 12)


def test_what_was_tried_is_told_to_programs_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--json", *(write(tmp_path, name, text(name)) for name in ("lb1", "lb2"))]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["trials"][0] == {
        "router": "VI_1", "down": [], "node": "lb1", "failure": "dies", "masters": ["lb2"], "after": 3.265826,
        "moved": True,
    }  # fmt: skip


def test_a_file_that_is_no_configuration_is_told_with_all_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path, "lb1", "vrrp_instance VI_1 {\n}\n"), write(tmp_path, "lb2", "bfd_instance x {\n}\n")]
    assert cli.main(["doctor", *files, str(tmp_path / "lb3.conf")]) == 2
    told = capsys.readouterr()
    assert all(f"{name}.conf:" in told.err for name in ("lb1", "lb2", "lb3"))
    assert not told.out


def test_what_a_file_accepts_in_a_comment_is_counted_and_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = text("lb2", {"priority 90": "priority 100  # doctor: accept priority-same"})
    (tmp_path / "part.conf").write_text(spoilt)
    files = [write(tmp_path, "lb1", text("lb1")), write(tmp_path, "lb2", "include part.conf\n")]
    assert cli.main(["doctor", *files]) == 0
    assert capsys.readouterr().out.endswith("\n\nnothing to complain of, 1 accepted\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "the following arguments are required: FILE"),
        (["--jsno", "a.conf"], "unrecognized arguments: --jsno"),
        (["a.conf", "a.yaml"], "a.conf and a.yaml would both be called 'a': give them names, as in a=a.conf b=a.yaml"),
        (["l b=a.conf"], "'l b' cannot be the name of a router: letters, digits and _.- as in lb1=a.conf"),
    ],
)
def test_a_line_that_makes_no_sense_is_one_error_and_status_2(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = cli.main(["doctor", *words])
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else -1
    assert status == 2
    assert told in capsys.readouterr().err


def test_a_router_is_called_after_what_is_its_own_in_the_path_of_its_file() -> None:
    def names(*words: str) -> list[str]:
        return [name for name, _ in named(words)]

    assert names("configs/lab/keepalived.a.conf", "configs/lab/keepalived.b.conf") == ["a", "b"]
    assert names("/etc/lb1/keepalived.conf", "/etc/lb2/keepalived.conf") == ["lb1", "lb2"]
    assert names("x/lb.yaml", "y/lb.yaml") == ["x", "y"]
    assert names("x=a.conf", "y=a.conf") == ["x", "y"]
    assert names("dir/lb1.conf") == ["lb1"]
    assert names("a", "b") == ["a", "b"]
    assert names("/etc/keepalived/keepalived.conf") == [os.uname().nodename.partition(".")[0]]


def test_one_file_for_all_routers_is_read_under_each_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = text("lb1", {**MULTICAST, "    priority 100": "@lb1    priority 100\n@lb2    priority 100"})
    path = write(tmp_path, "all", shared)
    assert cli.main(["doctor", f"lb1={path}", f"lb2={path}"]) == 1
    assert "lb2 and lb1 both have priority 100 [priority-same]" in capsys.readouterr().out

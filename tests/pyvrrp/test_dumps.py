"""The dumps have the shape of keepalived 2.2.7's, to the blank; no passwords; a file is whole or the one before.

The golden files are what the real program wrote, with the password masked.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from hakit.whole_file import write_whole
from pyvrrp.model import (
    Authentication,
    AuthType,
    Configuration,
    Dumps,
    Fifo,
    GlobalSettings,
    InitialState,
    Instance,
    NotifyScripts,
    Route,
    Rule,
    Script,
    SyncGroup,
    Tracked,
    TrackerKind,
    TrackFile,
    TrackGroup,
    TrackHttp,
    TrackProcess,
    TrackScript,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    Vmac,
)
from pyvrrp.protocol.states import Backup, Fault, Initialize, Master, State
from pyvrrp.status import shown
from pyvrrp.status.dumps import data_text, parent_text, paths, statistics_text
from pyvrrp.status.json_dump import json_text
from pyvrrp.status.picture import LinkPicture, Picture, RouterPicture, TrackerPicture
from pyvrrp.status.statistics import Statistics

GOLDEN = Path(__file__).parent / "data" / "dumps"
MAC = bytes.fromhex("aab1063f486e")


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def golden(name: str) -> str:
    return (GOLDEN / name).read_text()


def vip(text: str, **options: Any) -> VirtualAddress:
    return VirtualAddress(ip_interface(text), **options)


def notify(*words: str) -> Script:
    return Script(("/etc/keepalived/notify.sh", *words), "root")


def link(name: str, index: int, mac: bytes = b"", *addresses: str, **options: Any) -> LinkPicture:
    return LinkPicture(name, index, True, mac, tuple(map(ip_interface, addresses)), **options)


LO = link("lo", 1, bytes(6), "127.0.0.1/8", "::1/128", mtu=65536, flags=0x49)


@pytest.fixture
def master() -> Picture:
    """What golden dump/ was made of."""
    instance = Instance(
        "VI_1",
        "eth0",
        51,
        priority=150,
        initial_state=InitialState.MASTER,
        authentication=Authentication(AuthType.PASS, b"secret12"),
        addresses=(vip("10.9.0.100/32"), vip("10.9.0.101/24", device="eth0", label="eth0:1")),
        tracked=(Tracked("chk", -60),),
        notify=NotifyScripts(
            master=notify("nm", "two words"),
            backup=notify("nb"),
            fault=notify("nf"),
            stop=notify("ns"),
            any=notify(),
        ),
    )
    command = ("/usr/bin/test", "!", "-e", "/etc/keepalived/fail.a")
    script = TrackScript("chk", Script(command, "root"), weight=-60, rise=2, fall=2)
    settings = GlobalSettings("Ra", script_user="root", script_security=False, vrrp_fifo=Fifo("/etc/keepalived/fifo.a"))
    router = RouterPicture(
        instance,
        Master(advertise_at=4.0),
        150,
        ip_address("10.9.0.1"),
        Statistics(advert_sent=4, become_master=1).as_dict(),
        changed_at=1795374760.629328,
        due_at=1795374764.629823,
        down_after=3.414062,
        held=frozenset(one.interface for one in instance.addresses),
        descriptors=(14, 15),
        script_commands=(shown.command(command),),
    )
    return Picture(
        Configuration((instance,), (script,), settings),
        (router,),
        {(TrackerKind.SCRIPT, "chk"): TrackerPicture(TrackerKind.SCRIPT, "chk", True, 3)},
        (LO, link("eth0", 2, MAC, "10.9.0.1/24", "fe80::a8b1:6ff:fe3f:486e/64")),
    )


@pytest.fixture
def backups() -> Picture:
    """What golden grammar/1 was made of."""
    first = Instance(
        "INC", "eth0", 9, version=3, advert_interval=0.5, addresses=(vip("10.9.0.90/32"),),
    )  # fmt: skip
    second = Instance(
        "VI_1",
        "eth0",
        7,
        priority=77,
        advert_interval=2.0,
        addresses=(vip("10.9.0.70/32"), vip("10.9.0.71/24")),
        excluded=(*(vip(f"10.9.1.{n}/32") for n in (1, 2, 3)), vip("10.9.2.1/32", device="eth0", scope=253)),
        notify=NotifyScripts(any=Script(("/bin/echo", "a b", "c d"), "root")),
    )
    settings = GlobalSettings("my router", script_user="root", script_security=False)
    own = ip_address("10.9.0.1")
    counters = Statistics().as_dict()
    routers = (
        RouterPicture(
            first, Backup(1.0), 100, own, counters, 1795376895.040370, 1795376896.845615, 1.804687, 0.5,
            descriptors=(13, 14),
        ),
        RouterPicture(
            second, Backup(1.0), 77, own, counters, 1795376895.040373, 1795376901.740148, 6.699218, 2.0,
            descriptors=(13, 14),
        ),
    )  # fmt: skip
    links = (
        LO,
        link("p0", 2, bytes.fromhex("fab189336f74"), "fe80::f8b1:89ff:fe33:6f74/64"),
        link("eth0", 3, bytes.fromhex("428506813a51"), "10.9.0.1/24", "fe80::4085:6ff:fe81:3a51/64"),
    )
    return Picture(Configuration((first, second), (), settings), routers, {}, links)


def test_the_data_of_a_master_are_keepalived_s_to_the_blank(master: Picture) -> None:
    assert data_text(master) == golden("dump-keepalived.data")


def test_the_data_of_two_backups_are_keepalived_s_to_the_blank(backups: Picture) -> None:
    # 2.2.7 shows ff02::12 as the master that an IPv4 instance has not heard yet; we show the group of its family.
    assert data_text(backups) == golden("grammar-1.data").replace("ff02::12\n   Master", "224.0.0.18\n   Master")


def test_the_parent_s_data_are_the_global_definitions(master: Picture) -> None:
    assert parent_text(master) == golden("dump-keepalived_parent.data")


def test_the_statistics_are_keepalived_s(master: Picture) -> None:
    assert statistics_text(master) == golden("dump-keepalived.stats")


def test_the_json_of_a_master_is_keepalived_s_to_the_character(master: Picture) -> None:
    assert json_text(master) == golden("dump-keepalived.json")


def test_the_json_of_two_backups_is_keepalived_s_to_the_character(backups: Picture) -> None:
    assert json_text(backups) == golden("grammar-1.json")


def test_no_dump_holds_a_password(master: Picture) -> None:
    for text in (data_text(master), parent_text(master), statistics_text(master), json_text(master)):
        assert "secret12" not in text


def test_json_version_2_has_instances_and_processes(master: Picture) -> None:
    process = TrackProcess("web", ("nginx",))
    settings = GlobalSettings(dumps=Dumps(json_version=2))
    configuration = Configuration(master.configuration.instances, settings=settings, processes=(process,))
    reading = TrackerPicture(TrackerKind.PROCESS, "web", True, 2)
    told = json.loads(json_text(Picture(configuration, master.routers, {(reading.kind, "web"): reading})))
    assert list(told) == ["vrrp", "track_process"]
    assert told["vrrp"] == json.loads(golden("dump-keepalived.json"))
    assert told["track_process"] == [{"name": "web", "have_quorum": True, "num_cur_proc": 2}]


def whole(instance: Instance, state: State, configuration: Configuration | None = None, **more: Any) -> str:
    """The data of one instance with some settings, in one text."""
    router = RouterPicture(instance, state, 100, ip_address("10.9.0.1"), Statistics().as_dict(), 1.0, 2.0, 3.0, **more)
    return data_text(Picture(configuration or Configuration((instance,)), (router,), {}))


def test_what_an_instance_carries_and_tracks_is_worded_as_in_keepalived() -> None:
    instance = Instance(
        "A",
        "eth0",
        1,
        authentication=Authentication(AuthType.AH, b"ahsecret"),
        preempt=False,
        skip_check_addresses=True,
        source=ip_address("10.9.0.1"),
        addresses=(vip("10.9.0.50/24", broadcast=ip_address("10.9.0.255")), vip("10.9.0.51/24", home=True)),
        excluded=(vip("fe80::400/128"), vip("fd00::71/64"), vip("fd00::72/64", preferred_lft=0, dad=True)),
        routes=(
            Route(ip_network("10.60.0.0/16"), "", via=ip_address("10.9.0.2"), device="eth0"),
            Route(ip_network("10.74.0.0/16"), "", kind="blackhole", tracked=False),
            Route(ip_network("0.0.0.0/0"), "", via=ip_address("10.9.0.2"), device="eth0", table=1, onlink=True),
            Route(ip_network("10.73.0.0/16"), "", device="eth0", source=ip_address("10.9.0.1"), scope=253),
        ),
        rules=(Rule(4, "", table=10, source=ip_network("10.60.0.0/16"), priority=200),),
        tracked=(
            Tracked("p0", 5, kind=TrackerKind.INTERFACE),
            Tracked("p1", -3, reverse=True, kind=TrackerKind.INTERFACE),
            Tracked("tf", 4, kind=TrackerKind.FILE),
            Tracked("tp", 3, kind=TrackerKind.PROCESS),
        ),
        notify=NotifyScripts(deleted=Script(("/usr/bin/echo", "d"), "root"), master_rx_lower_pri=Script(("/x",), "0")),
        notify_deleted=True,
        notify_priority_changes=True,
        smtp_alert=True,
        debug=2,
        receive_buffer=65536,
    )
    text = whole(instance, Master(1.0))
    for line in (
        "   Skip checking advert IP addresses",
        "   Using src_ip = 10.9.0.1 (from configuration)",
        "   Preempt = disabled",
        "   Authentication type = IPSEC_AH",
        "   Debug level = 2",
        "     10.9.0.50/24 brd 10.9.0.255 dev eth0 scope global",
        "     10.9.0.51/24 dev eth0 scope global home",
        "     fe80::400 dev eth0 scope global deprecated",
        "     fd00::71/64 dev eth0 scope global preferred_lft forever",
        "     fd00::72/64 dev eth0 scope global -nodad deprecated",
        "   Virtual Routes :",
        "     prepend 10.60.0.0/16 via inet 10.9.0.2 dev eth0 proto 18",
        "     add blackhole 10.74.0.0/16 proto 18 no_track",
        "     prepend 0.0.0.0/0 via inet 10.9.0.2 dev eth0 table 1 proto 18 onlink",
        "     prepend 10.73.0.0/16 src 10.9.0.1 dev eth0 proto 18 scope 253",
        "   Virtual Rules :",
        "     from 10.60.0.0/16 priority 200 tos 0x0 protocol 18 lookup 10",
        "   Tracked interfaces :",
        "     p0 weight 5",
        "     p1 weight -3 reverse",
        "   Tracked files :",
        "     tf, weight 4",
        "   Tracked processes :",
        "     tp, weight 3",
        "   Using smtp notification = yes",
        "   Notify deleted = Deleted",
        "   Deleted state transition script = '/usr/bin/echo' 'd', uid:gid 0:0",
        "   Master rx lower pri state transition script = '/x', uid:gid 0:0",
        "   Notify priority changes = true",
        "   Rx buf size = 65536",
    ):
        assert f"{line}\n" in text, line


def test_unicast_ipv6_and_vmac_are_worded_as_in_keepalived() -> None:
    peers = (UnicastPeer(ip_address("10.9.0.2")), UnicastPeer(ip_address("10.9.0.3"), 3, 254))
    unicast = Instance("C", "eth0", 3, transport=Unicast(peers, ttl=64), check_unicast_source=True)
    text = whole(unicast, Initialize(), undecided=1)
    assert "   Flags:\n     Using unicast\n   Wantstate = BACKUP\n" in text
    assert (
        "   Unicast TTL = 64\n   Check unicast src : yes\n   Unicast Peer :\n     10.9.0.2 min_ttl 0 max_ttl 255\n"
        "     10.9.0.3 min_ttl 3 max_ttl 254\n   Unicast checksum compatibility = no\n"
    ) in text
    assert "   Type = Unicast\n   Address = 10.9.0.1\n" in text
    assert "Multicast address" not in text
    vmac = Instance("B", "eth0", 2, version=3, vmac=Vmac(xmit_base=True), addresses=(vip("10.9.0.60/32"),))
    text = whole(vmac, Fault(frozenset({"x"})), faults=frozenset({"x"}))
    assert "   Use VMAC, i/f name vrrp.2, is_up = false, xmit_base = true\n" in text
    assert "   Interface = vrrp.2, vmac on eth0, xmit base i/f\n" in text
    assert "     10.9.0.60 dev vrrp.2@eth0 scope global\n" in text
    assert "   Number of interface and track script faults = 1\n" in text


def test_who_is_in_fault_wants_to_be_there_unless_its_group_alone_is_why() -> None:
    instance = Instance("A", "eth0", 1)
    own, of_the_group = frozenset({"script chk"}), frozenset({"VRRP_Group(G): B in FAULT"})
    assert "   State = FAULT\n   Flags: none\n   Wantstate = FAULT\n" in whole(instance, Fault(own), faults=own)
    assert "   Wantstate = BACKUP\n" in whole(instance, Fault(of_the_group), faults=of_the_group)
    assert "   Wantstate = FAULT\n" in whole(instance, Fault(own | of_the_group), faults=own | of_the_group)


@pytest.mark.parametrize("state", [Master(1.0), Backup(1.0)])
def test_a_master_without_addresses_has_set_them_all(state: State) -> None:
    instance = Instance("A", "eth0", 1)
    router = RouterPicture(instance, state, 100, ip_address("10.9.0.1"), Statistics().as_dict())
    (told,) = json.loads(json_text(Picture(Configuration((instance,)), (router,), {})))
    assert told["data"]["vipset"] is isinstance(state, Master)


def test_a_rule_for_one_address_shows_no_length_and_a_route_its_source_first() -> None:
    assert shown.rule(Rule(4, "", table=1, source=ip_network("10.9.0.50/32"), priority=9)).startswith(
        "from 10.9.0.50 p"
    )
    route = Route(ip_network("203.0.113.0/24"), "", source=ip_address("10.9.0.50"), via=ip_address("10.9.0.2"))
    assert shown.route(route) == "prepend 203.0.113.0/24 src 10.9.0.50 via inet 10.9.0.2 proto 18"


def test_the_sockets_of_a_vmac_are_on_the_vmac_unless_it_speaks_through_the_interface_below() -> None:
    assert "   Interface = vrrp.2\n   Family" in whole(Instance("B", "eth0", 2, vmac=Vmac()), Backup(1.0))
    assert "   Interface = eth0\n   Family" in whole(Instance("B", "eth0", 2, vmac=Vmac(xmit_base=True)), Backup(1.0))


def test_groups_trackers_and_what_is_static_have_their_sections() -> None:
    instance = Instance("A", "eth0", 1, tracked=(Tracked("tf", 4, kind=TrackerKind.FILE),))
    group = SyncGroup(
        "G", ("A",), (Tracked("p0", 2, kind=TrackerKind.INTERFACE),), NotifyScripts(backup=Script(("/b",), "0")),
        uses_weights=True, smtp_alert=True,
    )  # fmt: skip
    configuration = Configuration(
        (instance,),
        groups=(group,),
        files=(TrackFile("tf", "/f", 2),),
        processes=(TrackProcess("tp", ("nginx", "-g"), parameters="initial", quorum_max=5),),
        urls=(TrackHttp("patroni", "http://127.0.0.1:8008/"),),
        static_addresses=(vip("10.9.5.1/24", device="eth0"),),
        static_rules=(Rule(4, "", table=100, source=ip_network("10.50.0.0/16"), priority=16384),),
        static_routes=(Route(ip_network("10.50.0.0/16"), "", via=ip_address("10.9.0.2"), device="eth0"),),
        track_groups=(TrackGroup("TG", ("A",)),),
    )
    text = whole(instance, Backup(1.0), configuration)
    assert [found.group(1) for found in re.finditer(r"------< (.*) >------", text)] == [
        "Global definitions", "Static Addresses", "Static Routes", "Static Rules", "Static Track groups",
        "VRRP Topology", "VRRP Sockpool", "VRRP Sync groups", "VRRP Track files", "VRRP Track processes",
        "VRRP Track URLs", "Interfaces",
    ]  # fmt: skip
    for block in (
        "     10.9.5.1/24 dev eth0 scope global\n",
        "     from 10.50.0.0/16 priority 16384 tos 0x0 protocol 18 lookup 100\n",
        " Static Track Group = TG\n   VRRP member instances :\n     A\n",
        " VRRP Instance = A\n   VRRP Version = 2\n   Sync group = G\n",
        (
            " VRRP Sync Group = G, INIT\n   Num member fault 0, num member init 0\n   VRRP member instances :\n     A\n"
            "   sync group tracking weight set\n   Using smtp notification = yes\n"
            "   Tracked interfaces :\n     p0 weight 2\n   Backup state transition script = '/b', uid:gid 0:0\n"
        ),
        " Track file = tf\n   File = /f\n   Status = 0\n   Weight = 2\n   Tracking instances :\n     A, weight 4\n",
        (
            " VRRP Track process = tp\n   Process = nginx -g\n   Param match = initial\n   Min processes = 1\n"
            "   Max processes = 5\n   Current processes = 0\n   Have quorum = false\n   Weight = 0\n"
        ),
    ):
        assert block in text, block


# --- A reader in the wild -------------------------------------------------------------------------------------------


@dataclass
class Seen:
    """What mehdy/keepalived-exporter takes from keepalived.data and keepalived.stats, by its own rules."""

    instances: list[dict[str, Any]] = field(default_factory=list)
    scripts: list[dict[str, str]] = field(default_factory=list)


def read_data(text: str) -> Seen:
    """Its rules: one blank before a name, three before a field, five before an address; another line ends the block."""
    seen, block, listing = Seen(), None, None
    for line in text.splitlines():
        if found := re.fullmatch(r"^ VRRP (Instance|Script) = (\S+)$", line):
            block = {"name": found[2], "vips": [], "evips": []}
            (seen.instances if found[1] == "Instance" else seen.scripts).append(block)
        elif block is not None and (found := re.fullmatch(r"^   (Virtual IP)( Excluded)? ?(\(\d+\))? ?:$", line)):
            listing = block["evips" if found[2] else "vips"]
        elif block is not None and listing is not None and re.match(r"^ {5}\S", line):
            words = line.split()
            assert len(words) >= 3
            listing.append((words[0], words[2]))
        elif block is not None and (found := re.match(r"^ {3}([A-Za-z].*?) (?:=|:) ?(.*)$", line)):
            listing = None
            block.setdefault(found[1], found[2])
    return seen


def read_statistics(text: str) -> list[dict[str, int]]:
    """Its rules: no blank before an instance, two before a section, four before a value; every value is an integer."""
    all_: list[dict[str, int]] = []
    section = ""
    for line in text.splitlines():
        if found := re.fullmatch(r"^VRRP Instance: (.+)$", line):
            all_.append({})
        elif found := re.fullmatch(r"^  ([A-Z][^:]*): (\d+)$", line):
            all_[-1][found[1]] = int(found[2])
        elif found := re.fullmatch(r"^  ([A-Z][^:]*):$", line):
            section = found[1]
        else:
            found = re.fullmatch(r"^    ([A-Z][^:]*): (\d+)$", line)
            assert found is not None, line
            all_[-1][f"{section} {found[1]}"] = int(found[2])
    return all_


def test_the_exporter_of_mehdy_reads_our_files(master: Picture, backups: Picture) -> None:
    seen = read_data(data_text(master))
    (instance,) = seen.instances
    assert [instance[name] for name in ("name", "State", "Wantstate", "Interface", "Gratuitous ARP delay")] == [
        "VI_1", "MASTER", "MASTER", "eth0", "5",
    ]  # fmt: skip
    assert instance["Virtual Router ID"] == "51"
    assert instance["vips"] == [("10.9.0.100", "eth0"), ("10.9.0.101/24", "eth0")]
    assert [(script["name"], script["Status"], script["State"]) for script in seen.scripts] == [("chk", "GOOD", "idle")]
    assert [len(one["evips"]) for one in read_data(data_text(backups)).instances] == [0, 4]
    (counted,) = read_statistics(statistics_text(master))
    assert counted["Advertisements Sent"] == 4
    assert counted["Became master"] == 1
    assert len(counted) == 14
    (told,) = json.loads(json_text(master))
    assert type(told["data"]["garp_delay"]) is int
    assert [vip.split()[2] for vip in told["data"]["vips"]] == ["eth0", "eth0"]


# --- Files ----------------------------------------------------------------------------------------------------------


def test_a_dump_replaces_the_one_before_in_one_step_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keepalived.json"
    before = os.umask(0)
    try:
        write_whole(path, "old")
        reader = path.open()
        write_whole(path, "new")
    finally:
        os.umask(before)
    with reader:
        assert reader.read() == "old"  # who reads at that moment reads the whole of the old one
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["keepalived.json"]


def test_a_link_in_the_place_of_a_dump_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "keepalived.data").symlink_to(victim)
    write_whole(tmp_path / "keepalived.data", "dump")
    assert victim.read_text() == "mine"
    assert not (tmp_path / "keepalived.data").is_symlink()


def test_a_full_disk_leaves_the_dump_before_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keepalived.data"
    write_whole(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fchmod", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["keepalived.data"]


def test_dumps_go_to_tmpdir_or_where_the_configuration_says(master: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert paths(master)["data"] == Path("/tmp/keepalived.data")  # noqa: S108 - clients look there
    monkeypatch.setenv("TMPDIR", "/run/x")
    assert paths(master)["json"] == Path("/run/x/keepalived.json")
    configured = Configuration((), settings=GlobalSettings(dumps=Dumps("/d", "/s", "/j")))
    there = paths(Picture(configured, (), {}))
    assert [str(there[name]) for name in ("data", "parent", "stats", "json")] == [
        "/d", "/run/x/keepalived_parent.data", "/s", "/j",
    ]  # fmt: skip

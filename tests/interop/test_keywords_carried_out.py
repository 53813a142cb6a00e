"""Keywords of tiers 1 and 2 that no scenario of the reference needs: what they do, seen from outside, on both programs.

Each test runs once with ours and once with the real keepalived, which says that the expectation is the original's own.
"""

from __future__ import annotations

import signal
from itertools import pairwise
from pathlib import Path

import pytest
from vrrp_pair import ADDRESSES, PAIRS, VIP, Lan, Pair, forged, instance, whole

from halab.wait import hold, poll

pytestmark = [pytest.mark.interop, pytest.mark.netns, pytest.mark.timeout(60)]

on_each = pytest.mark.parametrize("program", ["pyvrrp", "keepalived"])
PROBE = "10.88.2.66"
SECOND = "10.88.2.60"
FIFO = "/tmp/vrrp.fifo"  # noqa: S108 - the host's own
TIME = "frame.time_epoch"
TOLD = "/tmp/told"  # noqa: S108
CHECK = {"check.sh": "#!/bin/sh\ntest ! -e /run/fail\n"}
TELL = {"tell.sh": f'#!/bin/sh\necho "$(id -un) $*" >>{TOLD}\n'}


def block(kind: str, name: str, *lines: str) -> str:
    return f"{kind} {name} {{\n" + "\n".join(lines) + "\n}"


def file_of(lan: Lan, path: str, name: str = "left") -> list[str]:
    file = lan.host(name).path(path)
    return file.read_text().splitlines() if file.exists() else []


def until_line(lan: Lan, path: str, line: str, times: int = 1) -> None:
    poll(lambda: file_of(lan, path).count(line) >= times, 5, f"{times} times '{line}' in {path}")


def second_link(lan: Lan) -> None:
    """A link of its own beside eth0, which may go down alone."""
    for words in ("link add mv0 link eth0 type macvlan", "link set mv0 up"):
        lan.host("left").run(["ip", *words.split()]).check()


# --- Where and how it speaks ------------------------------------------------------------------------------------------


@on_each
def test_unicast_ttl_is_that_of_what_is_sent(program: str, tmp_path: Path) -> None:
    peer = f"unicast_src_ip {ADDRESSES['left']}\n unicast_ttl 77\n unicast_peer {{\n {ADDRESSES['right']}\n }}"
    with Pair(tmp_path) as lan:
        lan.start("left", program, whole(instance(100, peer)))
        lan.until_held_by("left", within=5)
        poll(lambda: len(lan.adverts("left")) >= 3, 3, "advertisements")
        ways = {(one.ttl, one.destination) for one in lan.adverts("left")}
        assert ways == {(77, ADDRESSES["right"])}


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_unicast_peer_min_ttl_and_max_ttl_say_how_far_away_a_peer_may_be(left: str, right: str, tmp_path: Path) -> None:
    def to_peer(own: str, peer: str, ttl: int, options: str) -> str:
        lines = f"unicast_ttl {ttl}\n unicast_peer {{\n {ADDRESSES[peer]} {options}\n }}"
        return f"unicast_src_ip {ADDRESSES[own]}\n {lines}"

    near, far = "min_ttl 254 max_ttl 255", "min_ttl 60 max_ttl 80"  # 77 is within the second
    with Pair(tmp_path) as lan:
        lan.start("left", left, whole(instance(200, to_peer("left", "right", 77, near))))
        lan.until_held_by("left", within=5)
        lan.start("right", right, whole(instance(100, to_peer("right", "left", 255, far))))
        lan.until_log("right", "Entering BACKUP STATE")
        hold(lambda: lan.watch.holders(VIP) == {"left"}, 1.5, "the peer is heard")
        lan.speakers["right"].stop()
        lan.start("right", right, whole(instance(100, to_peer("right", "left", 255, "min_ttl 78 max_ttl 90"))))
        lan.until_held_by("left", "right", within=5)


@on_each
def test_mcast_src_ip_is_the_source_of_advertisements(program: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        lan.host("left").run(["ip", "address", "add", f"{SECOND}/24", "dev", "eth0"]).check()
        lan.start("left", program, whole(instance(200, f"mcast_src_ip {SECOND}")))
        lan.until_held_by("left", within=5)
        poll(lambda: len(lan.adverts()) >= 3, 3, "advertisements")
        assert {one.source for one in lan.adverts()} == {SECOND}


@on_each
def test_vrrp_version_holds_for_instances_that_say_nothing(program: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        text = instance(200, interval=1).replace("version 3", "")
        lan.start("left", program, whole(text, settings="vrrp_version 3"))
        lan.until_held_by("left", within=6)
        assert lan.until_advert(lambda one: True, 3, "left").version == 3


def test_default_interface_is_that_of_an_instance_that_names_none(tmp_path: Path) -> None:
    """keepalived 2.2.7 ends with 'Unknown interface!' whatever its manual says."""
    with Pair(tmp_path) as lan:
        text = instance(200).replace("interface eth0", "")
        lan.start("left", "pyvrrp", whole(text, settings="default_interface eth0"))
        lan.until_held_by("left", within=5)
        lan.until_advert(lambda one: one.priority == 200, 2, "left")


# --- Gratuitous ARP and unsolicited NA --------------------------------------------------------------------------------


@on_each
def test_vrrp_min_garp_means_one_gratuitous_arp_and_no_second_burst(program: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        lan.start("left", program, whole(instance(255), settings="vrrp_min_garp"))
        lan.until_held_by("left", within=4)
        poll(lambda: len(lan.gratuitous_arps()) == 1, 3, "the one")
        hold(lambda: len(lan.gratuitous_arps()) == 1, 5.5, "no second one, which would come after 5 s")


@pytest.mark.parametrize("keyword", ["vrrp_garp_interval", "vrrp_gna_interval"])
def test_vrrp_garp_interval_and_vrrp_gna_interval_space_announcements(keyword: str, tmp_path: Path) -> None:
    """keepalived 2.2.7 spaces them as well, but sends two of five: its queue then stands still."""
    addresses = (f"{VIP}/24",) if "garp" in keyword else ("fe80::50/64",)
    display = "arp.isgratuitous == 1" if "garp" in keyword else "icmpv6.type == 136 and ipv6.dst == ff02::1"
    with Pair(tmp_path) as lan:
        settings = f"{keyword} 0.2\n vrrp_garp_master_delay 0\n vrrp_garp_master_repeat 4"
        lan.start("left", "pyvrrp", whole(instance(255, addresses=addresses), settings=settings))
        times = poll(lambda: announced(lan, display, 4), 8, "four announcements")
        assert all(0.15 <= later - earlier <= 0.4 for earlier, later in pairwise(times)), times


def announced(lan: Lan, display: str, count: int) -> list[float] | None:
    """When the first ``count`` packets that pass a display filter left the host on the left."""
    own = lan.lab["left"].run(["cat", "/sys/class/net/eth0/address"]).output.strip()
    times = [float(one["frame.time_epoch"]) for one in lan.by_tshark(f"{display} and eth.src == {own}", TIME)]
    return times[:count] if len(times) >= count else None


# --- What is told -----------------------------------------------------------------------------------------------------


@on_each
def test_notify_master_rx_lower_pri_runs_when_a_master_hears_a_lower_priority(program: str, tmp_path: Path) -> None:
    tell = 'notify_master_rx_lower_pri "/usr/local/bin/tell.sh lower"'
    with Lan(tmp_path, {"left": ADDRESSES["left"], "probe": PROBE}) as lan:
        lan.listen_to_fifo("left", FIFO)
        lan.start("left", program, whole(instance(200, tell), settings=f"vrrp_notify_fifo {FIFO}"), TELL)
        lan.until_held_by("left", within=5)
        lan.send_raw("probe", forged(PROBE, 50))
        until_line(lan, TOLD, "root lower")
        until_line(lan, f"{FIFO}.log", 'INSTANCE "VI_1" MASTER_RX_LOWER_PRI 200')


@pytest.mark.parametrize("which", ["notify_fifo", "vrrp_notify_fifo"])
@on_each
def test_a_fifo_s_script_gets_its_path_as_last_argument(program: str, which: str, tmp_path: Path) -> None:
    reader = {"read.sh": f'#!/bin/sh\necho "$*" >{TOLD}\nexec cat "$2" >>{TOLD}\n'}
    settings = f'{which} {FIFO}\n {which}_script "/usr/local/bin/read.sh first"'
    with Pair(tmp_path) as lan:
        lan.start("left", program, whole(instance(200), settings=settings), reader)
        lan.until_held_by("left", within=5)
        until_line(lan, TOLD, 'INSTANCE "VI_1" MASTER 200')
        assert file_of(lan, TOLD)[:2] == [f"first {FIFO}", 'INSTANCE "VI_1" BACKUP 200']


def test_fifo_write_vrrp_states_on_reload_writes_them_again(tmp_path: Path) -> None:
    """As keepalived.conf(5) has it; keepalived 2.2.7 writes nothing of a master that stays one."""
    text = whole(instance(200), settings=f"vrrp_notify_fifo {FIFO}\n fifo_write_vrrp_states_on_reload")
    with Pair(tmp_path) as lan:
        lan.listen_to_fifo("left", FIFO)
        lan.start("left", "pyvrrp", text)
        lan.until_held_by("left", within=5)
        until_line(lan, f"{FIFO}.log", 'INSTANCE "VI_1" MASTER 200')
        lan.signal("left", signal.SIGHUP)
        until_line(lan, f"{FIFO}.log", 'INSTANCE "VI_1" MASTER 200', times=2)


@on_each
def test_vrrp_notify_priority_changes_are_told_on_the_fifo(program: str, tmp_path: Path) -> None:
    check = block("vrrp_script", "check", 'script "/usr/local/bin/check.sh"', "interval 1", "weight -60")
    text = whole(
        check,
        instance(150, "track_script {\n check\n }"),
        settings=f"vrrp_notify_fifo {FIFO}\n vrrp_notify_priority_changes yes",
    )
    with Pair(tmp_path) as lan:
        lan.listen_to_fifo("left", FIFO)
        lan.start("left", program, text, CHECK)
        lan.until_held_by("left", within=5)
        lan.host("left").write_file("/run/fail", "")
        until_line(lan, f"{FIFO}.log", 'INSTANCE "VI_1" MASTER_PRIORITY 90')


@on_each
def test_script_user_and_a_script_s_own_user_run_scripts(program: str, tmp_path: Path) -> None:
    run = block("vrrp_script", "check", 'script "/usr/local/bin/tell.sh check"', "interval 1", "user daemon daemon")
    notify = 'notify_backup "/usr/local/bin/tell.sh backup"\n notify_master "/usr/local/bin/tell.sh master" daemon'
    text = whole(run, instance(200, f"{notify}\n track_script {{\n check\n }}"), settings="")
    with Pair(tmp_path) as lan:
        lan.host("left").write_file(TOLD, "", 0o666)
        lan.start("left", program, text.replace("script_user root", "script_user nobody"), TELL)
        for line in ("daemon check", "nobody backup", "daemon master"):
            until_line(lan, TOLD, line)


# --- What is tracked --------------------------------------------------------------------------------------------------


@on_each
def test_track_interface_with_a_weight_moves_the_priority(program: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        second_link(lan)
        tracked = "track_interface {\n mv0 weight -40\n }"
        lan.start("left", program, whole(instance(150, tracked)))
        lan.until_held_by("left", within=5)
        lan.host("left").run(["ip", "link", "set", "mv0", "down"]).check()
        lan.until_log("left", "(VI_1) Changing effective priority from 150 to 110")
        lan.until_advert(lambda one: one.priority == 110, 2, "left")
        lan.host("left").run(["ip", "link", "set", "mv0", "up"]).check()
        lan.until_log("left", "(VI_1) Changing effective priority from 110 to 150")


@on_each
def test_dont_track_primary_keeps_a_master_whose_interface_is_down(program: str, tmp_path: Path) -> None:
    with Pair(tmp_path) as lan:
        lan.start("left", program, whole(instance(200, "dont_track_primary")))
        lan.until_held_by("left", within=5)
        lan.host("left").run(["ip", "link", "set", "eth0", "down"]).check()
        hold(lambda: "Entering FAULT STATE" not in lan.log("left"), 1, "no fault")


@pytest.mark.parametrize("keyword", ["", "sync_group_tracking_weight", "global_tracking"])
@on_each
def test_sync_group_tracking_weight_lets_weights_of_members_count(program: str, keyword: str, tmp_path: Path) -> None:
    check = block("vrrp_script", "check", 'script "/usr/local/bin/check.sh"', "interval 1", "weight -60")
    group = block("vrrp_sync_group", "G1", "group {", "VI_1", "VI_2", "}", keyword)
    first = instance(150, "track_script {\n check\n }")
    second = instance(150, name="VI_2", vrid=52, addresses=(f"{SECOND}/24",))
    with Pair(tmp_path) as lan:
        lan.host("left").write_file("/run/fail", "")
        lan.start("left", program, whole(check, group, first, second), CHECK)
        lan.until_held_by("left", within=8)
        told = (
            "VRRP_Script(check) failed" if keyword else "ignoring tracked script check with weights due to SYNC group"
        )
        lan.until_log("left", told)
        expected = 90 if keyword else 150
        lan.until_advert(lambda one: (one.vrid, one.priority) == (51, expected), 3, "left")
        hold(lambda: {one.priority for one in lan.adverts("left")[-4:]} <= {expected, 150}, 1, "its priority")


@pytest.mark.parametrize(
    ("program", "word", "runs"), [("pyvrrp", "", 1), ("keepalived", "", 1), ("pyvrrp", "init_fail", 3)]
)
def test_with_init_fail_a_script_has_to_succeed_rise_times_at_the_start(
    program: str, word: str, runs: int, tmp_path: Path
) -> None:
    """keepalived 2.2.7 forgets init_fail as soon as an instance tracks the script: there one success is enough."""
    check = block("vrrp_script", "check", 'script "/bin/true"', "interval 1", "rise 3", "weight 50", word)
    with Pair(tmp_path) as lan:
        lan.start("left", program, whole(check, instance(150, "track_script {\n check\n }")))
        raised = lan.until_advert(lambda one: one.priority == 200, 5, "left")
        assert (raised.at - lan.joined_at("left") > 1.5) == (runs == 3)


def test_vrrp_track_process_delays_what_it_has_seen(tmp_path: Path) -> None:
    """keepalived cannot follow processes inside a namespace: the kernel's process connector is refused to it there."""
    lines = ("process sleep 3599", "param_match initial", "weight 20", "fork_delay 1", "terminate_delay 1")
    text = whole(block("vrrp_track_process", "sleeper", *lines), instance(150, "track_process {\n sleeper\n }"))
    with Pair(tmp_path) as lan:
        lan.start("left", "pyvrrp", text)
        lan.until_held_by("left", within=5)
        sleeper = lan.host("left").spawn(["sleep", "3599.5"])
        hold(lambda: 170 not in {one.priority for one in lan.adverts("left")}, 0.7, "fork_delay")
        lan.until_advert(lambda one: one.priority == 170, 2, "left")
        lan.host("left").run(["kill", str(sleeper.pid)]).check()
        hold(lambda: lan.adverts("left")[-1].priority == 170, 0.7, "terminate_delay")
        poll(lambda: lan.adverts("left")[-1].priority == 150, 2, "the priority without it")

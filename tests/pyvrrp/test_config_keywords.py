"""Every keyword of an instance, a group and a tracker reaches the model: reference 1.1 and 1.2, row by row."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network
from typing import Any

import pytest

from hakit.diagnostics import ConfigError
from pyvrrp.config.group_block import TABLE as GROUP
from pyvrrp.config.instance_block import TABLE as INSTANCE
from pyvrrp.config.keepalived import TABLE as ROOT
from pyvrrp.config.load import read
from pyvrrp.config.script_block import TABLE as SCRIPT
from pyvrrp.config.tracker_blocks import FILE, PROCESS
from pyvrrp.model import (
    Authentication,
    AuthType,
    Configuration,
    GratuitousArp,
    HmacMode,
    InitialState,
    Multicast,
    Script,
    Settling,
    Spacing,
    Tracked,
    TrackerKind,
    TrackGroup,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    Vmac,
)

TRACKERS = """
vrrp_script s {
 script "/s"
 weight 3 reverse
}
track_file f {
 file /f
}
vrrp_track_process p {
 process haproxy
 weight 4
}
vrrp_track_http h {
 url http://127.0.0.1:8008/health
 weight 5
}
"""
REQUIRED = " interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n  10.9.0.100\n }\n"
KEY = "00" * 32


def configuration(text: str) -> Configuration:
    return read(text.encode(), "k.conf").configuration


def instance(lines: str, required: str = REQUIRED) -> Any:
    return configuration(f"{TRACKERS}vrrp_instance V {{\n{required}{lines}\n}}\n").instances[0]


def script(word: str) -> Script:
    return Script((word,))


def nowhere(found: Script) -> Script:
    return Script(found.words, found.user, found.group)


PEERS = " unicast_peer {\n  10.9.0.2\n }\n"
ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("state", " state MASTER", {"initial_state": InitialState.MASTER, "priority": 255}),
    ("interface", " interface eth7", {"interface": "eth7"}),
    ("virtual_router_id", " virtual_router_id 7", {"virtual_router_id": 7}),
    ("priority", " priority 150", {"priority": 150}),
    ("advert_int", " advert_int 3", {"advert_interval": 3.0}),
    ("advert_int", " version 3\n advert_int 0.25", {"advert_interval": 0.25}),
    (
        "authentication",
        " authentication {\n  auth_type PASS\n  auth_pass x\n }",
        {"authentication": Authentication(AuthType.PASS, b"x")},
    ),
    (
        "authentication",
        " authentication {\n  auth_type AH\n  auth_pass x\n }",
        {"authentication": Authentication(AuthType.AH, b"x")},
    ),
    ("virtual_ipaddress", "", {"addresses": (VirtualAddress(ip_interface("10.9.0.100/32")),), "family": 4}),
    (
        "virtual_ipaddress_excluded",
        " virtual_ipaddress_excluded {\n  fd00::1/64\n }",
        {"excluded": (VirtualAddress(ip_interface("fd00::1/64")),), "family": 4},
    ),
    ("nopreempt", " nopreempt", {"preempt": False}),
    ("preempt_delay", " preempt_delay 2.5", {"preempt_delay": 2.5}),
    ("vip_lease", "", {"vip_lease": 3}),
    ("vip_lease", " vip_lease 10", {"vip_lease": 10}),
    ("vip_lease", " vip_lease off", {"vip_lease": None}),
    ("version", " version 3", {"version": 3}),
    (
        "unicast_peer",
        " unicast_peer {\n  10.9.0.2 min_ttl 3 max_ttl 250\n  10.9.0.3\n }",
        {
            "transport": Unicast((UnicastPeer(IPv4Address("10.9.0.2"), 3, 250), UnicastPeer(IPv4Address("10.9.0.3")))),
            "check_unicast_source": True,
        },
    ),
    ("unicast_src_ip", PEERS + " unicast_src_ip 10.9.0.1", {"source": IPv4Address("10.9.0.1")}),
    ("mcast_src_ip", " mcast_src_ip 10.9.0.1", {"source": IPv4Address("10.9.0.1"), "transport": Multicast()}),
    ("unicast_ttl", PEERS + " unicast_ttl 7", {"transport": Unicast((UnicastPeer(IPv4Address("10.9.0.2")),), 7)}),
    ("unicast_fault_no_peer", " unicast_fault_no_peer", {"transport": Unicast((), 255, fault_no_peer=True)}),
    ("check_unicast_src", PEERS + " check_unicast_src", {"check_unicast_source": True}),
    ("old_unicast_checksum", PEERS + " old_unicast_checksum", {"old_unicast_checksum": True}),
    ("old_unicast_checksum", PEERS + " old_unicast_checksum never", {"old_unicast_checksum": False}),
    ("skip_check_adv_addr", " skip_check_adv_addr", {"skip_check_addresses": True}),
    ("lower_prio_no_advert", " lower_prio_no_advert", {"answers_lower_priority": False}),
    ("higher_prio_send_advert", "", {"answers_higher_priority": None}),
    ("higher_prio_send_advert", " higher_prio_send_advert on", {"answers_higher_priority": True}),
    ("higher_prio_send_advert", " higher_prio_send_advert off", {"answers_higher_priority": False}),
    ("higher_prio_send_advert", " strict_mode", {"answers_higher_priority": False}),
    ("dont_track_primary", " dont_track_primary", {"track_primary": False}),
    ("track_src_ip", " track_src_ip\n mcast_src_ip 10.9.0.1", {"track_source": True}),
    ("use_vmac", " use_vmac", {"vmac": Vmac()}),
    ("use_vmac", " use_vmac vrrp9 02:00:00:00:07", {"vmac": Vmac("vrrp9", b"\x02\x00\x00\x00\x07\x33")}),
    ("vmac_xmit_base", " use_vmac\n vmac_xmit_base", {"vmac": Vmac(xmit_base=True)}),
    ("notify_priority_changes", " notify_priority_changes yes", {"notify_priority_changes": True}),
    ("notify_deleted", " notify_deleted", {"notify_deleted": True}),
    ("smtp_alert", " smtp_alert", {"smtp_alert": True}),
    ("track_interface", " track_interface {\n  eth1\n }", {"tracked": (Tracked("eth1", kind=TrackerKind.INTERFACE),)}),
    (
        "track_interface",
        " track_interface {\n  eth1 weight -5 reverse\n }",
        {"tracked": (Tracked("eth1", -5, reverse=True, kind=TrackerKind.INTERFACE),)},
    ),
    ("track_script", " track_script {\n  s\n }", {"tracked": (Tracked("s", 3, reverse=True),)}),
    ("track_script", " track_script {\n  s weight -7 noreverse\n }", {"tracked": (Tracked("s", -7),)}),
    ("track_file", " track_file {\n  f\n }", {"tracked": (Tracked("f", 1, kind=TrackerKind.FILE),)}),
    ("track_file", " track_file {\n  f weight 254\n }", {"tracked": (Tracked("f", 254, kind=TrackerKind.FILE),)}),
    ("track_process", " track_process {\n  p\n }", {"tracked": (Tracked("p", 4, kind=TrackerKind.PROCESS),)}),
    ("track_http", " track_http {\n  h\n }", {"tracked": (Tracked("h", 5, kind=TrackerKind.HTTP),)}),
    ("garp_master_delay", " garp_master_delay 1", {"garp": GratuitousArp(delay=1)}),
    ("garp_master_repeat", " garp_master_repeat 2", {"garp": GratuitousArp(2)}),
    ("garp_master_refresh", " garp_master_refresh 3", {"garp": GratuitousArp(refresh=3)}),
    ("garp_master_refresh_repeat", " garp_master_refresh_repeat 4", {"garp": GratuitousArp(refresh_repeat=4)}),
    ("garp_lower_prio_delay", " garp_lower_prio_delay 6", {"garp": GratuitousArp(lower_prio_delay=6)}),
    ("garp_lower_prio_repeat", " garp_lower_prio_repeat 7", {"garp": GratuitousArp(lower_prio_repeat=7)}),
    # Tier 3.
    ("native_ipv6", " no_virtual_ipaddress\n native_ipv6", {"family": 6, "version": 3}),
    ("strict_mode", " strict_mode", {"strict": True, "accept": False, "answers_lower_priority": False}),
    ("accept", " no_accept\n accept", {"accept": True}),
    ("no_accept", " no_accept", {"accept": False}),
    ("preempt", " nopreempt\n preempt", {"preempt": True}),
    ("mcast_dst_ip", " mcast_dst_ip 239.1.2.3", {"transport": Multicast(IPv4Address("239.1.2.3"))}),
    ("v3_checksum_as_v2", " version 3\n v3_checksum_as_v2", {"checksum_as_v2": True}),
    ("owner_ignore_adverts", " priority 255\n owner_ignore_adverts", {"owner_ignores_adverts": True}),
    ("down_timer_adverts", " down_timer_adverts 4", {"down_timer_adverts": 4}),
    ("timer_expired_backup", " nopreempt\n timer_expired_backup 1.5", {"timer_expired_backup": 1.5}),
    ("thread_timer_expired", " nopreempt\n thread_timer_expired 2", {"timer_expired_backup": 2.0}),
    ("use_vmac_addr", " use_vmac_addr", {"vmac": Vmac(addresses_only=True)}),
    ("promote_secondaries", " promote_secondaries", {"promote_secondaries": True}),
    ("no_virtual_ipaddress", " no_virtual_ipaddress", {"family": 4}),
    ("kernel_rx_buf_size", " kernel_rx_buf_size 4096", {"receive_buffer": 4096}),
    ("debug", " debug 2", {"debug": 2}),
    ("garp_extra_if", " garp_extra_if all 60", {"garp": GratuitousArp(extra_interface=60.0)}),
    ("vmac_garp_intvl", " vmac_garp_intvl 60", {"garp": GratuitousArp(extra_interface=60.0)}),
    ("linkbeat_use_polling", " linkbeat_use_polling", {}),
]
ELSEWHERE = {"virtual_routes", "virtual_rules", "auth_hmac", "use_ipvlan", "vrf", "track_bfd"}
NOTIFY = [name for name in INSTANCE.keywords if name == "notify" or name.startswith("notify_")]


@pytest.mark.parametrize(("name", "lines", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_a_keyword_of_vrrp_instance_reaches_the_model(name: str, lines: str, expected: dict[str, Any]) -> None:
    required = REQUIRED.replace(" virtual_ipaddress {\n  10.9.0.100\n }\n", "") if "no_virtual" in lines else REQUIRED
    found = instance(lines, required)
    assert {key: getattr(found, key) for key in expected} == expected


@pytest.mark.parametrize("name", [name for name in NOTIFY if "changes" not in name])
def test_a_script_of_an_instance_is_told(name: str) -> None:
    found = instance(f' {name} "/n x" u g').notify
    kind = name.removeprefix("notify").removeprefix("_") or "any"
    assert nowhere(getattr(found, kind)) == Script(("/n", "x"), "u", "g")


def test_every_keyword_of_an_instance_has_a_test_that_names_it() -> None:
    assert INSTANCE.keywords.keys() == {row[0] for row in ROWS} | ELSEWHERE | set(NOTIFY)


@pytest.mark.parametrize("lines", [" use_ipvlan", " vrf red", " track_bfd {\n  b\n }"])
def test_what_would_make_two_masters_if_it_were_left_out_is_refused(lines: str) -> None:
    with pytest.raises(ConfigError, match="is not supported"):
        instance(lines)


GROUP_ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("group", "", {"members": ("V", "W")}),
    ("track_script", " track_script {\n  s\n }", {"tracked": (Tracked("s", 3, reverse=True),)}),
    ("track_interface", " track_interface {\n  e\n }", {"tracked": (Tracked("e", kind=TrackerKind.INTERFACE),)}),
    ("track_file", " track_file {\n  f weight 2\n }", {"tracked": (Tracked("f", 2, kind=TrackerKind.FILE),)}),
    ("track_process", " track_process {\n  p\n }", {"tracked": (Tracked("p", 4, kind=TrackerKind.PROCESS),)}),
    ("track_http", " track_http {\n  h\n }", {"tracked": (Tracked("h", 5, kind=TrackerKind.HTTP),)}),
    ("smtp_alert", " smtp_alert on", {"smtp_alert": True}),
    ("notify_priority_changes", " notify_priority_changes", {"notify_priority_changes": True}),
    ("global_tracking", " global_tracking", {"uses_weights": True}),
    ("sync_group_tracking_weight", " sync_group_tracking_weight", {"uses_weights": True}),
]


def group(lines: str, members: str = "group { V W }") -> Any:
    second = REQUIRED.replace("51", "52")
    text = f"{TRACKERS}vrrp_sync_group G {{\n {members}\n{lines}\n}}\n"
    return configuration(f"{text}vrrp_instance V {{\n{REQUIRED}}}\nvrrp_instance W {{\n{second}}}\n").groups[0]


@pytest.mark.parametrize(("name", "lines", "expected"), GROUP_ROWS, ids=[row[0] for row in GROUP_ROWS])
def test_a_keyword_of_vrrp_sync_group_reaches_the_model(name: str, lines: str, expected: dict[str, Any]) -> None:
    found = group(lines)
    assert {key: getattr(found, key) for key in expected} == expected
    assert group("", "group {\n  V\n  W\n }").members == ("V", "W")


@pytest.mark.parametrize("name", [name for name in GROUP.keywords if "notify" in name and "changes" not in name])
def test_a_script_of_a_group_is_told(name: str) -> None:
    kind = name.removeprefix("notify").removeprefix("_") or "any"
    assert nowhere(getattr(group(f" {name} /n").notify, kind)) == script("/n")


def test_track_bfd_of_a_group_is_refused() -> None:
    with pytest.raises(ConfigError, match="track_bfd is not supported"):
        group(" track_bfd {\n  b\n }")


TRACKER_ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("vrrp_script", "script", ' script "/c x"', {}),
    ("vrrp_script", "interval", " script /c\n interval 0.5", {"interval": 0.5}),
    ("vrrp_script", "timeout", " script /c\n timeout 3", {"timeout": 3.0}),
    ("vrrp_script", "weight", " script /c\n weight -7 reverse", {"weight": -7, "reverse": True}),
    ("vrrp_script", "rise", " script /c\n rise 2", {"rise": 2}),
    ("vrrp_script", "fall", " script /c\n fall 3", {"fall": 3}),
    ("vrrp_script", "user", " script /c\n user u g", {}),
    ("vrrp_script", "init_fail", " script /c\n init_fail", {"init_fail": True}),
    ("track_file", "file", ' file "/a b"', {"path": "/a b", "weight": 1, "initial": None}),
    ("track_file", "weight", " file /a\n weight 3 reverse", {"weight": 3, "reverse": True}),
    ("track_file", "init_file", " file /a\n init_file", {"initial": 0, "overwrite": False}),
    ("track_file", "init_file", " file /a\n init_file 7 overwrite", {"initial": 7, "overwrite": True}),
    ("vrrp_track_file", "file", " file /a", {"path": "/a", "weight": 1}),
    ("vrrp_track_process", "process", ' process "/a b" x', {"words": ("/a b", "x"), "parameters": "exact"}),
    ("vrrp_track_process", "param_match", " process a b\n param_match initial", {"parameters": "initial"}),
    ("vrrp_track_process", "weight", " process a\n weight -254", {"weight": -254}),
    ("vrrp_track_process", "quorum", " process a\n quorum 2", {"quorum": 2}),
    ("vrrp_track_process", "quorum_max", " process a\n quorum_max 0", {"quorum": 0, "quorum_max": 0}),
    ("vrrp_track_process", "delay", " process a\n delay 0.5", {"fork_delay": 0.5, "terminate_delay": 0.5}),
    ("vrrp_track_process", "terminate_delay", " process a\n terminate_delay 1", {"terminate_delay": 1.0}),
    ("vrrp_track_process", "fork_delay", " process a\n fork_delay 1", {"fork_delay": 1.0, "terminate_delay": 0.0}),
    ("vrrp_track_process", "full_command", " process a\n full_command", {"full_command": True}),
    ("vrrp_track_http", "url", " url https://[::1]:8443/x", {"url": "https://[::1]:8443/x", "method": "GET"}),
    ("vrrp_track_http", "status", " url http://1.2.3.4/\n status 200 301-302", {"statuses": ((200, 200), (301, 302))}),
    ("vrrp_track_http", "method", " url http://1.2.3.4/\n method HEAD", {"method": "HEAD"}),
    ("vrrp_track_http", "interval", " url http://1.2.3.4/\n interval 0.5", {"interval": 0.5}),
    ("vrrp_track_http", "timeout", " url http://1.2.3.4/\n timeout 0.5", {"timeout": 0.5}),
    ("vrrp_track_http", "weight", " url http://1.2.3.4/\n weight -5", {"weight": -5}),
    ("vrrp_track_http", "rise", " url http://1.2.3.4/\n rise 2", {"rise": 2}),
    ("vrrp_track_http", "fall", " url http://1.2.3.4/\n fall 2", {"fall": 2}),
    ("vrrp_track_http", "init_fail", " url http://1.2.3.4/\n init_fail", {"init_fail": True}),
]


@pytest.mark.parametrize(
    ("block", "name", "lines", "expected"), TRACKER_ROWS, ids=[f"{row[0]}.{row[1]}" for row in TRACKER_ROWS]
)
def test_a_keyword_of_a_tracker_reaches_the_model(block: str, name: str, lines: str, expected: dict[str, Any]) -> None:
    kind = block.removeprefix("vrrp_").replace("script", "track_script").replace("track_track", "track")
    text = f"{block} t {{\n{lines}\n}}\nvrrp_instance V {{\n{REQUIRED} {kind} {{\n  t\n }}\n}}\n"
    found = configuration(text)
    (tracker,) = (*found.scripts, *found.files, *found.processes, *found.urls)
    assert {key: getattr(tracker, key) for key in expected} == expected
    if name == "script":
        assert found.scripts[0].script.words == ("/c", "x")
    if name == "user":
        assert (found.scripts[0].script.user, found.scripts[0].script.group) == ("u", "g")


def test_every_keyword_of_a_group_and_a_tracker_has_a_test_that_names_it() -> None:
    named = {row[1] for row in TRACKER_ROWS}
    assert {*SCRIPT.keywords, *FILE.keywords, *PROCESS.keywords} <= named
    scripts = {name for name in GROUP.keywords if "notify" in name}
    assert GROUP.keywords.keys() == {row[0] for row in GROUP_ROWS} | scripts | {"track_bfd"}


def test_the_key_of_hmac_may_be_hexadecimal_or_plain() -> None:
    plain = "abcdefghijklmnopqrstuvwxyz012345"
    found = instance(
        f" auth_hmac {{\n  key 1 hex:{KEY}\n  key 2 {plain}\n  active_key 2\n  anti_replay monotonic\n"
        "  time_window 9\n  mode permissive\n }"
    ).hmac
    assert found.keys == {1: bytes(32), 2: plain.encode()}
    assert (found.active_key, found.monotonic, found.time_window, found.mode) == (2, True, 9, HmacMode.PERMISSIVE)
    assert instance(f" advert_int 4\n auth_hmac {{\n  key 1 hex:{KEY}\n  active_key 1\n }}").hmac.time_window == 12


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("key 1 short\n active_key 1", "auth_hmac key 1 length 5 not in range"),
        ("key 0 hex:00\n active_key 1", "auth_hmac key id '0' must be between 1 and 255"),
        (f"key 1 hex:{KEY}\n key 1 hex:{KEY}\n active_key 1", "duplicate auth_hmac key id 1"),
        (f"key 1 hex:{KEY}\n active_key 2", "auth_hmac active_key 2 is not defined"),
        ("key 1 hex:zz\n active_key 1", "not pairs of hexadecimal digits"),
        ("key 1 file:/nothing/here\n active_key 1", "cannot be opened: No such file or directory"),
        (f"key 1 hex:{KEY}\n active_key 1\n mode maybe", "must be enforce, permissive or receive-only"),
    ],
)
def test_hmac_that_would_not_sign_is_refused_and_no_key_is_shown(lines: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        instance(f" auth_hmac {{\n {lines}\n }}")
    assert message in str(refused.value)
    assert not any(secret in str(refused.value) for secret in (KEY, "short", "zz"))


def test_routes_and_rules_of_octavia_and_neutron_are_understood() -> None:
    found = instance(
        " virtual_routes {\n  10.0.0.0/24 dev eth1 src 10.0.0.5 scope link table 1\n"
        "  default via 10.0.0.1 dev eth1 onlink table 1\n"
        "  0.0.0.0/0 via 10.0.0.1 dev qg-1 no_track protocol static\n }\n"
        " virtual_rules {\n  from 10.0.0.5/32 table 1 priority 100\n }"
    )
    link, default, neutron = found.routes
    assert (link.destination, link.source, link.scope, link.table) == (
        ip_network("10.0.0.0/24"), IPv4Address("10.0.0.5"), 253, 1,
    )  # fmt: skip
    assert (default.destination.prefixlen, default.onlink, str(default.via)) == (0, True, "10.0.0.1")
    assert (neutron.tracked, neutron.protocol, neutron.device) == (False, 4, "qg-1")
    (rule,) = found.rules
    assert (str(rule.source), rule.table, rule.priority, rule.text) == (
        "10.0.0.5/32", 1, 100, "from 10.0.0.5 priority 100 lookup 1",
    )  # fmt: skip


def test_ipv6_addresses_make_it_version_3() -> None:
    found = instance("", REQUIRED.replace("10.9.0.100", "fe80::1\n  fd00::1/64"))
    assert (found.family, found.version, found.transport) == (6, 3, Multicast(IPv6Address("ff02::12")))


def test_what_stands_beside_instances_reaches_the_model() -> None:
    found = configuration(
        "net_namespace red\ninstance two\nuse_pid_dir\n"
        "garp_group {\n garp_interval 0.5\n gna_interval 0.25\n interfaces {\n  eth0 eth1\n }\n}\n"
        "interface_up_down_delays {\n eth0 1.5 2\n eth1 3\n}\n"
        "track_group G {\n group {\n  V\n }\n}\n"
        "static_ipaddress {\n 10.1.0.1/24 dev eth0 track_group G\n}\n"
        "static_routes {\n 10.2.0.0/16 via 10.1.0.9 dev eth0\n}\n"
        "static_rules {\n from 10.1.0.1 table 7 priority 3\n}\n"
        f"vrrp_instance V {{\n{REQUIRED}}}\n"
    )
    settings = found.settings
    assert (settings.namespace, settings.instance_name, settings.use_pid_dir) == ("red", "two", True)
    assert settings.spacing == {"eth0": Spacing(0.5, 0.25), "eth1": Spacing(0.5, 0.25)}
    assert settings.settling == {"eth0": Settling(1.5, 2.0), "eth1": Settling(3.0, 0.0)}
    assert found.track_groups == (TrackGroup("G", ("V",)),)
    assert found.static_addresses[0].track_group == "G"
    assert (found.static_routes[0].device, found.static_rules[0].table) == ("eth0", 7)
    assert {"vrrp_instance", "vrrp_sync_group", "static_rules", "bfd_instance"} <= ROOT.keywords.keys()


def test_bfd_is_refused() -> None:
    with pytest.raises(ConfigError, match="bfd_instance b is not supported"):
        configuration("bfd_instance b {\n neighbor_ip 10.0.0.1\n}\n")

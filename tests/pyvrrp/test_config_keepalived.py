"""keepalived.conf to the model: what is carried out, what is only named, what is refused."""

from __future__ import annotations

from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError, Location, Severity
from pyvrrp.config.load import Loaded, load, read
from pyvrrp.model import (
    Authentication,
    AuthType,
    Configuration,
    GlobalSettings,
    GratuitousArp,
    InitialState,
    Instance,
    NotifyScripts,
    Script,
    Tracked,
    TrackScript,
    VirtualAddress,
)

CONFIGS = Path(__file__).parents[2] / "configs"
REQUIRED = " interface eth0\n virtual_router_id 51\n virtual_ipaddress { 10.9.0.100 }\n"


def loaded(text: str) -> Loaded:
    return read(text.encode(), "k.conf")


def instance(lines: str = "", before: str = "") -> Instance:
    (found,) = loaded(f"{before}\nvrrp_instance VI_1 {{\n{REQUIRED}{lines}\n}}\n").configuration.instances
    return found


def messages(text: str) -> list[str]:
    """Return what is said of a text, warnings and errors alike."""
    try:
        found = loaded(text).warnings
    except ConfigError as refused:
        found = refused.diagnostics
    return [f"{one.location}: {one.severity.value}: {one.message}" for one in found]


def said(lines: str, before: str = "") -> list[str]:
    """Return what is said of an instance whose first extra line is line 5."""
    return messages(f"{before}vrrp_instance VI_1 {{\n{REQUIRED}{lines}\n}}\n")


def test_the_reference_file_says_what_it_says() -> None:
    file = str(CONFIGS / "reference/keepalived.haproxy1.conf")

    def notify(state: str, line: int, column: int) -> Script:
        return Script(("/usr/local/bin/keepalived_notify.sh", state), "root", None, Location(file, line, column))

    assert load(file).configuration == Configuration(
        instances=(
            Instance(
                "VI_1",
                "eth0",
                50,
                priority=100,
                initial_state=InitialState.MASTER,
                authentication=Authentication(AuthType.PASS, b"KeepAliv"),
                addresses=(VirtualAddress(IPv4Interface("192.168.50.10/24")),),
                vip_lease=3,
                tracked=(Tracked("check_haproxy", -2),),
                notify=NotifyScripts(notify("master", 30, 19), notify("backup", 31, 19), notify("fault", 32, 18)),
                location=Location(file, 14, 1),
            ),
        ),
        scripts=(
            TrackScript(
                "check_haproxy",
                Script(("/usr/local/bin/check_haproxy.sh",), "root", None, Location(file, 7, 12)),
                interval=2.0,
                timeout=2.0,
                weight=-2,
                rise=2,
                fall=2,
                location=Location(file, 6, 1),
            ),
        ),
        settings=GlobalSettings(router_id="LVS_DEVEL", script_user="root"),
    )


@pytest.mark.parametrize(("number", "priority", "left"), [(1, 100, 98), (2, 90, 88)])
def test_the_reference_files_are_told_that_their_weight_may_move_nothing(number: int, priority: int, left: int) -> None:
    found = load(CONFIGS / f"reference/keepalived.haproxy{number}.conf").warnings
    assert [(one.location.line, one.advice, one.message) for one in found] == [
        (22, False, "Truncating auth_pass to 8 characters"),
        (
            14,
            True,
            (
                f"(VI_1) a failing check_haproxy lowers priority {priority} to {left}:"
                f" the addresses move only to a router whose priority is above {left}"
            ),
        ),
        (
            14,
            True,
            "(VI_1) auth_type PASS sends its password in clear text: everybody on the network of eth0 can read it",
        ),
    ]


def test_no_finding_shows_a_password() -> None:
    text = (CONFIGS / "reference/keepalived.haproxy1.conf").read_text()
    for broken in (text, text.replace("auth_pass", "auth_pas"), text.replace("auth_pass ", "auth_pass\n")):
        assert "KeepA" not in "\n".join(messages(broken))
        try:
            rendered = [one.render() for one in loaded(broken).warnings]
        except ConfigError as refused:
            rendered = [str(refused)]
        assert "KeepA" not in "\n".join(rendered)
    assert "KeepA" not in repr(loaded(text))
    assert (
        "extra words after 'auth_pass' are ignored: '********'"
        in said(" authentication {\n  auth_pass a KeepAlive\n  auth_type PASS\n }")[0]
    )


def test_what_is_not_said_is_keepaliveds_default() -> None:
    found = instance()
    assert (found.priority, found.initial_state, found.advert_interval) == (100, InitialState.BACKUP, 1.0)
    assert (found.preempt, found.preempt_delay, found.down_timer_adverts) == (True, 0.0, 3)
    assert found.garp == GratuitousArp(5, 5.0, 0.0, 1, 5, 5.0)
    assert found.authentication == Authentication()
    configuration = loaded("").configuration
    assert (configuration.instances, configuration.settings.script_security) == ((), True)
    assert messages("") == ["k.conf: warning: there is no vrrp_instance: nothing will be run"]


def test_every_keyword_of_an_instance_reaches_the_model() -> None:
    found = instance(
        " nopreempt\n advert_int 3\n version 2\n state BACKUP\n priority 7\n"
        " down_timer_adverts 4\n track_interface {\n  eth1\n  eth1 weight 0\n }\n"
        ' notify "/n a" u g\n notify_stop /s\n'
        " garp_master_delay 1\n garp_master_repeat 2\n garp_master_refresh 3\n garp_master_refresh_repeat 4\n"
        " garp_lower_prio_delay 6\n garp_lower_prio_repeat 7\n"
    )
    assert (found.preempt, found.advert_interval, found.priority) == (False, 3.0, 7)
    assert (found.down_timer_adverts, found.track_interfaces) == (4, ("eth1",))
    assert found.garp == GratuitousArp(2, 1.0, 3.0, 4, 7, 6.0)
    assert found.notify.any is not None
    assert (found.notify.any.words, found.notify.any.user, found.notify.any.group) == (("/n", "a"), "u", "g")
    assert found.notify.stop is not None
    assert found.notify.stop.words == ("/s",)


def test_every_keyword_of_a_script_reaches_the_model() -> None:
    text = (
        'vrrp_script chk {\n script "/c"\n interval 0.5\n timeout 3\n rise 2\n fall 4\n weight 5 reverse\n'
        " user u g\n init_fail\n}\n"
    )
    configuration = loaded(text + f"vrrp_instance V {{\n{REQUIRED} track_script {{ chk }}\n}}").configuration
    found = configuration.script("chk")
    assert (found.interval, found.timeout, found.rise, found.fall, found.init_fail) == (0.5, 3.0, 2, 4, True)
    assert (found.script.words, found.script.user, found.script.group) == (("/c",), "u", "g")
    assert configuration.instances[0].track_scripts == (Tracked("chk", 5, reverse=True),)
    overruled = text + f"vrrp_instance V {{\n{REQUIRED} track_script {{ chk weight 254 noreverse }}\n}}"
    assert loaded(overruled).configuration.instances[0].track_scripts == (Tracked("chk", 253),)


def test_global_definitions_are_the_defaults_of_the_instances_behind_them() -> None:
    before = (
        "global_defs {\n vrrp_garp_master_repeat 2\n vrrp_garp_lower_prio_delay 9\n vrrp_down_timer_adverts 5\n"
        " default_interface eth7\n vrrp_version 2\n script_user u g\n router_id a\n}\n"
    )
    text = before + "vrrp_instance V {\n virtual_router_id 1\n garp_master_delay 1\n notify /n\n}\n"
    (found,) = loaded(text).configuration.instances
    assert found.interface == "eth7"
    assert found.down_timer_adverts == 5
    assert found.garp == GratuitousArp(2, 1.0, 0.0, 1, 2, 9.0)
    assert found.notify.any is not None
    assert (found.notify.any.user, found.notify.any.group) == ("u", "g")


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ("", 3),
        (" advert_int 5", 15),
        (" version 3\n advert_int 0.2", 2),
        (" version 3\n advert_int 1.1", 4),
        (" version 3\n advert_int 40.95", 123),
        (" advert_int 5\n down_timer_adverts 1", 10),
        (" down_timer_adverts 7", 7),
        (" advert_int 5\n vip_lease 10", 10),
    ],
)
def test_the_lease_of_the_addresses_follows_from_the_interval_unless_it_is_given(lines: str, seconds: int) -> None:
    assert instance(lines).vip_lease == seconds


def test_an_instance_may_have_a_lease_where_the_others_have_none() -> None:
    before = "global_defs { vip_lease off }"
    assert instance("", before).vip_lease is None
    assert instance(" vip_lease on", before).vip_lease == 3
    assert instance(" vip_lease 20", before).vip_lease == 20


def test_state_master_without_a_priority_means_the_owner() -> None:
    assert instance(" state MASTER").priority == 255
    assert instance(" state MASTER\n priority 150").priority == 150


def test_a_delay_of_preemption_is_for_those_who_preempt() -> None:
    assert instance(" preempt_delay 2.5").preempt_delay == 2.5
    assert instance(" preempt_delay 2.5\n nopreempt").preempt_delay == 0.0


def test_an_owner_has_no_weighted_scripts() -> None:
    before = 'vrrp_script a {\n script "/a"\n weight -2\n}\nvrrp_script b {\n script "/b"\n}\n'
    assert instance(" priority 255\n track_script {\n  a\n  b\n }", before).track_scripts == (Tracked("b", 0),)
    assert said(" priority 255\n preempt_delay 1\n track_script {\n  a\n  b\n }", before)[:2] == [
        "k.conf:8:1: warning: (VI_1) Warning - preempt delay will not work with initial state MASTER - clearing",
        "k.conf:8:1: warning: (VI_1) ignoring tracked script a with weights due to address_owner",
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (" state FAULT", "5:2: warning: (VI_1) unknown state 'FAULT', defaulting to BACKUP"),
        (" preempt_delay 1001", "5:2: warning: (VI_1) Preempt_delay not valid! must be between 0-1000"),
        (" down_timer_adverts 0", "5:2: warning: (VI_1): Invalid down_timer_adverts [1:100] '0'"),
        (" garp_master_repeat x", "5:2: warning: (VI_1): garp_master_repeat 'x' invalid - ignoring"),
        (" authentication {\n  auth_type X\n }", "6:3: warning: (VI_1) unknown authentication type 'X'"),
        (
            " authentication {\n  auth_type PASS\n }",
            "1:1: warning: (VI_1) Authentication specified but no password given. Ignoring",
        ),
        (
            " authentication {\n  auth_pass x\n }",
            "1:1: warning: (VI_1) auth_pass without auth_type PASS has no effect",
        ),
        (
            " virtual_ipaddress {\n  10.9.0.100/24\n }",
            "6:3: warning: (VI_1) 10.9.0.100 is listed twice - ignoring",
        ),
        (
            " virtual_ipaddress {\n  10.9.0.101 foo\n }",
            "6:3: warning: Unknown configuration entry 'foo' for ip address - ignoring",
        ),
        (
            " virtual_ipaddress {\n  10.9.0.101 nodad\n }",
            "6:3: warning: Unknown configuration entry 'nodad' for ip address - ignoring",
        ),
        (
            " track_interface {\n  eth1 wait 5\n }",
            "6:3: warning: (VI_1) unknown track_interface eth1 option wait - ignoring",
        ),
        (" advert_int 0.3", "warning: (VI_1) VRRPv2 advertisement interval 0.300000s must be an integer. rounding"),
        (" priority 9 {\n  a\n }", "5:2: warning: Unexpected '{' - ignoring: 'priority' has no block"),
        (" priorty 9", "5:2: warning: Unknown keyword 'priorty'; did you mean 'priority'?"),
        (' "" x', "5:2: warning: Unknown keyword ''"),
    ],
)
def test_what_is_corrected_or_left_out_is_named_and_the_instance_stands(lines: str, message: str) -> None:
    assert any(message in one for one in said(lines)), said(lines)
    assert instance(lines).virtual_router_id == 51


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (" interface eth/0", "5:2: error: (VI_1) 'eth/0' cannot be the name of an interface"),
        (" virtual_router_id x", "5:2: error: (VI_1): VRID 'x' not valid - must be between 1 & 255"),
        (" version 4", "5:2: error: (VI_1): Version must be either 2 or 3"),
        (
            " advert_int 5\n vip_lease 9",
            "6:2: error: (VI_1) vip_lease 9 is too short with advert_int 5: the addresses would be gone before",
        ),
        (" vip_lease never", "5:2: error: vip_lease 'never' is neither off, on, nor whole seconds from 2 to 86400"),
        (" authentication", "5:2: error: Missing '{' at beginning of configuration block"),
        (" virtual_ipaddress {\n  10.9.0\n }", "6:3: error: (VI_1) '10.9.0' is not an IP address"),
        (" track_interface {\n  a/b\n }", "6:3: error: 'a/b' cannot be the name of an interface"),
        (' notify_master ""', "5:16: error: the script is empty"),
        (' notify "x', "5:9: error: a quotation mark opens here"),
    ],
)
def test_what_leaves_no_sensible_router_is_refused_with_its_place(lines: str, message: str) -> None:
    assert any(message in one for one in said(lines)), said(lines)
    with pytest.raises(ConfigError):
        instance(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vrrp_script s {\n}\n", "k.conf:1:1: error: vrrp_script s has no script"),
        ('vrrp_script s {\n script ""\n}\n', "k.conf:2:9: error: the script is empty"),
        ("vrrp_instance V {\n virtual_router_id 1\n}\n", "k.conf:1:1: error: (V) has no interface"),
        ('vrrp_instance "" {\n}\n', "error: the name of a vrrp_instance has to be printable"),
        ("global_defs {\n default_interface a/b\n}\n", "k.conf:2:2: error: 'a/b' cannot be the name"),
        ("vrrp_instance {\n}\n", "is missing a parameter after keyword `vrrp_instance` at word position 2"),
        (
            f"vrrp_instance V {{\n{REQUIRED}}}\nvrrp_instance V {{\n{REQUIRED}}}\n",
            "k.conf:6:1: error: vrrp_instance V is defined twice: first at k.conf:1:1",
        ),
    ],
)
def test_a_file_that_leaves_no_sensible_configuration_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError):
        loaded(text)
    assert any(message in one for one in messages(text)), messages(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "virtual_server 10.0.0.1 80 {\n real_server x {\n }\n}\n",
            "warning: the block 'virtual_server 10.0.0.1 80' is known to keepalived, not carried out",
        ),
        ("vrrp_instnce V {\n a\n}\n", "Unknown keyword 'vrrp_instnce'; did you mean 'vrrp_instance'?"),
        ("global_defs {\n nftables_ipvs_start 3\n}\n", "the keyword 'nftables_ipvs_start' is known to keepalived"),
        (
            "global_defs {\n notification_email {\n  a@b\n }\n}\n",
            "k.conf:2:2: warning: mail is not sent: 'notification_email' and its like have no effect",
        ),
        ("global_defs {\n enable_script_security off\n}\n", "warning: script security is off"),
        ('vrrp_script s {\n script "/s"\n}\n', "k.conf:1:1: warning: Warning - script s is not used"),
        (
            'vrrp_script s {\n script "/s"\n interval 1,5\n}\n',
            "3:2: warning: (s): vrrp script interval '1,5' must be between 0 and 4294 - ignoring",
        ),
        (
            'vrrp_script s {\n script "/s"\n timeout 0\n}\n',
            "3:2: warning: (s): vrrp script timeout must be greater than 0, setting to 1",
        ),
        (
            'vrrp_script s {\n script "/s"\n rise 0\n}\n',
            "3:2: warning: (s): vrrp script rise value '0' invalid, defaulting to 1",
        ),
        ('vrrp_script s {\n script "/s"\n weight 1 x\n}\n', "3:2: warning: vrrp_script s unknown weight option x"),
    ],
)
def test_what_stands_elsewhere_and_is_not_carried_out_is_named(text: str, message: str) -> None:
    assert any(message in one for one in messages(text)), messages(text)
    assert loaded(text).configuration.instances == ()


def test_a_script_that_is_tracked_twice_counts_once() -> None:
    before = 'vrrp_script a {\n script "/a"\n}\n'
    assert instance(" track_script {\n  a\n  a weight 2\n }", before).track_scripts == (Tracked("a", 0),)
    assert "(VI_1) duplicate track_script a - ignoring" in said(" track_script {\n  a\n  a\n }", before)[0]


def test_all_errors_of_a_file_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        loaded("vrrp_instance V {\n interface a/b\n virtual_router_id 0\n version 4\n}\n")
    errors = [one.location.line for one in refused.value.diagnostics if one.severity is Severity.ERROR]
    assert errors == [2, 3, 3, 4, 4, 1, 1]


def test_a_file_that_cannot_be_read_is_never_an_empty_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"k\.conf: error: the configuration cannot be read: No such file"):
        load(tmp_path / "k.conf")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)
    with pytest.raises(ConfigError, match=r"k\.conf:2:3: error: this byte is not UTF-8"):
        read(b"# a\n# \xff\n", "k.conf")


WORDS = st.sampled_from(
    [
        "vrrp_instance", "vrrp_script", "global_defs", "V", "interface", "eth0", "virtual_router_id", "51", "priority",
        "255", "0", "{", "}", "\n", "\n", "\n", "virtual_ipaddress", "10.0.0.1/24", "fd00::1", "track_script", "chk",
        "weight", "-2", "authentication", "auth_type", "auth_pass", "PASS", "script", '"', "'", "/bin/true", "#", "\\",
        "advert_int", "1.5", "notify", "version", "3", "$X", "@x", "~SEQ", "track_interface", "state", "MASTER", "brd",
        "vrrp_sync_group", "group", "track_file", "vrrp_track_process", "vrrp_track_http", "file", "process",
        "url", "x",
        "http://127.0.0.1/", "auth_hmac", "key", "1", "hex:00", "active_key", "unicast_peer", "min_ttl", "use_vmac",
        "virtual_routes", "virtual_rules", "default", "via", "nexthop", "from", "to", "table", "mtu", "lock", "dev",
        "strict_mode", "init_file", "quorum", "quorum_max", "mcast_dst_ip", "ff02::12", "native_ipv6",
        "static_routes",
    ]
)  # fmt: skip


@settings(derandomize=True, deadline=None)
@given(st.lists(WORDS).map(" ".join) | st.text(), st.sampled_from(["k.conf", "k.yaml"]))
def test_any_text_gives_a_configuration_or_a_config_error(text: str, file: str) -> None:
    found = outcome(text.encode("utf-8", "replace"), file)
    if isinstance(found, ConfigError):
        assert {one.location.file for one in found.diagnostics} == {file}
        assert str(found)
    else:
        assert isinstance(found.configuration, Configuration)


@settings(derandomize=True, deadline=None)
@given(st.binary())
def test_any_bytes_give_a_configuration_or_a_config_error(content: bytes) -> None:
    assert outcome(content, "k.conf")


def outcome(content: bytes, file: str) -> Loaded | ConfigError:
    try:
        return read(content, file)
    except ConfigError as refused:
        return refused

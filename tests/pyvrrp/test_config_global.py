"""global_defs: what every keyword does, and what is said of a value that is not understood."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest

from hakit.diagnostics import ConfigError
from pyvrrp.config.load import Loaded, read
from pyvrrp.model import (
    Dumps,
    Fifo,
    GlobalSettings,
    Instance,
    Multicast,
    ProcessSettings,
    Reloading,
    Spacing,
)

REST = "vrrp_instance V {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress { 10.9.0.100 }\n}\n"


def loaded(lines: str, rest: str = REST) -> Loaded:
    return read(f"global_defs {{\n{lines}\n}}\n{rest}".encode(), "k.conf")


def settings(lines: str) -> GlobalSettings:
    found = loaded(lines)
    assert [one.message for one in found.warnings if not one.message.endswith("not carried out")] == []
    return found.configuration.settings


def instance(lines: str, rest: str = REST) -> Instance:
    (found,) = loaded(lines, rest).configuration.instances
    return found


def said(lines: str) -> list[str]:
    try:
        found = loaded(lines).warnings
    except ConfigError as refused:
        found = refused.diagnostics
    assert {one.location.line for one in found} <= {2}
    return [one.message for one in found]


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ('router_id "my router"', "router_id", "my router"),
        ("script_user nobody nogroup", "script_user", "nobody"),
        ("script_user nobody nogroup", "script_group", "nogroup"),
        ("dynamic_interfaces", "dynamic_interfaces", True),
        ("dynamic_interfaces allow_if_changes", "allow_interface_changes", True),
        ("disable_local_igmp", "disable_local_igmp", True),
        ("log_unknown_vrids", "log_unknown_vrids", True),
        ("vrrp_startup_delay 5.5", "startup_delay", 5.5),
        ("vrrp_startup_delay 5\nvrrp_delay_after_boot 9", "delay_after_boot", True),
        ("vrrp_startup_delay 9\nvrrp_delay_after_boot 5", "delay_after_boot", False),
        ("vrrp_mcast_group4 224.0.0.19", "multicast_group4", IPv4Address("224.0.0.19")),
        ("vrrp_mcast_group6 ff02::13", "multicast_group6", IPv6Address("ff02::13")),
        ("vrrp_garp_interval 0.001\nvrrp_gna_interval 0.000001", "spacing", {"": Spacing(0.001, 0.000001)}),
        ("vrrp_min_garp", "minimal_garp", True),
        ("vrrp_min_garp off", "minimal_garp", False),
        ("notify_fifo /run/a", "fifo", Fifo("/run/a")),
        ("vrrp_notify_fifo /run/b", "vrrp_fifo", Fifo("/run/b")),
        ("vrrp_notify_fifo_script /bin/true", "vrrp_fifo", None),
        ("fifo_write_vrrp_states_on_reload", "fifo_states_on_reload", True),
        ("nftables", "nftables_table", "keepalived"),
        ("nftables vrrp1\nnftables_priority -5", "nftables_table", "vrrp1"),
        ("nftables_priority -5", "nftables_priority", -5),
        ("vmac_prefix vip", "vmac_prefix", "vip"),
        ("startup_script_timeout 3", "startup_script_timeout", 3.0),
        ("shutdown_script_timeout 1000", "shutdown_script_timeout", 1000.0),
        (
            "state_dump_file /a\nstats_dump_file /b\njson_dump_file /c\njson_version 2",
            "dumps",
            Dumps("/a", "/b", "/c", 2),
        ),
        ("reload_time_file /a\nreload_repeat\nreload_file /b", "reloading", Reloading("/a", True, "/b")),
        ("reload_file", "reloading", Reloading(None, False, "")),
        ("reload_check_config", "reloading", Reloading()),
        ("random_seed 5", "random_seed", 5),
        ("include_check +match -brace_match readable", "random_seed", None),
        ("vrrp_priority -5", "process", ProcessSettings(nice=-5)),
        (
            "vrrp_rt_priority 50\nvrrp_rlimit_rttime 9999",
            "process",
            ProcessSettings(rt_priority=50, rlimit_rttime=9999),
        ),
        ("vrrp_rlimit_rtime 9999", "process", ProcessSettings(rlimit_rttime=9999)),
        ("vrrp_cpu_affinity 0 2 2", "process", ProcessSettings(cpu_affinity=frozenset({0, 2}))),
        (
            "max_auto_priority 9\nmin_auto_priority_delay 20000",
            "process",
            ProcessSettings(max_auto_priority=9, min_auto_priority_delay=20_000),
        ),
        ("max_auto_priority", "process", ProcessSettings(max_auto_priority=99)),
        ("max_auto_priority -1", "process", ProcessSettings(max_auto_priority=-1)),
        ("vrrp_no_swap", "process", ProcessSettings(no_swap=True)),
        ("process_name a\nvrrp_process_name b", "process", ProcessSettings(name="b")),
        ("umask 022", "process", ProcessSettings(umask=0o022)),
        ("umask 0x12", "process", ProcessSettings(umask=0o022)),
        ("umask 18", "process", ProcessSettings(umask=0o022)),
        ("umask IWGRP | IWOTH|IXOTH", "process", ProcessSettings(umask=0o023)),
        ("http_listen 127.0.0.1:9650", "http", ("127.0.0.1", 9650)),
        ("http_listen [::1]:9650", "http", ("::1", 9650)),
    ],
)
def test_the_daemons_settings(lines: str, field: str, value: Any) -> None:
    assert getattr(settings(lines), field) == value


def test_scripts_of_the_daemon_have_the_script_user_unless_they_name_one() -> None:
    found = settings(
        "script_user nobody\nstartup_script \"/bin/echo 'a b'\"\nshutdown_script /bin/true root wheel\n"
        "notify_fifo_script /bin/reader\nnotify_fifo /run/f\n"
        "vrrp_notify_fifo /run/g\nvrrp_notify_fifo_script /bin/r2 bin"
    )
    assert found.startup_script is not None
    assert found.shutdown_script is not None
    assert found.fifo is not None
    assert found.vrrp_fifo is not None
    assert (found.startup_script.words, found.startup_script.user) == (("/bin/echo", "a b"), "nobody")
    assert (found.shutdown_script.user, found.shutdown_script.group) == ("root", "wheel")
    assert (found.fifo.path, str(found.fifo.script)) == ("/run/f", "/bin/reader")
    assert (found.vrrp_fifo.path, found.vrrp_fifo.script and found.vrrp_fifo.script.user) == ("/run/g", "bin")


@pytest.mark.parametrize(
    ("lines", "field", "value"),
    [
        ("vrrp_version 3", "version", 3),
        ("vrrp_version 2", "version", 2),
        ("vrrp_strict", "strict", True),
        ("vrrp_strict off", "strict", False),
        ("vrrp_skip_check_adv_addr", "skip_check_addresses", True),
        ("v3_checksum_as_v2\nvrrp_version 3", "checksum_as_v2", True),
        ("vrrp_lower_prio_no_advert", "answers_lower_priority", False),
        ("vrrp_lower_prio_no_advert true\nvrrp_lower_prio_no_advert no", "answers_lower_priority", True),
        ("vrrp_higher_prio_send_advert", "answers_higher_priority", True),
        ("vrrp_higher_prio_send_advert off", "answers_higher_priority", False),
        ("vrrp_notify_priority_changes on", "notify_priority_changes", True),
        ("vrrp_down_timer_adverts 5", "down_timer_adverts", 5),
        ("vip_lease 7", "vip_lease", 7),
        ("vip_lease off", "vip_lease", None),
        ("vip_lease off\nvip_lease on", "vip_lease", 3),
        ("vrrp_mcast_group4 224.0.0.19", "transport", Multicast(IPv4Address("224.0.0.19"))),
        ("vrrp_rx_bufs_policy 100000", "receive_buffer", 100000),
        ("smtp_alert", "smtp_alert", True),
        ("smtp_alert on\nsmtp_alert_vrrp off", "smtp_alert", False),
    ],
)
def test_the_defaults_of_the_instances(lines: str, field: str, value: Any) -> None:
    assert getattr(instance(lines), field) == value


def test_the_check_of_unicast_sources_is_a_default_of_unicast_instances() -> None:
    unicast = REST.replace(" interface", " unicast_peer { 10.9.0.2 }\n interface")
    assert instance("vrrp_check_unicast_src", unicast).check_unicast_source is True
    assert instance("vrrp_check_unicast_src").check_unicast_source is False


def test_an_instance_takes_the_defaults_that_stand_before_it() -> None:
    rest = REST.replace(" interface eth0\n", "") + "global_defs {\n default_interface eth9\n vrrp_version 3\n}\n"
    rest += REST.replace("V", "W").replace(" interface eth0\n", "")
    first, second = loaded("default_interface eth1", rest).configuration.instances
    assert (first.interface, first.version, second.interface, second.version) == ("eth1", 2, "eth9", 3)


def test_gratuitous_arp_has_its_defaults_and_the_least_of_them() -> None:
    garp = instance("vrrp_garp_master_delay 2\nvrrp_garp_master_repeat 3\nvrrp_garp_master_refresh 60").garp
    assert (garp.delay, garp.lower_prio_delay, garp.repeat, garp.lower_prio_repeat, garp.refresh) == (2, 2, 3, 3, 60)
    garp = instance("vrrp_min_garp\nvrrp_garp_lower_prio_repeat 4").garp
    assert (garp.delay, garp.repeat, garp.lower_prio_delay, garp.lower_prio_repeat) == (0, 1, 0, 4)
    assert instance("vrrp_garp_master_repeat 2\nvrrp_min_garp").garp.repeat == 2
    assert instance("vrrp_garp_master_refresh_repeat 4").garp.refresh_repeat == 4
    assert instance("vrrp_garp_extra_if all 100").garp.extra_interface == 100.0
    assert instance("vrrp_vmac_garp_intvl 7").garp.extra_interface == 7.0


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        ("vrrp_version 4", ["number '4' outside range [2, 3]", "VRRP Error: Version must be either 2 or 3"]),
        ("router_id", ["routerid name missing - ignoring"]),
        ("script_user", ["No script username specified"]),
        ("vrrp_min_garp x", ["Invalid value for vrrp_min_garp specified"]),
        ("vrrp_mcast_group4 x", ["Can't parse vrrp_mcast_group4 [x]. Skipping"]),
        ("vrrp_garp_interval -1", ["negative number '-1'", "vrrp_garp_interval '-1' is invalid"]),
        ("vrrp_garp_master_delay x", ["invalid number 'x'", "vrrp_garp_master_delay 'x' invalid - ignoring"]),
        ("vrrp_garp_master_refresh x", ["invalid number 'x'", "Invalid vrrp_garp_master_refresh 'x' - ignoring"]),
        ("vrrp_garp_lower_prio_repeat x", ["invalid number 'x'", "Invalid vrrp_garp_lower_prio_repeat 'x'"]),
        ("vrrp_garp_lower_prio_repeat 0", []),
        ("vrrp_garp_master_repeat 0", ["vrrp_garp_master_repeat must be greater than 0, setting to 1"]),
        (
            "smtp_connect_timeout x",
            [
                "invalid number 'x'",
                "smtp_connect_timeout 'x' must be in [0, 4294] - ignoring",
                "mail is not sent: 'smtp_connect_timeout' and its like have no effect",
            ],
        ),
        ("vrrp_strict maybe", ["Invalid value 'maybe' for global vrrp_strict specified"]),
        ("default_interface a/b", ["'a/b' cannot be the name of an interface: 1 to 15 letters, digits and _.:@-"]),
        ("dynamic_interfaces x", ["Unknown dynamic_interfaces option 'x'"]),
        ("vrrp_garp_interval x", ["invalid number 'x'", "vrrp_garp_interval 'x' is invalid"]),
        ("vrrp_startup_delay x", ["invalid number 'x'", "vrrp_startup_delay 'x' is invalid"]),
        ("vrrp_mcast_group4 ff02::1", ["vrrp_mcast_group4 [ff02::1] is not IPv4. Skipping"]),
        ("vrrp_mcast_group6 ::1", ["vrrp_mcast_group6 [::1] is not multicast. Skipping"]),
        ("vrrp_garp_extra_if", ["vrrp_garp_extra_if specified without time - ignoring"]),
        ("vrrp_garp_extra_if all", ["vrrp_garp_extra_if specified without time - ignoring"]),
        (
            "vrrp_garp_extra_if 0",
            ["number '0' outside range [1, 86400]", "vrrp_garp_extra_if '0' invalid - ignoring"],
        ),
        (
            "vrrp_down_timer_adverts 0",
            ["number '0' outside range [1, 100]", "Invalid vrrp_down_timer_adverts [1:100] '0'"],
        ),
        ("vrrp_rx_bufs_policy x", ["invalid number 'x'", "Invalid vrrp_rx_bufs_policy x"]),
        ("vrrp_rx_bufs_policy MTU", ["vrrp_rx_bufs_policy MTU: the kernel's default size is used instead"]),
        ("vrrp_priority 20", ["number '20' outside range [-20, 19]", "Invalid vrrp process priority specified"]),
        (
            "vrrp_rt_priority 0",
            ["vrrp process real-time priority 0 less than minimum 1 - setting to minimum"],
        ),
        (
            "vrrp_rt_priority 100",
            ["vrrp process real-time priority 100 greater than maximum 99 - setting to maximum"],
        ),
        ("vrrp_rt_priority x", ["invalid number 'x'", "vrrp process real-time priority 'x' invalid"]),
        ("vrrp_rlimit_rttime x", ["invalid number 'x'", "Invalid vrrp real-time limit - x"]),
        ("vrrp_cpu_affinity 0 x", ["invalid number 'x'", "Invalid cpu_id specified for vrrp process"]),
        ("process_name abcdefghijklmnopq", ["Process name abcdefghijklmnopq more than 15 characters, truncating"]),
        ("process_names", ["process_names: there is one process, called pyvrrp; process_name names it"]),
        ("umask IWALL", ["Unknown umask bit IWALL"]),
        ("umask 01000", ["invalid umask value 01000"]),
        ("json_version 3", ["number '3' outside range [1, 2]", "Invalid json_version '3' - ignoring"]),
        ("random_seed x", ["invalid number 'x'", "random_seed x invalid"]),
        ("include_check match sometimes", ["Unknown include_check type 'sometimes' - ignoring"]),
        (
            "reload_check_config /var/log/x",
            ["reload_check_config: every reload is checked first; errors go to the log"],
        ),
        ("nftables_priority x", ["invalid number 'x'", "invalid nftables chain priority 'x'"]),
        (
            "startup_script_timeout 0",
            ["number '0' outside range [1, 1000]", "startup_script_timeout '0' must be in [1, 1000] - ignoring"],
        ),
        (
            "notify_fifo /a root",
            ["notify_fifo: the FIFO belongs to script_user, not to the user named here"],
        ),
        (
            "http_listen localhost:1",
            ["http_listen 'localhost:1' is not ADDRESS:PORT, such as 127.0.0.1:9650 or [::1]:9650"],
        ),
        ("vip_lease 1", ["vip_lease '1' is neither off, on, nor whole seconds from 2 to 86400"]),
        ("vip_lease 2.5", ["vip_lease '2.5' is neither off, on, nor whole seconds from 2 to 86400"]),
        (
            "http_listen 127.0.0.1",
            ["http_listen '127.0.0.1' is not ADDRESS:PORT, such as 127.0.0.1:9650 or [::1]:9650"],
        ),
        (
            "smtp_server 127.0.0.1 25",
            ["mail is not sent: 'smtp_server' and its like have no effect"],
        ),
        (
            "lvs_flush",
            ["the keyword 'lvs_flush' is known to keepalived, not carried out: IPVS is not part of this program"],
        ),
        (
            "max_auto_priority 100",
            [
                "number '100' outside range [-1, 99]",
                "max_auto_priority '100' must be in [0, 99] (or -1 to disable) - ignoring",
            ],
        ),
        (
            "min_auto_priority_delay 0",
            [
                "number '0' outside range [1, 10000000]",
                "min_auto_priority_delay '0' must be in [1, 10000000] - ignoring",
            ],
        ),
        ("router_idd x", ["Unknown keyword 'router_idd'; did you mean 'router_id'?"]),
    ],
)
def test_what_is_not_understood_is_named_and_the_rest_holds(lines: str, messages: list[str]) -> None:
    assert said(lines) == messages


@pytest.mark.parametrize("name", ["startup_script", "notify_fifo", "notify_fifo_script", "nftables", "vmac_prefix"])
def test_what_can_be_said_once_is_taken_from_the_first_line(name: str) -> None:
    found = [one.message for one in loaded(f"{name} /bin/a\n{name} /bin/b").warnings]
    (again,) = [one for one in found if not one.endswith("not carried out")]
    assert "already" in again


@pytest.mark.parametrize(
    "line", ["startup_script /a", "shutdown_script /a", "disable_local_igmp", "reload_file", "reload_time_file /a"]
)
def test_what_is_read_and_not_carried_out_says_so(line: str) -> None:
    (found,) = loaded(line).warnings
    assert found.message == f"the keyword '{line.split(maxsplit=1)[0]}' is known to keepalived, not carried out"


def test_mail_is_named_once_and_an_alert_that_is_off_is_not_worth_a_word() -> None:
    text = "notification_email {\n a@b\n}\nnotification_email_from c@d\nsmtp_server x\nsmtp_alert"
    assert len(loaded(text).warnings) == 1
    assert loaded("smtp_alert off").warnings == ()

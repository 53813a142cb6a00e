"""The reference of keywords: complete, and what the program's own tables say."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from pyvrrp.config.known import Disposition
from pyvrrp.config.reference import FILE, LINES, Row, all_rows, text

# The names that keepalived 2.2.7 and its successors know, block by block.
COMPLETE = {
    "The root of the file": """
        global_defs linkbeat_use_polling net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir instance
        child_wait_time track_group static_ipaddress static_routes static_rules vrrp_sync_group garp_group
        linkbeat_interfaces interface_up_down_delays vrrp_instance vrrp_script vrrp_track_process track_file
        vrrp_track_file bfd_instance virtual_server virtual_server_group SSL
    """,
    "vrrp_instance": """
        use_vmac use_vmac_addr vmac_xmit_base use_ipvlan unicast_peer unicast_fault_no_peer check_unicast_src
        old_unicast_checksum native_ipv6 state interface vrf dont_track_primary track_interface track_script track_file
        track_process track_bfd mcast_src_ip unicast_src_ip mcast_dst_ip track_src_ip virtual_router_id unicast_ttl
        version priority advert_int virtual_ipaddress virtual_ipaddress_excluded no_virtual_ipaddress
        promote_secondaries linkbeat_use_polling v3_checksum_as_v2 virtual_routes virtual_rules accept no_accept
        skip_check_adv_addr strict_mode preempt nopreempt preempt_delay debug notify_backup notify_master notify_fault
        notify_stop notify_deleted notify notify_master_rx_lower_pri smtp_alert notify_priority_changes
        lvs_sync_daemon_interface garp_master_delay garp_master_refresh garp_master_repeat garp_master_refresh_repeat
        garp_lower_prio_delay garp_lower_prio_repeat down_timer_adverts timer_expired_backup thread_timer_expired
        garp_extra_if vmac_garp_intvl lower_prio_no_advert higher_prio_send_advert owner_ignore_adverts
        kernel_rx_buf_size authentication auth_hmac neighbour_ip
    """,
    "authentication": "auth_type auth_pass",
    "auth_hmac": "key active_key time_window anti_replay mode",
    "vrrp_script": "script interval timeout weight rise fall user init_fail",
    "vrrp_track_process": """
        process param_match weight quorum quorum_max delay terminate_delay fork_delay full_command
    """,
    "track_file": "file weight init_file",
    "vrrp_sync_group": """
        group track_script track_interface track_file track_process track_bfd notify notify_master notify_backup
        notify_fault notify_stop smtp_alert global_tracking sync_group_tracking_weight
    """,
    "global_defs": """
        process_names process_name vrrp_process_name checker_process_name lvs_process_name bfd_process_name
        use_symlink_paths set_supplementary_groups router_id notification_email_from smtp_server smtp_helo_name
        smtp_connect_timeout notification_email smtp_alert startup_script startup_script_timeout shutdown_script
        shutdown_script_timeout max_auto_priority min_auto_priority_delay smtp_alert_vrrp smtp_alert_checker
        checker_log_all_failures dynamic_interfaces no_email_faults default_interface disable_local_igmp
        v3_checksum_as_v2 lvs_timeouts lvs_flush lvs_flush_on_stop lvs_flush_onstop lvs_sync_daemon vrrp_mcast_group4
        vrrp_mcast_group6 vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_master_refresh
        vrrp_garp_master_refresh_repeat vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_down_timer_adverts
        vrrp_garp_interval vrrp_gna_interval vrrp_min_garp vrrp_garp_extra_if vrrp_vmac_garp_intvl
        vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_version vrrp_iptables vrrp_ipsets nftables
        nftables_priority nftables_ifindex vrrp_check_unicast_src vrrp_skip_check_adv_addr vrrp_strict vrrp_priority
        vrrp_no_swap vrrp_rt_priority vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime nftables_ipvs
        nftables_ipvs_priority nftables_ipvs_start_fwmark nftables_counters notify_fifo notify_fifo_script
        vrrp_notify_fifo vrrp_notify_fifo_script vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload
        lvs_notify_fifo lvs_notify_fifo_script checker_priority checker_no_swap checker_rt_priority checker_cpu_affinity
        checker_rlimit_rttime bfd_priority bfd_no_swap bfd_rt_priority bfd_cpu_affinity bfd_rlimit_rttime snmp_socket
        enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3
        enable_snmp_checker snmp_rs_stats_update_interval snmp_vs_stats_update_interval enable_dbus dbus_service_name
        dbus_no_interface_name script_user enable_script_security vrrp_netlink_cmd_rcv_bufs
        vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force
        process_monitor_rcv_bufs process_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs lvs_netlink_monitor_rcv_bufs
        rs_init_notifies no_checker_emails vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_startup_delay
        vrrp_delay_after_boot log_unknown_vrids vrrp_owner_ignore_adverts vmac_prefix vmac_addr_prefix umask random_seed
        reload_check_config reload_time_file reload_repeat reload_file include_check config_save_dir
        tmp_config_directory data_use_instance json_version iproute_usr_dir iproute_etc_dir state_dump_file
        stats_dump_file json_dump_file
    """,
    "Lines": "include includer includem includew includeb includea",
}


@pytest.mark.parametrize("block", COMPLETE)
def test_every_keyword_that_keepalived_knows_has_a_row(block: str) -> None:
    names = [row.name.partition(" ")[0] for row in all_rows()[block]]
    missing = [one for one in COMPLETE[block].split() if not any(fnmatchcase(one, name) for name in names)]
    assert missing == []


@pytest.mark.parametrize(("block", "row"), [(block, row) for block, found in all_rows().items() for row in found])
def test_every_row_says_what_the_keyword_does_and_how_common_it_is(block: str, row: Row) -> None:
    assert row.about.endswith((".", "...")), row
    assert row.tier in {0, 1, 2, 3}


@pytest.mark.parametrize("block", [block for block in all_rows() if block != "vrrp_track_http"])
def test_tier_0_is_for_what_keepalived_does_not_have(block: str) -> None:
    ours = {row.name for row in all_rows()[block] if row.tier == 0}
    assert ours <= {"http_listen", "vip_lease", "vrrp_track_http", "track_http"}


def test_what_stands_in_nearly_every_file_is_carried_out_but_for_mail() -> None:
    mail = re.compile("smtp_.*|notification_.*")
    left_out = [
        row.name
        for found in all_rows().values()
        for row in found
        if row.tier in {1, 2} and row.disposition is not Disposition.DONE and not mail.fullmatch(row.name)
    ]
    assert set(left_out) == {"track_bfd"}  # BFD is an error


TESTS = Path(__file__).parents[1]
OTHER_TESTS = " ".join(
    path.read_text().replace("\\n", " ") for path in sorted(TESTS.rglob("*.py")) if path != Path(__file__)
)
COMMON = sorted(
    {row.name for found in all_rows().values() for row in found if row.tier in {1, 2}} - {row.name for row in LINES}
)


@pytest.mark.parametrize("name", COMMON)
def test_a_keyword_of_the_first_two_tiers_is_named_by_another_test(name: str) -> None:
    assert re.search(rf"(?<!\w){name}(?!\w)", OTHER_TESTS), f"no test names {name}"


def test_the_page_is_the_one_that_the_tables_make() -> None:
    assert FILE.read_text() == text(), "run python -m pyvrrp.config.reference"

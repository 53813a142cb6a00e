"""Every keyword that keepalived knows, by block: what is not carried out here is still no mistake of the writer's.

Laws: data. The names are those of keepalived 2.2.7 and of its later versions, aliases and deprecated ones included;
a name may hold ``*``. What *is* carried out stands in the tables beside the code that does it; a name that stands in
both is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase


class Disposition(Enum):
    """What becomes of a keyword; the values are the words of the reference."""

    DONE = "done"
    ACCEPTED = "accepted"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Known:
    """A keyword that keepalived knows and that has no effect here; ``why`` goes behind a colon, as in a message."""

    name: str
    why: str = ""
    tier: int = 3
    disposition: Disposition = Disposition.ACCEPTED


def _words(text: str) -> tuple[Known, ...]:
    return tuple(Known(name) for name in text.split())


ROOT = _words("""
include includer includem includew includeb includea
linkbeat_use_polling net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir instance child_wait_time
track_group static_ipaddress static_routes static_rules vrrp_sync_group garp_group linkbeat_interfaces
interface_up_down_delays vrrp_track_process track_file vrrp_track_file bfd_instance virtual_server virtual_server_group
SSL
""")

GLOBAL_DEFS = _words("""
process_names process_name vrrp_process_name checker_process_name lvs_process_name bfd_process_name use_symlink_paths
set_supplementary_groups notification_email_from smtp_server smtp_helo_name smtp_connect_timeout notification_email
smtp_alert startup_script startup_script_timeout shutdown_script shutdown_script_timeout max_auto_priority
min_auto_priority_delay smtp_alert_vrrp smtp_alert_checker checker_log_all_failures dynamic_interfaces no_email_faults
disable_local_igmp v3_checksum_as_v2 lvs_timeouts lvs_flush lvs_flush_on_stop lvs_flush_onstop lvs_sync_daemon
vrrp_mcast_group4 vrrp_mcast_group6 vrrp_garp_interval vrrp_gna_interval vrrp_min_garp vrrp_garp_extra_if
vrrp_vmac_garp_intvl vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_iptables vrrp_ipsets nftables
nftables_priority nftables_ifindex vrrp_check_unicast_src vrrp_skip_check_adv_addr vrrp_strict vrrp_priority
vrrp_no_swap vrrp_rt_priority vrrp_cpu_affinity vrrp_rlimit_rttime vrrp_rlimit_rtime nftables_ipvs* nftables_counters
notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script vrrp_notify_priority_changes
fifo_write_vrrp_states_on_reload lvs_notify_fifo lvs_notify_fifo_script checker_* bfd_* snmp_socket enable_traps
enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_snmp_checker
snmp_*_stats_update_interval enable_dbus dbus_service_name dbus_no_interface_name vrrp_netlink_*_rcv_bufs
vrrp_netlink_*_rcv_bufs_force process_monitor_rcv_bufs process_monitor_rcv_bufs_force lvs_netlink_* rs_init_notifies
no_checker_emails vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_startup_delay vrrp_delay_after_boot
log_unknown_vrids vrrp_owner_ignore_adverts vmac_prefix vmac_addr_prefix umask random_seed reload_check_config
reload_time_file reload_repeat reload_file include_check config_save_dir tmp_config_directory data_use_instance
json_version iproute_usr_dir iproute_etc_dir state_dump_file stats_dump_file json_dump_file lvs_*
""")

VRRP_INSTANCE = _words("""
use_vmac use_vmac_addr vmac_xmit_base use_ipvlan unicast_peer unicast_fault_no_peer check_unicast_src
old_unicast_checksum native_ipv6 vrf dont_track_primary track_file track_process track_bfd mcast_src_ip unicast_src_ip
mcast_dst_ip track_src_ip unicast_ttl virtual_ipaddress_excluded no_virtual_ipaddress promote_secondaries
linkbeat_use_polling v3_checksum_as_v2 virtual_routes virtual_rules accept no_accept skip_check_adv_addr strict_mode
debug notify_deleted notify_master_rx_lower_pri smtp_alert notify_priority_changes lvs_sync_daemon_interface
timer_expired_backup thread_timer_expired garp_extra_if vmac_garp_intvl lower_prio_no_advert
higher_prio_send_advert owner_ignore_adverts kernel_rx_buf_size auth_hmac neighbour_ip
""")


def find(name: str, known: Sequence[Known]) -> Known | None:
    """Return what keepalived knows by ``name`` in a block with these keywords, or None."""
    return next((one for one in known if fnmatchcase(name, one.name)), None)

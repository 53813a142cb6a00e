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


def _words(text: str, why: str, tier: int = 3) -> tuple[Known, ...]:
    return tuple(Known(name, why, tier) for name in text.split())


_IPVS = "IPVS is not part of this program"
_BFD = "BFD is not part of this program"
_SNMP = "there is no SNMP agent: metrics are served where http_listen says"
_DBUS = "there is no D-Bus service: `pyvrrp ctl` speaks to the control socket"
_OVERRUN = "after an overrun everything is read anew"
_FILES = "no configuration is copied to files"
_NFTABLES = "nftables is used in every case"

ROOT = (
    *_words("virtual_server virtual_server_group SSL net_namespace_ipvs namespace_with_ipsets", _IPVS),
    *_words("linkbeat_use_polling linkbeat_interfaces", "the kernel tells of every change of a link"),
    Known("child_wait_time", "there are no child processes to wait for"),
)

GLOBAL_DEFS = (
    *_words("vrrp_iptables vrrp_ipsets", _NFTABLES),
    Known("nftables_ifindex", "rules name interfaces, not their numbers"),
    Known("nftables_counters", "rules have no counters"),
    *_words("vrrp_netlink_*_rcv_bufs vrrp_netlink_*_rcv_bufs_force", _OVERRUN),
    *_words("process_monitor_rcv_bufs process_monitor_rcv_bufs_force", _OVERRUN),
    Known("vrrp_rx_bufs_multiplier", "only a vrrp_rx_bufs_policy in bytes is carried out"),
    Known("vmac_addr_prefix", "the names of all VMACs begin with vmac_prefix"),
    *_words("config_save_dir tmp_config_directory", _FILES),
    Known("data_use_instance", "state_dump_file and its like say where dumps go"),
    *_words("iproute_usr_dir iproute_etc_dir", "names of tables and scopes are looked up where iproute2 has them"),
    Known("use_symlink_paths", "scripts are run by the path that stands in the file"),
    Known("set_supplementary_groups", "scripts run with the groups of their user"),
    *_words("enable_dbus dbus_service_name dbus_no_interface_name", _DBUS),
    *_words(
        "snmp_socket enable_traps enable_snmp_vrrp enable_snmp_keepalived enable_snmp_rfc enable_snmp_rfcv2", _SNMP
    ),
    *_words("enable_snmp_rfcv3 snmp_*_stats_update_interval", _SNMP),
    *_words("bfd_process_name bfd_*", _BFD),
    *_words("enable_snmp_checker rs_init_notifies no_checker_emails", _IPVS),
    *_words("checker_process_name lvs_process_name checker_log_all_failures lvs_timeouts lvs_flush", _IPVS),
    *_words("lvs_flush_on_stop lvs_flush_onstop lvs_sync_daemon lvs_notify_fifo lvs_notify_fifo_script", _IPVS),
    *_words("lvs_netlink_* lvs_* checker_* nftables_ipvs*", _IPVS),
)

VRRP_INSTANCE = (
    Known("lvs_sync_daemon_interface", _IPVS),
    Known("neighbour_ip", "its time is over in keepalived, too"),
)


def find(name: str, known: Sequence[Known]) -> Known | None:
    """Return what keepalived knows by ``name`` in a block with these keywords, or None."""
    return next((one for one in known if fnmatchcase(name, one.name)), None)

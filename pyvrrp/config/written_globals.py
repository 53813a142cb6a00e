"""From the settings of the daemon to ``global_defs`` and the words of the root.

Laws: pure. Only what is not at its default is written. Defaults of instances are not here: they are in the instances.
"""

from __future__ import annotations

from pyvrrp.config.entries import Entry, differing, number, switches, words
from pyvrrp.model import VRRP_GROUP, VRRP_GROUP6, Fifo, GlobalSettings, ProcessSettings, Script


def global_entries(settings: GlobalSettings) -> tuple[list[Entry], list[Entry]]:
    """Return what stands in ``global_defs``, and what stands beside it."""
    user = [one for one in (settings.script_user, settings.script_group) if one is not None]
    spacing = settings.spacing.get("")
    inside = [
        *differing(("router_id", settings.router_id, "")),
        *([words("script_user", *user)] if user else []),
        *([] if settings.script_security else [words("enable_script_security", "off")]),
        *differing(
            (
                "vrrp_delay_after_boot" if settings.delay_after_boot else "vrrp_startup_delay",
                settings.startup_delay,
                0.0,
            ),
            ("vrrp_mcast_group4", settings.multicast_group4, VRRP_GROUP),
            ("vrrp_mcast_group6", settings.multicast_group6, VRRP_GROUP6),
            ("vrrp_garp_interval", spacing.arp if spacing else 0.0, 0.0),
            ("vrrp_gna_interval", spacing.na if spacing else 0.0, 0.0),
        ),
        *switches(
            ("disable_local_igmp", settings.disable_local_igmp),
            ("log_unknown_vrids", settings.log_unknown_vrids),
            ("vrrp_min_garp", settings.minimal_garp),
        ),
        *_dynamic(settings),
        *_telling(settings),
        *differing(
            ("nftables", settings.nftables_table, "keepalived"),
            ("nftables_priority", settings.nftables_priority, -1),
            ("random_seed", settings.random_seed, None),
            ("vmac_prefix", settings.vmac_prefix, "vrrp"),
        ),
        *_process(settings.process),
    ]
    root = [
        *differing(("net_namespace", settings.namespace, None), ("instance", settings.instance_name, None)),
        *switches(("use_pid_dir", settings.use_pid_dir)),
        *_links(settings),
    ]
    return inside, root


def _dynamic(settings: GlobalSettings) -> list[Entry]:
    if not settings.dynamic_interfaces:
        return []
    return [words("dynamic_interfaces", *(["allow_if_changes"] if settings.allow_interface_changes else []))]


def _fifo(keyword: str, fifo: Fifo | None) -> list[Entry]:
    if fifo is None:
        return []
    script = [] if fifo.script is None else [Entry(f"{keyword}_script", script=fifo.script)]
    return [words(keyword, fifo.path), *script]


def _run(keyword: str, script: Script | None, timeout: float) -> list[Entry]:
    found = [] if script is None else [Entry(keyword, script=script)]
    return [*found, *differing((f"{keyword}_timeout", timeout, 10.0))]


def _telling(settings: GlobalSettings) -> list[Entry]:
    dumps, reloading = settings.dumps, settings.reloading
    http: list[Entry] = []
    if settings.http is not None:
        address, port = settings.http
        http = [words("http_listen", f"[{address}]:{port}" if ":" in address else f"{address}:{port}")]
    return [
        *_fifo("notify_fifo", settings.fifo),
        *_fifo("vrrp_notify_fifo", settings.vrrp_fifo),
        *switches(("fifo_write_vrrp_states_on_reload", settings.fifo_states_on_reload)),
        *_run("startup_script", settings.startup_script, settings.startup_script_timeout),
        *_run("shutdown_script", settings.shutdown_script, settings.shutdown_script_timeout),
        *differing(
            ("state_dump_file", dumps.data, None),
            ("stats_dump_file", dumps.statistics, None),
            ("json_dump_file", dumps.json, None),
            ("json_version", dumps.json_version, 1),
            ("reload_time_file", reloading.time_file, None),
        ),
        *([] if reloading.file is None else [words("reload_file", *([reloading.file] if reloading.file else []))]),
        *switches(("reload_repeat", reloading.repeat)),
        *http,
    ]


def _process(process: ProcessSettings) -> list[Entry]:
    cpus = sorted(process.cpu_affinity)
    return [
        *differing(
            ("vrrp_rt_priority", process.rt_priority, None),
            ("vrrp_rlimit_rttime", process.rlimit_rttime, None),
            ("vrrp_priority", process.nice, None),
            ("max_auto_priority", process.max_auto_priority, 0),
            ("min_auto_priority_delay", process.min_auto_priority_delay, 1_000_000),
            ("umask", None if process.umask is None else f"0{process.umask:o}", None),
            ("vrrp_process_name", process.name, None),
        ),
        *([words("vrrp_cpu_affinity", *cpus)] if cpus else []),
        *switches(("vrrp_no_swap", process.no_swap)),
    ]


def _links(settings: GlobalSettings) -> list[Entry]:
    found: list[Entry] = []
    for interface, spacing in sorted(settings.spacing.items()):
        if interface:
            values = differing(("garp_interval", spacing.arp, 0.0), ("gna_interval", spacing.na, 0.0))
            found.append(Entry("garp_group", block=(words("interface", interface), *values)))
    settled = sorted(settings.settling.items())
    if settled:
        lines = tuple((name, number(delays.down), number(delays.up)) for name, delays in settled)
        found.append(Entry("interface_up_down_delays", lines=lines))
    return found

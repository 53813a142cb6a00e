"""The section ``Global definitions`` of keepalived.data, and what is there whoever is master.

Laws: lines and order are those of 2.2.7. What only concerns parts that are not here (the balancer of the kernel, SNMP,
DBus, BFD) stands at keepalived's default, so that readers find every line that they know.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyvrrp.model import Configuration, Fifo, GlobalSettings, Spacing, VirtualAddress
from pyvrrp.status import shown
from pyvrrp.status.picture import Picture
from pyvrrp.status.shown import yes

_PROCESSES = """\
Checker process priority = 0
Checker don't swap = false
Checker realtime priority = 0
Checker realtime limit = 10000
BFD process priority = 0
BFD don't swap = false
BFD realtime priority = 0
BFD realtime limit = 10000
SNMP vrrp disabled
SNMP checker disabled
SNMP RFCv2 disabled
SNMP RFCv3 disabled
SNMP traps disabled
SNMP socket = default (unix:/var/agentx/master)
DBus disabled
DBus service name = """
_BUFFERS = (
    "vrrp_netlink_cmd", "vrrp_netlink_monitor", "process_monitor", "lvs_netlink_cmd", "lvs_netlink_monitor",
)  # fmt: skip
_RTTIME = 10_000
_UMASK = 0o177
"""keepalived's own, unless ``umask`` is set."""


def global_definitions(picture: Picture, *, parent: bool = False) -> list[str]:
    """Return the lines of the section, without its heading; ``parent``: as the parent process writes them."""
    return shown.indented(1, _lines(picture, parent=parent))


def _lines(picture: Picture, *, parent: bool) -> Iterator[str]:
    settings = picture.configuration.settings
    yield f"Network namespace = {settings.namespace or '(default)'}"
    yield "Network namespace ipvs = (main namespace)"
    yield f"Router ID = {settings.router_id or picture.host}"
    alert = settings.defaults.smtp_alert
    yield f"Default smtp_alert = {'unset' if alert is None else yes(alert, ('on', 'off'))}"
    yield "Default smtp_alert_vrrp = unset"
    yield "Default smtp_alert_checker = unset"
    if parent:
        yield from _start_and_end(settings)
    yield "Checkers log all failures = false"
    yield "No test config before reload"
    yield f"Dynamic interfaces = {yes(settings.dynamic_interfaces)}"
    if settings.dynamic_interfaces:
        yield f"Allow interface changes = {yes(settings.allow_interface_changes)}"
    if not parent:
        yield f"Default interface = {_default_interface(picture.configuration)}"
    yield f"Disable local IGMP = {yes(settings.disable_local_igmp, ('yes', 'no'))}"
    yield "LVS flush = false"
    yield "LVS flush on stop = disabled"
    yield from _fifo("Global", settings.fifo, settings, parent=parent)
    yield from _fifo("VRRP", settings.vrrp_fifo, settings, parent=parent)
    yield f"FIFO write vrrp states on reload = {yes(settings.fifo_states_on_reload)}"
    yield f"VRRP notify priority changes = {yes(settings.defaults.notify_priority_changes)}"
    yield f"VRRP IPv4 mcast group = {settings.multicast_group4}"
    yield f"VRRP IPv6 mcast group = {settings.multicast_group6}"
    filters = any(not one.accept or one.vmac is not None for one in picture.configuration.instances)
    yield from _announcing(settings, parent=parent, filters=filters and not parent)
    yield from _process(settings)
    yield f"Script security {yes(settings.script_security, ('enabled', 'disabled'))}"
    yield f"Default script {shown.owner(settings.script_user, settings.script_group)}"
    for buffer in _BUFFERS:
        yield f"{buffer}_rcv_bufs = 0"
        yield f"{buffer}_rcv_bufs_force = 0"
    yield "rs_init_notifies = 0"
    yield "no_checker_emails = 0"
    yield "rx_bufs_multiples = 3"
    yield from _limits(settings, parent=parent)


def _limits(settings: GlobalSettings, *, parent: bool) -> Iterator[str]:
    umask = settings.process.umask
    yield f"umask = 0{_UMASK if umask is None else umask:o}"
    if settings.startup_delay:
        yield f"vrrp_startup_delay = {settings.startup_delay:g}"
    if settings.process.rt_priority and not parent:
        yield f"current realtime priority = {settings.process.rt_priority}"
        yield f"current realtime time limit = {settings.process.rlimit_rttime or _RTTIME}"


def _start_and_end(settings: GlobalSettings) -> Iterator[str]:
    start, end = settings.startup_script, settings.shutdown_script
    if start is not None:
        yield f"Startup script = {shown.script(start)}, timeout {settings.startup_script_timeout:.0f}"
    if end is not None:
        yield f"Shutdown script = {shown.script(end)} timeout {settings.shutdown_script_timeout:.0f}"


def _default_interface(configuration: Configuration) -> str:
    return configuration.settings.defaults.interface or "eth0"  # keepalived's own, whether it is there or not


def _fifo(name: str, fifo: Fifo | None, settings: GlobalSettings, *, parent: bool) -> Iterator[str]:
    if fifo is None:
        return
    yield f"{name} notify fifo = {fifo.path}, {shown.owner(settings.script_user, settings.script_group)}"
    if fifo.script is not None:
        words = fifo.script.words if parent else (*fifo.script.words, fifo.path)
        yield f"{name} notify fifo script = {shown.command(words)}, {shown.owner(fifo.script.user, fifo.script.group)}"


def _announcing(settings: GlobalSettings, *, parent: bool, filters: bool) -> Iterator[str]:
    defaults, spacing = settings.defaults, settings.spacing.get("", Spacing())
    garp = defaults.garp
    yield f"Gratuitous ARP delay = {int(garp.delay)}"
    yield f"Gratuitous ARP repeat = {garp.repeat}"
    yield f"Gratuitous ARP refresh timer = {int(garp.refresh)}"
    yield f"Gratuitous ARP refresh repeat = {garp.refresh_repeat}"
    unresolved = 0xFFFFFFFF  # the parent of 2.2.7 has not settled these two: readers of its file know them so
    yield f"Gratuitous ARP lower priority delay = {unresolved if parent else int(garp.lower_prio_delay)}"
    yield f"Gratuitous ARP lower priority repeat = {unresolved if parent else garp.lower_prio_repeat}"
    yield f"Num adverts before down = {defaults.down_timer_adverts}"
    yield f"Gratuitous ARP for each secondary VMAC = {garp.extra_interface:g}s"
    yield f"Send advert after receive lower priority advert = {yes(defaults.answers_lower_priority)}"
    yield f"Send advert after receive higher priority advert = {yes(defaults.answers_higher_priority is True)}"
    yield f"Gratuitous ARP interval = {spacing.arp:.6f}"
    yield f"Gratuitous NA interval = {spacing.na:.6f}"
    yield f"VRRP default protocol version = {defaults.version}"
    if filters:
        yield f"nftables table name = {settings.nftables_table}"
        yield f"nftables base chain priority = {settings.nftables_priority}"
        yield "nftables don't force use ifindex for link local IPv6"
    yield "nftables without counters"
    yield "libnftnl version 1.2.3"
    yield f"VRRP check unicast_src = {yes(defaults.check_unicast_source)}"
    yield f"VRRP skip check advert addresses = {yes(defaults.skip_check_addresses)}"
    yield f"VRRP strict mode = {yes(defaults.strict)}"
    most = settings.process.max_auto_priority
    yield f"Max auto priority = {'Disabled' if most < 0 else most}"
    yield f"Min auto priority delay = {settings.process.min_auto_priority_delay} usecs"


def _process(settings: GlobalSettings) -> Iterator[str]:
    process = settings.process
    yield f"VRRP process priority = {process.nice or 0}"
    yield f"VRRP don't swap = {yes(process.no_swap)}"
    yield f"VRRP realtime priority = {process.rt_priority or 0}"
    yield f"VRRP realtime limit = {process.rlimit_rttime or _RTTIME}"
    yield from _PROCESSES.splitlines()


def static_sections(picture: Picture) -> Iterator[tuple[str, list[str]]]:
    """Yield heading and lines of each section about what is there whoever is master."""
    configuration = picture.configuration
    there = {address for link in picture.links for address in link.addresses}

    def static(one: VirtualAddress) -> str:
        return shown.address(one, one.device or "", held=one.interface in there)

    if configuration.static_addresses:
        yield "Static Addresses", shown.indented(5, map(static, configuration.static_addresses))
    if configuration.static_routes:
        yield "Static Routes", shown.indented(5, map(shown.route, configuration.static_routes))
    if configuration.static_rules:
        yield "Static Rules", shown.indented(5, map(shown.rule, configuration.static_rules))
    if configuration.track_groups:
        lines = []
        for group in configuration.track_groups:
            lines += [f" Static Track Group = {group.name}", "   VRRP member instances :"]
            lines += [f"     {member}" for member in group.members]
        yield "Static Track groups", lines

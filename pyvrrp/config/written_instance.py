"""From an Instance to the keywords of its block.

Laws: pure. State, priority and interval are always written, for their defaults depend on each other; anything else only
where it differs from what would hold without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyvrrp.config.entries import Entry, differing, lines, switches, words
from pyvrrp.config.route_line import route_text
from pyvrrp.config.rule_line import rule_text
from pyvrrp.model import (
    AuthType,
    Configuration,
    GlobalSettings,
    GratuitousArp,
    Instance,
    NotifyScripts,
    Route,
    Rule,
    Script,
    Tracked,
    Tracker,
    TrackerKind,
    Unicast,
    UnicastPeer,
    VirtualAddress,
    usual_lease,
)


class Defaults:
    """What a line means that does not say it: from the trackers of a configuration and from its settings."""

    def __init__(self, configuration: Configuration) -> None:
        self.settings = configuration.settings
        kinds: dict[TrackerKind, Sequence[Tracker]] = {
            TrackerKind.SCRIPT: configuration.scripts,
            TrackerKind.FILE: configuration.files,
            TrackerKind.PROCESS: configuration.processes,
            TrackerKind.HTTP: configuration.urls,
        }
        self._trackers = {(kind, one.name): one for kind, trackers in kinds.items() for one in trackers}

    def script(self, script: Script) -> Script:
        """Return a script without the user that it would have without one."""
        usual = (self.settings.script_user, self.settings.script_group)
        return replace(script, user=None, group=None) if (script.user, script.group) == usual else script

    def is_usual(self, one: Tracked) -> bool:
        """Whether the name alone says all of a ``track_*`` line."""
        tracker = self._trackers.get(one.key)
        usual = (0, False) if tracker is None else (tracker.weight, tracker.reverse)
        return (one.weight, one.reverse) == usual


def instance_entry(instance: Instance, defaults: Defaults) -> Entry:
    """Return the ``vrrp_instance`` block."""
    settings = defaults.settings
    found = [
        words("state", instance.initial_state.value),
        words("interface", instance.interface),
        words("virtual_router_id", instance.virtual_router_id),
        words("priority", instance.priority),
        words("advert_int", instance.advert_interval),
        *([Entry("native_ipv6")] if instance.family == 6 else differing(("version", instance.version, 2))),
        *_protocol(instance),
        *_security(instance),
        *_transport(instance, settings),
        *lines("virtual_ipaddress", [address_words(one) for one in instance.addresses]),
        *switches(("no_virtual_ipaddress", not instance.addresses and not instance.strict)),
        *lines("virtual_ipaddress_excluded", [address_words(one) for one in instance.excluded]),
        *lines("virtual_routes", [route_words(one) for one in instance.routes]),
        *lines("virtual_rules", [rule_words(one) for one in instance.rules]),
        *tracked_entries(instance.tracked, defaults),
        *notify_entries(instance.notify, defaults),
        *switches(
            ("notify_deleted", instance.notify_deleted and instance.notify.deleted is None),
            ("notify_priority_changes", instance.notify_priority_changes),
            ("smtp_alert", instance.smtp_alert),
        ),
        *_garp(instance, everything=settings.minimal_garp),
    ]
    return Entry("vrrp_instance", (instance.name,), block=tuple(found), named=True)


def _protocol(instance: Instance) -> list[Entry]:
    strict, owner = instance.strict, instance.is_owner
    accepts = owner or not strict
    return [
        *switches(("strict_mode", strict), ("nopreempt", not instance.preempt)),
        *differing(
            ("preempt_delay", instance.preempt_delay, 0.0),
            ("down_timer_adverts", instance.down_timer_adverts, 3),
            ("timer_expired_backup", instance.timer_expired_backup, 0.0),
            ("vip_lease", "off" if instance.vip_lease is None else instance.vip_lease, _usual_lease(instance)),
            ("debug", instance.debug, 0),
            ("kernel_rx_buf_size", instance.receive_buffer, None),
        ),
        *switches(
            ("accept", instance.accept and not accepts),
            ("no_accept", not instance.accept and accepts),
            ("lower_prio_no_advert", not instance.answers_lower_priority and not strict),
            ("higher_prio_send_advert", instance.answers_higher_priority is True),
            ("owner_ignore_adverts", instance.owner_ignores_adverts and not strict),
            ("skip_check_adv_addr", instance.skip_check_addresses),
            ("v3_checksum_as_v2", instance.checksum_as_v2),
            ("dont_track_primary", not instance.track_primary),
            ("promote_secondaries", instance.promote_secondaries),
        ),
        *(
            [words("higher_prio_send_advert", "off")]
            if instance.answers_higher_priority is False and not strict
            else []
        ),
    ]


def _usual_lease(instance: Instance) -> int:
    return usual_lease(instance.advert_interval, instance.down_timer_adverts)


def _security(instance: Instance) -> list[Entry]:
    found: list[Entry] = []
    if instance.authentication.type is not AuthType.NONE:
        password = instance.authentication.password.decode("utf-8", "surrogateescape")
        inside = (words("auth_type", instance.authentication.type.name), Entry("auth_pass", (password,)))
        found.append(Entry("authentication", block=inside))
    if instance.hmac is not None:
        keys = [words("key", name, "hex:" + key.hex()) for name, key in sorted(instance.hmac.keys.items())]
        lines_of_keys = (
            *keys,
            words("active_key", instance.hmac.active_key),
            words("anti_replay", "monotonic" if instance.hmac.monotonic else "time"),
            words("time_window", instance.hmac.time_window),
            words("mode", instance.hmac.mode.value),
        )
        found.append(Entry("auth_hmac", block=lines_of_keys))
    return found


def _transport(instance: Instance, settings: GlobalSettings) -> list[Entry]:
    found: list[Entry] = []
    unicast = isinstance(instance.transport, Unicast)
    if isinstance(instance.transport, Unicast):
        found += lines("unicast_peer", [_peer(peer) for peer in instance.transport.peers])
        found += switches(("unicast_fault_no_peer", instance.transport.fault_no_peer))
        found += differing(("unicast_ttl", instance.transport.ttl, 255))
    else:
        group = settings.multicast_group6 if instance.family == 6 else settings.multicast_group4
        found += differing(("mcast_dst_ip", instance.transport.group, group))
    found += differing(("unicast_src_ip" if unicast else "mcast_src_ip", instance.source, None))
    found += switches(
        ("track_src_ip", instance.track_source),
        ("check_unicast_src", instance.check_unicast_source),
        ("old_unicast_checksum", instance.old_unicast_checksum),
    )
    vmac = instance.vmac
    if vmac is not None and vmac.addresses_only:
        found.append(Entry("use_vmac_addr"))
    elif vmac is not None:
        address = [] if vmac.address is None else [vmac.address.hex(":")]
        found.append(words("use_vmac", *([vmac.name] if vmac.name else []), *address))
        found += switches(("vmac_xmit_base", vmac.xmit_base))
    return found


def _peer(peer: UnicastPeer) -> tuple[str, ...]:
    bounds = (("min_ttl", peer.min_ttl), ("max_ttl", peer.max_ttl))
    return (str(peer.address), *(word for name, value in bounds if value is not None for word in (name, str(value))))


def address_words(address: VirtualAddress) -> tuple[str, ...]:
    """Return the line of an address; its length is always there."""
    host = address.ip.version == 6 and address.interface.network.prefixlen == 128 and address.peer is None
    lifetime: object = address.preferred_lft
    if address.ip.version == 6 and address.interface.network.prefixlen == 128:
        lifetime = "forever" if address.preferred_lft is None else address.preferred_lft or None
    values = (
        ("dev", address.device),
        ("scope", address.scope or None),
        ("label", address.label),
        ("brd", address.broadcast),
        ("peer", address.peer),
        ("preferred_lft", lifetime),
        ("track_group", address.track_group),
    )
    flags = (
        ("home", address.home),
        ("mngtmpaddr", address.mngtmpaddr),
        ("noprefixroute", address.noprefixroute),
        ("autojoin", address.autojoin),
        ("-nodad", address.dad),
        ("use_vmac", address.use_vmac),
        ("no_track", not address.tracked),
    )
    found = [str(address.ip) if host or address.peer is not None else str(address.interface)]
    found += [word for name, value in values if value is not None for word in (name, str(value))]
    return (*found, *(name for name, on in flags if on))


def route_words(route: Route) -> tuple[str, ...]:
    """Return the line of a route; what does not belong to the route itself stands before its next hops."""
    return _tracked_words(route_text(route).split(), route.track_group, tracked=route.tracked)


def rule_words(rule: Rule) -> tuple[str, ...]:
    """Return the line of a rule."""
    return _tracked_words(rule_text(rule).split(), rule.track_group, tracked=rule.tracked)


def _tracked_words(found: list[str], group: str | None, *, tracked: bool) -> tuple[str, ...]:
    more = ([] if tracked else ["no_track"]) + ([] if group is None else ["track_group", group])
    return (*found, *more)


def tracked_entries(tracked: Sequence[Tracked], defaults: Defaults) -> list[Entry]:
    """Return one ``track_*`` block for each kind that is tracked."""
    found: list[Entry] = []
    for kind in TrackerKind:
        found += lines(kind.value, [_tracked_line(one, defaults) for one in tracked if one.kind is kind])
    return found


def _tracked_line(one: Tracked, defaults: Defaults) -> tuple[str, ...]:
    direction = "reverse" if one.reverse else "noreverse"
    return (one.name,) if defaults.is_usual(one) else (one.name, "weight", str(one.weight), direction)


def notify_entries(scripts: NotifyScripts, defaults: Defaults) -> list[Entry]:
    """Return the ``notify`` lines that there are."""
    kinds = ("master", "backup", "fault", "stop", "deleted", "master_rx_lower_pri", "any")
    found = [(f"notify_{kind}" if kind != "any" else "notify", getattr(scripts, kind)) for kind in kinds]
    return [Entry(keyword, script=defaults.script(script)) for keyword, script in found if script is not None]


def _garp(instance: Instance, *, everything: bool) -> list[Entry]:
    """Return what differs; ``vrrp_min_garp`` has changed the defaults, so then all of it is said."""
    garp, default = instance.garp, GratuitousArp(*[-1] * 6) if everything else GratuitousArp()
    lower = () if instance.strict else (
        ("garp_lower_prio_delay", garp.lower_prio_delay, default.lower_prio_delay),
        ("garp_lower_prio_repeat", garp.lower_prio_repeat, default.lower_prio_repeat),
    )  # fmt: skip
    return differing(
        ("garp_master_delay", garp.delay, default.delay),
        ("garp_master_repeat", garp.repeat, default.repeat),
        ("garp_master_refresh", garp.refresh, default.refresh),
        ("garp_master_refresh_repeat", garp.refresh_repeat, default.refresh_repeat),
        *lower,
        ("garp_extra_if", garp.extra_interface, default.extra_interface),
    )

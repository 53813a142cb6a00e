"""From the model to what is written of it: trackers, groups, static things; instances are in ``written_instance.py``.

Laws: pure. What is at its default is left out; reading what is written gives the same configuration, but for places.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyvrrp.config.entries import Entry, differing, lines, switches, words
from pyvrrp.config.written_globals import global_entries
from pyvrrp.config.written_instance import (
    Defaults,
    address_words,
    instance_entry,
    notify_entries,
    route_words,
    rule_words,
    tracked_entries,
)
from pyvrrp.model import Configuration, SyncGroup, TrackFile, TrackHttp, TrackProcess, TrackScript


def entries(configuration: Configuration) -> dict[str, list[Entry]]:
    """Return everything by part: ``global``, ``root``, ``track_groups``, ``static``, trackers, groups, instances."""
    inside, root = global_entries(configuration.settings)
    defaults = Defaults(configuration)
    return {
        "root": root,
        "global": inside,
        "scripts": [_script(script, defaults) for script in configuration.scripts],
        "files": [_file(file) for file in configuration.files],
        "processes": [_process(process) for process in configuration.processes],
        "urls": [_url(url) for url in configuration.urls],
        "track_groups": [
            Entry("track_group", (group.name,), block=(_members(group.members),), named=True)
            for group in configuration.track_groups
        ],
        "static": [
            *lines("static_ipaddress", [address_words(one) for one in configuration.static_addresses]),
            *lines("static_routes", [route_words(one) for one in configuration.static_routes]),
            *lines("static_rules", [rule_words(one) for one in configuration.static_rules]),
        ],
        "groups": [_group(group, defaults) for group in configuration.groups],
        "instances": [instance_entry(one, defaults) for one in configuration.instances],
    }


def _members(names: Sequence[str]) -> Entry:
    return Entry("group", lines=tuple((name,) for name in names))


def weight(value: int, default: int, *, reverse: bool) -> list[Entry]:
    """Return ``weight N [reverse]``, if it is not the default."""
    if value == default and not reverse:
        return []
    return [words("weight", value, *(["reverse"] if reverse else []))]


def _script(script: TrackScript, defaults: Defaults) -> Entry:
    found = [
        Entry("script", script=script.script),
        *differing(("interval", script.interval, 1.0), ("timeout", script.timeout, None)),
        *weight(script.weight, 0, reverse=script.reverse),
        *differing(("rise", script.rise, 1), ("fall", script.fall, 1)),
        *switches(("init_fail", script.init_fail)),
    ]
    own = defaults.script(script.script)
    user = [one for one in (own.user, own.group) if one is not None]
    return Entry("vrrp_script", (script.name,), block=(*found, *([words("user", *user)] if user else [])), named=True)


def _file(file: TrackFile) -> Entry:
    found = [words("file", file.path), *weight(file.weight, 1, reverse=file.reverse)]
    if file.initial is not None:
        found.append(words("init_file", file.initial, *(["overwrite"] if file.overwrite else [])))
    return Entry("track_file", (file.name,), block=tuple(found), named=True)


def _process(process: TrackProcess) -> Entry:
    found = [words("process", *process.words)]
    if process.parameters == "exact":
        found += [Entry("param_match")] if len(process.words) == 1 else []
    elif process.parameters is not None:
        found.append(words("param_match", process.parameters))
    found += [
        *switches(("full_command", process.full_command and process.parameters is None)),
        *weight(process.weight, 0, reverse=process.reverse),
        *(differing(("quorum", process.quorum, 1)) if process.quorum else []),
        *differing(
            ("quorum_max", process.quorum_max, None),
            ("fork_delay", process.fork_delay, 0.0),
            ("terminate_delay", process.terminate_delay, 0.0),
        ),
    ]
    return Entry("vrrp_track_process", (process.name,), block=tuple(found), named=True)


def _url(url: TrackHttp) -> Entry:
    statuses = tuple(str(low) if low == high else f"{low}-{high}" for low, high in url.statuses)
    found = [
        words("url", url.url),
        *([] if url.statuses == ((200, 299),) else [words("status", *statuses)]),
        *differing(
            ("method", url.method, "GET"),
            ("interval", url.interval, 2.0),
            ("timeout", url.timeout, 1.0),
            ("rise", url.rise, 1),
            ("fall", url.fall, 1),
        ),
        *weight(url.weight, 0, reverse=url.reverse),
        *switches(("init_fail", url.init_fail)),
    ]
    return Entry("vrrp_track_http", (url.name,), block=tuple(found), named=True)


def _group(group: SyncGroup, defaults: Defaults) -> Entry:
    found = [
        _members(group.members),
        *tracked_entries(group.tracked, defaults),
        *notify_entries(group.notify, defaults),
        *switches(
            ("sync_group_tracking_weight", group.uses_weights),
            ("notify_priority_changes", group.notify_priority_changes),
            ("smtp_alert", group.smtp_alert),
        ),
    ]
    return Entry("vrrp_sync_group", (group.name,), block=tuple(found), named=True)

r"""keepalived.json: the instances with their counters, in keepalived's two versions of it.

Laws: keys, their order and their types are those of 2.2.7 (clients decode strictly: some truths are 0 or 1, others
true or false, and seconds that are whole are integers); ``/`` is written as ``\/``. Lists that are empty and scripts
that are not set are left out. A password is masked, as in keepalived from 2.4 on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pyvrrp.model import AuthType, Instance, TrackerKind
from pyvrrp.status import shown
from pyvrrp.status.data_instances import device_of
from pyvrrp.status.picture import STATE_NUMBERS, Picture, RouterPicture
from pyvrrp.status.shown import number

Json = str | int | float | bool | Sequence["Json"] | Mapping[str, "Json"]
COUNTERS = (
    "advert_rcvd", "advert_sent", "become_master", "release_master", "packet_len_err", "advert_interval_err",
    "ip_ttl_err", "invalid_type_rcvd", "addr_list_err", "invalid_authtype", "authtype_mismatch", "auth_failure",
    "pri_zero_rcvd", "pri_zero_sent",
)  # fmt: skip


class Moment(float):
    """Seconds since 1970 that are written with six decimals."""


def json_text(picture: Picture) -> str:
    """Return the whole file."""
    version = picture.configuration.settings.dumps.json_version
    instances: list[Json] = [
        {"data": _data(router, processes=version > 1), "stats": {name: router.statistics[name] for name in COUNTERS}}
        for router in picture.routers
    ]
    if version == 1:
        return _write(instances) + "\n"
    return _write({"vrrp": instances, "track_process": _processes(picture)}) + "\n"


def _write(value: Json) -> str:
    match value:
        case Moment():
            return f"{value:.6f}"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("/", "\\/")
        case bool() | int() | float():
            return json.dumps(value)
        case Mapping():
            return "{" + ",".join(f"{_write(name)}:{_write(one)}" for name, one in value.items()) + "}"
        case _:
            return "[" + ",".join(map(_write, value)) + "]"


def _is_set(router: RouterPicture) -> bool:
    """Return whether what a master has is where it belongs; a cloud's script may be all that it has."""
    instance = router.instance
    return bool(router.held) or (router.state.name == "MASTER" and not (instance.addresses or instance.excluded))


def _data(router: RouterPicture, *, processes: bool) -> dict[str, Json]:
    instance, garp = router.instance, router.instance.garp
    vmac = device_of(instance).partition("@")[0] if instance.vmac and not instance.vmac.addresses_only else ""
    return {
        "iname": instance.name,
        "dont_track_primary": int(not instance.track_primary),
        "skip_check_adv_addr": int(instance.skip_check_addresses),
        "strict_mode": int(instance.strict),
        "vmac_ifname": vmac,
        "ifp_ifname": vmac or instance.interface,
        "master_priority": router.master[1],
        "last_transition": Moment(router.changed_at),
        "garp_delay": number(garp.delay),
        "garp_refresh": number(garp.refresh),
        "garp_rep": garp.repeat,
        "garp_refresh_rep": garp.refresh_repeat,
        "garp_lower_prio_delay": number(garp.lower_prio_delay),
        "garp_lower_prio_rep": garp.lower_prio_repeat,
        "lower_prio_no_advert": int(not instance.answers_lower_priority),
        "higher_prio_send_advert": int(instance.answers_higher_priority is True),
        "vrid": instance.virtual_router_id,
        "base_priority": instance.priority,
        "effective_priority": router.priority,
        "vipset": _is_set(router),
        "promote_secondaries": instance.promote_secondaries,
        "adver_int": number(instance.advert_interval),
        "master_adver_int": number(router.advert_interval),
        "accept": int(instance.accept),
        "nopreempt": not instance.preempt,
        "preempt_delay": number(instance.preempt_delay),
        "state": STATE_NUMBERS[router.state.name],
        "wantstate": STATE_NUMBERS[router.wanted],
        "version": instance.version,
        "smtp_alert": instance.smtp_alert,
        "notify_deleted": instance.notify_deleted,
        **_scripts(instance),
        **_lists(router, processes=processes),
        **_authentication(instance),
    }


def _scripts(instance: Instance) -> dict[str, Json]:
    notify = instance.notify
    named = {
        "script_backup": notify.backup,
        "script_master": notify.master,
        "script_fault": notify.fault,
        "script_stop": notify.stop,
        "script_deleted": notify.deleted,
        "script": notify.any,
        "script_master_rx_lower_pri": notify.master_rx_lower_pri,
    }
    return {name: shown.command(script.words) for name, script in named.items() if script is not None}


def _lists(router: RouterPicture, *, processes: bool) -> dict[str, Json]:
    instance = router.instance
    device = device_of(instance)

    def addresses(kind: str) -> list[Json]:
        filtered = not instance.accept
        return [
            shown.address(one, device, held=one.interface in router.held, filtered=filtered)
            for one in getattr(instance, kind)
        ]

    def names(kind: TrackerKind) -> list[Json]:
        return [line.name for line in instance.tracked if line.kind is kind]

    lists: dict[str, list[Json]] = {
        "vips": addresses("addresses"),
        "evips": addresses("excluded"),
        "vroutes": [shown.route(one) for one in instance.routes],
        "vrules": [shown.rule(one) for one in instance.rules],
        "track_ifp": names(TrackerKind.INTERFACE),
        "track_script": [*router.script_commands],
        "track_process": names(TrackerKind.PROCESS) if processes else [],  # version 1 of 2.2.7 does not list them
    }
    return {name: values for name, values in lists.items() if values}


def _authentication(instance: Instance) -> dict[str, Json]:
    kind = instance.authentication.type
    data: dict[str, Json] = {"auth_type": kind.value}
    return data if kind is AuthType.NONE else {**data, "auth_data": shown.MASKED}


def _processes(picture: Picture) -> list[Json]:
    listed: list[Json] = []
    for process in picture.configuration.processes:
        known = picture.trackers.get((TrackerKind.PROCESS, process.name))
        works = bool(known and known.reading)
        listed.append({"name": process.name, "have_quorum": works, "num_cur_proc": known.count if known else 0})
    return listed

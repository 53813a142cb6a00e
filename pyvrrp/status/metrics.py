"""The text of ``/metrics``: first under the names that keepalived's Prometheus exporter uses, then what only we have.

Laws: pure: a status document, the instances and the counts of events in, text out. The names, labels and numbers of the
first part are those of keepalived-exporter 1.7, so that dashboards made for it go on working. Times are seconds, and
what is not known is left out, never shown as 0.

Source: Prometheus, "Exposition formats", text format 0.0.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hakit.transcript import Value
from pyvrrp.model import Instance, VirtualAddress

STATES = {"INIT": 0, "BACKUP": 1, "MASTER": 2, "FAULT": 3}
EXPORTED = {
    "advert_rcvd": ("advertisements_received", "Advertisements received"),
    "advert_sent": ("advertisements_sent", "Advertisements sent"),
    "become_master": ("become_master", "Became master"),
    "release_master": ("release_master", "Released master"),
    "packet_len_err": ("packet_length_errors", "Packets of a wrong length"),
    "advert_interval_err": ("advertisements_interval_errors", "Advertisements with another interval"),
    "ip_ttl_err": ("ip_ttl_errors", "Packets with a wrong TTL or hop limit"),
    "invalid_type_rcvd": ("invalid_type_received", "Packets of a type that does not exist"),
    "addr_list_err": ("address_list_errors", "Advertisements with other addresses"),
    "invalid_authtype": ("authentication_invalid", "Packets of an authentication type that does not exist"),
    "authtype_mismatch": ("authentication_mismatch", "Packets of another authentication type"),
    "auth_failure": ("authentication_failure", "Packets that failed authentication"),
    "pri_zero_rcvd": ("priority_zero_received", "Resignations received"),
    "pri_zero_sent": ("priority_zero_sent", "Resignations sent"),
}
"""The counters that keepalived has, by its names: the exporter's name without prefix and ``_total``, and the help."""


@dataclass(frozen=True, slots=True)
class _Family:
    """A metric: all its samples stand together, below its help and its type."""

    name: str
    type: str
    help: str
    samples: Sequence[tuple[Mapping[str, object], object]]

    def lines(self) -> Iterator[str]:
        if self.samples:
            yield f"# HELP {self.name} {self.help}"
            yield f"# TYPE {self.name} {self.type}"
        for labels, value in self.samples:
            text = ",".join(f'{name}="{_escaped(str(one))}"' for name, one in labels.items())
            yield f"{self.name}{{{text}}} {_number(value)}" if text else f"{self.name} {_number(value)}"


def render(status: Mapping[str, Value], instances: Sequence[Instance], events: Mapping[tuple[str, str], int]) -> str:
    """Return the whole text; ``status`` is the document of the ``status`` command, ``events`` are counts by source and
    name.
    """
    told = {str(one["name"]): one for one in _documents(status, "instances")}
    pairs = [(instance, told[instance.name]) for instance in instances if instance.name in told]
    trackers = _documents(status, "trackers") or _documents(status, "scripts")
    families = (*_exporter(pairs, trackers), *_instances(pairs), *_trackers(trackers), _events(events))
    return "".join(f"{line}\n" for family in families for line in family.lines())


def _documents(status: Mapping[str, Value], name: str) -> list[dict[str, Value]]:
    found = status.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


Pairs = Sequence[tuple[Instance, Mapping[str, Value]]]


def _exporter(pairs: Pairs, trackers: Sequence[Mapping[str, Value]]) -> Iterator[_Family]:
    yield _Family("keepalived_up", "gauge", "Whether the daemon answers", [({}, 1)])
    for name, of in (("vrrp_state", "addresses"), ("vrrp_excluded_state", "excluded")):
        yield _Family(
            f"keepalived_{name}",
            "gauge",
            "State of the instance: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT",
            [
                ({**_labels(instance, address), "ip_address": shown(address)}, STATES[str(told["state"])])
                for instance, told in pairs
                for address in getattr(instance, of)
            ],
        )
    yield _Family(
        "keepalived_gratuitous_arp_delay_total",
        "gauge",
        "Seconds to the second burst of gratuitous ARP",
        [(_labels(instance), instance.garp.delay) for instance, _ in pairs],
    )
    for counter, (name, words) in EXPORTED.items():
        samples = [(_labels(instance), _counters(told).get(counter, 0)) for instance, told in pairs]
        yield _Family(f"keepalived_{name}_total", "counter", words, samples)
    known = [one for one in trackers if one.get("kind", "track_script") == "track_script"]
    yield _Family(
        "keepalived_script_status",
        "gauge",
        "Whether the script works: 1 GOOD, 0 BAD",
        [({"name": one["name"]}, int(reading)) for one in known if (reading := _reading(one)) is not None],
    )
    yield _Family(
        "keepalived_script_state",
        "gauge",
        "0 idle, 1 running",
        [({"name": one["name"]}, int(bool(one.get("running")))) for one in known],
    )


def _instances(pairs: Pairs) -> Iterator[_Family]:
    for name, type_, words, field in (
        ("base_priority", "gauge", "Priority as configured", "base_priority"),
        ("effective_priority", "gauge", "Priority after tracking", "effective_priority"),
        ("state_age_seconds", "gauge", "Seconds since the last transition", "age"),
        ("deadline_seconds", "gauge", "Seconds until the next timer", "deadline_in"),
    ):
        samples = [(_labels(instance), told[field]) for instance, told in pairs if told.get(field) is not None]
        yield _Family(f"pyvrrp_{name}", type_, words, samples)
    yield _Family(
        "pyvrrp_faults",
        "gauge",
        "Causes for which the instance is in FAULT",
        [(_labels(instance), len(faults)) for instance, told in pairs if isinstance(faults := told["faults"], list)],
    )
    yield _Family(
        "pyvrrp_split_brains_total",
        "counter",
        "How often another master was heard beside this one",
        [(_labels(instance), told["split_brains"]) for instance, told in pairs if "split_brains" in told],
    )
    for name, words in (("priority", "Priority that a peer last told"), ("age_seconds", "Seconds since it was heard")):
        yield _Family(
            f"pyvrrp_peer_{name}",
            "gauge",
            words,
            [
                ({**_labels(instance), "peer": peer["address"]}, peer[name.removesuffix("_seconds")])
                for instance, told in pairs
                for peer in _documents(told, "peers")
            ],
        )
    ours = sorted({name for _, told in pairs for name in _counters(told)} - EXPORTED.keys())
    for counter in ours:
        yield _Family(
            f"pyvrrp_{counter}_total",
            "counter",
            f"The counter {counter} of the instance",
            [(_labels(instance), _counters(told).get(counter, 0)) for instance, told in pairs],
        )


def _trackers(trackers: Sequence[Mapping[str, Value]]) -> Iterator[_Family]:
    def labels(one: Mapping[str, Value]) -> dict[str, object]:
        return {"name": one["name"], "kind": one.get("kind", "track_script")}

    readings = [(labels(one), reading) for one in trackers if (reading := _reading(one)) is not None]
    yield _Family("pyvrrp_tracker_reading", "gauge", "What the tracker says: 1 works, 0 failed, or its value", readings)
    for name, type_, words, field in (
        ("last_duration_seconds", "gauge", "How long the last check took", "last_duration"),
        ("mean_duration_seconds", "gauge", "How long a check takes on the average", "mean_duration"),
        ("max_duration_seconds", "gauge", "How long the longest check took", "max_duration"),
        ("age_seconds", "gauge", "Seconds since the last check ended", "age"),
        ("runs_total", "counter", "Checks that ended", "runs"),
        ("timeouts_total", "counter", "Checks that timed out", "timeouts"),
    ):
        samples = [(labels(one), one[field]) for one in trackers if isinstance(one.get(field), int | float)]
        yield _Family(f"pyvrrp_tracker_{name}", type_, words, samples)


def _events(events: Mapping[tuple[str, str], int]) -> _Family:
    samples = [({"source": source, "event": event}, count) for (source, event), count in sorted(events.items())]
    return _Family("pyvrrp_events_total", "counter", "Events told since the start", samples)


def _labels(instance: Instance, address: VirtualAddress | None = None) -> dict[str, object]:
    device = address.device if address is not None and address.device else instance.interface
    return {"iname": instance.name, "intf": device, "vrid": instance.virtual_router_id}


def _counters(told: Mapping[str, Value]) -> Mapping[str, Value]:
    counters = told.get("statistics")
    return counters if isinstance(counters, dict) else {}


def _reading(one: Mapping[str, Value]) -> int | None:
    reading = one.get("reading", one.get("works"))
    return int(reading) if isinstance(reading, int) else None


def shown(address: VirtualAddress) -> str:
    """Return an address as keepalived's dumps begin with it: the length is left out if the address is a host's."""
    return str(address.ip) if address.interface.network.num_addresses == 1 else str(address.interface)


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

"""The same configuration in YAML."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hakit.diagnostics import ConfigError, Location
from pyvrrp.config.load import load, read
from pyvrrp.model import NOWHERE, Configuration, Instance, Script, Tracked, TrackerKind, Unicast

LAB = Path(__file__).parents[2] / "configs/lab"
REQUIRED = "instances:\n  V:\n    interface: eth0\n    virtual_router_id: 51\n    virtual_ipaddress: [10.9.0.100]\n"


def nowhere(value: Any) -> Any:
    """Return a model without its places."""
    if isinstance(value, Location):
        return NOWHERE
    if isinstance(value, tuple):
        return tuple(nowhere(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        kept = ("interface",) if type(value).__name__ == "VirtualAddress" else ()
        changed = {
            one.name: nowhere(getattr(value, one.name)) for one in fields(value) if one.init and one.name not in kept
        }
        return replace(value, **changed)
    return value


def configuration(text: str) -> Configuration:
    return read(text.encode(), "c.yaml").configuration


def instance(text: str) -> Instance:
    (found,) = configuration(text).instances
    return found


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        configuration(text)
    return "\n".join(
        f"{one.location}: {one.message}" for one in error.value.diagnostics if one.severity.value == "error"
    )


@pytest.mark.parametrize("number", [1, 2])
def test_both_forms_of_the_lab_build_the_same_configuration(number: int) -> None:
    classic = load(LAB / f"keepalived.haproxy{number}.conf")
    yaml = load(LAB / f"pyvrrp.haproxy{number}.yaml")
    assert nowhere(classic.configuration) == nowhere(yaml.configuration)
    assert [one.message for one in classic.warnings] == [one.message for one in yaml.warnings]
    assert all(one.advice for one in yaml.warnings)


def test_the_pair_of_the_lab_changes_places_when_a_check_fails() -> None:
    one, two = (load(LAB / f"keepalived.haproxy{number}.conf").configuration.instances[0] for number in (1, 2))
    assert (one.priority, two.priority) == (100, 99)
    assert one.priority + one.track_scripts[0].weight < two.priority
    assert two.priority + two.track_scripts[0].weight < one.priority


def test_a_list_is_the_words_of_a_script_and_a_text_is_split_as_in_keepalived_conf() -> None:
    found = instance(REQUIRED + "    notify: [/n, 'a b', '\"\\']\n    notify_stop: \"/s 'c d'\"\n")
    assert found.notify.any is not None
    assert found.notify.any.words == ("/n", "a b", '"\\')
    assert found.notify.stop == Script(("/s", "c d"), None, None, Location("c.yaml", 7, 18))


def test_the_order_of_the_parts_does_not_matter() -> None:
    text = REQUIRED + "    track_script: [chk weight 5 reverse]\nscripts:\n  chk:\n    script: /c\n    user: u g\n"
    found = configuration(text + "global: {router_id: my router, enable_script_security: no}\n")
    assert found.instances[0].track_scripts == (Tracked("chk", 5, reverse=True),)
    assert (found.scripts[0].script.user, found.scripts[0].script.group) == ("u", "g")
    assert (found.settings.router_id, found.settings.script_security) == ("my router", False)


@pytest.mark.parametrize(("text", "preempt"), [("true", False), ("on", False), ("", False), ("no", True)])
def test_a_switch_is_true_or_false(text: str, preempt: bool) -> None:
    assert instance(REQUIRED + f"    nopreempt: {text}\n").preempt is preempt


def test_an_empty_document_is_an_empty_configuration() -> None:
    assert configuration("") == configuration("# nothing\n") == configuration("instances:\n") == Configuration(())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("instance: {}\n", "c.yaml:1:1: Unknown key 'instance'; did you mean 'instances'?"),
        (REQUIRED + "    priorty: 9\n", "c.yaml:6:5: Unknown keyword 'priorty'; did you mean 'priority'?"),
        (REQUIRED + "    version: 4\n", "c.yaml:6:5: (V): Version must be either 2 or 3"),
        (REQUIRED + "    interface: eth1\n", "c.yaml:6:5: 'interface' stands twice in 'V': first at c.yaml:3:5"),
        (REQUIRED + "    nopreempt: maybe\n", "c.yaml:6:16: 'nopreempt' is a switch: true or false"),
        (REQUIRED + "    nopreempt: []\n", "c.yaml:6:16: 'nopreempt' has to be a single value"),
        (REQUIRED + "    priority:\n", "c.yaml:6:5: *** Configuration line starting `priority` is missing"),
        (REQUIRED + "    track_interface: [[[eth1]]]\n", "c.yaml:6:24: 'track_interface' has to be a single value"),
        (REQUIRED + "    authentication: {auth_typ: AH}\n", "c.yaml:6:22: Unknown keyword '********'"),
        (REQUIRED + "    authentication: PASS\n", "c.yaml:6:5: Missing '{' at beginning of configuration block"),
        (REQUIRED + "    notify: []\n", "c.yaml:6:5: *** Configuration line starting `notify` is missing"),
        (REQUIRED.replace("10.9.0.100", "''"), "c.yaml:5:25: (V) '' is not an IP address"),
        ("instances: [a]\n", "c.yaml:1:12: 'instances' has to be a mapping of keys to values"),
        ("just text\n", "c.yaml:1:1: a configuration has to be a mapping of keys to values"),
        ("? [a]\n: b\n", "c.yaml:1:3: a key has to be a single value"),
        ("instances: {\n", "c.yaml:2:1: not YAML: "),
        ("a: &x 1\nb: *x\n", "c.yaml:2:4: aliases such as *x are not supported"),
        ("a: \x01\n", "c.yaml:1:1: not YAML: unacceptable character"),
        ('a: "\\U00110000"\n', "c.yaml:1:1: not YAML: "),
        ("[" * 5000 + "]" * 5000, "c.yaml:1:17: nested deeper than 16 levels"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(text: str, message: str) -> None:
    assert message in refused(text)


def test_no_finding_shows_a_password() -> None:
    with pytest.raises(ConfigError) as error:
        configuration(REQUIRED + "    authentication: {auth_pas: KeepAlive}\n")
    assert "KeepA" not in str(error.value)


LINES = """
    virtual_ipaddress_excluded:
      - 10.9.0.1/24 dev eth1 home
      - {address: 10.9.0.2/24, dev: eth1, home: true, no_track: no}
      - [10.9.0.3/24, dev, eth1, home]
    unicast_peer: {10.9.0.7: {min_ttl: 9}, 10.9.0.8: null, 10.9.0.9: max_ttl 7}
    track_interface: {eth1: {weight: -5, reverse: true}}
    track_script:
      - {name: my chk, weight: 5}
    auth_hmac:
      key: [[1, "hex:KEY"], [2, "hex:KEY"]]
      active_key: 2
    notify_fault: {script: [/n, a b], user: u g}
    strict_mode: off
    use_vmac: no
    lower_prio_no_advert: yes
"""
WHOLE = """
instances: {V: {interface: eth0, virtual_router_id: 51, virtual_ipaddress: [10.9.0.100]}}
groups: {G: {group: [V], track_file: [f weight 3], track_process: {p: null}, track_http: [h]}}
files: {f: {file: /a b, init_file: [7, overwrite]}}
processes: {p: {process: [haproxy, -f, x y], quorum: 2}}
urls: {h: {url: "http://127.0.0.1:8008/primary", status: [200, 301-302]}}
static:
  static_routes: [10.2.0.0/16 via 10.1.0.9 dev eth0 track_group T]
  track_groups: {T: [V]}
global:
  net_namespace: red
  use_pid_dir: true
  interface_up_down_delays: {eth0: [1, 2.5]}
  garp_group: [{interface: eth0, garp_interval: 0.5}, {interfaces: [eth1, eth2], gna_interval: 0.25}]
"""


def test_a_block_of_lines_is_a_list_of_texts_of_words_or_of_mappings() -> None:
    script = "scripts: {my chk: {script: /c}}\n"
    found = instance(script + REQUIRED + LINES.replace("KEY", "00" * 32))
    assert [(str(one), one.device, one.home, one.tracked) for one in found.excluded] == [
        (f"10.9.0.{number}/24", "eth1", True, True) for number in (1, 2, 3)
    ]
    assert isinstance(found.transport, Unicast)
    assert [(str(one.address), one.min_ttl, one.max_ttl) for one in found.transport.peers] == [
        ("10.9.0.7", 9, None),
        ("10.9.0.8", None, None),
        ("10.9.0.9", None, 7),
    ]
    assert found.tracked == (Tracked("my chk", 5), Tracked("eth1", -5, reverse=True, kind=TrackerKind.INTERFACE))
    assert found.hmac is not None
    assert sorted(found.hmac.keys) == [1, 2]
    assert found.notify.fault is not None
    assert (found.notify.fault.words, found.notify.fault.user, found.notify.fault.group) == (("/n", "a b"), "u", "g")
    assert (found.strict, found.vmac, found.answers_lower_priority) == (False, None, False)


def test_all_parts_of_a_document_reach_the_model() -> None:
    found = configuration(WHOLE)
    (group,) = found.groups
    assert (group.members, [(one.name, one.weight) for one in group.tracked]) == (
        ("V",),
        [("f", 3), ("p", 0), ("h", 0)],
    )
    assert (found.files[0].path, found.files[0].initial, found.files[0].overwrite) == ("/a b", 7, True)
    assert (found.processes[0].words, found.processes[0].quorum) == (("haproxy", "-f", "x y"), 2)
    assert found.urls[0].statuses == ((200, 200), (301, 302))
    assert (found.static_routes[0].track_group, found.track_groups[0].members) == ("T", ("V",))
    assert (found.settings.namespace, found.settings.use_pid_dir) == ("red", True)
    assert (found.settings.settling["eth0"].up, found.settings.spacing["eth0"].arp) == (2.5, 0.5)
    assert found.settings.spacing["eth2"].na == 0.25


def test_no_finding_shows_a_key() -> None:
    text = REQUIRED + "    auth_hmac: {key: [1, secretsecret], active_key: 1}\n"
    with pytest.raises(ConfigError) as error:
        configuration(text)
    assert "secret" not in str(error.value)

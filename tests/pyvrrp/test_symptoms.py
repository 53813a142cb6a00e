"""What is read of a machine for pyvrrp doctor --live: files of a made-up root, scripts, this machine's own links."""

from __future__ import annotations

from pathlib import Path

import pytest
from doctor_pairs import node, text

from pyvrrp import symptoms
from pyvrrp.doctor.machine import Card, Managed, ScriptFile
from pyvrrp.model import Script
from pyvrrp.symptoms import look, script_file

HERE = node("lb1", text("lb1", {"interface eth0": "interface lo", "    state BACKUP": "    notify_fault /bin/false"}))


def put(root: Path, path: str, content: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


def test_this_machine_is_read_without_a_privilege_and_without_a_daemon(tmp_path: Path) -> None:
    machine = look(HERE, [str(tmp_path / "gone.conf")], tmp_path / "no.sock")
    lo = machine.cards["lo"]
    assert lo.index == 1
    assert machine.status is None
    assert machine.modes == {}
    assert machine.sysctls["ipv4/conf/lo/rp_filter"] in {"0", "1", "2"}
    assert machine.scripts[("/usr/local/bin/check",), None].refused is not None
    assert machine.scripts[("/bin/false",), None] == ScriptFile()


def test_settings_units_and_modes_are_read_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symptoms, "_cards", lambda: {"lo": Card(7, True), "eth1": Card(8, True), "eth2": Card(9, True)})
    put(tmp_path, "proc/1/comm", "systemd-network\n")
    put(tmp_path, "proc/net/ip_tables_names", "filter\n")
    put(tmp_path, "proc/sys/net/ipv4/conf/all/rp_filter", "1\n")
    put(
        tmp_path,
        "run/systemd/netif/links/7",
        "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/a.network\n# '\n",
    )
    put(tmp_path, "run/systemd/netif/links/8", "ADMIN_STATE=unmanaged\nNETWORK_FILE=/etc/systemd/network/a.network\n")
    put(tmp_path, "etc/systemd/network/a.network", "[Network]\nA=1")
    put(tmp_path, "usr/lib/systemd/network/a.network.d/x.conf", "[Network]\nA=2")
    put(tmp_path, "etc/systemd/network/a.network.d/y.conf", "[Network]\nA=3")
    put(tmp_path, "usr/lib/systemd/networkd.conf", "[Network]\nB=1")
    put(tmp_path, "etc/systemd/networkd.conf.d/z.conf", "[Network]\nB=2")
    put(tmp_path, "run/NetworkManager/devices/9", "")
    secret = put(tmp_path, "secret.conf", "")
    secret.chmod(0o640)
    machine = look(HERE, [str(secret)], tmp_path / "no.sock", tmp_path)
    assert machine.sysctls == {"ipv4/conf/all/rp_filter": "1"}
    assert machine.legacy_filter
    assert machine.networkd == {
        "lo": Managed("/etc/systemd/network/a.network", "[Network]\nA=1\n[Network]\nA=2\n[Network]\nA=3")
    }
    assert machine.networkd_conf == "[Network]\nB=1\n[Network]\nB=2"
    assert machine.network_manager == {"eth2"}
    assert machine.modes == {str(secret): 0o640}


def test_without_systemd_networkd_its_files_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symptoms, "_cards", lambda: {"lo": Card(7, True)})
    put(tmp_path, "run/systemd/netif/links/7", "NETWORK_FILE=/etc/systemd/network/a.network\n")
    assert look(HERE, [], tmp_path / "no.sock", tmp_path).networkd == {}


def script(tmp_path: Path, content: str, mode: int = 0o755) -> Script:
    path = put(tmp_path, "check", content)
    path.chmod(mode)
    return Script((str(path),), user="nobody")


def test_a_script_that_is_in_order_lacks_nothing(tmp_path: Path) -> None:
    (tmp_path / "check").touch()
    tmp_path.chmod(0o755)
    assert script_file(script(tmp_path, "#!/bin/sh\nls | grep x"), security=True).missing == ()


def test_what_a_script_needs_and_is_not_there_is_found(tmp_path: Path) -> None:
    found = script_file(script(tmp_path, "#!/usr/bin/env bash\nno-such-program -x; ls"), security=True)
    assert (found.interpreter, found.missing) == (None, ("no-such-program",))
    found = script_file(script(tmp_path, "#!/no/such/shell\nno-such-program"), security=True)
    assert (found.interpreter, found.missing) == ("/no/such/shell", ())
    found = script_file(script(tmp_path, "#!/usr/bin/perl\nno_such_program;"), security=True)
    assert found.missing == ()


def test_the_line_behind_sh_c_is_a_script_too() -> None:
    line = Script(("/bin/sh", "-c", "no-such-program || exit 1"))
    assert script_file(line, security=True).missing == ("no-such-program",)
    assert script_file(Script(("/bin/sh", "-c")), security=True).missing == ()


@pytest.mark.parametrize("words", [("no-such-program",), ("/no/such/program",)])
def test_a_script_that_is_not_there_is_unusable_with_security_and_without(words: tuple[str, ...]) -> None:
    for security in (True, False):
        assert script_file(Script(words), security=security).refused is not None


def test_one_that_is_not_safe_is_refused_only_where_security_is_on(tmp_path: Path) -> None:
    path = put(tmp_path, "check", "#!/bin/sh\n")
    path.chmod(0o777)
    unsafe = Script((str(path),), user="root")
    assert script_file(unsafe, security=True).refused is not None
    assert script_file(unsafe, security=False).refused is None


def test_rules_that_nft_cannot_tell_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for line in ("exit 1", "echo not json", "echo '{}'", "echo '{\"nftables\": 1}'"):
        nft = put(tmp_path, "nft", f"#!/bin/sh\n{line}\n")
        nft.chmod(0o755)
        monkeypatch.setattr(symptoms, "SEARCH_PATH", str(tmp_path))
        assert symptoms._ruleset() is None
    monkeypatch.setattr(symptoms, "SEARCH_PATH", str(tmp_path / "empty"))
    assert symptoms._ruleset() is None


def test_what_is_no_status_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for told in ([], {}, "x"):
        monkeypatch.setattr(symptoms, "request", lambda *_, told=told, **__: told)
        assert symptoms._status(tmp_path) is None

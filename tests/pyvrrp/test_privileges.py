"""Which rights a configuration needs, and whom the daemon becomes."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from types import SimpleNamespace

import pytest

from pyvrrp.config.load import read
from pyvrrp.model import Configuration
from pyvrrp.system import privileges
from pyvrrp.system.errors import NoPermissionError, SystemRefusalError
from pyvrrp.system.privileges import ALWAYS, FOR_OTHERS, User, needed_by, require_privileges, user_to_be

DAEMON = pwd.getpwnam("daemon")
INSTANCE = (
    "vrrp_instance V {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n 192.0.2.1\n }}\n {}\n}}\n"
)


def configuration(extra: str = "", settings: str = "", more: str = "") -> Configuration:
    text = f"global_defs {{\n {settings}\n}}\n{more}\n{INSTANCE.format(extra)}"
    return read(text.encode(), "k.conf").configuration


@pytest.mark.parametrize(
    ("known", "needed"),
    [
        (configuration(), ALWAYS),
        (configuration("notify /bin/true"), ALWAYS),  # no script_user: as the daemon itself
        (configuration("notify /bin/true daemon daemon"), ALWAYS),
        (configuration("notify_master /bin/true root"), ALWAYS | FOR_OTHERS),
        (configuration(settings="script_user root\n startup_script /bin/true"), ALWAYS | FOR_OTHERS),
        (
            configuration("track_script {\n c\n }", more="vrrp_script c {\n script /bin/true\n user nobody\n}"),
            ALWAYS | FOR_OTHERS,
        ),
        (configuration(settings="notify_fifo /run/f\n notify_fifo_script /bin/true root"), ALWAYS | FOR_OTHERS),
        (configuration(settings="max_auto_priority 20"), ALWAYS | {"cap_sys_nice"}),
    ],
)  # fmt: skip
def test_a_daemon_keeps_what_its_configuration_needs_and_nothing_else(
    known: Configuration, needed: frozenset[str]
) -> None:
    assert needed_by(known, DAEMON.pw_uid, DAEMON.pw_gid) == needed


def test_a_user_may_have_a_group_of_its_own_and_root_is_nobody_else() -> None:
    assert user_to_be("daemon") == User("daemon", DAEMON.pw_uid, DAEMON.pw_gid)
    assert user_to_be("daemon:0") == User("daemon", DAEMON.pw_uid, 0)
    assert user_to_be("root") is None


@pytest.mark.parametrize("asked", ["nosuch", "daemon:nosuch"])
def test_a_user_or_group_that_is_not_there_is_refused_by_name(asked: str) -> None:
    with pytest.raises(SystemRefusalError, match=f"--run-as {asked}: there is no .* 'nosuch'"):
        user_to_be(asked)


def test_a_user_of_the_daemon_s_name_is_taken_without_being_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=987, pw_gid=654) if name == "pyvrrp" else None
    )
    assert user_to_be(None) == User("pyvrrp", 987, 654)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert user_to_be(None) is None
    with pytest.raises(SystemRefusalError, match="only root can become somebody else"):
        user_to_be("0")


def test_without_such_a_user_a_daemon_stays_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "DEFAULT_USER", "nosuch")
    assert user_to_be(None) is None


def test_a_capability_that_is_missing_is_named(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{1 << 12:016x}\n")
    with pytest.raises(NoPermissionError, match="CAP_NET_RAW"):
        require_privileges(status)

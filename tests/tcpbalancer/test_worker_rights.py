"""Who workers become where the file does not say so, and what they keep."""

from __future__ import annotations

import os
import pwd
from types import SimpleNamespace
from typing import Any

import pytest

from tcpbalancer.config.load import read_texts
from tcpbalancer.model import Configuration, Identity
from tcpbalancer.worker_rights import identity_of_workers, lacking, needed_by

NOBODY = pwd.getpwnam("nobody")


def configuration(server: str = "192.0.2.1:80", *settings: str) -> Configuration:
    lines = "".join(f" {line}\n" for line in settings)
    defaults = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
    text = f"global\n{lines}{defaults}listen l\n bind 127.0.0.1:81\n server s {server}\n"
    return read_texts([("f.cfg", text)], {}).configuration


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, on a machine with the user nobody alone."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def known(name: str) -> Any:
        if name != "nobody":
            raise KeyError(name)
        return SimpleNamespace(pw_uid=65534, pw_gid=65534)

    monkeypatch.setattr(pwd, "getpwnam", known)


@pytest.mark.parametrize(
    ("server", "needed"),
    [
        ("192.0.2.1:80", set()),
        ("192.0.2.1:80 source 192.0.2.9", set()),
        ("192.0.2.1:80 source 192.0.2.9:20000-30000", set()),
        ("192.0.2.1:80 source 192.0.2.9:512-1000", {"cap_net_bind_service"}),
        ("192.0.2.1:80 source 0.0.0.0 interface lo", {"cap_net_raw"}),
        ("192.0.2.1:80 namespace blue", {"cap_sys_admin"}),
    ],
)
def test_workers_keep_what_reaches_their_servers_and_nothing_else(
    root: None, server: str, needed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tcpbalancer.namespaces.descriptor_of", lambda _: 3)
    known = configuration(server)
    assert needed_by(known) == needed
    assert identity_of_workers(known) == Identity(65534, 65534, capabilities=frozenset(needed))


@pytest.mark.parametrize("ruleset", ["connection", "session", "content"])
def test_workers_that_leave_clients_without_a_word_keep_what_that_takes(root: None, ruleset: str) -> None:
    """Else it is a reset, which a client on the same network sees."""
    known = configuration(f"192.0.2.1:80\n tcp-request {ruleset} silent-drop if {{ src 192.0.2.7 }}")
    assert needed_by(known) == identity_of_workers(known).capabilities == {"cap_net_admin"}
    assert needed_by(configuration(f"192.0.2.1:80\n tcp-request {ruleset} reject")) == frozenset()


def test_what_setcap_names_is_kept_too(root: None) -> None:
    known = configuration("192.0.2.1:80", "setcap cap_net_admin")
    assert identity_of_workers(known).capabilities == {"cap_net_admin"}


@pytest.mark.parametrize("line", ["user root", "uid 12345", "gid 12345", "chroot /"])
def test_what_the_file_says_of_them_has_the_last_word(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    known = configuration("192.0.2.1:80", line)
    assert identity_of_workers(known) == known.process.identity


def test_servers_at_unix_sockets_are_reached_by_who_may(root: None) -> None:
    assert not identity_of_workers(configuration("/run/x.sock")).changes


def test_who_is_not_root_becomes_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not identity_of_workers(configuration()).changes


def test_without_any_such_user_workers_stay_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("tcpbalancer.worker_rights.USERS", ("nosuch",))
    assert not identity_of_workers(configuration()).changes


def test_a_reload_that_needs_what_was_given_up_is_refused_by_name(root: None) -> None:
    workers = identity_of_workers(configuration())
    assert lacking(workers, configuration()) == ""
    more = configuration("192.0.2.1:80 source 192.0.2.9:512-1000")
    assert lacking(workers, more) == "workers have given up cap_net_bind_service, which this configuration needs"
    assert "Unix sockets" in lacking(workers, configuration("/run/x.sock"))
    assert lacking(None, more) == ""

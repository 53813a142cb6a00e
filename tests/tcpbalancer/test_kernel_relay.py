"""``option kernel-relay``: which frontends it means, what it refuses and why, what it names as being without effect."""

from __future__ import annotations

import pytest

from hakit.diagnostics import ConfigError, Diagnostic, Severity
from tcpbalancer.config.load import Loaded, read_texts

TIMED = "defaults\n timeout client 1m\n timeout server 1m\n timeout connect 1s\n"
SERVER = " server s1 10.0.0.1:5432\n"


def load(text: str, name: str = "f.cfg") -> Loaded:
    return read_texts([(name, text)], {}, resolve=lambda _: None)


def relayed(text: str, name: str = "f.cfg") -> set[str]:
    return {name for name, one in load(text, name).configuration.frontends.items() if one.kernel_relay}


def errors(wrong: ConfigError) -> list[Diagnostic]:
    return [found for found in wrong.diagnostics if found.severity is Severity.ERROR]


def refused(*lines: str, server: str = SERVER) -> tuple[str, int, str]:
    """Return what is said of a listen section with these lines, on which line, and what stands there."""
    text = (
        TIMED
        + "listen l\n option kernel-relay\n bind 192.0.2.1:5432\n"
        + "".join(f" {line}\n" for line in lines)
        + server
    )
    with pytest.raises(ConfigError) as wrong:
        load(text)
    (found,) = errors(wrong.value)
    assert found.location.column == 2
    return found.message, found.location.line, text.splitlines()[found.location.line - 1].strip()


# -- which frontends ---------------------------------------------------------------------------------------------------


def test_a_listen_section_says_it_for_itself() -> None:
    assert relayed(TIMED + "listen l\n option kernel-relay\n bind :1\n" + SERVER) == {"l"}
    assert relayed(TIMED + "listen l\n bind :1\n" + SERVER) == set()
    assert relayed(TIMED + "listen l\n dataplane kernel\n bind :1\n" + SERVER) == {"l"}
    assert relayed(TIMED + "listen l\n option kernel-relay\n dataplane proxy\n bind :1\n" + SERVER) == set()


def test_a_frontend_or_its_backend_says_it_for_both() -> None:
    others = "frontend g\n bind :2\n default_backend c\nbackend c\n" + SERVER
    pair = TIMED + others + "frontend f\n bind :1\n default_backend b\n{}backend b\n{}" + SERVER
    assert relayed(pair.format(" option kernel-relay\n", "")) == {"f"}
    assert relayed(pair.format("", " option kernel-relay\n")) == {"f"}


def test_defaults_may_say_it_for_all_but_pages_and_a_proxy_may_say_no() -> None:
    text = (
        TIMED + " option kernel-relay\nlisten a\n bind :1\n" + SERVER + "listen b\n no option kernel-relay\n bind :2\n"
    )
    page = "frontend page\n mode http\n bind :3\n stats uri /\n"
    assert relayed(text + SERVER + page) == {"a"}


def test_yaml_says_it_with_a_key() -> None:
    text = """\
defaults: {timeout: {client: 1m, server: 1m, connect: 1s}}
listens:
  l: {bind: "*:1", dataplane: kernel, servers: {s1: "10.0.0.1:1"}}
"""
    assert relayed(text, "f.yaml") == {"l"}


def test_the_ports_are_held_and_nobody_listens() -> None:
    frontends = load(TIMED + "listen l\n option kernel-relay\n bind :1,:2\n" + SERVER).configuration.frontends
    assert [bind.held for bind in frontends["l"].binds] == [True, True]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("option kernel-relay now", "'option kernel-relay' cannot handle unexpected argument 'now'."),
        ("dataplane", "'dataplane' expects 'kernel' or 'proxy' (got '')"),
        ("dataplane kernl", "'dataplane' expects 'kernel' or 'proxy' (got 'kernl'); did you mean 'kernel' maybe ?"),
        ("dataplane kernel proxy", "'dataplane' cannot handle unexpected argument 'proxy'."),
    ],
)
def test_mistakes_are_told(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(TIMED + f"listen l\n bind :1\n {line}\n" + SERVER)
    assert wrong.value.diagnostics[0].message == message


# -- what only a proxy can do ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("balance leastconn", "use roundrobin, source or random(1)"),
        ("balance random(2)", "the kernel knows neither loads nor contents"),
        ("balance first", "use roundrobin, source or random(1)"),
        ("hash-balance-factor 150", "the kernel does not know who has how much"),
        ("option redispatch", "say 'no option redispatch'"),
        ("rate-limit sessions 10", "limit the clients"),
        ("tcp-request connection accept if TRUE", "remove the rules"),
        ("stick-table type ip size 1k", "'balance source' is of the same use"),
        ("use-server s1 if TRUE", "'balance source' keeps a client with its server"),
        ("bind /run/x.sock", "bind an address and a port"),
        ("bind :1 accept-proxy", "a PROXY header can be taken away by a proxy only"),
        ("bind :1 interface lo", "name the address of the interface instead"),
        ("bind :1 transparent", "only addresses of this machine are relayed"),
        ("bind :::1 v6only", "give the servers addresses of that version"),
        ("server s2 /run/x.sock", "give an address and a port"),
        ("server s2 127.0.0.1:1", "use an address that the machine has on a link"),
        ("server s2 10.0.0.2:1 maxconn 5", "limit the connections on the server itself"),
        ("server s2 10.0.0.2:1 maxqueue 5", "the kernel does not queue"),
        ("server s2 10.0.0.2:1 send-proxy", "a PROXY header can be said by a proxy only"),
        ("server s2 10.0.0.2:1 check observe layer4", "'check' does"),
        ("server s2 10.0.0.2:1 source 10.0.0.9:1000-2000", "the kernel chooses the port"),
        ("server s2 10.0.0.2:1 source 0.0.0.0 interface lo", "name the address of the interface"),
    ],
)
def test_what_only_a_proxy_can_do_is_refused_at_its_line_with_the_reason_and_a_remedy(line: str, part: str) -> None:
    message, _, there = refused(line)
    assert there == line
    assert message.startswith("proxy 'l': ")
    assert "cannot go with 'option kernel-relay': " in message
    assert part in message


def test_a_port_that_follows_the_called_one_is_refused() -> None:
    message, _, there = refused("bind :1", server=" server s1 10.0.0.1:+10\n")
    assert there == "server s1 10.0.0.1:+10"
    assert "name the port" in message


def test_what_stands_in_defaults_is_refused_at_the_head_of_the_proxy() -> None:
    text = TIMED + " option redispatch\nlisten l\n option kernel-relay\n bind :1\n" + SERVER
    with pytest.raises(ConfigError) as wrong:
        load(text)
    assert [(found.location.line, found.location.column) for found in errors(wrong.value)] == [(6, 1)]


def test_a_frontend_that_does_not_say_where_connections_go_is_refused() -> None:
    text = TIMED + "frontend f\n option kernel-relay\n bind :1\n use_backend b if TRUE\nbackend b\n" + SERVER
    with pytest.raises(ConfigError) as wrong:
        load(text)
    assert [found.message.split(": ")[1].split(" cannot")[0] for found in errors(wrong.value)] == [
        "a rule for connections", "a frontend without 'default_backend'",
    ]  # fmt: skip


def test_a_backend_of_two_frontends_is_judged_once() -> None:
    frontends = "".join(f"frontend {name}\n bind :{port}\n default_backend b\n" for name, port in (("f", 1), ("g", 2)))
    with pytest.raises(ConfigError) as wrong:
        load(TIMED + frontends + "backend b\n option kernel-relay\n balance first\n" + SERVER)
    assert len(errors(wrong.value)) == 1


# -- what has no effect ------------------------------------------------------------------------------------------------


def test_what_is_harmless_is_named_in_one_warning_for_each_proxy() -> None:
    lines = (
        "maxconn 10",
        "retries 2",
        "option tcplog",
        "option tcpka",
        "timeout queue 1s",
        "timeout connect 1s",
        "fullconn 5",
        "option persist",
    )
    text = TIMED + "listen l\n option kernel-relay\n bind :1\n" + "".join(f" {line}\n" for line in lines) + SERVER
    (found,) = [one for one in load(text).warnings if "relayed by the kernel" in one.message]
    assert found.advice
    assert found.location.line == 6
    assert found.message == (
        "proxy 'l' is relayed by the kernel; without effect there: 'maxconn', 'option tcplog', 'timeout connect', "
        "'timeout queue', 'retries', 'fullconn', 'option tcpka', 'option persist'"
    )


def test_options_of_lines_that_have_no_effect_are_named_with_their_line() -> None:
    text = TIMED + "listen l\n option kernel-relay\n bind :1 maxconn 5 tfo\n server s1 10.0.0.1:1 tcp-ut 1s\n"
    (found,) = load(text).warnings
    assert found.message.partition(": ")[2] == "'maxconn of bind', 'tfo of bind', 'tcp-ut of server'"


def test_who_asks_for_nothing_of_that_is_not_warned() -> None:
    assert not load(TIMED + "listen l\n option kernel-relay\n bind :1\n" + SERVER).warnings
    plain = "defaults\n timeout client 1m\n timeout server 1m\nlisten l\n option kernel-relay\n bind :1\n"
    assert not load(plain + SERVER).warnings

"""Keywords about the state of servers: what they mean in the model, and what is said of a mistake."""

from __future__ import annotations

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import read_texts
from tcpbalancer.model import InitState, OnError, Server

HEAD = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nbackend a\n"


def read(*lines: str, head: str = HEAD) -> dict[str, Server]:
    text = head + "".join(f"    {line}\n" for line in lines)
    return {server.name: server for server in read_texts([("a.cfg", text)]).configuration.backends["a"].servers}


def mistakes(*lines: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(*lines)
    return [finding.message for finding in caught.value.diagnostics if "'server a/" in finding.message]


@pytest.mark.parametrize(
    ("option", "field", "value"),
    [
        ("slowstart 5s", "slowstart", 5),
        ("slowstart 5500", "slowstart", 6),
        ("observe layer4", "observe", True),
        ("observe none", "observe", False),
        ("error-limit 3", "error_limit", 3),
        ("on-error mark-down", "on_error", OnError.MARK_DOWN),
        ("on-error sudden-death", "on_error", OnError.SUDDEN_DEATH),
        ("on-error fail-check", "on_error", OnError.FAIL_CHECK),
        ("on-error fastinter", "on_error", OnError.FASTINTER),
        ("on-marked-up shutdown-backup-sessions", "shutdown_backup_sessions_when_up", True),
        ("on-marked-down shutdown-sessions", "shutdown_sessions_when_down", True),
        ("init-state down", "init_state", InitState.DOWN),
        ("init-state fully-down", "init_state", InitState.FULLY_DOWN),
        ("init-state fully-up", "init_state", InitState.FULLY_UP),
        ("track a/other", "track", ("a", "other")),
        ("track other", "track", ("a", "other")),
    ],
)
def test_an_option_of_a_server_is_carried_out(option: str, field: str, value: object) -> None:
    servers = read(f"server s 192.0.2.1:1 {option}", "server other 192.0.2.1:2 check")
    assert getattr(servers["s"], field) == value
    if not option.startswith("track"):
        by_default = read("server s 192.0.2.1:1", head=f"{HEAD}    default-server {option}\n")
        assert getattr(by_default["s"], field) == value


def test_yaml_knows_the_same_words() -> None:
    text = """
backends:
  a:
    timeout: {connect: 1s, server: 1s}
    servers:
      s: {address: 192.0.2.1:1, check: true, init-state: down, slowstart: 5s, observe: layer4}
      t: 192.0.2.1:1 track a/s
"""
    servers = read_texts([("a.yaml", text)]).configuration.backends["a"].servers
    assert [(server.init_state, server.slowstart, server.observe, server.track) for server in servers] == [
        (InitState.DOWN, 5, True, None),
        (InitState.NONE, 0, False, ("a", "s")),
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("slowstart 5x", "unexpected character 'x' in 'slowstart' argument of server s.."),
        ("observe bogus", "'observe' expects one of 'none', 'layer4', 'layer7' but got 'bogus'."),
        ("observe layer7", "'layer7' can only be used in http proxies.."),
        ("observe", "'observe' expects <mode> as argument.."),
        ("error-limit 0", "error-limit has to be > 0.."),
        (
            "on-error boo",
            "'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or 'mark-down' but got 'boo'.",
        ),
        ("on-marked-up boo", "'on-marked-up' expects 'shutdown-backup-sessions' but got 'boo'."),
        ("track", "'track' expects [<proxy>/]<server> as argument.."),
        ("init-state x", "'init-state' expects one of 'none', 'fully-up', 'up', 'down', or 'fully-down' but got 'x'."),
        ("check track other", "unable to enable checks and tracking at the same time!"),
        ("init-state up track other", "unable to set init-state and tracking at the same time!"),
        ("track nope", "unable to find required server 'nope' for tracking."),
        ("track nope/other", "unable to find required proxy 'nope' for tracking."),
        (
            "track idle",
            "unable to use a/idle for tracking as it does not have any check nor agent enabled.",
        ),
        ("track s", "unable to track a/s as it belongs to a tracking chain looping back to a/s."),
    ],
)
def test_a_mistake_is_told_in_haproxys_words(option: str, message: str) -> None:
    lines = (f"server s 192.0.2.1:1 {option}", "server other 192.0.2.1:1 check", "server idle 192.0.2.1:2")
    assert mistakes(*lines) == [f"'server a/s' : {message}"]


def test_a_chain_that_loops_is_refused() -> None:
    assert mistakes(
        "server s1 192.0.2.1:1 track s2", "server s2 192.0.2.1:1 track s3", "server s3 192.0.2.1:1 track s1"
    )[2] == ("'server a/s3' : unable to track a/s1 as it belongs to a tracking chain looping back to a/s3.")


def test_a_chain_may_be_long_if_its_end_is_checked() -> None:
    servers = read("server s1 192.0.2.1:1 track s2", "server s2 192.0.2.1:1 track s3", "server s3 192.0.2.1:1 check")
    assert servers["s1"].track == ("a", "s2")
    assert mistakes("server s1 192.0.2.1:1 track s2", "server s2 192.0.2.1:1 track s3", "server s3 192.0.2.1:1") == [
        "'server a/s2' : unable to use a/s3 for tracking as it does not have any check nor agent enabled."
    ]

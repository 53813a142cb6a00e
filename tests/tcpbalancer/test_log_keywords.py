"""The keywords of logging: what they make of the model, and HAProxy's words for what is wrong with them."""

from __future__ import annotations

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import read_texts
from tcpbalancer.log_format import CONNECTION, TCPLOG, parse_log_format
from tcpbalancer.model import Configuration, ConnectionLog, LogMoment, LogTarget, ProxyLog

TIMED = "defaults\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n"
LISTEN = "listen l\n bind :1\n server s 192.0.2.1:1\n"


def model(text: str) -> Configuration:
    return read_texts([("f.cfg", text)], {}).configuration


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        model(text)
    return [found.message for found in told.value.diagnostics]


def test_log_of_a_proxy_adds_to_log_global_and_no_log_forgets_both() -> None:
    text = "global\n log 192.0.2.9 local0\n" + TIMED + " log global\n log 192.0.2.8:1514 local1\n" + LISTEN
    targets = (LogTarget("192.0.2.9:514"), LogTarget("192.0.2.8:1514", "local1"))
    assert model(text).frontends["l"].log == ProxyLog(targets)
    assert model(text).backends["l"].log == ProxyLog(targets)
    assert model(text + " no log\n").backends["l"].log == ProxyLog()
    assert model(text + " no log\n log stderr daemon\n").backends["l"].log == ProxyLog((LogTarget("stderr", "daemon"),))


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("stdout format raw local0", LogTarget("stdout", "local0", "raw")),
        ("fd@3 local0", LogTarget("fd@3", "local0")),
        ("/dev/log len 2000 daemon notice", LogTarget("/dev/log", "daemon", level="notice", length=2000)),
        ("unix@/dev/log daemon", LogTarget("/dev/log", "daemon")),
        ("abns@log daemon", LogTarget("abns@log", "daemon")),
        ("udp@192.0.2.1:515 user info warning", LogTarget("192.0.2.1:515", "user", "", "info", "warning")),
        ("ipv6@[::1] format rfc5424 len 80 user", LogTarget("[::1]:514", "user", "rfc5424", length=80)),
        ("192.0.2.1 sample 1:2 local0", LogTarget("192.0.2.1:514")),
    ],
)
def test_a_log_target_has_address_format_length_facility_and_levels(words: str, target: LogTarget) -> None:
    assert model(f"global\n log {words}\n{TIMED}{LISTEN}").log_targets == (target,)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "log : expects <address> and <facility>  as arguments"),
        ("192.0.2.1", "log : expects <address> and <facility>  as arguments"),
        ("192.0.2.1 nofac", "log : unknown log facility 'nofac'"),
        ("192.0.2.1 local0 foo", "log : unknown optional log level 'foo'"),
        ("192.0.2.1 local0 info bogus", "log : unknown optional minimum log level 'bogus'"),
        ("192.0.2.1 local0 info info more", "'log' cannot handle unexpected argument 'more'."),
        ("192.0.2.1 format bogus local0", "log : unknown log format 'bogus'"),
        ("192.0.2.1 len 5 local0", "log : invalid log length '5', must be between 80 and 65535"),
        ("stdout len", "log : invalid log length '', must be between 80 and 65535"),
        ("192.0.2.1 profile x local0", "log : unknown log facility 'profile'"),
        ("192.0.2.1:99999 local0", "log : invalid port '99999'"),
        (":514 local0", "log : ':514' names no host"),
    ],
)
def test_a_log_target_that_makes_no_sense_is_told_in_haproxy_s_words(words: str, problem: str) -> None:
    assert problems(f"global\n log {words}\n{TIMED}{LISTEN}")[0] == problem


def test_log_of_a_proxy_has_words_of_its_own_for_what_is_missing() -> None:
    assert problems(TIMED + LISTEN + " log\n")[0] == "log : expects <address> and <facility> or global as arguments"
    assert problems(TIMED + LISTEN + " log x\n")[0] == "log : expects <address> and <facility> or global as arguments"
    assert problems(TIMED + LISTEN + " log global foo\n")[0] == "log : unknown log facility 'foo'"


def connection_log(words: str, log: str = " log stdout local0\n") -> ConnectionLog | None:
    return model(f"{TIMED}{LISTEN}{log}{words}").frontends["l"].connection_log


TCP, WHO = parse_log_format(TCPLOG), parse_log_format(CONNECTION)


@pytest.mark.parametrize(
    ("words", "log"),
    [
        ("", ConnectionLog(WHO, LogMoment.ACCEPTED)),
        (" option tcplog\n", ConnectionLog(TCP)),
        (" option httplog\n", ConnectionLog(TCP)),
        (" option tcplog\n option logasap\n", ConnectionLog(TCP, LogMoment.ESTABLISHED)),
        (" option tcplog\n option logasap\n no option logasap\n", ConnectionLog(TCP)),
        (" option tcplog\n option dontlognull\n", ConnectionLog(TCP, without_null=True)),
        (" option tcplog\n option dontlog-normal\n", ConnectionLog(TCP, without_normal=True)),
        (" option tcplog\n option log-separate-errors\n", ConnectionLog(TCP, errors_louder=True)),
        (' log-format "%ci %ts"\n', ConnectionLog(parse_log_format("%ci %ts"))),
        (" log-format %ci\\ %ts\n", ConnectionLog(parse_log_format("%ci %ts"))),
        (" log-format %ci\n option tcplog\n", ConnectionLog(TCP)),
        (" option tcplog\n log-format %ci\n", ConnectionLog(parse_log_format("%ci"))),
        (" option tcplog\n error-log-format %ts\n", ConnectionLog(TCP)),
    ],
)
def test_options_and_formats_say_what_is_written_of_a_connection_and_when(words: str, log: ConnectionLog) -> None:
    assert connection_log(words) == log
    assert connection_log(words, log="") is None


def test_log_tag_and_log_send_hostname_change_the_head_of_a_line() -> None:
    seen = model(f"global\n log-tag lb\n log-send-hostname here\n{TIMED}{LISTEN} log-tag l\n log stdout local0\n")
    assert (seen.log_tag, seen.log_host, seen.backends["l"].log.tag) == ("lb", "here", "l")
    assert model(f"global\n log-send-hostname\n{TIMED}{LISTEN}").log_host == ""
    assert model(TIMED + LISTEN).log_host is None


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("log-tag", "'log-tag' expects a tag for use in syslog."),
        ("log-tag a b", "'log-tag' cannot handle unexpected argument 'b'."),
        ("log-format", "log-format expects an argument."),
        ("log-format a b", "log-format expects only one argument, don't forget to escape spaces!"),
        ("log-format %[src", "failed to parse log-format : missing ']' after 'src'."),
        ("error-log-format %r", "failed to parse error-log-format : format variable 'r' is reserved for HTTP mode."),
        ("option logasap x", "'option logasap' cannot handle unexpected argument 'x'."),
    ],
)
def test_what_is_wrong_with_tags_and_formats_is_told(words: str, problem: str) -> None:
    assert problems(f"{TIMED}{LISTEN} {words}\n")[0] == problem


def test_a_backend_s_log_format_is_ignored_with_haproxy_s_warning() -> None:
    loaded = read_texts([("f.cfg", TIMED + LISTEN + "backend b\n log-format %ci\n server s 192.0.2.1:1\n")], {})
    assert [found.message for found in loaded.warnings] == [
        "backend 'b' : 'log-format' directive is ignored in backends."
    ]

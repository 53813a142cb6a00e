"""The keywords of choosing and of limits, from haproxy.cfg and from YAML: the model, and what is a mistake."""

from __future__ import annotations

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import Loaded, read_texts
from tcpbalancer.model import Backend, Hashing, Server
from tcpbalancer.model.rule import Call, Expression

TIMED = "defaults\n timeout connect 1s\n timeout client 2s\n timeout server 3s\n"


def read(text: str, name: str = "f.cfg") -> Loaded:
    return read_texts([(name, text)], {}, resolve=lambda _: None)


def backend(*lines: str) -> Backend:
    return read(TIMED + "backend b\n" + "".join(f" {line}\n" for line in lines)).configuration.backends["b"]


def server(options: str) -> Server:
    return backend(f"server s 192.0.2.1:80 {options}").servers[0]


def warnings(*lines: str) -> list[str]:
    text = TIMED + "listen l\n bind :1\n" + "".join(f" {line}\n" for line in lines)
    return [found.message for found in read(text).warnings]


@pytest.mark.parametrize("name", ["roundrobin", "static-rr", "leastconn", "first", "source"])
def test_balance_names_an_algorithm(name: str) -> None:
    assert backend(f"balance {name}").balance == name


def test_balance_defaults_to_roundrobin() -> None:
    assert (backend().balance, backend("balance").balance) == ("roundrobin", "roundrobin")


@pytest.mark.parametrize(
    ("text", "draws"),
    [("random", 2), ("random()", 2), ("random(3)", 3), ("random(01)", 1), (f"random({'9' * 5000})", 64)],
)
def test_balance_random_draws_two_unless_it_is_told_otherwise(text: str, draws: int) -> None:
    seen = backend(f"balance {text}")
    assert (seen.balance, seen.draws) == ("random", draws)


def test_balance_hash_hashes_the_client() -> None:
    assert backend("balance hash src").balance == "hash"


@pytest.mark.parametrize("name", ["uri", "url_param x", "hdr(host)"])
def test_balance_by_http_falls_back_to_round_robin_in_haproxys_words(name: str) -> None:
    expected = "Layer 7 hash not possible for proxy 'l' (needs 'mode http'). Falling back to round robin."
    assert warnings(f"balance {name}") == [expected]
    assert backend(f"balance {name}").balance == "roundrobin"


def test_balance_of_logs_falls_back_to_round_robin_in_haproxys_words() -> None:
    expected = "Unusable balance algorithm for proxy 'l' (needs 'mode log'). Falling back to round robin."
    assert warnings("balance sticky") == warnings("balance log-hash") == [expected]


def test_balance_hash_hashes_any_sample() -> None:
    rules = backend("balance hash src,ipmask(24)").rules
    assert rules is not None
    assert rules.hashed == Expression(Call("src"), (Call("ipmask", (0xFFFFFF00,)),))
    assert backend("balance hash src,ipmask(24)", "balance hash src").rules is None
    assert backend("balance hash dst", "balance roundrobin").rules is None


@pytest.mark.parametrize("name", ["rdp-cookie", "rdp-cookie(x)"])
def test_what_is_not_carried_out_is_named(name: str) -> None:
    assert warnings(f"balance {name}") == [
        f"'balance {name}' is accepted but not carried out by tcpbalancer: roundrobin is used instead"
    ]


@pytest.mark.parametrize(
    ("text", "hashing"),
    [
        ("map-based", Hashing()),
        ("consistent", Hashing(consistent=True, avalanche=True)),
        ("consistent sdbm", Hashing(consistent=True)),
        ("map-based djb2", Hashing(function="djb2")),
        ("map-based wt6 avalanche", Hashing(function="wt6", avalanche=True)),
        ("consistent crc32 avalanche", Hashing(consistent=True, function="crc32", avalanche=True)),
        ("map-based none", Hashing(function="none")),
    ],
)
def test_hash_type_names_method_function_and_modifier(text: str, hashing: Hashing) -> None:
    assert backend(f"hash-type {text}").hashing == hashing


def test_hash_balance_factor_belongs_to_the_hashing() -> None:
    seen = backend("hash-balance-factor 150", "hash-type consistent")
    assert seen.hashing == Hashing(consistent=True, avalanche=True, balance_factor=150)
    assert backend("hash-balance-factor 0").hashing.balance_factor == 0


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("option redispatch", -1),
        ("option redispatch 1", 1),
        ("option redispatch 3", 3),
        ("option redispatch -2", -2),
        ("option redispatch 0", None),
        ("no option redispatch", None),
    ],
)
def test_option_redispatch_has_an_interval(text: str, interval: int | None) -> None:
    assert backend("option redispatch 7", text).redispatch == interval


def test_options_of_a_backend_can_be_taken_back() -> None:
    given = backend("option allbackups", "option persist", "option abortonclose")
    assert (given.all_backups, given.persist, given.abort_on_close) == (True, True, True)
    taken = backend("option allbackups", "no option allbackups", "no option persist", "no option abortonclose")
    assert (taken.all_backups, taken.persist, taken.abort_on_close) == (False, False, False)


def test_retries_and_what_they_follow() -> None:
    assert [backend(f"retries {count}").retries for count in ("0", "7", "-1")] == [0, 7, 0]
    assert [backend(f"retry-on {what}").retries for what in ("conn-failure", "all-retryable-errors", "none")] == [
        3,
        3,
        0,
    ]
    assert backend("retry-on response-timeout").retries == 0, "a failed connect is not among them"
    assert warnings("retry-on conn-failure 503 empty-response") == [
        f"'retry-on {what}' is accepted but not carried out by tcpbalancer: it needs HTTP"
        for what in ("503", "empty-response")
    ]


def test_limits_of_a_server() -> None:
    seen = server("maxconn 100 minconn 10 maxqueue 5 id 7")
    assert (seen.maxconn, seen.minconn, seen.maxqueue, seen.identity) == (100, 10, 5, 7)
    alone = server("minconn 10")
    assert (alone.maxconn, alone.minconn) == (10, 0), "it is the limit then"
    assert server("maxconn 5 minconn 9").maxconn == 9
    assert server("").identity == 0


def test_default_server_gives_limits_to_those_who_follow() -> None:
    seen = backend(
        "default-server maxqueue 3 minconn 1 maxconn 2", "server a 192.0.2.1:80", "server b 192.0.2.2:80 maxqueue 0"
    )
    assert [(each.maxqueue, each.minconn, each.maxconn) for each in seen.servers] == [(3, 1, 2), (0, 1, 2)]


def test_fullconn_is_a_tenth_of_what_the_frontends_may_send_unless_it_is_said() -> None:
    text = (
        f"{TIMED}frontend f\n bind :1\n maxconn 100\n default_backend b\n"
        "frontend g\n bind :2\n maxconn 101\n default_backend b\nbackend b\nbackend c\n fullconn 55\nbackend d\n"
        "listen l\n bind :3\n maxconn 70\n"
    )
    backends = read(text).configuration.backends
    assert [backends[name].fullconn for name in "bcdl"] == [21, 55, 1, 7]


def test_rates_of_accepts() -> None:
    text = f"global\n maxconnrate 10\n maxsessrate 20\n{TIMED}listen l\n bind :1\n rate-limit sessions 30\n"
    seen = read(text).configuration
    assert (seen.connection_rate, seen.session_rate, seen.frontends["l"].session_rate) == (10, 20, 30)
    assert warnings() == []


def test_yaml_says_the_same() -> None:
    text = """
defaults:
  timeout: {connect: 1s, client: 2s, server: 3s}
  option: {redispatch: 2, allbackups: true}
  retries: 5
backends:
  b:
    balance: random(3)
    hash-type: consistent djb2
    option: {abortonclose: yes}
    fullconn: 12
    servers:
      s1: {address: "192.0.2.1:80", maxconn: 9, maxqueue: 4, minconn: 2, id: 3}
"""
    seen = read(text, "f.yaml").configuration.backends["b"]
    assert (seen.balance, seen.draws, seen.hashing) == ("random", 3, Hashing(consistent=True, function="djb2"))
    assert (seen.redispatch, seen.all_backups, seen.abort_on_close, seen.retries, seen.fullconn) == (
        2,
        True,
        True,
        5,
        12,
    )
    only = seen.servers[0]
    assert (only.maxconn, only.maxqueue, only.minconn, only.identity) == (9, 4, 2, 3)


MISTAKES = [
    ("balance random(2", "balance : random : missing closing parenthesis."),
    ("balance random(x)", "balance : random : unexpected character '(' after argument."),
    ("balance random(2x)", "balance : random : unexpected character 'x' after argument."),
    ("balance random(0)", "balance : random : number of draws must be at least 1."),
    ("balance hash", "balance : hash requires a sample expression."),
    ("balance hash bogus", "failed to parse 'balance hash' expression 'bogus' in : unknown fetch method 'bogus'."),
    ("balance hash src dst", "balance : hash takes no other argument (got 'dst')."),
    ("hash-type", "'hash-type' only supports 'consistent' and 'map-based'."),
    ("hash-type ring", "'hash-type' only supports 'consistent' and 'map-based'."),
    (
        "hash-type avalanche",
        (
            "experimental feature 'hash-type avalanche' is not supported anymore, please use 'hash-type map-based sdbm "
            "avalanche' instead."
        ),
    ),
    ("hash-type consistent md5", "'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions."),
    ("hash-type consistent sdbm x", "'hash-type' only supports 'avalanche' as a modifier for hash functions."),
    ("hash-type consistent sdbm avalanche x", "'hash-type' cannot handle unexpected argument 'x'."),
    ("hash-balance-factor", "'hash-balance-factor' expects an integer argument."),
    ("hash-balance-factor 99", "'hash-balance-factor' must be 0 or greater than 100."),
    ("hash-balance-factor x", "'hash-balance-factor' : 'x' is not a number from 0 to 2147483647"),
    ("retries 1 2", "'retries' cannot handle unexpected argument '2'."),
    ("retry-on", "'retry-on' needs at least one keyword to specify when to retry."),
    ("retry-on none 503", "'retry-on' 'none' keyword only usable alone."),
    ("retry-on bogus", "'retry-on': unknown keyword 'bogus'."),
    ("option redispatch x", "'option redispatch' : 'x' is not a number of retries"),
    ("option redispatch 1 2", "'option redispatch' cannot handle unexpected argument '2'."),
    ("option allbackups x", "'option allbackups' cannot handle unexpected argument 'x'."),
    ("fullconn", "'fullconn' expects an integer argument."),
    ("fullconn 1 2", "'fullconn' cannot handle unexpected argument '2'."),
    ("rate-limit", "'rate-limit' only supports 'sessions' (got '')"),
    ("rate-limit bytes 1", "'rate-limit' only supports 'sessions' (got 'bytes')"),
    ("rate-limit sessions", "'rate-limit sessions' expects an integer value (in sessions/second)"),
    ("server a 192.0.2.1:80 id 0", "'server l/a' : 'id' : custom id has to be > 0."),
    ("server a 192.0.2.1:80 id x", "'server l/a' : 'id' : custom id has to be > 0."),
    ("server a 192.0.2.1:80 maxqueue x", "'server l/a' : 'maxqueue' : 'x' is not a number from 0 to 2147483647."),
]


@pytest.mark.parametrize(("line", "message"), MISTAKES, ids=[line for line, _ in MISTAKES])
def test_a_mistake_is_told_in_haproxys_words(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read(f"{TIMED}listen l\n bind :1\n {line}\n")
    assert [found.message for found in wrong.value.diagnostics if found.location.line == 7] == [message]


def test_a_number_of_a_server_is_used_only_once() -> None:
    with pytest.raises(ConfigError, match=r"custom id 3 already used at f\.cfg:6"):
        backend("server a 192.0.2.1:80 id 3", "server b 192.0.2.2:80 id 3")

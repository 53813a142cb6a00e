"""haproxy.cfg becomes the model: keyword by keyword, and whatever the text, a model or a ConfigError."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hakit.diagnostics import ConfigError
from hakit.schedule import Intervals
from tcpbalancer.config.interpret import READERS
from tcpbalancer.config.load import Loaded, load, look_up, read_texts
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS
from tcpbalancer.log_format import TCPLOG, parse_log_format
from tcpbalancer.model import (
    PLAIN_CONNECT,
    Backend,
    Bind,
    Check,
    Configuration,
    ConnectionLog,
    Frontend,
    InitState,
    LogTarget,
    Mode,
    Secret,
    Server,
    StatsPage,
    Timeouts,
)

ROOT = Path(__file__).parents[2]
TIMED = "defaults\n timeout connect 1s\n timeout client 2s\n timeout server 3s\n"


def resolve(host: str) -> str | None:
    return {"db": "192.0.2.7"}.get(host)


def read(text: str, environment: dict[str, str] | None = None, name: str = "f.cfg") -> Loaded:
    return read_texts([(name, text)], environment or {}, resolve=resolve)


def model(text: str, environment: dict[str, str] | None = None) -> Configuration:
    return read(text, environment).configuration


def errors(text: str) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        read(text)
    return [
        found.message for found in wrong.value.diagnostics if found.severity.value == "error" and found.location.line
    ]


def warnings(text: str) -> list[str]:
    return [found.message for found in read(text).warnings]


def listen(line: str) -> Configuration:
    return model(f"{TIMED}listen l\n bind :1\n {line}\n")


def server(line: str, before: str = "") -> Server:
    return model(f"{TIMED}backend b\n {before}\n server {line}\n").backends["b"].servers[0]


def test_a_frontend_and_its_backend() -> None:
    text = (
        f"{TIMED}frontend f\n bind *:5432\n default_backend b\n"
        "backend b\n balance roundrobin\n server s 192.0.2.1:5432\n"
    )
    seen = model(text)
    assert seen.order == ("f", "b")
    frontend, backend = seen.frontends["f"], seen.backends["b"]
    assert isinstance(frontend, Frontend)
    assert isinstance(backend, Backend)
    assert [(bind.host, bind.port, str(bind.location)) for bind in frontend.binds] == [("", 5432, "f.cfg:6:7")]
    assert frontend.default_backend == "b"
    assert frontend.timeouts == Timeouts(client=2.0, connect=1.0, server=3.0)
    assert (backend.balance, backend.probe, backend.retries, backend.redispatch) == (
        "roundrobin",
        PLAIN_CONNECT,
        3,
        None,
    )
    assert [(found.name, found.address, found.port) for found in backend.servers] == [("s", "192.0.2.1", 5432)]
    assert backend.servers[0].check is None


def test_a_listen_section_is_a_frontend_and_a_backend_of_one_name() -> None:
    seen = listen("server s 192.0.2.1:1")
    assert (set(seen.frontends), set(seen.backends), seen.order) == ({"l"}, {"l"}, ("l",))
    assert seen.frontends["l"].default_backend == "l"


@pytest.mark.parametrize(
    ("address", "binds"),
    [
        ("*:5432", [("", 5432)]),
        (":5432", [("", 5432)]),
        ("0.0.0.0:5432", [("", 5432)]),
        ("192.0.2.1:80,[2001:db8::1]:81", [("192.0.2.1", 80), ("2001:db8::1", 81)]),
        (":::80", [("::", 80)]),
        ("[::]:80", [("::", 80)]),
        ("ipv4@127.0.0.1:80", [("127.0.0.1", 80)]),
        ("ipv6@:80", [("::", 80)]),
        ("127.0.0.1:80-82", [("127.0.0.1", 80), ("127.0.0.1", 81), ("127.0.0.1", 82)]),
        ("127.0.0.1:${PORT}", [("127.0.0.1", 8080)]),
        ('"127.0.0.1:${OTHER-81}"', [("127.0.0.1", 81)]),
        ("db:80", [("192.0.2.7", 80)]),
    ],
)
def test_bind_takes_every_form_of_address(address: str, binds: list[tuple[str, int]]) -> None:
    seen = model(f"{TIMED}frontend f\n bind {address}\n", {"PORT": "8080"})
    assert [(bind.host, bind.port) for bind in seen.frontends["f"].binds] == binds


def test_what_tcpbalancer_cannot_listen_on_is_named() -> None:
    found = read(f"{TIMED}frontend f\n bind quic4@:2\n bind :1 tls-tickets name here\n")
    assert [bind.port for bind in found.configuration.frontends["f"].binds] == [1]
    assert [text for text in (w.message for w in found.warnings) if "not carried out" in text] == [
        "'bind quic4@:2' is accepted but not carried out by tcpbalancer: nothing will listen there",
        "'tls-tickets' on a bind line is accepted but not carried out by tcpbalancer",
    ]
    assert all(warning.advice for warning in found.warnings)


def test_server_options() -> None:
    seen = server(
        "s 192.0.2.1:5432 check port 8008 addr 192.0.2.9 inter 3s fastinter 500 downinter 1m fall 4 rise 5 weight 7 "
        "maxconn 9 backup disabled on-marked-down shutdown-sessions"
    )
    assert seen.check == Check("192.0.2.9", 8008, Intervals(3.0, 0.5, 60.0), rise=5, fall=4)
    assert (seen.weight, seen.maxconn, seen.backup, seen.disabled) == (7, 9, True, True)
    assert seen.shutdown_sessions_when_down


def test_a_check_goes_to_the_server_itself_unless_told_otherwise() -> None:
    assert server("s 192.0.2.1:5432 check").check == Check("192.0.2.1", 5432, Intervals(2.0), rise=2, fall=3)


def test_default_server_accumulates_and_a_server_overrides_it() -> None:
    before = "default-server inter 5s check\n default-server fall 7 backup"
    seen = server("s 192.0.2.1:1 inter 1s no-backup", before)
    assert seen.check == Check("192.0.2.1", 1, Intervals(1.0), rise=2, fall=7)
    assert not seen.backup
    assert server("s 192.0.2.1:1 no-check enabled", before).check is None


def test_names_are_looked_up_once_at_start() -> None:
    assert server("s db:5432").address == "192.0.2.7"
    assert server("s nope:5432 init-addr 192.0.2.8").address == "192.0.2.8"
    assert server("s nope:5432 init-addr last,libc,none").address == ""
    assert look_up("127.0.0.1") == "127.0.0.1"
    assert look_up("no.such.host.invalid") is None
    assert look_up("x" * 300) is None


def test_a_server_without_a_port_gets_the_one_that_clients_call() -> None:
    text = (
        f"{TIMED}frontend f\n bind :5432\n default_backend b\n"
        "backend b\n server s 192.0.2.1 check port 1\n server t 192.0.2.1:+1\n"
    )
    ports = [found.port for found in model(text).backends["b"].servers]
    assert ports == [5432, 5433]


def test_a_server_without_a_port_is_reached_at_the_one_that_the_client_called() -> None:
    backend = model(
        f"{TIMED}backend b\n server s 192.0.2.1\n server t 192.0.2.1:+10\n server u /run/u.sock\n"
    ).backends["b"]
    seen = [(one.port, one.reach.called_port, one.reach.port_offset, one.disabled) for one in backend.servers]
    assert seen == [(0, True, 0, False), (0, True, 10, False), (0, False, 0, False)]


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.1:+10"])
def test_a_check_needs_a_port_of_its_own_where_the_server_has_none(address: str) -> None:
    said = "config: proxy 'l': server 's' has neither service port nor check port."
    assert errors(f"{TIMED}listen l\n bind :1\n server s {address} check\n") == [said]


def test_timeouts_count_in_milliseconds_unless_a_unit_is_given_and_0_is_none() -> None:
    text = (
        "defaults\n timeout client 1500\n timeout connect 1s\n timeout server 0\n timeout check 2m\n timeout queue 1h\n"
        " timeout tunnel 1d\n timeout client-fin 3000us\n timeout server-fin 20ms\nfrontend f\n bind :1\n"
    )
    assert model(text).frontends["f"].timeouts == Timeouts(
        client=1.5,
        connect=1.0,
        server=None,
        check=120.0,
        queue=3600.0,
        tunnel=86400.0,
        client_fin=0.003,
        server_fin=0.02,
    )


def test_the_statistics_page() -> None:
    text = (
        f"{TIMED}listen stats\n mode http\n bind :8404\n stats enable\n stats uri /stats\n stats realm The\\ Lab\n"
        " stats auth admin:a:b\n stats auth me:pw\n stats refresh 10s\n stats hide-version\n"
    )
    seen = model(text)
    page = StatsPage("/stats", "The Lab", (("admin", Secret("a:b")), ("me", Secret("pw"))), 10.0, hide_version=True)
    assert seen.frontends["stats"].stats == page
    assert seen.frontends["stats"].mode is Mode.HTTP
    assert seen.frontends["stats"].default_backend is None
    assert seen.backends["stats"].servers == ()
    assert "a:b" not in repr(seen)


def test_any_stats_keyword_switches_the_page_on_and_refresh_counts_in_seconds() -> None:
    seen = model(f"{TIMED}listen l\n mode http\n bind :1\n stats refresh 5\n stats show-version\n")
    assert seen.frontends["l"].stats == StatsPage(refresh=5.0)


def test_statistics_in_tcp_mode_are_ignored_with_haproxys_warning() -> None:
    text = f"{TIMED}listen l\n bind :1\n stats enable\n"
    assert warnings(text) == ["'stats' statement ignored for proxy 'l' as it requires HTTP mode."]
    assert model(text).frontends["l"].stats is None


def test_http_mode_that_relays_is_told_to_relay_bytes() -> None:
    text = f"{TIMED} mode http\nlisten l\n bind :1\n server s 192.0.2.1:1\n"
    assert model(text).frontends["l"].mode is Mode.TCP
    assert "relays bytes as in 'mode tcp'" in warnings(text)[0]


def test_global_settings_and_several_global_sections() -> None:
    seen = model(
        "global\n log stdout format raw local0\n log 127.0.0.1 local1 notice err\n log /dev/log daemon\n"
        " log [::1]:515 len 900 format rfc5424 user\n maxconn 100\nglobal\n nbthread 4\n daemon\n"
        " pidfile /run/x.pid\n node lb1\n description the first one\n"
    )
    assert seen.log_targets == (
        LogTarget("stdout", "local0", "raw", "debug"),
        LogTarget("127.0.0.1:514", "local1", level="notice", minlevel="err"),
        LogTarget("/dev/log", "daemon"),
        LogTarget("[::1]:515", "user", "rfc5424", length=900),
    )
    assert (seen.maxconn, seen.nbthread, seen.daemon, seen.pidfile) == (100, 4, True, "/run/x.pid")
    assert (seen.node, seen.description) == ("lb1", "the first one")


def test_unless_nbthread_is_said_there_is_a_worker_for_each_processor_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for processors, workers in ((1, 1), (3, 3), (200, 64)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _pid, count=processors: set(range(count)))
        assert model("global\n maxconn 10\n").nbthread == workers
        assert model("global\n nbthread 2\n").nbthread == 2


def test_no_log_forgets_the_targets_and_a_ring_is_none() -> None:
    seen = model("global\n log stdout local0\n no log\n log stderr format iso local0\n log ring@x local0\n")
    assert seen.log_targets == (LogTarget("stderr", "local0", "iso"),)


def test_a_line_per_connection_needs_tcplog_and_a_log() -> None:
    text = "global\n log stdout local0\n" + TIMED + " option tcplog\nlisten l\n bind :1\n"
    assert model(text).frontends["l"].connection_log is None
    assert warnings(text) == ["log format ignored for proxy 'l' since it has no log address."]
    assert model(text + " log global\n option dontlognull\n").frontends["l"].connection_log == ConnectionLog(
        parse_log_format(TCPLOG), without_null=True
    )
    assert model(text + " log global\n no log\n").frontends["l"].connection_log is None


def test_maxconn_of_a_frontend_is_the_global_one_unless_it_has_its_own() -> None:
    assert listen("maxconn 7").frontends["l"].maxconn == 7
    assert listen("maxconn 0").frontends["l"].maxconn == 2000


def test_options_can_be_taken_back() -> None:
    text = f"{TIMED} option redispatch\n option log-health-checks\n option dontlognull\nlisten l\n bind :1\n"
    seen = model(text).backends["l"]
    assert (seen.redispatch, seen.log_health_checks) == (-1, True)
    seen = model(text + " no option redispatch\n no option log-health-checks\n no option nolinger\n").backends["l"]
    assert (seen.redispatch, seen.log_health_checks) == (None, False)


def test_named_defaults_are_used_by_those_who_ask_and_the_last_ones_by_the_others() -> None:
    text = (
        "defaults one\n retries 1\n timeout client 1s\ndefaults two from one\n timeout client 2s\n"
        "defaults\n retries 9\n timeout client 9s\n"
        "listen a from one\n bind :1\nlisten b from two\n bind :2\nlisten c\n bind :3\n"
    )
    seen = model(text)
    assert [seen.backends[name].retries for name in "abc"] == [1, 1, 9]
    assert [seen.frontends[name].timeouts.client for name in "abc"] == [1.0, 2.0, 9.0]


def test_setenv_acts_on_the_lines_that_follow() -> None:
    text = (
        "global\n setenv A 192.0.2.5\n presetenv B 80\n presetenv C 99\nbackend b\n server s "
        '"${A}:${C}"\n server t ${A}:${B}\n'
    )
    servers = model(text, {"C": "81"}).backends["b"].servers
    assert [(found.address, found.port) for found in servers] == [("192.0.2.5", 81), ("192.0.2.5", 80)]


@pytest.mark.parametrize(
    "line",
    [
        "option forwardfor", "cookie SERVERID insert indirect", "errorfile 503 /x", "acl a hdr(host) x",
        "balance rdp-cookie", "timeout tarpit 1s",
        "tcp-request connection set-mark 1", "http-request set-header X y",
        "server s 192.0.2.1:1 cookie a tfo slowstart 3s",
    ],
)  # fmt: skip
def test_what_haproxy_knows_and_is_not_carried_out_is_named_and_lets_the_program_start(line: str) -> None:
    found = read(f"{TIMED}listen l\n bind :1\n {line}\n").warnings
    assert any("not carried out" in warning.message and warning.advice for warning in found)
    assert all(warning.advice or "HTTP mode." in warning.message for warning in found)  # HAProxy warns of that, too


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("http-request deny deny_status 403", "http-request deny"),
        ("http-request auth realm X if !a", "http-request auth"),
    ],
)
def test_what_would_keep_clients_out_is_refused_and_not_passed_over(line: str, named: str) -> None:
    assert errors(f"{TIMED}listen l\n bind :1\n {line}\n")[0] == (
        f"'{named}' is not supported by tcpbalancer: everybody would be let in"
    )


def test_a_disabled_proxy_does_not_start_and_is_not_looked_at_any_further() -> None:
    text = (
        f"{TIMED} disabled\nlisten off\n bind :1\n default_backend nope\n server s no.such.host.invalid:1 check\n"
        "frontend f\n enabled\n bind :2\n default_backend b\nbackend b\n server s 192.0.2.1:1\n"
    )
    seen = model(text)
    assert (list(seen.frontends), list(seen.backends), seen.order) == (["f"], [], ("f",))
    assert seen.frontends["f"].default_backend is None, "connections end at once, as in HAProxy"
    assert warnings(text) == []


def test_a_listen_section_follows_its_default_backend_though_it_has_servers() -> None:
    text = f"{TIMED} default_backend b\nlisten l\n bind :1\n server s 192.0.2.1:1\nbackend b\n server t 192.0.2.2\n"
    seen = model(text)
    assert seen.frontends["l"].default_backend == "b"
    assert seen.backends["b"].servers[0].port == 1, "the port that its callers are called at"
    assert warnings(text) == [
        "In proxy 'l', the 'default_backend' rule always has precedence over the servers, which will never be used."
    ]


def test_less_than_no_retries_are_none() -> None:
    assert listen("retries -1").backends["l"].retries == 0


def test_a_frontend_without_bind_is_warned_of() -> None:
    text = f"{TIMED}frontend f\n default_backend b\nbackend b\n server s 192.0.2.1:1\n"
    hint = "has no 'bind' directive. Please declare it as a backend if this was intended."
    assert warnings(text) == [f"frontend 'f' {hint}"]


def test_v6only_and_v4v6_are_taken_over() -> None:
    binds = listen("bind :::2 v6only\n bind :::3 v4v6\n bind :::4 name v6only").frontends["l"].binds
    assert [bind.only_v6 for bind in binds] == [None, True, False, None]


def test_http_requests_do_not_go_to_a_backend_in_tcp_mode() -> None:
    text = f"{TIMED}frontend f\n mode http\n bind :1\n default_backend b\nbackend b\n server s 192.0.2.1:1\n"
    said = "http frontend 'f' (f.cfg:5) tries to use incompatible tcp backend 'b' (f.cfg:9) as its default backend"
    assert errors(text) == [f"{said} (see 'mode')."]


def test_a_listen_section_is_not_its_own_default_backend() -> None:
    assert errors(f"{TIMED}listen l\n bind :1\n default_backend l\n") == [
        "Proxy 'l': loop detected for default_backend: 'l'."
    ]


def test_unsupported_sections_are_refused_or_passed_over() -> None:
    assert errors("peers p\n peer a 192.0.2.1:1\n") == [
        "unknown keyword 'peers' in 'global' section: not supported by tcpbalancer"
    ]
    assert warnings("program u\n user a\n") == ["section 'program' is not carried out by tcpbalancer"]


def test_every_keyword_of_the_registry_says_how_it_is_written_and_what_it_does() -> None:
    assert READERS
    for name, entry in {**KEYWORDS, **GLOBAL_KEYWORDS}.items():
        assert entry.syntax.startswith(name.split()[0])
        assert entry.summary.endswith(".")


def test_checking_patroni_on_a_port_that_writes_is_warned_of() -> None:
    text = (
        f"{TIMED}frontend f\n bind :5432\n default_backend b\nbackend b\n option httpchk GET /patroni\n"
        " server a 192.0.2.1:5432 check\n server b 192.0.2.2:5432 check\n"
    )
    assert "reach replicas and fail there" in warnings(text)[0]
    assert warnings(text.replace("/patroni", "/primary")) == []
    assert warnings(text.replace("5432", "8008")) == []


@pytest.mark.parametrize(("password", "warned"), [("admin123", True), ("admin", True), ("kU7-pq.Zz", False)])
def test_a_well_known_password_is_warned_of_and_never_shown(password: str, warned: bool) -> None:
    text = f"{TIMED}listen s\n mode http\n bind :1\n stats auth root:{password}\n"
    found = read(text).warnings
    assert bool(found) == warned
    assert all(password not in warning.render().replace("root", "") for warning in found)


def test_a_password_compares_but_does_not_print() -> None:
    secret = Secret("s3cret")
    assert secret == Secret("s3cret")
    assert (str(secret), f"{secret}", repr(secret)) == ("********", "********", "Secret()")


def test_an_open_statistics_page_is_warned_of() -> None:
    assert "open to everyone" in warnings(f"{TIMED}listen s\n mode http\n bind :1\n stats enable\n")[0]


@pytest.mark.parametrize("name", ["reference", "lab"])
def test_the_configurations_of_the_lab_are_taken_with_advice_only(name: str) -> None:
    found = load([ROOT / "configs" / name / "haproxy.cfg"])
    ours = [warning.message for warning in found.warnings if warning.advice]
    assert len(ours) == 2
    assert "/patroni" in ours[0]
    assert "well-known" in ours[1]


def test_the_configuration_for_patroni_cuts_writers_keeps_readers_and_trusts_nobody_before_the_first_check() -> None:
    seen = load([ROOT / "configs/patroni/haproxy.cfg"])
    assert seen.warnings == ()
    primary, replicas = seen.configuration.backends["primary"], seen.configuration.backends["replicas"]
    assert {server.shutdown_sessions_when_down for server in primary.servers} == {True}
    assert {server.shutdown_sessions_when_down for server in replicas.servers} == {False}
    assert {server.init_state for server in (*primary.servers, *replicas.servers)} == {InitState.DOWN}


def test_the_configuration_for_swarm_spreads_what_comes_back() -> None:
    seen = load([ROOT / "configs/swarm/haproxy.cfg"])
    assert (seen.warnings, seen.configuration.backends["swarm_managers"].balance) == ((), "leastconn")


def test_the_reference_is_what_the_set_up_gives() -> None:
    seen = load([ROOT / "configs/reference/haproxy.cfg"]).configuration
    assert {name: frontend.default_backend for name, frontend in seen.frontends.items()} == {
        "postgresql_frontend": "postgresql_backend",
        "docker_swarm_frontend": "docker_swarm_backend",
        "stats": None,
    }
    postgres = seen.backends["postgresql_backend"]
    assert postgres.probe.steps[1].uri == ("/patroni",)
    assert [(one.name, one.address, one.port, one.check) for one in postgres.servers] == [
        (f"pg10{n + 1}", f"192.168.50.2{n}", 5432, Check(f"192.168.50.2{n}", 8008, Intervals(3.0), 3, 3))
        for n in (1, 2, 3)
    ]
    swarm = seen.backends["docker_swarm_backend"]
    assert [(one.name, one.address, one.port) for one in swarm.servers] == [
        ("docker_mgr1", "192.168.50.31", 2377),
        ("docker_mgr2", "192.168.50.32", 2377),
    ]
    page = seen.frontends["stats"]
    assert [(bind.host, bind.port) for bind in page.binds] == [("", 8404)]
    assert page.stats is not None
    assert page.stats.uri == "/stats"
    assert page.stats.users == (("admin", Secret("admin123")),)


def test_a_folder_stands_for_its_files_and_several_files_are_one_configuration(tmp_path: Path) -> None:
    (tmp_path / "b.cfg").write_text("backend b\n server s 192.0.2.1:1\n")
    (tmp_path / "a.cfg").write_text(TIMED + "frontend f\n bind :1\n default_backend b\n")
    (tmp_path / "c.txt").write_text("nonsense")
    assert load([tmp_path]).configuration.order == ("f", "b")
    assert load([tmp_path / "a.cfg", tmp_path / "b.cfg"]).configuration.order == ("f", "b")


def test_bytes_that_are_no_text_are_an_error_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "x.cfg").write_bytes(b"global\n \xff\xfe x\n")
    with pytest.raises(ConfigError, match="unknown keyword"):
        load([tmp_path / "x.cfg"])


def gives_a_configuration_or_a_config_error(text: str, name: str = "f.cfg") -> None:
    result: object
    try:
        result = read(text, {"A": "x y", "B": ""}, name).configuration
    except ConfigError as wrong:
        result = wrong
    assert isinstance(result, Configuration | ConfigError)


@given(st.text(max_size=200))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_text_gives_a_configuration_or_a_config_error(text: str) -> None:
    gives_a_configuration_or_a_config_error(text)


PIECES = """
global defaults frontend backend listen from a b no \" ' # $A ${A} "${A[*]}" 0 1 -1 99999 300 3s
3zz :80 *:0 192.0.2.1:80
[::1]:80 h:+1 h a:1-9 if TRUE admin:pw /x check port inter fall weight disabled init-addr none tcp http status 200 200-
expect send hdr meth stdout local0 format raw socket enable auth refresh uri realm client connect
server httpchk tcplog peers
"""
WORDS = st.sampled_from(
    [*PIECES.split(), "\n", "\n ", "\n ", "\n ", *(name.split()[0] for name in GLOBAL_KEYWORDS), *KEYWORDS]
)


@given(st.lists(WORDS, max_size=60).map(lambda words: " ".join(words) + "\n"))
@settings(derandomize=True, max_examples=1500, deadline=None)
def test_any_heap_of_keywords_gives_a_configuration_or_a_config_error(text: str) -> None:
    gives_a_configuration_or_a_config_error(text)


def test_locations_are_those_of_the_words() -> None:
    seen = server("s 192.0.2.1:1")
    assert str(seen.location) == "f.cfg:7:2"
    assert Bind("", 1) == Bind("", 1)


@pytest.mark.parametrize("line", ["bind :2 ssl crt /x", "bind :2 ssl", "server s 192.0.2.1:1 ssl"])
def test_what_changes_the_bytes_on_the_wire_is_refused_rather_than_left_out(line: str) -> None:
    with pytest.raises(ConfigError, match="other bytes would flow than this file asks for"):
        read(f"{TIMED}listen l\n bind :1\n {line}\n")


HTTP_IN_TCP = """\
defaults
 timeout connect 1s
 timeout client 1s
 timeout server 1s
 option forwardfor
 option checkcache
 option idle-close-on-response
 option httplog
frontend f
 bind :1
 capture request header X len 3
 default_backend b
backend b
 no option checkcache
 http-response set-nice 1
listen own
 bind :2
 option tcplog
 log stdout local0
"""


def test_what_is_for_http_only_is_warned_of_in_haproxys_words_where_the_file_says_tcp() -> None:
    said = [found.message for found in read(HTTP_IN_TCP).warnings if not found.advice]
    assert said == [
        "'option httplog' not usable with frontend 'f' (needs 'mode http'). Falling back to 'option tcplog'.",
        "'capture' statement ignored for frontend 'f' as it requires HTTP mode.",
        "'option forwardfor' ignored for frontend 'f' as it requires HTTP mode.",
        "'option idle-close-on-response' ignored for frontend 'f' as it requires HTTP mode.",
        "'http-response' rules ignored for backend 'b' as they require HTTP mode.",
        "'option forwardfor' ignored for backend 'b' as it requires HTTP mode.",
        "'option forwardfor' ignored for proxy 'own' as it requires HTTP mode.",
        "'option checkcache' ignored for proxy 'own' as it requires HTTP mode.",
        "'option idle-close-on-response' ignored for proxy 'own' as it requires HTTP mode.",
        "log format ignored for frontend 'f' since it has no log address.",
    ]
    http = HTTP_IN_TCP.replace("defaults\n", "defaults\n mode http\n")
    assert not any("HTTP mode." in found.message for found in read(http).warnings)

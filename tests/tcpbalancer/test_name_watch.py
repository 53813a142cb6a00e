"""Names of servers while the balancer runs: they come, change, and go, and the servers with them."""

from __future__ import annotations

from collections.abc import Iterator

import dns.rcode
import pytest
from dns_responder import DnsResponder
from running_balancer import RunningBalancer
from tcp_peers import ScriptedServer, echo, free_port, read_exactly, read_to_end

from hakit.diagnostics import ConfigError
from tcpbalancer.administration import Answer
from tcpbalancer.config.load import read_texts
from tcpbalancer.model import Configuration, Naming, Server
from tcpbalancer.statistics import ServerStatistics
from tcpbalancer.watched import WatchedServer

HEAD = """
defaults
    timeout connect 1s
    timeout client 5s
    timeout server 5s
resolvers r
    nameserver ns1 127.0.0.1:{dns}
    timeout resolve 100ms
    timeout retry 200ms
    resolve_retries 1
    {section}
listen b
    bind 127.0.0.1:{port}
"""


@pytest.fixture
def names() -> Iterator[DnsResponder]:
    with DnsResponder() as responder:
        yield responder


def configured(names: DnsResponder, *lines: str, section: str = "hold nx 0s") -> Configuration:
    text = HEAD.format(dns=names.port, port=free_port(), section=section) + "".join(f"    {line}\n" for line in lines)
    return read_texts([("a.cfg", text)], resolve=lambda _: None).configuration


def rows(balancer: RunningBalancer) -> list[ServerStatistics]:
    return list(balancer.snapshot().proxy("b").servers)


def test_a_server_whose_name_has_no_address_starts_in_maintenance_and_comes_up_with_it(names: DnsResponder) -> None:
    with ScriptedServer(echo()) as peer:
        configuration = configured(names, f"server s1 db.test:{peer.port} resolvers r")
        with RunningBalancer(configuration) as balancer:
            assert [row.status for row in rows(balancer)] == ["MAINT (resolution)"]
            with balancer.connect() as client:
                assert read_to_end(client) == b""
            names.table["db.test"] = ["127.0.0.1"]
            assert balancer.line("b/s1: IP changed from '(none)' to '127.0.0.1' by 'r/ns1'.")[0] == "notice"
            assert balancer.line("Server b/s1 ('db.test') is UP/READY (resolves again).")[0] == "notice"
            with balancer.connect() as client:
                assert read_exactly(client, 6) == b"hello\n"
            del names.table["db.test"]
            line = balancer.line("Server b/s1 is going DOWN for maintenance (DNS NX status). 0 active")
            assert line[0] == "alert"
            assert balancer.wait_for("server", shown="MAINT (resolution)").reason == "DNS NX status"


def test_a_new_address_is_told_to_the_workers_at_once(names: DnsResponder) -> None:
    names.table["db.test"] = ["127.0.0.1"]
    with ScriptedServer(echo()) as peer:
        configuration = configured(names, f"server s1 db.test:{peer.port} resolvers r check inter 100ms")
        with RunningBalancer(configuration) as balancer:
            balancer.wait_for("server", check_status="L4OK")
            names.table["db.test"] = ["127.0.0.9"]
            balancer.line("b/s1: IP changed from '127.0.0.1' to '127.0.0.9' by 'r/ns1'.")
            balancer.wait_for("server", check_status="L4CON")
            assert rows(balancer)[0].address == f"127.0.0.9:{peer.port}"


def test_server_template_shares_the_addresses_of_one_name_and_asks_once(names: DnsResponder) -> None:
    names.table["db.test"] = ["127.0.0.1", "127.0.0.2"]
    configuration = configured(names, "server-template db 3 db.test:5432 resolvers r resolve-prefer ipv4")
    assert [server.name for server in configuration.backends["b"].servers] == ["db1", "db2", "db3"]
    with RunningBalancer(configuration) as balancer:
        balancer.line("Server b/db2 ('db.test') is UP/READY (resolves again).")
        assert [row.status for row in rows(balancer)] == ["no check", "no check", "MAINT (resolution)"]
        assert {row.address for row in rows(balancer)} == {"127.0.0.1:5432", "127.0.0.2:5432", ":5432"}
        names.table["db.test"] = ["127.0.0.3", "127.0.0.2", "127.0.0.1"]
        balancer.line("b/db3: IP changed from '(none)' to '127.0.0.3'")
        rounds = len(names.asked)
        names.table["db.test"] = ["127.0.0.2", "127.0.0.1"]
        assert balancer.line("Server b/db3 is going DOWN for maintenance (No IP for server ). 2 active")
        assert {kind for _, kind in names.asked} == {"A"}, "the preferred family has an answer"
        assert len(names.asked) < rounds + 20


@pytest.mark.parametrize(
    ("rcode", "silent", "cause"),
    [
        (dns.rcode.REFUSED, False, "DNS refused status"),
        (dns.rcode.SERVFAIL, False, "unspecified DNS error"),
        (dns.rcode.NXDOMAIN, True, "DNS timeout status"),
    ],
)
def test_what_a_name_server_cannot_say_counts_after_its_hold(
    names: DnsResponder, rcode: dns.rcode.Rcode, silent: bool, cause: str
) -> None:
    names.table["db.test"] = ["127.0.0.1"]
    section = "hold refused 300ms\n    hold other 300ms\n    hold timeout 300ms"
    with RunningBalancer(configured(names, "server s1 db.test:1 resolvers r", section=section)) as balancer:
        balancer.line("Server b/s1 ('db.test') is UP/READY (resolves again).")
        del names.table["db.test"]
        names.rcode, names.silent = rcode, silent
        balancer.line(f"Server b/s1 is going DOWN for maintenance ({cause}).")


def test_an_operator_may_give_another_name_or_an_address(names: DnsResponder) -> None:
    names.table["other.test"] = ["127.0.0.7"]
    lines = ("server s1 db.test:1 resolvers r", "server plain 127.0.0.1:1")
    with RunningBalancer(configured(names, *lines)) as balancer:
        generation = balancer.supervisor.current
        first, plain = generation.watch.backends[0].servers

        def rename(host: str, server: WatchedServer = first) -> Answer:
            answer: Answer = balancer.ask(lambda: generation.administration.set_fqdn(server, host))
            return answer

        by = "by 'stats socket command'"
        assert rename("").text == "set server <b>/<s> fqdn requires a FQDN."
        assert rename("db.test").text == f"no need to change the FDQN {by}"
        assert rename("a b").text == f"invalid fqdn 'a b' {by}"
        assert rename("other.test").text == f"b/s1 changed its FQDN from db.test to other.test {by}"
        balancer.line("Server b/s1 ('other.test') is UP/READY (resolves again).")
        refused = rename("x", plain)
        assert refused.text == "set server <b>/<s> fqdn failed because no resolution is configured."


def test_what_a_section_says_is_in_the_model(names: DnsResponder) -> None:
    section = "hold valid 5s\n hold obsolete 1s\n accepted_payload_size 4096"
    made = configured(
        names, "server s h:1 resolvers r resolve-prefer ipv4 resolve-net 10.0.0.0/8,::1 resolve-opts allow-dup-ip",
        section=section,
    )  # fmt: skip
    found = made.resolvers["r"]
    assert [(server.name, server.address, server.port) for server in found.servers] == [
        ("ns1", "127.0.0.1", names.port)
    ]
    assert (found.resolve, found.retry, found.retries, found.payload) == (0.1, 0.2, 1, 4096)
    assert (found.hold.valid, found.hold.obsolete, found.hold.nx) == (5.0, 1.0, 30.0)
    server: Server = made.backends["b"].servers[0]
    assert server.naming == Naming("r", prefers_ipv4=True, networks=("10.0.0.0/8", "::1/128"), allows_duplicates=True)


BEGIN = "resolvers r\n nameserver a 192.0.2.1:53\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BEGIN} nameserver b 127.0.0.1\n", "'nameserver b' : missing port specification in '127.0.0.1'"),
        (f"{BEGIN} nameserver b foo:53\n", "'nameserver b' : invalid address: 'foo' in 'foo:53'"),
        (f"{BEGIN} nameserver b\n", "'nameserver' expects <name> and <addr>[:<port>] as arguments."),
        (f"{BEGIN} nameserver a 192.0.2.2:53\n", "'nameserver' : 'a' has the same name as another nameserver."),
        (f"{BEGIN} nameserver b 192.0.2.2:5x\n", "'nameserver b' : invalid character 'x' in port number '5x' in"),
        (
            f"{BEGIN} hold foo 5s\n",
            "'hold' unknown <event>: 'foo', expects either 'nx', 'timeout', 'valid', 'obsolete'",
        ),
        (f"{BEGIN} hold valid 5x\n", "unexpected character 'x' in argument to <hold>."),
        (f"{BEGIN} hold\n", "'hold' expects an <event> and a <time> as arguments."),
        (f"{BEGIN} timeout foo 5s\n", "'timeout' expects 'retry' or 'resolve' and <time> as arguments got 'foo'."),
        (f"{BEGIN} timeout\n", "'timeout' expects 'retry' or 'resolve' and <time> as arguments."),
        (f"{BEGIN} timeout retry\n", "'timeout retry' expects <time> as argument."),
        (f"{BEGIN} timeout retry x\n", "unexpected character 'x' in argument to <timeout retry>."),
        (f"{BEGIN} resolve_retries\n", "'resolve_retries' expects <nb> as argument."),
        (f"{BEGIN} resolve_retries x\n", "'resolve_retries' : 'x' is not a number from 0 to 2147483647"),
        (
            f"{BEGIN} accepted_payload_size 9\n",
            "'accepted_payload_size' must be between 12 and 65535 inclusive",
        ),
        (f"{BEGIN}{BEGIN}", "resolvers 'r' has same name as another resolvers (declared at a.cfg:1)."),
        ("resolvers\n", "missing name for resolvers section."),
        (f"{BEGIN} bogus\n", "unknown keyword 'bogus' in 'resolvers' section"),
    ],
)
def test_a_mistake_in_a_section_is_told_in_haproxys_words(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_texts([("a.cfg", text)])
    assert any(finding.message.startswith(message) for finding in caught.value.diagnostics)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("server s h:1 resolve-prefer foo", "'resolve-prefer' expects either ipv4 or ipv6 as argument.."),
        ("server s h:1 resolve-net 10.0.0.0/33", "'resolve-net' invalid network '10.0.0.0/33'.."),
        ("server s h:1 resolve-opts foo", "'resolve-opts' : unknown resolve-opts option 'foo', supported methods are"),
        ("server s h:1 resolvers nix", "proxy 'b', server 's': unable to find required resolvers 'nix'"),
        (
            "server s h:1",
            "could not resolve address 'h'.\n   | 'init-addr last,libc,none' lets it start, in maintenance",
        ),
        ("server s h:1 init-addr last", "no method found to resolve address 'h'."),
        ("server-template x", "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments."),
        ("server-template x a-b h:1", "Wrong server-template number or range arg 'a-b'."),
        ("server-template x 3-2 h:1", "Wrong server-template number or range arg '3-2'."),
        ("server-template x 2 192.0.2.1:1 bogus", "unknown keyword 'bogus'"),
    ],
)
def test_a_mistake_about_a_name_is_told_in_haproxys_words(names: DnsResponder, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(names, line)
    said = [finding.message for finding in caught.value.diagnostics if message in finding.message]
    assert len(said) == 1, caught.value.diagnostics


def test_resolv_conf_is_read_where_it_is_asked_for(names: DnsResponder) -> None:
    made = configured(names, "server s 127.0.0.1:1", section="parse-resolv-conf")
    assert made.resolvers["r"].servers[0].name == "ns1"


def test_srv_records_are_named_as_not_carried_out(names: DnsResponder) -> None:
    made = configured(names, "server-template s 1-2 _http._tcp.db.test resolvers r")
    assert [(server.name, server.address) for server in made.backends["b"].servers] == [("s1", ""), ("s2", "")]


def test_what_a_name_server_has_said_holds_over_a_reload(names: DnsResponder) -> None:
    names.table["db.test"] = ["127.0.0.7"]
    configuration = configured(names, "server s1 db.test:5432 resolvers r")
    with RunningBalancer(configuration) as balancer:
        balancer.line("Server b/s1 ('db.test') is UP/READY (resolves again).")
        names.silent = True
        balancer.ask(lambda: balancer.supervisor.reload(configuration))
        assert [(row.status, row.address) for row in rows(balancer)] == [("no check", "127.0.0.7:5432")]


def test_a_fallback_is_told(names: DnsResponder) -> None:
    text = HEAD.format(dns=names.port, port=free_port(), section="") + "    server s h:1 init-addr libc,192.0.2.5\n"
    loaded = read_texts([("a.cfg", text)], resolve=lambda _: None)
    assert loaded.configuration.backends["b"].servers[0].address == "192.0.2.5"
    assert "'server b/s' : could not resolve address 'h', falling back to configured address." in [
        warning.message for warning in loaded.warnings
    ]


def test_yaml_has_the_same_sections(names: DnsResponder) -> None:
    text = f"""
resolvers r:
  nameserver: [ns1 127.0.0.1:{names.port}, ns2 127.0.0.1:53]
  hold: {{nx: 5s, valid: 3s}}
  timeout: {{resolve: 2s}}
backends:
  a:
    timeout: {{connect: 1s, server: 1s}}
    server-template: db 1-2 db.test:5432 resolvers r init-addr none
"""
    made = read_texts([("a.yaml", text)], resolve=lambda _: None).configuration
    assert [server.name for server in made.resolvers["r"].servers] == ["ns1", "ns2"]
    assert (made.resolvers["r"].hold.nx, made.resolvers["r"].resolve) == (5.0, 2.0)
    assert [server.name for server in made.backends["a"].servers] == ["db1", "db2"]

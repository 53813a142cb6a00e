"""One mistake per line: what is said of it, and in which column. The words are HAProxy's where it has some."""

from __future__ import annotations

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import read_texts
from tcpbalancer.config.removed import REMOVED, REMOVED_GLOBAL

GLOBAL = "global\n"
LISTEN = "listen l\n"
FRONTEND = "frontend f\n"
BACKEND = "backend b\n"
DEFAULTS = "defaults\n"

NEGATION = (
    "negation/default currently supported only for options, log, busy-polling, set-dumpable, strict-limits, "
    "insecure-fork-wanted and numa-cpu-mapping."
)
MISTAKES = [
    (GLOBAL, "maxconn", 8, "'maxconn' expects an integer argument."),
    (GLOBAL, "maxconn abc", 9, "'maxconn' : 'abc' is not a number from 0 to 2147483647"),
    (GLOBAL, "maxconn 99999999999", 9, "'maxconn' : '99999999999' is not a number from 0 to 2147483647"),
    (GLOBAL, "maxconn 1 2", 11, "'maxconn' cannot handle unexpected argument '2'."),
    (GLOBAL, "nbthread 0", 10, "'nbthread' value must be between 1 and 64 (was 0)"),
    (GLOBAL, "daemon x", 8, "'daemon' cannot handle unexpected argument 'x'."),
    (GLOBAL, "pidfile", 8, "'pidfile' expects a file name as an argument."),
    (GLOBAL, "pidfile a b", 11, "'pidfile' cannot handle unexpected argument 'b'."),
    (
        GLOBAL, "node", 5,
        ("'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or "
        "underscode(_)."),
    ),
    (GLOBAL, "description", 12, "'description' expects a string argument."),
    (GLOBAL, "setenv a", 9, "'setenv' expects environment variable value for 'a'."),
    (GLOBAL, "presetenv", 10, "'presetenv' expects environment variable name."),
    (GLOBAL, "setenv a b c", 12, "'setenv' cannot handle unexpected argument 'c'."),
    (GLOBAL, "unsetenv", 9, "'unsetenv' expects at least one variable name."),
    (GLOBAL, "stats foo", 7, "'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got 'foo')"),
    (GLOBAL, "stats socket", 13, "'stats socket' in global section expects an address or a path to a UNIX socket"),
    (GLOBAL, "stats timeout abc", 15, "'stats timeout' : unexpected character 'a'"),
    (GLOBAL, "log", 4, "log : expects <address> and <facility>  as arguments"),
    (GLOBAL, "log stdout", 11, "log : expects <address> and <facility>  as arguments"),
    (GLOBAL, "log stdout nofac", 12, "log : unknown log facility 'nofac'"),
    (GLOBAL, "log stdout local0 loud", 19, "log : unknown optional log level 'loud'"),
    (GLOBAL, "log stdout format rwa local0", 19, "log : unknown log format 'rwa'; did you mean 'raw' maybe ?"),
    (GLOBAL, "log :514 local0", 5, "log : ':514' names no host"),
    (GLOBAL, "log h:x local0", 5, "log : invalid character 'x' in port number 'x' in 'h:x'"),
    (GLOBAL, "bogus", 1, "unknown keyword 'bogus' in 'global' section"),
    (GLOBAL, "maxcon 1", 1, "unknown keyword 'maxcon' in 'global' section; did you mean 'maxconn' maybe ?"),
    (DEFAULTS, "server s 192.0.2.1:1", 1, "'server' not allowed in 'defaults' section."),
    (LISTEN, "mode foo", 6, "unknown proxy mode 'foo'."),
    (LISTEN, "mode htp", 6, "unknown proxy mode 'htp'. Did you mean 'http' maybe ?"),
    (LISTEN, "mode tcp x", 10, "'mode' cannot handle unexpected argument 'x'."),
    (FRONTEND, "default_backend", 16, "'default_backend' expects a backend name."),
    (FRONTEND, "server s 192.0.2.1:1", 1, "'server' not allowed because frontend 'f' has no backend capability."),
    (LISTEN, "timeout client", 15, "'timeout client' expects an integer value (in milliseconds)"),
    (LISTEN, "timeout client 3.5s", 16, "unexpected character '.' in 'timeout client'"),
    (
        LISTEN, "timeout client 5000000d", 16,
        "timer overflow in argument '5000000d' to 'timeout client' (maximum value is 2147483647 ms or ~24.8 days)",
    ),
    (LISTEN, "timeout client 3s x", 19, "'timeout client' : unexpected extra argument 'x' after value '3s'."),
    (LISTEN, "retries", 8, "'retries' expects an integer argument (dispatch counts for one)."),
    (LISTEN, "retries 3x", 9, "'retries' : '3x' is not a number from 0 to 2147483647"),
    (LISTEN, "maxconn", 8, "'maxconn' expects an integer argument."),
    (LISTEN, "maxconn x", 9, "'maxconn' : 'x' is not a number from 0 to 2147483647"),
    (LISTEN, "log", 4, "log : expects <address> and <facility> or global as arguments"),
    (LISTEN, "log stdout", 11, "log : expects <address> and <facility> or global as arguments"),
    (LISTEN, "option", 7, "'option' expects an option name."),
    (LISTEN, "option tcplogg", 8, "unknown option 'tcplogg'; did you mean 'tcplog' maybe ?"),
    (LISTEN, "option tcplog foo", 15, "'option tcplog' cannot handle unexpected argument 'foo'."),
    (LISTEN, "option tcp-check foo", 18, "'option tcp-check' cannot handle unexpected argument 'foo'."),
    (LISTEN, "no option tcplog", 1, "negation/default is not supported for option 'tcplog'."),
    (
        LISTEN, "no server s", 1,
        NEGATION,
    ),
    (LISTEN, "option httpchk G(T /", 16, "'option httpchk' : 'G(T' is not a method"),
    (
        LISTEN, 'option httpchk GET ""', 21,
        "argument number 3 at position 21 is empty and marks the end of the argument list:",
    ),
    (LISTEN, "option httpchk GET / HTTP", 22, "'option httpchk' : 'HTTP' is not an HTTP version"),
    (
        LISTEN, "option httpchk GET / HTTP/1.0\\r\\nnocolon:\\x01", 22,
        "'option httpchk' : a header is not 'name: value'",
    ),
    (LISTEN, "http-check expect", 18, "'http-check expect' : expects at least a matching pattern as arguments."),
    (LISTEN, "http-check expect status", 25, "'http-check expect' : 'status' expects a <pattern> as argument."),
    (
        LISTEN, "http-check expect status abc", 26,
        "'http-check expect' : invalid character 'a' in the list of status codes.",
    ),
    (LISTEN, "http-check expect status 300-200", 26, "'http-check expect' : invalid range of status codes '300-200'."),
    (
        LISTEN, "http-check expect foo bar", 19,
        ("'http-check expect' : 'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', "
        "'[!]rstatus', [!]hdr, [!]fhdr or comment but got 'foo' as argument.."),
    ),
    (
        LISTEN, "http-check send bogus", 17,
        ("'http-check send' : expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got "
        "'bogus' as argument.."),
    ),
    (LISTEN, "http-check send hdr a", 21, "'http-check send' : 'hdr' expects <name> and <value> as arguments."),
    (LISTEN, "http-check send uri", 20, "'http-check send' : 'uri' expects a string as argument.."),
    (LISTEN, "http-check send hdr a: b", 21, "'http-check send' : 'a:' is not the name of a header."),
    (
        LISTEN, "http-check bogus", 12,
        ("'http-check' only supports 'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', "
        "'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'. but got 'bogus'"),
    ),
    (LISTEN, "default-server bogus", 16, "unknown keyword 'bogus'. Hint: no address was expected for this server."),
    (LISTEN, "stats uri", 10, "'uri' needs an URI prefix."),
    (LISTEN, "stats uri x", 11, "'stats uri' : 'x' does not begin with '/': no request would ever ask for it"),
    (LISTEN, "stats realm", 12, "'realm' needs a realm."),
    (LISTEN, "stats realm ü", 13, "'stats realm' : only printable ASCII can stand in a header"),
    (LISTEN, "stats auth", 11, "'auth' needs a user:password account."),
    (LISTEN, "stats auth :x", 12, "'auth' needs a user:password account."),
    (LISTEN, "stats refresh", 14, "'refresh' needs a positive interval value (in seconds)."),
    (LISTEN, "stats refresh abc", 15, "unexpected character 'a' in argument to stats refresh interval."),
    (LISTEN, "stats enable x", 14, "'stats enable' cannot handle unexpected argument 'x'."),
    (
        LISTEN, "stats foo", 7,
        ("unknown stats parameter 'foo', expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', "
        "'show-node', 'show-desc' or 'show-legends'."),
    ),
    (LISTEN, "bind", 5, "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments."),
    (LISTEN, "bind 1.2.3.4", 6, "'bind' : missing port specification in '1.2.3.4'"),
    (LISTEN, "bind [::1]", 6, "'bind' : missing port specification in '[::1]'"),
    (LISTEN, "bind :0", 6, "'bind' : invalid port '0'"),
    (LISTEN, "bind :+1", 6, "'bind' : port offset not permitted here in ':+1'"),
    (LISTEN, "bind nosuchname:80", 6, "'bind' : invalid address: 'nosuchname' in 'nosuchname:80'"),
    (LISTEN, "bind 1.2.3.4:90-80", 6, "'bind' : invalid port range '90-80'"),
    (LISTEN, "bind ipv6@1.2.3.4:80", 6, "'bind' : invalid address: '1.2.3.4' in 'ipv6@1.2.3.4:80'"),
    (LISTEN, "bind ipv4@[::1]:80", 6, "'bind' : invalid address: '[::1]' in 'ipv4@[::1]:80'"),
    (LISTEN, "bind a/b:80", 6, "'bind' : invalid address: 'a/b' in 'a/b:80'"),
    (LISTEN, "bind :80 name", 14, "'bind :80' in section 'listen' : 'name' : missing value"),
    (LISTEN, "bind :80 bogus", 10, "'bind :80' in section 'listen': unknown keyword 'bogus'."),
    (LISTEN, "server", 7, "'server' expects <name> and <addr>[:<port>] as arguments."),
    (LISTEN, "server x", 9, "'server' expects <name> and <addr>[:<port>] as arguments."),
    (LISTEN, "server x/y 192.0.2.1:1", 8, "character '/' is not permitted in server name 'x/y'."),
    (LISTEN, "server x 192.0.2.1:500000", 10, "'server l/x' : invalid port '500000'"),
    (LISTEN, "server x 192.0.2.1:1-2", 10, "'server l/x' : port range not permitted here in '192.0.2.1:1-2'"),
    (LISTEN, "server x 192.0.2.1:1 inter", 27, "'server l/x' : 'inter' expects a delay as argument.."),
    (LISTEN, "server x 192.0.2.1:1 fall", 26, "'server l/x' : 'fall' expects an integer argument.."),
    (
        LISTEN, "server x 192.0.2.1:1 inter abc", 28,
        "'server l/x' : unexpected character 'a' in 'inter' argument of server x..",
    ),
    (LISTEN, "server x 192.0.2.1:1 inter 0", 28, "'server l/x' : invalid value 0 for argument 'inter' of server x.."),
    (LISTEN, "server x 192.0.2.1:1 fall 0", 27, "'server l/x' : 'fall' has to be > 0.."),
    (LISTEN, "server x 192.0.2.1:1 rise x", 27, "'server l/x' : 'rise' has to be > 0.."),
    (LISTEN, "server x 192.0.2.1:1 weight -1", 29, "'server l/x' : weight of server x is not within 0 and 256 (-1).."),
    (
        LISTEN, "server x 192.0.2.1:1 maxconn x", 30,
        "'server l/x' : 'maxconn' : 'x' is not a number from 0 to 2147483647.",
    ),
    (LISTEN, "server x 192.0.2.1:1 port 99999", 27, "'server l/x' : 'port' : invalid port '99999'."),
    (
        LISTEN, "server x 192.0.2.1:1 addr :1", 27,
        "'server l/x' : 'addr' expects an address, not ':1'.",
    ),
    (
        LISTEN, "server x 192.0.2.1:1 on-marked-down foo", 37,
        "'server l/x' : 'on-marked-down' expects 'shutdown-sessions' but got 'foo'.",
    ),
    (
        LISTEN, "server x 192.0.2.1:1 init-addr soon", 32,
        ("'server l/x' : 'init-addr' : unknown init-addr method 'soon', supported methods are 'libc', 'last', "
        "'none'.."),
    ),
    (LISTEN, "unknownsection", 1, "unknown keyword 'unknownsection' in 'listen' section"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "line", "column", "message"), MISTAKES, ids=[line for _, line, _, _ in MISTAKES])
def test_a_mistake_is_told_with_its_place(section: str, line: str, column: int, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.cfg", f"{section}{line}\n")], {}, resolve=lambda _: None)
    told = [found for found in wrong.value.diagnostics if found.location.line]
    assert [(str(found.location), found.message) for found in told if found.severity.value == "error"] == [
        (f"f.cfg:2:{column}", message)
    ]


@pytest.mark.parametrize(
    ("header", "column", "message"),
    [
        ("global x", 8, "'global' cannot handle unexpected argument 'x'."),
        ("frontend", 9, "'frontend' expects an <id> argument"),
        ("backend from x", 14, "'backend' cannot handle unexpected argument 'x'."),
        ("listen a.b$c", 8, "character '$' is not permitted in 'listen' name 'a.b$c'."),
        ("backend a b", 11, "'backend' cannot handle unexpected argument 'b'."),
        (
            "frontend a :80", 12,
            "please use the 'bind' keyword for listening addresses.",
        ),
        ("listen a from nope", 15, "defaults section 'nope' not found for proxy 'a'."),
        ("frontend f from x y", 19, "'frontend' cannot handle unexpected argument 'y'."),
        ("defaults a from x y", 19, "'defaults' cannot handle unexpected argument 'y'."),
        ("glbal", 1, "unknown keyword 'glbal' out of section. Did you mean 'global' maybe ?"),
        ("bogus", 1, "unknown keyword 'bogus' out of section."),
    ],
)  # fmt: skip
def test_a_header_that_is_wrong_does_not_hide_what_follows(header: str, column: int, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.cfg", f"{header}\nglobal\n nbthread 0\n")], {})
    errors = [found for found in wrong.value.diagnostics if found.location.line and found.severity.value == "error"]
    assert (str(errors[0].location), errors[0].message) == (f"f.cfg:1:{column}", message)
    assert errors[-1].message == "'nbthread' value must be between 1 and 64 (was 0)"


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        (FRONTEND, "balance roundrobin", "'balance' ignored because frontend 'f' has no backend capability."),
        (BACKEND, "bind :1", "'bind' ignored because backend 'b' has no frontend capability."),
        (BACKEND, "option tcplog", "backend 'b' : 'option tcplog' directive is ignored in backends."),
    ],
)
def test_what_is_ignored_where_it_stands_is_warned_of_as_haproxy_does(section: str, line: str, message: str) -> None:
    loaded = read_texts([("f.cfg", f"defaults\n timeout client 1s\n{section}{line}\n")], {})
    said = [(found.message, found.advice) for found in loaded.warnings if "no 'bind' directive" not in found.message]
    assert said == [(message, False)]


PATRONIS_OWN = """\
global
    maxconn 100
defaults
    log global
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen stats
    mode http
    bind *:7000
    stats enable
    stats uri /
listen batman
    bind *:5000
    option httpchk
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
    server postgresql0 127.0.0.1:5432 maxconn 100 check port 8008
    server postgresql1 127.0.0.1:5433 maxconn 100 check port 8009
"""


def test_a_configuration_in_patronis_manner_is_taken_with_one_piece_of_advice() -> None:
    loaded = read_texts([("haproxy.cfg", PATRONIS_OWN)], {})
    assert [found.message for found in loaded.warnings] == [
        "the statistics page of 'stats' is open to everyone: add 'stats auth USER:PASSWORD'"
    ]
    servers = loaded.configuration.backends["batman"].servers
    assert [(one.port, one.maxconn, one.check.port if one.check else 0) for one in servers] == [
        (5432, 100, 8008),
        (5433, 100, 8009),
    ]


HTTP_ROLE = """\
global
  log /dev/log local0
  log /dev/log local1 notice
  stats socket /var/lib/haproxy/stats level admin
  chroot /var/lib/haproxy
  user haproxy
  group haproxy
  daemon
defaults
  log global
  mode http
  option httplog
  option dontlognull
  timeout connect 5000
  timeout client 50000
  timeout server 50000
  errorfile 400 /etc/haproxy/errors/400.http
frontend hafrontend
  bind *:80
  mode http
  default_backend habackend
backend habackend
  mode http
  balance roundrobin
  option forwardfor
  option httpchk HEAD / HTTP/1.1\\r\\nHost:localhost
  cookie SERVERID insert indirect
  server app1 192.0.2.1:80 cookie app1 check
"""


def test_a_configuration_for_http_is_taken_and_everything_left_out_is_named() -> None:
    loaded = read_texts([("haproxy.cfg", HTTP_ROLE)], {})
    text = "\n".join(found.message for found in loaded.warnings)
    for name in (
        "errorfile",
        "option forwardfor",
        "'cookie'",
        "'mode http'",
    ):
        assert name in text
    assert loaded.configuration.daemon


@pytest.mark.parametrize(
    ("section", "line", "message"),
    [
        (GLOBAL, "lua-load x.lua", "unknown keyword 'lua-load' in 'global' section: not supported by tcpbalancer"),
        (LISTEN, "filter spoe engine x", "unknown keyword 'filter' in 'listen' section: not supported by tcpbalancer"),
        (LISTEN, "use-fcgi-app x", "unknown keyword 'use-fcgi-app' in 'listen' section: not supported by tcpbalancer"),
        (LISTEN, "persist rdp-cookie", "unknown keyword 'persist' in 'listen' section: not supported by tcpbalancer"),
        (
            LISTEN, "server s 192.0.2.1:1 socks4 192.0.2.2:1 check",
            "'server l/s' : unknown keyword 'socks4': not supported by tcpbalancer",
        ),
        (
            LISTEN, "server s 192.0.2.1:1 check-via-socks4",
            "'server l/s' : unknown keyword 'check-via-socks4': not supported by tcpbalancer",
        ),
        (GLOBAL, "nbproc 4", REMOVED_GLOBAL["nbproc"]),
        (GLOBAL, "no maxconn", NEGATION),
        (LISTEN, "contimeout 5s", REMOVED["contimeout"]),
        (LISTEN, "reqadd X", REMOVED["reqadd"]),
        (LISTEN, "option http-tunnel", REMOVED["option http-tunnel"]),
        (LISTEN, "no option bogus", "negation/default is not supported for option 'bogus'."),
        *(
            (GLOBAL, f"{name} x", f"unknown keyword '{name}' in 'global' section: not supported by tcpbalancer")
            for name in ("cache", "fcgi-app", "log-forward", "mailers", "peers", "ring")
        ),
    ],
)  # fmt: skip
def test_what_is_rare_or_gone_is_refused_by_its_name(section: str, line: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.cfg", f"{section}{line}\n")], {}, resolve=lambda _: None)
    assert [found.message for found in wrong.value.diagnostics if found.location.line == 2] == [message]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("tcp-request session accept", "tcp-request connection accept",
         "a 'tcp-request connection' rule placed after a 'tcp-request session' rule"),
        ("http-request set-nice 1", "tcp-request content accept",
         "a 'tcp-request content' rule placed after an 'http-request' rule"),
        ("use_backend l if TRUE", "http-request set-nice 1",
         "a 'http-request' rule placed after a 'use_backend' rule"),
        ("monitor fail if FALSE", "tcp-request content accept",
         "a 'tcp-request content' rule placed after a 'monitor fail' rule"),
        ("redirect prefix /", "monitor fail if FALSE", "a 'monitor fail' rule placed after a 'redirect' rule"),
        ("http-response set-nice 1", "tcp-response content accept",
         "a 'tcp-response content' rule placed after an 'http-response' rule"),
    ],
)  # fmt: skip
def test_rules_in_an_order_that_is_not_followed_are_warned_of(first: str, second: str, message: str) -> None:
    def warnings(*lines: str) -> list[str]:
        text = "defaults\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nlisten l\n bind :1\n"
        return [found.message for found in read_texts([("f.cfg", text + "\n".join(lines) + "\n")], {}).warnings]

    assert f"{message} will still be processed before." in warnings(first, second)
    assert not any("still be processed" in text for text in warnings(second, first))


DEFAULTS_A = "defaults a\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{DEFAULTS_A}{DEFAULTS_A}listen l from a\n bind :1\n",
         "ambiguous defaults section name 'a' referenced by proxy 'l' exists at least at f.cfg:5 and f.cfg:1."),
        (f"{DEFAULTS_A}listen l from a\n bind :1\n{DEFAULTS_A}",
         ("defaults 'a' has the same name as another defaults section declared at f.cfg:1 which was explicitly "
         "referenced hence cannot be replaced. Please remove or rename one of the offending defaults section.")),
        (f"{DEFAULTS_A.replace('a', 'a/b', 1).replace('defa/bults a', 'defaults a/b')}listen l from a/b\n bind :1\n",
         ("character '/' is not permitted in defaults section name 'a/b' when designated by its name (section found at "
         "f.cfg:1).")),
        ("defaults from x\n", "defaults section 'x' not found for defaults ''."),
        (f"{DEFAULTS_A}frontend f\n bind :1\nlisten f\n bind :2\n",
         "proxy 'f' has the same name as frontend 'f' declared at f.cfg:5."),
    ],
)  # fmt: skip
def test_defaults_that_are_not_what_they_are_taken_for_are_told(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.cfg", text)], {})
    assert wrong.value.diagnostics[0].message == message


@pytest.mark.parametrize("header", ["defaults a b", "defaults from", "defaults a/b"])
def test_what_stands_behind_defaults_is_of_no_matter(header: str) -> None:
    text = DEFAULTS_A.replace("defaults a", header)
    assert read_texts([("f.cfg", f"{text}listen l\n bind :1\n")], {}).warnings == ()


def test_defaults_inherit_in_a_chain_and_using_one_with_and_without_its_name_is_warned_of() -> None:
    text = f"{DEFAULTS_A}defaults b from a\n retries 7\ndefaults c from b\nbackend x from c\nbackend y\n"
    loaded = read_texts([("f.cfg", text)], {})
    backends = loaded.configuration.backends
    assert [(one.retries, one.timeouts.connect) for one in backends.values()] == [(7, 1.0), (7, 1.0)]
    message = (
        "defaults section 'c' (declared at f.cfg:7) is explicitly referenced by another proxy and implicitly used "
        "here. To avoid any ambiguity don't mix both usage. Add a last defaults section not explicitly used or always "
        "use explicit references."
    )
    assert [found.message for found in loaded.warnings] == [message]

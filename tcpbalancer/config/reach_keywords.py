"""How servers are reached: ``source``, the options ``source``, ``send-proxy`` and its relatives, ``namespace``.

Laws: handlers report and never raise, parsers raise ValueError in HAProxy's words and nothing else. Whether a network
namespace is there is seen at once, as HAProxy does it.

Source: HAProxy's configuration manual, sections 4.2 "source" and 5.2 "Server and default-server options"; ``server.c``.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcpbalancer import namespaces
from tcpbalancer.config.drafts import Options, ProxyDraft, ServerDraft
from tcpbalancer.config.line_options import Given, server_flag, server_option
from tcpbalancer.config.registry import BACK, Reading, keyword
from tcpbalancer.config.tokens import expand_address
from tcpbalancer.config.values import TimeError, parse_address, parse_time
from tcpbalancer.model.reach import Reach, Source

server_flag("send-proxy", "It hears first, in version 1 of the PROXY protocol, who the client is.", "no-send-proxy")
server_flag("send-proxy-v2", "The same, in version 2.", "no-send-proxy-v2")
server_flag("send-proxy-v2-ssl", "The same, and whether the client came with TLS.", "no-send-proxy-v2-ssl")
server_flag("send-proxy-v2-ssl-cn", "The same, with the name in its certificate.", "no-send-proxy-v2-ssl-cn")

_SOURCE = "source"
_EXPECTS = "<addr>[:<port>[-<port>]], and optionally 'usesrc' <addr>, and 'interface' <name>"
_V2_OPTIONS = frozenset({"ssl", "cert-cn", "ssl-cipher", "cert-sig", "cert-key", "authority", "crc32c", "unique-id"})
"""Of these, all but ``crc32c`` tell of TLS or of HTTP, of which there is nothing to tell."""


@server_option("proxy-v2-options <list>", "What else a header of version 2 holds: crc32c.", expects="a list as")
def proxy_v2_options(given: Given) -> tuple[str, ...]:
    """Read ``proxy-v2-options``."""
    names = given.text.split(",")
    for name in names:
        if name not in _V2_OPTIONS:
            raise ValueError(f"'{name}' : proxy v2 option not implemented")
    return tuple(name for name in names if name == "crc32c")


@server_option("tcp-ut <time>", "How long data may stay without acknowledgement.", expects="a delay as")
def tcp_ut(given: Given) -> float:
    """Read ``tcp-ut``."""
    try:
        return parse_time(given.text)
    except TimeError:
        raise ValueError("'tcp-ut' : expects a positive delay in milliseconds") from None


@server_option("namespace <name>", "The network namespace in which it is.", expects="a name as")
def namespace(given: Given) -> str:
    """Read ``namespace``."""
    if given.text == "*":
        raise ValueError("'namespace *' is not supported by tcpbalancer: name the namespace")
    if not namespaces.exists(given.text):
        raise ValueError(f"Cannot open namespace '{given.text}'")
    return given.text


@server_option(
    "source <address>[:<port>[-<port>]] [interface <name>]", "Where connections to it come from.", expects=_EXPECTS
)
def source_option(given: Given) -> Source:
    """Read ``source`` of a server; what may follow the address belongs to it."""
    words = [given.text]
    while (name := given.word(len(words) + 1)) in {"interface", "usesrc"}:
        words += [name, given.word(len(words) + 2)]
    given.used = len(words)
    return _source(words, given.reading, ports=True)


@keyword("source <address>[:<port>] [interface <name>]", BACK, "Where connections to servers come from.")
def source(reading: Reading) -> None:
    """Read ``source`` of a proxy."""
    if len(reading.words) < 2 or not reading.words[1]:
        usage = "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>."
        reading.error(1, usage)
        return
    for position in range(2, len(reading.words), 2):
        if reading.words[position] not in {"interface", "usesrc"}:
            reading.error(position, "'source' only supports optional keywords 'interface' and 'usesrc'.")
            return
    try:
        found = _source(reading.words[1:], reading, ports=False)
    except ValueError as wrong:
        reading.error(1, f"'source {reading.words[1]}' : {wrong}")
        return
    reading.draft.settings.values[_SOURCE] = found


def _source(words: Sequence[str], reading: Reading, *, ports: bool) -> Source:
    interface = None
    for name, value in zip(words[1::2], [*words[2::2], ""], strict=False):
        if name == "usesrc":
            raise ValueError("'usesrc' is not supported by tcpbalancer: servers would see another client")
        if not value:
            raise ValueError("missing interface name")
        interface = value
    address = parse_address(expand_address(words[0], reading.whole.environment))
    first, last = address.first_port or 0, address.last_port or 0
    if first != last and not ports:
        raise ValueError(f"port range not permitted here in '{words[0]}'")
    host = "" if address.host in {"*", "0.0.0.0"} else address.host
    if host and not all(character in "0123456789abcdefABCDEF.:" for character in host):
        raise ValueError(f"invalid address: '{host}' in '{words[0]}'")
    return Source(host, first, last, interface)


def reach_of(draft: ProxyDraft, line: ServerDraft, *, called_port: bool) -> Reach:
    """Return how a server is reached."""
    options: Options = line.options
    version = 1 if options.get("send-proxy") else 0
    extra = options.of("proxy-v2-options", tuple, ())
    for name in ("send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"):
        if options.get(name):
            version = 2
    if options.get("send-proxy-v2-ssl") or options.get("send-proxy-v2-ssl-cn"):
        extra = (*extra, "ssl")
    return Reach(
        proxy_version=version,
        proxy_options=extra if version == 2 else (),
        source=options.of(_SOURCE, Source, draft.settings.values.of(_SOURCE, Source, None)),
        namespace=options.of("namespace", str, None),
        tcp_user_timeout=options.of("tcp-ut", float, None),
        called_port=called_port,
        port_offset=line.port_offset if called_port else 0,
    )

"""``resolvers`` sections, and the options of a server about its name.

Laws: pure; handlers report and never raise. Nothing is looked up here.

Source: HAProxy's configuration manual, section 5.3.2 "The resolvers section", and 5.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network

from hakit.diagnostics import Location
from tcpbalancer.config.line_options import Given, server_option
from tcpbalancer.config.registry import Reading, other_section
from tcpbalancer.config.values import TimeError, is_literal, parse_address, parse_count, parse_time
from tcpbalancer.model.naming import NameServer

RESOLVERS = "resolvers"
"""Under this name ``GlobalDraft.values`` holds a dict of ``ResolversDraft`` by their names."""
_HOLD = ("nx", "timeout", "valid", "obsolete", "other", "refused")


@dataclass(slots=True)
class ResolversDraft:
    """A ``resolvers`` section while it is read."""

    name: str
    location: Location
    servers: list[NameServer] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)  # resolve, retry
    hold: dict[str, float] = field(default_factory=dict)
    retries: int = 3
    payload: int = 512
    reads_resolv_conf: bool = False


def _begin(reading: Reading) -> ResolversDraft | None:
    words = reading.words
    if len(words) < 2 or not words[1]:
        reading.error(1, "missing name for resolvers section.")
        return None
    known = reading.whole.values.setdefault(RESOLVERS, {})
    assert isinstance(known, dict)
    earlier = known.get(words[1])
    if earlier is not None:
        reading.error(
            1,
            f"resolvers '{words[1]}' has same name as another resolvers (declared at "
            f"{earlier.location.file}:{earlier.location.line}).",
        )
        return None
    known[words[1]] = ResolversDraft(words[1], reading.statement.location)
    found: ResolversDraft = known[words[1]]
    return found


_SECTION = other_section("resolvers <name>", "Name servers, and how they are asked.")(_begin)


def _inside(reading: Reading) -> ResolversDraft:
    draft = reading.inside
    assert isinstance(draft, ResolversDraft)
    return draft


@_SECTION.keyword("nameserver <name> <address>:<port>", "A server to ask.")
def nameserver(reading: Reading) -> None:
    """Read ``nameserver``."""
    words, draft = reading.words, _inside(reading)
    if len(words) < 3:
        reading.error(len(words), "'nameserver' expects <name> and <addr>[:<port>] as arguments.")
        return
    if any(known.name == words[1] for known in draft.servers):
        reading.error(1, f"'nameserver' : '{words[1]}' has the same name as another nameserver.")
        return
    try:
        address = parse_address(words[2].removeprefix("udp@"))
    except ValueError as wrong:
        reading.error(2, f"'nameserver {words[1]}' : {wrong}")
        return
    if not is_literal(address.host):
        reading.error(2, f"'nameserver {words[1]}' : invalid address: '{address.host}' in '{words[2]}'")
    elif address.first_port is None or address.first_port != address.last_port or not address.first_port:
        reading.error(2, f"'nameserver {words[1]}' : missing port specification in '{words[2]}'")
    else:
        draft.servers.append(NameServer(words[1], address.host, address.first_port))


@_SECTION.keyword("parse-resolv-conf", "Ask the servers of /etc/resolv.conf as well.")
def parse_resolv_conf(reading: Reading) -> None:
    """Read ``parse-resolv-conf``."""
    if reading.no_more_than(1):
        _inside(reading).reads_resolv_conf = True


@_SECTION.keyword("hold <event> <time>", "How long the last good answer holds.")
def hold(reading: Reading) -> None:
    """Read ``hold``."""
    words = reading.words
    if len(words) < 3:
        reading.error(
            len(words),
            "'hold' expects an <event> and a <time> as arguments.\n"
            "<event> can be either 'valid', 'nx', 'refused', 'timeout', or 'other'",
        )
    elif words[1] not in _HOLD:
        reading.error(
            1,
            f"'hold' unknown <event>: '{words[1]}', expects either 'nx', 'timeout', 'valid', 'obsolete' or 'other'.",
        )
    elif (seconds := _time(reading, 2, "hold")) is not None:
        _inside(reading).hold[words[1]] = seconds


@_SECTION.keyword("timeout <event> <time>", "resolve: from question to question; retry: from try to try.")
def timeout(reading: Reading) -> None:
    """Read ``timeout``."""
    words = reading.words
    if len(words) < 2:
        reading.error(1, "'timeout' expects 'retry' or 'resolve' and <time> as arguments.")
    elif words[1] not in {"resolve", "retry"}:
        reading.error(1, f"'timeout' expects 'retry' or 'resolve' and <time> as arguments got '{words[1]}'.")
    elif len(words) < 3:
        reading.error(2, f"'timeout {words[1]}' expects <time> as argument.")
    elif (seconds := _time(reading, 2, f"timeout {words[1]}")) is not None:
        _inside(reading).times[words[1]] = seconds


def _time(reading: Reading, position: int, name: str) -> float | None:
    try:
        return parse_time(reading.words[position])
    except TimeError as wrong:
        reading.error(position, f"{wrong} in argument to <{name}>.")
        return None


@_SECTION.keyword("resolve_retries <count>", "How often a question is asked.")
def resolve_retries(reading: Reading) -> None:
    """Read ``resolve_retries``."""
    if (value := _number(reading, "<nb> as argument")) is not None:
        _inside(reading).retries = value


@_SECTION.keyword("accepted_payload_size <bytes>", "How large an answer may be.")
def accepted_payload_size(reading: Reading) -> None:
    """Read ``accepted_payload_size``."""
    value = _number(reading, "<nb> as argument")
    if value is not None and not 12 <= value <= 65535:
        reading.error(1, f"'accepted_payload_size' must be between 12 and 65535 inclusive (was {value}).")
    elif value is not None:
        _inside(reading).payload = value


def _number(reading: Reading, what: str) -> int | None:
    name = reading.words[0]
    if len(reading.words) < 2:
        reading.error(1, f"'{name}' expects {what}.")
        return None
    try:
        return parse_count(reading.words[1])
    except ValueError as wrong:
        reading.error(1, f"'{name}' : {wrong}")
        return None


# -- options of a server ----------------------------------------------------------------------------------------------


@server_option("resolvers <name>", "The section that looks up its name while the balancer runs.", expects="a name as")
def resolvers(given: Given) -> str:
    """Read ``resolvers``."""
    return given.text


@server_option(
    "resolve-prefer <family>", "Which addresses are preferred: ipv4, ipv6.", expects="either ipv4 or ipv6 as"
)
def resolve_prefer(given: Given) -> str:
    """Read ``resolve-prefer``."""
    if given.text not in {"ipv4", "ipv6"}:
        raise ValueError("'resolve-prefer' expects either ipv4 or ipv6 as argument.")
    return given.text


@server_option(
    "resolve-net <network>[,...]", "Networks whose addresses are preferred.", expects="a list of networks as"
)
def resolve_net(given: Given) -> tuple[str, ...]:
    """Read ``resolve-net``."""
    for network in given.text.split(","):
        try:
            ip_network(network, strict=False)
        except ValueError:
            raise ValueError(f"'resolve-net' invalid network '{network}'.") from None
    return tuple(str(ip_network(network, strict=False)) for network in given.text.split(","))


@server_option("resolve-opts <option>[,...]", "allow-dup-ip, prevent-dup-ip, ignore-weight.", expects="a list as")
def resolve_opts(given: Given) -> bool:
    """Read ``resolve-opts``: whether two servers may have one address."""
    allowed = False
    for option in given.text.split(","):
        if option not in {"allow-dup-ip", "prevent-dup-ip", "ignore-weight"}:
            raise ValueError(
                f"'resolve-opts' : unknown resolve-opts option '{option}', supported methods are 'allow-dup-ip', "
                "'ignore-weight', and 'prevent-dup-ip'."
            )
        allowed = {"allow-dup-ip": True, "prevent-dup-ip": False}.get(option, allowed)
    return allowed

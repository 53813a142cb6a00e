"""``stats`` of ``global``: the sockets of the runtime API, their time-out, and how many may speak at once.

Laws: handlers report and never raise.

Source: HAProxy's configuration manual, section 3.1 "Process management and security".
"""

from __future__ import annotations

from tcpbalancer.config.drafts import Options
from tcpbalancer.config.line_options import read_bind_options
from tcpbalancer.config.registry import GLOBAL, Reading, keyword
from tcpbalancer.config.tokens import expand_address
from tcpbalancer.config.values import TimeError, parse_address, parse_count, parse_time
from tcpbalancer.model.stats_socket import Level, Place, StatsSocket

SOCKETS = "stats sockets"
TIMEOUT = "stats timeout"
MAXCONN = "stats maxconn"
_PREFIXED = {"unix@": Place.UNIX, "abns@": Place.ABSTRACT, "abnsz@": Place.ABSTRACT, "fd@": Place.DESCRIPTOR}


@keyword("stats <what>", GLOBAL, "Anything else is a mistake.")
def stats(reading: Reading) -> None:
    """Refuse what HAProxy refuses."""
    what = reading.words[1] if len(reading.words) > 1 else ""
    if what == "bind-process":
        reading.not_carried_out(0, "'stats bind-process'")
        return
    reading.error(1, f"'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '{what}')")


@keyword("stats socket [<address>:<port>|<path>] [<options>]", GLOBAL, "Where the runtime API is served.", words=2)
def stats_socket(reading: Reading) -> None:
    """Read one address and its options."""
    if len(reading.words) < 3 or not reading.words[2]:
        reading.error(2, "'stats socket' in global section expects an address or a path to a UNIX socket")
        return
    options = Options()
    good = read_bind_options(reading, 3, options, "'stats socket'")
    try:
        place, host, port = _address(expand_address(reading.words[2], reading.whole.environment))
    except ValueError as wrong:
        reading.error(2, f"'stats socket' : {wrong}")
        return
    if good:
        made = StatsSocket(
            place,
            host,
            port,
            mode=options.of("mode", int, None),
            uid=options.of("uid", int, None),
            gid=options.of("gid", int, None),
            level=options.of("level", Level, Level.OPERATOR),
            exposes_listeners=bool(options.get("expose-fd")),
            severity=options.of("severity-output", str, "none"),
            location=reading.at(2),
        )
        reading.whole.values[SOCKETS] = (*reading.whole.values.of(SOCKETS, tuple, ()), made)


def _address(text: str) -> tuple[Place, str, int]:
    """Return kind, host and port of an address; raises ValueError."""
    if text.startswith("/"):
        return Place.UNIX, text, 0
    for prefix, place in _PREFIXED.items():
        if text.startswith(prefix):
            rest = text.removeprefix(prefix)
            if not rest or (place is Place.DESCRIPTOR and not rest.isdigit()):
                raise ValueError(f"invalid address '{text}'")
            return place, rest, 0
    address = parse_address(text)
    if address.first_port is None or address.offset:
        raise ValueError(f"missing port specification in '{text}'")
    if not address.first_port:
        raise ValueError("invalid port '0'")
    is_v6 = ":" in address.host or text.startswith("ipv6@")
    host = "" if address.host in {"*", "0.0.0.0", "::"} else address.host
    return Place.IPV6 if is_v6 else Place.IPV4, host, address.first_port


@keyword("stats timeout <time>", GLOBAL, "How long an idle connection of the runtime API may stay.", words=2)
def stats_timeout(reading: Reading) -> None:
    """Read ``stats timeout``."""
    text = reading.words[2] if len(reading.words) > 2 else ""
    try:
        seconds = parse_time(text)
    except TimeError as wrong:
        reading.error(2, f"'stats timeout' : {wrong}")
        return
    if not seconds:
        reading.error(2, "'stats timeout' expects a positive value")
        return
    reading.whole.values[TIMEOUT] = seconds


@keyword("stats maxconn <count>", GLOBAL, "How many connections the runtime API serves at a time.", words=2)
def stats_maxconn(reading: Reading) -> None:
    """Read ``stats maxconn``."""
    try:
        count = parse_count(reading.words[2] if len(reading.words) > 2 else "")
    except ValueError:
        count = 0
    if not count:
        reading.error(2, "'stats maxconn' expects a positive value")
        return
    reading.whole.values[MAXCONN] = count

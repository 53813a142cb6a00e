"""The options of ``bind`` that say what the socket is like.

Laws: parsers raise ValueError in HAProxy's words and nothing else. A network namespace is looked at at once.

Source: HAProxy's configuration manual, section 5.1 "Bind options"; ``cfgparse-tcp.c``, ``cfgparse.c``.
"""

from __future__ import annotations

import re

from tcpbalancer import namespaces
from tcpbalancer.config.findings import FILE
from tcpbalancer.config.line_options import Given, bind_flag, bind_option
from tcpbalancer.config.values import TimeError, parse_time

bind_flag("v6only", "[::] leaves IPv4 alone.", "v4v6")
bind_flag("accept-proxy", "Every connection begins with a PROXY header.")
bind_flag("transparent", "The address need not be one of this host's.")
bind_flag("tfo", "TCP Fast Open.")
bind_flag("defer-accept", "The kernel waits for the first data.")

_NUMBER = re.compile(r"-?\d{1,9}", re.ASCII)


@bind_option("name <name>", "What the socket is called.")
def name(given: Given) -> str:
    """Read ``name``."""
    return given.text


@bind_option("id <id>", "The number of the socket.")
def id_(given: Given) -> int:
    """Read ``id``."""
    if not _NUMBER.fullmatch(given.text):
        raise ValueError(f"'id' : expects an integer argument, found '{given.text}'")
    if int(given.text) < 1:
        raise ValueError("'id' : custom id has to be > 0")
    return int(given.text)


@bind_option("interface <interface>", "Only what arrives there.")
def interface(given: Given) -> str:
    """Read ``interface``."""
    return given.text


@bind_option("namespace <name>", "The network namespace in which it listens.")
def namespace(given: Given) -> str:
    """Read ``namespace``; HAProxy, too, opens it at once."""
    if not namespaces.exists(given.text):
        place = given.reading.at(given.position + 1)
        given.reading.report.error_as(FILE, place, f"Cannot open namespace '{given.text}'.")
        raise ValueError("error encountered while processing 'namespace'")
    return given.text


@bind_option("mss <size>", "The largest segment that is announced.")
def mss(given: Given) -> int:
    """Read ``mss``."""
    if not _NUMBER.fullmatch(given.text) or not 1 <= abs(int(given.text)) <= 65535:
        raise ValueError("'mss' : expects an MSS with and absolute value between 1 and 65535")
    return int(given.text)


@bind_option("tcp-ut <time>", "How long data may stay without acknowledgement.")
def tcp_ut(given: Given) -> float:
    """Read ``tcp-ut``."""
    try:
        return parse_time(given.text)
    except TimeError:
        raise ValueError("'tcp-ut' : expects a positive delay in milliseconds") from None


@bind_option("backlog <count>", "How many connections may wait in the kernel.")
def backlog(given: Given) -> int:
    """Read ``backlog``."""
    if not _NUMBER.fullmatch(given.text) or int(given.text) < 0:
        raise ValueError(f"'backlog' : invalid value {given.text}, must be > 0")
    return int(given.text)


@bind_option("maxconn <count>", "How many connections may be open here.")
def maxconn(given: Given) -> int:
    """Read ``maxconn`` of a listening address; 0 is no limit."""
    if not _NUMBER.fullmatch(given.text):
        raise ValueError(f"'maxconn' : expects a number, not '{given.text}'")
    if int(given.text) < 0:
        raise ValueError(f"'maxconn' : invalid value {given.text}, must be >= 0")
    return int(given.text)

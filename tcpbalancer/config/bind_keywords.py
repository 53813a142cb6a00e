"""``bind``, and those of its options that have no file of their own.

Laws: pure; handlers report and never raise. A line with a mistake is read to its end, so that all of its mistakes are
told, and then yields nothing.

Source: HAProxy's configuration manual, sections 5.1 "Bind options" and 11 "Address formats".
"""

from __future__ import annotations

import errno
import os
import stat

from tcpbalancer.config.drafts import BindDraft, Options
from tcpbalancer.config.line_options import read_bind_options
from tcpbalancer.config.registry import LISTENERS, Reading, keyword
from tcpbalancer.config.tokens import expand_address
from tcpbalancer.config.values import named, parse_address

_WITHOUT_PORT = ("/", "unix@", "abns@", "fd@")
_NOT_DONE = (
    "sockpair@",
    "quic4@",
    "quic6@",
    "mptcp@",
    "mptcp4@",
    "mptcp6@",
    "udp@",
    "udp4@",
    "udp6@",
    "rhttp@",
    "abnsz@",
)


@keyword("bind [<address>]:<port>[,...] [<options>]", LISTENERS, "Where clients arrive.")
def bind(reading: Reading) -> None:
    """Read one or more listening addresses."""
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.")
        return
    options = Options()
    title = f"'bind {reading.words[1]}' in section '{reading.draft.kind}'"
    good = read_bind_options(reading, 2, options, title)
    binds: list[BindDraft] = []
    for part in expand_address(reading.words[1], reading.whole.environment).split(","):
        try:
            binds += _listening(reading, part, options)
        except ValueError as wrong:
            reading.error(1, f"'bind' : {wrong}")
            good = False
    if good:
        reading.draft.binds.extend(binds)


def _look_at_descriptor(number: str) -> None:
    """Raise ValueError unless a descriptor is an inherited socket."""
    try:
        is_socket = stat.S_ISSOCK(os.fstat(int(number)).st_mode)
        problem = None if is_socket else os.strerror(errno.ENOTSOCK)
    except OSError as failed:
        problem = failed.strerror
    if problem is not None:
        raise ValueError(f"cannot use file descriptor '{number}' : {problem}.")


def _listening(reading: Reading, text: str, options: Options) -> list[BindDraft]:
    if text.startswith(_NOT_DONE):
        reading.not_carried_out(1, f"'bind {text}'", ": nothing will listen there")
        return []
    if text.startswith(_WITHOUT_PORT):
        place = named(text)
        if place.startswith("fd@"):
            _look_at_descriptor(place.removeprefix("fd@"))
        return [BindDraft(place, 0, options, reading.statement)]
    address = parse_address(text)
    if address.offset:
        raise ValueError(f"port offset not permitted here in '{text}'")
    if address.first_port is None or address.last_port is None:
        raise ValueError(f"missing port specification in '{text}'")
    if not address.first_port:
        raise ValueError("invalid port '0'")
    host = "" if address.host in {"*", "0.0.0.0"} else address.host
    if text.startswith("ipv6@") and not host:
        host = "::"
    ports = range(address.first_port, address.last_port + 1)
    return [BindDraft(host, port, options, reading.statement) for port in ports]

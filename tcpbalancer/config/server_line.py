"""``server``, ``default-server`` and ``bind``: lines that carry many options.

Laws: pure; handlers report and never raise. A line with a mistake is read to its end, so that all of its mistakes are
told, and then yields nothing.

Source: HAProxy's configuration manual, sections 5.1 "Bind options" and 5.2 "Server and default-server options".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from hakit.diagnostics import Location
from tcpbalancer.config import known
from tcpbalancer.config.drafts import OptionValue, ServerDraft
from tcpbalancer.config.findings import SERVER, maybe
from tcpbalancer.config.registry import LISTENERS, SERVERS, Reading, keyword
from tcpbalancer.config.sections import invalid_character
from tcpbalancer.config.tokens import expand_address
from tcpbalancer.config.values import Address, TimeError, is_literal, parse_address, parse_count, parse_time
from tcpbalancer.model import Bind

_FLAGS: dict[str, tuple[str, bool]] = {
    "check": ("check", True),
    "no-check": ("check", False),
    "backup": ("backup", True),
    "no-backup": ("backup", False),
    "disabled": ("disabled", True),
    "enabled": ("disabled", False),
}


class _Given(NamedTuple):
    """An option as it stands on the line of a server (or of a default-server, which has no name)."""

    name: str
    text: str
    server: str


def _delay(given: _Given) -> float:
    try:
        seconds = parse_time(given.text)
    except TimeError as wrong:
        raise ValueError(f"{wrong} in '{given.name}' argument of server {given.server}.") from wrong
    if not seconds:
        raise ValueError(f"invalid value {given.text} for argument '{given.name}' of server {given.server}.")
    return seconds


def _count(given: _Given) -> int:
    try:
        value = parse_count(given.text)
    except ValueError:
        value = 0
    if value < 1:
        raise ValueError(f"'{given.name}' has to be > 0.")
    return value


def _weight(given: _Given) -> int:
    bare = given.text.removeprefix("-")
    if not (bare.isascii() and bare.isdigit()) or len(bare) > 9 or not 0 <= int(given.text) <= 256:
        raise ValueError(f"weight of server {given.server} is not within 0 and 256 ({given.text}).")
    return int(given.text)


def _number(given: _Given) -> int:
    try:
        return parse_count(given.text)
    except ValueError as wrong:
        raise ValueError(f"'{given.name}' : {wrong}") from wrong


def _port(given: _Given) -> int:
    text = given.text
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise ValueError(f"'{given.name}' : invalid port '{text}'")
    return int(text)


def _address(given: _Given) -> str:
    address = parse_address(given.text)
    if not address.host or address.first_port is not None:
        raise ValueError(f"'{given.name}' expects an address without a port, not '{given.text}'")
    return address.host


def _marked_down(given: _Given) -> bool:
    if given.text != "shutdown-sessions":
        raise ValueError(f"'on-marked-down' expects 'shutdown-sessions' but got '{given.text}'")
    return True


def _init_addr(given: _Given) -> str:
    for method in given.text.split(","):
        if method not in {"last", "libc", "none"} and not is_literal(method):
            raise ValueError(f"'init-addr' expects 'last', 'libc', 'none' or an address but got '{method}'")
    return given.text


_VALUES: dict[str, Callable[[_Given], OptionValue]] = {
    "port": _port,
    "addr": _address,
    "inter": _delay,
    "fastinter": _delay,
    "downinter": _delay,
    "fall": _count,
    "rise": _count,
    "weight": _weight,
    "maxconn": _number,
    "on-marked-down": _marked_down,
    "init-addr": _init_addr,
}
_REFUSED = "'{}' is not carried out by tcpbalancer, and without it other bytes would flow than this file asks for"
_EXPECTS = {
    "inter": "a delay as",
    "fastinter": "a delay as",
    "downinter": "a delay as",
    "port": "a port number as",
    "addr": "an address as",
    "init-addr": "a list as",
}
SERVER_OPTIONS = tuple(sorted({*_FLAGS, *_VALUES}))
"""The options of a server that are carried out."""


def read_options(reading: Reading, start: int, options: dict[str, OptionValue], server: str) -> bool:
    """Read the options from word ``start`` on into ``options``; returns whether all of them made sense."""
    who = f"'server {reading.draft.name}/{server}' : " if server else "'default-server' : "
    position, good = start, True
    while position < len(reading.words):
        name = reading.words[position]
        needed = 1 if name in _VALUES else known.SERVER.get(name, 0)
        value = reading.words[position + 1] if position + 1 < len(reading.words) else ""
        if name in _FLAGS:
            key, flag = _FLAGS[name]
            options[key] = flag
        elif name not in _VALUES and name not in known.SERVER:
            hint = maybe(name, [*SERVER_OPTIONS, *known.SERVER])
            reading.error(position, f"{who}unknown keyword '{name}'{hint or '.'}", SERVER)
            good = False
        elif needed and not value:
            reading.error(position + 1, f"{who}'{name}' expects {_EXPECTS.get(name, 'an integer')} argument..", SERVER)
            good = False
        elif name in known.CHANGES_THE_STREAM:
            reading.error(position, f"{who}{_REFUSED.format(name)}")
            good = False
        elif name in known.SERVER:
            reading.not_carried_out(position, f"{who}'{name}'")
        else:
            try:
                options[name] = _VALUES[name](_Given(name, value, server))
            except ValueError as wrong:
                reading.error(position + 1, f"{who}{wrong}.", SERVER)
                good = False
        position += 1 + needed
    return good


@keyword("server <name> <address>[:<port>] [<options>]", SERVERS, "One server.")
def server(reading: Reading) -> None:
    """Read one server."""
    if len(reading.words) < 3 or not reading.words[1]:
        reading.error(len(reading.words), "'server' expects <name> and <addr>[:<port>] as arguments.", SERVER)
        return
    name = reading.words[1]
    options = dict(reading.draft.settings.default_server)
    good = read_options(reading, 3, options, name)
    if (wrong := invalid_character(name)) is not None:
        reading.error(1, f"character '{wrong}' is not permitted in server name '{name}'.")
        return
    try:
        address = _server_address(expand_address(reading.words[2], reading.whole.environment))
    except ValueError as mistake:
        reading.error(2, f"'server {reading.draft.name}/{name}' : {mistake}", SERVER)
        return
    earlier = next((draft for draft in reading.draft.servers if draft.name == name), None)
    if earlier is not None:
        line = earlier.statement.location.line
        reading.error(
            1,
            f"{reading.draft.kind} '{reading.draft.name}', another server named '{name}' was already defined at line "
            f"{line}, please use distinct names.",
        )
    elif good:
        port = None if address.offset else (address.first_port or None)
        offset = (address.first_port or 0) if address.offset else 0
        reading.draft.servers.append(ServerDraft(name, address.host, port, offset, options, reading.statement))


def _server_address(text: str) -> Address:
    address = parse_address(text)
    if address.last_port != address.first_port:
        raise ValueError(f"port ranges are not allowed here: '{text}'")
    if address.host in {"", "*"}:
        raise ValueError(f"invalid address: '{address.host}' in '{text}': a server needs one to connect to")
    return address


@keyword("bind [<address>]:<port>[,...] [<options>]", LISTENERS, "Where clients arrive.")
def bind(reading: Reading) -> None:
    """Read one or more listening addresses."""
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.")
        return
    good, only_v6 = _bind_options(reading)
    text = expand_address(reading.words[1], reading.whole.environment)
    binds: list[Bind] = []
    for part in text.split(","):
        try:
            binds += [replace(found, only_v6=only_v6) for found in _listening(reading, part, reading.at(1))]
        except ValueError as wrong:
            reading.error(1, f"'bind' : {wrong}")
            good = False
    if good:
        reading.draft.binds.extend(binds)


def _listening(reading: Reading, text: str, location: Location) -> list[Bind]:
    if text.startswith(("/", "unix@", "abns@", "fd@", "sockpair@", "quic4@", "quic6@", "mptcp@")):
        reading.not_carried_out(1, f"'bind {text}'", ": nothing will listen there")
        return []
    address = parse_address(text)
    if address.offset or address.first_port is None or address.last_port is None:
        raise ValueError(f"missing port specification in '{text}'")
    if not address.first_port:
        raise ValueError(f"invalid port '0' in '{text}'")
    host = "" if address.host in {"*", "0.0.0.0"} else address.host
    if text.startswith("ipv6@") and not host:
        host = "::"
    return [Bind(host, port, location) for port in range(address.first_port, address.last_port + 1)]


def _bind_options(reading: Reading) -> tuple[bool, bool | None]:
    """Return whether the options make sense, and what they say of IPv4 on an IPv6 socket."""
    position, good, only_v6 = 2, True, None
    title = f"'bind {reading.words[1]}' in section '{reading.draft.kind}'"
    while position < len(reading.words):
        name = reading.words[position]
        needed = known.BIND.get(name)
        if needed is None:
            hint = maybe(name, sorted(known.BIND)) or "."
            reading.error(position, f"{title}: unknown keyword '{name}'{hint}")
            return False, None
        if needed and position + 1 >= len(reading.words):
            reading.error(position + 1, f"{title} : '{name}' : missing value")
            good = False
        elif name in known.CHANGES_THE_STREAM:
            reading.error(position, f"{title} : {_REFUSED.format(name)}")
            good = False
        elif name in {"v6only", "v4v6"}:
            only_v6 = name == "v6only"
        elif name not in known.SILENT_BIND:
            reading.not_carried_out(position, f"'{name}' on a bind line")
        position += 1 + needed
    return good, only_v6

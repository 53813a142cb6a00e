"""``server`` and ``default-server``, and the options of a server that have no file of their own.

Laws: pure; handlers report and never raise. A line with a mistake is read to its end, so that all of its mistakes are
told, and then yields nothing.

Source: HAProxy's configuration manual, section 5.2 "Server and default-server options".
"""

from __future__ import annotations

from tcpbalancer.config.drafts import Options, ServerDraft
from tcpbalancer.config.findings import SERVER
from tcpbalancer.config.inheritance import kind_of
from tcpbalancer.config.line_options import Given, read_server_options, server_flag, server_option
from tcpbalancer.config.registry import BACK, SERVERS, Reading, keyword
from tcpbalancer.config.sections import invalid_character
from tcpbalancer.config.tokens import expand_address
from tcpbalancer.config.values import Address, TimeError, is_literal, named, parse_address, parse_count, parse_time

server_flag("check", "Check whether the server works.", "no-check")
server_flag("backup", "Used only while no other server can be.", "no-backup")
server_flag("disabled", "Start in maintenance.", "enabled", "no-disabled")


def delay(given: Given) -> float:
    """Return the seconds behind an option; 0 is refused."""
    try:
        seconds = parse_time(given.text)
    except TimeError as wrong:
        raise ValueError(f"{wrong} in '{given.name}' argument of server {given.owner}.") from wrong
    if not seconds:
        raise ValueError(f"invalid value {given.text} for argument '{given.name}' of server {given.owner}.")
    return seconds


def count(given: Given) -> int:
    """Return a number of at least 1."""
    try:
        value = parse_count(given.text)
    except ValueError:
        value = 0
    if value < 1:
        raise ValueError(f"'{given.name}' has to be > 0.")
    return value


def number(given: Given) -> int:
    """Return a number of at least 0."""
    try:
        return parse_count(given.text)
    except ValueError as wrong:
        raise ValueError(f"'{given.name}' : {wrong}") from wrong


for _name, _what in (
    ("inter", "The time from the end of a check to the next."),
    ("fastinter", "The same, while a check's result is not yet believed."),
    ("downinter", "The same, while the server is down."),
):
    server_option(f"{_name} <time>", _what, expects="a delay as")(delay)
server_option("rise <count>", "Successes that make it UP.")(count)
server_option("fall <count>", "Failures that make it DOWN.")(count)
server_option("maxconn <count>", "How many connections it gets at a time.")(number)


@server_option("weight <0-256>", "Its share among the others.")
def weight(given: Given) -> int:
    """Read ``weight``."""
    bare = given.text.removeprefix("-")
    if not (bare.isascii() and bare.isdigit()) or len(bare) > 9 or not 0 <= int(given.text) <= 256:
        raise ValueError(f"weight of server {given.owner} is not within 0 and 256 ({given.text}).")
    return int(given.text)


@server_option("port <port>", "The port that checks go to.", expects="a port number as")
def port(given: Given) -> int:
    """Read ``port``."""
    text = given.text
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not 1 <= int(text) <= 65535:
        raise ValueError(f"'{given.name}' : invalid port '{text}'")
    return int(text)


@server_option("on-marked-down <action>", "What happens to its sessions: shutdown-sessions.")
def on_marked_down(given: Given) -> bool:
    """Read ``on-marked-down``."""
    if given.text != "shutdown-sessions":
        raise ValueError(f"'on-marked-down' expects 'shutdown-sessions' but got '{given.text}'")
    return True


@server_option("init-addr <methods>", "How its name is looked up at the start.", expects="a list as")
def init_addr(given: Given) -> str:
    """Read ``init-addr``."""
    for method in given.text.split(","):
        if method not in {"last", "libc", "none"} and not is_literal(method):
            raise ValueError(
                f"'init-addr' : unknown init-addr method '{method}', supported methods are 'libc', 'last', 'none'."
            )
    return given.text


@keyword("server <name> <address>[:<port>] [<options>]", SERVERS, "One server.")
def server(reading: Reading) -> None:
    """Read one server."""
    if len(reading.words) < 3 or not reading.words[1]:
        reading.error(len(reading.words), "'server' expects <name> and <addr>[:<port>] as arguments.", SERVER)
        return
    name = reading.words[1]
    options = Options(reading.draft.settings.default_server)
    good = read_server_options(reading, 3, options, name)
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
            f"{kind_of(reading.draft.section)} '{reading.draft.name}', another server named '{name}' was already "
            f"defined at line {line}, please use distinct names.",
        )
    elif good:
        port = None if address.offset else (address.first_port or None)
        offset = (address.first_port or 0) if address.offset else 0
        host = address.host
        if host in {"", "*"}:
            host = "0.0.0.0"
            reading.not_carried_out(2, "the address that the client called", ": the server is disabled")
        reading.draft.servers.append(ServerDraft(name, host, port, offset, options, reading.statement))


def _server_address(text: str) -> Address:
    if text.startswith(("fd@", "sockpair@")):
        raise ValueError(f"a file descriptor is not acceptable here in '{text}'")
    if text.startswith(("/", "unix@", "abns@")):
        return Address(named(text), 0, 0)
    address = parse_address(text)
    if address.last_port != address.first_port:
        raise ValueError(f"port range not permitted here in '{text}'")
    return address


@keyword("default-server <options>", BACK, "Options for the servers that follow.")
def default_server(reading: Reading) -> None:
    """Read ``default-server``: what is given adds to what was given before."""
    if len(reading.words) > 1:
        read_server_options(reading, 1, reading.draft.settings.default_server, "")

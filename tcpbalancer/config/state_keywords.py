"""Options of a server that say how it is treated when its state changes, and whose state it has.

Laws: pure; parsers return a value or raise ValueError in HAProxy's words.

Source: HAProxy's configuration manual, section 5.2 "Server and default-server options".
"""

from __future__ import annotations

from tcpbalancer.config.line_options import Given, server_option
from tcpbalancer.config.values import TimeError, parse_time
from tcpbalancer.model import InitState, OnError


@server_option(
    "slowstart <time>", "The time in which a server that came up grows to its whole weight.", expects="a delay as"
)
def slowstart(given: Given) -> int:
    """Read ``slowstart``; HAProxy keeps whole seconds, rounded up."""
    try:
        seconds = parse_time(given.text)
    except TimeError as wrong:
        raise ValueError(f"{wrong} in '{given.name}' argument of server {given.owner}.") from wrong
    return -int(-seconds // 1)


@server_option("track <server>", "The server whose state this one follows.", expects="[<proxy>/]<server> as")
def track(given: Given) -> str:
    """Read ``track``: ``server`` or ``backend/server``, looked up once everything is read."""
    return given.text


@server_option("observe <mode>", "Let failed connections count: none, layer4.", expects="<mode> as")
def observe(given: Given) -> bool:
    """Read ``observe``: what layer 7 would show, bytes do not."""
    if given.text == "layer7":
        raise ValueError("'layer7' can only be used in http proxies.")
    if given.text not in {"none", "layer4"}:
        raise ValueError(f"'observe' expects one of 'none', 'layer4', 'layer7' but got '{given.text}'")
    return given.text == "layer4"


@server_option("error-limit <count>", "How many errors in a row are too many under observe.")
def error_limit(given: Given) -> int:
    """Read ``error-limit``."""
    text = given.text
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or not int(text):
        raise ValueError("error-limit has to be > 0.")
    return int(text)


@server_option("on-error <mode>", "What too many errors under observe lead to.")
def on_error(given: Given) -> OnError:
    """Read ``on-error``."""
    try:
        return OnError(given.text)
    except ValueError:
        raise ValueError(
            f"'on-error' expects one of 'fastinter', 'fail-check', 'sudden-death' or 'mark-down' but got '{given.text}'"
        ) from None


@server_option("on-marked-up <action>", "What happens to sessions on backups: shutdown-backup-sessions.")
def on_marked_up(given: Given) -> bool:
    """Read ``on-marked-up``."""
    if given.text != "shutdown-backup-sessions":
        raise ValueError(f"'on-marked-up' expects 'shutdown-backup-sessions' but got '{given.text}'")
    return True


@server_option("init-state <state>", "What a checked server counts as before its first check.")
def init_state(given: Given) -> InitState:
    """Read ``init-state``."""
    try:
        return InitState(given.text)
    except ValueError:
        raise ValueError(
            f"'init-state' expects one of 'none', 'fully-up', 'up', 'down', or 'fully-down' but got '{given.text}'"
        ) from None

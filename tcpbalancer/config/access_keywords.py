"""Options of ``bind`` and ``stats socket`` lines that say who may use a socket, and how far.

Laws: handlers raise ValueError in HAProxy's words and nothing else. Users and groups are looked up at once, as HAProxy
does: a name that this host does not know is a mistake in the file.

Source: HAProxy's configuration manual, section 5.1 "Bind options".
"""

from __future__ import annotations

import grp
import pwd

from tcpbalancer.config.line_options import Given, bind_option
from tcpbalancer.config.values import parse_count
from tcpbalancer.model.stats_socket import Level


@bind_option("mode <octal>", "The rights of a UNIX socket's file.")
def mode(given: Given) -> int:
    """Read ``mode``: octal digits."""
    try:
        value = int(given.text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o7777:
        raise ValueError(f"'mode' : missing or invalid mode '{given.text}' (octal integer expected)")
    return value


@bind_option("user <name>", "Who owns a UNIX socket's file.", key="uid")
def user(given: Given) -> int:
    """Read ``user``: a name."""
    try:
        return pwd.getpwnam(given.text).pw_uid
    except KeyError:
        raise ValueError(f"'user' : unknown user name '{given.text}'") from None


@bind_option("group <name>", "Which group owns a UNIX socket's file.", key="gid")
def group(given: Given) -> int:
    """Read ``group``: a name."""
    try:
        return grp.getgrnam(given.text).gr_gid
    except KeyError:
        raise ValueError(f"'group' : unknown group name '{given.text}'") from None


@bind_option("uid <number>", "The same as user, by number.")
def uid(given: Given) -> int:
    """Read ``uid``."""
    return parse_count(given.text)


@bind_option("gid <number>", "The same as group, by number.")
def gid(given: Given) -> int:
    """Read ``gid``."""
    return parse_count(given.text)


@bind_option("level <level>", "What may be done over a stats socket: user, operator or admin.")
def level(given: Given) -> Level:
    """Read ``level``."""
    if given.text not in {"user", "operator", "admin"}:
        raise ValueError(f"'level' only supports 'user', 'operator', and 'admin' (got '{given.text}')")
    return Level[given.text.upper()]


@bind_option("expose-fd listeners", "A successor may take the listening sockets over.")
def expose_fd(given: Given) -> bool:
    """Read ``expose-fd``; the one word that may follow is ``listeners``."""
    given.used = 1
    if given.text != "listeners":
        raise ValueError(f"'expose-fd' only supports 'listeners' (got '{given.text}')")
    return True


@bind_option("severity-output <how>", "Whether answers of a stats socket begin with their severity.")
def severity_output(given: Given) -> str:
    """Read ``severity-output``."""
    if given.text not in {"none", "number", "string"}:
        raise ValueError(f"'severity-output' only supports 'none', 'number', and 'string' (got '{given.text}')")
    return given.text

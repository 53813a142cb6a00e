"""``userlist``: users with their passwords and groups, for ``http_auth``.

Laws: pure; handlers report and never raise; a password is kept in a Secret at once and is in no message.

Source: HAProxy's configuration manual, section 12.1 (2.6: 3.4) "Userlists".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tcpbalancer.config.findings import PARSING_TIGHT
from tcpbalancer.config.page_drafts import USERLISTS
from tcpbalancer.config.registry import Reading, other_section
from tcpbalancer.config.sections import invalid_character
from tcpbalancer.model import Secret, User, UserList


@dataclass(slots=True)
class _List:
    name: str
    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)


@other_section("userlist <name>", "Users with passwords and groups.")
def userlist(reading: Reading) -> object:
    """Begin a list; a second one of the same name does not count."""
    name = reading.words[1] if len(reading.words) > 1 else ""
    lists = _lists(reading)
    if not name:
        reading.error(0, "'userlist' expects <name> as arguments.", PARSING_TIGHT)
    elif not reading.no_more_than(2):
        pass
    elif (wrong := invalid_character(name)) is not None:
        reading.error(1, f"character '{wrong}' is not permitted in 'userlist' name '{name}'.", PARSING_TIGHT)
    elif name in lists:
        reading.report.warn_as(
            PARSING_TIGHT, reading.at(1), f"ignoring duplicated userlist '{name}'.", reading.source_at(1)
        )
        return _List(name)
    else:
        lists[name] = UserList(name)
        return _List(name)
    return None


def _lists(reading: Reading) -> dict[str, UserList]:
    reading.whole.values.setdefault(USERLISTS, {})
    return reading.whole.values.of(USERLISTS, dict, {})


def _keep(reading: Reading, inside: _List) -> None:
    """Write the list down as it is now: users of a group, groups of a user, whichever named the other."""
    users = tuple(
        User(
            user.name,
            user.password,
            user.hashed,
            user.groups | {group for group, members in inside.groups.items() if user.name in members},
        )
        for user in inside.users.values()
    )
    _lists(reading)[inside.name] = UserList(inside.name, users)


@userlist.keyword("group <name> [users <user>,...]", "A group, and who belongs to it.")
def group(reading: Reading) -> None:
    """Read ``group``; whether its users are there is not asked: they may follow."""
    inside = reading.inside
    assert isinstance(inside, _List)
    words = reading.words
    name = words[1] if len(words) > 1 else ""
    if not name:
        reading.error(0, "'group' expects <name> as arguments.", PARSING_TIGHT)
    elif len(words) > 2 and words[2] != "users":
        reading.error(2, "'group' only supports 'users' option.", PARSING_TIGHT)
    elif name in inside.groups:
        message = f"ignoring duplicated group '{name}' in userlist '{inside.name}'."
        reading.report.warn_as(PARSING_TIGHT, reading.at(1), message, reading.source_at(1))
    else:
        inside.groups[name] = frozenset(filter(None, (words[3] if len(words) > 3 else "").split(",")))
        _keep(reading, inside)


@userlist.keyword(
    "user <name> [password|insecure-password <password>] [groups <group>,...]",
    "A user; 'password' is what crypt(3) made of it, 'insecure-password' is the password itself.",
)
def user(reading: Reading) -> None:
    """Read ``user``."""
    inside = reading.inside
    assert isinstance(inside, _List)
    words = reading.words
    name = words[1] if len(words) > 1 else ""
    if not name:
        reading.error(0, "'user' expects <name> as arguments.", PARSING_TIGHT)
        return
    if name in inside.users:
        message = f"ignoring duplicated user '{name}' in userlist '{inside.name}'."
        reading.report.warn_as(PARSING_TIGHT, reading.at(1), message, reading.source_at(1))
        return
    given = {"password": "", "insecure-password": "", "groups": ""}
    for position in range(2, len(words), 2):
        if words[position] not in given:
            options = "'user' only supports 'password', 'insecure-password' and 'groups' options."
            reading.error(position, options, PARSING_TIGHT)
            return
        given[words[position]] = words[position + 1] if position + 1 < len(words) else ""
    groups = frozenset(filter(None, given["groups"].split(",")))
    hashed = not given["insecure-password"]
    inside.users[name] = User(name, Secret(given["password"] if hashed else given["insecure-password"]), hashed, groups)
    _keep(reading, inside)

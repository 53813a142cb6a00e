"""``server-template``: one line for many servers.

Laws: pure; handlers report and never raise. What comes out are servers as if each had a line of its own.

Source: HAProxy's configuration manual, ``server-template``.
"""

from __future__ import annotations

import re
from dataclasses import replace

from tcpbalancer.config.findings import SERVER
from tcpbalancer.config.registry import SERVERS, Reading, keyword
from tcpbalancer.config.server_keywords import server

_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_MOST = 65535


@keyword("server-template <prefix> <count|range> <address>[:<port>] [<options>]", SERVERS, "Many servers in a line.")
def server_template(reading: Reading) -> None:
    """Read ``server-template``: a server for each number, its name the prefix with the number."""
    words = reading.words
    if len(words) < 4 or not words[1]:
        expects = "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments."
        reading.error(len(words), expects, SERVER)
        return
    found = _RANGE.fullmatch(words[2])
    first, last = (0, 0) if found is None else (int(found[1]), int(found[2])) if found[2] else (1, int(found[1]))
    if found is None or not 1 <= last <= _MOST or not 0 <= first <= last:
        reading.error(2, f"Wrong server-template number or range arg '{words[2]}'.", SERVER)
        return
    for number in range(first, last + 1):
        one = _one_of_many(reading, number)
        errors = reading.report.errors
        server(one)
        if reading.report.errors > errors:
            return  # the same would be said of all of them


def _one_of_many(reading: Reading, number: int) -> Reading:
    """Return the statement as if it were that of one server."""
    words = reading.statement.words
    name = words[1]
    named = replace(name, text=f"{name.text}{number}")
    statement = replace(reading.statement, words=(words[0], named, *words[3:]))
    return replace(reading, statement=statement)

"""Where states of servers are read from at the start.

Laws: pure; handlers report and never raise. The files are opened by ``load``.

Source: HAProxy's configuration manual, ``server-state-file``, ``server-state-base``, ``load-server-state-from-file``.
"""

from __future__ import annotations

from tcpbalancer.config.registry import BACK, GLOBAL, Reading, keyword

FILE, BASE, FROM, NAME = (
    "server-state-file",
    "server-state-base",
    "load-server-state-from-file",
    "server-state-file-name",
)
"""Under these names the values are kept, in ``GlobalDraft.values`` and in ``Settings.values``."""


def _path(reading: Reading, what: str) -> None:
    name = reading.words[0]
    if reading.whole.values.get(name) is not None:
        reading.error(0, f"'{name}' already specified. Continuing.")
    elif len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, f"'{name}' {what}.")
    elif reading.no_more_than(2):
        reading.whole.values[name] = reading.words[1]


@keyword("server-state-file <file>", GLOBAL, "Where the states of servers are read from at the start.")
def server_state_file(reading: Reading) -> None:
    """Read ``server-state-file``."""
    _path(reading, "expect one argument: a file path")


@keyword("server-state-base <folder>", GLOBAL, "The folder of state files whose names are relative.")
def server_state_base(reading: Reading) -> None:
    """Read ``server-state-base``."""
    _path(reading, "expects one argument: a directory path")


@keyword("load-server-state-from-file <where>", BACK, "Which state file a backend uses: global, local, none.")
def load_server_state_from_file(reading: Reading) -> None:
    """Read ``load-server-state-from-file``."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word not in {"global", "local", "none"}:
        reading.error(1, f"'{FROM}' expects 'global', 'local' or 'none'. Got '{word}'")
    else:
        reading.draft.settings.values[FROM] = word


@keyword("server-state-file-name [<file>]", BACK, "The name of a backend's own state file; else that of the backend.")
def server_state_file_name(reading: Reading) -> None:
    """Read ``server-state-file-name``."""
    if reading.no_more_than(2):
        word = reading.words[1] if len(reading.words) > 1 else ""
        reading.draft.settings.values[NAME] = "" if word == "use-backend-name" else word

"""From the state files that a configuration names to what they say of its servers.

Laws: pure: how a file is read comes in as a function. A file that cannot be read costs its states and nothing else.
Texts: ``apply_server_state`` in HAProxy's ``server_state.c``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tcpbalancer.config.drafts import Drafts
from tcpbalancer.config.findings import FILE as OF_FILE
from tcpbalancer.config.findings import Report
from tcpbalancer.config.state_file_keywords import BASE, FILE, FROM, NAME
from tcpbalancer.model import NOWHERE, SavedServer
from tcpbalancer.state_file import SpoiltError, split_states, understood

Read = Callable[[str], str]
"""Takes a path, returns the text; raises OSError."""
_Lines = Mapping[tuple[str, str], list[str]]


def saved_states(drafts: Drafts, report: Report, read: Read) -> dict[tuple[str, str], SavedServer]:
    """Return what is known of the servers of a configuration, by the names of backend and server."""
    reading = _Files(drafts.whole.values.of(BASE, str, ""), report, read)
    found: dict[tuple[str, str], SavedServer] = {}
    for draft in drafts.proxies:
        source = draft.settings.values.of(FROM, str, "none")
        if source == "none" or not draft.has_backend or not draft.servers or draft.settings.disabled:
            continue
        if source == "global":
            name = drafts.whole.values.of(FILE, str, "")
            lines = reading.lines(name, "config: ", "global server state file") if name else {}
        else:
            name = draft.settings.values.of(NAME, str, "") or draft.name
            lines = reading.lines(name, f"Proxy '{draft.name}': ", "server state file")
        for server in draft.servers:
            words = lines.get((draft.name, server.name))
            saved = None if words is None else understood(words)
            if isinstance(saved, SavedServer):
                found[draft.name, server.name] = saved
            elif saved is not None:
                who = f"{draft.name}/{server.name}"
                reading.warn(f"server-state application failed for server '{who}'{saved}")
    return found


class _Files:
    """Each file is read once."""

    def __init__(self, base: str, report: Report, read: Read) -> None:
        self._base = base
        self._report = report
        self._read = read
        self._known: dict[str, _Lines] = {}

    def warn(self, message: str) -> None:
        self._report.warn_as(OF_FILE, NOWHERE, message)

    def _notice(self, message: str) -> None:
        """Say it without warning of it: at the first start there is no file yet."""
        self._report.notice_as(OF_FILE, NOWHERE, message)

    def lines(self, name: str, who: str, what: str) -> _Lines:
        path = name if name.startswith("/") or not self._base else f"{self._base.rstrip('/')}/{name}"
        if path not in self._known:
            self._known[path] = {}
            try:
                self._known[path] = split_states(self._read(path))
            except FileNotFoundError as failed:
                self._notice(f"{who}Can't open {what} '{path}': {failed.strerror}")
            except OSError as failed:
                self.warn(f"{who}Can't open {what} '{path}': {failed.strerror}")
            except SpoiltError as spoilt:
                if spoilt.line > 0:
                    self.warn(f"{who}corrupted {what} '{path}' at line {spoilt.line}.")
                elif spoilt.line < 0:
                    self._notice(f"{who}Empty {what} '{path}'.")
                else:
                    self.warn(f"{who}Can't get version of the {what} '{path}'.")
        return self._known[path]

"""The lines in which HAProxy tells of servers: what a change is called, and at which level.

Laws: pure. A line is made from the state before and the state after; what else it says is in ``About``. The texts are
those of HAProxy 3.x (``_srv_update_status_op``, ``_srv_update_status_adm``, ``set_server_check_status``,
``set_backend_down``). A line carries neither priority nor time nor tag: the log target puts those before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.server_state import DRAIN, MAINT, Admin, CheckState, Operation, ServerState

Line = tuple[str, str]
"""A syslog level by name, and a text."""

FROM_CLI = ", changed from CLI"
FROM_PAGE = ", changed from Web interface"
FROM_STATE_FILE = ", changed from server-state after a reload"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a backend when the state of one of its servers has changed."""

    active: int  # usable servers
    backup: int  # usable backups
    sessions: int = 0  # on the server that changed
    queued: int = 0  # in the queue of the server that changed
    requeued: int = 0

    @property
    def has_none(self) -> bool:
        """Whether new connections find no server at all."""
        return self.active == 0 and self.backup == 0


def server_title(backend: str, server: str, *, backup: bool) -> str:
    """Return ``Server PX/S`` or ``Backup Server PX/S``."""
    return f"{'Backup ' if backup else ''}Server {backend}/{server}"


@dataclass(frozen=True, slots=True)
class About:
    """Of whom a line tells. ``via`` is the server that this one tracks (``backend/server``), ``host`` its name."""

    backend: str
    server: str
    standing: Standing
    backup: bool = False
    via: str = ""
    host: str = ""

    @property
    def title(self) -> str:
        """``Server PX/S`` or ``Backup Server PX/S``."""
        return server_title(self.backend, self.server, backup=self.backup)

    def through(self) -> str:
        """Return where an inherited state comes from."""
        return f" via {self.via}" if self.via else ""

    def numbers(self, operation: Operation) -> str:
        """Return what is left, or what is online."""
        left = self.standing
        on_backup = " Running on backup." if left.backup and not left.active else ""
        servers = f". {left.active} active and {left.backup} backup servers"
        if operation is Operation.STOPPED:
            return (
                f"{servers} left.{on_backup} {left.sessions} sessions active, {left.requeued} requeued, "
                f"{left.queued} remaining in queue."
            )
        return f"{servers} online.{on_backup} {left.requeued} sessions requeued, {left.queued} total in queue."


def why(result: CheckResult) -> str:
    """Return ``, reason: Layer7 wrong status, code: 503, info: "X", check duration: 0ms``, as far as known."""
    parts = [f", reason: {result.status.value}"]
    if result.status.has_code:
        parts.append(f"code: {result.code or 0}")
    if result.info:
        parts.append(f'info: "{quoted(result.info)}"')
    if result.status is not CheckStatus.HANA:
        parts.append(f"check duration: {result.duration_ms}ms")
    return ", ".join(parts)


def quoted(text: str) -> str:
    """Return a text as it stands between quotes: what could be misread as ``<0A>`` (chunk_asciiencode)."""
    plain = (chr(byte) if 32 <= byte <= 126 and chr(byte) not in '<>"' else f"<{byte:02X}>" for byte in text.encode())
    return "".join(plain)


def checked(about: About, kind: str, check: CheckState, weight: int) -> Line:
    """Return the line of ``option log-health-checks``; ``kind`` is Health or Agent."""
    result = check.last
    if result.status.is_conditional:
        ended = "conditionally succeeded"
    else:
        ended = "succeeded" if result.status.passed else "failed"
    counter = check.counter
    if counter.is_up:
        health = f"{counter.health - counter.rise + 1}/{counter.fall} {'UP' if weight else 'DRAIN'}"
    else:
        health = f"{counter.health}/{counter.rise} DOWN"
    backup = "backup " if about.backup else ""
    who = f"{backup}server {about.backend}/{about.server}"
    return "notice", f"{kind} check for {who} {ended}{why(result)}, status: {health}."


def operation_changed(about: About, before: ServerState, after: ServerState, cause: str) -> Iterator[Line]:
    """Yield the line on an operation that has changed; ``cause`` comes from ``why`` or is one of ``FROM_...``."""
    if after.operation is before.operation:
        return
    tail = f"{cause}{about.through()}{about.numbers(after.operation)}"
    if after.operation is Operation.STOPPED:
        yield "notice" if before.was_stopping else "alert", f"{about.title} is DOWN{tail}"
    elif after.operation is Operation.STOPPING:
        yield "notice", f"{about.title} is stopping{tail}"
    else:
        yield "notice", f"{about.title} is UP{tail}"


def admin_changed(about: About, before: ServerState, after: ServerState, cause: str = "") -> Iterator[Line]:
    """Yield the lines on an administrative mark that has come or gone; ``cause`` is like ``No IP for server``."""
    because = f" ({cause})" if cause else ""
    if after.in_maintenance and not before.in_maintenance:
        yield _enters_maintenance(about, before, after, because)
    elif before.in_maintenance and not after.in_maintenance:
        yield "notice", _leaves_maintenance(about, before, after)
    elif after.in_maintenance:
        yield from _stays_in_maintenance(about, before, after)
    if not after.in_maintenance:
        yield from _drain_changed(about, before, after, because)


def _enters_maintenance(about: About, before: ServerState, after: ServerState, because: str) -> Line:
    through = "" if after.admin & Admin.FORCED_MAINT else about.through()
    if not before.is_up:
        return "notice", f"{about.title} was DOWN and now enters maintenance{because}{through}."
    level = "notice" if before.was_stopping else "alert"
    return level, f"{about.title} is going DOWN for maintenance{because}{through}{about.numbers(Operation.STOPPED)}"


def _leaves_maintenance(about: About, before: ServerState, after: ServerState) -> str:
    state = f"is {'UP' if after.is_up else 'DOWN'}/{'DRAIN' if after.is_draining else 'READY'}"
    gone = before.admin & MAINT  # one mark goes at a time, and this was the last one
    if gone & Admin.INHERITED_MAINT:
        return f"{about.title} {state} (leaving maintenance)."
    if gone & Admin.RESOLUTION:
        return f"{about.title} ('{about.host}') {state} (resolves again)."
    return f"{about.title} {state} (leaving forced maintenance)."


def _stays_in_maintenance(about: About, before: ServerState, after: ServerState) -> Iterator[Line]:
    gone = before.admin & ~after.admin
    if gone & Admin.FORCED_MAINT:
        yield "notice", f"{about.title} is leaving forced maintenance but remains in maintenance{about.through()}."
    if gone & Admin.RESOLUTION:
        yield "notice", f"{about.title} ('{about.host}') resolves again but remains in maintenance{about.through()}."
    elif gone & Admin.INHERITED_MAINT:
        yield "notice", f"{about.title} remains in forced maintenance."


def _drain_changed(about: About, before: ServerState, after: ServerState, because: str) -> Iterator[Line]:
    if after.is_draining and not before.is_draining:
        through = "" if after.admin & Admin.FORCED_DRAIN else about.through()
        numbers = about.numbers(after.operation)
        yield "notice", f"{about.title} enters drain state{because}{through}{numbers}"
    elif before.is_draining and not after.is_draining:
        state = "UP" if after.is_up else "DOWN"
        if before.admin & DRAIN & Admin.FORCED_DRAIN:
            yield "notice", f"{about.title} is {state} (leaving forced drain)."
        else:
            yield "notice", f"{about.title} is {state} (leaving drain){about.through()}."
    elif after.is_draining:
        if after.admin & Admin.FORCED_DRAIN:
            yield "notice", f"{about.title} remains in forced drain mode."
        else:
            yield "notice", f"{about.title} remains in drain mode{about.through()}."


def no_server_available(backend: str, *, is_listen: bool) -> Line:
    """Return the emergency that a backend (or the proxy of a listen section) has no server left."""
    return "emerg", f"{'proxy' if is_listen else 'backend'} {backend} has no server available!"

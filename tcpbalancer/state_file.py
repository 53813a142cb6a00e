"""The file in which servers are remembered from one process to the next: read, and taken over.

Laws: pure. The form is HAProxy's version 1: a line ``1``, a header, 25 columns a server (20 are enough). A line that
makes no sense spoils the whole file, a value that makes none only its server; both are told in HAProxy's words. What
is taken over depends on what the configuration has changed meanwhile: it has the last word. Source: ``server_state.c``;
management guide, "show servers state".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.model.saved import SavedServer
from tcpbalancer.server_state import Admin, CheckState, Operation, ServerState, Terms

VERSION = "1"
LEAST, MOST = 20, 25
_STATUS = {status.number: status for status in CheckStatus}
_ADMIN = {0, 1, 4, 5, 12, 8}
"""What may be left of srv_admin_state without what is computed anew: inherited marks, resolution, a changed name."""
_COMPUTED = 2 | 16 | 32 | 64
_CHECK_BITS = 1 | 2 | 4 | 8 | 16


class SpoiltError(ValueError):
    """A file that is no state file; the text says why, ``line`` where (0: at its beginning, -1: it is empty)."""

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(f"line {line}")


def split_states(text: str) -> dict[tuple[str, str], list[str]]:
    """Return the columns of each server by backend and server name, the first of a name. Raises SpoiltError."""
    if not text:
        raise SpoiltError(-1)
    lines = text.split("\n")
    if lines.pop() or not lines or lines[0] != VERSION:  # the last line must end, too
        raise SpoiltError(0)
    found: dict[tuple[str, str], list[str]] = {}
    for number, line in enumerate(lines[1:], 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if not LEAST <= len(words) <= MOST:
            raise SpoiltError(number)
        found.setdefault((words[1], words[3]), words)
    return found


def understood(words: list[str]) -> SavedServer | str:
    """Return what the columns of a server say, or what is wrong with them, each with a comma before it."""
    wrong: list[str] = []

    def number(position: int, name: str, allows: Callable[[int], bool]) -> int:
        text = words[position]
        sound = text.removeprefix("-").isdigit() and text.isascii() and len(text) < 12
        if not sound or not allows(int(text)):
            wrong.append(f", invalid {name} value '{text}'")
            return 0
        return int(text)

    def text_at(position: int) -> str | None:
        return words[position] if position < len(words) and words[position] != "-" else None

    saved = SavedServer(
        backend=words[1],
        server=words[3],
        address=text_at(4),
        operation=number(5, "srv_op_state", lambda value: 0 <= value <= 3),
        admin=number(6, "srv_admin_state", lambda value: value & ~_COMPUTED in _ADMIN),
        weight=number(7, "srv_uweight", lambda value: 0 <= value <= 256),
        initial_weight=number(8, "srv_iweight", lambda value: 0 <= value <= 256),
        seconds=number(9, "srv_last_time_change", lambda value: value >= 0),
        check_status=number(10, "srv_check_status", lambda value: value in _STATUS),
        check_health=number(12, "srv_check_health", lambda value: value >= 0),
        check_state=number(13, "srv_check_state", lambda value: not value & ~_CHECK_BITS),
        agent_state=number(14, "srv_agent_state", lambda value: not value & ~_CHECK_BITS),
        name=text_at(17),
        port=number(18, "srv_port", lambda value: 0 <= value <= 65535),
        check_port=number(21, "srv_check_port", lambda value: 0 <= value <= 65535) if len(words) > 21 else 0,
        check_address=text_at(22),
        agent_address=text_at(23),
        agent_port=number(24, "srv_agent_port", lambda value: 0 <= value <= 65535) if len(words) > 24 else 0,
    )
    number(11, "srv_check_result", lambda value: 0 <= value <= 4)
    number(15, "bk_f_forced_id", lambda value: value in {0, 1})
    number(16, "srv_f_forced_id", lambda value: value in {0, 1})
    return "".join(wrong) or saved


def restored(state: ServerState, saved: SavedServer, weight: int, now: float, terms: Terms) -> Iterable[ServerState]:
    """Yield the states that a server goes through on its way from its start to what was saved, the last one to stay.

    ``weight`` is that of the file. Each step is one change, of the operation or of one administrative mark.
    """
    after = _operated(state, saved, now, terms)
    yield after
    for step in _administered(after, saved, weight, now, terms):
        after = step
        yield after
    check = after.check
    result = CheckResult(_STATUS[saved.check_status])
    check = replace(check, last=result, enabled=check.enabled and _is_enabled(check, saved.check_state))
    agent = replace(after.agent, enabled=after.agent.enabled and _is_enabled(after.agent, saved.agent_state))
    yield replace(after, check=check, agent=agent, changed_at=now - saved.seconds)


def _is_enabled(check: CheckState, bits: int) -> bool:
    """Whether nobody had switched it off: only that is taken over."""
    return not (check.configured and bits & 2 and not bits & 4)


def _operated(state: ServerState, saved: SavedServer, now: float, terms: Terms) -> ServerState:
    counter = state.check.counter
    rise, fall, full = counter.rise, counter.fall, state.check.full
    health = min(saved.check_health, full)
    match Operation(saved.operation):
        case Operation.RUNNING:
            return replace(state, check=state.check.set_to(full)).running(now, terms)
        case Operation.STOPPING if fall > 1:
            health = health if rise <= health <= full - 1 else rise
            return replace(state, check=state.check.set_to(health)).stopping(now)
        case Operation.STARTING:
            # HAProxy sets the counter below rise here and shows "UP 0/3": as good as running, but barely.
            return replace(state, check=state.check.set_to(rise)).running(now, terms)
        case _:
            return replace(state, check=state.check.set_to(0)).stopped(now)


def _administered(
    state: ServerState, saved: SavedServer, weight: int, now: float, terms: Terms
) -> Iterable[ServerState]:
    """Yield the steps in administration: what the file says anew holds, else what an operator had wished."""
    before = Admin(saved.admin & ~_COMPUTED & 15)
    mine = state.admin & Admin.CONFIG_MAINT
    same_file = bool(before & Admin.CONFIG_MAINT) == bool(mine)
    wants_maint = bool(mine) if not same_file else bool(before & Admin.FORCED_MAINT)
    if wants_maint and not state.admin & Admin.FORCED_MAINT:
        state = state.marked(Admin.FORCED_MAINT, now)
        yield state
    elif not wants_maint and state.admin & Admin.FORCED_MAINT:
        state = state.unmarked(Admin.FORCED_MAINT, now, terms)
        yield state
    dropped = saved.initial_weight == 0 and weight > 0  # it was only drained because its weight was 0
    if before & Admin.FORCED_DRAIN and not state.admin & Admin.FORCED_MAINT and not dropped:
        yield state.marked(Admin.FORCED_DRAIN, now)

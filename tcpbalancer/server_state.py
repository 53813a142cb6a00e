"""The state of a server: what it does (UP, DOWN, ...), what the administrator wants of it, what its checks say.

Laws: pure and frozen. Four things are known of a server: its operation (stopped, starting, running, stopping), a set
of administrative marks, the counter of its health check, the counter of its agent. One of them never overwrites
another; who wins is this table, read from the top:

    resolution, inherited, forced maintenance   nothing new comes, the health check pauses         MAINT ...
    the agent says down, fail or stopped        stopped, whatever the health check says             DOWN (agent)
    the health check has failed                 stopped; the agent's "up" does not help             DOWN
    the operator said "health down"             stopped until "health up" or the next check passes  DOWN
    the server that it tracks has stopped       stopped                                             DOWN
    the health check passed conditionally       stopping: what it has goes on, nothing new comes    NOLB
    forced or inherited drain                   running, but nothing new comes                      DRAIN ...
    otherwise                                   starting for as long as ``slowstart`` lasts, then running  UP

A weight of 0 keeps new connections away as well, but is no state. Time is the monotonic clock in seconds and comes in
as an argument. Texts, numbers and what is counted when are HAProxy's (``server.c``, ``check.c``, ``stats-proxy.c``,
``server-t.h``; management guide, section 9.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

from hakit.health import RiseFall
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.model.conduct import InitState, OnError


class Operation(IntEnum):
    """What a server does; the number is ``srv_op_state``."""

    STOPPED = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3


class Admin(IntFlag):
    """The administrative marks; their sum is ``srv_admin_state``."""

    NONE = 0
    FORCED_MAINT = 1
    INHERITED_MAINT = 2
    CONFIG_MAINT = 4  # a note that the file said ``disabled``; it has no effect of its own
    FORCED_DRAIN = 8
    INHERITED_DRAIN = 16
    RESOLUTION = 32

    @property
    def kind(self) -> Admin:
        """All marks with the same effect: those of maintenance, or those of drain."""
        return MAINT if self & MAINT else DRAIN

    @property
    def inherited(self) -> Admin:
        """The mark that servers get which track the one that has this mark."""
        return Admin.INHERITED_MAINT if self & MAINT else Admin.INHERITED_DRAIN


MAINT = Admin.FORCED_MAINT | Admin.INHERITED_MAINT | Admin.RESOLUTION
DRAIN = Admin.FORCED_DRAIN | Admin.INHERITED_DRAIN


@dataclass(frozen=True, slots=True)
class CheckState:
    """What is known from one kind of checks. Not ``configured``: there are none, and the counter is the operator's."""

    counter: RiseFall
    configured: bool = True
    enabled: bool = True
    paused: bool = False  # by maintenance
    last: CheckResult = CheckResult(CheckStatus.INI)
    checked_at: float | None = None
    hurry: bool = False  # the next check comes after ``fastinter``: ``observe`` has seen too many errors

    @classmethod
    def absent(cls, rise: int = 2, fall: int = 3) -> CheckState:
        """Return what is known where nothing is checked."""
        return cls(RiseFall.barely_up(rise, fall), configured=False, enabled=False)

    @property
    def is_active(self) -> bool:
        """Whether checks run now."""
        return self.enabled and not self.paused

    @property
    def holds_back(self) -> bool:
        """Whether it alone keeps the server from being UP."""
        return self.enabled and not self.counter.is_up

    def set_to(self, health: int) -> CheckState:
        """Return it with its counter moved by force."""
        return replace(self, counter=replace(self.counter, health=health))

    @property
    def full(self) -> int:
        """The largest value of the counter."""
        return self.counter.rise + self.counter.fall - 1

    @property
    def bits(self) -> int:
        """``srv_check_state`` without the bit of a check that runs: 2 configured, 4 enabled, 8 paused."""
        return 2 * self.configured + 4 * self.enabled + 8 * self.paused


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server's next state depends on besides its own."""

    slowstart: bool = False
    init_state: InitState = InitState.NONE
    tracked: Operation | None = None  # what the server does that this one tracks


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server at one moment."""

    operation: Operation
    admin: Admin
    check: CheckState
    agent: CheckState
    changed_at: float  # when the operation last changed
    failed_checks: int = 0  # chkfail
    down_transitions: int = 0  # chkdown
    past_downtime: float = 0.0  # without the one that goes on now
    failed_observations: int = 0  # hanafail

    @classmethod
    def initial(
        cls,
        now: float,
        *,
        check: CheckState | None = None,
        agent: CheckState | None = None,
        disabled: bool = False,
        init_state: InitState = InitState.NONE,
    ) -> ServerState:
        """Return the state at the start: by default UP until the first check says otherwise, MAINT if ``disabled``."""
        health = CheckState.absent() if check is None else check
        if disabled:
            # HAProxy pauses a check that is not there, too: srv_check_state is 8 then.
            health = replace(health.set_to(0), paused=True)
        elif init_state is not InitState.NONE:
            health = replace(health, counter=init_state.start(health.counter.rise, health.counter.fall))
        runs = not disabled and (health.counter.is_up or not health.configured)
        return cls(
            operation=Operation.RUNNING if runs else Operation.STOPPED,
            admin=Admin.FORCED_MAINT | Admin.CONFIG_MAINT if disabled else Admin.NONE,
            check=health,
            agent=CheckState.absent(rise=1, fall=1) if agent is None else agent,
            changed_at=now,
        )

    # -- what it amounts to -----------------------------------------------------------------------------------------

    @property
    def in_maintenance(self) -> bool:
        """Whether any kind of maintenance holds."""
        return bool(self.admin & MAINT)

    @property
    def is_draining(self) -> bool:
        """Whether it is to get nothing new by an administrator's wish."""
        return bool(self.admin & DRAIN)

    @property
    def was_stopping(self) -> bool:
        """Whether new connections had already ceased, so that its end is no alarm."""
        return self.operation is Operation.STOPPING or self.is_draining

    @property
    def is_up(self) -> bool:
        """Whether it counts as UP: sessions that it has may go on."""
        return self.operation is not Operation.STOPPED

    @property
    def is_usable(self) -> bool:
        """Whether new connections may go there (a weight of 0 can still forbid it)."""
        works = self.operation in {Operation.STARTING, Operation.RUNNING}
        return works and not self.in_maintenance and not self.is_draining

    def downtime(self, now: float) -> float:
        """Return the seconds for which the server was stopped, up to now."""
        return self.past_downtime + (0.0 if self.is_up else max(now - self.changed_at, 0.0))

    # -- operation --------------------------------------------------------------------------------------------------

    def moved(self, operation: Operation, now: float) -> ServerState:
        """Return the state with another operation, and the clocks and counts that go with it."""
        if operation is self.operation:
            return self
        return replace(
            self,
            operation=operation,
            changed_at=now,
            past_downtime=self.downtime(now),
            down_transitions=self.down_transitions + (operation is Operation.STOPPED),
        )

    def stopped(self, now: float) -> ServerState:
        """Return the state after it was found not to work; maintenance is left alone."""
        return self if self.in_maintenance else self.moved(Operation.STOPPED, now)

    def stopping(self, now: float) -> ServerState:
        """Return the state after it asked for no new connections."""
        return self if self.in_maintenance else self.moved(Operation.STOPPING, now)

    def running(self, now: float, terms: Terms) -> ServerState:
        """Return the state after it was found to work."""
        if self.in_maintenance or self.operation in {Operation.STARTING, Operation.RUNNING}:
            return self
        return self.moved(Operation.STARTING if terms.slowstart else Operation.RUNNING, now)

    def follows(self, tracked: Operation, now: float, terms: Terms) -> ServerState:
        """Return the state after the server that it tracks has come to an operation."""
        if tracked is Operation.STOPPED:
            return self.stopped(now)
        if tracked is Operation.STOPPING:
            return self.stopping(now)
        return self.running(now, terms)

    # -- checks -----------------------------------------------------------------------------------------------------

    def counted(self, result: CheckResult, now: float) -> ServerState:
        """Return the state with a check's result in its counter, the operation untouched (set_server_check_status)."""
        counter = self.check.counter
        passed = result.status.passed
        check = replace(self.check, counter=counter.passed() if passed else counter.failed(), last=result)
        if result.status is not CheckStatus.HANA:
            check = replace(check, checked_at=now, hurry=False)
        return replace(self, check=check, failed_checks=self.failed_checks + (not passed and counter.health > 0))

    def checked(self, result: CheckResult, now: float, terms: Terms) -> ServerState:
        """Return the state after a check has ended."""
        after = self.counted(result, now)
        if not result.status.passed:
            return after if after.check.counter.health else after.stopped(now)
        if after.is_held_back(terms):
            return after
        return after.stopping(now) if result.status.is_conditional else after.running(now, terms)

    def agent_said(self, result: CheckResult, now: float, terms: Terms) -> ServerState:
        """Return the state after the agent's answer; only its words ``up`` (L7OK) and the like (L7STS) count."""
        agent = replace(self.agent, last=result, checked_at=now)
        if result.status is CheckStatus.L7STS:
            return replace(self, agent=agent.set_to(0)).stopped(now)
        if result.status is not CheckStatus.L7OK:
            return replace(self, agent=agent)
        after = replace(self, agent=agent.set_to(agent.full))
        # Only a health check may end NOLB.
        held = after.is_held_back(terms) or after.operation is Operation.STOPPING
        return after if held else after.running(now, terms)

    def observed(self, on_error: OnError) -> ServerState:
        """Return the state with its counter where ``on-error`` wants it before a failed check is counted."""
        check, counter = replace(self.check, hurry=True), self.check.counter
        if on_error is OnError.MARK_DOWN:
            check = check.set_to(counter.rise)
        elif on_error is OnError.SUDDEN_DEATH and counter.health > counter.rise:
            check = check.set_to(counter.rise + 1)
        return replace(self, check=check, failed_observations=self.failed_observations + 1)

    def is_held_back(self, terms: Terms) -> bool:
        """Whether anything keeps it from being UP."""
        return self.check.holds_back or self.agent.holds_back or terms.tracked is Operation.STOPPED

    def health_set(self, operation: Operation, now: float, terms: Terms) -> ServerState:
        """Return the state after the operator said ``health up``, ``stopping`` or ``down``."""
        health = 0 if operation is Operation.STOPPED else self.check.full
        return replace(self, check=self.check.set_to(health)).follows(operation, now, terms)

    def agent_set(self, operation: Operation, now: float, terms: Terms) -> ServerState:
        """Return the state after the operator said ``agent up`` or ``agent down``."""
        health = 0 if operation is Operation.STOPPED else self.agent.full
        return replace(self, agent=self.agent.set_to(health)).follows(operation, now, terms)

    # -- administration ---------------------------------------------------------------------------------------------

    def marked(self, mark: Admin, now: float) -> ServerState:
        """Return the state with an administrative mark more; maintenance stops the server and pauses its check."""
        after = replace(self, admin=self.admin | mark)
        if self.in_maintenance or not after.in_maintenance:
            return after
        check = replace(self.check.set_to(0), paused=True) if self.check.enabled else self.check
        if self.is_up:
            check = check.set_to(0)
        return replace(after, check=check).moved(Operation.STOPPED, now)

    def unmarked(self, mark: Admin, now: float, terms: Terms) -> ServerState:
        """Return the state with an administrative mark less; who leaves maintenance is UP unless something speaks
        against it, and is checked at once."""
        after = replace(self, admin=self.admin & ~mark)
        if not self.in_maintenance or after.in_maintenance:
            return after
        check = self.check
        if check.enabled:
            check = replace(check.set_to(check.counter.rise), paused=False)
        after = replace(after, check=check)
        if terms.init_state is not InitState.NONE:
            counter = terms.init_state.start(check.counter.rise, check.counter.fall)
            after = replace(after, check=replace(check, counter=counter))
            return after.moved(Operation.RUNNING, now) if counter.is_up else after
        if after.is_held_back(terms):
            return after
        if terms.tracked is Operation.STOPPING:
            return after.moved(Operation.STOPPING, now)
        return after.moved(Operation.STARTING if terms.slowstart else Operation.RUNNING, now)


def shown(state: ServerState, checked: ServerState | None = None, via: str = "") -> str:
    """Return the status as the statistics print it.

    ``checked`` is the state of the server at the end of a chain of ``track``, ``via`` the one that is tracked
    directly, as ``backend/server``.
    """
    reference = state if checked is None else checked
    if state.admin & Admin.RESOLUTION:
        return "MAINT (resolution)"
    if state.admin & Admin.INHERITED_MAINT:
        return f"MAINT (via {via})"
    if state.in_maintenance:
        return "MAINT"
    counter = reference.check.counter
    if state.operation is Operation.STOPPED:
        return _shown_when_stopped(reference)
    falling = reference.check.enabled and counter.health < reference.check.full
    steps = f" {counter.health - counter.rise + 1}/{counter.fall}"
    if state.operation is Operation.STOPPING:
        return f"NOLB{steps}" if falling else "NOLB"
    if state.is_draining:
        return "DRAIN (agent)" if reference.agent.enabled else f"DRAIN{steps}" if falling else "DRAIN"
    if falling:
        return f"UP{steps}"
    return "UP" if reference.check.enabled else "no check"


def _shown_when_stopped(reference: ServerState) -> str:
    check, agent = reference.check, reference.agent
    if agent.enabled and not agent.counter.health:
        return "DOWN (agent)"
    if (check.enabled and not check.counter.health) or not (check.enabled or agent.enabled):
        return "DOWN"
    return f"DOWN {check.counter.health}/{check.counter.rise}"


@dataclass(frozen=True, slots=True)
class BackendState:
    """Whether a backend has a server for new connections."""

    is_up: bool
    changed_at: float
    down_transitions: int = 0
    past_downtime: float = 0.0

    def downtime(self, now: float) -> float:
        """Return the seconds without any server, up to now."""
        return self.past_downtime + (0.0 if self.is_up else now - self.changed_at)

    def seen(self, now: float, *, is_up: bool) -> BackendState:
        """Return the state after its servers were counted again."""
        if is_up == self.is_up:
            return self
        return BackendState(is_up, now, self.down_transitions + (not is_up), self.downtime(now))

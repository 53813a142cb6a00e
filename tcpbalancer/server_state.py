"""The state of a server: what its checks say (UP, DOWN) and what the administrator wants (READY, DRAIN, MAINT).

Laws: pure and frozen. The two are independent and together decide whether new connections come. Time is the monotonic
clock in seconds and comes in as an argument. The counter is ``hakit.health.RiseFall``; texts, codes and numbers are
HAProxy's (``check.c``, ``stats-proxy.c``; management guide, section 9.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from hakit.health import RiseFall
from tcpbalancer.check_status import CheckResult, CheckStatus


class Admin(Enum):
    """What the administrator wants of a server."""

    READY = "ready"
    DRAIN = "drain"
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class ServerState:
    """One server at one moment. ``health`` None: it is not checked, and counts as UP."""

    health: RiseFall | None
    admin: Admin
    changed_at: float  # when the shown state last went from working to not working or back
    last: CheckResult = CheckResult(CheckStatus.INI)
    checked_at: float | None = None
    failed_checks: int = 0  # chkfail
    down_transitions: int = 0  # chkdown
    past_downtime: float = 0.0  # without the one that goes on now

    @classmethod
    def initial(cls, now: float, *, rise_fall: tuple[int, int] | None, disabled: bool) -> ServerState:
        """Return the state at the start: UP until the first check says otherwise, MAINT if ``disabled``."""
        health = None if rise_fall is None else RiseFall.barely_up(*rise_fall)
        return cls(health, Admin.MAINT if disabled else Admin.READY, now)

    @property
    def is_up(self) -> bool:
        """Whether its checks, if any, say that it works."""
        return self.health is None or self.health.is_up

    @property
    def is_running(self) -> bool:
        """Whether it works and is not under maintenance: sessions that it has may go on."""
        return self.is_up and self.admin is not Admin.MAINT

    @property
    def is_usable(self) -> bool:
        """Whether new connections may go there (a weight of 0 can still forbid it)."""
        return self.is_up and self.admin is Admin.READY

    @property
    def shown(self) -> str:
        """The status as the statistics print it: UP, UP 1/3, DOWN, DOWN 1/2, no check, MAINT, DRAIN."""
        if self.admin is Admin.MAINT:
            return "MAINT"
        word = "DRAIN" if self.admin is Admin.DRAIN else "UP"
        health = self.health
        if health is None:
            return "no check" if self.admin is Admin.READY else word
        if not health.is_up:
            return f"DOWN {health.health}/{health.rise}" if health.health else "DOWN"
        return word if health.is_settled else f"{word} {health.health - health.rise + 1}/{health.fall}"

    def checked(self, result: CheckResult, now: float) -> ServerState:
        """Return the state after a check has ended; the server must be one that is checked."""
        health = self.health
        assert health is not None
        passed = result.status.passed
        after = replace(
            self,
            health=health.passed() if passed else health.failed(),
            last=result,
            checked_at=now,
            failed_checks=self.failed_checks + (not passed and health.health > 0),
            # Only checks count as "down transitions"; an administrator's wish does not.
            down_transitions=self.down_transitions + (not passed and self.is_running and health.failed().health == 0),
        )
        return self._carried_over(after, now)

    def administered(self, wish: Admin, now: float) -> ServerState:
        """Return the state after the administrator said what he wants."""
        return self._carried_over(replace(self, admin=wish), now)

    def downtime(self, now: float) -> float:
        """Return the seconds for which the server was not running, up to now."""
        return self.past_downtime + (0.0 if self.is_running else now - self.changed_at)

    def _carried_over(self, after: ServerState, now: float) -> ServerState:
        """Return ``after`` with the clock of the shown state set anew if that has changed."""
        if after.is_running == self.is_running and after.is_usable == self.is_usable:
            return after
        return replace(after, changed_at=now, past_downtime=self.downtime(now))


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

"""The state of a server, step by step, with the texts that HAProxy shows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hakit.health import RiseFall
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.model.conduct import InitState, OnError
from tcpbalancer.server_state import Admin, BackendState, CheckState, Operation, ServerState, Terms, shown

PASSED = CheckResult(CheckStatus.L4OK)
FAILED = CheckResult(CheckStatus.L4CON, info="refused", duration=0.0123)
NOT_FOUND = CheckResult(CheckStatus.L7OKC, 404)
SAYS_UP = CheckResult(CheckStatus.L7OK)
SAYS_DOWN = CheckResult(CheckStatus.L7STS)
TERMS = Terms()


def fresh(
    rise: int = 2,
    fall: int = 3,
    *,
    disabled: bool = False,
    agent: bool = False,
    init_state: InitState = InitState.NONE,
) -> ServerState:
    check = CheckState(RiseFall.barely_up(rise, fall))
    voice = CheckState(RiseFall.barely_up(1, 1)) if agent else None
    return ServerState.initial(100.0, check=check, agent=voice, disabled=disabled, init_state=init_state)


def unchecked() -> ServerState:
    return ServerState.initial(0.0)


def after(state: ServerState, *results: CheckResult, terms: Terms = TERMS) -> ServerState:
    for result in results:
        state = state.checked(result, 101.0, terms)
    return state


def shown_after(state: ServerState, *results: CheckResult) -> list[str]:
    texts = []
    for result in results:
        state = after(state, result)
        texts.append(shown(state))
    return texts


def ready(state: ServerState, now: float = 102.0, terms: Terms = TERMS) -> ServerState:
    return state.unmarked(Admin.FORCED_MAINT, now, terms)


def test_before_its_first_check_a_server_is_up_but_the_first_failure_takes_it_down() -> None:
    assert shown(fresh()) == "UP 1/3"
    assert fresh().check.last.status.name == "INI"
    assert fresh().is_usable
    assert shown_after(fresh(), FAILED) == ["DOWN"]


def test_the_first_success_makes_it_fully_up_and_then_all_failures_are_wanted() -> None:
    assert shown_after(fresh(), PASSED, FAILED, FAILED, FAILED) == ["UP", "UP 2/3", "UP 1/3", "DOWN"]


def test_down_it_counts_up_to_rise() -> None:
    assert shown_after(fresh(rise=3), FAILED, PASSED, PASSED, FAILED, PASSED, PASSED, PASSED) == [
        "DOWN", "DOWN 1/3", "DOWN 2/3", "DOWN", "DOWN 1/3", "DOWN 2/3", "UP",
    ]  # fmt: skip


def test_a_server_without_check_is_up_and_shown_as_such() -> None:
    state = unchecked()
    assert (shown(state), state.is_up, state.is_usable) == ("no check", True, True)
    assert shown(state.marked(Admin.FORCED_DRAIN, 1.0)) == "DRAIN"
    assert state.check.bits == 0


def test_a_server_without_check_that_was_set_down_stays_down_until_health_up() -> None:
    state = unchecked().health_set(Operation.STOPPED, 1.0, TERMS)
    assert (shown(state), state.check.counter.health) == ("DOWN", 0)
    assert state.unmarked(Admin.FORCED_MAINT, 2.0, TERMS).operation is Operation.STOPPED
    assert shown(state.health_set(Operation.RUNNING, 3.0, TERMS)) == "no check"
    assert shown(state.health_set(Operation.STOPPING, 3.0, TERMS)) == "NOLB"


def test_maintenance_hides_what_checks_say_and_pauses_them() -> None:
    state = fresh(disabled=True)
    assert (shown(state), state.is_usable, state.is_up) == ("MAINT", False, False)
    assert (int(state.admin), state.check.bits) == (5, 14)
    assert ServerState.initial(0.0, disabled=True).check.bits == 8
    assert shown(ready(state)) == "UP 1/3"
    assert int(ready(state).admin) == 4


@pytest.mark.parametrize(
    ("mark", "text"),
    [
        (Admin.FORCED_MAINT, "MAINT"),
        (Admin.INHERITED_MAINT, "MAINT (via px/srv)"),
        (Admin.RESOLUTION, "MAINT (resolution)"),
        (Admin.FORCED_DRAIN, "DRAIN 1/3"),
        (Admin.INHERITED_DRAIN, "DRAIN 1/3"),
        (Admin.CONFIG_MAINT, "UP 1/3"),
    ],
)
def test_every_administrative_mark_has_its_word(mark: Admin, text: str) -> None:
    assert shown(fresh().marked(mark, 101.0), via="px/srv") == text


def test_marks_are_inherited_as_marks_of_the_same_kind() -> None:
    assert Admin.FORCED_MAINT.inherited is Admin.RESOLUTION.inherited is Admin.INHERITED_MAINT
    assert Admin.FORCED_DRAIN.inherited is Admin.INHERITED_DRAIN
    assert (int(Admin.FORCED_MAINT.kind), int(Admin.INHERITED_DRAIN.kind)) == (35, 24)


def test_a_drained_server_runs_on_but_gets_nothing_new() -> None:
    state = fresh().marked(Admin.FORCED_DRAIN, 101.0)
    assert (shown(state), state.is_usable, state.is_up, state.was_stopping) == ("DRAIN 1/3", False, True, True)
    assert shown(after(state, PASSED)) == "DRAIN"
    assert shown(after(state, FAILED)) == "DOWN"
    assert state.changed_at == 100.0, "lastchg is of the operation"
    assert shown(fresh(agent=True).marked(Admin.FORCED_DRAIN, 101.0)) == "DRAIN (agent)"


def test_who_enters_maintenance_while_he_is_in_it_changes_nothing_more() -> None:
    state = fresh().marked(Admin.FORCED_MAINT, 101.0)
    both = state.marked(Admin.INHERITED_MAINT, 105.0)
    assert (both.changed_at, both.down_transitions) == (101.0, 1)
    assert ready(both).operation is Operation.STOPPED, "one mark still holds"
    assert shown(ready(both).unmarked(Admin.INHERITED_MAINT, 106.0, TERMS)) == "UP 1/3"


def test_a_server_without_check_that_was_down_enters_and_leaves_maintenance() -> None:
    state = unchecked().health_set(Operation.STOPPED, 1.0, TERMS).marked(Admin.FORCED_MAINT, 2.0)
    assert (state.changed_at, state.check.paused) == (1.0, False)
    assert shown(ready(state)) == "no check"


def test_nothing_moves_a_server_in_maintenance_but_its_end() -> None:
    state = fresh().marked(Admin.FORCED_MAINT, 101.0)
    assert state.stopped(102.0) is state
    assert state.stopping(102.0) is state
    assert state.running(102.0, TERMS) is state


def test_failures_and_transitions_are_counted_and_downtime_adds_up() -> None:
    state = fresh(rise=1, fall=2)
    for at, result in ((101, PASSED), (102, FAILED), (103, FAILED), (104, FAILED), (109, PASSED), (110, FAILED)):
        state = state.checked(result, float(at), TERMS)
    assert state.failed_checks == 3, "a failure of a server that is fully down is not counted"
    assert state.down_transitions == 1
    assert state.downtime(120.0) == 6.0
    assert state.changed_at == 109.0
    assert state.checked(FAILED, 111.0, TERMS).downtime(121.0) == 16.0
    assert state.check.checked_at == 110.0
    assert state.check.last.duration_ms == 12


def test_maintenance_counts_as_a_transition_and_as_downtime() -> None:
    state = fresh().marked(Admin.FORCED_MAINT, 105.0)
    assert (state.down_transitions, state.downtime(107.0)) == (1, 2.0)


def test_a_changed_counter_alone_does_not_reset_the_age_of_the_state() -> None:
    state = replace(fresh(), check=CheckState(RiseFall(2, 3, 4))).checked(FAILED, 150.0, TERMS)
    assert (shown(state), state.changed_at) == ("UP 2/3", 100.0)


def test_slowstart_makes_it_start_before_it_runs_but_not_with_the_process() -> None:
    slowly = Terms(slowstart=True)
    assert fresh().operation is Operation.RUNNING
    state = after(fresh(rise=1), FAILED, PASSED, terms=slowly)
    assert (state.operation, state.is_usable) == (Operation.STARTING, True)
    assert after(state, PASSED, terms=slowly) == after(state, PASSED)
    assert ready(fresh(disabled=True), terms=slowly).operation is Operation.STARTING


@pytest.mark.parametrize(
    ("init_state", "text", "first_failure", "successes_wanted"),
    [
        (InitState.NONE, "UP 1/3", "DOWN", 0),
        (InitState.UP, "UP 1/3", "DOWN", 0),
        (InitState.FULLY_UP, "UP", "UP 2/3", 0),
        (InitState.DOWN, "DOWN 1/2", "DOWN", 1),
        (InitState.FULLY_DOWN, "DOWN", "DOWN", 2),
    ],
)
def test_init_state_says_where_a_server_begins_and_where_it_is_after_maintenance(
    init_state: InitState, text: str, first_failure: str, successes_wanted: int
) -> None:
    state = fresh(init_state=init_state)
    assert shown(state) == text
    assert shown_after(state, FAILED) == [first_failure]
    assert after(state, *[PASSED] * max(successes_wanted - 1, 0)).is_up is (successes_wanted == 0)
    assert after(state, *[PASSED] * max(successes_wanted, 1)).is_up
    back = ready(state.marked(Admin.FORCED_MAINT, 101.0), terms=Terms(init_state=init_state))
    assert shown(back) == text


def test_a_404_that_is_allowed_takes_no_new_connections_until_a_real_success() -> None:
    state = after(fresh(), PASSED, NOT_FOUND)
    assert (shown(state), state.is_up, state.is_usable, state.was_stopping) == ("NOLB", True, False, True)
    assert shown(after(state, FAILED)) == "NOLB 2/3"
    assert shown(after(state, PASSED)) == "UP"
    assert state.agent_said(SAYS_UP, 103.0, TERMS).operation is Operation.STOPPING, "the agent cannot end it"
    assert state.stopping(103.0).changed_at == state.changed_at
    assert after(fresh(rise=1), FAILED, NOT_FOUND).operation is Operation.STOPPING


def test_the_agent_takes_down_and_brings_back_what_its_checks_allow() -> None:
    state = fresh(agent=True).agent_said(SAYS_DOWN, 101.0, TERMS)
    assert (shown(state), state.agent.counter.health) == ("DOWN (agent)", 0)
    assert after(state, PASSED).operation is Operation.STOPPED, "a good check does not help against the agent"
    assert shown(state.agent_said(SAYS_UP, 103.0, TERMS)) == "UP 1/3"


def test_the_agents_up_never_overrides_a_failed_health_check() -> None:
    state = after(fresh(agent=True), FAILED).agent_said(SAYS_UP, 103.0, TERMS)
    assert shown(state) == "DOWN"


def test_an_agent_that_cannot_be_reached_changes_nothing() -> None:
    state = fresh(agent=True).agent_said(FAILED, 101.0, TERMS)
    assert (shown(state), state.agent.counter.health, state.agent.last) == ("UP 1/3", 1, FAILED)


def test_the_operator_speaks_for_the_agent() -> None:
    state = fresh(agent=True).agent_set(Operation.STOPPED, 101.0, TERMS)
    assert shown(state) == "DOWN (agent)"
    assert shown(state.agent_set(Operation.RUNNING, 102.0, TERMS)) == "UP 1/3"


def test_a_server_that_tracks_another_is_shown_with_its_numbers() -> None:
    tracked = after(fresh(), PASSED, FAILED)
    state = unchecked()
    assert shown(state, tracked) == "UP 2/3"
    assert shown(state.stopped(1.0), after(tracked, FAILED, FAILED, PASSED)) == "DOWN 1/2"


def test_a_server_follows_the_one_that_it_tracks() -> None:
    state = unchecked().follows(Operation.STOPPED, 1.0, TERMS)
    assert state.operation is Operation.STOPPED
    assert state.follows(Operation.STOPPING, 2.0, TERMS).operation is Operation.STOPPING
    assert state.follows(Operation.RUNNING, 2.0, TERMS).operation is Operation.RUNNING
    held = state.marked(Admin.FORCED_MAINT, 3.0)
    assert ready(held, terms=Terms(tracked=Operation.STOPPED)).operation is Operation.STOPPED
    assert ready(held, terms=Terms(tracked=Operation.STOPPING)).operation is Operation.STOPPING
    assert ready(held, terms=Terms(tracked=Operation.RUNNING)).operation is Operation.RUNNING


def test_a_check_may_be_switched_off_and_its_server_stays_as_it_is() -> None:
    down = after(fresh(), FAILED)
    state = replace(down, check=replace(down.check, enabled=False))
    assert (state.check.is_active, state.check.bits, shown(state)) == (False, 2, "DOWN")


def test_what_traffic_has_shown_keeps_the_time_of_the_last_check() -> None:
    seen = replace(fresh(), check=replace(fresh().check, hurry=True)).checked(
        CheckResult(CheckStatus.HANA, info="3 errors"), 105.0, TERMS
    )
    assert (seen.check.checked_at, seen.check.hurry, shown(seen)) == (None, True, "DOWN")


@pytest.mark.parametrize(
    ("on_error", "health", "text"),
    [
        (OnError.FAIL_CHECK, 4, "UP 2/3"),
        (OnError.SUDDEN_DEATH, 4, "UP 1/3"),
        (OnError.SUDDEN_DEATH, 2, "DOWN"),
        (OnError.MARK_DOWN, 4, "DOWN"),
    ],
)
def test_too_many_errors_in_traffic_lead_to_what_on_error_says(on_error: OnError, health: int, text: str) -> None:
    state = replace(fresh(), check=fresh().check.set_to(health)).observed(on_error)
    assert (state.check.hurry, state.failed_observations) == (True, 1)
    assert shown(after(state, CheckResult(CheckStatus.HANA))) == text


def test_a_backend_counts_the_times_it_had_no_server() -> None:
    state = BackendState(True, 0.0)
    assert state.seen(1.0, is_up=True) is state
    down = state.seen(5.0, is_up=False)
    assert (down.down_transitions, down.downtime(8.0)) == (1, 3.0)
    again = down.seen(9.0, is_up=True)
    assert (again.down_transitions, again.downtime(20.0), again.changed_at) == (1, 4.0, 9.0)

"""The state of a server, step by step, with the texts that HAProxy shows."""

from __future__ import annotations

from dataclasses import replace

from hakit.health import RiseFall
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.server_state import Admin, BackendState, ServerState

PASSED = CheckResult(CheckStatus.L4OK)
FAILED = CheckResult(CheckStatus.L4CON, info="refused", duration=0.0123)


def fresh(rise: int = 2, fall: int = 3, *, disabled: bool = False) -> ServerState:
    return ServerState.initial(100.0, rise_fall=(rise, fall), disabled=disabled)


def shown_after(state: ServerState, *results: CheckResult) -> list[str]:
    texts = []
    for result in results:
        state = state.checked(result, 101.0)
        texts.append(state.shown)
    return texts


def test_before_its_first_check_a_server_is_up_but_the_first_failure_takes_it_down() -> None:
    assert fresh().shown == "UP 1/3"
    assert fresh().last.status.name == "INI"
    assert fresh().is_usable
    assert shown_after(fresh(), FAILED) == ["DOWN"]


def test_the_first_success_makes_it_fully_up_and_then_all_failures_are_wanted() -> None:
    assert shown_after(fresh(), PASSED, FAILED, FAILED, FAILED) == ["UP", "UP 2/3", "UP 1/3", "DOWN"]


def test_down_it_counts_up_to_rise() -> None:
    assert shown_after(fresh(rise=3), FAILED, PASSED, PASSED, FAILED, PASSED, PASSED, PASSED) == [
        "DOWN", "DOWN 1/3", "DOWN 2/3", "DOWN", "DOWN 1/3", "DOWN 2/3", "UP",
    ]  # fmt: skip


def test_a_server_without_check_is_up_and_shown_as_such() -> None:
    state = ServerState.initial(0.0, rise_fall=None, disabled=False)
    assert (state.shown, state.is_up, state.is_usable) == ("no check", True, True)
    assert state.administered(Admin.DRAIN, 1.0).shown == "DRAIN"


def test_maintenance_hides_what_checks_say() -> None:
    state = fresh(disabled=True)
    assert (state.shown, state.is_usable, state.is_running) == ("MAINT", False, False)
    assert state.administered(Admin.READY, 101.0).shown == "UP 1/3"


def test_a_drained_server_runs_on_but_gets_nothing_new() -> None:
    state = fresh().administered(Admin.DRAIN, 101.0)
    assert (state.shown, state.is_usable, state.is_running) == ("DRAIN 1/3", False, True)
    assert state.checked(PASSED, 102.0).shown == "DRAIN"
    assert state.checked(FAILED, 102.0).shown == "DOWN"


def test_failures_and_transitions_are_counted_and_downtime_adds_up() -> None:
    state = fresh(rise=1, fall=2)
    for at, result in ((101, PASSED), (102, FAILED), (103, FAILED), (104, FAILED), (109, PASSED), (110, FAILED)):
        state = state.checked(result, float(at))
    assert state.failed_checks == 3, "a failure of a server that is fully down is not counted"
    assert state.down_transitions == 1
    assert state.downtime(120.0) == 6.0
    assert state.changed_at == 109.0
    assert state.checked(FAILED, 111.0).downtime(121.0) == 16.0
    assert state.checked_at == 110.0
    assert state.last.duration_ms == 12


def test_what_the_administrator_does_is_no_transition_of_the_checks() -> None:
    state = fresh().administered(Admin.MAINT, 105.0)
    assert (state.down_transitions, state.downtime(107.0)) == (0, 2.0)


def test_a_changed_counter_alone_does_not_reset_the_age_of_the_state() -> None:
    state = replace(fresh(), health=RiseFall(2, 3, 4)).checked(FAILED, 150.0)
    assert (state.shown, state.changed_at) == ("UP 2/3", 100.0)


def test_a_backend_counts_the_times_it_had_no_server() -> None:
    state = BackendState(True, 0.0)
    assert state.seen(1.0, is_up=True) is state
    down = state.seen(5.0, is_up=False)
    assert (down.down_transitions, down.downtime(8.0)) == (1, 3.0)
    again = down.seen(9.0, is_up=True)
    assert (again.down_transitions, again.downtime(20.0), again.changed_at) == (1, 4.0, 9.0)

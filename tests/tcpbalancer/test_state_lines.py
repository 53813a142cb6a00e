"""What HAProxy says when the state of a server changes, word for word (seen on 2.6.12 where it can say it)."""

from __future__ import annotations

from dataclasses import replace

from hakit.health import RiseFall
from tcpbalancer.check_status import CheckResult, CheckStatus
from tcpbalancer.server_state import Admin, CheckState, Operation, ServerState, Terms
from tcpbalancer.state_lines import (
    FROM_CLI,
    About,
    Line,
    Standing,
    admin_changed,
    checked,
    no_server_available,
    operation_changed,
    quoted,
    why,
)

ABOUT = About("px", "s", Standing(1, 0))
UP = ServerState.initial(0.0)
TERMS = Terms()
ONLINE = "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."
LEFT = "1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."


def marked(state: ServerState, mark: Admin, about: About = ABOUT, cause: str = "") -> tuple[list[Line], ServerState]:
    after = state.marked(mark, 1.0)
    return list(admin_changed(about, state, after, cause)), after


def unmarked(state: ServerState, mark: Admin, about: About = ABOUT) -> tuple[list[Line], ServerState]:
    after = state.unmarked(mark, 1.0, TERMS)
    return list(admin_changed(about, state, after)), after


def test_a_server_goes_down_for_the_reason_of_its_check() -> None:
    cause = why(CheckResult(CheckStatus.L7STS, 503, "X"))
    about = About("postgres", "pg3", Standing(2, 0))
    assert list(operation_changed(about, UP, UP.stopped(1.0), cause)) == [
        (
            "alert",
            (
                'Server postgres/pg3 is DOWN, reason: Layer7 wrong status, code: 503, info: "X", check duration: 0ms. '
                "2 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
            ),
        )
    ]
    cause = why(CheckResult(CheckStatus.L4CON, info="refused", duration=0.003))
    about = About("px", "s", Standing(0, 1, sessions=1), backup=True)
    assert list(operation_changed(about, UP, UP.stopped(1.0), cause)) == [
        (
            "alert",
            (
                'Backup Server px/s is DOWN, reason: Layer4 connection problem, info: "refused", check duration: 3ms. '
                "0 active and 1 backup servers left. Running on backup. 1 sessions active, 0 requeued, "
                "0 remaining in queue."
            ),
        )
    ]


def test_a_server_comes_up_stops_or_stays() -> None:
    down = UP.stopped(1.0)
    cause = why(CheckResult(CheckStatus.L4OK))
    assert list(operation_changed(ABOUT, down, UP, cause)) == [
        ("notice", f"Server px/s is UP, reason: Layer4 check passed, check duration: 0ms. {ONLINE}")
    ]
    assert list(operation_changed(ABOUT, UP, UP.stopping(1.0), FROM_CLI)) == [
        ("notice", f"Server px/s is stopping, changed from CLI. {ONLINE}")
    ]
    assert list(operation_changed(ABOUT, UP, UP, "")) == []


def test_who_was_stopping_before_goes_down_without_an_alarm() -> None:
    assert list(operation_changed(ABOUT, UP.stopping(1.0), UP.stopped(2.0), FROM_CLI)) == [
        ("notice", f"Server px/s is DOWN, changed from CLI. {LEFT}")
    ]
    drained = UP.marked(Admin.FORCED_DRAIN, 1.0)
    assert marked(drained, Admin.FORCED_MAINT)[0] == [("notice", f"Server px/s is going DOWN for maintenance. {LEFT}")]


def test_who_tracks_another_says_so() -> None:
    about = replace(ABOUT, via="a/b")
    assert list(operation_changed(about, UP, UP.stopped(1.0), "")) == [
        ("alert", f"Server px/s is DOWN via a/b. {LEFT}")
    ]
    lines, inherited = marked(UP, Admin.INHERITED_MAINT, about)
    assert lines == [("alert", f"Server px/s is going DOWN for maintenance via a/b. {LEFT}")]
    lines, both = marked(inherited, Admin.FORCED_MAINT, about)
    assert lines == []
    assert unmarked(both, Admin.FORCED_MAINT, about)[0] == [
        ("notice", "Server px/s is leaving forced maintenance but remains in maintenance via a/b.")
    ]
    assert unmarked(both, Admin.INHERITED_MAINT, about)[0] == [("notice", "Server px/s remains in forced maintenance.")]
    assert unmarked(inherited, Admin.INHERITED_MAINT, about)[0] == [
        ("notice", "Server px/s is UP/READY (leaving maintenance).")
    ]


def test_maintenance_comes_and_goes() -> None:
    lines, in_maintenance = marked(UP, Admin.FORCED_MAINT)
    assert lines == [("alert", f"Server px/s is going DOWN for maintenance. {LEFT}")]
    assert unmarked(in_maintenance, Admin.FORCED_MAINT)[0] == [
        ("notice", "Server px/s is UP/READY (leaving forced maintenance).")
    ]
    assert marked(UP.stopped(1.0), Admin.FORCED_MAINT, cause="why not")[0] == [
        ("notice", "Server px/s was DOWN and now enters maintenance (why not).")
    ]
    held = in_maintenance.unmarked(Admin.FORCED_MAINT, 1.0, Terms(tracked=Operation.STOPPED))
    assert list(admin_changed(ABOUT, in_maintenance, held)) == [
        ("notice", "Server px/s is DOWN/READY (leaving forced maintenance).")
    ]


def test_from_maintenance_to_drain_and_back_to_ready() -> None:
    _, in_maintenance = marked(UP, Admin.FORCED_MAINT)
    lines, both = marked(in_maintenance, Admin.FORCED_DRAIN)
    assert lines == []
    lines, drained = unmarked(both, Admin.FORCED_MAINT)
    assert lines == [
        ("notice", "Server px/s is UP/DRAIN (leaving forced maintenance)."),
        ("notice", "Server px/s remains in forced drain mode."),
    ]
    assert unmarked(drained, Admin.FORCED_DRAIN)[0] == [("notice", "Server px/s is UP (leaving forced drain).")]
    down = drained.stopped(2.0)
    assert unmarked(down, Admin.FORCED_DRAIN)[0] == [("notice", "Server px/s is DOWN (leaving forced drain).")]


def test_drain_is_inherited() -> None:
    about = replace(ABOUT, via="a/b")
    lines, inherited = marked(UP, Admin.INHERITED_DRAIN, about, "'stop' on stats page")
    assert lines == [("notice", f"Server px/s enters drain state ('stop' on stats page) via a/b. {ONLINE}")]
    assert unmarked(inherited, Admin.INHERITED_DRAIN, about)[0] == [
        ("notice", "Server px/s is UP (leaving drain) via a/b.")
    ]
    _, both = marked(inherited, Admin.FORCED_DRAIN, about)
    assert unmarked(both, Admin.FORCED_DRAIN, about)[0] == [("notice", "Server px/s remains in drain mode via a/b.")]
    assert marked(UP.stopped(1.0), Admin.FORCED_DRAIN, about)[0] == [
        ("notice", f"Server px/s enters drain state. {LEFT}")
    ]


def test_a_name_is_lost_and_found() -> None:
    about = replace(ABOUT, host="db.example")
    lines, lost = marked(UP, Admin.RESOLUTION, about, "DNS NX status")
    assert lines == [("alert", f"Server px/s is going DOWN for maintenance (DNS NX status). {LEFT}")]
    assert unmarked(lost, Admin.RESOLUTION, about)[0] == [
        ("notice", "Server px/s ('db.example') is UP/READY (resolves again).")
    ]
    both = lost.marked(Admin.FORCED_MAINT, 2.0)
    assert unmarked(both, Admin.RESOLUTION, about)[0] == [
        ("notice", "Server px/s ('db.example') resolves again but remains in maintenance.")
    ]


def test_the_lines_of_log_health_checks() -> None:
    passed = CheckState(RiseFall(1, 1, 1), last=CheckResult(CheckStatus.L4OK))
    assert checked(replace(ABOUT, backup=True), "Health", passed, 1) == (
        "notice",
        (
            "Health check for backup server px/s succeeded, reason: Layer4 check passed, check duration: 0ms, "
            "status: 1/1 UP."
        ),
    )
    failed = CheckState(RiseFall(2, 3, 0), last=CheckResult(CheckStatus.L4CON))
    assert checked(ABOUT, "Agent", failed, 1)[1] == (
        "Agent check for server px/s failed, reason: Layer4 connection problem, check duration: 0ms, status: 0/2 DOWN."
    )
    allowed = CheckState(RiseFall(2, 3, 4), last=CheckResult(CheckStatus.L7OKC, 404))
    assert checked(ABOUT, "Health", allowed, 0)[1] == (
        "Health check for server px/s conditionally succeeded, reason: Layer7 check conditionally passed, code: 404, "
        "check duration: 0ms, status: 3/3 DRAIN."
    )


def test_what_traffic_has_shown_took_no_time() -> None:
    assert why(CheckResult(CheckStatus.HANA, info="3 errors")) == ', reason: Health analyze, info: "3 errors"'


def test_what_a_server_says_of_itself_cannot_break_a_line() -> None:
    assert quoted('a"b<c>\n é') == "a<22>b<3C>c<3E><0A> <C3><A9>"


def test_a_backend_without_servers_is_an_emergency() -> None:
    assert Standing(0, 0).has_none
    assert not Standing(0, 1).has_none
    assert no_server_available("be1", is_listen=False) == ("emerg", "backend be1 has no server available!")
    assert no_server_available("l1", is_listen=True) == ("emerg", "proxy l1 has no server available!")

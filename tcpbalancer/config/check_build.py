"""From the drafts of a proxy's check to its probe.

Laws: pure. What ``option httpchk`` and the first ``http-check send`` say is one request; whatever is not said is added
as HAProxy adds it: a connect at the beginning, an expectation of success at the end.

Source: ``check_tcpcheck_ruleset`` and ``tcpcheck_add_http_rule`` in HAProxy's ``tcpcheck.c``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tcpbalancer.config.drafts import CheckDraft, RuleDraft
from tcpbalancer.config.findings import PARSING, Report
from tcpbalancer.dialogue.protocols import SUCCESS
from tcpbalancer.model import PLAIN_CONNECT, Dialogue, ExternalCheck, Probe
from tcpbalancer.model.dialogue import (
    IMPLICIT_CONNECT,
    Connect,
    Expect,
    HttpRequest,
    Kind,
    Send,
    SetVariable,
    Step,
)


def begins_without_connect(rules: list[RuleDraft]) -> bool:
    """Whether the first rule that acts is there, and no ``connect``."""
    first = next((rule for rule in rules if rule.request is not None or _acts(rule.step)), None)
    return first is not None and not isinstance(first.step, Connect)


def _acts(step: Step | None) -> bool:
    return step is not None and not isinstance(step, SetVariable)


def build_probe(check: CheckDraft, report: Report, *, keep_environment: bool = False) -> Probe:
    """Return the probe of a proxy's servers; rules that do not fit together are in the report."""
    if check.kind == "external":
        return ExternalCheck(check.command or "", check.path or "", keep_environment)
    if check.kind == "protocol" and check.dialogue is not None:
        return check.dialogue
    if check.kind == "http":
        return _http(check, report)
    if check.kind != "tcp":
        return PLAIN_CONNECT
    return Dialogue(Kind.TCP, _finished([_step(rule, number) for number, rule in enumerate(check.tcp, 1)]))


def _step(rule: RuleDraft, number: int) -> Step | str:
    """Return a rule with its number; a comment is its text."""
    if rule.request is not None:
        return HttpRequest(number=number, line=rule.at.line, **rule.request)
    return rule.comment if rule.step is None else replace(rule.step, number=number)


def _finished(rules: list[Step | str]) -> tuple[Step, ...]:
    """Return the steps: an implicit connect if there is none, comments given to the rules behind them."""
    acting = [rule for rule in rules if not isinstance(rule, str | SetVariable)]
    steps: list[Step] = [] if acting and isinstance(acting[0], Connect) else [IMPLICIT_CONNECT]
    comment = ""
    before: type[object] = str
    for rule in rules:
        if type(rule) is not before and before is not str:
            comment = ""
        before = type(rule)
        if isinstance(rule, str):
            comment = rule
            continue
        steps.append(rule if rule.comment or isinstance(rule, SetVariable) else replace(rule, comment=comment))
        if isinstance(rule, Connect | SetVariable):
            comment = ""
    return tuple(_with_heads(steps))


def _with_heads(steps: list[Step]) -> list[Step]:
    """An expectation begins anew at the first inverse one before it, with nothing but expectations in between."""
    result: list[Step] = []
    inverse_at: int | None = None
    for position, step in enumerate(steps):
        if isinstance(step, Expect):
            result.append(step if inverse_at is None else replace(step, head=position - inverse_at))
            if step.inverse and inverse_at is None:
                inverse_at = position
            continue
        result.append(step)
        if isinstance(step, Connect | Send | HttpRequest):
            inverse_at = None
    return result


def _http(check: CheckDraft, report: Report) -> Dialogue:
    _refuse_disorder(check, report)
    rules = [_step(rule, number) for number, rule in enumerate(check.http, 1)]
    acting = [place for place, rule in enumerate(rules) if not isinstance(rule, str | SetVariable)]
    connect = rules[acting[0]] if acting else None
    place = acting[0] + 1 if isinstance(connect, Connect) else 0
    behind = next((each for each in acting if each >= place), None)
    explicit = None if behind is None else check.http[behind].request
    if behind is not None and explicit is not None:
        rules[behind] = HttpRequest(number=behind + 1, line=check.http[behind].at.line, **_merged(check, explicit))
    else:
        # The request of "option httpchk" is no rule of the file: those behind it count as if it were not there.
        number = connect.number + 1 if isinstance(connect, Connect) else 1
        rules.insert(place, HttpRequest(number=number, **check.request))
    last = next(rule for rule in reversed(rules) if not isinstance(rule, str | SetVariable))
    if isinstance(last, HttpRequest):
        rules.append(Expect(number=last.number + 1, pattern=SUCCESS))
    return Dialogue(Kind.HTTP, _finished(rules), disable_on_404=check.disable_on_404, send_state=check.send_state)


def _merged(check: CheckDraft, explicit: dict[str, Any]) -> dict[str, Any]:
    """Who comes later in the file wins; headers are not mixed."""
    older, newer = (explicit, check.request) if check.request_is_last else (check.request, explicit)
    headers = newer.get("headers") or older.get("headers", ())
    return {**older, **newer, "headers": headers}


_MISSING = {
    ("send", "send"): "connect",
    ("expect", "send"): "connect",
    ("connect", "expect"): "send",
    ("connect", "connect"): "expect",
    ("send", "connect"): "expect",
}


def _refuse_disorder(check: CheckDraft, report: Report) -> None:
    """After a connect comes a request, after a request an answer, and then a connect again.

    Rules that stand before ``option httpchk`` are not looked at, as in HAProxy.
    """
    before = ""
    for number, rule in enumerate(check.http, 1):
        if rule.request is None and not _acts(rule.step):
            continue
        now = "send" if rule.request is not None else "connect" if isinstance(rule.step, Connect) else "expect"
        missing = _MISSING.get((before, now))
        if missing is not None and number > check.rules_before:
            message = (
                f"'http-check {now}' : unable to add http-check {now} rule at step {number} (missing {missing} rule).."
            )
            report.error_as(PARSING, rule.at, message, rule.source)
        before = now

"""Is this what was expected? One answer to that for all dialogues.

Laws: pure. What has come goes in with whether more can come; out comes MORE (wait), NEXT (met) or the end of the check.
The rules are those of ``tcpcheck.c``: without ``min-recv`` a match is waited for until the end of the answer; with it,
what is there decides.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from enum import Enum

from tcpbalancer.check_status import CheckResult, CheckStatus, Step
from tcpbalancer.dialogue import answer as http
from tcpbalancer.dialogue.sample import Facts, evaluate, filled, number_of, unhexed
from tcpbalancer.dialogue.speech import GOOD, Wrong, hear
from tcpbalancer.dialogue.words import mismatch, printable, spoken, wanted
from tcpbalancer.model.dialogue import (
    Connect,
    Content,
    ContentMatch,
    ContentTemplate,
    Dialogue,
    Expect,
    Header,
    HttpRequest,
    Kind,
    SetVariable,
    Speech,
    StatusCodes,
    StatusMatch,
    TextMatch,
)


class Going(Enum):
    """A dialogue that is not at its end."""

    MORE = "more has to come first"
    NEXT = "as expected: on to the next step"


Verdict = Going | CheckResult
_EMPTY_TEMPLATE = "log-format string evaluated to an empty string"
_NOT_HEX = "Failed to parse hexastring resulting of eval of a log-format string"


def judge(dialogue: Dialogue, step: Expect, facts: Facts, *, ended: bool) -> Verdict:
    """Return what ``facts.received`` means to an expectation. ``ended``: nothing more will come."""
    if dialogue.kind is Kind.HTTP:
        return _judge_http(dialogue, step, facts, ended=ended)
    if isinstance(step.pattern, Speech):
        return _judge_speech(dialogue, step, step.pattern, facts, ended=ended)
    return _judge_content(dialogue, step, facts, facts.received, ended=ended)


def passed(dialogue: Dialogue, facts: Facts, *, tls: bool) -> CheckResult:
    """Return the end of a dialogue whose steps have all gone well."""
    step = next(each for each in reversed(dialogue.steps) if not isinstance(each, SetVariable))
    in_words = "(tcp-check)" if dialogue.kind is Kind.TCP else ""
    if isinstance(step, Connect):
        return CheckResult(CheckStatus.L6OK if tls else CheckStatus.L4OK, info="" if step.implicit else in_words)
    if not isinstance(step, Expect):
        return CheckResult(CheckStatus.L7OK, 0, in_words)
    if _is_leaving(dialogue, facts):
        return CheckResult(CheckStatus.L7OKC, 404)
    if step.on_success:
        in_words = spoken(filled(step.on_success, facts))
    return _ended(step.ok_status or CheckStatus.L7OK, _code(step, facts), in_words)


def _is_leaving(dialogue: Dialogue, facts: Facts) -> bool:
    """Whether a server that works says that it wants no new connections (``http-check disable-on-404``)."""
    return dialogue.disable_on_404 and facts.is_up and facts.answer is not None and facts.answer.status == 404


def _ended(status: CheckStatus, code: int, info: str, step: Step | None = None) -> CheckResult:
    """A code is told only with a status of the application's own."""
    return CheckResult(status, code if status.has_code else None, info, step=step)


def _code(step: Expect, facts: Facts) -> int:
    if step.code is not None:
        return number_of(evaluate(step.code, facts))
    return 0 if facts.answer is None else facts.answer.status


def _failed(
    dialogue: Dialogue, step: Expect, facts: Facts, status: CheckStatus, words: str = "", code: int | None = None
) -> CheckResult:
    info = mismatch(dialogue, step, facts, empty=not facts.received, words=words)
    place = Step(step.number, step.line, wanted(step), printable(facts.received))
    return _ended(status, _code(step, facts) if code is None else code, info, place)


def _judge_speech(dialogue: Dialogue, step: Expect, speech: Speech, facts: Facts, *, ended: bool) -> Verdict:
    heard: Wrong | None = hear(speech, facts.received, ended=ended) if facts.received else Wrong(CheckStatus.L7RSP)
    if heard is None or (not facts.received and not ended):
        return Going.MORE
    return Going.NEXT if heard is GOOD else _failed(dialogue, step, facts, heard.status, heard.words, heard.code)


def _judge_content(
    dialogue: Dialogue, step: Expect, facts: Facts, data: bytes, *, ended: bool, words: str = ""
) -> Verdict:
    """Look for a pattern in ``data``, which is what has come, or the body of an answer."""
    if not ended and (len(data) < step.min_recv or (step.whole_line and not data.endswith(b"\n"))):
        return Going.MORE
    pattern = step.pattern
    found = False
    if isinstance(pattern, Content):
        if not ended and len(data) < len(pattern.data):
            return Going.MORE
        found = pattern.data in data
    elif isinstance(pattern, ContentMatch):
        found = pattern.pattern.search(data.hex().upper().encode() if pattern.binary else data) is not None
    else:
        assert isinstance(pattern, ContentTemplate)
        sought = filled(pattern.template, facts)
        parsed = unhexed(sought) if pattern.binary else sought
        if not sought or parsed is None:
            reason = _NOT_HEX if sought else _EMPTY_TEMPLATE
            return _failed(dialogue, step, facts, CheckStatus.L7RSP, reason)
        found = parsed in data
    if not found and not ended and step.min_recv == -1:
        return Going.MORE
    if found is not step.inverse:
        return Going.NEXT
    return _failed(dialogue, step, facts, step.error_status or CheckStatus.L7RSP, "" if step.on_error else words)


def _judge_http(dialogue: Dialogue, step: Expect, facts: Facts, *, ended: bool) -> Verdict:
    facts.answer = answer = http.read(facts.received, ended=ended, is_head=_asked(dialogue, step) == "HEAD")
    if answer is None:
        if not ended and http.begins(facts.received):
            return Going.MORE
        return _failed(dialogue, step, facts, CheckStatus.L7RSP, "no HTTP status line" if facts.received else "")
    if _is_leaving(dialogue, facts):
        return Going.NEXT
    pattern = step.pattern
    if isinstance(pattern, StatusCodes):
        fits = any(low <= answer.status <= high for low, high in pattern.ranges)
    elif isinstance(pattern, StatusMatch):
        fits = pattern.pattern.search(str(answer.status).encode()) is not None
    elif answer.headers is None:
        return Going.MORE
    elif isinstance(pattern, Header):
        fits = _has_header(pattern, answer, facts)
    else:
        return _judge_body(dialogue, step, facts, answer)
    if fits is not step.inverse:
        return Going.NEXT
    words = "" if step.on_error else answer.reason
    return _failed(dialogue, step, facts, step.error_status or CheckStatus.L7STS, words)


def _asked(dialogue: Dialogue, step: Expect) -> str:
    """Return the method of the request that an expectation is about."""
    before = itertools.takewhile(lambda each: each is not step, dialogue.steps)
    return next((each.method for each in reversed(list(before)) if isinstance(each, HttpRequest)), "")


def _judge_body(dialogue: Dialogue, step: Expect, facts: Facts, answer: http.Answer) -> Verdict:
    if not answer.body:
        if not answer.is_complete:
            return Going.MORE
        words = "" if step.on_error else "HTTP content check could not find a response body"
        return _failed(dialogue, step, facts, step.error_status or CheckStatus.L7RSP, words)
    words = "HTTP check matched unwanted content" if step.inverse else "HTTP content check did not match"
    return _judge_content(dialogue, step, facts, answer.body, ended=answer.is_complete, words=words)


def _has_header(pattern: Header, answer: http.Answer, facts: Facts) -> bool:
    is_named = _comparison(pattern.name, facts, lower=True)
    is_wanted = None if pattern.value is None else _comparison(pattern.value, facts, lower=False)
    for name in dict.fromkeys(name for name, _ in answer.headers or () if is_named(name)):
        values = answer.values(name, whole=pattern.whole or is_wanted is None)
        if is_wanted is None or any(is_wanted(value) for value in values):
            return True
    return False


def _comparison(match: TextMatch, facts: Facts, *, lower: bool) -> Callable[[str], bool]:
    """Return how a text is compared; names of headers are in lower case."""
    if isinstance(match.wanted, re.Pattern):
        regex = match.wanted
        return lambda text: regex.search(text.encode("latin-1")) is not None
    wanted_text = filled(match.wanted, facts).decode("latin-1")
    wanted_text = wanted_text.lower() if lower else wanted_text
    comparisons: dict[str, Callable[[str], bool]] = {
        "str": lambda text: text == wanted_text,
        "beg": lambda text: text.startswith(wanted_text),
        "end": lambda text: text.endswith(wanted_text),
        "sub": lambda text: wanted_text in text,
    }
    return comparisons[match.method]

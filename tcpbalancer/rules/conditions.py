"""Whether a condition holds for a connection: yes, no, or not known yet.

Laws: pure. A condition is made into a function once, which is then asked for each connection. ``PENDING`` comes only
while ``Facts.final`` is not set. A conjunction ends with its first term that does not hold, a disjunction with its
first suite that does (``acl_exec_cond``).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from tcpbalancer.model.rule import Condition, Expression, Term, Test
from tcpbalancer.rules.converters import CONVERTERS
from tcpbalancer.rules.facts import Facts
from tcpbalancer.rules.fetches import FETCHES, Found
from tcpbalancer.rules.patterns import METHODS
from tcpbalancer.rules.samples import cast


class Outcome(IntEnum):
    """In this order: the largest of several alternatives is the outcome of them all."""

    FAILS = 0
    PENDING = 1
    HOLDS = 2


Decide = Callable[[Facts], Outcome]
Look = Callable[[Facts], Found]


def make_expression(expression: Expression) -> Look:
    """Return what finds the sample of an expression."""
    fetch = FETCHES[expression.fetch.name]
    arguments = expression.fetch.arguments
    steps = [(CONVERTERS[call.name], call.arguments) for call in expression.converters]

    def look(facts: Facts) -> Found:
        sample, growing = fetch.find(facts, arguments)
        for converter, given in steps:
            if sample is not None:
                sample = cast(sample, converter.takes)
            if sample is not None:
                sample = converter.convert(sample, given)
        return Found(sample, growing)

    return look


def make_test(test: Test) -> Decide:
    """Return what says whether one line of an ACL holds."""
    look = make_expression(test.expression)
    method = METHODS[test.method]
    matches = method.make(test.patterns, test.ignore_case)

    def decide(facts: Facts) -> Outcome:
        sample, growing = look(facts)
        if sample is not None and method.kind is not None:
            sample = cast(sample, method.kind)
        if sample is not None and matches(sample):
            return Outcome.HOLDS
        return Outcome.PENDING if growing and not facts.final else Outcome.FAILS

    return decide


def make_condition(condition: Condition | None) -> Decide:
    """Return what says whether a condition holds; one that is not there always does."""
    if condition is None:
        return lambda _: Outcome.HOLDS
    suites = [[_make_term(term) for term in suite] for suite in condition.suites]

    def decide(facts: Facts) -> Outcome:
        outcome = max((_all_of(suite, facts) for suite in suites), default=Outcome.FAILS)
        return _opposite(outcome) if condition.unless else outcome

    return decide


def _make_term(term: Term) -> Decide:
    tests = [make_test(test) for test in term.tests]

    def decide(facts: Facts) -> Outcome:
        outcome = max((test(facts) for test in tests), default=Outcome.FAILS)
        return _opposite(outcome) if term.negated else outcome

    return decide


def _all_of(terms: list[Decide], facts: Facts) -> Outcome:
    for term in terms:
        outcome = term(facts)
        if outcome is not Outcome.HOLDS:
            return outcome
    return Outcome.HOLDS


def _opposite(outcome: Outcome) -> Outcome:
    return Outcome(2 - outcome)

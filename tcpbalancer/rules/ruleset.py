"""Lists of rules, ready to be asked: the first whose condition holds decides.

Laws: pure. A rule that is not decided yet holds up those behind it; what no rule decides is accepted
(``tcp_inspect_request``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tcpbalancer.model.rule import Choice, Rule
from tcpbalancer.rules.conditions import Decide, Outcome, make_condition
from tcpbalancer.rules.facts import Facts

ACCEPT = "accept"
PENDING = "pending"

FINAL = frozenset({"accept", "reject", "silent-drop"})
"""Actions that end a list; all others are noted by whoever asks, and the list goes on."""


class RuleList:
    """One list of ``tcp-request`` or ``tcp-response`` rules."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules: list[tuple[str, Decide]] = [(rule.action, make_condition(rule.condition)) for rule in rules]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def decide(self, facts: Facts, on_the_way: Callable[[str], None] = lambda _: None) -> str:
        """Return the action that ends the list, or ``pending``; others that hold are told to ``on_the_way``."""
        for action, holds in self._rules:
            outcome = holds(facts)
            if outcome is Outcome.PENDING:
                return PENDING
            if outcome is Outcome.HOLDS:
                if action in FINAL:
                    return action
                on_the_way(action)
        return ACCEPT


class ChoiceList:
    """The ``use_backend`` rules of a frontend, or the ``use-server`` rules of a backend."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self._choices = [(choice.name, make_condition(choice.condition)) for choice in choices]

    def __bool__(self) -> bool:
        return bool(self._choices)

    def names(self, facts: Facts) -> list[str]:
        """Return the names whose conditions hold, in their order; what is not decided does not hold."""
        return [name for name, holds in self._choices if holds(facts) is Outcome.HOLDS]

    def first(self, facts: Facts) -> str | None:
        """Return the first of these names."""
        return next((name for name, holds in self._choices if holds(facts) is Outcome.HOLDS), None)

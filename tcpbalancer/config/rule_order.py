"""Rules that stand in an order in which they will not be followed.

Laws: pure. A warning for each, in HAProxy's words, whoever carries out the rules.

Source: src/cfgparse-listen.c (warnif_*).
"""

from __future__ import annotations

from tcpbalancer.config.registry import Reading

_RULES = (
    "quic-initial", "tcp-request connection", "tcp-request session", "tcp-request content", "monitor fail",
    "http-request", "redirect", "use_backend", "use-server",
)  # fmt: skip
"""In the order in which they are followed."""
_ANSWERS = ("tcp-response content", "http-response")
_CHECKED = frozenset({*_RULES[:7], _ANSWERS[0]})
"""Those of which HAProxy says it."""


class RuleOrder:
    """The rules of one proxy so far."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def look_at(self, reading: Reading) -> None:
        """Take a statement in; warns if it stands behind one that is followed later."""
        words = reading.words
        for chain in (_RULES, _ANSWERS):
            rule = next((name for name in (words[0], " ".join(words[:2])) if name in chain), None)
            if rule is None:
                continue
            self._seen.add(rule)
            later = next((name for name in chain[chain.index(rule) + 1 :] if name in self._seen), None)
            if later is not None and rule in _CHECKED:
                article = "an" if later.startswith("http") else "a"
                message = f"a '{rule}' rule placed after {article} '{later}' rule will still be processed before."
                reading.warn(0, message)

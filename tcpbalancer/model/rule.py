"""Rules and their conditions, as data: what is looked at, what it is compared with, and what happens then.

Laws: see ``tcpbalancer.model``. The words are HAProxy's: an ACL is a named (or anonymous) test, a condition is a
disjunction of conjunctions of ACLs (configuration manual, section 7.1 "ACL basics"). How they are evaluated is told in
``tcpbalancer.rules``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Ip(NamedTuple):
    """An IP address as a number; ``version`` is 4 or 6."""

    version: int
    value: int


class Network(NamedTuple):
    """The addresses whose bits under ``mask`` are those of ``value``."""

    version: int
    value: int
    mask: int


class Interval(NamedTuple):
    """The numbers from ``low`` to ``high``, both included; None: no bound."""

    low: int | None
    high: int | None


Pattern = Network | Interval | bytes
Argument = int | str | Ip


@dataclass(frozen=True, slots=True)
class Call:
    """A fetch method or a converter with its arguments; names of proxies and servers are filled in."""

    name: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Expression:
    """What is looked at: a fetch method, and the converters behind it."""

    fetch: Call
    converters: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class Test:
    """One line of an ACL: it holds if any of its patterns matches, as ``method`` compares (``-m``)."""

    __test__ = False  # for pytest, whose idea of this name is another one

    expression: Expression
    method: str
    patterns: tuple[Pattern, ...] = ()
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """An ACL in a condition: it holds if any of its tests does."""

    tests: tuple[Test, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """It holds if all terms of any of its suites do; with ``unless`` the other way round. Without suites: never."""

    suites: tuple[tuple[Term, ...], ...]
    unless: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens if the condition holds; without one it always happens."""

    action: str
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """``use_backend`` or ``use-server``: whom connections go to if the condition holds."""

    name: str
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class StickTable:
    """``stick-table``: which server was used for a key. ``expire`` None: kept until the room is needed."""

    type: str
    size: int
    length: int = 32
    expire: float | None = None
    nopurge: bool = False


@dataclass(frozen=True, slots=True)
class StickRule:
    """``stick match``, ``stick store-request``, or both at once (``stick on``); ``table`` names its backend."""

    expression: Expression
    table: str
    match: bool = True
    store: bool = True
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class FrontRules:
    """What a connection goes through before a backend is chosen; ``inspect_delay`` None: nothing is waited for."""

    connection: tuple[Rule, ...] = ()
    session: tuple[Rule, ...] = ()
    content: tuple[Rule, ...] = ()
    inspect_delay: float | None = None
    backends: tuple[Choice, ...] = ()


@dataclass(frozen=True, slots=True)
class BackRules:
    """What a connection goes through before a server is chosen."""

    content: tuple[Rule, ...] = ()
    inspect_delay: float | None = None
    servers: tuple[Choice, ...] = ()
    stick: tuple[StickRule, ...] = ()
    hashed: Expression | None = None  # ``balance hash``; None for ``src``, which needs no rules

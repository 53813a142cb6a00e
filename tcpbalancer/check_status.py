"""How a check ended: HAProxy's codes, and what else is known of the end.

Laws: pure and frozen. Codes, descriptions and numbers are HAProxy's (``check.c``, ``check-t.h``); monitoring reads the
codes, ``show servers state`` the numbers. What is a success is decided here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class CheckStatus(Enum):
    """How a check ended: HAProxy's code as name, its description as value."""

    UNK = "Unknown"
    INI = "Initializing"
    CHECKED = "No status change"
    HANA = "Health analyze"
    SOCKERR = "Socket error"
    L4OK = "Layer4 check passed"
    L4TOUT = "Layer4 timeout"
    L4CON = "Layer4 connection problem"
    L6OK = "Layer6 check passed"
    L6TOUT = "Layer6 timeout"
    L6RSP = "Layer6 invalid response"
    L7TOUT = "Layer7 timeout"
    L7RSP = "Layer7 invalid response"
    L7OK = "Layer7 check passed"
    L7OKC = "Layer7 check conditionally passed"
    L7STS = "Layer7 wrong status"
    PROCERR = "External check error"
    PROCTOUT = "External check timeout"
    PROCOK = "External check passed"

    @property
    def passed(self) -> bool:
        """Whether the server answered as it should; ``L7OKC`` passes, too (see ``is_conditional``)."""
        return self in _PASSED

    @property
    def is_conditional(self) -> bool:
        """Whether a passing server wants no new connections: a 404 under ``http-check disable-on-404``."""
        return self is CheckStatus.L7OKC

    @property
    def number(self) -> int:
        """The number that stands for it in ``show servers state``."""
        return _NUMBERS[self]

    @property
    def has_code(self) -> bool:
        """Whether a number from the application can come with it (an HTTP status, an exit status): from 14 on."""
        return self.number > 14


_PASSED = frozenset({CheckStatus.L4OK, CheckStatus.L6OK, CheckStatus.L7OK, CheckStatus.L7OKC, CheckStatus.PROCOK})
_NUMBERS = {
    CheckStatus.UNK: 0,
    CheckStatus.INI: 1,
    # 2 is "a check runs now", which is told by "* " before the code of the check before it.
    CheckStatus.CHECKED: 3,
    CheckStatus.HANA: 4,
    CheckStatus.SOCKERR: 5,
    CheckStatus.L4OK: 6,
    CheckStatus.L4TOUT: 7,
    CheckStatus.L4CON: 8,
    CheckStatus.L6OK: 9,
    CheckStatus.L6TOUT: 10,
    CheckStatus.L6RSP: 11,
    CheckStatus.L7TOUT: 12,
    CheckStatus.L7RSP: 13,
    # 14 is a mark and no status: "from here on there is a code".
    CheckStatus.L7OK: 15,
    CheckStatus.L7OKC: 16,
    CheckStatus.L7STS: 17,
    CheckStatus.PROCERR: 18,
    CheckStatus.PROCTOUT: 19,
    CheckStatus.PROCOK: 20,
}


@dataclass(frozen=True, slots=True)
class Step:
    """The rule of a check at which it failed: where it stands, what it wanted, what came.

    ``number`` counts from 1; ``line`` 0: the file does not spell it out. ``expected`` and ``received`` are printable.
    """

    number: int
    line: int = 0
    expected: str = ""
    received: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The end of one check. ``code`` is the HTTP status if there was one; ``duration`` is seconds.

    ``step``: where a dialogue failed; ``limit``: which limit was reached, such as ``timeout connect 4s``.
    ``is_ours``: something of our own was missing (descriptors, a file), which says nothing of the server.
    """

    status: CheckStatus
    code: int | None = None
    info: str = ""
    duration: float = 0.0
    step: Step | None = None
    limit: str = ""
    is_ours: bool = False

    @property
    def duration_ms(self) -> int:
        """The duration as it is shown."""
        return round(self.duration * 1000)

"""What the reader of the files has found already, as findings of the doctor.

Laws: pure. The words are the reader's; where a rule is known for what it says, the finding has that rule's name and
level and says what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hakit.diagnosis import Finding, Level, Rule, Spot
from hakit.diagnostics import Diagnostic, Location, Severity
from tcpbalancer.config.messages import is_notice
from tcpbalancer.doctor.checking import PATRONI_EVERYBODY

INVALID = Rule("invalid", Level.ERROR, "A configuration that the program refuses.")
SAID = Rule("reader", Level.WARNING, "What a start, or -c, warns of: keywords without effect, doubtful lines.")
NO_TIMEOUT = Rule(
    "no-timeout", Level.ERROR, "Connections without a timeout: one whose other end has vanished is held for ever.",
    instead_of="missing timeouts for proxy",
)  # fmt: skip
OPEN_PAGE = Rule(
    "open-page", Level.ERROR, "A statistics page without a password.", instead_of="is open to everyone: add 'stats auth"
)
KNOWN_PASSWORD = Rule(
    "known-password", Level.ERROR, "A password that everybody tries first.", instead_of="is a well-known one"
)
_REMEDIES = {
    NO_TIMEOUT: "set 'timeout client', 'timeout connect' and 'timeout server' in 'defaults'",
    OPEN_PAGE: "add 'stats auth USER:PASSWORD'",
    KNOWN_PASSWORD: "choose another one; over plain HTTP it is seen on the way all the same: bind 127.0.0.1",
    PATRONI_EVERYBODY: "ask for /primary for writing, /replica for reading",
}


def findings(diagnostics: Iterable[Diagnostic]) -> Iterator[Finding]:
    """Yield what the reader found, but for what it only says; its summary lines ("Error(s) found in ...") neither."""
    for one in diagnostics:
        if is_notice(one) or (one.severity is Severity.ERROR and not _has_place(one.location, one.message)):
            continue
        what = one.message.partition("\n")[0].rstrip(".")
        rule = INVALID if one.severity is Severity.ERROR else _rule(one.message)
        yield Finding(rule, "", Spot(one.location, one.source), what, remedy=_REMEDIES.get(rule, ""))


def _has_place(location: Location, message: str) -> bool:
    return bool(location.line) or message.startswith("Cannot open")


def _rule(message: str) -> Rule:
    known = (rule for rule in _REMEDIES if rule.instead_of is not None and rule.instead_of in message)
    return next(known, SAID)

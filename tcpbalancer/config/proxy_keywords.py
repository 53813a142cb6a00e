"""The keywords of ``defaults``, ``frontend``, ``backend`` and ``listen`` that have no file of their own.

Laws: pure; handlers report and never raise. Texts are HAProxy's where it has one.

Source: HAProxy's configuration manual, section 4.2 "Proxy keywords reference".
"""

from __future__ import annotations

from tcpbalancer.config import known
from tcpbalancer.config.findings import PARSING_TIGHT, maybe
from tcpbalancer.config.http_only import remember_option
from tcpbalancer.config.page_drafts import http_of
from tcpbalancer.config.registry import BACK, FRONT, KEYWORDS, PROXY, Reading, keyword
from tcpbalancer.config.removed import REMOVED
from tcpbalancer.config.values import TimeError, parse_count, parse_time
from tcpbalancer.model import Mode

TIMEOUTS = ("client", "server", "connect", "check", "queue", "tunnel", "client-fin", "server-fin")
_ALL_TIMEOUTS = (
    "client", "server", "connect", "check", "queue", "handshake", "http-keep-alive", "http-request", "tunnel", "tarpit",
    "client-fin", "server-fin",
)  # fmt: skip


def in_words(names: tuple[str, ...]) -> str:
    """Return ``'a', 'b' and 'c'``."""
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"


@keyword("mode { tcp | http }", PROXY, "What the proxy speaks; http is for the statistics page.")
def mode(reading: Reading) -> None:
    """Read ``mode``."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word not in {"tcp", "http"}:
        known_modes = ("tcp", "http")
        reading.error(1, f"unknown proxy mode '{word}'.{maybe(word, known_modes).replace('; d', ' D')}")
    elif reading.no_more_than(2):
        reading.draft.settings.mode = Mode(word)
        reading.draft.settings.mode_at = (reading.at(1), reading.source_at(1))


@keyword("disabled", PROXY, "The proxy does not start; its lines are read all the same.")
def disabled(reading: Reading) -> None:
    """Read ``disabled``."""
    if reading.no_more_than(1):
        reading.draft.settings.disabled = True


@keyword("enabled", PROXY, "The proxy starts, though its defaults say 'disabled'.")
def enabled(reading: Reading) -> None:
    """Read ``enabled``."""
    if reading.no_more_than(1):
        reading.draft.settings.disabled = False


@keyword("default_backend <backend>", FRONT, "Where connections go.")
def default_backend(reading: Reading) -> None:
    """Read ``default_backend``; whether it exists is seen at the end."""
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'default_backend' expects a backend name.")
    elif reading.no_more_than(2):
        reading.draft.settings.default_backend = reading.statement.words[1]


@keyword("timeout <which> <time>", PROXY, f"Limits on waiting: {', '.join(TIMEOUTS)}. A bare number is milliseconds.")
def timeout(reading: Reading) -> None:
    """Read one of the timeouts."""
    which = reading.words[1] if len(reading.words) > 1 else ""
    if which not in _ALL_TIMEOUTS:
        reading.error(1, f"'timeout' supports {in_words(_ALL_TIMEOUTS)} (got '{which}')")
        return
    if len(reading.words) < 3:
        reading.error(2, f"'timeout {which}' expects an integer value (in milliseconds)")
        return
    try:
        seconds = parse_time(reading.words[2])
    except TimeError as wrong:
        if wrong.character is not None:
            reading.error(2, f"{wrong} in 'timeout {which}'")
        else:
            reading.error(
                2,
                str(wrong).replace(
                    f"in '{reading.words[2]}'", f"in argument '{reading.words[2]}' to 'timeout {which}'"
                ),
            )
        return
    if len(reading.words) > 3:
        extra = f"unexpected extra argument '{reading.words[3]}' after value '{reading.words[2]}'."
        reading.error(3, f"'timeout {which}' : {extra}")
    elif which == "http-request":
        http_of(reading.draft).request = seconds
    elif which == "http-keep-alive":
        http_of(reading.draft).keep_alive = seconds
    elif which in known.TIMEOUTS:
        reading.not_carried_out(1, f"'timeout {which}'")
    else:
        reading.draft.settings.timeouts[which] = seconds


@keyword("maxconn <count>", FRONT, "How many connections a frontend serves at a time.")
def maxconn(reading: Reading) -> None:
    """Read ``maxconn`` of a proxy; 0 is the global value."""
    if len(reading.words) < 2:
        reading.error(1, "'maxconn' expects an integer argument.")
        return
    try:
        count = parse_count(reading.words[1])
    except ValueError as wrong:
        reading.error(1, f"'maxconn' : {wrong}")
        return
    if reading.no_more_than(2):
        reading.draft.settings.maxconn = count or None


@keyword("option <name>", PROXY, "Switches; see the list of options.", negatable=True)
def option(reading: Reading) -> None:
    """Read an ``option`` that has no handler of its own: known but not carried out, or unknown."""
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'option' expects an option name.", PARSING_TIGHT)
        return
    name = reading.words[1]
    if name in known.OPTIONS:
        remember_option(reading)
        if not reading.negated:
            reading.not_carried_out(1, f"'option {name}'")
    elif f"option {name}" in REMOVED:
        reading.error(0, REMOVED[f"option {name}"], PARSING_TIGHT)
    elif reading.negated:
        reading.error(0, f"negation/default is not supported for option '{name}'.", PARSING_TIGHT)
    else:
        registered = [two.removeprefix("option ") for two in KEYWORDS if two.startswith("option ")]
        reading.error(1, f"unknown option '{name}'{maybe(name, [*registered, *known.OPTIONS]) or '.'}")


@keyword("option log-health-checks", BACK, "A line for every change of a check's result.", words=2, negatable=True)
def option_log_health_checks(reading: Reading) -> None:
    """Read ``option log-health-checks``."""
    if reading.no_more_than(2):
        reading.draft.settings.log_health_checks = not reading.negated

"""What an agent has said of its server.

Laws: pure. One line up to the first CR or LF; words separated by spaces, tabs and commas; the last word of a sort wins;
a word that nobody knows is told and changes nothing. What is to be done with it is ``server_state``'s to say.

Source: HAProxy's configuration manual, ``agent-check`` (section 5.2); ``tcpcheck.c``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tcpbalancer.check_status import CheckResult, CheckStatus

_WORDS = re.compile(r"[^ \t,]+")
_HEALTH = {"up": CheckStatus.L7OK, "down": CheckStatus.L7STS, "stopped": CheckStatus.L7STS, "fail": CheckStatus.L7STS}
_ADMIN = frozenset({"ready", "drain", "maint"})
_WEIGHT = re.compile(r"\d+%?", re.ASCII)
_MAXCONN = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class AgentReply:
    """What follows from an agent's line.

    ``health``: ``up``, ``down``, ``stopped`` or ``fail``, None if it said nothing of it; ``admin``: ``ready``,
    ``drain``, ``maint`` or None; ``weight``: as ``set weight`` takes it (``75%`` of the configured one, ``20``) or
    None; ``maxconn``: a number or None. ``unknown``: the first word that means nothing.
    """

    result: CheckResult
    health: str | None = None
    admin: str | None = None
    weight: str | None = None
    maxconn: int | None = None
    unknown: str = ""


def understood(line: str) -> AgentReply:
    """Return what a line means; the line ends before its CR or LF."""
    spoken, sharp, remark = line.partition("#")
    if sharp and spoken and spoken[-1] not in " \t,":  # a sharp inside a word is part of it
        spoken, remark = line, ""
        if (inner := re.search(r"[ \t,]#", line)) is not None:
            spoken, remark = line[: inner.start()], line[inner.end() :]
    health = spoken_health = admin = weight = unknown = ""
    maxconn: int | None = None
    for word in _WORDS.findall(spoken):
        lower = word.lower()
        if lower in _HEALTH:
            health, spoken_health = lower, word
        elif lower in _ADMIN:
            admin = lower
        elif word[0].isdigit() and _WEIGHT.fullmatch(word) and word.endswith("%"):
            weight = word
        elif lower.startswith("weight:") and _WEIGHT.fullmatch(word[7:]):
            weight = word[7:]
        elif lower.startswith("maxconn:") and _MAXCONN.fullmatch(word[8:]):
            maxconn = int(word[8:])
        else:
            unknown = unknown or word
    result = _result(spoken_health, remark.strip(), unknown)
    return AgentReply(result, health or None, admin or None, weight or None, maxconn, unknown)


def _result(health: str, remark: str, unknown: str) -> CheckResult:
    if health:
        status = _HEALTH[health.lower()]
        said = unknown if unknown and (not remark or status is CheckStatus.L7OK) else remark
        return CheckResult(status, 0, f"via agent : {health} ({said})" if said else f"via agent : {health}")
    return CheckResult(CheckStatus.CHECKED, info=f"agent reports an error : {unknown}" if unknown else "")


INCOMPLETE = AgentReply(CheckResult(CheckStatus.CHECKED, info="Ignoring incomplete line from agent"))
"""An agent that hung up before the end of its line."""

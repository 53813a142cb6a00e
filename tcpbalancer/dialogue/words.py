"""What is said of a check that failed at a step, in HAProxy's words.

Laws: pure. The texts are those of ``tcpcheck.c`` and ``check.c`` (3.x). Where the file gives a text of its own
(``on-error``), that is taken. What comes from a server is cut and made printable here.
"""

from __future__ import annotations

from tcpbalancer.dialogue.sample import Facts, filled
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
    Pattern,
    Send,
    StatusCodes,
    StatusMatch,
    Step,
)

LONGEST = 128
"""Characters of a server's own words that are shown: they end up in logs and terminals."""


def printable(text: str | bytes, most: int = LONGEST) -> str:
    """Return a text cut to what can be read and shown."""
    decoded = text if isinstance(text, str) else text[: most + 1].decode("latin-1")
    return "".join(each if each.isprintable() else "?" for each in decoded[:most])


def spoken(text: bytes) -> str:
    """Return a text that is made of what a server said: up to the first NUL, as C has it."""
    return printable(text.split(b"\0", 1)[0])


def mismatch(dialogue: Dialogue, step: Expect, facts: Facts, *, empty: bool, words: str = "") -> str:
    """Return what is said when an expectation is not met. ``words``: what the protocol says; ``empty``: nothing came.

    An expectation of something that must not come has failed because it came.
    """
    text = spoken(words.encode("latin-1", "replace")) or spoken(filled(step.on_error, facts))
    if text:
        pass
    elif empty:
        text = f"TCPCHK got an empty response at step {step.number}"
    elif dialogue.kind is Kind.PROTOCOL:
        text = ""
    else:
        unwanted = step.inverse and dialogue.kind is not Kind.HTTP
        what = "matched unwanted content" if unwanted else "did not match content"
        text = f"TCPCHK {what}{_named(step.pattern)} at step {step.number}"
    return f"{text} comment: {step.comment}" if step.comment else text


def _named(pattern: Pattern) -> str:
    """Return how a pattern is called behind ``did not match content``."""
    match pattern:
        case StatusCodes():
            return "(status codes)"
        case Content(data, binary):
            return " (binary)" if binary else f" '{printable(data)}'"
        case ContentMatch() | StatusMatch():
            return " (binary regex)" if isinstance(pattern, ContentMatch) and pattern.binary else " (regex)"
        case ContentTemplate():
            return f" (log-format {'binary' if pattern.binary else 'string'})"
        case Header():
            return " (header pattern)"
        case _:
            return " (custom function)"


def interrupted(dialogue: Dialogue, step: Step | None) -> str:
    """Return where a ``tcp-check`` was when the connection failed or the time was up; empty for other checks."""
    if dialogue.kind is not Kind.TCP or step is None:
        return ""
    if isinstance(step, Connect) and step.implicit:
        return " at initial connection step of tcp-check"
    comment = f" comment: '{step.comment}'" if step.comment else ""
    return f" at step {step.number} of tcp-check{_doing(step)}{comment}"


def _doing(step: Step) -> str:
    match step:
        case Connect():
            return f" (connect port {step.port})" if isinstance(step.port, int) else " (connect)"
        case Send() | HttpRequest():
            return " (send)"
        case Expect():
            return f" (expect {_awaited(step.pattern)})"
        case _:
            return ""


def _awaited(pattern: Pattern) -> str:
    match pattern:
        case Content(data, binary):
            return f"{'binary' if binary else 'string'} '{data.hex().upper() if binary else printable(data)}'"
        case ContentMatch():
            return "binary regex" if pattern.binary else "regex"
        case ContentTemplate():
            return f"log-format {'binary' if pattern.binary else 'string'}"
        case _:
            return "custom function"


def wanted(step: Step) -> str:
    """Return what a step waits for, for people."""
    if not isinstance(step, Expect):
        return ""
    pattern = step.pattern
    match pattern:
        case Content(data, binary):
            text = data.hex() if binary else printable(data)
        case ContentMatch() | StatusMatch():
            text = printable(pattern.pattern.pattern)
        case StatusCodes():
            text = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in pattern.ranges)
        case Header():
            text = "a header"
        case ContentTemplate():
            text = "what a template yields"
        case _:
            text = pattern.value
    return f"not {text}" if step.inverse else text

"""Findings as HAProxy prints them: ``[ALERT]    (PID) : config : parsing [f.cfg:3] : ...``.

Laws: pure. Two notices stand before the first message and nowhere else; below a message stand its place with the
column, the line and a caret, in the form of HAProxy's own continuation lines (``   | ``).

Source: outputs of HAProxy 3.5 for faulty configurations.
"""

from __future__ import annotations

from collections.abc import Iterable

from hakit.diagnostics import Diagnostic, Severity
from tcpbalancer.config.findings import Finding

WIDTH = len("[WARNING]  ")


def line(level: str, pid: int, text: str) -> str:
    """Return one message; ``level`` is NOTICE, WARNING or ALERT."""
    return f"{f'[{level}]':<{WIDTH}}({pid}) : {text}"


def preamble(pid: int, version: str, program: str) -> list[str]:
    """Return the two notices that come before the first message."""
    return [
        line("NOTICE", pid, f"haproxy version is {version}"),
        line("NOTICE", pid, f"path to executable is {program}"),
    ]


def is_notice(finding: Diagnostic) -> bool:
    """Whether a finding is only said, so that neither the preamble comes before it nor 'Warnings' after it."""
    return isinstance(finding, Finding) and bool(finding.level)


def messages(found: Iterable[Diagnostic], pid: int) -> list[str]:
    """Return the lines for all findings, in their order."""
    lines: list[str] = []
    for finding in found:
        text = finding.haproxy_text() if isinstance(finding, Finding) else finding.message
        lines += [line(_level(finding), pid, text), *_pointer(finding)]
    return lines


def _level(finding: Diagnostic) -> str:
    if finding.severity is Severity.ERROR:
        return "ALERT"
    return finding.level if isinstance(finding, Finding) and finding.level else "WARNING"


def _pointer(finding: Diagnostic) -> list[str]:
    if finding.source is None or not finding.location.column:
        return []
    _, source, caret = finding.render().rsplit("\n", 2)
    return [f"   | {finding.location}", f"   | {source[4:]}", f"   | {caret[4:]}"]

"""Lines that begin with a dot: blocks under a condition, and messages.

Laws: pure. A block that is left out is not looked at, except for the lines that begin with a dot. What makes the rest
of a file meaningless ends its reading: ``take`` then raises FileAbortedError, after a finding.

Source: HAProxy's configuration manual, section 2.4 "Conditional blocks"; src/cfgparse.c (parse_cfg).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.config.conditions import Capabilities, ConditionError, holds
from tcpbalancer.config.findings import PARSING_TIGHT, Report
from tcpbalancer.config.tokens import Statement

_DEEPEST = 100
_MESSAGES = frozenset({".alert", ".warning", ".notice", ".diag"})


class FileAbortedError(Exception):
    """The rest of the file is not read; why is in the report."""


@dataclass(slots=True)
class _Block:
    """An open ``.if``: ``done`` once a branch was taken, or if none is to be."""

    active: bool
    done: bool
    in_else: bool = False


class Directives:
    """Which lines of one file are read."""

    def __init__(self, report: Report, environment: Mapping[str, str], capabilities: Capabilities) -> None:
        self._report = report
        self._environment = environment
        self._capabilities = capabilities
        self._blocks: list[_Block] = []

    @property
    def active(self) -> bool:
        """Whether a line that stands here is read."""
        return all(block.active for block in self._blocks)

    def take(self, statement: Statement) -> bool:
        """Take a line if it begins with a dot, or stands in a block that is left out; returns whether it did."""
        name = statement.words[0].text
        if name in {".if", ".elif", ".else", ".endif"}:
            self._block(name, statement)
        elif not self.active:
            pass
        elif name in _MESSAGES:
            self._message(name, statement)
        elif name.startswith("."):
            self._error(statement, 0, f"unknown directive '{name}'.")
            raise FileAbortedError
        else:
            return False
        return True

    def end(self, location: Location) -> None:
        """Report a block that is still open at the end of the file."""
        if self._blocks:
            self._report.error_as(PARSING_TIGHT, location, "non-terminated '.if' block.")

    def _block(self, name: str, statement: Statement) -> None:
        words = statement.words
        if name == ".if":
            if len(self._blocks) >= _DEEPEST - 1:
                self._abort(statement, f"too many nested '.if', max is {_DEEPEST}.")
            taken = self.active and self._holds(statement)
            self._blocks.append(_Block(active=taken, done=taken or not self.active))
            return
        if name != ".elif" and len(words) > 1:
            self._abort(statement, f"Unexpected argument '{words[1].text}' for '{name}'.", 1)
        if not self._blocks:
            self._abort(statement, f"lone '{name}' with no matching '.if'.")
        if name == ".endif":
            self._blocks.pop()
            return
        block = self._blocks[-1]
        if block.in_else:
            self._abort(statement, f"'{name}' after '.else' is not permitted.")
        block.in_else = name == ".else"
        block.active = not block.done and (block.in_else or self._holds(statement))
        block.done = block.done or block.active

    def _holds(self, statement: Statement) -> bool:
        expression = " ".join(word.text for word in statement.words[1:])
        try:
            return holds(expression, self._environment, self._capabilities)
        except ConditionError as wrong:
            name = statement.words[0].text
            self._abort(statement, f"{wrong.message} in '{name}' at position {wrong.position + 1}:", 1)
            raise AssertionError from wrong  # _abort does not return

    def _message(self, name: str, statement: Statement) -> None:
        words = statement.words
        if len(words) > 2:
            hint = "Use quotes if the message should contain spaces."
            self._error(statement, 2, f"Unexpected argument '{words[2].text}' for '{name}'. {hint}")
            return
        text = f"'{words[1].text if len(words) > 1 else ''}'."
        if name == ".alert":
            self._abort(statement, text)
        if name == ".warning":
            self._report.warn_as(PARSING_TIGHT, statement.at(0), text, statement.source)
        if name == ".notice":
            self._report.notice_as(PARSING_TIGHT, statement.at(0), text, statement.source)
        if name == ".diag":
            self._report.diag_as(PARSING_TIGHT, statement.at(0), text, statement.source)

    def _error(self, statement: Statement, position: int, message: str) -> None:
        self._report.error_as(PARSING_TIGHT, statement.at(position), message, statement.source)

    def _abort(self, statement: Statement, message: str, position: int = 0) -> None:
        self._error(statement, position, message)
        raise FileAbortedError

"""The page of the runtime API says what the program's own table says."""

from __future__ import annotations

import pytest

from tcpbalancer.control.cli_commands import COMMANDS, Command
from tcpbalancer.control.reference import COMMAND, FILE, text


def test_the_page_is_what_the_table_says() -> None:
    assert FILE.read_text() == text(), f"run: {COMMAND}"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_command_has_a_summary_that_fits_a_line(command: Command) -> None:
    assert command.summary
    assert "\n" not in command.summary + command.arguments
    assert command.name == command.name.lower()

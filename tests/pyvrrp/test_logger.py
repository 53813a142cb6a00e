"""Where lines are written: a file that somebody has put there beforehand is none of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hakit.events import EventHub
from pyvrrp.status import logger

EVENT = EventHub("pyvrrp").publish("notice", "x")


def test_lines_are_appended_and_no_stranger_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = os.umask(0o022)
    try:
        for text in ("one", "two"):
            logger.file(path)(EVENT, text)
    finally:
        os.umask(before)
    assert [line.rpartition(": ")[2] for line in path.read_text().splitlines()] == ["one", "two"]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_pipe_that_nobody_reads_holds_no_start_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match="No such device"):
        logger.file(tmp_path / "log")


@pytest.mark.netns  # it needs root, to have a file of somebody else
def test_a_file_of_somebody_else_is_taken_only_where_not_everybody_may_write(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    path = folder / "log"
    path.touch()
    os.chown(path, 65534, 65534)
    with pytest.raises(PermissionError):
        logger.file(path)
    folder.chmod(0o755)
    logger.file(path)(EVENT, "x")
    assert path.read_text().endswith(": x\n")

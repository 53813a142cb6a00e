"""A file is there as a whole or not at all."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from hakit.whole_file import write_whole


def test_a_file_is_replaced_and_is_its_owner_s(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("before")
    write_whole(file, "after")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("after", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_what_cannot_be_written_to_its_end_leaves_the_file_and_its_folder_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # as a disk that is full: Python ignores SIGXFSZ
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(file, "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]

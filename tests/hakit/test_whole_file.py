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


def test_a_link_that_somebody_has_put_beside_a_file_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name cannot be guessed; and if it could be, nothing would be written through it."""
    victim, file = tmp_path / "victim", tmp_path / "x"
    victim.write_text("mine")
    names: list[str] = []
    monkeypatch.setattr(Path, "replace", lambda scratch, _: names.append(scratch.name))
    write_whole(file, "one")
    write_whole(file, "two")
    assert len({*names}) == 2
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (tmp_path / ".x.guessed").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_whole(file, "three")
    assert victim.read_text() == "mine"


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

"""Sessions at a prompt in the documentation: each ``$ pyvrrp ...`` and ``$ tcpbalancer ...`` with what it prints.

A session is an indented block whose first line is the command; it is run anew in the root folder of the repository, and
compared. Run as a program, it writes what is printed now into the documents.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

import pyvrrp.cli
import tcpbalancer.cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "docs" / "doctor.md", ROOT / "docs" / "simulate.md")
_SESSION = re.compile(
    r"^    \$ (?P<program>pyvrrp|tcpbalancer) (?P<words>(?:[^\\\n]|\\\n)*)\n(?P<told>(?:    .*\n|\n(?=    ))*)",
    re.MULTILINE,
)
MAINS = {"pyvrrp": pyvrrp.cli.main, "tcpbalancer": tcpbalancer.cli.main}
WIDTH = "100"
"""Columns of the terminal, for the text of --help."""


def renewed(document: str, pictures: Path) -> str:
    """Return the document with what each session prints now; what it draws goes into the folder ``pictures``."""

    def told(session: re.Match[str]) -> str:
        program, words = session["program"], session["words"]
        return f"    $ {program} {words}\n{_indented(_printed(program, words, pictures))}"

    return _SESSION.sub(told, document)


def _printed(program: str, line: str, pictures: Path) -> str:
    """Return what a program with these words prints, to whichever stream."""
    words = shlex.split(line.replace("\\\n", " "))
    if "--svg" in words:
        at = words.index("--svg") + 1
        words[at] = str(pictures / Path(words[at]).name)
    told, before = io.StringIO(), os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = WIDTH
    try:
        with (
            contextlib.chdir(ROOT),
            contextlib.redirect_stdout(told),
            contextlib.redirect_stderr(told),
            contextlib.suppress(SystemExit),
        ):
            MAINS[program](words)
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return told.getvalue()


def _indented(text: str) -> str:
    return "".join(f"    {line}".rstrip() + "\n" for line in text.splitlines())


if __name__ == "__main__":
    for path in DOCUMENTS:
        path.write_text(renewed(path.read_text(), path.parent))

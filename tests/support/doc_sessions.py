"""Sessions at a prompt in the documentation: each ``$ pyvrrp ...`` with what it prints, run anew and compared.

A session is an indented block whose first line is the command; it is run in the root folder of the repository. Run as a
program, it writes what is printed now into the documents.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
from pathlib import Path

from pyvrrp import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "docs" / "doctor.md", ROOT / "docs" / "simulate.md")
_SESSION = re.compile(r"^    \$ pyvrrp (?P<words>(?:[^\\\n]|\\\n)*)\n(?P<told>(?:    .*\n|\n(?=    ))*)", re.MULTILINE)
WIDTH = "100"
"""Columns of the terminal, for the text of --help."""


def renewed(document: str, pictures: Path) -> str:
    """Return the document with what each session prints now; what it draws goes into the folder ``pictures``."""

    def told(session: re.Match[str]) -> str:
        return f"    $ pyvrrp {session['words']}\n{_indented(_printed(session['words'], pictures))}"

    return _SESSION.sub(told, document)


def _printed(line: str, pictures: Path) -> str:
    """Return what ``pyvrrp`` with these words prints, to whichever stream."""
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
            cli.main(words)
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

"""docs/reference/keepalived.md: every keyword of keepalived.conf, and what becomes of it.

Laws: made from the tables that the reader of the configuration itself uses, so that it cannot say anything else than
the program does; a test holds the file equal to ``text()``. ``python -m pyvrrp.config.reference`` writes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyvrrp.config import (
    global_block,
    group_block,
    instance_authentication,
    instance_block,
    keepalived,
    root_words,
    script_block,
    tracker_blocks,
)
from pyvrrp.config.keywords import Table
from pyvrrp.config.known import Disposition

FILE = Path(__file__).parents[2] / "docs/reference/keepalived.md"

_HEAD = """\
# Keywords of keepalived.conf

Made from the program's own tables by `python -m pyvrrp.config.reference`; do not edit it by hand.

- **done**: carried out as keepalived does.
- **accepted**: read without an error, named in a warning, without effect.
- **refused**: an error, because to leave it out would be dangerous.

Tier 1 stands in nearly every file, tier 2 in many, tier 3 is rare; *ours* is what keepalived does not have. A `*` in a
name stands for any letters. The same words are the keys of a YAML file.
"""
_COLUMNS = "| Keyword | Tier | | Default; range | What it does |\n|---|---|---|---|---|\n"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table; ``tier`` 0 is ours."""

    name: str
    tier: int
    disposition: Disposition
    default: str
    about: str

    def __str__(self) -> str:
        tier = str(self.tier) if self.tier else "ours"
        cells = (f"`{self.name}`", tier, self.disposition.value, self.default, self.about)
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _done(name: str, tier: int, about: str, default: str = "") -> Row:
    return Row(name, tier, Disposition.DONE, default, about)


LINES = (
    _done("# text, ! text", 1, "A comment, outside of double quotes; `\\#` and `\\!` are the characters."),
    _done("include FILE", 2, "The file's lines stand here; wildcards and {a,b}; a missing one is a warning."),
    _done("includer FILE", 3, "The same; a directory, a program or an unreadable file is an error."),
    _done("includem FILE", 3, "The same, and a name without wildcards has to be there."),
    _done("includew FILE", 3, "The same, and a pattern has to match."),
    _done("includeb FILE", 3, "As includer, and every alternative in braces has to be there."),
    _done("includea FILE", 3, "All of these."),
    _done(
        "@ID line, @^ID line", 2, "The line counts only if the config id (`-i`) is, or is not, ID.", "the host's name"
    ),
    _done("$NAME=value", 3, "A definition; with a backslash at the end it goes on in the next line."),
    _done("${NAME}, $NAME", 3, "Its value; $NAME only before a blank, a comma, `)` or the end of the line."),
    _done("${_PWD}", 3, "The directory of the file that is being read."),
    _done("${_INSTANCE}", 3, "The config id."),
    _done("${_RANDOM [MIN [MAX]]}", 3, "A random number; see random_seed.", "0 to 32767"),
    _done("${_ENV NAME}", 3, "A variable of the environment, empty if it is not set."),
    _done("${_HASH}, ${_BANG}", 3, "The characters # and ! inside of quotes."),
    _done("~SEQ(VAR, [START,] [STEP,] END) line", 3, "The line once for each number; `~SEQx` counts in hexadecimal."),
    _done("~LST(VAR, A, B) line", 3, "The line once for each word; `~LST({V,W}, {A,B}, {C,D})` sets two at a time."),
)
"""What is done with the text before any keyword is looked up (``expand.py``)."""

BLOCKS: tuple[tuple[str, Table[Any]], ...] = (
    ("The root of the file", keepalived.TABLE),
    ("global_defs", global_block.TABLE),
    ("vrrp_instance", instance_block.TABLE),
    ("authentication", instance_authentication.AUTHENTICATION),
    ("auth_hmac", instance_authentication.HMAC),
    ("vrrp_sync_group", group_block.TABLE),
    ("vrrp_script", script_block.TABLE),
    ("vrrp_track_process", tracker_blocks.PROCESS),
    ("track_file", tracker_blocks.FILE),
    ("vrrp_track_http", tracker_blocks.HTTP),
    ("garp_group", root_words.GARP_GROUP),
)


def rows(table: Table[Any]) -> Iterator[Row]:
    """Yield a row for each keyword of a block: those with a handler, then those that keepalived alone carries out."""
    for name, keyword in table.keywords.items():
        yield Row(name, keyword.tier, keyword.disposition, keyword.default, keyword.about)
    for known in table.elsewhere:
        if known.name not in table.keywords:
            yield Row(known.name, known.tier, known.disposition, "", _sentence(known.why))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def all_rows() -> Mapping[str, tuple[Row, ...]]:
    """Return the rows of every block by its title."""
    return {"Lines": LINES} | {title: tuple(rows(table)) for title, table in BLOCKS}


def text() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for title, found in all_rows().items():
        lines = "\n".join(str(row) for row in sorted(found, key=_order) if row.name)
        parts.append(f"\n## {title}\n\n{_COLUMNS}{lines}\n")
    return "".join(parts)


def _order(row: Row) -> tuple[int, str]:
    """The lines of a file keep the order in which they are explained; keywords stand by the alphabet."""
    return (LINES.index(row), "") if row in LINES else (0, row.name)


if __name__ == "__main__":
    FILE.write_text(text())

"""docs/reference/runtime-api.md: every command of the runtime API.

Laws: made from the table of commands by which the program itself finds them; a test holds the file equal to ``text()``,
which the module prints as a program.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tcpbalancer.control import commands
from tcpbalancer.control.cli_commands import COMMANDS, OWN
from tcpbalancer.control.master_cli import MASTER_COMMANDS

FILE = Path(__file__).parents[2] / "docs/reference/runtime-api.md"
COMMAND = "python -m tcpbalancer.control.reference > docs/reference/runtime-api.md"
assert commands.SUBJECTS  # whose import has filled the table

_HEAD = f"""\
# Runtime API

Made from the program's own table by `{COMMAND}`; do not edit it by hand.

`stats socket` lines of `global` say where it is served:

    global
        stats socket /run/haproxy/admin.sock mode 660 group haproxy level admin expose-fd listeners
        stats socket ipv4@127.0.0.1:9999 level operator
        stats timeout 30s
        stats maxconn 10

Paths, `ipv4@`, `ipv6@`, `abns@` and `fd@` are taken; a line may have `mode`, `user`, `group`, `uid`, `gid`, `level`
(operator unless it is said), `expose-fd listeners` and `severity-output`.

    $ echo "show servers state" | socat - /run/haproxy/admin.sock
    $ echo "get weight b/s1; disable server b/s1; shutdown sessions server b/s1" | socat - /run/haproxy/admin.sock

- A line ends with LF or CR LF; half a line is never carried out. Commands on it are separated by `;`, a backslash takes
  the next character as it is.
- Each answer ends with an empty line; an answer that is nothing else means that the command was carried out. Behind the
  last one the connection ends.
- `prompt` makes it interactive: behind every answer stands `> `. `prompt n`, `i` (without the prompt), `p` and `timed`
  (with the time since the start) choose.
- A line that ends with `<<` is followed by a payload, which an empty line ends; with `<<WORD` a line of just that word.
- What the level of the socket does not allow gets `Permission denied`; `operator` and `user` lower it for the rest of
  the connection.
- `set severity-output number` (or `string`) puts `[3]: ` (or `[err]: `) before sentences.

[Differences](../differences.md) has what is answered otherwise than by HAProxy, and why.
"""
_MASTER = """\
## The master's command line

`-W -S ADDRESS[,OPTION,...]` serves it: `-S /run/haproxy-master.sock,mode,600`. What begins with `@1` or `@!PID` goes to
the workers' runtime API, the rest is the master's own; `@1` or `@master` alone choose for the lines that follow.
"""
_LEVELS = ("user", "operator", "admin")


def text() -> str:
    """Return the page."""
    parts = [_HEAD]
    for level in _LEVELS:
        found = [each for each in COMMANDS.values() if each.level.name.lower() == level]
        rows = sorted((each.usage, each.summary) for each in found)
        own = OWN if level == "user" else ()
        parts.append(_table(f"Level {level}", [*rows, *own]))
    parts += [
        _MASTER,
        _table("Commands of the master", sorted((each.usage, each.summary) for each in MASTER_COMMANDS.values())),
    ]
    return "\n".join(parts)


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| `{_escaped(usage)}` | {_escaped(summary)} |" for usage, summary in rows]
    return "\n".join([f"## {title}", "", "| command | what it does |", "|---|---|", *lines, ""])


def _escaped(words: str) -> str:
    return words.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(text())

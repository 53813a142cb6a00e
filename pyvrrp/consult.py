"""``pyvrrp doctor``: reads the configurations of all routers of a LAN, and says what will not work, and why.

Laws: it changes nothing, and needs no privilege. All files are read before anything is told. With ``--live`` this
machine is looked at, for the first file alone. Exit status: 0 nothing, or notes alone; 1 warnings; 2 errors, a file
that is no configuration and a command line that makes no sense among them. What a file accepts in a comment
(``# doctor: accept RULE``) is counted, and not told.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from hakit.diagnosis import Diagnosis, Finding, diagnose
from hakit.diagnostics import ConfigError
from pyvrrp.doctor.examination import examine, examine_here, trials_as_text
from pyvrrp.doctor.node import Node
from pyvrrp.doctor.places import Places
from pyvrrp.doctor.trials import Trial
from pyvrrp.nodes import NamesError, NodeFile, read_nodes
from pyvrrp.options import CONTROL

EXIT_USAGE = EXIT_CONFIG = 2
DESCRIPTION = "Reads the configurations of all routers of a LAN together, and says what will not work, and why."
EPILOG = """FILE may be NAME=FILE: the name of the router, which is also the id that lines with @id are compared with.
A comment `# doctor: accept RULE` on the line of a finding, or on the one above it, says that it is meant so.

exit status: 0 nothing, or notes alone; 1 warnings; 2 errors, or a command line that makes no sense
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"pyvrrp doctor: {message}; see pyvrrp doctor --help\n")


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="pyvrrp doctor",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="keepalived.conf or YAML, one for each router")
    parser.add_argument("--live", action="store_true", help="look at this machine, too: the first FILE is its own")
    parser.add_argument(
        "--control",
        type=Path,
        default=CONTROL,
        metavar="PATH",
        help="with --live: where its daemon listens (default %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="the findings, for programs")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Examine the files in ``words``; returns the exit status."""
    options = _arguments(words)
    try:
        files = read_nodes(options.files)
    except NamesError as wrong:
        print(f"pyvrrp doctor: {wrong}", file=sys.stderr)
        return EXIT_USAGE
    except ConfigError as wrong:
        for found in wrong.diagnostics:
            print(found.render(), file=sys.stderr)
        return EXIT_CONFIG
    texts = [text for file in files for text in file.texts()]
    nodes = [node_of(file) for file in files]
    examination = examine(nodes)
    live = _live(nodes[0], files[0], options.control) if options.live else ()
    diagnosis = diagnose([*examination.findings, *live], texts)
    _print(diagnosis, examination.trials, as_json=options.json)
    return diagnosis.exit_status


def _live(node: Node, file: NodeFile, control: Path) -> Iterator[Finding]:
    from pyvrrp.symptoms import look  # late: netlink, for those who ask

    read = dict.fromkeys((file.path, *file.loaded.files))
    return examine_here(node, look(node, read, control))


def node_of(file: NodeFile) -> Node:
    """Return a router as the doctor sees it."""
    loaded = file.loaded
    return Node(file.name, loaded.configuration, Places(file.path, loaded.statements), loaded.warnings)


def _print(diagnosis: Diagnosis, trials: Sequence[Trial], *, as_json: bool) -> None:
    if as_json:
        document = {"trials": [trial.as_dict() for trial in trials], **diagnosis.as_dict()}
        print(json.dumps(document, ensure_ascii=False, indent=2))
        return
    tried = trials_as_text(trials)
    print(f"{tried}\n" if tried else "", diagnosis.render(), sep="", end="")

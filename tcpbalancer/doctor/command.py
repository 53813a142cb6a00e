"""``tcpbalancer doctor FILE...``: reads configurations and says what they will not do, why, and what to write instead.

Laws: several files are one configuration, as behind several ``-f``. Without ``--live`` no socket is opened and nobody
is asked. The exit status is the worst that was told: 0, 1 for warnings, 2 for errors (a file that cannot be read is
one); a wrong command line ends with 2, too, as argparse has it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from hakit.diagnosis import Diagnosis, Finding, diagnose
from hakit.diagnostics import ConfigError
from tcpbalancer.config.load import load
from tcpbalancer.doctor import reader
from tcpbalancer.doctor.case import Case
from tcpbalancer.doctor.rules import examine
from tcpbalancer.options import DEFAULT_CONTROL


def main(arguments: Sequence[str]) -> int:
    """Carry out ``tcpbalancer doctor``; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="tcpbalancer doctor", description="what a configuration will not do, why, and what to write instead"
    )
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="haproxy.cfg, YAML or a folder; together one configuration"
    )
    parser.add_argument("--live", action="store_true", help="look at this machine, and ask every server once")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument(
        "--control", metavar="PATH", type=Path, default=Path(DEFAULT_CONTROL),
        help="with --live: the control socket of the running balancer (default: %(default)s)",
    )  # fmt: skip
    asked = parser.parse_args(arguments)
    diagnosis = examine_files(asked.files, asked.control if asked.live else None)
    _tell(f"{json.dumps(diagnosis.as_dict(), indent=2)}\n" if asked.json else diagnosis.render())
    return diagnosis.exit_status


def _tell(text: str) -> None:
    """Print, whatever bytes a file holds, for as long as somebody reads."""
    try:
        sys.stdout.write(text.encode("utf-8", "backslashreplace").decode())
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def examine_files(files: Sequence[str], control: Path | None = None) -> Diagnosis:
    """Return everything that is found in one configuration; ``control`` not None: on this machine, too."""
    found: list[Finding] = []
    try:
        loaded = load(files)
    except ConfigError as wrong:
        found += reader.findings(wrong.diagnostics)
    else:
        machine = None
        if control is not None:
            from tcpbalancer.doctor.machine import look  # asyncio, for those who ask

            machine = look(loaded.configuration, control)
        found += reader.findings(loaded.warnings)
        found += examine(Case(loaded.configuration, machine))
    return diagnose(found, _texts(one.spot.location.file for one in found))


def _texts(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the files that are spoken of, with what is in them."""
    return [(name, _text(Path(name))) for name in dict.fromkeys(names)]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

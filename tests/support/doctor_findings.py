"""What the two doctors find in configs/, as a section of docs/reliability.md. Run as a program, it records it anew."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from reliability import record

from hakit.diagnosis import Diagnosis, diagnose
from pyvrrp.consult import node_of
from pyvrrp.doctor.examination import examine
from pyvrrp.nodes import read_nodes
from tcpbalancer.doctor.command import examine_files

ROOT = Path(__file__).parents[2]
COLUMNS = ["files", "read by", "findings, with their lines"]
BY = ".venv/bin/python tests/support/doctor_findings.py"


def rows() -> list[list[str]]:
    """Return files, doctor and findings, in the order of the files."""
    with contextlib.chdir(ROOT):
        pairs = sorted([*_pairs("keepalived.*.conf"), *_pairs("pyvrrp.*.yaml")])
        balancers = sorted([*Path("configs").glob("*/haproxy.cfg"), *Path("configs").glob("*/tcpbalancer.yaml")])
        found = [[_listed(pair), "pyvrrp", _told(_of_pair(pair))] for pair in pairs]
        return found + [[_listed([path]), "tcpbalancer", _told(examine_files([str(path)]))] for path in balancers]


def _pairs(pattern: str) -> Iterator[list[Path]]:
    for folder in sorted(Path("configs").iterdir()):
        if files := sorted(folder.glob(pattern)):
            yield files


def _of_pair(files: Iterable[Path]) -> Diagnosis:
    read = read_nodes([str(path) for path in files])
    return diagnose(examine([node_of(one) for one in read]).findings, [text for one in read for text in one.texts()])


def _listed(files: Iterable[Path]) -> str:
    return ", ".join(f"`{path}`" for path in files)


def _told(diagnosis: Diagnosis) -> str:
    found: dict[str, list[str]] = {}
    for one in sorted(diagnosis.findings, key=lambda one: -one.level):
        found.setdefault(f"{one.level.word} `{one.rule.name}`", []).append(str(one.spot.location.line))
    return "; ".join(f"{what} ({', '.join(lines)})" for what, lines in found.items()) or "nothing"


if __name__ == "__main__":
    record("doctors", COLUMNS, rows(), BY)

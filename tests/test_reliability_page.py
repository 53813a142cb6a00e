"""docs/reliability.md says what the runs have recorded, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import doctor_findings
import pytest
from reliability import PAGE, RECORD, record, rendered, sections

from pyvrrp import protocol
from pyvrrp.simulation.invariants import LIVENESS, SAFETY


def test_the_page_is_what_was_recorded() -> None:
    page, told = PAGE.read_text(), json.loads(RECORD.read_text())
    assert page == rendered(page, told), "render it: python tests/support/reliability.py"
    assert sorted(sections(page)) == sorted(told), "a section without a record, or a record without a section"


def test_every_invariant_that_is_held_is_told() -> None:
    told = json.loads(RECORD.read_text())["invariants"]
    assert told["rows"] == [[name, text] for name, text in (SAFETY | LIVENESS).items()], f"record it: {told['by']}"


def test_every_module_of_the_protocol_that_does_something_has_mutants() -> None:
    told = [row[0] for row in json.loads(RECORD.read_text())["mutants"]["rows"]]
    idle = {"__init__", "effects", "events", "rejections", "states", "table"}
    modules = {path.stem for path in Path(protocol.__path__[0]).glob("*.py")}
    assert {*told} - {"all"} == modules - idle


def test_what_the_doctors_find_in_the_configurations_is_what_was_recorded() -> None:
    told = json.loads(RECORD.read_text())["doctors"]
    assert told["rows"] == doctor_findings.rows(), f"record it: {doctor_findings.BY}"
    reference = "; ".join(found for files, _, found in told["rows"] if "configs/reference/" in files)
    assert {"failure-moves-nothing", "swarm-port", "patroni-everybody"} <= {*reference.split("`")}


def test_a_record_needs_its_section() -> None:
    with pytest.raises(KeyError, match="has no section nowhere"):
        record("nowhere", ["a"], [["b"]], "nobody")


def test_a_section_is_a_table_between_its_markers() -> None:
    page = "before\n<!-- recorded: one -->\nold\n<!-- end -->\nafter\n"
    told = {"one": {"by": "./run it", "columns": ["a", "b"], "rows": [["1", "2"]]}}
    expected = "\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nMade by `./run it`.\n\n"
    assert rendered(page, told) == f"before\n<!-- recorded: one -->\n{expected}<!-- end -->\nafter\n"

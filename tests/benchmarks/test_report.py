from __future__ import annotations

import json
from pathlib import Path

import bars
import pytest
import report
import results


def test_the_page_and_the_picture_say_what_the_measured_figures_say() -> None:
    found = results.read(report.RESULT)
    text = report.PAGE.read_text(encoding="utf-8")
    assert found.keys() == report.RENDERERS.keys()
    assert report.page(text, found) == text, "./run bench report"
    assert report.PICTURE.read_text(encoding="utf-8") == bars.picture(found["balancer"]), "./run bench report"


def test_a_table_takes_the_place_between_its_marks_and_nothing_else() -> None:
    found = results.read(report.RESULT)["vrrp"]
    text = "before\n<!-- vrrp -->\nold\nolder\n<!-- end of vrrp -->\nafter\n"
    made = report.page(text, {"vrrp": found})
    table = report.RENDERERS["vrrp"](found)
    assert made == f"before\n<!-- vrrp -->\n{table}\n<!-- end of vrrp -->\nafter\n"


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has no place for 'vrrp': <!-- vrrp --> \.\.\. <!-- end of vrrp -->"):
        report.page("nothing", {"vrrp": results.read(report.RESULT)["vrrp"]})


def test_a_benchmark_writes_its_section_and_leaves_the_others_alone(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    results.keep(file, "vrrp", {"rounds": 1})
    results.keep(file, "balancer", {"rounds": [2]})
    results.keep(file, "vrrp", {"rounds": 3})
    assert results.read(file) == {"vrrp": {"rounds": 3}, "balancer": {"rounds": [2]}}


def test_a_result_of_one_benchmark_leaves_what_is_known_of_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "RESULT", tmp_path / "known.json")
    results.keep(report.RESULT, "balancer", {"rounds": 1})
    results.keep(tmp_path / "new.json", "vrrp", {"rounds": 2})
    report.take(tmp_path / "new.json")
    assert results.read(report.RESULT) == {"balancer": {"rounds": 1}, "vrrp": {"rounds": 2}}


@pytest.mark.parametrize("text", [None, "nothing", "[]", json.dumps({"weather": {}})])
def test_a_file_that_is_no_result_is_refused_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setattr(report, "RESULT", tmp_path / "known.json")
    if text is not None:
        (tmp_path / "new.json").write_text(text)
    with pytest.raises(SystemExit, match=r"new.json: .*'./run bench --json"):
        report.take(tmp_path / "new.json")
    assert not report.RESULT.exists()

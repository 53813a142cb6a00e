"""Events as lines of JSON."""

from __future__ import annotations

import pytest

from hakit.transcript import Event, read_transcript

EVENT = Event(1.25, "VI_1", "transition", "because", 1795376895.5, {"from": "BACKUP", "priority": 100})


def test_an_event_is_one_line_and_reads_back_as_it_was() -> None:
    line = EVENT.to_line()
    assert "\n" not in line
    assert Event.from_line(line) == EVENT


def test_what_a_line_leaves_out_is_empty() -> None:
    assert Event.from_line('{"at": 1, "source": "a", "event": "b"}') == Event(1.0, "a", "b")


def test_the_values_of_an_event_are_found_by_name() -> None:
    assert EVENT["from"] == "BACKUP"
    assert (EVENT.get("priority"), EVENT.get("none"), EVENT.get("none", 3)) == (100, None, 3)
    with pytest.raises(KeyError):
        EVENT["none"]


@pytest.mark.parametrize("line", ["", "[]", "{", '{"at": 1, "source": "a"}', '"text"'])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"not an event|Expecting"):
        Event.from_line(line)


def test_a_transcript_may_have_empty_lines() -> None:
    assert list(read_transcript([EVENT.to_line(), "", " \n", EVENT.to_line()])) == [EVENT, EVENT]

"""Bringing the lab up, as far as it needs no lab."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from halab import scenario
from halab.report import Report


def test_ctrl_c_while_the_waits_are_handed_out_waits_for_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()

    class Struck(ThreadPoolExecutor):
        def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            super().submit(work, *args, **kwargs)
            raise KeyboardInterrupt

    def until(*_: object) -> float:
        assert closed.wait(30), "whoever waits was not told that there is nothing to wait for"
        return 0.0

    lab = SimpleNamespace(
        start=lambda *_: None, passed=lambda: 0.0, begun=0.0, close=closed.set,
        addresses=SimpleNamespace(until=until),
    )  # fmt: skip
    monkeypatch.setattr(scenario, "ThreadPoolExecutor", Struck)
    with pytest.raises(KeyboardInterrupt):
        scenario.bring_up(lab, Report(io.StringIO()))  # type: ignore[arg-type]
    assert closed.is_set()

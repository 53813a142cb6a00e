"""Whether the tests would notice a mistake in ``pyvrrp/protocol/``: ``./run mutants``.

Each mutant is one mistake (``mutation.py``). Everything is imported and collected once; then each mutant gets a process
of its own, forked off, in which the code of the functions is exchanged: first some trials of the simulator, then the
unit tests, until one of them fails. Survivors are printed; ``survivors.json`` has, for each that is known, why it makes
no difference.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import json
import os
import random
import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest
from mutation import Mutant, mutant, places
from reliability import record

from pyvrrp.simulation.chance import Chance
from pyvrrp.simulation.trial import a_trial, tell

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "pyvrrp" / "protocol"
MODULES = (
    "machine", "backup", "master", "groups", "timers", "reception", "transmission", "tracking", "news", "signatures",
)  # fmt: skip
"""All that does something: ``table.py`` is documentation and a test's data, the others are values."""
NEXT_TO_IT = {"backup": "machine", "master": "machine", "signatures": "reception"}
"""Whose tests are run first, where a module has none of its name."""
TESTS = ("machine", "machine_keepalived", "groups", "timers", "reception", "transmission", "tracking", "news")
OF_THE_MACHINE = {"machine", "backup", "master", "groups", "timers"}
TRIALS = 6
SECONDS = 60
"""Of processor time: a mutant that does not end is noticed, too."""
SURVIVED, BY_SIMULATOR, BY_TESTS = 0, 10, 11
SURVIVORS = Path(__file__).parent / "survivors.json"


@dataclass(frozen=True, slots=True)
class Case:
    """A mutant of a module."""

    module: str
    mutant: Mutant

    def __str__(self) -> str:
        line = (PROTOCOL / f"{self.module}.py").read_text().splitlines()[self.mutant.line - 1].strip()
        return f"{self.module}.py: {self.mutant.what}: {line}"


def exchange(case: Case) -> None:
    """Give the functions of the module the code of the mutant."""
    module = importlib.import_module(f"pyvrrp.protocol.{case.module}")
    codes = dict(_codes(compile(case.mutant.source, module.__file__ or "", "exec")))
    for function in _functions(module):
        function.__code__ = codes[function.__qualname__]


def _codes(code: CodeType) -> list[tuple[str, CodeType]]:
    found = [(code.co_qualname, code)]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found += _codes(constant)
    return found


def _functions(module: ModuleType) -> list[FunctionType]:
    classes = [one for one in vars(module).values() if isinstance(one, type)]
    everything = [one for owner in (module, *classes) for one in vars(owner).values()]
    plain = [getattr(one, "fget", None) or getattr(one, "__func__", one) for one in everything]
    own = (one for one in plain if isinstance(one, FunctionType) and one.__module__ == module.__name__)
    return [one for one in own if one.__code__.co_filename == module.__file__]


def is_noticed_by_the_simulator() -> bool:
    """Return whether one of some trials breaks something."""

    def make(number: int) -> Chance:
        return Chance(random.Random(number).random)  # noqa: S311 - it has to come back, no secret

    return any(tell(a_trial(seed, make), make).broken is not None for seed in range(3, 3 + TRIALS))


class Trials:
    """A pytest plugin that, instead of running the tests once, runs them for every mutant."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.verdicts: list[int] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Put all mutants on trial."""
        for number, case in enumerate(self.cases, 1):
            code = self._verdict(session, case)
            self.verdicts.append(code)
            if code == SURVIVED:
                print(f"{number}/{len(self.cases)} survives: {case}", flush=True)
            elif number % 25 == 0:
                print(f"{number}/{len(self.cases)}", flush=True)
        return True

    def _verdict(self, session: pytest.Session, case: Case) -> int:
        child = os.fork()
        if child == 0:
            code = BY_TESTS
            try:
                silence = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silence, 1)
                os.dup2(silence, 2)
                spent = resource.getrusage(resource.RUSAGE_SELF)
                limit = int(spent.ru_utime + spent.ru_stime) + SECONDS
                resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
                code = self._try_out(session, case)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code in {SURVIVED, BY_SIMULATOR} else BY_TESTS

    @staticmethod
    def _try_out(session: pytest.Session, case: Case) -> int:
        exchange(case)
        if case.module in OF_THE_MACHINE and is_noticed_by_the_simulator():
            return BY_SIMULATOR
        first = f"test_{NEXT_TO_IT.get(case.module, case.module)}.py"
        for item in sorted(session.items, key=lambda one: one.path.name != first):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if session.testsfailed:
                return BY_TESTS
        return SURVIVED


def cases(every: int, first: int) -> list[Case]:
    """Return each ``every``-th mutant of the modules, from the ``first`` on."""
    sources = {name: (PROTOCOL / f"{name}.py").read_text() for name in MODULES}
    everything = [(name, place) for name, source in sources.items() for place in places(source)]
    return [Case(name, mutant(sources[name], place)) for name, place in everything[first::every]]


def main() -> int:
    """Carry out what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="./run mutants", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only each so-many-th mutant")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    parser.add_argument("--into", type=Path, help="write what was found into this file, for --record")
    parser.add_argument("--again", type=Path, help="try the survivors in this file once more, and write it anew")
    parser.add_argument("--record", type=Path, nargs="+", help="write what such files hold into docs/reliability.md")
    asked = parser.parse_args()
    if asked.record:
        write_down([found for file in asked.record for found in json.loads(file.read_text())])
        return 0
    before = {one: code for _, one, code in json.loads(asked.again.read_text())} if asked.again else {}
    everything = cases(asked.every, asked.first)
    trials = Trials([one for one in everything if not asked.again or before.get(str(one)) == SURVIVED])
    files = [str(ROOT / "tests" / "pyvrrp" / f"test_{name}.py") for name in TESTS]
    pytest.main(["-q", "-s", "-p", "no:cacheprovider", "--no-header", *files], plugins=[trials])
    known = json.loads(SURVIVORS.read_text())
    survivors = [str(case) for case, code in zip(trials.cases, trials.verdicts, strict=True) if code == SURVIVED]
    unknown = [one for one in survivors if one not in known]
    counted = collections.Counter(trials.verdicts)
    made = len(trials.cases)
    print(f"{made} mutants: {counted[BY_SIMULATOR]} killed by the simulator, {counted[BY_TESTS]} by unit tests")
    print("\n".join([f"{len(survivors)} survive, {len(unknown)} of them unexplained", *unknown]))
    pairs = zip(trials.cases, trials.verdicts, strict=True)
    if asked.into is not None:
        asked.into.write_text(json.dumps([(case.module, str(case), code) for case, code in pairs]))
    elif asked.again is not None:
        now = {str(case): code for case, code in pairs}
        told = [(module, one, now.get(one, code)) for module, one, code in json.loads(asked.again.read_text())]
        asked.again.write_text(json.dumps(told))
    return int(bool(unknown))


def write_down(found: Sequence[tuple[str, str, int]]) -> None:
    """Write the figures of some runs: module, mutant and verdict of each."""
    rows = []
    for name in (*MODULES, "all"):
        counted = collections.Counter(code for module, _, code in found if name in {module, "all"})
        rows.append((name, counted.total(), counted[BY_SIMULATOR], counted[BY_TESTS], counted[SURVIVED]))
    columns = ["module", "mutants", "killed by the simulator", "killed by unit tests", "survive"]
    record("mutants", columns, rows, "./run mutants --every N --into FILE; ./run mutants --record FILE")


if __name__ == "__main__":
    sys.exit(main())

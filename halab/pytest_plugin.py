"""A pytest plugin: labs of network namespaces for anybody's tests.

    def test_two_hosts_reach_each_other(netns_lab):
        lab = netns_lab({"a": "10.0.0.1/24", "b": "10.0.0.2/24"})
        ...

Laws: importing it costs nothing (pytest loads it in every session): the lab's modules are imported when a test asks for
one. A lab ends with its test. A test that fails shows what the services of its labs have written.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from halab.topology import Lab, Topology

    LabFactory = Callable[["Topology | Mapping[str, str]"], Lab]

LINES = 60
"""How many lines of each log a report shows."""
_labs: pytest.StashKey[list[Lab]] = pytest.StashKey()


@pytest.fixture
def netns_lab(request: pytest.FixtureRequest) -> Iterator[LabFactory]:
    """Return a factory of labs: give it a ``Topology``, or host names with addresses for a single LAN."""
    from halab.topology import Lab, Topology, simple

    labs: list[Lab] = request.node.stash.setdefault(_labs, [])

    def build(topology: Topology | Mapping[str, str]) -> Lab:
        lab = Lab(topology if isinstance(topology, Topology) else simple("lan", topology))
        labs.append(lab)
        return lab

    yield build
    for lab in labs:
        lab.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of the labs' services to the report of a test that failed."""
    report = yield
    if report.when == "call" and report.failed:
        for lab in item.stash.get(_labs, []):
            report.sections.extend(_logs(lab))
    return report


def _logs(lab: Lab) -> list[tuple[str, str]]:
    from halab.namespace import LabError

    found: list[tuple[str, str]] = []
    for name, host in lab.hosts.items():
        try:
            standing: dict[str, dict[str, Any]] = host.services()
        except LabError as problem:
            found.append((f"{name}", str(problem)))
            continue
        for service, state in standing.items():
            found.append((f"{name}: {service} is {state['state']} {state['outcome']}", host.log_tail(service, LINES)))
    return found

"""What the kernel has counted, and where it is entered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tcpbalancer.counters import (
    BALANCED,
    BYTES_IN,
    BYTES_OUT,
    CONNECTION_ERRORS,
    CONNECTS,
    CURRENT,
    IN_KERNEL,
    LAST_SESSION_MS,
    PEAK,
    TOTAL,
    SharedMemory,
)
from tcpbalancer.kernel.books import Books, blocks_of
from tcpbalancer.kernel.plan import Candidate, Numbers, origin, plan
from tcpbalancer.kernel.readings import Counts, Row, counts, open_connections
from tcpbalancer.model import Backend, Bind, Configuration, Frontend, Server
from tcpbalancer.route import make_memory

MARK = 3 << 24
SERVERS = (Server("s1", "10.0.0.1", 5432), Server("s2", "2001:db8::2", 5432))
CONFIGURATION = Configuration(
    frontends={
        "proxied": Frontend("proxied", (Bind("", 1),), default_backend="b"),
        "f": Frontend("f", (Bind("::", 5432),), default_backend="b", kernel_relay=True),
    },
    backends={"b": Backend("b", SERVERS)},
    order=("proxied", "f", "b"),
)
S1, S2, F = 1, 2, 3
"""The numbers that the plan gives."""


def listing(arrivals: dict[int, int], traffic: list[tuple[int, str, int, int, int]]) -> str:
    came = [
        {"elem": {"val": mark, "counter": {"packets": count, "bytes": 60 * count}}} for mark, count in arrivals.items()
    ]
    moved = [
        {"elem": {"val": {"concat": [mark, direction, octet]}, "counter": {"packets": packets, "bytes": size}}}
        for mark, direction, octet, packets, size in traffic
    ]
    sets = [{"set": {"name": "arrivals", "elem": came}}, {"set": {"name": "traffic", "elem": moved}}]
    return json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *sets]})


# -- readings ----------------------------------------------------------------------------------------------------------


def test_counters_are_read_by_the_number_of_the_way_and_without_headers() -> None:
    traffic = [
        (MARK | S1, "original", 0xA0, 2, 120),
        (MARK | S1, "original", 0x80, 18, 200_936),
        (MARK | S1, "reply", 0x82, 1, 52 + 7),
    ]
    told = counts(listing({MARK | S1: 2}, traffic))
    assert told.arrivals == {S1: 2}
    assert told.payload(S1, 4) == (200_000, 7)
    assert told.payload(S2, 4) == (0, 0)
    assert Row(False, 0x50, 1, 61).payload(6) == 1
    in_words = listing({}, [("0x03000001", "original", "0x80", 1, 53)])  # type: ignore[list-item]
    assert counts(in_words).payload(S1, 4) == (1, 0)


def test_a_table_in_which_nothing_was_counted_yet_reads_as_nothing() -> None:
    empty = '{"nftables": [{"set": {"name": "arrivals"}}, {"set": {"name": "traffic"}}]}'
    assert counts(empty) == Counts()


@pytest.mark.parametrize("strange", ["{}", '{"nftables": []}', "[]", '{"nftables": [{"set": 1}]}', "nft: no"])
def test_what_nft_does_not_say_is_an_error(strange: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's words, or ours
        counts(strange)


def test_open_connections_are_those_of_which_a_side_has_not_ended() -> None:
    ways = "sport=1 dport=2 src=10.0.0.1 dst=10.1.0.1 sport=5 dport=6 [ASSURED]"
    lines = f"""\
tcp      6 119 TIME_WAIT src=10.1.0.2 dst=10.1.0.1 {ways} mark=50331649 use=1
tcp      6 431999 ESTABLISHED src=fd01::1 dst=fd01::1 {ways} mark=50331649 use=1
tcp      6 59 CLOSE_WAIT src=10.1.0.2 dst=10.1.0.1 {ways} mark=50331649 use=1
tcp      6 9 CLOSE src=10.1.0.2 dst=10.1.0.1 {ways} mark=50331650 use=1
tcp      6 119 SYN_SENT src=10.1.0.2 dst=10.1.0.1 sport=1 dport=2 [UNREPLIED] src=10.0.0.1 mark=50331650 use=1
udp      17 20 src=10.1.0.2 dst=10.1.0.1 {ways} mark=50331650 use=1
"""
    assert open_connections(lines.encode().splitlines()) == {S1: 2, S2: 1}
    assert open_connections([]) == {}


# -- books -------------------------------------------------------------------------------------------------------------


class Desk:
    def __init__(self, configuration: Configuration = CONFIGURATION) -> None:
        self.configuration = configuration
        self.memory: SharedMemory = make_memory(configuration)
        self.numbers = Numbers()
        servers = configuration.backends["b"].servers
        plan(configuration, {"b": [Candidate(one, one, 16) for one in servers]}, self.numbers)
        self.books = Books(self.numbers)
        self.seats = {("b", one.name): (origin(one), place) for place, one in enumerate(servers)}
        self.blocks = blocks_of(configuration, self.memory.layout, self.seats, self.numbers)

    def enter(self, arrivals: dict[int, int], traffic: dict[int, list[Row]] | None = None, now: float = 7.0) -> None:
        self.books.enter(self.memory, self.blocks, Counts(arrivals, traffic or {}), now)

    def read(self, field: int) -> dict[str, int]:
        layout = self.memory.layout
        blocks = {"f": layout.frontend(1), "b": layout.backend(0), "s1": layout.server(0, 0), "s2": layout.server(0, 1)}
        return {name: self.memory.sum(block, field) for name, block in blocks.items()}


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.memory.close()


def test_a_connection_counts_for_its_frontend_its_backend_and_its_server(desk: Desk) -> None:
    desk.enter({S1: 3, S2: 1})
    desk.enter({S1: 5, S2: 1})
    assert desk.read(TOTAL) == {"f": 6, "b": 6, "s1": 5, "s2": 1}
    assert desk.read(CONNECTS) == desk.read(BALANCED) == {"f": 0, "b": 6, "s1": 5, "s2": 1}
    assert desk.read(LAST_SESSION_MS)["s1"] == 7000
    assert desk.memory.sum(desk.memory.layout.frontend(0), TOTAL) == 0, "another frontend's"


def test_a_refused_connection_is_an_error_of_the_backend(desk: Desk) -> None:
    desk.enter({F: 2})
    assert desk.read(TOTAL) == {"f": 2, "b": 2, "s1": 0, "s2": 0}
    assert desk.read(CONNECTION_ERRORS) == {"f": 0, "b": 2, "s1": 0, "s2": 0}
    assert desk.read(CONNECTS)["b"] == 0


def test_bytes_are_those_since_the_last_reading_by_the_headers_of_the_way(desk: Desk) -> None:
    desk.enter({}, {S1: [Row(False, 0x80, 1, 52 + 10)], S2: [Row(True, 0x80, 1, 72 + 5)]})
    desk.enter({}, {S1: [Row(False, 0x80, 2, 104 + 30)], 99: [Row(False, 0x80, 2, 104 + 30)]})
    assert desk.read(BYTES_IN) == {"f": 30, "b": 30, "s1": 30, "s2": 0}
    assert desk.read(BYTES_OUT) == {"f": 5, "b": 5, "s1": 0, "s2": 5}


def test_counters_that_begin_again_are_not_entered_twice(desk: Desk) -> None:
    desk.enter({S1: 3}, {S1: [Row(False, 0x80, 1, 62)]})
    desk.books.begin_again()
    desk.enter({S1: 1}, {S1: [Row(False, 0x80, 1, 53)]})
    assert desk.read(TOTAL)["s1"] == 4
    assert desk.read(BYTES_IN)["s1"] == 11
    desk.books.forget(S1)
    desk.enter({S1: 2})
    assert desk.read(TOTAL)["s1"] == 6


def test_what_is_open_now_is_a_gauge_with_its_peak(desk: Desk) -> None:
    desk.books.enter_open(desk.memory, desk.blocks, {S1: 4, S2: 2, 99: 1})
    assert desk.read(CURRENT) == {"f": 6, "b": 6, "s1": 4, "s2": 2}
    desk.books.enter_open(desk.memory, desk.blocks, {S2: 1})
    assert desk.read(CURRENT) == {"f": 1, "b": 1, "s1": 0, "s2": 1}
    assert desk.read(PEAK) == {"f": 6, "b": 6, "s1": 4, "s2": 2}
    assert desk.memory.sum_of_words(IN_KERNEL) == 1
    desk.memory.forget_gauges(desk.memory.layout.workers)
    assert desk.read(CURRENT) == {"f": 0, "b": 0, "s1": 0, "s2": 0}
    assert desk.memory.sum_of_words(IN_KERNEL) == 0


def test_what_a_reload_took_away_is_counted_by_what_is_left_of_it(desk: Desk) -> None:
    # s1 has the name of another server now; s2 is gone.
    servers = (replace(SERVERS[0], address="10.0.0.9"),)
    later = replace(CONFIGURATION, backends={"b": Backend("b", servers)})
    memory = make_memory(later)
    desk.blocks = blocks_of(later, memory.layout, {("b", "s1"): (origin(servers[0]), 0)}, desk.numbers)
    desk.memory.close()
    desk.memory = memory
    desk.enter({S1: 1, S2: 1, F: 1})
    layout = memory.layout
    found = [memory.sum(block, TOTAL) for block in (layout.frontend(1), layout.backend(0), layout.server(0, 0))]
    assert found == [3, 3, 0]


def test_a_frontend_that_is_gone_is_counted_nowhere(desk: Desk) -> None:
    gone = replace(
        CONFIGURATION, frontends={"proxied": CONFIGURATION.frontends["proxied"]}, backends={}, order=("proxied",)
    )
    blocks = blocks_of(gone, desk.memory.layout, {}, desk.numbers)
    assert [*blocks[S1].all()] == [*blocks[F].all()] == []
    desk.blocks = blocks
    desk.enter({S1: 1, 99: 1})
    assert desk.read(TOTAL) == {"f": 0, "b": 0, "s1": 0, "s2": 0}


def test_the_kernel_has_a_row_and_a_bell_of_its_own_beside_the_workers(desk: Desk) -> None:
    layout = desk.memory.layout
    assert (layout.workers, layout.writers, len(desk.memory.bells)) == (1, 2, 2)
    frontends = {name: replace(one, kernel_relay=False) for name, one in CONFIGURATION.frontends.items()}
    without = make_memory(replace(CONFIGURATION, frontends=frontends))
    assert (without.layout.writers, len(without.bells)) == (1, 1)
    without.close()

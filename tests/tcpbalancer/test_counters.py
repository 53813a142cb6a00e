"""The shared memory: who writes what, what readers see, and what stays of a worker that has died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tcpbalancer.block import Block
from tcpbalancer.counters import (
    BACKEND_SETTINGS,
    BLOCK,
    BYTES_IN,
    CONNECT_PEAK_MS,
    CURRENT,
    PEAK,
    QUEUE_SUM_MS,
    SAMPLES,
    SERVER_SETTINGS,
    TOTAL,
    TOTAL_SUM_MS,
    WEIGHT,
    WINDOW,
    WORKER_BLOCK,
    Layout,
    SharedMemory,
)
from tcpbalancer.rules.stick_table import ROW


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    memory = SharedMemory(Layout(2, [3, 1], memory_sizes=[10, 4], workers=2, spare=2, tables=[0, 7]))
    yield memory
    memory.close()


def test_no_two_places_overlap(memory: SharedMemory) -> None:
    layout = memory.layout
    places = [layout.settings]
    places += [slice(at, at + 1) for at in (layout.frontend_setting(f, word) for f in (0, 1) for word in range(3))]
    places += [
        slice(at, at + 1)
        for at in (layout.backend_setting(b, word) for b in (0, 1) for word in range(BACKEND_SETTINGS))
    ]
    places += [layout.server_settings(backend, row) for backend in (0, 1) for row in range(SERVER_SETTINGS)]
    places += [layout.memory(0), layout.memory(1), layout.table(0), layout.table(1)]
    servers = [layout.server(0, slot) for slot in range(5)] + [layout.server(1, slot) for slot in range(3)]
    blocks = [layout.frontend(0), layout.frontend(1), layout.backend(0), layout.backend(1), *servers]
    assert sorted(blocks) == list(range(layout.blocks))
    of_blocks = [layout.block(worker, block) for worker in (0, 1) for block in blocks]
    assert {place.stop - place.start for place in of_blocks} == {BLOCK}
    places += of_blocks
    places += [slice(layout.worker(worker), layout.worker(worker) + WORKER_BLOCK) for worker in (0, 1)]
    words = [word for place in places for word in range(place.start, place.stop)]
    assert sorted(words) == list(range(layout.size))


def test_a_table_has_rows_and_a_backend_slots_beyond_those_of_the_file(memory: SharedMemory) -> None:
    layout = memory.layout
    assert [place.stop - place.start for place in (layout.table(0), layout.table(1))] == [0, 7 * ROW]
    assert layout.slots == (3 + 2, 1 + 2)
    assert layout.weights(1) == layout.server_settings(1, WEIGHT)
    assert layout.server_setting(1, 2, WEIGHT) == layout.weights(1).stop - 1


def test_sums_and_peaks_go_over_all_workers(memory: SharedMemory) -> None:
    one, two = Block(memory, 0, 0), Block(memory, 1, 0)
    one.opened(1.0)
    two.opened(2.0)
    two.opened(3.0)
    assert (one.current(), memory.sum(0, TOTAL), memory.largest(0, PEAK)) == (3, 3, 3)
    one.closed()
    two.add(BYTES_IN, 1 << 40)
    assert (memory.sum(0, CURRENT), memory.largest(0, PEAK), memory.sum(0, BYTES_IN)) == (2, 3, 1 << 40)


def test_one_worker_alone_sees_only_itself() -> None:
    memory = SharedMemory(Layout(1, [], [], 1))
    block = Block(memory, 0, 0)
    block.opened(1.0)
    assert block.current() == 1
    memory.close()


def test_of_a_worker_that_died_the_totals_stay_and_the_gauges_do_not(memory: SharedMemory) -> None:
    Block(memory, 1, 0).opened(1.0)
    memory.forget_gauges(1)
    assert (memory.sum(0, CURRENT), memory.sum(0, TOTAL)) == (0, 1)


def test_times_are_averaged_over_a_window(memory: SharedMemory) -> None:
    block = Block(memory, 0, 0)
    block.took(-1, -1, 10)
    assert [block.row[field] for field in (SAMPLES, QUEUE_SUM_MS, TOTAL_SUM_MS)] == [1, 0, 10]
    for _ in range(5 * WINDOW):
        block.took(7, 3, 100)
    assert block.row[SAMPLES] == WINDOW
    assert block.row[TOTAL_SUM_MS] // WINDOW == pytest.approx(100, abs=2)
    assert block.row[CONNECT_PEAK_MS] == 3


def test_a_second_mapping_sees_what_the_first_one_writes(memory: SharedMemory) -> None:
    other = SharedMemory(memory.layout, os.dup(memory.descriptor))
    memory.words[0] = 42
    assert other.words[0] == 42
    other.close()


HOLDER = """
import sys
from tcpbalancer.counters import Layout, SharedMemory
memory = SharedMemory(Layout(0, [1], [1], 2), int(sys.argv[1]))
for _ in sys.stdin:
    with memory.locked(0) as held:
        print("held" if held else "busy", flush=True)
        sys.stdin.readline()
"""


class Holder:
    """Another process that takes the lock when told to, and lets go of it when told again."""

    def __init__(self, memory: SharedMemory) -> None:
        command = [sys.executable, "-c", HOLDER, str(memory.descriptor)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(memory.descriptor,), text=True
        )

    def take(self) -> str:
        assert self.process.stdout is not None
        self.let_go()
        return self.process.stdout.readline().strip()

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def holders() -> Iterator[tuple[SharedMemory, Holder, Holder]]:
    memory = SharedMemory(Layout(0, [1], [1], 2))
    one, other = Holder(memory), Holder(memory)
    yield memory, one, other
    one.end()
    other.end()
    memory.close()


def test_a_lock_is_exclusive_and_dropped_by_the_kernel_if_its_holder_dies(
    holders: tuple[SharedMemory, Holder, Holder],
) -> None:
    _, one, other = holders
    assert one.take() == "held"
    assert other.take() == "busy"
    other.let_go()
    one.end()
    assert other.take() == "held"


def test_a_holder_that_is_frozen_is_waited_for_once_and_then_no_more_until_it_lets_go(
    holders: tuple[SharedMemory, Holder, Holder],
) -> None:
    memory, one, _ = holders
    assert one.take() == "held"
    one.process.send_signal(signal.SIGSTOP)
    took = []
    for _ in range(50):
        start = time.monotonic()
        with memory.locked(0) as held:
            assert not held
        took.append(time.monotonic() - start)
    assert took[0] > 0.1
    assert sum(took[1:]) < took[0], "49 picks together take less than the one wait"
    one.end()
    with memory.locked(0) as held:
        assert held

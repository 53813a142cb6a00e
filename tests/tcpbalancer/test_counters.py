"""The shared memory: who writes what, what readers see, and what stays of a worker that has died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tcpbalancer.counters import (
    BLOCK,
    BYTES_IN,
    CONNECT_PEAK_MS,
    CURRENT,
    PEAK,
    QUEUE_SUM_MS,
    SAMPLES,
    TOTAL,
    TOTAL_SUM_MS,
    WINDOW,
    Block,
    Layout,
    SharedMemory,
)


@pytest.fixture
def memory() -> Iterator[SharedMemory]:
    memory = SharedMemory(Layout(frontends=2, servers=[3, 1], memory_sizes=[10, 4], workers=2))
    yield memory
    memory.close()


def test_no_two_places_overlap(memory: SharedMemory) -> None:
    layout = memory.layout
    places = [layout.weights(0), layout.memory(0), layout.weights(1), layout.memory(1)]
    blocks = [layout.frontend(0), layout.frontend(1), layout.backend(0), layout.backend(1)]
    blocks += [layout.server(0, 0), layout.server(0, 1), layout.server(0, 2), layout.server(1, 0)]
    assert sorted(blocks) == list(range(layout.blocks))
    places += [layout.block(worker, block) for worker in (0, 1) for block in blocks]
    places += [slice(layout.worker(worker), layout.worker(worker) + 1) for worker in (0, 1)]
    words = [word for place in places for word in range(place.start, place.stop)]
    assert sorted(words) == list(range(layout.size))
    assert places[4].stop - places[4].start == BLOCK


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
with memory.locked(0):
    print("held", flush=True)
    sys.stdin.read()
"""
TAKER = HOLDER.replace("sys.stdin.read()", "pass")


def test_a_lock_is_exclusive_and_dropped_by_the_kernel_if_its_holder_dies() -> None:
    memory = SharedMemory(Layout(0, [1], [1], 2))

    def start(script: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", script, str(memory.descriptor)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(memory.descriptor,))

    with start(HOLDER) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with start(TAKER) as taker:
            assert taker.stdout is not None
            with pytest.raises(subprocess.TimeoutExpired):
                taker.wait(0.3)
            holder.send_signal(signal.SIGKILL)
            assert taker.stdout.readline() == b"held\n"
    memory.close()

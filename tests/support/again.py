"""Acts that are done again and again beside a test, and end with it, however it ends."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tcp_peers import PATIENCE


@dataclass
class Repeated:
    """How often the acts have succeeded, and how they have failed; a failure is the last thing that its thread does."""

    done: int = 0
    failures: list[BaseException] = field(default_factory=list)


@contextlib.contextmanager
def again_and_again(*acts: Callable[[], None]) -> Iterator[Repeated]:
    """Do each of the acts in a thread of its own until the block is left."""
    repeated, over = Repeated(), threading.Event()

    def repeat(act: Callable[[], None]) -> None:
        try:
            while not over.is_set():
                act()
                repeated.done += 1
        except (OSError, AssertionError) as failure:
            repeated.failures.append(failure)

    threads = [threading.Thread(target=repeat, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    try:
        yield repeated
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)

"""Ctrl-C that is heard at once, wherever it comes.

CPython looks at a signal between two instructions, and when a system call is ended by it. One that comes after the last
look and before the wait does neither: it is heard when the wait is over, which in a lab may be a minute later. So a
thread, told of each signal by its wake-up descriptor, nudges the main thread a moment later by a signal that does
nothing but end a system call (signal(7), SA_RESTART is not set by Python).
"""

from __future__ import annotations

import os
import signal
import threading

NUDGE = signal.SIGURG
"""Ignored by whoever has no handler for it, as the programs that are started from here."""
MOMENT = 0.05
"""Seconds after which a main thread that was on its way into a wait is in it."""


def hear_ctrl_c() -> None:
    """Make SIGINT a KeyboardInterrupt of the main thread, also where a shell's background job has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(NUDGE, lambda *_: None)
    told, telling = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(telling, False)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    threading.Thread(target=_nudge, args=(told,), name="Ctrl-C", daemon=True).start()


def _nudge(told: int) -> None:
    pause = threading.Event()  # never set
    main = threading.main_thread().ident
    assert main is not None
    while numbers := os.read(told, 64):
        if signal.SIGINT in numbers:
            pause.wait(MOMENT)
            signal.pthread_kill(main, NUDGE)

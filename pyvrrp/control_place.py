"""Where the control socket is: at its own place, unless another daemon has that.

Laws: keepalived has no such socket, so whoever did not ask for a place must not fail for want of one. Several daemons
on one machine (each router of OpenStack's has its own, in a network namespace) differ by their pid files; all but the
first get a socket with their pid in its name, and say so. What a daemon that was killed left behind is removed by the
next one that comes to this. Whoever names a place gets that one or an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from hakit.control import Command, ControlServer, is_answered
from hakit.events import EventHub
from pyvrrp.options import CONTROL


async def listen(opened: AsyncExitStack, path: Path, hub: EventHub, commands: Mapping[str, Command]) -> None:
    """Open the control socket for as long as ``opened``; raises OSError for a place that was asked for."""
    try:
        await _start(opened, ControlServer(path, hub, commands))
    except OSError as refused:
        if path != CONTROL:
            words = refused.strerror  # None: it is a sentence already
            raise (OSError(f"the control socket {path} cannot be opened: {words}") if words else refused) from None
        await _elsewhere(opened, refused, hub, commands)


async def _elsewhere(opened: AsyncExitStack, why: OSError, hub: EventHub, commands: Mapping[str, Command]) -> None:
    path = CONTROL.with_name(f"control-{os.getpid()}.sock")
    try:
        for other in others():
            if not await is_answered(other):
                other.unlink(missing_ok=True)
        await _start(opened, ControlServer(path, hub, commands))
    except OSError as refused:
        words = f"{path}: {refused.strerror or refused}"
        hub.publish("warning", f"There is no control socket, so pyvrrp ctl has nobody to ask: {words}")
    else:
        hub.publish("notice", f"The control socket is {path}, for {why}")


def others() -> list[Path]:
    """Return the sockets of the daemons that came after the first one."""
    return sorted(CONTROL.parent.glob("control-*.sock"))


async def _start(opened: AsyncExitStack, server: ControlServer) -> None:
    await server.start()
    opened.push_async_callback(server.stop)

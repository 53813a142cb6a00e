"""Frontends: pausing, resuming and stopping them.

Source: HAProxy's management guide, section 9.3; ``proxy.c``.
"""

from __future__ import annotations

from tcpbalancer.channel import Admission
from tcpbalancer.control.cli_commands import RefusedError, Words, command
from tcpbalancer.control.cli_room import Conversation
from tcpbalancer.control.commands.limits import frontend_of
from tcpbalancer.model import Level, Mode


@command("disable frontend", "<frontend>", "temporarily disable specific frontend", Level.ADMIN)
async def disable_frontend(conversation: Conversation, words: Words) -> str:
    """Refuse new connections until it is enabled again; those that it has go on."""
    frontend = frontend_of(conversation, words)
    supervisor = conversation.room.supervisor
    match supervisor.admission(frontend.name):
        case Admission.STOPPED:
            raise RefusedError("Frontend was previously shut down, cannot disable.", 5)
        case Admission.PAUSED:
            raise RefusedError("All sockets are already disabled.", 5)
        case Admission.OPEN:
            pass
    if frontend.mode is not Mode.TCP:
        raise RefusedError("Failed to pause frontend, check logs for precise cause.", 4)
    await supervisor.admit(frontend, Admission.PAUSED)
    return ""


@command("enable frontend", "<frontend>", "re-enable specific frontend", Level.ADMIN)
async def enable_frontend(conversation: Conversation, words: Words) -> str:
    """Accept again."""
    frontend = frontend_of(conversation, words)
    supervisor = conversation.room.supervisor
    match supervisor.admission(frontend.name):
        case Admission.STOPPED:
            raise RefusedError("Frontend was previously shut down, cannot enable.", 5)
        case Admission.OPEN:
            raise RefusedError("All sockets are already enabled.", 5)
        case Admission.PAUSED:
            pass
    try:
        await supervisor.admit(frontend, Admission.OPEN)
    except OSError:
        raise RefusedError("Failed to resume frontend, check logs for precise cause (port conflict?).", 4) from None
    return ""


@command("shutdown frontend", "<frontend>", "stop a specific frontend", Level.ADMIN)
async def shutdown_frontend(conversation: Conversation, words: Words) -> str:
    """Close its sockets for good; connections that it has go on."""
    frontend = frontend_of(conversation, words)
    supervisor = conversation.room.supervisor
    if supervisor.admission(frontend.name) is Admission.STOPPED:
        raise RefusedError("Frontend was already shut down.", 5)
    if frontend.mode is not Mode.TCP:
        raise RefusedError("Failed to stop frontend: a statistics page is stopped together with the process only.", 4)
    await supervisor.admit(frontend, Admission.STOPPED)
    return ""

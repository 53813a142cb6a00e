"""What a state file says of a server.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SavedServer:
    """One line of a state file, version 1; the fields are its columns, ``None`` and 0 stand for what is absent."""

    backend: str
    server: str
    address: str | None
    operation: int
    admin: int
    weight: int
    initial_weight: int
    seconds: int  # since the operation changed last
    check_status: int
    check_health: int
    check_state: int
    agent_state: int
    name: str | None = None  # srv_fqdn
    port: int = 0
    check_port: int = 0
    check_address: str | None = None
    agent_address: str | None = None
    agent_port: int = 0

"""What a name server's answer means for a server: which address is taken, and for how long an old one holds.

Laws: pure. An address that is still in the answer is kept. Of new ones, HAProxy's order decides: the preferred family,
the preferred network, an address that no other server of the backend has, the present one. Source:
``resolv_get_ip_from_response`` and ``snr_set_srv_down`` in HAProxy's ``resolvers.c`` and ``server.c``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address, ip_network

from tcpbalancer.model.naming import Hold, Naming


class Outcome(Enum):
    """How a question for a name ended; the value is what HAProxy says of a server that is disabled by it."""

    VALID = "No IP for server "
    NX = "DNS NX status"
    TIMEOUT = "DNS timeout status"
    REFUSED = "DNS refused status"
    OTHER = "unspecified DNS error"

    def hold(self, hold: Hold) -> float:
        """Return for how many seconds the address known last holds."""
        return {
            Outcome.VALID: 0.0,
            Outcome.NX: hold.nx,
            Outcome.TIMEOUT: hold.timeout,
            Outcome.REFUSED: hold.refused,
            Outcome.OTHER: hold.other,
        }[self]


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a question; ``by`` is the name server that answered."""

    outcome: Outcome
    addresses: tuple[str, ...] = ()
    by: str = ""


def choose(addresses: Sequence[str], now: str, taken: Collection[str], naming: Naming) -> str | None:
    """Return the address that a server takes, None if there is none for it.

    ``now`` is the one that it has, or empty; ``taken`` are those of the other servers of this name in its backend.
    """
    if now in addresses:
        return now
    best: tuple[int, str] | None = None
    for address in addresses:
        if address in taken and not naming.allows_duplicates:
            continue
        value = _value(address, taken, naming)
        if best is None or value > best[0]:
            best = value, address
    return None if best is None else best[1]


def _value(address: str, taken: Collection[str], naming: Naming) -> int:
    parsed = ip_address(address)
    family = 8 * ((parsed.version == 4) == naming.prefers_ipv4)
    network = 4 * any(parsed in ip_network(network) for network in naming.networks)
    return family + network + 2 * (address not in taken)

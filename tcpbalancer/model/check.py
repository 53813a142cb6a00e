"""How a server is asked whether it works: the probe, where it goes, and when.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from hakit.schedule import Intervals
from tcpbalancer.model.dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class ExternalCheck:
    """``option external-check``: a program says it; ``path`` is its PATH (``external-check path``)."""

    command: str
    path: str = ""
    keep_environment: bool = False


Probe = Dialogue | ExternalCheck


@dataclass(frozen=True, slots=True)
class Tls:
    """How a check speaks TLS; files are PEM. ``ca_file`` ``@system-ca``: the system's own."""

    verify: bool = True
    ca_file: str | None = None
    crl_file: str | None = None
    certificate: str | None = None
    verify_host: str | None = None
    ciphers: str | None = None
    lowest: str | None = None
    highest: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """How a server is checked; ``address`` and ``port`` are those of the server unless the file says otherwise.

    ``tls``: how, wherever TLS is asked for; ``use_tls``: the connect without a rule of its own speaks it.
    ``send_proxy``: that connect begins with a PROXY header; ``proxy_version`` is that of any header it sends.
    ``source``: the address that the connection comes from; ``namespace``: the network namespace in which it is made.
    """

    address: str
    port: int
    intervals: Intervals = Intervals()
    rise: int = 2
    fall: int = 3
    tls: Tls = Tls()
    use_tls: bool = False
    sni: str | None = None
    alpn: tuple[str, ...] = ()
    send_proxy: bool = False
    proxy_version: int = 1
    source: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class AgentCheck:
    """``agent-check``: another port says how the server is; it gets ``send`` first. One answer is enough."""

    address: str
    port: int
    inter: float = 2.0
    send: str = ""
    source: str | None = None

"""A ``vrrp_instance`` block while it is read: what its keywords have said so far.

Laws: no meaning of its own. A field that is None has not been said; what then holds is settled at the end of the block
(``instance_settled.py``), because it depends on other keywords.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyvrrp.config.global_block import Garp, InstanceDefaults
from pyvrrp.config.keywords import Notes
from pyvrrp.config.notify_lines import NotifyLines
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.tracking import TrackedLines
from pyvrrp.config.tree import Statement
from pyvrrp.model import Address, HmacMode, InitialState, Route, Rule, UnicastPeer, VirtualAddress, Vmac

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class HmacLines:
    """``auth_hmac { ... }`` while it is read."""

    keys: dict[int, bytes] = field(default_factory=dict, repr=False)
    active_key: int = 0
    monotonic: bool = False
    time_window: int | None = None
    mode: HmacMode = HmacMode.ENFORCE


@dataclass(slots=True)
class InstanceBlock:
    """A ``vrrp_instance`` block while it is read; ``next_preference`` numbers rules without a priority."""

    statement: Statement
    notes: Notes
    defaults: InstanceDefaults
    tracked: TrackedLines
    surroundings: Surroundings
    next_preference: Callable[[int], int]
    notify: NotifyLines
    garp: Garp = field(default_factory=Garp)
    interface: str = ""
    virtual_router_id: int | None = None
    family: int | None = None
    version: int | None = None
    state: InitialState | None = None
    priority: int | None = None
    advert_interval: float = 1.0
    preempt: bool = True
    preempt_delay: float = 0.0
    down_timer_adverts: int = 3
    vip_lease: int | None = None
    timer_expired_backup: float = 0.0
    debug: int = 0
    auth_type: str = ""
    password: bytes = field(default=b"", repr=False)
    hmac: HmacLines | None = None
    peers: list[UnicastPeer] = field(default_factory=list)
    unicast: bool = False
    fault_no_peer: bool = False
    unicast_ttl: int | None = None
    source: Address | None = None
    group: Address | None = None
    switches: dict[str, bool] = field(default_factory=dict)
    receive_buffer: int | None = None
    vmac: Vmac | None = None
    addresses: list[VirtualAddress] = field(default_factory=list)
    excluded: list[VirtualAddress] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The instance's name."""
        return self.statement.parameters[0].text

    def warn(self, message: str, about: Statement | None = None) -> None:
        """Note what keepalived says, at ``about`` or for the block as a whole."""
        self.notes.warn(about or self.statement, f"({self.name}) {message}")

    def advise(self, message: str, about: Statement | None = None) -> None:
        """Note what keepalived would not say."""
        self.notes.advise(about or self.statement, f"({self.name}) {message}")

    def error(self, message: str, about: Statement | None = None) -> None:
        """Note what leaves no sensible virtual router."""
        self.notes.error(about or self.statement, f"({self.name}) {message}")

    def is_of(self, family: int) -> bool:
        """Take ``family`` as the instance's if it has none yet; whether it is the instance's."""
        if self.family is None:
            self.family = family
        return self.family == family

    def switched(self, keyword: str) -> bool:
        """Whether a switch without a default of its own has been set."""
        return self.switches.get(keyword, False)

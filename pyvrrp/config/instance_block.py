"""``vrrp_instance``: one block to one Instance.

Laws: pure. Where keepalived corrects a value and carries on, so does this, with keepalived's message as a warning; what
leaves no sensible virtual router is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pyvrrp.config.global_block import GARP_KEYWORDS, Garp, GlobalBlock, read_down_timer_adverts, read_version
from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.known import VRRP_INSTANCE
from pyvrrp.config.script_block import read_script
from pyvrrp.config.tracking import Defined, read_interface, read_tracked
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import OtherFamilyError, address_line, decimal, interface_name, whole
from pyvrrp.model import (
    OWNER_PRIORITY,
    Authentication,
    AuthType,
    InitialState,
    Instance,
    NotifyScripts,
    Tracked,
    TrackerKind,
    VirtualAddress,
)

DEFAULT_PRIORITY = 100
MAX_ADDRESSES = 255
"""The count of addresses in an ADVERTISEMENT is one byte (RFC 3768 section 5.3.5)."""
MAX_PASSWORD = 8
"""Bytes (RFC 2338 section 5.3.6)."""


@dataclass(slots=True)
class InstanceBlock:
    """A ``vrrp_instance`` block while it is read."""

    statement: Statement
    notes: Notes
    defaults: GlobalBlock
    defined: Mapping[str, Defined]
    garp: Garp = field(default_factory=Garp)
    interface: str = ""
    virtual_router_id: int | None = None
    state: InitialState = InitialState.BACKUP
    priority: int | None = None
    advert_interval: float = 1.0
    preempt: bool = True
    preempt_delay: float = 0.0
    down_timer_adverts: int = 3
    auth_type: str = ""
    password: bytes = field(default=b"", repr=False)
    addresses: list[VirtualAddress] = field(default_factory=list)
    tracked: dict[str, Tracked] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    notify: NotifyScripts = field(default_factory=NotifyScripts)

    @property
    def name(self) -> str:
        """The instance's name."""
        return self.statement.parameters[0].text

    def set_state(self, statement: Statement) -> None:
        """``state MASTER|BACKUP``."""
        text = statement.parameters[0].text
        if text in InitialState.__members__:
            self.state = InitialState[text]
        else:
            self.notes.warn(statement, f"({self.name}) unknown state '{text}', defaulting to BACKUP")

    def set_interface(self, statement: Statement) -> None:
        """``interface IF``."""
        try:
            self.interface = interface_name(statement.parameters[0].text)
        except ValueError as wrong:
            self.notes.error(statement, f"({self.name}) {wrong}")

    def set_virtual_router_id(self, statement: Statement) -> None:
        """``virtual_router_id N``."""
        text = statement.parameters[0].text
        try:
            self.virtual_router_id = whole(text, 1, 255)
        except ValueError as wrong:
            self.notes.error(statement, str(wrong))
            self.notes.error(statement, f"({self.name}): VRID '{text}' not valid - must be between 1 & 255")

    def set_priority(self, statement: Statement) -> None:
        """``priority N``."""
        try:
            self.priority = whole(statement.parameters[0].text, 1, OWNER_PRIORITY)
        except ValueError as wrong:
            self.priority = DEFAULT_PRIORITY
            self.notes.warn(statement, str(wrong))
            self.notes.warn(
                statement, f"({self.name}) Priority not valid! must be between 1 & 255. Using default {self.priority}"
            )

    def set_advert_interval(self, statement: Statement) -> None:
        """``advert_int S``: whole seconds in VRRPv2 (RFC 3768 section 5.3.7)."""
        text = statement.parameters[0].text
        try:
            seconds = decimal(text, 0.01, 255.0)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(statement, f"({self.name}) Advert interval ({text}) not valid! Must be > 0 - ignoring")
            return
        self.advert_interval = float(max(1, int(seconds + 0.5)))
        if seconds != self.advert_interval:
            self.notes.warn(
                statement,
                f"({self.name}) VRRPv2 advertisement interval {seconds:.6f}s must be an integer. rounding",
            )

    def refuse_unicast_peers(self, statement: Statement) -> None:
        """``unicast_peer``: to multicast instead could make two masters, so it is an error and no warning."""
        self.notes.error(statement, f"({self.name}) unicast peers are not supported: this version multicasts only")

    def set_version(self, statement: Statement) -> None:
        """``version N``."""
        read_version(statement, self.notes, self.name)

    def set_preempt(self, statement: Statement) -> None:
        """``nopreempt``; ``preempt`` does nothing, as in keepalived."""
        self.preempt = self.preempt and statement.name != "nopreempt"

    def set_preempt_delay(self, statement: Statement) -> None:
        """``preempt_delay S``, 0 to 1000."""
        try:
            self.preempt_delay = decimal(statement.parameters[0].text, 0.0, 1000.0)
        except ValueError as wrong:
            self.notes.warn(statement, str(wrong))
            self.notes.warn(statement, f"({self.name}) Preempt_delay not valid! must be between 0-1000")

    def set_garp(self, statement: Statement) -> None:
        """``garp_*``."""
        self.garp.set(statement, self.notes, self.name)

    def set_down_timer_adverts(self, statement: Statement) -> None:
        """``down_timer_adverts N``."""
        self.down_timer_adverts = read_down_timer_adverts(statement, self.notes, self.name, self.down_timer_adverts)

    def set_authentication(self, statement: Statement) -> None:
        """``authentication { auth_type T  auth_pass P }``."""
        AUTHENTICATION.read(self, statement.block or (), self.notes)

    def set_auth_type(self, statement: Statement) -> None:
        """``auth_type PASS``."""
        text = statement.parameters[0].text
        if text == "AH":
            self.notes.error(
                statement, f"({self.name}) auth_type AH is not supported in this version: use PASS, or none at all"
            )
        elif text != "PASS":
            self.notes.warn(statement, f"({self.name}) unknown authentication type '{text}'")
        else:
            self.auth_type = text

    def set_auth_pass(self, statement: Statement) -> None:
        """``auth_pass P``: at most 8 bytes count."""
        password = statement.parameters[0].text.encode("utf-8", "surrogatepass")
        if len(password) > MAX_PASSWORD:
            self.notes.warn(statement, f"Truncating auth_pass to {MAX_PASSWORD} characters")
        self.password = password[:MAX_PASSWORD]

    def set_addresses(self, statement: Statement) -> None:
        """``virtual_ipaddress { ... }``."""
        for line in statement.block or ():
            try:
                found = address_line([word.text for word in line.words])
            except OtherFamilyError as wrong:
                if self.addresses:
                    family = f"({self.name}): address family must match VRRP instance [{line.name}]; "
                else:
                    family = f"({self.name}) "
                self.notes.error(line, f"{family}{wrong}")
                continue
            except ValueError as wrong:
                self.notes.error(line, f"({self.name}) {wrong}")
                continue
            for remark in found.remarks:
                tell = self.notes.advise if remark.endswith("not carried out") else self.notes.warn
                tell(line, remark)
            if any(known.interface.ip == found.address.interface.ip for known in self.addresses):
                self.notes.advise(line, f"({self.name}) {found.address.interface.ip} is listed twice - ignoring")
            else:
                self.addresses.append(found.address)

    def set_track_script(self, statement: Statement) -> None:
        """``track_script { ... }``."""
        for line in statement.block or ():
            found = read_tracked(line, self.name, self.defined, self.notes)
            if found is not None and found.name in self.tracked:
                self.notes.warn(line, f"({self.name}) duplicate track_script {found.name} - ignoring")
            elif found is not None:
                self.tracked[found.name] = found

    def set_track_interface(self, statement: Statement) -> None:
        """``track_interface { ... }``."""
        for line in statement.block or ():
            found = read_interface(line, self.name, self.notes)
            if found is not None and found not in self.interfaces:
                self.interfaces.append(found)

    def set_notify(self, statement: Statement) -> None:
        """``notify`` and ``notify_*``."""
        script = read_script(statement, self.notes, self.defaults.script_user)
        kind = statement.name.removeprefix("notify").removeprefix("_") or "any"
        if script is not None:
            self.notify = replace(self.notify, **{kind: script})

    def finish(self) -> Instance | None:
        """Return what the block says, or None if an error has been noted."""
        self.garp = replace(self.defaults.garp)
        self.down_timer_adverts = self.defaults.down_timer_adverts
        TABLE.read(self, self.statement.block or (), self.notes)
        self.interface = self.interface or self.defaults.default_interface
        if self.virtual_router_id is None:
            self.notes.error(self.statement, f"({self.name}) the virtual router id must be set")
        if not self.interface:
            self.notes.error(self.statement, f"({self.name}) has no interface: add interface eth0, or whatever it is")
        if len(self.addresses) > MAX_ADDRESSES:
            self.notes.error(self.statement, f"({self.name}) has more than {MAX_ADDRESSES} addresses: split it")
        if not self.virtual_router_id or not self.interface or len(self.addresses) > MAX_ADDRESSES:
            return None
        if not self.addresses:
            self.notes.warn(self.statement, f"({self.name}) No VIP specified; at least one is sensible")
        priority = self._priority()
        return Instance(
            self.name,
            self.interface,
            self.virtual_router_id,
            priority=priority,
            initial_state=self.state,
            advert_interval=self.advert_interval,
            preempt=self.preempt,
            preempt_delay=self.preempt_delay,
            authentication=self._authentication(),
            addresses=tuple(self.addresses),
            tracked=(*self._tracked(priority), *self._tracked_interfaces()),
            notify=self.notify,
            garp=self.garp.values,
            down_timer_adverts=self.down_timer_adverts,
            location=self.statement.location,
        )

    def _priority(self) -> int:
        """Settle priority, state and preemption against each other, as keepalived does."""
        master = self.state is InitialState.MASTER
        # Documented nowhere, seen in the program: MASTER without a priority means the owner.
        priority = self.priority or (OWNER_PRIORITY if master else DEFAULT_PRIORITY)
        if not self.preempt and (master or priority == OWNER_PRIORITY):
            self.preempt = True
            self._clear(
                "nopreempt is incompatible with priority 255. resetting nopreempt"
                if priority == OWNER_PRIORITY
                else "Warning - nopreempt will not work with initial state MASTER - clearing"
            )
        if self.preempt_delay and (master or priority == OWNER_PRIORITY):
            self.preempt_delay = 0.0
            self._clear("Warning - preempt delay will not work with initial state MASTER - clearing")
        if self.preempt_delay and not self.preempt:
            self.preempt_delay = 0.0
            self._clear("preempt_delay is incompatible with nopreempt mode - resetting")
        return priority

    def _clear(self, message: str) -> None:
        self.notes.warn(self.statement, f"({self.name}) {message}")

    def _authentication(self) -> Authentication:
        if self.auth_type and self.password:
            return Authentication(AuthType.PASS, self.password)
        if self.auth_type:
            self.notes.warn(self.statement, f"({self.name}) Authentication specified but no password given. Ignoring")
        elif self.password:
            self.notes.advise(self.statement, f"({self.name}) auth_pass without auth_type PASS has no effect")
        return Authentication()

    def _tracked_interfaces(self) -> list[Tracked]:
        return [Tracked(name, kind=TrackerKind.INTERFACE) for name in self.interfaces]

    def _tracked(self, priority: int) -> tuple[Tracked, ...]:
        if priority != OWNER_PRIORITY:
            return tuple(self.tracked.values())
        for tracked in self.tracked.values():
            if tracked.weight:
                self.notes.warn(
                    self.statement,
                    f"({self.name}) ignoring tracked script {tracked.name} with weights due to address_owner",
                )
        return tuple(tracked for tracked in self.tracked.values() if not tracked.weight)


TABLE: Table[InstanceBlock] = Table(
    {
        "state": Keyword(InstanceBlock.set_state),
        "interface": Keyword(InstanceBlock.set_interface),
        "virtual_router_id": Keyword(InstanceBlock.set_virtual_router_id),
        "priority": Keyword(InstanceBlock.set_priority),
        "advert_int": Keyword(InstanceBlock.set_advert_interval),
        "version": Keyword(InstanceBlock.set_version),
        "preempt": Keyword(InstanceBlock.set_preempt, parameters=0),
        "nopreempt": Keyword(InstanceBlock.set_preempt, parameters=0),
        "preempt_delay": Keyword(InstanceBlock.set_preempt_delay),
        "down_timer_adverts": Keyword(InstanceBlock.set_down_timer_adverts),
        "authentication": Keyword(InstanceBlock.set_authentication, parameters=0, block=True),
        "unicast_peer": Keyword(InstanceBlock.refuse_unicast_peers, parameters=0, block=True),
        "virtual_ipaddress": Keyword(InstanceBlock.set_addresses, parameters=0, block=True),
        "track_script": Keyword(InstanceBlock.set_track_script, parameters=0, block=True),
        "track_interface": Keyword(InstanceBlock.set_track_interface, parameters=0, block=True),
        **{
            name: Keyword(InstanceBlock.set_notify, most=3)
            for name in ("notify", "notify_master", "notify_backup", "notify_fault", "notify_stop")
        },
        **{name: Keyword(InstanceBlock.set_garp) for name in GARP_KEYWORDS},
    },
    VRRP_INSTANCE,
)

AUTHENTICATION: Table[InstanceBlock] = Table(
    {"auth_type": Keyword(InstanceBlock.set_auth_type), "auth_pass": Keyword(InstanceBlock.set_auth_pass)},
    secret=True,
)

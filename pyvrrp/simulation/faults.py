"""Faults by name, and what heals them: the verbs of the lab, for a LAN in memory.

Laws: pure, frozen: a fault is a value, so that a story is a list of them and can be told again, or shorter. Whatever
cannot happen any more (thawing what is not frozen) changes nothing. Names of nodes and interfaces have to exist.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar, assert_never

from pyvrrp.model import Address, Configuration, Interface
from pyvrrp.protocol.events import GiveUp, TakeOver
from pyvrrp.simulation.checks import Key, Outcome
from pyvrrp.simulation.medium import Conditions
from pyvrrp.simulation.reload import reload
from pyvrrp.simulation.work import mend

if TYPE_CHECKING:
    from pyvrrp.simulation.lan import Lan


@dataclass(frozen=True, slots=True)
class _Fault:
    """What all have: words that say what happens."""

    verb: ClassVar[str] = ""

    def __str__(self) -> str:
        values = (getattr(self, one.name) for one in fields(self))
        told = (str(value) for value in values if value is not None and not isinstance(value, Configuration))
        return " ".join((self.verb, *told))


@dataclass(frozen=True, slots=True)
class _AtNode(_Fault):
    node: str


@dataclass(frozen=True, slots=True)
class _AtCard(_AtNode):
    interface: str


class LinkDown(_AtCard):
    """Pull the cable: the carrier is lost."""

    __slots__ = ()
    verb = "link down"


class LinkUp(_AtCard):
    """Plug the cable in again."""

    __slots__ = ()
    verb = "link up"


class LinkDeleted(_AtCard):
    """Delete the interface, with all that is on it."""

    __slots__ = ()
    verb = "link deleted"


class LinkCreated(_AtCard):
    """Make the deleted interface anew, with another index and MAC address."""

    __slots__ = ()
    verb = "link created"


class Isolate(_AtNode):
    """Cut a node off in silence: its carriers stay, nothing passes."""

    __slots__ = ()
    verb = "isolate"


class Mute(_AtNode):
    """Drop what would reach a node; what it sends arrives (one-way loss)."""

    __slots__ = ()
    verb = "mute"


class Heal(_AtNode):
    """Undo every cut from and to a node."""

    __slots__ = ()
    verb = "heal"


class Freeze(_AtNode):
    """Stop the daemon where it stands (SIGSTOP)."""

    __slots__ = ()
    verb = "freeze"


class Thaw(_AtNode):
    """Let a frozen daemon go on (SIGCONT)."""

    __slots__ = ()
    verb = "thaw"


class Kill(_AtNode):
    """End the daemon at once (SIGKILL); its addresses stay in the kernel."""

    __slots__ = ()
    verb = "kill"


class Start(_AtNode):
    """Start the daemon."""

    __slots__ = ()
    verb = "start"


class Stop(_AtNode):
    """Stop the daemon (SIGTERM)."""

    __slots__ = ()
    verb = "stop"


@dataclass(frozen=True, slots=True)
class Cut(_Fault):
    """Let nothing pass from ``sender`` to ``receiver``, on the LAN of this name or (None) on all."""

    sender: str
    receiver: str
    lan: str | None = None
    verb: ClassVar[str] = "cut"

    def __str__(self) -> str:
        return f"nothing passes from {self.sender} to {self.receiver}"


@dataclass(frozen=True, slots=True)
class Uncut(_Fault):
    """Undo ``Cut``."""

    sender: str
    receiver: str
    lan: str | None = None
    verb: ClassVar[str] = "uncut"

    def __str__(self) -> str:
        return f"what {self.sender} sends to {self.receiver} passes again"


@dataclass(frozen=True, slots=True)
class Weather(_Fault):
    """Have other conditions on every LAN, or from ``sender`` to ``receiver`` alone."""

    conditions: Conditions
    sender: str | None = None
    receiver: str | None = None
    verb: ClassVar[str] = "weather"


@dataclass(frozen=True, slots=True)
class Reload(_AtNode):
    """Reload another configuration (SIGHUP); a daemon that does not run reads it when it starts."""

    configuration: Configuration
    verb: ClassVar[str] = "reload"


@dataclass(frozen=True, slots=True)
class Check(_AtNode):
    """Have the runs of a script, or a URL's requests, end like this from now on."""

    key: Key
    outcome: Outcome
    verb: ClassVar[str] = "check"

    def __str__(self) -> str:
        return f"{self.key[0].value.removeprefix('track_')} {self.key[1]} {self.outcome.value} on {self.node}"


@dataclass(frozen=True, slots=True)
class Reading(_AtNode):
    """Have a file hold this number, or a process be there or not."""

    key: Key
    value: bool | int | None
    verb: ClassVar[str] = "reading"

    def __str__(self) -> str:
        return f"{self.key[0].value.removeprefix('track_')} {self.key[1]} is {self.value} on {self.node}"


@dataclass(frozen=True, slots=True)
class AddressTaken(_AtCard):
    """Somebody else removes a virtual address."""

    address: Address
    verb: ClassVar[str] = "address taken"


@dataclass(frozen=True, slots=True)
class OwnAddresses(_AtCard):
    """Give the interface other addresses of its own, or none."""

    addresses: tuple[Interface, ...]
    verb: ClassVar[str] = "own addresses"


@dataclass(frozen=True, slots=True)
class RefuseAddresses(_AtNode):
    """Have the kernel refuse to add and remove addresses, or (False) no longer."""

    refuses: bool
    verb: ClassVar[str] = "refuse addresses"


@dataclass(frozen=True, slots=True)
class RefuseSends(_AtNode):
    """Have every send fail with this errno (ENOBUFS, EPERM); 0: no longer."""

    errno: int
    verb: ClassVar[str] = "refuse sends"


@dataclass(frozen=True, slots=True)
class ClockStep(_AtNode):
    """Set the wall clock of a node forward by so many seconds."""

    seconds: float
    verb: ClassVar[str] = "clock step"


@dataclass(frozen=True, slots=True)
class Promote(_AtNode):
    """An operator's ``promote`` of an instance."""

    instance: str
    verb: ClassVar[str] = "promote"


@dataclass(frozen=True, slots=True)
class Demote(_AtNode):
    """An operator's ``demote`` of an instance."""

    instance: str
    verb: ClassVar[str] = "demote"


OfNetwork = Isolate | Mute | Heal | Cut | Uncut | Weather
OfDaemon = Freeze | Thaw | Kill | Start | Stop | Reload | Promote | Demote
OfMachine = (
    LinkDown | LinkUp | LinkDeleted | LinkCreated | AddressTaken | OwnAddresses | RefuseAddresses | RefuseSends
    | ClockStep | Check | Reading
)  # fmt: skip
Fault = OfNetwork | OfDaemon | OfMachine


def inject(lan: Lan, fault: Fault) -> None:
    """Do ``fault`` to ``lan``. Raises KeyError if it names a node, interface or instance that is not there."""
    if isinstance(fault, OfNetwork):
        _to_network(lan, fault)
    elif isinstance(fault, OfDaemon):
        _to_daemon(lan, fault)
    else:
        _to_machine(lan, fault)


def _to_network(lan: Lan, fault: OfNetwork) -> None:
    match fault:
        case Isolate(node):
            lan.cut((node,), lan.everybody)
            lan.cut(lan.everybody, (node,))
        case Mute(node):
            lan.cut(lan.everybody, (node,))
        case Heal(node):
            lan.uncut((node,), lan.everybody)
            lan.uncut(lan.everybody, (node,))
        case Cut(sender, receiver, name):
            lan.cut((sender,), (receiver,), name)
        case Uncut(sender, receiver, name):
            lan.uncut((sender,), (receiver,), name)
        case Weather(conditions, sender, receiver):
            lan.set_conditions(conditions, sender, receiver)
        case _:
            assert_never(fault)


def _to_daemon(lan: Lan, fault: OfDaemon) -> None:
    node = lan.nodes[fault.node]
    match fault:
        case Freeze():
            node.freeze()
        case Thaw():
            node.thaw()
        case Kill():
            node.crash()
        case Start():
            node.start()
        case Stop():
            node.stop()
        case Reload(configuration=after):
            reload(node, after)
        case Promote(instance=name):
            _operate(lan, fault.node, name, TakeOver("promoted by an operator"))
        case Demote(instance=name):
            _operate(lan, fault.node, name, GiveUp("demoted by an operator"))
        case _:
            assert_never(fault)


def _operate(lan: Lan, name: str, instance: str, event: TakeOver | GiveUp) -> None:
    node = lan.nodes[name]
    if node.alive and not node.frozen and not node.stopping and instance in node.stations:
        node.dispatch(instance, event)


def _to_machine(lan: Lan, fault: OfMachine) -> None:
    node = lan.nodes[fault.node]
    kernel = node.kernel
    match fault:
        case LinkDown(interface=name) | LinkUp(interface=name):
            kernel.set_carrier(name, is_up=isinstance(fault, LinkUp))
        case LinkDeleted(interface=name):
            kernel.delete(name)
        case LinkCreated(interface=name):
            kernel.create(name)
        case AddressTaken(interface=name, address=address):
            kernel.take_away(name, address)
        case OwnAddresses(interface=name, addresses=addresses):
            kernel.set_own_addresses(name, addresses)
        case RefuseAddresses(refuses=refuses):
            kernel.refuses_addresses = refuses
        case RefuseSends(errno=number):
            kernel.send_error = number
        case ClockStep(seconds=seconds):
            node.clock_offset += seconds
        case Check(key=key, outcome=outcome):
            node.outcomes[key] = outcome
        case Reading(key=key, value=value):
            node.readings[key] = value
        case _:
            assert_never(fault)
    node.links_changed()
    if isinstance(fault, LinkUp | LinkCreated):
        node.announce_on(fault.interface)
    mend(node)

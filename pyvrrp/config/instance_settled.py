"""The end of a ``vrrp_instance`` block: its keywords settled against each other, in keepalived's order and words.

Laws: pure. What leaves no sensible virtual router is an error and no instance; anything else is corrected, with a
warning. Reference: the messages of keepalived 2.2.7 under ``-t``, and its later versions where they know more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pyvrrp.config.instance_protocol import DEFAULT_PRIORITY
from pyvrrp.config.instance_state import InstanceBlock
from pyvrrp.config.tracking import in_order, without_weights
from pyvrrp.model import (
    OWNER_PRIORITY,
    Authentication,
    AuthType,
    GratuitousArp,
    HmacAuthentication,
    HmacMode,
    InitialState,
    Instance,
    Multicast,
    Tracked,
    TrackerKind,
    Unicast,
    Vmac,
    shortest_lease,
    usual_lease,
)

MAX_ADDRESSES = 255
"""The count of addresses in an ADVERTISEMENT is one byte (RFC 3768 section 5.3.5)."""
MTU = 1500
ETHERNET, IPV4, IPV6, VRRP, PASSWORD, AH, TRAILER = 14, 20, 40, 8, 8, 24, 28
"""Bytes of what stands around the addresses; keepalived counts the Ethernet header, too, though the MTU does not."""


def settle(block: InstanceBlock) -> Instance | None:
    """Return the virtual router, or None if an error has been noted."""
    if not _is_complete(block):
        return None
    return _Settled(block).instance()


def _is_complete(block: InstanceBlock) -> bool:
    block.interface = block.interface or block.defaults.interface
    if block.virtual_router_id is None:
        block.error("the virtual router id must be set")
    if not block.interface:
        block.error("has no interface: add interface eth0, or whatever it is")
    return bool(block.virtual_router_id and block.interface)


class _Settled:
    def __init__(self, block: InstanceBlock) -> None:
        self.block = block
        self.defaults = block.defaults
        self.strict = block.switches.get("strict_mode", block.defaults.strict)
        self.family = block.family or 4
        self.version = self._version()
        self.priority, self.state = self._priority()
        self.owner = self.priority == OWNER_PRIORITY

    def instance(self) -> Instance | None:
        block = self.block
        authentication = self._authentication()
        transport, may_run = self._transport()
        unicast = isinstance(transport, Unicast)
        hmac = self._hmac(authentication)
        if hmac is not None:
            authentication = Authentication()
        self._first_is_link_local(transport)
        self._fit(authentication, hmac)
        self._preemption()
        accept = self._accept()
        garp = self._garp()
        lower, higher, ignores = self._answers()
        vmac = self._vmac(transport)
        tracked = self._tracked()
        if not self._has_addresses() or not may_run or block.virtual_router_id is None:
            return None
        if self.strict and not accept:
            block.advise("strict_mode implies no_accept: the virtual addresses will not answer a ping")
        return Instance(
            block.name,
            block.interface,
            block.virtual_router_id,
            priority=self.priority,
            initial_state=self.state,
            version=self.version,
            family=self.family,
            authentication=authentication,
            hmac=hmac,
            transport=transport,
            check_unicast_source=unicast
            and block.switches.get("check_unicast_src", self.defaults.check_unicast_source),
            old_unicast_checksum=unicast and block.switched("old_unicast_checksum"),
            strict=self.strict,
            accept=accept,
            answers_lower_priority=lower,
            answers_higher_priority=higher,
            owner_ignores_adverts=ignores,
            promote_secondaries=block.switched("promote_secondaries") and not (vmac and not vmac.addresses_only),
            vmac=vmac,
            tracked=tracked,
            garp=garp,
            location=block.statement.location,
            **self._plain(),
        )

    def _plain(self) -> dict[str, Any]:
        """Return what depends on one keyword alone, or has been settled in the block itself."""
        block, said, defaults = self.block, self.block.switches, self.defaults
        interval = self._interval()
        return {
            "advert_interval": interval,
            "vip_lease": self._lease(interval),
            "preempt": block.preempt,
            "preempt_delay": block.preempt_delay,
            "source": block.source,
            "track_source": block.switched("track_src_ip"),
            "track_primary": not block.switched("dont_track_primary"),
            "checksum_as_v2": said.get("v3_checksum_as_v2", defaults.checksum_as_v2),
            "skip_check_addresses": said.get("skip_check_adv_addr", defaults.skip_check_addresses),
            "timer_expired_backup": block.timer_expired_backup,
            "receive_buffer": block.receive_buffer if block.receive_buffer is not None else defaults.receive_buffer,
            "addresses": tuple(block.addresses),
            "excluded": tuple(block.excluded),
            "routes": tuple(block.routes),
            "rules": tuple(block.rules),
            "notify": block.notify.scripts,
            "notify_priority_changes": _said(block.notify.priority_changes, defaults.notify_priority_changes),
            "notify_deleted": block.notify.deleted,
            "smtp_alert": _said(block.notify.smtp_alert, defaults.smtp_alert),
            "down_timer_adverts": block.down_timer_adverts,
            "debug": block.debug,
        }

    def _version(self) -> int:
        version = self.block.version or (3 if self.family == 6 else self.defaults.version or 2)
        if self.family == 6 and version == 2:
            tell = self.block.warn if self.strict else self.block.advise
            tell("cannot use IPv6 with VRRP version 2; setting version 3")
            version = 3
        return version

    def _priority(self) -> tuple[int, InitialState]:
        """Settle priority and state against each other, as keepalived does: MASTER without a priority is the owner."""
        block, state = self.block, self.block.state
        priority = block.priority or (OWNER_PRIORITY if state is InitialState.MASTER else DEFAULT_PRIORITY)
        natural = InitialState.MASTER if priority == OWNER_PRIORITY else InitialState.BACKUP
        if state is not None and self.strict and state is not natural:
            block.warn("State MASTER must match being address owner")
            state = natural
        return priority, state or natural

    def _authentication(self) -> Authentication:
        block = self.block
        asked = bool(block.auth_type)
        if not asked and block.password:
            block.advise("auth_pass without auth_type PASS has no effect")
        if asked and self.strict:
            block.warn("Strict mode does not support authentication. Ignoring.")
        elif asked and self.version == 3:
            block.warn("VRRP version 3 does not support authentication. Ignoring.")
        elif asked and not block.password:
            block.warn("Authentication specified but no password given. Ignoring")
        elif asked:
            kind = AuthType[block.auth_type]
            if kind is AuthType.AH and self.state is InitialState.MASTER and not self.owner:
                block.warn("Initial state master is incompatible with AH authentication - clearing")
                self.state = InitialState.BACKUP
            return Authentication(kind, block.password)
        return Authentication()

    def _hmac(self, authentication: Authentication) -> HmacAuthentication | None:
        block, lines = self.block, self.block.hmac
        if lines is None:
            return None
        if lines.active_key not in lines.keys:
            # keepalived goes on unsigned; a router that asks for signatures must not be believed to have them.
            block.error(f"auth_hmac active_key {lines.active_key} is not defined: no good key has this number")
            return None
        if authentication.type is not AuthType.NONE:
            block.warn("auth_hmac cannot be combined with authentication, dropping legacy auth")
        mode = lines.mode
        if self.strict and mode is not HmacMode.ENFORCE:
            block.warn("strict mode requires auth_hmac mode enforce")
            mode = HmacMode.ENFORCE
        window = lines.time_window or min(300, max(5, 3 * int(block.advert_interval)))
        return HmacAuthentication(dict(lines.keys), lines.active_key, lines.monotonic, window, mode)

    def _transport(self) -> tuple[Multicast | Unicast, bool]:
        """Return where advertisements go, and whether that is possible at all."""
        block, peers = self.block, tuple(self.block.peers)
        fault = block.switched("unicast_fault_no_peer")
        if block.unicast_ttl is not None and not peers:
            block.notes.warn(
                block.statement, f"({block.name}): Cannot use unicast_ttl without unicast peers - resetting"
            )
        if block.unicast and not peers and not fault:
            block.warn(
                "A unicast keyword has been specified without any unicast peers. Defaulting to multicast."
                " This usage is deprecated - please update your configuration."
            )
        if not peers and not (block.unicast and fault):
            group = self.defaults.multicast_group6 if self.family == 6 else self.defaults.multicast_group4
            return Multicast(block.group or group), True
        if not peers:
            block.advise("Cannot use unicast without any peers - going to fault state")
        if block.group is not None:
            block.warn("multicast destination specified with unicast - ignoring")
        if self.strict:
            block.error("Unicast peers are not supported in strict mode")
        return Unicast(peers, block.unicast_ttl or 255, fault), not self.strict

    def _first_is_link_local(self, transport: Multicast | Unicast) -> None:
        first = self.block.addresses[0].ip if self.block.addresses else None
        if first is None or first.version == 4 or isinstance(transport, Unicast) or first.is_link_local:
            return
        if self.strict:
            self.block.warn("the first IPv6 VIP address must be link local")
        else:
            self.block.advise("the first IPv6 VIP address should be link local (RFC 5798 section 5.2.9)")

    def _fit(self, authentication: Authentication, hmac: HmacAuthentication | None) -> None:
        """Move the addresses that an ADVERTISEMENT has no room for to the excluded ones."""
        around = ETHERNET + (IPV6 if self.family == 6 else IPV4) + VRRP
        around += PASSWORD if self.version == 2 else 0
        around += AH if authentication.type is AuthType.AH else 0
        around += TRAILER if hmac is not None else 0
        most = min(MAX_ADDRESSES, (MTU - around) // (16 if self.family == 6 else 4))
        block = self.block
        if len(block.addresses) > most:
            block.warn(
                f"Number of VIPs ({len(block.addresses)}) exceeds maximum/space available in packet"
                f" (max {most} addresses) - excess moved to eVIPs"
            )
            block.excluded += block.addresses[most:]
            del block.addresses[most:]

    def _preemption(self) -> None:
        block = self.block
        master = self.state is InitialState.MASTER
        if not block.preempt and (master or self.owner):
            block.preempt = True
            block.warn(
                "nopreempt is incompatible with priority 255. resetting nopreempt"
                if self.owner
                else "Warning - nopreempt will not work with initial state MASTER - clearing"
            )
        for wrong, message in (
            (master or self.owner, "Warning - preempt delay will not work with initial state MASTER - clearing"),
            (self.strict, "preempt_delay is incompatible with strict mode - resetting"),
            (not block.preempt, "preempt_delay is incompatible with nopreempt mode - resetting"),
        ):
            if block.preempt_delay and wrong:
                block.preempt_delay = 0.0
                block.warn(message)
        if self.strict and block.down_timer_adverts != 3:
            block.warn("down_timer_adverts is incompatible with strict mode - resetting")
            block.down_timer_adverts = 3
        if block.preempt and block.timer_expired_backup:
            block.warn("expired_timer_backup requires nopreempt - resetting")
            block.timer_expired_backup = 0.0

    def _accept(self) -> bool:
        accept = self.block.switches.get("accept", self.owner or not self.strict)
        if accept and self.strict and not self.owner and self.version == 2:
            self.block.warn("warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting")
            return False
        return accept

    def _garp(self) -> GratuitousArp:
        block, garp = self.block, self.block.garp.values
        if not self.strict:
            return garp
        said = {statement.name for statement in block.statement.block or ()}
        if garp.lower_prio_repeat and "garp_lower_prio_repeat" in said:
            block.warn("Strict mode requires no repeat garps. resetting")
        if garp.lower_prio_delay and "garp_lower_prio_delay" in said:
            block.warn("Strict mode requires no repeat garp delay. resetting")
        return replace(garp, lower_prio_repeat=0, lower_prio_delay=0.0)

    def _answers(self) -> tuple[bool, bool | None, bool]:
        """Return whether a lower and a higher priority are answered, and whether an owner does not listen at all."""
        block, said = self.block, self.block.switches
        silent = said.get("lower_prio_no_advert", self.strict or not self.defaults.answers_lower_priority)
        if self.strict and not silent:
            block.warn("Strict mode requires no lower priority advert. resetting")
            silent = True
        higher = said.get("higher_prio_send_advert", None if self.strict else self.defaults.answers_higher_priority)
        if self.strict:
            if higher:
                block.warn("strict mode requires higher_prio_send_advert to be clear. resetting")
            higher = False
        ignores = said.get("owner_ignore_adverts")
        if not self.owner:
            if ignores:
                block.warn("ignoring owner_ignore_adverts since priority is not 255")
            return not silent, higher, False
        if ignores is None:
            ignores = self.strict or self.defaults.owner_ignores_adverts
        elif not ignores:
            # Against the manual, keepalived says no to `off` here whether or not the mode is strict.
            block.warn("strict_mode with priority 255 requires owner_ignore_adverts")
            ignores = True
        return not silent, higher, ignores

    def _interval(self) -> float:
        """Return ``advert_int`` as the version can say it: whole seconds (RFC 3768 5.3.7), or units of 10 ms."""
        block, seconds = self.block, self.block.advert_interval
        said = next((one for one in block.statement.block or () if one.name == "advert_int"), None)
        if self.version == 2:
            whole = float(max(1, int(seconds + 0.5)))
            if seconds != whole:
                block.warn(f"VRRPv2 advertisement interval {seconds:.6f}s must be an integer. rounding", said)
            return whole
        microseconds = round(seconds * 1_000_000)
        if microseconds >= 40_960_000:
            block.warn(
                f"VRRPv3 advertisement interval {seconds:.2f}s is out of range. Must be less than 40.96s."
                " Setting to 40.95s",
                said,
            )
            return 40.95
        if microseconds % 10_000:
            block.warn(f"VRRPv3 advertisement interval {seconds:.6f}s must be in units of 10ms - rounding", said)
        return (microseconds + 5_000) // 10_000 / 100

    def _lease(self, interval: float) -> int | None:
        block, least = self.block, shortest_lease(interval)
        if block.vip_lease is None:
            return usual_lease(interval, block.down_timer_adverts)
        if 0 < block.vip_lease < least:
            said = next((one for one in block.statement.block or () if one.name == "vip_lease"), None)
            why = f"with advert_int {interval:g}: the addresses would be gone before they are renewed"
            block.error(f"vip_lease {block.vip_lease} is too short {why}; at least {least}, or off", said)
            return least
        return block.vip_lease or None

    def _vmac(self, transport: Multicast | Unicast) -> Vmac | None:
        block, vmac, base = self.block, self.block.vmac, self.block.switched("vmac_xmit_base")
        if vmac is None and block.switched("use_vmac_addr"):
            vmac = Vmac(addresses_only=True)
        if base and (vmac is None or vmac.addresses_only):
            block.warn("vmac_xmit_base is only valid with a vmac")
        if vmac is None or vmac.addresses_only:
            return vmac
        if self.strict and vmac.address is not None:
            block.notes.warn(block.statement, f"({block.name}): cannot specify MAC address with strict mode - clearing")
            vmac = replace(vmac, address=None)
        if vmac.address is not None and len(vmac.address) == 5:
            vmac = replace(vmac, address=vmac.address + bytes([block.virtual_router_id or 0]))
        if isinstance(transport, Unicast) and not base:
            block.warn("unicast with use_vmac requires vmac_xmit_base - setting")
            base = True
        if base and self.strict:
            block.warn("xmit_base is incompatible with strict mode - resetting")
            base = False
        if block.switched("promote_secondaries"):
            block.warn("promote_secondaries is automatically set for vmacs - ignoring")
        return replace(vmac, xmit_base=base)

    def _tracked(self) -> tuple[Tracked, ...]:
        block = self.block
        own = (TrackerKind.INTERFACE, block.interface)
        if own in block.tracked.found:
            block.warn(f"Ignoring track_interface {block.interface} since own interface")
            del block.tracked.found[own]
        found = list(block.tracked.found.values())
        if self.owner:
            found = without_weights(found, block.name, self.priority, block.statement, block.notes)
        return in_order(found)

    def _has_addresses(self) -> bool:
        block = self.block
        if block.switched("no_virtual_ipaddress") and self.strict:
            block.warn("no_virtual_ipaddress and strict mode incompatible, clearing no_virtual_ipaddress")
        if block.addresses or (block.switched("no_virtual_ipaddress") and not self.strict):
            return True
        if self.version == 3 or self.strict:
            block.error("No VIP specified; at least one is required")
            return False
        block.warn("No VIP specified; at least one is sensible")
        return True


def _said(*values: bool | None) -> bool:
    return next((value for value in values if value is not None), False)

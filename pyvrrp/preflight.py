"""What a configuration needs of this machine and does not find: asked by ``-t``, in keepalived's words.

Laws: it looks and changes nothing; it needs no privilege. The daemon looks again by itself when it starts.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from hakit.diagnostics import Diagnostic, Severity
from hakit.script import insecurity_of
from pyvrrp.model import Configuration, TrackerKind


def missing_interfaces(configuration: Configuration) -> Iterator[Diagnostic]:
    """Yield a finding for every interface that an instance names and this machine does not have."""
    if configuration.settings.dynamic_interfaces:
        return
    prefix = configuration.settings.vmac_prefix
    made = {one.vmac.name or f"{prefix}.{one.virtual_router_id}" for one in configuration.instances if one.vmac}
    present = {name for _, name in socket.if_nameindex()} | made
    for instance in configuration.instances:
        for name in sorted((instance.devices | {*instance.track_interfaces}) - present):
            message = f"WARNING - interface {name} for vrrp_instance {instance.name} doesn't exist"
            yield Diagnostic(Severity.WARNING, instance.location, message)


def loopback_interfaces(configuration: Configuration) -> Iterator[Diagnostic]:
    """Yield a finding for every instance on a loopback interface: there is nobody to elect a master with."""
    for instance in configuration.instances:
        if instance.interface == "lo":
            message = f"({instance.name}) cannot use a loopback interface ({instance.interface}) for vrrp"
            yield Diagnostic(Severity.WARNING, instance.location, message)


def unusable_scripts(configuration: Configuration) -> Iterator[Diagnostic]:
    """Yield a finding for every tracked script that would not be run: missing, not executable, or insecure."""
    if not configuration.settings.script_security:
        return
    lines = [line for instance in configuration.instances for line in instance.track_scripts]
    lines += [line for group in configuration.groups for line in group.tracked if line.kind is TrackerKind.SCRIPT]
    tracked = {line.name for line in lines}
    for script in configuration.scripts:
        wrong = insecurity_of(script.script.words, script.script.user) if script.name in tracked else None
        if wrong is not None:
            message = f"track script {script.name} would not be run and count as failed: {wrong}"
            yield Diagnostic(Severity.WARNING, script.location, message)

"""From statements to the model: the root of keepalived.conf(5), and what is checked across its blocks.

Laws: pure. All errors of a file are told at once. What keepalived would say once its parser is done is said here, too,
and besides what follows from the configuration and takes people by surprise: a weight that lowers a priority by too
little, a password that everybody on the LAN can read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hakit.diagnostics import Findings, Location
from pyvrrp.config import global_block
from pyvrrp.config.global_block import GlobalBlock
from pyvrrp.config.instance_block import InstanceBlock
from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.known import ROOT
from pyvrrp.config.script_block import ScriptBlock
from pyvrrp.config.tracking import Defined
from pyvrrp.config.tree import Statement, parse
from pyvrrp.model import AuthType, Configuration, GlobalSettings, Instance


@dataclass(slots=True)
class Root:
    """A whole file while it is read."""

    notes: Notes
    defaults: GlobalBlock
    scripts: dict[str, Defined] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    names: dict[str, Location] = field(default_factory=dict)

    def global_defs(self, statement: Statement) -> None:
        """``global_defs { ... }``."""
        global_block.TABLE.read(self.defaults, statement.block or (), self.notes)

    def vrrp_script(self, statement: Statement) -> None:
        """``vrrp_script NAME { ... }``."""
        block = ScriptBlock(statement, self.notes, self.defaults.script_user)
        script = block.finish()
        if self._is_new(statement) and script is not None:
            self.scripts[block.name] = Defined(script, block.reverse)

    def vrrp_instance(self, statement: Statement) -> None:
        """``vrrp_instance NAME { ... }``."""
        instance = InstanceBlock(statement, self.notes, self.defaults, self.scripts).finish()
        if self._is_new(statement) and instance is not None:
            self.instances[instance.name] = instance

    def _is_new(self, statement: Statement) -> bool:
        name = statement.parameters[0].text
        if not name.isprintable() or not name:
            self.notes.error(statement, f"the name of a {statement.name} has to be printable: letters, digits, _ and -")
            return False
        first = self.names.setdefault(f"{statement.name} {name}", statement.location)
        if first is not statement.location:
            self.notes.error(statement, f"{statement.name} {name} is defined twice: first at {first}")
        return first is statement.location

    def check(self) -> None:
        """Note what only shows across blocks."""
        used: dict[tuple[str, int], Instance] = {}
        for instance in self.instances.values():
            key = instance.interface, instance.virtual_router_id
            other = used.setdefault(key, instance)
            if other is not instance:
                self.notes.error(
                    instance.location,
                    f"{other.name} and {instance.name} both use VRID {instance.virtual_router_id}"
                    f" with IPv4 on interface {instance.interface}",
                )
            self._foresee(instance)
        tracked = {line.name for instance in self.instances.values() for line in instance.track_scripts}
        for name in [name for name in self.scripts if name not in tracked]:
            self.notes.advise(self.scripts.pop(name).script.location, f"Warning - script {name} is not used")

    def _foresee(self, instance: Instance) -> None:
        for line in instance.track_scripts:
            if line.weight >= 0 or line.reverse:
                continue
            left = max(1, instance.priority + line.weight)
            self.notes.advise(
                instance.location,
                f"({instance.name}) a failing {line.name} lowers priority {instance.priority} to {left}:"
                f" the addresses move only to a router whose priority is above {left}",
            )
        if instance.authentication.type is AuthType.PASS:
            self.notes.advise(
                instance.location,
                f"({instance.name}) auth_type PASS sends its password in clear text:"
                f" everybody on the network of {instance.interface} can read it",
            )


TABLE: Table[Root] = Table(
    {
        "global_defs": Keyword(Root.global_defs, parameters=0, block=True),
        "vrrp_script": Keyword(Root.vrrp_script, block=True),
        "vrrp_instance": Keyword(Root.vrrp_instance, block=True),
    },
    ROOT,
)


def build(statements: tuple[Statement, ...], findings: Findings, file: str, *, strict: bool = False) -> Configuration:
    """Return what ``statements`` say; raises ConfigError with everything found. ``strict``: as for ``Notes``."""
    notes = Notes(findings, strict=strict)
    root = Root(notes, GlobalBlock(notes))
    TABLE.read(root, statements, notes)
    root.check()
    if not root.instances:
        notes.advise(Location(file), "there is no vrrp_instance: nothing will be run")
    findings.raise_if_errors()
    user, _ = root.defaults.script_user or (None, None)
    return Configuration(
        tuple(root.instances.values()),
        tuple(defined.script for defined in root.scripts.values()),
        GlobalSettings(
            router_id=root.defaults.router_id,
            script_user=user,
            script_security=root.defaults.script_security,
        ),
    )


def read_keepalived(text: str, file: str, findings: Findings) -> Configuration:
    """Return what the text of a keepalived.conf says; warnings go to ``findings``, errors raise ConfigError."""
    return build(parse(text, file, findings), findings, file)

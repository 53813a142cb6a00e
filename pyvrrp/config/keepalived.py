"""From statements to the model: the root of keepalived.conf(5), and what is checked across its blocks.

Laws: pure. All errors of a file are told at once. What keepalived would say once its parser is done is said here, too,
and besides what follows from the configuration and takes people by surprise: a weight that lowers a priority by too
little, a password that everybody on the LAN can read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hakit.diagnostics import Findings, Location
from pyvrrp.config import global_block
from pyvrrp.config.carried_lines import Lines
from pyvrrp.config.global_block import GlobalBlock
from pyvrrp.config.group_block import GroupBlock, finished
from pyvrrp.config.instance_block import read_instance
from pyvrrp.config.keywords import Keyword, Notes, Table
from pyvrrp.config.known import ROOT, Disposition
from pyvrrp.config.root_words import StaticBlocks, with_settling, with_spacing
from pyvrrp.config.script_block import ScriptBlock
from pyvrrp.config.surroundings import Surroundings
from pyvrrp.config.tracker_blocks import FileBlock, HttpBlock, ProcessBlock
from pyvrrp.config.tracking import Trackers, without_weights
from pyvrrp.config.tree import Statement, parse
from pyvrrp.model import (
    AuthType,
    Configuration,
    GlobalSettings,
    Instance,
    SyncGroup,
    TrackerKind,
    TrackFile,
    TrackHttp,
    TrackProcess,
    TrackScript,
)

FIRST_PREFERENCE = 16384
"""Of a rule that has none; the next one of its family gets one less, as in keepalived."""


@dataclass(slots=True)
class Root:
    """A whole file while it is read."""

    notes: Notes
    globals: GlobalBlock
    surroundings: Surroundings
    static: StaticBlocks = field(init=False)
    trackers: Trackers = field(default_factory=Trackers)
    instances: dict[str, Instance] = field(default_factory=dict)
    groups: dict[str, SyncGroup] = field(default_factory=dict)
    names: dict[str, Location] = field(default_factory=dict)
    preferences: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lines = Lines(self.notes, self.surroundings, static=True)
        self.static = StaticBlocks(self.notes, lines, self.next_preference)

    def next_preference(self, family: int) -> int:
        """Return the priority for a rule of ``family`` without one."""
        self.preferences[family] = self.preferences.get(family, FIRST_PREFERENCE + 1) - 1
        return self.preferences[family]

    def global_defs(self, statement: Statement) -> None:
        """``global_defs { ... }``."""
        global_block.TABLE.read(self.globals, statement.block or (), self.notes)

    def vrrp_script(self, statement: Statement) -> None:
        """``vrrp_script NAME { ... }``."""
        script = ScriptBlock(statement, self.notes, self.globals.script_user).finish()
        if self._is_new(statement) and script is not None:
            self.trackers.define(script)

    def track_file(self, statement: Statement) -> None:
        """``track_file NAME { ... }``, once ``vrrp_track_file``."""
        file = FileBlock(statement, self.notes).finish()
        if self._is_new(statement, "track_file") and file is not None:
            self.trackers.define(file)

    def vrrp_track_process(self, statement: Statement) -> None:
        """``vrrp_track_process NAME { ... }``."""
        process = ProcessBlock(statement, self.notes).finish()
        if self._is_new(statement) and process is not None:
            self.trackers.define(process)

    def vrrp_track_http(self, statement: Statement) -> None:
        """``vrrp_track_http NAME { ... }``, which keepalived does not have."""
        url = HttpBlock(statement, self.notes).finish()
        if self._is_new(statement) and url is not None:
            self.trackers.define(url)

    def vrrp_sync_group(self, statement: Statement) -> None:
        """``vrrp_sync_group NAME { ... }``."""
        defaults = self.globals.defaults
        group = GroupBlock(
            statement, self.notes, self.trackers, self.globals.script_user, bool(defaults.smtp_alert)
        ).read()
        if self._is_new(statement) and group is not None:
            self.groups[group.name] = group

    def vrrp_instance(self, statement: Statement) -> None:
        """``vrrp_instance NAME { ... }``."""
        instance = read_instance(
            statement, self.notes, self.globals.defaults, self.trackers, self.surroundings, self.next_preference
        )
        if self._is_new(statement) and instance is not None:
            self.instances[instance.name] = instance

    def track_group(self, statement: Statement) -> None:
        """``track_group NAME { group { ... } }``."""
        if self._is_new(statement):
            self.static.read_group(statement)

    def static_ipaddress(self, statement: Statement) -> None:
        """``static_ipaddress { ... }``."""
        self.static.read_addresses(statement, self.globals.default_interface)

    def static_routes(self, statement: Statement) -> None:
        """``static_routes { ... }``."""
        self.static.read_routes(statement)

    def static_rules(self, statement: Statement) -> None:
        """``static_rules { ... }``."""
        self.static.read_rules(statement)

    def garp_group(self, statement: Statement) -> None:
        """``garp_group { ... }``."""
        self.globals.settings = with_spacing(self.globals.settings, statement, self.notes)

    def interface_up_down_delays(self, statement: Statement) -> None:
        """``interface_up_down_delays { ... }``."""
        self.globals.settings = with_settling(self.globals.settings, statement, self.notes)

    def net_namespace(self, statement: Statement) -> None:
        """``net_namespace NAME``."""
        self.globals.settings = replace(self.globals.settings, namespace=statement.parameters[0].text)

    def instance_name(self, statement: Statement) -> None:
        """``instance NAME``: tells several daemons on one host apart."""
        self.globals.settings = replace(self.globals.settings, instance_name=statement.parameters[0].text)

    def use_pid_dir(self, statement: Statement) -> None:
        """``use_pid_dir``."""
        self.globals.settings = replace(self.globals.settings, use_pid_dir=statement.name == "use_pid_dir")

    def bfd_instance(self, statement: Statement) -> None:
        """``bfd_instance``: an error, for whatever tracks it would be told nothing."""
        name = statement.parameters[0].text
        self.notes.error(statement, f"bfd_instance {name} is not supported: track a script, a process or a URL instead")

    def _is_new(self, statement: Statement, kind: str = "") -> bool:
        name = statement.parameters[0].text
        if not name.isprintable() or not name:
            self.notes.error(statement, f"the name of a {statement.name} has to be printable: letters, digits, _ and -")
            return False
        first = self.names.setdefault(f"{kind or statement.name} {name}", statement.location)
        if first is not statement.location:
            self.notes.error(statement, f"{statement.name} {name} is defined twice: first at {first}")
        return first is statement.location

    def check(self) -> None:
        """Note what only shows across blocks."""
        taken: set[str] = set()
        found = (finished(group, self.instances, taken, self.notes) for group in self.groups.values())
        self.groups = {group.name: group for group in found if group is not None}
        for group in self.groups.values():
            if not group.uses_weights:
                self._clear_weights(group)
        used: dict[tuple[str, int, int, bool], Instance] = {}
        for instance in self.instances.values():
            other = used.setdefault(instance.identity, instance)
            if other is not instance:
                self.notes.error(
                    instance.location,
                    f"{other.name} and {instance.name} both use VRID {instance.virtual_router_id}"
                    f" with IPv{instance.family} on interface {instance.interface}",
                )
            self._foresee(instance)
        self._drop_unused()

    def _clear_weights(self, group: SyncGroup) -> None:
        for name in group.members:
            one = self.instances[name]
            kept = without_weights(one.tracked, name, one.priority, one.location, self.notes)
            self.instances[name] = replace(one, tracked=tuple(kept))

    def _drop_unused(self) -> None:
        users: list[Instance | SyncGroup] = [*self.instances.values(), *self.groups.values()]
        tracked = {line.key for user in users for line in user.tracked}
        for key in [key for key in self.trackers.found if key not in tracked]:
            what = {TrackerKind.SCRIPT: "script", TrackerKind.FILE: "track_file"}.get(key[0], f"vrrp_{key[0].value}")
            place = self.trackers.found.pop(key).location
            self.notes.advise(place, f"Warning - {what} {key[1]} is not used")

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

    def configuration(self) -> Configuration:
        """Return all of it."""
        trackers = self.trackers.found.values()
        return Configuration(
            tuple(self.instances.values()),
            scripts=tuple(one for one in trackers if isinstance(one, TrackScript)),
            settings=self._settings(),
            groups=tuple(self.groups.values()),
            files=tuple(one for one in trackers if isinstance(one, TrackFile)),
            processes=tuple(one for one in trackers if isinstance(one, TrackProcess)),
            urls=tuple(one for one in trackers if isinstance(one, TrackHttp)),
            static_addresses=tuple(self.static.addresses),
            static_routes=tuple(self.static.routes),
            static_rules=tuple(self.static.rules),
            track_groups=self.static.finished(self.instances),
        )

    def _settings(self) -> GlobalSettings:
        user, group = self.globals.script_user or (None, None)
        return replace(
            self.globals.settings,
            router_id=self.globals.router_id,
            script_user=user,
            script_group=group,
            script_security=self.globals.script_security,
            defaults=self.globals.defaults.settled(),
        )


def _block(handle: Callable[[Root, Statement], None], tier: int, about: str, parameters: int = 1) -> Keyword[Root]:
    return Keyword(handle, parameters=parameters, block=True, tier=tier, about=about)


TABLE: Table[Root] = Table(
    {
        "global_defs": _block(
            Root.global_defs, 1, "What holds for the daemon, and defaults of the instances behind it.", 0
        ),
        "vrrp_script": _block(Root.vrrp_script, 1, "A script whose success can be tracked."),
        "vrrp_instance": _block(Root.vrrp_instance, 1, "A virtual router."),
        "vrrp_sync_group": _block(Root.vrrp_sync_group, 2, "Instances that are master together, or not at all."),
        "track_file": _block(Root.track_file, 2, "A file whose number can be tracked."),
        "vrrp_track_file": _block(Root.track_file, 2, "Old name of track_file."),
        "vrrp_track_process": _block(Root.vrrp_track_process, 2, "Processes that can be tracked."),
        "vrrp_track_http": _block(Root.vrrp_track_http, 0, "A URL that can be tracked; keepalived does not have it."),
        "track_group": _block(Root.track_group, 3, "Instances that static things belong to."),
        "static_ipaddress": _block(Root.static_ipaddress, 3, "Addresses that are there whoever is master.", 0),
        "static_routes": _block(Root.static_routes, 3, "Routes that are there whoever is master.", 0),
        "static_rules": _block(Root.static_rules, 3, "Rules that are there whoever is master.", 0),
        "garp_group": _block(Root.garp_group, 3, "How far apart gratuitous ARPs of some interfaces are.", 0),
        "interface_up_down_delays": _block(
            Root.interface_up_down_delays, 3, "Seconds for which a change of a link has to last: IF DOWN [UP].", 0
        ),
        "net_namespace": Keyword(Root.net_namespace, tier=3, about="The network namespace to run in."),
        "instance": Keyword(Root.instance_name, tier=3, about="Tells several daemons on one host apart."),
        "use_pid_dir": Keyword(
            Root.use_pid_dir, parameters=0, tier=3, default="off", about="Pid files go to /run/keepalived."
        ),
        "bfd_instance": Keyword(Root.bfd_instance, block=True, tier=3, about="BFD.", disposition=Disposition.REFUSED),
    },
    ROOT,
)


def build(
    statements: tuple[Statement, ...],
    findings: Findings,
    file: str,
    *,
    strict: bool = False,
    surroundings: Surroundings | None = None,
) -> Configuration:
    """Return what ``statements`` say; raises ConfigError with everything found. ``strict``: as for ``Notes``."""
    notes = Notes(findings, strict=strict)
    root = Root(notes, GlobalBlock(notes), surroundings or Surroundings())
    TABLE.read(root, statements, notes)
    root.check()
    configuration = root.configuration()
    if not root.instances:
        notes.advise(Location(file), "there is no vrrp_instance: nothing will be run")
    findings.raise_if_errors()
    return configuration


def read_keepalived(
    text: str, file: str, findings: Findings, surroundings: Surroundings | None = None
) -> Configuration:
    """Return what the text of a keepalived.conf says; warnings go to ``findings``, errors raise ConfigError."""
    return build(parse(text, file, findings), findings, file, surroundings=surroundings)

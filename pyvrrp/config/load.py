"""From a file to a Configuration: the only code of the package that opens configuration files.

Laws: the name decides (``.yaml`` and ``.yml``: YAML; anything else: keepalived.conf). Whatever the files hold, the
result is a configuration or a ConfigError; a file that cannot be read is never an empty configuration (keepalived
2.2.7 ends ``-t`` on a missing file with 0). Included files are found relative to the file that includes them.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hakit.diagnostics import ConfigError, Diagnostic, Findings, Location
from pyvrrp.config.expand import Expansion, Outside
from pyvrrp.config.include import Included, SkippedError
from pyvrrp.config.keepalived import build
from pyvrrp.config.surroundings import KeyFile, Surroundings, named_numbers
from pyvrrp.config.tree import Statement, statements_of
from pyvrrp.config.yaml_text import statements_of_yaml
from pyvrrp.model import Configuration

IPROUTE2 = (Path("/etc/iproute2"), Path("/usr/share/iproute2"))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, what there is to say about it in the order of the file, and the files that it was read from.

    ``statements`` are what it was made of: for those who want to say where something stands.
    """

    configuration: Configuration
    warnings: tuple[Diagnostic, ...] = ()
    files: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = field(default=(), repr=False, compare=False)


class IncludedFiles:
    """Finds and reads the files of ``include`` lines; names are relative to the current directory."""

    def find(self, pattern: str) -> Sequence[str]:
        """Return the paths that ``pattern`` matches, sorted; one without wildcards is itself, if it is there."""
        if glob.has_magic(pattern):
            return sorted(glob.glob(pattern))  # noqa: PTH207  # a pathlib glob would not keep the path as it is written
        return [pattern] if os.path.lexists(pattern) else []

    def read(self, path: str) -> Included:
        """Return the file; raises SkippedError, or ConfigError for one that is not text."""
        try:
            mode = Path(path).stat().st_mode
            if stat.S_ISDIR(mode):
                raise SkippedError(f"Configuration file '{path}' is a directory - skipping", harmless=True)
            if not stat.S_ISREG(mode) or mode & 0o111:
                message = f"Configuration file '{path}' is not a regular non-executable file - skipping"
                raise SkippedError(message, harmless=True)
            content = Path(path).read_bytes()
        except OSError as wrong:
            message = f"Configuration file '{path}' open problem ({wrong.strerror}) - skipping"
            raise SkippedError(message, harmless=False) from wrong
        whole = Path(path).resolve()
        return Included(decode(content, path), str(whole), str(whole.parent))


def load(path: str | Path, config_id: str | None = None, environment: Mapping[str, str] | None = None) -> Loaded:
    """Return what the file at ``path`` says; raises ConfigError.

    ``config_id``: what ``@id`` is compared with, None for the short name of this host. ``environment``: what
    ``${_ENV NAME}`` is taken from, None for that of this process.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as wrong:
        raise ConfigError.at(Location(str(path)), f"the configuration cannot be read: {wrong.strerror}") from wrong
    return read(content, str(path), config_id, environment)


def read(
    content: bytes, file: str, config_id: str | None = None, environment: Mapping[str, str] | None = None
) -> Loaded:
    """Return what the content of a file called ``file`` says; as ``load`` for the rest."""
    text = decode(content, file)
    findings = Findings()
    if file.endswith((".yaml", ".yml")):
        statements = statements_of_yaml(text, file, findings)
        configuration = build(statements, findings, file, strict=True, surroundings=surroundings())
        return Loaded(configuration, findings.warnings, (file,), statements)
    outside = Outside(
        config_id=os.uname().nodename.partition(".")[0] if config_id is None else config_id,
        environment=os.environ if environment is None else environment,
        directory=str(Path(file).resolve().parent),
        seed=int.from_bytes(os.urandom(4)),
        reader=IncludedFiles(),
    )
    lines = Expansion(text, file, findings, outside)
    statements = statements_of(lines, file, findings)
    configuration = build(statements, findings, file, surroundings=surroundings())
    return Loaded(configuration, findings.warnings, tuple(lines.files), statements)


def surroundings() -> Surroundings:
    """Return the names that this host has for routing tables and the like, and a reader of files with keys."""
    return Surroundings(
        scopes=_names("rt_scopes"),
        tables=_names("rt_tables"),
        protocols=_names("rt_protos"),
        groups=_names("group"),
        realms=_names("rt_realms"),
        read_key=read_key,
    )


def _names(table: str) -> Mapping[str, int]:
    directory = next((path for path in IPROUTE2 if (path / table).is_file()), IPROUTE2[0])
    texts: list[str] = []
    for path in (directory / table, *sorted((IPROUTE2[0] / f"{table}.d").glob("*.conf"))):
        try:
            texts.append(path.read_text(errors="replace"))
        except OSError:
            continue  # without the file, the names that iproute2 fixes hold
    return named_numbers(table, texts)


def read_key(path: str) -> KeyFile:
    """Return the file with a key of ``auth_hmac``; raises OSError."""
    with Path(path).open("rb") as file:
        return KeyFile(file.read(4096), exposed=bool(os.fstat(file.fileno()).st_mode & 0o077))


def decode(content: bytes, file: str) -> str:
    """Return the text of a file; raises ConfigError where it is not UTF-8 or holds a zero byte."""
    try:
        text = content.decode()
        wrong_byte, cause = content.find(0), None
    except UnicodeDecodeError as wrong:
        text, wrong_byte, cause = "", wrong.start, wrong
    if wrong_byte >= 0:
        line = content.count(b"\n", 0, wrong_byte) + 1
        column = wrong_byte - content.rfind(b"\n", 0, wrong_byte)
        what = "is a zero" if cause is None else "is not UTF-8: save the file as UTF-8"
        raise ConfigError.at(Location(file, line, column), f"this byte {what}") from cause
    return text.removeprefix("\ufeff")

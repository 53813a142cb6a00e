"""From a file to a Configuration: the only code of the package that opens configuration files.

Laws: the name decides (``.yaml`` and ``.yml``: YAML; anything else: keepalived.conf). Whatever the file holds, the
result is a configuration or a ConfigError; a file that cannot be read is never an empty configuration (keepalived
2.2.7 ends ``-t`` on a missing file with 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hakit.diagnostics import ConfigError, Diagnostic, Findings, Location
from pyvrrp.config.keepalived import read_keepalived
from pyvrrp.config.yaml_text import read_yaml
from pyvrrp.model import Configuration


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration, what there is to say about it in the order of the file, and the files that it was read from."""

    configuration: Configuration
    warnings: tuple[Diagnostic, ...] = ()
    files: tuple[str, ...] = ()


def load(path: str | Path) -> Loaded:
    """Return what the file at ``path`` says; raises ConfigError."""
    file = Path(path)
    try:
        content = file.read_bytes()
    except OSError as wrong:
        raise ConfigError.at(Location(str(path)), f"the configuration cannot be read: {wrong.strerror}") from wrong
    return read(content, str(path))


def read(content: bytes, file: str) -> Loaded:
    """Return what the content of a file called ``file`` says; raises ConfigError."""
    try:
        text = content.decode()
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        column = wrong.start - content.rfind(b"\n", 0, wrong.start)
        raise ConfigError.at(Location(file, line, column), "this byte is not UTF-8: save the file as UTF-8") from wrong
    findings = Findings()
    reader = read_yaml if file.endswith((".yaml", ".yml")) else read_keepalived
    configuration = reader(text.removeprefix("\ufeff"), file, findings)
    return Loaded(configuration, findings.warnings)

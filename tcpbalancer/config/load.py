"""Reads configuration files: the only module here that opens files and looks up names.

Laws: any text gives a Configuration or a ConfigError that holds every error of every file; nothing else comes out. A
name that ends in .yaml or .yml is YAML, everything else haproxy.cfg. A folder stands for its ``*.cfg`` files in order.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hakit.diagnostics import Diagnostic, Location, Severity
from tcpbalancer.config.advice import advise
from tcpbalancer.config.build import Resolve, build
from tcpbalancer.config.findings import FILE, Report
from tcpbalancer.config.interpret import interpret
from tcpbalancer.config.sections import Section, SectionReader
from tcpbalancer.model import Configuration

YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and what is to be told about it; there are no errors among ``warnings``."""

    configuration: Configuration
    warnings: tuple[Diagnostic, ...]


def load(paths: Iterable[str | Path], environment: Mapping[str, str] = os.environ) -> Loaded:
    """Read files (and folders of ``*.cfg``) as one configuration; raises ConfigError."""
    report = Report()
    texts: list[tuple[str, str]] = []
    for path in paths:
        try:
            texts += [(str(file), file.read_bytes().decode("utf-8", "replace")) for file in _files(Path(path))]
        except OSError as failed:
            message = f"Cannot open configuration file/directory {path} : {failed.strerror}"
            report.error_as(FILE, Location(str(path)), message)
    report.raise_if_errors()
    return read_texts(texts, environment, report)


def read_texts(
    texts: Iterable[tuple[str, str]],
    environment: Mapping[str, str] | None = None,
    report: Report | None = None,
    resolve: Resolve | None = None,
) -> Loaded:
    """Read ``(file name, text)`` pairs as one configuration; raises ConfigError."""
    report = Report() if report is None else report
    environment = os.environ if environment is None else environment
    sections: list[Section] = []
    reader = SectionReader(report, environment)
    files: list[str] = []
    for name, text in texts:
        files.append(name)
        if name.endswith(YAML_SUFFIXES):
            from tcpbalancer.config.yaml_file import read_yaml  # PyYAML only for those who use it

            sections += read_yaml(text, name, report)
        else:
            reader.read(text, name)
            sections += reader.sections
            reader.sections = []
    drafts = interpret(sections, report, reader.environment)
    if report.has_errors:
        _tell_files_with_errors(files, report)
        report.raise_if_errors()
    configuration = build(drafts, report, look_up if resolve is None else resolve)
    advise(drafts, report)
    report.raise_if_errors()
    assert configuration is not None
    return Loaded(configuration, report.warnings)


def _tell_files_with_errors(files: Sequence[str], report: Report) -> None:
    report.items.sort(key=lambda found: (_position(found.location.file, files), found.location.line))
    wrong = {found.location.file for found in report.items if found.severity is Severity.ERROR}
    for file in files:
        if file in wrong:
            report.error_as(FILE, Location(file), f"Error(s) found in configuration file : {file}")
    report.error_as(FILE, Location("<none>"), "Fatal errors found in configuration.")


def _position(file: str, files: Sequence[str]) -> int:
    return files.index(file) if file in files else len(files)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix == ".cfg" and not file.name.startswith("."))
    return [path]


def look_up(host: str) -> str | None:
    """Return the first address of a name, IPv4 first, as ``getaddrinfo`` knows it; None if it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]) if found else None

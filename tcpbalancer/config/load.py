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
from tcpbalancer.config.build import build
from tcpbalancer.config.build_names import Resolve, take_resolv_conf
from tcpbalancer.config.conditions import Capabilities, holds
from tcpbalancer.config.drafts import Drafts
from tcpbalancer.config.findings import FILE, Report
from tcpbalancer.config.global_keywords import MOST_THREADS
from tcpbalancer.config.interpret import interpret
from tcpbalancer.config.registry import OTHER_SECTIONS
from tcpbalancer.config.saved_states import saved_states
from tcpbalancer.config.sections import Section, SectionReader
from tcpbalancer.config.tls_files import examine_tls
from tcpbalancer.config.tokens import readable, split
from tcpbalancer.model import Configuration
from tcpbalancer.version import REPORTED


def _library() -> str:
    import ssl  # only for a condition that asks

    return ssl.OPENSSL_VERSION


CAPABILITIES = Capabilities(
    REPORTED,
    frozenset({"EPOLL", "GETADDRINFO", "NS", "POLL", "PRCTL", "PROMEX", "SYSTEMD", "TCPBALANCER", "TFO", "THREAD"}),
    frozenset({"EPOLL", "GETADDRINFO", "POLL", "REUSEPORT"}),
    _library,
)
"""What conditions are told. No OPENSSL: that is meant for listeners with TLS. TCPBALANCER is ours alone."""
TCP_LOG_FORMAT = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
HTTP_LOG_FORMAT = (
    "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
)
HTTPS_LOG_FORMAT = f"{HTTP_LOG_FORMAT} %[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc"  # noqa: E501 # HAProxy's text
YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says of the configuration; None: nothing. It goes before what the files say."""

    maxconn: int | None = None  # -n
    proxy_maxconn: int | None = None  # -N: of proxies that say nothing
    tolerates_unresolved: bool = False  # -dr
    diagnose: bool = False  # -dD: what .diag says is told

    def go_before(self, drafts: Drafts) -> None:
        """Enter this into the drafts."""
        if self.maxconn is not None:
            drafts.whole.maxconn = drafts.whole.values["maxconn"] = self.maxconn
        if self.proxy_maxconn is not None:
            drafts.whole.values["-N"] = self.proxy_maxconn
        if self.tolerates_unresolved:
            drafts.whole.values["-dr"] = True


NO_FLAGS = Flags()


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and what is to be told about it; there are no errors among ``warnings``."""

    configuration: Configuration
    warnings: tuple[Diagnostic, ...]


def load(paths: Iterable[str | Path], environment: Mapping[str, str] = os.environ, flags: Flags = NO_FLAGS) -> Loaded:
    """Read files (and folders of ``*.cfg``) as one configuration; raises ConfigError."""
    report = Report(diagnose=flags.diagnose)
    texts: list[tuple[str, str]] = []
    for path in paths:
        try:
            texts += [(str(file), file.read_bytes().decode("utf-8", "surrogateescape")) for file in _files(Path(path))]
        except OSError as failed:
            message = f"Cannot open configuration file/directory {path} : {failed.strerror}"
            report.error_as(FILE, Location(str(path)), message)
    report.raise_if_errors()
    return read_texts(texts, environment, report, flags=flags)


def read_texts(
    texts: Iterable[tuple[str, str]],
    environment: Mapping[str, str] | None = None,
    report: Report | None = None,
    resolve: Resolve | None = None,
    flags: Flags = NO_FLAGS,
) -> Loaded:
    """Read ``(file name, text)`` pairs as one configuration; raises ConfigError."""
    report = Report() if report is None else report
    texts = list(texts)
    files = [name for name, _ in texts]
    reader = _sections(texts, os.environ if environment is None else environment, report)
    drafts = interpret(reader.sections, report, reader.environment, _read_lines)
    if report.has_errors:
        _tell_files_with_errors(files, report)
        report.raise_if_errors()
    flags.go_before(drafts)
    if not drafts.whole.nbthread:
        drafts.whole.nbthread = min(len(os.sched_getaffinity(0)), MOST_THREADS)
    saved = saved_states(drafts, report, _read_text)
    take_resolv_conf(drafts, report, _read_text)
    configuration = build(drafts, report, look_up if resolve is None else resolve, saved)
    advise(drafts, report)
    report.raise_if_errors()
    assert configuration is not None
    examine_tls(configuration, report)
    report.raise_if_errors()
    return Loaded(configuration, report.warnings)


def _read_text(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "surrogateescape")


def _sections(texts: Sequence[tuple[str, str]], environment: Mapping[str, str], report: Report) -> SectionReader:
    around = surroundings([name for name, _ in texts], environment)
    reader = SectionReader(report, around, CAPABILITIES, OTHER_SECTIONS)
    for name, text in texts:
        if name.endswith(YAML_SUFFIXES):
            from tcpbalancer.config.yaml_file import read_yaml  # PyYAML only for those who use it

            read_yaml(readable(text), name, report, reader)
        else:
            reader.read(text, name)
    return reader


def cut(name: str, text: str, environment: Mapping[str, str]) -> list[Section]:
    """Return the sections of one file, whatever their statements mean; raises ConfigError."""
    report = Report()
    reader = _sections([(name, text)], environment, report)
    report.raise_if_errors()
    return reader.sections


def condition_holds(text: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the condition behind ``-cc`` holds; raises TokenError or ConditionError."""
    environment = surroundings([], environment)
    words = split(text, environment, comments=False)
    return holds(" ".join(word.text for word in words), environment, CAPABILITIES)


def surroundings(files: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as HAProxy sets it before it reads its files."""
    return {
        "HAPROXY_LOCALPEER": socket.gethostname(),
        "HAPROXY_STARTUP_VERSION": REPORTED,
        **environment,
        "HAPROXY_BRANCH": REPORTED.rpartition(".")[0],
        "HAPROXY_CFGFILES": ";".join(files),
        "HAPROXY_TCP_LOG_FMT": TCP_LOG_FORMAT,
        "HAPROXY_HTTP_LOG_FMT": HTTP_LOG_FORMAT,
        "HAPROXY_HTTPS_LOG_FMT": HTTPS_LOG_FORMAT,
    }


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


def _read_lines(path: str) -> list[str]:
    """Return the lines of a file of patterns (``-f`` behind an ACL's criterion); raises OSError."""
    return Path(path).read_bytes().decode("utf-8", "surrogateescape").splitlines()


def look_up(host: str) -> str | None:
    """Return the first address of a name, IPv4 first, as ``getaddrinfo`` knows it; None if it has none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError):
        return None
    found.sort(key=lambda entry: entry[0] != socket.AF_INET)
    return str(found[0][4][0]) if found else None

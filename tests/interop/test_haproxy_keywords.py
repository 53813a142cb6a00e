"""Every keyword that the real HAProxy says it has is one that ours knows: carried out, accepted, or refused by name."""

from __future__ import annotations

import re
import subprocess

import pytest
from balancer_process import haproxy

from tcpbalancer.config import interpret, known, removed
from tcpbalancer.config.known_samples import KNOWN_CONVERTERS, KNOWN_FETCHES
from tcpbalancer.config.line_options import BIND_OPTIONS, SERVER_OPTIONS
from tcpbalancer.config.registry import GLOBAL_KEYWORDS, KEYWORDS, OTHER_SECTIONS
from tcpbalancer.rules.converters import CONVERTERS
from tcpbalancer.rules.fetches import FETCHES

pytestmark = pytest.mark.interop
assert interpret.READERS


@pytest.fixture(scope="module")
def printed() -> str:
    """What ``-dKall`` says."""
    done = subprocess.run(
        [haproxy(), "-dKall", "-q", "-c", "-f", "/dev/null"], capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout


def part(printed: str, title: str) -> str:
    return printed.split(f"# List of registered {title}", 1)[1].split("# List of registered", 1)[0]


def first_words(names: dict[str, object]) -> set[str]:
    return {name.split()[0] for name in names}


def test_keywords_of_global(printed: str) -> None:
    text = part(printed, "configuration").split("\nlisten")[0].split("\nglobal")[1]
    names = re.findall(r"^\t(\S+)", text, re.MULTILINE)
    ours = {
        *first_words({**GLOBAL_KEYWORDS}),
        *known.GLOBAL,
        *known.TUNE,
        *known.REFUSED_GLOBAL,
        *removed.REMOVED_GLOBAL,
    }
    assert len(names) > 50
    assert sorted(set(names) - ours) == []


def test_keywords_of_proxies(printed: str) -> None:
    text = part(printed, "configuration").split("\nlisten")[1].split("\n\tbind")[0]
    names = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
    ours = {*first_words({**KEYWORDS}), *known.PROXY, *known.REFUSED_PROXY, *removed.REMOVED}
    assert len(names) > 20
    assert sorted(set(names) - ours) == []


def test_options_of_servers_and_addresses(printed: str) -> None:
    text = part(printed, "configuration")
    servers = re.findall(r"^\tserver <name> <addr> (\S+)", text, re.MULTILINE)
    binds = re.findall(r"^\tbind <addr> (?:ssl )?(\S+)", text, re.MULTILINE)
    assert min(len(servers), len(binds)) > 50
    assert sorted(set(servers) - {*SERVER_OPTIONS, *known.SERVER, *known.REFUSED_SERVER}) == []
    assert sorted(set(binds) - {*BIND_OPTIONS, *known.BIND}) == []


def test_how_many_values_follow_an_option(printed: str) -> None:
    text = part(printed, "configuration")
    pattern = re.compile(r"^\t(server <name> <addr>|bind <addr>(?: ssl)?) (\S+)(?: \+(-?\d))?", re.MULTILINE)
    apart = []
    for kind, name, values in pattern.findall(text):
        registered, others = (SERVER_OPTIONS, known.SERVER) if kind[0] == "s" else (BIND_OPTIONS, known.BIND)
        others = {**others, **known.REFUSED_SERVER}
        if name in registered and ("[" in registered[name].syntax or name == "expose-fd"):
            continue  # it reads as many words as it finds
        ours = registered[name].values if name in registered else others[name]
        if ours != int(values or 0) and name not in {"source", "usesrc"}:
            apart.append((name, ours, values))
    assert apart == []


def test_options_of_proxies(printed: str) -> None:
    names = re.findall(r"^\toption (\S+)", part(printed, "configuration"), re.MULTILINE)
    assert len(names) > 30
    ours = {*known.OPTIONS, *(name.removeprefix("option ") for name in KEYWORDS)}
    assert sorted(set(names) - ours) == []


def test_sections(printed: str) -> None:
    names = re.findall(r"^([a-z-]+)$", part(printed, "configuration"), re.MULTILINE)
    ours = {"global", "listen", "crt-list", *OTHER_SECTIONS, *known.SKIPPED_SECTIONS, *known.REFUSED_SECTIONS}
    assert sorted(set(names) - ours) == []


def test_fetch_methods_and_converters(printed: str) -> None:
    fetches = re.findall(r"^\[ [A-Z.\s]+\] ([a-z0-9._-]+)", part(printed, "sample fetch"), re.MULTILINE)
    converters = re.findall(r"^\s*([a-z0-9._-]+)", part(printed, "sample converter functions"), re.MULTILINE)
    assert sorted(set(fetches) - {*FETCHES, *KNOWN_FETCHES}) == []
    assert sorted(set(converters) - {*CONVERTERS, *KNOWN_CONVERTERS}) == []

"""``tcpbalancer convert FILE``: a haproxy.cfg as YAML, or YAML as a haproxy.cfg.

Laws: nothing is lost: what is written is read again and has to say the same, statement by statement, or nothing is
written. Comments are gone; variables and conditions stand there as they were when the file was read. Passwords are
written, for it is the user's own file: what ``-o`` makes can be read by its owner alone.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from hakit.diagnostics import ConfigError, Location
from hakit.whole_file import write_whole
from tcpbalancer.config.cfg_writer import cfg_text, same, written
from tcpbalancer.config.load import YAML_SUFFIXES, cut, read_texts
from tcpbalancer.config.sections import Section
from tcpbalancer.config.yaml_writer import ordered_yaml_text, yaml_text
from tcpbalancer.model import NOWHERE, Configuration

FORMATS = {"haproxy": "converted.cfg", "yaml": "converted.yaml"}
"""The names of formats, and a name of a file that would be read as each."""


def _somewhere(_: str) -> str:
    """Return an address for any name: what a name stands for is of no matter here, and there may be nobody to ask."""
    return "192.0.2.1"


def placeless(value: Any) -> Any:
    """Return a model without its places, so that two that say the same are equal."""
    if isinstance(value, Location):
        return NOWHERE
    if isinstance(value, tuple):
        return tuple(placeless(item) for item in value)
    if isinstance(value, Mapping):
        return {key: placeless(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        settled = [one for one in fields(value) if one.init]
        return replace(value, **{one.name: placeless(getattr(value, one.name)) for one in settled})
    return value


def convert(text: str, source: str, target: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return ``text``, which is in the format ``source``, in the format ``target``.

    Raises ConfigError for what is no configuration, ValueError for what ``target`` has no way to say.
    """
    sections = cut(FORMATS[source], text, environment)
    meaning = _meaning(FORMATS[source], text, environment)
    if target == "yaml":
        with contextlib.suppress(ConfigError, ValueError):  # two sections of one name, or an order that counts
            grouped = yaml_text(sections)
            again = cut(FORMATS[target], grouped, environment)
            same_words = _statements(again) == _statements(sections)
            if same_words and _meaning(FORMATS[target], grouped, environment) == meaning:
                return grouped
    written_text = cfg_text(sections) if target == "haproxy" else ordered_yaml_text(sections)
    if not same(cut(FORMATS[target], written_text, environment), sections):
        raise ValueError(f"what {target} would say is not what was read")
    return written_text


def _meaning(name: str, text: str, environment: Mapping[str, str]) -> tuple[Configuration, Counter[str]]:
    """Return what a file does, and what is said of it, without the places."""
    loaded = read_texts([(name, text)], environment, resolve=_somewhere)
    model: Configuration = placeless(loaded.configuration)
    return model, Counter(found.message for found in loaded.warnings)


def _statements(sections: Sequence[Section]) -> Counter[tuple[str, ...]]:
    return Counter((section.kind, section.name, *line) for section in sections for line in written(section))


def main(arguments: Sequence[str]) -> int:
    """Carry out ``tcpbalancer convert``; return 0, or 1 for what cannot be read or written (argparse ends with 2)."""
    parser = argparse.ArgumentParser(prog="tcpbalancer convert", description="haproxy.cfg to YAML, and back")
    parser.add_argument("file", metavar="FILE", help="what to read; .yaml and .yml are YAML")
    parser.add_argument("--to", choices=sorted(FORMATS), help="what to write (default: the other format)")
    parser.add_argument("-o", "--output", metavar="OUT", help="where to write (default: standard output)")
    asked = parser.parse_args(arguments)
    source = "yaml" if asked.file.endswith(YAML_SUFFIXES) else "haproxy"
    target = asked.to or ("haproxy" if source == "yaml" else "yaml")
    try:
        given = Path(asked.file).read_bytes().decode("utf-8", "surrogateescape")
        for warning in read_texts([(asked.file, given)], resolve=_somewhere).warnings:
            print(warning.render(), file=sys.stderr)
        text = convert(given, source, target)
        if asked.output is None:
            sys.stdout.write(text)
        else:
            write_whole(Path(asked.output), text)
    except (ConfigError, ValueError) as wrong:
        print(f"{asked.file}: not converted: {wrong}" if isinstance(wrong, ValueError) else wrong, file=sys.stderr)
        return 1
    except OSError as wrong:
        print(f"{wrong.filename or asked.output}: {wrong.strerror}", file=sys.stderr)
        return 1
    return 0

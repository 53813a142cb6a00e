"""``pyvrrp convert FILE``: a keepalived.conf as YAML, or YAML as a keepalived.conf.

Laws: nothing is lost: what is written is read again and has to say the same, or nothing is written. Includes and
definitions are gone in what is written; keys that were in files stand in it. Passwords are written, for it is the
user's own file: what ``-o`` makes can be read by its owner alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hakit.diagnostics import ConfigError, Location
from hakit.whole_file import write_whole
from pyvrrp.config.conf_writer import conf_text
from pyvrrp.config.load import load, read
from pyvrrp.config.written import entries
from pyvrrp.config.yaml_writer import yaml_text
from pyvrrp.model import NOWHERE, Configuration, Defaults, GlobalSettings

FORMATS = {"keepalived": "converted.conf", "yaml": "converted.yaml"}
"""The names of formats, and a name of a file that would be read as each."""


def placeless(value: Any) -> Any:
    """Return a model without its places, so that two that say the same are equal.

    The global defaults of instances are no part of it: what is written says in each instance what holds for it.
    """
    if isinstance(value, GlobalSettings):
        value = replace(value, defaults=Defaults())
    if isinstance(value, Location):
        return NOWHERE
    if isinstance(value, tuple):
        return tuple(placeless(item) for item in value)
    if isinstance(value, MappingProxyType):
        return dict(value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: placeless(getattr(value, one.name)) for one in fields(value)})
    return value


def write(configuration: Configuration, form: str) -> str:
    """Return ``configuration`` in ``form``, one of FORMATS; raises ValueError if that has no way to say it."""
    parts = entries(configuration)
    text = yaml_text(parts) if form == "yaml" else conf_text(parts)
    again = read(text.encode("utf-8", "surrogateescape"), FORMATS[form]).configuration
    if placeless(again) != placeless(configuration):
        raise ValueError(f"what {form} would say is not what was read")
    return text


def convert(text: str, source: str, target: str) -> str:
    """Return ``text``, which is in the format ``source``, in the format ``target``; raises ConfigError, ValueError."""
    return write(read(text.encode(), FORMATS[source]).configuration, target)


def main(arguments: Sequence[str]) -> int:
    """Carry out ``pyvrrp convert``; return 0, or 1 for what cannot be read or written (argparse ends with 2 itself)."""
    parser = argparse.ArgumentParser(prog="pyvrrp convert", description="keepalived.conf to YAML, and back")
    parser.add_argument("file", metavar="FILE", help="what to read; .yaml and .yml are YAML")
    parser.add_argument("--to", choices=sorted(FORMATS), help="what to write (default: the other format)")
    parser.add_argument("-o", "--output", metavar="OUT", help="where to write (default: standard output)")
    asked = parser.parse_args(arguments)
    target = asked.to or ("keepalived" if asked.file.endswith((".yaml", ".yml")) else "yaml")
    try:
        loaded = load(asked.file)
        for warning in loaded.warnings:
            print(warning.render(), file=sys.stderr)
        text = write(loaded.configuration, target)
        if asked.output is None:
            sys.stdout.write(text)
        else:
            write_whole(Path(asked.output), text)
    except (ConfigError, ValueError) as wrong:
        print(f"{asked.file}: not converted: {wrong}" if isinstance(wrong, ValueError) else wrong, file=sys.stderr)
        return 1
    except OSError as wrong:
        print(f"{asked.output}: cannot be written: {wrong.strerror}", file=sys.stderr)
        return 1
    return 0

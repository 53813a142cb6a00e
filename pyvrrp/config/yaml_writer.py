"""A configuration as YAML: the same keywords, in the shape that ``yaml_text.py`` reads.

Laws: pure, and without PyYAML: the text is the same for the same configuration, always. A word that is not plain
letters and digits is in double quotes, with escapes, so that no YAML reader takes it for anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pyvrrp.config.entries import Entry
from pyvrrp.model import Script

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*|-?[0-9]+(\.[0-9]+)?|[0-9]+(\.[0-9]+){3}(/[0-9]+)?", re.ASCII)
_RESERVED = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "~"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_NAMED = ("scripts", "files", "processes", "urls", "groups", "instances")
STEP = "  "


def yaml_text(parts: dict[str, list[Entry]]) -> str:
    """Return the document; a part that says nothing is left out."""
    found: list[str] = []
    inside = [*parts["global"], *parts["root"]]
    if inside:
        found += ["global:", *_block(inside, STEP)]
    for name in _NAMED:
        if parts[name]:
            found.append(f"{name}:")
            for entry in parts[name]:
                found += [f"{STEP}{scalar(entry.words[0])}:", *_block(entry.block or (), STEP * 2)]
        if name == "urls":
            found += _static(parts)
    return "\n".join(found) + "\n" if found else ""


def _static(parts: dict[str, list[Entry]]) -> list[str]:
    found: list[str] = []
    if parts["track_groups"]:
        found += [f"{STEP}track_groups:"]
        for entry in parts["track_groups"]:
            members = (entry.block or ())[0].lines or ()
            found.append(f"{STEP * 2}{scalar(entry.words[0])}: {_list([one for (one,) in members])}")
    found += _block(parts["static"], STEP)
    return ["static:", *found] if found else []


def _block(entries: Sequence[Entry], indent: str) -> list[str]:
    found: list[str] = []
    together = [entry for entry in entries if entry.keyword == "garp_group"]
    for entry in entries:
        if entry not in together:
            found += _entry(entry, indent)
    if together:
        found.append(f"{indent}garp_group:")
        for entry in together:
            first, *rest = _block(entry.block or (), indent + STEP * 2)
            found += [f"{indent}{STEP}- {first.strip()}", *rest]
    return found


def _entry(entry: Entry, indent: str) -> Iterator[str]:
    key = f"{indent}{entry.keyword}:"
    if entry.script is not None:
        yield from _script(entry, entry.script, key, indent)
    elif entry.lines is not None and entry.keyword == "interface_up_down_delays":
        yield key
        yield from (f"{indent}{STEP}{scalar(name)}: {_list(delays)}" for name, *delays in entry.lines)
    elif entry.lines is not None and entry.keyword == "group":
        yield f"{key} {_list([one for (one,) in entry.lines])}"
    elif entry.lines is not None:
        yield key
        yield from (f"{indent}{STEP}- {_line(line)}" for line in entry.lines)
    elif entry.block is not None and _twice(entry.block):
        yield key
        keys = [one for one in entry.block if one.keyword == "key"]
        yield f"{indent}{STEP}key:"
        yield from (f"{indent}{STEP * 2}- {_list(one.words)}" for one in keys)
        yield from _block([one for one in entry.block if one.keyword != "key"], indent + STEP)
    elif entry.block is not None:
        yield key
        yield from _block(entry.block, indent + STEP)
    elif not entry.words:
        yield f"{key} true"
    elif len(entry.words) == 1 and not re.search(r"\s", entry.words[0]) and entry.words[0]:
        yield f"{key} {scalar(entry.words[0])}"
    else:
        yield f"{key} {_list(entry.words)}"


def _twice(block: Sequence[Entry]) -> bool:
    return any(one.keyword == "key" for one in block)


def _script(entry: Entry, script: Script, key: str, indent: str) -> Iterator[str]:
    """Yield a script as the list of its words, or with its user; a vrrp_script has a key of its own for that."""
    if entry.keyword == "script" or script.user is None:
        yield f"{key} {_list(script.words)}"
        return
    yield key
    yield f"{indent}{STEP}script: {_list(script.words)}"
    yield f"{indent}{STEP}user: {_list([one for one in (script.user, script.group) if one is not None])}"


def _line(line: Sequence[str]) -> str:
    """Return a line as one text, as in keepalived.conf; as a list if a word has blanks in it."""
    if all(word and not re.search(r"\s", word) for word in line):
        return scalar(" ".join(line))
    return _list(line)


def _list(words: Sequence[str]) -> str:
    return "[" + ", ".join(scalar(word) for word in words) + "]"


def scalar(text: str) -> str:
    """Return ``text`` as YAML that is read as exactly this text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    if all(_PLAIN.fullmatch(word) for word in text.split(" ")) and " " in text:
        return text
    return '"' + "".join(_character(one) for one in text) + '"'


def _character(one: str) -> str:
    if one in _ESCAPES:
        return _ESCAPES[one]
    if one.isprintable() and one not in "\ufeff\u2028\u2029\x85":
        return one
    return f"\\x{ord(one):02x}" if ord(one) < 0x100 else f"\\U{ord(one):08x}"

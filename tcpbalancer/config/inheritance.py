"""What a section inherits: from the ``defaults`` before it, or from the one that it names.

Laws: pure; what is wrong is in the report. An heir gets a copy. A ``defaults`` section inherits from another only if it
says so.

Source: HAProxy's configuration manual, section 4 "Proxies"; src/cfgparse-listen.c (cfg_parse_listen).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

from hakit.diagnostics import Location
from tcpbalancer.config.drafts import ProxyDraft, Settings
from tcpbalancer.config.findings import DUPLICATE, Report, maybe
from tcpbalancer.config.sections import Section, invalid_character


@dataclass(slots=True)
class _Defaults:
    """A ``defaults`` section; ``replaced`` is the place of an earlier one of its name."""

    settings: Settings
    location: Location
    replaced: Location | None = None
    named: bool = False
    unnamed: bool = False


def kind_of(section: Section) -> str:
    """Return HAProxy's word for the kind of a section (proxy_cap_str)."""
    return "proxy" if section.kind == "listen" else section.kind


def _line(location: Location) -> str:
    return f"{location.file}:{location.line}"


class Inheritance:
    """All ``defaults`` sections so far."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._named: dict[str, _Defaults] = {}
        self._last: _Defaults | None = None

    def settings_for(self, section: Section) -> Settings:
        """Return a copy of what a section begins with."""
        found = self._last if section.kind != "defaults" else None
        if section.parent is not None:
            found = self._referenced(section, section.parent.text)
            if found is not None:
                found.named = True
        elif found is not None:
            found.unnamed = True
        if found is None:
            return Settings()
        if found.named and found.unnamed:
            self._warn_of_both(section, found)
        return copy.deepcopy(found.settings)

    def remember(self, draft: ProxyDraft) -> None:
        """Take in a ``defaults`` section once it was read."""
        section = draft.section
        earlier = self._named.get(section.name) if section.name else None
        if earlier is not None and earlier.named:
            message = (
                f"defaults '{section.name}' has the same name as another defaults section declared at "
                f"{_line(earlier.location)} which was explicitly referenced hence cannot be replaced. Please remove or "
                "rename one of the offending defaults section."
            )
            self._report.error_as(DUPLICATE, section.header.at(1), message, section.header.source)
        place = section.header.location
        self._last = _Defaults(draft.settings, place, None if earlier is None else earlier.location)
        if section.name:
            self._named[section.name] = self._last

    def _referenced(self, section: Section, name: str) -> _Defaults | None:
        place, source = section.header.at(len(section.header.words) - 1), section.header.source
        found = self._named.get(name)
        who = f"{kind_of(section)} '{section.name}'"
        if found is None:
            hint = maybe(name, sorted(self._named)) or "."
            self._report.error(place, f"defaults section '{name}' not found for {who}{hint}", source)
            return self._last
        if found.replaced is not None:
            message = (
                f"ambiguous defaults section name '{name}' referenced by {who} exists at least at "
                f"{_line(found.location)} and {_line(found.replaced)}."
            )
            self._report.error(place, message, source)
        if (wrong := invalid_character(name)) is not None:
            message = (
                f"character '{wrong}' is not permitted in defaults section name '{name}' when designated by its name "
                f"(section found at {_line(found.location)})."
            )
            self._report.error(place, message, source)
        return found

    def _warn_of_both(self, section: Section, found: _Defaults) -> None:
        name = next((name for name, one in self._named.items() if one is found), "")
        self._report.warn(
            section.header.location,
            f"defaults section '{name}' (declared at {_line(found.location)}) is explicitly referenced by another "
            "proxy and implicitly used here. To avoid any ambiguity don't mix both usage. Add a last defaults "
            "section not explicitly used or always use explicit references.",
            section.header.source,
        )

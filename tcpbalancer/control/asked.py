"""What is asked of the statistics page: the words behind its address, and the form that it sends.

Laws: pure; whatever a client has sent gives an answer. Texts and codes are HAProxy's.

Source: ``http_handle_stats`` (``http_ana.c``), ``stats_process_http_post`` (``stats-html.c``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import unquote_plus

_SCOPE = re.compile(r"[?;&]scope=([^;& ?]*)")
_SAFE = re.compile(r"[\w.:-]{0,60}", re.ASCII)
OUTCOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "DONE": ("good", "Done."),
        "NONE": ("bad", "Nothing has changed."),
        "PART": ("bad", "Done in part: some of these servers are not known."),
        "ERRP": ("bad", "Nothing has changed: there is no such backend, server or action."),
        "EXCD": ("bad", "Nothing has changed: the form was too long; choose fewer servers at a time."),
        "DENY": ("bad", "Nothing has changed: you are not allowed to."),
        "UNKN": ("bad", "Something unexpected has happened; nothing may have changed."),
        "IVAL": ("bad", "Nothing has changed: the form could not be read."),
    }
)
"""What ``st=`` means: how it is shown, and in words."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request for the page wants: the form, and what is to be seen."""

    form: str = "html"
    refresh: bool = True
    up: bool = False
    no_maint: bool = False
    scope: str = ""
    outcome: str = ""

    @property
    def suffix(self) -> str:
        """The words that a link on the page keeps."""
        words = (";up" if self.up else "", ";no-maint" if self.no_maint else "", "" if self.refresh else ";norefresh")
        return "".join(words) + (f"?scope={self.scope}" if self.scope else "")


def read_asked(suffix: str) -> Asked:
    """Read what stands behind the page's address; words that are not known mean nothing."""
    scope = _SCOPE.search(suffix)
    # Unlike HAProxy, which overlooks a short one at the very end.
    wanted = scope[1] if scope is not None and _SAFE.fullmatch(scope[1]) else ""
    words = re.split("[;&?/]", suffix)
    form = next((form for form in ("csv", "json-schema", "json", "typed", "live") if form in words), "html")
    outcome = next((word[3:] for word in words if word.startswith("st=") and word[3:] in OUTCOMES), "")
    return Asked(form, "norefresh" not in words, "up" in words, "no-maint" in words, wanted, outcome)


@dataclass(frozen=True, slots=True)
class Wish:
    """A form: what to do with which servers of which backend; None for what it does not say."""

    action: str | None
    backend: str | None
    servers: tuple[str, ...]


def read_form(body: bytes) -> Wish:
    """Read ``s=pg1&s=pg2&action=maint&b=postgres``; of several ``action`` or ``b`` the last counts."""
    action, backend, servers = None, None, list[str]()
    for pair in body.decode("latin-1").split("&"):
        name, equals, value = pair.partition("=")
        text = unquote_plus(value)
        if not equals:
            continue
        match name:
            case "action":
                action = text
            case "b":
                backend = text
            case "s":
                servers.append(text)
            case _:
                pass
    return Wish(action, backend, tuple(servers))


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a form comes from our own page, or from no browser at all; names are in small letters.

    A browser says where a form was made (Fetch Metadata; RFC 6454 for those that have only ``Origin``), so another
    site's form is told from ours without a token, which scripts that know HAProxy's form would not send.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host", "")

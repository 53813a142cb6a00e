"""What a proxy in HTTP mode answers by itself: the statistics page, metrics, a monitor's question, and who may ask.

Laws: see ``tcpbalancer.model``.
"""

from __future__ import annotations

from dataclasses import dataclass

from tcpbalancer.model.proxy import Secret
from tcpbalancer.model.rule import Condition

PROMETHEUS = "prometheus-exporter"
"""The one service behind ``use-service``."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody in a ``userlist``; ``hashed``: the password is what crypt(3) made of it."""

    name: str
    password: Secret
    hashed: bool = False
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class UserList:
    """A ``userlist`` section."""

    name: str
    users: tuple[User, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpRule:
    """A rule for a request; without a condition it always applies.

    ``action``: ``allow``, ``deny``, ``auth``, ``return``, ``redirect``, ``close`` (reject, silent-drop), or the name of
    a service. ``status`` is that of the answer, ``realm`` that of ``auth``, ``location`` where a redirect leads.
    """

    action: str
    condition: Condition | None = None
    status: int = 200
    realm: str | None = None
    location: str = ""
    content: bytes | None = None
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StatsPage:
    """The statistics page of a proxy in HTTP mode; ``users`` empty and no ``rules``: open to everyone.

    ``scopes``: only these proxies are shown (``.`` is the page's own); ``admin``: who fulfils any of these may change
    servers. ``node`` and ``description`` None: they are not shown; empty: those of ``global``.
    """

    uri: str = "/haproxy?stats"
    realm: str = "HAProxy Statistics"
    users: tuple[tuple[str, Secret], ...] = ()
    refresh: float | None = None
    hide_version: bool = False
    scopes: tuple[str, ...] = ()
    admin: tuple[Condition, ...] = ()
    rules: tuple[HttpRule, ...] = ()
    legends: bool = False
    node: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class HttpFront:
    """What else a frontend in HTTP mode does with requests.

    ``request_timeout``, ``keep_alive_timeout``: seconds for a request to come, the first and the following ones; None:
    as ``timeout client``. ``httplog``: requests are logged in the form of ``option httplog``.
    """

    rules: tuple[HttpRule, ...] = ()
    monitor_uri: str | None = None
    monitor_fail: tuple[Condition, ...] = ()
    userlists: tuple[UserList, ...] = ()
    request_timeout: float | None = None
    keep_alive_timeout: float | None = None
    httplog: bool = False

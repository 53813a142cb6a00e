"""All log targets of a configuration, and who writes to which of them.

Laws: a place that several proxies name is opened once. Lines of a proxy go to its own targets, under its own tag;
those of the process to the targets of ``global``. Writing never waits and never raises (``hakit.logtarget``).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from typing import Protocol

from hakit import logtarget
from tcpbalancer.log_format import Circumstances
from tcpbalancer.model import Configuration, Frontend, LogMoment, LogTarget
from tcpbalancer.model.log import ConnectionLog
from tcpbalancer.proxy_protocol import CLOSED
from tcpbalancer.session_log import SessionRecord, log_date


class Log(Protocol):
    """Takes a line: its level by name, its text without prefix, and the proxy that it is about, if any."""

    def __call__(self, level: str, text: str, proxy: str | None = None, /) -> None:
        """Write it."""


class LogBook:
    """Takes lines and records; what cannot be opened is told once, through ``warn``."""

    def __init__(self, configuration: Configuration, warn: Callable[[str], None]) -> None:
        """Open all targets."""
        self._host = configuration.log_host
        self._tag = configuration.log_tag
        self._warn = warn
        self._open: dict[LogTarget, logtarget.LogTarget | None] = {}
        self._of_process = self._opened(configuration.log_targets)
        self._of_proxies = {
            name: (self._opened(self._targets(configuration, name)), self._tag_of(configuration, name))
            for name in configuration.order
        }

    def __call__(self, level: str, text: str, proxy: str | None = None, /) -> None:
        """Write a line of a proxy, or of the process; ``level`` is one of ``hakit.logtarget.LEVELS``."""
        targets, tag = (self._of_process, "") if proxy is None else self._of_proxies.get(proxy, (self._of_process, ""))
        for target in targets:
            target.log(level, text, tag=tag)

    @property
    def dropped(self) -> int:
        """How many lines a target could not take at the time."""
        return sum(target.dropped for target in self._open.values() if target is not None)

    def close(self) -> None:
        """Close every target."""
        for target in self._open.values():
            if target is not None:
                target.close()

    @staticmethod
    def _targets(configuration: Configuration, name: str) -> Iterable[LogTarget]:
        proxies = (configuration.frontends.get(name), configuration.backends.get(name))
        return dict.fromkeys(target for proxy in proxies if proxy is not None for target in proxy.log.targets)

    @staticmethod
    def _tag_of(configuration: Configuration, name: str) -> str:
        proxies = (configuration.frontends.get(name), configuration.backends.get(name))
        return next((proxy.log.tag for proxy in proxies if proxy is not None and proxy.log.tag), "")

    def _opened(self, targets: Iterable[LogTarget]) -> tuple[logtarget.LogTarget, ...]:
        return tuple(found for target in targets if (found := self._open_once(target)) is not None)

    def _open_once(self, target: LogTarget) -> logtarget.LogTarget | None:
        if target not in self._open:
            try:
                self._open[target] = logtarget.LogTarget(
                    self._tag, target.address, target.facility, self._layout(target)
                )
            except OSError as failed:
                self._open[target] = None
                self._warn(f"log target {target.address} cannot be used: {failed.strerror}")
        return self._open[target]

    def _layout(self, target: LogTarget) -> logtarget.Layout:
        host = (self._host or socket.gethostname()) if self._host is not None else None
        layout = target.format or ("local" if host is None else "rfc3164")
        return logtarget.Layout(layout, target.level, target.minlevel, host, target.length, feed=True)


class ConnectionLines:
    """Makes the lines of connections; it counts them, for a line may tell how many there were."""

    def __init__(self) -> None:
        self._count: dict[str, int] = {}
        self._host = socket.gethostname()

    def line(self, record: SessionRecord, frontend: Frontend, text: str | None = None) -> tuple[str, str] | None:
        """Return level and text of a connection's line, or None if its frontend wants none now.

        With ``logasap`` that is once the connection stands; at its end only if it never stood, or if nothing was said
        then because it was normal (option dontlog-normal).
        """
        log = frontend.connection_log
        if frontend.http is not None:
            return self._request(record, frontend, text)
        if record.failure:
            return None if log is None else _failure(record, frontend, log)
        if log is None or (log.moment is LogMoment.ACCEPTED and not record.early):
            return None
        is_normal = record.flags == "--"
        early = log.moment is LogMoment.ESTABLISHED
        if is_normal and log.without_normal:
            return None
        if early and not record.early and record.connect_ms >= 0 and not log.without_normal:
            return None
        if log.without_null and not record.client_spoke and not record.early:
            return None
        count = self._count[frontend.name] = self._count.get(frontend.name, -1) + 1
        around = Circumstances(self._host, os.getpid(), count, grows=early)
        return ("err" if log.errors_louder and not is_normal else "info", log.format.line(record, around))

    def _request(self, record: SessionRecord, frontend: Frontend, text: str | None) -> tuple[str, str] | None:
        """Return level and text of the line of a request that we have answered; ``text``: it is known already.

        An answer of ours is nothing special (SF_ERR_LOCAL in strm_log): option dontlog-normal leaves it out.
        """
        log = frontend.connection_log
        is_normal = record.flags == "LR"
        if log is None or (is_normal and log.without_normal):
            return None
        count = self._count[frontend.name] = self._count.get(frontend.name, -1) + 1
        around = Circumstances(self._host, os.getpid(), count)
        return ("err" if log.errors_louder and not is_normal else "info", text or log.format.line(record, around))


def _failure(record: SessionRecord, frontend: Frontend, log: ConnectionLog) -> tuple[str, str] | None:
    """Return the line of a connection that never became a session (session_embryonic_build_legacy_err)."""
    if log.without_null and record.failure == CLOSED:
        return None
    level = "err" if log.errors_louder else "info"
    who = f"{record.client}:{record.client_port} [{log_date(record.accepted_at)}] {frontend.name}"
    return level, f"{who}/{record.socket}: {record.failure}"

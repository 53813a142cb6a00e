"""The keywords that say what the kernel is told of the sockets of connections.

Laws: pure; handlers report and never raise. Texts are HAProxy's.

Source: HAProxy's configuration manual, section 4.2: ``option tcpka``, ``clitcpka-cnt`` and its relatives, ``option
nolinger``, ``option independent-streams``, ``option tcp-smart-accept``, ``option splice-auto``.
"""

from __future__ import annotations

from tcpbalancer.config.drafts import Settings
from tcpbalancer.config.registry import BACK, FRONT, PROXY, Reading, keyword
from tcpbalancer.config.values import TimeError, parse_time
from tcpbalancer.model import KeepAlive, SocketOptions


def _switch(name: str, sections: frozenset[str], summary: str) -> None:
    """Register an option that is on or off."""

    def read(reading: Reading) -> None:
        if reading.no_more_than(2):
            reading.draft.settings.values[name] = not reading.negated

    keyword(f"option {name}", sections, summary, words=2, negatable=True)(read)


_switch("tcpka", PROXY, "Keep-alive probes on both sides.")
_switch("clitcpka", FRONT, "Keep-alive probes on the client's side.")
_switch("srvtcpka", BACK, "Keep-alive probes on the server's side.")
_switch("nolinger", PROXY, "Connections are closed with a reset, and what was not delivered yet is lost.")
_switch("independent-streams", PROXY, "What is sent to a side does not count as its activity: only what it sends.")
_switch("tcp-smart-accept", FRONT, "The kernel decides when the client's data is acknowledged; always so.")
_switch("tcp-smart-connect", BACK, "The kernel decides when a connect is acknowledged; always so.")
for _name in ("splice-auto", "splice-request", "splice-response"):
    _switch(_name, PROXY, "Whether the kernel moves the bytes is decided here for each connection.")


def _count(side: str, sections: frozenset[str]) -> None:
    name = f"{side}tcpka-cnt"

    def read(reading: Reading) -> None:
        text = reading.words[1] if len(reading.words) > 1 else ""
        if not text:
            reading.error(1, f"'{name}' expects an integer value")
        elif not (text.isascii() and text.isdigit()):
            wrong = next(each for each in text if not (each.isascii() and each.isdigit()))
            reading.error(1, f"'{name}' : unexpected character '{wrong}' in integer value '{text}'")
        elif reading.no_more_than(2):
            reading.draft.settings.values[name] = min(int(text), 127)  # MAX_TCP_KEEPCNT

    keyword(f"{name} <count>", sections, "How many probes stay unanswered before the connection is given up.")(read)


def _seconds(side: str, what: str, sections: frozenset[str], summary: str) -> None:
    name = f"{side}tcpka-{what}"

    def read(reading: Reading) -> None:
        text = reading.words[1] if len(reading.words) > 1 else ""
        try:
            seconds = parse_time(text, "s")
        except TimeError as wrong:
            missing = f"'{name}' expects an integer value"
            reading.error(1, f"{wrong} in argument to <{name}>." if text else missing)
        else:
            if reading.no_more_than(2):
                reading.draft.settings.values[name] = min(int(seconds), 32767)  # MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL

    keyword(f"{name} <time>", sections, summary)(read)


for _side, _sections in (("cli", FRONT), ("srv", BACK)):
    _count(_side, _sections)
    _seconds(_side, "idle", _sections, "How long nothing comes before the first probe.")
    _seconds(_side, "intvl", _sections, "How long to wait between two probes.")


def socket_options(settings: Settings, side: str) -> SocketOptions:
    """Return what a proxy tells the kernel of its connections on one side, ``cli`` or ``srv``."""
    values = settings.values
    keep_alive = None
    if values.of("tcpka", bool, default=False) or values.of(f"{side}tcpka", bool, default=False):
        idle, interval, count = (values.of(f"{side}tcpka-{what}", int, None) for what in ("idle", "intvl", "cnt"))
        keep_alive = KeepAlive(idle or None, interval or None, count or None)
    return SocketOptions(keep_alive, values.of("nolinger", bool, default=False))

"""What an operator may do to servers while the balancer runs: by the command line, by the statistics page.

Laws: nothing here raises for an operator's mistake: every deed answers with HAProxy's text, which is empty where
HAProxy says nothing. A deed that is refused has changed nothing. Each change is passed on by ``ServerWatch``. Texts:
2.6's where automation reads them and 3.x dropped them, else those of 3.x (``server.c``, ``stats-html.c``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address

from tcpbalancer.channel import SetServer
from tcpbalancer.server_state import Admin, CheckState, Operation
from tcpbalancer.server_watch import ServerWatch
from tcpbalancer.state_lines import FROM_CLI, FROM_PAGE
from tcpbalancer.watched import WatchedBackend, WatchedServer

STATIC = frozenset({"static-rr", "source", "hash", "rdp-cookie"})
"""Algorithms that cannot change a weight, unless their ``hash-type`` is consistent."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}", re.ASCII)
_WHOLE = re.compile(r"[ \t]*([+-]?\d{1,18})", re.ASCII)
_PORT = re.compile(r"\d{1,5}", re.ASCII)


class Severity(Enum):
    """How HAProxy rates an answer (``set severity-output``): the number of a syslog level."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """What a deed answers: a text without a line's end, empty for a plain success."""

    text: str = ""
    severity: Severity = Severity.INFO

    @property
    def is_error(self) -> bool:
        """Whether nothing was done."""
        return self.severity is Severity.ERROR


DONE = Answer()


def _error(text: str) -> Answer:
    return Answer(text, Severity.ERROR)


def _warning(text: str) -> Answer:
    return Answer(text, Severity.WARNING)


class Origin(Enum):
    """By which way an operator came: its text ends the line of the change."""

    CLI = FROM_CLI
    PAGE = FROM_PAGE


class Administration:
    """The deeds. A server is named by its backend and itself, each by name or (``#5``) by number."""

    def __init__(self, watch: ServerWatch, hurry: Callable[[WatchedServer], None]) -> None:
        """Take what is known of all servers, and whom to tell that a server may be checked sooner."""
        self._watch = watch
        self._hurry = hurry
        self.look_for: Callable[[WatchedServer], None] = lambda _: None  # for the address of a server's name

    # -- who is meant -----------------------------------------------------------------------------------------------

    def backend(self, name: str) -> WatchedBackend | None:
        """Return a backend by its name."""
        return next((each for each in self._watch.backends if each.backend.name == name), None)

    def server(self, backend: str, server: str) -> WatchedServer | Answer:
        """Return a server, or what HAProxy says if there is none of these names."""
        if not server:
            return _error("Require 'backend/server'.")
        found = self.backend(backend)
        if found is None:
            return _error("No such backend.")
        for each in found.servers:
            if each.server.name == server or server == f"#{each.place + 1}":
                return each
        return _error("No such server.")

    # -- administrative state ---------------------------------------------------------------------------------------

    def set_admin(self, server: WatchedServer, wish: str) -> Answer:
        """``set server b/s state ready|drain|maint``, ``enable server``, ``disable server``."""
        match wish:
            case "ready":
                self._watch.unmark(server, Admin.FORCED_DRAIN)
                self._watch.unmark(server, Admin.FORCED_MAINT)
                self._hurry(server)
            case "drain":
                self._watch.mark(server, Admin.FORCED_DRAIN)
                self._watch.unmark(server, Admin.FORCED_MAINT)
                self._hurry(server)
            case "maint":
                self._watch.mark(server, Admin.FORCED_MAINT)
                self._watch.unmark(server, Admin.FORCED_DRAIN)
            case _:
                return _error("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
        return DONE

    def page_action(self, server: WatchedServer, action: str) -> bool:
        """Carry out an action of the statistics page's form by the name it has there; returns whether it exists."""
        state = server.state
        match action:
            case "ready" | "drain" | "maint":
                self.set_admin(server, action)
            case "disable":
                self._watch.mark(server, Admin.FORCED_MAINT, "'disable' on stats page")
            case "enable":
                self._watch.unmark(server, Admin.FORCED_MAINT)
                self._hurry(server)
            case "stop":
                self._watch.mark(server, Admin.FORCED_DRAIN, "'stop' on stats page")
            case "start":
                self._watch.unmark(server, Admin.FORCED_DRAIN)
            case "dhlth":
                self._change_check(server, replace(state.check, enabled=False))
            case "ehlth":
                self.enable_health(server)
            case "hrunn" | "hnolb" | "hdown":
                word = {"hrunn": "up", "hnolb": "stopping", "hdown": "down"}[action]
                self.set_health(server, word, Origin.PAGE)
            case "dagent":
                self.disable_agent(server)
            case "eagent":
                self.enable_agent(server)
            case "arunn" | "adown":
                self.set_agent(server, "up" if action == "arunn" else "down", Origin.PAGE)
            case _:
                return False
        return True

    # -- health -----------------------------------------------------------------------------------------------------

    def set_health(self, server: WatchedServer, word: str, origin: Origin = Origin.CLI) -> Answer:
        """``set server b/s health up|stopping|down``."""
        if server.tracked is not None:
            return _error("cannot change health on a tracking server.")
        operation = _OPERATIONS.get(word)
        if operation is None:
            return _error("'set server <srv> health' expects 'up', 'stopping', or 'down'.")
        after = server.state.health_set(operation, time.monotonic(), server.terms())
        self._watch.operate(server, after, origin.value)
        return DONE

    def set_agent(self, server: WatchedServer, word: str, origin: Origin = Origin.CLI) -> Answer:
        """``set server b/s agent up|down``."""
        if not server.state.agent.enabled:
            return _error("agent checks are not enabled on this server.")
        if word not in {"up", "down"}:
            return _error("'set server <srv> agent' expects 'up' or 'down'.")
        after = server.state.agent_set(_OPERATIONS[word], time.monotonic(), server.terms())
        self._watch.operate(server, after, origin.value)
        return DONE

    def enable_health(self, server: WatchedServer) -> Answer:
        """``enable health b/s``."""
        if not server.state.check.configured:
            return _error("Health check was not configured on this server, cannot enable.")
        self._change_check(server, replace(server.state.check, enabled=True))
        return DONE

    def disable_health(self, server: WatchedServer) -> Answer:
        """``disable health b/s``: the server stays as it is and is asked no more."""
        self._change_check(server, replace(server.state.check, enabled=False))
        return DONE

    def enable_agent(self, server: WatchedServer) -> Answer:
        """``enable agent b/s``."""
        if not server.state.agent.configured:
            return _error("Agent was not configured on this server, cannot enable.")
        server.state = replace(server.state, agent=replace(server.state.agent, enabled=True))
        return DONE

    def disable_agent(self, server: WatchedServer) -> Answer:
        """``disable agent b/s``."""
        server.state = replace(server.state, agent=replace(server.state.agent, enabled=False))
        return DONE

    @staticmethod
    def _change_check(server: WatchedServer, check: CheckState) -> None:
        server.state = replace(server.state, check=check)

    # -- weight -----------------------------------------------------------------------------------------------------

    def get_weight(self, server: WatchedServer) -> Answer:
        """``get weight b/s``: the weight set last, and that of the file."""
        return Answer(f"{server.weight} (initial {server.server.weight})")

    def set_weight(self, server: WatchedServer, text: str) -> Answer:
        """``set weight b/s N|N%``; an agent's ``N%`` and ``weight:N`` come here, too."""
        if not text:
            return _error("Require <weight> or <weight%>.")
        number = _WHOLE.match(text)
        if number is None:
            return _error("Empty weight string empty or preceded by garbage")
        value, rest = int(number[1]), text[number.end() :]
        initial = server.server.weight
        if rest == "%":
            if value < 0:
                return _error("Relative weight must be positive.")
            value = min(initial * min(value, 25600) // 100, 256)
        elif not 0 <= value <= 256:
            return _error("Absolute weight can only be between 0 and 256 inclusive.")
        elif rest:
            return _error("Trailing garbage in weight string")
        if value not in {0, initial} and self.is_static(server.backend):
            return _error("Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.")
        self._watch.reweigh(server, value)
        return DONE

    @staticmethod
    def is_static(backend: WatchedBackend) -> bool:
        """Whether a backend's algorithm cannot change weights, nor take new servers."""
        return backend.backend.balance in STATIC

    # -- addresses --------------------------------------------------------------------------------------------------

    def set_address(self, server: WatchedServer, address: str, port: str | None = None) -> Answer:
        """``set server b/s addr A [port P]``: new connections and checks go there from now on."""
        if not address:
            return _error("set server <b>/<s> addr requires an address and optionally a port.")
        by = " by 'stats socket command'"
        told = server.server
        if not _is_address(address):
            return _warning(f"Invalid addr '{address}'{by}")
        words = [f"IP changed from '{told.address or '(none)'}' to '{address}'"]
        if address == told.address:
            words = ["no need to change the addr"]
        new_port = told.port
        if port is not None:
            if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
                if port[:1] in "+-" and _PORT.fullmatch(port[1:]):
                    return _warning(f"'{port}': a port that clients call is not carried out by tcpbalancer{by}")
                return _warning(f"{words[0]}, problem converting port '{port}' to an int{by}")
            new_port = int(port)
            words.append(
                "no need to change the port"
                if new_port == told.port
                else f"port changed from '{told.port}' to '{new_port}'"
            )
        if (address, new_port) != (told.address, told.port):
            self.move(server, address, new_port)
        self.resolved(server)
        return _warning(", ".join(words) + by)

    def move(self, server: WatchedServer, address: str, port: int) -> None:
        """Give a server another address; its checks go there, too, unless they have an address of their own."""
        server.moved(address, port)
        self._watch.send(SetServer(server.backend.place, server.place, server.server))

    def set_fqdn(self, server: WatchedServer, host: str) -> Answer:
        """``set server b/s fqdn NAME``: look for another name from now on."""
        told = server.server
        if not host:
            return _error("set server <b>/<s> fqdn requires a FQDN.")
        if told.naming is None:
            return _error("set server <b>/<s> fqdn failed because no resolution is configured.")
        by = " by 'stats socket command'"
        if host == told.host:
            return _warning(f"no need to change the FDQN{by}")
        if not _NAME.fullmatch(host):
            return _warning(f"invalid fqdn '{host}'{by}")
        server.server = replace(told, host=host)
        self.look_for(server)
        return _warning(f"{server.name} changed its FQDN from {told.host} to {host}{by}")

    def resolved(self, server: WatchedServer) -> None:
        """Take note that a server's address is known."""
        if server.state.admin & Admin.RESOLUTION:
            self._watch.unmark(server, Admin.RESOLUTION)
            self._hurry(server)

    def set_agent_address(self, server: WatchedServer, address: str, port: str = "") -> Answer:
        """``set server b/s agent-addr A [port P]``."""
        if not address:
            return _error("set server <b>/<s> agent-addr requires an address and optionally a port.")
        return self._set_agent(server, address, port)

    def set_agent_port(self, server: WatchedServer, port: str) -> Answer:
        """``set server b/s agent-port P``."""
        if not port:
            return _error("set server <b>/<s> agent-port requires a port.")
        return self._set_agent(server, "", port)

    def set_agent_send(self, server: WatchedServer, text: str) -> Answer:
        """``set server b/s agent-send TEXT``: what the agent gets first."""
        agent = server.server.agent
        if agent is None or not server.state.agent.enabled:
            return _error("agent checks are not enabled on this server.")
        server.server = replace(server.server, agent=replace(agent, send=text))
        return DONE

    def _set_agent(self, server: WatchedServer, address: str, port: str) -> Answer:
        agent = server.server.agent
        if agent is None or not server.state.agent.enabled:
            return _warning("agent checks are not enabled on this server")
        if wrong := _wrong_place(address, port):
            return _warning(wrong)
        agent = replace(agent, address=address or agent.address, port=int(port) if port else agent.port)
        server.server = replace(server.server, agent=agent)
        return DONE

    def set_check_address(self, server: WatchedServer, address: str, port: str = "") -> Answer:
        """``set server b/s check-addr A [port P]``."""
        if not address:
            return _error("set server <b>/<s> check-addr requires an address and optionally a port.")
        return self._set_check(server, address, port)

    def set_check_port(self, server: WatchedServer, port: str) -> Answer:
        """``set server b/s check-port P``."""
        if not port:
            return _error("set server <b>/<s> check-port requires a port.")
        return self._set_check(server, "", port)

    def _set_check(self, server: WatchedServer, address: str, port: str) -> Answer:
        check = server.server.check
        if check is None or not server.state.check.enabled:
            return _warning("health checks are not enabled on this server")
        if wrong := _wrong_place(address, port):
            return _warning(wrong)
        check = replace(check, address=address or check.address, port=int(port) if port else check.port)
        server.server = replace(server.server, check=check)
        return DONE


def _wrong_place(address: str, port: str) -> str:
    """Return what is wrong with where checks are to go from now on, if anything is."""
    if address and not _is_address(address):
        return f"invalid addr '{address}'"
    if port and not port.isdecimal():
        return "provided port is not an integer"
    if port and not (_PORT.fullmatch(port) and 1 <= int(port) <= 65535):
        return "provided port is invalid"
    return ""


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_OPERATIONS = {"up": Operation.RUNNING, "stopping": Operation.STOPPING, "down": Operation.STOPPED}

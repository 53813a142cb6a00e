"""From drafts to the model: names are looked up, what belongs together is put together.

Laws: pure: how a host name becomes an address comes in as a function. After this step a Configuration is valid by
construction; what cannot be built is in the report, and then there is none.
"""

from __future__ import annotations

from hakit.diagnostics import Location
from tcpbalancer.config.build_balance import balance_settings, limits_of_server, with_fullconn
from tcpbalancer.config.build_binds import build_binds
from tcpbalancer.config.build_log import connection_log, proxy_log
from tcpbalancer.config.build_names import Names, Resolve, Saved
from tcpbalancer.config.build_rules import RulesBuilder
from tcpbalancer.config.check_servers import CheckBuilder
from tcpbalancer.config.conduct import refuse_impossible_tracks, with_conduct
from tcpbalancer.config.drafts import Drafts, ProxyDraft, ServerDraft, Settings
from tcpbalancer.config.findings import CHECKING, FILE, Report, maybe
from tcpbalancer.config.http_only import warn_of_http
from tcpbalancer.config.kernel_relay import asks, with_kernel_relay
from tcpbalancer.config.page_drafts import USERLISTS, http_front, stats_page
from tcpbalancer.config.process_keywords import process_of
from tcpbalancer.config.reach_keywords import reach_of
from tcpbalancer.config.rule_drafts import rules_of
from tcpbalancer.config.runtime_keywords import MAXCONN, SOCKETS, TIMEOUT
from tcpbalancer.config.socket_keywords import socket_options
from tcpbalancer.model import (
    Backend,
    Configuration,
    Frontend,
    Mode,
    Server,
    Timeouts,
)


def build(drafts: Drafts, report: Report, resolve: Resolve, saved: Saved | None = None) -> Configuration | None:
    """Return the configuration, or None if the report holds an error."""
    return _Builder(drafts, report, resolve, saved or {}).build()


class _Builder:
    def __init__(self, drafts: Drafts, report: Report, resolve: Resolve, saved: Saved) -> None:
        self._saved = saved
        self._drafts = drafts
        self._by_name = {draft.name: draft for draft in drafts.proxies if draft.has_backend}
        self._report = report
        self._resolve = resolve
        self._frontends: dict[str, Frontend] = {}
        self._backends: dict[str, Backend] = {}
        self._order: list[str] = []
        self._names = Names(drafts, report, resolve, saved)
        self._checks = CheckBuilder(drafts.whole, report, resolve)

    def build(self) -> Configuration | None:
        enabled = [draft for draft in self._drafts.proxies if not draft.settings.disabled]
        self._rules = RulesBuilder(
            self._drafts.proxies, self._report, self._drafts.whole.values.of(USERLISTS, dict, {})
        )
        for draft in enabled:
            self._refuse_incompatible_modes(draft)
        for draft in enabled:
            self._settle_mode(draft)
        for draft in enabled:
            self._proxy(draft)
        refuse_impossible_tracks(self._drafts, self._report)
        self._frontends = with_kernel_relay(self._drafts, self._frontends, self._backends, self._report)
        whole = self._drafts.whole
        resolvers = self._names.sections()
        self._names.tell_failure()
        if self._report.has_errors:
            return None
        return Configuration(
            frontends=self._frontends,
            backends=with_fullconn(self._backends, self._frontends),
            order=tuple(self._order),
            log_targets=tuple(whole.log_targets),
            log_tag=whole.log_tag,
            log_host=whole.log_host,
            maxconn=whole.maxconn,
            connection_rate=whole.values.of("maxconnrate", int, 0),
            session_rate=whole.values.of("maxsessrate", int, 0),
            nbthread=whole.nbthread,
            daemon=whole.daemon,
            pidfile=whole.pidfile,
            node=whole.node,
            description=whole.description,
            process=process_of(whole.values),
            stats_sockets=whole.values.of(SOCKETS, tuple, ()),
            stats_timeout=whole.values.of(TIMEOUT, float, 10.0),
            stats_maxconn=whole.values.of(MAXCONN, int, 10),
            resolvers=resolvers,
            saved=self._saved,
            spread_checks=whole.values.of("spread-checks", int, 0),
            max_spread_checks=whole.values.of("max-spread-checks", float, None) or None,
        )

    def _refuse_incompatible_modes(self, draft: ProxyDraft) -> None:
        """HTTP requests cannot go to a backend that is said to be something else; the modes are those of the file."""
        wanted = draft.settings.default_backend
        if not draft.has_frontend or wanted is None or draft.settings.mode is not Mode.HTTP:
            return
        other = self._by_name.get(wanted.text)
        if other is not None and other.settings.mode is Mode.TCP:
            here, there = draft.section.header.location, other.section.header.location
            message = (
                f"http {_type(draft)} '{draft.name}' ({here.file}:{here.line}) tries to use incompatible tcp "
                f"{_type(other)} '{other.name}' ({there.file}:{there.line}) as its default backend (see 'mode')."
            )
            self._report.error_as(FILE, here, message)

    def _settle_mode(self, draft: ProxyDraft) -> None:
        """HTTP mode is for the statistics page; what relays, relays bytes."""
        settings = draft.settings
        relays = bool(draft.servers) or (draft.has_frontend and settings.default_backend is not None)
        relays = relays or draft.kind == "backend" or bool(rules_of(draft).backends)
        if settings.mode is Mode.HTTP and relays:
            settings.mode = Mode.TCP
            if settings.mode_at is not None:
                place, source = settings.mode_at
                message = (
                    f"'mode http' is carried out by tcpbalancer for the statistics page only: proxy '{draft.name}' "
                    "relays bytes as in 'mode tcp'"
                )
                self._report.advise(place, message, source)
        elif settings.mode is Mode.TCP:
            warn_of_http(draft, self._report)
        if settings.mode is Mode.TCP and settings.log.httplog_at is not None:
            settings.log.tcplog = True

    def _proxy(self, draft: ProxyDraft) -> None:
        self._warn_of_missing_timeouts(draft)
        self._warn_of_what_is_never_used(draft)
        if draft.name not in self._order:
            self._order.append(draft.name)
        if draft.has_frontend:
            self._frontends[draft.name] = self._frontend(draft)
        if draft.has_backend:
            self._backends[draft.name] = self._backend(draft)

    def _warn_of_missing_timeouts(self, draft: ProxyDraft) -> None:
        given = draft.settings.timeouts
        front = draft.has_frontend and not given.get("client")
        connects = given.get("connect") or asks(draft)  # who is relayed by the kernel connects by himself
        back = draft.servers and not (connects and (given.get("server") or given.get("tunnel")))
        if front or back:
            self._report.warn_as(
                CHECKING,
                draft.section.header.location,
                f"missing timeouts for proxy '{draft.name}'.\n"
                "   | While not properly invalid, you will certainly encounter various problems\n"
                "   | with such a configuration. To fix this, please ensure that all following\n"
                "   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.",
            )

    def _warn_of_what_is_never_used(self, draft: ProxyDraft) -> None:
        place = draft.section.header.location
        if draft.has_frontend and not any(line.words[0].text == "bind" for line in draft.section.statements):
            message = f"{_type(draft)} '{draft.name}' has no 'bind' directive. Please declare it as a backend"
            self._report.warn_as(FILE, place, f"{message} if this was intended.")
        if draft.kind == "listen" and draft.servers and draft.settings.default_backend is not None:
            message = f"In proxy '{draft.name}', the 'default_backend' rule always has precedence over the servers"
            self._report.warn_as(FILE, place, f"{message}, which will never be used.")

    def _frontend(self, draft: ProxyDraft) -> Frontend:
        settings, whole = draft.settings, self._drafts.whole
        in_tcp = settings.mode is Mode.TCP
        return Frontend(
            name=draft.name,
            binds=build_binds(draft, self._report, self._resolve),
            mode=settings.mode,
            default_backend=self._default_backend(draft),
            timeouts=_timeouts(settings),
            maxconn=settings.maxconn or whole.values.of("-N", int, whole.maxconn),
            session_rate=settings.values.of("rate-limit", int, 0),
            connection_log=connection_log(settings.log, whole, settings.mode),
            log=proxy_log(settings.log, whole),
            sockets=socket_options(settings, "cli"),
            independent_streams=settings.values.of("independent-streams", bool, default=False),
            stats=None if in_tcp else stats_page(draft, whole),
            http=None if in_tcp else http_front(draft, whole),
            rules=self._rules.front(draft),
            location=draft.section.header.location,
        )

    def _default_backend(self, draft: ProxyDraft) -> str | None:
        """A listen section is its own backend unless it names another; a page has none."""
        wanted = draft.settings.default_backend
        if draft.settings.mode is Mode.HTTP:
            return None
        if wanted is None:
            return draft.name if draft.kind == "listen" else None
        names = self._by_name
        if wanted.text not in names:
            location = Location(draft.section.header.location.file, wanted.line, wanted.column)
            message = f"Proxy '{draft.name}': unable to find required default_backend: '{wanted.text}'."
            self._report.error_as(CHECKING, location, message + maybe(wanted.text, [*names]).replace("; d", " D"))
            return None
        if names[wanted.text] is draft:
            place = draft.section.header.location
            self._report.error_as(
                FILE, place, f"Proxy '{draft.name}': loop detected for default_backend: '{draft.name}'."
            )
        return None if names[wanted.text].settings.disabled else wanted.text

    def _backend(self, draft: ProxyDraft) -> Backend:
        settings = draft.settings
        return Backend(
            name=draft.name,
            servers=tuple(server for line in draft.servers if (server := self._server(draft, line)) is not None),
            mode=settings.mode,
            probe=self._checks.probe(draft),
            timeouts=_timeouts(settings),
            **balance_settings(draft, self._report),
            log_health_checks=settings.log_health_checks,
            log=proxy_log(settings.log, self._drafts.whole),
            rules=self._rules.back(draft),
            table=self._rules.table(draft),
            sockets=socket_options(settings, "srv"),
            independent_streams=settings.values.of("independent-streams", bool, default=False),
            location=draft.section.header.location,
        )

    def _server(self, draft: ProxyDraft, line: ServerDraft) -> Server | None:
        options = line.options
        found = self._names.find(draft, line)
        if found is None:
            return None
        has_port = not found.address.startswith(("/", "abns@"))
        port = line.port if line.port is not None or not has_port else self._called_port(draft, line)
        server = Server(
            name=line.name,
            address=found.address,
            port=port or 0,
            weight=options.of("weight", int, 1),
            **limits_of_server(options),
            backup=bool(options.get("backup")),
            disabled=bool(options.get("disabled")) or found.address == _NOWHERE,
            check=self._checks.check(draft, line, found.address) if options.get("check") else None,
            agent=self._checks.agent(draft, line, found.address) if options.get("agent-check") else None,
            shutdown_sessions_when_down=bool(options.get("on-marked-down")),
            host=found.host,
            naming=found.naming,
            reach=reach_of(draft, line, called_port=has_port and not port),
            location=line.statement.location,
        )
        return with_conduct(server, draft, line)

    def _called_port(self, draft: ProxyDraft, line: ServerDraft) -> int:
        """Return the port of a server that has none: the one that clients call if that is a single one, else 0."""
        callers = (other for other in self._drafts.proxies if self._reaches(other, draft))
        ports = {bind.port and bind.port + line.port_offset for other in callers for bind in other.binds}
        return port if len(ports) == 1 and 1 <= (port := ports.pop()) <= 65535 else 0

    @staticmethod
    def _reaches(caller: ProxyDraft, draft: ProxyDraft) -> bool:
        wanted = caller.settings.default_backend
        if wanted is None or not caller.has_frontend:
            return caller is draft
        return wanted.text == draft.name


def _type(draft: ProxyDraft) -> str:
    """Return HAProxy's word for the kind of a proxy (proxy_type_str)."""
    return "proxy" if draft.kind == "listen" else draft.kind


_NOWHERE = "0.0.0.0"
"""The address of a server that is to be reached at the one that the client called: that is not carried out."""


def _timeouts(settings: Settings) -> Timeouts:
    """A timeout of 0 is none, as in HAProxy."""
    given = {name.replace("-", "_"): seconds for name, seconds in settings.timeouts.items() if seconds}
    return Timeouts(**given)

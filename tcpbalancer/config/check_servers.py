"""From the options of a ``server`` line to how it is checked.

Laws: pure. Where a check goes and whether it speaks TLS or sends a PROXY header follows HAProxy (``init_srv_check``): a
server line without ``port`` and ``addr`` checks as it is used, one with them speaks plain TCP unless told otherwise.

Source: HAProxy's configuration manual, section 5.2 "Server and default-server options".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hakit.schedule import Intervals
from tcpbalancer.config.check_build import build_probe
from tcpbalancer.config.drafts import GlobalDraft, Options, ProxyDraft, ServerDraft
from tcpbalancer.config.findings import CHECKING, Report
from tcpbalancer.config.values import is_literal, parse_address
from tcpbalancer.model import AgentCheck, Check, Dialogue, ExternalCheck, Probe, Tls
from tcpbalancer.model.dialogue import Connect, Kind
from tcpbalancer.model.reach import Source

_NO_CA = (
    "verify is enabled by default but no CA file specified. If you're running on a LAN where you're certain to trust "
    "the server's certificate, please set an explicit 'verify none' statement on the 'server' line, or use "
    "'ssl-server-verify none' in the global section to disable server-side verifications by default."
)
Resolve = Callable[[str], str | None]


class CheckBuilder:
    """Builds what belongs to checks."""

    def __init__(self, whole: GlobalDraft, report: Report, resolve: Resolve) -> None:
        self._whole = whole
        self._report = report
        self._resolve = resolve
        self._probes: dict[int, Probe] = {}

    def probe(self, draft: ProxyDraft) -> Probe:
        """Return what the servers of a proxy are asked."""
        if id(draft) not in self._probes:
            check = draft.settings.check
            self._warn_of_unused(draft)
            keep = bool(self._whole.values.get("external-check-keeps-environment"))
            self._probes[id(draft)] = build_probe(check, self._report, keep_environment=keep)
            if check.kind == "external":
                self._external(draft)
        return self._probes[id(draft)]

    def _warn_of_unused(self, draft: ProxyDraft) -> None:
        check, place = draft.settings.check, draft.section.header.location
        kind = "proxy" if draft.kind == "listen" else draft.kind
        for rules, option, is_used in (
            ("http-check", "httpchk", not check.http or check.kind == "http"),
            ("tcp-check", "tcp-check", not check.tcp or check.kind == "tcp"),
        ):
            if not is_used and check.section.get(rules.partition("-")[0]) == place:
                message = (
                    f"{kind} '{draft.name}' uses {rules} rules without 'option {option}', so the rules are ignored."
                )
                self._report.warn_as(CHECKING, place, message)
        for word, value in (("command", check.command), ("path", check.path)):
            if value is not None and check.kind != "external":
                message = (
                    f"'external-check {word}' will be ignored for {kind} '{draft.name}' "
                    "(requires 'option external-check')."
                )
                self._report.warn_as(CHECKING, place, message)

    def _external(self, draft: ProxyDraft) -> None:
        check, place = draft.settings.check, draft.section.header.location
        name, given = f"Proxy '{draft.name}'", self._whole.values
        if not given.get("external-check"):
            message = f"{name} : 'option external-check' unable to find required 'global.external-check'."
            self._report.error_as(CHECKING, place, message)
        if check.command is None:
            message = f"{name} : 'option external-check' unable to find required 'external-check command'."
            self._report.error_as(CHECKING, place, message)
        elif not check.command.startswith("/") and not check.path:
            message = (
                f"{name}: 'external-check command' does not have a leading '/' and 'external-check path' is not set."
            )
            self._report.error_as(CHECKING, place, message)
        if not given.get("insecure-fork-wanted"):
            message = (
                f"{name} : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will "
                "likely fail."
            )
            self._report.warn_as(CHECKING, place, message)

    def check(self, draft: ProxyDraft, line: ServerDraft, address: str) -> Check | None:
        """Return how a server is checked, or None after an error."""
        options, probe = line.options, self.probe(draft)
        host, its_port = self._where(options.of("addr", str, ""), address)
        checked_port = options.of("port", int, its_port or line.port or 0)
        if host.startswith(("/", "abns@")):
            checked_port = checked_port or 1  # it has no port, and needs none
        if not self._has_port(draft, line, probe, checked_port):
            return None
        source = options.of("source", Source, draft.settings.values.of("source", Source, None))
        as_used = options.get("port") is None and options.get("addr") is None
        use_tls = bool(options.get("check-ssl")) or (as_used and bool(options.get("ssl")))
        use_tls = use_tls and options.get("check-ssl") is not False
        check = Check(
            address=host,
            port=checked_port or 1,
            intervals=Intervals(
                inter=options.of("inter", float, 2.0),
                fastinter=options.of("fastinter", float, None),
                downinter=options.of("downinter", float, None),
            ),
            rise=options.of("rise", int, 2),
            fall=options.of("fall", int, 3),
            tls=self._tls(options),
            use_tls=use_tls,
            sni=options.of("check-sni", str, None),
            alpn=options.of("check-alpn", tuple, ()),
            send_proxy=bool(options.get("check-send-proxy")) or (as_used and _sends_proxy(options, _PROXY_OPTIONS)),
            proxy_version=2 if _sends_proxy(options, _PROXY_OPTIONS[1:]) else 1,
            source=None if source is None else source.address or None,
            namespace=options.of("namespace", str, None),
        )
        self._refuse_unverified(draft, line, check, probe)
        return check

    def _where(self, text: str, address: str) -> tuple[str, int | None]:
        if not text:
            return address, None
        parsed = parse_address(text)
        host = parsed.host if is_literal(parsed.host) else self._resolve(parsed.host) or address
        return host, parsed.first_port

    def _has_port(self, draft: ProxyDraft, line: ServerDraft, probe: Probe, checked_port: int) -> bool:
        """No client calls when a server is checked, so there is no port that it called."""
        if checked_port or isinstance(probe, ExternalCheck):
            return True
        connects = [step for step in probe.steps if isinstance(step, Connect)]
        if all(step.port for step in connects):
            return True
        kind = "proxy" if draft.kind == "listen" else draft.kind
        message = f"config: {kind} '{draft.name}': server '{line.name}' has neither service port nor check port"
        if probe.kind in {Kind.TCP, Kind.HTTP} and not connects[0].implicit:
            without = "nor tcp_check rule 'connect' with port information"
            message += (
                f" {without}" if not connects[0].port else ", and a tcp_check rule 'connect' with no port information"
            )
        self._report.error_as("config : ", line.statement.at(2), f"{message}.", line.statement.source_at(2))
        return False

    def _tls(self, options: Options) -> Tls:
        base = self._whole.values.of("ca-base", str, None)
        return Tls(
            verify=options.of("verify", bool, self._whole.values.of("ssl-server-verify", bool, True)),
            ca_file=_below(base, options.of("ca-file", str, None)),
            crl_file=_below(base, options.of("crl-file", str, None)),
            certificate=_below(self._whole.values.of("crt-base", str, None), options.of("crt", str, None)),
            verify_host=options.of("verifyhost", str, None),
            ciphers=options.of("ciphers", str, None),
            lowest=options.of("ssl-min-ver", str, None),
            highest=options.of("ssl-max-ver", str, None),
        )

    def _refuse_unverified(self, draft: ProxyDraft, line: ServerDraft, check: Check, probe: Probe) -> None:
        place, source = line.statement.at(0), line.statement.source_at(0)
        speaks = check.use_tls
        if isinstance(probe, Dialogue):
            speaks = speaks or any(isinstance(step, Connect) and step.tls for step in probe.steps)
        if speaks and check.tls.verify and check.tls.ca_file is None:
            self._report.error_as("config : [{}] : ", place, f"'server {draft.name}/{line.name}' : {_NO_CA}", source)
        names = {check.sni, check.tls.verify_host}
        if speaks and check.tls.verify and None not in names and len(names) > 1:
            message = (
                f"'server {draft.name}/{line.name}' : 'verifyhost' other than 'check-sni' is not supported by "
                "tcpbalancer"
            )
            self._report.error_as("config : [{}] : ", place, message, source)

    def agent(self, draft: ProxyDraft, line: ServerDraft, address: str) -> AgentCheck | None:
        """Return how a server's agent is asked, or None after an error."""
        options = line.options
        agent_port = options.of("agent-port", int, options.of("port", int, 0))
        if not agent_port:
            message = (
                f"'server {draft.name}/{line.name}' : server {line.name} does not have agent port. Agent check has "
                "been disabled."
            )
            self._report.error_as("config : [{}] : ", line.statement.at(2), message, line.statement.source_at(2))
            return None
        host, _ = self._where(options.of("agent-addr", str, options.of("addr", str, "")), address)
        return AgentCheck(host, agent_port, options.of("agent-inter", float, 2.0), options.of("agent-send", str, ""))


def _below(base: str | None, path: str | None) -> str | None:
    return path if path is None or base is None or path.startswith(("/", "@")) else f"{base}/{path}"


_PROXY_OPTIONS = ("send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn")


def _sends_proxy(options: Options, names: Sequence[str]) -> bool:
    return any(options.get(name) for name in names)

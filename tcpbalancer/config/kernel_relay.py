"""Which frontends the kernel relays, and what they must not ask for: whatever only a proxy can do is refused.

Laws: pure; mistakes are reported and not raised. An error says what, why, and what to do, at the line that asks for it,
or (if that line stands in ``defaults``) at the head of the proxy. What is harmless is named in one warning a proxy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_address

from tcpbalancer.config.drafts import Drafts, ProxyDraft, Settings
from tcpbalancer.config.findings import CHECKING, Report
from tcpbalancer.config.inheritance import kind_of
from tcpbalancer.config.kernel_keywords import KERNEL_RELAY
from tcpbalancer.config.tokens import Statement
from tcpbalancer.kernel.plan import families
from tcpbalancer.model import Backend, Bind, Frontend, Mode, Server

_CARRIED_OUT = ("roundrobin", "static-rr", "source")
_RULES = ("tcp-request", "acl", "use_backend")
_Mistake = tuple[Statement | None, str, str]
"""Where it is said, what is said, and why that cannot be and what to do."""


def with_kernel_relay(
    drafts: Drafts, frontends: Mapping[str, Frontend], backends: Mapping[str, Backend], report: Report
) -> dict[str, Frontend]:
    """Return the frontends, those marked that the kernel relays; what they must not ask for is in the report."""
    fronts = {draft.name: draft for draft in drafts.proxies if draft.name in frontends and draft.has_frontend}
    backs = {draft.name: draft for draft in drafts.proxies if draft.name in backends and draft.has_backend}
    found, judged = dict(frontends), dict[int, ProxyDraft]()
    reached: set[str] = set()
    for name, frontend in frontends.items():
        front, back = fronts[name], backs.get(frontend.default_backend or "")
        if frontend.mode is not Mode.TCP or not (asks(front) or (back is not None and asks(back))):
            continue
        backend = None if back is None else backends[back.name]
        _refuse(front, _of_frontend(front, frontend, backend), report)
        judged[id(front)] = front
        if backend is not None and back is not None and backend.name not in reached:
            reached.add(backend.name)
            _refuse(back, _of_backend(back, backend), report)
            judged[id(back)] = back
        held = tuple(replace(bind, held=True) for bind in frontend.binds)
        found[name] = replace(frontend, kernel_relay=True, binds=held)
    for draft in judged.values():
        _warn(draft, report)
    return found


def asks(draft: ProxyDraft) -> bool:
    """Whether a proxy says ``option kernel-relay``."""
    return draft.settings.values.of(KERNEL_RELAY, bool, default=False)


def _refuse(draft: ProxyDraft, mistakes: Iterable[_Mistake], report: Report) -> None:
    for statement, what, why in mistakes:
        said = statement or draft.section.header
        message = f"{kind_of(draft.section)} '{draft.name}': {what} cannot go with 'option kernel-relay': {why}"
        report.error_as(CHECKING, said.at(0), message, said.source_at(0))


def _line(draft: ProxyDraft, *names: str) -> Statement | None:
    """Return the last line of a section that begins with the words of one of these names."""
    for statement in reversed(draft.section.statements):
        words = [word.text for word in statement.words]
        if any(words[: len(name.split())] == name.split() for name in names):
            return statement
    return None


# -- what only a proxy can do ------------------------------------------------------------------------------------------


def _of_frontend(draft: ProxyDraft, frontend: Frontend, backend: Backend | None) -> Iterator[_Mistake]:
    if frontend.rules is not None:
        yield (
            _line(draft, *_RULES), "a rule for connections",
            "the kernel looks at none; remove the rules, or relay this proxy without the option",
        )  # fmt: skip
    if backend is None:
        yield (
            _line(draft, "option kernel-relay", "dataplane"), "a frontend without 'default_backend'",
            "the kernel has to know where its connections go; name the backend",
        )  # fmt: skip
    if frontend.session_rate:
        yield _line(draft, "rate-limit"), "'rate-limit sessions'", "nobody counts before it relays; limit the clients"
    for bind in frontend.binds:
        said = next(line.statement for line in draft.binds if line.statement.at(1) == bind.location)
        for what, why in _of_bind(bind, backend):
            yield said, what, why


def _of_bind(bind: Bind, backend: Backend | None) -> Iterator[tuple[str, str]]:
    if bind.has_no_port:
        yield f"'bind {bind.title}'", "the kernel translates addresses of IP only; bind an address and a port"
        return
    for given, option, why in (
        (bind.accept_proxy, "accept-proxy", "a PROXY header can be taken away by a proxy only"),
        (bind.namespace is not None, "namespace", "the rules stand in the program's own network namespace"),
        (bind.interface is not None, "interface", "name the address of the interface instead"),
        (bind.transparent, "transparent", "only addresses of this machine are relayed"),
    ):
        if given:
            yield f"'{option}' of 'bind {bind.title}'", why
    reached = families(bind)
    servers = () if backend is None else backend.servers
    served = {6 if ":" in server.address else 4 for server in servers if server.address}
    if served and served.isdisjoint(reached):
        yield (
            f"'bind {bind.title}' with servers of the other version of IP only",
            "addresses are translated within IPv4 and within IPv6; give the servers addresses of that version",
        )


def _of_backend(draft: ProxyDraft, backend: Backend) -> Iterator[_Mistake]:
    if backend.balance not in _CARRIED_OUT and not (backend.balance == "random" and backend.draws == 1):
        yield (
            _line(draft, "balance"), f"'balance {backend.balance}'",
            "the kernel knows neither loads nor contents; use roundrobin, source or random(1)",
        )  # fmt: skip
    if backend.hashing.balance_factor:
        yield _line(draft, "hash-balance-factor"), "'hash-balance-factor'", "the kernel does not know who has how much"
    if backend.rules is not None:
        yield (
            _line(draft, "tcp-request", "use-server", "stick", "acl"), "a rule for connections or for stickiness",
            "the kernel looks at none; 'balance source' keeps a client with its server",
        )  # fmt: skip
    if backend.table is not None:
        yield _line(draft, "stick-table"), "'stick-table'", "nobody would fill it; 'balance source' is of the same use"
    if backend.redispatch is not None:
        yield (
            _line(draft, "option redispatch"), "'option redispatch'",
            "who meets a dead server cannot be sent to another one; say 'no option redispatch', and check often",
        )  # fmt: skip
    for server in backend.servers:
        said = next(line.statement for line in draft.servers if line.name == server.name)
        for what, why in _of_server(server):
            yield said, f"{what} of server '{server.name}'", why


def _of_server(server: Server) -> Iterator[tuple[str, str]]:
    reach, source = server.reach, server.reach.source
    if server.address.startswith(("/", "abns@")):
        yield "the Unix address", "the kernel translates addresses of IP only; give an address and a port"
    elif server.address and ip_address(server.address).is_loopback:
        yield "the loopback address", "nothing can be translated to it; use an address that the machine has on a link"
    for given, what, why in (
        (server.maxconn, "'maxconn'", "the kernel does not queue; limit the connections on the server itself"),
        (server.maxqueue, "'maxqueue'", "the kernel does not queue"),
        (reach.proxy_version, "'send-proxy'", "a PROXY header can be said by a proxy only"),
        (reach.namespace, "'namespace'", "the rules stand in the program's own network namespace"),
        (server.observe, "'observe layer4'", "no process sees how connects end; 'check' does"),
        (reach.called_port and reach.port_offset, "a port relative to the called one", "name the port"),
        (source is not None and source.first_port, "a port of 'source'", "the kernel chooses the port"),
        (source is not None and source.interface, "'interface' of 'source'", "name the address of the interface"),
    ):
        if given:
            yield what, why


# -- what has no effect ------------------------------------------------------------------------------------------------


def _value(name: str) -> Callable[[ProxyDraft, Settings], bool]:
    return lambda _, settings: bool(settings.values.get(name))


def _on_a_line(lines: str, name: str) -> Callable[[ProxyDraft, Settings], bool]:
    return lambda draft, _: any(line.options.get(name) for line in getattr(draft, lines))


_WITHOUT_EFFECT: Mapping[str, Callable[[ProxyDraft, Settings], bool]] = {
    "maxconn": lambda draft, settings: draft.has_frontend and settings.maxconn is not None,
    "option tcplog": lambda draft, settings: draft.has_frontend and settings.log.tcplog,
    "log-format": lambda draft, settings: draft.has_frontend and settings.log.format is not None,
    # Not if it comes from ``defaults``, where it stands for the sake of the other proxies.
    "timeout connect": lambda draft, _: draft.has_backend and bool(_line(draft, "timeout connect")),
    "timeout queue": lambda draft, settings: draft.has_backend and "queue" in settings.timeouts,
    "retries": lambda draft, settings: draft.has_backend and (settings.retries != 3 or bool(_line(draft, "retries"))),
    "fullconn": _value("fullconn"),
    **{f"{name} of bind": _on_a_line("binds", name) for name in (
        "maxconn", "backlog", "mss", "tcp-ut", "tfo", "defer-accept",
    )},
    "tcp-ut of server": _on_a_line("servers", "tcp-ut"),
    **{f"option {name}": _value(name) for name in (
        "tcpka", "clitcpka", "srvtcpka", "nolinger", "persist", "abortonclose",
    )},
}  # fmt: skip
"""What says how a connection fares in a proxy, and hurts nobody where there is none: whether a proxy asks for it."""


def _warn(draft: ProxyDraft, report: Report) -> None:
    named = [name for name, is_asked in _WITHOUT_EFFECT.items() if is_asked(draft, draft.settings)]
    if named:
        said = _line(draft, "option kernel-relay", "dataplane") or draft.section.header
        listed = ", ".join(f"'{name}'" for name in named)
        message = f"{kind_of(draft.section)} '{draft.name}' is relayed by the kernel; without effect there: {listed}"
        report.advise(said.at(0), message, said.source_at(0))

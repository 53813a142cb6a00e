"""From the names that a configuration speaks of to addresses, and to who looks names up later.

Laws: pure: how a name becomes an address, and how a file is read, come in as functions. Texts: ``srv_iterate_initaddr``
in HAProxy's ``server.c``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tcpbalancer.config.drafts import Drafts, ProxyDraft, ServerDraft
from tcpbalancer.config.findings import CHECKING, FILE, RESOLVING, Report
from tcpbalancer.config.resolver_keywords import RESOLVERS, ResolversDraft
from tcpbalancer.config.values import is_literal
from tcpbalancer.model import SavedServer
from tcpbalancer.model.naming import Hold, NameServer, Naming, Resolvers

Resolve = Callable[[str], str | None]
"""Takes a host name, returns an address or None."""
Saved = Mapping[tuple[str, str], SavedServer]
"""What state files say, by the names of backend and server."""
RESOLV_CONF = "/etc/resolv.conf"


def take_resolv_conf(drafts: Drafts, report: Report, read: Callable[[str], str]) -> None:
    """Add the name servers of resolv.conf(5) to the sections that ask for them."""
    for draft in _sections(drafts).values():
        if not draft.reads_resolv_conf:
            continue
        try:
            lines = read(RESOLV_CONF).splitlines()
        except OSError:
            report.error_as(FILE, draft.location, "failed to open /etc/resolv.conf.")
            continue
        words = (line.split() for line in lines)
        found = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver" and is_literal(line[1])]
        known = {server.name for server in draft.servers}
        draft.servers += [NameServer(address, address, 53) for address in dict.fromkeys(found) if address not in known]


def _sections(drafts: Drafts) -> dict[str, ResolversDraft]:
    found = drafts.whole.values.get(RESOLVERS, {})
    assert isinstance(found, dict)
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a server's address at the start; ``address`` empty: nothing."""

    address: str
    host: str = ""
    naming: Naming | None = None


class Names:
    """Looks up the names of servers for the start."""

    def __init__(self, drafts: Drafts, report: Report, resolve: Resolve, saved: Saved) -> None:
        self._sections = _sections(drafts)
        self._report = report
        self._resolve = resolve
        self._saved = saved
        self._tolerates = "-dr" in drafts.whole.values
        self.has_failed = False

    def sections(self) -> dict[str, Resolvers]:
        """Return the ``resolvers`` sections."""
        for draft in self._sections.values():
            if not draft.servers:
                place = f"{draft.location.file}:{draft.location.line}"
                message = f"resolvers '{draft.name}' [{place}] has no nameservers configured!"
                self._report.warn_as(FILE, draft.location, message)
        return {
            draft.name: Resolvers(
                name=draft.name,
                servers=tuple(draft.servers),
                resolve=draft.times.get("resolve", 1.0) or 1.0,
                retry=draft.times.get("retry", 1.0) or 1.0,
                retries=draft.retries,
                payload=draft.payload,
                hold=Hold(**draft.hold),
                location=draft.location,
            )
            for draft in self._sections.values()
        }

    def _methods(self, line: ServerDraft, naming: Naming | None) -> list[str]:
        """Return the ways to an address, in the order in which they are tried."""
        default = "last,libc" if naming is None else "last,libc,none"
        methods = line.options.of("init-addr", str, default).split(",")
        return [*methods, "none"] if self._tolerates and "none" not in methods else methods

    def find(self, draft: ProxyDraft, line: ServerDraft) -> Found | None:
        """Return the address with which a server starts, or None after an error."""
        naming = self._naming(draft, line)
        if is_literal(line.address) or line.address.startswith(("/", "abns@")):
            return Found(line.address)
        if line.address.startswith("_"):
            place, source = line.statement.at(2), line.statement.source_at(2)
            message = f"'server {draft.name}/{line.name}' : SRV records are not carried out by tcpbalancer"
            self._report.advise(place, f"{message}: it stays in maintenance", source)
            return Found("", line.address)
        methods = self._methods(line, naming)
        place, source = line.statement.at(2), line.statement.source_at(2)
        message = f"'server {draft.name}/{line.name}' : could not resolve address '{line.address}'"
        tried = False
        for method in methods:
            known = self._saved.get((draft.name, line.name))
            if method == "last" and known is not None and known.address and is_literal(known.address):
                return Found(known.address, line.address, naming)
            if method == "libc":
                tried = True
                if (address := self._resolve(line.address)) is not None:
                    return Found(address, line.address, naming)
            if method == "none":
                if tried:
                    self._report.notice_as(RESOLVING, place, f"{message}, disabling server.", source)
                return Found("", line.address, naming)
            if is_literal(method):
                if tried:
                    text = f"{message}, falling back to configured address."
                    self._report.notice_as(RESOLVING, place, text, source)
                return Found(method, line.address, naming)
        self.has_failed = True
        if not tried:
            message = message.replace("could not resolve address", "no method found to resolve address")
        hint = f"'init-addr {','.join(methods)},none' lets it start, in maintenance until its name has an address"
        self._report.error_as(RESOLVING, place, f"{message}.\n   | {hint}", source)
        return None

    def _naming(self, draft: ProxyDraft, line: ServerDraft) -> Naming | None:
        options = line.options
        section = options.of("resolvers", str, "")
        if not section:
            return None
        if section not in self._sections:
            kind = "proxy" if draft.kind == "listen" else draft.kind
            message = f"{kind} '{draft.name}', server '{line.name}': unable to find required resolvers '{section}'"
            self._report.error_as(FILE, line.statement.location, message, line.statement.source)
        return Naming(
            resolvers=section,
            prefers_ipv4=options.of("resolve-prefer", str, "ipv6") == "ipv4",
            networks=options.of("resolve-net", tuple, ()),
            allows_duplicates=options.of("resolve-opts", bool, default=False),
        )

    def tell_failure(self) -> None:
        """Report once that names were not found."""
        if self.has_failed:
            from tcpbalancer.model import NOWHERE

            self._report.error_as(CHECKING, NOWHERE, "Failed to initialize server(s) addr.")

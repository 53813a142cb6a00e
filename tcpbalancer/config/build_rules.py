"""From the drafts of rules to the model: the names that they use are looked up.

Laws: see ``build``.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from tcpbalancer.config.acl import Reference
from tcpbalancer.config.build_balance import hashed_sample
from tcpbalancer.config.drafts import ProxyDraft
from tcpbalancer.config.findings import CHECKING, FILE, PARSING_TIGHT, Report, maybe
from tcpbalancer.config.rule_drafts import RulesDraft, rules_of
from tcpbalancer.config.tokens import Statement
from tcpbalancer.model import Mode
from tcpbalancer.model.rule import BackRules, Choice, FrontRules, StickRule, StickTable
from tcpbalancer.rules.fetches import Needs


class RulesBuilder:
    """Looks up the names in the rules of all proxies."""

    def __init__(self, proxies: Sequence[ProxyDraft], report: Report, userlists: Container[str]) -> None:
        self._userlists = userlists
        self._report = report
        self._proxies = proxies
        self._backends = {draft.name: draft for draft in proxies if draft.has_backend}
        self._frontends = {draft.name: draft for draft in proxies if draft.has_frontend}

    def front(self, draft: ProxyDraft) -> FrontRules | None:
        """Return what stands before the choice of a backend; None: nothing does."""
        rules = rules_of(draft)
        self._check_references(draft, rules)
        if draft.settings.mode is Mode.HTTP:
            self._refuse_for_a_page(draft, rules)
        built = FrontRules(
            connection=tuple(rules.connection),
            session=tuple(rules.session),
            content=tuple(rules.content),
            inspect_delay=rules.inspect_delay,
            backends=tuple(self._use_backend(draft, rules)),
        )
        # A delay alone holds up nobody.
        return built if built != FrontRules(inspect_delay=rules.inspect_delay) else None

    def _refuse_for_a_page(self, draft: ProxyDraft, rules: RulesDraft) -> None:
        """Nobody takes a PROXY header away from a page."""
        if any(rule.action == "expect-proxy" for rule in rules.connection):
            message = f"Proxy '{draft.name}': 'expect-proxy' is not carried out by tcpbalancer for the statistics page."
            self._report.error_as(FILE, draft.section.header.location, message)
        for bind in draft.binds:
            if bind.options.get("accept-proxy"):
                why = "is not carried out by tcpbalancer for the statistics page"
                self._error(FILE, bind.statement, 0, f"Proxy '{draft.name}': 'accept-proxy' {why}.")

    def back(self, draft: ProxyDraft) -> BackRules | None:
        """Return what stands before the choice of a server; None: nothing does."""
        rules = rules_of(draft)
        if not draft.has_frontend:
            self._check_references(draft, rules)
        built = BackRules(
            content=tuple(rules.content),
            inspect_delay=rules.inspect_delay,
            servers=tuple(self._use_server(draft, rules)),
            stick=tuple(self._stick(draft, rules)),
            hashed=hashed_sample(draft),
        )
        return built if built != BackRules(inspect_delay=rules.inspect_delay) else None

    @staticmethod
    def table(draft: ProxyDraft) -> StickTable | None:
        """Return the table of a proxy."""
        return rules_of(draft).table

    def _use_backend(self, draft: ProxyDraft, rules: RulesDraft) -> list[Choice]:
        found = []
        for line in rules.backends:
            name = line.choice.name
            if name not in self._backends:
                hint = maybe(name, [*self._backends]).replace("; d", " D")
                message = f"Proxy '{draft.name}': unable to find required use_backend: '{name}'.{hint}"
                self._error(CHECKING, line.statement, 1, message)
            elif self._backends[name] is draft and draft.kind != "listen":
                self._error(FILE, line.statement, 1, f"Proxy '{draft.name}': loop detected for use_backend: '{name}'.")
            elif not self._backends[name].settings.disabled:
                found.append(line.choice)
        return found

    def _use_server(self, draft: ProxyDraft, rules: RulesDraft) -> list[Choice]:
        names = [server.name for server in draft.servers]
        for line in rules.servers:
            if line.choice.name not in names:
                kind = "proxy" if draft.kind == "listen" else draft.kind
                message = f"{kind} '{draft.name}' : unable to find server '{line.choice.name}'"
                self._error(FILE, line.statement, 1, f"{message} referenced in a 'use-server' rule.")
        return [line.choice for line in rules.servers]

    def _stick(self, draft: ProxyDraft, rules: RulesDraft) -> list[StickRule]:
        for line in rules.stick:
            other = self._backends.get(line.rule.table)
            if other is None or rules_of(other).table_at is None:
                message = f"Proxy '{draft.name}': unable to find stick-table '{line.rule.table}'."
                self._error(FILE, line.statement, 0, message)
            elif other is not draft:
                message = f"Proxy '{draft.name}': a stick-table of another proxy is not carried out by tcpbalancer."
                self._error(FILE, line.statement, 0, message)
        return [line.rule for line in rules.stick]

    def _check_references(self, draft: ProxyDraft, rules: RulesDraft) -> None:
        for reference, statement in rules.references:
            wrong = self._what_is_missing(reference)
            if wrong is not None:
                where = f"arg {reference.argument} of ACL keyword '{reference.keyword}' in proxy '{draft.name}'"
                self._error(PARSING_TIGHT, statement, 0, f"{wrong} {where}.")

    def _what_is_missing(self, reference: Reference) -> str | None:
        proxy, _, server = reference.name.partition("/")
        match reference.needs:
            case Needs.USERLIST if not reference.name:
                return "missing userlist name in"
            case Needs.USERLIST if reference.name not in self._userlists:
                return f"unable to find userlist '{reference.name}' referenced in"
            case Needs.BACKEND if proxy not in self._backends:
                return f"unable to find backend '{proxy}' referenced in"
            case Needs.FRONTEND if proxy not in self._frontends:
                return f"unable to find frontend '{proxy}' referenced in"
            case Needs.SERVER if not server:
                return "missing server name in"
            case Needs.SERVER if proxy not in self._backends:
                return f"unable to find proxy '{proxy}' referenced in"
            case Needs.SERVER if server not in [line.name for line in self._backends[proxy].servers]:
                return f"unable to find server '{server}' in proxy '{proxy}', referenced in"
            case _:
                return None

    def _error(self, form: str, statement: Statement, word: int, message: str) -> None:
        self._report.error_as(form, statement.at(word), message, statement.source_at(word))

"""Who may see what on a page: the rules of a frontend in HTTP mode, and of its statistics.

Laws: no socket. Everything that rules may know comes in as ``Facts``; a reply goes out, or None: go on. Passwords are
tried before the rules are asked, and only if somebody has given one.

Source: ``http_process_req_common`` (``http_ana.c``): monitors first, then the rules, then those of the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from tcpbalancer.control.passwords import Passwords, credentials
from tcpbalancer.control.replies import NO_CACHE, Reply, redirect, standard, unauthorised
from tcpbalancer.model import Frontend, HttpFront, HttpRule, StatsPage, User, UserList
from tcpbalancer.rules.conditions import Decide, Outcome, make_condition
from tcpbalancer.rules.facts import Facts
from tcpbalancer.rules.ruleset import RuleList

MONITORED = Reply(200, standard(200).headers, standard(200).body, logged=False)
DROPPED = Reply(0)
"""The connection ends without an answer."""


class Gate:
    """The rules of one frontend."""

    def __init__(self, frontend: Frontend) -> None:
        http = frontend.http or HttpFront()
        page = frontend.stats or StatsPage()
        self._monitor_uri = http.monitor_uri
        self._monitor_fail = [make_condition(condition) for condition in http.monitor_fail]
        self._rules = _ready(http.rules)
        self._page_rules = _ready(page.rules)
        self._admin = [make_condition(condition) for condition in page.admin]
        self._realm = page.realm
        self._passwords = Passwords(http.userlists)
        self._page_users = UserList("", tuple(User(name, password) for name, password in page.users))
        self._lists = http.userlists
        before = frontend.rules
        self._connection = RuleList(() if before is None else (*before.connection, *before.session))
        self._content = RuleList(() if before is None else before.content)

    def admits(self, facts: Facts) -> bool:
        """Whether the rules of ``tcp-request connection`` and ``session`` let somebody in."""
        return self._connection.decide(facts) == "accept"

    async def known_to(self, authorization: str | None) -> dict[str, frozenset[str]]:
        """Return the lists that know who asks, with the groups there; the empty name is that of ``stats auth``."""
        given = credentials(authorization)
        if given is None:
            return {}
        known = {}
        for users in (self._page_users, *self._lists):
            groups = await self._passwords.groups(users, given) if users.users else None
            if groups is not None:
                known[users.name] = groups
        return known

    def before(self, facts: Facts) -> Reply | str | None:
        """Return the answer of a monitor or a rule, the name of a service that answers, or None: go on."""
        assert facts.request is not None
        if self._monitor_uri is not None and facts.request.target == self._monitor_uri:
            fails = any(fail(facts) is Outcome.HOLDS for fail in self._monitor_fail)
            return _unlogged(standard(503, served=True)) if fails else MONITORED
        if self._content.decide(facts) != "accept":
            return DROPPED
        return _decide(self._rules, facts, self._realm)

    def page(self, facts: Facts) -> Reply | None:
        """Return what the page says to whoever may not see it; None: it is shown."""
        assert facts.request is not None
        for rule, holds in self._page_rules:
            if holds(facts) is Outcome.HOLDS:
                if rule.action == "allow":
                    return None
                if rule.action == "auth":
                    return unauthorised(rule.realm or self._realm, "<STATS>")
                denied = standard(403)
                return Reply(403, denied.headers, denied.body, who="<STATS>", flags="PR")
        if self._page_users.users and "" not in facts.request.known_to:
            return unauthorised(self._realm, "<STATS>")
        return None

    def is_admin(self, facts: Facts) -> bool:
        """Whether who asks may change servers."""
        return any(holds(facts) is Outcome.HOLDS for holds in self._admin)


def _ready(rules: Sequence[HttpRule]) -> list[tuple[HttpRule, Decide]]:
    return [(rule, make_condition(rule.condition)) for rule in rules]


def _unlogged(reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, reply.body, served=reply.served, logged=False)


def _decide(rules: list[tuple[HttpRule, Decide]], facts: Facts, realm: str) -> Reply | str | None:
    for rule, holds in rules:
        if holds(facts) is not Outcome.HOLDS:
            continue
        match rule.action:
            case "allow":
                return None
            case "auth":
                return unauthorised(rule.realm or realm)
            case "close":
                return DROPPED
            case "redirect":
                return redirect(rule.status, rule.location)
            case "deny" | "return":
                return _made(rule)
            case service:
                return service
    return None


def _made(rule: HttpRule) -> Reply:
    is_denial = rule.action == "deny"
    if rule.content is None and (is_denial or not rule.headers):
        if not is_denial and rule.status == 200:
            return Reply(200, (NO_CACHE,), served=True)
        return standard(rule.status, flags="PR" if is_denial else "LR", served=not is_denial)
    kind = () if rule.content_type is None else (("content-type", rule.content_type),)
    flags = "PR" if is_denial else "LR"
    return Reply(rule.status, (*kind, *rule.headers), rule.content or b"", flags=flags, served=not is_denial)

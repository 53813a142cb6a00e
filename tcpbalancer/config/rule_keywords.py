"""``acl``, ``tcp-request``, ``tcp-response``, ``use_backend`` and ``use-server``.

Laws: pure; handlers report and never raise. An action that changes neither who is let in nor which bytes flow is
accepted with a warning if it is not carried out; all others are refused.

Source: HAProxy's configuration manual, section 4.2, and section 4.4 "Alternatively sorted actions reference".
"""

from __future__ import annotations

import re

from tcpbalancer.config.acl_patterns import AclError, NotCarriedOutError
from tcpbalancer.config.page_drafts import speaks_http
from tcpbalancer.config.registry import LISTENERS, PROXY, SERVERS, Reading, keyword
from tcpbalancer.config.rule_drafts import ChoiceDraft, acl_reader, complain, keep_references, rules_of
from tcpbalancer.config.sections import invalid_character
from tcpbalancer.config.values import TimeError, parse_time
from tcpbalancer.model.rule import Choice, Condition, Rule, Term
from tcpbalancer.rules.fetches import FETCHES, Place
from tcpbalancer.rules.http_fetches import http_name

_PLACES = {"connection": Place.CONNECTION, "session": Place.SESSION, "content": Place.REQUEST}
ACTIONS = {
    "connection": ("accept", "reject", "expect-proxy", "silent-drop"),
    "session": ("accept", "reject", "silent-drop"),
    "content": ("accept", "reject", "silent-drop"),
}
"""What is carried out, by the set of rules."""
WITHOUT_EFFECT = re.compile(
    r"(set-mark|set-tos|set-fc-mark|set-fc-tos|set-bc-mark|set-bc-tos|set-nice|set-log-level|capture|track-sc\d+"
    r"|(un)?set-var(-fmt)?|sc-(inc|set|add)-gp[ct]\d?|set-priority-(class|offset))(\(.*)?"
)
"""Actions that let in nobody, and change no byte of a connection."""
_REFUSED = re.compile(
    r"(set-src|set-src-port|set-dst|set-dst-port|expect-netscaler-cip|switch-mode|use-service|do-resolve"
    r"|send-spoe-group|ot-group|attach-srv|lua\..*|do-log|close)(\(.*)?"
)
_ALL_ACTIONS = (
    "'accept', 'reject', 'capture', 'expect-proxy', 'expect-netscaler-cip', 'track-sc0' ... 'track-sc2', "
    "'sc-inc-gpc(*)', 'sc-inc-gpc0(*)', 'sc-inc-gpc1(*)', 'sc-set-gpt(*)', 'sc-set-gpt0(*)', 'set-var-fmt(*)', "
    "'set-var(*)', 'unset-var(*)', 'set-dst', 'set-dst-port', 'set-mark', 'set-src', 'set-src-port', 'set-tos', "
    "'silent-drop'"
)


def title(reading: Reading) -> str:
    """Return HAProxy's name for the proxy (proxy_type_str)."""
    return f"{'proxy' if reading.draft.kind == 'listen' else reading.draft.kind} '{reading.draft.name}'"


def _is_anonymous(reading: Reading) -> bool:
    return reading.draft.kind == "defaults" and not reading.draft.name


@keyword("acl <name> <criterion> [flags] [operator] <value> ...", PROXY, "A test with a name.")
def acl(reading: Reading) -> None:
    """Read one line of an ACL; several lines of one name are alternatives."""
    name = reading.words[1] if len(reading.words) > 1 else ""
    if _is_anonymous(reading):
        reading.error(0, "'acl' not allowed in anonymous 'defaults' section.")
    elif not name:
        reading.error(1, "'acl' expects a name.")
    elif (wrong := invalid_character(name)) is not None:
        reading.error(1, f"character '{wrong}' is not permitted in acl name '{name}'.")
    elif name.lower() == "or":
        message = "'or' is used to express a logical disjunction within a condition."
        reading.error(1, f"acl name '{name}' will never match. {message}")
    else:
        _one_line(reading, name)


def _one_line(reading: Reading, name: str) -> None:
    lines = rules_of(reading.draft).acls.setdefault(name, [])
    reader = acl_reader(reading, http=speaks_http(reading))
    try:
        lines.append(reader.test(reading.words[2:]))
    except NotCarriedOutError as unknown:
        lines.clear()
        reading.not_carried_out(2, f"ACL '{name}' ({unknown})", ": no rule may use it")
    except AclError as wrong:
        complain(reading, 2, wrong, f"error detected while parsing ACL '{name}' : ", ".")
    keep_references(reading, reader)


# -- conditions -------------------------------------------------------------------------------------------------------


def read_condition(reading: Reading, start: int, place: Place, before: str, inside: str = "") -> Condition | None:
    """Return the condition whose ``if`` or ``unless`` is word ``start``; None after a mistake, which is reported."""
    word = reading.words[start]
    reader = acl_reader(reading, http=speaks_http(reading))
    try:
        condition = reader.condition(reading.words[start + 1 :], rules_of(reading.draft).acls, unless=word == "unless")
        if place is not Place.HTTP and (name := http_name(condition)) is not None:
            raise NotCarriedOutError(f"fetch method '{name}' is not carried out by tcpbalancer")
    except NotCarriedOutError as unknown:
        if place is Place.REQUEST and reading.words[0] in {"use_backend", "use-server"}:
            never = f": '{reading.words[0]} {reading.words[1]}' never applies"
            reading.not_carried_out(start + 1 + unknown.position, f"{unknown}".partition(" is not")[0], never)
        else:
            complain(reading, start + 1, unknown, before)
        return None
    except AclError as wrong:
        complain(reading, start + 1, wrong, before)
        return None
    keep_references(reading, reader)
    _warn_of_what_never_matches(reading, start, condition, place, inside)
    return condition


def _warn_of_what_never_matches(reading: Reading, start: int, condition: Condition, place: Place, inside: str) -> None:
    for term in (term for suite in condition.suites for term in suite):
        names = [test.expression.fetch.name for test in term.tests]
        if names and not any(place in FETCHES[name].places for name in names):
            _warn_of_one(reading, start, term, place, inside)


def _warn_of_one(reading: Reading, start: int, term: Term, place: Place, inside: str) -> None:
    acls = rules_of(reading.draft).acls
    name = next((name for name, tests in acls.items() if tuple(tests) == term.tests), None)
    if name is None or "{" in reading.words[start:]:
        used = f"uses keyword '{term.tests[0].expression.fetch.name}' which is incompatible with '{place.value}'"
        reading.warn(start, f"anonymous acl will never match{inside} because it {used}")
    else:
        involved = f"only involves keywords that are incompatible with '{place.value}'"
        reading.warn(start, f"acl '{name}' will never match{inside} because it {involved}")


# -- tcp-request ------------------------------------------------------------------------------------------------------


@keyword("tcp-request <ruleset> ...", PROXY, "Rules for what arrives.")
def tcp_request(reading: Reading) -> None:
    """Report a ``tcp-request`` that is none."""
    where = "defaults section" if reading.draft.kind == "defaults" else title(reading)
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, f"missing argument for 'tcp-request' in {where}")
    else:
        expects = "'tcp-request' expects 'inspect-delay', 'connection', or 'content'"
        reading.error(1, f"{expects} in {where} (got '{reading.words[1]}')")


@keyword("tcp-request inspect-delay <time>", PROXY, "For how long contents are waited for.", words=2)
def inspect_delay(reading: Reading) -> None:
    """Read ``tcp-request inspect-delay``; the first one counts."""
    if _is_anonymous(reading):
        reading.error(0, "tcp-request inspect-delay is not allowed in anonymous 'defaults' sections")
        return
    expects = f"'tcp-request inspect-delay' expects a positive delay in milliseconds, in {title(reading)}"
    try:
        seconds = parse_time(reading.words[2] if len(reading.words) > 2 else "")
    except TimeError as wrong:
        reading.error(2, f"{expects} ({wrong})" if len(reading.words) > 2 else expects)
        return
    rules = rules_of(reading.draft)
    if rules.inspect_delay:
        reading.warn(1, f"ignoring tcp-request inspect-delay (was already defined) in {title(reading)}")
    else:
        rules.inspect_delay = seconds or None


@keyword("tcp-request connection <action> [{if|unless} <condition>]", PROXY, "Rules before anything is known.", words=2)
def connection(reading: Reading) -> None:
    """Read a rule that is asked as soon as a connection was accepted."""
    _rule(reading, "connection")


@keyword("tcp-request session <action> [{if|unless} <condition>]", PROXY, "Rules behind the PROXY header.", words=2)
def session(reading: Reading) -> None:
    """Read a rule that is asked once the client's address is known."""
    _rule(reading, "session")


@keyword("tcp-request content <action> [{if|unless} <condition>]", PROXY, "Rules that see what was sent.", words=2)
def content(reading: Reading) -> None:
    """Read a rule that may look at what the client has sent."""
    _rule(reading, "content")


def _rule(reading: Reading, ruleset: str) -> None:
    draft, words = reading.draft, reading.words
    if _is_anonymous(reading):
        reading.error(0, f"tcp-request {ruleset} is not allowed in anonymous 'defaults' sections")
        return
    if ruleset != "content" and draft.kind == "backend":
        reading.error(0, f"tcp-request {ruleset} is not allowed because {draft.kind} {draft.name} is not a frontend")
        return
    action = words[2] if len(words) > 2 else ""
    start = _action_end(reading, ruleset, action)
    if start is None:
        return
    condition = None
    if start < len(words):
        if words[start] not in {"if", "unless"}:
            expected = f"'tcp-request {ruleset} {action}' only accepts 'if' or 'unless'"
            reading.error(start, f"{expected}, in {title(reading)} (got '{words[start]}')")
            return
        before = f"'tcp-request {ruleset} {action}' : error detected in {title(reading)} while parsing "
        before += f"'{words[start]}' condition : "
        inside = f" in 'tcp-request {ruleset}'"
        condition = read_condition(reading, start, _PLACES[ruleset], before, inside)
        if condition is None:
            return
    getattr(rules_of(draft), ruleset).append(Rule(action, condition))


def _action_end(reading: Reading, ruleset: str, action: str) -> int | None:
    """Return the place behind an action that is carried out; what else is to be said of it is reported."""
    if action == "expect-proxy":
        return _expect_proxy(reading, ruleset)
    if action in ACTIONS[ruleset]:
        return 3
    if WITHOUT_EFFECT.fullmatch(action):
        reading.not_carried_out(2, f"'tcp-request {ruleset} {action}'")
    elif _REFUSED.fullmatch(action):
        refused = f"'tcp-request {ruleset} {action}' is not carried out by tcpbalancer"
        reading.error(2, f"{refused}, and without it other connections would be let in or other bytes would flow")
    else:
        expects = f"'tcp-request {ruleset}' expects {_ALL_ACTIONS} in {title(reading)}"
        reading.error(2, f"{expects} (got '{action}').")
    return None


def _expect_proxy(reading: Reading, ruleset: str) -> int | None:
    layer = reading.words[3] if len(reading.words) > 3 else ""
    rule = f"'tcp-request {ruleset} expect-proxy'"
    if layer != "layer4":
        reading.error(3, f"{rule} only supports 'layer4' in {title(reading)} (got '{layer}')")
    elif ruleset != "connection":
        allowed = f"is not allowed in 'tcp-request {ruleset}' rules"
        reading.error(2, f"'expect-proxy layer4' {allowed} in {title(reading)}")
    else:
        return 4
    return None


# -- tcp-response -----------------------------------------------------------------------------------------------------


@keyword("tcp-response <ruleset> ...", PROXY, "Rules for answers: only 'content accept'.")
def tcp_response(reading: Reading) -> None:
    """Read ``tcp-response``: what would hold up an answer is refused."""
    words = reading.words
    if len(words) < 2 or not words[1]:
        reading.error(1, f"missing argument for 'tcp-response' in {title(reading)}")
    elif words[1] not in {"inspect-delay", "content"}:
        expects = "'tcp-response' expects 'inspect-delay' or 'content'"
        reading.error(1, f"{expects} in {title(reading)} (got '{words[1]}')")
    elif reading.draft.kind == "frontend" or _is_anonymous(reading):
        only = "is only allowed in 'backend' sections or 'defaults' section with a name"
        reading.error(0, f"tcp-response {words[1]} {only}")
    elif words[1] == "inspect-delay" or words[2:3] == ("accept",) or WITHOUT_EFFECT.fullmatch("".join(words[2:3])):
        reading.not_carried_out(0, f"'{' '.join(words[:3])}'")
    else:
        refused = f"'{' '.join(words[:3])}' is not carried out by tcpbalancer"
        reading.error(2, f"{refused}, and without it other bytes would flow than this file asks for")


# -- where to ---------------------------------------------------------------------------------------------------------


@keyword("use_backend <backend> [{if|unless} <condition>]", LISTENERS, "Where connections go if the condition holds.")
def use_backend(reading: Reading) -> None:
    """Read ``use_backend``; whether the backend exists is seen at the end."""
    name = reading.words[1] if len(reading.words) > 1 else ""
    if not name:
        reading.error(1, "'use_backend' expects a backend name.")
        return
    if "%[" in name or "%{" in name:
        reading.error(1, f"'use_backend {name}' : a name that is made of samples is not carried out by tcpbalancer")
        return
    condition = None
    if len(reading.words) > 2:
        if reading.words[2] not in {"if", "unless"}:
            found = f"unexpected keyword '{reading.words[2]}' after switching rule"
            reading.error(2, f"{found}, only 'if' and 'unless' are allowed.")
            return
        condition = read_condition(reading, 2, Place.REQUEST, "error detected while parsing switching rule : ")
        if condition is None:
            return
    rules_of(reading.draft).backends.append(ChoiceDraft(Choice(name, condition), reading.statement))


@keyword("use-server <server> {if|unless} <condition>", SERVERS, "Which server is used if the condition holds.")
def use_server(reading: Reading) -> None:
    """Read ``use-server``; whether the server exists is seen at the end."""
    name = reading.words[1] if len(reading.words) > 1 else ""
    if not name:
        reading.error(1, "'use-server' expects a server name.")
    elif len(reading.words) < 3 or reading.words[2] not in {"if", "unless"}:
        reading.error(2, "'use-server' requires either 'if' or 'unless' followed by a condition.")
    elif "%[" in name:
        reading.error(1, f"'use-server {name}' : a name that is made of samples is not carried out by tcpbalancer")
    else:
        condition = read_condition(reading, 2, Place.REQUEST, "error detected while parsing switching rule : ")
        if condition is not None:
            rules_of(reading.draft).servers.append(ChoiceDraft(Choice(name, condition), reading.statement))

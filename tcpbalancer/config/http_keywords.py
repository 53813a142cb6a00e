"""What a proxy in HTTP mode answers by itself: ``http-request``, ``monitor-uri``, ``monitor fail``, ``redirect``.

Laws: pure; handlers report and never raise. They are carried out for pages, which have nothing to pass a request on to;
elsewhere they are named as not carried out, or refused where somebody would be let in.

Source: HAProxy's configuration manual, section 4.2; section 4.4 for the actions; ``http_act.c``, ``http_rules.c``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from tcpbalancer.config import known
from tcpbalancer.config.findings import PARSING_TIGHT
from tcpbalancer.config.page_drafts import http_of, is_page
from tcpbalancer.config.registry import FRONT, PROXY, Reading, keyword
from tcpbalancer.config.rule_keywords import read_condition, title
from tcpbalancer.model import HttpRule
from tcpbalancer.model.page import PROMETHEUS
from tcpbalancer.rules.fetches import Place

_STATUSES = frozenset({200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504})
_REDIRECTIONS = {"301": 301, "302": 302, "303": 303, "307": 307, "308": 308}


class _WrongError(ValueError):
    """What is wrong with a rule, and at which word."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(message)


class _Words:
    """The words of a rule behind its action, one after the other."""

    def __init__(self, reading: Reading, start: int) -> None:
        self._reading = reading
        self.position = start

    def next_is(self, *options: str) -> str:
        """Return the next word and go on if it is one of these, else an empty text."""
        words = self._reading.words
        if self.position < len(words) and words[self.position] in options:
            self.position += 1
            return words[self.position - 1]
        return ""

    def value(self, missing: str) -> str:
        """Return the next word, whatever it is."""
        if self.position >= len(self._reading.words):
            self.wrong(missing)
        self.position += 1
        return self._reading.words[self.position - 1]

    def wrong(self, message: str) -> NoReturn:
        raise _WrongError(self.position, message)


def _allow(_: _Words) -> HttpRule:
    return HttpRule("allow")


def _close(_: _Words) -> HttpRule:
    return HttpRule("close")


def _auth(words: _Words) -> HttpRule:
    realm = words.value("missing realm value.\n") if words.next_is("realm") else None
    if realm is not None and not (realm.isascii() and realm.isprintable()):
        words.wrong("only printable ASCII can stand in a header")
    return HttpRule("auth", realm=realm, status=401)


def _service(words: _Words) -> HttpRule:
    name = words.value("'use-service' expects a service name.")
    if name != PROMETHEUS:
        words.wrong(f"'{name}' unknown service name.")
    return HttpRule(name)


def _deny(words: _Words) -> HttpRule:
    return _answer(words, "deny", 403)


def _return(words: _Words) -> HttpRule:
    return _answer(words, "return", 200)


def _answer(words: _Words, action: str, status: int) -> HttpRule:
    """Read ``status 200 content-type text/plain string ok hdr X y``; what is made from samples or files is refused."""
    kind: str | None = None
    content: bytes | None = None
    headers: list[tuple[str, str]] = []
    while option := words.next_is(
        "status", "deny_status", "content-type", "string", "lf-string", "hdr", "default-errorfiles", "file", "lf-file",
        "errorfile", "errorfiles",
    ):  # fmt: skip
        match option:
            case "status" | "deny_status":
                status = _status(words, action)
            case "content-type":
                kind = _header_value(words, words.value("'content-type' expects <ctype> as argument."))
            case "string":
                content = words.value("'string' expects <str> as argument.").encode()
            case "lf-string":
                content = _without_samples(words, words.value("'lf-string' expects <fmt> as argument.")).encode()
            case "hdr":
                name = words.value("'hdr' expects <name> and <value> as arguments.")
                text = words.value("'hdr' expects <name> and <value> as arguments.")
                headers.append((name, _header_value(words, _without_samples(words, text))))
            case "default-errorfiles":
                pass
            case _:
                words.wrong(f"'{option}' is not supported by tcpbalancer")
    if content and kind is None:
        words.wrong("a content type must be defined when non-empty payload is configured")
    return HttpRule(action, status=status, content=content, content_type=kind, headers=tuple(headers))


def _status(words: _Words, action: str) -> int:
    text = words.value("'status' expects <status_code> as argument.")
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 200 <= number <= 599 or (action == "deny" and number not in _STATUSES):
        words.wrong(f"Unexpected status code '{number}'")
    return number


def _without_samples(words: _Words, text: str) -> str:
    if "%" in text.replace("%%", ""):
        words.wrong("a text that is made of samples is not supported by tcpbalancer")
    return text.replace("%%", "%")


def _header_value(words: _Words, text: str) -> str:
    if not text.isprintable():
        words.wrong("a header cannot hold a character that is not printable")
    return text


def _redirect(words: _Words) -> HttpRule:
    where, location, status = "", "", 302
    while option := words.next_is("location", "prefix", "scheme", "code", "ignore-empty", "drop-query"):
        if option == "code":
            code = words.value("missing argument for 'code'")
            if code not in _REDIRECTIONS:
                one_of = "must be one of 301, 302, 303, 307 or 308"
                words.wrong(f"'code': unsupported HTTP code '{code}' ({one_of})")
            status = _REDIRECTIONS[code]
        elif option in {"location", "prefix", "scheme"}:
            where = option
            text = words.value(f"missing argument for '{option}'")
            location = _header_value(words, _without_samples(words, text))
    if not where:
        words.wrong("redirection type expected ('prefix', 'location', or 'scheme')")
    if where != "location":
        words.wrong(f"'{where}' is not supported by tcpbalancer: use 'location'")
    return HttpRule("redirect", status=status, location=location)


_ACTIONS: dict[str, Callable[[_Words], HttpRule]] = {
    "allow": _allow,
    "auth": _auth,
    "deny": _deny,
    "redirect": _redirect,
    "reject": _close,
    "return": _return,
    "silent-drop": _close,
    "tarpit": _deny,
    "use-service": _service,
}
_STATS_ACTIONS = ("allow", "deny", "auth")


def read_http_rule(reading: Reading, start: int, actions: tuple[str, ...] = tuple(_ACTIONS)) -> HttpRule | None:
    """Return the rule whose action is word ``start``; None after a mistake, which is reported."""
    words = reading.words
    name = words[start] if start < len(words) else ""
    if name not in actions:
        _another_action(reading, start, name)
        return None
    rest = _Words(reading, start + 1)
    try:
        rule = _ACTIONS[name](rest)
    except _WrongError as wrong:
        where = f"error detected in {title(reading)} while parsing 'http-request {name}' rule"
        reading.error(wrong.position, f"{where} : {wrong}.")
        return None
    if rest.position >= len(words):
        return rule
    if words[rest.position] not in {"if", "unless"}:
        expects = f"'http-request {name}' expects either 'if' or 'unless' followed by a condition"
        reading.error(rest.position, f"{expects} but found '{words[rest.position]}'.", PARSING_TIGHT)
        return None
    before = f"error detected while parsing an 'http-request {name}' condition : "
    condition = read_condition(reading, rest.position, Place.HTTP, before)
    return None if condition is None else replace(rule, condition=condition)


def _another_action(reading: Reading, start: int, name: str) -> None:
    bare = name.partition("(")[0]
    if not known.is_http_action(bare):
        what = f"but got '{name}'{'' if name else ' (missing argument)'}."
        reading.error(start, f"'http-request' expects {known.HTTP_ACTIONS_IN_WORDS}, {what}", PARSING_TIGHT)
    elif bare in {"cache-use", "lua", "use-service"}:
        reading.error(start, f"'http-request {name}' is not supported by tcpbalancer: others would be answered")
    else:
        reading.not_carried_out(start, f"'{' '.join(reading.words[: start + 1])}'")


@keyword("http-request <action> [{if|unless} <condition>]", PROXY, "Rules for what is asked of a page; see the manual.")
def http_request(reading: Reading) -> None:
    """Read a rule for requests: for a page; elsewhere only those are taken that let in nobody."""
    action = reading.words[1] if len(reading.words) > 1 else ""
    if is_page(reading):
        rule = read_http_rule(reading, 1)
        if rule is not None:
            http_of(reading.draft).rules.append(rule)
    elif action in known.DENIALS:
        reading.error(0, f"'http-request {action}' is not supported by tcpbalancer: everybody would be let in")
    elif not known.is_http_action(action.partition("(")[0]):
        _another_action(reading, 1, action)
    else:
        reading.not_carried_out(0, "'http-request'")


@keyword("redirect location <to> [code <code>] [{if|unless} <condition>]", PROXY, "As 'http-request redirect'.")
def redirect(reading: Reading) -> None:
    """Read ``redirect``; it counts behind all ``http-request`` rules, wherever it stands."""
    if not is_page(reading):
        reading.not_carried_out(0, "'redirect'")
        return
    words = _Words(reading, 1)
    try:
        rule = _redirect(words)
    except _WrongError as wrong:
        where = f"error detected in {title(reading)} while parsing redirect rule"
        reading.error(wrong.position, f"{where} : {wrong}.")
        return
    condition = None
    if words.position < len(reading.words):
        if reading.words[words.position] not in {"if", "unless"}:
            reading.error(words.position, f"redirect rule : unexpected '{reading.words[words.position]}'.")
            return
        condition = read_condition(reading, words.position, Place.HTTP, "error detected while parsing redirect rule : ")
        if condition is None:
            return
    http_of(reading.draft).rules.append(replace(rule, condition=condition))


@keyword("monitor-uri <uri>", FRONT, "What is answered with 200 without being looked at, for monitors.")
def monitor_uri(reading: Reading) -> None:
    """Read ``monitor-uri``."""
    if len(reading.words) < 2 or not reading.words[1]:
        reading.error(1, "'monitor-uri' expects an URI.")
    elif reading.no_more_than(2):
        http_of(reading.draft).monitor_uri = reading.words[1]
        if reading.draft.kind != "defaults" and not is_page(reading):
            reading.not_carried_out(0, "'monitor-uri'")


@keyword("monitor fail {if|unless} <condition>", FRONT, "When monitors are answered with 503.", words=1)
def monitor(reading: Reading) -> None:
    """Read ``monitor fail``."""
    words = reading.words
    if len(words) < 2 or words[1] != "fail":
        reading.error(1, "'monitor' only supports 'fail'.")
    elif reading.draft.kind == "defaults":
        reading.error(0, "'monitor' not allowed in 'defaults' section.")
    elif len(words) < 3 or words[2] not in {"if", "unless"}:
        reading.error(2, "'monitor fail' requires either 'if' or 'unless' followed by a condition.")
    elif not is_page(reading):
        reading.not_carried_out(0, "'monitor fail'")
    else:
        condition = read_condition(reading, 2, Place.HTTP, "error detected while parsing a 'monitor fail' condition : ")
        if condition is not None:
            http_of(reading.draft).monitor_fail.append(condition)


def read_stats_rule(reading: Reading) -> HttpRule | None:
    """Return the rule of ``stats http-request``; None after a mistake, which is reported."""
    name = reading.words[2] if len(reading.words) > 2 else ""
    if name not in _STATS_ACTIONS and known.is_http_action(name.partition("(")[0]):
        reading.error(2, f"'stats http-request {name}' is not supported by tcpbalancer: use allow, deny or auth")
        return None
    return read_http_rule(reading, 2, _STATS_ACTIONS)

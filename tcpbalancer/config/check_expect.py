"""``tcp-check expect``, ``http-check expect`` and ``http-check send``.

Laws: see ``tcpbalancer.config.check_rules``.
"""

from __future__ import annotations

import re
from typing import Any

from tcpbalancer.check_status import CheckStatus
from tcpbalancer.config.check_rules import Cursor, Fields, RuleError, parse_binary
from tcpbalancer.config.samples import parse_sample, parse_template
from tcpbalancer.model.dialogue import (
    Content,
    ContentMatch,
    ContentTemplate,
    Expect,
    Header,
    HttpRequest,
    Pattern,
    StatusCodes,
    StatusMatch,
    TextMatch,
)

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_STATUSES = {
    "ok-status": ("L4OK", "L6OK", "L7OK", "L7OKC"),
    "error-status": ("L4CON", "L6RSP", "L7RSP", "L7STS", "L7OKC"),
    "tout-status": ("L4TOUT", "L6TOUT", "L7TOUT"),
}
_FIELDS = {"ok-status": "ok_status", "error-status": "error_status", "tout-status": "timeout_status"}
_IN_TCP = frozenset({"string", "rstring", "binary", "rbinary", "string-lf", "binary-lf"})
_IN_HTTP = frozenset({"string", "rstring", "string-lf", "status", "rstatus", "hdr", "fhdr"})
_ONLY_HTTP = (
    "'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', '[!]rstatus', [!]hdr, [!]fhdr or "
    "comment but got '{}' as argument."
)
_ONLY_TCP = (
    "'only supports min-recv, '[!]binary', '[!]string', '[!]rstring', '[!]string-lf''[!]rbinary', '[!]binary-lf' or "
    "comment but got '{}' as argument."
)
_COMPARISONS = ("str", "beg", "end", "sub", "reg")


def expect_rule(cursor: Cursor, *, is_http: bool) -> Expect:
    """Read what stands behind ``expect``."""
    if not cursor.word:
        raise cursor.error("expects at least a matching pattern as arguments")
    patterns: list[Pattern] = []
    fields: Fields = {}
    inverse = False
    while cursor.word:
        bangs = 0
        while cursor.word and not cursor.word.strip("!"):  # "! string" is "!string"
            bangs += len(cursor.word)
            cursor.position += 1
        keyword = cursor.word.lstrip("!")
        bangs += len(cursor.word) - len(keyword)
        inverse ^= bool(bangs % 2)
        if keyword in (_IN_HTTP if is_http else _IN_TCP):
            if patterns:
                raise cursor.error("only one pattern expected")
            patterns.append(_pattern(cursor, keyword))
        elif not _setting(cursor, keyword, fields):
            raise cursor.error((_ONLY_HTTP if is_http else _ONLY_TCP).format(keyword))
        elif bangs:
            raise cursor.error(f"[!] not supported with '{keyword}'")
        cursor.position += 1
    if not patterns:
        raise cursor.error("pattern not found")
    return Expect(pattern=patterns[0], inverse=inverse, **fields)


def _setting(cursor: Cursor, keyword: str, fields: Fields) -> bool:
    """Read what is no pattern into ``fields``; returns whether there is such a setting."""
    match keyword:
        case "min-recv":
            text = cursor.value("a integer", "")
            if not re.fullmatch(r"-1|\d{1,9}", text, re.ASCII):
                raise cursor.error("'min-recv' expects -1 or an integer from 0 to INT_MAX")
            fields["min_recv"] = int(text)
        case "comment":
            fields["comment"] = cursor.value("a string", "")
        case "on-success" | "on-error":
            text = cursor.value("a string", "")
            parsed = cursor.parsed(parse_template, f"'{text}' invalid log-format string ({{}})")
            fields[keyword.replace("-", "_")] = parsed
        case "status-code":
            cursor.value("an expression", "")
            fields["code"] = cursor.parsed(parse_sample, "error detected while parsing status-code expression : {}")
        case "ok-status" | "error-status" | "tout-status":
            text = cursor.value("a string", "")
            names = _STATUSES[keyword]
            if text.upper() not in names:
                listed = "', '".join(names[:-1])
                raise cursor.error(f"'{keyword}' only supports '{listed}' or '{names[-1]}' status (got '{text}').")
            fields[_FIELDS[keyword]] = CheckStatus[text.upper()]
        case _:
            return False
    return True


def _pattern(cursor: Cursor, keyword: str) -> Pattern:
    if keyword in {"hdr", "fhdr"}:
        return _header(cursor, keyword)
    text = cursor.value("a <pattern>", "")
    match keyword:
        case "string":
            return Content(text.encode("utf-8", "surrogateescape"))
        case "binary":
            return Content(cursor.parsed(parse_binary, "invalid binary string ({})"), binary=True)
        case "status":
            return StatusCodes(cursor.parsed(status_codes, "{}"))
        case "string-lf" | "binary-lf":
            template = cursor.parsed(parse_template, f"'{text}' invalid log-format string ({{}})")
            return ContentTemplate(template, keyword == "binary-lf")
        case "rstatus":
            return StatusMatch(cursor.parsed(_regex, "{}"))
        case _:
            return ContentMatch(cursor.parsed(_regex, "{}"), keyword == "rbinary")


def _regex(text: str, flags: int = 0) -> re.Pattern[bytes]:
    try:
        return re.compile(text.encode("utf-8", "surrogateescape"), flags)
    except (re.error, OverflowError, RecursionError) as wrong:
        raise ValueError(f"regex '{text}' is invalid (error={wrong})") from wrong


def status_codes(text: str) -> tuple[tuple[int, int], ...]:
    """Return the ranges of ``200-399,500``; raises ValueError in HAProxy's words."""
    wrong = re.search(r"[^0-9,-]", text)
    if wrong:
        raise ValueError(f"invalid character '{wrong[0]}' in the list of status codes")
    ranges: list[tuple[int, int]] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{0,9})(-?)(\d{0,9})", part, re.ASCII)
        if match is None:
            raise ValueError("invalid character '-' in the list of status codes")
        low = int(match[1] or 0)  # nothing is 0 for HAProxy
        high = int(match[3] or 0) if match[2] else low
        if low > high:
            raise ValueError(f"invalid range of status codes '{text}'")
        ranges.append((low, high))
    return tuple(ranges)


def _header(cursor: Cursor, keyword: str) -> Header:
    if cursor.ahead() not in {"name", "name-lf"} or not cursor.ahead(2):
        raise cursor.error(f"'{keyword}' expects at the name keyword as first argument followed by a pattern")
    cursor.position += 1
    name = _text_match(cursor, keyword, re.IGNORECASE)
    if cursor.ahead() not in {"value", "value-lf"}:
        return Header(name, whole=keyword == "fhdr")
    cursor.position += 1
    return Header(name, _text_match(cursor, keyword, 0), keyword == "fhdr")


def _text_match(cursor: Cursor, keyword: str, flags: int) -> TextMatch:
    """Read ``[-m <how>] <pattern>`` behind ``name`` or ``value``, where the cursor stands."""
    is_template = cursor.word.endswith("-lf")
    what = cursor.word
    cursor.position += 1
    method = "str"
    if cursor.word == "-m":
        cursor.position += 1
        method = cursor.word
        if method not in _COMPARISONS:
            raise cursor.error(f"'{keyword}' : '-m' only supports 'str', 'beg', 'end', 'sub' or 'reg' (got '{method}')")
        if method == "reg" and is_template:
            raise cursor.error(f"'{keyword}': log-format string is not supported with a regex matching method")
        cursor.position += 1
    if not cursor.word:
        raise cursor.error(f"'{keyword}' expect a pattern with the {what} keyword")
    if method == "reg":
        return TextMatch(method, cursor.parsed(lambda text: _regex(text, flags), "{}"))
    if is_template:
        return TextMatch(method, cursor.parsed(parse_template, f"'{cursor.word}' invalid log-format string ({{}})"))
    return TextMatch(method, (cursor.word,))


def http_send_rule(cursor: Cursor) -> tuple[Fields, dict[str, int]]:
    """Read what stands behind ``http-check send``; returns the fields that are given, and where each one stands."""
    fields: Fields = {}
    places: dict[str, int] = {}
    headers: list[tuple[str, Any]] = []
    while cursor.word:
        keyword = cursor.word
        name = {"meth": "method", "ver": "version"}.get(keyword, keyword.removesuffix("-lf"))
        if keyword in {"meth", "ver", "uri", "uri-lf", "body", "body-lf", "comment"}:
            text = cursor.value("a string")
            fields[name] = _request_part(cursor, keyword, text)
            places[name] = cursor.position
        elif keyword == "hdr":
            _add_header(cursor, headers)
        else:
            raise cursor.error(
                "expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but got "
                f"'{keyword}' as argument."
            )
        cursor.position += 1
    if headers:
        fields["headers"] = tuple(headers)
    return fields, places


def _request_part(cursor: Cursor, keyword: str, text: str) -> Any:
    if keyword == "meth" and not TOKEN.fullmatch(text):
        raise cursor.error(f"'{text}' is not a method")
    if keyword == "ver" and not re.fullmatch(r"HTTP/\d(\.\d)?", text, re.ASCII):
        raise cursor.error(f"'{text}' is not an HTTP version")
    if keyword in {"uri", "uri-lf"} and not is_visible(text):
        raise cursor.error(f"'{text}' cannot stand in a request")
    if keyword.endswith("-lf"):
        return cursor.parsed(parse_template, f"'{text}' invalid log-format string ({{}})")
    return (text,) if keyword in {"uri", "body"} else text


def is_visible(text: str) -> bool:
    """Whether a text can stand in a request line; HAProxy sends spaces, too."""
    return bool(text) and text.isprintable()


def _add_header(cursor: Cursor, headers: list[tuple[str, Any]]) -> None:
    name, value = cursor.ahead(), cursor.ahead(2)
    if not name or not value:
        raise RuleError(cursor.position + 1, "'hdr' expects <name> and <value> as arguments")
    cursor.position += 1
    if not TOKEN.fullmatch(name):
        raise cursor.error(f"'{name}' is not the name of a header")
    before = next((given for other, given in headers if name.lower() == other.lower() == "host"), None)
    if before is not None:
        text = "".join(part for part in before if isinstance(part, str))
        raise cursor.error(f"'{name}' header already defined (previous value is '{text}')")
    cursor.position += 1
    if not value.isprintable():
        raise cursor.error(f"the value of '{name}' cannot stand in a request")
    if name.lower() not in {"content-length", "transfer-encoding"}:
        headers.append((name, cursor.parsed(parse_template, f"'{value}' invalid log-format string ({{}})")))


def request_from(fields: Fields) -> HttpRequest:
    """Return the request that fields describe."""
    return HttpRequest(**fields)

"""How servers are checked: ``option httpchk``, ``option tcp-check`` and ``http-check``.

Laws: pure; handlers report and never raise. What a probe does not carry out is named, and the probe goes on without it.

Source: HAProxy's configuration manual, ``option httpchk``, ``http-check expect``, ``http-check send``.
"""

from __future__ import annotations

import re

from tcpbalancer.config import known
from tcpbalancer.config.findings import maybe
from tcpbalancer.config.registry import BACK, Reading, keyword

_STATUS = re.compile(r"(\d{3})(?:-(\d{3}))?", re.ASCII)
_HTTP_CHECK = (
    "'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', 'set-var-fmt(*)', 'set-var(*)', "
    "'unset-var(*)'."
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


def _visible(text: str) -> bool:
    """Whether a text can stand in a request line; HAProxy sends spaces, too."""
    return bool(text) and text.isprintable()


@keyword("option httpchk [[<method>] <uri> [<version> [<host>]]]", BACK, "Check servers by an HTTP request.", words=2)
def option_httpchk(reading: Reading) -> None:
    """Read ``option httpchk``: one word is the URI, two are method and URI."""
    check = reading.draft.settings.check
    words = reading.words[2:]
    method, uri, version = "OPTIONS", "/", "HTTP/1.0"
    if len(words) == 1:
        uri = words[0]
    elif words:
        method, uri, version = words[0], words[1], (words[2] if len(words) > 2 else version)
    version, *hidden = version.split("\r\n")
    headers = [_header(line) for line in hidden if line]
    if hidden:
        reading.warn(
            4,
            "'option httpchk' : hiding headers or body at the end of the version string is deprecated."
            " Please, consider to use 'http-check send' directive instead.",
        )
    if len(words) > 3:
        headers.append(("Host", words[3]))
    if not _TOKEN.fullmatch(method):
        reading.error(2, f"'option httpchk' : '{method}' is not a method")
    elif not _visible(uri):
        reading.error(3, f"'option httpchk' : '{uri}' is not a URI")
    elif not re.fullmatch(r"HTTP/\d\.\d", version):
        reading.error(4, f"'option httpchk' : '{version}' is not an HTTP version")
    elif any(not _TOKEN.fullmatch(name) or not _clean(value) for name, value in headers):
        reading.error(4, "'option httpchk' : a header is not 'name: value'")
    else:
        check.kind, check.method, check.uri, check.version = "http", method, uri, version
        check.headers = tuple(headers)
        check.uri_at = (reading.at(3 if len(words) > 1 else 2), reading.statement.source)


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _clean(text: str) -> bool:
    return text.isprintable()


@keyword("option tcp-check", BACK, "Check servers by a plain TCP connect.", words=2)
def option_tcp_check(reading: Reading) -> None:
    """Read ``option tcp-check``; ``tcp-check`` rules are not carried out."""
    if reading.no_more_than(2):
        reading.draft.settings.check.kind = "tcp"


def _other_probe(reading: Reading) -> None:
    """Accept a probe in an application's protocol: a plain connect is done instead."""
    reading.draft.settings.check.kind = "tcp"
    reading.not_carried_out(1, f"'option {reading.words[1]}'", ": a plain TCP connect is checked instead")


for _name in sorted(known.PROBES):
    keyword(f"option {_name}", BACK, "Accepted; a plain TCP connect is checked instead.", words=2)(_other_probe)


@keyword("http-check expect status <codes>", BACK, "Which status is a success: 200, 200-299, 200,301.", words=2)
def http_check_expect(reading: Reading) -> None:
    """Read ``http-check expect``: only ``status`` is carried out."""
    words = reading.words[2:]
    if not words:
        reading.error(2, "'http-check expect' : expects at least a matching pattern as arguments.")
        return
    pattern = words[0].removeprefix("!") or (words[1] if len(words) > 1 else "")
    if words[0] != "status":
        others = {"string", "rstring", "string-lf", "status", "rstatus", "hdr", "fhdr", "min-recv", "comment"}
        if pattern in others:
            what = f"'http-check expect {' '.join(words[:2])}'"
            reading.not_carried_out(2, what, ": any status of 2xx and 3xx passes instead")
        else:
            reading.error(
                2,
                "'http-check expect' : 'only supports min-recv, [!]string', '[!]rstring', '[!]string-lf', '[!]status', "
                f"'[!]rstatus', [!]hdr, [!]fhdr or comment but got '{words[0]}' as argument"
                f"{maybe(words[0], ['status']) or '..'}",
            )
        return
    if len(words) < 2:
        reading.error(3, "'http-check expect' : 'status' expects a list of status codes.")
        return
    codes = _status_codes(words[1])
    if isinstance(codes, str):
        reading.error(3, f"'http-check expect' : {codes}")
        return
    reading.draft.settings.check.expect_status = codes
    if len(words) > 2:
        reading.not_carried_out(4, f"'{words[2]}' behind 'http-check expect status'")


def _status_codes(text: str) -> frozenset[int] | str:
    found: set[int] = set()
    wrong = re.search(r"[^0-9,-]", text)
    if wrong:
        return f"invalid character '{wrong[0]}' in the list of status codes."
    for part in text.split(","):
        match = _STATUS.fullmatch(part)
        if match is None:
            return f"'{part}' is not a status code or a range of them."
        low, high = int(match[1]), int(match[2] or match[1])
        if not 100 <= low <= high <= 599:
            return f"'{part}' is not within 100 and 599."
        found.update(range(low, high + 1))
    return frozenset(found)


_SEND = {"meth": "method", "uri": "uri", "ver": "version"}


@keyword("http-check send meth <m> uri <u> ver <v> hdr <name> <value>", BACK, "What the request looks like.", words=2)
def http_check_send(reading: Reading) -> None:
    """Read ``http-check send``; bodies and formats are not carried out."""
    check = reading.draft.settings.check
    headers: list[tuple[str, str]] = []
    position = 2
    while position < len(reading.words):
        word, *values = reading.words[position : position + 3]
        needed = 2 if word == "hdr" else 1
        if word not in {*_SEND, "hdr", "body", "body-lf", "uri-lf", "comment"}:
            reading.error(
                position,
                "'http-check send' : expects 'comment', 'meth', 'uri', 'uri-lf', 'ver', 'hdr', 'body' or 'body-lf' but "
                f"got '{word}' as argument..",
            )
            return
        if len(values) < needed:
            reading.error(position + 1, f"'http-check send' : '{word}' expects {needed} argument{'s'[: needed - 1]}.")
            return
        if word == "hdr" and _TOKEN.fullmatch(values[0]) and _clean(values[1]):
            headers.append((values[0], values[1]))
        elif word in _SEND and _visible(values[0]):
            setattr(check, _SEND[word], values[0])
            if word == "uri":
                check.uri_at = (reading.at(position + 1), reading.source_at(position + 1))
        elif word in {"hdr", *_SEND}:
            reading.error(position + 1, f"'http-check send' : '{' '.join(values[:needed])}' cannot stand in a request")
        elif word != "comment":
            reading.not_carried_out(position, f"'http-check send {word}'")
        position += needed + 1
    check.headers = tuple(headers)


@keyword("http-check <rule>", BACK, "Rules of an HTTP check; see expect and send.")
def http_check(reading: Reading) -> None:
    """Read an ``http-check`` that has no handler of its own."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word in known.HTTP_CHECK or re.match(r"(un)?set-var(-fmt)?\(", word):
        reading.not_carried_out(1, f"'http-check {word}'")
    else:
        hint = maybe(word, ["connect", "expect", "send", "comment"]).replace("; d", " D")
        reading.error(1, f"'http-check' only supports {_HTTP_CHECK} but got '{word}'{hint}")

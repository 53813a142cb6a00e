"""How servers are checked: ``option httpchk`` and its relatives, ``tcp-check``, ``http-check``, ``external-check``.

Laws: pure; handlers report and never raise. A line becomes the draft of a rule here, a dialogue in ``check_build``.

Source: HAProxy's configuration manual, section 4.2 "Proxy keywords reference".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from tcpbalancer.config.check_build import begins_without_connect
from tcpbalancer.config.check_expect import TOKEN, expect_rule, http_send_rule, is_visible
from tcpbalancer.config.check_rules import Cursor, RuleError, connect_rule, send_rule, variable_rule
from tcpbalancer.config.drafts import CheckDraft, RuleDraft
from tcpbalancer.config.findings import maybe
from tcpbalancer.config.registry import BACK, Handler, Reading, keyword
from tcpbalancer.config.samples import parse_template
from tcpbalancer.dialogue import protocols
from tcpbalancer.model import Dialogue
from tcpbalancer.model.dialogue import Step, Template

_SENDS = ("send", "send-lf", "send-binary", "send-binary-lf")
_VARIABLES = "'set-var-fmt(*)', 'set-var(*)', 'unset-var(*)'."
_DIALECTS = ("post-41", "pre-41", "post-80")


def own_rules(reading: Reading, kind: str) -> CheckDraft:
    """Return the draft of this proxy's check, without the rules that its defaults have for ``tcp`` or ``http``."""
    check = reading.draft.settings.check
    here = reading.draft.section.header.location
    if check.section.get(kind) != here:
        check.section[kind] = here
        if kind == "tcp":
            check.tcp = []
        else:
            check.http, check.rules_before, check.disable_on_404, check.send_state = [], 0, False, False
    return check


def _use(reading: Reading, kind: str, dialogue: Dialogue | None = None) -> CheckDraft:
    check = reading.draft.settings.check
    check.kind, check.dialogue = kind, dialogue
    return check


@keyword("option httpchk [[<method>] <uri> [<version> [<host>]]]", BACK, "Check servers by an HTTP request.", words=2)
def option_httpchk(reading: Reading) -> None:
    """Read ``option httpchk``: one word is the URI, two are method and URI."""
    words = reading.words[2:]
    if not reading.no_more_than(6):
        return
    method, uri, version = "OPTIONS", "/", "HTTP/1.0"
    if len(words) == 1:
        uri = words[0]
    elif words:
        method, uri, version = words[0], words[1], (words[2] if len(words) > 2 else version)
    version, _, hidden = version.partition("\r\n")
    head, _, body = hidden.partition("\r\n\r\n")
    headers = [_header(line) for line in head.split("\r\n") if line]
    if hidden:
        reading.warn(
            4,
            "'option httpchk' : hiding headers or body at the end of the version string is deprecated."
            " Please, consider to use 'http-check send' directive instead.",
        )
    if len(words) > 3:
        headers.append(("Host", words[3]))
    if not TOKEN.fullmatch(method):
        reading.error(2, f"'option httpchk' : '{method}' is not a method")
    elif not is_visible(uri):
        reading.error(3, f"'option httpchk' : '{uri}' is not a URI")
    elif not re.fullmatch(r"HTTP/\d(\.\d)?", version, re.ASCII):
        reading.error(4, f"'option httpchk' : '{version}' is not an HTTP version")
    elif any(not TOKEN.fullmatch(name) or not value.isprintable() for name, value in headers):
        reading.error(4, "'option httpchk' : a header is not 'name: value'")
    elif (templates := _templates(reading, headers)) is not None:
        check = own_rules(reading, "http")
        _use(reading, "http")
        check.request = {"method": method, "uri": (uri,), "version": version, "headers": templates}
        if body:
            check.request["body"] = (body,)
        check.rules_before = len(check.http)
        check.uri_at = (reading.at(3 if len(words) > 1 else 2), reading.source_at(3 if len(words) > 1 else 2))


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _templates(reading: Reading, headers: list[tuple[str, str]]) -> tuple[tuple[str, Template], ...] | None:
    try:
        return tuple((name, parse_template(value)) for name, value in headers)
    except ValueError as wrong:
        reading.error(4, f"'option httpchk' : {wrong}")
        return None


@keyword("option tcp-check", BACK, "Check servers by the steps of tcp-check, or by a plain connect.", words=2)
def option_tcp_check(reading: Reading) -> None:
    """Read ``option tcp-check``."""
    if reading.no_more_than(2):
        own_rules(reading, "tcp")
        _use(reading, "tcp")


@keyword("option external-check", BACK, "Check servers by a program.", words=2)
def option_external_check(reading: Reading) -> None:
    """Read ``option external-check``."""
    if reading.no_more_than(2):
        _use(reading, "external")


@keyword("option pgsql-check user <name>", BACK, "Check servers by PostgreSQL's greeting.", words=2)
def option_pgsql_check(reading: Reading) -> None:
    """Read ``option pgsql-check``: without a user there is nothing to say."""
    words = reading.words[2:]
    if len(words) < 2:
        reading.error(
            2,
            "'option pgsql-check' expects 'user <username>' as argument."
            " (a role that may log in and a database of the same name keep PostgreSQL's log quiet)",
        )
    elif words[0] != "user":
        reading.error(2, "'option pgsql-check' only supports optional values: 'user'.")
    elif reading.no_more_than(4):
        _use(reading, "protocol", protocols.pgsql(words[1]))


@keyword("option mysql-check [user <name> [post-41|pre-41]]", BACK, "Check servers by MySQL's greeting.", words=2)
def option_mysql_check(reading: Reading) -> None:
    """Read ``option mysql-check``; with a user it logs in."""
    words = reading.words[2:]
    dialect = words[2] if len(words) > 2 else "post-41"
    if words and words[0] != "user":
        reading.error(2, f"'option mysql-check' only supports optional values: 'user' (got '{words[0]}').")
    elif words and (len(words) < 2 or not words[1]):
        reading.error(3, "'option mysql-check user' expects <username> as argument.")
    elif dialect not in _DIALECTS:
        reading.error(4, f"keyword 'user' only supports 'post-41', 'pre-41' and 'post-80' (got '{dialect}').")
    elif reading.no_more_than(5):
        _use(reading, "protocol", protocols.mysql(words[1] if words else None, dialect))


@keyword("option smtpchk [{HELO|EHLO} <domain>]", BACK, "Check servers by an SMTP greeting.", words=2)
def option_smtpchk(reading: Reading) -> None:
    """Read ``option smtpchk``; what is no greeting is ``HELO localhost``, as in HAProxy."""
    words = reading.words[2:]
    if reading.no_more_than(4):
        given = len(words) == 2 and words[0] in {"HELO", "EHLO"} and words[1].isprintable()
        _use(reading, "protocol", protocols.smtp(" ".join(words) if given else "HELO localhost"))


def _simple(name: str, summary: str, make: Callable[[], Dialogue]) -> None:
    def handler(reading: Reading) -> None:
        if reading.no_more_than(2):
            _use(reading, "protocol", make())

    keyword(f"option {name}", BACK, summary, words=2)(handler)


_simple("redis-check", "Check servers by PING and PONG of Redis.", protocols.redis)
_simple("ldap-check", "Check servers by an anonymous LDAP bind.", protocols.ldap)
_simple("ssl-hello-chk", "Check servers by an SSLv3 hello.", protocols.ssl_hello)
_simple("spop-check", "Check SPOP agents by a hello.", protocols.spop)


@keyword("external-check { command | path } <value>", BACK, "Which program checks servers, and its PATH.")
def external_check(reading: Reading) -> None:
    """Read ``external-check`` of a proxy."""
    words = reading.words[1:]
    check = reading.draft.settings.check
    if not words:
        reading.error(1, "missing argument after 'external-check'.")
    elif words[0] not in {"command", "path"}:
        reading.error(1, f"'external-check' only supports 'command' and 'path'. but got '{words[0]}'.")
    elif len(words) < 2 or not words[1]:
        reading.error(2, f"missing argument after '{words[0]}'.")
    elif reading.no_more_than(3):
        setattr(check, words[0], words[1])


@keyword("tcp-check set-var(<name>) <value>", BACK, "Set a variable; set-var-fmt and unset-var, too.")
def tcp_check(reading: Reading) -> None:
    """Read a rule of ``tcp-check``."""
    rules = own_rules(reading, "tcp").tcp

    def read(cursor: Cursor, word: str) -> Step | None:
        if word == "connect":
            _refuse_late_connect(cursor, rules)
            return connect_rule(cursor, is_http=False)
        if word in _SENDS:
            return send_rule(cursor, word)
        return expect_rule(cursor, is_http=False) if word == "expect" else variable_rule(cursor, word)

    supported = f"'comment', 'connect', 'send', 'send-binary', 'expect', {_VARIABLES}"
    if (rule := _rule(reading, read, supported)) is not None:
        rules.append(rule)


@keyword("http-check set-var(<name>) <value>", BACK, "Set a variable; set-var-fmt and unset-var, too.")
def http_check(reading: Reading) -> None:
    """Read a rule of ``http-check``."""
    check = own_rules(reading, "http")
    word = reading.words[1] if len(reading.words) > 1 else ""
    if word in {"disable-on-404", "send-state"}:
        if len(reading.words) > 2:
            reading.error(2, f"'http-check' cannot handle unexpected argument '{reading.words[2]}'.")
        else:
            setattr(check, word.replace("-", "_"), True)
        return

    def read(cursor: Cursor, word: str) -> Step | None:
        if word == "connect":
            _refuse_late_connect(cursor, check.http)
            return connect_rule(cursor, is_http=True)
        return expect_rule(cursor, is_http=True) if word == "expect" else variable_rule(cursor, word)

    if word == "send":
        _http_send(reading, check)
        return
    supported = f"'disable-on-404', 'send-state', 'comment', 'connect', 'send', 'expect', {_VARIABLES}"
    if (rule := _rule(reading, read, supported)) is not None:
        check.http.append(rule)


def _describe(handler: Handler, prefix: str, rules: dict[str, str]) -> None:
    """Give each rule an entry of its own, for those who look it up."""
    for rule, summary in rules.items():
        keyword(f"{prefix} {rule}", BACK, summary, words=2)(handler)


_CONNECT = "connect [default] [port <p>] [addr <a>] [send-proxy] [linger] [ssl] [sni <s>] [alpn <l>] [comment <c>]"
_ENDS = "[comment <c>] [ok-status <s>] [error-status <s>] [tout-status <s>] [on-success <f>] [on-error <f>]"
_describe(
    tcp_check,
    "tcp-check",
    {
        _CONNECT: "Open a connection.",
        "send <text> [comment <c>]": "Send a text.",
        "send-lf <format> [comment <c>]": "Send what a log-format string yields.",
        "send-binary <hex> [comment <c>]": "Send bytes.",
        "send-binary-lf <format> [comment <c>]": "Send the bytes whose digits a log-format string yields.",
        f"expect [min-recv <n>] {_ENDS} [status-code <e>] [!]<match> <pattern>": (
            "What has to come: string, rstring, binary, rbinary, string-lf, binary-lf."
        ),
        "comment <text>": "Told with a failure of the rules behind it.",
    },
)
_describe(
    http_check,
    "http-check",
    {
        _CONNECT: "Open a connection.",
        "send [meth <m>] [{uri|uri-lf} <u>] [ver <v>] [hdr <n> <f>]* [{body|body-lf} <b>] [comment <c>]": (
            "What the request looks like."
        ),
        f"expect [min-recv <n>] {_ENDS} [!]<match> <pattern>": (
            "What has to come: status, rstatus, string, rstring, string-lf, hdr, fhdr."
        ),
        "disable-on-404": "A server that answers 404 gets no new connections (NOLB).",
        "send-state": "Tell the server how it stands.",
        "comment <text>": "Told with a failure of the rules behind it.",
    },
)


def _http_send(reading: Reading, check: CheckDraft) -> None:
    try:
        fields, places = http_send_rule(Cursor(reading.words, 2, reading.statement.source))
    except RuleError as wrong:
        reading.error(wrong.position, f"'http-check send' : {_sentence(wrong)}")
        return
    if "uri" in fields:
        check.uri_at = (reading.at(places["uri"]), reading.source_at(places["uri"]))
    check.http.append(RuleDraft(reading.at(0), reading.statement.source, request=fields))


def _refuse_late_connect(cursor: Cursor, rules: list[RuleDraft]) -> None:
    if begins_without_connect(rules):
        raise RuleError(
            cursor.position,
            "first step MUST also be a 'connect', optionally preceded by a 'set-var', an 'unset-var' or a 'comment', "
            "when there is a 'connect' step in the tcp-check ruleset",
        )


def _rule(reading: Reading, read: Callable[[Cursor, str], Step | None], supported: str) -> RuleDraft | None:
    """Return the rule that a line holds, or None after an error."""
    word = reading.words[1] if len(reading.words) > 1 else ""
    cursor = Cursor(reading.words, 2, reading.statement.source)
    place, source = reading.at(0), reading.statement.source
    try:
        if word == "comment":
            if not cursor.word:
                raise cursor.error("expects a string as argument")
            return RuleDraft(place, source, comment=cursor.word)
        step = read(cursor, word)
    except RuleError as wrong:
        reading.error(wrong.position, f"'{reading.words[0]} {word}' : {_sentence(wrong)}")
        return None
    if step is None:
        hint = maybe(word, ["connect", "expect", "send", "comment"]).replace("; d", " D")
        reading.error(1, f"'{reading.words[0]}' only supports {supported} but got '{word}'{hint}")
        return None
    return RuleDraft(place, source, step=replace(step, line=place.line))


def _sentence(wrong: RuleError) -> str:
    """HAProxy puts a dot behind whatever a rule's parser says, also where there is one."""
    return f"{wrong}."

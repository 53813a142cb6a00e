"""ACLs and conditions as they are written: words in, tests out.

Laws: pure. ``AclError`` says in HAProxy's words what is wrong, and at which word. What HAProxy could test and
tcpbalancer cannot is an error, too: a rule without its condition would let in, or keep out, whom it should not.

Source: HAProxy's configuration manual, chapter 7 "Using ACLs and fetching samples"; ``acl.c``, ``arg.c``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tcpbalancer.config.acl_patterns import AclError, NotCarriedOutError, PatternReader, ReadFile
from tcpbalancer.config.known_samples import KNOWN_CONVERTERS, KNOWN_FETCHES
from tcpbalancer.model.rule import Argument, Call, Condition, Expression, Ip, Term, Test
from tcpbalancer.rules.converters import CONVERTERS
from tcpbalancer.rules.fetches import FETCHES, Needs
from tcpbalancer.rules.http_fetches import HTTP_FETCHES, MATCHED_BY_NAME
from tcpbalancer.rules.patterns import BY_KIND
from tcpbalancer.rules.samples import CASTS, Kind, parse_ip

_NAME = re.compile(r"[\w.:-]*", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
ACL_KEYWORDS = {
    "payload": "bin",
    "payload_lv": "bin",
    "req_ssl_sni": "str",
    "req_ssl_ver": "version",
    "req.ssl_ver": "version",
    **MATCHED_BY_NAME,
}
"""Fetch methods that have a way of matching of their own, and speak of themselves as ACL keywords."""
PREDEFINED: Mapping[str, Sequence[str]] = {
    "TRUE": ("always_true",),
    "FALSE": ("always_false",),
    "LOCALHOST": ("src", "127.0.0.1/8", "::1"),
    "HTTP": ("req.proto_http",),
    "RDP_COOKIE": ("req.rdp_cookie_cnt", "gt", "0"),
    "REQ_CONTENT": ("req.len", "gt", "0"),
    "WAIT_END": ("wait_end",),
    "HTTP_1.0": ("req.ver", "1.0"),
    "HTTP_1.1": ("req.ver", "1.1"),
    "HTTP_2.0": ("req.ver", "2.0"),
    "HTTP_3.0": ("req.ver", "3.0"),
    "HTTP_CONTENT": ("req.hdr_val(content-length)", "gt", "0"),
    "HTTP_URL_ABS": ("url_reg", "^[^/:]*://"),
    "HTTP_URL_SLASH": ("url_beg", "/"),
    "HTTP_URL_STAR": ("url", "*"),
    **{f"METH_{name}": ("method", name) for name in ("CONNECT", "DELETE", "HEAD", "OPTIONS", "POST", "PUT", "TRACE")},
    "METH_GET": ("method", "GET", "HEAD"),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A proxy or a server that an expression names; whether it is there is seen at the end."""

    needs: Needs
    name: str
    keyword: str
    argument: int


@dataclass(slots=True)
class AclReader:
    """Reads the expressions of one proxy; ``references`` is what they name, ``http``: they may look at requests."""

    proxy: str
    read_file: ReadFile
    references: list[Reference] = field(default_factory=list)
    http: bool = False
    without_patterns: list[str] = field(default_factory=list)
    """Expressions that nothing stands behind to be compared with: such a test never holds."""

    # -- expressions ------------------------------------------------------------------------------------------------

    def expression(self, text: str) -> tuple[Expression, Kind]:
        """Return an expression and the kind of sample that it yields; raises AclError."""
        name, rest = _name_of(text)
        title = "ACL keyword" if name in ACL_KEYWORDS else "fetch method"
        if name not in FETCHES or (name in HTTP_FETCHES and not self.http):
            raise _unknown("fetch method", name or text, KNOWN_FETCHES)
        fetch = FETCHES[name]
        try:
            arguments, rest = self._arguments(rest, fetch.arguments, fetch.required, name)
        except AclError as wrong:
            raise AclError(f"{title} '{name}' : {wrong}") from None
        converters, kind = self._converters(rest, fetch.kind, text)
        return Expression(Call(name, tuple(arguments)), tuple(converters)), kind

    def _converters(self, rest: str, kind: Kind, text: str) -> tuple[list[Call], Kind]:
        calls: list[Call] = []
        while rest:
            if not rest.startswith(","):
                raise AclError(f"missing comma after fetch keyword '{text}'")
            name, rest = _name_of(rest[1:])
            if not name:
                raise AclError("missing converter name")
            if name not in CONVERTERS:
                raise _unknown("converter", name, KNOWN_CONVERTERS)
            converter = CONVERTERS[name]
            if converter.takes not in CASTS[kind]:
                raise AclError(f"converter '{name}' cannot be applied")
            try:
                arguments, rest = self._arguments(rest, converter.arguments, converter.required, name)
            except AclError as wrong:
                number = re.search(r"position (\d+)", str(wrong))
                where = f"invalid arg {number[1] if number else 1} in converter '{name}'"
                raise AclError(f"{where} : {wrong}") from None
            calls.append(Call(name, tuple(arguments)))
            kind = converter.gives
        return calls, kind

    def _arguments(self, text: str, needs: Sequence[Needs], required: int, keyword: str) -> tuple[list[Argument], str]:
        """Return the arguments in brackets, and what stands behind them."""
        given, rest = _bracketed(text)
        if not given and required:
            raise AclError(f"expected type '{needs[0].value}' at position 1, but got nothing")
        if len(given) < required:
            wanted = needs[len(given)].value
            raise AclError(f"missing arguments (got {len(given)}/{required}), type '{wanted}' expected")
        if len(given) > len(needs):
            if not needs:
                raise AclError(f"expected no argument, but got '{text}'")
            extra = ",".join(given[len(needs) :])
            raise AclError(f"expected ')' before ',{extra})'")
        if not given and needs and needs[0] in {Needs.BACKEND, Needs.FRONTEND, Needs.USERLIST}:
            given = [""]
        return [
            self._argument(word, need, number, keyword)
            for number, (word, need) in enumerate(zip(given, needs, strict=False), 1)
        ], rest

    def _argument(self, word: str, need: Needs, number: int, keyword: str) -> Argument:
        if need in {Needs.BACKEND, Needs.FRONTEND, Needs.SERVER}:
            name = word or self.proxy
            if need is Needs.SERVER and "/" not in name:
                name = f"{self.proxy}/{word}"
            self.references.append(Reference(need, name, keyword, number))
            return name
        if need is Needs.USERLIST:
            self.references.append(Reference(need, word, keyword, number))
            return word
        value = _PARSERS[need](word)
        if value is None:
            raise AclError(f"failed to parse '{word}' as type '{need.value}' at position {number}")
        return value

    # -- ACLs -------------------------------------------------------------------------------------------------------

    def test(self, words: Sequence[str]) -> Test:
        """Return what one line of an ACL tests, from its expression on; raises AclError."""
        text = words[0] if words else ""
        if not text:
            raise AclError("missing fetch method in ACL expression ''")
        try:
            expression, kind = self.expression(text)
        except NotCarriedOutError:
            raise
        except AclError as wrong:
            raise AclError(f"{wrong} in ACL expression '{text}'") from None
        name = expression.fetch.name
        method = ACL_KEYWORDS.get(name) if not expression.converters else None
        if len(words) == 1 and (method or BY_KIND.get(kind)) and kind is not Kind.BOOL:
            self.without_patterns.append(text)
        patterns = PatternReader(name, kind, method or BY_KIND.get(kind), self.read_file)
        return Test(expression, *patterns.read(words))

    def condition(self, words: Sequence[str], acls: Mapping[str, Sequence[Test]], *, unless: bool) -> Condition:
        """Return the condition behind ``if`` or ``unless``; raises AclError."""
        suites: list[list[Term]] = []
        new_suite, negated, position = True, False, 0
        while position < len(words):
            word = words[position]
            bare = word.lstrip("!")
            negated ^= bool((len(word) - len(bare)) % 2)
            position += 1
            if not bare:
                continue
            if bare.lower() == "or" or bare == "||":
                new_suite, negated = True, False
                continue
            end = position
            if bare == "{":
                tests, end = self._anonymous(words, position)
            else:
                tests = list(self._named(bare, acls, position - 1))
            if new_suite:
                suites.append([])
            suites[-1].append(Term(tuple(tests), negated))
            new_suite, negated, position = False, False, end
        return Condition(tuple(tuple(suite) for suite in suites), unless)

    def _anonymous(self, words: Sequence[str], start: int) -> tuple[list[Test], int]:
        """Return the test between braces, and the place behind them."""
        if "}" not in words[start:]:
            raise AclError("missing closing '}' in condition", start - 1)
        end = words.index("}", start)
        try:
            return [self.test(words[start:end])], end + 1
        except AclError as wrong:
            raise type(wrong)(str(wrong), start + wrong.position) from None

    def _named(self, name: str, acls: Mapping[str, Sequence[Test]], position: int) -> Sequence[Test]:
        if name in acls:
            if not acls[name]:
                raise NotCarriedOutError(f"ACL '{name}' is not carried out by tcpbalancer", position)
            return acls[name]
        if name not in PREDEFINED:
            raise AclError(f"no such ACL : '{name}'", position)
        try:
            return [self.test(PREDEFINED[name])]
        except NotCarriedOutError:
            raise NotCarriedOutError(f"ACL '{name}' is not carried out by tcpbalancer", position) from None


def _unknown(what: str, name: str, known: frozenset[str]) -> AclError:
    if name in known:
        return NotCarriedOutError(f"{what} '{name}' is not carried out by tcpbalancer")
    return AclError(f"unknown {what} '{name}'")


def _name_of(text: str) -> tuple[str, str]:
    """Return the name at the start, and what stands behind it."""
    found = _NAME.match(text)
    assert found is not None  # it may be empty
    return found[0], text[found.end() :]


def _bracketed(text: str) -> tuple[list[str], str]:
    """Return the words between brackets, and what stands behind; quotes and escapes as outside (make_arg_list)."""
    if not text.startswith("("):
        return [], text
    words, quote, position = [""], "", 1
    while position < len(text):
        character = text[position]
        position += 1
        if character == quote:
            quote = ""
        elif character == "\\" and quote != "'" and position < len(text):
            words[-1] += text[position]
            position += 1
        elif quote:
            words[-1] += character
        elif character in "\"'":
            quote = character
        elif character == ",":
            words.append("")
        elif character == ")":
            break
        else:
            words[-1] += character
    return ([] if words == [""] else words), text[position:]


def _parse_integer(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _parse_ipv4(text: str) -> Ip | None:
    found = parse_ip(text)
    return found if found is not None and found.version == 4 else None


def _parse_mask(text: str, bits: int, version: int) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 4:
        length = int(text)
        return ((1 << length) - 1) << (bits - length) if length <= bits else None
    found = parse_ip(text)
    return found.value if found is not None and found.version == version else None


_PARSERS: Mapping[Needs, Callable[[str], Argument | None]] = {
    Needs.INT: _parse_integer,
    Needs.TEXT: lambda text: text,
    Needs.IPV4: _parse_ipv4,
    Needs.MASK: lambda text: _parse_mask(text, 32, 4),
    Needs.MASK6: lambda text: _parse_mask(text, 128, 6),
}

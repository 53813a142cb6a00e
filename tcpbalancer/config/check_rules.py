"""The rules of ``tcp-check`` and ``http-check``: a line becomes a step of a dialogue.

Laws: pure; a rule that makes no sense raises ``RuleError`` with HAProxy's words and the word at which it stands. What
would let other bytes flow than the file asks for is refused by name.

Source: HAProxy's configuration manual, ``tcp-check`` and ``http-check`` (section 4.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from tcpbalancer.config.samples import parse_sample, parse_template, parse_variable
from tcpbalancer.config.values import is_literal, parse_address
from tcpbalancer.model.dialogue import Connect, Send, SetVariable

_Value = TypeVar("_Value")


class RuleError(ValueError):
    """A rule that makes no sense; ``position`` counts as the statement's words do."""

    def __init__(self, position: int, message: str) -> None:
        self.position = position
        super().__init__(message)


class Cursor:
    """Walks over the words of a rule."""

    def __init__(self, words: tuple[str, ...], position: int, source: str = "") -> None:
        self.words = words
        self.position = position
        self._source = source

    @property
    def word(self) -> str:
        """The word where it stands, empty behind the last one."""
        return self.words[self.position] if self.position < len(self.words) else ""

    def ahead(self, count: int = 1) -> str:
        """Return the word that stands so many words on."""
        place = self.position + count
        return self.words[place] if place < len(self.words) else ""

    def value(self, what: str, end: str = ".") -> str:
        """Return the word behind this one, and stand on it; ``what`` is missing otherwise.

        ``end``: HAProxy ends some of these messages with one dot, and some with two.
        """
        keyword = self.word
        self.position += 1
        if not self.word:
            hint = ""
            if "#" in self._source:
                hint = r". (an unescaped '#' begins a comment: write '\#' or put it in quotes)"
            raise RuleError(self.position, f"'{keyword}' expects {what} as argument{hint or end}")
        return self.word

    def error(self, message: str) -> RuleError:
        """Return an error at this word."""
        return RuleError(self.position, message)

    def parsed(self, parse: Callable[[str], _Value], form: str) -> _Value:
        """Return what a parser makes of this word; ``form`` says what is wrong with it, {} stands for the reason."""
        try:
            return parse(self.word)
        except ValueError as wrong:
            raise self.error(form.format(wrong)) from wrong


Fields = dict[str, Any]


def connect_rule(cursor: Cursor, *, is_http: bool) -> Connect:
    """Read what stands behind ``connect``."""
    fields: Fields = {}
    while cursor.word:
        match cursor.word:
            case "default" | "linger":
                fields[cursor.word] = True
            case "send-proxy":
                fields["send_proxy"] = True
            case "ssl":
                fields["tls"] = True
            case "addr":
                fields.update(_address(cursor))
            case "port":
                fields["port"] = _port(cursor)
            case "comment" | "sni":
                name = cursor.word
                fields[name] = cursor.value("a string")
            case "alpn":
                fields["alpn"] = tuple(part for part in cursor.value("a list of protocols").split(",") if part)
            case "proto":
                _proto(cursor, is_http=is_http)
            case "via-socks4":
                raise cursor.error("'via-socks4' is not supported by tcpbalancer: nobody would be asked as this says")
            case _:
                raise cursor.error(
                    "expects 'comment', 'port', 'addr', 'send-proxy', 'ssl', 'sni', 'alpn' or 'via-socks4', 'linger', "
                    f"'default' but got '{cursor.word}' as argument."
                )
        cursor.position += 1
    return Connect(**fields)


def _address(cursor: Cursor) -> Fields:
    text = cursor.value("<ipv4|ipv6>")
    address = cursor.parsed(parse_address, "'addr' : {}.")
    if not is_literal(address.host):
        raise cursor.error(f"'addr' : '{text}' is not an address: names are not looked up here.")
    return {"address": address.host, **({"port": address.first_port} if address.first_port else {})}


def _port(cursor: Cursor) -> Any:
    text = cursor.value("a port number or a sample expression")
    if not (text.isascii() and text.isdigit()):
        return cursor.parsed(parse_sample, "error detected while parsing port expression : {}")
    if not 1 <= int(text[:9]) <= 65535:
        raise cursor.error(f"expects a valid TCP port (from range 1 to 65535) or a sample expression, got {text}.")
    return int(text)


def _proto(cursor: Cursor, *, is_http: bool) -> None:
    """The one that is spoken anyway may be named."""
    text = cursor.value("a MUX protocol")
    if text != "none" and not (is_http and text == "h1"):
        raise cursor.error(f"'proto' : '{text}' is not supported by tcpbalancer")


def send_rule(cursor: Cursor, name: str) -> Send:
    """Read what stands behind ``send``, ``send-lf``, ``send-binary`` and ``send-binary-lf``."""
    binary = name.startswith("send-binary")
    cursor.position -= 1
    text = cursor.value("a binary string" if name == "send-binary" else "a string", "")
    data: Any
    if name.endswith("-lf"):
        data = cursor.parsed(parse_template, f"'{text}' invalid log-format string ({{}})")
    elif binary:
        data = cursor.parsed(parse_binary, f"'{text}' invalid binary string ({{}})")
    else:
        data = text.encode("utf-8", "surrogateescape")
    cursor.position += 1
    comment = _comment_only(cursor)
    return Send(data=data, binary=binary, comment=comment)


def _comment_only(cursor: Cursor) -> str:
    comment = ""
    while cursor.word:
        if cursor.word != "comment":
            raise cursor.error(f"expects 'comment' but got '{cursor.word}' as argument.")
        comment = cursor.value("a string")
        cursor.position += 1
    return comment


def parse_binary(text: str) -> bytes:
    """Return the bytes that hexadecimal digits stand for; raises ValueError in HAProxy's words."""
    if len(text) % 2:
        raise ValueError("an even number of hex digit is expected")
    wrong = next((character for character in text if character not in "0123456789abcdefABCDEF"), None)
    if wrong is not None:
        raise ValueError(f"an hex digit is expected (found '{wrong}')")
    return bytes.fromhex(text)


def variable_rule(cursor: Cursor, word: str) -> SetVariable | None:
    """Read ``set-var(check.name) <sample>``, ``set-var-fmt(...)``, ``unset-var(...)``; None for another keyword."""
    action, _, rest = word.partition("(")
    if action not in {"set-var", "set-var-fmt", "unset-var"}:
        return None
    cursor.position -= 1
    try:
        name = parse_variable(rest.removesuffix(")") if rest.endswith(")") else "")
    except ValueError as wrong:
        raise cursor.error(f"'{action}' : {wrong}") from wrong
    cursor.position += 1
    if action == "unset-var":
        value = None
    elif not cursor.word:
        raise cursor.error(f"'{action}' : missing fetch method")
    elif action == "set-var-fmt":
        value = cursor.parsed(parse_template, "invalid log-format string ({}).")
        cursor.position += 1
    else:
        value = (cursor.parsed(parse_sample, "error detected while parsing the sample expression : {}"),)
        cursor.position += 1
    if cursor.word:
        raise cursor.error(f"unexpected '{cursor.word}'")
    return SetVariable(name=name, value=value)

"""Options of ``server``, ``default-server`` and ``bind`` lines: what each is called, what follows it, who reads it.

Laws: pure. An option is data, as a keyword is (``registry``): a module ``*_keywords.py`` registers its own here, with a
decorator, and needs to change no other. A line with a mistake is read to its end, so that all of its mistakes are told.
An option of HAProxy that nobody registered is accepted with a warning, or refused if other bytes would flow without it
(``known``); one that HAProxy does not have is an error.

Source: HAProxy's configuration manual, sections 5.1 "Bind options" and 5.2 "Server and default-server options".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tcpbalancer.config import known
from tcpbalancer.config.drafts import Options
from tcpbalancer.config.findings import NOT_SUPPORTED, PARSING, SERVER, maybe
from tcpbalancer.config.registry import Reading

_OPTIONAL = re.compile(r"\[[^\]]*\]")
_NO_ADDRESS = " Hint: no address was expected for this server."
_REFUSED = "'{}' is not carried out by tcpbalancer, and without it other bytes would flow than this file asks for"


@dataclass(slots=True)
class Given:
    """An option as it stands on a line. ``position`` is that of its name among the words of the statement.

    ``owner`` is the server's name, or the address of a ``bind``; ``for_all``: it stands in ``default-server``.
    A parser that wants more words than its syntax promises counts them in ``used``.
    """

    reading: Reading
    name: str
    position: int
    owner: str
    options: Options
    used: int = 0
    for_all: bool = False

    @property
    def text(self) -> str:
        """The word behind the name."""
        return self.word(1)

    def word(self, offset: int) -> str:
        """Return the word that stands ``offset`` words behind the name, empty if the line ends before."""
        words, place = self.reading.words, self.position + offset
        return words[place] if place < len(words) else ""


Parse = Callable[[Given], object]
"""Returns what is kept under the option's ``key``, None to keep nothing; raises ValueError in HAProxy's words, without
the line's title and with one dot less than HAProxy has."""


@dataclass(frozen=True, slots=True)
class LineOption:
    """``values``: how many words must follow; ``expects``: HAProxy's name for what is missing when none does."""

    name: str
    syntax: str
    summary: str
    parse: Parse
    key: str
    values: int
    expects: str = ""
    in_default_server: bool = True


@dataclass(frozen=True, slots=True)
class Family:
    """The options of one kind of line, those that HAProxy has besides (with the number of their values), its words.

    ``form`` introduces a mistake; ``unknown`` stands between the title and what HAProxy says of an unknown keyword.
    """

    registered: dict[str, LineOption]
    known: Mapping[str, int]
    refused: Mapping[str, int]
    silent: Collection[str]
    form: str
    unknown: str
    missing: str
    where: str


SERVER_OPTIONS: dict[str, LineOption] = {}
BIND_OPTIONS: dict[str, LineOption] = {}
_SERVER = Family(
    SERVER_OPTIONS,
    known.SERVER,
    known.REFUSED_SERVER,
    (),
    SERVER,
    " : ",
    "'{name}' expects {expects} argument..",
    "",
)
_BIND = Family(
    BIND_OPTIONS, known.BIND, {}, known.SILENT_BIND, PARSING, ": ", "'{name}' : missing value",
    " on a bind line",
)  # fmt: skip


def _register(table: dict[str, LineOption], option: LineOption) -> None:
    assert option.name not in table, f"'{option.name}' is registered twice"
    table[option.name] = option


def server_option(
    syntax: str, summary: str, *, key: str = "", expects: str = "an integer", in_default_server: bool = True
) -> Callable[[Parse], Parse]:
    """Register what reads an option of a server: ``syntax`` is its name and a ``<value>`` per word that must follow."""
    return _option(SERVER_OPTIONS, syntax, summary, key, expects, in_default_server=in_default_server)


def bind_option(syntax: str, summary: str, *, key: str = "") -> Callable[[Parse], Parse]:
    """Register what reads an option of a ``bind`` line."""
    return _option(BIND_OPTIONS, syntax, summary, key, "", in_default_server=True)


def _option(
    table: dict[str, LineOption], syntax: str, summary: str, key: str, expects: str, *, in_default_server: bool
) -> Callable[[Parse], Parse]:
    name, *values = _OPTIONAL.sub("", syntax).split()
    needed = sum(word.startswith(("<", "{")) for word in values)

    def register(parse: Parse) -> Parse:
        _register(table, LineOption(name, syntax, summary, parse, key or name, needed, expects, in_default_server))
        return parse

    return register


def server_flag(name: str, summary: str, *opposites: str, in_default_server: bool = True) -> None:
    """Register an option without a value: it keeps True under its name, each of its ``opposites`` False."""
    _flag(SERVER_OPTIONS, name, summary, opposites, in_default_server=in_default_server)


def bind_flag(name: str, summary: str, *opposites: str) -> None:
    """Register an option without a value of a ``bind`` line."""
    _flag(BIND_OPTIONS, name, summary, opposites, in_default_server=True)


def _flag(
    table: dict[str, LineOption], name: str, summary: str, opposites: tuple[str, ...], *, in_default_server: bool
) -> None:
    _register(table, LineOption(name, name, summary, lambda _: True, name, 0, "", in_default_server))
    for word in opposites:
        _register(table, LineOption(word, word, f"Undoes {name}.", lambda _: False, name, 0, "", in_default_server))


def read_server_options(reading: Reading, start: int, options: Options, server: str) -> bool:
    """Read the options from word ``start`` on into ``options``; returns whether all of them made sense."""
    if not server:
        return _read(_SERVER, reading, start, options, "default-server", "")
    return _read(_SERVER, reading, start, options, server, f"'server {reading.draft.name}/{server}'")


def read_bind_options(reading: Reading, start: int, options: Options, title: str) -> bool:
    """Read the options of a ``bind`` line, or of a ``stats socket``, as ``title`` says it."""
    return _read(_BIND, reading, start, options, reading.words[start - 1], title)


def _read(family: Family, reading: Reading, start: int, options: Options, owner: str, title: str) -> bool:
    position, good = start, True
    while position < len(reading.words):
        given = Given(reading, reading.words[position], position, owner, options, for_all=not title)
        good = _take(family, given, title) and good
        position += 1 + given.used
    return good


def _take(family: Family, given: Given, title: str) -> bool:
    """Read one option and set how many words it used; returns whether it made sense."""
    reading, name, position = given.reading, given.name, given.position
    before = f"{title} : " if title else ""
    option = family.registered.get(name)
    if option is None and name not in family.known:
        given.used = family.refused.get(name, 0)
        hint = maybe(name, [*family.registered, *family.known]) or "."
        hint = NOT_SUPPORTED if name in family.refused else hint
        if given.for_all:
            hint += _NO_ADDRESS
        reading.error(position, f"{title}{family.unknown if title else ''}unknown keyword '{name}'{hint}", family.form)
        return False
    given.used = family.known[name] if option is None else option.values
    if given.used and not given.word(given.used):
        expects = "an integer" if option is None else option.expects
        reading.error(position + 1, before + family.missing.format(name=name, expects=expects), family.form)
        return False
    if option is None:
        return _not_registered(family, given, title)
    if given.for_all and not option.in_default_server:
        message = f"'{name}' option is not accepted in default-server sections"
        reading.error(position, f"{before}{message}.", family.form)
        return False
    try:
        value = option.parse(given)
    except ValueError as wrong:
        reading.error(position + 1, f"{before}{wrong}.", family.form)
        return False
    if value is not None:
        given.options[option.key] = value
    return True


def _not_registered(family: Family, given: Given, title: str) -> bool:
    name = given.name
    title = title or "'default-server'"
    if name in known.CHANGES_THE_STREAM:
        given.reading.error(given.position, f"{title} : {_REFUSED.format(name)}")
        return False
    if name not in family.silent:
        given.reading.not_carried_out(
            given.position, f"'{name}'{family.where}" if family.where else f"{title} : '{name}'"
        )
    return True

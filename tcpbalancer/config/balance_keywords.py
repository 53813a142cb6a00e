"""The keywords that say how a server is chosen, how often it is tried, and how many sessions there may be.

Laws: pure; handlers report and never raise. Texts are HAProxy's where it has one.

Source: HAProxy's configuration manual, sections 4.2 (``balance``, ``hash-type``, ``retries``, ``option redispatch``,
...), 5.2 (``id``, ``maxqueue``, ``minconn``) and 3.2 (``maxconnrate``, ``maxsessrate``).
"""

from __future__ import annotations

import re

from tcpbalancer.balance.hashing import FUNCTIONS
from tcpbalancer.config.acl_patterns import AclError
from tcpbalancer.config.line_options import Given, server_option
from tcpbalancer.config.proxy_keywords import in_words
from tcpbalancer.config.registry import BACK, FRONT, GLOBAL, Reading, keyword
from tcpbalancer.config.rule_drafts import acl_reader, complain, keep_references
from tcpbalancer.config.server_keywords import number
from tcpbalancer.config.values import parse_count
from tcpbalancer.model import Hashing

PLAIN = ("roundrobin", "static-rr", "leastconn", "first", "source")
"""Algorithms whose whole definition is their name."""
NEEDS_HTTP = ("uri", "url_param", "hdr")
NEEDS_LOG = ("log-hash", "sticky")
_ALL_ALGORITHMS = (
    "roundrobin", "static-rr", "leastconn", "source", "uri", "url_param", "hash", "hdr(name)", "rdp-cookie(name)",
    "log-hash", "sticky",
)  # fmt: skip
_FAILURES = frozenset({"conn-failure", "all-retryable-errors"})
_OTHER_FAILURES = frozenset(
    [
        "0rtt-rejected",
        "empty-response",
        "junk-response",
        "response-timeout",
        "401",
        "403",
        "404",
        "408",
        "421",
        "425",
        "429",
        "500",
        "501",
        "502",
        "503",
        "504",
    ]
)


@keyword(
    "balance <algorithm>",
    BACK,
    "How a server is chosen: roundrobin, static-rr, leastconn, first, source, random[(<draws>)], hash <sample>.",
)
def balance(reading: Reading) -> None:
    """Read ``balance``; without a word behind it HAProxy means its default."""
    word = reading.words[1] if len(reading.words) > 1 else "roundrobin"
    values = reading.draft.settings.values
    base = word.partition("(")[0]
    if word in PLAIN:
        values["balance"] = word
    elif base == "random":
        if (draws := _draws(reading, word)) is not None:
            values["balance"], values["draws"] = "random", draws
    elif word == "hash":
        _hash(reading)
    elif base in (*NEEDS_HTTP, *NEEDS_LOG):
        values["balance"] = base  # what becomes of it depends on the mode, which may come later
    elif base == "rdp-cookie":
        values["balance"] = "roundrobin"
        reading.not_carried_out(1, f"'balance {word}'", ": roundrobin is used instead")
    else:
        reading.error(1, f"balance only supports {in_words(_ALL_ALGORITHMS)} options.")


def _draws(reading: Reading, word: str) -> int | None:
    if word in {"random", "random()"}:
        return 2
    found = re.fullmatch(r"random\((\d+)(.*)", word, re.ASCII)
    if found is None or found[2] != ")":
        rest = word.removeprefix("random") if found is None else found[2]
        said = "missing closing parenthesis." if not rest else f"unexpected character '{rest[:1]}' after argument."
        reading.error(1, f"balance : random : {said}")
        return None
    draws = found[1].lstrip("0")
    if not draws:
        reading.error(1, "balance : random : number of draws must be at least 1.")
        return None
    return min(int(draws[:3]), 64)


def _hash(reading: Reading) -> None:
    values = reading.draft.settings.values
    if len(reading.words) < 3:
        reading.error(2, "balance : hash requires a sample expression.")
        return
    if len(reading.words) > 3:
        reading.error(3, f"balance : hash takes no other argument (got '{reading.words[3]}').")
        return
    reader = acl_reader(reading)
    try:
        expression, _ = reader.expression(reading.words[2])
    except AclError as wrong:
        complain(reading, 2, wrong, f"failed to parse 'balance hash' expression '{reading.words[2]}' in : ", ".")
        return
    keep_references(reading, reader)
    values["balance"] = "hash"
    values.pop("hash", None)
    if reading.words[2] != "src":
        values["hash"] = expression


@keyword(
    "hash-type { map-based | consistent } [<function> [avalanche]]",
    BACK,
    f"How a hash becomes a server, and the function: {', '.join(FUNCTIONS)}.",
)
def hash_type(reading: Reading) -> None:
    """Read ``hash-type``: sdbm unless a function is named; then ``consistent`` has no avalanche of itself."""
    method, function, modifier = (*reading.words[1:4], "", "", "")[:3]
    if method == "avalanche":
        instead = "please use 'hash-type map-based sdbm avalanche' instead."
        reading.error(1, f"experimental feature 'hash-type avalanche' is not supported anymore, {instead}")
    elif method not in {"consistent", "map-based"}:
        reading.error(1, "'hash-type' only supports 'consistent' and 'map-based'.")
    elif function and function not in FUNCTIONS:
        reading.error(2, "'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions.")
    elif modifier and modifier != "avalanche":
        reading.error(3, "'hash-type' only supports 'avalanche' as a modifier for hash functions.")
    elif reading.no_more_than(4):
        consistent = method == "consistent"
        avalanche = bool(modifier) or (consistent and not function)
        reading.draft.settings.values["hash-type"] = Hashing(consistent, function or "sdbm", avalanche)


@keyword("hash-balance-factor <percent>", BACK, "How much more than the average a server may get of 'consistent'.")
def hash_balance_factor(reading: Reading) -> None:
    """Read ``hash-balance-factor``: 0, or more than 100."""
    if (factor := _integer(reading)) is None:
        return
    if 0 < factor <= 100:
        reading.error(1, "'hash-balance-factor' must be 0 or greater than 100.")
    else:
        reading.draft.settings.values["hash-balance-factor"] = factor


def _integer(reading: Reading, what: str = "an integer argument.", at: int = 1) -> int | None:
    """Return the one number of a statement, or None after a finding."""
    name = " ".join(reading.words[:at])
    if len(reading.words) <= at:
        reading.error(at, f"'{name}' expects {what}")
        return None
    try:
        value = parse_count(reading.words[at])
    except ValueError as wrong:
        reading.error(at, f"'{name}' : {wrong}")
        return None
    return value if reading.no_more_than(at + 1) else None


@keyword("retries <count>", BACK, "How often a failed connect is tried again.")
def retries(reading: Reading) -> None:
    """Read ``retries``; less than none is none, as in HAProxy."""
    if len(reading.words) < 2:
        reading.error(1, "'retries' expects an integer argument (dispatch counts for one).")
        return
    try:
        count = parse_count(reading.words[1].removeprefix("-"))
    except ValueError as wrong:
        reading.error(1, f"'retries' : {wrong}")
        return
    if reading.no_more_than(2):
        reading.draft.settings.retries = 0 if reading.words[1].startswith("-") else count


@keyword("retry-on { conn-failure | none }", BACK, "After what a connection is tried again: a failed connect.")
def retry_on(reading: Reading) -> None:
    """Read ``retry-on``: what it says of answers needs HTTP."""
    words = reading.words[1:]
    if not words:
        reading.error(1, "'retry-on' needs at least one keyword to specify when to retry.")
        return
    if "none" in words and len(words) > 1:
        reading.error(1, "'retry-on' 'none' keyword only usable alone.")
        return
    for position, word in enumerate(words, 1):
        if word not in _FAILURES | _OTHER_FAILURES | {"none"}:
            reading.error(position, f"'retry-on': unknown keyword '{word}'.")
            return
        if word in _OTHER_FAILURES:
            reading.not_carried_out(position, f"'retry-on {word}'", ": it needs HTTP")
    reading.draft.settings.values["retry-on"] = not _FAILURES.isdisjoint(words)


@keyword(
    "option redispatch [<interval>]",
    BACK,
    "Retries may go to another server: at every <interval>th retry, a negative one counted from the last.",
    words=2,
    negatable=True,
)
def option_redispatch(reading: Reading) -> None:
    """Read ``option redispatch``; an interval of 0 switches it off."""
    text = reading.words[2] if len(reading.words) > 2 else "-1"
    if not re.fullmatch(r"-?\d{1,9}", text, re.ASCII):
        reading.error(2, f"'option redispatch' : '{text}' is not a number of retries")
    elif reading.no_more_than(3):
        reading.draft.settings.values["redispatch"] = 0 if reading.negated else int(text)


for _name, _what in (
    ("allbackups", "All backups share the load while no other server can be used, not only the first."),
    ("persist", "A server that is down is tried all the same by those who are bound to it."),
    ("abortonclose", "A client that closes gives up its place in the queue, even if it has sent something."),
):

    @keyword(f"option {_name}", BACK, _what, words=2, negatable=True)
    def _switch(reading: Reading) -> None:
        if reading.no_more_than(2):
            reading.draft.settings.values[reading.words[1]] = not reading.negated


@keyword("fullconn <count>", BACK, "The sessions of the backend at which servers get their whole maxconn.")
def fullconn(reading: Reading) -> None:
    """Read ``fullconn``; 0 leaves the default."""
    if (count := _integer(reading)) is not None:
        reading.draft.settings.values["fullconn"] = count


@keyword("rate-limit sessions <count>", FRONT, "How many connections a frontend takes in a second.")
def rate_limit(reading: Reading) -> None:
    """Read ``rate-limit``."""
    if len(reading.words) < 2 or reading.words[1] != "sessions":
        got = reading.words[1] if len(reading.words) > 1 else ""
        reading.error(1, f"'rate-limit' only supports 'sessions' (got '{got}')")
    elif (count := _integer(reading, "an integer value (in sessions/second)", 2)) is not None:
        reading.draft.settings.values["rate-limit"] = count


for _name, _what in (("maxconnrate", "connections"), ("maxsessrate", "sessions")):

    @keyword(f"{_name} <count>", GLOBAL, f"How many {_what} the process takes in a second.")
    def _rate(reading: Reading) -> None:
        if (count := _integer(reading)) is not None:
            reading.whole.values[reading.words[0]] = count


server_option("maxqueue <count>", "How many may wait for it; who comes then goes elsewhere.")(number)
server_option("minconn <count>", "Its maxconn while the backend has few sessions.")(number)


@server_option("id <number>", "Its number, for algorithms that depend on one.", key="id", in_default_server=False)
def identity(given: Given) -> int:
    """Read ``id``: positive, and only once in a backend."""
    text = given.text
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or not 0 < int(text) < 2**31:
        raise ValueError("'id' : custom id has to be > 0")
    taken = next((draft for draft in given.reading.draft.servers if draft.options.get("id") == int(text)), None)
    if taken is not None:
        where = f"{taken.statement.location.file}:{taken.statement.location.line}"
        raise ValueError(f"'id' : custom id {text} already used at {where} ('server {taken.name}')")
    return int(text)

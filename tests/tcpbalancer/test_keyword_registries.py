"""Whoever adds a keyword or an option registers it, and changes nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hakit.diagnostics import ConfigError
from tcpbalancer.config import line_options, registry
from tcpbalancer.config.drafts import Options
from tcpbalancer.config.findings import Report
from tcpbalancer.config.interpret import READERS, interpret
from tcpbalancer.config.line_options import Given, bind_option, server_flag, server_option
from tcpbalancer.config.load import read_texts
from tcpbalancer.config.registry import GLOBAL, OTHER_SECTIONS, PROXY, Reading, find, keyword, other_section
from tcpbalancer.config.sections import SectionReader

TIMED = "defaults\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n"


TABLES: tuple[dict[str, Any], ...] = (
    registry.KEYWORDS,
    registry.GLOBAL_KEYWORDS,
    line_options.SERVER_OPTIONS,
    line_options.BIND_OPTIONS,
)


@pytest.fixture(autouse=True)
def registries_as_they_were() -> Iterator[None]:
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)


def drafts_of(text: str) -> tuple[list[Options], list[Options], Report]:
    report = Report()
    reader = SectionReader(report, {})
    reader.read(text, "f.cfg")
    drafts = interpret(reader.sections, report, {})
    servers = [server.options for draft in drafts.proxies for server in draft.servers]
    return servers, [bind.options for draft in drafts.proxies for bind in draft.binds], report


def test_every_module_that_is_called_keywords_is_read() -> None:
    names = {module.__name__.rpartition(".")[2] for module in READERS}
    assert {"bind_keywords", "check_keywords", "global_keywords", "proxy_keywords", "server_keywords"} <= names


def test_a_server_option_keeps_what_its_parser_returns_whatever_that_is() -> None:
    @server_option("altitude <metres> <unit>", "How high it stands.")
    def altitude(given: Given) -> tuple[int, str]:
        return int(given.text), given.word(2)

    server_flag("mobile", "It moves.", "no-mobile")
    servers, _, report = drafts_of("listen l\n server s 192.0.2.1:1 altitude 12 m mobile weight 3\n")
    assert not report.items
    assert servers == [{"altitude": (12, "m"), "mobile": True, "weight": 3}]


def test_a_parser_may_take_more_words_than_its_syntax_promises() -> None:
    @server_option("colour <name> [shade <n>]", "What it looks like.")
    def colour(given: Given) -> list[str]:
        if given.word(2) == "shade":
            given.used += 2
        return [given.word(offset) for offset in range(1, given.used + 1)]

    servers, _, _ = drafts_of("listen l\n server s 192.0.2.1:1 colour red shade 3 backup\n")
    assert servers == [{"colour": ["red", "shade", "3"], "backup": True}]


def test_an_option_that_makes_no_sense_for_all_servers_is_refused_in_default_server() -> None:
    @server_option("serial <n>", "Its own number.", in_default_server=False)
    def serial(given: Given) -> str:
        return given.text

    _, _, report = drafts_of("backend b\n default-server serial 3\n server s 192.0.2.1:1 serial 4\n")
    assert [found.message for found in report.items] == ["'serial' option is not accepted in default-server sections."]


def test_a_bind_option_reaches_every_address_of_its_line() -> None:
    @bind_option("scent <name>", "What it smells of.")
    def scent(given: Given) -> str:
        if given.text == "none":
            raise ValueError(f"'{given.name}' : nothing smells of nothing")
        return given.text

    _, binds, _ = drafts_of("listen l\n bind :1,:2 scent rose v6only\n")
    assert binds == [{"scent": "rose", "v6only": True}] * 2
    with pytest.raises(ConfigError) as wrong:
        read_texts([("f.cfg", f"{TIMED}listen l\n bind :1 scent none\n")], {})
    assert "'bind :1' in section 'listen' : 'scent' : nothing smells of nothing." in str(wrong.value)


def test_the_longest_name_wins() -> None:
    seen: list[str] = []

    @keyword("paint <what>", PROXY, "Paints.")
    def paint(_: Reading) -> None:
        seen.append("paint")

    @keyword("paint the wall", PROXY, "Paints the wall.", words=3)
    def paint_the_wall(_: Reading) -> None:
        seen.append("paint the wall")

    drafts_of("listen l\n paint it\n paint the wall red\n paint the\n")
    assert seen == ["paint", "paint the wall", "paint"]
    assert find(registry.KEYWORDS, ["bogus", "words"]) is None


def test_a_global_keyword_may_have_two_words_and_keep_its_value_without_a_field() -> None:
    @keyword("stats colour <name>", GLOBAL, "A colour.", words=2)
    def stats_colour(reading: Reading) -> None:
        reading.whole.values["stats colour"] = reading.words[2]

    report = Report()
    reader = SectionReader(report, {})
    reader.read("global\n stats colour red\n", "f.cfg")
    whole = interpret(reader.sections, report, {}).whole
    assert whole.values.of("stats colour", str, None) == "red"
    assert whole.values.of("absent", int, 7) == 7


def test_a_name_is_registered_once() -> None:
    with pytest.raises(AssertionError, match="registered twice"):
        server_flag("check", "Again.")
    with pytest.raises(AssertionError, match="registered twice"):
        keyword("mode <x>", PROXY, "Again.")(lambda _: None)


def test_a_rule_that_somebody_carries_out_is_not_refused_for_what_it_denies() -> None:
    seen: list[str] = []

    @keyword("tcp-request paint <action>", PROXY, "A rule.", words=2)
    def rule(reading: Reading) -> None:
        seen.append(reading.words[2])

    _, _, report = drafts_of("listen l\n tcp-request paint reject\n")
    assert (seen, report.items) == (["reject"], [])


def test_yaml_writes_several_words_of_an_option_as_a_list() -> None:
    @server_option("altitude <metres> <unit>", "How high it stands.")
    def altitude(given: Given) -> tuple[int, str]:
        if given.word(2) != "m":
            raise ValueError(f"'{given.name}' : '{given.word(2)}' is no unit")
        return int(given.text), given.word(2)

    text = "listens: {l: {bind: ':1', servers: {s: {address: '192.0.2.1:1', altitude: [12, %s]}}}}"
    assert read_texts([("f.yaml", text % "m")], {}).configuration.backends["l"].servers
    with pytest.raises(ConfigError, match="'ft' is no unit"):
        read_texts([("f.yaml", text % "ft")], {})


def test_a_section_of_another_kind_has_keywords_of_its_own() -> None:

    def begin(reading: Reading) -> object:
        if len(reading.words) < 2:
            reading.error(1, "missing name.")
            return None
        return reading.whole.values.setdefault(f"garden {reading.words[1]}", [])

    garden = other_section("garden <name>", "A garden.")(begin)
    try:

        @garden.keyword("plant <what>", "Something grows.")
        def plant(reading: Reading) -> None:
            assert isinstance(reading.inside, list)
            reading.inside.append(reading.words[1])

        report = Report()
        reader = SectionReader(report, {}, others=OTHER_SECTIONS)
        reader.read("garden a\n plant rose\n plnt x\ngarden\n plant y\nglobal\n", "f.cfg")
        whole = interpret(reader.sections, report, {}).whole
        assert whole.values == {"garden a": ["rose"]}
        assert [found.message for found in report.items] == [
            "unknown keyword 'plnt' in 'garden' section; did you mean 'plant' maybe ?",
            "missing name.",
        ]
    finally:
        del OTHER_SECTIONS["garden"]

"""The statistics page: what people, browsers and exporters find on it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from statistics_pictures import BACKEND, SERVER, SNAPSHOT

from tcpbalancer.control import page
from tcpbalancer.control.asked import Asked
from tcpbalancer.control.cells import COLUMNS, age, size
from tcpbalancer.control.page import View
from tcpbalancer.control.table import csv, rows
from tcpbalancer.model import Mode, StatsPage
from tcpbalancer.statistics import ProxyStatistics, ServerStatistics, Snapshot

ASSETS = page.read_assets()


def view(snapshot: Snapshot = SNAPSHOT, asked: Asked = Asked(), *, is_admin: bool = False, **settings: object) -> View:  # noqa: B008 - frozen
    return View(snapshot, tuple(rows(snapshot)), StatsPage("/stats", **settings), asked, is_admin)  # type: ignore[arg-type] # fields by name


def shown(snapshot: Snapshot = SNAPSHOT, asked: Asked = Asked(), *, is_admin: bool = False, **settings: object) -> str:  # noqa: B008
    return page.render(ASSETS, view(snapshot, asked, is_admin=is_admin, **settings))


def with_server(server: ServerStatistics) -> Snapshot:
    return replace(SNAPSHOT, proxies=(ProxyStatistics("pg", 2, Mode.TCP, None, (server,), BACKEND),))


class Elements(HTMLParser):
    """Fails on tags that do not match; keeps what is there."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


def test_the_page_says_what_exporters_read_from_it() -> None:
    text = shown()
    assert "HAProxy version 3.0.0, " in text
    assert "uptime = </b> 1d 2h03m04s" in text
    assert "idle = 93 %" in text
    assert "tcpbalancer" in text
    assert "1 of 2 alive" in text
    assert "01:01:01 UTC" in text
    assert "3.0.0" not in shown(hide_version=True)


def test_the_page_is_well_formed_and_asks_nobody_else_for_anything() -> None:
    for is_admin in (False, True):
        seen = Elements(shown(is_admin=is_admin, legends=True, refresh=5.0)).seen
        for _, attributes in seen:
            for name in ("src", "href", "action"):
                target = attributes.get(name) or "/"
                assert target.startswith(("/stats", "#", "data:,")) or target == "/", target
    policy = dict(ASSETS.policy)["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


def test_without_a_script_a_page_with_stats_refresh_reloads_itself() -> None:
    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in shown(refresh=5.0)
    assert 'data-every="5"' in shown(refresh=5.0)
    assert "http-equiv" not in shown()
    assert 'data-every="1"' in shown()
    still = shown(asked=Asked(refresh=False), refresh=5.0)
    assert "http-equiv" not in still
    assert 'data-every="0"' in still


def test_stats_show_node_and_show_desc_say_who_it_is() -> None:
    assert "process 42 on lb&lt;1&gt;: mine &amp; yours" in shown(node="", description="mine & yours")
    assert "process 42 on other<" in shown(node="other")
    assert "process 42<" in shown()


def test_everything_on_the_page_is_escaped() -> None:
    bad = '"><script>alert(1)</script>'
    server = replace(SERVER, name=bad, address=bad, check=replace(SERVER.check, info=bad, description=bad))  # type: ignore[type-var] # it has one
    snapshot = replace(with_server(server), node=bad)
    text = shown(snapshot, is_admin=True, node=bad, description=bad)
    assert bad not in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in shown(snapshot)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("UP", "up"), ("no check", "up"), ("UP 1/3", "going"), ("DRAIN", "drain"), ("DRAIN (agent)", "drain"),
        ("NOLB", "drain"), ("NOLB 1/2", "drain"), ("DOWN 1/2", "going"), ("DOWN", "down"), ("DOWN (agent)", "down"),
        ("MAINT", "off"), ("MAINT (via a/b)", "off"), ("MAINT (resolution)", "off"),
    ],
)  # fmt: skip
def test_a_state_is_told_by_word_and_colour(status: str, kind: str) -> None:
    text = shown(with_server(replace(SERVER, status=status)))
    assert f'<span class="badge {kind}" data-text data-kind="{kind}">{status}</span>' in text


def test_a_backup_server_is_called_one() -> None:
    assert ">DOWN backup<" in shown()


@pytest.mark.parametrize(
    ("seconds", "text"), [("", ""), ("0", "0s"), ("59", "59s"), ("61", "1m1s"), ("3700", "1h1m"), ("90000", "1d1h")]
)
def test_an_age_has_two_units(seconds: str, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        ("", ""),
        ("0", "0 B"),
        ("1023", "1023 B"),
        ("1536", "1.5 KiB"),
        ("204800", "200 KiB"),
        ("4" + "0" * 18, "3553 PiB"),
    ],
)
def test_bytes_have_a_unit(count: str, text: str) -> None:
    assert size(count) == text


def test_csv_and_page_show_the_same_servers() -> None:
    names = re.findall(r'<td class="name"[^>]*>([^<]*)</td>', shown())
    lines = [line.split(",")[1] for line in csv(SNAPSHOT).splitlines()[1:]]
    assert [name.upper() if name in {"Frontend", "Backend"} else name for name in names] == lines


def test_what_the_script_asks_for_has_the_same_cells_as_the_page() -> None:
    document = json.loads(page.live(view()))
    text = shown()
    assert f'data-shape="{document["shape"]}"' in text
    assert len(document["rows"]) == text.count("<tr") - 2 * text.count("<table>")
    assert all(len(row) == len(COLUMNS) for row in document["rows"])
    assert document["rows"][3][0][0] == "DOWN"
    assert set(re.findall(r'data-fact="([^"$]*)"', text)) == set(document["facts"])
    assert document["title"] == "(2 down) Statistics of lb<1>"


def test_the_shape_changes_when_a_server_comes() -> None:
    before, after = (json.loads(page.live(view(each))) for each in (with_server(SERVER), SNAPSHOT))
    assert before["shape"] != after["shape"]


def test_stats_admin_shows_a_form_for_each_backend_with_servers() -> None:
    assert '<form method="post"' not in shown()
    text = shown(is_admin=True)
    assert text.count('<form method="post" action="/stats">') == 1
    assert re.findall(r'<option value="(\w+)">', text) == [
        "ready", "drain", "maint", "dhlth", "ehlth", "hrunn", "hnolb", "hdown", "dagent", "eagent", "arunn", "adown",
        "shutdown",
    ]  # fmt: skip
    assert re.findall(r'name="s" value="(\w+)"', text) == ["pg1", "pg2"]
    assert '<input type="hidden" name="b" value="pg">' in text


def test_the_outcome_of_a_form_is_told_in_words() -> None:
    assert '<p class="outcome good" role="status">Done.</p>' in shown(asked=Asked(outcome="DONE"))
    assert '<p class="outcome bad"' in shown(asked=Asked(outcome="DENY"))
    assert '<p class="outcome' not in shown()


def test_stats_show_legends_explains_the_colours_and_names_ids() -> None:
    assert 'aria-label="Colours"' in shown(legends=True)
    assert ", id 3<" in shown(legends=True)
    assert 'aria-label="Colours"' not in shown()

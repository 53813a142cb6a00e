"""The statistics page as a person sees it: numbers that move by themselves, and clicks that do something."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from balancer_process import TCPBALANCER, BalancerProcess
from browser import Browser
from tcp_peers import ScriptedServer, echo, free_port

pytestmark = pytest.mark.browser
PICTURES = os.environ.get("PAGE_PICTURES")
"""A folder for the pictures of the page, for whoever wants to look at them."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BalancerProcess, int]]:
    folder = tmp_path_factory.mktemp("browser")
    stats, entry = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(ScriptedServer(echo(b"hi\n"))) for _ in range(3)]
        lines = "\n".join(
            f"    server pg{number} 127.0.0.1:{server.port} check inter 200ms"
            for number, server in enumerate(servers, 1)
        )
        text = f"""\
global
    node lb1
    stats socket {folder}/admin.sock level admin
defaults
    timeout connect 1s
    timeout client 60s
    timeout server 60s
listen stats
    mode http
    bind 127.0.0.1:{stats}
    stats uri /stats
    stats admin if LOCALHOST
    stats show-legends
    stats show-node
frontend entry
    bind 127.0.0.1:{entry}
    default_backend postgres
backend postgres
    balance roundrobin
{lines}
    server gone 127.0.0.1:1 check inter 200ms fall 1 backup
"""
        control = str(folder / "control.sock")
        running = stack.enter_context(BalancerProcess([*TCPBALANCER, "-db", "--control", control], text, folder, stats))
        yield running, entry


Scene = Callable[[Browser], Awaitable[None]]
See = Callable[[Scene], None]


@pytest.fixture(scope="module")
def see(lab: tuple[BalancerProcess, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[See]:
    """Return what plays a scene that begins on the page; one browser plays them all."""
    browser = Browser(tmp_path_factory.mktemp("profile"))

    async def whole(scene: Scene) -> None:
        browser.complaints.clear()
        await browser.screen(1440, 900)
        await browser.open(f"http://127.0.0.1:{lab[0].stats_port}/stats")
        await scene(browser)
        assert browser.complaints == []

    with asyncio.Runner() as runner:
        runner.run(browser.__aenter__())
        yield lambda scene: runner.run(whole(scene))
        runner.run(browser.__aexit__(None, None, None))


def cell(server: str, heading: int) -> str:
    """Return an expression for a cell of a server's row, counted behind its name."""
    row = f"[...document.querySelectorAll('#postgres tbody tr')].find((row) => row.cells[0].textContent === '{server}')"
    return f"({row}).cells[{heading + 1}]"


STATE, TOTAL = 0, 12


def test_numbers_change_without_a_reload(lab: tuple[BalancerProcess, int], see: See) -> None:
    async def scene(browser: Browser) -> None:
        await browser.until(f"{cell('gone', STATE)}.textContent === 'DOWN backup'")
        loads, before = browser.loads, int(await browser.ask(f"{cell('Backend', TOTAL)}.textContent"))
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", lab[1])
            writer.close()
            await writer.wait_closed()
        await browser.until(f"{cell('Backend', TOTAL)}.textContent === '{before + 3}'")
        await browser.until("document.getElementById('age').textContent.startsWith('As of ')")
        assert await browser.ask("document.title") == "(1 down) Statistics of lb1"
        assert browser.loads == loads

    see(scene)


def test_a_click_takes_a_server_out_and_another_brings_it_back(lab: tuple[BalancerProcess, int], see: See) -> None:
    async def scene(browser: Browser) -> None:
        for action, state in (("maint", "MAINT"), ("ready", "UP")):
            before = browser.loads
            await browser.ask(
                "document.querySelector('#postgres input[value=pg2]').click();"
                f"document.querySelector('#postgres select').value = '{action}';"
                "document.querySelector('#postgres form button').click()"
            )
            await browser.loaded(before)
            assert await browser.ask("document.querySelector('.outcome').textContent") == "Done."
            await browser.until(f"{cell('pg2', STATE)}.textContent === '{state}'")
            assert lab[0].csv()[1]["postgres/pg2"]["status"] == state

    see(scene)


def test_the_filter_hides_other_proxies_at_once(lab: tuple[BalancerProcess, int], see: See) -> None:
    async def scene(browser: Browser) -> None:
        shown = "[...document.querySelectorAll('.proxy')].filter((one) => !one.hidden).map((one) => one.id).join()"
        assert await browser.ask(shown) == "stats,entry,postgres"
        await browser.ask(
            "document.getElementById('scope').value = 'POST';"
            "document.getElementById('scope').dispatchEvent(new Event('input'))"
        )
        assert await browser.ask(shown) == "postgres"

    see(scene)


def test_a_form_from_another_site_changes_nothing(lab: tuple[BalancerProcess, int], see: See) -> None:
    async def scene(browser: Browser) -> None:
        before = browser.loads
        fields = "<input name=s value=pg1><input name=action value=maint><input name=b value=postgres>"
        form = f"<form method=post action='http://127.0.0.1:{lab[0].stats_port}/stats'>{fields}</form>"
        await browser.command("Page.navigate", url=f"data:text/html,{form}<script>document.forms[0].submit()</script>")
        await browser.loaded(before)
        await browser.until("document.querySelector('.outcome') !== null")
        assert "not allowed" in await browser.ask("document.querySelector('.outcome').textContent")
        assert lab[0].csv()[1]["postgres/pg1"]["status"] == "UP"

    see(scene)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_and_on_a_desk_nothing_is_wider_than_the_screen(see: See, scheme: str) -> None:
    async def scene(browser: Browser) -> None:
        for width, height in ((1440, 900), (390, 844)):
            await browser.screen(width, height, scheme)
            assert await browser.ask("document.documentElement.scrollWidth") <= width
            back = await browser.ask("getComputedStyle(document.body).backgroundColor")
            assert (sum(map(int, back[4:-1].split(","))) > 3 * 128) is (scheme == "light")
            if PICTURES:
                await browser.picture(Path(PICTURES) / f"{scheme}-{width}.png")

    see(scene)

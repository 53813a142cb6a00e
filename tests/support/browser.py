"""Debian's chromium without a window, asked over its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/ (Page, Runtime, Emulation, Log).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

PATIENCE = 20.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)  # fmt: skip


def chromium() -> str:
    """Return the path of the browser; its absence is an error, not a reason to skip."""
    path = shutil.which("chromium")
    assert path is not None, "chromium is not installed: apt-get install chromium"
    return path


class Browser:
    """One page in a browser of its own; ``complaints`` is what the page's console said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        self._loads = 0
        self._loaded = asyncio.Condition()

    async def __aenter__(self) -> Self:
        profile = self._folder / "profile"
        self._process = subprocess.Popen(  # noqa: ASYNC220 - it is started once
            [chromium(), *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        async with asyncio.timeout(PATIENCE):
            place = profile / "DevToolsActivePort"
            while not place.exists() or "\n" not in place.read_text():  # noqa: ASYNC110 - it has no other way to tell
                await asyncio.sleep(0.05)
        port = place.read_text().split()[0]
        self._session = aiohttp.ClientSession()
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [each for each in await answer.json() if each["type"] == "page"]
        self._socket = await self._session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.command(f"{domain}.enable")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._socket.close()
        await self._session.close()
        self._process.kill()
        self._process.wait()

    async def _read(self) -> None:
        async for message in self._socket:
            told = message.json()
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
                continue
            match told["method"]:
                case "Page.loadEventFired":
                    async with self._loaded:
                        self._loads += 1
                        self._loaded.notify_all()
                case "Log.entryAdded":
                    self.complaints.append(told["params"]["entry"]["text"])
                case "Runtime.exceptionThrown":
                    self.complaints.append(str(told["params"]["exceptionDetails"]))

    async def command(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command and return its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        told = await asyncio.wait_for(answer, PATIENCE)
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    async def open(self, url: str) -> None:
        """Go to an address and wait until it is loaded."""
        before = self._loads
        await self.command("Page.navigate", url=url)
        await self.loaded(before)

    @property
    def loads(self) -> int:
        """How many pages have been loaded."""
        return self._loads

    async def loaded(self, before: int) -> None:
        """Wait until more than ``before`` pages have been loaded."""
        async with asyncio.timeout(PATIENCE), self._loaded:
            await self._loaded.wait_for(lambda: self._loads > before)

    async def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        told = await self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        told = await self.ask(
            f"""new Promise((done) => {{
                const end = Date.now() + {PATIENCE * 1000 - 1000};
                const look = () => {{
                    if ({expression}) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 50);
                }};
                look();
            }})"""
        )
        assert told, f"never true: {expression}"

    async def screen(self, width: int, height: int, scheme: str = "light") -> None:
        """Be a screen of this size, of somebody who likes it light or dark."""
        await self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        await self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def picture(self, file: Path) -> None:
        """Write what is on the screen as PNG."""
        told = await self.command("Page.captureScreenshot", format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(told["data"]))

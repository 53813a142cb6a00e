"""The pieces of aiohttp that both daemons' pages use: who may see them, and where they listen.

Laws: passwords are compared in constant time, and none is ever in a log or an answer. A page never keeps a daemon up:
stopping it does not wait for readers. Imports aiohttp, so only who serves a page imports this.

Sources: RFC 7617 (Basic authentication), RFC 9110 section 11.6.1.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import socket
from collections.abc import Mapping, Sequence

from aiohttp import web

NO_CACHE = {"Cache-Control": "no-cache"}


def is_authorised(header: str | None, users: Mapping[str, str]) -> bool:
    """Whether an ``Authorization`` header names one of ``users`` with its password; everyone may if there are none."""
    if not users:
        return True
    scheme, _, credentials = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        user, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    # An unknown user costs the same comparison as a known one.
    expected = users.get(user, "\0")
    same = hmac.compare_digest(password.encode(), expected.encode())
    return bool(colon) and same and user in users


def unauthorised(realm: str) -> web.Response:
    """Return the 401 that asks for credentials; ``realm`` is printable ASCII."""
    escaped = realm.replace("\\", "\\\\").replace('"', '\\"')
    return web.Response(
        status=401,
        text="<html><body><h1>401 Unauthorized</h1>\nYou need a valid user and password to see this.\n</body></html>\n",
        content_type="text/html",
        headers={**NO_CACHE, "WWW-Authenticate": f'Basic realm="{escaped}"'},
    )


async def _say_nothing_of_the_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.popall("Server", None)


class Site:
    """An aiohttp application on sockets that listen already."""

    def __init__(self, application: web.Application, listening: Sequence[socket.socket]) -> None:
        application.on_response_prepare.append(_say_nothing_of_the_server)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.0)
        self._listening = tuple(listening)

    async def start(self) -> None:
        """Answer from now on."""
        await self._runner.setup()
        for opened in self._listening:
            await web.SockSite(self._runner, opened).start()

    async def stop(self) -> None:
        """Close the sockets and every connection."""
        await self._runner.cleanup()

"""Who may see a page, and how one is served and taken away."""

from __future__ import annotations

import base64

import pytest
from aiohttp import web

from hakit.web import is_authorised, unauthorised

USERS = {"admin": "s:cret", "you": "ü"}


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


@pytest.mark.parametrize(
    "header", [basic("admin:s:cret"), basic("you:ü"), basic("admin:s:cret").replace("Basic", "basic")]
)
def test_who_knows_the_password_may_see_the_page(header: str) -> None:
    assert is_authorised(header, USERS)


@pytest.mark.parametrize(
    "header",
    [
        None, "", "Basic", "Basic !!!", "Basic /w==", "Bearer x", basic("admin"), basic("admin:"), basic("admin:wrong"),
        basic("nobody:s:cret"), basic(":"), basic("nobody:\0"), basic("admin:s:cret").replace("Basic", "Digest"),
    ],
)  # fmt: skip
def test_nobody_else_may(header: str | None) -> None:
    assert not is_authorised(header, USERS)


def test_without_users_everyone_may() -> None:
    assert is_authorised(None, {})


def test_the_challenge_names_the_realm_and_escapes_it() -> None:
    answer = unauthorised('The "Lab"')
    assert isinstance(answer, web.Response)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="The \\"Lab\\""')
    assert answer.headers["Cache-Control"] == "no-cache"

"""How passwords are compared: in one way, whoever asks, and however wrong they are."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable

import pytest

from hakit.web import is_authorised
from tcpbalancer.control.passwords import Passwords
from tcpbalancer.model import Secret, User, UserList

PLAIN = UserList("l", (User("ann", Secret("one")), User("bob", Secret("two"))))
HASHED = UserList("l", (User("bob", Secret("$5$saltsalt$ZI/6D8IUtprIPT0oSEShQnlsdN7tuxxKSSObpb/Yq89"), hashed=True),))


def in_list(users: UserList) -> Callable[[str, str], bool]:
    def asks(name: str, password: str) -> bool:
        async def groups() -> frozenset[str] | None:
            return await Passwords([users]).groups(users, (name, password))

        return asyncio.run(groups()) is not None

    return asks


def on_a_page(name: str, password: str) -> bool:
    header = base64.b64encode(f"{name}:{password}".encode()).decode()
    return is_authorised(f"Basic {header}", {"ann": "one"})


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes]]:
    seen: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        seen.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    return seen


@pytest.mark.parametrize("asks", [in_list(PLAIN), on_a_page], ids=["userlist", "page"])
@pytest.mark.parametrize(("name", "password"), [("ann", "one"), ("ann", "onf"), ("ann", ""), ("nobody", "one")])
def test_every_comparison_of_a_secret_takes_the_same_time_wherever_it_differs(
    asks: Callable[[str, str], bool], name: str, password: str, compared: list[tuple[bytes, bytes]]
) -> None:
    assert asks(name, password) is ((name, password) == ("ann", "one"))
    assert [one for one, _ in compared] == [password.encode()]  # once, for an unknown user as well


def test_an_unknown_user_costs_a_hash_as_well(
    compared: list[tuple[bytes, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = Passwords._crypt

    def crypt(password: str, setting: str) -> str:
        made.append(setting[:3])
        return real(password, setting)

    monkeypatch.setattr(Passwords, "_crypt", staticmethod(crypt))
    asks = in_list(HASHED)
    assert not asks("nobody", "two")
    assert not asks("bob", "wrong")
    assert made == ["$5$", "$5$"]

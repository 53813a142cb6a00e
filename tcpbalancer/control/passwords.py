"""Whether a password is right: as it is, or against what crypt(3) made of it.

Laws: comparison takes the same time wherever two texts differ, and an unknown user costs as much as a known one whose
password is wrong. A hash is computed beside the loop, for it is slow on purpose; what was right once is remembered
under a keyed digest. The system's own libcrypt is asked through ctypes: Python's ``crypt`` is gone in 3.13.

Source: ``check_user`` (``auth.c``); crypt(5).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ctypes
import ctypes.util
import functools
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from tcpbalancer.model import UserList

_CRYPT_DATA = 32768
"""Bytes of libxcrypt's ``struct crypt_data``."""
_REMEMBERED = 256
_NOBODY = "$5$nobody$QmGz1K5Tz0WlAOjzN8pXoVwUuLxP4qkhXw3bT0Y6ZfD"


@functools.cache  # after a chroot it is out of reach
def _libcrypt() -> ctypes.CDLL:
    library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
    library.crypt_r.restype = ctypes.c_char_p
    return library


def credentials(header: str | None) -> tuple[str, str] | None:
    """Return user and password of an ``Authorization`` header; None if there are none."""
    scheme, _, text = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


class Passwords:
    """Asks lists of users; one of these for a site."""

    def __init__(self, lists: Sequence[UserList] = ()) -> None:
        if any(user.hashed for users in lists for user in users.users):
            _libcrypt()
        self._turn = asyncio.Lock()  # one at a time: guessing must not take all processors from the workers
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}

    async def groups(self, users: UserList, given: tuple[str, str]) -> frozenset[str] | None:
        """Return the groups of a user whose password is right; None for everybody else."""
        name, password = given
        found = next((user for user in users.users if user.name == name), None)
        hashed = found.hashed if found is not None else any(user.hashed for user in users.users)
        expected = found.password.value if found is not None else _NOBODY if hashed else "\0"
        is_right = await self._is_right(password, expected) if hashed else _same(password, expected)
        return found.groups if found is not None and is_right else None

    async def _is_right(self, password: str, expected: str) -> bool:
        proof = hmac.digest(self._key, f"{len(expected)}:{expected}{password}".encode(), hashlib.sha256)
        if proof in self._right:
            return True
        async with self._turn:
            made = await asyncio.to_thread(self._crypt, password, expected)
        if not _same(made, expected):
            return False
        if len(self._right) >= _REMEMBERED:
            self._right.clear()
        self._right[proof] = None
        return True

    @staticmethod
    def _crypt(password: str, setting: str) -> str:
        """Return what crypt(3) makes of a password; empty if it cannot, or if the setting makes no sense."""
        room = ctypes.create_string_buffer(_CRYPT_DATA)
        made: bytes | None = _libcrypt().crypt_r(password.encode(), setting.encode(), room)
        text = "" if made is None else made.decode("latin-1")
        return "" if text.startswith("*") else text


def _same(one: str, other: str) -> bool:
    return bool(other) and hmac.compare_digest(one.encode(), other.encode())

"""What an algorithm remembers: a row of integers.

Laws: the caller owns it. A list will do; so will a memoryview on memory that several processes share.
"""

from __future__ import annotations

from typing import Protocol


class Memory(Protocol):
    """A writable row of signed 64-bit integers."""

    def __getitem__(self, index: int, /) -> int: ...
    def __setitem__(self, index: int, value: int, /) -> None: ...

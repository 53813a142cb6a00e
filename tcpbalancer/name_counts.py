"""How often each name server was asked, and how that ended: what ``show resolvers`` tells.

Laws: no code; counts are of the process, as HAProxy's are, and go on over a reload.

Source: HAProxy's management guide, section 9.3 "show resolvers".
"""

from __future__ import annotations

from collections import Counter
from typing import Final

WORDS: Final = (
    "sent", "snd_error", "valid", "update", "cname", "cname_error", "any_err", "nx", "timeout", "refused", "other",
    "invalid", "too_big", "truncated", "outdated",
)  # fmt: skip
"""HAProxy's words, in its order."""

COUNTS: Counter[tuple[str, str, str]] = Counter()
"""By the names of section and name server, and a word."""

"""``authentication`` and ``auth_hmac`` of an instance.

Laws: pure; a key that is in a file is read through the reader that came with the surroundings. No message holds a
password or a key.
"""

from __future__ import annotations

from pyvrrp.config.instance_state import HmacLines, InstanceBlock
from pyvrrp.config.keywords import Keyword, Table
from pyvrrp.config.tree import Statement
from pyvrrp.config.values import whole
from pyvrrp.model import HmacMode

MAX_PASSWORD = 8
"""Bytes (RFC 2338 section 5.3.6)."""
SHORTEST_KEY, LONGEST_KEY = 32, 64
"""Bytes, of a key of ``auth_hmac``."""


def set_authentication(block: InstanceBlock, statement: Statement) -> None:
    """``authentication { auth_type T  auth_pass P }``."""
    AUTHENTICATION.read(block, statement.block or (), block.notes)


def set_auth_type(block: InstanceBlock, statement: Statement) -> None:
    """``auth_type PASS|AH``."""
    text = statement.parameters[0].text
    if text in {"PASS", "AH"}:
        block.auth_type = text
    else:
        block.warn(f"unknown authentication type '{text}'", statement)


def set_auth_pass(block: InstanceBlock, statement: Statement) -> None:
    """``auth_pass P``: at most 8 bytes count."""
    password = statement.parameters[0].text.encode("utf-8", "surrogatepass")
    if len(password) > MAX_PASSWORD:
        block.notes.warn(statement, f"Truncating auth_pass to {MAX_PASSWORD} characters")
    block.password = password[:MAX_PASSWORD]


def set_hmac(block: InstanceBlock, statement: Statement) -> None:
    """``auth_hmac { key ID VALUE ...  active_key ID  anti_replay A  time_window N  mode M }``."""
    block.hmac = block.hmac or HmacLines()
    HMAC.read(block, statement.block or (), block.notes)


def set_key(block: InstanceBlock, statement: Statement) -> None:
    """``key ID VALUE``: ``hex:...``, plain characters, or ``file:PATH`` with one of them in it."""
    number = _key_id(block, statement, "key id")
    key = _key(block, statement.parameters[1].text, statement)
    if number is None or key is None or block.hmac is None:
        return
    if not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        block.error(f"auth_hmac key {number} length {len(key)} not in range [{SHORTEST_KEY}, {LONGEST_KEY}]", statement)
    elif number in block.hmac.keys:
        block.error(f"duplicate auth_hmac key id {number}", statement)
    else:
        block.hmac.keys[number] = key


def _key_id(block: InstanceBlock, statement: Statement, what: str) -> int | None:
    text = statement.parameters[0].text
    try:
        return whole(text, 1, 255)
    except ValueError:
        shown = text if len(text) < 4 else "********"
        block.error(f"auth_hmac {what} '{shown}' must be between 1 and 255", statement)
        return None


def _key(block: InstanceBlock, text: str, statement: Statement) -> bytes | None:
    if not text.startswith("file:"):
        return _decoded(block, text, statement)
    path = text.removeprefix("file:")
    try:
        found = block.surroundings.read_key(path)
        content = found.content.decode()
    except OSError as wrong:
        block.error(f"auth_hmac key file '{path}' cannot be opened: {wrong.strerror}", statement)
        return None
    except UnicodeDecodeError:
        block.error(f"auth_hmac key file '{path}' is not text: hex: and digits, or plain characters", statement)
        return None
    if found.exposed:
        block.warn(f"auth_hmac key file '{path}' is readable by group or others", statement)
    return _decoded(block, content.rstrip("\r\n"), statement)


def _decoded(block: InstanceBlock, text: str, statement: Statement) -> bytes | None:
    if not text.startswith("hex:"):
        return text.encode("utf-8", "surrogatepass")
    try:
        return bytes.fromhex(text.removeprefix("hex:"))
    except ValueError:
        block.error("auth_hmac key: what stands behind hex: is not pairs of hexadecimal digits", statement)
        return None


def set_active_key(block: InstanceBlock, statement: Statement) -> None:
    """``active_key ID``."""
    number = _key_id(block, statement, "active_key")
    if number is not None and block.hmac is not None:
        block.hmac.active_key = number


def set_time_window(block: InstanceBlock, statement: Statement) -> None:
    """``time_window SECONDS``."""
    text = statement.parameters[0].text
    try:
        window = whole(text, 1, 300)
    except ValueError:
        block.warn(f"auth_hmac time_window '{text}' must be between 1 and 300 seconds", statement)
        return
    if block.hmac is not None:
        block.hmac.time_window = window


def set_anti_replay(block: InstanceBlock, statement: Statement) -> None:
    """``anti_replay time|monotonic``."""
    text = statement.parameters[0].text
    if text not in {"time", "monotonic"}:
        block.error(f"auth_hmac anti_replay '{text}' must be time or monotonic", statement)
    elif block.hmac is not None:
        block.hmac.monotonic = text == "monotonic"


def set_mode(block: InstanceBlock, statement: Statement) -> None:
    """``mode enforce|permissive|receive-only``."""
    text = statement.parameters[0].text
    if text not in {mode.value for mode in HmacMode}:
        block.error(f"auth_hmac mode '{text}' must be enforce, permissive or receive-only", statement)
    elif block.hmac is not None:
        block.hmac.mode = HmacMode(text)


AUTHENTICATION: Table[InstanceBlock] = Table(
    {
        "auth_type": Keyword(
            set_auth_type,
            tier=1,
            default="none",
            about="PASS: a password that everybody on the network can read. AH: a signature.",
        ),
        "auth_pass": Keyword(set_auth_pass, tier=1, default="none; 8 bytes", about="The password."),
    },
    secret=True,
)
HMAC: Table[InstanceBlock] = Table(
    {
        "key": Keyword(
            set_key,
            parameters=2,
            tier=3,
            default="required; 32 to 64 bytes",
            about="A key by its id: hex:..., plain, or file:PATH.",
        ),
        "active_key": Keyword(set_active_key, tier=3, default="required; 1 to 255", about="The key that signs."),
        "time_window": Keyword(
            set_time_window,
            tier=3,
            default="3 * advert_int, at least 5; 1 to 300",
            about="Seconds that clocks may differ.",
        ),
        "anti_replay": Keyword(
            set_anti_replay, tier=3, default="time", about="time, or monotonic: numbers only have to grow."
        ),
        "mode": Keyword(set_mode, tier=3, default="enforce", about="enforce, permissive or receive-only."),
    },
    secret=True,
)

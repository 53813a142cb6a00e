"""What the reader says of files beside the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyvrrp.config.load import read

KEY = "k" * 32


@pytest.mark.parametrize(("mode", "told"), [(0o600, 0), (0o640, 1), (0o604, 1)])
def test_a_key_that_others_can_read_is_warned_of(tmp_path: Path, mode: int, told: int) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    file.chmod(mode)
    hmac = f"auth_hmac {{\n key 1 file:{file}\n active_key 1\n }}"
    virtual = "virtual_router_id 1\n virtual_ipaddress {\n 192.0.2.1\n }"
    text = f"vrrp_instance V {{\n interface eth0\n {virtual}\n {hmac}\n}}\n"
    loaded = read(text.encode(), "k.conf")
    assert sum("is readable by group or others" in found.message for found in loaded.warnings) == told
    assert loaded.configuration.instances[0].hmac is not None
    assert KEY not in str(loaded)

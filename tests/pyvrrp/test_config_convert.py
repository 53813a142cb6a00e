"""What is written says what was read, in both formats."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from vrrp_models import configurations

from pyvrrp.config.conf_writer import conf_text
from pyvrrp.config.convert import convert, main, placeless, write
from pyvrrp.config.load import load, read
from pyvrrp.config.written import entries
from pyvrrp.config.yaml_writer import yaml_text
from pyvrrp.model import Configuration

CONFIGS = Path(__file__).parents[2] / "configs"
REQUIRED = " interface eth0\n virtual_router_id 51\n virtual_ipaddress { 10.9.0.100 }\n"


@settings(derandomize=True, deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(configurations())
def test_a_configuration_that_is_written_is_read_as_it_was(configuration: Configuration) -> None:
    for text, file in ((yaml_text(entries(configuration)), "c.yaml"), (conf_text(entries(configuration)), "c.conf")):
        assert placeless(read(text.encode(), file).configuration) == placeless(configuration), text


OURS = sorted([*CONFIGS.glob("*/keepalived*.conf"), *CONFIGS.glob("*/pyvrrp*.yaml")])


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.name)
def test_our_own_files_go_to_the_other_format_and_back(file: Path) -> None:
    configuration = load(file).configuration
    yaml = write(configuration, "yaml")
    conf = convert(yaml, "yaml", "keepalived")
    assert convert(conf, "keepalived", "yaml") == yaml
    assert placeless(read(conf.encode(), "c.conf").configuration) == placeless(configuration)


def test_the_verb_writes_what_only_its_owner_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "k.conf", tmp_path / "k.yaml"
    source.write_text(
        f"vrrp_instance V {{\n{REQUIRED} authentication {{\n auth_type PASS\n auth_pass secret\n }}\n}}\n"
    )
    assert main([str(source), "-o", str(target)]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "auth_pass: secret" in target.read_text()
    assert main([str(target), "--to", "keepalived"]) == 0
    out = capsys.readouterr()
    assert "auth_pass secret" in out.out
    assert "sends its password in clear text" in out.err
    assert "secret" not in out.err


def test_what_cannot_be_read_written_or_said_is_one_line_and_no_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "k.yaml"
    assert main([str(source)]) == 1
    assert "cannot be read: No such file" in capsys.readouterr().err
    source.write_text(
        'instances:\n  "a\\" b":\n    interface: eth0\n    virtual_router_id: 1\n    virtual_ipaddress: [10.0.0.1]\n'
    )
    assert main([str(source), "-o", str(tmp_path / "out")]) == 1
    assert "no way to write a word with a quotation mark" in capsys.readouterr().err
    assert main([str(source), "--to", "yaml", "-o", str(tmp_path / "none/out")]) == 1
    assert "cannot be written: No such file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]

"""The lab on virtual machines: what can be checked of it without a hypervisor."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted((ROOT / "configs/vagrant").glob("*.sh")) + sorted((ROOT / "configs/reference").glob("*.sh"))
HOSTS = {
    "haproxy1": "192.168.50.11",
    "haproxy2": "192.168.50.12",
    "pg102": "192.168.50.21",
    "pg103": "192.168.50.22",
    "pg104": "192.168.50.23",
    "docker_mgr1": "192.168.50.31",
    "docker_mgr2": "192.168.50.32",
    "client": "192.168.50.100",
}
# Stands in for Vagrant: takes every setting, and tells the machines and their addresses.
LISTING = """
class Any
  def method_missing(name, *words, **named)
    puts "#{$machine} #{named[:ip]}" if name == :network
    yield self if block_given? && name != :provider
    $machine = words[0] if name == :define
    self
  end
  def define(name)
    $machine = name
    yield self
  end
  def respond_to_missing?(*) = true
end
module Vagrant
  def self.configure(_version) = yield(Any.new)
end
load ARGV[0]
"""


def test_vagrant_accepts_it(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "VAGRANT_CHECKPOINT_DISABLE": "1"}
    environment["VAGRANT_DOTFILE_PATH"] = str(tmp_path / "dot")
    answer = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "validated successfully" in answer.stdout


def test_its_machines_are_those_of_the_reference() -> None:
    answer = subprocess.run(
        ["ruby", "-W0", "-e", LISTING, str(ROOT / "Vagrantfile")], capture_output=True, text=True, check=True
    )
    assert dict(line.split() for line in answer.stdout.splitlines()) == HOSTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_its_scripts_are_posix_shell(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["dash", "-n", str(script)], check=True)


def test_the_files_that_its_scripts_install_exist() -> None:
    for script in SCRIPTS:
        for word in script.read_text().split():
            path = word.strip("\"'").replace("$name", "haproxy1")
            if path.startswith("/vagrant/"):
                assert (ROOT / path.removeprefix("/vagrant/")).is_file(), f"{script.name}: {word}"


@pytest.mark.parametrize("unit", sorted((ROOT / "configs/systemd").glob("*.service")), ids=lambda path: path.name)
def test_systemd_accepts_its_units(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    assert text.count("ExecStart=/opt/ha-lab/.venv/bin/") == 1
    if unit.name != "patroni.service":
        assert "Type=notify\n" in text
    lines = [
        line.replace(line.split()[0].partition("=")[2], "/bin/true") if "/opt/" in line else line
        for line in text.splitlines()
    ]
    copy = tmp_path / unit.name
    copy.write_text("\n".join(lines) + "\n")
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stdout + answer.stderr) == (0, "")

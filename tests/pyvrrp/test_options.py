"""The command line is read as keepalived reads its own: flags of keepalived(8) that concern VRRP, and ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pyvrrp import cli
from pyvrrp.options import FLAGS, Options, UsageError, read_options, usage
from pyvrrp.process import pid_paths
from pyvrrp.version import version_text

KEEPALIVED = (
    "use-file", "vrrp", "check", "no_bfd", "all", "log-console", "log-detail", "log-facility", "log-file",
    "flush-log-file", "no-syslog", "umask", "release-vips", "dont-release-vrrp", "dont-release-ipvs", "dont-respawn",
    "dont-fork", "dump-conf", "pid", "vrrp_pid", "checkers_pid", "bfd_pid", "address-monitoring", "snmp",
    "snmp-agent-socket", "namespace", "all-config", "config-id", "core-dump", "core-dump-pattern", "config-test",
    "signum", "perf", "debug", "no-mem-check", "ignore-sigint", "version", "help",
)  # fmt: skip
"""The long flags of keepalived(8); genhash is another program."""


def test_every_flag_of_keepalived_is_known() -> None:
    assert set(KEEPALIVED) <= {flag.name for flag in FLAGS}
    for flag in FLAGS:
        assert f"--{flag.name}" in usage("pyvrrp")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Options()),
        ("-f /x", Options(file=Path("/x"))),
        ("-f/x", Options(file=Path("/x"))),
        ("--use-file=/x", Options(file=Path("/x"))),
        ("--use-file /x", Options(file=Path("/x"))),
        ("--use /x", Options(file=Path("/x"))),
        ("-nlD", Options(foreground=True, console=True, detail=1)),
        ("-nlDDf /x", Options(file=Path("/x"), foreground=True, console=True, detail=2)),
        ("-D -D", Options(detail=2)),
        ("-P -p /p -r /r", Options(vrrp=True, pid_file=Path("/p"), vrrp_pid_file=Path("/r"))),
        ("--log-facility=3", Options(facility="local3")),
        ("-S local7", Options(facility="local7")),
        ("-S user", Options(facility="user")),
        ("-g", Options(log_file=Path("/tmp/keepalived.log"))),  # noqa: S108
        ("-g /l -G", Options(log_file=Path("/l"), syslog=False)),
        ("--log-file=/l --flush-log-file", Options(log_file=Path("/l"), flush_log_file=True)),
        ("-u 022", Options(umask=0o22)),
        ("-V", Options(keep_addresses=True)),
        ("-s blue -i node1", Options(namespace="blue", config_id="node1")),
        ("-t", Options(action="test")),
        ("--config-test=/out", Options(action="test", findings_file=Path("/out"))),
        ("-t/out", Options(action="test", findings_file=Path("/out"))),
        ("--signum=JSON", Options(action="signum", signal_name="JSON")),
        ("-v", Options(action="version")),
        ("--ignore-sigint", Options(ignore_interrupt=True)),
        ("-X -R -I -B --all -a -m -M --core-dump-pattern=c -c /c -b /b -e --no-mem-check --perf=all", Options()),
        ("-x", Options(warnings=("Warning - there is no SNMP in this program",))),
        ("-A /s", Options(warnings=("Warning - there is no SNMP in this program",))),
        ("-C", Options(checkers_only=True)),
        ("-d", Options(dump_configuration=True)),
        ("--http 127.0.0.1:8080", Options(http=("127.0.0.1", 8080))),
        ("--http=[::1]:8080", Options(http=("::1", 8080))),
        ("--control /c", Options(control=Path("/c"))),
        ("--run-as=vrrp:net", Options(run_as="vrrp:net")),
    ],
)
def test_flags_are_read_in_all_their_spellings(line: str, expected: Options) -> None:
    assert read_options(line.split()) == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--bogus", "Unknown option --bogus"),
        ("--dont", "Unknown option --dont"),  # fits two flags
        ("-Z", "Unknown option -Z"),
        ("-nZ", "Unknown option -Z"),
        ("-f", "Missing parameter for option -f"),
        ("--pid", "Missing parameter for option --pid"),
        ("--dont-fork=1", "--dont-fork takes no value"),
        ("-S 9", "Invalid log facility '9'"),
        ("-u 99", "Invalid umask '99'"),
        ("--http 8080", "--http wants ADDRESS:PORT, not '8080'"),
        ("start", "Unexpected argument 'start'; see --help"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_status_1(line: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError) as refused:
        read_options(line.split())
    assert str(refused.value) == told
    assert cli.main(line.split()) == 1
    assert capsys.readouterr().err == f"{told}\n"


@pytest.mark.parametrize(
    ("name", "number"),
    [("STOP", 15), ("RELOAD", 1), ("DATA", 10), ("STATS", 12), ("JSON", 36), ("STATS_CLEAR", 63), ("TDUMP", 64)],
)
def test_signum_prints_the_bare_number_to_stdout(name: str, number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([f"--signum={name}"]) == 0
    assert capsys.readouterr() == (f"{number}\n", "")


def test_a_signal_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--signum=FOO"]) == 1
    assert capsys.readouterr() == ("", "Unknown sigfunc FOO\n")


def test_version_is_what_exporters_read_from_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    out, err = capsys.readouterr()
    assert not out
    lines = err.splitlines()
    assert len(lines) >= 2
    assert re.fullmatch(r"v\d+\.\d+\.\d+", lines[0].split()[1])
    assert any(line.startswith("configure options:") and "--enable-json" in line for line in lines)
    assert err == version_text()


@pytest.mark.parametrize(
    ("line", "instance", "namespace", "in_folder", "expected"),
    [
        ("", None, None, False, ["/run/keepalived.pid", "/run/vrrp.pid"]),
        ("-p /p", None, None, False, ["/p"]),
        ("-p /p -r /r", None, None, False, ["/p", "/r"]),
        ("-r /r", None, None, False, ["/run/keepalived.pid", "/r"]),
        ("", "one", None, False, ["/run/keepalived/keepalived_one.pid", "/run/keepalived/vrrp_one.pid"]),
        ("", None, "blue", False, ["/run/keepalived/keepalived_blue.pid", "/run/keepalived/vrrp_blue.pid"]),
        ("", None, None, True, ["/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid"]),
    ],
)
def test_pid_files_are_where_keepalived_has_them(
    line: str, instance: str | None, namespace: str | None, in_folder: bool, expected: list[str]
) -> None:
    paths = pid_paths(read_options(line.split()), instance, namespace, in_folder=in_folder)
    assert [str(path) for path in paths] == expected


def test_findings_go_to_the_file_that_config_test_names(tmp_path: Path) -> None:
    findings = tmp_path / "findings"
    assert cli.main([f"--config-test={findings}", "-f", "/nonexistent"]) == 6  # never 0 for a file that is not there
    assert "No such file" in findings.read_text()
    assert cli.main([f"--config-test={tmp_path}", "-f", "/nonexistent"]) == 1


def test_an_error_of_the_configuration_comes_before_insecure_scripts(tmp_path: Path) -> None:
    script = tmp_path / "open.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o777)
    text = f"""
    global_defs {{
        script_user root
        enable_script_security
    }}
    vrrp_script chk {{
        script {script}
    }}
    vrrp_instance VI_1 {{
        interface lo
        virtual_router_id 51
        track_script {{
            chk
        }}
        virtual_ipaddress {{
            10.9.0.1
        }}
    }}
    """
    (tmp_path / "a.conf").write_text(text)
    findings = tmp_path / "findings"
    assert cli.main([f"-t{findings}", "-f", str(tmp_path / "a.conf")]) == 5  # keepalived: 6
    assert "cannot use a loopback interface (lo) for vrrp" in findings.read_text()


def test_little_is_imported_before_the_program_starts_itself_anew() -> None:
    program = "import sys, pyvrrp.cli; print(*sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    imported = told.stdout.split()
    assert not {"asyncio", "pyroute2", "aiohttp", "argparse", "pyvrrp.daemon", "pyvrrp.config.load"} & set(imported)
